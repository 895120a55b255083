// SPDX-License-Identifier: Apache-2.0
//
// CountedProblem: one PodSet over one tree of Domains, as numbers of pods by node. What
// counts decide is asked of it, whether it was made from a GangProblem or straight from
// a Cluster. Private to the cluster room.
#pragma once

#include "cluster/domain_tree.hpp"
#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace topoalloc {

/// The ways up in a tree of Domains.
struct TreeLinks {
    std::vector<std::uint32_t> parents;       ///< by vertex; no_index: the root
    std::vector<std::uint32_t> node_parents;  ///< by node: the vertex it is a child of
};
[[nodiscard]] TreeLinks links_of(const std::vector<DomainVertex>& tree,
                                 std::size_t nodes);

/// Finer Domains lie in coarser ones.
[[nodiscard]] bool are_levels_nested(const std::vector<DomainVertex>& tree);

struct CountedProblem {
    std::uint32_t levels = 0;
    std::uint32_t groups = 0;
    GangPodSet podset;
    std::vector<LevelRule> slices, spread;
    std::vector<WithinRule> within;
    /// Each node is a child of a vertex that has no other children than nodes.
    const std::vector<DomainVertex>* tree = nullptr;
    const TreeLinks* links = nullptr;
    std::vector<std::uint32_t> tables;  ///< by node: into the two below
    std::vector<std::uint32_t> held;    ///< by table: pods that a node holds
    std::vector<std::uint32_t> copies;  ///< by table: beyond the count too
    std::vector<std::uint32_t> open;    ///< by vertex: bit l, its Domain of level l is
};

/// Pods on a node.
struct NodePods {
    std::uint32_t node = 0;
    std::uint32_t pods = 0;
    [[nodiscard]] bool operator==(const NodePods&) const = default;
};
/// Ascending by node, none without pods.
using SparsePods = std::vector<NodePods>;

/// True when b is before a by term 7: at the first node at which they differ a has
/// fewer.
[[nodiscard]] bool is_later(const SparsePods& a, const SparsePods& b);

/// One PodSet, nothing preferred or Balanced; every node has a Domain at every level,
/// and finer Domains lie in coarser ones.
[[nodiscard]] bool is_counted(const GangProblem& problem,
                              const std::vector<DomainVertex>& tree);
/// Keeps the tree and the links. Requires: is_counted(problem, tree).
[[nodiscard]] CountedProblem counted_problem(const GangProblem& problem,
                                             const std::vector<DomainVertex>& tree,
                                             const TreeLinks& links,
                                             bool use_possible);

/// The nodes of these vertices that hold pods, as a problem of `pods` pods with one
/// answer for each cost. `nodes` says which they are.
[[nodiscard]] GangProblem part_of(const CountedProblem& problem,
                                  std::span<const std::uint32_t> vertices,
                                  std::uint32_t pods,
                                  std::vector<std::uint32_t>& nodes);

}  // namespace topoalloc
