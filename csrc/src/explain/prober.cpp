// SPDX-License-Identifier: Apache-2.0
#include "explain/prober.hpp"

#include "explain/request_items.hpp"

namespace topoalloc {

Answer Prober::solve(const Request& request) {
    return solve(*compile(verdict_.state->machine_ptr(), request), *verdict_.state);
}

Answer Prober::solve(const CompiledRequest& request, const NodeState& state) {
    Answer answer;
    answer.status = Status::unknown;
    answer.reason = Reason::step_limit;
    if (steps_ < limits_.max_steps) {
        answer = topoalloc::solve(
            state,
            request,
            {verdict_.policy, {limits_.max_steps - steps_}, verdict_.keep_from.get()});
        steps_ += answer.steps;
    }
    complete_ = complete_ && answer.status != Status::unknown;
    return answer;
}

Fit Prober::fits(const Request& request) {
    return is_empty(request) ? Fit::yes : fit_of(solve(request).status);
}

Fit Prober::fit_of(Status status) {
    switch (status) {
        case Status::optimal:
        case Status::feasible:
            return Fit::yes;
        case Status::infeasible:
            return Fit::no;
        case Status::unknown:
            break;
    }
    return Fit::unknown;
}

}  // namespace topoalloc
