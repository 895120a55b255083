// SPDX-License-Identifier: Apache-2.0
//
// The state of search(), shared by the files that have a part of it each: search.cpp
// (branches, T, the best), search_order.cpp (other orders of the terms),
// search_devices.cpp, search_pus.cpp.
#pragma once

#include "node/branch.hpp"
#include "node/counter_ledger.hpp"
#include "node/definition.hpp"
#include "node/link_bound.hpp"
#include "node/locality_sets.hpp"
#include "node/pu_choice.hpp"
#include "node/search.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace topoalloc {

class Search {
  public:
    Search(const NodeState& state,
           const CompiledRequest& request,
           const std::vector<const CompiledConstraint*>& enforced,
           const SolveOptions& options,
           std::uint64_t& steps);
    SearchResult run();

  private:
    using Prefix = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

    // --- branches and sets T (search.cpp) ---

    void run_branch();
    void visit_tabled_sets();
    void enumerate_sets();
    [[nodiscard]] bool may_hold(const LocalitySet& set) const;
    [[nodiscard]] std::uint64_t useful_localities() const;
    [[nodiscard]] bool bytes_suffice(std::uint64_t localities) const;
    [[nodiscard]] bool devices_suffice(std::uint64_t localities) const;
    bool visit(const LocalitySet& set);
    static Prefix prefix_of(const LocalitySet& set);
    static Prefix prefix_of(const Cost& cost);
    [[nodiscard]] bool ties_best() const;

    // --- another order of the terms (search_order.cpp) ---

    [[nodiscard]] bool may_win(std::size_t packages, std::size_t localities);
    [[nodiscard]] bool may_win(const LocalitySet& set);
    [[nodiscard]] Cost lower_bound() const;
    void bound_pu_terms(Cost& lower) const;
    void bound_set();
    void bound_all_opened();
    [[nodiscard]] bool stays_in_set() const;
    [[nodiscard]] std::int64_t closed_localities(std::uint64_t mask) const;
    [[nodiscard]] std::int64_t closed_packages(std::uint64_t mask, bool alone) const;
    [[nodiscard]] bool exceeds_best(const Cost& lower) const;
    [[nodiscard]] std::strong_ordering compare(const Cost& a, const Cost& b) const;
    // What each L3 can give in each locality.
    struct Room {
        std::uint32_t l3 = 0, locality = 0, units = 0;
    };
    void collect_rooms();
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> fewest_l3s(std::uint64_t mask);
    [[nodiscard]] std::int64_t fewest(std::vector<std::uint32_t>& units,
                                      std::uint64_t sum) const;
    [[nodiscard]] bool opens_before_localities() const;
    [[nodiscard]] bool touches_all() const;
    bool add_untouched(std::vector<std::uint64_t>& hit_sets) const;

    // --- devices (search_devices.cpp) ---

    void choose_need(std::size_t need);
    [[nodiscard]] bool meets_set(const Candidate& candidate) const;
    void choose_device(std::size_t need, std::size_t first);
    [[nodiscard]] bool skips_twin(std::size_t need, const Candidate& candidate) const;
    void try_device(std::size_t need, std::size_t position);
    [[nodiscard]] std::uint64_t clique_mb_s(std::size_t need) const;
    [[nodiscard]] bool links_fail(std::size_t need) const;
    [[nodiscard]] bool distinct_allows(std::size_t need, std::uint32_t device) const;
    [[nodiscard]] bool shares_value(const CompiledAttribute& distinct,
                                    const std::vector<std::uint32_t>& mine) const;
    [[nodiscard]] std::int64_t pair_bound_of(std::size_t index) const;
    [[nodiscard]] std::int64_t side_bound(std::size_t index,
                                          std::uint32_t need,
                                          std::uint32_t other,
                                          std::uint32_t uses) const;
    [[nodiscard]] std::int64_t least_to_chosen(std::uint32_t device,
                                               std::uint32_t other) const;
    [[nodiscard]] bool lacks_partner(std::size_t need, std::uint32_t device) const;
    [[nodiscard]] std::int64_t bound_of_rest() const;
    [[nodiscard]] bool links_exceed_best(std::size_t need, std::size_t position) const;
    [[nodiscard]] bool bound_exceeds_best() const;
    void consider_devices();
    bool add_pair_levels(Cost& cost) const;

    // --- PUs (search_pus.cpp) ---

    struct CoverGroup {
        std::uint64_t localities = 0;  // of T
        std::int64_t devices = 0;
    };

    [[nodiscard]] std::uint64_t localities_with_units() const;
    std::vector<CoverGroup> cover_groups(std::int64_t& never) const;
    void consider_coverage(Cost cost);
    static std::vector<std::pair<std::int64_t, std::uint32_t>> subsets_to_cover(
        const std::vector<CoverGroup>& groups, std::int64_t never);
    [[nodiscard]] bool subset_exceeds_best(Cost cost) const;
    bool consider_subset(const Cost& cost,
                         const std::vector<CoverGroup>& groups,
                         std::uint32_t subset);
    std::optional<PuChoice> ask_pus(const std::vector<std::uint64_t>& hit_sets,
                                    const Bitmap& charged,
                                    const std::vector<std::uint32_t>& exact_counts,
                                    std::uint64_t within = ~std::uint64_t{0});
    [[nodiscard]] Bitmap charged_packages() const;
    [[nodiscard]] bool memory_is_sensitive() const;
    [[nodiscard]] bool has_shared_node() const;
    [[nodiscard]] bool cores_differ() const;
    [[nodiscard]] Bitmap packages_of_bytes(
        const std::vector<std::uint32_t>& counts) const;
    bool consider_counts(const Cost& cost,
                         const std::vector<std::uint64_t>& hit_sets,
                         const Bitmap& charged);
    bool part_units(const Cost& cost,
                    const std::vector<std::uint64_t>& hit_sets,
                    const Bitmap& charged,
                    const std::vector<std::uint32_t>& members,
                    std::size_t index,
                    std::uint32_t missing,
                    std::vector<std::uint32_t>& counts);
    static bool counts_hit(const std::vector<std::uint64_t>& hit_sets,
                           const std::vector<std::uint32_t>& counts);
    void consider_pu_localities(Cost cost,
                                const std::vector<CoverGroup>& groups,
                                std::int64_t never);
    static std::int64_t uncovered_by(const std::vector<CoverGroup>& groups,
                                     std::uint64_t localities);
    static std::vector<std::uint64_t> each_of(std::uint64_t localities);
    [[nodiscard]] std::uint64_t bytes_beside(std::uint64_t with_pu) const;
    [[nodiscard]] std::uint64_t touched_by_devices() const;

    // --- a whole Placement (search.cpp) ---

    bool give_bytes(Placement& placement);
    bool consider_pus(Cost cost, const PuChoice& choice);
    [[nodiscard]] bool is_better(const Placement& a, const Placement& b) const;

    // More groups of device localities than this would make term 6 a search of its own.
    static constexpr std::size_t max_cover_groups = 12;

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    Enforced enforced_;
    const SolveOptions& options_;
    std::uint64_t& steps_;
    std::uint64_t max_steps_;
    CounterLedger ledger_;

    const Branch* branch_ = nullptr;
    LocalitySet set_;
    ChosenDevices chosen_;                             // the decision: devices by need
    std::vector<std::vector<std::size_t>> positions_;  // their positions in the branch
    std::vector<LinkBound> links_;                     // by need
    std::int64_t missing_link_ = 0;                    // term 5 of chosen_
    bool has_shared_node_ = false;
    bool reordered_ = false;  // the Policy has an order of its own
    std::array<Cost::Term, Cost::term_count> terms_;
    bool opens_before_localities_ = false;
    std::vector<Room> rooms_;  // of the branch; for another order
    std::vector<std::uint32_t> l3_units_, closed_units_;
    Cost least_;  // terms 7 and 9, of any Placement of T
    std::int64_t sign_ = 1;
    bool stays_in_set_ = true;  // what opens localities opens those of T alone
    std::map<std::pair<std::vector<std::uint64_t>, std::vector<std::uint32_t>>,
             std::optional<PuChoice>>
        pu_memo_;          // by hit sets and charged packages, for the T at hand
    Placement candidate_;  // at hand; kept for its memory
    SearchResult result_;
    bool inexact_ = false;  // a choice was made that is not proved best
};

}  // namespace topoalloc
