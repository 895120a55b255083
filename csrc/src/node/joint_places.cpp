// SPDX-License-Identifier: Apache-2.0
#include "node/joint_places.hpp"

#include "base/bits.hpp"
#include "node/joint_place_search.hpp"

#include <algorithm>
#include <iterator>

namespace topoalloc {
namespace {

std::vector<const CompiledNear*> nears_of(
    std::span<const CompiledRequest* const> requests) {
    std::vector<const CompiledNear*> nears;
    for (const CompiledRequest* request : requests) {
        for (const auto* list : {&request->require, &request->prefer}) {
            for (const CompiledConstraint& constraint : *list) {
                if (const auto* near = std::get_if<CompiledNear>(&constraint)) {
                    nears.push_back(near);
                }
            }
        }
    }
    return nears;
}

// Every T that holds what a signature asks for and costs no more than is of use.
class SetFinder {
  public:
    SetFinder(const NodeState& state,
              PlaceSignature& signature,
              const JointCells& cells,
              const std::vector<JointSlot>& slots,
              const std::optional<Cost>& most,
              StepBudget& budget)
        : state_(state),
          machine_(state.machine()),
          signature_(signature),
          cells_(cells),
          slots_(slots),
          most_(most),
          budget_(budget) {}

    void run() {
        JointSet none;
        set_unmet(*signature_.request, signature_.broken, none.cost);
        extend(0, none);
        std::ranges::stable_sort(
            signature_.sets, {}, [](const JointSet& set) { return set.cost; });
    }

  private:
    void extend(std::uint32_t next, const JointSet& set) {
        if (!budget_.spend() || is_of_no_use(set.cost)) {
            return;
        }
        if (holds_all(set.mask)) {
            signature_.sets.push_back(set);
        }
        for (std::uint32_t l = next; l < machine_.localities().size(); ++l) {
            extend(l + 1, with(set, l));
        }
    }

    // Terms 2 and 3 do not shrink as T grows.
    [[nodiscard]] bool is_of_no_use(const Cost& cost) const {
        return most_ && cost > *most_;
    }

    [[nodiscard]] JointSet with(JointSet set, std::uint32_t locality) const {
        Bitmap packages = machine_.localities()[locality].packages;
        for_each_bit(set.mask, [&](std::uint32_t other) {
            packages |= machine_.localities()[other].packages;
            set.cost[Cost::distance] +=
                static_cast<std::int64_t>(machine_.distance(other, locality));
        });
        set.mask |= bit(locality);
        ++set.cost[Cost::localities];
        set.cost[Cost::packages] = static_cast<std::int64_t>(packages.count());
        return set;
    }

    [[nodiscard]] bool holds_all(std::uint64_t mask) const {
        return std::ranges::all_of(signature_.device_sets,
                                   [&](std::uint64_t s) { return (s & mask) != 0; }) &&
               holds_pus(mask) && holds_bytes(mask);
    }

    [[nodiscard]] bool holds_pus(std::uint64_t mask) const {
        const Request& wanted = signature_.request->request;
        std::uint64_t room = 0;
        for (const JointSlot& slot : slots_) {
            if ((slot.localities & ~mask) == 0) {
                room += std::uint64_t{room_of(slot)} * slot.units;
            }
        }
        return room >= wanted.cores + wanted.pus;
    }

    [[nodiscard]] std::uint32_t room_of(const JointSlot& slot) const {
        const bool may_use = std::ranges::all_of(slot.takes, [&](const auto& take) {
            return static_cast<bool>(signature_.may_use[take.first]);
        });
        if (!may_use) {
            return 0;
        }
        return signature_.request->counts_whole_cores()
                   ? static_cast<std::uint32_t>(
                         cells_.classes()[slot.index].cores.size())
                   : cells_.cells()[slot.index].free;
    }

    // How much T holds does not depend on the order in which it is filled.
    [[nodiscard]] bool holds_bytes(std::uint64_t mask) const {
        const std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
        return fill_memory(state_, *signature_.request, bitmap_of(mask), counts)
            .has_value();
    }

    const NodeState& state_;
    const Machine& machine_;
    PlaceSignature& signature_;
    const JointCells& cells_;
    const std::vector<JointSlot>& slots_;
    const std::optional<Cost>& most_;
    StepBudget& budget_;
};

}  // namespace

JointPlaces::JointPlaces(const NodeState& state,
                         std::span<const CompiledRequest* const> groups,
                         Packing packing,
                         const Cost& least_union,
                         bool any,
                         StepBudget& budget)
    : state_(state),
      machine_(state.machine()),
      groups_(groups.begin(), groups.end()),
      packing_(packing),
      least_union_(least_union),
      any_(any),
      budget_(budget),
      most_(groups.size()),
      cells_(state, nears_of(groups)),
      scratch_(state) {
    // What devices alone open is added by whoever knows them.
    least_union_[Cost::opened_switches] = 0;
    least_union_[Cost::opened_devices] = 0;
    make_slots();
}

void JointPlaces::make_slots() {
    Bitmap l3s;
    for (const JointCell& cell : cells_.cells()) {
        const auto whole = std::ranges::count_if(cell.classes, [&](std::uint32_t c) {
            return cells_.classes()[c].is_whole;
        });
        l3s_are_slots_ = l3s_are_slots_ && whole <= 1 && !l3s.test(cell.l3);
        l3s.set(cell.l3);
    }
    for (std::uint32_t cell = 0; cell < cells_.cells().size(); ++cell) {
        const JointCell& entry = cells_.cells()[cell];
        pu_slots_.push_back({cell, 1, bit(entry.locality), {{cell, 1}}, cell, 0});
        std::uint32_t rank = 0;
        for (const std::uint32_t index : entry.classes) {
            const JointCoreClass& kind = cells_.classes()[index];
            if (!kind.is_whole || kind.free.front().first != cell) {
                continue;
            }
            JointSlot slot{index, 1, 0, kind.free, cell, rank};
            for (const auto& [other, count] : kind.free) {
                slot.localities |= bit(cells_.cells()[other].locality);
            }
            core_slots_.push_back(slot);
            slot.units = kind.size;
            core_pu_slots_.push_back(std::move(slot));
            ++rank;
        }
    }
}

const std::vector<JointSlot>& JointPlaces::slots_of(
    const CompiledRequest& request) const {
    if (request.request.cores != 0) {
        return core_slots_;
    }
    return request.request.whole_cores ? core_pu_slots_ : pu_slots_;
}

// A cell is of no use where a required Near, or an Align whose devices lie elsewhere,
// forbids its PUs.
void JointPlaces::set_may_use(PlaceSignature& signature) const {
    const CompiledRequest& request = *signature.request;
    for (const JointCell& cell : cells_.cells()) {
        Placement one;
        one.pus.set(cell.first_pu);
        one.localities.set(cell.locality);
        signature.may_use.push_back(
            std::ranges::all_of(request.require, [&](const CompiledConstraint& c) {
                return constraint_holds(request, c, one, signature.chosen);
            }));
        std::uint64_t breaks = signature.broken;
        for (std::size_t i = 0; i < request.prefer.size(); ++i) {
            const bool fails =
                speaks_beyond_devices(request.prefer[i]) &&
                !constraint_holds(request, request.prefer[i], one, signature.chosen);
            breaks |= std::uint64_t{fails ? 1U : 0U} << i;
        }
        signature.breaks.push_back(breaks);
    }
}

void JointPlaces::find_sets(std::uint32_t group, PlaceSignature& signature) {
    SetFinder(
        state_, signature, cells_, slots_of(*signature.request), most_[group], budget_)
        .run();
}

std::optional<std::uint32_t> JointPlaces::find_signature(std::uint32_t group,
                                                         const DeviceChoice& choice) {
    std::vector<std::uint64_t> key{group, choice.broken};
    std::vector<std::uint64_t> device_sets;
    for (const auto& list : choice.chosen) {
        std::vector<std::uint64_t> masks;
        for (const std::uint32_t device : list) {
            masks.push_back(machine_.devices()[device].localities.word(0));
        }
        std::ranges::sort(masks);
        key.insert(key.end(), masks.begin(), masks.end());
        std::ranges::copy_if(masks, std::back_inserter(device_sets), [](auto mask) {
            return mask != 0;
        });
    }
    const auto known = index_of_.find(key);
    if (known != index_of_.end()) {
        return known->second;
    }
    auto signature = std::make_unique<PlaceSignature>();
    signature->request = groups_[group];
    signature->chosen = choice.chosen;
    signature->broken = choice.broken;
    signature->device_sets = std::move(device_sets);
    set_may_use(*signature);
    find_sets(group, *signature);
    signatures_.push_back(std::move(signature));
    const auto index = static_cast<std::uint32_t>(signatures_.size() - 1);
    const PlacePlan* plan = find_least({index}, true, std::nullopt);
    if (budget_.limited) {
        return std::nullopt;
    }
    std::optional<std::uint32_t>& entry = index_of_[key];
    if (plan != nullptr) {
        signatures_[index]->alone = plan->cost;
        entry = index;
    }
    return entry;
}

const PlacePlan* JointPlaces::find_least(const std::vector<std::uint32_t>& members,
                                         bool relaxed,
                                         const std::optional<Cost>& below) {
    const auto [entry, is_new] = memo_.try_emplace({relaxed, members});
    Memo& memo = entry->second;
    const bool is_known =
        !is_new && (memo.plan || !memo.below || (below && *below <= *memo.below));
    if (!is_known) {
        PlaceSearch search(*this, members, relaxed, below);
        memo.plan = search.run();
        memo.below = below;
        if (budget_.limited) {
            memo_.erase(entry);
            return nullptr;
        }
    }
    return memo.plan && (!below || memo.plan->cost < *below) ? &*memo.plan : nullptr;
}

}  // namespace topoalloc
