// SPDX-License-Identifier: Apache-2.0
#include "node/search.hpp"

#include "node/branch.hpp"
#include "node/definition.hpp"
#include "node/locality_sets.hpp"
#include "node/matching.hpp"
#include "node/pu_choice.hpp"

#include <algorithm>
#include <bit>
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
          has_shared_node_(has_shared_node()) {}

    SearchResult run() {
        for_each_branch(state_,
                        request_,
                        enforced_,
                        options_.keep_from,
                        steps_,
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
        const bool ended = for_each_locality_set(
            state_,
            request_,
            demand,
            steps_,
            max_steps_,
            [this](const LocalitySet& set) {
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
        if (ties_best() &&
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
        // Subsets of groups to cover, by devices left uncovered.
        std::vector<std::pair<std::int64_t, std::uint32_t>> subsets;
        for (std::uint32_t subset = 0; subset < (1U << groups.size()); ++subset) {
            std::int64_t uncovered = never;
            for (std::size_t g = 0; g < groups.size(); ++g) {
                uncovered += ((subset >> g) & 1U) != 0 ? 0 : groups[g].devices;
            }
            subsets.emplace_back(uncovered, subset);
        }
        std::ranges::sort(subsets);
        std::optional<std::int64_t> found;
        for (const auto& [uncovered, subset] : subsets) {
            if (found && uncovered > *found) {
                break;
            }
            cost[Cost::remote_devices] = uncovered;
            if (consider_subset(cost, groups, subset)) {
                found = uncovered;
            }
            if (result_.limited) {
                return;
            }
        }
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
        if (memory_is_sensitive() || (!charged.empty() && request_.wants_bytes)) {
            // Counts of cores do not say how many PUs a locality gets where cores
            // differ.
            inexact_ = inexact_ || (branch_->unit == PuUnit::cores && cores_differ());
            return consider_counts(cost, hit_sets, charged);
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
                                    const std::vector<std::uint32_t>& exact_counts) {
        PuQuestion question;
        question.unit = branch_->unit;
        question.wanted = branch_->wanted_units;
        for (std::uint64_t rest = set_.mask; rest != 0; rest &= rest - 1) {
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

    static bool is_better(const Placement& a, const Placement& b) {
        const auto order = a.cost <=> b.cost;
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
