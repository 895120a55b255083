// SPDX-License-Identifier: Apache-2.0
#include "cluster/plan_rules.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

bool has_domain(const GangNode& node, std::uint32_t level) {
    return level >= node.domains.size() || node.domains[level] != no_index;
}

CountRule count_rule(CountRuleKind kind, const LevelRule& rule) {
    return {kind, rule.podset, rule.level, rule.number};
}

}  // namespace

bool CountRule::allows(std::uint32_t pods) const {
    switch (kind) {
        case CountRuleKind::multiple:
            return pods % number == 0;
        case CountRuleKind::at_most:
            return pods <= number;
        case CountRuleKind::even:
            return pods == 0 || pods == number || pods == number + 1;
    }
    return false;
}

PlanRules rules_of(const GangProblem& problem, const std::vector<bool>& kept) {
    PlanRules rules{problem.within, {}, problem.balanced};
    for (const LevelRule& rule : problem.slices) {
        rules.counts.push_back(count_rule(CountRuleKind::multiple, rule));
    }
    for (const LevelRule& rule : problem.spread) {
        rules.counts.push_back(count_rule(CountRuleKind::at_most, rule));
    }
    for (std::size_t i = 0; i < problem.prefer.size(); ++i) {
        if (!kept[i]) {
            continue;
        }
        const PreferRule& rule = problem.prefer[i];
        if (rule.kind == RuleKind::within) {
            rules.within.push_back(rule.within);
        } else if (rule.kind == RuleKind::spread) {
            rules.counts.push_back(count_rule(CountRuleKind::at_most, rule.level));
        } else {
            rules.balanced.push_back(rule.level);
        }
    }
    return rules;
}

bool may_hold(const PlanRules& rules, const GangNode& node, std::uint32_t podset) {
    return std::ranges::all_of(rules.within,
                               [&](const WithinRule& rule) {
                                   return !rule.podsets[podset] ||
                                          has_domain(node, rule.level);
                               }) &&
           std::ranges::all_of(rules.counts,
                               [&](const CountRule& rule) {
                                   return rule.podset != podset ||
                                          has_domain(node, rule.level);
                               }) &&
           std::ranges::all_of(rules.balanced, [&](const LevelRule& rule) {
               return rule.podset != podset || has_domain(node, rule.level);
           });
}

}  // namespace topoalloc
