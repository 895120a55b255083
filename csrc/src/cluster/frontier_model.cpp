// SPDX-License-Identifier: Apache-2.0
#include "cluster/frontier_model.hpp"

#include "base/bits.hpp"
#include "cluster/domain_tree.hpp"
#include "cluster/plan_rules.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// Of the pod of a PodSet of which the fewest fit in a node: what others weigh is a
// part.
constexpr std::uint32_t unit_weight = 8;

}  // namespace

FrontierModel::FrontierModel(const GangProblem& problem,
                             std::vector<std::uint32_t> order)
    : problem_(problem),
      order_(std::move(order)),
      levels_(problem.levels),
      rules_at_(problem.levels + std::size_t{1}),
      layouts_(problem.levels + std::size_t{1}),
      domains_(problem.levels + std::size_t{1}) {}

std::optional<FrontierModel> FrontierModel::make(const GangProblem& problem,
                                                 std::vector<std::uint32_t> order,
                                                 bool use_possible,
                                                 bool least_cost) {
    if (problem.levels > 60 || problem.podsets.size() > 60) {
        return std::nullopt;
    }
    std::optional<FrontierModel> model(FrontierModel(problem, std::move(order)));
    model->has_cost_ = least_cost;
    model->weigh(use_possible);
    model->add_rules();
    if (model->rules_.size() > 64) {
        return std::nullopt;
    }
    model->find_places();
    model->collect_options(use_possible);
    for (std::uint32_t level = 0; level < model->levels_; ++level) {
        model->lay_out_level(level);
    }
    if (!model->lay_out_key() || !model->lay_out_cost()) {
        return std::nullopt;
    }
    return model;
}

// The room that all nodes have for pods of these weights, in parts of a thousand of
// what the pods of the Gang take: the less, the more the weights say.
std::uint64_t FrontierModel::room_of(const std::vector<std::uint32_t>& weights,
                                     bool use_possible) const {
    std::vector<std::uint64_t> most;
    for (const CountTable& table : problem_.tables) {
        std::uint64_t room = 0;
        for (const CountVector& pods : use_possible ? table.possible : table.attained) {
            room = std::max(
                room,
                std::inner_product(
                    pods.begin(), pods.end(), weights.begin(), std::uint64_t{0}));
        }
        most.push_back(room);
    }
    std::uint64_t room = 0;
    for (const GangNode& node : problem_.nodes) {
        room += most[node.table];
    }
    const std::uint64_t wanted = std::inner_product(
        weights.begin(), weights.end(), counts_.begin(), std::uint64_t{0});
    return wanted == 0 ? ~std::uint64_t{0} : 1000 * room / wanted;
}

// Starts with less for pods of which more fit in a node, and mends one after the other.
void FrontierModel::weigh(bool use_possible) {
    const std::size_t podsets = problem_.podsets.size();
    for (std::size_t p = 0; p < podsets; ++p) {
        counts_.push_back(problem_.podsets[p].count);
    }
    weights_.assign(podsets, 1);
    if (podsets == 1) {
        return;
    }
    for (std::size_t p = 0; p < podsets; ++p) {
        std::uint32_t most = 1;
        for (const GangNode& node : problem_.nodes) {
            most = std::max(most, problem_.tables[node.table].copies[p]);
        }
        weights_[p] = std::max(1U, unit_weight / most);
    }
    std::uint64_t room = room_of(weights_, use_possible);
    for (std::size_t p = 0; p < 2 * podsets; ++p) {
        const std::uint32_t now = weights_[p % podsets];
        for (const std::uint32_t other : {now / 2, 2 * now, std::uint32_t{0}}) {
            std::vector<std::uint32_t> weights = weights_;
            weights[p % podsets] = other;
            const std::uint64_t with = room_of(weights, use_possible);
            if (with < room) {
                room = with;
                weights_ = std::move(weights);
            }
        }
    }
    counts_.push_back(std::inner_product(
        weights_.begin(), weights_.end(), counts_.begin(), std::uint32_t{0}));
}

void FrontierModel::add_level_rule(RuleType type,
                                   const LevelRule& rule,
                                   std::uint32_t unmet) {
    rules_at_[rule.level].push_back(static_cast<std::uint32_t>(rules_.size()));
    rules_.push_back(
        {type, bit(rule.podset), rule.podset, rule.level, rule.number, unmet, 0, {}});
}

void FrontierModel::add_within(const WithinRule& rule, std::uint32_t unmet) {
    std::uint64_t podsets = 0;
    for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
        podsets |= rule.podsets[p] ? bit(p) : 0;
    }
    if (podsets != 0) {
        rules_at_[rule.level].push_back(static_cast<std::uint32_t>(rules_.size()));
        rules_.push_back({RuleType::within, podsets, 0, rule.level, 0, unmet, 0, {}});
    }
}

// What holds of a Group holds of each PodSet in it, for views of one.
void FrontierModel::add_required(const WithinRule& rule) {
    add_within(rule, no_index);
    for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
        if (rule.podsets[p] && std::ranges::count(rule.podsets, true) > 1) {
            WithinRule one{std::vector<bool>(rule.podsets.size()), rule.level};
            one.podsets[p] = true;
            add_within(one, no_index);
        }
    }
}

void FrontierModel::add_rules() {
    for (const WithinRule& rule : problem_.within) {
        add_required(rule);
    }
    for (const LevelRule& rule : problem_.slices) {
        add_level_rule(RuleType::multiple, rule, no_index);
    }
    for (const LevelRule& rule : problem_.spread) {
        add_level_rule(RuleType::at_most, rule, no_index);
    }
    for (const LevelRule& rule : problem_.balanced) {
        add_level_rule(RuleType::balanced, rule, no_index);
    }
    if (has_cost_) {
        std::ranges::for_each(problem_.prefer,
                              [this](const PreferRule& rule) { add_preferred(rule); });
    }
}

void FrontierModel::add_preferred(const PreferRule& rule) {
    if (rule.kind == RuleKind::within) {
        add_within(rule.within, rule.unmet);
    } else {
        const bool is_spread = rule.kind == RuleKind::spread;
        add_level_rule(
            is_spread ? RuleType::at_most : RuleType::balanced, rule.level, rule.unmet);
    }
}

void FrontierModel::find_places() {
    places_.assign(order_.size(), std::vector<Place>(levels_ + std::size_t{1}));
    for (std::uint32_t level = 0; level < levels_; ++level) {
        find_places(level);
        find_slots(level);
        nested_levels_ |= layouts_[level].slots <= 1 ? bit(level) : 0;
    }
    nested_levels_ |= bit(levels_);
    for (std::uint32_t depth = 0; depth < order_.size(); ++depth) {
        const GangNode& node = problem_.nodes[order_[depth]];
        Place& at = places_[depth][levels_];
        at.copies = problem_.tables[node.table].copies;
        at.open = node.open;
    }
}

void FrontierModel::find_places(std::uint32_t level) {
    struct Seen {
        std::uint32_t nodes = 0, last = 0, number = 0;
        std::vector<std::uint32_t> copies;
    };
    std::map<std::uint32_t, Seen> domains;
    for (std::uint32_t depth = 0; depth < order_.size(); ++depth) {
        const GangNode& node = problem_.nodes[order_[depth]];
        Seen& seen = domains[node.domains[level]];
        const auto& copies = problem_.tables[node.table].copies;
        seen.copies.resize(copies.size());
        std::ranges::transform(seen.copies, copies, seen.copies.begin(), std::plus<>());
        ++seen.nodes;
        seen.last = depth;
    }
    for (auto& [domain, seen] : domains) {
        if (domain != no_index && seen.nodes > 1) {
            seen.number = domains_[level]++;
        }
    }
    for (std::uint32_t depth = 0; depth < order_.size(); ++depth) {
        const GangNode& node = problem_.nodes[order_[depth]];
        const std::uint32_t domain = node.domains[level];
        const Seen& seen = domains[domain];
        Place& at = places_[depth][level];
        at.real = domain != no_index;
        at.alone = !at.real || seen.nodes == 1;
        at.open = at.real ? problem_.open_domains[level][domain] : node.open;
        at.last = !at.alone && seen.last == depth;
        at.domain = seen.number;
        at.copies = at.real ? seen.copies : problem_.tables[node.table].copies;
    }
}

// Each Domain with nodes to come has a slot; those that are done give theirs back.
void FrontierModel::find_slots(std::uint32_t level) {
    std::map<std::uint32_t, std::uint32_t> slots;
    std::set<std::uint32_t> free;
    LevelLayout& layout = layouts_[level];
    for (std::vector<Place>& places : places_) {
        Place& at = places[level];
        if (at.alone) {
            continue;
        }
        auto known = slots.find(at.domain);
        if (known == slots.end()) {
            if (free.empty()) {
                free.insert(layout.slots++);
            }
            known = slots.emplace(at.domain, *free.begin()).first;
            free.erase(free.begin());
        }
        at.slot = known->second;
        if (at.last) {
            free.insert(at.slot);
            slots.erase(known);
        }
    }
}

std::vector<CountVector> FrontierModel::vectors_of(const GangNode& node,
                                                   bool use_possible) const {
    const PlanRules required =
        rules_of(problem_, std::vector<bool>(problem_.prefer.size()));
    const CountTable& table = problem_.tables[node.table];
    std::vector<CountVector> vectors;
    for (const CountVector& pods : use_possible ? table.possible : table.attained) {
        bool fits = true;
        for (std::uint32_t p = 0; p < pods.size(); ++p) {
            fits = fits && (pods[p] == 0 || may_hold(required, node, p));
        }
        if (fits) {
            vectors.push_back(pods);
        }
    }
    std::ranges::sort(vectors, std::greater<>());
    return vectors;
}

void FrontierModel::collect_options(bool use_possible) {
    std::map<std::vector<std::uint32_t>, std::uint32_t> known;
    for (const std::uint32_t n : order_) {
        const GangNode& node = problem_.nodes[n];
        std::vector<std::uint32_t> key{node.table};
        for (const std::uint32_t domain : node.domains) {
            key.push_back(domain == no_index ? 1 : 0);
        }
        const auto [it, is_new] =
            known.try_emplace(key, static_cast<std::uint32_t>(vectors_.size()));
        if (is_new) {
            vectors_.push_back(vectors_of(node, use_possible));
        }
        lists_.push_back(it->second);
    }
}

std::uint64_t FrontierModel::all_levels() const {
    return low_bits(levels_ + std::size_t{1});
}

std::uint64_t FrontierModel::all_podsets() const {
    return low_bits(counts_.size());
}

std::uint64_t FrontierModel::expected_keys() const {
    std::vector<std::uint32_t> bits(order_.size());
    for (std::uint32_t level = 0; level < levels_; ++level) {
        std::set<std::uint32_t> live;
        for (std::uint32_t depth = 0; depth < order_.size(); ++depth) {
            const Place& at = places_[depth][level];
            if (!at.alone && !at.last) {
                live.insert(at.domain);
            } else if (at.last) {
                live.erase(at.domain);
            }
            bits[depth] +=
                static_cast<std::uint32_t>(live.size()) * layouts_[level].width;
        }
    }
    std::uint64_t sum = 0;
    for (const std::uint32_t width : bits) {
        sum += bit(std::min(width, 48U));
    }
    return sum;
}

FrontierOption FrontierModel::option_of(const CountVector& pods,
                                        std::uint64_t podsets) const {
    FrontierOption option;
    std::uint32_t weight = 0;
    for (std::uint32_t p = 0; p < pods.size(); ++p) {
        option.any = option.any || pods[p] != 0;
        weight += pods[p] * weights_[p];
        if (pods[p] != 0 && has_bit(podsets, p)) {
            option.parts.emplace_back(p, pods[p]);
            option.podsets |= bit(p);
            option.packed += std::uint64_t{pods[p]} << placed_[p].shift;
        }
    }
    const auto heavy = static_cast<std::uint32_t>(pods.size());
    if (has_weight() && weight != 0 && has_bit(podsets, heavy)) {
        option.packed += std::uint64_t{weight} << placed_[heavy].shift;
    }
    return option;
}

FrontierView FrontierModel::view(std::uint64_t podsets, std::uint64_t levels) const {
    FrontierView view;
    view.podsets = podsets;
    view.levels = levels;
    const auto keep = [&](const KeyField& field, std::uint64_t mask) {
        view.kept.words[field.word] |= mask << field.shift;
    };
    for_each_bit(podsets, [&](std::uint32_t p) { keep(placed_[p], placed_[p].mask); });
    for (std::size_t r = 0; r < rules_.size(); ++r) {
        const Rule& rule = rules_[r];
        if ((rule.podsets & ~podsets) == 0 && has_bit(levels, rule.level)) {
            view.rules |= bit(r);
            keep(rule.field, rule.field.mask);
        }
    }
    for (std::uint32_t level = 0; level < levels_; ++level) {
        const LevelLayout& layout = layouts_[level];
        std::uint64_t mask = has_bit(levels, level) ? 1 : 0;
        for_each_bit(podsets, [&](std::uint32_t p) {
            const LocalField& field = layout.podsets[p];
            mask |= has_bit(levels, level) ? field.mask << field.shift : 0;
        });
        for (const KeyField& field : layout.fields) {
            keep(field, mask);
        }
    }
    for (const std::vector<CountVector>& vectors : vectors_) {
        view.options.push_back(options_of(vectors, podsets));
    }
    return view;
}

// A view of less than the whole takes equal ones for one.
std::vector<FrontierOption> FrontierModel::options_of(
    const std::vector<CountVector>& vectors, std::uint64_t podsets) const {
    std::vector<FrontierOption> options;
    std::set<std::pair<bool, std::uint64_t>> seen;
    for (const CountVector& pods : vectors) {
        FrontierOption option = option_of(pods, podsets);
        if (podsets == all_podsets() ||
            seen.emplace(option.any, option.packed).second) {
            options.push_back(std::move(option));
        }
    }
    return options;
}

PackedCost FrontierModel::charge(const Place& at, std::uint32_t level) const {
    PackedCost cost;
    if (has_cost_) {
        cost += costs_.pack(domains_field() + level, 1);
        if (!at.open && level < levels_) {
            cost += costs_.pack(domains_field() + levels_ + 2 + level, 1);
        }
    }
    return cost;
}

PackedCost FrontierModel::charge_waste(const Place& at, std::uint32_t podset) const {
    return costs_.pack(domains_field() + levels_ + 1, at.copies[podset]);
}

// Pods missing by their weight alone; nullopt when too many are.
std::optional<std::uint64_t> FrontierModel::missing_weight(
    const FrontierKey& key) const {
    const std::uint64_t left = counts_.back() - placed_.back().get(key);
    std::uint64_t may_miss = 0;
    for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
        may_miss += std::uint64_t{weights_[p]} *
                    (problem_.podsets[p].count - problem_.podsets[p].min_count);
    }
    const std::uint64_t most = *std::ranges::max_element(weights_);
    return left > may_miss ? std::nullopt : std::optional((left + most - 1) / most);
}

std::vector<std::uint64_t> FrontierModel::spare_pods() const {
    std::vector<std::uint64_t> packed;
    for (std::uint32_t p = 0; p < problem_.podsets.size(); ++p) {
        const bool is_counted = std::ranges::any_of(rules_, [p](const Rule& rule) {
            return rule.podset == p &&
                   (rule.type == RuleType::multiple || rule.type == RuleType::balanced);
        });
        if (!is_counted) {
            CountVector pod(problem_.podsets.size());
            pod[p] = 1;
            packed.push_back(option_of(pod, all_podsets()).packed);
        }
    }
    return packed;
}

bool FrontierModel::end(const FrontierView& view,
                        const FrontierKey& key,
                        PackedCost& cost) const {
    std::uint64_t missing = 0;
    std::uint64_t wasted = 0;
    if (is_weight(view.podsets)) {
        const auto pods = missing_weight(key);
        if (!pods) {
            return false;
        }
        missing = *pods;
    }
    for (std::uint32_t p = 0; p < problem_.podsets.size(); ++p) {
        if (!has_bit(view.podsets, p)) {
            continue;
        }
        const GangPodSet& podset = problem_.podsets[p];
        const std::uint64_t placed = placed_[p].get(key);
        if (placed < podset.min_count) {
            return false;
        }
        missing += podset.count - placed;
        wasted += podset.lowest_level == no_index ? 0 : podset.count - placed;
    }
    if (has_cost_) {
        cost += costs_.pack(short_field, missing);
        cost += costs_.pack(domains_field() + levels_ + 1, wasted);
    }
    return true;
}

std::vector<FrontierModel> frontier_models(const GangProblem& problem,
                                           bool use_possible,
                                           bool least_cost) {
    std::vector<std::uint32_t> given(problem.nodes.size());
    std::iota(given.begin(), given.end(), 0);
    std::vector<std::vector<std::uint32_t>> orders{given, order_by_domain(problem)};
    for (std::uint32_t level = 0; level < problem.levels; ++level) {
        orders.push_back(given);
        std::ranges::stable_sort(orders.back(), {}, [&](std::uint32_t n) {
            return problem.nodes[n].domains[level];
        });
    }
    std::vector<std::pair<std::uint64_t, FrontierModel>> models;
    std::set<std::pair<std::uint64_t, std::uint64_t>> kinds;
    for (std::vector<std::uint32_t>& order : orders) {
        auto model =
            FrontierModel::make(problem, std::move(order), use_possible, least_cost);
        if (!model) {
            continue;
        }
        const std::uint64_t keys = model->expected_keys();
        if (kinds.emplace(model->nested_levels(), keys).second) {
            models.emplace_back(keys, std::move(*model));
        }
    }
    std::vector<std::size_t> ranks(models.size());
    std::iota(ranks.begin(), ranks.end(), 0);
    std::ranges::stable_sort(ranks, {}, [&](std::size_t i) { return models[i].first; });
    std::vector<FrontierModel> out;
    for (const std::size_t i : ranks) {
        out.push_back(std::move(models[i].second));
    }
    return out;
}

}  // namespace topoalloc
