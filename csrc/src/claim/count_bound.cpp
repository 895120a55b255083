// SPDX-License-Identifier: Apache-2.0
#include "claim/count_bound.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

bool is_counted(const ClaimProblem& problem, const ProblemDemand& demand) {
    return !demand.is_all && !demand.has_admin_access &&
           std::ranges::none_of(demand.candidates, [&](std::uint32_t device) {
               return problem.is_shared[device];
           });
}

bool is_hopeless(const ProblemDemand& demand) {
    return demand.is_blocked || demand.need > demand.candidates.size();
}

}  // namespace

bool is_refused_by_counts(const ClaimProblem& problem) {
    if (problem.has_faults) {
        return false;
    }
    // Sets of candidates, and what is wanted of each: few, so a list will do.
    std::vector<std::pair<const std::vector<std::uint32_t>*, std::uint64_t>> wanted;
    for (const ProblemRequest& request : problem.requests) {
        if (std::ranges::all_of(request.demands, [&](std::uint32_t number) {
                return is_hopeless(problem.demands[number]);
            })) {
            return true;
        }
        const ProblemDemand& demand = problem.demands[request.demands.front()];
        if (request.demands.size() > 1 || !is_counted(problem, demand)) {
            continue;
        }
        const auto it = std::ranges::find_if(wanted, [&](const auto& known) {
            return *known.first == demand.candidates;
        });
        if (it == wanted.end()) {
            wanted.emplace_back(&demand.candidates, demand.need);
        } else if (it->second += demand.need; it->second > demand.candidates.size()) {
            return true;
        }
    }
    return false;
}

}  // namespace topoalloc
