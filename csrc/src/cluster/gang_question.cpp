// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_question.hpp"

#include "cluster/counted_question.hpp"
#include "cluster/gang_shape.hpp"
#include "cluster/gang_tables.hpp"
#include "cluster/pod_books.hpp"
#include "cluster/rails.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

CountVector counts_of(const Gang& gang) {
    CountVector counts;
    for (const PodSet& podset : gang.podsets) {
        counts.push_back(podset.count);
    }
    return counts;
}

// The vectors with pods of one PodSet alone.
CountTable only_podset(const CountTable& table, std::uint32_t podset) {
    const auto alone = [podset](const std::vector<CountVector>& from) {
        std::vector<CountVector> out;
        for (const CountVector& pods : from) {
            const auto sum = std::accumulate(pods.begin(), pods.end(), 0U);
            if (sum == pods[podset]) {
                out.push_back({sum});
            }
        }
        return out;
    };
    return {alone(table.attained),
            alone(table.possible),
            {table.copies[podset]},
            {table.may_have_more[podset]}};
}

// The problem of one PodSet by itself.
GangProblem only_podset(const GangProblem& problem, std::uint32_t podset) {
    GangProblem out;
    out.levels = problem.levels;
    out.podsets = {problem.podsets[podset]};
    out.nodes = problem.nodes;
    out.open_domains = problem.open_domains;
    for (const WithinRule& rule : problem.within) {
        if (rule.podsets[podset]) {
            out.within.push_back({{true}, rule.level});
        }
    }
    const auto copy_rules = [podset](const std::vector<LevelRule>& from,
                                     std::vector<LevelRule>& to) {
        for (LevelRule rule : from) {
            if (rule.podset == podset) {
                rule.podset = 0;
                to.push_back(rule);
            }
        }
    };
    copy_rules(problem.slices, out.slices);
    copy_rules(problem.spread, out.spread);
    copy_rules(problem.balanced, out.balanced);
    std::ranges::transform(
        problem.tables,
        std::back_inserter(out.tables),
        [podset](const CountTable& all) { return only_podset(all, podset); });
    return out;
}

class GangQuestion {
  public:
    GangQuestion(const ClusterData& data,
                 const std::shared_ptr<const Gang>& gang,
                 GangProblem shape,
                 SearchLimits limits)
        : data_(data),
          gang_(gang),
          limits_(limits),
          problem_(std::move(shape)),
          requests_(requests_of(*gang)),
          counts_(counts_of(*gang)),
          seen_(gang->podsets.size()) {
        problem_.open_domains = open_domains_of(data);
        for (const std::uint32_t slot : data.order()) {
            add_node(slot);
        }
        if (has_rails(*gang)) {
            rails_.emplace(data.pool(), problem_, rail_input_of(std::nullopt));
        }
    }

    GangVerdict check() {
        GangVerdict verdict;
        verdict.gang = gang_;
        if (refuse_by_counts(verdict)) {
            return verdict;
        }
        conclude(rails_ ? rails_->check(left()) : check_gang(problem_, left()),
                 verdict);
        return verdict;
    }

    GangPlan place() {
        GangPlan plan;
        plan.verdict.gang = gang_;
        if (refuse_by_counts(plan.verdict)) {
            return plan;
        }
        for (;;) {
            GangAnswer answer =
                rails_ ? rails_->place(left()) : place_gang(problem_, left());
            steps_ += answer.steps;
            answer.steps = 0;
            conclude(answer, plan.verdict);
            if (answer.pods.empty() || add_pods(answer, plan)) {
                plan.cost = std::move(answer.cost);
                if (rails_ && !plan.pods.empty()) {
                    plan.rails = rails_->lists();
                }
                return plan;
            }
        }
    }

  private:
    [[nodiscard]] SearchLimits left() const {
        return {limits_.max_steps - std::min(limits_.max_steps, steps_)};
    }

    void add_node(std::uint32_t slot) {
        const NodeEntry& entry = data_.node(slot);
        std::vector<bool> eligible(gang_->podsets.size());
        if (!entry.cordoned) {
            for (std::size_t p = 0; p < eligible.size(); ++p) {
                eligible[p] = is_eligible(gang_->podsets[p], entry.info->described);
                seen_[p] = seen_[p] || eligible[p];
            }
        }
        if (std::ranges::count(eligible, true) == 0) {
            return;
        }
        const std::uint32_t table = table_of(entry.state, std::move(eligible));
        if (problem_.tables[table].possible.size() <= 1) {
            return;
        }
        problem_.nodes.push_back(
            {table, entry.info->domains, !entry.holdings->empty()});
        slots_.push_back(slot);
    }

    std::uint32_t table_of(const NodeClassPtr& of, std::vector<bool> eligible) {
        const auto [it, is_new] =
            known_.try_emplace({of.get(), std::move(eligible)},
                               static_cast<std::uint32_t>(problem_.tables.size()));
        if (is_new) {
            const CountTable table = data_.pool().table(
                *of, requests_, counts_, limits_.max_steps, node_steps_);
            problem_.tables.push_back(restrict_to(table, it->first.second));
            classes_.push_back(of.get());
        }
        return it->second;
    }

    // "No" where the pods of one PodSet alone are more than all nodes hold.
    bool refuse_by_counts(GangVerdict& verdict) const {
        const auto podset = podset_without_room(problem_);
        if (!podset) {
            return false;
        }
        demand_known_devices(data_, requests_[*podset]);
        verdict.status = Status::infeasible;
        verdict.reason =
            seen_[*podset] ? GangReason::not_enough_room : GangReason::no_eligible_node;
        verdict.podset = *podset;
        verdict.steps = node_steps_ + steps_;
        return true;
    }

    // Names what the answer means. Requires: not refused by counts.
    void conclude(const GangAnswer& answer, GangVerdict& verdict) {
        steps_ += answer.steps;
        verdict.status = answer.status;
        switch (answer.status) {
            case Status::optimal:
                verdict.reason = GangReason::placed;
                break;
            case Status::feasible:
            case Status::unknown:
                verdict.reason = GangReason::step_limit;
                break;
            case Status::infeasible:
                find_conflict(verdict);
                break;
        }
        verdict.steps = node_steps_ + steps_;
    }

    void find_conflict(GangVerdict& verdict) {
        verdict.reason = GangReason::gang_conflict;
        for (std::uint32_t p = 0; p < gang_->podsets.size(); ++p) {
            if (gang_->podsets.size() > 1) {
                const GangAnswer alone = check_alone(p);
                steps_ += alone.steps;
                if (alone.status != Status::infeasible) {
                    continue;
                }
            }
            verdict.reason = GangReason::podset_conflict;
            verdict.podset = p;
            return;
        }
    }

    [[nodiscard]] GangAnswer check_alone(std::uint32_t podset) const {
        const GangProblem alone = only_podset(problem_, podset);
        if (rail_classes(gang_->podsets[podset]).empty()) {
            return check_gang(alone, left());
        }
        return RailSearch(data_.pool(), alone, rail_input_of(podset)).check(left());
    }

    // Of all PodSets, or of one alone.
    [[nodiscard]] RailInput rail_input_of(std::optional<std::uint32_t> only) const {
        std::vector<const PodSet*> podsets;
        for (std::uint32_t p = 0; p < gang_->podsets.size(); ++p) {
            if (only.value_or(p) == p) {
                podsets.push_back(&gang_->podsets[p]);
            }
        }
        RailInput input = rail_input(podsets, limits_.max_steps);
        add_rail_tables(classes_, input);
        return input;
    }

    // Places the pods of each node. False when a node turned out not to hold its own:
    // then its table says so.
    bool add_pods(const GangAnswer& answer, GangPlan& plan) {
        std::map<std::pair<std::uint32_t, CountVector>, Placements> known;
        std::vector<const Placements*> placements(answer.pods.size());
        for (std::size_t n = 0; n < answer.pods.size(); ++n) {
            const CountVector& pods = answer.pods[n];
            if (std::ranges::count(pods, 0U) == std::ssize(pods)) {
                continue;
            }
            const std::uint32_t table = problem_.nodes[n].table;
            const NodeEntry& entry = data_.node(slots_[n]);
            auto it = known.find({table, pods});
            if (it == known.end()) {
                auto made =
                    rails_ ? rails_->placements(table, pods)
                           : data_.pool().placements(*entry.state, requests_, pods);
                if (!made) {
                    forget(problem_.tables[table], pods);
                    return false;
                }
                it = known.emplace(std::pair(table, pods), std::move(*made)).first;
            }
            placements[n] = &it->second;
            plan.basis.push_back({entry.info->described.name, entry.info, entry.state});
        }
        for (std::uint32_t p = 0; p < gang_->podsets.size(); ++p) {
            add_podset(p, answer, placements, plan);
        }
        return true;
    }

    void add_podset(std::uint32_t podset,
                    const GangAnswer& answer,
                    const std::vector<const Placements*>& placed,
                    GangPlan& plan) const {
        std::uint32_t index = 0;
        for (const std::size_t n : rank_order(problem_, podset, answer.pods)) {
            const CountVector& pods = answer.pods[n];
            const NodeDescription& node = data_.node(slots_[n]).info->described;
            const auto first = std::accumulate(pods.begin(), pods.begin() + podset, 0U);
            for (std::uint32_t i = 0; i < pods[podset]; ++i) {
                plan.pods.push_back({podset,
                                     index++,
                                     node.name,
                                     (*placed[n])[first + i],
                                     node.machine});
            }
        }
    }

    const ClusterData& data_;
    const std::shared_ptr<const Gang>& gang_;
    SearchLimits limits_;
    GangProblem problem_;
    Requests requests_;
    CountVector counts_;
    std::vector<bool> seen_;            ///< by PodSet: there is an eligible node
    std::vector<std::uint32_t> slots_;  ///< by node of the problem
    std::map<std::pair<const NodeClass*, std::vector<bool>>, std::uint32_t> known_;
    std::vector<const NodeClass*> classes_;  ///< by table
    std::optional<RailSearch> rails_;        ///< where the Gang has any
    std::uint64_t node_steps_ = 0;  ///< to know what nodes hold: each has its own limit
    std::uint64_t steps_ = 0;
};

// Where there is no plan the state is kept for an Explanation; elsewhere it would make
// the commit that follows copy what the two share.
void keep_state(const ClusterData& data, GangVerdict& verdict) {
    if (verdict.status == Status::infeasible || verdict.status == Status::unknown) {
        verdict.snapshot = std::make_shared<const ClusterData>(data);
    }
}

}  // namespace

GangVerdict check_on(const ClusterData& data,
                     const std::shared_ptr<const Gang>& gang,
                     SearchLimits limits) {
    GangProblem shape = shape_of(*gang, data.level_names());
    auto counted =
        has_rails(*gang) ? std::nullopt : check_by_counts(data, gang, shape, limits);
    GangVerdict verdict =
        counted ? std::move(*counted)
                : GangQuestion(data, gang, std::move(shape), limits).check();
    if (verdict.status == Status::feasible) {
        verdict.reason = GangReason::fits;
    }
    keep_state(data, verdict);
    return verdict;
}

GangPlan place_on(const ClusterData& data,
                  const std::shared_ptr<const Gang>& gang,
                  SearchLimits limits) {
    GangProblem shape = shape_of(*gang, data.level_names());
    auto counted =
        has_rails(*gang) ? std::nullopt : place_by_counts(data, gang, shape, limits);
    GangPlan plan = counted
                        ? std::move(*counted)
                        : GangQuestion(data, gang, std::move(shape), limits).place();
    demand_own_names(data, plan);
    keep_state(data, plan.verdict);
    return plan;
}

}  // namespace topoalloc
