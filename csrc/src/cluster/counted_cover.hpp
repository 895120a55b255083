// SPDX-License-Identifier: Apache-2.0
//
// CountedCover: which of many smallest Domains side by side, and which of their nodes,
// hold all pods best. Exact: a search in node order, cut by sums of the largest.
// Private to the cluster room.
//
// A node that is used gives all it holds, the last one what is left: more pods on it
// never leave less to the rest. With n nodes in r Domains no more pods can be had than,
// for every price c, n times c and the r largest sums of what the nodes hold beyond c.
#pragma once

#include "cluster/counted_rooms.hpp"
#include "node/joint_budget.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

/// What Domains of the finest level hold, at several prices of a node.
class CoverPrices {
  public:
    /// Keeps a reference.
    CoverPrices(const CountedProblem& problem, const CountedRooms& rooms);

    /// Ascending, the first is 0.
    [[nodiscard]] const std::vector<std::uint32_t>& prices() const { return prices_; }
    /// What the nodes of a leaf hold beyond each price, summed.
    [[nodiscard]] std::vector<std::uint32_t> values(std::uint32_t leaf) const;

  private:
    const CountedProblem& problem_;
    const CountedRooms& rooms_;
    std::vector<std::uint32_t> prices_;
};

/// The least that plans with all pods in some Domains can cost.
struct CoverBound {
    std::int64_t leaves = 0;  ///< as many Domains of the finest level; reached
    std::int64_t nodes = 0;   ///< no fewer nodes
};

/// The leaves below one Domain, and the largest sums of their values.
struct CoverPart {
    std::uint32_t vertex = 0;
    std::vector<std::uint32_t> leaves;               ///< vertices in node order
    std::vector<std::vector<std::uint32_t>> values;  ///< by price: descending, then 0
    std::int64_t open_leaves = 0;                    ///< that hold pods
};
[[nodiscard]] CoverPart cover_part(const CoverPrices& prices,
                                   std::uint32_t vertex,
                                   std::vector<std::uint32_t> leaves);
/// Requires: the parts hold them all.
[[nodiscard]] CoverBound cover_bound(const CoverPrices& prices,
                                     std::span<const CoverPart* const> parts,
                                     std::uint32_t pods);

class CountedCover {
  public:
    /// Keeps references.
    /// @param leaves  in node order, all of the same levels
    /// @param bound   of them
    CountedCover(const CountedProblem& problem,
                 const CountedRooms& rooms,
                 const CoverPrices& prices,
                 std::vector<std::uint32_t> leaves,
                 const CoverBound& bound,
                 StepBudget& budget);

    /// The plan with the fewest Domains, then nodes, then new Domains, then by term 7.
    /// Nullopt when it is too long to find, or the budget ended.
    [[nodiscard]] std::optional<SparsePods> run();

  private:
    // What is left to place, at a node or behind it.
    struct Rest {
        std::uint32_t pods = 0, nodes = 0, leaves = 0, opened = 0;
        [[nodiscard]] auto operator<=>(const Rest&) const = default;
    };
    struct Step {
        std::uint32_t node = 0;
        std::uint32_t leaf = 0;     ///< position in leaves_
        std::uint32_t skipped = 0;  ///< the largest node left out of this leaf
        bool is_used = false;       ///< the leaf is
        bool takes = false;         ///< the node is
        Rest rest;                  ///< before it
    };
    /// Sums of the largest values, by price, leaf and number: of the leaves from it on.
    class Sums {
      public:
        void resize(std::size_t prices, std::size_t leaves, std::uint32_t most);
        void add(std::size_t price, std::size_t leaf, std::uint32_t value);
        void copy(std::size_t price, std::size_t leaf);
        [[nodiscard]] std::uint64_t of(std::size_t price,
                                       std::size_t leaf,
                                       std::uint32_t number) const;

      private:
        [[nodiscard]] std::size_t at(std::size_t price, std::size_t leaf) const;
        std::size_t leaves_ = 0, most_ = 0;
        std::vector<std::uint32_t> top_, sums_;
    };

    [[nodiscard]] std::uint32_t most_leaves() const {
        return static_cast<std::uint32_t>(bound_.leaves);
    }
    void lay_out();
    void limit_opened();
    [[nodiscard]] std::vector<std::uint64_t> behind(std::uint32_t leaf) const;
    [[nodiscard]] std::optional<SparsePods> find(std::uint32_t nodes,
                                                 std::uint32_t opened);
    [[nodiscard]] bool may_start(std::size_t leaf, const Rest& rest) const;
    [[nodiscard]] bool may_go_on(const Step& step,
                                 const Rest& rest,
                                 bool is_used) const;
    [[nodiscard]] std::optional<Step> first_step(std::uint32_t leaf, const Rest& rest);
    [[nodiscard]] std::optional<Rest> after_take(const Step& step) const;
    [[nodiscard]] bool may_skip(const Step& step) const;
    [[nodiscard]] std::optional<Step> next_step(const Step& step);
    [[nodiscard]] std::optional<Step> decide(Step step, std::vector<Step>& steps);
    [[nodiscard]] bool back_up(std::vector<Step>& steps);
    [[nodiscard]] std::uint32_t opened_by(const SparsePods& pods) const;
    [[nodiscard]] std::uint32_t last_of(std::uint32_t leaf) const;
    [[nodiscard]] std::uint32_t first_of(std::uint32_t leaf) const;

    const CountedProblem& problem_;
    const CountedRooms& rooms_;
    const CoverPrices& prices_;
    std::vector<std::uint32_t> leaves_;
    CoverBound bound_;
    StepBudget& budget_;
    std::vector<std::uint32_t> opens_;  ///< by leaf: Domains that it opens
    bool limits_opened_ = false;
    Sums all_, open_, new_;  ///< of all leaves, of those that open none, and some
    std::vector<std::vector<std::uint64_t>> behind_;  ///< by leaf, then node and price
    std::vector<std::vector<Rest>> failed_;           ///< by leaf
    std::uint64_t left_ = 0;                          ///< looks of this search
    bool is_found_ = false;
};

}  // namespace topoalloc
