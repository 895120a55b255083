// SPDX-License-Identifier: Apache-2.0
#include "claim_brute.hpp"

#include "claim_rules.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace topoalloc::oracle {
namespace {

using Kind = BruteFault::Kind;

constexpr std::int64_t most_results = 32;

// The errors of section 5 that are there before any search.
class ClaimChecker {
  public:
    ClaimChecker(const ClaimRules& rules, const ClaimQuestion& question)
        : rules_(rules), question_(question) {}

    [[nodiscard]] std::optional<BruteFault> first_fault() {
        for (at_.claim = 0; at_.claim < question_.claims.size(); ++at_.claim) {
            if (auto fault = fault_of_claim()) {
                return fault;
            }
        }
        return std::nullopt;
    }

  private:
    [[nodiscard]] std::optional<BruteFault> fault_of_claim() {
        const ResourceClaimSpec& claim = question_.claims[at_.claim];
        std::int64_t total = 0;
        for (at_.request = 0; at_.request < claim.requests.size(); ++at_.request) {
            const ClaimRequest& request = claim.requests[at_.request];
            std::int64_t fewest = most_results + 1;
            for (at_.demand = 0; at_.demand < request.demands.size(); ++at_.demand) {
                const ClaimDemand& demand = request.demands[at_.demand];
                if (auto fault = fault_of_demand(demand)) {
                    return fault;
                }
                fewest = std::min(fewest, count_of(demand));
            }
            total += fewest;
        }
        if (total > most_results) {
            return BruteFault{Kind::too_many_devices, at_.claim, 0, 0, 0, {}, {}};
        }
        return std::nullopt;
    }

    [[nodiscard]] std::int64_t count_of(const ClaimDemand& demand) const {
        return demand.mode == AllocationMode::all
                   ? static_cast<std::int64_t>(rules_.fixed(demand).size())
                   : demand.count;
    }

    [[nodiscard]] BruteFault fault(Kind kind, std::size_t position) const {
        return {kind, at_.claim, at_.request, at_.demand, position, {}, {}};
    }

    [[nodiscard]] std::optional<BruteFault> fault_of_demand(const ClaimDemand& demand) {
        const auto& devices = rules_.inventory().devices;
        for (std::size_t p = 0; p < devices.size(); ++p) {
            if (requests_twice(demand, devices[p])) {
                return fault(Kind::capacity_twice, p);
            }
        }
        return demand.mode == AllocationMode::all ? fault_of_all(demand) : std::nullopt;
    }

    [[nodiscard]] static bool requests_twice(const ClaimDemand& demand,
                                             const NodeDevice& device) {
        return std::any_of(
            device.capacities.begin(), device.capacities.end(), [&](const auto& entry) {
                return std::count_if(demand.capacity_requests.begin(),
                                     demand.capacity_requests.end(),
                                     [&](const auto& request) {
                                         return with_domain(request.first,
                                                            device.id.driver) ==
                                                entry.first;
                                     }) > 1;
            });
    }

    [[nodiscard]] std::optional<BruteFault> fault_of_all(const ClaimDemand& demand) {
        for (const NodePool& pool : rules_.inventory().pools) {
            if (pool.state != PoolState::usable) {
                BruteFault result = fault(Kind::all_on_broken_pool, 0);
                result.driver = pool.driver;
                result.pool = pool.name;
                return result;
            }
            for (std::size_t p = pool.first; p < pool.first + pool.count; ++p) {
                if (rules_.outcome(demand, p) == SelectorOutcome::error) {
                    return fault(Kind::selector_failed, p);
                }
            }
        }
        return std::nullopt;
    }

    const ClaimRules& rules_;
    const ClaimQuestion& question_;
    ClaimChoice at_;
};

// The depth-first search of the definition.
class ClaimBrute {
  public:
    ClaimBrute(const ClaimWorld& world,
               const ClaimQuestion& question,
               bool is_first_fit,
               std::uint64_t most)
        : question_(question),
          rules_(world, question),
          is_first_fit_(is_first_fit),
          skips_pools_(world.semantics.skips_invalid_pools),
          most_(most) {}

    BruteClaims run() {
        result_.fault = ClaimChecker(rules_, question_).first_fault();
        if (result_.fault) {
            return std::move(result_);
        }
        choose_request(0, 0);
        if (!result_.is_counted) {
            result_.fault.reset();
            result_.allocation.reset();
        } else if (!is_first_fit_ && !result_.allocation) {
            result_.fault = first_left_out();
        } else if (skips_pools_ && !result_.allocation && !result_.fault) {
            result_.fault = first_invalid();
        }
        return std::move(result_);
    }

  private:
    [[nodiscard]] bool is_over() const {
        return (is_first_fit_ && result_.allocation) || result_.fault ||
               !result_.is_counted;
    }

    void choose_request(std::size_t claim, std::size_t request) {
        if (claim == question_.claims.size()) {
            take(allocation());
            return;
        }
        const auto& requests = question_.claims[claim].requests;
        if (request == requests.size()) {
            choose_request(claim + 1, 0);
            return;
        }
        const std::size_t entries = requests[request].demands.size();
        for (std::size_t entry = 0; entry < entries && !is_over(); ++entry) {
            entries_.push_back(entry);
            choose_entry({claim, request, entry, 0});
            entries_.pop_back();
        }
    }

    // Of those of one cost the first that is met is the one.
    void take(ClaimAllocation found) {
        ClaimTerms cost = cost_of_claims(rules_.inventory(), question_, found);
        if (!result_.allocation || cost < result_.cost) {
            result_.cost = std::move(cost);
            result_.allocation = std::move(found);
        }
    }

    void choose_entry(const ClaimChoice& at) {
        const ClaimDemand& demand = rules_.demand_of(at);
        const std::int64_t before = std::count_if(
            choices_.begin(), choices_.end(), [&](const ClaimChoice& choice) {
                return choice.claim == at.claim;
            });
        if (demand.mode == AllocationMode::all) {
            const auto fixed = rules_.fixed(demand);
            if (before + static_cast<std::int64_t>(fixed.size()) <= most_results) {
                choose_all(at, fixed);
            }
        } else if (demand.count <= most_results - before) {
            choose_device(at, demand.count, 0);
        }
    }

    void choose_all(ClaimChoice at, const std::vector<std::size_t>& fixed) {
        if (fixed.empty()) {
            return;
        }
        const std::size_t before = choices_.size();
        for (const std::size_t position : fixed) {
            count_try();
            at.position = position;
            choices_.push_back(at);
        }
        if (rules_.broken(choices_).empty() && !is_over()) {
            choose_request(at.claim, at.request + 1);
        }
        choices_.resize(before);
    }

    // `left` more devices, from the pool of the one before, from behind it.
    void choose_device(ClaimChoice at, std::int64_t left, std::size_t first_pool) {
        if (left == 0) {
            choose_request(at.claim, at.request + 1);
            return;
        }
        const auto& pools = rules_.inventory().pools;
        for (std::size_t p = first_pool; p < pools.size() && !is_over(); ++p) {
            if (pools[p].state == PoolState::invalid && is_first_fit_ &&
                !skips_pools_) {
                result_.fault = fault_of(pools[p]);
            }
            if (pools[p].state != PoolState::usable) {
                continue;
            }
            const std::size_t end = pools[p].first + pools[p].count;
            at.position = std::max(at.position, pools[p].first);
            for (; at.position < end && !is_over(); ++at.position) {
                try_device(at, left, p);
            }
        }
    }

    void try_device(ClaimChoice at, std::int64_t left, std::size_t pool) {
        count_try();
        choices_.push_back(at);
        if (!is_over() && rules_.keeps_rule_2(choices_)) {
            const SelectorOutcome outcome =
                rules_.outcome(rules_.demand_of(at), at.position);
            if (outcome == SelectorOutcome::error && is_first_fit_) {
                result_.fault = fault_of(at);
            } else if (outcome == SelectorOutcome::yes &&
                       rules_.broken(choices_).empty()) {
                ++at.position;
                choose_device(at, left - 1, pool);
            }
        }
        choices_.pop_back();
    }

    void count_try() { result_.is_counted = ++result_.tried <= most_; }

    [[nodiscard]] static BruteFault fault_of(const NodePool& pool) {
        return {Kind::invalid_pool, 0, 0, 0, 0, pool.driver, pool.name};
    }

    [[nodiscard]] static BruteFault fault_of(const ClaimChoice& at) {
        return {Kind::selector_failed,
                at.claim,
                at.request,
                at.demand,
                at.position,
                {},
                {}};
    }

    [[nodiscard]] ClaimAllocation allocation() const {
        ClaimAllocation result;
        auto entry = entries_.begin();
        for (const ResourceClaimSpec& claim : question_.claims) {
            result.emplace_back();
            for (std::size_t r = 0; r < claim.requests.size(); ++r) {
                result.back().push_back({*entry++, {}});
            }
        }
        for (const ClaimChoice& choice : choices_) {
            result[choice.claim][choice.request].devices.push_back(
                {choice.position,
                 rules_.consumed(rules_.demand_of(choice), choice.position)});
        }
        return result;
    }

    [[nodiscard]] std::optional<BruteFault> first_invalid() const {
        for (const NodePool& pool : rules_.inventory().pools) {
            if (pool.state == PoolState::invalid) {
                return fault_of(pool);
            }
        }
        return std::nullopt;
    }

    // Of the pools and devices that `optimal` leaves out.
    [[nodiscard]] std::optional<BruteFault> first_left_out() const {
        if (auto fault = first_invalid()) {
            return fault;
        }
        ClaimChoice at;
        for (at.claim = 0; at.claim < question_.claims.size(); ++at.claim) {
            const auto& requests = question_.claims[at.claim].requests;
            for (at.request = 0; at.request < requests.size(); ++at.request) {
                const auto& demands = requests[at.request].demands;
                for (at.demand = 0; at.demand < demands.size(); ++at.demand) {
                    if (auto fault = first_failed(at)) {
                        return fault;
                    }
                }
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] std::optional<BruteFault> first_failed(ClaimChoice at) const {
        const std::size_t devices = rules_.inventory().devices.size();
        for (at.position = 0; at.position < devices; ++at.position) {
            if (rules_.outcome(rules_.demand_of(at), at.position) ==
                SelectorOutcome::error) {
                return fault_of(at);
            }
        }
        return std::nullopt;
    }

    const ClaimQuestion& question_;
    ClaimRules rules_;
    bool is_first_fit_;
    bool skips_pools_;
    std::uint64_t most_;
    std::vector<std::size_t> entries_;  // of the requests so far
    std::vector<ClaimChoice> choices_;
    BruteClaims result_;
};

// The devices of one demand, but for the rules of section 3.
std::string_view judge_request(const ClaimRules& rules,
                               const ClaimDemand& demand,
                               const ChosenRequest& chosen) {
    std::vector<std::size_t> positions;
    for (const ChosenDevice& device : chosen.devices) {
        if (device.position >= rules.inventory().devices.size()) {
            return "shape";
        }
        if (!positions.empty() && device.position < positions.back()) {
            return "shape";
        }
        if (device.consumed != rules.consumed(demand, device.position)) {
            return "consumed";
        }
        positions.push_back(device.position);
    }
    if (demand.mode == AllocationMode::all) {
        return positions.empty() || positions != rules.fixed(demand) ? "devices" : "";
    }
    return std::cmp_equal(positions.size(), demand.count) ? "" : "devices";
}

bool is_of_shape(const ClaimQuestion& question, const ClaimAllocation& allocation) {
    return std::equal(question.claims.begin(),
                      question.claims.end(),
                      allocation.begin(),
                      allocation.end(),
                      [](const ResourceClaimSpec& claim, const auto& chosen) {
                          return std::equal(claim.requests.begin(),
                                            claim.requests.end(),
                                            chosen.begin(),
                                            chosen.end(),
                                            [](const auto& request, const auto& one) {
                                                return one.demand <
                                                       request.demands.size();
                                            });
                      });
}

}  // namespace

BruteClaims brute_first_fit(const ClaimWorld& world,
                            const ClaimQuestion& question,
                            std::uint64_t most) {
    return ClaimBrute(world, question, true, most).run();
}

BruteClaims brute_best_fit(const ClaimWorld& world,
                           const ClaimQuestion& question,
                           std::uint64_t most) {
    return ClaimBrute(world, question, false, most).run();
}

std::string judge_claims(const ClaimWorld& world,
                         const ClaimQuestion& question,
                         const ClaimAllocation& allocation) {
    if (!is_of_shape(question, allocation)) {
        return "shape";
    }
    const ClaimRules rules(world, question);
    std::vector<ClaimChoice> choices;
    for (std::size_t c = 0; c < allocation.size(); ++c) {
        for (std::size_t r = 0; r < allocation[c].size(); ++r) {
            const ChosenRequest& chosen = allocation[c][r];
            const ClaimDemand& demand =
                question.claims[c].requests[r].demands[chosen.demand];
            if (const std::string_view wrong = judge_request(rules, demand, chosen);
                !wrong.empty()) {
                return std::string(wrong);
            }
            for (const ChosenDevice& device : chosen.devices) {
                choices.push_back({c, r, chosen.demand, device.position});
            }
        }
    }
    return std::string(rules.broken(choices));
}

std::vector<DeviceId> positions_of(const ClaimWorld& world) {
    std::vector<DeviceId> result;
    for (const NodeDevice& device : read_world(world).devices) {
        result.push_back(device.id);
    }
    return result;
}

}  // namespace topoalloc::oracle
