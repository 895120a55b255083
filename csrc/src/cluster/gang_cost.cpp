// SPDX-License-Identifier: Apache-2.0
//
// Terms 1 to 6 of docs/cluster-objective.md, section 3, of a given plan.
#include "cluster/gang_problem.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

// Pods by Domain of a level: a node without one is a Domain of its own.
class DomainPods {
  public:
    DomainPods(const GangProblem& problem,
               const std::vector<CountVector>& pods,
               std::uint32_t level) {
        for (std::uint32_t n = 0; n < problem.nodes.size(); ++n) {
            const GangNode& node = problem.nodes[n];
            const bool is_node = level == problem.levels;
            const std::uint32_t domain = is_node ? no_index : node.domains[level];
            const bool is_alone = domain == no_index;
            Entry& entry = entries_[{is_alone, is_alone ? n : domain}];
            entry.nodes.push_back(n);
            entry.pods.resize(problem.podsets.size());
            for (std::size_t p = 0; p < pods[n].size(); ++p) {
                entry.pods[p] += pods[n][p];
            }
            entry.is_real = is_node || !is_alone;
            entry.open = is_alone ? node.open : problem.open_domains[level][domain];
        }
    }

    struct Entry {
        std::vector<std::uint32_t> nodes;
        CountVector pods;
        bool is_real = true;  ///< false: stands for a node without a Domain
        bool open = false;
    };
    [[nodiscard]] const std::map<std::pair<bool, std::uint32_t>, Entry>& entries()
        const {
        return entries_;
    }

  private:
    std::map<std::pair<bool, std::uint32_t>, Entry> entries_;
};

bool has_pods(const CountVector& pods) {
    return std::ranges::any_of(pods, [](std::uint32_t count) { return count != 0; });
}

bool holds_within(const GangProblem& problem,
                  const std::vector<CountVector>& pods,
                  const WithinRule& rule) {
    const DomainPods domains(problem, pods, rule.level);
    std::size_t used = 0;
    bool all_real = true;
    for (const auto& [key, entry] : domains.entries()) {
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
    const DomainPods domains(problem, pods, rule.level.level);
    std::uint32_t most = 0;
    std::uint32_t least = no_index;
    for (const auto& [key, entry] : domains.entries()) {
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

std::int64_t waste_of(const GangProblem& problem,
                      const std::vector<CountVector>& pods,
                      std::uint32_t podset) {
    const std::uint32_t level = problem.podsets[podset].lowest_level;
    if (level == no_index) {
        return 0;
    }
    std::int64_t waste = 0;
    const DomainPods domains(problem, pods, level);
    for (const auto& [key, entry] : domains.entries()) {
        if (entry.pods[podset] == 0) {
            continue;
        }
        waste -= entry.pods[podset];
        for (const std::uint32_t n : entry.nodes) {
            waste += problem.tables[problem.nodes[n].table].copies[podset];
        }
    }
    return waste;
}

}  // namespace

GangCost cost_of(const GangProblem& problem, const std::vector<CountVector>& pods) {
    GangCost cost;
    cost.unmet.resize(problem.podsets.size() + problem.groups);
    for (std::uint32_t p = 0; p < problem.podsets.size(); ++p) {
        cost.short_pods += problem.podsets[p].count;
        for (const CountVector& of_node : pods) {
            cost.short_pods -= of_node[p];
        }
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
        std::int64_t used = 0;
        std::int64_t opened = 0;
        const DomainPods domains(problem, pods, level);
        for (const auto& [key, entry] : domains.entries()) {
            if (has_pods(entry.pods)) {
                ++used;
                opened += entry.open ? 0 : 1;
            }
        }
        cost.domains.push_back(used);
        cost.opened.push_back(opened);
    }
    return cost;
}

}  // namespace topoalloc
