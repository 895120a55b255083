// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_rooms.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

bool has_level(const DomainVertex& vertex, std::uint32_t level) {
    return std::ranges::count(vertex.levels, level) != 0;
}

}  // namespace

void Tally::add(std::uint32_t value) {
    if (value >= counts_.size()) {
        counts_.resize(value + std::size_t{1});
    }
    ++counts_[value];
}

std::int64_t Tally::needed(std::uint64_t sum) const {
    std::int64_t number = 0;
    for (std::size_t v = counts_.size(); sum != 0 && v-- > 1;) {
        const std::uint64_t here =
            std::min<std::uint64_t>(counts_[v], (sum + v - 1) / v);
        number += static_cast<std::int64_t>(here);
        sum -= std::min<std::uint64_t>(sum, here * v);
    }
    return number;
}

std::uint64_t Tally::largest(std::int64_t number) const {
    std::uint64_t sum = 0;
    for (std::size_t v = counts_.size(); number > 0 && v-- > 1;) {
        const std::int64_t here = std::min<std::int64_t>(counts_[v], number);
        number -= here;
        sum += static_cast<std::uint64_t>(here) * v;
    }
    return sum;
}

bool CountedRooms::is_counted(const GangProblem& problem,
                              const std::vector<DomainVertex>& tree) {
    if (problem.podsets.size() != 1 || !problem.prefer.empty() ||
        !problem.balanced.empty()) {
        return false;
    }
    // With pods that stay a node can not hold nothing: greedy counts would not do.
    const bool may_be_empty =
        std::ranges::all_of(problem.tables, [](const CountTable& table) {
            return !table.attained.empty() && table.attained.front().front() == 0;
        });
    if (!may_be_empty) {
        return false;
    }
    const bool have_domains =
        std::ranges::all_of(problem.nodes, [](const GangNode& node) {
            return std::ranges::count(node.domains, no_index) == 0;
        });
    return have_domains && std::ranges::all_of(tree, [&](const DomainVertex& vertex) {
               return std::ranges::all_of(
                   vertex.children, [&](const DomainChild& child) {
                       return child.is_node || vertex.levels.empty() ||
                              tree[child.index].levels.front() > vertex.levels.back();
                   });
           });
}

CountedRooms::CountedRooms(const GangProblem& problem,
                           const std::vector<DomainVertex>& tree,
                           bool use_possible)
    : problem_(problem), tree_(tree) {
    for (const LevelRule& rule : problem.slices) {
        bounds_.add_slice(rule.level, rule.number);
    }
    for (const LevelRule& rule : problem.spread) {
        bounds_.add_spread(rule.level, rule.number);
    }
    for (const WithinRule& rule : problem.within) {
        within_ = std::max(within_.value_or(0), rule.level);
    }
    std::vector<std::uint32_t> most;
    for (const CountTable& table : problem.tables) {
        const auto& vectors = use_possible ? table.possible : table.attained;
        most.push_back(bounds_.held(problem.levels, vectors.back()[0]));
    }
    node_pods_.reserve(problem.nodes.size());
    for (const GangNode& node : problem.nodes) {
        node_pods_.push_back(most[node.table]);
    }
    count();
    const std::uint64_t pods =
        std::min<std::uint64_t>(most_pods(), problem.podsets.front().count);
    plan_pods_ = static_cast<std::uint32_t>(bounds_.placed(pods, within_));
}

void CountedRooms::count() {
    vertex_pods_.assign(tree_.size(), 0);
    copies_.assign(tree_.size(), 0);
    parents_.assign(tree_.size(), no_index);
    for (std::size_t v = tree_.size(); v-- > 0;) {
        for (const DomainChild& child : tree_[v].children) {
            if (child.is_node) {
                vertex_pods_[v] += node_pods_[child.index];
                copies_[v] +=
                    problem_.tables[problem_.nodes[child.index].table].copies[0];
            } else {
                vertex_pods_[v] += vertex_pods_[child.index];
                copies_[v] += copies_[child.index];
                parents_[child.index] = static_cast<std::uint32_t>(v);
            }
        }
        const auto& levels = tree_[v].levels;
        for (std::size_t l = levels.size(); l-- > 0;) {
            vertex_pods_[v] = bounds_.held(levels[l], vertex_pods_[v]);
        }
    }
}

std::uint64_t CountedRooms::most_pods() const {
    if (!within_) {
        return vertex_pods_.front();
    }
    if (*within_ == problem_.levels) {
        return std::ranges::max(node_pods_);
    }
    std::uint64_t most = 0;
    for (std::size_t v = 0; v < tree_.size(); ++v) {
        if (has_level(tree_[v], *within_)) {
            most = std::max<std::uint64_t>(most, vertex_pods_[v]);
        }
    }
    return most;
}

bool CountedRooms::may_hold_all(std::uint32_t vertex) const {
    if (!within_) {
        return true;
    }
    const DomainVertex& at = tree_[vertex];
    if (*within_ < problem_.levels) {
        return !at.levels.empty() && at.levels.back() >= *within_;
    }
    return std::any_of(node_pods_.begin() + at.first,
                       node_pods_.begin() + at.last + 1,
                       [&](std::uint32_t pods) { return pods >= plan_pods_; });
}

bool CountedRooms::is_open(std::uint32_t vertex, std::uint32_t level) const {
    return problem_
        .open_domains[level][problem_.nodes[tree_[vertex].first].domains[level]];
}

void CountedRooms::gather_children(std::uint32_t vertex, Below& below) const {
    for (const DomainChild& child : tree_[vertex].children) {
        if (child.is_node) {
            below.nodes.add(node_pods_[child.index]);
        } else {
            gather(child.index, below);
        }
    }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
void CountedRooms::gather(std::uint32_t vertex, Below& below) const {
    for (const std::uint32_t level : tree_[vertex].levels) {
        below.levels[level].add(vertex_pods_[vertex]);
        // One that holds nothing is not used, open or not.
        if (vertex_pods_[vertex] != 0 && is_open(vertex, level)) {
            ++below.open[level];
        }
    }
    gather_children(vertex, below);
}

// In the Domains of the lowest level, where the region says which ones are used.
std::optional<std::int64_t> CountedRooms::waste(const Region& region) const {
    const std::uint32_t lowest = problem_.podsets.front().lowest_level;
    if (lowest == no_index) {
        return 0;
    }
    const std::int64_t pods = plan_pods_;
    for (std::uint32_t v = region.vertex; v != no_index; v = parents_[v]) {
        if (has_level(tree_[v], lowest)) {
            return static_cast<std::int64_t>(copies_[v]) - pods;
        }
    }
    std::int64_t copies = 0;
    for (const std::uint32_t part : region.parts) {
        if (!has_level(tree_[part], lowest)) {
            return std::nullopt;
        }
        copies += static_cast<std::int64_t>(copies_[part]);
    }
    return region.parts.empty() ? std::nullopt : std::optional(copies - pods);
}

bool CountedRooms::is_waste_open(const Region& region) const {
    return !waste(region);
}

GangCost CountedRooms::bound(const Region& region) const {
    Below below;
    below.levels.resize(problem_.levels);
    below.open.resize(problem_.levels);
    if (region.parts.empty()) {
        gather_children(region.vertex, below);
    }
    for (const std::uint32_t part : region.parts) {
        gather(part, below);
    }
    GangCost cost;
    cost.short_pods = std::int64_t{problem_.podsets.front().count} - plan_pods_;
    cost.unmet.resize(problem_.podsets.size() + problem_.groups);
    cost.nodes = below.nodes.needed(plan_pods_);
    cost.waste = waste(region).value_or(0);
    for (std::uint32_t level = 0; level < problem_.levels; ++level) {
        const std::int64_t used = below.levels[level].needed(plan_pods_);
        cost.domains.push_back(used);
        cost.opened.push_back(std::max<std::int64_t>(0, used - below.open[level]));
    }
    // The Domain that holds the region, and those that hold it.
    for (std::uint32_t v = region.vertex; v != no_index; v = parents_[v]) {
        for (const std::uint32_t level : tree_[v].levels) {
            cost.domains[level] = 1;
            cost.opened[level] = is_open(v, level) ? 0 : 1;
        }
    }
    return cost;
}

}  // namespace topoalloc
