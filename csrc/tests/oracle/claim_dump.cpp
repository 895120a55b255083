// SPDX-License-Identifier: Apache-2.0
#include "claim_instances.hpp"

#include <array>
#include <iomanip>
#include <sstream>
#include <variant>

namespace topoalloc::oracle {
namespace {

constexpr std::array<const char*, 4> kinds{"boolean", "integer", "text", "version"};
constexpr std::array<const char*, 3> effects{"none", "no_schedule", "no_execute"};
constexpr std::array<const char*, 6> operators{
    "in", "not_in", "exists", "does_not_exist", "gt", "lt"};
constexpr std::array<const char*, 4> targets{"none", "name", "all", "selector"};
constexpr std::array<const char*, 3> outcomes{"no", "yes", "error"};

template <class Names, class Enum>
std::string name_of(const char* scope, const Names& names, Enum value) {
    return std::string(scope) + "::" + names[static_cast<std::size_t>(value)];
}

std::string text_of(const std::string& text) {
    std::ostringstream out;
    out << std::quoted(text);
    return out.str();
}

std::string text_of(bool flag) {
    return flag ? "true" : "false";
}

// In whole units where it is so many.
std::string text_of(Nanos amount) {
    constexpr Nanos unit = 1'000'000'000;
    const bool is_whole = amount % unit == 0;
    const auto number = static_cast<std::int64_t>(is_whole ? amount / unit : amount);
    return "Nanos{" + std::to_string(number) + "}" +
           (is_whole ? " * 1'000'000'000" : "");
}

std::string text_of(std::size_t number) {
    return std::to_string(number);
}

std::string text_of(const Scalar& value) {
    if (const bool* flag = std::get_if<bool>(&value)) {
        return "Scalar(" + text_of(*flag) + ")";
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return "Scalar(std::int64_t{" + std::to_string(*number) + "})";
    }
    return "Scalar(std::string(" + text_of(std::get<std::string>(value)) + "))";
}

std::string text_of(const NodeRequirement& requirement);
std::string text_of(const DeviceTaint& taint);
std::string text_of(const DeviceToleration& toleration);
std::string text_of(const CounterDraw& draw);
std::string text_of(const CapacityPolicy& policy);

std::string text_of(SelectorOutcome outcome) {
    return name_of("SelectorOutcome", outcomes, outcome);
}

// Braces are what C++ reads.
template <class Value>
std::string list_of(const std::vector<Value>& values) {
    std::string text;
    for (const Value& value : values) {
        text += (text.empty() ? "" : ", ") + text_of(value);
    }
    return "{" + text + "}";
}

template <class Value>
std::string map_of(const std::map<std::string, Value>& values) {
    std::string text;
    for (const auto& [name, value] : values) {
        text +=
            (text.empty() ? "{" : ", {") + text_of(name) + ", " + text_of(value) + "}";
    }
    return "{" + text + "}";
}

std::string text_of(const NodeRequirement& requirement) {
    return "{" + text_of(requirement.key) + ", " + text_of(requirement.is_field) +
           ", " + name_of("NodeOperator", operators, requirement.op) + ", " +
           list_of(requirement.values) + "}";
}

std::string text_of(const DeviceTaint& taint) {
    return "{" + text_of(taint.key) + ", " + text_of(taint.value) + ", " +
           name_of("DeviceTaintEffect", effects, taint.effect) + "}";
}

template <class Value>
std::string text_of(const std::optional<Value>& value) {
    return value ? text_of(*value) : "std::nullopt";
}

std::string text_of(const DeviceToleration& toleration) {
    return "{" + text_of(toleration.key) + ", " + text_of(toleration.value) + ", " +
           (toleration.effect
                ? name_of("DeviceTaintEffect", effects, *toleration.effect)
                : "std::nullopt") +
           "}";
}

std::string text_of(const CounterDraw& draw) {
    return "{" + text_of(draw.counter_set) + ", " + map_of(draw.counters) + ", " +
           list_of(draw.compatibility_groups) + "}";
}

std::string text_of(const CapacityPolicy& policy) {
    return "CapacityPolicy{" + text_of(policy.default_amount) + ", " +
           text_of(policy.min) + ", " + text_of(policy.max) + ", " +
           text_of(policy.step) + ", " + list_of(policy.valid_values) + "}";
}

class Dumper {
  public:
    std::string dump(const ClaimInstance& instance) {
        out_ << "ClaimWorld world;\nClaimQuestion question;\n";
        dump_node(instance.world);
        for (const DeviceSlice& slice : instance.world.slices) {
            dump_slice(slice);
        }
        for (const TakenDevice& taken : instance.world.taken) {
            dump_taken(taken);
        }
        for (const ResourceClaimSpec& claim : instance.question.claims) {
            dump_claim(claim);
        }
        for (const auto& selector : instance.question.outcomes) {
            out_ << "question.outcomes.push_back(" << list_of(selector) << ");\n";
        }
        return out_.str();
    }

  private:
    void dump_node(const ClaimWorld& world) {
        out_ << "world.node = {" << text_of(world.node.name) << ", "
             << map_of(world.node.labels) << "};\n";
        const ClaimSemantics& has = world.semantics;
        out_ << "world.semantics = {";
        for (const bool feature : {has.taints,
                                   has.counters,
                                   has.consumable_capacity,
                                   has.binding_conditions,
                                   has.lists,
                                   has.compatibility_groups}) {
            out_ << text_of(feature) << ", ";
        }
        out_ << text_of(has.skips_invalid_pools) << "};\n";
    }

    void dump_target(const char* owner, const NodeTarget& target) {
        if (target.kind != NodeTarget::Kind::none) {
            out_ << owner << ".target = {"
                 << name_of("NodeTarget::Kind", targets, target.kind) << ", "
                 << text_of(target.name) << ", " << list_of(target.requirements)
                 << "};\n";
        }
    }

    void dump_slice(const DeviceSlice& slice) {
        out_ << "{\nDeviceSlice& slice = world.slices.emplace_back();\n"
             << "slice.name = " << text_of(slice.name) << ";\n"
             << "slice.driver = " << text_of(slice.driver) << ";\n"
             << "slice.pool = " << text_of(slice.pool) << ";\n"
             << "slice.generation = " << slice.generation << ";\n"
             << "slice.slice_count = " << slice.slice_count << ";\n";
        if (slice.targets_by_device) {
            out_ << "slice.targets_by_device = true;\n";
        }
        dump_target("slice", slice.target);
        for (const auto& [name, counters] : slice.counter_sets) {
            out_ << "slice.counter_sets[" << text_of(name) << "] = " << map_of(counters)
                 << ";\n";
        }
        if (!slice.repeated_counter_sets.empty()) {
            out_ << "slice.repeated_counter_sets = "
                 << list_of(slice.repeated_counter_sets) << ";\n";
        }
        for (const SliceDevice& device : slice.devices) {
            dump_device(device);
        }
        out_ << "}\n";
    }

    void dump_device(const SliceDevice& device) {
        out_ << "{\nSliceDevice& device = slice.devices.emplace_back();\n"
             << "device.name = " << text_of(device.name) << ";\n";
        for (const auto& [name, values] : device.attributes) {
            out_ << "device.attributes[" << text_of(name) << "] = {"
                 << name_of("AttributeKind", kinds, values.kind) << ", "
                 << list_of(values.values) << ", " << text_of(values.is_list) << "};\n";
        }
        for (const auto& [name, capacity] : device.capacities) {
            out_ << "device.capacities[" << text_of(name) << "] = {"
                 << text_of(capacity.value) << ", " << text_of(capacity.policy)
                 << "};\n";
        }
        if (!device.draws.empty()) {
            out_ << "device.draws = " << list_of(device.draws) << ";\n";
        }
        if (!device.taints.empty()) {
            out_ << "device.taints = " << list_of(device.taints) << ";\n";
        }
        dump_flag("device.is_shared", device.is_shared);
        dump_flag("device.has_binding_conditions", device.has_binding_conditions);
        dump_flag("device.binds_to_node", device.binds_to_node);
        dump_target("device", device.target);
        out_ << "}\n";
    }

    void dump_flag(const char* name, bool flag) {
        if (flag) {
            out_ << name << " = true;\n";
        }
    }

    void dump_taken(const TakenDevice& taken) {
        out_ << "world.taken.push_back({{" << text_of(taken.id.driver) << ", "
             << text_of(taken.id.pool) << ", " << text_of(taken.id.device) << "}, ";
        if (taken.consumed) {
            out_ << "std::map<std::string, Nanos>" << map_of(*taken.consumed);
        } else {
            out_ << "std::nullopt";
        }
        out_ << "});\n";
    }

    void dump_claim(const ResourceClaimSpec& claim) {
        out_ << "{\nResourceClaimSpec& claim = question.claims.emplace_back();\n"
             << "claim.name = " << text_of(claim.name) << ";\n";
        for (const ClaimRequest& request : claim.requests) {
            out_ << "{\nClaimRequest& request = claim.requests.emplace_back();\n"
                 << "request.name = " << text_of(request.name) << ";\n";
            dump_flag("request.is_prioritized", request.is_prioritized);
            for (const ClaimDemand& demand : request.demands) {
                dump_demand(demand);
            }
            out_ << "}\n";
        }
        for (const ClaimConstraint& constraint : claim.constraints) {
            out_ << "claim.constraints.push_back({" << text_of(constraint.is_distinct)
                 << ", " << text_of(constraint.attribute) << ", "
                 << list_of(constraint.requests) << "});\n";
        }
        out_ << "}\n";
    }

    void dump_demand(const ClaimDemand& demand) {
        out_ << "{\nClaimDemand& demand = request.demands.emplace_back();\n"
             << "demand.name = " << text_of(demand.name) << ";\n"
             << "demand.selectors = " << list_of(demand.selectors) << ";\n"
             << "demand.count = " << demand.count << ";\n";
        if (demand.mode == AllocationMode::all) {
            out_ << "demand.mode = AllocationMode::all;\n";
        }
        dump_flag("demand.admin_access", demand.admin_access);
        if (!demand.tolerations.empty()) {
            out_ << "demand.tolerations = " << list_of(demand.tolerations) << ";\n";
        }
        if (!demand.capacity_requests.empty()) {
            out_ << "demand.capacity_requests = " << map_of(demand.capacity_requests)
                 << ";\n";
        }
        out_ << "}\n";
    }

    std::ostringstream out_;
};

}  // namespace

std::string dump(const ClaimInstance& instance) {
    return Dumper().dump(instance);
}

}  // namespace topoalloc::oracle
