// SPDX-License-Identifier: Apache-2.0
//
// What the tree search derives once from a Request and a Machine.
#pragma once

#include "node/tree_programme.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace topoalloc {

struct SwitchMembers {
    std::uint32_t index = 0;
    std::uint64_t devices = 0;  ///< candidates, by rank
};

struct TreePlan {
    DeviceTree tree;
    std::vector<TreePair> pairs;  ///< of require, then of prefer
    TreeTables tables;
    std::vector<SwitchMembers> switches;         ///< that have candidates
    std::uint64_t without_switch = 0;            ///< candidates of none
    std::vector<std::uint32_t> most_per_switch;  ///< by need: candidates of one switch
    std::vector<std::uint32_t> counts;           ///< by need
    std::int64_t device_count = 0;               ///< of all needs
    std::int64_t missing_link = 0;               ///< term 5 of every choice
    std::int64_t least_pair_levels = 0;          ///< below term 4 of every choice
    std::vector<std::uint32_t> package_of;       ///< by locality: where it lies
    bool l3_is_locality = false;                 ///< each locality is one L3
    /// By position in Machine::locality_sets(): candidates that meet the set.
    std::vector<std::uint64_t> devices_of_set;
};

/// @returns null when the tree search does not apply to the Request at all
[[nodiscard]] std::shared_ptr<const TreePlan> plan_tree(const CompiledRequest& request);

/// Whether plan_tree() makes the same of both. Requires: they are for one Machine.
[[nodiscard]] bool have_one_tree_plan(const CompiledRequest& a,
                                      const CompiledRequest& b);

/// A plan made when first asked for: a "no" by counts needs none. Concurrent reads are
/// safe.
class LazyTreePlan {
  public:
    LazyTreePlan() = default;
    /// Of a plan made already; null: the tree search is not to be used.
    explicit LazyTreePlan(std::shared_ptr<const TreePlan> plan);

    /// @returns null when the tree search does not apply
    [[nodiscard]] const TreePlan* get(const CompiledRequest& request);

  private:
    // Not a std::once_flag, which wakes waiters by a system call when there are none.
    std::mutex mutex_;
    std::atomic<bool> is_made_ = false;
    std::shared_ptr<const TreePlan> plan_;
};

}  // namespace topoalloc
