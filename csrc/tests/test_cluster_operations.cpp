// SPDX-License-Identifier: Apache-2.0
//
// replace, grow, drain, preempt, defragment and score: examples, and random small
// clusters of machines with four equal GPUs against every set of victims, every set of
// moves and every plan, enumerated here on plain numbers.
#include "topoalloc/cluster.hpp"

#include "small_machine.hpp"
#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <thread>

namespace topoalloc {
namespace {

using testing::small_machine;
using testing::want;

constexpr std::uint32_t gpus_of_node = 4;

std::shared_ptr<const Request> gpus(std::uint32_t count) {
    Request request;
    request.devices.push_back(want("gpu", count));
    return std::make_shared<const Request>(std::move(request));
}

PodSet podset(const std::string& name, std::uint32_t gpu_count, std::uint32_t count) {
    PodSet out;
    out.name = name;
    out.request = gpus(gpu_count);
    out.count = out.min_count = count;
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

NodeDescription node(const std::string& name,
                     const std::string& rack,
                     const std::shared_ptr<const Machine>& machine) {
    NodeDescription out;
    out.name = name;
    out.machine = machine;
    out.domains = {{"rack", rack}};
    return out;
}

// Racks r0, r1, ... of so many nodes each: n00, n01, ..., n10, ...
std::unique_ptr<Cluster> racks(const std::vector<std::uint32_t>& sizes) {
    auto cluster =
        std::make_unique<Cluster>(std::vector<ClusterTree>{{"network", {"rack"}}});
    static const auto machine = small_machine();
    for (std::uint32_t r = 0; r < sizes.size(); ++r) {
        for (std::uint32_t n = 0; n < sizes[r]; ++n) {
            cluster->add_nodes({node("n" + std::to_string(r) + std::to_string(n),
                                     "r" + std::to_string(r),
                                     machine)});
        }
    }
    return cluster;
}

using Moves = std::vector<std::string>;

// "gang/podset/index from>to", "-" for none.
Moves moves_of(const ClusterChange& change) {
    Moves out;
    for (const PodMove& move : change.moves) {
        out.push_back(pod_owner(*move.gang, move.podset, move.index) + " " +
                      (move.from ? move.from->node : "-") + ">" +
                      (move.to ? move.to->node : "-"));
    }
    return out;
}

std::map<std::string, std::string> nodes_of(const Cluster& cluster,
                                            const std::string& name) {
    std::map<std::string, std::string> out;
    const RunningGang running = cluster.gangs().at(name);
    for (const PodPlace& pod : running.pods) {
        out[std::to_string(pod.podset) + "/" + std::to_string(pod.index)] = pod.node;
    }
    return out;
}

TEST(Replace, SwapsTheFailedNodesOf16Of18AndMovesNothingElse) {
    const auto cluster = racks({9, 9});
    PodSet workers = podset("w", 4, 16);
    workers.slices.push_back({"rack", 8});
    cluster->commit(cluster->place(gang("train", {workers})));
    const auto before = nodes_of(*cluster, "train");
    // One in each rack, and one of them is away when the answer is asked for.
    const ClusterChange change = cluster->replace("train", {"n03", "n15", "gone"});
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(moves_of(change), (Moves{"train/w/3 n03>n08", "train/w/13 n15>n18"}));
    EXPECT_EQ(change.cost.domains, (std::vector<std::int64_t>{2}));
    EXPECT_EQ(change.cost.nodes, 16);
    cluster->cordon_node("n03", true);
    cluster->commit(change);
    cluster->check_consistency();
    auto after = before;
    after["0/3"] = "n08";
    after["0/13"] = "n18";
    EXPECT_EQ(nodes_of(*cluster, "train"), after);
    EXPECT_TRUE(cluster->node("n03")->holdings().empty());
    // Both spares are used: of two more in one rack none can be replaced.
    const ClusterChange no = cluster->replace("train", {"n00"});
    EXPECT_EQ(no.verdict.status, Status::infeasible);
    EXPECT_THROW(cluster->commit(no), StateError);
    EXPECT_THROW(cluster->commit(change), StaleError);
}

TEST(Replace, ServesPodsWhoseNodeIsGone) {
    const auto cluster = racks({3});
    cluster->commit(cluster->place(gang("g", {podset("w", 4, 2)})));
    cluster->node("n00")->release("g/w/0");
    cluster->remove_node("n00");
    const ClusterChange change = cluster->replace("g", {});
    EXPECT_EQ(moves_of(change), (Moves{"g/w/0 n00>n02"}));
    cluster->commit(change);
    cluster->check_consistency();
    EXPECT_EQ(nodes_of(*cluster, "g"),
              (std::map<std::string, std::string>{{"0/0", "n02"}, {"0/1", "n01"}}));
}

TEST(Replace, GoesOnWithFewerDownToTheMinimumAndGrowsAgain) {
    const auto cluster = racks({2});
    PodSet workers = podset("w", 2, 4);
    workers.min_count = 2;
    cluster->commit(cluster->place(gang("g", {workers})));
    const ClusterChange change = cluster->replace("g", {"n00"});
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.cost.short_pods, 2);
    EXPECT_EQ(moves_of(change), (Moves{"g/w/0 n00>-", "g/w/1 n00>-"}));
    cluster->commit(change);
    cluster->check_consistency();
    const ClusterChange more = cluster->grow("g");
    EXPECT_EQ(more.verdict.status, Status::optimal);
    EXPECT_EQ(moves_of(more), (Moves{"g/w/0 ->n00", "g/w/1 ->n00"}));
    EXPECT_EQ(more.cost.short_pods, 0);
    cluster->commit(more);
    cluster->check_consistency();
    EXPECT_EQ(cluster->gangs().at("g").pods.size(), 4U);
    EXPECT_THROW(cluster->commit(more), StaleError);
    EXPECT_THROW(std::ignore = cluster->replace("other", {}), StateError);
}

TEST(Replace, IsStaleWhenANodeOrTheGangHasChanged) {
    const auto cluster = racks({3});
    cluster->commit(cluster->place(gang("g", {podset("w", 4, 2)})));
    const ClusterChange change = cluster->replace("g", {"n00"});
    const auto taken = cluster->fork();
    taken->commit(taken->place(gang("h", {podset("w", 1, 1)})));
    EXPECT_THROW(taken->commit(change), StaleError);
    const auto described = cluster->fork();
    described->set_labels("n01", {{"a", "b"}});
    EXPECT_THROW(described->commit(change), StaleError);
    const auto released = cluster->fork();
    released->release("g", Cluster::PodNames{{"w", 1}});
    EXPECT_THROW(released->commit(change), StaleError);
    const auto cordoned = cluster->fork();
    cordoned->cordon_node("n02", true);
    EXPECT_THROW(cordoned->commit(change), StaleError);
    EXPECT_EQ(cordoned->gangs().at("g").pods.front().node, "n00");
    const auto same = cluster->fork();
    same->commit(change);
    same->check_consistency();
}

// One Gang after the other would give the 2-GPU pod the node that the other one needs.
TEST(Drain, PlacesThePodsOfAllGangsTogether) {
    const auto cluster = racks({1, 2});
    PodSet small = podset("w", 2, 1);
    PodSet large = podset("w", 2, 2);
    large.require.emplace_back(Within{"node"});
    cluster->commit(cluster->place(gang("a", {small})));
    cluster->node("n00")->allocate(compile(cluster->node("n00")->machine(), *gpus(1)),
                                   "system");
    cluster->commit(cluster->place(gang("b", {podset("w", 1, 1)})));
    cluster->commit(cluster->place(gang("c", {podset("w", 2, 1)})));
    cluster->commit(cluster->place(gang("d", {large})));
    ASSERT_EQ(nodes_of(*cluster, "c"),
              (std::map<std::string, std::string>{{"0/0", "n10"}}));
    ASSERT_EQ(nodes_of(*cluster, "d"),
              (std::map<std::string, std::string>{{"0/0", "n11"}, {"0/1", "n11"}}));
    EXPECT_EQ(cluster->drain({"n00"}).verdict.status, Status::infeasible);
    cluster->release("d");
    const ClusterChange change = cluster->drain({"n00"});
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.left,
              (std::vector<std::pair<std::string, std::string>>{{"n00", "system"}}));
    const auto late = cluster->fork();
    late->node("n00")->release("system");
    EXPECT_THROW(late->commit(change), StaleError);
    cluster->commit(change);
    cluster->check_consistency();
    EXPECT_TRUE(cluster->is_cordoned("n00"));
    EXPECT_EQ(cluster->node("n00")->holdings().size(), 1U);
    EXPECT_EQ(cluster->gangs().size(), 3U);
    const ClusterChange again = cluster->drain({"n00"});
    EXPECT_EQ(again.verdict.status, Status::optimal);
    EXPECT_TRUE(again.moves.empty());
    EXPECT_THROW(std::ignore = cluster->drain({"nowhere"}), StateError);
}

// What a node could hold of seven Gangs is too much to list: they get their places one
// by one, and the preferences in the cost stand as those of all together would.
TEST(Drain, PlacesTheGangsInTurnWhereTogetherIsTooMuch) {
    const auto cluster = racks({6, 6, 6});
    for (int i = 0; i < 7; ++i) {
        PodSet first = podset("s", 1, 2);
        first.require = {Spread{"node", 1}, Within{"rack"}};
        first.prefer = {Within{"node"}};  // It never holds.
        PodSet second = podset("t", 1, 1);
        second.require = {Within{"rack"}};
        Gang made = *gang("g" + std::to_string(i), {first, second});
        made.groups.push_back({"both", {"s", "t"}, {}, {Within{"rack"}}});
        cluster->commit(cluster->place(std::make_shared<const Gang>(std::move(made))));
    }
    const std::vector<std::string> nodes = {"n00", "n01", "n02", "n03", "n04", "n05"};
    const ClusterChange change = cluster->drain(nodes);
    EXPECT_EQ(change.verdict.status, Status::feasible);
    EXPECT_EQ(change.verdict.reason, GangReason::step_limit);
    EXPECT_EQ(change.moves.size(), 21U);
    std::vector<std::int64_t> unmet;
    for (int i = 0; i < 7; ++i) {
        unmet.insert(unmet.end(), {1, 0});
    }
    unmet.resize(21, 0);  // Of the Groups.
    EXPECT_EQ(change.cost.unmet, unmet);
    const auto late = cluster->fork();
    late->commit(change);
    late->check_consistency();
    for (const std::string& node : nodes) {
        EXPECT_TRUE(late->node(node)->holdings().empty());
        EXPECT_TRUE(late->is_cordoned(node));
    }
    const ClusterChange undecided = cluster->drain(nodes, {10});
    EXPECT_EQ(undecided.verdict.status, Status::unknown);
    EXPECT_TRUE(undecided.moves.empty());
    // One that finds no place though all others are gone proves the "no".
    for (const std::string& node : cluster->node_names()) {
        cluster->cordon_node(node, true);
    }
    const ClusterChange no = cluster->drain(nodes);
    EXPECT_EQ(no.verdict.status, Status::infeasible);
    EXPECT_TRUE(no.moves.empty());
    EXPECT_TRUE(no.cost.unmet.empty());
}

TEST(Preempt, TakesTheLowestPriorityThenTheFewestGangsThenPods) {
    const auto cluster = racks({4});
    cluster->commit(cluster->place(gang("high", {podset("w", 4, 1)}, 5)));
    cluster->commit(cluster->place(gang("a", {podset("w", 1, 4)}, 1)));
    cluster->commit(cluster->place(gang("b", {podset("w", 2, 2)}, 1)));
    cluster->commit(cluster->place(gang("c", {podset("w", 4, 1)}, 2)));
    const auto one = gang("new", {podset("w", 4, 1)}, 4);
    const ClusterChange change = cluster->preempt(one);
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_TRUE(change.is_least);
    EXPECT_EQ(change.least, 1U);
    EXPECT_EQ(change.victims, (std::vector<std::string>{"b"}));
    EXPECT_EQ(moves_of(change), (Moves{"b/w/0 n02>-", "b/w/1 n02>-", "new/w/0 ->n02"}));
    const ClusterChange three = cluster->preempt(gang("new", {podset("w", 4, 3)}, 4));
    EXPECT_EQ(three.victims, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(cluster->preempt(gang("new", {podset("w", 4, 4)}, 4)).verdict.status,
              Status::infeasible);
    EXPECT_EQ(cluster->preempt(gang("new", {podset("w", 1, 1)}, 1)).verdict.status,
              Status::infeasible);
    EXPECT_EQ(cluster->preempt(gang("new", {podset("w", 4, 4)}, 9)).victims.size(), 4U);
    cluster->commit(change);
    cluster->check_consistency();
    EXPECT_FALSE(cluster->gangs().contains("b"));
    EXPECT_EQ(nodes_of(*cluster, "new"),
              (std::map<std::string, std::string>{{"0/0", "n02"}}));
    EXPECT_THROW(std::ignore = cluster->preempt(one), StateError);
    EXPECT_THROW(cluster->commit(change), StaleError);
}

TEST(Preempt, GoesNoHigherThanItMust) {
    const auto cluster = racks({4});
    std::int32_t priority = 0;
    for (const char* name : {"d", "c", "b", "a"}) {
        cluster->commit(cluster->place(gang(name, {podset("w", 4, 1)}, priority++)));
    }
    for (std::uint32_t count = 1; count <= 4; ++count) {
        const auto victims =
            cluster->preempt(gang("new", {podset("w", 4, count)}, 9)).victims;
        const std::vector<std::string> all{"a", "b", "c", "d"};
        EXPECT_EQ(victims, std::vector<std::string>(all.end() - count, all.end()));
    }
}

// Of 9 racks one needs a single victim; a limit of 8 domains would not find it.
TEST(Preempt, FindsTheOneRackAmongMany) {
    const auto cluster = racks(std::vector<std::uint32_t>(9, 2));
    for (std::uint32_t r = 0; r < 9; ++r) {
        for (std::uint32_t n = 0; n < 2; ++n) {
            const std::string name = "g" + std::to_string(r) + std::to_string(n);
            PodSet pods = podset("w", r == 7 ? 4 : 2, r == 7 ? 2 : 1);
            pods.require.emplace_back(Within{"rack"});
            if (r == 7 && n == 1) {
                continue;
            }
            for (const char* part : {"a", "b"}) {
                if (r == 7 && *part == 'b') {
                    continue;
                }
                cluster->commit(cluster->place(gang(name + part, {pods})));
            }
        }
    }
    PodSet two = podset("w", 4, 2);
    two.require.emplace_back(Within{"rack"});
    const ClusterChange change = cluster->preempt(gang("new", {two}, 1));
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.victims, (std::vector<std::string>{"g70a"}));
}

TEST(Preempt, SaysWhatItKnowsAtTheLimit) {
    const auto cluster = racks({4, 4});
    for (std::uint32_t g = 0; g < 16; ++g) {
        cluster->commit(
            cluster->place(gang("g" + std::to_string(g), {podset("w", 2, 1)})));
    }
    const auto want_all = gang("new", {podset("w", 4, 3)}, 1);
    const ClusterChange best = cluster->preempt(want_all);
    EXPECT_EQ(best.verdict.status, Status::optimal);
    EXPECT_EQ(best.victims.size(), 6U);
    for (const std::uint64_t steps : {1U, 10U, 30U, 100U, 300U}) {
        const ClusterChange change = cluster->preempt(want_all, {steps});
        EXPECT_LE(change.least, 6U);
        if (change.verdict.status == Status::feasible ||
            change.verdict.status == Status::optimal) {
            EXPECT_GE(change.victims.size(), 6U);
            EXPECT_EQ(change.is_least, change.verdict.status == Status::optimal);
        } else {
            EXPECT_EQ(change.verdict.status, Status::unknown);
        }
    }
}

TEST(Defragment, MovesTheFewestPods) {
    const auto cluster = racks({3});
    cluster->commit(cluster->place(gang("a", {podset("w", 1, 3)})));
    cluster->cordon_node("n00", true);
    cluster->commit(cluster->place(gang("b", {podset("w", 1, 2)})));
    cluster->cordon_node("n01", true);
    cluster->commit(cluster->place(gang("c", {podset("w", 1, 1)})));
    cluster->cordon_node("n00", false);
    cluster->cordon_node("n01", false);
    const auto whole = gang("new", {podset("w", 4, 1)});
    const ClusterChange change = cluster->defragment(whole);
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.least, 1U);
    EXPECT_EQ(moves_of(change), (Moves{"c/w/0 n02>n00", "new/w/0 ->n02"}));
    cluster->commit(change);
    cluster->check_consistency();
    EXPECT_EQ(nodes_of(*cluster, "c"),
              (std::map<std::string, std::string>{{"0/0", "n00"}}));
    EXPECT_EQ(cluster->defragment(gang("more", {podset("w", 4, 2)})).verdict.status,
              Status::infeasible);
    const ClusterChange none = cluster->defragment(gang("tiny", {podset("w", 1, 1)}));
    EXPECT_EQ(none.least, 0U);
    EXPECT_EQ(none.moves.size(), 1U);
}

// The two GPUs of one NUMANode are wanted; one pod sits on each. It moves in its node.
TEST(Defragment, MovesAPodInsideItsNode) {
    const auto cluster = racks({1});
    const auto inner = cluster->node("n00");
    const auto cordon = [&](const std::string& device, bool cordoned) {
        inner->cordon_device(inner->machine()->find_device(device), cordoned);
    };
    cordon("gpu0", true);
    cordon("gpu1", true);
    cluster->commit(cluster->place(gang("a", {podset("w", 1, 1)})));
    cordon("gpu0", false);
    cordon("gpu1", false);
    cordon("gpu2", true);
    cordon("gpu3", true);
    cluster->commit(cluster->place(gang("b", {podset("w", 1, 1)})));
    cordon("gpu2", false);
    cordon("gpu3", false);
    Request aligned;
    aligned.devices.push_back(want("gpu", 2));
    aligned.require.emplace_back(Align{AlignLevel::numa, {}});
    PodSet pair = podset("w", 2, 1);
    pair.request = std::make_shared<const Request>(aligned);
    const auto wants = gang("new", {pair});
    ASSERT_EQ(cluster->check(wants).status, Status::infeasible);
    const ClusterChange change = cluster->defragment(wants);
    EXPECT_EQ(change.verdict.status, Status::optimal);
    EXPECT_EQ(change.least, 1U);
    EXPECT_EQ(moves_of(change), (Moves{"a/w/0 n00>n00", "new/w/0 ->n00"}));
    cluster->commit(change);
    cluster->check_consistency();
}

TEST(Score, RanksWhatIsLeftThenWhatIsOpened) {
    const auto cluster = racks({2, 2});
    cluster->commit(cluster->place(gang("a", {podset("w", 3, 1)})));
    cluster->cordon_node("n00", true);
    cluster->commit(cluster->place(gang("b", {podset("w", 4, 1)})));
    cluster->cordon_node("n00", false);
    cluster->cordon_node("n11", true);
    const auto scores = cluster->scores(gpus(1));
    std::map<std::string, std::uint32_t> by_name;
    for (const NodeScore& score : scores) {
        by_name[score.node] = score.score;
    }
    EXPECT_EQ(by_name,
              (std::map<std::string, std::uint32_t>{
                  {"n00", 100}, {"n01", 0}, {"n10", 1}, {"n11", 0}}));
    cluster->release("b");
    EXPECT_EQ(cluster->score("n00", gpus(1)), 100U);
    EXPECT_EQ(cluster->score("n01", gpus(1)), 51U);
    EXPECT_EQ(cluster->score("n10", gpus(1)), 1U);
    EXPECT_THROW(std::ignore = cluster->score("nowhere", gpus(1)), StateError);
}

// A cluster in plain numbers: what the enumeration knows of it. A pod holds GPUs.
struct PlainPod {
    std::uint32_t gang = 0;
    std::uint32_t podset = 0;
    std::uint32_t index = 0;
    std::uint32_t node = 0;
};
struct Plain {
    std::vector<std::uint32_t> racks;  ///< by node
    std::vector<bool> cordoned;
    std::vector<std::shared_ptr<const Gang>> gangs;  ///< by name
    std::vector<PlainPod> pods;  ///< that run: by gang, PodSet, index

    [[nodiscard]] static std::uint32_t size_of(const PodSet& podset) {
        return podset.request->devices.front().count;
    }
    [[nodiscard]] std::vector<std::uint32_t> free_gpus(
        const std::set<std::size_t>& gone) const {
        std::vector<std::uint32_t> out(racks.size(), gpus_of_node);
        for (std::size_t i = 0; i < pods.size(); ++i) {
            if (!gone.contains(i)) {
                out[pods[i].node] -=
                    size_of(gangs[pods[i].gang]->podsets[pods[i].podset]);
            }
        }
        return out;
    }
};

// Pods of a Gang by PodSet: their nodes.
using PodNodes = std::vector<std::vector<std::uint32_t>>;

std::uint32_t domain_of(const Plain& plain, const std::string& level, std::uint32_t n) {
    return level == "node" ? n : plain.racks[n];
}

// Requires: not Rails, which are of no level.
std::string level_of(const GangConstraint& rule) {
    return std::visit(
        [](const auto& of) -> std::string {
            if constexpr (requires { of.level; }) {
                return of.level;
            } else {
                return {};
            }
        },
        rule);
}

bool keeps_rule(const Plain& plain,
                const GangConstraint& rule,
                const std::vector<std::uint32_t>& nodes) {
    std::map<std::uint32_t, std::uint32_t> counts;
    const std::string level = level_of(rule);
    for (const std::uint32_t n : nodes) {
        ++counts[domain_of(plain, level, n)];
    }
    std::uint32_t most = 0;
    std::uint32_t least = 1000;
    for (const auto& [domain, count] : counts) {
        most = std::max(most, count);
        least = std::min(least, count);
    }
    if (std::holds_alternative<Within>(rule)) {
        return counts.size() <= 1;
    }
    if (const auto* spread = std::get_if<Spread>(&rule)) {
        return most <= spread->at_most;
    }
    return counts.empty() || most - least <= 1;
}

bool keeps_rules(const Plain& plain, const Gang& gang, const PodNodes& nodes) {
    std::vector<std::uint32_t> all;
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        for (const GangConstraint& rule : gang.podsets[p].require) {
            if (!keeps_rule(plain, rule, nodes[p])) {
                return false;
            }
        }
        for (const Slice& slice : gang.podsets[p].slices) {
            std::map<std::uint32_t, std::uint32_t> counts;
            for (const std::uint32_t n : nodes[p]) {
                ++counts[domain_of(plain, slice.level, n)];
            }
            for (const auto& [domain, count] : counts) {
                if (count % slice.size != 0) {
                    return false;
                }
            }
        }
        all.insert(all.end(), nodes[p].begin(), nodes[p].end());
    }
    return std::ranges::all_of(gang.groups, [&](const Group& group) {
        return std::ranges::all_of(group.require, [&](const Within& rule) {
            return keeps_rule(plain, rule, all);
        });
    });
}

// One PodSet of a Gang to be placed: how many, beside where it is already.
struct Wanted {
    std::shared_ptr<const Gang> gang;
    PodNodes stays;
    std::vector<std::uint32_t> more, at_least;  ///< pods to add, by PodSet
};

// Calls f for every way to place all the wanted, until it says true.
class Enumeration {
  public:
    Enumeration(const Plain& plain,
                std::vector<std::uint32_t> free,
                std::set<std::uint32_t> barred,
                std::function<bool(const std::vector<PodNodes>&)> f)
        : plain_(plain),
          free_(std::move(free)),
          barred_(std::move(barred)),
          f_(std::move(f)) {}

    bool run(const std::vector<Wanted>& wanted) {
        wanted_ = &wanted;
        nodes_.clear();
        for (const Wanted& one : wanted) {
            nodes_.push_back(one.stays);
        }
        return next(0, 0, 0, 0);
    }

  private:
    // Pods of a PodSet go to nodes in order: equal ways are tried once.
    bool next(std::size_t w, std::size_t p, std::uint32_t placed, std::uint32_t from) {
        if (w == wanted_->size()) {
            return f_(nodes_);
        }
        const Wanted& one = (*wanted_)[w];
        if (p == one.gang->podsets.size()) {
            return keeps_rules(plain_, *one.gang, nodes_[w]) && next(w + 1, 0, 0, 0);
        }
        if (placed >= one.at_least[p] && next(w, p + 1, 0, 0)) {
            return true;
        }
        if (placed == one.more[p]) {
            return false;
        }
        const std::uint32_t size = Plain::size_of(one.gang->podsets[p]);
        for (std::uint32_t n = from; n < free_.size(); ++n) {
            if (free_[n] < size || plain_.cordoned[n] || barred_.contains(n)) {
                continue;
            }
            free_[n] -= size;
            nodes_[w][p].push_back(n);
            const bool done = next(w, p, placed + 1, n);
            nodes_[w][p].pop_back();
            free_[n] += size;
            if (done) {
                return true;
            }
        }
        return false;
    }

    const Plain& plain_;
    std::vector<std::uint32_t> free_;
    std::set<std::uint32_t> barred_;
    std::function<bool(const std::vector<PodNodes>&)> f_;
    const std::vector<Wanted>* wanted_ = nullptr;
    std::vector<PodNodes> nodes_;
};

Wanted fresh(const std::shared_ptr<const Gang>& of) {
    Wanted out{of, PodNodes(of->podsets.size()), {}, {}};
    for (const PodSet& podset : of->podsets) {
        out.more.push_back(podset.count);
        out.at_least.push_back(podset.min_count);
    }
    return out;
}

// The pods of a Gang, with those that move to be placed again: all, or at least so many
// as its minimum.
Wanted moved(const Plain& plain,
             std::uint32_t of,
             const std::set<std::size_t>& gone,
             bool all) {
    const auto& gang = plain.gangs[of];
    Wanted out{gang, PodNodes(gang->podsets.size()), {}, {}};
    out.more.assign(gang->podsets.size(), 0);
    for (std::size_t i = 0; i < plain.pods.size(); ++i) {
        const PlainPod& pod = plain.pods[i];
        if (pod.gang == of && gone.contains(i)) {
            ++out.more[pod.podset];
        } else if (pod.gang == of) {
            out.stays[pod.podset].push_back(pod.node);
        }
    }
    for (std::size_t p = 0; p < out.more.size(); ++p) {
        const auto stay = static_cast<std::uint32_t>(out.stays[p].size());
        const std::uint32_t least = gang->podsets[p].min_count;
        const std::uint32_t rest = least > stay ? least - stay : 0;
        out.at_least.push_back(all ? out.more[p] : std::min(out.more[p], rest));
    }
    return out;
}

bool fits(const Plain& plain,
          const std::vector<Wanted>& wanted,
          const std::set<std::size_t>& gone,
          const std::set<std::uint32_t>& barred = {}) {
    return Enumeration(
               plain, plain.free_gpus(gone), barred, [](const auto&) { return true; })
        .run(wanted);
}

// Terms 1 and 3 to 6 of several Gangs as one.
struct PlainCost {
    std::int64_t short_pods = 0, racks = 0, nodes = 0, waste = 0, opened = 0;
    auto operator<=>(const PlainCost&) const = default;
};

// What of the Cluster is there before the new pods come.
struct Before {
    std::vector<std::uint32_t> free;
    std::set<std::uint32_t> barred, open_racks;
};

// The finest level of a PodSet's own entries; none: it wastes nothing.
std::optional<std::string> lowest_level(const PodSet& podset) {
    std::optional<std::string> lowest;
    const auto add = [&](const std::string& level) {
        lowest = lowest == "node" ? *lowest : level;
    };
    for (const GangConstraint& rule : podset.require) {
        add(level_of(rule));
    }
    for (const Slice& slice : podset.slices) {
        add(slice.level);
    }
    return lowest;
}

std::int64_t waste_of(const Plain& plain,
                      const Before& before,
                      const Wanted& wanted,
                      std::size_t p,
                      const std::vector<std::uint32_t>& nodes) {
    const PodSet& podset = wanted.gang->podsets[p];
    const auto level = lowest_level(podset);
    if (!level) {
        return 0;
    }
    std::set<std::uint32_t> used;
    for (const std::uint32_t n : nodes) {
        used.insert(domain_of(plain, *level, n));
    }
    std::int64_t waste = -std::ssize(nodes);
    for (std::uint32_t n = 0; n < plain.racks.size(); ++n) {
        if (used.contains(domain_of(plain, *level, n))) {
            waste += std::ranges::count(wanted.stays[p], n);
            waste += plain.cordoned[n] || before.barred.contains(n)
                         ? 0
                         : before.free[n] / Plain::size_of(podset);
        }
    }
    return waste;
}

PlainCost cost_of(const Plain& plain,
                  const Before& before,
                  const std::vector<Wanted>& wanted,
                  const std::vector<PodNodes>& nodes) {
    PlainCost cost;
    std::set<std::uint32_t> used_racks;
    std::set<std::uint32_t> used;
    for (std::size_t w = 0; w < wanted.size(); ++w) {
        for (std::size_t p = 0; p < nodes[w].size(); ++p) {
            cost.short_pods += wanted[w].gang->podsets[p].count;
            cost.short_pods -= std::ssize(nodes[w][p]);
            cost.waste += waste_of(plain, before, wanted[w], p, nodes[w][p]);
            for (const std::uint32_t n : nodes[w][p]) {
                used.insert(n);
                used_racks.insert(plain.racks[n]);
            }
        }
    }
    cost.racks = std::ssize(used_racks);
    cost.nodes = std::ssize(used);
    cost.opened = std::ranges::count_if(used_racks, [&](std::uint32_t rack) {
        return !before.open_racks.contains(rack);
    });
    return cost;
}
std::optional<PlainCost> best_cost(const Plain& plain,
                                   const std::vector<Wanted>& wanted,
                                   const std::set<std::size_t>& gone,
                                   const std::set<std::uint32_t>& barred = {}) {
    Before before{plain.free_gpus(gone), barred, {}};
    for (std::uint32_t n = 0; n < before.free.size(); ++n) {
        if (before.free[n] != gpus_of_node) {
            before.open_racks.insert(plain.racks[n]);
        }
    }
    std::optional<PlainCost> best;
    Enumeration(plain, before.free, barred, [&](const auto& nodes) {
        const PlainCost cost = cost_of(plain, before, wanted, nodes);
        best = best ? std::min(*best, cost) : cost;
        return false;
    }).run(wanted);
    return best;
}

class RandomCluster {
  public:
    explicit RandomCluster(std::uint64_t seed) : random_(seed) {
        const std::uint32_t count = pick(1, 3);
        std::vector<std::uint32_t> sizes;
        for (std::uint32_t r = 0; r < count; ++r) {
            sizes.push_back(pick(1, count == 3 ? 2 : 3));
            plain.racks.insert(plain.racks.end(), sizes.back(), r);
        }
        cluster = racks(sizes);
        names = cluster->node_names();
        plain.cordoned.resize(names.size());
        // Holes: of what is placed some goes again.
        const std::uint32_t runs = pick(1, 7);
        for (std::uint32_t g = 0; g < runs; ++g) {
            cordon(1);
            const GangPlan plan = cluster->place(make("g" + std::to_string(g)));
            if (!plan.pods.empty()) {
                cluster->commit(plan);
            }
        }
        for (std::uint32_t g = 0; g < runs; ++g) {
            release_some("g" + std::to_string(g));
        }
        cordon(6);
        read();
    }

    std::shared_ptr<const Gang> make(const std::string& name) {
        Gang out;
        out.name = name;
        out.priority = static_cast<std::int32_t>(pick(0, 5));
        const std::uint32_t podsets = pick(0, 3) == 0 ? 2 : 1;
        for (std::uint32_t p = 0; p < podsets; ++p) {
            PodSet made = podset(p == 0 ? "w" : "x", 1U << pick(0, 2), pick(1, 3));
            if (pick(0, 3) == 0) {
                made.min_count = pick(1, made.count);
            }
            const std::string level = pick(0, 2) == 0 ? "node" : "rack";
            switch (pick(0, 5)) {
                case 0:
                    made.require.emplace_back(Within{"rack"});
                    break;
                case 1:
                    made.require.emplace_back(Spread{level, pick(1, 2)});
                    break;
                case 2:
                    made.require.emplace_back(Balanced{level});
                    break;
                case 3:
                    if (made.count == 2) {
                        made.slices.push_back({level, 2});
                        made.min_count = 2;
                    }
                    break;
                default:
                    break;
            }
            out.podsets.push_back(std::move(made));
        }
        if (podsets == 2 && pick(0, 1) == 0) {
            out.groups.push_back({"all", {"w", "x"}, {{"rack"}}, {}});
        }
        return std::make_shared<const Gang>(std::move(out));
    }

    std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
        return low + static_cast<std::uint32_t>(random_() % (high - low + 1));
    }

    std::unique_ptr<Cluster> cluster;
    std::vector<std::string> names;
    Plain plain;

  private:
    // While Gangs come, many nodes are barred, and they end up wide apart.
    void cordon(std::uint32_t cordons) {
        for (std::size_t n = 0; n < names.size(); ++n) {
            plain.cordoned[n] = pick(0, cordons) == 0;
            cluster->cordon_node(names[n], plain.cordoned[n]);
        }
    }
    void release_some(const std::string& name) {
        const auto gangs = cluster->gangs();
        const auto running = gangs.find(name);
        if (running == gangs.end()) {
            return;
        }
        if (pick(0, 4) == 0) {
            cluster->release(name);
            return;
        }
        for (const PodPlace& pod : running->second.pods) {
            if (pick(0, 3) == 0) {
                cluster->release(
                    name,
                    Cluster::PodNames{
                        {running->second.gang->podsets[pod.podset].name, pod.index}});
            }
        }
    }
    void read() {
        for (const auto& [name, running] : cluster->gangs()) {
            const auto g = static_cast<std::uint32_t>(plain.gangs.size());
            plain.gangs.push_back(running.gang);
            for (const PodPlace& pod : running.pods) {
                const auto n = std::ranges::find(names, pod.node) - names.begin();
                plain.pods.push_back(
                    {g, pod.podset, pod.index, static_cast<std::uint32_t>(n)});
            }
        }
    }
    std::mt19937_64 random_;
};

PlainCost plain_cost(const ClusterChange& change) {
    return {change.cost.short_pods,
            change.cost.domains.at(0),
            change.cost.nodes,
            change.cost.waste,
            change.cost.opened.at(0)};
}

void expect_committable(const RandomCluster& random, const ClusterChange& change) {
    if (change.moves.empty()) {
        return;
    }
    const auto fork = random.cluster->fork();
    fork->commit(change);
    fork->check_consistency();
}

constexpr std::uint64_t seeds = 1000;

TEST(ReplaceAgainstEnumeration, AgreesOnRandomClusters) {
    int answered = 0;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        const Plain& plain = random.plain;
        for (std::uint32_t g = 0; g < plain.gangs.size(); ++g) {
            std::set<std::uint32_t> failed{random.pick(0, 5), random.pick(0, 5)};
            std::vector<std::string> failed_names;
            for (const std::uint32_t n : failed) {
                failed_names.push_back(n < random.names.size() ? random.names[n]
                                                               : "gone");
            }
            std::set<std::size_t> gone;
            for (std::size_t i = 0; i < plain.pods.size(); ++i) {
                if (plain.pods[i].gang == g && failed.contains(plain.pods[i].node)) {
                    gone.insert(i);
                }
            }
            const ClusterChange change =
                random.cluster->replace(plain.gangs[g]->name, failed_names);
            const auto best =
                best_cost(plain, {moved(plain, g, gone, false)}, gone, failed);
            ASSERT_EQ(change.verdict.status,
                      best ? Status::optimal : Status::infeasible);
            if (best) {
                ASSERT_EQ(plain_cost(change), *best);
                ASSERT_EQ(change.moves.size(), gone.size());
                expect_committable(random, change);
                answered += gone.empty() ? 0 : 1;
            } else {
                ++refused;
            }
        }
    }
    EXPECT_GT(answered, 100);
    EXPECT_GT(refused, 30);
}

TEST(DrainAgainstEnumeration, AgreesOnRandomClusters) {
    int answered = 0;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        const Plain& plain = random.plain;
        std::set<std::uint32_t> nodes{
            random.pick(0, static_cast<std::uint32_t>(random.names.size()) - 1)};
        if (random.pick(0, 1) == 0) {
            nodes.insert(0);
        }
        std::vector<std::string> drained;
        for (const std::uint32_t n : nodes) {
            drained.push_back(random.names[n]);
        }
        std::set<std::size_t> gone;
        std::set<std::uint32_t> gangs;
        for (std::size_t i = 0; i < plain.pods.size(); ++i) {
            if (nodes.contains(plain.pods[i].node)) {
                gone.insert(i);
                gangs.insert(plain.pods[i].gang);
            }
        }
        std::vector<Wanted> wanted;
        for (const std::uint32_t g : gangs) {
            wanted.push_back(moved(plain, g, gone, true));
        }
        const ClusterChange change = random.cluster->drain(drained);
        const auto best = best_cost(plain, wanted, gone, nodes);
        ASSERT_EQ(change.verdict.status, best ? Status::optimal : Status::infeasible);
        if (!best) {
            ++refused;
            continue;
        }
        ASSERT_EQ(change.moves.size(), gone.size());
        if (!gone.empty()) {
            // Short are none of the pods that run, whatever the Gang's own count.
            PlainCost expected = *best;
            expected.short_pods = 0;
            ASSERT_EQ(plain_cost(change), expected);
            ++answered;
        }
        expect_committable(random, change);
    }
    EXPECT_GT(answered, 50);
    EXPECT_GT(refused, 50);
}

// Highest priority, number, pods, names: of the best set of victims.
using VictimKey =
    std::tuple<std::int32_t, std::size_t, std::size_t, std::vector<std::string>>;

std::optional<VictimKey> best_victims(const Plain& plain,
                                      const std::shared_ptr<const Gang>& wants) {
    std::optional<VictimKey> best;
    for (std::uint32_t set = 0; set < (1U << plain.gangs.size()); ++set) {
        VictimKey key{-1, 0, 0, {}};
        std::set<std::size_t> gone;
        bool is_allowed = true;
        for (std::uint32_t g = 0; g < plain.gangs.size(); ++g) {
            if (((set >> g) & 1U) == 0) {
                continue;
            }
            is_allowed = is_allowed && plain.gangs[g]->priority < wants->priority;
            std::get<0>(key) = std::max(std::get<0>(key), plain.gangs[g]->priority);
            ++std::get<1>(key);
            std::get<3>(key).push_back(plain.gangs[g]->name);
            for (std::size_t i = 0; i < plain.pods.size(); ++i) {
                if (plain.pods[i].gang == g) {
                    gone.insert(i);
                    ++std::get<2>(key);
                }
            }
        }
        if (is_allowed && (!best || key < *best) && fits(plain, {fresh(wants)}, gone)) {
            best = key;
        }
    }
    return best;
}

// At a limit: nothing is said that is not so, and equal questions get equal answers.
void expect_honest(const RandomCluster& random,
                   const ClusterChange& change,
                   const ClusterChange& again,
                   std::optional<std::uint64_t> truth,
                   std::size_t found) {
    switch (change.verdict.status) {
        case Status::optimal:
            ASSERT_EQ(found, truth);
            ASSERT_TRUE(change.is_least);
            break;
        case Status::feasible:
            ASSERT_TRUE(truth.has_value());
            break;
        case Status::infeasible:
            ASSERT_FALSE(truth.has_value());
            break;
        case Status::unknown:
            break;
    }
    ASSERT_LE(change.least, truth.value_or(change.least));
    if (truth && change.verdict.status != Status::unknown) {
        expect_committable(random, change);
    }
    ASSERT_EQ(again.verdict.status, change.verdict.status);
    ASSERT_EQ(again.verdict.steps, change.verdict.steps);
    ASSERT_EQ(moves_of(again), moves_of(change));
}

TEST(PreemptAgainstEnumeration, IsHonestAtItsLimit) {
    std::map<Status, int> by_status;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        const auto wants = random.make("wants");
        const auto best = best_victims(random.plain, wants);
        const SearchLimits limits{1U << random.pick(0, 11)};
        const ClusterChange change = random.cluster->preempt(wants, limits);
        // A bound on the number is of the sets of the least priority.
        const bool is_low = best && change.verdict.status == Status::feasible &&
                            !change.victims.empty();
        ++by_status[change.verdict.status];
        if (is_low) {
            std::int32_t highest = -1;
            for (const std::string& name : change.victims) {
                highest =
                    std::max(highest, random.cluster->gangs().at(name).gang->priority);
            }
            ASSERT_GE(highest, std::get<0>(*best));
            if (highest > std::get<0>(*best)) {
                continue;
            }
        }
        expect_honest(random,
                      change,
                      random.cluster->preempt(wants, limits),
                      best ? std::optional(std::get<1>(*best)) : std::nullopt,
                      change.victims.size());
    }
    EXPECT_GT(by_status[Status::unknown], 20);
    EXPECT_GT(by_status[Status::feasible], 0);
}

TEST(PreemptAgainstEnumeration, AgreesOnRandomClusters) {
    std::map<std::size_t, int> by_size;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < 3 * seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        const auto wants = random.make("wants");
        const auto best = best_victims(random.plain, wants);
        const ClusterChange change = random.cluster->preempt(wants);
        ASSERT_EQ(change.verdict.status, best ? Status::optimal : Status::infeasible);
        if (!best) {
            ++refused;
            continue;
        }
        ASSERT_EQ(change.victims, std::get<3>(*best));
        ASSERT_EQ(change.least, change.victims.size());
        std::set<std::size_t> gone;
        for (std::size_t i = 0; i < random.plain.pods.size(); ++i) {
            const std::string& name =
                random.plain.gangs[random.plain.pods[i].gang]->name;
            if (std::ranges::count(change.victims, name) != 0) {
                gone.insert(i);
            }
        }
        ASSERT_EQ(plain_cost(change), *best_cost(random.plain, {fresh(wants)}, gone));
        expect_committable(random, change);
        ++by_size[change.victims.size()];
    }
    EXPECT_GT(by_size[1], 50);
    EXPECT_GT(by_size[2], 10);
    EXPECT_GT(refused, 50);
}

bool runs_well(const Plain& plain, std::uint32_t g) {
    const Wanted now = moved(plain, g, {}, true);
    return keeps_rules(plain, *now.gang, now.stays);
}

// Whether moving so many pods is enough, and the first set in order that is.
std::optional<std::set<std::size_t>> best_moves(
    const Plain& plain, const std::shared_ptr<const Gang>& wants) {
    std::vector<std::size_t> movable;
    for (std::size_t i = 0; i < plain.pods.size(); ++i) {
        if (!plain.cordoned[plain.pods[i].node] &&
            runs_well(plain, plain.pods[i].gang)) {
            movable.push_back(i);
        }
    }
    std::optional<std::set<std::size_t>> best;
    const auto try_set = [&](const std::set<std::size_t>& gone) {
        std::vector<Wanted> wanted{fresh(wants)};
        std::set<std::uint32_t> gangs;
        for (const std::size_t i : gone) {
            gangs.insert(plain.pods[i].gang);
        }
        for (const std::uint32_t g : gangs) {
            wanted.push_back(moved(plain, g, gone, true));
        }
        return fits(plain, wanted, gone);
    };
    const std::function<bool(std::size_t, std::size_t, std::set<std::size_t>&)> choose =
        [&](std::size_t from, std::size_t more, std::set<std::size_t>& gone) {
            if (more == 0) {
                return try_set(gone);
            }
            for (std::size_t i = from; i + more <= movable.size(); ++i) {
                gone.insert(movable[i]);
                if (choose(i + 1, more - 1, gone)) {
                    return true;
                }
                gone.erase(movable[i]);
            }
            return false;
        };
    for (std::size_t size = 0; size <= movable.size(); ++size) {
        std::set<std::size_t> gone;
        if (choose(0, size, gone)) {
            return gone;
        }
    }
    return std::nullopt;
}

TEST(DefragmentAgainstEnumeration, AgreesOnRandomClusters) {
    std::map<std::size_t, int> by_size;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < 3 * seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        if (random.plain.pods.size() > 9) {
            continue;
        }
        const auto wants = random.make("wants");
        const auto best = best_moves(random.plain, wants);
        const ClusterChange change = random.cluster->defragment(wants);
        ASSERT_EQ(change.verdict.status, best ? Status::optimal : Status::infeasible);
        if (!best) {
            ++refused;
            continue;
        }
        ASSERT_EQ(change.least, best->size());
        std::set<std::string> expected;
        for (const std::size_t i : *best) {
            const PlainPod& pod = random.plain.pods[i];
            expected.insert(
                pod_owner(*random.plain.gangs[pod.gang], pod.podset, pod.index));
        }
        std::set<std::string> found;
        for (const PodMove& move : change.moves) {
            if (move.from) {
                ASSERT_TRUE(move.to.has_value());
                found.insert(pod_owner(*move.gang, move.podset, move.index));
            }
        }
        ASSERT_EQ(found, expected);
        std::vector<Wanted> wanted{fresh(wants)};
        std::set<std::uint32_t> gangs;
        std::int64_t not_asked = 0;
        for (const std::size_t i : *best) {
            gangs.insert(random.plain.pods[i].gang);
        }
        for (const std::uint32_t g : gangs) {
            wanted.push_back(moved(random.plain, g, *best, true));
            for (const PodSet& podset : random.plain.gangs[g]->podsets) {
                not_asked += podset.count;
            }
            not_asked -= std::ranges::count(random.plain.pods, g, &PlainPod::gang);
        }
        PlainCost cost = *best_cost(random.plain, wanted, *best);
        cost.short_pods -= not_asked;
        ASSERT_EQ(plain_cost(change), cost);
        expect_committable(random, change);
        ++by_size[best->size()];
    }
    EXPECT_GT(by_size[1], 30);
    EXPECT_GT(by_size[2], 5);
    EXPECT_GT(refused, 50);
}

TEST(DefragmentAgainstEnumeration, IsHonestAtItsLimit) {
    std::map<Status, int> by_status;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        SCOPED_TRACE(seed);
        RandomCluster random(seed);
        if (random.plain.pods.size() > 9) {
            continue;
        }
        const auto wants = random.make("wants");
        const auto best = best_moves(random.plain, wants);
        const SearchLimits limits{1U << random.pick(4, 13)};
        const ClusterChange change = random.cluster->defragment(wants, limits);
        const auto found = std::ranges::count_if(
            change.moves, [](const PodMove& move) { return move.from.has_value(); });
        ++by_status[change.verdict.status];
        expect_honest(random,
                      change,
                      random.cluster->defragment(wants, limits),
                      best ? std::optional(best->size()) : std::nullopt,
                      static_cast<std::size_t>(found));
    }
    EXPECT_GT(by_status[Status::unknown], 20);
    EXPECT_GT(by_status[Status::feasible], 0);
}

// False where another thread came first.
bool did(const std::function<void()>& change) {
    try {
        change();
        return true;
    } catch (const StaleError&) {
        return false;
    } catch (const StateError&) {
        return false;
    }
}

TEST(Operations, AreAtomicAmongThreads) {
    const auto cluster = racks({3, 3});
    std::atomic<int> placed = 0;
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const std::string name = "g" + std::to_string(t);
            for (std::uint32_t i = 0; i < 25; ++i) {
                const auto priority = static_cast<std::int32_t>(i % 3);
                const auto wants = gang(name, {podset("w", 2, 2)}, priority);
                placed +=
                    did([&] { cluster->commit(cluster->preempt(wants)); }) ? 1 : 0;
                did([&] { cluster->commit(cluster->replace(name, {"n00", "n10"})); });
                did([&] { cluster->release(name); });
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_GT(placed, 0);
    cluster->check_consistency();
    EXPECT_TRUE(cluster->gangs().empty());
    EXPECT_EQ(cluster->state_count(), 1U);
}

}  // namespace
}  // namespace topoalloc
