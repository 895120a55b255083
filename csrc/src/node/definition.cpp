// SPDX-License-Identifier: Apache-2.0
#include "node/definition.hpp"

#include "base/bits.hpp"
#include "node/matching.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <memory_resource>
#include <numeric>
#include <span>

namespace topoalloc {
namespace {

bool a_is_many(const CompiledPair& pair) {
    return pair.ratio_b == 1;
}

MatchingSides orient(const CompiledPair& pair,
                     std::span<const std::uint32_t> a,
                     std::span<const std::uint32_t> b) {
    return a_is_many(pair) ? MatchingSides{a, b, pair.ratio_a}
                           : MatchingSides{b, a, pair.ratio_b};
}

// The domains of an Align level as sets of PUs and of the localities they meet.
struct AlignDomain {
    const Bitmap* pus = nullptr;
    Bitmap localities;
};

AlignDomain align_domain(const Machine& machine, AlignLevel level, std::size_t index) {
    switch (level) {
        case AlignLevel::l3:
            return {&machine.l3s()[index].pus, machine.l3s()[index].localities};
        case AlignLevel::package:
            return {&machine.packages()[index].pus,
                    machine.packages()[index].localities};
        case AlignLevel::numa:
            break;
    }
    Bitmap self;
    self.set(index);
    return {&machine.localities()[index].pus, self};
}

std::size_t align_domain_count(const Machine& machine, AlignLevel level) {
    switch (level) {
        case AlignLevel::l3:
            return machine.l3s().size();
        case AlignLevel::package:
            return machine.packages().size();
        case AlignLevel::numa:
            break;
    }
    return machine.localities().size();
}

class Holds {
  public:
    Holds(const CompiledRequest& request,
          const Placement& placement,
          const ChosenDevices& chosen)
        : machine_(*request.machine), placement_(placement), chosen_(chosen) {}

    bool operator()(const std::monostate& /*holds*/) const { return true; }

    bool operator()(const CompiledAlign& align) const {
        const std::size_t count = align_domain_count(machine_, align.level);
        for (std::size_t i = 0; i < count; ++i) {
            if (lies_in(align.scope, align_domain(machine_, align.level, i))) {
                return true;
            }
        }
        return false;
    }

    bool operator()(const CompiledPair& pair) const {
        return has_matching(machine_, sides_of(pair, chosen_), pair.within);
    }

    bool operator()(const CompiledLink& link) const {
        const auto& devices = chosen_[link.need];
        if (link.mode == LinkMode::connected) {
            return is_connected(devices, link.min_mb_s);
        }
        for (std::size_t i = 0; i < devices.size(); ++i) {
            for (std::size_t j = i + 1; j < devices.size(); ++j) {
                if (machine_.link_mb_s(devices[i], devices[j]) < link.min_mb_s) {
                    return false;
                }
            }
        }
        return true;
    }

    bool operator()(const CompiledAttribute& attribute) const {
        std::vector<std::uint32_t> seen(attribute.value_count, 0);
        std::uint32_t devices = 0;
        for (std::size_t need = 0; need < chosen_.size(); ++need) {
            if (((attribute.needs >> need) & 1U) == 0) {
                continue;
            }
            for (const std::uint32_t device : chosen_[need]) {
                ++devices;
                if (!attribute.present.test(device)) {
                    return false;
                }
                for (const std::uint32_t value : attribute.values[device]) {
                    ++seen[value];
                }
            }
        }
        if (attribute.same) {
            return std::ranges::find(seen, devices) != seen.end();
        }
        return std::ranges::all_of(seen, [](std::uint32_t n) { return n <= 1; });
    }

    bool operator()(const CompiledNear& near) const {
        for (const auto& devices : chosen_) {
            if (!std::ranges::all_of(
                    devices, [&](std::uint32_t d) { return near.devices.test(d); })) {
                return false;
            }
        }
        return placement_.pus.is_subset_of(near.pus) &&
               std::ranges::all_of(placement_.memory, [&](const MemoryGrant& grant) {
                   return near.numa_nodes.test(grant.numa_node);
               });
    }

  private:
    [[nodiscard]] bool lies_in(const Scope& scope, const AlignDomain& domain) const {
        if (scope.pus && !placement_.pus.is_subset_of(*domain.pus)) {
            return false;
        }
        if (scope.memory &&
            !std::ranges::all_of(placement_.memory, [&](const MemoryGrant& grant) {
                return machine_.numa_nodes()[grant.numa_node].localities.intersects(
                    domain.localities);
            })) {
            return false;
        }
        for (std::size_t need = 0; need < chosen_.size(); ++need) {
            if (scope.has_need(need) &&
                !std::ranges::all_of(chosen_[need], [&](std::uint32_t d) {
                    return machine_.devices()[d].localities.intersects(
                        domain.localities);
                })) {
                return false;
            }
        }
        return true;
    }

    [[nodiscard]] bool is_connected(const std::vector<std::uint32_t>& devices,
                                    std::uint64_t min_mb_s) const {
        std::vector<bool> reached(devices.size(), false);
        std::vector<std::size_t> open;
        if (!devices.empty()) {
            reached[0] = true;
            open.push_back(0);
        }
        while (!open.empty()) {
            const std::size_t from = open.back();
            open.pop_back();
            for (std::size_t to = 0; to < devices.size(); ++to) {
                if (!reached[to] &&
                    machine_.link_mb_s(devices[from], devices[to]) >= min_mb_s) {
                    reached[to] = true;
                    open.push_back(to);
                }
            }
        }
        return std::ranges::find(reached, false) == reached.end();
    }

    const Machine& machine_;
    const Placement& placement_;
    const ChosenDevices& chosen_;
};

std::int64_t distance_sum(const Machine& machine, const Bitmap& localities) {
    const std::vector<std::uint32_t> members = localities.to_vector();
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t j = i + 1; j < members.size(); ++j) {
            sum += static_cast<std::int64_t>(machine.distance(members[i], members[j]));
        }
    }
    return sum;
}

std::int64_t remote_devices(const Machine& machine,
                            const Placement& placement,
                            const ChosenDevices& chosen) {
    Bitmap with_pus;
    placement.pus.for_each(
        [&](std::size_t pu) { with_pus.set(machine.pus()[pu].locality); });
    std::int64_t remote = 0;
    for (const auto& devices : chosen) {
        for (const std::uint32_t d : devices) {
            const Bitmap& localities = machine.devices()[d].localities;
            remote += (!localities.empty() && !localities.intersects(with_pus)) ? 1 : 0;
        }
    }
    return remote;
}

std::int64_t split_cores(const Machine& machine, const Bitmap& pus) {
    Bitmap touched;
    pus.for_each([&](std::size_t pu) { touched.set(machine.pus()[pu].core); });
    std::int64_t split = 0;
    touched.for_each([&](std::size_t core) {
        split += machine.cores()[core].pus.is_subset_of(pus) ? 0 : 1;
    });
    return split;
}

// Of made_pairs(), on its stack.
constexpr std::size_t scratch_bytes = 1024;

std::int64_t count_closed(const Bitmap& domains, std::span<const std::uint32_t> holds) {
    std::int64_t count = 0;
    domains.for_each([&](std::size_t domain) { count += holds[domain] == 0 ? 1 : 0; });
    return count;
}

// The NUMANodes of the kind asked for, as they are filled: locality by locality, each
// once.
std::vector<std::uint32_t> nodes_in_order(
    const CompiledRequest& request, const std::vector<std::uint32_t>& localities) {
    const Machine& machine = *request.machine;
    std::vector<std::uint32_t> nodes;
    for (const std::uint32_t locality : localities) {
        for (const std::uint32_t node : machine.localities()[locality].numa_nodes) {
            if (machine.numa_nodes()[node].kind == request.request.kind &&
                std::ranges::find(nodes, node) == nodes.end()) {
                nodes.push_back(node);
            }
        }
    }
    return nodes;
}

MadePairs make_pairs(const Machine& machine,
                     const MatchingSides& sides,
                     bool many_first,
                     Level bound,
                     std::uint32_t position,
                     std::pmr::memory_resource* scratch) {
    MadePairs made{position, {}};
    std::pmr::vector<std::uint32_t> partner(sides.many.size(), scratch);
    least_matching(machine, sides, bound, partner);
    made.pairs.reserve(partner.size());
    for (std::size_t i = 0; i < partner.size(); ++i) {
        const std::uint32_t many = sides.many[i];
        const std::uint32_t one = sides.one[partner[i]];
        made.pairs.emplace_back(many_first ? many : one, many_first ? one : many);
    }
    if (!many_first) {
        std::ranges::sort(made.pairs);
    }
    return made;
}

// Where a Placement has something, by kind of domain.
struct Footprint {
    Bitmap packages, localities, switches, roots, l3s;
};

Footprint footprint_of(const Machine& machine, const Placement& placement) {
    Footprint out;
    placement.pus.for_each([&](std::size_t index) {
        const Pu& pu = machine.pus()[index];
        out.packages.set(pu.package);
        out.localities.set(pu.locality);
        out.l3s.set(pu.l3);
    });
    for (const MemoryGrant& grant : placement.memory) {
        machine.numa_nodes()[grant.numa_node].localities.for_each(
            [&](std::size_t locality) {
                out.localities.set(locality);
                out.packages |= machine.localities()[locality].packages;
            });
    }
    for (const DeviceGrant& grant : placement.devices) {
        const Device& device = machine.devices()[grant.device];
        out.localities |= device.localities;
        out.packages |= device.packages;
        out.roots.set(device.root);
        if (device.switch_index != no_index) {
            out.switches.set(device.switch_index);
        }
    }
    return out;
}

}  // namespace

void count_opened(const NodeState& state,
                  const Placement& placement,
                  Packing packing,
                  Cost& cost) {
    const Footprint footprint = footprint_of(state.machine(), placement);
    const std::int64_t sign = packing == Packing::pack ? 1 : -1;
    cost[Cost::opened_packages] =
        sign * count_closed(footprint.packages, state.package_holds());
    cost[Cost::opened_localities] =
        sign * count_closed(footprint.localities, state.locality_holds());
    cost[Cost::opened_switches] =
        sign * count_closed(footprint.switches, state.switch_holds());
    cost[Cost::opened_devices] =
        sign * count_closed(footprint.roots, state.device_holds());
    cost[Cost::opened_l3s] = sign * count_closed(footprint.l3s, state.l3_holds());
}

std::optional<std::vector<MemoryGrant>> fill_memory(
    const NodeState& state,
    const CompiledRequest& request,
    const Bitmap& localities,
    std::span<const std::uint32_t> pu_counts) {
    if (request.lacks_page_size) {
        return std::nullopt;
    }
    std::vector<std::uint32_t> order = localities.to_vector();
    std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) {
        return pu_counts[a] > pu_counts[b];
    });
    const std::vector<std::uint32_t> nodes = nodes_in_order(request, order);
    std::vector<MemoryGrant> grants;
    for (std::uint32_t size = 0; size < request.bytes.size(); ++size) {
        std::uint64_t missing = request.bytes[size];
        for (const std::uint32_t node : nodes) {
            const std::uint64_t given = std::min(missing, state.free_bytes(node, size));
            missing -= given;
            if (given != 0) {
                grants.push_back({node, size, given});
            }
        }
        if (missing != 0) {
            return std::nullopt;
        }
    }
    std::ranges::sort(grants, {}, [](const MemoryGrant& g) {
        return std::pair(g.numa_node, g.page_size_index);
    });
    return grants;
}

MatchingSides sides_of(const CompiledPair& pair, const ChosenDevices& chosen) {
    return orient(pair, chosen[pair.need_a], chosen[pair.need_b]);
}

std::int64_t pair_levels(const CompiledRequest& request, const ChosenDevices& chosen) {
    std::int64_t levels = 0;
    for (const auto* list : {&request.require, &request.prefer}) {
        for (const CompiledConstraint& constraint : *list) {
            const auto* pair = std::get_if<CompiledPair>(&constraint);
            if (pair == nullptr) {
                continue;
            }
            const auto sum = least_level_sum(
                *request.machine, sides_of(*pair, chosen), pair_bound(request, *pair));
            if (!sum) {
                throw InvalidRequestError("placement: no matching, want its pairs met");
            }
            levels += *sum;
        }
    }
    return levels;
}

std::int64_t missing_link(const CompiledRequest& request, const ChosenDevices& chosen) {
    const Machine& machine = *request.machine;
    std::int64_t sum = 0;
    for (std::size_t need = 0; need < chosen.size(); ++need) {
        const std::vector<std::uint32_t>& devices = chosen[need];
        for (std::size_t i = 0; request.needs[need].counts_links && i < devices.size();
             ++i) {
            for (std::size_t j = i + 1; j < devices.size(); ++j) {
                sum += static_cast<std::int64_t>(
                    machine.max_link_mb_s() -
                    machine.link_mb_s(devices[i], devices[j]));
            }
        }
    }
    return sum;
}

bool constraint_holds(const CompiledRequest& request,
                      const CompiledConstraint& constraint,
                      const Placement& placement,
                      const ChosenDevices& chosen) {
    return std::visit(Holds(request, placement, chosen), constraint);
}

Level pair_bound(const CompiledRequest& request, const CompiledPair& pair) {
    Level bound = Level::machine;
    for (const CompiledConstraint& constraint : request.require) {
        const auto* other = std::get_if<CompiledPair>(&constraint);
        if (other != nullptr && std::minmax(other->need_a, other->need_b) ==
                                    std::minmax(pair.need_a, pair.need_b)) {
            bound = std::min(bound, other->within);
        }
    }
    return bound;
}

void set_unmet(const CompiledRequest& request, std::uint64_t unmet, Cost& cost) {
    cost[Cost::unmet_count] = std::popcount(unmet);
    cost[Cost::unmet_vector] = 0;
    for (std::size_t i = 0; i < request.prefer.size(); ++i) {
        cost[Cost::unmet_vector] =
            cost[Cost::unmet_vector] * 2 + (has_bit(unmet, i) ? 1 : 0);
    }
}

Cost placement_cost(const NodeState& state,
                    const CompiledRequest& request,
                    const Placement& placement,
                    const ChosenDevices& chosen,
                    Packing packing) {
    const Machine& machine = *request.machine;
    Cost cost;
    std::uint64_t unmet = 0;
    for (std::size_t i = 0; i < request.prefer.size(); ++i) {
        unmet |= constraint_holds(request, request.prefer[i], placement, chosen)
                     ? 0
                     : bit(i);
    }
    set_unmet(request, unmet, cost);
    Bitmap packages;
    placement.localities.for_each([&](std::size_t locality) {
        packages |= machine.localities()[locality].packages;
    });
    cost[Cost::packages] = static_cast<std::int64_t>(packages.count());
    cost[Cost::localities] = static_cast<std::int64_t>(placement.localities.count());
    cost[Cost::distance] = distance_sum(machine, placement.localities);
    cost[Cost::pair_levels] = pair_levels(request, chosen);
    cost[Cost::missing_link] = missing_link(request, chosen);
    if (request.wants_pus()) {
        cost[Cost::remote_devices] = remote_devices(machine, placement, chosen);
        Bitmap l3s;
        placement.pus.for_each([&](std::size_t pu) { l3s.set(machine.pus()[pu].l3); });
        cost[Cost::l3s] = static_cast<std::int64_t>(l3s.count());
        cost[Cost::split_cores] = split_cores(machine, placement.pus);
    }
    count_opened(state, placement, packing, cost);
    return cost;
}

std::vector<MadePairs> made_pairs(const CompiledRequest& request,
                                  const Placement& placement) {
    std::array<std::byte, scratch_bytes> buffer;  // NOLINT: written before read
    std::pmr::monotonic_buffer_resource scratch(buffer.data(), buffer.size());
    // Devices and needs are both in order of class, so each need has a run of them.
    std::pmr::vector<std::uint32_t> devices(&scratch);
    devices.reserve(placement.devices.size());
    for (const DeviceGrant& grant : placement.devices) {
        devices.push_back(grant.device);
    }
    const auto devices_of = [&](std::size_t need) {
        std::size_t first = 0;
        for (std::size_t before = 0; before < need; ++before) {
            first += request.needs[before].count;
        }
        return std::span(devices).subspan(first, request.needs[need].count);
    };
    std::vector<MadePairs> out;
    std::uint32_t position = 0;
    for (const auto* list : {&request.require, &request.prefer}) {
        for (const CompiledConstraint& constraint : *list) {
            if (const auto* pair = std::get_if<CompiledPair>(&constraint)) {
                const MatchingSides sides =
                    orient(*pair, devices_of(pair->need_a), devices_of(pair->need_b));
                const bool holds = list == &request.require ||
                                   has_matching(*request.machine, sides, pair->within);
                if (holds) {
                    out.push_back(make_pairs(*request.machine,
                                             sides,
                                             a_is_many(*pair),
                                             pair_bound(request, *pair),
                                             position,
                                             &scratch));
                }
            }
            ++position;
        }
    }
    return out;
}

}  // namespace topoalloc
