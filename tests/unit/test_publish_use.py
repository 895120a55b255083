# SPDX-License-Identifier: Apache-2.0
"""Claims get what they ask for of the slices that Machines are published as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cluster_objects import NUMA, ROOT, claim_of, class_of, request_of

import topoalloc as ta
from topoalloc import kubernetes as tk
from topoalloc._quantity import parse_quantity

KINDS = {f"{kind}.example.com": kind for kind in ("pu", "memory", "gpu", "nic", "nvme")}
H100 = ta.Machine.preset("dgx-h100")
CPU = "pu.example.com/cpu"


def publish(machine: ta.Machine, driver: str, **options: Any) -> list[dict[str, Any]]:
    return tk.resource_slices(
        machine, driver=driver, node_name="n1", kinds=[KINDS[driver]], **options
    )


def inventory_of(
    machine: ta.Machine, semantics: str = "1.37", features: Any = (), **options: Any
) -> tk.Inventory:
    inventory = tk.Inventory(semantics, features=features)
    classes = {"pu", "memory", *(d.device_class for d in machine.devices)}
    for driver, kind in KINDS.items():
        inventory.update(class_of(kind, f"device.driver == {json.dumps(driver)}"))
        if kind not in classes:
            continue
        for item in publish(
            machine, driver, kubernetes=semantics, features=features, **options
        ):
            inventory.update(item)
    return inventory


def selected(expression: str) -> dict[str, Any]:
    return {"selectors": [{"cel": {"expression": expression}}]}


def only(device: str) -> dict[str, Any]:
    """Select a device of dgx-h100, which selectors know by its address."""
    address = H100.device(device.replace("-", "")).pci_address
    standard = "device.attributes['resource.kubernetes.io']"
    return selected(f"{standard}.pciBusID == '{address}'")


def amount(name: str, value: str) -> dict[str, Any]:
    return {"capacity": {"requests": {name: value}}}


def allocated(
    inventory: tk.Inventory, claim: dict[str, Any], **options: Any
) -> dict[str, dict[str, Any]]:
    (found,) = inventory.allocate([claim], node="n1", **options)
    assert tk.validate([found], inventory) == []
    return {
        result["request"]: result
        for result in found["status"]["allocation"]["devices"]["results"]
    }


def consumed(result: dict[str, Any]) -> dict[str, int]:
    amounts: dict[str, str] = result["consumedCapacity"]
    return {name: parse_quantity(text) for name, text in amounts.items()}


@pytest.mark.parametrize("choose", ["optimal", "first_fit"])
def test_a_pod_gets_its_gpu_nic_memory_and_pus_of_one_numa_node(choose: str) -> None:
    inventory = inventory_of(H100)
    claim = claim_of(
        "worker",
        request_of("g", "gpu", **only("gpu-5")),
        request_of("n", "nic"),
        request_of("c", "pu", **amount(CPU, "11500m")),
        request_of("m", "memory", **amount("size", "10000000001")),
        constraints=[
            {"matchAttribute": NUMA},
            {"matchAttribute": ROOT, "requests": ["g", "n"]},
        ],
    )
    found = allocated(inventory, claim, choose=choose)
    assert {name: result["device"] for name, result in found.items()} == {
        "g": "gpu-5",
        "n": "nic-9",
        "c": "cpudevnuma001",
        "m": "memory-numa001",
    }
    # Rounded up to whole PUs and pages.
    assert consumed(found["c"]) == {CPU: 12}
    assert consumed(found["m"]) == {"size": 2441407 * 4096}
    # A claim that says no amount takes all there is.
    assert consumed(found["n"]) == {"bandwidth": 400 * 10**9}


def test_pus_of_a_group_run_out() -> None:
    inventory = inventory_of(H100, reserved_pus="0-7,112-119")
    for number, count in enumerate(("96", "112")):
        claim = claim_of(f"c{number}", request_of("c", "pu", **amount(CPU, count)))
        assert allocated(inventory, claim)["c"]["device"] == f"cpudevnuma00{number}"
    more = claim_of("more", request_of("c", "pu", **amount(CPU, "1")))
    assert inventory.check([more], node="n1").status == ta.Status.INFEASIBLE
    assert inventory.remove({**more, "metadata": {"namespace": "ml", "name": "c1"}})
    assert allocated(inventory, more)["c"]["device"] == "cpudevnuma001"


@pytest.mark.parametrize("semantics", ["1.34", "1.35", "1.36", "1.37"])
def test_siblings_are_chosen_by_their_core(semantics: str) -> None:
    inventory = inventory_of(
        H100, semantics, ["consumable_capacity"], group_by="individual"
    )
    claim = claim_of(
        "two",
        request_of("c", "pu", count=2),
        constraints=[{"matchAttribute": "topoalloc.dev/core"}],
    )
    (found,) = inventory.allocate([claim], node="n1", choose="first_fit")
    results = found["status"]["allocation"]["devices"]["results"]
    assert [result["device"] for result in results] == ["cpudev000", "cpudev112"]
    inventory.remove(found)
    many = claim_of("many", request_of("c", "pu", count=32))
    assert inventory.check([many], node="n1", choose="first_fit")


def test_claims_share_the_bandwidth_of_a_nic() -> None:
    inventory = inventory_of(H100)
    for number, value in enumerate(("300G", "100G")):
        request = request_of("n", "nic", **only("nic-3"), **amount("bandwidth", value))
        found = allocated(inventory, claim_of(f"n{number}", request))["n"]
        assert found["device"] == "nic-3"
        assert "shareID" in found
    assert consumed(found) == {"bandwidth": 100 * 10**9}
    last = request_of("n", "nic", **only("nic-3"), **amount("bandwidth", "1G"))
    assert not inventory.check([claim_of("n2", last)], node="n1")


@pytest.mark.parametrize("semantics", ["1.35", "1.36", "1.37"])
def test_partitions_that_do_not_fit_together_are_not_given_together(
    semantics: str,
) -> None:
    machine = ta.Machine.preset("dgx-h100-mig")
    inventory = inventory_of(machine, semantics, ["consumable_capacity", "counters"])

    def of(name: str, profile: str) -> dict[str, Any]:
        expression = (
            "device.attributes[device.driver].type == 'mig' && "
            "device.attributes[device.driver].parent == 'gpu-0' && "
            f"device.attributes[device.driver].profile == '{profile}'"
        )
        return claim_of(name, request_of("p", "gpu", **selected(expression)))

    def whole(name: str) -> dict[str, Any]:
        expression = (
            "device.attributes[device.driver].type == 'gpu' && "
            "device.attributes['resource.kubernetes.io'].pciBusID == '0000:1b:00.0'"
        )
        return claim_of(name, request_of("p", "gpu", **selected(expression)))

    allocated(inventory, of("a", "4g.40gb"))
    assert not inventory.check([of("b", "4g.40gb")], node="n1")
    assert not inventory.check([whole("b")], node="n1")
    allocated(inventory, of("b", "3g.40gb"))
    assert not inventory.check([of("c", "1g.10gb")], node="n1")
    for name in ("a", "b"):
        inventory.remove(of(name, "x"))
    allocated(inventory, whole("d"))
    assert not inventory.check([of("e", "1g.10gb")], node="n1")


def test_lists_align_what_is_near() -> None:
    """NUMANodes of NPS4 that have no GPU are near those that have one (KEP-6072)."""
    machine = ta.Machine.preset("dgx-a100")
    claim = claim_of(
        "near",
        request_of("g", "gpu"),
        request_of("c", "pu", **amount(CPU, "8")),
        constraints=[{"matchAttribute": NUMA}],
    )
    # Only NUMANode 0 is left, which has NICs for storage and no GPU.
    others = ",".join(locality.cpuset for locality in machine.localities[1:])
    plain = inventory_of(machine, reserved_pus=others)
    assert not plain.check([claim], node="n1")
    lists = inventory_of(machine, features=["lists"], reserved_pus=others)
    found = allocated(lists, claim)
    assert found["c"]["device"] == "cpudevnuma000"
    assert found["g"]["device"] in {"gpu-0", "gpu-1", "gpu-2", "gpu-3"}


@pytest.mark.parametrize("preset", ta.Machine.presets())
def test_every_preset_has_pus_and_memory_of_one_numa_node(preset: str) -> None:
    machine = ta.Machine.preset(preset)
    inventory = inventory_of(machine)
    kinds = {"pu": amount(CPU, "2"), "memory": amount("size", "1Gi")}
    requests = [request_of(kind, kind, **asked) for kind, asked in kinds.items()]
    claim = claim_of("all", *requests, constraints=[{"matchAttribute": NUMA}])
    found = allocated(inventory, claim)
    node = int(found["memory"]["device"].removeprefix("memory-numa"))
    assert found["pu"]["device"] == f"cpudevnuma{node:03}"
    classes = {device.device_class for device in machine.devices}
    requests += [request_of(kind, kind) for kind in sorted(classes)]
    verdict = inventory.check([claim_of("any", *requests)], node="n1")
    assert verdict.status == ta.Status.OPTIMAL
