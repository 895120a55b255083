// SPDX-License-Identifier: Apache-2.0
#include "node/joint_search.hpp"

#include "node/joint_places.hpp"
#include "node/joint_symmetry.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace topoalloc {
namespace {

constexpr std::size_t first_union_term = Cost::split_cores;

Cost sum_of(Cost a, const Cost& b) {
    for (std::size_t term = 0; term < a.terms.size(); ++term) {
        a.terms[term] += b.terms[term];
    }
    return a;
}

Cost difference_of(Cost a, const Cost& b) {
    for (std::size_t term = 0; term < a.terms.size(); ++term) {
        a.terms[term] -= b.terms[term];
    }
    return a;
}

std::vector<const CompiledRequest*> requests_of(std::span<const RequestGroup> groups) {
    std::vector<const CompiledRequest*> out;
    for (const RequestGroup& group : groups) {
        out.push_back(group.request);
    }
    return out;
}

// A device set of a group, and what is known of it.
struct Option {
    DeviceChoice choice;
    std::uint32_t signature = 0;
    std::vector<std::uint64_t> touches;  // blocks, see DeviceSymmetry
    Cost least;                          // no less in terms 1 to 7
};

class JointSearch {
  public:
    JointSearch(const NodeState& state,
                const JointQuestion& question,
                StepBudget& budget)
        : state_(state),
          machine_(state.machine()),
          question_(question),
          budget_(budget),
          requests_(requests_of(question.groups)),
          least_union_(least_union_terms(state, question.groups, question.packing)),
          places_(
              state, requests_, question.packing, least_union_, question.any, budget),
          symmetry_(state, requests_),
          ledger_(state),
          below_(question.below),
          options_(question.groups.size()) {}

    std::vector<Placement> run() {
        for (std::uint32_t group = 0; group < requests_.size(); ++group) {
            bound_sets(group);
            if (!list_options(group)) {
                return {};
            }
        }
        order_members();
        touched_ = symmetry_.touched_by({});
        chosen_.resize(order_.size());
        choose(0, {}, std::vector<std::size_t>(requests_.size(), 0));
        return budget_.limited && best_.empty() ? std::vector<Placement>{}
                                                : std::move(best_);
    }

  private:
    // A member costs less than the bound of the batch leaves when the others are at
    // their optima: T beyond that are of no use.
    void bound_sets(std::uint32_t group) {
        if (!below_) {
            return;
        }
        Cost most = *below_;
        for (std::uint32_t i = 0; question_.has_bounds && i < requests_.size(); ++i) {
            const RequestGroup& other = question_.groups[i];
            for (std::uint32_t n = i == group ? 1 : 0; n < other.size; ++n) {
                most = difference_of(most, *other.alone);
            }
        }
        for (std::size_t term = Cost::pair_levels; term < most.terms.size(); ++term) {
            most.terms[term] = std::numeric_limits<std::int64_t>::max();
        }
        places_.set_most(group, most);
    }

    // Every device set of use, best first; false when there is none, or the limit came
    // first.
    bool list_options(std::uint32_t group) {
        std::vector<Option>& list = options_[group];
        const bool ended = for_each_device_choice(
            state_, *requests_[group], budget_, [&](DeviceChoice choice) {
                const auto signature = places_.find_signature(group, choice);
                if (signature) {
                    Option option;
                    option.signature = *signature;
                    option.touches = symmetry_.touched_by(choice.devices);
                    option.least =
                        sum_of(choice.cost, places_.signature(*signature).alone);
                    option.choice = std::move(choice);
                    list.push_back(std::move(option));
                }
            });
        std::ranges::sort(list, [](const Option& a, const Option& b) {
            return a.least != b.least
                       ? a.least < b.least
                       : a.choice.devices.compare_least_index(b.choice.devices) < 0;
        });
        return ended && !budget_.limited && !list.empty();
    }

    // Members with few device sets come first; equal Requests stand side by side.
    void order_members() {
        for (std::uint32_t i = 0; i < question_.group_of.size(); ++i) {
            order_.push_back(i);
        }
        std::ranges::stable_sort(order_, {}, [this](std::uint32_t member) {
            const std::uint32_t group = question_.group_of[member];
            return std::pair(options_[group].size(), group);
        });
    }

    [[nodiscard]] std::uint32_t group_at(std::size_t depth) const {
        return question_.group_of[order_[depth]];
    }

    [[nodiscard]] bool is_beaten(Cost sum) const {
        for (std::size_t term = first_union_term; term < sum.terms.size(); ++term) {
            sum.terms[term] = least_union_.terms[term];
        }
        return below_ && sum >= *below_;
    }

    // @param first  by group: options before it are not to be had any more
    void choose(std::size_t depth, const Cost& sum, std::vector<std::size_t> first) {
        if (depth == order_.size()) {
            finish();
            return;
        }
        const auto rest = least_of_rest(depth, first);
        if (!rest) {
            return;
        }
        const std::uint32_t group = group_at(depth);
        const bool repeats = depth > 0 && group_at(depth - 1) == group;
        const auto& list = options_[group];
        std::size_t position = first[group];
        if (repeats) {
            position = std::max(position, chosen_[depth - 1]);
        }
        for (; position < list.size(); ++position) {
            const Option& option = list[position];
            if (!budget_.spend() ||
                is_beaten(sum_of(sum_of(sum, option.least), *rest))) {
                return;
            }
            if (ledger_.fits(option.choice.use) &&
                DeviceSymmetry::is_least(touched_, option.touches)) {
                chosen_[depth] = position;
                descend(depth, sum_of(sum, option.least), first);
            }
        }
    }

    void descend(std::size_t depth,
                 const Cost& sum,
                 const std::vector<std::size_t>& first) {
        const Option& option = options_[group_at(depth)][chosen_[depth]];
        const std::vector<std::uint64_t> touched = touched_;
        for (std::size_t i = 0; i < touched_.size(); ++i) {
            touched_[i] |= option.touches[i];
        }
        ledger_.add(option.choice.use);
        signatures_.push_back(option.signature);
        const auto least = least_so_far(depth, sum);
        if (least) {
            choose(depth + 1, *least, first);
        }
        signatures_.pop_back();
        ledger_.remove(option.choice.use);
        touched_ = touched;
    }

    // The least that the members after this one add, each with the best device set that
    // is to be had; nullopt when one, or this one, has none.
    std::optional<Cost> least_of_rest(std::size_t depth,
                                      std::vector<std::size_t>& first) {
        Cost sum;
        for (std::size_t i = depth; i < order_.size(); ++i) {
            const std::uint32_t group = group_at(i);
            const auto& list = options_[group];
            while (first[group] < list.size() &&
                   !ledger_.fits(list[first[group]].choice.use)) {
                ++first[group];
                if (!budget_.spend()) {
                    return std::nullopt;
                }
            }
            if (first[group] == list.size()) {
                return std::nullopt;
            }
            if (i > depth) {
                sum = sum_of(sum, list[first[group]].least);
            }
        }
        return sum;
    }

    // What the members so far cost at least when their PUs are given at once.
    // @returns nullopt when they have no places
    std::optional<Cost> least_so_far(std::size_t depth, const Cost& sum) {
        if (depth == 0 || depth + 1 == order_.size()) {
            return sum;
        }
        Cost devices;
        for (std::size_t i = 0; i <= depth; ++i) {
            devices = sum_of(devices, options_[group_at(i)][chosen_[i]].choice.cost);
        }
        const PlacePlan* plan = places_.find_least(signatures_, true, std::nullopt);
        return plan == nullptr ? std::nullopt
                               : std::optional(sum_of(devices, plan->cost));
    }

    // All device sets are chosen: the rest of the answer, when it is of use.
    void finish() {
        Placement all;
        Cost devices;
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const Option& option = options_[group_at(i)][chosen_[i]];
            devices = sum_of(devices, option.choice.cost);
            option.choice.devices.for_each([&](std::size_t device) {
                all.devices.push_back({static_cast<std::uint32_t>(device), {}});
            });
        }
        Cost opened;
        count_opened(state_, all, question_.packing, opened);
        devices[Cost::opened_switches] = opened[Cost::opened_switches];
        devices[Cost::opened_devices] = opened[Cost::opened_devices];
        std::optional<Cost> below;
        if (below_) {
            below = difference_of(*below_, devices);
        }
        const PlacePlan* plan = places_.find_least(signatures_, false, below);
        if (plan != nullptr) {
            below_ = question_.any ? lowest_cost() : sum_of(devices, plan->cost);
            build(*plan);
        }
    }

    // Which PUs the counts of a plan are.
    void build(const PlacePlan& plan) {
        const JointCells& cells = places_.cells();
        std::vector<std::uint32_t> whole(cells.classes().size(), 0);
        std::vector<std::uint32_t> pus(cells.cells().size(), 0);
        best_.assign(order_.size(), {});
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const CompiledRequest& request = *requests_[group_at(i)];
            const MemberPlan& member = plan.members[i];
            Placement& placement = best_[order_[i]];
            placement.localities.set_word(0, member.localities);
            placement.memory = member.memory;
            const auto& slots = places_.slots_of(request);
            const bool takes_cores = request.counts_whole_cores();
            for (std::size_t s = 0; s < member.counts.size(); ++s) {
                for (std::uint32_t n = 0; n < member.counts[s]; ++n) {
                    if (takes_cores) {
                        const auto& kind = cells.classes()[slots[s].index];
                        placement.pus |=
                            machine_.cores()[kind.cores[whole[slots[s].index]++]].pus;
                    } else {
                        ++pus[slots[s].index];
                    }
                }
            }
        }
        give_pus(plan, cells.choose_pus(whole, pus));
        add_devices();
    }

    void give_pus(const PlacePlan& plan,
                  const std::vector<std::vector<std::uint32_t>>& pus_of_cell) {
        std::vector<std::size_t> next(pus_of_cell.size(), 0);
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const CompiledRequest& request = *requests_[group_at(i)];
            if (request.counts_whole_cores()) {
                continue;
            }
            const auto& slots = places_.slots_of(request);
            const auto& counts = plan.members[i].counts;
            for (std::size_t s = 0; s < counts.size(); ++s) {
                const std::uint32_t cell = slots[s].index;
                for (std::uint32_t n = 0; n < counts[s]; ++n) {
                    best_[order_[i]].pus.set(pus_of_cell[cell][next[cell]++]);
                }
            }
        }
    }

    // Each Placement in full; its own cost is the one beside those before it.
    void add_devices() {
        NodeState state = state_;
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const Option& option = options_[group_at(i)][chosen_[i]];
            const CompiledRequest& request = *requests_[group_at(i)];
            Placement& placement = best_[order_[i]];
            for (std::size_t need = 0; need < request.needs.size(); ++need) {
                for (const std::uint32_t device : option.choice.chosen[need]) {
                    placement.devices.push_back({device, request.needs[need].share});
                }
            }
            std::ranges::sort(placement.devices, {}, &DeviceGrant::device);
            placement.pairs = made_pairs(request, placement);
            placement.cost = placement_cost(
                state, request, placement, option.choice.chosen, question_.packing);
            state.take(placement);
        }
    }

    const NodeState& state_;
    const Machine& machine_;
    const JointQuestion& question_;
    StepBudget& budget_;
    std::vector<const CompiledRequest*> requests_;  // by group
    Cost least_union_;
    JointPlaces places_;
    DeviceSymmetry symmetry_;
    DeviceLedger ledger_;
    std::optional<Cost> below_;
    std::vector<std::vector<Option>> options_;  // by group
    std::vector<std::uint32_t> order_;          // members
    // While members are placed, by depth.
    std::vector<std::size_t> chosen_;
    std::vector<std::uint32_t> signatures_;
    std::vector<std::uint64_t> touched_;
    std::vector<Placement> best_;
};

}  // namespace

std::vector<Placement> search_joint(const NodeState& state,
                                    const JointQuestion& question,
                                    StepBudget& budget) {
    return JointSearch(state, question, budget).run();
}

}  // namespace topoalloc
