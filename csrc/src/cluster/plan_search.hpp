// SPDX-License-Identifier: Apache-2.0
//
// The best plan by trying the nodes one after the other: for Domains that form no tree
// in node order, and for more vectors than the programme counts. Private to the cluster
// room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "node/joint_budget.hpp"

#include <optional>

namespace topoalloc {

struct SearchAim {
    bool use_possible = false;  ///< CountTable::possible, not attained
    bool first = false;         ///< the first plan will do
};

/// What was found before the budget ended: then it may be nothing, or not the best.
struct FoundPlan {
    GangCost cost;
    std::vector<CountVector> pods;
};
[[nodiscard]] std::optional<FoundPlan> search_plan(const GangProblem& problem,
                                                   const SearchAim& aim,
                                                   StepBudget& budget);

}  // namespace topoalloc
