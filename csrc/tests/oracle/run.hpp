// SPDX-License-Identifier: Apache-2.0
//
// What the programs that ask many random instances share: arguments, threads that take
// one seed after the other, and the tally of statuses and steps.
#pragma once

#include "topoalloc/solver.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace topoalloc::oracle {

inline constexpr std::array<const char*, 4> status_names{
    "OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN"};

/// Instance i of a run has the seed `seed` + i.
struct RunArguments {
    std::uint64_t instances = 1000;
    std::uint64_t seed = 1;
    std::uint64_t threads = 1;
    std::uint64_t max_steps = SearchLimits{}.max_steps;
};

/// Reads `--name number` pairs: those above, and the program's own.
/// @returns false when a word is not understood, or there would be no thread
inline bool parse(int argc,
                  char** argv,
                  RunArguments& arguments,
                  const std::map<std::string, std::uint64_t*>& own) {
    std::map<std::string, std::uint64_t*> targets{
        {"--instances", &arguments.instances},
        {"--seed", &arguments.seed},
        {"--threads", &arguments.threads},
        {"--max-steps", &arguments.max_steps}};
    targets.insert(own.begin(), own.end());
    const std::vector<std::string> words(argv + 1, argv + argc);
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

struct StepTally {
    std::uint64_t sum = 0, most = 0, most_seed = 0;

    void add(std::uint64_t steps, std::uint64_t seed) {
        sum += steps;
        if (steps > most) {
            most = steps;
            most_seed = seed;
        }
    }

    void add(const StepTally& other) {
        sum += other.sum;
        if (other.most > most) {
            most = other.most;
            most_seed = other.most_seed;
        }
    }
};

/// Calls work(seed, tally) for every instance, on several threads with a tally each,
/// until is_done(). Both are called concurrently.
/// @returns the sum of the tallies: Tally has add(const Tally&)
template <class Tally, class Work, class IsDone>
[[nodiscard]] Tally run_instances(const RunArguments& arguments,
                                  const Work& work,
                                  const IsDone& is_done) {
    std::atomic<std::uint64_t> next{0};
    std::mutex mutex;
    Tally total;
    const auto work_off = [&] {
        Tally tally;
        while (!is_done()) {
            const std::uint64_t i = next++;
            if (i >= arguments.instances) {
                break;
            }
            work(arguments.seed + i, tally);
        }
        const std::scoped_lock lock(mutex);
        total.add(tally);
    };
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < arguments.threads; ++i) {
        threads.emplace_back(work_off);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    return total;
}

}  // namespace topoalloc::oracle
