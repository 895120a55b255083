# SPDX-License-Identifier: Apache-2.0
"""Slices by version: every preset and grouping; machines of which little is known."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from tests.cluster_objects import NUMA, ROOT, claim_of, class_of, request_of

import topoalloc as ta
from topoalloc import kubernetes as tk
from topoalloc.kubernetes._objects_read import read_object

GROUPINGS = ("individual", "numanode", "socket", "machine")
SHARES = ("consumable_capacity",)
# Every version with the least that shares devices, and with all that it has.
CLUSTERS = (
    ("1.34", SHARES),
    ("1.34", (*SHARES, "counters")),
    ("1.35", (*SHARES, "counters")),
    ("1.36", ()),
    ("1.36", ("lists",)),
    ("1.37", ()),
    ("1.37", ("lists", "node_allocatable")),
)

# Two Packages of two NUMANodes each; memory of several kinds and sizes of pages.
RICH: dict[str, Any] = {
    "apiVersion": "topoalloc.dev/v1alpha1",
    "kind": "Machine",
    "packages": [{"os_index": 0, "cpuset": "0-3"}, {"os_index": 1, "cpuset": "4-7"}],
    "cores": [
        {"os_index": 10, "cpuset": "0,2"},
        {"os_index": 11, "cpuset": "1,3"},
        {"os_index": 10, "cpuset": "4-5"},
        {"os_index": 11, "cpuset": "6-7"},
    ],
    "l3s": [{"os_index": 5, "cpuset": "0-3"}],
    "numa_nodes": [
        {
            "os_index": 0,
            "cpuset": "0,2",
            "memory": 2**30 + 5000,
            "hugepages": {"2Mi": "6Mi", "1Gi": "1Gi"},
        },
        {"os_index": 1, "cpuset": "1,3", "memory": "1Gi"},
        {"os_index": 2, "cpuset": "4-5", "memory": "1Gi"},
        {"os_index": 3, "cpuset": "6-7", "memory": 100},
        {"os_index": 8, "parent_cpuset": "0,2", "kind": "gpu", "memory": "80Gi"},
        {"os_index": 9, "parent_cpuset": "4-7", "kind": "cxl", "memory": "8Gi"},
    ],
    "allowed_pus": "0-6",
    "allowed_numa_nodes": [0, 2, 3, 8, 9],
    "distances": {
        "numa_nodes": [0, 1, 2, 3],
        "values": [
            [10, 12, 32, 32],
            [12, 10, 32, 32],
            [32, 32, 10, 12],
            [32, 32, 12, 10],
        ],
    },
    "bridges": [
        {"name": "pci0000:15", "host": True},
        {"name": "pci0000:80", "host": True},
        {"name": "elsewhere", "host": True},
    ],
    "devices": [
        {
            "class": "nic",
            "pci_address": "0000:16:00.0",
            "bridge": "pci0000:15",
            "numa_nodes": [1],
            "capacities": {"bandwidth": "25G"},
            "attributes": {
                "link_speed_mb_s": 8000,
                "max_link_speed_mb_s": 16000,
                "speeds": [10, 25],
                "none": [],
                "long": "x" * 65,
                "what-else": "\u00e9" * 32,
                "a" * 33: 1,
            },
            "uuid": "N-1",
        },
        {"class": "nic", "parent": "N-1"},
        {"class": "nic", "parent": "N-1"},
        {
            "class": "nic",
            "pci_address": "0000:81:00.0",
            "bridge": "pci0000:80",
            "numa_nodes": [2],
            "capacities": {"bandwidth": 2_500_000_000},
        },
        {
            "class": "nic",
            "pci_address": "0000:05:00.0",
            "bridge": "elsewhere",
            "capacities": {"bandwidth": 1},
        },
        {"class": "my_fpga", "pci_address": "0000:17:00.0", "bridge": "pci0000:15"},
    ],
}  # fmt: skip


def rich(**changes: Any) -> ta.Machine:
    return ta.Machine.from_dict({**RICH, **changes})


def publish(machine: ta.Machine, *kinds: str, **options: Any) -> list[dict[str, Any]]:
    return tk.resource_slices(
        machine, driver="x.example.com", node_name="n1", kinds=kinds, **options
    )


def devices_of(machine: ta.Machine, *kinds: str, **options: Any) -> dict[str, Any]:
    return {
        device["name"]: device
        for item in publish(machine, *kinds, **options)
        for device in item["spec"].get("devices", ())
    }


def value_of(device: dict[str, Any], attribute: str) -> object:
    found = device["attributes"].get(attribute)
    return None if found is None else next(iter(found.values()))


@pytest.mark.parametrize("preset", ta.Machine.presets())
def test_presets_are_within_all_limits(preset: str) -> None:
    """The reader refuses whatever breaks a rule or a limit of the API."""
    machine = ta.Machine.preset(preset)
    others = ("memory", *dict.fromkeys(d.device_class for d in machine.devices))
    for (version, features), (kinds, group_by) in itertools.product(
        CLUSTERS,
        [*((("pu",), each) for each in GROUPINGS), (others, "numanode")],
    ):
        slices = publish(
            machine, *kinds, group_by=group_by, kubernetes=version, features=features
        )
        names = [item["metadata"]["name"] for item in slices]
        assert names == sorted(set(names))
        for item in slices:
            read_object(item)
            assert item["spec"]["pool"]["resourceSliceCount"] == len(slices)
            assert version >= "1.36" or not lists_of(item)
            assert version >= "1.35" or "sharedCounters" not in item["spec"]


def lists_of(item: dict[str, Any]) -> list[str]:
    return [
        name
        for device in item["spec"].get("devices", ())
        for name, values in device["attributes"].items()
        if isinstance(next(iter(values.values())), list)
    ]


@pytest.mark.parametrize(("version", "features"), CLUSTERS)
@pytest.mark.parametrize("kind", [*GROUPINGS, "memory", "nic", "my_fpga", "gpu"])
def test_objects_meet_the_schema_of_their_version(
    version: str, features: tuple[str, ...], kind: str
) -> None:
    machine = ta.Machine.preset("dgx-h100-mig") if kind == "gpu" else rich()
    kinds, group_by = ("pu", kind) if kind in GROUPINGS else (kind, "numanode")
    slices = publish(
        machine, kinds, group_by=group_by, kubernetes=version, features=features
    )
    # Of many slices that are alike, the counter sets and the last.
    for item in {slices[0]["metadata"]["name"]: slices[0], "last": slices[-1]}.values():
        kubernetes_validate.validate(item, version, strict=True)


def test_partitions_stay_out_where_there_are_no_counters() -> None:
    """Without counters a GPU and its partitions would be given away together."""
    machine = ta.Machine.preset("dgx-h100-mig")
    for version, features in (("1.34", ["counters"]), ("1.35", [])):
        found = devices_of(machine, "gpu", kubernetes=version, features=features)
        assert list(found) == [f"gpu-{number}" for number in range(8)]
        assert all("consumesCounters" not in device for device in found.values())
    found = devices_of(machine, "gpu", kubernetes="1.35", features=["counters"])
    assert len(found) == 8 * 19


def test_node_allocatable_resources_are_mapped_in_1_37() -> None:
    features = {"features": ["node_allocatable"]}

    def mapped(device: dict[str, Any]) -> object:
        return device["nodeAllocatableResources"]

    found = devices_of(rich(), "pu", group_by="individual", **features)
    assert mapped(found["cpudev000"]) == {"cpu": {"mapping": {"deviceMultiplier": "1"}}}
    found = devices_of(rich(), "pu", "memory", **features)
    cpu = {"capacityKey": "x.example.com/cpu", "capacityMultiplier": "1"}
    size = {"capacityKey": "size", "capacityMultiplier": "1"}
    assert mapped(found["cpudevnuma000"]) == {"cpu": {"mapping": cpu}}
    assert mapped(found["memory-numa000"]) == {"memory": {"mapping": size}}
    huge = mapped(found["hugepages-2m-numa000"])
    assert huge == {"hugepages-2Mi": {"mapping": size}}
    assert "nodeAllocatableResources" not in devices_of(rich(), "pu")["cpudevnuma000"]
    message = "features: 'node_allocatable' is no option of 1.36, want some of lists"
    with pytest.raises(ta.InvalidRequestError, match=message):
        publish(rich(), "pu", kubernetes="1.36", **features)


def test_memory_that_is_not_allowed_is_not_published() -> None:
    found = devices_of(rich(), "memory")
    assert {name: value_of(device, NUMA) for name, device in found.items()} == {
        "memory-numa000": 0,
        "hugepages-2m-numa000": 0,
        "hugepages-1g-numa000": 0,
        "memory-numa002": 2,
        "memory-numa009": 9,
    }


def test_lists_name_the_nearest_numa_nodes_of_the_package() -> None:
    """As KEP-6072 has it: its own, then those of the socket at the least distance."""
    machine = ta.Machine.preset("dgx-a100")
    features = {"features": ["lists"]}
    gpu = devices_of(machine, "gpu", **features)["gpu-4"]
    assert gpu["attributes"][NUMA] == {"ints": [7, 4, 5, 6]}
    assert gpu["attributes"][ROOT] == {"string": "pci0000:80"}
    assert value_of(devices_of(machine, "gpu")["gpu-4"], NUMA) == 7
    # Without distances nobody knows what is near.
    document = {key: value for key, value in RICH.items() if key != "distances"}
    alone = devices_of(ta.Machine.from_dict(document), "pu", **features)
    assert value_of(alone["cpudevnuma000"], NUMA) == 0
    # The memory of a GPU is no place of PUs; those that it is attached to are.
    own = rich(devices=[{"class": "gpu", "numa_nodes": [8]}])
    assert value_of(devices_of(own, "gpu", **features)["gpu-0"], NUMA) == [8, 0, 1]


def test_packages_are_named_for_all_kinds() -> None:
    package = "topoalloc.dev/package"
    found = devices_of(rich(), "pu", "memory", "nic", group_by="individual")
    assert {name: value_of(device, package) for name, device in found.items()} == {
        **{f"cpudev{pu:03}": pu // 4 for pu in (0, 2, 1, 3, 4, 5, 6)},
        "memory-numa000": 0,
        "hugepages-2m-numa000": 0,
        "hugepages-1g-numa000": 0,
        "memory-numa002": 1,
        "memory-numa009": 1,
        "nic-1": 0,
        "nic-2": 1,
        "nic-0": None,
    }
    machine = devices_of(rich(), "pu", group_by="machine", features=["lists"])
    assert value_of(machine["cpudevmachine"], package) == [0, 1]


def test_neighbours_are_published_as_neighbours() -> None:
    found = devices_of(ta.Machine.preset("dgx-a100"), "gpu", "nic")
    numa = [value_of(device, NUMA) for device in found.values()]
    assert numa == [1, 1, 3, 3, 5, 5, 7, 7, 0, 0, 1, 1, 3, 3, 4, 4, 5, 5, 7, 7]
    found = devices_of(ta.Machine.preset("aws-p5en"), "nic")
    switches = [value_of(device, "topoalloc.dev/switch") for device in found.values()]
    assert len(list(itertools.groupby(switches))) == len(set(switches)) == 4


def test_every_attribute_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    nic = {"class": "nic", "attributes": {"rdma": True, "sriov_vf": True, "role": "x"}}
    published: set[str] = set()
    for machine, kinds in (
        (ta.Machine.preset("dgx-h100-mig"), ["gpu", "nic"]),
        (rich(devices=[{**nic, "uuid": "u"}]), ["pu", "memory", "nic"]),
        (ta.Machine.preset("aws-p5en"), ["nic"]),
    ):
        for group_by in GROUPINGS:
            for device in devices_of(machine, *kinds, group_by=group_by).values():
                published |= device["attributes"].keys()
                published |= device.get("capacity", {}).keys()
    published -= {"memory"}  # a capacity that the Machine has
    assert {"topoalloc.dev/switch", "sriov_vf", "profile", "size"} <= published
    names = {name.replace("x.example.com", "DRIVER") for name in published}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


# --- machines of which little is known ---

BARE: dict[str, Any] = {
    "apiVersion": "topoalloc.dev/v1alpha1",
    "kind": "Machine",
    "cores": [{"cpuset": "0-1"}, {"cpuset": "2-3"}],
}


def test_what_is_not_known_is_not_said() -> None:
    bare = ta.Machine.from_dict(BARE)
    found = devices_of(bare, "pu", group_by="individual")
    assert len(found) == 4
    for device in found.values():
        assert not {"coreID", "socketID", NUMA} & device["attributes"].keys()
    whole = devices_of(bare, "pu", group_by="machine")["cpudevmachine"]
    assert whole["capacity"]["x.example.com/cpu"]["value"] == "4"
    with pytest.raises(ta.InvalidRequestError, match="kinds: the machine has nothing"):
        publish(bare, "pu")
    with pytest.raises(ta.InvalidRequestError, match="group_by: 'socket', want anoth"):
        publish(bare, "pu", group_by="socket")


def test_pus_in_no_numa_node_are_of_none() -> None:
    half = {"os_index": 0, "cpuset": "0-1", "memory": "1Gi"}
    machine = ta.Machine.from_dict({**BARE, "numa_nodes": [half]})
    numa = devices_of(machine, "pu")
    assert list(numa) == ["cpudevnuma000"]
    assert value_of(numa["cpudevnuma000"], "numCPUs") == 2
    whole = devices_of(machine, "pu", group_by="machine")["cpudevmachine"]
    assert value_of(whole, "numCPUs") == 4
    assert NUMA not in whole["attributes"]


def test_long_names_are_not_cut_to_those_of_others() -> None:
    machine = rich(devices=[{"class": "x", "uuid": "u" * 65}])
    assert "uuid" not in devices_of(machine, "x")["x-0"]["attributes"]
    (item,) = tk.resource_slices(
        rich(), driver="X.example.com", node_name="n1", kinds=["my_fpga"]
    )
    assert item["metadata"]["name"] == "n1-x.example.com-00000"
    assert item["spec"]["driver"] == "X.example.com"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (
            [{"class": "my_x"}, {"class": "my.x"}],
            "kinds: 2 devices would be 'my-x-0', want names of their own",
        ),
        (
            [
                {"class": "x", "uuid": "u", "counters": {"a_b": 1, "a-b": 3}},
                {"class": "x", "parent": "u", "draws": {"a_b": 1}},
            ],
            "machine: two counters are one label in a-b, a_b, want names of their own",
        ),
    ],
)
def test_names_that_become_one_are_refused(
    devices: list[dict[str, Any]], message: str
) -> None:
    machine = rich(devices=devices)
    with pytest.raises(ta.InvalidRequestError, match=message):
        publish(machine, *dict.fromkeys(device["class"] for device in devices))


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("features", None, "a list of words"),
        ("features", "lists", "a list of words"),
        ("features", [[]], "a list of words"),
        ("kinds", None, "a list of words"),
        ("kinds", [1], "a list of words"),
        ("previous", None, "a list of ResourceSlices"),
        ("previous", {"kind": "List"}, "a list of ResourceSlices"),
        ("driver", None, "text"),
        ("node_name", 1, "text"),
        ("kubernetes", [], "one of 1.34"),
        ("group_by", None, "one of individual"),
    ],
)
def test_an_argument_of_another_type_is_refused(
    name: str, value: Any, wants: str
) -> None:
    options: Any = {"driver": "x.example.com", "node_name": "n1", name: value}
    with pytest.raises(ta.InvalidRequestError, match=f"{name}: .*, want {wants}"):
        tk.resource_slices(rich(), **options)


def test_a_nic_and_a_part_of_it_are_not_given_together() -> None:
    nic = {"class": "nic", "uuid": "u", "capacities": {"bandwidth": "100G"}}
    part = {"class": "nic", "parent": "u", "draws": {"bandwidth": "10G"}}
    inventory = tk.Inventory()
    inventory.update(class_of("any"))
    for item in publish(rich(devices=[nic, part]), "nic"):
        inventory.update(item)

    def of(name: str, kind: str) -> dict[str, Any]:
        expression = f"device.attributes[device.driver].type == '{kind}'"
        selector = {"cel": {"expression": expression}}
        return claim_of(name, request_of("n", "any", selectors=[selector]))

    for first, second in (("nic", "vf"), ("vf", "nic")):
        (held,) = inventory.allocate([of("held", first)], node="n1")
        assert not inventory.check([of("more", second)], node="n1")
        inventory.remove(held)
