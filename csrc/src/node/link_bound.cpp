// SPDX-License-Identifier: Apache-2.0
#include "node/link_bound.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// More than a candidate can add: a link is below 2^32 MB/s, and no Request asks for
// 2^13 devices. So many times it does not overflow.
constexpr std::int64_t never = std::int64_t{1} << 50;

}  // namespace

void LinkBound::begin_branch(const Machine& machine,
                             const DeviceNeed& need,
                             const std::vector<Candidate>& candidates,
                             std::uint64_t clique_mb_s) {
    machine_ = &machine;
    candidates_ = &candidates;
    clique_mb_s_ = clique_mb_s;
    is_counted_ = need.counts_links;
    has_rows_ = need.count > 1 && (is_counted_ || clique_mb_s != 0);
    count_ = need.count;
    width_ = candidates.size() + 1;
    if (has_rows_) {
        rows_.assign(count_ * planes * width_, 0);
    }
}

void LinkBound::begin_set(std::uint64_t localities) {
    chosen_ = 0;
    if (!has_rows_) {
        return;
    }
    for (std::size_t i = 0; i < candidates_->size(); ++i) {
        const std::uint64_t own = (*candidates_)[i].localities;
        rows_[i] = own == 0 || (own & localities) != 0 ? 0 : never;
    }
    note_rest(0);
}

void LinkBound::push(std::size_t position) {
    ++chosen_;
    if (!has_rows_ || chosen_ == count_) {
        return;
    }
    const std::int64_t* before = row(chosen_ - 1);
    std::int64_t* sums = rows_.data() + chosen_ * planes * width_;
    const std::uint32_t device = (*candidates_)[position].device;
    for (std::size_t i = position + 1; i < candidates_->size(); ++i) {
        const std::uint64_t link =
            machine_->link_mb_s(device, (*candidates_)[i].device);
        const std::uint64_t missing =
            is_counted_ ? machine_->max_link_mb_s() - link : 0;
        sums[i] = link < clique_mb_s_
                      ? never
                      : std::min(never, before[i] + static_cast<std::int64_t>(missing));
    }
    note_rest(position + 1);
}

void LinkBound::note_rest(std::size_t first) {
    std::int64_t* sums = rows_.data() + chosen_ * planes * width_;
    std::int64_t* least = sums + width_;
    std::int64_t* left = least + width_;
    least[width_ - 1] = never;
    for (std::size_t i = width_ - 1; i-- > first;) {
        least[i] = std::min(least[i + 1], sums[i]);
        left[i] = left[i + 1] + (sums[i] < never ? 1 : 0);
    }
}

bool LinkBound::is_possible(std::size_t position) const {
    if (!has_rows_) {
        return true;
    }
    const std::int64_t* sums = row(chosen_);
    return sums[position] < never &&
           std::cmp_greater_equal(sums[2 * width_ + position + 1],
                                  count_ - chosen_ - 1);
}

std::int64_t LinkBound::least_with(std::size_t position) const {
    if (!has_rows_) {
        return 0;
    }
    const auto rest = static_cast<std::int64_t>(count_ - chosen_ - 1);
    const std::int64_t* sums = row(chosen_);
    return sums[position] + rest * sums[width_ + position + 1];
}

}  // namespace topoalloc
