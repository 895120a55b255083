# SPDX-License-Identifier: Apache-2.0
"""Nodes and the pods bound to them to a Cluster."""

from __future__ import annotations

from typing import Any

import pytest
from tests.group_objects import BLOCK, RACK, node, pod_group, pods, racks

import topoalloc as ta
from topoalloc import kubernetes as tk

GPU = {"nvidia.com/gpu": "gpu"}


def bound(name: str, to: str, requests: dict[str, str], **more: Any) -> dict[str, Any]:
    (pod,) = pods(name, 1, requests)
    pod["spec"] = {"nodeName": to, "containers": pod["spec"]["containers"]}
    return pod | more


def room(cluster: ta.Cluster, **request: Any) -> dict[str, int]:
    found = cluster.headroom(ta.Request(**request), level="node")
    return {entry.path[-1]: entry.count for entry in found}


def test_labels_are_domains_and_taints_are_kept() -> None:
    nodes = racks(a1=2, a2=2, b1=2)
    nodes[0]["spec"] = {
        "unschedulable": True,
        "taints": [
            {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
            {"key": "slow", "effect": "PreferNoSchedule"},
        ],
    }
    cluster = tk.cluster(nodes, [BLOCK, RACK])
    first = cluster.describe("node-a1")
    assert first.domains == {BLOCK: "a", RACK: "a1"}
    assert first.labels == {BLOCK: "a", RACK: "a1", "metadata.name": "node-a1"}
    assert first.taints == (
        ta.Taint("gpu", "yes"),
        ta.Taint("node.kubernetes.io/unschedulable"),
    )
    gang = tk.gang([pod_group("a", 3), *pods("a", 3)])
    assert {*cluster.place(gang).nodes} == {"node-a2", "node-b1"}
    trees = tk.cluster(nodes, {"network": [BLOCK], "power": [RACK]}).trees
    assert trees == {"network": (BLOCK,), "power": (RACK,)}


def test_allocatable_makes_the_machine_and_equal_ones_are_shared() -> None:
    huge = {"nvidia.com/gpu": "4", "hugepages-2Mi": "1Gi", "cpu": "7900m"}
    nodes = {"kind": "List", "apiVersion": "v1", "items": [node("x", **huge)]}
    nodes["items"] += [node("y", **huge), node("z")]  # type: ignore[operator]
    cluster = tk.cluster([nodes], devices=GPU)
    assert room(cluster, pus=1) == {"x": 7, "y": 7, "z": 8}
    assert room(cluster, devices={"gpu": 1}) == {"x": 4, "y": 4, "z": 0}
    assert room(cluster, hugepages={"2Mi": "512Mi"}) == {"x": 2, "y": 2, "z": 0}
    assert room(cluster, memory="16Gi")["x"] == 2
    assert cluster.describe("x").machine is cluster.describe("y").machine
    # Of resources without a class nothing is known, and so nothing is given.
    assert not cluster.describe("z").machine.devices


def test_bound_pods_take_what_they_ask_for() -> None:
    found = [
        bound("db", "x", {"cpu": "3", "memory": "4Gi", "nvidia.com/gpu": "1"}),
        bound("done", "x", {"cpu": "5"}, status={"phase": "Failed"}),
        bound("away", "elsewhere", {"cpu": "5"}),
        *pods("waiting", 1, {"cpu": "5"}),
    ]
    cluster = tk.cluster(
        [node("x", **{"nvidia.com/gpu": "2"})], pods=found, devices=GPU
    )
    assert room(cluster, pus=1) == {"x": 5}
    assert room(cluster, memory="1Gi") == {"x": 28}
    assert room(cluster, devices={"gpu": 1}) == {"x": 1}
    assert [*cluster.node("x").placements] == ["ml/db-0"]


def test_parts_of_a_cpu_add_up_on_a_node() -> None:
    found = [bound(f"p{i}", "x", {"cpu": "300m"}) for i in range(4)]
    found += [bound("q", "y", {"cpu": "1500m"}), bound("r", "y", {"cpu": "500m"})]
    cluster = tk.cluster([node("x"), node("y")], pods=found)
    assert room(cluster, pus=1) == {"x": 6, "y": 6}
    with pytest.raises(
        tk.ObjectError, match=r"^pods\[0\]\.spec: 300m of cpu, want who"
    ):
        tk.cluster([node("x")], pods=found, round_cpu=False)
    free = tk.cluster([node("x")], pods=found, round_cpu=False, ignore=["cpu"])
    assert room(free, pus=1) == {"x": 8}


def test_a_given_machine_gives_what_allocatable_leaves() -> None:
    machine = ta.Machine.preset("dgx-h100")
    amounts = {"cpu": "220", "memory": "1800Gi", "nvidia.com/gpu": "7"}
    nodes = [node("x", **amounts), node("y"), {**node("z"), "status": {}}]
    cluster = tk.cluster(nodes, machines={"x": machine, "z": machine}, devices=GPU)
    assert room(cluster, pus=1) == {"x": 220, "y": 8, "z": len(machine.pus)}
    assert room(cluster, devices={"gpu": 1}) == {"x": 7, "y": 0, "z": 8}
    assert room(cluster, memory="100Gi")["x"] == 18
    by_object = tk.cluster(
        nodes[:1],
        machines=lambda item: machine if item["metadata"]["name"] == "x" else None,
        devices=GPU,
    )
    assert by_object.describe("x").machine is machine
    near = ta.Request(pus=4, devices={"gpu": 1}, require=[ta.Align("numa")])
    assert by_object.node("x").check(near)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metadata": {"name": "X"}}, r"^nodes\[0\]\.metadata\.name: 'X', want"),
        (
            {"metadata": {"name": "x", "labels": {"a": 1}}},
            r"nodes\[0\]\.metadata\.labels",
        ),
        ({"kind": "Pod"}, r"^nodes\[0\]\.kind: 'Pod', want one of Node"),
        ({"apiVersion": "v2"}, r"^nodes\[0\]\.apiVersion: 'v2', want v1"),
        ({"spec": {"taints": [{"key": "a"}]}}, r"spec\.taints\[0\]\.effect: missing"),
        (
            {"spec": {"taints": [{"key": "a", "effect": "Never"}]}},
            r"taints\[0\]\.effect: 'Never', want one of NoSchedule",
        ),
        ({"spec": {"unschedulable": "yes"}}, r"spec\.unschedulable: 'yes', want true"),
        ({"status": {}}, r"status\.allocatable\[cpu\]: 0 CPUs, want 1 to"),
        (
            {"status": {"allocatable": {"cpu": "8", "memory": "much"}}},
            r"status\.allocatable\[memory\]: 'much', want a quantity",
        ),
        (
            {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "1M"}}},
            r"status\.allocatable: over 4096 devices",
        ),
    ],
)
def test_a_wrong_node(change: dict[str, Any], match: str) -> None:
    with pytest.raises(tk.ObjectError, match=match):
        tk.cluster([node("x") | change], devices=GPU)


def test_what_contradicts_itself() -> None:
    with pytest.raises(
        tk.ObjectError, match=r"^nodes\[1\]\.metadata\.name: 'x' is given"
    ):
        tk.cluster([node("x"), node("x")])
    with pytest.raises(
        tk.ObjectError, match=r"^pods\[0\]\.spec: .*want what node 'x' has"
    ):
        tk.cluster([node("x")], pods=[bound("p", "x", {"cpu": "9"})])
    with pytest.raises(tk.ObjectError, match=r"labels\[.*rack\]: '', want a value"):
        tk.cluster([node("x", {RACK: ""})], [RACK])
    machine = ta.Machine.from_synthetic("pack:1 core:4 pu:1")
    with pytest.raises(
        tk.ObjectError, match=r"allocatable\[cpu\]: 8, want at most the 4"
    ):
        tk.cluster([node("x")], machines={"x": machine})
    twice = [node("x", {BLOCK: "a", RACK: "r"}), node("y", {BLOCK: "b", RACK: "r"})]
    with pytest.raises(
        tk.ObjectError, match=r"^nodes\[1\].*'r', under 'b' and under 'a'"
    ):
        tk.cluster(twice, [BLOCK, RACK])
    # Each key a tree of its own: one rack, whatever its block, as for Kubernetes.
    apart = tk.cluster(twice, {"blocks": [BLOCK], "racks": [RACK]})
    assert [entry.count for entry in apart.headroom(ta.Request(pus=1), RACK)] == [16]


def test_arguments_of_another_form() -> None:
    for options, match in (
        ({"topology": RACK}, "topology: want label keys"),
        ({"topology": ["a b"]}, r"topology\[0\]: 'a b', want the key of a label"),
        ({"topology": ["kubernetes.io/hostname"]}, "want it left out: it is the level"),
        ({"topology": []}, "trees.topology: no level, want one or more"),
        ({"machines": {"x": 3}}, "machines: int of 'x', want a Machine"),
        ({"devices": 3}, "devices: want a mapping"),
    ):
        with pytest.raises(ta.InvalidRequestError, match=match):
            tk.cluster([node("x")], **options)
