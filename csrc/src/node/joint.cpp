// SPDX-License-Identifier: Apache-2.0
#include "node/joint.hpp"

#include "node/joint_bound.hpp"
#include "node/joint_search.hpp"
#include "node/placement_cost.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

using Requests = std::span<const std::shared_ptr<const CompiledRequest>>;
using Order = std::vector<std::uint32_t>;  // positions of requests

// Orders of this many different Requests are all tried.
constexpr std::size_t most_permuted = 4;

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

std::uint64_t device_count(const Request& request) {
    std::uint64_t sum = 0;
    for (const DeviceRequest& wanted : request.devices) {
        sum += wanted.count;
    }
    return sum;
}

struct Joint {
    std::vector<Placement> placements;
    Cost cost;
};

// Of the steps that are left: one in so many for a round of orders, and for the first
// exact search.
constexpr std::uint64_t orders_share = 4;
constexpr std::uint64_t first_share = 8;

class JointSolver {
  public:
    JointSolver(const NodeState& state,
                Requests requests,
                Policy policy,
                SearchLimits limits)
        : state_(state), requests_(requests), policy_(policy), limits_(limits) {
        for (const auto& request : requests) {
            group_of_.push_back(find_group(*request));
        }
    }

    [[nodiscard]] BatchVerdict run() {
        if (requests_.empty()) {
            return conclude(Status::optimal, Reason::placed);
        }
        if (const auto shortage = find_joint_shortage(state_, groups_)) {
            return conclude(Status::infeasible, *shortage);
        }
        if (const auto reason = solve_alone()) {
            return conclude(Status::infeasible, *reason);
        }
        for (const RequestGroup& group : groups_) {
            // Copies of one Request: what others take only makes it less.
            if (group.size > 1 && is_monotone(*group.request) &&
                headroom_bound(state_, *group.request) < group.size) {
                return conclude(Status::infeasible, Reason::requirements_conflict);
            }
        }
        if (has_bound_) {
            bound_ = least_joint_cost(state_, groups_, policy_.packing);
        }
        search();
        if (!best_) {
            return is_searched_
                       ? conclude(Status::infeasible, Reason::requirements_conflict)
                       : conclude(Status::unknown, Reason::step_limit);
        }
        return is_searched_ || is_proved()
                   ? conclude(Status::optimal, Reason::placed)
                   : conclude(Status::feasible, Reason::step_limit);
    }

  private:
    std::uint32_t find_group(const CompiledRequest& request) {
        for (std::uint32_t i = 0; i < groups_.size(); ++i) {
            if (groups_[i].request == &request ||
                groups_[i].request->request == request.request) {
                ++groups_[i].size;
                return i;
            }
        }
        groups_.push_back({&request, 1, std::nullopt});
        return static_cast<std::uint32_t>(groups_.size() - 1);
    }

    [[nodiscard]] SearchLimits steps_left() const {
        return {phase_end_ - std::min(steps_, phase_end_)};
    }

    [[nodiscard]] bool is_out_of_steps() const { return steps_ >= phase_end_; }

    // What follows has a share of the steps that are left.
    void begin_phase(std::uint64_t share) {
        const std::uint64_t left =
            limits_.max_steps - std::min(steps_, limits_.max_steps);
        phase_end_ = steps_ + left / share;
    }

    // Each different Request by itself: the optimum bounds its share of the sum.
    // Returns the reason when one can not be placed even so.
    std::optional<Reason> solve_alone() {
        has_bound_ = true;
        begin_phase(1);
        for (RequestGroup& group : groups_) {
            const Answer answer =
                solve(state_, *group.request, {policy_, steps_left(), nullptr});
            steps_ += answer.steps;
            const bool monotone = is_monotone(*group.request);
            if (answer.status == Status::infeasible && monotone) {
                return answer.reason;
            }
            if (answer.status == Status::optimal && monotone) {
                group.alone = answer.placement.cost;
            } else {
                has_bound_ = false;
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] bool is_proved() const {
        return best_ && has_bound_ && best_->cost == bound_;
    }

    [[nodiscard]] bool is_done() const { return is_proved() || is_out_of_steps(); }

    // A first answer from two orders; then every answer below it, if that takes few
    // steps. Else more orders first: the less the best costs, the less is left to
    // search.
    void search() {
        const std::vector<Order> orders = first_orders();
        begin_phase(orders_share);
        try_orders(std::span(orders).first(2), policy_.packing);
        begin_phase(first_share);
        search_all();
        if (is_searched_ || is_proved()) {
            return;
        }
        begin_phase(orders_share);
        const Packing other =
            policy_.packing == Packing::pack ? Packing::spread : Packing::pack;
        try_orders(orders, policy_.packing);
        tried_.clear();
        try_orders(orders, other);
        improve();
        begin_phase(1);
        search_all();
    }

    void try_orders(std::span<const Order> orders, Packing packing) {
        for (const Order& order : orders) {
            if (is_done()) {
                return;
            }
            try_with_repair(order, packing);
        }
    }

    // All joint answers that cost less than the best so far.
    void search_all() {
        if (is_done()) {
            return;
        }
        StepBudget budget{steps_, phase_end_, false};
        JointQuestion question{
            groups_, group_of_, policy_.packing, std::nullopt, has_bound_, false};
        if (best_) {
            question.below = best_->cost;
        }
        std::vector<Placement> found = search_joint(state_, question, budget);
        steps_ = budget.steps;
        is_searched_ = !budget.limited;
        if (!found.empty()) {
            offer(std::move(found));
        }
    }

    // Orders worth trying; equal Requests are interchangeable, so most repeat and are
    // dropped when tried.
    [[nodiscard]] std::vector<Order> first_orders() const {
        Order given(requests_.size());
        std::iota(given.begin(), given.end(), 0U);
        Order largest = given;
        std::ranges::stable_sort(largest, [&](std::uint32_t a, std::uint32_t b) {
            const Request& x = requests_[a]->request;
            const Request& y = requests_[b]->request;
            const auto size = [](const Request& r) {
                return std::tuple(device_count(r), r.cores + r.pus, r.memory);
            };
            return size(x) > size(y);
        });
        std::vector<Order> orders{given, largest};
        orders.emplace_back(largest.rbegin(), largest.rend());
        orders.emplace_back(given.rbegin(), given.rend());
        if (requests_.size() <= most_permuted) {
            Order order = given;
            while (std::next_permutation(order.begin(), order.end())) {
                orders.push_back(order);
            }
        }
        return orders;
    }

    // Tries an order; a Request that does not fit moves to the front and all is tried
    // again.
    void try_with_repair(Order order, Packing packing) {
        for (std::size_t round = 0; round <= requests_.size() && !is_done(); ++round) {
            std::vector<std::uint32_t> groups;
            for (const std::uint32_t i : order) {
                groups.push_back(group_of_[i]);
            }
            if (!tried_.insert(std::move(groups)).second) {
                return;
            }
            const std::optional<std::size_t> failed = try_order(order, packing);
            if (!failed) {
                return;
            }
            const auto it = order.begin() + static_cast<std::ptrdiff_t>(*failed);
            std::rotate(order.begin(), it, it + 1);
        }
    }

    // Places one after the other. Returns the position in the order that did not fit.
    std::optional<std::size_t> try_order(const Order& order, Packing packing) {
        NodeState state = state_;
        std::vector<Placement> placements(requests_.size());
        for (std::size_t k = 0; k < order.size(); ++k) {
            Answer answer =
                solve(state, *requests_[order[k]], {{packing}, steps_left(), nullptr});
            steps_ += answer.steps;
            if (!is_placed(answer.status)) {
                return k;
            }
            state.take(answer.placement);
            placements[order[k]] = std::move(answer.placement);
        }
        offer(std::move(placements));
        return std::nullopt;
    }

    bool offer(std::vector<Placement> placements) {
        const Cost cost = joint_cost(state_, placements, policy_.packing);
        if (best_ && best_->cost <= cost) {
            return false;
        }
        best_ = Joint{std::move(placements), cost};
        return true;
    }

    // Places each Request of the best answer anew beside the others, until that gains
    // nothing. Bytes are given by a rule that depends on what is free, so this needs
    // that no NUMANode is drained: then the bytes of the others are what the rule gives
    // still.
    void improve() {
        bool gained = best_.has_value();
        while (gained && !is_done()) {
            gained = false;
            for (std::size_t i = 0; i < requests_.size() && !is_done(); ++i) {
                gained = replace(i) || gained;
            }
        }
    }

    bool replace(std::size_t index) {
        NodeState state = state_;
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (i != index) {
                state.take(best_->placements[i]);
            }
        }
        const Answer answer =
            solve(state, *requests_[index], {policy_, steps_left(), nullptr});
        steps_ += answer.steps;
        if (!is_placed(answer.status)) {
            return false;
        }
        std::vector<Placement> placements = best_->placements;
        placements[index] = answer.placement;
        return !drains_a_node(best_->placements) && !drains_a_node(placements) &&
               offer(std::move(placements));
    }

    [[nodiscard]] bool drains_a_node(const std::vector<Placement>& placements) const {
        NodeState state = state_;
        for (const Placement& placement : placements) {
            state.take(placement);
        }
        return std::ranges::any_of(placements, [&](const Placement& placement) {
            return std::ranges::any_of(placement.memory, [&](const MemoryGrant& grant) {
                return state.free_bytes(grant.numa_node, grant.page_size_index) == 0;
            });
        });
    }

    [[nodiscard]] BatchVerdict conclude(Status status, Reason reason) {
        BatchVerdict verdict;
        verdict.status = status;
        verdict.reason = reason;
        verdict.steps = steps_;
        if (best_) {
            verdict.cost = best_->cost;
            verdict.placements = std::move(best_->placements);
        }
        return verdict;
    }

    const NodeState& state_;
    Requests requests_;
    Policy policy_;
    SearchLimits limits_;
    std::vector<RequestGroup> groups_;
    std::vector<std::uint32_t> group_of_;  // by request
    bool has_bound_ = false;
    bool is_searched_ = false;  // no joint answer costs less than the best
    Cost bound_;
    std::uint64_t steps_ = 0;
    std::uint64_t phase_end_ = 0;
    std::set<std::vector<std::uint32_t>> tried_;  // orders of groups
    std::optional<Joint> best_;
};

}  // namespace

Cost joint_cost(const NodeState& state,
                std::span<const Placement> placements,
                Packing packing) {
    Placement all;
    Cost cost;
    for (const Placement& placement : placements) {
        for (std::size_t term = 0; term < Cost::split_cores; ++term) {
            cost.terms[term] += placement.cost.terms[term];
        }
        all.pus |= placement.pus;
        all.memory.insert(
            all.memory.end(), placement.memory.begin(), placement.memory.end());
        all.devices.insert(
            all.devices.end(), placement.devices.begin(), placement.devices.end());
    }
    set_split_and_opened(state, all, packing, cost);
    return cost;
}

BatchVerdict solve_joint(
    const NodeState& state,
    std::span<const std::shared_ptr<const CompiledRequest>> requests,
    Policy policy,
    SearchLimits limits) {
    if (!policy.has_default_order()) {
        throw InvalidRequestError("policy.order: not the default one of " +
                                  std::string(name_of(policy)) +
                                  ", want the default order for several Requests "
                                  "together");
    }
    return JointSolver(state, requests, policy, limits).run();
}

}  // namespace topoalloc
