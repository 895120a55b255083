// SPDX-License-Identifier: Apache-2.0
//
// Sets of at most 64 as one word: localities of a Machine, candidates of a Request.
#pragma once

#include "topoalloc/bitmap.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace topoalloc {

[[nodiscard]] constexpr std::uint64_t bit(std::size_t index) {
    return std::uint64_t{1} << index;
}

[[nodiscard]] constexpr bool has_bit(std::uint64_t mask, std::size_t index) {
    return ((mask >> index) & 1U) != 0;
}

/// The set {0, ..., count - 1}, for count at most 64.
[[nodiscard]] constexpr std::uint64_t low_bits(std::size_t count) {
    return count >= 64 ? ~std::uint64_t{0} : bit(count) - 1;
}

/// Calls f(std::uint32_t member) in ascending order.
template <class F>
void for_each_bit(std::uint64_t mask, F&& f) {
    for (; mask != 0; mask &= mask - 1) {
        f(static_cast<std::uint32_t>(std::countr_zero(mask)));
    }
}

[[nodiscard]] inline Bitmap bitmap_of(std::uint64_t mask) {
    Bitmap out;
    out.set_word(0, mask);
    return out;
}

/// Of two different sets the one that holds the least index not in both is less.
[[nodiscard]] constexpr bool least_index_less(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t differing = a ^ b;
    return (a & (differing & (~differing + 1))) != 0;
}

}  // namespace topoalloc
