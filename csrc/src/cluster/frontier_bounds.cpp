// SPDX-License-Identifier: Apache-2.0
#include "cluster/frontier_bounds.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>

namespace topoalloc {
namespace {

// Of what one step stands for: an option that is possible, and one that is not.
constexpr std::uint64_t work_of_step = 256;
constexpr std::uint64_t work_of_placed = 8;
constexpr std::size_t first_slots = 64;
constexpr std::size_t most_singles = 16;  ///< PodSets; with more there are no bounds

std::uint32_t hash_of(const FrontierKey& key) {
    std::uint64_t hash = 0;
    for (const std::uint64_t word : key.words) {
        hash = (std::rotl(hash, 23) ^ word) * 0x9e3779b97f4a7c15U;
    }
    return static_cast<std::uint32_t>(hash >> 32U);
}

}  // namespace

std::size_t FrontierKeys::slot_of(const FrontierKey& key, std::uint32_t hash) const {
    const std::size_t last = slots_.size() - 1;
    std::size_t slot = hash & last;
    while (slots_[slot].at != no_index &&
           (slots_[slot].hash != hash || !(keys_[slots_[slot].at] == key))) {
        slot = (slot + 1) & last;
    }
    return slot;
}

std::uint32_t FrontierKeys::find(const FrontierKey& key) const {
    return slots_.empty() ? no_index : slots_[slot_of(key, hash_of(key))].at;
}

std::uint32_t FrontierKeys::add(const FrontierKey& key) {
    if (2 * (keys_.size() + 1) > slots_.size()) {
        grow();
    }
    const std::uint32_t hash = hash_of(key);
    const auto at = static_cast<std::uint32_t>(keys_.size());
    slots_[slot_of(key, hash)] = {hash, at};
    keys_.push_back(key);
    return at;
}

void FrontierKeys::grow() {
    std::vector<Slot> before(std::max(first_slots, 2 * slots_.size()));
    std::swap(before, slots_);
    for (const Slot& old : before) {
        if (old.at != no_index) {
            std::size_t slot = old.hash & (slots_.size() - 1);
            while (slots_[slot].at != no_index) {
                slot = (slot + 1) & (slots_.size() - 1);
            }
            slots_[slot] = old;
        }
    }
}

bool FrontierSteps::spend(std::size_t options, std::size_t placed) {
    open_ += work_of_placed + options + work_of_placed * placed;
    const std::uint64_t steps = open_ / work_of_step;
    open_ %= work_of_step;
    return budget_.spend(steps);
}

std::optional<PackedCost> FrontierBounds::rest_of(const Group& group,
                                                  const FrontierView& view,
                                                  std::uint32_t depth,
                                                  const FrontierKey& key) {
    PackedCost rest;
    for (const Bound& bound : group.bounds) {
        if ((bound.view.podsets & ~view.podsets) != 0 ||
            (bound.view.levels & ~view.levels) != 0) {
            continue;
        }
        const Layer& layer = bound.layers[depth];
        const std::uint32_t at = layer.keys.find(key & bound.view.kept);
        if (at == no_index || !layer.ends[at]) {
            return std::nullopt;
        }
        rest = std::max(rest, layer.rest[at]);
    }
    return rest;
}

// Heads add up over PodSets that are looked at apart. Where a plan has the least heads,
// it has at least each of their tails.
std::optional<PackedCost> FrontierBounds::lower(const FrontierView& view,
                                                std::uint32_t depth,
                                                const FrontierKey& key,
                                                const PackedCost& cost) const {
    std::array<PackedCost, most_singles> heads;
    std::array<PackedCost, most_singles> tails;
    for (std::size_t i = 0; i < singles_.size(); ++i) {
        const auto rest = rest_of(singles_[i], view, depth, key);
        if (!rest) {
            return std::nullopt;
        }
        heads[i] = model_.head(*rest);
        tails[i] = *rest - heads[i];
    }
    // With the PodSets of a group looked at together, and the others apart.
    const auto least_with = [&](std::uint64_t podsets, const PackedCost& rest) {
        PackedCost head = model_.head(rest);
        PackedCost tail = rest - head;
        for (std::size_t i = 0; i < singles_.size(); ++i) {
            if ((singles_[i].podsets & podsets) == 0) {
                head += heads[i];
                tail = std::max(tail, tails[i]);
            }
        }
        return cost + head + tail;
    };
    PackedCost least = least_with(0, {});
    for (const Group& group : others_) {
        const auto rest = rest_of(group, view, depth, key);
        if (!rest) {
            return std::nullopt;
        }
        least = std::max(least,
                         model_.is_weight(group.podsets)
                             ? cost + *rest
                             : least_with(group.podsets, *rest));
    }
    return least;
}

bool FrontierBounds::spend(const FrontierStep& step, std::size_t placed) {
    return steps_.spend(step.options(), placed) && budget_.steps <= last_step_;
}

std::size_t FrontierBounds::go_on(Bound& bound,
                                  std::uint32_t at,
                                  std::uint32_t depth,
                                  const FrontierStep& step,
                                  const std::optional<PackedCost>& upper) const {
    const Layer& from = bound.layers[depth];
    Layer& to = bound.layers[depth + 1];
    std::size_t placed = 0;
    for (std::size_t option = 0; option < step.options(); ++option) {
        FrontierKey key = from.keys[at];
        PackedCost cost = from.rest[at];  // on the way on: what it cost so far
        if (!step.place(option, key, cost)) {
            continue;
        }
        ++placed;
        const std::uint32_t known = to.keys.find(key);
        if (known != no_index) {
            to.rest[known] = std::min(to.rest[known], cost);
            continue;
        }
        const auto least = lower(bound.view, depth + 1, key, cost);
        if (least && (!upper || !(*upper < *least))) {
            to.keys.add(key);
            to.rest.push_back(cost);
        }
    }
    return placed;
}

bool FrontierBounds::walk(Bound& bound, const std::optional<PackedCost>& upper) {
    bound.layers.resize(model_.depth() + std::size_t{1});
    bound.layers.front().keys.add({});
    bound.layers.front().rest.emplace_back();
    for (std::uint32_t depth = 0; depth < model_.depth(); ++depth) {
        const FrontierStep step(model_, bound.view, depth);
        const std::size_t keys = bound.layers[depth].keys.size();
        for (std::uint32_t at = 0; at < keys; ++at) {
            if (!spend(step, go_on(bound, at, depth, step, upper))) {
                return false;
            }
        }
    }
    return true;
}

std::size_t FrontierBounds::settle(Layer& from,
                                   const Layer& to,
                                   std::uint32_t at,
                                   const FrontierStep& step) {
    from.ends[at] = false;
    std::size_t placed = 0;
    for (std::size_t option = 0; option < step.options(); ++option) {
        FrontierKey key = from.keys[at];
        PackedCost cost;
        if (!step.place(option, key, cost)) {
            continue;
        }
        ++placed;
        const std::uint32_t next = to.keys.find(key);
        if (next == no_index || !to.ends[next]) {
            continue;
        }
        cost += to.rest[next];
        if (!from.ends[at] || cost < from.rest[at]) {
            from.rest[at] = cost;
            from.ends[at] = true;
        }
    }
    return placed;
}

bool FrontierBounds::walk_back(Bound& bound) {
    Layer& last = bound.layers.back();
    last.ends.resize(last.keys.size());
    for (std::size_t at = 0; at < last.keys.size(); ++at) {
        PackedCost cost;
        last.ends[at] = model_.end(bound.view, last.keys[at], cost);
        last.rest[at] = cost;
    }
    for (std::uint32_t depth = model_.depth(); depth-- > 0;) {
        const FrontierStep step(model_, bound.view, depth);
        Layer& layer = bound.layers[depth];
        layer.ends.resize(layer.keys.size());
        for (std::uint32_t at = 0; at < layer.keys.size(); ++at) {
            if (!spend(step, settle(layer, bound.layers[depth + 1], at, step))) {
                return false;
            }
        }
    }
    return true;
}

bool FrontierBounds::add(std::uint64_t podsets,
                         std::uint64_t levels,
                         const std::optional<PackedCost>& upper,
                         std::uint64_t most_steps) {
    if (model_.podsets() > most_singles) {
        return false;
    }
    last_step_ = budget_.steps + most_steps;
    Bound bound{model_.view(podsets, levels), {}};
    if (!walk(bound, upper) || !walk_back(bound)) {
        return false;
    }
    const bool is_single = std::has_single_bit(podsets) && !model_.is_weight(podsets);
    std::vector<Group>& groups = is_single ? singles_ : others_;
    auto group = std::ranges::find(groups, podsets, &Group::podsets);
    if (group == groups.end()) {
        groups.push_back({podsets, {}});
        group = std::prev(groups.end());
    }
    // What sees more levels says more.
    std::erase_if(group->bounds, [&](const Bound& other) {
        return (other.view.levels & ~levels) == 0 && levels != other.view.levels;
    });
    group->bounds.push_back(std::move(bound));
    return true;
}

}  // namespace topoalloc
