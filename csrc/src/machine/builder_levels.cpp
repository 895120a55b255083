// SPDX-License-Identifier: Apache-2.0
//
// Levels between devices. Everything is computed for roots and spread to their parts.
// Lists of roots move up the tree of bridges and meet, pair by pair, at their deepest
// common bridge: n^2 / 2 steps for n roots, however deep the tree is.
#include "machine/builder.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

std::uint8_t number(Level level) {
    return static_cast<std::uint8_t>(level);
}

}  // namespace

void MachineBuilder::build_levels() {
    collect_roots();
    level_by_place();
    level_by_slot();
    level_by_path();
    number_switches();
    apply_overrides();
    spread_levels();
    machine_->ultrametric_ = is_ultrametric();
}

void MachineBuilder::collect_roots() {
    const auto& devices = machine_->devices_;
    row_of_device_.assign(devices.size(), no_index);
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
        if (devices[d].root == d) {
            row_of_device_[d] = static_cast<std::uint32_t>(roots_.size());
            roots_.push_back(d);
        }
    }
    for (std::uint32_t d = 0; d < devices.size(); ++d) {
        row_of_device_[d] = row_of_device_[devices[d].root];
    }
    root_levels_.assign(roots_.size() * roots_.size(), number(Level::machine));
    switch_bridge_.assign(roots_.size(), no_index);
}

// numa and package; a root to itself is self.
void MachineBuilder::level_by_place() {
    const auto& devices = machine_->devices_;
    for (std::size_t a = 0; a < roots_.size(); ++a) {
        const Device& first = devices[roots_[a]];
        for (std::size_t b = 0; b < a; ++b) {
            const Device& second = devices[roots_[b]];
            Level level = Level::machine;
            if (first.localities.intersects(second.localities)) {
                level = Level::numa;
            } else if (first.packages.intersects(second.packages)) {
                level = Level::package;
            }
            root_level(a, b) = root_level(b, a) = number(level);
        }
        root_level(a, a) = number(Level::self);
    }
}

void MachineBuilder::level_by_slot() {
    std::map<PciAddress, std::vector<std::size_t>> by_slot;
    for (std::size_t a = 0; a < roots_.size(); ++a) {
        if (auto address = machine_->devices_[roots_[a]].pci_address) {
            address->function = 0;
            by_slot[*address].push_back(a);
        }
    }
    for (const auto& [slot, rows] : by_slot) {
        for (const std::size_t a : rows) {
            for (const std::size_t b : rows) {
                root_level(a, b) = number(Level::self);
            }
        }
    }
}

// `a` and `b` have `bridge` in common, `farther` PCI bridges above one of them and no
// more above the other.
void MachineBuilder::meet_at(std::uint32_t a,
                             std::uint32_t b,
                             std::uint32_t bridge,
                             std::uint32_t farther) {
    std::uint8_t level = number(Level::root);
    if (!machine_->bridges_[bridge].is_host) {
        level = number(farther <= 1 ? Level::switch_ : Level::bridges);
    }
    if (root_level(a, b) <= level) {
        return;  // one slot
    }
    root_level(a, b) = root_level(b, a) = level;
    if (level == number(Level::switch_)) {
        // Bridges are taken from the leaves to the hosts: the outermost comes last.
        switch_bridge_[a] = switch_bridge_[b] = bridge;
    }
}

void MachineBuilder::level_by_path() {
    const auto& bridges = machine_->bridges_;
    std::vector<std::uint32_t> depth(bridges.size(), 0);  // PCI bridges down to it
    std::vector<std::vector<std::uint32_t>> below(bridges.size());
    for (std::size_t i = 0; i < bridges.size(); ++i) {
        depth[i] = bridges[i].is_host ? 0 : depth[bridges[i].parent] + 1;
    }
    std::vector<std::uint32_t> root_depth(roots_.size(), 0);
    const auto merge = [&](std::vector<std::uint32_t>& into,
                           const std::vector<std::uint32_t>& from,
                           std::uint32_t bridge) {
        for (const std::uint32_t a : into) {
            for (const std::uint32_t b : from) {
                const std::uint32_t farther = std::max(root_depth[a], root_depth[b]);
                meet_at(a, b, bridge, farther - depth[bridge]);
            }
        }
        into.insert(into.end(), from.begin(), from.end());
    };
    for (std::uint32_t row = 0; row < roots_.size(); ++row) {
        const std::uint32_t bridge = machine_->devices_[roots_[row]].bridge;
        if (bridge != no_index) {
            root_depth[row] = depth[bridge];
            merge(below[bridge], {row}, bridge);
        }
    }
    for (std::size_t i = bridges.size(); i-- > 0;) {
        if (!bridges[i].is_host) {
            merge(below[bridges[i].parent], below[i], bridges[i].parent);
        }
    }
}

void MachineBuilder::number_switches() {
    auto& m = *machine_;
    const std::set<std::uint32_t> distinct(switch_bridge_.begin(),
                                           switch_bridge_.end());
    for (const std::uint32_t bridge : distinct) {
        if (bridge != no_index) {
            m.switches_.push_back(bridge);
        }
    }
    for (std::uint32_t d = 0; d < m.devices_.size(); ++d) {
        const std::uint32_t bridge = switch_bridge_[row_of_device_[d]];
        if (bridge != no_index) {
            const auto at =
                std::lower_bound(m.switches_.begin(), m.switches_.end(), bridge);
            m.devices_[d].switch_index =
                static_cast<std::uint32_t>(at - m.switches_.begin());
        }
    }
}

void MachineBuilder::apply_overrides() {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint8_t> seen;
    for (std::size_t i = 0; i < spec_.level_overrides.size(); ++i) {
        const LevelOverrideSpec& given = spec_.level_overrides[i];
        const std::string part = "level_overrides[" + std::to_string(i) + "]";
        if (given.a >= spec_.devices.size() || given.b >= spec_.devices.size()) {
            fail(part,
                 "device " + std::to_string(std::max(given.a, given.b)) +
                     ", want a device of the Machine");
        }
        if (given.level >= level_count) {
            fail(part + ".level",
                 std::to_string(given.level) + ", want 0 (self) to 6 (machine)");
        }
        const std::uint32_t a = row_of_device_[device_by_spec_[given.a]];
        const std::uint32_t b = row_of_device_[device_by_spec_[given.b]];
        if (a == b) {
            fail(part, "two devices of one root, want different roots");
        }
        const auto [at, is_new] = seen.emplace(std::minmax(a, b), given.level);
        if (!is_new && at->second != given.level) {
            fail(part, "a second level for the same two roots, want one");
        }
        root_level(a, b) = root_level(b, a) = given.level;
    }
}

void MachineBuilder::spread_levels() {
    const std::size_t count = row_of_device_.size();
    machine_->levels_.resize(count * count);
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            machine_->levels_[a * count + b] =
                root_level(row_of_device_[a], row_of_device_[b]);
        }
    }
}

// Levels are ultrametric when "at most t apart" is an equivalence for every t: when two
// roots are at most t apart exactly if they have the same first root at most t away.
bool MachineBuilder::is_ultrametric() const {
    const std::size_t count = roots_.size();
    std::vector<std::size_t> first(count);
    for (std::uint8_t t = 0; t + 1U < level_count; ++t) {
        for (std::size_t a = 0; a < count; ++a) {
            const auto row =
                root_levels_.begin() + static_cast<std::ptrdiff_t>(a * count);
            first[a] = static_cast<std::size_t>(
                std::find_if(row,
                             row + static_cast<std::ptrdiff_t>(count),
                             [t](auto l) { return l <= t; }) -
                row);
        }
        for (std::size_t a = 0; a < count; ++a) {
            bool differs = false;
            for (std::size_t b = 0; b < count; ++b) {
                const bool is_near = root_levels_[a * count + b] <= t;
                differs |= is_near != (first[a] == first[b]);
            }
            if (differs) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace topoalloc
