// SPDX-License-Identifier: Apache-2.0
//
// Verdict and Placement: made by the core at every hot call, read seldom. The face
// derives the types that users see and registers them here.
#include "box.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/critical_section.h>
#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

namespace topoalloc::bindings {
namespace {

PyObject* refuse_new(PyTypeObject* type, PyObject* /*args*/, PyObject* /*kwargs*/) {
    PyErr_Format(PyExc_TypeError,
                 "%s: made by an Allocator, want no constructor call",
                 type->tp_name);
    return nullptr;
}

struct VerdictContent {
    Verdict verdict;
    MachineRef machine;
    Operation operation = Operation::check;
    py::object explanation{};  ///< of the first read; null before
    /// That it is one of; null: of none.
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    std::shared_ptr<const BatchAnswers> batch{};
    std::size_t index = 0;  ///< in the batch
};

/// Types that new objects get, and the members of Status. Set once, at import.
struct FaceTypes {
    PyTypeObject* placement_base = nullptr;
    PyTypeObject* verdict_base = nullptr;
    PyTypeObject* placement = nullptr;
    PyTypeObject* verdict = nullptr;
    std::array<PyObject*, 4> status{};
};

FaceTypes& face_types() {
    static FaceTypes types;
    return types;
}

const Device& device_of(const PlacementContent& content, std::uint32_t device) {
    return content.machine.core->devices().at(device);
}

// Placement: each reads one thing, in OS indices and names.

py::object placement_status_of(const PlacementContent& content) {
    return status_object(content.status);
}

std::string cpuset_of(const PlacementContent& content) {
    return content.machine.core->pus_to_os(content.placement.pus).to_list();
}

py::tuple pus_of(const PlacementContent& content) {
    return py::cast(content.machine.core->pus_to_os(content.placement.pus).to_vector());
}

// (NUMANode os_index, page size in bytes or 0 for base pages, bytes)
py::tuple memory_rows_of(const PlacementContent& content) {
    const auto& grants = content.placement.memory;
    py::tuple rows(grants.size());
    for (std::size_t i = 0; i < grants.size(); ++i) {
        rows[i] = py::make_tuple(
            content.machine.core->numa_nodes().at(grants[i].numa_node).os_index,
            content.machine.core->page_sizes().at(grants[i].page_size_index),
            grants[i].bytes);
    }
    return rows;
}

py::tuple devices_of(const PlacementContent& content) {
    const auto& grants = content.placement.devices;
    py::tuple names(grants.size());
    for (std::size_t i = 0; i < grants.size(); ++i) {
        names[i] = device_of(content, grants[i].device).name;
    }
    return names;
}

py::dict shares_of(const PlacementContent& content) {
    py::dict shares;
    for (const DeviceGrant& grant : content.placement.devices) {
        if (!grant.share.empty()) {
            shares[py::str(device_of(content, grant.device).name)] = grant.share;
        }
    }
    return shares;
}

// (index of the Pair in require then prefer, ((a, b), ...))
py::tuple pair_rows_of(const PlacementContent& content) {
    const auto& made = content.placement.pairs;
    py::tuple rows(made.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        py::tuple pairs(made[i].pairs.size());
        for (std::size_t j = 0; j < made[i].pairs.size(); ++j) {
            pairs[j] = py::make_tuple(device_of(content, made[i].pairs[j].first).name,
                                      device_of(content, made[i].pairs[j].second).name);
        }
        rows[i] = py::make_tuple(made[i].constraint, pairs);
    }
    return rows;
}

py::tuple localities_of(const PlacementContent& content) {
    return py::cast(content.placement.localities.to_vector());
}

py::tuple placement_cost_of(const PlacementContent& content) {
    return cost_terms(content.placement.cost);
}

py::object owner_of(const PlacementContent& content) {
    return content.owner.empty() ? py::object(py::none()) : py::str(content.owner);
}

py::object placement_machine_of(const PlacementContent& content) {
    return content.machine.object;
}

PyObject* compare_placements(PyObject* self, PyObject* other, int operation) {
    const PlacementContent* theirs = placement_from(other);
    if ((operation != Py_EQ && operation != Py_NE) || theirs == nullptr) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    const auto& ours = unbox<PlacementContent>(self);
    const bool equal = ours.machine.core == theirs->machine.core &&
                       ours.placement == theirs->placement;
    return PyBool_FromLong(static_cast<long>(equal == (operation == Py_EQ)));
}

Py_hash_t hash_placement(PyObject* self) {
    const Placement& placement = unbox<PlacementContent>(self).placement;
    std::size_t seed = 0;
    const auto mix = [&seed](std::size_t value) { seed = seed * 1000003U ^ value; };
    placement.pus.for_each(mix);
    for (const DeviceGrant& grant : placement.devices) {
        mix(grant.device);
    }
    for (const MemoryGrant& grant : placement.memory) {
        mix(grant.bytes);
    }
    const auto hash = static_cast<Py_hash_t>(seed);
    return hash == -1 ? -2 : hash;  // -1 says "error" to Python
}

// Verdict

py::object status_of(const VerdictContent& content) {
    return status_object(content.verdict.answer.status);
}

py::str reason_of(const VerdictContent& content) {
    return {std::string(reason_name(content.verdict.answer.reason))};
}

std::uint64_t steps_of(const VerdictContent& content) {
    return content.verdict.answer.steps;
}

bool is_placed(const Verdict& verdict) {
    return verdict.answer.status == Status::optimal ||
           verdict.answer.status == Status::feasible;
}

py::object placement_of(const VerdictContent& content) {
    if (!is_placed(content.verdict)) {
        return py::none();
    }
    const Verdict& verdict = content.verdict;
    return make_placement({verdict.answer.placement,
                           content.machine,
                           verdict.owner,
                           verdict.answer.status});
}

py::object verdict_cost_of(const VerdictContent& content) {
    if (!is_placed(content.verdict)) {
        return py::none();
    }
    return cost_terms(content.verdict.answer.placement.cost);
}

py::object verdict_owner_of(const VerdictContent& content) {
    const std::string& owner = content.verdict.owner;
    return owner.empty() ? py::object(py::none()) : py::str(owner);
}

py::object verdict_machine_of(const VerdictContent& content) {
    return content.machine.object;
}

std::uint64_t max_steps_of(const VerdictContent& content) {
    return content.verdict.limits.max_steps;
}

py::tuple policy_of(const VerdictContent& content) {
    return policy_row(content.verdict.policy);
}

py::str operation_of(const VerdictContent& content) {
    switch (content.operation) {
        case Operation::check:
            return "check";
        case Operation::allocate:
            return "allocate";
        case Operation::resize:
            return "resize";
    }
    throw InternalError("verdict: an operation without a name");
}

// Of a resize: what the owner held, which is not in the state that was asked.
py::object kept_of(const VerdictContent& content) {
    const Verdict& verdict = content.verdict;
    if (verdict.keep_from == nullptr) {
        return py::none();
    }
    return make_placement({*verdict.keep_from, content.machine, verdict.owner});
}

py::object request_of_verdict(const VerdictContent& content) {
    return make_request(request_of(*content.verdict.request));
}

// With the state that was asked; those of a batch make it of the batch.
Verdict asked_verdict(const VerdictContent& content) {
    Verdict verdict = content.batch == nullptr ? content.verdict
                                               : asked(*content.batch, content.index);
    if (verdict.holdings == nullptr || verdict.state == nullptr) {
        throw InternalError("verdict: without its state, want one; please report");
    }
    return verdict;
}

py::dict state_of_verdict(const VerdictContent& content) {
    const Verdict verdict = asked_verdict(content);
    return state_rows(*verdict.state, *verdict.holdings, content.machine);
}

PyObject* explain_verdict(PyObject* self, PyObject* max_steps) {
    return guarded([&] {
        const auto& content = unbox<VerdictContent>(self);
        const SearchLimits limits = limits_from(max_steps);
        if (content.batch != nullptr && !content.batch->is_new[content.index]) {
            throw StateError("verdict: '" + content.verdict.owner +
                             "' held this before, want the Verdict that took it");
        }
        const Verdict verdict = asked_verdict(content);
        return explanation_rows(verdict, *verdict.holdings, content.machine, limits)
            .release()
            .ptr();
    });
}

PyObject* kept_explanation(PyObject* self, void* /*closure*/) {
    return guarded([self] {
        const py::scoped_critical_section lock{py::handle(self)};
        const py::object& kept = unbox<VerdictContent>(self).explanation;
        return (kept ? py::object(kept) : py::object(py::none())).release().ptr();
    });
}

// Keeps the first of those that threads may bring at once, and returns it.
PyObject* keep_explanation(PyObject* self, PyObject* explanation) {
    return guarded([&] {
        const py::scoped_critical_section lock{py::handle(self)};
        py::object& kept = unbox<VerdictContent>(self).explanation;
        if (!kept) {
            kept = py::reinterpret_borrow<py::object>(explanation);
        }
        return py::object(kept).release().ptr();
    });
}

void set_undecided(PyObject* verdict) {
    const auto& content = unbox<VerdictContent>(verdict);
    const py::object type = error_class("UndecidedError");
    const py::object error =
        type("verdict: UNKNOWN after " + steps_text(steps_of(content)) +
                 ", want a larger max_steps",
             py::reinterpret_borrow<py::object>(verdict));
    PyErr_SetObject(type.ptr(), error.ptr());
}

int verdict_bool(PyObject* self) {
    switch (unbox<VerdictContent>(self).verdict.answer.status) {
        case Status::optimal:
        case Status::feasible:
            return 1;
        case Status::infeasible:
            return 0;
        case Status::unknown:
            break;
    }
    guarded([self]() -> PyObject* {
        set_undecided(self);
        return nullptr;
    });
    return -1;
}

std::array placement_properties = {
    property<PlacementContent, &placement_status_of>("status"),
    property<PlacementContent, &cpuset_of>("cpuset"),
    property<PlacementContent, &pus_of>("pus"),
    property<PlacementContent, &devices_of>("devices"),
    property<PlacementContent, &shares_of>("shares"),
    property<PlacementContent, &owner_of>("owner"),
    property<PlacementContent, &placement_machine_of>("machine"),
    property<PlacementContent, &memory_rows_of>("_memory_rows"),
    property<PlacementContent, &pair_rows_of>("_pair_rows"),
    property<PlacementContent, &localities_of>("_localities"),
    property<PlacementContent, &placement_cost_of>("_cost_terms"),
    PyGetSetDef{},
};

std::array verdict_properties = {
    property<VerdictContent, &status_of>("status"),
    property<VerdictContent, &reason_of>("reason"),
    property<VerdictContent, &steps_of>("steps"),
    property<VerdictContent, &placement_of>("placement"),
    property<VerdictContent, &verdict_owner_of>("owner"),
    property<VerdictContent, &verdict_machine_of>("machine"),
    property<VerdictContent, &max_steps_of>("max_steps"),
    property<VerdictContent, &verdict_cost_of>("_cost_terms"),
    property<VerdictContent, &policy_of>("_policy"),
    property<VerdictContent, &operation_of>("_operation"),
    property<VerdictContent, &kept_of>("_kept"),
    property<VerdictContent, &request_of_verdict>("_request"),
    property<VerdictContent, &state_of_verdict>("_state"),
    PyGetSetDef{"_explanation", &kept_explanation, nullptr, nullptr, nullptr},
    PyGetSetDef{},
};

std::array verdict_methods = {
    PyMethodDef{"_explain", &explain_verdict, METH_O, nullptr},
    PyMethodDef{"_keep_explanation", &keep_explanation, METH_O, nullptr},
    PyMethodDef{},
};

// By Reason: what its code says, for the one line of an error.
constexpr std::array<std::string_view,
                     static_cast<std::size_t>(Reason::requirements_conflict) + 1>
    reason_words = {
        "there is a Placement",
        "the search ended before its proof",
        "fewer whole cores are free than asked for",
        "fewer PUs are free than asked for",
        "fewer bytes of that kind of memory are free than asked for",
        "fewer bytes in pages of one size are free than asked for",
        "fewer devices of one class are to be had than asked for",
        "every amount is there, and the Align cannot hold",
        "every amount is there, and the Pair cannot hold",
        "every amount is there, and the Link cannot hold",
        "every amount is there, and the Same cannot hold",
        "every amount is there, and the Distinct cannot hold",
        "every amount is there, and the Near cannot hold",
        "each thing asked for is there, and not all of them together",
};

std::string not_placed_message(const std::string& who,
                               Status status,
                               Reason reason,
                               std::uint64_t steps) {
    const bool is_proof = status == Status::infeasible;
    return who + ": " + (is_proof ? "INFEASIBLE" : "UNKNOWN") + ", " +
           std::string(reason_name(reason)) + ": " +
           std::string(reason_words.at(static_cast<std::size_t>(reason))) +
           (is_proof ? "; verdict.explanation says more ("
                     : ", want a larger max_steps (") +
           steps_text(steps) + ")";
}

// Of a batch, whose reason comes by name.
std::string batch_message(const std::string& who,
                          const py::handle& status,
                          const std::string& reason,
                          std::uint64_t steps) {
    std::size_t index = 0;
    while (index + 1 < reason_words.size() &&
           reason_name(static_cast<Reason>(index)) != reason) {
        ++index;
    }
    return not_placed_message(
        who, status_from(status), static_cast<Reason>(index), steps);
}

PyTypeObject* add_placement(py::module_& m) {
    std::array slots = {
        PyType_Slot{Py_tp_new, slot(&refuse_new)},
        PyType_Slot{Py_tp_dealloc, slot(&destroy<PlacementContent>)},
        PyType_Slot{Py_tp_richcompare, slot(&compare_placements)},
        PyType_Slot{Py_tp_hash, slot(&hash_placement)},
        PyType_Slot{Py_tp_getset, placement_properties.data()},
        PyType_Slot{0, nullptr},
    };
    PyType_Spec spec{"topoalloc._core.Placement",
                     static_cast<int>(sizeof(Box<PlacementContent>)),
                     0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                     slots.data()};
    return add_type(m, spec, "Placement");
}

PyTypeObject* add_verdict(py::module_& m) {
    std::array slots = {
        PyType_Slot{Py_tp_new, slot(&refuse_new)},
        PyType_Slot{Py_tp_dealloc, slot(&destroy<VerdictContent>)},
        PyType_Slot{Py_nb_bool, slot(&verdict_bool)},
        PyType_Slot{Py_tp_getset, verdict_properties.data()},
        PyType_Slot{Py_tp_methods, verdict_methods.data()},
        PyType_Slot{0, nullptr},
    };
    PyType_Spec spec{"topoalloc._core.Verdict",
                     static_cast<int>(sizeof(Box<VerdictContent>)),
                     0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                     slots.data()};
    return add_type(m, spec, "Verdict");
}

void register_face(const py::type& verdict, const py::type& placement) {
    FaceTypes& types = face_types();
    types.verdict = checked_face(verdict, types.verdict_base);
    types.placement = checked_face(placement, types.placement_base);
}

void bind_status(py::module_& m) {
    constexpr std::array names = {"OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN"};
    py::native_enum<Status> status(m, "Status", "enum.Enum");
    for (std::size_t i = 0; i < names.size(); ++i) {
        status.value(names[i], static_cast<Status>(i));
    }
    status.finalize();
    for (std::size_t i = 0; i < names.size(); ++i) {
        face_types().status[i] =
            py::object(m.attr("Status").attr(names[i])).release().ptr();
    }
}

}  // namespace

PyTypeObject* add_type(py::module_& m, PyType_Spec& spec, const char* name) {
    auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
    if (!type) {
        throw py::error_already_set();
    }
    m.attr(name) = type;
    return reinterpret_cast<PyTypeObject*>(type.release().ptr());
}

PyTypeObject* checked_face(const py::type& type, PyTypeObject* base) {
    auto* derived = reinterpret_cast<PyTypeObject*>(type.ptr());
    if (PyType_IsSubtype(derived, base) == 0 ||
        derived->tp_basicsize != base->tp_basicsize) {
        throw py::type_error(std::string(derived->tp_name) +
                             ": not a slotless subclass of " + base->tp_name +
                             ", want one");
    }
    Py_INCREF(derived);
    return derived;
}

py::object status_object(Status status) {
    return py::reinterpret_borrow<py::object>(
        face_types().status.at(static_cast<std::size_t>(status)));
}

Status status_from(const py::handle& member) {
    const auto& members = face_types().status;
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (member.ptr() == members[i]) {
            return static_cast<Status>(i);
        }
    }
    throw py::type_error("status: " + py::repr(member).cast<std::string>() +
                         ", want a member of Status");
}

py::tuple cost_terms(const Cost& cost) {
    return py::cast(cost.terms);
}

py::object make_placement(PlacementContent&& content) {
    return py::reinterpret_steal<py::object>(
        box<PlacementContent>(face_types().placement, std::move(content)));
}

py::object make_verdict(Verdict&& verdict,
                        const MachineRef& machine,
                        Operation operation) {
    return py::reinterpret_steal<py::object>(box<VerdictContent>(
        face_types().verdict, std::move(verdict), machine, operation));
}

py::object make_verdict(const std::shared_ptr<const BatchAnswers>& batch,
                        std::size_t index,
                        const MachineRef& machine) {
    return py::reinterpret_steal<py::object>(box<VerdictContent>(face_types().verdict,
                                                                 batch->verdicts[index],
                                                                 machine,
                                                                 Operation::allocate,
                                                                 py::object(),
                                                                 batch,
                                                                 index));
}

const PlacementContent* placement_from(PyObject* object) {
    if (PyObject_TypeCheck(object, face_types().placement_base) == 0) {
        return nullptr;
    }
    return &unbox<PlacementContent>(object);
}

void throw_not_placed(Verdict&& verdict,
                      const MachineRef& machine,
                      Operation operation) {
    const bool is_proof = verdict.answer.status == Status::infeasible;
    const std::string message = not_placed_message(verdict.owner,
                                                   verdict.answer.status,
                                                   verdict.answer.reason,
                                                   verdict.answer.steps);
    const py::object type =
        error_class(is_proof ? "InfeasibleError" : "UndecidedError");
    const py::object error =
        type(message, make_verdict(std::move(verdict), machine, operation));
    PyErr_SetObject(type.ptr(), error.ptr());
    throw py::error_already_set();
}

py::dict state_rows(const NodeState& state,
                    const std::map<std::string, Holding>& holdings,
                    const MachineRef& machine) {
    const Machine& core = *machine.core;
    py::list cordoned_devices;
    state.cordoned_devices().for_each([&](std::size_t device) {
        cordoned_devices.append(core.devices()[device].name);
    });
    py::list owners;
    for (const auto& [owner, holding] : holdings) {
        py::object request = py::none();
        if (holding.request) {
            request = make_request(*holding.request);
        }
        owners.append(py::make_tuple(
            owner,
            request,
            status_object(holding.status),
            make_placement({holding.placement, machine, owner, holding.status})));
    }
    py::dict rows;
    rows["reserved_pus"] = core.pus_to_os(state.reserved_pus()).to_list();
    rows["cordoned_pus"] = core.pus_to_os(state.cordoned_pus()).to_list();
    rows["cordoned_devices"] = cordoned_devices;
    rows["owners"] = owners;
    return rows;
}

void bind_verdict(py::module_& m) {
    bind_status(m);
    FaceTypes& types = face_types();
    types.placement = types.placement_base = add_placement(m);
    types.verdict = types.verdict_base = add_verdict(m);
    m.def("register_face", &register_face, py::arg("verdict"), py::arg("placement"));
    m.def("not_placed_message",
          &batch_message,
          py::arg("who"),
          py::arg("status"),
          py::arg("reason"),
          py::arg("steps"));
    m.def("cost_term_names", [] {
        std::vector<std::string> names;
        for (int term = 0; term < Cost::term_count; ++term) {
            names.emplace_back(term_name(static_cast<Cost::Term>(term)));
        }
        return names;
    });
    m.def("reason_names", [] {
        std::vector<std::string> names;
        for (int reason = 0; reason <= static_cast<int>(Reason::requirements_conflict);
             ++reason) {
            names.emplace_back(reason_name(static_cast<Reason>(reason)));
        }
        return names;
    });
}

}  // namespace topoalloc::bindings
