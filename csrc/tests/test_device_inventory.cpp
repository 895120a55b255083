// SPDX-License-Identifier: Apache-2.0
//
// A DeviceInventory answers as the world does that it holds, however it came about.
#include "inventory_builder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace topoalloc::oracle {
namespace {

constexpr auto first = ClaimChoice::first_fit;
constexpr auto best = ClaimChoice::optimal;

void expect_equal(const ClaimAnswer& ours, const ClaimAnswer& theirs) {
    EXPECT_EQ(ours.status, theirs.status);
    EXPECT_EQ(ours.allocation, theirs.allocation);
    EXPECT_EQ(ours.fault, theirs.fault);
    EXPECT_EQ(ours.steps, theirs.steps);
    EXPECT_EQ(ours.cost, theirs.cost);
}

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t end) {
    return random() % end;
}

// Fills an inventory with the world in some order, with much that comes and goes.
class Churn {
  public:
    Churn(DeviceInventory& inventory, const ClaimWorld& world, Random& random)
        : inventory_(inventory), world_(world), random_(random) {}

    void run() {
        inventory_.set_node(world_.node);
        std::vector<DeviceSlice> slices = world_.slices;
        std::ranges::shuffle(slices, random_);
        for (const DeviceSlice& slice : slices) {
            add(slice);
        }
        add_claims();
    }

  private:
    void add(const DeviceSlice& slice) {
        if (below(random_, 3) == 0) {
            DeviceSlice other = slice;
            other.pool = "another";
            other.generation += 7;
            inventory_.set_slice(other);
        }
        if (below(random_, 4) == 0) {
            DeviceSlice other = slice;
            other.target = {NodeTarget::Kind::all, {}, {}};
            other.devices.clear();
            inventory_.set_slice(other);
        }
        inventory_.set_slice(slice);
        if (below(random_, 4) == 0) {
            std::ignore = inventory_.ask(world_.node.name, PreparedClaims{}, first, {});
            EXPECT_TRUE(inventory_.remove_slice(slice.name));
            EXPECT_FALSE(inventory_.remove_slice(slice.name));
            inventory_.set_slice(slice);
        }
    }

    void add_claims() {
        std::map<std::string, std::vector<TakenDevice>> taken;
        for (const TakenDevice& device : world_.taken) {
            taken["claim" + std::to_string(below(random_, 3))].push_back(device);
        }
        if (!world_.taken.empty()) {
            inventory_.set_taken("claim0", world_.taken);
            inventory_.set_taken("gone", world_.taken);
        }
        std::ignore = inventory_.ask(world_.node.name, PreparedClaims{}, first, {});
        inventory_.set_taken("gone", {});
        inventory_.set_taken("claim0", {});
        for (const auto& [claim, devices] : taken) {
            inventory_.set_taken(claim, devices);
        }
    }

    DeviceInventory& inventory_;
    const ClaimWorld& world_;
    Random& random_;
};

TEST(DeviceInventory, AnswersAsTheWorldThatItHolds) {
    std::size_t found = 0;
    std::size_t faults = 0;
    for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
        ClaimInstance instance =
            seed % 4 == 0 ? make_structured_claim(seed) : make_claim_instance(seed);
        tell_apart(instance);
        Random random(seed);
        DeviceInventory inventory(instance.world.semantics);
        Churn(inventory, instance.world, random).run();
        const ClaimAnswer expected = first_fit(instance.world, instance.question, {});
        expect_equal(ask(inventory, instance, first).answer, expected);
        expect_equal(ask(inventory, instance, best).answer,
                     best_fit(instance.world, instance.question, {}));
        found += expected.status == Status::optimal ? 1 : 0;
        faults += expected.fault ? 1 : 0;
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << "\n"
                                                  << dump(instance);
    }
    EXPECT_GT(found, 500U);
    EXPECT_GT(faults, 60U);
}

ClaimInstance two_nodes() {
    ClaimInstance instance;
    instance.world.node.name = "n0";
    add_slice(instance, "s0", devices(2));
    DeviceSlice& other = add_slice(instance, "s1", devices(2));
    other.pool = "q";
    other.target = on("n1");
    ResourceClaimSpec& claim = instance.question.claims.emplace_back();
    claim.name = "ns/c";
    ClaimRequest& request = claim.requests.emplace_back();
    request.name = "r";
    request.demands.emplace_back().selectors = {0};
    instance.question.outcomes = {{yes, yes}};
    return instance;
}

// Asks nodes, and says something of what selectors say until there are answers.
SweepAnswer sweep(DeviceInventory& inventory,
                  const std::vector<std::string>& nodes,
                  const PreparedClaims& claims,
                  ClaimChoice choice) {
    while (true) {
        SweepAnswer out = inventory.ask_nodes(nodes, claims, choice, {});
        if (out.gaps.empty()) {
            return out;
        }
        for (const SelectorGap& gap : out.gaps) {
            const std::size_t outcome = (gap.selector + 2 * gap.place.device) % 7;
            auto said = outcome == 1 ? SelectorOutcome::no : SelectorOutcome::yes;
            said = outcome == 0 ? SelectorOutcome::error : said;
            inventory.set_outcome(gap, said);
        }
    }
}

TEST(DeviceInventory, SweepsNodesAsItAsksEach) {
    std::size_t nodes_asked = 0;
    std::size_t answers = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        const ClaimInstance instance = make_claim_instance(seed);
        Random random(seed);
        DeviceInventory inventory(instance.world.semantics);
        Churn(inventory, instance.world, random).run();
        // Some are as the first node is, some have been added to.
        std::vector<std::string> nodes{instance.world.node.name, "unknown"};
        for (int number = 0; number < 4; ++number) {
            nodes.push_back("copy" + std::to_string(number));
            ClaimNode copy = instance.world.node;
            copy.name = nodes.back();
            inventory.set_node(copy);
            for (DeviceSlice slice : instance.world.slices) {
                if (slice.target.kind != NodeTarget::Kind::name) {
                    continue;
                }
                slice.name += copy.name;
                slice.pool += copy.name;
                slice.target.name = copy.name;
                if (number == 3 && !slice.devices.empty()) {
                    slice.devices.pop_back();
                }
                inventory.set_slice(slice);
            }
        }
        const PreparedClaims claims = prepared(instance.question);
        for (const ClaimChoice choice : {first, best}) {
            const SweepAnswer found = sweep(inventory, nodes, claims, choice);
            nodes_asked += nodes.size();
            answers += found.answers.size();
            for (std::size_t n = 0; n < nodes.size(); ++n) {
                const InventoryAnswer alone =
                    inventory.ask(nodes[n], claims, choice, {});
                const InventoryAnswer swept = found.at(n);
                expect_equal(swept.answer, alone.answer);
                EXPECT_EQ(swept.outcomes, alone.outcomes);
                for (const auto& claim : swept.answer.allocation) {
                    for (const ChosenRequest& request : claim) {
                        for (const ChosenDevice& device : request.devices) {
                            EXPECT_EQ(device_of(*swept.view, device.position),
                                      device_of(*alone.view, device.position));
                        }
                    }
                }
            }
        }
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << "\n"
                                                  << dump(instance);
    }
    EXPECT_LT(2 * answers, nodes_asked);
    EXPECT_GT(8 * answers, nodes_asked);
}

TEST(DeviceInventory, AsksASelectorOnceOfWhatIsEqualToIt) {
    const ClaimInstance instance = two_nodes();
    DeviceInventory inventory;
    for (const DeviceSlice& slice : instance.world.slices) {
        inventory.set_slice(slice);
    }
    const PreparedClaims claims = prepared(instance.question);
    const InventoryAnswer before = inventory.ask("n0", claims, first, {});
    ASSERT_EQ(before.gaps.size(), 1U);  // Both devices of the slice are equal to it.
    inventory.set_outcome(before.gaps[0], yes);
    EXPECT_EQ(inventory.ask("n0", claims, first, {}).answer.status, Status::optimal);
    EXPECT_TRUE(inventory.ask("n1", claims, first, {}).gaps.empty());
    inventory.forget_outcomes();
    EXPECT_EQ(inventory.ask("n1", claims, first, {}).gaps.size(), 1U);
}

TEST(DeviceInventory, KnowsNodesByNameAndBySlice) {
    const ClaimInstance instance = two_nodes();
    DeviceInventory inventory;
    inventory.set_node({"bare", {}});
    inventory.set_slice(instance.world.slices[1]);
    EXPECT_EQ(inventory.node_names(), (std::vector<std::string>{"bare", "n1"}));
    EXPECT_TRUE(inventory.remove_node("bare"));
    EXPECT_FALSE(inventory.remove_node("bare"));
    EXPECT_EQ(inventory.node_names(), std::vector<std::string>{"n1"});
}

TEST(DeviceInventory, LeavesAnAnswerWithTheViewThatItIsOf) {
    const ClaimInstance instance = two_nodes();
    DeviceInventory inventory;
    inventory.set_slice(instance.world.slices[0]);
    const PreparedClaims claims = prepared(instance.question);
    inventory.set_outcome(inventory.ask("n0", claims, first, {}).gaps[0], yes);
    const InventoryAnswer answer = inventory.ask("n0", claims, first, {});
    EXPECT_TRUE(inventory.remove_slice("s0"));
    EXPECT_EQ(device_of(*answer.view, 1), (DeviceId{"a.io", "p", "d1"}));
    EXPECT_EQ(inventory.ask("n0", claims, first, {}).answer.status, Status::infeasible);
}

}  // namespace
}  // namespace topoalloc::oracle
