// SPDX-License-Identifier: Apache-2.0
//
// CountedRooms: how many pods of the one PodSet each Domain holds, and what a plan in
// some of them costs at least. Private to the cluster room.
#pragma once

#include "cluster/count_bounds.hpp"
#include "cluster/counted_problem.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Numbers by how often they come: the sum of the largest is a short walk.
class Tally {
  public:
    void clear() { counts_.clear(); }
    void add(std::uint32_t value) {
        if (value >= counts_.size()) {
            counts_.resize(value + std::size_t{1});
        }
        ++counts_[value];
    }
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

/// Levels of Domains side by side, and of the leaves below them.
struct CoverLevels {
    std::vector<std::uint32_t> part, leaf;
};
/// Of a plan in leaves below the parts of a region.
struct CoverCounts {
    std::int64_t leaves = 0;  ///< that it uses
    std::int64_t nodes = 0;
    std::int64_t open_leaves = 0;  ///< that are there
};

/// The terms in which plans in single smallest Domains differ, none larger than theirs.
struct LeafBound {
    std::int64_t nodes = 0;
    std::int64_t waste = 0;
    std::uint64_t opened = 0;  ///< a bit for each level, the first on top
    [[nodiscard]] auto operator<=>(const LeafBound&) const = default;
};

class CountedRooms {
  public:
    /// Keeps a reference.
    explicit CountedRooms(const CountedProblem& problem);

    /// Pods of a plan that misses as few as can be.
    [[nodiscard]] std::uint32_t plan_pods() const { return plan_pods_; }
    [[nodiscard]] std::uint32_t pods_of_table(std::uint32_t table) const {
        return table_pods_[table];
    }
    [[nodiscard]] std::uint32_t pods_of_node(std::uint32_t node) const {
        return table_pods_[problem_.tables[node]];
    }
    [[nodiscard]] std::int64_t copies_of_node(std::uint32_t node) const {
        return problem_.copies[problem_.tables[node]];
    }
    [[nodiscard]] std::uint32_t pods_of(std::uint32_t vertex) const {
        return vertex_pods_[vertex];
    }
    [[nodiscard]] bool is_leaf(std::uint32_t vertex) const {
        return (*problem_.tree)[vertex].children.front().is_node;
    }
    /// A plan may lie in this Domain, as far as Within goes.
    [[nodiscard]] bool may_hold_all(std::uint32_t vertex) const;
    /// Of all plans in a Domain of the finest level. Requires: it holds all pods.
    [[nodiscard]] LeafBound leaf_bound(std::uint32_t vertex);
    /// The waste is that of nodes: which of a Domain are used matters.
    [[nodiscard]] bool is_waste_of_nodes() const {
        return problem_.podset.lowest_level == problem_.levels;
    }
    /// The same as terms. Requires: a bound of the vertex.
    [[nodiscard]] GangCost cost_of(const LeafBound& bound) const;
    /// Terms of a plan in the region, none larger than they are.
    /// Requires: it holds all pods, and no fewer of its parts do.
    [[nodiscard]] GangCost bound(const Region& region) const;
    /// The same from what a cover of leaves below it costs at least.
    [[nodiscard]] GangCost bound(const Region& region,
                                 const CoverLevels& levels,
                                 const CoverCounts& counts) const;
    /// What a plan in the region wastes depends on where in it.
    [[nodiscard]] bool is_waste_open(const Region& region) const {
        return !waste(region);
    }
    /// No slice and no Spread is of a level below the vertex, nodes left aside.
    [[nodiscard]] bool are_rules_above(std::uint32_t vertex) const;
    /// Terms 1 to 6 of a plan.
    [[nodiscard]] GangCost cost_of(const SparsePods& pods) const;
    /// At all of its levels that are given, or at none.
    [[nodiscard]] bool is_open_alike(std::uint32_t vertex,
                                     const std::vector<std::uint32_t>& levels) const;
    [[nodiscard]] bool is_open(std::uint32_t vertex, std::uint32_t level) const {
        return (problem_.open[vertex] >> level & 1U) != 0;
    }

  private:
    struct Below {
        std::vector<Tally> levels;
        std::vector<std::int64_t> open;
        Tally nodes;
    };
    void count();
    [[nodiscard]] std::uint64_t most_pods() const;
    [[nodiscard]] std::int64_t copies_of(std::uint32_t vertex) const;
    [[nodiscard]] std::int64_t least_copies(const DomainVertex& leaf,
                                            std::int64_t nodes);
    void gather(std::uint32_t vertex, Below& below) const;
    void gather_children(std::uint32_t vertex, Below& below) const;
    [[nodiscard]] std::optional<std::int64_t> waste(const Region& region) const;
    [[nodiscard]] GangCost no_cost() const;
    void add_domain(std::uint32_t vertex, std::uint32_t level, GangCost& cost) const;

    const CountedProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    CountBounds bounds_;
    std::optional<std::uint32_t> within_;
    std::vector<std::uint32_t> table_pods_, vertex_pods_;
    std::uint32_t plan_pods_ = 0;
    mutable std::vector<std::int64_t> vertex_copies_;  ///< -1: not asked yet
    Tally scratch_;
    std::vector<std::int64_t> scratch_copies_;
};

}  // namespace topoalloc
