// SPDX-License-Identifier: Apache-2.0
//
// Cluster and GangPlan: rows of plain values in and out; topoalloc._cluster makes the
// words of them. Every call of the core runs without the GIL: it may wait for the
// Cluster's lock, and most search or copy more than a microsecond's worth.
#include "cluster_object.hpp"
#include "topoalloc/errors.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace topoalloc::bindings {
namespace {

using Strings = std::vector<std::string>;
using Texts = std::map<std::string, std::string>;
/// key, value, effect
using TaintRow = std::tuple<std::string, std::string, std::string>;

std::unique_ptr<ClusterObject> make_cluster(
    const std::vector<std::pair<std::string, Strings>>& trees,
    const PolicyRow& policy) {
    std::vector<ClusterTree> declared;
    declared.reserve(trees.size());
    for (const auto& [name, levels] : trees) {
        declared.push_back({name, levels});
    }
    return std::make_unique<ClusterObject>(
        std::make_unique<Cluster>(std::move(declared), policy_from(policy)));
}

std::unique_ptr<ClusterObject> fork_cluster(const ClusterObject& other) {
    const py::gil_scoped_release release;
    return std::make_unique<ClusterObject>(other);
}

// Nodes.

std::vector<Taint> taints_from(const std::vector<TaintRow>& rows) {
    std::vector<Taint> taints;
    taints.reserve(rows.size());
    for (const auto& [key, value, effect] : rows) {
        taints.push_back({key, value, taint_effect_from(effect)});
    }
    return taints;
}

std::string text_of(const py::handle& value, const std::string& path) {
    if (PyUnicode_Check(value.ptr()) == 0) {
        throw InvalidRequestError(path + ": " + Py_TYPE(value.ptr())->tp_name +
                                  ", want a str or None");
    }
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (text == nullptr) {
        PyErr_Clear();
        throw InvalidRequestError(path + ": " + shown(value) +
                                  ", want text without lone surrogates");
    }
    std::string found(text, static_cast<std::size_t>(size));
    if (found.find('\0') != std::string::npos) {
        throw InvalidRequestError(path + ": " + shown(value) +
                                  ", want text without null characters");
    }
    return found;
}

/// Puts one value, or that of each node, under its key; None puts nothing.
/// Requires: a list is as long as there are nodes.
void fill_column(std::vector<NodeDescription>& nodes,
                 Texts NodeDescription::* member,
                 const std::string& argument,
                 const std::pair<py::handle, py::handle>& column) {
    const auto key = column.first.cast<std::string>();
    const std::string path = argument + "['" + key + "']";
    const bool is_list = PyList_Check(column.second.ptr()) != 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const py::object value =
            is_list ? py::object(py::reinterpret_borrow<py::list>(column.second)[i])
                    : py::reinterpret_borrow<py::object>(column.second);
        if (!value.is_none()) {
            (nodes[i].*member)[key] =
                text_of(value, is_list ? path + "[" + std::to_string(i) + "]" : path);
        }
    }
}

/// The core's Machine and the reserved PUs of each topoalloc.Machine that it meets.
class MachineReader {
  public:
    explicit MachineReader(const std::string& reserved_pus)
        : reserved_pus_(Bitmap::parse_list(reserved_pus)) {}

    struct Known {
        MachineRef machine;
        Bitmap reserved_pus;
    };
    const Known& of(const py::handle& machine) {
        const auto [entry, is_new] = known_.try_emplace(machine.ptr());
        if (is_new) {
            entry->second = read(machine);
        }
        return entry->second;
    }

  private:
    [[nodiscard]] Known read(const py::handle& machine) const {
        py::detail::make_caster<Machine> caster;
        if (!caster.load(machine, false)) {
            throw py::type_error(std::string("machine: ") +
                                 Py_TYPE(machine.ptr())->tp_name +
                                 " or one whose __init__ was not called, want a "
                                 "Machine");
        }
        auto core = machine.cast<std::shared_ptr<const Machine>>();
        Bitmap reserved = core->pus_from_os(reserved_pus_);
        return {{std::move(core), py::reinterpret_borrow<py::object>(machine)},
                std::move(reserved)};
    }

    Bitmap reserved_pus_;  ///< by os_index
    std::unordered_map<PyObject*, Known> known_;
};

/// One Machine for all, or a list of them; columns as fill_column reads them.
void add_nodes(ClusterObject& self,
               const Strings& names,
               const py::object& machines,
               const std::string& reserved_pus,
               const py::dict& domains,
               const py::dict& labels,
               const std::vector<TaintRow>& taints) {
    MachineReader reader(reserved_pus);
    const std::vector<Taint> all_taints = taints_from(taints);
    const bool is_list = PyList_Check(machines.ptr()) != 0;
    std::vector<NodeDescription> nodes(names.size());
    std::vector<MachineRef> used;
    used.reserve(names.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const py::object machine =
            is_list ? py::object(py::reinterpret_borrow<py::list>(machines)[i])
                    : machines;
        const MachineReader::Known& known = reader.of(machine);
        nodes[i].name = names[i];
        nodes[i].machine = known.machine.core;
        nodes[i].reserved_pus = known.reserved_pus;
        nodes[i].taints = all_taints;
        used.push_back(known.machine);
    }
    for (const auto& column : domains) {
        fill_column(nodes, &NodeDescription::domains, "domains", column);
    }
    for (const auto& column : labels) {
        fill_column(nodes, &NodeDescription::labels, "labels", column);
    }
    // Before the nodes, so that whoever sees a node finds its object.
    self.machines.add(used);
    try {
        const py::gil_scoped_release release;
        self.core->add_nodes(std::move(nodes));
    } catch (...) {
        for (const MachineRef& machine : used) {
            self.machines.remove(machine.core.get());
        }
        throw;
    }
}

void remove_node(ClusterObject& self, const std::string& name) {
    const std::shared_ptr<const Machine> machine = [&] {
        const py::gil_scoped_release release;
        auto found = self.core->describe(name).machine;
        self.core->remove_node(name);
        return found;
    }();
    self.machines.remove(machine.get());
}

// Machine, reserved PUs in list form, domains, labels, taints, cordoned
py::tuple describe(const ClusterObject& self, const std::string& name) {
    NodeDescription node;
    bool is_cordoned = false;
    {
        const py::gil_scoped_release release;
        node = self.core->describe(name);
        is_cordoned = self.core->is_cordoned(name);
    }
    std::vector<TaintRow> taints;
    for (const Taint& taint : node.taints) {
        taints.emplace_back(taint.key, taint.value, taint_effect_name(taint.effect));
    }
    return py::make_tuple(self.machines.of(node.machine).object,
                          node.machine->pus_to_os(node.reserved_pus).to_list(),
                          node.domains,
                          node.labels,
                          taints,
                          is_cordoned);
}

NodeHandle node_handle(ClusterObject& self, const std::string& name) {
    std::shared_ptr<Allocator> core = [&] {
        const py::gil_scoped_release release;
        return self.core->node(name);
    }();
    return {self.machines.of(core->machine()), std::move(core)};
}

// Gangs.

/// A plan, and what it takes to show its pods.
struct PlanObject {
    GangPlan plan;
    std::vector<MachineRef> machines;  ///< by pod
    std::vector<ClusterTree> trees;
};

}  // namespace

std::vector<MachineRef> machines_of(const ClusterObject& self,
                                    const std::vector<PodPlace>& pods) {
    std::vector<MachineRef> found;
    found.reserve(pods.size());
    for (const PodPlace& pod : pods) {
        if (!found.empty() && found.back().core == pod.machine) {
            found.push_back(found.back());
        } else {
            found.push_back(self.machines.of(pod.machine));
        }
    }
    return found;
}

py::tuple pod_row(const Gang& gang, const PodPlace& pod, const MachineRef& machine) {
    return py::make_tuple(
        gang.podsets.at(pod.podset).name,
        pod.index,
        pod.node,
        make_placement(
            {*pod.placement, machine, pod_owner(gang, pod.podset, pod.index)}));
}

py::tuple verdict_row(const GangVerdict& verdict) {
    py::object podset = py::none();
    if (verdict.podset != no_index) {
        podset = py::str(verdict.gang->podsets.at(verdict.podset).name);
    }
    return py::make_tuple(status_object(verdict.status),
                          std::string(gang_reason_name(verdict.reason)),
                          podset,
                          verdict.steps);
}

py::tuple cost_row(const GangCost& cost) {
    return py::make_tuple(cost.short_pods,
                          py::tuple(py::cast(cost.unmet)),
                          py::tuple(py::cast(cost.domains)),
                          cost.nodes,
                          cost.waste,
                          py::tuple(py::cast(cost.opened)));
}

namespace {

py::list pod_rows(const Gang& gang,
                  const std::vector<PodPlace>& pods,
                  const std::vector<MachineRef>& machines) {
    py::list rows(pods.size());
    for (std::size_t i = 0; i < pods.size(); ++i) {
        rows[i] = pod_row(gang, pods[i], machines[i]);
    }
    return rows;
}

void register_shape(ClusterObject& self, const std::shared_ptr<Gang>& gang) {
    const py::gil_scoped_release release;
    self.core->register_shape(*gang);
}

py::tuple check_gang(const ClusterObject& self,
                     const std::shared_ptr<Gang>& gang,
                     std::uint64_t max_steps) {
    const GangVerdict verdict = [&] {
        const py::gil_scoped_release release;
        return self.core->check(gang, {max_steps});
    }();
    return verdict_row(verdict) +
           py::make_tuple(make_gang_source(verdict, nullptr, {}));
}

std::unique_ptr<PlanObject> place_gang(const ClusterObject& self,
                                       const std::shared_ptr<Gang>& gang,
                                       std::uint64_t max_steps) {
    auto found = std::make_unique<PlanObject>();
    {
        const py::gil_scoped_release release;
        found->plan = self.core->place(gang, {max_steps});
    }
    found->machines = machines_of(self, found->plan.pods);
    found->trees = self.core->trees();
    return found;
}

void commit(ClusterObject& self, const PlanObject& plan) {
    const py::gil_scoped_release release;
    self.core->commit(plan.plan);
}

void adopt(
    ClusterObject& self,
    const std::shared_ptr<Gang>& gang,
    const std::vector<std::tuple<std::uint32_t, std::uint32_t, std::string>>& pods,
    GangRails rails) {
    std::vector<PodPlace> places;
    places.reserve(pods.size());
    for (const auto& [podset, index, node] : pods) {
        places.push_back({podset, index, node, nullptr});
    }
    const py::gil_scoped_release release;
    self.core->adopt(gang, std::move(places), std::move(rails));
}

void release_pods(ClusterObject& self,
                  const std::string& gang,
                  const std::optional<Cluster::PodNames>& pods) {
    const py::gil_scoped_release release;
    self.core->release(gang, pods);
}

// Gang, rows of its pods, its rails, and rows of pods that have lost their place; by
// name
py::dict running_gangs(const ClusterObject& self) {
    const std::map<std::string, RunningGang> gangs = [&] {
        const py::gil_scoped_release release;
        return self.core->gangs();
    }();
    py::dict rows;
    for (const auto& [name, running] : gangs) {
        rows[py::str(name)] = py::make_tuple(
            std::const_pointer_cast<Gang>(running.gang),
            pod_rows(*running.gang, running.pods, machines_of(self, running.pods)),
            running.rails,
            pod_rows(*running.gang, running.lost, machines_of(self, running.lost)));
    }
    return rows;
}

// (path, count, upper)
py::list headroom(const ClusterObject& self,
                  const py::object& request,
                  const std::string& level,
                  std::uint64_t max_steps) {
    const auto shared = shared_request_from(request.ptr());
    const std::vector<DomainHeadroom> found = [&] {
        const py::gil_scoped_release release;
        return self.core->headroom(shared, level, {max_steps});
    }();
    py::list rows(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        rows[i] = py::make_tuple(
            py::tuple(py::cast(found[i].path)), found[i].count, found[i].upper);
    }
    return rows;
}

std::vector<std::pair<std::string, Strings>> tree_rows(const ClusterObject& self) {
    std::vector<std::pair<std::string, Strings>> rows;
    for (const ClusterTree& tree : self.core->trees()) {
        rows.emplace_back(tree.name, tree.levels);
    }
    return rows;
}

void bind_nodes(ClusterClass& cls) {
    using NoGil = py::call_guard<py::gil_scoped_release>;
    cls.def("add_rows",
            &add_nodes,
            py::arg("names"),
            py::arg("machines"),
            py::arg("reserved_pus"),
            py::arg("domains"),
            py::arg("labels"),
            py::arg("taints"))
        .def("remove", &remove_node, py::arg("name"))
        .def(
            "set_cordoned",
            [](ClusterObject& self, const std::string& name, bool cordoned) {
                self.core->cordon_node(name, cordoned);
            },
            py::arg("name"),
            py::arg("cordoned"),
            NoGil())
        .def(
            "relabel",
            [](ClusterObject& self, const std::string& name, Texts labels) {
                self.core->set_labels(name, std::move(labels));
            },
            py::arg("name"),
            py::arg("labels"),
            NoGil())
        .def(
            "retaint",
            [](ClusterObject& self,
               const std::string& name,
               const std::vector<TaintRow>& taints) {
                self.core->set_taints(name, taints_from(taints));
            },
            py::arg("name"),
            py::arg("taints"),
            NoGil())
        .def(
            "move",
            [](ClusterObject& self, const std::string& name, Texts domains) {
                self.core->set_domains(name, std::move(domains));
            },
            py::arg("name"),
            py::arg("domains"),
            NoGil())
        .def("describe_row", &describe, py::arg("name"))
        .def("node_handle", &node_handle, py::arg("name"))
        .def(
            "node_names",
            [](const ClusterObject& self) { return self.core->node_names(); },
            NoGil())
        .def(
            "__len__",
            [](const ClusterObject& self) { return self.core->size(); },
            NoGil());
}

void bind_gangs(ClusterClass& cls) {
    cls.def("register_gang", &register_shape, py::arg("gang").none(false))
        .def("check_gang",
             &check_gang,
             py::arg("gang").none(false),
             py::arg("max_steps"))
        .def("adopt_gang",
             &adopt,
             py::arg("gang").none(false),
             py::arg("pods"),
             py::arg("rails"))
        .def("place_gang",
             &place_gang,
             py::arg("gang").none(false),
             py::arg("max_steps"))
        .def("commit_plan", &commit, py::arg("plan"))
        .def("release_pods", &release_pods, py::arg("gang"), py::arg("pods"))
        .def("running_gangs", &running_gangs)
        .def("headroom_rows",
             &headroom,
             py::arg("request"),
             py::arg("level"),
             py::arg("max_steps"));
}

}  // namespace

void bind_cluster(py::module_& m) {
    py::class_<PlanObject>(m, "GangPlan")
        .def_property_readonly(
            "verdict_row",
            [](const PlanObject& self) {
                return verdict_row(self.plan.verdict) +
                       py::make_tuple(make_gang_source(
                           self.plan.verdict, &self.plan.cost, self.trees));
            })
        .def_property_readonly(
            "cost_row", [](const PlanObject& self) { return cost_row(self.plan.cost); })
        .def_property_readonly("rail_rows",
                               [](const PlanObject& self) { return self.plan.rails; })
        .def_property_readonly("pod_rows", [](const PlanObject& self) {
            return pod_rows(*self.plan.verdict.gang, self.plan.pods, self.machines);
        });
    ClusterClass cls(m, "Cluster");
    cls.def(py::init(&make_cluster), py::arg("trees"), py::arg("policy"))
        .def(py::init(&fork_cluster), py::arg("other"))
        .def_property_readonly("tree_rows", &tree_rows)
        .def_property_readonly(
            "policy_row",
            [](const ClusterObject& self) { return policy_row(self.core->policy()); })
        .def_property_readonly("state_count",
                               [](const ClusterObject& self) {
                                   const py::gil_scoped_release release;
                                   return self.core->state_count();
                               })
        .def("check_consistency", [](const ClusterObject& self) {
            const py::gil_scoped_release release;
            self.core->check_consistency();
        });
    bind_nodes(cls);
    bind_gangs(cls);
    bind_cluster_change(m, cls);
}

}  // namespace topoalloc::bindings
