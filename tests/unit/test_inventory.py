# SPDX-License-Identifier: Apache-2.0
"""Inventory: Kubernetes' objects in, `status.allocation` out."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.cluster_objects import (
    NUMA,
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
from topoalloc.kubernetes._allocation import quantity_text

VERSIONS = ("1.34", "1.35", "1.36", "1.37")


def inventory_of(
    *objects: Any, semantics: str = "1.37", **options: Any
) -> tk.Inventory:
    inventory = tk.Inventory(semantics, **options)
    inventory.update(class_of("gpu", "device.driver == 'gpu.example.com'"))
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


def results_of(claim: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = claim["status"]["allocation"]["devices"]["results"]
    return results


def names_of(claim: dict[str, Any]) -> list[str]:
    return [result["device"] for result in results_of(claim)]


def validate(claim: dict[str, Any], *versions: str) -> None:
    for version in versions or VERSIONS:
        kubernetes_validate.validate(claim, version, strict=True)


PAIR = claim_of(
    "pair",
    request_of("g"),
    request_of("nic", "nic"),
    constraints=[{"matchAttribute": ROOT}],
)


def test_a_pair_gets_devices_of_one_root() -> None:
    inventory = inventory_of(*node_of(), PAIR)
    verdict = inventory.check(["ml/pair"], node="n1")
    assert verdict.status == ta.Status.OPTIMAL
    assert verdict.cost == tk.ClaimCost((0, 0), 1, 3, 1, 1, 0, 0)
    assert str(verdict) == "ml/pair on node n1: OPTIMAL"
    (claim,) = inventory.allocate(["ml/pair"], node="n1", time="2026-11-02T10:00:00Z")
    validate(claim)
    assert claim["metadata"] == PAIR["metadata"]
    assert claim["spec"] == PAIR["spec"]
    assert claim["status"] == {
        "allocation": {
            "devices": {
                "results": [
                    {
                        "request": request,
                        "driver": f"{kind}.example.com",
                        "pool": "n1",
                        "device": f"{kind}-0",
                    }
                    for request, kind in (("g", "gpu"), ("nic", "nic"))
                ]
            },
            "nodeSelector": {
                "nodeSelectorTerms": [
                    {
                        "matchFields": [
                            {"key": "metadata.name", "operator": "In", "values": ["n1"]}
                        ]
                    }
                ]
            },
            "allocationTimestamp": "2026-11-02T10:00:00Z",
        }
    }


def test_what_is_allocated_is_taken_until_it_is_given_back() -> None:
    inventory = inventory_of(*node_of(1))
    (first,) = inventory.allocate([claim_of("a", request_of("g"))], node="n1")
    other = claim_of("b", request_of("g"))
    assert not inventory.check([other], node="n1")
    with pytest.raises(ta.InfeasibleError, match=r"^ml/b: no devices on node n1") as e:
        inventory.allocate([other], node="n1")
    assert e.value.verdict.status == ta.Status.INFEASIBLE
    assert inventory.remove(first)
    assert not inventory.remove(first)
    assert inventory.check([other], node="n1")
    # A watch may deliver an allocation that somebody else has made.
    inventory.update(first)
    assert not inventory.check([other], node="n1")
    released = copy.deepcopy(first)
    del released["status"]["allocation"]
    inventory.update(released)
    assert inventory.check([other], node="n1")


def test_first_fit_takes_the_first_and_optimal_the_best() -> None:
    far = claim_of("far", request_of("g", count=2))
    devices = gpus(4)
    devices[1]["attributes"][NUMA] = {"int": 1}
    inventory = inventory_of(slice_of("gpus", devices))
    first = inventory.check([far], node="n1", choose="first_fit")
    best = inventory.check([far], node="n1", choose="optimal")
    assert [r["device"] for r in first.allocations[0]["devices"]["results"]] == [
        "gpu-0",
        "gpu-1",
    ]
    assert [r["device"] for r in best.allocations[0]["devices"]["results"]] == [
        "gpu-1",
        "gpu-2",
    ]
    assert first.cost is None
    assert first.steps > 0


@pytest.mark.parametrize("as_text", [json.dumps, yaml.safe_dump])
def test_objects_come_as_text_and_in_lists(as_text: Any) -> None:
    inventory = inventory_of()
    items = [{k: v for k, v in item.items() if k != "kind"} for item in node_of()]
    inventory.update(
        as_text({"apiVersion": "v1", "kind": "List", "items": [*node_of(), PAIR]})
    )
    assert inventory.check(["ml/pair"], node="n1")
    for item in items:
        del item["apiVersion"]
    inventory.update(
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSliceList",
            "items": items,
        }
    )
    assert inventory.check([as_text(PAIR)], node="n1")
    assert inventory.nodes == ("n1",)
    assert repr(inventory) == "<Inventory 1.37: 2 slices, 3 classes, 1 claims, 1 nodes>"


def test_nothing_of_a_list_with_a_bad_item_is_taken() -> None:
    inventory = inventory_of()
    bad = slice_of("bad", [{"name": "Bad!"}])
    with pytest.raises(tk.ObjectError, match=r"^items\[1\]\.spec\.devices\[0\]\.name"):
        inventory.update(
            {"apiVersion": "v1", "kind": "List", "items": [*node_of()[:1], bad]}
        )
    assert not inventory.nodes


def test_a_selector_that_is_none_is_refused_with_its_whole_path() -> None:
    inventory = inventory_of(*node_of())
    bad = claim_of("a", request_of("g", selectors=[{"cel": {"expression": "1 +"}}]))
    path = r"spec\.devices\.requests\[0\]\.exactly\.selectors\[0\]\.cel\.expression: "
    with pytest.raises(tk.SelectorError, match=rf"^claims\[1\]\.{path}"):
        inventory.check([PAIR, bad], node="n1")
    with pytest.raises(tk.SelectorError, match=rf"^items\[0\]\.{path}"):
        inventory.update({"apiVersion": "v1", "kind": "List", "items": [bad]})


def test_slices_come_and_go() -> None:
    inventory = inventory_of(*node_of())
    assert inventory.remove(slice_of("nics", []))
    assert not inventory.remove(slice_of("nics", []))
    assert not inventory.check([PAIR], node="n1")
    inventory.update(node_of()[1])
    assert inventory.check([PAIR], node="n1")
    assert inventory.remove(class_of("nic"))
    with pytest.raises(
        tk.ObjectError,
        match=r"^claims\[0\]\.spec\.devices\.requests\[1\]\.exactly\.deviceClassName: "
        r"'nic', want a DeviceClass that is here$",
    ):
        inventory.check([PAIR], node="n1")


def test_nodes_have_labels_for_slices_that_ask_for_them() -> None:
    selector = {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [
                    {"key": "zone", "operator": "In", "values": ["a", "b"]}
                ]
            }
        ]
    }
    spec = slice_of("net", gpus(1), node=None)
    del spec["spec"]["allNodes"]
    spec["spec"]["nodeSelector"] = selector
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n7", "labels": {"zone": "b"}},
    }
    inventory = inventory_of(spec, node)
    claim = claim_of("a", request_of("g"))
    assert not inventory.check([claim], node="n8")
    (allocated,) = inventory.allocate([claim], node="n7")
    assert allocated["status"]["allocation"]["nodeSelector"] == selector
    validate(allocated)
    assert inventory.nodes == ("n7",)
    assert inventory.remove(node)
    assert not inventory.nodes


def test_devices_for_all_nodes_need_no_node_selector() -> None:
    inventory = inventory_of(slice_of("net", gpus(1), node=None))
    (claim,) = inventory.allocate([claim_of("a", request_of("g"))], node="n9")
    assert "nodeSelector" not in claim["status"]["allocation"]


def test_shares_say_what_they_consume() -> None:
    policy = {"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}
    device = {
        "name": "gpu-0",
        "allowMultipleAllocations": True,
        "capacity": {
            "memory": {"value": "8Gi", "requestPolicy": policy},
            "net.example.com/gbps": {"value": "100"},
        },
    }
    inventory = inventory_of(slice_of("gpus", [device]))
    request = request_of(
        "g", capacity={"requests": {"memory": "1500Mi", "net.example.com/gbps": "40"}}
    )
    ids = iter([UID])
    (first,) = inventory.allocate(
        [claim_of("a", request)], node="n1", share_id=lambda: next(ids)
    )
    assert results_of(first) == [
        {
            "request": "g",
            "driver": "gpu.example.com",
            "pool": "n1",
            "device": "gpu-0",
            "shareID": UID,
            "consumedCapacity": {"memory": "2Gi", "net.example.com/gbps": "40"},
        }
    ]
    validate(first)
    (second,) = inventory.allocate([claim_of("b", request)], node="n1")
    assert results_of(second)[0]["shareID"] != UID
    # Of 100 GB/s 20 are left.
    assert not inventory.check([claim_of("c", request)], node="n1")


def test_partitions_draw_on_counters() -> None:
    def partition(name: str, slices: str) -> dict[str, Any]:
        counters = {"counterSet": "gpu-0", "counters": {"slices": {"value": slices}}}
        return {"name": name, "consumesCounters": [counters]}

    whole = [
        partition("whole", "7"),
        partition("half-0", "3"),
        partition("half-1", "3"),
    ]
    counters = slice_of("counters", [])
    del counters["spec"]["devices"]
    counters["spec"]["sharedCounters"] = [
        {"name": "gpu-0", "counters": {"slices": {"value": "7"}}}
    ]
    objects = [slice_of("gpus", whole), counters]
    for item in objects:
        item["spec"]["pool"]["resourceSliceCount"] = 2
    inventory = inventory_of(*objects)
    two = [claim_of("a", request_of("g")), claim_of("b", request_of("g"))]
    allocated = inventory.allocate(two, node="n1")
    assert [names_of(claim) for claim in allocated] == [["half-0"], ["half-1"]]
    assert not inventory.check([claim_of("c", request_of("g"))], node="n1")


def test_the_first_entry_that_can_be_had_is_named() -> None:
    request = {
        "name": "g",
        "firstAvailable": [
            {"name": "five", "deviceClassName": "gpu", "count": 5},
            {
                "name": "two",
                "deviceClassName": "gpu",
                "count": 2,
                "tolerations": [{"key": "a.io/b", "operator": "Exists"}],
            },
        ],
    }
    inventory = inventory_of(*node_of())
    (claim,) = inventory.allocate([claim_of("a", request)], node="n1")
    assert [result["request"] for result in results_of(claim)] == ["g/two", "g/two"]
    assert results_of(claim)[0]["tolerations"] == [
        {"key": "a.io/b", "operator": "Exists"}
    ]
    validate(claim)


def test_admin_access_takes_nothing() -> None:
    inventory = inventory_of(*node_of(1))
    admin = claim_of("admin", request_of("g", allocationMode="All", adminAccess=True))
    (claim,) = inventory.allocate([admin], node="n1")
    assert results_of(claim)[0]["adminAccess"] is True
    validate(claim)
    assert inventory.check([claim_of("b", request_of("g"))], node="n1")


def opaque(driver: str) -> dict[str, Any]:
    return {"opaque": {"driver": driver, "parameters": {"mtu": 9000}}}


def test_configuration_comes_from_classes_and_from_the_claim() -> None:
    inventory = inventory_of(*node_of())
    inventory.update(class_of("gpu", config=[opaque("gpu.example.com")]))
    claim = claim_of(
        "a",
        request_of("g", selectors=[{"cel": {"expression": "true"}}]),
        request_of("h"),
        request_of("n", "nic"),
        config=[opaque("a.io"), {"requests": ["n"], **opaque("nic.example.com")}],
    )
    (allocated,) = inventory.allocate([claim], node="n1")
    assert allocated["status"]["allocation"]["devices"]["config"] == [
        {"source": "FromClass", "requests": ["g", "h"], **opaque("gpu.example.com")},
        {"source": "FromClaim", **opaque("a.io")},
        {"source": "FromClaim", "requests": ["n"], **opaque("nic.example.com")},
    ]
    validate(allocated)


def rule_of(name: str, selector: dict[str, str] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"taint": {"key": "a.io/bad", "effect": "NoExecute"}}
    if selector is not None:
        spec["deviceSelector"] = selector
    return {
        "apiVersion": "resource.k8s.io/v1beta2",
        "kind": "DeviceTaintRule",
        "metadata": {"name": name},
        "spec": spec,
    }


def test_taint_rules_taint_what_they_select() -> None:
    inventory = inventory_of(*node_of(2))
    claim = claim_of("a", request_of("g"))
    rule = rule_of("r", {"driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"})
    inventory.update(rule)
    (found,) = inventory.check([claim], node="n1").allocations
    assert [result["device"] for result in found["devices"]["results"]] == ["gpu-1"]
    inventory.update(rule_of("s", {}))
    assert not inventory.check([claim], node="n1")
    # A slice that comes later is tainted, too.
    inventory.update(node_of(2)[0])
    assert not inventory.check([claim], node="n1")
    inventory.update(rule_of("s", None))
    assert inventory.check([claim], node="n1")
    assert inventory.remove(rule)
    assert not inventory.remove(rule)
    (found,) = inventory.check([claim], node="n1").allocations
    assert [result["device"] for result in found["devices"]["results"]] == ["gpu-0"]


def test_bindings_are_handed_on() -> None:
    device = {"bindingConditions": ["a.io/ready"], "bindsToNode": True}
    failure = {"bindingFailureConditions": ["a.io/failed"]}
    inventory = inventory_of(slice_of("net", gpus(1, **device, **failure), node=None))
    (claim,) = inventory.allocate([claim_of("a", request_of("g"))], node="n4")
    assert results_of(claim)[0]["bindingConditions"] == ["a.io/ready"]
    assert results_of(claim)[0]["bindingFailureConditions"] == ["a.io/failed"]
    terms = claim["status"]["allocation"]["nodeSelector"]["nodeSelectorTerms"]
    assert terms[0]["matchFields"][0]["values"] == ["n4"]
    validate(claim)


def test_a_selector_that_fails_is_named() -> None:
    failing = "device.attributes['gpu.example.com'].nothing == 1"
    claim = claim_of(
        "a",
        request_of(
            "g",
            selectors=[
                {"cel": {"expression": "true"}},
                {"cel": {"expression": failing}},
            ],
        ),
    )
    inventory = inventory_of(*node_of(1))
    for choose in ("optimal", "first_fit"):
        with pytest.raises(tk.SelectorRuntimeError) as error:
            inventory.check([claim], node="n1", choose=choose)
        message = str(error.value)
        where = "claims[0].spec.devices.requests[0].exactly.selectors[1]: "
        assert message.startswith(where)
        assert message.endswith(", on device gpu.example.com/n1/gpu-0")
    inventory.update(class_of("gpu", failing))
    with pytest.raises(
        tk.SelectorRuntimeError, match=r"^DeviceClass gpu: spec\.selectors\[0\]: "
    ):
        inventory.check([claim_of("a", request_of("g"))], node="n1")


def test_pools_that_are_broken_are_named() -> None:
    broken = slice_of("gpus", gpus(1))
    broken["spec"]["pool"]["resourceSliceCount"] = 2
    inventory = inventory_of(broken)
    every = claim_of("a", request_of("g", allocationMode="All"))
    with pytest.raises(
        tk.ObjectError,
        match=r"^claims\[0\]\.spec\.devices\.requests\[0\]\.exactly\.allocationMode: "
        r"All, and pool gpu\.example\.com/n1 is incomplete, want it complete$",
    ):
        inventory.check([every], node="n1")
    other = slice_of("more", gpus(1))
    other["spec"]["pool"]["resourceSliceCount"] = 2
    inventory.update(other)
    with pytest.raises(
        tk.ObjectError,
        match=r"^pool gpu\.example\.com/n1: device gpu-0 is there twice, want a valid",
    ):
        inventory.check([claim_of("a", request_of("g"))], node="n1")


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (
            claim_of("a", request_of("g", count=20), request_of("h", count=13)),
            (
                r"claims\[0\]\.spec\.devices\.requests: more than 32 devices for "
                "ml/a, want at most 32"
            ),
        ),
        (
            claim_of(
                "a",
                request_of(
                    "g",
                    capacity={"requests": {"memory": 1, "gpu.example.com/memory": 1}},
                ),
            ),
            (
                r"claims\[0\]\.spec\.devices\.requests\[0\]\.exactly\.capacity"
                r"\.requests: one is given with and without its domain, want it once"
            ),
        ),
        (class_of("gpu"), r"claims\[0\]\.kind: want a ResourceClaim"),
        ("ml/nobody", r"claims\[0\]: 'ml/nobody', want namespace/name of a claim"),
        ({"apiVersion": "v1", "kind": "Pod"}, r"claims\[0\]\.kind: 'Pod', want one of"),
        (7, r"claims\[0\]: 7, want an object"),
    ],
)
def test_bad_claims_are_refused_by_path(claim: Any, message: str) -> None:
    inventory = inventory_of(*node_of())
    with pytest.raises(tk.ObjectError, match=f"^{message}"):
        inventory.check([claim], node="n1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"claims": "ml/pair"}, "claims: 'ml/pair', want a sequence of claims"),
        ({"claims": PAIR}, "claims: 'dict', want a sequence of claims"),
        ({"node": None}, "node: 'NoneType', want the name of a node"),
        ({"choose": "worst"}, "choose: 'worst', want one of optimal, first_fit"),
        ({"max_steps": -1}, "max_steps: -1, want an int of 0 to 2"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    arguments: dict[str, Any], message: str
) -> None:
    inventory = inventory_of(*node_of(), PAIR)
    call = {"claims": ["ml/pair"], "node": "n1"} | arguments
    with pytest.raises(ta.InvalidRequestError, match=message.replace("^", r"\^")):
        inventory.check(call.pop("claims"), **call)


def test_a_claim_is_asked_about_once_and_before_it_is_allocated() -> None:
    inventory = inventory_of(*node_of())
    with pytest.raises(tk.ObjectError, match=r"^claims\[1\]: ml/pair is given twice"):
        inventory.check([PAIR, PAIR], node="n1")
    (allocated,) = inventory.allocate([PAIR], node="n1")
    for claim in (PAIR, allocated, "ml/pair"):
        with pytest.raises(ta.StateError, match=r"^claims\[0\]: ml/pair is allocated"):
            inventory.check([claim], node="n1")


def test_the_step_limit_leaves_it_open() -> None:
    inventory = inventory_of(*node_of())
    verdict = inventory.check([PAIR], node="n1", max_steps=0)
    assert verdict.status == ta.Status.UNKNOWN
    assert verdict.allocations == ()
    with pytest.raises(ta.UndecidedError, match="not decided after"):
        bool(verdict)
    with pytest.raises(ta.UndecidedError):
        inventory.allocate([PAIR], node="n1", max_steps=0)
    assert inventory.check([PAIR], node="n1")


@pytest.mark.parametrize("semantics", VERSIONS[:2])
def test_what_a_version_lacks_fails_closed(semantics: str) -> None:
    distinct = claim_of(
        "a", request_of("g", count=2), constraints=[{"distinctAttribute": ROOT}]
    )
    capacity = claim_of("b", request_of("g", capacity={"requests": {"memory": "1Gi"}}))
    old = inventory_of(*node_of(), semantics=semantics)
    assert old.features == ()
    for claim, path in (
        (distinct, r"constraints\[0\]\.distinctAttribute"),
        (capacity, r"requests\[0\]\.exactly\.capacity"),
    ):
        with pytest.raises(
            tk.ObjectError, match=rf"^claims\[0\]\.spec\.devices\.{path}"
        ):
            old.check([claim], node="n1")
    new = inventory_of(
        *node_of(), semantics=semantics, features=["consumable_capacity"]
    )
    assert new.features == ("consumable_capacity",)
    assert new.check([distinct], node="n1")
    assert new.check([capacity], node="n1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"semantics": "1.20"}, "semantics: '1.20', want one of 1.34"),
        (
            {"features": ["lasts"]},
            "features: 'lasts' is no option of 1.37, want some of",
        ),
        (
            {"semantics": "1.34", "features": ["lists"]},
            "features: 'lists' is no option of 1.34, want some of taints",
        ),
    ],
)
def test_versions_and_features_are_known(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ta.InvalidRequestError, match=f"^{message}"):
        tk.Inventory(**arguments)


def test_many_nodes_are_asked_each_by_itself() -> None:
    inventory = inventory_of()
    for number in range(4):
        devices = gpus(number % 3)
        inventory.update(slice_of(f"s{number}", devices, node=f"n{number}"))
    twice = gpus(1) + gpus(1)
    del twice[1]["capacity"]
    broken = slice_of("b", [], node="n4")
    broken["spec"]["pool"]["resourceSliceCount"] = 2
    for number, device in enumerate(twice):
        own = copy.deepcopy(broken)
        own["metadata"]["name"] = f"b{number}"
        own["spec"]["devices"] = [device]
        inventory.update(own)
    claim = claim_of("a", request_of("g", count=2))
    found = inventory.check_nodes([claim])
    assert list(found) == ["n0", "n1", "n2", "n3", "n4"]
    assert [bool(found[f"n{n}"]) for n in range(4)] == [False, False, True, False]
    assert isinstance(found["n4"], tk.ObjectError)
    assert list(inventory.check_nodes([claim], nodes=["n2", "none"])) == ["n2", "none"]


def test_what_is_handed_in_or_out_is_not_shared() -> None:
    claim = copy.deepcopy(PAIR)
    inventory = inventory_of(*node_of(), claim)
    claim["spec"]["devices"]["requests"].clear()
    (allocated,) = inventory.allocate(["ml/pair"], node="n1")
    assert len(results_of(allocated)) == 2
    tolerant = claim_of(
        "t", request_of("g", count=2, tolerations=[{"operator": "Exists"}])
    )
    inventory.update(tolerant)
    for _ in range(2):
        (found,) = inventory.check(["ml/t"], node="n1").allocations
        for result in found["devices"]["results"]:
            assert result["tolerations"].pop() == {"operator": "Exists"}
    allocated["status"]["allocation"]["devices"]["results"].clear()
    with pytest.raises(ta.StateError):
        inventory.check(["ml/pair"], node="n1")


def test_versions_of_the_api_mean_the_same() -> None:
    old = copy.deepcopy(PAIR)
    old["apiVersion"] = "resource.k8s.io/v1beta1"
    old["spec"]["devices"]["requests"] = [
        {
            "name": "g",
            "deviceClassName": "gpu",
            "tolerations": [{"operator": "Exists"}],
        },
        {"name": "n", "deviceClassName": "nic"},
    ]
    (claim,) = inventory_of(*node_of()).allocate([old], node="n1")
    assert claim["apiVersion"] == "resource.k8s.io/v1beta1"
    assert names_of(claim) == ["gpu-0", "nic-0"]
    assert results_of(claim)[0]["tolerations"] == [{"operator": "Exists"}]


def test_threads_never_get_one_device_twice() -> None:
    inventory = inventory_of(slice_of("gpus", gpus(40)))
    taken: list[str] = []
    lock = threading.Lock()

    def run(worker: int) -> None:
        for number in range(10):
            claim = claim_of(f"c{worker}-{number}", request_of("g"))
            (allocated,) = inventory.allocate([claim], node="n1", choose="first_fit")
            with lock:
                taken.extend(names_of(allocated))

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"gpu-{number}" for number in range(40))


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0"),
        (1, "1n"),
        (1500, "1500n"),
        (2_000, "2u"),
        (3_000_000, "3m"),
        (10**9, "1"),
        (1000 * 10**9, "1k"),
        (1024 * 10**9, "1Ki"),
        (3 * 2**40 * 10**9, "3Ti"),
        (2**62 * 10**9, "4Ei"),
        (1_500_000 * 10**9, "1500k"),
        (1536 * 2**20 * 10**9, "1536Mi"),
    ],
)
def test_amounts_are_written_with_the_largest_suffix(nanos: int, text: str) -> None:
    assert quantity_text(nanos) == text


def test_many_selectors_are_forgotten_and_asked_again() -> None:
    inventory = inventory_of(*node_of(1))
    inventory._maker._next_number = 10_000
    kept = claim_of("kept", request_of("g"))
    inventory.update(kept)
    question = inventory._question(["ml/kept"])
    for number in range(4_200):
        inventory._maker._numbers[f"no selector {number}"] = number
    assert inventory.check([claim_of("b", request_of("n", "nic"))], node="n1")
    assert len(inventory._maker._numbers) < 10
    assert inventory._ask(question, "n1", "optimal", 1000).status == ta.Status.OPTIMAL


def test_a_no_is_explained_against_the_state_that_was_asked() -> None:
    inventory = inventory_of(*node_of(2))
    inventory.allocate([claim_of("other", request_of("g"))], node="n1")
    wanted = claim_of(
        "w",
        request_of("g", count=2),
        request_of("nic", "nic"),
        constraints=[{"requests": ["g", "nic"], "matchAttribute": ROOT}],
    )
    verdict = inventory.check([wanted], node="n1")
    assert inventory.remove(claim_of("other"))
    why = verdict.explanation
    assert why is verdict.explanation
    assert [(item.path, item.text) for item in why.conflict] == [
        (
            "claims[0].spec.devices.constraints[0]",
            f"ml/w: g and nic share one {ROOT}",
        ),
        ("claims[0].spec.devices.requests[0]", "ml/w: g, 2 devices of class gpu"),
    ]
    assert [str(counts) for counts in why.counts] == [
        "ml/w: g wants 2: 4 devices, 2 match, 1 free",
        "ml/w: nic wants 1: 4 devices, 2 match",
    ]
    assert [(change.change, change.text) for change in why.relaxations] == [
        ("count=1", "ml/w: fits with 1 device for g instead of 2"),
        ("drop", "fits without ml/w: g, 2 devices of class gpu"),
    ]
    assert why.complete
    assert json.loads(json.dumps(why.to_dict()))["counts"][0]["free"] == 1
    assert str(why).splitlines()[:2] == [
        "These cannot hold together, any one less can:",
        f"- ml/w: g and nic share one {ROOT}",
    ]
    short = verdict.explain(max_steps=0)
    assert str(short).endswith("want a larger max_steps.") != short.complete
    with pytest.raises(ta.InvalidRequestError, match=r"^max_steps: -1"):
        verdict.explain(max_steps=-1)


def test_explanations_name_holders_and_taints() -> None:
    devices = gpus(2)
    devices[1]["taints"] = [{"key": "a.io/bad", "effect": "NoSchedule"}]
    inventory = inventory_of(slice_of("gpus", devices))
    inventory.allocate([claim_of("other", request_of("g"))], node="n1")
    request = {
        "name": "g",
        "firstAvailable": [{"name": "a", "deviceClassName": "gpu"}],
    }
    why = inventory.check([claim_of("w", request)], node="n1").explanation
    assert [item.text for item in why.conflict] == [
        "what ml/other holds",
        "taints of devices that are not tolerated",
        "ml/w: g, the first there is of a",
    ]
    assert [(change.change, change.text) for change in why.relaxations] == [
        ("release", "fits if ml/other is released"),
        ("tolerate", "fits if all taints are tolerated"),
        ("drop", "fits without ml/w: g, the first there is of a"),
    ]
    (counts,) = why.counts
    assert (counts.request, str(counts)) == (
        "g/a",
        "ml/w: g/a wants 1: 2 devices, 1 free, 0 without other taints",
    )
    every = claim_of(
        "e",
        request_of("g", allocationMode="All"),
        constraints=[{"distinctAttribute": NUMA}, {"distinctAttribute": "a.io/none"}],
    )
    why = inventory.check([every], node="n1").explanation
    assert [item.text for item in why.conflict] == [
        "ml/e: all requests differ in a.io/none",
        "ml/e: g, all devices of class gpu",
    ]


def test_a_claim_is_allocated_or_not() -> None:
    inventory = inventory_of(*node_of(), PAIR)
    assert not inventory.is_allocated("ml/pair")
    inventory.allocate(["ml/pair"], node="n1")
    assert inventory.is_allocated("ml/pair")
    with pytest.raises(tk.ObjectError, match="name: 'ml/none', want namespace/name"):
        inventory.is_allocated("ml/none")
