// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/gang.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <set>
#include <string_view>

namespace topoalloc {
namespace {

constexpr std::size_t most_members = 16;
constexpr std::size_t most_slices = 3;
constexpr std::size_t most_prefer = 8;

[[noreturn]] void refuse(const std::string& what, const std::string& want) {
    throw InvalidRequestError(what + ", want " + want);
}

void demand_name(const std::string& path, const std::string& name) {
    if (name.empty() || name.find('/') != std::string::npos) {
        refuse(path + ": '" + name + "'", "a text without '/', not empty");
    }
}

const std::string& level_of(const GangConstraint& constraint) {
    return std::visit([](const auto& c) -> const std::string& { return c.level; },
                      constraint);
}

void validate_constraints(const std::string& path,
                          const std::vector<GangConstraint>& constraints) {
    for (std::size_t i = 0; i < constraints.size(); ++i) {
        const std::string at = path + "[" + std::to_string(i) + "]";
        if (level_of(constraints[i]).empty()) {
            refuse(at + ".level: ''", "a level");
        }
        const auto* spread = std::get_if<Spread>(&constraints[i]);
        if (spread != nullptr && spread->at_most == 0) {
            refuse(at + ".at_most: 0", "1 or more");
        }
    }
}

void validate_slices(const std::string& path, const PodSet& podset) {
    if (podset.slices.size() > most_slices) {
        refuse(path + ": " + std::to_string(podset.slices.size()), "at most 3");
    }
    std::uint32_t whole = podset.count;
    for (std::size_t i = 0; i < podset.slices.size(); ++i) {
        const Slice& slice = podset.slices[i];
        const std::string at = path + "[" + std::to_string(i) + "]";
        if (slice.level.empty()) {
            refuse(at + ".level: ''", "a level");
        }
        if (slice.size == 0 || whole % slice.size != 0) {
            refuse(at + ".size: " + std::to_string(slice.size),
                   "a divisor of " + std::to_string(whole));
        }
        whole = slice.size;
    }
}

void validate_where(const std::string& path, const std::vector<Condition>& where) {
    for (const Condition& condition : where) {
        const bool is_known = condition.op == ConditionOp::equal ||
                              condition.op == ConditionOp::not_equal ||
                              condition.op == ConditionOp::one_of;
        const bool are_texts =
            std::ranges::all_of(condition.values, [](const Scalar& value) {
                return std::holds_alternative<std::string>(value);
            });
        if (!is_known || !are_texts || condition.values.empty()) {
            refuse(path + "." + condition.attribute + ": not about texts",
                   "a text, Not(text) or OneOf(texts): labels are texts");
        }
    }
}

void validate_podset(const std::string& path, const PodSet& podset) {
    demand_name(path + ".name", podset.name);
    if (!podset.request) {
        refuse(path + ".request: none", "a Request");
    }
    podset.request->validate();
    if (podset.count == 0) {
        refuse(path + ".count: 0", "1 or more");
    }
    if (podset.min_count > podset.count) {
        refuse(path + ".min_count: " + std::to_string(podset.min_count),
               "at most the count, " + std::to_string(podset.count));
    }
    validate_slices(path + ".slices", podset);
    validate_constraints(path + ".require", podset.require);
    validate_constraints(path + ".prefer", podset.prefer);
    if (podset.prefer.size() > most_prefer) {
        refuse(path + ".prefer: " + std::to_string(podset.prefer.size()), "at most 8");
    }
    validate_where(path + ".where", podset.where);
}

void validate_group(const std::string& path,
                    const Group& group,
                    const std::set<std::string>& known) {
    demand_name(path + ".name", group.name);
    if (group.members.empty()) {
        refuse(path + ".members: none", "PodSets or Groups declared before it");
    }
    std::set<std::string> seen;
    for (const std::string& member : group.members) {
        if (!known.contains(member) || !seen.insert(member).second) {
            refuse(path + ".members: '" + member + "'",
                   "different PodSets or Groups declared before it");
        }
    }
    for (const auto* list : {&group.require, &group.prefer}) {
        for (const Within& within : *list) {
            if (within.level.empty()) {
                refuse(path + ": Within('')", "a level");
            }
        }
    }
    if (group.prefer.size() > most_prefer) {
        refuse(path + ".prefer: " + std::to_string(group.prefer.size()), "at most 8");
    }
}

}  // namespace

bool tolerates(const Toleration& toleration, const Taint& taint) {
    return (!toleration.key || *toleration.key == taint.key) &&
           (!toleration.value || *toleration.value == taint.value) &&
           (!toleration.effect || *toleration.effect == taint.effect);
}

void Gang::validate() const {
    demand_name("gang.name", name);
    if (podsets.empty() || podsets.size() > most_members) {
        refuse("gang.podsets: " + std::to_string(podsets.size()), "1 to 16");
    }
    if (groups.size() > most_members) {
        refuse("gang.groups: " + std::to_string(groups.size()), "at most 16");
    }
    std::set<std::string> known;
    for (std::size_t i = 0; i < podsets.size(); ++i) {
        const std::string path = "gang.podsets[" + std::to_string(i) + "]";
        validate_podset(path, podsets[i]);
        if (!known.insert(podsets[i].name).second) {
            refuse(path + ".name: '" + podsets[i].name + "' twice", "different names");
        }
    }
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const std::string path = "gang.groups[" + std::to_string(i) + "]";
        validate_group(path, groups[i], known);
        if (!known.insert(groups[i].name).second) {
            refuse(path + ".name: '" + groups[i].name + "' twice", "different names");
        }
    }
}

}  // namespace topoalloc
