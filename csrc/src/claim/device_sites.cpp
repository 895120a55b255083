// SPDX-License-Identifier: Apache-2.0
#include "claim/device_sites.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <variant>

namespace topoalloc {
namespace {

constexpr const char* numa_name = "resource.kubernetes.io/numaNode";
constexpr const char* root_name = "resource.kubernetes.io/pcieRoot";
constexpr const char* address_name = "resource.kubernetes.io/pciBusID";

// Levels of docs/objective.md.
constexpr std::int64_t self = 0, root = 3, numa = 4, machine = 6;

using Texts = std::vector<std::string>;

// Numbers the texts of each device.
class Numbering {
  public:
    explicit Numbering(std::string name) { out_.name = std::move(name); }
    void add(const Texts& texts) {
        auto& values = out_.values.emplace_back();
        if (texts.empty()) {
            return;
        }
        values.emplace();
        for (const std::string& text : texts) {
            values->push_back(
                numbers_.try_emplace(text, static_cast<std::uint32_t>(numbers_.size()))
                    .first->second);
        }
        std::ranges::sort(*values);
        const auto repeated = std::ranges::unique(*values);
        values->erase(repeated.begin(), repeated.end());
    }
    ProblemAttribute take() {
        out_.value_count = static_cast<std::uint32_t>(numbers_.size());
        return std::move(out_);
    }

  private:
    ProblemAttribute out_;
    std::map<std::string, std::uint32_t> numbers_;
};

Texts integers_of(const DeviceValues* values) {
    Texts out;
    if (values != nullptr && values->kind == AttributeKind::integer) {
        for (const Scalar& value : values->values) {
            out.push_back(std::to_string(std::get<std::int64_t>(value)));
        }
    }
    return out;
}

Texts texts_of(const DeviceValues* values) {
    Texts out;
    if (values != nullptr && values->kind == AttributeKind::text) {
        for (const Scalar& value : values->values) {
            out.push_back(std::get<std::string>(value));
        }
    }
    return out;
}

// Without the function; nothing of a list, or of what has none.
Texts slot_of(const DeviceValues* values) {
    const Texts addresses = texts_of(values);
    if (addresses.empty() || values->is_list) {
        return {};
    }
    const std::size_t point = addresses.front().rfind('.');
    return point == std::string::npos ? Texts{}
                                      : Texts{addresses.front().substr(0, point)};
}

bool meet(const ProblemAttribute& of, std::uint32_t a, std::uint32_t b) {
    const auto& left = of.values[a];
    const auto& right = of.values[b];
    return left && right && std::ranges::any_of(*left, [&](std::uint32_t value) {
               return std::ranges::binary_search(*right, value);
           });
}

}  // namespace

const std::array<std::string, 3>& site_attributes() {
    static const std::array<std::string, 3> names{numa_name, root_name, address_name};
    return names;
}

DeviceSites find_sites(const NodeDevices& node) {
    Numbering own_numa("own NUMANode");
    Numbering numas(numa_name);
    Numbering roots(root_name);
    Numbering slots(address_name);
    for (const NodeDevice& device : node.devices) {
        const Texts near = integers_of(find_attribute(device, numa_name));
        own_numa.add(near.empty() ? near : Texts{near.front()});
        numas.add(near);
        roots.add(texts_of(find_attribute(device, root_name)));
        slots.add(slot_of(find_attribute(device, address_name)));
    }
    return {own_numa.take(), numas.take(), roots.take(), slots.take()};
}

std::int64_t level_of(const DeviceSites& sites, std::uint32_t a, std::uint32_t b) {
    if (meet(sites.slot, a, b)) {
        return self;
    }
    if (meet(sites.root, a, b)) {
        return root;
    }
    return meet(sites.numa, a, b) ? numa : machine;
}

}  // namespace topoalloc
