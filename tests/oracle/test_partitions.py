# SPDX-License-Identifier: Apache-2.0
"""A partition has no links, so links do not part the slices of a Request."""

from __future__ import annotations

import pytest
from tests.oracle import programme
from tests.oracle.machine import Machine
from tests.oracle.problem import State

import topoalloc as ta


@pytest.fixture(scope="module")
def machine() -> ta.Machine:
    return ta.Machine.preset("dgx-h100-mig")


def solve(machine: ta.Machine, request: ta.Request) -> ta.Verdict:
    """Ask the core, and hold its cost to the integer programme."""
    verdict = ta.Allocator(machine).check(request)
    assert verdict.status is not ta.Status.UNKNOWN
    best = programme.solve(Machine(machine.to_dict()), State(), request.to_dict()).cost
    assert (None if verdict.cost is None else tuple(verdict.cost)) == best
    return verdict


def test_partition_has_no_link(machine: ta.Machine) -> None:
    assert machine.link("gpu0", "gpu1") == 450_000
    assert machine.link("gpu0/0", "gpu1/0") == 0
    assert machine.link("gpu0/0", "gpu1") == 0
    assert machine.link("gpu0/0", "gpu0/1") == 0


@pytest.mark.parametrize("cores", [0, 8])
@pytest.mark.parametrize("profile", ["1g.10gb", "2g.20gb", "3g.40gb"])
def test_two_slices_lie_on_one_gpu(
    machine: ta.Machine, profile: str, cores: int
) -> None:
    wanted = {"gpu": ta.DeviceRequest(2, partition=profile)}
    verdict = solve(machine, ta.Request(cores=cores, devices=wanted))
    assert verdict.placement is not None
    found = [machine.device(name) for name in verdict.placement.devices]
    assert [part.partition for part in found] == [profile] * 2
    assert len({part.parent for part in found}) == 1
    assert verdict.placement.cost.missing_link == 0
    assert verdict.placement.cost.opened_devices == 1


def test_two_whole_gpus_still_miss_no_link(machine: ta.Machine) -> None:
    verdict = solve(machine, ta.Request(devices={"gpu": 2}))
    assert verdict.placement is not None
    assert verdict.placement.cost.missing_link == 0
    assert verdict.placement.cost.opened_devices == 2


@pytest.mark.parametrize("mode", ["clique", "connected"])
def test_link_holds_over_one_partition_and_never_over_two(
    machine: ta.Machine, mode: str
) -> None:
    link = ta.Link("gpu", mode=mode)
    for count, status in [(1, ta.Status.OPTIMAL), (2, ta.Status.INFEASIBLE)]:
        wanted = {"gpu": ta.DeviceRequest(count, partition="1g.10gb")}
        request = ta.Request(devices=wanted, require=[link])
        assert solve(machine, request).status is status
