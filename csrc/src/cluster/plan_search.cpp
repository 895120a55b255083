// SPDX-License-Identifier: Apache-2.0
#include "cluster/plan_search.hpp"

#include "cluster/plan_rules.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

// A rule, and how far the nodes chosen so far keep it.
struct TrackedRule {
    enum class Kind : std::uint8_t { within, multiple, at_most, balanced };
    Kind kind = Kind::within;
    std::vector<bool> podsets;
    std::uint32_t level = 0;
    std::uint32_t number = 0;
    std::uint32_t unmet = no_index;  ///< of a preference: where it counts

    std::uint32_t used = 0;    ///< Domains with pods of it
    std::uint32_t broken = 0;  ///< Domains in which it does not hold as it stands
    std::uint32_t astray = 0;  ///< nodes without a Domain that hold pods of it

    [[nodiscard]] std::uint32_t sum(const CountVector& pods) const {
        std::uint32_t out = 0;
        for (std::size_t p = 0; p < podsets.size(); ++p) {
            out += podsets[p] ? pods[p] : 0;
        }
        return out;
    }
    // A Domain has other pods of it now.
    void move(std::uint32_t before, std::uint32_t after) {
        used += (after != 0 ? 1U : 0U) - (before != 0 ? 1U : 0U);
        broken += (is_broken_by(after) ? 1U : 0U) - (is_broken_by(before) ? 1U : 0U);
    }
    [[nodiscard]] bool is_broken_by(std::uint32_t pods) const {
        return (kind == Kind::multiple && pods % number != 0) ||
               (kind == Kind::at_most && pods > number);
    }
    // True when no further pods can mend it.
    [[nodiscard]] bool is_lost() const {
        return astray != 0 || (kind == Kind::within && used > 1) ||
               (kind == Kind::at_most && broken != 0);
    }
};

// Domains of one level, "node" and nodes without a Domain included, as numbers.
struct LevelDomains {
    std::vector<std::uint32_t> of_node;
    std::vector<std::uint32_t> last_node;            ///< by Domain
    std::vector<bool> is_real, is_open;              ///< by Domain
    std::vector<std::vector<std::uint64_t>> copies;  ///< by Domain and PodSet
    std::vector<CountVector> pods;                   ///< by Domain: chosen so far
};

// A Domain that no node before this one is in.
std::uint32_t add_domain(const GangProblem& problem,
                         std::uint32_t level,
                         std::uint32_t node,
                         LevelDomains& out) {
    const bool is_node = level == problem.levels;
    const std::uint32_t domain =
        is_node ? no_index : problem.nodes[node].domains[level];
    out.last_node.push_back(node);
    out.is_real.push_back(is_node || domain != no_index);
    out.is_open.push_back(domain == no_index ? problem.nodes[node].open
                                             : problem.open_domains[level][domain]);
    out.copies.emplace_back(problem.podsets.size());
    out.pods.emplace_back(problem.podsets.size());
    return static_cast<std::uint32_t>(out.last_node.size() - 1);
}

LevelDomains domains_of(const GangProblem& problem, std::uint32_t level) {
    LevelDomains out;
    std::map<std::uint32_t, std::uint32_t> numbers;
    for (std::uint32_t n = 0; n < problem.nodes.size(); ++n) {
        const GangNode& node = problem.nodes[n];
        const std::uint32_t domain =
            level == problem.levels ? no_index : node.domains[level];
        const auto known = numbers.find(domain);
        const std::uint32_t mine = domain == no_index || known == numbers.end()
                                       ? add_domain(problem, level, n, out)
                                       : known->second;
        if (domain != no_index) {
            numbers.emplace(domain, mine);
        }
        out.of_node.push_back(mine);
        out.last_node[mine] = n;
        for (std::size_t p = 0; p < problem.podsets.size(); ++p) {
            out.copies[mine][p] += problem.tables[node.table].copies[p];
        }
    }
    return out;
}

bool has_pods(const CountVector& pods) {
    return std::ranges::any_of(pods, [](std::uint32_t count) { return count != 0; });
}

class PlanSearch {
  public:
    PlanSearch(const GangProblem& problem, const SearchAim& aim, StepBudget& budget)
        : problem_(problem), aim_(aim), budget_(budget), placed_(podsets()) {
        for (std::uint32_t level = 0; level <= problem.levels; ++level) {
            levels_.push_back(domains_of(problem, level));
        }
        add_rules();
        collect_options();
        chosen_.resize(problem.nodes.size());
        cost_.unmet.resize(podsets() + problem.groups);
        cost_.domains.resize(problem.levels);
        cost_.opened.resize(problem.levels);
        held_copies_.resize(podsets());
    }

    std::optional<FoundPlan> run() {
        visit(0);
        return std::move(best_);
    }

  private:
    [[nodiscard]] std::size_t podsets() const { return problem_.podsets.size(); }

    void add_rules();
    void add_rule(TrackedRule::Kind kind, const LevelRule& rule, std::uint32_t unmet);
    void collect_options();
    [[nodiscard]] static bool fits(const PlanRules& required,
                                   const GangNode& node,
                                   const CountVector& pods);
    void move(std::uint32_t node, const CountVector& pods, bool add);
    void move_domain(std::uint32_t level,
                     std::uint32_t node,
                     const CountVector& pods,
                     bool add);
    void move_rules(std::uint32_t level,
                    std::uint32_t domain,
                    const CountVector& pods,
                    bool add);
    [[nodiscard]] bool can_go_on(std::uint32_t next) const;
    [[nodiscard]] bool has_closed_well(std::uint32_t node) const;
    [[nodiscard]] bool is_balanced(const TrackedRule& rule) const;
    [[nodiscard]] bool holds(const TrackedRule& rule) const;
    [[nodiscard]] GangCost bound(std::uint32_t next) const;
    [[nodiscard]] bool is_done() const;
    [[nodiscard]] bool may_be_better(std::uint32_t next) const;
    void finish();
    void visit(std::uint32_t node);

    const GangProblem& problem_;
    const SearchAim& aim_;
    StepBudget& budget_;
    std::vector<LevelDomains> levels_;
    std::vector<TrackedRule> rules_;
    std::vector<std::vector<CountVector>> options_;  ///< by node, the largest first
    /// rest_[n]: the most that nodes n and on hold of each PodSet.
    std::vector<std::vector<std::uint64_t>> rest_;
    std::vector<CountVector> chosen_;
    CountVector placed_;
    std::vector<std::uint64_t> held_copies_;  ///< of the Domains used, for the waste
    GangCost cost_;                           ///< domains, nodes and opened so far
    std::optional<FoundPlan> best_;
};

void PlanSearch::add_rule(TrackedRule::Kind kind,
                          const LevelRule& rule,
                          std::uint32_t unmet) {
    TrackedRule tracked;
    tracked.kind = kind;
    tracked.podsets.resize(podsets());
    tracked.podsets[rule.podset] = true;
    tracked.level = rule.level;
    tracked.number = rule.number;
    tracked.unmet = unmet;
    rules_.push_back(std::move(tracked));
}

void PlanSearch::add_rules() {
    using Kind = TrackedRule::Kind;
    const auto add_within = [this](const WithinRule& rule, std::uint32_t unmet) {
        TrackedRule tracked;
        tracked.podsets = rule.podsets;
        tracked.level = rule.level;
        tracked.unmet = unmet;
        rules_.push_back(std::move(tracked));
    };
    for (const WithinRule& rule : problem_.within) {
        add_within(rule, no_index);
    }
    for (const LevelRule& rule : problem_.slices) {
        add_rule(Kind::multiple, rule, no_index);
    }
    for (const LevelRule& rule : problem_.spread) {
        add_rule(Kind::at_most, rule, no_index);
    }
    for (const LevelRule& rule : problem_.balanced) {
        add_rule(Kind::balanced, rule, no_index);
    }
    for (const PreferRule& rule : problem_.prefer) {
        if (rule.kind == RuleKind::within) {
            add_within(rule.within, rule.unmet);
        } else {
            add_rule(rule.kind == RuleKind::spread ? Kind::at_most : Kind::balanced,
                     rule.level,
                     rule.unmet);
        }
    }
}

// True when the rules let each PodSet with pods be on the node.
bool PlanSearch::fits(const PlanRules& required,
                      const GangNode& node,
                      const CountVector& pods) {
    for (std::uint32_t p = 0; p < pods.size(); ++p) {
        if (pods[p] != 0 && !may_hold(required, node, p)) {
            return false;
        }
    }
    return true;
}

// What each node may hold by the required rules, whatever the others hold.
void PlanSearch::collect_options() {
    const PlanRules required =
        rules_of(problem_, std::vector<bool>(problem_.prefer.size()));
    rest_.assign(problem_.nodes.size() + 1, std::vector<std::uint64_t>(podsets()));
    options_.resize(problem_.nodes.size());
    for (std::size_t n = problem_.nodes.size(); n-- > 0;) {
        const GangNode& node = problem_.nodes[n];
        const CountTable& table = problem_.tables[node.table];
        rest_[n] = rest_[n + 1];
        std::ranges::copy_if(
            aim_.use_possible ? table.possible : table.attained,
            std::back_inserter(options_[n]),
            [&](const CountVector& pods) { return fits(required, node, pods); });
        CountVector most(podsets());
        for (const CountVector& pods : options_[n]) {
            std::ranges::transform(most, pods, most.begin(), [](auto a, auto b) {
                return std::max(a, b);
            });
        }
        std::ranges::sort(options_[n], std::greater<>());
        for (std::size_t p = 0; p < podsets(); ++p) {
            rest_[n][p] += most[p];
        }
    }
}

void PlanSearch::move_rules(std::uint32_t level,
                            std::uint32_t domain,
                            const CountVector& pods,
                            bool add) {
    const LevelDomains& at = levels_[level];
    for (TrackedRule& rule : rules_) {
        const std::uint32_t change = rule.level == level ? rule.sum(pods) : 0;
        if (change == 0) {
            continue;
        }
        const std::uint32_t before = rule.sum(at.pods[domain]);
        rule.move(before, add ? before + change : before - change);
        if (!at.is_real[domain]) {
            rule.astray += add ? 1U : ~0U;
        }
    }
}

void PlanSearch::move_domain(std::uint32_t level,
                             std::uint32_t node,
                             const CountVector& pods,
                             bool add) {
    LevelDomains& at = levels_[level];
    const std::uint32_t domain = at.of_node[node];
    move_rules(level, domain, pods, add);
    CountVector& held = at.pods[domain];
    const bool was_used = has_pods(held);
    for (std::size_t p = 0; p < podsets(); ++p) {
        const std::uint32_t before = held[p];
        held[p] = add ? before + pods[p] : before - pods[p];
        if (problem_.podsets[p].lowest_level == level &&
            (before == 0) != (held[p] == 0)) {
            held_copies_[p] += add ? at.copies[domain][p] : 0 - at.copies[domain][p];
        }
    }
    const bool is_used = has_pods(held);
    if (was_used == is_used || level == problem_.levels) {
        return;
    }
    cost_.domains[level] += add ? 1 : -1;
    if (!at.is_open[domain]) {
        cost_.opened[level] += add ? 1 : -1;
    }
}

void PlanSearch::move(std::uint32_t node, const CountVector& pods, bool add) {
    if (!has_pods(pods)) {
        return;
    }
    for (std::uint32_t level = 0; level <= problem_.levels; ++level) {
        move_domain(level, node, pods, add);
    }
    cost_.nodes += add ? 1 : -1;
    for (std::size_t p = 0; p < podsets(); ++p) {
        placed_[p] = add ? placed_[p] + pods[p] : placed_[p] - pods[p];
    }
}

// False when a Domain whose last node this is breaks a slice.
bool PlanSearch::has_closed_well(std::uint32_t node) const {
    return std::ranges::all_of(rules_, [&](const TrackedRule& rule) {
        const LevelDomains& at = levels_[rule.level];
        const std::uint32_t domain = at.of_node[node];
        if (rule.kind != TrackedRule::Kind::multiple || at.last_node[domain] != node) {
            return true;
        }
        for (std::size_t p = 0; p < podsets(); ++p) {
            if (rule.podsets[p]) {
                return !rule.is_broken_by(at.pods[domain][p]);
            }
        }
        return true;
    });
}

bool PlanSearch::can_go_on(std::uint32_t next) const {
    for (std::size_t p = 0; p < podsets(); ++p) {
        if (placed_[p] > problem_.podsets[p].count ||
            placed_[p] + rest_[next][p] < problem_.podsets[p].min_count) {
            return false;
        }
    }
    return std::ranges::none_of(rules_, [](const TrackedRule& rule) {
        return rule.unmet == no_index && rule.is_lost();
    });
}

bool PlanSearch::is_balanced(const TrackedRule& rule) const {
    std::uint32_t least = no_index;
    std::uint32_t most = 0;
    for (const CountVector& pods : levels_[rule.level].pods) {
        for (std::size_t p = 0; p < podsets(); ++p) {
            if (rule.podsets[p] && pods[p] != 0) {
                least = std::min(least, pods[p]);
                most = std::max(most, pods[p]);
            }
        }
    }
    return most == 0 || most - least <= 1;
}

bool PlanSearch::holds(const TrackedRule& rule) const {
    return !rule.is_lost() && rule.broken == 0 &&
           (rule.kind != TrackedRule::Kind::balanced || is_balanced(rule));
}

// No plan that goes on from here costs less, term by term.
GangCost PlanSearch::bound(std::uint32_t next) const {
    GangCost cost = cost_;
    for (std::size_t p = 0; p < podsets(); ++p) {
        const std::uint64_t count = problem_.podsets[p].count;
        const std::uint64_t most = std::min(count, placed_[p] + rest_[next][p]);
        cost.short_pods += static_cast<std::int64_t>(count - most);
        if (held_copies_[p] > most) {
            cost.waste += static_cast<std::int64_t>(held_copies_[p] - most);
        }
    }
    for (const TrackedRule& rule : rules_) {
        if (rule.unmet != no_index && rule.is_lost()) {
            ++cost.unmet[rule.unmet];
        }
    }
    return cost;
}

void PlanSearch::finish() {
    GangCost cost = bound(static_cast<std::uint32_t>(problem_.nodes.size()));
    for (const TrackedRule& rule : rules_) {
        if (holds(rule)) {
            continue;
        }
        if (rule.unmet == no_index) {
            return;
        }
        cost.unmet[rule.unmet] += rule.is_lost() ? 0 : 1;
    }
    if (!best_ || cost < best_->cost) {
        best_ = FoundPlan{std::move(cost), chosen_};
    }
}

bool PlanSearch::is_done() const {
    return best_ && aim_.first;
}

bool PlanSearch::may_be_better(std::uint32_t next) const {
    return !best_ || bound(next) < best_->cost;
}

// Larger vectors come first, so of plans of equal cost the first is the best.
// NOLINTNEXTLINE(misc-no-recursion): as deep as there are nodes
void PlanSearch::visit(std::uint32_t node) {
    if (!budget_.spend() || is_done() || !can_go_on(node) || !may_be_better(node)) {
        return;
    }
    if (node == problem_.nodes.size()) {
        finish();
        return;
    }
    for (const CountVector& pods : options_[node]) {
        move(node, pods, true);
        if (has_closed_well(node)) {
            chosen_[node] = pods;
            visit(node + 1);
        }
        move(node, pods, false);
        if (budget_.limited) {
            return;
        }
    }
}

}  // namespace

std::optional<FoundPlan> search_plan(const GangProblem& problem,
                                     const SearchAim& aim,
                                     StepBudget& budget) {
    return PlanSearch(problem, aim, budget).run();
}

}  // namespace topoalloc
