// SPDX-License-Identifier: Apache-2.0
#include "compare.hpp"

#include "core_state.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <memory>
#include <sstream>

namespace topoalloc::oracle {
namespace {

Bitmap to_bitmap(Set set) {
    Bitmap bitmap;
    for (const std::uint32_t index : members(set)) {
        bitmap.set(index);
    }
    return bitmap;
}

std::string list(Set set) {
    return "{" + to_bitmap(set).to_list() + "}";
}

std::string part(const std::string& what,
                 std::size_t index,
                 const std::string& expected,
                 const std::string& found) {
    return what + "[" + std::to_string(index) + "]: core " + found + ", oracle " +
           expected;
}

template <class T>
std::string compare_sets(const std::string& what,
                         const std::vector<Set>& expected,
                         const std::vector<T>& found) {
    if (expected.size() != found.size()) {
        return what + ": core has " + std::to_string(found.size()) + ", oracle " +
               std::to_string(expected.size());
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (!(to_bitmap(expected[i]) == found[i].pus)) {
            return part(what, i, list(expected[i]), found[i].pus.to_list());
        }
    }
    return "";
}

std::string compare_tree(const OracleMachine& expected, const Machine& machine) {
    for (std::size_t pu = 0; pu < expected.pu_os_index.size(); ++pu) {
        if (pu >= machine.pus().size() ||
            machine.pus()[pu].os_index != expected.pu_os_index[pu]) {
            return "pus: order differs at " + std::to_string(pu);
        }
    }
    for (const std::string& difference :
         {compare_sets("cores", expected.cores, machine.cores()),
          compare_sets("dies", expected.dies, machine.dies()),
          compare_sets("l3s", expected.l3s, machine.l3s()),
          compare_sets("packages", expected.packages, machine.packages()),
          compare_sets("localities", expected.localities, machine.localities())}) {
        if (!difference.empty()) {
            return difference;
        }
    }
    if (!(to_bitmap(expected.allowed_pus) == machine.allowed_pus())) {
        return "allowed_pus differ";
    }
    return "";
}

std::string compare_memory(const OracleMachine& expected, const Machine& machine) {
    if (expected.numa_nodes.size() != machine.numa_nodes().size()) {
        return "numa_nodes: sizes differ";
    }
    if (!(to_bitmap(expected.allowed_numa_nodes) == machine.allowed_numa_nodes())) {
        return "allowed_numa_nodes differ";
    }
    for (std::size_t i = 0; i < expected.numa_nodes.size(); ++i) {
        const OracleNuma& numa = expected.numa_nodes[i];
        const std::uint32_t index = machine.numa_node_of_os_index(numa.os_index);
        if (index == no_index) {
            return "numa_nodes: lacks os_index " + std::to_string(numa.os_index);
        }
        const Bitmap& found = machine.numa_nodes()[index].localities;
        if (!(to_bitmap(numa.localities) == found)) {
            return part(
                "numa_nodes.localities", i, list(numa.localities), found.to_list());
        }
    }
    for (std::uint32_t a = 0; a < expected.localities.size(); ++a) {
        for (std::uint32_t b = 0; b < expected.localities.size(); ++b) {
            if (a != b && machine.distance(a, b) != expected.distance[a][b]) {
                return "distance of " + std::to_string(a) + ", " + std::to_string(b) +
                       ": core " + std::to_string(machine.distance(a, b)) +
                       ", oracle " + std::to_string(expected.distance[a][b]);
            }
        }
    }
    return "";
}

std::string compare_device(const OracleMachine& expected,
                           const Machine& machine,
                           std::uint32_t i) {
    const OracleDevice& device = expected.devices[i];
    const Device& found = machine.devices()[i];
    if (device.name != found.name ||
        machine.find_device(expected.device_spec(i).name) != i) {
        return part("devices.name", i, device.name, found.name);
    }
    if (!(to_bitmap(device.localities) == found.localities)) {
        return part("devices.localities",
                    i,
                    list(device.localities),
                    found.localities.to_list());
    }
    const bool has_switch = found.switch_index != no_index;
    const std::uint32_t bridge =
        has_switch ? machine.switches()[found.switch_index] : no_index;
    if (bridge != device.switch_bridge) {
        return part("devices.switch",
                    i,
                    std::to_string(static_cast<int>(device.switch_bridge)),
                    std::to_string(static_cast<int>(bridge)));
    }
    for (std::uint32_t j = 0; j < expected.devices.size(); ++j) {
        const std::string pair =
            "(" + device.name + ", " + expected.devices[j].name + ")";
        if (i != j && static_cast<int>(machine.level(i, j)) != expected.level[i][j]) {
            return "level" + pair + ": core " +
                   std::to_string(static_cast<int>(machine.level(i, j))) + ", oracle " +
                   std::to_string(expected.level[i][j]);
        }
        if (i != j && machine.link_mb_s(i, j) != expected.link[i][j]) {
            return "link" + pair + " differs";
        }
    }
    return "";
}

// The Machine and the state of an instance, as the core knows them.
struct Core {
    std::shared_ptr<const Machine> machine;
    std::unique_ptr<NodeState> state;

    explicit Core(const Instance& instance) : machine(Machine::build(instance.spec)) {
        state = std::make_unique<NodeState>(machine);
        state->reserve_pus(machine->pus_from_os(instance.state.reserved_pus));
        for (const Holding& holding : instance.state.holdings) {
            state->take(placement_of(*machine, instance.spec, holding));
        }
        machine->pus_from_os(instance.state.cordoned_pus).for_each([&](std::size_t pu) {
            state->cordon_pu(static_cast<std::uint32_t>(pu), true);
        });
        for (const std::uint32_t device : instance.state.cordoned_devices) {
            state->cordon_device(device_of(*machine, instance.spec, device), true);
        }
        state->check_consistency();
    }

    [[nodiscard]] MemoryGrant grant(std::uint32_t numa_os_index,
                                    std::uint64_t page_size,
                                    std::uint64_t bytes) const {
        const auto& sizes = machine->page_sizes();
        const auto at =
            std::find(sizes.begin(), sizes.end(), page_size) - sizes.begin();
        return {machine->numa_node_of_os_index(numa_os_index),
                static_cast<std::uint32_t>(at),
                bytes};
    }

    // What the oracle chose, in the core's words.
    [[nodiscard]] Placement placement(const Instance& instance,
                                      const OracleMachine& m,
                                      const OracleAnswer& answer) const {
        Placement placement;
        placement.pus = to_bitmap(answer.pus);
        placement.localities = to_bitmap(answer.localities);
        for (const OracleGrant& given : answer.memory) {
            placement.memory.push_back(
                grant(m.numa_nodes[given.numa].os_index, given.page_size, given.bytes));
        }
        for (const std::uint32_t device : members(answer.devices)) {
            Amounts share;
            for (const DeviceRequest& wanted : instance.request.devices) {
                if (wanted.device_class == m.device_spec(device).device_class) {
                    share = wanted.share;
                }
            }
            placement.devices.push_back({device, share});
        }
        for (const auto& [constraint, pairs] : answer.pairs) {
            placement.pairs.push_back({constraint, pairs});
        }
        placement.cost = answer.cost;
        sort(placement);
        return placement;
    }

    static void sort(Placement& placement) {
        std::sort(placement.memory.begin(),
                  placement.memory.end(),
                  [](const MemoryGrant& a, const MemoryGrant& b) {
                      return std::pair(a.numa_node, a.page_size_index) <
                             std::pair(b.numa_node, b.page_size_index);
                  });
        std::sort(placement.devices.begin(),
                  placement.devices.end(),
                  [](const DeviceGrant& a, const DeviceGrant& b) {
                      return a.device < b.device;
                  });
    }
};

std::string text_of(const Cost& cost) {
    std::string text;
    for (const std::int64_t term : cost.terms) {
        text += (text.empty() ? "" : " ") + std::to_string(term);
    }
    return text;
}

std::string text_of(const Placement& placement, const Machine& machine) {
    std::ostringstream out;
    out << "cost [" << text_of(placement.cost) << "] T={"
        << placement.localities.to_list() << "} pus={" << placement.pus.to_list()
        << "} devices={";
    for (const DeviceGrant& grant : placement.devices) {
        out << " " << machine.devices()[grant.device].name;
    }
    out << " } memory={";
    for (const MemoryGrant& grant : placement.memory) {
        out << " numa" << machine.numa_nodes()[grant.numa_node].os_index << "["
            << grant.page_size_index << "]=" << grant.bytes;
    }
    out << " } pairs={";
    for (const MadePairs& made : placement.pairs) {
        out << " " << made.constraint << ":";
        for (const auto& [a, b] : made.pairs) {
            out << "(" << a << "," << b << ")";
        }
    }
    out << " }";
    return out.str();
}

// Where two Placements part first, in one word.
std::string_view difference_of(const Placement& expected, Placement found) {
    for (MadePairs& made : found.pairs) {
        std::sort(made.pairs.begin(), made.pairs.end());
    }
    if (expected.cost != found.cost) {
        return "cost";
    }
    if (!(expected.devices == found.devices)) {
        return "devices";
    }
    if (!(expected.pus == found.pus)) {
        return "pus";
    }
    if (!(expected.localities == found.localities)) {
        return "localities";
    }
    if (!(expected.memory == found.memory)) {
        return "memory";
    }
    return expected.pairs == found.pairs ? "" : "pairs";
}

// The Placement of the core's choice of devices, PUs and T as the oracle makes it:
// memory, pairs and cost are derived from the choice. Not feasible when there is none.
OracleAnswer remake(const Instance& instance, const Placement& chosen) {
    const Judge judge(instance.spec,
                      instance.state,
                      instance.request,
                      instance.spread,
                      instance.keep_from ? &*instance.keep_from : nullptr);
    OracleAnswer answer;
    for (const DeviceGrant& grant : chosen.devices) {
        answer.devices |= set_of(grant.device);
    }
    chosen.pus.for_each([&](std::size_t pu) { answer.pus |= set_of(pu); });
    chosen.localities.for_each(
        [&](std::size_t locality) { answer.localities |= set_of(locality); });
    const auto cost = judge.judge(answer.devices, answer.pus, answer.localities);
    if (cost) {
        answer.feasible = true;
        answer.cost = *cost;
        answer.memory = *judge.memory(answer.localities, answer.pus);
        answer.pairs = judge.made_pairs(answer.devices);
    }
    return answer;
}

std::string opinion(const OracleAnswer& remade) {
    return remade.feasible ? "a Placement of cost [" + text_of(remade.cost) + "]"
                           : "no Placement at all";
}

// docs/design/0002 admits one end that no limit brings about: where bytes decide how
// many units each locality gives, and cores differ in size or the PUs of a locality do
// not stand side by side.
bool may_end_unproved(const Request& request, const OracleMachine& m) {
    const bool wants_bytes = request.memory > 0 || !request.hugepages.empty();
    if (!wants_bytes || m.localities.size() == 1) {
        return false;
    }
    const bool differ = std::any_of(m.cores.begin(), m.cores.end(), [&](Set core) {
        return size_of(core) != size_of(m.cores.front());
    });
    const bool is_scattered =
        std::any_of(m.localities.begin(), m.localities.end(), [](Set locality) {
            const std::vector<std::uint32_t> pus = members(locality);
            return pus.back() - pus.front() + 1 != pus.size();
        });
    return (request.cores > 0 && differ) ||
           (request.cores + request.pus > 0 && is_scattered);
}

// An answer without proof is a Placement by the definition, no better than the best.
void compare_unproved(const OracleAnswer& expected,
                      const OracleAnswer& remade,
                      const Placement& expected_again,
                      const Placement& found,
                      const Machine& machine,
                      const std::vector<TermGroup>& order,
                      Comparison& result) {
    if (!remade.feasible) {
        result.difference = "no placement";
    } else {
        result.difference = difference_of(expected_again, found);
    }
    if (result.difference.empty() && costs_less(remade.cost, expected.cost, order)) {
        result.difference = "better than best";
    }
    if (!result.difference.empty()) {
        result.detail = "core:   " + text_of(found, machine) +
                        "\nto the oracle, it is " + opinion(remade) +
                        "\noracle's best: [" + text_of(expected.cost) + "]";
    }
}

bool is_proof(Status status) {
    return status == Status::optimal || status == Status::infeasible;
}

// Whether the limit alone keeps an answer without proof from one.
bool is_decided_later(const NodeState& state,
                      const CompiledRequest& compiled,
                      SolveOptions options) {
    constexpr std::uint64_t more = 64;
    options.limits.max_steps =
        std::max(options.limits.max_steps * more, SearchLimits{}.max_steps);
    return is_proof(solve(state, compiled, options).status);
}

void compare_found(const Instance& instance,
                   const Core& core,
                   const OracleMachine& m,
                   const OracleAnswer& expected,
                   const Answer& answer,
                   Comparison& result) {
    const bool is_found =
        answer.status == Status::optimal || answer.status == Status::feasible;
    const Machine& machine = *core.machine;
    const Placement best = core.placement(instance, m, expected);
    if ((is_found && !expected.feasible) ||
        (is_proof(answer.status) && is_found != expected.feasible)) {
        result.difference = "status";
        result.detail =
            "core: " + std::string(is_found ? "found " : "no") +
            (is_found ? text_of(answer.placement, machine) + ", to the oracle " +
                            opinion(remake(instance, answer.placement))
                      : "") +
            "\noracle: " + (expected.feasible ? text_of(best, machine) : "no");
    } else if (answer.status == Status::optimal) {
        result.difference = difference_of(best, answer.placement);
        result.detail =
            "core:   " + text_of(answer.placement, machine) +
            "\noracle: " + text_of(best, machine) + "\nto the oracle, the core's is " +
            (result.difference.empty() ? ""
                                       : opinion(remake(instance, answer.placement)));
    } else if (answer.status == Status::feasible) {
        const OracleAnswer remade = remake(instance, answer.placement);
        compare_unproved(expected,
                         remade,
                         core.placement(instance, m, remade),
                         answer.placement,
                         machine,
                         instance.order,
                         result);
    }
}

void compare_answers(const Instance& instance,
                     const Core& core,
                     SearchLimits limits,
                     Comparison& result) {
    const OracleMachine m = derive(instance.spec);
    const Holding* keep_from = instance.keep_from ? &*instance.keep_from : nullptr;
    const OracleAnswer expected = brute_force(instance.spec,
                                              instance.state,
                                              instance.request,
                                              instance.spread,
                                              keep_from,
                                              {true, instance.order});
    const auto compiled = compile(core.machine, instance.request);
    SolveOptions options;
    options.policy.packing = instance.spread ? Packing::spread : Packing::pack;
    if (!instance.order.empty()) {
        std::copy(
            instance.order.begin(), instance.order.end(), options.policy.order.begin());
        options.policy.name = PolicyName("random");
    }
    options.limits = limits;
    Placement before;
    if (keep_from != nullptr) {
        before = placement_of(*core.machine, instance.spec, *keep_from);
        options.keep_from = &before;
    }
    const Answer answer = solve(*core.state, *compiled, options);
    result.status = answer.status;
    result.steps = answer.steps;
    if (expected.feasible) {
        result.unmet_vector = expected.cost[Cost::unmet_vector];
    }
    compare_found(instance, core, m, expected, answer, result);
    if (!result.difference.empty()) {
        return;
    }
    if (!is_proof(answer.status) && !may_end_unproved(instance.request, m) &&
        !is_decided_later(*core.state, *compiled, options)) {
        result.difference = "undecided";
        result.detail = "core: no proof after " + std::to_string(answer.steps) +
                        " steps, nor under a far higher limit";
        return;
    }
    if (expected.feasible) {
        const Placement best = core.placement(instance, m, expected);
        const Cost cost = evaluate(*core.state, *compiled, best, options.policy);
        if (cost != expected.cost) {
            result.difference = "evaluate";
            result.detail = "core:   [" + text_of(cost) +
                            "] for\noracle: " + text_of(best, *core.machine);
        }
    }
}

}  // namespace

std::string compare_machine(const OracleMachine& expected, const Machine& machine) {
    for (const std::string& difference :
         {compare_tree(expected, machine), compare_memory(expected, machine)}) {
        if (!difference.empty()) {
            return difference;
        }
    }
    if (expected.devices.size() != machine.devices().size()) {
        return "devices: sizes differ";
    }
    for (std::uint32_t i = 0; i < expected.devices.size(); ++i) {
        const std::string difference = compare_device(expected, machine, i);
        if (!difference.empty()) {
            return difference;
        }
    }
    return "";
}

Comparison compare(const Instance& instance, SearchLimits limits) {
    Comparison result;
    try {
        const Core core(instance);
        result.detail = compare_machine(derive(instance.spec), *core.machine);
        if (!result.detail.empty()) {
            result.difference = "machine";
            return result;
        }
        compare_answers(instance, core, limits, result);
    } catch (const Error& error) {
        result.difference = "refused";
        result.detail = error.what();
    }
    return result;
}

}  // namespace topoalloc::oracle
