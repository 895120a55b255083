// SPDX-License-Identifier: Apache-2.0
//
// read_hwloc_xml: text to tokens (hwloc_xml_tokens), tokens to objects
// (hwloc_xml_objects), objects to a MachineSpec: here for CPUs and memory, in
// hwloc_devices for the rest. docs/design/0004-hwloc-xml-reader.md says why this is no
// library's work.
#include "machine/hwloc_devices.hpp"
#include "machine/hwloc_xml_objects.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

namespace topoalloc {

namespace {

using hwloc::HwlocLimits;
using hwloc::HwlocXml;
using hwloc::in_quotes;
using hwloc::ObjectType;
using hwloc::parse_number;
using hwloc::parse_set;
using hwloc::XmlInfo;
using hwloc::XmlMatrix;
using hwloc::XmlObject;
using hwloc::XmlPageType;
using hwloc::XmlSource;

std::optional<ObjectKind> kind_of(ObjectType type) {
    switch (type) {
        case ObjectType::package:
            return ObjectKind::package;
        case ObjectType::die:
            return ObjectKind::die;
        case ObjectType::l3:
            return ObjectKind::l3;
        case ObjectType::core:
            return ObjectKind::core;
        case ObjectType::pu:
            return ObjectKind::pu;
        default:
            return std::nullopt;
    }
}

// A Group or a cache other than L3 tells something only when it holds several PUs and
// neither the object below nor one above has the same cpuset.
bool shapes_order(const HwlocXml& xml, const XmlObject& object) {
    if (object.is_covered || xml.cpuset(object).count() < 2) {
        return false;
    }
    for (std::uint32_t up = object.parent; up != no_index;
         up = xml.objects[up].parent) {
        const XmlObject& above = xml.objects[up];
        if (above.cpuset == no_index || !(xml.cpuset(above) == xml.cpuset(object))) {
            return true;
        }
        if (above.type == ObjectType::machine || kind_of(above.type).has_value()) {
            return false;
        }
    }
    return false;
}

void add_objects(const HwlocXml& xml, MachineSpec& spec) {
    spec.objects.reserve(xml.objects.size());
    for (const XmlObject& object : xml.objects) {
        const bool is_normal =
            hwloc::is_normal(object.type) && object.type != ObjectType::machine;
        // A Package or Core whose PUs are all offline has an empty cpuset.
        if (!is_normal || xml.cpuset(object).empty()) {
            continue;
        }
        const std::optional<ObjectKind> kind = kind_of(object.type);
        if (kind.has_value() || shapes_order(xml, object)) {
            spec.objects.push_back({kind.value_or(ObjectKind::group),
                                    object.os_index,
                                    xml.cpuset(object)});
        }
    }
}

struct KindName {
    std::string_view subtype;
    MemoryKind kind;
};

MemoryKind memory_kind(std::string_view subtype) {
    // SPM (specific-purpose memory) that hwloc could not name is high-bandwidth memory
    // as a rule, says hwloc, and never what a process gets by default. MCDRAM is that
    // of KNL.
    constexpr std::array<KindName, 7> names = {{{"HBM", MemoryKind::hbm},
                                                {"MCDRAM", MemoryKind::hbm},
                                                {"SPM", MemoryKind::hbm},
                                                {"GPUMemory", MemoryKind::gpu},
                                                {"NVM", MemoryKind::nvm},
                                                {"DRAM", MemoryKind::dram},
                                                {"CXL", MemoryKind::cxl}}};
    if (subtype.starts_with("CXL-")) {
        return MemoryKind::cxl;
    }
    for (const KindName& name : names) {
        if (name.subtype == subtype) {
            return name.kind;
        }
    }
    return MemoryKind::dram;
}

// The bits of <memtier kinds=...>; a CXL memory says so beside its kind.
std::string_view subtype_of_tier(std::uint64_t kinds) {
    if ((kinds & 32U) != 0) {
        return "CXL";
    }
    constexpr std::array<std::string_view, 5> names = {
        "HBM", "DRAM", "GPUMemory", "SPM", "NVM"};
    for (std::size_t bit = 0; bit < names.size(); ++bit) {
        if (((kinds >> bit) & 1U) != 0) {
            return names[bit];
        }
    }
    return {};
}

class MemoryReader {
  public:
    MemoryReader(const XmlSource& source, const HwlocXml& xml)
        : source_(source), xml_(xml) {}

    void read(MachineSpec& spec) {
        for (const XmlPageType& page : xml_.page_types) {
            pages_[page.object].push_back(&page);
        }
        read_tiers();
        for (std::uint32_t i = 0; i < xml_.objects.size(); ++i) {
            if (xml_.objects[i].type == ObjectType::numa_node) {
                add_node(i, spec);
            }
        }
        // Version 1 shows the memory of a Machine that is no NUMA machine at the
        // Machine.
        const XmlObject& machine = xml_.objects.front();
        if (spec.numa_nodes.empty() && xml_.version == 1 &&
            !xml_.details_of(machine).local_memory.empty()) {
            NumaNodeSpec node;
            node.cpuset = xml_.cpuset(machine);
            node.parent_cpuset = node.cpuset;
            set_bytes(0, machine, node);
            spec.numa_nodes.push_back(std::move(node));
        }
    }

  private:
    void add_node(std::uint32_t index, MachineSpec& spec) {
        const XmlObject& object = xml_.objects[index];
        if (object.os_index >= HwlocLimits::indices) {
            source_.fail(object.offset,
                         "NUMANode os_index " +
                             in_quotes(xml_.details_of(object).os_index_text) +
                             ": no index, want one below " +
                             std::to_string(HwlocLimits::indices));
        }
        if (!seen_.insert(object.os_index).second) {
            source_.fail(object.offset,
                         "NUMANode os_index " +
                             in_quotes(xml_.details_of(object).os_index_text) +
                             ": given twice, want one NUMANode");
        }
        if (spec.numa_nodes.size() == MachineLimits::numa_nodes) {
            source_.fail(object.offset,
                         "NUMANodes: too many, want at most " +
                             std::to_string(MachineLimits::numa_nodes));
        }
        NumaNodeSpec node;
        node.os_index = object.os_index;
        node.cpuset = xml_.cpuset(object);
        const XmlObject* parent = &xml_.objects[object.parent];
        while (hwloc::is_memory(parent->type) && parent->parent != no_index) {
            parent = &xml_.objects[parent->parent];
        }
        // In version 1 a NUMANode is itself what later versions attach memory to.
        const bool is_parent = xml_.version == 1 && !node.cpuset.empty();
        node.parent_cpuset = is_parent ? node.cpuset : xml_.cpuset(*parent);
        if (!node.cpuset.is_subset_of(xml_.cpuset(xml_.objects.front()))) {
            source_.fail(object.offset,
                         "NUMANode cpuset " + in_quotes(object.cpuset_text) +
                             ": not inside the Machine, want a part of it");
        }
        node.kind = memory_kind(subtype_of(object));
        set_bytes(index, object, node);
        spec.numa_nodes.push_back(std::move(node));
    }

    [[nodiscard]] std::string_view subtype_of(const XmlObject& object) const {
        if (!xml_.details_of(object).subtype.empty()) {
            return xml_.details_of(object).subtype;
        }
        if (xml_.version == 1) {  // an info then, an attribute since
            const XmlInfo* info = xml_.find_info(object, "Type");
            return info == nullptr ? std::string_view{} : info->value;
        }
        return object.os_index < kinds_of_node_.size()
                   ? subtype_of_tier(kinds_of_node_[object.os_index])
                   : subtype_of_tier(0);
    }

    // The first tier that names a NUMANode counts.
    void read_tiers() {
        for (const hwloc::XmlMemoryTier& tier : xml_.memory_tiers) {
            const Bitmap nodes =
                parse_set(source_, tier.offset, "nodeset", tier.nodeset);
            // Only as long as needed: an index may be large, and most files have no
            // tiers.
            if (!nodes.empty() && nodes.last() >= kinds_of_node_.size()) {
                kinds_of_node_.resize(nodes.last() + 1, 0);
            }
            nodes.for_each([&](std::size_t node) {
                if (kinds_of_node_[node] == 0) {
                    kinds_of_node_[node] = tier.kinds;
                }
            });
        }
    }

    // local_memory counts all pages. The smallest page is the base page; the others are
    // huge pages, set aside.
    void set_bytes(std::uint32_t index,
                   const XmlObject& object,
                   NumaNodeSpec& node) const {
        node.base_bytes = xml_.details_of(object).local_memory.empty()
                              ? 0
                              : parse_number(source_,
                                             object.offset,
                                             "local_memory",
                                             xml_.details_of(object).local_memory,
                                             MachineLimits::bytes);
        const auto found = pages_.find(index);
        if (found == pages_.end()) {
            return;
        }
        const auto base =
            std::min_element(found->second.begin(),
                             found->second.end(),
                             [](const XmlPageType* a, const XmlPageType* b) {
                                 return a->size < b->size;
                             });
        for (const XmlPageType* page : found->second) {
            if (page->size == (*base)->size || page->count == 0) {
                continue;
            }
            // Both are at most 2^50: division keeps the product from overflowing.
            if (page->count > node.base_bytes / page->size) {
                source_.fail(page->offset,
                             "page_type: " + std::to_string(page->count) +
                                 " pages of " + std::to_string(page->size) +
                                 " bytes, want at most local_memory");
            }
            node.base_bytes -= page->count * page->size;
            node.hugepages[page->size] += page->count * page->size;
        }
    }

    const XmlSource& source_;
    const HwlocXml& xml_;
    std::map<std::uint32_t, std::vector<const XmlPageType*>> pages_;  // by object
    std::vector<std::uint64_t> kinds_of_node_;                        // by os_index
    std::set<std::uint32_t> seen_;                                    // os_index
};

// The NUMANodes of a matrix, by os_index.
std::vector<std::uint32_t> nodes_of(const XmlSource& source,
                                    const HwlocXml& xml,
                                    const XmlMatrix& matrix) {
    std::map<std::uint64_t, std::uint32_t> by_index;
    for (const XmlObject& object : xml.objects) {
        if (object.type != ObjectType::numa_node) {
            continue;
        }
        if (matrix.is_by_os_index) {
            by_index[object.os_index] = object.os_index;
        } else if (!object.gp_index.empty()) {
            by_index[parse_number(source,
                                  object.offset,
                                  "gp_index",
                                  object.gp_index,
                                  ~std::uint64_t{0})] = object.os_index;
        }
    }
    std::vector<std::uint32_t> nodes;
    std::set<std::uint32_t> seen;
    for (const auto& [type, index] : matrix.objects) {
        const auto found = by_index.find(index);
        if (type != "NUMANode" || found == by_index.end() ||
            !seen.insert(found->second).second) {
            source.fail(matrix.offset,
                        "distances: object " + in_quotes(type) + ' ' +
                            std::to_string(index) +
                            " is no NUMANode of the file or given twice, want "
                            "each NUMANode once");
        }
        nodes.push_back(found->second);
    }
    return nodes;
}

bool is_numa_latency(const XmlMatrix& matrix) {
    constexpr std::uint64_t means_latency = 4;
    return matrix.is_version_1 || matrix.name == "NUMALatency" ||
           (matrix.name.empty() && matrix.type == "NUMANode" &&
            (matrix.kind & means_latency) != 0);
}

// The first NUMA latency matrix: the firmware's, as hwloc writes it first. In version 1
// a matrix does not name its objects; one of another size is between other objects.
void add_distances(const XmlSource& source, const HwlocXml& xml, MachineSpec& spec) {
    std::vector<std::uint32_t> in_order;
    for (const NumaNodeSpec& node : spec.numa_nodes) {
        in_order.push_back(node.os_index);
    }
    for (const XmlMatrix& matrix : xml.matrices) {
        if (!is_numa_latency(matrix) ||
            (matrix.is_version_1 && matrix.count != in_order.size())) {
            continue;
        }
        for (const std::uint64_t value : matrix.values) {
            if (value > MachineLimits::distance) {
                source.fail(matrix.offset,
                            "distance " + std::to_string(value) +
                                ": too large, want at most " +
                                std::to_string(MachineLimits::distance));
            }
        }
        spec.distances =
            DistanceSpec{matrix.is_version_1 ? in_order : nodes_of(source, xml, matrix),
                         matrix.values};
        return;
    }
}

// Absent when all PUs are allowed.
void add_allowed_pus(const XmlSource& source, const HwlocXml& xml, MachineSpec& spec) {
    const XmlObject& machine = xml.objects.front();
    const Bitmap& all = xml.cpuset(machine);
    Bitmap allowed = all;
    const auto restrict_to = [&](std::string_view what, std::string_view text) {
        if (!text.empty()) {
            allowed &= parse_set(source, machine.offset, what, text);
        }
    };
    restrict_to("allowed_cpuset", xml.details_of(machine).allowed_cpuset);
    restrict_to("online_cpuset", xml.details_of(machine).online_cpuset);
    if (!(allowed == all)) {
        spec.allowed_pus = std::move(allowed);
    }
}

// Absent when all NUMANodes are allowed. Memory that version 1 shows at the Machine has
// no NUMANode, and no nodeset speaks of it; version 1 writes a set without end where
// nothing is known of NUMANodes.
void add_allowed_numa_nodes(const XmlSource& source,
                            const HwlocXml& xml,
                            MachineSpec& spec) {
    const XmlObject& machine = xml.objects.front();
    const std::string_view text = xml.details_of(machine).allowed_nodeset;
    const bool has_nodes =
        std::any_of(xml.objects.begin(), xml.objects.end(), [](const auto& o) {
            return o.type == ObjectType::numa_node;
        });
    if (!has_nodes || text.empty() || text == "0xf...f") {
        return;
    }
    Bitmap all;
    for (const NumaNodeSpec& node : spec.numa_nodes) {
        all.set(node.os_index);
    }
    Bitmap allowed = parse_set(source, machine.offset, "allowed_nodeset", text);
    allowed &= all;
    if (!(allowed == all)) {
        spec.allowed_numa_nodes = std::move(allowed);
    }
}

// What hwloc says of the whole: DMI names, operating system, CPU model. The first of a
// name stays; names that tell of the recording alone are left out.
void add_info(const HwlocXml& xml, MachineSpec& spec) {
    const auto add = [&](const XmlInfo& info) {
        constexpr std::array<std::string_view, 4> of_recording = {
            "Backend", "ProcessName", "LinuxCgroup", "hwlocVersion"};
        const bool is_of_recording =
            std::find(of_recording.begin(), of_recording.end(), info.name) !=
            of_recording.end();
        if (!info.name.empty() && !info.value.empty() && !is_of_recording) {
            spec.info.emplace(info.name, info.value);
        }
    };
    const auto add_all = [&](const XmlObject& object) {
        for (std::uint32_t i = object.first_info; i != no_index;
             i = xml.infos[i].next) {
            add(xml.infos[i]);
        }
    };
    add_all(xml.objects.front());
    for (const XmlInfo& info : xml.topology_infos) {
        add(info);
    }
    const auto package =
        std::find_if(xml.objects.begin(), xml.objects.end(), [](const auto& o) {
            return o.type == ObjectType::package;
        });
    if (package != xml.objects.end()) {
        add_all(*package);
    }
    const auto host = spec.info.find("HostName");
    if (host != spec.info.end()) {
        spec.name = host->second;
    }
}

}  // namespace

MachineSpec read_hwloc_xml(std::string_view text, std::string_view source) {
    const XmlSource input(text, source);
    const HwlocXml xml = hwloc::read_objects(input);
    MachineSpec spec;
    spec.source = source;
    add_objects(xml, spec);
    MemoryReader(input, xml).read(spec);
    add_allowed_pus(input, xml, spec);
    add_allowed_numa_nodes(input, xml, spec);
    add_distances(input, xml, spec);
    hwloc::add_devices(input, xml, spec);
    add_info(xml, spec);
    return spec;
}

}  // namespace topoalloc
