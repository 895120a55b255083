// SPDX-License-Identifier: Apache-2.0
//
// How long do allocate and release of 2 GPUs, 2 NICs and 16 cores take? On a DGX H100
// shape, on 8 localities and on 768 PUs, each among neighbours that hold about the
// named share of cores, and half of it of the devices, at random.
#include "questions.hpp"

#include <array>
#include <utility>

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    const std::array machines{
        std::pair("dgx_h100", make_machine(dgx_h100())),
        std::pair("8_localities", make_machine(eight_localities())),
        std::pair("768_pus", make_machine(wide()))};
    for (const auto& [name, machine] : machines) {
        for (const std::uint32_t fill : {10U, 30U, 50U}) {
            for (const bool is_paired : {false, true}) {
                Question question;
                question.machine = machine;
                question.request =
                    is_paired ? paired(2, 16) : devices_and_cores(2, 2, 16);
                question.fill.core_percent = fill;
                question.fill.device_percent = fill / 2;
                add(std::string("allocate_release/") + name + "/fill_" +
                        std::to_string(fill) + (is_paired ? "/paired" : ""),
                    question,
                    Call::allocate_release);
            }
        }
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
