// SPDX-License-Identifier: Apache-2.0
//
// Rails: the same indices of devices on every node. Examples counted by hand, and
// random small Clusters against an enumeration of all lists and plans.
#include "oracle/rail_compare.hpp"
#include "small_machine.hpp"
#include "topoalloc/cluster.hpp"
#include "topoalloc/errors.hpp"
#include "topoalloc/gang_explanation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace topoalloc {
namespace {

using testing::message_of;
using testing::small_machine;
using testing::want;

std::shared_ptr<const Request> nics(std::uint32_t count,
                                    const std::function<void(Request&)>& change = {}) {
    Request request;
    request.devices.push_back(want("nic", count));
    if (change) {
        change(request);
    }
    return std::make_shared<const Request>(std::move(request));
}

PodSet podset(const std::string& name, std::uint32_t nic_count, std::uint32_t count) {
    PodSet out;
    out.name = name;
    out.request = nics(nic_count);
    out.count = out.min_count = count;
    out.require.emplace_back(Rails{"nic"});
    return out;
}

std::shared_ptr<const Gang> gang(const std::string& name,
                                 std::vector<PodSet> podsets,
                                 std::int32_t priority = 0) {
    Gang out;
    out.name = name;
    out.podsets = std::move(podsets);
    out.priority = priority;
    return std::make_shared<const Gang>(std::move(out));
}

// Nodes n0, n1, ... in racks of two.
std::unique_ptr<Cluster> nodes(
    std::uint32_t count,
    const std::shared_ptr<const Machine>& machine = small_machine()) {
    auto cluster =
        std::make_unique<Cluster>(std::vector<ClusterTree>{{"network", {"rack"}}});
    for (std::uint32_t n = 0; n < count; ++n) {
        NodeDescription node;
        node.name = "n" + std::to_string(n);
        node.machine = machine;
        node.domains = {{"rack", "r" + std::to_string(n / 2)}};
        cluster->add_nodes({node});
    }
    return cluster;
}

void cordon(Cluster& cluster, const std::string& node, const std::string& device) {
    const auto allocator = cluster.node(node);
    allocator->cordon_device(allocator->machine()->find_device(device), true);
}

// "n0" -> the indices of the devices of each of its pods, by rank.
using Held = std::map<std::string, std::vector<RailSet>>;

RailSet indices(const Placement& placement,
                const Machine& machine,
                const std::string& device_class) {
    RailSet out;
    for (const DeviceGrant& grant : placement.devices) {
        const Device& device = machine.devices()[grant.device];
        if (device.device_class == device_class) {
            out.push_back(device.index);
        }
    }
    return out;
}

Held held(const std::vector<PodPlace>& pods, const std::string& device_class = "nic") {
    Held out;
    for (const PodPlace& pod : pods) {
        out[pod.node].push_back(indices(*pod.placement, *pod.machine, device_class));
    }
    return out;
}

GangRails lists(const std::vector<RailSet>& sets) {
    GangRails out(1);
    for (const RailSet& set : sets) {
        out.front().push_back({set});
    }
    return out;
}

std::set<std::string> paths(const GangExplanation& why) {
    std::set<std::string> out;
    for (const ConflictItem& item : why.conflict) {
        out.insert(item.path);
    }
    return out;
}

TEST(Rails, GiveTheSameIndicesOnEveryNode) {
    const auto cluster = nodes(3);
    cordon(*cluster, "n1", "nic0");
    cordon(*cluster, "n2", "nic2");
    PodSet workers = podset("w", 1, 3);
    workers.require.emplace_back(Spread{"node", 1});
    const GangPlan plan = cluster->place(gang("g", {workers}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(held(plan.pods), (Held{{"n0", {{1}}}, {"n1", {{1}}}, {"n2", {{1}}}}));
    EXPECT_EQ(plan.rails, lists({{1}}));
    workers.require.erase(workers.require.begin());
    const GangPlan free = cluster->place(gang("g", {workers}));
    EXPECT_EQ(held(free.pods), (Held{{"n0", {{0}}}, {"n1", {{1}}}, {"n2", {{0}}}}));
    EXPECT_TRUE(free.rails.empty());
}

// n0 has NICs 1, 2, 3 and n1 has 0, 2, 3: only two are common, so the third pod on a
// node is one that the other node lacks.
TEST(Rails, OrderTheListByWhatTheNodesShare) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n0", "nic0");
    cordon(*cluster, "n1", "nic1");
    const GangPlan plan = cluster->place(gang("g", {podset("w", 1, 5)}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(held(plan.pods), (Held{{"n0", {{2}, {3}, {1}}}, {"n1", {{2}, {3}}}}));
    EXPECT_EQ(plan.rails, lists({{2}, {3}, {1}}));
    EXPECT_EQ(cluster->check(gang("g", {podset("w", 1, 5)})).status, Status::feasible);
}

TEST(Rails, AreNamedInTheConflictAndTheirDropIsChecked) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n0", "nic0");
    cordon(*cluster, "n1", "nic1");
    const auto asked = gang("g", {podset("w", 1, 6)});
    const GangVerdict verdict = cluster->check(asked);
    EXPECT_EQ(verdict.status, Status::infeasible);
    EXPECT_EQ(verdict.reason, GangReason::podset_conflict);
    EXPECT_EQ(verdict.podset, 0U);
    EXPECT_EQ(cluster->place(asked).verdict.status, Status::infeasible);
    const GangExplanation why = explain(verdict);
    EXPECT_TRUE(why.complete);
    std::vector<std::string> conflict;
    for (const ConflictItem& item : why.conflict) {
        conflict.push_back(item.path + " " + item.text);
    }
    EXPECT_EQ(conflict,
              (std::vector<std::string>{
                  "podsets[0].require[0] w: the same nic indices on every node",
                  "podsets[0].count w: 6 pods"}));
    ASSERT_EQ(why.relaxations.size(), 2U);
    EXPECT_EQ(why.relaxations[0].path, "podsets[0].require[0]");
    EXPECT_EQ(why.relaxations[0].change, "drop");
    EXPECT_EQ(why.relaxations[0].text,
              "fits without w: the same nic indices on every node");
    EXPECT_EQ(why.relaxations[1].change, "count=5");
}

TEST(Rails, TellHowManyFitInTheBestDomain) {
    const auto cluster = nodes(4);
    cordon(*cluster, "n0", "nic0");
    cordon(*cluster, "n1", "nic1");
    cordon(*cluster, "n2", "nic0");
    cordon(*cluster, "n2", "nic3");
    cordon(*cluster, "n3", "nic1");
    PodSet workers = podset("w", 1, 6);
    workers.require.emplace_back(Within{"rack"});
    const GangVerdict verdict = cluster->check(gang("g", {workers}));
    EXPECT_EQ(verdict.status, Status::infeasible);
    const GangExplanation why = explain(verdict);
    ASSERT_EQ(why.domains.size(), 1U);
    EXPECT_EQ(why.domains[0].domain, (std::vector<std::string>{"r0"}));
    EXPECT_EQ(why.domains[0].fits, 5U);
}

TEST(Rails, CountWholeSets) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n0", "nic1");
    const GangPlan plan = cluster->place(gang("g", {podset("w", 2, 3)}));
    EXPECT_EQ(plan.rails, lists({{0, 2}, {1, 3}}));
    EXPECT_EQ(held(plan.pods), (Held{{"n0", {{0, 2}}}, {"n1", {{0, 2}, {1, 3}}}}));
    EXPECT_EQ(cluster->check(gang("g", {podset("w", 2, 4)})).status,
              Status::infeasible);
    const GangPlan two = cluster->place(gang("g", {podset("w", 2, 2)}));
    EXPECT_EQ(held(two.pods), (Held{{"n1", {{0, 1}, {2, 3}}}}));
    PodSet spread = podset("w", 2, 2);
    spread.require.emplace_back(Spread{"node", 1});
    EXPECT_EQ(held(cluster->place(gang("g", {spread})).pods),
              (Held{{"n0", {{0, 2}}}, {"n1", {{0, 2}}}}));
}

TEST(Rails, OfSeveralClassesHoldTogether) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n0", "gpu0");
    cordon(*cluster, "n1", "nic1");
    PodSet workers = podset("w", 1, 2);
    workers.request = nics(1, [](Request& request) {
        request.devices.insert(request.devices.begin(), want("gpu", 1));
        request.require.emplace_back(Pair{"gpu", "nic", Level::bridges, 1, 1});
    });
    workers.require = {Rails{"nic"}, Spread{"node", 1}, Rails{"gpu"}};
    const GangPlan plan = cluster->place(gang("g", {workers}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(held(plan.pods, "gpu"), (Held{{"n0", {{2}}}, {"n1", {{2}}}}));
    EXPECT_EQ(plan.rails, (GangRails{{{{2}, {2}}}}));
}

TEST(Rails, OfSeveralPodSetsAreListsOfTheirOwn) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n1", "nic0");
    PodSet leader = podset("leader", 1, 1);
    PodSet workers = podset("worker", 1, 6);
    const GangPlan plan = cluster->place(gang("g", {leader, workers}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    // The leader has the NIC that the other node lacks.
    EXPECT_EQ(plan.rails, (GangRails{{{{0}}}, {{{1}}, {{2}}, {{3}}}}));
}

TEST(Rails, MayShareADevice) {
    const auto machine = small_machine([](MachineSpec& spec) {
        for (DeviceSpec& device : spec.devices) {
            if (device.device_class == "nic") {
                device.capacities["bandwidth"] = 2;
            }
        }
    });
    const auto cluster = nodes(2, machine);
    cordon(*cluster, "n0", "nic0");
    PodSet workers = podset("w", 1, 4);
    workers.request = nics(1, [](Request& request) {
        request.devices.front().share = {{"bandwidth", 1}};
    });
    workers.slices.push_back({"node", 2});
    const auto asked = gang("g", {workers});
    const GangPlan plan = cluster->place(asked);
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(plan.rails, lists({{1}, {1}, {2}, {2}}));
    EXPECT_EQ(plan.cost.nodes, 1);
    cluster->commit(plan);
    cluster->release("g", {{{"w", 0}, {"w", 3}}});
    const ClusterChange change = cluster->grow("g");
    EXPECT_EQ(change.verdict.status, Status::optimal);
    cluster->commit(change);
    EXPECT_EQ(cluster->gangs().at("g").rails, plan.rails);
}

TEST(Rails, ReadTheDevicesThatARequestAllows) {
    const auto cluster = nodes(2);
    PodSet workers = podset("w", 1, 2);
    workers.request = nics(1, [](Request& request) {
        request.devices.front().eligible = {"nic3", "0000:32:00.0"};
    });
    workers.require.emplace_back(Spread{"node", 1});
    EXPECT_EQ(cluster->place(gang("g", {workers})).rails, lists({{2}}));
}

TEST(Rails, KnowMachinesThatLackADevice) {
    const auto less = small_machine(
        [](MachineSpec& spec) { spec.devices.erase(spec.devices.begin() + 7); });
    const auto cluster = nodes(1);
    NodeDescription other;
    other.name = "n1";
    other.machine = less;
    other.domains = {{"rack", "r0"}};
    cluster->add_nodes({other});
    PodSet workers = podset("w", 2, 2);
    workers.require.emplace_back(Spread{"node", 1});
    cordon(*cluster, "n0", "nic0");
    EXPECT_EQ(cluster->place(gang("g", {workers})).rails, lists({{1, 2}}));
    cordon(*cluster, "n0", "nic1");
    EXPECT_EQ(cluster->check(gang("g", {workers})).status, Status::infeasible);
}

TEST(Rails, AreKeptByReplaceAndExtendedByGrow) {
    const auto cluster = nodes(4);
    cordon(*cluster, "n0", "nic0");
    cordon(*cluster, "n3", "nic2");
    PodSet workers = podset("w", 1, 5);
    workers.min_count = 3;
    workers.require.emplace_back(Spread{"node", 2});
    cluster->node("n2")->take({{}, {}, {}, {{1, {}}}, {}, {}}, "other");  // nic0
    const auto asked = gang("g", {workers});
    cluster->cordon_node("n2", true);
    cluster->cordon_node("n3", true);
    const GangPlan plan = cluster->place(asked);
    EXPECT_EQ(plan.rails, lists({{1}, {2}}));
    EXPECT_EQ(plan.pods.size(), 4U);
    cluster->commit(plan);
    EXPECT_EQ(cluster->gangs().at("g").rails, lists({{1}, {2}}));
    cluster->cordon_node("n2", false);
    cluster->cordon_node("n3", false);
    // n3 lacks nic2: two pods on it would break the list.
    const ClusterChange change = cluster->replace("g", {"n1"});
    EXPECT_EQ(change.verdict.status, Status::optimal);
    ASSERT_EQ(change.rails.size(), 1U);
    EXPECT_EQ(change.rails.front().second, lists({{1}, {2}}));
    cluster->commit(change);
    EXPECT_EQ(held(cluster->gangs().at("g").pods),
              (Held{{"n0", {{1}, {2}}}, {"n2", {{1}, {2}}}}));
    const ClusterChange more = cluster->grow("g");
    EXPECT_EQ(more.moves.size(), 1U);
    cluster->commit(more);
    EXPECT_EQ(cluster->gangs().at("g").rails, lists({{1}, {2}}));
    cluster->check_consistency();
}

TEST(Rails, OfANewPodAreThoseThatNoPodOnItsNodeHas) {
    const auto cluster = nodes(1);
    const auto asked = gang("g", {podset("w", 1, 3)});
    cluster->commit(cluster->place(asked));
    cluster->release("g", {{{"w", 0}}});
    const ClusterChange change = cluster->grow("g");
    ASSERT_EQ(change.moves.size(), 1U);
    EXPECT_EQ(indices(*change.moves.front().to->placement,
                      *change.moves.front().to->machine,
                      "nic"),
              (RailSet{0}));
    // The first place is the next one: when its device is away, there is none.
    cordon(*cluster, "n0", "nic0");
    const ClusterChange no = cluster->grow("g");
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    // The explanation asks with the lists that run: with others it would fit.
    const GangExplanation why = explain(no, cluster->trees());
    EXPECT_TRUE(why.complete);
    EXPECT_EQ(paths(why),
              (std::set<std::string>{"podsets[0].require[0]", "podsets[0].count"}));
    EXPECT_NE(
        why.prose().find("It fits without w: the same nic indices on every node."),
        std::string::npos);
}

// Of two Rails the one that stays keeps its sets.
TEST(Rails, OfSeveralClassesAreDroppedOneByOneWhereAGangRuns) {
    const auto cluster = nodes(1);
    PodSet workers = podset("w", 1, 3);
    workers.request = nics(
        1, [](Request& r) { r.devices.insert(r.devices.begin(), want("gpu", 1)); });
    workers.require.emplace_back(Rails{"gpu"});
    cluster->commit(cluster->place(gang("g", {workers})));
    cluster->release("g", {{{"w", 0}}});
    cordon(*cluster, "n0", "gpu0");
    const ClusterChange no = cluster->grow("g");
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    const GangExplanation why = explain(no, cluster->trees());
    EXPECT_TRUE(why.complete);
    EXPECT_EQ(paths(why),
              (std::set<std::string>{"podsets[0].require[1]", "podsets[0].count"}));
}

TEST(Rails, GoWithPodsThatADrainMoves) {
    const auto cluster = nodes(3);
    cordon(*cluster, "n1", "nic0");
    cordon(*cluster, "n2", "nic1");
    PodSet workers = podset("w", 1, 2);
    workers.require.emplace_back(Spread{"node", 1});
    cluster->cordon_node("n1", true);
    cluster->commit(cluster->place(gang("a", {workers})));
    EXPECT_EQ(cluster->gangs().at("a").rails, lists({{0}}));
    cluster->cordon_node("n1", false);
    EXPECT_EQ(cluster->drain({"n0"}).verdict.status, Status::infeasible);
    const auto allocator = cluster->node("n1");
    allocator->cordon_device(allocator->machine()->find_device("nic0"), false);
    const ClusterChange change = cluster->drain({"n0"});
    EXPECT_EQ(change.verdict.status, Status::optimal);
    cluster->commit(change);
    EXPECT_EQ(held(cluster->gangs().at("a").pods),
              (Held{{"n1", {{0}}}, {"n2", {{0}}}}));
}

TEST(Rails, DecideWhoIsPreempted) {
    const auto cluster = nodes(2);
    PodSet one = podset("w", 1, 1);
    one.require.clear();
    // Fills n0 nic by nic, then n1.
    for (std::uint32_t i = 0; i < 5; ++i) {
        cluster->commit(cluster->place(gang("g" + std::to_string(i), {one})));
    }
    PodSet workers = podset("w", 1, 2);
    workers.require.emplace_back(Spread{"node", 1});
    const ClusterChange change = cluster->preempt(gang("top", {workers}, 1));
    EXPECT_EQ(change.verdict.status, Status::optimal);
    // n1 has nic1, nic2 and nic3: any of g1, g2 and g3 makes room, the first by name.
    EXPECT_EQ(change.victims, (std::vector<std::string>{"g1"}));
    cluster->commit(change);
    EXPECT_EQ(cluster->gangs().at("top").rails, lists({{1}}));
}

TEST(Rails, AreKeptByPodsThatADefragmentationMoves) {
    const auto cluster = nodes(3);
    cordon(*cluster, "n1", "nic0");
    PodSet one = podset("w", 2, 1);
    cluster->cordon_node("n1", true);
    cluster->cordon_node("n2", true);
    cluster->commit(cluster->place(gang("a", {one})));
    cluster->cordon_node("n2", false);
    cluster->cordon_node("n1", false);
    EXPECT_EQ(cluster->gangs().at("a").rails, lists({{0, 1}}));
    PodSet whole = podset("w", 4, 2);
    const auto asked = gang("new", {whole});
    EXPECT_EQ(cluster->check(asked).status, Status::infeasible);
    // n1 lacks nic0: the pod of `a` has no other node when n0 and n2 are taken.
    EXPECT_EQ(cluster->defragment(asked).verdict.status, Status::infeasible);
    const auto allocator = cluster->node("n1");
    const Machine& machine = *allocator->machine();
    allocator->cordon_device(machine.find_device("nic0"), false);
    allocator->cordon_device(machine.find_device("nic3"), true);
    const ClusterChange change = cluster->defragment(asked);
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.least, 1U);
    cluster->commit(change);
    EXPECT_EQ(held(cluster->gangs().at("a").pods), (Held{{"n1", {{0, 1}}}}));
    cluster->check_consistency();
}

TEST(Rails, AreAdoptedWithTheirPods) {
    const auto cluster = nodes(2);
    cordon(*cluster, "n1", "nic0");
    PodSet workers = podset("w", 1, 2);
    workers.require.emplace_back(Spread{"node", 1});
    const auto asked = gang("g", {workers});
    const GangPlan plan = cluster->place(asked);
    for (const PodPlace& pod : plan.pods) {
        cluster->node(pod.node)->take(*pod.placement, pod_owner(*asked, 0, pod.index));
    }
    const std::vector<PodPlace> pods{{0, 0, "n0", nullptr}, {0, 1, "n1", nullptr}};
    const auto refused = [&](const GangRails& rails) {
        return message_of<InvalidRequestError>(
            [&] { cluster->adopt(asked, pods, rails); });
    };
    const std::string too_short =
        "rails.w: 0 entries, want 1 or more: so many pods are on node 'n0'";
    EXPECT_EQ(refused({}), too_short);
    EXPECT_EQ(refused(lists({})), too_short);
    EXPECT_EQ(refused(lists({{1, 2}})),
              "rails.w[0].nic: no set of the Request, want 1 indices, ascending");
    EXPECT_EQ(refused({{{{1}, {1}}}}),
              "rails.w[0]: 2 sets, want 1, one for each Rails");
    EXPECT_EQ(refused({{}, {}}), "rails: 2 lists, want one for each PodSet");
    cluster->adopt(asked, pods, lists({{1}, {0}}));
    EXPECT_EQ(cluster->gangs().at("g").rails, lists({{1}, {0}}));
}

TEST(Rails, AreHonestAtTheStepLimit) {
    const auto cluster = nodes(4);
    cordon(*cluster, "n0", "nic0");
    cordon(*cluster, "n1", "nic1");
    const auto asked = gang("g", {podset("w", 1, 12)});
    EXPECT_EQ(cluster->place(asked, {0}).verdict.status, Status::unknown);
    bool was_optimal = false;
    std::uint64_t steps = 1;
    for (; steps < 100'000 && !was_optimal; steps = steps * 5 / 4 + 1) {
        const GangPlan plan = cluster->place(asked, {steps});
        const GangPlan again = cluster->place(asked, {steps});
        EXPECT_EQ(plan.verdict.status, again.verdict.status);
        EXPECT_EQ(plan.verdict.steps, again.verdict.steps);
        EXPECT_EQ(plan.rails, again.rails);
        EXPECT_NE(plan.verdict.status, Status::infeasible);
        was_optimal = plan.verdict.status == Status::optimal;
    }
    EXPECT_TRUE(was_optimal);
}

TEST(Rails, AreRefusedWhereTheyMeanNothing) {
    const auto message = [](PodSet podset) {
        const auto asked = gang("g", {std::move(podset)});
        return message_of<InvalidRequestError>([&] { asked->validate(); });
    };
    PodSet of_none = podset("w", 1, 1);
    of_none.require = {Within{"rack"}, Rails{"gpu"}};
    EXPECT_EQ(
        message(of_none),
        "gang.podsets[0].require[1].device_class: 'gpu', want a class of which the "
        "request asks for devices");
    PodSet twice = podset("w", 1, 1);
    twice.require.emplace_back(Rails{"nic"});
    EXPECT_EQ(message(twice),
              "gang.podsets[0].require[1].device_class: 'nic' twice, want each class "
              "once");
    PodSet preferred = podset("w", 1, 1);
    preferred.prefer.emplace_back(Rails{"nic"});
    EXPECT_EQ(
        message(preferred),
        "gang.podsets[0].prefer[0]: Rails, want Within, Spread or Balanced: Rails "
        "are required");
    PodSet parts = podset("w", 1, 1);
    parts.request =
        nics(1, [](Request& request) { request.devices.front().partition = "vf"; });
    EXPECT_EQ(
        message(parts),
        "gang.podsets[0].require[0].device_class: 'nic' in partitions, want whole "
        "devices or shares of them");
    const auto cluster = nodes(1);
    EXPECT_THROW(cluster->register_shape(*gang("g", {podset("w", 1, 1)})),
                 InvalidRequestError);
}

TEST(Rails, AgreeWithAnEnumerationOfAllLists) {
    std::uint64_t plans = 0;
    std::uint64_t tight = 0;
    std::uint64_t replaced = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        const oracle::RailComparison found = oracle::compare_rails(seed);
        ASSERT_EQ(found.difference, "") << "seed " << seed;
        plans += found.has_plan ? 1 : 0;
        tight += found.is_tight ? 1 : 0;
        replaced += found.has_replaced ? 1 : 0;
    }
    EXPECT_GT(plans, 100U);
    EXPECT_GT(tight, 15U);
    EXPECT_GT(replaced, 100U);
}

}  // namespace
}  // namespace topoalloc
