// SPDX-License-Identifier: Apache-2.0
//
// GangProblem: a Gang on a Cluster with everything but counts taken away: what each
// node can hold as vectors of pods, Domains as numbers. docs/cluster-objective.md is
// its meaning. Plain data: the solver and its oracles start from it. Private to the
// cluster room.
#pragma once

#include "topoalloc/gang.hpp"
#include "topoalloc/verdict.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace topoalloc {

/// Pods by PodSet.
using CountVector = std::vector<std::uint32_t>;

/// Vectors that a node in one state can hold: `attained` for certain, `possible` at
/// most. Both hold the zero vector, with each vector all smaller ones, are sorted, and
/// go no further than the count of each PodSet.
struct CountTable {
    std::vector<CountVector> attained;
    std::vector<CountVector> possible;
    /// By PodSet: copies of its Request alone, beyond the count too. For the waste.
    CountVector copies;
    /// By PodSet, or empty: whether more copies may fit, as a limit ended the count.
    std::vector<bool> may_have_more;

    [[nodiscard]] auto operator<=>(const CountTable&) const = default;
};

struct GangNode {
    std::uint32_t table = 0;             ///< into GangProblem::tables
    std::vector<std::uint32_t> domains;  ///< by level; no_index: none there
    bool open = false;                   ///< holds a Placement
};

/// In problem terms a level is a number: 0 is the coarsest, `levels` is "node".
struct WithinRule {
    std::vector<bool> podsets;  ///< whose pods one Domain of the level holds
    std::uint32_t level = 0;
};
struct LevelRule {
    std::uint32_t podset = 0;
    std::uint32_t level = 0;
    std::uint32_t number = 0;  ///< size of a slice, at_most of Spread
};

enum class RuleKind : std::uint8_t { within, spread, balanced };

/// An entry of a `prefer` list.
struct PreferRule {
    RuleKind kind = RuleKind::within;
    WithinRule within;        ///< of meaning for within
    LevelRule level;          ///< for spread and balanced
    std::uint32_t unmet = 0;  ///< position in GangCost::unmet where it counts
};

struct GangPodSet {
    std::uint32_t count = 0;
    std::uint32_t min_count = 0;
    /// Lowest level that it declares; no_index: none, it wastes nothing.
    std::uint32_t lowest_level = no_index;
};

struct GangProblem {
    std::uint32_t levels = 0;
    std::vector<GangPodSet> podsets;
    std::uint32_t groups = 0;
    std::vector<WithinRule> within;  ///< required, of PodSets and Groups
    std::vector<LevelRule> slices;
    std::vector<LevelRule> spread;
    std::vector<LevelRule> balanced;  ///< number unused
    std::vector<PreferRule> prefer;
    std::vector<CountTable> tables;
    /// In node order; those that no PodSet can use may be left out.
    std::vector<GangNode> nodes;
    /// open_domains[level][domain]; a node without a Domain there has GangNode::open.
    std::vector<std::vector<bool>> open_domains;
};

struct GangAnswer {
    Status status = Status::infeasible;
    std::uint64_t steps = 0;
    GangCost cost;                  ///< of meaning for optimal and feasible
    std::vector<CountVector> pods;  ///< by node of the problem; then too
};

/// The best plan, or a proof that there is none.
[[nodiscard]] GangAnswer place_gang(const GangProblem& problem, SearchLimits limits);

/// A plan, any: `feasible` with it, `infeasible` as a proof, or `unknown`.
[[nodiscard]] GangAnswer check_gang(const GangProblem& problem, SearchLimits limits);

/// Terms 1 to 6 of a plan.
/// Requires: as many vectors as nodes, of as many numbers as PodSets.
[[nodiscard]] GangCost cost_of(const GangProblem& problem,
                               const std::vector<CountVector>& pods);

}  // namespace topoalloc
