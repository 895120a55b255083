// SPDX-License-Identifier: Apache-2.0
#include "bind_oracle_gang.hpp"

#include "oracle/gang_instances.hpp"
#include "oracle/gang_large.hpp"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace topoalloc::oracle {
namespace {

namespace py = pybind11;

using Index = std::optional<std::uint32_t>;
using LevelRow = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;
using WithinRow = std::pair<std::vector<bool>, std::uint32_t>;
// Kind, members, level, number, position in unmet.
using PreferRow = std::
    tuple<std::string, std::vector<bool>, std::uint32_t, std::uint32_t, std::uint32_t>;

constexpr std::array rule_kinds = {"within", "spread", "balanced"};
constexpr std::array status_words = {"OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN"};

Index none_if_no_index(std::uint32_t index) {
    return index == no_index ? std::nullopt : Index(index);
}

std::vector<Index> none_if_no_index(const std::vector<std::uint32_t>& indices) {
    std::vector<Index> result;
    for (const std::uint32_t index : indices) {
        result.push_back(none_if_no_index(index));
    }
    return result;
}

// ---------------------------------------------------------------- to Python

std::vector<LevelRow> rows_of(const std::vector<LevelRule>& rules) {
    std::vector<LevelRow> rows;
    for (const LevelRule& rule : rules) {
        rows.emplace_back(rule.podset, rule.level, rule.number);
    }
    return rows;
}

PreferRow row_of(const PreferRule& rule, std::size_t podsets) {
    const char* const kind = rule_kinds[static_cast<std::size_t>(rule.kind)];
    if (rule.kind == RuleKind::within) {
        return {kind, rule.within.podsets, rule.within.level, 0, rule.unmet};
    }
    std::vector<bool> members(podsets, false);
    members[rule.level.podset] = true;
    return {kind, members, rule.level.level, rule.level.number, rule.unmet};
}

void write_rules(const GangProblem& problem, py::dict& to) {
    std::vector<WithinRow> within;
    for (const WithinRule& rule : problem.within) {
        within.emplace_back(rule.podsets, rule.level);
    }
    to["within"] = within;
    to["slices"] = rows_of(problem.slices);
    to["spread"] = rows_of(problem.spread);
    to["balanced"] = rows_of(problem.balanced);
    std::vector<PreferRow> prefer;
    for (const PreferRule& rule : problem.prefer) {
        prefer.push_back(row_of(rule, problem.podsets.size()));
    }
    to["prefer"] = prefer;
}

py::dict to_python(const GangProblem& problem) {
    py::dict to;
    to["levels"] = problem.levels;
    py::list podsets;
    for (const GangPodSet& podset : problem.podsets) {
        podsets.append(py::make_tuple(
            podset.count, podset.min_count, none_if_no_index(podset.lowest_level)));
    }
    to["podsets"] = podsets;
    to["groups"] = problem.groups;
    write_rules(problem, to);
    py::list tables;
    for (const CountTable& table : problem.tables) {
        py::dict entry;
        entry["attained"] = table.attained;
        entry["possible"] = table.possible;
        entry["copies"] = table.copies;
        tables.append(entry);
    }
    to["tables"] = tables;
    py::list nodes;
    for (const GangNode& node : problem.nodes) {
        nodes.append(
            py::make_tuple(node.table, none_if_no_index(node.domains), node.open));
    }
    to["nodes"] = nodes;
    to["open_domains"] = problem.open_domains;
    return to;
}

py::dict to_python(const GangAnswer& answer) {
    py::dict to;
    to["status"] = status_words[static_cast<std::size_t>(answer.status)];
    to["steps"] = answer.steps;
    if (answer.status == Status::optimal || answer.status == Status::feasible) {
        const GangCost& cost = answer.cost;
        std::vector<std::int64_t> terms{cost.short_pods};
        const auto add = [&](const std::vector<std::int64_t>& more) {
            terms.insert(terms.end(), more.begin(), more.end());
        };
        add(cost.unmet);
        add(cost.domains);
        add({cost.nodes, cost.waste});
        add(cost.opened);
        to["cost"] = terms;
        to["pods"] = answer.pods;
    }
    return to;
}

// ---------------------------------------------------------------- from Python

std::vector<LevelRule> rules_of(const py::handle& rows) {
    std::vector<LevelRule> rules;
    for (const auto& [podset, level, number] : rows.cast<std::vector<LevelRow>>()) {
        rules.push_back({podset, level, number});
    }
    return rules;
}

PreferRule preference_of(const PreferRow& row) {
    const auto& [kind, members, level, number, unmet] = row;
    PreferRule rule;
    const auto* const found = std::find(rule_kinds.begin(), rule_kinds.end(), kind);
    if (found == rule_kinds.end()) {
        throw std::invalid_argument("_oracle: no rule '" + kind + "'");
    }
    rule.kind = static_cast<RuleKind>(found - rule_kinds.begin());
    rule.unmet = unmet;
    if (rule.kind == RuleKind::within) {
        rule.within = {members, level};
    } else {
        const auto own = std::find(members.begin(), members.end(), true);
        rule.level = {static_cast<std::uint32_t>(own - members.begin()), level, number};
    }
    return rule;
}

void read_nodes(const py::dict& from, GangProblem& problem) {
    for (const py::handle& entry : from["tables"]) {
        problem.tables.push_back({entry["attained"].cast<std::vector<CountVector>>(),
                                  entry["possible"].cast<std::vector<CountVector>>(),
                                  entry["copies"].cast<CountVector>(),
                                  {}});
    }
    using Row = std::tuple<std::uint32_t, std::vector<Index>, bool>;
    for (const auto& [table, domains, open] : from["nodes"].cast<std::vector<Row>>()) {
        GangNode node{table, {}, open};
        for (const Index& domain : domains) {
            node.domains.push_back(domain.value_or(no_index));
        }
        problem.nodes.push_back(std::move(node));
    }
    problem.open_domains = from["open_domains"].cast<std::vector<std::vector<bool>>>();
}

GangProblem problem_of(const py::dict& from) {
    GangProblem problem;
    problem.levels = from["levels"].cast<std::uint32_t>();
    using Row = std::tuple<std::uint32_t, std::uint32_t, Index>;
    for (const auto& [count, min_count, lowest] :
         from["podsets"].cast<std::vector<Row>>()) {
        problem.podsets.push_back({count, min_count, lowest.value_or(no_index)});
    }
    problem.groups = from["groups"].cast<std::uint32_t>();
    for (const auto& [members, level] : from["within"].cast<std::vector<WithinRow>>()) {
        problem.within.push_back({members, level});
    }
    problem.slices = rules_of(from["slices"]);
    problem.spread = rules_of(from["spread"]);
    problem.balanced = rules_of(from["balanced"]);
    for (const PreferRow& row : from["prefer"].cast<std::vector<PreferRow>>()) {
        problem.prefer.push_back(preference_of(row));
    }
    read_nodes(from, problem);
    if (const std::string wrong = wrong_with(problem); !wrong.empty()) {
        throw std::invalid_argument("_oracle: " + wrong);
    }
    return problem;
}

// ---------------------------------------------------------------- the functions

py::dict ask(const py::dict& from,
             std::uint64_t max_steps,
             GangAnswer (*solver)(const GangProblem&, SearchLimits)) {
    const GangProblem problem = problem_of(from);
    const GangAnswer answer = [&] {
        // A search may take seconds and touches no Python object.
        const py::gil_scoped_release release_gil;
        return solver(problem, {max_steps});
    }();
    return to_python(answer);
}

py::dict shrink_problem(const py::dict& from,
                        const std::function<bool(const py::dict&)>& differs) {
    return to_python(shrink(problem_of(from), [&](const GangProblem& problem) {
        return differs(to_python(problem));
    }));
}

}  // namespace

void bind_gang(py::module_& m) {
    m.def("make_gang", [](std::uint64_t seed, bool is_large) {
        return to_python(is_large ? make_large_gang_problem(seed)
                                  : make_gang_problem(seed));
    });
    m.def("place_gang", [](const py::dict& problem, std::uint64_t max_steps) {
        return ask(problem, max_steps, place_gang);
    });
    m.def("check_gang", [](const py::dict& problem, std::uint64_t max_steps) {
        return ask(problem, max_steps, check_gang);
    });
    m.def("shrink_gang", &shrink_problem);
    m.def("dump_gang",
          [](const py::dict& problem) { return dump(problem_of(problem)); });
}

}  // namespace topoalloc::oracle
