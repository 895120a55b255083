// SPDX-License-Identifier: Apache-2.0
#include "explain/change_prober.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace topoalloc {
namespace {

std::string prefix_of(const ChangeQuestion& asked, std::size_t part) {
    return is_of_several(asked.kind) ? asked.input.parts[part].gang->name + "/"
                                     : std::string();
}

std::size_t position_of(const Gang& gang, const std::string& podset) {
    const auto it = std::ranges::find(gang.podsets, podset, &PodSet::name);
    return static_cast<std::size_t>(it - gang.podsets.begin());
}

// With one of several Rails dropped its entries keep the sets of the others.
RailList list_left(const PodSet& asked, const PodSet& now, const RailList& list) {
    const std::vector<std::string> left = rail_classes(now);
    if (left.empty()) {
        return {};
    }
    const std::vector<std::string> classes = rail_classes(asked);
    RailList out(list.size());
    for (std::size_t j = 0; j < list.size(); ++j) {
        for (std::size_t r = 0; r < classes.size(); ++r) {
            if (std::ranges::count(left, classes[r]) != 0) {
                out[j].push_back(list[j][r]);
            }
        }
    }
    return out;
}

}  // namespace

Gang explained_gang(const ChangeQuestion& asked, std::size_t part) {
    const JointPart& of = asked.input.parts[part];
    const std::string prefix = prefix_of(asked, part);
    Gang gang = *of.gang;
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        gang.podsets[p].name.insert(0, prefix);
        gang.podsets[p].count = of.counts[p];
        gang.podsets[p].min_count = of.min_counts[p];
    }
    for (Group& group : gang.groups) {
        group.name.insert(0, prefix);
        for (std::string& member : group.members) {
            member.insert(0, prefix);
        }
    }
    return gang;
}

std::uint32_t staying_pods(const JointPart& part, std::size_t podset) {
    return static_cast<std::uint32_t>(
        std::ranges::count(part.stays, podset, &PodPlace::podset));
}

// The Gang as the solver knows it. Counts go beside it: those of a Gang that runs need
// not be what its slices divide.
JointPart ChangeProber::part_of(std::size_t part, const Gang& gang) const {
    const JointPart& of = asked_.input.parts[part];
    const std::size_t prefix = prefix_of(asked_, part).size();
    JointPart out;
    Gang own = gang;
    std::vector<std::uint32_t> position(of.gang->podsets.size(), no_index);
    for (std::uint32_t p = 0; p < own.podsets.size(); ++p) {
        PodSet& podset = own.podsets[p];
        podset.name.erase(0, prefix);
        const std::size_t asked = position_of(*of.gang, podset.name);
        position[asked] = p;
        if (!of.rails.empty()) {
            out.rails.push_back(
                list_left(of.gang->podsets[asked], podset, of.rails[asked]));
        }
        // No fewer than stay.
        out.counts.push_back(std::max(podset.count, staying_pods(of, asked)));
        out.min_counts.push_back(podset.min_count);
        podset.count = of.gang->podsets[asked].count;
        podset.min_count = of.gang->podsets[asked].min_count;
    }
    for (Group& group : own.groups) {
        group.name.erase(0, prefix);
        for (std::string& member : group.members) {
            member.erase(0, prefix);
        }
    }
    for (const PodPlace& pod : of.stays) {
        if (position[pod.podset] != no_index) {
            out.stays.push_back(pod);
            out.stays.back().podset = position[pod.podset];
        }
    }
    out.gang = std::make_shared<const Gang>(std::move(own));
    return out;
}

void ChangeProber::focus(std::size_t part) {
    focus_ = part;
    staying_.clear();
    for (const PodPlace& pod : asked_.input.parts[part].stays) {
        ++staying_[{pod.podset, data().slot_of(pod.node)}];
    }
}

Fit ChangeProber::fits(const Gang& gang, const WhatIf& change) {
    PartGangs gangs = gangs_;
    gangs[focus_] = gang;
    return ask(gangs, change);
}

Fit ChangeProber::ask(const PartGangs& gangs, const WhatIf& change) {
    JointInput input{{}, asked_.input.barred};
    for (std::size_t i = 0; i < gangs.size(); ++i) {
        if (gangs[i] && !change.released.contains(asked_.input.parts[i].gang->name)) {
            input.parts.push_back(part_of(i, *gangs[i]));
        }
    }
    if (change.uncordoned.empty() && change.states.empty()) {
        return fits(data(), input);
    }
    ClusterData changed = data();
    for (const std::uint32_t slot : change.uncordoned) {
        changed.set_cordoned(slot, false);
    }
    for (const auto& [slot, state] : change.states) {
        changed.set_books(slot, state, changed.node(slot).holdings);
    }
    return fits(changed, input);
}

Fit ChangeProber::fits(const ClusterData& data, const JointInput& input) {
    if (!may_go_on()) {
        return Fit::unknown;
    }
    if (input.parts.empty()) {
        return Fit::yes;
    }
    const JointAnswer answer = check_joint_on(data, input, left());
    const Fit fit = Prober::fit_of(answer.status);
    count(1 + data.size() / nodes_a_step + answer.steps, fit != Fit::unknown);
    return fit;
}

std::optional<CountVector> ChangeProber::most_pods(
    const Gang& gang, const std::vector<std::uint32_t>& slots) {
    if (!may_go_on()) {
        return std::nullopt;
    }
    JointInput input{{part_of(focus_, gang)}, asked_.input.barred};
    const JointPart& part = input.parts.front();
    const std::set<std::uint32_t> here(slots.begin(), slots.end());
    const bool all_here = std::ranges::all_of(part.stays, [&](const PodPlace& pod) {
        return here.contains(data().slot_of(pod.node));
    });
    if (!all_here) {
        return CountVector(gang.podsets.size());  // Those that stay are in another.
    }
    for (const std::uint32_t slot : data().order()) {
        if (!here.contains(slot)) {
            input.barred.insert(slot);
        }
    }
    const JointAnswer answer = place_joint_on(data(), input, left());
    const bool is_decided =
        answer.status == Status::optimal || answer.status == Status::infeasible;
    count(1 + data().size() / nodes_a_step + answer.steps, is_decided);
    if (answer.status != Status::optimal) {
        return std::nullopt;  // Or those that stay break a rule: then none is a number.
    }
    CountVector sum(gang.podsets.size());
    for (const std::vector<PodPlace>* pods : {&part.stays, &answer.places.front()}) {
        for (const PodPlace& pod : *pods) {
            ++sum[pod.podset];
        }
    }
    return sum;
}

std::string ChangeProber::bar() const {
    if (asked_.input.barred.empty()) {
        return {};
    }
    return asked_.kind == ChangeKind::drain ? "not drained" : "not failed";
}

std::uint32_t ChangeProber::staying(const PodSet& podset, std::uint32_t slot) const {
    const std::string name = podset.name.substr(prefix_of(asked_, focus_).size());
    const std::size_t of = position_of(*asked_.input.parts[focus_].gang, name);
    const auto it = staying_.find({of, slot});
    return it == staying_.end() ? 0 : it->second;
}

// Without its only Gang a change has nothing to do.
bool ChangeProber::may_leave(const std::string& gang) const {
    const auto& parts = asked_.input.parts;
    return parts.size() > 1 || parts.front().gang->name != gang;
}

}  // namespace topoalloc
