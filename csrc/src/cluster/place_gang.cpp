// SPDX-License-Identifier: Apache-2.0
//
// From a GangProblem to its answer: which search, which preferences, which numbers of
// balanced Domains, and what the bounds of the nodes let one say.
#include "cluster/counted_plan.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/gang_programme.hpp"
#include "cluster/plan_rules.hpp"
#include "cluster/plan_search.hpp"
#include "cluster/portfolio.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

struct Candidate {
    std::uint64_t short_pods = 0;
    GangCost cost;
    std::vector<CountVector> pods;
};

// The programme over one tree of Domains, for every choice that it leaves open.
class TreePlanner {
  public:
    TreePlanner(const GangProblem& problem,
                const std::vector<DomainVertex>& tree,
                StepBudget& budget)
        : problem_(problem), tree_(tree), budget_(budget) {}

    // The best plan that keeps these preferences. False: the programme can not tell.
    bool solve(const std::vector<bool>& kept,
               const PlanAim& aim,
               std::optional<Candidate>& out) {
        PlanRules rules = rules_of(problem_, kept);
        return try_numbers(rules, aim, out);
    }

  private:
    // Each balanced rule gets every number that its Domains may hold, or one more.
    // NOLINTNEXTLINE(misc-no-recursion): as deep as there are balanced rules
    bool try_numbers(PlanRules& rules,
                     const PlanAim& aim,
                     std::optional<Candidate>& out) {
        if (rules.balanced.empty()) {
            return run(rules, aim, out);
        }
        const LevelRule rule = rules.balanced.back();
        rules.balanced.pop_back();
        bool known = true;
        const std::uint32_t most = problem_.podsets[rule.podset].count;
        for (std::uint32_t number = 1; known && number <= most; ++number) {
            rules.counts.push_back(
                {CountRuleKind::even, rule.podset, rule.level, number});
            known = try_numbers(rules, aim, out);
            rules.counts.pop_back();
        }
        rules.balanced.push_back(rule);
        return known;
    }

    bool run(const PlanRules& rules,
             const PlanAim& aim,
             std::optional<Candidate>& out) {
        GangProgramme programme(problem_, tree_, rules, aim, budget_);
        if (!programme.run()) {
            return false;
        }
        const std::vector<const GangCell*> best = programme.best();
        if (best.empty()) {
            return true;
        }
        const std::uint64_t short_pods = programme.short_of(*best.front());
        if (out && out->short_pods < short_pods) {
            return true;
        }
        auto pods = plan_of(programme, best, problem_.nodes.size(), budget_);
        if (!pods) {
            return false;
        }
        Candidate found{short_pods, cost_of(problem_, *pods), std::move(*pods)};
        if (!out || found.cost < out->cost ||
            (found.cost == out->cost && out->pods < found.pods)) {
            out = std::move(found);
        }
        return true;
    }

    const GangProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    StepBudget& budget_;
};

// Which preferences are kept in a plan of least `unmet`: all ways of equal number. The
// entries of one PodSet or Group after the other.
class PreferencePlanner {
  public:
    PreferencePlanner(const GangProblem& problem,
                      TreePlanner& planner,
                      std::uint64_t short_pods,
                      bool use_possible)
        : problem_(problem), planner_(planner), aim_{use_possible, false, short_pods} {}

    // False: the programme can not tell.
    bool run(std::vector<std::vector<bool>>& kept) {
        kept.assign(1, std::vector<bool>(problem_.prefer.size()));
        const std::size_t slots = problem_.podsets.size() + problem_.groups;
        for (std::uint32_t slot = 0; slot < slots; ++slot) {
            std::vector<std::size_t> entries;
            for (std::size_t i = 0; i < problem_.prefer.size(); ++i) {
                if (problem_.prefer[i].unmet == slot) {
                    entries.push_back(i);
                }
            }
            if (!entries.empty() && !keep_most(entries, kept)) {
                return false;
            }
        }
        return true;
    }

  private:
    using Choices = std::vector<std::vector<bool>>;

    // Of these entries, as many as can be on top of what is kept.
    bool keep_most(const std::vector<std::size_t>& entries, Choices& kept) {
        for (std::size_t unmet = 0; unmet < entries.size(); ++unmet) {
            Choices feasible;
            for (const std::vector<bool>& start : kept) {
                if (!keep_all_but(unmet, entries, start, feasible)) {
                    return false;
                }
            }
            if (!feasible.empty()) {
                kept = std::move(feasible);
                return true;
            }
        }
        return true;
    }

    // Every way to drop so many of the entries that a plan exists for.
    bool keep_all_but(std::size_t unmet,
                      const std::vector<std::size_t>& entries,
                      const std::vector<bool>& start,
                      Choices& feasible) {
        std::vector<bool> dropped(entries.size());
        std::fill_n(dropped.begin(), unmet, true);
        do {
            std::vector<bool> trial = start;
            for (std::size_t i = 0; i < entries.size(); ++i) {
                trial[entries[i]] = !dropped[i];
            }
            std::optional<Candidate> found;
            if (!planner_.solve(trial, aim_, found)) {
                return false;
            }
            if (found) {
                feasible.push_back(std::move(trial));
            }
        } while (std::prev_permutation(dropped.begin(), dropped.end()));
        return true;
    }

    const GangProblem& problem_;
    TreePlanner& planner_;
    PlanAim aim_;
};

// What one kind of count vectors has to say. `is_known` false: a budget ended.
struct Outcome {
    bool is_known = false;
    std::optional<Candidate> best;
};

std::optional<Outcome> solve_on_tree(const GangProblem& problem,
                                     bool use_possible,
                                     bool least_cost,
                                     StepBudget& budget) {
    const auto tree = domain_tree(problem);
    if (!tree) {
        return std::nullopt;
    }
    if (auto plan = plan_by_counts(problem, *tree, use_possible, least_cost, budget)) {
        Outcome outcome{plan->is_proved, std::nullopt};
        if (plan->found) {
            outcome.best = Candidate{static_cast<std::uint64_t>(plan->cost.short_pods),
                                     std::move(plan->cost),
                                     std::move(plan->pods)};
        }
        return outcome;
    }
    TreePlanner planner(problem, *tree, budget);
    const std::vector<bool> none(problem.prefer.size());
    const bool has_choice = least_cost && !problem.prefer.empty();
    Outcome outcome;
    if (!planner.solve(
            none, {use_possible, least_cost && !has_choice, {}}, outcome.best)) {
        return budget.limited ? std::optional(outcome) : std::nullopt;
    }
    outcome.is_known = true;
    if (!has_choice || !outcome.best) {
        return outcome;
    }
    const std::uint64_t short_pods = outcome.best->short_pods;
    std::vector<std::vector<bool>> kept;
    outcome.is_known =
        PreferencePlanner(problem, planner, short_pods, use_possible).run(kept);
    for (std::size_t i = 0; outcome.is_known && i < kept.size(); ++i) {
        outcome.is_known =
            planner.solve(kept[i], {use_possible, true, short_pods}, outcome.best);
    }
    return outcome;
}

// On a tree of the nodes in another order: all terms but the last are those of the
// problem.
Outcome solve_reordered(const GangProblem& problem,
                        bool use_possible,
                        bool least_cost,
                        StepBudget& budget) {
    GangProblem other = problem;
    const std::vector<std::uint32_t> order = order_by_domain(problem);
    for (std::size_t i = 0; i < order.size(); ++i) {
        other.nodes[i] = problem.nodes[order[i]];
    }
    auto outcome = solve_on_tree(other, use_possible, least_cost, budget);
    if (outcome && outcome->best) {
        std::vector<CountVector> pods(order.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            pods[order[i]] = std::move(outcome->best->pods[i]);
        }
        outcome->best->pods = std::move(pods);
    }
    return outcome.value_or(Outcome{});
}

Outcome solve_by_nodes(const GangProblem& problem,
                       bool use_possible,
                       bool least_cost,
                       StepBudget& budget) {
    Outcome outcome = solve_reordered(problem, use_possible, least_cost, budget);
    if (outcome.is_known && (!least_cost || !outcome.best)) {
        return outcome;
    }
    // The cost is known, and the first plan of that cost in node order is sought.
    const GangCost* least = outcome.is_known ? &outcome.best->cost : nullptr;
    auto found = search_plan(problem, {use_possible, !least_cost, least}, budget);
    if (outcome.best && (!found || outcome.best->cost < found->cost)) {
        outcome.is_known = false;
        return outcome;
    }
    outcome.is_known = !budget.limited || (found && !least_cost) ||
                       (found && least != nullptr && found->cost == *least);
    if (found) {
        outcome.best = Candidate{static_cast<std::uint64_t>(found->cost.short_pods),
                                 std::move(found->cost),
                                 std::move(found->pods)};
    }
    return outcome;
}

Outcome solve_plan(const GangProblem& problem,
                   bool use_possible,
                   bool least_cost,
                   StepBudget& budget) {
    if (auto outcome = solve_on_tree(problem, use_possible, least_cost, budget)) {
        return std::move(*outcome);
    }
    return solve_by_nodes(problem, use_possible, least_cost, budget);
}

// One PodSet after the other, where several have no other answer.
std::optional<Candidate> solve_in_turn(const GangProblem& problem, StepBudget& budget) {
    const PlaceOne place_one =
        [](const GangProblem& one,
           StepBudget& of_one) -> std::optional<std::vector<CountVector>> {
        Outcome outcome = solve_plan(one, false, true, of_one);
        return outcome.best ? std::optional(std::move(outcome.best->pods))
                            : std::nullopt;
    };
    auto pods = place_in_turn(problem, place_one, budget);
    if (!pods) {
        return std::nullopt;
    }
    GangCost cost = cost_of(problem, *pods);
    return Candidate{
        static_cast<std::uint64_t>(cost.short_pods), std::move(cost), std::move(*pods)};
}

bool are_bounds_equal(const GangProblem& problem) {
    return std::ranges::all_of(problem.nodes, [&](const GangNode& node) {
        const CountTable& table = problem.tables[node.table];
        return table.attained == table.possible;
    });
}

// Nodes hold nothing: the empty plan, if it is one.
GangAnswer answer_without_nodes(const GangProblem& problem, bool least_cost) {
    GangAnswer answer;
    answer.cost = cost_of(problem, {});
    if (std::ranges::all_of(problem.podsets,
                            [](const GangPodSet& p) { return p.min_count == 0; })) {
        answer.status = least_cost ? Status::optimal : Status::feasible;
    }
    return answer;
}

// On what the nodes hold for certain. A part of the steps is kept for a plan without
// proof: before a search for any plan, after one for the best.
Outcome solve_attained(const GangProblem& problem,
                       bool least_cost,
                       SearchLimits limits,
                       std::uint64_t& steps) {
    const std::uint64_t kept = problem.podsets.size() > 1 ? limits.max_steps / 8 : 0;
    StepBudget in_turn{0, kept};
    StepBudget budget{0, limits.max_steps - kept};
    Outcome outcome;
    if (!least_cost && kept != 0) {
        outcome.best = solve_in_turn(problem, in_turn);
    }
    if (!outcome.best) {
        outcome = solve_plan(problem, false, least_cost, budget);
        if (least_cost && kept != 0 && !outcome.best && !outcome.is_known) {
            outcome.best = solve_in_turn(problem, in_turn);
        }
    }
    steps = budget.steps + in_turn.steps;
    return outcome;
}

GangAnswer answer_gang(const GangProblem& problem,
                       bool least_cost,
                       SearchLimits limits) {
    if (problem.nodes.empty()) {
        return answer_without_nodes(problem, least_cost);
    }
    GangAnswer answer;
    answer.status = Status::unknown;
    Outcome outcome = solve_attained(problem, least_cost, limits, answer.steps);
    StepBudget budget{0, limits.max_steps - std::min(limits.max_steps, answer.steps)};
    const bool are_exact = are_bounds_equal(problem);
    if (outcome.best) {
        const bool is_best = least_cost && outcome.is_known && are_exact;
        answer.status = is_best ? Status::optimal : Status::feasible;
        answer.cost = std::move(outcome.best->cost);
        answer.pods = std::move(outcome.best->pods);
    } else if (outcome.is_known) {
        if (!are_exact) {
            outcome = solve_plan(problem, true, false, budget);
        }
        if (outcome.is_known && !outcome.best) {
            answer.status = Status::infeasible;
        }
    }
    answer.steps += budget.steps;
    return answer;
}

}  // namespace

GangAnswer place_gang(const GangProblem& problem, SearchLimits limits) {
    return answer_gang(problem, true, limits);
}

GangAnswer check_gang(const GangProblem& problem, SearchLimits limits) {
    return answer_gang(problem, false, limits);
}

}  // namespace topoalloc
