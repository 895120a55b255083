// SPDX-License-Identifier: Apache-2.0
#include "small_machine.hpp"

#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace topoalloc::testing {
namespace {

struct Case {
    const char* name;
    const char* message;
    std::function<void(Request&)> change;
};

// 4 cores, 2 gpu, 2 nic: valid, and broken in one way by each case.
Request valid_request() {
    Request request = want_cores(4);
    request.devices = {want("gpu", 2), want("nic", 2)};
    request.require = {Align{AlignLevel::numa, {"pus", "gpu"}}, Pair{"gpu", "nic"}};
    request.prefer = {Link{"gpu"},
                      Same{"model", {"gpu"}},
                      Distinct{"uuid", {"nic"}},
                      Near{{"nvme0"}, Level::root}};
    request.keep = {"pus", "gpu"};
    request.hugepages[2 * mi] = gi;
    return request;
}

class RefusedRequest : public ::testing::TestWithParam<Case> {};

TEST_P(RefusedRequest, SaysWhatItIsAndWhatIsWanted) {
    Request request = valid_request();
    GetParam().change(request);
    EXPECT_EQ(message_of<InvalidRequestError>([&] { request.validate(); }),
              GetParam().message);
}

DeviceRequest& gpu_of(Request& request) {
    return request.devices[0];
}

const std::vector<Case> amounts = {
    {"CoresWithPus",
     "cores: 4 with pus 8, want one of the two",
     [](Request& r) { r.pus = 8; }},
    {"WholeCoresWithoutPus",
     "whole_cores: true without pus, want pus, or cores alone",
     [](Request& r) { r.whole_cores = true; }},
    {"MemoryTooLarge",
     "memory: 4611686018427387905, want at most 2^62",
     [](Request& r) { r.memory = (std::uint64_t{1} << 62) + 1; }},
    {"KindGpu",
     "kind: gpu, which is not handed out as memory, want dram, hbm, cxl or nvm",
     [](Request& r) { r.kind = MemoryKind::gpu; }},
    {"PageSizeZero",
     "hugepages[0]: page size 0, want a page size of at least 1 byte",
     [](Request& r) { r.hugepages[0] = 4096; }},
    {"PartOfAPage",
     "hugepages[2097152]: 2097153 bytes, want whole pages of 2097152 bytes",
     [](Request& r) { r.hugepages[2 * mi] = 2 * mi + 1; }},
    {"HugepagesTooLarge",
     "hugepages[1]: 9223372036854775808, want at most 2^62",
     [](Request& r) { r.hugepages[1] = std::uint64_t{1} << 63; }},
    {"NothingAskedFor",
     "request: nothing asked for, want cores, pus, memory, hugepages or devices",
     [](Request& r) {
         r = Request();
         r.hugepages[2 * mi] = 0;
     }},
};

const std::vector<Case> devices = {
    {"ClassTwice",
     "devices: 'nic' twice, want each class once",
     [](Request& r) { r.devices.push_back(want("nic", 1)); }},
    {"ClassesOutOfOrder",
     "devices: 'acc' after 'nic', want classes in ascending order",
     [](Request& r) { r.devices.push_back(want("acc", 1)); }},
    {"ClassWithoutName",
     "devices: class '', want a name that is not pus or memory",
     [](Request& r) { gpu_of(r).device_class.clear(); }},
    {"ClassPus",
     "devices: class 'pus', want a name that is not pus or memory",
     [](Request& r) { r.devices.push_back(want("pus", 1)); }},
    {"TooManyClasses",
     "devices: 65 classes, want at most 64",
     [](Request& r) {
         r.devices.clear();
         for (int i = 10; i < 75; ++i) {
             r.devices.push_back(want("c" + std::to_string(i), 1));
         }
     }},
    {"CountZero",
     "devices['gpu'].count: 0, want at least 1",
     [](Request& r) { gpu_of(r).count = 0; }},
    {"ShareWithPartition",
     "devices['gpu']: share with partition '1g', want one of the two",
     [](Request& r) {
         gpu_of(r).partition = "1g";
         gpu_of(r).share["memory"] = 1;
     }},
    {"ShareOfNothing",
     "devices['gpu'].share['memory']: 0, want at least 1",
     [](Request& r) { gpu_of(r).share["memory"] = 0; }},
    {"ShareWithoutName",
     "devices['gpu'].share['']: a share of a capacity without a name, want a name",
     [](Request& r) { gpu_of(r).share[""] = 1; }},
    {"ShareTooLarge",
     "devices['gpu'].share['memory']: 9223372036854775808, want at most 2^62",
     [](Request& r) { gpu_of(r).share["memory"] = std::uint64_t{1} << 63; }},
    {"ConditionWithoutName",
     "devices['gpu'].where[0]: a condition on an attribute without a name, want a name",
     [](Request& r) { gpu_of(r).where = {{"", ConditionOp::equal, {Scalar(true)}}}; }},
    {"ConditionWithTwoValues",
     "devices['gpu'].where[0]: 2 values for 'model', want one",
     [](Request& r) {
         gpu_of(r).where = {
             {"model", ConditionOp::equal, {Scalar(true), Scalar(false)}}};
     }},
    {"OneOfNothing",
     "devices['gpu'].where[0]: 0 values for 'model', want at least one",
     [](Request& r) { gpu_of(r).where = {{"model", ConditionOp::one_of, {}}}; }},
    {"OrderingOfText",
     "devices['gpu'].where[0]: an ordering of 'model' by a value that is no integer, "
     "want an "
     "integer",
     [](Request& r) {
         gpu_of(r).where = {
             {"model", ConditionOp::at_least, {Scalar(std::string("x"))}}};
     }},
    {"KeepUnknown",
     "keep: 'nvme', want 'pus' or a class of devices",
     [](Request& r) { r.keep = {"nvme"}; }},
    {"KeepTwice",
     "keep: 'gpu' twice, want each name once",
     [](Request& r) { r.keep = {"gpu", "gpu"}; }},
    {"KeepPusOfNone",
     "keep: 'pus' of a request without PUs, want cores or pus",
     [](Request& r) { r.cores = 0; }},
};

const std::vector<Case> constraints = {
    {"AlignOfUnknown",
     "require[0]: Align.of: 'nvme', want 'pus', 'memory' or a class of devices",
     [](Request& r) { r.require = {Align{AlignLevel::l3, {"nvme"}}}; }},
    {"AlignOfTwice",
     "require[0]: Align.of: 'gpu' twice, want each name once",
     [](Request& r) { r.require = {Align{AlignLevel::l3, {"gpu", "gpu"}}}; }},
    {"PairOfUnknown",
     "prefer[0]: Pair.b: 'nvme', which is not asked for, want a class of devices",
     [](Request& r) { r.prefer = {Pair{"gpu", "nvme"}}; }},
    {"PairWithItself",
     "require[0]: Pair: 'gpu' with itself, want two classes",
     [](Request& r) { r.require = {Pair{"gpu", "gpu"}}; }},
    {"PairRatio",
     "require[0]: Pair.ratio: 2:3, want n:1 or 1:n",
     [](Request& r) { r.require = {Pair{"gpu", "nic", Level::machine, 2, 3}}; }},
    {"PairRatioZero",
     "require[0]: Pair.ratio: 0:1, want n:1 or 1:n",
     [](Request& r) { r.require = {Pair{"gpu", "nic", Level::machine, 0, 1}}; }},
    {"PairOutOfProportion",
     "require[0]: Pair.ratio: 2:1 for 2 gpu and 2 nic, want counts in that proportion",
     [](Request& r) { r.require = {Pair{"gpu", "nic", Level::machine, 2, 1}}; }},
    {"LinkOfUnknown",
     "require[0]: Link.device_class: 'nvme', which is not asked for, want a class of "
     "devices",
     [](Request& r) { r.require = {Link{"nvme"}}; }},
    {"LinkOfNoSpeed",
     "require[0]: Link.min_mb_s: 0, want at least 1",
     [](Request& r) { r.require = {Link{"gpu", LinkMode::clique, 0}}; }},
    {"SameWithoutAttribute",
     "require[0]: Same.attribute: empty, want the name of an attribute",
     [](Request& r) { r.require = {Same{"", {"gpu"}}}; }},
    {"SameOfNothing",
     "require[0]: Same.of: empty, want at least one class of devices",
     [](Request& r) { r.require = {Same{"model", {}}}; }},
    {"DistinctOfUnknown",
     "require[0]: Distinct.of: 'nvme', which is not asked for, want a class of devices",
     [](Request& r) { r.require = {Distinct{"model", {"nvme"}}}; }},
    {"DistinctOfTwice",
     "require[0]: Distinct.of: 'gpu' twice, want each class once",
     [](Request& r) { r.require = {Distinct{"model", {"gpu", "gpu"}}}; }},
    {"NearNothing",
     "require[0]: Near.devices: empty, want at least one device",
     [](Request& r) { r.require = {Near{}}; }},
    {"TooManyPreferences",
     "prefer: 9 entries, want at most 8",
     [](Request& r) { r.prefer.assign(9, Link{"gpu"}); }},
};

std::string case_name(const ::testing::TestParamInfo<Case>& param) {
    return param.param.name;
}

INSTANTIATE_TEST_SUITE_P(Amounts,
                         RefusedRequest,
                         ::testing::ValuesIn(amounts),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Devices,
                         RefusedRequest,
                         ::testing::ValuesIn(devices),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Constraints,
                         RefusedRequest,
                         ::testing::ValuesIn(constraints),
                         case_name);

TEST(Request, IsValidWithEveryKindOfConstraint) {
    EXPECT_NO_THROW(valid_request().validate());
}

TEST(Request, MayAskForPusOfWholeCores) {
    Request request;
    request.pus = 4;
    request.whole_cores = true;
    EXPECT_NO_THROW(request.validate());
}

TEST(Request, MayPairInEitherRatio) {
    Request request = want_devices({want("gpu", 4), want("nic", 2)});
    request.require = {Pair{"gpu", "nic", Level::machine, 2, 1}};
    EXPECT_NO_THROW(request.validate());
    request.require = {Pair{"nic", "gpu", Level::machine, 1, 2}};
    EXPECT_NO_THROW(request.validate());
}

TEST(Request, MayAlignWhatIsNotAskedFor) {
    Request request = want_cores(1);
    request.require = {Align{AlignLevel::numa, {"pus", "memory"}}};
    EXPECT_NO_THROW(request.validate());
}

TEST(Request, DiffersByEveryPart) {
    const Request request = valid_request();
    EXPECT_EQ(request, valid_request());
    Request other = request;
    other.require[1] = Pair{"gpu", "nic", Level::root};
    EXPECT_FALSE(request == other);
}

}  // namespace
}  // namespace topoalloc::testing
