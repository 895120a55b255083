# SPDX-License-Identifier: Apache-2.0
"""The main job, on this machine and on an 8-GPU one; ``make demo`` runs it.

1. Read this machine through hwloc, place work on it, bind to it, ask the kernel.
2. Place GPUs beside their NICs on a DGX H100.
3. Ask for what cannot be, and read the proof.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time

import topoalloc as ta
from topoalloc.draw import machine_tree


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'-' * len(text)}")


def show(text: object) -> None:
    """Print a block, set in."""
    print(textwrap.indent(str(text).rstrip(), "    "))


def this_machine() -> bool:
    """Discover, place, bind, and see whether the kernel agrees."""
    heading("1. This machine")
    try:
        machine = ta.Machine.discover()
    except ta.TopologyError as error:
        print(f"hwloc cannot read this machine: {error}")
        return False
    show(machine_tree(machine))
    request = ta.Request(pus=1, memory="16Mi", require=[ta.Align("numa")])
    placement = ta.Allocator(machine).allocate(request, owner="demo")
    before = os.sched_getaffinity(0)
    placement.bind()
    kernel = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before)
    print(
        f"\nOne PU with its memory:  PU {placement.cpuset}, memory {placement.memory}"
    )
    print(f"Bound; the kernel says:  PU {','.join(map(str, sorted(kernel)))}")
    return kernel == {*placement.pus}


def eight_gpus() -> None:
    """Place two GPUs, their NICs, cores and memory on a DGX H100."""
    heading("2. A DGX H100: 2 GPUs, each with its nearest NIC, 16 cores and 64 GiB")
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    request = ta.Request(
        cores=16,
        memory="64Gi",
        devices={"gpu": 2, "nic": 2},
        require=[ta.Align("numa"), ta.Pair("gpu", "nic", within="bridges")],
    )
    allocator.check(request)  # What the Request means here is compiled once.
    start = time.perf_counter_ns()
    verdict = allocator.check(request)
    spent_us = (time.perf_counter_ns() - start) / 1000
    placement = allocator.allocate(request, owner="train-1")
    print(f"{verdict.status.name} in {verdict.steps} steps, {spent_us:.1f} us")
    print(f"    PUs      {placement.cpuset}")
    print(f"    memory   {placement.memory[0] // 2**30} GiB of NUMANode 0")
    for gpu, nic in placement.pairs:
        level = allocator.machine.distance(gpu, nic)
        print(f"    pair     {gpu} - {nic}: {level} ({level.nvidia_smi})")
    runner_up = verdict.explanation.runner_up
    if runner_up is not None:
        where = ", ".join(runner_up.placement.devices)
        print(f"    next     {where}: {runner_up.lost_on or 'equal in every term'}")


def a_proved_no() -> bool:
    """Ask for more than there is and print the proof."""
    heading(
        "3. Eight GPUs, each with a NIC that near, while one NIC is broken: no, why?"
    )
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    allocator.cordon("mlx5_4")
    verdict = allocator.check(
        ta.Request(
            cores=16,
            devices={"gpu": 8, "nic": 8},
            require=[ta.Pair("gpu", "nic", within="bridges")],
        )
    )
    show(verdict.explanation)
    print(f"\n{verdict.status.name} is a proof, found in {verdict.steps} steps.")
    return not verdict


def main() -> int:
    """Run the three parts; 0 when each came out as it says."""
    print(f"topoalloc {ta.__version__}")
    is_bound = this_machine()
    eight_gpus()
    is_refused = a_proved_no()
    print("\nGo on with: topoalloc show -i dgx-h100, topoalloc plan --help")
    return 0 if is_bound and is_refused else 1


if __name__ == "__main__":
    sys.exit(main())
