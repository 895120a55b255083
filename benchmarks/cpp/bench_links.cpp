// SPDX-License-Identifier: Apache-2.0
//
// How long does the choice of k GPUs of 16 by their links take? Over NVSwitch all links
// are equal; on the ring a GPU's nearer neighbours have more, so that every set has a
// price of its own. About a fifth of the GPUs are taken, at random.
#include "questions.hpp"

namespace topoalloc::bench {
namespace {

Question question(std::uint32_t gpus, bool ring, bool clique) {
    Shape shape;
    shape.cores_per_l3 = 56;
    shape.gpus = 16;
    shape.gpus_per_switch = 2;
    shape.link_mb_s = 300'000;
    shape.ring_links = ring;
    Question asked;
    asked.machine = make_machine(shape);
    asked.request = devices_and_cores(gpus, 0, 0);
    if (clique) {
        asked.request.require.emplace_back(Link{"gpu", LinkMode::clique, 1});
    }
    asked.fill.core_percent = 20;
    asked.fill.device_percent = 20;
    return asked;
}

void choose_linked(benchmark::State& state) {
    time_question(state,
                  question(static_cast<std::uint32_t>(state.range(0)),
                           state.range(1) != 0,
                           state.range(2) != 0),
                  Call::check);
}
BENCHMARK(choose_linked)
    ->ArgNames({"gpus", "ring", "clique"})
    ->ArgsProduct({{2, 4, 8}, {0, 1}, {0}})
    ->Args({4, 1, 1})
    ->UseManualTime();

}  // namespace
}  // namespace topoalloc::bench

BENCHMARK_MAIN();
