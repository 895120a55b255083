// SPDX-License-Identifier: Apache-2.0
#include "machine/natural_order.hpp"

#include <algorithm>
#include <cstddef>

namespace topoalloc {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Takes the run of digits at the front of `text`, without leading zeros.
std::string_view take_number(std::string_view& text) {
    const std::size_t end = text.find_first_not_of("0123456789");
    std::string_view digits = text.substr(0, end);
    text.remove_prefix(digits.size());
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    return digits;
}

// Compares a run of digits or one byte at the front of both, and takes it off where the
// two are equal. Requires: neither is empty.
int compare_front(std::string_view& a, std::string_view& b) {
    if (is_digit(a.front()) && is_digit(b.front())) {
        const std::string_view number_a = take_number(a);
        const std::string_view number_b = take_number(b);
        if (number_a.size() != number_b.size()) {
            return number_a.size() < number_b.size() ? -1 : 1;
        }
        return number_a.compare(number_b);
    }
    if (a.front() != b.front()) {
        const auto byte_a = static_cast<unsigned char>(a.front());
        const auto byte_b = static_cast<unsigned char>(b.front());
        return byte_a < byte_b ? -1 : 1;
    }
    a.remove_prefix(1);
    b.remove_prefix(1);
    return 0;
}

}  // namespace

int compare_natural(std::string_view a, std::string_view b) {
    std::string_view rest_a = a;
    std::string_view rest_b = b;
    while (!rest_a.empty() && !rest_b.empty()) {
        if (const int order = compare_front(rest_a, rest_b); order != 0) {
            return order;
        }
    }
    if (rest_a.empty() != rest_b.empty()) {
        return rest_a.empty() ? -1 : 1;
    }
    return a.compare(b);
}

}  // namespace topoalloc
