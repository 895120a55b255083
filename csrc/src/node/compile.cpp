// SPDX-License-Identifier: Apache-2.0
#include "node/compiled_request.hpp"

#include "base/bits.hpp"
#include "node/tree_plan.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace topoalloc {
namespace {

const Device& root_of(const Machine& machine, std::uint32_t device) {
    return machine.devices()[machine.devices()[device].root];
}

// An attribute of a device, else of its root; null when neither has it.
const AttributeValue* find_attribute(const Machine& machine,
                                     std::uint32_t device,
                                     const std::string& name) {
    for (const Device* d : {&machine.devices()[device], &root_of(machine, device)}) {
        if (const auto it = d->attributes.find(name); it != d->attributes.end()) {
            return &it->second;
        }
    }
    return nullptr;
}

// As find_attribute, and capacities of the same name after it.
std::optional<std::vector<Scalar>> condition_values(const Machine& machine,
                                                    std::uint32_t device,
                                                    const std::string& name) {
    for (const Device* d : {&machine.devices()[device], &root_of(machine, device)}) {
        if (const auto it = d->attributes.find(name); it != d->attributes.end()) {
            return it->second.values;
        }
        if (const auto it = d->capacities.find(name); it != d->capacities.end()) {
            return std::vector{Scalar(static_cast<std::int64_t>(it->second))};
        }
    }
    return std::nullopt;
}

bool value_meets(const Scalar& value, const Condition& condition) {
    switch (condition.op) {
        case ConditionOp::equal:
        case ConditionOp::one_of:
            return std::ranges::find(condition.values, value) != condition.values.end();
        case ConditionOp::at_least:
        case ConditionOp::at_most: {
            const auto* have = std::get_if<std::int64_t>(&value);
            const auto* want = std::get_if<std::int64_t>(&condition.values.front());
            if (have == nullptr || want == nullptr) {
                return false;
            }
            return condition.op == ConditionOp::at_least ? *have >= *want
                                                         : *have <= *want;
        }
        case ConditionOp::not_equal:
            break;
    }
    return false;
}

bool device_meets(const Machine& machine,
                  std::uint32_t device,
                  const Condition& condition) {
    const auto values = condition_values(machine, device, condition.attribute);
    if (!values) {
        return false;
    }
    if (condition.op == ConditionOp::not_equal) {
        return std::ranges::find(*values, condition.values.front()) == values->end();
    }
    return std::ranges::any_of(
        *values, [&](const Scalar& value) { return value_meets(value, condition); });
}

std::uint32_t resolve_device(const Machine& machine,
                             const std::string& key,
                             const std::string& where) {
    const std::uint32_t device = machine.find_device(key);
    if (device == no_index) {
        throw InvalidRequestError(where + ": '" + key +
                                  "', want a device of the Machine");
    }
    return device;
}

class Compiler {
  public:
    Compiler(const Machine& machine, CompiledRequest& out)
        : machine_(machine), out_(out) {}

    void run() {
        compile_memory();
        const Request& request = out_.request;
        for (const std::string& name : request.exclude) {
            excluded_.set(resolve_device(machine_, name, "exclude"));
        }
        for (const DeviceRequest& wanted : request.devices) {
            out_.needs.push_back(compile_need(wanted));
        }
        for (const Constraint& constraint : request.require) {
            out_.require.push_back(compile_constraint(constraint));
        }
        for (const Constraint& constraint : request.prefer) {
            out_.prefer.push_back(compile_constraint(constraint));
        }
        for (const auto* list : {&out_.require, &out_.prefer}) {
            out_.has_pairs =
                out_.has_pairs ||
                std::ranges::any_of(*list, [](const CompiledConstraint& constraint) {
                    return std::holds_alternative<CompiledPair>(constraint);
                });
        }
    }

  private:
    void compile_memory() {
        const auto& sizes = machine_.page_sizes();
        out_.bytes.assign(sizes.size(), 0);
        out_.bytes[0] = out_.request.memory;
        out_.wants_bytes = out_.request.memory != 0;
        for (const auto& [size, bytes] : out_.request.hugepages) {
            if (bytes == 0) {
                continue;
            }
            out_.wants_bytes = true;
            const auto it = std::ranges::find(sizes, size);
            if (it == sizes.end()) {
                out_.lacks_page_size = true;
            } else {
                out_.bytes[static_cast<std::size_t>(it - sizes.begin())] = bytes;
            }
        }
    }

    [[nodiscard]] DeviceNeed compile_need(const DeviceRequest& wanted) const {
        DeviceNeed need;
        need.count = wanted.count;
        need.share = wanted.share;
        need.counts_links =
            wanted.partition.empty() && machine_.class_has_links(wanted.device_class);
        if (!wanted.partition.empty()) {
            need.mode = TakeMode::part;
        } else if (!wanted.share.empty()) {
            need.mode = TakeMode::share;
        }
        std::optional<Bitmap> eligible;
        if (wanted.eligible) {
            eligible.emplace();
            for (const std::string& name : *wanted.eligible) {
                eligible->set(resolve_device(
                    machine_, name, "devices." + wanted.device_class + ".eligible"));
            }
        }
        for (std::uint32_t d = 0; d < machine_.devices().size(); ++d) {
            if ((!eligible || eligible->test(d)) &&
                is_candidate(d, wanted, need.mode)) {
                add_candidate(need, d);
            }
        }
        return need;
    }

    [[nodiscard]] bool is_candidate(std::uint32_t index,
                                    const DeviceRequest& wanted,
                                    TakeMode mode) const {
        const Device& device = machine_.devices()[index];
        const bool is_part = device.root != index;
        if (device.device_class != wanted.device_class || excluded_.test(index) ||
            excluded_.test(device.root) || is_part != (mode == TakeMode::part) ||
            (is_part && device.partition != wanted.partition)) {
            return false;
        }
        return std::ranges::all_of(wanted.where, [&](const Condition& condition) {
            return device_meets(machine_, index, condition);
        });
    }

    void add_candidate(DeviceNeed& need, std::uint32_t index) const {
        const Device& device = machine_.devices()[index];
        if (need.mode == TakeMode::share) {
            std::vector<std::uint64_t> draws(device.counter_names.size(), 0);
            for (const auto& [name, amount] : need.share) {
                const auto it = std::ranges::find(device.counter_names, name);
                if (it == device.counter_names.end()) {
                    return;
                }
                draws[static_cast<std::size_t>(it - device.counter_names.begin())] =
                    amount;
            }
            need.share_draws.push_back(std::move(draws));
        }
        need.candidates.push_back(index);
    }

    CompiledConstraint compile_constraint(const Constraint& constraint) {
        return std::visit([this](const auto& c) { return compile_one(c); }, constraint);
    }

    [[nodiscard]] CompiledConstraint compile_one(const Align& align) const {
        Scope asked;
        asked.pus = out_.wants_pus();
        asked.memory = out_.wants_bytes;
        for (std::size_t i = 0; i < out_.needs.size(); ++i) {
            asked.needs |= bit(i);
        }
        if (align.of.empty()) {
            return CompiledAlign{align.level, asked};
        }
        Scope scope;
        for (const std::string& word : align.of) {
            scope.pus = scope.pus || (word == "pus" && asked.pus);
            scope.memory = scope.memory || (word == "memory" && asked.memory);
            if (const std::uint32_t need = out_.need_of(word); need != no_index) {
                scope.needs |= bit(need);
            }
        }
        if (!scope.pus && !scope.memory && scope.needs == 0) {
            return std::monostate{};
        }
        return CompiledAlign{align.level, scope};
    }

    [[nodiscard]] CompiledConstraint compile_one(const Pair& pair) const {
        const std::uint32_t a = out_.need_of(pair.a);
        const std::uint32_t b = out_.need_of(pair.b);
        if (a == no_index || b == no_index) {
            return std::monostate{};
        }
        return CompiledPair{a, b, pair.within, pair.ratio_a, pair.ratio_b};
    }

    [[nodiscard]] CompiledConstraint compile_one(const Link& link) const {
        const std::uint32_t need = out_.need_of(link.device_class);
        if (need == no_index) {
            return std::monostate{};
        }
        return CompiledLink{need, link.mode, link.min_mb_s};
    }

    [[nodiscard]] CompiledConstraint compile_one(const Same& same) const {
        return compile_attribute(same.attribute, same.of, true);
    }
    [[nodiscard]] CompiledConstraint compile_one(const Distinct& distinct) const {
        return compile_attribute(distinct.attribute, distinct.of, false);
    }

    [[nodiscard]] CompiledConstraint compile_attribute(
        const std::string& name, const std::vector<std::string>& of, bool same) const {
        CompiledAttribute out;
        out.same = same;
        for (const std::string& word : of) {
            if (const std::uint32_t need = out_.need_of(word); need != no_index) {
                out.needs |= bit(need);
            }
        }
        if (out.needs == 0) {
            return std::monostate{};
        }
        out.values.resize(machine_.devices().size());
        std::map<Scalar, std::uint32_t> numbers;
        for (std::size_t i = 0; i < out_.needs.size(); ++i) {
            if (has_bit(out.needs, i)) {
                number_values(name, out_.needs[i], numbers, out);
            }
        }
        out.value_count = static_cast<std::uint32_t>(numbers.size());
        return out;
    }

    void number_values(const std::string& name,
                       const DeviceNeed& need,
                       std::map<Scalar, std::uint32_t>& numbers,
                       CompiledAttribute& out) const {
        for (const std::uint32_t device : need.candidates) {
            const AttributeValue* attribute = find_attribute(machine_, device, name);
            if (attribute == nullptr) {
                continue;
            }
            std::set<std::uint32_t> found;
            for (const Scalar& value : attribute->values) {
                const auto next = static_cast<std::uint32_t>(numbers.size());
                found.insert(numbers.try_emplace(value, next).first->second);
            }
            out.present.set(device);
            out.values[device].assign(found.begin(), found.end());
        }
    }

    [[nodiscard]] CompiledConstraint compile_one(const Near& near) const {
        CompiledNear out;
        for (const std::string& name : near.devices) {
            out.anchors.push_back(resolve_device(machine_, name, "Near.devices"));
        }
        for (std::uint32_t d = 0; d < machine_.devices().size(); ++d) {
            if (std::ranges::all_of(out.anchors, [&](std::uint32_t anchor) {
                    return is_near(d, anchor, near.within);
                })) {
                out.devices.set(d);
            }
        }
        const Level within = std::max(near.within, Level::numa);
        fill_near_places(out, within);
        return out;
    }

    [[nodiscard]] bool is_near(std::uint32_t device,
                               std::uint32_t anchor,
                               Level within) const {
        const auto& devices = machine_.devices();
        // Neither the anchor itself nor what overlaps it may be chosen.
        if (device == anchor || devices[device].root == anchor ||
            devices[anchor].root == device) {
            return false;
        }
        return machine_.level(device, anchor) <= within;
    }

    void fill_near_places(CompiledNear& out, Level within) const {
        for (std::uint32_t p = 0; p < machine_.pus().size(); ++p) {
            const Pu& pu = machine_.pus()[p];
            if (std::ranges::all_of(out.anchors, [&](std::uint32_t anchor) {
                    const Device& device = machine_.devices()[anchor];
                    if (within == Level::numa) {
                        return device.localities.test(pu.locality);
                    }
                    return within == Level::machine ||
                           machine_.localities()[pu.locality].packages.intersects(
                               device.packages);
                })) {
                out.pus.set(p);
            }
        }
        for (std::uint32_t n = 0; n < machine_.numa_nodes().size(); ++n) {
            const NumaNode& node = machine_.numa_nodes()[n];
            if (std::ranges::all_of(out.anchors, [&](std::uint32_t anchor) {
                    return node_is_near(node, machine_.devices()[anchor], within);
                })) {
                out.numa_nodes.set(n);
            }
        }
    }

    [[nodiscard]] bool node_is_near(const NumaNode& node,
                                    const Device& anchor,
                                    Level within) const {
        if (within == Level::machine || node.localities.intersects(anchor.localities)) {
            return true;
        }
        if (within == Level::numa) {
            return false;
        }
        bool meets = false;
        node.localities.for_each([&](std::size_t locality) {
            meets = meets || machine_.localities()[locality].packages.intersects(
                                 anchor.packages);
        });
        return meets;
    }

    const Machine& machine_;
    CompiledRequest& out_;
    Bitmap excluded_;
};

}  // namespace

std::uint32_t CompiledRequest::need_of(std::string_view device_class) const {
    for (std::size_t i = 0; i < needs.size(); ++i) {
        if (request.devices[i].device_class == device_class) {
            return static_cast<std::uint32_t>(i);
        }
    }
    return no_index;
}

const Request& request_of(const CompiledRequest& compiled) {
    return compiled.request;
}

const Machine& machine_of(const CompiledRequest& compiled) {
    return *compiled.machine;
}

std::shared_ptr<const CompiledRequest> compile(std::shared_ptr<const Machine> machine,
                                               const Request& request) {
    return compile_to_change(std::move(machine), request);
}

std::shared_ptr<CompiledRequest> compile_to_change(
    std::shared_ptr<const Machine> machine, const Request& request) {
    request.validate();
    if (machine->localities().size() > 64) {
        throw InvalidRequestError(
            "machine: " + std::to_string(machine->localities().size()) +
            " localities, want at most 64");
    }
    auto out = std::make_shared<CompiledRequest>();
    out->machine = std::move(machine);
    out->request = request;
    Compiler(*out->machine, *out).run();
    out->tree = std::make_shared<LazyTreePlan>();
    return out;
}

}  // namespace topoalloc
