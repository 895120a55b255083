// SPDX-License-Identifier: Apache-2.0
//
// A set of small integers: PUs, NUMANodes, localities, devices. The index space
// (logical or OS) is said where a Bitmap is declared. It grows as needed; bits beyond
// its words are 0, so sets of different capacity compare and combine as sets.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topoalloc {

/// The words of a Bitmap. Sets of at most 256 members, which is what most nodes need,
/// stand in the object itself: copying one allocates nothing.
class BitmapWords {
  public:
    BitmapWords() = default;
    BitmapWords(const BitmapWords& other) : size_(other.size_), inline_(other.inline_) {
        if (size_ > inline_words) {
            heap_ = other.heap_;
        }
    }
    BitmapWords& operator=(const BitmapWords& other) {
        size_ = other.size_;
        inline_ = other.inline_;
        if (size_ > inline_words && this != &other) {
            heap_ = other.heap_;
        }
        return *this;
    }
    BitmapWords(BitmapWords&& other) noexcept
        : size_(std::exchange(other.size_, 0)),
          inline_(other.inline_),
          heap_(std::move(other.heap_)) {}
    BitmapWords& operator=(BitmapWords&& other) noexcept {
        size_ = std::exchange(other.size_, 0);
        inline_ = other.inline_;
        heap_ = std::move(other.heap_);
        return *this;
    }
    ~BitmapWords() = default;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t* begin() noexcept {
        return size_ <= inline_words ? inline_.data() : heap_.data();
    }
    [[nodiscard]] const std::uint64_t* begin() const noexcept {
        return size_ <= inline_words ? inline_.data() : heap_.data();
    }
    [[nodiscard]] std::uint64_t* end() noexcept { return begin() + size_; }
    [[nodiscard]] const std::uint64_t* end() const noexcept { return begin() + size_; }
    [[nodiscard]] std::uint64_t& operator[](std::size_t index) noexcept {
        return begin()[index];
    }
    [[nodiscard]] std::uint64_t operator[](std::size_t index) const noexcept {
        return begin()[index];
    }
    /// New words are 0.
    void resize(std::size_t size);

  private:
    static constexpr std::size_t inline_words = 4;
    std::size_t size_ = 0;
    std::array<std::uint64_t, inline_words> inline_{};  // when size_ <= inline_words
    std::vector<std::uint64_t> heap_;                   // otherwise
};

class Bitmap {
  public:
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    Bitmap() = default;
    /// The set {first, ..., first + count - 1}.
    [[nodiscard]] static Bitmap range(std::size_t first, std::size_t count);
    /// Parses the kernel's list form ("0-3,8"; "" is empty), members below 2^20.
    /// @throws FormatError
    [[nodiscard]] static Bitmap parse_list(std::string_view text);

    void set(std::size_t bit) {
        const std::size_t word = bit / 64;
        if (word >= words_.size()) {
            words_.resize(word + 1);
        }
        words_[word] |= std::uint64_t{1} << (bit % 64);
    }
    void reset(std::size_t bit) noexcept {
        const std::size_t word = bit / 64;
        if (word < words_.size()) {
            words_[word] &= ~(std::uint64_t{1} << (bit % 64));
        }
    }
    void clear() noexcept;
    [[nodiscard]] bool test(std::size_t bit) const noexcept {
        const std::size_t word = bit / 64;
        return word < words_.size() && ((words_[word] >> (bit % 64)) & 1U) != 0;
    }
    [[nodiscard]] bool empty() const noexcept;
    [[nodiscard]] std::size_t count() const noexcept;
    /// The least member, or npos.
    [[nodiscard]] std::size_t first() const noexcept;
    /// The least member above `bit`, or npos.
    [[nodiscard]] std::size_t next(std::size_t bit) const noexcept;
    /// The greatest member, or npos.
    [[nodiscard]] std::size_t last() const noexcept;

    Bitmap& operator|=(const Bitmap& other);
    Bitmap& operator&=(const Bitmap& other) noexcept;
    Bitmap& operator-=(const Bitmap& other) noexcept;
    [[nodiscard]] friend Bitmap operator|(Bitmap a, const Bitmap& b) { return a |= b; }
    [[nodiscard]] friend Bitmap operator&(Bitmap a, const Bitmap& b) { return a &= b; }
    [[nodiscard]] friend Bitmap operator-(Bitmap a, const Bitmap& b) { return a -= b; }
    [[nodiscard]] bool operator==(const Bitmap& other) const noexcept;

    [[nodiscard]] bool intersects(const Bitmap& other) const noexcept;
    [[nodiscard]] bool is_subset_of(const Bitmap& other) const noexcept;
    [[nodiscard]] std::size_t count_common(const Bitmap& other) const noexcept;
    /// Order of docs/objective.md, term 10: less is the set that holds the least member
    /// not in both.
    [[nodiscard]] std::strong_ordering compare_least_index(
        const Bitmap& other) const noexcept;

    /// The kernel's list form: "0-3,8".
    [[nodiscard]] std::string to_list() const;
    [[nodiscard]] std::vector<std::uint32_t> to_vector() const;

    /// 64 members a word, lowest first; trailing zero words may be absent or present.
    [[nodiscard]] std::span<const std::uint64_t> words() const noexcept {
        return {words_.begin(), words_.size()};
    }
    /// Word `index`; 0 beyond the last.
    [[nodiscard]] std::uint64_t word(std::size_t index) const noexcept {
        return index < words_.size() ? words_[index] : 0;
    }
    [[nodiscard]] std::span<std::uint64_t> words() noexcept {
        return {words_.begin(), words_.size()};
    }
    void resize_words(std::size_t words) { words_.resize(words); }
    void set_word(std::size_t index, std::uint64_t value) {
        if (index >= words_.size()) {
            words_.resize(index + 1);
        }
        words_[index] = value;
    }

    /// Calls f(std::size_t member) in ascending order.
    template <class F>
    void for_each(F&& f) const {
        for (std::size_t w = 0; w < words_.size(); ++w) {
            for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
                f(w * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
            }
        }
    }

  private:
    BitmapWords words_;
};

}  // namespace topoalloc
