// SPDX-License-Identifier: Apache-2.0
#include "explain/gang_prober.hpp"

#include "cluster/gang_shape.hpp"
#include "cluster/gang_tables.hpp"
#include "cluster/rails.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace topoalloc {
bool GangProber::may_go_on() {
    complete_ = complete_ && steps_ < limits_.max_steps;
    return steps_ < limits_.max_steps;
}

SearchLimits GangProber::left() const {
    return {limits_.max_steps - std::min(limits_.max_steps, steps_)};
}

GangAnswer GangProber::ask(const Gang& gang,
                           const std::vector<std::uint32_t>& slots,
                           const WhatIf& change,
                           bool least_cost) {
    std::vector<const NodeClass*> states;
    const GangProblem problem = problem_of(gang, slots, change, states);
    GangAnswer answer;
    if (has_rails(gang)) {
        std::vector<const PodSet*> podsets;
        for (const PodSet& podset : gang.podsets) {
            podsets.push_back(&podset);
        }
        RailInput input = rail_input(podsets, limits_.max_steps);
        add_rail_tables(states, input);
        RailSearch search(data_.pool(), problem, std::move(input));
        answer = least_cost ? search.place(left()) : search.check(left());
    } else {
        answer = least_cost ? place_gang(problem, left()) : check_gang(problem, left());
    }
    steps_ += answer.steps;
    return answer;
}

Fit GangProber::fits(const Gang& gang, const WhatIf& change) {
    if (!may_go_on()) {
        return Fit::unknown;
    }
    const GangAnswer answer = ask(gang, data_.order(), change, false);
    const Fit fit = Prober::fit_of(answer.status);
    complete_ = complete_ && fit != Fit::unknown;
    return fit;
}

std::optional<CountVector> GangProber::most_pods(
    const Gang& gang, const std::vector<std::uint32_t>& slots) {
    if (!may_go_on()) {
        return std::nullopt;
    }
    const GangAnswer answer = ask(gang, slots, {}, true);
    if (answer.status != Status::optimal) {
        complete_ = false;
        return std::nullopt;
    }
    CountVector sum(gang.podsets.size());
    for (const CountVector& pods : answer.pods) {
        std::ranges::transform(sum, pods, sum.begin(), std::plus<>());
    }
    return sum;
}

HeadroomResult GangProber::copies(std::uint32_t slot,
                                  const std::shared_ptr<const Request>& request) {
    const NodeClassPtr& of = data_.node(slot).state;
    const auto [it, is_new] = headrooms_.try_emplace({of, request});
    if (is_new) {
        it->second = data_.pool().headroom(*of, request, limits_.max_steps);
        node_steps_ += it->second.steps;
    }
    return it->second;
}

bool GangProber::is_eligible_for(const PodSet& podset, std::uint32_t slot) const {
    return is_eligible(podset, data_.node(slot).info->described);
}

GangProblem GangProber::problem_of(const Gang& gang,
                                   const std::vector<std::uint32_t>& slots,
                                   const WhatIf& change,
                                   std::vector<const NodeClass*>& states) {
    steps_ += 1 + slots.size() / nodes_a_step;
    GangProblem problem = shape_of(gang, levels_);
    for (std::uint32_t level = 0; level < problem.levels; ++level) {
        // What is open tells costs apart only.
        problem.open_domains.emplace_back(data_.domain_count(level));
    }
    const Requests requests = requests_of(gang);
    CountVector counts;
    for (const PodSet& podset : gang.podsets) {
        counts.push_back(podset.count);
    }
    std::map<std::pair<const NodeClass*, std::vector<bool>>, std::uint32_t> known;
    for (const std::uint32_t slot : slots) {
        const NodeEntry& entry = data_.node(slot);
        if (entry.cordoned && !change.uncordoned.contains(slot)) {
            continue;
        }
        std::vector<bool> eligible;
        for (const PodSet& podset : gang.podsets) {
            eligible.push_back(is_eligible_for(podset, slot));
        }
        const auto other = change.states.find(slot);
        const NodeClassPtr& of =
            other == change.states.end() ? entry.state : other->second;
        const auto [it, is_new] = known.try_emplace(
            {of.get(), eligible}, static_cast<std::uint32_t>(problem.tables.size()));
        if (is_new) {
            problem.tables.push_back(
                restrict_to(table_of(of, requests, counts), eligible));
            states.push_back(of.get());
        }
        if (problem.tables[it->second].possible.size() > 1) {
            problem.nodes.push_back({it->second, entry.info->domains, false});
        }
    }
    return problem;
}

const CountTable& GangProber::table_of(const NodeClassPtr& of,
                                       const Requests& requests,
                                       const CountVector& counts) {
    const auto [it, is_new] = tables_.try_emplace({of, requests, counts});
    if (is_new) {
        it->second =
            data_.pool().table(*of, requests, counts, limits_.max_steps, node_steps_);
    }
    return it->second;
}

}  // namespace topoalloc
