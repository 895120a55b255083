// SPDX-License-Identifier: Apache-2.0
//
// Asks the solver "and if ...?" within one budget of steps. Everything an Explanation
// says was solved here.
#pragma once

#include "topoalloc/allocator.hpp"

#include <cstdint>
#include <memory>

namespace topoalloc {

enum class Fit : std::uint8_t { yes, no, unknown };

class Prober {
  public:
    /// Keeps references: the Verdict outlives it, and has a state.
    Prober(const Verdict& verdict, SearchLimits limits)
        : verdict_(verdict), limits_(limits) {}

    [[nodiscard]] const NodeState& state() const { return *verdict_.state; }
    [[nodiscard]] const Machine& machine() const { return verdict_.state->machine(); }
    [[nodiscard]] const Request& request() const {
        return request_of(*verdict_.request);
    }
    [[nodiscard]] const Policy& policy() const { return verdict_.policy; }

    /// Solves as the Verdict was: its policy, what its resize keeps. Status::unknown
    /// once the budget is spent.
    [[nodiscard]] Answer solve(const Request& request);
    [[nodiscard]] Answer solve(const CompiledRequest& request, const NodeState& state);
    /// The Request of the Verdict on another state.
    [[nodiscard]] Answer solve_on(const NodeState& state) {
        return solve(*verdict_.request, state);
    }
    /// Whether it fits on the state of the Verdict; what asks for nothing does.
    [[nodiscard]] Fit fits(const Request& request);

    [[nodiscard]] static Fit fit_of(Status status);
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    /// False once an answer was cut short.
    [[nodiscard]] bool is_complete() const { return complete_; }

  private:
    const Verdict& verdict_;
    SearchLimits limits_;
    std::uint64_t steps_ = 0;
    bool complete_ = true;
};

}  // namespace topoalloc
