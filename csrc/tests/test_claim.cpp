// SPDX-License-Identifier: Apache-2.0
//
// ResourceClaims on one node: what the first fit is, and that "no" costs no more steps
// than there are devices to count. Random questions are in test_claim_oracle.cpp.
#include "claim_node.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {
namespace {

using namespace claim_node;

TEST(Claim, TakesTheFirstDevicesThatMatch) {
    Node node(8, 8);
    node.take("gpu", 1);
    node.ask({want("g", gpu, 3), want("n", nic, 1)}, {match(numa)});
    const ClaimAnswer answer = node.answer();
    EXPECT_EQ(answer.status, Status::optimal);
    EXPECT_EQ(positions(answer), (Positions{0, 2, 3, 8}));
}

TEST(Claim, GoesToTheNextNumaNodeWhereTheFirstHasTooFew) {
    Node node(8, 8);
    node.take("nic", 2);
    node.ask({want("g", gpu, 4), want("n", nic, 4)}, {match(numa)});
    EXPECT_EQ(positions(node.answer()), (Positions{4, 5, 6, 7, 12, 13, 14, 15}));
}

TEST(Claim, SaysNoToFourAndFourWithThreeOfEachNumaNodeLeft) {
    Node node(8, 8);
    node.take("nic", 0);
    node.take("nic", 4);
    node.ask({want("g", gpu, 4), want("n", nic, 4)}, {match(numa)});
    const ClaimAnswer answer = node.answer();
    EXPECT_EQ(answer.status, Status::infeasible);
    EXPECT_LE(answer.steps, 40U);
}

TEST(Claim, SaysNoToPairsAtOnceWhateverTheirOrder) {
    for (const bool are_grouped : {false, true}) {
        Node node(8, 8);
        node.take("nic", 3);
        ask_pairs(node, 8, are_grouped);
        const ClaimAnswer answer = node.answer();
        EXPECT_EQ(answer.status, Status::infeasible);
        EXPECT_EQ(answer.steps, 0U);
    }
}

// Of 32 roots so many have both devices, the others one: the counts alone say yes.
TEST(Claim, StepsToLateNoGrowWithTheDevicesNotWithTheirSubsets) {
    for (const bool are_grouped : {false, true}) {
        for (const std::uint32_t pairs : {6U, 8U, 12U, 16U}) {
            Node node(32, 32);
            for (std::uint32_t i = pairs - 1; i < 32; ++i) {
                node.take(i % 2 == 0 ? "gpu" : "nic", i);
            }
            ask_pairs(node, pairs, are_grouped);
            const ClaimAnswer answer = node.answer();
            EXPECT_EQ(answer.status, Status::infeasible);
            EXPECT_LE(answer.steps, 50U * pairs);
        }
    }
}

TEST(Claim, SaysNoToCpusOneShortInEachNumaNode) {
    for (const std::uint32_t cpus : {20U, 32U}) {
        Node node(0);
        DeviceSlice slice = node.world().slices.front();
        slice.name = "n1-cpu";
        slice.driver = "cpu";
        for (std::uint32_t i = 0; i < 2 * (cpus - 1); ++i) {
            slice.devices.push_back(
                device("cpu" + std::to_string(i), i / (cpus - 1), 0));
        }
        node.world().slices = {slice};
        node.question().outcomes = {
            std::vector<SelectorOutcome>(slice.devices.size(), SelectorOutcome::yes)};
        node.ask({want("c", gpu, cpus)}, {match(numa)});
        const ClaimAnswer answer = node.answer();
        EXPECT_EQ(answer.status, Status::infeasible);
        EXPECT_LE(answer.steps, std::uint64_t{cpus} * cpus);
    }
}

TEST(Claim, EndsAtTheStepLimitWithoutAnAnswer) {
    Node node(8, 8);
    ask_pairs(node, 8, false);
    const ClaimAnswer answer = node.answer({3});
    EXPECT_EQ(answer.status, Status::unknown);
    EXPECT_TRUE(answer.allocation.empty());
}

}  // namespace
}  // namespace topoalloc
