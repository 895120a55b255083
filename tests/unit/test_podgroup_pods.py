# SPDX-License-Identifier: Apache-2.0
"""Pods as real clusters have them: what they take, and what no Gang can say of them."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import pytest

import topoalloc as ta
from topoalloc import kubernetes as tk

RACK = "example.com/rack"


def group(name: str = "g", least: int = 1, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": {"namespace": "ml", "name": name},
        "spec": {"schedulingPolicy": {"gang": {"minCount": least}}, **spec},
    }


def pod(name: str = "g-0", cpu: str = "1", **spec: Any) -> dict[str, Any]:
    requests = {"cpu": cpu} if cpu else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "ml", "name": name},
        "spec": {
            "schedulingGroup": {"podGroupName": "g"},
            "containers": [{"name": "main", "resources": {"requests": requests}}],
            **spec,
        },
    }


def node(name: str = "x", cpu: str = "8", **allocatable: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {RACK: "r1"}},
        "status": {"allocatable": {"cpu": cpu, "memory": "32Gi", **allocatable}},
    }


def free_pus(cluster: ta.Cluster) -> dict[str, int]:
    found = cluster.headroom(ta.Request(pus=1))
    return {entry.path[-1]: entry.count for entry in found}


def test_parts_of_a_pu_add_up_on_a_node() -> None:
    small = [pod(f"p{i}", "300m", nodeName="x") for i in range(20)]
    more = [pod("q", "1500m", nodeName="y"), pod("r", "500m", nodeName="y")]
    cluster = tk.cluster([node(), node("y")], pods=[*small, *more])
    assert free_pus(cluster) == {"x": 2, "y": 6}


@pytest.mark.parametrize(
    ("amounts", "match"),
    [
        ({"cpu": "1M"}, r"allocatable\[cpu\]: 1000000, want at most 65536"),
        ({"nvidia.com/gpu": "1M"}, r"allocatable: over 4096 devices, want fewer"),
        (
            {"nvidia.com/gpu": "-1"},
            r"allocatable\[nvidia.com/gpu\]: -1, want 0",
        ),
    ],
)
def test_a_number_cannot_make_a_machine_of_any_size(
    amounts: dict[str, str], match: str
) -> None:
    with pytest.raises(tk.ObjectError, match=rf"^nodes\[0\]\.status\.{match}"):
        tk.cluster([node(**amounts)])


def test_bound_pods_of_every_sort_are_read() -> None:
    spread = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}
    found = [
        pod("best-effort", "", nodeName="x"),
        pod("dns", "1", nodeName="x", affinity={"podAntiAffinity": spread}),
        pod("claims", "1", nodeName="x", resourceClaims=[{"name": "c"}]),
    ]
    cluster = tk.cluster([node()], pods=found)
    assert free_pus(cluster) == {"x": 6}


def test_what_a_pod_wants_as_a_whole_leaves_devices_to_containers() -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": "2", "memory": "4Gi"}}}
    whole = {"requests": {"cpu": "4"}, "limits": {"memory": "9Gi"}}
    (podset,) = tk.gang([group(), pod(resources=whole, containers=[limits])]).podsets
    assert podset.request == ta.Request(pus=4, memory="4Gi", devices={"gpu": 2})


def test_tolerations_of_soft_taints_are_left_out() -> None:
    wants = [
        {"key": "a", "effect": "PreferNoSchedule"},
        {"key": "b", "operator": "Exists"},
    ]
    (podset,) = tk.gang([group(), pod(tolerations=wants)]).podsets
    assert podset.tolerations == (ta.Toleration("b"),)


UNSAID: list[tuple[str, dict[str, Any], str]] = [
    ("schedulingGates", {"schedulingGates": [{"name": "g"}]}, "schedulingGates"),
    ("resourceClaims", {"resourceClaims": [{"name": "c"}]}, "resourceClaims"),
    (
        "podAntiAffinity",
        {
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [{}]
                }
            }
        },
        "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
    ),
    (
        "topologySpreadConstraints",
        {"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]},
        "topologySpreadConstraints[0]",
    ),
    (
        "persistentVolumeClaim",
        {"volumes": [{"persistentVolumeClaim": {"claimName": "d"}}]},
        "volumes[0].persistentVolumeClaim",
    ),
    (
        "hostPort",
        {
            "containers": [
                {"ports": [{"hostPort": 1}], "resources": {"requests": {"cpu": 1}}}
            ]
        },
        "containers[0].ports[0].hostPort",
    ),
]


@pytest.mark.parametrize(("name", "spec", "path"), UNSAID)
def test_what_no_gang_can_say_is_refused_or_named(
    name: str, spec: dict[str, Any], path: str
) -> None:
    objects = [group(), pod(**spec)]
    want = re.escape(f"objects[1].spec.{path}: there, want none")
    with pytest.raises(tk.ObjectError, match=rf"^{want}"):
        tk.gang(objects)
    gang = tk.gang(objects, ignore=[name])
    plan = tk.cluster([node()]).place(gang)
    assert len(tk.bindings(plan, objects, ignore=[name])) == 1


def test_soft_wishes_decide_nothing() -> None:
    soft: dict[str, Any] = {
        "affinity": {"podAffinity": {"preferredDuringScheduling": [{}]}},
        "topologySpreadConstraints": [{"whenUnsatisfiable": "ScheduleAnyway"}],
    }
    assert tk.gang([group(), pod(**soft)]) == tk.gang([group(), pod()])


@pytest.mark.parametrize(
    ("objects", "match"),
    [
        (
            [group(resourceClaims=[{"name": "c"}]), pod()],
            r"^objects\[0\]\.spec\.resourceClaims: there, want none",
        ),
        (
            [
                group(schedulingConstraints={"topology": [{"key": RACK}]}),
                pod(),
                pod("g-1", nodeName="x"),
            ],
            r"^objects\[2\]\.spec\.nodeName: there, want none: .* 'example.com/rack'",
        ),
        ([group(), pod(cpu="")], r"^objects\[1\]\.spec\.containers: no requests"),
        (
            [group(), pod(resources={"requests": {"nvidia.com/gpu": "1"}})],
            r"spec\.resources: 'nvidia.com/gpu', want cpu, memory and hugepages",
        ),
        (
            [group(), pod(tolerations=[{"value": "x"}])],
            r"tolerations\[0\]\.operator: 'Equal' without a key, want Exists",
        ),
        (
            [group(), pod(tolerations=[{"key": "x", "effect": "Never"}])],
            r"tolerations\[0\]\.effect: 'Never', want NoSchedule, PreferNo",
        ),
    ],
)
def test_pods_are_refused_by_path(objects: list[Any], match: str) -> None:
    with pytest.raises(tk.ObjectError, match=match):
        tk.gang(objects)


# --- mutation ---


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
        tk.gang(objects[:3])
        bound = [
            objects[1] | {"spec": objects[1]["spec"] | {"nodeName": "x"}}
            if isinstance(objects[1], dict) and isinstance(objects[1].get("spec"), dict)
            else objects[1]
        ]
        tk.cluster(objects[3:], levels=[RACK], pods=bound)
    except tk.ObjectError as error:
        return str(error)
    return None


def test_mutated_objects_are_refused_by_path_or_serve() -> None:
    first = pod(
        tolerations=[{"key": "x", "operator": "Exists", "effect": "NoExecute"}],
        nodeSelector={"pool": "a"},
        initContainers=[{"restartPolicy": "Always"}],
        overhead={"memory": "1Mi"},
        volumes=[{"name": "tmp", "emptyDir": {}}],
    )
    high = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 7,
    }
    wants: dict[str, Any] = {"schedulingConstraints": {"topology": [{"key": RACK}]}}
    host = node()
    host["spec"] = {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}
    original = [group(priorityClassName="high", **wants), first, high, host]
    draw = random.Random(4)
    values: list[Any] = [
        *(None, True, -1, 10**30, 0.5, "", "x y", "9", [], {}, [{}], [None], {"a": 1})
    ]
    ways, refusals = places(original), 0
    for _ in range(2000):
        objects = copy.deepcopy(original)
        way = draw.choice(ways)
        holder: Any = objects
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = draw.choice(values)
        told = refusal(objects)
        assert re.match(r"(objects|nodes|pods)(\[\d\]|: )", told or "pods: "), way
        refusals += bool(told)
    assert refusals > 1000
