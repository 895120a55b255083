// SPDX-License-Identifier: Apache-2.0
//
// A plan for several PodSets by placing one after the other, each as well as can be
// beside those before it, in several orders. No proof: for a first answer, and for a
// last one where the search ends at its limit. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "node/joint_budget.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace topoalloc {

/// Answers the problem of one PodSet; nullopt when it finds no plan.
using PlaceOne = std::function<std::optional<std::vector<CountVector>>(
    const GangProblem& problem, StepBudget& budget)>;

/// A plan that keeps all required rules; nullopt when none was found.
[[nodiscard]] std::optional<std::vector<CountVector>> place_in_turn(
    const GangProblem& problem, const PlaceOne& place_one, StepBudget& budget);

}  // namespace topoalloc
