// SPDX-License-Identifier: Apache-2.0
//
// The best plan by dynamic programming over the tree of Domains: for each Domain, and
// each vector of pods that it can hold, the least cost, from the nodes up. Exact, and
// polynomial in the counts for a given number of PodSets.
// docs/design/0008-gang-solver.md. Private to the cluster room.
#pragma once

#include "cluster/count_fields.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/gang_problem.hpp"
#include "cluster/packed_cost.hpp"
#include "cluster/plan_rules.hpp"
#include "node/joint_budget.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

/// A vector of pods that a Domain can hold, and what it costs at least.
struct GangCell {
    std::uint64_t packed = 0;   ///< CountFields::pack
    std::uint64_t touched = 0;  ///< bit r: it has a pod of PlanRules::within[r]
    std::uint32_t index = 0;    ///< CountFields::index
    PackedCost cost;
};
using GangCells = std::vector<GangCell>;  ///< ascending by index
[[nodiscard]] const GangCell* find_cell(const GangCells& cells, std::uint32_t index);

/// Domains, or nodes, in which the same vectors have the same costs.
struct GangClass {
    bool is_node = false;
    std::uint32_t nodes = 0;              ///< in it
    std::vector<std::uint32_t> children;  ///< classes, in node order
    std::uint64_t split = 0;  ///< rules of which no two children may have a pod
    GangCells cells;
    /// rest[i]: what the children i and on hold together; the last holds nothing.
    std::vector<GangCells> rest;
};

/// What is sought of a plan that keeps the rules.
struct PlanAim {
    bool use_possible = false;  ///< CountTable::possible, not attained
    bool least_cost = true;     ///< false: any cost will do
    /// Pods missing, summed: as few as can be when not given.
    std::optional<std::uint64_t> short_pods;
};

class GangProgramme {
  public:
    /// Keeps references. Requires: rules without `balanced`.
    GangProgramme(const GangProblem& problem,
                  const std::vector<DomainVertex>& tree,
                  const PlanRules& rules,
                  const PlanAim& aim,
                  StepBudget& budget);

    /// @returns false where the numbers are too large for it, or the budget ended
    [[nodiscard]] bool run();

    [[nodiscard]] const std::vector<GangClass>& classes() const { return classes_; }
    [[nodiscard]] std::uint32_t root() const { return root_; }
    [[nodiscard]] const CountFields& counts() const { return counts_; }

    /// Vectors of the whole that the aim likes best, all of the same cost; none when
    /// there is no plan. Requires: run().
    [[nodiscard]] std::vector<const GangCell*> best() const;
    /// Pods missing of one of them.
    [[nodiscard]] std::uint64_t short_of(const GangCell& cell) const;

  private:
    using Copies = std::vector<std::uint64_t>;  ///< by PodSet

    [[nodiscard]] bool lay_out();
    [[nodiscard]] std::uint64_t touched_by(std::uint64_t packed) const;
    [[nodiscard]] bool allows(std::uint64_t packed, std::uint32_t level) const;
    [[nodiscard]] PackedCost cost_of_domain(std::uint64_t packed,
                                            std::uint32_t level,
                                            bool is_open,
                                            const Copies& copies) const;
    void close_domain(GangCells& cells,
                      std::uint32_t level,
                      bool is_open,
                      const Copies& copies) const;
    [[nodiscard]] GangCells cells_of(const GangNode& node) const;
    [[nodiscard]] std::uint32_t class_of_node(std::uint32_t index);
    [[nodiscard]] std::optional<std::uint32_t> class_of_vertex(std::uint32_t index,
                                                               std::uint64_t inside);
    [[nodiscard]] bool fill(GangClass& made);
    [[nodiscard]] bool combine(const GangCells& child,
                               const GangCells& rest,
                               std::uint64_t split,
                               GangCells& out);
    [[nodiscard]] Copies copies_of(const DomainVertex& vertex) const;

    const GangProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    const PlanRules& rules_;
    const PlanAim& aim_;
    StepBudget& budget_;
    CountFields counts_;
    CostFields costs_;
    /// sums[p][n]: copies of PodSet p on the nodes before n.
    std::vector<Copies> sums_;
    std::vector<std::uint64_t> masks_;  ///< by PodSet: rules of `within` with it
    std::vector<GangClass> classes_;
    std::map<std::vector<std::uint64_t>, std::uint32_t> known_;
    std::vector<std::uint32_t> slots_;  ///< scratch of combine(), by index
    std::uint32_t root_ = 0;
};

/// The plan of one of the best() vectors, by node: of plans of equal cost the best by
/// term 7. Nullopt when the budget ended. Requires: GangProgramme::run(), best().
[[nodiscard]] std::optional<std::vector<CountVector>> plan_of(
    const GangProgramme& programme,
    std::span<const GangCell* const> totals,
    std::size_t nodes,
    StepBudget& budget);

}  // namespace topoalloc
