// SPDX-License-Identifier: Apache-2.0
//
// One C++ class per Python class, translated by type. The Python classes live in
// topoalloc._errors; they are looked up when an error happens, not at import.
#include "bindings.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/stl.h>

#include <exception>
#include <new>

namespace topoalloc::bindings {
namespace {

struct ErrorKind {
    const char* name;
    void (*throw_it)(const std::string& message);
    bool (*is_it)(const Error* error);
};

template <class E>
constexpr ErrorKind kind(const char* name) {
    return {
        name,
        [](const std::string& message) { throw E(message); },
        [](const Error* error) { return dynamic_cast<const E*>(error) != nullptr; }};
}

// A derived class stands before its base.
constexpr std::array kinds = {
    kind<InvalidRequestError>("InvalidRequestError"),
    kind<FormatError>("FormatError"),
    kind<StaleError>("StaleError"),
    kind<StateError>("StateError"),
    kind<InternalError>("InternalError"),
    kind<Error>("TopoallocError"),
};

void set_error(const char* name, const char* message) {
    py::set_error(error_class(name), message);
}

void set_core_error(const Error& error) {
    for (const ErrorKind& kind : kinds) {
        if (kind.is_it(&error)) {
            set_error(kind.name, error.what());
            return;
        }
    }
}

}  // namespace

std::string shown(const py::handle& object) {
    return py::module_::import("topoalloc._quantity")
        .attr("shown")(object)
        .cast<std::string>();
}

std::string steps_text(std::uint64_t steps) {
    return std::to_string(steps) + (steps == 1 ? " step" : " steps");
}

py::object error_class(const char* name) {
    return py::module_::import("topoalloc._errors").attr(name);
}

void set_python_error() noexcept {
    try {
        try {
            throw;
        } catch (py::error_already_set& error) {
            error.restore();
        } catch (const py::builtin_exception& error) {
            error.set_error();
        } catch (const Error& error) {
            set_core_error(error);
        } catch (const std::bad_alloc&) {
            PyErr_NoMemory();
        } catch (const std::exception& error) {
            set_error("InternalError", error.what());
        }
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (...) {
        PyErr_SetString(PyExc_SystemError, "topoalloc: an exception of unknown type");
    }
}

void bind_errors(py::module_& m) {
    py::register_local_exception_translator([](std::exception_ptr pointer) {
        try {
            std::rethrow_exception(std::move(pointer));
        } catch (const Error& error) {
            set_core_error(error);
        }
    });
    m.def("error_names", [] {
        std::vector<std::string> names;
        for (const ErrorKind& kind : kinds) {
            names.emplace_back(kind.name);
        }
        return names;
    });
    // How a test sees each class of the core arrive in Python.
    m.def(
        "throw_error",
        [](const std::string& name, const std::string& message) {
            for (const ErrorKind& kind : kinds) {
                if (name == kind.name) {
                    kind.throw_it(message);
                }
            }
            throw py::key_error(name);
        },
        py::arg("name"),
        py::arg("message"));
}

}  // namespace topoalloc::bindings
