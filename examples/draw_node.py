# SPDX-License-Identifier: Apache-2.0
"""Write a picture of a node with two jobs on it: python draw_node.py node.svg."""

from __future__ import annotations

import sys
from pathlib import Path

import topoalloc as ta
from topoalloc.draw import machine_svg


def main(path: str) -> None:
    """Place two jobs on a DGX H100 and draw it."""
    machine = ta.Machine.preset("dgx-h100")
    allocator = ta.Allocator(machine, reserved_pus="0-1,112-113")
    pairs = [ta.Pair("gpu", "nic", within="bridges")]
    for owner, gpus in (("train", 4), ("serve", 2)):
        request = ta.Request(
            cores=8 * gpus,
            memory=f"{100 * gpus}Gi",
            devices={"gpu": gpus, "nic": gpus},
            require=pairs,
        )
        allocator.allocate(request, owner=owner)
    Path(path).write_text(machine_svg(machine, allocator), encoding="utf-8")
    print(f"{path}: {', '.join(allocator.placements)} on {machine.name}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "node.svg")
