# SPDX-License-Identifier: Apache-2.0
"""PodGroups, CompositePodGroups and Workloads to Gangs, and plans back to objects."""

from __future__ import annotations

import copy
import json
from itertools import permutations
from typing import Any

import pytest
from tests.group_objects import (
    BLOCK,
    RACK,
    composite,
    pod_group,
    pods,
    racks,
    within,
)

import topoalloc as ta
from topoalloc import kubernetes as tk

TIME = "2026-11-23T12:00:00Z"
TOPOLOGY = [BLOCK, RACK]

TRAIN = """
apiVersion: scheduling.k8s.io/v1beta1
kind: Workload
metadata: {namespace: ml, name: train}
spec:
  controllerRef: {apiGroup: batch, kind: Job, name: train}
  podGroupTemplates:
  - name: worker
    schedulingPolicy: {gang: {minCount: 2}}
    schedulingConstraints: {topology: [{key: topology.example.com/rack}]}
---
apiVersion: scheduling.k8s.io/v1beta1
kind: PodGroup
metadata: {namespace: ml, name: train-worker, generation: 3}
spec:
  workloadRef: {workloadName: train, templateName: worker}
  schedulingPolicy: {gang: {minCount: 2}}
  schedulingConstraints: {topology: [{key: topology.example.com/rack}]}
  disruptionMode: {all: {}}
  priorityClassName: high
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
"""


def two_level(first: int, second: int) -> list[dict[str, Any]]:
    """Return the hierarchy of KEP-6012's example, with so many pods in its groups."""
    parent = {"parentCompositePodGroupName": "root"}
    return [
        composite("root", 2, schedulingConstraints=within(BLOCK)),
        pod_group("pg-1", first, schedulingConstraints=within(RACK), **parent),
        pod_group("pg-2", second, schedulingConstraints=within(RACK), **parent),
        *pods("pg-1", first),
        *pods("pg-2", second),
    ]


def greedy(slots: dict[str, int], groups: list[int]) -> dict[int, str] | None:
    """Place groups in order, each in the freest rack that holds it; undo nothing."""
    free, found = dict(slots), {}
    for index, count in enumerate(groups):
        fitting = [rack for rack in free if free[rack] >= count]
        if not fitting:
            return None
        # LeastAllocated, which kube-scheduler scores by unless told otherwise.
        rack = max(fitting, key=lambda name: free[name])
        free[rack] -= count
        found[index] = rack
    return found


# --- KEP-6012 ---


def test_the_example_of_kep_6012_is_placed_in_block_b() -> None:
    """Its text ends with pg-1 in rack B1 and pg-2 in rack B2."""
    made = tk.GangObjects(two_level(5, 5))
    cluster = tk.cluster(racks(a1=3, a2=5, b1=5, b2=5), TOPOLOGY)
    plan = cluster.place(made.gang)
    assert plan.status is ta.Status.OPTIMAL
    nodes = made.nodes_of(plan)
    assert {name: nodes[name] for name in nodes if name.startswith("pg-1")} == {
        f"pg-1-{i}": "node-b1" for i in range(5)
    }
    assert {nodes[f"pg-2-{i}"] for i in range(5)} == {"node-b2"}


def test_the_block_that_kep_6012_rejects_is_proved_too_small() -> None:
    """No order of siblings helps in block A: 3 and 5 slots for 5 and 5 pods."""
    cluster = tk.cluster(racks(a1=3, a2=5), TOPOLOGY)
    verdict = cluster.check(tk.gang(two_level(5, 5)))
    assert verdict.status is ta.Status.INFEASIBLE


def test_siblings_that_greedy_refuses_are_placed() -> None:
    """The same blocks, pg-1 of 3 pods: it takes the rack that pg-2 needs."""
    slots = {"a1": 3, "a2": 5}
    assert greedy(slots, [3, 5]) is None
    assert any(greedy(slots, [*order]) for order in permutations([3, 5]))
    made = tk.GangObjects(two_level(3, 5))
    plan = tk.cluster(racks(**slots), TOPOLOGY).place(made.gang)
    assert plan.status is ta.Status.OPTIMAL
    nodes = made.nodes_of(plan)
    assert {nodes[f"pg-1-{i}"] for i in range(3)} == {"node-a1"}
    assert {nodes[f"pg-2-{i}"] for i in range(5)} == {"node-a2"}


def test_no_group_steals_what_a_sibling_needs_to_start() -> None:
    """KEP-6012, "Resource stealing": more than minCount, and none left for the next."""
    parent = {"parentCompositePodGroupName": "root"}
    objects = [
        composite("root", 2),
        pod_group("early", 2, **parent),
        pod_group("late", 4, **parent),
        *pods("early", 6),
        *pods("late", 4),
    ]
    made = tk.GangObjects(objects)
    plan = tk.cluster(racks(a1=4, a2=3), TOPOLOGY).place(made.gang)
    placed = made.nodes_of(plan)
    assert sum(name.startswith("late") for name in placed) == 4
    assert sum(name.startswith("early") for name in placed) == 3


# --- to a Gang ---


def test_objects_of_a_job_become_a_gang() -> None:
    gpus = {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4"}
    listed = {
        "apiVersion": "v1",
        "kind": "PodList",
        "items": [
            {key: value for key, value in pod.items() if key in ("metadata", "spec")}
            for pod in pods(
                "train-worker",
                3,
                gpus,
                nodeSelector={"pool": "h100"},
                tolerations=[
                    {"key": "nvidia.com/gpu", "operator": "Exists"},
                    {"key": "spot", "value": "true", "effect": "NoSchedule"},
                    {"key": "x", "effect": "PreferNoSchedule"},
                ],
            )
        ],
    }
    gang = tk.gang([TRAIN, listed], devices={"nvidia.com/gpu": "gpu"})
    assert gang == ta.Gang(
        "ml.train-worker",
        [
            ta.PodSet(
                "train-worker",
                ta.Request(pus=8, memory="64Gi", devices={"gpu": 4}),
                3,
                2,
                require=[ta.Within(RACK)],
                where={"pool": "h100"},
                tolerations=[
                    ta.Toleration("nvidia.com/gpu"),
                    ta.Toleration("spot", "true", "NoSchedule"),
                ],
            )
        ],
        priority=1000,
        queue="ml",
    )
    as_json = [json.dumps(one) for one in (pod_group("a", 1), *pods("a", 1))]
    assert tk.gang(as_json) == tk.gang([pod_group("a", 1), *pods("a", 1)])


def test_pods_of_two_shapes_are_two_podsets_in_a_group() -> None:
    group = pod_group("mpi", 3, schedulingConstraints=within(RACK))
    workers = pods("mpi", 2, {"cpu": "4"})
    launcher = pods("mpi", 3)[2]
    gang = tk.gang([group, *workers, launcher], levels={RACK: "rack"})
    assert [(one.name, one.count, one.min_count) for one in gang.podsets] == [
        ("mpi:0", 2, 2),
        ("mpi:1", 1, 1),
    ]
    assert gang.groups == (ta.Group("mpi", ["mpi:0", "mpi:1"], [ta.Within("rack")]),)
    group["spec"]["schedulingPolicy"] = {"gang": {"minCount": 2}}
    with pytest.raises(
        tk.ObjectError, match=r"minCount: 2, want 3, all: they are of 2"
    ):
        tk.gang([group, *workers, launcher])


def test_nested_keys_are_nested_groups() -> None:
    objects = [
        composite("root", 2, schedulingConstraints=within("zone")),
        composite(
            "half",
            2,
            schedulingConstraints=within(BLOCK),
            parentCompositePodGroupName="root",
        ),
        pod_group("b", 1, parentCompositePodGroupName="half"),
        pod_group(
            "c",
            1,
            parentCompositePodGroupName="half",
            schedulingConstraints=within("kubernetes.io/hostname"),
        ),
        pod_group("a", 1, parentCompositePodGroupName="root"),
        *pods("a", 1),
        *pods("b", 1),
        *pods("c", 1),
    ]
    gang = tk.gang(objects)
    assert [one.name for one in gang.podsets] == ["b", "c", "a"]
    assert gang.groups == (
        ta.Group("half:all", ["b", "c"], [ta.Within(BLOCK)]),
        ta.Group("root:all", ["half:all", "a"], [ta.Within("zone")]),
    )
    assert gang.podsets[1].require == (ta.Within("node"),)


def test_basic_starts_with_any_number_of_pods() -> None:
    (podset,) = tk.gang([pod_group("web", None), *pods("web", 3)]).podsets
    assert (podset.count, podset.min_count) == (3, 0)


def test_a_workload_alone_is_its_templates() -> None:
    workload = {
        "apiVersion": "scheduling.k8s.io/v1alpha3",
        "kind": "Workload",
        "metadata": {"namespace": "ml", "name": "serve"},
        "spec": {
            "compositePodGroupTemplates": [
                {
                    "name": "all",
                    "schedulingPolicy": {"gang": {"minGroupCount": 3}},
                    "compositePodGroupTemplates": [
                        {
                            "name": "replica",
                            "schedulingPolicy": {"gang": {"minGroupCount": 2}},
                            "schedulingConstraints": within(RACK),
                            "podGroupTemplates": [
                                {
                                    "name": name,
                                    "schedulingPolicy": {"gang": {"minCount": count}},
                                }
                                for name, count in (("leader", 1), ("worker", 2))
                            ],
                        }
                    ],
                }
            ]
        },
    }
    templates = {"leader": pods("x", 1)[0], "worker": pods("x", 1, {"cpu": "2"})[0]}
    made = tk.GangObjects([workload], templates=templates)
    assert [(one.name, one.count) for one in made.gang.podsets] == [
        (f"all-{i}-{name}", count)
        for i in range(3)
        for name, count in (("leader", 1), ("worker", 2))
    ]
    plan = tk.cluster(racks(a1=5, a2=5, b1=5), TOPOLOGY).place(made.gang)
    assert len({*made.nodes_of(plan).values()}) == 3
    assert made.groups(plan, time=TIME) == []
    with pytest.raises(tk.ObjectError, match=r"'worker', want its pod in templates="):
        tk.gang([workload], templates={"leader": templates["leader"]})


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({"priority": 7}, 7),
        ({"priorityClassName": "system-node-critical"}, 2_000_001_000),
        ({}, 5),
    ],
)
def test_priority(spec: dict[str, Any], want: int) -> None:
    default = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "usual"},
        "value": 5,
        "globalDefault": True,
    }
    objects = [pod_group("a", 1, **spec), *pods("a", 1), default]
    assert tk.gang(objects).priority == want


# --- back to objects ---


def test_bindings_and_conditions_of_a_plan() -> None:
    made = tk.GangObjects(two_level(3, 5))
    plan = tk.cluster(racks(a1=3, a2=5), TOPOLOGY).place(made.gang)
    bindings = made.bindings(plan)
    assert bindings[0] == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": "ml", "name": "pg-1-0"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node-a1"},
    }
    assert [one["metadata"]["name"] for one in bindings] == [
        *(f"pg-1-{i}" for i in range(3)),
        *(f"pg-2-{i}" for i in range(5)),
    ]
    groups = made.groups(plan, time=TIME)
    assert [one["status"]["conditions"] for one in groups] == [
        [
            {
                "type": f"{kind}InitiallyScheduled",
                "status": "True",
                "reason": "Scheduled",
                "message": f"Placed: {count} of {count} pods have a node",
                "lastTransitionTime": TIME,
            }
        ]
        for kind, count in (("CompositePodGroup", 8), ("PodGroup", 3), ("PodGroup", 5))
    ]


def test_a_refusal_is_a_condition_with_our_reason() -> None:
    group = pod_group("a", 4)
    group["metadata"]["generation"] = 2
    group["status"] = {"conditions": [{"type": "DisruptionTarget", "status": "False"}]}
    before = copy.deepcopy(group)
    made = tk.GangObjects([group, *pods("a", 4)])
    cluster = tk.cluster(racks(a1=3), TOPOLOGY)
    plan = cluster.place(made.gang)
    assert (made.nodes_of(plan), made.bindings(plan)) == ({}, [])
    (told,) = made.groups(plan, time=TIME)
    assert told["status"]["conditions"] == [
        {"type": "DisruptionTarget", "status": "False"},
        {
            "type": "PodGroupInitiallyScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "NotEnoughRoom: pods a",
            "lastTransitionTime": TIME,
            "observedGeneration": 2,
        },
    ]
    assert group == before
    # The time is that of the change of status; True is final.
    again = tk.GangObjects([told, *pods("a", 4)])
    (later,) = again.groups(plan, time="2026-11-23T13:00:00Z")
    assert later == told
    roomy = tk.cluster(racks(a1=4), TOPOLOGY).place(again.gang)
    (done,) = again.groups(roomy, time="2026-11-23T14:00:00Z")
    assert done["status"]["conditions"][1]["lastTransitionTime"].startswith(
        "2026-11-23T14"
    )
    assert tk.GangObjects([done, *pods("a", 4)]).groups(plan, time=TIME) == [done]


def test_an_undecided_plan_is_no_refusal() -> None:
    made = tk.GangObjects(two_level(3, 5))
    plan = tk.cluster(racks(a1=3, a2=5), TOPOLOGY).place(made.gang, max_steps=0)
    assert plan.status is ta.Status.UNKNOWN
    condition = made.groups(plan, time=TIME)[0]["status"]["conditions"][0]
    assert condition["reason"] == "SchedulerError"
    assert condition["message"].startswith("StepLimit")


def test_a_plan_of_another_gang_is_refused() -> None:
    made = tk.GangObjects(two_level(3, 5))
    plan = tk.cluster(racks(a1=5), TOPOLOGY).place(tk.gang(two_level(1, 1)))
    with pytest.raises(ta.InvalidRequestError, match=r"plan: of Gang 'ml\.root', want"):
        made.nodes_of(plan)
    with pytest.raises(ta.InvalidRequestError, match="plan: int, want a GangPlan"):
        made.bindings(3)  # type: ignore[arg-type]
    with pytest.raises(ta.InvalidRequestError, match="time: NoneType, want a str"):
        made.groups(plan, time=None)  # type: ignore[arg-type]
