// SPDX-License-Identifier: Apache-2.0
#include "node/tree_programme.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

// Costs pack three sums, most significant first: levels, remote devices, opened
// switches. Levels stay below 64 * 6 * 8 pairs, the others below 65 in size.
constexpr std::int64_t level_unit = std::int64_t{1} << 20;
constexpr std::int64_t remote_unit = std::int64_t{1} << 10;
constexpr std::int64_t unreachable = std::numeric_limits<std::int64_t>::max() / 4;

// True when each byte of `part` is at most that of `whole`: a byte of `high` stays set
// through whole - part where no borrow comes.
bool is_within(std::uint32_t part, std::uint32_t whole) {
    constexpr std::uint32_t high = 0x00808080U;
    return (((whole | high) - part) & high) == high;
}

std::uint32_t byte_of(std::uint32_t packed, std::size_t need) {
    return (packed >> (8 * need)) & 0xffU;
}

bool is_better(const TreeCell& a, const TreeCell& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.mirrored > b.mirrored;
}

std::uint64_t mirrored_bit(std::uint32_t rank) {
    return bit(63 - rank);
}

}  // namespace

// --- tables ---

TreeTables::TreeTables(const DeviceTree& tree,
                       const std::vector<TreePair>& pairs,
                       const std::vector<std::uint32_t>& counts) {
    number_cells(counts);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        required_ |= pairs[i].preferred == no_index ? 1U << i : 0U;
    }
    price_classes(tree, pairs);
    bundle_classes(tree);
}

void TreeTables::number_cells(const std::vector<std::uint32_t>& counts) {
    std::ranges::copy(counts, counts_.begin());
    std::uint32_t size = 1;
    for (std::size_t need = 0; need < DeviceTree::max_needs; ++need) {
        stride_[need] = size;
        size *= counts_[need] + 1;
    }
    packed_.reserve(size);
    for (std::uint32_t c = 0; c <= counts_[2]; ++c) {
        for (std::uint32_t b = 0; b <= counts_[1]; ++b) {
            for (std::uint32_t a = 0; a <= counts_[0]; ++a) {
                packed_.push_back(a | (b << 8) | (c << 16));
            }
        }
    }
}

// Classes of equal levels, their own and their parent's, have equal prices.
void TreeTables::price_classes(const DeviceTree& tree,
                               const std::vector<TreePair>& pairs) {
    if (pairs.empty()) {
        price_of_node_.assign(tree.nodes().size(), no_index);
        return;
    }
    std::map<std::pair<std::int64_t, std::int64_t>, std::uint32_t> known;
    for (const DeviceTree::Node& node : tree.nodes()) {
        const auto [at, is_new] =
            known.try_emplace({node.level, node.parent_level}, no_index);
        if (is_new) {
            std::vector<Price> run;
            for (const std::uint32_t packed : packed_) {
                run.push_back(price_of(node, pairs, packed));
            }
            if (std::ranges::any_of(run, [](const Price& price) {
                    return price.cost != 0 || price.broken != 0;
                })) {
                at->second = static_cast<std::uint32_t>(prices_.size());
                prices_.insert(prices_.end(), run.begin(), run.end());
            }
        }
        price_of_node_.push_back(at->second);
    }
}

// A class adds, for each device matched within it, its level less its parent's: summed
// up the tree that is the level of the class in which the device is first matched.
TreeTables::Price TreeTables::price_of(const DeviceTree::Node& node,
                                       const std::vector<TreePair>& pairs,
                                       std::uint32_t packed) {
    Price price;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const TreePair& pair = pairs[i];
        const auto many = static_cast<std::int64_t>(byte_of(packed, pair.many));
        const auto one = static_cast<std::int64_t>(byte_of(packed, pair.one));
        const auto within = static_cast<std::int64_t>(pair.within);
        if (node.level <= within && within < node.parent_level &&
            many != one * pair.ratio) {
            price.broken |= 1U << i;
        }
        const bool is_root = std::cmp_equal(node.parent_level, level_count);
        const std::int64_t above = is_root ? 0 : node.parent_level;
        const std::int64_t own = node.level < 0 ? 0 : node.level;
        price.cost += std::min(many, one * pair.ratio) * (own - above) * level_unit;
    }
    return price;
}

void TreeTables::bundle_classes(const DeviceTree& tree) {
    bundle_of_node_.assign(tree.nodes().size(), no_bundle);
    for (std::size_t n = 0; n < tree.nodes().size(); ++n) {
        if (can_bundle(tree, tree.nodes()[n])) {
            bundle_of_node_[n] = static_cast<std::uint32_t>(bundles_.size());
            bundles_.emplace_back();
            fill_bundle(tree, n, bundles_.back());
        }
    }
}

bool TreeTables::can_bundle(const DeviceTree& tree, const DeviceTree::Node& node) {
    if (node.child_count == 0 ||
        std::cmp_greater(std::popcount(node.members), max_bundled)) {
        return false;
    }
    for (std::uint32_t c = 0; c < node.child_count; ++c) {
        const auto& child = tree.nodes()[tree.children()[node.first_child + c]];
        if (child.child_count != 0 || child.switch_index != no_index) {
            return false;
        }
    }
    return tree.is_in_one_locality(node.members);
}

void TreeTables::fill_bundle(const DeviceTree& tree,
                             std::size_t index,
                             Bundle& bundle) {
    const DeviceTree::Node& node = tree.nodes()[index];
    for_each_bit(node.members,
                 [&](std::uint32_t rank) { bundle.ranks.push_back(rank); });
    // Its leaves are of one level, so they have one price.
    const std::uint32_t leaf = tree.children()[node.first_child];
    for (std::size_t available = 0; available < bit(bundle.ranks.size()); ++available) {
        bundle.first.push_back(static_cast<std::uint32_t>(parts_.size()));
        add_choices(
            tree, bundle, available, {price_of_node_[index], price_of_node_[leaf]});
    }
    bundle.first.push_back(static_cast<std::uint32_t>(parts_.size()));
}

// Every choice among the available members: the best for each counts, by offset.
void TreeTables::add_choices(const DeviceTree& tree,
                             const Bundle& bundle,
                             std::size_t available,
                             BundlePrices prices) {
    const auto first = static_cast<std::ptrdiff_t>(parts_.size());
    for (std::size_t chosen = available; chosen != 0;
         chosen = (chosen - 1) & available) {
        TreePart part;
        for_each_bit(chosen, [&](std::uint32_t i) {
            const std::uint32_t rank = bundle.ranks[i];
            const std::uint32_t stride = stride_[tree.need_of(rank)];
            part.offset += stride;
            part.packed += 1U << (8 * tree.need_of(rank));
            ++part.devices;
            part.cell.mirrored |= mirrored_bit(rank);
            add_price(prices.leaf, stride, part);
        });
        if (!is_within(part.packed, packed_.back())) {
            continue;
        }
        add_price(prices.own, part.offset, part);
        if ((part.broken & required_) != 0) {
            continue;
        }
        const auto kept = std::find_if(
            parts_.begin() + first, parts_.end(), [&](const TreePart& other) {
                return other.offset == part.offset;
            });
        if (kept == parts_.end()) {
            parts_.push_back(part);
        } else if (is_better(part.cell, kept->cell)) {
            *kept = part;
        }
    }
    std::sort(parts_.begin() + first,
              parts_.end(),
              [](const TreePart& a, const TreePart& b) { return a.offset < b.offset; });
}

void TreeTables::add_price(std::uint32_t run,
                           std::uint32_t offset,
                           TreePart& part) const {
    if (run != no_index) {
        part.cell.cost += prices_[run + offset].cost;
        part.broken |= prices_[run + offset].broken;
    }
}

// --- programme ---

TreeAnswer TreeProgramme::ask(const TreeQuestion& question, std::uint64_t& steps) {
    for (std::size_t need = 0; need < tree_.need_count(); ++need) {
        if (std::cmp_less(std::popcount(question.available & tree_.need_mask(need)),
                          tables_.counts_[need])) {
            return {};
        }
    }
    question_ = &question;
    merged_ = 0;
    const Table table = fill(tree_.root(), 0, true);
    steps += 1 + merged_ / 16;
    const auto wanted = static_cast<std::uint32_t>(tables_.packed_.size() - 1);
    return table.last < wanted ? TreeAnswer{} : read(table.cells[wanted]);
}

TreeAnswer TreeProgramme::read(const TreeCell& cell) {
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
    for_each_bit(cell.mirrored,
                 [&](std::uint32_t place) { answer.devices |= bit(63 - place); });
    return answer;
}

TreeProgramme::Depth& TreeProgramme::scratch_at(std::size_t depth) {
    Depth& at = depths_[depth];
    if (at.cells == nullptr) {
        const std::size_t size = tables_.packed_.size();
        at.cells = arena_.take<TreeCell>(size);
        // A bundle that stands where a whole table may has no more choices than cells.
        at.parts = arena_.take<TreePart>(size);
    }
    return at;
}

// The best choices from a class by counts; of the root only that of all counts matters.
TreeProgramme::Table TreeProgramme::fill(std::uint32_t index,
                                         std::size_t depth,
                                         bool only_all) {
    const DeviceTree::Node& node = tree_.nodes()[index];
    std::uint32_t last_child = no_index;
    std::uint32_t children = 0;
    for (std::uint32_t c = 0; c < node.child_count; ++c) {
        const std::uint32_t child = tree_.children()[node.first_child + c];
        if ((tree_.nodes()[child].members & question_->available) != 0) {
            last_child = child;
            ++children;
        }
    }
    const bool is_bundle = tables_.bundle_of_node_[index] != TreeTables::no_bundle;
    if (children == 1 && !is_bundle && tree_.nodes()[last_child].child_count != 0) {
        Table table = fill(last_child, depth, only_all);
        price_node(index, table, only_all);
        return table;
    }
    Table table{scratch_at(depth).cells, 0};
    table.cells[0] = {};
    if (node.child_count == 0 || is_bundle) {
        merge(table, parts_of(index, depth), only_all);
        return table;
    }
    for (std::uint32_t c = 0; c < node.child_count; ++c) {
        const std::uint32_t child = tree_.children()[node.first_child + c];
        if ((tree_.nodes()[child].members & question_->available) != 0) {
            merge(table, parts_of(child, depth + 1), only_all && child == last_child);
        }
    }
    price_node(index, table, only_all);
    return table;
}

TreeProgramme::Parts TreeProgramme::parts_of(std::uint32_t index, std::size_t depth) {
    const DeviceTree::Node& node = tree_.nodes()[index];
    TreePart* out = scratch_at(depth).parts;
    if (node.child_count == 0) {
        return leaf_parts(index, out);
    }
    if (tables_.bundle_of_node_[index] != TreeTables::no_bundle) {
        return bundle_parts(index, out);
    }
    const Table table = fill(index, depth, false);
    std::size_t count = 0;
    for (std::uint32_t offset = 1; offset <= table.last; ++offset) {
        if (table.cells[offset].cost < unreachable / 2) {
            out[count++] = {offset, tables_.packed_[offset], 0, 0, table.cells[offset]};
        }
    }
    return {out, out + count, 0, 0};
}

TreeProgramme::Parts TreeProgramme::priced(const DeviceTree::Node& node,
                                           const TreePart* begin,
                                           const TreePart* end) const {
    return {begin,
            end,
            opens(node) ? question_->opened : 0,
            (question_->remote & node.members) != 0 ? remote_unit : 0};
}

TreeProgramme::Parts TreeProgramme::leaf_parts(std::uint32_t index,
                                               TreePart* out) const {
    const DeviceTree::Node& node = tree_.nodes()[index];
    const auto rank = static_cast<std::uint32_t>(std::countr_zero(node.members));
    const std::size_t need = tree_.need_of(rank);
    if ((question_->available & node.members) == 0 || tables_.counts_[need] == 0) {
        return {};
    }
    const std::uint32_t offset = tables_.stride_[need];
    *out = {offset, 1U << (8 * need), 0, 1, {0, mirrored_bit(rank)}};
    tables_.add_price(tables_.price_of_node_[index], offset, *out);
    if ((out->broken & question_->enforced) != 0) {
        return {};
    }
    return priced(node, out, out + 1);
}

TreeProgramme::Parts TreeProgramme::bundle_parts(std::uint32_t index,
                                                 TreePart* out) const {
    const DeviceTree::Node& node = tree_.nodes()[index];
    const TreeTables::Bundle& bundle = tables_.bundles_[tables_.bundle_of_node_[index]];
    std::size_t available = 0;
    for (std::size_t i = 0; i < bundle.ranks.size(); ++i) {
        available |= ((question_->available >> bundle.ranks[i]) & 1U) << i;
    }
    const TreePart* from = tables_.parts_.data() + bundle.first[available];
    const TreePart* to = tables_.parts_.data() + bundle.first[available + 1];
    // Preferences are enforced in some questions only, so their parts are left out
    // here.
    const std::uint32_t enforced = question_->enforced & ~tables_.required_;
    if (enforced == 0) {
        return priced(node, from, to);
    }
    const TreePart* const end = std::copy_if(from, to, out, [&](const TreePart& part) {
        return (part.broken & enforced) == 0;
    });
    return priced(node, out, end);
}

// The best way to reach a cell, with one of the parts or without.
TreeCell TreeProgramme::best_with(const Table& table,
                                  Parts parts,
                                  std::uint32_t offset) const {
    const std::uint32_t packed = tables_.packed_[offset];
    TreeCell best =
        offset <= table.last ? table.cells[offset] : TreeCell{unreachable, 0};
    for (const TreePart* part = parts.begin; part != parts.end; ++part) {
        if (part->offset > offset) {
            break;
        }
        if (offset - part->offset > table.last || !is_within(part->packed, packed)) {
            continue;
        }
        const TreeCell& rest = table.cells[offset - part->offset];
        const TreeCell with{rest.cost + part->cell.cost + parts.opened +
                                parts.per_device * part->devices,
                            rest.mirrored | part->cell.mirrored};
        if (is_better(with, best)) {
            best = with;
        }
    }
    return best;
}

// Adds a child. `only_all`: no cell but that of all counts is read after it.
void TreeProgramme::merge(Table& table, Parts parts, bool only_all) {
    if (parts.begin == parts.end) {
        return;
    }
    const auto most = static_cast<std::uint32_t>(tables_.packed_.size() - 1);
    const std::uint32_t last = std::min(most, table.last + (parts.end - 1)->offset);
    const auto count = static_cast<std::uint64_t>(parts.end - parts.begin);
    if (only_all) {
        if (last == most) {
            table.cells[most] = best_with(table, parts, most);
            table.last = most;
        }
        merged_ += count;
        return;
    }
    std::fill(
        table.cells + table.last + 1, table.cells + last + 1, TreeCell{unreachable, 0});
    // A part leads to higher offsets alone: from the highest down, each cell is still
    // as it was when it is read.
    for (std::uint32_t offset = table.last + 1; offset-- != 0;) {
        if (table.cells[offset].cost < unreachable / 2) {
            extend(table, parts, offset);
        }
    }
    merged_ += last * count;
    table.last = last;
}

// Betters the cells that a cell and one of the parts lead to.
void TreeProgramme::extend(Table& table, Parts parts, std::uint32_t offset) const {
    const TreeCell from = table.cells[offset];
    const std::uint32_t packed = tables_.packed_[offset];
    const std::uint32_t most = tables_.packed_.back();
    for (const TreePart* part = parts.begin; part != parts.end; ++part) {
        if (is_within(packed + part->packed, most)) {
            const TreeCell with{from.cost + part->cell.cost + parts.opened +
                                    parts.per_device * part->devices,
                                from.mirrored | part->cell.mirrored};
            TreeCell& to = table.cells[offset + part->offset];
            if (is_better(with, to)) {
                to = with;
            }
        }
    }
}

void TreeProgramme::price_node(std::uint32_t index, Table& table, bool only_all) const {
    const std::int64_t opened =
        opens(tree_.nodes()[index]) ? question_->opened : std::int64_t{0};
    const std::uint32_t run = tables_.price_of_node_[index];
    if (opened == 0 && run == no_index) {
        return;
    }
    const auto most = static_cast<std::uint32_t>(tables_.packed_.size() - 1);
    if (only_all && table.last < most) {
        return;
    }
    for (std::uint32_t offset = only_all ? most : 1; offset <= table.last; ++offset) {
        TreeCell& cell = table.cells[offset];
        if (cell.cost >= unreachable / 2) {
            continue;
        }
        cell.cost += opened;
        if (run == no_index) {
            continue;
        }
        const TreeTables::Price& price = tables_.prices_[run + offset];
        if ((price.broken & question_->enforced) != 0) {
            cell = {unreachable, 0};
        } else {
            cell.cost += price.cost;
        }
    }
}

}  // namespace topoalloc
