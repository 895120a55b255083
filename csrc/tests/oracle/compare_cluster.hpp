// SPDX-License-Identifier: Apache-2.0
//
// One Cluster and Gang through the core and through the oracles, and where they part.
#pragma once

#include "cluster_instances.hpp"

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct ClusterComparison {
    /// "": they agree. Else what parts them: "status", "plan" (not feasible), "cost"
    /// (not that of its plan), "best" (another plan costs less), "tie" (another one
    /// comes first), "pods" (they have no such joint answer on a node), "check",
    /// "release" (something is left), or "refused".
    std::string difference;
    std::string detail;
    Status place = Status::infeasible;
    Status check = Status::infeasible;
    bool is_counted = true;  ///< false: too much for the oracle, nothing is compared
    bool feasible = false;
    bool is_best = false;  ///< place gave the best plan, proved or not
};

/// @param most  what each oracle tries at most for one question
[[nodiscard]] ClusterComparison compare(const ClusterInstance& instance,
                                        SearchLimits limits,
                                        std::uint64_t most);

}  // namespace topoalloc::oracle
