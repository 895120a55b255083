// SPDX-License-Identifier: Apache-2.0
//
// Seeded random cluster problems of the size that people have, too large to try every
// plan. The CP-SAT oracle of tests/oracle answers them.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>

namespace topoalloc::oracle {

/// 8 to 64 nodes of few kinds, partly filled, in 1 to 8 racks in 1 to 3 blocks, a third
/// level below or across; 1 to 4 PodSets of up to 40 pods.
[[nodiscard]] GangProblem make_large_gang_problem(std::uint64_t seed);

}  // namespace topoalloc::oracle
