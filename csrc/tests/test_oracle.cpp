// SPDX-License-Identifier: Apache-2.0
//
// The brute-force oracle itself: cases whose answer can be seen by hand, one for each
// term and constraint of docs/objective.md, and properties that any right answer has.
#include "oracle/brute_force.hpp"
#include "oracle/compare.hpp"
#include "oracle/instances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t mebi = std::uint64_t{1} << 20;

Set set(std::initializer_list<int> indices) {
    Set found = 0;
    for (const int index : indices) {
        found |= set_of(static_cast<std::size_t>(index));
    }
    return found;
}

void add_object(MachineSpec& spec, ObjectKind kind, const std::string& cpuset) {
    ObjectSpec object;
    object.kind = kind;
    object.cpuset = Bitmap::parse_list(cpuset);
    object.os_index = static_cast<std::uint32_t>(object.cpuset.first());
    spec.objects.push_back(std::move(object));
}

void add_pus(MachineSpec& spec, std::initializer_list<int> os_indices) {
    for (const int os_index : os_indices) {
        add_object(spec, ObjectKind::pu, std::to_string(os_index));
    }
}

NumaNodeSpec& add_numa(MachineSpec& spec,
                       std::uint32_t os_index,
                       const std::string& cpuset,
                       const std::string& parent,
                       std::uint64_t bytes = 8 * mebi) {
    NumaNodeSpec numa;
    numa.os_index = os_index;
    numa.cpuset = Bitmap::parse_list(cpuset);
    numa.parent_cpuset = Bitmap::parse_list(parent);
    numa.base_bytes = bytes;
    spec.numa_nodes.push_back(std::move(numa));
    return spec.numa_nodes.back();
}

std::uint32_t add_bridge(MachineSpec& spec, std::uint32_t parent = no_index) {
    BridgeSpec bridge;
    bridge.is_host = parent == no_index;
    bridge.parent = parent;
    spec.bridges.push_back(std::move(bridge));
    return static_cast<std::uint32_t>(spec.bridges.size() - 1);
}

// Devices get ascending addresses: gpu0 is the first gpu added.
DeviceSpec& add_device(MachineSpec& spec,
                       const std::string& cls,
                       std::uint32_t bridge,
                       std::vector<std::uint32_t> numa_nodes) {
    DeviceSpec device;
    device.device_class = cls;
    device.name = "card" + std::to_string(spec.devices.size());
    device.pci_address =
        PciAddress{0, static_cast<std::uint8_t>(spec.devices.size() + 1), 0, 0};
    device.bridge = bridge;
    device.numa_nodes = std::move(numa_nodes);
    spec.devices.push_back(std::move(device));
    return spec.devices.back();
}

// Two Packages of two localities of two cores of two PUs; an L3, a host bridge with one
// switch, a GPU and a NIC in each locality. Logical and OS indices are equal. Devices
// in logical order: gpu0 to gpu3 are 0 to 3, nic0 to nic3 are 4 to 7.
MachineSpec grid() {
    MachineSpec spec;
    add_object(spec, ObjectKind::package, "0-7");
    add_object(spec, ObjectKind::package, "8-15");
    for (int i = 0; i < 4; ++i) {
        const std::string pus = std::to_string(4 * i) + "-" + std::to_string(4 * i + 3);
        add_object(spec, ObjectKind::l3, pus);
        add_numa(spec, static_cast<std::uint32_t>(i), pus, pus);
    }
    for (int core = 0; core < 8; ++core) {
        add_object(spec,
                   ObjectKind::core,
                   std::to_string(2 * core) + "-" + std::to_string(2 * core + 1));
    }
    for (int pu = 0; pu < 16; ++pu) {
        add_pus(spec, {pu});
    }
    std::vector<std::uint32_t> switches;
    for (int i = 0; i < 4; ++i) {
        switches.push_back(add_bridge(spec, add_bridge(spec)));
    }
    for (const char* cls : {"gpu", "nic"}) {
        for (std::uint32_t i = 0; i < 4; ++i) {
            add_device(spec, cls, switches[i], {i});
        }
    }
    spec.distances = DistanceSpec{
        {0, 1, 2, 3}, {10, 12, 20, 20, 12, 10, 20, 20, 20, 20, 10, 12, 20, 20, 12, 10}};
    return spec;
}

DeviceRequest want(const std::string& cls, std::uint32_t count) {
    DeviceRequest wanted;
    wanted.device_class = cls;
    wanted.count = count;
    return wanted;
}

Condition where(const std::string& attribute,
                ConditionOp op,
                std::vector<Scalar> values) {
    return {attribute, op, std::move(values)};
}

void set_attribute(DeviceSpec& device, const std::string& name, Scalar value) {
    device.attributes[name] = {{std::move(value)}, false};
}

OracleAnswer ask(const MachineSpec& spec,
                 const Request& request,
                 const OracleState& state = {},
                 bool spread = false,
                 const Holding* keep_from = nullptr) {
    return brute_force(spec, state, request, spread, keep_from);
}

Holding hold_pus(const std::string& pus) {
    Holding holding;
    holding.owner = "other";
    holding.pus = Bitmap::parse_list(pus);
    return holding;
}

Holding hold_device(std::uint32_t spec_index, Amounts share = {}) {
    Holding holding;
    holding.owner = "other";
    holding.devices.push_back({spec_index, std::move(share)});
    return holding;
}

// ---------------------------------------------------------------- the Machine

TEST(OracleModel, test_logical_order_walks_the_tree_when_pus_come_in_os_order) {
    MachineSpec spec;
    add_object(spec, ObjectKind::package, "1,3,5,7");
    add_object(spec, ObjectKind::package, "0,2,4,6");
    add_object(spec, ObjectKind::core, "1,5");
    add_object(spec, ObjectKind::core, "3,7");
    add_object(spec, ObjectKind::core, "0,4");
    add_object(spec, ObjectKind::core, "2,6");
    add_pus(spec, {0, 1, 2, 3, 4, 5, 6, 7});
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.pu_os_index, (std::vector<std::uint32_t>{0, 4, 2, 6, 1, 5, 3, 7}));
    EXPECT_EQ(m.packages, (std::vector<Set>{0x0f, 0xf0}));
    EXPECT_EQ(m.cores, (std::vector<Set>{0x03, 0x0c, 0x30, 0xc0}));
}

TEST(OracleModel, test_group_orders_pus_and_is_no_domain) {
    MachineSpec spec;
    add_object(spec, ObjectKind::package, "0-5");
    add_object(spec, ObjectKind::group, "1,3,5");
    add_object(spec, ObjectKind::group, "1,5");
    add_pus(spec, {0, 1, 2, 3, 4, 5});
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.pu_os_index, (std::vector<std::uint32_t>{0, 1, 5, 3, 2, 4}));
    EXPECT_EQ(m.l3s, std::vector<Set>{0x3f});
    EXPECT_EQ(compare_machine(m, *Machine::build(spec)), "");
}

TEST(OracleModel, test_missing_kinds_are_stood_in_for) {
    MachineSpec spec;
    add_numa(spec, 0, "0-1", "0-1");
    add_numa(spec, 1, "2-3", "2-3");
    add_pus(spec, {0, 1, 2, 3});
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.packages, std::vector<Set>{0xf});
    EXPECT_EQ(m.l3s, (std::vector<Set>{0x3, 0xc}));
    EXPECT_EQ(m.dies, (std::vector<Set>{0x3, 0xc}));
    EXPECT_EQ(m.cores, (std::vector<Set>{1, 2, 4, 8}));
}

TEST(OracleModel, test_localities_part_the_pus_when_numa_nodes_nest_or_lack_some) {
    MachineSpec spec;
    add_numa(spec, 7, "0-3", "0-5");
    add_numa(spec, 2, "2-3", "0-5");
    add_pus(spec, {0, 1, 2, 3, 4, 5});
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.localities, (std::vector<Set>{0x03, 0x0c, 0x30}));
    EXPECT_EQ(m.numa_nodes[0].os_index, 2U);
    EXPECT_EQ(m.numa_nodes[0].localities, set({1}));
    EXPECT_EQ(m.numa_nodes[1].localities, set({0, 1}));
}

TEST(OracleModel, test_cpuless_numa_node_is_attached_to_siblings_of_its_parent) {
    MachineSpec spec = grid();
    spec.numa_nodes[1].parent_cpuset = Bitmap::parse_list("0-7");
    add_numa(spec, 4, "", "0-7");
    add_numa(spec, 5, "", "8-15");
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.numa_nodes[4].localities, set({1}));     // the sibling alone
    EXPECT_EQ(m.numa_nodes[5].localities, set({2, 3}));  // none: all inside
}

TEST(OracleModel, test_distance_is_the_larger_direction_of_the_first_numa_node) {
    MachineSpec spec;
    add_numa(spec, 3, "0", "0");
    add_numa(spec, 1, "0", "0");
    add_numa(spec, 2, "1", "1");
    add_numa(spec, 4, "2", "2");
    add_pus(spec, {0, 1, 2});
    spec.distances = DistanceSpec{{3, 1, 2}, {10, 10, 99, 10, 10, 20, 99, 30, 10}};
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.distance[0][1], 30U);  // NUMANode 1, not 3: 20 one way and 30 the other
    EXPECT_EQ(m.distance[0][2], 0U);   // the matrix lacks NUMANode 4
}

TEST(OracleModel, test_device_locality_is_unknown_when_none_or_all_but_not_with_one) {
    MachineSpec spec = grid();
    spec.devices[0].numa_nodes = {};
    spec.devices[1].numa_nodes = {0, 1, 2, 3};
    spec.devices[2].numa_nodes = {1, 2};
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.devices[0].localities, 0U);
    EXPECT_EQ(m.devices[1].localities, 0U);
    EXPECT_EQ(m.devices[2].localities, set({1, 2}));
    EXPECT_EQ(m.devices[2].packages, set({0, 1}));
    MachineSpec one;
    add_pus(one, {0});
    add_device(one, "gpu", no_index, {});
    EXPECT_EQ(derive(one).devices[0].localities, set({0}));
}

TEST(OracleModel, test_devices_stand_by_class_address_depth_and_number) {
    MachineSpec spec;
    add_pus(spec, {0});
    for (const char* name : {"z10", "z9", "a1"}) {
        add_device(spec, "nic", no_index, {}).name = name;
        spec.devices.back().pci_address.reset();
    }
    add_device(spec, "gpu", no_index, {}).name = "late";
    add_device(spec, "gpu", no_index, {}).name = "early";
    spec.devices[4].pci_address = PciAddress{0, 0, 0, 0};
    DeviceSpec part;
    part.device_class = "gpu";
    part.name = "part";
    part.parent = 3;
    spec.devices.push_back(part);
    const OracleMachine m = derive(spec);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < m.devices.size(); ++i) {
        names.push_back(m.device_spec(i).name + "=" + m.devices[i].name);
    }
    EXPECT_EQ(names,
              (std::vector<std::string>{"early=gpu0",
                                        "late=gpu1",
                                        "part=gpu1/0",
                                        "a1=nic0",
                                        "z9=nic1",
                                        "z10=nic2"}));
    EXPECT_EQ(m.find_device("z9"), 4U);
    EXPECT_EQ(m.find_device("gpu1/0"), 2U);
    EXPECT_EQ(m.find_device("0000:00:00.0"), 0U);
    EXPECT_EQ(m.find_device("gpu7"), no_index);
}

TEST(OracleModel, test_every_level_and_the_switch) {
    MachineSpec spec = grid();
    spec.devices.clear();
    spec.bridges.clear();
    const std::uint32_t host = add_bridge(spec);
    const std::uint32_t top = add_bridge(spec, host);
    const std::uint32_t left = add_bridge(spec, top);
    const std::uint32_t right = add_bridge(spec, top);
    const std::uint32_t below = add_bridge(spec, right);
    const std::uint32_t other_host = add_bridge(spec);
    add_device(spec, "d", left, {0});  // 0
    add_device(spec, "d", left, {0});  // 1: the same slot as 0
    spec.devices[1].pci_address = PciAddress{0, 1, 0, 1};
    add_device(spec, "d", right, {0});       // 2: one bridge below `top` on each side
    add_device(spec, "d", below, {0});       // 3: two below `top`
    add_device(spec, "d", host, {0});        // 4
    add_device(spec, "d", other_host, {0});  // 5
    add_device(spec, "d", other_host, {1});  // 6
    add_device(spec, "d", no_index, {2});    // 7
    spec.level_overrides.push_back({0, 7, 2});
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.level[0][1], 0);
    EXPECT_EQ(m.level[0][2], 1);
    EXPECT_EQ(m.level[2][3], 1);
    EXPECT_EQ(m.level[0][3], 2);
    EXPECT_EQ(m.level[0][4], 3);
    EXPECT_EQ(m.level[0][5], 4);
    EXPECT_EQ(m.level[0][6], 5);
    EXPECT_EQ(m.level[1][7], 6);
    EXPECT_EQ(m.level[0][7], 2);
    EXPECT_EQ(m.level[7][0], 2);
    EXPECT_EQ(m.devices[0].switch_bridge, top);
    EXPECT_EQ(m.devices[2].switch_bridge, top);  // outermost of `top` and `right`
    EXPECT_EQ(m.devices[3].switch_bridge, right);
    EXPECT_EQ(m.devices[4].switch_bridge, no_index);
}

TEST(OracleModel, test_links_are_the_smaller_direction_and_parts_have_none) {
    MachineSpec spec = grid();
    spec.links = {{0, 1, 50}, {1, 0, 40}, {0, 2, 70}};
    DeviceSpec part;
    part.device_class = "gpu";
    part.name = "part";
    part.parent = 0;
    spec.devices.push_back(part);
    spec.devices.push_back(part);
    const OracleMachine m = derive(spec);
    EXPECT_EQ(m.link[0][1], 40U);
    EXPECT_EQ(m.link[0][2], 0U);
    EXPECT_EQ(m.largest_link, 40U);
    EXPECT_EQ(m.level[4][5], 0);  // two parts of gpu0 follow gpu3
    EXPECT_EQ(m.link[4][1], 0U);
    EXPECT_EQ(m.link[4][5], 0U);
    EXPECT_EQ(m.devices[4].name, "gpu0/0");
    EXPECT_EQ(m.devices[4].localities, set({0}));
}

// ---------------------------------------------------------------- amounts

TEST(OracleAnswer, test_takes_the_first_core_of_an_idle_machine) {
    Request request;
    request.cores = 1;
    const OracleAnswer answer = ask(grid(), request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.pus, set({0, 1}));
    EXPECT_EQ(answer.localities, set({0}));
    const std::array<std::int64_t, Cost::term_count> terms{
        0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1};
    EXPECT_EQ(answer.cost.terms, terms);
}

TEST(OracleAnswer, test_core_is_not_whole_when_one_pu_is_taken_in_any_way) {
    MachineSpec spec = grid();
    Bitmap allowed = Bitmap::range(0, 16);
    allowed.reset(1);
    spec.allowed_pus = allowed;
    OracleState state;
    state.reserved_pus.set(2);
    state.cordoned_pus.set(5);
    state.holdings.push_back(hold_pus("7"));
    Request request;
    request.cores = 4;
    EXPECT_EQ(ask(spec, request, state).pus, 0xff00U);
    request.cores = 5;
    EXPECT_FALSE(ask(spec, request, state).feasible);
    request.cores = 0;
    request.pus = 12;
    EXPECT_TRUE(ask(spec, request, state).feasible);
    request.pus = 13;
    EXPECT_FALSE(ask(spec, request, state).feasible);
    request.pus = 10;
    request.whole_cores = true;
    EXPECT_FALSE(ask(spec, request, state).feasible);
}

TEST(OracleAnswer, test_takes_no_byte_of_a_numa_node_that_is_not_allowed) {
    MachineSpec spec = grid();
    const std::uint32_t first = spec.numa_nodes.front().os_index;
    Request request;
    request.cores = 1;
    request.memory = 1;
    ASSERT_EQ(ask(spec, request).memory.at(0).numa, 0U);
    spec.allowed_numa_nodes.emplace();
    for (const NumaNodeSpec& numa : spec.numa_nodes) {
        if (numa.os_index != first) {
            spec.allowed_numa_nodes->set(numa.os_index);
        }
    }
    const OracleAnswer answer = ask(spec, request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.memory.at(0).numa, 1U);
    request.memory = 0;
    EXPECT_EQ(ask(spec, request).pus, set({0, 1}));  // its PUs stay
    spec.allowed_numa_nodes.emplace();
    request.memory = 1;
    EXPECT_FALSE(ask(spec, request).feasible);
}

TEST(OracleAnswer, test_whole_cores_of_different_size_add_up) {
    MachineSpec spec;
    add_object(spec, ObjectKind::core, "0-1");
    add_object(spec, ObjectKind::core, "2");
    add_object(spec, ObjectKind::core, "3-4");
    add_pus(spec, {0, 1, 2, 3, 4});
    Request request;
    request.pus = 3;
    request.whole_cores = true;
    EXPECT_EQ(ask(spec, request).pus, set({0, 1, 2}));
    request.pus = 4;
    EXPECT_EQ(ask(spec, request).pus, set({0, 1, 3, 4}));
}

TEST(OracleAnswer, test_memory_follows_the_pus_then_the_index) {
    MachineSpec spec = grid();
    Request request;
    request.cores = 3;  // two in one locality, one in another
    request.memory = 9 * mebi;
    OracleState state;
    state.holdings.push_back(hold_pus("0-1"));
    const OracleAnswer answer = ask(spec, request, state);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.pus, set({2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(answer.memory,
              (std::vector<OracleGrant>{{0, 0, mebi}, {1, 0, 8 * mebi}}));
    request.cores = 0;
    EXPECT_EQ(ask(spec, request, state).memory,
              (std::vector<OracleGrant>{{0, 0, 8 * mebi}, {1, 0, mebi}}));
    request.memory = 33 * mebi;
    EXPECT_FALSE(ask(spec, request, state).feasible);
}

TEST(OracleAnswer, test_memory_of_another_kind_and_huge_pages) {
    MachineSpec spec = grid();
    NumaNodeSpec& hbm = add_numa(spec, 9, "", "8-11", 4 * mebi);
    hbm.kind = MemoryKind::hbm;
    hbm.hugepages[2 * mebi] = 4 * mebi;
    NumaNodeSpec& gpu = add_numa(spec, 8, "", "0-3", 64 * mebi);
    gpu.kind = MemoryKind::gpu;
    Request request;
    request.kind = MemoryKind::hbm;
    request.memory = mebi;
    request.hugepages[2 * mebi] = 2 * mebi;
    const OracleAnswer answer = ask(spec, request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.localities, set({2}));
    EXPECT_EQ(answer.memory,
              (std::vector<OracleGrant>{{5, 0, mebi}, {5, 2 * mebi, 2 * mebi}}));
    request.kind = MemoryKind::gpu;
    request.hugepages.clear();
    EXPECT_FALSE(ask(spec, request).feasible);
    request.kind = MemoryKind::dram;
    request.hugepages[2 * mebi] = 2 * mebi;
    EXPECT_FALSE(ask(spec, request).feasible);
}

TEST(OracleAnswer, test_conditions) {
    MachineSpec spec = grid();
    set_attribute(spec.devices[1], "rank", std::int64_t{3});
    set_attribute(spec.devices[2], "rank", std::string("3"));
    spec.devices[3].attributes["rank"] = {{std::int64_t{1}, std::int64_t{5}}, true};
    spec.devices[0].capacities["memory"] = 80;
    const auto chosen = [&](Condition condition) {
        Request request;
        request.devices = {want("gpu", 1)};
        request.devices[0].where = {std::move(condition)};
        Set found = 0;
        for (int i = 0; i < 4; ++i) {  // each GPU in turn is the only one left
            Request single = request;
            single.devices[0].eligible = {"gpu" + std::to_string(i)};
            found |= ask(spec, single).feasible ? set({i}) : 0;
        }
        return found;
    };
    EXPECT_EQ(chosen(where("rank", ConditionOp::equal, {std::int64_t{3}})), set({1}));
    EXPECT_EQ(chosen(where("rank", ConditionOp::equal, {std::int64_t{5}})), set({3}));
    EXPECT_EQ(chosen(where("rank", ConditionOp::not_equal, {std::int64_t{3}})),
              set({2, 3}));
    EXPECT_EQ(chosen(where("rank", ConditionOp::at_least, {std::int64_t{3}})),
              set({1, 3}));
    EXPECT_EQ(chosen(where("rank", ConditionOp::at_most, {std::int64_t{2}})), set({3}));
    EXPECT_EQ(
        chosen(where("rank", ConditionOp::one_of, {std::int64_t{3}, std::string("3")})),
        set({1, 2}));
    EXPECT_EQ(chosen(where("memory", ConditionOp::at_least, {std::int64_t{80}})),
              set({0}));
    EXPECT_EQ(chosen(where("none", ConditionOp::not_equal, {std::int64_t{3}})), 0U);
}

MachineSpec with_parts() {
    MachineSpec spec = grid();
    spec.devices[0].capacities["memory"] = 40;
    spec.devices[0].counters["slice"] = 3;
    for (int i = 0; i < 3; ++i) {
        DeviceSpec part;
        part.device_class = "gpu";
        part.name = "part" + std::to_string(i);
        part.parent = 0;
        part.partition = i == 2 ? "big" : "small";
        part.draws = {{"memory", i == 2 ? 20 : 10}, {"slice", i == 2 ? 2 : 1}};
        spec.devices.push_back(std::move(part));
    }
    return spec;  // gpu0/0, gpu0/1, gpu0/2 are 4, 5, 6; NICs 7 to 10
}

TEST(OracleAnswer, test_partitions_fit_together_into_the_counters) {
    const MachineSpec spec = with_parts();
    Request request;
    request.devices = {want("gpu", 2)};
    request.devices[0].partition = "small";
    EXPECT_EQ(ask(spec, request).devices, set({4, 5}));
    OracleState state;
    state.holdings.push_back(hold_device(10));  // gpu0/2: one slice is left
    EXPECT_FALSE(ask(spec, request, state).feasible);
    request.devices[0].count = 1;
    EXPECT_EQ(ask(spec, request, state).devices, set({4}));
    EXPECT_EQ(ask(spec, request, state).cost[Cost::opened_devices], 0);
    Request whole;
    whole.devices = {want("gpu", 4)};
    EXPECT_TRUE(ask(spec, whole).feasible);
    EXPECT_FALSE(ask(spec, whole, state).feasible);
    state.holdings[0] = hold_device(0);
    EXPECT_FALSE(ask(spec, request, state).feasible);
    state = {};
    state.cordoned_devices = {0};
    EXPECT_FALSE(ask(spec, request, state).feasible);
}

TEST(OracleAnswer, test_shares_leave_the_rest_and_exclude_the_whole) {
    const MachineSpec spec = with_parts();
    Request request;
    request.devices = {want("gpu", 1)};
    request.devices[0].share = {{"memory", 15}};
    OracleState state;
    state.holdings.push_back(hold_device(0, {{"memory", 20}}));
    EXPECT_EQ(ask(spec, request, state).devices, set({0}));
    request.devices[0].share = {{"memory", 21}};
    EXPECT_FALSE(ask(spec, request, state).feasible);
    Request whole;
    whole.devices = {want("gpu", 4)};
    EXPECT_FALSE(ask(spec, whole, state).feasible);
}

TEST(OracleAnswer, test_exclude_reaches_the_parts_of_a_root) {
    const MachineSpec spec = with_parts();
    Request request;
    request.devices = {want("gpu", 1)};
    request.devices[0].partition = "small";
    request.exclude = {"gpu0"};
    EXPECT_FALSE(ask(spec, request).feasible);
    request.exclude = {"gpu0/0"};
    EXPECT_EQ(ask(spec, request).devices, set({5}));
}

TEST(OracleAnswer, test_keep_contains_the_old_set_or_is_part_of_it) {
    Request request;
    request.cores = 2;
    request.keep = {"pus"};
    const Holding before = hold_pus("6-7");
    EXPECT_EQ(ask(grid(), request, {}, false, &before).pus, set({4, 5, 6, 7}));
    const Holding large = hold_pus("2-3,6-7,14-15");
    EXPECT_EQ(ask(grid(), request, {}, false, &large).pus, set({2, 3, 6, 7}));
    Request devices;
    devices.devices = {want("gpu", 1)};
    devices.keep = {"gpu"};
    const Holding gpu = hold_device(2);
    EXPECT_EQ(ask(grid(), devices, {}, false, &gpu).devices, set({2}));
    OracleState state;
    state.cordoned_devices = {2};
    EXPECT_FALSE(ask(grid(), devices, state, false, &gpu).feasible);
}

// ---------------------------------------------------------------- constraints

TEST(OracleConstraint, test_align_at_each_level) {
    Request request;
    request.pus = 2;
    request.devices = {want("nic", 1)};
    request.devices[0].eligible = {"nic3"};
    request.require = {Align{AlignLevel::numa, {}}};
    EXPECT_EQ(ask(grid(), request).pus, set({12, 13}));
    OracleState state;
    state.holdings.push_back(hold_pus("12-14"));
    EXPECT_FALSE(ask(grid(), request, state).feasible);
    request.require = {Align{AlignLevel::package, {}}};
    // PU 15 is beside the NIC (term 6), which counts for more than a split core (term
    // 8).
    EXPECT_EQ(ask(grid(), request, state).pus, set({8, 15}));
    request.require = {Align{AlignLevel::l3, {"pus"}}};
    request.pus = 5;
    EXPECT_FALSE(ask(grid(), request).feasible);
    request.require = {Align{AlignLevel::numa, {"memory"}}};
    request.memory = 9 * mebi;
    EXPECT_FALSE(ask(grid(), request).feasible);
    request.memory = 8 * mebi;
    EXPECT_TRUE(ask(grid(), request).feasible);
}

TEST(OracleConstraint, test_align_fails_for_an_unknown_locality) {
    MachineSpec spec = grid();
    spec.devices[0].numa_nodes = {};
    Request request;
    request.devices = {want("gpu", 1)};
    request.devices[0].eligible = {"gpu0"};
    const OracleAnswer free = ask(spec, request);
    ASSERT_TRUE(free.feasible);
    EXPECT_EQ(free.localities, 0U);
    request.require = {Align{AlignLevel::package, {}}};
    EXPECT_FALSE(ask(spec, request).feasible);
    request.require = {Align{AlignLevel::package, {"pus"}}};
    EXPECT_TRUE(ask(spec, request).feasible);
}

TEST(OracleConstraint, test_pair_is_an_exact_matching_in_its_ratio) {
    Request request;
    request.devices = {want("gpu", 2), want("nic", 2)};
    request.require = {Pair{"gpu", "nic", Level::switch_, 1, 1}};
    OracleState state;
    state.cordoned_devices = {0, 5};  // gpu0 and nic1
    const OracleAnswer answer = ask(grid(), request, state);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.devices, set({2, 3, 6, 7}));
    EXPECT_EQ(answer.pairs.at(0), (Pairing{{2, 6}, {3, 7}}));
    EXPECT_EQ(answer.cost[Cost::pair_levels], 2);
    state.cordoned_devices = {0, 1, 5};
    EXPECT_TRUE(ask(grid(), request, state).feasible);
    state.cordoned_devices = {0, 3, 5};  // gpu1, gpu2; nic0, nic2, nic3
    EXPECT_FALSE(ask(grid(), request, state).feasible);
}

TEST(OracleConstraint, test_pair_of_two_to_one) {
    MachineSpec spec = grid();
    spec.devices[1].bridge = spec.devices[0].bridge;
    spec.devices[1].numa_nodes = {0};
    Request request;
    request.devices = {want("gpu", 2), want("nic", 1)};
    request.require = {Pair{"gpu", "nic", Level::switch_, 2, 1}};
    OracleAnswer answer = ask(spec, request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.devices, set({0, 1, 4}));
    EXPECT_EQ(answer.pairs.at(0), (Pairing{{0, 4}, {1, 4}}));
    request.require = {Pair{"nic", "gpu", Level::switch_, 1, 2}};
    answer = ask(spec, request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.pairs.at(0), (Pairing{{4, 0}, {4, 1}}));
    request.require = {Pair{"gpu", "nic", Level::machine, 1, 1}};
    EXPECT_FALSE(ask(spec, request).feasible);
}

TEST(OracleConstraint, test_link_clique_and_connected) {
    MachineSpec spec = grid();
    spec.links = {{0, 1, 10}, {1, 0, 10}, {1, 3, 30}, {3, 1, 30}};
    Request request;
    request.devices = {want("gpu", 3)};
    request.require = {Link{"gpu", LinkMode::clique, 1}};
    EXPECT_FALSE(ask(spec, request).feasible);
    request.require = {Link{"gpu", LinkMode::connected, 1}};
    EXPECT_EQ(ask(spec, request).devices, set({0, 1, 3}));
    request.devices = {want("gpu", 2)};
    request.require = {Link{"gpu", LinkMode::clique, 11}};
    EXPECT_EQ(ask(spec, request).devices, set({1, 3}));
}

TEST(OracleConstraint, test_same_and_distinct) {
    MachineSpec spec = grid();
    spec.devices[0].attributes["zone"] = {{std::string("u"), std::string("v")}, true};
    set_attribute(spec.devices[1], "zone", std::string("w"));
    set_attribute(spec.devices[2], "zone", std::string("v"));
    Request request;
    request.devices = {want("gpu", 2)};
    request.require = {Same{"zone", {"gpu"}}};
    EXPECT_EQ(ask(spec, request).devices, set({0, 2}));
    request.require = {Distinct{"zone", {"gpu"}}};
    EXPECT_EQ(ask(spec, request).devices, set({0, 1}));
    request.devices = {want("gpu", 3)};
    EXPECT_FALSE(
        ask(spec, request).feasible);  // gpu3 has no zone; gpu0 and gpu2 share one
    request.devices = {want("gpu", 1)};
    request.devices[0].eligible = {"gpu3"};
    EXPECT_FALSE(ask(spec, request).feasible);
}

TEST(OracleConstraint, test_near_binds_devices_pus_and_bytes) {
    Request request;
    request.pus = 1;
    request.memory = mebi;
    request.devices = {want("nic", 1)};
    request.require = {Near{{"gpu2"}, Level::switch_}};
    const OracleAnswer answer = ask(grid(), request);
    ASSERT_TRUE(answer.feasible);
    EXPECT_EQ(answer.devices, set({6}));
    EXPECT_EQ(answer.pus, set({8}));
    EXPECT_EQ(answer.memory, (std::vector<OracleGrant>{{2, 0, mebi}}));
    request.devices = {want("gpu", 1)};
    request.require = {Near{{"gpu2"}, Level::package}};
    EXPECT_EQ(ask(grid(), request).devices,
              set({3}));  // the same Package, but not itself
    request.require = {Near{{"gpu2"}, Level::numa}};
    EXPECT_FALSE(ask(grid(), request).feasible);
}

// ---------------------------------------------------------------- terms, first to last

TEST(OracleTerm, test_1_unmet_number_then_vector) {
    Request request;
    request.devices = {want("gpu", 1)};
    const auto near = [](const char* device) { return Near{{device}, Level::switch_}; };
    request.prefer = {near("nic3"), near("nic2"), near("nic2")};
    OracleAnswer answer = ask(grid(), request);
    EXPECT_EQ(answer.devices, set({2}));  // two of three
    EXPECT_EQ(answer.cost[Cost::unmet_count], 1);
    EXPECT_EQ(answer.cost[Cost::unmet_vector], 4);
    request.prefer = {near("nic3"), near("nic2")};
    answer = ask(grid(), request);
    EXPECT_EQ(answer.devices, set({3}));  // the first entry weighs more
    EXPECT_EQ(answer.cost[Cost::unmet_vector], 1);
}

TEST(OracleTerm, test_2_and_3_packages_then_localities_then_distance) {
    Request request;
    request.cores = 3;
    OracleState state;
    state.holdings.push_back(hold_pus("0-1,4-5"));  // Package 0 has two cores left
    OracleAnswer answer = ask(grid(), request, state);
    EXPECT_EQ(answer.localities, set({2, 3}));
    EXPECT_EQ(answer.cost[Cost::packages], 1);
    EXPECT_EQ(answer.cost[Cost::localities], 2);
    EXPECT_EQ(answer.cost[Cost::distance], 12);
    MachineSpec flat = grid();
    flat.objects.erase(flat.objects.begin(), flat.objects.begin() + 2);
    flat.distances->values = {
        10, 30, 30, 11, 30, 10, 30, 30, 30, 30, 10, 30, 11, 30, 30, 10};
    answer = ask(flat, request);
    EXPECT_EQ(answer.localities, set({0, 3}));
    EXPECT_EQ(answer.cost[Cost::distance], 11);
}

TEST(OracleTerm, test_4_pair_levels_count_preferred_pairs_that_do_not_hold) {
    MachineSpec spec = grid();
    Request request;
    request.devices = {want("gpu", 1), want("nic", 1)};
    request.prefer = {Pair{"gpu", "nic", Level::self, 1, 1}};
    const OracleAnswer answer = ask(spec, request);
    EXPECT_EQ(answer.cost[Cost::unmet_count], 1);
    EXPECT_EQ(answer.cost[Cost::pair_levels], 1);
    EXPECT_TRUE(answer.pairs.empty());
    spec.devices[4].bridge = no_index;  // nic0 leaves the switch of gpu0
    EXPECT_EQ(ask(spec, request).devices, set({1, 5}));
}

TEST(OracleTerm, test_4_matching_of_least_sum_and_of_least_list) {
    MachineSpec spec = grid();
    for (DeviceSpec& device : spec.devices) {
        device.bridge = no_index;
        device.numa_nodes = {0};
    }
    spec.level_overrides = {{0, 4, 1}, {0, 5, 2}, {1, 4, 2}, {1, 5, 6}};
    Request request;
    request.devices = {want("gpu", 2), want("nic", 2)};
    request.devices[0].eligible = {"gpu0", "gpu1"};
    request.devices[1].eligible = {"nic0", "nic1"};
    request.prefer = {Pair{"gpu", "nic", Level::machine, 1, 1}};
    OracleAnswer answer = ask(spec, request);
    EXPECT_EQ(answer.cost[Cost::pair_levels], 4);  // 2 + 2, not 1 + 6
    EXPECT_EQ(answer.pairs.at(0), (Pairing{{0, 5}, {1, 4}}));
    spec.level_overrides = {{0, 4, 1}, {0, 5, 1}, {1, 4, 1}, {1, 5, 1}};
    EXPECT_EQ(ask(spec, request).pairs.at(0), (Pairing{{0, 4}, {1, 5}}));
}

TEST(OracleTerm, test_5_missing_link) {
    MachineSpec spec = grid();
    for (DeviceSpec& device : spec.devices) {
        device.numa_nodes = {0};
    }
    spec.links = {{0, 1, 10}, {1, 0, 10}, {2, 3, 30}, {3, 2, 30}};
    Request request;
    request.devices = {want("gpu", 2), want("nic", 2)};
    const OracleAnswer answer = ask(spec, request);
    EXPECT_EQ(answer.devices,
              set({2, 3, 6, 7}));  // NICs have no links; they share switches
    EXPECT_EQ(answer.cost[Cost::missing_link], 0);
    request.devices = {want("gpu", 3)};
    EXPECT_EQ(ask(spec, request).cost[Cost::missing_link], 60);
}

TEST(OracleTerm, test_6_remote_devices) {
    MachineSpec spec = grid();
    Request request;
    request.pus = 1;
    request.devices = {want("gpu", 2)};
    request.devices[0].eligible = {"gpu0", "gpu1"};
    const OracleAnswer answer = ask(spec, request);
    EXPECT_EQ(answer.cost[Cost::remote_devices], 1);
    request.pus = 0;
    EXPECT_EQ(ask(spec, request).cost[Cost::remote_devices], 0);
    request.pus = 2;
    EXPECT_EQ(ask(spec, request).pus, set({0, 4}));
}

TEST(OracleTerm, test_7_and_8_l3s_then_split_cores) {
    MachineSpec spec = grid();
    spec.numa_nodes.clear();
    spec.distances.reset();
    OracleState state;
    state.holdings.push_back(hold_pus("0,2,4-5,7,9-10,12-15"));
    Request request;
    request.pus = 2;  // 1 and 3 share an L3; 6, 8, 11 are alone in theirs or their core
    OracleAnswer answer = ask(spec, request, state);
    EXPECT_EQ(answer.pus, set({1, 3}));
    EXPECT_EQ(answer.cost[Cost::l3s], 1);
    EXPECT_EQ(answer.cost[Cost::split_cores], 2);
    state.holdings[0] = hold_pus("0,2,7");
    answer = ask(spec, request, state);
    EXPECT_EQ(answer.pus, set({4, 5}));  // as open as the rest, and splits no core
    EXPECT_EQ(answer.cost[Cost::split_cores], 0);
}

TEST(OracleTerm, test_9_opens_what_is_open_or_spreads) {
    OracleState state;
    state.holdings.push_back(hold_pus("8"));
    Request request;
    request.cores = 1;
    OracleAnswer answer = ask(grid(), request, state);
    EXPECT_EQ(answer.pus, set({10, 11}));
    EXPECT_EQ(answer.cost[Cost::opened_packages], 0);
    EXPECT_EQ(answer.cost[Cost::opened_l3s], 0);
    answer = ask(grid(), request, state, true);
    EXPECT_EQ(answer.pus, set({0, 1}));
    EXPECT_EQ(answer.cost[Cost::opened_packages], -1);
    EXPECT_EQ(answer.cost[Cost::opened_localities], -1);
    EXPECT_EQ(answer.cost[Cost::opened_l3s], -1);
    state = {};
    state.reserved_pus.set(8);  // reserved is no owner
    EXPECT_EQ(ask(grid(), request, state).pus, set({0, 1}));
}

TEST(OracleTerm, test_9_a_byte_and_a_device_open_domains_too) {
    MachineSpec spec = grid();
    OracleState state;
    Holding bytes;
    bytes.owner = "other";
    bytes.bytes[{3, 0}] = mebi;
    state.holdings = {bytes, hold_device(1)};
    Request request;
    request.pus = 1;
    // Both Packages have something; localities 1 and 3 are open, no L3 is.
    EXPECT_EQ(ask(spec, request, state).pus, set({4}));
    request.pus = 0;
    request.devices = {want("nic", 1)};
    const OracleAnswer answer = ask(spec, request, state);
    EXPECT_EQ(answer.devices, set({5}));  // its switch is open: gpu1 sits there
    EXPECT_EQ(answer.cost[Cost::opened_switches], 0);
    EXPECT_EQ(answer.cost[Cost::opened_devices], 1);
}

TEST(OracleTerm, test_10_devices_then_pus_then_localities) {
    MachineSpec spec = grid();
    for (DeviceSpec& device : spec.devices) {
        device.numa_nodes = {};
    }
    Request request;
    request.pus = 1;
    request.devices = {want("gpu", 2)};
    OracleState state;
    state.holdings.push_back(hold_pus("0"));
    state.cordoned_pus.set(1);
    const OracleAnswer answer = ask(spec, request, state);
    EXPECT_EQ(answer.devices, set({0, 1}));
    EXPECT_EQ(answer.pus, set({2}));
    EXPECT_TRUE(is_less(set({0, 9}), set({1, 2})));
    EXPECT_TRUE(is_less(set({0, 1}), set({0})));
    EXPECT_FALSE(is_less(set({3}), set({3})));
}

// ---------------------------------------------------------------- properties

constexpr std::uint64_t property_instances = 1500;

OracleAnswer ask(const Instance& i, const BruteForceOptions& options = {}) {
    return brute_force(i.spec,
                       i.state,
                       i.request,
                       i.spread,
                       i.keep_from ? &*i.keep_from : nullptr,
                       options);
}

void expect_equal(const OracleAnswer& a, const OracleAnswer& b, std::uint64_t seed) {
    EXPECT_EQ(a.feasible, b.feasible) << "seed " << seed;
    EXPECT_EQ(a.cost.terms, b.cost.terms) << "seed " << seed;
    EXPECT_EQ(a.devices, b.devices) << "seed " << seed;
    EXPECT_EQ(a.pus, b.pus) << "seed " << seed;
    EXPECT_EQ(a.localities, b.localities) << "seed " << seed;
    EXPECT_EQ(a.memory, b.memory) << "seed " << seed;
    EXPECT_EQ(a.pairs, b.pairs) << "seed " << seed;
}

TEST(OracleProperty, test_grouping_changes_nothing) {
    for (std::uint64_t seed = 0; seed < property_instances; ++seed) {
        const Instance instance = make_instance(seed);
        expect_equal(ask(instance), ask(instance, {false}), seed);
    }
}

TEST(OracleProperty, test_a_seed_names_one_instance) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        EXPECT_EQ(dump(make_instance(seed)), dump(make_instance(seed)));
    }
    EXPECT_NE(dump(make_instance(1)), dump(make_instance(2)));
}

TEST(OracleProperty, test_answer_is_a_placement_of_its_cost) {
    for (std::uint64_t seed = 0; seed < property_instances; ++seed) {
        const Instance i = make_instance(seed);
        const OracleAnswer answer = ask(i);
        if (answer.feasible) {
            const Judge judge(i.spec,
                              i.state,
                              i.request,
                              i.spread,
                              i.keep_from ? &*i.keep_from : nullptr);
            const auto cost =
                judge.judge(answer.devices, answer.pus, answer.localities);
            ASSERT_TRUE(cost.has_value()) << "seed " << seed;
            EXPECT_EQ(cost->terms, answer.cost.terms) << "seed " << seed;
        }
    }
}

// PUs get other OS indices, the source's order as before: no logical index changes.
Instance with_other_os_indices(Instance i) {
    const auto move = [](Bitmap& set) {
        Bitmap moved;
        set.for_each([&](std::size_t os_index) { moved.set(40 - os_index); });
        set = std::move(moved);
    };
    for (ObjectSpec& object : i.spec.objects) {
        move(object.cpuset);
        if (object.kind == ObjectKind::pu) {
            object.os_index = 40 - object.os_index;
        }
    }
    for (NumaNodeSpec& numa : i.spec.numa_nodes) {
        move(numa.cpuset);
        move(numa.parent_cpuset);
    }
    if (i.spec.allowed_pus) {
        move(*i.spec.allowed_pus);
    }
    move(i.state.reserved_pus);
    move(i.state.cordoned_pus);
    for (Holding& holding : i.state.holdings) {
        move(holding.pus);
    }
    if (i.keep_from) {
        move(i.keep_from->pus);
    }
    return i;
}

// Devices stand in the spec in the opposite order: class, address and name decide
// alone.
Instance with_devices_reversed(Instance i) {
    const auto last = static_cast<std::uint32_t>(i.spec.devices.size()) - 1;
    const auto move = [last](std::uint32_t& index) {
        index = index == no_index ? no_index : last - index;
    };
    std::reverse(i.spec.devices.begin(), i.spec.devices.end());
    for (DeviceSpec& device : i.spec.devices) {
        move(device.parent);
    }
    for (LinkSpec& link : i.spec.links) {
        move(link.from);
        move(link.to);
    }
    for (LevelOverrideSpec& change : i.spec.level_overrides) {
        move(change.a);
        move(change.b);
    }
    for (std::uint32_t& device : i.state.cordoned_devices) {
        move(device);
    }
    for (Holding& holding : i.state.holdings) {
        for (HeldDevice& held : holding.devices) {
            move(held.spec_index);
        }
    }
    if (i.keep_from) {
        for (HeldDevice& held : i.keep_from->devices) {
            move(held.spec_index);
        }
    }
    return i;
}

TEST(OracleProperty, test_relabelling_changes_nothing) {
    for (std::uint64_t seed = 0; seed < property_instances; ++seed) {
        const Instance instance = make_instance(seed);
        const OracleAnswer answer = ask(instance);
        expect_equal(answer, ask(with_other_os_indices(instance)), seed);
        if (!instance.spec.devices.empty()) {
            expect_equal(answer, ask(with_devices_reversed(instance)), seed);
        }
    }
}

TEST(OracleProperty, test_fewer_requirements_never_cost_more) {
    for (std::uint64_t seed = 0; seed < property_instances; ++seed) {
        const Instance instance = make_instance(seed);
        const OracleAnswer answer = ask(instance);
        for (std::size_t r = 0; answer.feasible && r < instance.request.require.size();
             ++r) {
            // Term 4 speaks of each Pair: without one it is another sum.
            if (std::holds_alternative<Pair>(instance.request.require[r])) {
                continue;
            }
            Instance fewer = instance;
            fewer.request.require.erase(fewer.request.require.begin() +
                                        static_cast<std::ptrdiff_t>(r));
            const OracleAnswer other = ask(fewer);
            ASSERT_TRUE(other.feasible) << "seed " << seed;
            EXPECT_LE(other.cost.terms, answer.cost.terms) << "seed " << seed;
        }
    }
}

TEST(OracleProperty, test_shrinking_keeps_what_differs) {
    const auto asks_for_gpus = [](const Instance& i) {
        return std::any_of(
            i.request.devices.begin(),
            i.request.devices.end(),
            [](const DeviceRequest& w) { return w.device_class == "gpu"; });
    };
    int shrunk = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Instance instance = make_instance(seed);
        if (!asks_for_gpus(instance)) {
            continue;
        }
        const Instance small = shrink(instance, asks_for_gpus);
        EXPECT_TRUE(asks_for_gpus(small));
        EXPECT_TRUE(small.request.require.empty());
        EXPECT_TRUE(small.spec.devices.empty());
        EXPECT_EQ(small.spec.objects.size(), 1U);
        ++shrunk;
    }
    EXPECT_GT(shrunk, 5);
}

TEST(OracleProperty, test_instances_are_of_both_answers) {
    int feasible = 0;
    for (std::uint64_t seed = 0; seed < property_instances; ++seed) {
        feasible += ask(make_instance(seed)).feasible ? 1 : 0;
    }
    EXPECT_GT(feasible, static_cast<int>(property_instances) / 3);
    EXPECT_LT(feasible, static_cast<int>(property_instances) * 2 / 3);
}

}  // namespace
}  // namespace topoalloc::oracle
