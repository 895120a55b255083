// SPDX-License-Identifier: Apache-2.0
//
// Request: as the face hands it over, one tuple of plain values (topoalloc._request
// says which), turned into the core's struct and back. The struct never changes after
// that.
#include "request_parts.hpp"

#include "topoalloc/errors.hpp"

#include <pybind11/critical_section.h>
#include <pybind11/stl.h>
#include <structmember.h>

#include <cstddef>
#include <functional>
#include <tuple>
#include <variant>

namespace topoalloc::bindings {
namespace {

template <class Enum>
struct Word {
    const char* name;
    Enum value;
};

constexpr std::array memory_kinds = {Word{"dram", MemoryKind::dram},
                                     Word{"hbm", MemoryKind::hbm},
                                     Word{"gpu", MemoryKind::gpu},
                                     Word{"cxl", MemoryKind::cxl},
                                     Word{"nvm", MemoryKind::nvm}};
constexpr std::array condition_ops = {Word{"equal", ConditionOp::equal},
                                      Word{"not_equal", ConditionOp::not_equal},
                                      Word{"at_least", ConditionOp::at_least},
                                      Word{"at_most", ConditionOp::at_most},
                                      Word{"one_of", ConditionOp::one_of}};
constexpr std::array align_levels = {Word{"l3", AlignLevel::l3},
                                     Word{"numa", AlignLevel::numa},
                                     Word{"package", AlignLevel::package}};
constexpr std::array link_modes = {Word{"clique", LinkMode::clique},
                                   Word{"connected", LinkMode::connected}};

template <class Enum, std::size_t n>
Enum value_of(const std::array<Word<Enum>, n>& words,
              const char* name,
              const std::string& text) {
    for (const Word<Enum>& word : words) {
        if (text == word.name) {
            return word.value;
        }
    }
    std::string want;
    for (const Word<Enum>& word : words) {
        want += want.empty() ? "" : ", ";
        want += word.name;
    }
    throw InvalidRequestError(std::string(name) + ": '" + text + "', want one of " +
                              want);
}

template <class Enum, std::size_t n>
const char* name_of(const std::array<Word<Enum>, n>& words, Enum value) {
    for (const Word<Enum>& word : words) {
        if (value == word.value) {
            return word.name;
        }
    }
    throw InternalError("request: an enumerator without a name");
}

Level level_of(const std::string& text) {
    if (const std::optional<Level> level = parse_level(text)) {
        return *level;
    }
    throw InvalidRequestError(
        "within: '" + text +
        "', want one of self, switch, bridges, root, numa, package, "
        "machine, PIX, PXB, PHB, NODE, SYS");
}

// A bool is an int to Python, not to a Request: the bool is asked for first.
Scalar scalar_from(const py::handle& value) {
    if (py::isinstance<py::bool_>(value)) {
        return value.cast<bool>();
    }
    if (py::isinstance<py::int_>(value)) {
        return value.cast<std::int64_t>();
    }
    return value.cast<std::string>();
}

Condition condition_from(const py::tuple& row) {
    Condition condition;
    condition.attribute = text_from(py::object(row[0]).ptr());
    condition.op = value_of(condition_ops, "op", text_from(py::object(row[1]).ptr()));
    for (const py::handle& value : row[2].cast<py::tuple>()) {
        condition.values.push_back(scalar_from(value));
    }
    return condition;
}

py::tuple condition_row(const Condition& condition) {
    return py::make_tuple(condition.attribute,
                          name_of(condition_ops, condition.op),
                          py::tuple(py::cast(condition.values)));
}

py::tuple device_row(const DeviceRequest& wanted) {
    py::tuple where(wanted.where.size());
    for (std::size_t i = 0; i < wanted.where.size(); ++i) {
        where[i] = condition_row(wanted.where[i]);
    }
    return py::make_tuple(wanted.device_class,
                          wanted.count,
                          where,
                          wanted.share,
                          wanted.partition,
                          wanted.eligible);
}

Amounts amounts_from(PyObject* object) {
    if (PyDict_Check(object) != 0) {
        return py::handle(object).cast<Amounts>();
    }
    Amounts amounts;
    for (const py::handle& item : py::reinterpret_borrow<py::tuple>(object)) {
        const auto pair = item.cast<py::tuple>();
        amounts.emplace(text_from(PyTuple_GET_ITEM(pair.ptr(), 0)),
                        number_from(PyTuple_GET_ITEM(pair.ptr(), 1)));
    }
    return amounts;
}

struct ConstraintRow {
    py::tuple operator()(const Align& c) const {
        return py::make_tuple("Align", name_of(align_levels, c.level), c.of);
    }
    py::tuple operator()(const Pair& c) const {
        return py::make_tuple(
            "Pair", c.a, c.b, level_name(c.within), c.ratio_a, c.ratio_b);
    }
    py::tuple operator()(const Link& c) const {
        return py::make_tuple(
            "Link", c.device_class, name_of(link_modes, c.mode), c.min_mb_s);
    }
    py::tuple operator()(const Same& c) const {
        return py::make_tuple("Same", c.attribute, c.of);
    }
    py::tuple operator()(const Distinct& c) const {
        return py::make_tuple("Distinct", c.attribute, c.of);
    }
    py::tuple operator()(const Near& c) const {
        return py::make_tuple("Near", c.devices, level_name(c.within));
    }
};

py::tuple constraint_rows(const std::vector<Constraint>& constraints) {
    py::tuple rows(constraints.size());
    for (std::size_t i = 0; i < constraints.size(); ++i) {
        rows[i] = std::visit(ConstraintRow{}, constraints[i]);
    }
    return rows;
}

py::tuple fields_of(const Request& request) {
    py::tuple devices(request.devices.size());
    for (std::size_t i = 0; i < request.devices.size(); ++i) {
        devices[i] = device_row(request.devices[i]);
    }
    return py::make_tuple(request.cores,
                          request.pus,
                          request.whole_cores,
                          request.memory,
                          name_of(memory_kinds, request.kind),
                          request.hugepages,
                          devices,
                          request.exclude,
                          request.keep,
                          constraint_rows(request.require),
                          constraint_rows(request.prefer));
}

// Equal Requests hash alike. What tells most Requests apart goes in; the rest is left
// to ==.
std::size_t hash_of(const Request& request) {
    std::size_t seed = 0;
    const auto mix = [&seed](std::size_t value) {
        constexpr std::size_t golden_ratio = 0x9e3779b97f4a7c15U;  // 2^64 / phi
        seed ^= value + golden_ratio + (seed << 6U) + (seed >> 2U);
    };
    mix(request.cores);
    mix(request.pus);
    mix(request.memory);
    for (const auto& [size, bytes] : request.hugepages) {
        mix(size);
        mix(bytes);
    }
    for (const DeviceRequest& wanted : request.devices) {
        mix(std::hash<std::string>{}(wanted.device_class));
        mix(wanted.count);
        mix(std::hash<std::string>{}(wanted.partition));
        for (const auto& [name, amount] : wanted.share) {
            mix(std::hash<std::string>{}(name));
            mix(amount);
        }
    }
    for (const auto* constraints : {&request.require, &request.prefer}) {
        mix(constraints->size());
        for (const Constraint& constraint : *constraints) {
            mix(constraint.index());
        }
    }
    return seed;
}

}  // namespace

std::string text_from(PyObject* object) {
    Py_ssize_t size = 0;
    const char* text =
        PyUnicode_Check(object) == 0 ? nullptr : PyUnicode_AsUTF8AndSize(object, &size);
    if (text == nullptr) {
        PyErr_Clear();
        throw py::type_error("request: a part of another type, want a str");
    }
    return {text, static_cast<std::size_t>(size)};
}

std::uint64_t number_from(PyObject* object, std::uint64_t most) {
    const bool is_number = PyLong_Check(object) != 0 && PyBool_Check(object) == 0;
    const std::uint64_t number = is_number ? PyLong_AsUnsignedLongLong(object) : 0;
    if (!is_number || PyErr_Occurred() != nullptr || number > most) {
        PyErr_Clear();
        throw py::type_error("request: a part of another type, want an int that fits");
    }
    return number;
}

Strings texts_from(PyObject* object) {
    if (PyTuple_Check(object) == 0) {
        return py::handle(object).cast<Strings>();
    }
    Strings texts;
    const Py_ssize_t count = PyTuple_GET_SIZE(object);
    texts.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        texts.push_back(text_from(PyTuple_GET_ITEM(object, i)));
    }
    return texts;
}

MemoryKind memory_kind_from(PyObject* object) {
    return value_of(memory_kinds, "kind", text_from(object));
}

DeviceRequest device_from(std::string device_class, Fields fields) {
    DeviceRequest wanted;
    wanted.device_class = std::move(device_class);
    wanted.count = count_from(fields[0]);
    for (const py::handle& condition :
         py::reinterpret_borrow<py::object>(fields[1]).cast<py::tuple>()) {
        wanted.where.push_back(condition_from(condition.cast<py::tuple>()));
    }
    wanted.share = amounts_from(fields[2]);
    wanted.partition = text_from(fields[3]);
    if (fields[4] != Py_None) {
        wanted.eligible = texts_from(fields[4]);
    }
    return wanted;
}

Constraint constraint_from(std::string_view kind, Fields fields) {
    if (kind == "Align") {
        return Align{value_of(align_levels, "level", text_from(fields[0])),
                     texts_from(fields[1])};
    }
    if (kind == "Pair") {
        return Pair{text_from(fields[0]),
                    text_from(fields[1]),
                    level_of(text_from(fields[2])),
                    count_from(fields[3]),
                    count_from(fields[4])};
    }
    if (kind == "Link") {
        return Link{text_from(fields[0]),
                    value_of(link_modes, "mode", text_from(fields[1])),
                    number_from(fields[2])};
    }
    if (kind == "Same") {
        return Same{text_from(fields[0]), texts_from(fields[1])};
    }
    if (kind == "Distinct") {
        return Distinct{text_from(fields[0]), texts_from(fields[1])};
    }
    if (kind == "Near") {
        return Near{texts_from(fields[0]), level_of(text_from(fields[1]))};
    }
    throw InvalidRequestError("constraint: '" + std::string(kind) +
                              "', want a constraint");
}

namespace {

/// Items of a tuple of at least so many, borrowed. @throws py::type_error
Fields items_of(const py::handle& object, std::size_t least) {
    const std::size_t size =
        PyTuple_Check(object.ptr()) == 0
            ? 0
            : static_cast<std::size_t>(PyTuple_GET_SIZE(object.ptr()));
    if (PyTuple_Check(object.ptr()) == 0 || size < least) {
        throw py::type_error("request: other fields, want those of Request.fields()");
    }
    return {&PyTuple_GET_ITEM(object.ptr(), 0), size};
}

std::size_t row_size(std::string_view kind) {
    constexpr std::size_t of_pair = 6;
    constexpr std::size_t of_link = 4;
    constexpr std::size_t of_others = 3;
    if (kind == "Pair") {
        return of_pair;
    }
    return kind == "Link" ? of_link : of_others;
}

std::vector<Constraint> constraints_from(PyObject* rows) {
    std::vector<Constraint> constraints;
    for (PyObject* row : items_of(rows, 0)) {
        const std::string kind = text_from(items_of(row, 1)[0]);
        const Fields fields = items_of(row, row_size(kind));
        constraints.push_back(constraint_from(kind, fields.subspan(1)));
    }
    return constraints;
}

Request request_from_fields(PyObject* tuple) {
    constexpr std::size_t field_count = 11;
    constexpr std::size_t device_size = 6;
    const Fields fields = items_of(tuple, field_count);
    Request request;
    request.cores = count_from(fields[0]);
    request.pus = count_from(fields[1]);
    request.whole_cores = fields[2] == Py_True;
    request.memory = number_from(fields[3]);
    request.kind = memory_kind_from(fields[4]);
    request.hugepages =
        py::handle(fields[5]).cast<std::map<std::uint64_t, std::uint64_t>>();
    for (PyObject* row : items_of(fields[6], 0)) {
        const Fields device = items_of(row, device_size);
        request.devices.push_back(device_from(text_from(device[0]), device.subspan(1)));
    }
    request.exclude = texts_from(fields[7]);
    request.keep = texts_from(fields[8]);
    request.require = constraints_from(fields[9]);
    request.prefer = constraints_from(fields[10]);
    request.validate();
    return request;
}

/// What _core.Request holds: null until __init__ has run.
struct RequestObject {
    std::shared_ptr<const SharedRequest> shared;
    PyObject* weak_references = nullptr;
};

/// The core's type, and the face's that new objects get. Set once, at import.
struct RequestTypes {
    PyTypeObject* base = nullptr;
    PyTypeObject* face = nullptr;
};

RequestTypes& request_types() {
    static RequestTypes types;
    return types;
}

// Empty, for __init__ or what unpickles to fill.
PyObject* new_request(PyTypeObject* type, PyObject* /*args*/, PyObject* /*kwargs*/) {
    return guarded([type] { return box<RequestObject>(type); });
}

void destroy_request(PyObject* self) {
    if (unbox<RequestObject>(self).weak_references != nullptr) {
        PyObject_ClearWeakRefs(self);
    }
    destroy<RequestObject>(self);
}

std::shared_ptr<const SharedRequest> shared_from(PyObject* value) {
    if (PyTuple_Check(value) != 0) {
        return std::make_shared<const SharedRequest>(request_from_fields(value));
    }
    std::ignore = request_from(value);  // refuses what is no Request
    return unbox<RequestObject>(value).shared;
}

// Of the fields, or of another Request, which is shared.
int init_request(PyObject* self, PyObject* args, PyObject* kwargs) {
    PyObject* done = guarded([&] {
        if (PyTuple_GET_SIZE(args) != 1 ||
            (kwargs != nullptr && PyDict_GET_SIZE(kwargs) != 0)) {
            throw py::type_error("request: other arguments, want the fields");
        }
        auto shared = shared_from(PyTuple_GET_ITEM(args, 0));
        const py::scoped_critical_section lock{py::handle(self)};
        auto& content = unbox<RequestObject>(self);
        if (content.shared != nullptr) {
            throw py::type_error("request: made already, want a new Request");
        }
        content.shared = std::move(shared);
        return Py_NewRef(Py_None);
    });
    if (done == nullptr) {
        return -1;
    }
    Py_DECREF(done);
    return 0;
}

PyObject* compare_requests(PyObject* self, PyObject* other, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) ||
        PyObject_TypeCheck(other, request_types().base) == 0) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return guarded([&] {
        const SharedRequest& ours = request_from(self);
        const SharedRequest& theirs = request_from(other);
        const bool equal = &ours == &theirs || ours.request() == theirs.request();
        return PyBool_FromLong(static_cast<long>(equal == (operation == Py_EQ)));
    });
}

Py_hash_t hash_request(PyObject* self) {
    Py_hash_t hash = -1;
    PyObject* done = guarded([&] {
        hash = static_cast<Py_hash_t>(request_from(self).hash());
        hash = hash == -1 ? -2 : hash;  // -1 says "error" to Python
        return Py_None;
    });
    return done == nullptr ? -1 : hash;
}

PyObject* fields_of_request(PyObject* self, PyObject* /*none*/) {
    return guarded(
        [self] { return fields_of(request_from(self).request()).release().ptr(); });
}

std::array request_methods = {
    PyMethodDef{"fields", &fields_of_request, METH_NOARGS, nullptr},
    PyMethodDef{},
};

std::array request_members = {
    PyMemberDef{
        "__weaklistoffset__",
        T_PYSSIZET,
        offsetof(Box<RequestObject>, value) + offsetof(RequestObject, weak_references),
        READONLY,
        nullptr},
    PyMemberDef{},
};

void add_request(py::module_& m) {
    std::array slots = {
        PyType_Slot{Py_tp_new, slot(&new_request)},
        PyType_Slot{Py_tp_init, slot(&init_request)},
        PyType_Slot{Py_tp_dealloc, slot(&destroy_request)},
        PyType_Slot{Py_tp_richcompare, slot(&compare_requests)},
        PyType_Slot{Py_tp_hash, slot(&hash_request)},
        PyType_Slot{Py_tp_methods, request_methods.data()},
        PyType_Slot{Py_tp_members, request_members.data()},
        PyType_Slot{0, nullptr},
    };
    PyType_Spec spec{"topoalloc._core.Request",
                     static_cast<int>(sizeof(Box<RequestObject>)),
                     0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                     slots.data()};
    request_types().base = request_types().face = add_type(m, spec, "Request");
}

// A call of the face's class. Plain arguments never see Python; the rest, and all that
// is wrong, goes to __init__, which knows every form and says what it refuses.
PyObject* call_request(PyObject* type,
                       PyObject* const* values,
                       std::size_t count_and_flag,
                       PyObject* names) {
    const Py_ssize_t count = PyVectorcall_NARGS(count_and_flag);
    if (count == 0 && names != nullptr) {
        if (auto request = request_from_arguments(values, names)) {
            return guarded(
                [&] { return make_request(std::move(*request)).release().ptr(); });
        }
    }
    return guarded([&] {
        py::tuple args(static_cast<std::size_t>(count));
        for (Py_ssize_t i = 0; i < count; ++i) {
            args[static_cast<std::size_t>(i)] = py::handle(values[i]);
        }
        py::dict kwargs;
        const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
        for (Py_ssize_t i = 0; i < named; ++i) {
            kwargs[py::handle(PyTuple_GET_ITEM(names, i))] =
                py::handle(values[count + i]);
        }
        return PyType_Type.tp_call(type, args.ptr(), kwargs.ptr());
    });
}

void register_request(const py::type& request,
                      const py::type& device_request,
                      const py::tuple& constraints) {
    register_parts(device_request, constraints);
    RequestTypes& types = request_types();
    types.face = checked_face(request, types.base);
    types.face->tp_vectorcall = &call_request;
}

}  // namespace

SharedRequest::SharedRequest(Request request)
    : request_(std::move(request)), hash_(hash_of(request_)) {}

std::shared_ptr<const CompiledRequest> SharedRequest::compiled_for(
    const std::shared_ptr<const Machine>& machine) const {
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& compiled : cache_) {
            if (compiled != nullptr && &machine_of(*compiled) == machine.get()) {
                return compiled;
            }
        }
    }
    // Outside the lock: compiling takes microseconds and throws. Two threads may both
    // compile; either result serves.
    std::shared_ptr<const CompiledRequest> compiled = compile(machine, request_);
    std::shared_ptr<const CompiledRequest> evicted = compiled;
    const std::scoped_lock lock(mutex_);
    std::swap(cache_[next_slot_], evicted);
    next_slot_ = (next_slot_ + 1) % cache_size;
    return compiled;
}

const SharedRequest& request_from(PyObject* object) {
    if (PyObject_TypeCheck(object, request_types().base) == 0) {
        throw InvalidRequestError(std::string("request: ") + Py_TYPE(object)->tp_name +
                                  ", want a Request");
    }
    const auto& shared = unbox<RequestObject>(object).shared;
    if (shared == nullptr) {
        throw py::type_error("request: __init__ was not called, want a Request");
    }
    return *shared;
}

std::shared_ptr<const Request> shared_request_from(PyObject* object) {
    const Request& request = request_from(object).request();
    return {unbox<RequestObject>(object).shared, &request};
}

py::object make_request(Request request) {
    return py::reinterpret_steal<py::object>(
        box<RequestObject>(request_types().face,
                           std::make_shared<const SharedRequest>(std::move(request))));
}

void bind_request(py::module_& m) {
    add_request(m);
    m.def("register_request",
          &register_request,
          py::arg("request"),
          py::arg("device_request"),
          py::arg("constraints"));
    m.def(
        "level_name",
        [](const std::string& text) { return std::string(level_name(level_of(text))); },
        py::arg("text"));
}

}  // namespace topoalloc::bindings
