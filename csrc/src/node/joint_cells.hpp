// SPDX-License-Identifier: Apache-2.0
//
// PUs by what can be told apart: cells of PUs, classes of cores. A joint search chooses
// counts of them; which PUs those are is decided at the end. Private to the node room.
#pragma once

#include "node/compiled_request.hpp"
#include "node/joint_budget.hpp"
#include "topoalloc/state.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace topoalloc {

/// Free PUs of one L3, locality and Package that every Near of the batch treats alike:
/// a term or a constraint sees only how many are taken, and from how many cores.
struct JointCell {
    std::uint32_t l3 = 0;
    std::uint32_t locality = 0;
    std::uint32_t package = 0;
    std::vector<bool> near;  ///< by Near of the batch: near enough
    std::uint32_t free = 0;
    std::uint32_t first_pu = 0;          ///< stands for all of them
    std::vector<std::uint32_t> classes;  ///< that lie in it, ascending
    std::uint32_t component = 0;         ///< cells that share cores share one
    std::vector<std::uint32_t> twins;    ///< earlier cells of the same structure
};

/// Cores of one size with as many free PUs in the same cells.
struct JointCoreClass {
    std::uint32_t size = 0;  ///< PUs, those that are not free counted
    std::vector<std::pair<std::uint32_t, std::uint32_t>> free;  ///< (cell, PUs)
    bool is_whole = false;
    std::vector<std::uint32_t> cores;
};

class JointCells {
  public:
    JointCells(const NodeState& state, std::span<const CompiledNear* const> nears);

    [[nodiscard]] const std::vector<JointCell>& cells() const { return cells_; }
    [[nodiscard]] const std::vector<JointCoreClass>& classes() const {
        return classes_;
    }

    /// The fewest cores split when this many cores of each class are taken whole and
    /// this many PUs of each cell beside them. Requires: there are that many.
    /// @returns nullopt when the limit came first
    [[nodiscard]] std::optional<std::int64_t> least_split(
        const std::vector<std::uint32_t>& whole_taken,
        const std::vector<std::uint32_t>& pus_taken,
        StepBudget& budget);

    /// The PUs of each cell in such a choice; cores taken whole are the first of their
    /// class.
    [[nodiscard]] std::vector<std::vector<std::uint32_t>> choose_pus(
        const std::vector<std::uint32_t>& whole_taken,
        const std::vector<std::uint32_t>& pus_taken) const;

  private:
    struct Component {
        std::vector<std::uint32_t> cells;
        std::vector<std::uint32_t> classes;
    };
    class SplitTable;

    void read_pus(std::span<const CompiledNear* const> nears);
    void read_cores();
    void join_components();
    void find_twins();
    [[nodiscard]] bool are_twins(const JointCell& a, const JointCell& b) const;

    const NodeState& state_;
    const Machine& machine_;
    std::vector<JointCell> cells_;
    std::vector<JointCoreClass> classes_;
    std::vector<Component> components_;
    std::vector<std::uint32_t> cell_of_pu_;  // no_index: not free
    // By component, cores taken and PUs taken in it.
    std::map<std::vector<std::uint32_t>, std::int64_t> split_memo_;
};

}  // namespace topoalloc
