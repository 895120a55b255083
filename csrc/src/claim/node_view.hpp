// SPDX-License-Identifier: Apache-2.0
//
// NodeView: what a node sees of an inventory, and all that it takes to ask again with
// parts of it left out. Private to the claim room and what stands above it.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/node_devices.hpp"
#include "claim/selector_outcomes.hpp"
#include "topoalloc/device_inventory.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

struct StoredSlice {
    DeviceSlice slice;
    std::vector<OutcomeRecordPtr> outcomes;  ///< by device
};
using StoredSlicePtr = std::shared_ptr<const StoredSlice>;

using TakenDevices = std::shared_ptr<const std::vector<TakenDevice>>;

struct NodeView {
    ClaimNode name;
    ClaimSemantics semantics;
    std::vector<StoredSlicePtr> slices;  ///< kept, as `node` points into them
    /// By claim; one may be there more than once.
    std::vector<std::pair<std::string, TakenDevices>> taken;
    NodeDevices node;
    std::vector<const StoredSlice*> slice_of;  ///< by position
    std::vector<OutcomeRecordPtr> outcomes;    ///< by position
};
using NodeViewPtr = std::shared_ptr<const NodeView>;

/// The devices as if these claims held nothing. The positions are the same.
[[nodiscard]] NodeDevices devices_without(const NodeView& view,
                                          const std::vector<std::string>& claims);

}  // namespace topoalloc
