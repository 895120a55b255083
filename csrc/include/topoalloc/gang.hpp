// SPDX-License-Identifier: Apache-2.0
//
// Gang: pods that start together or not at all, as data. docs/cluster-objective.md,
// section 2, is its meaning. A Gang knows no Cluster; validate() checks what can be
// checked without one.
#pragma once

#include "topoalloc/request.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace topoalloc {

enum class TaintEffect : std::uint8_t { no_schedule, no_execute };

struct Taint {
    std::string key;
    std::string value;
    TaintEffect effect = TaintEffect::no_schedule;
    [[nodiscard]] bool operator==(const Taint&) const = default;
};

/// Tolerates every taint of its key, value and effect; what is not given is any.
struct Toleration {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::optional<TaintEffect> effect;
    [[nodiscard]] bool operator==(const Toleration&) const = default;
};
[[nodiscard]] bool tolerates(const Toleration& toleration, const Taint& taint);

/// One Domain of the level holds all the pods.
struct Within {
    std::string level;
    [[nodiscard]] bool operator==(const Within&) const = default;
};
/// At most so many pods in a Domain of the level.
struct Spread {
    std::string level;
    std::uint32_t at_most = 1;
    [[nodiscard]] bool operator==(const Spread&) const = default;
};
/// The Domains of the level that are used hold equally many pods, give or take one.
struct Balanced {
    std::string level;
    [[nodiscard]] bool operator==(const Balanced&) const = default;
};
/// The j-th pod on every node holds the same indices of devices of the class. Required
/// only, and at most once for a class.
struct Rails {
    std::string device_class;
    [[nodiscard]] bool operator==(const Rails&) const = default;
};
using GangConstraint = std::variant<Within, Spread, Balanced, Rails>;

/// Every `size` pods lie in one Domain of the level.
struct Slice {
    std::string level;
    std::uint32_t size = 1;
    [[nodiscard]] bool operator==(const Slice&) const = default;
};

struct PodSet {
    std::string name;
    std::shared_ptr<const Request> request;
    std::uint32_t count = 0;      ///< at least 1
    std::uint32_t min_count = 0;  ///< at most count
    std::vector<Slice> slices;    ///< coarse to fine, at most 3
    std::vector<GangConstraint> require;
    std::vector<GangConstraint> prefer;  ///< at most 8
    /// Conditions on labels of nodes; equal, not_equal and one_of, of texts.
    std::vector<Condition> where;
    std::vector<Toleration> tolerations;
};

/// PodSets, and Groups declared before it, that share a Domain.
struct Group {
    std::string name;
    std::vector<std::string> members;
    std::vector<Within> require;
    std::vector<Within> prefer;
};

struct Gang {
    std::string name;
    std::vector<PodSet> podsets;  ///< 1 to 16
    std::vector<Group> groups;    ///< at most 16
    std::int32_t priority = 0;
    std::string queue;

    /// @throws InvalidRequestError "name: what it is, want what"
    void validate() const;
};

/// Classes of the Rails of a PodSet, in the order of `require`.
[[nodiscard]] std::vector<std::string> rail_classes(const PodSet& podset);

/// Indices of devices of one class (Device::index), ascending.
using RailSet = std::vector<std::uint32_t>;
/// What the j-th pod of a PodSet on a node holds: a set for each of rail_classes().
using RailList = std::vector<std::vector<RailSet>>;
/// By PodSet; empty for one without Rails.
using GangRails = std::vector<RailList>;

/// Terms of docs/cluster-objective.md section 3 but the last; vectors as long as the
/// Gang's PodSets and Groups (`unmet`) and the Cluster's levels (`domains`, `opened`).
struct GangCost {
    std::int64_t short_pods = 0;
    std::vector<std::int64_t> unmet;
    std::vector<std::int64_t> domains;
    std::int64_t nodes = 0;
    std::int64_t waste = 0;
    std::vector<std::int64_t> opened;
    [[nodiscard]] auto operator<=>(const GangCost&) const = default;
};

}  // namespace topoalloc
