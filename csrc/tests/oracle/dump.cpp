// SPDX-License-Identifier: Apache-2.0
#include "instances.hpp"

#include <array>
#include <sstream>
#include <string>
#include <variant>

namespace topoalloc::oracle {
namespace {

std::string text_of(const Scalar& scalar) {
    if (const auto* flag = std::get_if<bool>(&scalar)) {
        return *flag ? "true" : "false";
    }
    if (const auto* number = std::get_if<std::int64_t>(&scalar)) {
        return std::to_string(*number);
    }
    return "'" + std::get<std::string>(scalar) + "'";
}

std::string text_of(const std::vector<Scalar>& values) {
    std::string text;
    for (const Scalar& value : values) {
        text += (text.empty() ? "" : ", ") + text_of(value);
    }
    return text;
}

std::string text_of(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : ", ") + word;
    }
    return "[" + text + "]";
}

std::string text_of(const Amounts& amounts) {
    std::string text;
    for (const auto& [name, amount] : amounts) {
        text += (text.empty() ? "" : ", ") + name + ": " + std::to_string(amount);
    }
    return "{" + text + "}";
}

std::string text_of(const std::optional<PciAddress>& address) {
    if (!address) {
        return "-";
    }
    std::ostringstream out;
    out << std::hex << address->domain << ":" << int{address->bus} << ":"
        << int{address->device} << "." << int{address->function};
    return out.str();
}

constexpr std::array<const char*, 7> level_names{
    "self", "switch", "bridges", "root", "numa", "package", "machine"};

std::string level_text(Level level) {
    return level_names[static_cast<std::size_t>(level)];
}

std::string text_of(const Constraint& constraint) {
    if (const auto* align = std::get_if<Align>(&constraint)) {
        constexpr std::array<const char*, 3> names{"l3", "numa", "package"};
        return std::string("Align(") + names[static_cast<std::size_t>(align->level)] +
               ", of=" + text_of(align->of) + ")";
    }
    if (const auto* pair = std::get_if<Pair>(&constraint)) {
        return "Pair(" + pair->a + ", " + pair->b + ", " + level_text(pair->within) +
               ", " + std::to_string(pair->ratio_a) + ":" +
               std::to_string(pair->ratio_b) + ")";
    }
    if (const auto* link = std::get_if<Link>(&constraint)) {
        return "Link(" + link->device_class +
               (link->mode == LinkMode::clique ? ", clique, " : ", connected, ") +
               std::to_string(link->min_mb_s) + ")";
    }
    if (const auto* same = std::get_if<Same>(&constraint)) {
        return "Same(" + same->attribute + ", of=" + text_of(same->of) + ")";
    }
    if (const auto* distinct = std::get_if<Distinct>(&constraint)) {
        return "Distinct(" + distinct->attribute + ", of=" + text_of(distinct->of) +
               ")";
    }
    const Near& near = std::get<Near>(constraint);
    return "Near(" + text_of(near.devices) + ", " + level_text(near.within) + ")";
}

constexpr std::array<const char*, 6> object_names{
    "package", "die", "l3", "core", "pu", "group"};
constexpr std::array<const char*, 5> memory_names{"dram", "hbm", "gpu", "cxl", "nvm"};

void dump_memory(const MachineSpec& spec, std::ostream& out) {
    for (const NumaNodeSpec& numa : spec.numa_nodes) {
        out << "  numa " << numa.os_index << " cpuset=" << numa.cpuset.to_list()
            << " parent=" << numa.parent_cpuset.to_list() << " "
            << memory_names[static_cast<std::size_t>(numa.kind)]
            << " base=" << numa.base_bytes;
        for (const auto& [page_size, bytes] : numa.hugepages) {
            out << " pages[" << page_size << "]=" << bytes;
        }
        out << "\n";
    }
    if (spec.distances) {
        out << "  distances of";
        for (const std::uint32_t numa : spec.distances->numa_nodes) {
            out << " " << numa;
        }
        out << ":";
        for (const std::uint64_t value : spec.distances->values) {
            out << " " << value;
        }
        out << "\n";
    }
}

void dump_device(const DeviceSpec& device, std::size_t index, std::ostream& out) {
    out << "  device " << index << " " << device.device_class << " " << device.name
        << " pci=" << text_of(device.pci_address)
        << " bridge=" << static_cast<int>(device.bridge) << " numa=[";
    for (const std::uint32_t numa : device.numa_nodes) {
        out << " " << numa;
    }
    out << " ]";
    if (device.parent != no_index) {
        out << " parent=" << device.parent << " partition=" << device.partition
            << " draws=" << text_of(device.draws);
    }
    for (const auto& [name, value] : device.attributes) {
        out << " " << name << "=" << (value.is_list ? "[" : "") << text_of(value.values)
            << (value.is_list ? "]" : "");
    }
    out << " capacities=" << text_of(device.capacities)
        << " counters=" << text_of(device.counters) << "\n";
}

void dump_io(const MachineSpec& spec, std::ostream& out) {
    for (std::size_t i = 0; i < spec.bridges.size(); ++i) {
        const BridgeSpec& bridge = spec.bridges[i];
        out << "  bridge " << i
            << (bridge.is_host ? " host" : " parent=" + std::to_string(bridge.parent))
            << "\n";
    }
    for (std::size_t i = 0; i < spec.devices.size(); ++i) {
        dump_device(spec.devices[i], i, out);
    }
    for (const LinkSpec& link : spec.links) {
        out << "  link " << link.from << " -> " << link.to << " " << link.mb_s << "\n";
    }
    for (const LevelOverrideSpec& change : spec.level_overrides) {
        out << "  level " << change.a << " - " << change.b << " = " << int{change.level}
            << "\n";
    }
}

void dump_holding(const std::string& title, const Holding& holding, std::ostream& out) {
    out << "  " << title << " " << holding.owner << " pus=" << holding.pus.to_list();
    for (const auto& [key, bytes] : holding.bytes) {
        out << " numa" << key.first << "[" << key.second << "]=" << bytes;
    }
    for (const HeldDevice& held : holding.devices) {
        out << " device" << held.spec_index << text_of(held.share);
    }
    out << "\n";
}

void dump_request(const Request& request, std::ostream& out) {
    constexpr std::array<const char*, 5> op_names{"==", "!=", ">=", "<=", "in"};
    out << "request cores=" << request.cores << " pus=" << request.pus
        << " whole_cores=" << request.whole_cores << " memory=" << request.memory
        << " kind=" << memory_names[static_cast<std::size_t>(request.kind)];
    for (const auto& [page_size, bytes] : request.hugepages) {
        out << " pages[" << page_size << "]=" << bytes;
    }
    out << " exclude=" << text_of(request.exclude) << " keep=" << text_of(request.keep)
        << "\n";
    for (const DeviceRequest& wanted : request.devices) {
        out << "  " << wanted.count << " " << wanted.device_class
            << " share=" << text_of(wanted.share) << " partition='" << wanted.partition
            << "'";
        for (const Condition& condition : wanted.where) {
            out << " where " << condition.attribute
                << op_names[static_cast<std::size_t>(condition.op)] << "("
                << text_of(condition.values) << ")";
        }
        out << (wanted.eligible ? " eligible=" + text_of(*wanted.eligible) : "")
            << "\n";
    }
    for (const Constraint& constraint : request.require) {
        out << "  require " << text_of(constraint) << "\n";
    }
    for (const Constraint& constraint : request.prefer) {
        out << "  prefer " << text_of(constraint) << "\n";
    }
}

}  // namespace

std::string dump(const Instance& instance) {
    std::ostringstream out;
    out << "instance seed=" << instance.seed << (instance.spread ? " spread" : " pack");
    for (std::size_t i = 0; i < instance.order.size(); ++i) {
        out << (i == 0 ? " order=" : ",") << term_group_name(instance.order[i]);
    }
    out << "\nmachine\n";
    for (const ObjectSpec& object : instance.spec.objects) {
        out << "  " << object_names[static_cast<std::size_t>(object.kind)] << " "
            << object.os_index << " cpuset=" << object.cpuset.to_list() << "\n";
    }
    if (instance.spec.allowed_pus) {
        out << "  allowed " << instance.spec.allowed_pus->to_list() << "\n";
    }
    if (instance.spec.allowed_numa_nodes) {
        out << "  allowed numa " << instance.spec.allowed_numa_nodes->to_list() << "\n";
    }
    dump_memory(instance.spec, out);
    dump_io(instance.spec, out);
    out << "state reserved=" << instance.state.reserved_pus.to_list()
        << " cordoned=" << instance.state.cordoned_pus.to_list()
        << " cordoned_devices=[";
    for (const std::uint32_t device : instance.state.cordoned_devices) {
        out << " " << device;
    }
    out << " ]\n";
    for (const Holding& holding : instance.state.holdings) {
        dump_holding("held by", holding, out);
    }
    if (instance.keep_from) {
        dump_holding("keep from", *instance.keep_from, out);
    }
    dump_request(instance.request, out);
    return out.str();
}

std::string dump(const BatchInstance& instance) {
    std::ostringstream out;
    for (const Request& request : instance.requests) {
        dump_request(request, out);
    }
    return dump(instance.base) + "batch of\n" + out.str();
}

}  // namespace topoalloc::oracle
