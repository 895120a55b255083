// SPDX-License-Identifier: Apache-2.0
//
// A Request as a list of things that can be dropped, in the one order of the deletion
// filter (docs/design/0005-explanations.md), and a Request without some of them.
#pragma once

#include "topoalloc/request.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

/// In the order of the filter.
enum class ItemKind : std::uint8_t {
    require,
    where,
    eligible,
    exclude,
    keep,
    pus,  ///< cores or pus
    memory,
    hugepages,
    devices,
};

struct RequestItem {
    ItemKind kind = ItemKind::require;
    std::size_t index = 0;        ///< of the constraint, or of the class
    std::size_t condition = 0;    ///< where: its position
    std::uint64_t page_size = 0;  ///< hugepages
    [[nodiscard]] bool operator==(const RequestItem&) const = default;
};

/// All items of a Request, in the order of the filter: constraints; conditions and
/// eligible devices by class; exclude; keep; cores or pus; memory; hugepages by size;
/// devices by class.
[[nodiscard]] std::vector<RequestItem> items_of(const Request& request);

/// Which items stay: by position in items_of().
using KeptItems = std::vector<bool>;

/// The Request with the kept items only. What speaks of a class that is gone goes with
/// it: conditions, names in `keep`, and constraints, which lose the class or, when they
/// speak of nothing else, go whole. The result may ask for nothing (is_empty).
[[nodiscard]] Request with_items(const Request& request,
                                 const std::vector<RequestItem>& items,
                                 const KeptItems& kept,
                                 bool with_preferences);

/// Whether an item says something in a Request with the kept items: false for what
/// speaks only of what is gone.
[[nodiscard]] bool has_meaning(const Request& request,
                               const std::vector<RequestItem>& items,
                               const KeptItems& kept,
                               std::size_t position);

/// Nothing is asked for: it fits anywhere, and is no valid Request.
[[nodiscard]] bool is_empty(const Request& request);

/// "require[0]", "devices.nic.where[1]", "hugepages.2Mi".
[[nodiscard]] std::string path_of(const Request& request, const RequestItem& item);
/// "nic: 8 devices".
[[nodiscard]] std::string text_of(const Request& request, const RequestItem& item);

/// "each gpu paired with a nic within bridges".
[[nodiscard]] std::string describe(const Constraint& constraint);
/// "rdma = true".
[[nodiscard]] std::string describe(const Condition& condition);
/// "64Gi": the largest binary unit that divides it.
[[nodiscard]] std::string describe_bytes(std::uint64_t bytes);
[[nodiscard]] std::string_view align_level_name(AlignLevel level);
/// "a, b and c".
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);

}  // namespace topoalloc
