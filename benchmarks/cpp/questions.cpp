// SPDX-License-Identifier: Apache-2.0
#include "questions.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc::bench {
namespace {

void uncordon_all(Allocator& allocator) {
    for (std::uint32_t d = 0; d < allocator.machine()->devices().size(); ++d) {
        allocator.cordon_device(d, false);
    }
    for (std::uint32_t pu = 0; pu < allocator.machine()->pus().size(); ++pu) {
        allocator.cordon_pu(pu, false);
    }
}

}  // namespace

Shape eight_localities() {
    Shape shape;
    shape.numa_per_package = 4;
    shape.l3_per_numa = 2;
    shape.cores_per_l3 = 8;
    shape.gpus = 8;
    shape.nics = 8;
    shape.gpus_per_switch = 2;
    shape.link_mb_s = 300'000;
    return shape;
}

Shape wide() {
    Shape shape;
    shape.l3_per_numa = 12;
    shape.cores_per_l3 = 16;
    shape.gpus = 8;
    shape.nics = 8;
    shape.link_mb_s = 450'000;
    return shape;
}

Request devices_and_cores(std::uint32_t gpus, std::uint32_t nics, std::uint32_t cores) {
    Request request;
    request.cores = cores;
    for (const auto& [name, count] : {std::pair("gpu", gpus), std::pair("nic", nics)}) {
        if (count != 0) {
            DeviceRequest device;
            device.device_class = name;
            device.count = count;
            request.devices.push_back(std::move(device));
        }
    }
    return request;
}

Request paired(std::uint32_t pairs, std::uint32_t cores) {
    Request request = devices_and_cores(pairs, pairs, cores);
    request.require.emplace_back(Pair{"gpu", "nic", Level::bridges, 1, 1});
    return request;
}

void leave_devices(Allocator& allocator,
                   std::mt19937_64& random,
                   const std::string& device_class,
                   std::size_t left) {
    std::vector<std::uint32_t> free;
    {
        const auto state = allocator.state();
        for (std::uint32_t d = 0; d < state->machine().devices().size(); ++d) {
            if (state->machine().devices()[d].device_class == device_class &&
                state->is_available(d)) {
                free.push_back(d);
            }
        }
    }
    while (free.size() > left) {
        const std::size_t at = random() % free.size();
        allocator.cordon_device(free[at], true);
        free.erase(free.begin() + static_cast<std::ptrdiff_t>(at));
    }
}

void leave_cores(Allocator& allocator, std::mt19937_64& random, std::size_t left) {
    const Machine& machine = *allocator.machine();
    std::vector<std::vector<std::uint32_t>> free(machine.localities().size());
    {
        const auto state = allocator.state();
        state->whole_cores().for_each([&](std::size_t core) {
            const auto pu = machine.cores()[core].pus.first();
            free[machine.pus()[pu].locality].push_back(static_cast<std::uint32_t>(pu));
        });
    }
    for (std::vector<std::uint32_t>& pus : free) {
        while (pus.size() > left) {
            const std::size_t at = random() % pus.size();
            allocator.cordon_pu(pus[at], true);
            pus.erase(pus.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
}

std::vector<NoCase> no_cases() {
    (void)uncordon_all;
    return {};
}

}  // namespace topoalloc::bench
