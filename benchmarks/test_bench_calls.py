# SPDX-License-Identifier: Apache-2.0
"""What a call from Python costs: ratios to a call that does nothing, in one run.

Each answer is verified before it is timed. A question is asked of many Allocators in
different states, one after the other, or of one whose neighbours come and go, so that
no memo of a state is measured. The floor goes through the same loop.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

import topoalloc as ta

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

DGX = ta.Machine.preset("hgx-h100-2gpu2nic")
PAIRED = ta.Request(
    cores=16,
    devices={"gpu": 2, "nic": 2},
    require=[ta.Pair("gpu", "nic", within="bridges")],
)
SMALL = ta.Request(cores=1)
POOL = 64


def time_call(benchmark: BenchmarkFixture, call: Callable[[], object]) -> None:
    benchmark.pedantic(call, rounds=200, iterations=POOL, warmup_rounds=5)


def time_each(
    benchmark: BenchmarkFixture, calls: Iterable[Callable[[Any], object]], argument: Any
) -> None:
    """Time calls of one argument, each time the next one."""
    endless = itertools.cycle(calls)
    time_call(benchmark, lambda: next(endless)(argument))


def allocators(machine: ta.Machine = DGX) -> list[ta.Allocator]:
    """Make Allocators that differ in up to eight cores here and there."""
    made = []
    for seed in range(POOL):
        allocator = ta.Allocator(machine)
        cores = random.Random(seed).sample(allocator.machine.cores, 8)
        for owner, held in (("left", cores[:4]), ("right", cores[4:])):
            allocator.take(owner=owner, pus=",".join(core.cpuset for core in held))
        made.append(allocator)
    return made


def check_all(pool: list[ta.Allocator], request: ta.Request, want: ta.Status) -> None:
    assert {allocator.check(request).status for allocator in pool} == {want}


@pytest.mark.benchmark(group="calls")
def test_floor(benchmark: BenchmarkFixture) -> None:
    """A compiled call with one argument and a small answer: what nothing is below."""
    time_each(benchmark, [len] * POOL, "a")


@pytest.mark.benchmark(group="calls")
def test_check_no_by_count(benchmark: BenchmarkFixture) -> None:
    pool = allocators()
    request = ta.Request(devices={"gpu": 9})
    check_all(pool, request, ta.Status.INFEASIBLE)
    time_each(benchmark, [allocator.check for allocator in pool], request)


@pytest.mark.benchmark(group="calls")
def test_check_no_of_paired_devices(benchmark: BenchmarkFixture) -> None:
    """Eight pairs, seven NICs: a proof, not a search that gives up."""
    pool = allocators()
    for i, allocator in enumerate(pool):
        allocator.cordon(f"nic{i % 8}")
    pair = ta.Pair("gpu", "nic", within="bridges")
    request = ta.Request(devices={"gpu": 8, "nic": 8}, require=[pair])
    check_all(pool, request, ta.Status.INFEASIBLE)
    time_each(benchmark, [allocator.check for allocator in pool], request)


@pytest.mark.benchmark(group="calls")
def test_check_no_of_32_cores_one_short(benchmark: BenchmarkFixture) -> None:
    pool = allocators()
    for allocator in pool:
        machine = allocator.machine
        held = {pu for one in allocator.placements.values() for pu in one.pus}
        left = [0] * len(machine.localities)
        for core in machine.cores:
            first = machine.pus[core.pus[0]]
            if first.os_index not in held:
                left[first.locality] += 1
                if left[first.locality] > 31:
                    allocator.cordon(first.os_index)
    request = ta.Request(cores=32, require=[ta.Align("numa")])
    check_all(pool, request, ta.Status.INFEASIBLE)
    check_all(pool, ta.Request(cores=31, require=[ta.Align("numa")]), ta.Status.OPTIMAL)
    time_each(benchmark, [allocator.check for allocator in pool], request)


@pytest.mark.benchmark(group="calls")
def test_check_yes_of_two_pairs_and_16_cores(benchmark: BenchmarkFixture) -> None:
    pool = allocators()
    check_all(pool, PAIRED, ta.Status.OPTIMAL)
    time_each(benchmark, [allocator.check for allocator in pool], PAIRED)


@pytest.mark.benchmark(group="calls")
def test_allocate_and_release(benchmark: BenchmarkFixture) -> None:
    """Two GPUs, their NICs and 16 cores, beside an owner that moves on each time."""
    allocator = ta.Allocator(DGX, reserved_pus="0-1,112-113")
    assert allocator.check(PAIRED).status is ta.Status.OPTIMAL
    sizes = itertools.cycle([ta.Request(cores=n) for n in range(1, 12)])
    allocator.allocate(next(sizes), owner="neighbour")

    def call() -> None:
        allocator.allocate(PAIRED, owner="pod-7")
        allocator.release("pod-7")

    def move() -> None:
        allocator.release("neighbour")
        allocator.allocate(next(sizes), owner="neighbour")

    benchmark.pedantic(call, setup=move, rounds=3000)
    allocator.check_consistency()


@pytest.mark.benchmark(group="calls")
def test_allocate_and_release_one_core(benchmark: BenchmarkFixture) -> None:
    """The least search there is: mostly the border and the books."""
    allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
    assert allocator.allocate(SMALL, owner="pod-7").cpuset == "0-1"
    allocator.release("pod-7")

    def call() -> None:
        allocator.allocate(SMALL, owner="pod-7")
        allocator.release("pod-7")

    time_call(benchmark, call)


@pytest.mark.benchmark(group="calls")
def test_allocate_batch_of_one_hundred(benchmark: BenchmarkFixture) -> None:
    """One call, a hundred owners of a core each; made anew before each round."""
    owners = [f"rank-{i}" for i in range(100)]
    assert all(map(bool, ta.Allocator(DGX).allocate_batch(SMALL, owners)))

    def fresh() -> tuple[tuple[ta.Allocator], dict[str, Any]]:
        return (ta.Allocator(DGX),), {}

    benchmark.pedantic(
        lambda allocator: allocator.allocate_batch(SMALL, owners),
        setup=fresh,
        rounds=200,
    )


@pytest.mark.benchmark(group="calls")
def test_check_many_of_one_hundred(benchmark: BenchmarkFixture) -> None:
    allocator = ta.Allocator(DGX)
    requests = [ta.Request(cores=n) for n in range(13, 113)]
    assert all(map(bool, allocator.check_many(requests)[:80]))
    benchmark.pedantic(
        lambda: allocator.check_many(requests), rounds=100, warmup_rounds=2
    )


@pytest.mark.benchmark(group="calls")
def test_request_from_arguments(benchmark: BenchmarkFixture) -> None:
    made = ta.Request(cores=16, devices={"gpu": 2, "nic": 2})
    assert made.cores == 16
    time_call(benchmark, lambda: ta.Request(cores=16, devices={"gpu": 2, "nic": 2}))


@pytest.mark.benchmark(group="calls")
def test_request_from_arguments_with_a_pair(benchmark: BenchmarkFixture) -> None:
    require = PAIRED.require
    made = ta.Request(cores=16, devices={"gpu": 2, "nic": 2}, require=require)
    assert made == PAIRED
    time_call(
        benchmark,
        lambda: ta.Request(cores=16, devices={"gpu": 2, "nic": 2}, require=require),
    )


@pytest.mark.benchmark(group="calls")
def test_request_that_init_must_check(benchmark: BenchmarkFixture) -> None:
    """A fraction is no plain form: what the others are spared."""
    assert ta.Request(cores=16, memory="1.5Gi").memory == 3 * 2**29
    time_call(benchmark, lambda: ta.Request(cores=16, memory="1.5Gi"))


@pytest.mark.benchmark(group="calls")
def test_read_a_placement(benchmark: BenchmarkFixture) -> None:
    placement = ta.Allocator(DGX).allocate(PAIRED, owner="pod-7")
    assert len(placement.pus) == 32
    time_call(benchmark, lambda: (placement.cpuset, placement.devices, placement.cost))
