// SPDX-License-Identifier: Apache-2.0
#include "claim/value_tree.hpp"

#include "claim/byte_text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

bool is_over(const std::vector<bool>& inner, const std::vector<bool>& outer) {
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (inner[i] && !outer[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::string kind_of(const ClaimProblem& problem, std::uint32_t device) {
    std::string text;
    const NodeDevice& what = problem.node->devices[device];
    put(text, bool{problem.is_shared[device]});
    put(text, what.is_taken);
    for (const ProblemDemand& demand : problem.demands) {
        const auto it = std::ranges::lower_bound(demand.candidates, device);
        const bool is_candidate = it != demand.candidates.end() && *it == device;
        put(text, is_candidate);
        if (is_candidate) {
            put(text,
                demand.consumes[static_cast<std::size_t>(it -
                                                         demand.candidates.begin())]);
        }
    }
    put(text, what.draws.size());
    for (const SetDraw& draw : what.draws) {
        for (const auto& [counter, amount] : draw.draw->counters) {
            put(text, counter);
            put(text, amount);
        }
        const std::set<std::string> groups(draw.draw->compatibility_groups.begin(),
                                           draw.draw->compatibility_groups.end());
        put(text, groups.size());
        for (const std::string& group : groups) {
            put(text, group);
        }
    }
    return text;
}

bool OpenDemand::has(std::uint32_t device) const {
    return demand != nullptr &&
           std::binary_search(
               demand->candidates.begin() + static_cast<std::ptrdiff_t>(from),
               demand->candidates.end(),
               device);
}

ValueTree::ValueTree(const ClaimProblem& problem, bool sees_all)
    : problem_(problem), sees_all_(sees_all) {
    find_demands();
    find_kinds();
    find_simple();
    add_values();
    add_counter_sets();
    build();
}

void ValueTree::find_demands() {
    last_of_device_.assign(problem_.node->devices.size(), -1);
    last_of_constraint_.assign(problem_.constraints.size(), -1);
    std::vector<std::uint64_t> most(problem_.claims);
    std::map<std::pair<std::vector<std::uint32_t>, std::vector<Consumption>>,
             std::uint32_t>
        known;
    lists_.resize(problem_.demands.size());
    for (std::size_t r = 0; r < problem_.requests.size(); ++r) {
        std::uint64_t largest = 0;
        for (const std::uint32_t d : problem_.requests[r].demands) {
            const ProblemDemand& demand = problem_.demands[d];
            has_admin_access_ = has_admin_access_ || demand.has_admin_access;
            largest = std::max(largest, demand.need);
            for (const std::uint32_t device : demand.candidates) {
                last_of_device_[device] = static_cast<std::int64_t>(r);
            }
            for (const std::uint32_t constraint : demand.constraints) {
                last_of_constraint_[constraint] = static_cast<std::int64_t>(r);
            }
            lists_[d] = known
                            .try_emplace({demand.candidates, demand.consumes},
                                         static_cast<std::uint32_t>(known.size()))
                            .first->second;
        }
        most[problem_.requests[r].claim] += largest;
    }
    for (const std::uint64_t results : most) {
        may_pass_limit_.push_back(results > most_results);
    }
}

void ValueTree::find_kinds() {
    std::map<std::string, std::uint32_t> known;
    for (std::uint32_t d = 0; d < problem_.node->devices.size(); ++d) {
        kinds_.push_back(known
                             .try_emplace(kind_of(problem_, d),
                                          static_cast<std::uint32_t>(known.size()))
                             .first->second);
        is_tree_ = is_tree_ && problem_.node->devices[d].draws.size() <= 1;
    }
}

// A constraint may change places with another one of like demands where all others on
// its demands are on all of these, and on more.
void ValueTree::find_simple() {
    std::vector<std::vector<bool>> scopes(problem_.constraints.size(),
                                          std::vector<bool>(problem_.demands.size()));
    for (std::size_t d = 0; d < problem_.demands.size(); ++d) {
        for (const std::uint32_t constraint : problem_.demands[d].constraints) {
            scopes[constraint][d] = true;
        }
    }
    const auto is_wider = [&](std::uint32_t other, std::uint32_t one) {
        return other == one ||
               (is_over(scopes[one], scopes[other]) && scopes[one] != scopes[other]);
    };
    for (const ProblemConstraint& constraint : problem_.constraints) {
        is_simple_.push_back(!constraint.is_distinct);
    }
    for (const ProblemRequest& request : problem_.requests) {
        for (const std::uint32_t number : request.demands) {
            const auto& constraints = problem_.demands[number].constraints;
            for (const std::uint32_t one : constraints) {
                is_simple_[one] =
                    is_simple_[one] && request.demands.size() == 1 &&
                    std::ranges::all_of(constraints, [&](std::uint32_t other) {
                        return is_wider(other, one);
                    });
            }
        }
    }
}

void ValueTree::add_values() {
    for (std::uint32_t a = 0; a < problem_.attributes.size(); ++a) {
        const ProblemAttribute& attribute = problem_.attributes[a];
        std::vector<Label> labels(attribute.value_count);
        for (std::uint32_t v = 0; v < labels.size(); ++v) {
            labels[v].attribute = a;
            labels[v].number = v;
        }
        for (std::uint32_t d = 0; d < attribute.values.size(); ++d) {
            if (attribute.values[d]) {
                for (const std::uint32_t value : *attribute.values[d]) {
                    labels[value].devices.push_back(d);
                }
            }
        }
        labels_.insert(labels_.end(), labels.begin(), labels.end());
    }
}

void ValueTree::add_counter_sets() {
    std::map<std::uint32_t, Label> sets;
    for (std::uint32_t d = 0; d < problem_.node->devices.size(); ++d) {
        for (const SetDraw& draw : problem_.node->devices[d].draws) {
            Label& label = sets[draw.counter_set];
            label.is_counter_set = true;
            label.number = draw.counter_set;
            label.devices.push_back(d);
            for (const auto& [counter, amount] : draw.counters) {
                label.counters.push_back(counter);
            }
        }
    }
    for (auto& [number, label] : sets) {
        std::ranges::sort(label.counters);
        const auto repeated = std::ranges::unique(label.counters);
        label.counters.erase(repeated.begin(), repeated.end());
        labels_.push_back(std::move(label));
    }
}

// The largest sets first: each lies whole in one node, or there is no tree.
void ValueTree::build() {
    const std::size_t devices = problem_.node->devices.size();
    std::ranges::stable_sort(labels_, std::greater<>(), [](const Label& label) {
        return label.devices.size();
    });
    nodes_.push_back({devices, {}, {}, {}});
    std::vector<std::uint32_t> deepest(devices, 0);
    for (std::uint32_t l = 0; l < labels_.size() && is_tree_; ++l) {
        const std::vector<std::uint32_t>& own = labels_[l].devices;
        if (own.empty()) {
            continue;
        }
        const std::uint32_t parent = deepest[own.front()];
        is_tree_ = std::ranges::all_of(
            own, [&](std::uint32_t d) { return deepest[d] == parent; });
        if (nodes_[parent].size == own.size()) {
            nodes_[parent].labels.push_back(l);
            continue;
        }
        const auto node = static_cast<std::uint32_t>(nodes_.size());
        nodes_[parent].children.push_back(node);
        nodes_.push_back({own.size(), {l}, {}, {}});
        for (const std::uint32_t d : own) {
            deepest[d] = node;
        }
    }
    for (std::uint32_t d = 0; d < devices; ++d) {
        nodes_[deepest[d]].devices.push_back(d);
    }
}

// Equal for constraints that may change places; else the constraint's own.
std::string ValueTree::name_of(std::uint32_t constraint,
                               const ClaimState& state,
                               std::uint32_t request) const {
    std::string text;
    if (!is_simple_[constraint] || state.common(constraint).size() > 1) {
        put(text, constraint);
        return text;
    }
    std::vector<std::string> shapes;
    for (std::size_t r = request; r < problem_.requests.size(); ++r) {
        const std::uint32_t number = problem_.requests[r].demands.front();
        const ProblemDemand& demand = problem_.demands[number];
        if (std::ranges::find(demand.constraints, constraint) ==
            demand.constraints.end()) {
            continue;
        }
        std::string& shape = shapes.emplace_back();
        put(shape, demand.claim);
        put(shape, demand.is_all);
        put(shape, demand.is_blocked);
        put(shape, demand.has_admin_access);
        put(shape, demand.need);
        put(shape, lists_[number]);
        for (const std::uint32_t other : demand.constraints) {
            if (other != constraint) {
                put(shape, other);
            }
        }
    }
    std::ranges::sort(shapes);
    put(text, no_index);
    for (const std::string& shape : shapes) {
        put(text, shape);
    }
    return text;
}

std::string ValueTree::mark_of(const Label& label,
                               const ClaimState& state,
                               std::uint32_t request) const {
    std::string text;
    if (label.is_counter_set) {
        for (const std::uint32_t counter : label.counters) {
            put(text, state.left(counter));
        }
        const CommonGroups& groups = state.groups(label.number);
        put(text, groups.has_members);
        put(text, groups.groups.size());
        for (const std::string& group : groups.groups) {
            put(text, group);
        }
        return text;
    }
    std::vector<std::string> marks;
    for (std::uint32_t c = 0; c < problem_.constraints.size(); ++c) {
        const ProblemConstraint& rule = problem_.constraints[c];
        if (rule.attribute != label.attribute || !is_seen(c, request)) {
            continue;
        }
        const bool is_marked =
            rule.is_distinct
                ? state.is_used(c, label.number)
                : state.members(c) > 0 &&
                      std::ranges::binary_search(state.common(c), label.number);
        if (is_marked) {
            marks.push_back(name_of(c, state, request));
        }
    }
    std::ranges::sort(marks);
    put(text, label.attribute);
    put(text, marks.size());
    for (const std::string& mark : marks) {
        put(text, mark);
    }
    return text;
}

void ValueTree::put_device(std::string& text,
                           std::uint32_t device,
                           const ClaimState& state,
                           std::uint32_t request,
                           const OpenDemand& open) const {
    put(text, kinds_[device]);
    put(text, state.is_chosen(device));
    put(text, open.has(device));
    put(text,
        has_admin_access_ &&
            state.claim_of(device) == problem_.requests[request].claim);
    if (problem_.is_shared[device]) {
        put(text, state.left_of(device));
    }
}

std::string ValueTree::text_of_node(std::uint32_t node,
                                    const ClaimState& state,
                                    std::uint32_t request,
                                    const OpenDemand& open) const {
    std::string text;
    const Node& own = nodes_[node];
    put(text, own.labels.size());
    for (const std::uint32_t label : own.labels) {
        put(text, mark_of(labels_[label], state, request));
    }
    std::vector<std::string> parts;
    for (const std::uint32_t device : own.devices) {
        const bool is_gone = !sees_all_ && !has_admin_access_ &&
                             !problem_.is_shared[device] && state.is_chosen(device);
        if (counts(device, request) && !is_gone) {
            put_device(parts.emplace_back(), device, state, request, open);
        }
    }
    put(text, parts.size());
    const auto devices = static_cast<std::ptrdiff_t>(parts.size());
    for (const std::uint32_t child : own.children) {
        parts.push_back(text_of_node(child, state, request, open));
    }
    std::sort(parts.begin(), parts.begin() + devices);
    std::sort(parts.begin() + devices, parts.end());
    for (const std::string& part : parts) {
        put(text, part);
    }
    return text;
}

void ValueTree::put_without_tree(std::string& text,
                                 const ClaimState& state,
                                 std::uint32_t request,
                                 const OpenDemand& open) const {
    for (std::uint32_t d = 0; d < last_of_device_.size(); ++d) {
        if (counts(d, request)) {
            put_device(text, d, state, request, open);
        }
    }
    for (const Label& label : labels_) {
        put(text, mark_of(label, state, request));
    }
}

std::string ValueTree::text_of(const ClaimState& state,
                               std::uint32_t request,
                               const OpenDemand& open) const {
    std::string text;
    put(text, request);
    put(text, open.had);
    const std::uint32_t claim = problem_.requests[request].claim;
    if (may_pass_limit_[claim]) {
        put(text, state.results(claim));
    }
    if (is_tree_) {
        text += text_of_node(0, state, request, open);
    } else {
        put_without_tree(text, state, request, open);
    }
    return text;
}

}  // namespace topoalloc
