// SPDX-License-Identifier: Apache-2.0
#include "node/branch.hpp"

#include "base/bits.hpp"
#include "node/definition.hpp"

#include <algorithm>
#include <limits>

namespace topoalloc {
namespace {

std::uint64_t mask_of(const Bitmap& localities) {
    return localities.word(0);
}

const std::vector<Domain>& align_domains(const Machine& machine, AlignLevel level) {
    return level == AlignLevel::l3 ? machine.l3s() : machine.packages();
}

// Where an Align domain lies: its PUs, and the localities that are or meet it.
struct Place {
    const Bitmap* pus;
    std::uint64_t localities;
};

std::vector<Place> places_of(const Machine& machine, AlignLevel level) {
    std::vector<Place> places;
    if (level == AlignLevel::numa) {
        for (std::size_t i = 0; i < machine.localities().size(); ++i) {
            places.push_back({&machine.localities()[i].pus, bit(i)});
        }
        return places;
    }
    for (const Domain& domain : align_domains(machine, level)) {
        places.push_back({&domain.pus, mask_of(domain.localities)});
    }
    return places;
}

bool share_fits(const NodeState& state,
                std::uint32_t device,
                const std::vector<std::uint64_t>& draws) {
    if (state.is_cordoned(device) || state.is_held_whole(device)) {
        return false;
    }
    const auto left = state.counters_left(device);
    for (std::size_t i = 0; i < draws.size(); ++i) {
        if (draws[i] > left[i]) {
            return false;
        }
    }
    return true;
}

PuUnit unit_of(const Request& request) {
    if (request.pus == 0) {
        return PuUnit::cores;
    }
    return request.whole_cores ? PuUnit::pus_of_whole_cores : PuUnit::pus;
}

class BranchMaker {
  public:
    BranchMaker(const NodeState& state,
                const CompiledRequest& request,
                Enforced& enforced,
                BranchSteps steps,
                const std::function<bool(Branch&)>& visit)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          enforced_(enforced),
          steps_(steps),
          visit_(visit) {}

    bool run(const Placement* keep_from) {
        Branch branch;
        branch.unit = unit_of(request_.request);
        branch.wanted_units = std::max(request_.request.cores, request_.request.pus);
        branch.usable_pus = state_.free_pus();
        branch.numa_nodes = Bitmap::range(0, machine_.numa_nodes().size());
        collect_candidates(branch);
        for (const CompiledNear* near : enforced_.nears) {
            apply_near(branch, *near);
        }
        if (keep_from == nullptr) {
            return !counts_suffice(branch) || fix_align(0, branch);
        }
        return run_keeping(branch, *keep_from);
    }

  private:
    void collect_candidates(Branch& branch) const {
        branch.needs.reserve(request_.needs.size());
        for (const DeviceNeed& need : request_.needs) {
            auto& list = branch.needs.emplace_back();
            list.reserve(need.candidates.size());
            for (std::uint32_t i = 0; i < need.candidates.size(); ++i) {
                const std::uint32_t device = need.candidates[i];
                const bool available =
                    need.mode == TakeMode::share
                        ? share_fits(state_, device, need.share_draws[i])
                        : state_.is_available(device);
                if (available) {
                    Candidate& candidate = list.emplace_back();
                    candidate.device = device;
                    candidate.localities =
                        mask_of(machine_.devices()[device].localities);
                    candidate.share_index = i;
                }
            }
        }
    }

    static void apply_near(Branch& branch, const CompiledNear& near) {
        for (auto& list : branch.needs) {
            std::erase_if(
                list, [&](const Candidate& c) { return !near.devices.test(c.device); });
        }
        branch.usable_pus &= near.pus;
        branch.numa_nodes &= near.numa_nodes;
    }

    // What a resize keeps is contained in the new set, or contains it. For PUs both are
    // tried: where cores differ in size, their number does not tell which will be
    // larger.
    bool run_keeping(Branch& inner, const Placement& old) {
        const auto& keep = request_.request.keep;
        for (const std::string& word : keep) {
            const std::uint32_t need = request_.need_of(word);
            if (need != no_index && !keep_devices(inner, need, old)) {
                return true;
            }
        }
        if (std::ranges::find(keep, "pus") == keep.end() || !request_.wants_pus()) {
            return !counts_suffice(inner) || fix_align(0, inner);
        }
        Branch fewer = inner;
        fewer.usable_pus &= old.pus;
        if (counts_suffice(fewer) && !fix_align(0, fewer)) {
            return false;
        }
        inner.forced_pus = old.pus;
        return !old.pus.is_subset_of(inner.usable_pus) || !counts_suffice(inner) ||
               fix_align(0, inner);
    }

    bool keep_devices(Branch& branch, std::uint32_t need, const Placement& old) const {
        const std::string& device_class = request_.request.devices[need].device_class;
        Bitmap before;
        for (const DeviceGrant& grant : old.devices) {
            if (machine_.devices()[grant.device].device_class == device_class) {
                before.set(grant.device);
            }
        }
        auto& list = branch.needs[need];
        if (request_.needs[need].count < before.count()) {
            std::erase_if(list,
                          [&](const Candidate& c) { return !before.test(c.device); });
            return true;
        }
        std::size_t found = 0;
        for (Candidate& candidate : list) {
            candidate.forced = before.test(candidate.device);
            found += candidate.forced ? 1U : 0U;
        }
        branch.forced_devices += found;
        return found == before.count();
    }

    [[nodiscard]] bool is_out_of_steps() const {
        steps_.limited = steps_.limited || steps_.taken >= steps_.most;
        return steps_.limited;
    }

    // Counts by locality, and whether they can suffice at all.
    bool counts_suffice(Branch& branch) {
        ++steps_.taken;
        count_units(branch);
        std::uint64_t units = 0;
        for (const std::uint32_t u : branch.units) {
            units += u;
        }
        if (units < branch.wanted_units || !bytes_suffice(branch)) {
            return false;
        }
        for (std::size_t i = 0; i < branch.needs.size(); ++i) {
            if (branch.needs[i].size() < request_.needs[i].count) {
                return false;
            }
        }
        return true;
    }

    void count_units(Branch& branch) const {
        branch.units.assign(machine_.localities().size(), 0);
        if (!request_.wants_pus()) {
            return;
        }
        if (branch.unit == PuUnit::pus) {
            branch.usable_pus.for_each(
                [&](std::size_t pu) { ++branch.units[machine_.pus()[pu].locality]; });
            return;
        }
        state_.whole_cores().for_each([&](std::size_t core) {
            const Bitmap& pus = machine_.cores()[core].pus;
            if (pus.is_subset_of(branch.usable_pus)) {
                const auto size = static_cast<std::uint32_t>(pus.count());
                branch.units[machine_.pus()[pus.first()].locality] +=
                    branch.unit == PuUnit::cores ? 1U : size;
            }
        });
    }

    bool bytes_suffice(Branch& branch) const {
        if (!request_.wants_bytes) {
            return true;
        }
        branch.any_numa_node =
            branch.numa_nodes.count() == machine_.numa_nodes().size();
        for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
            std::uint64_t missing = request_.bytes[size];
            branch.numa_nodes.for_each([&](std::size_t n) {
                const auto node = static_cast<std::uint32_t>(n);
                if (machine_.numa_nodes()[node].kind == request_.request.kind) {
                    missing -= std::min(missing, state_.free_bytes(node, size));
                }
            });
            if (missing != 0) {
                return false;
            }
        }
        return true;
    }

    // Spends the branch.
    bool fix_align(std::size_t index, Branch& branch) {
        if (index == enforced_.aligns.size()) {
            return fix_same(0, branch);
        }
        const CompiledAlign& align = *enforced_.aligns[index];
        for (const Place& place : places_of(machine_, align.level)) {
            Branch inner = branch;
            narrow(inner, align.scope, place);
            if (is_out_of_steps() ||
                (counts_suffice(inner) && !fix_align(index + 1, inner))) {
                return false;
            }
        }
        return true;
    }

    void narrow(Branch& branch, const Scope& scope, const Place& place) const {
        if (scope.pus) {
            branch.usable_pus &= *place.pus;
            if (!branch.forced_pus.is_subset_of(branch.usable_pus)) {
                branch.usable_pus.clear();
            }
        }
        if (scope.memory) {
            for (std::size_t n = 0; n < machine_.numa_nodes().size(); ++n) {
                if ((mask_of(machine_.numa_nodes()[n].localities) & place.localities) ==
                    0) {
                    branch.numa_nodes.reset(n);
                }
            }
        }
        for (std::size_t i = 0; i < branch.needs.size(); ++i) {
            if (scope.has_need(i)) {
                std::erase_if(branch.needs[i], [&](const Candidate& c) {
                    return (c.localities & place.localities) == 0;
                });
            }
        }
    }

    bool fix_same(std::size_t index, Branch& branch) {
        if (index == enforced_.sames.size()) {
            return finish(branch);
        }
        const CompiledAttribute& same = *enforced_.sames[index];
        for (std::uint32_t value = 0; value < same.value_count; ++value) {
            Branch inner = branch;
            for (std::size_t i = 0; i < inner.needs.size(); ++i) {
                if (has_bit(same.needs, i)) {
                    std::erase_if(inner.needs[i], [&](const Candidate& c) {
                        return std::ranges::find(same.values[c.device], value) ==
                               same.values[c.device].end();
                    });
                }
            }
            if (is_out_of_steps() ||
                (counts_suffice(inner) && !fix_same(index + 1, inner))) {
                return false;
            }
        }
        return true;
    }

    bool finish(Branch& branch) {
        if (!price_pairs(branch) || !counts_suffice(branch) ||
            count_forced(branch) != branch.forced_devices) {
            return true;
        }
        find_twins(branch);
        return visit_(branch);
    }

    static std::size_t count_forced(const Branch& branch) {
        std::size_t forced = 0;
        for (const auto& list : branch.needs) {
            forced += static_cast<std::size_t>(std::ranges::count_if(
                list, [](const Candidate& c) { return c.forced; }));
        }
        return forced;
    }

    // Least levels across each Pair; drops candidates that no partner is near enough
    // to.
    bool price_pairs(Branch& branch) const {
        for (auto& list : branch.needs) {
            for (Candidate& candidate : list) {
                candidate.pair_least.assign(enforced_.pairs.size(), 0);
            }
        }
        for (std::size_t p = 0; p < enforced_.pairs.size(); ++p) {
            PricedPair& priced = enforced_.pairs[p];
            const Level within = priced.enforced
                                     ? std::min(priced.bound, priced.pair.within)
                                     : priced.bound;
            auto& a = branch.needs[priced.pair.need_a];
            auto& b = branch.needs[priced.pair.need_b];
            price_side(a, b, p, within);
            price_side(b, a, p, within);
            if (a.empty() || b.empty()) {
                return false;
            }
            priced.least = std::ranges::min(a, {}, [p](const Candidate& c) {
                               return c.pair_least[p];
                           }).pair_least[p];
        }
        return true;
    }

    void price_side(std::vector<Candidate>& side,
                    const std::vector<Candidate>& other,
                    std::size_t pair,
                    Level within) const {
        for (Candidate& candidate : side) {
            std::int64_t least = std::numeric_limits<std::int64_t>::max();
            for (const Candidate& partner : other) {
                const Level level = machine_.level(candidate.device, partner.device);
                if (level <= within) {
                    least = std::min(least, static_cast<std::int64_t>(level));
                }
            }
            candidate.pair_least[pair] = least;
        }
        std::erase_if(side, [pair](const Candidate& c) {
            return c.pair_least[pair] == std::numeric_limits<std::int64_t>::max();
        });
    }

    void find_twins(Branch& branch) const {
        for (std::size_t need = 0; need < branch.needs.size(); ++need) {
            auto& list = branch.needs[need];
            for (std::size_t j = 1; j < list.size(); ++j) {
                for (std::size_t i = j; i-- > 0;) {
                    if (are_twins(branch, need, list[i], list[j])) {
                        list[j].twin = static_cast<std::int32_t>(i);
                        break;
                    }
                }
            }
        }
    }

    // True when exchanging the two changes no term and no constraint.
    [[nodiscard]] bool are_twins(const Branch& branch,
                                 std::size_t need,
                                 const Candidate& x,
                                 const Candidate& y) const {
        const Device& a = machine_.devices()[x.device];
        const Device& b = machine_.devices()[y.device];
        if (x.localities != y.localities || x.forced || y.forced ||
            a.switch_index != b.switch_index ||
            (state_.device_holds()[a.root] == 0) !=
                (state_.device_holds()[b.root] == 0) ||
            !same_counters(need, x, y)) {
            return false;
        }
        for (const CompiledAttribute* distinct : enforced_.distincts) {
            if (has_bit(distinct->needs, need) &&
                (distinct->values[x.device] != distinct->values[y.device] ||
                 distinct->present.test(x.device) !=
                     distinct->present.test(y.device))) {
                return false;
            }
        }
        for (const auto& list : branch.needs) {
            for (const Candidate& other : list) {
                if (other.device != x.device && other.device != y.device &&
                    !same_relations(other.device, x.device, y.device)) {
                    return false;
                }
            }
        }
        return true;
    }

    [[nodiscard]] bool same_counters(std::size_t need,
                                     const Candidate& x,
                                     const Candidate& y) const {
        const Device& a = machine_.devices()[x.device];
        const Device& b = machine_.devices()[y.device];
        switch (request_.needs[need].mode) {
            case TakeMode::whole:
                // A part that another need takes rules out its own root alone.
                return a.parts.empty() && b.parts.empty();
            case TakeMode::part:
                return a.root == b.root && a.counter_draws == b.counter_draws;
            case TakeMode::share:
                break;
        }
        return a.parts.empty() && b.parts.empty() &&
               std::ranges::equal(state_.counters_left(x.device),
                                  state_.counters_left(y.device)) &&
               request_.needs[need].share_draws[x.share_index] ==
                   request_.needs[need].share_draws[y.share_index];
    }

    [[nodiscard]] bool same_relations(std::uint32_t other,
                                      std::uint32_t x,
                                      std::uint32_t y) const {
        return machine_.level(other, x) == machine_.level(other, y) &&
               machine_.link_mb_s(other, x) == machine_.link_mb_s(other, y);
    }

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    Enforced& enforced_;
    BranchSteps steps_;
    const std::function<bool(Branch&)>& visit_;
};

}  // namespace

Enforced sort_enforced(const CompiledRequest& request,
                       const std::vector<const CompiledConstraint*>& enforced) {
    Enforced out;
    for (const CompiledConstraint* constraint : enforced) {
        if (const auto* align = std::get_if<CompiledAlign>(constraint)) {
            out.aligns.push_back(align);
        } else if (const auto* link = std::get_if<CompiledLink>(constraint)) {
            out.links.push_back(link);
        } else if (const auto* near = std::get_if<CompiledNear>(constraint)) {
            out.nears.push_back(near);
        } else if (const auto* attribute = std::get_if<CompiledAttribute>(constraint)) {
            (attribute->same ? out.sames : out.distincts).push_back(attribute);
        }
    }
    for (const auto* list : {&request.require, &request.prefer}) {
        for (const CompiledConstraint& constraint : *list) {
            if (const auto* pair = std::get_if<CompiledPair>(&constraint)) {
                const bool is_enforced =
                    std::ranges::find(enforced, &constraint) != enforced.end();
                out.pairs.push_back(
                    {*pair, pair_bound(request, *pair), is_enforced, 0});
            }
        }
    }
    return out;
}

bool for_each_branch(const NodeState& state,
                     const CompiledRequest& request,
                     Enforced& enforced,
                     const Placement* keep_from,
                     BranchSteps steps,
                     const std::function<bool(Branch&)>& visit) {
    return BranchMaker(state, request, enforced, steps, visit).run(keep_from);
}

}  // namespace topoalloc
