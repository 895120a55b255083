// SPDX-License-Identifier: Apache-2.0
//
// A machine small enough to count by hand: 2 packages, each with one NUMANode, 2 L3s, 4
// cores of 2 PUs, and 2 PCI switches with a GPU and a NIC each. os_index is
// logical_index.
#pragma once

#include "topoalloc/allocator.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace topoalloc::testing {

inline constexpr std::uint64_t gi = std::uint64_t{1} << 30;
inline constexpr std::uint64_t mi = std::uint64_t{1} << 20;

inline AttributeValue attribute(Scalar value) {
    return {{std::move(value)}, false};
}

/// 64Gi and 1Gi in pages of 2Mi a NUMANode; gpu0-gpu1 and gpu2-gpu3 are linked with
/// 50000 MB/s, gpu1-gpu2 with 25000; nic3 lacks rdma; gpu3 is an A100, has 2 slices,
/// and two parts of class "mig" that draw one each.
inline MachineSpec small_spec() {
    MachineSpec spec;
    spec.name = "small";
    for (std::uint32_t p = 0; p < 2; ++p) {
        spec.objects.push_back(
            {ObjectKind::package, p, Bitmap::range(std::size_t{8} * p, 8)});
        for (std::uint32_t l = 0; l < 2; ++l) {
            const std::uint32_t l3 = 2 * p + l;
            spec.objects.push_back(
                {ObjectKind::l3, l3, Bitmap::range(std::size_t{4} * l3, 4)});
        }
        spec.numa_nodes.push_back({p,
                                   Bitmap::range(std::size_t{8} * p, 8),
                                   {},
                                   MemoryKind::dram,
                                   64 * gi,
                                   {{2 * mi, gi}}});
    }
    for (std::uint32_t core = 0; core < 8; ++core) {
        spec.objects.push_back(
            {ObjectKind::core, core, Bitmap::range(std::size_t{2} * core, 2)});
    }
    for (std::uint32_t pu = 0; pu < 16; ++pu) {
        spec.objects.push_back({ObjectKind::pu, pu, Bitmap::range(pu, 1)});
    }
    for (std::uint32_t p = 0; p < 2; ++p) {
        const auto host = static_cast<std::uint32_t>(spec.bridges.size());
        spec.bridges.push_back(
            {true, no_index, std::nullopt, "host" + std::to_string(p)});
        for (std::uint32_t s = 0; s < 2; ++s) {
            const std::uint32_t index = 2 * p + s;
            const auto bus = static_cast<std::uint8_t>(0x10 + index * 0x10);
            const auto bridge = static_cast<std::uint32_t>(spec.bridges.size());
            spec.bridges.push_back({false, host, PciAddress{0, bus, 0, 0}, "switch"});
            DeviceSpec gpu;
            gpu.device_class = "gpu";
            gpu.pci_address = PciAddress{0, static_cast<std::uint8_t>(bus + 1), 0, 0};
            gpu.bridge = bridge;
            gpu.numa_nodes = {p};
            gpu.attributes["model"] =
                attribute(std::string(index == 3 ? "A100" : "H100"));
            gpu.capacities["memory"] = 80 * gi;
            DeviceSpec nic;
            nic.device_class = "nic";
            nic.pci_address = PciAddress{0, static_cast<std::uint8_t>(bus + 2), 0, 0};
            nic.bridge = bridge;
            nic.numa_nodes = {p};
            nic.attributes["rdma"] = attribute(index != 3);
            spec.devices.push_back(gpu);
            spec.devices.push_back(nic);
        }
    }
    spec.devices[6].counters["slices"] = 2;
    for (int part = 0; part < 2; ++part) {
        DeviceSpec mig;
        mig.device_class = "mig";
        mig.name = "mig" + std::to_string(part);
        mig.parent = 6;
        mig.partition = "1g";
        mig.draws["slices"] = 1;
        mig.draws["memory"] = 40 * gi;
        spec.devices.push_back(mig);
    }
    const auto link = [&](std::uint32_t a, std::uint32_t b, std::uint64_t mb_s) {
        spec.links.push_back({a, b, mb_s});
        spec.links.push_back({b, a, mb_s});
    };
    link(0, 2, 50000);
    link(4, 6, 50000);
    link(2, 4, 25000);
    return spec;
}

inline std::shared_ptr<const Machine> small_machine(
    const std::function<void(MachineSpec&)>& change = {}) {
    MachineSpec spec = small_spec();
    if (change) {
        change(spec);
    }
    return Machine::build(std::move(spec));
}

inline DeviceRequest want(std::string device_class, std::uint32_t count) {
    DeviceRequest out;
    out.device_class = std::move(device_class);
    out.count = count;
    return out;
}

inline Request want_cores(std::uint32_t cores) {
    Request out;
    out.cores = cores;
    return out;
}

inline Request want_devices(std::vector<DeviceRequest> devices) {
    Request out;
    out.devices = std::move(devices);
    return out;
}

inline DeviceGrant whole(const Machine& machine, std::string_view name) {
    return {machine.find_device(name), {}};
}

/// What an Error of type E says, or "no error".
template <class E, class F>
std::string message_of(F&& call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace topoalloc::testing
