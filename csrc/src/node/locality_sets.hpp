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

#include "node/compiled_request.hpp"

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

/// The order of terms 2 and 3, then least index.
[[nodiscard]] bool comes_before(const LocalitySet& a, const LocalitySet& b);

/// What a set must be able to hold.
struct LocalityDemand {
    std::vector<std::uint32_t> units;  ///< that each locality can give
    std::uint32_t wanted_units = 0;
    /// By need: localities (0: unknown) of each candidate.
    std::vector<std::vector<std::uint64_t>> candidates;
};

/// Calls visit(set) in order until it returns false.
/// @returns false when the step limit came first
bool for_each_locality_set(const NodeState& state,
                           const CompiledRequest& request,
                           const LocalityDemand& demand,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           const std::function<bool(const LocalitySet&)>& visit);

}  // namespace topoalloc
