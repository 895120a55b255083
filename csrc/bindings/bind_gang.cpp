// SPDX-License-Identifier: Apache-2.0
//
// Gang: as the face hands it over, rows of plain values (topoalloc._gang says which),
// turned into the core's struct and back. The struct never changes after that.
#include "bindings.hpp"

#include "topoalloc/cluster.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

namespace topoalloc::bindings {
namespace {

using Strings = std::vector<std::string>;
/// level, size
using SliceRow = std::tuple<std::string, std::uint32_t>;
/// class, level or class of devices, at_most; 0 where the class has none
using ConstraintRow = std::tuple<std::string, std::string, std::uint32_t>;
/// label, operator, values
using WhereRow = std::tuple<std::string, std::string, Strings>;
using TolerationRow = std::tuple<std::optional<std::string>,
                                 std::optional<std::string>,
                                 std::optional<std::string>>;
/// name, request, count, min_count, slices, require, prefer, where, tolerations
using PodSetRow = std::tuple<std::string,
                             py::object,
                             std::uint32_t,
                             std::uint32_t,
                             std::vector<SliceRow>,
                             std::vector<ConstraintRow>,
                             std::vector<ConstraintRow>,
                             std::vector<WhereRow>,
                             std::vector<TolerationRow>>;
/// name, members, levels of require, levels of prefer
using GroupRow = std::tuple<std::string, Strings, Strings, Strings>;

/// Equality, inequality and membership: a label is a text without order.
constexpr std::array<std::pair<std::string_view, ConditionOp>, 3> label_operators = {{
    {"equal", ConditionOp::equal},
    {"not_equal", ConditionOp::not_equal},
    {"one_of", ConditionOp::one_of},
}};

GangConstraint constraint_from(const ConstraintRow& row) {
    const auto& [kind, level, at_most] = row;
    if (kind == "Within") {
        return Within{level};
    }
    if (kind == "Spread") {
        return Spread{level, at_most};
    }
    if (kind == "Balanced") {
        return Balanced{level};
    }
    if (kind == "Rails") {
        return Rails{level};
    }
    throw InvalidRequestError("constraint: '" + kind +
                              "', want Within, Spread, Balanced or Rails");
}

Condition condition_from(const WhereRow& row) {
    const auto& [label, op, values] = row;
    const auto* const found =
        std::ranges::find(label_operators,
                          std::string_view(op),
                          &std::pair<std::string_view, ConditionOp>::first);
    if (found == label_operators.end()) {
        throw InvalidRequestError("where: '" + op +
                                  "', want equal, not_equal or one_of");
    }
    return {label, found->second, {values.begin(), values.end()}};
}

Toleration toleration_from(const TolerationRow& row) {
    const auto& [key, value, effect] = row;
    Toleration toleration{key, value, std::nullopt};
    if (effect) {
        toleration.effect = taint_effect_from(*effect);
    }
    return toleration;
}

PodSet podset_from(const PodSetRow& row) {
    PodSet podset;
    podset.name = std::get<0>(row);
    podset.request = shared_request_from(std::get<1>(row).ptr());
    podset.count = std::get<2>(row);
    podset.min_count = std::get<3>(row);
    for (const auto& [level, size] : std::get<4>(row)) {
        podset.slices.push_back({level, size});
    }
    std::ranges::transform(
        std::get<5>(row), std::back_inserter(podset.require), constraint_from);
    std::ranges::transform(
        std::get<6>(row), std::back_inserter(podset.prefer), constraint_from);
    std::ranges::transform(
        std::get<7>(row), std::back_inserter(podset.where), condition_from);
    std::ranges::transform(
        std::get<8>(row), std::back_inserter(podset.tolerations), toleration_from);
    return podset;
}

std::vector<Within> withins_from(const Strings& levels) {
    std::vector<Within> found;
    found.reserve(levels.size());
    for (const std::string& level : levels) {
        found.push_back({level});
    }
    return found;
}

std::shared_ptr<Gang> make_gang(std::string name,
                                const std::vector<PodSetRow>& podsets,
                                const std::vector<GroupRow>& groups,
                                std::int32_t priority,
                                std::string queue) {
    auto gang = std::make_shared<Gang>();
    gang->name = std::move(name);
    std::ranges::transform(podsets, std::back_inserter(gang->podsets), podset_from);
    for (const auto& [group, members, require, prefer] : groups) {
        gang->groups.push_back(
            {group, members, withins_from(require), withins_from(prefer)});
    }
    gang->priority = priority;
    gang->queue = std::move(queue);
    gang->validate();
    return gang;
}

// Back into rows.

ConstraintRow constraint_row(const GangConstraint& constraint) {
    if (const auto* within = std::get_if<Within>(&constraint)) {
        return {"Within", within->level, 0};
    }
    if (const auto* spread = std::get_if<Spread>(&constraint)) {
        return {"Spread", spread->level, spread->at_most};
    }
    if (const auto* rails = std::get_if<Rails>(&constraint)) {
        return {"Rails", rails->device_class, 0};
    }
    return {"Balanced", std::get<Balanced>(constraint).level, 0};
}

std::vector<ConstraintRow> constraint_rows(
    const std::vector<GangConstraint>& constraints) {
    std::vector<ConstraintRow> rows;
    std::ranges::transform(constraints, std::back_inserter(rows), constraint_row);
    return rows;
}

WhereRow where_row(const Condition& condition) {
    const auto* const found =
        std::ranges::find(label_operators,
                          condition.op,
                          &std::pair<std::string_view, ConditionOp>::second);
    if (found == label_operators.end()) {
        throw InternalError("gang: a condition that no label can have");
    }
    Strings values;
    for (const Scalar& value : condition.values) {
        values.push_back(std::get<std::string>(value));
    }
    return {condition.attribute, std::string(found->first), std::move(values)};
}

TolerationRow toleration_row(const Toleration& toleration) {
    TolerationRow row{toleration.key, toleration.value, std::nullopt};
    if (toleration.effect) {
        std::get<2>(row) = taint_effect_name(*toleration.effect);
    }
    return row;
}

PodSetRow podset_row(const PodSet& podset) {
    std::vector<SliceRow> slices;
    for (const Slice& slice : podset.slices) {
        slices.emplace_back(slice.level, slice.size);
    }
    std::vector<WhereRow> where;
    std::ranges::transform(podset.where, std::back_inserter(where), where_row);
    std::vector<TolerationRow> tolerations;
    std::ranges::transform(
        podset.tolerations, std::back_inserter(tolerations), toleration_row);
    return {podset.name,
            make_request(*podset.request),
            podset.count,
            podset.min_count,
            std::move(slices),
            constraint_rows(podset.require),
            constraint_rows(podset.prefer),
            std::move(where),
            std::move(tolerations)};
}

Strings levels_of(const std::vector<Within>& withins) {
    Strings levels;
    for (const Within& within : withins) {
        levels.push_back(within.level);
    }
    return levels;
}

// The arguments of the constructor.
py::tuple gang_fields(const Gang& gang) {
    std::vector<PodSetRow> podsets;
    std::ranges::transform(gang.podsets, std::back_inserter(podsets), podset_row);
    std::vector<GroupRow> groups;
    for (const Group& group : gang.groups) {
        groups.emplace_back(group.name,
                            group.members,
                            levels_of(group.require),
                            levels_of(group.prefer));
    }
    return py::make_tuple(gang.name, podsets, groups, gang.priority, gang.queue);
}

}  // namespace

TaintEffect taint_effect_from(const std::string& text) {
    if (text == "NoSchedule") {
        return TaintEffect::no_schedule;
    }
    if (text == "NoExecute") {
        return TaintEffect::no_execute;
    }
    throw InvalidRequestError("effect: '" + text + "', want NoSchedule or NoExecute");
}

std::string_view taint_effect_name(TaintEffect effect) {
    return effect == TaintEffect::no_schedule ? "NoSchedule" : "NoExecute";
}

void bind_gang(py::module_& m) {
    py::class_<Gang, std::shared_ptr<Gang>>(m, "Gang")
        .def(py::init(&make_gang),
             py::arg("name"),
             py::arg("podsets"),
             py::arg("groups"),
             py::arg("priority"),
             py::arg("queue"))
        .def("fields", &gang_fields);
    m.def("gang_reason_names", [] {
        std::vector<std::string> names;
        for (int reason = 0; reason <= static_cast<int>(GangReason::gang_conflict);
             ++reason) {
            names.emplace_back(gang_reason_name(static_cast<GangReason>(reason)));
        }
        return names;
    });
}

}  // namespace topoalloc::bindings
