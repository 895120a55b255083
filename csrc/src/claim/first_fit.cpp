// SPDX-License-Identifier: Apache-2.0
//
// The first allocation in the order of docs/claim-objective.md, section 4: a
// depth-first search in that order. What it can not lead to an allocation is cut:
// candidates like one that has failed, and states like one that has failed.
#include "claim/first_fit.hpp"
#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"
#include "claim/claim_symmetry.hpp"
#include "claim/count_bound.hpp"
#include "claim/starvation.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

class FirstFit {
  public:
    FirstFit(const ClaimProblem& problem, SearchLimits limits)
        : problem_(problem),
          limits_(limits),
          state_(problem),
          symmetry_(problem),
          entries_(problem.requests.size()),
          chosen_(problem.requests.size()) {}

    ClaimAnswer run() {
        ClaimAnswer answer;
        const bool found = !is_refused_by_counts(problem_) && enter(0);
        answer.steps = steps_;
        answer.fault = std::move(fault_);
        if (is_over_) {
            answer.status = Status::unknown;
        } else if (found) {
            answer.status = Status::optimal;
            std::vector<std::uint32_t> demands;
            for (std::uint32_t r = 0; r < entries_.size(); ++r) {
                demands.push_back(number_of(r));
            }
            answer.allocation = allocation_of(problem_, demands, chosen_);
        }
        return answer;
    }

  private:
    // What ends the search at once: a fault, or the limit.
    [[nodiscard]] bool is_stopped() const { return is_over_ || fault_.has_value(); }

    // From the first device of a request on.
    bool enter(std::uint32_t request) {
        if (request == problem_.requests.size()) {
            return true;
        }
        if (starvation_ && symmetry_.has_failed(state_, request)) {
            return false;
        }
        const ProblemRequest& asked = problem_.requests[request];
        for (std::uint32_t e = 0; e < asked.demands.size(); ++e) {
            const ProblemDemand& demand = problem_.demands[asked.demands[e]];
            const std::uint64_t results = state_.results(asked.claim) + demand.need;
            if (results > most_results) {
                continue;
            }
            entries_[request] = e;
            const bool found =
                demand.is_all ? take_all(request, demand) : pick(request, demand, 0, 0);
            if (found || is_stopped()) {
                return found;
            }
        }
        if (!problem_.has_faults) {
            if (!starvation_) {
                starvation_.emplace(problem_);
            }
            symmetry_.fail(state_, request);
        }
        return false;
    }

    bool take_all(std::uint32_t request, const ProblemDemand& demand) {
        if (demand.is_blocked) {
            return false;
        }
        const std::uint32_t number = number_of(request);
        std::size_t taken = 0;
        while (taken < demand.candidates.size() && spend() &&
               state_.choose(number, taken)) {
            chosen_[request].push_back(taken++);
        }
        const bool found = taken == demand.candidates.size() && enter(request + 1);
        if (!found) {
            for (; taken > 0; --taken) {
                state_.give_back();
                chosen_[request].pop_back();
            }
        }
        return found;
    }

    [[nodiscard]] std::uint32_t number_of(std::uint32_t request) const {
        return problem_.requests[request].demands[entries_[request]];
    }

    // The next device of a demand, from a candidate on.
    bool pick(std::uint32_t request,
              const ProblemDemand& demand,
              std::uint64_t had,
              std::size_t from) {
        if (had == demand.need) {
            return enter(request + 1);
        }
        FaultWatch watch(demand, from);
        std::vector<std::size_t> failed;
        for (std::size_t c = from; c < demand.candidates.size(); ++c) {
            if (is_too_late(demand, had, c) || !spend() ||
                comes_to_fault(demand, watch, demand.candidates[c])) {
                break;
            }
            if (is_like_one(demand, failed, c)) {
                continue;
            }
            if (try_candidate(request, demand, had, c)) {
                return true;
            }
            if (is_stopped()) {
                return false;
            }
            failed.push_back(c);
        }
        if (!is_stopped()) {
            static_cast<void>(comes_to_fault(demand, watch, no_index));
        }
        return false;
    }

    // Too few candidates are left; only a fault may still be among what follows.
    [[nodiscard]] bool is_too_late(const ProblemDemand& demand,
                                   std::uint64_t had,
                                   std::size_t candidate) const {
        return !problem_.has_faults &&
               demand.candidates.size() - candidate < demand.need - had;
    }

    bool try_candidate(std::uint32_t request,
                       const ProblemDemand& demand,
                       std::uint64_t had,
                       std::size_t candidate) {
        if (!state_.choose(number_of(request), candidate)) {
            return false;
        }
        chosen_[request].push_back(candidate);
        const bool found = !(starvation_ && starvation_->is_there(state_, request)) &&
                           pick(request, demand, had + 1, candidate + 1);
        if (!found) {
            state_.give_back();
            chosen_[request].pop_back();
        }
        return found;
    }

    // Has a device that no rule tells from this one failed in the same place?
    [[nodiscard]] bool is_like_one(const ProblemDemand& demand,
                                   const std::vector<std::size_t>& failed,
                                   std::size_t candidate) {
        return !problem_.has_faults &&
               std::ranges::any_of(failed, [&](std::size_t other) {
                   return symmetry_.are_alike(
                       state_, demand.candidates[other], demand.candidates[candidate]);
               });
    }

    // Where a demand is in its walk past devices that it must not come to.
    struct FaultWatch {
        FaultWatch(const ProblemDemand& demand, std::size_t from)
            : behind(from == 0 ? 0 : demand.candidates[from - 1] + 1) {}
        std::uint32_t behind;     // the walk starts here
        std::size_t failing = 0;  // into ProblemDemand::failing
    };

    // Is there, before this device, one on which a selector fails, or an invalid pool?
    bool comes_to_fault(const ProblemDemand& demand,
                        FaultWatch& watch,
                        std::uint32_t device) {
        if (!problem_.has_faults) {
            return false;
        }
        std::uint32_t end = device;
        for (; watch.failing < demand.failing.size(); ++watch.failing) {
            const std::uint32_t position = demand.failing[watch.failing];
            if (position >= device) {
                break;
            }
            if (position >= watch.behind && !state_.is_passed_over(demand, position)) {
                end = position;
                break;
            }
        }
        return comes_to_pool(watch.behind, end) ||
               (end < device && fail_selector(demand, end));
    }

    bool comes_to_pool(std::uint32_t from, std::uint32_t end) {
        if (problem_.skips_invalid_pools) {
            return false;
        }
        const auto& pools = problem_.node->pools;
        const auto it = std::ranges::find_if(pools, [&](const NodePool& pool) {
            return pool.state == PoolState::invalid && pool.first >= from &&
                   pool.first <= end;
        });
        if (it == pools.end()) {
            return false;
        }
        fault_ = fault_of_pool(*it);
        return true;
    }

    bool fail_selector(const ProblemDemand& demand, std::uint32_t position) {
        fault_.emplace();
        fault_->kind = ClaimFault::Kind::selector_failed;
        fault_->claim = demand.claim;
        fault_->request = demand.request;
        fault_->demand = demand.entry;
        fault_->position = position;
        return true;
    }

    bool spend() {
        is_over_ = is_over_ || steps_ >= limits_.max_steps;
        ++steps_;
        return !is_over_;
    }

    const ClaimProblem& problem_;
    SearchLimits limits_;
    ClaimState state_;
    ClaimSymmetry symmetry_;
    std::vector<std::uint32_t> entries_;            // by request
    std::vector<std::vector<std::size_t>> chosen_;  // by request: candidates
    std::optional<Starvation> starvation_;          // since something has failed
    std::uint64_t steps_ = 0;
    bool is_over_ = false;
    std::optional<ClaimFault> fault_;
};

}  // namespace

ClaimAnswer search_first_fit(const ClaimProblem& problem, SearchLimits limits) {
    return FirstFit(problem, limits).run();
}

ClaimAnswer first_fit_of(CompiledClaims compiled, SearchLimits limits) {
    if (compiled.fault) {
        ClaimAnswer answer;
        answer.fault = std::move(compiled.fault);
        return answer;
    }
    ClaimAnswer answer = search_first_fit(compiled.problem, limits);
    if (compiled.problem.skips_invalid_pools && !answer.fault &&
        answer.status == Status::infeasible) {
        const auto& pools = compiled.problem.node->pools;
        const auto it = std::ranges::find(pools, PoolState::invalid, &NodePool::state);
        if (it != pools.end()) {
            answer.fault = fault_of_pool(*it);
        }
    }
    return answer;
}

ClaimAnswer first_fit(const ClaimWorld& world,
                      const ClaimQuestion& question,
                      SearchLimits limits) {
    const NodeDevices node = view_node(sources_of(world));
    return first_fit_of(
        compile_claims(node, question.claims, question.outcomes, world.semantics),
        limits);
}

}  // namespace topoalloc
