# SPDX-License-Identifier: Apache-2.0
"""How often the step limit ends a question about cores on many localities.

::

    python -m tests.steps.limits [SEEDS]

Fills machines of 2 to 64 localities from seeds and asks for counts of cores and PUs,
memory and Align. Prints, for each machine and kind of Request, how many questions there
were, how many the limit ended, and the most steps of those it did not end. The exit
code is 1 when it ended any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.steps.questions import fill, make_machine, requests

import topoalloc as ta

MACHINES = {
    "2 packages, 32 localities": "pack:2 numa:16 l3:1 core:4 pu:2",
    "4 packages, 64 localities": "pack:4 numa:16 l3:1 core:6 pu:2",
    "8 packages, 64 localities, 2 L3s each": "pack:8 numa:8 l3:2 core:3 pu:2",
}
PRESETS = ("dgx-a100", "epyc-nps4", "intel-snc4", "epyc-768")
FILLS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
PROOFS = (ta.Status.OPTIMAL, ta.Status.INFEASIBLE)


def questions(machine: ta.Machine) -> Iterator[tuple[str, ta.Request]]:
    """Name the kind of each Request; several sizes are of one kind."""
    for request in requests(machine).values():
        if not request.devices:
            yield "those pinned", request
    cores = len(machine.cores)
    for size in (cores // 8, cores // 6, cores // 3, cores // 2):
        yield "cores", ta.Request(cores=size)
        yield "odd PUs", ta.Request(pus=2 * size + 1)
        yield "cores and memory", ta.Request(cores=size, memory=f"{size}Gi")
        yield (
            "cores in a package",
            ta.Request(cores=size, require=[ta.Align("package")]),
        )


def count(machine: ta.Machine, seeds: int) -> dict[str, list[int]]:
    """Return questions, those ended by the limit and most steps, by kind."""
    rows: dict[str, list[int]] = {}
    for share in FILLS:
        for seed in range(seeds):
            allocator = ta.Allocator(machine)
            fill(allocator, share, seed)
            for kind, request in questions(machine):
                verdict = allocator.check(request)
                row = rows.setdefault(kind, [0, 0, 0])
                row[0] += 1
                if verdict.status in PROOFS:
                    row[2] = max(row[2], verdict.steps)
                else:
                    row[1] += 1
    return rows


def main() -> int:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    machines = {name: make_machine(name) for name in PRESETS}
    machines |= {k: ta.Machine.from_synthetic(v) for k, v in MACHINES.items()}
    ended = 0
    for name, machine in machines.items():
        for kind, (asked, limited, steps) in count(machine, seeds).items():
            print(f"{name:38} {kind:20} {asked:6} {limited:5} {steps:8}", flush=True)
            ended += limited
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())
