// SPDX-License-Identifier: Apache-2.0
//
// The best answer of one set T: cores by counting, devices from the programme.
#include "node/tree_search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace topoalloc {
namespace {

bool is_better(const TreeCandidate& a, const TreeCandidate& b) {
    if (a.cost != b.cost) {
        return a.cost < b.cost;
    }
    if (a.devices != b.devices) {
        return least_index_less(a.devices, b.devices);
    }
    if (const auto order = a.pus.compare_least_index(b.pus); order != 0) {
        return order < 0;
    }
    return least_index_less(a.localities, b.localities);
}

}  // namespace

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
        {available, remote, enforced_pairs_, &state_.switch_holds(), opened_}, steps_);
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
    std::uint64_t usable = 0;  // localities of T with units
    std::uint64_t with_devices = 0;
    std::uint64_t remote = 0;  // devices that no PU can be beside
    for_each_bit(set.mask, [&](std::uint32_t l) {
        const std::uint64_t here = plan_.tree.locality_mask(l) & devices;
        const bool has_units = chooser_.units()[l] != 0;
        usable |= has_units ? bit(l) : 0;
        with_devices |= here != 0 ? bit(l) : 0;
        remote |= has_units ? 0 : here;
    });
    chooser_.choose(set.mask, 0, free_choice_);
    if (!free_choice_.found || is_hopeless(set, devices, free_choice_)) {
        return;
    }
    const std::uint64_t open = with_devices & usable & ~free_choice_.localities;
    if (open == 0) {
        consider(set, ask_tree(devices, remote), free_choice_);
        return;
    }
    consider_footprints(set, devices, remote, with_devices & usable);
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
        chooser_.choose(set.mask, footprint, hit_choice_);
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
    if (best_ && cost > best_->cost) {
        return;
    }
    TreeCandidate candidate{cost,
                            devices.devices,
                            set.mask,
                            chooser_.wanted() == 0 ? Bitmap() : chooser_.pus_of(cores)};
    if (!best_ || is_better(candidate, *best_)) {
        best_ = std::move(candidate);
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
    std::uint64_t packages = 0;
    for_each_bit(set.mask, [&](std::uint32_t l) {
        // Every locality of the best T holds something, so each closed one is
        // opened.
        cost[Cost::opened_localities] += state_.locality_holds()[l] == 0 ? opened_ : 0;
        const std::uint32_t package = plan_.package_of[l];
        if (state_.package_holds()[package] == 0 && !has_bit(packages, package % 64)) {
            packages |= bit(package % 64);
            cost[Cost::opened_packages] += opened_;
        }
    });
    cost[Cost::opened_switches] = devices.opened_switches;
    cost[Cost::opened_devices] = opened_ * plan_.device_count;
    cost[Cost::opened_l3s] = cores.opened_l3s;
    return cost;
}

// True when no choice of devices of T can be better than the best so far: not even
// at the least levels and the fewest new switches that any choice has, with the
// lowest indices.
bool TreeSearch::is_hopeless(const LocalitySet& set,
                             std::uint64_t devices,
                             const CoreChoice& cores) const {
    if (!best_ || opened_ != 1 || plan_.device_count == 0) {
        return false;
    }
    TreeAnswer bound;
    bound.pair_levels = plan_.least_pair_levels;
    bound.opened_switches = fewest_new_switches(devices);
    const Cost cost = cost_of(set, bound, cores);
    return cost > best_->cost ||
           (cost == best_->cost &&
            least_index_less(best_->devices, lowest_choice(devices)));
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

void TreeSearch::collect_free_of_charge() {
    free_of_charge_ = plan_.without_switch;
    for (const SwitchMembers& members : plan_.switches) {
        if (state_.switch_holds()[members.index] != 0) {
            free_of_charge_ |= members.devices;
        }
    }
}

}  // namespace topoalloc
