// SPDX-License-Identifier: Apache-2.0
//
// Joint answers and headroom, held to brute force over all Placements of two Requests.
#include "oracle/brute_force.hpp"
#include "oracle/instances.hpp"
#include "topoalloc/allocator.hpp"

#include "node/placement_cost.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace topoalloc {
namespace {

using oracle::Instance;
using oracle::Judge;
using oracle::Set;

struct Choice {
    Set devices = 0;
    Set pus = 0;
    Set localities = 0;
    Cost cost;
};

// Every Placement of a Request on a state.
std::vector<Choice> choices_of(const Instance& instance,
                               const oracle::OracleState& state,
                               const Request& request) {
    const Judge judge(instance.spec, state, request, instance.spread, nullptr);
    const std::size_t localities = judge.machine().localities.size();
    std::vector<Choice> out;
    for (const Set devices : judge.device_sets()) {
        for (const Set pus : judge.pu_sets()) {
            for (Set t = 0; t < oracle::set_of(localities); ++t) {
                if (const auto cost = judge.judge(devices, pus, t)) {
                    out.push_back({devices, pus, t, *cost});
                }
            }
        }
    }
    return out;
}

// A holding of the oracle for a Choice, so that the next one is made beside it.
oracle::Holding held(const Judge& judge, const Choice& choice) {
    oracle::Holding out;
    out.owner = "first";
    const oracle::OracleMachine& machine = judge.machine();
    for (const std::uint32_t pu : oracle::members(choice.pus)) {
        out.pus.set(machine.pu_os_index[pu]);
    }
    for (const std::uint32_t device : oracle::members(choice.devices)) {
        out.devices.push_back({machine.devices[device].spec_index, {}});
    }
    return out;
}

Placement placement_of(Set devices, Set pus) {
    Placement out;
    for (const std::uint32_t device : oracle::members(devices)) {
        out.devices.push_back({device, {}});
    }
    for (const std::uint32_t pu : oracle::members(pus)) {
        out.pus.set(pu);
    }
    return out;
}

// The least cost of both together, or nothing. Without bytes the order does not matter.
std::optional<Cost> best_of_two(const Instance& instance,
                                const NodeState& state,
                                const Request& first,
                                const Request& second) {
    const Judge judge(instance.spec, instance.state, first, instance.spread, nullptr);
    const Packing packing = instance.spread ? Packing::spread : Packing::pack;
    std::optional<Cost> best;
    for (const Choice& a : choices_of(instance, instance.state, first)) {
        oracle::OracleState after = instance.state;
        after.holdings.push_back(held(judge, a));
        for (const Choice& b : choices_of(instance, after, second)) {
            Cost cost;
            for (std::size_t term = 0; term < Cost::split_cores; ++term) {
                cost.terms[term] = a.cost.terms[term] + b.cost.terms[term];
            }
            set_split_and_opened(state,
                                 placement_of(a.devices | b.devices, a.pus | b.pus),
                                 packing,
                                 cost);
            if (!best || cost < *best) {
                best = cost;
            }
        }
    }
    return best;
}

// Instances without bytes, shares, partitions and keep, few enough Placements to try
// all pairs.
bool is_simple(const Request& request) {
    return request.memory == 0 && request.hugepages.empty() && request.keep.empty() &&
           std::ranges::all_of(request.devices, [](const DeviceRequest& wanted) {
               return wanted.share.empty() && wanted.partition.empty();
           });
}

// Whether all pairs of Placements can be tried in no time.
bool is_small(const Instance& instance, const Request& request) {
    const Judge judge(instance.spec, instance.state, request, instance.spread, nullptr);
    return judge.machine().localities.size() <= 3 && judge.device_sets().size() <= 12 &&
           judge.device_sets().size() * judge.pu_sets().size() <= 40;
}

// A second Request beside the first: the same, or one that asks for less.
Request beside(const Request& request, std::uint64_t seed) {
    Request out = request;
    if (seed % 2 == 0) {
        return out;
    }
    out.prefer.clear();
    out.cores = out.cores > 1 ? out.cores - 1 : out.cores;
    return out;
}

TEST(JointOracle, ClaimsOnlyWhatIsSo) {
    int optimal = 0;
    int infeasible = 0;
    int open = 0;
    for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
        Instance instance = oracle::make_instance(seed);
        instance.request.memory = 0;
        instance.request.hugepages.clear();
        instance.request.keep.clear();
        try {
            instance.request.validate();
        } catch (const std::exception&) {
            continue;
        }
        instance.state.holdings.clear();
        const Request second = beside(instance.request, seed);
        if (!is_simple(instance.request) || !is_small(instance, instance.request) ||
            !is_small(instance, second)) {
            continue;
        }
        const auto machine = Machine::build(instance.spec);
        const Policy policy{instance.spread ? Packing::spread : Packing::pack};
        Allocator allocator(
            machine, machine->pus_from_os(instance.state.reserved_pus), policy);
        machine->pus_from_os(instance.state.cordoned_pus).for_each([&](std::size_t pu) {
            allocator.cordon_pu(static_cast<std::uint32_t>(pu), true);
        });
        for (const std::uint32_t device : instance.state.cordoned_devices) {
            allocator.cordon_device(
                machine->find_device(instance.spec.devices[device].name), true);
        }
        const auto a = compile(machine, instance.request);
        const auto b = compile(machine, second);
        const BatchVerdict verdict = allocator.check_joint({{"a", a}, {"b", b}});
        const auto best =
            best_of_two(instance, *allocator.state(), instance.request, second);
        switch (verdict.status) {
            case Status::optimal:
                ASSERT_TRUE(best) << "seed " << seed;
                ASSERT_EQ(verdict.cost.terms, best->terms) << "seed " << seed;
                ++optimal;
                break;
            case Status::infeasible:
                ASSERT_FALSE(best) << "seed " << seed;
                ++infeasible;
                break;
            case Status::feasible:
                ASSERT_TRUE(best) << "seed " << seed;
                ASSERT_GE(verdict.cost, *best) << "seed " << seed;
                ++open;
                break;
            case Status::unknown:
                ++open;
                break;
        }
        if (instance.request == second) {
            const HeadroomResult room = allocator.headroom(a);
            ASSERT_LE(room.count, room.upper) << "seed " << seed;
            ASSERT_TRUE(room.count < 2 || best) << "seed " << seed;
            ASSERT_TRUE(room.upper >= 2 || !best) << "seed " << seed;
        }
    }
    RecordProperty("optimal", optimal);
    RecordProperty("infeasible", infeasible);
    RecordProperty("open", open);
    EXPECT_GT(optimal, 30);
    EXPECT_GT(infeasible, 30);
    EXPECT_LT(open, optimal + infeasible) << "most batches of two are decided";
}

}  // namespace
}  // namespace topoalloc
