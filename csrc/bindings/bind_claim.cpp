// SPDX-License-Identifier: Apache-2.0
//
// Claims on devices. The face's objects (topoalloc.kubernetes._objects) have the words
// of topoalloc/claim.hpp: they are read field by field, and what the core answers comes
// back as tuples.
#include "bindings.hpp"
#include "topoalloc/claim_explanation.hpp"
#include "topoalloc/device_inventory.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace topoalloc::bindings {
namespace {

// Billionths: most fit into 64 bits, and all into 128.
Nanos nanos_from(const py::handle& value) {
    int overflow = 0;
    const long long low = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow == 0) {
        if (low == -1 && PyErr_Occurred() != nullptr) {
            throw py::error_already_set();
        }
        return low;
    }
    constexpr int bits = 62;
    const auto whole = py::reinterpret_borrow<py::int_>(value);
    const auto high = (whole >> py::int_(bits)).cast<std::int64_t>();
    const auto rest = (whole & py::int_((1LL << bits) - 1)).cast<std::int64_t>();
    return (Nanos{high} << bits) + rest;
}

py::int_ object_of(Nanos value) {
    if (value >= std::numeric_limits<std::int64_t>::min() &&
        value <= std::numeric_limits<std::int64_t>::max()) {
        return {static_cast<std::int64_t>(value)};
    }
    constexpr int bits = 62;
    const py::int_ high(static_cast<std::int64_t>(value >> bits));
    const py::int_ rest(static_cast<std::int64_t>(value & ((Nanos{1} << bits) - 1)));
    return (high << py::int_(bits)) | rest;
}

std::string text(const py::handle& from, const char* field) {
    return from.attr(field).cast<std::string>();
}

bool flag(const py::handle& from, const char* field) {
    return from.attr(field).cast<bool>();
}

std::optional<std::string> optional_text(const py::handle& from, const char* field) {
    return from.attr(field).cast<std::optional<std::string>>();
}

std::optional<Nanos> optional_nanos(const py::handle& from, const char* field) {
    const py::object value = from.attr(field);
    return value.is_none() ? std::nullopt : std::optional(nanos_from(value));
}

// The place of an enum's member in a list of words: its value in C++.
template <class Enum, std::size_t size>
Enum member(const py::handle& value, const std::array<std::string_view, size>& words) {
    const auto own = value.attr("value").cast<std::string>();
    const auto word = std::ranges::find(words, own);
    if (word == words.end()) {
        throw py::value_error("no member: " + own);
    }
    return static_cast<Enum>(word - words.begin());
}

constexpr std::array<std::string_view, 4> kinds{"bool", "int", "string", "version"};
constexpr std::array<std::string_view, 3> effects{"None", "NoSchedule", "NoExecute"};
constexpr std::array<std::string_view, 4> targets{"none", "name", "all", "selector"};
constexpr std::array<std::string_view, 6> operators{
    "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};
constexpr std::array<std::string_view, 2> modes{"ExactCount", "All"};

template <class F>
auto each(const py::handle& items, F read) {
    std::vector<decltype(read(items))> out;
    for (const py::handle item : items) {
        out.push_back(read(item));
    }
    return out;
}

template <class F>
auto each_named(const py::handle& items, F read) {
    std::map<std::string, decltype(read(items))> out;
    for (const py::handle item : items.attr("items")()) {
        const auto pair = py::reinterpret_borrow<py::tuple>(item);
        out.emplace(pair[0].cast<std::string>(), read(pair[1]));
    }
    return out;
}

std::map<std::string, Nanos> amounts_from(const py::handle& items) {
    return each_named(items, nanos_from);
}

DeviceValues values_from(const py::handle& from) {
    DeviceValues out;
    out.kind = member<AttributeKind>(from.attr("kind"), kinds);
    out.is_list = flag(from, "is_list");
    for (const py::handle value : from.attr("values")) {
        switch (out.kind) {
            case AttributeKind::boolean:
                out.values.emplace_back(value.cast<bool>());
                break;
            case AttributeKind::integer:
                out.values.emplace_back(value.cast<std::int64_t>());
                break;
            case AttributeKind::text:
            case AttributeKind::version:
                out.values.emplace_back(value.cast<std::string>());
                break;
        }
    }
    return out;
}

DeviceCapacity capacity_from(const py::handle& from) {
    DeviceCapacity out;
    out.value = nanos_from(from.attr("value"));
    const py::object policy = from.attr("policy");
    if (!policy.is_none()) {
        out.policy = CapacityPolicy{optional_nanos(policy, "default"),
                                    optional_nanos(policy, "least"),
                                    optional_nanos(policy, "most"),
                                    optional_nanos(policy, "step"),
                                    each(policy.attr("valid_values"), nanos_from)};
    }
    return out;
}

NodeTarget target_from(const py::handle& from) {
    NodeTarget out;
    out.kind = member<NodeTarget::Kind>(from.attr("kind"), targets);
    out.name = text(from, "name");
    out.requirements = each(from.attr("requirements"), [](const py::handle& item) {
        return NodeRequirement{text(item, "key"),
                               flag(item, "is_field"),
                               member<NodeOperator>(item.attr("operator"), operators),
                               item.attr("values").cast<std::vector<std::string>>()};
    });
    return out;
}

SliceDevice device_from(const py::handle& from) {
    SliceDevice out;
    out.name = text(from, "name");
    out.attributes = each_named(from.attr("attributes"), values_from);
    out.capacities = each_named(from.attr("capacities"), capacity_from);
    out.is_shared = flag(from, "is_shared");
    out.draws = each(from.attr("draws"), [](const py::handle& draw) {
        return CounterDraw{
            text(draw, "counter_set"),
            amounts_from(draw.attr("counters")),
            draw.attr("compatibility_groups").cast<std::vector<std::string>>()};
    });
    out.taints = each(from.attr("taints"), [](const py::handle& taint) {
        return DeviceTaint{text(taint, "key"),
                           text(taint, "value"),
                           member<DeviceTaintEffect>(taint.attr("effect"), effects)};
    });
    out.has_binding_conditions = py::len(from.attr("binding_conditions")) != 0;
    out.binds_to_node = flag(from, "binds_to_node");
    out.target = target_from(from.attr("target"));
    return out;
}

DeviceSlice slice_from(const py::handle& from) {
    DeviceSlice out;
    out.name = text(from, "name");
    out.driver = text(from, "driver");
    out.pool = text(from, "pool");
    out.generation = from.attr("generation").cast<std::int64_t>();
    out.slice_count = from.attr("slice_count").cast<std::int64_t>();
    out.target = target_from(from.attr("target"));
    out.targets_by_device = flag(from, "targets_by_device");
    out.devices = each(from.attr("devices"), device_from);
    out.counter_sets = each_named(from.attr("counter_sets"), amounts_from);
    return out;
}

std::vector<TakenDevice> taken_from(const py::handle& from) {
    std::vector<TakenDevice> out;
    for (const py::handle item : from) {
        // The devices of adminAccess are nobody's.
        if (flag(item, "admin_access")) {
            continue;
        }
        const py::object id = item.attr("id");
        TakenDevice device{{text(id, "driver"), text(id, "pool"), text(id, "device")},
                           std::nullopt};
        if (const py::object consumed = item.attr("consumed"); !consumed.is_none()) {
            device.consumed = amounts_from(consumed);
        }
        out.push_back(std::move(device));
    }
    return out;
}

// `number_of`: a function that numbers a Selector within these claims.
ClaimDemand demand_from(const py::handle& from, const py::handle& number_of) {
    ClaimDemand out;
    out.name = text(from, "name");
    out.selectors = each(from.attr("selectors"), [&](const py::handle& selector) {
        return number_of(selector).cast<std::size_t>();
    });
    out.mode = member<AllocationMode>(from.attr("mode"), modes);
    out.count = from.attr("count").cast<std::int64_t>();
    out.admin_access = flag(from, "admin_access");
    out.tolerations = each(from.attr("tolerations"), [](const py::handle& item) {
        const py::object effect = item.attr("effect");
        return DeviceToleration{
            optional_text(item, "key"),
            optional_text(item, "value"),
            effect.is_none()
                ? std::nullopt
                : std::optional(member<DeviceTaintEffect>(effect, effects))};
    });
    out.capacity_requests = amounts_from(from.attr("capacity_requests"));
    return out;
}

ResourceClaimSpec claim_from(const py::handle& from, const py::handle& number_of) {
    ResourceClaimSpec out;
    out.name = text(from, "namespace") + "/" + text(from, "name");
    out.requests = each(from.attr("requests"), [&](const py::handle& item) {
        return ClaimRequest{text(item, "name"),
                            each(item.attr("demands"),
                                 [&](const py::handle& demand) {
                                     return demand_from(demand, number_of);
                                 }),
                            flag(item, "is_prioritized")};
    });
    out.constraints = each(from.attr("constraints"), [](const py::handle& item) {
        return ClaimConstraint{flag(item, "is_distinct"),
                               text(item, "attribute"),
                               item.attr("requests").cast<std::vector<std::string>>()};
    });
    return out;
}

std::shared_ptr<const PreparedClaims> prepare(const py::handle& claims,
                                              const py::handle& number_of,
                                              const py::handle& selectors) {
    auto out = std::make_shared<PreparedClaims>();
    out->claims = each(
        claims, [&](const py::handle& claim) { return claim_from(claim, number_of); });
    // Read last: the claims have numbered them.
    out->selectors = each(
        selectors, [](const py::handle& number) { return number.cast<std::size_t>(); });
    return out;
}

py::tuple place_object(const SlicePlace& place) {
    return py::make_tuple(place.slice, place.device);
}

py::object fault_object(const InventoryAnswer& answer) {
    if (!answer.answer.fault) {
        return py::none();
    }
    const ClaimFault& fault = *answer.answer.fault;
    constexpr std::array<const char*, 5> names{"too_many_devices",
                                               "capacity_twice",
                                               "all_on_broken_pool",
                                               "selector_failed",
                                               "invalid_pool"};
    const bool has_device = fault.kind == ClaimFault::Kind::capacity_twice ||
                            fault.kind == ClaimFault::Kind::selector_failed;
    return py::make_tuple(
        names.at(static_cast<std::size_t>(fault.kind)),
        fault.claim,
        fault.request,
        fault.demand,
        has_device ? py::object(place_object(place_of(*answer.view, fault.position)))
                   : py::none(),
        fault.driver,
        fault.pool,
        fault.detail);
}

// By claim, then request: (entry, ((slice, device, {capacity: consumed}), ...)).
py::tuple allocation_object(const InventoryAnswer& answer) {
    py::list claims;
    for (const auto& claim : answer.answer.allocation) {
        py::list requests;
        for (const ChosenRequest& request : claim) {
            py::list devices;
            for (const ChosenDevice& device : request.devices) {
                py::dict consumed;
                for (const auto& [name, amount] : device.consumed) {
                    consumed[py::str(name)] = object_of(amount);
                }
                const SlicePlace place = place_of(*answer.view, device.position);
                devices.append(py::make_tuple(place.slice, place.device, consumed));
            }
            requests.append(py::make_tuple(request.demand, py::tuple(devices)));
        }
        claims.append(py::tuple(requests));
    }
    return {claims};
}

py::object cost_object(const ClaimAnswer& answer) {
    if (!answer.cost) {
        return py::none();
    }
    const ClaimCost& cost = *answer.cost;
    return py::make_tuple(py::tuple(py::cast(cost.entries)),
                          cost.localities,
                          cost.levels,
                          cost.opened_localities,
                          cost.opened_roots,
                          cost.broken,
                          cost.shares);
}

/// An answer that can be explained, with what was asked.
struct AnswerObject {
    InventoryAnswer answer;
    std::shared_ptr<PreparedClaims> claims;
};

py::tuple item_row(const ClaimItem& item) {
    constexpr std::array<const char*, 4> names{
        "holder", "taints", "constraint", "request"};
    return py::make_tuple(names.at(static_cast<std::size_t>(item.kind)),
                          item.claim,
                          item.index,
                          item.holder);
}

// (conflict, counts, relaxations, is_complete, steps)
py::tuple explain_rows(const AnswerObject& self, const py::object& max_steps) {
    const SearchLimits limits = limits_from(max_steps.ptr());
    ClaimExplanation found;
    {
        const py::gil_scoped_release release;
        found = explain(self.answer, *self.claims, limits);
    }
    py::list conflict;
    for (const ClaimItem& item : found.conflict) {
        conflict.append(item_row(item));
    }
    py::list counts;
    for (const DemandCounts& of : found.counts) {
        counts.append(py::make_tuple(of.claim,
                                     of.request,
                                     of.demand,
                                     of.wanted,
                                     of.devices,
                                     of.match,
                                     of.suit,
                                     of.free,
                                     of.tolerated,
                                     of.open));
    }
    py::list relaxations;
    for (const ClaimRelaxation& change : found.relaxations) {
        const bool is_count = change.kind == ClaimRelaxation::Kind::count;
        relaxations.append(
            py::make_tuple(item_row(change.item),
                           is_count ? py::object(py::int_(change.count)) : py::none()));
    }
    return py::make_tuple(
        conflict, counts, relaxations, found.is_complete, found.steps);
}

py::tuple gap_rows(const std::vector<SelectorGap>& gaps) {
    py::list rows;
    for (const SelectorGap& gap : gaps) {
        rows.append(py::make_tuple(gap.selector, gap.place.slice, gap.place.device));
    }
    return {rows};
}

// (gaps, status, steps, allocation, cost, fault); ask() adds the answer itself.
py::tuple answer_object(const InventoryAnswer& answer) {
    return py::make_tuple(gap_rows(answer.gaps),
                          status_object(answer.answer.status),
                          answer.answer.steps,
                          allocation_object(answer),
                          cost_object(answer.answer),
                          fault_object(answer));
}

SelectorOutcome outcome_from(const std::optional<bool>& outcome) {
    if (!outcome) {
        return SelectorOutcome::error;
    }
    return *outcome ? SelectorOutcome::yes : SelectorOutcome::no;
}

ClaimSemantics semantics_from(const py::dict& features) {
    ClaimSemantics out;
    const auto read = [&](const char* name) { return features[name].cast<bool>(); };
    out.taints = read("taints");
    out.counters = read("counters");
    out.consumable_capacity = read("consumable_capacity");
    out.binding_conditions = read("binding_conditions");
    out.lists = read("lists");
    out.compatibility_groups = read("compatibility_groups");
    out.skips_invalid_pools = read("skips_invalid_pools");
    return out;
}

py::tuple ask(const DeviceInventory& inventory,
              const std::string& node,
              const std::shared_ptr<PreparedClaims>& claims,
              bool optimal,
              const py::object& max_steps) {
    const SearchLimits limits =
        limits_from(max_steps.is_none() ? nullptr : max_steps.ptr());
    const ClaimChoice choice = optimal ? ClaimChoice::optimal : ClaimChoice::first_fit;
    InventoryAnswer answer;
    {
        const py::gil_scoped_release release;
        answer = inventory.ask(node, *claims, choice, limits);
    }
    const py::tuple rows = answer_object(answer);
    return rows + py::make_tuple(AnswerObject{std::move(answer), claims});
}

/// Answers of many nodes, that can be taken one by one.
struct SweepObject {
    SweepAnswer answer;
    std::shared_ptr<PreparedClaims> claims;
};

// (gaps, sweep)
py::tuple ask_nodes(const DeviceInventory& inventory,
                    const std::vector<std::string>& nodes,
                    const std::shared_ptr<PreparedClaims>& claims,
                    bool optimal,
                    const py::object& max_steps) {
    const SearchLimits limits =
        limits_from(max_steps.is_none() ? nullptr : max_steps.ptr());
    const ClaimChoice choice = optimal ? ClaimChoice::optimal : ClaimChoice::first_fit;
    SweepAnswer answer;
    {
        const py::gil_scoped_release release;
        answer = inventory.ask_nodes(nodes, *claims, choice, limits);
    }
    const py::tuple gaps = gap_rows(answer.gaps);
    return py::make_tuple(gaps, SweepObject{std::move(answer), claims});
}

// By node; None for an error.
py::list sweep_statuses(const SweepObject& self) {
    std::vector<py::object> of;
    for (const InventoryAnswer& each : self.answer.answers) {
        of.push_back(each.answer.fault ? py::none()
                                       : py::object(status_object(each.answer.status)));
    }
    py::list out(self.answer.answer_of.size());
    for (std::size_t i = 0; i < self.answer.answer_of.size(); ++i) {
        out[i] = of[self.answer.answer_of[i]];
    }
    return out;
}

// What ask() gives for the node.
py::tuple sweep_row(const SweepObject& self, std::size_t node) {
    if (node >= self.answer.answer_of.size()) {
        throw py::index_error("node: out of range");
    }
    InventoryAnswer answer = self.answer.at(node);
    const py::tuple rows = answer_object(answer);
    return rows + py::make_tuple(AnswerObject{std::move(answer), self.claims});
}

void bind_inventory(py::module_& m) {
    py::class_<DeviceInventory>(m, "DeviceInventory")
        .def(py::init([](const py::dict& features) {
                 return std::make_unique<DeviceInventory>(semantics_from(features));
             }),
             py::arg("features"))
        .def("set_slice",
             [](DeviceInventory& self, const py::object& slice) {
                 self.set_slice(slice_from(slice));
             })
        .def("remove_slice", &DeviceInventory::remove_slice)
        .def("set_node",
             [](DeviceInventory& self,
                std::string name,
                std::map<std::string, std::string> labels) {
                 self.set_node({std::move(name), std::move(labels)});
             })
        .def("remove_node", &DeviceInventory::remove_node)
        .def("set_taken",
             [](DeviceInventory& self,
                const std::string& claim,
                const py::object& devices) {
                 self.set_taken(claim, taken_from(devices));
             })
        .def("set_outcome",
             [](DeviceInventory& self,
                std::size_t selector,
                std::string slice,
                std::size_t device,
                std::optional<bool> outcome) {
                 self.set_outcome({selector, {std::move(slice), device}},
                                  outcome_from(outcome));
             })
        .def("forget_outcomes", &DeviceInventory::forget_outcomes)
        .def("node_names", &DeviceInventory::node_names)
        .def("ask_nodes",
             &ask_nodes,
             py::arg("nodes"),
             py::arg("claims"),
             py::arg("optimal"),
             py::arg("max_steps"))
        .def("ask",
             &ask,
             py::arg("node"),
             py::arg("claims"),
             py::arg("optimal"),
             py::arg("max_steps"));
}

}  // namespace

void bind_claim(py::module_& m) {
    py::class_<PreparedClaims, std::shared_ptr<PreparedClaims>>(m, "PreparedClaims")
        .def(py::init([](const py::object& claims,
                         const py::object& number_of,
                         const py::object& selectors) {
                 return std::const_pointer_cast<PreparedClaims>(
                     prepare(claims, number_of, selectors));
             }),
             py::arg("claims"),
             py::arg("number_of"),
             py::arg("selectors"));
    py::class_<AnswerObject>(m, "ClaimAnswer")
        .def("explain_rows", &explain_rows, py::arg("max_steps"));
    py::class_<SweepObject>(m, "ClaimSweep")
        .def("statuses", &sweep_statuses)
        .def("row", &sweep_row, py::arg("node"));
    bind_inventory(m);
}

}  // namespace topoalloc::bindings
