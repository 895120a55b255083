// SPDX-License-Identifier: Apache-2.0
//
// A Request from keyword arguments as most people write them, without the face: it
// costs a tenth. Only what surely means the same there is read here; Request.__init__
// remains the one place that says what is wrong.
#include "request_parts.hpp"

#include "topoalloc/errors.hpp"

#include <pybind11/critical_section.h>

#include <algorithm>
#include <charconv>
#include <exception>

namespace topoalloc::bindings {
namespace {

/// Not an error: the face is to look at it.
class NotPlain : public std::exception {};

void demand(bool is_plain) {
    if (!is_plain) {
        throw NotPlain();
    }
}

/// A class of constraints, and the attributes that say what one of it is.
struct ConstraintClass {
    const char* kind;
    std::array<const char*, 4> attributes;
    PyTypeObject* type = nullptr;
    std::array<PyObject*, 4> names{};  ///< the attributes, interned
};

/// The face's classes. Set once, at import.
struct PartTypes {
    PyTypeObject* device_request = nullptr;
    PyObject* row_name = nullptr;
    std::array<ConstraintClass, 6> constraints = {
        ConstraintClass{"Align", {"level", "of"}},
        ConstraintClass{"Pair", {"a", "b", "within", "ratio"}},
        ConstraintClass{"Link", {"device_class", "mode", "min_mb_s"}},
        ConstraintClass{"Same", {"attribute", "of"}},
        ConstraintClass{"Distinct", {"attribute", "of"}},
        ConstraintClass{"Near", {"devices", "within"}},
    };
};

PartTypes& part_types() {
    static PartTypes types;
    return types;
}

PyObject* interned(const char* text) {
    PyObject* name = PyUnicode_InternFromString(text);
    if (name == nullptr) {
        throw py::error_already_set();
    }
    return name;
}

py::object attribute_of(PyObject* object, PyObject* name) {
    PyObject* value = PyObject_GetAttr(object, name);
    if (value == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::object>(value);
}

/// A name: the face refuses an empty one, and asks a str of another class for its name.
std::string name_from(PyObject* object) {
    demand(PyUnicode_CheckExact(object) != 0);
    std::string name = text_from(object);
    demand(!name.empty());
    return name;
}

/// A tuple of the items of a list or tuple: a list may change meanwhile.
py::tuple items_from(PyObject* object) {
    demand(PyTuple_CheckExact(object) != 0 || PyList_CheckExact(object) != 0);
    PyObject* items = PySequence_Tuple(object);
    if (items == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::tuple>(items);
}

/// Ascending, each once, as a set.
Strings names_from(PyObject* object) {
    const py::tuple items = items_from(object);
    Strings names;
    for (const py::handle& item : items) {
        names.push_back(name_from(item.ptr()));
    }
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    return names;
}

std::uint64_t unit_of(std::string_view suffix) {
    constexpr std::string_view letters = "KMGTPE";
    constexpr std::uint64_t binary = 1024;
    constexpr std::uint64_t decimal = 1000;
    if (suffix.empty()) {
        return 1;
    }
    const bool is_binary = suffix.size() == 2 && suffix[1] == 'i';
    demand(is_binary || suffix.size() == 1);
    // Kubernetes writes 1000 in lower case.
    const bool is_kilo = !is_binary && suffix[0] == 'k';
    demand(is_kilo || is_binary || suffix[0] != 'K');
    const std::size_t power = letters.find(is_kilo ? 'K' : suffix[0]);
    demand(power != std::string_view::npos);
    std::uint64_t unit = 1;
    for (std::size_t i = 0; i <= power; ++i) {
        unit *= is_binary ? binary : decimal;
    }
    return unit;
}

/// A number, or digits with a suffix; fractions, exponents and signs are the face's.
std::uint64_t quantity_from(PyObject* object) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    if (PyLong_Check(object) != 0) {
        return number_from(object, most);
    }
    constexpr std::size_t longest = 22;  // the digits of `most`, and a suffix
    const std::string text = name_from(object);
    demand(text.size() <= longest);
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    demand(error == std::errc() && rest != text.data());
    const std::uint64_t unit = unit_of({rest, end});
    demand(number <= most / unit);
    return number * unit;
}

DeviceRequest plain_device(std::string name, PyObject* wanted) {
    if (Py_TYPE(wanted) != part_types().device_request) {
        DeviceRequest device;
        device.device_class = std::move(name);
        device.count = count_from(wanted);
        demand(device.count != 0);
        return device;
    }
    const py::object row = attribute_of(wanted, part_types().row_name);
    constexpr Py_ssize_t row_size = 5;
    demand(PyTuple_Check(row.ptr()) != 0 && PyTuple_GET_SIZE(row.ptr()) == row_size);
    return device_from(std::move(name), {&PyTuple_GET_ITEM(row.ptr(), 0), row_size});
}

void read_devices(PyObject* value, Request& request) {
    if (value == Py_None) {
        return;
    }
    demand(PyDict_CheckExact(value) != 0);
    const py::scoped_critical_section lock{py::handle(value)};
    Py_ssize_t position = 0;
    PyObject* name = nullptr;
    PyObject* wanted = nullptr;
    while (PyDict_Next(value, &position, &name, &wanted) != 0) {
        // Owned: a DeviceRequest is read through its attribute.
        const auto held = py::reinterpret_borrow<py::object>(wanted);
        request.devices.push_back(plain_device(name_from(name), held.ptr()));
    }
    std::ranges::sort(request.devices, {}, &DeviceRequest::device_class);
}

void read_hugepages(PyObject* value, Request& request) {
    if (value == Py_None) {
        return;
    }
    demand(PyDict_CheckExact(value) != 0);
    const py::scoped_critical_section lock{py::handle(value)};
    Py_ssize_t position = 0;
    PyObject* size = nullptr;
    PyObject* amount = nullptr;
    while (PyDict_Next(value, &position, &size, &amount) != 0) {
        const auto [entry, is_new] =
            request.hugepages.emplace(quantity_from(size), quantity_from(amount));
        demand(is_new);
    }
    // Nothing of a size is as not asking for it.
    std::erase_if(request.hugepages, [](const auto& item) { return item.second == 0; });
}

/// Requires: the object is of this class. Its __post_init__ has checked the attributes.
Constraint plain_constraint(const ConstraintClass& known, PyObject* object) {
    std::array<py::object, 4> held;
    std::array<PyObject*, 5> fields{};
    std::size_t count = 0;
    for (; count < held.size() && known.names[count] != nullptr; ++count) {
        held[count] = attribute_of(object, known.names[count]);
        fields[count] = held[count].ptr();
    }
    if (count == held.size()) {
        // The last of four is the ratio of a Pair.
        PyObject* ratio = fields[count - 1];
        demand(PyTuple_Check(ratio) != 0 && PyTuple_GET_SIZE(ratio) == 2);
        fields[count - 1] = PyTuple_GET_ITEM(ratio, 0);
        fields[count++] = PyTuple_GET_ITEM(ratio, 1);
    }
    return constraint_from(known.kind, {fields.data(), count});
}

const ConstraintClass* class_of(PyObject* object) {
    for (const ConstraintClass& known : part_types().constraints) {
        if (Py_TYPE(object) == known.type) {
            return &known;
        }
    }
    return nullptr;
}

std::vector<Constraint> plain_constraints(PyObject* value) {
    std::vector<Constraint> constraints;
    if (const ConstraintClass* known = class_of(value)) {
        constraints.push_back(plain_constraint(*known, value));
        return constraints;
    }
    const py::tuple items = items_from(value);
    constraints.reserve(items.size());
    for (const py::handle& item : items) {
        const ConstraintClass* known = class_of(item.ptr());
        demand(known != nullptr);
        constraints.push_back(plain_constraint(*known, item.ptr()));
    }
    return constraints;
}

struct Argument {
    const char* name;
    void (*read)(PyObject* value, Request& request);
};

constexpr std::array plain_arguments = {
    Argument{"cores", [](PyObject* v, Request& r) { r.cores = count_from(v); }},
    Argument{"pus", [](PyObject* v, Request& r) { r.pus = count_from(v); }},
    Argument{"whole_cores",
             [](PyObject* v, Request& r) {
                 demand(PyBool_Check(v) != 0);
                 r.whole_cores = v == Py_True;
             }},
    Argument{"memory", [](PyObject* v, Request& r) { r.memory = quantity_from(v); }},
    Argument{"kind", [](PyObject* v, Request& r) { r.kind = memory_kind_from(v); }},
    Argument{"hugepages", &read_hugepages},
    Argument{"devices", &read_devices},
    Argument{"exclude", [](PyObject* v, Request& r) { r.exclude = names_from(v); }},
    Argument{"keep", [](PyObject* v, Request& r) { r.keep = names_from(v); }},
    Argument{"require",
             [](PyObject* v, Request& r) { r.require = plain_constraints(v); }},
    Argument{"prefer",
             [](PyObject* v, Request& r) { r.prefer = plain_constraints(v); }},
};

const Argument& argument_named(PyObject* name) {
    const auto* const found =
        std::ranges::find_if(plain_arguments, [&](const Argument& a) {
            return PyUnicode_CompareWithASCIIString(name, a.name) == 0;
        });
    demand(found != plain_arguments.end());
    return *found;
}

}  // namespace

std::optional<Request> request_from_arguments(PyObject* const* values,
                                              PyObject* names) noexcept {
    try {
        std::optional<Request> request(std::in_place);
        const Py_ssize_t count = PyTuple_GET_SIZE(names);
        for (Py_ssize_t i = 0; i < count; ++i) {
            argument_named(PyTuple_GET_ITEM(names, i)).read(values[i], *request);
        }
        request->validate();
        return request;
    } catch (...) {
        // Whatever it is, the face meets it again and has the words.
        return std::nullopt;
    }
}

void register_parts(const py::type& device_request, const py::tuple& constraints) {
    PartTypes& types = part_types();
    if (constraints.size() != types.constraints.size()) {
        throw py::type_error("constraints: another number of classes, want all");
    }
    const auto kept = [](const py::handle& type) {
        return reinterpret_cast<PyTypeObject*>(type.cast<py::type>().release().ptr());
    };
    types.device_request = kept(device_request);
    types.row_name = interned("_row");
    for (std::size_t i = 0; i < types.constraints.size(); ++i) {
        ConstraintClass& known = types.constraints[i];
        known.type = kept(constraints[i]);
        for (std::size_t j = 0; j < known.attributes.size(); ++j) {
            known.names[j] = known.attributes[j] == nullptr
                                 ? nullptr
                                 : interned(known.attributes[j]);
        }
    }
}

}  // namespace topoalloc::bindings
