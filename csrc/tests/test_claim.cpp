// SPDX-License-Identifier: Apache-2.0
//
// ResourceClaims on one node: what the first fit is, and that "no" costs no more steps
// than there are devices to count. Random questions are in test_claim_oracle.cpp.
#include "topoalloc/claim.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {
namespace {

constexpr std::size_t gpu = 0;
constexpr std::size_t nic = 1;
constexpr const char* numa = "resource.kubernetes.io/numaNode";
constexpr const char* root = "resource.kubernetes.io/pcieRoot";

SliceDevice device(const std::string& name,
                   std::int64_t of_numa,
                   std::uint32_t of_root) {
    SliceDevice out;
    out.name = name;
    out.attributes[numa] = {AttributeKind::integer, {Scalar{of_numa}}, false};
    out.attributes[root] = {
        AttributeKind::text, {Scalar{"pci" + std::to_string(of_root)}}, false};
    return out;
}

// So many devices of each of two drivers on node n1, four to a NUMANode and one to a
// PCI root; selector 0 is true of the first driver's, selector 1 of the second's.
class Node {
  public:
    explicit Node(std::uint32_t gpus, std::uint32_t nics = 0) {
        world_.node.name = "n1";
        add("gpu", gpus);
        add("nic", nics);
        question_.outcomes.resize(2);
        for (std::uint32_t d = 0; d < gpus + nics; ++d) {
            const bool is_gpu = d < gpus;
            question_.outcomes[gpu].push_back(is_gpu ? SelectorOutcome::yes
                                                     : SelectorOutcome::no);
            question_.outcomes[nic].push_back(is_gpu ? SelectorOutcome::no
                                                     : SelectorOutcome::yes);
        }
    }

    ClaimWorld& world() { return world_; }
    ClaimQuestion& question() { return question_; }

    void take(const std::string& driver, std::uint32_t index) {
        world_.taken.push_back(
            {{driver, "n1", driver + std::to_string(index)}, std::nullopt});
    }

    void ask(std::vector<ClaimRequest> requests,
             std::vector<ClaimConstraint> constraints) {
        question_.claims = {{"claim", std::move(requests), std::move(constraints)}};
    }

    [[nodiscard]] ClaimAnswer answer(SearchLimits limits = {}) const {
        return first_fit(world_, question_, limits);
    }

  private:
    void add(const std::string& driver, std::uint32_t count) {
        DeviceSlice slice;
        slice.name = "n1-" + driver;
        slice.driver = driver;
        slice.pool = "n1";
        slice.target.kind = NodeTarget::Kind::name;
        slice.target.name = "n1";
        for (std::uint32_t i = 0; i < count; ++i) {
            slice.devices.push_back(device(driver + std::to_string(i), i / 4, i));
        }
        world_.slices.push_back(std::move(slice));
    }

    ClaimWorld world_;
    ClaimQuestion question_;
};

ClaimRequest want(const std::string& name, std::size_t selector, std::int64_t count) {
    ClaimDemand demand;
    demand.selectors = {selector};
    demand.count = count;
    ClaimRequest request;
    request.name = name;
    request.demands = {demand};
    return request;
}

ClaimConstraint match(const char* attribute, std::vector<std::string> requests = {}) {
    return {false, attribute, std::move(requests)};
}

// GPU and NIC requests under one matchAttribute each, side by side or one kind first.
void ask_pairs(Node& node, std::uint32_t pairs, bool are_grouped) {
    std::vector<ClaimRequest> requests;
    std::vector<ClaimConstraint> constraints;
    for (std::uint32_t i = 0; i < pairs; ++i) {
        const std::string number = std::to_string(i);
        requests.push_back(want("g" + number, gpu, 1));
        if (!are_grouped) {
            requests.push_back(want("n" + number, nic, 1));
        }
        constraints.push_back(match(root, {"g" + number, "n" + number}));
    }
    for (std::uint32_t i = 0; are_grouped && i < pairs; ++i) {
        requests.push_back(want("n" + std::to_string(i), nic, 1));
    }
    node.ask(std::move(requests), std::move(constraints));
}

std::vector<std::size_t> positions(const ClaimAnswer& answer) {
    std::vector<std::size_t> out;
    for (const auto& claim : answer.allocation) {
        for (const ChosenRequest& request : claim) {
            for (const ChosenDevice& chosen : request.devices) {
                out.push_back(chosen.position);
            }
        }
    }
    return out;
}

using Positions = std::vector<std::size_t>;

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
