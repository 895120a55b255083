// SPDX-License-Identifier: Apache-2.0
#include "node/joint_bound.hpp"

#include "base/bits.hpp"
#include "node/room.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <utility>

namespace topoalloc {
namespace {

constexpr std::array opened_terms{Cost::opened_packages,
                                  Cost::opened_localities,
                                  Cost::opened_switches,
                                  Cost::opened_devices,
                                  Cost::opened_l3s};
constexpr std::size_t first_union_term = Cost::split_cores;

std::size_t smallest_core(const Machine& machine) {
    std::size_t least = machine.pus().size();
    for (const Domain& core : machine.cores()) {
        least = std::min(least, core.pus.count());
    }
    return least;
}

// Sums over the batch. Amounts are at most 2^62 and counts below 2^32, so each product
// is capped before it is added.
struct Totals {
    std::uint64_t cores = 0;
    std::uint64_t pus = 0;  // with those of the cores, at their smallest
    std::map<std::pair<MemoryKind, std::uint32_t>, std::uint64_t> bytes;
};

std::uint64_t capped_sum(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    return b > most - a ? most : a + b;
}

std::uint64_t capped_product(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    return a != 0 && b > most / a ? most : a * b;
}

Totals total_of(const Machine& machine, std::span<const RequestGroup> groups) {
    Totals totals;
    const std::uint64_t core_size = smallest_core(machine);
    for (const RequestGroup& group : groups) {
        const Request& wanted = group.request->request;
        totals.cores += std::uint64_t{wanted.cores} * group.size;
        totals.pus += capped_product(wanted.cores * core_size + wanted.pus, group.size);
        for (std::uint32_t size = 0; size < group.request->bytes.size(); ++size) {
            std::uint64_t& sum = totals.bytes[{wanted.kind, size}];
            sum =
                capped_sum(sum, capped_product(group.request->bytes[size], group.size));
        }
    }
    return totals;
}

struct Demand {
    Bitmap available;
    std::uint64_t count = 0;  // devices, over the group
    TakeMode mode = TakeMode::whole;
};

std::vector<Demand> demands_of(const NodeState& state,
                               std::span<const RequestGroup> groups) {
    std::vector<Demand> out;
    for (const RequestGroup& group : groups) {
        for (const DeviceNeed& need : group.request->needs) {
            if (need.mode == TakeMode::share) {
                continue;
            }
            Demand demand{{}, std::uint64_t{need.count} * group.size, need.mode};
            for (const std::size_t position : available_positions(state, need)) {
                demand.available.set(need.candidates[position]);
            }
            out.push_back(std::move(demand));
        }
    }
    return out;
}

// Hall's condition on the set of each demand: who may take only from it must find
// enough.
bool lacks_devices(const NodeState& state, std::span<const RequestGroup> groups) {
    const std::vector<Demand> demands = demands_of(state, groups);
    return std::ranges::any_of(demands, [&](const Demand& set) {
        std::uint64_t wanted = 0;
        for (const Demand& demand : demands) {
            if (demand.mode == set.mode &&
                demand.available.is_subset_of(set.available)) {
                wanted += demand.count;
            }
        }
        return wanted > set.available.count();
    });
}

// The least number of closed domains that must be opened so that `demand` fits in what
// is open and in them; `elsewhere` fits without opening any.
std::int64_t least_opened(std::uint64_t demand,
                          std::uint64_t elsewhere,
                          const std::vector<std::uint64_t>& capacity,
                          std::span<const std::uint32_t> holds) {
    std::uint64_t room = elsewhere;
    std::vector<std::uint64_t> closed;
    for (std::size_t i = 0; i < capacity.size(); ++i) {
        if (holds[i] != 0) {
            room = capped_sum(room, capacity[i]);
        } else {
            closed.push_back(capacity[i]);
        }
    }
    std::ranges::sort(closed, std::greater<>());
    std::int64_t opened = 0;
    for (auto it = closed.begin(); it != closed.end() && room < demand; ++it) {
        room = capped_sum(room, *it);
        ++opened;
    }
    return opened;
}

// Kinds of domain that PUs, bytes and devices open, and how to count in them.
class OpenedBound {
  public:
    OpenedBound(const NodeState& state, std::span<const RequestGroup> groups)
        : state_(state), machine_(state.machine()), groups_(groups) {}

    [[nodiscard]] std::array<std::int64_t, opened_terms.size()> find() const {
        std::array<std::int64_t, opened_terms.size()> least{};
        count_pus(least);
        count_bytes(least);
        count_devices(least);
        return least;
    }

  private:
    using Least = std::array<std::int64_t, opened_terms.size()>;
    enum Kind : std::uint8_t { package, locality, switch_, device, l3 };

    static void raise(Least& least, Kind kind, std::int64_t value) {
        least[kind] = std::max(least[kind], value);
    }

    void count_pus(Least& least) const {
        const Totals totals = total_of(machine_, groups_);
        const auto bound = [&](Kind kind, const auto& domains, const auto& holds) {
            std::vector<std::uint64_t> pus;
            std::vector<std::uint64_t> cores;
            for (const auto& domain : domains) {
                pus.push_back(domain.pus.count_common(state_.free_pus()));
                cores.push_back(count_whole_cores(domain.pus));
            }
            raise(least, kind, least_opened(totals.pus, 0, pus, holds));
            raise(least, kind, least_opened(totals.cores, 0, cores, holds));
        };
        bound(package, machine_.packages(), state_.package_holds());
        bound(locality, machine_.localities(), state_.locality_holds());
        bound(l3, machine_.l3s(), state_.l3_holds());
    }

    // Whole cores that touch the domain: all that could lie in it.
    [[nodiscard]] std::uint64_t count_whole_cores(const Bitmap& pus) const {
        std::uint64_t count = 0;
        state_.whole_cores().for_each([&](std::size_t core) {
            count += machine_.cores()[core].pus.intersects(pus) ? 1U : 0U;
        });
        return count;
    }

    void count_bytes(Least& least) const {
        const Totals totals = total_of(machine_, groups_);
        for (const auto& [key, demand] : totals.bytes) {
            std::vector<std::uint64_t> by_package(machine_.packages().size());
            std::vector<std::uint64_t> by_locality(machine_.localities().size());
            for (std::uint32_t n = 0; n < machine_.numa_nodes().size(); ++n) {
                const NumaNode& node = machine_.numa_nodes()[n];
                if (node.kind == key.first) {
                    spread(node.localities,
                           state_.free_bytes(n, key.second),
                           by_package,
                           by_locality);
                }
            }
            raise(least,
                  package,
                  least_opened(demand, 0, by_package, state_.package_holds()));
            raise(least,
                  locality,
                  least_opened(demand, 0, by_locality, state_.locality_holds()));
        }
    }

    // Counts an amount in every domain that it may lie in: more than there is, so the
    // bound stays one.
    void spread(const Bitmap& localities,
                std::uint64_t amount,
                std::vector<std::uint64_t>& by_package,
                std::vector<std::uint64_t>& by_locality) const {
        Bitmap packages;
        localities.for_each([&](std::size_t l) {
            by_locality[l] = capped_sum(by_locality[l], amount);
            packages |= machine_.localities()[l].packages;
        });
        packages.for_each(
            [&](std::size_t p) { by_package[p] = capped_sum(by_package[p], amount); });
    }

    // Whole devices only: a part or a share may come from a root that is open already.
    void count_devices(Least& least) const {
        std::map<std::string_view, std::pair<std::uint64_t, Bitmap>> classes;
        std::int64_t roots = 0;
        for (const RequestGroup& group : groups_) {
            for (std::size_t i = 0; i < group.request->needs.size(); ++i) {
                const DeviceNeed& need = group.request->needs[i];
                if (need.mode != TakeMode::whole) {
                    continue;
                }
                roots += static_cast<std::int64_t>(need.count) * group.size;
                auto& [count, devices] =
                    classes[group.request->request.devices[i].device_class];
                count += std::uint64_t{need.count} * group.size;
                for (const std::size_t position : available_positions(state_, need)) {
                    devices.set(need.candidates[position]);
                }
            }
        }
        for (const auto& [name, demand] : classes) {
            count_class(demand.first, demand.second, least);
        }
        // A whole device is closed before and open afterwards.
        raise(least, device, roots);
    }

    void count_class(std::uint64_t demand, const Bitmap& devices, Least& least) const {
        std::vector<std::uint64_t> by_package(machine_.packages().size());
        std::vector<std::uint64_t> by_locality(machine_.localities().size());
        std::vector<std::uint64_t> by_switch(machine_.switches().size());
        std::uint64_t nowhere = 0;
        std::uint64_t unswitched = 0;
        devices.for_each([&](std::size_t index) {
            const Device& entry = machine_.devices()[index];
            nowhere += entry.localities.empty() ? 1U : 0U;
            spread(entry.localities, 1, by_package, by_locality);
            if (entry.switch_index == no_index) {
                ++unswitched;
            } else {
                ++by_switch[entry.switch_index];
            }
        });
        raise(least,
              package,
              least_opened(demand, nowhere, by_package, state_.package_holds()));
        raise(least,
              locality,
              least_opened(demand, nowhere, by_locality, state_.locality_holds()));
        raise(least,
              switch_,
              least_opened(demand, unswitched, by_switch, state_.switch_holds()));
    }

    const NodeState& state_;
    const Machine& machine_;
    std::span<const RequestGroup> groups_;
};

// PUs that do not fill whole cores split one, where all cores are of one size.
std::int64_t least_split(const Machine& machine, std::span<const RequestGroup> groups) {
    const std::size_t size = smallest_core(machine);
    if (size == 0 || std::ranges::any_of(machine.cores(), [&](const Domain& core) {
            return core.pus.count() != size;
        })) {
        return 0;
    }
    std::uint64_t pus = 0;
    for (const RequestGroup& group : groups) {
        pus += std::uint64_t{group.request->request.pus} * group.size;
    }
    return pus % size == 0 ? 0 : 1;
}

bool lies_in_one_each(const Machine& machine) {
    const auto in_one = [](const auto& entry) { return entry.localities.count() <= 1; };
    return std::ranges::all_of(machine.numa_nodes(), in_one) &&
           std::ranges::all_of(machine.devices(), in_one);
}

// Whether what a member opens follows from terms 1 to 7 and its own choice: it splits
// no core, and where its bytes lie does not depend on what others have taken.
bool opens_by_choice(const RequestGroup& group) {
    const Request& wanted = group.request->request;
    return (wanted.pus == 0 || wanted.whole_cores) &&
           (!group.request->wants_bytes || ((*group.alone)[Cost::localities] == 1 &&
                                            lies_in_one_each(*group.request->machine)));
}

// Pack: the batch opens what each member opens. A member whose least value is the bound
// of all is at that value in every answer that attains it; only such members bound the
// terms that follow.
void raise_by_members(std::span<const RequestGroup> groups, Cost& bound) {
    std::vector<const RequestGroup*> tight;
    for (const RequestGroup& group : groups) {
        if (opens_by_choice(group)) {
            tight.push_back(&group);
        }
    }
    for (const Cost::Term term : opened_terms) {
        for (const RequestGroup* group : tight) {
            bound[term] = std::max(bound[term], (*group->alone)[term]);
        }
        std::erase_if(tight, [&](const RequestGroup* group) {
            return (*group->alone)[term] != bound[term];
        });
    }
}

// Spread: no more is opened than is closed.
void bound_by_closed(const NodeState& state, Cost& bound) {
    const std::array holds{state.package_holds(),
                           state.locality_holds(),
                           state.switch_holds(),
                           state.device_holds(),
                           state.l3_holds()};
    for (std::size_t i = 0; i < opened_terms.size(); ++i) {
        bound[opened_terms[i]] =
            -static_cast<std::int64_t>(std::ranges::count(holds[i], 0U));
    }
}

// Spread: the batch opens at most what its members open, and no more than is closed.
void bound_spread(const NodeState& state,
                  std::span<const RequestGroup> groups,
                  Cost& bound) {
    bound_by_closed(state, bound);
    bool by_members = std::ranges::all_of(groups, opens_by_choice);
    for (const Cost::Term term : opened_terms) {
        std::int64_t sum = 0;
        for (const RequestGroup& group : groups) {
            sum += (*group.alone)[term] * group.size;
        }
        // Each member is at its own best only where their sum is the bound.
        by_members = by_members && sum >= bound[term];
        if (by_members) {
            bound[term] = sum;
        }
    }
}

}  // namespace

std::optional<Reason> find_joint_shortage(const NodeState& state,
                                          std::span<const RequestGroup> groups) {
    const Totals totals = total_of(state.machine(), groups);
    if (totals.cores > state.whole_cores().count()) {
        return Reason::not_enough_cores;
    }
    if (totals.pus > state.free_pus().count()) {
        return Reason::not_enough_pus;
    }
    for (const auto& [key, bytes] : totals.bytes) {
        if (bytes > free_bytes_of(state, key.first, key.second)) {
            return key.second == 0 ? Reason::not_enough_memory
                                   : Reason::not_enough_hugepages;
        }
    }
    if (lacks_devices(state, groups)) {
        return Reason::not_enough_devices;
    }
    return std::nullopt;
}

bool is_monotone(const CompiledRequest& request) {
    if (!request.wants_bytes) {
        return true;
    }
    const bool lies_in_one = lies_in_one_each(*request.machine);
    const std::uint64_t every_need = low_bits(request.needs.size());
    const auto is_harmless = [&](const CompiledConstraint& constraint, bool required) {
        if (std::holds_alternative<CompiledNear>(constraint)) {
            return false;
        }
        const auto* align = std::get_if<CompiledAlign>(&constraint);
        if (align == nullptr || !align->scope.memory) {
            return true;
        }
        // All of it lies in x: T can be cut down to the localities that meet x, and
        // then wherever the bytes go, they lie in x.
        return required && lies_in_one && align->scope.needs == every_need &&
               align->scope.pus == request.wants_pus();
    };
    return std::ranges::all_of(request.require,
                               [&](const auto& c) { return is_harmless(c, true); }) &&
           std::ranges::all_of(request.prefer,
                               [&](const auto& c) { return is_harmless(c, false); });
}

Cost least_union_terms(const NodeState& state,
                       std::span<const RequestGroup> groups,
                       Packing packing) {
    Cost bound;
    bound[Cost::split_cores] = least_split(state.machine(), groups);
    if (packing == Packing::spread) {
        bound_by_closed(state, bound);
        std::int64_t devices = 0;
        for (const RequestGroup& group : groups) {
            for (const DeviceNeed& need : group.request->needs) {
                devices += static_cast<std::int64_t>(need.count) * group.size;
            }
        }
        for (const Cost::Term term : {Cost::opened_switches, Cost::opened_devices}) {
            bound[term] = std::max(bound[term], -devices);
        }
        return bound;
    }
    const auto counted = OpenedBound(state, groups).find();
    for (std::size_t i = 0; i < opened_terms.size(); ++i) {
        bound[opened_terms[i]] = counted[i];
    }
    return bound;
}

Cost least_joint_cost(const NodeState& state,
                      std::span<const RequestGroup> groups,
                      Packing packing) {
    Cost bound;
    for (const RequestGroup& group : groups) {
        for (std::size_t term = 0; term < first_union_term; ++term) {
            bound.terms[term] += group.alone->terms[term] * group.size;
        }
    }
    bound[Cost::split_cores] = least_split(state.machine(), groups);
    if (packing == Packing::spread) {
        bound_spread(state, groups, bound);
        return bound;
    }
    const auto counted = OpenedBound(state, groups).find();
    for (std::size_t i = 0; i < opened_terms.size(); ++i) {
        bound[opened_terms[i]] = counted[i];
    }
    raise_by_members(groups, bound);
    return bound;
}

}  // namespace topoalloc
