// SPDX-License-Identifier: Apache-2.0
//
// Depth first in the order of first_fit, with a bound: of all allocations of least cost
// the first is met before the others. Three things are cut: what can not become better
// than the best so far; candidates like one that was passed by, as the two could be
// exchanged; and states like one that was searched, whose allocations cost the same and
// come later.
#include "claim/best_search.hpp"

#include "claim/claim_bound.hpp"
#include "claim/claim_state.hpp"
#include "claim/claim_symmetry.hpp"
#include "claim/device_set.hpp"
#include "claim/starvation.hpp"
#include "claim/value_tree.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace topoalloc {
namespace {

// Beyond it states are searched again: memory stays bounded.
constexpr std::size_t most_seen = 200'000;
// Before so many steps a state costs more to write down than to search again.
constexpr std::uint64_t steps_before_seen = 64;

class BestSearch {
  public:
    BestSearch(const ClaimProblem& problem,
               const DeviceSites& sites,
               Candidates first,
               SearchLimits limits)
        : problem_(problem),
          limits_(limits),
          state_(problem),
          set_(problem, sites),
          symmetry_(problem),
          starvation_(problem),
          bound_(problem),
          chosen_(problem.requests.size()) {
        best_.cost = cost_of(first);
        best_.chosen = std::move(first);
    }

    // Few localities first: where there is an allocation in so few, most of the others
    // need no look.
    BestChoice run() {
        const std::int64_t first = best_.cost.localities;
        for (most_localities_ = std::min<std::int64_t>(first, 1);
             best_.is_proved && most_localities_ <= best_.cost.localities;
             ++most_localities_) {
            seen_.clear();
            enter(0);
        }
        best_.steps = steps_;
        return std::move(best_);
    }

  private:
    [[nodiscard]] const ProblemDemand& demand_of(std::uint32_t request) const {
        return problem_.demands[number_of(request)];
    }
    [[nodiscard]] std::uint32_t number_of(std::uint32_t request) const {
        return problem_.requests[request].demands.front();
    }

    ClaimCost cost_of(const Candidates& chosen) {
        std::size_t made = 0;
        for (std::uint32_t r = 0; r < chosen.size(); ++r) {
            for (const std::size_t candidate : chosen[r]) {
                made += choose(r, candidate) ? 1U : 0U;
            }
        }
        ClaimCost cost = set_.cost(state_);
        for (auto r = static_cast<std::uint32_t>(chosen.size()); r-- > 0;) {
            for (; !chosen_[r].empty() && made > 0; --made) {
                give_back(r);
            }
        }
        return cost;
    }

    bool choose(std::uint32_t request, std::size_t candidate) {
        const ProblemDemand& demand = demand_of(request);
        const std::uint32_t device = demand.candidates[candidate];
        const bool was_chosen = state_.is_chosen(device);
        if (!state_.choose(number_of(request), candidate)) {
            return false;
        }
        if (!was_chosen && state_.is_chosen(device)) {
            set_.add(device);
        }
        chosen_[request].push_back(candidate);
        return true;
    }

    void give_back(std::uint32_t request) {
        const std::uint32_t device =
            demand_of(request).candidates[chosen_[request].back()];
        const bool was_chosen = state_.is_chosen(device);
        chosen_[request].pop_back();
        state_.give_back();
        if (was_chosen && !state_.is_chosen(device)) {
            set_.remove(device);
        }
    }

    bool spend() {
        best_.is_proved = best_.is_proved && steps_ < limits_.max_steps;
        ++steps_;
        return best_.is_proved;
    }

    void enter(std::uint32_t request) {
        if (request == problem_.requests.size()) {
            keep_better();
            return;
        }
        const ProblemDemand& demand = demand_of(request);
        if (state_.results(demand.claim) + demand.need > most_results) {
            return;
        }
        if (demand.is_all) {
            take_all(request, demand);
        } else {
            pick(request, demand, 0, 0);
        }
    }

    void keep_better() {
        ClaimCost cost = set_.cost(state_);
        // Those of more localities are met again, in their order, when it is their
        // turn.
        if (cost.localities <= most_localities_ && cost < best_.cost) {
            best_.cost = std::move(cost);
            best_.chosen = chosen_;
        }
    }

    void take_all(std::uint32_t request, const ProblemDemand& demand) {
        if (demand.is_blocked) {
            return;
        }
        std::size_t taken = 0;
        while (taken < demand.candidates.size() && spend() && choose(request, taken)) {
            ++taken;
        }
        if (taken == demand.candidates.size()) {
            enter(request + 1);
        }
        for (; taken > 0; --taken) {
            give_back(request);
        }
    }

    void pick(std::uint32_t request,
              const ProblemDemand& demand,
              std::uint64_t had,
              std::size_t from) {
        if (had == demand.need) {
            enter(request + 1);
            return;
        }
        if (is_hopeless(request, had, from) || is_seen(request, {&demand, had, from})) {
            return;
        }
        std::vector<std::size_t> passed;
        for (std::size_t c = from; c < demand.candidates.size(); ++c) {
            if (demand.candidates.size() - c < demand.need - had || !spend()) {
                return;
            }
            if (is_like_one(demand, passed, c)) {
                continue;
            }
            if (choose(request, c)) {
                if (!starvation_.is_there(state_, request)) {
                    pick(request, demand, had + 1, c + 1);
                }
                give_back(request);
            }
            passed.push_back(c);
        }
    }

    [[nodiscard]] bool is_like_one(const ProblemDemand& demand,
                                   const std::vector<std::size_t>& passed,
                                   std::size_t candidate) {
        return std::ranges::any_of(passed, [&](std::size_t other) {
            return symmetry_.are_alike(
                state_, demand.candidates[other], demand.candidates[candidate]);
        });
    }

    bool is_seen(std::uint32_t request, const OpenDemand& open) {
        if (steps_ < steps_before_seen) {
            return false;
        }
        if (!tree_) {
            tree_.emplace(problem_, true);
        }
        if (seen_.size() >= most_seen) {
            seen_.clear();
        }
        return !seen_.insert(tree_->text_of(state_, request, open)).second;
    }

    // Can nothing that is still to come make this better than the best so far?
    bool is_hopeless(std::uint32_t request, std::uint64_t had, std::size_t from) {
        const auto coming = bound_.to_come(state_, set_, request, had, from);
        const std::int64_t localities = set_.localities() + coming.localities;
        const std::int64_t levels = set_.levels() + coming.levels;
        if (!coming.is_possible || localities > most_localities_) {
            return true;
        }
        if (localities != best_.cost.localities || levels != best_.cost.levels) {
            return std::tie(localities, levels) >
                   std::tie(best_.cost.localities, best_.cost.levels);
        }
        ClaimCost now = set_.cost(state_);
        now.localities = localities;
        now.levels = levels;
        return now >= best_.cost;
    }

    const ClaimProblem& problem_;
    SearchLimits limits_;
    ClaimState state_;
    DeviceSet set_;
    ClaimSymmetry symmetry_;
    std::optional<ValueTree> tree_;
    Starvation starvation_;
    ClaimBound bound_;
    Candidates chosen_;
    std::unordered_set<std::string> seen_;
    BestChoice best_;
    std::int64_t most_localities_ = 0;
    std::uint64_t steps_ = 0;
};

}  // namespace

BestChoice search_best(const ClaimProblem& problem,
                       const DeviceSites& sites,
                       Candidates first,
                       SearchLimits limits) {
    return BestSearch(problem, sites, std::move(first), limits).run();
}

}  // namespace topoalloc
