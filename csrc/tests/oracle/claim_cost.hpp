// SPDX-License-Identifier: Apache-2.0
//
// Terms 1 to 6 of docs/claim-objective.md, section 4, of a given allocation. Shares no
// code with the claim solver.
#pragma once

#include "claim_pools.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc::oracle {

/// The entries, then localities, levels, opened NUMANodes, opened roots, broken,
/// shares.
using ClaimTerms = std::vector<std::int64_t>;

/// Requires: an allocation of the question.
[[nodiscard]] ClaimTerms cost_of_claims(const ClaimInventory& inventory,
                                        const ClaimQuestion& question,
                                        const ClaimAllocation& allocation);

/// As the core gives it.
[[nodiscard]] ClaimTerms terms_of(const ClaimCost& cost);

}  // namespace topoalloc::oracle
