// SPDX-License-Identifier: Apache-2.0
//
// How does the time grow with the machine, yes and no alike: 1 to 16 GPUs, 2 to 64
// NUMANodes, 8 to 768 PUs? A "no" must not cost more than the slowest "yes" of its
// size.
#include "questions.hpp"

namespace topoalloc::bench {
namespace {

// Each machine is asked with `is_no` 0 and 1: a question that fits, and one that is one
// short everywhere.
Question question_of(const Shape& shape, Request request, std::vector<Leave> left) {
    Question question;
    question.machine = make_machine(shape);
    question.request = std::move(request);
    question.fill.core_percent = 20;
    question.fill.spared_devices = Bitmap::range(0, question.machine->devices().size());
    if (!left.empty()) {
        question.want = Status::infeasible;
        question.prepare = leave(std::move(left));
    }
    return question;
}

void gpus(benchmark::State& state) {
    Shape shape;
    shape.cores_per_l3 = 56;
    shape.gpus = static_cast<std::uint32_t>(state.range(0));
    shape.nics = shape.gpus;
    shape.link_mb_s = 450'000;
    const std::uint32_t pairs = state.range(1) != 0 ? shape.gpus : (shape.gpus + 1) / 2;
    std::vector<Leave> left;
    if (state.range(1) != 0) {
        left.push_back({"nic", shape.gpus - 1, false});
    }
    time_question(state, question_of(shape, paired(pairs, 4), left), Call::check);
}
BENCHMARK(gpus)
    ->ArgNames({"gpus", "is_no"})
    ->ArgsProduct({{1, 2, 4, 8, 16}, {0, 1}})
    ->UseManualTime();

void numa_nodes(benchmark::State& state) {
    Shape shape;
    shape.packages = state.range(0) < 8 ? 2 : 4;
    shape.numa_per_package =
        static_cast<std::uint32_t>(state.range(0)) / shape.packages;
    shape.cores_per_l3 = 6;
    // 9 cores want two NUMANodes; 4 in one with 3 free in each is one short.
    const bool is_no = state.range(1) != 0;
    Request request = devices_and_cores(0, 0, is_no ? 4 : 9);
    if (!is_no) {
        time_question(state, question_of(shape, std::move(request), {}), Call::check);
        return;
    }
    time_question(
        state,
        question_of(shape, in_one_numa_node(std::move(request)), {{"cores", 3, true}}),
        Call::check);
}
BENCHMARK(numa_nodes)
    ->ArgNames({"numa_nodes", "is_no"})
    ->ArgsProduct({{2, 4, 8, 16, 32, 64}, {0, 1}})
    ->UseManualTime();

void pus(benchmark::State& state) {
    Shape shape;
    const auto cores = static_cast<std::uint32_t>(state.range(0)) / 4;  // a package
    shape.l3_per_numa = cores < 16 ? 1 : cores / 16;
    shape.cores_per_l3 = cores / shape.l3_per_numa;
    const bool is_no = state.range(1) != 0;
    const std::uint32_t wanted = cores < 4 ? 1 : cores / 2;
    if (!is_no) {
        time_question(state,
                      question_of(shape, devices_and_cores(0, 0, wanted), {}),
                      Call::check);
        return;
    }
    time_question(state,
                  question_of(shape,
                              in_one_numa_node(devices_and_cores(0, 0, wanted)),
                              {{"cores", wanted - 1, true}}),
                  Call::check);
}
BENCHMARK(pus)
    ->ArgNames({"pus", "is_no"})
    ->ArgsProduct({{8, 64, 128, 256, 512, 768}, {0, 1}})
    ->UseManualTime();

}  // namespace
}  // namespace topoalloc::bench

BENCHMARK_MAIN();
