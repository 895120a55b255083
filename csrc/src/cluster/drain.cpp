// SPDX-License-Identifier: Apache-2.0
//
// Nodes emptied of the pods of Gangs: docs/cluster-objective.md, section 7.
#include "cluster/cluster_change.hpp"
#include "cluster/joint_question.hpp"
#include "cluster/operations.hpp"
#include "cluster/pod_books.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

struct Leaving {
    std::shared_ptr<const RunningGang> running;
    std::vector<PodPlace> pods, stays;
};

class Drain {
  public:
    Drain(const ClusterData& data,
          const std::set<std::string>& nodes,
          SearchLimits limits)
        : data_(data), nodes_(nodes), limits_(limits), emptied_(data) {
        for (const std::string& node : nodes_) {
            barred_.insert(data.slot_of(node));
        }
        find_pods();
    }

    ClusterChange run() {
        ClusterChange change;
        change.cordoned.assign(nodes_.begin(), nodes_.end());
        list_others(change);
        place_together(change);
        // Half of the steps are for this: what is too large at once may be found so.
        if (change.verdict.status == Status::unknown && leaving_.size() > 1) {
            place_in_turn(change);
        }
        change.verdict.steps = steps_;
        seal(data_, change);
        keep_question(change, [this] { return question(); });
        return change;
    }

    [[nodiscard]] ChangeQuestion question() const {
        JointInput input{{}, barred_};
        for (const Leaving& leaving : leaving_) {
            input.parts.push_back(part_of(leaving));
        }
        return {ChangeKind::drain, data_, emptied_, std::move(input), nodes_, {}, 0};
    }

  private:
    void find_pods() {
        PodBooks books(emptied_);
        for (const auto& [name, running] : data_.gangs()) {
            Leaving leaving{running, {}, {}};
            for (const PodPlace& pod : running->pods) {
                const std::string owner =
                    pod_owner(*running->gang, pod.podset, pod.index);
                if (!is_held(data_, pod.node, owner)) {
                    continue;  // It has no place to leave.
                }
                if (!nodes_.contains(pod.node)) {
                    leaving.stays.push_back(pod);
                    continue;
                }
                leaving.pods.push_back(pod);
                owners_.emplace(pod.node, owner);
                books.release(*running->gang, pod);
            }
            if (!leaving.pods.empty()) {
                leaving_.push_back(std::move(leaving));
            }
        }
        books.apply();
    }

    void list_others(ClusterChange& change) const {
        for (const std::string& node : nodes_) {
            for (const auto& [owner, held] :
                 *data_.node(data_.slot_of(node)).holdings) {
                if (!owners_.contains({node, owner})) {
                    change.left.emplace_back(node, owner);
                }
            }
        }
    }

    static JointPart part_of(const Leaving& leaving) {
        const Gang& gang = *leaving.running->gang;
        CountVector counts = count_pods(gang, leaving.pods);
        std::ranges::transform(
            counts, count_pods(gang, leaving.stays), counts.begin(), std::plus<>());
        return {leaving.running->gang,
                leaving.stays,
                counts,
                counts,
                leaving.running->rails};
    }

    [[nodiscard]] SearchLimits left() const {
        return {limits_.max_steps - std::min(limits_.max_steps, steps_)};
    }

    void place_together(ClusterChange& change) {
        const JointInput input = question().input;
        if (input.parts.empty()) {
            change.verdict.status = Status::optimal;
            change.verdict.reason = GangReason::placed;
            return;
        }
        JointAnswer answer = place_joint_on(
            emptied_,
            input,
            leaving_.size() > 1 ? SearchLimits{limits_.max_steps / 2} : limits_);
        steps_ += answer.steps;
        change.verdict.status = answer.status;
        change.verdict.reason = answer.reason;
        if (answer.places.empty() ||
            (answer.status != Status::optimal && answer.status != Status::feasible)) {
            return;
        }
        for (std::size_t i = 0; i < leaving_.size(); ++i) {
            add_moves(leaving_[i].running->gang,
                      leaving_[i].pods,
                      answer.places[i],
                      {},
                      change);
            add_rails(*leaving_[i].running->gang, std::move(answer.rails[i]), change);
        }
        change.cost = std::move(answer.cost);
        change.members = member_names(input, ChangeKind::drain);
    }

    // Each Gang beside what those before it got. "No" only where one has no place even
    // with all the others away.
    void place_in_turn(ClusterChange& change) {
        ClusterData now = emptied_;
        GangCost sum;
        std::vector<std::int64_t> unmet_groups;
        for (const Leaving& leaving : leaving_) {
            const JointInput input{{part_of(leaving)}, barred_};
            JointAnswer answer = place_joint_on(now, input, left());
            steps_ += answer.steps;
            if (answer.status != Status::optimal && answer.status != Status::feasible) {
                change.moves.clear();
                change.rails.clear();
                refute(change);
                return;
            }
            const std::size_t first = change.moves.size();
            add_moves(
                leaving.running->gang, leaving.pods, answer.places.front(), {}, change);
            add_rails(*leaving.running->gang, std::move(answer.rails.front()), change);
            PodBooks books(now);
            for (std::size_t i = first; i < change.moves.size(); ++i) {
                books.take(leaving.running->gang, *change.moves[i].to);
            }
            books.apply();
            add_cost(*leaving.running->gang, answer.cost, sum, unmet_groups);
        }
        sum.unmet.insert(sum.unmet.end(), unmet_groups.begin(), unmet_groups.end());
        change.cost = std::move(sum);
        change.members = member_names(question().input, ChangeKind::drain);
        change.verdict.status = Status::feasible;
        change.verdict.reason = GangReason::step_limit;
    }

    void refute(ClusterChange& change) {
        for (const Leaving& leaving : leaving_) {
            const JointAnswer alone =
                check_joint_on(emptied_, {{part_of(leaving)}, barred_}, left());
            steps_ += alone.steps;
            if (alone.status == Status::infeasible) {
                change.verdict.status = Status::infeasible;
                change.verdict.reason = alone.reason;
                return;
            }
        }
    }

    // Preferences stand as where the Gangs are placed together: of all PodSets, then of
    // all Groups.
    static void add_cost(const Gang& gang,
                         const GangCost& from,
                         GangCost& to,
                         std::vector<std::int64_t>& unmet_groups) {
        const auto add = [](const std::vector<std::int64_t>& more,
                            std::vector<std::int64_t>& sum) {
            sum.resize(more.size());
            std::ranges::transform(sum, more, sum.begin(), std::plus<>());
        };
        const auto groups =
            from.unmet.begin() + static_cast<std::ptrdiff_t>(gang.podsets.size());
        to.unmet.insert(to.unmet.end(), from.unmet.begin(), groups);
        unmet_groups.insert(unmet_groups.end(), groups, from.unmet.end());
        add(from.domains, to.domains);
        add(from.opened, to.opened);
        to.nodes += from.nodes;
        to.waste += from.waste;
    }

    const ClusterData& data_;
    const std::set<std::string>& nodes_;
    SearchLimits limits_;
    ClusterData emptied_;  ///< without the pods that leave
    std::set<std::uint32_t> barred_;
    std::vector<Leaving> leaving_;  ///< by name
    std::set<std::pair<std::string, std::string>> owners_;
    std::uint64_t steps_ = 0;
};

}  // namespace

ClusterChange drain_on(const ClusterData& data,
                       const std::vector<std::string>& nodes,
                       SearchLimits limits) {
    return Drain(data, {nodes.begin(), nodes.end()}, limits).run();
}

ChangeQuestion drain_question(const ClusterData& data,
                              const std::set<std::string>& nodes) {
    return Drain(data, nodes, {}).question();
}

}  // namespace topoalloc
