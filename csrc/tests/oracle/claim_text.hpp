// SPDX-License-Identifier: Apache-2.0
//
// Answers to claim problems as short texts, to be written by hand in tests.
#pragma once

#include "claim_brute.hpp"

#include <string>

namespace topoalloc::oracle {

/// Positions of a demand by ",", requests by "|", claims by ";"; an entry of
/// firstAvailable as "1:" before them. "0,1|1:2;0".
[[nodiscard]] std::string text_of(const ClaimQuestion& question,
                                  const ClaimAllocation& allocation);

/// The allocation, "none", "too many tries", or a fault: "selector_failed 0.1.0 @3",
/// "capacity_twice 0.1.0 @3", "all_on_broken_pool 0.1.0 driver/pool",
/// "invalid_pool driver/pool", "too_many_devices 0".
[[nodiscard]] std::string text_of(const ClaimQuestion& question,
                                  const BruteClaims& answer);

}  // namespace topoalloc::oracle
