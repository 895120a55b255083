// SPDX-License-Identifier: Apache-2.0
//
// One claim question through the core and through the oracle, and where they part.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct ClaimComparison {
    /// "": they agree. Else what parts them: "fault", "status", "rule 1" and so on (the
    /// allocation breaks it), or "first" (another allocation comes first).
    std::string difference;
    std::string detail;
    ClaimAnswer answer;
    bool is_counted = true;  ///< false: too many tries to know more than the rules
};

/// @param most  devices that the oracle tries at most
[[nodiscard]] ClaimComparison compare(const ClaimWorld& world,
                                      const ClaimQuestion& question,
                                      SearchLimits limits,
                                      std::uint64_t most);

}  // namespace topoalloc::oracle
