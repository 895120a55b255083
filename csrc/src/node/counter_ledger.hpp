// SPDX-License-Identifier: Apache-2.0
//
// What the devices chosen so far for one Request draw on their roots, so that parts and
// shares of a root never overlap, nor take more than its counters have left.
#pragma once

#include "node/branch.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc {

class CounterLedger {
  public:
    CounterLedger(const NodeState& state, const CompiledRequest& request);

    /// @returns false, and changes nothing, when the device does not fit beside the
    /// others
    bool add(const DeviceNeed& need, const Candidate& candidate);
    /// The inverse of an add() that returned true.
    void remove(const DeviceNeed& need, const Candidate& candidate);

  private:
    struct Use {
        bool whole = false;
        std::uint32_t users = 0;
        std::vector<std::uint64_t> drawn;
    };

    [[nodiscard]] const std::vector<std::uint64_t>& draws_of(
        const DeviceNeed& need, const Candidate& candidate) const;

    const NodeState& state_;
    // By root; empty when all are taken whole: no device is chosen for two needs.
    std::vector<Use> uses_;
};

}  // namespace topoalloc
