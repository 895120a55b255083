// SPDX-License-Identifier: Apache-2.0
#include "explain/prober.hpp"

#include "explain/request_items.hpp"
#include "node/room.hpp"
#include "node/tree_plan.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

constexpr std::uint64_t guess_part = 64;  // a guess may take one in so many steps

bool wants_bytes(const Request& request) {
    return request.memory != 0 ||
           std::ranges::any_of(request.hugepages,
                               [](const auto& entry) { return entry.second != 0; });
}

// Whether nothing but amounts of PUs and of roots of classes decides: no Placement of
// so many of them breaks a rule then, for localities are free to be any.
bool asks_for_amounts_alone(const Request& request) {
    return request.require.empty() && request.keep.empty() && request.exclude.empty() &&
           !wants_bytes(request) && (request.pus == 0 || !request.whole_cores) &&
           std::ranges::all_of(request.devices, [](const DeviceRequest& wanted) {
               return wanted.share.empty() && wanted.partition.empty() &&
                      wanted.where.empty() && !wanted.eligible;
           });
}

// Whether fewer roots of a class can be had than are asked for, whatever else is asked
// of them.
bool lacks_devices(const NodeState& state, const DeviceRequest& wanted) {
    if (!wanted.share.empty() || !wanted.partition.empty()) {
        return false;
    }
    const Machine& machine = state.machine();
    std::uint32_t found = 0;
    state.available_devices().for_each([&](std::size_t device) {
        const Device& d = machine.devices()[device];
        found += d.root == device && d.device_class == wanted.device_class ? 1U : 0U;
    });
    return found < wanted.count;
}

// A "no" that needs no Request made ready: a part of what find_shortage() finds.
bool lacks_amounts(const NodeState& state, const Request& request) {
    return state.whole_cores().count() < request.cores ||
           state.free_pus().count() < request.pus ||
           (request.memory != 0 &&
            free_bytes_of(state, request.kind, 0) < request.memory) ||
           std::ranges::any_of(
               request.devices,
               [&](const DeviceRequest& wanted) {
                   return lacks_devices(state, wanted);
               });
}

}  // namespace

// Takes the one step of an answer by counting; false once the budget is spent.
bool Prober::spend_count() {
    if (steps_ >= limits_.max_steps) {
        complete_ = false;
        return false;
    }
    ++steps_;
    return true;
}

std::shared_ptr<const CompiledRequest> Prober::compile_probe(const Request& request) {
    auto compiled = compile_to_change(verdict_.state->machine_ptr(), request);
    const auto known = std::ranges::find_if(planned_, [&](const auto& other) {
        return have_one_tree_plan(*other, *compiled);
    });
    if (known != planned_.end()) {
        compiled->tree = (*known)->tree;
    } else {
        planned_.push_back(compiled);
    }
    return compiled;
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
    if (is_empty(request)) {
        return Fit::yes;
    }
    if (lacks_amounts(state(), request)) {
        return spend_count() ? Fit::no : Fit::unknown;
    }
    if (asks_for_amounts_alone(request)) {
        return spend_count() ? Fit::yes : Fit::unknown;
    }
    return fit_of(solve(*compile_probe(request), state()).status);
}

std::optional<Cost> Prober::cost_of(const Request& request) {
    if (is_empty(request)) {
        return std::nullopt;
    }
    if (lacks_amounts(state(), request)) {
        static_cast<void>(spend_count());
        return std::nullopt;
    }
    return cost_of(*compile_probe(request));
}

std::optional<Cost> Prober::cost_of(const CompiledRequest& request) {
    const Answer answer = solve(request, state());
    return fit_of(answer.status) == Fit::yes ? std::optional(answer.placement.cost)
                                             : std::nullopt;
}

Guess Prober::guess(const CompiledRequest& request) {
    const std::uint64_t left = limits_.max_steps - std::min(steps_, limits_.max_steps);
    if (left < guess_part) {
        return {};
    }
    const Answer answer = topoalloc::solve(
        state(),
        request,
        {verdict_.policy, {left / guess_part}, verdict_.keep_from.get()});
    steps_ += answer.steps;
    // A Placement that is not proved the best may not be the one found in the end.
    if (answer.status == Status::feasible) {
        return {};
    }
    return {fit_of(answer.status), answer.placement.cost};
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
