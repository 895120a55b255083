// SPDX-License-Identifier: Apache-2.0
#include "cluster/rail_nodes.hpp"

#include "cluster/count_table.hpp"
#include "cluster/gang_tables.hpp"
#include "node/joint_search.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <functional>
#include <set>

namespace topoalloc {
namespace {

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// Devices of the class whose index is in the set.
std::vector<std::uint32_t> devices_of(const Machine& machine,
                                      const std::string& device_class,
                                      const RailSet& set) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        const Device& device = machine.devices()[d];
        if (device.root == d && device.device_class == device_class &&
            std::ranges::binary_search(set, device.index)) {
            out.push_back(d);
        }
    }
    return out;
}

// The names that are left of those that the Request allows; nullopt when it names a
// device that the Machine lacks.
std::optional<std::vector<std::string>> names_left(
    const Machine& machine,
    const std::optional<std::vector<std::string>>& eligible,
    const std::vector<std::uint32_t>& devices) {
    std::optional<std::vector<std::uint32_t>> allowed;
    if (eligible) {
        allowed.emplace();
        for (const std::string& name : *eligible) {
            allowed->push_back(machine.find_device(name));
        }
        if (std::ranges::count(*allowed, no_index) != 0) {
            return std::nullopt;
        }
    }
    std::vector<std::string> names;
    for (const std::uint32_t device : devices) {
        if (!allowed || std::ranges::count(*allowed, device) != 0) {
            names.push_back(machine.devices()[device].name);
        }
    }
    return names;
}

bool holds(const Placement& placement, std::uint32_t device) {
    return std::ranges::count(placement.devices, device, &DeviceGrant::device) != 0;
}

bool holds_all(const Placement& placement,
               const std::vector<RailSet>& sets,
               const std::vector<std::string>& classes,
               const Machine& machine) {
    for (std::size_t r = 0; r < classes.size(); ++r) {
        const auto devices = devices_of(machine, classes[r], sets[r]);
        if (devices.size() != sets[r].size() ||
            !std::ranges::all_of(devices, [&](std::uint32_t device) {
                return holds(placement, device);
            })) {
            return false;
        }
    }
    return true;
}

using Wanted = std::vector<std::shared_ptr<const CompiledRequest>>;

// One after the other, each where it costs least.
bool fit_in_turn(const NodeState& state,
                 const Wanted& wanted,
                 Policy policy,
                 StepBudget& budget) {
    NodeState now = state;
    for (const auto& request : wanted) {
        const Answer answer =
            solve(now, *request, {policy, {budget.max_steps - budget.steps}, nullptr});
        if (!budget.spend(answer.steps) || !is_placed(answer.status)) {
            return false;
        }
        now.take(answer.placement);
    }
    return true;
}

// No cost of the cluster problem depends on how they fit, so any way will do.
Status fits_together(const NodeState& state,
                     const Wanted& wanted,
                     Policy policy,
                     StepBudget& budget) {
    std::vector<RequestGroup> groups;
    std::vector<std::uint32_t> group_of;
    for (const auto& request : wanted) {
        const auto known =
            std::ranges::find(groups, request.get(), &RequestGroup::request);
        group_of.push_back(static_cast<std::uint32_t>(known - groups.begin()));
        if (known == groups.end()) {
            groups.push_back({request.get(), 0, std::nullopt});
        }
        ++groups[group_of.back()].size;
    }
    if (find_joint_shortage(state, groups)) {
        return Status::infeasible;
    }
    if (fit_in_turn(state, wanted, policy, budget)) {
        return Status::feasible;
    }
    const JointQuestion question{
        groups, group_of, policy.packing, std::nullopt, false, true};
    if (!search_joint(state, question, budget).empty()) {
        return Status::feasible;
    }
    return budget.limited ? Status::unknown : Status::infeasible;
}

}  // namespace

std::vector<std::uint32_t> places_held(const RailList& list,
                                       const std::vector<std::string>& classes,
                                       const Machine& machine,
                                       const std::vector<const Placement*>& pods) {
    // Two places may have equal sets of devices that are shared: each is held once.
    std::vector<bool> is_held(list.size());
    for (const Placement* pod : pods) {
        for (std::uint32_t j = 0; j < list.size(); ++j) {
            if (!is_held[j] && holds_all(*pod, list[j], classes, machine)) {
                is_held[j] = true;
                break;
            }
        }
    }
    std::vector<std::uint32_t> out;
    for (std::uint32_t j = 0; j < list.size(); ++j) {
        if (is_held[j]) {
            out.push_back(j);
        }
    }
    return out;
}

RailNodes::RailNodes(ClassPool& pool, RailInput input, std::vector<CountTable> whole)
    : pool_(pool), input_(std::move(input)), whole_(std::move(whole)) {}

std::uint32_t RailNodes::place_of(std::uint32_t table,
                                  std::uint32_t podset,
                                  std::uint32_t pod) const {
    std::uint32_t place = pod;
    for (const std::uint32_t held : input_.tables[table].held[podset]) {
        if (held > place) {
            break;
        }
        ++place;
    }
    return place;
}

std::uint32_t RailNodes::reach(std::uint32_t table,
                               std::uint32_t podset,
                               std::uint32_t pods) const {
    const std::uint32_t stay = input_.tables[table].base[podset];
    return pods == stay ? 0 : place_of(table, podset, pods - stay - 1) + 1;
}

std::shared_ptr<const CompiledRequest> RailNodes::restricted(
    const std::shared_ptr<const Machine>& machine,
    std::uint32_t podset,
    const Sets& sets) const {
    Request request = *input_.requests[podset];
    for (std::size_t r = 0; r < sets.size(); ++r) {
        const std::string& device_class = input_.classes[podset][r];
        const auto wanted = std::ranges::find(
            request.devices, device_class, &DeviceRequest::device_class);
        auto names = names_left(
            *machine, wanted->eligible, devices_of(*machine, device_class, sets[r]));
        if (!names || names->size() < wanted->count) {
            return nullptr;
        }
        wanted->eligible = std::move(names);
    }
    try {
        return compile(machine, request);
    } catch (const InvalidRequestError&) {
        // It has a meaning, so it names a device that this Machine lacks.
        return nullptr;
    }
}

// Devices that no other pod can have.
Bitmap RailNodes::tied_whole(const Machine& machine,
                             std::uint32_t podset,
                             const Sets& sets) const {
    Bitmap out;
    for (std::size_t r = 0; r < sets.size(); ++r) {
        const std::string& device_class = input_.classes[podset][r];
        const auto& wanted = input_.requests[podset]->devices;
        if (std::ranges::find(wanted, device_class, &DeviceRequest::device_class)
                ->share.empty()) {
            for (const std::uint32_t device :
                 devices_of(machine, device_class, sets[r])) {
                out.set(device);
            }
        }
    }
    return out;
}

std::uint32_t RailNodes::compile_pod(const NodeClass& of,
                                     std::uint32_t podset,
                                     const Sets& sets) {
    const std::shared_ptr<const Machine>& machine = of.state->machine_ptr();
    const auto [it, is_new] = known_.try_emplace(
        {machine.get(), podset, sets}, static_cast<std::uint32_t>(compiled_.size()));
    if (is_new) {
        is_tied_.push_back(!sets.empty());
        compiled_.push_back(sets.empty()
                                ? pool_.compiled(machine, input_.requests[podset])
                                : restricted(machine, podset, sets));
        whole_devices_.push_back(tied_whole(*machine, podset, sets));
    }
    return it->second;
}

// And whether a list speaks of one of them.
std::pair<RailNodes::Pods, bool> RailNodes::new_pods(std::uint32_t table,
                                                     const CountVector& pods,
                                                     const GangRails& lists) {
    const RailTable& of = input_.tables[table];
    std::pair<Pods, bool> out;
    for (std::uint32_t p = 0; p < pods.size(); ++p) {
        for (std::uint32_t i = 0; i < pods[p] - of.base[p]; ++i) {
            const std::uint32_t place = place_of(table, p, i);
            const bool is_tied = place < lists[p].size() && !lists[p][place].empty();
            out.first.push_back(
                compile_pod(*of.state, p, is_tied ? lists[p][place] : Sets{}));
            out.second = out.second || is_tied;
        }
    }
    return out;
}

// One of them alone, or all of them: what does not fit alone is told from it, where
// more room never does harm.
Status RailNodes::solve_pods(const NodeClass& of,
                             const Pods& pods,
                             StepBudget& budget) {
    Wanted wanted;
    Bitmap taken;
    for (const std::uint32_t pod : pods) {
        if (!compiled_[pod] || taken.intersects(whole_devices_[pod])) {
            return Status::infeasible;
        }
        taken |= whole_devices_[pod];
        wanted.push_back(compiled_[pod]);
    }
    StepBudget own{0, std::min(input_.max_steps, budget.max_steps - budget.steps)};
    Status status = Status::unknown;
    if (pods.size() == 1) {
        const Answer answer = solve(
            *of.state, *wanted.front(), {pool_.policy(), {own.max_steps}, nullptr});
        std::ignore = own.spend(answer.steps);
        status = answer.status;
    } else {
        for (const std::uint32_t pod : std::set(pods.begin(), pods.end())) {
            if (is_monotone(*compiled_[pod]) &&
                ask_pods(of, {pod}, budget) == Status::infeasible) {
                return Status::infeasible;
            }
        }
        own.max_steps = std::min(own.max_steps, budget.max_steps - budget.steps);
        status = fits_together(*of.state, wanted, pool_.policy(), own);
    }
    std::ignore = budget.spend(own.steps + 1);
    return status;
}

Status RailNodes::ask_pods(const NodeClass& of, Pods pods, StepBudget& budget) {
    std::pair key(&of, std::move(pods));
    if (const auto it = asked_.find(key); it != asked_.end()) {
        return it->second;
    }
    if (budget.limited) {
        return Status::unknown;
    }
    const Status status = solve_pods(of, key.second, budget);
    // What the budget cut off may be decided with another one.
    if (status != Status::unknown || !budget.limited) {
        asked_.emplace(std::move(key), status);
    }
    return status;
}

Status RailNodes::ask(std::uint32_t table,
                      const CountVector& pods,
                      const GangRails& lists,
                      StepBudget& budget) {
    const CountTable& whole = whole_[table];
    if (!std::ranges::binary_search(whole.possible, pods)) {
        return Status::infeasible;
    }
    auto [wanted, is_tied] = new_pods(table, pods, lists);
    if (!is_tied) {
        return std::ranges::binary_search(whole.attained, pods) ? Status::feasible
                                                                : Status::unknown;
    }
    order(wanted);
    return ask_pods(*input_.tables[table].state, std::move(wanted), budget);
}

// Pods in one order, whatever the list: those that it ties to devices first, as others
// may go around them.
void RailNodes::order(Pods& pods) const {
    std::ranges::sort(pods, [this](std::uint32_t a, std::uint32_t b) {
        return std::pair(!is_tied_[a], a) < std::pair(!is_tied_[b], b);
    });
}

// New pods of each PodSet by itself.
AloneCounts RailNodes::alone(std::uint32_t table,
                             const GangRails& lists,
                             StepBudget& budget) {
    const CountVector& base = input_.tables[table].base;
    AloneCounts out{CountVector(base.size()), CountVector(base.size())};
    const auto most = [&](const std::vector<CountVector>& from, CountVector& to) {
        for (const CountVector& pods : from) {
            for (std::size_t p = 0; p < base.size(); ++p) {
                to[p] = std::max(to[p], pods[p] - base[p]);
            }
        }
    };
    most(whole_[table].attained, out.attained);
    most(whole_[table].possible, out.possible);
    for (std::size_t p = 0; p < base.size(); ++p) {
        CountVector pods = base;
        for (std::uint32_t x = 1; x <= out.possible[p] && !lists[p].empty(); ++x) {
            ++pods[p];
            const Status status = ask(table, pods, lists, budget);
            if (status == Status::infeasible) {
                out.possible[p] = x - 1;
            }
            if (!is_placed(status)) {
                out.attained[p] = std::min(out.attained[p], x - 1);
            }
        }
    }
    return out;
}

CountTable RailNodes::table(std::uint32_t table,
                            const GangRails& lists,
                            StepBudget& budget) {
    if (std::ranges::all_of(lists, &RailList::empty)) {
        return whole_[table];
    }
    const CountVector& base = input_.tables[table].base;
    const auto with_base = [&](CountVector pods) {
        std::ranges::transform(pods, base, pods.begin(), std::plus<>());
        return pods;
    };
    CountTable out;
    out.copies = whole_[table].copies;
    out.may_have_more = whole_[table].may_have_more;
    walk_edge(
        alone(table, lists, budget),
        [&](const CountVector& added) {
            return std::ranges::count(added, 0U) == std::ssize(added)
                       ? Status::optimal
                       : ask(table, with_base(added), lists, budget);
        },
        out);
    std::ranges::transform(out.attained, out.attained.begin(), with_base);
    std::ranges::transform(out.possible, out.possible.begin(), with_base);
    return out;
}

std::optional<Placements> RailNodes::placements(std::uint32_t table,
                                                const CountVector& pods,
                                                const GangRails& lists) {
    auto [wanted, is_tied] = new_pods(table, pods, lists);
    std::vector<std::shared_ptr<const CompiledRequest>> ready;
    for (const std::uint32_t pod : wanted) {
        ready.push_back(compiled_[pod]);
    }
    const NodeClass& of = *input_.tables[table].state;
    auto made = place_together(*of.state, ready, pool_.policy());
    if (!made && is_tied) {
        order(wanted);
        asked_.insert_or_assign({&of, std::move(wanted)}, Status::unknown);
    } else if (!made) {
        forget(whole_[table], pods);
    }
    return made;
}

}  // namespace topoalloc
