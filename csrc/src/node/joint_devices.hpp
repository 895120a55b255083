// SPDX-License-Identifier: Apache-2.0
//
// Device sets of one Request of a batch, and what several of them take together.
// Private to the node room.
#pragma once

#include "node/compiled_request.hpp"
#include "node/definition.hpp"
#include "node/joint_budget.hpp"
#include "topoalloc/state.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace topoalloc {

/// True for Align and Near, which PUs and bytes decide as well.
[[nodiscard]] bool speaks_beyond_devices(const CompiledConstraint& constraint);

/// What a set of devices takes from the state.
struct DeviceUse {
    Bitmap whole;    ///< roots
    Bitmap touched;  ///< roots of parts and shares
    Bitmap parts;
    /// (root, amount on each counter), of parts and shares.
    std::vector<std::pair<std::uint32_t, std::vector<std::uint64_t>>> draws;
};

/// Devices that several members of a batch hold.
class DeviceLedger {
  public:
    explicit DeviceLedger(const NodeState& state) : state_(state) {}

    [[nodiscard]] bool fits(const DeviceUse& use) const;
    /// Requires: fits(use). Ensures: remove is its inverse, last added first.
    void add(const DeviceUse& use);
    void remove(const DeviceUse& use);
    [[nodiscard]] Bitmap roots() const { return whole_ | touched_; }

  private:
    const NodeState& state_;
    Bitmap whole_, touched_, parts_;
    std::vector<std::uint32_t> touches_;  // by root
    std::map<std::uint32_t, std::vector<std::uint64_t>> drawn_;
};

/// One device set: every constraint that speaks of devices alone holds.
struct DeviceChoice {
    ChosenDevices chosen;
    Bitmap devices;
    DeviceUse use;
    /// What devices alone decide: preferences of Pair, Link, Same, Distinct in term 1,
    /// and terms 4 and 5.
    Cost cost;
    /// Preferred Align and Near (bit i is prefer[i]) that no PUs and bytes can meet.
    std::uint64_t broken = 0;
};

/// Calls visit(choice) for every device set that the Request may take on the state.
/// @returns false when the limit came first
bool for_each_device_choice(const NodeState& state,
                            const CompiledRequest& request,
                            StepBudget& budget,
                            const std::function<void(DeviceChoice)>& visit);

}  // namespace topoalloc
