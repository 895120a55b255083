// SPDX-License-Identifier: Apache-2.0
//
// The best choice of so many devices of each need on a tree of levels.
//
// A matching of least sum pairs what it can in the smallest class, so its sum is a sum
// over classes of counts alone; a switch is a class too. Hence the best choice follows
// bottom-up from the choices of the children, by counts: exact, in
// O(classes * counts^2). Ties keep the least index set, which unites over children.
//
// TreeTables are what depends on the Request alone: prices by counts, and the choices
// of small classes (bundles) for every set of available members. TreeProgramme answers
// questions on one state.
#pragma once

#include "base/arena.hpp"
#include "node/device_tree.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace topoalloc {

/// A Pair as the programme prices it.
struct TreePair {
    std::size_t many = 0, one = 0;  ///< needs
    std::int64_t ratio = 1;
    Level within =
        Level::machine;  ///< every class at most this wide is matched in itself
    std::uint32_t preferred = no_index;  ///< index in prefer; no_index: it is required
    std::int64_t least = 0;              ///< least level of any two candidates
};

/// The best choice of so many devices from a class. Sets are mirrored (rank 0 is the
/// highest bit), so that the larger number is the set with the least index.
struct TreeCell {
    std::int64_t cost = 0;
    std::uint64_t mirrored = 0;
};

/// A reachable choice of a child: what it adds to a table.
struct TreePart {
    std::uint32_t offset = 0;
    std::uint32_t packed = 0;
    std::uint32_t broken = 0;   ///< pairs (bits) that may not be enforced with it
    std::uint32_t devices = 0;  ///< in it
    TreeCell cell;
};

class TreeTables {
  public:
    static constexpr std::size_t max_pairs = 32;  // bits of TreePart::broken

    TreeTables() = default;
    TreeTables(const DeviceTree& tree,
               const std::vector<TreePair>& pairs,
               const std::vector<std::uint32_t>& counts);

  private:
    friend class TreeProgramme;

    // What a class adds for the counts chosen in it.
    struct Price {
        std::int64_t cost = 0;
        std::uint32_t broken = 0;
    };
    // A class of so few devices, all of one locality, that its choices stand in a table
    // for each set of available members.
    struct Bundle {
        std::vector<std::uint32_t> ranks;
        std::vector<std::uint32_t> first;  // by set of members: into parts_; one past
    };
    static constexpr std::size_t max_bundled = 4;
    static constexpr std::uint32_t no_bundle = 0xffffffffU;

    void number_cells(const std::vector<std::uint32_t>& counts);
    void price_classes(const DeviceTree& tree, const std::vector<TreePair>& pairs);
    [[nodiscard]] static Price price_of(const DeviceTree::Node& node,
                                        const std::vector<TreePair>& pairs,
                                        std::uint32_t packed);
    void bundle_classes(const DeviceTree& tree);
    [[nodiscard]] static bool can_bundle(const DeviceTree& tree,
                                         const DeviceTree::Node& node);
    // Runs in prices_, or no_index.
    struct BundlePrices {
        std::uint32_t own = no_index, leaf = no_index;
    };
    void fill_bundle(const DeviceTree& tree, std::size_t index, Bundle& bundle);
    void add_choices(const DeviceTree& tree,
                     const Bundle& bundle,
                     std::size_t available,
                     BundlePrices prices);
    void add_price(std::uint32_t run, std::uint32_t offset, TreePart& part) const;

    // Counts of the needs as a mixed-radix number (the offset of a cell) and packed, a
    // byte each, so that two can be compared at once.
    std::array<std::uint32_t, DeviceTree::max_needs> counts_{};
    std::array<std::uint32_t, DeviceTree::max_needs> stride_{};
    std::vector<std::uint32_t> packed_;         // by offset
    std::vector<std::uint32_t> price_of_node_;  // into prices_, or no_index: nothing
    std::vector<Price> prices_;                 // a run of all offsets each
    std::uint32_t required_ = 0;  // pairs (bits): no part of a bundle breaks one
    std::vector<std::uint32_t> bundle_of_node_;
    std::vector<Bundle> bundles_;
    std::vector<TreePart> parts_;
};

/// What one question to the tree depends on besides the tree.
struct TreeQuestion {
    std::uint64_t available = 0;  ///< candidates that may be chosen
    std::uint64_t remote = 0;     ///< of them, those that will have no PU beside them;
                                  ///< all or none of a locality
    std::uint32_t enforced = 0;   ///< pairs (bits) that must hold
    std::span<const std::uint32_t> switch_holds;
    std::int64_t opened = 1;  ///< -1 when spreading
};

struct TreeAnswer {
    bool found = false;
    std::int64_t pair_levels = 0;
    std::int64_t remote_devices = 0;
    std::int64_t opened_switches = 0;
    std::uint64_t devices = 0;  ///< by rank
};

/// Answers questions to one tree; keeps its scratch between them.
class TreeProgramme {
  public:
    /// @param tables  of the tree
    TreeProgramme(const DeviceTree& tree, const TreeTables& tables, Arena& arena)
        : tree_(tree), tables_(tables), arena_(arena) {}
    /// @param steps  grows by the table cells merged
    [[nodiscard]] TreeAnswer ask(const TreeQuestion& question, std::uint64_t& steps);

  private:
    struct Table {
        TreeCell* cells = nullptr;
        // The highest offset that may be reachable; all up to it are set.
        std::uint32_t last = 0;
    };
    // Choices by offset, each of which costs more on this state.
    struct Parts {
        const TreePart* begin = nullptr;
        const TreePart* end = nullptr;
        std::int64_t opened = 0;      // each
        std::int64_t per_device = 0;  // of each device in it
    };
    // Scratch of one depth of the tree.
    struct Depth {
        TreeCell* cells = nullptr;
        TreePart* parts = nullptr;
    };

    Depth& scratch_at(std::size_t depth);
    Table fill(std::uint32_t index, std::size_t depth, bool only_all);
    Parts parts_of(std::uint32_t index, std::size_t depth);
    Parts leaf_parts(std::uint32_t index, TreePart* out) const;
    Parts bundle_parts(std::uint32_t index, TreePart* out) const;
    [[nodiscard]] Parts priced(const DeviceTree::Node& node,
                               const TreePart* begin,
                               const TreePart* end) const;
    void merge(Table& table, Parts parts, bool only_all);
    void extend(Table& table, Parts parts, std::uint32_t offset) const;
    void price_node(std::uint32_t index, Table& table, bool only_all) const;
    [[nodiscard]] TreeCell best_with(const Table& table,
                                     Parts parts,
                                     std::uint32_t offset) const;
    [[nodiscard]] bool opens(const DeviceTree::Node& node) const {
        return node.switch_index != no_index &&
               question_->switch_holds[node.switch_index] == 0;
    }
    [[nodiscard]] static TreeAnswer read(const TreeCell& cell);

    const DeviceTree& tree_;
    const TreeTables& tables_;
    Arena& arena_;
    const TreeQuestion* question_ = nullptr;
    std::array<Depth, level_count + 2> depths_{};
    std::uint64_t merged_ = 0;
};

}  // namespace topoalloc
