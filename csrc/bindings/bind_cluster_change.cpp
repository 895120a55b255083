// SPDX-License-Identifier: Apache-2.0
//
// Changes of what runs in a Cluster: rows of plain values; topoalloc._cluster_change
// makes the words of them. Every call of the core runs without the GIL.
#include "cluster_object.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::bindings {
namespace {

using Strings = std::vector<std::string>;

/// A change, and the Machine of each end of its moves.
struct ChangeObject {
    ClusterChange change;
    std::vector<MachineRef> before, after;  ///< by move; none where there is no pod
    std::vector<ClusterTree> trees;
};

// Machines are looked up now, while the Cluster has them.
std::unique_ptr<ChangeObject> with_machines(const ClusterObject& self,
                                            std::unique_ptr<ChangeObject> found) {
    const auto of = [&](const std::optional<PodPlace>& pod) {
        return pod ? self.machines.of(pod->machine) : MachineRef{};
    };
    for (const PodMove& move : found->change.moves) {
        found->before.push_back(of(move.from));
        found->after.push_back(of(move.to));
    }
    return found;
}

template <class Ask>
std::unique_ptr<ChangeObject> ask(const ClusterObject& self, const Ask& question) {
    auto found = std::make_unique<ChangeObject>();
    {
        const py::gil_scoped_release release;
        found->change = question(*self.core);
        found->trees = self.core->trees();
    }
    return with_machines(self, std::move(found));
}

std::unique_ptr<ChangeObject> replace(const ClusterObject& self,
                                      const std::string& gang,
                                      const Strings& failed,
                                      std::uint64_t max_steps) {
    return ask(self, [&](const Cluster& cluster) {
        return cluster.replace(gang, failed, {max_steps});
    });
}

std::unique_ptr<ChangeObject> grow(const ClusterObject& self,
                                   const std::string& gang,
                                   std::uint64_t max_steps) {
    return ask(self,
               [&](const Cluster& cluster) { return cluster.grow(gang, {max_steps}); });
}

std::unique_ptr<ChangeObject> drain(const ClusterObject& self,
                                    const Strings& nodes,
                                    std::uint64_t max_steps) {
    return ask(self, [&](const Cluster& cluster) {
        return cluster.drain(nodes, {max_steps});
    });
}

std::unique_ptr<ChangeObject> preempt(const ClusterObject& self,
                                      const std::shared_ptr<Gang>& gang,
                                      std::uint64_t max_steps) {
    return ask(self, [&](const Cluster& cluster) {
        return cluster.preempt(gang, {max_steps});
    });
}

std::unique_ptr<ChangeObject> defragment(const ClusterObject& self,
                                         const std::shared_ptr<Gang>& gang,
                                         std::uint64_t max_steps) {
    return ask(self, [&](const Cluster& cluster) {
        return cluster.defragment(gang, {max_steps});
    });
}

void commit(ClusterObject& self, const ChangeObject& change) {
    const py::gil_scoped_release release;
    self.core->commit(change.change);
}

// (node, score), in node order
py::list scores(const ClusterObject& self,
                const py::object& request,
                std::uint64_t max_steps) {
    const auto shared = shared_request_from(request.ptr());
    const std::vector<NodeScore> found = [&] {
        const py::gil_scoped_release release;
        return self.core->scores(shared, {max_steps});
    }();
    py::list rows(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        rows[i] = py::make_tuple(found[i].node, found[i].score);
    }
    return rows;
}

// Gang, PodSet, rank, row of the pod before or None, row of it after or None
py::list move_rows(const ChangeObject& self) {
    const std::vector<PodMove>& moves = self.change.moves;
    py::list rows(moves.size());
    for (std::size_t i = 0; i < moves.size(); ++i) {
        const PodMove& move = moves[i];
        const auto row = [&](const std::optional<PodPlace>& pod,
                             const MachineRef& machine) -> py::object {
            return pod ? py::object(pod_row(*move.gang, *pod, machine)) : py::none();
        };
        rows[i] = py::make_tuple(move.gang->name,
                                 move.gang->podsets.at(move.podset).name,
                                 move.index,
                                 row(move.from, self.before[i]),
                                 row(move.to, self.after[i]));
    }
    return rows;
}

// (Gang, its lists), by name of the Gang
py::list rail_rows(const ChangeObject& self) {
    py::list rows;
    for (const auto& [name, rails] : self.change.rails) {
        const auto move = std::ranges::find_if(
            self.change.moves,
            [&](const PodMove& of) { return of.gang->name == name; });
        if (move != self.change.moves.end()) {
            rows.append(
                py::make_tuple(std::const_pointer_cast<Gang>(move->gang), rails));
        }
    }
    return rows;
}

py::dict explain_rows(const ChangeObject& self, std::uint64_t max_steps) {
    return change_explanation_rows(self.change, self.trees, {max_steps});
}

void bind_change(py::module_& m) {
    py::class_<ChangeObject>(m, "ClusterChange")
        .def_property_readonly(
            "gang",
            [](const ChangeObject& self) {
                return std::const_pointer_cast<Gang>(self.change.verdict.gang);
            })
        .def_property_readonly(
            "verdict_row",
            [](const ChangeObject& self) { return verdict_row(self.change.verdict); })
        .def_property_readonly(
            "cost_row",
            [](const ChangeObject& self) { return cost_row(self.change.cost); })
        .def_property_readonly("move_rows", &move_rows)
        .def_property_readonly("rail_rows", &rail_rows)
        .def_property_readonly(
            "members", [](const ChangeObject& self) { return self.change.members; })
        .def("explain_rows", &explain_rows, py::arg("max_steps"))
        .def_property_readonly(
            "victims", [](const ChangeObject& self) { return self.change.victims; })
        .def_property_readonly(
            "least", [](const ChangeObject& self) { return self.change.least; })
        .def_property_readonly(
            "is_least", [](const ChangeObject& self) { return self.change.is_least; })
        .def_property_readonly(
            "left_rows", [](const ChangeObject& self) { return self.change.left; })
        .def_property_readonly(
            "cordoned", [](const ChangeObject& self) { return self.change.cordoned; });
}

}  // namespace

void bind_cluster_change(py::module_& m, ClusterClass& cls) {
    bind_change(m);
    cls.def("replace_pods",
            &replace,
            py::arg("gang"),
            py::arg("failed"),
            py::arg("max_steps"))
        .def("grow_gang", &grow, py::arg("gang"), py::arg("max_steps"))
        .def("drain_nodes", &drain, py::arg("nodes"), py::arg("max_steps"))
        .def("preempt_for", &preempt, py::arg("gang").none(false), py::arg("max_steps"))
        .def("defragment_for",
             &defragment,
             py::arg("gang").none(false),
             py::arg("max_steps"))
        .def("commit_change", &commit, py::arg("change"))
        .def("score_rows", &scores, py::arg("request"), py::arg("max_steps"));
}

}  // namespace topoalloc::bindings
