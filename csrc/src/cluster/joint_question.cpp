// SPDX-License-Identifier: Apache-2.0
#include "cluster/joint_question.hpp"

#include "cluster/gang_shape.hpp"
#include "cluster/gang_tables.hpp"
#include "cluster/rails.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

// Vectors of pods that are listed for one node.
constexpr std::uint64_t most_vectors = 20'000;

bool is_nothing(const CountVector& pods) {
    return std::ranges::count(pods, 0U) == std::ssize(pods);
}

// Adds the PodSets, Groups and rules of one Gang after those that are there.
class ShapeJoin {
  public:
    ShapeJoin(std::size_t podsets, GangProblem& out) : podsets_(podsets), out_(out) {}

    void add(const JointPart& part, GangProblem shape) {
        const auto first = static_cast<std::uint32_t>(out_.podsets.size());
        for (std::size_t p = 0; p < shape.podsets.size(); ++p) {
            shape.podsets[p].count = part.counts[p];
            shape.podsets[p].min_count = part.min_counts[p];
            out_.podsets.push_back(shape.podsets[p]);
        }
        for (const WithinRule& rule : shape.within) {
            out_.within.push_back(widen(rule, first));
        }
        add_rules(shape.slices, first, out_.slices);
        add_rules(shape.spread, first, out_.spread);
        // Without a pod the rule holds; there is no number to balance.
        const auto has_pods = [&](const LevelRule& rule) {
            return part.counts[rule.podset] != 0;
        };
        std::erase_if(shape.balanced, std::not_fn(has_pods));
        std::erase_if(shape.prefer, [&](const PreferRule& rule) {
            return rule.kind == RuleKind::balanced && !has_pods(rule.level);
        });
        add_rules(shape.balanced, first, out_.balanced);
        for (PreferRule rule : shape.prefer) {
            rule.within = widen(rule.within, first);
            rule.level.podset += first;
            const auto own = static_cast<std::uint32_t>(shape.podsets.size());
            rule.unmet = rule.unmet < own ? first + rule.unmet
                                          : static_cast<std::uint32_t>(podsets_) +
                                                out_.groups + rule.unmet - own;
            out_.prefer.push_back(rule);
        }
        out_.groups += shape.groups;
    }

  private:
    [[nodiscard]] WithinRule widen(const WithinRule& rule, std::uint32_t first) const {
        WithinRule out{std::vector<bool>(podsets_), rule.level};
        for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
            out.podsets[first + p] = rule.podsets[p];
        }
        return out;
    }
    static void add_rules(const std::vector<LevelRule>& from,
                          std::uint32_t first,
                          std::vector<LevelRule>& to) {
        for (LevelRule rule : from) {
            rule.podset += first;
            to.push_back(rule);
        }
    }

    std::size_t podsets_;
    GangProblem& out_;
};

class JointQuestion {
  public:
    JointQuestion(const ClusterData& data, const JointInput& input, SearchLimits limits)
        : data_(data), input_(input), limits_(limits) {
        for (const JointPart& part : input.parts) {
            first_.push_back(static_cast<std::uint32_t>(podsets_.size()));
            for (const PodSet& podset : part.gang->podsets) {
                podsets_.push_back(&podset);
                requests_.push_back(podset.request);
            }
        }
        make_shape();
        collect_bases();
        for (const std::uint32_t slot : data.order()) {
            add_node(slot);
        }
        const auto has_any = [](const JointPart& part) {
            return has_rails(*part.gang);
        };
        if (!is_too_large_ && std::ranges::any_of(input.parts, has_any)) {
            rails_.emplace(data.pool(), problem_, make_rail_input());
        }
    }

    JointAnswer check() {
        JointAnswer out;
        if (!is_refused(out)) {
            conclude(rails_ ? rails_->check(left()) : check_gang(problem_, left()),
                     out);
        }
        return out;
    }

    JointAnswer place() {
        JointAnswer out;
        if (is_refused(out)) {
            return out;
        }
        for (;;) {
            GangAnswer answer =
                rails_ ? rails_->place(left()) : place_gang(problem_, left());
            conclude(answer, out);
            out.places.assign(input_.parts.size(), {});
            if (answer.pods.empty() || add_places(answer, out)) {
                add_rails(out);
                out.cost = std::move(answer.cost);
                return out;
            }
        }
    }

  private:
    // Pods that stay on a node.
    struct Base {
        CountVector pods;
        std::vector<std::vector<std::uint32_t>> held;  ///< as RailTable
        [[nodiscard]] auto operator<=>(const Base&) const = default;
    };
    // What a node has of each PodSet, and may have more of.
    struct TableKey {
        const NodeClass* state = nullptr;
        std::vector<bool> eligible;
        Base base;
        [[nodiscard]] auto operator<=>(const TableKey&) const = default;
    };

    [[nodiscard]] SearchLimits left() const {
        return {limits_.max_steps - std::min(limits_.max_steps, steps_)};
    }

    void make_shape() {
        const std::vector<std::string> levels = data_.level_names();
        problem_.levels = static_cast<std::uint32_t>(levels.size());
        ShapeJoin join(podsets_.size(), problem_);
        for (const JointPart& part : input_.parts) {
            join.add(part, shape_of(*part.gang, levels));
        }
        problem_.open_domains = open_domains_of(data_);
    }

    void collect_bases() {
        for (const GangPodSet& podset : problem_.podsets) {
            most_.push_back(podset.count);
        }
        for (std::size_t i = 0; i < input_.parts.size(); ++i) {
            for (const PodPlace& pod : input_.parts[i].stays) {
                Base& base = bases_[data_.slot_of(pod.node)];
                base.pods.resize(podsets_.size());
                base.held.resize(podsets_.size());
                ++base.pods[first_[i] + pod.podset];
                --most_[first_[i] + pod.podset];
            }
            collect_held(i);
        }
    }

    // Places in the lists that pods which stay have.
    void collect_held(std::size_t part) {
        const JointPart& of = input_.parts[part];
        std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<const Placement*>>
            pods;
        for (const PodPlace& pod : of.stays) {
            if (!of.rails.empty() && !of.rails[pod.podset].empty()) {
                const std::uint32_t slot = data_.slot_of(pod.node);
                // What it holds now: the node's own Allocator may have resized it.
                pods[{slot, pod.podset}].push_back(
                    &data_.node(slot)
                         .holdings->at(pod_owner(*of.gang, pod.podset, pod.index))
                         .placement);
            }
        }
        for (const auto& [key, placements] : pods) {
            const auto& [slot, podset] = key;
            bases_[slot].held[first_[part] + podset] =
                places_held(of.rails[podset],
                            rail_classes(of.gang->podsets[podset]),
                            data_.node(slot).state->state->machine(),
                            placements);
        }
    }

    [[nodiscard]] RailInput make_rail_input() const {
        RailInput input = rail_input(podsets_, limits_.max_steps);
        for (std::size_t i = 0; i < input_.parts.size(); ++i) {
            const GangRails& rails = input_.parts[i].rails;
            std::ranges::copy(rails, input.fixed.begin() + first_[i]);
        }
        for (std::size_t t = 0; t < table_states_.size(); ++t) {
            input.tables.push_back(
                {table_states_[t], table_bases_[t].pods, table_bases_[t].held});
        }
        return input;
    }

    void add_rails(JointAnswer& out) const {
        out.rails.resize(input_.parts.size());
        for (std::size_t i = 0; rails_ && i < input_.parts.size(); ++i) {
            const Gang& gang = *input_.parts[i].gang;
            if (has_rails(gang)) {
                const auto first = rails_->lists().begin() + first_[i];
                out.rails[i].assign(first, first + std::ssize(gang.podsets));
            }
        }
    }

    void add_node(std::uint32_t slot) {
        const NodeEntry& entry = data_.node(slot);
        TableKey key{entry.state.get(), std::vector<bool>(podsets_.size()), {}};
        for (std::size_t p = 0; p < podsets_.size(); ++p) {
            key.eligible[p] = !entry.cordoned && !input_.barred.contains(slot) &&
                              is_eligible(*podsets_[p], entry.info->described);
        }
        const auto base = bases_.find(slot);
        key.base = base == bases_.end()
                       ? Base{CountVector(podsets_.size()),
                              std::vector<CountVector>(podsets_.size())}
                       : base->second;
        const std::uint32_t table = table_of(*entry.state, std::move(key));
        // One that gets nothing still counts in the waste of its Domain.
        const CountTable& holds = problem_.tables[table];
        if (is_nothing(holds.copies) && holds.possible.size() == 1 &&
            is_nothing(holds.possible.front())) {
            return;
        }
        problem_.nodes.push_back(
            {table, entry.info->domains, !entry.holdings->empty()});
        slots_.push_back(slot);
    }

    std::uint32_t table_of(const NodeClass& of, TableKey key) {
        const auto known = tables_.find(key);
        if (known != tables_.end()) {
            return known->second;
        }
        const auto made = static_cast<std::uint32_t>(problem_.tables.size());
        problem_.tables.push_back(make_table(of, key));
        table_bases_.push_back(key.base);
        table_states_.push_back(&of);
        tables_.emplace(std::move(key), made);
        return made;
    }

    // Pods that stay, and those that may come to them.
    CountTable make_table(const NodeClass& of, const TableKey& key) {
        CountTable out;
        out.copies = key.base.pods;
        out.may_have_more.resize(key.base.pods.size());
        CountVector most(most_.size());
        std::uint64_t vectors = 1;
        for (std::size_t p = 0; p < most.size(); ++p) {
            if (!key.eligible[p]) {
                continue;
            }
            const HeadroomResult alone =
                data_.pool().headroom(of, requests_[p], limits_.max_steps);
            out.copies[p] += alone.count;
            out.may_have_more[p] = alone.count != alone.upper;
            most[p] = std::min(most_[p], alone.upper);
            vectors = std::min(most_vectors + 1, vectors * (most[p] + 1));
        }
        is_too_large_ = is_too_large_ || vectors > most_vectors;
        if (is_nothing(most) || is_too_large_) {
            out.attained = out.possible = {key.base.pods};
            return out;
        }
        const CountTable more =
            data_.pool().table(of, requests_, most, limits_.max_steps, steps_);
        out.attained = shift(more.attained, key.base.pods);
        out.possible = shift(more.possible, key.base.pods);
        return out;
    }

    static std::vector<CountVector> shift(std::vector<CountVector> vectors,
                                          const CountVector& base) {
        for (CountVector& pods : vectors) {
            std::ranges::transform(pods, base, pods.begin(), std::plus<>());
        }
        return vectors;
    }

    // Known without a search: nothing, or "no" where all nodes hold too few of one.
    bool is_refused(JointAnswer& out) const {
        out.steps = steps_;
        if (is_too_large_) {
            out.status = Status::unknown;
            out.reason = GangReason::step_limit;
            return true;
        }
        if (const auto podset = podset_without_room(problem_)) {
            out.reason = GangReason::not_enough_room;
            out.podset = *podset;
        }
        return out.podset != no_index;
    }

    void conclude(const GangAnswer& answer, JointAnswer& out) {
        // A step for every few nodes that were looked at: no question is free.
        steps_ += answer.steps + 1 + slots_.size() / 64;
        out.status = answer.status;
        out.steps = steps_;
        out.podset = no_index;
        switch (answer.status) {
            case Status::optimal:
                out.reason = GangReason::placed;
                break;
            case Status::feasible:
            case Status::unknown:
                out.reason = GangReason::step_limit;
                break;
            case Status::infeasible:
                out.reason = podsets_.size() == 1 ? GangReason::podset_conflict
                                                  : GangReason::gang_conflict;
                out.podset = podsets_.size() == 1 ? 0 : no_index;
                break;
        }
    }

    // The new pods of a node of the problem.
    [[nodiscard]] CountVector added(const GangAnswer& answer, std::size_t n) const {
        CountVector pods = answer.pods[n];
        std::ranges::transform(pods,
                               table_bases_[problem_.nodes[n].table].pods,
                               pods.begin(),
                               std::minus<>());
        return pods;
    }

    // False when a node turned out not to hold its own: then its table says so.
    bool add_places(const GangAnswer& answer, JointAnswer& out) {
        std::map<std::pair<std::uint32_t, CountVector>, Placements> known;
        std::vector<Placements> placed(answer.pods.size());
        for (std::size_t n = 0; n < answer.pods.size(); ++n) {
            const CountVector pods = added(answer, n);
            if (is_nothing(pods)) {
                continue;
            }
            const std::pair key(problem_.nodes[n].table, pods);
            auto it = known.find(key);
            if (it == known.end()) {
                auto made = rails_ ? rails_->placements(key.first, answer.pods[n])
                                   : data_.pool().placements(
                                         *data_.node(slots_[n]).state, requests_, pods);
                if (!made) {
                    forget(problem_.tables[key.first], answer.pods[n]);
                    return false;
                }
                it = known.emplace(key, std::move(*made)).first;
            }
            placed[n] = it->second;
        }
        for (std::uint32_t i = 0; i < input_.parts.size(); ++i) {
            const auto end = static_cast<std::uint32_t>(
                first_[i] + input_.parts[i].gang->podsets.size());
            for (std::uint32_t p = first_[i]; p < end; ++p) {
                add_podset(i, p, answer, placed, out);
            }
        }
        return true;
    }

    template <class Placed>
    void add_podset(std::uint32_t part,
                    std::uint32_t podset,
                    const GangAnswer& answer,
                    const Placed& placed,
                    JointAnswer& out) const {
        for (const std::size_t n : rank_order(problem_, podset, answer.pods)) {
            const CountVector pods = added(answer, n);
            const NodeDescription& node = data_.node(slots_[n]).info->described;
            const auto before =
                std::accumulate(pods.begin(), pods.begin() + podset, 0U);
            for (std::uint32_t i = 0; i < pods[podset]; ++i) {
                out.places[part].push_back({podset - first_[part],
                                            0,
                                            node.name,
                                            placed[n][before + i],
                                            node.machine});
            }
        }
    }

    const ClusterData& data_;
    const JointInput& input_;
    SearchLimits limits_;
    GangProblem problem_;
    std::vector<const PodSet*> podsets_;  ///< of all parts
    std::vector<std::uint32_t> first_;    ///< by part: its first PodSet
    Requests requests_;
    CountVector most_;                     ///< new pods by PodSet
    std::map<std::uint32_t, Base> bases_;  ///< by slot
    std::vector<std::uint32_t> slots_;     ///< by node of the problem
    std::map<TableKey, std::uint32_t> tables_;
    std::vector<Base> table_bases_;               ///< by table
    std::vector<const NodeClass*> table_states_;  ///< by table
    std::optional<RailSearch> rails_;             ///< where a part has any
    bool is_too_large_ = false;
    std::uint64_t steps_ = 0;
};

}  // namespace

JointPart whole(const std::shared_ptr<const Gang>& gang) {
    JointPart part{gang, {}, {}, {}};
    for (const PodSet& podset : gang->podsets) {
        part.counts.push_back(podset.count);
        part.min_counts.push_back(podset.min_count);
    }
    return part;
}

JointAnswer check_joint_on(const ClusterData& data,
                           const JointInput& input,
                           SearchLimits limits) {
    return JointQuestion(data, input, limits).check();
}

JointAnswer place_joint_on(const ClusterData& data,
                           const JointInput& input,
                           SearchLimits limits) {
    return JointQuestion(data, input, limits).place();
}

}  // namespace topoalloc
