// SPDX-License-Identifier: Apache-2.0
//
// How much room for a Gang is gained where pods go, by counting copies: for bounds.
// Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/least_removal.hpp"
#include "topoalloc/cluster.hpp"

#include <memory>
#include <vector>

namespace topoalloc {

/// Pods of one Gang that go together.
struct Removable {
    std::shared_ptr<const Gang> gang;
    std::vector<PodPlace> pods;
};

/// The node is not cordoned, and its labels and taints suit the PodSet.
[[nodiscard]] bool is_eligible(const NodeEntry& entry, const PodSet& podset);

/// The Domains of the finest level one of which must hold the whole Gang, or all nodes
/// as one; a kind of room is a PodSet.
/// @param steps  what it took is added
[[nodiscard]] std::vector<RemovalRegion> regions_of(
    const ClusterData& data,
    const Gang& gang,
    const std::vector<Removable>& elements,
    SearchLimits limits,
    std::uint64_t& steps);

/// The Cluster without the pods of these elements.
[[nodiscard]] ClusterData without_pods(const ClusterData& data,
                                       const std::vector<Removable>& elements,
                                       const RemovalSet& removed);

}  // namespace topoalloc
