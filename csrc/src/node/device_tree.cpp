// SPDX-License-Identifier: Apache-2.0
#include "node/device_tree.hpp"

#include <algorithm>
#include <bit>
#include <limits>
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

// The members by the classes below `level`, in order of rank; at level 0 one by one.
std::vector<std::uint64_t> DeviceTree::split(const Machine& machine,
                                             std::uint64_t members,
                                             int level) const {
    std::vector<std::uint64_t> parts;
    while (members != 0) {
        const auto first = static_cast<std::size_t>(std::countr_zero(members));
        std::uint64_t part = std::uint64_t{1} << first;
        for (std::uint64_t rest = members & ~part; rest != 0 && level > 0;
             rest &= rest - 1) {
            const auto rank = static_cast<std::size_t>(std::countr_zero(rest));
            const Level between = machine.level(devices_[first], devices_[rank]);
            part |= static_cast<int>(between) < level ? std::uint64_t{1} << rank : 0;
        }
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

// Costs pack three sums, most significant first: levels, remote devices, opened
// switches. Levels stay below 64 * 6 * 8 pairs, the others below 65 in size.
constexpr std::int64_t level_unit = std::int64_t{1} << 20;
constexpr std::int64_t remote_unit = std::int64_t{1} << 10;
constexpr std::int64_t unreachable = std::numeric_limits<std::int64_t>::max() / 4;

}  // namespace

void TreeProgramme::prepare(const TreeQuestion& question) {
    const bool same = question_ != nullptr && counts_ == question.counts;
    question_ = &question;
    if (same) {
        return;
    }
    counts_ = question.counts;
    std::uint32_t size = 1;
    for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
        stride_[need] = size;
        size *= counts_[need] + 1;
    }
    packed_.resize(size);
    for (std::uint32_t offset = 0; offset < size; ++offset) {
        packed_[offset] = 0;
        for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
            packed_[offset] |= (offset / stride_[need] % (counts_[need] + 1))
                               << (8 * need);
        }
    }
    // A table for each level a node may stand at, and one for the leaf of a lone
    // device.
    cells_.resize(std::size_t{size} * (level_count + 2));
    parts_.resize(level_count + 2);
}

TreeAnswer TreeProgramme::ask(const TreeQuestion& question, std::uint64_t& steps) {
    for (std::size_t need = 0; need < tree_.need_count(); ++need) {
        const auto have = static_cast<std::uint32_t>(
            std::popcount(question.available & tree_.need_mask(need)));
        if (have < question.counts[need]) {
            return {};
        }
    }
    prepare(question);
    merged_ = 0;
    Table table;
    fill(tree_.root(), 0, table);
    steps += 1 + merged_ / 16;
    const auto wanted = static_cast<std::uint32_t>(packed_.size() - 1);
    return table.last < wanted ? TreeAnswer{} : read(table.cells[wanted]);
}

TreeAnswer TreeProgramme::read(const Cell& cell) {
    TreeAnswer answer;
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
    table.cells = cells_.data() + depth * packed_.size();
    table.last = 0;
    table.cells[0] = {};
    std::vector<Part>& parts = parts_[depth];
    if (node.child_count == 0) {
        parts.clear();
        collect_leaf(static_cast<std::uint32_t>(std::countr_zero(node.members)), parts);
        merge(table, parts);
    }
    for (std::uint32_t c = 0; c < node.child_count; ++c) {
        const std::uint32_t child = tree_.children()[node.first_child + c];
        const DeviceTree::Node& below = tree_.nodes()[child];
        if ((below.members & question_->available) == 0) {
            continue;
        }
        Table inner;
        fill(child, depth + 1, inner);
        parts.clear();
        collect_parts(inner, parts);
        merge(table, parts);
    }
    price_node(node, table);
}

void TreeProgramme::collect_leaf(std::uint32_t rank, std::vector<Part>& parts) const {
    const std::uint64_t member = std::uint64_t{1} << rank;
    const std::size_t need = tree_.need_of(rank);
    if ((question_->available & member) == 0 || counts_[need] == 0) {
        return;
    }
    const std::int64_t cost = (question_->remote & member) != 0 ? remote_unit : 0;
    parts.push_back(
        {stride_[need], 1U << (8 * need), {cost, std::uint64_t{1} << (63 - rank)}});
}

void TreeProgramme::collect_parts(const Table& table, std::vector<Part>& parts) const {
    for (std::uint32_t offset = 1; offset <= table.last; ++offset) {
        if (table.cells[offset].cost < unreachable / 2) {
            parts.push_back({offset, packed_[offset], table.cells[offset]});
        }
    }
}

// The best way to reach a cell, with one of the parts or without.
TreeProgramme::Cell TreeProgramme::best_with(const Table& table,
                                             const std::vector<Part>& parts,
                                             std::uint32_t offset) const {
    // A byte of `high` stays set through a - b where no borrow comes, that is, a >= b.
    constexpr std::uint32_t high = 0x00808080U;
    Cell best = table.cells[offset];
    for (const Part& part : parts) {
        if (part.offset > offset) {
            break;
        }
        if ((((packed_[offset] | high) - part.packed) & high) != high) {
            continue;
        }
        const Cell& rest = table.cells[offset - part.offset];
        const std::int64_t cost = rest.cost + part.cell.cost;
        const std::uint64_t mirrored = rest.mirrored | part.cell.mirrored;
        if (cost < best.cost || (cost == best.cost && mirrored > best.mirrored)) {
            best = {cost, mirrored};
        }
    }
    return best;
}

// Adds a child: from the highest offset down, so that each cell is still as it was when
// a higher one reads it.
void TreeProgramme::merge(Table& table, const std::vector<Part>& parts) {
    if (parts.empty()) {
        return;
    }
    const auto most = static_cast<std::uint32_t>(packed_.size() - 1);
    const std::uint32_t last = std::min(most, table.last + parts.back().offset);
    for (std::uint32_t offset = table.last + 1; offset <= last; ++offset) {
        table.cells[offset] = {unreachable, 0};
    }
    for (std::uint32_t offset = last; offset != 0; --offset) {
        table.cells[offset] = best_with(table, parts, offset);
    }
    merged_ += last * parts.size();
    table.last = last;
}

void TreeProgramme::price_node(const DeviceTree::Node& node, Table& table) const {
    const bool opens = node.switch_index != no_index &&
                       (*question_->switch_holds)[node.switch_index] == 0;
    if (!opens && question_->pairs.empty()) {
        return;
    }
    for (std::uint32_t offset = 1; offset <= table.last; ++offset) {
        Cell& cell = table.cells[offset];
        if (cell.cost >= unreachable / 2) {
            continue;
        }
        const std::int64_t pairs = price_pairs(node, packed_[offset]);
        if (pairs >= unreachable) {
            cell = {unreachable, 0};
            continue;
        }
        cell.cost += pairs * level_unit + (opens ? question_->opened : 0);
    }
}

// A class adds, for each device matched within it, its level less its parent's: summed
// up the tree that is the level of the class in which the device is first matched.
std::int64_t TreeProgramme::price_pairs(const DeviceTree::Node& node,
                                        std::uint32_t packed) const {
    std::int64_t sum = 0;
    for (const TreePair& pair : question_->pairs) {
        const auto many =
            static_cast<std::int64_t>((packed >> (8 * pair.many)) & 0xffU);
        const auto one = static_cast<std::int64_t>((packed >> (8 * pair.one)) & 0xffU);
        const auto within = static_cast<std::int64_t>(pair.within);
        if (pair.enforced && node.level <= within && within < node.parent_level &&
            many != one * pair.ratio) {
            return unreachable;
        }
        const bool is_root = std::cmp_equal(node.parent_level, level_count);
        const std::int64_t above = is_root ? 0 : node.parent_level;
        const std::int64_t own = node.level < 0 ? 0 : node.level;
        sum += std::min(many, one * pair.ratio) * (own - above);
    }
    return sum;
}

}  // namespace topoalloc
