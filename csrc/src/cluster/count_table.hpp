// SPDX-License-Identifier: Apache-2.0
//
// What one node holds of several Requests: the vectors of copies that have a joint
// answer, and those answers. Private to the cluster room.
#pragma once

#include "cluster/node_class.hpp"

namespace topoalloc {

[[nodiscard]] CountTable make_count_table(ClassPool& pool,
                                          const NodeClass& of,
                                          const Requests& requests,
                                          const CountVector& most,
                                          std::uint64_t max_steps,
                                          std::uint64_t& steps);

/// Placements of all Requests at once; nullopt when none were found. No cost of the
/// cluster problem depends on them, so they are sought with little effort: together,
/// then one after the other.
[[nodiscard]] std::optional<Placements> place_together(
    const NodeState& state,
    const std::vector<std::shared_ptr<const CompiledRequest>>& requests,
    Policy policy);

}  // namespace topoalloc
