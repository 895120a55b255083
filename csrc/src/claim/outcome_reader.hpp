// SPDX-License-Identifier: Apache-2.0
//
// OutcomeReader: what the selectors of claims say of the devices of nodes, in the order
// in which they are asked: after one that is not true the next ones are not. Private to
// the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/node_view.hpp"
#include "topoalloc/device_inventory.hpp"

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace topoalloc {

class OutcomeReader {
  public:
    explicit OutcomeReader(const PreparedClaims& claims) : claims_(claims) {}

    /// Of the devices of a node; `no` where a selector was not asked yet.
    [[nodiscard]] SelectorOutcomes of(const NodeView& view);

    /// What was not asked yet, of all nodes so far; each once.
    [[nodiscard]] std::vector<SelectorGap> take_gaps() { return std::move(gaps_); }

  private:
    void read(const NodeView& view, const ClaimDemand& demand, SelectorOutcomes& out);

    const PreparedClaims& claims_;
    std::vector<SelectorGap> gaps_;
    std::set<std::pair<std::size_t, const OutcomeRecord*>> asked_;
};

}  // namespace topoalloc
