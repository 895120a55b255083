// SPDX-License-Identifier: Apache-2.0
//
// The claim problem by enumeration, as docs/claim-objective.md defines it: a
// depth-first search in the order of the definition, without any cleverness. Knows the
// plain data of the problem and shares no code with its solver.
#pragma once

#include "claim_cost.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace topoalloc::oracle {

/// An error of section 5, as far as the data can show it. What does not say where it is
/// stays zero or empty.
struct BruteFault {
    enum class Kind : std::uint8_t {
        too_many_devices,    ///< claim
        capacity_twice,      ///< claim, request, demand, position
        all_on_broken_pool,  ///< claim, request, demand, driver, pool
        selector_failed,     ///< claim, request, demand, position
        invalid_pool,        ///< driver, pool
    };
    Kind kind = Kind::invalid_pool;
    std::size_t claim = 0, request = 0, demand = 0, position = 0;
    std::string driver, pool;
    [[nodiscard]] bool operator==(const BruteFault&) const = default;
};

/// An allocation, a fault, or neither: then there is no allocation.
struct BruteClaims {
    bool is_counted = true;  ///< false: more than `most` tries, nothing is known
    std::uint64_t tried = 0;
    std::optional<ClaimAllocation> allocation;
    ClaimTerms cost;  ///< of brute_best_fit, with an allocation
    std::optional<BruteFault> fault;
};

/// `first_fit`.
/// @param most  devices that are tried at most
[[nodiscard]] BruteClaims brute_first_fit(const ClaimWorld& world,
                                          const ClaimQuestion& question,
                                          std::uint64_t most);

/// `optimal`.
[[nodiscard]] BruteClaims brute_best_fit(const ClaimWorld& world,
                                         const ClaimQuestion& question,
                                         std::uint64_t most);

/// "", or the rule of section 3 that the allocation breaks: "rule 1" to "rule 8";
/// "devices": not as many as a demand counts, or not those that All fixes; "consumed";
/// "shape": not of the question.
[[nodiscard]] std::string judge_claims(const ClaimWorld& world,
                                       const ClaimQuestion& question,
                                       const ClaimAllocation& allocation);

/// The devices by position; of these the selectors of a question speak.
[[nodiscard]] std::vector<DeviceId> positions_of(const ClaimWorld& world);

}  // namespace topoalloc::oracle
