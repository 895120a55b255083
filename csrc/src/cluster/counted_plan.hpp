// SPDX-License-Identifier: Apache-2.0
//
// The best plan of a single PodSet in a regular tree: numbers say which Domains can
// hold it, bounds say which of those can be best, and only these are searched. Private
// to the cluster room.
#pragma once

#include "cluster/counted_problem.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/gang_problem.hpp"
#include "node/joint_budget.hpp"

#include <optional>
#include <vector>

namespace topoalloc {

struct SparsePlan {
    bool found = false;     ///< false: there is no plan, a proof
    bool is_proved = true;  ///< false: the budget ended before the last candidate
    GangCost cost;
    SparsePods pods;
};

/// Pods of a plan that misses as few as can be.
[[nodiscard]] std::uint32_t pods_by_counts(const CountedProblem& problem);
[[nodiscard]] inline bool fits_by_counts(const CountedProblem& problem) {
    return pods_by_counts(problem) >= problem.podset.min_count;
}
/// Any plan where the least cost is not asked for.
/// Nullopt when the budget ended before a candidate.
[[nodiscard]] std::optional<SparsePlan> plan_by_counts(const CountedProblem& problem,
                                                       bool least_cost,
                                                       StepBudget& budget);

struct CountedPlan {
    bool found = false;     ///< false: there is no plan, a proof
    bool is_proved = true;  ///< false: the budget ended before the last candidate
    GangCost cost;
    std::vector<CountVector> pods;
};

/// The same of a GangProblem; nullopt also when it is not of this kind.
[[nodiscard]] std::optional<CountedPlan> plan_by_counts(
    const GangProblem& problem,
    const std::vector<DomainVertex>& tree,
    bool use_possible,
    bool least_cost,
    StepBudget& budget);

}  // namespace topoalloc
