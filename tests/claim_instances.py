# SPDX-License-Identifier: Apache-2.0
"""Random small clusters with claims: every feature of DRA, a few devices of each."""

from __future__ import annotations

import random
from typing import Any

from tests.cluster_objects import V1

DRIVERS = ("a.example.com", "b.example.com")
SITE, GROUP = "topo.example.com/site", "topo.example.com/group"


def cluster(rng: random.Random) -> list[dict[str, Any]]:
    """Return DeviceClasses, Nodes and ResourceSlices."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": V1,
            "kind": "DeviceClass",
            "metadata": {"name": name},
            "spec": {"selectors": [{"cel": {"expression": text}} for text in texts]},
        }
        for name, texts in (
            ("any", ()),
            ("a", ("device.driver == 'a.example.com'",)),
            ("even", ("device.attributes[device.driver].?even.orValue(true)",)),
        )
    ]
    for name in ("n1", "n2"):
        labels = {"zone": rng.choice(["east", "west"])}
        metadata = {"name": name, "labels": labels}
        objects.append({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    for driver in DRIVERS[: rng.randint(1, 2)]:
        objects += _pool(rng, driver)
    return objects


def claims(rng: random.Random) -> list[dict[str, Any]]:
    """Return the claims of a pod."""
    return [_claim(rng, number) for number in range(rng.choice([1, 1, 1, 2]))]


def _pool(rng: random.Random, driver: str) -> list[dict[str, Any]]:
    has_counters = rng.random() < 0.3
    by_device = rng.random() < 0.15
    devices = [
        _device(rng, number, by_device=by_device, has_counters=has_counters)
        for number in range(rng.randint(1, 3))
    ]
    parts = [devices]
    if len(devices) > 1 and rng.random() < 0.3:
        parts = [devices[:1], devices[1:]]
    where: dict[str, Any] = rng.choice(
        [
            {"nodeName": "n1"},
            {"nodeName": "n1"},
            {"allNodes": True},
            {"nodeSelector": _selector(rng)},
        ]
    )
    if by_device:
        where = {"perDeviceNodeSelection": True}
    specs: list[dict[str, Any]] = [{"devices": part} for part in parts]
    if has_counters:
        counters = {"slots": {"value": str(rng.randint(1, 4))}}
        specs.append({"sharedCounters": [{"name": "set", "counters": counters}]})
    count = len(specs) + (rng.random() < 0.05)
    found = []
    for number, spec in enumerate(specs):
        generation = 1 + (rng.random() < 0.05)
        pool = {"name": "p", "generation": generation, "resourceSliceCount": count}
        found.append(
            {
                "apiVersion": V1,
                "kind": "ResourceSlice",
                "metadata": {"name": f"{driver[0]}-{number}"},
                "spec": {"driver": driver, "pool": pool, **where, **spec},
            }
        )
    return found


def _selector(rng: random.Random) -> dict[str, Any]:
    operator = rng.choice(["In", "NotIn", "Exists"])
    values = {} if operator == "Exists" else {"values": ["east"]}
    requirement = {"key": "zone", "operator": operator, **values}
    return {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}


def _device(
    rng: random.Random,
    number: int,
    *,
    by_device: bool,
    has_counters: bool,
) -> dict[str, Any]:
    attributes: dict[str, Any] = {"index": {"int": number}}
    if rng.random() < 0.8:
        attributes[SITE] = rng.choice(
            [{"int": rng.randint(0, 1)}] * 3 + [{"ints": [0, 1]}, {"string": "0"}]
        )
    if rng.random() < 0.5:
        attributes["even"] = {"bool": number % 2 == 0}
    device: dict[str, Any] = {"name": f"d{number}", "attributes": attributes}
    if rng.random() < 0.5:
        value = rng.choice(["2", "4", "8Gi"])
        device["capacity"] = {"units": {"value": value}}
        if rng.random() < 0.6:
            device["allowMultipleAllocations"] = True
            if rng.random() < 0.6 and value != "8Gi":
                device["capacity"]["units"]["requestPolicy"] = rng.choice(
                    [
                        {"default": "1", "validRange": {"min": "1", "step": "1"}},
                        {"default": "2", "validValues": ["1", "2"]},
                        {"default": "1"},
                    ]
                )
    if has_counters and rng.random() < 0.8:
        draw: dict[str, Any] = {
            "counterSet": "set",
            "counters": {"slots": {"value": str(rng.randint(1, 2))}},
        }
        device["consumesCounters"] = [draw]
    if rng.random() < 0.2:
        effect = rng.choice(["NoSchedule", "NoExecute", "None"])
        device["taints"] = [{"key": "broken", "value": "yes", "effect": effect}]
    if rng.random() < 0.1:
        device["bindingConditions"] = ["example.com/ready"]
        device["bindingFailureConditions"] = ["example.com/failed"]
    if by_device:
        device |= rng.choice(
            [{"nodeName": "n1"}, {"allNodes": True}, {"nodeName": "n2"}]
        )
    return device


def _claim(rng: random.Random, number: int) -> dict[str, Any]:
    requests = [_request(rng, f"r{index}") for index in range(rng.choice([1, 1, 2]))]
    devices: dict[str, Any] = {"requests": requests}
    if rng.random() < 0.4:
        kind = rng.choice(["matchAttribute", "matchAttribute", "distinctAttribute"])
        devices["constraints"] = [{kind: SITE}]
        if rng.random() < 0.3:
            devices["constraints"][0]["requests"] = ["r0"]
    if rng.random() < 0.2:
        opaque = {"driver": "a.example.com", "parameters": {"mode": "fast"}}
        devices["config"] = [{"opaque": opaque}]
        if rng.random() < 0.5:
            devices["config"][0]["requests"] = ["r0"]
    return {
        "apiVersion": V1,
        "kind": "ResourceClaim",
        "metadata": {"namespace": "ml", "name": f"c{number}"},
        "spec": {"devices": devices},
    }


def _request(rng: random.Random, name: str) -> dict[str, Any]:
    if rng.random() < 0.25:
        entries = [
            {"name": entry, **_demand(rng, prioritized=True)} for entry in ("x", "y")
        ]
        return {"name": name, "firstAvailable": entries}
    return {"name": name, "exactly": _demand(rng, prioritized=False)}


def _demand(rng: random.Random, *, prioritized: bool) -> dict[str, Any]:
    demand: dict[str, Any] = {
        "deviceClassName": rng.choice(["any", "any", "a", "even"])
    }
    if rng.random() < 0.15:
        demand["allocationMode"] = "All"
    else:
        demand["count"] = rng.choice([1, 1, 2])
    if rng.random() < 0.2:
        text = rng.choice(
            [
                "device.attributes[device.driver].index < 2",
                "device.attributes[device.driver].?even.orValue(false)",
                "device.allowMultipleAllocations",
            ]
        )
        demand["selectors"] = [{"cel": {"expression": text}}]
    if rng.random() < 0.2:
        demand["capacity"] = {"requests": {"units": rng.choice(["1", "2", "1500m"])}}
    if rng.random() < 0.3:
        demand["tolerations"] = [{"key": "broken", "operator": "Exists"}]
    if not prioritized and rng.random() < 0.08:
        demand["adminAccess"] = True
    return demand
