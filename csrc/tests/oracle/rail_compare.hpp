// SPDX-License-Identifier: Apache-2.0
//
// A random small Cluster and a Gang with Rails: place, check, then replace of a node
// and grow, each through the core and by enumeration.
#pragma once

#include <cstdint>
#include <string>

namespace topoalloc::oracle {

struct RailComparison {
    std::string difference;  ///< "": they agree
    bool is_counted = true;  ///< false: too many lists, nothing was compared
    bool has_plan = false;   ///< of place
    bool is_tight = false;   ///< without Rails another plan, or one at all
    bool has_replaced = false;
    std::uint64_t steps = 0, most_steps = 0;
};

[[nodiscard]] RailComparison compare_rails(std::uint64_t seed);

}  // namespace topoalloc::oracle
