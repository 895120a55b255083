// SPDX-License-Identifier: Apache-2.0
//
// What slices and Spread leave of a number of pods: where one PodSet is alone, every
// smaller multiple of its finest slice can be had too, so that numbers decide. Private
// to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

class CountBounds {
  public:
    void add_slice(std::uint32_t level, std::uint32_t size) {
        bounds_.push_back({level, size, no_index});
    }
    void add_spread(std::uint32_t level, std::uint32_t at_most) {
        bounds_.push_back({level, 1, at_most});
    }

    /// What a Domain of the level holds when its parts hold `below`. Requires: levels
    /// of one tree, the finer the larger, slices that divide those above them.
    [[nodiscard]] std::uint32_t held(std::uint32_t level, std::uint32_t below) const {
        std::uint32_t multiple = 1;
        for (const Bound& bound : bounds_) {
            if (bound.level == level) {
                below = std::min(below, bound.at_most);
            }
            // A finer slice makes every number above it a multiple of its size.
            if (bound.level >= level) {
                multiple = std::max(multiple, bound.multiple);
            }
        }
        return below / multiple * multiple;
    }

    /// Of `most` pods in one Domain of the level `within`, or in all of them: those
    /// that a plan has.
    [[nodiscard]] std::uint64_t placed(std::uint64_t most,
                                       std::optional<std::uint32_t> within) const {
        std::uint32_t multiple = 1;
        for (const Bound& bound : bounds_) {
            // One Domain of each coarser level then holds all pods, too.
            if (within && bound.level < *within) {
                most = std::min<std::uint64_t>(most, bound.at_most);
            }
            multiple = std::max(multiple, bound.multiple);
        }
        return most / multiple * multiple;
    }

    /// True for each level that a bound is on.
    template <class F>
    [[nodiscard]] bool all_levels(F&& holds) const {
        return std::ranges::all_of(
            bounds_, [&](const Bound& bound) { return holds(bound.level); });
    }

  private:
    struct Bound {
        std::uint32_t level = 0;
        std::uint32_t multiple = 1;
        std::uint32_t at_most = no_index;
    };
    std::vector<Bound> bounds_;
};

}  // namespace topoalloc
