// SPDX-License-Identifier: Apache-2.0
//
// What a request of a capacity consumes: docs/claim-objective.md, section 2. Private to
// the claim room.
#pragma once

#include "topoalloc/claim.hpp"

#include <optional>

namespace topoalloc {

/// @param requested  nothing: the default, else the whole
/// @returns nothing when it does not suit
[[nodiscard]] std::optional<Nanos> consumed_of(const DeviceCapacity& capacity,
                                               const std::optional<Nanos>& requested);

}  // namespace topoalloc
