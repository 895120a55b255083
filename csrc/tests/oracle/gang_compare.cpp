// SPDX-License-Identifier: Apache-2.0
#include "gang_compare.hpp"

#include "gang_brute.hpp"

#include "topoalloc/errors.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace topoalloc::oracle {
namespace {

std::string text_of(const std::vector<std::int64_t>& terms) {
    std::string text;
    for (const std::int64_t term : terms) {
        text += (text.empty() ? "" : " ") + std::to_string(term);
    }
    return "[" + text + "]";
}

std::string text_of(const GangCost& cost) {
    return "short " + std::to_string(cost.short_pods) + " unmet " +
           text_of(cost.unmet) + " domains " + text_of(cost.domains) + " nodes " +
           std::to_string(cost.nodes) + " waste " + std::to_string(cost.waste) +
           " opened " + text_of(cost.opened);
}

std::string text_of(const std::vector<CountVector>& pods) {
    std::string text;
    for (const CountVector& held : pods) {
        text += (text.empty() ? "" : " ") +
                text_of(std::vector<std::int64_t>(held.begin(), held.end()));
    }
    return text;
}

std::string text_of(Status status) {
    constexpr std::array<const char*, 4> names{
        "OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN"};
    return names[static_cast<std::size_t>(status)];
}

bool is_found(const GangAnswer& answer) {
    return answer.status == Status::optimal || answer.status == Status::feasible;
}

std::string text_of(const GangAnswer& answer) {
    return "core: " + text_of(answer.status) + " after " +
           std::to_string(answer.steps) + " steps" +
           (is_found(answer) ? "; " + text_of(answer.cost) + "; " + text_of(answer.pods)
                             : "");
}

std::string text_of(const GangBest& best) {
    return "oracle: " + (best.feasible
                             ? text_of(best.cost) + "; " + text_of(best.pods)
                             : std::string(best.possible ? "none is known" : "none"));
}

// What the plan itself tells; "" when it is one, of the cost given.
std::string_view judge_answer(const GangProblem& problem, const GangAnswer& answer) {
    if (!is_found(answer)) {
        return "";
    }
    const auto cost = judge_gang(problem, answer.pods);
    if (!cost) {
        return "plan";
    }
    return *cost != answer.cost || *cost != cost_of(problem, answer.pods) ? "cost" : "";
}

using Ask = GangAnswer (*)(const GangProblem&, SearchLimits);

// Is there no proof for another reason than the limit? Steps are taken in lots, so an
// answer may have fewer than the limit; then a higher limit leads further.
bool is_given_up(const GangProblem& problem,
                 Ask ask,
                 const GangAnswer& answer,
                 SearchLimits limits) {
    if (answer.steps >= limits.max_steps) {
        return false;
    }
    constexpr std::uint64_t higher = 1'000'000;
    const GangAnswer again = ask(problem, {limits.max_steps + higher});
    return again.status == answer.status && again.steps <= answer.steps;
}

// What the plan of place is beside the best one.
std::string_view compare_plans(const GangAnswer& answer, const GangBest& best) {
    if (answer.status == Status::feasible) {
        return answer.cost < best.cost ? "best" : "";
    }
    if (answer.cost != best.cost) {
        return "best";
    }
    return answer.pods != best.pods ? "tie" : "";
}

// What a status says that is not so.
std::string_view compare_status(const GangAnswer& answer, const GangBest& best) {
    switch (answer.status) {
        case Status::optimal:
        case Status::feasible:
            return best.feasible ? "" : "status";
        case Status::infeasible:
            return best.possible ? "status" : "";
        case Status::unknown:
            return "";
    }
    return "status";
}

std::string_view compare_place(const GangProblem& problem,
                               const GangAnswer& answer,
                               const GangBest& best,
                               SearchLimits limits) {
    if (answer.status == Status::optimal && !is_exact(problem)) {
        return "proof";
    }
    std::string_view difference = compare_status(answer, best);
    if (difference.empty() && is_found(answer)) {
        difference = compare_plans(answer, best);
    }
    const bool could_be_proved =
        answer.status == Status::feasible
            ? is_exact(problem)
            : answer.status == Status::unknown && best.feasible == best.possible;
    if (difference.empty() && could_be_proved &&
        is_given_up(problem, place_gang, answer, limits)) {
        return "undecided";
    }
    return difference;
}

std::string_view compare_check(const GangProblem& problem,
                               const GangAnswer& answer,
                               const GangBest& best,
                               SearchLimits limits) {
    if (answer.status == Status::optimal) {
        return "status";
    }
    if (answer.status == Status::unknown && best.feasible == best.possible &&
        is_given_up(problem, check_gang, answer, limits)) {
        return "undecided";
    }
    return compare_status(answer, best);
}

void compare_answers(const GangProblem& problem,
                     SearchLimits limits,
                     std::uint64_t most,
                     GangComparison& result) {
    const GangAnswer place = place_gang(problem, limits);
    const GangAnswer check = check_gang(problem, limits);
    result.place = place.status;
    result.check = check.status;
    result.place_steps = place.steps;
    result.check_steps = check.steps;
    std::string_view of_place = judge_answer(problem, place);
    std::string_view of_check = judge_answer(problem, check);
    const GangBest best = brute_gang(problem, most);
    result.is_counted = best.is_counted;
    result.is_exact = is_exact(problem);
    if (best.is_counted) {
        result.feasible = best.feasible;
        result.possible = best.possible;
        result.is_best = best.feasible && is_found(place) && place.pods == best.pods;
        if (of_place.empty()) {
            of_place = compare_place(problem, place, best, limits);
        }
        if (of_check.empty()) {
            of_check = compare_check(problem, check, best, limits);
        }
    }
    if (!of_place.empty() || !of_check.empty()) {
        result.difference = of_place.empty() ? "check " + std::string(of_check)
                                             : "place " + std::string(of_place);
        result.detail =
            text_of(of_place.empty() ? check : place) + "\n" + text_of(best);
    }
}

}  // namespace

GangComparison compare(const GangProblem& problem,
                       SearchLimits limits,
                       std::uint64_t most) {
    GangComparison result;
    try {
        compare_answers(problem, limits, most, result);
    } catch (const Error& error) {
        result.difference = "refused";
        result.detail = error.what();
    }
    return result;
}

}  // namespace topoalloc::oracle
