// SPDX-License-Identifier: Apache-2.0
//
// How does the time grow with the machine, yes and no alike: 1 to 16 GPUs, 2 to 64
// NUMANodes, 8 to 768 PUs? The same Request is asked where it fits and where it is one
// short everywhere: a "no" must not cost more than the slowest "yes" of its size.
#include "questions.hpp"

namespace topoalloc::bench {
namespace {

void add_gpus(std::uint32_t gpus) {
    Shape shape;
    shape.cores_per_l3 = 56;
    shape.gpus = gpus;
    shape.nics = gpus;
    shape.link_mb_s = 450'000;
    const auto machine = make_machine(shape);
    const std::uint32_t pairs = (gpus + 1) / 2;
    const std::string name = "growth/" + std::to_string(gpus) + "_gpus/";
    add(name + "yes", plain(machine, paired(pairs, 4)), Call::check);
    add(name + "no", one_partner_short(machine, pairs, 4), Call::check);
}

// 4 of 6 cores of one NUMANode, and 9 cores of two.
void add_numa_nodes(std::uint32_t nodes) {
    Shape shape;
    shape.packages = nodes < 8 ? 2 : 4;
    shape.numa_per_package = nodes / shape.packages;
    shape.cores_per_l3 = 6;
    const auto machine = make_machine(shape);
    const Request aligned = in_one_numa_node(devices_and_cores(0, 0, 4));
    const std::string name = "growth/" + std::to_string(nodes) + "_numa_nodes/";
    add(name + "yes", plain(machine, aligned), Call::check);
    add(name + "yes_of_two", plain(machine, devices_and_cores(0, 0, 9)), Call::check);
    add(name + "no", one_short(machine, aligned, {"cores", 3, true}), Call::check);
}

// A quarter of the cores, in one of the two NUMANodes.
void add_pus(std::uint32_t pus) {
    Shape shape;
    const std::uint32_t cores = pus / 4;  // of a package
    shape.l3_per_numa = cores < 16 ? 1 : cores / 16;
    shape.cores_per_l3 = cores / shape.l3_per_numa;
    const auto machine = make_machine(shape);
    const std::uint32_t wanted = cores / 2;
    const Request aligned = in_one_numa_node(devices_and_cores(0, 0, wanted));
    const std::string name = "growth/" + std::to_string(pus) + "_pus/";
    add(name + "yes", plain(machine, aligned), Call::check);
    add(name + "no",
        one_short(machine, aligned, {"cores", wanted - 1, true}),
        Call::check);
}

}  // namespace
}  // namespace topoalloc::bench

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    for (const std::uint32_t gpus : {1U, 2U, 4U, 8U, 16U}) {
        add_gpus(gpus);
    }
    for (const std::uint32_t nodes : {2U, 4U, 8U, 16U, 32U, 64U}) {
        add_numa_nodes(nodes);
    }
    for (const std::uint32_t pus : {8U, 64U, 128U, 256U, 512U, 768U}) {
        add_pus(pus);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
