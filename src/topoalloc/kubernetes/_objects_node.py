# SPDX-License-Identifier: Apache-2.0
"""Read Nodes, and DeviceTaintRules of resource.k8s.io: v1beta2 and v1alpha3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topoalloc.kubernetes._objects import ClusterNode, DeviceTaintRule
from topoalloc.kubernetes._objects_slice import pool_name, read_taint
from topoalloc.kubernetes._objects_values import (
    dns_label,
    driver_name,
    fields,
    label_key,
    label_value,
    named,
    required,
    text,
)

__all__ = ["read_node", "read_taint_rule"]

# No limit of the API, which bounds the size of an object.
_MAX_LABELS = 10_000


def read_node(metadata: Mapping[str, Any], name: str) -> ClusterNode:
    """Read the labels of a Node.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    labels = {}
    for key, value, path in named(
        metadata.get("labels"), "metadata.labels", _MAX_LABELS
    ):
        text(key, path, label_key)
        labels[key] = text(value, path, label_value)
    return ClusterNode(name, labels)


def read_taint_rule(spec: object, name: str) -> DeviceTaintRule:
    """Read `spec` of a DeviceTaintRule.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    found = fields(spec, "spec", {"deviceSelector", "taint"})
    taint = read_taint(required(found, "taint", "spec"), "spec.taint")
    if "deviceSelector" not in found:
        return DeviceTaintRule(name, taint, is_for_none=True)
    path = "spec.deviceSelector"
    selector = fields(found["deviceSelector"], path, {"driver", "pool", "device"})
    checks = {"driver": driver_name, "pool": pool_name, "device": dns_label}
    driver, pool, device = (
        text(selector[field], f"{path}.{field}", check) if field in selector else None
        for field, check in checks.items()
    )
    return DeviceTaintRule(name, taint, driver, pool, device)
