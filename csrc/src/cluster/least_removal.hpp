// SPDX-License-Identifier: Apache-2.0
//
// The least set of elements whose removal makes room, where removing more never makes
// less: by the sets that hit every element-wise proof of "not enough" so far
// (docs/design/0009-least-removal.md). Private to the cluster room.
#pragma once

#include "node/joint_budget.hpp"
#include "topoalloc/verdict.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace topoalloc {

using RemovalSet = std::vector<std::uint32_t>;  ///< elements, ascending

/// What an element adds to the room of a region at most, by kind of room.
struct RemovalGain {
    std::uint32_t element = 0;
    std::vector<std::int64_t> gains;
};

/// A region makes room only if the gains of what is removed reach the need, kind by
/// kind.
struct RemovalRegion {
    std::vector<std::int64_t> need;
    std::vector<RemovalGain> elements;  ///< ascending
};

struct RoomAnswer {
    Status status = Status::unknown;
    std::uint64_t steps = 0;
};

struct RemovalProblem {
    std::vector<std::uint64_t> weights;  ///< by element
    /// Some region makes room, whenever a set does.
    std::vector<RemovalRegion> regions;
    /// Whether there is room without these.
    std::function<RoomAnswer(const RemovalSet& removed)> ask;
};

struct RemovalAnswer {
    /// optimal: the set is the least one; infeasible: not even all of them do.
    Status status = Status::unknown;
    RemovalSet set;           ///< for optimal and feasible
    std::uint64_t least = 0;  ///< no smaller set makes room: proved
};

/// Least number of elements, then least weight, then the first in lexicographic order.
[[nodiscard]] RemovalAnswer least_removal(const RemovalProblem& problem,
                                          StepBudget& budget);

}  // namespace topoalloc
