// SPDX-License-Identifier: Apache-2.0
//
// Reason codes of "no": amounts that alone can not be had, found by counting before any
// search; and, after a search, the name of what is left.
#pragma once

#include "node/compiled_request.hpp"

#include <optional>

namespace topoalloc {

/// Why counting alone proves a "no": the first amount of the Request that the state can
/// not give, be it for the cores of a required Align in one domain.
[[nodiscard]] std::optional<Reason> find_shortage(const NodeState& state,
                                                  const CompiledRequest& request);

/// The reason of a "no" whose amounts can all be had one by one: the kind of the only
/// required constraint, or requirements_conflict.
[[nodiscard]] Reason name_conflict(const CompiledRequest& request);

}  // namespace topoalloc
