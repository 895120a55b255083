// SPDX-License-Identifier: Apache-2.0
//
// Requests as the face hands them over: one tuple of plain values (topoalloc._request
// says which), turned into the core's struct and back. The struct never changes after
// that.
#include "bindings.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/stl.h>

#include <functional>
#include <optional>
#include <tuple>
#include <variant>

namespace topoalloc::bindings {
namespace {

using Strings = std::vector<std::string>;

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
              const std::string& name,
              const std::string& text) {
    std::string want;
    for (const Word<Enum>& word : words) {
        if (text == word.name) {
            return word.value;
        }
        want += want.empty() ? "" : ", ";
        want += word.name;
    }
    throw InvalidRequestError(name + ": '" + text + "', want one of " + want);
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
    condition.attribute = row[0].cast<std::string>();
    condition.op = value_of(condition_ops, "op", row[1].cast<std::string>());
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

DeviceRequest device_from(const py::tuple& row) {
    DeviceRequest wanted;
    wanted.device_class = row[0].cast<std::string>();
    wanted.count = row[1].cast<std::uint32_t>();
    for (const py::handle& condition : row[2].cast<py::tuple>()) {
        wanted.where.push_back(condition_from(condition.cast<py::tuple>()));
    }
    wanted.share = row[3].cast<Amounts>();
    wanted.partition = row[4].cast<std::string>();
    wanted.eligible = row[5].cast<std::optional<Strings>>();
    return wanted;
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

Constraint constraint_from(const py::tuple& row) {
    const auto kind = row[0].cast<std::string>();
    if (kind == "Align") {
        return Align{value_of(align_levels, "level", row[1].cast<std::string>()),
                     row[2].cast<Strings>()};
    }
    if (kind == "Pair") {
        return Pair{row[1].cast<std::string>(),
                    row[2].cast<std::string>(),
                    level_of(row[3].cast<std::string>()),
                    row[4].cast<std::uint32_t>(),
                    row[5].cast<std::uint32_t>()};
    }
    if (kind == "Link") {
        return Link{row[1].cast<std::string>(),
                    value_of(link_modes, "mode", row[2].cast<std::string>()),
                    row[3].cast<std::uint64_t>()};
    }
    if (kind == "Same") {
        return Same{row[1].cast<std::string>(), row[2].cast<Strings>()};
    }
    if (kind == "Distinct") {
        return Distinct{row[1].cast<std::string>(), row[2].cast<Strings>()};
    }
    if (kind == "Near") {
        return Near{row[1].cast<Strings>(), level_of(row[2].cast<std::string>())};
    }
    throw InvalidRequestError("constraint: '" + kind + "', want a constraint");
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

std::vector<Constraint> constraints_from(const py::tuple& rows) {
    std::vector<Constraint> constraints;
    for (const py::handle& row : rows) {
        constraints.push_back(constraint_from(row.cast<py::tuple>()));
    }
    return constraints;
}

py::tuple constraint_rows(const std::vector<Constraint>& constraints) {
    py::tuple rows(constraints.size());
    for (std::size_t i = 0; i < constraints.size(); ++i) {
        rows[i] = std::visit(ConstraintRow{}, constraints[i]);
    }
    return rows;
}

Request request_from_fields(const py::tuple& fields) {
    Request request;
    request.cores = fields[0].cast<std::uint32_t>();
    request.pus = fields[1].cast<std::uint32_t>();
    request.whole_cores = fields[2].cast<bool>();
    request.memory = fields[3].cast<std::uint64_t>();
    request.kind = value_of(memory_kinds, "kind", fields[4].cast<std::string>());
    request.hugepages = fields[5].cast<std::map<std::uint64_t, std::uint64_t>>();
    for (const py::handle& row : fields[6].cast<py::tuple>()) {
        request.devices.push_back(device_from(row.cast<py::tuple>()));
    }
    request.exclude = fields[7].cast<Strings>();
    request.keep = fields[8].cast<Strings>();
    request.require = constraints_from(fields[9].cast<py::tuple>());
    request.prefer = constraints_from(fields[10].cast<py::tuple>());
    request.validate();
    return request;
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

py::object request_equal(const RequestObject& self, const py::object& other) {
    if (!py::isinstance<RequestObject>(other)) {
        return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    }
    const RequestObject& theirs = request_from(other.ptr());
    return py::bool_(self.shared == theirs.shared ||
                     self.shared->request() == theirs.shared->request());
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

const RequestObject& request_from(PyObject* object) {
    // One load instead of pybind11's caster (about 30 ns): the type is checked first.
    static PyTypeObject* const type =
        reinterpret_cast<PyTypeObject*>(py::type::of<RequestObject>().ptr());
    if (PyObject_TypeCheck(object, type) == 0) {
        throw py::type_error(std::string("request: ") + Py_TYPE(object)->tp_name +
                             ", want a Request");
    }
    const auto* found = static_cast<const RequestObject*>(
        reinterpret_cast<py::detail::instance*>(object)
            ->get_value_and_holder()
            .value_ptr());
    if (found == nullptr) {
        throw py::type_error("request: __init__ was not called, want a Request");
    }
    return *found;
}

void bind_request(py::module_& m) {
    py::class_<RequestObject>(m, "Request")
        .def(py::init([](const RequestObject& other) { return other; }),
             py::arg("other"))
        .def(py::init([](const py::tuple& fields) {
                 return RequestObject{std::make_shared<const SharedRequest>(
                     request_from_fields(fields))};
             }),
             py::arg("fields"))
        .def(
            "fields",
            [](const RequestObject& self) { return fields_of(self.shared->request()); })
        .def("__eq__", &request_equal, py::arg("other"))
        .def("__hash__", [](const RequestObject& self) { return self.shared->hash(); });

    m.def(
        "level_name",
        [](const std::string& text) { return std::string(level_name(level_of(text))); },
        py::arg("text"));
}

}  // namespace topoalloc::bindings
