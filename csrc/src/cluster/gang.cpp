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

void validate_constraint(const std::string& at, const GangConstraint& constraint) {
    const auto demand_level = [&](const auto& rule) {
        if constexpr (requires { rule.level; }) {
            if (rule.level.empty()) {
                refuse(at + ".level: ''", "a level");
            }
        }
    };
    std::visit(demand_level, constraint);
    const auto* spread = std::get_if<Spread>(&constraint);
    if (spread != nullptr && spread->at_most == 0) {
        refuse(at + ".at_most: 0", "1 or more");
    }
}

void validate_rails(const std::string& at, const Rails& rails, const PodSet& podset) {
    const std::string what = at + ".device_class: '" + rails.device_class + "'";
    const auto& devices = podset.request->devices;
    const auto wanted =
        std::ranges::find(devices, rails.device_class, &DeviceRequest::device_class);
    if (wanted == devices.end()) {
        refuse(what, "a class of which the request asks for devices");
    }
    if (!wanted->partition.empty()) {
        refuse(what + " in partitions", "whole devices or shares of them");
    }
}

void validate_constraints(const std::string& path, const PodSet& podset) {
    std::set<std::string> railed;
    for (std::size_t i = 0; i < podset.require.size(); ++i) {
        const std::string at = path + ".require[" + std::to_string(i) + "]";
        validate_constraint(at, podset.require[i]);
        const auto* rails = std::get_if<Rails>(&podset.require[i]);
        if (rails == nullptr) {
            continue;
        }
        validate_rails(at, *rails, podset);
        if (!railed.insert(rails->device_class).second) {
            refuse(at + ".device_class: '" + rails->device_class + "' twice",
                   "each class once");
        }
    }
    for (std::size_t i = 0; i < podset.prefer.size(); ++i) {
        const std::string at = path + ".prefer[" + std::to_string(i) + "]";
        validate_constraint(at, podset.prefer[i]);
        if (std::holds_alternative<Rails>(podset.prefer[i])) {
            refuse(at + ": Rails", "Within, Spread or Balanced: Rails are required");
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
    validate_constraints(path, podset);
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

std::vector<std::string> rail_classes(const PodSet& podset) {
    std::vector<std::string> classes;
    for (const GangConstraint& constraint : podset.require) {
        if (const auto* rails = std::get_if<Rails>(&constraint)) {
            classes.push_back(rails->device_class);
        }
    }
    return classes;
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
