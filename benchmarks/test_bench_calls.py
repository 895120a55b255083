# SPDX-License-Identifier: Apache-2.0
"""What a call from Python costs: ratios to a call that does nothing, in one run.

Each question is asked of a pool of Allocators whose neighbours move on before each
round, so that no answer to an earlier state can help. The answers of the whole stream
are verified first; the same stream is then timed. The floor is a compiled call with one
argument and a small answer, through the same loop before each round.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import topoalloc as ta
from topoalloc import hwloc

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

DGX = ta.Machine.preset("dgx-h100")
HGX = ta.Machine.preset("hgx-h100-2gpu2nic")
PAIR = ta.Pair("gpu", "nic", within="bridges")
PAIRED = ta.Request(cores=16, devices={"gpu": 2, "nic": 2}, require=[PAIR])
SMALL = ta.Request(cores=1)
ROUNDS = 200
OWNER = "pod-7"
# hwloc XML files to read besides this host's, as a PATH is written.
FILES = [Path(name) for name in os.environ.get("TOPOALLOC_BENCH_XML", "").split(":")]
XML = {"this_host": None} | {path.name: path for path in FILES if path.name}


class Pool:
    """Allocators among neighbours that come and go; all of it follows from a seed."""

    def __init__(
        self,
        machine: ta.Machine,
        cordon: Callable[[ta.Allocator, random.Random], list[str | int]] | None = None,
        size: int = 64,
    ) -> None:
        self.random = random.Random(7)
        self.cordon = cordon
        self.cordoned: list[list[str | int]] = [[] for _ in range(size)]
        self.allocators = [ta.Allocator(machine) for _ in range(size)]
        self.cores = [core.cpuset for core in machine.cores]
        self.held: list[list[list[str]]] = [[[] for _ in range(4)] for _ in range(size)]

    def move(self) -> None:
        """Let one neighbour of each Allocator leave, and another take 1 to 4 cores."""
        for k, allocator in enumerate(self.allocators):
            for what in self.cordoned[k]:
                allocator.uncordon(what)
            held = self.held[k]
            i = self.random.randrange(len(held))
            if held[i]:
                allocator.release(f"neighbour-{i}")
                held[i] = []
            taken = {core for cores in held for core in cores}
            wanted = self.random.sample(self.cores, self.random.randint(1, 4))
            held[i] = [core for core in wanted if core not in taken]
            if held[i]:
                allocator.take(owner=f"neighbour-{i}", pus=",".join(held[i]))
            if self.cordon:
                self.cordoned[k] = self.cordon(allocator, self.random)
                for what in self.cordoned[k]:
                    allocator.cordon(what)


Calls = Sequence[Callable[[Any], object]]


def time_stream(
    benchmark: BenchmarkFixture,
    make: Callable[[], Pool],
    verify: Callable[[ta.Allocator], None],
    calls: Callable[[ta.Allocator], Callable[[Any], object]],
    argument: Any,
) -> None:
    """Verify the stream of a pool, then time one call of each Allocator a round."""
    pool = make()
    for _ in range(ROUNDS):
        pool.move()
        for allocator in pool.allocators:
            verify(allocator)
    for allocator in pool.allocators:
        allocator.check_consistency()
    pool = make()
    asked = [calls(allocator) for allocator in pool.allocators]
    time_calls(benchmark, asked, argument, setup=pool.move)


def time_calls(
    benchmark: BenchmarkFixture,
    calls: Calls,
    argument: Any,
    *,
    setup: Callable[[], None] | None = None,
    floor: Callable[[Any], object] = len,
    floor_argument: Any = "a",
    rounds: int = ROUNDS,
) -> None:
    """Time a round of calls, and before each round as many calls of the floor."""
    floors = []

    def call(each_of: Calls, argument: Any) -> None:
        for each in each_of:
            each(argument)

    def prepare() -> None:
        if setup:
            setup()
        nothing = [floor] * len(calls)
        begin = time.perf_counter_ns()
        call(nothing, floor_argument)
        floors.append(time.perf_counter_ns() - begin)

    benchmark.pedantic(lambda: call(calls, argument), setup=prepare, rounds=rounds)
    count = len(calls)
    benchmark.extra_info["calls"] = count
    benchmark.extra_info["floor_ns"] = statistics.median(floors) / count


def want(status: ta.Status, request: ta.Request) -> Callable[[ta.Allocator], None]:
    def verify(allocator: ta.Allocator) -> None:
        assert allocator.check(request).status is status

    return verify


def want_one_short(
    request: ta.Request, nearly: ta.Request
) -> Callable[[ta.Allocator], None]:
    """Want a "no" that one less turns into a "yes"."""

    def verify(allocator: ta.Allocator) -> None:
        assert allocator.check(request).status is ta.Status.INFEASIBLE
        assert allocator.check(nearly).status is ta.Status.OPTIMAL

    return verify


def one_nic(_: ta.Allocator, rng: random.Random) -> list[str | int]:
    return [f"nic{rng.randrange(8)}"]


def pairs_of(count: int) -> ta.Request:
    return ta.Request(devices={"gpu": count, "nic": count}, require=[PAIR])


def all_but_31_cores(allocator: ta.Allocator, rng: random.Random) -> list[str | int]:
    """Name a PU of each free core beyond 31 of a NUMANode."""
    machine = allocator.machine
    held = {pu for one in allocator.placements.values() for pu in one.pus}
    left = [0] * len(machine.localities)
    cordoned: list[str | int] = []
    for core in rng.sample(machine.cores, len(machine.cores)):
        first = machine.pus[core.pus[0]]
        if first.os_index not in held:
            left[first.locality] += 1
            if left[first.locality] > 31:
                cordoned.append(first.os_index)
    return cordoned


def taking(request: ta.Request) -> Callable[[ta.Allocator], Callable[[Any], object]]:
    def calls(allocator: ta.Allocator) -> Callable[[Any], object]:
        allocate, release = allocator.allocate, allocator.release

        def call(owner: str) -> None:
            allocate(request, owner=owner)
            release(owner)

        return call

    return calls


def want_taken(request: ta.Request) -> Callable[[ta.Allocator], None]:
    """Want what check() answers to be placed, and given back whole."""

    def verify(allocator: ta.Allocator) -> None:
        verdict = allocator.check(request)
        free = allocator.free_pus, allocator.free_devices
        placement = allocator.allocate(request, owner=OWNER)
        assert verdict.status is ta.Status.OPTIMAL
        assert verdict.placement is not None
        assert placement.cpuset == verdict.placement.cpuset
        assert placement.devices == verdict.placement.devices
        allocator.release(OWNER)
        assert (allocator.free_pus, allocator.free_devices) == free

    return verify


def test_allocate_release(benchmark: BenchmarkFixture) -> None:
    """2 GPUs, the NICs beside them and 16 cores of a DGX H100; a reused Request."""
    time_stream(benchmark, lambda: Pool(DGX), want_taken(PAIRED), taking(PAIRED), OWNER)


def test_allocate_release_unpaired(benchmark: BenchmarkFixture) -> None:
    """The same without the Pair."""
    request = ta.Request(cores=16, devices={"gpu": 2, "nic": 2})
    time_stream(
        benchmark, lambda: Pool(DGX), want_taken(request), taking(request), OWNER
    )


def test_allocate_release_one_core(benchmark: BenchmarkFixture) -> None:
    """The least search there is: mostly the border and the books."""
    time_stream(benchmark, lambda: Pool(DGX), want_taken(SMALL), taking(SMALL), OWNER)


def test_check_yes(benchmark: BenchmarkFixture) -> None:
    time_stream(
        benchmark,
        lambda: Pool(DGX),
        want(ta.Status.OPTIMAL, PAIRED),
        lambda allocator: allocator.check,
        PAIRED,
    )


def test_check_no_8_pairs_of_7_nics(benchmark: BenchmarkFixture) -> None:
    time_stream(
        benchmark,
        lambda: Pool(HGX, one_nic),
        want_one_short(pairs_of(8), pairs_of(7)),
        lambda allocator: allocator.check,
        pairs_of(8),
    )


def test_check_no_32_cores_numa_of_31(benchmark: BenchmarkFixture) -> None:
    request, nearly = (
        ta.Request(cores=n, require=[ta.Align("numa")]) for n in (32, 31)
    )
    time_stream(
        benchmark,
        lambda: Pool(HGX, all_but_31_cores),
        want_one_short(request, nearly),
        lambda allocator: allocator.check,
        request,
    )


def test_check_no_9_gpus(benchmark: BenchmarkFixture) -> None:
    """More than the machine has."""
    request = ta.Request(devices={"gpu": 9})
    time_stream(
        benchmark,
        lambda: Pool(DGX),
        want_one_short(request, ta.Request(devices={"gpu": 8})),
        lambda allocator: allocator.check,
        request,
    )


def test_check_and_explain_no(benchmark: BenchmarkFixture) -> None:
    """check() of 8 pairs with 7 NICs, and the whole Explanation of its "no"."""
    request = pairs_of(8)

    def verify(allocator: ta.Allocator) -> None:
        explanation = allocator.check(request).explain()
        assert explanation.complete
        assert explanation.conflict

    time_stream(
        benchmark,
        lambda: Pool(HGX, one_nic),
        verify,
        lambda allocator: lambda asked: allocator.check(asked).explain(),
        request,
    )


def test_check_many_of_100(benchmark: BenchmarkFixture) -> None:
    """One call, 100 Requests of 1 to 80 cores; the time is that of the call."""
    requests = [ta.Request(cores=1 + n % 80) for n in range(100)]

    def verify(allocator: ta.Allocator) -> None:
        statuses = {verdict.status for verdict in allocator.check_many(requests)}
        assert statuses == {ta.Status.OPTIMAL}

    time_stream(
        benchmark,
        lambda: Pool(DGX, size=1),
        verify,
        lambda allocator: allocator.check_many,
        requests,
    )


def test_allocate_batch_of_90(benchmark: BenchmarkFixture) -> None:
    """One call, 90 owners of a core each, and their release one by one."""
    owners = [f"rank-{i}" for i in range(90)]

    def calls(allocator: ta.Allocator) -> Callable[[Any], object]:
        def call(names: list[str]) -> None:
            allocator.allocate_batch(SMALL, names)
            for name in names:
                allocator.release(name)

        return call

    def verify(allocator: ta.Allocator) -> None:
        free = allocator.free_pus
        assert all(map(bool, allocator.allocate_batch(SMALL, owners)))
        for owner in owners:
            allocator.release(owner)
        assert allocator.free_pus == free

    time_stream(benchmark, lambda: Pool(DGX, size=1), verify, calls, owners)


def test_request_from_arguments(benchmark: BenchmarkFixture) -> None:
    def make(cores: int) -> ta.Request:
        return ta.Request(cores=cores, devices={"gpu": 2, "nic": 2})

    assert make(16).cores == 16
    time_calls(benchmark, [make] * 64, 16)


def test_read_a_placement(benchmark: BenchmarkFixture) -> None:
    """Its PUs, devices and cost, unfolded from masks at the first look."""
    pool = Pool(DGX)
    looks: list[Callable[[Any], tuple[Any, ...]]] = []

    def look_at(placement: ta.Placement) -> Callable[[Any], tuple[Any, ...]]:
        return lambda _: (placement.cpuset, placement.devices, placement.cost)

    def move() -> None:
        pool.move()
        looks.clear()
        for allocator in pool.allocators:
            looks.append(look_at(allocator.allocate(PAIRED, owner=OWNER)))
            allocator.release(OWNER)

    move()
    assert {len(devices) for _, devices, _ in (look(None) for look in looks)} == {4}
    time_calls(benchmark, looks, None, setup=move)


def load_host(_: None) -> None:
    hwloc.load().close()


def load_document(document: bytes) -> None:
    hwloc.load(document).close()


def count_pus(document: bytes | None) -> int:
    with hwloc.load(document) as topology:
        return sum(1 for each in topology.objects if each.type == "PU")


def test_discover(benchmark: BenchmarkFixture) -> None:
    """This host as a Machine; the floor is libhwloc's load of it with its devices."""
    assert len(ta.Machine.discover().pus) == count_pus(None)
    time_calls(
        benchmark,
        [lambda _: ta.Machine.discover()],
        None,
        floor=load_host,
        floor_argument=None,
        rounds=201,
    )


@pytest.mark.parametrize("name", XML)
def test_read_xml(benchmark: BenchmarkFixture, name: str) -> None:
    """A document in memory as a Machine; the floor is libhwloc's load of it."""
    path = XML[name]
    document = hwloc.discover_xml() if path is None else path.read_bytes()
    assert len(ta.Machine.from_xml(document).pus) == count_pus(document)
    time_calls(
        benchmark,
        [ta.Machine.from_xml],
        document,
        floor=load_document,
        floor_argument=document,
        rounds=101,
    )
