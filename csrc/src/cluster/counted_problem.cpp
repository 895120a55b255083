// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_problem.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {

TreeLinks links_of(const std::vector<DomainVertex>& tree, std::size_t nodes) {
    TreeLinks links;
    links.parents.assign(tree.size(), no_index);
    links.node_parents.assign(nodes, 0);
    for (std::uint32_t v = 0; v < tree.size(); ++v) {
        for (const DomainChild& child : tree[v].children) {
            (child.is_node ? links.node_parents : links.parents)[child.index] = v;
        }
    }
    return links;
}

bool are_levels_nested(const std::vector<DomainVertex>& tree) {
    return std::ranges::all_of(tree, [&](const DomainVertex& vertex) {
        return std::ranges::all_of(vertex.children, [&](const DomainChild& child) {
            return child.is_node || vertex.levels.empty() ||
                   tree[child.index].levels.front() > vertex.levels.back();
        });
    });
}

bool is_later(const SparsePods& a, const SparsePods& b) {
    const auto [x, y] = std::ranges::mismatch(a, b);
    if (x == a.end() || y == b.end()) {
        return x == a.end() && y != b.end();
    }
    return x->node == y->node ? x->pods < y->pods : x->node > y->node;
}

bool is_counted(const GangProblem& problem, const std::vector<DomainVertex>& tree) {
    if (problem.podsets.size() != 1 || !problem.prefer.empty() ||
        !problem.balanced.empty()) {
        return false;
    }
    // With pods that stay a node can not hold nothing: greedy counts would not do.
    const bool may_be_empty =
        std::ranges::all_of(problem.tables, [](const CountTable& table) {
            return !table.attained.empty() && table.attained.front().front() == 0;
        });
    return may_be_empty && are_levels_nested(tree) &&
           std::ranges::all_of(problem.nodes, [](const GangNode& node) {
               return std::ranges::count(node.domains, no_index) == 0;
           });
}

CountedProblem counted_problem(const GangProblem& problem,
                               const std::vector<DomainVertex>& tree,
                               const TreeLinks& links,
                               bool use_possible) {
    CountedProblem out;
    out.levels = problem.levels;
    out.groups = problem.groups;
    out.podset = problem.podsets.front();
    out.slices = problem.slices;
    out.spread = problem.spread;
    out.within = problem.within;
    out.tree = &tree;
    out.links = &links;
    out.tables.reserve(problem.nodes.size());
    for (const GangNode& node : problem.nodes) {
        out.tables.push_back(node.table);
    }
    for (const CountTable& table : problem.tables) {
        const auto& vectors = use_possible ? table.possible : table.attained;
        out.held.push_back(vectors.back()[0]);
        out.copies.push_back(table.copies[0]);
    }
    for (const DomainVertex& vertex : tree) {
        std::uint32_t open = 0;
        for (const std::uint32_t level : vertex.levels) {
            const std::uint32_t domain = problem.nodes[vertex.first].domains[level];
            open |= problem.open_domains[level][domain] ? 1U << level : 0U;
        }
        out.open.push_back(open);
    }
    return out;
}

namespace {

// Of 0 up to so many pods.
CountTable table_up_to(std::uint32_t pods, std::uint32_t copies) {
    CountTable table;
    for (std::uint32_t n = 0; n <= pods; ++n) {
        table.attained.push_back({n});
    }
    table.possible = table.attained;
    table.copies = {copies};
    return table;
}

// Gives nodes the Domains that they have, with new numbers in node order.
class PartDomains {
  public:
    PartDomains(const CountedProblem& problem, GangProblem& part)
        : problem_(problem), part_(part), last_(problem.levels, no_index) {
        part_.open_domains.resize(problem.levels);
    }

    [[nodiscard]] std::vector<std::uint32_t> of(std::uint32_t node) {
        std::vector<std::uint32_t> domains(problem_.levels);
        for (std::uint32_t v = problem_.links->node_parents[node]; v != no_index;
             v = problem_.links->parents[v]) {
            for (const std::uint32_t level : (*problem_.tree)[v].levels) {
                std::vector<bool>& open = part_.open_domains[level];
                if (std::exchange(last_[level], v) != v) {
                    open.push_back((problem_.open[v] >> level & 1U) != 0);
                }
                domains[level] = static_cast<std::uint32_t>(open.size() - 1);
            }
        }
        return domains;
    }

  private:
    const CountedProblem& problem_;
    GangProblem& part_;
    std::vector<std::uint32_t> last_;  ///< vertex by level
};

}  // namespace

GangProblem part_of(const CountedProblem& problem,
                    std::span<const std::uint32_t> vertices,
                    std::uint32_t pods,
                    std::vector<std::uint32_t>& nodes) {
    GangProblem part;
    part.levels = problem.levels;
    part.podsets = {problem.podset};
    part.podsets.front().count = part.podsets.front().min_count = pods;
    part.within = problem.within;
    part.slices = problem.slices;
    part.spread = problem.spread;
    for (std::size_t t = 0; t < problem.held.size(); ++t) {
        part.tables.push_back(
            table_up_to(std::min(problem.held[t], pods), problem.copies[t]));
    }
    PartDomains domains(problem, part);
    for (const std::uint32_t top : vertices) {
        const DomainVertex& at = (*problem.tree)[top];
        for (std::uint32_t n = at.first; n <= at.last; ++n) {
            if (problem.held[problem.tables[n]] != 0) {
                part.nodes.push_back({problem.tables[n], domains.of(n), false});
                nodes.push_back(n);
            }
        }
    }
    return part;
}

}  // namespace topoalloc
