// SPDX-License-Identifier: Apache-2.0
//
// Devices of a Request as the tree of their levels, and a dynamic programme over it.
//
// Where levels are ultrametric, devices within a level form nested classes: a tree. A
// matching of least sum pairs what it can in the smallest class, so its sum is a sum
// over classes of counts alone; a switch is a class too. Hence the best choice of so
// many devices of each need follows bottom-up from the choices of the children, by
// counts: exact, in O(classes * counts^2). Ties keep the least index set, which unites
// over children.
//
// Applies to at most 64 candidates and 3 needs of whole devices whose links do not tell
// them apart; build() says so.
#pragma once

#include "node/compiled_request.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

/// Candidates are numbered by device index: their rank. Sets of candidates are masks by
/// rank.
class DeviceTree {
  public:
    static constexpr std::size_t max_needs = 3;

    struct Node {
        std::uint64_t members = 0;
        std::int64_t level = 0;         ///< of the class; -1 for one device
        std::int64_t parent_level = 7;  ///< above every level for the root
        std::uint32_t switch_index =
            no_index;  ///< the switch whose candidates these are
        std::uint32_t first_child = 0, child_count = 0;  ///< into children()
    };

    /// @returns nullopt when the method does not apply
    [[nodiscard]] static std::optional<DeviceTree> build(
        const CompiledRequest& request);

    [[nodiscard]] const std::vector<std::uint32_t>& devices() const { return devices_; }
    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
    [[nodiscard]] const std::vector<std::uint32_t>& children() const {
        return children_;
    }
    [[nodiscard]] std::uint32_t root() const { return root_; }
    [[nodiscard]] std::uint64_t need_mask(std::size_t need) const {
        return need_masks_[need];
    }
    [[nodiscard]] std::size_t need_count() const { return need_masks_.size(); }
    [[nodiscard]] std::size_t need_of(std::size_t rank) const { return need_of_[rank]; }
    [[nodiscard]] std::uint64_t unknown_mask() const { return unknown_mask_; }
    [[nodiscard]] std::uint64_t locality_mask(std::size_t locality) const {
        return locality_masks_[locality];
    }
    /// Link between any two candidates of a need, MB/s.
    [[nodiscard]] std::uint64_t link_mb_s(std::size_t need) const {
        return links_[need];
    }

  private:
    bool collect(const CompiledRequest& request);
    bool check_links(const CompiledRequest& request);
    void grow(const Machine& machine);
    [[nodiscard]] std::vector<std::uint64_t> split(const Machine& machine,
                                                   std::uint64_t members,
                                                   int level) const;
    std::uint32_t grow_class(const Machine& machine, std::uint64_t members, int level);
    bool place_switches(const Machine& machine);

    std::vector<std::uint32_t> devices_;  // by rank
    std::vector<std::size_t> need_of_;    // by rank
    std::vector<std::uint64_t> need_masks_;
    std::uint64_t unknown_mask_ = 0;
    std::vector<std::uint64_t> locality_masks_;
    std::vector<std::uint64_t> links_;
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> children_;
    std::uint32_t root_ = 0;
};

/// A Pair as the programme prices it.
struct TreePair {
    std::size_t many = 0, one = 0;  ///< needs
    std::int64_t ratio = 1;
    Level within =
        Level::machine;  ///< every class at most this wide is matched in itself
    bool enforced = false;
    std::int64_t least = 0;  ///< least level of any two candidates
};

/// What one question to the tree depends on besides the tree.
struct TreeQuestion {
    std::uint64_t available = 0;  ///< candidates that may be chosen
    std::uint64_t remote = 0;     ///< of them, those that will have no PU beside them
    std::array<std::uint32_t, DeviceTree::max_needs> counts{};
    std::span<const TreePair> pairs;
    const std::vector<std::uint32_t>* switch_holds = nullptr;
    std::int64_t opened = 1;  ///< -1 when spreading
};

struct TreeAnswer {
    bool found = false;
    std::int64_t pair_levels = 0;
    std::int64_t remote_devices = 0;
    std::int64_t opened_switches = 0;
    std::uint64_t devices = 0;  ///< by rank
};

/// Answers questions to one tree; keeps its tables between them.
class TreeProgramme {
  public:
    explicit TreeProgramme(const DeviceTree& tree) : tree_(tree) {}
    /// @param steps  grows by the table cells merged
    [[nodiscard]] TreeAnswer ask(const TreeQuestion& question, std::uint64_t& steps);

  private:
    // The best choice of so many devices from a class. Sets are mirrored (rank 0 is the
    // highest bit), so that the larger number is the set with the least index.
    struct Cell {
        std::int64_t cost = 0;
        std::uint64_t mirrored = 0;
    };
    // A reachable choice of a child: what it adds to a table.
    struct Part {
        std::uint32_t offset = 0;
        std::uint32_t packed = 0;
        Cell cell;
    };
    struct Table {
        Cell* cells = nullptr;
        std::uint32_t last =
            0;  // the highest offset that may be reachable; all up to it are set
    };

    void prepare(const TreeQuestion& question);
    void fill(std::uint32_t index, std::size_t depth, Table& table);
    void collect_leaf(std::uint32_t rank, std::vector<Part>& parts) const;
    void collect_parts(const Table& table, std::vector<Part>& parts) const;
    void merge(Table& table, const std::vector<Part>& parts);
    void price_node(const DeviceTree::Node& node, Table& table) const;
    [[nodiscard]] std::int64_t price_pairs(const DeviceTree::Node& node,
                                           std::uint32_t packed) const;
    [[nodiscard]] Cell best_with(const Table& table,
                                 const std::vector<Part>& parts,
                                 std::uint32_t offset) const;
    [[nodiscard]] static TreeAnswer read(const Cell& cell);

    const DeviceTree& tree_;
    const TreeQuestion* question_ = nullptr;
    std::array<std::uint32_t, DeviceTree::max_needs> counts_{};
    // Counts of the needs as a mixed-radix number (the offset of a cell) and packed, a
    // byte each, so that two can be compared at once.
    std::array<std::uint32_t, DeviceTree::max_needs> stride_{};
    std::vector<std::uint32_t> packed_;     // by offset
    std::vector<Cell> cells_;               // a table for each depth
    std::vector<std::vector<Part>> parts_;  // scratch, for each depth
    std::uint64_t merged_ = 0;
};

}  // namespace topoalloc
