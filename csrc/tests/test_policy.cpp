// SPDX-License-Identifier: Apache-2.0
//
// Policies: which there are, how they compare Costs, and answers that differ by order
// alone. The oracle holds random orders to the definition (test_solver_oracle.cpp).
#include "topoalloc/allocator.hpp"
#include "topoalloc/errors.hpp"
#include "topoalloc/explanation.hpp"
#include "topoalloc/solver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

namespace topoalloc {
namespace {

TermOrder with_first(TermGroup first) {
    TermOrder order = default_order;
    auto* const it = std::ranges::find(order, first);
    std::rotate(order.begin(), it, it + 1);
    return order;
}

Policy named(TermOrder order, Packing packing = Packing::pack) {
    return {packing, 1, order, PolicyName("own")};
}

Bitmap pus(std::uint32_t first, std::uint32_t last) {
    return Bitmap::range(first, last + 1 - first);
}

// A Package and its L3 with two NUMANodes of four cores each.
std::shared_ptr<const Machine> machine_with_wide_l3() {
    MachineSpec spec;
    spec.objects.push_back({ObjectKind::package, 0, pus(0, 7)});
    for (std::uint32_t core = 0; core < 8; ++core) {
        spec.objects.push_back({ObjectKind::pu, core, pus(core, core)});
        spec.objects.push_back({ObjectKind::core, core, pus(core, core)});
    }
    spec.objects.push_back({ObjectKind::l3, 0, pus(0, 7)});
    for (std::uint32_t node = 0; node < 2; ++node) {
        NumaNodeSpec numa;
        numa.os_index = node;
        numa.cpuset = pus(4 * node, 4 * node + 3);
        numa.base_bytes = std::uint64_t{1} << 30;
        spec.numa_nodes.push_back(numa);
    }
    return Machine::build(spec);
}

// Two Packages of one NUMANode each, with L3s of two cores.
std::shared_ptr<const Machine> machine_with_two_packages(std::uint32_t l3s = 2) {
    MachineSpec spec;
    for (std::uint32_t core = 0; core < 4 * l3s; ++core) {
        spec.objects.push_back({ObjectKind::pu, core, pus(core, core)});
        spec.objects.push_back({ObjectKind::core, core, pus(core, core)});
    }
    for (std::uint32_t l3 = 0; l3 < 2 * l3s; ++l3) {
        spec.objects.push_back({ObjectKind::l3, l3, pus(2 * l3, 2 * l3 + 1)});
    }
    for (std::uint32_t node = 0; node < 2; ++node) {
        const Bitmap cpuset = pus(2 * l3s * node, 2 * l3s * (node + 1) - 1);
        spec.objects.push_back({ObjectKind::package, node, cpuset});
        NumaNodeSpec numa;
        numa.os_index = node;
        numa.cpuset = cpuset;
        numa.base_bytes = std::uint64_t{1} << 30;
        spec.numa_nodes.push_back(numa);
    }
    return Machine::build(spec);
}

Answer ask(const NodeState& state, const Request& request, const Policy& policy) {
    const std::shared_ptr<const Machine> machine(&state.machine(), [](auto*) {});
    return solve(state, *compile(machine, request), {policy, {}, nullptr});
}

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const InvalidRequestError& error) {
        return error.what();
    }
    return "";
}

TEST(Policy, ComparesEveryTermOnce) {
    Policy policy = named(default_order);
    std::ranges::reverse(policy.order);
    for (const Policy& each : {Policy{}, policy}) {
        const auto terms = terms_in_order(each);
        EXPECT_EQ(std::set(terms.begin(), terms.end()).size(), terms.size());
        EXPECT_EQ(terms[0], Cost::unmet_count);
        EXPECT_EQ(terms[1], Cost::unmet_vector);
    }
    const auto plain = terms_in_order(Policy{});
    EXPECT_TRUE(std::ranges::is_sorted(plain));
    EXPECT_EQ(terms_in_order(policy)[2], Cost::opened_packages);
    EXPECT_EQ(terms_in_order(policy).back(), Cost::packages);
}

TEST(Policy, ComparesCostsByItsOrder) {
    Cost few_packages;
    few_packages[Cost::packages] = 1;
    few_packages[Cost::l3s] = 2;
    Cost few_l3s;
    few_l3s[Cost::packages] = 2;
    few_l3s[Cost::l3s] = 1;
    EXPECT_TRUE(compare_costs(few_packages, few_l3s, {}) < 0);
    EXPECT_TRUE(
        compare_costs(few_packages, few_l3s, named(with_first(TermGroup::l3s))) > 0);
    EXPECT_TRUE(compare_costs(few_l3s, few_l3s, named(with_first(TermGroup::l3s))) ==
                0);
    few_l3s[Cost::unmet_count] = 1;
    EXPECT_TRUE(
        compare_costs(few_packages, few_l3s, named(with_first(TermGroup::l3s))) < 0);
}

TEST(Policy, RefusesWhatIsNone) {
    TermOrder twice = default_order;
    twice[0] = TermGroup::opened;
    const TermOrder other = with_first(TermGroup::l3s);
    EXPECT_EQ(refusal([&] { validate(named(twice)); }),
              "policy.order: opened, localities, pair_levels, missing_link, "
              "remote_devices, l3s, split_cores, opened, want every group of terms "
              "once");
    EXPECT_EQ(refusal([&] {
                  validate({Packing::pack, 0, default_order, PolicyName("own")});
              }),
              "policy.version: 0, want 1 or more");
    EXPECT_EQ(refusal([&] { validate({Packing::spread, 2}); }),
              "policy: spread version 2, want version 1");
    EXPECT_EQ(refusal([&] { validate({Packing::pack, 1, other}); }),
              "policy.order: not that of pack, want another name");
    EXPECT_EQ(refusal([&] {
                  validate({Packing::pack, 1, default_order, PolicyName("spread")});
              }),
              "policy.packing: pack, want that of spread, or another name");
    EXPECT_EQ(refusal([] { PolicyName("Own"); }),
              "policy.name: 'Own', want 1 to 31 of a-z, 0-9, '-', '_' and '.'");
    EXPECT_NE(refusal([] { PolicyName(""); }), "");
    EXPECT_NE(refusal([] { PolicyName(std::string(32, 'a')); }), "");
    EXPECT_EQ(PolicyName(std::string(31, 'a')).text(), std::string(31, 'a'));
    EXPECT_EQ(refusal([&] { validate(named(other, Packing::spread)); }), "");
    EXPECT_EQ(name_of({Packing::spread}), "spread");
    EXPECT_EQ(name_of(named(other)), "own");
}

TEST(Policy, IsCheckedWhereItIsUsed) {
    const auto machine = machine_with_two_packages();
    TermOrder twice = default_order;
    twice[7] = TermGroup::packages;
    EXPECT_NE(refusal([&] { Allocator(machine, {}, named(twice)); }), "");
    Request request;
    request.cores = 1;
    const NodeState state(machine);
    EXPECT_NE(refusal([&] { static_cast<void>(ask(state, request, named(twice))); }),
              "");
}

TEST(Policy, PutsL3sBeforePackages) {
    NodeState state(machine_with_two_packages(3));
    Placement held;
    held.pus = Bitmap::parse_list("0,2,4,6-9");
    state.take(held);
    Request request;
    request.cores = 3;
    const Answer plain = ask(state, request, Policy{});
    EXPECT_EQ(plain.placement.pus.to_list(), "1,3,5");
    const Answer answer = ask(state, request, named(with_first(TermGroup::l3s)));
    EXPECT_EQ(answer.status, Status::optimal);
    EXPECT_EQ(answer.placement.pus.to_list(), "1,10-11");
    EXPECT_EQ(answer.placement.cost[Cost::l3s], 2);
    EXPECT_EQ(answer.placement.cost[Cost::packages], 2);
}

TEST(Policy, PutsWhatIsOpenedBeforeL3s) {
    NodeState state(machine_with_two_packages());
    Placement held;
    held.pus = Bitmap::parse_list("0,2,4,5");
    state.take(held);
    Request request;
    request.cores = 2;
    EXPECT_EQ(ask(state, request, Policy{}).placement.pus.to_list(), "6-7");
    // Into what is open, though that takes two L3s.
    const Answer pack = ask(state, request, named(with_first(TermGroup::opened)));
    EXPECT_EQ(pack.status, Status::optimal);
    EXPECT_EQ(pack.placement.pus.to_list(), "1,3");
    EXPECT_EQ(pack.placement.cost[Cost::l3s], 2);
    const Answer spread =
        ask(state, request, named(with_first(TermGroup::opened), Packing::spread));
    EXPECT_EQ(spread.status, Status::optimal);
    EXPECT_EQ(spread.placement.pus.to_list(), "6-7");
    EXPECT_EQ(spread.placement.cost[Cost::opened_l3s], -1);
}

TEST(Policy, OpensAllOfTWhenSpreadingComesFirst) {
    const NodeState state(machine_with_two_packages());
    Request request;
    request.cores = 3;
    EXPECT_EQ(ask(state, request, {Packing::spread}).placement.localities.count(), 1U);
    const Answer answer =
        ask(state, request, named(with_first(TermGroup::opened), Packing::spread));
    EXPECT_EQ(answer.status, Status::optimal);
    EXPECT_EQ(answer.placement.cost[Cost::opened_packages], -2);
    EXPECT_EQ(answer.placement.cost[Cost::opened_localities], -2);
    EXPECT_EQ(answer.placement.cost[Cost::opened_l3s], -3);
    EXPECT_EQ(answer.placement.pus.to_list(), "0,2,4");
}

// With bytes, how many PUs each locality gets decides where they lie.
TEST(Policy, OpensAllOfTWithBytesToo) {
    const NodeState state(machine_with_wide_l3());
    Request request;
    request.cores = 2;
    request.memory = std::uint64_t{1} << 20;
    const Answer answer =
        ask(state, request, named(with_first(TermGroup::opened), Packing::spread));
    EXPECT_EQ(answer.status, Status::optimal);
    EXPECT_EQ(answer.placement.cost[Cost::opened_localities], -2);
    EXPECT_EQ(answer.placement.pus.to_list(), "0,4");
    EXPECT_EQ(ask(state, request, {Packing::spread}).placement.pus.to_list(), "0-1");
}

TEST(Policy, EndsHonestlyAtTheLimit) {
    const auto machine = machine_with_two_packages();
    const NodeState state(machine);
    Request request;
    request.cores = 3;
    const auto compiled = compile(machine, request);
    const Policy policy = named(with_first(TermGroup::opened), Packing::spread);
    std::set<Status> seen;
    for (std::uint64_t most = 1; most < 60; ++most) {
        const Answer answer = solve(state, *compiled, {policy, {most}, nullptr});
        EXPECT_NE(answer.status, Status::infeasible);
        seen.insert(answer.status);
        if (answer.status == Status::optimal) {
            EXPECT_EQ(answer.placement.pus.to_list(), "0,2,4");
        }
    }
    EXPECT_TRUE(seen.contains(Status::optimal));
    EXPECT_TRUE(seen.contains(Status::unknown));
}

TEST(Policy, OfItsOwnOrderAnswersOneRequestAtATime) {
    const auto machine = machine_with_two_packages();
    Request request;
    request.cores = 1;
    const auto compiled = compile(machine, request);
    const std::vector<Allocator::NamedRequest> two{{"a", compiled}, {"b", compiled}};
    Allocator own(machine, {}, named(with_first(TermGroup::l3s)));
    const std::string message =
        "policy.order: not the default one of own, want the default order for several "
        "Requests together";
    EXPECT_EQ(refusal([&] { own.allocate_many(two); }), message);
    EXPECT_EQ(refusal([&] { static_cast<void>(own.check_joint(two)); }), message);
    EXPECT_TRUE(own.holdings().empty());
    EXPECT_EQ(own.headroom(compiled).count, 8U);
    EXPECT_EQ(own.allocate(compiled, "a").policy, own.policy());
    own.check_consistency();
    Allocator renamed(machine, {}, named(default_order));
    EXPECT_EQ(renamed.allocate_many(two).status, Status::optimal);
}

TEST(Policy, DecidesWhatTheRunnerUpLostOn) {
    const auto machine = machine_with_two_packages();
    Request request;
    request.cores = 2;
    for (const TermGroup first : {TermGroup::packages, TermGroup::opened}) {
        Allocator allocator(machine, {}, named(with_first(first)));
        Request one;
        one.cores = 1;
        allocator.allocate(compile(machine, one), "held");
        const Verdict verdict = allocator.check(compile(machine, request));
        const Explanation why = explain(verdict, allocator.holdings(), {});
        ASSERT_TRUE(why.runner_up.exists);
        EXPECT_EQ(why.runner_up.lost_on, Cost::opened_packages);
        EXPECT_TRUE(compare_costs(verdict.answer.placement.cost,
                                  why.runner_up.placement.cost,
                                  verdict.policy) < 0);
    }
}

}  // namespace
}  // namespace topoalloc
