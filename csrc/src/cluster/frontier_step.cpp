// SPDX-License-Identifier: Apache-2.0
//
// One node of a walk (FrontierStep): what its pods make of a key and a cost.
#include "base/bits.hpp"
#include "cluster/frontier_model.hpp"

#include <algorithm>

namespace topoalloc {

FrontierStep::FrontierStep(const FrontierModel& model,
                           const FrontierView& view,
                           std::uint32_t depth)
    : model_(model), options_(view.options[model.options_at(depth)]) {
    PackedCost alone;
    for (std::uint32_t l = 0; l <= model.levels_; ++l) {
        if (!has_bit(view.levels, l)) {
            continue;
        }
        Level level{l, &model.places_[depth][l], {}, {}, {}};
        level.charge = model.charge(*level.at, l);
        for (const std::uint32_t r : model.rules_at_[l]) {
            if (has_bit(view.rules, r)) {
                level.rules.push_back(&model.rules_[r]);
            }
        }
        if (!level.at->alone) {
            level.field = model.layouts_[l].fields[level.at->slot];
        } else {
            alone += level.charge;
        }
        levels_.push_back(std::move(level));
    }
    for (const FrontierOption& option : options_) {
        charges_.push_back(option.any ? alone + charge_alone(option) : PackedCost{});
    }
    std::erase_if(levels_, [](const Level& level) {
        return level.at->alone && level.rules.empty();
    });
}

// The waste of Domains that have no other node.
PackedCost FrontierStep::charge_alone(const FrontierOption& option) const {
    PackedCost cost;
    for (const Level& level : levels_) {
        for (const auto& [p, pods] : option.parts) {
            if (level.at->alone && model_.has_cost_ &&
                model_.problem_.podsets[p].lowest_level == level.level) {
                cost += model_.charge_waste(*level.at, p);
            }
        }
    }
    return cost;
}

// A rule can not hold any more. False where it must.
bool FrontierStep::lose(const Rule& rule, FrontierKey& key, PackedCost& cost) const {
    if (rule.unmet == no_index) {
        return false;
    }
    if (rule.field.get(key) != rule.broken) {
        rule.field.set(key, rule.broken);
        cost += model_.costs_.pack(FrontierModel::unmet_fields + rule.unmet, 1);
        if (rule.type != RuleType::within && rule.level < model_.levels_) {
            forget(rule, key);
        }
    }
    return true;
}

// What a Domain keeps of its pods, as far as its rules can still hold.
FrontierModel::Memory FrontierStep::memory_of(const FrontierModel::LocalField& field,
                                              const FrontierKey& key) const {
    if (field.memory == field.later) {
        return field.memory;
    }
    const bool is_lost = std::ranges::all_of(field.counting, [&](std::uint32_t r) {
        const Rule& rule = model_.rules_[r];
        return rule.field.get(key) == rule.broken;
    });
    return is_lost ? field.later : field.memory;
}

// Numbers of pods that only a broken rule asked for.
void FrontierStep::forget(const Rule& rule, FrontierKey& key) const {
    const auto& layout = model_.layouts_[rule.level];
    const auto& field = layout.podsets[rule.podset];
    const auto memory = memory_of(field, key);
    if (memory == field.memory) {
        return;
    }
    for (const KeyField& slot : layout.fields) {
        const std::uint64_t local = slot.get(key);
        const std::uint64_t pods = (local >> field.shift) & field.mask;
        slot.set(key,
                 (local & ~(field.mask << field.shift)) |
                     (field.keep(memory, pods) << field.shift));
    }
}

// Pods of a Within in one more node: its field has 0, one more than a Domain, or that
// the Domain is done.
bool FrontierStep::go_within(const Rule& rule,
                             const Place& at,
                             FrontierKey& key,
                             PackedCost& cost) const {
    const std::uint64_t is_done = rule.broken - 1;
    const std::uint64_t mine = at.alone ? is_done : at.domain + std::uint64_t{1};
    const std::uint64_t now = rule.field.get(key);
    if (at.real && (now == 0 || (now == mine && !at.alone))) {
        rule.field.set(key, mine);
        return true;
    }
    return lose(rule, key, cost);
}

// A Domain is done with so many pods: its rule's field has 0, or twice the least number
// seen, one more where the next larger number was seen, too.
bool FrontierStep::count_balanced(const Rule& rule,
                                  std::uint64_t pods,
                                  FrontierKey& key,
                                  PackedCost& cost) const {
    const std::uint64_t now = rule.field.get(key);
    if (now == rule.broken) {
        return true;
    }
    const std::uint64_t least = now / 2;
    if (now == 0) {
        rule.field.set(key, 2 * pods);
    } else if (pods == least + 1) {
        rule.field.set(key, 2 * least + 1);
    } else if (pods + 1 == least && now % 2 == 0) {
        rule.field.set(key, 2 * pods + 1);
    } else if (pods != least) {
        return lose(rule, key, cost);
    }
    return true;
}

// The rules of counts, of a Domain that has no other node.
bool FrontierStep::count_alone(const Level& level,
                               const FrontierOption& option,
                               FrontierKey& key,
                               PackedCost& cost) const {
    for (const Rule* rule : level.rules) {
        if (rule->type == RuleType::within || (rule->podsets & option.podsets) == 0) {
            continue;
        }
        const auto part = std::ranges::find(
            option.parts, rule->podset, [](const auto& p) { return p.first; });
        bool holds = level.at->real;
        if (rule->type == RuleType::balanced && holds) {
            holds = count_balanced(*rule, part->second, key, cost);
        } else if (rule->type == RuleType::multiple) {
            holds = holds && part->second % rule->number == 0;
        } else if (rule->type == RuleType::at_most) {
            holds = holds && part->second <= rule->number;
        }
        if (!holds && !lose(*rule, key, cost)) {
            return false;
        }
    }
    return true;
}

// Pods of a Domain that has other nodes.
bool FrontierStep::count(const Level& level,
                         const FrontierOption& option,
                         FrontierKey& key,
                         PackedCost& cost) const {
    std::uint64_t local = level.field.get(key);
    if ((local & 1) == 0) {
        cost += level.charge;
        local |= 1;
    }
    level.field.set(key, local);
    for (const auto& [p, pods] : option.parts) {
        const auto& field = model_.layouts_[level.level].podsets[p];
        if (field.memory != FrontierModel::Memory::none &&
            !count_podset(level, field, p, pods, key, cost)) {
            return false;
        }
    }
    return true;
}

bool FrontierStep::count_podset(const Level& level,
                                const FrontierModel::LocalField& field,
                                std::uint32_t podset,
                                std::uint64_t pods,
                                FrontierKey& key,
                                PackedCost& cost) const {
    const auto before = [&] {
        return (level.field.get(key) >> field.shift) & field.mask;
    };
    if (before() == 0 && model_.has_cost_ &&
        model_.problem_.podsets[podset].lowest_level == level.level) {
        cost += model_.charge_waste(*level.at, podset);
    }
    for (const Rule* rule : level.rules) {
        if (rule->type == RuleType::at_most && rule->podset == podset &&
            before() + pods > rule->number && !lose(*rule, key, cost)) {
            return false;
        }
    }
    // What is kept may have become less just now.
    const std::uint64_t after = field.keep(memory_of(field, key), before() + pods);
    const std::uint64_t local = level.field.get(key) & ~(field.mask << field.shift);
    level.field.set(key, local | (after << field.shift));
    return true;
}

bool FrontierStep::enter(const Level& level,
                         const FrontierOption& option,
                         FrontierKey& key,
                         PackedCost& cost) const {
    if (!(level.at->alone ? count_alone(level, option, key, cost)
                          : count(level, option, key, cost))) {
        return false;
    }
    return std::ranges::all_of(level.rules, [&](const Rule* rule) {
        return rule->type != RuleType::within ||
               (rule->podsets & option.podsets) == 0 ||
               go_within(*rule, *level.at, key, cost);
    });
}

// No node of the Domain is to come.
bool FrontierStep::close(const Level& level, FrontierKey& key, PackedCost& cost) const {
    const std::uint64_t local = level.field.get(key);
    for (const Rule* rule : level.rules) {
        if (rule->type == RuleType::within) {
            if (rule->field.get(key) == level.at->domain + std::uint64_t{1}) {
                rule->field.set(key, rule->broken - 1);
            }
            continue;
        }
        const auto& field = model_.layouts_[level.level].podsets[rule->podset];
        const std::uint64_t pods = (local >> field.shift) & field.mask;
        if ((rule->type == RuleType::multiple && pods % rule->number != 0) ||
            (rule->type == RuleType::balanced && pods != 0 &&
             !count_balanced(*rule, pods, key, cost))) {
            return false;
        }
    }
    level.field.set(key, 0);
    return true;
}

bool FrontierStep::place(std::size_t option, FrontierKey& key, PackedCost& cost) const {
    const FrontierOption& pods = options_[option];
    key.words[0] += pods.packed;
    // The counts are the lowest bits of the word, so that nothing above them borrows.
    const std::uint64_t placed = key.words[0] & model_.counts_mask_;
    if (((model_.limits_ - placed) & model_.guards_) != model_.guards_) {
        return false;
    }
    cost += charges_[option];
    for (const Level& level : levels_) {
        if (pods.any && !enter(level, pods, key, cost)) {
            return false;
        }
        if (level.at->last && !close(level, key, cost)) {
            return false;
        }
    }
    return true;
}

}  // namespace topoalloc
