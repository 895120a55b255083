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

// The least that a thread-safe allocator does: a virtual call, a mutex, a block of heap
// and one look at the free PUs.
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

// Returns an empty text, or what is wrong with an answer of the wanted status.
std::string verify_answer(const Question& question, const Verdict& verdict) {
    const NodeState& node = *verdict.state;
    const Placement& placement = verdict.answer.placement;
    if (question.want == Status::infeasible) {
        return question.cannot_fit && question.cannot_fit(node)
                   ? ""
                   : "a \"no\" that counting does not confirm";
    }
    if (evaluate(node, *verdict.request, placement, {}) != placement.cost) {
        return "a cost that the definition does not confirm";
    }
    return {};
}

std::string verify_taking(Allocator& allocator, const Verdict& verdict) {
    const std::size_t free = verdict.state->free_pus().count();
    const Verdict taken = allocator.allocate(verdict.request, asker);
    const Placement& placement = verdict.answer.placement;
    if (taken.answer.placement != placement) {
        return "allocate() places other than check() answers";
    }
    if (allocator.state()->free_pus().count() != free - placement.pus.count()) {
        return "allocate() takes other PUs than it places";
    }
    allocator.release(asker);
    allocator.check_consistency();
    return allocator.state()->free_pus().count() == free
               ? ""
               : "release() does not give all back";
}

std::string verify_explanation(const Verdict& verdict) {
    const Explanation explanation = explain(verdict, *verdict.holdings);
    if (!explanation.complete) {
        return "an Explanation that ends at its step limit";
    }
    const bool is_no = verdict.answer.status == Status::infeasible;
    return is_no == explanation.conflict.empty() ? "an Explanation without its conflict"
                                                 : "";
}

std::string verify(Allocator& allocator,
                   const Question& question,
                   const Verdict& verdict,
                   Call call) {
    std::string wrong = verify_answer(question, verdict);
    if (wrong.empty() && call == Call::allocate_release) {
        wrong = verify_taking(allocator, verdict);
    }
    if (wrong.empty() && call == Call::explain) {
        wrong = verify_explanation(verdict);
    }
    return wrong;
}

// Which lanes of which round are answered as wanted; and how many steps that takes.
struct Verified {
    std::array<std::array<bool, lanes>, rounds> as_wanted{};
    std::size_t count = 0;
    std::uint64_t steps = 0;
    std::uint64_t most_steps = 0;
    std::string wrong;
};

Verified verify_all(Fleet& fleet, const Question& question, Call call) {
    Verified verified;
    fleet.restart();
    for (std::size_t round = 0; round < rounds; ++round) {
        fleet.move();
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            Allocator& allocator = fleet.allocator(lane);
            const Verdict verdict = allocator.check(fleet.compiled());
            const Status status = verdict.answer.status;
            if (status == Status::feasible || status == Status::unknown) {
                verified.wrong = "a search that ends at its step limit";
                return verified;
            }
            if (status != question.want) {
                continue;
            }
            if (verified.wrong = verify(allocator, question, verdict, call);
                !verified.wrong.empty()) {
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
    std::vector<double> floors_ns;  // of each round
    std::uint64_t blocks = 0;
};

double least_call_ns(Fleet& fleet, Least& least) {
    std::array<std::shared_ptr<const NodeState>, lanes> states;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        states[lane] = fleet.allocator(lane).state();
    }
    const auto begin = Clock::now();
    for (const auto& state : states) {
        benchmark::DoNotOptimize(least.call(*state));
    }
    return nanoseconds(Clock::now() - begin) / lanes;
}

// Times each call alone, clock taken off, and counts its blocks of heap.
EachCall time_each(Fleet& fleet, const Verified& verified, Call call) {
    const double clock = clock_ns();
    LeastCall call_of_floor;
    Least* least = &call_of_floor;
    benchmark::DoNotOptimize(least);
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
        each.floors_ns.push_back(least_call_ns(fleet, *least));
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

void report(benchmark::State& state, const Verified& verified, EachCall& each) {
    const double median = median_of(each.times_ns);
    const double floor = median_of(each.floors_ns);
    const auto count = static_cast<double>(verified.count);
    state.counters["median_ns"] = median;
    state.counters["p99_ns"] = percentile_99(each.times_ns);
    state.counters["floor_ns"] = floor;
    state.counters["ratio"] = median / floor;
    state.counters["answered"] = count / static_cast<double>(lanes * rounds);
    state.counters["heap_blocks"] = static_cast<double>(each.blocks) / count;
    state.counters["steps"] = static_cast<double>(verified.steps) / count;
    state.counters["most_steps"] = static_cast<double>(verified.most_steps);
}

void time_question(benchmark::State& state, const Question& question, Call call) {
    Fleet fleet(question);
    const Verified verified = verify_all(fleet, question, call);
    if (!verified.wrong.empty()) {
        state.SkipWithError(verified.wrong.c_str());
        return;
    }
    EachCall each = time_each(fleet, verified, call);

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
    report(state, verified, each);
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

void add(const std::string& name, const Question& question, Call call) {
    benchmark::RegisterBenchmark(name.c_str(),
                                 [question, call](benchmark::State& state) {
                                     time_question(state, question, call);
                                 })
        ->Iterations(static_cast<benchmark::IterationCount>(lanes * rounds))
        ->UseManualTime();
}

}  // namespace topoalloc::bench
