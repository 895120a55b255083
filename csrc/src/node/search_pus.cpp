// SPDX-License-Identifier: Apache-2.0
//
// The PUs beside one device set: which devices get one in their localities (term 6),
// and what their localities mean for the bytes.
#include "node/search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

namespace topoalloc {

std::uint64_t Search::localities_with_units() const {
    std::uint64_t localities = 0;
    for (std::size_t l = 0; l < branch_->units.size(); ++l) {
        localities |= branch_->units[l] != 0 ? bit(l) : 0;
    }
    return localities;
}

std::vector<Search::CoverGroup> Search::cover_groups(std::int64_t& never) const {
    std::map<std::uint64_t, std::int64_t> counts;
    const std::uint64_t usable = localities_with_units();
    for (std::size_t need = 0; need < chosen_.size(); ++need) {
        for (const std::size_t position : positions_[need]) {
            const std::uint64_t all = branch_->needs[need][position].localities;
            const std::uint64_t near = all & set_.mask & usable;
            if (all != 0 && near == 0) {
                ++never;
            } else if (all != 0) {
                ++counts[near];
            }
        }
    }
    std::vector<CoverGroup> groups;
    for (const auto& [localities, devices] : counts) {
        groups.push_back({localities, devices});
    }
    return groups;
}

void Search::consider_coverage(Cost cost) {
    std::int64_t never = 0;
    const std::vector<CoverGroup> groups = cover_groups(never);
    if (groups.size() > max_cover_groups) {
        result_.limited = true;
        return;
    }
    if (touches_all() && request_.wants_bytes && !memory_is_sensitive() &&
        charged_packages().empty()) {
        consider_pu_localities(cost, groups, never);
        return;
    }
    std::optional<std::int64_t> found;
    for (const auto& [uncovered, subset] : subsets_to_cover(groups, never)) {
        if (!reordered_ && found && uncovered > *found) {
            break;
        }
        cost[Cost::remote_devices] = uncovered;
        if (reordered_ && subset_exceeds_best(cost)) {
            continue;
        }
        if (consider_subset(cost, groups, subset)) {
            found = uncovered;
        }
        if (result_.limited) {
            return;
        }
    }
}

// Subsets of groups to cover, by devices left uncovered.
std::vector<std::pair<std::int64_t, std::uint32_t>> Search::subsets_to_cover(
    const std::vector<CoverGroup>& groups, std::int64_t never) {
    std::vector<std::pair<std::int64_t, std::uint32_t>> subsets;
    for (std::uint32_t subset = 0; subset < (1U << groups.size()); ++subset) {
        std::int64_t uncovered = never;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            uncovered += has_bit(subset, g) ? 0 : groups[g].devices;
        }
        subsets.emplace_back(uncovered, subset);
    }
    std::ranges::sort(subsets);
    return subsets;
}

// Where other terms come before the sixth, a subset that leaves more uncovered may
// win.
bool Search::subset_exceeds_best(Cost cost) const {
    bound_pu_terms(cost);
    return exceeds_best(cost);
}

bool Search::consider_subset(const Cost& cost,
                             const std::vector<CoverGroup>& groups,
                             std::uint32_t subset) {
    std::vector<std::uint64_t> hit_sets;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (has_bit(subset, g)) {
            hit_sets.push_back(groups[g].localities);
        }
    }
    const Bitmap charged = charged_packages();
    if (memory_is_sensitive() ||
        ((!charged.empty() || touches_all()) && request_.wants_bytes)) {
        // Counts of cores do not say how many PUs each of several localities gets
        // where cores differ.
        inexact_ = inexact_ || (branch_->unit == PuUnit::cores && cores_differ() &&
                                std::popcount(set_.mask) > 1);
        return consider_counts(cost, hit_sets, charged);
    }
    if (touches_all() && !add_untouched(hit_sets)) {
        return false;
    }
    auto [it, is_new] =
        pu_memo_.try_emplace(std::pair(hit_sets, charged.to_vector()), std::nullopt);
    if (is_new) {
        it->second = ask_pus(hit_sets, charged, {});
    }
    return it->second && consider_pus(cost, *it->second);
}

std::optional<PuChoice> Search::ask_pus(const std::vector<std::uint64_t>& hit_sets,
                                        const Bitmap& charged,
                                        const std::vector<std::uint32_t>& exact_counts,
                                        std::uint64_t within) {
    PuQuestion question;
    question.unit = branch_->unit;
    question.wanted = branch_->wanted_units;
    for_each_bit(set_.mask & within, [&](std::uint32_t l) {
        question.usable |= machine_.localities()[l].pus;
    });
    question.usable &= branch_->usable_pus;
    question.forced = branch_->forced_pus;
    question.hit_sets = hit_sets;
    question.charged_packages = charged;
    question.packing = options_.policy.packing;
    question.exact_counts = exact_counts;
    if (reordered_) {
        std::ranges::copy_if(
            options_.policy.order, question.order.begin(), [](TermGroup group) {
                return group == TermGroup::l3s || group == TermGroup::split_cores ||
                       group == TermGroup::opened;
            });
    }
    return choose_pus(state_, question, steps_, max_steps_, result_.limited);
}

// Packages that a PU alone would open: those of localities that meet several,
// unless open already or opened by a chosen device anyway.
Bitmap Search::charged_packages() const {
    Bitmap charged;
    for_each_bit(set_.mask, [&](std::uint32_t l) {
        const Locality& locality = machine_.localities()[l];
        if (locality.packages.count() > 1) {
            charged |= locality.packages;
        }
    });
    if (charged.empty()) {
        return charged;
    }
    for (std::size_t p = 0; p < machine_.packages().size(); ++p) {
        if (state_.package_holds()[p] != 0) {
            charged.reset(p);
        }
    }
    for (const auto& devices : chosen_) {
        for (const std::uint32_t device : devices) {
            charged -= machine_.devices()[device].packages;
        }
    }
    return charged;
}

// True when some bytes that T offers may not be used, or lie in several localities:
// then the order in which localities are filled, hence the PUs in each, decides
// whether the Placement is one, or what it opens.
bool Search::memory_is_sensitive() const {
    return request_.wants_bytes && std::popcount(set_.mask) > 1 &&
           (!branch_->any_numa_node || has_shared_node_);
}

bool Search::has_shared_node() const {
    return std::ranges::any_of(machine_.numa_nodes(), [this](const NumaNode& node) {
        return node.kind == request_.request.kind && node.localities.count() > 1;
    });
}

bool Search::cores_differ() const {
    const std::size_t size = machine_.cores().front().pus.count();
    return std::ranges::any_of(machine_.cores(), [size](const Domain& core) {
        return core.pus.count() != size;
    });
}

// The Packages in which the bytes would lie, were the units parted so over T.
Bitmap Search::packages_of_bytes(const std::vector<std::uint32_t>& counts) const {
    Bitmap packages;
    const auto memory = fill_memory(state_, request_, bitmap_of(set_.mask), counts);
    for (const MemoryGrant& grant : memory.value_or(std::vector<MemoryGrant>{})) {
        machine_.numa_nodes()[grant.numa_node].localities.for_each(
            [&](std::size_t l) { packages |= machine_.localities()[l].packages; });
    }
    return packages;
}

// Every way to part the units over T, each with its own best PUs.
bool Search::consider_counts(const Cost& cost,
                             const std::vector<std::uint64_t>& hit_sets,
                             const Bitmap& charged) {
    std::vector<std::uint32_t> members;
    for_each_bit(set_.mask, [&](std::uint32_t l) { members.push_back(l); });
    std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
    return part_units(
        cost, hit_sets, charged, members, 0, branch_->wanted_units, counts);
}

bool Search::part_units(const Cost& cost,
                        const std::vector<std::uint64_t>& hit_sets,
                        const Bitmap& charged,
                        const std::vector<std::uint32_t>& members,
                        std::size_t index,
                        std::uint32_t missing,
                        std::vector<std::uint32_t>& counts) {
    if (result_.limited) {
        return false;
    }
    if (index == members.size()) {
        if (missing != 0) {
            return false;
        }
        if (reordered_ && !counts_hit(hit_sets, counts)) {
            return false;
        }
        const auto choice =
            ask_pus(hit_sets, charged - packages_of_bytes(counts), counts);
        return choice && consider_pus(cost, *choice);
    }
    const std::uint32_t locality = members[index];
    bool found = false;
    const std::uint32_t most = std::min(missing, branch_->units[locality]);
    for (std::uint32_t count = 0; count <= most; ++count) {
        counts[locality] = count;
        found =
            part_units(
                cost, hit_sets, charged, members, index + 1, missing - count, counts) ||
            found;
    }
    counts[locality] = 0;
    return found;
}

bool Search::counts_hit(const std::vector<std::uint64_t>& hit_sets,
                        const std::vector<std::uint32_t>& counts) {
    std::uint64_t localities = 0;
    for (std::size_t l = 0; l < counts.size(); ++l) {
        localities |= counts[l] != 0 ? bit(l) : 0;
    }
    return std::ranges::all_of(
        hit_sets, [&](std::uint64_t set) { return (set & localities) != 0; });
}

// Where every byte of T may be used and lies in one locality, the localities that
// get bytes without a PU follow from those that get a PU, not from how many. So for
// each set of these that makes T be used whole, its best PUs.
void Search::consider_pu_localities(Cost cost,
                                    const std::vector<CoverGroup>& groups,
                                    std::int64_t never) {
    const std::uint64_t usable = localities_with_units() & set_.mask;
    const std::uint64_t touched = touched_by_devices();
    // All first: it opens the most.
    for (std::uint64_t with_pu = usable; with_pu != 0;
         with_pu = (with_pu - 1) & usable) {
        if (steps_ >= max_steps_) {
            result_.limited = true;
            return;
        }
        ++steps_;
        cost[Cost::remote_devices] = never + uncovered_by(groups, with_pu);
        if (std::cmp_greater(std::popcount(with_pu), branch_->wanted_units) ||
            (set_.mask & ~(with_pu | touched | bytes_beside(with_pu))) != 0 ||
            subset_exceeds_best(cost)) {
            continue;
        }
        const auto choice = ask_pus(each_of(with_pu), {}, {}, with_pu);
        if (choice) {
            consider_pus(cost, *choice);
        }
        if (result_.limited) {
            return;
        }
    }
}

std::int64_t Search::uncovered_by(const std::vector<CoverGroup>& groups,
                                  std::uint64_t localities) {
    std::int64_t devices = 0;
    for (const CoverGroup& group : groups) {
        devices += (group.localities & localities) == 0 ? group.devices : 0;
    }
    return devices;
}

// A hit set for each locality.
std::vector<std::uint64_t> Search::each_of(std::uint64_t localities) {
    std::vector<std::uint64_t> sets;
    for_each_bit(localities, [&](std::uint32_t l) { sets.push_back(bit(l)); });
    return sets;
}

// Localities of the bytes, when those of `with_pu` have a PU and no others.
std::uint64_t Search::bytes_beside(std::uint64_t with_pu) const {
    std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
    for (std::size_t l = 0; l < counts.size(); ++l) {
        counts[l] = has_bit(with_pu, l) ? 1U : 0U;
    }
    std::uint64_t localities = 0;
    const auto memory = fill_memory(state_, request_, bitmap_of(set_.mask), counts);
    for (const MemoryGrant& grant : memory.value_or(std::vector<MemoryGrant>{})) {
        localities |= machine_.numa_nodes()[grant.numa_node].localities.word(0);
    }
    return localities;
}

std::uint64_t Search::touched_by_devices() const {
    std::uint64_t touched = 0;
    for (std::size_t need = 0; need < chosen_.size(); ++need) {
        for (const std::size_t position : positions_[need]) {
            touched |= branch_->needs[need][position].localities;
        }
    }
    return touched;
}

}  // namespace topoalloc
