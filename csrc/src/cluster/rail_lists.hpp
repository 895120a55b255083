// SPDX-License-Identifier: Apache-2.0
//
// The lists that serve a given plan: the first of them in lexicographic order. Private
// to the cluster room.
#pragma once

#include "cluster/rail_nodes.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace topoalloc {

/// Sets of indices that a list may have: of devices that some node has, all of one set
/// on one node.
class RailSets {
  public:
    explicit RailSets(const RailNodes& nodes);

    /// The first set in lexicographic order, or the next one after `set`; false when
    /// there is none, or the budget is spent.
    bool first(std::uint32_t podset,
               std::size_t rule,
               RailSet& set,
               StepBudget& budget) const;
    bool next(std::uint32_t podset,
              std::size_t rule,
              RailSet& set,
              StepBudget& budget) const;

  private:
    struct Choice {
        std::size_t size = 0;
        RailSet all;  ///< indices on any node
        std::vector<RailSet> nodes;
    };
    [[nodiscard]] static bool is_on_one_node(const Choice& choice, const RailSet& set);

    std::vector<std::vector<Choice>> choices_;  ///< by PodSet, then Rails
};

/// A list with this set after what is there of it.
void append_set(RailList& list, RailSet set, std::size_t rules);
/// Undoes append_set.
void remove_set(RailList& list);
/// Entries that lack no set.
[[nodiscard]] std::uint32_t whole_entries(const RailList& list, std::size_t rules);

/// Some nodes with pods, of one table each. Equal ones once.
using RailLoads = std::set<std::pair<std::uint32_t, CountVector>>;

/// How long the lists must be for these nodes, by PodSet.
[[nodiscard]] std::vector<std::uint32_t> reach_of(const RailNodes& nodes,
                                                  const RailLoads& loads);

/// The first lists in lexicographic order (PodSet by PodSet) that begin as given and
/// under which the nodes hold the pods; nullopt when none was found.
/// Requires: under what is given they do.
[[nodiscard]] std::optional<GangRails> first_lists(RailNodes& nodes,
                                                   const RailSets& sets,
                                                   const RailLoads& loads,
                                                   GangRails begin,
                                                   StepBudget& budget);

/// The lists as the answers for what follows depend on them: with Rails of one PodSet
/// the order of whole entries beyond the fixed ones does not matter to pods beyond
/// them.
[[nodiscard]] GangRails unordered(const RailNodes& nodes, GangRails lists);

}  // namespace topoalloc
