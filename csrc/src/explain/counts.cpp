// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

#include "node/compiled_request.hpp"
#include "node/room.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Cores or PUs, as each decision on PUs takes some away.
CountLine count_pus(const NodeState& state, const Request& request) {
    const Machine& machine = state.machine();
    const bool by_core = request.cores != 0;
    CountLine line{
        by_core ? "cores" : "pus", by_core ? request.cores : request.pus, {}};
    Bitmap left = Bitmap::range(0, machine.pus().size());
    Bitmap broken;  // cores that lack a PU
    const auto add = [&](const char* filter) {
        line.steps.push_back(
            {filter, by_core ? machine.cores().size() - broken.count() : left.count()});
    };
    const auto take = [&](const Bitmap& gone, const char* filter) {
        left -= gone;
        if (by_core) {
            gone.for_each([&](std::size_t pu) { broken.set(machine.pus()[pu].core); });
        }
        add(filter);
    };
    add("on the machine");
    Bitmap disallowed = left;
    disallowed -= machine.allowed_pus();
    take(disallowed, "allowed");
    take(state.reserved_pus(), "not reserved");
    take(state.cordoned_pus(), "not cordoned");
    line.steps.push_back(
        {"free", by_core ? state.whole_cores().count() : state.free_pus().count()});
    if (!by_core && request.whole_cores) {
        std::uint64_t pus = 0;
        state.whole_cores().for_each(
            [&](std::size_t core) { pus += machine.cores()[core].pus.count(); });
        line.steps.push_back({"on whole cores", pus});
    }
    return line;
}

CountLine count_bytes(const NodeState& state,
                      MemoryKind kind,
                      std::uint64_t page_size,
                      std::uint64_t needed) {
    const Machine& machine = state.machine();
    const std::string what =
        page_size == 0 ? "memory" : "hugepages." + describe_bytes(page_size);
    CountLine line{what, needed, {}};
    const auto it = std::ranges::find(machine.page_sizes(), page_size);
    if (it == machine.page_sizes().end()) {
        line.steps = {{"on the machine", 0}};
        return line;
    }
    const auto index = static_cast<std::uint32_t>(it - machine.page_sizes().begin());
    std::uint64_t all = 0;
    std::uint64_t allowed = 0;
    std::uint64_t of_kind = 0;
    for (std::uint32_t n = 0; n < machine.numa_nodes().size(); ++n) {
        const NumaNode& node = machine.numa_nodes()[n];
        all += node.bytes[index];
        if (machine.allowed_numa_nodes().test(n)) {
            allowed += node.bytes[index];
            of_kind += node.kind == kind ? node.bytes[index] : 0;
        }
    }
    line.steps = {{"on the machine", all},
                  {"allowed", allowed},
                  {"of the kind asked for", of_kind},
                  {"free", free_bytes_of(state, kind, index)}};
    return line;
}

// A class as asked for, but for the conditions, `eligible` and `exclude`.
DeviceNeed need_without_filters(const NodeState& state, DeviceRequest wanted) {
    wanted.where.clear();
    wanted.eligible.reset();
    Request alone;
    alone.devices.push_back(std::move(wanted));
    return compile(state.machine_ptr(), alone)->needs.front();
}

// The devices that a part of a DeviceRequest leaves, by compiling it alone.
Bitmap candidates_of(const NodeState& state,
                     DeviceRequest wanted,
                     const std::vector<std::string>& exclude) {
    Request request;
    wanted.count = 1;
    request.devices.push_back(std::move(wanted));
    request.exclude = exclude;
    const auto compiled = compile(state.machine_ptr(), request);
    Bitmap out;
    for (const std::uint32_t device : compiled->needs.front().candidates) {
        out.set(device);
    }
    return out;
}

// What each filter leaves of the candidates of a class asked for without any.
void count_filters(const NodeState& state,
                   const DeviceRequest& wanted,
                   const std::vector<std::string>& exclude,
                   Bitmap& left,
                   CountLine& line) {
    DeviceRequest plain = wanted;
    plain.where.clear();
    plain.eligible.reset();
    const auto add = [&](std::string filter, const Bitmap& passed) {
        left &= passed;
        line.steps.push_back({std::move(filter), left.count()});
    };
    for (const Condition& condition : wanted.where) {
        DeviceRequest one = plain;
        one.where.push_back(condition);
        add("where " + describe(condition), candidates_of(state, one, {}));
    }
    if (wanted.eligible) {
        DeviceRequest one = plain;
        one.eligible = wanted.eligible;
        add("eligible", candidates_of(state, one, {}));
    }
    if (!exclude.empty()) {
        add("not excluded", candidates_of(state, plain, exclude));
    }
}

CountLine count_devices(const NodeState& state,
                        const CompiledRequest& request,
                        std::size_t index) {
    const DeviceRequest& wanted = request.request.devices[index];
    const std::vector<std::string>& exclude = request.request.exclude;
    CountLine line{wanted.device_class, wanted.count, {}};
    const bool has_filters =
        !wanted.where.empty() || wanted.eligible || !exclude.empty();
    const DeviceNeed need =
        has_filters ? need_without_filters(state, wanted) : request.needs[index];
    line.steps.push_back({"on the machine", need.candidates.size()});
    Bitmap uncordoned;
    Bitmap left;
    for (std::size_t i = 0; i < need.candidates.size(); ++i) {
        if (!state.is_cordoned(need.candidates[i])) {
            uncordoned.set(need.candidates[i]);
        }
        if (is_to_be_had(state, need, i)) {
            left.set(need.candidates[i]);
        }
    }
    line.steps.push_back({"not cordoned", uncordoned.count()});
    left &= uncordoned;
    line.steps.push_back({"free", left.count()});
    if (has_filters) {
        count_filters(state, wanted, exclude, left, line);
    }
    return line;
}

}  // namespace

std::vector<CountLine> count_resources(const NodeState& state,
                                       const CompiledRequest& request) {
    const Request& asked = request.request;
    std::vector<CountLine> lines;
    if (asked.cores != 0 || asked.pus != 0) {
        lines.push_back(count_pus(state, asked));
    }
    if (asked.memory != 0) {
        lines.push_back(count_bytes(state, asked.kind, 0, asked.memory));
    }
    for (const auto& [size, bytes] : asked.hugepages) {
        if (bytes != 0) {
            lines.push_back(count_bytes(state, asked.kind, size, bytes));
        }
    }
    for (std::size_t i = 0; i < asked.devices.size(); ++i) {
        lines.push_back(count_devices(state, request, i));
    }
    return lines;
}

}  // namespace topoalloc
