// SPDX-License-Identifier: Apache-2.0
//
// Which pods to move so that a Gang fits: docs/cluster-objective.md, section 9.
#include "cluster/cluster_change.hpp"
#include "cluster/gang_question.hpp"
#include "cluster/gang_shape.hpp"
#include "cluster/joint_question.hpp"
#include "cluster/least_removal.hpp"
#include "cluster/operations.hpp"
#include "cluster/pod_books.hpp"
#include "cluster/rails.hpp"
#include "cluster/room_gains.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace topoalloc {
namespace {

bool makes_room(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

class Defragmentation {
  public:
    Defragmentation(const ClusterData& data,
                    const std::shared_ptr<const Gang>& gang,
                    SearchLimits limits)
        : data_(data),
          gang_(gang),
          limits_(limits),
          one_ask_{limits.max_steps / 8},
          budget_{0, limits.max_steps - limits.max_steps / 4} {
        demand_not_running(data, *gang);
        std::ignore = shape_of(*gang, data.level_names());
    }

    ClusterChange run() {
        ClusterChange change;
        change.verdict = check_on(data_, gang_, one_ask_);
        spend(change.verdict.steps);
        RemovalAnswer found{Status::optimal, {}, 0};
        if (!makes_room(change.verdict.status)) {
            for (const auto& [name, running] : data_.gangs()) {
                add_candidates(*running);
            }
            found = find_moves();
            if (in_doubt_) {
                doubt(found);
            }
        }
        change.least = found.least;
        change.is_least = found.status == Status::optimal;
        if (makes_room(found.status)) {
            move(found.set, change);
        } else if (found.status == Status::infeasible) {
            refute(change);
        } else {
            change.verdict.status = Status::unknown;
            change.verdict.reason = GangReason::step_limit;
        }
        change.verdict.gang = gang_;
        change.verdict.steps = budget_.steps;
        seal(data_, change);
        keep_question(change, [this] { return question(); });
        return change;
    }

  private:
    void spend(std::uint64_t steps) {
        std::ignore = budget_.spend(std::min(steps, budget_.max_steps - budget_.steps));
    }

    // Pods that were left out might have made room sooner.
    static void doubt(RemovalAnswer& found) {
        found.least = std::min<std::uint64_t>(found.least, 1);
        if (found.status == Status::infeasible) {
            found.status = Status::unknown;
        } else if (found.status == Status::optimal && !found.set.empty()) {
            found.status = Status::feasible;
        }
    }

    // Pods that hold their places, in all; those with Rails with what they hold now.
    [[nodiscard]] std::vector<PodPlace> held_pods(const RunningGang& running) const {
        std::vector<PodPlace> out;
        std::ranges::copy_if(
            running.pods, std::back_inserter(out), [&](const PodPlace& pod) {
                return is_held(
                    data_, pod.node, pod_owner(*running.gang, pod.podset, pod.index));
            });
        for (PodPlace& pod : out) {
            if (!running.rails.empty()) {
                const NodeEntry& entry = data_.node(data_.slot_of(pod.node));
                pod.placement = std::make_shared<const Placement>(
                    entry.holdings->at(pod_owner(*running.gang, pod.podset, pod.index))
                        .placement);
            }
        }
        return out;
    }

    // Pods that may be put back where they are: so moving more is never worse.
    void add_candidates(const RunningGang& running) {
        std::vector<PodPlace> held = held_pods(running);
        const CountVector counts = count_pods(*running.gang, held);
        const JointAnswer now =
            check_joint_on(data_,
                           {{{running.gang, held, counts, counts, running.rails}}, {}},
                           one_ask_);
        spend(now.steps);
        in_doubt_ = in_doubt_ || now.status == Status::unknown;
        if (!makes_room(now.status) ||
            !hold_first_entries(*running.gang, held, running.rails)) {
            return;
        }
        std::ranges::sort(held, [](const PodPlace& a, const PodPlace& b) {
            return std::pair(a.podset, a.index) < std::pair(b.podset, b.index);
        });
        for (const PodPlace& pod : held) {
            const NodeEntry& entry = data_.node(data_.slot_of(pod.node));
            if (is_eligible(entry, running.gang->podsets[pod.podset])) {
                candidates_.push_back({running.gang, {pod}});
            }
        }
    }

    // The Gang first, then those with pods that move, by name.
    [[nodiscard]] JointInput input_for(const RemovalSet& moved) const {
        JointInput input{{whole(gang_)}, {}};
        for (const auto& [gang, pods] : moved_pods(moved)) {
            const RunningGang& running = *data_.gangs().at(gang);
            const std::vector<PodPlace> held = held_pods(running);
            const CountVector counts = count_pods(*running.gang, held);
            JointPart part{running.gang, {}, counts, counts, running.rails};
            std::ranges::copy_if(
                held, std::back_inserter(part.stays), [&](const PodPlace& pod) {
                    return std::ranges::none_of(pods, [&](const PodPlace& other) {
                        return other.podset == pod.podset && other.index == pod.index;
                    });
                });
            input.parts.push_back(std::move(part));
        }
        return input;
    }

    [[nodiscard]] std::map<std::string, std::vector<PodPlace>> moved_pods(
        const RemovalSet& moved) const {
        std::map<std::string, std::vector<PodPlace>> out;
        for (const std::uint32_t element : moved) {
            out[candidates_[element].gang->name].push_back(
                candidates_[element].pods.front());
        }
        return out;
    }

    RoomAnswer ask(const RemovalSet& moved) {
        const ClusterData now = without_pods(data_, candidates_, moved);
        // The Gang alone says "no" sooner, and says it of more sets.
        const GangVerdict alone = check_on(now, gang_, one_ask_);
        std::uint64_t steps = alone.steps + data_.size() / 64;
        if (alone.status == Status::infeasible) {
            return {alone.status, steps};
        }
        const JointAnswer answer = check_joint_on(now, input_for(moved), one_ask_);
        steps += answer.steps;
        return {answer.status, steps};
    }

    RemovalAnswer find_moves() {
        RemovalProblem problem;
        problem.weights.assign(candidates_.size(), 1);
        std::uint64_t steps = 0;
        problem.regions = regions_of(data_, *gang_, candidates_, one_ask_, steps);
        spend(steps);
        problem.ask = [this](const RemovalSet& moved) { return ask(moved); };
        return least_removal(problem, budget_);
    }

    void move(const RemovalSet& moved, ClusterChange& change) {
        const JointInput input = input_for(moved);
        JointAnswer answer = place_joint_on(without_pods(data_, candidates_, moved),
                                            input,
                                            {limits_.max_steps - budget_.steps});
        budget_.steps += answer.steps;
        change.verdict.status = answer.status;
        change.verdict.reason = answer.reason;
        if (!makes_room(answer.status)) {
            return;
        }
        if (answer.status == Status::optimal && !change.is_least) {
            change.verdict.status = Status::feasible;
            change.verdict.reason = GangReason::step_limit;
        }
        change.cost = std::move(answer.cost);
        change.members = member_names(input, ChangeKind::defragment);
        std::vector<std::vector<std::uint32_t>> ranks;
        for (const PodSet& podset : gang_->podsets) {
            ranks.emplace_back(podset.count);
            std::iota(ranks.back().begin(), ranks.back().end(), 0);
        }
        add_moves(gang_, {}, answer.places.front(), ranks, change);
        for (std::size_t i = 0; i < input.parts.size(); ++i) {
            add_rails(*input.parts[i].gang, std::move(answer.rails[i]), change);
        }
        std::size_t part = 1;
        for (const auto& [name, pods] : moved_pods(moved)) {
            add_moves(input.parts[part].gang, pods, answer.places[part], {}, change);
            ++part;
        }
    }

    [[nodiscard]] RemovalSet all() const {
        RemovalSet out(candidates_.size());
        std::iota(out.begin(), out.end(), 0);
        return out;
    }

    // All that may move does.
    [[nodiscard]] ChangeQuestion question() const {
        return {ChangeKind::defragment,
                data_,
                without_pods(data_, candidates_, all()),
                input_for(all()),
                {},
                {},
                candidates_.size()};
    }

    // Says why, as far as the Gang by itself shows it.
    void refute(ClusterChange& change) const {
        const GangVerdict alone =
            check_on(without_pods(data_, candidates_, all()), gang_, one_ask_);
        change.verdict.status = Status::infeasible;
        change.verdict.podset = alone.podset;
        change.verdict.reason = alone.status == Status::infeasible
                                    ? alone.reason
                                    : GangReason::gang_conflict;
    }

    const ClusterData& data_;
    const std::shared_ptr<const Gang>& gang_;
    SearchLimits limits_, one_ask_;
    StepBudget budget_;
    std::vector<Removable> candidates_;  ///< by Gang, PodSet, rank
    bool in_doubt_ = false;              ///< whether a Gang keeps its rules
};

}  // namespace

ClusterChange defragment_on(const ClusterData& data,
                            const std::shared_ptr<const Gang>& gang,
                            SearchLimits limits) {
    return Defragmentation(data, gang, limits).run();
}

}  // namespace topoalloc
