// SPDX-License-Identifier: Apache-2.0
#include "node/device_tree.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace topoalloc {

std::optional<DeviceTree> DeviceTree::build(const CompiledRequest& request) {
    DeviceTree tree;
    if (!request.machine->levels_are_ultrametric() || !tree.collect(request) ||
        !tree.check_links(request)) {
        return std::nullopt;
    }
    if (!tree.devices_.empty()) {
        tree.grow(*request.machine);
        if (!tree.place_switches(*request.machine)) {
            return std::nullopt;
        }
    }
    return tree;
}

bool DeviceTree::collect(const CompiledRequest& request) {
    if (request.needs.size() > max_needs) {
        return false;
    }
    std::vector<std::pair<std::uint32_t, std::size_t>> all;
    for (std::size_t need = 0; need < request.needs.size(); ++need) {
        if (request.needs[need].mode != TakeMode::whole) {
            return false;
        }
        for (const std::uint32_t device : request.needs[need].candidates) {
            all.emplace_back(device, need);
        }
    }
    if (all.size() > 64) {
        return false;
    }
    std::ranges::sort(all);
    need_masks_.assign(request.needs.size(), 0);
    locality_masks_.assign(request.machine->localities().size(), 0);
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
        const auto [device, need] = all[rank];
        const Bitmap& localities = request.machine->devices()[device].localities;
        if (localities.count() > 1) {
            return false;
        }
        add_to_runs(device, static_cast<std::uint32_t>(rank));
        devices_.push_back(device);
        need_of_.push_back(need);
        need_masks_[need] |= bit(rank);
        if (localities.empty()) {
            unknown_mask_ |= bit(rank);
        } else {
            locality_masks_[localities.first()] |= bit(rank);
        }
    }
    return true;
}

void DeviceTree::add_to_runs(std::uint32_t device, std::uint32_t rank) {
    if (runs_.empty() || runs_.back().device + runs_.back().count != device) {
        runs_.push_back({device, rank, 0});
    }
    ++runs_.back().count;
}

bool DeviceTree::is_in_one_locality(std::uint64_t members) const {
    return (members & ~unknown_mask_) == 0 ||
           std::ranges::any_of(locality_masks_, [members](std::uint64_t mask) {
               return (members & ~mask) == 0;
           });
}

std::uint64_t DeviceTree::ranks_of(const Bitmap& devices) const {
    std::uint64_t ranks = 0;
    for (const Run& run : runs_) {
        const std::uint32_t offset = run.device % 64;
        std::uint64_t members = devices.word(run.device / 64) >> offset;
        if (offset != 0) {
            members |= devices.word(run.device / 64 + 1) << (64 - offset);
        }
        ranks |= (members & low_bits(run.count)) << run.rank;
    }
    return ranks;
}

// One link for all pairs of a need, or the method does not apply.
bool DeviceTree::check_links(const CompiledRequest& request) {
    links_.assign(request.needs.size(), 0);
    for (std::size_t need = 0; need < request.needs.size(); ++need) {
        const auto& list = request.needs[need].candidates;
        if (request.needs[need].count < 2 || list.size() < 2) {
            continue;
        }
        links_[need] = request.machine->link_mb_s(list[0], list[1]);
        for (std::size_t i = 0; i < list.size(); ++i) {
            for (std::size_t j = i + 1; j < list.size(); ++j) {
                if (request.machine->link_mb_s(list[i], list[j]) != links_[need]) {
                    return false;
                }
            }
        }
    }
    return true;
}

void DeviceTree::grow(const Machine& machine) {
    root_ = grow_class(
        machine, low_bits(devices_.size()), static_cast<int>(Level::machine));
    nodes_[root_].parent_level = level_count;
}

// The members by the classes below `level`, in order of rank; at level 0 one by one.
std::vector<std::uint64_t> DeviceTree::split(const Machine& machine,
                                             std::uint64_t members,
                                             int level) const {
    std::vector<std::uint64_t> parts;
    while (members != 0) {
        const auto first = static_cast<std::size_t>(std::countr_zero(members));
        std::uint64_t part = bit(first);
        for_each_bit(level > 0 ? members & ~part : 0, [&](std::uint32_t rank) {
            const Level between = machine.level(devices_[first], devices_[rank]);
            part |= static_cast<int>(between) < level ? bit(rank) : 0;
        });
        parts.push_back(part);
        members &= ~part;
    }
    return parts;
}

// The node of a class whose members are within `level` of each other; chains of classes
// with equal members are one node, at the least level that holds them.
std::uint32_t DeviceTree::grow_class(const Machine& machine,
                                     std::uint64_t members,
                                     int level) {
    Node node;
    node.members = members;
    node.level = -1;
    std::vector<std::uint32_t> children;
    if (std::popcount(members) > 1) {
        std::vector<std::uint64_t> parts = split(machine, members, level);
        while (parts.size() < 2) {
            --level;
            parts = split(machine, members, level);
        }
        node.level = level;
        for (const std::uint64_t part : parts) {
            children.push_back(grow_class(machine, part, level - 1));
        }
    }
    for (const std::uint32_t child : children) {
        nodes_[child].parent_level = node.level;
    }
    node.first_child = static_cast<std::uint32_t>(children_.size());
    node.child_count = static_cast<std::uint32_t>(children.size());
    children_.insert(children_.end(), children.begin(), children.end());
    nodes_.push_back(node);
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

// A switch is charged at the node that holds exactly its candidates.
bool DeviceTree::place_switches(const Machine& machine) {
    std::vector<std::uint64_t> members(machine.switches().size(), 0);
    for (std::size_t rank = 0; rank < devices_.size(); ++rank) {
        const std::uint32_t index = machine.devices()[devices_[rank]].switch_index;
        if (index != no_index) {
            members[index] |= bit(rank);
        }
    }
    for (std::uint32_t index = 0; index < members.size(); ++index) {
        if (members[index] == 0) {
            continue;
        }
        const auto node = std::ranges::find(nodes_, members[index], &Node::members);
        if (node == nodes_.end()) {
            return false;
        }
        node->switch_index = index;
    }
    return true;
}

}  // namespace topoalloc
