// SPDX-License-Identifier: Apache-2.0
#include "compare_cluster.hpp"

#include "cluster_brute.hpp"
#include "core_state.hpp"
#include "gang_brute.hpp"
#include "gang_instances.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

namespace topoalloc::oracle {
namespace {

std::string name_of(std::uint32_t node) {
    return "n" + std::to_string(node);
}

// The instance in the core.
struct CoreCluster {
    std::vector<std::shared_ptr<const Machine>> machines;
    std::unique_ptr<Cluster> cluster;
    std::shared_ptr<const Gang> gang;

    explicit CoreCluster(const ClusterInstance& instance)
        : cluster(std::make_unique<Cluster>(
              instance.trees,
              Policy{instance.spread ? Packing::spread : Packing::pack})),
          gang(std::make_shared<const Gang>(instance.gang)) {
        for (const MachineSpec& spec : instance.machines) {
            machines.push_back(Machine::build(spec));
        }
        std::vector<NodeDescription> nodes;
        for (std::uint32_t n = 0; n < instance.nodes.size(); ++n) {
            const ClusterNode& node = instance.nodes[n];
            NodeDescription described;
            described.name = name_of(n);
            described.machine = machines[node.machine];
            described.reserved_pus = machines[node.machine]->pus_from_os(
                instance.states[node.state].reserved_pus);
            described.domains = node.domains;
            described.labels = node.labels;
            described.taints = node.taints;
            nodes.push_back(std::move(described));
        }
        cluster->add_nodes(std::move(nodes));
        for (std::uint32_t n = 0; n < instance.nodes.size(); ++n) {
            const ClusterNode& node = instance.nodes[n];
            fill(*cluster->node(name_of(n)),
                 instance.machines[node.machine],
                 instance.states[node.state]);
            if (node.cordoned) {
                cluster->cordon_node(name_of(n), true);
            }
        }
    }
};

// Vectors of pods by node of the reading.
std::vector<CountVector> vectors_of(const GangPlan& plan,
                                    const ClusterReading& reading) {
    std::map<std::string, std::size_t> position;
    for (std::size_t n = 0; n < reading.nodes.size(); ++n) {
        position[name_of(reading.nodes[n])] = n;
    }
    std::vector<CountVector> out(reading.nodes.size(),
                                 CountVector(reading.problem.podsets.size()));
    for (const PodPlace& pod : plan.pods) {
        ++out[position.at(pod.node)][pod.podset];
    }
    return out;
}

// What the Placements of a plan are to the oracle of one node; "" when they hold.
std::string judge_pods(const ClusterInstance& instance, const GangPlan& plan) {
    for (std::uint32_t n = 0; n < instance.nodes.size(); ++n) {
        const MachineSpec& spec = instance.machines[instance.nodes[n].machine];
        const OracleMachine m = derive(spec);
        CountVector pods(instance.gang.podsets.size());
        std::vector<BatchPart> parts;
        for (const PodPlace& pod : plan.pods) {
            if (pod.node == name_of(n)) {
                ++pods[pod.podset];
                parts.push_back(part_of(*pod.placement, *pod.machine, m));
            }
        }
        if (!parts.empty() && !judge_batch(pods_on(instance, n, pods), parts)) {
            return name_of(n);
        }
    }
    return "";
}

bool is_found(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// Where the limit came first, waste counts the copies known by then.
bool is_cost(GangCost stated, const GangCost& judged, bool is_optimal) {
    if (!is_optimal && stated.waste <= judged.waste) {
        stated.waste = judged.waste;
    }
    return stated == judged;
}

std::string_view difference_of_plan(const ClusterInstance& instance,
                                    const ClusterReading& reading,
                                    const GangPlan& plan,
                                    const GangBest& best) {
    const auto vectors = vectors_of(plan, reading);
    const auto cost = judge_gang(reading.problem, vectors);
    if (!cost) {
        return "plan";
    }
    const bool is_optimal = plan.verdict.status == Status::optimal;
    if (!is_cost(plan.cost, *cost, is_optimal)) {
        return "cost";
    }
    if (*cost < best.cost || (is_optimal && *cost != best.cost)) {
        return "best";
    }
    if (is_optimal && vectors != best.pods) {
        return "tie";
    }
    return judge_pods(instance, plan).empty() ? "" : "pods";
}

// Commits and releases; "release" when a node is not what it was.
std::string_view difference_after(CoreCluster& core, const GangPlan& plan) {
    std::vector<std::shared_ptr<const NodeState>> before;
    for (const std::string& name : core.cluster->node_names()) {
        before.push_back(core.cluster->node(name)->state());
    }
    core.cluster->commit(plan);
    core.cluster->check_consistency();
    core.cluster->release(core.gang->name);
    core.cluster->check_consistency();
    std::size_t n = 0;
    for (const std::string& name : core.cluster->node_names()) {
        if (!(*core.cluster->node(name)->state() == *before[n++])) {
            return "release";
        }
    }
    return "";
}

void compare_answers(const ClusterInstance& instance,
                     SearchLimits limits,
                     std::uint64_t most,
                     ClusterComparison& result) {
    const ClusterReading reading = read_cluster(instance, most);
    GangBest best;
    if (reading.is_counted) {
        best = brute_gang(reading.problem, most);
    }
    result.is_counted = reading.is_counted && best.is_counted;
    CoreCluster core(instance);
    const GangPlan plan = core.cluster->place(core.gang, limits);
    const GangVerdict check = core.cluster->check(core.gang, limits);
    result.place = plan.verdict.status;
    result.check = check.status;
    if (!result.is_counted) {
        return;
    }
    result.feasible = best.feasible;
    if ((is_found(result.place) && !best.feasible) ||
        (result.place == Status::infeasible && best.feasible)) {
        result.difference = "status";
    } else if ((is_found(result.check) && !best.feasible) ||
               (result.check == Status::infeasible && best.feasible)) {
        result.difference = "check";
    } else if (is_found(result.place)) {
        result.is_best = vectors_of(plan, reading) == best.pods;
        result.difference = difference_of_plan(instance, reading, plan, best);
        if (result.difference.empty() && !plan.pods.empty()) {
            result.difference = difference_after(core, plan);
        }
    }
    if (!result.difference.empty()) {
        result.detail = dump(reading.problem);
    }
}

}  // namespace

ClusterComparison compare(const ClusterInstance& instance,
                          SearchLimits limits,
                          std::uint64_t most) {
    ClusterComparison result;
    try {
        compare_answers(instance, limits, most, result);
    } catch (const Error& error) {
        result.difference = "refused";
        result.detail = error.what();
    }
    return result;
}

}  // namespace topoalloc::oracle
