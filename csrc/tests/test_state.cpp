// SPDX-License-Identifier: Apache-2.0
#include "small_machine.hpp"

#include "topoalloc/errors.hpp"
#include "topoalloc/state.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace topoalloc::testing {
namespace {

Placement cores(std::size_t first, std::size_t count) {
    Placement out;
    out.pus = Bitmap::range(first * 2, count * 2);
    return out;
}

Placement device(const Machine& machine, std::string_view name, Amounts share = {}) {
    Placement out;
    out.devices = {{machine.find_device(name), std::move(share)}};
    return out;
}

TEST(NodeState, StartsWithEverythingFree) {
    const auto machine = small_machine();
    const NodeState state(machine);
    EXPECT_EQ(state.free_pus().count(), 16U);
    EXPECT_EQ(state.whole_cores().count(), 8U);
    EXPECT_EQ(state.free_bytes(0, 0), 64 * gi);
    EXPECT_EQ(state.free_bytes(1, 1), gi);
    for (std::uint32_t d = 0; d < machine->devices().size(); ++d) {
        EXPECT_TRUE(state.is_available(d)) << machine->devices()[d].name;
    }
    state.check_consistency();
}

TEST(NodeState, CountsADisallowedPuAsNotFree) {
    const auto machine = small_machine(
        [](MachineSpec& spec) { spec.allowed_pus = Bitmap::range(1, 15); });
    const NodeState state(machine);
    EXPECT_EQ(state.free_pus().to_list(), "1-15");
    EXPECT_EQ(state.whole_cores().to_list(), "1-7");
}

TEST(NodeState, HasNothingFreeOnADisallowedNumaNode) {
    const auto machine = small_machine(
        [](MachineSpec& spec) { spec.allowed_numa_nodes = Bitmap::range(0, 1); });
    NodeState state(machine);
    EXPECT_EQ(state.free_bytes(0, 0), 64 * gi);
    EXPECT_EQ(state.free_bytes(1, 0), 0U);
    EXPECT_EQ(state.free_bytes(1, 1), 0U);
    EXPECT_EQ(state.free_pus().count(), 16U);  // its PUs stay
    Placement bytes;
    for (const std::uint64_t amount : {std::uint64_t{0}, std::uint64_t{1}}) {
        bytes.memory = {{1, 0, amount}};
        EXPECT_FALSE(state.can_take(bytes, true));
    }
    bytes.memory = {{0, 0, gi}, {0, 1, 2 * mi}};
    EXPECT_TRUE(state.can_take(bytes, false));
    state.take(bytes);
    state.check_consistency();
    state.release(bytes);
    EXPECT_TRUE(state == NodeState(machine));
}

TEST(NodeState, TakesCoresApartWithOnePu) {
    NodeState state(small_machine());
    Placement one;
    one.pus.set(5);
    state.take(one);
    EXPECT_FALSE(state.whole_cores().test(2));
    EXPECT_TRUE(state.free_pus().test(4));
    EXPECT_EQ(state.package_holds()[0], 1U);
    EXPECT_EQ(state.l3_holds()[1], 1U);
    EXPECT_EQ(state.l3_holds()[0], 0U);
    state.check_consistency();
    state.release(one);
    EXPECT_TRUE(state == NodeState(state.machine_ptr()));
}

TEST(NodeState, CountsOneHolderADomain) {
    const auto machine = small_machine();
    NodeState state(machine);
    Placement all = cores(0, 4);
    all.memory = {{0, 0, gi}, {0, 1, 2 * mi}};
    all.devices = {whole(*machine, "gpu0"), whole(*machine, "nic0")};
    state.take(all);
    EXPECT_EQ(state.package_holds()[0], 1U);
    EXPECT_EQ(state.locality_holds()[0], 1U);
    EXPECT_EQ(state.locality_holds()[1], 0U);
    EXPECT_EQ(state.switch_holds()[machine->devices()[machine->find_device("gpu0")]
                                       .switch_index],
              1U);
    EXPECT_EQ(state.device_holds()[machine->find_device("gpu0")], 1U);
    state.check_consistency();
}

TEST(NodeState, KeepsReservedPusOut) {
    NodeState state(small_machine());
    state.reserve_pus(Bitmap::range(0, 3));
    EXPECT_EQ(state.free_pus().to_list(), "3-15");
    EXPECT_EQ(state.whole_cores().to_list(), "2-7");
    EXPECT_FALSE(state.can_take(cores(0, 1), true));
    EXPECT_TRUE(state.can_take(cores(2, 1), true));
    EXPECT_EQ(state.package_holds()[0], 0U);
    state.check_consistency();
}

TEST(NodeState, CordonsAnOwnedPuUntilItIsUncordoned) {
    NodeState state(small_machine());
    state.take(cores(0, 1));
    state.cordon_pu(0, true);
    state.release(cores(0, 1));
    EXPECT_FALSE(state.free_pus().test(0));
    EXPECT_TRUE(state.free_pus().test(1));
    EXPECT_FALSE(state.whole_cores().test(0));
    EXPECT_FALSE(state.can_take(cores(0, 1), false));
    EXPECT_TRUE(state.can_take(cores(0, 1), true));
    state.cordon_pu(0, false);
    EXPECT_TRUE(state.whole_cores().test(0));
    state.check_consistency();
}

TEST(NodeState, CordonOfARootHoldsForItsParts) {
    const auto machine = small_machine();
    NodeState state(machine);
    state.cordon_device(machine->find_device("gpu3"), true);
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3")));
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3/0")));
    EXPECT_TRUE(state.is_available(machine->find_device("gpu2")));
    EXPECT_FALSE(state.can_take(device(*machine, "gpu3/0"), false));
    EXPECT_TRUE(state.can_take(device(*machine, "gpu3/0"), true));
}

TEST(NodeState, ExcludesPartsByTheWholeAndTheWholeByParts) {
    const auto machine = small_machine();
    NodeState state(machine);
    state.take(device(*machine, "gpu3"));
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3/0")));
    EXPECT_FALSE(state.can_take(device(*machine, "gpu3", {{"memory", 1}}), false));
    state.check_consistency();
    state.release(device(*machine, "gpu3"));

    state.take(device(*machine, "gpu3/0"));
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3")));
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3/0")));
    EXPECT_TRUE(state.is_available(machine->find_device("gpu3/1")));
    state.check_consistency();
    state.release(device(*machine, "gpu3/0"));
    EXPECT_TRUE(state == NodeState(machine));
}

TEST(NodeState, DrawsSharesAndPartsOnTheSameCounters) {
    const auto machine = small_machine();
    const std::uint32_t gpu3 = machine->find_device("gpu3");
    NodeState state(machine);
    state.take(device(*machine, "gpu3", {{"memory", 50 * gi}}));
    EXPECT_FALSE(state.is_available(machine->find_device("gpu3/0")));
    EXPECT_FALSE(state.is_available(gpu3));
    EXPECT_TRUE(state.can_take(device(*machine, "gpu3", {{"memory", 30 * gi}}), false));
    EXPECT_FALSE(
        state.can_take(device(*machine, "gpu3", {{"memory", 31 * gi}}), false));
    EXPECT_FALSE(state.can_take(device(*machine, "gpu3", {{"power", 1}}), false));
    state.check_consistency();
}

TEST(NodeState, RefusesWhatAPlacementNamesTwice) {
    const auto machine = small_machine();
    const NodeState state(machine);
    Placement twice;
    twice.devices = {whole(*machine, "gpu0"), whole(*machine, "gpu0")};
    EXPECT_FALSE(state.can_take(twice, false));
    twice.devices = {whole(*machine, "gpu3"), whole(*machine, "gpu3/0")};
    EXPECT_FALSE(state.can_take(twice, false));
    std::ranges::reverse(twice.devices);
    EXPECT_FALSE(state.can_take(twice, false));
    Placement memory;
    memory.memory = {{0, 0, 40 * gi}, {0, 0, 40 * gi}};
    EXPECT_FALSE(state.can_take(memory, false));
    memory.memory = {{0, 0, 40 * gi}, {1, 0, 40 * gi}};
    EXPECT_TRUE(state.can_take(memory, false));
}

TEST(NodeState, RefusesWhatTheMachineLacks) {
    const auto machine = small_machine();
    const NodeState state(machine);
    Placement placement;
    placement.pus.set(16);
    EXPECT_FALSE(state.can_take(placement, true));
    placement = {};
    placement.memory = {{2, 0, 1}};
    EXPECT_FALSE(state.can_take(placement, true));
    placement.memory = {{0, 2, 1}};
    EXPECT_FALSE(state.can_take(placement, true));
    placement.memory = {{0, 1, 1}};
    EXPECT_FALSE(state.can_take(placement, true)) << "a part of a huge page";
    placement = {};
    placement.devices = {{999, {}}};
    EXPECT_FALSE(state.can_take(placement, true));
}

TEST(NodeState, NeverGivesGpuMemory) {
    const auto machine = small_machine(
        [](MachineSpec& spec) { spec.numa_nodes[1].kind = MemoryKind::gpu; });
    Placement placement;
    placement.memory = {{1, 0, 4096}};
    EXPECT_FALSE(NodeState(machine).can_take(placement, true));
}

Placement random_placement(const Machine& machine, std::mt19937& random) {
    const auto below = [&](std::uint32_t n) {
        return static_cast<std::uint32_t>(random() % n);
    };
    Placement out;
    for (std::uint32_t i = below(6); i > 0; --i) {
        out.pus.set(below(static_cast<std::uint32_t>(machine.pus().size())));
    }
    if (below(2) == 0) {
        out.memory.push_back({below(2), 0, (1 + below(20)) * gi});
    }
    if (below(3) == 0) {
        out.memory.push_back({below(2), 1, (1 + below(100)) * (2 * mi)});
    }
    for (std::uint32_t i = below(3); i > 0; --i) {
        const std::uint32_t d =
            below(static_cast<std::uint32_t>(machine.devices().size()));
        Amounts share;
        if (machine.devices()[d].root == d &&
            machine.devices()[d].device_class == "gpu" && below(2) == 0) {
            share["memory"] = (1 + below(50)) * gi;
        }
        out.devices.push_back({d, share});
    }
    return out;
}

TEST(NodeState, ReleaseIsTheExactInverseOfTake) {
    const auto machine = small_machine();
    std::mt19937 random(20240501);
    int taken = 0;
    for (int round = 0; round < 200; ++round) {
        NodeState state(machine);
        state.reserve_pus(Bitmap::range(random() % 16, 1));
        std::vector<std::pair<NodeState, Placement>> before;
        for (int i = 0; i < 12; ++i) {
            Placement placement = random_placement(*machine, random);
            if (!state.can_take(placement, false)) {
                continue;
            }
            before.emplace_back(state, placement);
            state.take(placement);
            state.check_consistency();
            ++taken;
        }
        while (!before.empty()) {
            state.release(before.back().second);
            state.check_consistency();
            ASSERT_TRUE(state == before.back().first);
            before.pop_back();
        }
    }
    EXPECT_GT(taken, 500);
}

TEST(NodeState, ReleasesInAnyOrder) {
    const auto machine = small_machine();
    std::mt19937 random(7);
    for (int round = 0; round < 100; ++round) {
        NodeState state(machine);
        std::vector<Placement> held;
        for (int i = 0; i < 12; ++i) {
            Placement placement = random_placement(*machine, random);
            if (state.can_take(placement, false)) {
                state.take(placement);
                held.push_back(std::move(placement));
            }
        }
        std::ranges::shuffle(held, random);
        for (const Placement& placement : held) {
            state.release(placement);
            state.check_consistency();
        }
        ASSERT_TRUE(state == NodeState(machine));
    }
}

TEST(NodeState, IsAValue) {
    NodeState state(small_machine());
    const NodeState copy = state;
    state.take(cores(0, 2));
    EXPECT_EQ(copy.free_pus().count(), 16U);
    EXPECT_FALSE(copy == state);
}

}  // namespace
}  // namespace topoalloc::testing
