// SPDX-License-Identifier: Apache-2.0
#include "node/search_internal.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

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

}  // namespace

Search::Search(const NodeState& state,
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
      ledger_(state, request),
      chosen_(request.needs.size()),
      positions_(request.needs.size()),
      links_(request.needs.size()),
      has_shared_node_(has_shared_node()),
      reordered_(!options.policy.has_default_order()),
      terms_(terms_in_order(options.policy)),
      opens_before_localities_(opens_before_localities()),
      sign_(options.policy.packing == Packing::pack ? 1 : -1),
      stays_in_set_(!reordered_ || stays_in_set()) {
    for (std::size_t need = 0; need < chosen_.size(); ++need) {
        chosen_[need].reserve(request.needs[need].count);
        positions_[need].reserve(request.needs[need].count);
    }
}

SearchResult Search::run() {
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

void Search::run_branch() {
    for (std::size_t need = 0; need < links_.size(); ++need) {
        links_[need].begin_branch(
            machine_, request_.needs[need], branch_->needs[need], clique_mb_s(need));
    }
    if (reordered_ || machine_.locality_sets().empty()) {
        enumerate_sets();
    } else {
        visit_tabled_sets();
    }
}

// T in the order of terms 2 and 3, where all that there are stand in a table.
void Search::visit_tabled_sets() {
    if (!request_.wants_pus() && !request_.wants_bytes && devices_suffice(0) &&
        !visit(LocalitySet{})) {
        return;
    }
    const std::uint64_t useful = useful_localities();
    for (const LocalitySet& set : machine_.locality_sets()) {
        if (result_.best && prefix_of(set) > prefix_of(result_.best->cost)) {
            return;
        }
        if ((set.mask & ~useful) != 0 || !may_hold(set)) {
            continue;
        }
        if (steps_ >= max_steps_) {
            result_.limited = true;
            return;
        }
        ++steps_;
        if (!visit(set)) {
            return;
        }
    }
}

bool Search::may_hold(const LocalitySet& set) const {
    std::uint64_t units = 0;
    for_each_bit(set.mask, [&](std::uint32_t l) { units += branch_->units[l]; });
    return units >= branch_->wanted_units && bytes_suffice(set.mask) &&
           devices_suffice(set.mask);
}

// Those that can give a unit, a byte or a device: no other is in the best T.
std::uint64_t Search::useful_localities() const {
    std::uint64_t useful = localities_with_units();
    for (const auto& list : branch_->needs) {
        for (const Candidate& candidate : list) {
            useful |= candidate.localities;
        }
    }
    return request_.wants_bytes ? low_bits(machine_.localities().size()) : useful;
}

// Bytes of NUMANodes attached to several localities count once for each: a bound.
bool Search::bytes_suffice(std::uint64_t localities) const {
    for (std::uint32_t size = 0; request_.wants_bytes && size < request_.bytes.size();
         ++size) {
        std::uint64_t missing = request_.bytes[size];
        for_each_bit(localities, [&](std::uint32_t l) {
            for (const std::uint32_t node : machine_.localities()[l].numa_nodes) {
                if (machine_.numa_nodes()[node].kind == request_.request.kind) {
                    missing -= std::min(missing, state_.free_bytes(node, size));
                }
            }
        });
        if (missing != 0) {
            return false;
        }
    }
    return true;
}

bool Search::devices_suffice(std::uint64_t localities) const {
    for (std::size_t need = 0; need < branch_->needs.size(); ++need) {
        const auto& list = branch_->needs[need];
        const auto count =
            std::ranges::count_if(list, [localities](const Candidate& candidate) {
                return candidate.localities == 0 ||
                       (candidate.localities & localities) != 0;
            });
        if (std::cmp_less(count, request_.needs[need].count)) {
            return false;
        }
    }
    return true;
}

void Search::enumerate_sets() {
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
        state_, request_, demand, steps_, max_steps_, [this](const LocalitySet& set) {
            return visit(set);
        });
    result_.limited = result_.limited || !ended;
}

// False: no T after this one needs a visit.
bool Search::visit(const LocalitySet& set) {
    if (reordered_) {
        if (!may_win(set)) {
            return true;
        }
    } else if (result_.best && prefix_of(set) > prefix_of(result_.best->cost)) {
        return false;
    }
    set_ = set;
    pu_memo_.clear();
    for (LinkBound& links : links_) {
        links.begin_set(set.mask);
    }
    choose_need(0);
    return !result_.limited;
}

Search::Prefix Search::prefix_of(const LocalitySet& set) {
    return {set.packages, set.localities, set.distance};
}

Search::Prefix Search::prefix_of(const Cost& cost) {
    return {cost[Cost::packages], cost[Cost::localities], cost[Cost::distance]};
}

bool Search::ties_best() const {
    return result_.best && prefix_of(set_) == prefix_of(result_.best->cost);
}

bool Search::give_bytes(Placement& placement) {
    if (!request_.wants_bytes) {
        return true;
    }
    std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
    placement.pus.for_each(
        [&](std::size_t pu) { ++counts[machine_.pus()[pu].locality]; });
    auto memory = fill_memory(state_, request_, placement.localities, counts);
    if (!memory || !std::ranges::all_of(*memory, [this](const MemoryGrant& grant) {
            return branch_->numa_nodes.test(grant.numa_node);
        })) {
        return false;
    }
    placement.memory = std::move(*memory);
    return true;
}

bool Search::consider_pus(Cost cost, const PuChoice& choice) {
    ++steps_;
    candidate_.localities = bitmap_of(set_.mask);
    candidate_.pus = choice.pus;
    if (!give_bytes(candidate_)) {
        return false;
    }
    candidate_.devices.clear();
    for (std::size_t need = 0; need < chosen_.size(); ++need) {
        for (const std::uint32_t device : chosen_[need]) {
            candidate_.devices.push_back({device, request_.needs[need].share});
        }
    }
    std::ranges::sort(candidate_.devices, {}, &DeviceGrant::device);
    cost[Cost::l3s] = choice.l3s;
    cost[Cost::split_cores] = choice.split_cores;
    count_opened(state_, candidate_, options_.policy.packing, cost);
    candidate_.cost = cost;
    if (!result_.best) {
        result_.best = candidate_;
    } else if (is_better(candidate_, *result_.best)) {
        std::swap(candidate_, *result_.best);
    }
    return true;
}

bool Search::is_better(const Placement& a, const Placement& b) const {
    const auto order = reordered_ ? compare(a.cost, b.cost) : a.cost <=> b.cost;
    return order != 0 ? order < 0 : compare_index_sets(a, b) < 0;
}

SearchResult search(const NodeState& state,
                    const CompiledRequest& request,
                    const std::vector<const CompiledConstraint*>& enforced,
                    const SolveOptions& options,
                    std::uint64_t& steps) {
    return Search(state, request, enforced, options, steps).run();
}

}  // namespace topoalloc
