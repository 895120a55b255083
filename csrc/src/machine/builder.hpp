// SPDX-License-Identifier: Apache-2.0
//
// Derives the tables of a Machine from a MachineSpec, one subject a file:
//   builder.cpp          limits, errors, the order of the steps
//   builder_tree.cpp     laminar family, logical order, Cores to Packages
//   builder_memory.cpp   NUMANodes, localities, NUMA distances
//   builder_devices.cpp  bridges, devices: order, names, counters, keys
//   builder_levels.cpp   levels, overrides, switches, the ultrametric check
//   builder_links.cpp    links between devices
//   builder_runs.cpp     runs of cores; classes and sets of localities; domains
// Every member of a spec is untrusted: it is checked before it is used as an index.
#pragma once

#include "topoalloc/machine.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc {

class MachineBuilder {
  public:
    explicit MachineBuilder(MachineSpec spec);

    /// Runs every step once; the builder is spent afterwards.
    [[nodiscard]] std::shared_ptr<const Machine> build();

  private:
    /// One member of the laminar family. `id`s index sets_.
    struct Set {
        const Bitmap* cpuset = nullptr;  ///< OS indices, in spec_
        ObjectKind kind = ObjectKind::group;
        bool is_numa = false;
        std::uint32_t source = 0;         ///< index into spec objects or numa_nodes
        std::uint32_t size = 0;           ///< PUs
        std::uint32_t parent = no_index;  ///< set id; no_index: the Machine
        std::uint32_t same_as = 0;        ///< of NUMANodes: first set of equal cpuset
        std::uint32_t start = no_index;   ///< first logical PU
        std::uint32_t given = 0;          ///< logical PUs given out below
    };
    /// Per PU, by position in the spec: the smallest set of each kind that holds it.
    struct Owners {
        std::vector<std::uint32_t> package, die, l3, core, numa, innermost;
    };

    [[noreturn]] void fail(const std::string& part, const std::string& what) const;
    void check_limits() const;

    // builder_tree.cpp
    void read_pus();
    [[nodiscard]] std::uint32_t position_of(std::size_t os_index) const;
    void check_known_pus(const Bitmap& cpuset, const std::string& part) const;
    void collect_sets();
    void nest_sets();
    void nest_set(std::uint32_t id);
    [[noreturn]] void fail_overlap(std::uint32_t id, std::uint32_t other) const;
    [[nodiscard]] std::string set_name(std::uint32_t id) const;
    [[nodiscard]] std::vector<std::uint32_t>* owners_of(const Set& set);
    void number_pus();
    void open_sets_above(std::uint32_t position, std::uint32_t& root_given);
    void build_domains();
    [[nodiscard]] std::uint32_t smallest_of(std::array<std::uint32_t, 3> ids) const;
    void build_kind(std::vector<Domain>& domains,
                    std::uint32_t Pu::* member,
                    const std::vector<std::uint32_t>& keys);
    void number_allowed_pus();

    // builder_memory.cpp
    void check_numa_nodes() const;
    void check_pages(std::size_t index) const;
    void collect_page_sizes();
    void build_localities();
    void build_numa_nodes();
    void number_allowed_numa_nodes();
    void attach_numa_nodes();
    [[nodiscard]] Bitmap localities_inside(const Bitmap& os_cpuset) const;
    void link_localities();
    void build_distances();
    void check_distances() const;

    // builder_devices.cpp
    void build_bridges();
    void check_devices() const;
    void check_amounts(const std::string& name, const Amounts& amounts) const;
    void check_device(std::uint32_t index) const;
    void check_part(std::uint32_t index) const;
    void order_devices();
    void build_devices();
    [[nodiscard]] Device make_device(const DeviceSpec& spec) const;
    void name_devices();
    void place_device(std::uint32_t index);
    void count_device(std::uint32_t index);
    void index_names();
    void index_addresses();
    void index_keys();
    void check_uuids() const;

    // builder_levels.cpp
    void build_levels();
    void collect_roots();
    void level_by_place();
    void meet_at(std::uint32_t a,
                 std::uint32_t b,
                 std::uint32_t bridge,
                 std::uint32_t farther);
    void level_by_path();
    void level_by_slot();
    void apply_overrides();
    void spread_levels();
    void number_switches();
    [[nodiscard]] bool is_ultrametric() const;
    [[nodiscard]] std::uint8_t& root_level(std::size_t row, std::size_t column) {
        return root_levels_[row * roots_.size() + column];
    }

    // builder_links.cpp
    void number_linked_roots();
    void build_links();
    [[nodiscard]] std::uint32_t link_end(std::uint32_t spec_index,
                                         const std::string& part) const;

    // builder_runs.cpp
    void build_runs();
    void join_runs();
    void classify_localities();
    void table_locality_sets();
    void number_domains();

    std::shared_ptr<Machine> machine_;
    MachineSpec& spec_;  ///< lives in machine_

    std::vector<std::uint32_t> position_by_os_;  ///< PU os_index -> position, no_index
    std::vector<std::uint32_t> os_by_position_;
    std::vector<std::uint32_t> logical_by_position_;
    std::vector<Set> sets_;
    Owners owners_;
    std::vector<std::uint32_t> numa_set_;  ///< spec NUMANode -> set id, no_index
    std::vector<std::uint32_t> locality_first_pu_;  ///< ascending

    std::vector<std::uint32_t> device_by_spec_;  ///< spec index -> logical index
    std::vector<std::uint32_t> spec_by_device_;
    std::vector<std::uint32_t> roots_;  ///< devices that are roots, ascending
    std::vector<std::uint32_t>
        row_of_device_;  ///< device -> position of its root in roots_
    std::vector<std::uint8_t> root_levels_;     ///< roots x roots
    std::vector<std::uint32_t> switch_bridge_;  ///< root row -> bridge, no_index
};

}  // namespace topoalloc
