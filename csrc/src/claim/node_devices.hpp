// SPDX-License-Identifier: Apache-2.0
//
// NodeDevices: the pools that one node can use, their devices in the order that
// docs/claim-objective.md, section 1, gives them, and what is left of each. Private to
// the claim room.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

enum class PoolState : std::uint8_t { usable, incomplete, invalid };

struct NodePool {
    const DeviceSlice* any = nullptr;  ///< one of its slices: driver and name
    PoolState state = PoolState::usable;
    std::string fault;  ///< why it is invalid
    /// Positions of its devices, from `first` up to `end`.
    std::size_t first = 0, end = 0;
};

struct LeftCapacity {
    std::string name;  ///< with domain
    const DeviceCapacity* capacity = nullptr;
    Nanos left = 0;
};

/// What drawing on one counter set takes.
struct SetDraw {
    std::uint32_t counter_set = 0;  ///< into NodeDevices::counter_sets
    const CounterDraw* draw = nullptr;
    std::vector<std::pair<std::uint32_t, Nanos>> counters;  ///< into NodeDevices::left
};

struct NodeDevice {
    const SliceDevice* device = nullptr;
    const DeviceSlice* slice = nullptr;
    std::uint32_t pool = 0;
    bool is_taken = false;        ///< someone holds it, or shares of it
    bool is_taken_whole = false;  ///< someone holds it as if it were dedicated
    bool is_for_node = false;     ///< by its own target, where the slice asks for one
    std::vector<LeftCapacity> capacities;
    std::vector<SetDraw> draws;
};

/// The compatibility groups that the devices on a counter set have in common.
struct CommonGroups {
    bool has_members = false;
    bool is_broken = false;           ///< those that are there do not go together
    std::vector<std::string> groups;  ///< ascending; empty: they name none

    /// False when a device of these groups may not join; else it has.
    bool join(const std::vector<std::string>& others);
};

struct NodeDevices {
    std::vector<NodePool> pools;  ///< in order, those that are not usable too
    std::vector<NodeDevice> devices;
    std::vector<CommonGroups> counter_sets;  ///< of taken devices
    std::vector<Nanos> left;                 ///< by counter
};

/// An attribute by its name with domain; null when the device lacks it.
[[nodiscard]] const DeviceValues* find_attribute(const NodeDevice& device,
                                                 const std::string& name);

/// What a node's devices are read from: all slices of each pool of which one may target
/// the node, and what is taken of these pools.
struct NodeSources {
    std::vector<const DeviceSlice*> slices;
    std::vector<const TakenDevice*> taken;
    const ClaimNode& node;
    const ClaimSemantics& semantics;
};
[[nodiscard]] NodeSources sources_of(const ClaimWorld& world);

/// The view keeps pointers into the slices.
[[nodiscard]] NodeDevices view_node(const NodeSources& sources);

}  // namespace topoalloc
