# SPDX-License-Identifier: Apache-2.0
"""Groups and pods that are wrong, or ask for what no Gang can say: refused by path."""

from __future__ import annotations

from typing import Any

import pytest
from tests.group_objects import RACK, composite, pod_group, pods, within

import topoalloc as ta
from topoalloc import kubernetes as tk

CHILD = {"parentCompositePodGroupName": "root"}


def refused(objects: Any, match: str, **options: Any) -> None:
    with pytest.raises(tk.ObjectError, match=match):
        tk.gang(objects, **options)


def chain(depth: int) -> list[dict[str, Any]]:
    """Return composites below one another, and a PodGroup: so many levels in all."""
    found: list[dict[str, Any]] = []
    for level in range(depth - 1):
        parent = {"parentCompositePodGroupName": f"c{level - 1}"} if level else {}
        found.append(composite(f"c{level}", 1, **parent))
    leaf = pod_group("leaf", 1, parentCompositePodGroupName=f"c{depth - 2}")
    return [*found, leaf, *pods("leaf", 1)]


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (
            {"schedulingPolicy": {}},
            r"spec\.schedulingPolicy: 0 policies, want basic or",
        ),
        (
            {"schedulingPolicy": {"basic": {}, "gang": {"minCount": 1}}},
            r"spec\.schedulingPolicy: 2 policies",
        ),
        (
            {"schedulingPolicy": {"gang": {"minCount": 0}}},
            r"gang\.minCount: 0, want at",
        ),
        (
            {"schedulingPolicy": {"gang": {"minCount": "2"}}},
            r"minCount: '2', want an int",
        ),
        (
            {"schedulingPolicy": {"gang": {"minGroupCount": 2}}},
            "minGroupCount: not a f",
        ),
        (
            {"schedulingPolicy": {"gang": {"minCount": 3}}},
            "minCount: 3, want at most 2",
        ),
        (
            {"schedulingConstraints": {"topology": [{"key": "a"}, {"key": "b"}]}},
            r"schedulingConstraints\.topology: 2 items, want at most 1",
        ),
        (
            {"schedulingConstraints": {"topology": [{"key": "a b"}]}},
            r"topology\[0\]\.key: 'a b', want the key of a label",
        ),
        (
            {
                "resourceClaims": [
                    {"name": f"c{i}", "resourceClaimName": "c"} for i in range(5)
                ]
            },
            r"spec\.resourceClaims: 5 items, want at most 4",
        ),
        ({"resourceClaims": [{"name": "c"}]}, r"resourceClaims\[0\]: 0 sources, want"),
        (
            {"resourceClaims": [{"name": "c", "resourceClaimName": "c"}]},
            r"spec\.resourceClaims: given, want none: a Gang cannot say it",
        ),
        ({"disruptionMode": {"some": {}}}, r"disruptionMode\.some: not a field"),
        ({"preemptionPolicy": "Always"}, r"preemptionPolicy: 'Always', want Never or"),
        ({"priorityClassName": "gone"}, r"priorityClassName: 'gone', want a PriorityC"),
        ({"priority": 2**31}, r"spec\.priority: 2147483648, want 32 bits"),
        ({"parentCompositePodGroupName": "x"}, "0 groups without a parent"),
        ({"workloadRef": {"workloadName": "w"}}, r"workloadRef\.templateName: missing"),
        ({"minMember": 3}, r"spec\.minMember: not a field"),
    ],
)
def test_a_wrong_pod_group(spec: dict[str, Any], match: str) -> None:
    group = pod_group("a", 2)
    group["spec"] |= spec
    with pytest.raises(
        (tk.ObjectError, ta.InvalidRequestError), match=rf"^objects.*{match}"
    ):
        tk.gang([group, *pods("a", 2)])


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (
            {"schedulingGates": [{"name": "g"}]},
            r"spec\.schedulingGates: given, want none",
        ),
        (
            {"resourceClaims": [{"name": "c"}]},
            r"spec\.resourceClaims: given, want none",
        ),
        (
            {
                "affinity": {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [{}]
                    }
                }
            },
            r"podAntiAffinity\.requiredDuringSchedulingIgnoredDuringExecution: given",
        ),
        (
            {"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]},
            r"spec\.topologySpreadConstraints\[0\]: given, want none",
        ),
        (
            {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]},
            r"spec\.volumes\[0\]\.persistentVolumeClaim: given, want none",
        ),
        (
            {"containers": [{"ports": [{"containerPort": 1, "hostPort": 1}]}]},
            r"containers\[0\]\.ports\[0\]\.hostPort: given, want none",
        ),
        (
            {"containers": [{"resources": {"requests": {"ephemeral-storage": "1Gi"}}}]},
            r"spec: 1073741824 of 'ephemeral-storage', want it in devices=",
        ),
        (
            {"containers": [{"resources": {"requests": {"cpu": "-1"}}}]},
            r"containers\[0\]\.resources\.requests\[cpu\]: '-1', want at least 0",
        ),
        (
            {
                "containers": [
                    {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}
                ]
            },
            r"requests\[cpu\]: 2000, want at most its limit, 1000",
        ),
        (
            {"containers": [{"resources": {"requests": {"cpu": "two"}}}]},
            r"requests\[cpu\]: 'two', want a quantity",
        ),
        ({"resources": {"requests": {"x/y": 1}}}, r"spec\.resources: 'x/y', want cpu"),
        ({"containers": []}, "spec: no request, want cpu, memory or a device"),
        ({"nodeName": "n1"}, r"spec\.nodeName: 'n1', want pods that are not bound"),
        (
            {"schedulingGroup": {"podGroupName": "b"}},
            "podGroupName: 'b', want a PodGroup",
        ),
        ({"schedulingGroup": None}, "podGroupName: '', want a PodGroup of the objects"),
        (
            {"tolerations": [{"value": "x"}]},
            r"tolerations\[0\]\.operator: 'Equal' with",
        ),
        (
            {"tolerations": [{"key": "x", "operator": "Gt"}]},
            r"operator: 'Gt', want one",
        ),
        (
            {"tolerations": [{"operator": "Exists", "value": "x"}]},
            r"tolerations\[0\]\.value: 'x' with Exists, want none",
        ),
    ],
)
def test_a_pod_that_cannot_be_said(spec: dict[str, Any], match: str) -> None:
    pod = pods("a", 1)[0]
    pod["spec"] |= spec
    refused(
        [pod_group("a", 1), pod], rf"^objects\[1\]\.spec.*{match.split('spec', 1)[-1]}"
    )


def test_what_cannot_be_said_is_passed_over_where_it_is_named() -> None:
    (pod,) = pods("a", 1, {"cpu": "1", "ephemeral-storage": "1Gi"})
    pod["spec"]["resourceClaims"] = [{"name": "c"}]
    group = pod_group("a", 1, resourceClaims=[{"name": "c", "resourceClaimName": "c"}])
    gang = tk.gang([group, pod], ignore=["resourceClaims", "ephemeral-storage"])
    assert gang.podsets[0].request == ta.Request(pus=1)


def test_soft_wishes_and_pods_that_are_over_decide_nothing() -> None:
    soft: dict[str, Any] = {
        "affinity": {
            "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}
        },
        "topologySpreadConstraints": [{"whenUnsatisfiable": "ScheduleAnyway"}],
    }
    over = pods("a", 3)[2] | {"status": {"phase": "Succeeded"}}
    over["spec"]["nodeName"] = "n1"
    gang = tk.gang([pod_group("a", 2), *pods("a", 2, **soft), over])
    assert gang.podsets[0].count == 2


@pytest.mark.parametrize(
    ("objects", "match"),
    [
        (
            [
                composite("root", 1),
                pod_group("a", 1, **CHILD),
                pod_group("b", 1, **CHILD),
            ],
            r"minGroupCount: 1, want 2, its groups here",
        ),
        ([composite("root", 1)], r"gang\.minGroupCount: 1, want 0"),
        (
            [composite("root", None), pod_group("a", 1, **CHILD)],
            r"schedulingPolicy\.basic: given, want gang: its groups start apart",
        ),
        (
            [composite("root", 1), pod_group("a", None, **CHILD)],
            r"^objects\[1\]\.spec\.schedulingPolicy: basic in 'root', want gang",
        ),
        (
            [
                composite("root", 1, disruptionMode={"all": {}}),
                pod_group("a", 1, **CHILD),
            ],
            r"^objects\[1\]\.spec\.disruptionMode: single in 'root', want all",
        ),
        (
            [composite("root", 1), pod_group("a", 1, priority=3, **CHILD)],
            r"^objects\[1\]\.spec\.priority: 3, want 0, as of the root",
        ),
        (
            [composite("root", 1), pod_group("a", 1, parentCompositePodGroupName="x")],
            r"parentCompositePodGroupName: 'x', want a CompositePodGroup",
        ),
        (
            [pod_group("a", 1), pod_group("a", 1, **CHILD)],
            r"metadata\.name: 'a' is given",
        ),
        (
            [
                composite("root", 1),
                composite("x", 1, parentCompositePodGroupName="y"),
                composite("y", 1, parentCompositePodGroupName="x"),
            ],
            "want no cycle",
        ),
        (
            [
                composite("root", 1),
                pod_group(
                    "a",
                    1,
                    workloadRef={"workloadName": "w", "templateName": "t"},
                    **CHILD,
                ),
            ],
            r"^objects\[1\]\.spec\.workloadRef\.workloadName: 'w', want 'train'",
        ),
        (chain(5), r"^objects\[4\]\.spec\.parent.*: level 5, want at most 4 levels"),
    ],
)
def test_a_wrong_hierarchy(objects: list[dict[str, Any]], match: str) -> None:
    found = [one for name in ("a", "b") for one in pods(name, 1)]
    names = {one["metadata"]["name"] for one in objects}
    used = [
        pod for pod in found if pod["spec"]["schedulingGroup"]["podGroupName"] in names
    ]
    refused([*objects, *used], match)


def test_four_levels_are_allowed() -> None:
    assert len(tk.gang(chain(4)).podsets) == 1
    workload = {
        "apiVersion": "scheduling.k8s.io/v1alpha3",
        "kind": "Workload",
        "metadata": {"namespace": "ml", "name": "w"},
        "spec": {"compositePodGroupTemplates": [deep(4)]},
    }
    gang = tk.gang([workload], templates={"leaf": pods("t", 1)[0]})
    assert len(gang.podsets) == 1


def template(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "schedulingPolicy": {"gang": {"minCount": 1}}, **more}


def nested(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "schedulingPolicy": {"gang": {"minGroupCount": 1}}, **more}


def deep(levels: int) -> dict[str, Any]:
    found = nested(f"c{levels}", podGroupTemplates=[template("leaf")])
    for level in range(levels - 2, 0, -1):
        found = nested(f"c{level}", compositePodGroupTemplates=[found])
    return found


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ({}, r"^objects\[0\]\.spec: 0 lists, want"),
        (
            {"podGroupTemplates": [template(f"t{i}") for i in range(9)]},
            r"spec\.podGroupTemplates: 9 items, want at most 8",
        ),
        (
            {"podGroupTemplates": [template("t"), template("t")]},
            r"podGroupTemplates\[1\]\.name: 't' is given twice, first at objects\[0\]",
        ),
        ({"compositePodGroupTemplates": [deep(5)]}, r"\[0\]: 5 levels, want at most 4"),
        ({"compositePodGroupTemplates": [nested("c")]}, r"Templates\[0\]: no template"),
        ({"podGroupTemplates": []}, "spec: no template, want one"),
        ({"podGroupTemplates": [template("T")]}, r"\[0\]\.name: 'T', want at most 63"),
        (
            {"podGroupTemplates": [template("t", schedulingPolicy={"basic": {}})]},
            r"\[0\]\.schedulingPolicy: basic, want gang",
        ),
    ],
)
def test_a_wrong_workload(spec: dict[str, Any], match: str) -> None:
    workload = {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": {"namespace": "ml", "name": "w"},
        "spec": spec,
    }
    refused([workload], match, templates={"t": pods("t", 1)[0]})


def test_a_group_that_is_not_as_its_template() -> None:
    workload = {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": {"namespace": "ml", "name": "w"},
        "spec": {
            "podGroupTemplates": [template("t", schedulingConstraints=within(RACK))]
        },
    }

    def made(name: str, **spec: Any) -> list[dict[str, Any]]:
        reference = {"workloadName": "w", "templateName": name}
        return [
            workload,
            pod_group("a", 1, workloadRef=reference, **spec),
            *pods("a", 1),
        ]

    refused(made("u"), r"templateName: 'u', want a template of a PodGroup")
    refused(made("t"), r"constraints|Constraints\.topology: not that of template 't'")
    assert tk.gang(made("t", schedulingConstraints=within(RACK))).name == "ml.a"
    refused(
        [workload, pod_group("a", 1), *pods("a", 1)],
        r"^objects\[0\]\.metadata\.name: 'w', want the one of the groups",
    )


@pytest.mark.parametrize(
    ("document", "match"),
    [
        ({"kind": "Job"}, r"^objects\[0\]\.kind: 'Job', want one of Pod"),
        (
            {"kind": "PodGroup", "apiVersion": "v1"},
            r"apiVersion: 'v1', want scheduling",
        ),
        (
            {"kind": "CompositePodGroup", "apiVersion": "scheduling.k8s.io/v1beta1"},
            r"apiVersion: .*, want scheduling\.k8s\.io/v1alpha3",
        ),
        ({}, r"objects\[0\]\.kind: 'NoneType', want text"),
        (3, r"objects\[0\]: 3, want an object"),
        ("a: [", r"objects\[0\]: no YAML"),
    ],
)
def test_what_is_no_object_of_these(document: Any, match: str) -> None:
    refused([document], match)


def test_arguments_of_another_form() -> None:
    objects = [pod_group("a", 1), *pods("a", 1)]
    for options, match in (
        ({"devices": ["gpu"]}, "devices: want a mapping"),
        ({"ignore": "cpu"}, "ignore: want a list of names"),
        ({"levels": ["rack"]}, "levels: want a mapping"),
        ({"templates": ["t"]}, "templates"),
        ({"round_cpu": 1}, "round_cpu: 1, want a bool"),
    ):
        with pytest.raises(ta.InvalidRequestError, match=match):
            tk.gang(objects, **options)
    with pytest.raises(ta.InvalidRequestError, match="objects: no PodGroup, want at"):
        tk.gang(pods("a", 1))
    with pytest.raises(ta.InvalidRequestError, match="objects: 2 groups without a"):
        tk.gang([pod_group("a", 1), pod_group("b", 1)])
