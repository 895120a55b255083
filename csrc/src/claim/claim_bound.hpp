// SPDX-License-Identifier: Apache-2.0
//
// ClaimBound: what the devices that are still to be chosen add at least. Private to the
// claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"
#include "claim/device_set.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace topoalloc {

class ClaimBound {
  public:
    struct Least {
        bool is_possible = true;  ///< false: too few devices are left
        std::int64_t localities = 0, levels = 0;
    };

    /// @param problem  one demand in each request
    explicit ClaimBound(const ClaimProblem& problem);

    /// Where a request has so many devices, others to be taken from one candidate on.
    [[nodiscard]] Least to_come(const ClaimState& state,
                                const DeviceSet& set,
                                std::uint32_t request,
                                std::uint64_t had,
                                std::size_t from);

  private:
    void look_at(const ProblemDemand& demand,
                 std::size_t from,
                 const ClaimState& state,
                 const DeviceSet& set);
    [[nodiscard]] std::int64_t new_localities(std::uint64_t need);
    [[nodiscard]] std::int64_t levels_to_set(std::uint64_t need);

    const ClaimProblem& problem_;
    std::vector<bool> can_share_;  // by request: what it takes may be in the set

    // Of the devices that are left for a request:
    std::vector<std::int64_t> near_;     // levels to the set
    std::vector<std::uint32_t> others_;  // how many are of each locality not in use
    std::vector<std::uint32_t> counts_;  // by locality
    std::uint64_t in_use_ = 0;           // how many are of none, or of one in use
};

}  // namespace topoalloc
