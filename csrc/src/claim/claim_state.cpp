// SPDX-License-Identifier: Apache-2.0
#include "claim/claim_state.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

using Values = std::vector<std::uint32_t>;

bool meet(const Values& a, const Values& b) {
    auto i = a.begin();
    auto j = b.begin();
    while (i != a.end() && j != b.end()) {
        if (*i == *j) {
            return true;
        }
        *i < *j ? ++i : ++j;
    }
    return false;
}

}  // namespace

ClaimState::ClaimState(const ClaimProblem& problem)
    : problem_(problem),
      results_(problem.claims),
      chosen_(problem.node->devices.size()),
      of_claim_(problem.node->devices.size(), no_index),
      counters_(problem.node->left),
      groups_(problem.node->counter_sets),
      members_(problem.constraints.size()),
      common_(problem.constraints.size()) {
    for (const NodeDevice& device : problem.node->devices) {
        Consumption& left = capacity_.emplace_back();
        for (const LeftCapacity& capacity : device.capacities) {
            left.push_back(capacity.left);
        }
    }
    for (const ProblemConstraint& constraint : problem.constraints) {
        used_.emplace_back(constraint.is_distinct
                               ? problem.attributes[constraint.attribute].value_count
                               : 0);
    }
}

bool ClaimState::is_passed_over(const ProblemDemand& demand,
                                std::uint32_t device) const {
    if (problem_.is_shared[device]) {
        return false;
    }
    return of_claim_[device] == demand.claim ||
           (!demand.has_admin_access && chosen_[device] > 0);
}

bool ClaimState::takes(std::uint32_t constraint, std::uint32_t device) const {
    const ProblemConstraint& rule = problem_.constraints[constraint];
    const auto& values = problem_.attributes[rule.attribute].values[device];
    if (!values) {
        return false;
    }
    if (rule.is_distinct) {
        return std::ranges::none_of(
            *values, [&](std::uint32_t value) { return used_[constraint][value]; });
    }
    return members_[constraint] == 0 ? !values->empty()
                                     : meet(common_[constraint], *values);
}

bool ClaimState::would_match(const ProblemDemand& demand, std::uint32_t device) const {
    return std::ranges::all_of(demand.constraints, [&](std::uint32_t constraint) {
        return takes(constraint, device);
    });
}

bool ClaimState::has_room(const ProblemDemand& demand,
                          std::size_t candidate,
                          std::uint32_t device) const {
    if (demand.has_admin_access || !problem_.is_shared[device]) {
        return true;
    }
    return std::ranges::equal(demand.consumes[candidate],
                              capacity_[device],
                              [](Nanos wanted, Nanos left) { return wanted <= left; });
}

// Devices that are taken there do not go together: nobody may join them.
bool ClaimState::is_on_broken_set(std::uint32_t device) const {
    return std::ranges::any_of(
        problem_.node->devices[device].draws,
        [&](const SetDraw& draw) { return groups_[draw.counter_set].is_broken; });
}

// Each device draws once, however many have a share of it.
bool ClaimState::draw(std::uint32_t device, Choice& choice) {
    bool fits = true;
    for (const SetDraw& draw : problem_.node->devices[device].draws) {
        for (const auto& [counter, amount] : draw.counters) {
            counters_[counter] -= amount;
            fits = fits && counters_[counter] >= 0;
        }
        choice.groups.push_back(groups_[draw.counter_set]);
        fits = groups_[draw.counter_set].join(draw.draw->compatibility_groups) && fits;
    }
    if (!fits) {
        undraw(device, choice);
    }
    choice.draws = fits;
    return fits;
}

void ClaimState::undraw(std::uint32_t device, Choice& choice) {
    const auto& draws = problem_.node->devices[device].draws;
    for (std::size_t i = draws.size(); i-- > 0;) {
        groups_[draws[i].counter_set] = std::move(choice.groups[i]);
        for (const auto& [counter, amount] : draws[i].counters) {
            counters_[counter] += amount;
        }
    }
}

void ClaimState::join(std::uint32_t constraint, std::uint32_t device, Choice& choice) {
    const ProblemConstraint& rule = problem_.constraints[constraint];
    const Values& values = *problem_.attributes[rule.attribute].values[device];
    choice.common.emplace_back();
    if (rule.is_distinct) {
        for (const std::uint32_t value : values) {
            used_[constraint][value] = true;
        }
    } else if (members_[constraint] == 0) {
        common_[constraint] = values;
    } else {
        Values both;
        std::ranges::set_intersection(
            common_[constraint], values, std::back_inserter(both));
        choice.common.back() = std::exchange(common_[constraint], std::move(both));
    }
    ++members_[constraint];
}

bool ClaimState::choose(std::uint32_t demand_number, std::size_t candidate) {
    const ProblemDemand& demand = problem_.demands[demand_number];
    const std::uint32_t device = demand.candidates[candidate];
    if (is_passed_over(demand, device) || !has_room(demand, candidate, device) ||
        !would_match(demand, device) ||
        (!demand.has_admin_access && is_on_broken_set(device))) {
        return false;
    }
    Choice choice;
    choice.demand = demand_number;
    choice.device = device;
    choice.candidate = candidate;
    choice.claim_before = of_claim_[device];
    const bool is_first = !demand.has_admin_access && chosen_[device] == 0 &&
                          !problem_.node->devices[device].is_taken;
    if (is_first && !problem_.node->devices[device].draws.empty() &&
        !draw(device, choice)) {
        return false;
    }
    for (const std::uint32_t constraint : demand.constraints) {
        join(constraint, device, choice);
    }
    of_claim_[device] = demand.claim;
    ++results_[demand.claim];
    if (!demand.has_admin_access) {
        ++chosen_[device];
        for (std::size_t i = 0; i < demand.consumes[candidate].size(); ++i) {
            capacity_[device][i] -= demand.consumes[candidate][i];
        }
    }
    stack_.push_back(std::move(choice));
    return true;
}

void ClaimState::give_back() {
    Choice choice = std::move(stack_.back());
    stack_.pop_back();
    const ProblemDemand& demand = problem_.demands[choice.demand];
    const std::uint32_t device = choice.device;
    if (!demand.has_admin_access) {
        --chosen_[device];
        for (std::size_t i = 0; i < demand.consumes[choice.candidate].size(); ++i) {
            capacity_[device][i] += demand.consumes[choice.candidate][i];
        }
    }
    --results_[demand.claim];
    of_claim_[device] = choice.claim_before;
    for (std::size_t i = demand.constraints.size(); i-- > 0;) {
        const std::uint32_t constraint = demand.constraints[i];
        const ProblemConstraint& rule = problem_.constraints[constraint];
        --members_[constraint];
        if (rule.is_distinct) {
            for (const std::uint32_t value :
                 *problem_.attributes[rule.attribute].values[device]) {
                used_[constraint][value] = false;
            }
        } else {
            common_[constraint] = std::move(choice.common[i]);
        }
    }
    if (choice.draws) {
        undraw(device, choice);
    }
}

}  // namespace topoalloc
