// SPDX-License-Identifier: Apache-2.0
#include "gang_brute.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace topoalloc::oracle {
namespace {

// By node; what it points to stays where it is.
using Plan = std::vector<const CountVector*>;

// The Domains of one level, numbered anew: those that nodes name, and one of its own
// for each node that names none.
struct Partition {
    std::vector<std::size_t> domain;  // by node
    std::vector<bool> is_named;       // by node
    std::vector<bool> is_open;        // by Domain
};

Partition partition_of(const GangProblem& problem, std::uint32_t level) {
    Partition result;
    std::vector<std::uint32_t> names;  // by Domain; no_index: of one node
    for (std::uint32_t v = 0; v < problem.nodes.size(); ++v) {
        const GangNode& node = problem.nodes[v];
        const bool is_node_level = level == problem.levels;
        const std::uint32_t name = is_node_level ? v : node.domains[level];
        result.is_named.push_back(name != no_index);
        const auto at = std::find(names.begin(), names.end(), name);
        if (name != no_index && at != names.end()) {
            result.domain.push_back(static_cast<std::size_t>(at - names.begin()));
            continue;
        }
        result.domain.push_back(names.size());
        names.push_back(name);
        result.is_open.push_back(is_node_level || name == no_index
                                     ? node.open
                                     : problem.open_domains[level][name]);
    }
    return result;
}

// Holds a plan to sections 2 and 3.
class GangJudge {
  public:
    explicit GangJudge(const GangProblem& problem) : problem_(problem) {
        for (std::uint32_t level = 0; level <= problem.levels; ++level) {
            partitions_.push_back(partition_of(problem, level));
        }
    }

    // All of section 2 but the numbers of pods and what a node can hold.
    [[nodiscard]] bool meets_rules(const Plan& plan) {
        const auto each = [&](const std::vector<LevelRule>& rules, auto holds) {
            return std::all_of(rules.begin(), rules.end(), [&](const LevelRule& rule) {
                return (this->*holds)(rule, plan);
            });
        };
        return std::all_of(problem_.within.begin(),
                           problem_.within.end(),
                           [&](const WithinRule& r) { return is_within(r, plan); }) &&
               each(problem_.slices, &GangJudge::is_sliced) &&
               each(problem_.spread, &GangJudge::is_spread) &&
               each(problem_.balanced, &GangJudge::is_balanced);
    }

    [[nodiscard]] std::int64_t short_pods(const Plan& plan) const {
        std::int64_t result = 0;
        for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
            result += problem_.podsets[p].count;
            for (const CountVector* held : plan) {
                result -= (*held)[p];
            }
        }
        return result;
    }

    [[nodiscard]] GangCost cost(const Plan& plan) {
        GangCost cost;
        cost.short_pods = short_pods(plan);
        cost.unmet.assign(problem_.podsets.size() + problem_.groups, 0);
        for (const PreferRule& rule : problem_.prefer) {
            cost.unmet[rule.unmet] += is_preferred(rule, plan) ? 0 : 1;
        }
        for (std::uint32_t level = 0; level <= problem_.levels; ++level) {
            const auto [used, opened] = count_domains(level, plan);
            if (level == problem_.levels) {
                cost.nodes = used;
            } else {
                cost.domains.push_back(used);
                cost.opened.push_back(opened);
            }
        }
        for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
            cost.waste += waste_of(p, plan);
        }
        return cost;
    }

  private:
    [[nodiscard]] static bool holds_pod(const CountVector& held) {
        return std::any_of(held.begin(), held.end(), [](auto n) { return n > 0; });
    }

    // Pods of one PodSet by Domain of a level in sums_; false when one is in no Domain.
    [[nodiscard]] bool add_up(const LevelRule& rule, const Plan& plan) {
        const Partition& partition = partitions_[rule.level];
        sums_.assign(partition.is_open.size(), 0);
        for (std::size_t v = 0; v < plan.size(); ++v) {
            const std::uint32_t pods = (*plan[v])[rule.podset];
            if (pods > 0 && !partition.is_named[v]) {
                return false;
            }
            sums_[partition.domain[v]] += pods;
        }
        return true;
    }

    [[nodiscard]] bool is_within(const WithinRule& rule, const Plan& plan) const {
        const Partition& partition = partitions_[rule.level];
        std::optional<std::size_t> only;
        for (std::size_t v = 0; v < plan.size(); ++v) {
            for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
                if (!rule.podsets[p] || (*plan[v])[p] == 0) {
                    continue;
                }
                const std::size_t domain = partition.domain[v];
                if (!partition.is_named[v] || only.value_or(domain) != domain) {
                    return false;
                }
                only = domain;
            }
        }
        return true;
    }

    [[nodiscard]] bool is_sliced(const LevelRule& rule, const Plan& plan) {
        return add_up(rule, plan) &&
               std::all_of(sums_.begin(), sums_.end(), [&](std::uint32_t pods) {
                   return pods % rule.number == 0;
               });
    }

    [[nodiscard]] bool is_spread(const LevelRule& rule, const Plan& plan) {
        return add_up(rule, plan) &&
               std::all_of(sums_.begin(), sums_.end(), [&](std::uint32_t pods) {
                   return pods <= rule.number;
               });
    }

    [[nodiscard]] bool is_balanced(const LevelRule& rule, const Plan& plan) {
        if (!add_up(rule, plan)) {
            return false;
        }
        std::erase(sums_, 0U);
        const auto [least, most] = std::minmax_element(sums_.begin(), sums_.end());
        return sums_.empty() || *most - *least <= 1;
    }

    [[nodiscard]] bool is_preferred(const PreferRule& rule, const Plan& plan) {
        switch (rule.kind) {
            case RuleKind::within:
                return is_within(rule.within, plan);
            case RuleKind::spread:
                return is_spread(rule.level, plan);
            case RuleKind::balanced:
                return is_balanced(rule.level, plan);
        }
        return false;
    }

    // Domains that hold a pod, and those of them that were not open.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> count_domains(
        std::uint32_t level, const Plan& plan) {
        const Partition& partition = partitions_[level];
        is_used_.assign(partition.is_open.size(), false);
        std::int64_t used = 0;
        std::int64_t opened = 0;
        for (std::size_t v = 0; v < plan.size(); ++v) {
            const std::size_t domain = partition.domain[v];
            if (!holds_pod(*plan[v]) || is_used_[domain]) {
                continue;
            }
            is_used_[domain] = true;
            ++used;
            opened += partition.is_open[domain] ? 0 : 1;
        }
        return {used, opened};
    }

    [[nodiscard]] std::int64_t waste_of(std::size_t podset, const Plan& plan) {
        const std::uint32_t level = problem_.podsets[podset].lowest_level;
        if (level == no_index) {
            return 0;
        }
        const Partition& partition = partitions_[level];
        is_used_.assign(partition.is_open.size(), false);
        for (std::size_t v = 0; v < plan.size(); ++v) {
            if ((*plan[v])[podset] > 0) {
                is_used_[partition.domain[v]] = true;
            }
        }
        std::int64_t waste = 0;
        for (std::size_t v = 0; v < plan.size(); ++v) {
            if (is_used_[partition.domain[v]]) {
                waste += problem_.tables[problem_.nodes[v].table].copies[podset];
                waste -= (*plan[v])[podset];
            }
        }
        return waste;
    }

    const GangProblem& problem_;
    std::vector<Partition> partitions_;  // by level, "node" last
    std::vector<std::uint32_t> sums_;
    std::vector<bool> is_used_;
};

// Every plan, those with larger vectors first: of equal cost the first one is the best.
class GangBrute {
  public:
    using Side = std::vector<CountVector> CountTable::*;

    GangBrute(const GangProblem& problem, Side side, std::uint64_t most)
        : problem_(problem), judge_(problem), most_(most) {
        for (const CountTable& table : problem.tables) {
            vectors_.push_back(table.*side);
            std::sort(vectors_.back().begin(), vectors_.back().end(), std::greater<>());
        }
        totals_.assign(problem.podsets.size(), 0);
    }

    [[nodiscard]] bool is_counted() const { return tried_ <= most_; }
    [[nodiscard]] const std::optional<GangCost>& cost() const { return cost_; }
    [[nodiscard]] const std::vector<CountVector>& pods() const { return pods_; }

    void find_best() { extend(); }
    void find_any() {
        is_any_enough_ = true;
        extend();
    }

  private:
    void extend() {
        if (plan_.size() == problem_.nodes.size()) {
            finish();
            return;
        }
        for (const CountVector& held : vectors_[problem_.nodes[plan_.size()].table]) {
            if (++tried_ > most_ || (is_any_enough_ && cost_)) {
                return;
            }
            if (add(held)) {
                plan_.push_back(&held);
                extend();
                plan_.pop_back();
            }
            for (std::size_t p = 0; p < totals_.size(); ++p) {
                totals_[p] -= held[p];
            }
        }
    }

    // Are there at most `count` pods of each PodSet with these?
    [[nodiscard]] bool add(const CountVector& held) {
        bool is_room = true;
        for (std::size_t p = 0; p < totals_.size(); ++p) {
            totals_[p] += held[p];
            is_room = is_room && totals_[p] <= problem_.podsets[p].count;
        }
        return is_room;
    }

    void finish() {
        for (std::size_t p = 0; p < totals_.size(); ++p) {
            if (totals_[p] < problem_.podsets[p].min_count) {
                return;
            }
        }
        // The first term alone tells most plans from the best one.
        if ((cost_ && judge_.short_pods(plan_) > cost_->short_pods) ||
            !judge_.meets_rules(plan_)) {
            return;
        }
        GangCost cost = judge_.cost(plan_);
        if (!cost_ || cost < *cost_) {
            cost_ = std::move(cost);
            pods_.clear();
            for (const CountVector* held : plan_) {
                pods_.push_back(*held);
            }
        }
    }

    const GangProblem& problem_;
    GangJudge judge_;
    std::uint64_t most_;
    std::uint64_t tried_ = 0;
    bool is_any_enough_ = false;
    std::vector<std::vector<CountVector>> vectors_;  // by table, the largest first
    Plan plan_;
    CountVector totals_;
    std::optional<GangCost> cost_;
    std::vector<CountVector> pods_;
};

bool is_attained(const GangProblem& problem,
                 std::size_t node,
                 const CountVector& held) {
    const auto& attained = problem.tables[problem.nodes[node].table].attained;
    return std::find(attained.begin(), attained.end(), held) != attained.end();
}

}  // namespace

GangBest brute_gang(const GangProblem& problem, std::uint64_t most) {
    GangBest best;
    GangBrute attained(problem, &CountTable::attained, most);
    attained.find_best();
    best.is_counted = attained.is_counted();
    if (attained.cost()) {
        best.feasible = true;
        best.cost = *attained.cost();
        best.pods = attained.pods();
    }
    best.possible = best.feasible;
    if (best.is_counted && !best.feasible && !is_exact(problem)) {
        GangBrute possible(problem, &CountTable::possible, most);
        possible.find_any();
        best.possible = possible.cost().has_value();
        best.is_counted = best.possible || possible.is_counted();
    }
    return best;
}

std::optional<GangCost> judge_gang(const GangProblem& problem,
                                   const std::vector<CountVector>& pods) {
    if (pods.size() != problem.nodes.size()) {
        return std::nullopt;
    }
    Plan plan;
    for (std::size_t v = 0; v < pods.size(); ++v) {
        if (!is_attained(problem, v, pods[v])) {
            return std::nullopt;
        }
        plan.push_back(&pods[v]);
    }
    for (std::size_t p = 0; p < problem.podsets.size(); ++p) {
        std::uint64_t total = 0;
        for (const CountVector& held : pods) {
            total += held[p];
        }
        const GangPodSet& podset = problem.podsets[p];
        if (total < podset.min_count || total > podset.count) {
            return std::nullopt;
        }
    }
    GangJudge judge(problem);
    return judge.meets_rules(plan) ? std::optional(judge.cost(plan)) : std::nullopt;
}

bool is_exact(const GangProblem& problem) {
    return std::all_of(
        problem.nodes.begin(), problem.nodes.end(), [&](const GangNode& node) {
            const CountTable& table = problem.tables[node.table];
            return table.attained == table.possible;
        });
}

}  // namespace topoalloc::oracle
