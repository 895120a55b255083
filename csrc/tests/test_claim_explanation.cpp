// SPDX-License-Identifier: Apache-2.0
//
// Explanations of claims against brute force: what they say holds.
#include "inventory_builder.hpp"
#include "topoalloc/claim_explanation.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace topoalloc::oracle {
namespace {

using Kind = ClaimItem::Kind;
using Items = std::vector<ClaimItem>;

std::string holder_of(std::size_t taken) {
    return "holder" + std::to_string(taken % 3);
}

void fill(DeviceInventory& inventory, const ClaimWorld& world) {
    inventory.set_node(world.node);
    for (const DeviceSlice& slice : world.slices) {
        inventory.set_slice(slice);
    }
    std::map<std::string, std::vector<TakenDevice>> taken;
    for (std::size_t t = 0; t < world.taken.size(); ++t) {
        taken[holder_of(t)].push_back(world.taken[t]);
    }
    for (const auto& [claim, devices] : taken) {
        inventory.set_taken(claim, devices);
    }
}

bool has(const Items& items, const ClaimItem& item) {
    return std::ranges::find(items, item) != items.end();
}

// The instance without some items, by the words of the definition.
ClaimInstance without(const ClaimInstance& instance, const Items& items) {
    ClaimInstance out = instance;
    out.world.taken.clear();
    for (std::size_t t = 0; t < instance.world.taken.size(); ++t) {
        if (!has(items, {Kind::holder, 0, 0, holder_of(t)})) {
            out.world.taken.push_back(instance.world.taken[t]);
        }
    }
    if (has(items, {Kind::taints, 0, 0, {}})) {
        out.world.semantics.taints = false;
    }
    for (std::size_t c = 0; c < out.question.claims.size(); ++c) {
        ResourceClaimSpec& claim = out.question.claims[c];
        const ResourceClaimSpec& all = instance.question.claims[c];
        claim.requests.clear();
        claim.constraints.clear();
        Names gone;
        for (std::size_t r = 0; r < all.requests.size(); ++r) {
            if (!has(items, {Kind::request, c, r, {}})) {
                claim.requests.push_back(all.requests[r]);
                continue;
            }
            gone.push_back(all.requests[r].name);
            for (const ClaimDemand& demand : all.requests[r].demands) {
                gone.push_back(all.requests[r].name + "/" + demand.name);
            }
        }
        for (std::size_t i = 0; i < all.constraints.size(); ++i) {
            ClaimConstraint kept = all.constraints[i];
            const bool had = !kept.requests.empty();
            std::erase_if(kept.requests, [&](const std::string& name) {
                return std::ranges::find(gone, name) != gone.end();
            });
            if (!has(items, {Kind::constraint, c, i, {}}) &&
                !(had && kept.requests.empty())) {
                claim.constraints.push_back(kept);
            }
        }
    }
    return out;
}

Items all_items(const ClaimInstance& instance) {
    Items out;
    for (std::size_t t = 0; t < std::min<std::size_t>(3, instance.world.taken.size());
         ++t) {
        out.push_back({Kind::holder, 0, 0, holder_of(t)});
    }
    out.push_back({Kind::taints, 0, 0, {}});
    for (std::size_t c = 0; c < instance.question.claims.size(); ++c) {
        const ResourceClaimSpec& claim = instance.question.claims[c];
        for (std::size_t i = 0; i < claim.constraints.size(); ++i) {
            out.push_back({Kind::constraint, c, i, {}});
        }
        for (std::size_t i = 0; i < claim.requests.size(); ++i) {
            out.push_back({Kind::request, c, i, {}});
        }
    }
    return out;
}

// Nullopt: too many tries, nothing is known.
std::optional<bool> fits(const ClaimInstance& instance) {
    const BruteClaims found =
        brute_first_fit(instance.world, instance.question, 20'000);
    return found.is_counted ? std::optional(found.allocation.has_value())
                            : std::nullopt;
}

class Judge {
  public:
    Judge(const ClaimInstance& instance, const ClaimExplanation& explanation)
        : instance_(instance), explanation_(explanation) {}

    void run() {
        EXPECT_TRUE(explanation_.is_complete);
        EXPECT_FALSE(explanation_.conflict.empty());
        judge_conflict();
        judge_relaxations();
    }

  private:
    static void expect_fits(const ClaimInstance& changed, bool expected) {
        if (const auto found = fits(changed)) {
            EXPECT_EQ(*found, expected);
        }
    }

    void judge_conflict() {
        Items others = all_items(instance_);
        std::erase_if(others, [&](const ClaimItem& item) {
            return has(explanation_.conflict, item);
        });
        expect_fits(without(instance_, others), false);
        for (const ClaimItem& item : explanation_.conflict) {
            Items dropped = others;
            dropped.push_back(item);
            expect_fits(without(instance_, dropped), true);
        }
    }

    void judge_relaxations() {
        Items helps;
        for (const ClaimRelaxation& change : explanation_.relaxations) {
            if (change.kind == ClaimRelaxation::Kind::drop) {
                helps.push_back(change.item);
                continue;
            }
            ClaimInstance fewer = instance_;
            std::int64_t& count = fewer.question.claims[change.item.claim]
                                      .requests[change.item.index]
                                      .demands.front()
                                      .count;
            EXPECT_LT(change.count, count);
            count = change.count;
            expect_fits(fewer, true);
            ++count;
            expect_fits(fewer, false);
        }
        for (const ClaimItem& item : all_items(instance_)) {
            expect_fits(without(instance_, {item}), has(helps, item));
        }
    }

    const ClaimInstance& instance_;
    const ClaimExplanation& explanation_;
};

TEST(ClaimExplanation, SaysWhatBruteForceSays) {
    std::size_t explained = 0;
    std::size_t counts = 0;
    for (std::uint64_t seed = 1; seed <= 1200; ++seed) {
        ClaimInstance instance =
            seed % 3 == 0 ? make_structured_claim(seed) : make_claim_instance(seed);
        tell_apart(instance);
        DeviceInventory inventory(instance.world.semantics);
        fill(inventory, instance.world);
        const InventoryAnswer answer = ask(inventory, instance, ClaimChoice::optimal);
        const ClaimExplanation explanation =
            explain(answer, prepared(instance.question));
        if (answer.answer.fault || answer.answer.status != Status::infeasible) {
            EXPECT_TRUE(explanation.conflict.empty());
            continue;
        }
        ++explained;
        counts +=
            static_cast<std::size_t>(std::ranges::count(explanation.relaxations,
                                                        ClaimRelaxation::Kind::count,
                                                        &ClaimRelaxation::kind));
        Judge(instance, explanation).run();
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << "\n"
                                                  << dump(instance);
    }
    EXPECT_GT(explained, 400U);
    EXPECT_GT(counts, 20U);
}

TEST(ClaimExplanation, CountsWhatIsLeftAfterEachTest) {
    ClaimInstance instance;
    instance.world.node.name = "n0";
    Devices all = devices(6);
    all[1].taints = {{"k", "v", DeviceTaintEffect::no_schedule}};
    all[2].attributes["a.io/x"] = text({"one"});
    all[3].attributes["a.io/x"] = text({"two"});
    add_slice(instance, "s0", all);
    instance.world.taken = {{{"a.io", "p", "d0"}, std::nullopt}};
    ResourceClaimSpec& claim = instance.question.claims.emplace_back();
    ClaimRequest& request = claim.requests.emplace_back();
    request.name = "r";
    ClaimDemand& demand = request.demands.emplace_back();
    demand.selectors = {0};
    demand.count = 2;
    claim.constraints.push_back({false, "a.io/x", {}});
    instance.question.outcomes = {{yes, yes, yes, yes, yes, no}};
    tell_apart(instance);
    DeviceInventory inventory;
    fill(inventory, instance.world);
    const InventoryAnswer answer = ask(inventory, instance, ClaimChoice::optimal);
    EXPECT_EQ(answer.answer.status, Status::infeasible);
    const ClaimExplanation explanation = explain(answer, prepared(instance.question));
    EXPECT_EQ(explanation.counts,
              (std::vector<DemandCounts>{{0, 0, 0, 2, 6, 5, 5, 4, 3, 2}}));
    EXPECT_EQ(explanation.conflict,
              (Items{{Kind::constraint, 0, 0, {}}, {Kind::request, 0, 0, {}}}));
    ASSERT_EQ(explanation.relaxations.size(), 3U);
    EXPECT_EQ(explanation.relaxations[1].count, 1);
}

TEST(ClaimExplanation, SaysThatTheLimitCameFirst) {
    ClaimInstance instance;
    for (std::uint64_t seed = 1; seed < 400; ++seed) {
        instance = make_structured_claim(seed);
        tell_apart(instance);
        DeviceInventory inventory(instance.world.semantics);
        fill(inventory, instance.world);
        const InventoryAnswer answer = ask(inventory, instance, ClaimChoice::optimal);
        if (answer.answer.status != Status::infeasible || answer.answer.fault ||
            answer.answer.steps < 2) {
            continue;
        }
        const ClaimExplanation cut = explain(answer, prepared(instance.question), {1});
        EXPECT_FALSE(cut.is_complete);
        EXPECT_TRUE(cut.conflict.empty());
        return;
    }
    ADD_FAILURE() << "no question took steps to refuse";
}

}  // namespace
}  // namespace topoalloc::oracle
