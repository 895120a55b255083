// SPDX-License-Identifier: Apache-2.0
//
// One cluster problem through the core and through the oracle, and where they part.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct GangComparison {
    /// "": they agree. Else who answered, "place" or "check", and what parts them:
    /// "status", "proof" (none can be given), "undecided" (one could), "plan" (it is
    /// not feasible), "cost" (not that of its plan), "best" (another plan costs less),
    /// "tie" (another one comes first), or "refused". A shrunk problem keeps it.
    std::string difference;
    std::string detail;
    Status place = Status::infeasible;
    Status check = Status::infeasible;
    std::uint64_t place_steps = 0;
    std::uint64_t check_steps = 0;
    bool is_counted = true;  ///< false: too many plans to know more than what is judged
    bool feasible = false;
    bool possible = false;
    bool is_exact = true;  ///< attained and possible vectors are the same
    bool is_best = false;  ///< place gave the best plan, proved or not
};

/// @param most  partial plans that the oracle tries at most
[[nodiscard]] GangComparison compare(const GangProblem& problem,
                                     SearchLimits limits,
                                     std::uint64_t most);

}  // namespace topoalloc::oracle
