// SPDX-License-Identifier: Apache-2.0
//
// NUMANodes, localities and the distances between localities.
#include "machine/builder.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace topoalloc {
namespace {

// The words of a set without trailing zeros: equal sets have equal keys.
std::vector<std::uint64_t> set_key(const Bitmap& set) {
    std::vector<std::uint64_t> words(set.words().begin(), set.words().end());
    while (!words.empty() && words.back() == 0) {
        words.pop_back();
    }
    return words;
}

}  // namespace

void MachineBuilder::check_numa_nodes() const {
    std::set<std::uint32_t> seen;
    for (std::size_t i = 0; i < spec_.numa_nodes.size(); ++i) {
        const std::uint32_t os_index = spec_.numa_nodes[i].os_index;
        const std::string part = "numa_nodes[" + std::to_string(i) + "].os_index";
        if (os_index >= MachineLimits::os_index) {
            fail(part,
                 std::to_string(os_index) + ", want a number below " +
                     std::to_string(MachineLimits::os_index));
        }
        if (!seen.insert(os_index).second) {
            fail(part, std::to_string(os_index) + " occurs twice, want unique");
        }
        check_pages(i);
    }
}

void MachineBuilder::check_pages(std::size_t index) const {
    const NumaNodeSpec& node = spec_.numa_nodes[index];
    const std::string part = "numa_nodes[" + std::to_string(index) + "].";
    std::uint64_t total = 0;
    const auto add_bytes = [&](const std::string& name, std::uint64_t bytes) {
        if (bytes > MachineLimits::bytes - total) {
            fail(part + name,
                 std::to_string(bytes) + " bytes, want at most " +
                     std::to_string(MachineLimits::bytes) + " on the NUMANode");
        }
        total += bytes;
    };
    add_bytes("base_bytes", node.base_bytes);
    for (const auto& [page, bytes] : node.hugepages) {
        if (page == 0) {
            fail(part + "hugepages", "a page size of 0, want bytes");
        }
        add_bytes("hugepages", bytes);
        if (bytes % page != 0) {
            fail(part + "hugepages",
                 std::to_string(bytes) + " bytes in pages of " + std::to_string(page) +
                     ", want whole pages");
        }
    }
}

void MachineBuilder::collect_page_sizes() {
    std::set<std::uint64_t> sizes{0};
    for (const NumaNodeSpec& node : spec_.numa_nodes) {
        for (const auto& [page, bytes] : node.hugepages) {
            sizes.insert(page);
        }
        if (sizes.size() > MachineLimits::page_sizes) {
            fail("numa_nodes",
                 "more than " + std::to_string(MachineLimits::page_sizes - 1) +
                     " sizes of huge pages, want at most that");
        }
    }
    machine_->page_sizes_.assign(sizes.begin(), sizes.end());
}

void MachineBuilder::build_localities() {
    const std::size_t count = os_by_position_.size();
    std::vector<std::uint32_t> set_of_pu(count);
    for (std::uint32_t position = 0; position < count; ++position) {
        set_of_pu[logical_by_position_[position]] = owners_.numa[position];
    }
    // One more entry: the PUs that no NUMANode holds.
    std::vector<std::uint32_t> index_by_set(sets_.size() + 1, no_index);
    auto& localities = machine_->localities_;
    for (std::uint32_t logical = 0; logical < count; ++logical) {
        const std::uint32_t set = set_of_pu[logical];
        std::uint32_t& index = index_by_set[set == no_index ? sets_.size() : set];
        if (index == no_index) {
            index = static_cast<std::uint32_t>(localities.size());
            localities.emplace_back();
            locality_first_pu_.push_back(logical);
        }
        localities[index].pus.set(logical);
        machine_->pus_[logical].locality = index;
    }
}

void MachineBuilder::build_numa_nodes() {
    std::vector<std::uint32_t> order(spec_.numa_nodes.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [this](auto a, auto b) {
        return spec_.numa_nodes[a].os_index < spec_.numa_nodes[b].os_index;
    });
    const auto first = locality_first_pu_.begin();
    for (const std::uint32_t i : order) {
        const NumaNodeSpec& from = spec_.numa_nodes[i];
        NumaNode node;
        node.os_index = from.os_index;
        node.kind = from.kind;
        for (const std::uint64_t page : machine_->page_sizes_) {
            const auto found = from.hugepages.find(page);
            const std::uint64_t huge =
                found == from.hugepages.end() ? 0 : found->second;
            node.bytes.push_back(page == 0 ? from.base_bytes : huge);
        }
        if (numa_set_[i] != no_index) {
            const Set& set = sets_[numa_set_[i]];
            node.pus = Bitmap::range(set.start, set.size);
            // A locality is inside the cpuset or disjoint from it, or it is what
            // smaller cpusets leave of a larger one; then its first PU, too, lies
            // outside.
            const auto low =
                std::lower_bound(first, locality_first_pu_.end(), set.start);
            const auto high =
                std::lower_bound(low, locality_first_pu_.end(), set.start + set.size);
            node.localities = Bitmap::range(static_cast<std::size_t>(low - first),
                                            static_cast<std::size_t>(high - low));
        }
        machine_->numa_nodes_.push_back(std::move(node));
    }
}

void MachineBuilder::number_allowed_numa_nodes() {
    if (!spec_.allowed_numa_nodes) {
        machine_->allowed_numa_nodes_ = Bitmap::range(0, machine_->numa_nodes_.size());
        return;
    }
    spec_.allowed_numa_nodes->for_each([this](std::size_t os_index) {
        const std::uint32_t node =
            machine_->numa_node_of_os_index(static_cast<std::uint32_t>(os_index));
        if (node == no_index) {
            fail("allowed_numa_nodes",
                 "NUMANode " + std::to_string(os_index) +
                     " is not there, want NUMANodes of the Machine");
        }
        machine_->allowed_numa_nodes_.set(node);
    });
}

Bitmap MachineBuilder::localities_inside(const Bitmap& os_cpuset) const {
    const auto& localities = machine_->localities_;
    if (os_cpuset.empty()) {  // no parent named: the Machine
        return Bitmap::range(0, localities.size());
    }
    std::vector<std::size_t> held(localities.size(), 0);
    os_cpuset.for_each([&](std::size_t os_index) {
        const std::uint32_t logical = logical_by_position_[position_of(os_index)];
        ++held[machine_->pus_[logical].locality];
    });
    Bitmap inside;
    for (std::size_t l = 0; l < localities.size(); ++l) {
        if (held[l] != 0 && held[l] == localities[l].pus.count()) {
            inside.set(l);
        }
    }
    return inside;
}

// Attaches the NUMANodes that have no PUs.
void MachineBuilder::attach_numa_nodes() {
    const auto parent_key = [this](const NumaNodeSpec& node) {
        if (!node.parent_cpuset.empty()) {
            return set_key(node.parent_cpuset);
        }
        if (!node.cpuset.empty()) {  // hwloc gives a NUMANode the cpuset of its parent
            return set_key(node.cpuset);
        }
        Bitmap all;
        for (const std::uint32_t os_index : os_by_position_) {
            all.set(os_index);
        }
        return set_key(all);
    };
    std::map<std::vector<std::uint64_t>, Bitmap> with_parent;
    for (const NumaNodeSpec& node : spec_.numa_nodes) {
        if (!node.cpuset.empty()) {
            with_parent[parent_key(node)] |=
                machine_->numa_nodes_[machine_->numa_node_of_os_index(node.os_index)]
                    .localities;
        }
    }
    for (const NumaNodeSpec& node : spec_.numa_nodes) {
        if (!node.cpuset.empty()) {
            continue;
        }
        Bitmap inside = localities_inside(node.parent_cpuset);
        const auto siblings = with_parent.find(parent_key(node));
        if (siblings != with_parent.end() && siblings->second.intersects(inside)) {
            inside &= siblings->second;
        }
        machine_->numa_nodes_[machine_->numa_node_of_os_index(node.os_index)]
            .localities = std::move(inside);
    }
}

void MachineBuilder::link_localities() {
    auto& m = *machine_;
    for (std::uint32_t i = 0; i < m.numa_nodes_.size(); ++i) {
        m.numa_nodes_[i].localities.for_each(
            [&](std::size_t l) { m.localities_[l].numa_nodes.push_back(i); });
    }
    for (const Pu& pu : m.pus_) {
        m.localities_[pu.locality].packages.set(pu.package);
        m.localities_[pu.locality].l3s.set(pu.l3);
        m.packages_[pu.package].localities.set(pu.locality);
        m.dies_[pu.die].localities.set(pu.locality);
        m.l3s_[pu.l3].localities.set(pu.locality);
        m.cores_[pu.core].localities.set(pu.locality);
    }
}

void MachineBuilder::check_distances() const {
    const DistanceSpec& matrix = *spec_.distances;
    const std::size_t size = matrix.numa_nodes.size();
    std::set<std::uint32_t> seen;
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t os_index = matrix.numa_nodes[i];
        const std::string part = "distances.numa_nodes[" + std::to_string(i) + "]";
        if (machine_->numa_node_of_os_index(os_index) == no_index) {
            fail(part, std::to_string(os_index) + ", want a NUMANode of the Machine");
        }
        if (!seen.insert(os_index).second) {
            fail(part, std::to_string(os_index) + " occurs twice, want unique");
        }
    }
    if (matrix.values.size() != size * size) {
        fail("distances.values",
             std::to_string(matrix.values.size()) + " values, want " +
                 std::to_string(size) + " times " + std::to_string(size));
    }
    for (std::size_t i = 0; i < matrix.values.size(); ++i) {
        if (matrix.values[i] > MachineLimits::distance) {
            fail("distances.values[" + std::to_string(i) + "]",
                 std::to_string(matrix.values[i]) + ", want at most " +
                     std::to_string(MachineLimits::distance));
        }
    }
}

void MachineBuilder::build_distances() {
    auto& m = *machine_;
    const std::size_t count = m.localities_.size();
    m.distances_.assign(count * count, 0);
    if (!spec_.distances) {
        return;
    }
    check_distances();
    const DistanceSpec& matrix = *spec_.distances;
    const std::size_t size = matrix.numa_nodes.size();
    std::vector<std::size_t> row_of_node(m.numa_nodes_.size(), size);
    for (std::size_t i = 0; i < size; ++i) {
        row_of_node[m.numa_node_of_os_index(matrix.numa_nodes[i])] = i;
    }
    std::vector<std::size_t> row(count, size);
    for (std::size_t l = 0; l < count; ++l) {
        // Ascending, so by os_index.
        for (const std::uint32_t node : m.localities_[l].numa_nodes) {
            if (!m.numa_nodes_[node].pus.empty()) {
                row[l] = row_of_node[node];
                break;
            }
        }
    }
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            if (row[a] != size && row[b] != size) {
                m.distances_[a * count + b] =
                    std::max(matrix.values[row[a] * size + row[b]],
                             matrix.values[row[b] * size + row[a]]);
            }
        }
    }
}

}  // namespace topoalloc
