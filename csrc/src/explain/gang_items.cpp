// SPDX-License-Identifier: Apache-2.0
#include "explain/gang_items.hpp"

#include "explain/request_items.hpp"

#include <variant>

namespace topoalloc {
namespace {

void add_podset(const PodSet& podset,
                std::size_t p,
                bool has_taints,
                std::vector<GangItem>& items) {
    for (std::size_t i = 0; i < podset.where.size(); ++i) {
        items.push_back({GangItemKind::where, p, i});
    }
    if (has_taints) {
        items.push_back({GangItemKind::tolerations, p, 0});
    }
    if (!podset.request->require.empty()) {
        items.push_back({GangItemKind::request_require, p, 0});
    }
}

template <class T>
void erase_at(std::vector<T>& from, std::size_t index) {
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(index));
}

void drop(Gang& gang,
          const GangItem& item,
          const std::vector<std::shared_ptr<const Request>>& plain) {
    switch (item.kind) {
        case GangItemKind::group_require:
            erase_at(gang.groups[item.of].require, item.index);
            break;
        case GangItemKind::require:
            erase_at(gang.podsets[item.of].require, item.index);
            break;
        case GangItemKind::slice:
            erase_at(gang.podsets[item.of].slices, item.index);
            break;
        case GangItemKind::where:
            erase_at(gang.podsets[item.of].where, item.index);
            break;
        case GangItemKind::tolerations:
            gang.podsets[item.of].tolerations = {Toleration{}};
            break;
        case GangItemKind::request_require:
            gang.podsets[item.of].request = plain[item.of];
            break;
        case GangItemKind::count:
            gang.podsets[item.of].min_count = 0;
            break;
    }
}

std::string text_of(const GangConstraint& constraint) {
    if (const auto* within = std::get_if<Within>(&constraint)) {
        return "all pods in one " + within->level;
    }
    if (const auto* spread = std::get_if<Spread>(&constraint)) {
        return "at most " + counted(spread->at_most, "pod") + " in a " + spread->level;
    }
    if (const auto* rails = std::get_if<Rails>(&constraint)) {
        return "the same " + rails->device_class + " indices on every node";
    }
    return "pods balanced by " + std::get<Balanced>(constraint).level;
}

std::string text_of_request(const Request& request) {
    std::vector<std::string> words;
    for (const Constraint& constraint : request.require) {
        words.push_back(describe(constraint));
    }
    return "in each pod " + join_words(words);
}

}  // namespace

std::vector<GangItem> items_of(const Gang& gang, const std::vector<bool>& has_taints) {
    std::vector<GangItem> items;
    for (std::size_t g = 0; g < gang.groups.size(); ++g) {
        for (std::size_t i = 0; i < gang.groups[g].require.size(); ++i) {
            items.push_back({GangItemKind::group_require, g, i});
        }
    }
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        for (std::size_t i = 0; i < gang.podsets[p].require.size(); ++i) {
            items.push_back({GangItemKind::require, p, i});
        }
    }
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        for (std::size_t i = 0; i < gang.podsets[p].slices.size(); ++i) {
            items.push_back({GangItemKind::slice, p, i});
        }
    }
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        add_podset(gang.podsets[p], p, has_taints[p], items);
    }
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        if (gang.podsets[p].min_count != 0) {
            items.push_back({GangItemKind::count, p, 0});
        }
    }
    return items;
}

Gang with_items(const Gang& gang,
                const std::vector<GangItem>& items,
                const std::vector<bool>& kept,
                const std::vector<std::shared_ptr<const Request>>& plain) {
    Gang out = gang;
    for (PodSet& podset : out.podsets) {
        podset.prefer.clear();
    }
    for (Group& group : out.groups) {
        group.prefer.clear();
    }
    // From the back: positions in a list stay good while later entries go.
    for (std::size_t i = items.size(); i-- > 0;) {
        if (!kept[i]) {
            drop(out, items[i], plain);
        }
    }
    return out;
}

std::string path_of(const GangItem& item) {
    const std::string at = "[" + std::to_string(item.of) + "]";
    const std::string entry = "[" + std::to_string(item.index) + "]";
    switch (item.kind) {
        case GangItemKind::group_require:
            return "groups" + at + ".require" + entry;
        case GangItemKind::require:
            return "podsets" + at + ".require" + entry;
        case GangItemKind::slice:
            return "podsets" + at + ".slices" + entry;
        case GangItemKind::where:
            return "podsets" + at + ".where" + entry;
        case GangItemKind::tolerations:
            return "podsets" + at + ".tolerations";
        case GangItemKind::request_require:
            return "podsets" + at + ".request.require";
        case GangItemKind::count:
            return "podsets" + at + ".count";
    }
    return {};
}

std::string text_of(const Gang& gang, const GangItem& item) {
    if (item.kind == GangItemKind::group_require) {
        const Group& group = gang.groups[item.of];
        return group.name + ": all pods of " + join_words(group.members) + " in one " +
               group.require[item.index].level;
    }
    const PodSet& podset = gang.podsets[item.of];
    const std::string who = podset.name + ": ";
    switch (item.kind) {
        case GangItemKind::require:
            return who + text_of(podset.require[item.index]);
        case GangItemKind::slice: {
            const Slice& slice = podset.slices[item.index];
            return who + "every " + counted(slice.size, "pod") + " in one " +
                   slice.level;
        }
        case GangItemKind::where:
            return who + "nodes where " + describe(podset.where[item.index]);
        case GangItemKind::tolerations:
            return who + "nodes whose taints it tolerates";
        case GangItemKind::request_require:
            return who + text_of_request(*podset.request);
        case GangItemKind::count:
        case GangItemKind::group_require:
            break;
    }
    return who + counted(podset.min_count, "pod");
}

std::string counted(std::uint64_t number, const std::string& noun) {
    return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

}  // namespace topoalloc
