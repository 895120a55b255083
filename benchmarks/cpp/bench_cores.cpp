// SPDX-License-Identifier: Apache-2.0
//
// How long does the choice of 1 to 64 of 384 cores in the fewest L3s take, where small
// neighbours have left holes everywhere?
#include "questions.hpp"

namespace topoalloc::bench {
namespace {

void choose_cores(benchmark::State& state) {
    Question question;
    question.machine = make_machine(wide());
    question.request =
        devices_and_cores(0, 0, static_cast<std::uint32_t>(state.range(0)));
    question.fill.core_percent = static_cast<std::uint32_t>(state.range(1));
    question.fill.largest = 2;
    time_question(state, question, Call::check);
}
BENCHMARK(choose_cores)
    ->ArgNames({"cores", "fill"})
    ->ArgsProduct({{1, 2, 4, 8, 16, 32, 64}, {40, 70}})
    ->UseManualTime();

}  // namespace
}  // namespace topoalloc::bench

BENCHMARK_MAIN();
