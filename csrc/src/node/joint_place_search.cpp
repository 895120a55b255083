// SPDX-License-Identifier: Apache-2.0
#include "node/joint_place_search.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>

namespace topoalloc {
namespace {

constexpr std::size_t first_union_term = Cost::split_cores;

Cost sum_of(Cost a, const Cost& b) {
    for (std::size_t term = 0; term < a.terms.size(); ++term) {
        a.terms[term] += b.terms[term];
    }
    return a;
}

std::uint32_t domain_of(AlignLevel level, const JointCell& cell) {
    switch (level) {
        case AlignLevel::l3:
            return cell.l3;
        case AlignLevel::package:
            return cell.package;
        case AlignLevel::numa:
            break;
    }
    return cell.locality;
}

}  // namespace

PlaceSearch::PlaceSearch(JointPlaces& places,
                         const std::vector<std::uint32_t>& members,
                         bool relaxed,
                         const std::optional<Cost>& below)
    : places_(places),
      machine_(places.machine_),
      relaxed_(relaxed),
      budget_(places.budget_),
      rest_(members.size() + 1),
      so_far_(members.size() + 1),
      least_union_(members.size() + 1),
      below_(below),
      memory_(members.size()) {
    for (std::size_t i = 0; i < members.size(); ++i) {
        Member& member = members_.emplace_back();
        member.signature = &places.signature(members[i]);
        const CompiledRequest& request = *member.signature->request;
        member.slots = &places.slots_of(request);
        member.wanted = request.request.cores + request.request.pus;
        member.repeats = i > 0 && members[i] == members[i - 1];
        for (const auto& list : member.signature->chosen) {
            for (const std::uint32_t device : list) {
                member.placement.devices.push_back({device, {}});
            }
        }
    }
    for (std::size_t i = members.size(); i-- > 0;) {
        rest_[i] = sum_of(rest_[i + 1], members_[i].signature->alone);
    }
    for (const JointCoreClass& kind : places.cells_.classes()) {
        whole_left_.push_back(
            kind.is_whole ? static_cast<std::uint32_t>(kind.cores.size()) : 0);
    }
    for (const JointCell& cell : places.cells_.cells()) {
        pus_left_.push_back(cell.free);
    }
    whole_taken_.resize(whole_left_.size(), 0);
    pus_taken_.resize(pus_left_.size(), 0);
}

std::optional<PlacePlan> PlaceSearch::run() {
    note_opened(0);
    choose_set(0, {});
    return std::move(best_);
}

// True when no answer below the best is left once the members before `index` are placed
// and the sum is a bound on terms 1 to 7.
bool PlaceSearch::is_beaten(std::size_t index, Cost sum) const {
    if (!below_) {
        return false;
    }
    for (std::size_t term = first_union_term; term < sum.terms.size(); ++term) {
        sum.terms[term] = relaxed_ ? 0 : least_union_[index].terms[term];
    }
    return sum >= *below_;
}

// What the devices, and the PUs of the members before `index`, open in any answer.
// Spreading, the more is opened the better, and the least is what it was.
void PlaceSearch::note_opened(std::size_t index) {
    least_union_[index] = places_.least_union_;
    if (relaxed_ || places_.packing_ == Packing::spread) {
        return;
    }
    Placement& all = so_far_[index];
    if (index == 0) {
        for (const Member& member : members_) {
            const auto& devices = member.placement.devices;
            all.devices.insert(all.devices.end(), devices.begin(), devices.end());
        }
    } else {
        all.pus = so_far_[index - 1].pus | members_[index - 1].placement.pus;
    }
    Cost opened;
    count_opened(places_.state_, all, Packing::pack, opened);
    for (const Cost::Term term :
         {Cost::opened_packages, Cost::opened_localities, Cost::opened_l3s}) {
        std::int64_t& least = least_union_[index][term];
        least = std::max(
            {least, opened[term], index == 0 ? 0 : least_union_[index - 1][term]});
    }
}

// What the member can not fall below with its T, its counts so far, and what is missing
// from this slot on.
Cost PlaceSearch::least_of(const Member& member,
                           std::size_t slot,
                           std::uint64_t missing) const {
    Cost cost = member.signature->sets[member.set].cost;
    if (member.wanted != 0) {
        set_unmet(*member.signature->request, broken_by(member), cost);
        cost[Cost::remote_devices] = least_remote(member, slot);
        cost[Cost::l3s] = member.l3s + least_l3s(member, slot, missing);
    }
    return std::max(cost, member.signature->alone);
}

// Preferences that the devices and the PUs so far leave unmet, whatever comes.
std::uint64_t PlaceSearch::broken_by(const Member& member) const {
    const auto& cells = places_.cells_.cells();
    const auto& prefer = member.signature->request->prefer;
    std::uint64_t broken = member.signature->broken;
    for (const std::uint32_t cell : member.used_cells) {
        broken |= member.signature->breaks[cell];
        for (std::size_t i = 0; i < prefer.size(); ++i) {
            const auto* align = std::get_if<CompiledAlign>(&prefer[i]);
            const bool leaves =
                align != nullptr && align->scope.pus &&
                domain_of(align->level, cells[cell]) !=
                    domain_of(align->level, cells[member.used_cells.front()]);
            broken |= std::uint64_t{leaves ? 1U : 0U} << i;
        }
    }
    return broken;
}

// L3s beside those in use, were the largest ones all to be had.
std::int64_t PlaceSearch::least_l3s(const Member& member,
                                    std::size_t slot,
                                    std::uint64_t missing) const {
    const auto& cells = places_.cells_.cells();
    const auto is_used = [&](std::uint32_t l3) {
        return std::ranges::any_of(member.used_cells, [&](std::uint32_t cell) {
            return cells[cell].l3 == l3;
        });
    };
    const std::size_t slots = places_.l3s_are_slots_ ? 0 : member.slots->size();
    for (; slot < slots && missing != 0; ++slot) {
        if (is_used(cells[(*member.slots)[slot].home].l3)) {
            const std::uint64_t room =
                member.room_after[slot] - member.room_after[slot + 1];
            missing -= std::min(missing, room);
        }
    }
    std::int64_t count = 0;
    for (auto room = member.l3_rooms.begin();
         missing != 0 && room != member.l3_rooms.end();
         ++room) {
        missing -= std::min(missing, *room);
        ++count;
    }
    return count;
}

// Devices that will have no PU beside them: no PU is in their localities and no slot
// from this one on is.
std::int64_t PlaceSearch::least_remote(const Member& member, std::size_t slot) const {
    std::uint64_t within_reach = member.open_after[slot];
    for (const std::uint32_t cell : member.used_cells) {
        within_reach |= bit(places_.cells_.cells()[cell].locality);
    }
    return std::ranges::count_if(member.signature->device_sets,
                                 [within_reach](std::uint64_t devices) {
                                     return (devices & within_reach) == 0;
                                 });
}

// What each slot, and each L3, could give to the member now.
void PlaceSearch::measure_rooms(Member& member) const {
    const std::size_t slots = member.slots->size();
    std::map<std::uint32_t, std::uint64_t> by_l3;
    member.room_after.assign(slots + 1, 0);
    member.open_after.assign(slots + 1, 0);
    for (std::size_t index = slots; index-- > 0;) {
        const JointSlot& slot = (*member.slots)[index];
        const std::uint64_t room = std::uint64_t{room_of(member, index)} * slot.units;
        member.room_after[index] = member.room_after[index + 1] + room;
        member.open_after[index] = member.open_after[index + 1];
        if (room != 0) {
            member.open_after[index] |= slot.localities;
            by_l3[places_.cells_.cells()[slot.home].l3] += room;
        }
    }
    member.l3_rooms.clear();
    for (const auto& [l3, room] : by_l3) {
        member.l3_rooms.push_back(room);
    }
    std::ranges::sort(member.l3_rooms, std::greater<>());
}

void PlaceSearch::choose_set(std::size_t index, const Cost& sum) {
    if (index == members_.size()) {
        finish_all(sum);
        return;
    }
    Member& member = members_[index];
    const std::size_t first = member.repeats ? members_[index - 1].set : 0;
    const auto& sets = member.signature->sets;
    for (member.set = first; member.set < sets.size(); ++member.set) {
        const Cost least = std::max(sets[member.set].cost, member.signature->alone);
        if (!budget_.spend() ||
            is_beaten(index, sum_of(sum_of(sum, least), rest_[index + 1]))) {
            return;
        }
        begin_counts(index, sum);
    }
}

void PlaceSearch::begin_counts(std::size_t index, const Cost& sum) {
    Member& member = members_[index];
    member.counts.assign(member.slots->size(), 0);
    member.pu_counts.assign(machine_.localities().size(), 0);
    member.used_cells.clear();
    member.l3s = 0;
    find_twins(member);
    measure_rooms(member);
    choose_count(index, 0, member.wanted, sum);
}

// The nearest earlier cell of equal structure that is in the same state now: what goes
// into the later one could as well go into it.
void PlaceSearch::find_twins(Member& member) const {
    const auto& cells = places_.cells_.cells();
    member.twin.assign(cells.size(), no_index);
    for (std::uint32_t cell = 0; cell < cells.size(); ++cell) {
        for (const std::uint32_t other : cells[cell].twins) {
            const bool is_equal =
                pus_left_[cell] == pus_left_[other] &&
                std::ranges::equal(cells[cell].classes,
                                   cells[other].classes,
                                   [this](std::uint32_t a, std::uint32_t b) {
                                       return whole_left_[a] == whole_left_[b];
                                   });
            if (is_equal) {
                member.twin[cell] = other;
            }
        }
    }
}

bool PlaceSearch::may_use(const Member& member, const JointSlot& slot) {
    const std::uint64_t set = member.signature->sets[member.set].mask;
    return (slot.localities & ~set) == 0 &&
           std::ranges::all_of(slot.takes, [&](const auto& take) {
               return static_cast<bool>(member.signature->may_use[take.first]);
           });
}

std::uint32_t PlaceSearch::room_of(const Member& member, std::size_t index) const {
    const JointSlot& slot = (*member.slots)[index];
    if (!may_use(member, slot)) {
        return 0;
    }
    std::uint32_t room = member.signature->request->counts_whole_cores()
                             ? whole_left_[slot.index]
                             : pus_left_[slot.index];
    for (const auto& [cell, pus] : slot.takes) {
        room = std::min(room, pus_left_[cell] / pus);
    }
    return room;
}

std::uint32_t PlaceSearch::most_of(const Member& member, std::size_t index) const {
    const JointSlot& slot = (*member.slots)[index];
    std::uint32_t most = room_of(member, index);
    const std::uint32_t twin = member.twin[slot.home];
    if (most == 0 || twin == no_index) {
        return most;
    }
    // Counts of equal cells do not rise: compare with the twin, slot after slot.
    std::size_t other = index - slot.rank;
    while ((*member.slots)[other].home != twin) {
        --other;
    }
    other -= (*member.slots)[other].rank;
    for (std::uint32_t rank = 0; rank < slot.rank; ++rank) {
        if (member.counts[other + rank] != member.counts[index - slot.rank + rank]) {
            return most;
        }
    }
    return std::min(most, member.counts[other + slot.rank]);
}

void PlaceSearch::take(Member& member,
                       std::size_t index,
                       std::uint32_t count,
                       bool give_back) {
    const JointSlot& slot = (*member.slots)[index];
    const auto move = [count, give_back](
                          std::uint32_t& from, std::uint32_t& to, std::uint32_t each) {
        from = give_back ? from + count * each : from - count * each;
        to = give_back ? to - count * each : to + count * each;
    };
    std::uint32_t unused = count;
    if (member.signature->request->counts_whole_cores()) {
        move(whole_left_[slot.index], whole_taken_[slot.index], 1);
    } else {
        move(unused, pus_taken_[slot.index], 1);
    }
    for (const auto& [cell, pus] : slot.takes) {
        const std::uint32_t locality = places_.cells_.cells()[cell].locality;
        move(pus_left_[cell], member.pu_counts[locality], pus);
    }
    member.counts[index] = give_back ? 0 : count;
}

bool PlaceSearch::stays_aligned(const Member& member) const {
    const auto& cells = places_.cells_.cells();
    const auto& require = member.signature->request->require;
    return std::ranges::all_of(require, [&](const CompiledConstraint& constraint) {
        const auto* align = std::get_if<CompiledAlign>(&constraint);
        if (align == nullptr || !align->scope.pus) {
            return true;
        }
        const std::uint32_t domain =
            domain_of(align->level, cells[member.used_cells.front()]);
        return std::ranges::all_of(member.used_cells, [&](std::uint32_t cell) {
            return domain_of(align->level, cells[cell]) == domain;
        });
    });
}

// Notes that the cells of a slot are in use, and their L3s.
void PlaceSearch::use_cells(Member& member, const JointSlot& slot) const {
    const auto& cells = places_.cells_.cells();
    for (const auto& [cell, pus] : slot.takes) {
        const bool is_new = std::ranges::none_of(
            member.used_cells,
            [&](std::uint32_t other) { return cells[other].l3 == cells[cell].l3; });
        member.l3s += is_new ? 1 : 0;
        member.used_cells.push_back(cell);
    }
}

void PlaceSearch::choose_count(std::size_t index,
                               std::size_t slot,
                               std::uint32_t missing,
                               const Cost& sum) {
    Member& member = members_[index];
    if (missing == 0) {
        finish_member(index, sum);
        return;
    }
    const auto can_win = [&](std::uint32_t still_missing) {
        const Cost least = least_of(member, slot + 1, still_missing);
        return !is_beaten(index, sum_of(sum_of(sum, least), rest_[index + 1]));
    };
    if (!budget_.spend() || member.room_after[slot] < missing) {
        return;
    }
    const JointSlot& entry = (*member.slots)[slot];
    const std::uint32_t most = std::min(most_of(member, slot), missing / entry.units);
    for (std::uint32_t count = most; count > 0 && !budget_.limited; --count) {
        const std::size_t used_before = member.used_cells.size();
        const std::int64_t l3s_before = member.l3s;
        const std::uint32_t still_missing = missing - count * entry.units;
        take(member, slot, count, false);
        use_cells(member, entry);
        if (stays_aligned(member) && can_win(still_missing)) {
            choose_count(index, slot + 1, still_missing, sum);
        }
        member.l3s = l3s_before;
        member.used_cells.resize(used_before);
        take(member, slot, count, true);
    }
    if (can_win(missing)) {
        choose_count(index, slot + 1, missing, sum);
    }
}

// Of two members of one signature, the second has no choice that comes before that of
// the first.
bool PlaceSearch::repeats_earlier(std::size_t index) const {
    const Member& member = members_[index];
    return member.repeats && member.set == members_[index - 1].set &&
           member.counts > members_[index - 1].counts;
}

std::uint64_t PlaceSearch::localities_with_pus(const Member& member) {
    std::uint64_t localities = 0;
    for (std::size_t l = 0; l < member.pu_counts.size(); ++l) {
        localities |= member.pu_counts[l] != 0 ? bit(l) : 0;
    }
    return localities;
}

// Without bytes, T holds only what PUs and devices lie in: a smaller T costs less.
bool PlaceSearch::needs_all_localities(const Member& member) {
    if (member.signature->request->wants_bytes) {
        return true;
    }
    const std::uint64_t set = member.signature->sets[member.set].mask;
    std::uint64_t needed = localities_with_pus(member);
    for (const std::uint64_t devices : member.signature->device_sets) {
        const std::uint64_t here = devices & set;
        needed |= std::has_single_bit(here) ? here : 0;
    }
    return (set & ~needed) == 0;
}

void PlaceSearch::finish_member(std::size_t index, const Cost& sum) {
    Member& member = members_[index];
    if (!budget_.spend() || repeats_earlier(index) || !needs_all_localities(member)) {
        return;
    }
    member.placement.localities = bitmap_of(member.signature->sets[member.set].mask);
    member.placement.pus.clear();
    for (const std::uint32_t cell : member.used_cells) {
        member.placement.pus.set(places_.cells_.cells()[cell].first_pu);
    }
    const auto cost = cost_of(member, member.placement);
    if (!cost) {
        return;
    }
    member.cost = *cost;
    const Cost so_far = sum_of(sum, *cost);
    note_opened(index + 1);
    if (!is_beaten(index + 1, sum_of(so_far, rest_[index + 1]))) {
        choose_set(index + 1, so_far);
    }
}

// Terms 1 to 7, but for what devices alone decide; nullopt when a required constraint
// does not hold.
std::optional<Cost> PlaceSearch::cost_of(const Member& member,
                                         const Placement& placement) {
    const PlaceSignature& signature = *member.signature;
    const CompiledRequest& request = *signature.request;
    const auto holds = [&](const CompiledConstraint& constraint) {
        return !speaks_beyond_devices(constraint) ||
               constraint_holds(request, constraint, placement, signature.chosen);
    };
    if (!std::ranges::all_of(request.require, holds)) {
        return std::nullopt;
    }
    Cost cost = signature.sets[member.set].cost;
    std::uint64_t unmet = 0;
    for (std::size_t i = 0; i < request.prefer.size(); ++i) {
        unmet |= std::uint64_t{holds(request.prefer[i]) ? 0U : 1U} << i;
    }
    set_unmet(request, unmet, cost);
    if (request.wants_pus()) {
        const std::uint64_t with_pus = localities_with_pus(member);
        cost[Cost::remote_devices] = std::ranges::count_if(
            signature.device_sets,
            [&](std::uint64_t devices) { return (devices & with_pus) == 0; });
    }
    cost[Cost::l3s] = member.l3s;
    return cost;
}

// --- all members ---

void PlaceSearch::finish_all(const Cost& sum) {
    if (relaxed_) {
        offer(sum);
        return;
    }
    const auto split = places_.cells_.least_split(whole_taken_, pus_taken_, budget_);
    if (!split) {
        return;
    }
    Cost cost = sum;
    cost[Cost::split_cores] = *split;
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        memory_[i].clear();
        if (members_[i].signature->request->wants_bytes) {
            order.push_back(i);
        }
    }
    if (order_is_free(order)) {
        give_bytes(order, cost);
        return;
    }
    do {
        give_bytes(order, cost);
    } while (budget_.spend() && std::next_permutation(order.begin(), order.end()));
}

// True when every member can be given what it would be given alone: then the order
// changes nothing.
bool PlaceSearch::order_is_free(const std::vector<std::uint32_t>& order) const {
    if (order.size() < 2) {
        return true;
    }
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> given;
    for (const std::uint32_t index : order) {
        const Member& member = members_[index];
        const auto grants = fill_memory(places_.state_,
                                        *member.signature->request,
                                        member.placement.localities,
                                        member.pu_counts);
        if (!grants) {
            return false;
        }
        for (const MemoryGrant& grant : *grants) {
            std::uint64_t& sum = given[{grant.numa_node, grant.page_size_index}];
            sum += grant.bytes;
            if (sum >
                places_.state_.free_bytes(grant.numa_node, grant.page_size_index)) {
                return false;
            }
        }
    }
    return true;
}

void PlaceSearch::give_bytes(const std::vector<std::uint32_t>& order, Cost cost) {
    std::vector<Placement> given;
    bool fits = budget_.spend();
    for (std::size_t k = 0; k < order.size() && fits; ++k) {
        Member& member = members_[order[k]];
        auto grants = fill_memory(places_.scratch_,
                                  *member.signature->request,
                                  member.placement.localities,
                                  member.pu_counts);
        fits = grants.has_value();
        if (!fits) {
            break;
        }
        Placement placement = member.placement;
        placement.memory = *grants;
        const auto with_bytes = cost_of(member, placement);
        fits = with_bytes.has_value();
        if (fits) {
            for (std::size_t term = 0; term < first_union_term; ++term) {
                cost.terms[term] += with_bytes->terms[term] - member.cost.terms[term];
            }
            Placement& bytes = given.emplace_back();
            bytes.memory = *grants;
            places_.scratch_.take(bytes);
            memory_[order[k]] = std::move(*grants);
        }
    }
    for (const Placement& bytes : given) {
        places_.scratch_.release(bytes);
    }
    if (!fits) {
        return;
    }
    Placement all;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Placement& placement = members_[i].placement;
        all.pus |= placement.pus;
        all.devices.insert(
            all.devices.end(), placement.devices.begin(), placement.devices.end());
        all.memory.insert(all.memory.end(), memory_[i].begin(), memory_[i].end());
    }
    count_opened(places_.state_, all, places_.packing_, cost);
    cost[Cost::opened_switches] = 0;
    cost[Cost::opened_devices] = 0;
    offer(cost);
}

void PlaceSearch::offer(const Cost& cost) {
    if (below_ && cost >= *below_) {
        return;
    }
    below_ = places_.any_ ? lowest_cost() : cost;
    best_.emplace();
    best_->cost = cost;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Member& member = members_[i];
        best_->members.push_back({member.signature->sets[member.set].mask,
                                  member.counts,
                                  relaxed_ ? std::vector<MemoryGrant>{} : memory_[i]});
    }
}

}  // namespace topoalloc
