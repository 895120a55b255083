// SPDX-License-Identifier: Apache-2.0
//
// The best answer of one set T: cores by counting, devices from the programme.
#include "node/tree_search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace topoalloc {
// Once a set T has no matching: whether the devices of the branch have one at all.
// A larger T only adds devices, so "no" here is "no" for every T.
void TreeSearch::note_unmatched() {
    if (!match_is_known_) {
        match_is_known_ = true;
        can_match_ = ask_tree(branch_.devices, 0).found;
    }
}

TreeAnswer TreeSearch::ask_tree(std::uint64_t available, std::uint64_t remote) {
    if (plan_.device_count == 0) {
        return {.found = true};
    }
    return programme_.ask(
        {available, remote, enforced_pairs_, state_.switch_holds(), opened_}, steps_);
}

std::uint64_t TreeSearch::devices_of(std::uint64_t localities) const {
    std::uint64_t devices = plan_.tree.unknown_mask();
    for_each_bit(localities,
                 [&](std::uint32_t l) { devices |= plan_.tree.locality_mask(l); });
    return devices & branch_.devices;
}

bool TreeSearch::bytes_suffice(std::uint64_t mask) {
    if (!request_.wants_bytes) {
        return true;
    }
    for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
        std::uint64_t missing = request_.bytes[size];
        for_each_bit(mask, [&](std::uint32_t l) {
            for (const std::uint32_t node : machine_.localities()[l].numa_nodes) {
                if (machine_.numa_nodes()[node].kind != request_.request.kind) {
                    continue;
                }
                // Some bytes of T may not be used: the general search knows how.
                bails_ = bails_ || !has_bit(branch_.byte_localities, l);
                missing -= std::min(missing, state_.free_bytes(node, size));
            }
        });
        if (missing != 0) {
            return false;
        }
    }
    return true;
}

void TreeSearch::consider_set(const LocalitySet& set) {
    if (!bytes_suffice(set.mask) || bails_) {
        return;
    }
    const std::uint64_t devices = devices_of(set.mask);
    if (chooser_.wanted() == 0) {
        free_choice_.found = true;
        free_choice_.has_pus = true;
        if (!is_hopeless(set, devices, free_choice_)) {
            consider(set, ask_tree(devices, 0), free_choice_);
        }
        return;
    }
    chooser_.weigh(set.mask, free_choice_);
    if (!free_choice_.found || is_hopeless(set, devices, free_choice_)) {
        return;
    }
    chooser_.settle(free_choice_);
    const std::uint64_t remote = devices & unitless_;
    const std::uint64_t with_devices = set.mask & with_devices_ & with_units_;
    if ((with_devices & ~free_choice_.localities) == 0) {
        consider(set, ask_tree(devices, remote), free_choice_);
        return;
    }
    consider_footprints(set, devices, remote, with_devices);
}

// Covering every locality with devices costs more than covering none: so each set
// of localities that may have devices is a question of its own.
void TreeSearch::consider_footprints(const LocalitySet& set,
                                     std::uint64_t devices,
                                     std::uint64_t remote,
                                     std::uint64_t with_devices) {
    const auto members = static_cast<std::uint32_t>(std::popcount(with_devices));
    if (members > max_footprint || members > chooser_.wanted()) {
        bails_ = true;
        return;
    }
    std::uint64_t footprint = 0;
    do {
        std::uint64_t left_out = 0;
        for_each_bit(with_devices & ~footprint,
                     [&](std::uint32_t l) { left_out |= plan_.tree.locality_mask(l); });
        if (devices_suffice(devices & ~left_out)) {
            consider_footprint(set, devices & ~left_out, remote, footprint);
        }
        footprint = (footprint - with_devices) & with_devices;  // the next subset
    } while (footprint != 0 && !stops());
}

void TreeSearch::consider_footprint(const LocalitySet& set,
                                    std::uint64_t devices,
                                    std::uint64_t remote,
                                    std::uint64_t footprint) {
    const bool covered = (footprint & ~free_choice_.localities) == 0;
    const CoreChoice& cores = covered ? free_choice_ : hit_choice_;
    if (!covered) {
        chooser_.choose_hitting(set.mask, footprint, hit_choice_);
    }
    if (cores.found) {
        consider(set, ask_tree(devices, remote), cores);
    }
}

void TreeSearch::consider(const LocalitySet& set,
                          const TreeAnswer& devices,
                          const CoreChoice& cores) {
    if (!devices.found) {
        note_unmatched();
        return;
    }
    const Cost cost = cost_of(set, devices, cores);
    if (!best_.found || is_better(cost, devices.devices, set.mask, cores)) {
        best_.found = true;
        best_.cost = cost;
        best_.devices = devices.devices;
        best_.localities = set.mask;
        best_.cores = cores;
    }
}

// Whether these are better than the best so far. PUs are compared for equal devices
// alone, so most are never made.
bool TreeSearch::is_better(const Cost& cost,
                           std::uint64_t devices,
                           std::uint64_t localities,
                           const CoreChoice& cores) {
    if (const auto order = cost <=> best_.cost; order != 0) {
        return order < 0;
    }
    if (devices != best_.devices) {
        return least_index_less(devices, best_.devices);
    }
    keep_pus();
    if (const auto order = chooser_.pus_of(cores).compare_least_index(best_.cores.pus);
        order != 0) {
        return order < 0;
    }
    return least_index_less(localities, best_.localities);
}

// Makes the PUs of the best so far, which asks for the branch that it was found in.
void TreeSearch::keep_pus() {
    if (best_.found && !best_.cores.has_pus) {
        best_.cores.pus = chooser_.pus_of(best_.cores);
        best_.cores.has_pus = true;
    }
}

Cost TreeSearch::cost_of(const LocalitySet& set,
                         const TreeAnswer& devices,
                         const CoreChoice& cores) const {
    Cost cost;
    cost[Cost::packages] = set.packages;
    cost[Cost::localities] = set.localities;
    cost[Cost::distance] = set.distance;
    cost[Cost::pair_levels] = devices.pair_levels;
    cost[Cost::missing_link] = plan_.missing_link;
    cost[Cost::remote_devices] = devices.remote_devices;
    cost[Cost::l3s] = cores.l3s;
    cost[Cost::split_cores] = cores.split_cores;
    // Every locality of the best T holds something, so each closed one is opened.
    cost[Cost::opened_localities] =
        opened_ * std::popcount(set.mask & closed_localities_);
    cost[Cost::opened_packages] =
        opened_ * closed_packages_of(set.mask & in_closed_package_);
    cost[Cost::opened_switches] = devices.opened_switches;
    cost[Cost::opened_devices] = opened_ * plan_.device_count;
    cost[Cost::opened_l3s] = cores.opened_l3s;
    return cost;
}

// How many Packages these localities, each in a closed one, lie in.
std::int64_t TreeSearch::closed_packages_of(std::uint64_t localities) const {
    std::int64_t count = 0;
    for (std::uint64_t rest = localities; rest != 0; ++count) {
        const std::uint32_t package =
            plan_.package_of[static_cast<std::size_t>(std::countr_zero(rest))];
        for_each_bit(rest, [&](std::uint32_t l) {
            rest &= plan_.package_of[l] == package ? ~bit(l) : ~std::uint64_t{0};
        });
    }
    return count;
}

// True when no choice of devices of T can be better than the best so far: not even
// at the least levels and the fewest new switches that any choice has, with the
// lowest indices.
bool TreeSearch::is_hopeless(const LocalitySet& set,
                             std::uint64_t devices,
                             const CoreChoice& cores) const {
    if (!best_.found || opened_ != 1 || plan_.device_count == 0) {
        return false;
    }
    TreeAnswer bound;
    bound.pair_levels = plan_.least_pair_levels;
    bound.opened_switches = fewest_new_switches(devices);
    const Cost cost = cost_of(set, bound, cores);
    const auto order = cost <=> best_.cost;
    return order > 0 ||
           (order == 0 && least_index_less(best_.devices, lowest_choice(devices)));
}

// No choice of devices among these holds the least index not in both.
std::uint64_t TreeSearch::lowest_choice(std::uint64_t devices) const {
    std::uint64_t lowest = 0;
    for (std::size_t need = 0; need < plan_.counts.size(); ++need) {
        const std::uint64_t all = devices & plan_.tree.need_mask(need);
        std::uint64_t rest = all;
        for (std::uint32_t i = 0; i < plan_.counts[need]; ++i) {
            rest &= rest - 1;
        }
        lowest |= all & ~rest;
    }
    return lowest;
}

// Devices of open switches, or of none, come first; the rest needs a new switch for
// every `most_per_switch` of its need.
std::int64_t TreeSearch::fewest_new_switches(std::uint64_t devices) const {
    std::int64_t fewest = 0;
    for (std::size_t need = 0; need < plan_.counts.size(); ++need) {
        const auto have = static_cast<std::uint32_t>(
            std::popcount(devices & free_of_charge_ & plan_.tree.need_mask(need)));
        const std::uint32_t missing =
            plan_.counts[need] > have ? plan_.counts[need] - have : 0;
        const std::uint32_t per_switch = std::max(plan_.most_per_switch[need], 1U);
        fewest =
            std::max<std::int64_t>(fewest, (missing + per_switch - 1) / per_switch);
    }
    return fewest;
}

// What is open before the question: switches whose devices cost nothing more,
// localities and Packages.
void TreeSearch::collect_open() {
    free_of_charge_ = plan_.without_switch;
    const std::span<const std::uint32_t> switches = state_.switch_holds();
    for (const SwitchMembers& members : plan_.switches) {
        free_of_charge_ |= switches[members.index] != 0 ? members.devices : 0;
    }
    const std::span<const std::uint32_t> localities = state_.locality_holds();
    const std::span<const std::uint32_t> packages = state_.package_holds();
    for (std::uint32_t l = 0; l < localities.size(); ++l) {
        closed_localities_ |= localities[l] == 0 ? bit(l) : 0;
        in_closed_package_ |= packages[plan_.package_of[l]] == 0 ? bit(l) : 0;
    }
}

}  // namespace topoalloc
