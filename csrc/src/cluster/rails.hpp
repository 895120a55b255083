// SPDX-License-Identifier: Apache-2.0
//
// RailSearch: a Gang with Rails on the nodes of a GangProblem. Lists are decided entry
// by entry; what is undecided is any, so a part of a list bounds what all of it can
// reach (docs/design/0010-rails.md). Private to the cluster room.
#pragma once

#include "cluster/rail_lists.hpp"
#include "topoalloc/cluster.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace topoalloc {

[[nodiscard]] bool has_rails(const Gang& gang);

/// @throws InvalidRequestError when they are no lists of the Gang, or are shorter than
///         the pods on a node
void demand_rails(const Gang& gang,
                  const std::vector<PodPlace>& pods,
                  const GangRails& rails);

/// Whether the pods on each node hold the first entries of the list of their PodSet.
[[nodiscard]] bool hold_first_entries(const Gang& gang,
                                      const std::vector<PodPlace>& pods,
                                      const GangRails& rails);

/// Without tables, and with no list yet.
[[nodiscard]] RailInput rail_input(std::span<const PodSet* const> podsets,
                                   std::uint64_t max_steps);

/// Of nodes in these states on which no pod stays.
void add_rail_tables(const std::vector<const NodeClass*>& states, RailInput& input);

class RailSearch {
  public:
    /// @param problem  its tables without Rails
    RailSearch(ClassPool& pool, const GangProblem& problem, RailInput input);

    /// As place_gang and check_gang.
    [[nodiscard]] GangAnswer place(SearchLimits limits);
    [[nodiscard]] GangAnswer check(SearchLimits limits);

    /// The first lists in lexicographic order that serve the plan of place().
    [[nodiscard]] const GangRails& lists() const { return lists_; }
    /// Of the new pods that the plan gives a node of this table; nullopt when none were
    /// found: then place() finds another plan.
    [[nodiscard]] std::optional<Placements> placements(std::uint32_t table,
                                                       const CountVector& pods) {
        return nodes_.placements(table, pods, lists_);
    }

  private:
    /// Nodes with pods, in node order.
    using SparsePods = std::vector<std::pair<std::uint32_t, CountVector>>;
    /// The answer while a part of the lists is decided.
    struct Relaxed {
        Status status = Status::infeasible;
        GangCost cost;
        SparsePods pods;
    };
    struct Open {
        GangRails lists;
        std::shared_ptr<const Relaxed> bound;
        std::uint64_t decided = 0;
        std::uint64_t sequence = 0;
    };
    struct Best {
        std::shared_ptr<const Relaxed> plan;
        GangRails lists;
    };

    /// A search for the best plan, or for any.
    struct Phase {
        bool least_cost = false;
        bool in_doubt = false;      ///< a part was left out undecided
        bool has_no_bound = false;  ///< a relaxation may have a better plan
        std::vector<Open> open;
        std::map<std::vector<std::uint32_t>, std::shared_ptr<const Relaxed>> relaxed;
        std::set<std::pair<GangRails, std::vector<std::uint32_t>>> visited;
        std::uint64_t sequence = 0;
    };

    [[nodiscard]] std::vector<Open> find_roots();
    [[nodiscard]] bool find_any();
    void search(std::vector<Open> next);
    void set_tables(const GangRails& lists);
    [[nodiscard]] std::shared_ptr<const Relaxed> relax();
    void evaluate(GangRails lists, std::vector<Open>& out);
    [[nodiscard]] std::vector<Open> expand(const Open& open);
    [[nodiscard]] bool is_reached(std::uint32_t podset, std::uint32_t place) const;
    [[nodiscard]] RailLoads loads_of(const SparsePods& pods) const;
    [[nodiscard]] std::vector<CountVector> all_pods(const SparsePods& pods) const;
    [[nodiscard]] bool is_less(const Relaxed& a, const Relaxed& b) const;
    [[nodiscard]] bool is_before(const Open& a, const Open& b) const;
    [[nodiscard]] GangAnswer conclude();

    GangProblem problem_;  ///< its tables are those of the lists in question
    RailNodes nodes_;
    RailSets sets_;
    GangRails lists_;

    StepBudget budget_;
    Phase phase_;
    std::optional<Best> best_;
    std::map<CountTable, std::uint32_t> table_numbers_;
    std::vector<std::uint32_t> tables_now_;  ///< their numbers, by table
};

}  // namespace topoalloc
