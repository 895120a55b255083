// SPDX-License-Identifier: Apache-2.0
//
// The Requests and states that several benchmarks ask.
#pragma once

#include "machines.hpp"
#include "traffic.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc::bench {

/// 2 packages of 4 NUMANodes of 2 L3s of 8 cores; 8 GPU + 8 NIC, two of each a switch.
[[nodiscard]] Shape eight_localities();
/// 2 x 192 cores, 16 an L3; 8 GPU + 8 NIC.
[[nodiscard]] Shape wide();

/// `gpus` GPUs, `nics` NICs, `cores` cores.
[[nodiscard]] Request devices_and_cores(std::uint32_t gpus,
                                        std::uint32_t nics,
                                        std::uint32_t cores);
/// The same with each GPU beside a NIC of its own, joined below the root.
[[nodiscard]] Request paired(std::uint32_t pairs, std::uint32_t cores);

/// A proved "no", as tables of others' measurements list them.
struct NoCase {
    std::string name;
    Question question;
};
[[nodiscard]] std::vector<NoCase> no_cases();

/// Cordons all but `left` free devices of a class, chosen at random.
void leave_devices(Allocator& allocator,
                   std::mt19937_64& random,
                   const std::string& device_class,
                   std::size_t left);
/// Cordons whole cores at random until each locality has at most `left`.
void leave_cores(Allocator& allocator, std::mt19937_64& random, std::size_t left);

}  // namespace topoalloc::bench
