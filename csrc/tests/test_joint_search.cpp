// SPDX-License-Identifier: Apache-2.0
//
// The exact search over joint answers: random batches against brute force, and batches
// that no order of single answers solves.
#include "oracle/brute_batch.hpp"
#include "oracle/compare_batch.hpp"
#include "small_machine.hpp"

#include "node/joint.hpp"
#include "node/joint_search.hpp"

#include <gtest/gtest.h>

#include <array>

namespace topoalloc {
namespace {

using testing::small_machine;
using testing::want;
using testing::want_cores;
using testing::want_devices;

BatchVerdict ask(const Allocator& allocator, const std::vector<Request>& requests) {
    std::vector<Allocator::NamedRequest> named;
    for (const Request& request : requests) {
        named.emplace_back(std::to_string(named.size()),
                           compile(allocator.machine(), request));
    }
    return allocator.check_joint(named);
}

// Two Packages of four cores: one of the three must lie in both, though each fits into
// one. No sum of single optima shows that.
TEST(JointSearch, ProvesWhatNoBoundReaches) {
    const Allocator allocator(small_machine());
    const BatchVerdict verdict =
        ask(allocator, {want_cores(3), want_cores(3), want_cores(2)});
    EXPECT_EQ(verdict.status, Status::optimal);
    EXPECT_EQ(verdict.reason, Reason::placed);
    EXPECT_EQ(verdict.cost[Cost::packages], 4);
    EXPECT_EQ(verdict.cost[Cost::l3s], 5);
}

// Counts allow it: four GPUs, each class of link has room. Together it can not be.
TEST(JointSearch, ProvesThatThereIsNone) {
    const Allocator allocator(small_machine());
    Request pair = want_devices({want("gpu", 2)});
    pair.require.emplace_back(Link{"gpu", LinkMode::clique, 25000});
    Request middle = pair;
    middle.devices.front().eligible = {{"gpu1", "gpu2"}};
    const BatchVerdict verdict = ask(allocator, {pair, middle});
    EXPECT_EQ(verdict.status, Status::infeasible);
    EXPECT_EQ(verdict.reason, Reason::requirements_conflict);
}

// Equal input gives the equal answer, step for step.
TEST(JointSearch, RepeatsItself) {
    const Allocator allocator(small_machine());
    const std::vector<Request> requests{want_cores(3), want_cores(3), want_cores(2)};
    const BatchVerdict first = ask(allocator, requests);
    const BatchVerdict second = ask(allocator, requests);
    EXPECT_EQ(first.placements, second.placements);
    EXPECT_EQ(first.steps, second.steps);
}

// Combinations that brute force tries at most: an instance takes milliseconds.
constexpr std::uint64_t most = 200'000;

TEST(JointSearch, AgreesWithBruteForce) {
    std::array<int, 4> statuses{};
    for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
        const auto instance = oracle::make_batch_instance(seed);
        const auto result = oracle::compare(instance, {}, most);
        ASSERT_EQ(result.difference, "") << "seed " << seed << ": " << result.detail;
        ++statuses[static_cast<std::size_t>(result.status)];
    }
    EXPECT_GT(statuses[static_cast<std::size_t>(Status::optimal)], 300);
    EXPECT_GT(statuses[static_cast<std::size_t>(Status::infeasible)], 300);
    EXPECT_EQ(statuses[static_cast<std::size_t>(Status::feasible)], 0);
    EXPECT_EQ(statuses[static_cast<std::size_t>(Status::unknown)], 0);
}

// Copies of one Request: brute force says whether so many fit.
TEST(JointSearch, CountsCopiesAsBruteForceDoes) {
    int proved = 0;
    int asked = 0;
    for (std::uint64_t seed = 9000; seed < 9600; ++seed) {
        auto instance = oracle::make_batch_instance(seed);
        instance.requests.assign(2 + seed % 2, instance.requests.front());
        // Asks for the headroom as well, since all Requests are equal.
        const auto result = oracle::compare(instance, {}, most);
        ASSERT_EQ(result.difference, "") << "seed " << seed << ": " << result.detail;
        const Allocator allocator(Machine::build(instance.base.spec));
        const auto room =
            allocator.headroom(compile(allocator.machine(), instance.requests.front()));
        ASSERT_LE(room.count, room.upper) << "seed " << seed;
        ++asked;
        proved += room.count == room.upper ? 1 : 0;
    }
    EXPECT_EQ(proved, asked) << "small machines leave nothing open";
}

// A budget that ends in the middle gives less, never something false.
TEST(JointSearch, ClaimsNothingFalseWhenTheLimitComes) {
    std::array<int, 4> statuses{};
    for (std::uint64_t seed = 1; seed <= 600; ++seed) {
        const auto instance = oracle::make_batch_instance(seed);
        const SearchLimits limits{seed % 97 * 3};
        const auto result = oracle::compare(instance, limits, most);
        ASSERT_EQ(result.difference, "") << "seed " << seed << ": " << result.detail;
        ++statuses[static_cast<std::size_t>(result.status)];
    }
    EXPECT_GT(statuses[static_cast<std::size_t>(Status::feasible)] +
                  statuses[static_cast<std::size_t>(Status::unknown)],
              20);
}

// Without a first answer, the search alone finds what brute force finds.
TEST(JointSearch, NeedsNoFirstAnswer) {
    int found = 0;
    for (std::uint64_t seed = 5000; seed < 5400; ++seed) {
        auto instance = oracle::make_batch_instance(seed);
        instance.base.state = {};
        instance.base.spread = false;
        const auto machine = Machine::build(instance.base.spec);
        const NodeState state(machine);
        std::vector<std::shared_ptr<const CompiledRequest>> requests;
        std::vector<RequestGroup> groups;
        std::vector<std::uint32_t> group_of;
        for (const Request& request : instance.requests) {
            requests.push_back(compile(machine, request));
            // Equal Requests are told apart here: that costs time alone.
            group_of.push_back(static_cast<std::uint32_t>(groups.size()));
            groups.push_back({requests.back().get(), 1, std::nullopt});
        }
        StepBudget budget{0, SearchLimits{}.max_steps, false};
        const auto placements =
            search_joint(state,
                         {groups, group_of, Packing::pack, std::nullopt, false, false},
                         budget);
        const auto best = oracle::brute_batch(instance, most);
        if (!best.is_counted || budget.limited) {
            continue;
        }
        ASSERT_EQ(best.feasible, !placements.empty()) << "seed " << seed;
        if (best.feasible) {
            ASSERT_EQ(joint_cost(state, placements, Packing::pack).terms,
                      best.cost.terms)
                << "seed " << seed;
            ++found;
        }
    }
    EXPECT_GT(found, 50);
}

}  // namespace
}  // namespace topoalloc
