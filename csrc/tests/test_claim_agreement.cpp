// SPDX-License-Identifier: Apache-2.0
//
// First fits of claims against the search without cleverness, on random worlds. The
// long run is oracle_claim_run.
#include "oracle/claim_compare.hpp"
#include "oracle/claim_instances.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace topoalloc::oracle {
namespace {

struct Counts {
    std::uint32_t found = 0, none = 0, faults = 0, unknown = 0;
};

Counts compare_all(ClaimInstance (*make)(std::uint64_t),
                   std::uint64_t instances,
                   SearchLimits limits) {
    Counts counts;
    for (std::uint64_t seed = 1; seed <= instances; ++seed) {
        const ClaimInstance instance = make(seed);
        const ClaimComparison result =
            compare(instance.world, instance.question, limits, 50'000);
        EXPECT_EQ(result.difference, "") << "seed " << seed << "\n"
                                         << result.detail << "\n"
                                         << dump(instance);
        counts.faults += result.first.fault ? 1 : 0;
        counts.unknown += result.first.status == Status::unknown ? 1 : 0;
        counts.found += result.first.status == Status::optimal ? 1 : 0;
        counts.none += result.first.status == Status::infeasible ? 1 : 0;
    }
    return counts;
}

TEST(ClaimAgreement, OnRandomWorlds) {
    const Counts counts = compare_all(make_claim_instance, 1500, {});
    EXPECT_GT(counts.found, 500U);
    EXPECT_GT(counts.none, 500U);
    EXPECT_GT(counts.faults, 60U);
    EXPECT_EQ(counts.unknown, 0U);
}

TEST(ClaimAgreement, OnWhatClustersHave) {
    const Counts counts = compare_all(make_structured_claim, 300, {});
    EXPECT_GT(counts.found, 100U);
    EXPECT_GT(counts.none, 100U);
    EXPECT_EQ(counts.unknown, 0U);
}

TEST(ClaimAgreement, SaysNothingWrongAtTheStepLimit) {
    const Counts counts = compare_all(make_claim_instance, 500, {3});
    EXPECT_GT(counts.unknown, 20U);
}

}  // namespace
}  // namespace topoalloc::oracle
