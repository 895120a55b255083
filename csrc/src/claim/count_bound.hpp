// SPDX-License-Identifier: Apache-2.0
//
// "No" by counting: demands that choose from the same dedicated devices want more than
// there are. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"

namespace topoalloc {

[[nodiscard]] bool is_refused_by_counts(const ClaimProblem& problem);

}  // namespace topoalloc
