// SPDX-License-Identifier: Apache-2.0
//
// oracle_rail_run: many random Gangs with Rails on small Clusters, through the core
// and by enumeration.
//
//   oracle_rail_run --instances N --seed S [--threads T]
//
// Instance i has the seed S + i. Exit codes: 0 all agree, 1 one differs (printed), 2
// bad arguments.
#include "oracle/rail_compare.hpp"
#include "oracle/run.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <mutex>

namespace {

using namespace topoalloc::oracle;

struct Tally {
    std::uint64_t asked = 0, counted = 0, plans = 0, tight = 0, replaced = 0;
    StepTally steps;

    void add(const Tally& other) {
        asked += other.asked;
        counted += other.counted;
        plans += other.plans;
        tight += other.tight;
        replaced += other.replaced;
        steps.add(other.steps);
    }
};

}  // namespace

int main(int argc, char** argv) {
    RunArguments arguments;
    if (!parse(argc, argv, arguments, {})) {
        std::cerr << "want --instances N --seed S [--threads T]\n";
        return 2;
    }
    std::atomic<bool> differs{false};
    std::mutex mutex;
    const auto work = [&](std::uint64_t seed, Tally& tally) {
        const RailComparison found = compare_rails(seed);
        ++tally.asked;
        tally.counted += found.is_counted ? 1 : 0;
        tally.plans += found.has_plan ? 1 : 0;
        tally.tight += found.is_tight ? 1 : 0;
        tally.replaced += found.has_replaced ? 1 : 0;
        tally.steps.add(found.most_steps, seed);
        if (!found.difference.empty()) {
            const std::scoped_lock lock(mutex);
            std::cout << "seed " << seed << ": " << found.difference << "\n";
            differs = true;
        }
    };
    const auto total =
        run_instances<Tally>(arguments, work, [&] { return differs.load(); });
    std::cout << total.asked << " asked, " << total.counted << " compared, "
              << total.plans << " with a plan, " << total.tight
              << " where Rails change the answer, " << total.replaced
              << " with replace or grow; most steps of one answer " << total.steps.most
              << " (seed " << total.steps.most_seed << ")\n";
    return differs ? 1 : 0;
}
