// SPDX-License-Identifier: Apache-2.0
//
// How long does the choice of 1 to 64 of 384 cores in the fewest L3s take, where small
// neighbours have left holes everywhere?
#include "questions.hpp"

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    const auto machine = make_machine(wide());
    for (const std::uint32_t fill : {40U, 70U}) {
        for (const std::uint32_t cores : {1U, 2U, 4U, 8U, 16U, 32U, 64U}) {
            Question question = plain(machine, devices_and_cores(0, 0, cores));
            question.fill.core_percent = fill;
            question.fill.largest = 2;
            add("cores/" + std::to_string(cores) + "_of_384/fill_" +
                    std::to_string(fill),
                question,
                Call::check);
        }
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
