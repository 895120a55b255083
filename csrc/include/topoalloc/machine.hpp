// SPDX-License-Identifier: Apache-2.0
//
// Machine: the immutable topology of one kind of node, as flat tables. Built once from
// a MachineSpec; everything derived (logical order, localities, levels, switches,
// links) is computed here, in one place, as docs/objective.md section 1 defines it.
// Share it by std::shared_ptr<const Machine>: concurrent reads are safe.
#pragma once

#include "topoalloc/machine_spec.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc {

/// Device-to-device level; smaller is closer.
enum class Level : std::uint8_t {
    self,
    switch_,
    bridges,
    root,
    numa,
    package,
    machine
};
inline constexpr std::size_t level_count = 7;

/// "switch" for Level::switch_, and so on.
[[nodiscard]] std::string_view level_name(Level level);
/// Accepts our names and nvidia-smi's (PIX, PXB, PHB, NODE, SYS). nullopt when neither.
[[nodiscard]] std::optional<Level> parse_level(std::string_view text);

/// Limits on what a Machine may hold; a larger spec is a FormatError.
struct MachineLimits {
    static constexpr std::size_t pus = 65536;
    static constexpr std::size_t numa_nodes = 4096;
    static constexpr std::size_t devices = 4096;
    static constexpr std::size_t bridges = 65536;
    static constexpr std::size_t groups = 4096;
    static constexpr std::size_t page_sizes = 16;        ///< base pages counted
    static constexpr std::uint32_t os_index = 1U << 20;  ///< all are below it
    /// Of one NUMANode, one distance, one link: sums over a Machine fit 63 bits.
    static constexpr std::uint64_t bytes = std::uint64_t{1} << 50;
    static constexpr std::uint64_t distance = 0xffffffffU;
    static constexpr std::uint64_t link_mb_s = 0xffffffffU;
    /// Of one capacity, counter or draw: compared with attributes, which are signed.
    static constexpr std::uint64_t amount = ~std::uint64_t{0} >> 1;
};

/// All members are logical indices into the Machine's tables.
struct Pu {
    std::uint32_t os_index = 0;
    std::uint32_t core = 0;
    std::uint32_t l3 = 0;
    std::uint32_t die = 0;
    std::uint32_t package = 0;
    std::uint32_t locality = 0;
};

/// A Package, Die, L3 or Core. `os_index` is no_index where another kind stands in.
struct Domain {
    std::uint32_t os_index = no_index;
    Bitmap pus;         ///< logical
    Bitmap localities;  ///< that it meets
};

/// In the order of os_index.
struct NumaNode {
    std::uint32_t os_index = 0;
    MemoryKind kind = MemoryKind::dram;
    Bitmap pus;                        ///< logical; its own cpuset, maybe empty
    Bitmap localities;                 ///< that it is attached to
    std::vector<std::uint64_t> bytes;  ///< by index into Machine::page_sizes()
};

struct Locality {
    Bitmap pus;       ///< logical
    Bitmap packages;  ///< that it meets
    Bitmap l3s;
    std::vector<std::uint32_t> numa_nodes;  ///< attached, indices, ascending
    /// Into Machine::core_runs(), when runs_are_joined().
    std::uint32_t first_run = 0, run_count = 0;
};

/// Cores side by side that share L3, locality and Package.
struct CoreRun {
    std::uint32_t l3 = 0, locality = 0, package = 0;
    std::uint32_t first_core = 0, core_count = 0;
    std::uint32_t end_pu = 0;  ///< one past the last PU of its cores, logical
};

/// A set of localities with terms 2 and 3 of docs/objective.md section 4.
struct LocalitySet {
    std::uint64_t mask = 0;
    std::int64_t packages = 0;
    std::int64_t localities = 0;
    std::int64_t distance = 0;
};

/// Where each kind of domain begins when all are numbered through: Packages, then
/// localities, switches, devices, L3s.
struct DomainNumbers {
    std::size_t locality = 0, switch_ = 0, device = 0, l3 = 0;
    std::size_t count = 0;  ///< of all kinds
};

struct Device {
    std::string name;  ///< "gpu0", "gpu0/1"
    std::string device_class;
    std::uint32_t index = 0;  ///< among roots of its class; or among parts of its root
    std::optional<PciAddress> pci_address;
    std::vector<std::uint32_t> numa_nodes;  ///< os_index, as the source says
    Bitmap localities;                      ///< empty: unknown
    Bitmap packages;                        ///< that its localities meet
    Attributes attributes;
    Amounts capacities;
    std::vector<std::string> counter_names;  ///< of a root: capacities, then counters
    std::vector<std::uint64_t> counter_totals;  ///< same order
    std::uint32_t first_counter = 0;  ///< of a root: among the counters of all roots
    std::vector<std::uint64_t> counter_draws;  ///< of a part, on its root's counters
    std::uint32_t root = 0;                    ///< own index for a root
    std::string partition;                     ///< profile, of a part
    std::vector<std::uint32_t> parts;          ///< of a root: its parts
    std::uint32_t switch_index = no_index;     ///< into Machine::switches()
    std::uint32_t bridge = no_index;           ///< into Machine::bridges()
    std::vector<std::string> aliases;
    std::string uuid;
};

struct Bridge {
    bool is_host = false;
    std::uint32_t parent = no_index;
    std::optional<PciAddress> address;
    std::string name;
};

class Machine {
  public:
    /// Checks a spec and derives the tables.
    /// @throws FormatError naming the part that is wrong
    [[nodiscard]] static std::shared_ptr<const Machine> build(MachineSpec spec);

    [[nodiscard]] const std::string& name() const { return spec_.name; }
    [[nodiscard]] const std::vector<Pu>& pus() const { return pus_; }
    [[nodiscard]] const std::vector<Domain>& cores() const { return cores_; }
    [[nodiscard]] const std::vector<Domain>& l3s() const { return l3s_; }
    [[nodiscard]] const std::vector<Domain>& dies() const { return dies_; }
    [[nodiscard]] const std::vector<Domain>& packages() const { return packages_; }
    [[nodiscard]] const std::vector<NumaNode>& numa_nodes() const {
        return numa_nodes_;
    }
    [[nodiscard]] const std::vector<Locality>& localities() const {
        return localities_;
    }
    [[nodiscard]] const std::vector<Device>& devices() const { return devices_; }
    [[nodiscard]] const std::vector<Bridge>& bridges() const { return bridges_; }
    /// Bridge index of each switch (docs/objective.md, section 1).
    [[nodiscard]] const std::vector<std::uint32_t>& switches() const {
        return switches_;
    }
    /// Page sizes that any NUMANode has, ascending; the first is 0 (base pages).
    [[nodiscard]] const std::vector<std::uint64_t>& page_sizes() const {
        return page_sizes_;
    }
    /// Logical.
    [[nodiscard]] const Bitmap& allowed_pus() const { return allowed_pus_; }
    /// Indices of the NUMANodes whose memory may be given.
    [[nodiscard]] const Bitmap& allowed_numa_nodes() const {
        return allowed_numa_nodes_;
    }

    [[nodiscard]] Level level(std::uint32_t device_a, std::uint32_t device_b) const {
        return static_cast<Level>(levels_[device_a * devices_.size() + device_b]);
    }
    /// True when max(level(a, b), level(b, c)) >= level(a, c) for all devices.
    [[nodiscard]] bool levels_are_ultrametric() const { return ultrametric_; }
    /// MB/s, the smaller of both directions; 0: no link. A partition has none.
    [[nodiscard]] std::uint64_t link_mb_s(std::uint32_t device_a,
                                          std::uint32_t device_b) const {
        const std::uint32_t row = link_row_[device_a];
        const std::uint32_t column = link_row_[device_b];
        return row == no_index || column == no_index
                   ? 0
                   : links_[row * link_rows_ + column];
    }
    [[nodiscard]] std::uint64_t max_link_mb_s() const { return max_link_mb_s_; }
    [[nodiscard]] bool class_has_links(std::string_view device_class) const;
    /// All cores, in order.
    [[nodiscard]] const std::vector<CoreRun>& core_runs() const { return core_runs_; }
    /// By core: its run.
    [[nodiscard]] const std::vector<std::uint32_t>& run_of_core() const {
        return run_of_core_;
    }
    /// True when the runs of each L3 and of each locality stand side by side.
    [[nodiscard]] bool runs_are_joined() const { return runs_are_joined_; }
    /// PUs of every core; 0 when cores differ.
    [[nodiscard]] std::uint32_t core_size() const { return core_size_; }
    /// By locality: its class. Localities of one class lie in the same Packages and are
    /// equally far from every other. Classes are numbered by their first locality.
    [[nodiscard]] const std::vector<std::uint32_t>& locality_classes() const {
        return locality_classes_;
    }
    /// Every set of localities in the order of terms 2 and 3, then least index; empty
    /// when there are more than 8 localities.
    [[nodiscard]] const std::vector<LocalitySet>& locality_sets() const {
        return locality_sets_;
    }
    [[nodiscard]] const DomainNumbers& domain_numbers() const {
        return domain_numbers_;
    }
    /// What a device that is held opens: its Packages, localities, switch and root.
    [[nodiscard]] std::span<const std::uint32_t> domains_of_device(
        std::uint32_t device) const {
        const std::uint32_t first = first_device_domain_[device];
        return {device_domains_.data() + first,
                first_device_domain_[device + 1] - first};
    }
    /// Between localities; 0 without a matrix.
    [[nodiscard]] std::uint64_t distance(std::uint32_t locality_a,
                                         std::uint32_t locality_b) const {
        return distances_[locality_a * localities_.size() + locality_b];
    }

    /// By name, PCI address, uuid or alias; no_index when there is none.
    [[nodiscard]] std::uint32_t find_device(std::string_view key) const;
    /// Logical index of a PU by os_index; no_index when there is none.
    [[nodiscard]] std::uint32_t pu_of_os_index(std::uint32_t os_index) const;
    [[nodiscard]] std::uint32_t numa_node_of_os_index(std::uint32_t os_index) const;
    [[nodiscard]] Bitmap pus_to_os(const Bitmap& logical) const;
    /// @throws InvalidRequestError naming a PU that the Machine lacks
    [[nodiscard]] Bitmap pus_from_os(const Bitmap& os) const;

    /// What it was built from; devices and objects in the spec's order.
    [[nodiscard]] const MachineSpec& spec() const { return spec_; }
    /// Recomputes what can be recomputed and compares. Used by tests.
    /// @throws InternalError
    void check_consistency() const;

  private:
    friend class MachineBuilder;
    Machine() = default;

    MachineSpec spec_;
    std::vector<Pu> pus_;
    std::vector<Domain> cores_, l3s_, dies_, packages_;
    std::vector<NumaNode> numa_nodes_;
    std::vector<Locality> localities_;
    std::vector<Device> devices_;
    std::vector<Bridge> bridges_;
    std::vector<std::uint32_t> switches_;
    std::vector<std::uint64_t> page_sizes_;
    Bitmap allowed_pus_;
    Bitmap allowed_numa_nodes_;
    std::vector<std::uint8_t> levels_;     // devices x devices
    std::vector<std::uint32_t> link_row_;  // device -> row of links_, or no_index
    std::vector<std::uint64_t> links_;     // rows x rows, MB/s
    std::size_t link_rows_ = 0;
    std::uint64_t max_link_mb_s_ = 0;
    std::vector<std::uint64_t> distances_;  // localities x localities
    bool ultrametric_ = false;
    std::vector<CoreRun> core_runs_;
    std::vector<std::uint32_t> run_of_core_;
    bool runs_are_joined_ = false;
    std::uint32_t core_size_ = 0;
    std::vector<std::uint32_t> locality_classes_;
    std::vector<LocalitySet> locality_sets_;
    DomainNumbers domain_numbers_;
    std::vector<std::uint32_t> device_domains_, first_device_domain_;
    std::map<std::string, std::uint32_t, std::less<>> device_by_key_;
    std::vector<std::uint32_t> pu_by_os_index_;  // os_index -> logical, or no_index
    std::set<std::string, std::less<>> classes_with_links_;
};

/// Reads hwloc XML, format versions 1, 2 and 3. Never calls libhwloc.
///
/// @param source  named in errors, "node.xml"
/// @throws FormatError "source:line: what it is, want what"
[[nodiscard]] MachineSpec read_hwloc_xml(std::string_view text,
                                         std::string_view source);

/// Reads a synthetic description in hwloc's grammar: "pack:2 numa:4 core:8 pu:2".
/// @throws FormatError
[[nodiscard]] MachineSpec read_synthetic(std::string_view text);

}  // namespace topoalloc
