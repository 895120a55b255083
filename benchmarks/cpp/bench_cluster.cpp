// SPDX-License-Identifier: Apache-2.0
//
// How long does a Cluster take to check a Gang, to place and commit it, and to fork;
// how does that grow with nodes, pods and states; and what does a node cost in bytes?
// Each answer is verified before it is timed. The floor is a call that locks the
// Cluster and reads one number.
#include "fleets.hpp"
#include "heap.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <random>
#include <stdexcept>

namespace topoalloc::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
    return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

double median_of(std::vector<double> times) {
    std::ranges::sort(times);
    return times[times.size() / 2];
}

void demand(bool holds, const char* what) {
    if (!holds) {
        throw std::logic_error(what);
    }
}

double floor_of(const Cluster& cluster) {
    std::vector<double> times;
    for (int i = 0; i < 200; ++i) {
        const auto begin = Clock::now();
        for (int j = 0; j < 10; ++j) {
            benchmark::DoNotOptimize(cluster.size());
        }
        times.push_back(since(begin) / 10);
    }
    return median_of(std::move(times));
}

// What a row does in each round, with its time.
struct Row {
    std::unique_ptr<Cluster> cluster;
    std::function<double(Cluster&, std::uint32_t round)> run;
    std::uint32_t rounds = 51;
};

void add(const std::string& name, const std::function<Row()>& make) {
    benchmark::RegisterBenchmark(name.c_str(), [make](benchmark::State& state) {
        while (state.KeepRunning()) {
            try {
                const Row row = make();
                std::vector<double> times;
                for (std::uint32_t round = 0; round < row.rounds; ++round) {
                    times.push_back(row.run(*row.cluster, round));
                }
                row.cluster->check_consistency();
                state.counters["median_ns"] = median_of(times);
                state.counters["floor_ns"] = floor_of(*row.cluster);
            } catch (const std::exception& error) {
                state.SkipWithError(error.what());
            }
        }
    })->Iterations(1);
}

double time_check(const Cluster& cluster,
                  const std::shared_ptr<const Gang>& gang,
                  Status want) {
    const auto begin = Clock::now();
    const GangVerdict verdict = cluster.check(gang);
    const double time = since(begin);
    demand(verdict.status == want, "the answer is another one");
    return time;
}

std::string states_of(const FleetShape& shape) {
    if (shape.states == 1) {
        return "one_state";
    }
    return shape.states >= shape.nodes ? "all_different"
                                       : std::to_string(shape.states) + "_states";
}

std::string row_name(const std::string& what, const FleetShape& shape) {
    return what + std::to_string(shape.nodes) + "_nodes/" + states_of(shape);
}

std::shared_ptr<const Machine> dgx() {
    static const auto machine = make_machine(dgx_h100());
    return machine;
}

// 250 nodes hold 1,000 pods where they are free.
std::uint32_t pods_for(const FleetShape& shape) {
    return std::min(1'000U, shape.nodes * 2);
}

// Whether more pods than all nodes hold are refused is a count; that they do not fit in
// one rack is not.
void add_checks(const FleetShape& shape) {
    for (const bool yes : {true, false}) {
        const Status want = yes ? Status::feasible : Status::infeasible;
        const auto gang_of = [shape,
                              yes](const std::shared_ptr<const Request>& request) {
            const GangConstraint within = Within{"rack"};
            return yes ? one_podset("asked", request, pods_for(shape))
                       : one_podset("asked", request, 65, {within});
        };
        const std::string end = yes ? "/yes" : "/no";
        add(row_name("check_registered/", shape) + end, [=] {
            Row row{make_fleet(shape, dgx()), {}, 501};
            const auto gang = gang_of(pod_request(16));
            demand(row.cluster->check(gang).status == want, "not as the search says");
            row.cluster->register_shape(*gang);
            row.run = [=](Cluster& cluster, std::uint32_t) {
                return time_check(cluster, gang, want);
            };
            return row;
        });
        add(row_name("check_new/", shape) + end, [=] {
            Row row{make_fleet(shape, dgx()), {}, 15};
            row.run = [=](Cluster& cluster, std::uint32_t round) {
                return time_check(cluster, gang_of(pod_request(4 + round)), want);
            };
            return row;
        });
        add(row_name("check_known/", shape) + end, [=] {
            Row row{make_fleet(shape, dgx()), {}, 101};
            const auto gang = gang_of(pod_request(16));
            row.run = [=](Cluster& cluster, std::uint32_t) {
                return time_check(cluster, gang, want);
            };
            return row;
        });
    }
}

double time_place_commit(Cluster& cluster, const std::shared_ptr<const Gang>& gang) {
    const auto begin = Clock::now();
    {
        const GangPlan plan = cluster.place(gang);
        demand(plan.verdict.status == Status::optimal, "no plan is proved the best");
        cluster.commit(plan);
    }
    const double time = since(begin);
    cluster.release(gang->name);
    return time;
}

// The first round meets states that nobody has asked about; it is a row of its own.
void add_places(const std::string& what,
                const FleetShape& shape,
                const std::function<std::shared_ptr<const Gang>()>& make_gang) {
    for (const bool first : {true, false}) {
        add(row_name(first ? "place_commit_first/" : "place_commit/", shape) + "/" +
                what,
            [=] {
                Row row{make_fleet(shape, dgx()), {}, first ? 1U : 31U};
                const auto gang = make_gang();
                if (!first) {
                    time_place_commit(*row.cluster, gang);
                }
                row.run = [=](Cluster& cluster, std::uint32_t) {
                    return time_place_commit(cluster, gang);
                };
                return row;
            });
    }
}

void add_pods(const FleetShape& shape, std::uint32_t pods) {
    add_places(std::to_string(pods) + "_pods", shape, [=] {
        return one_podset("placed", pod_request(16), pods);
    });
}

// A leader and two kinds of workers in one rack.
void add_three_podsets(const FleetShape& shape) {
    const auto make = [] {
        Gang gang;
        gang.name = "three";
        std::uint32_t cores = 4;
        for (const auto& [name, count] : {std::pair("leader", 1U),
                                          std::pair("prefill", 4U),
                                          std::pair("decode", 8U)}) {
            PodSet podset;
            podset.name = name;
            podset.request = pod_request(cores);
            podset.count = podset.min_count = count;
            gang.podsets.push_back(std::move(podset));
            cores *= 2;
        }
        gang.groups.push_back({"all", {"leader", "prefill", "decode"}, {{"rack"}}, {}});
        return std::make_shared<const Gang>(std::move(gang));
    };
    add(row_name("check_known/", shape) + "/3_podsets", [=] {
        Row row{make_fleet(shape, dgx()), {}, 15};
        const auto gang = make();
        time_check(*row.cluster, gang, Status::feasible);
        row.run = [=](Cluster& cluster, std::uint32_t) {
            return time_check(cluster, gang, Status::feasible);
        };
        return row;
    });
}

void add_fork(std::uint32_t nodes) {
    add("fork/" + std::to_string(nodes) + "_nodes", [=] {
        Row row{make_fleet({nodes, 16, 256, 1}, dgx()), {}, 501};
        row.run = [](Cluster& cluster, std::uint32_t) {
            const auto begin = Clock::now();
            const auto fork = cluster.fork();
            const double time = since(begin);
            demand(fork->size() == cluster.size(), "a fork is another Cluster");
            return time;
        };
        return row;
    });
}

// A row of bytes; the time is what it took to make what they are of.
void add_bytes(const std::string& name,
               const std::function<double(std::int64_t& bytes, double& time)>& make) {
    benchmark::RegisterBenchmark(name.c_str(), [make](benchmark::State& state) {
        while (state.KeepRunning()) {
            std::int64_t bytes = 0;
            double time = 0;
            try {
                const double number = make(bytes, time);
                state.counters["bytes"] = static_cast<double>(bytes) / number;
                state.counters["median_ns"] = time;
                state.counters["floor_ns"] =
                    floor_of(*make_fleet({100, 16, 256, 1}, dgx()));
            } catch (const std::exception& error) {
                state.SkipWithError(error.what());
            }
        }
    })->Iterations(1);
}

void add_all_bytes() {
    constexpr std::uint32_t nodes = 100'000;
    add_bytes("bytes_a_node/100000_nodes", [](std::int64_t& bytes, double& time) {
        const auto machine = dgx();
        const std::int64_t before = heap_bytes();
        const auto begin = Clock::now();
        const auto cluster = make_fleet({nodes, 16, 256, 1}, machine);
        time = since(begin);
        bytes = heap_bytes() - before;
        demand(cluster->size() == nodes, "nodes are missing");
        return double{nodes};
    });
    add_bytes("bytes_a_node/fork_of_100000_nodes_all_changed",
              [](std::int64_t& bytes, double& time) {
                  const auto cluster = make_fleet({nodes, 16, 256, 1}, dgx());
                  const std::vector<std::string> names = cluster->node_names();
                  const std::int64_t before = heap_bytes();
                  const auto begin = Clock::now();
                  const auto fork = cluster->fork();
                  for (const std::string& name : names) {
                      fork->cordon_node(name, true);
                  }
                  time = since(begin);
                  bytes = heap_bytes() - before;
                  demand(!cluster->is_cordoned(names[0]), "the origin has changed");
                  return double{nodes};
              });
    add_bytes("bytes_a_placement/10000_nodes", [](std::int64_t& bytes, double& time) {
        const auto cluster = make_fleet({10'000, 16, 256, 1}, dgx());
        const auto gang = one_podset("held", pod_request(16), 40'000);
        const std::int64_t before = heap_bytes();
        const auto begin = Clock::now();
        cluster->commit(cluster->place(gang));
        time = since(begin);
        bytes = heap_bytes() - before;
        demand(cluster->gangs().at("held").pods.size() == 40'000, "pods are missing");
        return 40'000.0;
    });
}

// 15,000 Gangs of 2, 4 or 8 pods on 10 racks of 64 nodes of 48 cores: a third must lie
// in one rack, a third prefers it, a third prefers to be balanced; slices of 1, 2 or 4.
// Each runs while so many others come that the nodes are about 60 % full.
std::vector<std::shared_ptr<const Gang>> stream_gangs() {
    std::mt19937 random(1);
    std::vector<std::shared_ptr<const Request>> requests;
    for (const std::uint32_t cores : {5U, 10U, 20U}) {
        Request request;
        request.cores = cores;
        requests.push_back(std::make_shared<const Request>(std::move(request)));
    }
    std::vector<std::shared_ptr<const Gang>> gangs;
    for (std::uint32_t i = 0; i < 15'000; ++i) {
        // 70, 20 and 10 of 100.
        const std::uint32_t size =
            std::array{0U, 0U, 0U, 0U, 0U, 0U, 0U, 1U, 1U, 2U}[random() % 10];
        Gang gang = *one_podset("g" + std::to_string(i), requests[size], 2U << size);
        PodSet& podset = gang.podsets.front();
        switch (random() % 3) {
            case 0:
                podset.require.emplace_back(Within{"rack"});
                break;
            case 1:
                podset.prefer.emplace_back(Within{"rack"});
                break;
            default:
                podset.prefer.emplace_back(Balanced{"rack"});
                break;
        }
        const std::uint32_t slice = 1U << random() % 3;
        if (slice > 1 && slice <= podset.count) {
            podset.slices.push_back({"rack", slice});
        }
        gangs.push_back(std::make_shared<const Gang>(std::move(gang)));
    }
    return gangs;
}

void add_stream() {
    constexpr std::size_t running = 540;
    add("stream/15000_gangs_640_nodes", [] {
        Shape shape;
        shape.cores_per_l3 = 24;
        const FleetShape fleet{640, 64, 640, 1};
        const auto machine = make_machine(shape);
        const auto gangs = stream_gangs();
        Row row{make_fleet(fleet, machine), {}, 3};
        row.run = [=](Cluster& cluster, std::uint32_t) {
            const auto begin = Clock::now();
            for (std::size_t i = 0; i < gangs.size() + running; ++i) {
                if (i >= running) {
                    cluster.release(gangs[i - running]->name);
                }
                if (i < gangs.size()) {
                    const GangPlan plan = cluster.place(gangs[i]);
                    demand(plan.verdict.status == Status::optimal,
                           "a Gang has no place");
                    cluster.commit(plan);
                }
            }
            const double time = since(begin);
            demand(cluster.state_count() == 1, "something is still held");
            return time;
        };
        return row;
    });
}

}  // namespace
}  // namespace topoalloc::bench

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    for (const std::uint32_t nodes : {100U, 1'000U, 10'000U, 100'000U}) {
        add_checks({nodes, 16, 256, 1});
        if (nodes <= 10'000) {
            add_checks({nodes, 16, 256, nodes});
        }
    }
    add_checks({5'000, 16, 256, 100});
    for (const std::uint32_t pods : {1U, 10U, 100U, 1'000U, 10'000U}) {
        add_pods({10'000, 16, 256, 1}, pods);
    }
    add_pods({10'000, 16, 256, 100}, 1'000);
    add_pods({10'000, 16, 256, 10'000}, 1'000);
    for (const std::uint32_t nodes : {100U, 1'000U, 10'000U}) {
        add_three_podsets({nodes, 16, 256, 1});
    }
    for (const std::uint32_t nodes : {100U, 10'000U, 100'000U}) {
        add_fork(nodes);
    }
    add_all_bytes();
    add_stream();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
