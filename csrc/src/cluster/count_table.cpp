// SPDX-License-Identifier: Apache-2.0
#include "cluster/count_table.hpp"

#include "cluster/edge_walk.hpp"
#include "node/joint.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Steps of the joint search for the pods of one node.
constexpr std::uint64_t place_steps = 20'000;

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// What a node holds of Requests, asked of the node solver.
class NodeAsker {
  public:
    NodeAsker(ClassPool& pool,
              const NodeClass& of,
              const Requests& requests,
              std::uint64_t max_steps,
              std::uint64_t& steps)
        : pool_(pool),
          of_(of),
          requests_(requests),
          max_steps_(max_steps),
          steps_(steps) {}

    CountTable run(const CountVector& most) {
        CountTable table;
        for (std::size_t p = 0; p < requests_.size(); ++p) {
            const HeadroomResult alone = pool_.headroom(of_, requests_[p], max_steps_);
            steps_ += alone.steps;
            table.copies.push_back(alone.count);
            table.may_have_more.push_back(alone.count != alone.upper);
            alone_.attained.push_back(std::min(alone.count, most[p]));
            alone_.possible.push_back(std::min(alone.upper, most[p]));
        }
        walk_edge(alone_, [this](const CountVector& pods) { return ask(pods); }, table);
        return table;
    }

  private:
    // Whether these pods fit together.
    Status ask(const CountVector& pods) {
        std::vector<std::shared_ptr<const CompiledRequest>> wanted;
        std::size_t kinds = 0;
        std::size_t last = 0;
        for (std::size_t p = 0; p < pods.size(); ++p) {
            if (pods[p] != 0) {
                ++kinds;
                last = p;
                wanted.insert(wanted.end(),
                              pods[p],
                              pool_.compiled(of_.state->machine_ptr(), requests_[p]));
            }
        }
        if (kinds == 0) {
            return Status::optimal;
        }
        if (kinds == 1 && pods[last] <= alone_.attained[last]) {
            return Status::optimal;
        }
        if (kinds == 1) {
            return pods[last] <= alone_.possible[last] ? Status::unknown
                                                       : Status::infeasible;
        }
        if (steps_ >= max_steps_) {
            return Status::unknown;
        }
        const BatchVerdict verdict =
            solve_joint(*of_.state, wanted, pool_.policy(), {max_steps_});
        steps_ += verdict.steps;
        return verdict.status;
    }

    ClassPool& pool_;
    const NodeClass& of_;
    const Requests& requests_;
    std::uint64_t max_steps_;
    std::uint64_t& steps_;
    AloneCounts alone_;
};

std::optional<Placements> place_in_turn(
    const NodeState& state,
    const std::vector<std::shared_ptr<const CompiledRequest>>& requests,
    Policy policy) {
    NodeState now = state;
    Placements out;
    for (const auto& request : requests) {
        Answer answer = solve(now, *request, {policy, {}, nullptr});
        if (!is_placed(answer.status)) {
            return std::nullopt;
        }
        now.take(answer.placement);
        out.push_back(std::make_shared<const Placement>(std::move(answer.placement)));
    }
    return out;
}

}  // namespace

CountTable make_count_table(ClassPool& pool,
                            const NodeClass& of,
                            const Requests& requests,
                            const CountVector& most,
                            std::uint64_t max_steps,
                            std::uint64_t& steps) {
    return NodeAsker(pool, of, requests, max_steps, steps).run(most);
}

std::optional<Placements> place_together(
    const NodeState& state,
    const std::vector<std::shared_ptr<const CompiledRequest>>& requests,
    Policy policy) {
    if (requests.size() == 1) {
        return place_in_turn(state, requests, policy);
    }
    BatchVerdict verdict = solve_joint(state, requests, policy, {place_steps});
    if (is_placed(verdict.status)) {
        Placements out;
        for (Placement& placement : verdict.placements) {
            out.push_back(std::make_shared<const Placement>(std::move(placement)));
        }
        return out;
    }
    Policy other = policy;
    other.packing = policy.packing == Packing::pack ? Packing::spread : Packing::pack;
    auto found = place_in_turn(state, requests, policy);
    return found ? std::move(found) : place_in_turn(state, requests, other);
}

}  // namespace topoalloc
