# SPDX-License-Identifier: Apache-2.0
"""Manifests of groups, their pods and nodes, as controllers write them."""

from __future__ import annotations

from typing import Any

BLOCK, RACK = "topology.example.com/block", "topology.example.com/rack"


def pod_group(name: str, least: int | None, **spec: Any) -> dict[str, Any]:
    policy = {"basic": {}} if least is None else {"gang": {"minCount": least}}
    return {
        "apiVersion": "scheduling.k8s.io/v1beta1",
        "kind": "PodGroup",
        "metadata": {"namespace": "ml", "name": name},
        "spec": {"schedulingPolicy": policy, **spec},
    }


def composite(name: str, least: int | None, **spec: Any) -> dict[str, Any]:
    policy = {"basic": {}} if least is None else {"gang": {"minGroupCount": least}}
    return {
        "apiVersion": "scheduling.k8s.io/v1alpha3",
        "kind": "CompositePodGroup",
        "metadata": {"namespace": "ml", "name": name},
        "spec": {
            "schedulingPolicy": policy,
            "workloadRef": {"workloadName": "train", "templateName": name},
            **spec,
        },
    }


def within(key: str) -> dict[str, Any]:
    return {"topology": [{"key": key}]}


def pods(
    group: str, count: int, requests: dict[str, str] | None = None, **spec: Any
) -> list[dict[str, Any]]:
    resources = {"requests": requests or {"cpu": "1"}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "ml", "name": f"{group}-{index}"},
            "spec": {
                "schedulingGroup": {"podGroupName": group},
                "containers": [{"name": "main", "resources": resources}],
                **spec,
            },
        }
        for index in range(count)
    ]


def node(
    name: str, labels: dict[str, str] | None = None, /, **allocatable: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110", **allocatable}
        },
    }


def racks(**slots: int) -> list[dict[str, Any]]:
    """Return a node of each rack, `a1` for the first rack of block a."""
    return [
        node(f"node-{rack}", {BLOCK: rack[0], RACK: rack}, cpu=str(count))
        for rack, count in slots.items()
    ]
