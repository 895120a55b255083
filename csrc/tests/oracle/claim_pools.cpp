// SPDX-License-Identifier: Apache-2.0
#include "claim_pools.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

namespace topoalloc::oracle {
namespace {

std::optional<std::int64_t> integer_of(const std::string& text) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [at, failure] = std::from_chars(text.data(), end, value);
    return failure == std::errc() && at == end && !text.empty() ? std::optional(value)
                                                                : std::nullopt;
}

bool is_beyond(const std::string& label, const NodeRequirement& requirement) {
    const auto own = integer_of(label);
    const auto bound = requirement.values.size() == 1
                           ? integer_of(requirement.values[0])
                           : std::nullopt;
    if (!own || !bound) {
        return false;
    }
    return requirement.op == NodeOperator::gt ? *own > *bound : *own < *bound;
}

bool is_met(const NodeRequirement& requirement, const ClaimNode& node) {
    std::optional<std::string> own;
    if (requirement.is_field) {
        own = requirement.key == "metadata.name" ? std::optional(node.name)
                                                 : std::nullopt;
    } else if (node.labels.contains(requirement.key)) {
        own = node.labels.at(requirement.key);
    }
    const auto& values = requirement.values;
    const bool is_listed =
        own && std::find(values.begin(), values.end(), *own) != values.end();
    switch (requirement.op) {
        case NodeOperator::in:
            return is_listed;
        case NodeOperator::not_in:
            return !is_listed;
        case NodeOperator::exists:
            return own.has_value();
        case NodeOperator::does_not_exist:
            return !own;
        case NodeOperator::gt:
        case NodeOperator::lt:
            return own && is_beyond(*own, requirement);
    }
    return false;
}

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
                   std::all_of(target.requirements.begin(),
                               target.requirements.end(),
                               [&](const auto& r) { return is_met(r, node); });
    }
    return false;
}

bool has_counter_sets(const DeviceSlice& slice) {
    return !slice.counter_sets.empty() || !slice.repeated_counter_sets.empty();
}

bool is_targeting(const DeviceSlice& slice, const ClaimWorld& world) {
    if (!world.semantics.counters &&
        (has_counter_sets(slice) || slice.targets_by_device)) {
        return false;
    }
    if (has_counter_sets(slice)) {
        return true;
    }
    if (slice.targets_by_device) {
        return std::any_of(
            slice.devices.begin(), slice.devices.end(), [&](const auto& device) {
                return is_for(device.target, world.node);
            });
    }
    return is_for(slice.target, world.node);
}

// One pool: section 1 from "A pool is on a node" to "usable".
class PoolReader {
  public:
    PoolReader(const ClaimWorld& world, const std::string& driver, std::string name)
        : world_(world) {
        pool_.driver = driver;
        pool_.name = std::move(name);
    }

    // nullopt: not on the node, or obsolete.
    std::optional<NodePool> read() {
        for (const DeviceSlice& slice : world_.slices) {
            if (slice.driver == pool_.driver && slice.pool == pool_.name) {
                all_.push_back(&slice);
            }
        }
        std::sort(all_.begin(), all_.end(), [](const auto* a, const auto* b) {
            return a->name < b->name;
        });
        gather();
        if (pool_.targeting.empty() || !is_current()) {
            return std::nullopt;
        }
        if (pool_.state == PoolState::usable &&
            (has_double_device() || !read_counter_sets() || !are_draws_known())) {
            pool_.state = PoolState::invalid;
        }
        return pool_;
    }

  private:
    void gather() {
        for (const DeviceSlice* slice : all_) {
            if (!is_targeting(*slice, world_)) {
                continue;
            }
            if (!pool_.targeting.empty() &&
                slice->generation > pool_.targeting[0]->generation) {
                pool_.targeting.clear();
            }
            if (pool_.targeting.empty() ||
                slice->generation == pool_.targeting[0]->generation) {
                pool_.targeting.push_back(slice);
            }
        }
    }

    // Sets the known slices and finds out what is incomplete; false when obsolete.
    bool is_current() {
        const DeviceSlice& first = *pool_.targeting[0];
        const auto count = [](const auto& slices) {
            return static_cast<std::int64_t>(slices.size());
        };
        if (count(pool_.targeting) == first.slice_count) {
            pool_.known = pool_.targeting;
            return true;
        }
        for (const DeviceSlice* slice : all_) {
            if (slice->generation > first.generation) {
                return false;
            }
            if (slice->generation == first.generation) {
                pool_.known.push_back(slice);
            }
        }
        if (count(pool_.known) != first.slice_count) {
            pool_.state = PoolState::incomplete;
        }
        return true;
    }

    [[nodiscard]] bool has_double_device() const {
        std::set<std::string> names;
        for (const DeviceSlice* slice : pool_.targeting) {
            for (const SliceDevice& device : slice->devices) {
                if (!names.insert(device.name).second) {
                    return true;
                }
            }
        }
        return false;
    }

    bool read_counter_sets() {
        for (const DeviceSlice* slice : pool_.targeting) {
            if (!slice->repeated_counter_sets.empty()) {
                return false;
            }
            for (const auto& [name, counters] : slice->counter_sets) {
                if (!pool_.counters_left.emplace(name, counters).second) {
                    return false;
                }
            }
        }
        return true;
    }

    [[nodiscard]] bool are_draws_known() const {
        if (!world_.semantics.counters) {
            return true;
        }
        for (const DeviceSlice* slice : pool_.known) {
            for (const SliceDevice& device : slice->devices) {
                if (!std::all_of(device.draws.begin(),
                                 device.draws.end(),
                                 [&](const auto& draw) { return is_known(draw); })) {
                    return false;
                }
            }
        }
        return true;
    }

    [[nodiscard]] bool is_known(const CounterDraw& draw) const {
        const auto set = pool_.counters_left.find(draw.counter_set);
        return set != pool_.counters_left.end() &&
               std::all_of(
                   draw.counters.begin(), draw.counters.end(), [&](const auto& entry) {
                       return set->second.contains(entry.first);
                   });
    }

    const ClaimWorld& world_;
    std::vector<const DeviceSlice*> all_;
    NodePool pool_;
};

// Does the pool come after those without such a device?
bool has_binding_conditions(const NodePool& pool) {
    return std::any_of(
        pool.targeting.begin(), pool.targeting.end(), [](const auto* slice) {
            return std::any_of(
                slice->devices.begin(), slice->devices.end(), [](const auto& device) {
                    return device.has_binding_conditions;
                });
        });
}

void subtract_taken(NodePool& pool, const std::set<DeviceId>& taken) {
    for (const DeviceSlice* slice : pool.known) {
        for (const SliceDevice& device : slice->devices) {
            if (taken.contains({pool.driver, pool.name, device.name})) {
                pool.known_taken.push_back(&device);
            }
        }
    }
    for (const SliceDevice* device : pool.known_taken) {
        for (const CounterDraw& draw : device->draws) {
            for (const auto& [counter, amount] : draw.counters) {
                pool.counters_left[draw.counter_set][counter] -= amount;
            }
        }
    }
}

// The one with a domain goes before the one without.
template <class Value>
std::map<std::string, Value> with_domains(const std::map<std::string, Value>& values,
                                          const std::string& driver) {
    std::map<std::string, Value> result;
    for (const bool is_with : {true, false}) {
        for (const auto& [name, value] : values) {
            if ((name.find('/') != std::string::npos) == is_with) {
                result.emplace(with_domain(name, driver), value);
            }
        }
    }
    return result;
}

NodeDevice make_device(const ClaimWorld& world,
                       const DeviceSlice& slice,
                       const SliceDevice& device) {
    NodeDevice result;
    result.id = {slice.driver, slice.pool, device.name};
    result.device = &device;
    result.is_for_node = !slice.targets_by_device || is_for(device.target, world.node);
    result.is_shared = device.is_shared && world.semantics.consumable_capacity;
    result.attributes = with_domains(device.attributes, slice.driver);
    result.capacities = with_domains(device.capacities, slice.driver);
    for (const TakenDevice& taken : world.taken) {
        if (taken.id != result.id) {
            continue;
        }
        result.is_drawing = true;
        if (!result.is_shared || !taken.consumed) {
            result.is_taken = true;
            continue;
        }
        for (const auto& [capacity, amount] : *taken.consumed) {
            result.taken[capacity] += amount;
        }
    }
    return result;
}

}  // namespace

std::string with_domain(const std::string& name, const std::string& driver) {
    return name.find('/') == std::string::npos ? driver + "/" + name : name;
}

ClaimInventory read_world(const ClaimWorld& world) {
    std::set<std::pair<std::string, std::string>> names;
    for (const DeviceSlice& slice : world.slices) {
        names.emplace(slice.driver, slice.pool);
    }
    std::set<DeviceId> taken;
    for (const TakenDevice& one : world.taken) {
        taken.insert(one.id);
    }
    ClaimInventory result;
    for (const auto& [driver, name] : names) {
        if (auto pool = PoolReader(world, driver, name).read()) {
            result.pools.push_back(std::move(*pool));
        }
    }
    std::stable_partition(
        result.pools.begin(), result.pools.end(), [](const NodePool& pool) {
            return !has_binding_conditions(pool);
        });
    for (std::size_t p = 0; p < result.pools.size(); ++p) {
        NodePool& pool = result.pools[p];
        if (pool.state != PoolState::usable) {
            continue;
        }
        pool.first = result.devices.size();
        subtract_taken(pool, taken);
        for (const DeviceSlice* slice : pool.targeting) {
            for (const SliceDevice& device : slice->devices) {
                result.devices.push_back(make_device(world, *slice, device));
                result.devices.back().pool = p;
            }
        }
        pool.count = result.devices.size() - pool.first;
    }
    return result;
}

}  // namespace topoalloc::oracle
