// SPDX-License-Identifier: Apache-2.0
//
// How long does the whole Explanation of a "no" take: its conflict, counts,
// relaxations? On a DGX H100 shape, 8 localities and 768 PUs; and of a "yes", whose
// runner-up it names.
#include "questions.hpp"

#include <array>
#include <utility>

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    std::vector<NamedQuestion> questions = slow_elsewhere();
    const std::array machines{
        std::pair("2_localities", make_machine(dgx_h100())),
        std::pair("8_localities", make_machine(eight_localities())),
        std::pair("768_pus", make_machine(wide()))};
    for (const auto& [name, machine] : machines) {
        Question no;
        no.machine = machine;
        no.request = paired(8, 0);
        no.want = topoalloc::Status::infeasible;
        no.fill.core_percent = 10;
        no.fill.spared_devices = topoalloc::Bitmap::range(0, machine->devices().size());
        no.prepare = leave({{"nic", 7, false}});
        questions.push_back({std::string("8_pairs_of_7_nics_on_") + name, no});
        Question yes;
        yes.machine = machine;
        yes.request = paired(2, 16);
        yes.fill.core_percent = 30;
        questions.push_back({std::string("yes_2_pairs_16_cores_on_") + name, yes});
    }
    for (const NamedQuestion& asked : questions) {
        benchmark::RegisterBenchmark(("explain/" + asked.name).c_str(),
                                     [&asked](benchmark::State& state) {
                                         time_question(
                                             state, asked.question, Call::explain);
                                     })
            ->UseManualTime();
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
