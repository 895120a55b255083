// SPDX-License-Identifier: Apache-2.0
//
// The allocation of least cost where every request has one demand. Private to the claim
// room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/device_sites.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// By request: candidates of its demand, ascending.
using Candidates = std::vector<std::vector<std::size_t>>;

struct BestChoice {
    ClaimCost cost;  ///< without entries
    Candidates chosen;
    bool is_proved = true;  ///< false: the limit came first
    std::uint64_t steps = 0;
};

/// @param problem  without faults, one demand in each request; the values of `sites`
///                 are among its attributes
/// @param first    the first allocation
[[nodiscard]] BestChoice search_best(const ClaimProblem& problem,
                                     const DeviceSites& sites,
                                     Candidates first,
                                     SearchLimits limits);

}  // namespace topoalloc
