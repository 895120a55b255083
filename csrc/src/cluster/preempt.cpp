// SPDX-License-Identifier: Apache-2.0
//
// Which Gangs of lower priority to stop so that another fits:
// docs/cluster-objective.md, section 8.
#include "cluster/cluster_change.hpp"
#include "cluster/gang_question.hpp"
#include "cluster/gang_shape.hpp"
#include "cluster/least_removal.hpp"
#include "cluster/operations.hpp"
#include "cluster/room_gains.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace topoalloc {
namespace {

bool makes_room(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

class Preemption {
  public:
    Preemption(const ClusterData& data,
               const std::shared_ptr<const Gang>& gang,
               SearchLimits limits)
        : data_(data),
          gang_(gang),
          limits_(limits),
          one_ask_{limits.max_steps / 8},
          budget_{0, limits.max_steps - limits.max_steps / 4} {
        demand_not_running(data, *gang);
        std::ignore = shape_of(*gang, data.level_names());
        for (const auto& [name, running] : data.gangs()) {
            if (running->gang->priority < gang->priority && can_help(*running)) {
                candidates_.push_back({running->gang, running->pods});
            }
        }
        // By priority, then name: a bound on the priority leaves the first ones.
        std::ranges::stable_sort(candidates_, {}, [](const Removable& candidate) {
            return candidate.gang->priority;
        });
    }

    ClusterChange run() {
        ClusterChange change;
        change.verdict.gang = gang_;
        if (!bound_priority()) {
            change.verdict = check_on(without(all()), gang_, one_ask_);
            change.verdict.steps += budget_.steps;
            seal(data_, change);
            keep_question(change, [this] { return question(); });
            return change;
        }
        std::ranges::sort(candidates_, {}, [](const Removable& candidate) {
            return candidate.gang->name;
        });
        const RemovalAnswer found = find_victims();
        change.least = found.least;
        change.is_least = found.status == Status::optimal && !in_doubt_;
        if (makes_room(found.status)) {
            stop(found.set, change);
        } else {
            change.verdict.status = Status::unknown;
            change.verdict.reason = GangReason::step_limit;
            change.verdict.steps = budget_.steps;
        }
        seal(data_, change);
        keep_question(change, [this] { return question(); });
        return change;
    }

  private:
    // All of lower priority stop: of what a Gang with fewer conditions could use, too.
    [[nodiscard]] ChangeQuestion question() const {
        std::vector<Removable> lower;
        std::vector<std::string> names;
        for (const auto& [name, running] : data_.gangs()) {
            if (running->gang->priority < gang_->priority) {
                lower.push_back({running->gang, running->pods});
                names.push_back(name);
            }
        }
        return {ChangeKind::preempt,
                data_,
                without_pods(data_, lower, first(lower.size())),
                {{whole(gang_)}, {}},
                {},
                std::move(names),
                0};
    }

    // A Gang with no pod where the other one may go makes no room for it.
    [[nodiscard]] bool can_help(const RunningGang& running) const {
        return std::ranges::any_of(running.pods, [&](const PodPlace& pod) {
            const auto slot = find_slot(pod.node);
            return slot &&
                   std::ranges::any_of(gang_->podsets, [&](const PodSet& podset) {
                       return is_eligible(data_.node(*slot), podset);
                   });
        });
    }
    [[nodiscard]] std::optional<std::uint32_t> find_slot(
        const std::string& node) const {
        return data_.contains(node) ? std::optional(data_.slot_of(node)) : std::nullopt;
    }

    [[nodiscard]] RemovalSet all() const { return first(candidates_.size()); }
    [[nodiscard]] static RemovalSet first(std::size_t count) {
        RemovalSet out(count);
        std::iota(out.begin(), out.end(), 0);
        return out;
    }
    [[nodiscard]] ClusterData without(const RemovalSet& removed) const {
        return without_pods(data_, candidates_, removed);
    }

    RoomAnswer ask(const RemovalSet& removed) {
        const GangVerdict verdict = check_on(without(removed), gang_, one_ask_);
        return {verdict.status, verdict.steps + data_.size() / 64};
    }
    Status ask_within_budget(const RemovalSet& removed) {
        const RoomAnswer answer = ask(removed);
        std::ignore = budget_.spend(
            std::min(answer.steps + 1, budget_.max_steps - budget_.steps));
        return answer.status;
    }

    // Leaves the candidates up to the least priority that makes room. False: none
    // does, a proof, or the first question of all had no answer.
    bool bound_priority() {
        std::vector<std::size_t> ends;
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            if (i + 1 == candidates_.size() ||
                candidates_[i].gang->priority != candidates_[i + 1].gang->priority) {
                ends.push_back(i + 1);
            }
        }
        if (!makes_room(ask_within_budget(all()))) {
            return false;
        }
        std::size_t low = 0;
        std::size_t high = ends.empty() ? 0 : ends.size() - 1;
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            const Status status = ask_within_budget(first(ends[middle]));
            if (makes_room(status)) {
                high = middle;
            } else {
                in_doubt_ = in_doubt_ || status == Status::unknown;
                low = middle + 1;
            }
        }
        if (!ends.empty()) {
            candidates_.resize(ends[high]);
        }
        return true;
    }

    RemovalAnswer find_victims() {
        RemovalProblem problem;
        for (const Removable& candidate : candidates_) {
            problem.weights.push_back(candidate.pods.size());
        }
        std::uint64_t steps = 0;
        problem.regions = regions_of(data_, *gang_, candidates_, one_ask_, steps);
        std::ignore = budget_.spend(std::min(steps, budget_.max_steps - budget_.steps));
        problem.ask = [this](const RemovalSet& removed) { return ask(removed); };
        return least_removal(problem, budget_);
    }

    void stop(const RemovalSet& victims, ClusterChange& change) const {
        GangPlan plan =
            place_on(without(victims),
                     gang_,
                     {limits_.max_steps - std::min(limits_.max_steps, budget_.steps)});
        change.verdict = plan.verdict;
        change.verdict.steps += budget_.steps;
        if (!makes_room(plan.verdict.status)) {
            return;
        }
        if (plan.verdict.status == Status::optimal && !change.is_least) {
            change.verdict.status = Status::feasible;
            change.verdict.reason = GangReason::step_limit;
        }
        change.cost = std::move(plan.cost);
        change.members = member_names({{whole(gang_)}, {}}, ChangeKind::preempt);
        add_rails(*gang_, std::move(plan.rails), change);
        for (const std::uint32_t victim : victims) {
            change.victims.push_back(candidates_[victim].gang->name);
            add_moves(
                candidates_[victim].gang, candidates_[victim].pods, {}, {}, change);
        }
        for (PodPlace& pod : plan.pods) {
            change.moves.push_back(
                {gang_, pod.podset, pod.index, std::nullopt, std::move(pod)});
        }
    }

    const ClusterData& data_;
    const std::shared_ptr<const Gang>& gang_;
    SearchLimits limits_, one_ask_;
    StepBudget budget_;
    std::vector<Removable> candidates_;
    bool in_doubt_ = false;  ///< of the least priority
};

}  // namespace

ClusterChange preempt_on(const ClusterData& data,
                         const std::shared_ptr<const Gang>& gang,
                         SearchLimits limits) {
    return Preemption(data, gang, limits).run();
}

}  // namespace topoalloc
