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
      ledger_(state),
      chosen_(request.needs.size()),
      positions_(request.needs.size()),
      has_shared_node_(has_shared_node()),
      reordered_(!options.policy.has_default_order()),
      terms_(terms_in_order(options.policy)),
      opens_before_localities_(opens_before_localities()),
      sign_(options.policy.packing == Packing::pack ? 1 : -1),
      stays_in_set_(!reordered_ || stays_in_set()) {}

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

Search::Prefix Search::prefix_of(const Cost& cost) {
    return {cost[Cost::packages], cost[Cost::localities], cost[Cost::distance]};
}

bool Search::ties_best() const {
    return result_.best && Prefix{set_.packages, set_.localities, set_.distance} ==
                               prefix_of(result_.best->cost);
}

bool Search::consider_pus(Cost cost, const PuChoice& choice) {
    ++steps_;
    Placement placement;
    placement.localities = bitmap_of(set_.mask);
    placement.pus = choice.pus;
    std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
    choice.pus.for_each([&](std::size_t pu) { ++counts[machine_.pus()[pu].locality]; });
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
