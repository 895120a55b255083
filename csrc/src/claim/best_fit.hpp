// SPDX-License-Identifier: Apache-2.0
//
// The allocation of a ClaimProblem of least cost. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"

namespace topoalloc {

/// The answer, errors of the claims among them.
[[nodiscard]] ClaimAnswer best_fit_of(CompiledClaims compiled, SearchLimits limits);

}  // namespace topoalloc
