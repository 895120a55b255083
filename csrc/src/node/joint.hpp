// SPDX-License-Identifier: Apache-2.0
//
// Several Requests on one state: jointly, or as many copies of one as fit. The methods
// and what they prove are in docs/design/0006-joint.md. Private to the node room and
// what stands above it.
#pragma once

#include "topoalloc/allocator.hpp"

#include <memory>
#include <span>

namespace topoalloc {

/// The best sum of costs that was found for all Requests at once; `optimal` and
/// `infeasible` are proofs. Equal input: equal answer, equal steps.
/// @throws InvalidRequestError when the Policy has another order than the default one
[[nodiscard]] BatchVerdict solve_joint(
    const NodeState& state,
    std::span<const std::shared_ptr<const CompiledRequest>> requests,
    Policy policy,
    SearchLimits limits);

/// The cost of Placements together: terms 1 to 7 add up, 8 and 9 are of the union.
[[nodiscard]] Cost joint_cost(const NodeState& state,
                              std::span<const Placement> placements,
                              Packing packing);

/// Copies of one Request that fit at once, and a bound on their number.
[[nodiscard]] HeadroomResult solve_headroom(const NodeState& state,
                                            const CompiledRequest& request,
                                            Policy policy,
                                            SearchLimits limits);

/// Only the bound: by counting, without a search.
[[nodiscard]] std::uint32_t headroom_bound(const NodeState& state,
                                           const CompiledRequest& request);

}  // namespace topoalloc
