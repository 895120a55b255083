// SPDX-License-Identifier: Apache-2.0
//
// The oracle's own reading of a MachineSpec: docs/objective.md, section 1, derived
// again in the plainest way. It shares data structs with the core and no code; sets are
// 64-bit words, so a Machine of more than 64 PUs, localities, devices or bridges is
// refused.
#pragma once

#include "topoalloc/machine_spec.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc::oracle {

/// A set of logical indices below 64.
using Set = std::uint64_t;

[[nodiscard]] constexpr Set set_of(std::size_t index) {
    return Set{1} << index;
}
[[nodiscard]] constexpr bool has(Set set, std::size_t index) {
    return ((set >> index) & 1U) != 0;
}
[[nodiscard]] int size_of(Set set);
/// The members, ascending.
[[nodiscard]] std::vector<std::uint32_t> members(Set set);
/// Term 10: the set that holds the least index not in both is less.
[[nodiscard]] bool is_less(Set a, Set b);

struct OracleNuma {
    std::uint32_t os_index = 0;
    MemoryKind kind = MemoryKind::dram;
    Set localities = 0;                            ///< that it is attached to
    std::map<std::uint64_t, std::uint64_t> bytes;  ///< by page size, 0 for base pages
};

struct OracleDevice {
    std::uint32_t spec_index = 0;
    std::string name;        ///< "gpu0", "gpu0/1"
    std::uint32_t root = 0;  ///< logical index; its own for a root
    Set parts = 0;           ///< of a root
    Set localities = 0;      ///< 0: unknown
    Set packages = 0;        ///< that its localities meet
    std::vector<std::uint32_t>
        path;  ///< bridges from the nearest up to the host bridge
    std::uint32_t switch_bridge = no_index;
    Amounts counters;  ///< totals, of a root
};

struct OracleMachine {
    MachineSpec spec;
    std::vector<std::uint32_t> pu_os_index;  ///< by logical index
    std::vector<std::uint32_t> pu_locality;
    std::vector<Set> cores, dies, l3s, packages, localities;  ///< PU sets
    std::vector<Set> locality_packages;                ///< Packages that each meets
    std::vector<OracleNuma> numa_nodes;                ///< by os_index
    std::vector<std::vector<std::uint64_t>> distance;  ///< between localities
    std::vector<OracleDevice> devices;                 ///< by logical index
    std::vector<std::vector<int>> level;               ///< 0..6, between devices
    std::vector<std::vector<std::uint64_t>> link;      ///< MB/s, between devices
    std::uint64_t largest_link = 0;
    Set allowed_pus = 0;
    Set allowed_numa_nodes = 0;  ///< indices into numa_nodes

    [[nodiscard]] const DeviceSpec& device_spec(std::size_t device) const {
        return spec.devices[devices[device].spec_index];
    }
    /// By name, PCI address, uuid, alias or the source's own name; no_index when none.
    [[nodiscard]] std::uint32_t find_device(std::string_view key) const;
    [[nodiscard]] std::uint32_t device_of_spec_index(std::uint32_t spec_index) const;
    [[nodiscard]] Set pus_of_os(const Bitmap& os_indices) const;
};

/// Less when `a` stands before `b`; runs of digits compare as numbers.
[[nodiscard]] bool is_name_less(std::string_view a, std::string_view b);

/// @throws std::invalid_argument when a set does not fit into a word
[[nodiscard]] OracleMachine derive(const MachineSpec& spec);

}  // namespace topoalloc::oracle
