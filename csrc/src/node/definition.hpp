// SPDX-License-Identifier: Apache-2.0
//
// docs/objective.md as functions of a whole Placement, each in the plainest way. They
// are what `evaluate` answers with and what the search asks once it holds a whole
// Placement.
#pragma once

#include "node/compiled_request.hpp"
#include "node/matching.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

/// Chosen devices by need, each ascending.
using ChosenDevices = std::vector<std::vector<std::uint32_t>>;

/// The bytes given by the rule of section 3, or nullopt when T can not hold them.
/// @param pu_counts  chosen PUs by locality, one entry a locality of the Machine
[[nodiscard]] std::optional<std::vector<MemoryGrant>> fill_memory(
    const NodeState& state,
    const CompiledRequest& request,
    const Bitmap& localities,
    std::span<const std::uint32_t> pu_counts);

/// Whether a constraint holds. Memory and PUs as given in the Placement.
[[nodiscard]] bool constraint_holds(const CompiledRequest& request,
                                    const CompiledConstraint& constraint,
                                    const Placement& placement,
                                    const ChosenDevices& chosen);

/// The smallest `within` of the required Pairs of the same two needs as `pair`.
[[nodiscard]] Level pair_bound(const CompiledRequest& request,
                               const CompiledPair& pair);

[[nodiscard]] MatchingSides sides_of(const CompiledPair& pair,
                                     const ChosenDevices& chosen);

/// Term 4.
/// @throws InvalidRequestError  a Pair has no matching within its bound
[[nodiscard]] std::int64_t pair_levels(const CompiledRequest& request,
                                       const ChosenDevices& chosen);

/// Term 5.
[[nodiscard]] std::int64_t missing_link(const CompiledRequest& request,
                                        const ChosenDevices& chosen);

/// Terms 1a and 1b when these preferences are unmet (bit i is prefer[i]).
void set_unmet(const CompiledRequest& request, std::uint64_t unmet, Cost& cost);

/// Terms 1 to 9 of a whole Placement; its own `cost` is not read.
[[nodiscard]] Cost placement_cost(const NodeState& state,
                                  const CompiledRequest& request,
                                  const Placement& placement,
                                  const ChosenDevices& chosen,
                                  Packing packing);

/// Term 9 alone, for Placements that no Request describes.
void count_opened(const NodeState& state,
                  const Placement& placement,
                  Packing packing,
                  Cost& cost);

/// The pairs made, for each Pair that holds, by a Placement that meets the Request.
[[nodiscard]] std::vector<MadePairs> made_pairs(const CompiledRequest& request,
                                                const Placement& placement);

}  // namespace topoalloc
