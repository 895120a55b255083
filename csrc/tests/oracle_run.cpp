// SPDX-License-Identifier: Apache-2.0
//
// oracle_run: many random instances through the solver and the brute-force oracle.
//
//   oracle_run --instances N --seed S [--threads T] [--max-steps M] [--max-differences
//   D] [--orders 1]
//
// With `--orders 1`, each instance has an order of the cost terms of its own.
//
// Instance i has the seed S + i, so `--instances 1 --seed X` repeats one. Exit codes: 0
// all agree, 1 some differ (each is printed, shrunk), 2 bad arguments.
#include "oracle/compare.hpp"
#include "oracle/run.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

struct Arguments {
    RunArguments run{.instances = 10000};
    std::uint64_t max_differences = 1;
    std::uint64_t orders = 0;
};

constexpr std::array<const char*, 6> kind_names{
    "Align", "Pair", "Link", "Same", "Distinct", "Near"};
// How often each constraint met each status, and how much work it was.
struct Tally {
    std::array<std::uint64_t, 4> statuses{};
    std::array<std::array<std::array<std::uint64_t, 4>, 2>, 6> by_kind{};
    std::array<std::uint64_t, 6> unmet{};  // preferred ones of an answer, not met
    std::uint64_t instances = 0;
    StepTally steps;
    std::map<std::string, std::uint64_t> differences;

    void add(const Instance& instance, const Comparison& result) {
        ++instances;
        if (!result.difference.empty()) {
            ++differences[result.difference];
            return;
        }
        const auto status = static_cast<std::size_t>(result.status);
        ++statuses[status];
        steps.add(result.steps, instance.seed);
        for (const Constraint& constraint : instance.request.require) {
            ++by_kind[constraint.index()][0][status];
        }
        const std::vector<Constraint>& prefer = instance.request.prefer;
        for (std::size_t i = 0; i < prefer.size(); ++i) {
            ++by_kind[prefer[i].index()][1][status];
            const bool is_unmet =
                ((result.unmet_vector >> (prefer.size() - 1 - i)) & 1) != 0;
            unmet[prefer[i].index()] += is_unmet ? 1 : 0;
        }
    }

    void add(const Tally& other) {
        instances += other.instances;
        steps.add(other.steps);
        for (std::size_t s = 0; s < statuses.size(); ++s) {
            statuses[s] += other.statuses[s];
            for (std::size_t kind = 0; kind < by_kind.size(); ++kind) {
                by_kind[kind][0][s] += other.by_kind[kind][0][s];
                by_kind[kind][1][s] += other.by_kind[kind][1][s];
            }
        }
        for (std::size_t kind = 0; kind < unmet.size(); ++kind) {
            unmet[kind] += other.unmet[kind];
        }
        for (const auto& [what, count] : other.differences) {
            differences[what] += count;
        }
    }

    void print() const {
        std::cout << instances << " instances:";
        for (std::size_t s = 0; s < statuses.size(); ++s) {
            std::cout << " " << statuses[s] << " " << status_names[s]
                      << (s < 3 ? "," : "\n");
        }
        std::cout << std::left << std::setw(10) << "constraint" << std::setw(10)
                  << "list";
        for (const char* status : status_names) {
            std::cout << std::right << std::setw(12) << status;
        }
        std::cout << std::setw(12) << "unmet" << "\n";
        for (std::size_t kind = 0; kind < by_kind.size(); ++kind) {
            for (std::size_t l = 0; l < 2; ++l) {
                std::cout << std::left << std::setw(10) << kind_names[kind]
                          << std::setw(10) << (l == 0 ? "required" : "preferred")
                          << std::right;
                for (const std::uint64_t count : by_kind[kind][l]) {
                    std::cout << std::setw(12) << count;
                }
                std::cout << std::setw(12)
                          << (l == 0 ? "-" : std::to_string(unmet[kind])) << "\n";
            }
        }
        const double mean = instances == 0 ? 0.0
                                           : static_cast<double>(steps.sum) /
                                                 static_cast<double>(instances);
        std::cout << "steps: mean " << mean << ", max " << steps.most << " (seed "
                  << steps.most_seed << ")\n";
        for (const auto& [what, count] : differences) {
            std::cout << "differences in " << what << ": " << count << "\n";
        }
    }
};

class Runner {
  public:
    explicit Runner(const Arguments& arguments)
        : arguments_(arguments), limits_{arguments.run.max_steps} {}

    int run() {
        const auto total = run_instances<Tally>(
            arguments_.run,
            [this](std::uint64_t seed, Tally& tally) { ask(seed, tally); },
            [this] { return differences_ >= arguments_.max_differences; });
        total.print();
        return differences_ == 0 ? 0 : 1;
    }

  private:
    void ask(std::uint64_t seed, Tally& tally) {
        const Instance instance =
            arguments_.orders != 0 ? make_ordered_instance(seed) : make_instance(seed);
        const Comparison result = compare(instance, limits_);
        tally.add(instance, result);
        if (!result.difference.empty()) {
            report(instance, result);
        }
    }

    void report(const Instance& instance, const Comparison& result) {
        if (differences_++ >= arguments_.max_differences) {
            return;
        }
        const Instance small = shrink(instance, [&](const Instance& candidate) {
            return compare(candidate, limits_).difference == result.difference;
        });
        const Comparison again = compare(small, limits_);
        const std::scoped_lock lock(mutex_);
        std::cout << "DIFFERENCE in " << again.difference << "\n"
                  << again.detail << "\n"
                  << dump(small) << '\n';
    }

    Arguments arguments_;
    SearchLimits limits_;
    std::atomic<std::uint64_t> differences_{0};
    std::mutex mutex_;
};

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc,
               argv,
               arguments.run,
               {{"--max-differences", &arguments.max_differences},
                {"--orders", &arguments.orders}})) {
        std::cerr << "usage: oracle_run [--instances N] [--seed S] [--threads T] "
                     "[--max-steps M] [--max-differences D] "
                     "[--orders 1]\n";
        return 2;
    }
    return Runner(arguments).run();
}
