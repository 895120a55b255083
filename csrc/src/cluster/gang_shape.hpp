// SPDX-License-Identifier: Apache-2.0
//
// GangShape: a Gang in the words of one Cluster: levels as numbers, Groups as sets of
// PodSets, and which nodes each PodSet may use. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "cluster/node_class.hpp"
#include "topoalloc/cluster.hpp"

#include <map>
#include <string>
#include <vector>

namespace topoalloc {

/// @throws InvalidRequestError as Gang::validate, or for a level that is not there
/// @param levels  in declared order
/// @returns a problem without nodes and tables
[[nodiscard]] GangProblem shape_of(const Gang& gang,
                                   const std::vector<std::string>& levels);

/// The labels meet the conditions, and the taints are tolerated.
[[nodiscard]] bool is_eligible(const std::vector<Condition>& where,
                               const std::vector<Toleration>& tolerations,
                               const std::map<std::string, std::string>& labels,
                               const std::vector<Taint>& taints);

/// Labels and taints of the node suit the PodSet.
[[nodiscard]] bool is_eligible(const PodSet& podset, const NodeDescription& node);

[[nodiscard]] Requests requests_of(const Gang& gang);

}  // namespace topoalloc
