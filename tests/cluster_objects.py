# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' objects of small clusters, in few words."""

from __future__ import annotations

from typing import Any

V1 = "resource.k8s.io/v1"
ROOT = "resource.kubernetes.io/pcieRoot"
NUMA = "resource.kubernetes.io/numaNode"


def slice_of(
    name: str,
    devices: list[dict[str, Any]],
    *,
    node: str | None = "n1",
    driver: str = "gpu.example.com",
    **spec: Any,
) -> dict[str, Any]:
    pool = {"name": node or "all", "generation": 1, "resourceSliceCount": 1}
    where = {"allNodes": True} if node is None else {"nodeName": node}
    return {
        "apiVersion": V1,
        "kind": "ResourceSlice",
        "metadata": {"name": name},
        "spec": {"driver": driver, "pool": pool, **where, "devices": devices, **spec},
    }


def class_of(name: str, *selectors: str, **spec: Any) -> dict[str, Any]:
    cel = [{"cel": {"expression": expression}} for expression in selectors]
    return {
        "apiVersion": V1,
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": cel, **spec},
    }


def request_of(name: str, device_class: str = "gpu", **exactly: Any) -> dict[str, Any]:
    return {"name": name, "exactly": {"deviceClassName": device_class, **exactly}}


def claim_of(name: str, *requests: dict[str, Any], **devices: Any) -> dict[str, Any]:
    return {
        "apiVersion": V1,
        "kind": "ResourceClaim",
        "metadata": {"namespace": "ml", "name": name},
        "spec": {"devices": {"requests": list(requests), **devices}},
    }


def gpus(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": f"gpu-{number}",
            "attributes": {
                "index": {"int": number},
                ROOT: {"string": f"pci0000:{number:02x}"},
                NUMA: {"int": 2 * number // count},
            },
            "capacity": {"memory": {"value": "80Gi"}},
            **fields,
        }
        for number in range(count)
    ]


def nics(count: int) -> list[dict[str, Any]]:
    return [
        {
            "name": device["name"].replace("gpu", "nic"),
            "attributes": device["attributes"],
        }
        for device in gpus(count)
    ]
