// SPDX-License-Identifier: Apache-2.0
#include "claim/device_set.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace topoalloc {
namespace {

constexpr std::size_t most_level = 6;

bool fits(const NodeDevice& device, const auto& left_of) {
    return std::ranges::all_of(device.draws, [&](const SetDraw& draw) {
        return std::ranges::all_of(draw.counters, [&](const auto& each) {
            return each.second <= left_of(each.first);
        });
    });
}

}  // namespace

DeviceSet::DeviceSet(const ClaimProblem& problem, const DeviceSites& sites)
    : problem_(problem),
      index_(problem.node->devices.size(), no_index),
      localities_(tally(sites.own_numa)),
      roots_(tally(sites.root)) {
    find_levels(sites);
    find_least_sums();
    find_drawing();
}

DeviceSet::Tally DeviceSet::tally(const ProblemAttribute& attribute) const {
    Tally out;
    out.attribute = &attribute;
    out.devices.resize(attribute.value_count);
    out.is_taken.resize(attribute.value_count);
    for (std::size_t d = 0; d < attribute.values.size(); ++d) {
        if (attribute.values[d] && problem_.node->devices[d].is_taken) {
            for (const std::uint32_t value : *attribute.values[d]) {
                out.is_taken[value] = true;
            }
        }
    }
    return out;
}

void DeviceSet::find_levels(const DeviceSites& sites) {
    std::vector<std::uint32_t> candidates;
    for (const ProblemDemand& demand : problem_.demands) {
        candidates.insert(
            candidates.end(), demand.candidates.begin(), demand.candidates.end());
    }
    std::ranges::sort(candidates);
    const auto repeated = std::ranges::unique(candidates);
    candidates.erase(repeated.begin(), repeated.end());
    candidates_ = candidates.size();
    levels_to_.resize(candidates_);
    level_.resize(candidates_ * candidates_);
    for (std::uint32_t i = 0; i < candidates_; ++i) {
        index_[candidates[i]] = i;
        for (std::uint32_t j = 0; j < i; ++j) {
            const auto level = static_cast<std::uint8_t>(
                level_of(sites, candidates[i], candidates[j]));
            level_[i * candidates_ + j] = level;
            level_[j * candidates_ + i] = level;
        }
    }
}

void DeviceSet::find_least_sums() {
    using Counts = std::array<std::uint32_t, most_level + 1>;  // by level
    std::set<Counts> kinds;
    for (std::size_t i = 0; i < candidates_; ++i) {
        Counts counts{};
        for (std::size_t j = 0; j < candidates_; ++j) {
            counts[level_[i * candidates_ + j]] += i == j ? 0 : 1;
        }
        kinds.insert(counts);
    }
    least_sums_.assign(std::max<std::size_t>(candidates_, 1),
                       kinds.empty() ? 0 : std::numeric_limits<std::int64_t>::max());
    for (const Counts& counts : kinds) {
        std::int64_t sum = 0;
        std::size_t others = 0;
        least_sums_[0] = 0;
        for (std::size_t level = 0; level < counts.size(); ++level) {
            for (std::uint32_t i = 0; i < counts[level]; ++i) {
                sum += static_cast<std::int64_t>(level);
                ++others;
                least_sums_[others] = std::min(least_sums_[others], sum);
            }
        }
    }
}

std::int64_t DeviceSet::least_levels(std::size_t devices) const {
    if (devices < 2) {
        return 0;
    }
    // Each pair is in two of the sums.
    return (static_cast<std::int64_t>(devices) * least_sums_[devices - 1] + 1) / 2;
}

void DeviceSet::find_drawing() {
    const NodeDevices& node = *problem_.node;
    for (std::uint32_t d = 0; d < node.devices.size(); ++d) {
        const NodeDevice& device = node.devices[d];
        if (!device.is_taken && !device.draws.empty() &&
            fits(device, [&](std::uint32_t counter) { return node.left[counter]; })) {
            drawing_.push_back(d);
        }
    }
}

void DeviceSet::Tally::count(std::uint32_t device, bool add) {
    if (!attribute->values[device]) {
        return;
    }
    const std::int64_t sign = add ? 1 : -1;
    for (const std::uint32_t value : *attribute->values[device]) {
        // The first that comes, or the last that goes.
        if (add ? devices[value]++ == 0 : --devices[value] == 0) {
            used += sign;
            opened += is_taken[value] ? 0 : sign;
        }
    }
}

void DeviceSet::count(std::uint32_t device, bool add) {
    localities_.count(device, add);
    roots_.count(device, add);
    const std::int64_t sign = add ? 1 : -1;
    if (problem_.is_shared[device] && !problem_.node->devices[device].is_taken) {
        shares_ += sign;
    }
    const std::size_t row = index_[device] * candidates_;
    for (std::size_t i = 0; i < candidates_; ++i) {
        levels_to_[i] += sign * level_[row + i];
    }
}

void DeviceSet::add(std::uint32_t device) {
    levels_ += levels_to(device);
    count(device, true);
}

void DeviceSet::remove(std::uint32_t device) {
    count(device, false);
    levels_ -= levels_to(device);
}

bool DeviceSet::is_broken(const ClaimState& state, std::uint32_t device) const {
    return !state.is_chosen(device) &&
           !fits(problem_.node->devices[device],
                 [&](std::uint32_t counter) { return state.left(counter); });
}

ClaimCost DeviceSet::cost(const ClaimState& state) const {
    ClaimCost out;
    out.localities = localities_.used;
    out.levels = levels_;
    out.opened_localities = localities_.opened;
    out.opened_roots = roots_.opened;
    out.broken = std::ranges::count_if(
        drawing_, [&](std::uint32_t device) { return is_broken(state, device); });
    out.shares = shares_;
    return out;
}

}  // namespace topoalloc
