// SPDX-License-Identifier: Apache-2.0
//
// What an answer consists of: Status, Cost, Placement, Verdict. Data only.
#pragma once

#include "topoalloc/request.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

/// `optimal` and `infeasible` are proofs; the others: the step limit came first.
enum class Status : std::uint8_t { optimal, feasible, infeasible, unknown };

/// Why, in one word; a test holds docs/reason_codes.md to this list.
enum class Reason : std::uint8_t {
    placed,      ///< optimal
    step_limit,  ///< feasible or unknown
    not_enough_cores,
    not_enough_pus,
    not_enough_memory,
    not_enough_hugepages,
    not_enough_devices,   ///< of one class, after its conditions
    align_unsatisfiable,  ///< one constraint alone, on top of the amounts
    pair_unsatisfiable,
    link_unsatisfiable,
    same_unsatisfiable,
    distinct_unsatisfiable,
    near_unsatisfiable,
    requirements_conflict,  ///< several together
};
/// "NotEnoughCores", and so on.
[[nodiscard]] std::string_view reason_name(Reason reason);

/// Terms of docs/objective.md section 4 in order, as one vector of integers.
struct Cost {
    enum Term : std::uint8_t {
        unmet_count,
        unmet_vector,
        packages,
        localities,
        distance,
        pair_levels,
        missing_link,
        remote_devices,
        l3s,
        split_cores,
        opened_packages,
        opened_localities,
        opened_switches,
        opened_devices,
        opened_l3s,
        term_count
    };
    std::array<std::int64_t, term_count> terms{};

    [[nodiscard]] std::int64_t& operator[](Term term) { return terms[term]; }
    [[nodiscard]] std::int64_t operator[](Term term) const { return terms[term]; }
    [[nodiscard]] auto operator<=>(const Cost&) const = default;
};
/// "unmet_count", and so on, as in docs/objective.md.
[[nodiscard]] std::string_view term_name(Cost::Term term);

/// Bytes given of one NUMANode. Indices into Machine::numa_nodes() and page_sizes().
struct MemoryGrant {
    std::uint32_t numa_node = 0;
    std::uint32_t page_size_index = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] bool operator==(const MemoryGrant&) const = default;
};

/// A device given: whole, as a partition (the device is the part itself), or a share.
struct DeviceGrant {
    std::uint32_t device = 0;  ///< index into Machine::devices()
    Amounts share;             ///< empty unless a share was asked for
    [[nodiscard]] bool operator==(const DeviceGrant&) const = default;
};

/// The matching of one Pair of the Request: (a, b) device indices.
struct MadePairs {
    std::uint32_t constraint = 0;  ///< index in require, then prefer
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
    [[nodiscard]] bool operator==(const MadePairs&) const = default;
};

struct Placement {
    Bitmap pus;                        ///< logical
    Bitmap localities;                 ///< T
    std::vector<MemoryGrant> memory;   ///< by NUMANode, then page size; no zero grants
    std::vector<DeviceGrant> devices;  ///< ascending by device
    std::vector<MadePairs> pairs;
    Cost cost;
    [[nodiscard]] bool operator==(const Placement&) const = default;
};

struct SearchLimits {
    std::uint64_t max_steps = 2'000'000;
};

struct Answer {
    Status status = Status::infeasible;
    Reason reason = Reason::placed;
    std::uint64_t steps = 0;
    Placement placement;  ///< of meaning for optimal and feasible
};

}  // namespace topoalloc
