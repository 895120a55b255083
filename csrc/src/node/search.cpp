// SPDX-License-Identifier: Apache-2.0
#include "node/search.hpp"

#include "node/branch.hpp"
#include "node/definition.hpp"
#include "node/locality_sets.hpp"
#include "node/matching.hpp"
#include "node/pu_choice.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

Bitmap bitmap_of(std::uint64_t mask) {
    Bitmap out;
    out.set_word(0, mask);
    return out;
}

// Term 10 after the cost: devices, then PUs, then T.
std::strong_ordering compare_index_sets(const Placement& a, const Placement& b) {
    Bitmap devices_a;
    Bitmap devices_b;
    for (const DeviceGrant& grant : a.devices) {
        devices_a.set(grant.device);
    }
    for (const DeviceGrant& grant : b.devices) {
        devices_b.set(grant.device);
    }
    if (const auto order = devices_a.compare_least_index(devices_b); order != 0) {
        return order;
    }
    if (const auto order = a.pus.compare_least_index(b.pus); order != 0) {
        return order;
    }
    return a.localities.compare_least_index(b.localities);
}

// What the chosen devices draw on their roots, so that parts and shares never overlap.
class CounterLedger {
  public:
    explicit CounterLedger(const NodeState& state)
        : state_(state), uses_(state.machine().devices().size()) {}

    bool add(const DeviceNeed& need, const Candidate& candidate) {
        const Device& device = state_.machine().devices()[candidate.device];
        Use& use = uses_[device.root];
        if (use.whole || (need.mode == TakeMode::whole && use.users != 0)) {
            return false;
        }
        if (need.mode == TakeMode::whole) {
            use.whole = true;
            ++use.users;
            return true;
        }
        const auto& draws = draws_of(need, candidate);
        const auto left = state_.counters_left(device.root);
        use.drawn.resize(left.size(), 0);
        for (std::size_t i = 0; i < draws.size(); ++i) {
            if (draws[i] > left[i] - use.drawn[i]) {
                return false;
            }
        }
        for (std::size_t i = 0; i < draws.size(); ++i) {
            use.drawn[i] += draws[i];
        }
        ++use.users;
        return true;
    }

    void remove(const DeviceNeed& need, const Candidate& candidate) {
        const Device& device = state_.machine().devices()[candidate.device];
        Use& use = uses_[device.root];
        --use.users;
        if (need.mode == TakeMode::whole) {
            use.whole = false;
            return;
        }
        const auto& draws = draws_of(need, candidate);
        for (std::size_t i = 0; i < draws.size(); ++i) {
            use.drawn[i] -= draws[i];
        }
    }

  private:
    struct Use {
        bool whole = false;
        std::uint32_t users = 0;
        std::vector<std::uint64_t> drawn;
    };

    [[nodiscard]] const std::vector<std::uint64_t>& draws_of(
        const DeviceNeed& need, const Candidate& candidate) const {
        return need.mode == TakeMode::share
                   ? need.share_draws[candidate.share_index]
                   : state_.machine().devices()[candidate.device].counter_draws;
    }

    const NodeState& state_;
    std::vector<Use> uses_;  // by root
};

class Search {
  public:
    Search(const NodeState& state,
           const CompiledRequest& request,
           const std::vector<const CompiledConstraint*>& enforced,
           const SolveOptions& options,
           std::uint64_t& steps)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          enforced_(sort_enforced(request, enforced)),
          options_(options),
          steps_(steps),
          max_steps_(options.limits.max_steps),
          ledger_(state),
          chosen_(request.needs.size()),
          positions_(request.needs.size()),
          has_shared_node_(has_shared_node()),
          reordered_(!options.policy.has_default_order()),
          terms_(terms_in_order(options.policy)),
          opens_before_localities_(opens_before_localities()),
          sign_(options.policy.packing == Packing::pack ? 1 : -1),
          stays_in_set_(!reordered_ || stays_in_set()) {}

    SearchResult run() {
        for_each_branch(state_,
                        request_,
                        enforced_,
                        options_.keep_from,
                        {steps_, max_steps_, result_.limited},
                        [this](Branch& branch) {
                            branch_ = &branch;
                            run_branch();
                            return !result_.limited;
                        });
        result_.limited = result_.limited || inexact_;
        return std::move(result_);
    }

  private:
    using Prefix = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

    void run_branch() {
        LocalityDemand demand{branch_->units, branch_->wanted_units, {}, {}};
        for (const auto& list : branch_->needs) {
            auto& localities = demand.candidates.emplace_back();
            for (const Candidate& candidate : list) {
                localities.push_back(candidate.localities);
            }
        }
        if (reordered_) {
            collect_rooms();
            demand.largest_first = opens_before_localities_;
            demand.may_win = [this](std::size_t packages, std::size_t localities) {
                return may_win(packages, localities);
            };
        }
        const bool ended = for_each_locality_set(
            state_,
            request_,
            demand,
            steps_,
            max_steps_,
            [this](const LocalitySet& set) {
                if (reordered_) {
                    return visit_reordered(set);
                }
                const Prefix prefix{set.packages, set.localities, set.distance};
                if (result_.best && prefix > prefix_of(result_.best->cost)) {
                    return false;
                }
                set_ = set;
                pu_memo_.clear();
                choose_need(0);
                return !result_.limited;
            });
        result_.limited = result_.limited || !ended;
    }

    static Prefix prefix_of(const Cost& cost) {
        return {cost[Cost::packages], cost[Cost::localities], cost[Cost::distance]};
    }

    [[nodiscard]] bool ties_best() const {
        return result_.best && Prefix{set_.packages, set_.localities, set_.distance} ==
                                   prefix_of(result_.best->cost);
    }

    // --- another order of the terms ---
    //
    // What decides nothing by itself stays: twins and equal PUs differ in no term. T,
    // device sets and PU sets are cut by one bound, every term of it at most that of
    // any Placement from here on: so is their order whatever the Policy says.

    // Every T that may win comes, not the first ones only. None of them holds a
    // locality idly: without one that has no chosen PU, no byte of a NUMANode attached
    // to it and no device that has it alone of T, T is smaller in term 3, not larger in
    // term 2, and nothing else changes.
    [[nodiscard]] bool may_win(std::size_t packages, std::size_t localities) {
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

    bool visit_reordered(const LocalitySet& set) {
        set_ = set;
        bound_set();
        if (exceeds_best(lower_bound())) {
            return true;
        }
        pu_memo_.clear();
        choose_need(0);
        return !result_.limited;
    }

    // Of any Placement of T with the devices chosen so far.
    [[nodiscard]] Cost lower_bound() const {
        Cost lower;
        lower[Cost::packages] = set_.packages;
        lower[Cost::localities] = set_.localities;
        lower[Cost::distance] = set_.distance;
        lower[Cost::pair_levels] = bound_of_rest();
        lower[Cost::missing_link] = missing_link_;
        bound_pu_terms(lower);
        return lower;
    }

    void bound_pu_terms(Cost& lower) const {
        lower[Cost::l3s] = least_[Cost::l3s];
        for (std::size_t term = Cost::opened_packages; term < Cost::term_count;
             ++term) {
            lower.terms[term] = least_.terms[term];
        }
    }

    // Terms 7 and 9 of any Placement that holds no locality of T idly: the least, or
    // what it can open at most when that is a gain.
    void bound_set() {
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
    void bound_all_opened() {
        least_[Cost::opened_packages] =
            -static_cast<std::int64_t>(machine_.packages().size());
        least_[Cost::opened_localities] =
            -static_cast<std::int64_t>(machine_.localities().size());
    }

    [[nodiscard]] bool stays_in_set() const {
        return std::ranges::all_of(
                   machine_.numa_nodes(),
                   [](const NumaNode& node) { return node.localities.count() <= 1; }) &&
               std::ranges::all_of(machine_.devices(), [](const Device& device) {
                   return device.localities.count() <= 1;
               });
    }

    [[nodiscard]] std::int64_t closed_localities(std::uint64_t mask) const {
        std::int64_t count = 0;
        for (std::size_t l = 0; l < machine_.localities().size(); ++l) {
            count += ((mask >> l) & 1U) != 0 && state_.locality_holds()[l] == 0 ? 1 : 0;
        }
        return count;
    }

    // That the localities meet; `alone`: that one of them meets and no other Package.
    [[nodiscard]] std::int64_t closed_packages(std::uint64_t mask, bool alone) const {
        Bitmap packages;
        for (std::size_t l = 0; l < machine_.localities().size(); ++l) {
            const Bitmap& met = machine_.localities()[l].packages;
            if (((mask >> l) & 1U) != 0 && (!alone || met.count() == 1)) {
                packages |= met;
            }
        }
        std::int64_t count = 0;
        packages.for_each(
            [&](std::size_t p) { count += state_.package_holds()[p] == 0 ? 1 : 0; });
        return count;
    }

    [[nodiscard]] bool exceeds_best(const Cost& lower) const {
        return result_.best && compare(lower, result_.best->cost) > 0;
    }

    [[nodiscard]] std::strong_ordering compare(const Cost& a, const Cost& b) const {
        for (const Cost::Term term : terms_) {
            if (a[term] != b[term]) {
                return a[term] <=> b[term];
            }
        }
        return std::strong_ordering::equal;
    }

    // What each L3 can give in each locality.
    struct Room {
        std::uint32_t l3 = 0, locality = 0, units = 0;
    };

    void collect_rooms() {
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
            rooms_.back().units += branch_->unit == PuUnit::cores
                                       ? 1U
                                       : static_cast<std::uint32_t>(usable);
        }
    }

    // That hold the units wanted, were the largest of T taken; and of those not open,
    // were all that are open used first.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> fewest_l3s(std::uint64_t mask) {
        l3_units_.assign(machine_.l3s().size(), 0);
        for (const Room& room : rooms_) {
            if (((mask >> room.locality) & 1U) != 0) {
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

    [[nodiscard]] std::int64_t fewest(std::vector<std::uint32_t>& units,
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
    [[nodiscard]] bool opens_before_localities() const {
        const TermOrder& order = options_.policy.order;
        return options_.policy.packing == Packing::spread &&
               std::ranges::find(order, TermGroup::opened) <
                   std::ranges::find(order, TermGroup::localities);
    }

    [[nodiscard]] bool touches_all() const {
        return opens_before_localities_ && std::popcount(set_.mask) > 1;
    }

    // Adds the localities of T that no chosen device has: each needs a PU. A group of
    // devices that gets one so needs no other. False when PUs can not do it.
    bool add_untouched(std::vector<std::uint64_t>& hit_sets) const {
        const std::uint64_t untouched = set_.mask & ~touched_by_devices();
        if (std::cmp_greater(std::popcount(untouched), branch_->wanted_units)) {
            return false;
        }
        std::erase_if(hit_sets,
                      [&](std::uint64_t set) { return (set & untouched) != 0; });
        for (std::uint64_t rest = untouched; rest != 0; rest &= rest - 1) {
            if (branch_->units[static_cast<std::size_t>(std::countr_zero(rest))] == 0) {
                return false;
            }
            hit_sets.push_back(rest & (~rest + 1));
        }
        return true;
    }

    // --- devices ---

    void choose_need(std::size_t need) {
        if (need == chosen_.size()) {
            consider_devices();
            return;
        }
        choose_device(need, 0);
    }

    [[nodiscard]] bool meets_set(const Candidate& candidate) const {
        return candidate.localities == 0 || (candidate.localities & set_.mask) != 0;
    }

    void choose_device(std::size_t need, std::size_t first) {
        const auto& list = branch_->needs[need];
        const std::size_t missing = request_.needs[need].count - chosen_[need].size();
        if (missing == 0) {
            const bool skips_forced =
                std::any_of(list.begin() + static_cast<std::ptrdiff_t>(first),
                            list.end(),
                            [](const Candidate& c) { return c.forced; });
            if (!skips_forced && !links_fail(need)) {
                choose_need(need + 1);
            }
            return;
        }
        for (std::size_t i = first; i + missing <= list.size() && !result_.limited;
             ++i) {
            const Candidate& candidate = list[i];
            if (meets_set(candidate) && !skips_twin(need, candidate)) {
                try_device(need, i);
            }
            if (candidate.forced) {
                return;
            }
        }
    }

    // An equal candidate of lower index was left out: taking this one instead gains
    // nothing.
    [[nodiscard]] bool skips_twin(std::size_t need, const Candidate& candidate) const {
        return candidate.twin >= 0 &&
               std::ranges::find(positions_[need],
                                 static_cast<std::size_t>(candidate.twin)) ==
                   positions_[need].end();
    }

    void try_device(std::size_t need, std::size_t position) {
        if (steps_ >= max_steps_) {
            result_.limited = true;
            return;
        }
        ++steps_;
        const Candidate& candidate = branch_->needs[need][position];
        if (lacks_partner(need, candidate.device) ||
            !clique_allows(need, candidate.device) ||
            !distinct_allows(need, candidate.device) ||
            !ledger_.add(request_.needs[need], candidate)) {
            return;
        }
        const std::int64_t missing = missing_links_of(need, candidate.device);
        missing_link_ += missing;
        chosen_[need].push_back(candidate.device);
        positions_[need].push_back(position);
        if (!bound_exceeds_best()) {
            choose_device(need, position + 1);
        }
        positions_[need].pop_back();
        chosen_[need].pop_back();
        missing_link_ -= missing;
        ledger_.remove(request_.needs[need], candidate);
    }

    [[nodiscard]] bool clique_allows(std::size_t need, std::uint32_t device) const {
        return std::ranges::all_of(enforced_.links, [&](const CompiledLink* link) {
            return link->need != need || link->mode != LinkMode::clique ||
                   std::ranges::all_of(chosen_[need], [&](std::uint32_t other) {
                       return machine_.link_mb_s(device, other) >= link->min_mb_s;
                   });
        });
    }

    [[nodiscard]] bool links_fail(std::size_t need) const {
        return std::ranges::any_of(enforced_.links, [&](const CompiledLink* link) {
            return link->need == need && link->mode == LinkMode::connected &&
                   !constraint_holds(
                       request_, CompiledConstraint(*link), Placement{}, chosen_);
        });
    }

    [[nodiscard]] bool distinct_allows(std::size_t need, std::uint32_t device) const {
        return std::ranges::all_of(
            enforced_.distincts, [&](const CompiledAttribute* distinct) {
                if (((distinct->needs >> need) & 1U) == 0) {
                    return true;
                }
                return distinct->present.test(device) &&
                       !shares_value(*distinct, distinct->values[device]);
            });
    }

    [[nodiscard]] bool shares_value(const CompiledAttribute& distinct,
                                    const std::vector<std::uint32_t>& mine) const {
        for (std::size_t need = 0; need < chosen_.size(); ++need) {
            if (((distinct.needs >> need) & 1U) == 0) {
                continue;
            }
            for (const std::uint32_t device : chosen_[need]) {
                const auto& other = distinct.values[device];
                if (std::ranges::find_first_of(mine, other) != mine.end()) {
                    return true;
                }
            }
        }
        return false;
    }

    // The least that the levels of one Pair can sum to, from what is chosen of each
    // side.
    [[nodiscard]] std::int64_t pair_bound_of(std::size_t index) const {
        const CompiledPair& pair = enforced_.pairs[index].pair;
        const std::int64_t a =
            side_bound(index, pair.need_a, pair.need_b, pair.ratio_b);
        const std::int64_t b =
            side_bound(index, pair.need_b, pair.need_a, pair.ratio_a);
        return std::max(a, b);
    }

    [[nodiscard]] std::int64_t side_bound(std::size_t index,
                                          std::uint32_t need,
                                          std::uint32_t other,
                                          std::uint32_t uses) const {
        std::int64_t sum = 0;
        const bool other_is_whole =
            chosen_[other].size() == request_.needs[other].count;
        for (const std::size_t position : positions_[need]) {
            const Candidate& candidate = branch_->needs[need][position];
            sum += other_is_whole ? least_to_chosen(candidate.device, other)
                                  : candidate.pair_least[index];
        }
        const auto missing = static_cast<std::int64_t>(request_.needs[need].count -
                                                       chosen_[need].size());
        return (sum + missing * enforced_.pairs[index].least) * uses;
    }

    // Once the other side is chosen, only its devices can be partners.
    [[nodiscard]] std::int64_t least_to_chosen(std::uint32_t device,
                                               std::uint32_t other) const {
        Level least = Level::machine;
        for (const std::uint32_t partner : chosen_[other]) {
            least = std::min(least, machine_.level(device, partner));
        }
        return static_cast<std::int64_t>(least);
    }

    // True when a device just chosen has no partner near enough left.
    [[nodiscard]] bool lacks_partner(std::size_t need, std::uint32_t device) const {
        return std::ranges::any_of(enforced_.pairs, [&](const PricedPair& priced) {
            const bool is_a = priced.pair.need_a == need;
            if (!priced.enforced || (!is_a && priced.pair.need_b != need)) {
                return false;
            }
            const std::uint32_t other = is_a ? priced.pair.need_b : priced.pair.need_a;
            return chosen_[other].size() == request_.needs[other].count &&
                   least_to_chosen(device, other) >
                       static_cast<std::int64_t>(priced.pair.within);
        });
    }

    [[nodiscard]] std::int64_t bound_of_rest() const {
        std::int64_t sum = 0;
        for (std::size_t p = 0; p < enforced_.pairs.size(); ++p) {
            sum += pair_bound_of(p);
        }
        return sum;
    }

    // What a device adds to term 5 beside those chosen of its need.
    [[nodiscard]] std::int64_t missing_links_of(std::size_t need,
                                                std::uint32_t device) const {
        if (!request_.needs[need].counts_links) {
            return 0;
        }
        std::int64_t sum = 0;
        for (const std::uint32_t other : chosen_[need]) {
            sum += static_cast<std::int64_t>(machine_.max_link_mb_s() -
                                             machine_.link_mb_s(device, other));
        }
        return sum;
    }

    [[nodiscard]] bool bound_exceeds_best() const {
        if (reordered_) {
            return exceeds_best(lower_bound());
        }
        if (!ties_best()) {
            return false;
        }
        const Cost& best = result_.best->cost;
        const std::int64_t pairs = bound_of_rest();
        if (pairs != best[Cost::pair_levels]) {
            return pairs > best[Cost::pair_levels];
        }
        return missing_link_ > best[Cost::missing_link];
    }

    // --- a whole device set ---

    void consider_devices() {
        Cost cost;
        cost[Cost::packages] = set_.packages;
        cost[Cost::localities] = set_.localities;
        cost[Cost::distance] = set_.distance;
        if (!add_pair_levels(cost)) {
            return;
        }
        cost[Cost::missing_link] = missing_link_;
        if (!reordered_ && ties_best() &&
            std::pair(cost[Cost::pair_levels], cost[Cost::missing_link]) >
                std::pair(result_.best->cost[Cost::pair_levels],
                          result_.best->cost[Cost::missing_link])) {
            return;
        }
        if (request_.wants_pus()) {
            consider_coverage(cost);
        } else {
            consider_pus(cost, PuChoice{});
        }
    }

    [[nodiscard]] MatchingSides sides_of(const CompiledPair& pair) const {
        const auto& a = chosen_[pair.need_a];
        const auto& b = chosen_[pair.need_b];
        return pair.ratio_b == 1 ? MatchingSides{a, b, pair.ratio_a}
                                 : MatchingSides{b, a, pair.ratio_b};
    }

    bool add_pair_levels(Cost& cost) const {
        for (const PricedPair& priced : enforced_.pairs) {
            const MatchingSides sides = sides_of(priced.pair);
            if (priced.enforced && !has_matching(machine_, sides, priced.pair.within)) {
                return false;
            }
            const auto sum = least_level_sum(machine_, sides, priced.bound);
            if (!sum) {
                return false;
            }
            cost[Cost::pair_levels] += *sum;
        }
        return true;
    }

    // --- which devices get a PU beside them (term 6) ---

    struct CoverGroup {
        std::uint64_t localities = 0;  // of T
        std::int64_t devices = 0;
    };

    std::vector<CoverGroup> cover_groups(std::int64_t& never) const {
        std::map<std::uint64_t, std::int64_t> counts;
        std::uint64_t usable = 0;
        for (std::size_t l = 0; l < branch_->units.size(); ++l) {
            usable |= branch_->units[l] != 0 ? std::uint64_t{1} << l : 0;
        }
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

    void consider_coverage(Cost cost) {
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
    static std::vector<std::pair<std::int64_t, std::uint32_t>> subsets_to_cover(
        const std::vector<CoverGroup>& groups, std::int64_t never) {
        std::vector<std::pair<std::int64_t, std::uint32_t>> subsets;
        for (std::uint32_t subset = 0; subset < (1U << groups.size()); ++subset) {
            std::int64_t uncovered = never;
            for (std::size_t g = 0; g < groups.size(); ++g) {
                uncovered += ((subset >> g) & 1U) != 0 ? 0 : groups[g].devices;
            }
            subsets.emplace_back(uncovered, subset);
        }
        std::ranges::sort(subsets);
        return subsets;
    }

    // Where other terms come before the sixth, a subset that leaves more uncovered may
    // win.
    [[nodiscard]] bool subset_exceeds_best(Cost cost) const {
        bound_pu_terms(cost);
        return exceeds_best(cost);
    }

    bool consider_subset(const Cost& cost,
                         const std::vector<CoverGroup>& groups,
                         std::uint32_t subset) {
        std::vector<std::uint64_t> hit_sets;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            if (((subset >> g) & 1U) != 0) {
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
        auto [it, is_new] = pu_memo_.try_emplace(
            std::pair(hit_sets, charged.to_vector()), std::nullopt);
        if (is_new) {
            it->second = ask_pus(hit_sets, charged, {});
        }
        return it->second && consider_pus(cost, *it->second);
    }

    // --- PUs ---

    std::optional<PuChoice> ask_pus(const std::vector<std::uint64_t>& hit_sets,
                                    const Bitmap& charged,
                                    const std::vector<std::uint32_t>& exact_counts,
                                    std::uint64_t within = ~std::uint64_t{0}) {
        PuQuestion question;
        question.unit = branch_->unit;
        question.wanted = branch_->wanted_units;
        for (std::uint64_t rest = set_.mask & within; rest != 0; rest &= rest - 1) {
            question.usable |=
                machine_.localities()[static_cast<std::size_t>(std::countr_zero(rest))]
                    .pus;
        }
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
    [[nodiscard]] Bitmap charged_packages() const {
        Bitmap charged;
        for (std::uint64_t rest = set_.mask; rest != 0; rest &= rest - 1) {
            const auto& locality =
                machine_.localities()[static_cast<std::size_t>(std::countr_zero(rest))];
            if (locality.packages.count() > 1) {
                charged |= locality.packages;
            }
        }
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
    [[nodiscard]] bool memory_is_sensitive() const {
        return request_.wants_bytes && std::popcount(set_.mask) > 1 &&
               (!branch_->any_numa_node || has_shared_node_);
    }

    [[nodiscard]] bool has_shared_node() const {
        return std::ranges::any_of(machine_.numa_nodes(), [this](const NumaNode& node) {
            return node.kind == request_.request.kind && node.localities.count() > 1;
        });
    }

    [[nodiscard]] bool cores_differ() const {
        const std::size_t size = machine_.cores().front().pus.count();
        return std::ranges::any_of(machine_.cores(), [size](const Domain& core) {
            return core.pus.count() != size;
        });
    }

    // The Packages in which the bytes would lie, were the units parted so over T.
    [[nodiscard]] Bitmap packages_of_bytes(
        const std::vector<std::uint32_t>& counts) const {
        Bitmap packages;
        const auto memory = fill_memory(state_, request_, bitmap_of(set_.mask), counts);
        for (const MemoryGrant& grant : memory.value_or(std::vector<MemoryGrant>{})) {
            machine_.numa_nodes()[grant.numa_node].localities.for_each(
                [&](std::size_t l) { packages |= machine_.localities()[l].packages; });
        }
        return packages;
    }

    // Every way to part the units over T, each with its own best PUs.
    bool consider_counts(const Cost& cost,
                         const std::vector<std::uint64_t>& hit_sets,
                         const Bitmap& charged) {
        std::vector<std::uint32_t> members;
        for (std::uint64_t rest = set_.mask; rest != 0; rest &= rest - 1) {
            members.push_back(static_cast<std::uint32_t>(std::countr_zero(rest)));
        }
        std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
        return part_units(
            cost, hit_sets, charged, members, 0, branch_->wanted_units, counts);
    }

    bool part_units(const Cost& cost,
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
            found = part_units(cost,
                               hit_sets,
                               charged,
                               members,
                               index + 1,
                               missing - count,
                               counts) ||
                    found;
        }
        counts[locality] = 0;
        return found;
    }

    static bool counts_hit(const std::vector<std::uint64_t>& hit_sets,
                           const std::vector<std::uint32_t>& counts) {
        std::uint64_t localities = 0;
        for (std::size_t l = 0; l < counts.size(); ++l) {
            localities |= counts[l] != 0 ? std::uint64_t{1} << l : 0;
        }
        return std::ranges::all_of(
            hit_sets, [&](std::uint64_t set) { return (set & localities) != 0; });
    }

    // Where every byte of T may be used and lies in one locality, the localities that
    // get bytes without a PU follow from those that get a PU, not from how many. So for
    // each set of these that makes T be used whole, its best PUs.
    void consider_pu_localities(Cost cost,
                                const std::vector<CoverGroup>& groups,
                                std::int64_t never) {
        std::uint64_t usable = 0;
        for (std::size_t l = 0; l < branch_->units.size(); ++l) {
            usable |= branch_->units[l] != 0 ? std::uint64_t{1} << l : 0;
        }
        usable &= set_.mask;
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

    static std::int64_t uncovered_by(const std::vector<CoverGroup>& groups,
                                     std::uint64_t localities) {
        std::int64_t devices = 0;
        for (const CoverGroup& group : groups) {
            devices += (group.localities & localities) == 0 ? group.devices : 0;
        }
        return devices;
    }

    // A hit set for each locality.
    static std::vector<std::uint64_t> each_of(std::uint64_t localities) {
        std::vector<std::uint64_t> sets;
        for (std::uint64_t rest = localities; rest != 0; rest &= rest - 1) {
            sets.push_back(rest & (~rest + 1));
        }
        return sets;
    }

    // Localities of the bytes, when those of `with_pu` have a PU and no others.
    [[nodiscard]] std::uint64_t bytes_beside(std::uint64_t with_pu) const {
        std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
        for (std::size_t l = 0; l < counts.size(); ++l) {
            counts[l] = static_cast<std::uint32_t>((with_pu >> l) & 1U);
        }
        std::uint64_t localities = 0;
        const auto memory = fill_memory(state_, request_, bitmap_of(set_.mask), counts);
        for (const MemoryGrant& grant : memory.value_or(std::vector<MemoryGrant>{})) {
            localities |= machine_.numa_nodes()[grant.numa_node].localities.word(0);
        }
        return localities;
    }

    [[nodiscard]] std::uint64_t touched_by_devices() const {
        std::uint64_t touched = 0;
        for (std::size_t need = 0; need < chosen_.size(); ++need) {
            for (const std::size_t position : positions_[need]) {
                touched |= branch_->needs[need][position].localities;
            }
        }
        return touched;
    }

    // --- a whole Placement ---

    bool consider_pus(Cost cost, const PuChoice& choice) {
        ++steps_;
        Placement placement;
        placement.localities = bitmap_of(set_.mask);
        placement.pus = choice.pus;
        std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
        choice.pus.for_each(
            [&](std::size_t pu) { ++counts[machine_.pus()[pu].locality]; });
        auto memory = fill_memory(state_, request_, placement.localities, counts);
        if (!memory || !std::ranges::all_of(*memory, [this](const MemoryGrant& grant) {
                return branch_->numa_nodes.test(grant.numa_node);
            })) {
            return false;
        }
        placement.memory = std::move(*memory);
        for (std::size_t need = 0; need < chosen_.size(); ++need) {
            for (const std::uint32_t device : chosen_[need]) {
                placement.devices.push_back({device, request_.needs[need].share});
            }
        }
        std::ranges::sort(placement.devices, {}, &DeviceGrant::device);
        cost[Cost::l3s] = choice.l3s;
        cost[Cost::split_cores] = choice.split_cores;
        count_opened(state_, placement, options_.policy.packing, cost);
        placement.cost = cost;
        if (!result_.best || is_better(placement, *result_.best)) {
            result_.best = std::move(placement);
        }
        return true;
    }

    [[nodiscard]] bool is_better(const Placement& a, const Placement& b) const {
        const auto order = reordered_ ? compare(a.cost, b.cost) : a.cost <=> b.cost;
        return order != 0 ? order < 0 : compare_index_sets(a, b) < 0;
    }

    // More groups of device localities than this would make term 6 a search of its own.
    static constexpr std::size_t max_cover_groups = 12;

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    Enforced enforced_;
    const SolveOptions& options_;
    std::uint64_t& steps_;
    std::uint64_t max_steps_;
    CounterLedger ledger_;

    const Branch* branch_ = nullptr;
    LocalitySet set_;
    ChosenDevices chosen_;                             // the decision: devices by need
    std::vector<std::vector<std::size_t>> positions_;  // their positions in the branch
    std::int64_t missing_link_ = 0;                    // term 5 of chosen_
    bool has_shared_node_ = false;
    bool reordered_ = false;  // the Policy has an order of its own
    std::array<Cost::Term, Cost::term_count> terms_;
    bool opens_before_localities_ = false;
    std::vector<Room> rooms_;  // of the branch; for another order
    std::vector<std::uint32_t> l3_units_, closed_units_;
    Cost least_;  // terms 7 and 9, of any Placement of T
    std::int64_t sign_ = 1;
    bool stays_in_set_ = true;  // what opens localities opens those of T alone
    std::map<std::pair<std::vector<std::uint64_t>, std::vector<std::uint32_t>>,
             std::optional<PuChoice>>
        pu_memo_;  // by hit sets and charged packages, for the T at hand
    SearchResult result_;
    bool inexact_ = false;  // a choice was made that is not proved best
};

}  // namespace

SearchResult search(const NodeState& state,
                    const CompiledRequest& request,
                    const std::vector<const CompiledConstraint*>& enforced,
                    const SolveOptions& options,
                    std::uint64_t& steps) {
    return Search(state, request, enforced, options, steps).run();
}

}  // namespace topoalloc
