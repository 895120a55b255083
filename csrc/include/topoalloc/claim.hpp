// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes' ResourceClaims without their JSON: slices of devices, what is taken of
// them, claims, and which devices they get. docs/claim-objective.md is the meaning.
#pragma once

#include "topoalloc/machine_spec.hpp"
#include "topoalloc/verdict.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

/// An amount of resource.Quantity, in billionths: exact over the whole of its range.
__extension__ using Nanos = __int128;

enum class AttributeKind : std::uint8_t { boolean, integer, text, version };

/// A value, or a list of them; a version is a text.
struct DeviceValues {
    AttributeKind kind = AttributeKind::text;
    std::vector<Scalar> values;
    bool is_list = false;
    [[nodiscard]] bool operator==(const DeviceValues&) const = default;
};

/// How the amount that a demand requests becomes the amount that it consumes. A range
/// (`min` given) or `valid_values`, not both.
struct CapacityPolicy {
    std::optional<Nanos> default_amount, min, max, step;
    std::vector<Nanos> valid_values;  ///< ascending
};

struct DeviceCapacity {
    Nanos value = 0;
    std::optional<CapacityPolicy> policy;
};

struct CounterDraw {
    std::string counter_set;
    std::map<std::string, Nanos> counters;
    std::vector<std::string> compatibility_groups;
};

enum class DeviceTaintEffect : std::uint8_t { none, no_schedule, no_execute };

struct DeviceTaint {
    std::string key, value;
    DeviceTaintEffect effect = DeviceTaintEffect::no_schedule;
};

/// Tolerates a taint of its key (any without one), value (any without one: `Exists`)
/// and effect (any without one).
struct DeviceToleration {
    std::optional<std::string> key, value;
    std::optional<DeviceTaintEffect> effect;
};

enum class NodeOperator : std::uint8_t { in, not_in, exists, does_not_exist, gt, lt };

struct NodeRequirement {
    std::string key;  ///< of a label; "metadata.name" where `is_field`
    bool is_field = false;
    NodeOperator op = NodeOperator::in;
    std::vector<std::string> values;
};

/// The nodes that a slice or a device is for: one, all, those that meet every
/// requirement, or none that is known of here.
struct NodeTarget {
    enum class Kind : std::uint8_t { none, name, all, selector };
    Kind kind = Kind::none;
    std::string name;
    std::vector<NodeRequirement> requirements;
};

/// An attribute or a capacity whose name has no domain is of the driver's.
struct SliceDevice {
    std::string name;
    std::map<std::string, DeviceValues> attributes;
    std::map<std::string, DeviceCapacity> capacities;
    bool is_shared = false;  ///< allowMultipleAllocations
    std::vector<CounterDraw> draws;
    std::vector<DeviceTaint> taints;
    bool has_binding_conditions = false;
    bool binds_to_node = false;
    NodeTarget target;  ///< where the slice selects nodes by device
};

struct DeviceSlice {
    std::string name, driver, pool;
    std::int64_t generation = 0;
    std::int64_t slice_count = 1;  ///< of the pool, of this generation
    NodeTarget target;
    bool targets_by_device = false;
    std::vector<SliceDevice> devices;
    std::map<std::string, std::map<std::string, Nanos>> counter_sets;
    /// A counter set that is given twice makes the pool invalid.
    std::vector<std::string> repeated_counter_sets;
};

struct DeviceId {
    std::string driver, pool, device;
    [[nodiscard]] auto operator<=>(const DeviceId&) const = default;
};

/// What status.allocation of other claims holds; adminAccess left out.
struct TakenDevice {
    DeviceId id;
    /// Of a share: what it consumes, by name.
    std::optional<std::map<std::string, Nanos>> consumed;
};

enum class AllocationMode : std::uint8_t { exact_count, all };

/// What a selector says of a device.
enum class SelectorOutcome : std::uint8_t { no, yes, error };

/// `exactly` of a request, or one entry of `firstAvailable`.
struct ClaimDemand {
    std::string name;                    ///< of the entry; "" for `exactly`
    std::vector<std::size_t> selectors;  ///< into ClaimQuestion::outcomes; class first
    AllocationMode mode = AllocationMode::exact_count;
    std::int64_t count = 1;
    bool admin_access = false;
    std::vector<DeviceToleration> tolerations;
    /// By name as the claim gives it: without a domain it is of the device's driver.
    std::map<std::string, Nanos> capacity_requests;
};

struct ClaimRequest {
    std::string name;
    std::vector<ClaimDemand> demands;  ///< one, or those of `firstAvailable`
    bool is_prioritized = false;
};

struct ClaimConstraint {
    bool is_distinct = false;           ///< distinctAttribute; else matchAttribute
    std::string attribute;              ///< with domain
    std::vector<std::string> requests;  ///< "r" or "r/entry"; empty: all
};

struct ResourceClaimSpec {
    std::string name;  ///< "namespace/name", for messages
    std::vector<ClaimRequest> requests;
    std::vector<ClaimConstraint> constraints;
};

/// The features of a Kubernetes version, those that are options as they are set.
struct ClaimSemantics {
    bool taints = true;
    bool counters = true;
    bool consumable_capacity = true;
    bool binding_conditions = true;
    bool lists = true;
    bool compatibility_groups = true;
    /// first_fit goes past invalid pools; one is an error where nothing is found. Since
    /// 1.35: before, the search ends at the first that it comes to.
    bool skips_invalid_pools = true;
};

struct ClaimNode {
    std::string name;
    std::map<std::string, std::string> labels;
};

/// Everything that an answer depends on but the claims.
struct ClaimWorld {
    std::vector<DeviceSlice> slices;  ///< of the whole cluster, names different
    std::vector<TakenDevice> taken;
    ClaimNode node;
    ClaimSemantics semantics;
};

/// One question. Selectors speak of devices by position.
struct ClaimQuestion {
    std::vector<ResourceClaimSpec> claims;
    /// By selector, then position.
    std::vector<std::vector<SelectorOutcome>> outcomes;
};

struct ChosenDevice {
    std::size_t position = 0;
    /// Of a shared device, every capacity: what it consumes, by name with domain.
    std::map<std::string, Nanos> consumed;
    [[nodiscard]] bool operator==(const ChosenDevice&) const = default;
};

struct ChosenRequest {
    std::size_t demand = 0;             ///< entry of `firstAvailable`
    std::vector<ChosenDevice> devices;  ///< ascending
    [[nodiscard]] bool operator==(const ChosenRequest&) const = default;
};

/// By claim, then request.
using ClaimAllocation = std::vector<std::vector<ChosenRequest>>;

/// An error of docs/claim-objective.md, section 5.
struct ClaimFault {
    enum class Kind : std::uint8_t {
        too_many_devices,    ///< claim
        capacity_twice,      ///< claim, request, demand, position
        all_on_broken_pool,  ///< claim, request, demand, pool
        selector_failed,     ///< claim, request, demand, position
        invalid_pool,        ///< pool
    };
    Kind kind = Kind::invalid_pool;
    std::size_t claim = 0, request = 0, demand = 0;
    std::size_t position = 0;
    std::string driver, pool, detail;
    [[nodiscard]] bool operator==(const ClaimFault&) const = default;
};

/// Of `optimal`: docs/claim-objective.md, section 4, terms 1 to 6.
struct ClaimCost {
    std::vector<std::size_t> entries;  ///< by request of all claims
    std::int64_t localities = 0;
    std::int64_t levels = 0;
    std::int64_t opened_localities = 0;
    std::int64_t opened_roots = 0;
    std::int64_t broken = 0;
    std::int64_t shares = 0;
    [[nodiscard]] auto operator<=>(const ClaimCost&) const = default;
};

struct ClaimAnswer {
    /// Of meaning without a fault. `optimal` and `feasible` come with an allocation.
    Status status = Status::infeasible;
    std::uint64_t steps = 0;
    ClaimAllocation allocation;
    std::optional<ClaimCost> cost;  ///< of best_fit, with an allocation
    std::optional<ClaimFault> fault;
};

/// The first allocation in the order of the definition; `optimal` when it is found.
[[nodiscard]] ClaimAnswer first_fit(const ClaimWorld& world,
                                    const ClaimQuestion& question,
                                    SearchLimits limits);

/// The allocation of least cost; `feasible` when the limit came before the proof.
[[nodiscard]] ClaimAnswer best_fit(const ClaimWorld& world,
                                   const ClaimQuestion& question,
                                   SearchLimits limits);

}  // namespace topoalloc
