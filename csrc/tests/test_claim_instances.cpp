// SPDX-License-Identifier: Apache-2.0
//
// The random claim problems: that they reach everything the definition speaks of, that
// the search of the oracle finds the first of all allocations, and that they shrink.
#include "oracle/claim_brute.hpp"
#include "oracle/claim_instances.hpp"
#include "oracle/claim_pools.hpp"
#include "oracle/claim_rules.hpp"
#include "oracle/claim_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t most = 20'000;

using Features = std::map<std::string, bool>;

template <class List, class Holds>
bool any(const List& list, const Holds& holds) {
    return std::any_of(list.begin(), list.end(), holds);
}

void add_semantics(const ClaimSemantics& has, Features& features) {
    features["without taints"] = !has.taints;
    features["without counters"] = !has.counters;
    features["without consumable capacity"] = !has.consumable_capacity;
    features["without binding conditions"] = !has.binding_conditions;
    features["without lists"] = !has.lists;
    features["without compatibility groups"] = !has.compatibility_groups;
}

void add_slices(const ClaimWorld& world, Features& features) {
    const auto targets = [&](NodeTarget::Kind kind) {
        return any(world.slices, [&](const auto& s) { return s.target.kind == kind; });
    };
    features["nodeName"] = targets(NodeTarget::Kind::name);
    features["allNodes"] = targets(NodeTarget::Kind::all);
    features["nodeSelector"] = targets(NodeTarget::Kind::selector);
    features["per-device nodes"] =
        any(world.slices, [](const auto& s) { return s.targets_by_device; });
}

void add_pools(const ClaimWorld& world, Features& features) {
    const ClaimInventory inventory = read_world(world);
    const auto& pools = inventory.pools;
    features["several pools"] = pools.size() > 1;
    features["several drivers"] =
        any(pools, [&](const auto& p) { return p.driver != pools[0].driver; });
    features["one pool name of two drivers"] =
        pools.size() > 1 && pools[0].name == pools[1].name;
    features["incomplete pool"] =
        any(pools, [](const auto& p) { return p.state == PoolState::incomplete; });
    features["slices elsewhere"] =
        any(pools, [](const auto& p) { return p.known.size() > p.targeting.size(); });
    features["taken elsewhere"] = any(pools, [&](const auto& pool) {
        const auto on_node =
            std::count_if(inventory.devices.begin(),
                          inventory.devices.end(),
                          [&](const auto& device) {
                              return &pools[device.pool] == &pool && device.is_drawing;
                          });
        return std::cmp_greater(pool.known_taken.size(), on_node);
    });
    features["device for another node"] =
        any(inventory.devices, [](const auto& d) { return !d.is_for_node; });
    features["generations"] = any(world.slices, [&](const DeviceSlice& slice) {
        return any(pools, [&](const auto& pool) {
            return pool.driver == slice.driver && pool.name == slice.pool &&
                   pool.targeting[0]->generation != slice.generation;
        });
    });
    features["obsolete pool"] = any(world.slices, [&](const DeviceSlice& slice) {
        return slice.target.kind == NodeTarget::Kind::name &&
               slice.target.name == "n0" && slice.counter_sets.empty() &&
               !any(pools, [&](const auto& pool) {
                   return pool.driver == slice.driver && pool.name == slice.pool;
               });
    });
}

void add_capacity(const DeviceCapacity& capacity, Features& features) {
    features["capacity without policy"] |= !capacity.policy;
    if (!capacity.policy) {
        return;
    }
    const CapacityPolicy& policy = *capacity.policy;
    features["default alone"] |= !policy.min && policy.valid_values.empty();
    features["range"] |= policy.min && !policy.max && !policy.step;
    features["range with max"] |= policy.min && policy.max;
    features["range with step"] |= policy.min && policy.step;
    features["valid values"] |= !policy.valid_values.empty();
}

void add_device(const NodeDevice& node_device, Features& features) {
    const SliceDevice& device = *node_device.device;
    features["dedicated"] |= !node_device.is_shared;
    features["shared"] |= node_device.is_shared;
    features["taken"] |= node_device.is_taken;
    features["share taken"] |= !node_device.taken.empty();
    features["shared and taken whole"] |= node_device.is_shared && node_device.is_taken;
    features["draws"] |= !device.draws.empty();
    features["draws on two sets"] |= device.draws.size() > 1;
    features["compatibility groups"] |= any(
        device.draws, [](const auto& d) { return !d.compatibility_groups.empty(); });
    features["taint"] |= any(device.taints, [](const auto& taint) {
        return taint.effect != DeviceTaintEffect::none;
    });
    features["binding conditions"] |= device.has_binding_conditions;
    for (const auto& [name, capacity] : node_device.capacities) {
        add_capacity(capacity, features);
    }
    for (const auto& [name, values] : device.attributes) {
        features["both spellings"] |=
            device.attributes.contains(node_device.id.driver + "/" + name);
    }
}

void add_demand(const ClaimDemand& demand, Features& features) {
    features["All"] |= demand.mode == AllocationMode::all;
    features["several devices"] |= demand.count > 1;
    features["adminAccess"] |= demand.admin_access;
    features["toleration"] |= !demand.tolerations.empty();
    for (const auto& [name, amount] : demand.capacity_requests) {
        const bool is_bare = name.find('/') == std::string::npos;
        features[is_bare ? "capacity request" : "capacity request with domain"] = true;
    }
}

void add_constraint(const ClaimInstance& instance,
                    const ClaimConstraint& constraint,
                    Features& features) {
    const std::string which = constraint.is_distinct ? "distinct" : "match";
    constexpr std::array<const char*, 4> kinds{
        " booleans", " integers", " texts", " versions"};
    for (const NodeDevice& device : read_world(instance.world).devices) {
        const auto own = device.attributes.find(constraint.attribute);
        if (own != device.attributes.end()) {
            features[which + kinds[static_cast<std::size_t>(own->second.kind)]] = true;
            features[which + " lists"] |= own->second.is_list;
        }
    }
    features[which + " all requests"] |= constraint.requests.empty();
    for (const std::string& name : constraint.requests) {
        const bool is_entry = name.find('/') != std::string::npos;
        features[which + (is_entry ? " entries" : " requests")] = true;
    }
}

void add_claim(const ClaimInstance& instance,
               const ResourceClaimSpec& claim,
               Features& features) {
    features["several requests"] |= claim.requests.size() > 1;
    const auto devices = static_cast<std::int64_t>(positions_of(instance.world).size());
    std::int64_t largest = 0;
    for (const ClaimRequest& request : claim.requests) {
        features["firstAvailable"] |= request.is_prioritized;
        std::int64_t own = 0;
        for (const ClaimDemand& demand : request.demands) {
            add_demand(demand, features);
            own = std::max(own,
                           demand.mode == AllocationMode::all ? devices : demand.count);
        }
        largest += own;
    }
    features["could pass 32 results"] |= largest > 32;
    for (const ClaimConstraint& constraint : claim.constraints) {
        add_constraint(instance, constraint, features);
    }
}

Features features_of(const ClaimInstance& instance) {
    Features features;
    add_semantics(instance.world.semantics, features);
    add_slices(instance.world, features);
    add_pools(instance.world, features);
    for (const NodeDevice& device : read_world(instance.world).devices) {
        add_device(device, features);
    }
    features["several claims"] = instance.question.claims.size() > 1;
    for (const ResourceClaimSpec& claim : instance.question.claims) {
        add_claim(instance, claim, features);
    }
    return features;
}

TEST(ClaimInstances, ReachEveryFeature) {
    std::map<std::string, std::pair<int, int>> seen;  // in feasible ones and others
    std::map<std::string, int> answers;
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
        const ClaimInstance instance = make_claim_instance(seed);
        ASSERT_EQ(wrong_with(instance), "") << seed << "\n" << dump(instance);
        const BruteClaims found =
            brute_first_fit(instance.world, instance.question, most);
        const std::string text = text_of(instance.question, found);
        ++answers[found.allocation ? "an allocation" : text.substr(0, text.find(' '))];
        if (found.fault || !found.is_counted) {
            continue;
        }
        for (const auto& [name, is_there] : features_of(instance)) {
            auto& [feasible, infeasible] = seen[name];
            feasible += is_there && found.allocation ? 1 : 0;
            infeasible += is_there && !found.allocation ? 1 : 0;
        }
    }
    for (const auto& [name, count] : seen) {
        EXPECT_GE(count.first, 3) << name << " in feasible ones";
        EXPECT_GE(count.second, 3) << name << " in infeasible ones";
    }
    EXPECT_EQ(seen.size(), 62U);
    EXPECT_GT(answers["an allocation"], 1400);
    EXPECT_GT(answers["none"], 1400);
    for (const char* fault : {"too_many_devices",
                              "capacity_twice",
                              "all_on_broken_pool",
                              "selector_failed",
                              "invalid_pool"}) {
        EXPECT_GT(answers[fault], 10) << fault;
    }
}

// Every allocation there is, in the order of the definition, without any search.
class AllAllocations {
  public:
    AllAllocations(const ClaimInstance& instance,
                   const std::function<bool(const ClaimAllocation&)>& sees)
        : instance_(instance),
          rules_(instance.world, instance.question),
          devices_(positions_of(instance.world).size()),
          sees_(sees) {
        for (const ResourceClaimSpec& claim : instance.question.claims) {
            allocation_.emplace_back(claim.requests.size());
        }
    }

    // False when it has seen enough.
    bool run() { return add_request(0, 0); }

  private:
    bool add_request(std::size_t claim, std::size_t request) {
        if (claim == allocation_.size()) {
            return sees_(allocation_);
        }
        const auto& requests = instance_.question.claims[claim].requests;
        if (request == requests.size()) {
            return add_request(claim + 1, 0);
        }
        ChosenRequest& chosen = allocation_[claim][request];
        for (std::size_t entry = 0; entry < requests[request].demands.size(); ++entry) {
            chosen.demand = entry;
            if (!add_devices(claim, request, 0)) {
                return false;
            }
        }
        return true;
    }

    // Any number of devices; those with fewer of the same beginning come later only
    // where they are no allocations, so their place in the order does not matter.
    bool add_devices(std::size_t claim, std::size_t request, std::size_t first) {
        ChosenRequest& chosen = allocation_[claim][request];
        const ClaimDemand& demand =
            instance_.question.claims[claim].requests[request].demands[chosen.demand];
        if (demand.mode == AllocationMode::exact_count &&
            std::cmp_equal(chosen.devices.size(), demand.count)) {
            return add_request(claim, request + 1);
        }
        if (++steps_ > 5000) {
            return false;
        }
        for (std::size_t p = first; p < devices_; ++p) {
            chosen.devices.push_back({p, rules_.consumed(demand, p)});
            const bool goes_on = add_devices(claim, request, p + 1);
            chosen.devices.pop_back();
            if (!goes_on) {
                return false;
            }
        }
        return demand.mode != AllocationMode::all || add_request(claim, request + 1);
    }

    const ClaimInstance& instance_;
    ClaimRules rules_;
    int steps_ = 0;
    std::size_t devices_;
    const std::function<bool(const ClaimAllocation&)>& sees_;
    ClaimAllocation allocation_;
};

TEST(ClaimInstances, HaveTheFirstOfAllAllocationsAsAnswer) {
    int feasible = 0;
    int infeasible = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        const ClaimInstance instance = make_claim_instance(seed);
        const auto& [world, question] = instance;
        const BruteClaims found = brute_first_fit(world, question, most);
        if (!found.is_counted || found.fault) {
            continue;
        }
        int left = 1000;
        std::optional<ClaimAllocation> first;
        const std::function<bool(const ClaimAllocation&)> sees =
            [&](const ClaimAllocation& allocation) {
                if (judge_claims(world, question, allocation).empty()) {
                    first = allocation;
                }
                return !first && --left > 0;
            };
        const bool is_all = AllAllocations(instance, sees).run();
        if (!is_all && !first) {
            continue;  // too many
        }
        ASSERT_EQ(first, found.allocation) << seed << "\n" << dump(instance);
        (first ? feasible : infeasible) += 1;
    }
    EXPECT_GT(feasible, 60);
    EXPECT_GT(infeasible, 40);
}

TEST(ClaimInstances, AreStructuredWithALateNo) {
    int feasible = 0;
    int late = 0;
    std::size_t devices = 0;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const ClaimInstance instance = make_structured_claim(seed);
        ASSERT_EQ(wrong_with(instance), "") << dump(instance);
        const BruteClaims found =
            brute_first_fit(instance.world, instance.question, most);
        ASSERT_FALSE(found.fault) << dump(instance);
        feasible += found.allocation ? 1 : 0;
        late += found.is_counted && !found.allocation && found.tried > 100 ? 1 : 0;
        devices = std::max(devices, positions_of(instance.world).size());
    }
    EXPECT_GT(feasible, 90);
    EXPECT_GT(late, 40);
    EXPECT_GE(devices, 14U);
    EXPECT_LE(devices, 16U);
}

TEST(ClaimInstances, ShrinkToWhatMatters) {
    const auto breaks_a_match = [](const ClaimInstance& instance) {
        const auto is_found = [](const ClaimInstance& one) {
            return brute_first_fit(one.world, one.question, 2000)
                .allocation.has_value();
        };
        ClaimInstance other = instance;
        for (ResourceClaimSpec& claim : other.question.claims) {
            claim.constraints.clear();
        }
        return !is_found(instance) && is_found(other);
    };
    int found = 0;
    for (std::uint64_t seed = 0; found < 4 && seed < 2000; ++seed) {
        const ClaimInstance instance = make_claim_instance(seed);
        if (!breaks_a_match(instance)) {
            continue;
        }
        ++found;
        const ClaimInstance small = shrink(instance, breaks_a_match);
        EXPECT_EQ(wrong_with(small), "") << dump(small);
        EXPECT_TRUE(breaks_a_match(small)) << dump(small);
        // One constraint is what it takes, and a claim whose devices break it.
        ASSERT_EQ(small.question.claims.size(), 1U) << dump(small);
        EXPECT_EQ(small.question.claims[0].constraints.size(), 1U) << dump(small);
        EXPECT_LE(positions_of(small.world).size(), 2U) << dump(small);
        EXPECT_TRUE(small.world.taken.empty()) << dump(small);
        EXPECT_TRUE(small.question.outcomes.empty()) << dump(small);
    }
    EXPECT_EQ(found, 4);
}

}  // namespace
}  // namespace topoalloc::oracle
