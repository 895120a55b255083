// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_question.hpp"

#include "cluster/counted_plan.hpp"
#include "cluster/gang_shape.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace topoalloc {
namespace {

class CountedQuestion {
  public:
    CountedQuestion(const ClusterData& data,
                    const std::shared_ptr<const Gang>& gang,
                    const GangProblem& shape,
                    SearchLimits limits)
        : data_(data),
          gang_(gang),
          podset_(gang->podsets.front()),
          shape_(shape),
          limits_(limits) {}

    [[nodiscard]] static bool is_one(const ClusterData& data,
                                     const GangProblem& shape) {
        // What a Group of the PodSet prefers counts in another place.
        return shape.podsets.size() == 1 && data.layout().tree.has_value() &&
               std::ranges::all_of(shape.prefer, [](const PreferRule& rule) {
                   return rule.unmet == 0;
               });
    }

    std::optional<GangVerdict> check() {
        if (!look()) {
            return std::nullopt;
        }
        GangVerdict verdict = refusal();
        if (is_refused_ || !fits_by_counts(problem_)) {
            return verdict;
        }
        if (!shape_.balanced.empty()) {
            // Some plan may keep the rules, though one that was found does not.
            add_open();
            StepBudget budget{0, limits_.max_steps};
            const auto found = plan_by_counts(problem_, false, budget);
            if (!found || !keeps_balance(found->pods)) {
                return std::nullopt;
            }
        }
        verdict.status = Status::feasible;
        verdict.reason = GangReason::fits;
        verdict.podset = no_index;
        return verdict;
    }

    std::optional<GangPlan> place() {
        if (!look()) {
            return std::nullopt;
        }
        GangPlan plan;
        plan.verdict = refusal();
        if (is_refused_) {
            return plan;
        }
        add_open();
        StepBudget budget{0, limits_.max_steps};
        auto found = best_plan(budget);
        // The best of all plans is the best of those that keep more rules, if it does.
        if (!found || !keeps_balance(found->pods)) {
            return std::nullopt;
        }
        plan.verdict.steps += budget.steps;
        if (!found->found) {
            return plan;
        }
        plan.verdict.podset = no_index;
        const bool is_best =
            found->is_proved &&
            (!may_have_more_ || problem_.podset.lowest_level == no_index);
        plan.verdict.status = is_best ? Status::optimal : Status::feasible;
        plan.verdict.reason = is_best ? GangReason::placed : GangReason::step_limit;
        plan.cost = std::move(found->cost);
        if (!add_pods(found->pods, plan)) {
            return std::nullopt;
        }
        return plan;
    }

  private:
    static constexpr std::uint32_t unknown = no_index;

    // What every node holds. False when a node has two bounds.
    bool look() {
        const ClusterLayout& layout = data_.layout();
        problem_.levels = shape_.levels;
        problem_.groups = shape_.groups;
        problem_.podset = shape_.podsets.front();
        problem_.slices = shape_.slices;
        problem_.spread = shape_.spread;
        problem_.within = shape_.within;
        problem_.tree = &layout.tree->vertices;
        problem_.links = &layout.tree->links;
        // The first one is of nodes that hold nothing.
        problem_.held = problem_.copies = {0};
        request_ = data_.pool().known(podset_.request);
        std::vector<std::uint32_t> table_of(data_.state_numbers(), unknown);
        std::vector<std::uint32_t> is_eligible_of(data_.traits_numbers(), unknown);
        problem_.tables.resize(layout.order.size());
        for (std::size_t n = 0; n < layout.order.size(); ++n) {
            const std::uint32_t slot = layout.order[n];
            const NodeKey key = data_.key(slot);
            std::uint32_t& eligible = is_eligible_of[key.traits];
            if (eligible == unknown) {
                eligible = is_eligible_on(slot) ? 1 : 0;
            }
            if (key.cordoned != 0 || eligible == 0) {
                continue;
            }
            has_eligible_ = true;
            std::uint32_t& table = table_of[key.state];
            if (table == unknown) {
                table = add_table(*data_.node(slot).state);
            }
            problem_.tables[n] = table;
            sum_ += problem_.held[table];
        }
        return is_exact_;
    }

    [[nodiscard]] bool is_eligible_on(std::uint32_t slot) const {
        return is_eligible(podset_, data_.node(slot).info->described);
    }

    std::uint32_t add_table(const NodeClass& state) {
        const HeadroomResult fits =
            data_.pool().headroom(state, request_, limits_.max_steps);
        steps_ += fits.steps;
        const std::uint32_t held = std::min(fits.count, podset_.count);
        is_exact_ = is_exact_ && held == std::min(fits.upper, podset_.count);
        may_have_more_ = may_have_more_ || fits.count != fits.upper;
        problem_.held.push_back(held);
        problem_.copies.push_back(fits.count);
        return static_cast<std::uint32_t>(problem_.held.size() - 1);
    }

    // The best plan, Balanced left aside: with as many preferences as can be kept.
    std::optional<SparsePlan> best_plan(StepBudget& budget) {
        std::vector<const PreferRule*> entries;
        for (const PreferRule& rule : shape_.prefer) {
            if (rule.kind != RuleKind::balanced) {
                entries.push_back(&rule);
            }
        }
        if (entries.empty()) {
            return plan_by_counts(problem_, true, budget);
        }
        const std::uint32_t pods = pods_by_counts(problem_);
        for (std::size_t unmet = 0; unmet < entries.size(); ++unmet) {
            std::optional<SparsePlan> best;
            std::vector<bool> dropped(entries.size());
            std::fill_n(dropped.begin(), unmet, true);
            do {
                const CountedProblem kept = with_kept(entries, dropped);
                if (pods_by_counts(kept) == pods &&
                    !take_better(kept, unmet, budget, best)) {
                    return std::nullopt;
                }
            } while (std::prev_permutation(dropped.begin(), dropped.end()));
            if (best) {
                return best;
            }
        }
        std::optional<SparsePlan> none;
        return take_better(problem_, entries.size(), budget, none) ? none
                                                                   : std::nullopt;
    }

    [[nodiscard]] CountedProblem with_kept(
        const std::vector<const PreferRule*>& entries,
        const std::vector<bool>& dropped) const {
        CountedProblem out = problem_;
        for (std::size_t i = 0; i < entries.size(); ++i) {
            if (!dropped[i] && entries[i]->kind == RuleKind::within) {
                out.within.push_back(entries[i]->within);
            } else if (!dropped[i]) {
                out.spread.push_back(entries[i]->level);
            }
        }
        return out;
    }

    // False where the budget ended before a plan.
    static bool take_better(const CountedProblem& kept,
                            std::size_t unmet,
                            StepBudget& budget,
                            std::optional<SparsePlan>& best) {
        auto plan = plan_by_counts(kept, true, budget);
        if (!plan) {
            return false;
        }
        if (!plan->found) {
            best = best ? std::move(best) : std::move(plan);
            return true;
        }
        plan->cost.unmet.front() = static_cast<std::int64_t>(unmet);
        const bool is_proved = plan->is_proved && (!best || best->is_proved);
        if (!best || plan->cost < best->cost ||
            (plan->cost == best->cost && is_later(best->pods, plan->pods))) {
            best = std::move(plan);
        }
        best->is_proved = is_proved;
        return true;
    }

    // Whether a plan holds all that is Balanced, required or preferred.
    [[nodiscard]] bool keeps_balance(const SparsePods& pods) const {
        return std::ranges::all_of(shape_.balanced,
                                   [&](const LevelRule& rule) {
                                       return is_balanced(pods, rule.level);
                                   }) &&
               std::ranges::all_of(shape_.prefer, [&](const PreferRule& rule) {
                   return rule.kind != RuleKind::balanced ||
                          is_balanced(pods, rule.level.level);
               });
    }

    [[nodiscard]] bool is_balanced(const SparsePods& pods, std::uint32_t level) const {
        std::uint32_t most = 0;
        std::uint32_t least = no_index;
        std::uint32_t sum = 0;
        std::uint32_t last = no_index;
        for (const NodePods& here : pods) {
            const std::uint32_t domain =
                level == problem_.levels
                    ? here.node
                    : data_.node(data_.layout().order[here.node]).info->domains[level];
            if (domain != last && last != no_index) {
                most = std::max(most, sum);
                least = std::min(least, sum);
                sum = 0;
            }
            last = domain;
            sum += here.pods;
        }
        return std::max(most, sum) - std::min(least, sum) <= 1;
    }

    // "No", and why, if it is one.
    GangVerdict refusal() {
        GangVerdict verdict;
        verdict.gang = gang_;
        verdict.steps = steps_;
        verdict.podset = 0;
        verdict.reason = GangReason::podset_conflict;
        if (sum_ < podset_.min_count) {
            demand_known_devices(data_, podset_.request);
            is_refused_ = true;
            verdict.reason = has_eligible_ ? GangReason::not_enough_room
                                           : GangReason::no_eligible_node;
        }
        return verdict;
    }

    void add_open() {
        const LayoutTree& tree = *data_.layout().tree;
        problem_.open.reserve(tree.vertices.size());
        for (std::size_t v = 0; v < tree.vertices.size(); ++v) {
            const auto& levels = tree.vertices[v].levels;
            std::uint32_t open = 0;
            for (std::size_t i = 0; i < levels.size(); ++i) {
                const bool is_open = data_.is_open(levels[i], tree.domains[v][i]);
                open |= is_open ? 1U << levels[i] : 0U;
            }
            problem_.open.push_back(open);
        }
    }

    // Places the pods of each node. False when one turned out not to hold its own.
    bool add_pods(const SparsePods& pods, GangPlan& plan) const {
        std::uint32_t index = 0;
        // By table: the last number of pods that was placed, and where.
        std::vector<std::pair<std::uint32_t, Placements>> known(problem_.held.size());
        plan.basis.reserve(pods.size());
        plan.pods.reserve(problem_.podset.count);
        for (const NodePods& here : pods) {
            const NodeEntry& entry = data_.node(data_.layout().order[here.node]);
            auto& [number, placements] = known[problem_.tables[here.node]];
            if (number != here.pods) {
                auto made = data_.pool().placements(
                    *entry.state, {podset_.request}, {here.pods});
                if (!made) {
                    return false;
                }
                number = here.pods;
                placements = std::move(*made);
            }
            const NodeDescription& node = entry.info->described;
            plan.basis.push_back({node.name, entry.info, entry.state});
            for (const auto& placement : placements) {
                plan.pods.push_back({0, index++, node.name, placement, node.machine});
            }
        }
        return true;
    }

    const ClusterData& data_;
    const std::shared_ptr<const Gang>& gang_;
    const PodSet& podset_;
    const GangProblem& shape_;
    SearchLimits limits_;
    KnownRequest request_;
    CountedProblem problem_;
    std::uint64_t sum_ = 0, steps_ = 0;
    bool has_eligible_ = false, is_exact_ = true, is_refused_ = false;
    bool may_have_more_ = false;  // copies than were counted
};

}  // namespace

std::optional<GangVerdict> check_by_counts(const ClusterData& data,
                                           const std::shared_ptr<const Gang>& gang,
                                           const GangProblem& shape,
                                           SearchLimits limits) {
    return CountedQuestion::is_one(data, shape)
               ? CountedQuestion(data, gang, shape, limits).check()
               : std::nullopt;
}

std::optional<GangPlan> place_by_counts(const ClusterData& data,
                                        const std::shared_ptr<const Gang>& gang,
                                        const GangProblem& shape,
                                        SearchLimits limits) {
    return CountedQuestion::is_one(data, shape)
               ? CountedQuestion(data, gang, shape, limits).place()
               : std::nullopt;
}

void demand_known_devices(const ClusterData& data,
                          const std::shared_ptr<const Request>& request) {
    const Machine* last = nullptr;
    for (const std::uint32_t slot : data.order()) {
        const auto& machine = data.node(slot).info->described.machine;
        if (machine.get() != last && data.pool().compiled(machine, request)) {
            return;
        }
        last = machine.get();
    }
    if (last != nullptr) {
        const auto& first = data.node(data.order().front()).info->described;
        std::ignore = compile(first.machine, *request);
    }
}

}  // namespace topoalloc
