# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' objects with something of everything in them, and their changes."""

from __future__ import annotations

import copy
import re
from typing import Any

UID = "00000000-0000-4000-8000-000000000000"

SLICE: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "node1-gpu"},
    "spec": {
        "driver": "gpu.example.com",
        "nodeName": "node1",
        "pool": {"name": "node1/a", "generation": 3, "resourceSliceCount": 2},
        "devices": [
            {
                "name": "gpu-0",
                "attributes": {
                    "model": {"string": "A"},
                    "cuda": {"version": "9.0.0"},
                    "ok": {"bool": True},
                    "resource.kubernetes.io/numaNode": {"ints": [0, 1]},
                },
                "capacity": {
                    "memory": {
                        "value": "80Gi",
                        "requestPolicy": {
                            "default": "2Gi",
                            "validRange": {"min": "1Gi", "max": "5Gi", "step": "1Gi"},
                        },
                    },
                    "links": {
                        "value": 18,
                        "requestPolicy": {"default": "2", "validValues": ["2", "4"]},
                    },
                },
                "allowMultipleAllocations": True,
                "consumesCounters": [
                    {"counterSet": "set", "counters": {"slices": {"value": "7"}}}
                ],
                "taints": [{"key": "example.com/ecc", "effect": "NoSchedule"}],
                "bindingConditions": ["ready"],
                "bindingFailureConditions": ["failed"],
                "bindsToNode": True,
            },
            {"name": "gpu-1"},
        ],
    },
}
COUNTERS: dict[str, Any] = {
    **SLICE,
    "spec": {
        "driver": "gpu.example.com",
        "allNodes": True,
        "pool": {"name": "node1", "generation": 0, "resourceSliceCount": 1},
        "sharedCounters": [{"name": "set", "counters": {"slices": {"value": "7"}}}],
    },
}
CLAIM: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": {"namespace": "ml", "name": "worker-0", "uid": UID},
    "spec": {
        "devices": {
            "requests": [
                {
                    "name": "gpu",
                    "exactly": {
                        "deviceClassName": "gpu.example.com",
                        "selectors": [{"cel": {"expression": "true"}}],
                        "count": 2,
                        "tolerations": [{"operator": "Exists"}],
                        "capacity": {"requests": {"memory": "10Gi"}},
                    },
                },
                {
                    "name": "nic",
                    "firstAvailable": [
                        {"name": "rdma", "deviceClassName": "rdma"},
                        {
                            "name": "any",
                            "deviceClassName": "any",
                            "allocationMode": "All",
                        },
                    ],
                },
            ],
            "constraints": [
                {"requests": ["gpu", "nic/rdma"], "matchAttribute": "k8s.io/root"},
                {"distinctAttribute": "example.com/rail"},
            ],
            "config": [
                {
                    "requests": ["nic"],
                    "opaque": {"driver": "example.com", "parameters": {"mtu": 9000}},
                }
            ],
        }
    },
    "status": {
        "allocation": {
            "devices": {
                "results": [
                    {
                        "request": "nic/rdma",
                        "driver": "example.com",
                        "pool": "node1",
                        "device": "nic-0",
                        "shareID": UID,
                        "consumedCapacity": {"example.com/gbps": "12"},
                    }
                ]
            }
        }
    },
}
CLASS: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "gpu.example.com"},
    "spec": {
        "selectors": [{"cel": {"expression": "device.driver == 'gpu.example.com'"}}],
        "config": [{"opaque": {"driver": "example.com", "parameters": {}}}],
        "extendedResourceName": "example.com/gpu",
    },
}
DEVICE = "spec.devices[0]"
EXACT = "spec.devices.requests[0].exactly"
REMOVED = object()


def changed(document: Any, path: str, value: object) -> Any:
    """Return a copy with another value at a path, or with none."""
    document = copy.deepcopy(document)
    *parents, last = re.findall(r"[^.\[\]]+|(?<=\[)[^\]]+(?=\])", path)
    holder = document
    for name in parents:
        holder = holder[int(name) if isinstance(holder, list) else name]
    key: Any = int(last) if isinstance(holder, list) else last
    if value is REMOVED:
        del holder[key]
    else:
        holder[key] = value
    return document
