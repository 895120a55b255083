// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

#include <algorithm>
#include <iterator>

namespace topoalloc {

Explanation explain(const Verdict& verdict,
                    const std::map<std::string, Holding>& holdings,
                    SearchLimits limits) {
    Explanation out;
    out.status = verdict.answer.status;
    out.reason = verdict.answer.reason;
    out.cost = verdict.answer.placement.cost;
    if (verdict.state == nullptr || verdict.request == nullptr) {
        // Taken by allocate(): the state that was asked is gone.
        out.complete = false;
        return out;
    }
    Prober prober(verdict, limits);
    out.counts = count_resources(*verdict.state, *verdict.request);
    switch (out.status) {
        case Status::infeasible: {
            const std::vector<RequestItem> conflict = find_conflict(prober);
            for (const RequestItem& item : conflict) {
                out.conflict.push_back(
                    {path_of(prober.request(), item),
                     text_of(prober.request(), item) +
                         unknown_name_note(prober.machine(), prober.request(), item)});
            }
            out.relaxations = relax_unknown_profiles(prober, conflict);
            std::ranges::move(
                find_relaxations(prober, conflict, holdings, verdict.owner),
                std::back_inserter(out.relaxations));
            break;
        }
        case Status::optimal:
        case Status::feasible:
            out.runner_up = find_runner_up(prober, verdict.answer.placement);
            break;
        case Status::unknown:
            break;
    }
    out.complete = prober.is_complete() && out.status != Status::unknown;
    out.steps = prober.steps();
    return out;
}

}  // namespace topoalloc
