// SPDX-License-Identifier: Apache-2.0
//
// The allocation of least cost: first the entries of firstAvailable, each by asking
// whether an allocation with it exists; then the devices.
#include "claim/best_fit.hpp"

#include "claim/best_search.hpp"
#include "claim/claim_problem.hpp"
#include "claim/device_sites.hpp"
#include "claim/first_fit.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Of the devices and pools that are left out, the one that counts.
std::optional<ClaimFault> first_left_out(const ClaimProblem& problem) {
    ClaimFault fault;
    const auto& pools = problem.node->pools;
    const auto pool = std::ranges::find(pools, PoolState::invalid, &NodePool::state);
    if (pool != pools.end()) {
        return fault_of_pool(*pool);
    }
    for (const ProblemDemand& demand : problem.demands) {
        if (demand.first_failing != no_index) {
            fault.kind = ClaimFault::Kind::selector_failed;
            fault.claim = demand.claim;
            fault.request = demand.request;
            fault.demand = demand.entry;
            fault.position = demand.first_failing;
            return fault;
        }
    }
    return std::nullopt;
}

void leave_out_faults(ClaimProblem& problem) {
    problem.has_faults = false;
    for (ProblemDemand& demand : problem.demands) {
        demand.failing.clear();
    }
}

class BestFit {
  public:
    BestFit(ClaimProblem problem, SearchLimits limits)
        : problem_(std::move(problem)), limits_(limits) {}

    ClaimAnswer run() {
        ClaimAnswer first = ask();
        if (first.status != Status::optimal) {
            first.steps = steps_;
            return first;
        }
        choose_entries(first.allocation);
        if (has_choice_) {
            // The first of these entries, if the limit does not come before it.
            ClaimAnswer again = ask();
            if (again.status == Status::optimal) {
                first = std::move(again);
            } else {
                is_proved_ = false;
            }
        }
        ClaimAnswer answer;
        answer.cost.emplace();
        choose_devices(first.allocation, answer);
        answer.status = is_proved_ ? Status::optimal : Status::feasible;
        answer.cost->entries = std::move(entries_);
        answer.steps = steps_;
        return answer;
    }

  private:
    // The first allocation of the problem as it is now.
    ClaimAnswer ask() {
        ClaimAnswer answer = search_first_fit(problem_, left());
        steps_ += answer.steps;
        return answer;
    }

    [[nodiscard]] SearchLimits left() const {
        SearchLimits out = limits_;
        out.max_steps -= std::min(out.max_steps, steps_);
        return out;
    }

    static std::vector<std::size_t> entries_of(const ClaimAllocation& allocation) {
        std::vector<std::size_t> out;
        for (const auto& claim : allocation) {
            for (const ChosenRequest& request : claim) {
                out.push_back(request.demand);
            }
        }
        return out;
    }

    // Leaves each request the entry that it has in the best allocation.
    void choose_entries(ClaimAllocation& first) {
        entries_ = entries_of(first);
        for (std::size_t r = 0; r < problem_.requests.size(); ++r) {
            std::vector<std::uint32_t>& demands = problem_.requests[r].demands;
            const std::vector<std::uint32_t> all = demands;
            has_choice_ = has_choice_ || all.size() > 1;
            for (std::size_t e = 0; e < entries_[r]; ++e) {
                demands = {all[e]};
                ClaimAnswer answer = ask();
                is_proved_ = is_proved_ && answer.status != Status::unknown;
                if (answer.status == Status::optimal) {
                    first = std::move(answer.allocation);
                    entries_ = entries_of(first);
                    break;
                }
            }
            demands = {all[entries_[r]]};
        }
    }

    void choose_devices(const ClaimAllocation& first, ClaimAnswer& answer) {
        std::vector<std::uint32_t> demands;
        Candidates chosen;
        std::size_t r = 0;
        for (const auto& claim : first) {
            for (const ChosenRequest& request : claim) {
                demands.push_back(problem_.requests[r++].demands.front());
                std::vector<std::size_t>& own = chosen.emplace_back();
                const auto& candidates = problem_.demands[demands.back()].candidates;
                for (const ChosenDevice& device : request.devices) {
                    own.push_back(static_cast<std::size_t>(
                        std::ranges::lower_bound(candidates, device.position) -
                        candidates.begin()));
                }
            }
        }
        const DeviceSites sites = find_sites(*problem_.node);
        for (const ProblemAttribute* attribute :
             {&sites.own_numa, &sites.numa, &sites.root, &sites.slot}) {
            problem_.attributes.push_back(*attribute);
        }
        BestChoice best = search_best(problem_, sites, std::move(chosen), left());
        steps_ += best.steps;
        is_proved_ = is_proved_ && best.is_proved;
        answer.cost = std::move(best.cost);
        answer.allocation = allocation_of(problem_, demands, best.chosen);
    }

    ClaimProblem problem_;
    SearchLimits limits_;
    std::vector<std::size_t> entries_;  // by request
    std::uint64_t steps_ = 0;
    bool has_choice_ = false;
    bool is_proved_ = true;
};

}  // namespace

ClaimAnswer best_fit_of(CompiledClaims compiled, SearchLimits limits) {
    ClaimAnswer answer;
    if (compiled.fault) {
        answer.fault = std::move(compiled.fault);
        return answer;
    }
    auto left_out = first_left_out(compiled.problem);
    leave_out_faults(compiled.problem);
    answer = BestFit(std::move(compiled.problem), limits).run();
    if (answer.status == Status::infeasible) {
        answer.fault = std::move(left_out);
    }
    return answer;
}

ClaimAnswer best_fit(const ClaimWorld& world,
                     const ClaimQuestion& question,
                     SearchLimits limits) {
    const NodeDevices node = view_node(sources_of(world));
    return best_fit_of(
        compile_claims(node, question.claims, question.outcomes, world.semantics),
        limits);
}

}  // namespace topoalloc
