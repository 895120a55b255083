// SPDX-License-Identifier: Apache-2.0
#include "cluster/room_gains.hpp"

#include "base/bits.hpp"
#include "cluster/gang_shape.hpp"
#include "cluster/pod_books.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

// Elements on one node whose sets are all looked at.
constexpr std::size_t most_elements = 8;
// A copy in parts: it divides by every number up to most_elements.
constexpr std::int64_t parts_of_copy = 840;

using Copies = std::vector<std::int64_t>;  ///< by PodSet

// Owners on one node, by element.
using NodeElements = std::map<std::uint32_t, std::vector<std::string>>;

class GainFinder {
  public:
    GainFinder(const ClusterData& data,
               const Gang& gang,
               SearchLimits limits,
               std::uint64_t& steps)
        : data_(data), gang_(gang), limits_(limits), steps_(steps) {}

    // Adds what a node holds, and what each element that leaves it may add.
    void add(const NodeEntry& entry,
             const NodeElements& elements,
             RemovalRegion& region,
             std::map<std::uint32_t, Copies>& gains) {
        const Copies before = copies(entry, *entry.state);
        for (std::size_t p = 0; p < before.size(); ++p) {
            region.need[p] -= before[p] * parts_of_copy;
        }
        if (elements.empty()) {
            return;
        }
        const Copies rates = rates_of(entry, elements, before);
        for (const auto& [element, owners] : elements) {
            Copies& sum = gains.try_emplace(element, before.size()).first->second;
            for (std::size_t p = 0; p < rates.size(); ++p) {
                sum[p] += rates[p];
            }
        }
    }

  private:
    [[nodiscard]] Copies copies(const NodeEntry& entry, const NodeClass& state) {
        Copies out;
        for (const PodSet& podset : gang_.podsets) {
            out.push_back(0);
            if (is_eligible(entry, podset)) {
                const HeadroomResult fits =
                    data_.pool().headroom(state, podset.request, limits_.max_steps);
                steps_ += fits.steps;
                out.back() = std::min(fits.upper, podset.count);
            }
        }
        return out;
    }

    Copies copies_without(const NodeEntry& entry,
                          const NodeElements& elements,
                          std::uint64_t set) {
        auto state = std::make_shared<NodeState>(*entry.state->state);
        std::size_t i = 0;
        for (const auto& [element, owners] : elements) {
            if ((set & bit(i++)) == 0) {
                continue;
            }
            for (const std::string& owner : owners) {
                state->release(entry.holdings->at(owner).placement);
            }
        }
        return copies(entry, *data_.pool().intern(std::move(state)));
    }

    // The most that a set of elements gains on the node, divided by their number.
    Copies rates_of(const NodeEntry& entry,
                    const NodeElements& elements,
                    const Copies& before) {
        const std::uint64_t all = low_bits(elements.size());
        Copies rates = copies_without(entry, elements, all);
        bool gains_some = false;
        for (std::size_t p = 0; p < rates.size(); ++p) {
            rates[p] = (rates[p] - before[p]) * parts_of_copy;
            gains_some = gains_some || rates[p] > 0;
        }
        if (!gains_some || elements.size() == 1 || elements.size() > most_elements) {
            return rates;
        }
        rates.assign(rates.size(), 0);
        for (std::uint64_t set = 1; set <= all; ++set) {
            const Copies after = copies_without(entry, elements, set);
            const auto number = static_cast<std::int64_t>(std::popcount(set));
            for (std::size_t p = 0; p < rates.size(); ++p) {
                rates[p] =
                    std::max(rates[p], (after[p] - before[p]) * parts_of_copy / number);
            }
        }
        return rates;
    }

    const ClusterData& data_;
    const Gang& gang_;
    SearchLimits limits_;
    std::uint64_t& steps_;
};

// The finest level of which one Domain must hold all pods.
std::optional<std::uint32_t> common_level(const ClusterData& data, const Gang& gang) {
    std::optional<std::uint32_t> level;
    const GangProblem shape = shape_of(gang, data.level_names());
    for (const WithinRule& rule : shape.within) {
        if (std::ranges::count(rule.podsets, false) == 0) {
            level = std::max(level.value_or(0), rule.level);
        }
    }
    return level;
}

std::map<std::uint32_t, NodeElements> by_node(const ClusterData& data,
                                              const std::vector<Removable>& elements) {
    std::map<std::uint32_t, NodeElements> out;
    for (std::uint32_t e = 0; e < elements.size(); ++e) {
        for (const PodPlace& pod : elements[e].pods) {
            const std::string owner =
                pod_owner(*elements[e].gang, pod.podset, pod.index);
            if (is_held(data, pod.node, owner)) {
                out[data.slot_of(pod.node)][e].push_back(owner);
            }
        }
    }
    return out;
}

// Those that gain something.
void add_elements(std::map<std::uint32_t, Copies>& gains, RemovalRegion& region) {
    for (auto& [element, sum] : gains) {
        if (std::ranges::any_of(sum, [](std::int64_t gain) { return gain != 0; })) {
            region.elements.push_back({element, std::move(sum)});
        }
    }
}

}  // namespace

bool is_eligible(const NodeEntry& entry, const PodSet& podset) {
    return !entry.cordoned && is_eligible(podset, entry.info->described);
}

std::vector<RemovalRegion> regions_of(const ClusterData& data,
                                      const Gang& gang,
                                      const std::vector<Removable>& elements,
                                      SearchLimits limits,
                                      std::uint64_t& steps) {
    const std::optional<std::uint32_t> level = common_level(data, gang);
    const auto on_nodes = by_node(data, elements);
    RemovalRegion empty;
    for (const PodSet& podset : gang.podsets) {
        empty.need.push_back(podset.min_count * parts_of_copy);
    }
    GainFinder finder(data, gang, limits, steps);
    std::map<std::uint32_t, std::size_t> position;  // by Domain
    std::vector<RemovalRegion> regions;
    std::vector<std::map<std::uint32_t, Copies>> gains;
    for (const std::uint32_t slot : data.order()) {
        const NodeEntry& entry = data.node(slot);
        std::uint32_t domain = 0;
        if (level) {
            domain =
                *level == data.levels().size() ? slot : entry.info->domains[*level];
        }
        if (domain == no_index) {
            continue;
        }
        const auto [at, is_new] = position.try_emplace(domain, regions.size());
        if (is_new) {
            regions.push_back(empty);
            gains.emplace_back();
        }
        const auto held = on_nodes.find(slot);
        finder.add(entry,
                   held == on_nodes.end() ? NodeElements{} : held->second,
                   regions[at->second],
                   gains[at->second]);
    }
    for (std::size_t r = 0; r < regions.size(); ++r) {
        add_elements(gains[r], regions[r]);
    }
    return regions;
}

ClusterData without_pods(const ClusterData& data,
                         const std::vector<Removable>& elements,
                         const RemovalSet& removed) {
    ClusterData out = data;
    PodBooks books(out);
    for (const std::uint32_t element : removed) {
        for (const PodPlace& pod : elements[element].pods) {
            books.release(*elements[element].gang, pod);
        }
    }
    books.apply();
    return out;
}

}  // namespace topoalloc
