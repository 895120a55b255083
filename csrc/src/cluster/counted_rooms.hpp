// SPDX-License-Identifier: Apache-2.0
//
// CountedRooms: how many pods of the one PodSet each Domain holds, and what a plan in
// some of them costs at least. Private to the cluster room.
#pragma once

#include "cluster/count_bounds.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Numbers by how often they come: the sum of the largest is a short walk.
class Tally {
  public:
    void add(std::uint32_t value);
    void remove(std::uint32_t value) { --counts_[value]; }
    /// How many of the largest reach a sum. Requires: all together do.
    [[nodiscard]] std::int64_t needed(std::uint64_t sum) const;
    /// The sum of so many of the largest.
    [[nodiscard]] std::uint64_t largest(std::int64_t number) const;

  private:
    std::vector<std::uint32_t> counts_;
};

/// Domains that a plan uses side by side, below one that holds them all; none: that
/// one.
struct Region {
    std::uint32_t vertex = 0;
    std::vector<std::uint32_t> parts;
};

class CountedRooms {
  public:
    /// Keeps references. Requires: is_counted(problem, tree).
    CountedRooms(const GangProblem& problem,
                 const std::vector<DomainVertex>& tree,
                 bool use_possible);

    /// One PodSet, nothing preferred or Balanced; every node has a Domain at every
    /// level, and finer Domains lie in coarser ones.
    [[nodiscard]] static bool is_counted(const GangProblem& problem,
                                         const std::vector<DomainVertex>& tree);

    /// Pods of a plan that misses as few as can be.
    [[nodiscard]] std::uint32_t plan_pods() const { return plan_pods_; }
    [[nodiscard]] std::uint32_t pods_of_node(std::uint32_t node) const {
        return node_pods_[node];
    }
    [[nodiscard]] std::uint32_t pods_of(std::uint32_t vertex) const {
        return vertex_pods_[vertex];
    }
    /// A plan may lie in this Domain, as far as Within goes.
    [[nodiscard]] bool may_hold_all(std::uint32_t vertex) const;
    /// Terms of a plan in the region, none larger than they are.
    /// Requires: it holds all pods, and no fewer of its parts do.
    [[nodiscard]] GangCost bound(const Region& region) const;
    /// The waste in it depends on what is used below it.
    [[nodiscard]] bool is_waste_open(const Region& region) const;
    [[nodiscard]] bool is_open(std::uint32_t vertex, std::uint32_t level) const;

  private:
    struct Below {
        std::vector<Tally> levels;
        std::vector<std::int64_t> open;
        Tally nodes;
    };
    void count();
    [[nodiscard]] std::uint64_t most_pods() const;
    void gather(std::uint32_t vertex, Below& below) const;
    void gather_children(std::uint32_t vertex, Below& below) const;
    [[nodiscard]] std::optional<std::int64_t> waste(const Region& region) const;

    const GangProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    CountBounds bounds_;
    std::optional<std::uint32_t> within_;
    std::vector<std::uint32_t> node_pods_, vertex_pods_;
    std::vector<std::uint64_t> copies_;   ///< by vertex
    std::vector<std::uint32_t> parents_;  ///< by vertex
    std::uint32_t plan_pods_ = 0;
};

}  // namespace topoalloc
