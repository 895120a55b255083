// SPDX-License-Identifier: Apache-2.0
//
// What the oracle says of a state, told to the core; and what the core gives, told to
// the oracle.
#pragma once

#include "brute_batch.hpp"

#include "topoalloc/allocator.hpp"

namespace topoalloc::oracle {

/// Holdings and cordons; reserved PUs are the Allocator's from its making.
void fill(Allocator& allocator, const MachineSpec& spec, const OracleState& state);

/// Logical index of a device of the spec.
[[nodiscard]] std::uint32_t device_of(const Machine& machine,
                                      const MachineSpec& spec,
                                      std::uint32_t spec_index);

/// Without cost: what an owner holds, as the Placement that gave it.
[[nodiscard]] Placement placement_of(const Machine& machine,
                                     const MachineSpec& spec,
                                     const Holding& holding);

[[nodiscard]] BatchPart part_of(const Placement& placement,
                                const Machine& machine,
                                const OracleMachine& m);

}  // namespace topoalloc::oracle
