// SPDX-License-Identifier: Apache-2.0
//
// The steps of an exact joint search: one count for all its parts. Private to the node
// room.
#pragma once

#include "topoalloc/verdict.hpp"

#include <cstdint>
#include <limits>

namespace topoalloc {

/// Counts work until the limit; then `limited` stays true and nothing is proved.
struct StepBudget {
    std::uint64_t steps = 0;
    std::uint64_t max_steps = 0;
    bool limited = false;

    /// @returns false when the limit came first
    bool spend(std::uint64_t work = 1) {
        if (limited || work > max_steps - steps) {
            limited = true;
            return false;
        }
        steps += work;
        return true;
    }
};

/// Less than any answer costs: where the first one will do, none is sought below it.
[[nodiscard]] inline Cost lowest_cost() {
    Cost cost;
    cost.terms.fill(std::numeric_limits<std::int64_t>::min());
    return cost;
}

}  // namespace topoalloc
