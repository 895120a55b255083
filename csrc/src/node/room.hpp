// SPDX-License-Identifier: Apache-2.0
//
// Counting without a search: what a need can be given now, and in which domains.
// Private to the node room and what stands above it.
#pragma once

#include "node/compiled_request.hpp"
#include "topoalloc/state.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc {

/// Whether the candidate at this position of a need can be given now.
[[nodiscard]] bool is_to_be_had(const NodeState& state,
                                const DeviceNeed& need,
                                std::size_t position);

/// Positions of a need's candidates that can be given now.
[[nodiscard]] std::vector<std::size_t> available_positions(const NodeState& state,
                                                           const DeviceNeed& need);

/// Free bytes of the kind in the NUMANodes, all of them or those in `nodes`.
[[nodiscard]] std::uint64_t free_bytes_of(const NodeState& state,
                                          MemoryKind kind,
                                          std::uint32_t page_size_index,
                                          const Bitmap* nodes = nullptr);

}  // namespace topoalloc
