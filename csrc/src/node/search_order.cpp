// SPDX-License-Identifier: Apache-2.0
//
// What a search does besides where a Policy has an order of its own: T may win by any
// term, so bounds are over all of them.
#include "node/search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace topoalloc {

// What decides nothing by itself stays: twins and equal PUs differ in no term. T,
// device sets and PU sets are cut by one bound, every term of it at most that of
// any Placement from here on: so is their order whatever the Policy says.

// Every T that may win comes, not the first ones only. None of them holds a
// locality idly: without one that has no chosen PU, no byte of a NUMANode attached
// to it and no device that has it alone of T, T is smaller in term 3, not larger in
// term 2, and nothing else changes.
bool Search::may_win(std::size_t packages, std::size_t localities) {
    std::size_t users = branch_->wanted_units;
    for (const DeviceNeed& need : request_.needs) {
        users += need.count;
    }
    if (!request_.wants_bytes && localities > users) {
        return false;
    }
    set_ = {~std::uint64_t{0},
            static_cast<std::int64_t>(packages),
            static_cast<std::int64_t>(localities),
            0};
    bound_set();
    // Which localities they are is open yet.
    least_[Cost::opened_packages] = sign_ > 0 ? 0 : -set_.packages;
    least_[Cost::opened_localities] = sign_ > 0 ? 0 : -set_.localities;
    if (sign_ < 0 && !stays_in_set_) {
        bound_all_opened();
    }
    return !exceeds_best(lower_bound());
}

// The same of one T, which it sets.
bool Search::may_win(const LocalitySet& set) {
    set_ = set;
    bound_set();
    return !exceeds_best(lower_bound());
}

// Of any Placement of T with the devices chosen so far.
Cost Search::lower_bound() const {
    Cost lower;
    lower[Cost::packages] = set_.packages;
    lower[Cost::localities] = set_.localities;
    lower[Cost::distance] = set_.distance;
    lower[Cost::pair_levels] = bound_of_rest();
    lower[Cost::missing_link] = missing_link_;
    bound_pu_terms(lower);
    return lower;
}

void Search::bound_pu_terms(Cost& lower) const {
    lower[Cost::l3s] = least_[Cost::l3s];
    for (std::size_t term = Cost::opened_packages; term < Cost::term_count; ++term) {
        lower.terms[term] = least_.terms[term];
    }
}

// Terms 7 and 9 of any Placement that holds no locality of T idly: the least, or
// what it can open at most when that is a gain.
void Search::bound_set() {
    const auto [fewest, fewest_closed] = fewest_l3s(set_.mask);
    least_[Cost::l3s] = fewest;
    if (sign_ > 0) {
        least_[Cost::opened_packages] = closed_packages(set_.mask, true);
        least_[Cost::opened_localities] = closed_localities(set_.mask);
        least_[Cost::opened_l3s] = fewest_closed;
        return;
    }
    std::int64_t devices = 0;
    for (const DeviceNeed& need : request_.needs) {
        devices += need.count;
    }
    least_[Cost::opened_packages] = -closed_packages(set_.mask, false);
    least_[Cost::opened_localities] = -closed_localities(set_.mask);
    least_[Cost::opened_switches] = -devices;
    least_[Cost::opened_devices] = -devices;
    least_[Cost::opened_l3s] = -std::int64_t{branch_->wanted_units};
    if (!stays_in_set_) {
        bound_all_opened();
    }
}

// Devices and NUMANodes of several localities open some beside T.
void Search::bound_all_opened() {
    least_[Cost::opened_packages] =
        -static_cast<std::int64_t>(machine_.packages().size());
    least_[Cost::opened_localities] =
        -static_cast<std::int64_t>(machine_.localities().size());
}

bool Search::stays_in_set() const {
    return std::ranges::all_of(
               machine_.numa_nodes(),
               [](const NumaNode& node) { return node.localities.count() <= 1; }) &&
           std::ranges::all_of(machine_.devices(), [](const Device& device) {
               return device.localities.count() <= 1;
           });
}

std::int64_t Search::closed_localities(std::uint64_t mask) const {
    std::int64_t count = 0;
    for (std::size_t l = 0; l < machine_.localities().size(); ++l) {
        count += has_bit(mask, l) && state_.locality_holds()[l] == 0 ? 1 : 0;
    }
    return count;
}

// That the localities meet; `alone`: that one of them meets and no other Package.
std::int64_t Search::closed_packages(std::uint64_t mask, bool alone) const {
    Bitmap packages;
    for (std::size_t l = 0; l < machine_.localities().size(); ++l) {
        const Bitmap& met = machine_.localities()[l].packages;
        if (has_bit(mask, l) && (!alone || met.count() == 1)) {
            packages |= met;
        }
    }
    std::int64_t count = 0;
    packages.for_each(
        [&](std::size_t p) { count += state_.package_holds()[p] == 0 ? 1 : 0; });
    return count;
}

bool Search::exceeds_best(const Cost& lower) const {
    return result_.best && compare(lower, result_.best->cost) > 0;
}

std::strong_ordering Search::compare(const Cost& a, const Cost& b) const {
    for (const Cost::Term term : terms_) {
        if (a[term] != b[term]) {
            return a[term] <=> b[term];
        }
    }
    return std::strong_ordering::equal;
}

void Search::collect_rooms() {
    rooms_.clear();
    for (const Domain& core : machine_.cores()) {
        const std::size_t size = core.pus.count();
        const std::size_t usable = (core.pus & branch_->usable_pus).count();
        if (usable == 0 || (branch_->unit != PuUnit::pus && usable != size)) {
            continue;
        }
        const Pu& pu = machine_.pus()[core.pus.first()];
        if (rooms_.empty() || rooms_.back().l3 != pu.l3 ||
            rooms_.back().locality != pu.locality) {
            rooms_.push_back({pu.l3, pu.locality, 0});
        }
        rooms_.back().units +=
            branch_->unit == PuUnit::cores ? 1U : static_cast<std::uint32_t>(usable);
    }
}

// That hold the units wanted, were the largest of T taken; and of those not open,
// were all that are open used first.
std::pair<std::int64_t, std::int64_t> Search::fewest_l3s(std::uint64_t mask) {
    l3_units_.assign(machine_.l3s().size(), 0);
    for (const Room& room : rooms_) {
        if (has_bit(mask, room.locality)) {
            l3_units_[room.l3] += room.units;
        }
    }
    closed_units_.clear();
    std::uint64_t in_open = 0;
    for (std::size_t l3 = 0; l3 < l3_units_.size(); ++l3) {
        if (state_.l3_holds()[l3] == 0) {
            closed_units_.push_back(l3_units_[l3]);
        } else {
            in_open += l3_units_[l3];
        }
    }
    return {fewest(l3_units_, 0), fewest(closed_units_, in_open)};
}

std::int64_t Search::fewest(std::vector<std::uint32_t>& units,
                            std::uint64_t sum) const {
    std::ranges::sort(units, std::greater{});
    std::int64_t count = 0;
    for (const std::uint32_t more : units) {
        if (sum >= branch_->wanted_units) {
            break;
        }
        sum += more;
        ++count;
    }
    return count;
}

// True when more localities touched can be worth more localities in T. Then PUs
// must be told to touch all of T; else a T that they leave idle loses to a smaller
// one.
bool Search::opens_before_localities() const {
    const TermOrder& order = options_.policy.order;
    return options_.policy.packing == Packing::spread &&
           std::ranges::find(order, TermGroup::opened) <
               std::ranges::find(order, TermGroup::localities);
}

bool Search::touches_all() const {
    return opens_before_localities_ && std::popcount(set_.mask) > 1;
}

// Adds the localities of T that no chosen device has: each needs a PU. A group of
// devices that gets one so needs no other. False when PUs can not do it.
bool Search::add_untouched(std::vector<std::uint64_t>& hit_sets) const {
    const std::uint64_t untouched = set_.mask & ~touched_by_devices();
    if (std::cmp_greater(std::popcount(untouched), branch_->wanted_units)) {
        return false;
    }
    std::erase_if(hit_sets, [&](std::uint64_t set) { return (set & untouched) != 0; });
    if ((untouched & ~localities_with_units()) != 0) {
        return false;
    }
    for_each_bit(untouched, [&](std::uint32_t l) { hit_sets.push_back(bit(l)); });
    return true;
}

}  // namespace topoalloc
