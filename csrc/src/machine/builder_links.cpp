// SPDX-License-Identifier: Apache-2.0
//
// Links: a square over the roots that are named by any LinkSpec. Partitions have none.
#include "machine/builder.hpp"

#include <algorithm>

namespace topoalloc {

std::uint32_t MachineBuilder::link_end(std::uint32_t spec_index,
                                       const std::string& part) const {
    if (spec_index >= spec_.devices.size()) {
        fail(part, std::to_string(spec_index) + ", want a device of the Machine");
    }
    if (spec_.devices[spec_index].parent != no_index) {
        fail(part, std::to_string(spec_index) + " has a parent, want a root");
    }
    return device_by_spec_[spec_index];
}

void MachineBuilder::number_linked_roots() {
    auto& m = *machine_;
    m.link_row_.assign(m.devices_.size(), no_index);
    for (std::size_t i = 0; i < spec_.links.size(); ++i) {
        const std::string part = "links[" + std::to_string(i) + "]";
        const LinkSpec& link = spec_.links[i];
        const std::uint32_t from = link_end(link.from, part + ".from");
        const std::uint32_t to = link_end(link.to, part + ".to");
        if (from == to) {
            fail(part, "from a device to itself, want two devices");
        }
        if (link.mb_s > MachineLimits::link_mb_s) {
            fail(part + ".mb_s",
                 std::to_string(link.mb_s) + ", want at most " +
                     std::to_string(MachineLimits::link_mb_s));
        }
        for (const std::uint32_t d : {from, to}) {
            if (m.link_row_[d] == no_index) {
                m.link_row_[d] = static_cast<std::uint32_t>(m.link_rows_++);
            }
        }
    }
}

void MachineBuilder::build_links() {
    auto& m = *machine_;
    number_linked_roots();
    std::vector<std::uint64_t> given(m.link_rows_ * m.link_rows_, 0);
    std::vector<bool> is_given(given.size(), false);
    for (std::size_t i = 0; i < spec_.links.size(); ++i) {
        const LinkSpec& link = spec_.links[i];
        const std::size_t at = m.link_row_[device_by_spec_[link.from]] * m.link_rows_ +
                               m.link_row_[device_by_spec_[link.to]];
        if (is_given[at]) {
            fail("links[" + std::to_string(i) + "]",
                 "the same direction twice, want one");
        }
        is_given[at] = true;
        given[at] = link.mb_s;
    }
    m.links_.assign(given.size(), 0);
    std::vector<bool> has_link(m.link_rows_, false);
    for (std::size_t a = 0; a < m.link_rows_; ++a) {
        for (std::size_t b = 0; b < m.link_rows_; ++b) {
            const std::uint64_t both =
                std::min(given[a * m.link_rows_ + b], given[b * m.link_rows_ + a]);
            m.links_[a * m.link_rows_ + b] = both;
            m.max_link_mb_s_ = std::max(m.max_link_mb_s_, both);
            if (both != 0) {
                has_link[a] = true;
            }
        }
    }
    for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
        if (m.link_row_[d] != no_index && has_link[m.link_row_[d]]) {
            m.classes_with_links_.insert(m.devices_[d].device_class);
        }
    }
}

}  // namespace topoalloc
