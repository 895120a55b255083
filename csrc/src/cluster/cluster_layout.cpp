// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_layout.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {

std::optional<LayoutTree> layout_tree(
    const std::vector<const std::vector<std::uint32_t>*>& domains,
    std::uint32_t levels) {
    if (domains.empty()) {
        return std::nullopt;
    }
    GangProblem problem;
    problem.levels = levels;
    problem.nodes.reserve(domains.size());
    for (const std::vector<std::uint32_t>* of_node : domains) {
        if (std::ranges::count(*of_node, no_index) != 0) {
            return std::nullopt;
        }
        problem.nodes.push_back({0, *of_node, false});
    }
    auto vertices = domain_tree(problem);
    if (!vertices || !are_levels_nested(*vertices)) {
        return std::nullopt;
    }
    LayoutTree tree{std::move(*vertices), {}, {}};
    tree.links = links_of(tree.vertices, domains.size());
    for (const DomainVertex& vertex : tree.vertices) {
        auto& numbers = tree.domains.emplace_back();
        for (const std::uint32_t level : vertex.levels) {
            numbers.push_back((*domains[vertex.first])[level]);
        }
    }
    return tree;
}

}  // namespace topoalloc
