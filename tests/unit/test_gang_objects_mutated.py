# SPDX-License-Identifier: Apache-2.0
"""Objects with one value replaced by another serve, or are refused by path."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

from tests.group_objects import RACK, composite, node, pod_group, pods, within

import topoalloc as ta
from topoalloc import kubernetes as tk


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in inner:
        found.append((*at, key))
        if isinstance(one, dict | list):
            found += places(one, (*at, key))
    return found


def refusal(objects: list[Any]) -> str | None:
    """Return the message of the error; None where the objects serve."""
    try:
        made = tk.GangObjects(objects[:3], nodes=objects[3:])
        plan = tk.cluster(objects[3:], [RACK], pods=objects[2:3]).place(made.gang)
        made.groups(plan, time="2026-11-23T12:00:00Z")
    except (tk.ObjectError, ta.InvalidRequestError) as error:
        return str(error)
    return None


def test_mutated_objects_are_refused_by_path_or_serve() -> None:
    pod = pods(
        "a",
        1,
        {"cpu": "2", "hugepages-2Mi": "4Mi"},
        nodeSelector={"pool": "a"},
        initContainers=[{"restartPolicy": "Always"}],
        overhead={"memory": "1Mi"},
        tolerations=[{"key": "x", "operator": "Exists", "effect": "NoExecute"}],
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": "gpu", "operator": "In", "values": ["h100"]}
                            ]
                        }
                    ]
                }
            }
        },
    )[0]
    group = pod_group(
        "a",
        1,
        schedulingConstraints=within(RACK),
        priority=3,
        disruptionMode={"all": {}},
        workloadRef={"workloadName": "train", "templateName": "t"},
        parentCompositePodGroupName="root",
    )
    group["status"] = {"conditions": [{"type": "DisruptionTarget", "status": "False"}]}
    root = composite("root", 1, disruptionMode={"all": {}}, priority=3)
    original = [root, group, pod, node("n", {RACK: "r", "pool": "a", "gpu": "h100"})]
    draw = random.Random(4)
    values: list[Any] = [
        None,
        True,
        -1,
        10**30,
        0.5,
        "",
        "x y",
        "9",
        [],
        {},
        [{}],
        [None],
        {"a": 1},
    ]
    ways, refusals = places(original), 0
    for _ in range(3000):
        objects = copy.deepcopy(original)
        way = draw.choice(ways)
        holder: Any = objects
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = draw.choice(values)
        told = refusal(objects)
        assert re.match(r"(objects|nodes|pods)(\[\d\]|: )", told or "pods: "), way
        refusals += bool(told)
    assert refusals > 2000
