// SPDX-License-Identifier: Apache-2.0
#include "core_state.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc::oracle {

std::uint32_t device_of(const Machine& machine,
                        const MachineSpec& spec,
                        std::uint32_t spec_index) {
    return machine.find_device(spec.devices[spec_index].name);
}

Placement placement_of(const Machine& machine,
                       const MachineSpec& spec,
                       const Holding& holding) {
    Placement placement;
    placement.pus = machine.pus_from_os(holding.pus);
    placement.pus.for_each(
        [&](std::size_t pu) { placement.localities.set(machine.pus()[pu].locality); });
    for (const auto& [key, bytes] : holding.bytes) {
        const auto& sizes = machine.page_sizes();
        const auto at =
            std::find(sizes.begin(), sizes.end(), key.second) - sizes.begin();
        placement.memory.push_back({machine.numa_node_of_os_index(key.first),
                                    static_cast<std::uint32_t>(at),
                                    bytes});
    }
    std::sort(placement.memory.begin(),
              placement.memory.end(),
              [](const MemoryGrant& a, const MemoryGrant& b) {
                  return std::pair(a.numa_node, a.page_size_index) <
                         std::pair(b.numa_node, b.page_size_index);
              });
    for (const HeldDevice& held : holding.devices) {
        placement.devices.push_back(
            {device_of(machine, spec, held.spec_index), held.share});
    }
    std::sort(placement.devices.begin(),
              placement.devices.end(),
              [](const auto& a, const auto& b) { return a.device < b.device; });
    return placement;
}

namespace {

std::uint32_t numa_of(const Machine& machine,
                      std::uint32_t index,
                      const OracleMachine& m) {
    const std::uint32_t os_index = machine.numa_nodes()[index].os_index;
    const auto at = std::find_if(
        m.numa_nodes.begin(), m.numa_nodes.end(), [&](const OracleNuma& numa) {
            return numa.os_index == os_index;
        });
    return static_cast<std::uint32_t>(at - m.numa_nodes.begin());
}

}  // namespace

void fill(Allocator& allocator, const MachineSpec& spec, const OracleState& state) {
    const Machine& machine = *allocator.machine();
    for (const Holding& holding : state.holdings) {
        allocator.restore_holding(
            holding.owner,
            {nullptr, placement_of(machine, spec, holding), Status::feasible});
    }
    machine.pus_from_os(state.cordoned_pus).for_each([&](std::size_t pu) {
        allocator.cordon_pu(static_cast<std::uint32_t>(pu), true);
    });
    for (const std::uint32_t device : state.cordoned_devices) {
        allocator.cordon_device(device_of(machine, spec, device), true);
    }
}

BatchPart part_of(const Placement& placement,
                  const Machine& machine,
                  const OracleMachine& m) {
    BatchPart part;
    for (const DeviceGrant& grant : placement.devices) {
        part.devices |= set_of(grant.device);
    }
    placement.pus.for_each([&](std::size_t pu) { part.pus |= set_of(pu); });
    placement.localities.for_each(
        [&](std::size_t locality) { part.localities |= set_of(locality); });
    for (const MemoryGrant& grant : placement.memory) {
        part.memory.push_back({numa_of(machine, grant.numa_node, m),
                               machine.page_sizes()[grant.page_size_index],
                               grant.bytes});
    }
    std::sort(part.memory.begin(), part.memory.end());
    return part;
}

}  // namespace topoalloc::oracle
