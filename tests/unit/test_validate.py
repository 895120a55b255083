# SPDX-License-Identifier: Apache-2.0
"""validate: every violation is found, at its path."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.cluster_objects import (
    ROOT,
    claim_of,
    class_of,
    gpus,
    nics,
    request_of,
    slice_of,
)
from tests.documents import UID

import topoalloc as ta
from topoalloc import kubernetes as tk

OTHER_UID = UID[:-1] + ("0" if UID[-1] != "0" else "1")
Allocation = dict[str, Any]


def inventory_of(*objects: Any, **options: Any) -> tk.Inventory:
    inventory = tk.Inventory(**options)
    config = {"opaque": {"driver": "gpu.example.com", "parameters": {"mode": "fast"}}}
    inventory.update(
        class_of("gpu", "device.driver == 'gpu.example.com'", config=[config])
    )
    inventory.update(class_of("nic", "device.driver == 'nic.example.com'"))
    inventory.update(class_of("any"))
    for item in objects:
        inventory.update(item)
    return inventory


def node_of(count: int = 4) -> list[dict[str, Any]]:
    return [
        slice_of("gpus", gpus(count)),
        slice_of("nics", nics(count), driver="nic.example.com"),
    ]


def pair() -> dict[str, Any]:
    own = {"opaque": {"driver": "nic.example.com", "parameters": {"mtu": 9000}}}
    return claim_of(
        "pair",
        request_of("g", tolerations=[{"key": "slow", "operator": "Exists"}]),
        {
            "name": "n",
            "firstAvailable": [
                {"name": "two", "deviceClassName": "nic", "count": 2},
                {"name": "one", "deviceClassName": "nic"},
            ],
        },
        constraints=[{"matchAttribute": ROOT}],
        config=[{"requests": ["n"], **own}],
    )


def allocated(inventory: tk.Inventory, *claims: dict[str, Any]) -> list[dict[str, Any]]:
    """Allocate in a copy of the inventory's state: nothing stays taken."""
    written = inventory.allocate(list(claims), node="n1", share_id=lambda: UID)
    for claim in written:
        inventory.remove(claim)
    return written


def found(claims: list[Any], inventory: tk.Inventory) -> list[tuple[str, str]]:
    return [(each.path, each.rule.value) for each in tk.validate(claims, inventory)]


ALLOCATION = "claims[0].status.allocation"
FIRST = f"{ALLOCATION}.devices.results[0]"


def set_result(number: int, **fields: Any) -> Callable[[Allocation], None]:
    def change(allocation: Allocation) -> None:
        allocation["devices"]["results"][number] |= fields

    return change


def set_field(name: str, value: object) -> Callable[[Allocation], None]:
    def change(allocation: Allocation) -> None:
        allocation[name] = value

    return change


def drop_result(allocation: Allocation) -> None:
    del allocation["devices"]["results"][0]


def drop_entry(allocation: Allocation) -> None:
    del allocation["devices"]["results"][1]


def repeat_result(allocation: Allocation) -> None:
    results = allocation["devices"]["results"]
    results.append(copy.deepcopy(results[0]))


def drop_config(allocation: Allocation) -> None:
    del allocation["devices"]["config"][1]


def change_config(allocation: Allocation) -> None:
    allocation["devices"]["config"][0]["opaque"]["parameters"] = {"mode": "slow"}


def in_nodes(operator: str, *values: str) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": operator, "values": list(values)}
    return {"nodeSelectorTerms": [{"matchFields": [field]}]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            set_result(0, device="gpu-9"),
            [(f"{FIRST}.device", "device")],
        ),
        (
            set_result(0, pool="n9"),
            [(f"{FIRST}.device", "device")],
        ),
        (
            set_result(0, device="gpu-1"),
            [("claims[0].spec.devices.constraints[0]", "constraint")],
        ),
        (
            set_result(0, driver="nic.example.com", device="nic-1"),
            [
                (f"{FIRST}.device", "selector"),
                ("claims[0].spec.devices.constraints[0]", "constraint"),
            ],
        ),
        (set_result(0, adminAccess=True), [(f"{FIRST}.adminAccess", "copied")]),
        (set_result(0, tolerations=[]), [(f"{FIRST}.tolerations", "copied")]),
        (
            set_result(0, bindingConditions=["example.com/ready"]),
            [(f"{FIRST}.bindingConditions", "copied")],
        ),
        (set_result(0, shareID=UID), [(f"{FIRST}.shareID", "share_id")]),
        (
            set_result(0, consumedCapacity={"memory": "1Gi"}),
            [(f"{FIRST}.consumedCapacity", "consumed")],
        ),
        (drop_result, [("claims[0].spec.devices.requests[0].exactly", "count")]),
        (drop_entry, [("claims[0].spec.devices.requests[1]", "entry")]),
        (
            set_result(1, request="n"),
            [("claims[0].spec.devices.requests[1]", "entry")],
        ),
        (
            set_result(1, request="n/two"),
            [("claims[0].spec.devices.requests[1].firstAvailable[0]", "count")],
        ),
        (
            set_result(1, request="x"),
            [(f"{ALLOCATION}.devices.results[1].request", "object")],
        ),
        (
            repeat_result,
            [
                (f"{ALLOCATION}.devices.results[2].device", "twice"),
                ("claims[0].spec.devices.requests[0].exactly", "count"),
            ],
        ),
        (drop_config, [(f"{ALLOCATION}.devices.config", "config")]),
        (change_config, [(f"{ALLOCATION}.devices.config[0]", "config")]),
        (set_field("nodeSelector", None), [(f"{ALLOCATION}.nodeSelector", "node")]),
        (
            set_field("nodeSelector", in_nodes("In", "n9")),
            [(f"{ALLOCATION}.nodeSelector", "node")],
        ),
        (
            set_field("nodeSelector", in_nodes("NotIn", "n9")),
            [(f"{ALLOCATION}.nodeSelector", "node")],
        ),
        (
            set_field("nodeSelector", {"nodeSelectorTerms": []}),
            [(f"{ALLOCATION}.nodeSelector.nodeSelectorTerms", "object")],
        ),
        (
            set_field("devices", {"results": "all"}),
            [(f"{ALLOCATION}.devices.results", "object")],
        ),
    ],
)
def test_a_change_of_a_valid_allocation_is_found(
    change: Callable[[Allocation], None], expected: list[tuple[str, str]]
) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}}
    inventory = inventory_of(*node_of(), node)
    (claim,) = allocated(inventory, pair())
    assert tk.validate([claim], inventory) == []
    change(claim["status"]["allocation"])
    # Configuration follows what is chosen: said of it is only what is expected.
    wanted = {rule for _, rule in expected}
    assert [
        each
        for each in found([claim], inventory)
        if each[1] != "config" or "config" in wanted
    ] == expected


def test_a_device_is_given_to_one_claim() -> None:
    inventory = inventory_of(*node_of())
    first = claim_of("first", request_of("g"))
    second = claim_of("second", request_of("g"))
    one, two = allocated(inventory, first, second)
    assert tk.validate([one, two], inventory) == []
    two["status"]["allocation"]["devices"]["results"][0]["device"] = "gpu-0"
    (violation,) = tk.validate([one, two], inventory)
    assert str(violation) == (
        "claims[1].status.allocation.devices.results[0].device: "
        "gpu.example.com/n1/gpu-0 is held by ml/first, want one that is free"
    )
    assert violation.claim == "ml/second"
    assert violation.rule == tk.ViolationRule.TAKEN
    # One that is in the inventory holds its device as well.
    inventory.update(one)
    assert [each.rule for each in tk.validate([two], inventory)] == [
        tk.ViolationRule.TAKEN
    ]
    assert tk.validate(["ml/first"], inventory) == []
    # Access for administrators takes nothing from anyone.
    admin = claim_of("admin", request_of("g", adminAccess=True))
    (watched,) = allocated(inventory, admin)
    watched["status"]["allocation"]["devices"]["results"][0]["device"] = "gpu-0"
    assert tk.validate([one, watched], inventory) == []


def test_shares_stay_within_what_a_device_has() -> None:
    link = {
        "name": "link",
        "allowMultipleAllocations": True,
        "capacity": {"bandwidth": {"value": "10"}},
    }
    inventory = inventory_of(slice_of("links", [link]))

    def share(name: str, amount: str, share_id: str) -> dict[str, Any]:
        capacity = {"requests": {"bandwidth": amount}}
        (claim,) = allocated(
            inventory, claim_of(name, request_of("l", "any", capacity=capacity))
        )
        claim["status"]["allocation"]["devices"]["results"][0]["shareID"] = share_id
        return claim

    one, two = share("one", "6", UID), share("two", "4", OTHER_UID)
    assert tk.validate([one, two], inventory) == []
    more = share("two", "5", OTHER_UID)
    path = "claims[1].status.allocation.devices.results[0]"
    assert found([one, more], inventory) == [(f"{path}.device", "overcommitted")]
    two["status"]["allocation"]["devices"]["results"][0]["shareID"] = UID
    assert found([one, two], inventory) == [(f"{path}.shareID", "share_id")]
    more["status"]["allocation"]["devices"]["results"][0]["consumedCapacity"] = {
        "bandwidth": "1"
    }
    path = path.replace("[1]", "[0]", 1)
    assert found([more], inventory) == [(f"{path}.consumedCapacity", "consumed")]
    # As if it were not shared: it has all of it, and nobody else anything.
    whole = share("whole", "1", UID)
    (result,) = whole["status"]["allocation"]["devices"]["results"]
    del result["shareID"], result["consumedCapacity"]
    rules = [rule for _, rule in found([one, whole], inventory)]
    assert rules == ["consumed", "share_id", "taken"]


def partitions(*groups: list[str]) -> list[dict[str, Any]]:
    def draw(number: int) -> dict[str, Any]:
        found: dict[str, Any] = {
            "counterSet": "gpu",
            "counters": {"slots": {"value": "2"}},
        }
        if groups:
            found["compatibilityGroups"] = groups[number]
        return {"name": f"part-{number}", "consumesCounters": [found]}

    counters = [{"name": "gpu", "counters": {"slots": {"value": "5"}}}]
    pool = {"name": "n1", "generation": 1, "resourceSliceCount": 2}
    devices = slice_of("parts", [draw(number) for number in range(3)], pool=pool)
    totals = slice_of("totals", [], pool=pool, sharedCounters=counters)
    del totals["spec"]["devices"]
    return [devices, totals]


def test_counters_bound_what_draws_on_them() -> None:
    inventory = inventory_of(*partitions())
    two = allocated(inventory, claim_of("two", request_of("p", count=2)))
    (claim,) = two
    assert tk.validate([claim], inventory) == []
    third = copy.deepcopy(claim)
    third["metadata"]["name"] = "third"
    third["spec"]["devices"]["requests"][0]["exactly"]["count"] = 1
    (result, _) = third["status"]["allocation"]["devices"]["results"]
    third["status"]["allocation"]["devices"]["results"] = [
        {**result, "device": "part-2"}
    ]
    path = "claims[1].status.allocation.devices.results[0].device"
    assert found([claim, third], inventory) == [(path, "counters")]


def test_devices_of_a_counter_set_have_a_group_in_common() -> None:
    objects = partitions(["a", "b"], ["b"], ["c"])
    inventory = inventory_of(*objects, features=["compatibility_groups"])
    (claim,) = allocated(inventory, claim_of("two", request_of("p", count=2)))
    assert tk.validate([claim], inventory) == []
    claim["status"]["allocation"]["devices"]["results"][1]["device"] = "part-2"
    path = f"{ALLOCATION}.devices.results[1].device"
    assert found([claim], inventory) == [(path, "groups")]
    off = inventory_of(*objects)
    rules = {rule for _, rule in found([claim], off)}
    assert rules == {"feature", "groups"}


def test_taints_are_tolerated() -> None:
    taint = {"key": "broken", "effect": "NoSchedule"}
    inventory = inventory_of(slice_of("gpus", gpus(1, taints=[taint])))
    tolerant = request_of("g", tolerations=[{"key": "broken", "operator": "Exists"}])
    (claim,) = allocated(inventory, claim_of("c", tolerant))
    assert tk.validate([claim], inventory) == []
    del claim["spec"]["devices"]["requests"][0]["exactly"]["tolerations"]
    del claim["status"]["allocation"]["devices"]["results"][0]["tolerations"]
    assert found([claim], inventory) == [(f"{FIRST}.device", "taint")]


def test_all_is_all_of_them() -> None:
    inventory = inventory_of(*node_of())
    every = claim_of("every", request_of("g", allocationMode="All"))
    (claim,) = allocated(inventory, every)
    assert tk.validate([claim], inventory) == []
    claim["status"]["allocation"]["devices"]["results"].pop()
    (violation,) = tk.validate([claim], inventory)
    assert str(violation) == (
        "claims[0].spec.devices.requests[0].exactly.allocationMode: "
        "All without gpu-3, want all that match"
    )


def test_what_can_not_be_read_is_a_violation_and_the_rest_is_looked_at() -> None:
    inventory = inventory_of(*node_of())
    (claim,) = allocated(inventory, claim_of("c", request_of("g")))
    broken = copy.deepcopy(claim)
    del broken["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"]
    inventory.remove(class_of("gpu"))
    assert found([broken, claim, "ml/none", {"kind": "Pod"}, claim], inventory) == [
        ("claims[0].spec.devices.requests[0].exactly.deviceClassName", "object"),
        ("claims[2]", "object"),
        ("claims[3].apiVersion", "object"),
        ("claims[4]", "object"),
        ("claims[1].spec.devices.requests[0].exactly.deviceClassName", "class"),
        ("claims[1].status.allocation.devices.config", "config"),
    ]
    assert tk.validate([claim_of("open", request_of("g"))], inventory) == []
    with pytest.raises(ta.InvalidRequestError, match="claims: 'ml/c', want a sequence"):
        tk.validate("ml/c", inventory)


def test_a_selector_that_fails_is_a_violation() -> None:
    inventory = inventory_of(slice_of("gpus", gpus(1)))
    (claim,) = allocated(inventory, claim_of("c", request_of("g")))
    selector = {"cel": {"expression": "device.attributes['x.example.com'].y == 1"}}
    claim["spec"]["devices"]["requests"][0]["exactly"]["selectors"] = [selector]
    (violation,) = tk.validate([claim], inventory)
    assert violation.path == f"{FIRST}.device"
    assert violation.rule == tk.ViolationRule.SELECTOR
    assert "a selector fails on it" in violation.text


def test_a_selector_that_is_none_is_a_violation() -> None:
    inventory = inventory_of(slice_of("gpus", gpus(1)))
    (claim,) = allocated(inventory, claim_of("c", request_of("g")))
    selector = {"cel": {"expression": "device.driver =="}}
    claim["spec"]["devices"]["requests"][0]["exactly"]["selectors"] = [selector]
    path = "spec.devices.requests[0].exactly.selectors[0].cel.expression"
    assert found([claim], inventory) == [(f"claims[0].{path}", "object")]
