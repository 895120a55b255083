// SPDX-License-Identifier: Apache-2.0
//
// GangExplanation: why a Gang has the answer that it has, as data first and prose from
// the data. Computed from the Verdict alone, which keeps the state that was asked.
// docs/design/0005-explanations.md says what is found, and in which order.
#pragma once

#include "topoalloc/cluster.hpp"
#include "topoalloc/explanation.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

/// Nodes for a PodSet, as each filter leaves them.
struct PodSetCounts {
    std::string podset;
    std::uint64_t needed = 0;      ///< its min_count
    std::vector<CountStep> nodes;  ///< "in the cluster", "not cordoned", ...
    std::uint64_t copies = 0;      ///< that those nodes hold, each alone; at most
};

/// Nodes that would hold more pods but for what the Request requires.
struct NearMiss {
    std::string text;  ///< "2 nodes have 8 free gpu, but not in one NUMANode"
    std::vector<std::string> nodes;
};

/// The Domain that holds most of what a required Within wants in one Domain; of equal
/// ones that with more copies, then the first in node order.
struct DomainFit {
    std::string path;  ///< of the Within: "podsets[0].require[0]"
    std::string who;   ///< PodSet or Group
    std::string level;
    std::vector<std::string> domain;  ///< values of its tree's levels; the node's name
    std::uint64_t wanted = 0;         ///< pods: the min_count of all members
    std::uint64_t fits = 0;           ///< so many of them at most, all rules kept
    std::vector<NearMiss> near_misses;
};

/// A smallest single change that makes the Gang feasible, as solved.
struct GangRelaxation {
    /// "podsets[0].count", "node:n3", "gang:train-3"; of one of several Gangs
    /// "gang:train-3/podsets[0].count".
    std::string path;
    std::string change;  ///< machine-readable: "count=15", "level=block", "drop"
    std::string text;    ///< "fits with 15 pods of worker instead of 16"
};

struct GangCostTerm {
    std::string name;  ///< "short", "unmet.worker", "domains.rack"
    std::int64_t value = 0;
};

struct GangExplanation {
    Status status = Status::infeasible;
    GangReason reason = GangReason::fits;
    std::string podset;  ///< that the reason speaks of, if of one
    /// Of a change that was refused: Gangs that have no place together, though any of
    /// them less would; one: it has none by itself.
    std::vector<std::string> gangs;
    /// Of a change: what holds before the conflict: "15 pods of train-3 stay".
    std::vector<std::string> given;
    std::vector<GangCostTerm> cost;      ///< of a plan, in order
    std::vector<ConflictItem> conflict;  ///< minimal; empty unless infeasible
    std::vector<PodSetCounts> counts;
    std::vector<DomainFit> domains;
    std::vector<GangRelaxation> relaxations;
    bool complete = true;  ///< false: its own step limit came first
    std::uint64_t steps = 0;
    [[nodiscard]] std::string prose() const;
};

[[nodiscard]] GangExplanation explain(const GangVerdict& verdict,
                                      SearchLimits limits = {});
/// @param trees  of the Cluster that made the plan
[[nodiscard]] GangExplanation explain(const GangPlan& plan,
                                      const std::vector<ClusterTree>& trees,
                                      SearchLimits limits = {});
/// Why a change was refused: computed from what was asked, which it keeps. PodSets of
/// drain() and defragment() are named with their Gang: "train-3/worker".
/// @param trees  of the Cluster that made the change
[[nodiscard]] GangExplanation explain(const ClusterChange& change,
                                      const std::vector<ClusterTree>& trees,
                                      SearchLimits limits = {});

}  // namespace topoalloc
