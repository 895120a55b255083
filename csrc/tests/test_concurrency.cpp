// SPDX-License-Identifier: Apache-2.0
//
// One Allocator, many threads. Worth most under ThreadSanitizer.
#include "small_machine.hpp"

#include "topoalloc/errors.hpp"
#include "topoalloc/explanation.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace topoalloc::testing {
namespace {

constexpr int thread_count = 8;
constexpr int rounds = 60;

bool is_placed(const Verdict& verdict) {
    return verdict.answer.status == Status::optimal ||
           verdict.answer.status == Status::feasible;
}

// Counts who holds each PU and device; more than one at a time is an error.
class Ledger {
  public:
    void take(const Placement& placement) { add(placement, 1); }
    void release(const Placement& placement) { add(placement, -1); }
    [[nodiscard]] bool was_broken() const { return broken_; }

  private:
    void add(const Placement& placement, int by) {
        placement.pus.for_each([&](std::size_t pu) { add_one(pus_[pu], by); });
        for (const DeviceGrant& grant : placement.devices) {
            add_one(devices_[grant.device], by);
        }
    }
    void add_one(std::atomic<int>& holders, int by) {
        const int now = holders.fetch_add(by) + by;
        if (now < 0 || now > 1) {
            broken_ = true;
        }
    }

    std::array<std::atomic<int>, 64> pus_{};
    std::array<std::atomic<int>, 64> devices_{};
    std::atomic<bool> broken_ = false;
};

template <class F>
void run_threads(F work) {
    std::vector<std::thread> threads;
    for (int t = 0; t < thread_count; ++t) {
        threads.emplace_back(work, t);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST(Concurrency, GivesNothingTwice) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    Ledger ledger;
    std::atomic<int> placed = 0;
    Request request = want_cores(1);
    request.devices = {want("gpu", 1)};
    const auto compiled = compile(machine, request);
    run_threads([&](int t) {
        const std::string owner = "owner-" + std::to_string(t);
        for (int i = 0; i < rounds; ++i) {
            const Verdict verdict = allocator.allocate(compiled, owner);
            if (is_placed(verdict)) {
                ledger.take(verdict.answer.placement);
                ++placed;
                std::this_thread::yield();
                ledger.release(verdict.answer.placement);
                allocator.release(owner);
            }
        }
    });
    EXPECT_FALSE(ledger.was_broken());
    EXPECT_GE(placed, rounds);
    EXPECT_TRUE(*allocator.state() == NodeState(machine));
    allocator.check_consistency();
}

TEST(Concurrency, AVerdictKeepsItsStateWhileOthersWrite) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    const auto one = compile(machine, want_cores(1));
    const auto all = compile(machine, want_cores(8));
    std::atomic<int> broken = 0;
    run_threads([&](int t) {
        const std::string owner = "owner-" + std::to_string(t);
        for (int i = 0; i < rounds; ++i) {
            if (t % 2 == 0) {
                if (is_placed(allocator.allocate(one, owner))) {
                    allocator.release(owner);
                }
                continue;
            }
            // The state of the Verdict answers the question again the same way, and its
            // holdings are those of the state.
            const Verdict verdict = allocator.check(all);
            const Answer again =
                solve(*verdict.state, *all, {verdict.policy, {}, nullptr});
            std::size_t owned = 0;
            for (const auto& [name, holding] : *verdict.holdings) {
                owned += holding.placement.pus.count();
            }
            if (again.status != verdict.answer.status ||
                owned != verdict.state->owned_pus().count()) {
                ++broken;
            }
            verdict.state->check_consistency();
        }
    });
    EXPECT_EQ(broken, 0);
    allocator.check_consistency();
}

TEST(Concurrency, QuickCallsBesideWriters) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    Ledger ledger;
    const auto one = compile(machine, want_cores(1));
    constexpr std::uint64_t enough = 1000;
    run_threads([&](int t) {
        const std::string owner = "owner-" + std::to_string(t);
        for (int i = 0; i < rounds; ++i) {
            std::optional<Verdict> verdict;
            if (t % 2 == 0) {
                verdict = allocator.try_allocate(one, owner, {}, enough);
            }
            if (!verdict) {
                verdict = allocator.allocate(one, owner);
            }
            if (!is_placed(*verdict)) {
                continue;
            }
            ledger.take(verdict->answer.placement);
            if (const auto seen = allocator.try_check(one, {}, enough)) {
                seen->state->check_consistency();
            }
            ledger.release(verdict->answer.placement);
            if (!allocator.try_release(owner)) {
                allocator.release(owner);
            }
        }
    });
    EXPECT_FALSE(ledger.was_broken());
    EXPECT_TRUE(allocator.holdings().empty());
    allocator.check_consistency();
}

TEST(Concurrency, ForksAndCordonsBesideWriters) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    const auto one = compile(machine, want_cores(1));
    run_threads([&](int t) {
        const std::string owner = "owner-" + std::to_string(t);
        for (int i = 0; i < rounds; ++i) {
            switch (t % 4) {
                case 0: {
                    const auto fork = allocator.fork();
                    fork->allocate(one, "fork");
                    fork->check_consistency();
                    break;
                }
                case 1:
                    allocator.cordon_device(static_cast<std::uint32_t>(t), i % 2 == 0);
                    break;
                case 2:
                    std::ignore = allocator.headroom(one);
                    allocator.check_consistency();
                    break;
                default:
                    if (is_placed(allocator.allocate(one, owner))) {
                        allocator.release(owner);
                    }
            }
        }
    });
    allocator.check_consistency();
    EXPECT_TRUE(allocator.holdings().empty());
}

TEST(Concurrency, ExplainsBesideWriters) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    const auto one = compile(machine, want_cores(1));
    const auto many = compile(machine, want_cores(9));
    std::atomic<int> broken = 0;
    run_threads([&](int t) {
        const std::string owner = "owner-" + std::to_string(t);
        for (int i = 0; i < rounds / 4; ++i) {
            if (t % 2 == 0) {
                if (is_placed(allocator.allocate(one, owner))) {
                    allocator.release(owner);
                }
                continue;
            }
            const Verdict verdict = allocator.check(many);
            const Explanation explanation = explain(verdict, *verdict.holdings);
            if (explanation.conflict.size() != 1 ||
                explanation.conflict[0].path != "cores") {
                ++broken;
            }
        }
    });
    EXPECT_EQ(broken, 0);
}

TEST(Concurrency, BatchesOfOneRequestAreAtomic) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    const auto three = compile(machine, want_cores(3));
    std::atomic<int> broken = 0;
    run_threads([&](int t) {
        const std::string name = std::to_string(t);
        for (int i = 0; i < rounds / 4; ++i) {
            const BatchAnswers batch =
                allocator.allocate_batch(three, {"a" + name, "b" + name});
            // Nobody comes between the two of a batch: each is answered again by the
            // state that the one before it left.
            for (std::size_t k = 0; k < batch.verdicts.size(); ++k) {
                const Verdict verdict = asked(batch, k);
                const Answer again =
                    solve(*verdict.state, *three, {verdict.policy, {}, nullptr});
                if (again.status != verdict.answer.status ||
                    again.placement != verdict.answer.placement) {
                    ++broken;
                }
                verdict.state->check_consistency();
            }
            for (const Verdict& verdict : batch.verdicts) {
                if (is_placed(verdict)) {
                    allocator.release(verdict.owner);
                }
            }
        }
    });
    EXPECT_EQ(broken, 0);
    EXPECT_TRUE(allocator.holdings().empty());
    allocator.check_consistency();
}

TEST(Concurrency, BatchesAreAtomic) {
    const auto machine = small_machine();
    Allocator allocator(machine);
    const auto half = compile(machine, want_cores(4));
    std::atomic<int> wins = 0;
    std::atomic<int> others = 0;
    run_threads([&](int t) {
        const std::string name = std::to_string(t);
        const BatchVerdict verdict =
            allocator.allocate_many({{"a" + name, half}, {"b" + name, half}});
        ++(verdict.status == Status::optimal ? wins : others);
    });
    EXPECT_EQ(wins, 1);
    EXPECT_EQ(others, thread_count - 1);
    EXPECT_EQ(allocator.holdings().size(), 2U);
    allocator.check_consistency();
}

}  // namespace
}  // namespace topoalloc::testing
