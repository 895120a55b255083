# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' objects: what is read of them, from which sources and versions."""

from __future__ import annotations

import copy
import json
import re
import sys
from dataclasses import FrozenInstanceError
from typing import Any, ClassVar

import pytest
import yaml
from tests.documents import (
    CLAIM,
    CLASS,
    COUNTERS,
    DEVICE,
    EXACT,
    REMOVED,
    SLICE,
    UID,
    changed,
)

from topoalloc.kubernetes import MissingExtraError, SelectorError
from topoalloc.kubernetes._objects import (
    AllocatedDevice,
    AllocationMode,
    AttributeKind,
    CapacityPolicy,
    ClaimConstraint,
    CounterDraw,
    DeviceClass,
    DeviceId,
    DeviceSlice,
    DeviceTaint,
    DeviceTaintEffect,
    DeviceToleration,
    DeviceValues,
    NodeOperator,
    NodeRequirement,
    NodeTarget,
    ResourceClaim,
    TargetKind,
)
from topoalloc.kubernetes._objects_read import MAX_BYTES, read_object
from topoalloc.kubernetes._objects_values import ObjectError
from topoalloc.kubernetes._yaml import read_yaml

NANO = 10**9


def slice_of(document: Any) -> DeviceSlice:
    found = read_object(document)
    assert isinstance(found, DeviceSlice)
    return found


def claim_of(document: Any) -> ResourceClaim:
    found = read_object(document)
    assert isinstance(found, ResourceClaim)
    return found


def test_slice_is_read() -> None:
    found = slice_of(SLICE)
    assert (found.name, found.driver, found.pool) == (
        "node1-gpu",
        "gpu.example.com",
        "node1/a",
    )
    assert (found.generation, found.slice_count) == (3, 2)
    assert found.target == NodeTarget(TargetKind.NAME, "node1")
    device, other = found.devices
    assert device.attributes == {
        "model": DeviceValues(AttributeKind.TEXT, ("A",)),
        "cuda": DeviceValues(AttributeKind.VERSION, ("9.0.0",)),
        "ok": DeviceValues(AttributeKind.BOOLEAN, (True,)),
        "resource.kubernetes.io/numaNode": DeviceValues(
            AttributeKind.INTEGER, (0, 1), is_list=True
        ),
    }
    gib = 2**30 * NANO
    assert device.capacities["memory"].value == 80 * gib
    assert device.capacities["memory"].policy == CapacityPolicy(
        2 * gib, gib, 5 * gib, gib
    )
    assert device.capacities["links"].policy == CapacityPolicy(
        2 * NANO, valid_values=(2 * NANO, 4 * NANO)
    )
    assert device.draws == (CounterDraw("set", {"slices": 7 * NANO}),)
    assert device.taints == (
        DeviceTaint("example.com/ecc", "", DeviceTaintEffect.NO_SCHEDULE),
    )
    assert (device.is_shared, device.binds_to_node) == (True, True)
    assert device.binding_conditions == ("ready",)
    assert (other.name, other.attributes, other.is_shared) == ("gpu-1", {}, False)
    with pytest.raises(FrozenInstanceError):
        other.name = "x"  # type: ignore[misc]


def test_counter_sets_are_read() -> None:
    found = slice_of(COUNTERS)
    assert found.counter_sets == {"set": {"slices": 7 * NANO}}
    assert found.target == NodeTarget(TargetKind.ALL)


def test_nodes_are_read_of_the_slice_or_of_each_device() -> None:
    term = {
        "matchExpressions": [{"key": "pool", "operator": "In", "values": ["a", "b"]}],
        "matchFields": [
            {"key": "metadata.name", "operator": "NotIn", "values": ["node1"]}
        ],
    }
    selector = {"nodeSelectorTerms": [term]}
    target = NodeTarget(
        TargetKind.SELECTOR,
        requirements=(
            NodeRequirement("pool", NodeOperator.IN, ("a", "b")),
            NodeRequirement("metadata.name", NodeOperator.NOT_IN, ("node1",), True),
        ),
    )
    document = changed(SLICE, "spec.nodeName", REMOVED)
    assert slice_of(changed(document, "spec.nodeSelector", selector)).target == target
    document["spec"]["perDeviceNodeSelection"] = True
    document["spec"]["devices"][0]["nodeSelector"] = selector
    document["spec"]["devices"][1]["allNodes"] = True
    found = slice_of(document)
    assert found.targets_by_device
    assert [device.target for device in found.devices] == [
        target,
        NodeTarget(TargetKind.ALL),
    ]


def test_claim_is_read() -> None:
    found = claim_of(CLAIM)
    assert (found.namespace, found.name, found.uid) == ("ml", "worker-0", UID)
    gpu, nic = found.requests
    assert (gpu.name, gpu.is_prioritized) == ("gpu", False)
    (demand,) = gpu.demands
    assert (demand.name, demand.device_class, demand.count) == (
        "",
        "gpu.example.com",
        2,
    )
    assert [selector.expression for selector in demand.selectors] == ["true"]
    assert demand.tolerations == (DeviceToleration(),)
    assert demand.capacity_requests == {"memory": 10 * 2**30 * NANO}
    assert nic.is_prioritized
    assert [(entry.name, entry.mode, entry.count) for entry in nic.demands] == [
        ("rdma", AllocationMode.EXACT_COUNT, 1),
        ("any", AllocationMode.ALL, 0),
    ]
    assert found.constraints == (
        ClaimConstraint("k8s.io/root", requests=("gpu", "nic/rdma")),
        ClaimConstraint("example.com/rail", is_distinct=True),
    )
    assert found.configs[0].parameters == {"mtu": 9000}
    assert found.allocated == (
        AllocatedDevice(
            "nic/rdma",
            DeviceId("example.com", "node1", "nic-0"),
            share_id=UID,
            consumed={"example.com/gbps": 12 * NANO},
        ),
    )
    assert claim_of(changed(CLAIM, "status", REMOVED)).allocated is None


def test_class_is_read() -> None:
    found = read_object(CLASS)
    assert isinstance(found, DeviceClass)
    assert found.name == "gpu.example.com"
    assert found.extended_resource_name == "example.com/gpu"
    assert [selector.reads.driver for selector in found.selectors] == [True]


def test_toleration_of_a_value_is_read() -> None:
    document = changed(
        CLAIM,
        f"{EXACT}.tolerations",
        [{"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": 5}],
    )
    assert claim_of(document).requests[0].demands[0].tolerations == (
        DeviceToleration("k", "v", DeviceTaintEffect.NO_EXECUTE),
    )


def test_unknown_effect_of_a_taint_does_nothing() -> None:
    document = changed(SLICE, f"{DEVICE}.taints[0].effect", "NoSuch")
    assert slice_of(document).devices[0].taints[0].effect == DeviceTaintEffect.NONE


def test_versions_come_to_one_form() -> None:
    newer = changed(SLICE, "apiVersion", "resource.k8s.io/v1beta2")
    assert slice_of(newer) == slice_of(SLICE)
    older = changed(SLICE, "apiVersion", "resource.k8s.io/v1beta1")
    older["spec"]["allNodes"] = False
    older["spec"]["devices"] = [
        {"name": device.pop("name"), "basic": device}
        for device in older["spec"]["devices"]
    ]
    assert slice_of(older) == slice_of(SLICE)
    claim = changed(CLAIM, "apiVersion", "resource.k8s.io/v1beta1")
    (first, _) = claim["spec"]["devices"]["requests"]
    first |= first.pop("exactly")
    found, wanted = claim_of(claim), claim_of(CLAIM)
    assert found.requests[0].demands[0].count == wanted.requests[0].demands[0].count
    assert found.requests[1].demands[1] == wanted.requests[1].demands[1]
    first["count"] = 0
    with pytest.raises(ObjectError, match=r"^spec\.devices\.requests\[0\]\.count: 0"):
        read_object(claim)
    older["spec"]["devices"][0]["basic"]["bindsToNode"] = 1
    with pytest.raises(ObjectError, match=r"^spec\.devices\[0\]\.basic\.bindsToNode: "):
        read_object(older)


class Model:
    """What a client makes of an object, spelled as Python does."""

    attribute_map: ClassVar = {"api_version": "apiVersion", "kind": "kind",
                               "metadata": "metadata", "spec": "spec"}  # fmt: skip

    def __init__(self, document: dict[str, Any]) -> None:
        self.api_version = document["apiVersion"]
        self.kind = document["kind"]
        self.metadata = Plain(document["metadata"] | {"creationTimestamp": None})
        self.spec = document["spec"]

    def to_dict(self) -> dict[str, Any]:
        return {"api_version": self.api_version}


class Plain:
    """What another client makes of it, spelled as the API does."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def to_dict(self) -> dict[str, Any]:
        return self.document


def test_yaml_is_read() -> None:
    text = """
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata:
  name: gpu.example.com
  creationTimestamp: 2026-01-01T00:00:00Z
spec:
  selectors:
  - cel:
      expression: >-
        device.driver == 'gpu.example.com'
  config:
  - opaque:
      driver: example.com
      parameters: {}
  extendedResourceName: "example.com/gpu"
"""
    assert repr(read_object(text)) == repr(read_object(CLASS))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"pip install topoalloc\[kubernetes\]"):
        read_object("kind: DeviceClass")


def test_scalars_of_yaml_are_as_kubernetes_has_them() -> None:
    text = "[yes, Off, ~, '1', 010, 0x10, 0b11, -3, 1e3, .5, 5., 80Gi, 2026-01-01, 1_0]"
    assert read_yaml(text) == [
        [True, False, None, "1", 8, 16, 3, -3, 1000.0, 0.5, 5.0, "80Gi", "2026-01-01",
         "1_0"]
    ]  # fmt: skip
    assert read_yaml("on: {1: !!str 2}\n--- x") == [{"on": {"1": "2"}}, "x"]


@pytest.mark.parametrize(
    "source",
    [
        json.dumps(SLICE),
        yaml.safe_dump(SLICE),
        yaml.safe_dump(SLICE).encode(),
        json.dumps(SLICE).encode(),
        Model(SLICE),
        Plain(SLICE),
    ],
    ids=["json", "yaml", "yaml-bytes", "bytes", "model", "plain-model"],
)
def test_sources_are_read_alike(source: object) -> None:
    assert slice_of(source) == slice_of(SLICE)


def test_selector_is_refused_by_path() -> None:
    path = f"{EXACT}.selectors[0].cel.expression"
    with pytest.raises(SelectorError, match="^" + re.escape(path) + ": '1': must"):
        read_object(changed(CLAIM, path, "1"))
    listed = "device.attributes['d'].x.includes(1)"
    read_object(changed(CLAIM, path, listed))
    with pytest.raises(SelectorError, match="includes"):
        read_object(changed(CLAIM, path, listed), "1.35")


def test_null_is_left_out() -> None:
    document = changed(SLICE, "spec.nodeSelector", None)
    assert slice_of(changed(document, f"{DEVICE}.nodeName", None)) == slice_of(SLICE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "0 documents, want one"),
        ("[" * 100_000, "no YAML: line 1: deeper than 100"),
        ('{"a":' * 100_000, "object: "),
        ("a: 1\n---\nb: 2", "2 documents, want one"),
        ("a: &x 1\nb: *x", "no YAML: line 2: an alias"),
        ("a: !foo 1", "no YAML: line 1: the tag '!foo'"),
        ("a: !foo {}", "no YAML: line 1: a tag"),
        ("<<: {a: 1}", "no YAML: line 1: key '<<'"),
        ("a: 1\na: 2", "no YAML: line 2: key 'a'"),
        ("? [1]\n: 2", "no YAML: line 1: key []"),
        ("a: [", "no YAML: line 2: did not find"),
        ("a: \ud800", "no YAML: position 3"),
        ("a: \x00", "no YAML: "),
        ('{"kind": 1, "kind": 2}', "'kind' is given twice"),
        (b"\xff", "no JSON"),
        ("[]", "'list', want an object"),
        ("{]", "no JSON"),
        (None, "'NoneType', want an object"),
        ({1: 2}, "key 1, want text"),
        ({"apiVersion": 10**5000}, "a number of many digits"),
        (" " * (MAX_BYTES + 1), "long, want at most"),
    ],
)
def test_hostile_source_is_refused(source: object, message: str) -> None:
    with pytest.raises(ObjectError, match=re.escape(message)):
        read_object(source)


def test_parameters_that_share_parts_are_refused() -> None:
    part: Any = 0
    for _ in range(40):
        part = [part, part]
    path = "spec.devices.config[0].opaque.parameters"
    document = copy.deepcopy(CLAIM)
    document["spec"]["devices"]["config"][0]["opaque"]["parameters"] = {"x": part}
    with pytest.raises(ObjectError, match="^" + re.escape(path) + ": too large"):
        read_object(document)
