// SPDX-License-Identifier: Apache-2.0
#include "claim/node_form.hpp"

#include "claim/byte_text.hpp"

#include <algorithm>
#include <optional>
#include <variant>

namespace topoalloc {
namespace {

constexpr std::size_t most_outcomes = 64;

void put_optional(std::string& text, const std::optional<Nanos>& amount) {
    put(text, amount.has_value());
    put(text, amount.value_or(0));
}

void put_texts(std::string& text, const std::vector<std::string>& values) {
    put(text, values.size());
    for (const std::string& value : values) {
        put(text, value);
    }
}

void put_capacity(std::string& text, const LeftCapacity& left) {
    put(text, left.name);
    put(text, left.left);
    put(text, left.capacity->value);
    const auto& policy = left.capacity->policy;
    put(text, policy.has_value());
    if (policy) {
        put_optional(text, policy->default_amount);
        put_optional(text, policy->min);
        put_optional(text, policy->max);
        put_optional(text, policy->step);
        put(text, policy->valid_values);
    }
}

void put_draw(std::string& text, const SetDraw& draw) {
    put(text, draw.counter_set);
    put(text, draw.counters.size());
    for (const auto& [counter, amount] : draw.counters) {
        put(text, counter);
        put(text, amount);
    }
    put_texts(text, draw.draw->compatibility_groups);
}

void put_device(std::string& text, const NodeDevice& device) {
    put(text, device.pool);
    put(text, device.is_taken);
    put(text, device.is_taken_whole);
    put(text, device.is_for_node);
    put(text, device.device->is_shared);
    put(text, device.device->has_binding_conditions);
    put(text, device.capacities.size());
    for (const LeftCapacity& capacity : device.capacities) {
        put_capacity(text, capacity);
    }
    put(text, device.device->draws.size());
    put(text, device.draws.size());
    for (const SetDraw& draw : device.draws) {
        put_draw(text, draw);
    }
    for (const CounterDraw& draw : device.device->draws) {
        put_texts(text, draw.compatibility_groups);
    }
    put(text, device.device->taints.size());
    for (const DeviceTaint& taint : device.device->taints) {
        put(text, taint.key);
        put(text, taint.value);
        put(text, taint.effect);
    }
}

std::string text_of(const NodeDevices& node) {
    std::string text;
    put(text, node.pools.size());
    for (const NodePool& pool : node.pools) {
        put(text, pool.any->driver);
        put(text, pool.state);
        put(text, pool.first);
        put(text, pool.end);
    }
    put(text, node.devices.size());
    for (const NodeDevice& device : node.devices) {
        put_device(text, device);
    }
    put(text, node.counter_sets.size());
    for (const CommonGroups& groups : node.counter_sets) {
        put(text, groups.has_members);
        put(text, groups.is_broken);
        put_texts(text, groups.groups);
    }
    put(text, node.left);
    return text;
}

std::string text_of(const NodeDevices& node, const std::string& attribute) {
    std::string text;
    for (const NodeDevice& device : node.devices) {
        const DeviceValues* values = find_attribute(device, attribute);
        put(text, values != nullptr);
        if (values == nullptr) {
            continue;
        }
        put(text, values->kind);
        put(text, values->is_list);
        put(text, values->values.size());
        for (const Scalar& value : values->values) {
            put(text, value.index());
            std::visit([&](const auto& own) { put(text, own); }, value);
        }
    }
    return text;
}

}  // namespace

std::uint32_t FormNumbers::of(std::string text) {
    const auto next = static_cast<std::uint32_t>(numbers_.size());
    return numbers_.try_emplace(std::move(text), next).first->second;
}

std::uint32_t NodeForms::fixed(const NodeDevices& node, FormNumbers& numbers) {
    if (!has_fixed_) {
        fixed_ = numbers.of(text_of(node));
        has_fixed_ = true;
    }
    return fixed_;
}

std::uint32_t NodeForms::attribute(const NodeDevices& node,
                                   const std::string& name,
                                   FormNumbers& numbers) {
    const auto it = std::ranges::find(
        attributes_, name, &std::pair<std::string, std::uint32_t>::first);
    if (it != attributes_.end()) {
        return it->second;
    }
    // Told apart from other texts by what comes first.
    const std::uint32_t number = numbers.of("@" + text_of(node, name));
    attributes_.emplace_back(name, number);
    return number;
}

std::optional<std::uint32_t> NodeForms::outcomes(
    const std::vector<OutcomeRecordPtr>& records,
    const std::vector<std::size_t>& selectors,
    std::uint64_t revision,
    FormNumbers& numbers) {
    if (revision_ != revision || outcomes_.size() >= most_outcomes) {
        outcomes_.clear();
        revision_ = revision;
    }
    const auto it =
        std::ranges::find(outcomes_,
                          selectors,
                          &std::pair<std::vector<std::size_t>, std::uint32_t>::first);
    if (it != outcomes_.end()) {
        return it->second;
    }
    std::string text = "?";
    for (const OutcomeRecordPtr& record : records) {
        for (const std::size_t selector : selectors) {
            const auto outcome = record->of(selector);
            if (!outcome) {
                return std::nullopt;
            }
            put(text, *outcome);
            if (*outcome != SelectorOutcome::yes) {
                break;
            }
        }
    }
    const std::uint32_t number = numbers.of(std::move(text));
    outcomes_.emplace_back(selectors, number);
    return number;
}

}  // namespace topoalloc
