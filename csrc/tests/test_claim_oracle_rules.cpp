// SPDX-License-Identifier: Apache-2.0
//
// The oracle of the claim problem on problems whose answers are written here by hand:
// each rule of docs/claim-objective.md, section 3, each error, and the judge.
#include "claim_builder.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {
namespace {

// Rule 1.
TEST(ClaimOracle, AsksForATolerationOfEachTaint) {
    using enum DeviceTaintEffect;
    ClaimInstance instance = with(devices(1));
    ClaimDemand& demand = ask(instance, 1);
    const DeviceTaint taint{"t", "v", no_execute};
    device_of(instance, 0).taints = {taint};
    const std::vector<std::pair<DeviceToleration, bool>> table{
        {{"t", "v", no_execute}, true},
        {{"t", "w", no_execute}, false},
        {{"s", "v", no_execute}, false},
        {{"t", "v", no_schedule}, false},
        {{"t", {}, no_execute}, true},
        {{"t", "v", {}}, true},
        {{{}, {}, no_execute}, true},
        {{}, true},
    };
    EXPECT_EQ(answer(instance), "none");
    for (const auto& [toleration, is_enough] : table) {
        demand.tolerations = {toleration};
        EXPECT_EQ(answer(instance), is_enough ? "0" : "none") << dump(instance);
    }
    demand.tolerations = {{"t", "v", {}}};
    device_of(instance, 0).taints = {taint, {"s", "", no_schedule}};
    EXPECT_EQ(answer(instance), "none");
    demand.admin_access = true;
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 0).taints = {taint, {"s", "", none}};
    EXPECT_EQ(answer(instance), "0");
    demand.tolerations.clear();
    EXPECT_EQ(answer(instance), "none");
    instance.world.semantics.taints = false;
    EXPECT_EQ(answer(instance), "0");
}

// Rule 2.
TEST(ClaimOracle, LetsAdministratorsShareAcrossClaims) {
    ClaimInstance instance = with(devices(1));
    take(instance, "d0");
    ask(instance, 1).admin_access = true;
    next_claim(instance);
    ask(instance, 1).admin_access = true;
    EXPECT_EQ(answer(instance), "0;0");
    next_claim(instance);
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "none");
    instance.world.taken.clear();
    EXPECT_EQ(answer(instance), "0;0;0");
    ask(instance, 1).admin_access = true;
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 0).is_shared = true;
    EXPECT_EQ(answer(instance), "0;0;0|0");
}

// Two sets of the pool: "s" of three units of "c" and one of "d".
ClaimInstance with_counters(std::size_t count) {
    ClaimInstance instance = with(devices(count));
    for (std::size_t d = 0; d < count; ++d) {
        device_of(instance, d).draws = {{"s", {{"c", unit}}, {}}};
    }
    slice_of(instance).slice_count = 2;
    DeviceSlice& sets = add_slice(instance, "sets", {});
    sets.slice_count = 2;
    sets.target = {};
    sets.counter_sets["s"] = {{"c", 3 * unit}, {"d", unit}};
    return instance;
}

// Rule 4.
TEST(ClaimOracle, DrawsNoMoreThanIsLeft) {
    ClaimInstance instance = with_counters(4);
    ClaimDemand& demand = ask(instance, 3);
    EXPECT_EQ(answer(instance), "0,1,2");
    demand.count = 4;
    EXPECT_EQ(answer(instance), "none");
    demand.count = 2;
    take(instance, "d1");
    EXPECT_EQ(answer(instance), "0,2");
    take(instance, "d1");  // counts once
    EXPECT_EQ(answer(instance), "0,2");
    take(instance, "d0");
    EXPECT_EQ(answer(instance), "none");
    demand.admin_access = true;
    EXPECT_EQ(answer(instance), "0,1");
    // A shared device that is taken draws no more.
    demand.admin_access = false;
    demand.count = 1;
    device_of(instance, 2).draws[0].counters["c"] = 2 * unit;
    device_of(instance, 3).draws[0].counters["c"] = 2 * unit;
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 3).is_shared = true;
    take(instance, "d3", std::map<std::string, Nanos>{});
    EXPECT_EQ(answer(instance), "3");
    // Too much is taken: a device that names the counter cannot be chosen.
    device_of(instance, 2).draws[0].counters = {{"c", 0}};
    EXPECT_EQ(answer(instance), "3");
    instance.world.taken.back().id.device = "none";
    EXPECT_EQ(answer(instance), "2");
}

TEST(ClaimOracle, KnowsWhatDevicesOfOtherNodesDraw) {
    ClaimInstance instance = with_counters(2);
    ask(instance, 2);
    SliceDevice far = named("far");
    far.draws = {{"s", {{"c", 2 * unit}}, {}}};
    add_slice(instance, "t", {far}).target = on("n1");
    for (DeviceSlice& slice : instance.world.slices) {
        slice.slice_count = 3;
    }
    EXPECT_EQ(answer(instance), "0,1");
    take(instance, "far");
    EXPECT_EQ(answer(instance), "none");
    // Counters of a pool of this name of another driver are others.
    instance.world.taken[0].id.driver = "b.io";
    EXPECT_EQ(answer(instance), "0,1");
}

// Rule 5.
TEST(ClaimOracle, GivesUpWhatBringsAClaimOver32Results) {
    ClaimInstance instance = with(devices(40));
    ask(instance, 30);
    ask(instance, 3);
    EXPECT_EQ(answer(instance), "too_many_devices 0");
    ask_else(instance, 2);
    const BruteClaims found = brute_first_fit(instance.world, instance.question, most);
    EXPECT_EQ((*found.allocation)[0][1].demand, 1U);
    next_claim(instance);
    ask(instance, 8);
    EXPECT_EQ(answer(instance).substr(answer(instance).find(';')),
              ";32,33,34,35,36,37,38,39");
    // Given up before a selector can fail.
    instance.question.outcomes = {std::vector<SelectorOutcome>(40, error)};
    instance.question.claims[0].requests[1].demands[0].selectors = {0};
    EXPECT_NE(answer(instance).find("1:30,31"), std::string::npos);
    ask_for_all(instance);
    EXPECT_EQ(answer(instance), "too_many_devices 1");
}

// Rule 6.
TEST(ClaimOracle, MatchesAttributes) {
    const DeviceValues version{
        AttributeKind::version, {Scalar(std::string("x"))}, false};
    const DeviceValues number{AttributeKind::integer, {Scalar(std::int64_t{1})}, false};
    const DeviceValues flag{AttributeKind::boolean, {Scalar(true)}, false};
    ClaimInstance instance =
        with_values({text({"x"}), version, number, flag, text({"y"}), text({"x"})});
    ask(instance, 1);
    ask(instance, 1);
    constrain(instance, "a.io/k", false, {"r0", "r1"});
    EXPECT_EQ(answer(instance), "0|5");
    take(instance, "d5");
    EXPECT_EQ(answer(instance), "none");
    instance.question.claims[0].constraints[0].requests = {"r1"};
    EXPECT_EQ(answer(instance), "0|1");
    instance.question.claims[0].constraints[0].attribute = "a.io/none";
    EXPECT_EQ(answer(instance), "none");
}

TEST(ClaimOracle, MatchesListsThatHaveAnElementInCommon) {
    ClaimInstance instance = with_values({text({"x", "y"}, true),
                                          text({"y", "z"}, true),
                                          text({"x", "z"}, true),
                                          text({"z"}),
                                          text({"z", "w"}, true)});
    ClaimDemand& demand = ask(instance, 2);
    constrain(instance, "a.io/k");
    EXPECT_EQ(answer(instance), "0,1");
    demand.count = 3;  // of 0, 1 and 2 each two have one
    EXPECT_EQ(answer(instance), "1,2,3");
    demand.count = 1;
    instance.world.semantics.lists = false;
    EXPECT_EQ(answer(instance), "3");
}

TEST(ClaimOracle, ConstrainsRequestsAndEntries) {
    ClaimInstance instance = with_values({text({"x"}), text({"y"}), text({"y"})});
    ask(instance, 1);
    ask(instance, 1);
    ask_else(instance, 1);
    constrain(instance, "a.io/k", false, {"r0", "r1"});
    EXPECT_EQ(answer(instance), "1|0:2");
    instance.question.claims[0].constraints[0].requests = {"r0", "r1/e1"};
    EXPECT_EQ(answer(instance), "0|0:1");
    instance.question.claims[0].constraints[0].requests = {"r0", "r1/e0"};
    EXPECT_EQ(answer(instance), "0|1:1");
    // Of this claim alone.
    next_claim(instance);
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "0|1:1;2");
}

// Rule 7.
TEST(ClaimOracle, TellsAttributesApart) {
    ClaimInstance instance = with_values(
        {text({"x"}), text({"x", "y"}, true), text({"y"}), text({"z"}), text({"x"})});
    device_of(instance, 4).attributes["k"].kind = AttributeKind::version;
    ClaimDemand& demand = ask(instance, 4);
    constrain(instance, "a.io/k", true);
    EXPECT_EQ(answer(instance), "0,2,3,4");
    demand.count = 5;
    EXPECT_EQ(answer(instance), "none");
    demand.count = 3;
    take(instance, "d0");
    EXPECT_EQ(answer(instance), "1,3,4");
    instance.world.semantics.lists = false;
    instance.world.semantics.consumable_capacity = true;
    EXPECT_EQ(answer(instance), "2,3,4");
    device_of(instance, 3).attributes.clear();
    EXPECT_EQ(answer(instance), "none");
    // A shared device is not different from itself.
    demand.count = 1;
    ask(instance, 1);
    instance.world.slices[0].devices.resize(3);
    device_of(instance, 2).is_shared = true;
    EXPECT_EQ(answer(instance), "none");
    instance.question.claims[0].constraints.clear();
    EXPECT_EQ(answer(instance), "1|2");
}

// Rule 8.
TEST(ClaimOracle, KeepsCompatibilityGroups) {
    ClaimInstance instance = with_counters(4);
    device_of(instance, 0).draws[0].compatibility_groups = {"g"};
    device_of(instance, 1).draws[0].compatibility_groups = {};
    device_of(instance, 2).draws[0].compatibility_groups = {"g", "h"};
    device_of(instance, 3).draws[0].compatibility_groups = {"h"};
    ClaimDemand& demand = ask(instance, 2);
    EXPECT_EQ(answer(instance), "0,2");
    demand.count = 3;
    EXPECT_EQ(answer(instance), "none");
    demand.count = 1;
    take(instance, "d3");
    EXPECT_EQ(answer(instance), "2");
    instance.world.taken[0].id.device = "d1";
    EXPECT_EQ(answer(instance), "none");
    demand.admin_access = true;
    EXPECT_EQ(answer(instance), "0");
    demand.admin_access = false;
    // Without the feature those with groups are not chosen, but they are known.
    instance.world.taken.clear();
    instance.world.semantics.compatibility_groups = false;
    EXPECT_EQ(answer(instance), "1");
    take(instance, "d0");
    EXPECT_EQ(answer(instance), "none");
}

std::string fault_of_capacity(const std::map<std::string, Nanos>& requests) {
    ClaimInstance instance = with(devices(2));
    device_of(instance, 1).capacities["c"] = {8 * unit, {}};
    ask(instance, 1);
    ask(instance, 1);
    ask_else(instance, 1).capacity_requests = requests;
    return answer(instance);
}

// Section 5.
TEST(ClaimOracle, RefusesACapacityThatIsRequestedTwice) {
    EXPECT_EQ(fault_of_capacity({{"c", 1}, {"a.io/c", 1}}), "capacity_twice 0.1.1 @1");
    EXPECT_EQ(fault_of_capacity({{"d", 1}, {"a.io/d", 1}}), "0|0:1");
    EXPECT_EQ(fault_of_capacity({{"c", 1}, {"b.io/c", 1}}), "0|0:1");
}

TEST(ClaimOracle, RefusesAllOfABrokenPool) {
    ClaimInstance instance = with(devices(2));
    add_slice(instance, "t", devices(1), "b.io").slice_count = 2;
    ask(instance, 1);
    ask_else(instance, 1).mode = AllocationMode::all;
    EXPECT_EQ(answer(instance), "all_on_broken_pool 0.0.1 b.io/p");
    EXPECT_EQ(optimal_answer(instance), "all_on_broken_pool 0.0.1 b.io/p");
    add_slice(instance, "u", {named("x"), named("x")}, "aa.io");
    EXPECT_EQ(answer(instance), "all_on_broken_pool 0.0.1 aa.io/p");
    // A selector fails on a device of a pool before it.
    instance.question.outcomes = {{yes, error}};
    instance.question.claims[0].requests[0].demands[1].selectors = {0};
    EXPECT_EQ(answer(instance), "selector_failed 0.0.1 @1");
}

TEST(ClaimOracle, FailsOnTheFirstDeviceThatASelectorFailsOn) {
    ClaimInstance instance = with(devices(3));
    instance.question.outcomes = {{no, yes, error}, {error, yes, yes}};
    ClaimDemand& demand = ask(instance, 1);
    demand.selectors = {0, 1};
    EXPECT_EQ(answer(instance), "1");
    demand.selectors = {1, 0};
    EXPECT_EQ(answer(instance), "selector_failed 0.0.0 @0");
    EXPECT_EQ(optimal_answer(instance), "1");
    demand.selectors = {0, 1};
    demand.count = 2;
    EXPECT_EQ(answer(instance), "selector_failed 0.0.0 @2");
    EXPECT_EQ(optimal_answer(instance), "selector_failed 0.0.0 @2");
    // Not asked of a device that is taken, nor of one behind the last.
    take(instance, "d2");
    EXPECT_EQ(answer(instance), "none");
    EXPECT_EQ(optimal_answer(instance), "selector_failed 0.0.0 @2");
    demand.admin_access = true;
    EXPECT_EQ(answer(instance), "selector_failed 0.0.0 @2");
}

// A device that breaks a rule leads no deeper, where another demand could fail.
TEST(ClaimOracle, FailsOnlyWhereItComesTo) {
    ClaimInstance instance = with(devices(2));
    instance.question.outcomes = {{error, yes}};
    ask(instance, 1);
    ask(instance, 1).selectors = {0};
    EXPECT_EQ(answer(instance), "0|1");
    device_of(instance, 0).taints = {{"t", "", DeviceTaintEffect::no_schedule}};
    EXPECT_EQ(answer(instance), "selector_failed 0.1.0 @0");
    device_of(instance, 1).taints = device_of(instance, 0).taints;
    EXPECT_EQ(answer(instance), "none");
}

TEST(ClaimOracle, AsksSelectorsOfDevicesForOtherNodes) {
    ClaimInstance instance = with(devices(2));
    slice_of(instance).targets_by_device = true;
    device_of(instance, 0).target = on("n1");
    device_of(instance, 1).target = on("n0");
    instance.question.outcomes = {{error, yes}};
    ask_for_all(instance).selectors = {0};
    EXPECT_EQ(answer(instance), "selector_failed 0.0.0 @0");
}

TEST(ClaimOracle, CountsTheFewestDevicesOfEachRequest) {
    ClaimInstance instance = with(devices(20));
    ask_for_all(instance);
    ask_for_all(instance);
    EXPECT_EQ(answer(instance), "too_many_devices 0");
    next_claim(instance);
    ask(instance, 33);
    std::swap(instance.question.claims[0], instance.question.claims[1]);
    EXPECT_EQ(answer(instance), "too_many_devices 0");
    instance.question.claims.erase(instance.question.claims.begin());
    ask_else(instance, 12);
    EXPECT_EQ(answer(instance), "none");
    // Demands of a claim come before their number.
    instance.question.outcomes = {std::vector<SelectorOutcome>(20, error)};
    ask_for_all(instance).selectors = {0};
    EXPECT_EQ(answer(instance), "selector_failed 0.2.0 @0");
}

// Section 6.
TEST(ClaimOracle, ClosesWhatAVersionDoesNotHave) {
    ClaimInstance instance = with_counters(2);
    device_of(instance, 0).has_binding_conditions = true;
    ClaimDemand& demand = ask(instance, 1);
    EXPECT_EQ(answer(instance), "0");
    instance.world.semantics.binding_conditions = false;
    EXPECT_EQ(answer(instance), "1");
    demand.mode = AllocationMode::all;
    EXPECT_EQ(answer(instance), "none");
    demand.mode = AllocationMode::exact_count;
    // The slice of counter sets is one of the pool, though it targets no node.
    instance.world.semantics.counters = false;
    EXPECT_EQ(names_of(instance).size(), 2U);
    EXPECT_EQ(answer(instance), "none");
    device_of(instance, 1).draws.clear();
    EXPECT_EQ(answer(instance), "1");
    instance.world.semantics.consumable_capacity = false;
    device_of(instance, 1).is_shared = true;
    ask(instance, 1);
    EXPECT_EQ(answer(instance), "none");
}

ChosenRequest chosen(const std::vector<std::size_t>& positions) {
    ChosenRequest result;
    for (const std::size_t position : positions) {
        result.devices.push_back({position, {}});
    }
    return result;
}

std::string judge(const ClaimInstance& instance, const ClaimAllocation& allocation) {
    return judge_claims(instance.world, instance.question, allocation);
}

TEST(ClaimOracle, JudgesTheShapeOfAnAllocation) {
    ClaimInstance instance = with(devices(3));
    instance.question.outcomes = {{yes, no, yes}};
    ask(instance, 2);
    ask_for_all(instance).selectors = {0};
    instance.question.claims[0].requests[1].demands[0].admin_access = true;
    next_claim(instance);
    std::swap(instance.question.claims[1].requests,
              instance.question.claims[0].requests);
    instance.question.claims[0].requests = {instance.question.claims[1].requests[1]};
    instance.question.claims[1].requests.pop_back();
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}, {chosen({0, 1})}}), "");
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}}), "shape");
    EXPECT_EQ(judge(instance, {{}, {chosen({0, 1})}}), "shape");
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}, {chosen({1, 0})}}), "shape");
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}, {chosen({1, 3})}}), "shape");
    EXPECT_EQ(judge(instance, {{{1, chosen({0, 2}).devices}}, {chosen({0, 1})}}),
              "shape");
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}, {chosen({0})}}), "devices");
    EXPECT_EQ(judge(instance, {{chosen({0})}, {chosen({0, 1})}}), "devices");
    EXPECT_EQ(judge(instance, {{chosen({0, 2})}, {chosen({1, 1})}}), "rule 2");
}

TEST(ClaimOracle, JudgesWhatIsConsumed) {
    ClaimInstance instance = with(devices(1));
    device_of(instance, 0).is_shared = true;
    device_of(instance, 0).capacities = {{"c", {4 * unit, {}}}, {"x.io/c", {unit, {}}}};
    ask(instance, 1).capacity_requests["c"] = 3 * unit;
    const auto consuming = [&](const std::map<std::string, Nanos>& consumed) {
        return judge(instance, {{{0, {{0, consumed}}}}});
    };
    EXPECT_EQ(consuming({{"a.io/c", 3 * unit}, {"x.io/c", unit}}), "");
    EXPECT_EQ(consuming({{"a.io/c", 3 * unit}}), "consumed");
    EXPECT_EQ(consuming({{"a.io/c", 2 * unit}, {"x.io/c", unit}}), "consumed");
    EXPECT_EQ(consuming({{"c", 3 * unit}, {"x.io/c", unit}}), "consumed");
    take(instance, "d0", std::map<std::string, Nanos>{{"x.io/c", 1}});
    EXPECT_EQ(consuming({{"a.io/c", 3 * unit}, {"x.io/c", unit}}), "rule 3");
}

TEST(ClaimOracle, JudgesEachRule) {
    ClaimInstance instance = with_counters(4);
    const ClaimAllocation allocation{{chosen({0, 1})}};
    ask(instance, 2);
    EXPECT_EQ(judge(instance, allocation), "");
    const auto after = [&](const auto& edit) {
        ClaimInstance other = instance;
        edit(other);
        return judge(other, allocation);
    };
    EXPECT_EQ(after([](auto& i) {
                  device_of(i, 1).taints = {{"t", "", DeviceTaintEffect::no_execute}};
              }),
              "rule 1");
    EXPECT_EQ(after([](auto& i) {
                  i.question.outcomes = {{yes, no, yes, yes}};
                  i.question.claims[0].requests[0].demands[0].selectors = {0};
              }),
              "rule 1");
    EXPECT_EQ(after([](auto& i) { take(i, "d1"); }), "rule 2");
    EXPECT_EQ(after([](auto& i) {
                  take(i, "d2");
                  take(i, "d3");
              }),
              "rule 4");
    EXPECT_EQ(after([](auto& i) { constrain(i, "a.io/k"); }), "rule 6");
    EXPECT_EQ(after([](auto& i) { constrain(i, "a.io/k", true); }), "rule 7");
    EXPECT_EQ(
        after([](auto& i) { device_of(i, 1).draws[0].compatibility_groups = {"g"}; }),
        "rule 8");
    ClaimInstance many = with(devices(33));
    ask(many, 33);
    std::vector<std::size_t> all;
    for (std::size_t p = 0; p < 33; ++p) {
        all.push_back(p);
    }
    EXPECT_EQ(judge(many, {{chosen(all)}}), "rule 5");
}

TEST(ClaimOracle, SaysWhenThereIsTooMuchToTry) {
    ClaimInstance instance = with(devices(12));
    ask(instance, 6);
    ask(instance, 6);
    ask(instance, 1);
    EXPECT_EQ(text_of(instance.question,
                      brute_first_fit(instance.world, instance.question, 1000)),
              "too many tries");
    EXPECT_EQ(text_of(instance.question,
                      brute_first_fit(instance.world, instance.question, most)),
              "none");
}

}  // namespace
}  // namespace topoalloc::oracle
