// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_sets.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace topoalloc {
namespace {

// More sets of Domains than these are not tried one by one.
constexpr std::size_t most_sets = 2'000;

// As in NodeClass.
void mix(std::uint64_t& hash, std::uint64_t value) {
    value += hash + 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    hash = value ^ (value >> 31U);
}

}  // namespace

// Equal for Domains in which the same pods cost the same.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
std::uint64_t CountedSets::hash_of(std::uint32_t vertex) const {
    std::uint64_t hash = problem_.open[vertex];
    for (const DomainChild& child : tree_[vertex].children) {
        mix(hash, child.is_node ? problem_.tables[child.index] : hash_of(child.index));
    }
    return hash;
}

// True when the same pods cost the same in both.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
bool CountedSets::are_alike(std::uint32_t a, std::uint32_t b) const {
    if (tree_[a].levels != tree_[b].levels || problem_.open[a] != problem_.open[b]) {
        return false;
    }
    return std::ranges::equal(
        tree_[a].children,
        tree_[b].children,
        // NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
        [&](const DomainChild& x, const DomainChild& y) {
            return x.is_node ? y.is_node &&
                                   problem_.tables[x.index] == problem_.tables[y.index]
                             : !y.is_node && are_alike(x.index, y.index);
        });
}

// Those that hold pods, by what they hold.
std::vector<std::vector<std::uint32_t>> CountedSets::classes_below(
    std::uint32_t vertex) const {
    std::vector<std::vector<std::uint32_t>> classes;
    std::unordered_multimap<std::uint64_t, std::size_t> known;
    for (const DomainChild& child : tree_[vertex].children) {
        if (rooms_.pods_of(child.index) == 0) {
            continue;
        }
        const std::uint64_t hash = hash_of(child.index);
        const auto [begin, end] = known.equal_range(hash);
        const auto same = std::find_if(begin, end, [&](const auto& entry) {
            return are_alike(classes[entry.second].front(), child.index);
        });
        if (same != end) {
            classes[same->second].push_back(child.index);
        } else {
            known.emplace(hash, classes.size());
            classes.push_back({child.index});
        }
    }
    std::ranges::sort(classes, [&](const auto& a, const auto& b) {
        return std::tuple(rooms_.pods_of(b[0]), a[0]) <
               std::tuple(rooms_.pods_of(a[0]), b[0]);
    });
    return classes;
}

// The leaves of a part: below it, or it alone.
std::vector<std::uint32_t> CountedSets::leaves_of(std::uint32_t vertex) const {
    if (rooms_.is_leaf(vertex)) {
        return {vertex};
    }
    std::vector<std::uint32_t> leaves;
    for (const DomainChild& child : tree_[vertex].children) {
        leaves.push_back(child.index);
    }
    return leaves;
}

// The vertex has these levels, then those of a leaf if it is one; else all below it
// are leaves of the latter.
bool CountedSets::is_part(std::uint32_t vertex, const CoverLevels& levels) const {
    std::vector<std::uint32_t> wanted = levels.part;
    if (rooms_.is_leaf(vertex)) {
        wanted.insert(wanted.end(), levels.leaf.begin(), levels.leaf.end());
    }
    const std::vector<std::uint32_t> leaves = leaves_of(vertex);
    return tree_[vertex].levels == wanted &&
           std::ranges::all_of(leaves, [&](std::uint32_t leaf) {
               return rooms_.is_leaf(leaf) &&
                      (leaf == vertex || tree_[leaf].levels == levels.leaf) &&
                      rooms_.is_open_alike(leaf, levels.leaf);
           });
}

// Plans below the vertex differ in leaves and nodes only, and no rule is of these.
std::optional<CoverLevels> CountedSets::cover_levels(std::uint32_t vertex) const {
    if (!rooms_.are_rules_above(vertex)) {
        return std::nullopt;
    }
    const std::vector<std::uint32_t> children = leaves_of(vertex);
    const auto inner = std::ranges::find_if(
        children, [&](std::uint32_t child) { return !rooms_.is_leaf(child); });
    if (inner == children.end()) {
        const CoverLevels levels{tree_[vertex].levels, tree_[children[0]].levels};
        return is_part(vertex, levels) && !rooms_.is_waste_open({vertex, {vertex}})
                   ? std::optional(levels)
                   : std::nullopt;
    }
    const std::uint32_t below = leaves_of(*inner).front();
    const CoverLevels levels{tree_[*inner].levels, tree_[below].levels};
    const bool are_parts = std::ranges::all_of(
        children, [&](std::uint32_t child) { return is_part(child, levels); });
    return are_parts && !rooms_.is_waste_open({vertex, {*inner}})
               ? std::optional(levels)
               : std::nullopt;
}

// A part of covers: what plans in it cost is known from now on.
void CountedSets::add_part(std::uint32_t vertex, const CoverLevels& levels) {
    CoverPart part = cover_part(*prices_, vertex, leaves_of(vertex));
    part.open_leaves = std::ranges::count_if(part.leaves, [&](std::uint32_t leaf) {
        return rooms_.pods_of(leaf) != 0 && rooms_.is_open(leaf, levels.leaf.front());
    });
    parts_.emplace(vertex, std::move(part));
}

std::vector<const CoverPart*> CountedSets::parts_of(const Region& region) const {
    std::vector<const CoverPart*> parts;
    for (const std::uint32_t vertex : region.parts) {
        parts.push_back(&parts_.at(vertex));
    }
    return parts;
}

// What a plan in the leaves of a cover costs at least.
void CountedSets::add_cover_bound(CountedSet& set) const {
    const std::vector<const CoverPart*> parts = parts_of(set.region);
    std::int64_t open = 0;
    for (const CoverPart* part : parts) {
        open += part->open_leaves;
    }
    set.cover = cover_bound(*prices_, parts, rooms_.plan_pods());
    set.bound = rooms_.bound(set.region,
                             levels_.at(set.region.vertex),
                             {set.cover->leaves, set.cover->nodes, open});
}

// A set that holds all pods.
void CountedSets::add_set(const SetSearch& sets) {
    CountedSet choice;
    choice.region = {sets.vertex, sets.chosen};
    std::ranges::sort(choice.region.parts);
    if (sets.is_cover) {
        add_cover_bound(choice);
    } else {
        choice.bound = rooms_.bound(choice.region);
    }
    sets_.push_back(std::move(choice));
    are_few_ = are_few_ && sets_.size() <= most_sets;
}

// From the class with the most pods down: so many of the next ones reach what is
// missing at most.
// NOLINTNEXTLINE(misc-no-recursion): as deep as there are classes
void CountedSets::extend(SetSearch& sets, std::size_t c, std::uint64_t sum) {
    const std::int64_t left = sets.number - std::ssize(sets.chosen);
    if (left == 0 && sum >= rooms_.plan_pods()) {
        add_set(sets);
    }
    if (left == 0 || c == sets.classes.size()) {
        return;
    }
    are_few_ = are_few_ && budget_.spend();
    if (!are_few_) {
        return;
    }
    const auto& members = sets.classes[c];
    const std::uint64_t each = rooms_.pods_of(members[0]);
    if (sum + each * static_cast<std::uint64_t>(left) < rooms_.plan_pods()) {
        return;
    }
    const auto most =
        std::min<std::size_t>(members.size(), static_cast<std::size_t>(left));
    for (std::size_t take = most + 1; take-- > 0;) {
        sets.chosen.insert(sets.chosen.end(),
                           members.begin(),
                           members.begin() + static_cast<std::ptrdiff_t>(take));
        extend(sets, c + 1, sum + each * take);
        sets.chosen.resize(sets.chosen.size() - take);
    }
}

// Sets of as few Domains below the vertex as hold all pods. Of Domains of one class the
// first ones come first: a plan in others is the same plan, later in node order.
void CountedSets::add(std::uint32_t vertex) {
    SetSearch sets;
    sets.vertex = vertex;
    const std::optional<CoverLevels> levels = cover_levels(vertex);
    sets.is_cover = levels.has_value();
    if (levels) {
        levels_.emplace(vertex, *levels);
        if (!prices_) {
            prices_.emplace(problem_, rooms_);
        }
    }
    if (levels && levels->part == tree_[vertex].levels) {
        add_part(vertex, *levels);
        sets.chosen = {vertex};
        add_set(sets);
        return;
    }
    sets.classes = classes_below(vertex);
    Tally tally;
    for (const auto& members : sets.classes) {
        for (const std::uint32_t member : members) {
            tally.add(rooms_.pods_of(member));
            if (levels) {
                add_part(member, *levels);
            }
        }
    }
    sets.number = tally.needed(rooms_.plan_pods());
    extend(sets, 0, 0);
}

// By bound; of equal ones by node order.
bool CountedSets::is_before(std::uint32_t a, std::uint32_t b) const {
    const CountedSet& one = sets_[a];
    const CountedSet& other = sets_[b];
    if (const auto order = one.bound <=> other.bound; order != 0) {
        return order < 0;
    }
    return std::tie(tree_[one.region.parts.front()].first, one.region.parts) <
           std::tie(tree_[other.region.parts.front()].first, other.region.parts);
}

// Few of many are asked for: a heap, not a sort.
std::optional<CountedSet> CountedSets::next() {
    const auto is_behind = [this](std::uint32_t a, std::uint32_t b) {
        return is_before(b, a);
    };
    if (!order_) {
        order_.emplace(sets_.size());
        std::iota(order_->begin(), order_->end(), 0U);
        std::ranges::make_heap(*order_, is_behind);
    }
    if (order_->empty()) {
        return std::nullopt;
    }
    std::ranges::pop_heap(*order_, is_behind);
    const std::uint32_t least = order_->back();
    order_->pop_back();
    return std::move(sets_[least]);
}

}  // namespace topoalloc
