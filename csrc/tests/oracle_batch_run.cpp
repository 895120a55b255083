// SPDX-License-Identifier: Apache-2.0
//
// oracle_batch_run: many random batches through allocate_many's solver and the
// brute-force oracle.
//
//   oracle_batch_run --instances N --seed S [--threads T] [--max-steps M] [--most C]
//
// Instance i has the seed S + i, so `--instances 1 --seed X` repeats one. Batches with
// more than C combinations of Placements are asked, their answers judged, and counted
// apart. Exit codes: 0 all agree, 1 one differs (printed, shrunk), 2 bad arguments.
#include "oracle/compare_batch.hpp"
#include "oracle/run.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <iostream>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

struct Tally {
    std::array<std::array<std::uint64_t, 4>, 2> statuses{};  // [counted][status]
    StepTally steps;

    void add(const BatchComparison& result, std::uint64_t seed) {
        ++statuses[result.is_counted ? 1 : 0][static_cast<std::size_t>(result.status)];
        steps.add(result.steps, seed);
    }

    void add(const Tally& other) {
        for (std::size_t c = 0; c < 2; ++c) {
            for (std::size_t s = 0; s < 4; ++s) {
                statuses[c][s] += other.statuses[c][s];
            }
        }
        steps.add(other.steps);
    }

    void print() const {
        for (std::size_t c = 2; c-- > 0;) {
            std::cout << (c == 1 ? "compared:" : "too many to compare:");
            for (std::size_t s = 0; s < 4; ++s) {
                std::cout << " " << statuses[c][s] << " " << status_names[s];
            }
            std::cout << "\n";
        }
        std::cout << "steps: " << steps.sum << " in all, most " << steps.most
                  << " (seed " << steps.most_seed << ")\n";
    }
};

class Runner {
  public:
    Runner(const RunArguments& arguments, std::uint64_t most)
        : arguments_(arguments), most_(most) {}

    int run() {
        const auto total = run_instances<Tally>(
            arguments_,
            [this](std::uint64_t seed, Tally& tally) { ask(seed, tally); },
            [this] { return differs_.load(); });
        total.print();
        return differs_ ? 1 : 0;
    }

  private:
    [[nodiscard]] BatchComparison ask(const BatchInstance& instance) const {
        return compare(instance, {arguments_.max_steps}, most_);
    }

    void ask(std::uint64_t seed, Tally& tally) {
        const BatchInstance instance = make_batch_instance(seed);
        const BatchComparison result = ask(instance);
        tally.add(result, seed);
        if (!result.difference.empty() && !differs_.exchange(true)) {
            report(instance, result);
        }
    }

    void report(const BatchInstance& instance, const BatchComparison& result) {
        const BatchInstance small = shrink(instance, [&](const BatchInstance& other) {
            return ask(other).difference == result.difference;
        });
        std::cout << "DIFFERENCE in " << result.difference << "\n"
                  << ask(small).detail << "\n"
                  << dump(small) << '\n';
    }

    RunArguments arguments_;
    std::uint64_t most_;
    std::atomic<bool> differs_{false};  // the thread that sets it reports
};

}  // namespace

int main(int argc, char** argv) {
    RunArguments arguments;
    std::uint64_t most = 2'000'000;
    if (!parse(argc, argv, arguments, {{"--most", &most}})) {
        std::cerr << "usage: oracle_batch_run [--instances N] [--seed S] [--threads T] "
                     "[--max-steps M] [--most C]\n";
        return 2;
    }
    return Runner(arguments, most).run();
}
