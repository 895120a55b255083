// SPDX-License-Identifier: Apache-2.0
//
// Which L3s to take units from: the fewest that hold what is wanted; among those the
// most favoured ones (open before when packing, not open when spreading); among those
// the least index set. Exact, by counting: O(L3s * units of the largest).
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

namespace topoalloc {

/// One L3 and the units it can give, more than 0.
struct L3Room {
    std::uint32_t l3 = 0;
    std::uint32_t units = 0;
    bool favoured = false;
    std::uint32_t locality = 0;   ///< that holds it; read by choose_hitting alone
    std::uint32_t first_run = 0;  ///< of Machine::core_runs(), for the caller
};

class L3Choice {
  public:
    explicit L3Choice(
        std::pmr::memory_resource* scratch = std::pmr::get_default_resource())
        : units_(scratch), sizes_(scratch), largest_(scratch), chosen_(scratch) {}

    /// @param rooms  in index order
    /// @returns positions in `rooms`, ascending; empty when they can not hold `wanted`
    [[nodiscard]] std::span<const std::uint32_t> choose(std::span<const L3Room> rooms,
                                                        std::uint64_t wanted) {
        return pick(rooms, wanted, weigh(rooms, wanted));
    }

    /// The same in two steps: how many, then which.
    struct Weight {
        std::size_t count = 0;     ///< 0: they can not hold `wanted`
        std::size_t favoured = 0;  ///< of them
    };
    [[nodiscard]] Weight weigh(std::span<const L3Room> rooms, std::uint64_t wanted);
    /// @param weight  what weigh() said of the same
    [[nodiscard]] std::span<const std::uint32_t> pick(std::span<const L3Room> rooms,
                                                      std::uint64_t wanted,
                                                      Weight weight);

    /// As choose(), with at least one L3 in each locality of the mask `hit`. Rooms of
    /// one locality stand side by side; `wanted` is at least the number of those
    /// localities. O(L3s * chosen^2).
    [[nodiscard]] std::span<const std::uint32_t> choose_hitting(
        std::span<const L3Room> rooms, std::uint64_t wanted, std::uint64_t hit);

  private:
    void pick_one(std::span<const L3Room> rooms, std::uint64_t wanted, bool favoured);
    void count_sizes(std::span<const L3Room> rooms);
    [[nodiscard]] std::size_t count_exchanges(std::size_t count,
                                              std::uint64_t spare) const;
    [[nodiscard]] bool fits(std::size_t favoured,
                            std::size_t other,
                            std::uint64_t wanted) const;
    void choose_least_index(std::span<const L3Room> rooms,
                            std::size_t favoured,
                            std::size_t other,
                            std::uint64_t wanted);

    [[nodiscard]] std::size_t least_count_hitting(std::span<const L3Room> rooms,
                                                  std::uint64_t wanted,
                                                  std::uint64_t hit);
    void sum_hitting(std::span<const L3Room> rooms,
                     std::uint64_t hit,
                     std::size_t count);
    /// The most units that `count` rooms from `room` on hold, `favoured` of them
    /// favoured, when every locality to hit from there on gets one; is_hit: that of
    /// `room` has one.
    [[nodiscard]] std::int64_t& cell(std::size_t room,
                                     std::size_t is_hit,
                                     std::size_t count,
                                     std::size_t favoured) {
        return largest_[((room * 2 + is_hit) * width_ + count) * width_ + favoured];
    }
    void sum_room(const L3Room& room, std::size_t index, bool ends, bool must);
    [[nodiscard]] std::int64_t sum_with(
        const L3Room& room, std::size_t index, bool ends, std::size_t k, std::size_t f);

    // Scratch, kept so that repeated choices do not allocate.
    std::pmr::vector<std::uint32_t> units_;
    std::pmr::vector<std::uint32_t> sizes_;  // [units][favoured]: rooms still to come
    std::pmr::vector<std::int64_t> largest_;
    std::size_t width_ = 0;
    std::pmr::vector<std::uint32_t> chosen_;
};

}  // namespace topoalloc
