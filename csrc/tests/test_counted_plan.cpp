// SPDX-License-Identifier: Apache-2.0
//
// Plans by counts against the programme over all vectors, on random trees of Domains
// that are larger than what an enumeration can try.
#include "cluster/counted_plan.hpp"
#include "cluster/gang_programme.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

namespace topoalloc {
namespace {

class RandomTree {
  public:
    explicit RandomTree(std::uint32_t seed) : random_(seed) {}

    GangProblem make() {
        GangProblem problem;
        problem.levels = 2;
        problem.open_domains.resize(2);
        const std::uint32_t most = 1 + pick(4);
        for (std::uint32_t held = 0; held <= most; ++held) {
            CountTable table;
            for (std::uint32_t pods = 0; pods <= held; ++pods) {
                table.attained.push_back({pods});
            }
            table.possible = table.attained;
            table.copies = {held};
            problem.tables.push_back(table);
        }
        const std::uint32_t blocks = 1 + pick(4);
        for (std::uint32_t block = 0; block < blocks; ++block) {
            add_block(block, problem);
        }
        std::uint32_t all = 0;
        for (const GangNode& node : problem.nodes) {
            all += node.table;
        }
        const std::uint32_t count = 1 + pick(all + 2);
        problem.podsets = {{count, pick(2) == 0 ? count : pick(count + 1), no_index}};
        for (CountTable& table : problem.tables) {
            table.attained.resize(
                std::min<std::size_t>(table.attained.size(), count + std::size_t{1}));
            table.possible = table.attained;
        }
        add_rules(problem);
        return problem;
    }

  private:
    std::uint32_t pick(std::uint32_t below) {
        return static_cast<std::uint32_t>(random_() % below);
    }

    void add_block(std::uint32_t block, GangProblem& problem) {
        const auto most = static_cast<std::uint32_t>(problem.tables.size());
        problem.open_domains[0].push_back(pick(2) == 0);
        const std::uint32_t racks = 1 + pick(5);
        for (std::uint32_t r = 0; r < racks; ++r) {
            const auto rack =
                static_cast<std::uint32_t>(problem.open_domains[1].size());
            problem.open_domains[1].push_back(pick(2) == 0);
            const std::uint32_t nodes = 1 + pick(6);
            for (std::uint32_t n = 0; n < nodes; ++n) {
                problem.nodes.push_back({pick(most), {block, rack}, false});
            }
        }
    }

    void add_rules(GangProblem& problem) {
        GangPodSet& podset = problem.podsets.front();
        if (pick(3) == 0) {
            podset.lowest_level = pick(3);
            problem.spread.push_back({0, podset.lowest_level, 1 + pick(20)});
        } else if (pick(3) == 0) {
            podset.lowest_level = 0;
            problem.within.push_back({{true}, 0});
        }
    }

    std::mt19937 random_;
};

// The best plan of the programme that misses as few pods as can be.
std::optional<std::vector<CountVector>> by_programme(const GangProblem& problem) {
    const auto tree = domain_tree(problem);
    const PlanRules rules = rules_of(problem, {});
    const PlanAim aim{false, true, {}};
    StepBudget budget{0, 100'000'000};
    GangProgramme programme(problem, *tree, rules, aim, budget);
    EXPECT_TRUE(programme.run());
    if (programme.best().empty()) {
        return std::nullopt;
    }
    return plan_of(programme, programme.best(), problem.nodes.size(), budget);
}

TEST(CountedPlan, IsTheBestOfTheProgramme) {
    std::uint32_t several_racks = 0;
    std::uint32_t several_blocks = 0;
    for (std::uint32_t seed = 0; seed < 4'000; ++seed) {
        const GangProblem problem = RandomTree(seed).make();
        const auto tree = domain_tree(problem);
        StepBudget budget{0, 100'000'000};
        const auto plan = plan_by_counts(problem, *tree, false, true, budget);
        ASSERT_TRUE(plan) << "seed " << seed;
        const auto best = by_programme(problem);
        ASSERT_EQ(plan->found, best.has_value()) << "seed " << seed;
        if (!best) {
            continue;
        }
        ASSERT_TRUE(plan->is_proved) << "seed " << seed;
        ASSERT_EQ(plan->cost, cost_of(problem, *best)) << "seed " << seed;
        ASSERT_EQ(plan->cost, cost_of(problem, plan->pods)) << "seed " << seed;
        ASSERT_EQ(plan->pods, *best) << "seed " << seed;
        several_racks += plan->cost.domains[1] > 1 ? 1 : 0;
        several_blocks += plan->cost.domains[0] > 1 ? 1 : 0;
    }
    EXPECT_GT(several_racks, 1'000U);
    EXPECT_GT(several_blocks, 500U);
}

// 1,000 pods over two of 40 blocks in which every node is partly filled.
TEST(CountedPlan, ProvesPlansOverSeveralBlocksInFewSteps) {
    std::mt19937 random(1);
    GangProblem problem = RandomTree(1).make();
    problem.within = {};
    problem.spread = {};
    problem.nodes = {};
    problem.tables = {};
    for (std::uint32_t held = 0; held <= 4; ++held) {
        CountTable table;
        for (std::uint32_t pods = 0; pods <= held; ++pods) {
            table.attained.push_back({pods});
        }
        table.possible = table.attained;
        table.copies = {held};
        problem.tables.push_back(table);
    }
    for (std::uint32_t n = 0; n < 10'000; ++n) {
        const auto held = static_cast<std::uint32_t>(random() % 5);
        problem.nodes.push_back({held, {n / 256, n / 16}, held != 4});
    }
    problem.open_domains = {std::vector<bool>(40, true), std::vector<bool>(625, true)};
    problem.podsets = {{1'000, 1'000, no_index}};
    const auto tree = domain_tree(problem);
    StepBudget budget{0, 20'000};
    const auto plan = plan_by_counts(problem, *tree, false, true, budget);
    ASSERT_TRUE(plan && plan->found);
    EXPECT_TRUE(plan->is_proved);
    EXPECT_EQ(plan->cost.domains[0], 2);
}

}  // namespace
}  // namespace topoalloc
