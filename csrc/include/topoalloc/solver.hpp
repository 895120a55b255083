// SPDX-License-Identifier: Apache-2.0
//
// The best Placement of one Request on one state, or a proof that there is none.
// docs/objective.md is the problem; docs/design/0002-node-solver.md the method.
#pragma once

#include "topoalloc/state.hpp"

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace topoalloc {

enum class Packing : std::uint8_t { pack, spread };

/// Terms of docs/objective.md section 4 that an order moves together.
enum class TermGroup : std::uint8_t {
    packages,
    localities,  ///< with distance
    pair_levels,
    missing_link,
    remote_devices,
    l3s,
    split_cores,
    opened,  ///< 9a to 9e
};
inline constexpr std::size_t term_group_count = 8;
/// "packages", and so on.
[[nodiscard]] std::string_view term_group_name(TermGroup group);

/// Each group once, the one compared first in front.
using TermOrder = std::array<TermGroup, term_group_count>;
inline constexpr TermOrder default_order{TermGroup::packages,
                                         TermGroup::localities,
                                         TermGroup::pair_levels,
                                         TermGroup::missing_link,
                                         TermGroup::remote_devices,
                                         TermGroup::l3s,
                                         TermGroup::split_cores,
                                         TermGroup::opened};

/// 1 to 31 of a-z, 0-9, '-', '_', '.', or empty. A plain value, so that a Policy is
/// copied as numbers are.
class PolicyName {
  public:
    PolicyName() = default;
    /// @throws InvalidRequestError when it is none
    explicit PolicyName(std::string_view text);
    [[nodiscard]] std::string_view text() const { return {text_.data(), size_}; }
    [[nodiscard]] bool operator==(const PolicyName&) const = default;

  private:
    std::array<char, 31> text_{};
    std::uint8_t size_ = 0;
};

/// How Placements are compared: by preferences first, then by the groups in order, then
/// by index (term 10). It can not change what a term means.
struct Policy {
    Packing packing = Packing::pack;
    /// The caller's own for a named one; 1 for the two built in.
    std::uint32_t version = 1;
    TermOrder order = default_order;
    /// Empty: built in, "pack" or "spread".
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    PolicyName name{};

    /// One comparison of eight bytes: every question asks it.
    [[nodiscard]] bool has_default_order() const {
        return std::bit_cast<std::uint64_t>(order) ==
               std::bit_cast<std::uint64_t>(default_order);
    }
    [[nodiscard]] bool operator==(const Policy&) const = default;
};

/// Its name, or that of the packing.
[[nodiscard]] std::string_view name_of(const Policy& policy);

/// @throws InvalidRequestError when the order is none, the version is 0, or a Policy
///         that is built in, or has the name of one, differs from it
void validate(const Policy& policy);

/// Costs as the Policy compares them; term 10 is not part of it.
[[nodiscard]] std::strong_ordering compare_costs(const Cost& a,
                                                 const Cost& b,
                                                 const Policy& policy);

/// Terms in the order in which the Policy compares them.
[[nodiscard]] std::array<Cost::Term, Cost::term_count> terms_in_order(
    const Policy& policy);

/// A Request made ready for one Machine: names resolved, conditions evaluated.
/// Immutable: share it between threads.
class CompiledRequest;

/// @throws InvalidRequestError when the Request names a device that the Machine lacks,
///         or has no meaning (Request::validate)
[[nodiscard]] std::shared_ptr<const CompiledRequest> compile(
    std::shared_ptr<const Machine> machine, const Request& request);

/// What it was compiled from, and for.
[[nodiscard]] const Request& request_of(const CompiledRequest& compiled);
[[nodiscard]] const Machine& machine_of(const CompiledRequest& compiled);

/// What a resize keeps: the Placement it starts from. Null: nothing.
struct SolveOptions {
    Policy policy;
    SearchLimits limits;
    const Placement* keep_from = nullptr;
};

/// Solves on a state of the same Machine. Equal input: equal answer, equal steps.
/// @throws InvalidRequestError when the Policy is none
[[nodiscard]] Answer solve(const NodeState& state,
                           const CompiledRequest& request,
                           const SolveOptions& options = {});

/// The cost of a given Placement by the definition, from scratch, term by term. The
/// search is checked against it in tests; both use the rule that fills memory and the
/// one that counts what is opened.
/// @throws InvalidRequestError when the Placement breaks the Request or the state
[[nodiscard]] Cost evaluate(const NodeState& state,
                            const CompiledRequest& request,
                            const Placement& placement,
                            Policy policy);

}  // namespace topoalloc
