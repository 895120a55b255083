// SPDX-License-Identifier: Apache-2.0
//
// A ClaimWorld as docs/claim-objective.md, section 1, reads it: the pools on the node
// in order, the devices by position, and what is left of them. Shares no code with the
// claim solver.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace topoalloc::oracle {

enum class PoolState : std::uint8_t { usable, incomplete, invalid };

using CounterAmounts = std::map<std::string, std::map<std::string, Nanos>>;

/// Slices are those of the generation that counts, by name.
struct NodePool {
    std::string driver, name;
    PoolState state = PoolState::usable;
    std::vector<const DeviceSlice*> targeting, known;
    CounterAmounts counters_left;                 ///< of a usable pool
    std::vector<const SliceDevice*> known_taken;  ///< on whatever node
    std::size_t first = 0, count = 0;             ///< positions, of a usable pool
};

struct NodeDevice {
    DeviceId id;
    const SliceDevice* device = nullptr;
    std::size_t pool = 0;  ///< index into ClaimInventory::pools
    bool is_for_node = true;
    bool is_shared = false;
    bool is_drawing = false;                         ///< its counters are drawn already
    bool is_taken = false;                           ///< whole
    std::map<std::string, DeviceValues> attributes;  ///< by name with domain
    std::map<std::string, DeviceCapacity> capacities;  ///< by name with domain
    std::map<std::string, Nanos> taken;                ///< of its capacities
};

struct ClaimInventory {
    std::vector<NodePool> pools;      ///< on the node, in order, none obsolete
    std::vector<NodeDevice> devices;  ///< by position
};

/// Points into the world.
[[nodiscard]] ClaimInventory read_world(const ClaimWorld& world);

/// "domain/name"; the driver's where the name has none.
[[nodiscard]] std::string with_domain(const std::string& name,
                                      const std::string& driver);

}  // namespace topoalloc::oracle
