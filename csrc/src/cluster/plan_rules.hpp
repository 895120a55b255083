// SPDX-License-Identifier: Apache-2.0
//
// PlanRules: what a plan must keep, every choice between alternatives made: which
// preferences are kept, how many pods a balanced Domain holds. Private to the cluster
// room.
#pragma once

#include "cluster/gang_problem.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc {

enum class CountRuleKind : std::uint8_t {
    multiple,  ///< of `number`
    at_most,   ///< `number`
    even,      ///< none, `number` or one more
};

/// Of the pods of a PodSet in each Domain of a level.
struct CountRule {
    CountRuleKind kind = CountRuleKind::multiple;
    std::uint32_t podset = 0;
    std::uint32_t level = 0;
    std::uint32_t number = 0;
    [[nodiscard]] bool allows(std::uint32_t pods) const;
};

struct PlanRules {
    std::vector<WithinRule> within;
    std::vector<CountRule> counts;
    /// Balanced without its number yet: with_even() gives each one.
    std::vector<LevelRule> balanced;
};

/// The required ones, and those preferences whose place in `kept` says so.
[[nodiscard]] PlanRules rules_of(const GangProblem& problem,
                                 const std::vector<bool>& kept);

/// True when no rule on a level where the node has no Domain speaks of the PodSet.
[[nodiscard]] bool may_hold(const PlanRules& rules,
                            const GangNode& node,
                            std::uint32_t podset);

}  // namespace topoalloc
