// SPDX-License-Identifier: Apache-2.0
//
// How well nodes suit one copy of a Request: docs/cluster-objective.md, section 10.
#include "cluster/operations.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

// Terms 5 and 6 of one copy on the node, for a PodSet that declares the level "node".
using ScoreKey = std::pair<std::uint32_t, std::vector<bool>>;

std::optional<ScoreKey> key_of(const ClusterData& data,
                               const NodeEntry& entry,
                               const std::shared_ptr<const Request>& request,
                               SearchLimits limits) {
    const HeadroomResult fits =
        entry.cordoned ? HeadroomResult{}
                       : data.pool().headroom(*entry.state, request, limits.max_steps);
    if (fits.count == 0) {
        return std::nullopt;
    }
    ScoreKey key{fits.count - 1, {}};
    for (std::uint32_t level = 0; level < data.levels().size(); ++level) {
        const std::uint32_t domain = entry.info->domains[level];
        const bool is_open =
            domain == no_index ? !entry.holdings->empty() : data.is_open(level, domain);
        key.second.push_back(!is_open);
    }
    return key;
}

// The best of `ranks` ranks is 100, the last 1.
std::uint32_t score_of(std::size_t rank, std::size_t ranks) {
    const std::size_t last = std::max<std::size_t>(ranks, 2) - 1;
    return static_cast<std::uint32_t>(100 - 99 * rank / last);
}

}  // namespace

std::vector<NodeScore> scores_on(const ClusterData& data,
                                 const std::shared_ptr<const Request>& request,
                                 SearchLimits limits) {
    std::vector<std::optional<ScoreKey>> keys;
    std::vector<ScoreKey> distinct;
    for (const std::uint32_t slot : data.order()) {
        keys.push_back(key_of(data, data.node(slot), request, limits));
        if (keys.back()) {
            distinct.push_back(*keys.back());
        }
    }
    std::ranges::sort(distinct);
    const auto same = std::ranges::unique(distinct);
    distinct.erase(same.begin(), same.end());
    std::vector<NodeScore> out;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const NodeEntry& entry = data.node(data.order()[i]);
        std::uint32_t score = 0;
        if (keys[i]) {
            const auto at = std::ranges::lower_bound(distinct, *keys[i]);
            score = score_of(static_cast<std::size_t>(at - distinct.begin()),
                             distinct.size());
        }
        out.push_back({entry.info->described.name, score});
    }
    return out;
}

}  // namespace topoalloc
