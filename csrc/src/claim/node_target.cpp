// SPDX-License-Identifier: Apache-2.0
#include "claim/node_target.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace topoalloc {
namespace {

std::optional<std::int64_t> number_of(const std::string& text) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || at != end) {
        return std::nullopt;
    }
    return value;
}

const std::string* value_of(const NodeRequirement& requirement, const ClaimNode& node) {
    if (requirement.is_field) {
        return requirement.key == "metadata.name" ? &node.name : nullptr;
    }
    const auto it = node.labels.find(requirement.key);
    return it == node.labels.end() ? nullptr : &it->second;
}

// Both are whole numbers, and compare so.
bool is_beyond(const NodeRequirement& requirement, const std::string& value) {
    if (requirement.values.size() != 1) {
        return false;
    }
    const auto own = number_of(value);
    const auto bound = number_of(requirement.values.front());
    return own && bound &&
           (requirement.op == NodeOperator::gt ? *own > *bound : *own < *bound);
}

bool is_met(const NodeRequirement& requirement, const ClaimNode& node) {
    const std::string* value = value_of(requirement, node);
    const auto is_listed = [&] {
        return std::ranges::find(requirement.values, *value) !=
               requirement.values.end();
    };
    switch (requirement.op) {
        case NodeOperator::in:
            return value != nullptr && is_listed();
        case NodeOperator::not_in:
            return value == nullptr || !is_listed();
        case NodeOperator::exists:
            return value != nullptr;
        case NodeOperator::does_not_exist:
            return value == nullptr;
        case NodeOperator::gt:
        case NodeOperator::lt:
            return value != nullptr && is_beyond(requirement, *value);
    }
    return false;
}

}  // namespace

bool is_for(const NodeTarget& target, const ClaimNode& node) {
    switch (target.kind) {
        case NodeTarget::Kind::none:
            return false;
        case NodeTarget::Kind::name:
            return target.name == node.name;
        case NodeTarget::Kind::all:
            return true;
        case NodeTarget::Kind::selector:
            return !target.requirements.empty() &&
                   std::ranges::all_of(
                       target.requirements,
                       [&](const NodeRequirement& each) { return is_met(each, node); });
    }
    return false;
}

bool targets(const DeviceSlice& slice, const ClaimNode& node) {
    if (!slice.targets_by_device) {
        return is_for(slice.target, node);
    }
    return std::ranges::any_of(slice.devices, [&](const SliceDevice& device) {
        return is_for(device.target, node);
    });
}

}  // namespace topoalloc
