// SPDX-License-Identifier: Apache-2.0
//
// oracle_claim_run: many random claim questions through the core and through a search
// without cleverness.
//
//   oracle_claim_run --instances N --seed S [--threads T] [--max-steps M] [--most C]
//
// Instance i has the seed S + i, so `--instances 1 --seed X` repeats one; every third
// is a structured one. Exit codes: 0 all agree, 1 one differs (printed), 2 bad
// arguments.
#include "oracle/claim_compare.hpp"
#include "oracle/claim_instances.hpp"
#include "oracle/run.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <iostream>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

struct Tally {
    std::array<std::uint64_t, 4> statuses{};
    std::uint64_t faults = 0, not_compared = 0;
    StepTally steps;

    void add(const ClaimAnswer& answer, bool is_counted, std::uint64_t seed) {
        if (!is_counted) {
            ++not_compared;
        } else if (answer.fault) {
            ++faults;
        } else {
            ++statuses[static_cast<std::size_t>(answer.status)];
        }
        steps.add(answer.steps, seed);
    }

    void add(const Tally& other) {
        for (std::size_t s = 0; s < statuses.size(); ++s) {
            statuses[s] += other.statuses[s];
        }
        faults += other.faults;
        not_compared += other.not_compared;
        steps.add(other.steps);
    }

    void print() const {
        for (std::size_t s = 0; s < statuses.size(); ++s) {
            std::cout << status_names[s] << " " << statuses[s] << "  ";
        }
        std::cout << "faults " << faults << "  not compared " << not_compared
                  << "\nsteps: " << steps.sum << " in all, most " << steps.most
                  << " (seed " << steps.most_seed << ")\n";
    }
};

struct Tallies {
    Tally first, best;
    void add(const Tallies& other) {
        first.add(other.first);
        best.add(other.best);
    }
};

}  // namespace

int main(int argc, char** argv) {
    RunArguments arguments;
    std::uint64_t most = 1'000'000;
    if (!parse(argc, argv, arguments, {{"--most", &most}})) {
        std::cerr << "usage: oracle_claim_run [--instances N] [--seed S] "
                     "[--threads T] [--max-steps M] [--most C]\n";
        return 2;
    }
    std::atomic<bool> differs{false};  // the thread that sets it reports
    const auto total = run_instances<Tallies>(
        arguments,
        [&](std::uint64_t seed, Tallies& tally) {
            const ClaimInstance instance =
                seed % 3 == 0 ? make_structured_claim(seed) : make_claim_instance(seed);
            const ClaimComparison result =
                compare(instance.world, instance.question, {arguments.max_steps}, most);
            tally.first.add(result.first, result.is_first_counted, seed);
            tally.best.add(result.best, result.is_best_counted, seed);
            if (!result.difference.empty() && !differs.exchange(true)) {
                std::cout << "DIFFERENCE in " << result.difference << " (seed " << seed
                          << ")\n"
                          << result.detail << "\n";
            }
        },
        [&] { return differs.load(); });
    std::cout << "first_fit: ";
    total.first.print();
    std::cout << "optimal: ";
    total.best.print();
    return differs ? 1 : 0;
}
