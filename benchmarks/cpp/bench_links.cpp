// SPDX-License-Identifier: Apache-2.0
//
// How long does the choice of k GPUs of 16 by their links take? Over NVSwitch all links
// are equal; on the ring a GPU's nearer neighbours have more, so that every set has a
// price of its own. Neighbours hold about a fifth of the GPUs, at random, or none.
#include "questions.hpp"

namespace topoalloc::bench {
namespace {

Shape sixteen(bool ring) {
    Shape shape;
    shape.cores_per_l3 = 56;
    shape.gpus = 16;
    shape.gpus_per_switch = 2;
    shape.link_mb_s = 300'000;
    shape.ring_links = ring;
    return shape;
}

void add_linked(std::uint32_t gpus, bool ring, std::uint32_t fill, bool clique) {
    Question question;
    question.machine = make_machine(sixteen(ring));
    question.request = devices_and_cores(gpus, 0, 0);
    if (clique) {
        question.request.require.emplace_back(Link{"gpu", LinkMode::clique, 1});
    }
    question.fill.core_percent = 20;
    question.fill.device_percent = fill;
    add("links/" + std::to_string(gpus) + "_gpus_of_16/" + (ring ? "ring" : "switch") +
            (fill != 0 ? "/fill_" + std::to_string(fill) : "") +
            (clique ? "/clique" : ""),
        question,
        Call::check);
}

}  // namespace
}  // namespace topoalloc::bench

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    for (const bool ring : {false, true}) {
        for (const std::uint32_t fill : {0U, 20U}) {
            for (const std::uint32_t gpus : {2U, 4U, 8U}) {
                add_linked(gpus, ring, fill, false);
            }
        }
    }
    add_linked(4, true, 20, true);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
