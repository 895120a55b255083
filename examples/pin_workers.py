# SPDX-License-Identifier: Apache-2.0
"""Start worker processes, each bound to cores and memory of its own, on this host."""

from __future__ import annotations

import multiprocessing
import os
import sys

import topoalloc as ta
from topoalloc import hwloc


def work(cpuset: str, nodeset: str) -> list[int]:
    """Bind, and say where the kernel lets this process run."""
    hwloc.bind_process(cpuset, nodeset)
    return sorted(os.sched_getaffinity(0))


def main() -> int:
    """Give each of up to four workers one PU and 16 MiB; 0 when the kernel agrees."""
    allocator = ta.Allocator(ta.Machine.discover())
    request = ta.Request(pus=1, memory="16Mi")
    count = min(4, allocator.headroom(request).upper)
    owners = [f"worker-{i}" for i in range(count)]
    placements = allocator.allocate_many(dict.fromkeys(owners, request))
    is_right = True
    # A new process for each: a forked one would inherit what this one has loaded.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for owner, placement in placements.items():
            nodeset = ",".join(map(str, placement.memory))
            where = pool.apply(work, (placement.cpuset, nodeset))
            print(f"{owner}: PUs {where}, memory {placement.memory}")
            is_right = is_right and where == [*placement.pus]
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
