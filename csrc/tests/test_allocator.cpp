// SPDX-License-Identifier: Apache-2.0
#include "small_machine.hpp"

#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <tuple>

namespace topoalloc::testing {
namespace {

using Compiled = std::shared_ptr<const CompiledRequest>;

class AllocatorTest : public ::testing::Test {
  protected:
    [[nodiscard]] Compiled ready(const Request& request) const {
        return compile(machine, request);
    }
    [[nodiscard]] std::uint32_t device(std::string_view name) const {
        return machine->find_device(name);
    }
    // Every test ends with tables that agree.
    void TearDown() override { EXPECT_NO_THROW(allocator.check_consistency()); }

    std::shared_ptr<const Machine> machine = small_machine();
    Allocator allocator{machine};
};

TEST_F(AllocatorTest, ChecksWithoutTaking) {
    const Verdict verdict = allocator.check(ready(want_cores(8)));
    EXPECT_EQ(verdict.answer.status, Status::optimal);
    EXPECT_EQ(verdict.answer.placement.pus.count(), 16U);
    EXPECT_EQ(allocator.state()->free_pus().count(), 16U);
    EXPECT_TRUE(allocator.holdings().empty());
}

TEST_F(AllocatorTest, AllocatesAndReleases) {
    const Verdict verdict = allocator.allocate(ready(want_cores(3)), "a");
    ASSERT_EQ(verdict.answer.status, Status::optimal);
    EXPECT_EQ(verdict.state, nullptr) << "a taken answer does not keep the state";
    EXPECT_EQ(allocator.state()->owned_pus(), verdict.answer.placement.pus);
    EXPECT_EQ(allocator.holding("a")->placement, verdict.answer.placement);
    EXPECT_EQ(*allocator.holding("a")->request, want_cores(3));
    EXPECT_EQ(allocator.owner_of_pu(0), "a");
    EXPECT_EQ(allocator.owner_of_pu(15), std::nullopt);
    allocator.release("a");
    EXPECT_TRUE(*allocator.state() == NodeState(machine));
    EXPECT_EQ(allocator.holding("a"), std::nullopt);
}

TEST_F(AllocatorTest, ReturnsWhatAnOwnerHoldsForAnEqualRequest) {
    const Verdict first = allocator.allocate(ready(want_cores(3)), "a");
    const Verdict again = allocator.allocate(ready(want_cores(3)), "a");
    EXPECT_EQ(again.answer.placement, first.answer.placement);
    EXPECT_EQ(again.answer.status, Status::optimal);
    EXPECT_EQ(again.answer.steps, 0U);
    EXPECT_EQ(allocator.state()->owned_pus().count(), 6U);
}

TEST_F(AllocatorTest, RefusesAnotherRequestOfTheSameOwner) {
    allocator.allocate(ready(want_cores(3)), "a");
    EXPECT_EQ(
        message_of<StateError>([&] { allocator.allocate(ready(want_cores(4)), "a"); }),
        "owner: 'a' holds a Placement of another Request, want the equal Request, "
        "resize "
        "or release");
    EXPECT_EQ(allocator.state()->owned_pus().count(), 6U);
}

TEST_F(AllocatorTest, SaysNoAndKeepsTheState) {
    allocator.allocate(ready(want_cores(6)), "a");
    const Verdict verdict = allocator.allocate(ready(want_cores(3)), "b");
    EXPECT_EQ(verdict.answer.status, Status::infeasible);
    EXPECT_EQ(verdict.answer.reason, Reason::not_enough_cores);
    ASSERT_NE(verdict.state, nullptr);
    allocator.release("a");
    EXPECT_EQ(verdict.state->whole_cores().count(), 2U) << "as it was when asked";
    EXPECT_TRUE(verdict.holdings->contains("a"));
}

TEST_F(AllocatorTest, QuickAnswersAreTheAnswers) {
    const SearchLimits limits{1000};
    constexpr std::uint64_t enough = 1000;
    for (const std::uint32_t cores : {3U, 99U}) {
        const Compiled request = ready(want_cores(cores));
        const Verdict slow = allocator.check(request, limits);
        const std::optional<Verdict> quick =
            allocator.try_check(request, limits, enough);
        ASSERT_TRUE(quick.has_value());
        EXPECT_EQ(quick->answer.status, slow.answer.status);
        EXPECT_EQ(quick->answer.reason, slow.answer.reason);
        EXPECT_EQ(quick->answer.steps, slow.answer.steps);
        EXPECT_EQ(quick->answer.placement, slow.answer.placement);
        EXPECT_EQ(quick->limits.max_steps, limits.max_steps);
        EXPECT_EQ(quick->state, slow.state);
        EXPECT_EQ(quick->holdings, slow.holdings);
    }
    const Compiled request = ready(want_cores(3));
    const Verdict slow = allocator.fork()->allocate(request, "a", limits);
    const std::optional<Verdict> quick =
        allocator.try_allocate(request, "a", limits, enough);
    ASSERT_TRUE(quick.has_value());
    EXPECT_EQ(quick->answer.placement, slow.answer.placement);
    EXPECT_EQ(quick->answer.steps, slow.answer.steps);
    EXPECT_EQ(allocator.holding("a")->placement, slow.answer.placement);
    EXPECT_TRUE(allocator.try_release("a"));
    EXPECT_TRUE(allocator.holdings().empty());
    EXPECT_THROW(std::ignore = allocator.try_release("a"), StateError);
}

TEST_F(AllocatorTest, QuickAnswersThatWouldTakeLongerDoNothing) {
    const Compiled request = ready(want_cores(3));
    EXPECT_FALSE(allocator.try_check(request, {}, 0).has_value());
    EXPECT_FALSE(allocator.try_allocate(request, "a", {}, 0).has_value());
    EXPECT_TRUE(allocator.holdings().empty());
    // The caller's own limit is no reason to say nothing.
    const std::optional<Verdict> undecided = allocator.try_check(request, {0}, 9);
    ASSERT_TRUE(undecided.has_value());
    EXPECT_EQ(undecided->answer.status, Status::unknown);
    // What an owner holds takes no search.
    allocator.allocate(request, "a");
    EXPECT_TRUE(allocator.try_allocate(request, "a", {}, 0).has_value());
}

TEST_F(AllocatorTest, SharesTheStateUntilAChange) {
    const Verdict verdict = allocator.check(ready(want_cores(1)));
    EXPECT_EQ(verdict.state, allocator.state());
    allocator.allocate(ready(want_cores(1)), "a");
    EXPECT_NE(verdict.state, allocator.state());
    EXPECT_TRUE(*verdict.state == NodeState(machine));
    EXPECT_TRUE(verdict.holdings->empty());
}

TEST_F(AllocatorTest, RefusesARequestOfAnotherMachine) {
    const auto other = small_machine();
    EXPECT_EQ(message_of<InvalidRequestError>([&] {
                  std::ignore = allocator.check(compile(other, want_cores(1)));
              }),
              "request: compiled for Machine 'small', want one compiled for the "
              "Machine of the "
              "Allocator");
}

TEST_F(AllocatorTest, NamesAnOwnerThatHoldsNothing) {
    const char* message = "owner: 'x' holds nothing, want an owner of a Placement";
    EXPECT_EQ(message_of<StateError>([&] { allocator.release("x"); }), message);
    EXPECT_EQ(
        message_of<StateError>([&] { allocator.resize(ready(want_cores(1)), "x"); }),
        message);
}

TEST_F(AllocatorTest, ResizesInPlace) {
    Request small = want_cores(2);
    allocator.allocate(ready(small), "a");
    allocator.allocate(ready(want_cores(4)), "b");
    const Bitmap before = allocator.holding("a")->placement.pus;
    Request larger = want_cores(4);
    larger.keep = {"pus"};
    const Verdict verdict = allocator.resize(ready(larger), "a");
    ASSERT_EQ(verdict.answer.status, Status::optimal);
    EXPECT_TRUE(before.is_subset_of(verdict.answer.placement.pus));
    EXPECT_EQ(*allocator.holding("a")->request, larger);
    EXPECT_EQ(allocator.state()->owned_pus().count(), 16U);
    EXPECT_EQ(verdict.state->owned_pus().count(), 8U) << "without what the owner held";
    EXPECT_EQ(verdict.holdings->size(), 1U);
}

TEST_F(AllocatorTest, LeavesAHoldingThatCanNotBeResized) {
    allocator.allocate(ready(want_cores(2)), "a");
    allocator.allocate(ready(want_cores(4)), "b");
    const Holding before = *allocator.holding("a");
    EXPECT_EQ(allocator.resize(ready(want_cores(5)), "a").answer.status,
              Status::infeasible);
    EXPECT_EQ(allocator.holding("a")->placement, before.placement);
    EXPECT_EQ(allocator.state()->owned_pus().count(), 12U);
}

TEST_F(AllocatorTest, TakesAChoiceMadeElsewhere) {
    Placement placement;
    placement.pus = Bitmap::range(8, 3);
    placement.memory = {{1, 0, gi}, {1, 0, gi}, {0, 0, 0}};
    placement.devices = {whole(*machine, "nic0"), whole(*machine, "gpu1")};
    const Placement taken = allocator.take(placement, "a");
    EXPECT_EQ(taken.localities.to_list(), "0-1");
    EXPECT_EQ(taken.memory, (std::vector<MemoryGrant>{{1, 0, 2 * gi}}));
    EXPECT_EQ(taken.devices.front().device, device("gpu1"));
    EXPECT_EQ(taken.cost[Cost::packages], 2);
    EXPECT_EQ(taken.cost[Cost::localities], 2);
    EXPECT_EQ(taken.cost[Cost::remote_devices], 2);
    EXPECT_EQ(taken.cost[Cost::l3s], 1);
    EXPECT_EQ(taken.cost[Cost::split_cores], 1);
    EXPECT_EQ(taken.cost[Cost::opened_packages], 2);
    EXPECT_EQ(taken.cost[Cost::opened_switches], 2);
    EXPECT_EQ(taken.cost[Cost::opened_devices], 2);
    EXPECT_EQ(taken.cost[Cost::opened_l3s], 1);
    EXPECT_EQ(allocator.holding("a")->request, nullptr);
    EXPECT_EQ(
        message_of<StateError>([&] { allocator.allocate(ready(want_cores(1)), "a"); }),
        "owner: 'a' holds a Placement of another Request, want the equal Request, "
        "resize "
        "or release");
}

TEST_F(AllocatorTest, AddsOneLocalityForADeviceOfSeveral) {
    const auto both = small_machine([](MachineSpec& spec) {
        spec.objects.push_back({ObjectKind::package, 2, Bitmap::range(16, 2)});
        spec.objects.push_back({ObjectKind::pu, 16, Bitmap::range(16, 1)});
        spec.objects.push_back({ObjectKind::pu, 17, Bitmap::range(17, 1)});
        spec.numa_nodes.push_back(
            {2, Bitmap::range(16, 2), {}, MemoryKind::dram, gi, {}});
        spec.devices[0].numa_nodes = {0, 1};
    });
    Allocator other(both);
    Placement placement;
    placement.devices = {whole(*both, "gpu0")};
    EXPECT_EQ(other.take(placement, "a").localities.to_list(), "0");
    other.release("a");
    placement.pus.set(9);
    EXPECT_EQ(other.take(placement, "a").localities.to_list(), "1");
}

TEST_F(AllocatorTest, NamesWhatCanNotBeTaken) {
    Placement placement;
    placement.pus = Bitmap::range(0, 2);
    allocator.take(placement, "a");
    placement.pus = Bitmap::range(1, 2);
    EXPECT_EQ(message_of<StateError>([&] { allocator.take(placement, "b"); }),
              "pus: 1 not free, want free PUs");
    placement.pus = Bitmap::range(2, 2);
    EXPECT_EQ(message_of<StateError>([&] { allocator.take(placement, "a"); }),
              "owner: 'a' holds a Placement, want an owner that holds nothing");
    placement.memory = {{1, 0, 65 * gi}};
    EXPECT_EQ(message_of<StateError>([&] { allocator.take(placement, "b"); }),
              "memory: 69793218560 bytes of NUMANode 1 with 68719476736 free, want "
              "whole pages "
              "of what is free");
    placement.memory.clear();
    allocator.cordon_device(device("gpu0"), true);
    placement.devices = {whole(*machine, "gpu0")};
    EXPECT_EQ(message_of<StateError>([&] { allocator.take(placement, "b"); }),
              "devices: 'gpu0' not free, want a free device");
    placement.devices = {{99, {}}};
    EXPECT_EQ(message_of<InvalidRequestError>([&] { allocator.take(placement, "b"); }),
              "devices: 99, want an index below 10");
    placement.pus.set(70);
    EXPECT_EQ(message_of<InvalidRequestError>([&] { allocator.take(placement, "b"); }),
              "pus: 70, want an index below 16");
    EXPECT_EQ(allocator.holdings().size(), 1U);
}

TEST_F(AllocatorTest, NeverHandsOutReservedPus) {
    Allocator reserved(machine, Bitmap::range(0, 2));
    EXPECT_EQ(reserved.check(ready(want_cores(8))).answer.reason,
              Reason::not_enough_cores);
    EXPECT_EQ(reserved.allocate(ready(want_cores(7)), "a").answer.status,
              Status::optimal);
    EXPECT_EQ(message_of<InvalidRequestError>(
                  [&] { Allocator(machine, Bitmap::range(16, 1)); }),
              "reserved_pus: 16, want an index below 16");
}

TEST_F(AllocatorTest, CordonsAndUncordons) {
    const Request four = want_devices({want("gpu", 4)});
    allocator.cordon_device(device("gpu2"), true);
    EXPECT_EQ(allocator.check(ready(four)).answer.reason, Reason::not_enough_devices);
    allocator.cordon_device(device("gpu2"), false);
    EXPECT_EQ(allocator.check(ready(four)).answer.status, Status::optimal);
    allocator.cordon_pu(0, true);
    EXPECT_EQ(allocator.check(ready(want_cores(8))).answer.reason,
              Reason::not_enough_cores);
    EXPECT_EQ(
        message_of<InvalidRequestError>([&] { allocator.cordon_device(10, true); }),
        "device: 10, want an index below 10");
    EXPECT_EQ(message_of<InvalidRequestError>([&] { allocator.cordon_pu(16, true); }),
              "pu: 16, want an index below 16");
}

TEST_F(AllocatorTest, KeepsAHoldingWhoseDeviceIsCordoned) {
    allocator.allocate(ready(want_devices({want("gpu", 4)})), "a");
    allocator.cordon_device(device("gpu0"), true);
    allocator.check_consistency();
    allocator.release("a");
    EXPECT_FALSE(allocator.state()->is_available(device("gpu0")));
}

TEST_F(AllocatorTest, NamesOwnersOfADevice) {
    Placement placement;
    placement.devices = {{device("gpu3"), {{"memory", gi}}}};
    allocator.take(placement, "share");
    placement.devices = {whole(*machine, "gpu3/1")};
    allocator.take(placement, "part");
    placement.devices = {whole(*machine, "gpu0")};
    allocator.take(placement, "whole");
    EXPECT_EQ(allocator.owners_of_device(device("gpu3")),
              (std::vector<std::string>{"part", "share"}));
    EXPECT_EQ(allocator.owners_of_device(device("gpu3/1")),
              (std::vector<std::string>{"part"}));
    EXPECT_TRUE(allocator.owners_of_device(device("gpu3/0")).empty());
    EXPECT_EQ(allocator.owners_of_device(device("gpu0")),
              (std::vector<std::string>{"whole"}));
}

TEST_F(AllocatorTest, ForksIndependently) {
    allocator.allocate(ready(want_cores(2)), "a");
    const auto fork = allocator.fork();
    fork->allocate(ready(want_cores(2)), "b");
    allocator.release("a");
    EXPECT_EQ(fork->holdings().size(), 2U);
    EXPECT_TRUE(allocator.holdings().empty());
    EXPECT_EQ(fork->state()->owned_pus().count(), 8U);
    fork->check_consistency();
}

TEST_F(AllocatorTest, RestoresHoldings) {
    allocator.allocate(ready(want_cores(2)), "a");
    const Holding holding = *allocator.holding("a");
    Allocator restored(machine);
    restored.cordon_pu(0, true);
    restored.restore_holding("a", holding);
    EXPECT_EQ(restored.allocate(ready(want_cores(2)), "a").answer.placement,
              holding.placement);
    EXPECT_EQ(message_of<StateError>([&] { restored.restore_holding("b", holding); }),
              "pus: 0-3 not free, want free PUs");
    restored.check_consistency();
}

// Batches.

TEST_F(AllocatorTest, AnswersOfABatchKnowTheStateThatTheyWereAskedOn) {
    const Compiled request = ready(want_cores(3));
    allocator.allocate(request, "b");
    const auto one_by_one = allocator.fork();
    const BatchAnswers batch = allocator.allocate_batch(request, {"a", "b", "c", "d"});
    ASSERT_EQ(batch.verdicts.size(), 4U);
    EXPECT_EQ(batch.is_new, (std::vector<bool>{true, false, true, true}));
    for (std::size_t i = 0; i < batch.verdicts.size(); ++i) {
        const auto before = one_by_one->fork();
        const Verdict want = one_by_one->allocate(request, batch.verdicts[i].owner);
        const Verdict got = asked(batch, i);
        EXPECT_EQ(got.answer.status, want.answer.status) << i;
        EXPECT_EQ(got.answer.reason, want.answer.reason) << i;
        EXPECT_EQ(got.answer.steps, want.answer.steps) << i;
        EXPECT_EQ(got.answer.placement, want.answer.placement) << i;
        EXPECT_TRUE(*got.state == *before->state()) << i;
        ASSERT_EQ(got.holdings->size(), before->holdings().size()) << i;
        for (const auto& [owner, holding] : before->holdings()) {
            EXPECT_EQ(got.holdings->at(owner).placement, holding.placement) << i;
            EXPECT_EQ(*got.holdings->at(owner).request, *holding.request) << i;
        }
    }
    EXPECT_EQ(batch.verdicts[3].answer.status, Status::infeasible);
    EXPECT_EQ(allocator.holdings().size(), 2U);
    EXPECT_TRUE(*allocator.state() == *one_by_one->state());
}

TEST_F(AllocatorTest, TakesNothingOfABatchWithAnOwnerOfAnotherRequest) {
    allocator.allocate(ready(want_cores(1)), "b");
    const auto state = allocator.state();
    EXPECT_THROW(allocator.allocate_batch(ready(want_cores(2)), {"a", "b"}),
                 StateError);
    EXPECT_TRUE(*allocator.state() == *state);
    EXPECT_EQ(allocator.holdings().size(), 1U);
}

TEST_F(AllocatorTest, NeverTakesGpuMemory) {
    const auto with_gpu_memory = small_machine(
        [](MachineSpec& spec) { spec.numa_nodes[1].kind = MemoryKind::gpu; });
    Allocator other(with_gpu_memory);
    Placement placement;
    placement.memory = {{1, 0, gi}};
    for (const bool restores : {false, true}) {
        try {
            if (restores) {
                other.restore_holding("a", {nullptr, placement, Status::feasible});
            } else {
                other.take(placement, "a");
            }
            FAIL();
        } catch (const InvalidRequestError& error) {
            EXPECT_STREQ(error.what(),
                         "memory: NUMANode 1 is GPU memory, which is not handed out as "
                         "memory, want a NUMANode of another kind");
        }
    }
    placement.memory = {{0, 0, gi}};
    EXPECT_NO_THROW(other.take(placement, "a"));
}

TEST_F(AllocatorTest, AllocatesManyOrNothing) {
    const auto half = ready(want_cores(4));
    const BatchVerdict verdict = allocator.allocate_many({{"a", half}, {"b", half}});
    ASSERT_EQ(verdict.status, Status::optimal);
    EXPECT_EQ(verdict.cost[Cost::packages], 2);
    EXPECT_EQ(verdict.cost[Cost::localities], 2);
    EXPECT_EQ(verdict.cost[Cost::opened_packages], 2);
    EXPECT_EQ(allocator.holdings().size(), 2U);
    const BatchVerdict full = allocator.allocate_many({{"c", ready(want_cores(1))}});
    EXPECT_EQ(full.status, Status::infeasible);
    EXPECT_EQ(full.reason, Reason::not_enough_cores);
    EXPECT_EQ(allocator.holdings().size(), 2U);
}

TEST_F(AllocatorTest, TakesNothingOfABatchThatDoesNotFit) {
    const BatchVerdict verdict = allocator.allocate_many(
        {{"a", ready(want_cores(5))}, {"b", ready(want_cores(4))}});
    EXPECT_EQ(verdict.status, Status::infeasible);
    EXPECT_TRUE(*allocator.state() == NodeState(machine));
}

TEST_F(AllocatorTest, WantsDifferentOwnersOfABatch) {
    const auto one = ready(want_cores(1));
    EXPECT_EQ(message_of<StateError>(
                  [&] { allocator.allocate_many({{"a", one}, {"a", one}}); }),
              "owner: 'a' twice, want different owners");
    allocator.allocate(one, "a");
    EXPECT_EQ(message_of<StateError>(
                  [&] { allocator.allocate_many({{"b", one}, {"a", one}}); }),
              "owner: 'a' holds a Placement, want an owner that holds nothing");
    EXPECT_EQ(allocator.holdings().size(), 1U);
}

TEST_F(AllocatorTest, FindsAnOrderThatFits) {
    // The first alone takes the H100s that the second must have.
    const Request any = want_devices({want("gpu", 1)});
    Request h100 = want_devices({want("gpu", 3)});
    h100.devices[0].where = {
        {"model", ConditionOp::equal, {Scalar(std::string("H100"))}}};
    const BatchVerdict verdict =
        allocator.check_joint({{"any", ready(any)}, {"h100", ready(h100)}});
    ASSERT_TRUE(verdict.status == Status::optimal ||
                verdict.status == Status::feasible);
    EXPECT_EQ(verdict.placements[0].devices.front().device, device("gpu3"));
    EXPECT_TRUE(allocator.holdings().empty());
}

TEST_F(AllocatorTest, ProvesThatABatchHasTooFewDevices) {
    Request h100 = want_devices({want("gpu", 2)});
    h100.devices[0].where = {
        {"model", ConditionOp::equal, {Scalar(std::string("H100"))}}};
    const auto request = ready(h100);
    const BatchVerdict verdict =
        allocator.check_joint({{"a", request}, {"b", request}});
    EXPECT_EQ(verdict.status, Status::infeasible);
    EXPECT_EQ(verdict.reason, Reason::not_enough_devices);
}

TEST_F(AllocatorTest, ProvesThatAlignedCopiesDoNotFit) {
    Request three = want_cores(3);
    three.require = {Align{}};
    const auto request = ready(three);
    // 9 cores are not there at all; of 8 each locality holds one copy.
    Allocator other(machine);
    Placement one;
    one.pus = Bitmap::range(0, 2);
    other.take(one, "x");
    const BatchVerdict verdict = other.check_joint({{"a", request}, {"b", request}});
    EXPECT_EQ(verdict.status, Status::optimal);
    one.pus = Bitmap::range(2, 2);
    other.take(one, "y");
    const BatchVerdict no = other.check_joint({{"a", request}, {"b", request}});
    EXPECT_EQ(no.status, Status::infeasible);
    EXPECT_EQ(no.reason, Reason::requirements_conflict);
}

TEST_F(AllocatorTest, AnEmptyBatchFits) {
    EXPECT_EQ(allocator.check_joint({}).status, Status::optimal);
}

TEST_F(AllocatorTest, IsUndecidedWithoutSteps) {
    const auto one = ready(want_cores(1));
    const BatchVerdict verdict = allocator.check_joint({{"a", one}, {"b", one}}, {0});
    EXPECT_TRUE(verdict.status == Status::unknown ||
                verdict.status == Status::feasible);
    EXPECT_EQ(verdict.reason, Reason::step_limit);
}

// Headroom.

TEST_F(AllocatorTest, CountsCopiesByCores) {
    const HeadroomResult result = allocator.headroom(ready(want_cores(3)));
    EXPECT_EQ(result.count, 2U);
    EXPECT_EQ(result.upper, 2U);
}

TEST_F(AllocatorTest, CountsCopiesByDomainsOfAnAlign) {
    Request request = want_cores(3);
    request.require = {Align{AlignLevel::l3, {}}};
    EXPECT_EQ(allocator.headroom(ready(request)).upper, 0U);
    request.cores = 2;
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.count, 4U);
    EXPECT_EQ(result.upper, 4U);
}

TEST_F(AllocatorTest, CountsCopiesByPairs) {
    Request request = want_devices({want("gpu", 1), want("nic", 1)});
    request.require = {Pair{"gpu", "nic", Level::switch_}};
    allocator.cordon_device(device("nic0"), true);
    allocator.cordon_device(device("gpu1"), true);
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.count, 2U);
    EXPECT_EQ(result.upper, 2U);
}

TEST_F(AllocatorTest, CountsCopiesByBytes) {
    Request request;
    request.hugepages[2 * mi] = 600 * mi;
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.upper, 3U);
    EXPECT_EQ(result.count, 3U) << "one copy lies in both NUMANodes";
    request.require = {Align{}};
    EXPECT_EQ(allocator.headroom(ready(request)).upper, 2U);
}

TEST_F(AllocatorTest, CountsCopiesByShares) {
    Request request = want_devices({want("gpu", 2)});
    request.devices[0].share["memory"] = 30 * gi;
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.upper, 4U);
    EXPECT_EQ(result.count, 4U);
}

TEST_F(AllocatorTest, CountsCopiesByParts) {
    Request request = want_devices({want("mig", 1)});
    request.devices[0].partition = "1g";
    EXPECT_EQ(allocator.headroom(ready(request)).count, 2U);
    Placement share;
    share.devices = {{device("gpu3"), {{"memory", gi}}}};
    allocator.take(share, "a");
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.count, 1U);
    EXPECT_EQ(result.upper, 1U) << "the memory counter gives one part only";
}

TEST_F(AllocatorTest, CountsNothingWhereTheRequestDoesNotFit) {
    Request request = want_devices({want("gpu", 2)});
    request.require = {Link{"gpu", LinkMode::clique, 60000}};
    const HeadroomResult result = allocator.headroom(ready(request));
    EXPECT_EQ(result.count, 0U);
    EXPECT_EQ(result.upper, 0U);
}

}  // namespace
}  // namespace topoalloc::testing
