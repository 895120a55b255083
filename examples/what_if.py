# SPDX-License-Identifier: Apache-2.0
"""Ask "what if" on a fork: which job would have to leave for a larger one to fit."""

from __future__ import annotations

import topoalloc as ta


def main() -> None:
    """Fill a node, ask for more, try each departure on a copy."""
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    for i in range(3):
        job = ta.Request(cores=16, devices={"gpu": 2}, require=[ta.Align("numa")])
        allocator.allocate(job, owner=f"train-{i}")
    wanted = ta.Request(cores=32, devices={"gpu": 4}, require=[ta.Align("numa")])
    print(f"four GPUs beside each other: {allocator.check(wanted).status.name}")
    for owner in allocator.placements:
        copy = allocator.fork()
        copy.release(owner)
        verdict = copy.check(wanted)
        print(f"  without {owner}: {verdict.status.name}")
    assert len(allocator.placements) == 3


if __name__ == "__main__":
    main()
