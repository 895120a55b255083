// SPDX-License-Identifier: Apache-2.0
//
// A DeviceInventory that is asked what a ClaimInstance asks.
#pragma once

#include "claim/node_devices.hpp"
#include "claim_builder.hpp"
#include "topoalloc/device_inventory.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>

namespace topoalloc::oracle {

// Selectors can tell each device from all others, as outcomes are given by position.
inline void tell_apart(ClaimInstance& instance) {
    std::int64_t number = 0;
    for (DeviceSlice& slice : instance.world.slices) {
        for (SliceDevice& device : slice.devices) {
            device.attributes["number.io/n"] = {
                AttributeKind::integer, {++number}, false};
        }
    }
}

inline PreparedClaims prepared(const ClaimQuestion& question) {
    PreparedClaims out{question.claims, {}};
    for (std::size_t s = 0; s < question.outcomes.size(); ++s) {
        out.selectors.push_back(10 + 3 * s);
    }
    return out;
}

inline std::map<SlicePlace, std::size_t> places_of(const ClaimWorld& world) {
    std::map<SlicePlace, std::size_t> out;
    const NodeDevices node = view_node(sources_of(world));
    for (std::size_t d = 0; d < node.devices.size(); ++d) {
        const DeviceSlice& slice = *node.devices[d].slice;
        const auto index =
            static_cast<std::size_t>(node.devices[d].device - slice.devices.data());
        out[{slice.name, index}] = d;
    }
    return out;
}

// Asks, and says what selectors say until there is an answer.
inline InventoryAnswer ask(DeviceInventory& inventory,
                           const ClaimInstance& instance,
                           ClaimChoice choice) {
    const PreparedClaims claims = prepared(instance.question);
    const auto positions = places_of(instance.world);
    for (int round = 0; round < 40; ++round) {
        InventoryAnswer out =
            inventory.ask(instance.world.node.name, claims, choice, {});
        if (out.gaps.empty()) {
            return out;
        }
        for (const SelectorGap& gap : out.gaps) {
            const std::size_t selector = (gap.selector - 10) / 3;
            const std::size_t position = positions.at(gap.place);
            EXPECT_EQ(place_of(*out.view, position), gap.place);
            inventory.set_outcome(gap, instance.question.outcomes[selector][position]);
        }
    }
    ADD_FAILURE() << "the gaps never end";
    return {};
}

}  // namespace topoalloc::oracle
