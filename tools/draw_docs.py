# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of README.md and docs/ anew; a test compares them.

``python tools/draw_docs.py`` writes them into docs/_static.
"""

from __future__ import annotations

import json
from pathlib import Path

import topoalloc as ta
from topoalloc.draw import cluster_svg, machine_svg

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "docs" / "_static"
EXAMPLES = ROOT / "examples"


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


def gb200_nvl72() -> str:
    """Draw 16 racks that run a training and evaluations, with trays cordoned.

    Returns
    -------
    str
        SVG.
    """
    cluster, train, evaluate = (
        json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("gb200_nvl72", "gang_train", "gang_eval")
    )
    drawn = ta.Cluster.from_dict(cluster)
    for name in ("t007", "t145"):
        drawn.cordon(name)
    for document, name in (
        (train, "train-3"),
        (evaluate, "eval-9"),
        (evaluate, "eval-10"),
    ):
        drawn.commit(drawn.place(ta.Gang.from_dict(document | {"name": name})))
    serve = ta.PodSet("server", ta.Request(cores=36, devices={"gpu": 2}), 11)
    drawn.commit(drawn.place(ta.Gang("serve-1", [serve])))
    return cluster_svg(drawn)


PICTURES = {"dgx-h100.svg": dgx_h100, "gb200-nvl72.svg": gb200_nvl72}
"""File to what draws it."""


if __name__ == "__main__":
    STATIC.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (STATIC / name).write_text(draw(), encoding="utf-8")
