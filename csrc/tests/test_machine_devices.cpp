// SPDX-License-Identifier: Apache-2.0
//
// Devices: order, names, localities, counters, levels, switches, links, and what is
// refused.
#include "machine/natural_order.hpp"
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace topoalloc {
namespace {

// Two Packages of two NUMANodes of one PU each.
MachineSpec four_nodes() {
    MachineSpec spec = read_synthetic("pack:2 numa:2 pu:1");
    spec.source.clear();
    return spec;
}

DeviceSpec& add(MachineSpec& spec,
                const std::string& device_class,
                const char* address,
                std::uint32_t bridge,
                std::vector<std::uint32_t> numa_nodes) {
    DeviceSpec device;
    device.device_class = device_class;
    device.pci_address = PciAddress::parse(address);
    device.bridge = bridge;
    device.numa_nodes = std::move(numa_nodes);
    spec.devices.push_back(device);
    return spec.devices.back();
}

std::uint32_t add_bridge(MachineSpec& spec, std::uint32_t parent) {
    BridgeSpec bridge;
    bridge.is_host = parent == no_index;
    bridge.parent = parent;
    spec.bridges.push_back(bridge);
    return static_cast<std::uint32_t>(spec.bridges.size() - 1);
}

std::shared_ptr<const Machine> build(const MachineSpec& spec) {
    auto machine = Machine::build(spec);
    machine->check_consistency();
    return machine;
}

std::string error_of(const MachineSpec& spec) {
    try {
        static_cast<void>(Machine::build(spec));
    } catch (const FormatError& error) {
        return error.what();
    }
    return "no error";
}

Level level(const Machine& m, const char* a, const char* b) {
    EXPECT_EQ(m.level(m.find_device(a), m.find_device(b)),
              m.level(m.find_device(b), m.find_device(a)));
    return m.level(m.find_device(a), m.find_device(b));
}

// Host 0 - port 1 - switch 2 - ports 3, 4, 5; port 6 beside it; host 7 - port 8.
MachineSpec tree() {
    MachineSpec spec = four_nodes();
    const std::uint32_t host = add_bridge(spec, no_index);
    const std::uint32_t port = add_bridge(spec, host);
    const std::uint32_t upstream = add_bridge(spec, port);
    const std::uint32_t down_a = add_bridge(spec, upstream);
    const std::uint32_t down_b = add_bridge(spec, upstream);
    const std::uint32_t down_c = add_bridge(spec, down_b);
    const std::uint32_t beside = add_bridge(spec, host);
    const std::uint32_t other = add_bridge(spec, add_bridge(spec, no_index));
    add(spec, "gpu", "03:00.0", down_a, {0});
    add(spec, "nic", "04:00.0", down_b, {0});
    add(spec, "nic", "04:00.1", down_b, {0});
    add(spec, "nvme", "05:00.0", down_c, {0});
    add(spec, "nvme", "06:00.0", beside, {0});
    add(spec, "nvme", "08:00.0", other, {0});
    add(spec, "nvme", "09:00.0", no_index, {1});
    add(spec, "nvme", "0a:00.0", no_index, {2});
    add(spec, "nvme", "0b:00.0", no_index, {});
    return spec;
}

TEST(MachineDevices, test_level_when_a_tree_has_all_seven) {
    const auto m = build(tree());
    EXPECT_EQ(level(*m, "gpu0", "gpu0"), Level::self);
    EXPECT_EQ(level(*m, "nic0", "nic1"), Level::self);  // two ports of one card
    EXPECT_EQ(level(*m, "gpu0", "nic0"), Level::switch_);
    EXPECT_EQ(level(*m, "nic0", "nvme0"), Level::switch_);
    EXPECT_EQ(level(*m, "gpu0", "nvme0"), Level::bridges);
    EXPECT_EQ(level(*m, "gpu0", "nvme1"), Level::root);
    EXPECT_EQ(level(*m, "gpu0", "nvme2"), Level::numa);
    EXPECT_EQ(level(*m, "gpu0", "nvme3"), Level::package);
    EXPECT_EQ(level(*m, "gpu0", "nvme4"), Level::machine);
    EXPECT_EQ(level(*m, "gpu0", "nvme5"), Level::machine);  // unknown
    // gpu0 - nic0 - nvme0 are one switch apart each, and the ends are not.
    EXPECT_FALSE(m->levels_are_ultrametric());
}

TEST(MachineDevices, test_switch_when_bridges_nest) {
    const auto m = build(tree());
    ASSERT_EQ(m->switches(), (std::vector<std::uint32_t>{2, 4}));
    EXPECT_EQ(m->devices()[m->find_device("gpu0")].switch_index, 0U);
    EXPECT_EQ(m->devices()[m->find_device("nic1")].switch_index, 0U);  // the outermost
    EXPECT_EQ(m->devices()[m->find_device("nvme0")].switch_index, 1U);
    EXPECT_EQ(m->devices()[m->find_device("nvme1")].switch_index, no_index);
}

TEST(MachineDevices, test_override_when_a_part_is_named) {
    MachineSpec spec = tree();
    DeviceSpec& part = add(spec, "gpu", "", no_index, {});
    part.parent = 0;
    spec.level_overrides = {{9, 8, 0}, {1, 8, 3}};
    const auto m = build(spec);
    EXPECT_EQ(level(*m, "gpu0", "nvme5"), Level::self);
    EXPECT_EQ(level(*m, "gpu0/0", "nvme5"), Level::self);
    EXPECT_EQ(level(*m, "nic0", "nvme5"), Level::root);
    EXPECT_EQ(level(*m, "gpu0/0", "gpu0"), Level::self);
    EXPECT_EQ(level(*m, "gpu0/0", "nic1"), Level::switch_);
    EXPECT_EQ(m->switches().size(), 2U);
}

TEST(MachineDevices, test_ultrametric_when_a_tree_is_regular) {
    MachineSpec spec = four_nodes();
    for (std::uint32_t i = 0; i < 8; ++i) {
        add(spec,
            "gpu",
            ("0" + std::to_string(i) + ":00.0").c_str(),
            no_index,
            {i % 4});
    }
    EXPECT_TRUE(build(spec)->levels_are_ultrametric());
    spec.level_overrides = {{0, 1, 1}};
    EXPECT_FALSE(build(spec)->levels_are_ultrametric());
    // A device in two localities is near to both, which are not near to each other.
    spec.level_overrides.clear();
    add(spec, "nic", "0a:00.0", no_index, {0, 1});
    EXPECT_FALSE(build(spec)->levels_are_ultrametric());
}

TEST(MachineDevices, test_order_and_names_when_classes_mix) {
    MachineSpec spec = four_nodes();
    add(spec, "nic", "", no_index, {0}).name = "nic10";
    add(spec, "nic", "", no_index, {0}).name = "nic9";
    add(spec, "nic", "0001:00:00.0", no_index, {0}).name = "late";
    add(spec, "nic", "ff:00.0", no_index, {0}).name = "early";
    add(spec, "gpu", "", no_index, {1}).name = "nvidia0";
    spec.devices[4].uuid = "GPU-1";
    spec.devices[4].aliases = {"cuda0", "cuda0", "gpu0", "early"};
    const auto m = build(spec);
    EXPECT_EQ(m->devices()[0].name, "gpu0");
    EXPECT_EQ(m->devices()[0].aliases,
              (std::vector<std::string>{"nvidia0", "cuda0", "early"}));
    EXPECT_EQ(m->devices()[1].aliases, std::vector<std::string>{"early"});
    EXPECT_EQ(m->devices()[2].aliases, std::vector<std::string>{"late"});
    EXPECT_EQ(m->devices()[3].aliases, std::vector<std::string>{"nic9"});
    EXPECT_EQ(m->devices()[4].name, "nic3");
    EXPECT_EQ(m->find_device("0000:FF:00.0"), 1U);
    EXPECT_EQ(m->find_device("ff:00.0"), 1U);
    EXPECT_EQ(m->find_device("00000001:00:00.0"), 2U);
    EXPECT_EQ(m->find_device("GPU-1"), 0U);
    EXPECT_EQ(m->find_device("nic9"), 3U);
    EXPECT_EQ(m->find_device("early"), 0U);  // of equal keys the first device
    EXPECT_EQ(m->find_device("nobody"), no_index);
}

TEST(MachineDevices, test_locality_when_unknown) {
    MachineSpec spec = four_nodes();
    add(spec, "a", "", no_index, {});
    add(spec, "b", "", no_index, {0, 1, 2, 3});
    add(spec, "c", "", no_index, {1, 2});
    const auto m = build(spec);
    EXPECT_TRUE(m->devices()[0].localities.empty());
    EXPECT_TRUE(m->devices()[1].localities.empty());
    EXPECT_EQ(m->devices()[2].localities.to_list(), "1-2");
    EXPECT_EQ(m->devices()[2].packages.to_list(), "0-1");
    MachineSpec one = read_synthetic("pack:1 core:2 pu:2");
    add(one, "a", "", no_index, {});
    EXPECT_EQ(build(one)->devices()[0].localities.to_list(), "0");
}

// A GPU with two MIG parts, and a NIC with a virtual function of an address of its own.
MachineSpec with_parts() {
    MachineSpec spec = four_nodes();
    DeviceSpec& gpu = add(spec, "gpu", "01:00.0", no_index, {2});
    gpu.capacities = {{"memory", 80}};
    gpu.counters = {{"slice", 7}};
    add(spec, "nic", "02:00.0", no_index, {1});
    for (const char* name : {"mig10", "mig9"}) {
        DeviceSpec& part = add(spec, "gpu", "01:00.0", no_index, {});
        part.parent = 0;
        part.name = name;
        part.partition = "1g.10gb";
        part.draws = {{"slice", 1}};
    }
    add(spec, "nic", "02:00.2", no_index, {3}).parent = 1;
    spec.links = {{0, 1, 500}, {1, 0, 300}};
    return spec;
}

TEST(MachineDevices, test_parts_when_there_are_partitions_and_functions) {
    const auto m = build(with_parts());
    const Device& gpu = m->devices()[0];
    EXPECT_EQ(gpu.parts, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(gpu.counter_names, (std::vector<std::string>{"memory", "slice"}));
    EXPECT_EQ(gpu.counter_totals, (std::vector<std::uint64_t>{80, 7}));
    EXPECT_EQ(m->devices()[1].name, "gpu0/0");
    EXPECT_EQ(m->devices()[1].aliases, std::vector<std::string>{"mig9"});
    EXPECT_EQ(m->devices()[1].counter_draws, (std::vector<std::uint64_t>{0, 1}));
    EXPECT_EQ(m->devices()[1].partition, "1g.10gb");
    EXPECT_EQ(m->devices()[2].localities.to_list(), "2");
    EXPECT_EQ(m->devices()[4].name, "nic0/0");
    EXPECT_EQ(m->devices()[4].localities.to_list(), "1");  // of its root
    EXPECT_EQ(m->find_device("01:00.0"), 0U);
    EXPECT_EQ(m->find_device("02:00.2"), 4U);
    EXPECT_EQ(level(*m, "gpu0/0", "gpu0/1"), Level::self);
    EXPECT_EQ(level(*m, "gpu0/0", "nic0/0"), Level::machine);
}

TEST(MachineDevices, test_link_when_directions_differ) {
    MachineSpec spec = with_parts();
    add(spec, "dpu", "", no_index, {});
    spec.links.push_back({5, 0, 900});  // one way only
    const auto m = build(spec);
    const auto link = [&m](const char* a, const char* b) {
        return m->link_mb_s(m->find_device(a), m->find_device(b));
    };
    EXPECT_EQ(link("gpu0", "nic0"), 300U);
    EXPECT_EQ(link("nic0", "gpu0"), 300U);
    EXPECT_EQ(link("gpu0/1", "nic0/0"), 0U);  // a partition has no links
    EXPECT_EQ(link("gpu0/1", "nic0"), 0U);
    EXPECT_EQ(link("gpu0/0", "gpu0/1"), 0U);
    EXPECT_EQ(link("dpu0", "gpu0"), 0U);
    EXPECT_EQ(m->max_link_mb_s(), 300U);
    EXPECT_TRUE(m->class_has_links("gpu"));
    EXPECT_TRUE(m->class_has_links("nic"));
    EXPECT_FALSE(m->class_has_links("dpu"));
    EXPECT_FALSE(m->class_has_links("none"));
}

struct Refusal {
    std::function<void(MachineSpec&)> spoil;
    std::string message;
};

TEST(MachineDevices, test_error_when_devices_are_wrong) {
    const std::vector<Refusal> refusals = {
        {[](auto& s) { s.devices[0].device_class.clear(); },
         "devices[0].device_class: empty, want a class such as gpu or nic"},
        {[](auto& s) { s.devices[0].numa_nodes = {9}; },
         "devices[0].numa_nodes: 9, want a NUMANode of the Machine"},
        {[](auto& s) { s.devices[0].bridge = 0; },
         "devices[0].bridge: 0, want a bridge of the Machine"},
        {[](auto& s) { s.devices[2].parent = 99; },
         "devices[2].parent: 99, want a device of the Machine"},
        {[](auto& s) { s.devices[2].parent = 3; },
         "devices[2].parent: devices[3] has a parent itself, want a root"},
        {[](auto& s) { s.devices[2].parent = 2; },
         "devices[2].parent: devices[2] has a parent itself, want a root"},
        {[](auto& s) { s.devices[2].draws["absent"] = 1; },
         "devices[2].draws.absent: not on devices[0], want a capacity or counter of "
         "the "
         "root"},
        {[](auto& s) { s.devices[0].draws["memory"] = 1; },
         "devices[0].draws: draws of a root, want a parent for these"},
        {[](auto& s) { s.devices[2].counters["x"] = 1; },
         "devices[2].counters: counters of a part, want them on its root"},
        {[](auto& s) { s.devices[0].counters["memory"] = 1; },
         "devices[0].counters.memory: a capacity too, want another name"},
        {[](auto& s) { s.devices[0].capacities["memory"] = ~std::uint64_t{0}; },
         "devices[0].capacities.memory: 18446744073709551615, want at most "
         "9223372036854775807"},
        {[](auto& s) { s.devices[0].uuid = s.devices[1].uuid = "u"; },
         "devices[1].uuid: 'u' of devices[0] too, want unique"},
        {[](auto& s) { add_bridge(s, 0); },
         "bridges[0].parent: 0, want a bridge that stands before 0"},
        {[](auto& s) { s.bridges.resize(1); },
         "bridges[0].parent: none of a PCI bridge, want the bridge above it"},
        {[](auto& s) {
             add_bridge(s, no_index);
             add_bridge(s, 0);
             s.bridges[1].is_host = true;
         },
         "bridges[1].parent: 0 of a host bridge, want none"},
        {[](auto& s) { s.links[0].to = 5; },
         "links[0].to: 5, want a device of the Machine"},
        {[](auto& s) { s.links[0].from = 2; },
         "links[0].from: 2 has a parent, want a root"},
        {[](auto& s) { s.links[0].to = 0; },
         "links[0]: from a device to itself, want two devices"},
        {[](auto& s) { s.links[1] = s.links[0]; },
         "links[1]: the same direction twice, want one"},
        {[](auto& s) { s.links[0].mb_s = std::uint64_t{1} << 32; },
         "links[0].mb_s: 4294967296, want at most 4294967295"},
        {[](auto& s) { s.level_overrides = {{0, 5, 1}}; },
         "level_overrides[0]: device 5, want a device of the Machine"},
        {[](auto& s) { s.level_overrides = {{0, 1, 7}}; },
         "level_overrides[0].level: 7, want 0 (self) to 6 (machine)"},
        {[](auto& s) { s.level_overrides = {{0, 2, 1}}; },
         "level_overrides[0]: two devices of one root, want different roots"},
        {[](auto& s) { s.level_overrides = {{0, 1, 1}, {1, 0, 2}}; },
         "level_overrides[1]: a second level for the same two roots, want one"},
    };
    for (const Refusal& refusal : refusals) {
        MachineSpec spec = with_parts();
        refusal.spoil(spec);
        EXPECT_EQ(error_of(spec), refusal.message);
    }
    MachineSpec spec = four_nodes();
    for (int i = 0; i < 11; ++i) {
        add(spec, "gpu", "", no_index, {});
    }
    add(spec, "gpu1", "", no_index, {});
    EXPECT_EQ(error_of(spec),
              "devices[11].device_class: 'gpu1' gives a second device the name gpu10, "
              "want another class");
}

TEST(MachineDevices, test_build_when_there_are_a_thousand) {
    MachineSpec spec = read_synthetic("pack:16 numa:4 l3:4 core:16 pu:2");
    for (std::uint32_t i = 0; i < 1000; ++i) {
        add(spec, i % 2 == 0 ? "gpu" : "nic", "", no_index, {i % 64});
    }
    const auto m = Machine::build(std::move(spec));
    EXPECT_EQ(m->pus().size(), 8192U);
    EXPECT_EQ(m->devices().size(), 1000U);
    EXPECT_TRUE(m->levels_are_ultrametric());
}

TEST(Level, test_names_when_ours_or_theirs) {
    for (std::size_t i = 0; i < level_count; ++i) {
        EXPECT_EQ(parse_level(level_name(static_cast<Level>(i))),
                  static_cast<Level>(i));
    }
    EXPECT_EQ(level_name(Level::switch_), "switch");
    EXPECT_EQ(parse_level("PIX"), Level::switch_);
    EXPECT_EQ(parse_level("PXB"), Level::bridges);
    EXPECT_EQ(parse_level("PHB"), Level::root);
    EXPECT_EQ(parse_level("NODE"), Level::numa);
    EXPECT_EQ(parse_level("SYS"), Level::machine);
    EXPECT_EQ(parse_level("switch_"), std::nullopt);
}

TEST(PciAddress, test_text_when_written_and_read) {
    EXPECT_EQ(PciAddress::parse("0000:1B:00.1")->to_string(), "0000:1b:00.1");
    EXPECT_EQ(PciAddress::parse("1b:1f.7")->to_string(), "0000:1b:1f.7");
    EXPECT_EQ(PciAddress::parse("10000:e1:00.0")->to_string(), "10000:e1:00.0");
    EXPECT_EQ(PciAddress::parse("00000000:1B:00.0")->domain, 0U);
    for (const char* text : {"",
                             "1b",
                             "1b:00",
                             ":1b:00.0",
                             "1b:20.0",
                             "1b:00.8",
                             "1b:00.",
                             "x:1b:00.0",
                             "0:0:1b:00.0",
                             "100:00.0",
                             "1b:00.0 ",
                             "-1:00.0",
                             "123456789:00:00.0",
                             ":00.0",
                             ".0"}) {
        EXPECT_EQ(PciAddress::parse(text), std::nullopt) << text;
    }
}

TEST(NaturalOrder, test_digits_when_compared_as_numbers) {
    EXPECT_LT(compare_natural("nic2", "nic10"), 0);
    EXPECT_GT(compare_natural("a10b2", "a10b1"), 0);
    EXPECT_LT(compare_natural("nic", "nic0"), 0);
    EXPECT_LT(compare_natural("eth9", "ib1"), 0);
    EXPECT_LT(compare_natural("n01", "n1"), 0);
    EXPECT_GT(compare_natural("n1", "n01"), 0);
    EXPECT_EQ(compare_natural("n7", "n7"), 0);
    EXPECT_LT(compare_natural("n99999999999999999999998", "n99999999999999999999999"),
              0);
}

}  // namespace
}  // namespace topoalloc
