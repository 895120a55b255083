// SPDX-License-Identifier: Apache-2.0
//
// The plain reading of a Cluster and a Gang: docs/cluster-objective.md, sections 1 to
// 3, node after node, every vector of pods asked of the brute force over Placements.
// Shares no code with the cluster room.
#pragma once

#include "cluster_instances.hpp"

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc::oracle {

struct ClusterReading {
    /// False: the pods of a node are too many to count, and nothing is known.
    bool is_counted = true;
    GangProblem problem;               ///< with all nodes, in node order
    std::vector<std::uint32_t> nodes;  ///< by node of the problem: as they were added
};

/// @param most  combinations of Placements that are tried at most, for each question
[[nodiscard]] ClusterReading read_cluster(const ClusterInstance& instance,
                                          std::uint64_t most);

/// The pods of a node, PodSet by PodSet, as a question to it.
[[nodiscard]] BatchInstance pods_on(const ClusterInstance& instance,
                                    std::uint32_t node,
                                    const CountVector& pods);

}  // namespace topoalloc::oracle
