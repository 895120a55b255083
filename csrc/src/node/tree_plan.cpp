// SPDX-License-Identifier: Apache-2.0
#include "node/tree_plan.hpp"

#include <algorithm>
#include <bit>

namespace topoalloc {
namespace {

std::vector<CorePiece> find_pieces(const Machine& machine) {
    std::vector<CorePiece> pieces;
    for (std::uint32_t core = 0; core < machine.cores().size(); ++core) {
        const Pu& pu = machine.pus()[machine.cores()[core].pus.first()];
        if (pieces.empty() || pieces.back().l3 != pu.l3 ||
            pieces.back().locality != pu.locality ||
            pieces.back().package != pu.package) {
            pieces.push_back({pu.l3, pu.locality, pu.package, core, 0});
        }
        ++pieces.back().core_count;
    }
    return pieces;
}

// True when the pieces of each L3, locality and Package stand side by side.
template <class Key>
bool is_contiguous(const std::vector<CorePiece>& pieces, std::size_t count, Key key) {
    std::vector<bool> ended(count, false);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (ended[key(pieces[i])]) {
            return false;
        }
        if (i + 1 < pieces.size() && key(pieces[i]) != key(pieces[i + 1])) {
            ended[key(pieces[i])] = true;
        }
    }
    return true;
}

std::uint32_t common_core_size(const Machine& machine) {
    const auto size = static_cast<std::uint32_t>(machine.cores().front().pus.count());
    return std::ranges::all_of(
               machine.cores(),
               [size](const Domain& core) { return core.pus.count() == size; })
               ? size
               : 0;
}

void note_switches(const Machine& machine, TreePlan& plan) {
    const auto& devices = plan.tree.devices();
    plan.most_per_switch.assign(plan.tree.need_count(), 0);
    for (std::size_t rank = 0; rank < devices.size(); ++rank) {
        const std::uint32_t index = machine.devices()[devices[rank]].switch_index;
        const std::uint64_t bit = std::uint64_t{1} << rank;
        if (index == no_index) {
            plan.without_switch |= bit;
            continue;
        }
        auto it = std::ranges::find(plan.switches, index, &SwitchMembers::index);
        if (it == plan.switches.end()) {
            it = plan.switches.insert(it, {index, 0});
        }
        it->devices |= bit;
        for (std::size_t need = 0; need < plan.tree.need_count(); ++need) {
            plan.most_per_switch[need] =
                std::max(plan.most_per_switch[need],
                         static_cast<std::uint32_t>(
                             std::popcount(it->devices & plan.tree.need_mask(need))));
        }
    }
}

void note_levels(const Machine& machine, TreePlan& plan) {
    const std::size_t needs = plan.tree.need_count();
    const auto& devices = plan.tree.devices();
    plan.least_levels.assign(needs * needs, static_cast<std::int64_t>(Level::machine));
    for (std::size_t a = 0; a < devices.size(); ++a) {
        for (std::size_t b = 0; b < devices.size(); ++b) {
            std::int64_t& least =
                plan.least_levels[plan.tree.need_of(a) * needs + plan.tree.need_of(b)];
            if (a != b) {
                least = std::min(
                    least,
                    static_cast<std::int64_t>(machine.level(devices[a], devices[b])));
            }
        }
    }
}

std::vector<LocalitySet> all_sets(const Machine& machine, const TreePlan& plan) {
    std::vector<LocalitySet> sets;
    const std::size_t count = machine.localities().size();
    for (std::uint64_t mask = 1; mask < (std::uint64_t{1} << count); ++mask) {
        LocalitySet set{mask, 0, std::popcount(mask), 0};
        Bitmap packages;
        for (std::uint64_t rest = mask; rest != 0; rest &= rest - 1) {
            const auto a = static_cast<std::uint32_t>(std::countr_zero(rest));
            packages.set(plan.package_of[a]);
            for (std::uint64_t more = rest & (rest - 1); more != 0; more &= more - 1) {
                set.distance += static_cast<std::int64_t>(machine.distance(
                    a, static_cast<std::uint32_t>(std::countr_zero(more))));
            }
        }
        set.packages = static_cast<std::int64_t>(packages.count());
        sets.push_back(set);
    }
    std::ranges::sort(sets, comes_before);
    return sets;
}

}  // namespace

std::shared_ptr<const TreePlan> plan_tree(const CompiledRequest& request) {
    const Machine& machine = *request.machine;
    std::optional<DeviceTree> tree = DeviceTree::build(request);
    if (!tree) {
        return nullptr;
    }
    auto plan = std::make_shared<TreePlan>();
    plan->tree = std::move(*tree);
    note_switches(machine, *plan);
    note_levels(machine, *plan);
    plan->pieces = find_pieces(machine);
    plan->core_size = common_core_size(machine);
    const auto& pieces = plan->pieces;
    if (!is_contiguous(
            pieces, machine.l3s().size(), [](const CorePiece& p) { return p.l3; }) ||
        !is_contiguous(pieces, machine.localities().size(), [](const CorePiece& p) {
            return p.locality;
        })) {
        return nullptr;
    }
    for (const Locality& locality : machine.localities()) {
        if (locality.packages.count() != 1) {
            return nullptr;
        }
        plan->package_of.push_back(locality.packages.first());
    }
    for (const NumaNode& node : machine.numa_nodes()) {
        if (request.wants_bytes && node.kind == request.request.kind &&
            node.localities.count() > 1) {
            return nullptr;
        }
    }
    plan->l3_is_locality = pieces.size() == machine.l3s().size() &&
                           pieces.size() == machine.localities().size();
    if (machine.localities().size() <= TreePlan::max_tabled_localities) {
        plan->sets = all_sets(machine, *plan);
    }
    return plan;
}

}  // namespace topoalloc
