// SPDX-License-Identifier: Apache-2.0
#include "cluster/counted_plan.hpp"

#include "cluster/counted_rooms.hpp"
#include "cluster/gang_programme.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

// More sets of Domains than these are not tried one by one.
constexpr std::size_t most_sets = 2'000;

struct Choice {
    GangCost bound;
    Region region;
    std::optional<std::uint32_t> node;  ///< that holds all pods, if one does
    /// The bound is what the best plan in it costs.
    bool is_exact = false;
};

class CountedPlanner {
  public:
    CountedPlanner(const GangProblem& problem,
                   const std::vector<DomainVertex>& tree,
                   bool use_possible,
                   bool least_cost,
                   StepBudget& budget)
        : problem_(problem),
          tree_(tree),
          use_possible_(use_possible),
          least_cost_(least_cost),
          budget_(budget),
          rooms_(problem, tree, use_possible) {}

    std::optional<CountedPlan> run() {
        CountedPlan plan;
        if (rooms_.plan_pods() < problem_.podsets.front().min_count) {
            return plan;
        }
        if (rooms_.plan_pods() == 0) {
            plan.found = true;
            plan.pods.assign(problem_.nodes.size(), CountVector(1));
            plan.cost = cost_of(problem_, plan.pods);
            return plan;
        }
        if (!least_cost_) {
            Choice any;
            any.region.vertex = home(0);
            plan.found = true;
            plan.pods = any_plan(any);
            plan.cost = cost_of(problem_, plan.pods);
            return plan;
        }
        collect(0);
        return take_best();
    }

  private:
    [[nodiscard]] std::uint32_t home(std::uint32_t vertex) const;
    void collect(std::uint32_t vertex);
    void add(std::uint32_t vertex);
    void add_sets(std::uint32_t vertex);
    [[nodiscard]] std::int64_t waste_on(std::uint32_t node) const;
    [[nodiscard]] std::uint32_t least_waste(std::uint32_t vertex) const;
    [[nodiscard]] bool may_be_better(const Choice& choice,
                                     const CountedPlan& best) const;
    [[nodiscard]] std::vector<std::uint32_t> class_of(std::uint32_t vertex);
    void sort_choices();
    void give_up(const Choice& choice, CountedPlan& best) const;
    [[nodiscard]] bool try_choice(const Choice& choice, CountedPlan& best);
    [[nodiscard]] std::optional<CountedPlan> take_best();
    [[nodiscard]] std::optional<std::vector<CountVector>> plan_in(const Choice& choice);
    [[nodiscard]] std::vector<CountVector> fill(const Choice& choice) const;
    [[nodiscard]] std::optional<std::vector<CountVector>> search(const Choice& choice);
    [[nodiscard]] static std::vector<std::uint32_t> vertices_of(const Choice& choice);
    [[nodiscard]] bool is_full(const Choice& choice) const;
    void pour(std::vector<DomainChild> children,
              std::uint32_t left,
              std::vector<CountVector>& pods) const;
    [[nodiscard]] std::vector<CountVector> any_plan(const Choice& choice) const;

    const GangProblem& problem_;
    const std::vector<DomainVertex>& tree_;
    bool use_possible_;
    bool least_cost_;
    StepBudget& budget_;
    CountedRooms rooms_;
    std::vector<Choice> choices_;
    bool are_sets_few_ = true;
    std::map<std::vector<std::uint32_t>, std::uint32_t> classes_;
};

// One of the smallest Domains that hold all pods.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
std::uint32_t CountedPlanner::home(std::uint32_t vertex) const {
    for (const DomainChild& child : tree_[vertex].children) {
        if (!child.is_node && rooms_.pods_of(child.index) >= rooms_.plan_pods()) {
            const std::uint32_t found = home(child.index);
            if (rooms_.may_hold_all(found)) {
                return found;
            }
        }
    }
    return vertex;
}

// The smallest Domains that hold all pods. Where one does, no plan that takes several
// Domains of its level is as good: coarser levels are compared first.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
void CountedPlanner::collect(std::uint32_t vertex) {
    bool found = false;
    for (const DomainChild& child : tree_[vertex].children) {
        if (!child.is_node && rooms_.pods_of(child.index) >= rooms_.plan_pods()) {
            found = true;
            collect(child.index);
        }
    }
    if (!found && rooms_.may_hold_all(vertex)) {
        add(vertex);
    }
}

void CountedPlanner::add(std::uint32_t vertex) {
    if (!tree_[vertex].children.front().is_node) {
        add_sets(vertex);
        return;
    }
    Choice choice;
    choice.region.vertex = vertex;
    choice.bound = rooms_.bound(choice.region);
    choice.is_exact = !rooms_.is_waste_open(choice.region);
    if (!choice.is_exact && choice.bound.nodes == 1) {
        choice.node = least_waste(vertex);
        choice.bound.waste = waste_on(*choice.node);
        choice.is_exact = true;
    }
    choices_.push_back(std::move(choice));
}

// What a node alone could hold beyond the pods of the plan.
std::int64_t CountedPlanner::waste_on(std::uint32_t node) const {
    const CountTable& table = problem_.tables[problem_.nodes[node].table];
    return std::int64_t{table.copies[0]} - rooms_.plan_pods();
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

// Domains in which the same pods cost the same have equal classes.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
std::vector<std::uint32_t> CountedPlanner::class_of(std::uint32_t vertex) {
    std::vector<std::uint32_t> signature;
    for (const std::uint32_t level : tree_[vertex].levels) {
        signature.push_back(level);
        signature.push_back(rooms_.is_open(vertex, level) ? 1 : 0);
    }
    for (const DomainChild& child : tree_[vertex].children) {
        if (child.is_node) {
            signature.push_back(problem_.nodes[child.index].table);
            continue;
        }
        const auto number = static_cast<std::uint32_t>(classes_.size());
        signature.push_back(
            classes_.try_emplace(class_of(child.index), number).first->second);
    }
    return signature;
}

// Sets of as few Domains below the vertex as hold all pods. Of Domains of one class the
// first ones come first: a plan in others is the same plan, later in node order.
void CountedPlanner::add_sets(std::uint32_t vertex) {
    std::map<std::vector<std::uint32_t>, std::vector<std::uint32_t>> by_class;
    Tally tally;
    for (const DomainChild& child : tree_[vertex].children) {
        if (rooms_.pods_of(child.index) != 0) {
            by_class[class_of(child.index)].push_back(child.index);
            tally.add(rooms_.pods_of(child.index));
        }
    }
    std::vector<std::vector<std::uint32_t>> classes;
    for (auto& [signature, members] : by_class) {
        classes.push_back(std::move(members));
    }
    std::ranges::sort(classes, [&](const auto& a, const auto& b) {
        return std::tuple(rooms_.pods_of(b[0]), a[0]) <
               std::tuple(rooms_.pods_of(a[0]), b[0]);
    });
    const std::int64_t number = tally.needed(rooms_.plan_pods());
    std::vector<std::uint32_t> parts;
    // From the class with the most pods down: so many of the next ones reach what is
    // missing at most.
    const auto extend =
        [&](const auto& self, std::size_t c, std::uint64_t sum) -> void {
        const std::int64_t left = number - std::ssize(parts);
        if (left == 0 && sum >= rooms_.plan_pods()) {
            Choice choice;
            choice.region = {vertex, parts};
            std::ranges::sort(choice.region.parts);
            choice.bound = rooms_.bound(choice.region);
            choices_.push_back(std::move(choice));
            are_sets_few_ = are_sets_few_ && choices_.size() <= most_sets;
        }
        if (left == 0 || c == classes.size() || !are_sets_few_ || !budget_.spend()) {
            return;
        }
        const std::uint64_t each = rooms_.pods_of(classes[c][0]);
        if (sum + each * static_cast<std::uint64_t>(left) < rooms_.plan_pods()) {
            return;
        }
        const auto most =
            std::min<std::size_t>(classes[c].size(), static_cast<std::size_t>(left));
        for (std::size_t take = most + 1; take-- > 0;) {
            parts.insert(parts.end(),
                         classes[c].begin(),
                         classes[c].begin() + static_cast<std::ptrdiff_t>(take));
            self(self, c + 1, sum + each * take);
            parts.resize(parts.size() - take);
        }
    };
    extend(extend, 0, 0);
}

// The nodes of a smallest Domain: the fewest, of those the first, each as full as it
// can be while the others can hold the rest.
std::vector<CountVector> CountedPlanner::fill(const Choice& choice) const {
    const DomainVertex& vertex = tree_[choice.region.vertex];
    Tally later;
    for (std::uint32_t n = vertex.first; n <= vertex.last; ++n) {
        later.add(rooms_.pods_of_node(n));
    }
    std::vector<CountVector> pods(problem_.nodes.size(), CountVector(1));
    std::uint32_t left = rooms_.plan_pods();
    if (choice.node) {
        pods[*choice.node][0] = left;
        return pods;
    }
    std::int64_t nodes = choice.bound.nodes;
    for (std::uint32_t n = vertex.first; n <= vertex.last && left != 0; ++n) {
        later.remove(rooms_.pods_of_node(n));
        const std::uint32_t here = std::min(left, rooms_.pods_of_node(n));
        if (here != 0 && later.largest(nodes - 1) >= left - here) {
            pods[n][0] = here;
            left -= here;
            --nodes;
        }
    }
    return pods;
}

// By the programme, on the nodes of the region alone.
std::optional<std::vector<CountVector>> CountedPlanner::search(const Choice& choice) {
    GangProblem part;
    part.levels = problem_.levels;
    part.podsets = problem_.podsets;
    part.within = problem_.within;
    part.slices = problem_.slices;
    part.spread = problem_.spread;
    part.tables = problem_.tables;
    part.open_domains = problem_.open_domains;
    part.podsets.front().min_count = rooms_.plan_pods();
    part.podsets.front().count = rooms_.plan_pods();
    for (CountTable& table : part.tables) {
        for (auto* vectors : {&table.attained, &table.possible}) {
            std::erase_if(*vectors, [&](const CountVector& pods) {
                return pods[0] > rooms_.plan_pods();
            });
        }
    }
    std::vector<std::uint32_t> position;
    for (const std::uint32_t v : vertices_of(choice)) {
        for (std::uint32_t n = tree_[v].first; n <= tree_[v].last; ++n) {
            if (rooms_.pods_of_node(n) != 0) {
                part.nodes.push_back(problem_.nodes[n]);
                position.push_back(n);
            }
        }
    }
    const auto tree = domain_tree(part);
    const PlanRules rules = rules_of(part, {});
    const PlanAim aim{use_possible_, true, {}};
    GangProgramme programme(part, *tree, rules, aim, budget_);
    if (!programme.run()) {
        return std::nullopt;
    }
    const auto found = plan_of(programme, programme.best(), part.nodes.size(), budget_);
    if (!found) {
        return std::nullopt;
    }
    std::vector<CountVector> pods(problem_.nodes.size(), CountVector(1));
    for (std::size_t i = 0; i < position.size(); ++i) {
        pods[position[i]] = (*found)[i];
    }
    return pods;
}

// Vertices that a choice uses side by side.
std::vector<std::uint32_t> CountedPlanner::vertices_of(const Choice& choice) {
    return choice.region.parts.empty() ? std::vector{choice.region.vertex}
                                       : choice.region.parts;
}

// True when the pods are all that the nodes hold: there is one plan.
bool CountedPlanner::is_full(const Choice& choice) const {
    std::uint64_t most = 0;
    for (const std::uint32_t v : vertices_of(choice)) {
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
                          std::vector<CountVector>& pods) const {
    const auto room = [&](const DomainChild& child) {
        return child.is_node ? rooms_.pods_of_node(child.index)
                             : rooms_.pods_of(child.index);
    };
    std::ranges::stable_sort(children, std::greater<>(), room);
    for (const DomainChild& child : children) {
        const std::uint32_t here = std::min(left, room(child));
        left -= here;
        if (here != 0 && child.is_node) {
            pods[child.index][0] = here;
        } else if (here != 0) {
            pour(tree_[child.index].children, here, pods);
        }
    }
}

std::vector<CountVector> CountedPlanner::any_plan(const Choice& choice) const {
    std::vector<CountVector> pods(problem_.nodes.size(), CountVector(1));
    std::vector<DomainChild> parts;
    for (const std::uint32_t v : vertices_of(choice)) {
        parts.push_back({false, v});
    }
    pour(parts, rooms_.plan_pods(), pods);
    return pods;
}

std::optional<std::vector<CountVector>> CountedPlanner::plan_in(const Choice& choice) {
    if (choice.is_exact) {
        return fill(choice);
    }
    return is_full(choice) ? any_plan(choice) : search(choice);
}

// By bound; of equal ones the first in node order first.
void CountedPlanner::sort_choices() {
    const auto first = [&](const Choice& choice) {
        const Region& region = choice.region;
        return tree_[region.parts.empty() ? region.vertex : region.parts.front()].first;
    };
    std::ranges::sort(choices_, [&](const Choice& a, const Choice& b) {
        if (a.bound != b.bound) {
            return a.bound < b.bound;
        }
        return std::tuple(first(a), a.region.parts) <
               std::tuple(first(b), b.region.parts);
    });
}

// Puts the best plan of a choice in the place of the best one, where it is better.
// False when the budget ended.
bool CountedPlanner::try_choice(const Choice& choice, CountedPlan& best) {
    auto pods = plan_in(choice);
    if (!pods) {
        return false;
    }
    GangCost cost = choice.is_exact ? choice.bound : cost_of(problem_, *pods);
    if (!best.found || cost < best.cost || (cost == best.cost && best.pods < *pods)) {
        best.found = true;
        best.cost = std::move(cost);
        best.pods = std::move(*pods);
    }
    return true;
}

// The budget ended: what there is, or any plan.
void CountedPlanner::give_up(const Choice& choice, CountedPlan& best) const {
    best.is_proved = false;
    if (!best.found) {
        best.pods = any_plan(choice);
        best.cost = cost_of(problem_, best.pods);
        best.found = true;
    }
}

// From the least bound up, until no other can be better.
std::optional<CountedPlan> CountedPlanner::take_best() {
    sort_choices();
    CountedPlan best;
    best.is_proved = are_sets_few_;
    for (const Choice& choice : choices_) {
        if (best.found && best.cost < choice.bound) {
            break;
        }
        if (best.found && !may_be_better(choice, best)) {
            continue;
        }
        if (!try_choice(choice, best)) {
            give_up(choice, best);
            break;
        }
        // Of equal Domains the first is the better one, and they are in this order.
        if (choice.is_exact && best.cost == choice.bound) {
            break;
        }
    }
    return best.found ? std::optional(std::move(best)) : std::nullopt;
}

// False when it can at best cost as much, and comes later in node order than it may.
bool CountedPlanner::may_be_better(const Choice& choice,
                                   const CountedPlan& best) const {
    if (choice.bound < best.cost) {
        return true;
    }
    // No plan in the region is larger than its nodes filled from the first on.
    std::vector<bool> used(problem_.nodes.size());
    const auto use = [&](std::uint32_t v) {
        std::fill(
            used.begin() + tree_[v].first, used.begin() + tree_[v].last + 1, true);
    };
    std::ranges::for_each(choice.region.parts, use);
    if (choice.region.parts.empty()) {
        use(choice.region.vertex);
    }
    for (std::uint32_t n = 0; n < problem_.nodes.size(); ++n) {
        const std::uint32_t most = used[n] ? rooms_.pods_of_node(n) : 0;
        if (most != best.pods[n][0]) {
            return most > best.pods[n][0];
        }
    }
    return false;
}

}  // namespace

std::optional<CountedPlan> plan_by_counts(const GangProblem& problem,
                                          const std::vector<DomainVertex>& tree,
                                          bool use_possible,
                                          bool least_cost,
                                          StepBudget& budget) {
    if (!CountedRooms::is_counted(problem, tree)) {
        return std::nullopt;
    }
    return CountedPlanner(problem, tree, use_possible, least_cost, budget).run();
}

}  // namespace topoalloc
