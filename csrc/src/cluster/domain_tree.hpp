// SPDX-License-Identifier: Apache-2.0
//
// The Domains of a GangProblem as one tree over its nodes, where they form one. Private
// to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// A node, or a vertex of the tree.
struct DomainChild {
    bool is_node = false;
    std::uint32_t index = 0;
};

/// One Domain, or several of different levels that hold the same nodes.
struct DomainVertex {
    std::vector<std::uint32_t> levels;  ///< ascending; none for a root without any
    std::uint32_t first = 0, last = 0;  ///< nodes, both included
    std::vector<DomainChild> children;  ///< in node order
};

/// Nodes in an order in which those of a Domain are neighbours, where there may be one:
/// finer Domains inside coarser ones, otherwise in node order.
[[nodiscard]] std::vector<std::uint32_t> order_by_domain(const GangProblem& problem);

/// Vertices, a parent before its children, the root first. Nullopt where the nodes of a
/// Domain are not neighbours in node order, or two Domains cross.
/// Requires: at least one node.
[[nodiscard]] std::optional<std::vector<DomainVertex>> domain_tree(
    const GangProblem& problem);

}  // namespace topoalloc
