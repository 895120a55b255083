// SPDX-License-Identifier: Apache-2.0
//
// What counting proves about a batch: totals that do not suffice, and least values of
// the terms that a batch has once. Private to the node room.
#pragma once

#include "node/compiled_request.hpp"
#include "topoalloc/state.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

/// Equal Requests of a batch.
struct RequestGroup {
    const CompiledRequest* request = nullptr;
    std::uint32_t size = 0;
    std::optional<Cost> alone;  ///< its optimum on the state before the batch
};

/// The first total that the state can not give, whatever the order.
[[nodiscard]] std::optional<Reason> find_joint_shortage(
    const NodeState& state, std::span<const RequestGroup> groups);

/// True when what is feasible on a state is feasible, at no larger terms 1 to 7, on one
/// with more room. Bytes are given by a rule and not chosen, so a constraint that
/// speaks of them can fail because more is free.
[[nodiscard]] bool is_monotone(const CompiledRequest& request);

/// A vector that no joint answer is below, in lexicographic order. Requires: every
/// group has its optimum and is monotone.
[[nodiscard]] Cost least_joint_cost(const NodeState& state,
                                    std::span<const RequestGroup> groups,
                                    Packing packing);

/// Terms 8 and 9, each by itself no more than in any joint answer; the other terms are
/// 0. Needs no optimum of a group.
[[nodiscard]] Cost least_union_terms(const NodeState& state,
                                     std::span<const RequestGroup> groups,
                                     Packing packing);

}  // namespace topoalloc
