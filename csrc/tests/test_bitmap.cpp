// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/bitmap.hpp"
#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace topoalloc {
namespace {

Bitmap of(std::initializer_list<std::size_t> members) {
    Bitmap result;
    for (const std::size_t member : members) {
        result.set(member);
    }
    return result;
}

TEST(Bitmap, test_range_when_it_ends_at_word_borders) {
    EXPECT_TRUE(Bitmap::range(5, 0).empty());
    EXPECT_EQ(Bitmap::range(0, 64).to_list(), "0-63");
    EXPECT_EQ(Bitmap::range(63, 2).to_list(), "63-64");
    EXPECT_EQ(Bitmap::range(64, 64).to_list(), "64-127");
    EXPECT_EQ(Bitmap::range(7, 1), of({7}));
}

TEST(Bitmap, test_list_when_written_and_read) {
    for (const char* list : {"", "0", "0-3,8", "1,3,5", "62-65", "1048575"}) {
        EXPECT_EQ(Bitmap::parse_list(list).to_list(), list);
    }
    EXPECT_EQ(Bitmap::parse_list("0-3,8\n").to_list(), "0-3,8");
    EXPECT_EQ(Bitmap::parse_list(" 8, 0-2,2-4").to_list(), "0-4,8");
}

TEST(Bitmap, test_list_when_malformed) {
    for (const char* list : {"a",
                             "1-",
                             "-1",
                             "3-1",
                             "1,,2",
                             "1,",
                             ",1",
                             "1048576",
                             "99999999999999999999",
                             "1 2",
                             "0x3",
                             "1-2-3"}) {
        EXPECT_THROW(static_cast<void>(Bitmap::parse_list(list)), FormatError) << list;
    }
    try {
        static_cast<void>(Bitmap::parse_list("3-1"));
        FAIL();
    } catch (const FormatError& error) {
        EXPECT_STREQ(
            error.what(),
            "list '3-1': a range that ends before it starts, want the form 0-3,8");
    }
}

TEST(Bitmap, test_equality_when_capacities_differ) {
    Bitmap wide = of({1, 500});
    wide.reset(500);
    EXPECT_EQ(wide, of({1}));
    EXPECT_EQ(of({1}), wide);
    EXPECT_TRUE(wide.is_subset_of(of({1})));
    EXPECT_EQ(wide.compare_least_index(of({1})), std::strong_ordering::equal);
    EXPECT_NE(of({1, 500}), of({1}));
}

TEST(Bitmap, test_compare_when_one_holds_the_least_index) {
    EXPECT_EQ(of({0, 9}).compare_least_index(of({1, 2})), std::strong_ordering::less);
    EXPECT_EQ(of({3}).compare_least_index(of({3, 99})), std::strong_ordering::greater);
    EXPECT_EQ(of({3, 99}).compare_least_index(of({3})), std::strong_ordering::less);
    EXPECT_EQ(Bitmap().compare_least_index(of({0})), std::strong_ordering::greater);
}

TEST(Bitmap, test_next_when_at_the_end) {
    const Bitmap set = of({0, 63, 64, 200});
    EXPECT_EQ(set.first(), 0U);
    EXPECT_EQ(set.next(0), 63U);
    EXPECT_EQ(set.next(63), 64U);
    EXPECT_EQ(set.next(64), 200U);
    EXPECT_EQ(set.next(200), Bitmap::npos);
    EXPECT_EQ(set.next(Bitmap::npos), Bitmap::npos);
    EXPECT_EQ(set.next(100000), Bitmap::npos);
    EXPECT_EQ(set.last(), 200U);
    EXPECT_EQ(Bitmap().first(), Bitmap::npos);
    EXPECT_EQ(Bitmap().last(), Bitmap::npos);
}

TEST(Bitmap, test_words_when_set_and_resized) {
    Bitmap set;
    set.set_word(2, 5);
    EXPECT_EQ(set, of({128, 130}));
    set.resize_words(1);
    EXPECT_TRUE(set.empty());
    set.resize_words(4);
    EXPECT_EQ(set.words().size(), 4U);
    EXPECT_EQ(set.to_list(), "");
}

TEST(Bitmap, test_operations_when_compared_with_std_set) {
    std::mt19937_64 engine(7);
    for (int round = 0; round < 300; ++round) {
        std::set<std::size_t> a;
        std::set<std::size_t> b;
        Bitmap x;
        Bitmap y;
        const std::size_t limit_a = 1 + engine() % 300;
        const std::size_t limit_b = 1 + engine() % 300;
        for (std::size_t i = engine() % 60; i > 0; --i) {
            const std::size_t first = engine() % limit_a;
            const std::size_t second = engine() % limit_b;
            a.insert(first);
            x.set(first);
            b.insert(second);
            y.set(second);
        }
        std::vector<std::uint32_t> both;
        std::vector<std::uint32_t> either(a.begin(), a.end());
        std::vector<std::uint32_t> only_a;
        for (const std::size_t member : a) {
            (b.contains(member) ? both : only_a)
                .push_back(static_cast<std::uint32_t>(member));
        }
        for (const std::size_t member : b) {
            if (!a.contains(member)) {
                either.push_back(static_cast<std::uint32_t>(member));
            }
        }
        std::sort(either.begin(), either.end());
        EXPECT_EQ((x & y).to_vector(), both);
        EXPECT_EQ((x - y).to_vector(), only_a);
        EXPECT_EQ((x | y).to_vector(), either);
        EXPECT_EQ(x.count(), a.size());
        EXPECT_EQ(x.count_common(y), both.size());
        EXPECT_EQ(x.intersects(y), !both.empty());
        EXPECT_EQ(x.is_subset_of(y), only_a.empty());
        EXPECT_EQ(Bitmap::parse_list(x.to_list()), x);
    }
}

}  // namespace
}  // namespace topoalloc
