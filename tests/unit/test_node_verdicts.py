# SPDX-License-Identifier: Apache-2.0
"""check_nodes: of every node what check says of it, alike or not."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from tests import claim_instances
from tests.cluster_objects import (
    NUMA,
    claim_of,
    class_of,
    gpus,
    nics,
    request_of,
    slice_of,
)

import topoalloc as ta
from topoalloc import kubernetes as tk

PAIRS = claim_of(
    "pairs",
    request_of("g", count=2),
    request_of("n", "nic", count=2),
    constraints=[{"matchAttribute": NUMA}],
)


def cluster_of(nodes: int) -> tk.Inventory:
    inventory = tk.Inventory()
    inventory.update(class_of("gpu", "device.driver == 'gpu.example.com'"))
    inventory.update(class_of("nic", "device.driver == 'nic.example.com'"))
    for number in range(nodes):
        node = f"n{number:02}"
        devices = copy.deepcopy(gpus(4))
        for index, device in enumerate(devices):
            device["attributes"]["uuid"] = {"string": f"GPU-{number}-{index}"}
        inventory.update(slice_of(f"{node}-gpus", devices, node=node))
        inventory.update(
            slice_of(f"{node}-nics", nics(4), node=node, driver="nic.example.com")
        )
    return inventory


def shown(answer: tk.ClaimVerdict | ta.TopoallocError) -> Any:
    """Write what an answer says, without the ids of shares."""
    if isinstance(answer, ta.TopoallocError):
        return type(answer), str(answer)
    allocations = copy.deepcopy(answer.allocations)
    for allocation in allocations:
        for result in allocation["devices"].get("results", ()):
            result.pop("shareID", None)
    return answer.status, answer.node, answer.cost, answer.steps, allocations


def alone(inventory: tk.Inventory, claims: list[Any], node: str, choose: str) -> Any:
    try:
        return shown(inventory.check(claims, node=node, choose=choose))
    except ta.TopoallocError as error:
        return shown(error)


def test_alike_nodes_have_answers_of_their_own() -> None:
    inventory = cluster_of(6)
    for node, count in (("n01", 1), ("n02", 3), ("n04", 3)):
        held = claim_of(f"held-{node}", request_of("g", count=count))
        inventory.allocate([held], node=node)
    inventory.update(PAIRS)
    answers = inventory.check_nodes(["ml/pairs"])
    assert list(answers) == [f"n{number:02}" for number in range(6)]
    assert answers.placed == ("n00", "n01", "n03", "n05")
    assert repr(answers) == "<NodeVerdicts: 6 nodes, 4 placed>"
    for node, answer in answers.items():
        assert shown(answer) == alone(inventory, ["ml/pairs"], node, "optimal")
    pools = {
        result["pool"]
        for result in answers["n03"].allocations[0]["devices"]["results"]  # type: ignore[union-attr]
    }
    assert pools == {"n03"}
    refused = answers["n04"]
    assert isinstance(refused, tk.ClaimVerdict)
    assert refused.explanation.conflict[0].path == ("holder:ml/held-n04")


def test_answers_stay_as_they_were() -> None:
    inventory = cluster_of(2)
    answers = inventory.check_nodes([PAIRS])
    for number in range(2):
        inventory.remove(slice_of(f"n{number:02}-gpus", []))
    inventory.update(slice_of("n01-nics", [], node="n01", driver="nic.example.com"))
    assert not inventory.check([PAIRS], node="n01")
    found = answers["n01"]
    assert isinstance(found, tk.ClaimVerdict)
    assert [
        result["device"] for result in found.allocations[0]["devices"]["results"]
    ] == [
        "gpu-0",
        "gpu-1",
        "nic-0",
        "nic-1",
    ]
    assert answers["n01"] is found


def test_an_error_is_that_of_the_node() -> None:
    inventory = cluster_of(3)
    for node in ("n01", "n02"):
        (broken,) = [slice_of(f"{node}-gpus", gpus(4), node=node)]
        broken["spec"]["pool"]["resourceSliceCount"] = 2
        inventory.update(broken)
    every = claim_of("every", request_of("g", allocationMode="All"))
    answers = inventory.check_nodes([every])
    assert answers.placed == ("n00",)
    for node in ("n01", "n02"):
        assert f"pool gpu.example.com/{node} is incomplete" in str(answers[node])
        assert shown(answers[node]) == alone(inventory, [every], node, "optimal")


@pytest.mark.parametrize("choose", ["optimal", "first_fit"])
def test_many_nodes_are_answered_as_each_by_itself(choose: str) -> None:
    different = 0
    for seed in range(60):
        rng = random.Random(seed)
        inventory = tk.Inventory(features=["lists"])
        for item in claim_instances.cluster(rng):
            inventory.update(item)
        # More nodes like the first, some of them partly taken.
        for number in range(3, 9):
            labels = {"zone": rng.choice(["east", "west"])}
            metadata = {"name": f"n{number}", "labels": labels}
            inventory.update({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
            state = random.Random(f"{seed} {number % 3}")
            for item in claim_instances.cluster(state):
                if item["kind"] == "ResourceSlice" and "nodeName" in item["spec"]:
                    item["metadata"]["name"] += f"-n{number}"
                    item["spec"]["nodeName"] = f"n{number}"
                    item["spec"]["pool"]["name"] = f"n{number}"
                    inventory.update(item)
        for earlier in claim_instances.claims(rng):
            earlier["metadata"]["namespace"] = "other"
            try:
                inventory.allocate([earlier], node=f"n{rng.randint(1, 8)}")
            except ta.TopoallocError:
                continue
        claims = claim_instances.claims(rng)
        answers = inventory.check_nodes(claims, choose=choose)
        said = {node: shown(answer) for node, answer in answers.items()}
        assert said == {
            node: alone(inventory, claims, node, choose) for node in inventory.nodes
        }
        different += len({str(each[:1]) for each in said.values()}) > 1
    assert different > 10


@pytest.mark.parametrize("nodes", ["n1", 3, [3]])
def test_nodes_are_names(nodes: Any) -> None:
    with pytest.raises(ta.InvalidRequestError, match=r"nodes: .*, want"):
        cluster_of(1).check_nodes([PAIRS], nodes=nodes)
