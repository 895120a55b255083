// SPDX-License-Identifier: Apache-2.0
//
// The tree: logical order, stand-ins, localities, NUMA distances, and what is refused.
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace topoalloc {
namespace {

Bitmap list(std::string_view text) {
    return Bitmap::parse_list(text);
}

void add(MachineSpec& spec,
         ObjectKind kind,
         std::uint32_t os_index,
         std::string_view pus) {
    spec.objects.push_back({kind, os_index, list(pus)});
}

void add_pus(MachineSpec& spec, std::string_view pus) {
    list(pus).for_each([&spec](std::size_t pu) {
        spec.objects.push_back(
            {ObjectKind::pu, static_cast<std::uint32_t>(pu), Bitmap::range(pu, 1)});
    });
}

NumaNodeSpec& add_numa(MachineSpec& spec,
                       std::uint32_t os_index,
                       std::string_view pus) {
    NumaNodeSpec node;
    node.os_index = os_index;
    node.cpuset = list(pus);
    node.base_bytes = 1024;
    spec.numa_nodes.push_back(node);
    return spec.numa_nodes.back();
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

// Two Packages of two cores, two PUs a core, numbered as Linux does; a NUMANode each.
MachineSpec two_packages() {
    MachineSpec spec;
    for (std::uint32_t p = 0; p < 2; ++p) {
        const std::string base = std::to_string(2 * p);
        const std::string next = std::to_string(2 * p + 1);
        const std::string sibling = std::to_string(2 * p + 4);
        const std::string last = std::to_string(2 * p + 5);
        add(spec,
            ObjectKind::package,
            p,
            base + "," + next + "," + sibling + "," + last);
        add(spec, ObjectKind::core, 0, base + "," + sibling);
        add(spec, ObjectKind::core, 1, next + "," + last);
        add_numa(spec, p, base + "," + next + "," + sibling + "," + last);
    }
    add_pus(spec, "0-7");
    return spec;
}

TEST(Machine, test_order_when_siblings_are_far_apart) {
    const auto m = build(two_packages());
    std::vector<std::uint32_t> order;
    for (const Pu& pu : m->pus()) {
        order.push_back(pu.os_index);
    }
    EXPECT_EQ(order, (std::vector<std::uint32_t>{0, 4, 1, 5, 2, 6, 3, 7}));
    EXPECT_EQ(m->cores()[2].pus.to_list(), "4-5");
    EXPECT_EQ(m->pu_of_os_index(4), 1U);
    EXPECT_EQ(m->pu_of_os_index(8), no_index);
    EXPECT_EQ(m->pus_to_os(list("0-1")).to_list(), "0,4");
    EXPECT_EQ(m->pus_from_os(list("0,4")).to_list(), "0-1");
    EXPECT_THROW(static_cast<void>(m->pus_from_os(list("8"))), InvalidRequestError);
    EXPECT_EQ(m->localities().size(), 2U);
    EXPECT_EQ(m->allowed_pus().to_list(), "0-7");
    // Nothing says L3 or Die: the first of the smallest sets stands in.
    EXPECT_EQ(m->l3s().size(), 2U);
    EXPECT_EQ(m->l3s()[1].pus.to_list(), "4-7");
    EXPECT_EQ(m->l3s()[1].os_index, no_index);
    EXPECT_EQ(m->packages()[1].os_index, 1U);
}

TEST(Machine, test_allowed_when_given) {
    MachineSpec spec = two_packages();
    spec.allowed_pus = list("0,4-5");
    EXPECT_EQ(build(spec)->allowed_pus().to_list(), "0-1,3");
    spec.allowed_pus = Bitmap();
    EXPECT_TRUE(build(spec)->allowed_pus().empty());
    spec.allowed_pus = list("9");
    EXPECT_EQ(error_of(spec),
              "allowed_pus: PU 9 is not there, want PUs of the Machine");
}

TEST(Machine, test_allowed_numa_nodes_when_given) {
    MachineSpec spec = two_packages();
    EXPECT_EQ(build(spec)->allowed_numa_nodes().to_list(), "0-1");
    spec.numa_nodes[0].os_index = 8;  // so the second by index
    spec.allowed_numa_nodes = list("8");
    const auto m = build(spec);
    EXPECT_EQ(m->allowed_numa_nodes().to_list(), "1");
    // Memory alone is not to be used: PUs and localities are those of all NUMANodes.
    EXPECT_EQ(m->allowed_pus().to_list(), "0-7");
    EXPECT_EQ(m->localities().size(), 2U);
    EXPECT_EQ(m->localities()[1].numa_nodes, std::vector<std::uint32_t>{0});
    spec.allowed_numa_nodes = Bitmap();
    EXPECT_TRUE(build(spec)->allowed_numa_nodes().empty());
    spec.allowed_numa_nodes = list("1,7");
    EXPECT_EQ(error_of(spec),
              "allowed_numa_nodes: NUMANode 7 is not there, want NUMANodes of the "
              "Machine");
}

TEST(Machine, test_l3_when_it_spans_numa_nodes) {  // SNC
    MachineSpec spec;
    add_pus(spec, "0-7");
    add(spec, ObjectKind::package, 0, "0-7");
    add(spec, ObjectKind::l3, 0, "0-7");
    add_numa(spec, 0, "0-3");
    add_numa(spec, 1, "4-7");
    const auto m = build(spec);
    EXPECT_EQ(m->l3s().size(), 1U);
    EXPECT_EQ(m->l3s()[0].localities.to_list(), "0-1");
    EXPECT_EQ(m->localities()[1].l3s.to_list(), "0");
    EXPECT_EQ(m->dies().size(), 2U);  // the NUMANode is smaller than the Package
    EXPECT_EQ(m->cores().size(), 8U);
}

TEST(Machine, test_l3s_when_several_are_in_a_numa_node) {  // NPS4
    MachineSpec spec;
    add_pus(spec, "0-15");
    add(spec, ObjectKind::package, 0, "0-15");
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::string first = std::to_string(4 * i);
        add_numa(spec, i, first + "-" + std::to_string(4 * i + 3));
        add(spec, ObjectKind::l3, no_index, first + "," + std::to_string(4 * i + 1));
        add(spec,
            ObjectKind::l3,
            no_index,
            std::to_string(4 * i + 2) + "-" + std::to_string(4 * i + 3));
    }
    const auto m = build(spec);
    EXPECT_EQ(m->l3s().size(), 8U);
    EXPECT_EQ(m->localities()[2].l3s.to_list(), "4-5");
    EXPECT_EQ(m->localities()[2].packages.to_list(), "0");
}

TEST(Machine, test_stand_ins_when_kinds_are_missing_in_part) {
    MachineSpec spec;
    add_pus(spec, "0-5");
    add(spec, ObjectKind::package, 7, "0-3");
    add(spec, ObjectKind::l3, 3, "0-1");
    add(spec, ObjectKind::core, 5, "0-1");
    const auto m = build(spec);
    EXPECT_EQ(m->packages().size(), 2U);
    EXPECT_EQ(m->packages()[1].os_index, no_index);
    EXPECT_EQ(m->packages()[1].pus.to_list(), "4-5");
    ASSERT_EQ(m->l3s().size(), 3U);
    EXPECT_EQ(m->l3s()[0].os_index, 3U);
    EXPECT_EQ(m->l3s()[1].pus.to_list(), "2-3");
    EXPECT_EQ(m->cores().size(), 5U);
    ASSERT_EQ(m->localities().size(), 1U);  // no NUMANode holds a PU
    EXPECT_TRUE(m->localities()[0].numa_nodes.empty());
}

TEST(Machine, test_locality_when_nodes_share_a_cpuset) {  // HBM beside DRAM
    MachineSpec spec;
    add_pus(spec, "0-3");
    add_numa(spec, 0, "0-1");
    add_numa(spec, 1, "2-3");
    add_numa(spec, 9, "0-1").kind = MemoryKind::hbm;
    spec.numa_nodes[0].hugepages[2097152] = 4194304;
    const auto m = build(spec);
    ASSERT_EQ(m->localities().size(), 2U);
    EXPECT_EQ(m->localities()[0].numa_nodes, (std::vector<std::uint32_t>{0, 2}));
    EXPECT_EQ(m->numa_nodes()[2].kind, MemoryKind::hbm);
    EXPECT_EQ(m->page_sizes(), (std::vector<std::uint64_t>{0, 2097152}));
    EXPECT_EQ(m->numa_nodes()[0].bytes, (std::vector<std::uint64_t>{1024, 4194304}));
    EXPECT_EQ(m->numa_nodes()[1].bytes, (std::vector<std::uint64_t>{1024, 0}));
    EXPECT_EQ(m->numa_node_of_os_index(9), 2U);
    EXPECT_EQ(m->numa_node_of_os_index(2), no_index);
}

TEST(Machine, test_attached_when_nodes_have_no_pus) {
    MachineSpec spec;
    add_pus(spec, "0-7");
    add(spec, ObjectKind::package, 0, "0-3");
    add(spec, ObjectKind::package, 1, "4-7");
    add_numa(spec, 0, "0-3");
    add_numa(spec, 10, "4-7");
    add_numa(spec, 2, "").parent_cpuset = list("0-3");  // as GPU memory of a GB200
    add_numa(spec, 3, "").parent_cpuset = list("4-7");
    add_numa(spec, 4, "").parent_cpuset = list("0-7");  // none shares the Machine
    add_numa(spec, 5, "");                              // the Machine, too
    add_numa(spec, 6, "").parent_cpuset = list("0");    // holds no locality
    const auto m = build(spec);
    const auto where = [&m](std::uint32_t os_index) {
        return m->numa_nodes()[m->numa_node_of_os_index(os_index)].localities.to_list();
    };
    EXPECT_EQ(m->localities().size(), 2U);
    EXPECT_EQ(where(2), "0");
    EXPECT_EQ(where(3), "1");
    EXPECT_EQ(where(4), "0-1");
    EXPECT_EQ(where(5), "0-1");
    EXPECT_EQ(where(6), "");
    EXPECT_EQ(where(10), "1");
}

TEST(Machine, test_attached_when_a_sibling_has_pus) {
    // A node of its own parent is preferred to the localities beside it.
    MachineSpec spec;
    add_pus(spec, "0-7");
    add_numa(spec, 0, "0-3").parent_cpuset = list("0-7");
    add_numa(spec, 1, "4-7");
    add_numa(spec, 2, "").parent_cpuset = list("0-7");
    EXPECT_EQ(build(spec)->numa_nodes()[2].localities.to_list(), "0");
}

TEST(Machine, test_localities_when_cpusets_nest) {
    MachineSpec spec;
    add_pus(spec, "0-9");
    add_numa(spec, 0, "0-7");
    add_numa(spec, 1, "2-3");
    add_numa(spec, 2, "2-5");
    const auto m = build(spec);
    ASSERT_EQ(m->localities().size(), 4U);
    EXPECT_EQ(m->pus_to_os(m->localities()[0].pus).to_list(), "0-1,6-7");
    EXPECT_EQ(m->pus_to_os(m->localities()[1].pus).to_list(), "2-3");
    EXPECT_EQ(m->pus_to_os(m->localities()[2].pus).to_list(), "4-5");
    EXPECT_EQ(m->pus_to_os(m->localities()[3].pus).to_list(), "8-9");
    EXPECT_EQ(m->numa_nodes()[0].localities.to_list(), "0-2");
    EXPECT_EQ(m->numa_nodes()[2].localities.to_list(), "1-2");
    EXPECT_TRUE(m->localities()[3].numa_nodes.empty());
}

TEST(Machine, test_distance_when_directions_differ) {
    MachineSpec spec = two_packages();
    add_numa(spec, 5, "0-1,4-5");
    spec.distances = DistanceSpec{{1, 0}, {10, 21, 32, 11}};
    auto m = build(spec);
    EXPECT_EQ(m->distance(0, 1), 32U);
    EXPECT_EQ(m->distance(1, 0), 32U);
    EXPECT_EQ(m->distance(0, 0), 11U);
    spec.distances = DistanceSpec{{5, 1}, {10, 21, 32, 11}};  // lacks the first of both
    EXPECT_EQ(build(spec)->distance(0, 1), 0U);
    spec.distances.reset();
    EXPECT_EQ(build(spec)->distance(0, 1), 0U);
}

struct Refusal {
    std::function<void(MachineSpec&)> spoil;
    std::string message;
};

TEST(Machine, test_error_when_the_tree_is_wrong) {
    const std::vector<Refusal> refusals = {
        {[](auto& s) {
             s.objects.clear();
             s.numa_nodes.clear();
         },
         "objects: no PU, want at least one"},
        {[](auto& s) { add_pus(s, "3"); },
         "objects[14].os_index: 3 occurs twice among PUs, want unique"},
        {[](auto& s) { s.objects.push_back({ObjectKind::pu, no_index, {}}); },
         "objects[14].os_index: 4294967295 of a PU, want a number below 1048576"},
        {[](auto& s) { s.objects.push_back({ObjectKind::pu, 9, list("8")}); },
         "objects[14].cpuset: '8' of a PU, want its os_index 9"},
        {[](auto& s) { add(s, ObjectKind::die, 0, ""); },
         "objects[14].cpuset: empty, want PUs"},
        {[](auto& s) { add(s, ObjectKind::die, 0, "0,99"); },
         "objects[14].cpuset: PU 99 is not there, want PUs of the Machine"},
        {[](auto& s) { add(s, ObjectKind::l3, 0, "1-2"); },
         "objects[14] (L3 0): cpuset '1-2' overlaps '1,5' of objects[2] (Core 1), want "
         "one inside the other or disjoint"},
        {[](auto& s) { add(s, ObjectKind::group, 4, "0-1"); },
         "objects[14] (Group 4): cpuset '0-1' overlaps '0,4' of objects[1] (Core 0), "
         "want one inside the other or disjoint"},
        {[](auto& s) { add(s, ObjectKind::core, 9, "0"); },
         "objects[14] (Core 9): shares PU 0 with objects[1] (Core 0), want disjoint "
         "cpusets"},
        {[](auto& s) { s.numa_nodes[1].os_index = 0; },
         "numa_nodes[1].os_index: 0 occurs twice, want unique"},
        {[](auto& s) { s.numa_nodes[1].os_index = 1 << 20; },
         "numa_nodes[1].os_index: 1048576, want a number below 1048576"},
        {[](auto& s) { s.numa_nodes[1].cpuset = list("2,64"); },
         "numa_nodes[1].cpuset: PU 64 is not there, want PUs of the Machine"},
        {[](auto& s) { s.numa_nodes[1].parent_cpuset = list("64"); },
         "numa_nodes[1].parent_cpuset: PU 64 is not there, want PUs of the Machine"},
        {[](auto& s) { s.numa_nodes[0].hugepages[4096] = 4097; },
         "numa_nodes[0].hugepages: 4097 bytes in pages of 4096, want whole pages"},
        {[](auto& s) { s.numa_nodes[0].hugepages[0] = 1; },
         "numa_nodes[0].hugepages: a page size of 0, want bytes"},
        {[](auto& s) { s.numa_nodes[0].base_bytes = ~std::uint64_t{0}; },
         "numa_nodes[0].base_bytes: 18446744073709551615 bytes, want at most "
         "1125899906842624 on the NUMANode"},
        {[](auto& s) { s.distances = DistanceSpec{{0, 1}, {1, 2, 3}}; },
         "distances.values: 3 values, want 2 times 2"},
        {[](auto& s) { s.distances = DistanceSpec{{0, 7}, {1, 2, 3, 4}}; },
         "distances.numa_nodes[1]: 7, want a NUMANode of the Machine"},
        {[](auto& s) { s.distances = DistanceSpec{{0, 0}, {1, 2, 3, 4}}; },
         "distances.numa_nodes[1]: 0 occurs twice, want unique"},
        {[](auto& s) { s.distances = DistanceSpec{{0}, {std::uint64_t{1} << 32}}; },
         "distances.values[0]: 4294967296, want at most 4294967295"},
        {[](auto& s) {
             s.source = "node.xml";
             s.objects.clear();
         },
         "node.xml: objects: no PU, want at least one"},
        {[](auto& s) { s.numa_nodes.resize(4097); },
         "numa_nodes: 4097 of them, want at most 4096"},
        {[](auto& s) { s.devices.resize(4097); },
         "devices: 4097 of them, want at most 4096"},
        {[](auto& s) { s.objects.resize(65600); },
         "PUs: 65594 of them, want at most 65536"},
    };
    for (const Refusal& refusal : refusals) {
        MachineSpec spec = two_packages();
        refusal.spoil(spec);
        EXPECT_EQ(error_of(spec), refusal.message);
    }
}

}  // namespace
}  // namespace topoalloc
