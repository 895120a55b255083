// SPDX-License-Identifier: Apache-2.0
//
// Operations on what runs in a Cluster, asked of a copy of it:
// docs/cluster-objective.md, sections 5 to 9. Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "topoalloc/cluster.hpp"

#include <memory>
#include <string>
#include <vector>

namespace topoalloc {

/// Each throws as the method of Cluster of its name.
[[nodiscard]] ClusterChange replace_on(const ClusterData& data,
                                       const std::string& gang,
                                       const std::vector<std::string>& failed_nodes,
                                       SearchLimits limits);
[[nodiscard]] ClusterChange grow_on(const ClusterData& data,
                                    const std::string& gang,
                                    SearchLimits limits);
[[nodiscard]] ClusterChange drain_on(const ClusterData& data,
                                     const std::vector<std::string>& nodes,
                                     SearchLimits limits);
[[nodiscard]] ClusterChange preempt_on(const ClusterData& data,
                                       const std::shared_ptr<const Gang>& gang,
                                       SearchLimits limits);
[[nodiscard]] ClusterChange defragment_on(const ClusterData& data,
                                          const std::shared_ptr<const Gang>& gang,
                                          SearchLimits limits);
[[nodiscard]] std::vector<NodeScore> scores_on(
    const ClusterData& data,
    const std::shared_ptr<const Request>& request,
    SearchLimits limits);

/// All of it or, where it throws, nothing.
void commit_change(const ClusterChange& change, ClusterData& data);

}  // namespace topoalloc
