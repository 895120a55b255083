// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace topoalloc {
namespace {

std::string read_file(const std::string& name) {
    std::ifstream file(std::string(TOPOALLOC_SOURCE_DIR) + "/csrc/tests/data/" + name,
                       std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string error_of(const std::string& text) {
    try {
        (void)read_hwloc_xml(text, "t.xml");
        return "no error";
    } catch (const FormatError& error) {
        return error.what();
    }
}

// One Machine of two PUs and one NUMANode; `inside` follows the PUs in the Machine,
// `after` the Machine. The first line of `inside` is line 5.
std::string machine_of(const std::string& inside,
                       const std::string& after = "",
                       const std::string& version = " version=\"2.0\"") {
    // In version 1 a NUMANode holds its PUs, later it stands beside them.
    const bool is_holder = version.empty();
    return "<topology" + version +
           "><object type=\"Machine\" cpuset=\"0x3\" nodeset=\"0x1\" gp_index=\"1\">\n"
           "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" nodeset=\"0x1\" "
           "local_memory=\"1073741824\" gp_index=\"2\"" +
           (is_holder ? ">" : "/>") +
           "\n<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" gp_index=\"3\"/>\n"
           "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" gp_index=\"4\"/>" +
           (is_holder ? "</object>" : "") + "\n" + inside + "</object>" + after +
           "</topology>";
}

// A PCI function below a host bridge, with OS devices in it.
std::string function_of(const std::string& type,
                        const std::string& inside,
                        const std::string& busid = "0000:01:00.0") {
    return "<object type=\"Bridge\" bridge_type=\"0-1\" bridge_pci=\"0000:[00-01]\">"
           "<object type=\"PCIDev\" gp_index=\"90\" pci_busid=\"" +
           busid + "\" pci_type=\"" + type + "\">" + inside + "</object></object>";
}

std::string os_device(const std::string& name,
                      const std::string& type,
                      const std::string& more = "",
                      const std::string& inside = "") {
    return "<object type=\"OSDev\" name=\"" + name + "\" osdev_type=\"" + type + "\" " +
           more + ">" + inside + "</object>";
}

std::string info(const std::string& name, const std::string& value) {
    return "<info name=\"" + name + "\" value=\"" + value + "\"/>";
}

MachineSpec read(const std::string& text) {
    return read_hwloc_xml(text, "t.xml");
}

std::vector<std::uint32_t> pus_of(const MachineSpec& spec) {
    std::vector<std::uint32_t> pus;
    for (const ObjectSpec& object : spec.objects) {
        if (object.kind == ObjectKind::pu) {
            pus.push_back(object.os_index);
        }
    }
    return pus;
}

std::map<ObjectKind, std::vector<std::string>> sets_of(const MachineSpec& spec) {
    std::map<ObjectKind, std::vector<std::string>> sets;
    for (const ObjectSpec& object : spec.objects) {
        if (object.kind != ObjectKind::pu) {
            sets[object.kind].push_back(object.cpuset.to_list());
        }
    }
    return sets;
}

std::string text_of(const DeviceSpec& device, const std::string& name) {
    const auto found = device.attributes.find(name);
    return found == device.attributes.end()
               ? "absent"
               : std::get<std::string>(found->second.values.at(0));
}

std::int64_t int_of(const DeviceSpec& device, const std::string& name) {
    const auto found = device.attributes.find(name);
    return found == device.attributes.end()
               ? -1
               : std::get<std::int64_t>(found->second.values.at(0));
}

std::string class_of(const std::string& type, const std::string& inside = "") {
    const MachineSpec spec = read(machine_of(function_of(type, inside)));
    return spec.devices.empty() ? "none" : spec.devices.at(0).device_class;
}

TEST(HwlocXml, ReadsCpusAndMemory) {
    const MachineSpec spec = read(read_file("hwloc_v2.xml"));
    EXPECT_EQ(spec.name, "small");
    EXPECT_EQ(spec.source, "t.xml");
    EXPECT_EQ(pus_of(spec), (std::vector<std::uint32_t>{0, 4, 1, 5, 2, 6, 3, 7}));
    auto sets = sets_of(spec);
    EXPECT_EQ(sets[ObjectKind::package],
              (std::vector<std::string>{"0-1,4-5", "2-3,6-7"}));
    EXPECT_EQ(sets[ObjectKind::l3], (std::vector<std::string>{"0-1,4-5", "2-3,6-7"}));
    EXPECT_EQ(sets[ObjectKind::core],
              (std::vector<std::string>{"0,4", "1,5", "2,6", "3,7"}));
    EXPECT_TRUE(
        sets[ObjectKind::group].empty());  // an L2 that is its core tells nothing
    ASSERT_EQ(spec.numa_nodes.size(), 2U);
    EXPECT_EQ(spec.numa_nodes[0].base_bytes, 6442450944U);
    EXPECT_EQ(spec.numa_nodes[0].hugepages,
              (std::map<std::uint64_t, std::uint64_t>{{2097152, 2147483648U}}));
    EXPECT_EQ(spec.numa_nodes[1].os_index, 8U);
    EXPECT_EQ(spec.numa_nodes[1].base_bytes, 8589934592U);
    EXPECT_EQ(spec.numa_nodes[1].cpuset.to_list(), "2-3,6-7");
    ASSERT_TRUE(spec.allowed_pus.has_value());
    EXPECT_EQ(spec.allowed_pus->to_list(), "0-6");
    ASSERT_TRUE(spec.allowed_numa_nodes.has_value());
    EXPECT_EQ(spec.allowed_numa_nodes->to_list(), "0");
    ASSERT_TRUE(spec.distances.has_value());
    EXPECT_EQ(spec.distances->numa_nodes, (std::vector<std::uint32_t>{0, 8}));
    EXPECT_EQ(spec.distances->values, (std::vector<std::uint64_t>{10, 21, 22, 10}));
    EXPECT_EQ(spec.info.at("DMIProductName"), "Small & written");
    EXPECT_EQ(spec.info.at("CPUModel"), "Example CPU");
    EXPECT_FALSE(spec.info.contains("Backend"));
}

TEST(HwlocXml, ReadsDevices) {
    const MachineSpec spec = read(read_file("hwloc_v2.xml"));
    ASSERT_EQ(spec.devices.size(), 5U);
    const DeviceSpec& gpu = spec.devices[0];
    EXPECT_EQ(gpu.device_class, "gpu");
    EXPECT_EQ(gpu.name, "nvml1");
    EXPECT_EQ(gpu.aliases, (std::vector<std::string>{"cuda0", "opencl0d0"}));
    EXPECT_EQ(gpu.pci_address->to_string(), "0000:03:00.0");
    EXPECT_EQ(gpu.uuid, "GPU-00000000-0000-0000-0000-000000000001");
    EXPECT_EQ(gpu.numa_nodes, std::vector<std::uint32_t>{0});
    EXPECT_EQ(gpu.capacities,
              (Amounts{{"memory", 85899345920U}, {"multiprocessors", 132}}));
    EXPECT_EQ(text_of(gpu, "vendor_id"), "0x10de");
    EXPECT_EQ(text_of(gpu, "device_id"), "0x2330");
    EXPECT_EQ(text_of(gpu, "subvendor"), "0x10de");
    EXPECT_EQ(text_of(gpu, "subdevice"), "0x16c1");
    EXPECT_EQ(text_of(gpu, "class_id"), "0x0302");
    EXPECT_EQ(text_of(gpu, "revision"), "0xa1");
    EXPECT_EQ(text_of(gpu, "model"), "Example GPU");
    EXPECT_EQ(text_of(gpu, "vendor"), "NVIDIA Corporation");
    EXPECT_EQ(text_of(gpu, "serial"), "0001");
    EXPECT_EQ(text_of(gpu, "pcie_root"), "pci0000:00");
    EXPECT_EQ(text_of(gpu, "pci_bus_id"), "0000:03:00.0");
    EXPECT_EQ(int_of(gpu, "link_speed_mb_s"),
              63015);  // of the port; the GPU saved power
    EXPECT_EQ(int_of(gpu, "cuda_index"), 0);
    EXPECT_EQ(int_of(gpu, "nvml_index"), 1);
    EXPECT_EQ(int_of(gpu, "numa_node"), 0);
    EXPECT_EQ(gpu.attributes.at("backends").values,
              (std::vector<Scalar>{
                  std::string("NVML"), std::string("CUDA"), std::string("OpenCL")}));
    const DeviceSpec& nic = spec.devices[1];
    EXPECT_EQ(nic.device_class, "nic");
    EXPECT_EQ(nic.name, "mlx5_0");
    EXPECT_EQ(nic.aliases, std::vector<std::string>{"ib0"});
    EXPECT_EQ(nic.attributes.at("rdma"), (AttributeValue{{true}, false}));
    EXPECT_EQ(nic.attributes.at("port_guids"),
              (AttributeValue{{std::string("a088:c203:0000:0001")}, true}));
    EXPECT_EQ(text_of(nic, "node_guid"), "a088:c203:0000:0001");
    EXPECT_EQ(nic.counters, (Amounts{{"vf", 1}}));
    const DeviceSpec& part = spec.devices[2];
    EXPECT_EQ(part.parent, 1U);
    EXPECT_EQ(part.partition, "vf");
    EXPECT_EQ(part.draws, (Amounts{{"vf", 1}}));
    EXPECT_EQ(part.attributes.at("sriov_vf"), (AttributeValue{{true}, false}));
    const DeviceSpec& drive = spec.devices[4];
    EXPECT_EQ(drive.device_class, "nvme");
    EXPECT_EQ(drive.name, "nvme0n1");
    EXPECT_EQ(text_of(drive, "model"), "Example SSD");
    EXPECT_EQ(text_of(drive, "serial"), "S0001");
    EXPECT_EQ(drive.capacities, (Amounts{{"size", 1024000000}}));
    EXPECT_EQ(int_of(drive, "numa_node"), 8);
}

TEST(HwlocXml, ReadsBridges) {
    const MachineSpec spec = read(read_file("hwloc_v2.xml"));
    ASSERT_EQ(spec.bridges.size(), 8U);
    EXPECT_TRUE(spec.bridges[0].is_host);
    EXPECT_EQ(spec.bridges[0].name, "pci0000:00");
    EXPECT_EQ(spec.bridges[0].parent, no_index);
    EXPECT_EQ(spec.bridges[3].address->to_string(), "0000:02:00.0");
    EXPECT_EQ(spec.bridges[3].parent, 2U);
    EXPECT_EQ(spec.bridges[5].name, "pci0000:80");
    EXPECT_EQ(spec.devices[0].bridge, 3U);
    EXPECT_EQ(spec.devices[4].bridge, 7U);
}

// What a spec says, as text, for comparing two of them.
std::string shown(const MachineSpec& spec) {
    std::string all = spec.name + "\n";
    for (const ObjectSpec& each : spec.objects) {
        all += std::to_string(static_cast<int>(each.kind)) + ' ' +
               std::to_string(each.os_index) + ' ' + each.cpuset.to_list() + '\n';
    }
    for (const NumaNodeSpec& each : spec.numa_nodes) {
        all += std::to_string(each.os_index) + ' ' + each.cpuset.to_list() + ' ' +
               each.parent_cpuset.to_list() + ' ' + std::to_string(each.base_bytes);
        for (const auto& [size, bytes] : each.hugepages) {
            all += ' ' + std::to_string(size) + ':' + std::to_string(bytes);
        }
        all += '\n';
    }
    for (const BridgeSpec& each : spec.bridges) {
        all += each.name + ' ' + std::to_string(each.parent) + '\n';
    }
    const auto listed = [](const std::optional<Bitmap>& set) {
        return set ? set->to_list() : "all";
    };
    return all + listed(spec.allowed_pus) + '\n' + listed(spec.allowed_numa_nodes);
}

void expect_equal_devices(const MachineSpec& a, const MachineSpec& b) {
    ASSERT_EQ(a.devices.size(), b.devices.size());
    for (std::size_t i = 0; i < a.devices.size(); ++i) {
        EXPECT_EQ(a.devices[i].name, b.devices[i].name);
        EXPECT_EQ(a.devices[i].aliases, b.devices[i].aliases);
        EXPECT_EQ(a.devices[i].pci_address, b.devices[i].pci_address);
        EXPECT_EQ(a.devices[i].attributes, b.devices[i].attributes);
        EXPECT_EQ(a.devices[i].capacities, b.devices[i].capacities);
        EXPECT_EQ(a.devices[i].numa_nodes, b.devices[i].numa_nodes);
        EXPECT_EQ(a.devices[i].parent, b.devices[i].parent);
        EXPECT_EQ(a.devices[i].uuid, b.devices[i].uuid);
    }
}

// hwloc 3 names the sizes of pages for the whole host and no longer counts pages: all
// memory of a NUMANode passes for base pages.
MachineSpec without_huge_pages(MachineSpec spec) {
    for (NumaNodeSpec& node : spec.numa_nodes) {
        for (const auto& [page_size, bytes] : node.hugepages) {
            node.base_bytes += bytes;
        }
        node.hugepages.clear();
    }
    return spec;
}

TEST(HwlocXml, AllVersionsSayTheSame) {
    const MachineSpec v1 = read(read_file("hwloc_v1.xml"));
    const MachineSpec v2 = read(read_file("hwloc_v2.xml"));
    MachineSpec v3 = read(read_file("hwloc_v3.xml"));
    EXPECT_EQ(shown(v1), shown(v2));
    EXPECT_NE(shown(v3), shown(v2));
    EXPECT_EQ(shown(v3), shown(without_huge_pages(v2)));
    EXPECT_EQ(v3.info.at("PageSizes"), "4096,2097152,1073741824");
    EXPECT_EQ(v3.info.erase("PageSizes") + v3.info.erase("PageSizeNr"), 2U);
    expect_equal_devices(v1, v2);
    expect_equal_devices(v3, v2);
    EXPECT_EQ(v1.distances->values, v2.distances->values);
    EXPECT_EQ(v3.distances->values, v2.distances->values);
    EXPECT_EQ(v1.info, v2.info);
    EXPECT_EQ(v3.info, v2.info);
    EXPECT_TRUE(v1.links.empty());  // version 1 has no matrices between devices
    for (const MachineSpec& spec : {v2, v3}) {
        ASSERT_EQ(spec.links.size(), 2U);
        EXPECT_EQ(spec.links[0].from, 0U);
        EXPECT_EQ(spec.links[0].to, 3U);
        EXPECT_EQ(spec.links[0].mb_s, 50000U);
    }
}

TEST(HwlocXml, MachineIsBuiltFromEachVersion) {
    for (const char* name : {"hwloc_v1.xml", "hwloc_v2.xml", "hwloc_v3.xml"}) {
        const auto machine = Machine::build(read(read_file(name)));
        EXPECT_EQ(machine->pus().size(), 8U) << name;
        EXPECT_EQ(machine->localities().size(), 2U) << name;
        ASSERT_EQ(machine->devices().size(), 5U) << name;
        EXPECT_EQ(machine->find_device("cuda1"), 1U) << name;
        EXPECT_EQ(machine->devices()[1].pci_address->to_string(), "0000:81:00.0")
            << name;
        EXPECT_EQ(machine->devices()[3].name, "nic0/0") << name;
    }
}

TEST(HwlocXml, MemoryKindsComeFromSubtypeOrTier) {
    const auto kind_of = [](const std::string& subtype, const std::string& tier) {
        const std::string node =
            "<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\" subtype=\"" +
            subtype + "\"/>";
        const std::string after =
            tier.empty() ? "" : "<memtier kinds=\"" + tier + "\" nodeset=\"0x2\"/>";
        return read(machine_of(node, after, " version=\"3.0\"")).numa_nodes.at(1).kind;
    };
    EXPECT_EQ(kind_of("", ""), MemoryKind::dram);
    EXPECT_EQ(kind_of("DRAM", ""), MemoryKind::dram);
    EXPECT_EQ(kind_of("HBM", ""), MemoryKind::hbm);
    EXPECT_EQ(kind_of("MCDRAM", ""), MemoryKind::hbm);
    EXPECT_EQ(kind_of("SPM", ""), MemoryKind::hbm);
    EXPECT_EQ(kind_of("NVM", ""), MemoryKind::nvm);
    EXPECT_EQ(kind_of("CXL-DRAM", ""), MemoryKind::cxl);
    EXPECT_EQ(kind_of("GPUMemory", ""), MemoryKind::gpu);
    EXPECT_EQ(kind_of("", "1"), MemoryKind::hbm);
    EXPECT_EQ(kind_of("", "2"), MemoryKind::dram);
    EXPECT_EQ(kind_of("", "4"), MemoryKind::gpu);
    EXPECT_EQ(kind_of("", "16"), MemoryKind::nvm);
    EXPECT_EQ(kind_of("", "34"), MemoryKind::cxl);
    EXPECT_EQ(kind_of("HBM", "2"), MemoryKind::hbm);  // the object's own word counts
}

TEST(HwlocXml, NodeWithoutPusKeepsItsParent) {
    const MachineSpec spec = read(
        "<topology version=\"2.0\"><object type=\"Machine\" cpuset=\"0xf\">"
        "<object type=\"Package\" os_index=\"0\" cpuset=\"0x3\">"
        "<object type=\"MemCache\" cpuset=\"0x3\">"
        "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\"/></object>"
        "<object type=\"NUMANode\" os_index=\"4\" cpuset=\"0x0\" "
        "subtype=\"GPUMemory\"/>"
        "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/>"
        "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\"/></object>"
        "<object type=\"Package\" os_index=\"1\" cpuset=\"0xc\">"
        "<object type=\"PU\" os_index=\"2\" cpuset=\"0x4\"/>"
        "<object type=\"PU\" os_index=\"3\" cpuset=\"0x8\"/></object>"
        "</object></topology>");
    ASSERT_EQ(spec.numa_nodes.size(), 2U);
    EXPECT_EQ(spec.numa_nodes[0].parent_cpuset.to_list(), "0-1");  // past the MemCache
    EXPECT_TRUE(spec.numa_nodes[1].cpuset.empty());
    EXPECT_EQ(spec.numa_nodes[1].parent_cpuset.to_list(), "0-1");
    EXPECT_EQ(spec.numa_nodes[1].kind, MemoryKind::gpu);
    EXPECT_FALSE(spec.allowed_pus.has_value());
}

TEST(HwlocXml, GroupsAreKeptWhereTheyShapeTheOrder) {
    const auto groups_of = [](const std::string& outer, const std::string& inner) {
        auto sets = sets_of(
            read("<topology version=\"2.0\"><object type=\"Machine\" cpuset=\"0xf\">"
                 "<object type=\"Package\" cpuset=\"0xf\">" +
                 outer +
                 "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/>"
                 "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\"/>" +
                 inner +
                 "<object type=\"PU\" os_index=\"2\" cpuset=\"0x4\"/>"
                 "<object type=\"PU\" os_index=\"3\" cpuset=\"0x8\"/>" +
                 (outer.starts_with("<object type=\"Group\"") ? "</object>" : "") +
                 "</object></object></topology>"));
        return sets[ObjectKind::group];
    };
    const std::string l2 = "<object type=\"L2Cache\" cpuset=\"0x3\">";
    const std::string core = "<object type=\"Core\" cpuset=\"0x3\">";
    const std::string all = "<object type=\"Group\" cpuset=\"0xf\">";
    const std::string close = "</object>";
    EXPECT_EQ(groups_of(l2, close), std::vector<std::string>{"0-1"});
    EXPECT_TRUE(groups_of(l2 + core, close + close).empty());  // the core says it
    EXPECT_EQ(groups_of(l2 + l2, close + close),
              std::vector<std::string>{"0-1"});  // once
    EXPECT_EQ(groups_of(all + l2, close), std::vector<std::string>{"0-1"});
}

TEST(HwlocXml, OfflineObjectsAreSkipped) {
    const MachineSpec spec =
        read(machine_of("<object type=\"Package\" os_index=\"1\" cpuset=\"0x0\" "
                        "complete_cpuset=\"0xc\"/>"));
    EXPECT_TRUE(sets_of(spec).empty());
}

// `sets`: attributes of the Machine. NUMANodes 0 and 8, the second without PUs.
MachineSpec with_node_eight(const std::string& sets,
                            const std::string& version = " version=\"2.0\"") {
    std::string text = machine_of(
        "<object type=\"NUMANode\" os_index=\"8\" cpuset=\"0x0\" "
        "nodeset=\"0x100\"/>",
        "",
        version);
    text.replace(text.find("nodeset=\"0x1\""), 13, "nodeset=\"0x101\" " + sets);
    return read(text);
}

TEST(HwlocXml, ReadsTheAllowedNumaNodes) {
    for (const std::string version : {"", " version=\"2.0\"", " version=\"3.0\""}) {
        const MachineSpec spec = with_node_eight("allowed_nodeset=\"0x100\"", version);
        ASSERT_TRUE(spec.allowed_numa_nodes.has_value()) << version;
        EXPECT_EQ(spec.allowed_numa_nodes->to_list(), "8");
        EXPECT_FALSE(spec.allowed_pus.has_value());
        EXPECT_EQ(Machine::build(spec)->allowed_numa_nodes().to_list(), "1");
    }
    const MachineSpec none = with_node_eight("allowed_nodeset=\"0x0\"");
    ASSERT_TRUE(none.allowed_numa_nodes.has_value());
    EXPECT_TRUE(none.allowed_numa_nodes->empty());
}

TEST(HwlocXml, AllNumaNodesAreAllowedUnlessTheFileSaysOtherwise) {
    for (const std::string sets : {"",
                                   "allowed_nodeset=\"0x101\"",
                                   "allowed_nodeset=\"0xf...f\"",
                                   "allowed_nodeset=\"0xffffffff\""}) {
        EXPECT_FALSE(with_node_eight(sets).allowed_numa_nodes.has_value()) << sets;
    }
    // Memory that stands at the Machine has no NUMANode that could be disallowed.
    const MachineSpec spec = read(
        "<topology><object type=\"Machine\" cpuset=\"0x1\" allowed_nodeset=\"0x0\" "
        "local_memory=\"1073741824\">"
        "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/></object></topology>");
    EXPECT_EQ(spec.numa_nodes.size(), 1U);
    EXPECT_FALSE(spec.allowed_numa_nodes.has_value());
}

TEST(HwlocXml, RefusesABadAllowedNodeset) {
    std::string text = machine_of("");
    text.replace(
        text.find("nodeset=\"0x1\""), 13, "nodeset=\"0x1\" allowed_nodeset=\"all\"");
    EXPECT_EQ(error_of(text).substr(0, 53),
              "t.xml:1: allowed_nodeset \"all\": no set, want 32-bit w");
}

TEST(HwlocXml, VersionOneKeepsMemoryAtTheMachine) {
    const MachineSpec spec = read(
        "<topology><object type=\"Machine\" os_index=\"-1\" cpuset=\"0x3\" "
        "online_cpuset=\"0x1\" "
        "allowed_cpuset=\"0x3\" local_memory=\"1073741824\">"
        "<page_type size=\"4096\" count=\"0\"/><page_type size=\"2097152\" "
        "count=\"256\"/>"
        "<object type=\"Misc\" cpuset=\"0x3\"><object type=\"Misc\" name=\"note\"/>"
        "<object type=\"Cache\" os_index=\"4294967295\" cpuset=\"0x1\" depth=\"3\" "
        "cache_type=\"0\">"
        "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/></object>"
        "<object type=\"Cache\" cpuset=\"0x2\" depth=\"3\" cache_type=\"2\">"
        "<object type=\"PU\" os_index=\"1\" "
        "cpuset=\"0x2\"/></object></object></object></topology>");
    ASSERT_EQ(spec.numa_nodes.size(), 1U);
    EXPECT_EQ(spec.numa_nodes[0].os_index, 0U);
    EXPECT_EQ(spec.numa_nodes[0].cpuset.to_list(), "0-1");
    EXPECT_EQ(spec.numa_nodes[0].base_bytes, 536870912U);
    EXPECT_EQ(spec.numa_nodes[0].hugepages.at(2097152), 536870912U);
    EXPECT_EQ(sets_of(spec)[ObjectKind::l3], std::vector<std::string>{"0"});
    EXPECT_EQ(spec.allowed_pus->to_list(), "0");
}

TEST(HwlocXml, VersionOneDistancesOfOtherObjectsAreNoNumaDistances) {
    const std::string latencies =
        "<distances nbobjs=\"2\" relative_depth=\"1\" latency_base=\"10\">"
        "<latency value=\"1\"/><latency value=\"2\"/>"
        "<latency value=\"2\"/><latency value=\"1\"/></distances>";
    EXPECT_FALSE(
        read(machine_of(latencies, "", "")).distances.has_value());  // one NUMANode
}

TEST(HwlocXml, NumaDistancesByGpIndexAndUnnamed) {
    const std::string node =
        "<object type=\"NUMANode\" os_index=\"5\" cpuset=\"0x0\" gp_index=\"9\"/>";
    const std::string matrix =
        "<distances2 type=\"NUMANode\" nbobjs=\"2\" kind=\"5\" indexing=\"gp\">"
        "<indexes>9\n2</indexes><u64values>10 20</u64values>"
        "<u64values>30 10</u64values></distances2>";
    const MachineSpec spec = read(machine_of(node, matrix));
    EXPECT_EQ(spec.distances->numa_nodes, (std::vector<std::uint32_t>{5, 0}));
    EXPECT_EQ(spec.distances->values, (std::vector<std::uint64_t>{10, 20, 30, 10}));
    const std::string bandwidth =
        "<distances2 type=\"NUMANode\" nbobjs=\"0\" kind=\"9\"/>";
    EXPECT_FALSE(read(machine_of(node, bandwidth)).distances.has_value());
}

TEST(HwlocXml, ClassesOfFunctions) {
    EXPECT_EQ(class_of("0302 [10de:1094] [10de:0000] a1"), "gpu");
    EXPECT_EQ(class_of("0380 [1002:7408] [1002:0b0c] 00 00"), "gpu");
    EXPECT_EQ(class_of("1200 [1002:74a1] [1002:74a1] 00"), "gpu");
    EXPECT_EQ(class_of("0300 [10de:2684] [10de:165b] a1"), "none");
    EXPECT_EQ(class_of("0300 [10de:2684] [10de:165b] a1", os_device("nvml0", "1")),
              "gpu");
    EXPECT_EQ(class_of("0300 [8086:56c0] [8086:4905] 08",
                       os_device("ze0", "5", "subtype=\"LevelZero\"")),
              "gpu");
    EXPECT_EQ(class_of("0300 [1002:6798] [174b:e208] 00",
                       os_device("opencl0d1", "5", "subtype=\"OpenCL\"")),
              "none");
    EXPECT_EQ(class_of("0300 [1a03:2000] [1a03:2000] 41", os_device("nvml0", "1")),
              "none");
    EXPECT_EQ(class_of("0380 [1002:515e] [1028:0000] 02"), "none");
    EXPECT_EQ(class_of("0302 [102b:0534] [102b:0000] 00"), "none");
    EXPECT_EQ(class_of("0680 [10de:1ac2] [0000:0000] a1"), "none");
    EXPECT_EQ(class_of("0200 [8086:1521] [8086:0001] 01"), "nic");
    EXPECT_EQ(class_of("0207 [15b3:1021] [15b3:0041] 00"), "nic");
    EXPECT_EQ(class_of("0c06 [15b3:6282] [15b3:6282] a0"), "nic");
    EXPECT_EQ(class_of("0880 [1d0f:efa2] [1d0f:efa2] 00", os_device("rdmap0s1", "3")),
              "nic");
    EXPECT_EQ(class_of("0c03 [8086:1e31] [8086:7270] 04", os_device("usb0", "2")),
              "none");
    EXPECT_EQ(class_of("0108 [144d:a808] [144d:a801] 00", os_device("nvme0n1", "0")),
              "nvme");
    EXPECT_EQ(class_of("0108 [144d:a808] [144d:a801] 00"), "none");
    EXPECT_EQ(class_of("0106 [8086:1d02] [8086:1d02] 06", os_device("sda", "0")),
              "none");
}

TEST(HwlocXml, OsDevicesWithoutPci) {
    const MachineSpec spec = read(
        machine_of(os_device("lo", "2") +
                   os_device("docker0", "2", "", info("Address", "02:42:00:00:00:01")) +
                   os_device("loop0", "0") + os_device("dax0.0", "0") +
                   os_device("cuda0", "5", "subtype=\"CUDA\"") +
                   os_device("nvml0", "1", "subtype=\"NVML\"") +
                   os_device("opencl0d0", "5", "subtype=\"OpenCL\"")));
    ASSERT_EQ(spec.devices.size(), 1U);  // one backend's view of one GPU
    EXPECT_EQ(spec.devices[0].name, "nvml0");
    EXPECT_FALSE(spec.devices[0].pci_address.has_value());
    EXPECT_EQ(spec.devices[0].bridge, no_index);
}

TEST(HwlocXml, LocalityOfTheWholeMachineGivesAllNodes) {
    const std::string nodes =
        "<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\"/>";
    const std::string function = function_of("0302 [10de:1094] [10de:0000] a1", "");
    std::string text = machine_of(nodes + function);
    text.replace(
        text.find("nodeset=\"0x1\""), 13, "nodeset=\"0x7\"");  // node 2 has no object
    const DeviceSpec all = read(text).devices.at(0);
    EXPECT_EQ(all.numa_nodes, (std::vector<std::uint32_t>{0, 1}));
    EXPECT_FALSE(all.attributes.contains("numa_node"));  // unknown is said by silence
    EXPECT_EQ(int_of(read(machine_of(function)).devices.at(0), "numa_node"), 0);
}

TEST(HwlocXml, PciBridgeWithoutHostBridgeGetsOne) {
    const MachineSpec spec = read(machine_of(
        "<object type=\"Bridge\" bridge_type=\"1-1\" bridge_pci=\"0002:[01-01]\" "
        "pci_busid=\"0002:00:00.0\"><object type=\"PCIDev\" pci_busid=\"0002:01:00.0\" "
        "pci_type=\"0302 [10de:15f9] [10de:116b] a1\"/></object>"));
    ASSERT_EQ(spec.bridges.size(), 2U);
    EXPECT_EQ(spec.bridges[0].name, "pci0002:00");
    EXPECT_EQ(spec.bridges[1].parent, 0U);
    EXPECT_EQ(text_of(spec.devices.at(0), "pcie_root"), "pci0002:00");
}

TEST(HwlocXml, VirtualFunctionOfTwoPortsStaysADevice) {
    const auto function = [](const std::string& busid, const std::string& ids) {
        return "<object type=\"PCIDev\" pci_busid=\"" + busid + "\" pci_type=\"0200 [" +
               ids + "] [15b3:0000] 00\"/>";
    };
    const MachineSpec spec = read(machine_of(
        function("0000:01:00.0", "15b3:1017") + function("0000:01:00.1", "15b3:1017") +
        function("0000:01:00.2", "15b3:1018") + function("0000:02:00.0", "15b3:1017") +
        function("0000:02:00.1", "15b3:1018") + function("0000:02:01.0", "15b3:1018") +
        function("0000:03:00.1", "15b3:1018")));
    ASSERT_EQ(spec.devices.size(), 7U);
    EXPECT_EQ(spec.devices[2].parent, no_index);  // of two physical functions: which?
    EXPECT_TRUE(spec.devices[2].attributes.contains("sriov_vf"));
    EXPECT_EQ(spec.devices[4].parent, 3U);
    EXPECT_EQ(spec.devices[5].parent, 3U);
    EXPECT_EQ(spec.devices[3].counters, (Amounts{{"vf", 2}}));
    EXPECT_EQ(spec.devices[6].parent, no_index);  // a virtual machine sees it alone
}

// Three GPUs, two ports of switches, a Package: 25000 a port and direction.
TEST(HwlocXml, SwitchPortsAreMergedAndClosed) {
    std::string devices;
    for (int i = 0; i < 5; ++i) {
        const std::string type = i < 3 ? "0302 [10de:1db8] [10de:131d] a1"
                                       : "0680 [10de:1ac2] [0000:0000] a1";
        devices += "<object type=\"PCIDev\" gp_index=\"" + std::to_string(10 + i) +
                   "\" pci_busid=\"0000:0" + std::to_string(i) + ":00.0\" pci_type=\"" +
                   type + "\"" + (i == 4 ? " subtype=\"NVSwitch\"" : "") + "/>";
    }
    const std::string matrix =
        "<distances2hetero nbobjs=\"6\" kind=\"25\" name=\"NVLinkBandwidth\">"
        "<indexes>PCIDev:10 PCIDev:11 PCIDev:12 PCIDev:13 PCIDev:14 "
        "Machine:1</indexes><u64values>"
        "1000000 0 70000 25000 25000 9 "
        "0 1000000 0 25000 25000 9 "
        "70000 0 1000000 0 25000 9 "
        "25000 25000 0 0 0 9 "
        "25000 25000 25000 0 0 9 "
        "9 9 9 9 9 9</u64values></distances2hetero>";
    const MachineSpec spec = read(machine_of(devices, matrix));
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> links;
    for (const LinkSpec& link : spec.links) {
        links[{link.from, link.to}] = link.mb_s;
    }
    EXPECT_EQ(links.size(), 6U);
    EXPECT_EQ((links[{0, 1}]), 50000U);
    EXPECT_EQ((links[{1, 0}]), 50000U);
    EXPECT_EQ((links[{0, 2}]), 70000U);  // the direct link is the wider
    EXPECT_EQ((links[{1, 2}]), 25000U);  // the narrower of both sides
    EXPECT_EQ((links[{2, 1}]), 25000U);
}

TEST(HwlocXml, OnlyBandwidthsAreLinks) {
    const std::string gpus = function_of("0302 [1002:7408] [1002:0000] a1", "");
    const auto matrix = [](const std::string& name) {
        return "<distances2 type=\"PCIDev\" nbobjs=\"1\" kind=\"9\" name=\"" + name +
               "\" "
               "indexing=\"gp\"><indexes>90</indexes><u64values>1000000</u64values></"
               "distances2>";
    };
    EXPECT_TRUE(
        read(machine_of(gpus, matrix("XGMIBandwidth"))).links.empty());  // diagonal
    EXPECT_TRUE(
        read(machine_of(gpus, "<distances2 name=\"XGMIHops\" nbobjs=\"many\"/>"))
            .links.empty());
}

TEST(HwlocXml, UnknownElementsAreSkipped) {
    EXPECT_EQ(pus_of(read(machine_of(
                         "<userdata name=\"x\">text<deeper/></userdata><new a=\"1\"/>",
                         "<memattr name=\"x\"><memattr_value/></memattr>"
                         "<new>text</new>")))
                  .size(),
              2U);
}

// Views into the tokenizer's own storage outlived it once.
TEST(HwlocXml, DecodedValuesOutliveTheTokenizer) {
    std::string infos;
    for (int i = 0; i < 100; ++i) {
        infos +=
            info("Key" + std::to_string(i) + "&lt;", std::string(50, 'v') + "&gt;");
    }
    const MachineSpec spec =
        read(machine_of(infos + os_device("cuda&#48;",
                                          "5",
                                          "subtype=\"CUDA\"",
                                          info("GPUModel", "A &quot;B&quot;"))));
    EXPECT_EQ(spec.info.size(), 100U);
    EXPECT_EQ(spec.info.at("Key7<"), std::string(50, 'v') + ">");
    EXPECT_EQ(spec.devices.at(0).name, "cuda0");
    EXPECT_EQ(text_of(spec.devices.at(0), "model"), "A \"B\"");
}

struct Refusal {
    std::string text;
    std::string message;
};

void expect_refusals(const std::vector<Refusal>& cases) {
    for (const Refusal& each : cases) {
        const std::string got = error_of(each.text);
        EXPECT_EQ(got.substr(0, each.message.size()), each.message) << each.text << "\n"
                                                                    << got;
    }
}

TEST(HwlocXml, RefusesWhatIsNoTopology) {
    expect_refusals({
        {"", "t.xml:1: no element"},
        {"garbage", "t.xml:1: text outside of elements"},
        {"<html/>", "t.xml:1: <html>: no hwloc topology, want <topology>"},
        {"<topology version=\"4.0\"/>",
         "t.xml:1: version \"4.0\": unknown, want 1, 2 or 3"},
        {"<topology version=\"2.0\"/>",
         "t.xml:1: topology: holds no object, want a Machine"},
        {"<topology>text</topology>",
         "t.xml:1: text \"text\": misplaced, want elements"},
        {"<topology><object type=\"Package\" cpuset=\"0x1\"/></topology>",
         "t.xml:1: object \"Package\": at the top, want one Machine"},
        {"<topology><object type=\"Machine\" cpuset=\"0x1\"/></topology>",
         "t.xml:1: Machine: holds no PU"},
        {machine_of("", "\n<object type=\"Machine\" cpuset=\"0x1\"/>"),
         "t.xml:6: object \"Machine\": at the top, want one Machine"},
        {read_file("hwloc_v2.xml").substr(0, 330),
         "t.xml:6: comp: no value, want comp="},
    });
}

TEST(HwlocXml, RefusesBadObjects) {
    expect_refusals({
        {machine_of("<object type=\"L6Cache\" cpuset=\"0x1\"/>"),
         "t.xml:5: object type \"L6Cache\": unknown, want one that hwloc 1 to 3 has"},
        {machine_of("<object cpuset=\"0x1\"/>"), "t.xml:5: object type \"\": unknown"},
        {machine_of("<object type=\"Machine\" cpuset=\"0x1\"/>"),
         "t.xml:5: object \"Machine\": inside \"Machine\""},
        {machine_of("<object type=\"Core\" os_index=\"x\" cpuset=\"0x0\"/>"),
         "t.xml:5: os_index \"x\": no number"},
        {machine_of("<object type=\"Core\"/>"),
         "t.xml:5: object \"Core\": has no cpuset"},
        {machine_of("<object type=\"Core\" cpuset=\"0x4\"/>"),
         "t.xml:5: cpuset \"0x4\": not inside \"0x3\" of its parent"},
        {machine_of("<object type=\"Core\" cpuset=\"0x2\"/>"),
         "t.xml:5: cpuset \"0x2\": meets that of an object beside it"},
        {machine_of("<object type=\"PU\" os_index=\"-1\" cpuset=\"0x0\"/>"),
         "t.xml:5: PU os_index: missing or too large, want one below 65536"},
        {machine_of("<object type=\"PU\" os_index=\"2\" cpuset=\"0x0\"/>"),
         "t.xml:5: PU cpuset \"0x0\": not the PU alone, want 2 in it"},
        {"<topology><object type=\"Machine\" cpuset=\"0x7\">"
         "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/></object></topology>",
         "t.xml:1: Machine cpuset \"0x7\": PU 1 has no object"},
        {machine_of("<object type=\"NUMANode\" cpuset=\"0x0\"/>"),
         "t.xml:5: NUMANode os_index \"\": no index"},
        {machine_of("<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x0\"/>"),
         "t.xml:5: NUMANode os_index \"0\": given twice"},
        {machine_of("<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x8\"/>"),
         "t.xml:5: NUMANode cpuset \"0x8\": not inside the Machine"},
        {machine_of("<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\" "
                    "local_memory=\"-5\"/>"),
         "t.xml:5: local_memory \"-5\": no number, want 0 to 1125899906842624"},
        {machine_of("<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\" "
                    "local_memory=\"99999999999999999999\"/>"),
         "t.xml:5: local_memory \"99999999999999999999\": no number"},
        {machine_of("<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\" "
                    "local_memory=\"100\">"
                    "<page_type size=\"4\" count=\"1\"/>\n<page_type size=\"8\" "
                    "count=\"99\"/></object>"),
         "t.xml:6: page_type: 99 pages of 8 bytes, want at most local_memory"},
        {machine_of("<object type=\"Bridge\"/>"),
         "t.xml:5: bridge_pci \"\": no PCI buses"},
        {machine_of("<object type=\"PCIDev\"/>"), "t.xml:5: pci_type \"\": no PCI ids"},
        {machine_of("<object type=\"OSDev\"/>"), "t.xml:5: osdev_type \"\": no number"},
        {machine_of("<object type=\"OSDev\" osdev_type=\"1\"><object type=\"Core\" "
                    "cpuset=\"0x0\"/>"
                    "</object>"),
         "t.xml:5: object \"Core\": inside \"OSDev\""},
    });
}

TEST(HwlocXml, RefusesBadSets) {
    const auto with = [](const std::string& set) {
        return machine_of("<object type=\"Group\" cpuset=\"" + set + "\"/>");
    };
    const std::string many(2048, ',');
    expect_refusals({
        {with(""), "t.xml:5: object \"Group\": has no cpuset"},
        {with("0x"), "t.xml:5: cpuset \"0x\": no set, want 32-bit words"},
        {with("0xg"), "t.xml:5: cpuset \"0xg\": no set"},
        {with("0x1ffffffff"), "t.xml:5: cpuset \"0x1ffffffff\": no set"},
        {with("0xf...f"), "t.xml:5: cpuset \"0xf...f\": no set"},
        {with("-1"), "t.xml:5: cpuset \"-1\": no set"},
        {with("0x1" + many), "t.xml:5: cpuset \"0x1,,,"},
    });
}

TEST(HwlocXml, RefusesBadDevices) {
    const auto bridge = [](const std::string& type, const std::string& pci) {
        return machine_of("<object type=\"Bridge\" bridge_type=\"" + type +
                          "\" bridge_pci=\"" + pci + "\" pci_busid=\"0000:00:01.0\"/>");
    };
    const std::string gpu = "0302 [10de:1094] [10de:0000] a1";
    expect_refusals({
        {bridge("0-0", "0000:[00-01]"), "t.xml:5: bridge_type \"0-0\": unknown"},
        {bridge("0-1", "0000:[00-100]"),
         "t.xml:5: bridge_pci \"0000:[00-100]\": no PCI buses"},
        {bridge("0-1", "0000:[00-01]x"),
         "t.xml:5: bridge_pci \"0000:[00-01]x\": no PCI buses"},
        {machine_of(function_of("0302 [10de:1094]", "")),
         "t.xml:5: pci_type \"0302 [10de:1094]\": no PCI ids"},
        {machine_of(function_of("0302 [10de:110941] [10de:0000] a1", "")),
         "t.xml:5: pci_type \"0302 [10de:110941] [10de:0000] a1\": no PCI ids"},
        {machine_of(function_of(gpu, "", "0000:01:20.0")),
         "t.xml:5: pci_busid \"0000:01:20.0\": no address"},
        {machine_of("<object type=\"PCIDev\" pci_busid=\"0000:01:00.0\" pci_type=\"" +
                    gpu + "\" pci_link_speed=\"nan\"/>"),
         "t.xml:5: pci_link_speed \"nan\": no number of use"},
        {machine_of("<object type=\"PCIDev\" pci_busid=\"0000:01:00.0\" pci_type=\"" +
                    gpu + "\" pci_link_speed=\"1e300\"/>"),
         "t.xml:5: pci_link_speed \"1e300\": no number of use"},
        {machine_of(function_of(
             gpu,
             os_device("cuda0", "5", "", "\n" + info("CUDAGlobalMemorySize", "lots")))),
         "t.xml:6: CUDAGlobalMemorySize \"lots\": no number"},
        {machine_of(function_of(
             gpu,
             os_device("cuda0",
                       "5",
                       "",
                       info("CUDAGlobalMemorySize", "18446744073709551615")))),
         "t.xml:5: CUDAGlobalMemorySize \"18446744073709551615\": no number"},
        {machine_of("<object type=\"OSDev\" osdev_type=\"gpu\"/>"),
         "t.xml:5: osdev_type \"gpu\": no number"},
        {machine_of(
             "<object type=\"Bridge\" bridge_type=\"0-1\" bridge_pci=\"0000:[00-01]\">"
             "<object type=\"Bridge\" bridge_type=\"0-1\" bridge_pci=\"0000:[00-01]\"/>"
             "</object>"),
         "t.xml:5: host bridge: below a bridge"},
    });
}

TEST(HwlocXml, RefusesABadNodesetOfADevice) {
    std::string text = machine_of(function_of("0302 [10de:1094] [10de:0000] a1", ""));
    text.replace(text.find("nodeset=\"0x1\""), 13, "nodeset=\"zzz\"");
    EXPECT_EQ(error_of(text).substr(0, 31), "t.xml:1: nodeset \"zzz\": no set,");
}

TEST(HwlocXml, RefusesBadMatrices) {
    const auto matrix = [](const std::string& attributes, const std::string& inside) {
        return machine_of(
            "", "\n<distances2 " + attributes + ">" + inside + "</distances2>");
    };
    const std::string numa =
        "type=\"NUMANode\" name=\"NUMALatency\" indexing=\"os\" kind=\"5\" ";
    const std::string link =
        "type=\"OSDev\" name=\"NVLinkBandwidth\" indexing=\"gp\" kind=\"9\" ";
    expect_refusals({
        {matrix(numa, ""), "t.xml:6: nbobjs \"\": no number"},
        {matrix(numa + "nbobjs=\"4294967296\"", ""),
         "t.xml:6: nbobjs \"4294967296\": no number"},
        {matrix(numa + "nbobjs=\"1\"", ""), "t.xml:6: distances: 0 indexes, want 1"},
        {matrix(numa + "nbobjs=\"1\"", "<indexes>0</indexes>"),
         "t.xml:6: distances: 0 values, want 1"},
        {matrix(numa + "nbobjs=\"1\"", "<indexes>0 1</indexes>"),
         "t.xml:6: indexes: more than nbobjs, want 1"},
        {matrix(numa + "nbobjs=\"1\"",
                "<indexes>0</indexes><u64values>1\n2</u64values>"),
         "t.xml:7: u64values: more than nbobjs squared, want 1"},
        {matrix(numa + "nbobjs=\"1\"", "<indexes>\n\nx</indexes>"),
         "t.xml:8: index \"x\": no number"},
        {matrix(numa + "nbobjs=\"1\"", "<indexes><a/></indexes>"),
         "t.xml:6: <a>: misplaced"},
        {matrix(numa + "nbobjs=\"1\"", "<indexes>7</indexes><u64values>1</u64values>"),
         "t.xml:6: distances: object \"NUMANode\" 7 is no NUMANode of the file"},
        {matrix(numa + "nbobjs=\"1\"",
                "<indexes>0</indexes><u64values>4294967296</u64values>"),
         "t.xml:6: distance 4294967296: too large"},
        {matrix("name=\"NUMALatency\" indexing=\"no\"", ""),
         "t.xml:6: indexing \"no\": unknown"},
        {matrix(link + "nbobjs=\"1\"", "<indexes>77</indexes><u64values>1</u64values>"),
         "t.xml:6: distances: object \"OSDev\" 77 is not in the file"},
        {machine_of("<distances nbobjs=\"1\" latency_base=\"10\"><latency "
                    "value=\"inf\"/></distances>",
                    "",
                    ""),
         "t.xml:5: latency \"inf\": no number of use"},
        {machine_of("", "<memtier kinds=\"1\" nodeset=\"x\"/>", " version=\"3.0\""),
         "t.xml:5: nodeset \"x\": no set"},
    });
    std::string many;
    for (int i = 0; i < 257; ++i) {
        many += "<distances2 type=\"NUMANode\" nbobjs=\"0\" kind=\"9\"/>";
    }
    EXPECT_EQ(error_of(machine_of("", many)),
              "t.xml:5: distances: too many, want at most 256");
}

TEST(HwlocXml, EveryPrefixIsRefusedWithALine) {
    const std::string text = read_file("hwloc_v3.xml");
    const std::size_t end = text.find("</topology>");
    ASSERT_NE(end, std::string::npos);
    for (std::size_t size = 0; size < end + 11; size += 7) {
        const std::string message = error_of(text.substr(0, size));
        EXPECT_EQ(message.substr(0, 6), "t.xml:") << size << message;
    }
}

}  // namespace
}  // namespace topoalloc
