// SPDX-License-Identifier: Apache-2.0
#include "node/placement_cost.hpp"

#include "node/definition.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace topoalloc {
namespace {

std::int64_t signed_count(std::size_t count) {
    return static_cast<std::int64_t>(count);
}

std::int64_t sum_of_distances(const Machine& machine, const Bitmap& localities) {
    const std::vector<std::uint32_t> members = localities.to_vector();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t j = i + 1; j < members.size(); ++j) {
            sum += machine.distance(members[i], members[j]);
        }
    }
    return static_cast<std::int64_t>(sum);
}

std::int64_t missing_links(const Machine& machine, const Placement& placement) {
    const auto is_root = [&machine](std::uint32_t device) {
        return machine.devices()[device].root == device;
    };
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < placement.devices.size(); ++i) {
        const std::uint32_t a = placement.devices[i].device;
        const std::string& device_class = machine.devices()[a].device_class;
        if (!is_root(a) || !machine.class_has_links(device_class)) {
            continue;
        }
        for (std::size_t j = i + 1; j < placement.devices.size(); ++j) {
            const std::uint32_t b = placement.devices[j].device;
            if (is_root(b) && machine.devices()[b].device_class == device_class) {
                sum += machine.max_link_mb_s() - machine.link_mb_s(a, b);
            }
        }
    }
    return static_cast<std::int64_t>(sum);
}

}  // namespace

Bitmap derive_localities(const Machine& machine, const Placement& placement) {
    Bitmap out;
    placement.pus.for_each(
        [&](std::size_t pu) { out.set(machine.pus()[pu].locality); });
    std::vector<const Bitmap*> several;
    const auto add = [&](const Bitmap& localities) {
        if (localities.count() > 1) {
            several.push_back(&localities);
        } else {
            out |= localities;
        }
    };
    for (const MemoryGrant& grant : placement.memory) {
        add(machine.numa_nodes()[grant.numa_node].localities);
    }
    for (const DeviceGrant& grant : placement.devices) {
        add(machine.devices()[grant.device].localities);
    }
    for (const Bitmap* localities : several) {
        if (!localities->intersects(out)) {
            out.set(localities->first());
        }
    }
    return out;
}

void set_split_and_opened(const NodeState& state,
                          const Placement& placement,
                          Packing packing,
                          Cost& cost) {
    const Machine& machine = state.machine();
    Bitmap cores;
    placement.pus.for_each([&](std::size_t pu) { cores.set(machine.pus()[pu].core); });
    std::int64_t split = 0;
    cores.for_each([&](std::size_t core) {
        split += machine.cores()[core].pus.is_subset_of(placement.pus) ? 0 : 1;
    });
    cost[Cost::split_cores] = split;
    count_opened(state, placement, packing, cost);
}

Cost cost_without_request(const NodeState& state,
                          const Placement& placement,
                          Packing packing) {
    const Machine& machine = state.machine();
    Cost cost;
    Bitmap packages;
    placement.localities.for_each([&](std::size_t locality) {
        packages |= machine.localities()[locality].packages;
    });
    cost[Cost::packages] = signed_count(packages.count());
    cost[Cost::localities] = signed_count(placement.localities.count());
    cost[Cost::distance] = sum_of_distances(machine, placement.localities);
    cost[Cost::missing_link] = missing_links(machine, placement);
    Bitmap pu_localities;
    Bitmap l3s;
    placement.pus.for_each([&](std::size_t pu) {
        pu_localities.set(machine.pus()[pu].locality);
        l3s.set(machine.pus()[pu].l3);
    });
    if (!placement.pus.empty()) {
        cost[Cost::remote_devices] = signed_count(static_cast<std::size_t>(
            std::ranges::count_if(placement.devices, [&](const DeviceGrant& grant) {
                const Bitmap& localities = machine.devices()[grant.device].localities;
                return !localities.empty() && !localities.intersects(pu_localities);
            })));
    }
    cost[Cost::l3s] = signed_count(l3s.count());
    set_split_and_opened(state, placement, packing, cost);
    return cost;
}

}  // namespace topoalloc
