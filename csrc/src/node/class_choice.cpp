// SPDX-License-Identifier: Apache-2.0
#include "node/class_choice.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Fewer rooms than asked for: far below any sum of units, and no sum of two overflows.
constexpr std::int64_t impossible = -(std::int64_t{1} << 40);

}  // namespace

ClassChoice::ClassChoice(std::span<const ClassRoom> rooms, std::size_t classes)
    : rooms_(rooms), classes_(classes) {
    for (const ClassRoom& room : rooms) {
        classes_[room.class_index].rooms.push_back(room);
    }
}

void ClassChoice::fill(ClassTable& table, std::uint32_t count) {
    table.next = 0;
    table.left = count;
    table.width = count + 1;
    const std::size_t rooms = table.rooms.size();
    table.most.assign((rooms + 1) * table.width * table.width, impossible);
    table.most[rooms * table.width * table.width] = 0;
    for (std::size_t i = rooms; i-- > 0;) {
        const std::size_t own = table.rooms[i].favoured ? 1 : 0;
        for (std::size_t k = 0; k <= count; ++k) {
            for (std::size_t f = 0; f <= k; ++f) {
                std::int64_t most = table.at(i + 1, k, f);
                if (k > 0 && f >= own) {
                    most = std::max(
                        most, table.rooms[i].units + table.at(i + 1, k - 1, f - own));
                }
                table.most[(i * table.width + k) * table.width + f] = most;
            }
        }
    }
}

// Whether what is still to choose of each class, so many of them favoured, can hold
// `wanted`.
bool ClassChoice::fits(std::size_t favoured, std::uint64_t wanted) const {
    std::vector<std::int64_t> sums = {0};
    for (const ClassTable& table : classes_) {
        std::vector<std::int64_t> joined(sums.size() + table.left, impossible);
        for (std::size_t a = 0; a < sums.size(); ++a) {
            for (std::size_t b = 0; b <= table.left; ++b) {
                joined[a + b] = std::max(joined[a + b],
                                         sums[a] + table.at(table.next, table.left, b));
            }
        }
        sums = std::move(joined);
    }
    return favoured < sums.size() && std::cmp_greater_equal(sums[favoured], wanted);
}

std::vector<std::uint32_t> ClassChoice::choose(const std::vector<std::uint32_t>& counts,
                                               std::uint64_t wanted) {
    std::size_t favoured = 0;
    for (std::size_t c = 0; c < classes_.size(); ++c) {
        fill(classes_[c], counts[c]);
        favoured += counts[c];
    }
    while (!fits(favoured, wanted)) {
        if (favoured == 0) {
            return {};
        }
        --favoured;
    }
    std::vector<std::uint32_t> chosen;
    for (const ClassRoom& room : rooms_) {
        ClassTable& table = classes_[room.class_index];
        ++table.next;
        const std::size_t own = room.favoured ? 1 : 0;
        if (table.left == 0 || favoured < own) {
            continue;
        }
        const std::uint64_t rest = wanted - std::min<std::uint64_t>(wanted, room.units);
        --table.left;
        if (fits(favoured - own, rest)) {
            chosen.push_back(room.locality);
            wanted = rest;
            favoured -= own;
        } else {
            ++table.left;
        }
    }
    return chosen;
}

}  // namespace topoalloc
