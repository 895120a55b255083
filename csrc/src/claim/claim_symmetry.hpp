// SPDX-License-Identifier: Apache-2.0
//
// What no rule tells apart: devices that are alike, and states that differ only in
// which of several like PCI roots, NUMANodes or counter sets is which. Where one has
// failed the other does. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>

namespace topoalloc {

class ValueTree;

/// Nothing is computed before the first question: most searches never fail.
class ClaimSymmetry {
  public:
    explicit ClaimSymmetry(const ClaimProblem& problem);
    ClaimSymmetry(const ClaimSymmetry&) = delete;
    ClaimSymmetry& operator=(const ClaimSymmetry&) = delete;
    ClaimSymmetry(ClaimSymmetry&&) = delete;
    ClaimSymmetry& operator=(ClaimSymmetry&&) = delete;
    ~ClaimSymmetry();

    /// The same values, counters, claims and demands, and as much left.
    [[nodiscard]] bool are_alike(const ClaimState& state,
                                 std::uint32_t device,
                                 std::uint32_t other);

    /// Has a state like this one failed for the requests from this one on?
    [[nodiscard]] bool has_failed(const ClaimState& state, std::uint32_t request);
    void fail(const ClaimState& state, std::uint32_t request);

  private:
    void classify();

    const ClaimProblem& problem_;
    std::vector<std::uint32_t> classes_;  // by device; empty: not computed
    std::unique_ptr<ValueTree> tree_;
    std::unordered_set<std::string> failed_;
};

}  // namespace topoalloc
