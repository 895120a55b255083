// SPDX-License-Identifier: Apache-2.0
//
// Terms 1 to 6 of docs/cluster-objective.md, section 3, of a given plan.
#include "cluster/gang_problem.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

bool has_pods(const CountVector& pods) {
    return std::ranges::any_of(pods, [](std::uint32_t count) { return count != 0; });
}

// What is used at one level: a node without a Domain there stands for itself.
struct UsedDomain {
    CountVector pods;
    bool is_real = true;  ///< false: a node without a Domain
    bool open = false;
};
using Used = std::map<std::pair<bool, std::uint32_t>, UsedDomain>;

std::pair<bool, std::uint32_t> key_of(const GangProblem& problem,
                                      std::uint32_t node,
                                      std::uint32_t level) {
    const std::uint32_t domain =
        level == problem.levels ? no_index : problem.nodes[node].domains[level];
    return domain == no_index ? std::pair(true, node) : std::pair(false, domain);
}

Used used_at(const GangProblem& problem,
             const std::vector<CountVector>& pods,
             std::uint32_t level) {
    Used used;
    for (std::uint32_t n = 0; n < pods.size(); ++n) {
        if (!has_pods(pods[n])) {
            continue;
        }
        const auto key = key_of(problem, n, level);
        UsedDomain& domain = used[key];
        domain.pods.resize(problem.podsets.size());
        for (std::size_t p = 0; p < pods[n].size(); ++p) {
            domain.pods[p] += pods[n][p];
        }
        domain.is_real = !key.first || level == problem.levels;
        domain.open =
            key.first ? problem.nodes[n].open : problem.open_domains[level][key.second];
    }
    return used;
}

bool holds_within(const GangProblem& problem,
                  const std::vector<CountVector>& pods,
                  const WithinRule& rule) {
    const Used domains = used_at(problem, pods, rule.level);
    std::size_t used = 0;
    bool all_real = true;
    for (const auto& [key, entry] : domains) {
        for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
            if (rule.podsets[p] && entry.pods[p] != 0) {
                ++used;
                all_real = all_real && entry.is_real;
                break;
            }
        }
    }
    return used == 0 || (used == 1 && all_real);
}

bool holds_count(const GangProblem& problem,
                 const std::vector<CountVector>& pods,
                 const PreferRule& rule) {
    const Used domains = used_at(problem, pods, rule.level.level);
    std::uint32_t most = 0;
    std::uint32_t least = no_index;
    for (const auto& [key, entry] : domains) {
        const std::uint32_t count = entry.pods[rule.level.podset];
        if (count == 0) {
            continue;
        }
        if (!entry.is_real) {
            return false;
        }
        most = std::max(most, count);
        least = std::min(least, count);
    }
    return rule.kind == RuleKind::spread ? most <= rule.level.number
                                         : most == 0 || most - least <= 1;
}

// Copies that the Domains of its lowest level with pods of a PodSet could hold, less
// those pods.
std::int64_t waste_of(const GangProblem& problem,
                      const std::vector<CountVector>& pods,
                      std::uint32_t podset) {
    const std::uint32_t level = problem.podsets[podset].lowest_level;
    if (level == no_index) {
        return 0;
    }
    std::int64_t waste = 0;
    Used used = used_at(problem, pods, level);
    std::erase_if(used, [&](const auto& entry) {
        waste -= entry.second.pods[podset];
        return entry.second.pods[podset] == 0;
    });
    for (std::uint32_t n = 0; n < problem.nodes.size() && !used.empty(); ++n) {
        if (used.contains(key_of(problem, n, level))) {
            waste += problem.tables[problem.nodes[n].table].copies[podset];
        }
    }
    return waste;
}

std::int64_t short_of(const GangProblem& problem,
                      const std::vector<CountVector>& pods,
                      std::uint32_t podset) {
    std::int64_t missing = problem.podsets[podset].count;
    for (const CountVector& of_node : pods) {
        missing -= of_node[podset];
    }
    return missing;
}

}  // namespace

GangCost cost_of(const GangProblem& problem, const std::vector<CountVector>& pods) {
    GangCost cost;
    cost.unmet.resize(problem.podsets.size() + problem.groups);
    for (std::uint32_t p = 0; p < problem.podsets.size(); ++p) {
        cost.short_pods += short_of(problem, pods, p);
        cost.waste += waste_of(problem, pods, p);
    }
    for (const PreferRule& rule : problem.prefer) {
        const bool holds = rule.kind == RuleKind::within
                               ? holds_within(problem, pods, rule.within)
                               : holds_count(problem, pods, rule);
        cost.unmet[rule.unmet] += holds ? 0 : 1;
    }
    cost.nodes = std::ranges::count_if(pods, has_pods);
    for (std::uint32_t level = 0; level < problem.levels; ++level) {
        const Used used = used_at(problem, pods, level);
        cost.domains.push_back(std::ssize(used));
        cost.opened.push_back(std::ranges::count_if(
            used, [](const auto& entry) { return !entry.second.open; }));
    }
    return cost;
}

}  // namespace topoalloc
