// SPDX-License-Identifier: Apache-2.0
//
// oracle_gang_run: many random cluster problems through the gang solver and the
// brute-force oracle.
//
//   oracle_gang_run --instances N --seed S [--threads T] [--max-steps M] [--most C]
//
// Instance i has the seed S + i, so `--instances 1 --seed X` repeats one. Problems with
// more than C partial plans are asked, their answers judged, and counted apart. Exit
// codes: 0 all agree, 1 one differs (printed, shrunk), 2 bad arguments.
#include "oracle/gang_compare.hpp"
#include "oracle/gang_instances.hpp"
#include "oracle/run.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <string>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

// What a problem may have, for the table of the run.
constexpr std::array<const char*, 21> trait_names{"all",
                                                  "within of a PodSet",
                                                  "within of a Group",
                                                  "one slice",
                                                  "nested slices",
                                                  "spread",
                                                  "balanced",
                                                  "prefer within of a PodSet",
                                                  "prefer within of a Group",
                                                  "prefer spread",
                                                  "prefer balanced",
                                                  "a rule of nodes",
                                                  "no level",
                                                  "a node without a Domain",
                                                  "Domains that cross",
                                                  "an open node",
                                                  "min_count below count",
                                                  "attained below possible",
                                                  "several PodSets",
                                                  "copies beyond a count",
                                                  "no node"};
using Traits = std::array<bool, trait_names.size()>;

bool is_of_one(const WithinRule& rule) {
    return std::count(rule.podsets.begin(), rule.podsets.end(), true) == 1;
}

bool prefers(const GangProblem& problem, RuleKind kind, bool is_of_group) {
    return std::any_of(
        problem.prefer.begin(), problem.prefer.end(), [&](const PreferRule& rule) {
            return rule.kind == kind &&
                   (rule.unmet >= problem.podsets.size()) == is_of_group;
        });
}

bool has_nested_slices(const GangProblem& problem) {
    return std::any_of(
        problem.slices.begin(), problem.slices.end(), [&](const LevelRule& rule) {
            return std::count_if(problem.slices.begin(),
                                 problem.slices.end(),
                                 [&](const LevelRule& other) {
                                     return other.podset == rule.podset;
                                 }) > 1;
        });
}

bool has_node_rule(const GangProblem& problem) {
    const auto any = [&](const auto& rules) {
        return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
            return rule.level == problem.levels;
        });
    };
    return any(problem.within) || any(problem.slices) || any(problem.spread) ||
           any(problem.balanced);
}

// Do two nodes of one Domain have two at a coarser level?
bool has_crossing(const GangProblem& problem) {
    const auto part = [&](std::uint32_t coarse, std::uint32_t fine) {
        for (const GangNode& a : problem.nodes) {
            for (const GangNode& b : problem.nodes) {
                if (a.domains[fine] != no_index && a.domains[fine] == b.domains[fine] &&
                    a.domains[coarse] != b.domains[coarse]) {
                    return true;
                }
            }
        }
        return false;
    };
    for (std::uint32_t fine = 0; fine < problem.levels; ++fine) {
        for (std::uint32_t coarse = 0; coarse < fine; ++coarse) {
            if (part(coarse, fine)) {
                return true;
            }
        }
    }
    return false;
}

bool has_copies(const GangProblem& problem) {
    return std::any_of(
        problem.tables.begin(), problem.tables.end(), [&](const CountTable& table) {
            for (std::size_t p = 0; p < problem.podsets.size(); ++p) {
                if (table.copies[p] > problem.podsets[p].count) {
                    return true;
                }
            }
            return false;
        });
}

Traits traits_of(const GangProblem& problem, bool is_exact) {
    const auto& nodes = problem.nodes;
    const bool is_missing =
        std::any_of(nodes.begin(), nodes.end(), [](const GangNode& node) {
            return std::count(node.domains.begin(), node.domains.end(), no_index) > 0;
        });
    const bool is_open = std::any_of(
        nodes.begin(), nodes.end(), [](const GangNode& node) { return node.open; });
    const bool is_elastic = std::any_of(
        problem.podsets.begin(), problem.podsets.end(), [](const GangPodSet& podset) {
            return podset.min_count < podset.count;
        });
    const auto& within = problem.within;
    const bool has_nested = has_nested_slices(problem);
    return {true,
            std::any_of(within.begin(), within.end(), is_of_one),
            !std::all_of(within.begin(), within.end(), is_of_one),
            !problem.slices.empty() && !has_nested,
            has_nested,
            !problem.spread.empty(),
            !problem.balanced.empty(),
            prefers(problem, RuleKind::within, false),
            prefers(problem, RuleKind::within, true),
            prefers(problem, RuleKind::spread, false),
            prefers(problem, RuleKind::balanced, false),
            has_node_rule(problem),
            problem.levels == 0,
            is_missing,
            has_crossing(problem),
            is_open,
            is_elastic,
            !is_exact,
            problem.podsets.size() > 1,
            has_copies(problem),
            nodes.empty()};
}

struct Tally {
    // Of place: by trait and status; then those that were not compared.
    std::array<std::array<std::uint64_t, 5>, trait_names.size()> traits{};
    std::array<std::uint64_t, 4> checks{};  // by status of check
    std::uint64_t feasible = 0, only_possible = 0, unproved_best = 0;
    StepTally place_steps, check_steps;

    void add(const GangComparison& result,
             const GangProblem& problem,
             std::uint64_t seed) {
        const Traits own = traits_of(problem, result.is_exact);
        const auto status = static_cast<std::size_t>(result.place);
        for (std::size_t t = 0; t < own.size(); ++t) {
            traits[t][result.is_counted ? status : 4] += own[t] ? 1 : 0;
        }
        ++checks[static_cast<std::size_t>(result.check)];
        feasible += result.feasible ? 1 : 0;
        only_possible += result.possible && !result.feasible ? 1 : 0;
        unproved_best += result.is_best && result.place == Status::feasible ? 1 : 0;
        place_steps.add(result.place_steps, seed);
        check_steps.add(result.check_steps, seed);
    }

    void add(const Tally& other) {
        for (std::size_t t = 0; t < traits.size(); ++t) {
            for (std::size_t s = 0; s < traits[t].size(); ++s) {
                traits[t][s] += other.traits[t][s];
            }
        }
        for (std::size_t s = 0; s < checks.size(); ++s) {
            checks[s] += other.checks[s];
        }
        feasible += other.feasible;
        only_possible += other.only_possible;
        unproved_best += other.unproved_best;
        place_steps.add(other.place_steps);
        check_steps.add(other.check_steps);
    }

    void print() const {
        std::cout << std::setw(28) << std::left << "place" << std::right;
        for (const char* name : status_names) {
            std::cout << std::setw(12) << name;
        }
        std::cout << std::setw(14) << "not compared" << "\n";
        for (std::size_t t = 0; t < traits.size(); ++t) {
            std::cout << std::setw(28) << std::left << trait_names[t] << std::right;
            for (std::size_t s = 0; s < traits[t].size(); ++s) {
                std::cout << std::setw(s < 4 ? 12 : 14) << traits[t][s];
            }
            std::cout << "\n";
        }
        std::cout << std::setw(28) << std::left << "check" << std::right;
        for (const std::uint64_t count : checks) {
            std::cout << std::setw(12) << count;
        }
        std::cout << "\noracle: " << feasible << " have a plan, " << only_possible
                  << " may have one; " << unproved_best
                  << " FEASIBLE answers are the best plan\n";
        print(place_steps, "place");
        print(check_steps, "check");
    }

  private:
    static void print(const StepTally& steps, const char* name) {
        std::cout << name << " steps: " << steps.sum << " in all, most " << steps.most
                  << " (seed " << steps.most_seed << ")\n";
    }
};

class Runner {
  public:
    Runner(const RunArguments& arguments, std::uint64_t most)
        : arguments_(arguments), most_(most) {}

    int run() {
        const auto total = run_instances<Tally>(
            arguments_,
            [this](std::uint64_t seed, Tally& tally) { ask(seed, tally); },
            [this] { return differs_.load(); });
        total.print();
        return differs_ ? 1 : 0;
    }

  private:
    [[nodiscard]] GangComparison ask(const GangProblem& problem) const {
        return compare(problem, {arguments_.max_steps}, most_);
    }

    void ask(std::uint64_t seed, Tally& tally) {
        const GangProblem problem = make_gang_problem(seed);
        const GangComparison result = ask(problem);
        tally.add(result, problem, seed);
        if (!result.difference.empty() && !differs_.exchange(true)) {
            report(problem, result, seed);
        }
    }

    void report(const GangProblem& problem,
                const GangComparison& result,
                std::uint64_t seed) {
        const GangProblem small = shrink(problem, [&](const GangProblem& other) {
            return ask(other).difference == result.difference;
        });
        std::cout << "DIFFERENCE in " << result.difference << " (seed " << seed << ")\n"
                  << ask(small).detail << "\n"
                  << dump(small) << '\n';
    }

    RunArguments arguments_;
    std::uint64_t most_;
    std::atomic<bool> differs_{false};  // the thread that sets it reports
};

}  // namespace

int main(int argc, char** argv) {
    RunArguments arguments;
    std::uint64_t most = 2'000'000;
    if (!parse(argc, argv, arguments, {{"--most", &most}})) {
        std::cerr << "usage: oracle_gang_run [--instances N] [--seed S] [--threads T] "
                     "[--max-steps M] [--most C]\n";
        return 2;
    }
    return Runner(arguments, most).run();
}
