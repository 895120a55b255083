// SPDX-License-Identifier: Apache-2.0
//
// A class of devices or a profile of partitions that the Machine does not have at all
// is a slip of the pen more often than a shortage: what there is instead helps most.
#include "explain/explain_internal.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

namespace topoalloc {
namespace {

using Names = std::set<std::string>;

// Insertions, deletions and replacements between two words.
std::size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0U : 1U);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

// The nearest name, if it is near enough to be meant.
std::string nearest(const std::string& word, const Names& names) {
    constexpr std::size_t longest = 64;
    std::size_t least = std::max<std::size_t>(word.size() / 3, 1);
    std::string found;
    for (const std::string& name : names) {
        if (word.size() > longest || name.size() > longest) {
            continue;
        }
        const std::size_t edits = edits_between(word, name);
        if (edits < least || (edits == least && found.empty())) {
            least = edits;
            found = name;
        }
    }
    return found;
}

std::string what_there_is(const std::string& word, const Names& names) {
    const std::string meant = nearest(word, names);
    return "it has " + join_words({names.begin(), names.end()}) +
           (meant.empty() ? "" : " (did you mean " + meant + "?)");
}

Names classes_of(const Machine& machine) {
    Names names;
    for (const Device& device : machine.devices()) {
        names.insert(device.device_class);
    }
    return names;
}

Names profiles_of(const Machine& machine, const std::string& device_class) {
    Names names;
    for (const Device& device : machine.devices()) {
        if (device.device_class == device_class && !device.partition.empty()) {
            names.insert(device.partition);
        }
    }
    return names;
}

bool has_unknown_profile(const Machine& machine, const DeviceRequest& wanted) {
    return !wanted.partition.empty() &&
           classes_of(machine).contains(wanted.device_class) &&
           !profiles_of(machine, wanted.device_class).contains(wanted.partition);
}

}  // namespace

std::string unknown_name_note(const Machine& machine,
                              const Request& request,
                              const RequestItem& item) {
    if (item.kind != ItemKind::devices) {
        return {};
    }
    const DeviceRequest& wanted = request.devices[item.index];
    const Names classes = classes_of(machine);
    if (classes.empty()) {
        return "; the machine has no devices";
    }
    if (!classes.contains(wanted.device_class)) {
        return "; the machine has no class " + wanted.device_class + ", " +
               what_there_is(wanted.device_class, classes);
    }
    if (!has_unknown_profile(machine, wanted)) {
        return {};
    }
    const Names profiles = profiles_of(machine, wanted.device_class);
    if (profiles.empty()) {
        return "; the machine has no partitions of " + wanted.device_class;
    }
    return "; the machine has no profile " + wanted.partition + ", " +
           what_there_is(wanted.partition, profiles);
}

std::vector<Relaxation> relax_unknown_profiles(
    Prober& prober, const std::vector<RequestItem>& conflict) {
    std::vector<Relaxation> found;
    for (const RequestItem& item : conflict) {
        if (item.kind != ItemKind::devices ||
            !has_unknown_profile(prober.machine(),
                                 prober.request().devices[item.index])) {
            continue;
        }
        Request changed = prober.request();
        changed.devices[item.index].partition.clear();
        if (const auto cost = prober.cost_of(changed)) {
            found.push_back({path_of(prober.request(), item) + ".partition",
                             "drop",
                             "fits without partition " +
                                 prober.request().devices[item.index].partition +
                                 ", with whole devices",
                             *cost});
        }
    }
    return found;
}

}  // namespace topoalloc
