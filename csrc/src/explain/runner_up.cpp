// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Less cost, then the index sets of term 10.
bool is_better(const Placement& a, const Placement& b, const Policy& policy) {
    if (const auto order = compare_costs(a.cost, b.cost, policy); order != 0) {
        return order < 0;
    }
    const auto devices_of = [](const Placement& p) {
        Bitmap out;
        for (const DeviceGrant& grant : p.devices) {
            out.set(grant.device);
        }
        return out;
    };
    if (const auto order = devices_of(a).compare_least_index(devices_of(b));
        order != 0) {
        return order < 0;
    }
    if (const auto order = a.pus.compare_least_index(b.pus); order != 0) {
        return order < 0;
    }
    return a.localities.compare_least_index(b.localities) < 0;
}

void offer(Prober& prober, const NodeState& state, RunnerUp& best) {
    Answer answer = prober.solve_on(state);
    if (Prober::fit_of(answer.status) != Fit::yes) {
        return;
    }
    if (!best.exists || is_better(answer.placement, best.placement, prober.policy())) {
        best.exists = true;
        best.placement = std::move(answer.placement);
    }
}

}  // namespace

RunnerUp find_runner_up(Prober& prober, const Placement& placement) {
    RunnerUp best;
    const Machine& machine = prober.machine();
    // A cordon is how a state says "not this one". Another set of as many devices lacks
    // one of those chosen, so the best over all of them is the best other set.
    for (const DeviceGrant& grant : placement.devices) {
        NodeState state = prober.state();
        state.cordon_device(grant.device, true);
        offer(prober, state, best);
    }
    if (placement.devices.empty()) {
        Bitmap localities;
        placement.pus.for_each(
            [&](std::size_t pu) { localities.set(machine.pus()[pu].locality); });
        localities.for_each([&](std::size_t locality) {
            NodeState state = prober.state();
            machine.localities()[locality].pus.for_each([&](std::size_t pu) {
                state.cordon_pu(static_cast<std::uint32_t>(pu), true);
            });
            offer(prober, state, best);
        });
    }
    if (best.exists) {
        const auto terms = terms_in_order(prober.policy());
        const auto* const lost = std::ranges::find_if(terms, [&](Cost::Term term) {
            return best.placement.cost[term] != placement.cost[term];
        });
        best.lost_on = lost == terms.end() ? Cost::term_count : *lost;
    }
    return best;
}

}  // namespace topoalloc
