// SPDX-License-Identifier: Apache-2.0
//
// From a GangProblem to its answer: which search, which preferences, which numbers of
// balanced Domains, and what the bounds of the nodes let one say.
#include "cluster/counted_plan.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/frontier_search.hpp"
#include "cluster/gang_programme.hpp"
#include "cluster/plan_rules.hpp"
#include "cluster/plan_search.hpp"
#include "cluster/portfolio.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// The part of the steps that goes to a tree of Domains before all else, and to a plan
// without proof: so many at most. With more nodes the tree gets half: it alone can be
// expected to come to an end.
constexpr std::uint64_t first_share = 8;
constexpr std::uint64_t first_steps = 125'000;
constexpr std::size_t many_nodes = 256;

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

void keep_better(std::optional<Candidate>& best, Candidate found) {
    if (!best || found.cost < best->cost ||
        (found.cost == best->cost && best->pods < found.pods)) {
        best = std::move(found);
    }
}

Candidate candidate_of(const GangProblem& problem, std::vector<CountVector> pods) {
    GangCost cost = cost_of(problem, pods);
    return {
        static_cast<std::uint64_t>(cost.short_pods), std::move(cost), std::move(pods)};
}

// Node by node; `start` is a plan that is known, and may be the answer.
Outcome solve_by_nodes(const GangProblem& problem,
                       bool use_possible,
                       bool least_cost,
                       std::optional<Candidate> start,
                       StepBudget& budget) {
    Outcome outcome{false, std::move(start)};
    const GangCost* known = outcome.best && least_cost ? &outcome.best->cost : nullptr;
    auto result = search_frontier(problem, use_possible, least_cost, known, budget);
    std::optional<std::vector<CountVector>> pods;
    if (result) {
        outcome.is_known = result->is_proved;
        pods = std::move(result->pods);
    } else if (auto found = search_plan(problem, {use_possible, !least_cost}, budget)) {
        pods = std::move(found->pods);
    }
    if (!result) {
        outcome.is_known = !budget.limited;
    }
    outcome.is_known = outcome.is_known || (pods && !least_cost);
    if (pods) {
        keep_better(outcome.best, candidate_of(problem, std::move(*pods)));
    }
    return outcome;
}

// With so many steps of the budget.
template <class F>
auto spend_part(StepBudget& budget, std::uint64_t steps, F&& solve) {
    StepBudget part{0, steps};
    auto found = solve(part);
    std::ignore = budget.spend(part.steps);
    return found;
}

Outcome solve_plan(const GangProblem& problem,
                   bool use_possible,
                   bool least_cost,
                   StepBudget& budget);

// One PodSet after the other, where there are several.
std::optional<Candidate> solve_in_turn(const GangProblem& problem, StepBudget& budget) {
    const PlaceOne place_one =
        [](const GangProblem& one,
           StepBudget& of_one) -> std::optional<std::vector<CountVector>> {
        Outcome outcome = solve_plan(one, false, true, of_one);
        return outcome.best ? std::optional(std::move(outcome.best->pods))
                            : std::nullopt;
    };
    auto pods = place_in_turn(problem, place_one, budget);
    return pods ? std::optional(candidate_of(problem, std::move(*pods))) : std::nullopt;
}

Outcome solve_plan(const GangProblem& problem,
                   bool use_possible,
                   bool least_cost,
                   StepBudget& budget) {
    const bool has_turns = problem.podsets.size() > 1 && !use_possible;
    const auto in_turn = [&](StepBudget& part) { return solve_in_turn(problem, part); };
    const auto first = [&] {
        return std::min(first_steps, (budget.max_steps - budget.steps) / first_share);
    };
    if (has_turns && !least_cost) {
        if (auto found = spend_part(budget, first(), in_turn)) {
            return {true, std::move(found)};
        }
    }
    const std::uint64_t tree_steps = problem.nodes.size() > many_nodes
                                         ? (budget.max_steps - budget.steps) / 2
                                         : first();
    auto on_tree = spend_part(budget, tree_steps, [&](StepBudget& part) {
        return solve_on_tree(problem, use_possible, least_cost, part);
    });
    if (on_tree && on_tree->is_known) {
        return std::move(*on_tree);
    }
    std::optional<Candidate> start;
    if (on_tree) {
        start = std::move(on_tree->best);
    }
    if (has_turns && least_cost) {
        if (auto found = spend_part(budget, first(), in_turn)) {
            keep_better(start, std::move(*found));
        }
    }
    return solve_by_nodes(problem, use_possible, least_cost, std::move(start), budget);
}

bool are_bounds_equal(const GangProblem& problem) {
    return std::ranges::all_of(problem.nodes, [&](const GangNode& node) {
        const CountTable& table = problem.tables[node.table];
        return table.attained == table.possible;
    });
}

// Copies count for nothing but waste.
bool is_waste_exact(const GangProblem& problem) {
    return std::ranges::all_of(problem.nodes, [&](const GangNode& node) {
        const std::vector<bool>& more = problem.tables[node.table].may_have_more;
        for (std::size_t p = 0; p < more.size(); ++p) {
            if (more[p] && problem.podsets[p].lowest_level != no_index) {
                return false;
            }
        }
        return true;
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

GangAnswer answer_gang(const GangProblem& problem,
                       bool least_cost,
                       SearchLimits limits) {
    if (problem.nodes.empty()) {
        return answer_without_nodes(problem, least_cost);
    }
    GangAnswer answer;
    answer.status = Status::unknown;
    StepBudget budget{0, limits.max_steps};
    Outcome outcome = solve_plan(problem, false, least_cost, budget);
    const bool are_exact = are_bounds_equal(problem);
    if (outcome.best) {
        const bool is_best =
            least_cost && outcome.is_known && are_exact && is_waste_exact(problem);
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
    answer.steps = budget.steps;
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
