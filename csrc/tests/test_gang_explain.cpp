// SPDX-License-Identifier: Apache-2.0
//
// Explanations of Gangs: exact texts, and conflicts and changes held to brute force:
// dropped, or made, by hand and asked again of the Cluster.
#include "topoalloc/gang_explanation.hpp"

#include "small_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace topoalloc {
namespace {

using testing::small_machine;
using testing::want;

std::shared_ptr<const Request> gpus(std::uint32_t count, bool aligned = false) {
    Request request;
    request.devices.push_back(want("gpu", count));
    if (aligned) {
        request.require.emplace_back(Align{AlignLevel::numa, {}});
    }
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

// Racks r0, r1, ... of so many small machines: 4 GPUs a node, 2 a NUMANode.
std::unique_ptr<Cluster> racks(const std::vector<std::uint32_t>& sizes) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    const auto machine = small_machine();
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

// Takes some GPUs of a node, by position: devices are gpu0, nic0, gpu1, nic1, ...
void take_gpus(Cluster& cluster,
               const std::string& node,
               const std::vector<std::uint32_t>& positions) {
    for (const std::uint32_t position : positions) {
        const auto allocator = cluster.node(node);
        Request request;
        request.devices.push_back(want("gpu", 1));
        request.devices.back().eligible = {"gpu" + std::to_string(position)};
        const auto verdict = allocator->allocate(compile(allocator->machine(), request),
                                                 "held/" + std::to_string(position));
        ASSERT_EQ(verdict.answer.status, Status::optimal);
    }
}

TEST(GangExplanation, SaysHowManyFitInTheBestRackAndWhyNotMore) {
    const auto cluster = racks({1, 4});
    // Two free on each side: one NUMANode is free, half a pod is left besides.
    take_gpus(*cluster, "n12", {0, 2});
    take_gpus(*cluster, "n13", {1, 3});
    PodSet workers = podset("worker", gpus(2, true), 5);
    workers.require.emplace_back(Within{"rack"});
    const GangVerdict verdict = cluster->check(gang("train", {workers}));
    EXPECT_EQ(verdict.status, Status::infeasible);
    const GangExplanation why = explain(verdict);
    EXPECT_TRUE(why.complete);
    EXPECT_EQ(why.prose(),
              "It does not fit: PodSetConflict of worker.\n"
              "These cannot be had together: worker: all pods in one rack "
              "(podsets[0].require[0]), worker: in each pod everything in "
              "one numa (podsets[0].request.require) and worker: 5 pods "
              "(podsets[0].count).\n"
              "Needed: 5 pods of worker; there are 5 nodes in the cluster, 5 not "
              "cordoned, 5 with tolerated taints only, 3 with room for one; those hold "
              "6 pods of it.\n"
              "worker: 4 of 5 fit in rack b0/r1: 2 nodes have 2 free gpu, but not in "
              "one NUMANode.\n"
              "It fits with worker in one block instead of one rack.\n"
              "It fits without worker: in each pod everything in one numa.\n"
              "It fits with 4 pods of worker instead of 5.\n");
    ASSERT_EQ(why.domains.size(), 1U);
    EXPECT_EQ(why.domains[0].near_misses.at(0).nodes,
              (std::vector<std::string>{"n12", "n13"}));
}

TEST(GangExplanation, FindsTheCordonTheTaintAndTheGangInTheWay) {
    const auto cluster = racks({2, 2});
    cluster->commit(cluster->place(gang("big", {podset("w", gpus(4), 2)})));
    cluster->commit(cluster->place(gang("small", {podset("w", gpus(4), 1)})));
    cluster->cordon_node("n11", true);
    PodSet workers = podset("worker", gpus(4), 1);
    workers.min_count = 1;
    const auto more = gang("more", {workers});
    const GangExplanation why = explain(cluster->check(more));
    ASSERT_EQ(why.relaxations.size(), 3U);
    EXPECT_EQ(why.relaxations[0].path, "podsets[0]");
    EXPECT_EQ(why.relaxations[0].change, "drop");
    EXPECT_EQ(why.relaxations[1].path, "node:n11");
    EXPECT_EQ(why.relaxations[1].change, "uncordon");
    EXPECT_EQ(why.relaxations[2].path, "gang:small");
    EXPECT_EQ(why.relaxations[2].text, "fits if Gang small leaves, 1 pod");
    cluster->cordon_node("n11", false);
    cluster->set_taints("n11", {{"maintenance", "yes", TaintEffect::no_schedule}});
    const GangExplanation tainted = explain(cluster->check(more));
    EXPECT_EQ(tainted.conflict.front().path, "podsets[0].tolerations");
    EXPECT_EQ(tainted.relaxations.front().change, "add=maintenance=yes:NoSchedule");
    EXPECT_EQ(tainted.relaxations.front().text,
              "fits if worker tolerates maintenance=yes:NoSchedule");
}

TEST(GangExplanation, IsOfTheStateThatWasAsked) {
    const auto cluster = racks({2});
    const auto three = gang("three", {podset("worker", gpus(4), 3)});
    const GangVerdict no = cluster->check(three);
    const std::string before = explain(no).prose();
    cluster->commit(cluster->place(gang("other", {podset("w", gpus(1), 5)})));
    cluster->set_labels("n00", {{"pool", "a"}});
    EXPECT_EQ(explain(no).prose(), before);
    EXPECT_NE(explain(cluster->check(three)).prose(), before);
    // A shape whose sums are kept is refused without a search, and explained alike.
    const auto again = racks({2});
    again->register_shape(*three);
    EXPECT_EQ(explain(again->check(three)).prose(), before);
}

TEST(GangExplanation, NamesTheTermsOfAPlan) {
    const auto cluster = racks({2});
    const GangPlan plan = cluster->place(gang("g", {podset("worker", gpus(4), 2)}));
    EXPECT_EQ(explain(plan, cluster->trees()).prose(),
              "It fits, and nothing costs less.\n"
              "Cost: domains.block 1, domains.rack 1, nodes 2, opened.block 1, "
              "opened.rack 1.\n");
    EXPECT_EQ(explain(cluster->check(plan.verdict.gang)).prose(), "It fits.\n");
}

TEST(GangExplanation, SaysWhenItsOwnLimitCameFirst) {
    const auto cluster = racks({2});
    const GangVerdict no = cluster->check(gang("g", {podset("worker", gpus(4), 3)}));
    const GangExplanation why = explain(no, {0});
    EXPECT_FALSE(why.complete);
    EXPECT_TRUE(why.relaxations.empty());
    EXPECT_TRUE(why.prose().ends_with("This explanation is not complete.\n"));
}

// Random Gangs.

using Rng = std::mt19937;

std::uint32_t pick(Rng& rng, std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(rng() % (high - low + 1));
}

std::string pick_level(Rng& rng) {
    return std::vector<std::string>{"block", "rack", "node"}[pick(rng, 0, 2)];
}

std::unique_ptr<Cluster> random_cluster(Rng& rng) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    static const auto machine = small_machine();
    const std::uint32_t count = pick(rng, 2, 5);
    for (std::uint32_t n = 0; n < count; ++n) {
        NodeDescription node;
        node.name = "n" + std::to_string(n);
        node.machine = machine;
        node.domains["block"] = "b" + std::to_string(pick(rng, 0, 1));
        if (pick(rng, 0, 7) != 0) {
            node.domains["rack"] = "r" + std::to_string(pick(rng, 0, 1));
        }
        node.labels["pool"] = pick(rng, 0, 2) == 0 ? "a" : "b";
        if (pick(rng, 0, 4) == 0) {
            node.taints.push_back(
                {"t" + std::to_string(pick(rng, 0, 1)), "", TaintEffect::no_execute});
        }
        cluster->add_nodes({node});
        if (pick(rng, 0, 5) == 0) {
            cluster->cordon_node(node.name, true);
        }
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
        const GangPlan plan =
            cluster->place(gang("old" + std::to_string(i),
                                {podset("w", gpus(pick(rng, 1, 3)), pick(rng, 1, 3))}));
        if (!plan.pods.empty()) {
            cluster->commit(plan);
        }
    }
    return cluster;
}

PodSet random_podset(Rng& rng, const std::string& name) {
    const bool is_aligned = pick(rng, 0, 2) == 0;
    PodSet out = podset(
        name, gpus(pick(rng, 1, is_aligned ? 2 : 4), is_aligned), pick(rng, 1, 4));
    out.min_count = pick(rng, 0, 3) == 0 ? pick(rng, 0, out.count) : out.count;
    if (out.count % 2 == 0 && pick(rng, 0, 3) == 0) {
        out.slices.push_back({pick_level(rng), 2});
    }
    for (std::uint32_t i = pick(rng, 0, 2); i-- > 0;) {
        switch (pick(rng, 0, 2)) {
            case 0:
                out.require.emplace_back(Within{pick_level(rng)});
                break;
            case 1:
                out.require.emplace_back(Spread{pick_level(rng), pick(rng, 1, 2)});
                break;
            default:
                out.require.emplace_back(Balanced{pick_level(rng)});
        }
    }
    if (pick(rng, 0, 3) == 0) {
        out.where.push_back({"pool", ConditionOp::equal, {std::string("a")}});
    }
    return out;
}

Gang random_gang(Rng& rng) {
    Gang out;
    out.name = "new";
    const std::uint32_t count = pick(rng, 1, 3);
    for (std::uint32_t p = 0; p < count; ++p) {
        out.podsets.push_back(random_podset(rng, "p" + std::to_string(p)));
    }
    if (count > 1 && pick(rng, 0, 1) == 0) {
        out.groups.push_back({"pair", {"p0", "p1"}, {{pick_level(rng)}}, {}});
    }
    return out;
}

bool fits(const Cluster& cluster, const Gang& asked) {
    const auto verdict = cluster.check(std::make_shared<const Gang>(asked));
    EXPECT_NE(verdict.status, Status::unknown);
    return verdict.status == Status::feasible;
}

// Every path that a Gang of random_gang() has, in the documented order.
std::vector<std::string> paths_of(const Gang& asked) {
    std::vector<std::string> out;
    const auto at = [](const char* list, std::size_t i) {
        return std::string(list) + "[" + std::to_string(i) + "]";
    };
    for (std::size_t g = 0; g < asked.groups.size(); ++g) {
        out.push_back(at("groups", g) + ".require[0]");
    }
    for (std::size_t p = 0; p < asked.podsets.size(); ++p) {
        for (std::size_t i = 0; i < asked.podsets[p].require.size(); ++i) {
            out.push_back(at("podsets", p) + at(".require", i));
        }
    }
    for (std::size_t p = 0; p < asked.podsets.size(); ++p) {
        if (!asked.podsets[p].slices.empty()) {
            out.push_back(at("podsets", p) + ".slices[0]");
        }
    }
    for (std::size_t p = 0; p < asked.podsets.size(); ++p) {
        if (!asked.podsets[p].where.empty()) {
            out.push_back(at("podsets", p) + ".where[0]");
        }
        out.push_back(at("podsets", p) + ".tolerations");
        out.push_back(at("podsets", p) + ".request.require");
    }
    for (std::size_t p = 0; p < asked.podsets.size(); ++p) {
        out.push_back(at("podsets", p) + ".count");
    }
    return out;
}

std::size_t number_after(const std::string& text, const std::string& mark) {
    return std::stoul(text.substr(text.find(mark) + mark.size()));
}

// The Gang without the things at these paths.
Gang without(Gang asked, std::vector<std::string> paths) {
    std::ranges::sort(paths, std::greater<>());  // Later entries of a list go first.
    for (const std::string& path : paths) {
        if (path.starts_with("groups")) {
            asked.groups[number_after(path, "groups[")].require.clear();
            continue;
        }
        PodSet& of = asked.podsets[number_after(path, "podsets[")];
        if (path.ends_with(".request.require")) {
            Request plain = *of.request;
            plain.require.clear();
            of.request = std::make_shared<const Request>(std::move(plain));
        } else if (path.find(".require[") != std::string::npos) {
            of.require.erase(of.require.begin() + static_cast<std::ptrdiff_t>(
                                                      number_after(path, ".require[")));
        } else if (path.ends_with(".slices[0]")) {
            of.slices.clear();
        } else if (path.ends_with(".where[0]")) {
            of.where.clear();
        } else if (path.ends_with(".tolerations")) {
            of.tolerations = {Toleration{}};
        } else {
            of.min_count = 0;
        }
    }
    return asked;
}

void expect_minimal(const Cluster& cluster,
                    const Gang& asked,
                    const GangExplanation& why) {
    std::vector<std::string> others = paths_of(asked);
    std::vector<std::string> found;
    for (const ConflictItem& item : why.conflict) {
        found.push_back(item.path);
        ASSERT_EQ(std::erase(others, item.path), 1U) << item.path;
    }
    EXPECT_FALSE(fits(cluster, without(asked, others)));
    for (const std::string& path : found) {
        std::vector<std::string> more = others;
        more.push_back(path);
        EXPECT_TRUE(fits(cluster, without(asked, more))) << path;
    }
    // The same conflict as a filter over the whole list, written again.
    std::vector<std::string> gone;
    std::vector<std::string> again;
    for (const std::string& path : paths_of(asked)) {
        gone.push_back(path);
        if (fits(cluster, without(asked, gone))) {
            gone.pop_back();
            again.push_back(path);
        }
    }
    EXPECT_EQ(found, again);
}

// The Gang with a change of a number or a level; nullopt for others.
std::optional<Gang> changed(Gang asked, const GangRelaxation& change) {
    const std::string value = change.change.substr(change.change.find('=') + 1);
    if (change.change.starts_with("level=")) {
        if (change.path.starts_with("groups")) {
            asked.groups[0].require[0].level = value;
        } else {
            auto& of = asked.podsets[number_after(change.path, "podsets[")];
            of.require[number_after(change.path, ".require[")] = Within{value};
        }
        return asked;
    }
    if (change.change.find("count=") == std::string::npos &&
        !change.change.starts_with("at_most=") && !change.change.starts_with("add=")) {
        return std::nullopt;
    }
    PodSet& of = asked.podsets[number_after(change.path, "podsets[")];
    if (change.change.starts_with("at_most=")) {
        auto& entry = of.require[number_after(change.path, ".require[")];
        std::get<Spread>(entry).at_most = static_cast<std::uint32_t>(std::stoul(value));
    } else if (change.change.starts_with("add=")) {
        of.tolerations.push_back({value.substr(0, 2), std::nullopt, std::nullopt});
    } else {
        of.min_count = static_cast<std::uint32_t>(std::stoul(value));
        of.count = change.change.starts_with("count=") ? of.min_count : of.count;
    }
    return asked;
}

void expect_solved(const Cluster& cluster,
                   const Gang& asked,
                   const GangRelaxation& change) {
    const auto fork = cluster.fork();
    if (change.path.starts_with("node:")) {
        fork->cordon_node(change.path.substr(5), false);
        EXPECT_TRUE(fits(*fork, asked)) << change.path;
    } else if (change.path.starts_with("gang:")) {
        fork->release(change.path.substr(5));
        EXPECT_TRUE(fits(*fork, asked)) << change.path;
    } else if (const auto other = changed(asked, change)) {
        EXPECT_TRUE(fits(*fork, *other)) << change.path << " " << change.change;
        PodSet more = other->podsets[0];
        if (change.path == "podsets[0].count" && more.slices.empty()) {
            Gang one_more = *other;
            ++one_more.podsets[0].count;
            ++one_more.podsets[0].min_count;
            EXPECT_FALSE(fits(*fork, one_more));
        }
    } else {
        EXPECT_EQ(change.change, "drop");
        EXPECT_TRUE(fits(*fork, without(asked, {change.path}))) << change.path;
    }
}

// Where no node, or Gang, is named, none of them alone suffices.
void expect_none_else(const Cluster& cluster,
                      const Gang& asked,
                      const GangExplanation& why) {
    const auto names_a = [&](const char* kind) {
        return std::ranges::any_of(why.relaxations, [&](const GangRelaxation& change) {
            return change.path.starts_with(kind);
        });
    };
    for (const std::string& node : cluster.node_names()) {
        const auto fork = cluster.fork();
        fork->cordon_node(node, false);
        EXPECT_TRUE(names_a("node:") || !fits(*fork, asked)) << node;
    }
    for (const auto& [name, running] : cluster.gangs()) {
        const auto fork = cluster.fork();
        fork->release(name);
        EXPECT_TRUE(names_a("gang:") || !fits(*fork, asked)) << name;
    }
}

// What Domains hold: one pod more than said is too many when the Within alone is kept.
void expect_most(const Cluster& cluster, const Gang& asked, const DomainFit& fit) {
    if (fit.path.starts_with("groups") || !asked.groups.empty()) {
        return;
    }
    Gang alone = asked;
    PodSet of = asked.podsets[number_after(fit.path, "podsets[")];
    if (!of.slices.empty() && of.min_count % 2 != 0) {
        return;
    }
    of.min_count = static_cast<std::uint32_t>(fit.fits);
    alone.podsets = {of};
    EXPECT_TRUE(fits(cluster, alone)) << fit.path;
    if (fit.fits < fit.wanted && of.slices.empty()) {
        alone.podsets[0].count = ++alone.podsets[0].min_count;
        EXPECT_FALSE(fits(cluster, alone)) << fit.path;
    }
}

TEST(GangExplanation, ConflictsAreMinimalAndChangesSuffice) {
    Rng rng(20240711);
    int refused = 0;
    while (refused < 400 && !::testing::Test::HasFailure()) {
        const auto cluster = random_cluster(rng);
        const Gang asked = random_gang(rng);
        const GangVerdict verdict = cluster->check(std::make_shared<const Gang>(asked));
        if (verdict.status != Status::infeasible) {
            continue;
        }
        ++refused;
        const GangExplanation why = explain(verdict);
        SCOPED_TRACE(why.prose());
        EXPECT_TRUE(why.complete);
        EXPECT_FALSE(why.conflict.empty());
        expect_minimal(*cluster, asked, why);
        for (const GangRelaxation& change : why.relaxations) {
            expect_solved(*cluster, asked, change);
        }
        expect_none_else(*cluster, asked, why);
        for (const DomainFit& fit : why.domains) {
            expect_most(*cluster, asked, fit);
        }
    }
}

}  // namespace
}  // namespace topoalloc
