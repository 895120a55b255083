// SPDX-License-Identifier: Apache-2.0
#include "explain/gang_items.hpp"
#include "explain/request_items.hpp"
#include "topoalloc/gang_explanation.hpp"

namespace topoalloc {
namespace {

std::string conflict_text(const GangExplanation& explanation) {
    std::vector<std::string> items;
    for (const ConflictItem& item : explanation.conflict) {
        items.push_back(item.text + " (" + item.path + ")");
    }
    if (items.empty()) {
        return {};
    }
    return (items.size() == 1 ? "This cannot be had: "
                              : "These cannot be had together: ") +
           join_words(items) + ".\n";
}

std::string count_sentence(const PodSetCounts& counts) {
    std::string text =
        "Needed: " + counted(counts.needed, "pod") + " of " + counts.podset;
    for (std::size_t i = 0; i < counts.nodes.size(); ++i) {
        const CountStep& step = counts.nodes[i];
        text += i == 0 ? "; there are " + counted(step.left, "node")
                       : ", " + std::to_string(step.left);
        text += " " + step.filter;
    }
    return text + "; those hold " + counted(counts.copies, "pod") + " of it.\n";
}

std::string domain_sentence(const DomainFit& fit) {
    std::string domain;
    for (const std::string& value : fit.domain) {
        domain += (domain.empty() ? "" : "/") + value;
    }
    std::string text = std::to_string(fit.fits) + " of " + std::to_string(fit.wanted) +
                       " fit in " + fit.level + " " + domain;
    for (std::size_t i = 0; i < fit.near_misses.size(); ++i) {
        text += (i == 0 ? ": " : "; ") + fit.near_misses[i].text;
    }
    return fit.who + ": " + text + ".\n";
}

std::string gangs_text(const GangExplanation& explanation) {
    if (explanation.gangs.empty()) {
        return {};
    }
    if (explanation.gangs.size() == 1) {
        return "The Gang that has no place is " + explanation.gangs.front() + ".\n";
    }
    return "These Gangs have no places together" +
           std::string(explanation.complete ? ", though any of them less would: "
                                            : ": ") +
           join_words(explanation.gangs) + ".\n";
}

std::string given_text(const GangExplanation& explanation) {
    std::string text;
    for (const std::string& given : explanation.given) {
        text += (text.empty() ? "Given: " : "; ") + given;
    }
    return text.empty() ? text : text + ".\n";
}

std::string infeasible_text(const GangExplanation& explanation) {
    std::string text =
        "It does not fit: " + std::string(gang_reason_name(explanation.reason));
    text += explanation.podset.empty() ? ".\n" : " of " + explanation.podset + ".\n";
    text += given_text(explanation) + gangs_text(explanation);
    text += conflict_text(explanation);
    for (const PodSetCounts& counts : explanation.counts) {
        text += count_sentence(counts);
    }
    for (const DomainFit& fit : explanation.domains) {
        if (fit.fits < fit.wanted) {
            text += domain_sentence(fit);
        }
    }
    for (const GangRelaxation& relaxation : explanation.relaxations) {
        text += "It " + relaxation.text + ".\n";
    }
    if (explanation.relaxations.empty()) {
        text += "No single smaller change that was tried makes it fit.\n";
    }
    return text;
}

std::string plan_text(const GangExplanation& explanation) {
    if (explanation.cost.empty()) {
        return "It fits.\n";
    }
    std::string terms;
    for (const GangCostTerm& term : explanation.cost) {
        if (term.value != 0) {
            terms += terms.empty() ? "" : ", ";
            terms += term.name + " " + std::to_string(term.value);
        }
    }
    return std::string(explanation.status == Status::optimal
                           ? "It fits, and nothing costs less.\n"
                           : "It fits; the step limit came before the proof that "
                             "nothing costs less.\n") +
           "Cost: " + (terms.empty() ? "0 in every term" : terms) + ".\n";
}

}  // namespace

std::string GangExplanation::prose() const {
    std::string text;
    switch (status) {
        case Status::infeasible:
            text = infeasible_text(*this);
            break;
        case Status::optimal:
        case Status::feasible:
            text = plan_text(*this);
            break;
        case Status::unknown:
            text = "It is not known whether it fits: the step limit came first.\n";
            for (const PodSetCounts& line : counts) {
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
