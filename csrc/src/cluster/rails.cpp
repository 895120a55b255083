// SPDX-License-Identifier: Apache-2.0
#include "cluster/rails.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <functional>

namespace topoalloc {
namespace {

// Nodes that a step looks at while a problem is solved once more.
constexpr std::size_t nodes_a_step = 16;

bool is_plan(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

bool is_nothing(const CountVector& pods) {
    return std::ranges::count(pods, 0U) == std::ssize(pods);
}

[[noreturn]] void refuse(const std::string& what, const std::string& want) {
    throw InvalidRequestError(what + ", want " + want);
}

bool is_ascending(const RailSet& set) {
    return std::ranges::adjacent_find(set, std::greater_equal<>()) == set.end();
}

// Of the pods of a PodSet with Rails on one node.
struct HeldEntries {
    std::string node;
    std::uint32_t podset = 0;
    std::size_t pods = 0;
    std::vector<std::uint32_t> places;  ///< in its list, ascending
};

std::vector<HeldEntries> held_entries(const Gang& gang,
                                      const std::vector<PodPlace>& pods,
                                      const GangRails& rails) {
    std::map<std::pair<std::string, std::uint32_t>, std::vector<const PodPlace*>> here;
    for (const PodPlace& pod : pods) {
        if (!rail_classes(gang.podsets[pod.podset]).empty()) {
            here[{pod.node, pod.podset}].push_back(&pod);
        }
    }
    std::vector<HeldEntries> out;
    for (const auto& [key, there] : here) {
        const auto& [node, podset] = key;
        std::vector<const Placement*> placements;
        for (const PodPlace* pod : there) {
            placements.push_back(pod->placement.get());
        }
        out.push_back({node,
                       podset,
                       there.size(),
                       places_held(rails.empty() ? RailList() : rails[podset],
                                   rail_classes(gang.podsets[podset]),
                                   *there.front()->machine,
                                   placements)});
    }
    return out;
}

void demand_list(const PodSet& podset, const RailList& list) {
    const std::vector<std::string> classes = rail_classes(podset);
    const std::string path = "rails." + podset.name;
    if (classes.empty() && !list.empty()) {
        refuse(path + ": " + std::to_string(list.size()) + " entries",
               "none: the PodSet has no Rails");
    }
    for (std::size_t j = 0; j < list.size(); ++j) {
        const std::string at = path + "[" + std::to_string(j) + "]";
        if (list[j].size() != classes.size()) {
            refuse(at + ": " + std::to_string(list[j].size()) + " sets",
                   std::to_string(classes.size()) + ", one for each Rails");
        }
        for (std::size_t r = 0; r < classes.size(); ++r) {
            const auto& devices = podset.request->devices;
            const std::uint32_t count =
                std::ranges::find(devices, classes[r], &DeviceRequest::device_class)
                    ->count;
            if (list[j][r].size() != count || !is_ascending(list[j][r])) {
                refuse(at + "." + classes[r] + ": no set of the Request",
                       std::to_string(count) + " indices, ascending");
            }
        }
    }
}

}  // namespace

void demand_rails(const Gang& gang,
                  const std::vector<PodPlace>& pods,
                  const GangRails& rails) {
    if (!rails.empty() && rails.size() != gang.podsets.size()) {
        refuse("rails: " + std::to_string(rails.size()) + " lists",
               "one for each PodSet");
    }
    for (std::size_t p = 0; p < rails.size(); ++p) {
        demand_list(gang.podsets[p], rails[p]);
    }
    for (const HeldEntries& held : held_entries(gang, pods, rails)) {
        const std::size_t entries = rails.empty() ? 0 : rails[held.podset].size();
        // Which of them the pods hold is not asked: the node's own Allocator may have
        // resized them.
        if (entries < held.pods) {
            refuse("rails." + gang.podsets[held.podset].name + ": " +
                       std::to_string(entries) + " entries",
                   std::to_string(held.pods) + " or more: so many pods are on node '" +
                       held.node + "'");
        }
    }
}

bool hold_first_entries(const Gang& gang,
                        const std::vector<PodPlace>& pods,
                        const GangRails& rails) {
    return std::ranges::all_of(held_entries(gang, pods, rails),
                               [](const HeldEntries& held) {
                                   return held.places.size() == held.pods &&
                                          held.places.back() + 1 == held.pods;
                               });
}

bool has_rails(const Gang& gang) {
    return std::ranges::any_of(gang.podsets, [](const PodSet& podset) {
        return !rail_classes(podset).empty();
    });
}

RailInput rail_input(std::span<const PodSet* const> podsets, std::uint64_t max_steps) {
    RailInput input;
    for (const PodSet* podset : podsets) {
        input.requests.push_back(podset->request);
        input.classes.push_back(rail_classes(*podset));
    }
    input.fixed.resize(podsets.size());
    input.max_steps = max_steps;
    return input;
}

void add_rail_tables(const std::vector<const NodeClass*>& states, RailInput& input) {
    const std::size_t podsets = input.requests.size();
    for (const NodeClass* state : states) {
        input.tables.push_back(
            {state, CountVector(podsets), std::vector<CountVector>(podsets)});
    }
}

RailSearch::RailSearch(ClassPool& pool, const GangProblem& problem, RailInput input)
    : problem_(problem),
      nodes_(pool, std::move(input), problem.tables),
      sets_(nodes_),
      lists_(nodes_.input().fixed) {}

GangAnswer RailSearch::place(SearchLimits limits) {
    budget_ = {0, limits.max_steps};
    best_.reset();
    phase_ = {};
    phase_.least_cost = true;
    std::vector<Open> roots = find_roots();
    if (!roots.empty() && find_any()) {
        search(std::move(roots));
    }
    return conclude();
}

GangAnswer RailSearch::check(SearchLimits limits) {
    budget_ = {0, limits.max_steps};
    best_.reset();
    phase_ = {};
    search(find_roots());
    return conclude();
}

// Without a list, if that does not decide it.
std::vector<RailSearch::Open> RailSearch::find_roots() {
    std::vector<Open> roots;
    set_tables(nodes_.input().fixed);
    evaluate(nodes_.input().fixed, roots);
    return roots;
}

// A plan of whatever cost, by half of the steps that are left: the best is sought below
// it. False when there is none.
bool RailSearch::find_any() {
    const std::uint64_t max_steps = budget_.max_steps;
    const std::uint64_t spent = std::min(budget_.steps, max_steps);
    budget_.max_steps = spent + (max_steps - spent) / 2;
    Phase best = std::move(phase_);
    phase_ = {};
    search(find_roots());
    const bool is_refuted = !best_ && !budget_.limited && !phase_.in_doubt;
    best.in_doubt = best.in_doubt && !is_refuted;
    phase_ = std::move(best);
    budget_ = {budget_.steps, max_steps};
    if (best_) {
        auto plan = std::make_shared<Relaxed>(*best_->plan);
        plan->cost = cost_of(problem_, all_pods(plan->pods));
        best_->plan = std::move(plan);
    }
    return !is_refuted;
}

// Straight down to a first plan, then always where the bound is least.
void RailSearch::search(std::vector<Open> next) {
    const auto is_after = [this](const Open& a, const Open& b) {
        return is_before(b, a);
    };
    std::vector<Open>& open = phase_.open;
    while (!next.empty() && !best_) {
        const auto first = std::ranges::max_element(next, is_after);
        const Open now = std::move(*first);
        next.erase(first);
        std::ranges::move(next, std::back_inserter(open));
        next = expand(now);
    }
    std::ranges::move(next, std::back_inserter(open));
    std::ranges::make_heap(open, is_after);
    while (!open.empty() && !budget_.limited && (phase_.least_cost || !best_)) {
        std::ranges::pop_heap(open, is_after);
        const Open least = std::move(open.back());
        open.pop_back();
        if (best_ && !is_less(*least.bound, *best_->plan)) {
            return;
        }
        for (Open& below : expand(least)) {
            open.push_back(std::move(below));
            std::ranges::push_heap(open, is_after);
        }
    }
}

void RailSearch::set_tables(const GangRails& lists) {
    tables_now_.clear();
    for (std::uint32_t t = 0; t < problem_.tables.size(); ++t) {
        problem_.tables[t] = nodes_.table(t, lists, budget_);
        tables_now_.push_back(
            table_numbers_
                .try_emplace(problem_.tables[t],
                             static_cast<std::uint32_t>(table_numbers_.size()))
                .first->second);
    }
    std::ignore = budget_.spend(1 + problem_.tables.size() / nodes_a_step);
}

// The answer on the tables that are set.
std::shared_ptr<const RailSearch::Relaxed> RailSearch::relax() {
    const auto known = phase_.relaxed.find(tables_now_);
    if (known != phase_.relaxed.end()) {
        return known->second;
    }
    std::ignore = budget_.spend(problem_.nodes.size() / nodes_a_step);
    const std::uint64_t left = budget_.max_steps - budget_.steps;
    // Some are kept: a proof that one plan is the best is not all that is wanted.
    const SearchLimits limits{left - left / 4};
    GangAnswer answer =
        phase_.least_cost ? place_gang(problem_, limits) : check_gang(problem_, limits);
    std::ignore = budget_.spend(answer.steps);
    auto made = std::make_shared<Relaxed>();
    made->status = answer.status;
    made->cost = std::move(answer.cost);
    for (std::uint32_t n = 0; n < answer.pods.size(); ++n) {
        if (!is_nothing(answer.pods[n])) {
            made->pods.emplace_back(n, std::move(answer.pods[n]));
        }
    }
    phase_.relaxed.emplace(tables_now_, made);
    return made;
}

// Adds what is open below the lists, unless that is decided or no better than what
// there is. Requires: the tables are set.
void RailSearch::evaluate(GangRails lists, std::vector<Open>& out) {
    if (budget_.limited ||
        !phase_.visited.emplace(unordered(nodes_, lists), tables_now_).second) {
        return;
    }
    Open open{{}, relax(), 0, phase_.sequence++};
    const Relaxed& bound = *open.bound;
    phase_.in_doubt = phase_.in_doubt || bound.status == Status::unknown;
    phase_.has_no_bound = phase_.has_no_bound || bound.status == Status::feasible;
    if (!is_plan(bound.status) || (best_ && !is_less(bound, *best_->plan))) {
        return;
    }
    const RailLoads loads = loads_of(bound.pods);
    if (auto found = first_lists(nodes_, sets_, loads, lists, budget_)) {
        best_ = Best{open.bound, std::move(*found)};
        return;
    }
    for (const RailList& list : lists) {
        for (const auto& entry : list) {
            open.decided += entry.size();
        }
    }
    open.lists = std::move(lists);
    out.push_back(std::move(open));
}

// With one set more: in the list that is the first too short for the plan that bounds.
std::vector<RailSearch::Open> RailSearch::expand(const Open& open) {
    if (budget_.limited) {
        return {};
    }
    const std::vector<std::uint32_t> reach =
        reach_of(nodes_, loads_of(open.bound->pods));
    const auto& classes = nodes_.input().classes;
    std::uint32_t podset = 0;
    while (whole_entries(open.lists[podset], classes[podset].size()) >= reach[podset]) {
        ++podset;
    }
    const std::size_t rules = classes[podset].size();
    const std::uint32_t place = whole_entries(open.lists[podset], rules);
    const RailList& list = open.lists[podset];
    const std::size_t rule = place < list.size() ? list[place].size() : 0;
    std::vector<Open> out;
    bool has_unreached = false;
    RailSet set;
    for (bool is_there = sets_.first(podset, rule, set, budget_); is_there;
         is_there = sets_.next(podset, rule, set, budget_)) {
        GangRails lists = open.lists;
        append_set(lists[podset], set, rules);
        // Sets of which no node has all free make equal ends of the list.
        set_tables(lists);
        const bool is_useless = !is_reached(podset, place);
        if (is_useless && has_unreached) {
            continue;
        }
        has_unreached = has_unreached || is_useless;
        evaluate(std::move(lists), out);
        if (!phase_.least_cost && best_) {
            break;
        }
    }
    return out;
}

// By the tables that are set.
bool RailSearch::is_reached(std::uint32_t podset, std::uint32_t place) const {
    for (std::uint32_t t = 0; t < problem_.tables.size(); ++t) {
        for (const CountVector& pods : problem_.tables[t].possible) {
            if (nodes_.reach(t, podset, pods[podset]) > place) {
                return true;
            }
        }
    }
    return false;
}

RailLoads RailSearch::loads_of(const SparsePods& pods) const {
    RailLoads loads;
    for (const auto& [node, vector] : pods) {
        loads.emplace(problem_.nodes[node].table, vector);
    }
    return loads;
}

bool RailSearch::is_less(const Relaxed& a, const Relaxed& b) const {
    if (!phase_.least_cost) {
        return false;
    }
    if (a.cost != b.cost) {
        return a.cost < b.cost;
    }
    // At the first node at which they differ: none is less than some, and listed later.
    const auto differ = std::ranges::mismatch(a.pods, b.pods);
    if (differ.in1 == a.pods.end() || differ.in2 == b.pods.end()) {
        return differ.in2 == b.pods.end() && differ.in1 != a.pods.end();
    }
    if (differ.in1->first != differ.in2->first) {
        return differ.in1->first < differ.in2->first;
    }
    return differ.in1->second > differ.in2->second;
}

bool RailSearch::is_before(const Open& a, const Open& b) const {
    if (is_less(*a.bound, *b.bound) || is_less(*b.bound, *a.bound)) {
        return is_less(*a.bound, *b.bound);
    }
    return a.decided != b.decided ? a.decided > b.decided : a.sequence < b.sequence;
}

std::vector<CountVector> RailSearch::all_pods(const SparsePods& pods) const {
    std::vector<CountVector> out(problem_.nodes.size(),
                                 CountVector(problem_.podsets.size()));
    for (const auto& [node, vector] : pods) {
        out[node] = vector;
    }
    return out;
}

GangAnswer RailSearch::conclude() {
    GangAnswer answer;
    bool is_proved = !phase_.in_doubt && !budget_.limited;
    if (!best_) {
        answer.status = is_proved ? Status::infeasible : Status::unknown;
        answer.steps = budget_.steps;
        return answer;
    }
    is_proved = is_proved && phase_.least_cost && !phase_.has_no_bound;
    if (phase_.least_cost) {
        // Any order of search finds the plan; the lists are the first for it.
        auto first = first_lists(
            nodes_, sets_, loads_of(best_->plan->pods), nodes_.input().fixed, budget_);
        is_proved = is_proved && first && !budget_.limited;
        lists_ = first ? std::move(*first) : best_->lists;
    }
    answer.steps = budget_.steps;
    answer.status = is_proved ? Status::optimal : Status::feasible;
    answer.cost = best_->plan->cost;
    answer.pods = all_pods(best_->plan->pods);
    return answer;
}

}  // namespace topoalloc
