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
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    std::string_view digits =
        text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(digits.size());
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    return digits;
}

}  // namespace

int compare_natural(std::string_view a, std::string_view b) {
    std::string_view rest_a = a;
    std::string_view rest_b = b;
    while (!rest_a.empty() && !rest_b.empty()) {
        if (is_digit(rest_a.front()) && is_digit(rest_b.front())) {
            const std::string_view number_a = take_number(rest_a);
            const std::string_view number_b = take_number(rest_b);
            if (number_a.size() != number_b.size()) {
                return number_a.size() < number_b.size() ? -1 : 1;
            }
            if (const int order = number_a.compare(number_b); order != 0) {
                return order;
            }
            continue;
        }
        if (rest_a.front() != rest_b.front()) {
            const auto byte_a = static_cast<unsigned char>(rest_a.front());
            const auto byte_b = static_cast<unsigned char>(rest_b.front());
            return byte_a < byte_b ? -1 : 1;
        }
        rest_a.remove_prefix(1);
        rest_b.remove_prefix(1);
    }
    if (rest_a.empty() != rest_b.empty()) {
        return rest_a.empty() ? -1 : 1;
    }
    return a.compare(b);
}

}  // namespace topoalloc
