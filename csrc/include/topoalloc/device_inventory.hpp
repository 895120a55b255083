// SPDX-License-Identifier: Apache-2.0
//
// DeviceInventory: the ResourceSlices of a cluster and what is taken of their devices,
// kept up to date as they change, and asked about claims node by node. What a node sees
// is worked out once and kept until something of it changes.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace topoalloc {

enum class ClaimChoice : std::uint8_t { first_fit, optimal };

/// Claims that are asked about together.
struct PreparedClaims {
    std::vector<ResourceClaimSpec> claims;
    /// By number of a selector in `claims`: what the inventory knows it as.
    std::vector<std::size_t> selectors;
};

/// A device by its place in its slice.
struct SlicePlace {
    std::string slice;
    std::size_t device = 0;
    [[nodiscard]] auto operator<=>(const SlicePlace&) const = default;
};

/// A selector, as the inventory knows it, that was not asked about a device yet.
struct SelectorGap {
    std::size_t selector = 0;
    SlicePlace place;
};

/// What a node sees of the inventory. It stays as it was.
struct NodeView;

struct InventoryAnswer {
    /// Where there are some there is no answer yet: set their outcomes, and ask again.
    std::vector<SelectorGap> gaps;
    ClaimAnswer answer;
    std::shared_ptr<const NodeView> view;  ///< that its positions are of
    /// What selectors said: by selector of the claims, then position.
    std::vector<std::vector<SelectorOutcome>> outcomes;
};

/// Answers for many nodes. Nodes that the claims can not tell apart share one.
struct SweepAnswer {
    /// Where there are some there is no answer yet: set their outcomes, and ask again.
    std::vector<SelectorGap> gaps;
    std::vector<InventoryAnswer> answers;  ///< with the view of the first such node
    std::vector<std::size_t> answer_of;    ///< by node, into `answers`
    std::vector<std::shared_ptr<const NodeView>> views;  ///< by node

    /// The answer of a node, with its own view. Requires: no gaps.
    [[nodiscard]] InventoryAnswer at(std::size_t node) const;
};

/// Thread-safe.
class DeviceInventory {
  public:
    explicit DeviceInventory(ClaimSemantics semantics = {});
    DeviceInventory(const DeviceInventory&) = delete;
    DeviceInventory& operator=(const DeviceInventory&) = delete;
    DeviceInventory(DeviceInventory&&) = delete;
    DeviceInventory& operator=(DeviceInventory&&) = delete;
    ~DeviceInventory();

    /// Adds a slice, or puts it in the place of the one of its name.
    void set_slice(DeviceSlice slice);
    /// @returns false when there is none of that name
    bool remove_slice(const std::string& name);
    /// Its labels; a node that was never set has none.
    void set_node(ClaimNode node);
    bool remove_node(const std::string& name);
    /// What a claim holds, in the place of what it held; none: nothing any more.
    void set_taken(const std::string& claim, std::vector<TakenDevice> devices);

    /// What a selector says of a device, and of all that selectors can not tell from
    /// it. Nothing happens when the device is gone.
    void set_outcome(const SelectorGap& gap, SelectorOutcome outcome);
    /// Outcomes of all selectors.
    void forget_outcomes();

    /// Nodes that were set, and those that a slice or a device names. Ascending.
    [[nodiscard]] std::vector<std::string> node_names() const;

    [[nodiscard]] InventoryAnswer ask(const std::string& node,
                                      const PreparedClaims& claims,
                                      ClaimChoice choice,
                                      SearchLimits limits) const;

    /// What `ask` says of each node, one of its kind asked.
    [[nodiscard]] SweepAnswer ask_nodes(const std::vector<std::string>& nodes,
                                        const PreparedClaims& claims,
                                        ClaimChoice choice,
                                        SearchLimits limits) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

[[nodiscard]] SlicePlace place_of(const NodeView& view, std::size_t position);
/// Driver, pool and name. Requires: position < number of devices of the view.
[[nodiscard]] DeviceId device_of(const NodeView& view, std::size_t position);

}  // namespace topoalloc
