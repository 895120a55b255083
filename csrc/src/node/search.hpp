// SPDX-License-Identifier: Apache-2.0
//
// The search for the best Placement that meets a given list of constraints.
//
// Branches fix what Align and Same leave open: a domain for each Align, a value for
// each Same. In a branch, sets T of localities come in the order of terms 2 and 3; for
// each, a depth-first search over device sets in index order, bounded by terms 4 and 5;
// for each device set the PU part (pu_choice.hpp). The best is kept over all branches;
// T that cost more than it end the branch. Equal devices (twins) are taken lowest index
// first. Under another order of the terms, every T that could win is visited, and one
// bound over all terms cuts T, devices and PUs.
#pragma once

#include "node/compiled_request.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace topoalloc {

struct SearchResult {
    std::optional<Placement> best;  ///< cost and pairs filled in
    bool limited = false;           ///< the step limit came before the end
};

/// @param enforced  constraints that the Placement must meet; required ones among them
/// @param steps     grows by the work done; never much past options.limits.max_steps
[[nodiscard]] SearchResult search(
    const NodeState& state,
    const CompiledRequest& request,
    const std::vector<const CompiledConstraint*>& enforced,
    const SolveOptions& options,
    std::uint64_t& steps);

}  // namespace topoalloc
