// SPDX-License-Identifier: Apache-2.0
#include "claim/node_devices.hpp"

#include "claim/node_target.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

using Slices = std::vector<const DeviceSlice*>;
using PoolName = std::pair<std::string_view, std::string_view>;  // driver, pool

PoolName pool_of(const DeviceSlice& slice) {
    return {slice.driver, slice.pool};
}

bool has_counter_sets(const DeviceSlice& slice) {
    return !slice.counter_sets.empty() || !slice.repeated_counter_sets.empty();
}

Slices of_largest_generation(const Slices& slices) {
    std::int64_t largest = slices.front()->generation;
    for (const DeviceSlice* slice : slices) {
        largest = std::max(largest, slice->generation);
    }
    Slices out;
    std::ranges::copy_if(slices, std::back_inserter(out), [&](const auto* slice) {
        return slice->generation == largest;
    });
    std::ranges::sort(
        out, {}, [](const auto* slice) { return std::string_view(slice->name); });
    return out;
}

std::string repeated_device(const Slices& slices) {
    std::set<std::string_view> names;
    for (const DeviceSlice* slice : slices) {
        for (const SliceDevice& device : slice->devices) {
            if (!names.insert(device.name).second) {
                return "device " + device.name + " is there twice";
            }
        }
    }
    return "";
}

using CounterSets = std::map<std::string_view, const std::map<std::string, Nanos>*>;

std::string read_counter_sets(const Slices& slices, CounterSets& out) {
    for (const DeviceSlice* slice : slices) {
        for (const auto& [name, counters] : slice->counter_sets) {
            if (!out.emplace(name, &counters).second) {
                return "counter set " + name + " is there twice";
            }
        }
        if (!slice->repeated_counter_sets.empty()) {
            return "counter set " + slice->repeated_counter_sets.front() +
                   " is there twice";
        }
    }
    return "";
}

std::string unknown_counter(const SliceDevice& device, const CounterSets& sets) {
    for (const CounterDraw& draw : device.draws) {
        const std::string draws =
            "device " + device.name + " draws on counter set " + draw.counter_set;
        const auto set = sets.find(draw.counter_set);
        if (set == sets.end()) {
            return draws + ", which is not there";
        }
        for (const auto& [counter, amount] : draw.counters) {
            if (!set->second->contains(counter)) {
                return draws + ", which has no counter " + counter;
            }
        }
    }
    return "";
}

std::string unknown_counter(const Slices& slices, const CounterSets& sets) {
    for (const DeviceSlice* slice : slices) {
        for (const SliceDevice& device : slice->devices) {
            std::string fault = unknown_counter(device, sets);
            if (!fault.empty()) {
                return fault;
            }
        }
    }
    return "";
}

bool has_domain(std::string_view name) {
    return name.find('/') != std::string_view::npos;
}

// A name without a domain is of the driver's.
std::string with_domain(const std::string& name, const std::string& driver) {
    return has_domain(name) ? name : driver + "/" + name;
}

Nanos consumed_by(const TakenDevice& taken, const std::string& name) {
    Nanos sum = 0;
    if (taken.consumed) {
        for (const auto& [own, amount] : *taken.consumed) {
            sum += with_domain(own, taken.id.driver) == name ? amount : 0;
        }
    }
    return sum;
}

// A pool on the node: its slices of one generation that target it, and all of them.
struct PoolSlices {
    Slices on_node, all;
    NodePool pool;
    CounterSets counter_sets;
};

class Viewer {
  public:
    explicit Viewer(const NodeSources& sources) : sources_(sources) {
        for (const TakenDevice* taken : sources.taken) {
            taken_[taken->id].push_back(taken);
        }
    }

    NodeDevices run() {
        std::map<PoolName, Slices> by_pool;
        std::map<PoolName, Slices> on_node;
        for (const DeviceSlice* slice : sources_.slices) {
            by_pool[pool_of(*slice)].push_back(slice);
            if (is_read(*slice) &&
                (has_counter_sets(*slice) || targets(*slice, sources_.node))) {
                on_node[pool_of(*slice)].push_back(slice);
            }
        }
        std::vector<PoolSlices> pools;
        for (const auto& [name, slices] : on_node) {
            add_pool(of_largest_generation(slices), by_pool[name], pools);
        }
        std::ranges::stable_sort(pools, {}, has_binding_conditions);
        for (PoolSlices& pool : pools) {
            add_devices(pool);
        }
        return std::move(out_);
    }

  private:
    // Without counters, slices that speak of them or of nodes by device are as if they
    // were not there, but for their number.
    [[nodiscard]] bool is_read(const DeviceSlice& slice) const {
        return sources_.semantics.counters ||
               (!slice.targets_by_device && !has_counter_sets(slice));
    }

    static bool has_binding_conditions(const PoolSlices& pool) {
        return std::ranges::any_of(pool.on_node, [](const DeviceSlice* slice) {
            return std::ranges::any_of(slice->devices,
                                       &SliceDevice::has_binding_conditions);
        });
    }

    void add_pool(Slices on_node,
                  const Slices& everywhere,
                  std::vector<PoolSlices>& pools) const {
        const std::int64_t generation = on_node.front()->generation;
        const std::int64_t wanted = on_node.front()->slice_count;
        PoolSlices out{std::move(on_node), {}, {}, {}};
        out.all = out.on_node;
        out.pool.any = out.on_node.front();
        if (std::cmp_not_equal(out.on_node.size(), wanted)) {
            out.all.clear();
            for (const DeviceSlice* slice : everywhere) {
                if (slice->generation > generation) {
                    return;
                }
                if (slice->generation == generation) {
                    out.all.push_back(slice);
                }
            }
        }
        if (std::cmp_not_equal(out.all.size(), wanted)) {
            out.pool.state = PoolState::incomplete;
        } else {
            out.pool.fault = fault_of(out);
            if (!out.pool.fault.empty()) {
                out.pool.state = PoolState::invalid;
            }
        }
        pools.push_back(std::move(out));
    }

    [[nodiscard]] std::string fault_of(PoolSlices& pool) const {
        std::string fault = repeated_device(pool.on_node);
        if (!fault.empty() || !sources_.semantics.counters) {
            return fault;
        }
        fault = read_counter_sets(pool.on_node, pool.counter_sets);
        return fault.empty() ? unknown_counter(pool.all, pool.counter_sets) : fault;
    }

    void add_devices(PoolSlices& pool) {
        pool.pool.first = pool.pool.end = out_.devices.size();
        if (pool.pool.state == PoolState::usable) {
            number_counters(pool);
            const auto number = static_cast<std::uint32_t>(out_.pools.size());
            for (const DeviceSlice* slice : pool.on_node) {
                for (const SliceDevice& device : slice->devices) {
                    out_.devices.push_back(make_device(device, *slice, number));
                }
            }
            pool.pool.end = out_.devices.size();
            draw_of_taken(pool);
        }
        out_.pools.push_back(std::move(pool.pool));
    }

    void number_counters(const PoolSlices& pool) {
        counter_sets_.clear();
        counters_.clear();
        for (const auto& [name, counters] : pool.counter_sets) {
            counter_sets_[name] = static_cast<std::uint32_t>(out_.counter_sets.size());
            out_.counter_sets.emplace_back();
            for (const auto& [counter, amount] : *counters) {
                counters_[{name, counter}] =
                    static_cast<std::uint32_t>(out_.left.size());
                out_.left.push_back(amount);
            }
        }
    }

    [[nodiscard]] const std::vector<const TakenDevice*>* taken_of(
        const SliceDevice& device, const DeviceSlice& slice) const {
        const auto it = taken_.find({slice.driver, slice.pool, device.name});
        return it == taken_.end() ? nullptr : &it->second;
    }

    [[nodiscard]] NodeDevice make_device(const SliceDevice& device,
                                         const DeviceSlice& slice,
                                         std::uint32_t pool) const {
        NodeDevice out;
        out.device = &device;
        out.slice = &slice;
        out.pool = pool;
        out.is_for_node =
            !slice.targets_by_device || is_for(device.target, sources_.node);
        const auto* takers = taken_of(device, slice);
        out.is_taken = takers != nullptr;
        out.is_taken_whole =
            out.is_taken &&
            std::ranges::any_of(*takers, [](auto* taker) { return !taker->consumed; });
        for (const auto& [name, capacity] : device.capacities) {
            LeftCapacity left{
                with_domain(name, slice.driver), &capacity, capacity.value};
            if (left.name != name && device.capacities.contains(left.name)) {
                continue;
            }
            for (std::size_t t = 0; takers != nullptr && t < takers->size(); ++t) {
                left.left -= consumed_by(*(*takers)[t], left.name);
            }
            out.capacities.push_back(std::move(left));
        }
        if (sources_.semantics.counters) {
            for (const CounterDraw& draw : device.draws) {
                out.draws.push_back(make_draw(draw));
            }
        }
        return out;
    }

    [[nodiscard]] SetDraw make_draw(const CounterDraw& draw) const {
        SetDraw out{counter_sets_.at(draw.counter_set), &draw, {}};
        for (const auto& [counter, amount] : draw.counters) {
            out.counters.emplace_back(counters_.at({draw.counter_set, counter}),
                                      amount);
        }
        return out;
    }

    // What the taken devices of the pool draw, on whatever node they are.
    void draw_of_taken(const PoolSlices& pool) {
        if (!sources_.semantics.counters) {
            return;
        }
        for (const DeviceSlice* slice : pool.all) {
            for (const SliceDevice& device : slice->devices) {
                if (taken_of(device, *slice) == nullptr) {
                    continue;
                }
                for (const CounterDraw& draw : device.draws) {
                    const SetDraw made = make_draw(draw);
                    for (const auto& [counter, amount] : made.counters) {
                        out_.left[counter] -= amount;
                    }
                    CommonGroups& groups = out_.counter_sets[made.counter_set];
                    groups.is_broken =
                        !groups.join(draw.compatibility_groups) || groups.is_broken;
                }
            }
        }
    }

    const NodeSources& sources_;
    std::map<DeviceId, std::vector<const TakenDevice*>> taken_;
    NodeDevices out_;
    // Of the pool at hand.
    std::map<std::string_view, std::uint32_t> counter_sets_;
    std::map<std::pair<std::string_view, std::string_view>, std::uint32_t> counters_;
};

}  // namespace

bool CommonGroups::join(const std::vector<std::string>& others) {
    std::vector<std::string> sorted = others;
    std::ranges::sort(sorted);
    if (is_broken) {
        return false;
    }
    if (!has_members) {
        has_members = true;
        groups = std::move(sorted);
        return true;
    }
    if (groups.empty() || sorted.empty()) {
        return groups.empty() && sorted.empty();
    }
    std::vector<std::string> common;
    std::ranges::set_intersection(groups, sorted, std::back_inserter(common));
    if (common.empty()) {
        return false;
    }
    groups = std::move(common);
    return true;
}

const DeviceValues* find_attribute(const NodeDevice& device, const std::string& name) {
    const auto& attributes = device.device->attributes;
    auto it = attributes.find(name);
    const std::string& driver = device.slice->driver;
    const bool is_drivers = it == attributes.end() && name.size() > driver.size() &&
                            name[driver.size()] == '/' && name.starts_with(driver);
    if (is_drivers) {
        it = attributes.find(name.substr(driver.size() + 1));
    }
    return it == attributes.end() ? nullptr : &it->second;
}

NodeSources sources_of(const ClaimWorld& world) {
    NodeSources sources{{}, {}, world.node, world.semantics};
    for (const DeviceSlice& slice : world.slices) {
        sources.slices.push_back(&slice);
    }
    for (const TakenDevice& taken : world.taken) {
        sources.taken.push_back(&taken);
    }
    return sources;
}

NodeDevices view_node(const NodeSources& sources) {
    return Viewer(sources).run();
}

}  // namespace topoalloc
