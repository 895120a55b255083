// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_cover.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// More prices cut no more than they cost.
constexpr std::size_t most_prices = 12;
// Sums that are kept, and Domains that one search looks at.
constexpr std::size_t most_sums = 8'000'000;
constexpr std::uint64_t most_looks = 50'000;

std::uint32_t beyond(std::uint32_t pods, std::uint32_t price) {
    return pods - std::min(pods, price);
}

}  // namespace

CoverPrices::CoverPrices(const CountedProblem& problem, const CountedRooms& rooms)
    : problem_(problem), rooms_(rooms) {
    // What a node holds are the only prices at which the largest sum bends.
    std::set<std::uint32_t> held{0};
    for (std::uint32_t t = 0; t < problem.held.size(); ++t) {
        held.insert(rooms.pods_of_table(t));
    }
    const std::vector<std::uint32_t> all(held.begin(), held.end());
    const std::size_t last = std::min(all.size(), most_prices) - 1;
    for (std::size_t i = 0; i <= last; ++i) {
        prices_.push_back(all[last == 0 ? 0 : i * (all.size() - 1) / last]);
    }
}

std::vector<std::uint32_t> CoverPrices::values(std::uint32_t leaf) const {
    std::vector<std::uint32_t> out(prices_.size());
    const DomainVertex& vertex = (*problem_.tree)[leaf];
    for (std::uint32_t n = vertex.first; n <= vertex.last; ++n) {
        const std::uint32_t pods = rooms_.pods_of_node(n);
        for (std::size_t c = 0; c < prices_.size() && prices_[c] < pods; ++c) {
            out[c] += pods - prices_[c];
        }
    }
    return out;
}

CoverPart cover_part(const CoverPrices& prices,
                     std::uint32_t vertex,
                     std::vector<std::uint32_t> leaves) {
    CoverPart part{vertex, std::move(leaves), {}, 0};
    part.values.resize(prices.prices().size());
    for (const std::uint32_t leaf : part.leaves) {
        const std::vector<std::uint32_t> values = prices.values(leaf);
        for (std::size_t c = 0; c < values.size(); ++c) {
            part.values[c].push_back(values[c]);
        }
    }
    for (auto& values : part.values) {
        std::ranges::sort(values, std::greater<>());
        values.push_back(0);
    }
    return part;
}

namespace {

// Takes the largest values of several parts, one after the other; 0 when none is left.
class LargestFirst {
  public:
    explicit LargestFirst(std::span<const CoverPart* const> parts)
        : parts_(parts), heads_(parts.size()) {}

    void start(std::size_t price) {
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            heads_[p] = parts_[p]->values[price].data();
        }
    }

    std::uint32_t next() {
        const std::uint32_t** largest = heads_.data();
        for (const std::uint32_t*& head : heads_) {
            largest = *head > **largest ? &head : largest;
        }
        // The 0 at the end stays.
        const std::uint32_t value = **largest;
        *largest += value != 0 ? 1 : 0;
        return value;
    }

  private:
    std::span<const CoverPart* const> parts_;
    std::vector<const std::uint32_t*> heads_;
};

}  // namespace

CoverBound cover_bound(const CoverPrices& prices,
                       std::span<const CoverPart* const> parts,
                       std::uint32_t pods) {
    CoverBound bound;
    LargestFirst largest(parts);
    largest.start(0);
    for (std::uint64_t sum = 0; sum < pods; ++bound.leaves) {
        sum += largest.next();
    }
    for (std::size_t c = 1; c < prices.prices().size(); ++c) {
        largest.start(c);
        std::int64_t left = pods;
        for (std::int64_t i = 0; i < bound.leaves; ++i) {
            left -= largest.next();
        }
        const std::int64_t price = prices.prices()[c];
        bound.nodes = std::max(bound.nodes, (left + price - 1) / price);
    }
    bound.nodes = std::max(bound.nodes, bound.leaves);
    return bound;
}

void CountedCover::Sums::resize(std::size_t prices,
                                std::size_t leaves,
                                std::uint32_t most) {
    leaves_ = leaves + 1;
    most_ = most + std::size_t{1};
    sums_.assign(prices * leaves_ * most_, 0);
    top_.assign(prices * most_, 0);
}

std::size_t CountedCover::Sums::at(std::size_t price, std::size_t leaf) const {
    return (price * leaves_ + leaf) * most_;
}

void CountedCover::Sums::copy(std::size_t price, std::size_t leaf) {
    std::copy_n(sums_.begin() + static_cast<std::ptrdiff_t>(at(price, leaf + 1)),
                most_,
                sums_.begin() + static_cast<std::ptrdiff_t>(at(price, leaf)));
}

void CountedCover::Sums::add(std::size_t price, std::size_t leaf, std::uint32_t value) {
    const auto top = top_.begin() + static_cast<std::ptrdiff_t>(price * most_);
    const auto end = top + static_cast<std::ptrdiff_t>(most_);
    // The last one falls off.
    const auto place = std::upper_bound(top, end, value, std::greater<>());
    if (place != end) {
        std::move_backward(place, end - 1, end);
        *place = value;
    }
    std::uint32_t sum = 0;
    const std::size_t first = at(price, leaf);
    for (std::size_t i = 0; i + 1 < most_; ++i) {
        sums_[first + i] = sum;
        sum += top[static_cast<std::ptrdiff_t>(i)];
    }
    sums_[first + most_ - 1] = sum;
}

std::uint64_t CountedCover::Sums::of(std::size_t price,
                                     std::size_t leaf,
                                     std::uint32_t number) const {
    return sums_[at(price, leaf) + number];
}

CountedCover::CountedCover(const CountedProblem& problem,
                           const CountedRooms& rooms,
                           const CoverPrices& prices,
                           std::vector<std::uint32_t> leaves,
                           const CoverBound& bound,
                           StepBudget& budget)
    : problem_(problem),
      rooms_(rooms),
      prices_(prices),
      leaves_(std::move(leaves)),
      bound_(bound),
      budget_(budget) {
    std::erase_if(leaves_,
                  [&](std::uint32_t leaf) { return rooms.pods_of(leaf) == 0; });
}

std::uint32_t CountedCover::first_of(std::uint32_t leaf) const {
    return (*problem_.tree)[leaves_[leaf]].first;
}

std::uint32_t CountedCover::last_of(std::uint32_t leaf) const {
    return (*problem_.tree)[leaves_[leaf]].last;
}

void CountedCover::lay_out() {
    all_.resize(prices_.prices().size(), leaves_.size(), most_leaves());
    opens_.resize(leaves_.size());
    failed_.resize(leaves_.size());
    behind_.resize(leaves_.size());
    for (auto leaf = static_cast<std::uint32_t>(leaves_.size()); leaf-- > 0;) {
        const std::uint32_t level = (*problem_.tree)[leaves_[leaf]].levels.back();
        opens_[leaf] = rooms_.is_open(leaves_[leaf], level) ? 0 : 1;
        const std::vector<std::uint32_t> values = prices_.values(leaves_[leaf]);
        for (std::size_t c = 0; c < values.size(); ++c) {
            all_.add(c, leaf, values[c]);
        }
        behind_[leaf] = behind(leaf);
    }
}

// The same of open leaves and of others apart, from when their number is limited.
void CountedCover::limit_opened() {
    limits_opened_ = true;
    for (Sums* sums : {&open_, &new_}) {
        sums->resize(prices_.prices().size(), leaves_.size(), most_leaves());
    }
    for (auto leaf = static_cast<std::uint32_t>(leaves_.size()); leaf-- > 0;) {
        const std::vector<std::uint32_t> values = prices_.values(leaves_[leaf]);
        for (std::size_t c = 0; c < values.size(); ++c) {
            (opens_[leaf] == 0 ? open_ : new_).add(c, leaf, values[c]);
            (opens_[leaf] == 0 ? new_ : open_).copy(c, leaf);
        }
    }
}

// What the nodes of a leaf behind each one hold beyond each price.
std::vector<std::uint64_t> CountedCover::behind(std::uint32_t leaf) const {
    const std::vector<std::uint32_t>& prices = prices_.prices();
    std::vector<std::uint64_t> out((last_of(leaf) - first_of(leaf) + std::size_t{1}) *
                                   prices.size());
    for (std::uint32_t n = last_of(leaf); n-- > first_of(leaf);) {
        const std::size_t at = (n - first_of(leaf)) * prices.size();
        const std::uint32_t next = rooms_.pods_of_node(n + 1);
        for (std::size_t c = 0; c < prices.size(); ++c) {
            out[at + c] = out[at + prices.size() + c] + beyond(next, prices[c]);
        }
    }
    return out;
}

std::optional<SparsePods> CountedCover::run() {
    const std::size_t sums = prices_.prices().size() * (leaves_.size() + 1) *
                             (static_cast<std::size_t>(bound_.leaves) + 1);
    if (sums > most_sums) {
        return std::nullopt;
    }
    lay_out();
    left_ = most_looks;
    auto nodes = static_cast<std::uint32_t>(bound_.nodes);
    std::optional<SparsePods> best = find(nodes, most_leaves());
    while (!best && left_ != 0) {
        best = find(++nodes, most_leaves());
    }
    if (!best) {
        return std::nullopt;
    }
    const auto open = std::ranges::count(opens_, 0U);
    while (std::cmp_greater(opened_by(*best),
                            std::max<std::int64_t>(0, bound_.leaves - open))) {
        if (!limits_opened_) {
            limit_opened();
        }
        auto better = find(nodes, opened_by(*best) - 1);
        if (!better) {
            return left_ == 0 ? std::nullopt : best;
        }
        best = std::move(better);
    }
    return best;
}

std::uint32_t CountedCover::opened_by(const SparsePods& pods) const {
    std::uint32_t opened = 0;
    std::size_t leaf = 0;
    for (std::size_t i = 0; i < pods.size(); ++i) {
        const std::size_t before = leaf;
        while (last_of(static_cast<std::uint32_t>(leaf)) < pods[i].node) {
            ++leaf;
        }
        opened += i == 0 || leaf != before ? opens_[leaf] : 0;
    }
    return opened;
}

// False when no plan for the rest lies in the leaves from this one on.
bool CountedCover::may_start(std::size_t leaf, const Rest& rest) const {
    for (std::size_t c = 0; c < prices_.prices().size(); ++c) {
        std::uint64_t most = 0;
        if (limits_opened_) {
            for (std::uint32_t j = 0; j <= std::min(rest.opened, rest.leaves); ++j) {
                most = std::max(
                    most, open_.of(c, leaf, rest.leaves - j) + new_.of(c, leaf, j));
            }
        } else {
            most = all_.of(c, leaf, rest.leaves);
        }
        if (std::uint64_t{prices_.prices()[c]} * rest.nodes + most < rest.pods) {
            return false;
        }
    }
    return true;
}

// The same behind a node, in its leaf and those after it. `is_used`: the leaf is.
bool CountedCover::may_go_on(const Step& step, const Rest& rest, bool is_used) const {
    const std::size_t prices = prices_.prices().size();
    const std::size_t at = (step.node - first_of(step.leaf)) * prices;
    for (std::size_t c = 0; c < prices; ++c) {
        const std::uint64_t here = behind_[step.leaf][at + c];
        const std::size_t next = step.leaf + std::size_t{1};
        std::uint64_t most = all_.of(c, next, rest.leaves);
        if (is_used) {
            most += here;
        } else if (rest.leaves != 0) {
            most = std::max(most, here + all_.of(c, next, rest.leaves - 1));
        }
        if (std::uint64_t{prices_.prices()[c]} * rest.nodes + most < rest.pods) {
            return false;
        }
    }
    return true;
}

// What is left when the node is used; nullopt when it can not be.
std::optional<CountedCover::Rest> CountedCover::after_take(const Step& step) const {
    const std::uint32_t pods = rooms_.pods_of_node(step.node);
    Rest rest = step.rest;
    // One before it that holds as much was left out: it would do as well.
    if (pods <= step.skipped || rest.nodes == 0) {
        return std::nullopt;
    }
    if (!step.is_used) {
        if (rest.leaves == 0 || rest.opened < opens_[step.leaf]) {
            return std::nullopt;
        }
        --rest.leaves;
        rest.opened -= opens_[step.leaf];
    }
    --rest.nodes;
    rest.pods -= std::min(rest.pods, pods);
    return may_go_on(step, rest, true) ? std::optional(rest) : std::nullopt;
}

bool CountedCover::may_skip(const Step& step) const {
    return may_go_on(step, step.rest, step.is_used);
}

// The first node of a leaf; nullopt when no plan is behind it, or the search ended.
std::optional<CountedCover::Step> CountedCover::first_step(std::uint32_t leaf,
                                                           const Rest& rest) {
    if (leaf == leaves_.size()) {
        return std::nullopt;
    }
    left_ = budget_.spend() ? left_ - 1 : 0;
    // What was easier had no plan either.
    const bool is_known = std::ranges::any_of(failed_[leaf], [&](const Rest& known) {
        return known.pods <= rest.pods && known.nodes >= rest.nodes &&
               known.leaves >= rest.leaves && known.opened >= rest.opened;
    });
    if (left_ == 0 || is_known || !may_start(leaf, rest)) {
        return std::nullopt;
    }
    return Step{first_of(leaf), leaf, 0, false, false, rest};
}

// The node after one that is decided.
std::optional<CountedCover::Step> CountedCover::next_step(const Step& step) {
    const Rest rest = step.takes ? *after_take(step) : step.rest;
    if (step.node == last_of(step.leaf)) {
        return first_step(step.leaf + 1, rest);
    }
    Step next = step;
    ++next.node;
    next.rest = rest;
    next.is_used = step.is_used || step.takes;
    if (!step.takes) {
        next.skipped = std::max(step.skipped, rooms_.pods_of_node(step.node));
    }
    return next;
}

// To the last node that was used and may be left out. False when there is none.
bool CountedCover::back_up(std::vector<Step>& steps) {
    for (; !steps.empty(); steps.pop_back()) {
        Step& last = steps.back();
        if (last.takes) {
            last.takes = false;
            if (may_skip(last)) {
                return true;
            }
        }
        if (last.node == first_of(last.leaf)) {
            failed_[last.leaf].push_back(last.rest);
        }
    }
    return false;
}

// Decides a node, and goes on to the next one. Nullopt where no plan is behind it.
std::optional<CountedCover::Step> CountedCover::decide(Step step,
                                                       std::vector<Step>& steps) {
    const auto rest = after_take(step);
    step.takes = rest.has_value();
    if (!rest && !may_skip(step)) {
        if (step.node == first_of(step.leaf)) {
            failed_[step.leaf].push_back(step.rest);
        }
        return std::nullopt;
    }
    steps.push_back(step);
    is_found_ = rest && rest->pods == 0;
    return is_found_ ? std::nullopt : next_step(step);
}

// The first plan by term 7 with so many nodes and new Domains at most. Nullopt when
// there is none, or the search ended: then nothing is left of it.
std::optional<SparsePods> CountedCover::find(std::uint32_t nodes,
                                             std::uint32_t opened) {
    for (auto& failed : failed_) {
        failed.clear();
    }
    is_found_ = false;
    std::vector<Step> steps;
    const auto leaves = static_cast<std::uint32_t>(bound_.leaves);
    auto now = first_step(0, {rooms_.plan_pods(), nodes, leaves, opened});
    while (left_ != 0 && !is_found_) {
        if (now) {
            now = decide(*now, steps);
        } else if (back_up(steps)) {
            now = next_step(steps.back());
        } else {
            return std::nullopt;
        }
    }
    if (left_ == 0) {
        return std::nullopt;
    }
    SparsePods pods;
    for (const Step& step : steps) {
        if (step.takes) {
            const std::uint32_t held = rooms_.pods_of_node(step.node);
            pods.push_back({step.node, std::min(step.rest.pods, held)});
        }
    }
    return pods;
}

}  // namespace topoalloc
