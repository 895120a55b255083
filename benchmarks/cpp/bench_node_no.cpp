// SPDX-License-Identifier: Apache-2.0
//
// How long does a proved "no" take? The cases are those that depth-first allocators
// answer in milliseconds to minutes: devices or cores one short, alone and together.
#include "questions.hpp"

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    for (const NamedQuestion& asked : slow_elsewhere()) {
        add("check_no/" + asked.name, asked.question, Call::check);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
