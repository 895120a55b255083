// SPDX-License-Identifier: Apache-2.0
//
// The parts of a GangExplanation, one file each.
#pragma once

#include "explain/gang_items.hpp"
#include "explain/gang_prober.hpp"
#include "topoalloc/gang_explanation.hpp"

#include <memory>
#include <string>
#include <vector>

namespace topoalloc {

/// A Gang as the filter drops parts of it.
struct GangParts {
    const Gang& gang;
    Requests plain;  ///< by PodSet: its Request without what it requires
    std::vector<GangItem> items;
};
[[nodiscard]] GangParts parts_of(const Gang& gang, const ClusterData& data);

/// A minimal conflict: the deletion filter, in the order of the items.
/// Requires: the Gang is infeasible.
[[nodiscard]] std::vector<GangItem> find_conflict(GangProber& prober,
                                                  const GangParts& parts);

/// What each filter leaves of the nodes, by PodSet.
[[nodiscard]] std::vector<PodSetCounts> count_nodes(GangProber& prober,
                                                    const Gang& gang);

/// For each required Within the Domain that holds most.
[[nodiscard]] std::vector<DomainFit> find_best_domains(GangProber& prober,
                                                       const GangParts& parts);

/// At most one for each item of the conflict, in its order; then the first cordoned
/// node and the smallest running Gang that suffice.
[[nodiscard]] std::vector<GangRelaxation> find_relaxations(
    GangProber& prober, const GangParts& parts, const std::vector<GangItem>& conflict);

}  // namespace topoalloc
