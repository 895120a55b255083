// SPDX-License-Identifier: Apache-2.0
#include "bindings.hpp"

namespace topoalloc::bindings {

// Every object is immutable, or guards itself with a lock (SharedRequest, Allocator,
// Cluster), or is a plain spec that its maker fills in alone: the module needs no GIL.
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    bind_errors(m);
    bind_machine(m);
    bind_policy(m);
    bind_request(m);
    bind_verdict(m);
    bind_explanation(m);
    bind_allocator(m);
    bind_gang(m);
    bind_gang_explanation(m);
    bind_cluster(m);
    bind_claim(m);
}

}  // namespace topoalloc::bindings
