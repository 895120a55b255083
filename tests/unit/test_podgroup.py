# SPDX-License-Identifier: Apache-2.0
"""PodGroups and Nodes of Kubernetes as Gangs and Clusters, and back."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

import topoalloc as ta
from topoalloc import kubernetes as tk

GPU = "nvidia.com/gpu"
BLOCK, RACK = "example.com/block", "example.com/rack"
BETA, ALPHA = "scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha3"


def group(
    name: str,
    least: int | None,
    key: str | None = None,
    *,
    composite: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    field = "minGroupCount" if composite else "minCount"
    policy = {"basic": {}} if least is None else {"gang": {field: least}}
    body: dict[str, Any] = {"schedulingPolicy": policy, **spec}
    if key is not None:
        body["schedulingConstraints"] = {"topology": [{"key": key}]}
    return {
        "apiVersion": ALPHA if composite else BETA,
        "kind": "CompositePodGroup" if composite else "PodGroup",
        "metadata": {"namespace": "ml", "name": name},
        "spec": body,
    }


def pod(name: str, of: str, requests: dict[str, Any], **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "ml", "name": name, "uid": f"uid-{name}"},
        "spec": {
            "schedulingGroup": {"podGroupName": of},
            "containers": [container],
            **spec,
        },
    }


def pods(count: int, of: str, gpus: int, cpu: int = 1, **spec: Any) -> list[Any]:
    requests = {"cpu": str(cpu), GPU: gpus}
    return [pod(f"{of}-{n}", of, requests, **spec) for n in range(count)]


def node(name: str, gpus: int, cpu: int = 16, **labels: str) -> dict[str, Any]:
    keys = {"block": BLOCK, "rack": RACK}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {keys.get(key, key): value for key, value in labels.items()},
        },
        "status": {"allocatable": {"cpu": str(cpu), "memory": "64Gi", GPU: str(gpus)}},
    }


def one(request: dict[str, Any] | None = None, **spec: Any) -> ta.PodSet:
    """Read the PodSet of one pod."""
    made = pod("p", "g", {"cpu": "1"} if request is None else request, **spec)
    (podset,) = tk.gang([group("g", 1), made]).podsets
    return podset


def test_a_group_is_a_gang_and_its_plan_is_bindings() -> None:
    workload = {
        "apiVersion": BETA,
        "kind": "Workload",
        "metadata": {"namespace": "ml", "name": "train"},
        "spec": {
            "podGroupTemplates": [
                {"name": "w", "schedulingPolicy": {"gang": {"minCount": 3}}}
            ]
        },
    }
    train = group("train", 3, RACK, priorityClassName="high")
    high = {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}
    objects = [workload, train, high, *pods(12, "train", 4)]
    gang = tk.gang(objects)
    assert (gang.name, gang.priority) == ("ml:train", 1000)
    (podset,) = gang.podsets
    assert (podset.count, podset.min_count) == (12, 3)
    assert podset.require == (ta.Within(RACK),)
    nodes = [node(f"n{n}", 8, rack=f"r{n // 3}", block="b") for n in range(6)]
    cluster = tk.cluster(nodes, levels=[BLOCK, RACK])
    plan = cluster.place(gang)
    assert len(plan.pods) == 6
    written = tk.bindings(plan, objects)
    assert [each["metadata"]["name"] for each in written] == [
        f"train-{number}" for number in range(6)
    ]
    assert [each["target"]["name"] for each in written] == [
        "n0", "n0", "n1", "n1", "n2", "n2",
    ]  # fmt: skip
    for each in written:
        kubernetes_validate.validate(each, "1.37", strict=True)
    condition = tk.pod_group_condition(plan, time="2026-11-02T10:00:00Z")
    assert condition == {
        "type": "PodGroupInitiallyScheduled",
        "status": "True",
        "reason": "Scheduled",
        "message": "6 pods have their nodes",
        "lastTransitionTime": "2026-11-02T10:00:00Z",
    }
    train["status"] = {"conditions": [condition]}
    kubernetes_validate.validate(train, "1.37", strict=True)


def test_a_refusal_is_a_condition_with_its_reason() -> None:
    objects = [group("train", 4, RACK), *pods(4, "train", 8)]
    cluster = tk.cluster(
        [node(f"n{n}", 8, rack=f"r{n % 2}") for n in range(4)], levels=[RACK]
    )
    condition = tk.pod_group_condition(cluster.place(tk.gang(objects)))
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert "2 of 4 fit in" in condition["message"]


def test_a_composite_is_placed_where_greedy_order_refuses() -> None:
    """KEP-6012: a child group takes the room that its sibling needs."""
    layout = {"r0": ("b0", [8, 8]), "r1": ("b0", [4]), "r2": ("b1", [8, 8])}
    layout |= {"r3": ("b1", [8, 4])}
    nodes = [
        node(f"{rack}-{number}", gpus, block=block, rack=rack)
        for rack, (block, sizes) in layout.items()
        for number, gpus in enumerate(sizes)
    ]
    above = {"parentCompositePodGroupName": "both"}
    objects = [
        group("both", 2, BLOCK, composite=True),
        group("small", 2, RACK, composite=True, **above),
        group("large", 2, RACK, composite=True, **above),
        group("small-prefill", 2, parentCompositePodGroupName="small"),
        group("small-decode", 2, parentCompositePodGroupName="small"),
        group("large-prefill", 1, parentCompositePodGroupName="large"),
        group("large-decode", 2, parentCompositePodGroupName="large"),
        *pods(2, "small-prefill", 4),
        *pods(2, "small-decode", 2),
        *pods(1, "large-prefill", 8),
        *pods(2, "large-decode", 4),
    ]
    gang = tk.gang(objects)
    assert [podset.name for podset in gang.podsets] == [
        "small-prefill", "small-decode", "large-prefill", "large-decode",
    ]  # fmt: skip
    plan = tk.cluster(nodes, levels=[BLOCK, RACK]).place(gang)
    racks = {
        each["metadata"]["name"].partition("-")[0]: each["target"]["name"][:2]
        for each in tk.bindings(plan, objects)
    }
    assert racks == {"small": "r3", "large": "r2"}


def test_pods_that_differ_are_podsets_of_one_group() -> None:
    objects = [group("mixed", 3, RACK), *pods(2, "mixed", 4)]
    objects.append(pod("leader", "mixed", {"cpu": "4"}))
    gang = tk.gang(objects)
    assert [(p.name, p.count, p.min_count) for p in gang.podsets] == [
        ("mixed-0", 2, 2),
        ("mixed-1", 1, 1),
    ]
    (together,) = gang.groups
    assert together.require == (ta.Within(RACK),)
    objects[0] = group("mixed", 2)
    with pytest.raises(
        tk.ObjectError, match="minCount: 2 of 3 pods that want different things"
    ):
        tk.gang(objects)


def test_pods_that_run_count_and_are_left_out() -> None:
    objects = [group("g", 3), *pods(4, "g", 1)]
    objects[1]["spec"]["nodeName"] = "n0"
    objects[2]["status"] = {"phase": "Succeeded"}
    (podset,) = tk.gang(objects).podsets
    assert (podset.count, podset.min_count) == (2, 1)
    objects[0] = group("g", 5)
    with pytest.raises(tk.ObjectError, match=r"minCount: 5, want no more than .* 4"):
        tk.gang(objects)


def test_ranks_follow_the_numbers_of_names() -> None:
    objects = [group("g", 12), *reversed(pods(12, "g", 1))]
    cluster = tk.cluster([node("n0", 16, cpu=32)])
    written = tk.bindings(cluster.place(tk.gang(objects)), objects)
    assert [each["metadata"]["name"] for each in written] == [
        f"g-{number}" for number in range(12)
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"containers": [{"resources": {"limits": {"cpu": "1500m"}}}] * 2},
            ta.Request(pus=3),
        ),
        (
            {
                "initContainers": [
                    {
                        "resources": {"requests": {"cpu": "2"}},
                        "restartPolicy": "Always",
                    },
                    {"resources": {"requests": {"cpu": "9"}}},
                ],
                "overhead": {"cpu": "250m", "memory": "1Gi"},
            },
            # 9 and the 2 that stay are more than 1 and these; the overhead on top.
            ta.Request(pus=12, memory="1Gi"),
        ),
        (
            {"resources": {"requests": {"cpu": "7", "memory": "3G"}}},
            ta.Request(pus=7, memory=3 * 10**9),
        ),
        (
            {
                "containers": [
                    {
                        "resources": {
                            "requests": {
                                "cpu": "2",
                                "hugepages-2Mi": "4Mi",
                                "ephemeral-storage": "9Gi",
                                GPU: "2",
                            }
                        }
                    }
                ]
            },
            ta.Request(pus=2, hugepages={"2Mi": "4Mi"}, devices={"gpu": 2}),
        ),
    ],
)
def test_what_containers_want_is_a_request(
    spec: dict[str, Any], expected: ta.Request
) -> None:
    assert one(**spec).request == expected


def test_where_pods_may_run() -> None:
    def expression(operator: str, *values: str) -> dict[str, Any]:
        found: dict[str, Any] = {"key": "arch", "operator": operator}
        return found | ({"values": list(values)} if values else {})

    def affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
        terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        return {"affinity": {"nodeAffinity": {required: terms}}}

    podset = one(
        nodeSelector={"disk": "ssd"},
        **affinity(expression("In", "arm", "x86")),
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    )
    assert dict(podset.where) == {"arch": ta.OneOf("arm", "x86"), "disk": "ssd"}
    assert podset.tolerations == (ta.Toleration("gpu", None, "NoSchedule"),)
    there = one(**affinity(expression("Exists")))
    cluster = tk.cluster([node("n0", 0), node("n1", 0, arch="")])
    plan = cluster.place(ta.Gang("g", [there]))
    assert [place.node for place in plan.pods] == ["n1"]
    for operator in ("NotIn", "DoesNotExist", "Gt"):
        with pytest.raises(tk.ObjectError, match="want In with values, or Exists"):
            one(**affinity(expression(operator, "x")))


def test_nodes_are_a_cluster() -> None:
    tainted, closed = node("n1", 0), node("n2", 0)
    tainted["spec"] = {
        "taints": [
            {"key": "gpu", "effect": "NoSchedule"},
            {"key": "slow", "effect": "PreferNoSchedule"},
        ]
    }
    closed["spec"] = {"unschedulable": True}
    big = node("n3", 8)
    big["metadata"]["labels"]["node.kubernetes.io/instance-type"] = "dgx"
    running = pods(2, "g", 0, cpu=4, nodeName="n0")
    running[1]["status"] = {"phase": "Failed"}
    cluster = tk.cluster(
        [node("n0", 0, rack="r0"), tainted, closed, big],
        levels=[RACK],
        pods=[*running, pod("waits", "g", {"cpu": "9"})],
        machines={"dgx": ta.Machine.preset("dgx-h100")},
    )
    assert cluster.describe("n0").domains == {RACK: "r0"}
    assert list(cluster.node("n0").placements) == ["ml/g-0"]
    assert len(cluster.node("n3").machine.devices) == 20
    room = {each.path[0]: each[1] for each in cluster.headroom(ta.Request(pus=12))}
    assert room == {"n0": 1, "n1": 1, "n2": 0, "n3": 18}
    assert cluster.describe("n1").taints == (ta.Taint("gpu"),)
    # Nodes of equal amounts are one Machine.
    same = tk.cluster([node("a", 2), node("b", 2)])
    assert same.node("a").machine is same.node("b").machine


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([group("g", 0), *pods(1, "g", 1)], "minCount: 0, want at least 1"),
        ([group("g", 1)], "minCount: 1, want no more than the pods there are, 0"),
        ([group("g", None)], "objects.0.: no pods that wait, want some"),
        ([], "objects: none at the root, want one PodGroup"),
        (
            [group("a", 1), group("b", 1)],
            "objects: ml/a, ml/b at the root, want one PodGroup",
        ),
        ([group("g", 1), group("g", 1)], "objects.1..metadata.name: given twice"),
        ([{"kind": "Job"}], "objects.0..kind: 'Job', want one of PodGroup"),
        (
            [{**group("g", 1), "apiVersion": "v1"}],
            "objects.0..apiVersion: 'v1', want scheduling.k8s.io/v1beta1",
        ),
        (
            [group("g", 1, parentCompositePodGroupName="c")],
            "parentCompositePodGroupName: 'c', want a CompositePodGroup",
        ),
        (
            [group("g", 1, priorityClassName="x")],
            "priorityClassName: 'x', want a PriorityClass that is given",
        ),
        (
            [{**group("g", 1), "spec": {"schedulingPolicy": {}}}],
            "schedulingPolicy: 0 of basic and gang, want one",
        ),
        (
            [
                group("c", 1, composite=True),
                group("a", 1, parentCompositePodGroupName="c"),
                group("b", 1, parentCompositePodGroupName="c"),
            ],
            "minGroupCount: 1, want all of its groups, 2",
        ),
        (
            [group("c", None, composite=True)],
            "schedulingPolicy.basic: there, want gang",
        ),
        (
            [group("g", 1), pod("p", "g", {"example.com/fpga": "1"})],
            "example.com/fpga: 1, want it among resources, which has amd.com/gpu",
        ),
        (
            [group("g", 1), pod("p", "g", {"cpu": "many"})],
            r"objects.1..spec.containers.0..resources.requests.cpu.: 'many', want a",
        ),
        (
            [group("g", 1), {**pod("p", "g", {}), "spec": {}}],
            "spec.schedulingGroup: no podGroupName, want pods of a PodGroup",
        ),
    ],
)
def test_what_is_no_gang_is_refused_by_path(objects: list[Any], message: str) -> None:
    with pytest.raises(tk.ObjectError, match=message):
        tk.gang(objects)


def test_limits_of_groups() -> None:
    parents = [
        group(f"c{n}", 1, composite=True, parentCompositePodGroupName=f"c{n - 1}")
        for n in range(1, 5)
    ]
    deep = [group("c0", 1, composite=True), *parents]
    with pytest.raises(tk.ObjectError, match="too deep, want at most 4 levels"):
        tk.gang(deep)
    keys = group("g", 1)
    keys["spec"]["schedulingConstraints"] = {"topology": [{"key": "a"}, {"key": "b"}]}
    with pytest.raises(tk.ObjectError, match="topology: 2 items, want at most 1"):
        tk.gang([keys])
    claims = group("g", 1, resourceClaims=[{"name": str(n)} for n in range(5)])
    with pytest.raises(tk.ObjectError, match="resourceClaims: 5 items, want at most 4"):
        tk.gang([claims])
    template = {"name": "t", "schedulingPolicy": {"basic": {}}}
    spec: dict[str, Any] = {"podGroupTemplates": [template] * 9}
    workload = {"apiVersion": BETA, "kind": "Workload", "metadata": {"name": "w"}}
    with pytest.raises(tk.ObjectError, match="podGroupTemplates: 9 items, want at"):
        tk.gang([{**workload, "spec": spec}])
    spec = {"podGroupTemplates": [template]}
    for _ in range(4):
        inner = {**template, "schedulingPolicy": {"basic": {}}, **spec}
        spec = {"compositePodGroupTemplates": [inner]}
    with pytest.raises(tk.ObjectError, match="too deep, want at most 4 levels"):
        tk.gang([{**workload, "spec": spec}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Pod"}, r"nodes.0..kind: 'Pod', want Node"),
        ({"metadata": {"name": "N"}}, r"nodes.0..metadata.name: 'N', want"),
        ({"status": {}}, r"allocatable.cpu.: less than 1, want a node that has PUs"),
        (
            {"spec": {"taints": [{"key": "a"}]}},
            r"nodes.0..spec.taints.0..effect: 'NoneType', want text",
        ),
    ],
)
def test_nodes_are_refused_by_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(tk.ObjectError, match=message):
        tk.cluster([{**node("n", 1), **change}])


def test_a_pod_without_room_is_told() -> None:
    running = pods(1, "g", 9, nodeName="n")
    with pytest.raises(tk.ObjectError, match=r"pods\[0\] on n: "):
        tk.cluster([node("n", 8)], pods=running)
    running[0]["spec"]["nodeName"] = "gone"
    with pytest.raises(tk.ObjectError, match=r"pods\[0\] on gone: "):
        tk.cluster([node("n", 8)], pods=running)
