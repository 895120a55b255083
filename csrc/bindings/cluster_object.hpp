// SPDX-License-Identifier: Apache-2.0
//
// What topoalloc._core.Cluster holds, for the files that bind parts of it.
#pragma once

#include "bindings.hpp"
#include "topoalloc/cluster.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace topoalloc::bindings {

/// The topoalloc.Machine of each Machine that nodes of a Cluster have, so that they
/// give back the object that they were given. Thread-safe; a copy takes constant time.
class MachineObjects {
  public:
    struct Entry {
        py::object object;
        std::size_t nodes = 0;
    };
    using Map = std::map<const Machine*, Entry>;

    MachineObjects() : map_(std::make_shared<const Map>()) {}
    MachineObjects(const MachineObjects& other) : map_(other.now()) {}
    MachineObjects& operator=(const MachineObjects&) = delete;
    MachineObjects(MachineObjects&&) = delete;
    MachineObjects& operator=(MachineObjects&&) = delete;
    ~MachineObjects() = default;

    void add(const std::vector<MachineRef>& machines) {
        change([&](Map& map) {
            for (const MachineRef& machine : machines) {
                Entry& entry = map[machine.core.get()];
                entry.object = machine.object;
                ++entry.nodes;
            }
        });
    }
    void remove(const Machine* machine) {
        change([&](Map& map) {
            const auto found = map.find(machine);
            if (found != map.end() && --found->second.nodes == 0) {
                map.erase(found);
            }
        });
    }
    [[nodiscard]] MachineRef of(const std::shared_ptr<const Machine>& machine) const {
        const std::shared_ptr<const Map> map = now();
        const auto found = map->find(machine.get());
        if (found != map->end()) {
            return {machine, found->second.object};
        }
        // The last node that had it was removed meanwhile: another object of the same
        // topology.
        const py::object face =
            py::module_::import("topoalloc._machine").attr("Machine");
        const py::object object = face.attr("__new__")(face);
        py::type::of<Machine>().attr("__init__")(
            object, py::cast(std::const_pointer_cast<Machine>(machine)));
        return {machine, object};
    }

  private:
    [[nodiscard]] std::shared_ptr<const Map> now() const {
        const std::scoped_lock lock(mutex_);
        return map_;
    }
    // What the old map alone held dies outside the lock: it may run Python.
    template <class Change>
    void change(Change change) {
        std::shared_ptr<const Map> old;
        const std::scoped_lock lock(mutex_);
        auto next = std::make_shared<Map>(*map_);
        change(*next);
        old = std::exchange(map_, std::move(next));
    }

    mutable std::mutex mutex_;
    std::shared_ptr<const Map> map_;
};

struct ClusterObject {
    explicit ClusterObject(std::unique_ptr<Cluster> cluster)
        : core(std::move(cluster)) {}
    /// A fork. Machines first: its nodes then have their objects.
    ClusterObject(const ClusterObject& other)
        : machines(other.machines), core(other.core->fork()) {}
    ClusterObject& operator=(const ClusterObject&) = delete;
    ClusterObject(ClusterObject&&) = delete;
    ClusterObject& operator=(ClusterObject&&) = delete;
    ~ClusterObject() = default;

    MachineObjects machines;
    std::unique_ptr<Cluster> core;
};

using ClusterClass = py::class_<ClusterObject>;

/// By pod.
[[nodiscard]] std::vector<MachineRef> machines_of(const ClusterObject& self,
                                                  const std::vector<PodPlace>& pods);
/// PodSet, rank, node, Placement. Requires: the Machine of the pod.
[[nodiscard]] py::tuple pod_row(const Gang& gang,
                                const PodPlace& pod,
                                const MachineRef& machine);
/// status, reason, PodSet or None, steps; those who give it out add a GangSource
[[nodiscard]] py::tuple verdict_row(const GangVerdict& verdict);
/// short, unmet, domains, nodes, waste, opened
[[nodiscard]] py::tuple cost_row(const GangCost& cost);

/// replace, grow, drain, preempt, defragment and score (bind_cluster_change.cpp).
void bind_cluster_change(py::module_& m, ClusterClass& cls);

}  // namespace topoalloc::bindings

template <>
class pybind11::detail::type_caster<topoalloc::bindings::ClusterObject>
    : public topoalloc::bindings::InitializedCaster<
          topoalloc::bindings::ClusterObject> {};
