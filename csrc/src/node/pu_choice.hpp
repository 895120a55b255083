// SPDX-License-Identifier: Apache-2.0
//
// The PU part of a Placement: of the usable cores or PUs, those with the fewest L3s,
// then the fewest split cores, then the fewest (spread: the most) newly opened Packages
// and L3s, then the least index set, such that every "hit set" of localities gets a PU.
// A Policy may put these three in another order.
//
// Whole cores without hit sets: by counting, O(L3s^2) at worst, as long as L3s come
// before what they open. Everything else: a dynamic programme over cores, O(cores *
// wanted * states), exact. Both read the same question.
#pragma once

#include "node/compiled_request.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

enum class PuUnit : std::uint8_t {
    cores,               ///< whole cores, each counts 1
    pus,                 ///< PUs, each counts 1
    pus_of_whole_cores,  ///< whole cores, each counts its PUs
};

struct PuQuestion {
    PuUnit unit = PuUnit::cores;
    std::uint32_t wanted = 0;
    Bitmap usable;                        ///< PUs that may be chosen, logical
    Bitmap forced;                        ///< PUs that must be chosen; a part of usable
    std::vector<std::uint64_t> hit_sets;  ///< masks of localities
    Bitmap charged_packages;              ///< opening one by PUs alone counts (term 9a)
    Packing packing = Packing::pack;
    /// The groups that PUs decide, in the order of the Policy.
    std::array<TermGroup, 3> order{
        TermGroup::l3s, TermGroup::split_cores, TermGroup::opened};
    /// Chosen units a locality must hold exactly; empty: free.
    std::vector<std::uint32_t> exact_counts;
};

struct PuChoice {
    std::int64_t l3s = 0;
    std::int64_t split_cores = 0;
    std::int64_t opened_packages = 0;  ///< charged ones; negative when spreading
    std::int64_t opened_l3s = 0;       ///< negative when spreading
    Bitmap pus;
};

/// @param steps  grows by the work done
/// @param max_steps  no work is begun that would pass it; then `limited` becomes true
/// @returns nullopt when there is no such choice (or the limit came first)
[[nodiscard]] std::optional<PuChoice> choose_pus(const NodeState& state,
                                                 const PuQuestion& question,
                                                 std::uint64_t& steps,
                                                 std::uint64_t max_steps,
                                                 bool& limited);

}  // namespace topoalloc
