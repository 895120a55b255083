// SPDX-License-Identifier: Apache-2.0
//
// Several Requests at once by enumeration: every Placement of each, in every order, the
// costs added as the last paragraph of docs/objective.md, section 4, says.
#pragma once

#include "instances.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc::oracle {

struct BatchAnswer {
    bool feasible = false;
    bool is_counted = true;  ///< false: more Placements than `most`, nothing is known
    Cost cost;
};

/// What one member of a joint answer holds.
struct BatchPart {
    Set devices = 0, pus = 0, localities = 0;
    std::vector<OracleGrant> memory;
};

/// @param most  combinations that are tried at most
[[nodiscard]] BatchAnswer brute_batch(const BatchInstance& instance,
                                      std::uint64_t most);

/// The cost of a joint answer in the order of the Requests; nullopt when in no order
/// each part is a Placement on what those before it leave.
[[nodiscard]] std::optional<Cost> judge_batch(const BatchInstance& instance,
                                              const std::vector<BatchPart>& parts);

}  // namespace topoalloc::oracle
