// SPDX-License-Identifier: Apache-2.0
//
// The spec structs (mutable, copied in and out) and the Machine (immutable, shared) as
// Python sees them. Sets of OS indices cross the border in the kernel's list form, sets
// of logical indices as ascending lists. What users touch is in topoalloc._machine.
#include "bindings.hpp"  // first: it brings Python.h before any std header
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace topoalloc::bindings {
namespace {

using Indices = std::vector<std::uint32_t>;
/// os_index (absent where another kind stands in), logical PUs, localities met.
using DomainRow = std::tuple<std::optional<std::uint32_t>, Indices, Indices>;

// no_index is the core's "none"; in Python that is None.
std::optional<std::uint32_t> index_or_none(std::uint32_t index) {
    return index == no_index ? std::nullopt : std::optional(index);
}

// A property whose C++ type is an index that may be no_index.
template <class Spec>
void def_index(py::class_<Spec>& cls, const char* name, std::uint32_t Spec::* member) {
    cls.def_property(
        name,
        [member](const Spec& spec) { return index_or_none(spec.*member); },
        [member](Spec& spec, std::optional<std::uint32_t> index) {
            spec.*member = index.value_or(no_index);
        });
}

// A property whose C++ type is a Bitmap of OS indices.
template <class Spec>
void def_cpuset(py::class_<Spec>& cls, const char* name, Bitmap Spec::* member) {
    cls.def_property(
        name,
        [member](const Spec& spec) { return (spec.*member).to_list(); },
        [member](Spec& spec, const std::string& list) {
            spec.*member = Bitmap::parse_list(list);
        });
}

// A property whose C++ type is an optional PCI address; text in Python.
template <class Spec>
void def_pci_address(py::class_<Spec>& cls,
                     const char* name,
                     std::optional<PciAddress> Spec::* member) {
    cls.def_property(
        name,
        [member](const Spec& spec) -> std::optional<std::string> {
            const auto& address = spec.*member;
            return address ? std::optional(address->to_string()) : std::nullopt;
        },
        [member, name](Spec& spec, const std::optional<std::string>& text) {
            spec.*member = text ? PciAddress::parse(*text) : std::nullopt;
            if (text && !(spec.*member)) {
                throw FormatError(std::string(name) + ": '" + *text +
                                  "', want a PCI address as 0000:1b:00.0");
            }
        });
}

py::object attribute_to_py(const AttributeValue& value) {
    if (!value.is_list) {
        return py::cast(value.values.at(0));
    }
    return py::cast(value.values);
}

// A bool is an int to Python and not to DRA, so the order of the tests matters.
// Anything else is refused by type: silent conversion would make True of every object.
Scalar scalar_from_py(const py::handle& value) {
    if (py::isinstance<py::bool_>(value)) {
        return value.cast<bool>();
    }
    if (py::isinstance<py::int_>(value)) {
        return value.cast<std::int64_t>();
    }
    return value.cast<std::string>();
}

AttributeValue attribute_from_py(const py::handle& value) {
    AttributeValue result;
    result.is_list =
        py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value);
    if (!result.is_list) {
        result.values.push_back(scalar_from_py(value));
        return result;
    }
    for (const py::handle& item : py::reinterpret_borrow<py::sequence>(value)) {
        result.values.push_back(scalar_from_py(item));
    }
    return result;
}

py::dict attributes_to_py(const Attributes& attributes) {
    py::dict result;
    for (const auto& [name, value] : attributes) {
        result[py::str(name)] = attribute_to_py(value);
    }
    return result;
}

Attributes attributes_from_py(const py::dict& attributes) {
    Attributes result;
    for (const auto& [name, value] : attributes) {
        result.emplace(name.cast<std::string>(), attribute_from_py(value));
    }
    return result;
}

void bind_kinds(py::module_& m) {
    py::native_enum<ObjectKind>(m, "ObjectKind", "enum.Enum")
        .value("PACKAGE", ObjectKind::package)
        .value("DIE", ObjectKind::die)
        .value("L3", ObjectKind::l3)
        .value("CORE", ObjectKind::core)
        .value("PU", ObjectKind::pu)
        .value("GROUP", ObjectKind::group)
        .finalize();
    py::native_enum<MemoryKind>(m, "MemoryKind", "enum.Enum")
        .value("DRAM", MemoryKind::dram)
        .value("HBM", MemoryKind::hbm)
        .value("GPU", MemoryKind::gpu)
        .value("CXL", MemoryKind::cxl)
        .value("NVM", MemoryKind::nvm)
        .finalize();
}

void bind_object_specs(py::module_& m) {
    py::class_<ObjectSpec> object(m, "ObjectSpec");
    object.def(py::init<>()).def_readwrite("kind", &ObjectSpec::kind);
    def_index(object, "os_index", &ObjectSpec::os_index);
    def_cpuset(object, "cpuset", &ObjectSpec::cpuset);

    py::class_<NumaNodeSpec> node(m, "NumaNodeSpec");
    node.def(py::init<>())
        .def_readwrite("os_index", &NumaNodeSpec::os_index)
        .def_readwrite("kind", &NumaNodeSpec::kind)
        .def_readwrite("base_bytes", &NumaNodeSpec::base_bytes)
        .def_readwrite("hugepages", &NumaNodeSpec::hugepages);
    def_cpuset(node, "cpuset", &NumaNodeSpec::cpuset);
    def_cpuset(node, "parent_cpuset", &NumaNodeSpec::parent_cpuset);

    py::class_<DistanceSpec>(m, "DistanceSpec")
        .def(py::init<>())
        .def_readwrite("numa_nodes", &DistanceSpec::numa_nodes)
        .def_readwrite("values", &DistanceSpec::values);
}

void bind_device_specs(py::module_& m) {
    py::class_<BridgeSpec> bridge(m, "BridgeSpec");
    bridge.def(py::init<>())
        .def_readwrite("is_host", &BridgeSpec::is_host)
        .def_readwrite("name", &BridgeSpec::name);
    def_index(bridge, "parent", &BridgeSpec::parent);
    def_pci_address(bridge, "address", &BridgeSpec::address);

    py::class_<DeviceSpec> device(m, "DeviceSpec");
    device.def(py::init<>())
        .def_readwrite("device_class", &DeviceSpec::device_class)
        .def_readwrite("name", &DeviceSpec::name)
        .def_readwrite("numa_nodes", &DeviceSpec::numa_nodes)
        .def_readwrite("capacities", &DeviceSpec::capacities)
        .def_readwrite("counters", &DeviceSpec::counters)
        .def_readwrite("partition", &DeviceSpec::partition)
        .def_readwrite("draws", &DeviceSpec::draws)
        .def_readwrite("aliases", &DeviceSpec::aliases)
        .def_readwrite("uuid", &DeviceSpec::uuid)
        .def_property(
            "attributes",
            [](const DeviceSpec& spec) { return attributes_to_py(spec.attributes); },
            [](DeviceSpec& spec, const py::dict& attributes) {
                spec.attributes = attributes_from_py(attributes);
            });
    def_index(device, "bridge", &DeviceSpec::bridge);
    def_index(device, "parent", &DeviceSpec::parent);
    def_pci_address(device, "pci_address", &DeviceSpec::pci_address);

    py::class_<LinkSpec>(m, "LinkSpec")
        .def(py::init<>())
        .def_readwrite("from_device", &LinkSpec::from)
        .def_readwrite("to_device", &LinkSpec::to)
        .def_readwrite("mb_s", &LinkSpec::mb_s);

    py::class_<LevelOverrideSpec>(m, "LevelOverrideSpec")
        .def(py::init<>())
        .def_readwrite("a", &LevelOverrideSpec::a)
        .def_readwrite("b", &LevelOverrideSpec::b)
        .def_readwrite("level", &LevelOverrideSpec::level);
}

std::optional<Indices> indices_of_allowed_numa_nodes(const MachineSpec& spec) {
    const std::optional<Bitmap>& allowed = spec.allowed_numa_nodes;
    return allowed ? std::optional(allowed->to_vector()) : std::nullopt;
}

void allow_numa_nodes(MachineSpec& spec, const std::optional<Indices>& indices) {
    spec.allowed_numa_nodes.reset();
    if (!indices) {
        return;
    }
    Bitmap allowed;
    for (const std::uint32_t os_index : *indices) {
        if (os_index >= MachineLimits::os_index) {
            throw FormatError("allowed_numa_nodes: " + std::to_string(os_index) +
                              ", want indices below " +
                              std::to_string(MachineLimits::os_index));
        }
        allowed.set(os_index);
    }
    spec.allowed_numa_nodes = std::move(allowed);
}

void bind_machine_spec(py::module_& m) {
    py::class_<MachineSpec>(m, "MachineSpec")
        .def(py::init<>())
        .def_readwrite("name", &MachineSpec::name)
        .def_readwrite("source", &MachineSpec::source)
        .def_readwrite("objects", &MachineSpec::objects)
        .def_readwrite("numa_nodes", &MachineSpec::numa_nodes)
        .def_readwrite("bridges", &MachineSpec::bridges)
        .def_readwrite("devices", &MachineSpec::devices)
        .def_readwrite("distances", &MachineSpec::distances)
        .def_readwrite("links", &MachineSpec::links)
        .def_readwrite("level_overrides", &MachineSpec::level_overrides)
        .def_readwrite("info", &MachineSpec::info)
        .def_property(
            "allowed_pus",
            [](const MachineSpec& spec) -> std::optional<std::string> {
                return spec.allowed_pus ? std::optional(spec.allowed_pus->to_list())
                                        : std::nullopt;
            },
            [](MachineSpec& spec, const std::optional<std::string>& list) {
                spec.allowed_pus =
                    list ? std::optional(Bitmap::parse_list(*list)) : std::nullopt;
            })
        .def_property(
            "allowed_numa_nodes", &indices_of_allowed_numa_nodes, &allow_numa_nodes);
}

std::vector<DomainRow> domain_rows(const std::vector<Domain>& domains) {
    std::vector<DomainRow> rows;
    rows.reserve(domains.size());
    for (const Domain& domain : domains) {
        rows.emplace_back(index_or_none(domain.os_index),
                          domain.pus.to_vector(),
                          domain.localities.to_vector());
    }
    return rows;
}

auto pu_rows(const Machine& machine) {
    using Row = std::tuple<std::uint32_t,
                           std::uint32_t,
                           std::uint32_t,
                           std::uint32_t,
                           std::uint32_t,
                           std::uint32_t>;
    std::vector<Row> rows;
    rows.reserve(machine.pus().size());
    for (const Pu& pu : machine.pus()) {
        rows.emplace_back(pu.os_index, pu.core, pu.l3, pu.die, pu.package, pu.locality);
    }
    return rows;
}

auto numa_node_rows(const Machine& machine) {
    using Row = std::
        tuple<std::uint32_t, MemoryKind, Indices, Indices, std::vector<std::uint64_t>>;
    std::vector<Row> rows;
    rows.reserve(machine.numa_nodes().size());
    for (const NumaNode& node : machine.numa_nodes()) {
        rows.emplace_back(node.os_index,
                          node.kind,
                          node.pus.to_vector(),
                          node.localities.to_vector(),
                          node.bytes);
    }
    return rows;
}

auto locality_rows(const Machine& machine) {
    using Row = std::tuple<Indices, Indices, Indices, Indices>;
    std::vector<Row> rows;
    rows.reserve(machine.localities().size());
    for (const Locality& locality : machine.localities()) {
        rows.emplace_back(locality.pus.to_vector(),
                          locality.packages.to_vector(),
                          locality.l3s.to_vector(),
                          locality.numa_nodes);
    }
    return rows;
}

// The PCI bridges above a device, nearest first; the host bridge, by name, last.
std::vector<std::string> bridge_path(const Machine& machine, std::uint32_t bridge) {
    std::vector<std::string> path;
    while (bridge != no_index) {
        const Bridge& at = machine.bridges().at(bridge);
        path.push_back(at.address ? at.address->to_string() : at.name);
        bridge = at.parent;
    }
    return path;
}

py::dict device_row(const Machine& machine, const Device& device) {
    py::dict row;
    row["name"] = device.name;
    row["device_class"] = device.device_class;
    row["index"] = device.index;
    row["pci_address"] =
        device.pci_address ? py::cast(device.pci_address->to_string()) : py::none();
    row["numa_nodes"] = py::tuple(py::cast(device.numa_nodes));
    row["localities"] = py::tuple(py::cast(device.localities.to_vector()));
    row["packages"] = py::tuple(py::cast(device.packages.to_vector()));
    row["attributes"] = attributes_to_py(device.attributes);
    row["capacities"] = device.capacities;
    row["counter_names"] = device.counter_names;
    row["counter_totals"] = device.counter_totals;
    row["counter_draws"] = device.counter_draws;
    row["root"] = device.root;
    row["partition"] = device.partition;
    row["parts"] = device.parts;
    row["switch"] = py::cast(index_or_none(device.switch_index));
    row["bridges"] = py::tuple(py::cast(bridge_path(machine, device.bridge)));
    row["aliases"] = py::tuple(py::cast(device.aliases));
    row["uuid"] = device.uuid;
    return row;
}

py::list device_rows(const Machine& machine) {
    py::list rows;
    for (const Device& device : machine.devices()) {
        rows.append(device_row(machine, device));
    }
    return rows;
}

// Indices come from Python, so they are checked here: the core's accessors do not.
std::uint32_t checked_device(const Machine& machine, std::uint32_t device) {
    if (device >= machine.devices().size()) {
        throw InvalidRequestError("device: index " + std::to_string(device) +
                                  ", want less than " +
                                  std::to_string(machine.devices().size()));
    }
    return device;
}

std::uint64_t distance_of(const Machine& machine, std::uint32_t a, std::uint32_t b) {
    const std::size_t count = machine.localities().size();
    if (a >= count || b >= count) {
        throw InvalidRequestError("locality: index " + std::to_string(std::max(a, b)) +
                                  ", want less than " + std::to_string(count));
    }
    return machine.distance(a, b);
}

std::shared_ptr<const Machine> build_machine(MachineSpec spec) {
    // A large spec takes milliseconds, and no Python object is touched.
    const py::gil_scoped_release release;
    return Machine::build(std::move(spec));
}

void bind_machine_tables(py::classh<Machine>& machine) {
    machine.def_property_readonly("name", &Machine::name, py::return_value_policy::copy)
        .def_property_readonly(
            "_spec",
            [](const Machine& self) { return self.spec(); },
            py::return_value_policy::move)
        .def("_pu_rows", &pu_rows)
        .def("_core_rows",
             [](const Machine& self) { return domain_rows(self.cores()); })
        .def("_l3_rows", [](const Machine& self) { return domain_rows(self.l3s()); })
        .def("_die_rows", [](const Machine& self) { return domain_rows(self.dies()); })
        .def("_package_rows",
             [](const Machine& self) { return domain_rows(self.packages()); })
        .def("_numa_node_rows", &numa_node_rows)
        .def("_locality_rows", &locality_rows)
        .def("_device_rows", &device_rows)
        .def("_page_sizes", [](const Machine& self) { return self.page_sizes(); })
        .def("_allowed_pus",
             [](const Machine& self) { return self.allowed_pus().to_vector(); })
        .def("_allowed_numa_nodes",
             [](const Machine& self) { return self.allowed_numa_nodes().to_vector(); });
}

void bind_readers(py::module_& m) {
    m.def(
        "parse_level",
        [](const std::string& text) -> std::optional<int> {
            const auto level = parse_level(text);
            return level ? std::optional(static_cast<int>(*level)) : std::nullopt;
        },
        py::arg("text"));
    m.def(
        "normalize_cpuset",
        [](const std::string& text) { return Bitmap::parse_list(text).to_list(); },
        py::arg("text"));
    m.def(
        "normalize_pci_address",
        [](const std::string& text) -> std::optional<std::string> {
            const auto address = PciAddress::parse(text);
            return address ? std::optional(address->to_string()) : std::nullopt;
        },
        py::arg("text"));
    m.def(
        "cpuset_members",
        [](const std::string& text) { return Bitmap::parse_list(text).to_vector(); },
        py::arg("text"));
    m.def(
        "read_hwloc_xml",
        [](const std::string& text, const std::string& source) {
            // The text is a copy, so the reader needs no Python object.
            const py::gil_scoped_release release;
            return read_hwloc_xml(text, source);
        },
        py::arg("text"),
        py::arg("source"));
    m.def("read_synthetic", &read_synthetic, py::arg("text"));
}

}  // namespace

void bind_machine(py::module_& m) {
    bind_kinds(m);
    bind_object_specs(m);
    bind_device_specs(m);
    bind_machine_spec(m);

    py::classh<Machine> machine(m, "Machine");
    machine
        .def(py::init(&build_machine), py::arg("spec"))
        // A second Python object over the same topology: nothing is copied.
        .def(py::init([](std::shared_ptr<const Machine> other) { return other; }),
             py::arg("other"));
    bind_machine_tables(machine);
    machine
        .def(
            "_find_device",
            [](const Machine& self, const std::string& key) {
                return index_or_none(self.find_device(key));
            },
            py::arg("key"))
        .def(
            "_level_of",
            [](const Machine& self, std::uint32_t a, std::uint32_t b) {
                return static_cast<int>(
                    self.level(checked_device(self, a), checked_device(self, b)));
            },
            py::arg("device_a"),
            py::arg("device_b"))
        .def(
            "_link_of",
            [](const Machine& self, std::uint32_t a, std::uint32_t b) {
                return self.link_mb_s(checked_device(self, a), checked_device(self, b));
            },
            py::arg("device_a"),
            py::arg("device_b"))
        .def("_locality_distance",
             &distance_of,
             py::arg("locality_a"),
             py::arg("locality_b"))
        .def_property_readonly("levels_are_ultrametric",
                               &Machine::levels_are_ultrametric)
        .def("check_consistency", &Machine::check_consistency);
    bind_readers(m);
}

}  // namespace topoalloc::bindings
