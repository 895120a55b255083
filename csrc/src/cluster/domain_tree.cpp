// SPDX-License-Identifier: Apache-2.0
#include "cluster/domain_tree.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace topoalloc {
namespace {

struct Interval {
    std::uint32_t first = 0, last = 0, count = 0, level = 0;
};

// The nodes of each Domain of one level, as far as they are in the problem.
std::vector<Interval> intervals_of(const GangProblem& problem, std::uint32_t level) {
    std::vector<Interval> out;
    std::unordered_map<std::uint32_t, std::size_t> position;
    for (std::uint32_t n = 0; n < problem.nodes.size(); ++n) {
        const std::uint32_t domain = problem.nodes[n].domains[level];
        if (domain == no_index) {
            continue;
        }
        const auto [it, is_new] = position.try_emplace(domain, out.size());
        if (is_new) {
            out.push_back({n, n, 0, level});
        }
        out[it->second].last = n;
        ++out[it->second].count;
    }
    return out;
}

// Puts the children of each vertex in order, nodes that no smaller vertex holds
// between.
void add_nodes(std::vector<DomainVertex>& tree) {
    std::vector<std::vector<std::uint32_t>> inner(tree.size());
    std::vector<std::uint32_t> open{0};
    for (std::uint32_t v = 1; v < tree.size(); ++v) {
        while (tree[open.back()].last < tree[v].first) {
            open.pop_back();
        }
        inner[open.back()].push_back(v);
        open.push_back(v);
    }
    for (std::uint32_t v = 0; v < tree.size(); ++v) {
        std::uint32_t node = tree[v].first;
        const auto add_until = [&](std::uint32_t end) {
            for (; node < end; ++node) {
                tree[v].children.push_back({true, node});
            }
        };
        for (const std::uint32_t child : inner[v]) {
            add_until(tree[child].first);
            tree[v].children.push_back({false, child});
            node = tree[child].last + 1;
        }
        add_until(tree[v].last + 1);
    }
}

}  // namespace

std::vector<std::uint32_t> order_by_domain(const GangProblem& problem) {
    std::vector<std::pair<std::size_t, std::uint32_t>> levels;
    for (std::uint32_t level = 0; level < problem.levels; ++level) {
        levels.emplace_back(intervals_of(problem, level).size(), level);
    }
    std::ranges::sort(levels);
    std::vector<std::pair<std::vector<std::uint64_t>, std::uint32_t>> keyed;
    for (std::uint32_t n = 0; n < problem.nodes.size(); ++n) {
        std::vector<std::uint64_t> key;
        for (const auto& [domains, level] : levels) {
            const std::uint32_t domain = problem.nodes[n].domains[level];
            // A node without a Domain is by itself.
            key.push_back(domain == no_index ? std::uint64_t{no_index} + n : domain);
        }
        keyed.emplace_back(std::move(key), n);
    }
    std::ranges::sort(keyed);
    std::vector<std::uint32_t> order;
    for (const auto& [key, n] : keyed) {
        order.push_back(n);
    }
    return order;
}

std::optional<std::vector<DomainVertex>> domain_tree(const GangProblem& problem) {
    std::vector<Interval> intervals;
    for (std::uint32_t level = 0; level < problem.levels; ++level) {
        for (const Interval& interval : intervals_of(problem, level)) {
            if (interval.last - interval.first + 1 != interval.count) {
                return std::nullopt;
            }
            intervals.push_back(interval);
        }
    }
    std::ranges::sort(intervals, [](const Interval& a, const Interval& b) {
        return std::tuple(a.first, b.last, a.level) <
               std::tuple(b.first, a.last, b.level);
    });
    std::vector<DomainVertex> tree(1);
    tree[0].last = static_cast<std::uint32_t>(problem.nodes.size() - 1);
    std::vector<std::uint32_t> open{0};
    for (const Interval& interval : intervals) {
        while (tree[open.back()].last < interval.first) {
            open.pop_back();
        }
        DomainVertex& around = tree[open.back()];
        if (around.last < interval.last) {
            return std::nullopt;
        }
        if (around.first == interval.first && around.last == interval.last) {
            around.levels.push_back(interval.level);
            continue;
        }
        open.push_back(static_cast<std::uint32_t>(tree.size()));
        tree.push_back({{interval.level}, interval.first, interval.last, {}});
    }
    add_nodes(tree);
    return tree;
}

}  // namespace topoalloc
