// SPDX-License-Identifier: Apache-2.0
//
// Asks the solver "and if ...?" within one budget of steps. Everything an Explanation
// says was solved here, or counted where counting is a proof.
#pragma once

#include "node/compiled_request.hpp"
#include "topoalloc/allocator.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace topoalloc {

enum class Fit : std::uint8_t { yes, no, unknown };

struct Guess {
    Fit fit = Fit::unknown;
    Cost cost;  ///< the least; of a yes
};

class Prober {
  public:
    /// Keeps references: the Verdict outlives it, and has a state.
    Prober(const Verdict& verdict, SearchLimits limits)
        : verdict_(verdict), limits_(limits), planned_{verdict.request} {}

    [[nodiscard]] const NodeState& state() const { return *verdict_.state; }
    [[nodiscard]] const Machine& machine() const { return verdict_.state->machine(); }
    [[nodiscard]] const Request& request() const { return verdict_.request->request; }
    /// request() made ready.
    [[nodiscard]] const CompiledRequest& compiled() const { return *verdict_.request; }
    [[nodiscard]] const Policy& policy() const { return verdict_.policy; }

    /// Solves as the Verdict was: its policy, what its resize keeps. Status::unknown
    /// once the budget is spent.
    [[nodiscard]] Answer solve(const CompiledRequest& request, const NodeState& state);
    /// The Request of the Verdict on another state.
    [[nodiscard]] Answer solve_on(const NodeState& state) {
        return solve(*verdict_.request, state);
    }
    /// Whether it fits on the state of the Verdict; what asks for nothing does.
    [[nodiscard]] Fit fits(const Request& request);
    /// The cost on the state of the Verdict; nullopt unless it fits. What asks for
    /// nothing has none.
    [[nodiscard]] std::optional<Cost> cost_of(const Request& request);
    [[nodiscard]] std::optional<Cost> cost_of(const CompiledRequest& request);
    /// As cost_of(), with a small part of the budget. Where that does not decide, no
    /// answer counts as cut short: whoever guesses asks again otherwise.
    [[nodiscard]] Guess guess(const CompiledRequest& request);

    [[nodiscard]] static Fit fit_of(Status status);
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    /// False once an answer was cut short.
    [[nodiscard]] bool is_complete() const { return complete_; }

  private:
    [[nodiscard]] bool spend_count();
    [[nodiscard]] std::shared_ptr<const CompiledRequest> compile_probe(
        const Request& request);

    const Verdict& verdict_;
    SearchLimits limits_;
    std::uint64_t steps_ = 0;
    bool complete_ = true;
    // Requests that were solved: probes differ in little, so many share a tree plan.
    std::vector<std::shared_ptr<const CompiledRequest>> planned_;
};

}  // namespace topoalloc
