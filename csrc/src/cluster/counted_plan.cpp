// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_plan.hpp"

#include "cluster/counted_cover.hpp"
#include "cluster/counted_rooms.hpp"
#include "cluster/counted_sets.hpp"
#include "cluster/gang_programme.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace topoalloc {
namespace {

// A Domain of the finest level that holds all pods.
struct Leaf {
    LeafBound bound;
    std::uint32_t vertex = 0;
    [[nodiscard]] auto operator<=>(const Leaf&) const = default;
};

class CountedPlanner {
  public:
    CountedPlanner(const CountedProblem& problem, StepBudget& budget)
        : problem_(problem),
          tree_(*problem.tree),
          budget_(budget),
          rooms_(problem),
          sets_(problem, rooms_, budget) {}

    [[nodiscard]] bool fits() const {
        return rooms_.plan_pods() >= problem_.podset.min_count;
    }

    std::optional<SparsePlan> run(bool least_cost) {
        SparsePlan plan;
        if (!fits()) {
            return plan;
        }
        plan.found = true;
        if (rooms_.plan_pods() == 0) {
            plan.cost = rooms_.cost_of(plan.pods);
            return plan;
        }
        if (!least_cost) {
            plan.pods = any_plan({home()});
            plan.cost = rooms_.cost_of(plan.pods);
            return plan;
        }
        collect();
        return leaves_.empty() ? take_best_set() : take_best_leaf();
    }

  private:
    [[nodiscard]] std::vector<bool> holders() const;
    [[nodiscard]] std::uint32_t home() const;
    void collect();
    [[nodiscard]] std::int64_t waste_on(std::uint32_t node) const;
    [[nodiscard]] std::uint32_t least_waste(std::uint32_t vertex) const;
    [[nodiscard]] bool may_be_better(std::span<const std::uint32_t> vertices,
                                     const SparsePods& best) const;
    [[nodiscard]] std::optional<SparsePods> plan_in(const CountedSet& set);
    void give_up(std::span<const std::uint32_t> vertices, SparsePlan& best) const;
    static void take(SparsePods pods, GangCost cost, SparsePlan& best);
    [[nodiscard]] bool try_leaf(Leaf& leaf, SparsePlan& best);
    [[nodiscard]] std::optional<SparsePlan> take_best_leaf();
    [[nodiscard]] std::optional<SparsePlan> take_best_set();
    [[nodiscard]] SparsePods fill(std::uint32_t vertex, std::int64_t nodes) const;
    [[nodiscard]] std::optional<SparsePods> plan_in(
        std::span<const std::uint32_t> vertices);
    [[nodiscard]] std::optional<SparsePods> search(
        std::span<const std::uint32_t> vertices);
    [[nodiscard]] bool is_full(std::span<const std::uint32_t> vertices) const;
    void pour(std::vector<DomainChild> children,
              std::uint32_t left,
              SparsePods& pods) const;
    [[nodiscard]] SparsePods any_plan(std::span<const std::uint32_t> vertices) const;
    [[nodiscard]] SparsePods any_plan(
        std::initializer_list<std::uint32_t> vertices) const {
        return any_plan(std::span(vertices.begin(), vertices.size()));
    }

    const CountedProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    StepBudget& budget_;
    CountedRooms rooms_;
    std::vector<Leaf> leaves_;
    CountedSets sets_;
};

// By vertex: it holds all pods, and so do the Domains that it lies in.
std::vector<bool> CountedPlanner::holders() const {
    std::vector<bool> holds(tree_.size());
    for (std::uint32_t v = 0; v < tree_.size(); ++v) {
        const std::uint32_t parent = problem_.links->parents[v];
        holds[v] = rooms_.pods_of(v) >= rooms_.plan_pods() &&
                   (parent == no_index || holds[parent]);
    }
    return holds;
}

// One of the smallest Domains that hold all pods.
std::uint32_t CountedPlanner::home() const {
    const std::vector<bool> holds = holders();
    for (auto v = static_cast<std::uint32_t>(tree_.size()); v-- > 1;) {
        if (holds[v] && rooms_.may_hold_all(v)) {
            return v;
        }
    }
    return 0;
}

// The smallest Domains that hold all pods. Where one does, no plan that takes several
// Domains of its level is as good: coarser levels are compared first. So those of the
// finest level are the best, where there are any.
void CountedPlanner::collect() {
    const std::vector<bool> holds = holders();
    std::vector<bool> is_smallest = holds;
    for (std::uint32_t v = 0; v < tree_.size(); ++v) {
        if (!holds[v]) {
            continue;
        }
        if (problem_.links->parents[v] != no_index) {
            is_smallest[problem_.links->parents[v]] = false;
        }
        if (rooms_.is_leaf(v) && rooms_.may_hold_all(v)) {
            leaves_.push_back({rooms_.leaf_bound(v), v});
        }
    }
    for (std::uint32_t v = 0; leaves_.empty() && v < tree_.size(); ++v) {
        if (is_smallest[v] && rooms_.may_hold_all(v)) {
            sets_.add(v);
        }
    }
}

// What a node alone could hold beyond the pods of the plan.
std::int64_t CountedPlanner::waste_on(std::uint32_t node) const {
    return rooms_.copies_of_node(node) - rooms_.plan_pods();
}

// The first of the nodes that hold all pods and waste least.
std::uint32_t CountedPlanner::least_waste(std::uint32_t vertex) const {
    std::uint32_t best = no_index;
    for (std::uint32_t n = tree_[vertex].first; n <= tree_[vertex].last; ++n) {
        if (rooms_.pods_of_node(n) >= rooms_.plan_pods() &&
            (best == no_index || waste_on(n) < waste_on(best))) {
            best = n;
        }
    }
    return best;
}

// The nodes of a Domain of the finest level: so few, of those the first, each as full
// as it can be while the others can hold the rest.
SparsePods CountedPlanner::fill(std::uint32_t vertex, std::int64_t nodes) const {
    const DomainVertex& leaf = tree_[vertex];
    Tally later;
    for (std::uint32_t n = leaf.first; n <= leaf.last; ++n) {
        later.add(rooms_.pods_of_node(n));
    }
    SparsePods pods;
    std::uint32_t left = rooms_.plan_pods();
    for (std::uint32_t n = leaf.first; n <= leaf.last && left != 0; ++n) {
        later.remove(rooms_.pods_of_node(n));
        const std::uint32_t here = std::min(left, rooms_.pods_of_node(n));
        if (here != 0 && later.largest(nodes - 1) >= left - here) {
            pods.push_back({n, here});
            left -= here;
            --nodes;
        }
    }
    return pods;
}

// By the programme, on the nodes of the region alone.
std::optional<SparsePods> CountedPlanner::search(
    std::span<const std::uint32_t> vertices) {
    std::vector<std::uint32_t> nodes;
    const GangProblem part = part_of(problem_, vertices, rooms_.plan_pods(), nodes);
    const auto tree = domain_tree(part);
    const PlanRules rules = rules_of(part, {});
    const PlanAim aim{false, true, {}};
    GangProgramme programme(part, *tree, rules, aim, budget_);
    if (!programme.run()) {
        return std::nullopt;
    }
    const auto found = plan_of(programme, programme.best(), part.nodes.size(), budget_);
    if (!found) {
        return std::nullopt;
    }
    SparsePods pods;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if ((*found)[i][0] != 0) {
            pods.push_back({nodes[i], (*found)[i][0]});
        }
    }
    return pods;
}

// True when the pods are all that the nodes hold: there is one plan.
bool CountedPlanner::is_full(std::span<const std::uint32_t> vertices) const {
    std::uint64_t most = 0;
    for (const std::uint32_t v : vertices) {
        for (std::uint32_t n = tree_[v].first; n <= tree_[v].last; ++n) {
            most += rooms_.pods_of_node(n);
        }
    }
    return most == rooms_.plan_pods();
}

// Gives Domains, and nodes, as many as they hold, those that hold most first. Numbers
// are multiples of the slices in each, so what is left is one, too.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
void CountedPlanner::pour(std::vector<DomainChild> children,
                          std::uint32_t left,
                          SparsePods& pods) const {
    const auto room = [&](const DomainChild& child) {
        return child.is_node ? rooms_.pods_of_node(child.index)
                             : rooms_.pods_of(child.index);
    };
    std::ranges::stable_sort(children, std::greater<>(), room);
    for (const DomainChild& child : children) {
        const std::uint32_t here = std::min(left, room(child));
        left -= here;
        if (here != 0 && child.is_node) {
            pods.push_back({child.index, here});
        } else if (here != 0) {
            pour(tree_[child.index].children, here, pods);
        }
    }
}

SparsePods CountedPlanner::any_plan(std::span<const std::uint32_t> vertices) const {
    SparsePods pods;
    std::vector<DomainChild> parts;
    for (const std::uint32_t v : vertices) {
        parts.push_back({false, v});
    }
    pour(parts, rooms_.plan_pods(), pods);
    std::ranges::sort(pods, {}, &NodePods::node);
    return pods;
}

std::optional<SparsePods> CountedPlanner::plan_in(
    std::span<const std::uint32_t> vertices) {
    return is_full(vertices) ? any_plan(vertices) : search(vertices);
}

std::optional<SparsePods> CountedPlanner::plan_in(const CountedSet& set) {
    const std::vector<std::uint32_t>& parts = set.region.parts;
    if (!set.cover || is_full(parts)) {
        return plan_in(std::span(parts));
    }
    std::vector<std::uint32_t> leaves;
    for (const std::uint32_t part : parts) {
        const std::vector<std::uint32_t> below = sets_.leaves_of(part);
        leaves.insert(leaves.end(), below.begin(), below.end());
    }
    auto found =
        CountedCover(
            problem_, rooms_, sets_.prices(), std::move(leaves), *set.cover, budget_)
            .run();
    return found ? std::move(found) : search(parts);
}

// Keeps the better one.
void CountedPlanner::take(SparsePods pods, GangCost cost, SparsePlan& best) {
    if (!best.found || cost < best.cost ||
        (cost == best.cost && is_later(best.pods, pods))) {
        best.found = true;
        best.cost = std::move(cost);
        best.pods = std::move(pods);
    }
}

// The budget ended: what there is, or any plan.
void CountedPlanner::give_up(std::span<const std::uint32_t> vertices,
                             SparsePlan& best) const {
    best.is_proved = false;
    if (!best.found) {
        best.pods = any_plan(vertices);
        best.cost = rooms_.cost_of(best.pods);
        best.found = true;
    }
}

// Puts the best plan of a Domain of the finest level in the place of the best one,
// where it is better. False when the budget ended.
bool CountedPlanner::try_leaf(Leaf& leaf, SparsePlan& best) {
    if (!rooms_.is_waste_of_nodes()) {
        take(fill(leaf.vertex, leaf.bound.nodes), rooms_.cost_of(leaf.bound), best);
        return true;
    }
    if (leaf.bound.nodes == 1) {
        const std::uint32_t node = least_waste(leaf.vertex);
        leaf.bound.waste = waste_on(node);
        take({{node, rooms_.plan_pods()}}, rooms_.cost_of(leaf.bound), best);
        return true;
    }
    const std::span<const std::uint32_t> vertices(&leaf.vertex, 1);
    auto pods = plan_in(vertices);
    if (!pods) {
        give_up(vertices, best);
        return false;
    }
    GangCost cost = rooms_.cost_of(*pods);
    leaf.bound.waste = cost.waste;
    take(std::move(*pods), std::move(cost), best);
    return true;
}

// From the least bound up, until no other can be better: of equal ones the first.
std::optional<SparsePlan> CountedPlanner::take_best_leaf() {
    std::ranges::make_heap(leaves_, std::greater<>());
    SparsePlan best;
    std::optional<Leaf> best_leaf;
    for (; !leaves_.empty(); leaves_.pop_back()) {
        std::ranges::pop_heap(leaves_, std::greater<>());
        Leaf leaf = leaves_.back();
        if (best_leaf && *best_leaf < leaf) {
            break;
        }
        if (!try_leaf(leaf, best)) {
            break;
        }
        if (!best_leaf || leaf < *best_leaf) {
            best_leaf = leaf;
        }
    }
    return best;
}

std::optional<SparsePlan> CountedPlanner::take_best_set() {
    SparsePlan best;
    best.is_proved = sets_.are_all();
    while (const auto set = sets_.next()) {
        const std::span<const std::uint32_t> vertices(set->region.parts);
        if (best.found && best.cost < set->bound) {
            break;
        }
        if (best.found && set->bound == best.cost &&
            !may_be_better(vertices, best.pods)) {
            continue;
        }
        auto pods = plan_in(*set);
        if (!pods) {
            give_up(vertices, best);
            break;
        }
        GangCost cost = rooms_.cost_of(*pods);
        take(std::move(*pods), std::move(cost), best);
    }
    return best.found ? std::optional(std::move(best)) : std::nullopt;
}

// False when no plan in the vertices is before the best one by term 7.
bool CountedPlanner::may_be_better(std::span<const std::uint32_t> vertices,
                                   const SparsePods& best) const {
    // No plan in the region is larger than its nodes filled from the first on.
    SparsePods most;
    for (const std::uint32_t v : vertices) {
        for (std::uint32_t n = tree_[v].first; n <= tree_[v].last; ++n) {
            if (rooms_.pods_of_node(n) != 0) {
                most.push_back({n, rooms_.pods_of_node(n)});
            }
        }
    }
    return is_later(best, most);
}

}  // namespace

std::uint32_t pods_by_counts(const CountedProblem& problem) {
    return CountedRooms(problem).plan_pods();
}

std::optional<SparsePlan> plan_by_counts(const CountedProblem& problem,
                                         bool least_cost,
                                         StepBudget& budget) {
    return CountedPlanner(problem, budget).run(least_cost);
}

std::optional<CountedPlan> plan_by_counts(const GangProblem& problem,
                                          const std::vector<DomainVertex>& tree,
                                          bool use_possible,
                                          bool least_cost,
                                          StepBudget& budget) {
    if (!is_counted(problem, tree)) {
        return std::nullopt;
    }
    const TreeLinks links = links_of(tree, problem.nodes.size());
    const CountedProblem counted = counted_problem(problem, tree, links, use_possible);
    auto plan = plan_by_counts(counted, least_cost, budget);
    if (!plan) {
        return std::nullopt;
    }
    CountedPlan out{plan->found, plan->is_proved, std::move(plan->cost), {}};
    if (out.found) {
        out.pods.assign(problem.nodes.size(), CountVector(1));
        for (const NodePods& here : plan->pods) {
            out.pods[here.node][0] = here.pods;
        }
    }
    return out;
}

}  // namespace topoalloc
