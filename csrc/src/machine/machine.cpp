// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/machine.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>

namespace topoalloc {

bool Machine::class_has_links(std::string_view device_class) const {
    return classes_with_links_.contains(device_class);
}

std::uint32_t Machine::find_device(std::string_view key) const {
    auto found = device_by_key_.find(key);
    if (found == device_by_key_.end()) {
        // Other spellings of a PCI address: capitals, no domain, a long domain.
        if (const auto address = PciAddress::parse(key)) {
            found = device_by_key_.find(address->to_string());
        }
    }
    return found == device_by_key_.end() ? no_index : found->second;
}

std::uint32_t Machine::pu_of_os_index(std::uint32_t os_index) const {
    return os_index < pu_by_os_index_.size() ? pu_by_os_index_[os_index] : no_index;
}

std::uint32_t Machine::numa_node_of_os_index(std::uint32_t os_index) const {
    const auto at = std::lower_bound(numa_nodes_.begin(),
                                     numa_nodes_.end(),
                                     os_index,
                                     [](const NumaNode& node, std::uint32_t wanted) {
                                         return node.os_index < wanted;
                                     });
    if (at == numa_nodes_.end() || at->os_index != os_index) {
        return no_index;
    }
    return static_cast<std::uint32_t>(at - numa_nodes_.begin());
}

Bitmap Machine::pus_to_os(const Bitmap& logical) const {
    Bitmap os;
    logical.for_each([&](std::size_t pu) { os.set(pus_.at(pu).os_index); });
    return os;
}

Bitmap Machine::pus_from_os(const Bitmap& os) const {
    Bitmap logical;
    os.for_each([&](std::size_t os_index) {
        const std::uint32_t pu =
            os_index < pu_by_os_index_.size() ? pu_by_os_index_[os_index] : no_index;
        if (pu == no_index) {
            throw InvalidRequestError("PU " + std::to_string(os_index) +
                                      ": not there, want PUs of the Machine");
        }
        logical.set(pu);
    });
    return logical;
}

}  // namespace topoalloc
