// SPDX-License-Identifier: Apache-2.0
//
// What questions of Gangs do alike with the tables and the answers of a GangProblem.
// Private to the cluster room and what stands above it.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Leaves the vectors without pods of the PodSets that may not be there.
[[nodiscard]] CountTable restrict_to(const CountTable& table,
                                     const std::vector<bool>& eligible);

/// By level, whether each Domain of the Cluster holds something.
[[nodiscard]] std::vector<std::vector<bool>> open_domains_of(const ClusterData& data);

/// The first PodSet of which all nodes hold too few pods, whatever else they hold.
[[nodiscard]] std::optional<std::uint32_t> podset_without_room(
    const GangProblem& problem);

/// These pods, and more, are no longer held to be attained.
void forget(CountTable& table, const CountVector& pods);

/// Nodes with pods of a PodSet: in node order, but slice by slice.
[[nodiscard]] std::vector<std::size_t> rank_order(const GangProblem& problem,
                                                  std::uint32_t podset,
                                                  const std::vector<CountVector>& pods);

}  // namespace topoalloc
