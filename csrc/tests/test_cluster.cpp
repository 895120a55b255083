// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/cluster.hpp"

#include "small_machine.hpp"
#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

namespace topoalloc {
namespace {

using testing::message_of;
using testing::small_machine;
using testing::want;
using testing::want_cores;

std::shared_ptr<const Request> gpus(std::uint32_t count, std::uint32_t cores = 0) {
    Request request;
    request.cores = cores;
    request.devices.push_back(want("gpu", count));
    return std::make_shared<const Request>(std::move(request));
}

PodSet podset(const std::string& name,
              std::shared_ptr<const Request> request,
              std::uint32_t count) {
    PodSet out;
    out.name = name;
    out.request = std::move(request);
    out.count = out.min_count = count;
    return out;
}

std::shared_ptr<const Gang> gang(const std::string& name, std::vector<PodSet> podsets) {
    Gang out;
    out.name = name;
    out.podsets = std::move(podsets);
    return std::make_shared<const Gang>(std::move(out));
}

NodeDescription node(const std::string& name,
                     std::map<std::string, std::string> domains,
                     const std::shared_ptr<const Machine>& machine) {
    NodeDescription out;
    out.name = name;
    out.machine = machine;
    out.domains = std::move(domains);
    return out;
}

// Two racks of so many small machines each, 4 GPUs and 8 cores a node.
std::unique_ptr<Cluster> two_racks(std::uint32_t nodes) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    const auto machine = small_machine();
    std::vector<NodeDescription> all;
    for (std::uint32_t r = 0; r < 2; ++r) {
        for (std::uint32_t n = 0; n < nodes; ++n) {
            all.push_back(node("n" + std::to_string(r) + std::to_string(n),
                               {{"block", "b0"}, {"rack", "r" + std::to_string(r)}},
                               machine));
        }
    }
    cluster->add_nodes(std::move(all));
    return cluster;
}

std::map<std::string, std::uint32_t> pods_by_node(const GangPlan& plan) {
    std::map<std::string, std::uint32_t> out;
    for (const PodPlace& pod : plan.pods) {
        ++out[pod.node];
    }
    return out;
}

using ByNode = std::map<std::string, std::uint32_t>;

TEST(Cluster, PlacesAGangInTheFewestNodesOfOneRack) {
    const auto cluster = two_racks(3);
    PodSet workers = podset("worker", gpus(2), 4);
    workers.require.emplace_back(Within{"rack"});
    const GangPlan plan = cluster->place(gang("train", {workers}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(plan.verdict.reason, GangReason::placed);
    EXPECT_EQ(pods_by_node(plan), (ByNode{{"n00", 2}, {"n01", 2}}));
    EXPECT_EQ(plan.cost.nodes, 2);
    EXPECT_EQ(plan.cost.domains, (std::vector<std::int64_t>{1, 1}));
    EXPECT_EQ(plan.cost.waste, 2);
    EXPECT_EQ(plan.cost.opened, (std::vector<std::int64_t>{1, 1}));
}

TEST(Cluster, CommitTakesAndReleaseGivesBackAll) {
    const auto cluster = two_racks(2);
    EXPECT_EQ(cluster->state_count(), 1U);
    const GangPlan plan = cluster->place(gang("train", {podset("worker", gpus(4), 3)}));
    cluster->commit(plan);
    cluster->check_consistency();
    EXPECT_EQ(cluster->state_count(), 2U);
    EXPECT_EQ(cluster->gangs().at("train").pods.size(), 3U);
    EXPECT_EQ(cluster->node("n00")->owners_of_device(0),
              (std::vector<std::string>{"train/worker/0"}));
    const auto two_more = gang("more", {podset("worker", gpus(4), 2)});
    const GangVerdict no = cluster->check(two_more);
    EXPECT_EQ(no.status, Status::infeasible);
    EXPECT_EQ(no.reason, GangReason::not_enough_room);
    EXPECT_EQ(no.podset, 0U);
    cluster->release("train", Cluster::PodNames{{"worker", 1}});
    EXPECT_EQ(cluster->check(two_more).status, Status::feasible);
    cluster->release("train");
    cluster->check_consistency();
    EXPECT_EQ(cluster->state_count(), 1U);
    EXPECT_TRUE(cluster->gangs().empty());
}

TEST(Cluster, AdoptsWhatItsNodesHold) {
    const auto cluster = two_racks(2);
    const auto train = gang("train", {podset("worker", gpus(4), 3)});
    const GangPlan plan = cluster->place(train);
    const std::vector<PodPlace> pods = {
        {0, 2, "n10", nullptr}, {0, 0, "n00", nullptr}, {0, 1, "n01", nullptr}};
    EXPECT_EQ(message_of<StateError>([&] { cluster->adopt(train, pods); }),
              "pods: 'train/worker/0' holds nothing on node 'n00', want pods that hold "
              "their places");
    for (const PodPlace& pod : plan.pods) {
        cluster->node(pod.node)->restore_holding(
            pod_owner(*train, pod.podset, pod.index),
            {gpus(4), *pod.placement, Status::optimal});
    }
    EXPECT_TRUE(cluster->gangs().empty());
    auto twice = pods;
    twice.push_back(pods[0]);
    EXPECT_EQ(message_of<InvalidRequestError>([&] { cluster->adopt(train, twice); }),
              "pods: 'train/worker/2' twice, want each once");
    EXPECT_EQ(message_of<InvalidRequestError>([&] { cluster->adopt(train, {}); }),
              "pods: none, want at least one");
    EXPECT_THROW(cluster->adopt(train, {{0, 3, "n00", nullptr}}), InvalidRequestError);
    EXPECT_THROW(cluster->adopt(train, {{1, 0, "n00", nullptr}}), InvalidRequestError);
    EXPECT_TRUE(cluster->gangs().empty());

    cluster->adopt(train, pods);
    cluster->check_consistency();
    const std::vector<PodPlace> running = cluster->gangs().at("train").pods;
    ASSERT_EQ(running.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(running[i].index, i);
        EXPECT_EQ(running[i].node, plan.pods[i].node);
        EXPECT_EQ(*running[i].placement, *plan.pods[i].placement);
        EXPECT_EQ(running[i].machine, plan.pods[i].machine);
    }
    EXPECT_THROW(cluster->adopt(train, pods), StateError);
    cluster->release("train");
    EXPECT_EQ(cluster->state_count(), 1U);
}

TEST(Cluster, AForkIsIndependentAndItsPlanIsGoodWhileNodesAreUnchanged) {
    const auto cluster = two_racks(2);
    const auto fork = cluster->fork();
    const GangPlan a = fork->place(gang("a", {podset("worker", gpus(4), 1)}));
    fork->commit(a);
    EXPECT_TRUE(cluster->gangs().empty());
    const GangPlan b = fork->place(gang("b", {podset("worker", gpus(4), 1)}));
    cluster->commit(a);
    cluster->commit(b);
    EXPECT_THROW(
        cluster->commit(fork->place(gang("c", {podset("worker", gpus(4), 1)}))),
        StaleError);
    fork->commit(b);
    cluster->commit(fork->place(gang("c", {podset("worker", gpus(4), 1)})));
    cluster->check_consistency();
    fork->check_consistency();
    EXPECT_EQ(cluster->gangs().size(), 3U);
    EXPECT_EQ(fork->gangs().size(), 2U);
}

TEST(Cluster, ANodesAllocatorIsTheNode) {
    const auto cluster = two_racks(1);
    const auto node = cluster->node("n00");
    const auto request = compile(node->machine(), *gpus(4));
    EXPECT_EQ(node->allocate(request, "pod").answer.status, Status::optimal);
    cluster->check_consistency();
    const auto big = gang("big", {podset("worker", gpus(4), 2)});
    EXPECT_EQ(cluster->check(big).status, Status::infeasible);
    EXPECT_THROW(cluster->remove_node("n00"), StateError);
    node->release("pod");
    EXPECT_EQ(cluster->check(big).status, Status::feasible);
    EXPECT_EQ(cluster->state_count(), 1U);
    node->cordon_device(0, true);
    EXPECT_EQ(cluster->check(big).status, Status::infeasible);
    node->cordon_device(0, false);
    cluster->commit(cluster->place(big));
    EXPECT_EQ(node->holdings().size(), 1U);
    EXPECT_EQ(cluster->node("n10")->holdings().begin()->first, "big/worker/1");
    cluster->release("big");
    cluster->remove_node("n00");
    EXPECT_THROW(std::ignore = node->holdings(), StateError);
}

TEST(Cluster, KeepsToLabelsTaintsAndCordons) {
    const auto cluster = two_racks(1);
    cluster->set_labels("n00", {{"pool", "a"}});
    cluster->set_taints("n10", {{"maintenance", "yes", TaintEffect::no_schedule}});
    PodSet workers = podset("worker", gpus(1), 1);
    workers.where.push_back({"pool", ConditionOp::equal, {std::string("b")}});
    EXPECT_EQ(cluster->check(gang("g", {workers})).reason,
              GangReason::no_eligible_node);
    workers.where.front().values = {std::string("a")};
    EXPECT_EQ(pods_by_node(cluster->place(gang("g", {workers}))), (ByNode{{"n00", 1}}));
    cluster->cordon_node("n00", true);
    workers.where.clear();
    EXPECT_EQ(cluster->check(gang("g", {workers})).reason,
              GangReason::no_eligible_node);
    workers.tolerations.push_back({"maintenance", std::nullopt, std::nullopt});
    EXPECT_EQ(pods_by_node(cluster->place(gang("g", {workers}))), (ByNode{{"n10", 1}}));
}

// KAI-Scheduler counts the largest pod for all and refuses this.
TEST(Cluster, PlacesMixedRolesJointly) {
    const auto cluster = two_racks(1);
    PodSet big = podset("big", gpus(4), 1);
    PodSet small = podset("small", gpus(1), 3);
    Gang mixed;
    mixed.name = "mixed";
    mixed.podsets = {small, big};
    const GangPlan plan = cluster->place(std::make_shared<const Gang>(mixed));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(pods_by_node(plan), (ByNode{{"n00", 3}, {"n10", 1}}));
    mixed.groups.push_back({"all", {"small", "big"}, {{"rack"}}, {}});
    const GangVerdict no = cluster->check(std::make_shared<const Gang>(mixed));
    EXPECT_EQ(no.status, Status::infeasible);
    EXPECT_EQ(no.reason, GangReason::gang_conflict);
}

// Where the exact search is too long, there is an answer without proof, not none.
TEST(Cluster, FindsAPlanForManyPodSets) {
    const auto cluster = two_racks(1);
    std::vector<PodSet> podsets;
    for (std::uint32_t p = 0; p < 14; ++p) {
        podsets.push_back(podset("p" + std::to_string(p),
                                 std::make_shared<const Request>(want_cores(1)),
                                 1));
    }
    const GangPlan plan = cluster->place(gang("many", podsets));
    EXPECT_EQ(plan.pods.size(), 14U);
    EXPECT_EQ(cluster->check(gang("many", podsets)).status, Status::feasible);
}

// All that there is, and no more: one plan, proved without a search.
TEST(Cluster, FillsAllOfIt) {
    const auto cluster = two_racks(40);
    const GangPlan plan = cluster->place(gang("all", {podset("w", gpus(1), 320)}));
    EXPECT_EQ(plan.verdict.status, Status::optimal);
    EXPECT_EQ(plan.cost.nodes, 80);
    const GangVerdict no = cluster->check(gang("all", {podset("w", gpus(1), 321)}));
    EXPECT_EQ(no.status, Status::infeasible);
    EXPECT_EQ(no.reason, GangReason::not_enough_room);
}

// Of 8 cores over two NUMANodes a pod of 3 aligned cores fits twice, not 2.67 times.
TEST(Cluster, CountsWhatNodesReallyHold) {
    const auto cluster = two_racks(1);
    Request three = want_cores(3);
    three.require.emplace_back(Align{AlignLevel::numa, {}});
    const auto request = std::make_shared<const Request>(std::move(three));
    const auto of_nodes = cluster->headroom(request, "rack");
    ASSERT_EQ(of_nodes.size(), 2U);
    EXPECT_EQ(of_nodes[1].path, (std::vector<std::string>{"b0", "r1"}));
    EXPECT_EQ(of_nodes[1].count, 2U);
    EXPECT_EQ(of_nodes[1].upper, 2U);
    EXPECT_EQ(cluster->check(gang("g", {podset("w", request, 5)})).status,
              Status::infeasible);
}

TEST(Cluster, RanksFollowNodesAndSlices) {
    const auto cluster = two_racks(2);
    PodSet workers = podset("worker", gpus(1), 8);
    workers.slices = {{"rack", 4}, {"node", 2}};
    const GangPlan plan = cluster->place(gang("g", {workers}));
    ASSERT_EQ(plan.pods.size(), 8U);
    for (std::uint32_t i = 0; i < 8; ++i) {
        EXPECT_EQ(plan.pods[i].index, i);
        EXPECT_EQ(plan.pods[i].node, i < 4 ? "n00" : "n01");
    }
}

TEST(Cluster, RefusesByNameAndChangesNothing) {
    const auto cluster = two_racks(1);
    const auto machine = small_machine();
    EXPECT_THROW(Cluster(std::vector<ClusterTree>{{"network", {"rack", "rack"}}}),
                 InvalidRequestError);
    EXPECT_THROW(Cluster(std::vector<ClusterTree>{{"network", {"node"}}}),
                 InvalidRequestError);
    EXPECT_THROW(
        cluster->add_nodes({node("new", {}, machine), node("n00", {}, machine)}),
        StateError);
    EXPECT_THROW(cluster->add_nodes({node("new", {{"row", "1"}}, machine)}),
                 InvalidRequestError);
    EXPECT_EQ(cluster->size(), 2U);
    EXPECT_THROW(cluster->set_domains("n00", {{"row", "1"}}), InvalidRequestError);
    PodSet workers = podset("worker", gpus(1), 1);
    workers.require.emplace_back(Within{"row"});
    EXPECT_THROW(std::ignore = cluster->check(gang("g", {workers})),
                 InvalidRequestError);
    Request near = want_cores(1);
    near.require.emplace_back(Near{{"gpu99"}, Level::numa});
    EXPECT_THROW(std::ignore = cluster->check(gang(
                     "g", {podset("w", std::make_shared<const Request>(near), 1)})),
                 InvalidRequestError);
    EXPECT_THROW(cluster->release("g"), StateError);
    cluster->commit(cluster->place(gang("g", {podset("worker", gpus(1), 1)})));
    EXPECT_THROW(cluster->release("g", Cluster::PodNames{{"worker", 7}}), StateError);
    EXPECT_THROW(
        cluster->commit(cluster->place(gang("g", {podset("worker", gpus(1), 1)}))),
        StateError);
    cluster->check_consistency();
}

// Many threads plan on forks and commit: nothing is lost, nothing taken twice.
TEST(Cluster, IsThreadSafe) {
    const auto cluster = two_racks(8);
    std::atomic<std::uint32_t> committed = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20; ++i) {
                const auto mine = gang(std::to_string(t) + "-" + std::to_string(i),
                                       {podset("worker", gpus(2, 2), 1)});
                for (bool done = false; !done;) {
                    const GangPlan plan = cluster->fork()->place(mine);
                    if (plan.pods.empty()) {
                        break;
                    }
                    try {
                        cluster->commit(plan);
                        ++committed;
                        done = true;
                    } catch (const StaleError&) {
                        continue;
                    }
                }
                if (i % 3 == 0 && cluster->gangs().contains(mine->name)) {
                    cluster->release(mine->name);
                    --committed;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    cluster->check_consistency();
    EXPECT_EQ(cluster->gangs().size(), committed.load());
    EXPECT_LE(committed.load(), 32U);
}

// Sums that are kept current say what a search says, whatever happens to the nodes.
TEST(Cluster, KeptSumsDecideAsTheSearchDoes) {
    std::mt19937 random(11);
    const auto pick = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    const auto kept = two_racks(4);
    std::vector<std::shared_ptr<const Gang>> gangs;
    for (std::uint32_t i = 0; i < 60; ++i) {
        PodSet workers =
            podset("worker", gpus(1 + pick(2), pick(2)), 4 * (1 + pick(5)));
        workers.min_count = pick(workers.count + 1);
        if (pick(2) == 0) {
            workers.slices.push_back({pick(2) == 0 ? "rack" : "block", 4});
        }
        if (pick(2) == 0) {
            workers.slices.push_back({"node", 2});
        }
        if (pick(2) == 0) {
            workers.require.emplace_back(Within{pick(2) == 0 ? "rack" : "block"});
        }
        if (pick(2) == 0) {
            workers.require.emplace_back(
                Spread{std::vector<std::string>{"block", "rack", "node"}[pick(3)],
                       1 + pick(7)});
        }
        if (pick(4) == 0) {
            workers.where.push_back(
                {"pool", ConditionOp::equal, {std::string(pick(2) == 0 ? "a" : "b")}});
        }
        gangs.push_back(gang("g" + std::to_string(i), {workers}));
        kept->register_shape(*gangs.back());
    }
    const std::vector<std::string> names = kept->node_names();
    std::map<bool, std::uint32_t> seen;
    for (std::uint32_t step = 0; step < 400; ++step) {
        const std::string& name = names[pick(8)];
        switch (pick(6)) {
            case 0:
                kept->cordon_node(name, pick(3) == 0);
                break;
            case 1:
                kept->node(name)->cordon_device(pick(8), pick(3) == 0);
                break;
            case 2:
                kept->set_labels(name, {{"pool", pick(2) == 0 ? "a" : "b"}});
                break;
            case 3:
                kept->set_domains(
                    name,
                    pick(4) == 0 ? std::map<std::string, std::string>{{"block", "b0"}}
                                 : std::map<std::string, std::string>{
                                       {"block", "b" + std::to_string(pick(2))},
                                       {"rack", "r" + std::to_string(pick(2))}});
                break;
            case 4: {
                PodSet one = podset("one", gpus(1), 1);
                const GangPlan plan = kept->place(gang(std::to_string(step), {one}));
                if (!plan.pods.empty()) {
                    kept->commit(plan);
                }
                break;
            }
            default: {
                const auto running = kept->gangs();
                if (!running.empty()) {
                    kept->release(running.begin()->first);
                }
                break;
            }
        }
        // Steps tell them apart: sums take none. A preference asks for the search.
        for (const auto& asked : {gangs[pick(60)], gangs[pick(60)]}) {
            const GangVerdict by_sums = kept->check(asked);
            ASSERT_EQ(by_sums.steps, 0U);
            const GangPlan plan = kept->place(asked);
            ++seen[by_sums.status == Status::feasible];
            ASSERT_EQ(by_sums.status == Status::feasible,
                      plan.verdict.status == Status::optimal)
                << "step " << step;
            ASSERT_TRUE(plan.verdict.status == Status::optimal ||
                        plan.verdict.reason == by_sums.reason);
        }
    }
    EXPECT_GT(seen[true], 100U);
    EXPECT_GT(seen[false], 100U);
}

// A random PodSet that counts decide.
PodSet counted_podset(std::mt19937& random) {
    const auto pick = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    const std::vector<std::string> levels{"block", "rack", "node"};
    PodSet out = podset("worker", gpus(1 + pick(2), pick(3)), 2 * (1 + pick(12)));
    out.min_count = pick(2) == 0 ? out.count : pick(out.count + 1);
    if (pick(3) == 0) {
        out.slices.push_back({levels[pick(3)], 2});
    }
    if (pick(2) == 0) {
        out.require.emplace_back(Within{levels[pick(3)]});
    }
    if (pick(3) == 0) {
        out.require.emplace_back(Spread{levels[pick(3)], 1 + pick(6)});
    }
    if (pick(4) == 0) {
        out.where.push_back(
            {"pool", ConditionOp::equal, {std::string(pick(2) == 0 ? "a" : "b")}});
    }
    for (std::uint32_t i = pick(3); i > 0; --i) {
        const std::string& level = levels[pick(3)];
        switch (pick(3)) {
            case 0:
                out.prefer.emplace_back(Within{level});
                break;
            case 1:
                out.prefer.emplace_back(Spread{level, 1 + pick(4)});
                break;
            default:
                (pick(2) == 0 ? out.prefer : out.require).emplace_back(Balanced{level});
                break;
        }
    }
    return out;
}

std::vector<NodeDescription> nodes_in_racks(std::uint32_t racks, std::mt19937& random) {
    const auto machine = small_machine();
    std::vector<NodeDescription> all;
    for (std::uint32_t r = 0; r < racks; ++r) {
        for (std::uint32_t n = 0; n < 1 + random() % 4; ++n) {
            all.push_back(node("n" + std::to_string(r) + std::to_string(n),
                               {{"block", "b" + std::to_string(r / 2)},
                                {"rack", "r" + std::to_string(r)}},
                               machine));
            all.back().labels["pool"] = random() % 3 == 0 ? "b" : "a";
        }
    }
    return all;
}

bool is_same_plan(const GangPlan& a, const GangPlan& b) {
    const auto is_same = [](const PodPlace& x, const PodPlace& y) {
        return x.podset == y.podset && x.index == y.index && x.node == y.node &&
               *x.placement == *y.placement;
    };
    return a.verdict.status == b.verdict.status &&
           a.verdict.reason == b.verdict.reason &&
           a.verdict.podset == b.verdict.podset && a.cost == b.cost &&
           std::ranges::equal(a.pods, b.pods, is_same);
}

// One PodSet in a regular tree is answered without a problem of nodes. A node without
// Domains, which holds nothing, makes the same question one of nodes.
TEST(Cluster, CountsAnswerAsTheProblemOfNodesDoes) {
    std::map<Status, std::uint32_t> seen;
    for (std::uint32_t seed = 0; seed < 120; ++seed) {
        std::mt19937 random(seed);
        const std::vector<ClusterTree> trees{{"network", {"block", "rack"}}};
        Cluster counted(trees);
        Cluster general(trees);
        const auto nodes = nodes_in_racks(1 + seed % 5, random);
        for (Cluster* cluster : {&counted, &general}) {
            cluster->add_nodes(nodes);
        }
        general.add_nodes({node("zz", {}, small_machine())});
        general.cordon_node("zz", true);
        for (std::uint32_t i = 0; i < 30; ++i) {
            const auto asked = gang("g" + std::to_string(i), {counted_podset(random)});
            const GangPlan plan = counted.place(asked);
            const GangPlan other = general.place(asked);
            ASSERT_TRUE(is_same_plan(plan, other)) << "seed " << seed << " gang " << i;
            ASSERT_EQ(counted.check(asked).status, general.check(asked).status);
            ++seen[plan.verdict.status];
            if (plan.pods.empty()) {
                continue;
            }
            counted.commit(plan);
            general.commit(other);
            if (random() % 2 == 0) {
                const Cluster::PodNames first{{"worker", 0}};
                counted.release(asked->name, first);
                general.release(asked->name, first);
            }
        }
        counted.check_consistency();
    }
    EXPECT_GT(seen[Status::optimal], 300U);
    EXPECT_GT(seen[Status::infeasible], 300U);
}

TEST(Cluster, GangsShowWhatTheirPodsHoldNow) {
    const auto cluster = two_racks(1);
    cluster->commit(cluster->place(gang("train", {podset("worker", gpus(2), 4)})));
    const auto node = cluster->node("n00");
    node->release("train/worker/0");
    const auto larger = compile(node->machine(), *gpus(1, 2));
    EXPECT_EQ(node->resize(larger, "train/worker/1").answer.status, Status::optimal);
    cluster->check_consistency();
    const RunningGang running = cluster->gangs().at("train");
    ASSERT_EQ(running.pods.size(), 3U);
    EXPECT_EQ(running.pods[0].index, 1U);
    EXPECT_EQ(*running.pods[0].placement, node->holding("train/worker/1")->placement);
    EXPECT_EQ(running.pods[0].placement->devices.size(), 1U);
    // Those that are gone can be named: they run, and hold nothing.
    cluster->release("train", Cluster::PodNames{{"worker", 3}, {"worker", 0}});
    EXPECT_THROW(cluster->release("train", Cluster::PodNames{{"worker", 3}}),
                 StateError);
    EXPECT_THROW(
        cluster->release("train", Cluster::PodNames{{"worker", 1}, {"worker", 1}}),
        StateError);
    EXPECT_THROW(cluster->release("train", Cluster::PodNames{{"other", 1}}),
                 StateError);
    cluster->release("train");
    cluster->check_consistency();
    EXPECT_EQ(cluster->state_count(), 1U);
}

TEST(Cluster, PlaceRefusesAPodWhoseNameIsTaken) {
    const auto cluster = two_racks(1);
    const auto node = cluster->node("n00");
    node->allocate(compile(node->machine(), *gpus(1)), "train/worker/0");
    const auto asked = gang("train", {podset("worker", gpus(1), 1)});
    EXPECT_THROW(static_cast<void>(cluster->place(asked)), StateError);
    node->release("train/worker/0");
    cluster->commit(cluster->place(asked));
    EXPECT_THROW(node->allocate(compile(node->machine(), *gpus(2)), "train/worker/0"),
                 StateError);
}

// A stream of random operations: the books agree after each, a fork stays as it was,
// and in the end all is free again.
TEST(Cluster, KeepsItsBooksThroughRandomOperations) {
    std::mt19937 random(7);
    const auto pick = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    const auto cluster = two_racks(4);
    const std::vector<std::string> names = cluster->node_names();
    std::set<std::string> running;
    for (std::uint32_t step = 0; step < 600; ++step) {
        const auto fork = step % 50 == 0 ? cluster->fork() : nullptr;
        const std::size_t states = fork ? fork->state_count() : 0;
        const std::string name = "g" + std::to_string(step);
        const std::uint32_t what = pick(10);
        if (what < 5) {
            PodSet a = podset("a", gpus(1 + pick(2), pick(3)), 1 + pick(4));
            a.min_count = pick(a.count + 1);
            PodSet b = podset("b", gpus(1), 1 + pick(2));
            if (pick(2) == 0) {
                a.require.emplace_back(Within{"rack"});
            }
            if (pick(3) == 0) {
                b.prefer.emplace_back(Spread{"node", 1});
            }
            const GangPlan plan = cluster->place(gang(name, {a, b}));
            if (!plan.pods.empty()) {
                cluster->commit(plan);
                running.insert(name);
            }
        } else if (what < 8 && !running.empty()) {
            auto it = running.begin();
            std::advance(it, pick(static_cast<std::uint32_t>(running.size())));
            const RunningGang gang = cluster->gangs().at(*it);
            const PodPlace& pod = gang.pods.front();
            if (what == 5 && gang.pods.size() > 1) {
                cluster->release(*it,
                                 Cluster::PodNames{
                                     {gang.gang->podsets[pod.podset].name, pod.index}});
            } else {
                cluster->release(*it);
                running.erase(it);
            }
        } else if (what == 8) {
            cluster->cordon_node(names[pick(8)], pick(2) == 0);
        } else {
            cluster->node(names[pick(8)])->cordon_device(pick(8), pick(2) == 0);
        }
        cluster->check_consistency();
        if (fork) {
            fork->check_consistency();
            EXPECT_EQ(fork->state_count(), states);
        }
    }
    for (const std::string& name : running) {
        cluster->release(name);
    }
    for (const std::string& name : names) {
        for (std::uint32_t device = 0; device < 8; ++device) {
            cluster->node(name)->cordon_device(device, false);
        }
    }
    cluster->check_consistency();
    EXPECT_EQ(cluster->state_count(), 1U);
}

}  // namespace
}  // namespace topoalloc
