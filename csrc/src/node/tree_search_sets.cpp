// SPDX-License-Identifier: Apache-2.0
//
// The sets T of a branch, in the order of terms 2 and 3.
#include "node/tree_search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

namespace topoalloc {

void TreeSearch::run_branch(const TreeBranch& branch) {
    if (steps_ >= options_.limits.max_steps) {
        limited_ = true;
        return;
    }
    branch_ = branch;
    ++steps_;
    chooser_.enter(branch.first_core, branch.last_core);
    if (chooser_.all_units() < chooser_.wanted() || !devices_suffice(branch.devices)) {
        return;
    }
    match_is_known_ = enforced_pairs_ == 0;
    can_match_ = true;
    collect_localities();
    visit_sets();
    keep_pus();
}

void TreeSearch::visit_sets() {
    if (chooser_.wanted() == 0 && !request_.wants_bytes &&
        devices_suffice(branch_.devices & plan_.tree.unknown_mask()) &&
        !visit(LocalitySet{})) {
        return;
    }
    if (!plan_.devices_of_set.empty()) {
        visit_tabled_sets();
    } else if (const std::uint64_t useful = useful_localities();
               std::has_single_bit(useful)) {
        visit({useful, 1, 1, 0});
    } else if (sets_differ_in_cores_alone()) {
        choose_by_class();
    } else {
        enumerate_sets();
    }
}

// What the localities of the branch have, whatever T.
void TreeSearch::collect_localities() {
    with_units_ = 0;
    with_devices_ = 0;
    unitless_ = 0;
    for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
        const std::uint64_t devices = plan_.tree.locality_mask(l) & branch_.devices;
        const bool has_units = chooser_.units()[l] != 0;
        with_units_ |= has_units ? bit(l) : 0;
        with_devices_ |= devices != 0 ? bit(l) : 0;
        unitless_ |= has_units ? 0 : devices;
    }
}

// Those that can give a core, a device or a byte: no other is in the best T.
std::uint64_t TreeSearch::useful_localities() const {
    const std::uint64_t with_bytes =
        request_.wants_bytes
            ? branch_.byte_localities & low_bits(machine_.localities().size())
            : 0;
    return with_units_ | with_devices_ | with_bytes;
}

void TreeSearch::visit_tabled_sets() {
    const auto& sets = machine_.locality_sets();
    for (std::size_t i = 0; i < sets.size(); ++i) {
        if (set_suffices(sets[i], plan_.devices_of_set[i]) && !visit(sets[i])) {
            return;
        }
    }
}

bool TreeSearch::set_suffices(const LocalitySet& set, std::uint64_t devices) const {
    if (chooser_.wanted() != 0) {
        if (chooser_.most_units(set.localities) < chooser_.wanted()) {
            return false;
        }
        std::uint64_t units = 0;
        for_each_bit(set.mask, [&](std::uint32_t l) { units += chooser_.units()[l]; });
        if (units < chooser_.wanted()) {
            return false;
        }
    }
    return devices_suffice(devices & branch_.devices);
}

void TreeSearch::enumerate_sets() {
    LocalityDemand demand;
    demand.units.assign(chooser_.units().begin(), chooser_.units().end());
    sign_localities(demand);
    demand.wanted_units = chooser_.wanted();
    demand.candidates.resize(request_.needs.size());
    for_each_bit(branch_.devices, [&](std::uint32_t rank) {
        demand.candidates[plan_.tree.need_of(rank)].push_back(
            machine_.devices()[plan_.tree.devices()[rank]].localities.word(0));
    });
    const bool ended =
        for_each_locality_set(state_,
                              request_,
                              demand,
                              steps_,
                              options_.limits.max_steps,
                              [this](const LocalitySet& set) { return visit(set); });
    limited_ = limited_ || !ended;
}

// True when T is a choice of L3s by their cores: no devices, and bytes anywhere
// suffice.
bool TreeSearch::sets_differ_in_cores_alone() const {
    if (!plan_.l3_is_locality || plan_.device_count != 0 || chooser_.wanted() == 0 ||
        chooser_.by_pus()) {
        return false;
    }
    for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
        const bool is_open = state_.locality_holds()[l] != 0;
        const CoreRun& run = machine_.core_runs()[machine_.localities()[l].first_run];
        if (chooser_.units()[l] != 0 &&
            (is_open != (state_.l3_holds()[run.l3] != 0) || !holds_all_bytes(l))) {
            return false;
        }
    }
    return true;
}

bool TreeSearch::holds_all_bytes(std::uint32_t locality) const {
    for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
        std::uint64_t free = 0;
        for (const std::uint32_t node : machine_.localities()[locality].numa_nodes) {
            free += machine_.numa_nodes()[node].kind == request_.request.kind
                        ? state_.free_bytes(node, size)
                        : 0;
        }
        if (free < request_.bytes[size]) {
            return false;
        }
    }
    return !request_.wants_bytes || has_bit(branch_.byte_localities, locality);
}

void TreeSearch::choose_by_class() {
    const std::span<const std::uint32_t> units = chooser_.units();
    std::vector<ClassRoom> rooms;
    std::vector<std::uint32_t> most;
    std::vector<std::uint32_t> largest;
    for (std::uint32_t l = 0; l < units.size(); ++l) {
        const std::uint32_t index = machine_.locality_classes()[l];
        most.resize(std::max<std::size_t>(most.size(), index + 1U), 0);
        if (units[l] != 0) {
            const bool open = state_.locality_holds()[l] != 0;
            rooms.push_back({l, index, units[l], open == (opened_ == 1)});
            ++most[index];
            largest.push_back(units[l]);
        }
    }
    std::ranges::sort(largest, std::greater{});
    std::size_t least = 0;
    for (std::uint64_t sum = 0; sum < chooser_.wanted(); ++least) {
        sum += largest[least];
    }
    ClassChoice choice(rooms, most.size());
    for (std::size_t packages = 1; packages <= machine_.packages().size(); ++packages) {
        for (std::size_t size = least; size <= rooms.size(); ++size) {
            if (!for_each_class_counts(machine_,
                                       most,
                                       packages,
                                       size,
                                       steps_,
                                       options_.limits.max_steps,
                                       limited_,
                                       [&](const ClassCounts& counts) {
                                           return try_counts(choice, counts);
                                       })) {
                return;
            }
        }
    }
}

bool TreeSearch::try_counts(ClassChoice& choice, const ClassCounts& counts) {
    if (best_.found && std::tuple(counts.packages, counts.localities, counts.distance) >
                           std::tuple(best_.cost[Cost::packages],
                                      best_.cost[Cost::localities],
                                      best_.cost[Cost::distance])) {
        return false;
    }
    const std::vector<std::uint32_t> chosen =
        choice.choose(counts.counts, chooser_.wanted());
    steps_ += 1 + chosen.size();
    if (!chosen.empty()) {
        LocalitySet set{0, counts.packages, counts.localities, counts.distance};
        for (const std::uint32_t l : chosen) {
            set.mask |= bit(l);
        }
        consider_set(set);
    }
    return !stops();
}

// Localities without candidates whose cores and bytes are alike may be exchanged.
void TreeSearch::sign_localities(LocalityDemand& demand) const {
    demand.signatures.resize(machine_.localities().size());
    std::uint64_t unlike = 0;
    for (std::uint32_t i = 0; i < machine_.core_runs().size(); ++i) {
        const CoreRun& run = machine_.core_runs()[i];
        auto& signature = demand.signatures[run.locality];
        signature.push_back(chooser_.run_units()[i]);
        signature.push_back(state_.l3_holds()[run.l3] != 0 ? 1 : 0);
        unlike |= can_be_told(i) ? 0 : bit(run.locality);
    }
    for (std::uint32_t l = 0; l < demand.signatures.size(); ++l) {
        auto& signature = demand.signatures[l];
        if (has_bit(unlike, l) ||
            (plan_.tree.locality_mask(l) & branch_.devices) != 0) {
            signature.clear();
            continue;
        }
        signature.push_back(state_.locality_holds()[l] != 0 ? 1 : 0);
        sign_bytes(l, signature);
    }
}

// Free PUs of partly taken cores are not told apart, and an L3 of several
// localities is more than its part here.
bool TreeSearch::can_be_told(std::uint32_t index) const {
    const CoreRun& run = machine_.core_runs()[index];
    return machine_.l3s()[run.l3].localities.count() == 1 &&
           (!chooser_.by_pus() ||
            chooser_.run_units()[index] == run.core_count * machine_.core_size());
}

void TreeSearch::sign_bytes(std::uint32_t locality,
                            std::vector<std::uint64_t>& signature) const {
    for (const std::uint32_t node : machine_.localities()[locality].numa_nodes) {
        const bool counts = machine_.numa_nodes()[node].kind == request_.request.kind;
        for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
            signature.push_back(counts ? state_.free_bytes(node, size) : 0);
        }
    }
}

bool TreeSearch::visit(const LocalitySet& set) {
    if (steps_ >= options_.limits.max_steps) {
        limited_ = true;
        return false;
    }
    ++steps_;
    if (best_.found && std::tuple(set.packages, set.localities, set.distance) >
                           std::tuple(best_.cost[Cost::packages],
                                      best_.cost[Cost::localities],
                                      best_.cost[Cost::distance])) {
        return false;
    }
    consider_set(set);
    return !stops() && can_match_;
}

}  // namespace topoalloc
