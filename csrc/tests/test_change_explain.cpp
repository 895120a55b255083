// SPDX-License-Identifier: Apache-2.0
//
// Explanations of changes that were refused: exact texts, and conflicts and changes
// held to the operations themselves: what is not in a set is taken out of the Gangs
// that run, and the same is asked again.
#include "topoalloc/gang_explanation.hpp"

#include "small_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <set>

namespace topoalloc {
namespace {

using testing::small_machine;
using testing::want;

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

PodSet in_one(const std::string& level, PodSet of) {
    of.require.emplace_back(Within{level});
    return of;
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

// Racks r0, r1, ... of so many small machines of 4 GPUs: n00, n01, ..., n10, ...
std::unique_ptr<Cluster> racks(const std::vector<std::uint32_t>& sizes) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    static const auto machine = small_machine();
    for (std::size_t r = 0; r < sizes.size(); ++r) {
        const std::string rack = std::to_string(r);
        for (std::uint32_t n = 0; n < sizes[r]; ++n) {
            NodeDescription node;
            node.name = "n" + rack + std::to_string(n);
            node.machine = machine;
            node.domains = {{"block", "b0"}, {"rack", "r" + rack}};
            cluster->add_nodes({node});
        }
    }
    return cluster;
}

void run(Cluster& cluster, const std::shared_ptr<const Gang>& asked) {
    const GangPlan plan = cluster.place(asked);
    ASSERT_FALSE(plan.pods.empty()) << asked->name;
    cluster.commit(plan);
}

TEST(ChangeExplanation, SaysThatTheOthersOfAGangHoldItInItsRack) {
    const auto cluster = racks({2, 3});
    run(*cluster, gang("train", {in_one("rack", podset("worker", 4, 2))}));
    const ClusterChange no = cluster->replace("train", {"n00"});
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    const GangExplanation why = explain(no, cluster->trees());
    EXPECT_TRUE(why.complete);
    EXPECT_EQ(why.prose(),
              "It does not fit: PodSetConflict of worker.\n"
              "Given: 1 node failed: n00; 1 pod of train stays.\n"
              "The Gang that has no place is train.\n"
              "These cannot be had together: worker: all pods in one rack "
              "(podsets[0].require[0]) and worker: 2 pods, 1 of which stays "
              "(podsets[0].count).\n"
              "Needed: 1 pod of worker; there are 5 nodes in the cluster, 5 not "
              "cordoned, 4 not failed, 4 with tolerated taints only, 3 with room for "
              "one; those hold 3 pods of it.\n"
              "worker: 1 of 2 fit in rack b0/r0.\n"
              "It fits with worker in one block instead of one rack.\n"
              "It fits with 1 pod of worker instead of 2.\n"
              "It fits if all pods of train move.\n");
}

TEST(ChangeExplanation, NamesAMinimalSetOfGangsThatDoNotFitTogether) {
    const auto cluster = racks({2, 2});
    run(*cluster, gang("a", {podset("w", 3, 1)}));
    run(*cluster, gang("b", {podset("w", 3, 1)}));
    run(*cluster, gang("c", {podset("w", 2, 1)}));
    const ClusterChange no = cluster->drain({"n00", "n01", "n10"});
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    const GangExplanation why = explain(no, cluster->trees());
    EXPECT_EQ(
        why.prose(),
        "It does not fit: GangConflict.\n"
        "Given: 3 nodes drained: n00, n01 and n10.\n"
        "These Gangs have no places together, though any of them less would: b and c.\n"
        "These cannot be had together: b/w: 1 pod (gang:b/podsets[0].count) and c/w: 1 "
        "pod (gang:c/podsets[0].count).\n"
        "Needed: 1 pod of b/w; there are 4 nodes in the cluster, 4 not cordoned, 1 not "
        "drained, 1 with tolerated taints only, 1 with room for one; those hold 1 pod "
        "of it.\n"
        "Needed: 1 pod of c/w; there are 4 nodes in the cluster, 4 not cordoned, 1 not "
        "drained, 1 with tolerated taints only, 1 with room for one; those hold 2 pods "
        "of it.\n"
        "No single smaller change that was tried makes it fit.\n");
}

TEST(ChangeExplanation, ExplainsTheGangThatHasNoPlaceThoughTheOthersAreGone) {
    const auto cluster = racks({1, 1, 1});
    run(*cluster, gang("a", {podset("w", 2, 1)}));
    run(*cluster, gang("b", {podset("w", 4, 1)}));
    run(*cluster, gang("c", {podset("w", 3, 1)}));
    const ClusterChange no = cluster->drain({"n00", "n10"});
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    const GangExplanation why = explain(no, cluster->trees());
    EXPECT_EQ(why.gangs, (std::vector<std::string>{"a"}));
    EXPECT_EQ(why.prose(),
              "It does not fit: NotEnoughRoom.\n"
              "Given: 2 nodes drained: n00 and n10.\n"
              "The Gang that has no place is a.\n"
              "This cannot be had: a/w: 1 pod (gang:a/podsets[0].count).\n"
              "Needed: 1 pod of a/w; there are 3 nodes in the cluster, 3 not cordoned, "
              "1 not drained, 1 with tolerated taints only, 0 with room for one; those "
              "hold 0 pods of it.\n"
              "No single smaller change that was tried makes it fit.\n");
}

TEST(ChangeExplanation, TakesAllThatMayStopOrMoveForGone) {
    const auto cluster = racks({2, 1});
    run(*cluster, gang("low", {podset("w", 4, 1)}));
    run(*cluster, gang("high", {podset("w", 4, 1)}, 5));
    const auto asked = gang("new", {in_one("rack", podset("w", 4, 2))}, 3);
    const ClusterChange stop = cluster->preempt(asked);
    ASSERT_EQ(stop.verdict.status, Status::infeasible);
    EXPECT_EQ(
        explain(stop, cluster->trees()).prose(),
        "It does not fit: PodSetConflict of w.\n"
        "Given: all Gangs of lower priority stop: low.\n"
        "The Gang that has no place is new.\n"
        "These cannot be had together: w: all pods in one rack (podsets[0].require[0]) "
        "and w: 2 pods (podsets[0].count).\n"
        "Needed: 2 pods of w; there are 3 nodes in the cluster, 3 not cordoned, 3 with "
        "tolerated taints only, 2 with room for one; those hold 2 pods of it.\n"
        "w: 1 of 2 fit in rack b0/r0.\n"
        "It fits with w in one block instead of one rack.\n"
        "It fits with 1 pod of w instead of 2.\n"
        "It fits if Gang high leaves, 1 pod.\n");
    const ClusterChange move = cluster->defragment(asked);
    ASSERT_EQ(move.verdict.status, Status::infeasible);
    EXPECT_EQ(
        explain(move, cluster->trees()).prose(),
        "It does not fit: GangConflict.\n"
        "Given: all that may move does: 2 pods.\n"
        "These Gangs have no places together, though any of them less would: new, high "
        "and low.\n"
        "These cannot be had together: new/w: 2 pods (gang:new/podsets[0].count), "
        "high/w: 1 pod (gang:high/podsets[0].count) and low/w: 1 pod "
        "(gang:low/podsets[0].count).\n"
        "Needed: 2 pods of new/w; there are 3 nodes in the cluster, 3 not cordoned, 3 "
        "with tolerated taints only, 3 with room for one; those hold 3 pods of it.\n"
        "Needed: 1 pod of high/w; there are 3 nodes in the cluster, 3 not cordoned, 3 "
        "with tolerated taints only, 3 with room for one; those hold 3 pods of it.\n"
        "Needed: 1 pod of low/w; there are 3 nodes in the cluster, 3 not cordoned, 3 "
        "with tolerated taints only, 3 with room for one; those hold 3 pods of it.\n"
        "It fits with 1 pod of new/w instead of 2.\n"
        "It fits without high/w.\n"
        "It fits without low/w.\n"
        "It fits if Gang high leaves, 1 pod.\n");
}

TEST(ChangeExplanation, SaysWhatGrowingLacks) {
    const auto cluster = racks({2});
    PodSet workers = podset("w", 4, 3);
    workers.min_count = 2;
    run(*cluster, gang("g", {workers}));
    cluster->release("g", Cluster::PodNames{{"w", 1}});
    cluster->cordon_node("n01", true);
    const ClusterChange no = cluster->grow("g");
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    EXPECT_EQ(
        explain(no, cluster->trees()).prose(),
        "It does not fit: NotEnoughRoom of w.\n"
        "Given: 1 pod of g stays.\n"
        "The Gang that has no place is g.\n"
        "This cannot be had: w: 2 pods, 1 of which stays (podsets[0].count).\n"
        "Needed: 1 pod of w; there are 2 nodes in the cluster, 1 not cordoned, 1 with "
        "tolerated taints only, 0 with room for one; those hold 0 pods of it.\n"
        "It fits with 1 pod of w instead of 2.\n"
        "It fits if node n01 is uncordoned.\n");
}

TEST(ChangeExplanation, NamesTheTermsOfAChangeThatWasFound) {
    const auto cluster = racks({2});
    run(*cluster, gang("g", {podset("w", 4, 1)}));
    EXPECT_EQ(explain(cluster->replace("g", {"n00"}), cluster->trees()).prose(),
              "It fits, and nothing costs less.\n"
              "Cost: domains.block 1, domains.rack 1, nodes 1, opened.block 1, "
              "opened.rack 1.\n");
    const GangExplanation drained = explain(cluster->drain({"n00"}), cluster->trees());
    EXPECT_EQ(drained.cost.at(1).name, "unmet.g/w");
}

TEST(ChangeExplanation, SaysWhenALimitCameFirst) {
    const auto cluster = racks({2});
    run(*cluster, gang("g", {podset("w", 4, 2)}));
    const ClusterChange no = cluster->drain({"n00"});
    ASSERT_EQ(no.verdict.status, Status::infeasible);
    const GangExplanation why = explain(no, cluster->trees(), {0});
    EXPECT_FALSE(why.complete);
    EXPECT_TRUE(why.relaxations.empty());
    EXPECT_TRUE(why.prose().ends_with("This explanation is not complete.\n"));
}

// Random changes.

using Rng = std::mt19937;

std::uint32_t pick(Rng& rng, std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(rng() % (high - low + 1));
}

std::string pick_level(Rng& rng) {
    return std::vector<std::string>{"block", "rack", "node"}[pick(rng, 0, 2)];
}

PodSet random_podset(Rng& rng, const std::string& name) {
    PodSet out = podset(name, pick(rng, 1, 4), pick(rng, 1, 3));
    out.min_count = pick(rng, 0, 3) == 0 ? pick(rng, 0, out.count) : out.count;
    for (std::uint32_t i = pick(rng, 0, 2); i-- > 0;) {
        if (pick(rng, 0, 1) == 0) {
            out.require.emplace_back(Within{pick_level(rng)});
        } else {
            out.require.emplace_back(Spread{pick_level(rng), pick(rng, 1, 2)});
        }
    }
    if (pick(rng, 0, 2) == 0) {
        out.where.push_back({"pool", ConditionOp::equal, {std::string("a")}});
    }
    return out;
}

std::shared_ptr<const Gang> random_gang(Rng& rng, const std::string& name) {
    Gang out;
    out.name = name;
    out.priority = static_cast<std::int32_t>(pick(rng, 0, 2));
    const std::uint32_t count = pick(rng, 1, 2);
    for (std::uint32_t p = 0; p < count; ++p) {
        out.podsets.push_back(random_podset(rng, "p" + std::to_string(p)));
    }
    if (count > 1 && pick(rng, 0, 1) == 0) {
        out.groups.push_back({"pair", {"p0", "p1"}, {{pick_level(rng)}}, {}});
    }
    return std::make_shared<const Gang>(std::move(out));
}

std::unique_ptr<Cluster> random_cluster(Rng& rng) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    static const auto machine = small_machine();
    const std::uint32_t count = pick(rng, 3, 6);
    for (std::uint32_t n = 0; n < count; ++n) {
        NodeDescription node;
        node.name = "n" + std::to_string(n);
        node.machine = machine;
        node.domains["block"] = "b" + std::to_string(pick(rng, 0, 1));
        node.domains["rack"] = "r" + std::to_string(pick(rng, 0, 1));
        node.labels["pool"] = pick(rng, 0, 3) == 0 ? "b" : "a";
        cluster->add_nodes({node});
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
        const GangPlan plan = cluster->place(random_gang(rng, "g" + std::to_string(i)));
        if (!plan.pods.empty()) {
            cluster->commit(plan);
        }
    }
    for (const std::string& node : cluster->node_names()) {
        if (pick(rng, 0, 7) == 0) {
            cluster->cordon_node(node, true);
        }
    }
    return cluster;
}

enum class Operation : std::uint8_t { replace, grow, drain, preempt, defragment };

// A change that is asked for, and can be asked for again of other Gangs.
struct Question {
    Operation operation = Operation::replace;
    std::string gang;                   ///< of replace and grow
    std::vector<std::string> nodes;     ///< of replace and drain
    std::shared_ptr<const Gang> asked;  ///< of preempt and defragment

    [[nodiscard]] bool has_path_of_gang() const {
        return operation == Operation::drain || operation == Operation::defragment;
    }
    [[nodiscard]] ClusterChange ask(const Cluster& cluster) const {
        switch (operation) {
            case Operation::replace:
                return cluster.replace(gang, nodes);
            case Operation::grow:
                return cluster.grow(gang);
            case Operation::drain:
                return cluster.drain(nodes);
            case Operation::preempt:
                return cluster.preempt(asked);
            case Operation::defragment:
                break;
        }
        return cluster.defragment(asked);
    }
};

std::optional<Question> random_question(Rng& rng, Cluster& cluster) {
    Question out;
    out.operation = static_cast<Operation>(pick(rng, 0, 4));
    const auto gangs = cluster.gangs();
    if (gangs.empty()) {
        return std::nullopt;
    }
    for (const std::string& node : cluster.node_names()) {
        if (pick(rng, 0, 2) == 0) {
            out.nodes.push_back(node);
        }
    }
    if (out.nodes.empty()) {
        return std::nullopt;
    }
    out.gang = std::next(gangs.begin(),
                         static_cast<std::ptrdiff_t>(pick(
                             rng, 0, static_cast<std::uint32_t>(gangs.size() - 1))))
                   ->first;
    out.asked = random_gang(rng, "new");
    // A Gang that has all it must have can always be left as it is.
    const RunningGang& running = gangs.at(out.gang);
    if (out.operation == Operation::grow && running.pods.size() > 1) {
        const PodPlace& pod = running.pods.front();
        cluster.release(
            out.gang,
            Cluster::PodNames{{running.gang->podsets[pod.podset].name, pod.index}});
        cluster.cordon_node(pod.node, true);
    }
    return out;
}

// What may be in a conflict: by Gang the paths of what it requires and wants.
using Kept = std::set<std::pair<std::string, std::string>>;

std::string at(const char* list, std::size_t i) {
    return std::string(list) + "[" + std::to_string(i) + "]";
}

void add_paths(const Gang& of, Kept& out) {
    for (std::size_t g = 0; g < of.groups.size(); ++g) {
        out.emplace(of.name, at("groups", g) + ".require[0]");
    }
    for (std::size_t p = 0; p < of.podsets.size(); ++p) {
        for (std::size_t i = 0; i < of.podsets[p].require.size(); ++i) {
            out.emplace(of.name, at("podsets", p) + at(".require", i));
        }
        if (!of.podsets[p].where.empty()) {
            out.emplace(of.name, at("podsets", p) + ".where[0]");
        }
        out.emplace(of.name, at("podsets", p) + ".count");
    }
}

Gang with(const Gang& from, const Kept& kept) {
    Gang out = from;
    const auto has = [&](const std::string& path) {
        return kept.contains({from.name, path});
    };
    for (std::size_t g = 0; g < out.groups.size(); ++g) {
        if (!has(at("groups", g) + ".require[0]")) {
            out.groups[g].require.clear();
        }
    }
    for (std::size_t p = 0; p < out.podsets.size(); ++p) {
        PodSet& of = out.podsets[p];
        for (std::size_t i = of.require.size(); i-- > 0;) {
            if (!has(at("podsets", p) + at(".require", i))) {
                of.require.erase(of.require.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (!has(at("podsets", p) + ".where[0]")) {
            of.where.clear();
        }
        if (!has(at("podsets", p) + ".count")) {
            of.min_count = 0;
        }
    }
    return out;
}

// Lets a Gang that runs be another one, and stops those of its pods.
void rewrite(Cluster& cluster,
             const Gang& as,
             const std::function<bool(const PodPlace&)>& stops) {
    const RunningGang running = cluster.gangs().at(as.name);
    cluster.release(as.name);
    std::vector<PodPlace> pods;
    for (const PodPlace& pod : running.pods) {
        if (!stops(pod)) {
            cluster.node(pod.node)->take(*pod.placement,
                                         pod_owner(as, pod.podset, pod.index));
            pods.push_back(pod);
        }
    }
    if (!pods.empty()) {
        cluster.adopt(std::make_shared<const Gang>(as), pods);
    }
}

// Gangs that the question is of: of several, those that may leave their places.
std::vector<std::string> gangs_of(const Cluster& cluster, const Question& question) {
    if (question.operation == Operation::preempt) {
        return {};
    }
    if (!question.has_path_of_gang()) {
        return {question.gang};
    }
    std::vector<std::string> out;
    for (const auto& [name, running] : cluster.gangs()) {
        out.push_back(name);
    }
    return out;
}

bool stands_on(const Question& question, const PodPlace& pod) {
    return std::ranges::find(question.nodes, pod.node) != question.nodes.end();
}

// Whether there is such a change when of what is asked for only this is.
bool is_found(const Cluster& cluster, const Question& question, const Kept& kept) {
    const auto world = cluster.fork();
    Question again = question;
    again.asked = std::make_shared<const Gang>(with(*question.asked, kept));
    for (const std::string& name : gangs_of(cluster, question)) {
        const RunningGang running = cluster.gangs().at(name);
        const bool may_stop = question.has_path_of_gang();
        rewrite(*world, with(*running.gang, kept), [&](const PodPlace& pod) {
            const std::string count = at("podsets", pod.podset) + ".count";
            const bool leaves = question.operation == Operation::drain
                                    ? stands_on(question, pod)
                                    : !cluster.is_cordoned(pod.node);
            return may_stop && leaves && !kept.contains({name, count});
        });
    }
    const ClusterChange change = again.ask(*world);
    EXPECT_NE(change.verdict.status, Status::unknown);
    return change.verdict.status != Status::infeasible;
}

// The Gang that a path is of, and the path in it.
std::pair<std::string, std::string> place_of(const Question& question,
                                             const std::string& path) {
    if (path.starts_with("gang:")) {
        const std::size_t slash = path.find('/');
        return {path.substr(5, slash - 5), path.substr(slash + 1)};
    }
    return {
        question.operation == Operation::preempt ? question.asked->name : question.gang,
        path};
}

// Infeasible, and every proper part of it feasible.
void expect_minimal(const Cluster& cluster,
                    const Question& question,
                    const GangExplanation& why) {
    std::vector<std::pair<std::string, std::string>> items;
    std::set<std::string> gangs;
    for (const ConflictItem& item : why.conflict) {
        items.push_back(place_of(question, item.path));
        gangs.insert(items.back().first);
    }
    EXPECT_EQ(gangs, std::set<std::string>(why.gangs.begin(), why.gangs.end()));
    ASSERT_FALSE(items.empty());
    const Kept all(items.begin(), items.end());
    ASSERT_EQ(all.size(), items.size());
    EXPECT_FALSE(is_found(cluster, question, all));
    // Fewer things break nothing, so the largest parts are enough; where there are few,
    // all of them are tried.
    const std::size_t most = std::size_t{1} << items.size();
    for (std::size_t set = 0; set + 1 < most; ++set) {
        Kept part;
        for (std::size_t i = 0; i < items.size(); ++i) {
            if ((set >> i & 1U) != 0) {
                part.insert(items[i]);
            }
        }
        if (items.size() <= 4 || part.size() + 1 == items.size()) {
            EXPECT_TRUE(is_found(cluster, question, part)) << set;
        }
    }
}

// Everything that the question may be in conflict by.
Kept all_of(const Cluster& cluster, const Question& question) {
    Kept out;
    if (question.operation == Operation::preempt ||
        question.operation == Operation::defragment) {
        add_paths(*question.asked, out);
    }
    for (const std::string& name : gangs_of(cluster, question)) {
        add_paths(*cluster.gangs().at(name).gang, out);
    }
    return out;
}

// One Gang that is not in the conflict, or has no place by itself, says so.
void expect_gangs(const Cluster& cluster,
                  const Question& question,
                  const GangExplanation& why) {
    const Kept all = all_of(cluster, question);
    const auto only = [&](const std::set<std::string>& gangs) {
        Kept out;
        std::ranges::copy_if(all, std::inserter(out, out.end()), [&](const auto& item) {
            return gangs.contains(item.first);
        });
        return is_found(cluster, question, out);
    };
    const std::set<std::string> named(why.gangs.begin(), why.gangs.end());
    EXPECT_FALSE(only(named));
    for (const std::string& name : named) {
        std::set<std::string> others = named;
        others.erase(name);
        EXPECT_TRUE(only(others)) << name;
        EXPECT_TRUE(named.size() == 1 || only({name})) << name;
    }
}

std::size_t number_after(const std::string& text, const std::string& mark) {
    return std::stoul(text.substr(text.find(mark) + mark.size()));
}

// The Gang with a number or a level changed; nullopt for other changes.
std::optional<Gang> changed(Gang of,
                            const std::string& path,
                            const std::string& change) {
    const std::string value = change.substr(change.find('=') + 1);
    if (change.starts_with("level=")) {
        if (path.starts_with("groups")) {
            of.groups[0].require[0].level = value;
        } else {
            of.podsets[number_after(path, "podsets[")]
                .require[number_after(path, ".require[")] = Within{value};
        }
        return of;
    }
    if (change.starts_with("at_most=")) {
        auto& entry = of.podsets[number_after(path, "podsets[")]
                          .require[number_after(path, ".require[")];
        std::get<Spread>(entry).at_most = static_cast<std::uint32_t>(std::stoul(value));
        return of;
    }
    return std::nullopt;
}

bool is_found_without(const Cluster& cluster,
                      const Question& question,
                      const std::pair<std::string, std::string>& place) {
    Kept kept = all_of(cluster, question);
    if (place.second == "podsets[0]" || place.second == "podsets[1]") {
        kept.erase({place.first, place.second + ".count"});
    } else {
        EXPECT_EQ(kept.erase(place), 1U) << place.first << " " << place.second;
    }
    return is_found(cluster, question, kept);
}

// What a change of a Cluster or of one entry says is so.
void expect_solved(const Cluster& cluster,
                   const Question& question,
                   const GangRelaxation& change) {
    SCOPED_TRACE(change.path + " " + change.change);
    const auto world = cluster.fork();
    Question again = question;
    if (change.change == "uncordon") {
        world->cordon_node(change.path.substr(5), false);
    } else if (change.change == "release") {
        world->release(change.path.substr(5));
    } else if (change.change == "keep") {
        std::erase(again.nodes, change.path.substr(5));
    } else if (change.change == "drop") {
        EXPECT_TRUE(
            is_found_without(cluster, question, place_of(question, change.path)));
        return;
    } else {
        const auto [name, path] = place_of(question, change.path);
        const auto running = cluster.gangs();
        const auto found = running.find(name);
        const Gang& before =
            found == running.end() ? *question.asked : *found->second.gang;
        const auto other = changed(before, path, change.change);
        if (!other) {
            return;  // A count, or all of a Gang that moves: below.
        }
        if (found == running.end()) {
            again.asked = std::make_shared<const Gang>(*other);
        } else {
            rewrite(*world, *other, [](const PodPlace&) { return false; });
        }
    }
    EXPECT_NE(again.ask(*world).verdict.status, Status::infeasible);
}

// Of a Gang alone: so many pods in all, and no more.
void expect_count(const Cluster& cluster,
                  const Question& question,
                  const GangRelaxation& change) {
    const bool is_alone = question.operation == Operation::replace ||
                          question.operation == Operation::preempt;
    if (!is_alone || change.change.find("count=") == std::string::npos) {
        return;
    }
    const std::size_t p = number_after(change.path, "podsets[");
    const auto number = static_cast<std::uint32_t>(number_after(change.change, "="));
    for (const std::uint32_t more : {0U, 1U}) {
        const auto world = cluster.fork();
        Question again = question;
        if (question.operation == Operation::preempt) {
            Gang other = *question.asked;
            other.podsets[p].min_count = number + more;
            again.asked = std::make_shared<const Gang>(other);
        } else {
            Gang other = *cluster.gangs().at(question.gang).gang;
            other.podsets[p].min_count = number + more;
            rewrite(*world, other, [](const PodPlace&) { return false; });
        }
        const Status status = again.ask(*world).verdict.status;
        EXPECT_EQ(status == Status::infeasible, more == 1) << number;
    }
}

// All pods of a Gang that is replaced move: it is as one that starts.
void expect_moved(const Cluster& cluster,
                  const Question& question,
                  const GangExplanation& why) {
    if (question.operation != Operation::replace) {
        return;
    }
    const RunningGang running = cluster.gangs().at(question.gang);
    Gang whole = *running.gang;
    std::vector<std::uint32_t> runs(whole.podsets.size());
    for (const PodPlace& pod : running.pods) {
        ++runs[pod.podset];
    }
    for (std::size_t p = 0; p < runs.size(); ++p) {
        whole.podsets[p].min_count = std::min(runs[p], whole.podsets[p].min_count);
    }
    const bool has_stays = std::ranges::any_of(
        running.pods, [&](const PodPlace& pod) { return !stands_on(question, pod); });
    const auto world = cluster.fork();
    world->release(question.gang);
    for (const std::string& node : question.nodes) {
        world->cordon_node(node, true);
    }
    const bool fits =
        world->check(std::make_shared<const Gang>(whole)).status == Status::feasible;
    const bool says_so =
        std::ranges::find(why.relaxations, "move", &GangRelaxation::change) !=
        why.relaxations.end();
    EXPECT_EQ(says_so, fits && has_stays);
}

TEST(ChangeExplanation, ConflictsAreMinimalAndChangesSuffice) {
    Rng rng(20261123);
    std::map<Operation, int> refused;
    int joint = 0;
    const auto is_enough = [&] {
        return refused.size() == 5 && joint >= 20 &&
               std::ranges::all_of(refused,
                                   [](const auto& of) { return of.second >= 40; });
    };
    while (!is_enough() && !::testing::Test::HasFailure()) {
        const auto cluster = random_cluster(rng);
        const auto question = random_question(rng, *cluster);
        if (!question) {
            continue;
        }
        const ClusterChange change = question->ask(*cluster);
        if (change.verdict.status != Status::infeasible) {
            continue;
        }
        const GangExplanation why = explain(change, cluster->trees());
        ++refused[question->operation];
        joint += why.gangs.size() > 1 ? 1 : 0;
        SCOPED_TRACE(why.prose());
        EXPECT_TRUE(why.complete);
        expect_minimal(*cluster, *question, why);
        expect_gangs(*cluster, *question, why);
        for (const GangRelaxation& of : why.relaxations) {
            expect_solved(*cluster, *question, of);
            expect_count(*cluster, *question, of);
        }
        expect_moved(*cluster, *question, why);
    }
}

}  // namespace
}  // namespace topoalloc
