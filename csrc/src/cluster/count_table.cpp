// SPDX-License-Identifier: Apache-2.0
#include "cluster/count_table.hpp"

#include "node/joint.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

// Steps of the joint search for the pods of one node.
constexpr std::uint64_t place_steps = 20'000;

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// The largest number of the last PodSet beside a vector of the others.
struct Edge {
    std::uint32_t attained = 0;
    std::uint32_t possible = 0;
    bool has_any = true;  ///< false: not even none of the last is attained
};

// Walks along the edge of what fits: the vectors of all PodSets but the last in
// lexicographic order, for each the last one down from what its neighbours allow.
class EdgeWalk {
  public:
    EdgeWalk(ClassPool& pool,
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
            attained_.push_back(std::min(alone.count, most[p]));
            possible_.push_back(std::min(alone.upper, most[p]));
        }
        CountVector start(requests_.size() - 1);
        do {
            add(start, table);
        } while (advance(start));
        return table;
    }

  private:
    // The next vector in lexicographic order; false after the last.
    bool advance(CountVector& start) const {
        for (std::size_t p = start.size(); p-- > 0;) {
            if (start[p] < possible_[p]) {
                ++start[p];
                std::fill(
                    start.begin() + static_cast<std::ptrdiff_t>(p) + 1, start.end(), 0);
                return true;
            }
        }
        return false;
    }

    void add(const CountVector& start, CountTable& table) {
        const std::optional<Edge> edge = find_edge(start);
        if (!edge) {
            return;
        }
        edges_.emplace(start, *edge);
        CountVector pods = start;
        pods.push_back(0);
        for (; pods.back() <= edge->possible; ++pods.back()) {
            table.possible.push_back(pods);
            if (edge->has_any && pods.back() <= edge->attained) {
                table.attained.push_back(pods);
            }
        }
    }

    // Nullopt when the vector is refuted whatever the last.
    std::optional<Edge> find_edge(const CountVector& start) {
        Edge bound{attained_.back(), possible_.back(), true};
        for (std::size_t p = 0; p < start.size(); ++p) {
            if (start[p] == 0) {
                continue;
            }
            CountVector less = start;
            --less[p];
            const auto it = edges_.find(less);
            if (it == edges_.end()) {
                return std::nullopt;
            }
            bound.possible = std::min(bound.possible, it->second.possible);
            bound.attained = std::min(bound.attained, it->second.attained);
            bound.has_any = bound.has_any && it->second.has_any;
        }
        return descend(start, bound);
    }

    std::optional<Edge> descend(const CountVector& start, const Edge& bound) {
        CountVector pods = start;
        pods.push_back(bound.possible);
        std::optional<Edge> edge;
        for (;; --pods.back()) {
            const Status status = ask(pods);
            if (status != Status::infeasible && !edge) {
                edge = Edge{0, pods.back(), false};
            }
            if (is_placed(status) && bound.has_any && pods.back() <= bound.attained) {
                edge->attained = pods.back();
                edge->has_any = true;
                return edge;
            }
            if (pods.back() == 0) {
                return edge;
            }
        }
    }

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
        if (kinds == 1 && pods[last] <= attained_[last]) {
            return Status::optimal;
        }
        if (kinds == 1) {
            return pods[last] <= possible_[last] ? Status::unknown : Status::infeasible;
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
    CountVector attained_, possible_;  ///< of each PodSet alone
    std::map<CountVector, Edge> edges_;
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
    return EdgeWalk(pool, of, requests, max_steps, steps).run(most);
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
