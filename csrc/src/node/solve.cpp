// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/solver.hpp"

#include "base/arena.hpp"
#include "node/definition.hpp"
#include "node/reason.hpp"
#include "node/search.hpp"
#include "node/tree_search.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

namespace topoalloc {
namespace {

constexpr std::size_t scratch_bytes = 24576;

// Which preferences stay unmet (bit i is prefer[i]), best first: fewest, then the 0/1
// vector with the first entry most significant.
std::vector<std::uint32_t> unmet_sets(std::size_t preferences) {
    std::vector<std::uint32_t> sets;
    for (std::uint32_t set = 0; set < (1U << preferences); ++set) {
        sets.push_back(set);
    }
    const auto vector_of = [preferences](std::uint32_t set) {
        std::uint32_t vector = 0;
        for (std::size_t i = 0; i < preferences; ++i) {
            vector = vector * 2 + ((set >> i) & 1U);
        }
        return vector;
    };
    std::ranges::sort(sets, {}, [&](std::uint32_t set) {
        return std::pair(std::popcount(set), vector_of(set));
    });
    return sets;
}

std::vector<const CompiledConstraint*> enforced_with(const CompiledRequest& request,
                                                     std::uint32_t unmet) {
    std::vector<const CompiledConstraint*> enforced;
    for_each_enforced(request, unmet, [&](const CompiledConstraint& constraint) {
        enforced.push_back(&constraint);
        return true;
    });
    return enforced;
}

SearchResult search_any(const NodeState& state,
                        const CompiledRequest& request,
                        std::uint32_t unmet,
                        const SolveOptions& options,
                        std::uint64_t& steps) {
    // The tree search has the default order built in.
    const TreePlan* plan =
        options.policy.has_default_order() ? request.tree->get(request) : nullptr;
    SearchResult result;
    if (plan != nullptr) {
        // Most questions need no more, so they allocate nothing but their answer.
        std::array<std::byte, scratch_bytes> buffer;  // NOLINT: written before read
        Arena arena(buffer);
        if (tree_search(state, request, *plan, unmet, options, steps, arena, result)) {
            return result;
        }
    }
    result = search(state, request, enforced_with(request, unmet), options, steps);
    return result;
}

ChosenDevices chosen_of(const CompiledRequest& request, const Placement& placement) {
    ChosenDevices chosen(request.needs.size());
    for (const DeviceGrant& grant : placement.devices) {
        const std::uint32_t need =
            request.need_of(request.machine->devices()[grant.device].device_class);
        if (need == no_index) {
            throw InvalidRequestError(
                "placement.devices: " + request.machine->devices()[grant.device].name +
                ", want only classes that are asked for");
        }
        chosen[need].push_back(grant.device);
    }
    return chosen;
}

// Searches with the preferences that are not in `unmet`; true when the answer is found.
bool try_unmet(const NodeState& state,
               const CompiledRequest& request,
               const SolveOptions& options,
               std::uint32_t unmet,
               bool& limited,
               Answer& answer) {
    SearchResult found = search_any(state, request, unmet, options, answer.steps);
    limited = limited || found.limited;
    if (!found.best) {
        return false;
    }
    answer.placement = std::move(*found.best);
    answer.status = limited ? Status::feasible : Status::optimal;
    answer.reason = limited ? Reason::step_limit : Reason::placed;
    if (request.has_pairs) {
        answer.placement.pairs = made_pairs(request, answer.placement);
    }
    if (limited) {
        // A search cut short may meet a preference that it did not ask for.
        answer.placement.cost = placement_cost(state,
                                               request,
                                               answer.placement,
                                               chosen_of(request, answer.placement),
                                               options.policy.packing);
        return true;
    }
    set_unmet(request, unmet, answer.placement.cost);
    return true;
}

// The same for each set of preferences, the best first.
bool try_all_unmet(const NodeState& state,
                   const CompiledRequest& request,
                   const SolveOptions& options,
                   bool& limited,
                   Answer& answer) {
    for (const std::uint32_t unmet : unmet_sets(request.prefer.size())) {
        if (answer.steps >= options.limits.max_steps) {
            limited = true;
            return false;
        }
        if (try_unmet(state, request, options, unmet, limited, answer)) {
            return true;
        }
    }
    return false;
}

}  // namespace

Answer solve(const NodeState& state,
             const CompiledRequest& request,
             const SolveOptions& options) {
    if (!options.policy.has_default_order()) {
        validate(options.policy);
    }
    Answer answer;
    if (const auto shortage = find_shortage(state, request)) {
        answer.reason = *shortage;
        answer.steps = 1;
        return answer;
    }
    bool limited = false;
    const bool is_found = request.prefer.empty()
                              ? try_unmet(state, request, options, 0, limited, answer)
                              : try_all_unmet(state, request, options, limited, answer);
    if (is_found) {
        return answer;
    }
    answer.status = limited ? Status::unknown : Status::infeasible;
    answer.reason = limited ? Reason::step_limit : name_conflict(request);
    return answer;
}

Cost evaluate(const NodeState& state,
              const CompiledRequest& request,
              const Placement& placement,
              Policy policy) {
    const ChosenDevices chosen = chosen_of(request, placement);
    for (std::size_t need = 0; need < chosen.size(); ++need) {
        if (chosen[need].size() != request.needs[need].count) {
            throw InvalidRequestError(
                "placement.devices: " + std::to_string(chosen[need].size()) +
                " of class " + request.request.devices[need].device_class + ", want " +
                std::to_string(request.needs[need].count));
        }
    }
    if (!state.can_take(placement, false)) {
        throw InvalidRequestError("placement: holds what is not free, want what is");
    }
    for (const CompiledConstraint& constraint : request.require) {
        if (!constraint_holds(request, constraint, placement, chosen)) {
            throw InvalidRequestError("placement: breaks a required constraint");
        }
    }
    return placement_cost(state, request, placement, chosen, policy.packing);
}

}  // namespace topoalloc
