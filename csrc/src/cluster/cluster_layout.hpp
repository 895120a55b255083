// SPDX-License-Identifier: Apache-2.0
//
// ClusterLayout: the nodes of a Cluster in their order, and their Domains as one tree
// where they form one. Private to the cluster room.
#pragma once

#include "cluster/counted_problem.hpp"
#include "cluster/domain_tree.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Of all levels and nodes; a node is its place in the order.
struct LayoutTree {
    std::vector<DomainVertex> vertices;
    TreeLinks links;
    /// By vertex and position in DomainVertex::levels: the number of the Domain.
    std::vector<std::vector<std::uint32_t>> domains;
};

struct ClusterLayout {
    std::vector<std::uint32_t> order;  ///< slots in node order
    /// Nullopt where a node lacks a Domain, or counts do not decide in such a tree.
    std::optional<LayoutTree> tree;
};

/// @param domains  by place in the order: the Domain at each level
[[nodiscard]] std::optional<LayoutTree> layout_tree(
    const std::vector<const std::vector<std::uint32_t>*>& domains,
    std::uint32_t levels);

}  // namespace topoalloc
