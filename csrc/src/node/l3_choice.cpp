// SPDX-License-Identifier: Apache-2.0
#include "node/l3_choice.hpp"

#include <algorithm>
#include <functional>

namespace topoalloc {
namespace {

// Fewer rooms than asked for: far below any sum of units, and no sum of two overflows.
constexpr std::int64_t impossible = -(std::int64_t{1} << 40);

}  // namespace

std::size_t L3Choice::least_count(std::span<const L3Room> rooms, std::uint64_t wanted) {
    units_.clear();
    for (const L3Room& room : rooms) {
        if (room.units >= wanted) {
            return 1;
        }
        units_.push_back(room.units);
    }
    std::ranges::sort(units_, std::greater{});
    std::uint64_t sum = 0;
    std::size_t count = 0;
    while (sum < wanted && count < units_.size()) {
        sum += units_[count++];
    }
    return sum < wanted ? 0 : count;
}

// Scans from the last room, keeping the `count` largest of each side sorted.
void L3Choice::sum_largest(std::span<const L3Room> rooms, std::size_t count) {
    rooms_ = rooms.size();
    width_ = count + 1;
    largest_.assign(2 * (rooms_ + 1) * width_, impossible);
    for (std::size_t side = 0; side < 2; ++side) {
        units_.clear();
        std::int64_t* row = &largest_[(side * (rooms_ + 1) + rooms_) * width_];
        row[0] = 0;
        for (std::size_t i = rooms_; i-- > 0;) {
            std::int64_t* above = row - width_;
            std::copy(row, row + width_, above);
            row = above;
            if (rooms[i].favoured != (side == 1)) {
                continue;
            }
            const auto place = std::ranges::lower_bound(units_, rooms[i].units, std::greater{});
            const auto from = static_cast<std::size_t>(place - units_.begin());
            if (from >= count) {
                continue;
            }
            units_.insert(place, rooms[i].units);
            units_.resize(std::min(units_.size(), count));
            for (std::size_t k = from; k < units_.size(); ++k) {
                row[k + 1] = row[k] + units_[k];
            }
        }
    }
}

bool L3Choice::fits(std::size_t first,
                    std::size_t favoured,
                    std::size_t other,
                    std::uint64_t wanted) const {
    return largest_[first * width_ + other] +
               largest_[(rooms_ + 1 + first) * width_ + favoured] >=
           static_cast<std::int64_t>(wanted);
}

void L3Choice::choose_least_index(std::span<const L3Room> rooms,
                                  std::size_t favoured,
                                  std::size_t other,
                                  std::uint64_t wanted) {
    for (std::uint32_t i = 0; i < rooms.size() && wanted != 0; ++i) {
        std::size_t& side = rooms[i].favoured ? favoured : other;
        if (side == 0) {
            continue;
        }
        --side;
        const std::uint64_t rest = wanted - std::min<std::uint64_t>(wanted, rooms[i].units);
        if (fits(i + 1, favoured, other, rest)) {
            wanted = rest;
            chosen_.push_back(i);
        } else {
            ++side;
        }
    }
}

const std::vector<std::uint32_t>& L3Choice::choose(std::span<const L3Room> rooms,
                                                   std::uint64_t wanted) {
    chosen_.clear();
    const std::size_t count = least_count(rooms, wanted);
    if (count == 0) {
        return chosen_;
    }
    if (rooms.size() == 1) {
        chosen_.push_back(0);
        return chosen_;
    }
    sum_largest(rooms, count);
    std::size_t favoured = std::min(
        count, static_cast<std::size_t>(std::ranges::count_if(rooms, &L3Room::favoured)));
    // Stops: some split of the least count fits.
    while (!fits(0, favoured, count - favoured, wanted)) {
        --favoured;
    }
    choose_least_index(rooms, favoured, count - favoured, wanted);
    return chosen_;
}

}  // namespace topoalloc
