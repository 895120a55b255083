// SPDX-License-Identifier: Apache-2.0
#include "node/reason.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

std::optional<Reason> find_pu_shortage(const NodeState& state, const Request& request) {
    if (request.cores != 0 && state.whole_cores().count() < request.cores) {
        return Reason::not_enough_cores;
    }
    if (request.pus == 0) {
        return std::nullopt;
    }
    std::size_t pus = state.free_pus().count();
    if (request.whole_cores) {
        pus = 0;
        state.whole_cores().for_each([&](std::size_t core) {
            pus += state.machine().cores()[core].pus.count();
        });
    }
    return pus < request.pus ? std::optional(Reason::not_enough_pus) : std::nullopt;
}

std::optional<Reason> find_byte_shortage(const NodeState& state,
                                         const CompiledRequest& request) {
    if (request.lacks_page_size) {
        return Reason::not_enough_hugepages;
    }
    const auto& nodes = state.machine().numa_nodes();
    for (std::uint32_t size = 0; size < request.bytes.size(); ++size) {
        std::uint64_t missing = request.bytes[size];
        for (std::uint32_t n = 0; n < nodes.size() && missing != 0; ++n) {
            if (nodes[n].kind == request.request.kind) {
                missing -= std::min(missing, state.free_bytes(n, size));
            }
        }
        if (missing != 0) {
            return size == 0 ? Reason::not_enough_memory : Reason::not_enough_hugepages;
        }
    }
    return std::nullopt;
}

bool is_to_be_had(const NodeState& state, const DeviceNeed& need, std::size_t index) {
    const std::uint32_t device = need.candidates[index];
    if (need.mode != TakeMode::share) {
        return state.is_available(device);
    }
    if (state.is_cordoned(device) || state.is_held_whole(device)) {
        return false;
    }
    const auto left = state.counters_left(device);
    return std::ranges::equal(
        need.share_draws[index], left, [](std::uint64_t want, std::uint64_t have) {
            return want <= have;
        });
}

// True when no domain of a required Align of the cores has enough whole ones.
bool lacks_cores_together(const NodeState& state,
                          const CompiledRequest& request,
                          const CompiledAlign& align) {
    const Machine& machine = state.machine();
    // Packages need not stand side by side.
    if (!align.scope.pus || request.request.cores == 0 ||
        align.level == AlignLevel::package || !machine.runs_are_joined()) {
        return false;
    }
    std::uint32_t domain = no_index;
    std::uint32_t cores = 0;
    for (std::size_t i = 0; i < machine.core_runs().size(); ++i) {
        const CoreRun& run = machine.core_runs()[i];
        const std::uint32_t here =
            align.level == AlignLevel::numa ? run.locality : run.l3;
        cores = here == domain ? cores : 0;
        domain = here;
        cores += state.whole_cores_of_run()[i];
        if (cores >= request.request.cores) {
            return false;
        }
    }
    return true;
}

Reason reason_of(const CompiledConstraint& constraint) {
    if (const auto* attribute = std::get_if<CompiledAttribute>(&constraint)) {
        return attribute->same ? Reason::same_unsatisfiable
                               : Reason::distinct_unsatisfiable;
    }
    if (std::holds_alternative<CompiledAlign>(constraint)) {
        return Reason::align_unsatisfiable;
    }
    if (std::holds_alternative<CompiledPair>(constraint)) {
        return Reason::pair_unsatisfiable;
    }
    return std::holds_alternative<CompiledLink>(constraint)
               ? Reason::link_unsatisfiable
               : Reason::near_unsatisfiable;
}

}  // namespace

std::optional<Reason> find_shortage(const NodeState& state,
                                    const CompiledRequest& request) {
    if (const auto reason = find_pu_shortage(state, request.request)) {
        return reason;
    }
    if (const auto reason = find_byte_shortage(state, request)) {
        return reason;
    }
    for (const DeviceNeed& need : request.needs) {
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < need.candidates.size() && found < need.count; ++i) {
            found += is_to_be_had(state, need, i) ? 1U : 0U;
        }
        if (found < need.count) {
            return Reason::not_enough_devices;
        }
    }
    for (const CompiledConstraint& constraint : request.require) {
        const auto* align = std::get_if<CompiledAlign>(&constraint);
        if (align != nullptr && lacks_cores_together(state, request, *align)) {
            return name_conflict(request);
        }
    }
    return std::nullopt;
}

Reason name_conflict(const CompiledRequest& request) {
    std::optional<Reason> only;
    for (const CompiledConstraint& constraint : request.require) {
        if (std::holds_alternative<std::monostate>(constraint)) {
            continue;
        }
        if (only) {
            return Reason::requirements_conflict;
        }
        only = reason_of(constraint);
    }
    return only.value_or(Reason::requirements_conflict);
}

}  // namespace topoalloc
