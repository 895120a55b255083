# SPDX-License-Identifier: Apache-2.0
"""Machines, states and Requests whose steps `steps.json` pins.

Write the file anew after a change of the solver, and read the difference::

    python -m tests.steps.questions

All requests here are of the kinds that have to be answered in polynomial time: counts,
Align, Pair, links up to 16 devices, one shared capacity, alone and together.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import topoalloc as ta

PINNED = Path(__file__).with_name("steps.json")
SYNTHETIC = {
    "two-localities": "pack:2 l3:4 core:4 pu:2",
    "sixteen-localities": "pack:2 numa:8 l3:1 core:4 pu:2",
    "sixty-four-localities": "pack:4 numa:16 l3:1 core:6 pu:2",
}
STATES = ("idle", "filled-1", "filled-2", "filled-3")
SHARES = {"idle": 0.0, "filled-1": 0.2, "filled-2": 0.45, "filled-3": 0.7}


def machine_names() -> tuple[str, ...]:
    """Name every preset and the synthetic machines."""
    return (*ta.Machine.presets(), *SYNTHETIC)


def make_machine(name: str) -> ta.Machine:
    if name in SYNTHETIC:
        return ta.Machine.from_synthetic(SYNTHETIC[name])
    return ta.Machine.preset(name)


def fill(allocator: ta.Allocator, share: float, seed: int) -> None:
    """Give about `share` of the cores and roots of devices to neighbours, at random.

    Neighbours hold up to four cores and a device, wherever these are.
    """
    # random() is the one method whose sequence the standard library promises to keep.
    draw = random.Random(seed).random
    machine = allocator.machine
    cores = [c for c in machine.cores if draw() < share]
    devices = [d for d in machine.devices if d.parent is None and draw() < share / 2]
    while cores or devices:
        held = cores[: 1 + int(draw() * 4)]
        del cores[: len(held)]
        name = f"neighbour-{len(allocator.placements)}"
        allocator.take(
            owner=name,
            pus=",".join(core.cpuset for core in held),
            devices=[devices.pop().name] if devices else (),
        )


def make_state(machine: ta.Machine, name: str) -> ta.Allocator:
    allocator = ta.Allocator(machine)
    fill(allocator, SHARES[name], STATES.index(name))
    return allocator


def requests(machine: ta.Machine) -> dict[str, ta.Request]:
    """Ask for sizes that fit, just fit and do not: the cores depend on the machine."""
    numa = len(machine.cores) // len(machine.localities)
    l3 = len(machine.cores) // len(machine.l3s)
    every = len(machine.cores)
    asked: dict[str, ta.Request] = {
        "cores-1": ta.Request(cores=1),
        "cores-quarter": ta.Request(cores=max(1, every // 4)),
        "cores-most": ta.Request(cores=every * 3 // 5),
        "cores-too-many": ta.Request(cores=every + 1),
        "pus-7": ta.Request(pus=7),
        "pus-odd-whole": ta.Request(pus=6, whole_cores=True),
        "memory": ta.Request(cores=2, memory="1Gi"),
    }
    for level, size in (("l3", l3), ("numa", numa)):
        align = [ta.Align(level)]
        asked[f"{level}-half"] = ta.Request(cores=max(1, size // 2), require=align)
        asked[f"{level}-whole"] = ta.Request(cores=size, require=align)
        asked[f"{level}-one-more"] = ta.Request(cores=size + 1, require=align)
        asked[f"{level}-preferred"] = ta.Request(cores=size + 1, prefer=align)
    asked |= device_requests(max(1, numa // 4))
    return asked


def device_requests(cores: int) -> dict[str, ta.Request]:
    """Ask for devices with links, Align, Pair and a share."""
    asked: dict[str, ta.Request] = {}
    for gpus in (1, 2, 4, 8, 16):
        asked[f"gpus-{gpus}"] = ta.Request(cores=cores, devices={"gpu": gpus})
        asked[f"gpus-{gpus}-numa"] = ta.Request(
            cores=cores, devices={"gpu": gpus}, require=[ta.Align("numa")]
        )
        asked[f"gpus-{gpus}-package"] = ta.Request(
            devices={"gpu": gpus}, require=[ta.Align("package")]
        )
    for mode in ("clique", "connected"):
        for gpus in (2, 4, 8):
            asked[f"link-{mode}-{gpus}"] = ta.Request(
                devices={"gpu": gpus}, require=[ta.Link("gpu", mode=mode)]
            )
    for within in ("switch", "bridges", "root", "numa"):
        for pairs in (1, 2, 4, 8):
            pair = ta.Pair("gpu", "nic", within=within)
            devices = {"gpu": pairs, "nic": pairs}
            asked[f"pair-{within}-{pairs}"] = ta.Request(
                cores=cores, devices=devices, require=[pair]
            )
            asked[f"pair-{within}-{pairs}-numa"] = ta.Request(
                devices=devices, require=[pair, ta.Align("numa")]
            )
        asked[f"pair-{within}-preferred"] = ta.Request(
            cores=cores,
            devices={"gpu": 4, "nic": 4},
            prefer=[ta.Pair("gpu", "nic", within=within), ta.Align("numa")],
        )
        asked[f"pair-{within}-two-to-one"] = ta.Request(
            devices={"gpu": 4, "nic": 2},
            require=[ta.Pair("gpu", "nic", within=within, ratio=(2, 1))],
        )
    asked["nics-5"] = ta.Request(cores=cores, devices={"nic": 5})
    for capacity in ("40Gi", "100Gi"):
        share = ta.DeviceRequest(1, share={"memory": capacity})
        asked[f"share-{capacity}"] = ta.Request(cores=cores, devices={"gpu": share})
    return asked


def answers(name: str) -> Iterator[tuple[str, ta.Verdict]]:
    """Answer everything on one machine; keys are `state/request`."""
    machine = make_machine(name)
    asked = requests(machine)
    for state in STATES:
        allocator = make_state(machine, state)
        for key, request in asked.items():
            yield f"{state}/{key}", allocator.check(request)


def measure(
    name: str, each: Callable[[str], object] = lambda _: None
) -> dict[str, list[str | int]]:
    found: dict[str, list[str | int]] = {}
    for key, verdict in answers(name):
        each(key)
        found[key] = [verdict.status.name, verdict.steps]
    return found


def write() -> None:
    """Write `steps.json` anew, one line an answer, and say what is at the limit."""
    lines = []
    for name in machine_names():
        rows = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(row)}"
            for key, row in measure(name).items()
        )
        lines.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
    PINNED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    write()
