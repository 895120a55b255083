# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of README.md and docs/ anew; a test compares them.

``python tools/draw_docs.py`` writes them into docs/_static.
"""

from __future__ import annotations

from pathlib import Path

import topoalloc as ta
from topoalloc.draw import machine_svg

STATIC = Path(__file__).resolve().parent.parent / "docs" / "_static"


def dgx_h100() -> str:
    """Draw a DGX H100 that runs two trainings and a service.

    Returns
    -------
    str
        SVG.
    """
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    for owner, cores, count in (("train-1", 16, 2), ("train-2", 32, 4)):
        request = ta.Request(
            cores=cores,
            memory="64Gi",
            devices={"gpu": count, "nic": count},
            require=[ta.Align("numa"), ta.Pair("gpu", "nic", within="bridges")],
        )
        allocator.allocate(request, owner=owner)
    allocator.allocate(ta.Request(cores=8), owner="web")
    return machine_svg(allocator.machine, allocator)


PICTURES = {"dgx-h100.svg": dgx_h100}
"""File to what draws it."""


if __name__ == "__main__":
    STATIC.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (STATIC / name).write_text(draw(), encoding="utf-8")
