// SPDX-License-Identifier: Apache-2.0
#include "explain/request_items.hpp"
#include "topoalloc/explanation.hpp"

namespace topoalloc {
namespace {

// What is needed, then what each filter leaves. Amounts of memory read better in units;
// everything else is a number of things.
std::vector<std::string> amounts_of(const CountLine& line) {
    std::vector<std::uint64_t> amounts{line.needed};
    for (const CountStep& step : line.steps) {
        amounts.push_back(step.left);
    }
    if (line.what == "memory" || line.what.starts_with("hugepages.")) {
        return describe_amounts(amounts);
    }
    std::vector<std::string> texts;
    for (const std::uint64_t amount : amounts) {
        texts.push_back(std::to_string(amount));
    }
    return texts;
}

// "1 core"; a class of devices has no plural.
std::string noun_of(const CountLine& line) {
    const bool is_one =
        line.needed == 1 && (line.what == "cores" || line.what == "pus");
    return is_one ? line.what.substr(0, line.what.size() - 1) : line.what;
}

std::string count_sentence(const CountLine& line) {
    const std::vector<std::string> amounts = amounts_of(line);
    std::string text = "Needed: " + amounts.front() + " " + noun_of(line);
    for (std::size_t i = 0; i < line.steps.size(); ++i) {
        const char* start = amounts[i + 1] == "1" ? "; there is " : "; there are ";
        text += (i == 0 ? start : ", ") + amounts[i + 1] + " " + line.steps[i].filter;
    }
    return text + ".\n";
}

std::string conflict_text(const Explanation& explanation) {
    std::vector<std::string> items;
    for (const ConflictItem& item : explanation.conflict) {
        items.push_back(item.text + " (" + item.path + ")");
    }
    if (items.empty()) {
        return {};
    }
    const std::string what = join_words(items);
    return items.size() == 1 ? "This cannot be had: " + what + ".\n"
                             : "These cannot be had together: " + what + ".\n";
}

std::string infeasible_text(const Explanation& explanation) {
    std::string text =
        "It does not fit: " + std::string(reason_name(explanation.reason)) + ".\n";
    text += conflict_text(explanation);
    for (const CountLine& line : explanation.counts) {
        text += count_sentence(line);
    }
    for (const Relaxation& relaxation : explanation.relaxations) {
        text += "It " + relaxation.text + ".\n";
    }
    if (explanation.relaxations.empty()) {
        text += "No single smaller change that was tried makes it fit.\n";
    }
    return text;
}

std::string cost_text(const Cost& cost) {
    std::string text;
    for (std::size_t term = 0; term < Cost::term_count; ++term) {
        if (cost.terms[term] != 0) {
            text += text.empty() ? "" : ", ";
            text += std::string(term_name(static_cast<Cost::Term>(term))) + " " +
                    std::to_string(cost.terms[term]);
        }
    }
    return text.empty() ? "0 in every term" : text;
}

std::string names_of(const Placement& placement, const Machine& machine) {
    std::vector<std::string> names;
    for (const DeviceGrant& grant : placement.devices) {
        names.push_back(machine.devices()[grant.device].name);
    }
    return names.empty() ? "PUs " + machine.pus_to_os(placement.pus).to_list()
                         : join_words(names);
}

std::string runner_up_text(const Explanation& explanation, const Machine& machine) {
    const RunnerUp& other = explanation.runner_up;
    if (!other.exists) {
        return "Nothing else fits that takes other devices, or other localities.\n";
    }
    const std::string who = "The runner-up takes " + names_of(other.placement, machine);
    if (other.lost_on == Cost::term_count) {
        return who + ": its cost is equal, and its indices come later.\n";
    }
    const std::int64_t ours = explanation.cost[other.lost_on];
    const std::int64_t theirs = other.placement.cost[other.lost_on];
    return who + (theirs > ours ? ": it lost on " : ": it is better on ") +
           std::string(term_name(other.lost_on)) + ", " + std::to_string(theirs) +
           " against " + std::to_string(ours) + ".\n";
}

std::string placed_text(const Explanation& explanation, const Machine& machine) {
    std::string text =
        explanation.status == Status::optimal
            ? "It fits, and nothing costs less.\n"
            : "It fits; the step limit came before the proof that nothing "
              "costs less.\n";
    text += "Cost: " + cost_text(explanation.cost) + ".\n";
    // Without counts the state that was asked is gone, and nothing was compared.
    return explanation.counts.empty() ? text
                                      : text + runner_up_text(explanation, machine);
}

}  // namespace

std::string Explanation::prose(const Machine& machine) const {
    std::string text;
    switch (status) {
        case Status::infeasible:
            text = infeasible_text(*this);
            break;
        case Status::optimal:
        case Status::feasible:
            text = placed_text(*this, machine);
            break;
        case Status::unknown:
            text = "It is not known whether it fits: the step limit came first.\n";
            for (const CountLine& line : counts) {
                text += count_sentence(line);
            }
            break;
    }
    if (!complete && status != Status::unknown) {
        text += "This explanation is not complete.\n";
    }
    return text;
}

}  // namespace topoalloc
