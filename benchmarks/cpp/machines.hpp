// SPDX-License-Identifier: Apache-2.0
//
// Machines to measure on, made from a few numbers.
#pragma once

#include "topoalloc/machine.hpp"

#include <cstdint>
#include <memory>

namespace topoalloc::bench {

struct Shape {
    std::uint32_t packages = 2;
    std::uint32_t numa_per_package = 1;
    std::uint32_t l3_per_numa = 1;
    std::uint32_t cores_per_l3 = 8;
    std::uint32_t pus_per_core = 2;
    std::uint32_t gpus = 0;  ///< spread evenly over the NUMANodes
    std::uint32_t nics = 0;
    std::uint32_t gpus_per_switch = 1;
    std::uint64_t link_mb_s = 0;  ///< 0: no links; else every GPU pair (NVSwitch)
    bool ring_links = false;      ///< unequal links: near neighbours have more
};

/// 2 x 56 cores, 8 GPU + 8 NIC, a switch each, NVSwitch.
[[nodiscard]] Shape dgx_h100();

[[nodiscard]] std::shared_ptr<const Machine> make_machine(const Shape& shape);

}  // namespace topoalloc::bench
