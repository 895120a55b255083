// SPDX-License-Identifier: Apache-2.0
//
// The least cost of a batch, or a proof that there is no joint answer: branch and bound
// over device sets, member by member, with JointPlaces for all else.
// docs/design/0006-joint.md describes it. Private to the node room.
#pragma once

#include "node/joint_bound.hpp"
#include "node/joint_budget.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

struct JointQuestion {
    std::span<const RequestGroup> groups;
    std::span<const std::uint32_t> group_of;  ///< by request
    Packing packing = Packing::pack;
    std::optional<Cost> below;  ///< only answers of less cost are of use
    /// `alone` of the groups is the optimum of a monotone Request.
    bool has_bounds = false;
    bool any = false;  ///< the first answer will do, whatever it costs
};

/// @returns Placements in the order of the requests, of least cost; empty when there is
///          no answer of use: a proof unless the budget is limited
[[nodiscard]] std::vector<Placement> search_joint(const NodeState& state,
                                                  const JointQuestion& question,
                                                  StepBudget& budget);

}  // namespace topoalloc
