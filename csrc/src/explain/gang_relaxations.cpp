// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_shape.hpp"
#include "explain/gang_explain_internal.hpp"
#include "explain/request_items.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <variant>

namespace topoalloc {
namespace {

class Relaxer {
  public:
    Relaxer(GangProber& prober, const GangParts& parts)
        : prober_(prober),
          parts_(parts),
          all_(with_items(parts.gang,
                          parts.items,
                          std::vector<bool>(parts.items.size(), true),
                          parts.plain)) {}

    std::vector<GangRelaxation> of_items(const std::vector<GangItem>& conflict) {
        for (const GangItem& item : conflict) {
            relax(item);
        }
        return std::move(out_);
    }
    std::vector<GangRelaxation> of_the_cluster() {
        lift_a_cordon();
        release_a_gang();
        return std::move(out_);
    }

  private:
    [[nodiscard]] bool fits(const Gang& gang) { return prober_.fits(gang) == Fit::yes; }

    void add(std::string path, std::string change, std::string text) {
        out_.push_back({std::move(path), std::move(change), "fits " + std::move(text)});
    }

    void relax(const GangItem& item) {
        switch (item.kind) {
            case GangItemKind::group_require:
                relax_group(item);
                break;
            case GangItemKind::require:
                relax_entry(item);
                break;
            case GangItemKind::tolerations:
                relax_taints(item);
                break;
            case GangItemKind::request_require:
                relax_request(item);
                break;
            case GangItemKind::count:
                relax_count(item);
                break;
            case GangItemKind::slice:
            case GangItemKind::where:
                drop(item);
                break;
        }
    }

    void drop(const GangItem& item) {
        std::vector<bool> kept(parts_.items.size(), true);
        const auto it = std::ranges::find(parts_.items, item);
        kept[static_cast<std::size_t>(it - parts_.items.begin())] = false;
        if (fits(with_items(parts_.gang, parts_.items, kept, parts_.plain))) {
            add(path_of(item), "drop", "without " + text_of(parts_.gang, item));
        }
    }

    // Coarser levels of the same tree, the nearest first; above a node those of all.
    [[nodiscard]] std::vector<std::string> coarser(const std::string& level) const {
        const auto& levels = prober_.data().levels();
        const auto it = std::ranges::find(levels, level, &ClusterLevel::name);
        const auto first = it == levels.end() ? 0 : it->first;
        std::vector<std::string> out;
        for (auto l = it - levels.begin(); l-- > static_cast<std::ptrdiff_t>(first);) {
            out.push_back(levels[static_cast<std::size_t>(l)].name);
        }
        return out;
    }

    // The next coarser level that fits, written where `level` points into `gang`.
    [[nodiscard]] std::optional<std::string> widen(const Gang& gang,
                                                   std::string& level) {
        for (std::string& wider : coarser(level)) {
            level = wider;
            if (fits(gang)) {
                return std::move(wider);
            }
        }
        return std::nullopt;
    }

    void add_level(const GangItem& item,
                   const std::string& who,
                   const std::string& from,
                   const std::string& to) {
        add(path_of(item),
            "level=" + to,
            "with " + who + " in one " + to + " instead of one " + from);
    }

    void relax_group(const GangItem& item) {
        Gang gang = all_;
        std::string& level = gang.groups[item.of].require[item.index].level;
        const std::string from = level;
        const auto wider = widen(gang, level);
        if (wider) {
            add_level(item, gang.groups[item.of].name, from, *wider);
        } else {
            drop(item);
        }
    }

    void relax_entry(const GangItem& item) {
        Gang gang = all_;
        GangConstraint& entry = gang.podsets[item.of].require[item.index];
        if (auto* within = std::get_if<Within>(&entry)) {
            const std::string from = within->level;
            if (const auto wider = widen(gang, within->level)) {
                add_level(item, gang.podsets[item.of].name, from, *wider);
                return;
            }
        }
        auto* spread = std::get_if<Spread>(&entry);
        if (spread != nullptr && raise(gang, gang.podsets[item.of].count, *spread)) {
            add(path_of(item),
                "at_most=" + std::to_string(spread->at_most),
                "with " + std::to_string(spread->at_most) + " pods of " +
                    gang.podsets[item.of].name + " in a " + spread->level);
            return;
        }
        drop(item);
    }

    // The least number that fits. More in a Domain breaks nothing, so it is halved.
    [[nodiscard]] bool raise(const Gang& gang, std::uint32_t most, Spread& spread) {
        std::uint32_t low = spread.at_most;
        spread.at_most = most;
        if (most <= low || !fits(gang)) {
            return false;
        }
        std::uint32_t high = most;
        while (high - low > 1) {
            const std::uint32_t middle = low + (high - low) / 2;
            spread.at_most = middle;
            (fits(gang) ? high : low) = middle;
        }
        spread.at_most = high;
        return true;
    }

    void relax_taints(const GangItem& item) {
        const PodSet& podset = parts_.gang.podsets[item.of];
        std::set<std::tuple<std::string, std::string, TaintEffect>> taints;
        for (const std::uint32_t slot : prober_.data().order()) {
            for (const Taint& taint :
                 prober_.data().node(slot).info->described.taints) {
                if (!is_eligible({}, podset.tolerations, {}, {taint})) {
                    taints.emplace(taint.key, taint.value, taint.effect);
                }
            }
        }
        for (const auto& [key, value, effect] : taints) {
            Gang gang = all_;
            gang.podsets[item.of].tolerations.push_back({key, value, effect});
            if (fits(gang)) {
                std::string taint = key;
                taint += value.empty() ? "" : "=" + value;
                taint +=
                    effect == TaintEffect::no_schedule ? ":NoSchedule" : ":NoExecute";
                add(path_of(item),
                    "add=" + taint,
                    "if " + podset.name + " tolerates " + taint);
                return;
            }
        }
        drop(item);
    }

    // One entry of the Request where that suffices.
    void relax_request(const GangItem& item) {
        const Request& request = *parts_.gang.podsets[item.of].request;
        for (std::size_t i = 0;
             request.require.size() > 1 && i < request.require.size();
             ++i) {
            auto less = std::make_shared<Request>(request);
            less->require.erase(less->require.begin() + static_cast<std::ptrdiff_t>(i));
            Gang gang = all_;
            gang.podsets[item.of].request = std::move(less);
            if (fits(gang)) {
                add(path_of(item) + "[" + std::to_string(i) + "]",
                    "drop",
                    "without " + gang.podsets[item.of].name + ": in each pod " +
                        describe(request.require[i]));
                return;
            }
        }
        drop(item);
    }

    // The largest number that fits. Fewer pods break nothing, so it is halved. A plan
    // for it has just so many: more would fit, too.
    void relax_count(const GangItem& item) {
        Gang gang = all_;
        PodSet& podset = gang.podsets[item.of];
        const std::uint32_t asked = podset.min_count;
        podset.min_count = 0;
        if (!fits(gang)) {
            return;
        }
        std::uint32_t low = 0;
        std::uint32_t high = asked;
        while (high - low > 1) {
            const std::uint32_t middle = low + (high - low) / 2;
            podset.min_count = middle;
            (fits(gang) ? low : high) = middle;
        }
        if (low == 0) {
            add("podsets[" + std::to_string(item.of) + "]",
                "drop",
                "without " + podset.name);
            return;
        }
        const bool is_fixed = asked == podset.count;
        podset.min_count = low;
        add("podsets[" + std::to_string(item.of) + "]." +
                (is_fixed ? "count" : "min_count"),
            (is_fixed ? "count=" : "min_count=") + std::to_string(low),
            "with " + counted(low, "pod") + " of " + podset.name + " instead of " +
                std::to_string(asked));
    }

    // Cordoned nodes that are alike for the Gang are tried once.
    [[nodiscard]] std::vector<std::uint32_t> cordoned_kinds() {
        using Kind =
            std::tuple<const NodeClass*, std::vector<std::uint32_t>, std::vector<bool>>;
        const ClusterData& data = prober_.data();
        std::set<Kind> known;
        std::vector<std::uint32_t> out;
        for (const std::uint32_t slot : data.order()) {
            const NodeEntry& entry = data.node(slot);
            if (!entry.cordoned || prober_.is_barred(slot)) {
                continue;
            }
            std::vector<bool> holds;
            for (const PodSet& podset : all_.podsets) {
                holds.push_back(prober_.is_eligible_for(podset, slot) &&
                                prober_.copies(slot, podset.request).upper != 0);
            }
            if (std::ranges::count(holds, true) != 0 &&
                known.emplace(entry.state.get(), entry.info->domains, holds).second) {
                out.push_back(slot);
            }
        }
        return out;
    }

    // The first of so many changes that alone suffices. What many of them together do
    // not help, none of them does: halves are tried before their parts.
    template <class Change>
    [[nodiscard]] std::optional<std::size_t> first_that_fits(std::size_t count,
                                                             const Change& change) {
        std::vector<std::pair<std::size_t, std::size_t>> ranges;
        if (count != 0) {
            ranges.emplace_back(0, count);
        }
        while (!ranges.empty()) {
            const auto [begin, end] = ranges.back();
            ranges.pop_back();
            WhatIf all;
            for (std::size_t i = begin; i < end; ++i) {
                change(i, all);
            }
            if (prober_.fits(all_, all) != Fit::yes) {
                continue;
            }
            if (end - begin == 1) {
                return begin;
            }
            const std::size_t middle = begin + (end - begin) / 2;
            ranges.emplace_back(middle, end);
            ranges.emplace_back(begin, middle);
        }
        return std::nullopt;
    }

    void lift_a_cordon() {
        const std::vector<std::uint32_t> kinds = cordoned_kinds();
        const auto found = first_that_fits(
            kinds.size(),
            [&](std::size_t i, WhatIf& all) { all.uncordoned.insert(kinds[i]); });
        if (found) {
            const std::string& name =
                prober_.data().node(kinds[*found]).info->described.name;
            add("node:" + name, "uncordon", "if node " + name + " is uncordoned");
        }
    }

    // Takes what a Gang holds out of the states of its nodes.
    void release(const RunningGang& running, WhatIf& change) const {
        change.released.insert(running.gang->name);
        const ClusterData& data = prober_.data();
        std::map<std::uint32_t, std::shared_ptr<NodeState>> states;
        for (const PodPlace& pod : running.pods) {
            std::uint32_t slot = 0;
            try {
                slot = data.slot_of(pod.node);
            } catch (const StateError&) {
                continue;  // The node is gone.
            }
            const NodeEntry& entry = data.node(slot);
            const auto held =
                entry.holdings->find(pod_owner(*running.gang, pod.podset, pod.index));
            if (held == entry.holdings->end()) {
                continue;  // The node's own Allocator has released it.
            }
            auto& state = states[slot];
            if (!state) {
                const auto known = change.states.find(slot);
                state = std::make_shared<NodeState>(known == change.states.end()
                                                        ? *entry.state->state
                                                        : *known->second->state);
            }
            state->release(held->second.placement);
        }
        for (auto& [slot, state] : states) {
            change.states[slot] = data.pool().intern(std::move(state));
        }
    }

    // The smallest that suffices; of equal ones the first by name.
    void release_a_gang() {
        std::vector<std::pair<std::size_t, std::string>> gangs;
        for (const auto& [name, running] : prober_.data().gangs()) {
            if (prober_.may_leave(name)) {
                gangs.emplace_back(running->pods.size(), name);
            }
        }
        std::ranges::sort(gangs);
        const auto found =
            first_that_fits(gangs.size(), [&](std::size_t i, WhatIf& all) {
                release(*prober_.data().gangs().at(gangs[i].second), all);
            });
        if (found) {
            const auto& [pods, name] = gangs[*found];
            add("gang:" + name,
                "release",
                "if Gang " + name + " leaves, " + counted(pods, "pod"));
        }
    }

    GangProber& prober_;
    const GangParts& parts_;
    Gang all_;  ///< without preferences
    std::vector<GangRelaxation> out_;
};

}  // namespace

std::vector<GangRelaxation> relax_items(GangProber& prober,
                                        const GangParts& parts,
                                        const std::vector<GangItem>& conflict) {
    return Relaxer(prober, parts).of_items(conflict);
}

std::vector<GangRelaxation> relax_cluster(GangProber& prober, const GangParts& parts) {
    return Relaxer(prober, parts).of_the_cluster();
}

}  // namespace topoalloc
