// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_shape.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace topoalloc {
namespace {

class Shaper {
  public:
    Shaper(const Gang& gang, const std::vector<std::string>& levels)
        : gang_(gang), levels_(levels) {}

    GangProblem run() {
        problem_.levels = static_cast<std::uint32_t>(levels_.size());
        problem_.groups = static_cast<std::uint32_t>(gang_.groups.size());
        for (std::uint32_t p = 0; p < gang_.podsets.size(); ++p) {
            add_podset(p);
        }
        std::map<std::string, std::vector<bool>> pods;
        for (std::uint32_t p = 0; p < gang_.podsets.size(); ++p) {
            pods.emplace(gang_.podsets[p].name, only(p));
        }
        for (std::uint32_t g = 0; g < gang_.groups.size(); ++g) {
            add_group(g, pods);
        }
        return std::move(problem_);
    }

  private:
    [[nodiscard]] std::vector<bool> only(std::uint32_t podset) const {
        std::vector<bool> out(gang_.podsets.size());
        out[podset] = true;
        return out;
    }

    [[nodiscard]] std::uint32_t level_of(const std::string& path,
                                         const std::string& name) const {
        if (name == "node") {
            return problem_.levels;
        }
        const auto it = std::ranges::find(levels_, name);
        if (it == levels_.end()) {
            std::string known;
            for (const std::string& level : levels_) {
                known += level + ", ";
            }
            throw InvalidRequestError(path + ": level '" + name +
                                      "' is not declared, want one of " + known +
                                      "node");
        }
        return static_cast<std::uint32_t>(it - levels_.begin());
    }

    void add_podset(std::uint32_t p) {
        const PodSet& podset = gang_.podsets[p];
        const std::string path = "gang.podsets[" + std::to_string(p) + "]";
        problem_.podsets.push_back({podset.count, podset.min_count, no_index});
        for (const Slice& slice : podset.slices) {
            const std::uint32_t level = level_of(path + ".slices", slice.level);
            declare(p, level);
            problem_.slices.push_back({p, level, slice.size});
        }
        for (const GangConstraint& constraint : podset.require) {
            if (std::holds_alternative<Rails>(constraint)) {
                continue;  // Of no level: it tells what nodes hold.
            }
            const PreferRule rule = rule_of(path + ".require", p, constraint);
            switch (rule.kind) {
                case RuleKind::within:
                    problem_.within.push_back(rule.within);
                    break;
                case RuleKind::spread:
                    problem_.spread.push_back(rule.level);
                    break;
                case RuleKind::balanced:
                    problem_.balanced.push_back(rule.level);
                    break;
            }
        }
        for (const GangConstraint& constraint : podset.prefer) {
            problem_.prefer.push_back(rule_of(path + ".prefer", p, constraint));
        }
    }

    void declare(std::uint32_t podset, std::uint32_t level) {
        std::uint32_t& lowest = problem_.podsets[podset].lowest_level;
        lowest = lowest == no_index ? level : std::max(lowest, level);
    }

    PreferRule rule_of(const std::string& path,
                       std::uint32_t podset,
                       const GangConstraint& constraint) {
        PreferRule rule;
        rule.unmet = podset;
        rule.level.podset = podset;
        if (const auto* within = std::get_if<Within>(&constraint)) {
            rule.within = {only(podset), level_of(path, within->level)};
            rule.level.level = rule.within.level;
        } else if (const auto* spread = std::get_if<Spread>(&constraint)) {
            rule.kind = RuleKind::spread;
            rule.level = {podset, level_of(path, spread->level), spread->at_most};
        } else {
            rule.kind = RuleKind::balanced;
            rule.level = {
                podset, level_of(path, std::get<Balanced>(constraint).level), 0};
        }
        declare(podset, rule.level.level);
        return rule;
    }

    void add_group(std::uint32_t g, std::map<std::string, std::vector<bool>>& pods) {
        const Group& group = gang_.groups[g];
        const std::string path = "gang.groups[" + std::to_string(g) + "]";
        std::vector<bool> members(gang_.podsets.size());
        for (const std::string& member : group.members) {
            const std::vector<bool>& of = pods.at(member);
            for (std::size_t p = 0; p < members.size(); ++p) {
                members[p] = members[p] || of[p];
            }
        }
        for (const Within& within : group.require) {
            problem_.within.push_back(
                {members, level_of(path + ".require", within.level)});
        }
        for (const Within& within : group.prefer) {
            PreferRule rule;
            rule.within = {members, level_of(path + ".prefer", within.level)};
            rule.unmet = static_cast<std::uint32_t>(gang_.podsets.size()) + g;
            problem_.prefer.push_back(std::move(rule));
        }
        pods.emplace(group.name, std::move(members));
    }

    const Gang& gang_;
    const std::vector<std::string>& levels_;
    GangProblem problem_;
};

bool meets(const Condition& condition,
           const std::map<std::string, std::string>& labels) {
    const auto it = labels.find(condition.attribute);
    if (it == labels.end()) {
        return false;
    }
    const bool is_one = std::ranges::any_of(condition.values, [&](const Scalar& value) {
        return std::get<std::string>(value) == it->second;
    });
    return is_one == (condition.op != ConditionOp::not_equal);
}

}  // namespace

GangProblem shape_of(const Gang& gang, const std::vector<std::string>& levels) {
    gang.validate();
    return Shaper(gang, levels).run();
}

bool is_eligible(const std::vector<Condition>& where,
                 const std::vector<Toleration>& tolerations,
                 const std::map<std::string, std::string>& labels,
                 const std::vector<Taint>& taints) {
    return std::ranges::all_of(
               where,
               [&](const Condition& condition) { return meets(condition, labels); }) &&
           std::ranges::all_of(taints, [&](const Taint& taint) {
               return std::ranges::any_of(tolerations,
                                          [&](const Toleration& toleration) {
                                              return tolerates(toleration, taint);
                                          });
           });
}

bool is_eligible(const PodSet& podset, const NodeDescription& node) {
    return is_eligible(podset.where, podset.tolerations, node.labels, node.taints);
}

Requests requests_of(const Gang& gang) {
    Requests requests;
    for (const PodSet& podset : gang.podsets) {
        requests.push_back(podset.request);
    }
    return requests;
}

}  // namespace topoalloc
