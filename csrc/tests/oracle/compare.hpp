// SPDX-License-Identifier: Apache-2.0
//
// One instance through the core and through the oracle, and where they part. The only
// file of the oracle's folder that calls the core.
#pragma once

#include "instances.hpp"

#include "topoalloc/solver.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc::oracle {

struct Comparison {
    /// "": they agree. Else what parts them, in few words ("machine", "status", "cost",
    /// "devices", "pus", "localities", "memory", "pairs", "evaluate", "refused"; of an
    /// answer without proof also "no placement", "better than best", "undecided"): a
    /// shrunk instance keeps it.
    std::string difference;
    std::string detail;
    Status status = Status::infeasible;
    std::uint64_t steps = 0;
    std::int64_t unmet_vector = 0;  ///< of the answer, when there is one
};

[[nodiscard]] Comparison compare(const Instance& instance, SearchLimits limits);

/// "" when the Machine's tables are those that the oracle derives, else the first
/// difference.
[[nodiscard]] std::string compare_machine(const OracleMachine& expected,
                                          const Machine& machine);

}  // namespace topoalloc::oracle
