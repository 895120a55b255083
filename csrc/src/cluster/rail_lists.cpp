// SPDX-License-Identifier: Apache-2.0
#include "cluster/rail_lists.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

// The next choice of so many out of sorted numbers, in lexicographic order.
bool advance(RailSet& set, const RailSet& all) {
    for (std::size_t i = set.size(); i-- > 0;) {
        const auto at = std::ranges::lower_bound(all, set[i]) - all.begin();
        const auto left = std::ssize(all) - 1 - at;
        if (left >= std::ssize(set) - static_cast<std::ptrdiff_t>(i)) {
            std::copy_n(all.begin() + at + 1,
                        std::ssize(set) - static_cast<std::ptrdiff_t>(i),
                        set.begin() + static_cast<std::ptrdiff_t>(i));
            return true;
        }
    }
    return false;
}

RailSet indices_of(const Machine& machine, const std::string& device_class) {
    RailSet out;
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        const Device& device = machine.devices()[d];
        if (device.root == d && device.device_class == device_class) {
            out.push_back(device.index);
        }
    }
    std::ranges::sort(out);
    return out;
}

class ListSearch {
  public:
    ListSearch(RailNodes& nodes,
               const RailSets& sets,
               const RailLoads& loads,
               GangRails begin,
               StepBudget& budget)
        : nodes_(nodes),
          sets_(sets),
          loads_(loads),
          reach_(reach_of(nodes, loads)),
          lists_(std::move(begin)),
          budget_(budget) {}

    std::optional<GangRails> run() {
        return extend() ? std::optional(std::move(lists_)) : std::nullopt;
    }

  private:
    // Fills the first place that a pod reaches and that lacks a set.
    bool extend() {
        std::uint32_t podset = 0;
        while (podset < reach_.size() && whole(podset) >= reach_[podset]) {
            ++podset;
        }
        if (podset == reach_.size()) {
            return true;
        }
        GangRails key = unordered(nodes_, lists_);
        if (refuted_.contains(key)) {
            return false;
        }
        RailList& list = lists_[podset];
        const std::uint32_t place = whole(podset);
        const std::size_t rules = nodes_.input().classes[podset].size();
        const std::size_t rule = place < list.size() ? list[place].size() : 0;
        RailSet set;
        for (bool is_there = sets_.first(podset, rule, set, budget_); is_there;
             is_there = sets_.next(podset, rule, set, budget_)) {
            append_set(list, set, rules);
            if (serves(podset, place) && extend()) {
                return true;
            }
            remove_set(list);
        }
        if (!budget_.limited) {
            refuted_.insert(std::move(key));
        }
        return false;
    }

    [[nodiscard]] std::uint32_t whole(std::uint32_t podset) const {
        return whole_entries(lists_[podset], nodes_.input().classes[podset].size());
    }

    // The nodes whose pods reach the place hold them.
    bool serves(std::uint32_t podset, std::uint32_t place) {
        return std::ranges::all_of(loads_, [&](const auto& load) {
            const auto& [table, pods] = load;
            if (nodes_.reach(table, podset, pods[podset]) <= place) {
                return true;
            }
            const Status status = nodes_.ask(table, pods, lists_, budget_);
            return status == Status::optimal || status == Status::feasible;
        });
    }

    RailNodes& nodes_;
    const RailSets& sets_;
    const RailLoads& loads_;
    std::vector<std::uint32_t> reach_;
    GangRails lists_;
    StepBudget& budget_;
    std::set<GangRails> refuted_;
};

}  // namespace

RailSets::RailSets(const RailNodes& nodes) {
    const RailInput& input = nodes.input();
    for (std::uint32_t p = 0; p < input.classes.size(); ++p) {
        auto& choices = choices_.emplace_back();
        for (const std::string& device_class : input.classes[p]) {
            const auto& devices = input.requests[p]->devices;
            Choice choice;
            choice.size =
                std::ranges::find(devices, device_class, &DeviceRequest::device_class)
                    ->count;
            std::set<RailSet> of_nodes;
            for (std::uint32_t t = 0; t < input.tables.size(); ++t) {
                const RailTable& table = input.tables[t];
                if (std::ranges::any_of(nodes.whole(t).possible,
                                        [&](const CountVector& pods) {
                                            return pods[p] > table.base[p];
                                        })) {
                    of_nodes.insert(
                        indices_of(table.state->state->machine(), device_class));
                }
            }
            std::set<std::uint32_t> all;
            for (const RailSet& indices : of_nodes) {
                all.insert(indices.begin(), indices.end());
            }
            choice.all.assign(all.begin(), all.end());
            choice.nodes.assign(of_nodes.begin(), of_nodes.end());
            choices.push_back(std::move(choice));
        }
    }
}

bool RailSets::is_on_one_node(const Choice& choice, const RailSet& set) {
    return std::ranges::any_of(choice.nodes, [&](const RailSet& indices) {
        return std::ranges::includes(indices, set);
    });
}

bool RailSets::first(std::uint32_t podset,
                     std::size_t rule,
                     RailSet& set,
                     StepBudget& budget) const {
    const Choice& choice = choices_[podset][rule];
    if (choice.all.size() < choice.size) {
        return false;
    }
    set.assign(choice.all.begin(),
               choice.all.begin() + static_cast<std::ptrdiff_t>(choice.size));
    return budget.spend() &&
           (is_on_one_node(choice, set) || next(podset, rule, set, budget));
}

bool RailSets::next(std::uint32_t podset,
                    std::size_t rule,
                    RailSet& set,
                    StepBudget& budget) const {
    const Choice& choice = choices_[podset][rule];
    while (budget.spend() && advance(set, choice.all)) {
        if (is_on_one_node(choice, set)) {
            return true;
        }
    }
    return false;
}

void append_set(RailList& list, RailSet set, std::size_t rules) {
    if (list.empty() || list.back().size() == rules) {
        list.emplace_back();
    }
    list.back().push_back(std::move(set));
}

void remove_set(RailList& list) {
    list.back().pop_back();
    if (list.back().empty()) {
        list.pop_back();
    }
}

std::uint32_t whole_entries(const RailList& list, std::size_t rules) {
    const bool is_open = !list.empty() && list.back().size() < rules;
    return static_cast<std::uint32_t>(list.size() - (is_open ? 1 : 0));
}

std::vector<std::uint32_t> reach_of(const RailNodes& nodes, const RailLoads& loads) {
    std::vector<std::uint32_t> out(nodes.input().classes.size());
    for (std::uint32_t p = 0; p < out.size(); ++p) {
        if (nodes.input().classes[p].empty()) {
            continue;
        }
        for (const auto& [table, pods] : loads) {
            out[p] = std::max(out[p], nodes.reach(table, p, pods[p]));
        }
    }
    return out;
}

std::optional<GangRails> first_lists(RailNodes& nodes,
                                     const RailSets& sets,
                                     const RailLoads& loads,
                                     GangRails begin,
                                     StepBudget& budget) {
    return ListSearch(nodes, sets, loads, std::move(begin), budget).run();
}

GangRails unordered(const RailNodes& nodes, GangRails lists) {
    const auto& classes = nodes.input().classes;
    const auto has_rails = [](const auto& of) { return !of.empty(); };
    if (std::ranges::count_if(classes, has_rails) != 1) {
        return lists;
    }
    const auto podset = static_cast<std::size_t>(
        std::ranges::find_if(classes, has_rails) - classes.begin());
    RailList& list = lists[podset];
    const auto fixed = std::ssize(nodes.input().fixed[podset]);
    const std::uint32_t whole = whole_entries(list, classes[podset].size());
    std::sort(list.begin() + fixed, list.begin() + whole);
    return lists;
}

}  // namespace topoalloc
