// SPDX-License-Identifier: Apache-2.0
//
// Matchings between two short lists of devices in a ratio of n : 1, by their levels.
//
// Least sum: nearest first where levels are ultrametric; elsewhere the Hungarian method
// on a square table (each "one" side repeated n times), O(n^3) for n devices.
// Existence: augmenting paths, O(n^3) at worst, a few steps in practice. Both are
// exact.
#pragma once

#include "topoalloc/machine.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace topoalloc {

/// `many` has `ratio` times the members of `one`.
struct MatchingSides {
    std::span<const std::uint32_t> many, one;  ///< device indices, ascending
    std::uint32_t ratio = 1;
};

/// True when every member of `many` can be given one of `one`, each used `ratio` times,
/// with every level at most `within`.
[[nodiscard]] bool has_matching(const Machine& machine,
                                const MatchingSides& sides,
                                Level within);

/// The largest number of members of `many` that can be matched so that no member of
/// `one` is used more than `ratio` times; sides need not be in proportion.
[[nodiscard]] std::size_t largest_matching(const Machine& machine,
                                           const MatchingSides& sides,
                                           Level within);

/// The least sum of levels over such matchings; nullopt when there is none.
[[nodiscard]] std::optional<std::int64_t> least_level_sum(const Machine& machine,
                                                          const MatchingSides& sides,
                                                          Level within);

/// A matching of least sum: for each member of `many` in order the position in `one`;
/// among those, the lexicographically least list. Requires: least_level_sum has a
/// value.
/// @param chosen  as long as `many`
void least_matching(const Machine& machine,
                    const MatchingSides& sides,
                    Level within,
                    std::span<std::uint32_t> chosen);

}  // namespace topoalloc
