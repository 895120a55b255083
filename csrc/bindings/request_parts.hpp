// SPDX-License-Identifier: Apache-2.0
//
// Parts of a Request from Python values. Two callers: the fields that the face has
// checked (bind_request.cpp), and plain arguments that need no check beyond these
// (bind_request_arguments.cpp). What does not fit throws; the face's words for it are
// in topoalloc._request.
#pragma once

#include "box.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc::bindings {

using Strings = std::vector<std::string>;
/// Borrowed references.
using Fields = std::span<PyObject* const>;

[[nodiscard]] std::string text_from(PyObject* object);
/// Of an int that is no bool, from 0 to `most`.
[[nodiscard]] std::uint64_t number_from(
    PyObject* object, std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
[[nodiscard]] inline std::uint32_t count_from(PyObject* object) {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(number_from(object, most));
}
[[nodiscard]] Strings texts_from(PyObject* object);
[[nodiscard]] MemoryKind memory_kind_from(PyObject* object);
/// Of count, where, share, partition, eligible.
[[nodiscard]] DeviceRequest device_from(std::string device_class, Fields fields);
/// Of the fields of the face's class in order; of a Pair's ratio both numbers.
[[nodiscard]] Constraint constraint_from(std::string_view kind, Fields fields);

/// The Request of keyword arguments when each is of a plain form: numbers, text, a
/// dict, lists and tuples of constraints. Nothing when one is not, or something is
/// wrong: then the face decides. Sets no Python error.
[[nodiscard]] std::optional<Request> request_from_arguments(PyObject* const* values,
                                                            PyObject* names) noexcept;
/// The face's DeviceRequest and its constraints: Align, Pair, Link, Same, Distinct,
/// Near.
void register_parts(const py::type& device_request, const py::tuple& constraints);

}  // namespace topoalloc::bindings
