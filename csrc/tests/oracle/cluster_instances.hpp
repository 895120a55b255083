// SPDX-License-Identifier: Apache-2.0
//
// Seeded random Clusters of small Machines, partly filled, each with a Gang: small
// enough to ask every node by brute force what it holds, and to try every plan.
#pragma once

#include "instances.hpp"

#include "topoalloc/cluster.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace topoalloc::oracle {

struct ClusterNode {
    std::uint32_t machine = 0;  ///< into ClusterInstance::machines
    std::uint32_t state = 0;    ///< into ClusterInstance::states
    bool cordoned = false;
    std::map<std::string, std::string> domains, labels;
    std::vector<Taint> taints;
};

struct ClusterInstance {
    std::uint64_t seed = 0;
    bool spread = false;
    std::vector<MachineSpec> machines;
    std::vector<OracleState> states;  ///< each of one of the Machines
    std::vector<ClusterTree> trees;
    std::vector<ClusterNode> nodes;  ///< as they are added
    Gang gang;
};

/// One to five nodes in one to three states of one or two Machines, one to four
/// PodSets, up to three levels in one or two trees.
[[nodiscard]] ClusterInstance make_cluster_instance(std::uint64_t seed);

/// What it is made of, to read; make_cluster_instance(seed) rebuilds it.
[[nodiscard]] std::string dump(const ClusterInstance& instance);

}  // namespace topoalloc::oracle
