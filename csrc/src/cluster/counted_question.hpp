// SPDX-License-Identifier: Apache-2.0
//
// A Gang that counts decide, asked of a Cluster without a GangProblem: one pass over
// what the nodes hold, then over the Domains. Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"

#include <memory>
#include <optional>

namespace topoalloc {

/// @param shape  shape_of() the Gang
/// Nullopt where counts do not decide: a GangQuestion does.
[[nodiscard]] std::optional<GangVerdict> check_by_counts(
    const ClusterData& data,
    const std::shared_ptr<const Gang>& gang,
    const GangProblem& shape,
    SearchLimits limits);
[[nodiscard]] std::optional<GangPlan> place_by_counts(
    const ClusterData& data,
    const std::shared_ptr<const Gang>& gang,
    const GangProblem& shape,
    SearchLimits limits);

/// A Request that names a device must be meant for some Machine that is there.
/// @throws InvalidRequestError
void demand_known_devices(const ClusterData& data,
                          const std::shared_ptr<const Request>& request);

}  // namespace topoalloc
