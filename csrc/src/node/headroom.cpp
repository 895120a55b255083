// SPDX-License-Identifier: Apache-2.0
#include "node/joint.hpp"
#include "node/joint_search.hpp"
#include "node/matching.hpp"
#include "node/room.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace topoalloc {

bool is_to_be_had(const NodeState& state,
                  const DeviceNeed& need,
                  std::size_t position) {
    const std::uint32_t device = need.candidates[position];
    if (need.mode != TakeMode::share) {
        return state.is_available(device);
    }
    return !state.is_cordoned(device) && !state.is_held_whole(device) &&
           std::ranges::equal(
               need.share_draws[position],
               state.counters_left(device),
               [](std::uint64_t want, std::uint64_t left) { return want <= left; });
}

std::vector<std::size_t> available_positions(const NodeState& state,
                                             const DeviceNeed& need) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < need.candidates.size(); ++i) {
        if (is_to_be_had(state, need, i)) {
            out.push_back(i);
        }
    }
    return out;
}

std::uint64_t free_bytes_of(const NodeState& state,
                            MemoryKind kind,
                            std::uint32_t page_size_index,
                            const Bitmap* nodes) {
    std::uint64_t sum = 0;
    const auto& all = state.machine().numa_nodes();
    for (std::uint32_t n = 0; n < all.size(); ++n) {
        if (all[n].kind == kind && (nodes == nullptr || nodes->test(n))) {
            const std::uint64_t free = state.free_bytes(n, page_size_index);
            // A sum beyond 64 bits is as good as the largest number.
            sum = free > std::numeric_limits<std::uint64_t>::max() - sum
                      ? std::numeric_limits<std::uint64_t>::max()
                      : sum + free;
        }
    }
    return sum;
}

namespace {

constexpr std::uint64_t unbounded = std::numeric_limits<std::uint32_t>::max();
// Matchings cost the cube of the devices; beyond this the plain counts have to do.
constexpr std::size_t most_matched = 256;
// The exact search is for a few members; more copies than this are left to counting.
constexpr std::uint32_t most_searched = 16;

// Where copies may lie: everywhere, or in one domain of an Align.
struct Room {
    const Bitmap* pus = nullptr;
    const Bitmap* localities = nullptr;
};

class CopyBound {
  public:
    CopyBound(const NodeState& state, const CompiledRequest& request)
        : state_(state),
          machine_(state.machine()),
          request_(request),
          free_pus_(state.free_pus()) {
        for (const DeviceNeed& need : request.needs) {
            available_.push_back(available_positions(state, need));
        }
        for (std::uint32_t n = 0; n < machine_.numa_nodes().size(); ++n) {
            if (!machine_.numa_nodes()[n].localities.empty()) {
                nodes_.set(n);
            }
        }
        for (const CompiledConstraint& constraint : request.require) {
            if (const auto* near = std::get_if<CompiledNear>(&constraint)) {
                apply(*near);
            }
        }
    }

    [[nodiscard]] std::uint32_t find() const {
        if (request_.lacks_page_size) {
            return 0;
        }
        const Scope all{request_.wants_pus(), request_.wants_bytes, ~std::uint64_t{0}};
        std::uint64_t bound = copies_in({}, all);
        for (const CompiledConstraint& constraint : request_.require) {
            if (const auto* align = std::get_if<CompiledAlign>(&constraint)) {
                bound = std::min(bound, copies_aligned(*align));
            }
        }
        return static_cast<std::uint32_t>(bound);
    }

  private:
    void apply(const CompiledNear& near) {
        free_pus_ &= near.pus;
        nodes_ &= near.numa_nodes;
        for (std::size_t need = 0; need < available_.size(); ++need) {
            std::erase_if(available_[need], [&](std::size_t position) {
                return !near.devices.test(request_.needs[need].candidates[position]);
            });
        }
    }

    [[nodiscard]] std::uint64_t copies_aligned(const CompiledAlign& align) const {
        std::uint64_t sum = 0;
        if (align.level == AlignLevel::numa) {
            for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
                sum += copies_in_locality(l, align.scope);
            }
            return std::min(sum, unbounded);
        }
        const auto& domains =
            align.level == AlignLevel::l3 ? machine_.l3s() : machine_.packages();
        for (const Domain& domain : domains) {
            sum += copies_in({&domain.pus, &domain.localities}, align.scope);
        }
        // L3s of one locality share its bytes and devices.
        if (align.level == AlignLevel::l3 && l3s_lie_in_localities()) {
            std::uint64_t by_locality = 0;
            for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
                by_locality += copies_in_locality(l, align.scope);
            }
            sum = std::min(sum, by_locality);
        }
        return std::min(sum, unbounded);
    }

    [[nodiscard]] bool l3s_lie_in_localities() const {
        return std::ranges::all_of(machine_.l3s(), [](const Domain& l3) {
            return l3.localities.count() == 1;
        });
    }

    [[nodiscard]] std::uint64_t copies_in_locality(std::uint32_t locality,
                                                   const Scope& scope) const {
        Bitmap one;
        one.set(locality);
        return copies_in({&machine_.localities()[locality].pus, &one}, scope);
    }

    [[nodiscard]] std::uint64_t copies_in(const Room& room, const Scope& scope) const {
        std::uint64_t bound = unbounded;
        if (scope.pus) {
            bound = std::min(bound, copies_by_pus(room));
        }
        if (scope.memory) {
            bound = std::min(bound, copies_by_bytes(room));
        }
        std::vector<std::vector<std::size_t>> inside(available_.size());
        for (std::size_t need = 0; need < available_.size(); ++need) {
            if (scope.has_need(need)) {
                inside[need] = positions_in(room, need);
                bound = std::min(bound, copies_by_devices(need, inside[need]));
            }
        }
        for (const CompiledConstraint& constraint : request_.require) {
            const auto* pair = std::get_if<CompiledPair>(&constraint);
            if (pair != nullptr && bound != 0 && scope.has_need(pair->need_a) &&
                scope.has_need(pair->need_b)) {
                bound = std::min(bound, copies_by_pairs(*pair, inside));
            }
        }
        return bound;
    }

    [[nodiscard]] std::uint64_t copies_by_pus(const Room& room) const {
        const Request& wanted = request_.request;
        Bitmap free = free_pus_;
        if (room.pus != nullptr) {
            free &= *room.pus;
        }
        if (wanted.pus != 0 && !wanted.whole_cores) {
            return free.count() / wanted.pus;
        }
        if (wanted.cores != 0 && room.pus == nullptr && request_.require.empty()) {
            return state_.whole_cores().count() / wanted.cores;
        }
        std::uint64_t cores = 0;
        std::uint64_t pus = 0;
        state_.whole_cores().for_each([&](std::size_t core) {
            const Bitmap& members = machine_.cores()[core].pus;
            if (members.is_subset_of(free)) {
                ++cores;
                pus += members.count();
            }
        });
        if (wanted.cores != 0) {
            return cores / wanted.cores;
        }
        return wanted.pus != 0 ? pus / wanted.pus : unbounded;
    }

    [[nodiscard]] std::uint64_t copies_by_bytes(const Room& room) const {
        Bitmap nodes = nodes_;
        if (room.localities != nullptr) {
            nodes_.for_each([&](std::size_t n) {
                if (!machine_.numa_nodes()[n].localities.intersects(*room.localities)) {
                    nodes.reset(n);
                }
            });
        }
        std::uint64_t bound = unbounded;
        for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
            if (request_.bytes[size] != 0) {
                bound = std::min(
                    bound,
                    free_bytes_of(state_, request_.request.kind, size, &nodes) /
                        request_.bytes[size]);
            }
        }
        return bound;
    }

    [[nodiscard]] std::vector<std::size_t> positions_in(const Room& room,
                                                        std::size_t need) const {
        std::vector<std::size_t> out = available_[need];
        if (room.localities != nullptr) {
            std::erase_if(out, [&](std::size_t position) {
                const std::uint32_t device = request_.needs[need].candidates[position];
                return !machine_.devices()[device].localities.intersects(
                    *room.localities);
            });
        }
        return out;
    }

    [[nodiscard]] std::uint64_t copies_by_devices(
        std::size_t index, const std::vector<std::size_t>& positions) const {
        const DeviceNeed& need = request_.needs[index];
        switch (need.mode) {
            case TakeMode::whole:
                return positions.size() / need.count;
            case TakeMode::part:
                return parts_to_be_had(need, positions) / need.count;
            case TakeMode::share:
                return copies_by_shares(need, positions);
        }
        return unbounded;
    }

    // Parts of one root that the counters allow at once, each counter by itself.
    [[nodiscard]] std::uint64_t parts_to_be_had(
        const DeviceNeed& need, const std::vector<std::size_t>& positions) const {
        std::map<std::uint32_t, std::vector<std::uint32_t>> by_root;
        for (const std::size_t position : positions) {
            const std::uint32_t part = need.candidates[position];
            by_root[machine_.devices()[part].root].push_back(part);
        }
        std::uint64_t sum = 0;
        for (const auto& [root, parts] : by_root) {
            std::uint64_t most = parts.size();
            const auto left = state_.counters_left(root);
            for (std::size_t c = 0; c < left.size(); ++c) {
                std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
                for (const std::uint32_t part : parts) {
                    const auto& draws = machine_.devices()[part].counter_draws;
                    least = std::min(least, c < draws.size() ? draws[c] : 0);
                }
                if (least != 0) {
                    most = std::min(most, left[c] / least);
                }
            }
            sum += most;
        }
        return sum;
    }

    // A device gives one copy at most one share: n copies need n * count places, and a
    // device has at most n. The surplus is concave in n, so halving finds the largest
    // n.
    [[nodiscard]] std::uint64_t copies_by_shares(
        const DeviceNeed& need, const std::vector<std::size_t>& positions) const {
        std::vector<std::uint64_t> places;
        for (const std::size_t position : positions) {
            const auto left = state_.counters_left(need.candidates[position]);
            std::uint64_t most = unbounded;
            for (std::size_t c = 0; c < left.size(); ++c) {
                if (const std::uint64_t draw = need.share_draws[position][c];
                    draw != 0) {
                    most = std::min(most, left[c] / draw);
                }
            }
            places.push_back(most);
        }
        std::uint64_t low = 0;
        std::uint64_t high = unbounded;
        while (low < high) {
            const std::uint64_t middle = low + (high - low + 1) / 2;
            std::uint64_t sum = 0;
            for (const std::uint64_t most : places) {
                sum += std::min(most, middle);
            }
            if (sum >= middle * need.count) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return low;
    }

    [[nodiscard]] std::uint64_t copies_by_pairs(
        const CompiledPair& pair,
        const std::vector<std::vector<std::size_t>>& inside) const {
        const bool a_is_many = pair.ratio_a >= pair.ratio_b;
        const std::uint32_t many = a_is_many ? pair.need_a : pair.need_b;
        const std::uint32_t one = a_is_many ? pair.need_b : pair.need_a;
        // A shared device stands in several copies.
        if (request_.needs[many].mode == TakeMode::share ||
            request_.needs[one].mode == TakeMode::share ||
            inside[many].size() + inside[one].size() > most_matched) {
            return unbounded;
        }
        const auto devices = [&](std::uint32_t need) {
            std::vector<std::uint32_t> out;
            for (const std::size_t position : inside[need]) {
                out.push_back(request_.needs[need].candidates[position]);
            }
            return out;
        };
        const std::vector<std::uint32_t> many_devices = devices(many);
        const std::vector<std::uint32_t> one_devices = devices(one);
        const std::uint32_t ratio = std::max(pair.ratio_a, pair.ratio_b);
        return largest_matching(
                   machine_, {many_devices, one_devices, ratio}, pair.within) /
               request_.needs[many].count;
    }

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    std::vector<std::vector<std::size_t>> available_;  // positions by need
    Bitmap free_pus_;
    Bitmap nodes_;
};

// Nothing ties together what a copy takes: any cores do, any devices of a need, and no
// device is of two needs. Then as many copies fit as the counts allow.
bool is_counted(const CompiledRequest& request) {
    const Request& wanted = request.request;
    const bool is_free = request.require.empty() && !request.wants_bytes &&
                         wanted.keep.empty() &&
                         (wanted.pus == 0 || !wanted.whole_cores);
    Bitmap seen;
    return is_free && std::ranges::all_of(request.needs, [&](const DeviceNeed& need) {
               return need.mode == TakeMode::whole &&
                      std::ranges::none_of(need.candidates, [&](std::uint32_t device) {
                          const bool is_known = seen.test(device);
                          seen.set(device);
                          return is_known;
                      });
           });
}

struct Fill {
    std::uint32_t count = 0;
    Status last = Status::infeasible;  // of the copy that did not fit
};

// Places copies one after the other until one does not fit.
Fill fill(NodeState state,
          const CompiledRequest& request,
          Packing packing,
          std::uint32_t upper,
          std::uint64_t max_steps,
          std::uint64_t& steps) {
    Fill out;
    while (out.count < upper && steps < max_steps) {
        const Answer answer =
            solve(state, request, {{packing}, {max_steps - steps}, nullptr});
        steps += answer.steps;
        out.last = answer.status;
        if (answer.status != Status::optimal && answer.status != Status::feasible) {
            break;
        }
        state.take(answer.placement);
        ++out.count;
    }
    return out;
}

// One copy more than fit so far, by the exact search: it fits, or it is proved that no
// more do, or the steps end.
bool prove_next(const NodeState& state,
                const CompiledRequest& request,
                std::uint64_t max_steps,
                HeadroomResult& result) {
    const std::uint32_t copies = result.count + 1;
    const RequestGroup group{&request, copies, std::nullopt};
    const std::vector<std::uint32_t> group_of(copies, 0);
    StepBudget budget{result.steps, max_steps, false};
    const JointQuestion question{
        {&group, 1}, group_of, Packing::pack, std::nullopt, false, true};
    const bool fits = !search_joint(state, question, budget).empty();
    result.steps = budget.steps;
    if (fits) {
        result.count = copies;
    } else if (!budget.limited) {
        // Of more copies, the first ones in their order would be an answer for these.
        result.upper = result.count;
    }
    return fits;
}

}  // namespace

std::uint32_t headroom_bound(const NodeState& state, const CompiledRequest& request) {
    return CopyBound(state, request).find();
}

HeadroomResult solve_headroom(const NodeState& state,
                              const CompiledRequest& request,
                              Policy policy,
                              SearchLimits limits) {
    HeadroomResult result;
    result.upper = headroom_bound(state, request);
    if (is_counted(request)) {
        result.count = result.upper;
        return result;
    }
    const Packing other =
        policy.packing == Packing::pack ? Packing::spread : Packing::pack;
    for (const Packing packing : {policy.packing, other}) {
        if (result.count == result.upper || result.steps >= limits.max_steps) {
            break;
        }
        const Fill filled =
            fill(state, request, packing, result.upper, limits.max_steps, result.steps);
        result.count = std::max(result.count, filled.count);
        if (filled.count == 0 && filled.last == Status::infeasible) {
            // Whatever the order, one copy is the first.
            result.upper = 0;
        }
    }
    while (result.count < result.upper && result.count < most_searched &&
           result.steps < limits.max_steps &&
           prove_next(state, request, limits.max_steps, result)) {
    }
    return result;
}

}  // namespace topoalloc
