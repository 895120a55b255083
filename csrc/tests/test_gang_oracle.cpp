// SPDX-License-Identifier: Apache-2.0
//
// The brute-force oracle of the cluster problem on problems whose answers are written
// here by hand, and the gang solver against it on random ones. The long run is the
// program oracle_gang_run.
#include "oracle/gang_brute.hpp"
#include "oracle/gang_compare.hpp"
#include "oracle/gang_instances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t most = 2'000'000;
constexpr std::uint32_t rack = 0;

using Pods = std::vector<CountVector>;

// All that `fits` says yes to, within the counts.
template <class Fits>
CountTable table_of(const std::vector<GangPodSet>& podsets, const Fits& fits) {
    CountTable table;
    CountVector held(podsets.size(), 0);
    const auto next = [&] {
        for (std::size_t p = held.size(); p > 0; --p) {
            if (held[p - 1]++ < podsets[p - 1].count) {
                return true;
            }
            held[p - 1] = 0;
        }
        return false;
    };
    do {
        if (fits(held)) {
            table.attained.push_back(held);
        }
    } while (next());
    table.possible = table.attained;
    for (std::size_t p = 0; p < podsets.size(); ++p) {
        std::uint32_t alone = 0;
        for (const CountVector& vector : table.attained) {
            alone = std::max(alone, vector[p]);
        }
        table.copies.push_back(alone);
    }
    return table;
}

// Nodes of one PodSet; each holds as many pods as `room` says, alone in its rack.
GangProblem one_podset(GangPodSet podset, const std::vector<std::uint32_t>& room) {
    GangProblem problem;
    problem.levels = 1;
    problem.podsets = {podset};
    for (std::uint32_t v = 0; v < room.size(); ++v) {
        CountTable table = table_of(problem.podsets, [&](const CountVector& held) {
            return held[0] <= room[v];
        });
        table.copies = {room[v]};
        problem.tables.push_back(table);
        problem.nodes.push_back({v, {v}, false});
    }
    problem.open_domains = {std::vector<bool>(room.size(), false)};
    return problem;
}

// The solver says what the oracle says, too.
GangBest expect_agreement(const GangProblem& problem) {
    EXPECT_EQ(wrong_with(problem), "") << dump(problem);
    const GangComparison found = compare(problem, SearchLimits{}, most);
    EXPECT_EQ(found.difference, "") << found.detail << "\n" << dump(problem);
    EXPECT_TRUE(found.is_counted);
    return brute_gang(problem, most);
}

// Four pods of one CPU and four of a CPU and a GPU, each four in one rack. The rack
// with GPUs fits the first four best, and then the second four fit nowhere.
TEST(GangOracle, PlacesTwoPodSetsInTwoRacksInEitherOrder) {
    GangProblem problem;
    problem.levels = 1;
    problem.podsets = {{4, 4, rack}, {4, 4, rack}};
    problem.within = {{{true, false}, rack}, {{false, true}, rack}};
    const auto node_with = [&](std::uint32_t cpus, std::uint32_t gpus) {
        return table_of(problem.podsets, [=](const CountVector& held) {
            return held[0] + held[1] <= cpus && held[1] <= gpus;
        });
    };
    problem.tables = {node_with(4, 4), node_with(5, 0)};
    problem.tables[1].copies[0] = 5;
    problem.nodes = {{0, {0}, false}, {1, {1}, false}};
    problem.open_domains = {{false, false}};
    const GangBest best = expect_agreement(problem);
    ASSERT_TRUE(best.feasible);
    EXPECT_EQ(best.pods, (Pods{{0, 4}, {4, 0}}));
    EXPECT_EQ(best.cost, (GangCost{0, {0, 0}, {2}, 2, 1, {2}}));
    EXPECT_FALSE(judge_gang(problem, {{4, 0}, {0, 4}}));
}

// Twenty pods, racks for 19, 10 and 10: two racks either way, and 10 and 10 waste none.
TEST(GangOracle, WastesNoLargerRackThanItNeeds) {
    const GangProblem problem = one_podset({20, 20, rack}, {19, 10, 10});
    const GangBest best = expect_agreement(problem);
    ASSERT_TRUE(best.feasible);
    EXPECT_EQ(best.pods, (Pods{{0}, {10}, {10}}));
    EXPECT_EQ(best.cost, (GangCost{0, {0}, {2}, 2, 0, {2}}));
    EXPECT_EQ(judge_gang(problem, {{19}, {1}, {0}}),
              (GangCost{0, {0}, {2}, 2, 9, {2}}));
}

// A rack of two nodes with eight GPUs, one pod of four and six of one. Pods as large as
// the largest of each kind would fit four times only.
TEST(GangOracle, PlacesMixedRolesInOneRack) {
    GangProblem problem;
    problem.levels = 1;
    problem.podsets = {{1, 1, no_index}, {6, 6, no_index}};
    problem.groups = 1;
    problem.within = {{{true, true}, rack}};
    problem.tables = {table_of(problem.podsets, [](const CountVector& held) {
        return 4 * held[0] + held[1] <= 8;
    })};
    problem.tables[0].copies = {2, 8};
    problem.nodes = {{0, {0}, false}, {0, {0}, true}, {0, {1}, false}};
    problem.open_domains = {{true, false}};
    const GangBest best = expect_agreement(problem);
    ASSERT_TRUE(best.feasible);
    EXPECT_EQ(best.pods, (Pods{{1, 4}, {0, 2}, {0, 0}}));
    EXPECT_EQ(best.cost, (GangCost{0, {0, 0, 0}, {1}, 2, 0, {0}}));
}

// A pod of one GPU before a pod of two, nodes of two and of one: the first fit of the
// first takes the place of the second.
TEST(GangOracle, LeavesTheLargerNodeToTheLargerPod) {
    GangProblem problem;
    problem.podsets = {{1, 1, no_index}, {1, 1, no_index}};
    for (const std::uint32_t gpus : {2U, 1U}) {
        problem.tables.push_back(table_of(
            problem.podsets,
            [=](const CountVector& held) { return held[0] + 2 * held[1] <= gpus; }));
    }
    problem.tables[0].copies = {2, 1};
    problem.nodes = {{0, {}, false}, {1, {}, false}};
    const GangBest best = expect_agreement(problem);
    ASSERT_TRUE(best.feasible);
    EXPECT_EQ(best.pods, (Pods{{0, 1}, {1, 0}}));
}

TEST(GangOracle, PlacesAsManyPodsAsThereIsRoomFor) {
    const GangBest best = expect_agreement(one_podset({6, 2, rack}, {2, 0, 3}));
    EXPECT_EQ(best.cost, (GangCost{1, {0}, {2}, 2, 0, {2}}));
    EXPECT_EQ(best.pods, (Pods{{2}, {0}, {3}}));
    EXPECT_FALSE(expect_agreement(one_podset({6, 6, rack}, {2, 0, 3})).feasible);
}

TEST(GangOracle, HoldsNothingAtAllWhenNothingIsAskedFor) {
    GangProblem problem = one_podset({2, 0, rack}, {0});
    EXPECT_EQ(expect_agreement(problem).cost, (GangCost{2, {0}, {0}, 0, 0, {0}}));
    problem.nodes.clear();
    EXPECT_EQ(expect_agreement(problem).cost, (GangCost{2, {0}, {0}, 0, 0, {0}}));
    problem.podsets[0].min_count = 1;
    EXPECT_FALSE(expect_agreement(problem).feasible);
}

// Six nodes in the racks 0 0 1 1 2 and none, room for two in each.
GangProblem racks(std::uint32_t count) {
    GangProblem problem = one_podset({count, count, rack}, {2, 2, 2, 2, 2, 2});
    const std::vector<std::uint32_t> domains{0, 0, 1, 1, 2, no_index};
    for (std::size_t v = 0; v < domains.size(); ++v) {
        problem.nodes[v].domains = {domains[v]};
    }
    problem.open_domains = {{false, false, false}};
    return problem;
}

TEST(GangOracle, JudgesWithin) {
    GangProblem problem = racks(2);
    problem.within = {{{true}, rack}};
    EXPECT_TRUE(judge_gang(problem, {{1}, {1}, {0}, {0}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{0}, {1}, {1}, {0}, {0}, {0}}));
    // Without a Domain it does not hold, one node or not.
    EXPECT_FALSE(judge_gang(problem, {{0}, {0}, {0}, {0}, {0}, {2}}));
    problem.within[0].level = problem.levels;
    EXPECT_TRUE(judge_gang(problem, {{0}, {0}, {0}, {0}, {0}, {2}}));
    EXPECT_FALSE(judge_gang(problem, {{1}, {1}, {0}, {0}, {0}, {0}}));
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{0}, {0}, {0}, {0}, {2}, {0}}));
}

TEST(GangOracle, JudgesSlices) {
    GangProblem problem = racks(4);
    problem.slices = {{0, rack, 2}};
    EXPECT_TRUE(judge_gang(problem, {{1}, {1}, {0}, {2}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{1}, {2}, {1}, {0}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {0}, {0}, {0}, {0}, {2}}));
    problem.slices.push_back({0, problem.levels, 2});
    EXPECT_FALSE(judge_gang(problem, {{1}, {1}, {0}, {2}, {0}, {0}}));
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{2}, {2}, {0}, {0}, {0}, {0}}));
}

TEST(GangOracle, JudgesSpreadAndBalanced) {
    GangProblem problem = racks(5);
    problem.balanced = {{0, rack, 0}};
    EXPECT_TRUE(judge_gang(problem, {{2}, {0}, {2}, {0}, {1}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {2}, {1}, {0}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {0}, {0}, {0}, {2}, {1}}));
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{2}, {1}, {0}, {0}, {2}, {0}}));
    problem.spread = {{0, rack, 2}};
    EXPECT_FALSE(judge_gang(problem, {{2}, {1}, {2}, {0}, {0}, {0}}));
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{2}, {0}, {2}, {0}, {1}, {0}}));
    problem.spread[0].number = 1;
    EXPECT_FALSE(expect_agreement(problem).feasible);
}

// Counted by PodSet and Group, and before all that one would like of Domains.
TEST(GangOracle, CountsPreferencesThatDoNotHold) {
    GangProblem problem = racks(4);
    problem.groups = 1;
    problem.prefer = {{RuleKind::spread, {}, {0, rack, 2}, 0},
                      {RuleKind::balanced, {}, {0, rack, 0}, 0},
                      {RuleKind::within, {{true}, rack}, {}, 1}};
    EXPECT_EQ(judge_gang(problem, {{2}, {2}, {0}, {0}, {0}, {0}}),
              (GangCost{0, {1, 0}, {1}, 2, 0, {1}}));
    EXPECT_EQ(judge_gang(problem, {{2}, {1}, {1}, {0}, {0}, {0}}),
              (GangCost{0, {2, 1}, {2}, 3, 4, {2}}));
    const GangBest best = expect_agreement(problem);
    EXPECT_EQ(best.cost, (GangCost{0, {0, 1}, {2}, 2, 2, {2}}));
    EXPECT_EQ(best.pods, (Pods{{2}, {0}, {0}, {0}, {2}, {0}}));
}

// A node without a Domain is one of its own in terms 3, 5 and 6; a Domain may be open
// by a node that is left out.
TEST(GangOracle, CountsDomainsThatWereNotOpen) {
    GangProblem problem = racks(2);
    problem.open_domains = {{true, true, false}};
    problem.nodes[2].open = true;
    EXPECT_EQ(judge_gang(problem, {{1}, {0}, {0}, {0}, {0}, {1}}),
              (GangCost{0, {0}, {2}, 2, 4, {1}}));
    EXPECT_EQ(judge_gang(problem, {{0}, {0}, {1}, {1}, {0}, {0}}),
              (GangCost{0, {0}, {1}, 2, 2, {0}}));
    problem.nodes[5].open = true;
    // One node of its own wastes nothing, and comes before racks that do.
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{0}, {0}, {0}, {0}, {0}, {2}}));
    problem.podsets[0].lowest_level = no_index;
    EXPECT_EQ(expect_agreement(problem).pods, (Pods{{2}, {0}, {0}, {0}, {0}, {0}}));
}

TEST(GangOracle, JudgesNumbersAndVectors) {
    GangProblem problem = one_podset({4, 3, no_index}, {2, 2, 2});
    EXPECT_TRUE(judge_gang(problem, {{2}, {1}, {0}}));
    EXPECT_TRUE(judge_gang(problem, {{2}, {1}, {1}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {2}, {1}}));
    EXPECT_FALSE(judge_gang(problem, {{3}, {0}, {0}}));
    EXPECT_FALSE(judge_gang(problem, {{2}, {2}}));
}

// A node that may hold two and was shown to hold one: no proof either way.
TEST(GangOracle, KnowsPossibleVectorsFromAttainedOnes) {
    GangProblem problem = one_podset({2, 2, no_index}, {2});
    problem.tables[0].attained.pop_back();
    problem.tables[0].copies = {1};
    GangBest best = expect_agreement(problem);
    EXPECT_FALSE(best.feasible);
    EXPECT_TRUE(best.possible);
    EXPECT_EQ(compare(problem, SearchLimits{}, most).place, Status::unknown);
    problem.podsets[0].min_count = 1;
    best = expect_agreement(problem);
    EXPECT_EQ(best.pods, (Pods{{1}}));
    EXPECT_EQ(compare(problem, SearchLimits{}, most).place, Status::feasible);
}

TEST(GangOracle, SaysWhenThereAreTooManyPlans) {
    const GangProblem problem = one_podset({20, 20, rack}, {19, 10, 10});
    EXPECT_FALSE(brute_gang(problem, 100).is_counted);
    EXPECT_TRUE(brute_gang(problem, 10'000).is_counted);
}

TEST(GangOracle, MakesProblemsThatAGangCanLeadTo) {
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        const GangProblem problem = make_gang_problem(seed);
        ASSERT_EQ(wrong_with(problem), "") << seed << "\n" << dump(problem);
    }
}

TEST(GangOracle, ShrinksToWhatMatters) {
    const auto is_hard = [](const GangProblem& problem) {
        return problem.slices.size() > 1 && !brute_gang(problem, 100'000).possible;
    };
    std::uint32_t found = 0;
    for (std::uint64_t seed = 0; found < 20 && seed < 10'000; ++seed) {
        const GangProblem problem = make_gang_problem(seed);
        if (!is_hard(problem)) {
            continue;
        }
        ++found;
        const GangProblem small = shrink(problem, is_hard);
        EXPECT_EQ(wrong_with(small), "") << dump(small);
        EXPECT_TRUE(is_hard(small)) << dump(small);
        // Without a node nothing is possible: all that is asked for is two slices.
        EXPECT_TRUE(small.nodes.empty()) << dump(small);
        EXPECT_EQ(small.slices.size(), 2U) << dump(small);
        EXPECT_EQ(small.prefer.size() + small.within.size(), 0U) << dump(small);
    }
    EXPECT_EQ(found, 20U);
}

TEST(GangSolver, AgreesOnRandomProblems) {
    std::uint64_t optimal = 0;
    std::uint64_t infeasible = 0;
    for (std::uint64_t seed = 940'000'000; seed < 940'004'000; ++seed) {
        const GangProblem problem = make_gang_problem(seed);
        const GangComparison found = compare(problem, SearchLimits{}, 100'000);
        EXPECT_EQ(found.difference, "") << found.detail << "\n" << dump(problem);
        optimal += found.place == Status::optimal ? 1 : 0;
        infeasible += found.place == Status::infeasible ? 1 : 0;
    }
    EXPECT_GT(optimal, 1000U);
    EXPECT_GT(infeasible, 1000U);
}

// Few steps: many answers without proof, each held to what it still promises.
TEST(GangSolver, AgreesWhenTheLimitComesFirst) {
    std::uint64_t feasible = 0;
    std::uint64_t unknown = 0;
    for (std::uint64_t seed = 950'000'000; seed < 950'002'000; ++seed) {
        const SearchLimits limits{seed % 2 == 0 ? std::uint64_t{200} : 20};
        const GangProblem problem = make_gang_problem(seed);
        const GangComparison found = compare(problem, limits, 100'000);
        EXPECT_EQ(found.difference, "") << found.detail << "\n" << dump(problem);
        feasible += found.place == Status::feasible && found.is_exact ? 1 : 0;
        unknown += found.place == Status::unknown && found.is_exact ? 1 : 0;
    }
    EXPECT_GT(feasible, 20U);
    EXPECT_GT(unknown, 20U);
}

}  // namespace
}  // namespace topoalloc::oracle
