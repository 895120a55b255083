# SPDX-License-Identifier: Apache-2.0
"""What Pods ask of a node, and which nodes they may have, as a PodSet says it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.group_objects import node, pod_group, pods

import topoalloc as ta
from topoalloc import kubernetes as tk

# --- what a pod asks for ---


def request_of(spec: dict[str, Any], **options: Any) -> ta.Request:
    (pod,) = pods("a", 1)
    pod["spec"] = {"schedulingGroup": {"podGroupName": "a"}, **spec}
    return tk.gang([pod_group("a", 1), pod], **options).podsets[0].request


def container(cpu: str, memory: str = "0", **more: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {"name": "c", "resources": {"requests": amounts}, **more}


def test_init_containers_sidecars_and_overhead_count_as_the_scheduler_counts() -> None:
    sidecar = container("1", "1Gi", restartPolicy="Always")
    spec = {
        # 1 + 7 while the second runs, 1 + 2 + 3 afterwards.
        "initContainers": [sidecar, container("7", "1Gi"), sidecar],
        "containers": [container("2", "4Gi"), container("1", "2Gi")],
        "overhead": {"cpu": "1", "memory": "128Mi"},
    }
    assert request_of(spec) == ta.Request(pus=9, memory=(8 * 1024 + 128) * 2**20)
    only_first = {**spec, "initContainers": [container("7"), sidecar]}
    assert request_of(only_first).pus == 8


def test_limits_stand_for_requests_that_are_left_out() -> None:
    limits = {"cpu": "4", "hugepages-2Mi": "1Gi", "memory": "1Gi", "nvidia.com/gpu": 2}
    spec = {"containers": [{"name": "c", "resources": {"limits": limits}}]}
    want = ta.Request(pus=4, memory="1Gi", hugepages={"2Mi": "1Gi"}, devices={"gpu": 2})
    assert request_of(spec, devices={"nvidia.com/gpu": "gpu"}) == want


def test_resources_of_the_whole_pod_stand_above_those_of_containers() -> None:
    spec = {
        "resources": {"requests": {"cpu": "6"}, "limits": {"memory": "9Gi"}},
        "containers": [container("2", "4Gi")],
    }
    assert request_of(spec) == ta.Request(pus=6, memory="4Gi")


def test_part_of_a_cpu_is_refused_or_rounded() -> None:
    spec = {"containers": [container("1500m")]}
    with pytest.raises(
        tk.ObjectError, match=r"1500m of cpu, want whole CPUs, or round"
    ):
        request_of(spec)
    assert request_of(spec, round_cpu=True).pus == 2


# --- nodes that serve ---


def affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": term} for term in terms]
            }
        }
    }


def need(key: str, operator: str, *values: str) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key, "operator": operator}
    return found | ({"values": [*values]} if values else {})


def where_of(nodes: Any = None, **spec: Any) -> Any:
    objects = [pod_group("a", 1), *pods("a", 1, **spec)]
    return tk.gang(objects, nodes=nodes).podsets[0].where


def test_affinity_of_one_term_is_labels() -> None:
    term = [need("gpu", "In", "h100", "h200", "h100"), need("zone", "In", "z1")]
    assert where_of(affinity=affinity(term), nodeSelector={"gpu": "h200"}) == {
        "gpu": "h200",
        "zone": "z1",
    }
    assert where_of(affinity=affinity(term[:1])) == {"gpu": ta.OneOf("h100", "h200")}


def test_other_affinity_lists_the_nodes_that_serve() -> None:
    nodes = [node(f"n{i}", {"gpu": f"g{i}", "size": str(i)}) for i in range(4)]
    nodes.append(node("bare"))
    either = affinity(
        [need("gpu", "NotIn", "g1", "g2", "g3")], [need("size", "Gt", "2")]
    )
    with pytest.raises(
        tk.ObjectError, match=r"nodeAffinity: more than labels .* nodes="
    ):
        where_of(affinity=either)
    want = {"metadata.name": ta.OneOf("n0", "n3", "bare")}
    assert where_of(nodes, affinity=either) == want
    gang = tk.gang([pod_group("a", 3), *pods("a", 3, affinity=either)], nodes=nodes)
    plan = tk.cluster(nodes).place(gang)
    assert {*plan.nodes} <= {"n0", "n3", "bare"}
    nowhere = affinity([need("gpu", "In", "g9")], [need("size", "Lt", "0")])
    with pytest.raises(tk.ObjectError, match="met by none of 5 nodes"):
        where_of(nodes, affinity=nowhere)
