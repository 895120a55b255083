// SPDX-License-Identifier: Apache-2.0
//
// What a reader (hwloc XML, synthetic string, dict, preset) found on one node, before
// any meaning is derived: plain data, OS indices, indices into the vectors of the spec
// itself. Machine::build checks it and derives logical order, localities, levels and
// the rest.
#pragma once

#include "topoalloc/bitmap.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace topoalloc {

inline constexpr std::uint32_t no_index = 0xffffffffU;

/// Type order matters for comparison: bool and int are different types.
using Scalar = std::variant<bool, std::int64_t, std::string>;

/// One value, or a list (as DRA's list attributes): `is_list` tells [x] from x.
struct AttributeValue {
    std::vector<Scalar> values;
    bool is_list = false;
    [[nodiscard]] bool operator==(const AttributeValue&) const = default;
};
using Attributes = std::map<std::string, AttributeValue>;
/// Counter or capacity to an amount in base units.
using Amounts = std::map<std::string, std::uint64_t>;

enum class ObjectKind : std::uint8_t { package, die, l3, core, pu, group };

struct ObjectSpec {
    ObjectKind kind = ObjectKind::pu;
    std::uint32_t os_index = no_index;  ///< required for PUs, unique among them
    Bitmap cpuset;                      ///< OS indices; not empty
};

enum class MemoryKind : std::uint8_t { dram, hbm, gpu, cxl, nvm };

struct NumaNodeSpec {
    std::uint32_t os_index = 0;  ///< unique; sparse ids are fine
    Bitmap cpuset;               ///< OS indices of PUs; may be empty
    Bitmap parent_cpuset;  ///< cpuset of the hwloc parent; used when cpuset is empty
    MemoryKind kind = MemoryKind::dram;
    std::uint64_t base_bytes = 0;                      ///< bytes in base pages
    std::map<std::uint64_t, std::uint64_t> hugepages;  ///< page size in bytes -> bytes
};

struct PciAddress {
    std::uint32_t domain = 0;
    std::uint8_t bus = 0;
    std::uint8_t device = 0;
    std::uint8_t function = 0;
    [[nodiscard]] auto operator<=>(const PciAddress&) const = default;
    [[nodiscard]] bool same_slot(const PciAddress& other) const {
        return domain == other.domain && bus == other.bus && device == other.device;
    }
    /// "0000:1b:00.0"; longer domains are written whole.
    [[nodiscard]] std::string to_string() const;
    /// Accepts "0000:1b:00.0" and "1b:00.0". nullopt when it is neither.
    [[nodiscard]] static std::optional<PciAddress> parse(std::string_view text);
};

/// A host bridge (no parent) or a PCI bridge (parent: index of the bridge above it).
struct BridgeSpec {
    bool is_host = false;
    std::uint32_t parent = no_index;
    std::optional<PciAddress> address;  ///< of a PCI bridge
    std::string name;                   ///< "pci0000:15" for a host bridge
};

struct DeviceSpec {
    std::string device_class;  ///< "gpu", "nic", "nvme" or the caller's own
    std::string name;          ///< the source's own name; an alias later
    std::optional<PciAddress> pci_address;
    std::uint32_t bridge = no_index;        ///< the bridge it sits under, an index
    std::vector<std::uint32_t> numa_nodes;  ///< os_index; empty is unknown
    Attributes attributes;
    Amounts capacities;
    Amounts counters;                  ///< of a root, beside its capacities
    std::uint32_t parent = no_index;   ///< index of the root that it is a part of
    std::string partition;             ///< profile; of a device with a parent
    Amounts draws;                     ///< on counters of the root; with a parent
    std::vector<std::string> aliases;  ///< further names: "cuda0", "mlx5_0"
    std::string uuid;
};

struct DistanceSpec {
    std::vector<std::uint32_t> numa_nodes;  ///< os_index
    std::vector<std::uint64_t> values;      ///< row-major, square
};

struct LinkSpec {
    std::uint32_t from = 0;  ///< device index in the spec
    std::uint32_t to = 0;
    std::uint64_t mb_s = 0;  ///< one direction
};

struct LevelOverrideSpec {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint8_t level = 6;  ///< 0..6
};

struct MachineSpec {
    std::string name;
    std::string source;               ///< "XML file x", used in error messages
    std::vector<ObjectSpec> objects;  ///< PUs in the source's logical order
    std::vector<NumaNodeSpec> numa_nodes;
    std::optional<Bitmap> allowed_pus;         ///< OS indices; absent: all
    std::optional<Bitmap> allowed_numa_nodes;  ///< OS indices; absent: all
    std::vector<BridgeSpec> bridges;           ///< a parent stands before its children
    std::vector<DeviceSpec> devices;
    std::optional<DistanceSpec> distances;
    std::vector<LinkSpec> links;
    std::vector<LevelOverrideSpec> level_overrides;
    std::map<std::string, std::string> info;  ///< free text: vendor, product, host name
};

}  // namespace topoalloc
