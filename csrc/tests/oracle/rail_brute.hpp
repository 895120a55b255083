// SPDX-License-Identifier: Apache-2.0
//
// Gangs with Rails by enumeration: every list of index sets, and for each every plan.
// What a node holds is found here on plain numbers, without the node solver.
#pragma once

#include "cluster/gang_problem.hpp"
#include "topoalloc/gang.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc::oracle {

inline constexpr std::uint32_t rail_nics = 4;

/// Of a node with two NUMANodes; nic0 and nic1 are near the first one, nic2 and nic3
/// near the other.
struct RailNode {
    std::array<std::uint32_t, 2> free_cores{};
    std::array<bool, rail_nics> free_nics{};
    std::uint32_t rack = no_index;
    bool open = false;
    bool barred = false;  ///< no new pod
    /// Pods that stay, by PodSet, and the places of the list that they hold.
    CountVector stay;
    std::vector<std::vector<std::uint32_t>> held;
};

/// What a pod asks for.
struct RailPod {
    std::uint32_t cores = 1;
    std::uint32_t nics = 1;
    bool in_one_numa_node = false;
    bool has_rails = false;
};

struct RailProblem {
    GangProblem shape;          ///< without nodes and tables; counts as asked
    std::vector<RailPod> pods;  ///< by PodSet
    std::vector<RailNode> nodes;
    std::vector<std::vector<RailSet>> fixed;  ///< by PodSet: what its list begins with
    std::uint32_t racks = 0;
};

struct RailBest {
    bool feasible = false;
    GangCost cost;
    std::vector<CountVector> pods;
    std::vector<std::vector<RailSet>> lists;  ///< by PodSet
};

/// Nullopt when there are more than so many lists.
[[nodiscard]] std::optional<RailBest> brute_rails(const RailProblem& problem,
                                                  std::uint64_t most_lists);

/// Whether these pods fit on the node together; a set says which NICs one has.
struct TiedPod {
    RailPod pod;
    std::optional<RailSet> set;
};
[[nodiscard]] bool holds(const RailNode& node, const std::vector<TiedPod>& pods);

}  // namespace topoalloc::oracle
