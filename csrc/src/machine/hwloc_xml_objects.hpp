// SPDX-License-Identifier: Apache-2.0
//
// An hwloc XML file as flat tables: objects in document order, their infos, the
// distance matrices that are of use, memory tiers. The differences between versions 1,
// 2 and 3 of the format end here, except where a field says so.
//
// What is guaranteed on return: one Machine, which is object 0; a parent stands before
// its children; object types nest as hwloc nests them; the cpusets of normal objects
// form a tree (a child inside its parent, siblings disjoint); a PU holds itself alone
// and the Machine holds exactly the PUs of the file.
#pragma once

#include "machine/hwloc_xml_tokens.hpp"
#include "topoalloc/machine.hpp"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topoalloc::hwloc {

enum class ObjectType : std::uint8_t {
    machine,
    package,
    die,
    l3,
    cache,  ///< any other cache
    core,
    pu,
    group,
    numa_node,
    mem_cache,
    bridge,
    pci_device,
    os_device,
    misc,
};

/// Limits of the reader, beside MachineLimits.
struct HwlocLimits {
    static constexpr std::size_t objects = std::size_t{1} << 19U;
    static constexpr std::uint32_t indices = 65536;  ///< bits of a cpuset or nodeset
    static constexpr std::size_t matrices = 256;
    static constexpr std::uint64_t matrix_objects = 1024;
};

/// Attributes that only some types have, as written; empty where absent.
struct XmlDetails {
    std::string_view os_index_text;
    std::string_view name;
    std::string_view subtype;
    std::string_view allowed_cpuset;
    std::string_view allowed_nodeset;
    std::string_view online_cpuset;  ///< version 1
    std::string_view local_memory;
    std::string_view bridge_type;
    std::string_view bridge_pci;
    std::string_view pci_busid;
    std::string_view pci_type;
    std::string_view pci_link_speed;
    std::string_view osdev_type;
};

/// Small, since most objects are caches and cores: the rest is in HwlocXml::details.
struct XmlObject {
    ObjectType type = ObjectType::misc;
    bool is_covered = false;  ///< one normal child has the same cpuset
    std::uint32_t parent = no_index;
    std::uint32_t os_index = no_index;
    std::uint32_t cpuset = no_index;  ///< into HwlocXml::cpusets
    std::uint32_t details = 0;        ///< 0: none
    std::uint32_t first_info = no_index;
    std::uint32_t last_info = no_index;
    std::size_t offset = 0;  ///< in the text, for errors
    std::string_view type_name;
    std::string_view gp_index;
    std::string_view cpuset_text;
    std::string_view nodeset;
};

struct XmlInfo {
    std::string_view name;
    std::string_view value;
    std::size_t offset = 0;
    std::uint32_t next = no_index;  ///< of the same object
};

struct XmlPageType {
    std::uint32_t object = 0;
    std::uint64_t size = 0;
    std::uint64_t count = 0;
    std::size_t offset = 0;
};

struct XmlMatrix {
    std::string_view name;
    std::string_view type;  ///< of its objects; empty when each entry names its own
    bool is_by_os_index = false;
    bool is_version_1 = false;  ///< objects are the NUMANodes, in order
    std::uint64_t kind = 0;
    std::uint64_t count = 0;
    std::size_t offset = 0;
    std::vector<std::pair<std::string_view, std::uint64_t>> objects;  ///< type, index
    std::vector<std::uint64_t> values;                                ///< row-major
};

struct XmlMemoryTier {
    std::uint64_t kinds = 0;  ///< bits: HBM 1, DRAM 2, GPU 4, SPM 8, NVM 16, CXL 32
    std::string_view nodeset;
    std::size_t offset = 0;
};

struct HwlocXml {
    unsigned version = 0;  ///< major: 1, 2 or 3
    std::vector<XmlObject> objects;
    std::vector<XmlDetails> details{1};  ///< the first is that of objects without
    std::vector<Bitmap> cpusets;
    std::vector<XmlInfo> infos;
    std::vector<XmlInfo> topology_infos;
    std::vector<XmlPageType> page_types;
    std::vector<XmlMatrix> matrices;
    std::vector<XmlMemoryTier> memory_tiers;
    std::deque<std::string> decoded;  ///< what views of values with entities point into

    [[nodiscard]] const Bitmap& cpuset(const XmlObject& object) const {
        return cpusets[object.cpuset];
    }
    [[nodiscard]] const XmlDetails& details_of(const XmlObject& object) const {
        return details[object.details];
    }
    /// The first info of that name, or null.
    [[nodiscard]] const XmlInfo* find_info(const XmlObject& object,
                                           std::string_view name) const;
};

[[nodiscard]] constexpr bool is_io(ObjectType type) {
    return type == ObjectType::bridge || type == ObjectType::pci_device ||
           type == ObjectType::os_device;
}
[[nodiscard]] constexpr bool is_memory(ObjectType type) {
    return type == ObjectType::numa_node || type == ObjectType::mem_cache;
}
/// Holds PUs and stands in the tree of cpusets. A NUMANode of version 1 does so too.
[[nodiscard]] constexpr bool is_normal(ObjectType type) {
    return !is_io(type) && !is_memory(type) && type != ObjectType::misc;
}

/// @throws FormatError
[[nodiscard]] HwlocXml read_objects(const XmlSource& source);

/// `what` names the value in errors: "os_index". @throws FormatError
[[nodiscard]] std::uint64_t parse_number(const XmlSource& source,
                                         std::size_t offset,
                                         std::string_view what,
                                         std::string_view text,
                                         std::uint64_t most);
/// A finite decimal number, not negative. @throws FormatError
[[nodiscard]] double parse_decimal(const XmlSource& source,
                                   std::size_t offset,
                                   std::string_view what,
                                   std::string_view text,
                                   double most);
/// hwloc's form of a set, "0xffffffff,,0x0000000f". @throws FormatError
[[nodiscard]] Bitmap parse_set(const XmlSource& source,
                               std::size_t offset,
                               std::string_view what,
                               std::string_view text);

}  // namespace topoalloc::hwloc
