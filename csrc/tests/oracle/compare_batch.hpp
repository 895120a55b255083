// SPDX-License-Identifier: Apache-2.0
//
// One batch through the core and through the oracle, and where they part.
#pragma once

#include "instances.hpp"

#include "topoalloc/solver.hpp"

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct BatchComparison {
    /// "": they agree, or there are too many Placements to tell (`is_counted`). Else
    /// "status", "cost", "parts", "headroom" or "refused".
    std::string difference;
    std::string detail;
    Status status = Status::infeasible;
    std::uint64_t steps = 0;
    bool is_counted = true;
};

/// @param most  combinations that the oracle tries at most
[[nodiscard]] BatchComparison compare(const BatchInstance& instance,
                                      SearchLimits limits,
                                      std::uint64_t most);

}  // namespace topoalloc::oracle
