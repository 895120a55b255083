// SPDX-License-Identifier: Apache-2.0
#include "machines.hpp"

#include <algorithm>
#include <string>

namespace topoalloc::bench {
namespace {

class Maker {
  public:
    explicit Maker(const Shape& shape) : shape_(shape) {}

    MachineSpec make() {
        const std::uint32_t cores = shape_.packages * shape_.numa_per_package *
                                    shape_.l3_per_numa * shape_.cores_per_l3;
        spec_.name = "bench";
        spec_.source = "benchmark";
        for (std::uint32_t core = 0; core < cores; ++core) {
            add(ObjectKind::core, core, core, 1);
        }
        for (std::uint32_t core = 0; core < cores; ++core) {
            for (std::uint32_t thread = 0; thread < shape_.pus_per_core; ++thread) {
                Bitmap self;
                self.set(core + thread * cores);
                spec_.objects.push_back({ObjectKind::pu, core + thread * cores, self});
            }
        }
        const std::uint32_t l3s = cores / shape_.cores_per_l3;
        for (std::uint32_t l3 = 0; l3 < l3s; ++l3) {
            add(ObjectKind::l3, l3, l3 * shape_.cores_per_l3, shape_.cores_per_l3);
        }
        const std::uint32_t per_package = cores / shape_.packages;
        for (std::uint32_t package = 0; package < shape_.packages; ++package) {
            add(ObjectKind::package, package, package * per_package, per_package);
        }
        add_numa_nodes(cores);
        add_devices();
        add_links();
        return std::move(spec_);
    }

  private:
    Bitmap cpuset(std::uint32_t first_core, std::uint32_t count) const {
        const std::uint32_t cores = shape_.packages * shape_.numa_per_package *
                                    shape_.l3_per_numa * shape_.cores_per_l3;
        Bitmap set;
        for (std::uint32_t thread = 0; thread < shape_.pus_per_core; ++thread) {
            for (std::uint32_t core = first_core; core < first_core + count; ++core) {
                set.set(core + thread * cores);
            }
        }
        return set;
    }

    void add(ObjectKind kind,
             std::uint32_t index,
             std::uint32_t first,
             std::uint32_t count) {
        spec_.objects.push_back({kind, index, cpuset(first, count)});
    }

    void add_numa_nodes(std::uint32_t cores) {
        const std::uint32_t nodes = shape_.packages * shape_.numa_per_package;
        DistanceSpec distances;
        for (std::uint32_t node = 0; node < nodes; ++node) {
            NumaNodeSpec numa;
            numa.os_index = node;
            numa.cpuset = cpuset(node * (cores / nodes), cores / nodes);
            numa.base_bytes = std::uint64_t{1} << 40;
            spec_.numa_nodes.push_back(numa);
            distances.numa_nodes.push_back(node);
        }
        for (std::uint32_t a = 0; a < nodes; ++a) {
            for (std::uint32_t b = 0; b < nodes; ++b) {
                const bool near =
                    a / shape_.numa_per_package == b / shape_.numa_per_package;
                distances.values.push_back(a == b ? 10U : near ? 12U : 32U);
            }
        }
        spec_.distances = distances;
    }

    // A root port and a switch for every `gpus_per_switch` GPUs, with their share of
    // NICs.
    void add_devices() {
        if (shape_.gpus == 0) {
            return;
        }
        const std::uint32_t nodes = shape_.packages * shape_.numa_per_package;
        const std::uint32_t switches = shape_.gpus / shape_.gpus_per_switch;
        for (std::uint32_t s = 0; s < switches; ++s) {
            const auto bus = static_cast<std::uint8_t>(s * 8);
            const auto host = static_cast<std::uint32_t>(spec_.bridges.size());
            spec_.bridges.push_back(
                {true, no_index, std::nullopt, "pci" + std::to_string(s)});
            spec_.bridges.push_back({false, host, PciAddress{0, bus, 1, 0}, ""});
            const auto top = static_cast<std::uint32_t>(spec_.bridges.size());
            spec_.bridges.push_back(
                {false,
                 host + 1,
                 PciAddress{0, static_cast<std::uint8_t>(bus + 1), 0, 0},
                 ""});
            const std::uint32_t node = s * nodes / switches;
            for (std::uint32_t g = 0; g < shape_.gpus_per_switch; ++g) {
                add_device("gpu", top, bus, 2 + g, node);
            }
            for (std::uint32_t n = s * shape_.nics / switches;
                 n < (s + 1) * shape_.nics / switches;
                 ++n) {
                add_device("nic", top, bus, 16 + n % 16, node);
            }
        }
    }

    void add_device(const std::string& device_class,
                    std::uint32_t top,
                    std::uint8_t bus,
                    std::uint32_t slot,
                    std::uint32_t node) {
        const auto port = static_cast<std::uint32_t>(spec_.bridges.size());
        spec_.bridges.push_back({false,
                                 top,
                                 PciAddress{0,
                                            static_cast<std::uint8_t>(bus + 2),
                                            static_cast<std::uint8_t>(slot),
                                            0},
                                 ""});
        DeviceSpec device;
        device.device_class = device_class;
        device.name = device_class + std::to_string(spec_.devices.size());
        device.pci_address = PciAddress{
            0, static_cast<std::uint8_t>(bus + 3), static_cast<std::uint8_t>(slot), 0};
        device.bridge = port;
        device.numa_nodes = {node};
        spec_.devices.push_back(device);
    }

    void add_links() {
        std::vector<std::uint32_t> gpus;
        for (std::uint32_t d = 0; d < spec_.devices.size(); ++d) {
            if (spec_.devices[d].device_class == "gpu") {
                gpus.push_back(d);
            }
        }
        for (std::size_t i = 0; shape_.link_mb_s != 0 && i < gpus.size(); ++i) {
            for (std::size_t j = 0; j < gpus.size(); ++j) {
                const std::size_t apart = (i > j ? i - j : j - i) % gpus.size();
                const std::size_t ring = std::min(apart, gpus.size() - apart);
                const bool linked = !shape_.ring_links || ring <= 4;
                if (i != j && linked) {
                    const std::uint64_t part = shape_.ring_links ? ring : 1;
                    spec_.links.push_back({gpus[i], gpus[j], shape_.link_mb_s / part});
                }
            }
        }
    }

    const Shape& shape_;
    MachineSpec spec_;
};

}  // namespace

Shape dgx_h100() {
    Shape shape;
    shape.cores_per_l3 = 56;
    shape.gpus = 8;
    shape.nics = 8;
    shape.link_mb_s = 450'000;
    return shape;
}

std::shared_ptr<const Machine> make_machine(const Shape& shape) {
    return Machine::build(Maker(shape).make());
}

}  // namespace topoalloc::bench
