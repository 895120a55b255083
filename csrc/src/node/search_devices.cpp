// SPDX-License-Identifier: Apache-2.0
//
// Device sets of one T: a depth-first search in index order, cut by what is enforced
// and by terms 4 and 5.
#include "node/search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {

void Search::choose_need(std::size_t need) {
    if (need == chosen_.size()) {
        consider_devices();
        return;
    }
    choose_device(need, 0);
}

bool Search::meets_set(const Candidate& candidate) const {
    return candidate.localities == 0 || (candidate.localities & set_.mask) != 0;
}

void Search::choose_device(std::size_t need, std::size_t first) {
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
    for (std::size_t i = first; i + missing <= list.size() && !result_.limited; ++i) {
        const Candidate& candidate = list[i];
        if (meets_set(candidate) && !skips_twin(need, candidate) &&
            links_[need].is_possible(i) && !links_exceed_best(need, i)) {
            try_device(need, i);
        }
        if (candidate.forced) {
            return;
        }
    }
}

// An equal candidate of lower index was left out: taking this one instead gains
// nothing.
bool Search::skips_twin(std::size_t need, const Candidate& candidate) const {
    return candidate.twin >= 0 &&
           std::ranges::find(positions_[need],
                             static_cast<std::size_t>(candidate.twin)) ==
               positions_[need].end();
}

void Search::try_device(std::size_t need, std::size_t position) {
    if (steps_ >= max_steps_) {
        result_.limited = true;
        return;
    }
    ++steps_;
    const Candidate& candidate = branch_->needs[need][position];
    if (lacks_partner(need, candidate.device) ||
        !distinct_allows(need, candidate.device) ||
        !ledger_.add(request_.needs[need], candidate)) {
        return;
    }
    const std::int64_t missing = links_[need].added_by(position);
    missing_link_ += missing;
    chosen_[need].push_back(candidate.device);
    positions_[need].push_back(position);
    links_[need].push(position);
    if (!bound_exceeds_best()) {
        choose_device(need, position + 1);
    }
    links_[need].pop();
    positions_[need].pop_back();
    chosen_[need].pop_back();
    missing_link_ -= missing;
    ledger_.remove(request_.needs[need], candidate);
}

// The largest link that a clique asks of any two devices; 0: there is none.
std::uint64_t Search::clique_mb_s(std::size_t need) const {
    std::uint64_t most = 0;
    for (const CompiledLink* link : enforced_.links) {
        if (link->need == need && link->mode == LinkMode::clique) {
            most = std::max(most, link->min_mb_s);
        }
    }
    return most;
}

bool Search::links_fail(std::size_t need) const {
    return std::ranges::any_of(enforced_.links, [&](const CompiledLink* link) {
        return link->need == need && link->mode == LinkMode::connected &&
               !constraint_holds(
                   request_, CompiledConstraint(*link), Placement{}, chosen_);
    });
}

bool Search::distinct_allows(std::size_t need, std::uint32_t device) const {
    return std::ranges::all_of(
        enforced_.distincts, [&](const CompiledAttribute* distinct) {
            if (!has_bit(distinct->needs, need)) {
                return true;
            }
            return distinct->present.test(device) &&
                   !shares_value(*distinct, distinct->values[device]);
        });
}

bool Search::shares_value(const CompiledAttribute& distinct,
                          const std::vector<std::uint32_t>& mine) const {
    for (std::size_t need = 0; need < chosen_.size(); ++need) {
        if (!has_bit(distinct.needs, need)) {
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
std::int64_t Search::pair_bound_of(std::size_t index) const {
    const CompiledPair& pair = enforced_.pairs[index].pair;
    const std::int64_t a = side_bound(index, pair.need_a, pair.need_b, pair.ratio_b);
    const std::int64_t b = side_bound(index, pair.need_b, pair.need_a, pair.ratio_a);
    return std::max(a, b);
}

std::int64_t Search::side_bound(std::size_t index,
                                std::uint32_t need,
                                std::uint32_t other,
                                std::uint32_t uses) const {
    std::int64_t sum = 0;
    const bool other_is_whole = chosen_[other].size() == request_.needs[other].count;
    for (const std::size_t position : positions_[need]) {
        const Candidate& candidate = branch_->needs[need][position];
        sum += other_is_whole ? least_to_chosen(candidate.device, other)
                              : candidate.pair_least[index];
    }
    const auto missing =
        static_cast<std::int64_t>(request_.needs[need].count - chosen_[need].size());
    return (sum + missing * enforced_.pairs[index].least) * uses;
}

// Once the other side is chosen, only its devices can be partners.
std::int64_t Search::least_to_chosen(std::uint32_t device, std::uint32_t other) const {
    Level least = Level::machine;
    for (const std::uint32_t partner : chosen_[other]) {
        least = std::min(least, machine_.level(device, partner));
    }
    return static_cast<std::int64_t>(least);
}

// True when a device just chosen has no partner near enough left.
bool Search::lacks_partner(std::size_t need, std::uint32_t device) const {
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

std::int64_t Search::bound_of_rest() const {
    std::int64_t sum = 0;
    for (std::size_t p = 0; p < enforced_.pairs.size(); ++p) {
        sum += pair_bound_of(p);
    }
    return sum;
}

// True when term 5 of any choice that takes this candidate next is too large.
bool Search::links_exceed_best(std::size_t need, std::size_t position) const {
    if (reordered_ || !ties_best()) {
        return false;
    }
    const Cost& best = result_.best->cost;
    return missing_link_ + links_[need].least_with(position) >
               best[Cost::missing_link] &&
           bound_of_rest() >= best[Cost::pair_levels];
}

bool Search::bound_exceeds_best() const {
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

void Search::consider_devices() {
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

bool Search::add_pair_levels(Cost& cost) const {
    for (const PricedPair& priced : enforced_.pairs) {
        const MatchingSides sides = sides_of(priced.pair, chosen_);
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

}  // namespace topoalloc
