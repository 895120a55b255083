// SPDX-License-Identifier: Apache-2.0
#include "node/l3_choice.hpp"

#include "base/bits.hpp"
#include "topoalloc/machine_spec.hpp"

#include <algorithm>
#include <functional>

namespace topoalloc {
namespace {

// Fewer rooms than asked for: far below any sum of units, and no sum of two overflows.
constexpr std::int64_t impossible = -(std::int64_t{1} << 40);

bool ends_locality(std::span<const L3Room> rooms, std::size_t index) {
    return index + 1 == rooms.size() ||
           rooms[index + 1].locality != rooms[index].locality;
}

}  // namespace

// One room suffices: the first favoured one, else the first.
bool L3Choice::choose_one(std::span<const L3Room> rooms, std::uint64_t wanted) {
    std::uint32_t first = no_index;
    for (std::uint32_t i = 0; i < rooms.size(); ++i) {
        if (rooms[i].units < wanted) {
            continue;
        }
        if (rooms[i].favoured) {
            chosen_.push_back(i);
            return true;
        }
        first = std::min(first, i);
    }
    if (first != no_index) {
        chosen_.push_back(first);
    }
    return first != no_index;
}

void L3Choice::count_sizes(std::span<const L3Room> rooms) {
    std::uint32_t most = 0;
    for (const L3Room& room : rooms) {
        most = std::max(most, room.units);
    }
    sizes_.assign(2 * (std::size_t{most} + 1), 0);
    for (const L3Room& room : rooms) {
        ++sizes_[2 * room.units + (room.favoured ? 1U : 0U)];
    }
}

// The fewest rooms that hold `wanted`, the largest first; 0 when all do not.
std::size_t L3Choice::least_count(std::uint64_t wanted) const {
    std::size_t count = 0;
    for (std::size_t units = sizes_.size() / 2; units-- > 1;) {
        const std::uint64_t rooms = sizes_[2 * units] + sizes_[2 * units + 1];
        if (rooms * units >= wanted) {
            return count + (wanted + units - 1) / units;
        }
        wanted -= rooms * units;
        count += rooms;
    }
    return 0;
}

// Whether so many rooms of each side can be had, and hold `wanted`.
bool L3Choice::fits(std::size_t favoured,
                    std::size_t other,
                    std::uint64_t wanted) const {
    std::uint64_t sum = 0;
    for (std::size_t units = sizes_.size() / 2; other + favoured != 0;) {
        if (--units == 0) {
            return false;
        }
        const std::size_t of_other = std::min<std::size_t>(other, sizes_[2 * units]);
        const std::size_t of_favoured =
            std::min<std::size_t>(favoured, sizes_[2 * units + 1]);
        sum += units * (of_other + of_favoured);
        other -= of_other;
        favoured -= of_favoured;
    }
    return sum >= wanted;
}

void L3Choice::choose_least_index(std::span<const L3Room> rooms,
                                  std::size_t favoured,
                                  std::size_t other,
                                  std::uint64_t wanted) {
    for (std::uint32_t i = 0; i < rooms.size() && favoured + other != 0; ++i) {
        const L3Room& room = rooms[i];
        --sizes_[2 * room.units + (room.favoured ? 1U : 0U)];
        std::size_t& side = room.favoured ? favoured : other;
        if (side == 0) {
            continue;
        }
        --side;
        const std::uint64_t rest = wanted - std::min<std::uint64_t>(wanted, room.units);
        if (fits(favoured, other, rest)) {
            wanted = rest;
            chosen_.push_back(i);
        } else {
            ++side;
        }
    }
}

std::span<const std::uint32_t> L3Choice::choose(std::span<const L3Room> rooms,
                                                std::uint64_t wanted) {
    chosen_.clear();
    if (choose_one(rooms, wanted)) {
        return chosen_;
    }
    count_sizes(rooms);
    const std::size_t count = least_count(wanted);
    if (count == 0) {
        return chosen_;
    }
    std::size_t favoured = std::min(
        count,
        static_cast<std::size_t>(std::ranges::count_if(rooms, &L3Room::favoured)));
    // Stops: some split of the least count fits.
    while (!fits(favoured, count - favoured, wanted)) {
        --favoured;
    }
    choose_least_index(rooms, favoured, count - favoured, wanted);
    return chosen_;
}

// The largest room of each locality to hit, then the largest of the rest.
std::size_t L3Choice::least_count_hitting(std::span<const L3Room> rooms,
                                          std::uint64_t wanted,
                                          std::uint64_t hit) {
    units_.clear();
    std::uint64_t sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < rooms.size();) {
        const std::uint32_t locality = rooms[i].locality;
        const std::size_t first = units_.size();
        for (; i < rooms.size() && rooms[i].locality == locality; ++i) {
            units_.push_back(rooms[i].units);
        }
        if (has_bit(hit, locality)) {
            const auto most = std::max_element(
                units_.begin() + static_cast<std::ptrdiff_t>(first), units_.end());
            sum += *most;
            ++count;
            units_.erase(most);
            hit &= ~bit(locality);
        }
    }
    if (hit != 0) {
        return 0;
    }
    std::ranges::sort(units_, std::greater{});
    for (std::size_t i = 0; i < units_.size() && sum < wanted; ++i, ++count) {
        sum += units_[i];
    }
    return sum < wanted ? 0 : count;
}

void L3Choice::sum_hitting(std::span<const L3Room> rooms,
                           std::uint64_t hit,
                           std::size_t count) {
    width_ = count + 1;
    largest_.assign((rooms.size() + 1) * 2 * width_ * width_, impossible);
    cell(rooms.size(), 0, 0, 0) = 0;
    cell(rooms.size(), 1, 0, 0) = 0;
    for (std::size_t i = rooms.size(); i-- > 0;) {
        const bool ends = ends_locality(rooms, i);
        sum_room(rooms[i], i, ends, has_bit(hit, rooms[i].locality));
    }
}

void L3Choice::sum_room(const L3Room& room, std::size_t index, bool ends, bool must) {
    for (std::size_t h = 0; h < 2; ++h) {
        // Left out, a locality that must be hit and is not can not end here.
        const bool may_skip = !ends || !must || h == 1;
        const std::size_t next = ends ? 0 : h;
        for (std::size_t k = 0; k < width_; ++k) {
            for (std::size_t f = 0; f <= k; ++f) {
                cell(index, h, k, f) =
                    std::max(may_skip ? cell(index + 1, next, k, f) : impossible,
                             sum_with(room, index, ends, k, f));
            }
        }
    }
}

// The same with the room among the chosen ones.
std::int64_t L3Choice::sum_with(
    const L3Room& room, std::size_t index, bool ends, std::size_t k, std::size_t f) {
    const std::size_t own = room.favoured ? 1 : 0;
    if (k == 0 || f < own) {
        return impossible;
    }
    return room.units + cell(index + 1, ends ? 0 : 1, k - 1, f - own);
}

std::span<const std::uint32_t> L3Choice::choose_hitting(std::span<const L3Room> rooms,
                                                        std::uint64_t wanted,
                                                        std::uint64_t hit) {
    chosen_.clear();
    std::size_t missing = least_count_hitting(rooms, wanted, hit);
    if (missing == 0) {
        return chosen_;
    }
    sum_hitting(rooms, hit, missing);
    const auto enough = static_cast<std::int64_t>(wanted);
    std::size_t favoured = missing;
    while (cell(0, 0, missing, favoured) < enough) {
        --favoured;
    }
    std::int64_t sum = 0;
    std::size_t h = 0;
    for (std::uint32_t i = 0; i < rooms.size() && missing != 0; ++i) {
        const bool ends = ends_locality(rooms, i);
        const std::size_t own = rooms[i].favoured ? 1 : 0;
        if (favoured >= own &&
            sum + rooms[i].units +
                    cell(i + 1, ends ? 0 : 1, missing - 1, favoured - own) >=
                enough) {
            chosen_.push_back(i);
            sum += rooms[i].units;
            --missing;
            favoured -= own;
            h = 1;
        }
        h = ends ? 0 : h;
    }
    return chosen_;
}

}  // namespace topoalloc
