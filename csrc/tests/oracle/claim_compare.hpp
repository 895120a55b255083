// SPDX-License-Identifier: Apache-2.0
//
// One claim question through both searches of the core and of the oracle, and where
// they part.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct ClaimComparison {
    /// "": they agree. Else what parts them: "fault", "status", "rule 1" and so on (the
    /// allocation breaks it), "first" (another allocation comes first), "cost" (it is
    /// not what the allocation costs), or "best" (another one is better).
    std::string difference;
    std::string detail;
    ClaimAnswer first, best;
    /// False: too many tries to know more than the rules.
    bool is_first_counted = true, is_best_counted = true;
};

/// @param most  devices that the oracle tries at most
[[nodiscard]] ClaimComparison compare(const ClaimWorld& world,
                                      const ClaimQuestion& question,
                                      SearchLimits limits,
                                      std::uint64_t most);

}  // namespace topoalloc::oracle
