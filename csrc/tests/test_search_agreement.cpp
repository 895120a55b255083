// SPDX-License-Identifier: Apache-2.0
//
// The searches against each other, on machines too large for brute force: the tree
// search with its table of sets T, without that table, and the general search answer
// alike.
#include "node/compiled_request.hpp"
#include "node/tree_plan.hpp"
#include "topoalloc/solver.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace topoalloc {
namespace {

// `switches` PCIe switches, each with a GPU and a NIC, spread over the NUMANodes.
std::shared_ptr<const Machine> machine_with_devices(const std::string& tree,
                                                    std::uint32_t switches) {
    MachineSpec spec = read_synthetic(tree);
    const auto nodes = static_cast<std::uint32_t>(spec.numa_nodes.size());
    for (std::uint32_t s = 0; s < switches; ++s) {
        const auto bus = static_cast<std::uint8_t>(16 * s);
        const auto host = static_cast<std::uint32_t>(spec.bridges.size());
        spec.bridges.push_back(
            {true, no_index, std::nullopt, "host" + std::to_string(s)});
        spec.bridges.push_back({false, host, PciAddress{0, bus, 1, 0}, ""});
        std::uint8_t slot = 0;
        for (const char* device_class : {"gpu", "nic"}) {
            DeviceSpec device;
            device.device_class = device_class;
            device.name = device_class + std::to_string(s);
            device.bridge = host + 1;
            device.pci_address =
                PciAddress{0, static_cast<std::uint8_t>(bus + 1), slot++, 0};
            device.numa_nodes = {spec.numa_nodes[s * nodes / switches].os_index};
            spec.devices.push_back(device);
        }
    }
    return Machine::build(std::move(spec));
}

NodeState random_state(const std::shared_ptr<const Machine>& machine,
                       std::mt19937_64& random) {
    NodeState state(machine);
    const std::uint64_t share = random() % 80;
    for (const Domain& core : machine->cores()) {
        if (random() % 100 < share) {
            Placement placement;
            placement.pus = core.pus;
            state.take(placement);
        }
    }
    for (std::uint32_t device = 0; device < machine->devices().size(); ++device) {
        if (random() % 100 < share / 2) {
            Placement placement;
            placement.devices.push_back({device, {}});
            state.take(placement);
        }
    }
    return state;
}

Request random_request(std::mt19937_64& random, bool with_devices) {
    Request request;
    request.cores = 1 + static_cast<std::uint32_t>(random() % 14);
    if (with_devices && random() % 4 != 0) {
        const auto count = 1 + static_cast<std::uint32_t>(random() % 3);
        request.devices = {{"gpu", count, {}, {}, "", {}},
                           {"nic", count, {}, {}, "", {}}};
        if (random() % 2 == 0) {
            request.require.emplace_back(Pair{"gpu", "nic", Level::switch_, 1, 1});
        } else if (random() % 2 == 0) {
            request.prefer.emplace_back(Pair{"gpu", "nic", Level::switch_, 1, 1});
        }
    }
    if (random() % 3 == 0) {
        request.require.emplace_back(
            Align{random() % 2 == 0 ? AlignLevel::numa : AlignLevel::package, {}});
    }
    return request;
}

// The same Request, answered without the table of sets, or by the general search alone.
CompiledRequest without_table(const CompiledRequest& compiled) {
    CompiledRequest copy = compiled;
    auto plan = std::make_shared<TreePlan>(*compiled.tree->get(compiled));
    plan->devices_of_set.clear();
    copy.tree = std::make_shared<LazyTreePlan>(plan);
    return copy;
}

CompiledRequest without_tree(const CompiledRequest& compiled) {
    CompiledRequest copy = compiled;
    copy.tree = std::make_shared<LazyTreePlan>(nullptr);
    return copy;
}

void expect_equal(const Answer& one, const Answer& other, const std::string& where) {
    ASSERT_EQ(one.status, other.status) << where;
    if (one.status == Status::optimal) {
        EXPECT_EQ(one.placement.cost.terms, other.placement.cost.terms) << where;
        EXPECT_EQ(one.placement, other.placement) << where;
    }
}

class SearchAgreement : public testing::TestWithParam<const char*> {};

TEST_P(SearchAgreement, HoldsOnRandomStates) {
    const auto machine = machine_with_devices(GetParam(), 4);
    std::mt19937_64 random(11);
    int placed = 0;
    for (int round = 0; round < 3000; ++round) {
        const NodeState state = random_state(machine, random);
        const auto compiled = compile(machine, random_request(random, true));
        ASSERT_NE(compiled->tree->get(*compiled), nullptr);
        SolveOptions options;
        options.policy.packing = round % 3 == 0 ? Packing::spread : Packing::pack;
        const Answer answer = solve(state, *compiled, options);
        const std::string where = "round " + std::to_string(round);
        placed += answer.status == Status::optimal ? 1 : 0;
        expect_equal(answer, solve(state, without_table(*compiled), options), where);
        expect_equal(answer, solve(state, without_tree(*compiled), options), where);
    }
    EXPECT_GT(placed, 1000) << "too few Placements to compare";
}

INSTANTIATE_TEST_SUITE_P(Machines,
                         SearchAgreement,
                         testing::Values("pack:2 numa:1 l3:2 core:4 pu:2",
                                         "pack:2 numa:2 l3:1 core:4 pu:2",
                                         "pack:2 l3:1 numa:2 core:3 pu:1",
                                         "pack:1 numa:4 l3:2 core:2 pu:2"));

TEST(SearchAgreement, HoldsWhereEachLocalityIsAnL3) {
    const auto machine = machine_with_devices("pack:2 numa:5 l3:1 core:3 pu:1", 2);
    std::mt19937_64 random(12);
    for (int round = 0; round < 3000; ++round) {
        const NodeState state = random_state(machine, random);
        const auto compiled = compile(machine, random_request(random, round % 2 == 0));
        ASSERT_NE(compiled->tree->get(*compiled), nullptr);
        ASSERT_TRUE(compiled->tree->get(*compiled)->devices_of_set.empty())
            << "ten localities are not tabled";
        SolveOptions options;
        options.policy.packing = round % 3 == 0 ? Packing::spread : Packing::pack;
        const Answer answer = solve(state, *compiled, options);
        expect_equal(answer,
                     solve(state, without_tree(*compiled), options),
                     "round " + std::to_string(round));
    }
}

}  // namespace
}  // namespace topoalloc
