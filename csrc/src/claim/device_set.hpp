// SPDX-License-Identifier: Apache-2.0
//
// DeviceSet: the set D of docs/claim-objective.md, section 4, while it grows and
// shrinks, and what it costs. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"
#include "claim/device_sites.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace topoalloc {

class DeviceSet {
  public:
    DeviceSet(const ClaimProblem& problem, const DeviceSites& sites);

    /// Requires: a candidate of some demand, not in the set.
    void add(std::uint32_t device);
    /// Requires: in the set.
    void remove(std::uint32_t device);

    [[nodiscard]] std::int64_t localities() const { return localities_.used; }
    [[nodiscard]] std::int64_t levels() const { return levels_; }
    /// Levels between a candidate and the set, added up.
    [[nodiscard]] std::int64_t levels_to(std::uint32_t device) const {
        return levels_to_[index_[device]];
    }
    /// Between any two candidates.
    [[nodiscard]] std::int64_t least_level() const { return least_level_; }
    /// Terms 2 to 6. No term falls when the set grows.
    /// @param state  with the same devices chosen
    [[nodiscard]] ClaimCost cost(const ClaimState& state) const;

  private:
    /// How many devices of the set have each value, and whether one that is taken has.
    struct Tally {
        const ProblemAttribute* attribute = nullptr;
        std::vector<std::uint32_t> devices;
        std::vector<bool> is_taken;
        std::int64_t used = 0, opened = 0;
        void count(std::uint32_t device, bool add);
    };

    [[nodiscard]] Tally tally(const ProblemAttribute& attribute) const;
    void find_levels(const DeviceSites& sites);
    void find_drawing();
    void count(std::uint32_t device, bool add);
    [[nodiscard]] bool is_broken(const ClaimState& state, std::uint32_t device) const;

    const ClaimProblem& problem_;
    std::vector<std::uint32_t> index_;     // by device: among the candidates
    std::vector<std::uint8_t> level_;      // by two candidates
    std::vector<std::int64_t> levels_to_;  // by candidate
    std::vector<std::uint32_t> drawing_;   // devices that could draw at first
    Tally localities_, roots_;
    std::size_t candidates_ = 0;
    std::int64_t levels_ = 0, least_level_ = 0, shares_ = 0;
};

}  // namespace topoalloc
