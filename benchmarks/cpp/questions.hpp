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

/// Adds: all of it in one NUMANode.
[[nodiscard]] Request in_one_numa_node(Request request);

/// What may be left free of one kind before the question is asked. Devices and cores
/// beyond it are cordoned, chosen at random.
struct Leave {
    std::string kind;  ///< a class, or "cores"
    std::size_t count = 0;
    bool each_locality = false;  ///< so many in each, not in all
};

/// A "yes" among neighbours that hold 10 % of the cores and no device.
[[nodiscard]] Question plain(std::shared_ptr<const Machine> machine, Request request);
/// The same as a "no": before each question all cordons are lifted and those of `left`
/// set, one less than the Request needs, as counting confirms.
[[nodiscard]] Question one_short(std::shared_ptr<const Machine> machine,
                                 Request request,
                                 const Leave& left);
/// `pairs` pairs and `cores` cores: as many GPUs are left as pairs are asked for, but
/// the NICs beside one of them are cordoned.
[[nodiscard]] Question one_partner_short(std::shared_ptr<const Machine> machine,
                                         std::uint32_t pairs,
                                         std::uint32_t cores);

struct NamedQuestion {
    std::string name;
    Question question;
};
/// Those that others answer slowly, all with a proved "no".
[[nodiscard]] std::vector<NamedQuestion> slow_elsewhere();

}  // namespace topoalloc::bench
