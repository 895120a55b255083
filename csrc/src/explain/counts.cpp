// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

#include "node/compiled_request.hpp"
#include "node/room.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

std::uint64_t count_inside(const Machine& machine, const Bitmap& pus) {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        machine.cores(),
        [&](const Domain& core) { return core.pus.is_subset_of(pus); }));
}

// Cores or PUs, as each decision on PUs takes some away.
CountLine count_pus(const NodeState& state, const Request& request) {
    const Machine& machine = state.machine();
    const bool by_core = request.cores != 0;
    CountLine line{
        by_core ? "cores" : "pus", by_core ? request.cores : request.pus, {}};
    Bitmap left = Bitmap::range(0, machine.pus().size());
    const auto add = [&](const char* filter) {
        line.steps.push_back(
            {filter, by_core ? count_inside(machine, left) : left.count()});
    };
    add("on the machine");
    left &= machine.allowed_pus();
    add("allowed");
    left -= state.reserved_pus();
    add("not reserved");
    left -= state.cordoned_pus();
    add("not cordoned");
    left -= state.owned_pus();
    add("free");
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

CountLine count_devices(const NodeState& state,
                        const Request& request,
                        const DeviceRequest& wanted) {
    CountLine line{wanted.device_class, wanted.count, {}};
    DeviceRequest plain = wanted;
    plain.where.clear();
    plain.eligible.reset();
    Request alone;
    alone.devices.push_back(plain);
    const auto compiled = compile(state.machine_ptr(), alone);
    const DeviceNeed& need = compiled->needs.front();
    Bitmap left;
    Bitmap free;
    line.steps.push_back({"on the machine", need.candidates.size()});
    for (std::size_t i = 0; i < need.candidates.size(); ++i) {
        if (!state.is_cordoned(need.candidates[i])) {
            left.set(need.candidates[i]);
        }
        if (is_to_be_had(state, need, i)) {
            free.set(need.candidates[i]);
        }
    }
    const auto add = [&](std::string filter, const Bitmap& passed) {
        left &= passed;
        line.steps.push_back({std::move(filter), left.count()});
    };
    line.steps.push_back({"not cordoned", left.count()});
    add("free", free);
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
    if (!request.exclude.empty()) {
        add("not excluded", candidates_of(state, plain, request.exclude));
    }
    return line;
}

}  // namespace

std::vector<CountLine> count_resources(const NodeState& state, const Request& request) {
    std::vector<CountLine> lines;
    if (request.cores != 0 || request.pus != 0) {
        lines.push_back(count_pus(state, request));
    }
    if (request.memory != 0) {
        lines.push_back(count_bytes(state, request.kind, 0, request.memory));
    }
    for (const auto& [size, bytes] : request.hugepages) {
        if (bytes != 0) {
            lines.push_back(count_bytes(state, request.kind, size, bytes));
        }
    }
    for (const DeviceRequest& wanted : request.devices) {
        lines.push_back(count_devices(state, request, wanted));
    }
    return lines;
}

}  // namespace topoalloc
