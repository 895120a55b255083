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

// One room suffices: the first favoured one, or the first when none is.
void L3Choice::pick_one(std::span<const L3Room> rooms,
                        std::uint64_t wanted,
                        bool favoured) {
    for (std::uint32_t i = 0; i < rooms.size(); ++i) {
        if (rooms[i].units >= wanted && rooms[i].favoured == favoured) {
            chosen_.push_back(i);
            return;
        }
    }
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

L3Choice::Weight L3Choice::weigh(std::span<const L3Room> rooms, std::uint64_t wanted) {
    Weight one;
    units_.clear();
    units_.reserve(rooms.size());
    for (const L3Room& room : rooms) {
        const std::uint32_t favoured = room.favoured ? 1 : 0;
        if (room.units >= wanted) {
            one = {1, std::max<std::size_t>(one.favoured, favoured)};
        }
        units_.push_back(2 * room.units + favoured);
    }
    if (one.count != 0) {
        return one;
    }
    std::ranges::sort(units_, std::greater{});
    Weight weight;
    std::uint64_t sum = 0;
    while (sum < wanted) {
        if (weight.count == units_.size()) {
            return {};
        }
        const std::uint32_t next = units_[weight.count++];
        sum += next / 2;
        weight.favoured += next % 2;
    }
    weight.favoured += count_exchanges(weight.count, sum - wanted);
    return weight;
}

// How often, of the largest `count` rooms, the smallest that is not favoured can make
// room for the largest favoured one that is left, when so many units can be spared:
// the largest so many of either side are the best for their numbers.
std::size_t L3Choice::count_exchanges(std::size_t count, std::uint64_t spare) const {
    std::size_t exchanges = 0;
    std::size_t in = count;
    for (std::size_t out = count; out-- > 0;) {
        if (units_[out] % 2 != 0) {
            continue;
        }
        while (in != units_.size() && units_[in] % 2 == 0) {
            ++in;
        }
        if (in == units_.size() || units_[out] / 2 - units_[in] / 2 > spare) {
            break;
        }
        spare -= units_[out] / 2 - units_[in] / 2;
        ++in;
        ++exchanges;
    }
    return exchanges;
}

std::span<const std::uint32_t> L3Choice::pick(std::span<const L3Room> rooms,
                                              std::uint64_t wanted,
                                              Weight weight) {
    chosen_.clear();
    if (weight.count == 1) {
        pick_one(rooms, wanted, weight.favoured != 0);
    } else if (weight.count != 0) {
        count_sizes(rooms);
        choose_least_index(
            rooms, weight.favoured, weight.count - weight.favoured, wanted);
    }
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
