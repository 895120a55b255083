// SPDX-License-Identifier: Apache-2.0
//
// Streams of distinct states, and the clock on a question asked of them.
//
// A Traffic is one Allocator among neighbours that come and go: before each question
// one of them leaves and another takes cores, and now and then a device, at random. So
// the Allocator is as warm as a caller's own, and no answer can be kept from an earlier
// equal state. All of it follows from a seed, so that the run that verifies the answers
// and the run that is timed see the same states.
#pragma once

#include "topoalloc/allocator.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace topoalloc::bench {

struct Fill {
    std::uint32_t core_percent = 0;    ///< about this share of the cores is taken
    std::uint32_t device_percent = 0;  ///< and of the devices
    std::uint32_t largest = 4;         ///< cores a neighbour takes: 1 to this
    Bitmap spared_devices;             ///< that neighbours never take
};

class Traffic {
  public:
    Traffic(std::shared_ptr<const Machine> machine,
            const Fill& fill,
            std::uint64_t seed);

    [[nodiscard]] Allocator& allocator() { return *allocator_; }
    /// One neighbour leaves and another comes.
    void move();

  private:
    void come(std::size_t neighbour);

    std::shared_ptr<const Machine> machine_;
    Fill fill_;
    std::mt19937_64 random_;
    std::unique_ptr<Allocator> allocator_;
    std::vector<std::string> names_;   // of neighbours
    std::vector<std::uint8_t> taken_;  // nonzero: the neighbour holds something
    std::vector<std::uint32_t> free_;  // scratch
};

/// What is asked, and what is to be true of the answer before it is timed.
struct Question {
    std::shared_ptr<const Machine> machine;
    Request request;
    Fill fill;
    Status want = Status::optimal;
    /// Makes the states that the question is about from what the neighbours left:
    /// cordons, mostly. Called after each move, before the clock starts.
    std::function<void(Allocator&, std::mt19937_64&)> prepare;
    /// For a "no": whether counting alone, without the solver, shows that nothing fits.
    std::function<bool(const NodeState&)> cannot_fit;
};

/// What is timed: check(); allocate() and release(); or the whole Explanation of a
/// Verdict that check() gave before the clock started.
enum class Call : std::uint8_t { check, allocate_release, explain };

/// Registers a benchmark that verifies, then times.
///
/// Verified: every state of the stream is asked once. No answer may end at a step
/// limit. Of those as wanted, a "yes" has the cost that evaluate() finds, a "no" is
/// shown by `cannot_fit`; allocate() places what check() answered and release() gives
/// all of it back; an Explanation is complete and, of a "no", names a conflict.
///
/// Timed: the same states again. The time column is the mean. `median_ns` and `p99_ns`
/// come from a pass that times each call alone and takes the clock's own time off.
/// `floor_ns` is the median of LeastCall on the same states, asked between the rounds
/// of that pass; `ratio` is the median over it; `answered` the share of states timed.
void add(const std::string& name, const Question& question, Call call);

}  // namespace topoalloc::bench
