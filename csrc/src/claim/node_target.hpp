// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a slice or a device is for. Private to the claim room.
#pragma once

#include "topoalloc/claim.hpp"

namespace topoalloc {

[[nodiscard]] bool is_for(const NodeTarget& target, const ClaimNode& node);

/// By its own target, or that of one of its devices.
[[nodiscard]] bool targets(const DeviceSlice& slice, const ClaimNode& node);

}  // namespace topoalloc
