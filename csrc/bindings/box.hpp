// SPDX-License-Identifier: Apache-2.0
//
// Types that are made at every hot call are types of their own, not py::class_, whose
// new object costs a map entry and an allocation more: the C++ value lies inside the
// Python object, and nothing of it is unfolded until it is read.
#pragma once

#include "bindings.hpp"

#include <new>
#include <type_traits>

namespace topoalloc::bindings {

/// A Python object with a C++ value inside.
template <class Value>
struct Box {
    PyObject header;
    Value value;
};

template <class Value>
Value& unbox(PyObject* object) {
    return reinterpret_cast<Box<Value>*>(object)->value;
}

/// A new object of the type, or of one derived from it without storage of its own. The
/// value is made in its place: a Verdict is too large to be moved about.
template <class Value, class... Parts>
PyObject* box(PyTypeObject* type, Parts&&... parts) {
    PyObject* object = type->tp_alloc(type, 0);
    if (object == nullptr) {
        throw py::error_already_set();
    }
    ::new (static_cast<void*>(&unbox<Value>(object)))
        Value{std::forward<Parts>(parts)...};
    return object;
}

template <class Value>
void destroy(PyObject* object) {
    PyTypeObject* type = Py_TYPE(object);
    unbox<Value>(object).~Value();
    type->tp_free(object);
    Py_DECREF(type);
}

/// A property from a function of the value.
template <class Value, auto read>
PyObject* get(PyObject* self, void* /*closure*/) {
    return guarded([self] {
        auto result = read(unbox<Value>(self));
        if constexpr (std::is_base_of_v<py::object, decltype(result)>) {
            return result.release().ptr();
        } else {
            return py::cast(std::move(result)).release().ptr();
        }
    });
}

template <class Value, auto read>
constexpr PyGetSetDef property(const char* name) {
    return {name, &get<Value, read>, nullptr, nullptr, nullptr};
}

template <class F>
void* slot(F* function) {
    return reinterpret_cast<void*>(function);
}

/// Makes the type and puts it into the module, which keeps it for ever.
[[nodiscard]] PyTypeObject* add_type(py::module_& m,
                                     PyType_Spec& spec,
                                     const char* name);
/// The face's class, once it is known to add methods to `base`, and no storage: box()
/// fills exactly what the base has. @throws py::type_error
[[nodiscard]] PyTypeObject* checked_face(const py::type& type, PyTypeObject* base);

}  // namespace topoalloc::bindings
