// SPDX-License-Identifier: Apache-2.0
//
// Cost terms that need no Request: of a Placement that was made elsewhere, and the
// terms that a batch has once. Private to the node room and what stands above it.
#pragma once

#include "topoalloc/solver.hpp"

namespace topoalloc {

/// Derives T of a Placement from its PUs, bytes and devices: what lies in one locality
/// adds it; what lies in several adds the first only when none of them is in T yet.
[[nodiscard]] Bitmap derive_localities(const Machine& machine,
                                       const Placement& placement);

/// Writes terms 8 and 9: the cores split and the domains opened on this state.
void set_split_and_opened(const NodeState& state,
                          const Placement& placement,
                          Packing packing,
                          Cost& cost);

/// Terms 2 to 9 of a Placement without a Request: no preferences and no pairs.
[[nodiscard]] Cost cost_without_request(const NodeState& state,
                                        const Placement& placement,
                                        Packing packing);

}  // namespace topoalloc
