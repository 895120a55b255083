// SPDX-License-Identifier: Apache-2.0
//
// The Allocator. check, allocate and release are called most, so they are plain
// vectorcall methods on the type that pybind11 made: its dispatcher and keyword
// arguments alone cost several times what the core needs. The rest goes through
// pybind11.
//
// They keep the GIL where they are as short as expected; all others drop it.
#include "bindings.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <tuple>

namespace topoalloc::bindings {

// Named outside: a specialization below needs it.
// NOLINTNEXTLINE(misc-use-internal-linkage)
struct AllocatorObject {
    MachineRef machine;
    std::shared_ptr<Allocator> core;  ///< a Cluster may share it
};

}  // namespace topoalloc::bindings

template <>
class pybind11::detail::type_caster<topoalloc::bindings::AllocatorObject>
    : public topoalloc::bindings::InitializedCaster<
          topoalloc::bindings::AllocatorObject> {};

namespace topoalloc::bindings {
namespace {

/// Amounts of (NUMANode os_index, page size in bytes or 0 for base pages, bytes).
using MemoryRows = std::vector<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>>;
/// (device, share)
using DeviceRows = std::vector<std::pair<std::string, Amounts>>;
using Compiled = std::shared_ptr<const CompiledRequest>;
using NamedRequests = std::vector<Allocator::NamedRequest>;

std::unique_ptr<AllocatorObject> make_allocator(const py::object& machine,
                                                const std::string& reserved_pus,
                                                const PolicyRow& policy) {
    py::detail::make_caster<Machine> caster;
    if (!caster.load(machine, false)) {
        throw py::type_error(std::string("machine: ") +
                             Py_TYPE(machine.ptr())->tp_name +
                             " or one whose __init__ was not called, want a Machine");
    }
    auto core = machine.cast<std::shared_ptr<const Machine>>();
    const Bitmap reserved = core->pus_from_os(Bitmap::parse_list(reserved_pus));
    auto allocator = std::make_unique<Allocator>(core, reserved, policy_from(policy));
    return std::make_unique<AllocatorObject>(
        AllocatorObject{{std::move(core), machine}, std::move(allocator)});
}

std::unique_ptr<AllocatorObject> fork_allocator(const AllocatorObject& other) {
    return std::make_unique<AllocatorObject>(
        AllocatorObject{other.machine, other.core->fork()});
}

// Of a node of a Cluster: the same Allocator, not a copy.
std::unique_ptr<AllocatorObject> share_allocator(const NodeHandle& node) {
    return std::make_unique<AllocatorObject>(AllocatorObject{node.machine, node.core});
}

std::uint32_t device_index(const Machine& machine, const std::string& key) {
    const std::uint32_t device = machine.find_device(key);
    if (device == no_index) {
        throw InvalidRequestError("device: '" + key + "', want one of the Machine");
    }
    return device;
}

std::uint32_t pu_index(const Machine& machine, std::uint32_t os_index) {
    const std::uint32_t pu = machine.pu_of_os_index(os_index);
    if (pu == no_index) {
        throw InvalidRequestError("pu: os_index " + std::to_string(os_index) +
                                  ", want one of the Machine");
    }
    return pu;
}

std::uint32_t page_size_index(const Machine& machine, std::uint64_t page_size) {
    const auto& sizes = machine.page_sizes();
    for (std::uint32_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == page_size) {
            return i;
        }
    }
    throw InvalidRequestError("page size: " + std::to_string(page_size) +
                              " bytes, want one of the Machine");
}

// Grants by NUMANode and page size, ascending; repeated rows add up, zeros go.
std::vector<MemoryGrant> memory_from(const Machine& machine, const MemoryRows& rows) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> bytes_by_place;
    for (const auto& [os_index, page_size, bytes] : rows) {
        const std::uint32_t node = machine.numa_node_of_os_index(os_index);
        if (node == no_index) {
            throw InvalidRequestError("memory: NUMANode os_index " +
                                      std::to_string(os_index) +
                                      ", want one of the Machine");
        }
        bytes_by_place[{node, page_size_index(machine, page_size)}] += bytes;
    }
    std::vector<MemoryGrant> grants;
    for (const auto& [place, bytes] : bytes_by_place) {
        if (bytes != 0) {
            grants.push_back({place.first, place.second, bytes});
        }
    }
    return grants;
}

std::vector<DeviceGrant> devices_from(const Machine& machine, const DeviceRows& rows) {
    std::map<std::uint32_t, Amounts> share_by_device;
    for (const auto& [key, share] : rows) {
        const std::uint32_t device = device_index(machine, key);
        if (!share_by_device.emplace(device, share).second) {
            throw InvalidRequestError("devices: '" + key + "' twice, want each once");
        }
    }
    std::vector<DeviceGrant> grants;
    for (auto& [device, share] : share_by_device) {
        grants.push_back({device, std::move(share)});
    }
    return grants;
}

Placement placement_of(const Machine& machine,
                       const std::string& pus,
                       const MemoryRows& memory,
                       const DeviceRows& devices) {
    Placement placement;
    placement.pus = machine.pus_from_os(Bitmap::parse_list(pus));
    placement.memory = memory_from(machine, memory);
    placement.devices = devices_from(machine, devices);
    return placement;
}

// The hot calls: arguments by hand.

/// Names of a call's arguments; the first `positional` may come without a name, the
/// first `required` must come.
template <std::size_t n>
struct Signature {
    const char* function;
    std::array<const char*, n> names;
    std::size_t positional;
    std::size_t required;
};

template <std::size_t n>
std::size_t find_name(const Signature<n>& signature, PyObject* name) {
    for (std::size_t i = 0; i < n; ++i) {
        if (PyUnicode_CompareWithASCIIString(name, signature.names[i]) == 0) {
            return i;
        }
    }
    // Its repr, since not every name can be encoded.
    throw py::type_error(std::string(signature.function) + "(): argument " +
                         py::repr(name).cast<std::string>() + ", want another name");
}

/// Sorts a vectorcall's arguments by the signature; what did not come stays null.
template <std::size_t n>
std::array<PyObject*, n> arguments(const Signature<n>& signature,
                                   PyObject* const* values,
                                   Py_ssize_t count,
                                   PyObject* names) {
    std::array<PyObject*, n> found{};
    const auto positional = static_cast<std::size_t>(count);
    if (positional > signature.positional) {
        throw py::type_error(std::string(signature.function) +
                             "(): " + std::to_string(positional) +
                             " positional arguments, want at most " +
                             std::to_string(signature.positional));
    }
    std::copy_n(values, positional, found.begin());
    const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < named; ++i) {
        const std::size_t at = find_name(signature, PyTuple_GET_ITEM(names, i));
        if (found[at] != nullptr) {
            throw py::type_error(std::string(signature.function) + "(): argument '" +
                                 signature.names[at] + "' twice, want it once");
        }
        found[at] = values[count + i];
    }
    for (std::size_t i = 0; i < signature.required; ++i) {
        if (found[i] == nullptr) {
            throw py::type_error(std::string(signature.function) + "(): no argument '" +
                                 signature.names[i] + "', want one");
        }
    }
    return found;
}

const AllocatorObject& allocator_from(PyObject* self) {
    // The method descriptor has checked the type.
    const auto* found = static_cast<const AllocatorObject*>(
        reinterpret_cast<py::detail::instance*>(self)
            ->get_value_and_holder()
            .value_ptr());
    if (found == nullptr) {
        throw py::type_error("allocator: __init__ was not called, want an Allocator");
    }
    return *found;
}

std::string owner_from(PyObject* object) {
    Py_ssize_t size = 0;
    if (PyUnicode_Check(object) == 0) {
        throw InvalidRequestError(std::string("owner: ") + Py_TYPE(object)->tp_name +
                                  ", want a str");
    }
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (text == nullptr) {
        PyErr_Clear();
        throw InvalidRequestError("owner: " + shown(object) +
                                  ", want text without lone surrogates");
    }
    if (size == 0) {
        throw InvalidRequestError("owner: '', want a name");
    }
    return {text, static_cast<std::size_t>(size)};
}

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

constexpr Signature<2> check_signature{"check", {"request", "max_steps"}, 1, 1};
constexpr Signature<3> allocate_signature{
    "allocate", {"request", "owner", "max_steps"}, 2, 2};
constexpr Signature<3> resize_signature{
    "resize", {"owner", "request", "max_steps"}, 2, 2};

// Keeps the GIL for an answer as short as the last one; gives it up for any other.
template <class Try, class Ask>
Verdict ask_quickly(const SharedRequest& request, Try try_it, Ask ask) {
    if (request.is_quick()) {
        if (std::optional<Verdict> verdict = try_it()) {
            return std::move(*verdict);
        }
    }
    Verdict verdict = [&] {
        const py::gil_scoped_release release;
        return ask();
    }();
    request.note_steps(verdict.answer.steps);
    return verdict;
}

PyObject* check(PyObject* self,
                PyObject* const* values,
                Py_ssize_t count,
                PyObject* names) {
    return guarded([&] {
        const auto [request, max_steps] =
            arguments(check_signature, values, count, names);
        const AllocatorObject& allocator = allocator_from(self);
        const SharedRequest& shared = request_from(request);
        const Compiled compiled = shared.compiled_for(allocator.machine.core);
        const SearchLimits limits = limits_from(max_steps);
        Allocator& core = *allocator.core;
        Verdict verdict = ask_quickly(
            shared,
            [&] {
                return core.try_check(compiled, limits, SharedRequest::quick_steps);
            },
            [&] { return core.check(compiled, limits); });
        return make_verdict(std::move(verdict), allocator.machine, Operation::check)
            .release()
            .ptr();
    });
}

// The end of allocate and resize: a Placement, or the error with its Verdict.
PyObject* placed_or_throw(Verdict&& verdict,
                          const MachineRef& machine,
                          Operation operation) {
    if (!is_placed(verdict.answer.status)) {
        throw_not_placed(std::move(verdict), machine, operation);
    }
    return make_placement({std::move(verdict.answer.placement),
                           machine,
                           std::move(verdict.owner),
                           verdict.answer.status})
        .release()
        .ptr();
}

PyObject* allocate(PyObject* self,
                   PyObject* const* values,
                   Py_ssize_t count,
                   PyObject* names) {
    return guarded([&] {
        const auto [request, owner_object, max_steps] =
            arguments(allocate_signature, values, count, names);
        const AllocatorObject& allocator = allocator_from(self);
        const SharedRequest& shared = request_from(request);
        const Compiled compiled = shared.compiled_for(allocator.machine.core);
        const std::string owner = owner_from(owner_object);
        const SearchLimits limits = limits_from(max_steps);
        Allocator& core = *allocator.core;
        Verdict verdict = ask_quickly(
            shared,
            [&] {
                return core.try_allocate(
                    compiled, owner, limits, SharedRequest::quick_steps);
            },
            [&] { return core.allocate(compiled, owner, limits); });
        return placed_or_throw(
            std::move(verdict), allocator.machine, Operation::allocate);
    });
}

PyObject* resize(PyObject* self,
                 PyObject* const* values,
                 Py_ssize_t count,
                 PyObject* names) {
    return guarded([&] {
        const auto [owner_object, request, max_steps] =
            arguments(resize_signature, values, count, names);
        const AllocatorObject& allocator = allocator_from(self);
        const Compiled compiled =
            request_from(request).compiled_for(allocator.machine.core);
        const std::string owner = owner_from(owner_object);
        const SearchLimits limits = limits_from(max_steps);
        Verdict verdict = [&] {
            const py::gil_scoped_release release;
            return allocator.core->resize(compiled, owner, limits);
        }();
        return placed_or_throw(
            std::move(verdict), allocator.machine, Operation::resize);
    });
}

// The owner that a Placement names must still hold just that.
std::string owner_of_placement(const AllocatorObject& allocator,
                               const PlacementContent& content) {
    const std::optional<Holding> holding = [&] {
        const py::gil_scoped_release release;
        return allocator.core->holding(content.owner);
    }();
    if (!holding || allocator.machine.core != content.machine.core ||
        holding->placement != content.placement) {
        throw StateError("placement: not held now by '" + content.owner +
                         "', want a Placement in force");
    }
    return content.owner;
}

PyObject* release(PyObject* self, PyObject* owner_or_placement) {
    return guarded([&] {
        const AllocatorObject& allocator = allocator_from(self);
        const PlacementContent* content = placement_from(owner_or_placement);
        const std::string owner = content == nullptr
                                      ? owner_from(owner_or_placement)
                                      : owner_of_placement(allocator, *content);
        if (!allocator.core->try_release(owner)) {
            const py::gil_scoped_release release_gil;
            allocator.core->release(owner);
        }
        return Py_NewRef(Py_None);
    });
}

using FastCall = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);

// CPython's own cast: the flags say which of its function types it is.
PyCFunction as_method(FastCall function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Docstrings elsewhere are the face's; these calls have no wrapper there to carry them,
// since one more Python frame costs a fifth of a check. The first line gives inspect
// the signature.
constexpr const char* check_doc = R"(check($self, request, *, max_steps=2000000)
--

Answer a Request without taking anything.

Parameters
----------
request : Request
    Reuse it: what it means on this Machine is computed once.
max_steps : int, default 2_000_000
    Search nodes that the answer may cost.

Returns
-------
Verdict
    OPTIMAL with the best Placement, INFEASIBLE (a proof, not an error), FEASIBLE (the best
    found within the limit) or UNKNOWN.

Raises
------
InvalidRequestError
    The Request names what the Machine lacks.

Examples
--------
>>> import topoalloc as ta
>>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
>>> allocator.check(ta.Request(cores=2)).status.name
'OPTIMAL'
)";
constexpr const char* allocate_doc =
    R"(allocate($self, request, owner, *, max_steps=2000000)
--

Take the best Placement for an owner.

Parameters
----------
request : Request
    Reuse it: what it means on this Machine is computed once.
owner : str
    Holds one Placement at most. An equal Request from the same owner returns what it holds.
max_steps : int, default 2_000_000
    Search nodes that the answer may cost; the best found within it is taken.

Returns
-------
Placement

Raises
------
InfeasibleError
    It is proved that there is none; ``verdict`` says why.
UndecidedError
    The limit came first, and nothing was found.
StateError
    The owner holds another Request.
InvalidRequestError
    The Request names what the Machine lacks.

Examples
--------
>>> import topoalloc as ta
>>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
>>> allocator.allocate(ta.Request(cores=2), owner="pod-7").cpuset
'0-3'
)";
constexpr const char* resize_doc =
    R"(resize($self, owner, request, *, max_steps=2000000)
--

Exchange what an owner holds for the best Placement of another Request.

It is chosen as if the owner held nothing; ``keep`` of the Request names what must not move.
All of that must be available: where a part of it is cordoned by now, the answer is a no.

Parameters
----------
owner : str
    Holds a Placement.
request : Request
    What it needs from now on.
max_steps : int, default 2_000_000
    Search nodes that the answer may cost.

Returns
-------
Placement

Raises
------
InfeasibleError, UndecidedError
    As for allocate; the owner keeps what it has.
StateError
    The owner holds nothing.
InvalidRequestError
    The Request names what the Machine lacks.

Examples
--------
>>> import topoalloc as ta
>>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
>>> _ = allocator.allocate(ta.Request(cores=1), owner="pod-7")
>>> allocator.resize("pod-7", ta.Request(cores=2, keep=["pus"])).cpuset
'0-3'
)";
constexpr const char* release_doc = R"(release($self, owner, /)
--

Give back what an owner holds.

Parameters
----------
owner : str or Placement
    A Placement must be what its owner holds now.

Raises
------
StateError
    The owner holds nothing, or not that Placement.

Examples
--------
>>> import topoalloc as ta
>>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
>>> placement = allocator.allocate(ta.Request(cores=2), owner="pod-7")
>>> allocator.release(placement)
>>> allocator.placements
{}
)";

std::array hot_methods = {
    PyMethodDef{"check", as_method(&check), METH_FASTCALL | METH_KEYWORDS, check_doc},
    PyMethodDef{
        "allocate", as_method(&allocate), METH_FASTCALL | METH_KEYWORDS, allocate_doc},
    PyMethodDef{
        "resize", as_method(&resize), METH_FASTCALL | METH_KEYWORDS, resize_doc},
    PyMethodDef{"release", &release, METH_O, release_doc},
};

void add_hot_methods(const py::object& type) {
    for (PyMethodDef& method : hot_methods) {
        const auto descriptor = py::reinterpret_steal<py::object>(
            PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &method));
        if (!descriptor) {
            throw py::error_already_set();
        }
        type.attr(method.ml_name) = descriptor;
    }
}

// Batches.

Compiled compiled_for(const AllocatorObject& allocator, const py::handle& request) {
    return request_from(request.ptr()).compiled_for(allocator.machine.core);
}

py::list check_many(const AllocatorObject& self,
                    const py::list& requests,
                    std::uint64_t max_steps) {
    std::vector<Compiled> compiled;
    compiled.reserve(requests.size());
    for (const py::handle& request : requests) {
        compiled.push_back(compiled_for(self, request));
    }
    std::vector<Verdict> verdicts;
    verdicts.reserve(compiled.size());
    {
        const py::gil_scoped_release release_gil;
        for (const Compiled& request : compiled) {
            verdicts.push_back(self.core->check(request, {max_steps}));
        }
    }
    py::list result(verdicts.size());
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        result[i] =
            make_verdict(std::move(verdicts[i]), self.machine, Operation::check);
    }
    return result;
}

py::list allocate_batch(const AllocatorObject& self,
                        const py::object& request,
                        const py::list& names,
                        std::uint64_t max_steps) {
    const Compiled compiled = compiled_for(self, request);
    std::vector<std::string> owners;
    owners.reserve(names.size());
    for (const py::handle& name : names) {
        owners.push_back(owner_from(name.ptr()));
    }
    const auto batch = [&] {
        const py::gil_scoped_release release_gil;
        return std::make_shared<const BatchAnswers>(
            self.core->allocate_batch(compiled, owners, {max_steps}));
    }();
    py::list result(batch->verdicts.size());
    for (std::size_t i = 0; i < batch->verdicts.size(); ++i) {
        result[i] = make_verdict(batch, i, self.machine);
    }
    return result;
}

NamedRequests named_requests(const AllocatorObject& self, const py::dict& requests) {
    NamedRequests named;
    for (const auto& [owner, request] : requests) {
        named.emplace_back(owner_from(owner.ptr()), compiled_for(self, request));
    }
    return named;
}

// status, reason, cost terms, steps, {owner: Placement}, and a function that gives the
// rows of the state that was asked: few ask for them.
py::tuple joint(const AllocatorObject& self,
                const py::dict& requests,
                std::uint64_t max_steps,
                bool takes) {
    const NamedRequests named = named_requests(self, requests);
    BatchVerdict verdict = [&] {
        const py::gil_scoped_release release_gil;
        return takes ? self.core->allocate_many(named, {max_steps})
                     : self.core->check_joint(named, {max_steps});
    }();
    py::dict placements;
    py::object cost = py::none();
    if (is_placed(verdict.status)) {
        cost = cost_terms(verdict.cost);
        for (std::size_t i = 0; i < named.size(); ++i) {
            const std::string& owner = named[i].first;
            placements[py::str(owner)] =
                make_placement({std::move(verdict.placements.at(i)),
                                self.machine,
                                owner,
                                verdict.status});
        }
    }
    const py::cpp_function rows(
        [state = std::move(verdict.state),
         holdings = std::move(verdict.holdings),
         machine = self.machine] { return state_rows(*state, *holdings, machine); });
    return py::make_tuple(status_object(verdict.status),
                          std::string(reason_name(verdict.reason)),
                          cost,
                          verdict.steps,
                          placements,
                          rows);
}

py::tuple headroom(const AllocatorObject& self,
                   const py::object& request,
                   std::uint64_t max_steps) {
    const Compiled compiled = compiled_for(self, request);
    const HeadroomResult found = [&] {
        const py::gil_scoped_release release_gil;
        return self.core->headroom(compiled, {max_steps});
    }();
    return py::make_tuple(found.count, found.upper, found.steps);
}

// What is held and what is free.

py::object take(const AllocatorObject& self,
                const std::string& owner,
                const std::string& pus,
                const MemoryRows& memory,
                const DeviceRows& devices) {
    Placement placement = placement_of(*self.machine.core, pus, memory, devices);
    Placement taken = [&] {
        const py::gil_scoped_release release_gil;
        return self.core->take(std::move(placement), owner);
    }();
    return make_placement({std::move(taken), self.machine, owner});
}

/// (index of the Pair, ((a, b), ...)) by names
using PairRows = std::vector<
    std::pair<std::uint32_t, std::vector<std::pair<std::string, std::string>>>>;

std::vector<MadePairs> pairs_from(const Machine& machine, const PairRows& rows) {
    std::vector<MadePairs> made;
    for (const auto& [constraint, names] : rows) {
        MadePairs pairs{constraint, {}};
        for (const auto& [a, b] : names) {
            pairs.pairs.emplace_back(device_index(machine, a),
                                     device_index(machine, b));
        }
        made.push_back(std::move(pairs));
    }
    return made;
}

void restore_holding(const AllocatorObject& self,
                     const std::string& owner,
                     const py::object& request,
                     const py::dict& rows) {
    const Machine& machine = *self.machine.core;
    Holding holding;
    if (!request.is_none()) {
        holding.request =
            std::make_shared<const Request>(request_from(request.ptr()).request());
    }
    holding.status = status_from(rows["status"]);
    Placement& placement = holding.placement;
    placement = placement_of(machine,
                             rows["pus"].cast<std::string>(),
                             rows["memory"].cast<MemoryRows>(),
                             rows["devices"].cast<DeviceRows>());
    for (const auto locality : rows["localities"].cast<std::vector<std::size_t>>()) {
        if (locality >= machine.localities().size()) {
            throw InvalidRequestError("localities: " + std::to_string(locality) +
                                      ", want one of the Machine");
        }
        placement.localities.set(locality);
    }
    placement.pairs = pairs_from(machine, rows["pairs"].cast<PairRows>());
    placement.cost.terms =
        rows["cost"].cast<std::array<std::int64_t, Cost::term_count>>();
    const py::gil_scoped_release release_gil;
    self.core->restore_holding(owner, std::move(holding));
}

py::dict placements(const AllocatorObject& self) {
    std::map<std::string, Holding> holdings = [&] {
        const py::gil_scoped_release release_gil;
        return self.core->holdings();
    }();
    py::dict result;
    for (auto& [owner, holding] : holdings) {
        result[py::str(owner)] = make_placement(
            {std::move(holding.placement), self.machine, owner, holding.status});
    }
    return result;
}

std::shared_ptr<const NodeState> state_of(const AllocatorObject& self) {
    const py::gil_scoped_release release_gil;
    return self.core->state();
}

std::string free_pus(const AllocatorObject& self) {
    return self.machine.core->pus_to_os(state_of(self)->free_pus()).to_list();
}

// (NUMANode os_index, page size, free bytes), zeros left out but for base pages
MemoryRows free_memory_rows(const AllocatorObject& self) {
    const Machine& machine = *self.machine.core;
    const auto state = state_of(self);
    MemoryRows rows;
    for (std::uint32_t node = 0; node < machine.numa_nodes().size(); ++node) {
        for (std::uint32_t size = 0; size < machine.page_sizes().size(); ++size) {
            const std::uint64_t bytes = state->free_bytes(node, size);
            if (bytes != 0 || size == 0) {
                rows.emplace_back(machine.numa_nodes()[node].os_index,
                                  machine.page_sizes()[size],
                                  bytes);
            }
        }
    }
    return rows;
}

py::tuple free_devices(const AllocatorObject& self) {
    const auto& devices = self.machine.core->devices();
    const auto state = state_of(self);
    std::vector<std::string> names;
    for (std::uint32_t device = 0; device < devices.size(); ++device) {
        if (state->is_available(device)) {
            names.push_back(devices[device].name);
        }
    }
    return py::cast(names);
}

// Atomic: state and holdings are read from a copy that nobody else has.
py::dict state_dict(const AllocatorObject& self) {
    std::unique_ptr<Allocator> copy;
    std::map<std::string, Holding> holdings;
    {
        const py::gil_scoped_release release_gil;
        copy = self.core->fork();
        holdings = copy->holdings();
    }
    return state_rows(*copy->state(), holdings, self.machine);
}

void bind_state_methods(py::class_<AllocatorObject>& cls) {
    cls.def(
           "cordon_device",
           [](const AllocatorObject& self, const std::string& key, bool cordoned) {
               const std::uint32_t device = device_index(*self.machine.core, key);
               const py::gil_scoped_release release_gil;
               self.core->cordon_device(device, cordoned);
           },
           py::arg("device"),
           py::arg("cordoned"))
        .def(
            "cordon_pu",
            [](const AllocatorObject& self, std::uint32_t os_index, bool cordoned) {
                const std::uint32_t pu = pu_index(*self.machine.core, os_index);
                const py::gil_scoped_release release_gil;
                self.core->cordon_pu(pu, cordoned);
            },
            py::arg("os_index"),
            py::arg("cordoned"))
        .def(
            "owners_of_device",
            [](const AllocatorObject& self, const std::string& key) {
                const std::uint32_t device = device_index(*self.machine.core, key);
                const py::gil_scoped_release release_gil;
                return self.core->owners_of_device(device);
            },
            py::arg("device"))
        .def(
            "owner_of_pu",
            [](const AllocatorObject& self, std::uint32_t os_index) {
                const std::uint32_t pu = pu_index(*self.machine.core, os_index);
                const py::gil_scoped_release release_gil;
                return self.core->owner_of_pu(pu);
            },
            py::arg("os_index"))
        .def("check_consistency", [](const AllocatorObject& self) {
            const py::gil_scoped_release release_gil;
            self.core->check_consistency();
        });
}

}  // namespace

SearchLimits limits_from(PyObject* max_steps) {
    SearchLimits limits;
    if (max_steps != nullptr) {
        limits.max_steps = PyLong_AsUnsignedLongLong(max_steps);
        // A bool is an int to Python, and no number of steps.
        if (PyErr_Occurred() != nullptr || PyBool_Check(max_steps) != 0) {
            PyErr_Clear();
            throw InvalidRequestError("max_steps: " + shown(max_steps) +
                                      ", want an int of 0 to 2^64 - 1");
        }
    }
    return limits;
}

void bind_allocator(py::module_& m) {
    const py::class_<NodeHandle> node(m, "NodeHandle");
    py::class_<AllocatorObject> cls(m, "Allocator");
    cls.def(py::init(&make_allocator),
            py::arg("machine"),
            py::arg("reserved_pus"),
            py::arg("policy"))
        .def(py::init(&fork_allocator), py::arg("other"))
        .def(py::init(&share_allocator), py::arg("node"))
        .def_property_readonly(
            "machine", [](const AllocatorObject& self) { return self.machine.object; })
        .def_property_readonly(
            "policy_row",
            [](const AllocatorObject& self) { return policy_row(self.core->policy()); })
        .def_property_readonly("placements", &placements)
        .def_property_readonly("free_pus", &free_pus)
        .def_property_readonly("free_devices", &free_devices)
        .def("free_memory_rows", &free_memory_rows)
        .def("state_dict", &state_dict)
        .def("check_all", &check_many, py::arg("requests"), py::arg("max_steps"))
        .def("allocate_each",
             &allocate_batch,
             py::arg("request"),
             py::arg("owners"),
             py::arg("max_steps"))
        .def("joint",
             &joint,
             py::arg("requests"),
             py::arg("max_steps"),
             py::arg("takes"))
        .def("headroom_of", &headroom, py::arg("request"), py::arg("max_steps"))
        .def("take_rows",
             &take,
             py::arg("owner"),
             py::arg("pus"),
             py::arg("memory"),
             py::arg("devices"))
        .def("restore_holding",
             &restore_holding,
             py::arg("owner"),
             py::arg("request"),
             py::arg("rows"));
    bind_state_methods(cls);
    add_hot_methods(cls);
}

}  // namespace topoalloc::bindings
