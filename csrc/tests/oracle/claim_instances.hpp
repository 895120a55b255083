// SPDX-License-Identifier: Apache-2.0
//
// Seeded random claim problems, small enough to try every choice.
#pragma once

#include "instances.hpp"

#include "topoalloc/claim.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace topoalloc::oracle {

struct ClaimInstance {
    ClaimWorld world;
    ClaimQuestion question;
};

/// Everything mixed: up to nine devices on the node in one to three pools, one to three
/// claims.
[[nodiscard]] ClaimInstance make_claim_instance(std::uint64_t seed);

/// What clusters have: pairs of GPU and NIC, a device for each PU, partitions that draw
/// on counters. Up to 16 devices, some taken, and barely room or barely none.
[[nodiscard]] ClaimInstance make_structured_claim(std::uint64_t seed);

/// The first half of make_claim_instance().
[[nodiscard]] ClaimWorld make_claim_world(Rng& rng);

/// "", or which rule of the API or of the data the instance breaks.
[[nodiscard]] std::string wrong_with(const ClaimInstance& instance);

/// The instance as C++ that builds it, to be kept as a test.
[[nodiscard]] std::string dump(const ClaimInstance& instance);

/// Drops one part after the other while `differs` still says true; a local minimum.
/// Nothing is ever wrong_with() what it asks. What selectors say stays with the
/// devices.
[[nodiscard]] ClaimInstance shrink(
    ClaimInstance instance, const std::function<bool(const ClaimInstance&)>& differs);

}  // namespace topoalloc::oracle
