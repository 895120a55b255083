// SPDX-License-Identifier: Apache-2.0
//
// What the tree search derives once from a Request and a Machine.
#pragma once

#include "node/device_tree.hpp"
#include "node/locality_sets.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace topoalloc {

/// A run of cores that share L3, locality and Package.
struct CorePiece {
    std::uint32_t l3 = 0, locality = 0, package = 0;
    std::uint32_t first_core = 0, core_count = 0;
};

struct SwitchMembers {
    std::uint32_t index = 0;
    std::uint64_t devices = 0;  ///< candidates, by rank
};

struct TreePlan {
    DeviceTree tree;
    std::vector<SwitchMembers> switches;         ///< that have candidates
    std::uint64_t without_switch = 0;            ///< candidates of none
    std::vector<std::uint32_t> most_per_switch;  ///< by need: candidates of one switch
    std::vector<std::int64_t> least_levels;  ///< [need][need]: of any two candidates
    std::vector<CorePiece> pieces;           ///< in core order
    std::uint32_t core_size = 1;             ///< PUs of every core; 0: cores differ
    std::vector<std::uint64_t> package_of;   ///< by locality: the Package it lies in
    bool l3_is_locality = false;             ///< each locality is one L3
    /// Every set of localities, in the order of terms 2 and 3, when they are few.
    std::vector<LocalitySet> sets;
    static constexpr std::size_t max_tabled_localities = 8;

    [[nodiscard]] std::int64_t least_level(std::size_t need_a,
                                           std::size_t need_b) const {
        return least_levels[need_a * tree.need_count() + need_b];
    }
};

/// @returns null when the tree search does not apply to the Request at all
[[nodiscard]] std::shared_ptr<const TreePlan> plan_tree(const CompiledRequest& request);

}  // namespace topoalloc
