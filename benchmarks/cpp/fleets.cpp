// SPDX-License-Identifier: Apache-2.0
#include "fleets.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc::bench {
namespace {

std::string numbered(const char* what, std::uint32_t number) {
    const std::string digits = std::to_string(number);
    return what + std::string(6 - std::min<std::size_t>(6, digits.size()), '0') +
           digits;
}

// What neighbours hold in the state of that number: a core of those that its bits name,
// and a GPU in every third. Each number is a state of its own.
Placement neighbour_of(std::uint32_t state, const Machine& machine) {
    Placement placement;
    for (std::uint32_t bit = 0; state >> bit != 0; ++bit) {
        if ((state >> bit & 1U) != 0) {
            placement.pus |= machine.cores()[2 * bit].pus;
        }
    }
    if (state % 3 == 2) {
        placement.devices.push_back({0, {}});
    }
    return placement;
}

}  // namespace

std::unique_ptr<Cluster> make_fleet(const FleetShape& shape,
                                    const std::shared_ptr<const Machine>& machine) {
    auto cluster = std::make_unique<Cluster>(
        std::vector<ClusterTree>{{"network", {"block", "rack"}}});
    std::vector<NodeDescription> nodes(shape.nodes);
    for (std::uint32_t n = 0; n < shape.nodes; ++n) {
        nodes[n].name = numbered("n", n);
        nodes[n].machine = machine;
        nodes[n].domains = {{"block", numbered("b", n / shape.block_nodes)},
                            {"rack", numbered("r", n / shape.rack_nodes)}};
    }
    cluster->add_nodes(std::move(nodes));
    for (std::uint32_t n = 0; n < shape.nodes && shape.states > 1; ++n) {
        // Spread over the racks, so that no two of them are alike.
        const auto state = static_cast<std::uint32_t>(std::uint64_t{n} *
                                                      2'654'435'761U % shape.states);
        if (state != 0) {
            cluster->node(numbered("n", n))
                ->take(neighbour_of(state, *machine), "neighbour");
        }
    }
    return cluster;
}

std::shared_ptr<const Request> pod_request(std::uint32_t cores) {
    Request request;
    request.cores = cores;
    for (const char* name : {"gpu", "nic"}) {
        DeviceRequest device;
        device.device_class = name;
        device.count = 2;
        request.devices.push_back(std::move(device));
    }
    return std::make_shared<const Request>(std::move(request));
}

std::shared_ptr<const Gang> one_podset(const std::string& name,
                                       const std::shared_ptr<const Request>& request,
                                       std::uint32_t count,
                                       std::vector<GangConstraint> require) {
    PodSet podset;
    podset.name = "worker";
    podset.request = request;
    podset.count = podset.min_count = count;
    podset.require = std::move(require);
    Gang gang;
    gang.name = name;
    gang.podsets = {std::move(podset)};
    return std::make_shared<const Gang>(std::move(gang));
}

}  // namespace topoalloc::bench
