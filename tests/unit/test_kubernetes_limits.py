# SPDX-License-Identifier: Apache-2.0
"""Each limit and rule of resource.k8s.io/v1: at a limit an object is read.

Beyond it, and where a rule is broken, the error begins with the path.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.documents import (
    CLAIM,
    CLASS,
    COUNTERS,
    DEVICE,
    EXACT,
    REMOVED,
    SLICE,
    changed,
)

from topoalloc import FormatError
from topoalloc.kubernetes import SelectorError
from topoalloc.kubernetes._objects_read import read_object
from topoalloc.kubernetes._objects_values import ObjectError


def numbered(count: int, **more: object) -> list[dict[str, Any]]:
    return [{"name": f"x{index}", **more} for index in range(count)]


def texts(count: int) -> dict[str, Any]:
    return {f"a{index}": {"int": index} for index in range(count)}


def counters(count: int) -> dict[str, Any]:
    return {f"c{index}": {"value": "1"} for index in range(count)}


TRUE = {"cel": {"expression": "true"}}
TAINT = {"key": "k", "effect": "NoSchedule"}
OPAQUE = {"opaque": {"driver": "d", "parameters": {}}}
REQUEST = {"exactly": {"deviceClassName": "c"}}
BARE = changed(changed(SLICE, f"{DEVICE}.capacity", {}), f"{DEVICE}.attributes", {})
FREE = changed(
    changed(changed(CLAIM, "status", REMOVED), "spec.devices.constraints", []),
    "spec.devices.config",
    [],
)
POLICY = f"{DEVICE}.capacity[memory].requestPolicy"

# A document, a path, the most that it takes, and one more than that.
LIMITS = [
    (SLICE, "spec.devices", numbered(128), numbered(129)),
    (SLICE, "spec.devices", numbered(64, taints=[TAINT]), numbered(65, taints=[TAINT])),
    (
        SLICE,
        "spec.devices",
        numbered(64, attributes={"a": {"ints": [1]}}),
        numbered(65, attributes={"a": {"ints": [1]}}),
    ),
    (SLICE, "spec.driver", "d" * 63, "d" * 64),
    (SLICE, "spec.pool.name", "p" * 253, "p" * 254),
    (SLICE, "spec.pool.generation", 0, -1),
    (SLICE, "spec.pool.resourceSliceCount", 1, 0),
    (SLICE, f"{DEVICE}.name", "n" * 63, "n" * 64),
    (BARE, f"{DEVICE}.attributes", texts(32), texts(33)),
    (
        BARE,
        f"{DEVICE}.attributes",
        {"a": {"ints": [0] * 47}, "b": {"bool": True}},
        {"a": {"ints": [0] * 47}, "b": {"bools": [True, True]}},
    ),
    (BARE, f"{DEVICE}.attributes", {"a" * 32: {"int": 1}}, {"a" * 33: {"int": 1}}),
    (
        BARE,
        f"{DEVICE}.attributes",
        {"d" * 63 + "/a": {"int": 1}},
        {"d" * 64 + "/a": {"int": 1}},
    ),
    (SLICE, f"{DEVICE}.attributes[model].string", "s" * 64, "s" * 65),
    (SLICE, f"{DEVICE}.attributes[model].string", "\u00e9" * 32, "\u00e9" * 33),
    (SLICE, f"{DEVICE}.attributes[model]", {"int": 2**63 - 1}, {"int": 2**63}),
    (SLICE, f"{DEVICE}.attributes[model]", {"int": -(2**63)}, {"int": -(2**63) - 1}),
    (SLICE, f"{DEVICE}.taints", [TAINT] * 16, [TAINT] * 17),
    (
        SLICE,
        f"{DEVICE}.bindingConditions",
        ["a", "b", "c", "d"],
        ["a", "b", "c", "d", "e"],
    ),
    (
        SLICE,
        f"{DEVICE}.bindingFailureConditions",
        ["a", "b", "c", "d"],
        ["a", "b", "c", "d", "e"],
    ),
    (
        SLICE,
        f"{DEVICE}.consumesCounters[0].compatibilityGroups",
        ["a", "b"],
        ["a", "b", "c"],
    ),
    (
        SLICE,
        f"{DEVICE}.consumesCounters",
        [{"counterSet": f"s{i}", "counters": counters(32)} for i in range(2)],
        [{"counterSet": f"s{i}", "counters": counters(32)} for i in range(3)],
    ),
    (
        SLICE,
        f"{DEVICE}.consumesCounters[0].counters",
        counters(32),
        counters(33),
    ),
    (
        COUNTERS,
        "spec.sharedCounters",
        numbered(8, counters=counters(32)),
        numbered(9, counters=counters(32)),
    ),
    (COUNTERS, "spec.sharedCounters[0].counters", counters(32), counters(33)),
    (
        SLICE,
        f"{DEVICE}.capacity[links].requestPolicy.validValues",
        [str(value) for value in range(1, 11)],
        [str(value) for value in range(1, 12)],
    ),
    (SLICE, f"{POLICY}.validRange.max", "80Gi", "81Gi"),
    (SLICE, f"{POLICY}.default", "1Gi", "0.5Gi"),
    (SLICE, f"{POLICY}.default", "5Gi", "6Gi"),
    (FREE, "spec.devices.requests", numbered(32, **REQUEST), numbered(33, **REQUEST)),
    (
        FREE,
        "spec.devices.requests[1].firstAvailable",
        numbered(8, deviceClassName="c"),
        numbered(9, deviceClassName="c"),
    ),
    (CLAIM, f"{EXACT}.selectors", [TRUE] * 32, [TRUE] * 33),
    (CLAIM, f"{EXACT}.tolerations", [{"operator": "Exists"}] * 16,
     [{"operator": "Exists"}] * 17),
    (CLAIM, f"{EXACT}.count", 1, 0),
    (CLAIM, f"{EXACT}.deviceClassName", "c" * 253, "c" * 254),
    (
        CLAIM,
        "spec.devices.constraints",
        [{"matchAttribute": "a/b"}] * 32,
        [{"matchAttribute": "a/b"}] * 33,
    ),
    (CLAIM, "spec.devices.config", [OPAQUE] * 32, [OPAQUE] * 33),
    (
        CLAIM,
        "spec.devices.config[0].opaque.parameters",
        {"x": "y" * (10 * 1024 - 8)},
        {"x": "y" * (10 * 1024 - 7)},
    ),
    (
        CLAIM,
        f"{EXACT}.selectors[0].cel.expression",
        "true" + " " * (10 * 1024 - 4),
        "true" + " " * (10 * 1024 - 3),
    ),
    (
        CLAIM,
        "status.allocation.devices.results",
        CLAIM["status"]["allocation"]["devices"]["results"] * 32,
        CLAIM["status"]["allocation"]["devices"]["results"] * 33,
    ),
    (CLAIM, "status.reservedFor", [{}] * 256, [{}] * 257),
    (CLASS, "spec.selectors", [TRUE] * 32, [TRUE] * 33),
    (CLASS, "spec.config", [OPAQUE] * 32, [OPAQUE] * 33),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "most", "beyond"), LIMITS)
def test_limit_holds_at_it_and_beyond_it(
    document: Any, path: str, most: object, beyond: object
) -> None:
    read_object(changed(document, path, most))
    # Of a name the error is at its value, of a number of things at their owner.
    owner = path.rpartition(".")[0]
    with pytest.raises((ObjectError, SelectorError)) as caught:
        read_object(changed(document, path, beyond))
    assert str(caught.value).startswith((path, owner))


# A document, a path, what is put there, and the path of the error.
FAULTS = [
    (SLICE, "apiVersion", "v1", "apiVersion: 'v1', want one of"),
    (SLICE, "kind", "Pod", "kind: 'Pod', want one of"),
    (SLICE, "metadata", REMOVED, "metadata: missing"),
    (SLICE, "metadata.name", "A", "metadata.name: 'A', want"),
    (SLICE, "spec", [], "spec: 'list', want an object"),
    (SLICE, "spec.colour", 1, "spec.colour: not a field"),
    (SLICE, "spec.driver", REMOVED, "spec.driver: missing"),
    (SLICE, "spec.allNodes", True, "spec: 2 of nodeName"),
    (SLICE, "spec.allNodes", False, "spec.allNodes: False, want true"),
    (SLICE, "spec.nodeName", "", "spec.nodeName: '', want"),
    (SLICE, "spec.nodeName", REMOVED, "spec: none of nodeName"),
    (SLICE, "spec.perDeviceNodeSelection", True, "spec: two of nodeName"),
    (SLICE, "spec.sharedCounters", [], "spec: devices and sharedCounters"),
    (SLICE, "spec.devices[1].name", "gpu-0", "spec.devices[1].name: 'gpu-0' is given"),
    (SLICE, "spec.devices[1].nodeName", "n", "spec.devices[1]: of nodeName"),
    (SLICE, f"{DEVICE}.attributes[a-b]", {"int": 1}, f"{DEVICE}.attributes[a-b]: "),
    (SLICE, f"{DEVICE}.attributes[a]", {}, f"{DEVICE}.attributes[a]: 0 values"),
    (
        SLICE,
        f"{DEVICE}.attributes[a]",
        {"int": 1, "bool": True},
        f"{DEVICE}.attributes[a]: 2 values",
    ),
    (
        SLICE,
        f"{DEVICE}.attributes[a]",
        {"ints": []},
        f"{DEVICE}.attributes[a].ints: an",
    ),
    (
        SLICE,
        f"{DEVICE}.attributes[a]",
        {"int": True},
        f"{DEVICE}.attributes[a].int: Tr",
    ),
    (
        SLICE,
        f"{DEVICE}.attributes[a]",
        {"versions": ["1.0.0", "1.0"]},
        f"{DEVICE}.attributes[a].versions[1]: '1.0', want a semantic",
    ),
    (
        SLICE,
        f"{DEVICE}.capacity[c]",
        {"value": "80GB"},
        f"{DEVICE}.capacity[c].value: ",
    ),
    (SLICE, f"{DEVICE}.capacity[c]", {}, f"{DEVICE}.capacity[c].value: missing"),
    (
        SLICE,
        f"{DEVICE}.allowMultipleAllocations",
        False,
        f"{DEVICE}.capacity[memory].requestPolicy: there",
    ),
    (
        SLICE,
        f"{DEVICE}.capacity[links].requestPolicy.validValues",
        ["4", "2"],
        f"{DEVICE}.capacity[links].requestPolicy.validValues[1]: not asc",
    ),
    (
        SLICE,
        f"{DEVICE}.capacity[links].requestPolicy.default",
        "3",
        f"{DEVICE}.capacity[links].requestPolicy.default: none of",
    ),
    (
        SLICE,
        f"{POLICY}.validRange.step",
        "3Gi",
        f"{DEVICE}.capacity[memory].requestPolicy.default: want min and",
    ),
    (
        SLICE,
        f"{DEVICE}.consumesCounters[0].counters",
        {},
        f"{DEVICE}.consumesCounters[0].counters: none",
    ),
    (SLICE, f"{DEVICE}.taints[0].key", "-", f"{DEVICE}.taints[0].key: '-', want"),
    (SLICE, f"{DEVICE}.taints[0].effect", "", f"{DEVICE}.taints[0].effect: empty"),
    (CLAIM, "spec.devices.requests[0].exactly", REMOVED, "spec.devices.requests[0]: n"),
    (
        CLAIM,
        "spec.devices.requests[0].firstAvailable",
        [{"name": "x", "deviceClassName": "c"}],
        "spec.devices.requests[0]: both of exactly",
    ),
    (CLAIM, "spec.devices.requests[1].name", "gpu", "spec.devices.requests[1].name: "),
    (CLAIM, f"{EXACT}.deviceClassName", REMOVED, f"{EXACT}.deviceClassName: missing"),
    (CLAIM, f"{EXACT}.count", "2", f"{EXACT}.count: '2', want an integer"),
    (CLAIM, f"{EXACT}.allocationMode", "All", f"{EXACT}.count: 2, want none with All"),
    (CLAIM, f"{EXACT}.allocationMode", "Some", f"{EXACT}.allocationMode: 'Some', want"),
    (CLAIM, f"{EXACT}.derivedAttributes", [], f"{EXACT}.derivedAttributes: there"),
    (
        CLAIM,
        "spec.devices.requests[1].firstAvailable[0].adminAccess",
        True,
        "spec.devices.requests[1].firstAvailable[0].adminAccess: not a field",
    ),
    (
        CLAIM,
        "spec.devices.requests[1].firstAvailable[1].name",
        "rdma",
        "spec.devices.requests[1].firstAvailable[1].name: 'rdma' is given",
    ),
    (CLAIM, f"{EXACT}.selectors[0]", {}, f"{EXACT}.selectors[0].cel: missing"),
    (CLAIM, f"{EXACT}.tolerations[0]", {}, f"{EXACT}.tolerations[0].operator: 'Equal'"),
    (
        CLAIM,
        f"{EXACT}.tolerations[0].value",
        "v",
        f"{EXACT}.tolerations[0].value: 'v', want none",
    ),
    (
        CLAIM,
        f"{EXACT}.tolerations[0].tolerationSeconds",
        "1",
        f"{EXACT}.tolerations[0].tolerationSeconds: '1', want an integer",
    ),
    (
        SLICE,
        f"{DEVICE}.bindingConditions",
        [],
        f"{DEVICE}.bindingConditions: none, want some with bindingFailureConditions",
    ),
    (
        SLICE,
        f"{DEVICE}.bindingFailureConditions",
        [],
        f"{DEVICE}.bindingFailureConditions: none, want some with bindingConditions",
    ),
    (
        SLICE,
        f"{DEVICE}.bindingFailureConditions",
        ["failed", "ready"],
        f"{DEVICE}.bindingFailureConditions[1]: 'ready', want none of bindingCond",
    ),
    (
        SLICE,
        f"{DEVICE}.consumesCounters[0].compatibilityGroups",
        ["a", "a"],
        f"{DEVICE}.consumesCounters[0].compatibilityGroups[1]: 'a' is given twice",
    ),
    (
        CLAIM,
        "spec.devices.constraints[0].matchAttribute",
        "root",
        "spec.devices.constraints[0].matchAttribute: 'root', want domain/id",
    ),
    (
        CLAIM,
        "spec.devices.constraints[0].distinctAttribute",
        "a/b",
        "spec.devices.constraints[0]: 2 of",
    ),
    (
        CLAIM,
        "spec.devices.constraints[0].requests",
        ["gpu", "nic/none"],
        "spec.devices.constraints[0].requests[1]: 'nic/none', want the name",
    ),
    (
        CLAIM,
        "spec.devices.constraints[0].requests",
        ["gpu", "gpu"],
        "spec.devices.constraints[0].requests[1]: 'gpu' is given twice",
    ),
    (
        CLAIM,
        "spec.devices.config[0].opaque.parameters",
        "x",
        "spec.devices.config[0].opaque.parameters: 'x', want an object",
    ),
    (
        CLAIM,
        "status.allocation.devices.results[0].shareID",
        "x",
        "status.allocation.devices.results[0].shareID: 'x', want a UUID",
    ),
    (
        CLAIM,
        "status.allocation.devices.results[0].request",
        "no",
        "status.allocation.devices.results[0].request: 'no', want",
    ),
    (CLASS, "spec.config[0].requests", ["gpu"], "spec.config[0].requests: not a field"),
    (CLASS, "spec.extendedResourceName", "gpu", "spec.extendedResourceName: 'gpu', w"),
]


@pytest.mark.parametrize(("document", "path", "value", "message"), FAULTS)
def test_fault_is_refused_by_path(
    document: Any, path: str, value: object, message: str
) -> None:
    with pytest.raises(ObjectError, match="^" + re.escape(message)):
        read_object(changed(document, path, value))
    assert issubclass(ObjectError, FormatError)
