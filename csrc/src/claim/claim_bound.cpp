// SPDX-License-Identifier: Apache-2.0
#include "claim/claim_bound.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

namespace topoalloc {

ClaimBound::ClaimBound(const ClaimProblem& problem) : problem_(problem) {
    for (const ProblemRequest& request : problem.requests) {
        const ProblemDemand& demand = problem.demands[request.demands.front()];
        can_share_.push_back(
            demand.has_admin_access ||
            std::ranges::any_of(demand.candidates, [&](std::uint32_t device) {
                return problem.is_shared[device];
            }));
    }
}

void ClaimBound::look_at(const ProblemDemand& demand,
                         std::size_t from,
                         const ClaimState& state,
                         const DeviceSet& set) {
    near_.clear();
    others_.clear();
    counts_.assign(set.locality_count(), 0);
    in_use_ = 0;
    for (std::size_t c = from; c < demand.candidates.size(); ++c) {
        const std::uint32_t device = demand.candidates[c];
        if (state.is_chosen(device)) {
            continue;
        }
        near_.push_back(set.levels_to(device));
        const std::uint32_t locality = set.locality_of(device);
        if (locality == no_index || set.is_in_use(locality)) {
            ++in_use_;
        } else {
            ++counts_[locality];
        }
    }
    std::ranges::copy_if(counts_, std::back_inserter(others_), [](std::uint32_t count) {
        return count > 0;
    });
}

// The largest first.
std::int64_t ClaimBound::new_localities(std::uint64_t need) {
    std::ranges::sort(others_, std::greater<>());
    std::uint64_t room = in_use_;
    std::size_t taken = 0;
    while (room < need && taken < others_.size()) {
        room += others_[taken++];
    }
    return static_cast<std::int64_t>(taken);
}

std::int64_t ClaimBound::levels_to_set(std::uint64_t need) {
    const auto end = near_.begin() + static_cast<std::ptrdiff_t>(need);
    std::nth_element(near_.begin(), end, near_.end());
    return std::accumulate(near_.begin(), end, std::int64_t{0});
}

ClaimBound::Least ClaimBound::to_come(const ClaimState& state,
                                      const DeviceSet& set,
                                      std::uint32_t request,
                                      std::uint64_t had,
                                      std::size_t from) {
    Least out;
    std::size_t devices = 0;
    for (std::uint32_t r = request; r < problem_.requests.size(); ++r) {
        if (can_share_[r]) {
            continue;
        }
        const ProblemDemand& demand =
            problem_.demands[problem_.requests[r].demands.front()];
        const std::uint64_t need = demand.need - (r == request ? had : 0);
        look_at(demand, r == request ? from : 0, state, set);
        if (near_.size() < need) {
            out.is_possible = false;
            return out;
        }
        out.localities = std::max(out.localities, new_localities(need));
        out.levels += levels_to_set(need);
        devices += need;
    }
    out.levels += set.least_levels(devices);
    return out;
}

}  // namespace topoalloc
