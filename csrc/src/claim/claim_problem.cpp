// SPDX-License-Identifier: Apache-2.0
#include "claim/claim_problem.hpp"

#include "claim/capacity_policy.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace topoalloc {
namespace {

bool is_tolerated(const DeviceTaint& taint,
                  const std::vector<DeviceToleration>& tolerations) {
    return std::ranges::any_of(tolerations, [&](const DeviceToleration& toleration) {
        return (!toleration.key || *toleration.key == taint.key) &&
               (!toleration.value || *toleration.value == taint.value) &&
               (!toleration.effect || *toleration.effect == taint.effect);
    });
}

bool are_tolerated(const SliceDevice& device,
                   const std::vector<DeviceToleration>& tolerations) {
    return std::ranges::all_of(device.taints, [&](const DeviceTaint& taint) {
        return taint.effect == DeviceTaintEffect::none ||
               is_tolerated(taint, tolerations);
    });
}

// The requests of a demand by the names that a driver's devices give capacities.
class CapacityRequests {
  public:
    CapacityRequests(const ClaimDemand& demand, std::string_view driver) {
        for (const auto& [name, amount] : demand.capacity_requests) {
            const bool has_domain = name.find('/') != std::string::npos;
            std::string full = has_domain ? name : std::string(driver) + "/" + name;
            if (!requested_.emplace(full, amount).second) {
                twice_.push_back(std::move(full));
            }
        }
    }

    /// Is a capacity of the device requested both with and without its domain?
    [[nodiscard]] bool is_twice(const NodeDevice& device) const {
        return std::ranges::any_of(twice_, [&](const std::string& name) {
            return std::ranges::any_of(
                device.capacities,
                [&](const LeftCapacity& capacity) { return capacity.name == name; });
        });
    }

    /// What the device consumes; nothing when it does not suit.
    [[nodiscard]] std::optional<Consumption> on(const NodeDevice& device) const {
        std::size_t found = 0;
        Consumption out;
        for (const LeftCapacity& capacity : device.capacities) {
            const auto it = requested_.find(capacity.name);
            std::optional<Nanos> requested;
            if (it != requested_.end()) {
                requested = it->second;
                ++found;
            }
            const auto amount = consumed_of(*capacity.capacity, requested);
            if (!amount) {
                return std::nullopt;
            }
            out.push_back(*amount);
        }
        return found == requested_.size() ? std::optional(std::move(out))
                                          : std::nullopt;
    }

  private:
    std::map<std::string, Nanos> requested_;
    std::vector<std::string> twice_;
};

class ClaimCompiler {
  public:
    ClaimCompiler(const NodeDevices& node,
                  const std::vector<ResourceClaimSpec>& claims,
                  const SelectorOutcomes& outcomes,
                  const ClaimSemantics& semantics)
        : node_(node), claims_(claims), outcomes_(outcomes), semantics_(semantics) {
        ClaimProblem& problem = out_.problem;
        problem.node = &node;
        problem.claims = static_cast<std::uint32_t>(claims.size());
        for (const NodeDevice& device : node.devices) {
            problem.is_shared.push_back(semantics.consumable_capacity &&
                                        device.device->is_shared);
        }
        problem.skips_invalid_pools = semantics.skips_invalid_pools;
        problem.has_faults = !semantics.skips_invalid_pools &&
                             std::ranges::any_of(node.pools, [](const NodePool& pool) {
                                 return pool.state == PoolState::invalid;
                             });
    }

    CompiledClaims run() {
        for (std::uint32_t c = 0; c < claims_.size() && !out_.fault; ++c) {
            add_claim(c);
        }
        return std::move(out_);
    }

  private:
    void refuse(ClaimFault::Kind kind, const ProblemDemand& demand) {
        ClaimFault fault;
        fault.kind = kind;
        fault.claim = demand.claim;
        fault.request = demand.request;
        fault.demand = demand.entry;
        out_.fault = std::move(fault);
    }

    void add_claim(std::uint32_t claim) {
        const ResourceClaimSpec& spec = claims_[claim];
        const auto first = static_cast<std::uint32_t>(out_.problem.constraints.size());
        for (const ClaimConstraint& constraint : spec.constraints) {
            out_.problem.constraints.push_back(
                {constraint.is_distinct, attribute_of(constraint.attribute)});
        }
        std::uint64_t fewest = 0;
        for (std::uint32_t r = 0; r < spec.requests.size() && !out_.fault; ++r) {
            fewest += add_request(claim, r, first);
        }
        if (!out_.fault && fewest > most_results) {
            ProblemDemand of_claim;
            of_claim.claim = claim;
            refuse(ClaimFault::Kind::too_many_devices, of_claim);
        }
    }

    // @returns the devices that it has at least
    std::uint64_t add_request(std::uint32_t claim,
                              std::uint32_t request,
                              std::uint32_t first_constraint) {
        const ResourceClaimSpec& spec = claims_[claim];
        const ClaimRequest& asked = spec.requests[request];
        ProblemRequest made{claim, {}};
        std::uint64_t fewest = std::numeric_limits<std::uint32_t>::max();
        for (std::uint32_t e = 0; e < asked.demands.size() && !out_.fault; ++e) {
            ProblemDemand demand;
            demand.claim = claim;
            demand.request = request;
            demand.entry = e;
            for (std::uint32_t i = 0; i < spec.constraints.size(); ++i) {
                if (is_in_scope(spec.constraints[i], asked, asked.demands[e])) {
                    demand.constraints.push_back(first_constraint + i);
                }
            }
            add_candidates(asked.demands[e], demand);
            fewest = std::min(fewest, demand.need);
            made.demands.push_back(
                static_cast<std::uint32_t>(out_.problem.demands.size()));
            out_.problem.demands.push_back(std::move(demand));
        }
        out_.problem.requests.push_back(std::move(made));
        return fewest;
    }

    static bool is_in_scope(const ClaimConstraint& constraint,
                            const ClaimRequest& request,
                            const ClaimDemand& demand) {
        return constraint.requests.empty() ||
               std::ranges::any_of(constraint.requests, [&](const std::string& name) {
                   return name == request.name ||
                          (request.is_prioritized &&
                           name == request.name + "/" + demand.name);
               });
    }

    void add_candidates(const ClaimDemand& asked, ProblemDemand& demand) {
        demand.is_all = asked.mode == AllocationMode::all;
        demand.has_admin_access = asked.admin_access;
        if (refuse_twice(asked, demand) ||
            (demand.is_all && refuse_all(asked, demand))) {
            return;
        }
        for (const NodePool& pool : node_.pools) {
            const CapacityRequests requests(asked, pool.any->driver);
            for (std::size_t d = pool.first; d < pool.end; ++d) {
                add_candidate(asked, requests, static_cast<std::uint32_t>(d), demand);
            }
        }
        demand.need = demand.is_all ? demand.candidates.size()
                                    : static_cast<std::uint64_t>(asked.count);
        demand.is_blocked =
            demand.is_blocked || (demand.is_all && demand.candidates.empty());
    }

    bool refuse_twice(const ClaimDemand& asked, const ProblemDemand& demand) {
        for (const NodePool& pool : node_.pools) {
            const CapacityRequests requests(asked, pool.any->driver);
            for (std::size_t d = pool.first; d < pool.end; ++d) {
                if (requests.is_twice(node_.devices[d])) {
                    refuse(ClaimFault::Kind::capacity_twice, demand);
                    out_.fault->position = d;
                    return true;
                }
            }
        }
        return false;
    }

    // All speaks of every device of every pool.
    bool refuse_all(const ClaimDemand& asked, const ProblemDemand& demand) {
        for (const NodePool& pool : node_.pools) {
            if (pool.state != PoolState::usable) {
                refuse(ClaimFault::Kind::all_on_broken_pool, demand);
                out_.fault->driver = pool.any->driver;
                out_.fault->pool = pool.any->pool;
                out_.fault->detail = pool.fault;
                return true;
            }
            for (std::size_t d = pool.first; d < pool.end; ++d) {
                if (outcome_of(asked, d) == SelectorOutcome::error) {
                    refuse(ClaimFault::Kind::selector_failed, demand);
                    out_.fault->position = d;
                    return true;
                }
            }
        }
        return false;
    }

    [[nodiscard]] SelectorOutcome outcome_of(const ClaimDemand& asked,
                                             std::size_t device) const {
        for (const std::size_t selector : asked.selectors) {
            const SelectorOutcome outcome = outcomes_[selector][device];
            if (outcome != SelectorOutcome::yes) {
                return outcome;
            }
        }
        return SelectorOutcome::yes;
    }

    void add_candidate(const ClaimDemand& asked,
                       const CapacityRequests& requests,
                       std::uint32_t d,
                       ProblemDemand& demand) {
        const NodeDevice& device = node_.devices[d];
        const SelectorOutcome outcome = outcome_of(asked, d);
        const bool is_left = is_left_by_others(asked, device, d);
        demand.counts.devices += device.is_for_node ? 1 : 0;
        if (outcome == SelectorOutcome::error) {
            demand.first_failing = std::min(demand.first_failing, d);
            if (is_left) {
                demand.failing.push_back(d);
                out_.problem.has_faults = true;
            }
            return;
        }
        if (outcome == SelectorOutcome::no || !device.is_for_node) {
            return;
        }
        ++demand.counts.match;
        std::optional<Consumption> consumes = Consumption{};
        if (semantics_.consumable_capacity) {
            consumes = requests.on(device);
        }
        if (!consumes) {
            return;
        }
        ++demand.counts.suit;
        const bool is_open = is_open_to(asked, demand, d, *consumes, is_left);
        if (demand.is_all) {
            demand.is_blocked = demand.is_blocked || !is_open;
        } else if (!is_open) {
            return;
        }
        demand.candidates.push_back(d);
        demand.consumes.push_back(out_.problem.is_shared[d] ? std::move(*consumes)
                                                            : Consumption{});
    }

    // May the device be chosen, by itself? Counts the tests that it passes.
    bool is_open_to(const ClaimDemand& asked,
                    ProblemDemand& demand,
                    std::uint32_t d,
                    const Consumption& consumes,
                    bool is_left) const {
        const NodeDevice& device = node_.devices[d];
        const bool has_left =
            is_left && (asked.admin_access || has_room(device, d, consumes));
        const bool is_tolerated = has_left && may_be_chosen(asked, device);
        const bool is_open = is_tolerated && has_values(demand, d);
        demand.counts.free += has_left ? 1 : 0;
        demand.counts.tolerated += is_tolerated ? 1 : 0;
        demand.counts.open += is_open ? 1 : 0;
        return is_open;
    }

    // Rule 2, of what is taken.
    [[nodiscard]] bool is_left_by_others(const ClaimDemand& asked,
                                         const NodeDevice& device,
                                         std::uint32_t d) const {
        return asked.admin_access ||
               !(out_.problem.is_shared[d] ? device.is_taken_whole : device.is_taken);
    }

    // Each constraint of the demand takes the device by itself.
    [[nodiscard]] bool has_values(const ProblemDemand& demand, std::uint32_t d) const {
        return std::ranges::all_of(demand.constraints, [&](std::uint32_t number) {
            const ProblemConstraint& rule = out_.problem.constraints[number];
            const auto& values = out_.problem.attributes[rule.attribute].values[d];
            return values && (rule.is_distinct || !values->empty());
        });
    }

    // Rules 3 and 4, of what is taken.
    [[nodiscard]] bool has_room(const NodeDevice& device,
                                std::uint32_t d,
                                const Consumption& consumes) const {
        for (std::size_t i = 0; out_.problem.is_shared[d] && i < consumes.size(); ++i) {
            if (consumes[i] > device.capacities[i].left) {
                return false;
            }
        }
        return device.is_taken ||
               std::ranges::all_of(device.draws, [&](const SetDraw& draw) {
                   return std::ranges::all_of(draw.counters, [&](const auto& each) {
                       return each.second <= node_.left[each.first];
                   });
               });
    }

    // Rule 1, and the features.
    [[nodiscard]] bool may_be_chosen(const ClaimDemand& asked,
                                     const NodeDevice& device) const {
        if (semantics_.taints && !are_tolerated(*device.device, asked.tolerations)) {
            return false;
        }
        if (!semantics_.binding_conditions && device.device->has_binding_conditions) {
            return false;
        }
        const auto& draws = device.device->draws;
        return (semantics_.counters || draws.empty()) &&
               (semantics_.compatibility_groups ||
                std::ranges::all_of(draws, [](const CounterDraw& draw) {
                    return draw.compatibility_groups.empty();
                }));
    }

    // Values are numbered by attribute.
    std::uint32_t attribute_of(const std::string& name) {
        const auto [it, is_new] = attributes_.try_emplace(
            name, static_cast<std::uint32_t>(out_.problem.attributes.size()));
        if (is_new) {
            out_.problem.attributes.push_back(read_attribute(name));
        }
        return it->second;
    }

    [[nodiscard]] ProblemAttribute read_attribute(const std::string& name) const {
        ProblemAttribute out;
        out.name = name;
        std::map<std::pair<AttributeKind, Scalar>, std::uint32_t> numbers;
        for (const NodeDevice& device : node_.devices) {
            auto& values = out.values.emplace_back();
            const DeviceValues* own = find_attribute(device, name);
            if (own == nullptr || (own->is_list && !semantics_.lists)) {
                continue;
            }
            values.emplace();
            for (const Scalar& value : own->values) {
                values->push_back(
                    numbers
                        .try_emplace({own->kind, value},
                                     static_cast<std::uint32_t>(numbers.size()))
                        .first->second);
            }
            std::ranges::sort(*values);
            const auto repeated = std::ranges::unique(*values);
            values->erase(repeated.begin(), repeated.end());
        }
        out.value_count = static_cast<std::uint32_t>(numbers.size());
        return out;
    }

    const NodeDevices& node_;
    const std::vector<ResourceClaimSpec>& claims_;
    const SelectorOutcomes& outcomes_;
    const ClaimSemantics& semantics_;
    CompiledClaims out_;
    std::map<std::string_view, std::uint32_t> attributes_;
};

}  // namespace

CompiledClaims compile_claims(const NodeDevices& node,
                              const std::vector<ResourceClaimSpec>& claims,
                              const SelectorOutcomes& outcomes,
                              const ClaimSemantics& semantics) {
    return ClaimCompiler(node, claims, outcomes, semantics).run();
}

ClaimFault fault_of_pool(const NodePool& pool) {
    ClaimFault fault;
    fault.kind = ClaimFault::Kind::invalid_pool;
    fault.driver = pool.any->driver;
    fault.pool = pool.any->pool;
    fault.detail = pool.fault;
    return fault;
}

ClaimAllocation allocation_of(const ClaimProblem& problem,
                              const std::vector<std::uint32_t>& demands,
                              const std::vector<std::vector<std::size_t>>& chosen) {
    ClaimAllocation out(problem.claims);
    for (std::uint32_t r = 0; r < problem.requests.size(); ++r) {
        const ProblemDemand& demand = problem.demands[demands[r]];
        ChosenRequest& made = out[problem.requests[r].claim].emplace_back();
        made.demand = demand.entry;
        for (const std::size_t candidate : chosen[r]) {
            ChosenDevice& device = made.devices.emplace_back();
            device.position = demand.candidates[candidate];
            const auto& capacities = problem.node->devices[device.position].capacities;
            for (std::size_t i = 0; i < demand.consumes[candidate].size(); ++i) {
                device.consumed[capacities[i].name] = demand.consumes[candidate][i];
            }
        }
    }
    return out;
}

}  // namespace topoalloc
