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
    [[nodiscard]] std::size_t locality_count() const {
        return localities_.devices.size();
    }
    /// no_index: none that is known.
    [[nodiscard]] std::uint32_t locality_of(std::uint32_t device) const {
        const auto& own = localities_.attribute->values[device];
        return own ? own->front() : no_index;
    }
    /// Is a device of the set of it?
    [[nodiscard]] bool is_in_use(std::uint32_t locality) const {
        return localities_.devices[locality] > 0;
    }
    [[nodiscard]] std::int64_t levels() const { return levels_; }
    /// Levels between a candidate and the set, added up.
    [[nodiscard]] std::int64_t levels_to(std::uint32_t device) const {
        return levels_to_[index_[device]];
    }
    /// No more than the levels among so many candidates, added up over their pairs.
    /// Requires: there are so many.
    [[nodiscard]] std::int64_t least_levels(std::size_t devices) const;
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
    void find_least_sums();
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
    /// By number: of the levels between a candidate and so many others, the least sum.
    std::vector<std::int64_t> least_sums_;
    std::int64_t levels_ = 0, shares_ = 0;
};

}  // namespace topoalloc
