// SPDX-License-Identifier: Apache-2.0
//
// Vectors of pods as one number each: packed, so that adding two and checking the
// counts of the Gang is a few instructions, and as an index of mixed radix, to address
// tables. Both are linear: that of a sum is the sum. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topoalloc {

class CountFields {
  public:
    static constexpr std::uint64_t most_vectors = std::uint64_t{1} << 22;

    /// @returns nullopt when there are more vectors than a table should have
    [[nodiscard]] static std::optional<CountFields> make(
        std::span<const GangPodSet> podsets) {
        CountFields fields;
        std::size_t shift = 0;
        std::uint64_t vectors = 1;
        for (const GangPodSet& podset : podsets) {
            fields.places_.push_back({shift, static_cast<std::uint32_t>(vectors)});
            // One bit more than the count needs: it shows that a sum is too large.
            const auto width = static_cast<std::size_t>(std::bit_width(podset.count));
            vectors *= std::uint64_t{podset.count} + 1;
            if (shift + width + 1 > 64 || vectors > most_vectors) {
                return std::nullopt;
            }
            const std::uint64_t guard = std::uint64_t{1} << (shift + width);
            fields.guards_ |= guard;
            fields.limit_ |= guard | (std::uint64_t{podset.count} << shift);
            fields.masks_.push_back(guard - (std::uint64_t{1} << shift));
            shift += width + 1;
        }
        fields.vectors_ = static_cast<std::uint32_t>(vectors);
        return fields;
    }

    [[nodiscard]] std::uint64_t pack(const CountVector& pods) const {
        std::uint64_t packed = 0;
        for (std::size_t p = 0; p < pods.size(); ++p) {
            packed |= std::uint64_t{pods[p]} << places_[p].shift;
        }
        return packed;
    }
    [[nodiscard]] CountVector unpack(std::uint64_t packed) const {
        CountVector pods(places_.size());
        for (std::size_t p = 0; p < pods.size(); ++p) {
            pods[p] = count(packed, p);
        }
        return pods;
    }
    [[nodiscard]] std::uint32_t count(std::uint64_t packed, std::size_t podset) const {
        return static_cast<std::uint32_t>((packed & masks_[podset]) >>
                                          places_[podset].shift);
    }
    [[nodiscard]] std::uint32_t index(const CountVector& pods) const {
        std::uint32_t index = 0;
        for (std::size_t p = 0; p < pods.size(); ++p) {
            index += pods[p] * places_[p].stride;
        }
        return index;
    }
    /// True when a sum of two packed vectors is nowhere above the counts.
    [[nodiscard]] bool is_within(std::uint64_t sum) const {
        return ((limit_ - sum) & guards_) == guards_;
    }
    /// Indices are below it.
    [[nodiscard]] std::uint32_t vectors() const { return vectors_; }

  private:
    struct Place {
        std::size_t shift = 0;
        std::uint32_t stride = 1;
    };
    std::vector<Place> places_;
    std::vector<std::uint64_t> masks_;
    std::uint64_t limit_ = 0, guards_ = 0;
    std::uint32_t vectors_ = 0;
};

}  // namespace topoalloc
