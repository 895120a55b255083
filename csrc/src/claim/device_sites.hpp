// SPDX-License-Identifier: Apache-2.0
//
// DeviceSites: where the devices of a node are, as far as attributes tell. Private to
// the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/node_devices.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

struct DeviceSites {
    /// The NUMANode that a device is of, those that it is near, its PCI roots, its
    /// domain:bus:device. No value where nothing is known.
    ProblemAttribute own_numa, numa, root, slot;
};

/// The attributes that tell.
[[nodiscard]] const std::array<std::string, 3>& site_attributes();

[[nodiscard]] DeviceSites find_sites(const NodeDevices& node);

/// Of two different devices: 0, 3, 4 or 6.
[[nodiscard]] std::int64_t level_of(const DeviceSites& sites,
                                    std::uint32_t a,
                                    std::uint32_t b);

}  // namespace topoalloc
