// SPDX-License-Identifier: Apache-2.0
//
// The best Placement of one Request on one state, or a proof that there is none.
// docs/objective.md is the problem; docs/design/0002-node-solver.md the method.
#pragma once

#include "topoalloc/state.hpp"

#include <memory>

namespace topoalloc {

enum class Packing : std::uint8_t { pack, spread };

/// The order of the cost terms, by name and version. One order exists today.
struct Policy {
    Packing packing = Packing::pack;
    std::uint32_t version = 1;
};

/// A Request made ready for one Machine: names resolved, conditions evaluated.
/// Immutable: share it between threads.
class CompiledRequest;

/// @throws InvalidRequestError when the Request names a device that the Machine lacks,
///         or has no meaning (Request::validate)
[[nodiscard]] std::shared_ptr<const CompiledRequest> compile(
    std::shared_ptr<const Machine> machine, const Request& request);

/// What it was compiled from, and for.
[[nodiscard]] const Request& request_of(const CompiledRequest& compiled);
[[nodiscard]] const Machine& machine_of(const CompiledRequest& compiled);

/// What a resize keeps: the Placement it starts from. Null: nothing.
struct SolveOptions {
    Policy policy;
    SearchLimits limits;
    const Placement* keep_from = nullptr;
};

/// Solves on a state of the same Machine. Equal input: equal answer, equal steps.
[[nodiscard]] Answer solve(const NodeState& state,
                           const CompiledRequest& request,
                           const SolveOptions& options = {});

/// The cost of a given Placement by the definition, from scratch, term by term. The
/// search is checked against it in tests; both use the rule that fills memory and the
/// one that counts what is opened.
/// @throws InvalidRequestError when the Placement breaks the Request or the state
[[nodiscard]] Cost evaluate(const NodeState& state,
                            const CompiledRequest& request,
                            const Placement& placement,
                            Policy policy);

}  // namespace topoalloc
