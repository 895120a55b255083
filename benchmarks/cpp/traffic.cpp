// SPDX-License-Identifier: Apache-2.0
#include "traffic.hpp"

#include "heap.hpp"
#include "topoalloc/explanation.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <utility>

namespace topoalloc::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t lanes = 16;    // Allocators asked between two looks at the clock
constexpr std::size_t rounds = 256;  // moves of each before the stream starts anew
constexpr const char* asker = "pod-7";

double nanoseconds(Clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
}

double median_of(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

double percentile_99(std::vector<double>& values) {
    const auto at =
        values.begin() + static_cast<std::ptrdiff_t>(values.size() * 99 / 100);
    std::ranges::nth_element(values, at);
    return *at;
}

double clock_ns() {
    std::vector<double> values(4096);
    for (double& value : values) {
        const auto begin = Clock::now();
        value = nanoseconds(Clock::now() - begin);
    }
    return median_of(values);
}

class Least {
  public:
    Least() = default;
    Least(const Least&) = delete;
    Least& operator=(const Least&) = delete;
    Least(Least&&) = delete;
    Least& operator=(Least&&) = delete;
    virtual ~Least() = default;
    virtual std::unique_ptr<Bitmap> call(const NodeState& node) = 0;
};

class LeastCall final : public Least {
  public:
    std::unique_ptr<Bitmap> call(const NodeState& node) override {
        const std::scoped_lock lock(mutex_);
        seen_ += node.free_pus().count();
        return std::make_unique<Bitmap>();
    }

  private:
    std::mutex mutex_;
    std::size_t seen_ = 0;
};

// The 16 streams of one question, all from one seed.
class Fleet {
  public:
    explicit Fleet(const Question& question)
        : question_(question), compiled_(compile(question.machine, question.request)) {
        restart();
    }

    void restart() {
        lanes_.clear();
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            lanes_.push_back({std::make_unique<Traffic>(
                                  question_.machine, question_.fill, 1000 + lane),
                              std::mt19937_64(2000 + lane)});
        }
    }

    void move() {
        for (Lane& lane : lanes_) {
            lane.traffic->move();
            if (question_.prepare) {
                question_.prepare(lane.traffic->allocator(), lane.random);
            }
        }
    }

    [[nodiscard]] Allocator& allocator(std::size_t lane) {
        return lanes_[lane].traffic->allocator();
    }
    [[nodiscard]] const std::shared_ptr<const CompiledRequest>& compiled() const {
        return compiled_;
    }

  private:
    struct Lane {
        std::unique_ptr<Traffic> traffic;
        std::mt19937_64 random;
    };

    const Question& question_;
    std::shared_ptr<const CompiledRequest> compiled_;
    std::vector<Lane> lanes_;
};

// Which lanes of which round are answered as wanted; and how many steps that takes.
struct Verified {
    std::array<std::array<bool, lanes>, rounds> as_wanted{};
    std::size_t count = 0;
    std::uint64_t steps = 0;
    std::uint64_t most_steps = 0;
    std::string wrong;
};

Verified verify_all(Fleet& fleet, Status want) {
    Verified verified;
    fleet.restart();
    for (std::size_t round = 0; round < rounds; ++round) {
        fleet.move();
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const Verdict verdict = fleet.allocator(lane).check(fleet.compiled());
            const Status status = verdict.answer.status;
            if (status == Status::feasible || status == Status::unknown) {
                verified.wrong = "a search that ends at its step limit";
                return verified;
            }
            if (status != want) {
                continue;
            }
            if (std::string wrong =
                    verify(*verdict.state, *fleet.compiled(), verdict.answer, want);
                !wrong.empty()) {
                verified.wrong = std::move(wrong);
                return verified;
            }
            verified.as_wanted[round][lane] = true;
            ++verified.count;
            verified.steps += verdict.answer.steps;
            verified.most_steps = std::max(verified.most_steps, verdict.answer.steps);
        }
    }
    if (verified.count == 0) {
        verified.wrong = "no state of the stream is answered as wanted";
    }
    return verified;
}

using Verdicts = std::array<Verdict, lanes>;

// The Verdicts of one round that are to be explained; none for another call.
Verdicts verdicts_of(Fleet& fleet, const std::array<bool, lanes>& asked, Call call) {
    Verdicts verdicts;
    for (std::size_t lane = 0; lane < lanes && call == Call::explain; ++lane) {
        if (asked[lane]) {
            verdicts[lane] = fleet.allocator(lane).check(fleet.compiled());
        }
    }
    return verdicts;
}

void ask(Fleet& fleet, std::size_t lane, const Verdict& verdict, Call call) {
    static const std::string owner = asker;
    Allocator& allocator = fleet.allocator(lane);
    switch (call) {
        case Call::check:
            benchmark::DoNotOptimize(allocator.check(fleet.compiled()));
            return;
        case Call::allocate_release:
            benchmark::DoNotOptimize(allocator.allocate(fleet.compiled(), owner));
            allocator.release(owner);
            return;
        case Call::explain:
            benchmark::DoNotOptimize(explain(verdict, *verdict.holdings));
            return;
    }
}

struct EachCall {
    std::vector<double> times_ns;
    std::uint64_t blocks = 0;
};

// Times each call alone, clock taken off, and counts its blocks of heap.
EachCall time_each(Fleet& fleet, const Verified& verified, Call call) {
    const double clock = clock_ns();
    EachCall each;
    each.times_ns.reserve(verified.count);
    fleet.restart();
    for (std::size_t round = 0; round < rounds; ++round) {
        fleet.move();
        const Verdicts verdicts = verdicts_of(fleet, verified.as_wanted[round], call);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            if (verified.as_wanted[round][lane]) {
                const std::uint64_t blocks = heap_blocks();
                const auto begin = Clock::now();
                ask(fleet, lane, verdicts[lane], call);
                const auto end = Clock::now();
                each.blocks += heap_blocks() - blocks;
                each.times_ns.push_back(
                    std::max(0.0, nanoseconds(end - begin) - clock));
            }
        }
    }
    return each;
}

// Runs one round of the timed pass; returns how many calls it made and their time.
std::pair<std::size_t, Clock::duration> time_round(Fleet& fleet,
                                                   const std::array<bool, lanes>& asked,
                                                   Call call) {
    const Verdicts verdicts = verdicts_of(fleet, asked, call);
    std::size_t calls = 0;
    const auto begin = Clock::now();
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        if (asked[lane]) {
            ask(fleet, lane, verdicts[lane], call);
            ++calls;
        }
    }
    return {calls, Clock::now() - begin};
}

}  // namespace

Traffic::Traffic(std::shared_ptr<const Machine> machine,
                 const Fill& fill,
                 std::uint64_t seed)
    : machine_(std::move(machine)),
      fill_(fill),
      random_(seed),
      allocator_(std::make_unique<Allocator>(machine_)) {
    // Enough neighbours that their mean sizes add up to the share of cores.
    const std::size_t wanted =
        machine_->cores().size() * fill_.core_percent / 100 * 2 / (fill_.largest + 1);
    const std::size_t neighbours = std::max<std::size_t>(2, wanted);
    for (std::size_t i = 0; i < neighbours; ++i) {
        names_.push_back("neighbour-" + std::to_string(i));
        taken_.push_back(0);
    }
    for (std::size_t i = 0; i < neighbours; ++i) {
        come(i);
    }
}

void Traffic::move() {
    const std::size_t neighbour = random_() % names_.size();
    if (taken_[neighbour] != 0) {
        allocator_->release(names_[neighbour]);
        taken_[neighbour] = 0;
    }
    come(neighbour);
}

void Traffic::come(std::size_t neighbour) {
    Placement placement;
    {
        const std::shared_ptr<const NodeState> state = allocator_->state();
        free_ = state->whole_cores().to_vector();
        const std::size_t cores =
            std::min<std::size_t>(free_.size(), 1 + random_() % fill_.largest);
        for (std::size_t i = 0; i < cores && fill_.core_percent != 0; ++i) {
            std::swap(free_[i], free_[i + random_() % (free_.size() - i)]);
            placement.pus |= machine_->cores()[free_[i]].pus;
        }
        // The share of devices is spread over the neighbours.
        const std::size_t devices = machine_->devices().size();
        if (devices != 0 &&
            random_() % (100 * names_.size()) < fill_.device_percent * devices) {
            const auto device = static_cast<std::uint32_t>(random_() % devices);
            if (state->is_available(device) && !fill_.spared_devices.test(device)) {
                placement.devices.push_back({device, {}});
            }
        }
    }
    if (!placement.pus.empty() || !placement.devices.empty()) {
        allocator_->take(std::move(placement), names_[neighbour]);
        taken_[neighbour] = 1;
    }
}

std::string verify(const NodeState& node,
                   const CompiledRequest& request,
                   const Answer& answer,
                   Status want) {
    if (answer.status != want) {
        return "an answer of another status than wanted";
    }
    if (want == Status::optimal &&
        evaluate(node, request, answer.placement, {}) != answer.placement.cost) {
        return "a cost that the definition does not confirm";
    }
    return {};
}

double least_call_ns(const NodeState& node) {
    LeastCall call;
    Least* least = &call;
    benchmark::DoNotOptimize(least);
    std::vector<double> values(64);
    for (double& value : values) {
        constexpr int calls = 256;
        const auto begin = Clock::now();
        for (int i = 0; i < calls; ++i) {
            benchmark::DoNotOptimize(least->call(node));
        }
        value = nanoseconds(Clock::now() - begin) / calls;
    }
    return median_of(values);
}

void time_question(benchmark::State& state, const Question& question, Call call) {
    Fleet fleet(question);
    const Verified verified = verify_all(fleet, question.want);
    if (!verified.wrong.empty()) {
        state.SkipWithError(verified.wrong.c_str());
        return;
    }
    const double floor = least_call_ns(*fleet.allocator(0).state());
    EachCall each = time_each(fleet, verified, call);
    const double median = median_of(each.times_ns);
    const double p99 = percentile_99(each.times_ns);

    std::size_t round = rounds;
    while (state.KeepRunningBatch(lanes)) {
        std::size_t calls = 0;
        Clock::duration time{};
        while (calls == 0) {
            if (round == rounds) {
                fleet.restart();
                round = 0;
            }
            fleet.move();
            std::tie(calls, time) = time_round(fleet, verified.as_wanted[round], call);
            ++round;
        }
        // A round in which some lanes are not asked stands for a full one.
        const double mean = nanoseconds(time) / static_cast<double>(calls);
        state.SetIterationTime(mean * static_cast<double>(lanes) * 1e-9);
    }
    const auto count = static_cast<double>(verified.count);
    state.counters["median_ns"] = median;
    state.counters["p99_ns"] = p99;
    state.counters["floor_ns"] = floor;
    state.counters["ratio"] = median / floor;
    state.counters["answered"] = count / static_cast<double>(lanes * rounds);
    state.counters["heap_blocks"] = static_cast<double>(each.blocks) / count;
    state.counters["steps"] = static_cast<double>(verified.steps) / count;
    state.counters["most_steps"] = static_cast<double>(verified.most_steps);
}

}  // namespace topoalloc::bench
