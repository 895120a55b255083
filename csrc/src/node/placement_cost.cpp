// SPDX-License-Identifier: Apache-2.0
#include "node/placement_cost.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace topoalloc {
namespace {

std::int64_t signed_count(std::size_t count) {
    return static_cast<std::int64_t>(count);
}

// Domains in which a Placement holds something.
struct Domains {
    Bitmap packages, localities, switches, devices, l3s, cores;
};

void add_locality(const Machine& machine, std::size_t locality, Domains& domains) {
    domains.localities.set(locality);
    domains.packages |= machine.localities()[locality].packages;
}

Domains domains_of(const Machine& machine, const Placement& placement) {
    Domains out;
    placement.pus.for_each([&](std::size_t index) {
        const Pu& pu = machine.pus()[index];
        out.localities.set(pu.locality);
        out.packages.set(pu.package);
        out.l3s.set(pu.l3);
        out.cores.set(pu.core);
    });
    for (const MemoryGrant& grant : placement.memory) {
        machine.numa_nodes()[grant.numa_node].localities.for_each(
            [&](std::size_t locality) { add_locality(machine, locality, out); });
    }
    for (const DeviceGrant& grant : placement.devices) {
        const Device& device = machine.devices()[grant.device];
        out.devices.set(device.root);
        device.localities.for_each(
            [&](std::size_t locality) { add_locality(machine, locality, out); });
        if (device.switch_index != no_index) {
            out.switches.set(device.switch_index);
        }
    }
    return out;
}

std::int64_t count_opened(const Bitmap& touched, const std::vector<std::uint32_t>& holds) {
    std::int64_t opened = 0;
    touched.for_each([&](std::size_t index) { opened += holds[index] == 0 ? 1 : 0; });
    return opened;
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
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < placement.devices.size(); ++i) {
        const std::uint32_t a = placement.devices[i].device;
        const std::string& device_class = machine.devices()[a].device_class;
        if (!machine.class_has_links(device_class)) {
            continue;
        }
        for (std::size_t j = i + 1; j < placement.devices.size(); ++j) {
            const std::uint32_t b = placement.devices[j].device;
            if (machine.devices()[b].device_class == device_class) {
                sum += machine.max_link_mb_s() - machine.link_mb_s(a, b);
            }
        }
    }
    return static_cast<std::int64_t>(sum);
}

}  // namespace

Bitmap derive_localities(const Machine& machine, const Placement& placement) {
    Bitmap out;
    placement.pus.for_each([&](std::size_t pu) { out.set(machine.pus()[pu].locality); });
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
    const Domains domains = domains_of(machine, placement);
    std::int64_t split = 0;
    domains.cores.for_each([&](std::size_t core) {
        split += machine.cores()[core].pus.is_subset_of(placement.pus) ? 0 : 1;
    });
    cost[Cost::split_cores] = split;
    const std::int64_t sign = packing == Packing::pack ? 1 : -1;
    cost[Cost::opened_packages] = sign * count_opened(domains.packages, state.package_holds());
    cost[Cost::opened_localities] =
        sign * count_opened(domains.localities, state.locality_holds());
    cost[Cost::opened_switches] = sign * count_opened(domains.switches, state.switch_holds());
    cost[Cost::opened_devices] = sign * count_opened(domains.devices, state.device_holds());
    cost[Cost::opened_l3s] = sign * count_opened(domains.l3s, state.l3_holds());
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
        cost[Cost::remote_devices] =
            signed_count(static_cast<std::size_t>(std::ranges::count_if(
                placement.devices, [&](const DeviceGrant& grant) {
                    const Bitmap& localities = machine.devices()[grant.device].localities;
                    return !localities.empty() && !localities.intersects(pu_localities);
                })));
    }
    cost[Cost::l3s] = signed_count(l3s.count());
    set_split_and_opened(state, placement, packing, cost);
    return cost;
}

}  // namespace topoalloc
