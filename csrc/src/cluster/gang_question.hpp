// SPDX-License-Identifier: Apache-2.0
//
// A Gang asked of a Cluster: from nodes and Requests to a GangProblem, and from its
// answer back to pods with Placements. Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"

#include <memory>

namespace topoalloc {

/// @throws InvalidRequestError as Cluster::check
[[nodiscard]] GangVerdict check_on(const ClusterData& data,
                                   const std::shared_ptr<const Gang>& gang,
                                   SearchLimits limits);
/// @throws InvalidRequestError as Cluster::place
[[nodiscard]] GangPlan place_on(const ClusterData& data,
                                const std::shared_ptr<const Gang>& gang,
                                SearchLimits limits);

}  // namespace topoalloc
