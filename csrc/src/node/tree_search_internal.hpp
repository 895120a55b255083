// SPDX-License-Identifier: Apache-2.0
//
// The state of tree_search(), shared by the files that have a part of it each:
// tree_search.cpp (what applies, branches), tree_search_sets.cpp (the sets T),
// tree_search_answers.cpp (the answers of one T).
#pragma once

#include "node/class_choice.hpp"
#include "node/core_choice.hpp"
#include "node/locality_sets.hpp"
#include "node/tree_search.hpp"

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <vector>

namespace topoalloc {

// What is left open by the Align domains and Same values chosen so far.
struct TreeBranch {
    std::uint64_t devices = 0;     // available candidates, by rank
    std::uint32_t first_core = 0;  // cores that may be used: an interval
    std::uint32_t last_core = 0;   // one past
    std::uint64_t byte_localities = ~std::uint64_t{0};  // whose bytes may be used
};

struct TreeCandidate {
    TreeCandidate(const Machine& machine, Arena& arena) : cores(machine, arena) {}

    bool found = false;
    Cost cost;
    std::uint64_t devices = 0;  // by rank
    std::uint64_t localities = 0;
    CoreChoice cores;  // has its PUs when its branch is left
};

class TreeSearch {
  public:
    TreeSearch(const NodeState& state,
               const CompiledRequest& request,
               const TreePlan& plan,
               std::uint32_t unmet,
               const SolveOptions& options,
               std::uint64_t& steps,
               Arena& arena);
    [[nodiscard]] bool run(SearchResult& result);

  private:
    // --- what applies ---

    bool accept();
    bool accept(const CompiledConstraint& constraint);

    // --- branches ---

    void fix_align(std::size_t index, const TreeBranch& branch);
    [[nodiscard]] std::size_t domain_count(AlignLevel level) const;
    bool narrow(TreeBranch& branch,
                const CompiledAlign& align,
                std::uint32_t index) const;
    [[nodiscard]] bool devices_suffice(std::uint64_t available) const;
    void fix_same(std::size_t index, const TreeBranch& branch);
    [[nodiscard]] bool stops() const { return limited_ || bails_; }

    // --- sets T ---

    void run_branch(const TreeBranch& branch);
    void visit_sets();
    [[nodiscard]] std::uint64_t useful_localities() const;
    void visit_tabled_sets();
    [[nodiscard]] bool set_suffices(const LocalitySet& set,
                                    std::uint64_t devices) const;
    void enumerate_sets();
    [[nodiscard]] bool sets_differ_in_cores_alone() const;
    [[nodiscard]] bool holds_all_bytes(std::uint32_t locality) const;
    void choose_by_class();
    bool try_counts(ClassChoice& choice, const ClassCounts& counts);
    void sign_localities(LocalityDemand& demand) const;
    [[nodiscard]] bool can_be_told(std::uint32_t index) const;
    void sign_bytes(std::uint32_t locality,
                    std::vector<std::uint64_t>& signature) const;
    bool visit(const LocalitySet& set);
    void note_unmatched();
    TreeAnswer ask_tree(std::uint64_t available, std::uint64_t remote);
    [[nodiscard]] std::uint64_t devices_of(std::uint64_t localities) const;
    bool bytes_suffice(std::uint64_t mask);

    // --- one set T ---

    void consider_set(const LocalitySet& set);
    void consider_footprints(const LocalitySet& set,
                             std::uint64_t devices,
                             std::uint64_t remote,
                             std::uint64_t with_devices);
    void consider_footprint(const LocalitySet& set,
                            std::uint64_t devices,
                            std::uint64_t remote,
                            std::uint64_t footprint);

    // --- one candidate ---

    void consider(const LocalitySet& set,
                  const TreeAnswer& devices,
                  const CoreChoice& cores);
    [[nodiscard]] bool is_better(const Cost& cost,
                                 std::uint64_t devices,
                                 std::uint64_t localities,
                                 const CoreChoice& cores);
    void keep_pus();
    [[nodiscard]] Cost cost_of(const LocalitySet& set,
                               const TreeAnswer& devices,
                               const CoreChoice& cores) const;
    [[nodiscard]] bool is_hopeless(const LocalitySet& set,
                                   std::uint64_t devices,
                                   const CoreChoice& cores) const;
    [[nodiscard]] std::uint64_t lowest_choice(std::uint64_t devices) const;
    [[nodiscard]] std::int64_t fewest_new_switches(std::uint64_t devices) const;
    void collect_open();
    void collect_localities();
    [[nodiscard]] std::int64_t closed_packages_of(std::uint64_t localities) const;
    void place(Placement& placement);

    // Footprints are tried one by one: at most 2^6 questions a set T.
    static constexpr std::uint32_t max_footprint = 6;

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    const TreePlan& plan_;
    std::uint32_t unmet_;
    const SolveOptions& options_;
    std::uint64_t& steps_;
    bool limited_ = false;
    TreeProgramme programme_;
    CoreChooser chooser_;

    std::pmr::vector<const CompiledAlign*> aligns_;
    std::pmr::vector<const CompiledAttribute*> sames_;
    std::uint32_t enforced_pairs_ = 0;  // bit i is plan_.pairs[i]
    std::int64_t opened_ = 1;
    bool links_fail_ = false;
    bool bails_ = false;
    bool match_is_known_ = true;
    bool can_match_ = true;

    TreeBranch branch_;
    std::uint64_t with_units_ = 0;    // localities of the branch
    std::uint64_t with_devices_ = 0;  // localities of the branch
    std::uint64_t unitless_ = 0;      // devices that no PU can be beside
    std::uint64_t closed_localities_ = 0;
    std::uint64_t in_closed_package_ = 0;  // localities
    std::uint64_t free_of_charge_ = 0;     // candidates whose switch need not be opened
    CoreChoice free_choice_;               // the cores of the T at hand, as they come
    CoreChoice hit_choice_;                // and with localities to hit
    TreeCandidate best_;
};

}  // namespace topoalloc
