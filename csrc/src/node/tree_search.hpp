// SPDX-License-Identifier: Apache-2.0
//
// The fast search: where DeviceTree applies and what is enforced is Align, Pair, links
// that are alike and Same, the best devices for a set T come from one dynamic programme
// and the best cores from counting, so that a question costs a few sets T and no
// enumeration of devices. Exact; answers as search() does, or says that it does not
// apply.
#pragma once

#include "base/arena.hpp"
#include "node/search.hpp"
#include "node/tree_plan.hpp"

namespace topoalloc {

/// @param plan  of the Request
/// @param unmet  preferences (bit i is prefer[i]) that need not hold
/// @param arena  for what lives as long as the call
/// @param result  gets the answer
/// @returns false when the method does not apply to what is enforced
[[nodiscard]] bool tree_search(const NodeState& state,
                               const CompiledRequest& request,
                               const TreePlan& plan,
                               std::uint32_t unmet,
                               const SolveOptions& options,
                               std::uint64_t& steps,
                               Arena& arena,
                               SearchResult& result);

}  // namespace topoalloc
