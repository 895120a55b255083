// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/bitmap.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

constexpr std::size_t word_bits = 64;
constexpr std::size_t list_limit = std::size_t{1} << 20;

// Reads the kernel's list form without exceptions of its own; the caller words the
// error.
class ListReader {
  public:
    explicit ListReader(std::string_view text) : text_(text) {}

    Bitmap read() {
        Bitmap result;
        skip_space();
        if (at_ >= text_.size()) {
            return result;
        }
        for (;;) {
            read_range(result);
            skip_space();
            if (at_ >= text_.size()) {
                return result;
            }
            expect(',');
        }
    }

  private:
    void read_range(Bitmap& result) {
        skip_space();
        const std::size_t first = read_number();
        std::size_t last = first;
        if (at_ < text_.size() && text_[at_] == '-') {
            ++at_;
            last = read_number();
        }
        if (last < first) {
            fail("a range that ends before it starts");
        }
        result |= Bitmap::range(first, last - first + 1);
    }

    std::size_t read_number() {
        if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') {
            fail("no number at character " + std::to_string(at_ + 1));
        }
        std::size_t value = 0;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            value = value * 10 + static_cast<std::size_t>(text_[at_] - '0');
            if (value >= list_limit) {
                fail("a number of " + std::to_string(list_limit) + " or more");
            }
        }
        return value;
    }

    void expect(char wanted) {
        if (text_[at_] != wanted) {
            fail("an unknown character at " + std::to_string(at_ + 1));
        }
        ++at_;
    }

    // The kernel ends its files with a newline, and people put spaces after commas.
    void skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
            ++at_;
        }
    }

    [[noreturn]] void fail(const std::string& what) const {
        constexpr std::size_t shown = 60;
        std::string quoted(text_.substr(0, shown));
        if (text_.size() > shown) {
            quoted += "...";
        }
        throw FormatError("list '" + quoted + "': " + what + ", want the form 0-3,8");
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

void BitmapWords::resize(std::size_t size) {
    if (size > inline_words) {
        if (size_ <= inline_words) {
            heap_.assign(inline_.begin(), inline_.begin() + size_);
        }
        heap_.resize(size, 0);
    } else {
        if (size_ > inline_words) {
            std::copy_n(heap_.begin(), size, inline_.begin());
            heap_.clear();
        }
        std::fill(inline_.begin() + std::min(size_, size), inline_.end(), 0);
    }
    size_ = size;
}

Bitmap Bitmap::range(std::size_t first, std::size_t count) {
    Bitmap result;
    if (count == 0) {
        return result;
    }
    const std::size_t last = first + count - 1;
    const std::size_t first_word = first / word_bits;
    const std::size_t last_word = last / word_bits;
    result.words_.resize(last_word + 1);
    std::fill(
        result.words_.begin() + first_word, result.words_.end(), ~std::uint64_t{0});
    result.words_[first_word] &= ~std::uint64_t{0} << (first % word_bits);
    result.words_[last_word] &= ~std::uint64_t{0} >> (word_bits - 1 - last % word_bits);
    return result;
}

Bitmap Bitmap::parse_list(std::string_view text) {
    return ListReader(text).read();
}

void Bitmap::clear() noexcept {
    std::fill(words_.begin(), words_.end(), 0);
}

bool Bitmap::empty() const noexcept {
    return std::all_of(
        words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
}

std::size_t Bitmap::count() const noexcept {
    std::size_t total = 0;
    for (const std::uint64_t word : words_) {
        total += static_cast<std::size_t>(std::popcount(word));
    }
    return total;
}

std::size_t Bitmap::first() const noexcept {
    for (std::size_t w = 0; w < words_.size(); ++w) {
        if (words_[w] != 0) {
            return w * word_bits +
                   static_cast<std::size_t>(std::countr_zero(words_[w]));
        }
    }
    return npos;
}

std::size_t Bitmap::next(std::size_t bit) const noexcept {
    const std::size_t from = bit + 1;
    std::size_t w = from / word_bits;
    if (from == 0 || w >= words_.size()) {
        return npos;
    }
    std::uint64_t word = words_[w] & (~std::uint64_t{0} << (from % word_bits));
    while (word == 0) {
        if (++w == words_.size()) {
            return npos;
        }
        word = words_[w];
    }
    return w * word_bits + static_cast<std::size_t>(std::countr_zero(word));
}

std::size_t Bitmap::last() const noexcept {
    for (std::size_t w = words_.size(); w-- > 0;) {
        if (words_[w] != 0) {
            return w * word_bits + word_bits - 1 -
                   static_cast<std::size_t>(std::countl_zero(words_[w]));
        }
    }
    return npos;
}

Bitmap& Bitmap::operator|=(const Bitmap& other) {
    if (words_.size() < other.words_.size()) {
        words_.resize(other.words_.size());
    }
    for (std::size_t w = 0; w < other.words_.size(); ++w) {
        words_[w] |= other.words_[w];
    }
    return *this;
}

Bitmap& Bitmap::operator&=(const Bitmap& other) noexcept {
    for (std::size_t w = 0; w < words_.size(); ++w) {
        words_[w] &= w < other.words_.size() ? other.words_[w] : 0;
    }
    return *this;
}

Bitmap& Bitmap::operator-=(const Bitmap& other) noexcept {
    const std::size_t common = std::min(words_.size(), other.words_.size());
    for (std::size_t w = 0; w < common; ++w) {
        words_[w] &= ~other.words_[w];
    }
    return *this;
}

bool Bitmap::operator==(const Bitmap& other) const noexcept {
    const auto& shorter = words_.size() <= other.words_.size() ? words_ : other.words_;
    const auto& longer = words_.size() <= other.words_.size() ? other.words_ : words_;
    return std::equal(shorter.begin(), shorter.end(), longer.begin()) &&
           std::all_of(longer.begin() + shorter.size(),
                       longer.end(),
                       [](std::uint64_t word) { return word == 0; });
}

bool Bitmap::intersects(const Bitmap& other) const noexcept {
    const std::size_t common = std::min(words_.size(), other.words_.size());
    for (std::size_t w = 0; w < common; ++w) {
        if ((words_[w] & other.words_[w]) != 0) {
            return true;
        }
    }
    return false;
}

bool Bitmap::is_subset_of(const Bitmap& other) const noexcept {
    for (std::size_t w = 0; w < words_.size(); ++w) {
        const std::uint64_t theirs = w < other.words_.size() ? other.words_[w] : 0;
        if ((words_[w] & ~theirs) != 0) {
            return false;
        }
    }
    return true;
}

std::size_t Bitmap::count_common(const Bitmap& other) const noexcept {
    const std::size_t common = std::min(words_.size(), other.words_.size());
    std::size_t total = 0;
    for (std::size_t w = 0; w < common; ++w) {
        total += static_cast<std::size_t>(std::popcount(words_[w] & other.words_[w]));
    }
    return total;
}

std::strong_ordering Bitmap::compare_least_index(const Bitmap& other) const noexcept {
    const std::size_t size = std::max(words_.size(), other.words_.size());
    for (std::size_t w = 0; w < size; ++w) {
        const std::uint64_t mine = w < words_.size() ? words_[w] : 0;
        const std::uint64_t theirs = w < other.words_.size() ? other.words_[w] : 0;
        const std::uint64_t differing = mine ^ theirs;
        if (differing != 0) {
            const std::uint64_t least = differing & (~differing + 1);
            return (mine & least) != 0 ? std::strong_ordering::less
                                       : std::strong_ordering::greater;
        }
    }
    return std::strong_ordering::equal;
}

std::string Bitmap::to_list() const {
    std::string text;
    std::size_t begin = first();
    while (begin != npos) {
        std::size_t end = begin;
        std::size_t after = next(end);
        while (after == end + 1) {
            end = after;
            after = next(end);
        }
        if (!text.empty()) {
            text += ',';
        }
        text += std::to_string(begin);
        if (end != begin) {
            text += '-';
            text += std::to_string(end);
        }
        begin = after;
    }
    return text;
}

std::vector<std::uint32_t> Bitmap::to_vector() const {
    std::vector<std::uint32_t> members;
    members.reserve(count());
    for_each([&members](std::size_t member) {
        members.push_back(static_cast<std::uint32_t>(member));
    });
    return members;
}

}  // namespace topoalloc
