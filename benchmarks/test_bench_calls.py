# SPDX-License-Identifier: Apache-2.0
"""What a call from Python costs beside the search: ratios to a call that does nothing.

Each answer is verified before it is timed. The states are a stream, not one that comes
back: owners come and go around the question, so that no memo is measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import topoalloc as ta

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

DGX = ta.Machine.preset("dgx-h100")
PAIRED = ta.Request(
    cores=16,
    devices={"gpu": 2, "nic": 2},
    require=[ta.Pair("gpu", "nic", within="bridges")],
)
SMALL = ta.Request(cores=1)


def time_call(benchmark: BenchmarkFixture, call: Callable[[], object]) -> None:
    benchmark.pedantic(call, rounds=200, iterations=100, warmup_rounds=5)


@pytest.mark.benchmark(group="calls")
def test_floor(benchmark: BenchmarkFixture) -> None:
    """A compiled call with one argument and a small answer: what nothing is below."""
    time_call(benchmark, lambda: len("a"))


@pytest.mark.benchmark(group="calls")
def test_check_no_by_count(benchmark: BenchmarkFixture) -> None:
    allocator = ta.Allocator(DGX)
    request = ta.Request(devices={"gpu": 9})
    assert allocator.check(request).reason == "NotEnoughDevices"
    time_call(benchmark, lambda: allocator.check(request))


@pytest.mark.benchmark(group="calls")
def test_check_no_of_paired_devices(benchmark: BenchmarkFixture) -> None:
    """Eight pairs, seven NICs: a proof, not a search that gives up."""
    allocator = ta.Allocator(DGX)
    nics = [name for name in allocator.free_devices if name.startswith("nic")]
    for name in nics[7:]:
        allocator.cordon(name)
    request = ta.Request(
        devices={"gpu": 8, "nic": 8}, require=[ta.Pair("gpu", "nic", within="bridges")]
    )
    assert allocator.check(request).status is ta.Status.INFEASIBLE
    time_call(benchmark, lambda: allocator.check(request))


@pytest.mark.benchmark(group="calls")
def test_check_no_of_cores_in_one_domain(benchmark: BenchmarkFixture) -> None:
    allocator = ta.Allocator(DGX)
    numa_cores = len(DGX.cores) // len(DGX.numa_nodes)
    request = ta.Request(cores=numa_cores + 1, require=[ta.Align("numa")])
    assert allocator.check(request).status is ta.Status.INFEASIBLE
    time_call(benchmark, lambda: allocator.check(request))


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
def test_read_a_placement(benchmark: BenchmarkFixture) -> None:
    placement = ta.Allocator(DGX).allocate(PAIRED, owner="pod-7")
    assert len(placement.pus) == 32
    time_call(benchmark, lambda: (placement.cpuset, placement.devices, placement.cost))
