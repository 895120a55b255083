// SPDX-License-Identifier: Apache-2.0
//
// The allocation of claims that costs least: each term by an example, and that the
// steps to the proof do not grow with the subsets of devices. Random questions are in
// test_claim_agreement.cpp.
#include "claim_node.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {
namespace {

using namespace claim_node;

SliceDevice& device_of(Node& node, std::size_t slice, std::size_t device) {
    return node.world().slices[slice].devices[device];
}

TEST(BestClaim, TakesTheEarliestEntriesOfAllRequests) {
    Node node(2);
    ClaimRequest first = want("a", gpu, 1);
    ClaimRequest second = want("b", gpu, 1);
    second.is_prioritized = true;
    second.demands[0].name = "two";
    second.demands[0].count = 2;
    second.demands.push_back(want("", gpu, 1).demands[0]);
    second.demands[1].name = "one";
    first.demands[0].admin_access = true;
    node.ask({first, second}, {});
    // In one claim each device is chosen once.
    EXPECT_EQ(node.best().cost->entries, (std::vector<std::size_t>{0, 1}));
    node.question().claims.push_back({"other", {second}, {}});
    node.question().claims[0].requests.pop_back();
    EXPECT_EQ(node.best().cost->entries, (std::vector<std::size_t>{0, 0}));
}

TEST(BestClaim, StaysOnOneNumaNode) {
    Node node(8, 8);
    for (const std::uint32_t taken : {0U, 1U}) {
        node.take("gpu", taken);
    }
    node.ask({want("g", gpu, 4), want("n", nic, 2)}, {});
    EXPECT_EQ(positions(node.answer()), (Positions{2, 3, 4, 5, 8, 9}));
    const ClaimAnswer answer = node.best();
    EXPECT_EQ(answer.status, Status::optimal);
    EXPECT_EQ(positions(answer), (Positions{4, 5, 6, 7, 12, 13}));
    EXPECT_EQ(answer.cost->localities, 1);
    // Two pairs of one root, the other 13 of one NUMANode.
    EXPECT_EQ(answer.cost->levels, 2 * 3 + 13 * 4);
    EXPECT_EQ(answer.cost->opened_localities, 1);
    EXPECT_EQ(answer.cost->opened_roots, 4);
}

TEST(BestClaim, TakesDevicesOfOneRootTogether) {
    Node node(4, 4);
    node.take("nic", 0);
    node.take("gpu", 1);
    node.ask({want("g", gpu, 1), want("n", nic, 1)}, {});
    EXPECT_EQ(positions(node.answer()), (Positions{0, 5}));
    EXPECT_EQ(positions(node.best()), (Positions{2, 6}));
    EXPECT_EQ(node.best().cost->levels, 3);
}

TEST(BestClaim, TakesFunctionsOfOneDeviceBeforeAll) {
    Node node(0, 4);
    for (const std::size_t d : {1U, 3U}) {
        device_of(node, 1, d).attributes["resource.kubernetes.io/pciBusID"] = {
            AttributeKind::text, {Scalar{"0000:3b:00." + std::to_string(d)}}, false};
    }
    node.ask({want("n", nic, 2)}, {});
    EXPECT_EQ(positions(node.best()), (Positions{1, 3}));
    EXPECT_EQ(node.best().cost->levels, 0);
}

TEST(BestClaim, FillsRootsThatAreInUse) {
    Node node(4, 4);
    node.take("nic", 2);
    node.ask({want("g", gpu, 1)}, {});
    EXPECT_EQ(positions(node.answer()), (Positions{0}));
    EXPECT_EQ(positions(node.best()), (Positions{2}));
    EXPECT_EQ(node.best().cost->opened_roots, 0);
}

// Two partitions of each GPU: half of it, or the whole.
Node partitions() {
    Node node(0);
    DeviceSlice& slice = node.world().slices[0];
    slice.slice_count = 2;
    DeviceSlice counters = slice;
    counters.name = "n1-counters";
    counters.devices.clear();
    for (const std::string gpu_name : {"a", "b"}) {
        counters.counter_sets[gpu_name] = {{"memory", 2}};
        for (const std::int64_t size : {1, 1, 2}) {
            SliceDevice made;
            made.name = gpu_name + std::to_string(slice.devices.size());
            made.attributes["gpu/size"] = {
                AttributeKind::integer, {Scalar{size}}, false};
            made.draws.push_back({gpu_name, {{"memory", size}}, {}});
            slice.devices.push_back(made);
        }
    }
    node.world().slices.push_back(std::move(counters));
    const auto yes = SelectorOutcome::yes;
    const auto no = SelectorOutcome::no;
    node.question().outcomes = {{yes, yes, no, yes, yes, no}};
    return node;
}

TEST(BestClaim, BreaksAsFewDevicesAsCanBe) {
    Node node = partitions();
    node.ask({want("g", gpu, 1)}, {});
    EXPECT_EQ(node.best().cost->broken, 1);  // the whole GPU
    node.world().taken = {{{"gpu", "n1", "b3"}, std::nullopt}};
    const ClaimAnswer answer = node.best();
    EXPECT_EQ(positions(answer), (Positions{4}));
    EXPECT_EQ(answer.cost->broken, 0);
}

TEST(BestClaim, TakesSharesOfDevicesInUse) {
    Node node(0, 3);
    for (SliceDevice& device : node.world().slices[1].devices) {
        device.attributes.clear();
        device.is_shared = true;
        device.capacities["bandwidth"] = {100, std::nullopt};
    }
    node.world().taken = {
        {{"nic", "n1", "nic1"}, std::map<std::string, Nanos>{{"nic/bandwidth", 60}}}};
    node.ask({want("n", nic, 1)}, {});
    node.question().claims[0].requests[0].demands[0].capacity_requests = {
        {"bandwidth", 40}};
    for (SliceDevice& device : node.world().slices[1].devices) {
        device.capacities["bandwidth"].policy.emplace();
    }
    EXPECT_EQ(positions(node.answer()), (Positions{0}));
    EXPECT_EQ(positions(node.best()), (Positions{1}));
    EXPECT_EQ(node.best().cost->shares, 0);
}

TEST(BestClaim, StepsGrowWithTheDevicesNotWithTheirSubsets) {
    for (const std::uint32_t devices : {8U, 16U, 32U, 64U}) {
        Node node(devices, devices);
        node.take("gpu", 1);
        node.take("nic", devices - 1);
        node.ask({want("g", gpu, devices / 2), want("n", nic, devices / 2)}, {});
        if (devices > 32) {  // 32 results of a claim at most
            node.ask({want("g", gpu, 16), want("n", nic, 16)}, {});
        }
        const ClaimAnswer answer = node.best();
        EXPECT_EQ(answer.status, Status::optimal) << devices;
        EXPECT_LE(answer.steps, 40U * devices * devices) << devices;
    }
}

TEST(BestClaim, StepsOfPairsGrowWithTheirNumber) {
    for (const std::uint32_t pairs : {2U, 4U, 8U}) {
        Node node(8, 8);
        ask_pairs(node, pairs, false);
        const ClaimAnswer answer = node.best();
        EXPECT_EQ(answer.status, Status::optimal);
        EXPECT_LE(answer.steps, 100U * pairs);
    }
}

TEST(BestClaim, GivesTheBestSoFarAtTheStepLimit) {
    Node node(8, 8);
    node.take("gpu", 0);
    node.ask({want("g", gpu, 4), want("n", nic, 4)}, {});
    const ClaimAnswer first = node.answer();
    const ClaimAnswer answer = node.best({first.steps});
    EXPECT_EQ(answer.status, Status::feasible);
    EXPECT_EQ(positions(answer), positions(first));
    EXPECT_TRUE(answer.cost);
    EXPECT_EQ(node.best({1}).status, Status::unknown);
}

}  // namespace
}  // namespace topoalloc
