// SPDX-License-Identifier: Apache-2.0
//
// Which localities to take, so many of each class, where each locality is one L3 and
// only cores are asked for: the most favoured ones that still hold what is wanted,
// among those the least index set. Exact, by counting: O(localities * classes *
// chosen^2), where an enumeration of sets would be exponential.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace topoalloc {

struct ClassRoom {
    std::uint32_t locality = 0;
    std::uint32_t class_index = 0;
    std::uint32_t units = 0;
    bool favoured = false;
};

class ClassChoice {
  public:
    /// @param rooms  in index order
    ClassChoice(std::span<const ClassRoom> rooms, std::size_t classes);

    /// @param counts  by class
    /// @returns localities, ascending; empty when they can not hold `wanted`
    [[nodiscard]] std::vector<std::uint32_t> choose(
        const std::vector<std::uint32_t>& counts, std::uint64_t wanted);

  private:
    struct ClassTable {
        std::vector<ClassRoom> rooms;
        std::size_t next = 0;    // the first room not yet decided
        std::uint32_t left = 0;  // rooms still to choose
        std::size_t width = 1;
        std::vector<std::int64_t> most;  // [room][count][favoured]: the most units
        [[nodiscard]] std::int64_t at(std::size_t room,
                                      std::size_t count,
                                      std::size_t f) const {
            return most[(room * width + count) * width + f];
        }
    };

    static void fill(ClassTable& table, std::uint32_t count);
    [[nodiscard]] bool fits(std::size_t favoured, std::uint64_t wanted) const;

    std::span<const ClassRoom> rooms_;
    std::vector<ClassTable> classes_;
};

}  // namespace topoalloc
