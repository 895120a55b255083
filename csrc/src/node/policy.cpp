// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/errors.hpp"
#include "topoalloc/solver.hpp"

#include <algorithm>
#include <span>
#include <string>

namespace topoalloc {
namespace {

constexpr std::array<std::string_view, term_group_count> group_names{"packages",
                                                                     "localities",
                                                                     "pair_levels",
                                                                     "missing_link",
                                                                     "remote_devices",
                                                                     "l3s",
                                                                     "split_cores",
                                                                     "opened"};

// The terms of one group, in their order inside it.
std::span<const Cost::Term> terms_of(TermGroup group) {
    static constexpr std::array<Cost::Term, 13> terms{Cost::packages,
                                                      Cost::localities,
                                                      Cost::distance,
                                                      Cost::pair_levels,
                                                      Cost::missing_link,
                                                      Cost::remote_devices,
                                                      Cost::l3s,
                                                      Cost::split_cores,
                                                      Cost::opened_packages,
                                                      Cost::opened_localities,
                                                      Cost::opened_switches,
                                                      Cost::opened_devices,
                                                      Cost::opened_l3s};
    static constexpr std::array<std::size_t, term_group_count + 1> first{
        0, 1, 3, 4, 5, 6, 7, 8, terms.size()};
    const auto index = static_cast<std::size_t>(group);
    return std::span(terms).subspan(first[index], first[index + 1] - first[index]);
}

std::string_view packing_name(Packing packing) {
    return packing == Packing::pack ? "pack" : "spread";
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

[[noreturn]] void refuse_order(const TermOrder& order) {
    std::string text;
    for (const TermGroup group : order) {
        text += text.empty() ? "" : ", ";
        text += term_group_name(group);
    }
    throw InvalidRequestError("policy.order: " + text +
                              ", want every group of terms once");
}

void demand_permutation(const TermOrder& order) {
    std::uint32_t seen = 0;
    for (const TermGroup group : order) {
        const auto index = static_cast<std::size_t>(group);
        seen |= index < term_group_count ? 1U << index : 0;
    }
    if (seen != (1U << term_group_count) - 1) {
        refuse_order(order);
    }
}

}  // namespace

std::string_view term_group_name(TermGroup group) {
    const auto index = static_cast<std::size_t>(group);
    return index < term_group_count ? group_names[index] : std::string_view("none");
}

PolicyName::PolicyName(std::string_view text) {
    if (text.empty() || text.size() > text_.size() ||
        !std::ranges::all_of(text, is_letter)) {
        throw InvalidRequestError("policy.name: '" + std::string(text) +
                                  "', want 1 to 31 of a-z, 0-9, '-', '_' and '.'");
    }
    std::ranges::copy(text, text_.begin());
    size_ = static_cast<std::uint8_t>(text.size());
}

std::string_view name_of(const Policy& policy) {
    return policy.name.text().empty() ? packing_name(policy.packing)
                                      : policy.name.text();
}

void validate(const Policy& policy) {
    demand_permutation(policy.order);
    if (policy.version == 0) {
        throw InvalidRequestError("policy.version: 0, want 1 or more");
    }
    const std::string_view name = name_of(policy);
    if (name != packing_name(Packing::pack) && name != packing_name(Packing::spread)) {
        return;
    }
    const std::string text(name);
    if (name != packing_name(policy.packing)) {
        throw InvalidRequestError(
            "policy.packing: " + std::string(packing_name(policy.packing)) +
            ", want that of " + text + ", or another name");
    }
    if (policy.version != 1) {
        throw InvalidRequestError("policy: " + text + " version " +
                                  std::to_string(policy.version) + ", want version 1");
    }
    if (!policy.has_default_order()) {
        throw InvalidRequestError("policy.order: not that of " + text +
                                  ", want another name");
    }
}

std::array<Cost::Term, Cost::term_count> terms_in_order(const Policy& policy) {
    std::array<Cost::Term, Cost::term_count> terms{Cost::unmet_count,
                                                   Cost::unmet_vector};
    std::size_t count = 2;
    for (const TermGroup group : policy.order) {
        for (const Cost::Term term : terms_of(group)) {
            terms[count++] = term;
        }
    }
    return terms;
}

std::strong_ordering compare_costs(const Cost& a, const Cost& b, const Policy& policy) {
    if (policy.has_default_order()) {
        return a <=> b;
    }
    for (const Cost::Term term : terms_in_order(policy)) {
        if (const auto order = a[term] <=> b[term]; order != 0) {
            return order;
        }
    }
    return std::strong_ordering::equal;
}

}  // namespace topoalloc
