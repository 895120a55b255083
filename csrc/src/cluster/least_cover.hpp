// SPDX-License-Identifier: Apache-2.0
//
// The least set of elements that reaches the need of one region and hits each of some
// sets. Private to the cluster room.
#pragma once

#include "cluster/least_removal.hpp"

#include <optional>

namespace topoalloc {

/// @param hits  ascending sets; the answer has an element of each
/// @param most  elements of the answer at most
/// @returns nullopt when there is none, or the budget ended
[[nodiscard]] std::optional<RemovalSet> least_cover(const RemovalProblem& problem,
                                                    const RemovalRegion& region,
                                                    const std::vector<RemovalSet>& hits,
                                                    std::size_t most,
                                                    StepBudget& budget);

}  // namespace topoalloc
