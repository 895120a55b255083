// SPDX-License-Identifier: Apache-2.0
#include "claim_rules.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::size_t most_results = 32;

// The amount that the demand requests of a capacity; with a domain or, of the driver's
// own, without.
std::optional<Nanos> requested(const ClaimDemand& demand,
                               const std::string& driver,
                               const std::string& capacity) {
    for (const auto& [name, amount] : demand.capacity_requests) {
        if (with_domain(name, driver) == capacity) {
            return amount;
        }
    }
    return std::nullopt;
}

Nanos rounded(Nanos amount, const CapacityPolicy& policy) {
    if (policy.min) {
        if (amount < *policy.min) {
            return *policy.min;
        }
        if (const Nanos above = policy.step ? (amount - *policy.min) % *policy.step : 0;
            above != 0) {
            return amount - above + *policy.step;
        }
        return amount;
    }
    for (const Nanos value : policy.valid_values) {
        if (value >= amount) {
            return value;
        }
    }
    return amount;
}

Nanos amount_of(const ClaimDemand& demand,
                const std::string& driver,
                const std::string& name,
                const DeviceCapacity& capacity) {
    const auto request = requested(demand, driver, name);
    if (request) {
        return capacity.policy ? rounded(*request, *capacity.policy) : *request;
    }
    return capacity.policy && capacity.policy->default_amount
               ? *capacity.policy->default_amount
               : capacity.value;
}

bool keeps_policy(Nanos amount, const CapacityPolicy& policy) {
    if (amount == policy.default_amount) {
        return true;
    }
    if (policy.min) {
        return amount <= policy.max.value_or(amount) && amount >= *policy.min &&
               (!policy.step || (amount - *policy.min) % *policy.step == 0);
    }
    const auto& valid = policy.valid_values;
    return valid.empty() ||
           std::find(valid.begin(), valid.end(), amount) != valid.end();
}

bool is_tolerated(const DeviceTaint& taint, const DeviceToleration& toleration) {
    return toleration.key.value_or(taint.key) == taint.key &&
           toleration.value.value_or(taint.value) == taint.value &&
           toleration.effect.value_or(taint.effect) == taint.effect;
}

bool have_common_element(const std::vector<const DeviceValues*>& all) {
    const auto& first = all[0]->values;
    return std::any_of(first.begin(), first.end(), [&](const Scalar& value) {
        return std::all_of(all.begin(), all.end(), [&](const DeviceValues* other) {
            return other->kind == all[0]->kind &&
                   std::find(other->values.begin(), other->values.end(), value) !=
                       other->values.end();
        });
    });
}

bool are_disjoint(const std::vector<const DeviceValues*>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (have_common_element({all[i], all[j]})) {
                return false;
            }
        }
    }
    return true;
}

// No group, all of them, or one that all have.
bool are_compatible(const std::vector<const std::vector<std::string>*>& all) {
    const auto has = [](const std::vector<std::string>& groups, const auto& group) {
        return std::find(groups.begin(), groups.end(), group) != groups.end();
    };
    if (std::all_of(all.begin(), all.end(), [](const auto* groups) {
            return groups->empty();
        })) {
        return true;
    }
    return std::any_of(all[0]->begin(), all[0]->end(), [&](const std::string& group) {
        return std::all_of(all.begin(), all.end(), [&](const auto* groups) {
            return has(*groups, group);
        });
    });
}

}  // namespace

ClaimRules::ClaimRules(const ClaimWorld& world, const ClaimQuestion& question)
    : world_(world), question_(question), inventory_(read_world(world)) {}

const ClaimDemand& ClaimRules::demand_of(const ClaimChoice& choice) const {
    return question_.claims[choice.claim]
        .requests[choice.request]
        .demands[choice.demand];
}

SelectorOutcome ClaimRules::outcome(const ClaimDemand& demand,
                                    std::size_t position) const {
    for (const std::size_t selector : demand.selectors) {
        const SelectorOutcome one = question_.outcomes[selector][position];
        if (one != SelectorOutcome::yes) {
            return one;
        }
    }
    return SelectorOutcome::yes;
}

bool ClaimRules::suits(const ClaimDemand& demand, std::size_t position) const {
    const NodeDevice& device = inventory_.devices[position];
    const std::string& driver = device.id.driver;
    for (const auto& [name, amount] : demand.capacity_requests) {
        if (!device.capacities.contains(with_domain(name, driver))) {
            return false;
        }
    }
    return std::all_of(
        device.capacities.begin(), device.capacities.end(), [&](const auto& entry) {
            const auto& [name, capacity] = entry;
            const Nanos amount = amount_of(demand, driver, name, capacity);
            return amount <= capacity.value &&
                   (!capacity.policy || keeps_policy(amount, *capacity.policy));
        });
}

bool ClaimRules::matches_and_suits(const ClaimDemand& demand,
                                   std::size_t position) const {
    return outcome(demand, position) == SelectorOutcome::yes &&
           inventory_.devices[position].is_for_node && suits(demand, position);
}

std::map<std::string, Nanos> ClaimRules::consumed(const ClaimDemand& demand,
                                                  std::size_t position) const {
    const NodeDevice& device = inventory_.devices[position];
    std::map<std::string, Nanos> result;
    if (device.is_shared) {
        for (const auto& [name, capacity] : device.capacities) {
            result[name] = amount_of(demand, device.id.driver, name, capacity);
        }
    }
    return result;
}

std::vector<std::size_t> ClaimRules::fixed(const ClaimDemand& demand) const {
    std::vector<std::size_t> result;
    for (std::size_t p = 0; p < inventory_.devices.size(); ++p) {
        if (matches_and_suits(demand, p)) {
            result.push_back(p);
        }
    }
    return result;
}

std::string_view ClaimRules::broken(const Choices& choices) const {
    if (!keeps_rule_1(choices)) {
        return "rule 1";
    }
    if (!keeps_rule_2(choices)) {
        return "rule 2";
    }
    if (!keeps_rule_3(choices)) {
        return "rule 3";
    }
    if (!keeps_rule_4(choices)) {
        return "rule 4";
    }
    if (!keeps_rule_5(choices)) {
        return "rule 5";
    }
    if (!keeps_constraints(choices, false)) {
        return "rule 6";
    }
    if (!keeps_constraints(choices, true)) {
        return "rule 7";
    }
    return keeps_rule_8(choices) ? "" : "rule 8";
}

// Section 6: what a version without the feature does not choose.
bool ClaimRules::is_choosable(const SliceDevice& device) const {
    const ClaimSemantics& has = world_.semantics;
    const bool has_groups =
        std::any_of(device.draws.begin(), device.draws.end(), [](const auto& draw) {
            return !draw.compatibility_groups.empty();
        });
    return (has.counters || device.draws.empty()) &&
           (has.binding_conditions || !device.has_binding_conditions) &&
           (has.compatibility_groups || !has_groups);
}

bool ClaimRules::tolerates_all(const ClaimDemand& demand,
                               const SliceDevice& device) const {
    if (!world_.semantics.taints) {
        return true;
    }
    return std::all_of(
        device.taints.begin(), device.taints.end(), [&](const DeviceTaint& taint) {
            return taint.effect == DeviceTaintEffect::none ||
                   std::any_of(
                       demand.tolerations.begin(),
                       demand.tolerations.end(),
                       [&](const auto& one) { return is_tolerated(taint, one); });
        });
}

bool ClaimRules::keeps_rule_1(const Choices& choices) const {
    return std::all_of(choices.begin(), choices.end(), [&](const ClaimChoice& choice) {
        const SliceDevice& device = *device_of(choice).device;
        return matches_and_suits(demand_of(choice), choice.position) &&
               is_choosable(device) && tolerates_all(demand_of(choice), device);
    });
}

bool ClaimRules::keeps_rule_2(const Choices& choices) const {
    for (std::size_t i = 0; i < choices.size(); ++i) {
        const ClaimChoice& own = choices[i];
        if (!is_admin(own) && device_of(own).is_taken) {
            return false;
        }
        for (std::size_t j = 0; j < i; ++j) {
            const ClaimChoice& other = choices[j];
            if (own.position != other.position) {
                continue;
            }
            const bool is_one_claim = own.claim == other.claim;
            const bool is_one_demand = is_one_claim && own.request == other.request;
            if (is_one_demand ||
                (!device_of(own).is_shared &&
                 (is_one_claim || (!is_admin(own) && !is_admin(other))))) {
                return false;
            }
        }
    }
    return true;
}

bool ClaimRules::keeps_rule_3(const Choices& choices) const {
    std::map<std::size_t, std::map<std::string, Nanos>> used;
    for (const ClaimChoice& choice : choices) {
        if (is_admin(choice) || !device_of(choice).is_shared) {
            continue;
        }
        auto& own =
            used.try_emplace(choice.position, device_of(choice).taken).first->second;
        for (const auto& [name, amount] :
             consumed(demand_of(choice), choice.position)) {
            own[name] += amount;
        }
    }
    return std::all_of(used.begin(), used.end(), [&](const auto& entry) {
        const auto& capacities = inventory_.devices[entry.first].capacities;
        return std::all_of(
            capacities.begin(), capacities.end(), [&](const auto& capacity) {
                return entry.second.at(capacity.first) <= capacity.second.value;
            });
    });
}

bool ClaimRules::keeps_rule_4(const Choices& choices) const {
    std::set<std::size_t> drawing;  // positions
    for (const ClaimChoice& choice : choices) {
        if (!is_admin(choice) && !device_of(choice).is_drawing) {
            drawing.insert(choice.position);
        }
    }
    std::map<std::size_t, CounterAmounts> drawn;  // by pool
    for (const std::size_t position : drawing) {
        const NodeDevice& device = inventory_.devices[position];
        for (const CounterDraw& draw : device.device->draws) {
            for (const auto& [counter, amount] : draw.counters) {
                drawn[device.pool][draw.counter_set][counter] += amount;
            }
        }
    }
    for (const auto& [pool, sets] : drawn) {
        for (const auto& [set, counters] : sets) {
            const auto& left = inventory_.pools[pool].counters_left.at(set);
            if (!std::all_of(counters.begin(), counters.end(), [&](const auto& entry) {
                    return entry.second <= left.at(entry.first);
                })) {
                return false;
            }
        }
    }
    return true;
}

bool ClaimRules::keeps_rule_5(const Choices& choices) {
    std::map<std::size_t, std::size_t> results;  // by claim
    for (const ClaimChoice& choice : choices) {
        if (++results[choice.claim] > most_results) {
            return false;
        }
    }
    return true;
}

bool ClaimRules::is_of(const ClaimConstraint& constraint,
                       const ClaimChoice& choice) const {
    const ClaimRequest& request =
        question_.claims[choice.claim].requests[choice.request];
    const auto names = [&](const std::string& name) {
        return std::find(constraint.requests.begin(),
                         constraint.requests.end(),
                         name) != constraint.requests.end();
    };
    return constraint.requests.empty() || names(request.name) ||
           (request.is_prioritized &&
            names(request.name + "/" + demand_of(choice).name));
}

bool ClaimRules::keeps_constraints(const Choices& choices, bool is_distinct) const {
    for (std::size_t c = 0; c < question_.claims.size(); ++c) {
        for (const ClaimConstraint& constraint : question_.claims[c].constraints) {
            if (constraint.is_distinct != is_distinct) {
                continue;
            }
            std::vector<const DeviceValues*> all;
            for (const ClaimChoice& choice : choices) {
                if (choice.claim != c || !is_of(constraint, choice)) {
                    continue;
                }
                const auto& attributes = device_of(choice).attributes;
                const auto own = attributes.find(constraint.attribute);
                if (own == attributes.end() ||
                    (own->second.is_list && !world_.semantics.lists)) {
                    return false;
                }
                all.push_back(&own->second);
            }
            if (!all.empty() &&
                !(is_distinct ? are_disjoint(all) : have_common_element(all))) {
                return false;
            }
        }
    }
    return true;
}

bool ClaimRules::keeps_rule_8(const Choices& choices) const {
    // Of the counter sets that a chosen device draws on, by pool.
    std::map<std::pair<std::size_t, std::string>,
             std::vector<const std::vector<std::string>*>>
        groups;
    for (const ClaimChoice& choice : choices) {
        if (is_admin(choice)) {
            continue;
        }
        for (const CounterDraw& draw : device_of(choice).device->draws) {
            groups[{device_of(choice).pool, draw.counter_set}].push_back(
                &draw.compatibility_groups);
        }
    }
    for (auto& [key, all] : groups) {
        for (const SliceDevice* taken : inventory_.pools[key.first].known_taken) {
            for (const CounterDraw& draw : taken->draws) {
                if (draw.counter_set == key.second) {
                    all.push_back(&draw.compatibility_groups);
                }
            }
        }
        if (!are_compatible(all)) {
            return false;
        }
    }
    return true;
}

}  // namespace topoalloc::oracle
