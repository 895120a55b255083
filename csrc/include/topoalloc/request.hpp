// SPDX-License-Identifier: Apache-2.0
//
// Request: what one pod (container, rank) needs, as data. docs/objective.md, section 3,
// is its meaning. A Request knows no Machine; validate() checks what can be checked
// without one.
#pragma once

#include "topoalloc/machine.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace topoalloc {

enum class ConditionOp : std::uint8_t { equal, not_equal, at_least, at_most, one_of };

struct Condition {
    std::string attribute;
    ConditionOp op = ConditionOp::equal;
    /// One, or several for one_of; int for at_least, at_most.
    std::vector<Scalar> values;
    [[nodiscard]] bool operator==(const Condition&) const = default;
};

struct DeviceRequest {
    std::string device_class;
    std::uint32_t count = 0;  ///< at least 1
    std::vector<Condition> where;
    Amounts share;                                     ///< not with partition
    std::string partition;                             ///< profile, or empty
    std::optional<std::vector<std::string>> eligible;  ///< device names, as find_device
    [[nodiscard]] bool operator==(const DeviceRequest&) const = default;
};

enum class AlignLevel : std::uint8_t { l3, numa, package };
enum class LinkMode : std::uint8_t { clique, connected };

/// `of` names "pus", "memory" or classes; empty: all that is asked for.
struct Align {
    AlignLevel level = AlignLevel::numa;
    std::vector<std::string> of;
    [[nodiscard]] bool operator==(const Align&) const = default;
};
/// `ratio_a : ratio_b`, one of them 1.
struct Pair {
    std::string a, b;
    Level within = Level::machine;
    std::uint32_t ratio_a = 1, ratio_b = 1;
    [[nodiscard]] bool operator==(const Pair&) const = default;
};
struct Link {
    std::string device_class;
    LinkMode mode = LinkMode::clique;
    std::uint64_t min_mb_s = 1;
    [[nodiscard]] bool operator==(const Link&) const = default;
};
struct Same {
    std::string attribute;
    std::vector<std::string> of;
    [[nodiscard]] bool operator==(const Same&) const = default;
};
struct Distinct {
    std::string attribute;
    std::vector<std::string> of;
    [[nodiscard]] bool operator==(const Distinct&) const = default;
};
struct Near {
    std::vector<std::string> devices;  ///< names, as find_device
    Level within = Level::numa;
    [[nodiscard]] bool operator==(const Near&) const = default;
};
using Constraint = std::variant<Align, Pair, Link, Same, Distinct, Near>;

struct Request {
    std::uint32_t cores = 0;  ///< not with pus
    std::uint32_t pus = 0;
    bool whole_cores = false;
    std::uint64_t memory = 0;  ///< bytes of base pages
    MemoryKind kind = MemoryKind::dram;
    std::map<std::uint64_t, std::uint64_t> hugepages;  ///< page size -> bytes
    std::vector<DeviceRequest> devices;  ///< by class, ascending, no two alike
    std::vector<std::string> exclude;    ///< device names
    std::vector<std::string> keep;       ///< "pus" or classes
    std::vector<Constraint> require;
    std::vector<Constraint> prefer;  ///< at most 8

    [[nodiscard]] bool operator==(const Request&) const = default;
    /// @throws InvalidRequestError "name: what it is, want what"
    void validate() const;
};

}  // namespace topoalloc
