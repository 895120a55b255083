// SPDX-License-Identifier: Apache-2.0
#include "node/device_tree.hpp"

#include <algorithm>
#include <bit>
#include <limits>

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
        const std::uint64_t bit = std::uint64_t{1} << rank;
        const Bitmap& localities = request.machine->devices()[device].localities;
        if (localities.count() > 1) {
            return false;
        }
        devices_.push_back(device);
        need_of_.push_back(need);
        need_masks_[need] |= bit;
        if (localities.empty()) {
            unknown_mask_ |= bit;
        } else {
            locality_masks_[localities.first()] |= bit;
        }
    }
    return true;
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
    const std::uint64_t all = devices_.size() == 64
                                  ? ~std::uint64_t{0}
                                  : (std::uint64_t{1} << devices_.size()) - 1;
    root_ = grow_class(machine, all, static_cast<int>(Level::machine));
    nodes_[root_].parent_level = level_count;
}

// The node of a class whose members are within `level` of each other; chains of classes with
// equal members are one node, at the least level that holds them.
std::uint32_t DeviceTree::grow_class(const Machine& machine, std::uint64_t members, int level) {
    Node node;
    node.members = members;
    node.level = -1;
    std::vector<std::uint32_t> children;
    if (std::popcount(members) > 1) {
        std::vector<std::uint64_t> parts;
        for (; parts.size() < 2; --level) {
            parts.clear();
            node.level = level;
            for (std::uint64_t rest = members; rest != 0;) {
                const auto first = static_cast<std::size_t>(std::countr_zero(rest));
                std::uint64_t part = 0;
                for (std::uint64_t other = rest; other != 0; other &= other - 1) {
                    const auto rank = static_cast<std::size_t>(std::countr_zero(other));
                    const bool together =
                        rank == first ||
                        (level > 0 && static_cast<int>(machine.level(
                                          devices_[first], devices_[rank])) < level);
                    part |= together ? std::uint64_t{1} << rank : 0;
                }
                parts.push_back(part);
                rest &= ~part;
            }
        }
        for (const std::uint64_t part : parts) {
            children.push_back(grow_class(machine, part, level));
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
            members[index] |= std::uint64_t{1} << rank;
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

namespace {

// Costs pack three sums, most significant first: levels, remote devices, opened switches.
// Levels stay below 64 * 6 * 8 pairs, the others below 65 in size.
constexpr std::int64_t level_unit = std::int64_t{1} << 20;
constexpr std::int64_t remote_unit = std::int64_t{1} << 10;
constexpr std::int64_t unreachable = std::numeric_limits<std::int64_t>::max() / 4;

}  // namespace

template <class F>
void TreeProgramme::for_each_count(const Extent& extent, F&& f) const {
    Extent counts{};
    for (counts[0] = 0; counts[0] <= extent[0]; ++counts[0]) {
        for (counts[1] = 0; counts[1] <= extent[1]; ++counts[1]) {
            for (counts[2] = 0; counts[2] <= extent[2]; ++counts[2]) {
                f(counts);
            }
        }
    }
}

TreeAnswer TreeProgramme::ask(const TreeQuestion& question, std::uint64_t& steps) {
    question_ = &question;
    size_ = 1;
    for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
        width_[need] = question.counts[need] + 1;
        size_ *= width_[need];
    }
    TreeAnswer answer;
    for (std::size_t need = 0; need < tree_.need_count(); ++need) {
        const auto have = static_cast<std::uint32_t>(
            std::popcount(question.available & tree_.need_mask(need)));
        if (have < question.counts[need]) {
            return answer;
        }
    }
    // Depth: a node, its child, and one table to merge into, for each of eight levels.
    cells_.resize(size_ * 3 * (level_count + 2));
    steps_ = 0;
    Table table;
    fill(tree_.root(), 0, table);
    steps += 1 + steps_ / 16;
    if (table.extent != question.counts) {
        return answer;
    }
    const Cell& cell = cells_[table.cells + index_of(question.counts)];
    if (cell.cost >= unreachable / 2) {
        return answer;
    }
    answer.found = true;
    std::int64_t rest = cell.cost;
    answer.pair_levels = (rest + level_unit / 2) >> 20;
    rest -= answer.pair_levels * level_unit;
    answer.remote_devices = (rest + remote_unit / 2) >> 10;
    answer.opened_switches = rest - answer.remote_devices * remote_unit;
    for (std::uint64_t bits = cell.mirrored; bits != 0; bits &= bits - 1) {
        answer.devices |= std::uint64_t{1} << (63 - std::countr_zero(bits));
    }
    return answer;
}

void TreeProgramme::fill(std::uint32_t index, std::size_t depth, Table& table) {
    const DeviceTree::Node& node = tree_.nodes()[index];
    table.cells = depth * 3 * size_;
    table.extent = {};
    cells_[table.cells] = {};
    if (node.child_count == 0) {
        fill_leaf(node, table);
    }
    for (std::uint32_t c = 0; c < node.child_count; ++c) {
        const std::uint32_t child = tree_.children()[node.first_child + c];
        if ((tree_.nodes()[child].members & question_->available) == 0) {
            continue;
        }
        Table below;
        fill(child, depth + 1, below);
        merge(table, below, (depth * 3 + 1) * size_);
    }
    price_node(node, table);
}

void TreeProgramme::fill_leaf(const DeviceTree::Node& node, Table& table) {
    if ((node.members & question_->available) == 0) {
        return;
    }
    const auto rank = static_cast<std::size_t>(std::countr_zero(node.members));
    const std::size_t need = tree_.need_of(rank);
    if (question_->counts[need] == 0) {
        return;
    }
    table.extent[need] = 1;
    Cell& cell = cells_[table.cells + index_of(table.extent)];
    cell.cost = (node.members & question_->remote) != 0 ? remote_unit : 0;
    cell.mirrored = std::uint64_t{1} << (63 - rank);
}

// table := the best of every way to part counts between table and child.
void TreeProgramme::merge(Table& table, const Table& child, std::size_t scratch) {
    if (scratch == table.cells) {
        scratch = table.cells + size_;
    }
    Extent extent{};
    for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
        extent[need] =
            std::min(table.extent[need] + child.extent[need], question_->counts[need]);
    }
    for_each_count(extent, [&](const Extent& counts) {
        cells_[scratch + index_of(counts)] = {unreachable, 0};
    });
    for_each_count(table.extent, [&](const Extent& mine) {
        const Cell here = cells_[table.cells + index_of(mine)];
        if (here.cost >= unreachable / 2) {
            return;
        }
        Extent room{};
        for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
            room[need] = std::min(child.extent[need], question_->counts[need] - mine[need]);
        }
        const std::size_t base = scratch + index_of(mine);
        for_each_count(room, [&](const Extent& theirs) {
            const Cell& below = cells_[child.cells + index_of(theirs)];
            Cell& best = cells_[base + index_of(theirs)];
            const std::int64_t cost = here.cost + below.cost;
            const std::uint64_t mirrored = here.mirrored | below.mirrored;
            ++steps_;
            if (cost < best.cost || (cost == best.cost && mirrored > best.mirrored)) {
                best = {cost, mirrored};
            }
        });
    });
    table.extent = extent;
    table.cells = scratch;
}

void TreeProgramme::price_node(const DeviceTree::Node& node, Table& table) {
    const bool opens = node.switch_index != no_index &&
                       (*question_->switch_holds)[node.switch_index] == 0;
    if (!opens && question_->pairs.empty()) {
        return;
    }
    for_each_count(table.extent, [&](const Extent& counts) {
        Cell& cell = cells_[table.cells + index_of(counts)];
        if (cell.cost >= unreachable / 2) {
            return;
        }
        const std::int64_t pairs = price_pairs(node, counts);
        if (pairs >= unreachable) {
            cell = {unreachable, 0};
            return;
        }
        cell.cost += pairs * level_unit + (opens && cell.mirrored != 0 ? question_->opened : 0);
    });
}

// A class adds, for each device matched within it, its level less its parent's: summed up
// the tree that is the level of the class in which the device is first matched.
std::int64_t TreeProgramme::price_pairs(const DeviceTree::Node& node,
                                        const Extent& counts) const {
    std::int64_t sum = 0;
    for (const TreePair& pair : question_->pairs) {
        const auto many = static_cast<std::int64_t>(counts[pair.many]);
        const auto one = static_cast<std::int64_t>(counts[pair.one]);
        const auto within = static_cast<std::int64_t>(pair.within);
        if (pair.enforced && node.level <= within && within < node.parent_level &&
            many != one * pair.ratio) {
            return unreachable;
        }
        const bool is_root = node.parent_level == static_cast<std::int64_t>(level_count);
        const std::int64_t above = is_root ? 0 : node.parent_level;
        const std::int64_t own = node.level < 0 ? 0 : node.level;
        sum += pair.weight * std::min(many, one * pair.ratio) * (own - above);
    }
    return sum;
}

}  // namespace topoalloc
