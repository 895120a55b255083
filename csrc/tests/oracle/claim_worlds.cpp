// SPDX-License-Identifier: Apache-2.0
#include "claim_instances.hpp"
#include "claim_pools.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc::oracle {
namespace {

class WorldMaker {
  public:
    explicit WorldMaker(Rng& rng) : rng_(rng) {}

    ClaimWorld make() {
        out_.node = {"n0", {{"zone", "a"}, {"gen", "3"}}};
        make_semantics();
        has_shared_ = rng_.percent(60);
        has_capacities_ = has_shared_ || rng_.percent(30);
        has_taints_ = rng_.percent(30);
        has_binding_ = rng_.percent(20);
        has_lists_ = rng_.percent(35);
        is_broken_ = rng_.percent(11);
        const std::uint32_t pools = 1 + rng_.weighted({35, 40, 25});
        std::set<std::pair<std::string, std::string>> keys;
        while (keys.size() < pools) {
            keys.emplace(rng_.percent(50) ? "a.io" : "b.io",
                         rng_.percent(60) ? "p" : "q");
        }
        std::uint32_t left = rng_.between(5, 9);
        for (const auto& [driver, name] : keys) {
            const std::uint32_t own =
                std::max<std::uint32_t>(1, left / (pools - made_++));
            left -= std::min(own, left);
            make_pool(driver, name, own);
        }
        rng_.shuffle(out_.slices);
        make_taken();
        return std::move(out_);
    }

  private:
    void make_semantics() {
        if (rng_.percent(60)) {
            return;
        }
        ClaimSemantics& has = out_.semantics;
        for (bool* feature : {&has.taints,
                              &has.counters,
                              &has.consumable_capacity,
                              &has.binding_conditions,
                              &has.lists,
                              &has.compatibility_groups}) {
            *feature = rng_.percent(70);
        }
        // Versions before 1.35 had no lists, either.
        has.skips_invalid_pools = has.lists;
    }

    NodeRequirement make_requirement(bool is_met) {
        using enum NodeOperator;
        static const std::vector<NodeRequirement> met{
            {"zone", false, in, {"b", "a"}},
            {"zone", false, not_in, {"b"}},
            {"missing", false, not_in, {"b"}},
            {"zone", false, exists, {}},
            {"missing", false, does_not_exist, {}},
            {"gen", false, gt, {"2"}},
            {"gen", false, lt, {"4"}},
            {"metadata.name", true, in, {"n0"}},
            {"metadata.name", true, not_in, {"n1"}}};
        static const std::vector<NodeRequirement> unmet{
            {"zone", false, in, {"b"}},
            {"missing", false, in, {"a"}},
            {"zone", false, not_in, {"a", "b"}},
            {"missing", false, exists, {}},
            {"zone", false, does_not_exist, {}},
            {"gen", false, gt, {"3"}},
            {"gen", false, lt, {"3"}},
            {"zone", false, gt, {"1"}},
            {"missing", false, lt, {"9"}},
            {"metadata.name", true, in, {"n1"}},
            {"metadata.name", true, not_in, {"n0"}}};
        return rng_.pick(is_met ? met : unmet);
    }

    NodeTarget make_target(bool is_for_node) {
        NodeTarget target;
        const std::uint32_t kind = rng_.weighted({50, 25, 25});
        if (kind == 0 || (kind == 2 && !is_for_node)) {
            target.kind = NodeTarget::Kind::name;
            target.name = is_for_node ? "n0" : "n1";
        } else if (kind == 2) {
            target.kind = NodeTarget::Kind::all;
        } else {
            target.kind = NodeTarget::Kind::selector;
            target.requirements = {make_requirement(is_for_node)};
            if (rng_.percent(30)) {
                target.requirements.push_back(make_requirement(true));
                rng_.shuffle(target.requirements);
            }
        }
        return target;
    }

    // Slices of one pool: of the generation that counts, and others.
    void make_pool(const std::string& driver,
                   const std::string& name,
                   std::uint32_t devices) {
        pool_ = DeviceSlice();
        pool_.driver = driver;
        pool_.pool = name;
        pool_.generation = rng_.between(1, 2);
        device_names_ = 0;
        const std::size_t first = out_.slices.size();
        sets_.clear();
        has_groups_ = rng_.percent(35);
        if (rng_.percent(30)) {
            make_counter_slices();
        }
        const bool is_split = devices > 1 && rng_.percent(35);
        const std::uint32_t other = is_split ? devices / 2 : 0;
        make_device_slice(devices - other, true);
        if (other > 0) {
            make_device_slice(other, true);
        }
        if (rng_.percent(20)) {
            make_device_slice(rng_.between(1, 2), false);
        }
        const auto count = static_cast<std::int64_t>(out_.slices.size() - first);
        for (std::size_t s = first; s < out_.slices.size(); ++s) {
            out_.slices[s].slice_count = count;
        }
        if (is_broken_ && rng_.percent(60)) {
            break_pool(first);
        }
        if (rng_.percent(10)) {
            make_other_generation();
        }
    }

    DeviceSlice& add_slice() {
        out_.slices.push_back(pool_);
        // Unique, in another order than that of the vector.
        out_.slices.back().name =
            std::string(1, static_cast<char>('a' + rng_.below(26))) + "-" +
            std::to_string(out_.slices.size());
        return out_.slices.back();
    }

    void make_counter_slices() {
        const std::uint32_t number = rng_.between(1, 2);
        const bool are_apart = rng_.percent(30);
        DeviceSlice* slice = &add_slice();
        for (std::uint32_t s = 0; s < number; ++s) {
            if (s > 0 && are_apart) {
                slice = &add_slice();
            }
            // It counts for no slice with counter sets.
            slice->target = make_target(rng_.percent(60));
            auto& counters = slice->counter_sets["s" + std::to_string(s)];
            counters["u"] = Nanos{rng_.between(2, 5)} * unit;
            if (rng_.percent(50)) {
                counters["v"] = Nanos{rng_.between(1, 4)} * unit;
            }
            sets_["s" + std::to_string(s)] = counters;
        }
    }

    void make_device_slice(std::uint32_t devices, bool is_on_node) {
        DeviceSlice& slice = add_slice();
        slice.targets_by_device = rng_.percent(20);
        if (!slice.targets_by_device) {
            slice.target = make_target(is_on_node);
        }
        for (std::uint32_t d = 0; d < devices; ++d) {
            SliceDevice device = make_device();
            if (slice.targets_by_device) {
                device.target = make_target(is_on_node && (d == 0 || rng_.percent(75)));
            }
            slice.devices.push_back(std::move(device));
        }
        if (rng_.percent(30)) {
            rng_.shuffle(slice.devices);
        }
    }

    SliceDevice make_device() {
        SliceDevice device;
        device.name = "d" + std::to_string(device_names_++);
        make_attributes(device);
        if (has_capacities_ && rng_.percent(80)) {
            make_capacities(device);
        }
        device.is_shared = has_shared_ && rng_.percent(60);
        if (!sets_.empty() && rng_.percent(75)) {
            make_draws(device);
        }
        for (std::uint32_t t = 0; has_taints_ && t < 2; ++t) {
            if (rng_.percent(20)) {
                device.taints.push_back(
                    {rng_.percent(60) ? "t" : "x",
                     rng_.percent(50) ? "" : "v",
                     static_cast<DeviceTaintEffect>(rng_.below(3))});
            }
        }
        device.has_binding_conditions = has_binding_ && rng_.percent(25);
        device.binds_to_node = device.has_binding_conditions && rng_.percent(50);
        return device;
    }

    // One value, or a list of one or two.
    template <class Make>
    DeviceValues make_values(AttributeKind kind, const Make& make) {
        DeviceValues values;
        values.kind = kind;
        values.values.push_back(make());
        values.is_list = has_lists_ && rng_.percent(45);
        if (values.is_list && rng_.percent(60)) {
            values.values.push_back(make());
        }
        return values;
    }

    void make_attributes(SliceDevice& device) {
        const auto text = [&] {
            return Scalar(std::string(rng_.percent(68) ? "x" : "y"));
        };
        const auto number = [&] {
            return Scalar(std::int64_t{rng_.weighted({60, 25, 15})});
        };
        const auto version = [&] {
            return Scalar(std::string(rng_.percent(65) ? "1.0.0" : "1.2.0"));
        };
        const auto put = [&](const std::string& name, DeviceValues values) {
            if (rng_.percent(94)) {
                device.attributes[name] = std::move(values);
            }
        };
        put("resource.kubernetes.io/pcieRoot", make_values(AttributeKind::text, text));
        put("resource.kubernetes.io/numaNode",
            make_values(AttributeKind::integer, number));
        if (rng_.percent(20)) {
            const std::string slot = rng_.percent(60) ? "0000:3b:00" : "0000:5d:00";
            device.attributes["resource.kubernetes.io/pciBusID"] = {
                AttributeKind::text,
                {Scalar(rng_.percent(90) ? slot + ".0" : std::string("none"))},
                false};
        }
        if (rng_.percent(8)) {  // of another type than elsewhere
            put("resource.kubernetes.io/pcieRoot",
                make_values(AttributeKind::version, version));
        }
        put(rng_.percent(50) ? "ver" : pool_.driver + "/ver",
            make_values(AttributeKind::version, version));
        put("flag", make_values(AttributeKind::boolean, [&] {
                return Scalar(rng_.percent(60));
            }));
        if (rng_.percent(10)) {  // both spellings, of two values
            put(pool_.driver + "/flag", make_values(AttributeKind::boolean, [&] {
                    return Scalar(rng_.percent(40));
                }));
        }
    }

    void make_capacities(SliceDevice& device) {
        device.capacities["mem"] = make_capacity();
        if (rng_.percent(35)) {
            device.capacities[rng_.percent(50) ? "res.io/bw" : "other"] =
                make_capacity();
        }
        if (rng_.percent(7)) {
            device.capacities[pool_.driver + "/mem"] = make_capacity();
        }
    }

    DeviceCapacity make_capacity() {
        DeviceCapacity capacity;
        const std::uint32_t value = rng_.between(3, 9);
        capacity.value = value * unit;
        const std::uint32_t kind = rng_.weighted({35, 10, 40, 15});
        if (kind == 0) {
            return capacity;
        }
        CapacityPolicy policy;
        const std::uint32_t least = rng_.between(1, 2);
        policy.default_amount = least * unit;
        if (kind == 2) {
            policy.min = least * unit;
            const std::uint32_t step = rng_.between(1, 2);
            if (rng_.percent(60)) {
                // Some steps are no whole units.
                policy.step = rng_.percent(25) ? step * unit / 4 : step * unit;
            }
            if (rng_.percent(60)) {
                const std::uint32_t steps = (value - least) / step;
                policy.max = (least + rng_.between(0, steps) * step) * unit;
            }
        } else if (kind == 3) {
            policy.valid_values = {least * unit};
            if (rng_.percent(80)) {
                policy.valid_values.push_back(rng_.between(least + 1, value) * unit);
            }
        }
        capacity.policy = policy;
        return capacity;
    }

    void make_draws(SliceDevice& device) {
        for (const auto& [set, counters] : sets_) {
            if (!device.draws.empty() && rng_.percent(60)) {
                continue;
            }
            CounterDraw draw;
            draw.counter_set = set;
            for (const auto& [counter, amount] : counters) {
                if (draw.counters.empty() || rng_.percent(70)) {
                    draw.counters[counter] = Nanos{rng_.below(4)} * unit;
                }
            }
            if (has_groups_ && rng_.percent(75)) {
                draw.compatibility_groups = {rng_.percent(50) ? "g" : "h"};
                if (rng_.percent(40)) {
                    draw.compatibility_groups = {"g", "h"};
                }
            }
            device.draws.push_back(std::move(draw));
        }
    }

    // One of what makes a pool incomplete, obsolete or invalid.
    void break_pool(std::size_t first) {
        const std::size_t last = out_.slices.size() - 1;
        DeviceSlice& slice = out_.slices[first + rng_.below(last - first + 1)];
        switch (rng_.below(5)) {
            case 0:
                for (std::size_t s = first; s <= last; ++s) {
                    out_.slices[s].slice_count += rng_.percent(80) ? 1 : 0;
                }
                return;
            case 1:
                for (std::size_t s = first; s <= last; ++s) {
                    ++out_.slices[s].slice_count;
                }
                make_newer_elsewhere();
                return;
            case 2:
                if (!slice.devices.empty()) {
                    slice.devices.push_back(slice.devices.front());
                }
                return;
            case 3:
                if (!slice.counter_sets.empty()) {
                    slice.repeated_counter_sets = {slice.counter_sets.begin()->first};
                }
                return;
            default:
                if (!slice.devices.empty()) {
                    const bool is_set = sets_.empty() || rng_.percent(50);
                    slice.devices.back().draws = {
                        {is_set ? "none" : "s0", {{is_set ? "u" : "none", unit}}, {}}};
                }
        }
    }

    void make_newer_elsewhere() {
        const std::int64_t own = pool_.generation;
        pool_.generation += rng_.between(1, 2);
        sets_.clear();
        make_device_slice(1, false);
        out_.slices.back().slice_count = rng_.between(1, 2);
        pool_.generation = own;
    }

    void make_other_generation() {
        if (rng_.percent(40)) {
            make_newer_elsewhere();
            return;
        }
        const std::int64_t own = pool_.generation;
        const bool is_newer = rng_.percent(25);
        pool_.generation += is_newer ? 1 : -1;
        if (is_newer) {
            sets_.clear();
        }
        make_device_slice(rng_.between(1, 2), true);
        pool_.generation = own;
    }

    void make_taken() {
        const std::uint32_t chance = rng_.pick(std::vector<std::uint32_t>{0, 10, 30});
        for (const DeviceSlice& slice : out_.slices) {
            for (const SliceDevice& device : slice.devices) {
                if (rng_.percent(chance)) {
                    take(slice, device);
                }
            }
        }
        if (rng_.percent(5)) {
            out_.taken.push_back({{"a.io", "p", "gone"}, std::nullopt});
        }
    }

    void take(const DeviceSlice& slice, const SliceDevice& device) {
        TakenDevice taken;
        taken.id = {slice.driver, slice.pool, device.name};
        // Seldom it was of the other kind when it was taken.
        if (device.is_shared == rng_.percent(4)) {
            out_.taken.push_back(taken);
            return;
        }
        for (std::uint32_t times = rng_.between(1, 2); times > 0; --times) {
            taken.consumed.emplace();
            for (const auto& [name, capacity] : device.capacities) {
                const bool is_bare = name.find('/') == std::string::npos;
                (*taken.consumed)[is_bare ? slice.driver + "/" + name : name] =
                    Nanos{rng_.between(1, 3)} * unit;
            }
            out_.taken.push_back(taken);
        }
    }

    static constexpr Nanos unit = 1'000'000'000;

    Rng& rng_;
    ClaimWorld out_;
    DeviceSlice pool_;     // what its slices have in common
    CounterAmounts sets_;  // of the pool
    std::uint32_t made_ = 0, device_names_ = 0;
    bool has_shared_ = false, has_capacities_ = false, has_taints_ = false;
    bool has_binding_ = false, has_lists_ = false, has_groups_ = false;
    bool is_broken_ = false;
};

}  // namespace

ClaimWorld make_claim_world(Rng& rng) {
    return WorldMaker(rng).make();
}

}  // namespace topoalloc::oracle
