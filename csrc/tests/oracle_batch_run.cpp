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

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace topoalloc;
using namespace topoalloc::oracle;

struct Arguments {
    std::uint64_t instances = 1000;
    std::uint64_t seed = 1;
    std::uint64_t threads = 1;
    std::uint64_t max_steps = SearchLimits{}.max_steps;
    std::uint64_t most = 2'000'000;
};

bool parse(const std::vector<std::string>& words, Arguments& arguments) {
    const std::map<std::string, std::uint64_t*> targets{
        {"--instances", &arguments.instances},
        {"--seed", &arguments.seed},
        {"--threads", &arguments.threads},
        {"--max-steps", &arguments.max_steps},
        {"--most", &arguments.most}};
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const auto target = targets.find(words[i]);
        if (target == targets.end() || i + 1 == words.size()) {
            return false;
        }
        char* end = nullptr;
        *target->second = std::strtoull(words[i + 1].c_str(), &end, 10);
        if (words[i + 1].empty() || *end != '\0') {
            return false;
        }
    }
    return arguments.threads > 0;
}

constexpr std::array<const char*, 4> status_names{
    "OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN"};

struct Tally {
    std::array<std::array<std::uint64_t, 4>, 2> statuses{};  // [counted][status]
    std::uint64_t most_steps = 0, most_steps_seed = 0, steps = 0;

    void add(const BatchComparison& result, std::uint64_t seed) {
        ++statuses[result.is_counted ? 1 : 0][static_cast<std::size_t>(result.status)];
        steps += result.steps;
        if (result.steps > most_steps) {
            most_steps = result.steps;
            most_steps_seed = seed;
        }
    }

    void add(const Tally& other) {
        for (std::size_t c = 0; c < 2; ++c) {
            for (std::size_t s = 0; s < 4; ++s) {
                statuses[c][s] += other.statuses[c][s];
            }
        }
        steps += other.steps;
        if (other.most_steps > most_steps) {
            most_steps = other.most_steps;
            most_steps_seed = other.most_steps_seed;
        }
    }

    void print() const {
        for (std::size_t c = 2; c-- > 0;) {
            std::cout << (c == 1 ? "compared:" : "too many to compare:");
            for (std::size_t s = 0; s < 4; ++s) {
                std::cout << " " << statuses[c][s] << " " << status_names[s];
            }
            std::cout << "\n";
        }
        std::cout << "steps: " << steps << " in all, most " << most_steps << " (seed "
                  << most_steps_seed << ")\n";
    }
};

class Runner {
  public:
    explicit Runner(const Arguments& arguments) : arguments_(arguments) {}

    int run() {
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < arguments_.threads; ++i) {
            threads.emplace_back([this] { work(); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        total_.print();
        return differs_ ? 1 : 0;
    }

  private:
    [[nodiscard]] BatchComparison ask(const BatchInstance& instance) const {
        return compare(instance, {arguments_.max_steps}, arguments_.most);
    }

    void work() {
        Tally tally;
        while (!differs_) {
            const std::uint64_t i = next_++;
            if (i >= arguments_.instances) {
                break;
            }
            const BatchInstance instance = make_batch_instance(arguments_.seed + i);
            const BatchComparison result = ask(instance);
            tally.add(result, arguments_.seed + i);
            if (!result.difference.empty() && !differs_.exchange(true)) {
                report(instance, result);
            }
        }
        const std::scoped_lock lock(mutex_);
        total_.add(tally);
    }

    void report(const BatchInstance& instance, const BatchComparison& result) {
        const BatchInstance small = shrink(instance, [&](const BatchInstance& other) {
            return ask(other).difference == result.difference;
        });
        const std::scoped_lock lock(mutex_);
        std::cout << "DIFFERENCE in " << result.difference << "\n"
                  << ask(small).detail << "\n"
                  << dump(small) << '\n';
    }

    Arguments arguments_;
    std::atomic<std::uint64_t> next_{0};
    std::atomic<bool> differs_{false};
    std::mutex mutex_;
    Tally total_;
};

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(std::vector<std::string>(argv + 1, argv + argc), arguments)) {
        std::cerr << "usage: oracle_batch_run [--instances N] [--seed S] [--threads T] "
                     "[--max-steps M] [--most C]\n";
        return 2;
    }
    return Runner(arguments).run();
}
