// SPDX-License-Identifier: Apache-2.0
//
// The parts of an Explanation, one file each.
#pragma once

#include "explain/prober.hpp"
#include "explain/request_items.hpp"
#include "topoalloc/explanation.hpp"

#include <map>
#include <string>
#include <vector>

namespace topoalloc {

/// Positions in items_of(request) of a minimal conflict: the deletion filter, in their
/// order. Requires: the Request is infeasible on the state.
[[nodiscard]] std::vector<RequestItem> find_conflict(Prober& prober);

/// What there was of each thing asked for, and what each filter left.
[[nodiscard]] std::vector<CountLine> count_resources(const NodeState& state,
                                                     const CompiledRequest& request);

/// The smallest changes, one for each item of the conflict at most; then owners whose
/// leaving suffices, by name; then cordons whose lifting suffices.
[[nodiscard]] std::vector<Relaxation> find_relaxations(
    Prober& prober,
    const std::vector<RequestItem>& conflict,
    const std::map<std::string, Holding>& holdings,
    const std::string& owner);

/// What the Machine has instead of a class or a profile that it does not know: "; it
/// has gpu and nic"; empty where it knows it.
[[nodiscard]] std::string unknown_name_note(const Machine& machine,
                                            const Request& request,
                                            const RequestItem& item);

/// Whole devices instead of partitions of an unknown profile.
[[nodiscard]] std::vector<Relaxation> relax_unknown_profiles(
    Prober& prober, const std::vector<RequestItem>& conflict);

/// The best Placement without one of the chosen devices, or without one of the
/// localities of the chosen PUs when no device was asked for.
[[nodiscard]] RunnerUp find_runner_up(Prober& prober, const Placement& placement);

}  // namespace topoalloc
