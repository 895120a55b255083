// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/explanation.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace topoalloc {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};

constexpr std::array units{Unit{"Ti", std::uint64_t{1} << 40U},
                           Unit{"Gi", std::uint64_t{1} << 30U},
                           Unit{"Mi", std::uint64_t{1} << 20U},
                           Unit{"Ki", std::uint64_t{1} << 10U}};
constexpr std::uint64_t hundred = 100;

// Rounded to hundredths of the unit.
std::uint64_t hundredths(std::uint64_t amount, const Unit& unit) {
    return amount / unit.bytes * hundred +
           (amount % unit.bytes * hundred + unit.bytes / 2) / unit.bytes;
}

std::string text_in(std::uint64_t amount, const Unit& unit) {
    const std::uint64_t value = hundredths(amount, unit);
    std::string text = std::to_string(value / hundred);
    if (value % hundred != 0) {
        const std::string digits = std::to_string(hundred + value % hundred);
        text += "." + digits.substr(1, digits.back() == '0' ? 1 : 2);
    }
    return text + (value == 0 ? "" : std::string(unit.name));
}

// Whether rounding leaves different amounts different, and something of what is not 0.
bool tells_apart(const std::vector<std::uint64_t>& amounts, const Unit& unit) {
    const std::set<std::uint64_t> exact(amounts.begin(), amounts.end());
    std::set<std::uint64_t> rounded;
    for (const std::uint64_t amount : exact) {
        rounded.insert(hundredths(amount, unit));
    }
    return rounded.size() == exact.size() &&
           (exact.contains(0) || !rounded.contains(0));
}

bool is_exact(std::uint64_t amount, const Unit& unit) {
    return amount % unit.bytes * hundred % unit.bytes == 0;
}

const Unit* unit_for(const std::vector<std::uint64_t>& amounts) {
    // What was asked for is told as it was asked for, where that is in large units.
    const std::uint64_t first = amounts.front();
    const auto fits = [&](const Unit& unit) {
        return (first == 0 || first >= unit.bytes) && tells_apart(amounts, unit);
    };
    constexpr std::size_t large = 3;
    const auto* const exact =
        std::ranges::find_if(units.begin(), units.begin() + large, [&](const Unit& u) {
            return fits(u) && is_exact(first, u);
        });
    const auto* const found =
        exact != units.begin() + large ? exact : std::ranges::find_if(units, fits);
    return found == units.end() ? nullptr : found;
}

}  // namespace

std::vector<std::string> describe_amounts(const std::vector<std::uint64_t>& amounts) {
    std::vector<std::string> texts;
    if (amounts.empty()) {
        return texts;
    }
    const Unit* unit = unit_for(amounts);
    for (const std::uint64_t amount : amounts) {
        if (unit != nullptr) {
            texts.push_back(text_in(amount, *unit));
        } else {
            texts.push_back(std::to_string(amount) +
                            (amount == 1 ? " byte" : " bytes"));
        }
    }
    return texts;
}

}  // namespace topoalloc
