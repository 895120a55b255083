// SPDX-License-Identifier: Apache-2.0
//
// Random cluster problems and the core's answers to them, as plain Python values.
#pragma once

#include <pybind11/pybind11.h>

namespace topoalloc::oracle {

void bind_gang(pybind11::module_& m);

}  // namespace topoalloc::oracle
