// SPDX-License-Identifier: Apache-2.0
#include "node/counter_ledger.hpp"

#include <algorithm>

namespace topoalloc {

CounterLedger::CounterLedger(const NodeState& state, const CompiledRequest& request)
    : state_(state) {
    if (!std::ranges::all_of(request.needs, [](const DeviceNeed& need) {
            return need.mode == TakeMode::whole;
        })) {
        uses_.resize(state.machine().devices().size());
    }
}

bool CounterLedger::add(const DeviceNeed& need, const Candidate& candidate) {
    if (uses_.empty()) {
        return true;
    }
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

void CounterLedger::remove(const DeviceNeed& need, const Candidate& candidate) {
    if (uses_.empty()) {
        return;
    }
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

const std::vector<std::uint64_t>& CounterLedger::draws_of(
    const DeviceNeed& need, const Candidate& candidate) const {
    return need.mode == TakeMode::share
               ? need.share_draws[candidate.share_index]
               : state_.machine().devices()[candidate.device].counter_draws;
}

}  // namespace topoalloc
