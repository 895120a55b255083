// SPDX-License-Identifier: Apache-2.0
#include "claim/capacity_policy.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

Nanos round_up(const CapacityPolicy& policy, Nanos requested) {
    if (policy.min) {
        if (requested <= *policy.min) {
            return *policy.min;
        }
        if (!policy.step || *policy.step <= 0) {
            return requested;
        }
        const Nanos above = requested - *policy.min;
        const Nanos steps = (above + *policy.step - 1) / *policy.step;
        return *policy.min + steps * *policy.step;
    }
    const auto it = std::ranges::lower_bound(policy.valid_values, requested);
    return it == policy.valid_values.end() ? requested : *it;
}

bool keeps(const CapacityPolicy& policy, Nanos amount) {
    if (policy.default_amount && amount == *policy.default_amount) {
        return true;
    }
    if (!policy.valid_values.empty()) {
        return std::ranges::binary_search(policy.valid_values, amount);
    }
    if (policy.max && amount > *policy.max) {
        return false;
    }
    return !policy.min || !policy.step || *policy.step <= 0 ||
           (amount - *policy.min) % *policy.step == 0;
}

}  // namespace

std::optional<Nanos> consumed_of(const DeviceCapacity& capacity,
                                 const std::optional<Nanos>& requested) {
    Nanos amount = capacity.value;
    if (capacity.policy) {
        amount = requested ? round_up(*capacity.policy, *requested)
                           : capacity.policy->default_amount.value_or(amount);
        if (!keeps(*capacity.policy, amount)) {
            return std::nullopt;
        }
    } else if (requested) {
        amount = *requested;
    }
    return amount > capacity.value ? std::nullopt : std::optional(amount);
}

}  // namespace topoalloc
