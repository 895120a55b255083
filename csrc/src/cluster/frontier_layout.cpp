// SPDX-License-Identifier: Apache-2.0
//
// The bits of a FrontierModel's keys and costs.
#include "base/bits.hpp"
#include "cluster/frontier_model.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

namespace topoalloc {
namespace {

std::uint64_t full(std::uint64_t most) {
    return low_bits(static_cast<std::size_t>(std::bit_width(most)));
}

}  // namespace

// Of the pods of a PodSet in a Domain of the level, the least that rules have to know.
FrontierModel::LocalField FrontierModel::local_field(std::uint32_t level,
                                                     std::uint32_t podset) const {
    LocalField field;
    bool has_slices = false;
    bool must_count = false;
    for (const std::uint32_t r : rules_at_[level]) {
        const Rule& rule = rules_[r];
        if (rule.type == RuleType::within || rule.podset != podset) {
            continue;
        }
        if (rule.type == RuleType::multiple) {
            has_slices = true;
            field.modulus = std::lcm(field.modulus, rule.number);
        } else {
            field.counting.push_back(r);
            must_count = must_count || rule.unmet == no_index;
        }
    }
    const std::uint32_t count = counts_[podset];
    const bool wastes = has_cost_ && problem_.podsets[podset].lowest_level == level;
    field.later = wastes ? Memory::some : Memory::none;
    if (has_slices) {
        field.later = Memory::remainder;
    }
    if (must_count || field.modulus >= std::max(count, 2U)) {
        field.later = Memory::count;
    }
    field.memory = field.counting.empty() ? field.later : Memory::count;
    field.mask =
        full(field.memory == Memory::remainder ? field.modulus
                                               : field.keep(field.memory, count));
    return field;
}

void FrontierModel::lay_out_level(std::uint32_t level) {
    LevelLayout& layout = layouts_[level];
    layout.podsets.resize(counts_.size());
    for (std::uint32_t p = 0; p < problem_.podsets.size(); ++p) {
        LocalField& field = layout.podsets[p];
        field = local_field(level, p);
        field.shift = layout.width;
        layout.width += static_cast<std::uint32_t>(std::bit_width(field.mask));
    }
}

// The largest value of the field of a rule.
std::uint64_t FrontierModel::broken_of(const Rule& rule) const {
    switch (rule.type) {
        case RuleType::within:  // none, a Domain, one that is done, broken
            return std::uint64_t{domains_[rule.level]} + 2;
        case RuleType::balanced:  // none, the least number with or without one more
            return std::uint64_t{2} * counts_[rule.podset] + 3;
        case RuleType::at_most:
            return rule.unmet == no_index ? 0 : 1;
        case RuleType::multiple:
            return 0;
    }
    return 0;
}

bool FrontierModel::lay_out_key() {
    std::uint32_t used = 0;
    const std::uint32_t most =
        64 * static_cast<std::uint32_t>(FrontierKey{}.words.size());
    // One bit more than a count needs shows that it is too large.
    for (const std::uint32_t count : counts_) {
        const auto width = static_cast<std::uint32_t>(std::bit_width(count));
        if (used + width + 1 > 64) {
            return false;
        }
        placed_.push_back({0, used, low_bits(width)});
        limits_ |= (bit(width) | count) << used;
        guards_ |= bit(used + width);
        used += width + 1;
        counts_mask_ = low_bits(used);
    }
    const auto take = [&](std::uint32_t width) {
        if (used / 64 != (used + std::max(width, 1U) - 1) / 64) {
            used = (used / 64 + 1) * 64;
        }
        const KeyField field{used / 64, used % 64, low_bits(width)};
        used += width;
        return width == 0 ? KeyField{} : field;
    };
    for (Rule& rule : rules_) {
        rule.broken = broken_of(rule);
        rule.field = take(static_cast<std::uint32_t>(std::bit_width(rule.broken)));
    }
    for (LevelLayout& layout : layouts_) {
        if (layout.slots != 0 && layout.width > 64) {
            return false;
        }
        for (std::uint32_t slot = 0; slot < layout.slots && used <= most; ++slot) {
            layout.fields.push_back(take(layout.width));
        }
    }
    return used <= most;
}

bool FrontierModel::lay_out_cost() {
    if (!has_cost_) {
        return true;
    }
    const std::size_t slots = problem_.podsets.size() + problem_.groups;
    const std::uint64_t nodes = problem_.nodes.size();
    std::uint64_t pods = 0;
    std::uint64_t waste = 0;
    for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
        pods += problem_.podsets[p].count;
        for (const GangNode& node : problem_.nodes) {
            waste += problem_.tables[node.table].copies[p];
        }
    }
    std::vector<std::uint64_t> most(1 + slots, 0);
    most[short_field] = pods;
    for (const PreferRule& rule : problem_.prefer) {
        ++most[unmet_fields + rule.unmet];
    }
    const std::size_t head = most.size();
    most.insert(most.end(), levels_ + std::size_t{1}, nodes);
    most.push_back(waste + pods);
    most.insert(most.end(), levels_, nodes);
    const auto costs = CostFields::make(most);
    if (!costs) {
        return false;
    }
    costs_ = *costs;
    for (std::size_t field = 0; field < head; ++field) {
        head_mask_ += costs_.pack(field, full(most[field]));
    }
    return true;
}

PackedCost FrontierModel::head(const PackedCost& cost) const {
    PackedCost out = cost;
    for (std::size_t w = 0; w < out.words.size(); ++w) {
        out.words[w] &= head_mask_.words[w];
    }
    return out;
}

// The waste is counted with all pods of a PodSet that wastes missing.
PackedCost FrontierModel::pack(const GangCost& cost) const {
    const std::size_t slots = problem_.podsets.size() + problem_.groups;
    const auto field = [&](std::size_t index, std::int64_t value) {
        return costs_.pack(index, static_cast<std::uint64_t>(value));
    };
    PackedCost out = field(short_field, cost.short_pods);
    for (std::size_t i = 0; i < slots; ++i) {
        out += field(unmet_fields + i, cost.unmet[i]);
    }
    std::int64_t waste = cost.waste;
    for (const GangPodSet& podset : problem_.podsets) {
        waste += podset.lowest_level == no_index ? 0 : podset.count;
    }
    std::size_t next = unmet_fields + slots;
    for (const std::int64_t domains : cost.domains) {
        out += field(next++, domains);
    }
    out += field(next++, cost.nodes);
    out += field(next++, waste);
    for (const std::int64_t opened : cost.opened) {
        out += field(next++, opened);
    }
    return out;
}

}  // namespace topoalloc
