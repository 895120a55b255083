// SPDX-License-Identifier: Apache-2.0
#include "gang_instances.hpp"

#include "instances.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t gang_stream = 0x1f83d9abfb41bd6b;

class GangMaker {
  public:
    explicit GangMaker(std::uint64_t seed) : rng_(seed ^ gang_stream) {}

    GangProblem make() {
        out_.levels = rng_.weighted({10, 35, 35, 20});
        make_podsets();
        make_nodes();
        make_tables();
        make_domains();
        make_open();
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            make_rules(p);
        }
        make_groups();
        // Those that no PodSet can use are left out, and they may be all.
        if (rng_.percent(1)) {
            out_.nodes.clear();
        }
        return std::move(out_);
    }

  private:
    [[nodiscard]] std::uint32_t podsets() const {
        return static_cast<std::uint32_t>(out_.podsets.size());
    }

    void make_podsets() {
        const std::uint32_t number = 1 + rng_.weighted({30, 35, 22, 13});
        constexpr std::array<std::uint32_t, 4> most{8, 6, 5, 3};
        for (std::uint32_t p = 0; p < number; ++p) {
            GangPodSet podset;
            podset.count = rng_.between(1, most[number - 1]);
            // Slices want divisors.
            if (podset.count % 2 == 1 && podset.count > 1 && rng_.percent(50)) {
                --podset.count;
            }
            podset.min_count =
                rng_.percent(50) ? podset.count : rng_.below(podset.count + 1);
            out_.podsets.push_back(podset);
            demands_.push_back({rng_.below(4), rng_.below(3)});
            if (demands_.back() == Demand{0, 0}) {
                demands_.back() = {1, 0};
            }
        }
    }

    void make_nodes() {
        out_.nodes.resize(rng_.between(1, podsets() < 4 ? 7 : 6));
        // One node tells little.
        if (out_.nodes.size() < 3 && rng_.percent(60)) {
            out_.nodes.resize(out_.nodes.size() + 2);
        }
    }

    void make_tables() {
        const bool are_exact = rng_.percent(80);
        const std::uint32_t number = rng_.between(
            1, std::min<std::uint32_t>(4, static_cast<std::uint32_t>(node_count())));
        for (std::uint32_t t = 0; t < number; ++t) {
            out_.tables.push_back(make_table(are_exact || rng_.percent(40)));
        }
        for (GangNode& node : out_.nodes) {
            node.table = rng_.below(number);
        }
    }

    [[nodiscard]] std::size_t node_count() const { return out_.nodes.size(); }

    // What the Gang needs of one resource, all in all.
    [[nodiscard]] std::uint32_t total_demand(std::size_t resource) const {
        std::uint32_t total = 0;
        for (std::size_t p = 0; p < demands_.size(); ++p) {
            total += out_.podsets[p].count * demands_[p][resource];
        }
        return total;
    }

    CountTable make_table(bool is_exact) {
        CountTable table;
        const CountVector counts = make_counts();
        const Demand room = make_room();
        CountVector vector(podsets(), 0);
        add_vectors(table.possible, vector, 0, counts, room);
        std::sort(table.possible.begin(), table.possible.end());
        if (podsets() > 1 && rng_.percent(35)) {
            drop_vectors(table.possible);
        }
        table.attained = table.possible;
        if (!is_exact) {
            drop_vectors(table.attained);
        }
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            std::uint32_t alone = 0;
            for (const CountVector& held : table.attained) {
                alone = std::max(alone, held[p]);
            }
            if (alone == out_.podsets[p].count && rng_.percent(50)) {
                alone += rng_.below(4);
            }
            table.copies.push_back(alone);
        }
        return table;
    }

    // Of each PodSet at most; zero: the node is not eligible.
    CountVector make_counts() {
        CountVector counts;
        const bool is_full = rng_.percent(7);
        for (const GangPodSet& podset : out_.podsets) {
            counts.push_back(is_full || rng_.percent(12) ? 0 : podset.count);
        }
        return counts;
    }

    using Demand = std::array<std::uint32_t, 2>;

    // A share of the demand: together the nodes have less than it to five times as
    // much.
    Demand make_room() {
        Demand room{};
        for (std::size_t r = 0; r < room.size(); ++r) {
            const std::uint32_t total = total_demand(r) * rng_.between(80, 500);
            const auto nodes = static_cast<std::uint32_t>(node_count()) * 100;
            room[r] = std::max((total + nodes / 2) / nodes, rng_.below(3));
        }
        return room;
    }

    void add_vectors(std::vector<CountVector>& vectors,
                     CountVector& vector,
                     std::size_t podset,
                     const CountVector& counts,
                     const Demand& room) {
        if (podset == counts.size()) {
            vectors.push_back(vector);
            return;
        }
        Demand left = room;
        for (std::uint32_t pods = 0; pods <= counts[podset]; ++pods) {
            vector[podset] = pods;
            add_vectors(vectors, vector, podset + 1, counts, left);
            bool fits = true;
            for (std::size_t r = 0; r < left.size(); ++r) {
                fits = fits && left[r] >= demands_[podset][r];
                left[r] -= std::min(left[r], demands_[podset][r]);
            }
            if (!fits) {
                break;
            }
        }
        vector[podset] = 0;
    }

    // Some of the largest vectors go; what is left is still a downset.
    void drop_vectors(std::vector<CountVector>& vectors) {
        for (std::uint32_t times = rng_.between(1, 4); times > 0; --times) {
            const CountVector most = rng_.pick(vectors);
            const bool is_zero =
                std::all_of(most.begin(), most.end(), [](auto n) { return n == 0; });
            if (is_zero) {
                continue;
            }
            std::erase_if(vectors, [&](const CountVector& held) {
                return std::equal(
                    held.begin(), held.end(), most.begin(), std::greater_equal<>());
            });
        }
    }

    // Values by level as a node gives them: no_index is missing.
    using Values = std::vector<std::uint32_t>;

    void make_domains() {
        const std::uint32_t second_tree = out_.levels > 1 && rng_.percent(35)
                                              ? rng_.between(1, out_.levels - 1)
                                              : out_.levels;
        const bool are_missing = rng_.percent(25);
        std::vector<Values> values(node_count());
        const std::uint32_t width = rng_.between(2, 3);
        for (Values& own : values) {
            for (std::uint32_t level = 0; level < out_.levels; ++level) {
                const bool is_missing = are_missing && rng_.percent(20);
                own.push_back(is_missing ? no_index : rng_.below(width));
            }
        }
        // Node order; a caller of the bare problem may have another one.
        if (rng_.percent(80)) {
            std::sort(values.begin(), values.end());
        }
        for (std::uint32_t level = 0; level < out_.levels; ++level) {
            name_domains(values, level < second_tree ? 0 : second_tree, level);
        }
    }

    // Numbers the Domains of a level: its values down the tree that starts at `first`.
    void name_domains(const std::vector<Values>& values,
                      std::uint32_t first,
                      std::uint32_t level) {
        std::map<Values, std::uint32_t> numbers;
        for (const Values& own : values) {
            if (own[level] != no_index) {
                numbers.try_emplace(path_of(own, first, level),
                                    static_cast<std::uint32_t>(numbers.size()));
            }
        }
        // Domains whose nodes are all left out of the problem have numbers too.
        const auto named = static_cast<std::uint32_t>(numbers.size());
        const std::uint32_t all = named + (rng_.percent(20) ? rng_.between(1, 2) : 0);
        std::vector<std::uint32_t> names(all);
        for (std::uint32_t d = 0; d < all; ++d) {
            names[d] = d;
        }
        if (rng_.percent(30)) {
            rng_.shuffle(names);
        }
        for (std::size_t v = 0; v < values.size(); ++v) {
            const bool is_missing = values[v][level] == no_index;
            out_.nodes[v].domains.push_back(
                is_missing ? no_index
                           : names[numbers.at(path_of(values[v], first, level))]);
        }
        out_.open_domains.emplace_back(all, false);
    }

    [[nodiscard]] static Values path_of(const Values& own,
                                        std::uint32_t first,
                                        std::uint32_t level) {
        return {own.begin() + first, own.begin() + level + 1};
    }

    void make_open() {
        const std::uint32_t chance = rng_.pick(std::vector<std::uint32_t>{0, 25, 60});
        for (std::uint32_t level = 0; level < out_.levels; ++level) {
            for (auto open : out_.open_domains[level]) {
                open = chance > 0 && rng_.percent(15);
            }
        }
        for (GangNode& node : out_.nodes) {
            node.open = rng_.percent(chance);
            for (std::uint32_t level = 0; node.open && level < out_.levels; ++level) {
                if (node.domains[level] != no_index) {
                    out_.open_domains[level][node.domains[level]] = true;
                }
            }
        }
    }

    // Any level, "node" seldom.
    std::uint32_t pick_level() {
        return out_.levels == 0 || rng_.percent(12) ? out_.levels
                                                    : rng_.below(out_.levels);
    }

    void declare(std::uint32_t podset, std::uint32_t level) {
        std::uint32_t& lowest = out_.podsets[podset].lowest_level;
        lowest = lowest == no_index ? level : std::max(lowest, level);
    }

    [[nodiscard]] std::vector<bool> only(std::uint32_t podset) const {
        std::vector<bool> result(podsets(), false);
        result[podset] = true;
        return result;
    }

    LevelRule make_level_rule(std::uint32_t podset) {
        const std::uint32_t most = std::min(out_.podsets[podset].count, 4U);
        return {podset, pick_level(), rng_.between(1, most)};
    }

    void make_rules(std::uint32_t podset) {
        if (rng_.percent(25)) {
            make_slices(podset);
        }
        if (rng_.percent(22)) {
            out_.within.push_back({only(podset), pick_level()});
            declare(podset, out_.within.back().level);
        }
        if (rng_.percent(13)) {
            out_.spread.push_back(make_level_rule(podset));
            declare(podset, out_.spread.back().level);
        }
        if (rng_.percent(15)) {
            out_.balanced.push_back({podset, pick_level(), 0});
            declare(podset, out_.balanced.back().level);
        }
        for (std::uint32_t times = rng_.weighted({50, 30, 15, 5}); times > 0; --times) {
            make_preference(podset);
        }
    }

    void make_preference(std::uint32_t podset) {
        PreferRule rule;
        rule.unmet = podset;
        rule.kind = static_cast<RuleKind>(rng_.below(3));
        if (rule.kind == RuleKind::within) {
            rule.within = {only(podset), pick_level()};
            declare(podset, rule.within.level);
        } else {
            rule.level = make_level_rule(podset);
            declare(podset, rule.level.level);
        }
        out_.prefer.push_back(rule);
    }

    // Coarse to fine, each size a divisor of the one before.
    void make_slices(std::uint32_t podset) {
        std::uint32_t size = out_.podsets[podset].count;
        std::uint32_t level = rng_.below(out_.levels + 1);
        for (std::uint32_t times = rng_.between(1, 3); times > 0; --times) {
            std::vector<std::uint32_t> sizes;
            for (std::uint32_t s = 1; s <= size; ++s) {
                // A slice of one pod says no more than that there is a Domain.
                if (size % s == 0 && (s > 1 || rng_.percent(25))) {
                    sizes.push_back(s);
                }
            }
            if (sizes.empty() || level > out_.levels) {
                return;
            }
            size = rng_.pick(sizes);
            out_.slices.push_back({podset, level, size});
            declare(podset, level);
            level += rng_.between(1, 2);
        }
    }

    void make_groups() {
        std::vector<std::vector<bool>> groups;
        for (std::uint32_t number = rng_.weighted({45, 40, 15}); number > 0; --number) {
            std::vector<bool> members(podsets(), false);
            for (std::uint32_t p = 0; p < podsets(); ++p) {
                members[p] = rng_.percent(65);
            }
            if (!groups.empty() && rng_.percent(50)) {
                for (std::uint32_t p = 0; p < podsets(); ++p) {
                    members[p] = members[p] || groups.back()[p];
                }
            }
            members[rng_.below(podsets())] = true;
            if (rng_.percent(45)) {
                out_.within.push_back({members, pick_level()});
            }
            for (std::uint32_t times = rng_.weighted({40, 40, 20}); times > 0;
                 --times) {
                PreferRule rule;
                rule.within = {members, pick_level()};
                rule.unmet = podsets() + out_.groups;
                out_.prefer.push_back(rule);
            }
            groups.push_back(members);
            ++out_.groups;
        }
    }

    Rng rng_;
    GangProblem out_;
    std::vector<Demand> demands_;  // of one pod, by PodSet: of two resources
};

std::string_view wrong_with_table(const GangProblem& problem,
                                  const std::vector<CountVector>& vectors) {
    const std::set<CountVector> all(vectors.begin(), vectors.end());
    if (!std::is_sorted(vectors.begin(), vectors.end()) ||
        all.size() != vectors.size()) {
        return "table: out of order";
    }
    const std::size_t podsets = problem.podsets.size();
    if (!all.contains(CountVector(podsets, 0))) {
        return "table: without zero";
    }
    for (const CountVector& held : vectors) {
        if (held.size() != podsets) {
            return "vector: of other PodSets";
        }
        for (std::size_t p = 0; p < podsets; ++p) {
            CountVector less = held;
            less[p] -= held[p] > 0 ? 1 : 0;
            if (held[p] > problem.podsets[p].count || !all.contains(less)) {
                return "table: no downset within the counts";
            }
        }
    }
    return "";
}

// A node can hold so many alone; more than the count only where it can hold the count.
bool are_copies(const GangProblem& problem, const CountTable& table) {
    for (std::size_t p = 0; p < problem.podsets.size(); ++p) {
        std::uint32_t alone = 0;
        for (const CountVector& held : table.attained) {
            alone = std::max(alone, held[p]);
        }
        const std::uint32_t copies = table.copies[p];
        if (copies < alone || (copies > alone && alone < problem.podsets[p].count)) {
            return false;
        }
    }
    return true;
}

std::string_view wrong_with_tables(const GangProblem& problem) {
    for (const CountTable& table : problem.tables) {
        for (const auto* vectors : {&table.attained, &table.possible}) {
            if (const std::string_view wrong = wrong_with_table(problem, *vectors);
                !wrong.empty()) {
                return wrong;
            }
        }
        if (!std::includes(table.possible.begin(),
                           table.possible.end(),
                           table.attained.begin(),
                           table.attained.end())) {
            return "table: attained but not possible";
        }
        if (table.copies.size() != problem.podsets.size() ||
            !are_copies(problem, table)) {
            return "copies: not what a node can hold alone";
        }
    }
    return "";
}

std::string_view wrong_with_nodes(const GangProblem& problem) {
    if (problem.open_domains.size() != problem.levels) {
        return "open_domains: of other levels";
    }
    for (const GangNode& node : problem.nodes) {
        if (node.table >= problem.tables.size() ||
            node.domains.size() != problem.levels) {
            return "node: without a table or with other levels";
        }
        for (std::uint32_t level = 0; level < problem.levels; ++level) {
            const std::uint32_t domain = node.domains[level];
            if (domain == no_index) {
                continue;
            }
            const auto& open = problem.open_domains[level];
            if (domain >= open.size() || (node.open && !open[domain])) {
                return "Domain: without a number or closed with an open node";
            }
        }
    }
    return "";
}

bool is_rule(const GangProblem& problem, const LevelRule& rule) {
    return rule.podset < problem.podsets.size() && rule.level <= problem.levels;
}

bool is_rule(const GangProblem& problem, const WithinRule& rule) {
    return rule.podsets.size() == problem.podsets.size() &&
           std::count(rule.podsets.begin(), rule.podsets.end(), true) > 0 &&
           rule.level <= problem.levels;
}

bool is_slice(const GangProblem& problem, const LevelRule& rule) {
    return is_rule(problem, rule) && rule.number > 0 &&
           problem.podsets[rule.podset].count % rule.number == 0;
}

bool is_spread(const GangProblem& problem, const LevelRule& rule) {
    return is_rule(problem, rule) && rule.number > 0;
}

bool is_preference(const GangProblem& problem, const PreferRule& rule) {
    if (rule.unmet >= problem.podsets.size() + problem.groups) {
        return false;
    }
    switch (rule.kind) {
        case RuleKind::within:
            return is_rule(problem, rule.within);
        case RuleKind::spread:
            return is_spread(problem, rule.level);
        case RuleKind::balanced:
            return is_rule(problem, rule.level);
    }
    return false;
}

std::string_view wrong_with_rules(const GangProblem& problem) {
    const auto are_all = [&](const auto& rules, const auto& is_one) {
        return std::all_of(rules.begin(), rules.end(), [&](const auto& rule) {
            return is_one(problem, rule);
        });
    };
    const bool are_right =
        are_all(problem.within,
                [](const auto& p, const auto& r) { return is_rule(p, r); }) &&
        are_all(problem.slices, is_slice) && are_all(problem.spread, is_spread) &&
        are_all(problem.balanced,
                [](const auto& p, const auto& r) { return is_rule(p, r); }) &&
        are_all(problem.prefer, is_preference);
    return are_right ? "" : "rule: of no PodSet or level, or of a wrong number";
}

}  // namespace

GangProblem make_gang_problem(std::uint64_t seed) {
    return GangMaker(seed).make();
}

std::string wrong_with(const GangProblem& problem) {
    if (problem.podsets.empty()) {
        return "podsets: none";
    }
    for (const GangPodSet& podset : problem.podsets) {
        if (podset.count == 0 || podset.min_count > podset.count ||
            (podset.lowest_level != no_index && podset.lowest_level > problem.levels)) {
            return "PodSet: wrong counts or level";
        }
    }
    for (const auto find : {&wrong_with_tables, &wrong_with_nodes, &wrong_with_rules}) {
        if (const std::string_view wrong = find(problem); !wrong.empty()) {
            return std::string(wrong);
        }
    }
    return "";
}

}  // namespace topoalloc::oracle
