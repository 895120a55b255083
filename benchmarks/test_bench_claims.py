# SPDX-License-Identifier: Apache-2.0
"""What claims cost on a node of 8 GPUs, and on a thousand of them.

Each answer is verified before it is timed. The rows of one pod ask nodes whose
neighbours come and go before each round; the rows of a "no" are the cases over which
Kubernetes' structured allocator takes 10^5 steps and more.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.test_bench_calls import time_calls
from tests.cluster_objects import NUMA, ROOT, claim_of, class_of, request_of, slice_of

from topoalloc import kubernetes as tk

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CHOICES = ("first_fit", "optimal")
NODES = 64
GPU, NIC, CPU = "gpu.example.com", "nic.example.com", "cpu.example.com"
ALIGNED = {"matchAttribute": NUMA}


def devices(kind: str, count: int) -> list[dict[str, Any]]:
    """Return devices with 12 attributes, half of them on each NUMANode."""
    more = {f"a{number}": {"string": f"value-{number}"} for number in range(9)}
    return [
        {
            "name": f"{kind}-{number:03}",
            "attributes": {
                **more,
                "index": {"int": number},
                ROOT: {"string": f"pci0000:{number % 8:02x}"},
                NUMA: {"int": 2 * number // count},
            },
        }
        for number in range(count)
    ]


def inventory_of(nodes: int, cpus: int = 0) -> tk.Inventory:
    inventory = tk.Inventory()
    for kind, driver in (("gpu", GPU), ("nic", NIC), ("cpu", CPU)):
        inventory.update(class_of(kind, f"device.driver == '{driver}'"))
    for number in range(nodes):
        node = f"n{number:04}"
        for driver, found in (
            (GPU, devices("gpu", 8)),
            (NIC, devices("nic", 8)),
            (CPU, devices("cpu", cpus)),
        ):
            if found:
                name = f"{node}-{driver}"
                inventory.update(slice_of(name, found, node=node, driver=driver))
    return inventory


def take(inventory: tk.Inventory, node: str, *names: tuple[str, str]) -> None:
    """Let another claim hold devices: a driver and a name each."""
    held = claim_of("held", request_of("r", "gpu", count=len(names)))
    held["metadata"]["namespace"] = node
    results = [
        {"request": "r", "driver": driver, "pool": node, "device": name}
        for driver, name in names
    ]
    held["status"] = {"allocation": {"devices": {"results": results}}}
    inventory.update(held)


def pod_claim() -> dict[str, Any]:
    """Return 2 GPUs and 2 NICs of one NUMANode."""
    return claim_of(
        "pod",
        request_of("g", "gpu", count=2),
        request_of("n", "nic", count=2),
        constraints=[ALIGNED],
    )


class Stream:
    """Nodes whose neighbours come and go; all of it follows from a seed."""

    def __init__(self) -> None:
        self.inventory = inventory_of(NODES)
        self.inventory.update(pod_claim())
        self.random = random.Random(7)

    def move(self) -> None:
        for number in range(NODES):
            count = self.random.randint(1, 3)
            taken = self.random.sample(range(8), count)
            node = f"n{number:04}"
            take(self.inventory, node, *((GPU, f"gpu-{each:03}") for each in taken))


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize("how", ["by_name", "of_objects"])
def test_allocation_of_a_pod(
    benchmark: BenchmarkFixture, how: str, choose: str
) -> None:
    """From claims to `status.allocation`."""
    stream = Stream()
    check = stream.inventory.check
    claims = ["ml/pod"] if how == "by_name" else [pod_claim()]

    def call_of(node: str) -> Any:
        return lambda asked: check(asked, node=node, choose=choose).allocations

    calls = [call_of(f"n{number:04}") for number in range(NODES)]
    for _ in range(20):
        stream.move()
        for number, call in enumerate(calls):
            (allocation,) = call(claims)
            assert len(allocation["devices"]["results"]) == 4
            written = {**pod_claim(), "status": {"allocation": allocation}}
            assert number or tk.validate([written], stream.inventory) == []
    time_calls(benchmark, calls, claims, setup=stream.move, rounds=100)


@pytest.mark.parametrize("choose", CHOICES)
def test_sweep_of_1000_nodes(benchmark: BenchmarkFixture, choose: str) -> None:
    """The pod asked of all nodes, one of which has changed."""
    inventory = inventory_of(1000)
    inventory.update(pod_claim())
    rng = random.Random(7)
    for number in range(0, 1000, 3):
        taken = rng.sample(range(8), 1 + number % 3)
        take(inventory, f"n{number:04}", *((GPU, f"gpu-{each:03}") for each in taken))

    def move() -> None:
        taken = rng.sample(range(8), 3)
        node = f"n{rng.randrange(1000):04}"
        take(inventory, node, *((GPU, f"gpu-{each:03}") for each in taken))

    def call(claims: list[str]) -> tuple[str, ...]:
        return inventory.check_nodes(claims, choose=choose).placed

    placed = set(call(["ml/pod"]))
    for number in range(0, 1000, 50):
        node = f"n{number:04}"
        verdict = inventory.check(["ml/pod"], node=node, choose=choose)
        assert bool(verdict) == (node in placed)
    time_calls(benchmark, [call], ["ml/pod"], setup=move, rounds=100)


def pairs(count: int, *, grouped: bool) -> dict[str, Any]:
    """Return requests for pairs of a GPU and a NIC, each with one PCI root."""
    names = [(f"g{number}", f"n{number}") for number in range(count)]
    requests = [
        request_of(name, "gpu" if name.startswith("g") else "nic")
        for pair in names
        for name in pair
    ]
    if grouped:
        requests.sort(key=lambda request: str(request["name"])[0])
    constraints = [{"requests": list(pair), "matchAttribute": ROOT} for pair in names]
    return claim_of("pairs", *requests, constraints=constraints)


def numa_claim() -> dict[str, Any]:
    return claim_of(
        "c",
        request_of("g", "gpu", count=4),
        request_of("n", "nic", count=4),
        constraints=[ALIGNED],
    )


def cpu_claim(count: int) -> dict[str, Any]:
    return claim_of("c", request_of("p", "cpu", count=count), constraints=[ALIGNED])


def taken(driver: str, kind: str, *numbers: int) -> list[tuple[str, str]]:
    return [(driver, f"{kind}-{number:03}") for number in numbers]


# By case: what is asked, what is taken, CPUs of the node, and whether it fits.
CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str]], int, bool]] = {
    "4_gpus_4_nics_numa": (numa_claim(), [], 0, True),
    "4_gpus_4_nics_numa_of_3_gpus": (numa_claim(), taken(GPU, "gpu", 0, 4), 0, False),
    "4_gpus_4_nics_numa_of_3_nics": (numa_claim(), taken(NIC, "nic", 0, 4), 0, False),
    "8_pairs": (pairs(8, grouped=False), [], 0, True),
    "4_pairs_of_3_interleaved": (
        pairs(4, grouped=False),
        taken(NIC, "nic", 3, 4, 5, 6, 7),
        0,
        False,
    ),
    "4_pairs_of_3_grouped": (
        pairs(4, grouped=True),
        taken(NIC, "nic", 3, 4, 5, 6, 7),
        0,
        False,
    ),
    "8_pairs_of_7_interleaved": (
        pairs(8, grouped=False),
        taken(NIC, "nic", 7),
        0,
        False,
    ),
    "8_pairs_of_7_grouped": (pairs(8, grouped=True), taken(NIC, "nic", 7), 0, False),
    "8_gpus_one_by_one_of_7": (
        claim_of("c", *(request_of(f"g{number}", "gpu") for number in range(8))),
        taken(GPU, "gpu", 7),
        0,
        False,
    ),
    **{
        f"{count}_cpus_numa_of_1_less": (cpu_claim(count), [], 2 * (count - 1), False)
        for count in (20, 24, 32)
    },
}


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize("case", CASES)
def test_case(benchmark: BenchmarkFixture, case: str, choose: str) -> None:
    """Cases that Kubernetes' structured allocator searches, some of them for long."""
    claim, held, cpus, fits = CASES[case]
    inventory = inventory_of(1, cpus)
    if held:
        take(inventory, "n0000", *held)
    inventory.update(claim)
    name = f"ml/{claim['metadata']['name']}"
    verdict = inventory.check([name], node="n0000", choose=choose)
    assert bool(verdict) == fits
    benchmark.extra_info["steps"] = verdict.steps

    def call(claims: list[str]) -> tk.ClaimVerdict:
        return inventory.check(claims, node="n0000", choose=choose)

    time_calls(benchmark, [call] * 16, [name], rounds=50)
