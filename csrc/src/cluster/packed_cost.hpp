// SPDX-License-Identifier: Apache-2.0
//
// Terms 3 to 6 of docs/cluster-objective.md as one wide number: a field for each, the
// first term on top, so that comparing and adding are a few instructions. Private to
// the cluster room.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

struct PackedCost {
    /// The most significant first.
    std::array<std::uint64_t, 3> words{};

    // No field overflows, so no word does.
    PackedCost& operator+=(const PackedCost& other) {
        for (std::size_t w = 0; w < words.size(); ++w) {
            words[w] += other.words[w];
        }
        return *this;
    }
    [[nodiscard]] friend PackedCost operator+(PackedCost a, const PackedCost& b) {
        a += b;
        return a;
    }
    /// Requires: no field of the other one is larger.
    [[nodiscard]] friend PackedCost operator-(PackedCost a, const PackedCost& b) {
        for (std::size_t w = 0; w < a.words.size(); ++w) {
            a.words[w] -= b.words[w];
        }
        return a;
    }
    [[nodiscard]] auto operator<=>(const PackedCost&) const = default;
};

/// Where each field lies.
class CostFields {
  public:
    /// @param most  largest value of each field, the first on top
    /// @returns nullopt when they do not fit
    [[nodiscard]] static std::optional<CostFields> make(
        std::span<const std::uint64_t> most) {
        CostFields fields;
        std::size_t word = 0;
        std::size_t left = 64;
        for (const std::uint64_t value : most) {
            const auto width = static_cast<std::size_t>(std::bit_width(value));
            if (width > left) {
                ++word;
                left = 64;
            }
            if (word == PackedCost{}.words.size()) {
                return std::nullopt;
            }
            left -= width;
            fields.places_.push_back({word, left});
        }
        return fields;
    }

    /// `value` in one field, zero in the others. Requires: no more than its largest.
    [[nodiscard]] PackedCost pack(std::size_t field, std::uint64_t value) const {
        PackedCost cost;
        // A field of no width may stand at bit 64: its value is 0.
        if (value != 0) {
            cost.words[places_[field].word] = value << places_[field].shift;
        }
        return cost;
    }

  private:
    struct Place {
        std::size_t word = 0, shift = 0;
    };
    std::vector<Place> places_;
};

}  // namespace topoalloc
