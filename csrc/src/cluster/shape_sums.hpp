// SPDX-License-Identifier: Apache-2.0
//
// ShapeSums: how many pods of one registered shape each Domain of one tree holds, kept
// current as nodes change, with the largest by level. Whether a Gang of that shape fits
// is then read, not searched. Private to the cluster room.
#pragma once

#include "base/paged_vector.hpp"
#include "cluster/count_bounds.hpp"
#include "topoalloc/gang.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace topoalloc {

struct ClusterLevel;
struct NodeInfo;
struct ClusterTree;

/// What of a PodSet decides how many of its pods a node or a Domain holds.
struct PodShape {
    std::shared_ptr<const Request> request;
    std::vector<Slice> slices;
    std::vector<Spread> spread;
    std::vector<Condition> where;
    std::vector<Toleration> tolerations;
};
[[nodiscard]] bool operator==(const PodShape& a, const PodShape& b);

/// A Gang that counts decide: one PodSet, rules of one tree, none of them Balanced.
struct CountedGang {
    PodShape shape;
    std::uint32_t tree = 0;
    std::optional<std::uint32_t>
        within;  ///< the finest level that holds it; `node` too
    std::uint32_t count = 0, min_count = 0;
};
/// Nullopt for a Gang that is none. Requires: levels that are declared,
/// Gang::validate().
[[nodiscard]] std::optional<CountedGang> counted_gang(
    const Gang& gang, const std::vector<ClusterLevel>& levels);

class ShapeSums {
  public:
    /// Pods that a node holds: for certain, and at most.
    struct NodePods {
        std::uint32_t count = 0;
        std::uint32_t upper = 0;
        bool is_eligible = false;
        [[nodiscard]] bool operator==(const NodePods&) const = default;
    };

    ShapeSums(PodShape shape,
              std::uint32_t tree,
              const std::vector<ClusterLevel>& levels);

    [[nodiscard]] const PodShape& shape() const { return shape_; }
    [[nodiscard]] std::uint32_t tree() const { return tree_; }

    /// A node of these Domains holds so many copies now (none when it is not eligible).
    void set(std::uint32_t slot, const NodeInfo& info, NodePods copies);

    /// False: counts alone do not tell, a node has two bounds.
    [[nodiscard]] bool is_exact() const { return unsure_ == 0; }
    /// Whether there is a plan. Requires: is_exact, a Gang of this shape and tree.
    [[nodiscard]] bool fits(const CountedGang& gang) const;
    /// Pods that all nodes together hold at most, whatever the rules.
    [[nodiscard]] std::uint64_t all_copies() const { return all_copies_; }
    [[nodiscard]] std::uint64_t eligible_nodes() const { return eligible_; }

  private:
    // Largest of many numbers, kept current: a tree of pairs, the root at 1.
    class Largest {
      public:
        void set(std::uint32_t index, std::uint32_t value);
        [[nodiscard]] std::uint32_t value() const;

      private:
        void grow(std::uint32_t count);
        PagedVector<std::uint32_t> tree_;
        std::uint32_t leaves_ = 0;
    };
    [[nodiscard]] NodePods by_rules(const NodeInfo& info, NodePods copies) const;
    void pass_on(std::uint32_t levels,
                 const NodeInfo& info,
                 std::uint32_t before,
                 std::uint32_t after);

    PodShape shape_;
    std::uint32_t tree_ = 0;
    std::uint32_t first_ = 0, end_ = 0;  ///< levels of the tree
    std::uint32_t node_level_ = 0;
    CountBounds bounds_;
    std::vector<PagedVector<std::uint32_t>> below_;  ///< by level of the tree, Domain
    std::vector<Largest> largest_;  ///< by level of the tree, then node
    PagedVector<NodePods> nodes_;   ///< by slot: the rules aside
    std::uint64_t all_ = 0;
    std::uint64_t all_copies_ = 0, eligible_ = 0;
    std::uint64_t unsure_ = 0;  ///< nodes with two bounds
};

}  // namespace topoalloc
