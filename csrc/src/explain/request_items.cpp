// SPDX-License-Identifier: Apache-2.0
#include "explain/request_items.hpp"

#include "topoalloc/explanation.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// Names that are still asked for, once some items are gone.
struct Kept {
    bool pus = false;
    bool memory = false;
    std::set<std::string_view> classes;

    [[nodiscard]] bool has(std::string_view word) const {
        return (word == "pus" && pus) || (word == "memory" && memory) ||
               classes.contains(word);
    }
};

std::vector<std::string> filtered(const std::vector<std::string>& words,
                                  const Kept& kept) {
    std::vector<std::string> out;
    std::ranges::copy_if(words, std::back_inserter(out), [&](const std::string& w) {
        return kept.has(w);
    });
    return out;
}

// A constraint on what is left, or nullopt when it speaks of nothing that is.
std::optional<Constraint> restrict(Align align, const Kept& kept) {
    if (align.of.empty()) {
        return align;
    }
    align.of = filtered(align.of, kept);
    return align.of.empty() ? std::nullopt
                            : std::optional<Constraint>(std::move(align));
}

std::optional<Constraint> restrict(const Pair& pair, const Kept& kept) {
    return kept.has(pair.a) && kept.has(pair.b) ? std::optional<Constraint>(pair)
                                                : std::nullopt;
}

std::optional<Constraint> restrict(const Link& link, const Kept& kept) {
    return kept.has(link.device_class) ? std::optional<Constraint>(link) : std::nullopt;
}

template <class Attribute>
std::optional<Constraint> restrict_attribute(Attribute constraint, const Kept& kept) {
    constraint.of = filtered(constraint.of, kept);
    return constraint.of.empty() ? std::nullopt
                                 : std::optional<Constraint>(std::move(constraint));
}

std::optional<Constraint> restrict(Same same, const Kept& kept) {
    return restrict_attribute(std::move(same), kept);
}

std::optional<Constraint> restrict(Distinct distinct, const Kept& kept) {
    return restrict_attribute(std::move(distinct), kept);
}

std::optional<Constraint> restrict(Near near, const Kept& /*kept*/) {
    return near;
}

std::optional<Constraint> restrict_any(const Constraint& constraint, const Kept& kept) {
    return std::visit([&](const auto& c) { return restrict(c, kept); }, constraint);
}

Kept kept_names(const Request& request,
                const std::vector<RequestItem>& items,
                const KeptItems& kept) {
    Kept out;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (!kept[i]) {
            continue;
        }
        switch (items[i].kind) {
            case ItemKind::pus:
                out.pus = true;
                break;
            case ItemKind::memory:
            case ItemKind::hugepages:
                out.memory = true;
                break;
            case ItemKind::devices:
                out.classes.insert(request.devices[items[i].index].device_class);
                break;
            default:
                break;
        }
    }
    return out;
}

// Copies one item into a Request under construction. Classes come last among the items,
// so their conditions are collected in `conditions` and `eligible` first.
class Rebuilder {
  public:
    Rebuilder(const Request& request, Kept names)
        : request_(request),
          names_(std::move(names)),
          devices_(request.devices.size()) {
        out_.kind = request.kind;
    }

    void add(const RequestItem& item) {
        switch (item.kind) {
            case ItemKind::require:
                if (auto constraint =
                        restrict_any(request_.require[item.index], names_)) {
                    out_.require.push_back(std::move(*constraint));
                }
                break;
            case ItemKind::where:
                devices_[item.index].where.push_back(
                    request_.devices[item.index].where[item.condition]);
                break;
            case ItemKind::eligible:
                devices_[item.index].eligible = request_.devices[item.index].eligible;
                break;
            case ItemKind::exclude:
                out_.exclude = request_.exclude;
                break;
            case ItemKind::keep:
                out_.keep = filtered(request_.keep, names_);
                break;
            case ItemKind::pus:
                out_.cores = request_.cores;
                out_.pus = request_.pus;
                out_.whole_cores = request_.whole_cores;
                break;
            case ItemKind::memory:
                out_.memory = request_.memory;
                break;
            case ItemKind::hugepages:
                out_.hugepages[item.page_size] = request_.hugepages.at(item.page_size);
                break;
            case ItemKind::devices:
                add_class(item.index);
                break;
        }
    }

    void add_preferences() {
        for (const Constraint& constraint : request_.prefer) {
            if (auto left = restrict_any(constraint, names_)) {
                out_.prefer.push_back(std::move(*left));
            }
        }
    }

    [[nodiscard]] Request finish() { return std::move(out_); }

  private:
    void add_class(std::size_t index) {
        const DeviceRequest& from = request_.devices[index];
        DeviceRequest& to = devices_[index];
        to.device_class = from.device_class;
        to.count = from.count;
        to.share = from.share;
        to.partition = from.partition;
        out_.devices.push_back(std::move(to));
    }

    const Request& request_;
    Kept names_;
    std::vector<DeviceRequest> devices_;
    Request out_;
};

std::string describe(const Scalar& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*number);
    }
    return std::get<std::string>(value);
}

std::string describe_one(const Align& align) {
    const std::string what = align.of.empty() ? "everything" : join_words(align.of);
    return what + " in one " + std::string(align_level_name(align.level));
}

std::string describe_one(const Pair& pair) {
    const std::string level(level_name(pair.within));
    if (pair.ratio_a == 1 && pair.ratio_b == 1) {
        return "each " + pair.a + " paired with a " + pair.b + " within " + level;
    }
    return pair.a + " and " + pair.b + " paired " + std::to_string(pair.ratio_a) + ":" +
           std::to_string(pair.ratio_b) + " within " + level;
}

std::string describe_one(const Link& link) {
    const std::string speed = std::to_string(link.min_mb_s) + " MB/s";
    return link.mode == LinkMode::clique
               ? "every two " + link.device_class + " linked with at least " + speed
               : link.device_class + " connected by links of at least " + speed;
}

std::string describe_one(const Same& same) {
    return "one value of " + same.attribute + " for " + join_words(same.of);
}

std::string describe_one(const Distinct& distinct) {
    return "different values of " + distinct.attribute + " for " +
           join_words(distinct.of);
}

std::string describe_one(const Near& near) {
    return "everything within " + std::string(level_name(near.within)) + " of " +
           join_words(near.devices);
}

std::string plural(std::uint64_t count, const std::string& word) {
    return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

std::string describe_ask(const DeviceRequest& wanted) {
    std::string text = wanted.device_class + ": " + plural(wanted.count, "device");
    if (!wanted.partition.empty()) {
        text += ", partition " + wanted.partition;
    }
    for (const auto& [name, amount] : wanted.share) {
        text += ", share of " + std::to_string(amount) + " " + name;
    }
    return text;
}

std::string describe_pus(const Request& request) {
    if (request.cores != 0) {
        return plural(request.cores, "core");
    }
    return plural(request.pus, "PU") + (request.whole_cores ? " of whole cores" : "");
}

}  // namespace

std::vector<RequestItem> items_of(const Request& request) {
    std::vector<RequestItem> items;
    for (std::size_t i = 0; i < request.require.size(); ++i) {
        items.push_back({ItemKind::require, i, 0, 0});
    }
    for (std::size_t d = 0; d < request.devices.size(); ++d) {
        for (std::size_t c = 0; c < request.devices[d].where.size(); ++c) {
            items.push_back({ItemKind::where, d, c, 0});
        }
        if (request.devices[d].eligible) {
            items.push_back({ItemKind::eligible, d, 0, 0});
        }
    }
    if (!request.exclude.empty()) {
        items.push_back({ItemKind::exclude, 0, 0, 0});
    }
    if (!request.keep.empty()) {
        items.push_back({ItemKind::keep, 0, 0, 0});
    }
    if (request.cores != 0 || request.pus != 0) {
        items.push_back({ItemKind::pus, 0, 0, 0});
    }
    if (request.memory != 0) {
        items.push_back({ItemKind::memory, 0, 0, 0});
    }
    for (const auto& [size, bytes] : request.hugepages) {
        if (bytes != 0) {
            items.push_back({ItemKind::hugepages, 0, 0, size});
        }
    }
    for (std::size_t d = 0; d < request.devices.size(); ++d) {
        items.push_back({ItemKind::devices, d, 0, 0});
    }
    return items;
}

Request with_items(const Request& request,
                   const std::vector<RequestItem>& items,
                   const KeptItems& kept,
                   bool with_preferences) {
    Rebuilder rebuilder(request, kept_names(request, items, kept));
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (kept[i]) {
            rebuilder.add(items[i]);
        }
    }
    if (with_preferences) {
        rebuilder.add_preferences();
    }
    return rebuilder.finish();
}

bool has_meaning(const Request& request,
                 const std::vector<RequestItem>& items,
                 const KeptItems& kept,
                 std::size_t position) {
    const RequestItem& item = items[position];
    const Kept names = kept_names(request, items, kept);
    switch (item.kind) {
        case ItemKind::require:
            return restrict_any(request.require[item.index], names).has_value();
        case ItemKind::where:
        case ItemKind::eligible:
            return names.has(request.devices[item.index].device_class);
        case ItemKind::keep:
            return !filtered(request.keep, names).empty();
        default:
            return true;
    }
}

bool is_empty(const Request& request) {
    return request.cores == 0 && request.pus == 0 && request.memory == 0 &&
           request.devices.empty() &&
           std::ranges::all_of(request.hugepages,
                               [](const auto& entry) { return entry.second == 0; });
}

std::string path_of(const Request& request, const RequestItem& item) {
    const auto class_path = [&] {
        return "devices." + request.devices[item.index].device_class;
    };
    switch (item.kind) {
        case ItemKind::require:
            return "require[" + std::to_string(item.index) + "]";
        case ItemKind::where:
            return class_path() + ".where[" + std::to_string(item.condition) + "]";
        case ItemKind::eligible:
            return class_path() + ".eligible";
        case ItemKind::exclude:
            return "exclude";
        case ItemKind::keep:
            return "keep";
        case ItemKind::pus:
            return request.cores != 0 ? "cores" : "pus";
        case ItemKind::memory:
            return "memory";
        case ItemKind::hugepages:
            return "hugepages." + describe_bytes(item.page_size);
        case ItemKind::devices:
            return class_path();
    }
    return {};
}

std::string text_of(const Request& request, const RequestItem& item) {
    switch (item.kind) {
        case ItemKind::require:
            return describe(request.require[item.index]);
        case ItemKind::where:
            return request.devices[item.index].device_class + ": " +
                   describe(request.devices[item.index].where[item.condition]);
        case ItemKind::eligible:
            return request.devices[item.index].device_class + ": one of " +
                   plural(request.devices[item.index].eligible->size(),
                          "eligible device");
        case ItemKind::exclude:
            return "without " + join_words(request.exclude);
        case ItemKind::keep:
            return "keeping " + join_words(request.keep);
        case ItemKind::pus:
            return describe_pus(request);
        case ItemKind::memory:
            return describe_amounts({request.memory}).front() + " of memory";
        case ItemKind::hugepages:
            return describe_amounts({request.hugepages.at(item.page_size)}).front() +
                   " in pages of " + describe_bytes(item.page_size);
        case ItemKind::devices:
            return describe_ask(request.devices[item.index]);
    }
    return {};
}

std::string describe(const Constraint& constraint) {
    return std::visit([](const auto& c) { return describe_one(c); }, constraint);
}

std::string describe(const Condition& condition) {
    std::vector<std::string> values;
    for (const Scalar& value : condition.values) {
        values.push_back(describe(value));
    }
    switch (condition.op) {
        case ConditionOp::equal:
            return condition.attribute + " = " + values.front();
        case ConditionOp::not_equal:
            return condition.attribute + " is not " + values.front();
        case ConditionOp::at_least:
            return condition.attribute + " at least " + values.front();
        case ConditionOp::at_most:
            return condition.attribute + " at most " + values.front();
        case ConditionOp::one_of:
            return condition.attribute + " one of " + join_words(values);
    }
    return {};
}

std::string describe_bytes(std::uint64_t bytes) {
    static constexpr std::array<std::string_view, 5> units{"", "Ki", "Mi", "Gi", "Ti"};
    std::size_t unit = 0;
    while (unit + 1 < units.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++unit;
    }
    return std::to_string(bytes) + (unit == 0 ? " bytes" : std::string(units[unit]));
}

std::string_view align_level_name(AlignLevel level) {
    switch (level) {
        case AlignLevel::l3:
            return "l3";
        case AlignLevel::numa:
            return "numa";
        case AlignLevel::package:
            return "package";
    }
    return {};
}

std::string join_words(const std::vector<std::string>& words) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i != 0) {
            out += i + 1 == words.size() ? " and " : ", ";
        }
        out += words[i];
    }
    return out;
}

}  // namespace topoalloc
