// SPDX-License-Identifier: Apache-2.0
//
// The oracle of the claim problem on problems whose answers are written here by hand:
// sections 1, 2 and 4 of docs/claim-objective.md.
#include "claim_builder.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {
namespace {

TEST(ClaimOracle, TakesTheFirstDevicesInOrder) {
    ClaimInstance instance = with(devices(3));
    EXPECT_EQ(answer(instance), "");
    ask(instance, 2);
    EXPECT_EQ(answer(instance), "0,1");
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "0,1|2");
    next_claim(instance);
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "none");
    instance.question.claims[0].requests[0].demands[0].count = 1;
    EXPECT_EQ(answer(instance), "0|1;2");
}

TEST(ClaimOracle, GoesBackWhenAChoiceLeadsNowhere) {
    ClaimInstance instance =
        with_values({text({"x"}), text({"y"}), text({"z"}), text({"y"})});
    ask(instance, 1);
    ask(instance, 1);
    constrain(instance, "a.io/k");
    EXPECT_EQ(answer(instance), "1|3");
}

TEST(ClaimOracle, OrdersPoolsSlicesAndDevices) {
    ClaimInstance instance = with({named("z"), named("a")});
    slice_of(instance).slice_count = 2;
    add_slice(instance, "r", {named("m")}).slice_count = 2;
    add_slice(instance, "q", {named("n")}, "b.io").pool = "Q";
    add_slice(instance, "t", {named("o")}, "b.io");
    EXPECT_EQ(names_of(instance),
              (Names{"a.io/m", "a.io/z", "a.io/a", "b.io/n", "b.io/o"}));
    // Without the feature, too: the order is that of the pools.
    instance.world.semantics.binding_conditions = false;
    device_of(instance, 1).has_binding_conditions = true;
    EXPECT_EQ(names_of(instance),
              (Names{"b.io/n", "b.io/o", "a.io/m", "a.io/z", "a.io/a"}));
}

TEST(ClaimOracle, KnowsWhichNodesASliceTargets) {
    using enum NodeOperator;
    const std::vector<std::pair<NodeRequirement, bool>> table{
        {{"zone", false, in, {"b", "a"}}, true},
        {{"zone", false, in, {"b"}}, false},
        {{"none", false, in, {""}}, false},
        {{"zone", false, not_in, {"a"}}, false},
        {{"none", false, not_in, {"a"}}, true},
        {{"zone", false, exists, {}}, true},
        {{"none", false, exists, {}}, false},
        {{"none", false, does_not_exist, {}}, true},
        {{"gen", false, gt, {"2"}}, true},
        {{"gen", false, gt, {"3"}}, false},
        {{"gen", false, lt, {"10"}}, true},
        {{"zone", false, lt, {"10"}}, false},
        {{"metadata.name", true, in, {"n0"}}, true},
        {{"metadata.name", true, not_in, {"n0"}}, false},
    };
    ClaimInstance instance = with(devices(1));
    NodeTarget& target = slice_of(instance).target;
    for (const auto& [requirement, is_met] : table) {
        target = {NodeTarget::Kind::selector, "", {requirement}};
        EXPECT_EQ(names_of(instance).size(), is_met ? 1U : 0U) << dump(instance);
    }
    target.requirements = {table[0].first, table[1].first};
    EXPECT_TRUE(names_of(instance).empty());
    target.requirements.clear();
    EXPECT_TRUE(names_of(instance).empty());
    target.kind = NodeTarget::Kind::all;
    EXPECT_EQ(names_of(instance).size(), 1U);
    target = on("n1");
    EXPECT_TRUE(names_of(instance).empty());
}

// Devices for other nodes have a position, and match nothing.
TEST(ClaimOracle, KnowsWhichNodesADeviceIsFor) {
    ClaimInstance instance = with(devices(3));
    slice_of(instance).targets_by_device = true;
    device_of(instance, 1).target = on("n0");
    device_of(instance, 2).target.kind = NodeTarget::Kind::all;
    EXPECT_EQ(names_of(instance).size(), 3U);
    ask(instance, 2);
    EXPECT_EQ(answer(instance), "1,2");
    device_of(instance, 1).target = on("n1");
    EXPECT_EQ(answer(instance), "none");
    instance.world.semantics.counters = false;
    EXPECT_TRUE(names_of(instance).empty());
}

TEST(ClaimOracle, LeavesIncompletePoolsOut) {
    ClaimInstance instance = with(devices(2));
    slice_of(instance).slice_count = 2;
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "none");
    // The rest is on another node.
    add_slice(instance, "t", {named("far")}).target = on("n1");
    EXPECT_EQ(answer(instance), "0");
    EXPECT_EQ(names_of(instance).size(), 2U);
    add_slice(instance, "u", {}).target = on("n1");
    EXPECT_EQ(answer(instance), "none");
    instance.world.slices.pop_back();
    // The number of slices of the first one by name.
    add_slice(instance, "a", {named("near")}).slice_count = 2;
    EXPECT_EQ(answer(instance), "0");
    instance.world.slices.back().slice_count = 4;
    EXPECT_EQ(answer(instance), "none");
}

TEST(ClaimOracle, LeavesObsoletePoolsOut) {
    ClaimInstance instance = with(devices(2));
    ask_for_all(instance);
    DeviceSlice& newer = add_slice(instance, "t", {named("far")});
    newer.target = on("n1");
    newer.generation = 1;
    // A whole pool does not look beyond the node.
    EXPECT_EQ(answer(instance), "0,1");
    slice_of(instance).slice_count = 2;
    EXPECT_EQ(answer(instance), "none");
    EXPECT_TRUE(names_of(instance).empty());
    instance.world.slices[1].target = on("n0");
    EXPECT_EQ(names_of(instance), (Names{"a.io/far"}));
}

// Each makes a pool invalid that is none.
TEST(ClaimOracle, KnowsInvalidPools) {
    const auto add_sets = [](ClaimInstance& instance) -> DeviceSlice& {
        for (DeviceSlice& slice : instance.world.slices) {
            ++slice.slice_count;
        }
        DeviceSlice& sets = add_slice(instance, "sets", {});
        sets.target = {};
        sets.slice_count = slice_of(instance).slice_count;
        sets.counter_sets["s"]["c"] = 2 * unit;
        return sets;
    };
    ClaimInstance right = with(devices(2));
    ask(right, 1);
    add_sets(right);
    device_of(right, 0).draws = {{"s", {{"c", unit}}, {}}};
    EXPECT_EQ(answer(right), "0");

    const std::string invalid = "invalid_pool a.io/p";
    ClaimInstance wrong = right;
    device_of(wrong, 1).name = "d0";
    EXPECT_EQ(answer(wrong), invalid);
    wrong = right;
    wrong.world.slices[1].repeated_counter_sets = {"s"};
    EXPECT_EQ(answer(wrong), invalid);
    wrong = right;
    add_sets(wrong).name = "more";
    EXPECT_EQ(answer(wrong), invalid);
    wrong = right;
    device_of(wrong, 0).draws[0].counter_set = "t";
    EXPECT_EQ(answer(wrong), invalid);
    wrong = right;
    device_of(wrong, 0).draws[0].counters["d"] = 0;
    EXPECT_EQ(answer(wrong), invalid);
    // Of a device on another node, and of one that nobody knows.
    wrong = right;
    DeviceSlice& far = add_slice(wrong, "far", {named("d0")});
    far.target = on("n1");
    far.devices[0].draws = {{"t", {}, {}}};
    EXPECT_EQ(answer(wrong), "0");
    for (DeviceSlice& slice : wrong.world.slices) {
        slice.slice_count = 3;
    }
    EXPECT_EQ(answer(wrong), invalid);
    wrong.world.semantics.counters = false;
    EXPECT_EQ(answer(wrong), "1");
}

TEST(ClaimOracle, StopsAtAnInvalidPoolThatItComesTo) {
    ClaimInstance instance = with(devices(2));
    add_slice(instance, "t", {named("x"), named("x")}, "b.io");
    add_slice(instance, "u", {named("y")}, "c.io");
    instance.world.semantics.skips_invalid_pools = false;
    ask(instance, 2);
    EXPECT_EQ(answer(instance), "0,1");
    instance.question.claims[0].requests[0].demands[0].count = 3;
    EXPECT_EQ(answer(instance), "invalid_pool b.io/p");
    EXPECT_EQ(optimal_answer(instance), "0,1,2");
    instance.question.claims[0].requests[0].demands[0].count = 4;
    EXPECT_EQ(optimal_answer(instance), "invalid_pool b.io/p");
}

TEST(ClaimOracle, GoesPastInvalidPoolsSince135) {
    ClaimInstance instance = with(devices(2));
    add_slice(instance, "t", {named("x"), named("x")}, "b.io");
    add_slice(instance, "u", {named("y")}, "c.io");
    ask(instance, 3);
    EXPECT_EQ(answer(instance), "0,1,2");
    instance.question.claims[0].requests[0].demands[0].count = 4;
    EXPECT_EQ(answer(instance), "invalid_pool b.io/p");
    EXPECT_EQ(optimal_answer(instance), "invalid_pool b.io/p");
}

TEST(ClaimOracle, NamesWithoutADomainAreOfTheDriver) {
    ClaimInstance instance = with_values({text({"x"}), text({"y"})});
    ask(instance, 2);
    constrain(instance, "a.io/k");
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 1).attributes["a.io/k"] = text({"x"});
    EXPECT_EQ(answer(instance), "0,1");
    device_of(instance, 1).attributes.erase("k");
    EXPECT_EQ(answer(instance), "0,1");
    device_of(instance, 1).attributes = {{"b.io/k", text({"x"})}};
    EXPECT_EQ(answer(instance), "none");
}

TEST(ClaimOracle, PassesOverDevicesThatAreTaken) {
    ClaimInstance instance = with(devices(3));
    take(instance, "d0");
    instance.world.taken.push_back({{"b.io", "p", "d1"}, std::nullopt});
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "1");
    // Shared and taken whole; dedicated and taken as a share.
    device_of(instance, 1).is_shared = true;
    take(instance, "d1");
    EXPECT_EQ(answer(instance), "2");
    take(instance, "d2", std::map<std::string, Nanos>{});
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 2).is_shared = true;
    EXPECT_EQ(answer(instance), "2");
    instance.world.semantics.consumable_capacity = false;
    EXPECT_EQ(answer(instance), "none");
}

struct CapacityCase {
    std::optional<CapacityPolicy> policy;
    std::optional<Nanos> request;
    std::optional<Nanos> consumed;  // none: the device does not suit
};

TEST(ClaimOracle, RoundsAsThePolicySays) {
    const auto range =
        [](Nanos min, std::optional<Nanos> max, std::optional<Nanos> step) {
            return CapacityPolicy{min * unit, min * unit, max, step, {}};
        };
    const CapacityPolicy values{2 * unit, {}, {}, {}, {2 * unit, 5 * unit}};
    const std::vector<CapacityCase> table{
        {{}, {}, 8 * unit},
        {{}, 3 * unit, 3 * unit},
        {{}, 9 * unit, {}},
        {CapacityPolicy{3 * unit, {}, {}, {}, {}}, {}, 3 * unit},
        {CapacityPolicy{3 * unit, {}, {}, {}, {}}, 5 * unit, 5 * unit},
        {range(2, {}, {}), {}, 2 * unit},
        {range(2, {}, {}), 1, 2 * unit},
        {range(2, {}, {}), 3 * unit + 1, 3 * unit + 1},
        {range(2, 5 * unit, {}), 5 * unit, 5 * unit},
        {range(2, 5 * unit, {}), 5 * unit + 1, {}},
        {range(1, {}, 3 * unit), 4 * unit, 4 * unit},
        {range(1, {}, 3 * unit), 4 * unit + 1, 7 * unit},
        {range(1, {}, 3 * unit), 7 * unit + 1, {}},
        {range(1, 6 * unit, 3 * unit), 5 * unit, {}},
        {range(1, {}, unit / 2), unit + 1, unit + unit / 2},
        {values, {}, 2 * unit},
        {values, 1, 2 * unit},
        {values, 3 * unit, 5 * unit},
        {values, 6 * unit, {}},
    };
    for (const bool is_shared : {true, false}) {
        for (const CapacityCase& one : table) {
            ClaimInstance instance = with(devices(1));
            device_of(instance, 0).capacities["c"] = {8 * unit, one.policy};
            device_of(instance, 0).is_shared = is_shared;
            ClaimDemand& demand = ask(instance, 1);
            if (one.request) {
                demand.capacity_requests["a.io/c"] = *one.request;
            }
            ASSERT_EQ(answer(instance), one.consumed ? "0" : "none") << dump(instance);
            if (one.consumed && is_shared) {
                const auto found =
                    brute_first_fit(instance.world, instance.question, most);
                EXPECT_EQ((*found.allocation)[0][0].devices[0].consumed.at("a.io/c"),
                          *one.consumed)
                    << dump(instance);
            }
        }
    }
}

TEST(ClaimOracle, WantsEveryCapacityThatIsRequested) {
    ClaimInstance instance = with(devices(3));
    device_of(instance, 0).capacities["other"] = {8 * unit, {}};
    device_of(instance, 1).capacities["x.io/c"] = {8 * unit, {}};
    device_of(instance, 2).capacities["a.io/c"] = {8 * unit, {}};
    ClaimDemand& demand = ask(instance, 1);
    demand.capacity_requests["c"] = unit;
    EXPECT_EQ(answer(instance), "2");
    demand.capacity_requests = {{"x.io/c", unit}};
    EXPECT_EQ(answer(instance), "1");
    demand.capacity_requests["c"] = unit;
    EXPECT_EQ(answer(instance), "none");
}

// Rule 3.
TEST(ClaimOracle, SharesWithinEachCapacity) {
    ClaimInstance instance = with(devices(1));
    device_of(instance, 0).is_shared = true;
    device_of(instance, 0).capacities["c"] = {8 * unit, {}};
    ask(instance, 1).capacity_requests["c"] = 3 * unit;
    ask(instance, 1).capacity_requests["c"] = 3 * unit;
    EXPECT_EQ(answer(instance), "0|0");
    take(instance, "d0", std::map<std::string, Nanos>{{"a.io/c", unit}});
    take(instance, "d0", std::map<std::string, Nanos>{{"a.io/c", unit}});
    EXPECT_EQ(answer(instance), "0|0");
    take(instance, "d0", std::map<std::string, Nanos>{{"a.io/c", 1}});
    EXPECT_EQ(answer(instance), "none");
    instance.question.claims[0].requests[0].demands[0].admin_access = true;
    EXPECT_EQ(answer(instance), "0|0");
    // More is taken than there is: that does not stop an administrator.
    take(instance, "d0", std::map<std::string, Nanos>{{"a.io/c", 9 * unit}});
    EXPECT_EQ(answer(instance), "none");
    instance.question.claims[0].requests.pop_back();
    EXPECT_EQ(answer(instance), "0");
}

TEST(ClaimOracle, FixesTheDevicesOfAll) {
    ClaimInstance instance = with(devices(3));
    instance.question.outcomes = {{no, yes, yes}};
    ask_for_all(instance).selectors = {0};
    EXPECT_EQ(answer(instance), "1,2");
    // What cannot be chosen is not left out.
    take(instance, "d1");
    EXPECT_EQ(answer(instance), "none");
    instance.world.taken.clear();
    device_of(instance, 2).taints = {{"t", "", DeviceTaintEffect::no_schedule}};
    EXPECT_EQ(answer(instance), "none");
    // But what does not suit is.
    device_of(instance, 1).capacities["c"] = {unit, {}};
    instance.question.claims[0].requests[0].demands[0].capacity_requests["c"] = unit;
    EXPECT_EQ(answer(instance), "1");
    instance.question.outcomes = {{no, no, no}};
    EXPECT_EQ(answer(instance), "none");
}

TEST(ClaimOracle, ChoosesTheFirstEntryThatLeadsToAnAllocation) {
    ClaimInstance instance = with(devices(3));
    ask(instance, 3);
    ask_else(instance, 2);
    ask_else(instance, 1);
    EXPECT_EQ(answer(instance), "0:0,1,2");
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "1:0,1|2");
    next_claim(instance);
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "2:0|1;2");
}

}  // namespace
}  // namespace topoalloc::oracle
