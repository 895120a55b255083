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

/// At most one for each item of the conflict, in its order.
[[nodiscard]] std::vector<GangRelaxation> relax_items(
    GangProber& prober, const GangParts& parts, const std::vector<GangItem>& conflict);

/// The first cordoned node and the smallest running Gang that suffice.
[[nodiscard]] std::vector<GangRelaxation> relax_cluster(GangProber& prober,
                                                        const GangParts& parts);

/// Status, reason and PodSet of a Verdict.
[[nodiscard]] GangExplanation start_of(const GangVerdict& verdict);
/// Of all trees, in declared order.
[[nodiscard]] std::vector<std::string> levels_of(const std::vector<ClusterTree>& trees);
/// @param members  PodSets, then Groups, as the cost counts them
/// @param levels   in declared order
[[nodiscard]] std::vector<GangCostTerm> terms_of(
    const GangCost& cost,
    const std::vector<std::string>& members,
    const std::vector<std::string>& levels);

}  // namespace topoalloc
