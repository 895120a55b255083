# SPDX-License-Identifier: Apache-2.0
"""resource_slices: what a Machine is, as Kubernetes reads it."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
from tests.cluster_objects import NUMA, ROOT, claim_of, class_of, request_of

import topoalloc as ta
from topoalloc import kubernetes as tk

VERSIONS = ("1.34", "1.35", "1.36", "1.37")
DGX = ta.Machine.preset("dgx-h100")
MIG = ta.Machine.preset("dgx-h100-mig")


def published(
    machine: ta.Machine, *kinds: str, driver: str = "x.example.com", **options: Any
) -> list[dict[str, Any]]:
    return tk.resource_slices(
        machine, driver=driver, node_name="n1", kinds=kinds or ("pu",), **options
    )


def devices_of(slices: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        device["name"]: device
        for item in slices
        for device in item["spec"].get("devices", ())
    }


def inventory_of(*slices: dict[str, Any], **options: Any) -> tk.Inventory:
    inventory = tk.Inventory(**options)
    inventory.update(class_of("any"))
    for item in slices:
        inventory.update(item)
    return inventory


@pytest.mark.parametrize("preset", ta.Machine.presets())
def test_every_preset_is_published_within_the_limits(preset: str) -> None:
    machine = ta.Machine.preset(preset)
    kinds = ("pu", "memory", *sorted({each.device_class for each in machine.devices}))
    for group_by in ("individual", "numanode", "socket", "machine"):
        for features in ((), ("lists",)):
            slices = published(machine, *kinds, group_by=group_by, features=features)
            # The inventory holds every object to the rules and the limits of the API.
            inventory = inventory_of(*slices, features=features)
            names = [item["metadata"]["name"] for item in slices]
            assert names == sorted(names)
            devices = devices_of(slices)
            assert len(devices) == sum(
                len(item["spec"].get("devices", ())) for item in slices
            )
            claim = claim_of("one", request_of("d", "any"))
            assert inventory.check([claim], node="n1")
            count = sum(name.startswith("cpudev") for name in devices)
            wanted = {
                "individual": len(machine.pus),
                "numanode": len(machine.localities),
                "socket": len(machine.packages),
                "machine": 1,
            }
            assert count == wanted[group_by]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["pu", "memory", "gpu", "nic"])
def test_slices_are_valid_where_they_go(version: str, kind: str) -> None:
    options = ("consumable_capacity", "counters") if version < "1.36" else ()
    lists = () if version in {"1.34", "1.35"} else ("lists",)
    for machine in (MIG, DGX):
        slices = published(machine, kind, kubernetes=version, features=options + lists)
        for item in (slices[0], slices[-1]):
            kubernetes_validate.validate(item, version, strict=True)


def test_pus_of_numa_nodes_are_an_amount() -> None:
    (item,) = published(DGX, driver="dra.cpu", reserved_pus="0-1,112-113")
    assert item["spec"]["devices"][0] == {
        "name": "cpudevnuma000",
        "attributes": {
            "numCPUs": {"int": 108},
            "smtEnabled": {"bool": True},
            NUMA: {"int": 0},
            "socketID": {"int": 0},
            "topoalloc.dev/package": {"int": 0},
            "topoalloc.dev/l3": {"int": 0},
        },
        "allowMultipleAllocations": True,
        "capacity": {
            "dra.cpu/cpu": {
                "value": "108",
                "requestPolicy": {
                    "default": "1",
                    "validRange": {"min": "1", "step": "1"},
                },
            }
        },
    }
    inventory = inventory_of(item)
    capacity = {"requests": {"dra.cpu/cpu": "12"}}
    claim = claim_of("c", request_of("p", "any", capacity=capacity))
    (found,) = inventory.allocate([claim], node="n1")
    (result,) = found["status"]["allocation"]["devices"]["results"]
    assert result["consumedCapacity"] == {"dra.cpu/cpu": "12"}


def test_pus_one_by_one_have_their_siblings_beside_them() -> None:
    slices = published(DGX, group_by="individual", kubernetes="1.34")
    assert [len(item["spec"]["devices"]) for item in slices] == [128, 96]
    first, second, third = slices[0]["spec"]["devices"][:3]
    assert [first["name"], second["name"], third["name"]] == [
        "cpudev000",
        "cpudev112",
        "cpudev001",
    ]
    assert first["attributes"]["coreID"] == second["attributes"]["coreID"]
    assert first["attributes"]["topoalloc.dev/l3"] == {"int": 0}


def test_huge_pages_are_devices_of_their_own() -> None:
    nodes = [
        {"os_index": 0, "cpuset": "0-1", "memory": "8Gi", "hugepages": {"2Mi": "1Gi"}},
        {"os_index": 3, "cpuset": "2-3", "memory": "8Gi"},
        {"os_index": 9, "parent_cpuset": "2-3", "kind": "gpu", "memory": "80Gi"},
    ]
    machine = ta.Machine.from_dict(
        {
            "apiVersion": "topoalloc.dev/v1alpha1",
            "kind": "Machine",
            "packages": [{"cpuset": "0-3"}],
            "cores": [{"cpuset": f"{core}"} for core in range(4)],
            "numa_nodes": nodes,
        }
    )
    devices = devices_of(published(machine, "memory"))
    assert list(devices) == ["memory-numa000", "hugepages-2m-numa000", "memory-numa003"]
    huge = devices["hugepages-2m-numa000"]
    assert huge["attributes"]["pageSize"] == {"string": "2m"}
    assert huge["capacity"]["size"] == {
        "value": "1Gi",
        "requestPolicy": {
            "default": "2Mi",
            "validRange": {"min": "2Mi", "step": "2Mi"},
        },
    }


def test_parts_come_before_what_they_are_parts_of() -> None:
    slices = published(MIG, "gpu")
    assert [len(item["spec"].get("devices", ())) for item in slices] == [0, 64, 64, 24]
    names = list(devices_of(slices))
    assert names[0] == "gpu-0-mig-1g-10gb-0"
    assert names[-8:] == [f"gpu-{number}" for number in range(8)]
    inventory = inventory_of(*slices)
    assert str(inventory.check([claim_of("c", request_of("g", "any"))], node="n1"))
    whole = {"cel": {"expression": "device.attributes['x.example.com'].type == 'gpu'"}}
    part = {"cel": {"expression": "device.attributes['x.example.com'].type == 'mig'"}}
    every = claim_of("w", request_of("g", "any", count=8, selectors=[whole]))
    one = claim_of("p", request_of("g", "any", selectors=[part]))
    assert inventory.check([every], node="n1")
    assert not inventory.check([every, one], node="n1")
    # Without counters a part could be given beside the whole: it is not there.
    bare = published(MIG, "gpu", kubernetes="1.34")
    assert list(devices_of(bare)) == [f"gpu-{number}" for number in range(8)]
    assert "consumesCounters" not in devices_of(bare)["gpu-0"]


def test_devices_say_where_they_are() -> None:
    switched = ta.Machine.preset("hgx-h100-2gpu2nic")
    gpu = devices_of(published(switched, "gpu"))["gpu-0"]
    assert gpu["attributes"] == {
        "type": {"string": "gpu"},
        "productName": {"string": "H100-SXM5-80GB"},
        "vendor": {"string": "NVIDIA"},
        NUMA: {"int": 0},
        "resource.kubernetes.io/pciBusID": {"string": "0000:13:00.0"},
        ROOT: {"string": "pci0000:10"},
        "topoalloc.dev/switch": {"int": 0},
        "topoalloc.dev/package": {"int": 0},
    }
    nic = devices_of(published(switched, "nic"))["nic-0"]
    assert nic["capacity"] == {"bandwidth": {"value": "400G"}}
    assert nic["allowMultipleAllocations"]
    assert nic["attributes"]["topoalloc.dev/switch"] == {"int": 0}
    pair = claim_of(
        "pair",
        request_of("g", "any", selectors=[_type_is("gpu")]),
        request_of("n", "any", selectors=[_type_is("nic")]),
        constraints=[{"matchAttribute": "topoalloc.dev/switch"}],
    )
    inventory = inventory_of(
        *published(switched, "gpu", driver="gpu.example.com"),
        *published(switched, "nic", driver="nic.example.com"),
    )
    assert inventory.check([pair], node="n1")


def _type_is(kind: str) -> dict[str, Any]:
    text = f"device.attributes[device.driver].type == '{kind}'"
    return {"cel": {"expression": text}}


def test_lists_name_the_numa_nodes_beside() -> None:
    snc = ta.Machine.preset("intel-snc4")
    one = devices_of(published(snc))["cpudevnuma000"]
    assert one["attributes"][NUMA] == {"int": 0}
    several = devices_of(published(snc, features=["lists"]))["cpudevnuma000"]
    assert several["attributes"][NUMA] == {"ints": [0, 1, 2, 3]}
    socket = devices_of(published(snc, group_by="socket"))["cpudevsocket000"]
    # Of several there is no one to name.
    assert NUMA not in socket["attributes"]
    machine = devices_of(published(snc, group_by="machine", features=["lists"]))
    assert machine["cpudevmachine"]["attributes"][NUMA] == {"ints": list(range(8))}


def test_the_generation_follows_what_changes() -> None:
    first = published(DGX, "gpu")
    assert {item["spec"]["pool"]["generation"] for item in first} == {1}
    # What the API server adds is no change.
    for item in first:
        item["metadata"] |= {"resourceVersion": "7", "uid": "x"}
    assert published(DGX, "gpu", previous=first) == first
    second = published(DGX, "gpu", "nic", previous=first)
    assert {item["spec"]["pool"]["generation"] for item in second} == {2}
    assert published(DGX, "gpu", "nic", previous=second) == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"driver": "no driver"}, r"driver: 'no driver', want a domain"),
        ({"node_name": "N1"}, r"node_name: 'N1', want"),
        ({"node_name": "n" * 250}, r"node_name: .*, want at most"),
        ({"kubernetes": "1.33"}, r"kubernetes: '1.33', want one of 1.34"),
        ({"group_by": "core"}, r"group_by: 'core', want one of individual"),
        ({"kinds": ["fpga"]}, r"kinds: .*, want some of gpu, memory, nic, pu"),
        ({"kinds": "pu"}, r"kinds: 'pu', want a list of words"),
        ({"kinds": []}, r"kinds: the machine has nothing"),
        (
            {"kubernetes": "1.34"},
            r"group_by: 'numanode', want 'individual': 1.34 has no",
        ),
        (
            {"kubernetes": "1.35", "kinds": ["memory"]},
            r"kinds: 'memory', want none: 1.35 has no consumable_capacity",
        ),
        ({"features": ["counters"]}, None),
        (
            {"kubernetes": "1.34", "features": ["lists"]},
            r"features: 'lists' is no option",
        ),
        ({"reserved_pus": 0.5}, r"reserved_pus: 0.5, want a list of PUs"),
    ],
)
def test_what_can_not_be_published_is_refused(
    options: dict[str, Any], message: str | None
) -> None:
    given = {"driver": "x.example.com", "node_name": "n1", **options}
    if message is None:
        assert tk.resource_slices(DGX, **given)
        return
    with pytest.raises(ta.InvalidRequestError, match=message):
        tk.resource_slices(DGX, **given)
