// SPDX-License-Identifier: Apache-2.0
#include "node/tree_plan.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

void note_switches(const Machine& machine, TreePlan& plan) {
    const auto& devices = plan.tree.devices();
    plan.most_per_switch.assign(plan.tree.need_count(), 0);
    for (std::size_t rank = 0; rank < devices.size(); ++rank) {
        const std::uint32_t index = machine.devices()[devices[rank]].switch_index;
        if (index == no_index) {
            plan.without_switch |= bit(rank);
            continue;
        }
        auto it = std::ranges::find(plan.switches, index, &SwitchMembers::index);
        if (it == plan.switches.end()) {
            it = plan.switches.insert(it, {index, 0});
        }
        it->devices |= bit(rank);
        for (std::size_t need = 0; need < plan.tree.need_count(); ++need) {
            plan.most_per_switch[need] =
                std::max(plan.most_per_switch[need],
                         static_cast<std::uint32_t>(
                             std::popcount(it->devices & plan.tree.need_mask(need))));
        }
    }
}

// The least level of a candidate of one need and one of another.
std::int64_t least_level(const Machine& machine,
                         const DeviceTree& tree,
                         std::size_t need_a,
                         std::size_t need_b) {
    auto least = static_cast<std::int64_t>(Level::machine);
    for_each_bit(tree.need_mask(need_a), [&](std::uint32_t a) {
        for_each_bit(tree.need_mask(need_b), [&](std::uint32_t b) {
            const Level level = machine.level(tree.devices()[a], tree.devices()[b]);
            least = std::min(least, static_cast<std::int64_t>(level));
        });
    });
    return least;
}

TreePair price(const Machine& machine, const TreePlan& plan, const CompiledPair& pair) {
    const bool a_is_many = pair.ratio_b == 1;
    TreePair priced;
    priced.many = a_is_many ? pair.need_a : pair.need_b;
    priced.one = a_is_many ? pair.need_b : pair.need_a;
    priced.ratio = a_is_many ? pair.ratio_a : pair.ratio_b;
    priced.within = pair.within;
    priced.least = least_level(machine, plan.tree, priced.many, priced.one);
    return priced;
}

void note_pairs(const CompiledRequest& request, TreePlan& plan) {
    for (const auto* list : {&request.require, &request.prefer}) {
        for (std::size_t i = 0; i < list->size(); ++i) {
            if (const auto* pair = std::get_if<CompiledPair>(&(*list)[i])) {
                plan.pairs.push_back(price(*request.machine, plan, *pair));
                const TreePair& priced = plan.pairs.back();
                plan.least_pair_levels += priced.least * plan.counts[priced.many];
                if (list == &request.prefer) {
                    plan.pairs.back().preferred = static_cast<std::uint32_t>(i);
                }
            }
        }
    }
}

void note_counts(const CompiledRequest& request, TreePlan& plan) {
    const Machine& machine = *request.machine;
    for (std::size_t need = 0; need < request.needs.size(); ++need) {
        const auto count = static_cast<std::int64_t>(request.needs[need].count);
        plan.counts.push_back(request.needs[need].count);
        plan.device_count += count;
        if (request.needs[need].counts_links) {
            plan.missing_link += count * (count - 1) / 2 *
                                 static_cast<std::int64_t>(machine.max_link_mb_s() -
                                                           plan.tree.link_mb_s(need));
        }
    }
}

void note_sets(const Machine& machine, TreePlan& plan) {
    for (const LocalitySet& set : machine.locality_sets()) {
        std::uint64_t devices = plan.tree.unknown_mask();
        for_each_bit(set.mask,
                     [&](std::uint32_t l) { devices |= plan.tree.locality_mask(l); });
        plan.devices_of_set.push_back(devices);
    }
}

bool bytes_have_one_locality(const CompiledRequest& request) {
    return !request.wants_bytes ||
           std::ranges::all_of(request.machine->numa_nodes(),
                               [&](const NumaNode& node) {
                                   return node.kind != request.request.kind ||
                                          node.localities.count() <= 1;
                               });
}

// The Pairs in order; with each preferred one its position in prefer.
std::vector<std::pair<std::size_t, CompiledPair>> pairs_of(
    const CompiledRequest& request) {
    std::vector<std::pair<std::size_t, CompiledPair>> pairs;
    for (const auto* list : {&request.require, &request.prefer}) {
        for (std::size_t i = 0; i < list->size(); ++i) {
            if (const auto* pair = std::get_if<CompiledPair>(&(*list)[i])) {
                pairs.emplace_back(list == &request.prefer ? i : no_index, *pair);
            }
        }
    }
    return pairs;
}

}  // namespace

std::shared_ptr<const TreePlan> plan_tree(const CompiledRequest& request) {
    const Machine& machine = *request.machine;
    if (!machine.runs_are_joined() || !bytes_have_one_locality(request)) {
        return nullptr;
    }
    std::optional<DeviceTree> tree = DeviceTree::build(request);
    if (!tree) {
        return nullptr;
    }
    auto plan = std::make_shared<TreePlan>();
    plan->tree = std::move(*tree);
    for (const Locality& locality : machine.localities()) {
        if (locality.packages.count() != 1) {
            return nullptr;
        }
        plan->package_of.push_back(
            static_cast<std::uint32_t>(locality.packages.first()));
    }
    note_counts(request, *plan);
    note_pairs(request, *plan);
    if (plan->pairs.size() > TreeTables::max_pairs) {
        return nullptr;
    }
    note_switches(machine, *plan);
    note_sets(machine, *plan);
    if (plan->device_count != 0) {
        plan->tables = TreeTables(plan->tree, plan->pairs, plan->counts);
    }
    plan->l3_is_locality = machine.core_runs().size() == machine.l3s().size() &&
                           machine.core_runs().size() == machine.localities().size();
    return plan;
}

bool have_one_tree_plan(const CompiledRequest& a, const CompiledRequest& b) {
    return a.wants_bytes == b.wants_bytes && a.request.kind == b.request.kind &&
           std::ranges::equal(a.needs,
                              b.needs,
                              [](const DeviceNeed& of_a, const DeviceNeed& of_b) {
                                  return of_a.count == of_b.count &&
                                         of_a.mode == of_b.mode &&
                                         of_a.counts_links == of_b.counts_links &&
                                         of_a.candidates == of_b.candidates;
                              }) &&
           pairs_of(a) == pairs_of(b);
}

LazyTreePlan::LazyTreePlan(std::shared_ptr<const TreePlan> plan)
    : is_made_(true), plan_(std::move(plan)) {}

const TreePlan* LazyTreePlan::get(const CompiledRequest& request) {
    if (!is_made_.load(std::memory_order_acquire)) {
        const std::scoped_lock lock(mutex_);
        if (!is_made_.load(std::memory_order_relaxed)) {
            plan_ = plan_tree(request);
            is_made_.store(true, std::memory_order_release);
        }
    }
    return plan_.get();
}

}  // namespace topoalloc
