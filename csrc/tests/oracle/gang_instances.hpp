// SPDX-License-Identifier: Apache-2.0
//
// Seeded random cluster problems, small enough to try every plan.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace topoalloc::oracle {

/// One to seven nodes, one to four PodSets, up to three levels in one or two trees.
[[nodiscard]] GangProblem make_gang_problem(std::uint64_t seed);

/// "", or what of the problem no Gang on a Cluster can lead to: indices out of range,
/// tables that are no downsets, open nodes in Domains that are not open.
[[nodiscard]] std::string wrong_with(const GangProblem& problem);

/// The problem as C++ that builds it, to be kept as a test.
[[nodiscard]] std::string dump(const GangProblem& problem);

/// Drops one part after the other while `differs` still says true; a local minimum.
/// Nothing is ever wrong_with() what it asks.
[[nodiscard]] GangProblem shrink(
    GangProblem problem, const std::function<bool(const GangProblem&)>& differs);

}  // namespace topoalloc::oracle
