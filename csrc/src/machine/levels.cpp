// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <array>

namespace topoalloc {
namespace {

constexpr std::array<std::string_view, level_count> names = {
    "self", "switch", "bridges", "root", "numa", "package", "machine"};

struct VendorName {
    std::string_view name;
    Level level;
};
constexpr std::array<VendorName, 5> vendor_names = {{{"PIX", Level::switch_},
                                                     {"PXB", Level::bridges},
                                                     {"PHB", Level::root},
                                                     {"NODE", Level::numa},
                                                     {"SYS", Level::machine}}};

}  // namespace

std::string_view level_name(Level level) {
    return names.at(static_cast<std::size_t>(level));
}

std::optional<Level> parse_level(std::string_view text) {
    const auto* const ours = std::find(names.begin(), names.end(), text);
    if (ours != names.end()) {
        return static_cast<Level>(ours - names.begin());
    }
    const auto* const theirs =
        std::find_if(vendor_names.begin(), vendor_names.end(), [text](const auto& v) {
            return v.name == text;
        });
    if (theirs != vendor_names.end()) {
        return theirs->level;
    }
    return std::nullopt;
}

}  // namespace topoalloc
