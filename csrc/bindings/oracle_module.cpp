// SPDX-License-Identifier: Apache-2.0
//
// The brute-force oracle as a Python module, for tests alone, and cluster problems with
// the core's answers for the oracle in tests/oracle. It reads plain values and
// attributes only, so it shares neither types nor code with topoalloc._core: a spec is
// anything with the attributes of _core.MachineSpec, a Request the tuple of its
// fields().
#include "bind_oracle_gang.hpp"

#include "oracle/brute_force.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace topoalloc::oracle {
namespace {

namespace py = pybind11;
using Strings = std::vector<std::string>;

// The place of a word in the enumeration that `words` lists.
template <class Enum, std::size_t n>
Enum enumerator(const std::array<const char*, n>& words, const std::string& word) {
    const auto* const found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) {
        throw std::invalid_argument("_oracle: '" + word + "' is no word of its list");
    }
    return static_cast<Enum>(found - words.begin());
}

constexpr std::array object_kinds = {"PACKAGE", "DIE", "L3", "CORE", "PU", "GROUP"};
constexpr std::array upper_memory_kinds = {"DRAM", "HBM", "GPU", "CXL", "NVM"};
constexpr std::array memory_kinds = {"dram", "hbm", "gpu", "cxl", "nvm"};
constexpr std::array condition_ops = {
    "equal", "not_equal", "at_least", "at_most", "one_of"};
constexpr std::array align_levels = {"l3", "numa", "package"};
constexpr std::array link_modes = {"clique", "connected"};
constexpr std::array levels = {
    "self", "switch", "bridges", "root", "numa", "package", "machine"};

template <class T>
T read(const py::handle& object, const char* name) {
    return object.attr(name).cast<T>();
}

std::string word_of(const py::handle& object, const char* name) {
    return object.attr(name).attr("name").cast<std::string>();
}

std::uint32_t index_of(const py::handle& object, const char* name) {
    return read<std::optional<std::uint32_t>>(object, name).value_or(no_index);
}

std::optional<PciAddress> address_of(const py::handle& object, const char* name) {
    const auto text = read<std::optional<std::string>>(object, name);
    return text ? PciAddress::parse(*text) : std::nullopt;
}

Bitmap bitmap_of(const std::string& text) {
    return Bitmap::parse_list(text);
}

// ---------------------------------------------------------------- the Machine

// A bool is an int to Python: the bool is asked for first.
Scalar scalar_of(const py::handle& value) {
    if (py::isinstance<py::bool_>(value)) {
        return value.cast<bool>();
    }
    if (py::isinstance<py::int_>(value)) {
        return value.cast<std::int64_t>();
    }
    return value.cast<std::string>();
}

Attributes attributes_of(const py::dict& values) {
    Attributes attributes;
    for (const auto& [name, value] : values) {
        AttributeValue& attribute = attributes[name.cast<std::string>()];
        attribute.is_list = py::isinstance<py::list>(value);
        if (!attribute.is_list) {
            attribute.values.push_back(scalar_of(value));
            continue;
        }
        for (const py::handle& item : value.cast<py::list>()) {
            attribute.values.push_back(scalar_of(item));
        }
    }
    return attributes;
}

NumaNodeSpec numa_node_of(const py::handle& object, const Bitmap& everything) {
    NumaNodeSpec node;
    node.os_index = read<std::uint32_t>(object, "os_index");
    node.kind = enumerator<MemoryKind>(upper_memory_kinds, word_of(object, "kind"));
    node.base_bytes = read<std::uint64_t>(object, "base_bytes");
    node.hugepages = read<std::map<std::uint64_t, std::uint64_t>>(object, "hugepages");
    node.cpuset = bitmap_of(read<std::string>(object, "cpuset"));
    // Left out, it is the node's own PUs, or all of the Machine.
    const auto parent = read<std::string>(object, "parent_cpuset");
    const Bitmap& otherwise = node.cpuset.empty() ? everything : node.cpuset;
    node.parent_cpuset = parent.empty() ? otherwise : bitmap_of(parent);
    return node;
}

DeviceSpec device_of(const py::handle& object) {
    DeviceSpec device;
    device.device_class = read<std::string>(object, "device_class");
    device.name = read<std::string>(object, "name");
    device.pci_address = address_of(object, "pci_address");
    device.bridge = index_of(object, "bridge");
    device.numa_nodes = read<std::vector<std::uint32_t>>(object, "numa_nodes");
    device.attributes = attributes_of(read<py::dict>(object, "attributes"));
    device.capacities = read<Amounts>(object, "capacities");
    device.counters = read<Amounts>(object, "counters");
    device.parent = index_of(object, "parent");
    device.partition = read<std::string>(object, "partition");
    device.draws = read<Amounts>(object, "draws");
    device.aliases = read<Strings>(object, "aliases");
    device.uuid = read<std::string>(object, "uuid");
    return device;
}

void read_bridges(const py::object& from, MachineSpec& spec) {
    for (const py::handle& object : read<py::list>(from, "bridges")) {
        BridgeSpec bridge;
        bridge.is_host = read<bool>(object, "is_host");
        bridge.parent = index_of(object, "parent");
        bridge.address = address_of(object, "address");
        bridge.name = read<std::string>(object, "name");
        spec.bridges.push_back(std::move(bridge));
    }
}

void read_tables(const py::object& from, MachineSpec& spec) {
    for (const py::handle& object : read<py::list>(from, "links")) {
        spec.links.push_back({read<std::uint32_t>(object, "from_device"),
                              read<std::uint32_t>(object, "to_device"),
                              read<std::uint64_t>(object, "mb_s")});
    }
    for (const py::handle& object : read<py::list>(from, "level_overrides")) {
        spec.level_overrides.push_back({read<std::uint32_t>(object, "a"),
                                        read<std::uint32_t>(object, "b"),
                                        read<std::uint8_t>(object, "level")});
    }
    const py::object distances = from.attr("distances");
    if (!distances.is_none()) {
        spec.distances =
            DistanceSpec{read<std::vector<std::uint32_t>>(distances, "numa_nodes"),
                         read<std::vector<std::uint64_t>>(distances, "values")};
    }
}

MachineSpec spec_of(const py::object& from) {
    MachineSpec spec;
    Bitmap everything;
    for (const py::handle& object : read<py::list>(from, "objects")) {
        spec.objects.push_back(
            {enumerator<ObjectKind>(object_kinds, word_of(object, "kind")),
             index_of(object, "os_index"),
             bitmap_of(read<std::string>(object, "cpuset"))});
        everything |= spec.objects.back().cpuset;
    }
    for (const py::handle& object : read<py::list>(from, "numa_nodes")) {
        spec.numa_nodes.push_back(numa_node_of(object, everything));
    }
    for (const py::handle& object : read<py::list>(from, "devices")) {
        spec.devices.push_back(device_of(object));
    }
    const auto allowed = read<std::optional<std::string>>(from, "allowed_pus");
    if (allowed) {
        spec.allowed_pus = bitmap_of(*allowed);
    }
    const auto nodes =
        read<std::optional<std::vector<std::uint32_t>>>(from, "allowed_numa_nodes");
    if (nodes) {
        spec.allowed_numa_nodes.emplace();
        for (const std::uint32_t os_index : *nodes) {
            spec.allowed_numa_nodes->set(os_index);
        }
    }
    read_bridges(from, spec);
    read_tables(from, spec);
    return spec;
}

// ---------------------------------------------------------------- the state

std::uint32_t spec_index_of(const OracleMachine& machine, const std::string& key) {
    const std::uint32_t device = machine.find_device(key);
    if (device == no_index) {
        throw std::invalid_argument("_oracle: no device '" + key + "'");
    }
    return machine.devices[device].spec_index;
}

// {"pus": cpuset, "memory": [(os_index, page size, bytes)], "devices": {key: share}}
Holding holding_of(const py::dict& from, const OracleMachine& machine) {
    Holding holding;
    holding.pus = bitmap_of(from["pus"].cast<std::string>());
    for (const auto& [node, size, bytes] :
         from["memory"]
             .cast<std::vector<
                 std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>>>()) {
        holding.bytes[{node, size}] += bytes;
    }
    for (const auto& [key, share] :
         from["devices"].cast<std::map<std::string, Amounts>>()) {
        holding.devices.push_back({spec_index_of(machine, key), share});
    }
    return holding;
}

OracleState state_of(const py::dict& from, const OracleMachine& machine) {
    OracleState state;
    state.reserved_pus = bitmap_of(from["reserved"].cast<std::string>());
    state.cordoned_pus = bitmap_of(from["cordoned_pus"].cast<std::string>());
    for (const auto& key : from["cordoned_devices"].cast<Strings>()) {
        state.cordoned_devices.push_back(spec_index_of(machine, key));
    }
    for (const py::handle& holding : from["holdings"]) {
        state.holdings.push_back(holding_of(holding.cast<py::dict>(), machine));
    }
    return state;
}

// ---------------------------------------------------------------- the Request

DeviceRequest wanted_of(const py::tuple& row) {
    DeviceRequest wanted;
    wanted.device_class = row[0].cast<std::string>();
    wanted.count = row[1].cast<std::uint32_t>();
    for (const py::handle& entry : row[2]) {
        const auto fields = entry.cast<py::tuple>();
        Condition condition;
        condition.attribute = fields[0].cast<std::string>();
        condition.op =
            enumerator<ConditionOp>(condition_ops, fields[1].cast<std::string>());
        for (const py::handle& value : fields[2]) {
            condition.values.push_back(scalar_of(value));
        }
        wanted.where.push_back(std::move(condition));
    }
    wanted.share = row[3].cast<Amounts>();
    wanted.partition = row[4].cast<std::string>();
    wanted.eligible = row[5].cast<std::optional<Strings>>();
    return wanted;
}

Constraint constraint_of(const py::tuple& row) {
    const auto kind = row[0].cast<std::string>();
    const auto text = [&row](std::size_t i) { return row[i].cast<std::string>(); };
    if (kind == "Align") {
        return Align{enumerator<AlignLevel>(align_levels, text(1)),
                     row[2].cast<Strings>()};
    }
    if (kind == "Pair") {
        return Pair{text(1),
                    text(2),
                    enumerator<Level>(levels, text(3)),
                    row[4].cast<std::uint32_t>(),
                    row[5].cast<std::uint32_t>()};
    }
    if (kind == "Link") {
        return Link{text(1),
                    enumerator<LinkMode>(link_modes, text(2)),
                    row[3].cast<std::uint64_t>()};
    }
    if (kind == "Near") {
        return Near{row[1].cast<Strings>(), enumerator<Level>(levels, text(2))};
    }
    if (kind == "Same") {
        return Same{text(1), row[2].cast<Strings>()};
    }
    if (kind == "Distinct") {
        return Distinct{text(1), row[2].cast<Strings>()};
    }
    throw std::invalid_argument("_oracle: no constraint '" + kind + "'");
}

Request request_of(const py::tuple& fields) {
    Request request;
    request.cores = fields[0].cast<std::uint32_t>();
    request.pus = fields[1].cast<std::uint32_t>();
    request.whole_cores = fields[2].cast<bool>();
    request.memory = fields[3].cast<std::uint64_t>();
    request.kind = enumerator<MemoryKind>(memory_kinds, fields[4].cast<std::string>());
    request.hugepages = fields[5].cast<std::map<std::uint64_t, std::uint64_t>>();
    for (const py::handle& row : fields[6]) {
        request.devices.push_back(wanted_of(row.cast<py::tuple>()));
    }
    request.exclude = fields[7].cast<Strings>();
    request.keep = fields[8].cast<Strings>();
    for (const py::handle& row : fields[9]) {
        request.require.push_back(constraint_of(row.cast<py::tuple>()));
    }
    for (const py::handle& row : fields[10]) {
        request.prefer.push_back(constraint_of(row.cast<py::tuple>()));
    }
    return request;
}

// ---------------------------------------------------------------- the answer

py::dict answer_dict(const OracleMachine& machine, const OracleAnswer& answer) {
    const auto name_of = [&machine](std::uint32_t device) {
        return machine.devices[device].name;
    };
    Strings devices;
    for (const std::uint32_t device : members(answer.devices)) {
        devices.push_back(name_of(device));
    }
    std::vector<std::uint32_t> pus;
    for (const std::uint32_t pu : members(answer.pus)) {
        pus.push_back(machine.pu_os_index[pu]);
    }
    std::sort(pus.begin(), pus.end());
    std::vector<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>> memory;
    for (const OracleGrant& grant : answer.memory) {
        memory.emplace_back(
            machine.numa_nodes[grant.numa].os_index, grant.page_size, grant.bytes);
    }
    std::map<std::uint32_t, std::vector<std::pair<std::string, std::string>>> pairs;
    for (const auto& [constraint, pairing] : answer.pairs) {
        for (const auto& [a, b] : pairing) {
            pairs[constraint].emplace_back(name_of(a), name_of(b));
        }
    }
    py::dict found;
    found["cost"] = py::tuple(py::cast(answer.cost.terms));
    found["devices"] = py::tuple(py::cast(devices));
    found["pus"] = py::tuple(py::cast(pus));
    found["localities"] = py::tuple(py::cast(members(answer.localities)));
    found["memory"] = memory;
    found["pairs"] = pairs;
    return found;
}

// The best Placement by enumeration; None where there is none.
py::object solve(const py::object& spec_object,
                 const py::dict& state_dict,
                 const py::tuple& fields,
                 bool spread,
                 const py::object& keep_from) {
    const MachineSpec spec = spec_of(spec_object);
    const OracleMachine machine = derive(spec);
    const OracleState state = state_of(state_dict, machine);
    const Request request = request_of(fields);
    std::optional<Holding> old;
    if (!keep_from.is_none()) {
        old = holding_of(keep_from.cast<py::dict>(), machine);
    }
    const OracleAnswer answer = [&] {
        // Enumeration may take seconds and touches no Python object.
        const py::gil_scoped_release release_gil;
        return brute_force(spec, state, request, spread, old ? &*old : nullptr);
    }();
    return answer.feasible ? py::object(answer_dict(machine, answer)) : py::none();
}

}  // namespace
}  // namespace topoalloc::oracle

PYBIND11_MODULE(_oracle, m, pybind11::mod_gil_not_used()) {
    m.def("solve",
          &topoalloc::oracle::solve,
          pybind11::arg("spec"),
          pybind11::arg("state"),
          pybind11::arg("request"),
          pybind11::arg("spread"),
          pybind11::arg("keep_from"));
    topoalloc::oracle::bind_gang(m);
}
