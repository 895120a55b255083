// SPDX-License-Identifier: Apache-2.0
//
// Several Gangs asked of a Cluster at once, as if they were one, with pods that stay
// where they are: docs/cluster-objective.md, section 5. Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"
#include "topoalloc/cluster.hpp"

#include <memory>
#include <set>
#include <vector>

namespace topoalloc {

/// A Gang, what of it stays, and how many pods it is to have in all.
struct JointPart {
    std::shared_ptr<const Gang> gang;
    std::vector<PodPlace> stays;  ///< they hold their Placements
    CountVector counts, min_counts;
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    GangRails rails = {};  ///< what its lists begin with; empty: nothing
};

/// All of a Gang that does not run.
[[nodiscard]] JointPart whole(const std::shared_ptr<const Gang>& gang);

struct JointAnswer {
    Status status = Status::infeasible;
    GangReason reason = GangReason::gang_conflict;
    std::uint32_t podset = no_index;  ///< of all parts together, that the reason names
    std::uint64_t steps = 0;
    GangCost cost;  ///< counts as in JointPart
    /// By part: places of new pods by PodSet, then rank; their `index` is not set.
    std::vector<std::vector<PodPlace>> places;
    std::vector<GangRails> rails;  ///< by part; empty for a Gang without Rails
};

struct JointInput {
    std::vector<JointPart> parts;
    std::set<std::uint32_t> barred;  ///< slots of nodes that get no new pod
};

/// Any plan; `unknown` too where a node would hold too many vectors of pods to list.
[[nodiscard]] JointAnswer check_joint_on(const ClusterData& data,
                                         const JointInput& input,
                                         SearchLimits limits);
/// The best plan.
[[nodiscard]] JointAnswer place_joint_on(const ClusterData& data,
                                         const JointInput& input,
                                         SearchLimits limits);

}  // namespace topoalloc
