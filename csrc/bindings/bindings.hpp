// SPDX-License-Identifier: Apache-2.0
//
// What the binding files share. This folder is the only one that knows Python: it
// converts and forwards; topoalloc (the Python package) validates, the core decides.
//
// GIL: a call that may search long or wait for the Allocator's lock runs without it. A
// call that was short before first tries to be short again, without waiting, and keeps
// the GIL: giving it up for a microsecond costs 43 ns, and a whole switch interval (5
// ms) where another thread runs Python. The core never touches Python, so no thread
// waits for the GIL inside a lock.
#pragma once

#include <pybind11/pybind11.h>

#include "topoalloc/allocator.hpp"
#include "topoalloc/cluster.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace topoalloc::bindings {

namespace py = pybind11;

void bind_allocator(py::module_& m);
void bind_claim(py::module_& m);
void bind_cluster(py::module_& m);
void bind_errors(py::module_& m);
void bind_explanation(py::module_& m);
void bind_gang(py::module_& m);
void bind_gang_explanation(py::module_& m);
void bind_machine(py::module_& m);
void bind_policy(py::module_& m);
void bind_request(py::module_& m);
void bind_verdict(py::module_& m);

// Errors (bind_errors.cpp).

/// Turns the C++ exception in flight into Python's. Requires: inside a catch block.
void set_python_error() noexcept;
/// A class of topoalloc._errors.
[[nodiscard]] py::object error_class(const char* name);
/// How a message shows a Python object: the face's words, never an error of its own.
[[nodiscard]] std::string shown(const py::handle& object);
/// "1 step", "2 steps".
[[nodiscard]] std::string steps_text(std::uint64_t steps);

/// Runs `body`, which returns a new reference; on an exception sets Python's and
/// returns null.
template <class F>
PyObject* guarded(F&& body) noexcept {
    try {
        return std::forward<F>(body)();
    } catch (...) {
        set_python_error();
        return nullptr;
    }
}

// Policies (bind_policy.cpp).

/// Name, version, packing, order: as the constructor of topoalloc.Policy takes them.
using PolicyRow =
    std::tuple<std::string, std::uint32_t, std::string, std::vector<std::string>>;
/// @throws InvalidRequestError when it is none
[[nodiscard]] Policy policy_from(const PolicyRow& row);
[[nodiscard]] py::tuple policy_row(const Policy& policy);

// Step limits (bind_allocator.cpp).

/// An int of 0 to 2^64 - 1; null: the default. @throws InvalidRequestError
[[nodiscard]] SearchLimits limits_from(PyObject* max_steps);

// Requests (bind_request.cpp).

/// A Request and what it compiled to for the Machines that it met last. Copies of the
/// Python object share it. Thread-safe: the cache has a lock of its own, held for a
/// look only.
class SharedRequest {
  public:
    explicit SharedRequest(Request request);

    [[nodiscard]] const Request& request() const { return request_; }
    [[nodiscard]] std::size_t hash() const { return hash_; }
    /// Compiles on the first call for a Machine. @throws InvalidRequestError
    [[nodiscard]] std::shared_ptr<const CompiledRequest> compiled_for(
        const std::shared_ptr<const Machine>& machine) const;

    /// Steps that are worth no other thread's time: a few microseconds.
    static constexpr std::uint64_t quick_steps = 64;
    /// Whether its last answer took no more. Until then it may be.
    [[nodiscard]] bool is_quick() const {
        return is_quick_.load(std::memory_order_relaxed);
    }
    void note_steps(std::uint64_t steps) const {
        is_quick_.store(steps <= quick_steps, std::memory_order_relaxed);
    }

  private:
    // A Request meets one Machine, or the few kinds of node of a cluster.
    static constexpr std::size_t cache_size = 8;

    Request request_;
    std::size_t hash_;
    mutable std::atomic<bool> is_quick_ = true;
    mutable std::mutex mutex_;
    mutable std::array<std::shared_ptr<const CompiledRequest>, cache_size> cache_;
    mutable std::size_t next_slot_ = 0;
};

/// What a Python object holds. @throws InvalidRequestError when it is no Request
[[nodiscard]] const SharedRequest& request_from(PyObject* object);
/// The same Request to hold on to. @throws as request_from
[[nodiscard]] std::shared_ptr<const Request> shared_request_from(PyObject* object);
/// A topoalloc.Request. Requires: the Request is valid.
[[nodiscard]] py::object make_request(Request request);

// Verdicts and Placements (bind_verdict.cpp).

/// The Machine of an Allocator: the core's, and the topoalloc.Machine that it came in.
struct MachineRef {
    std::shared_ptr<const Machine> core;
    py::object object;
};

/// The Allocator of a node of a Cluster, on its way into a topoalloc.Allocator.
struct NodeHandle {
    MachineRef machine;
    std::shared_ptr<Allocator> core;
};

/// A Placement and what it takes to read it in names and OS indices.
struct PlacementContent {
    Placement placement;
    MachineRef machine;
    std::string owner;  ///< empty: of a check
    Status status = Status::feasible;
};

enum class Operation : std::uint8_t { check, allocate, resize };

[[nodiscard]] py::object make_placement(PlacementContent&& content);
[[nodiscard]] py::object make_verdict(Verdict&& verdict,
                                      const MachineRef& machine,
                                      Operation operation);
/// Of one answer of a batch, which they share.
[[nodiscard]] py::object make_verdict(const std::shared_ptr<const BatchAnswers>& batch,
                                      std::size_t index,
                                      const MachineRef& machine);
/// Null when the object is no Placement.
[[nodiscard]] const PlacementContent* placement_from(PyObject* object);
/// Raises InfeasibleError or UndecidedError, as the status says, with the verdict.
[[noreturn]] void throw_not_placed(Verdict&& verdict,
                                   const MachineRef& machine,
                                   Operation operation);

/// The member of topoalloc.Status.
[[nodiscard]] py::object status_object(Status status);
/// Its inverse. @throws py::type_error
[[nodiscard]] Status status_from(const py::handle& member);
[[nodiscard]] py::tuple cost_terms(const Cost& cost);
/// Reserved, cordoned, and (owner, Request or None, Status, Placement) of a state.
[[nodiscard]] py::dict state_rows(const NodeState& state,
                                  const std::map<std::string, Holding>& holdings,
                                  const MachineRef& machine);

/// An Explanation as plain rows (bind_explanation.cpp).
[[nodiscard]] py::dict explanation_rows(const Verdict& verdict,
                                        const std::map<std::string, Holding>& holdings,
                                        const MachineRef& machine,
                                        SearchLimits limits);

// Gangs (bind_gang.cpp).

/// "NoSchedule" or "NoExecute". @throws InvalidRequestError
[[nodiscard]] TaintEffect taint_effect_from(const std::string& text);
[[nodiscard]] std::string_view taint_effect_name(TaintEffect effect);

/// A _core.GangSource, which explains the Verdict when asked; with a cost that of a
/// plan (bind_gang_explanation.cpp).
[[nodiscard]] py::object make_gang_source(const GangVerdict& verdict,
                                          const GangCost* cost,
                                          const std::vector<ClusterTree>& trees);

/// Why a change was refused (bind_gang_explanation.cpp). The GIL is released.
[[nodiscard]] py::dict change_explanation_rows(const ClusterChange& change,
                                               const std::vector<ClusterTree>& trees,
                                               SearchLimits limits);

/// pybind11 gives raw memory to a method of an object whose __init__ failed or never
/// ran; this caster refuses such an object.
template <class T>
class InitializedCaster : public py::detail::type_caster_base<T> {
  public:
    bool load(py::handle source, bool convert) {
        const py::detail::type_info* info = this->typeinfo;
        if (info != nullptr && PyObject_TypeCheck(source.ptr(), info->type) != 0 &&
            reinterpret_cast<py::detail::instance*>(source.ptr())
                    ->get_value_and_holder()
                    .value_ptr() == nullptr) {
            return false;
        }
        return py::detail::type_caster_base<T>::load(source, convert);
    }
};

}  // namespace topoalloc::bindings

template <>
class pybind11::detail::type_caster<topoalloc::Machine>
    : public topoalloc::bindings::InitializedCaster<topoalloc::Machine> {};
