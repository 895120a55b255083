// SPDX-License-Identifier: Apache-2.0
//
// Clusters to measure on, and Gangs to ask of them.
#pragma once

#include "machines.hpp"
#include "topoalloc/cluster.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace topoalloc::bench {

struct FleetShape {
    std::uint32_t nodes = 100;
    std::uint32_t rack_nodes = 16;
    std::uint32_t block_nodes = 256;
    /// Different states among the nodes; 1: all are free. Neighbours that are no pods
    /// hold some cores, and some a GPU, to make them.
    std::uint32_t states = 1;
};

/// Blocks of racks of DGX H100, or of the Machine that is given.
[[nodiscard]] std::unique_ptr<Cluster> make_fleet(
    const FleetShape& shape, const std::shared_ptr<const Machine>& machine);

/// 2 GPUs, 2 NICs and so many cores.
[[nodiscard]] std::shared_ptr<const Request> pod_request(std::uint32_t cores);
/// One PodSet.
[[nodiscard]] std::shared_ptr<const Gang> one_podset(
    const std::string& name,
    const std::shared_ptr<const Request>& request,
    std::uint32_t count,
    std::vector<GangConstraint> require = {});

}  // namespace topoalloc::bench
