// SPDX-License-Identifier: Apache-2.0
//
// Devices of a Request as the tree of their levels: where levels are ultrametric,
// devices within a level form nested classes. A switch is a class too. What is chosen
// on it is in tree_programme.hpp.
//
// Applies to at most 64 candidates and 3 needs of whole devices whose links do not tell
// them apart; build() says so.
#pragma once

#include "node/compiled_request.hpp"

#include <cstdint>
#include <optional>
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
    /// True for candidates of one locality, or all of unknown.
    [[nodiscard]] bool is_in_one_locality(std::uint64_t members) const;
    /// The candidates among a set of devices.
    [[nodiscard]] std::uint64_t ranks_of(const Bitmap& devices) const;
    /// Link between any two candidates of a need, MB/s.
    [[nodiscard]] std::uint64_t link_mb_s(std::size_t need) const {
        return links_[need];
    }

  private:
    bool collect(const CompiledRequest& request);
    void add_to_runs(std::uint32_t device, std::uint32_t rank);
    bool check_links(const CompiledRequest& request);
    void grow(const Machine& machine);
    [[nodiscard]] std::vector<std::uint64_t> split(const Machine& machine,
                                                   std::uint64_t members,
                                                   int level) const;
    std::uint32_t grow_class(const Machine& machine, std::uint64_t members, int level);
    bool place_switches(const Machine& machine);

    // Candidates whose device indices are those of neighbours.
    struct Run {
        std::uint32_t device = 0, rank = 0, count = 0;
    };
    std::vector<std::uint32_t> devices_;  // by rank
    std::vector<Run> runs_;
    std::vector<std::size_t> need_of_;  // by rank
    std::vector<std::uint64_t> need_masks_;
    std::uint64_t unknown_mask_ = 0;
    std::vector<std::uint64_t> locality_masks_;
    std::vector<std::uint64_t> links_;
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> children_;
    std::uint32_t root_ = 0;
};

}  // namespace topoalloc
