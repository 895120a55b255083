// SPDX-License-Identifier: Apache-2.0
//
// The best plan by walks over the nodes that are kept side by side: those of equal key
// are one, those that can not become better than a plan that is known end. Private to
// the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "node/joint_budget.hpp"

#include <optional>
#include <vector>

namespace topoalloc {

struct FrontierResult {
    bool is_proved = false;  ///< nothing is better than `pods`, term 7 included
    std::optional<std::vector<CountVector>> pods;
};

/// Any plan where the least cost is not asked for.
/// @param start  what a plan costs that is known: those that cost more are not sought;
///               null for none
/// Nullopt when there is too much to be kept of a walk. Requires: at least one node.
[[nodiscard]] std::optional<FrontierResult> search_frontier(const GangProblem& problem,
                                                            bool use_possible,
                                                            bool least_cost,
                                                            const GangCost* start,
                                                            StepBudget& budget);

}  // namespace topoalloc
