// SPDX-License-Identifier: Apache-2.0
//
// Sets T of localities in the order of terms 2 and 3: Packages, localities, distance, then
// least index. Only sets that can hold the amounts of a branch are produced: PU units, bytes
// and, for each need, enough candidates that meet T.
//
// Sets of one size and one number of Packages are enumerated depth-first with the bound that
// the units still missing must fit into the largest localities left, then sorted. That is
// exact; on many localities in different states it is exponential, so steps count it.
#pragma once

#include "node/branch.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace topoalloc {

struct LocalitySet {
    std::uint64_t mask = 0;
    std::int64_t packages = 0;
    std::int64_t localities = 0;
    std::int64_t distance = 0;
};

/// Calls visit(set) in order until it returns false.
/// @returns false when the step limit came first
bool for_each_locality_set(const NodeState& state,
                           const CompiledRequest& request,
                           const Branch& branch,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           const std::function<bool(const LocalitySet&)>& visit);

}  // namespace topoalloc
