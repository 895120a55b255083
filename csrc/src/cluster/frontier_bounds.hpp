// SPDX-License-Identifier: Apache-2.0
//
// FrontierBounds: what a walk costs at least from where it stands: the exact least cost
// of the rest as views of the model see it. Private to the cluster room.
#pragma once

#include "cluster/frontier_model.hpp"
#include "node/joint_budget.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Positions of keys, in the order in which they were added.
class FrontierKeys {
  public:
    [[nodiscard]] std::size_t size() const { return keys_.size(); }
    [[nodiscard]] const FrontierKey& operator[](std::size_t at) const {
        return keys_[at];
    }
    /// @returns no_index where it was not added
    [[nodiscard]] std::uint32_t find(const FrontierKey& key) const;
    /// Adds it. Requires: it is not there.
    std::uint32_t add(const FrontierKey& key);

  private:
    // Part of a hash beside the position, so that few keys are looked at.
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t at = no_index;
    };
    [[nodiscard]] std::size_t slot_of(const FrontierKey& key, std::uint32_t hash) const;
    void grow();
    std::vector<FrontierKey> keys_;
    std::vector<Slot> slots_;  ///< a power of two
};

/// Work of a walk: one step, some microseconds, stands for some placings.
class FrontierSteps {
  public:
    explicit FrontierSteps(StepBudget& budget) : budget_(budget) {}
    /// @param placed  of the options those that were possible: most of the work
    /// @returns false when the budget ended
    bool spend(std::size_t options, std::size_t placed);

  private:
    StepBudget& budget_;
    std::uint64_t open_ = 0;
};

class FrontierBounds {
  public:
    /// Keeps references.
    FrontierBounds(const FrontierModel& model, StepBudget& budget)
        : model_(model), budget_(budget), steps_(budget) {}

    /// Looks at the rest through one view more.
    /// @param upper    what a plan costs that is known
    /// @param most_steps  more, and it is given up
    /// @returns false when it was given up, or the budget ended
    bool add(std::uint64_t podsets,
             std::uint64_t levels,
             const std::optional<PackedCost>& upper,
             std::uint64_t most_steps);

    /// No walk on from here that a `view` sees costs less; nullopt when none keeps the
    /// rules, or costs no more than the upper cost that a bound was made for.
    [[nodiscard]] std::optional<PackedCost> lower(const FrontierView& view,
                                                  std::uint32_t depth,
                                                  const FrontierKey& key,
                                                  const PackedCost& cost) const;

  private:
    struct Layer {
        FrontierKeys keys;
        std::vector<PackedCost> rest;  ///< by key; of no meaning where not `ends`
        std::vector<bool> ends;        ///< by key: some way on keeps the rules
    };
    struct Bound {
        FrontierView view;
        std::vector<Layer> layers;  ///< by depth
    };
    // Of the same PodSets.
    struct Group {
        std::uint64_t podsets = 0;
        std::vector<Bound> bounds;
    };
    [[nodiscard]] static std::optional<PackedCost> rest_of(const Group& group,
                                                           const FrontierView& view,
                                                           std::uint32_t depth,
                                                           const FrontierKey& key);
    bool walk(Bound& bound, const std::optional<PackedCost>& upper);
    std::size_t go_on(Bound& bound,
                      std::uint32_t at,
                      std::uint32_t depth,
                      const FrontierStep& step,
                      const std::optional<PackedCost>& upper) const;
    bool walk_back(Bound& bound);
    static std::size_t settle(Layer& from,
                              const Layer& to,
                              std::uint32_t at,
                              const FrontierStep& step);
    [[nodiscard]] bool spend(const FrontierStep& step, std::size_t placed);

    const FrontierModel& model_;
    StepBudget& budget_;
    FrontierSteps steps_;
    std::uint64_t last_step_ = 0;  ///< of the bound that is made
    std::vector<Group> singles_;   ///< of one PodSet each
    std::vector<Group> others_;
};

}  // namespace topoalloc
