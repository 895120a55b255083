// SPDX-License-Identifier: Apache-2.0
//
// A Gang as a list of things that can be dropped, in the one order of the deletion
// filter (docs/design/0005-explanations.md), and a Gang without some of them.
#pragma once

#include "topoalloc/gang.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace topoalloc {

/// In the order of the filter.
enum class GangItemKind : std::uint8_t {
    group_require,
    require,
    slice,
    where,
    tolerations,
    request_require,  ///< all that the Request requires
    count,            ///< dropped: not one pod is wanted
};

struct GangItem {
    GangItemKind kind = GangItemKind::count;
    std::size_t of = 0;     ///< PodSet, or Group
    std::size_t index = 0;  ///< of the entry, where there are several
    [[nodiscard]] bool operator==(const GangItem&) const = default;
};

/// @param has_taints  by PodSet: a node has a taint that it does not tolerate
[[nodiscard]] std::vector<GangItem> items_of(const Gang& gang,
                                             const std::vector<bool>& has_taints);

/// The Gang with the kept items only; PodSets and Groups keep their positions.
/// Preferences go.
/// @param plain  by PodSet: its Request without what it requires
[[nodiscard]] Gang with_items(const Gang& gang,
                              const std::vector<GangItem>& items,
                              const std::vector<bool>& kept,
                              const std::vector<std::shared_ptr<const Request>>& plain);

/// "podsets[0].require[1]".
[[nodiscard]] std::string path_of(const GangItem& item);
/// "worker: all pods in one rack".
[[nodiscard]] std::string text_of(const Gang& gang, const GangItem& item);

/// "1 pod", "2 pods".
[[nodiscard]] std::string counted(std::uint64_t number, const std::string& noun);

}  // namespace topoalloc
