// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_rooms.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace topoalloc {
namespace {

bool has_level(const DomainVertex& vertex, std::uint32_t level) {
    return std::ranges::count(vertex.levels, level) != 0;
}

}  // namespace

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

CountedRooms::CountedRooms(const CountedProblem& problem)
    : problem_(problem), tree_(*problem.tree) {
    for (const LevelRule& rule : problem.slices) {
        bounds_.add_slice(rule.level, rule.number);
    }
    for (const LevelRule& rule : problem.spread) {
        bounds_.add_spread(rule.level, rule.number);
    }
    for (const WithinRule& rule : problem.within) {
        within_ = std::max(within_.value_or(0), rule.level);
    }
    for (const std::uint32_t held : problem.held) {
        table_pods_.push_back(bounds_.held(problem.levels, held));
    }
    count();
    const std::uint64_t pods =
        std::min<std::uint64_t>(most_pods(), problem.podset.count);
    plan_pods_ = static_cast<std::uint32_t>(bounds_.placed(pods, within_));
}

void CountedRooms::count() {
    vertex_pods_.assign(tree_.size(), 0);
    for (std::size_t v = tree_.size(); v-- > 0;) {
        const DomainVertex& vertex = tree_[v];
        std::uint32_t sum = vertex_pods_[v];
        if (vertex.children.front().is_node) {
            for (std::uint32_t n = vertex.first; n <= vertex.last; ++n) {
                sum += table_pods_[problem_.tables[n]];
            }
        }
        for (std::size_t l = vertex.levels.size(); l-- > 0;) {
            sum = bounds_.held(vertex.levels[l], sum);
        }
        vertex_pods_[v] = sum;
        if (const std::uint32_t parent = problem_.links->parents[v];
            parent != no_index) {
            vertex_pods_[parent] += sum;
        }
    }
}

std::uint64_t CountedRooms::most_pods() const {
    if (!within_) {
        return vertex_pods_.front();
    }
    std::uint64_t most = 0;
    if (*within_ == problem_.levels) {
        for (const std::uint32_t table : problem_.tables) {
            most = std::max<std::uint64_t>(most, table_pods_[table]);
        }
        return most;
    }
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
    for (std::uint32_t n = at.first; n <= at.last; ++n) {
        if (pods_of_node(n) >= plan_pods_) {
            return true;
        }
    }
    return false;
}

std::int64_t CountedRooms::copies_of(std::uint32_t vertex) const {
    vertex_copies_.resize(tree_.size(), -1);
    std::int64_t& copies = vertex_copies_[vertex];
    if (copies < 0) {
        copies = 0;
        for (std::uint32_t n = tree_[vertex].first; n <= tree_[vertex].last; ++n) {
            copies += copies_of_node(n);
        }
    }
    return copies;
}

// Of so many nodes that hold pods, those with the fewest.
std::int64_t CountedRooms::least_copies(const DomainVertex& leaf, std::int64_t nodes) {
    scratch_copies_.clear();
    for (std::uint32_t n = leaf.first; n <= leaf.last; ++n) {
        if (pods_of_node(n) != 0) {
            scratch_copies_.push_back(copies_of_node(n));
        }
    }
    const auto end = scratch_copies_.begin() + nodes;
    std::nth_element(scratch_copies_.begin(), end, scratch_copies_.end());
    return std::accumulate(scratch_copies_.begin(), end, std::int64_t{0});
}

LeafBound CountedRooms::leaf_bound(std::uint32_t vertex) {
    const DomainVertex& leaf = tree_[vertex];
    LeafBound bound;
    scratch_.clear();
    for (std::uint32_t n = leaf.first; n <= leaf.last; ++n) {
        scratch_.add(pods_of_node(n));
    }
    bound.nodes = scratch_.needed(plan_pods_);
    if (is_waste_of_nodes()) {
        bound.waste =
            std::max<std::int64_t>(0, least_copies(leaf, bound.nodes) - plan_pods_);
    } else {
        bound.waste = waste({vertex, {}}).value_or(0);
    }
    for (std::uint32_t v = vertex; v != no_index; v = problem_.links->parents[v]) {
        for (const std::uint32_t level : tree_[v].levels) {
            bound.opened |= is_open(v, level) ? 0 : std::uint64_t{1} << (63U - level);
        }
    }
    return bound;
}

GangCost CountedRooms::no_cost() const {
    GangCost cost;
    cost.short_pods = std::int64_t{problem_.podset.count} - plan_pods_;
    cost.unmet.resize(1 + problem_.groups);
    cost.domains.resize(problem_.levels);
    cost.opened.resize(problem_.levels);
    return cost;
}

GangCost CountedRooms::cost_of(const LeafBound& bound) const {
    GangCost cost = no_cost();
    cost.domains.assign(problem_.levels, 1);
    cost.nodes = bound.nodes;
    cost.waste = bound.waste;
    for (std::uint32_t level = 0; level < problem_.levels; ++level) {
        cost.opened[level] =
            static_cast<std::int64_t>(bound.opened >> (63U - level) & 1U);
    }
    return cost;
}

void CountedRooms::gather_children(std::uint32_t vertex, Below& below) const {
    for (const DomainChild& child : tree_[vertex].children) {
        if (child.is_node) {
            below.nodes.add(pods_of_node(child.index));
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
    const std::uint32_t lowest = problem_.podset.lowest_level;
    if (lowest == no_index) {
        return 0;
    }
    const std::int64_t pods = plan_pods_;
    for (std::uint32_t v = region.vertex; v != no_index;
         v = problem_.links->parents[v]) {
        if (has_level(tree_[v], lowest)) {
            return copies_of(v) - pods;
        }
    }
    std::int64_t copies = 0;
    for (const std::uint32_t part : region.parts) {
        if (!has_level(tree_[part], lowest)) {
            return std::nullopt;
        }
        copies += copies_of(part);
    }
    return region.parts.empty() ? std::nullopt : std::optional(copies - pods);
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
    GangCost cost = no_cost();
    cost.nodes = below.nodes.needed(plan_pods_);
    cost.waste = waste(region).value_or(0);
    for (std::uint32_t level = 0; level < problem_.levels; ++level) {
        const std::int64_t used = below.levels[level].needed(plan_pods_);
        cost.domains[level] = used;
        cost.opened[level] = std::max<std::int64_t>(0, used - below.open[level]);
    }
    // The Domain that holds the region, and those that hold it.
    for (std::uint32_t v = region.vertex; v != no_index;
         v = problem_.links->parents[v]) {
        for (const std::uint32_t level : tree_[v].levels) {
            cost.domains[level] = 1;
            cost.opened[level] = is_open(v, level) ? 0 : 1;
        }
    }
    return cost;
}

GangCost CountedRooms::bound(const Region& region,
                             const CoverLevels& levels,
                             const CoverCounts& counts) const {
    GangCost cost = no_cost();
    cost.nodes = counts.nodes;
    cost.waste = waste(region).value_or(0);
    for (const std::uint32_t level : levels.leaf) {
        cost.domains[level] = counts.leaves;
        cost.opened[level] =
            std::max<std::int64_t>(0, counts.leaves - counts.open_leaves);
    }
    for (const std::uint32_t part : region.parts) {
        for (const std::uint32_t level : levels.part) {
            ++cost.domains[level];
            cost.opened[level] += is_open(part, level) ? 0 : 1;
        }
    }
    // The Domain that holds the region, and those that hold it.
    for (std::uint32_t v = region.vertex; v != no_index;
         v = problem_.links->parents[v]) {
        for (const std::uint32_t level : tree_[v].levels) {
            cost.domains[level] = 1;
            cost.opened[level] = is_open(v, level) ? 0 : 1;
        }
    }
    return cost;
}

bool CountedRooms::is_open_alike(std::uint32_t vertex,
                                 const std::vector<std::uint32_t>& levels) const {
    return std::ranges::all_of(levels, [&](std::uint32_t level) {
        return is_open(vertex, level) == is_open(vertex, levels[0]);
    });
}

bool CountedRooms::are_rules_above(std::uint32_t vertex) const {
    return bounds_.all_levels([&](std::uint32_t level) {
        return level == problem_.levels ||
               (!tree_[vertex].levels.empty() && level <= tree_[vertex].levels.back());
    });
}

// Adds what it costs that one more Domain of a level is used.
void CountedRooms::add_domain(std::uint32_t vertex,
                              std::uint32_t level,
                              GangCost& cost) const {
    ++cost.domains[level];
    cost.opened[level] += is_open(vertex, level) ? 0 : 1;
    cost.waste += level == problem_.podset.lowest_level ? copies_of(vertex) : 0;
}

GangCost CountedRooms::cost_of(const SparsePods& pods) const {
    GangCost cost = no_cost();
    cost.short_pods = problem_.podset.count;
    cost.nodes = std::ssize(pods);
    std::vector<std::uint32_t> last(problem_.levels, no_index);  // vertex by level
    for (const NodePods& here : pods) {
        cost.short_pods -= here.pods;
        cost.waste -= problem_.podset.lowest_level == no_index ? 0 : here.pods;
        cost.waste += is_waste_of_nodes() ? copies_of_node(here.node) : 0;
        for (std::uint32_t v = problem_.links->node_parents[here.node]; v != no_index;
             v = problem_.links->parents[v]) {
            for (const std::uint32_t level : tree_[v].levels) {
                if (std::exchange(last[level], v) != v) {
                    add_domain(v, level, cost);
                }
            }
        }
    }
    return cost;
}

}  // namespace topoalloc
