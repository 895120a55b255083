// SPDX-License-Identifier: Apache-2.0
//
// ClaimProblem: claims on the devices of one node with every name taken away: who may
// have which device, what it consumes there, and which values it brings to the
// constraints. Plain data: what the searches start from. Private to the claim room.
#pragma once

#include "claim/node_devices.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

/// Amounts by capacity of a device, in its order.
using Consumption = std::vector<Nanos>;

/// Devices for the node that are left after each test of docs/claim-objective.md, one
/// after the other.
struct CandidateCounts {
    std::uint64_t devices = 0, match = 0, suit = 0, free = 0, tolerated = 0, open = 0;
};

struct ProblemDemand {
    std::uint32_t claim = 0, request = 0, entry = 0;
    CandidateCounts counts;
    bool is_all = false;
    bool has_admin_access = false;
    std::uint64_t need = 0;  ///< devices
    /// Ascending positions: those that may be chosen, or all that must be. The
    /// second kind may hold one that can not be: then there is no answer.
    std::vector<std::uint32_t> candidates;
    bool is_blocked = false;  ///< All: one of them can not be chosen
    /// By candidate; empty for a dedicated device.
    std::vector<Consumption> consumes;
    /// ExactCount: positions on which a selector fails, ascending, if not taken.
    std::vector<std::uint32_t> failing;
    std::uint32_t first_failing = no_index;  ///< taken or not
    std::vector<std::uint32_t> constraints;  ///< that hold for it
};

struct ProblemRequest {
    std::uint32_t claim = 0;
    std::vector<std::uint32_t> demands;  ///< entries in order
};

/// Values of an attribute as numbers, by device; of a kind that tells values of one
/// type from those of another.
struct ProblemAttribute {
    std::string name;
    /// Nothing: the device lacks it, or has what compares with nothing.
    std::vector<std::optional<std::vector<std::uint32_t>>> values;
    std::uint32_t value_count = 0;
};

struct ProblemConstraint {
    bool is_distinct = false;
    std::uint32_t attribute = 0;
};

struct ClaimProblem {
    const NodeDevices* node = nullptr;
    std::uint32_t claims = 0;
    std::vector<ProblemRequest> requests;  ///< of all claims, in order
    std::vector<ProblemDemand> demands;
    std::vector<ProblemConstraint> constraints;
    std::vector<ProblemAttribute> attributes;
    std::vector<bool> is_shared;  ///< by position
    /// A selector fails somewhere, or a pool is invalid at which a search ends.
    bool has_faults = false;
    bool skips_invalid_pools = true;
};

struct CompiledClaims {
    ClaimProblem problem;
    std::optional<ClaimFault> fault;  ///< whatever is searched
};

/// By selector of the claims, then position.
using SelectorOutcomes = std::vector<std::vector<SelectorOutcome>>;

[[nodiscard]] CompiledClaims compile_claims(
    const NodeDevices& node,
    const std::vector<ResourceClaimSpec>& claims,
    const SelectorOutcomes& outcomes,
    const ClaimSemantics& semantics);

/// @param demands  by request: the one that was chosen
/// @param chosen   by request: candidates of that demand
[[nodiscard]] ClaimAllocation allocation_of(
    const ClaimProblem& problem,
    const std::vector<std::uint32_t>& demands,
    const std::vector<std::vector<std::size_t>>& chosen);

/// Of a pool that is invalid.
[[nodiscard]] ClaimFault fault_of_pool(const NodePool& pool);

/// Results of one claim at most.
inline constexpr std::uint64_t most_results = 32;

}  // namespace topoalloc
