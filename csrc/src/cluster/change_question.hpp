// SPDX-License-Identifier: Apache-2.0
//
// ChangeQuestion: what an operation on a Cluster was asked, as one question of parts:
// what the Explanation of a "no" starts from. Private to the cluster room and what
// stands above it.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/joint_question.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace topoalloc {

enum class ChangeKind : std::uint8_t { replace, grow, drain, preempt, defragment };

struct ChangeQuestion {
    ChangeKind kind = ChangeKind::replace;
    ClusterData before;  ///< the Cluster as it was
    ClusterData data;    ///< all that may leave or stop is gone
    JointInput input;
    std::set<std::string> nodes;       ///< that failed, or are to be drained
    std::vector<std::string> stopped;  ///< Gangs that stop, by name; of preempt
    std::uint64_t moved = 0;           ///< pods that may move; of defragment
};

/// Several Gangs may be in it; elsewhere it is one.
[[nodiscard]] constexpr bool is_of_several(ChangeKind kind) {
    return kind == ChangeKind::drain || kind == ChangeKind::defragment;
}

/// @throws StateError when a node is not in the Cluster
[[nodiscard]] ChangeQuestion drain_question(const ClusterData& data,
                                            const std::set<std::string>& nodes);

}  // namespace topoalloc
