// SPDX-License-Identifier: Apache-2.0
//
// The answer for claims on a node, from its view and what selectors say of it. Private
// to the claim room.
#pragma once

#include "claim/best_fit.hpp"
#include "claim/claim_problem.hpp"
#include "claim/first_fit.hpp"
#include "claim/node_view.hpp"
#include "topoalloc/device_inventory.hpp"

#include <utility>

namespace topoalloc {

/// Requires: no gaps.
[[nodiscard]] inline ClaimAnswer answer_of(const InventoryAnswer& asked,
                                           const PreparedClaims& claims,
                                           ClaimChoice choice,
                                           SearchLimits limits) {
    CompiledClaims compiled = compile_claims(
        asked.view->node, claims.claims, asked.outcomes, asked.view->semantics);
    return choice == ClaimChoice::first_fit ? first_fit_of(std::move(compiled), limits)
                                            : best_fit_of(std::move(compiled), limits);
}

}  // namespace topoalloc
