// SPDX-License-Identifier: Apache-2.0
#include "node/tree_search_internal.hpp"

#include "base/bits.hpp"
#include "node/definition.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {

TreeSearch::TreeSearch(const NodeState& state,
                       const CompiledRequest& request,
                       const TreePlan& plan,
                       std::uint32_t unmet,
                       const SolveOptions& options,
                       std::uint64_t& steps,
                       Arena& arena)
    : state_(state),
      machine_(*request.machine),
      request_(request),
      plan_(plan),
      unmet_(unmet),
      options_(options),
      steps_(steps),
      programme_(plan_.tree, plan_.tables, arena),
      chooser_(state, request, options, steps, limited_, arena),
      aligns_(&arena),
      sames_(&arena),
      opened_(options.policy.packing == Packing::pack ? 1 : -1),
      free_choice_(machine_, arena),
      hit_choice_(machine_, arena),
      best_(machine_, arena) {}

bool TreeSearch::run(SearchResult& result) {
    if (!accept()) {
        return false;
    }
    if (links_fail_) {
        return true;
    }
    TreeBranch branch;
    branch.last_core = static_cast<std::uint32_t>(machine_.cores().size());
    branch.devices = plan_.tree.ranks_of(state_.available_devices());
    collect_open();
    fix_align(0, branch);
    if (bails_) {
        return false;
    }
    result.limited = limited_;
    if (best_.found) {
        place(result.best.emplace());
    }
    return true;
}

bool TreeSearch::accept() {
    if (!chooser_.applies() || options_.keep_from != nullptr) {
        return false;
    }
    for (std::size_t i = 0; i < plan_.pairs.size(); ++i) {
        const std::uint32_t preferred = plan_.pairs[i].preferred;
        if (preferred == no_index || !has_bit(unmet_, preferred)) {
            enforced_pairs_ |= 1U << i;
        }
    }
    return for_each_enforced(
        request_, unmet_, [this](const CompiledConstraint& constraint) {
            return accept(constraint);
        });
}

bool TreeSearch::accept(const CompiledConstraint& constraint) {
    if (const auto* align = std::get_if<CompiledAlign>(&constraint)) {
        aligns_.push_back(align);
    } else if (const auto* attribute = std::get_if<CompiledAttribute>(&constraint)) {
        sames_.push_back(attribute);
        return attribute->same;
    } else if (const auto* link = std::get_if<CompiledLink>(&constraint)) {
        links_fail_ =
            links_fail_ || (plan_.counts[link->need] > 1 &&
                            plan_.tree.link_mb_s(link->need) < link->min_mb_s);
    }
    return !std::holds_alternative<CompiledNear>(constraint);
}

void TreeSearch::fix_align(std::size_t index, const TreeBranch& branch) {
    if (index == aligns_.size()) {
        fix_same(0, branch);
        return;
    }
    const CompiledAlign& align = *aligns_[index];
    const std::size_t count = domain_count(align.level);
    for (std::uint32_t d = 0; d < count && !stops(); ++d) {
        ++steps_;
        TreeBranch inner = branch;
        if (narrow(inner, align, d)) {
            fix_align(index + 1, inner);
        }
    }
}

std::size_t TreeSearch::domain_count(AlignLevel level) const {
    if (level == AlignLevel::numa) {
        return machine_.localities().size();
    }
    return level == AlignLevel::l3 ? machine_.l3s().size() : machine_.packages().size();
}

// The domain as an interval of cores and a mask of localities that are or meet it.
bool TreeSearch::narrow(TreeBranch& branch,
                        const CompiledAlign& align,
                        std::uint32_t index) const {
    std::uint64_t localities = bit(index % 64);
    const Bitmap* pus = nullptr;
    if (align.level == AlignLevel::numa) {
        pus = &machine_.localities()[index].pus;
    } else {
        const Domain& domain = align.level == AlignLevel::l3
                                   ? machine_.l3s()[index]
                                   : machine_.packages()[index];
        localities = domain.localities.word(0);
        pus = &domain.pus;
    }
    if (align.scope.pus) {
        const std::uint32_t first = machine_.pus()[pus->first()].core;
        const std::uint32_t last = machine_.pus()[pus->last()].core + 1;
        branch.first_core = std::max(branch.first_core, first);
        branch.last_core = std::min(branch.last_core, last);
        if (branch.first_core >= branch.last_core ||
            !chooser_.may_suffice(branch.first_core, branch.last_core)) {
            return false;
        }
    }
    if (align.scope.memory) {
        branch.byte_localities &= localities;
    }
    std::uint64_t near = 0;
    for_each_bit(localities,
                 [&](std::uint32_t l) { near |= plan_.tree.locality_mask(l); });
    for (std::size_t need = 0; need < request_.needs.size(); ++need) {
        if (align.scope.has_need(need)) {
            branch.devices &= ~plan_.tree.need_mask(need) | near;
        }
    }
    return devices_suffice(branch.devices);
}

bool TreeSearch::devices_suffice(std::uint64_t available) const {
    for (std::size_t need = 0; need < request_.needs.size(); ++need) {
        if (std::cmp_less(std::popcount(available & plan_.tree.need_mask(need)),
                          plan_.counts[need])) {
            return false;
        }
    }
    return true;
}

void TreeSearch::fix_same(std::size_t index, const TreeBranch& branch) {
    if (index == sames_.size()) {
        run_branch(branch);
        return;
    }
    const CompiledAttribute& same = *sames_[index];
    for (std::uint32_t value = 0; value < same.value_count && !stops(); ++value) {
        ++steps_;
        TreeBranch inner = branch;
        for_each_bit(branch.devices, [&](std::uint32_t rank) {
            const auto& values = same.values[plan_.tree.devices()[rank]];
            if (has_bit(same.needs, plan_.tree.need_of(rank)) &&
                std::ranges::find(values, value) == values.end()) {
                inner.devices &= ~bit(rank);
            }
        });
        if (devices_suffice(inner.devices)) {
            fix_same(index + 1, inner);
        }
    }
}

void TreeSearch::place(Placement& placement) {
    placement.pus = std::move(best_.cores.pus);
    placement.localities.set_word(0, best_.localities);
    placement.cost = best_.cost;
    placement.devices.reserve(static_cast<std::size_t>(plan_.device_count));
    for_each_bit(best_.devices, [&](std::uint32_t rank) {
        placement.devices.push_back({plan_.tree.devices()[rank], {}});
    });
    if (request_.wants_bytes) {
        std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
        placement.pus.for_each(
            [&](std::size_t pu) { ++counts[machine_.pus()[pu].locality]; });
        placement.memory =
            fill_memory(state_, request_, placement.localities, counts).value();
    }
}

bool tree_search(const NodeState& state,
                 const CompiledRequest& request,
                 const TreePlan& plan,
                 std::uint32_t unmet,
                 const SolveOptions& options,
                 std::uint64_t& steps,
                 Arena& arena,
                 SearchResult& result) {
    return TreeSearch(state, request, plan, unmet, options, steps, arena).run(result);
}

}  // namespace topoalloc
