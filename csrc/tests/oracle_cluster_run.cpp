// SPDX-License-Identifier: Apache-2.0
//
// oracle_cluster_run: many random Clusters of small Machines through the core and
// through brute force, over Placements on each node and over plans of the Gang.
//
//   oracle_cluster_run --instances N --seed S [--threads T] [--max-steps M] [--most C]
//
// Instance i has the seed S + i, so `--instances 1 --seed X` repeats one. Where an
// oracle would try more than C, the instance is counted apart. Exit codes: 0 all agree,
// 1 one differs (printed), 2 bad arguments.
#include "oracle/compare_cluster.hpp"
#include "oracle/run.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <iostream>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

struct Tally {
    std::array<std::uint64_t, 4> places{}, checks{};  // by status
    std::uint64_t not_compared = 0, feasible = 0, unproved_best = 0, two_machines = 0;

    void add(const ClusterComparison& result, const ClusterInstance& instance) {
        if (!result.is_counted) {
            ++not_compared;
            return;
        }
        ++places[static_cast<std::size_t>(result.place)];
        ++checks[static_cast<std::size_t>(result.check)];
        feasible += result.feasible ? 1 : 0;
        unproved_best += result.is_best && result.place == Status::feasible ? 1 : 0;
        two_machines += instance.machines.size() > 1 ? 1 : 0;
    }

    void add(const Tally& other) {
        for (std::size_t s = 0; s < places.size(); ++s) {
            places[s] += other.places[s];
            checks[s] += other.checks[s];
        }
        not_compared += other.not_compared;
        feasible += other.feasible;
        unproved_best += other.unproved_best;
        two_machines += other.two_machines;
    }

    void print() const {
        const auto line = [](const char* name, const auto& counts) {
            std::cout << name;
            for (std::size_t s = 0; s < counts.size(); ++s) {
                std::cout << "  " << status_names[s] << " " << counts[s];
            }
            std::cout << "\n";
        };
        line("place", places);
        line("check", checks);
        std::cout << "oracle: " << feasible << " have a plan; " << unproved_best
                  << " FEASIBLE answers are the best plan; " << two_machines
                  << " have two Machines; " << not_compared << " were not compared\n";
    }
};

}  // namespace

int main(int argc, char** argv) {
    RunArguments arguments;
    std::uint64_t most = 200'000;
    if (!parse(argc, argv, arguments, {{"--most", &most}})) {
        std::cerr << "usage: oracle_cluster_run [--instances N] [--seed S] "
                     "[--threads T] [--max-steps M] [--most C]\n";
        return 2;
    }
    std::atomic<bool> differs{false};  // the thread that sets it reports
    const auto total = run_instances<Tally>(
        arguments,
        [&](std::uint64_t seed, Tally& tally) {
            const ClusterInstance instance = make_cluster_instance(seed);
            const ClusterComparison result =
                compare(instance, {arguments.max_steps}, most);
            tally.add(result, instance);
            if (!result.difference.empty() && !differs.exchange(true)) {
                std::cout << "DIFFERENCE in " << result.difference << "\n"
                          << dump(instance) << result.detail << "\n";
            }
        },
        [&] { return differs.load(); });
    total.print();
    return differs ? 1 : 0;
}
