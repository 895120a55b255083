// SPDX-License-Identifier: Apache-2.0
//
// The cluster problem by enumeration: every plan of a GangProblem, held to
// docs/cluster-objective.md, sections 2 and 3. Knows the plain data of the problem and
// shares no code with its solver.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc::oracle {

struct GangBest {
    bool is_counted =
        true;               ///< false: more partial plans than `most`, nothing is known
    bool feasible = false;  ///< on attained vectors
    bool possible = false;  ///< on possible vectors
    GangCost cost;          ///< of the best plan, of meaning when feasible
    std::vector<CountVector> pods;
};

/// @param most  partial plans that are tried at most
[[nodiscard]] GangBest brute_gang(const GangProblem& problem, std::uint64_t most);

/// The cost of a plan, terms 1 to 6; nullopt when it is not feasible.
[[nodiscard]] std::optional<GangCost> judge_gang(const GangProblem& problem,
                                                 const std::vector<CountVector>& pods);

/// Does every node have the same attained and possible vectors?
[[nodiscard]] bool is_exact(const GangProblem& problem);

}  // namespace topoalloc::oracle
