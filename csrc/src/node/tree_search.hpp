// SPDX-License-Identifier: Apache-2.0
//
// The fast search: where DeviceTree applies and what is enforced is Align, Pair, links
// that are alike and Same, the best devices for a set T come from one dynamic programme
// and the best cores from counting, so that a question costs a few sets T and no
// enumeration of devices. Exact; answers as search() does, or says that it does not
// apply.
#pragma once

#include "node/search.hpp"
#include "node/tree_plan.hpp"

#include <memory_resource>
#include <optional>

namespace topoalloc {

/// @param plan  of the Request
/// @param unmet  preferences (bit i is prefer[i]) that need not hold
/// @param scratch  for what lives as long as the call
/// @returns nullopt when the method does not apply to what is enforced
[[nodiscard]] std::optional<SearchResult> tree_search(
    const NodeState& state,
    const CompiledRequest& request,
    const TreePlan& plan,
    std::uint32_t unmet,
    const SolveOptions& options,
    std::uint64_t& steps,
    std::pmr::memory_resource* scratch);

}  // namespace topoalloc
