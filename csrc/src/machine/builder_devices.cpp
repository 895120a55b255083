// SPDX-License-Identifier: Apache-2.0
//
// Bridges and devices: what a device is, its order, its name, its counters and the keys
// that it is found by.
#include "machine/builder.hpp"

#include "machine/natural_order.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace topoalloc {
namespace {

std::string device_part(std::size_t index) {
    return "devices[" + std::to_string(index) + "]";
}

}  // namespace

void MachineBuilder::build_bridges() {
    machine_->bridges_.reserve(spec_.bridges.size());
    for (std::size_t i = 0; i < spec_.bridges.size(); ++i) {
        const BridgeSpec& bridge = spec_.bridges[i];
        const std::string part = "bridges[" + std::to_string(i) + "].parent";
        if (bridge.is_host && bridge.parent != no_index) {
            fail(part, std::to_string(bridge.parent) + " of a host bridge, want none");
        }
        if (!bridge.is_host && bridge.parent == no_index) {
            fail(part, "none of a PCI bridge, want the bridge above it");
        }
        if (!bridge.is_host && bridge.parent >= i) {
            fail(part,
                 std::to_string(bridge.parent) + ", want a bridge that stands before " +
                     std::to_string(i));
        }
        machine_->bridges_.push_back(
            {bridge.is_host, bridge.parent, bridge.address, bridge.name});
    }
}

void MachineBuilder::check_devices() const {
    for (std::uint32_t i = 0; i < spec_.devices.size(); ++i) {
        check_device(i);
        if (spec_.devices[i].parent != no_index) {
            check_part(i);
        } else if (!spec_.devices[i].draws.empty()) {
            fail(device_part(i) + ".draws", "draws of a root, want a parent for these");
        }
    }
}

void MachineBuilder::check_amounts(const std::string& name,
                                   const Amounts& amounts) const {
    for (const auto& [key, amount] : amounts) {
        if (key.empty()) {
            fail(name, "an empty name, want a name");
        }
        if (amount > MachineLimits::amount) {
            fail(name + "." + key,
                 std::to_string(amount) + ", want at most " +
                     std::to_string(MachineLimits::amount));
        }
    }
}

void MachineBuilder::check_device(std::uint32_t index) const {
    const DeviceSpec& device = spec_.devices[index];
    const std::string part = device_part(index) + ".";
    if (device.device_class.empty()) {
        fail(part + "device_class", "empty, want a class such as gpu or nic");
    }
    if (device.bridge != no_index && device.bridge >= spec_.bridges.size()) {
        fail(part + "bridge",
             std::to_string(device.bridge) + ", want a bridge of the Machine");
    }
    for (const std::uint32_t node : device.numa_nodes) {
        if (machine_->numa_node_of_os_index(node) == no_index) {
            fail(part + "numa_nodes",
                 std::to_string(node) + ", want a NUMANode of the Machine");
        }
    }
    check_amounts(part + "capacities", device.capacities);
    check_amounts(part + "counters", device.counters);
    check_amounts(part + "draws", device.draws);
    for (const auto& [key, amount] : device.counters) {
        if (device.capacities.contains(key)) {
            fail(part + "counters." + key, "a capacity too, want another name");
        }
    }
}

void MachineBuilder::check_part(std::uint32_t index) const {
    const DeviceSpec& device = spec_.devices[index];
    const std::string part = device_part(index) + ".";
    if (device.parent >= spec_.devices.size()) {
        fail(part + "parent",
             std::to_string(device.parent) + ", want a device of the Machine");
    }
    const DeviceSpec& root = spec_.devices[device.parent];
    if (root.parent != no_index) {
        fail(part + "parent",
             device_part(device.parent) + " has a parent itself, want a root");
    }
    if (!device.counters.empty()) {
        fail(part + "counters", "counters of a part, want them on its root");
    }
    for (const auto& [key, amount] : device.draws) {
        if (!root.capacities.contains(key) && !root.counters.contains(key)) {
            fail(part + "draws." + key,
                 "not on " + device_part(device.parent) +
                     ", want a capacity or counter of the root");
        }
    }
}

void MachineBuilder::order_devices() {
    const auto& specs = spec_.devices;
    spec_by_device_.resize(specs.size());
    std::iota(spec_by_device_.begin(), spec_by_device_.end(), 0U);
    const auto key = [&specs](std::uint32_t i) {
        const DeviceSpec& spec = specs[i];
        const std::string_view device_class = spec.device_class;
        return std::make_tuple(device_class,
                               !spec.pci_address.has_value(),
                               spec.pci_address.value_or(PciAddress{}),
                               spec.parent != no_index);
    };
    // Stable: devices alike in all of this stay in the order of the spec.
    std::stable_sort(
        spec_by_device_.begin(), spec_by_device_.end(), [&](auto a, auto b) {
            const auto key_a = key(a);
            const auto key_b = key(b);
            if (key_a != key_b) {
                return key_a < key_b;
            }
            return compare_natural(specs[a].name, specs[b].name) < 0;
        });
    device_by_spec_.resize(specs.size());
    for (std::uint32_t d = 0; d < spec_by_device_.size(); ++d) {
        device_by_spec_[spec_by_device_[d]] = d;
    }
}

Device MachineBuilder::make_device(const DeviceSpec& spec) const {
    const bool is_root = spec.parent == no_index;
    const DeviceSpec& root = is_root ? spec : spec_.devices[spec.parent];
    Device device;
    device.device_class = spec.device_class;
    device.pci_address = spec.pci_address;
    device.numa_nodes = root.numa_nodes;
    device.attributes = spec.attributes;
    device.capacities = spec.capacities;
    device.partition = spec.partition;
    device.bridge = root.bridge;
    device.uuid = spec.uuid;
    return device;
}

void MachineBuilder::build_devices() {
    auto& devices = machine_->devices_;
    devices.reserve(spec_by_device_.size());
    for (std::uint32_t d = 0; d < spec_by_device_.size(); ++d) {
        const DeviceSpec& spec = spec_.devices[spec_by_device_[d]];
        devices.push_back(make_device(spec));
        const bool is_root = spec.parent == no_index;
        devices[d].root = is_root ? d : device_by_spec_[spec.parent];
    }
    name_devices();
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
        place_device(d);
        count_device(d);
    }
}

void MachineBuilder::name_devices() {
    auto& devices = machine_->devices_;
    std::map<std::string_view, std::uint32_t> roots_of_class;
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
        Device& device = devices[d];
        if (device.root == d) {
            device.index = roots_of_class[device.device_class]++;
            device.name = device.device_class + std::to_string(device.index);
        }
    }
    // A part may stand before its root: its class may come first, or its address.
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
        Device& device = devices[d];
        if (device.root != d) {
            Device& root = devices[device.root];
            device.index = static_cast<std::uint32_t>(root.parts.size());
            device.name = root.name + "/" + std::to_string(device.index);
            root.parts.push_back(d);
        }
        const DeviceSpec& spec = spec_.devices[spec_by_device_[d]];
        const auto add_alias = [&device](const std::string& alias) {
            auto& all = device.aliases;
            if (!alias.empty() && alias != device.name &&
                std::find(all.begin(), all.end(), alias) == all.end()) {
                all.push_back(alias);
            }
        };
        add_alias(spec.name);
        std::for_each(spec.aliases.begin(), spec.aliases.end(), add_alias);
    }
}

void MachineBuilder::place_device(std::uint32_t index) {
    auto& m = *machine_;
    Device& device = m.devices_[index];
    for (const std::uint32_t node : device.numa_nodes) {
        device.localities |= m.numa_nodes_[m.numa_node_of_os_index(node)].localities;
    }
    const std::size_t count = m.localities_.size();
    if (count == 1) {
        device.localities = Bitmap::range(0, 1);
    } else if (device.localities.count() == count) {
        device.localities = Bitmap();
    }
    device.localities.for_each(
        [&](std::size_t l) { device.packages |= m.localities_[l].packages; });
}

void MachineBuilder::count_device(std::uint32_t index) {
    Device& device = machine_->devices_[index];
    const DeviceSpec& spec = spec_.devices[spec_by_device_[index]];
    if (index != 0) {
        const Device& before = machine_->devices_[index - 1];
        device.first_counter = before.first_counter +
                               static_cast<std::uint32_t>(before.counter_totals.size());
    }
    if (spec.parent == no_index) {
        for (const Amounts* amounts : {&spec.capacities, &spec.counters}) {
            for (const auto& [key, amount] : *amounts) {
                device.counter_names.push_back(key);
                device.counter_totals.push_back(amount);
            }
        }
        return;
    }
    const DeviceSpec& root = spec_.devices[spec.parent];
    for (const Amounts* amounts : {&root.capacities, &root.counters}) {
        for (const auto& [key, amount] : *amounts) {
            const auto drawn = spec.draws.find(key);
            device.counter_draws.push_back(drawn == spec.draws.end() ? 0
                                                                     : drawn->second);
        }
    }
}

void MachineBuilder::index_names() {
    auto& m = *machine_;
    for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
        if (!m.device_by_key_.emplace(m.devices_[d].name, d).second) {
            fail(device_part(spec_by_device_[d]) + ".device_class",
                 "'" + m.devices_[d].device_class +
                     "' gives a second device the name " + m.devices_[d].name +
                     ", want another class");
        }
    }
}

// A PCI function means the root, not a partition on it.
void MachineBuilder::index_addresses() {
    auto& m = *machine_;
    for (const bool of_roots : {true, false}) {
        for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
            if (m.devices_[d].pci_address && (m.devices_[d].root == d) == of_roots) {
                m.device_by_key_.emplace(m.devices_[d].pci_address->to_string(), d);
            }
        }
    }
}

// Of several devices with one key the strongest kind of key wins, then the first
// device.
void MachineBuilder::index_keys() {
    const auto& m = *machine_;
    auto& keys = machine_->device_by_key_;
    index_names();
    index_addresses();
    check_uuids();
    for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
        if (!m.devices_[d].uuid.empty()) {
            keys.emplace(m.devices_[d].uuid, d);
        }
    }
    for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
        for (const std::string& alias : m.devices_[d].aliases) {
            keys.emplace(alias, d);
        }
    }
}

void MachineBuilder::check_uuids() const {
    std::map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < spec_.devices.size(); ++i) {
        const std::string& uuid = spec_.devices[i].uuid;
        const auto [at, is_new] = seen.emplace(uuid, i);
        if (!uuid.empty() && !is_new) {
            fail(device_part(i) + ".uuid",
                 "'" + uuid + "' of " + device_part(at->second) + " too, want unique");
        }
    }
}

}  // namespace topoalloc
