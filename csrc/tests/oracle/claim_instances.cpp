// SPDX-License-Identifier: Apache-2.0
#include "claim_instances.hpp"

#include "claim_brute.hpp"
#include "claim_pools.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t claim_stream = 0x5be0cd19137e2179;
constexpr Nanos unit = 1'000'000'000;

class QuestionMaker {
  public:
    QuestionMaker(Rng& rng, const ClaimWorld& world)
        : rng_(rng), world_(world), devices_(positions_of(world)) {}

    ClaimQuestion make() {
        make_selectors();
        const std::uint32_t claims = 1 + rng_.weighted({62, 28, 10});
        has_many_ = rng_.percent(6);
        for (std::uint32_t c = 0; c < claims; ++c) {
            out_.claims.push_back(make_claim(c));
        }
        return std::move(out_);
    }

  private:
    // Classes that stand for a driver, and selectors that stand for nothing.
    void make_selectors() {
        const bool can_fail = rng_.percent(9);
        for (const std::string driver : {"a.io", "b.io"}) {
            out_.outcomes.emplace_back();
            for (const DeviceId& id : devices_) {
                out_.outcomes.back().push_back(
                    id.driver == driver ? SelectorOutcome::yes : SelectorOutcome::no);
            }
        }
        for (std::uint32_t number = rng_.between(1, 3); number > 0; --number) {
            const std::uint32_t chance = rng_.between(65, 98);
            out_.outcomes.emplace_back();
            for (std::size_t p = 0; p < devices_.size(); ++p) {
                SelectorOutcome outcome =
                    rng_.percent(chance) ? SelectorOutcome::yes : SelectorOutcome::no;
                if (can_fail && rng_.percent(15)) {
                    outcome = SelectorOutcome::error;
                }
                out_.outcomes.back().push_back(outcome);
            }
        }
    }

    ResourceClaimSpec make_claim(std::uint32_t number) {
        ResourceClaimSpec claim;
        claim.name = "ns/c" + std::to_string(number);
        const std::uint32_t requests =
            has_many_ ? rng_.between(3, 6) : 1 + rng_.weighted({56, 31, 13});
        for (std::uint32_t r = 0; r < requests; ++r) {
            claim.requests.push_back(make_request("r" + std::to_string(r)));
        }
        for (std::uint32_t times = rng_.weighted({58, 30, 12}); times > 0; --times) {
            claim.constraints.push_back(make_constraint(claim));
        }
        return claim;
    }

    ClaimRequest make_request(std::string name) {
        ClaimRequest request;
        request.name = std::move(name);
        request.is_prioritized = rng_.percent(has_many_ ? 70 : 22);
        const std::uint32_t entries = request.is_prioritized ? rng_.between(1, 3) : 1;
        for (std::uint32_t e = 0; e < entries; ++e) {
            ClaimDemand demand = make_demand();
            if (request.is_prioritized) {
                demand.name = "e" + std::to_string(e);
            } else {
                demand.admin_access = rng_.percent(has_many_ ? 40 : 9);
            }
            if (has_many_ && e + 1 == entries && entries > 1) {
                demand.mode = AllocationMode::exact_count;
                demand.count = 1;
            }
            request.demands.push_back(std::move(demand));
        }
        return request;
    }

    ClaimDemand make_demand() {
        ClaimDemand demand;
        if (rng_.percent(75)) {
            const bool is_any = devices_.empty() || rng_.percent(10);
            const bool is_b =
                is_any ? rng_.percent(50) : rng_.pick(devices_).driver == "b.io";
            demand.selectors.push_back(is_b ? 1 : 0);
        }
        for (std::uint32_t times = rng_.weighted({60, 33, 7}); times > 0; --times) {
            demand.selectors.push_back(2 + rng_.below(out_.outcomes.size() - 2));
        }
        if (rng_.percent(has_many_ ? 45 : 6)) {
            demand.mode = AllocationMode::all;
        } else {
            demand.count = 1 + rng_.weighted({74, 17, 6, 3});
            if (has_many_ && rng_.percent(20)) {
                demand.count = rng_.between(8, 40);
            }
        }
        if (rng_.percent(35)) {
            demand.tolerations.push_back(make_toleration());
        }
        if (world_.semantics.consumable_capacity && rng_.percent(26)) {
            make_capacity_requests(demand);
        }
        return demand;
    }

    DeviceToleration make_toleration() {
        DeviceToleration toleration;
        if (rng_.percent(75)) {
            toleration.key = rng_.percent(70) ? "t" : "x";
        }
        if (toleration.key && rng_.percent(35)) {
            toleration.value = rng_.percent(50) ? "" : "v";
        }
        if (rng_.percent(40)) {
            toleration.effect = rng_.percent(60) ? DeviceTaintEffect::no_schedule
                                                 : DeviceTaintEffect::no_execute;
        }
        return toleration;
    }

    // In halves: none is a value of a policy unless it is rounded.
    void make_capacity_requests(ClaimDemand& demand) {
        const auto amount = [&] { return Nanos{rng_.between(1, 7)} * unit / 2; };
        demand.capacity_requests["mem"] = amount();
        if (rng_.percent(15)) {
            demand.capacity_requests = {
                {rng_.percent(50) ? "a.io/mem" : "b.io/mem", amount()}};
        }
        if (rng_.percent(8)) {
            demand.capacity_requests["res.io/bw"] = amount();
        }
        if (rng_.percent(6)) {
            demand.capacity_requests["a.io/mem"] = amount();
        }
    }

    ClaimConstraint make_constraint(const ResourceClaimSpec& claim) {
        static const std::vector<std::string> attributes{
            "resource.kubernetes.io/pcieRoot",
            "resource.kubernetes.io/pcieRoot",
            "resource.kubernetes.io/numaNode",
            "resource.kubernetes.io/numaNode",
            "a.io/ver",
            "b.io/ver",
            "a.io/flag",
            "b.io/flag"};
        ClaimConstraint constraint;
        constraint.is_distinct =
            world_.semantics.consumable_capacity && rng_.percent(35);
        constraint.attribute = rng_.pick(attributes);
        if (rng_.percent(50)) {
            return constraint;
        }
        for (const ClaimRequest& request : claim.requests) {
            if (!rng_.percent(60)) {
                continue;
            }
            if (request.is_prioritized && rng_.percent(50)) {
                constraint.requests.push_back(request.name + "/" +
                                              rng_.pick(request.demands).name);
            } else {
                constraint.requests.push_back(request.name);
            }
        }
        return constraint;
    }

    Rng& rng_;
    const ClaimWorld& world_;
    std::vector<DeviceId> devices_;
    ClaimQuestion out_;
    bool has_many_ = false;  // may pass the number of results
};

bool is_policy(const CapacityPolicy& policy, Nanos value) {
    if (policy.min ? !policy.valid_values.empty() : policy.max || policy.step) {
        return false;
    }
    if ((policy.min || !policy.valid_values.empty()) && !policy.default_amount) {
        return false;
    }
    return policy.default_amount.value_or(0) <= value &&
           policy.min.value_or(0) <= value && policy.max.value_or(0) <= value &&
           policy.step.value_or(1) > 0 &&
           std::is_sorted(policy.valid_values.begin(), policy.valid_values.end());
}

std::string_view wrong_with_slices(const ClaimWorld& world) {
    std::set<std::string> names;
    for (const DeviceSlice& slice : world.slices) {
        if (!names.insert(slice.name).second) {
            return "slice: a name twice";
        }
        if (!slice.devices.empty() &&
            !(slice.counter_sets.empty() && slice.repeated_counter_sets.empty())) {
            return "slice: devices and counter sets";
        }
        for (const SliceDevice& device : slice.devices) {
            for (const auto& [name, capacity] : device.capacities) {
                if (capacity.policy && !is_policy(*capacity.policy, capacity.value)) {
                    return "capacity: a policy that the API refuses";
                }
            }
            for (const auto& [name, values] : device.attributes) {
                if (values.values.empty() ||
                    (!values.is_list && values.values.size() != 1)) {
                    return "attribute: no value, or several without a list";
                }
            }
        }
    }
    return "";
}

std::string_view wrong_with_demand(const ClaimInstance& instance,
                                   const ClaimDemand& demand) {
    const bool is_new = !demand.capacity_requests.empty();
    if (is_new && !instance.world.semantics.consumable_capacity) {
        return "demand: a capacity request before its feature";
    }
    if (demand.count < 1) {
        return "demand: no device";
    }
    const bool is_selected = std::all_of(
        demand.selectors.begin(), demand.selectors.end(), [&](std::size_t selector) {
            return selector < instance.question.outcomes.size();
        });
    return is_selected ? "" : "demand: a selector that is not there";
}

bool is_named(const ResourceClaimSpec& claim, const std::string& name) {
    return std::any_of(
        claim.requests.begin(), claim.requests.end(), [&](const ClaimRequest& request) {
            return request.name == name ||
                   (request.is_prioritized &&
                    std::any_of(request.demands.begin(),
                                request.demands.end(),
                                [&](const ClaimDemand& demand) {
                                    return request.name + "/" + demand.name == name;
                                }));
        });
}

std::string_view wrong_with_claim(const ClaimInstance& instance,
                                  const ResourceClaimSpec& claim) {
    for (const ClaimRequest& request : claim.requests) {
        if (request.demands.empty() ||
            (!request.is_prioritized && request.demands.size() > 1)) {
            return "request: no demand, or several";
        }
        for (const ClaimDemand& demand : request.demands) {
            if (demand.admin_access && request.is_prioritized) {
                return "demand: adminAccess in firstAvailable";
            }
            if (const std::string_view wrong = wrong_with_demand(instance, demand);
                !wrong.empty()) {
                return wrong;
            }
        }
    }
    for (const ClaimConstraint& constraint : claim.constraints) {
        if (constraint.is_distinct && !instance.world.semantics.consumable_capacity) {
            return "constraint: distinctAttribute before its feature";
        }
        if (!std::all_of(constraint.requests.begin(),
                         constraint.requests.end(),
                         [&](const auto& name) { return is_named(claim, name); })) {
            return "constraint: a request that is not there";
        }
    }
    return "";
}

}  // namespace

ClaimInstance make_claim_instance(std::uint64_t seed) {
    Rng rng(seed ^ claim_stream);
    ClaimInstance instance;
    instance.world = make_claim_world(rng);
    instance.question = QuestionMaker(rng, instance.world).make();
    return instance;
}

std::string wrong_with(const ClaimInstance& instance) {
    if (const std::string_view wrong = wrong_with_slices(instance.world);
        !wrong.empty()) {
        return std::string(wrong);
    }
    for (const ResourceClaimSpec& claim : instance.question.claims) {
        if (const std::string_view wrong = wrong_with_claim(instance, claim);
            !wrong.empty()) {
            return std::string(wrong);
        }
    }
    const std::size_t devices = positions_of(instance.world).size();
    const auto& outcomes = instance.question.outcomes;
    const bool are_all =
        std::all_of(outcomes.begin(), outcomes.end(), [&](const auto& selector) {
            return selector.size() == devices;
        });
    return are_all ? "" : "outcomes: not of every device";
}

}  // namespace topoalloc::oracle
