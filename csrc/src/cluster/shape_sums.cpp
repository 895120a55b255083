// SPDX-License-Identifier: Apache-2.0
#include "cluster/shape_sums.hpp"

#include "cluster/cluster_data.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <variant>

namespace topoalloc {
namespace {

// Position of a level; as many as there are for "node".
std::uint32_t level_number(const std::vector<ClusterLevel>& levels,
                           const std::string& name) {
    const auto it = std::ranges::find(levels, name, &ClusterLevel::name);
    return static_cast<std::uint32_t>(it - levels.begin());
}

// Joins the tree of one more level; false when it is of another tree.
bool join_tree(const std::vector<ClusterLevel>& levels,
               std::uint32_t level,
               std::optional<std::uint32_t>& tree) {
    if (level == levels.size()) {
        return true;
    }
    if (!tree) {
        tree = levels[level].tree;
    }
    return *tree == levels[level].tree;
}

}  // namespace

bool operator==(const PodShape& a, const PodShape& b) {
    return (a.request == b.request || *a.request == *b.request) &&
           a.slices == b.slices && a.spread == b.spread && a.where == b.where &&
           a.tolerations == b.tolerations;
}

std::optional<CountedGang> counted_gang(const Gang& gang,
                                        const std::vector<ClusterLevel>& levels) {
    if (gang.podsets.size() != 1 || !gang.groups.empty()) {
        return std::nullopt;
    }
    const PodSet& podset = gang.podsets.front();
    CountedGang out;
    out.shape = {podset.request, podset.slices, {}, podset.where, podset.tolerations};
    out.count = podset.count;
    out.min_count = podset.min_count;
    std::optional<std::uint32_t> tree;
    bool is_one_tree = true;
    const auto join = [&](const std::string& name) {
        const std::uint32_t level = level_number(levels, name);
        is_one_tree = is_one_tree && join_tree(levels, level, tree);
        return level;
    };
    for (const Slice& slice : podset.slices) {
        join(slice.level);
    }
    for (const GangConstraint& constraint : podset.require) {
        if (const auto* within = std::get_if<Within>(&constraint)) {
            out.within = std::max(out.within.value_or(0), join(within->level));
        } else if (const auto* spread = std::get_if<Spread>(&constraint)) {
            out.shape.spread.push_back(*spread);
            join(spread->level);
        } else {
            return std::nullopt;
        }
    }
    if (!is_one_tree) {
        return std::nullopt;
    }
    out.tree = tree.value_or(0);
    return out;
}

ShapeSums::ShapeSums(PodShape shape,
                     std::uint32_t tree,
                     const std::vector<ClusterLevel>& levels)
    : shape_(std::move(shape)),
      tree_(tree),
      node_level_(static_cast<std::uint32_t>(levels.size())) {
    while (levels[first_].tree != tree) {
        ++first_;
    }
    end_ = first_;
    while (end_ < levels.size() && levels[end_].tree == tree) {
        ++end_;
    }
    below_.resize(end_ - first_);
    largest_.resize(end_ - first_ + 1);
    for (const Slice& slice : shape_.slices) {
        bounds_.add_slice(level_number(levels, slice.level), slice.size);
    }
    for (const Spread& spread : shape_.spread) {
        bounds_.add_spread(level_number(levels, spread.level), spread.at_most);
    }
}

// What the rules leave of what a node holds.
ShapeSums::NodePods ShapeSums::by_rules(const NodeInfo& info, NodePods copies) const {
    const bool has_domains = bounds_.all_levels([&](std::uint32_t level) {
        return level == node_level_ || info.domains[level] != no_index;
    });
    if (!has_domains) {
        return {};
    }
    copies.count = bounds_.held(node_level_, copies.count);
    copies.upper = bounds_.held(node_level_, copies.upper);
    return copies;
}

// A part of the Domains of the node holds another number: so do they, from the levels
// below `levels` up.
void ShapeSums::pass_on(std::uint32_t levels,
                        const NodeInfo& info,
                        std::uint32_t before,
                        std::uint32_t after) {
    for (std::uint32_t level = levels; level-- > first_;) {
        const std::uint32_t domain = info.domains[level];
        if (domain == no_index) {
            continue;
        }
        if (before == after) {
            return;
        }
        PagedVector<std::uint32_t>& below = below_[level - first_];
        below.resize(std::max<std::size_t>(below.size(), domain + std::size_t{1}));
        std::uint32_t& sum = below.at_own(domain);
        const std::uint32_t held_before = bounds_.held(level, sum);
        sum += after - before;
        after = bounds_.held(level, sum);
        before = held_before;
        largest_[level - first_].set(domain, after);
    }
    all_ += after;
    all_ -= before;
}

void ShapeSums::set(std::uint32_t slot, const NodeInfo& info, NodePods copies) {
    nodes_.resize(std::max<std::size_t>(nodes_.size(), slot + std::size_t{1}));
    const NodePods old = nodes_[slot];
    if (old == copies) {
        return;
    }
    nodes_.at_own(slot) = copies;
    all_copies_ += copies.upper;
    all_copies_ -= old.upper;
    eligible_ += copies.is_eligible ? 1 : 0;
    eligible_ -= old.is_eligible ? 1 : 0;
    unsure_ += copies.count == copies.upper ? 0 : 1;
    unsure_ -= old.count == old.upper ? 0 : 1;
    const std::uint32_t before = by_rules(info, old).count;
    const std::uint32_t after = by_rules(info, copies).count;
    largest_.back().set(slot, after);
    pass_on(end_, info, before, after);
}

bool ShapeSums::fits(const CountedGang& gang) const {
    std::uint64_t most = all_;
    if (gang.within) {
        most = *gang.within == node_level_ ? largest_.back().value()
                                           : largest_[*gang.within - first_].value();
    }
    most = std::min<std::uint64_t>(most, gang.count);
    return bounds_.placed(most, gang.within) >= gang.min_count;
}

void ShapeSums::Largest::grow(std::uint32_t count) {
    const std::uint32_t leaves = std::bit_ceil(std::max(count, 64U));
    PagedVector<std::uint32_t> tree;
    tree.resize(std::size_t{2} * leaves);
    for (std::uint32_t i = 0; i < leaves_; ++i) {
        tree.at_own(leaves + i) = tree_[leaves_ + i];
    }
    for (std::uint32_t i = leaves - 1; i > 0; --i) {
        tree.at_own(i) =
            std::max(tree[2 * std::size_t{i}], tree[2 * std::size_t{i} + 1]);
    }
    tree_ = std::move(tree);
    leaves_ = leaves;
}

void ShapeSums::Largest::set(std::uint32_t index, std::uint32_t value) {
    if (index >= leaves_) {
        grow(index + 1);
    }
    std::uint32_t at = leaves_ + index;
    tree_.at_own(at) = value;
    for (at /= 2; at > 0; at /= 2) {
        const std::uint32_t now =
            std::max(tree_[2 * std::size_t{at}], tree_[2 * std::size_t{at} + 1]);
        if (tree_[at] == now) {
            return;
        }
        tree_.at_own(at) = now;
    }
}

std::uint32_t ShapeSums::Largest::value() const {
    return leaves_ == 0 ? 0 : tree_[1];
}

}  // namespace topoalloc
