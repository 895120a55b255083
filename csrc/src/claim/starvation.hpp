// SPDX-License-Identifier: Apache-2.0
//
// Starvation: a choice under a constraint may leave too few devices for a later request
// under the same one. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"

#include <cstdint>
#include <vector>

namespace topoalloc {

class Starvation {
  public:
    explicit Starvation(const ClaimProblem& problem);
    /// Is too little left for one after this request, under a constraint of both?
    [[nodiscard]] bool is_there(const ClaimState& state, std::uint32_t request) const;

  private:
    const ClaimProblem& problem_;
    /// By request: demands after it, each without a choice, that share a constraint.
    std::vector<std::vector<std::uint32_t>> later_;
};

}  // namespace topoalloc
