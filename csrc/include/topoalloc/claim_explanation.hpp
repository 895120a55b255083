// SPDX-License-Identifier: Apache-2.0
//
// Why claims have no devices on a node: a minimal conflict, counts, and the changes
// that help, each of them solved.
#pragma once

#include "topoalloc/device_inventory.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

/// Of a demand: devices for the node that are left after each test, one after the
/// other.
struct DemandCounts {
    std::size_t claim = 0, request = 0, demand = 0;
    std::uint64_t wanted = 0;   ///< of `All`: those that are fixed
    std::uint64_t devices = 0;  ///< for the node, of usable pools
    std::uint64_t match = 0;    ///< the selectors
    std::uint64_t suit = 0;     ///< have the capacity that is requested
    std::uint64_t free = 0;     ///< of which enough is left
    std::uint64_t tolerated =
        0;                   ///< have no other taint, and nothing that is not known
    std::uint64_t open = 0;  ///< have what the constraints speak of
    [[nodiscard]] bool operator==(const DemandCounts&) const = default;
};

/// A part of the question that a conflict may hold.
struct ClaimItem {
    enum class Kind : std::uint8_t {
        holder,      ///< what another claim holds: `holder`
        taints,      ///< of devices
        constraint,  ///< claim, index
        request,     ///< claim, index
    };
    Kind kind = Kind::request;
    std::size_t claim = 0, index = 0;
    std::string holder;
    [[nodiscard]] bool operator==(const ClaimItem&) const = default;
};

/// A change with which the claims have their devices.
struct ClaimRelaxation {
    enum class Kind : std::uint8_t {
        drop,   ///< without the item
        count,  ///< with `count` devices for the item, a request
    };
    Kind kind = Kind::drop;
    ClaimItem item;
    std::int64_t count = 0;
    [[nodiscard]] bool operator==(const ClaimRelaxation&) const = default;
};

struct ClaimExplanation {
    /// Empty unless it is proved that there is no allocation. They can not hold
    /// together; without any one of them the others can.
    std::vector<ClaimItem> conflict;
    std::vector<DemandCounts> counts;
    std::vector<ClaimRelaxation> relaxations;
    bool is_complete = true;  ///< false: the limit came before the end
    std::uint64_t steps = 0;
};

/// Of an answer without gaps, against the state that was asked.
[[nodiscard]] ClaimExplanation explain(const InventoryAnswer& answer,
                                       const PreparedClaims& claims,
                                       SearchLimits limits = {});

}  // namespace topoalloc
