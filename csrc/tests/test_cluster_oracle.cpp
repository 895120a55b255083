// SPDX-License-Identifier: Apache-2.0
//
// Clusters of small Machines, partly filled, against brute force over Placements and
// plans. The long run is oracle_cluster_run.
#include "oracle/compare_cluster.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace topoalloc::oracle {
namespace {

TEST(ClusterOracle, AgreesOnRandomClusters) {
    std::array<std::uint32_t, 4> places{};
    std::uint32_t compared = 0;
    for (std::uint64_t seed = 1; seed <= 250; ++seed) {
        const ClusterInstance instance = make_cluster_instance(seed);
        const ClusterComparison result = compare(instance, {}, 20'000);
        ASSERT_EQ(result.difference, "") << result.detail << "\n" << dump(instance);
        if (result.is_counted) {
            ++compared;
            ++places[static_cast<std::size_t>(result.place)];
        }
    }
    // Both answers are often right, and none is given up.
    EXPECT_GT(compared, 180U);
    EXPECT_GT(places[static_cast<std::size_t>(Status::optimal)], 60U);
    EXPECT_GT(places[static_cast<std::size_t>(Status::infeasible)], 60U);
    EXPECT_EQ(places[static_cast<std::size_t>(Status::feasible)] +
                  places[static_cast<std::size_t>(Status::unknown)],
              0U);
}

TEST(ClusterOracle, SeesAPlanThatIsNotTheBest) {
    // A step limit that ends the search early leaves plans without proof, none of them
    // better than the best.
    std::uint32_t unproved = 0;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        const ClusterComparison result =
            compare(make_cluster_instance(seed), {4}, 20'000);
        ASSERT_EQ(result.difference, "") << "seed " << seed;
        unproved +=
            result.place == Status::feasible || result.place == Status::unknown ? 1 : 0;
    }
    EXPECT_GT(unproved, 0U);
}

}  // namespace
}  // namespace topoalloc::oracle
