# SPDX-License-Identifier: Apache-2.0
"""A day of a cluster of GB200 NVL72 racks: python gb200_nvl72.py cluster.svg.

Two scalable units of eight racks, 18 trays a rack, four GPUs a tray, as in NVIDIA's
reference architecture of the DGX SuperPOD with GB200. Trainings take 16 trays of each
rack and leave two as spares; then trays fail, and an evaluation finds no room.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import topoalloc as ta
from topoalloc.draw import cluster_svg, cluster_text

HERE = Path(__file__).resolve().parent


def read(name: str) -> dict[str, Any]:
    """Read a file beside this one."""
    document: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return document


def start(cluster: ta.Cluster, document: Mapping[str, Any]) -> ta.GangPlan:
    """Let a Gang run where there is a place for it, and say where."""
    plan = cluster.place(ta.Gang.from_dict(document))
    what = f"{plan.gang.name}: {plan.status.name}"
    if plan:
        cluster.commit(plan)
        racks = sorted({cluster.describe(node).domains["rack"] for node in plan.nodes})
        print(f"{what}, {len(plan.pods)} pods in {', '.join(racks)}")
    else:
        print(f"{what}, {plan.reason}")
    return plan


def main(path: str) -> None:
    """Go through the day."""
    cluster = ta.Cluster.from_dict(read("gb200_nvl72.json"))
    print(f"1. {cluster}")
    train, evaluate = read("gang_train.json"), read("gang_eval.json")
    start(cluster, train)
    start(cluster, train | {"name": "train-4"})

    failed = ["t007", "t012", "t130"]
    print(f"\n2. {', '.join(failed)} fail; spares of their racks take over.")
    for tray in failed:
        cluster.cordon(tray)
    change = cluster.replace("train-3", failed)
    cluster.commit(change)
    print(f"{change.status.name}, and all other pods stay:")
    for move in change.moves:
        print(f"  {move}")

    print("\n3. An evaluation wants eight trays of one NVLink domain.")
    whole = ta.Request.from_dict(train["podsets"][0]["request"])
    spares = sum(rack.count for rack in cluster.headroom(whole, level="rack"))
    plan = start(cluster, evaluate)
    print(f"{spares} trays are free, and yet:\n{plan.explanation}")

    print("4. What if train-4 stopped first?")
    what_if = cluster.fork()
    what_if.release("train-4")
    start(what_if, evaluate)
    print(f"On the cluster itself run {', '.join(cluster.gangs)}.\n")

    print(cluster_text(cluster))
    Path(path).write_text(cluster_svg(cluster), encoding="utf-8")
    print(f"{path}: written")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cluster.svg")
