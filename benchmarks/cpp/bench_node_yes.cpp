// SPDX-License-Identifier: Apache-2.0
//
// How long do allocate and release of 2 GPUs, 2 NICs and 16 cores take? On a DGX H100
// shape, on 8 localities and on 768 PUs; idle machines apart, each among neighbours
// that hold about the named share of cores and devices at random.
#include "questions.hpp"

#include <array>

namespace topoalloc::bench {
namespace {

enum Place : std::int64_t { dgx_h100_shape, eight_locality_shape, wide_shape };

const Question& question(std::int64_t place, std::int64_t fill, bool pair) {
    static const std::array machines{make_machine(dgx_h100()),
                                     make_machine(eight_localities()),
                                     make_machine(wide())};
    static Question asked;
    asked.machine = machines.at(static_cast<std::size_t>(place));
    asked.request = pair ? paired(2, 16) : devices_and_cores(2, 2, 16);
    asked.fill.core_percent = static_cast<std::uint32_t>(fill);
    asked.fill.device_percent = static_cast<std::uint32_t>(fill / 2);
    return asked;
}

void allocate_release(benchmark::State& state) {
    time_question(state,
                  question(state.range(0), state.range(1), state.range(2) != 0),
                  Call::allocate_release);
}
BENCHMARK(allocate_release)
    ->ArgNames({"machine", "fill", "pair"})
    ->ArgsProduct({{dgx_h100_shape, eight_locality_shape, wide_shape},
                   {10, 30, 50},
                   {0, 1}})
    ->UseManualTime();

}  // namespace
}  // namespace topoalloc::bench

BENCHMARK_MAIN();
