// SPDX-License-Identifier: Apache-2.0
#include "small_machine.hpp"

#include "topoalloc/explanation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace topoalloc::testing {
namespace {

using Words = std::vector<std::string>;

Condition equal(std::string attribute, Scalar value) {
    return {std::move(attribute), ConditionOp::equal, {std::move(value)}};
}

class ExplainTest : public ::testing::Test {
  protected:
    [[nodiscard]] Verdict ask(const Request& request, SearchLimits limits = {}) const {
        return allocator.check(compile(machine, request), limits);
    }
    [[nodiscard]] Explanation explained(const Request& request,
                                        SearchLimits limits = {}) const {
        const Verdict verdict = ask(request);
        return explain(verdict, *verdict.holdings, limits);
    }
    void hold(const Request& request, const std::string& owner) {
        ASSERT_EQ(allocator.allocate(compile(machine, request), owner).answer.status,
                  Status::optimal);
    }
    static Words conflict(const Explanation& explanation) {
        Words out;
        std::ranges::transform(explanation.conflict,
                               std::back_inserter(out),
                               [](const ConflictItem& item) { return item.path; });
        return out;
    }
    static Words changes(const Explanation& explanation) {
        Words out;
        std::ranges::transform(
            explanation.relaxations, std::back_inserter(out), [](const Relaxation& r) {
                return r.path + " " + r.change;
            });
        return out;
    }

    std::shared_ptr<const Machine> machine = small_machine();
    Allocator allocator{machine};
};

TEST_F(ExplainTest, NamesTooManyCores) {
    const Explanation why = explained(want_cores(9));
    EXPECT_EQ(why.status, Status::infeasible);
    EXPECT_EQ(why.reason, Reason::not_enough_cores);
    EXPECT_EQ(conflict(why), (Words{"cores"}));
    EXPECT_EQ(why.conflict[0].text, "9 cores");
    EXPECT_EQ(changes(why), (Words{"cores cores=8"}));
    EXPECT_EQ(why.relaxations[0].text, "fits with 8 cores instead of 9");
    EXPECT_EQ(why.relaxations[0].cost[Cost::packages], 2);
    EXPECT_TRUE(why.complete);
    EXPECT_GT(why.steps, 0U);
}

TEST_F(ExplainTest, KeepsPairsInProportion) {
    hold(want_devices({want("nic", 1)}), "train-3");
    Request request = want_devices({want("gpu", 4), want("nic", 4)});
    request.require = {Pair{"gpu", "nic", Level::switch_}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"devices.nic"}));
    EXPECT_EQ(changes(why),
              (Words{"devices.gpu,devices.nic gpu=3,nic=3", "owner:train-3 release"}));
    EXPECT_EQ(why.relaxations[1].text, "fits if owner train-3 leaves");
}

TEST_F(ExplainTest, WidensAnAlign) {
    Request request = want_cores(3);
    request.require = {Align{AlignLevel::l3, {}}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "cores"}));
    EXPECT_EQ(changes(why), (Words{"require[0] level=numa", "cores cores=2"}));
    EXPECT_EQ(why.relaxations[0].text, "fits at numa instead of l3");
}

TEST_F(ExplainTest, DropsAnAlignThatNoLevelSaves) {
    Request request = want_cores(5);
    request.require = {Align{AlignLevel::numa, {"pus"}}};
    EXPECT_EQ(changes(explained(request)), (Words{"require[0] drop", "cores cores=4"}));
}

TEST_F(ExplainTest, WidensAPair) {
    allocator.cordon_device(machine->find_device("nic0"), true);
    allocator.cordon_device(machine->find_device("gpu1"), true);
    Request request = want_devices({want("gpu", 3), want("nic", 3)});
    request.require = {Pair{"gpu", "nic", Level::switch_}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "devices.gpu", "devices.nic"}));
    EXPECT_EQ(changes(why),
              (Words{"require[0] within=root",
                     "devices.gpu,devices.nic gpu=2,nic=2",
                     "device:gpu1 uncordon",
                     "device:nic0 uncordon"}));
}

TEST_F(ExplainTest, LowersALinkSpeed) {
    Request request = want_devices({want("gpu", 3)});
    request.require = {Link{"gpu", LinkMode::connected, 50000}};
    EXPECT_EQ(changes(explained(request)),
              (Words{"require[0] min_mb_s=25000", "devices.gpu count=2"}));
}

TEST_F(ExplainTest, DropsALinkThatNoSpeedSaves) {
    Request request = want_devices({want("gpu", 3)});
    request.require = {Link{"gpu"}};
    EXPECT_EQ(changes(explained(request)),
              (Words{"require[0] drop", "devices.gpu count=2"}));
}

TEST_F(ExplainTest, DropsSameAndDistinct) {
    Request request = want_devices({want("gpu", 4)});
    request.require = {Same{"model", {"gpu"}}};
    EXPECT_EQ(changes(explained(request)),
              (Words{"require[0] drop", "devices.gpu count=3"}));
    request.require = {Distinct{"model", {"gpu"}}};
    EXPECT_EQ(changes(explained(request)),
              (Words{"require[0] drop", "devices.gpu count=2"}));
}

TEST_F(ExplainTest, WidensANear) {
    Request request = want_devices({want("nic", 2)});
    request.require = {Near{{"gpu0"}, Level::bridges}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "devices.nic"}));
    EXPECT_EQ(changes(why), (Words{"require[0] within=root", "devices.nic count=1"}));
}

TEST_F(ExplainTest, DropsAConditionAndCountsWhatItTook) {
    Request request = want_devices({want("gpu", 4)});
    request.devices[0].where = {equal("model", std::string("H100"))};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"devices.gpu.where[0]", "devices.gpu"}));
    EXPECT_EQ(why.conflict[0].text, "gpu: model = H100");
    EXPECT_EQ(why.conflict[1].text, "gpu: 4 devices");
    EXPECT_EQ(changes(why),
              (Words{"devices.gpu.where[0] drop", "devices.gpu count=3"}));
    ASSERT_EQ(why.counts.size(), 1U);
    EXPECT_EQ(why.counts[0].what, "gpu");
    EXPECT_EQ(why.counts[0].needed, 4U);
    ASSERT_EQ(why.counts[0].steps.size(), 4U);
    EXPECT_EQ(why.counts[0].steps[0].filter, "on the machine");
    EXPECT_EQ(why.counts[0].steps[2].filter, "free");
    EXPECT_EQ(why.counts[0].steps[2].left, 4U);
    EXPECT_EQ(why.counts[0].steps[3].filter, "where model = H100");
    EXPECT_EQ(why.counts[0].steps[3].left, 3U);
}

TEST_F(ExplainTest, DropsEligibleAndExclude) {
    Request request = want_devices({want("gpu", 2)});
    request.devices[0].eligible = Words{"gpu0"};
    EXPECT_EQ(conflict(explained(request)),
              (Words{"devices.gpu.eligible", "devices.gpu"}));
    request = want_devices({want("gpu", 4)});
    request.exclude = {"gpu1"};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"exclude", "devices.gpu"}));
    EXPECT_EQ(changes(why), (Words{"exclude drop", "devices.gpu count=3"}));
    EXPECT_EQ(why.counts[0].steps.back().filter, "not excluded");
    EXPECT_EQ(why.counts[0].steps.back().left, 3U);
}

TEST_F(ExplainTest, DropsAKeepThatStandsInTheWay) {
    Request one = want_cores(1);
    hold(one, "a");
    Placement far;
    far.pus = Bitmap::range(2, 6);
    allocator.take(far, "b");
    // The kept core is alone in its package; 4 cores in one are free in the other.
    Request four = want_cores(4);
    four.keep = {"pus"};
    four.require = {Align{}};
    const Verdict verdict = allocator.resize(compile(machine, four), "a");
    ASSERT_EQ(verdict.answer.status, Status::infeasible);
    const Explanation why = explain(verdict, *verdict.holdings);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "keep", "cores"}));
    EXPECT_EQ(
        changes(why),
        (Words{"require[0] drop", "keep drop", "cores cores=1", "owner:b release"}));
}

TEST_F(ExplainTest, FindsTheLargestMemory) {
    Request request;
    request.memory = 100 * gi;
    request.require = {Align{}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "memory"}));
    EXPECT_EQ(changes(why), (Words{"require[0] drop", "memory bytes=68719476736"}));
    EXPECT_EQ(why.relaxations[1].text, "fits with 64Gi of memory instead of 100Gi");
}

TEST_F(ExplainTest, FindsTheLargestHugepages) {
    Request request;
    request.hugepages[2 * mi] = 3 * gi;
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"hugepages.2Mi"}));
    EXPECT_EQ(changes(why), (Words{"hugepages.2Mi bytes=2147483648"}));
    EXPECT_EQ(why.counts[0].steps.back().left, 2 * gi);
    request.hugepages.clear();
    request.hugepages[gi] = gi;
    EXPECT_EQ(conflict(explained(request)), (Words{"hugepages.1Gi"}));
}

TEST_F(ExplainTest, CountsNoByteOfADisallowedNumaNode) {
    machine = small_machine(
        [](MachineSpec& spec) { spec.allowed_numa_nodes = Bitmap::range(1, 1); });
    const Allocator partly(machine);
    Request request;
    request.memory = 65 * gi;
    const Verdict verdict = partly.check(compile(machine, request), {});
    const Explanation why = explain(verdict, *verdict.holdings, {});
    EXPECT_EQ(why.reason, Reason::not_enough_memory);
    EXPECT_EQ(conflict(why), (Words{"memory"}));
    EXPECT_EQ(changes(why), (Words{"memory bytes=68719476736"}));
    ASSERT_EQ(why.counts[0].steps.size(), 4U);
    EXPECT_EQ(why.counts[0].steps[0].left, 128 * gi);
    EXPECT_EQ(why.counts[0].steps[1].filter, "allowed");
    EXPECT_EQ(why.counts[0].steps[1].left, 64 * gi);
    EXPECT_EQ(why.counts[0].steps[2].left, 64 * gi);
    EXPECT_EQ(why.counts[0].steps[3].left, 64 * gi);
}

TEST_F(ExplainTest, OffersToUncordonPus) {
    allocator.cordon_pu(3, true);
    const Explanation why = explained(want_cores(8));
    EXPECT_EQ(changes(why), (Words{"cores cores=7", "pus:3 uncordon"}));
    EXPECT_EQ(why.counts[0].steps[3].filter, "not cordoned");
    EXPECT_EQ(why.counts[0].steps[3].left, 7U);
}

TEST_F(ExplainTest, NamesOnlyOwnersWhoseLeavingSuffices) {
    hold(want_cores(2), "small");
    hold(want_cores(4), "large");
    hold(want_devices({want("gpu", 1)}), "other");
    const Explanation why = explained(want_cores(5));
    EXPECT_EQ(changes(why), (Words{"cores cores=2", "owner:large release"}));
}

TEST_F(ExplainTest, DropsAClassOfWhichThereIsNone) {
    Request request = want_cores(1);
    request.devices = {want("nvme", 1)};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"devices.nvme"}));
    EXPECT_EQ(changes(why), (Words{"devices.nvme count=0"}));
    EXPECT_EQ(why.relaxations[0].text, "fits without nvme");
}

TEST_F(ExplainTest, EveryRelaxationIsFeasible) {
    // By solving what the change says, not what the explanation solved.
    Request request = want_cores(5);
    request.devices = {want("gpu", 3)};
    request.require = {Align{AlignLevel::numa, {}}};
    const Explanation why = explained(request);
    EXPECT_EQ(conflict(why), (Words{"require[0]", "devices.gpu"}));
    EXPECT_EQ(changes(why), (Words{"require[0] drop"}))
        << "5 cores alone do not fit either";
    request.require.clear();
    EXPECT_EQ(ask(request).answer.placement.cost, why.relaxations[0].cost);
}

TEST_F(ExplainTest, NamesTheRunnerUp) {
    const Request request = want_devices({want("gpu", 2)});
    const Explanation why = explained(request);
    EXPECT_EQ(why.status, Status::optimal);
    EXPECT_TRUE(why.conflict.empty());
    EXPECT_EQ(why.cost, ask(request).answer.placement.cost);
    ASSERT_TRUE(why.runner_up.exists);
    EXPECT_EQ(why.runner_up.placement.devices.front().device,
              machine->find_device("gpu2"));
    EXPECT_EQ(why.runner_up.lost_on, Cost::term_count) << "equal but for the indices";

    hold(want_cores(1), "a");
    const Explanation packed = explained(request);
    EXPECT_EQ(packed.runner_up.lost_on, Cost::opened_packages);
}

TEST_F(ExplainTest, NamesTheRunnerUpOfPus) {
    const Explanation why = explained(want_cores(2));
    ASSERT_TRUE(why.runner_up.exists);
    EXPECT_TRUE(why.runner_up.placement.pus.is_subset_of(Bitmap::range(8, 8)));
    EXPECT_FALSE(explained(want_cores(8)).runner_up.exists);
}

TEST_F(ExplainTest, HasNothingToCompareOnceTaken) {
    const Verdict verdict = allocator.allocate(compile(machine, want_cores(2)), "a");
    const Explanation why = explain(verdict, {});
    EXPECT_FALSE(why.complete);
    EXPECT_EQ(why.cost, verdict.answer.placement.cost);
    EXPECT_FALSE(why.runner_up.exists);
}

TEST_F(ExplainTest, StopsAtItsOwnLimit) {
    Request request = want_cores(5);
    request.require = {Align{}};
    const Explanation whole = explained(request);
    const Explanation cut = explained(request, {1});
    EXPECT_TRUE(whole.complete);
    EXPECT_FALSE(cut.complete);
    EXPECT_LT(cut.steps, whole.steps);
    EXPECT_NE(cut.prose(*machine).find("This explanation is not complete."),
              std::string::npos);
}

TEST_F(ExplainTest, SaysThatItDoesNotKnow) {
    Verdict verdict = ask(want_cores(1));
    verdict.answer.status = Status::unknown;
    verdict.answer.reason = Reason::step_limit;
    const Explanation why = explain(verdict, {});
    EXPECT_FALSE(why.complete);
    EXPECT_TRUE(why.conflict.empty());
    EXPECT_EQ(why.prose(*machine).find("It is not known whether it fits"), 0U);
}

TEST_F(ExplainTest, TakesNoStepTwiceDifferently) {
    Request request = want_cores(5);
    request.require = {Align{}};
    const Explanation first = explained(request);
    const Explanation second = explained(request);
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_EQ(first.prose(*machine), second.prose(*machine));
}

TEST_F(ExplainTest, WritesProse) {
    hold(want_devices({want("nic", 1)}), "train-3");
    const Explanation why = explained(want_devices({want("nic", 4)}));
    EXPECT_EQ(why.prose(*machine),
              "It does not fit: NotEnoughDevices.\n"
              "This cannot be had: nic: 4 devices (devices.nic).\n"
              "Needed: 4 nic; there are 4 on the machine, 4 not cordoned, 3 free.\n"
              "It fits with 3 nic instead of 4.\n"
              "It fits if owner train-3 leaves.\n");
    EXPECT_EQ(
        explained(want_cores(2)).prose(*machine),
        "It fits, and nothing costs less.\n"
        "Cost: packages 1, localities 1, l3s 1, opened_l3s 1.\n"
        "The runner-up takes PUs 8-11: it lost on opened_packages, 1 against 0.\n");
}

// docs/reason_codes.md.

TEST(ReasonCodes, AreAllDocumentedAndNoOthers) {
    std::ifstream file(std::string(TOPOALLOC_SOURCE_DIR) + "/docs/reason_codes.md");
    ASSERT_TRUE(file.is_open());
    std::set<std::string> documented;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("| `")) {
            documented.insert(line.substr(3, line.find('`', 3) - 3));
        }
    }
    std::set<std::string> known;
    for (int r = 0; r <= static_cast<int>(Reason::requirements_conflict); ++r) {
        known.emplace(reason_name(static_cast<Reason>(r)));
    }
    EXPECT_EQ(documented, known);
    EXPECT_EQ(known.size(), 14U);
}

TEST(TermNames, AreThoseOfTheObjective) {
    std::ifstream file(std::string(TOPOALLOC_SOURCE_DIR) + "/docs/objective.md");
    std::stringstream text;
    text << file.rdbuf();
    for (int term = 0; term < Cost::term_count; ++term) {
        const std::string name =
            "`" + std::string(term_name(static_cast<Cost::Term>(term))) + "`";
        EXPECT_NE(text.str().find(name), std::string::npos) << name;
    }
}

}  // namespace
}  // namespace topoalloc::testing
