// SPDX-License-Identifier: Apache-2.0
#include "machine/builder.hpp"

#include "topoalloc/errors.hpp"

#include <utility>

namespace topoalloc {

std::shared_ptr<const Machine> Machine::build(MachineSpec spec) {
    return MachineBuilder(std::move(spec)).build();
}

MachineBuilder::MachineBuilder(MachineSpec spec)
    : machine_(new Machine()), spec_(machine_->spec_) {
    spec_ = std::move(spec);
}

std::shared_ptr<const Machine> MachineBuilder::build() {
    check_limits();
    read_pus();
    check_numa_nodes();
    collect_sets();
    nest_sets();
    number_pus();
    build_domains();
    number_allowed_pus();
    build_localities();
    collect_page_sizes();
    build_numa_nodes();
    number_allowed_numa_nodes();
    attach_numa_nodes();
    link_localities();
    build_distances();
    build_runs();
    join_runs();
    classify_localities();
    table_locality_sets();
    build_bridges();
    check_devices();
    order_devices();
    build_devices();
    index_keys();
    build_levels();
    number_domains();
    build_links();
    return std::move(machine_);
}

void MachineBuilder::fail(const std::string& part, const std::string& what) const {
    const std::string prefix = spec_.source.empty() ? "" : spec_.source + ": ";
    throw FormatError(prefix + part + ": " + what);
}

void MachineBuilder::check_limits() const {
    const auto check = [this](const char* part, std::size_t size, std::size_t limit) {
        if (size > limit) {
            fail(part,
                 std::to_string(size) + " of them, want at most " +
                     std::to_string(limit));
        }
    };
    std::size_t pus = 0;
    std::size_t groups = 0;
    for (const ObjectSpec& object : spec_.objects) {
        pus += object.kind == ObjectKind::pu ? 1U : 0U;
        groups += object.kind == ObjectKind::group ? 1U : 0U;
    }
    check("PUs", pus, MachineLimits::pus);
    check("Groups", groups, MachineLimits::groups);
    // Packages, Dies, L3s and Cores are at most one each for a PU, as they are
    // disjoint.
    check("objects",
          spec_.objects.size(),
          5 * MachineLimits::pus + MachineLimits::groups);
    check("numa_nodes", spec_.numa_nodes.size(), MachineLimits::numa_nodes);
    check("devices", spec_.devices.size(), MachineLimits::devices);
    check("bridges", spec_.bridges.size(), MachineLimits::bridges);
    check("links", spec_.links.size(), MachineLimits::devices * MachineLimits::devices);
    check("level_overrides",
          spec_.level_overrides.size(),
          MachineLimits::devices * MachineLimits::devices);
}

}  // namespace topoalloc
