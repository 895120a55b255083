// SPDX-License-Identifier: Apache-2.0
//
// The first allocation of a ClaimProblem. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"

namespace topoalloc {

[[nodiscard]] ClaimAnswer search_first_fit(const ClaimProblem& problem,
                                           SearchLimits limits);

/// The answer, errors of the claims among them.
[[nodiscard]] ClaimAnswer first_fit_of(CompiledClaims compiled, SearchLimits limits);

}  // namespace topoalloc
