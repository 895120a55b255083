// SPDX-License-Identifier: Apache-2.0
//
// How long does a proved "no" take? The cases are those that depth-first allocators
// answer in milliseconds to minutes: devices or cores one short, alone and together.
#include "questions.hpp"

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    const std::vector<NamedQuestion> questions = slow_elsewhere();
    for (const NamedQuestion& asked : questions) {
        benchmark::RegisterBenchmark(("check_no/" + asked.name).c_str(),
                                     [&asked](benchmark::State& state) {
                                         time_question(
                                             state, asked.question, Call::check);
                                     })
            ->UseManualTime();
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
