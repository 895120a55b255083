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
    for (const NamedQuestion& asked : slow_elsewhere()) {
        add("explain_no/" + asked.name, asked.question, Call::explain);
    }
    const std::array machines{std::pair("8_localities", eight_localities()),
                              std::pair("768_pus", wide())};
    for (const auto& [name, shape] : machines) {
        add(std::string("explain_no/8_pairs_of_7_nics_on_") + name,
            one_short(make_machine(shape), paired(8, 0), {"nic", 7, false}),
            Call::explain);
    }
    add("explain_yes/2_pairs_16_cores",
        plain(make_machine(dgx_h100()), paired(2, 16)),
        Call::explain);
    for (const auto& [name, shape] : machines) {
        add(std::string("explain_yes/2_pairs_16_cores_on_") + name,
            plain(make_machine(shape), paired(2, 16)),
            Call::explain);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
