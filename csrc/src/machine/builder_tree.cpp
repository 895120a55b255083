// SPDX-License-Identifier: Apache-2.0
//
// The laminar family and the logical order. Sets are taken from large to small; each
// must find all its PUs in one and the same innermost set, which becomes its parent.
// That costs the sum of the set sizes and needs no comparison of pairs of sets. A set
// of n PUs takes n consecutive logical indices, so the order needs no walk either.
#include "machine/builder.hpp"

#include <algorithm>
#include <numeric>

namespace topoalloc {
namespace {

std::string_view kind_name(ObjectKind kind) {
    switch (kind) {
        case ObjectKind::package:
            return "Package";
        case ObjectKind::die:
            return "Die";
        case ObjectKind::l3:
            return "L3";
        case ObjectKind::core:
            return "Core";
        case ObjectKind::pu:
            return "PU";
        case ObjectKind::group:
            return "Group";
    }
    return "object";
}

}  // namespace

void MachineBuilder::read_pus() {
    for (std::size_t i = 0; i < spec_.objects.size(); ++i) {
        const ObjectSpec& object = spec_.objects[i];
        if (object.kind != ObjectKind::pu) {
            continue;
        }
        const std::string part = "objects[" + std::to_string(i) + "].";
        if (object.os_index >= MachineLimits::os_index) {
            fail(part + "os_index",
                 std::to_string(object.os_index) + " of a PU, want a number below " +
                     std::to_string(MachineLimits::os_index));
        }
        if (object.os_index >= position_by_os_.size()) {
            position_by_os_.resize(object.os_index + std::size_t{1}, no_index);
        }
        if (position_by_os_[object.os_index] != no_index) {
            fail(part + "os_index",
                 std::to_string(object.os_index) +
                     " occurs twice among PUs, want unique");
        }
        const std::size_t members = object.cpuset.count();
        if (members > 1 || (members == 1 && !object.cpuset.test(object.os_index))) {
            fail(part + "cpuset",
                 "'" + object.cpuset.to_list() + "' of a PU, want its os_index " +
                     std::to_string(object.os_index));
        }
        position_by_os_[object.os_index] =
            static_cast<std::uint32_t>(os_by_position_.size());
        os_by_position_.push_back(object.os_index);
    }
    if (os_by_position_.empty()) {
        fail("objects", "no PU, want at least one");
    }
}

std::uint32_t MachineBuilder::position_of(std::size_t os_index) const {
    return os_index < position_by_os_.size() ? position_by_os_[os_index] : no_index;
}

void MachineBuilder::check_known_pus(const Bitmap& cpuset,
                                     const std::string& part) const {
    cpuset.for_each([&](std::size_t os_index) {
        if (position_of(os_index) == no_index) {
            fail(part,
                 "PU " + std::to_string(os_index) +
                     " is not there, want PUs of the Machine");
        }
    });
}

void MachineBuilder::collect_sets() {
    for (std::uint32_t i = 0; i < spec_.objects.size(); ++i) {
        const ObjectSpec& object = spec_.objects[i];
        if (object.kind == ObjectKind::pu) {
            continue;
        }
        const std::string part = "objects[" + std::to_string(i) + "].cpuset";
        if (object.cpuset.empty()) {
            fail(part, "empty, want PUs");
        }
        check_known_pus(object.cpuset, part);
        Set set;
        set.cpuset = &object.cpuset;
        set.kind = object.kind;
        set.source = i;
        set.size = static_cast<std::uint32_t>(object.cpuset.count());
        sets_.push_back(set);
    }
    numa_set_.assign(spec_.numa_nodes.size(), no_index);
    for (std::uint32_t i = 0; i < spec_.numa_nodes.size(); ++i) {
        const NumaNodeSpec& node = spec_.numa_nodes[i];
        const std::string part = "numa_nodes[" + std::to_string(i) + "].";
        check_known_pus(node.cpuset, part + "cpuset");
        check_known_pus(node.parent_cpuset, part + "parent_cpuset");
        if (node.cpuset.empty()) {
            continue;
        }
        numa_set_[i] = static_cast<std::uint32_t>(sets_.size());
        Set set;
        set.cpuset = &node.cpuset;
        set.is_numa = true;
        set.source = i;
        set.size = static_cast<std::uint32_t>(node.cpuset.count());
        sets_.push_back(set);
    }
}

void MachineBuilder::nest_sets() {
    const std::vector<std::uint32_t> none(os_by_position_.size(), no_index);
    owners_ = {none, none, none, none, none, none};
    std::vector<std::uint32_t> by_size(sets_.size());
    std::iota(by_size.begin(), by_size.end(), 0U);
    std::stable_sort(by_size.begin(), by_size.end(), [this](auto a, auto b) {
        return sets_[a].size > sets_[b].size;
    });
    for (const std::uint32_t id : by_size) {
        nest_set(id);
    }
}

std::vector<std::uint32_t>* MachineBuilder::owners_of(const Set& set) {
    if (set.is_numa) {
        return &owners_.numa;
    }
    switch (set.kind) {
        case ObjectKind::package:
            return &owners_.package;
        case ObjectKind::die:
            return &owners_.die;
        case ObjectKind::l3:
            return &owners_.l3;
        case ObjectKind::core:
            return &owners_.core;
        case ObjectKind::pu:
        case ObjectKind::group:
            break;
    }
    return nullptr;
}

void MachineBuilder::nest_set(std::uint32_t id) {
    Set& set = sets_[id];
    const std::uint32_t first = position_of(set.cpuset->first());
    std::vector<std::uint32_t>* owners = owners_of(set);
    const bool is_disjoint_kind = owners != nullptr && !set.is_numa;
    set.parent = owners_.innermost[first];
    set.same_as = id;
    if (set.is_numa && owners_.numa[first] != no_index &&
        sets_[owners_.numa[first]].size == set.size) {
        set.same_as = owners_.numa[first];
    }
    set.cpuset->for_each([&](std::size_t os_index) {
        const std::uint32_t position = position_of(os_index);
        const std::uint32_t inner = owners_.innermost[position];
        if (inner != set.parent) {
            const bool fits_parent =
                set.parent == no_index ||
                set.cpuset->is_subset_of(*sets_[set.parent].cpuset);
            fail_overlap(id, fits_parent ? inner : set.parent);
        }
        if (is_disjoint_kind && (*owners)[position] != no_index) {
            fail(set_name(id),
                 "shares PU " + std::to_string(os_index) + " with " +
                     set_name((*owners)[position]) + ", want disjoint cpusets");
        }
    });
    set.cpuset->for_each([&](std::size_t os_index) {
        const std::uint32_t position = position_of(os_index);
        owners_.innermost[position] = id;
        if (owners != nullptr) {
            (*owners)[position] = set.same_as;
        }
    });
}

void MachineBuilder::fail_overlap(std::uint32_t id, std::uint32_t other) const {
    fail(set_name(id),
         "cpuset '" + sets_[id].cpuset->to_list() + "' overlaps '" +
             sets_[other].cpuset->to_list() + "' of " + set_name(other) +
             ", want one inside the other or disjoint");
}

std::string MachineBuilder::set_name(std::uint32_t id) const {
    const Set& set = sets_[id];
    const std::string list = set.is_numa ? "numa_nodes[" : "objects[";
    const std::uint32_t os_index = set.is_numa ? spec_.numa_nodes[set.source].os_index
                                               : spec_.objects[set.source].os_index;
    std::string name = list + std::to_string(set.source) + "] (";
    name += set.is_numa ? "NUMANode" : kind_name(set.kind);
    if (os_index != no_index) {
        name += " " + std::to_string(os_index);
    }
    return name + ")";
}

// Gives every set above the PU its interval, outermost first, where it has none yet.
void MachineBuilder::open_sets_above(std::uint32_t position,
                                     std::uint32_t& root_given) {
    std::vector<std::uint32_t> chain;
    for (std::uint32_t id = owners_.innermost[position];
         id != no_index && sets_[id].start == no_index;
         id = sets_[id].parent) {
        chain.push_back(id);
    }
    for (std::size_t i = chain.size(); i-- > 0;) {
        Set& set = sets_[chain[i]];
        if (set.parent == no_index) {
            set.start = root_given;
            root_given += set.size;
        } else {
            Set& parent = sets_[set.parent];
            set.start = parent.start + parent.given;
            parent.given += set.size;
        }
    }
}

void MachineBuilder::number_pus() {
    const std::size_t count = os_by_position_.size();
    logical_by_position_.assign(count, no_index);
    machine_->pus_.resize(count);
    machine_->pu_by_os_index_.assign(position_by_os_.size(), no_index);
    std::uint32_t root_given = 0;
    for (std::uint32_t position = 0; position < count; ++position) {
        open_sets_above(position, root_given);
        const std::uint32_t inner = owners_.innermost[position];
        const std::uint32_t logical = inner == no_index
                                          ? root_given++
                                          : sets_[inner].start + sets_[inner].given++;
        logical_by_position_[position] = logical;
        machine_->pus_[logical].os_index = os_by_position_[position];
        machine_->pu_by_os_index_[os_by_position_[position]] = logical;
    }
}

// The smallest of up to three sets; the first of equal ones.
std::uint32_t MachineBuilder::smallest_of(std::array<std::uint32_t, 3> ids) const {
    std::uint32_t best = no_index;
    for (const std::uint32_t id : ids) {
        if (id != no_index && (best == no_index || sets_[id].size < sets_[best].size)) {
            best = id;
        }
    }
    return best;
}

void MachineBuilder::build_domains() {
    // Keys: a set id of the kind itself; above those, what stands in: a set id, the
    // Machine, or (for Cores) the PU.
    const std::size_t count = os_by_position_.size();
    const auto stand_in_base = static_cast<std::uint32_t>(sets_.size());
    const std::uint32_t machine_key = 2 * stand_in_base;
    std::vector<std::uint32_t> cores(count);
    std::vector<std::uint32_t> l3s(count);
    std::vector<std::uint32_t> dies(count);
    std::vector<std::uint32_t> packages(count);
    const auto own_or = [](std::uint32_t own, std::uint32_t other) {
        return own != no_index ? own : other;
    };
    const auto stand_in = [&](std::array<std::uint32_t, 3> ids) {
        const std::uint32_t id = smallest_of(ids);
        return id == no_index ? machine_key : stand_in_base + id;
    };
    for (std::uint32_t p = 0; p < count; ++p) {
        const std::uint32_t logical = logical_by_position_[p];
        const std::uint32_t die = owners_.die[p];
        const std::uint32_t numa = owners_.numa[p];
        const std::uint32_t package = owners_.package[p];
        packages[logical] = own_or(package, machine_key);
        dies[logical] = own_or(die, stand_in({no_index, numa, package}));
        l3s[logical] = own_or(owners_.l3[p], stand_in({die, numa, package}));
        cores[logical] = own_or(owners_.core[p], machine_key + 1 + p);
    }
    build_kind(machine_->packages_, &Pu::package, packages);
    build_kind(machine_->dies_, &Pu::die, dies);
    build_kind(machine_->l3s_, &Pu::l3, l3s);
    build_kind(machine_->cores_, &Pu::core, cores);
}

// `keys`: by logical PU, what tells one domain from another.
void MachineBuilder::build_kind(std::vector<Domain>& domains,
                                std::uint32_t Pu::* member,
                                const std::vector<std::uint32_t>& keys) {
    const std::size_t key_limit = 2 * sets_.size() + 1 + keys.size();
    std::vector<std::uint32_t> index_by_key(key_limit, no_index);
    for (std::uint32_t logical = 0; logical < keys.size(); ++logical) {
        const std::uint32_t key = keys[logical];
        if (index_by_key[key] == no_index) {
            index_by_key[key] = static_cast<std::uint32_t>(domains.size());
            domains.emplace_back();
            if (key < sets_.size()) {
                domains.back().os_index = spec_.objects[sets_[key].source].os_index;
            }
        }
        machine_->pus_[logical].*member = index_by_key[key];
        domains[index_by_key[key]].pus.set(logical);
    }
}

void MachineBuilder::number_allowed_pus() {
    if (!spec_.allowed_pus) {
        machine_->allowed_pus_ = Bitmap::range(0, machine_->pus_.size());
        return;
    }
    check_known_pus(*spec_.allowed_pus, "allowed_pus");
    spec_.allowed_pus->for_each([this](std::size_t os_index) {
        machine_->allowed_pus_.set(logical_by_position_[position_of(os_index)]);
    });
}

}  // namespace topoalloc
