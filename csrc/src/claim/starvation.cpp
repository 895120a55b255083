// SPDX-License-Identifier: Apache-2.0
#include "claim/starvation.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

bool shares_constraint(const ClaimProblem& problem,
                       const ProblemRequest& request,
                       const ProblemDemand& demand) {
    return std::ranges::any_of(request.demands, [&](std::uint32_t number) {
        return std::ranges::any_of(
            problem.demands[number].constraints, [&](std::uint32_t constraint) {
                return std::ranges::find(demand.constraints, constraint) !=
                       demand.constraints.end();
            });
    });
}

}  // namespace

Starvation::Starvation(const ClaimProblem& problem) : problem_(problem) {
    for (std::size_t r = 0; r < problem.requests.size(); ++r) {
        std::vector<std::uint32_t>& later = later_.emplace_back();
        for (std::size_t other = r + 1; other < problem.requests.size(); ++other) {
            const std::uint32_t number = problem.requests[other].demands.front();
            const ProblemDemand& demand = problem.demands[number];
            if (problem.requests[other].demands.size() == 1 && !demand.is_all &&
                shares_constraint(problem, problem.requests[r], demand)) {
                later.push_back(number);
            }
        }
    }
}

bool Starvation::is_there(const ClaimState& state, std::uint32_t request) const {
    return std::ranges::any_of(later_[request], [&](std::uint32_t later) {
        const ProblemDemand& demand = problem_.demands[later];
        std::uint64_t left = 0;
        for (const std::uint32_t device : demand.candidates) {
            left += !state.is_passed_over(demand, device) &&
                            state.would_match(demand, device)
                        ? 1
                        : 0;
            if (left == demand.need) {
                return false;
            }
        }
        return left < demand.need;
    });
}

}  // namespace topoalloc
