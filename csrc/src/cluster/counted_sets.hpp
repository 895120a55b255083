// SPDX-License-Identifier: Apache-2.0
//
// CountedSets: the sets of Domains side by side that hold all pods, as few of them as
// do, and what a plan in each costs at least. Private to the cluster room.
#pragma once

#include "cluster/counted_cover.hpp"
#include "cluster/counted_rooms.hpp"
#include "node/joint_budget.hpp"

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace topoalloc {

struct CountedSet {
    GangCost bound;
    Region region;
    std::optional<CoverBound> cover;  ///< where a CountedCover finds the plan
};

class CountedSets {
  public:
    /// Keeps references.
    CountedSets(const CountedProblem& problem,
                const CountedRooms& rooms,
                StepBudget& budget)
        : problem_(problem), tree_(*problem.tree), rooms_(rooms), budget_(budget) {}

    /// Adds the sets below a vertex that holds all pods, while no child of it does.
    void add(std::uint32_t vertex);
    /// Takes out the one with the least bound; of equal ones the first in node order.
    [[nodiscard]] std::optional<CountedSet> next();
    /// False: they were too many, or the budget ended.
    [[nodiscard]] bool are_all() const { return are_few_; }

    /// Domains of the finest level in a part of a cover.
    [[nodiscard]] std::vector<std::uint32_t> leaves_of(std::uint32_t vertex) const;
    /// Requires: a set with a cover.
    [[nodiscard]] const CoverPrices& prices() const { return *prices_; }

  private:
    // Sets of Domains below one.
    struct SetSearch {
        std::uint32_t vertex = 0;
        bool is_cover = false;
        /// Domains in which the same pods cost the same, in node order.
        std::vector<std::vector<std::uint32_t>> classes;
        std::vector<std::uint32_t> chosen;
        std::int64_t number = 0;
    };

    [[nodiscard]] std::uint64_t hash_of(std::uint32_t vertex) const;
    [[nodiscard]] bool are_alike(std::uint32_t a, std::uint32_t b) const;
    [[nodiscard]] std::vector<std::vector<std::uint32_t>> classes_below(
        std::uint32_t vertex) const;
    [[nodiscard]] bool is_part(std::uint32_t vertex, const CoverLevels& levels) const;
    [[nodiscard]] std::optional<CoverLevels> cover_levels(std::uint32_t vertex) const;
    void add_part(std::uint32_t vertex, const CoverLevels& levels);
    [[nodiscard]] std::vector<const CoverPart*> parts_of(const Region& region) const;
    void add_cover_bound(CountedSet& set) const;
    [[nodiscard]] bool is_before(std::uint32_t a, std::uint32_t b) const;
    void add_set(const SetSearch& sets);
    void extend(SetSearch& sets, std::size_t c, std::uint64_t sum);

    const CountedProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    const CountedRooms& rooms_;
    StepBudget& budget_;
    std::vector<CountedSet> sets_;
    /// A heap of those that are left; nullopt: none was asked for yet.
    std::optional<std::vector<std::uint32_t>> order_;
    bool are_few_ = true;
    std::optional<CoverPrices> prices_;
    std::unordered_map<std::uint32_t, CoverPart> parts_;     ///< by vertex
    std::unordered_map<std::uint32_t, CoverLevels> levels_;  ///< by vertex of a region
};

}  // namespace topoalloc
