// SPDX-License-Identifier: Apache-2.0
//
// Sets T of localities in the order of terms 2 and 3: Packages, localities, distance.
// Only sets that can hold the amounts of a branch are produced: PU units, bytes and,
// for each need, enough candidates that meet T.
//
// Localities with equal distances to all others and the same Package form a class: the
// terms depend on how many are taken of each class alone. So counts by class come
// first, sorted by distance; then the members, depth-first, with the bound that what is
// missing must fit into the largest localities left. Members in equal states are taken
// lowest index first. Exact; on many localities in different states exponential, so
// steps count it.
#pragma once

#include "node/compiled_request.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace topoalloc {

/// What a set must be able to hold.
struct LocalityDemand {
    std::vector<std::uint32_t> units;  ///< that each locality can give
    std::uint32_t wanted_units = 0;
    /// By need: localities (0: unknown) of each candidate.
    std::vector<std::vector<std::uint64_t>> candidates;
    /// By locality: what the search can tell of its state. Two of one class with equal
    /// signatures may be exchanged. Empty: it may not be exchanged with any.
    std::vector<std::vector<std::uint64_t>> signatures;
    /// False when no set of so many Packages and localities needs a visit; asked before
    /// each such lot. Empty: all do.
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    std::function<bool(std::size_t packages, std::size_t localities)> may_win{};
    /// Sets of most Packages and localities come first, where many are the better.
    bool largest_first = false;
};

/// How many of each class, with the terms that follow from it.
struct ClassCounts {
    std::vector<std::uint32_t> counts;  ///< by class
    std::int64_t packages = 0;
    std::int64_t localities = 0;
    std::int64_t distance = 0;
};

/// Calls visit(counts) for all counts of `size` localities over `packages` Packages,
/// with at most `most` of each class, by distance.
/// @returns false when visit did, or the step limit came first (then `limited` is true)
bool for_each_class_counts(const Machine& machine,
                           const std::vector<std::uint32_t>& most,
                           std::size_t packages,
                           std::size_t size,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           bool& limited,
                           const std::function<bool(const ClassCounts&)>& visit);

/// Calls visit(set) in the order of the terms until it returns false.
/// @returns false when the step limit came first
bool for_each_locality_set(const NodeState& state,
                           const CompiledRequest& request,
                           const LocalityDemand& demand,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           const std::function<bool(const LocalitySet&)>& visit);

}  // namespace topoalloc
