// SPDX-License-Identifier: Apache-2.0
#include "instances.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t mebi = std::uint64_t{1} << 20;
constexpr std::uint64_t gibi = std::uint64_t{1} << 30;

using Range = std::pair<std::size_t, std::size_t>;  // cores [first, second)

class MachineMaker {
  public:
    explicit MachineMaker(Rng& rng) : rng_(rng) {}

    MachineSpec make() {
        spec_.name = "random";
        spec_.source = "seed";
        make_cores();
        make_tree();
        make_memory_nodes();
        renumber_numa_nodes();
        fill_memory();
        allow_numa_nodes();
        add_objects();
        make_distances();
        make_bridges();
        make_devices();
        make_parts();
        make_links();
        make_overrides();
        return std::move(spec_);
    }

  private:
    void make_cores() {
        const std::uint32_t count =
            rng_.percent(15) ? rng_.between(1, 3) : rng_.between(2, 8);
        const std::uint32_t smt = rng_.below(3);
        std::vector<std::uint32_t> threads;
        std::uint32_t total = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            threads.push_back(smt == 2 ? rng_.between(1, 2) : smt + 1);
            total += threads.back();
        }
        std::vector<std::uint32_t> os_indices;
        for (std::uint32_t i = 0; i < total; ++i) {
            os_indices.push_back(i);
        }
        const std::uint32_t style = rng_.below(4);
        if (style == 2) {
            for (std::uint32_t& os_index : os_indices) {
                os_index = os_index * 2 + 3;
            }
        } else if (style == 3) {
            rng_.shuffle(os_indices);
        }
        cores_.resize(count);
        std::size_t next = 0;
        // Core after core; or every first PU, then every second one.
        for (std::uint32_t round = 0; round < (style == 1 ? 2U : 1U); ++round) {
            for (std::uint32_t c = 0; c < count; ++c) {
                const std::uint32_t end =
                    style == 1 ? std::min(round + 1, threads[c]) : threads[c];
                while (cores_[c].size() < end) {
                    cores_[c].push_back(os_indices[next++]);
                }
            }
        }
    }

    [[nodiscard]] Bitmap cpuset(Range cores) const {
        Bitmap set;
        for (std::size_t c = cores.first; c < cores.second; ++c) {
            for (const std::uint32_t os_index : cores_[c]) {
                set.set(os_index);
            }
        }
        return set;
    }

    // Cuts a range into `parts` non-empty ones (fewer when it is too short).
    std::vector<Range> cut(Range whole, std::size_t parts) {
        std::vector<Range> found;
        std::size_t first = whole.first;
        for (std::size_t left = parts; left > 0 && first < whole.second; --left) {
            const std::size_t cores = whole.second - first;
            std::size_t size = left >= cores ? 1 : cores / left;
            if (left == 1) {
                size = cores;
            } else if (rng_.percent(25)) {
                size = rng_.between(1,
                                    static_cast<std::uint32_t>(std::max<std::size_t>(
                                        1, cores - std::min(cores - 1, left - 1))));
            }
            found.emplace_back(first, first + size);
            first += size;
        }
        return found;
    }

    void add_object(ObjectKind kind, const Bitmap& set) {
        ObjectSpec object;
        object.kind = kind;
        object.cpuset = set;
        object.os_index = next_os_index_[static_cast<std::size_t>(kind)]++;
        objects_.push_back(std::move(object));
    }

    void add_numa(const Bitmap& set, const Bitmap& parent) {
        NumaNodeSpec numa;
        numa.cpuset = set;
        numa.parent_cpuset = parent;
        spec_.numa_nodes.push_back(std::move(numa));
    }

    void make_tree() {
        const Range all{0, cores_.size()};
        const std::uint32_t package_count = rng_.below(2) + 1;
        const std::uint32_t most_parts = package_count == 1 ? 4 : 2;
        const bool has_packages = !rng_.percent(8);
        const bool has_numa = !rng_.percent(5);
        const std::uint32_t l3_style = rng_.below(4);
        for (const Range& package : cut(all, package_count)) {
            if (has_packages) {
                add_object(ObjectKind::package, cpuset(package));
            }
            packages_.push_back(package);
            const std::size_t parts =
                rng_.percent(35) ? 1 : rng_.between(1, most_parts);
            const std::vector<Range> ranges = cut(package, parts);
            for (const Range& range : ranges) {
                parts_.push_back(range);
                if (has_numa && !rng_.percent(4)) {
                    add_numa(cpuset(range), cpuset(rng_.percent(50) ? range : package));
                }
            }
            add_l3s(l3_style, package, ranges);
            add_dies(package, ranges);
        }
        if (has_numa && rng_.percent(6)) {
            const Bitmap outer = cpuset(rng_.percent(50) ? all : packages_.front());
            add_numa(outer, outer);
        }
    }

    void add_l3s(std::uint32_t style, Range package, const std::vector<Range>& ranges) {
        if (style == 0) {
            return;
        }
        if (style == 1) {  // an L3 spans what NUMANodes part
            add_object(ObjectKind::l3, cpuset(package));
            return;
        }
        for (const Range& range : ranges) {
            for (const Range& l3 : cut(range, style == 2 ? 1 : rng_.between(1, 3))) {
                if (!rng_.percent(5)) {
                    add_object(ObjectKind::l3, cpuset(l3));
                }
            }
        }
    }

    void add_dies(Range package, const std::vector<Range>& ranges) {
        if (!rng_.percent(15)) {
            return;
        }
        if (rng_.percent(50)) {
            add_object(ObjectKind::die, cpuset(package));
            return;
        }
        for (const Range& range : ranges) {
            add_object(ObjectKind::die, cpuset(range));
        }
    }

    void make_memory_nodes() {
        const std::size_t with_pus = spec_.numa_nodes.size();
        for (NumaNodeSpec& numa : spec_.numa_nodes) {
            numa.kind = rng_.percent(5) ? MemoryKind::hbm : MemoryKind::dram;
        }
        if (with_pus > 0 && rng_.percent(10)) {
            const NumaNodeSpec& first = spec_.numa_nodes[rng_.below(with_pus)];
            add_numa(Bitmap(first.cpuset), Bitmap(first.parent_cpuset));
            spec_.numa_nodes.back().kind = MemoryKind::hbm;
        }
        if (!rng_.percent(25)) {
            return;
        }
        const std::uint32_t count = rng_.between(1, 2);
        const std::vector<MemoryKind> kinds{MemoryKind::hbm,
                                            MemoryKind::hbm,
                                            MemoryKind::dram,
                                            MemoryKind::gpu,
                                            MemoryKind::cxl};
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::vector<Range> parents{
                rng_.pick(parts_), rng_.pick(packages_), {0, cores_.size()}};
            add_numa({}, cpuset(rng_.pick(parents)));
            spec_.numa_nodes.back().kind = rng_.pick(kinds);
        }
    }

    void renumber_numa_nodes() {
        std::vector<std::uint32_t> os_indices;
        const std::uint32_t stride = rng_.between(1, 3);
        for (std::uint32_t i = 0; i < spec_.numa_nodes.size(); ++i) {
            os_indices.push_back(i * stride);
        }
        if (rng_.percent(30)) {
            rng_.shuffle(os_indices);
        }
        for (std::size_t i = 0; i < os_indices.size(); ++i) {
            spec_.numa_nodes[i].os_index = os_indices[i];
        }
        if (rng_.percent(20)) {
            rng_.shuffle(spec_.numa_nodes);
        }
    }

    void fill_memory() {
        const bool has_small_pages = rng_.percent(40);
        const bool has_large_pages = rng_.percent(15);
        for (NumaNodeSpec& numa : spec_.numa_nodes) {
            numa.base_bytes = rng_.below(9) * mebi +
                              (rng_.percent(10) ? std::uint64_t{rng_.below(4096)} : 0);
            if (has_small_pages && rng_.percent(80)) {
                numa.hugepages[2 * mebi] = rng_.below(5) * (2 * mebi);
            }
            if (has_large_pages && rng_.percent(80)) {
                numa.hugepages[gibi] = rng_.below(3) * gibi;
            }
        }
    }

    void allow_numa_nodes() {
        if (!rng_.percent(12)) {
            return;
        }
        Bitmap allowed;
        for (const NumaNodeSpec& numa : spec_.numa_nodes) {
            if (!rng_.percent(30)) {
                allowed.set(numa.os_index);
            }
        }
        spec_.allowed_numa_nodes = allowed;
    }

    void add_objects() {
        const bool has_cores = !rng_.percent(8);
        std::vector<ObjectSpec> pus;
        for (const std::vector<std::uint32_t>& core : cores_) {
            Bitmap set;
            for (const std::uint32_t os_index : core) {
                set.set(os_index);
                ObjectSpec pu;
                pu.os_index = os_index;
                pu.cpuset.set(os_index);
                pus.push_back(std::move(pu));
            }
            if (has_cores) {
                add_object(ObjectKind::core, set);
            }
        }
        if (rng_.percent(15)) {  // PUs in the order of their OS index
            std::sort(pus.begin(), pus.end(), [](const auto& a, const auto& b) {
                return a.os_index < b.os_index;
            });
        }
        if (rng_.percent(15)) {
            rng_.shuffle(objects_);
        }
        spec_.objects = std::move(objects_);
        spec_.objects.insert(spec_.objects.end(), pus.begin(), pus.end());
        if (rng_.percent(12)) {
            Bitmap allowed;
            for (const ObjectSpec& pu : pus) {
                if (!rng_.percent(15)) {
                    allowed.set(pu.os_index);
                }
            }
            spec_.allowed_pus = allowed;
        }
    }

    void make_distances() {
        if (spec_.numa_nodes.empty() || !rng_.percent(50)) {
            return;
        }
        DistanceSpec distances;
        for (const NumaNodeSpec& numa : spec_.numa_nodes) {
            if (rng_.percent(numa.cpuset.empty() ? 50 : 92)) {
                distances.numa_nodes.push_back(numa.os_index);
            }
        }
        if (rng_.percent(20)) {
            rng_.shuffle(distances.numa_nodes);
        }
        const std::size_t n = distances.numa_nodes.size();
        const std::vector<std::uint64_t> far{11, 12, 20, 21, 32};
        const bool is_symmetric = rng_.percent(70);
        distances.values.assign(n * n, 10);
        for (std::size_t a = 0; a < n; ++a) {
            for (std::size_t b = 0; b < n; ++b) {
                if (a != b) {
                    distances.values[a * n + b] = is_symmetric && b < a
                                                      ? distances.values[b * n + a]
                                                      : rng_.pick(far);
                }
            }
        }
        spec_.distances = std::move(distances);
    }

    void make_bridges() {
        const std::uint32_t hosts = rng_.between(1, 3);
        for (std::uint32_t i = 0; i < hosts; ++i) {
            BridgeSpec host;
            host.is_host = true;
            host.name = "pci0000:" + std::to_string(10 * (i + 1));
            spec_.bridges.push_back(std::move(host));
            home_.push_back(spec_.numa_nodes.empty()
                                ? no_index
                                : rng_.pick(spec_.numa_nodes).os_index);
        }
        const std::uint32_t more = rng_.below(7);
        for (std::uint32_t i = 0; i < more; ++i) {
            BridgeSpec bridge;
            bridge.parent = rng_.below(spec_.bridges.size());
            bridge.address = PciAddress{0, static_cast<std::uint8_t>(0x80 + i), 0, 0};
            spec_.bridges.push_back(std::move(bridge));
        }
    }

    std::uint32_t pick_bridge(std::uint32_t hosts) {
        if (rng_.percent(8)) {
            return no_index;
        }
        const auto bridges = static_cast<std::uint32_t>(spec_.bridges.size());
        if (bridges == hosts || rng_.percent(12)) {
            return rng_.below(hosts);
        }
        return rng_.between(hosts, bridges - 1);
    }

    std::vector<std::uint32_t> pick_numa_nodes(std::uint32_t bridge) {
        if (spec_.numa_nodes.empty() || rng_.percent(8)) {
            return {};
        }
        std::uint32_t host = bridge;
        while (host != no_index && !spec_.bridges[host].is_host) {
            host = spec_.bridges[host].parent;
        }
        if (host != no_index && rng_.percent(80)) {
            return {home_[host]};
        }
        std::vector<std::uint32_t> nodes{rng_.pick(spec_.numa_nodes).os_index};
        const std::uint32_t second = rng_.pick(spec_.numa_nodes).os_index;
        if (second != nodes.front() && rng_.percent(50)) {
            nodes.push_back(second);
        }
        return nodes;
    }

    void make_devices() {
        const auto hosts = static_cast<std::uint32_t>(home_.size());
        std::vector<std::string> classes;
        const std::vector<std::pair<std::string, std::uint32_t>> wanted{
            {"gpu", rng_.percent(60) ? rng_.between(2, 4) : rng_.below(5)},
            {"nic", rng_.percent(60) ? rng_.between(2, 4) : rng_.below(5)},
            {rng_.percent(50) ? "nvme" : "fpga",
             rng_.percent(20) ? rng_.between(1, 3) : 0}};
        for (const auto& [cls, count] : wanted) {
            classes.insert(classes.end(), count, cls);
        }
        rng_.shuffle(classes);
        for (std::uint32_t i = 0; i < 30; ++i) {
            numbers_.push_back(i);
        }
        rng_.shuffle(numbers_);
        for (const std::string& cls : classes) {
            DeviceSpec device;
            device.device_class = cls;
            device.name = next_name();
            const bool is_function = !spec_.devices.empty() && rng_.percent(12) &&
                                     spec_.devices.back().pci_address.has_value() &&
                                     spec_.devices.back().pci_address->function < 7;
            if (is_function) {
                device.pci_address = spec_.devices.back().pci_address;
                ++device.pci_address->function;
                device.bridge = spec_.devices.back().bridge;
                device.numa_nodes = spec_.devices.back().numa_nodes;
            } else {
                device.bridge = pick_bridge(hosts);
                device.numa_nodes = pick_numa_nodes(device.bridge);
                device.pci_address = next_address();
            }
            add_properties(device);
            spec_.devices.push_back(std::move(device));
        }
    }

    std::string next_name() {
        return "card" + std::to_string(numbers_[next_number_++]);
    }

    std::optional<PciAddress> next_address() {
        if (rng_.percent(10)) {
            return std::nullopt;
        }
        PciAddress address;
        do {
            address.bus = static_cast<std::uint8_t>(rng_.below(0x70));
            address.device = static_cast<std::uint8_t>(rng_.below(2));
        } while (!slots_.insert({address.bus, address.device}).second);
        return address;
    }

    void add_properties(DeviceSpec& device) {
        const std::vector<std::string> models{"a", "b"};
        const std::vector<std::string> zones{"u", "v", "w"};
        if (rng_.percent(90)) {
            device.attributes["model"] = {{rng_.pick(models)}, false};
        }
        if (rng_.percent(70)) {
            device.attributes["rdma"] = {{rng_.percent(60)}, false};
        }
        if (rng_.percent(80)) {
            const auto rank = static_cast<std::int64_t>(rng_.below(3));
            device.attributes["rank"] =
                rng_.percent(92) ? AttributeValue{{rank}, false}
                                 : AttributeValue{{std::to_string(rank)}, false};
        }
        if (rng_.percent(88)) {
            AttributeValue value;
            value.is_list = true;
            for (const std::string& zone : zones) {
                if (rng_.percent(50)) {
                    value.values.emplace_back(zone);
                }
            }
            device.attributes["zone"] = value;
        }
        if (device.device_class == "gpu") {
            device.capacities["memory"] = rng_.between(2, 4) * std::uint64_t{8};
        } else if (device.device_class == "nic") {
            device.capacities["bandwidth"] = rng_.between(1, 2) * std::uint64_t{100};
        }
    }

    void make_parts() {
        const auto roots = static_cast<std::uint32_t>(spec_.devices.size());
        const bool gpus_have_parts = rng_.percent(22);
        const bool nics_have_parts = rng_.percent(10);
        const std::string gpu_part_class = rng_.percent(85) ? "gpu" : "mig";
        std::uint32_t parents = 0;
        for (std::uint32_t i = 0; i < roots && parents < 2; ++i) {
            const std::string cls = spec_.devices[i].device_class;
            if (cls == "gpu" && gpus_have_parts && rng_.percent(70)) {
                add_gpu_parts(i, gpu_part_class);
                ++parents;
            } else if (cls == "nic" && nics_have_parts && rng_.percent(70)) {
                add_functions(i);
                ++parents;
            }
        }
    }

    void add_gpu_parts(std::uint32_t root, const std::string& cls) {
        spec_.devices[root].counters["slice"] = rng_.between(2, 5);
        const std::uint32_t count = rng_.between(2, 4);
        for (std::uint32_t i = 0; i < count; ++i) {
            DeviceSpec part;
            part.device_class = cls;
            part.name = next_name();
            part.parent = root;
            const bool is_big = rng_.percent(30);
            part.partition = is_big ? "big" : "small";
            part.draws["slice"] = is_big ? 2 : 1;
            part.draws["memory"] = (is_big ? 2 : 1) * std::uint64_t{4};
            if (rng_.percent(40)) {
                part.capacities["memory"] = part.draws["memory"];
            }
            if (rng_.percent(20)) {
                part.attributes["model"] = {{std::string("part")}, false};
            }
            spec_.devices.push_back(std::move(part));
        }
    }

    void add_functions(std::uint32_t root) {
        const std::uint32_t count = rng_.between(2, 3);
        const bool is_counted = rng_.percent(50);
        if (is_counted) {
            spec_.devices[root].counters["vf"] = rng_.between(1, 3);
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            DeviceSpec part;
            part.device_class = "nic";
            part.name = next_name();
            part.parent = root;
            part.partition = "vf";
            if (is_counted) {
                part.draws["vf"] = 1;
            }
            const DeviceSpec& parent = spec_.devices[root];
            if (parent.pci_address && parent.pci_address->device < 2 &&
                rng_.percent(60)) {
                part.pci_address = parent.pci_address;
                part.pci_address->device = 4;
                part.pci_address->function = static_cast<std::uint8_t>(i);
                part.pci_address->domain = root + 1;  // keeps addresses unique
            }
            spec_.devices.push_back(std::move(part));
        }
    }

    void add_link(std::uint32_t a,
                  std::uint32_t b,
                  std::uint64_t there,
                  std::uint64_t back) {
        if (there > 0) {
            spec_.links.push_back({a, b, there});
        }
        if (back > 0) {
            spec_.links.push_back({b, a, back});
        }
    }

    void make_links() {
        if (!rng_.percent(45)) {
            return;
        }
        const bool is_uniform = rng_.percent(40);
        const std::string cls = rng_.percent(85) ? "gpu" : "nic";
        const std::vector<std::uint64_t> speeds{0, 0, 25000, 50000, 100000};
        for (std::uint32_t a = 0; a < spec_.devices.size(); ++a) {
            for (std::uint32_t b = a + 1; b < spec_.devices.size(); ++b) {
                const DeviceSpec& x = spec_.devices[a];
                const DeviceSpec& y = spec_.devices[b];
                const bool is_own = x.device_class == cls && y.device_class == cls;
                if (x.parent != no_index || y.parent != no_index ||
                    (!is_own && !rng_.percent(2))) {
                    continue;
                }
                const std::uint64_t there = is_uniform ? 25000 : rng_.pick(speeds);
                add_link(a, b, there, rng_.percent(85) ? there : rng_.pick(speeds));
            }
        }
    }

    void make_overrides() {
        std::vector<std::uint32_t> roots;
        for (std::uint32_t i = 0; i < spec_.devices.size(); ++i) {
            if (spec_.devices[i].parent == no_index) {
                roots.push_back(i);
            }
        }
        if (roots.size() < 4 || !rng_.percent(6)) {
            return;
        }
        rng_.shuffle(roots);
        const std::uint32_t count = rng_.between(1, 2);
        for (std::size_t i = 0; i < count; ++i) {
            spec_.level_overrides.push_back({roots[2 * i],
                                             roots[2 * i + 1],
                                             static_cast<std::uint8_t>(rng_.below(7))});
        }
    }

    Rng& rng_;
    MachineSpec spec_;
    std::vector<std::vector<std::uint32_t>> cores_;  // OS indices of PUs
    std::vector<Range> packages_, parts_;
    std::vector<ObjectSpec> objects_;
    std::array<std::uint32_t, 8> next_os_index_{};
    std::vector<std::uint32_t> home_;  // NUMANode of each host bridge
    std::vector<std::uint32_t> numbers_;
    std::size_t next_number_ = 0;
    std::set<std::pair<int, int>> slots_;
};

}  // namespace

MachineSpec make_machine(Rng& rng) {
    return MachineMaker(rng).make();
}

}  // namespace topoalloc::oracle
