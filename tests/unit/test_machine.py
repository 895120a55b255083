# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from topoalloc import _core
from topoalloc._errors import FormatError, InvalidRequestError, TopologyError
from topoalloc._machine import FrozenMapping, Level, Machine

# Tests hand in what the types forbid.
Anything: TypeAlias = Any
Change: TypeAlias = Callable[[dict[str, Any]], object]

XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x3" complete_cpuset="0x3"
   allowed_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1">
    <object type="NUMANode" os_index="0" cpuset="0x3" complete_cpuset="0x3"
     nodeset="0x1" complete_nodeset="0x1" local_memory="1073741824"/>
    <object type="Core" os_index="0" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1"
     complete_nodeset="0x1">
      <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1"
       complete_nodeset="0x1"/>
      <object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1"
       complete_nodeset="0x1"/>
    </object>
  </object>
</topology>
"""


def spec(**fields: object) -> dict[str, Any]:
    """Return a document of one Package with two cores and one NUMANode."""
    return {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Machine",
        "packages": [{"os_index": 0, "cpuset": "0-3"}],
        "cores": [{"os_index": 0, "cpuset": "0,2"}, {"os_index": 1, "cpuset": "1,3"}],
        "numa_nodes": [{"os_index": 0, "cpuset": "0-3", "memory": "1Gi"}],
        **fields,
    }


def card(**fields: object) -> dict[str, Any]:
    return {
        "class": "nic",
        "name": "mlx5_0",
        "pci_address": "0000:3b:00.0",
        "uuid": "NIC-1",
        "aliases": ["eth0"],
        **fields,
    }


@pytest.fixture(scope="module")
def dgx() -> Machine:
    return Machine.preset("dgx-h100")


# --- levels ---


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (2, Level.BRIDGES),
        ("bridges", Level.BRIDGES),
        ("PXB", Level.BRIDGES),
        ("PIX", Level.SWITCH),
        ("PHB", Level.ROOT),
        ("NODE", Level.NUMA),
        ("SYS", Level.MACHINE),
        ("self", Level.SELF),
        ("package", Level.PACKAGE),
    ],
)
def test_level_reads_names_and_numbers(value: Anything, level: Level) -> None:
    assert Level(value) is level


def test_level_is_an_int_with_a_name() -> None:
    number: int = Level.BRIDGES
    assert number == 2
    assert str(Level.BRIDGES) == "bridges"
    assert f"{Level.SWITCH}" == "switch"
    assert Level.BRIDGES.nvidia_smi == "PXB"
    names: list[Anything] = [str(level) for level in Level]
    assert [Level(name) for name in names] == list(Level)
    assert Level.SWITCH < Level.MACHINE


@pytest.mark.parametrize("value", ["near", "\ud800", 7, -1, None])
def test_level_refuses_others(value: Anything) -> None:
    with pytest.raises(InvalidRequestError, match=r"^level: .*, want one of self"):
        Level(value)


# --- devices ---


@pytest.mark.parametrize("key", ["gpu0", "0000:1b:00.0", "1b:00.0"])
def test_device_is_found_by_any_key(dgx: Machine, key: Anything) -> None:
    assert dgx.device(key) is dgx.devices[0]
    assert dgx.device(dgx.device(key)).name == "gpu0"


def test_device_is_found_by_alias_and_uuid() -> None:
    machine = Machine.from_dict(spec(devices=[card()]))
    for key in ("nic0", "mlx5_0", "eth0", "NIC-1"):
        assert machine.device(key).name == "nic0"


@pytest.mark.parametrize(
    ("key", "want"),
    [
        ("gpu8", "'gpu8'"),
        ("\ud800", "'.ud800'"),
        ("", "''"),
        (0, "0"),
        (None, "None"),
        ("gpu0/0", "'gpu0/0'"),
    ],
)
def test_unknown_device_is_refused(dgx: Machine, key: Anything, want: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^device: {want}, want "):
        dgx.device(key)
    with pytest.raises(InvalidRequestError, match=f"^b: {want}, want "):
        dgx.distance("gpu0", key)
    with pytest.raises(InvalidRequestError, match=f"^a: {want}, want "):
        dgx.link(key, "gpu0")


def test_device_says_what_it_is(dgx: Machine) -> None:
    gpu = dgx.device("gpu0")
    assert (gpu.name, gpu.device_class, gpu.index) == ("gpu0", "gpu", 0)
    assert gpu.numa_nodes == (0,)
    assert gpu.localities == (0,)
    assert gpu.pci_address == "0000:1b:00.0"
    assert gpu.bridges[0] == "0000:1a:00.0"
    assert gpu.bridges[-1] == "pci0000:15"
    assert gpu.attributes["model"] == "H100-SXM5-80GB"
    assert gpu.capacities == {"memory": 80 * 2**30}
    assert gpu.counters == {"memory": 80 * 2**30}
    assert gpu.parent is None
    assert gpu.partition is None
    assert str(gpu) == "gpu0"


def test_distance_and_link_are_symmetric(dgx: Machine) -> None:
    assert dgx.distance("gpu0", "mlx5_0") is Level.BRIDGES
    assert dgx.distance("mlx5_0", "gpu0") is Level.BRIDGES
    assert dgx.distance("gpu0", "gpu0") is Level.SELF
    assert dgx.link("gpu0", "gpu7") == dgx.link("gpu7", "gpu0") == 450_000
    assert dgx.link("gpu0", "nic0") == 0


def test_link_is_the_smaller_of_both_directions() -> None:
    devices = [card(pci_address=f"0000:3{i}:00.0", uuid="", name="") for i in range(2)]
    for device in devices:
        del device["aliases"]
    links = [
        {"from": 0, "to": 1, "mb_s": 30, "both": False},
        {"from": 1, "to": 0, "mb_s": 20, "both": False},
    ]
    machine = Machine.from_dict(spec(devices=devices, links=links))
    assert machine.link("nic0", "nic1") == 20
    assert [link["both"] for link in machine.to_dict()["links"]] == [False, False]
    one_way = Machine.from_dict(spec(devices=devices, links=links[:1]))
    assert one_way.link("nic0", "nic1") == 0


# --- views ---


def test_views_speak_of_os_and_logical_indices(dgx: Machine) -> None:
    assert [package.cpuset for package in dgx.packages] == [
        "0-55,112-167",
        "56-111,168-223",
    ]
    assert dgx.cores[1].cpuset == "1,113"
    assert dgx.cores[1].pus == (2, 3)
    assert [dgx.pus[i].os_index for i in dgx.cores[1].pus] == [1, 113]
    assert dgx.l3s[1].kind == "L3"
    assert dgx.dies[0].os_index is None
    assert dgx.numa_nodes[0].memory == 2**40
    assert dgx.numa_nodes[0].hugepages == {}
    assert dgx.localities[1].numa_nodes == (1,)
    assert dgx.locality_distance(0, 1) == 21
    assert dgx.allowed_pus == "0-223"
    assert dgx.levels_are_ultrametric
    assert "DGX H100" in dgx.info["product"]


@pytest.mark.parametrize("pair", [(0, 2), (2, 0), (-1, 0)])
def test_locality_that_is_not_there_is_refused(
    dgx: Machine, pair: tuple[int, int]
) -> None:
    with pytest.raises(InvalidRequestError, match="want a locality, less than 2"):
        dgx.locality_distance(*pair)


def test_views_are_immutable_and_made_once(dgx: Machine) -> None:
    views: Anything = (dgx.packages, dgx.numa_nodes, dgx.localities, dgx.devices)
    for view in (*views, dgx.pus):
        with pytest.raises(dataclasses.FrozenInstanceError):
            view[0].logical_index = 9
        assert len({*view}) == len(view)
    assert dgx.devices is dgx.devices
    with pytest.raises(TypeError, match="does not support item assignment"):
        views[3][0].attributes["model"] = "x"


def test_views_are_equal_by_value_and_can_be_pickled(dgx: Machine) -> None:
    other = Machine.preset("dgx-h100")
    assert other.devices == dgx.devices
    assert hash(other.devices[3]) == hash(dgx.devices[3])
    assert pickle.loads(pickle.dumps(dgx.devices)) == dgx.devices
    assert pickle.loads(pickle.dumps(dgx.numa_nodes)) == dgx.numa_nodes


def test_frozen_mapping_is_equal_to_a_dict_of_its_items() -> None:
    mapping = FrozenMapping({"a": 1})
    assert mapping == {"a": 1}
    assert hash(mapping) == hash(FrozenMapping({"a": 1}))
    assert repr(mapping) == "{'a': 1}"
    assert dict(mapping) == {"a": 1}


def test_hugepages_are_apart_from_memory() -> None:
    nodes = [
        {
            "os_index": 0,
            "cpuset": "0-3",
            "memory": "1Gi",
            "hugepages": {"2Mi": "8Mi", "1Gi": 0},
        }
    ]
    machine = Machine.from_dict(spec(numa_nodes=nodes))
    assert machine.numa_nodes[0].memory == 2**30
    assert machine.numa_nodes[0].hugepages == {2**21: 2**23}
    assert machine.to_dict()["numa_nodes"][0]["hugepages"] == {"2Mi": "8Mi", "1Gi": 0}


def test_allowed_pus_stand_beside_all_pus() -> None:
    machine = Machine.from_dict(spec(allowed_pus="1,3"))
    assert machine.allowed_pus == "1,3"
    assert len(machine.pus) == 4


def test_allowed_numa_nodes_stand_beside_all_numa_nodes() -> None:
    document = Machine.from_synthetic("numa:2 core:2 pu:1").to_dict()
    whole = Machine.from_dict(document)
    assert whole.allowed_numa_nodes == (0, 1)
    assert "allowed_numa_nodes" not in whole.to_dict()
    for allowed, read in (([1], (1,)), (1, (1,)), ([], ())):
        machine = Machine.from_dict(document | {"allowed_numa_nodes": allowed})
        machine.check_consistency()
        assert machine.allowed_numa_nodes == read
        assert machine.to_dict()["allowed_numa_nodes"] == list(read)
        assert Machine.from_dict(machine.to_dict()) == machine != whole
        assert machine.digest != whole.digest
        # Memory alone is not to be used.
        assert machine.allowed_pus == whole.allowed_pus
        assert machine.localities == whole.localities
        assert machine.numa_nodes == whole.numa_nodes


def test_digest_does_not_tell_all_allowed_from_nothing_said() -> None:
    document = Machine.from_synthetic("numa:2 core:2 pu:1").to_dict()
    said = Machine.from_dict(document | {"allowed_numa_nodes": [0, 1]})
    assert said.digest == Machine.from_dict(document).digest


# --- the object itself ---


def test_repr_counts_what_is_in_it(dgx: Machine) -> None:
    assert repr(dgx) == (
        "<Machine dgx-h100: 2 packages, 2 NUMANodes, 112 cores, 224 PUs, 8 gpu, 12 nic>"
    )
    assert repr(Machine.from_dict(spec())) == (
        "<Machine without name: 1 package, 1 NUMANode, 2 cores, 4 PUs>"
    )


def test_equal_forms_are_equal_machines(dgx: Machine) -> None:
    other = Machine.preset("dgx-h100")
    assert other == dgx
    assert hash(other) == hash(dgx)
    assert dgx != Machine.preset("dgx-h200")
    assert dgx != "dgx-h100"
    assert len({other, dgx}) == 1


def test_pickle_and_copy(dgx: Machine) -> None:
    again = pickle.loads(pickle.dumps(dgx))
    assert type(again) is Machine
    assert again == dgx
    assert copy.copy(dgx) is dgx
    assert copy.deepcopy([dgx])[0] is dgx


def test_another_object_over_the_same_topology(dgx: Machine) -> None:
    shared = Machine(dgx)
    assert shared is not dgx
    assert shared == dgx
    assert isinstance(shared, _core.Machine)


def test_subclass_makes_its_own_kind() -> None:
    class Mine(Machine):
        pass

    mine = Mine.preset("gh200")
    assert type(mine) is Mine
    assert type(mine.with_overrides({})) is Mine
    assert mine == Machine.preset("gh200")


# --- digest ---


def test_digest_is_sha256_in_hex(dgx: Machine) -> None:
    assert len(dgx.digest) == 64
    assert int(dgx.digest, 16) > 0
    assert dgx.digest == Machine.preset("dgx-h100").digest


def anonymous(**fields: object) -> dict[str, Any]:
    device = card(attributes={"rdma": True, "speed": 100}, **fields)
    return spec(devices=[device])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(name="node-17"),
        lambda d: d.update(info={"HostName": "node-17", "DMIProductSerial": "1"}),
        lambda d: d["devices"][0].update(name="mlx5_7"),
        lambda d: d["devices"][0].update(uuid="NIC-2"),
        lambda d: d["devices"][0].update(aliases=["ens1", "ib0"]),
        lambda d: d["devices"][0]["attributes"].update(address="02:00:00:00:00:01"),
        lambda d: d["devices"][0]["attributes"].update({"dra.net/mac": "02:00"}),
        lambda d: d["devices"][0]["attributes"].update(serial="S1"),
        lambda d: d["devices"][0]["attributes"].update(node_guid="a1:b2"),
        lambda d: d["devices"][0]["attributes"].update(port_guids=["a1:b2"]),
        lambda d: d["devices"][0]["attributes"].update(os_names=["ens1"]),
        lambda d: d["devices"][0]["attributes"].update(NVIDIAUUID="GPU-1"),
        lambda d: d["devices"][0]["attributes"].update(xgmi_hive_id="0x1"),
        lambda d: d.update(groups=[{"cpuset": "0-3"}]),
    ],
)
def test_digest_is_equal_for_nodes_alike_but_for_identity(change: Change) -> None:
    document = anonymous()
    change(document)
    assert Machine.from_dict(document).digest == Machine.from_dict(anonymous()).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["numa_nodes"][0].update(memory="2Gi"),
        lambda d: d["numa_nodes"][0].update(kind="hbm"),
        lambda d: d["numa_nodes"][0].update(hugepages={"2Mi": "2Mi"}),
        lambda d: d["cores"].pop(),
        lambda d: (
            d["cores"][0].update(cpuset="0-1") or d["cores"][1].update(cpuset="2-3")
        ),
        lambda d: d["packages"][0].update(os_index=1),
        lambda d: d.update(allowed_pus="0"),
        lambda d: d.update(allowed_numa_nodes=[]),
        lambda d: d.update(l3s=[{"os_index": 0, "cpuset": "0-3"}]),
        lambda d: d.update(distances={"numa_nodes": [0], "values": [[10]]}),
        lambda d: d["devices"][0].update({"class": "nvme"}),
        lambda d: d["devices"][0].update(pci_address="0000:3c:00.0"),
        lambda d: d["devices"][0].update(numa_nodes=[0]),
        lambda d: d["devices"][0]["attributes"].update(rdma=False),
        lambda d: d["devices"][0]["attributes"].update(speed=True),
        lambda d: d["devices"][0]["attributes"].update(speed=[100]),
        lambda d: d["devices"][0].update(capacities={"bandwidth": "1G"}),
        lambda d: d["devices"][0].update(counters={"queues": 4}),
        lambda d: d["devices"].append({"class": "nic"}),
        lambda d: d["devices"].append({"class": "nic", "parent": 0, "partition": "vf"}),
    ],
)
def test_digest_differs_where_placement_may(change: Change) -> None:
    document = anonymous()
    change(document)
    assert Machine.from_dict(document).digest != Machine.from_dict(anonymous()).digest


def test_digest_sees_bridges_links_and_overrides() -> None:
    devices = [
        {"class": "gpu", "pci_address": f"0000:0{i}:00.0", "bridge": "0000:00:01.0"}
        for i in (1, 2)
    ]
    bridges = [
        {"name": "pci0000:00", "host": True},
        {"address": "0000:00:01.0", "parent": "pci0000:00"},
    ]
    base = spec(devices=devices, bridges=bridges)
    variants = [
        base,
        {**base, "links": [{"from": "gpu0", "to": "gpu1", "mb_s": 1}]},
        {**base, "links": [{"from": "gpu0", "to": "gpu1", "mb_s": 2}]},
        {
            **base,
            "overrides": {"levels": [{"a": "gpu0", "b": "gpu1", "level": "root"}]},
        },
        {**base, "devices": [devices[0], {**devices[1], "bridge": "pci0000:00"}]},
    ]
    assert len({Machine.from_dict(each).digest for each in variants}) == len(variants)


def test_digest_does_not_depend_on_the_order_of_the_document() -> None:
    document = Machine.preset("hgx-h100-2gpu2nic").to_dict()
    digest = Machine.from_dict(document).digest
    document["devices"].reverse()
    document["links"].reverse()
    document["numa_nodes"].reverse()
    matrix = document["distances"]
    matrix["numa_nodes"].reverse()
    matrix["values"] = [row[::-1] for row in matrix["values"][::-1]]
    again = Machine.from_dict(document)
    assert again.digest == digest
    again.check_consistency()


# --- sources ---


def test_from_xml_takes_path_bytes_and_file_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.xml"
    file.write_bytes(XML)
    machines = [
        Machine.from_xml(XML),
        Machine.from_xml(io.BufferedReader(io.BytesIO(XML))),
        Machine.from_xml(file),
        Machine.from_xml(str(file)),
        Machine.from_xml(io.BytesIO(XML)),
        Machine.from_xml(io.StringIO(XML.decode())),
    ]
    with file.open("rb") as stream:
        machines.append(Machine.from_xml(stream))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(XML)))
    machines.append(Machine.from_xml("-"))
    assert len({machine.digest for machine in machines}) == 1
    assert machines[0].numa_nodes[0].memory == 2**30
    assert [pu.os_index for pu in machines[0].pus] == [0, 1]


def test_from_xml_reads_standard_input_of_a_process() -> None:
    code = (
        "import sys; from topoalloc._machine import Machine;"
        "print(Machine.from_xml('-').numa_nodes[0].memory)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=XML, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"1073741824"]


def test_from_xml_names_the_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.xml"
    file.write_bytes(XML.replace(b'cpuset="0x1"', b'cpuset="zz"'))
    with pytest.raises(FormatError, match=r"broken\.xml:\d+: "):
        Machine.from_xml(file)
    with pytest.raises(FormatError, match=r"^XML:\d+: "):
        Machine.from_xml(XML[:-20])


def test_from_xml_leaves_the_error_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Machine.from_xml(tmp_path / "none.xml")


def test_text_that_cannot_be_encoded_is_refused_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"pack:2|ud800"):
        Machine.from_synthetic("pack:2 \ud800")
    with pytest.raises(FormatError, match=r"^XML:\d+: "):
        Machine.from_xml(io.StringIO(XML.decode().replace("Core", "\ud800")))
    file = tmp_path / "node-\udcff.xml"
    file.write_bytes(XML[:-20])
    with pytest.raises(FormatError, match=r"node-.udcff\.xml:\d+: "):
        Machine.from_xml(file)


@pytest.mark.parametrize("source", [None, 3, ["x"]])
def test_from_xml_refuses_what_is_no_source(source: Anything) -> None:
    with pytest.raises(InvalidRequestError, match=r"source: .*, want a path, bytes or"):
        Machine.from_xml(source)


def test_from_synthetic() -> None:
    machine = Machine.from_synthetic("pack:2 numa:2 core:4 pu:2")
    counts = (machine.packages, machine.numa_nodes, machine.cores, machine.pus)
    assert [len(view) for view in counts] == [2, 4, 16, 32]
    assert Machine.from_dict(machine.to_dict()).digest == machine.digest
    with pytest.raises(FormatError):
        Machine.from_synthetic("pack:x")


def test_discover_reads_what_hwloc_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def read_host(*, allowed_only: bool) -> tuple[bytes, bool]:
        asked.append(allowed_only)
        return XML, True

    monkeypatch.setattr("topoalloc.hwloc._topology.read_host", read_host)
    assert len(Machine.discover().pus) == 2
    assert len(Machine.discover(allowed_only=True).pus) == 2
    assert asked == [False, True]


def test_discover_passes_on_the_error_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_host(*, allowed_only: bool) -> tuple[bytes, bool]:
        raise TopologyError(f"no libhwloc ({allowed_only}), want the extra hwloc")

    monkeypatch.setattr("topoalloc.hwloc._topology.read_host", read_host)
    with pytest.raises(TopologyError, match="want the extra hwloc"):
        Machine.discover()


# --- overrides ---


def test_with_overrides_corrects_levels_and_numa_nodes(dgx: Machine) -> None:
    fixed = dgx.with_overrides(
        {
            "levels": [{"a": "gpu0", "b": "nic3", "level": "PIX"}],
            "numa_nodes": {"gpu1": [1], "mlx5_11": 0},
        }
    )
    assert fixed.distance("gpu0", "nic3") is Level.SWITCH
    assert dgx.distance("gpu0", "nic3") is Level.NUMA
    assert fixed.device("gpu1").numa_nodes == (1,)
    assert fixed.device("nic11").localities == (0,)
    assert fixed.digest != dgx.digest
    assert Machine.from_dict(fixed.to_dict()) == fixed


def test_later_overrides_replace_earlier_ones(dgx: Machine) -> None:
    first = dgx.with_overrides({"levels": [{"a": "gpu0", "b": "gpu1", "level": 1}]})
    second = first.with_overrides({"levels": [{"a": "gpu1", "b": "gpu0", "level": 5}]})
    assert second.distance("gpu0", "gpu1") is Level.PACKAGE
    assert len(second.to_dict()["overrides"]["levels"]) == 1


@pytest.mark.parametrize(
    ("overrides", "want"),
    [
        (
            {"level": []},
            r"overrides\.level: unknown key, want one of levels, numa_nodes",
        ),
        ({"levels": 3}, r"overrides\.levels: 3, want a list"),
        (
            {"levels": [{"a": "gpu0", "b": "gpu9", "level": 1}]},
            r"overrides\.levels\[0\]\.b: 'gpu9', want a device of the Machine",
        ),
        (
            {"levels": [{"a": "gpu0", "b": "gpu1", "level": "near"}]},
            r"overrides\.levels\[0\]\.level: 'near', want one of self, switch",
        ),
        (
            {"numa_nodes": {"gpu9": 0}},
            r"overrides\.numa_nodes\.gpu9: 'gpu9', want a device of the Machine",
        ),
        ([], "overrides: a list, want an object"),
    ],
)
def test_overrides_that_mean_nothing_are_refused(
    dgx: Machine, overrides: Anything, want: str
) -> None:
    with pytest.raises(FormatError, match=f"^{want}"):
        dgx.with_overrides(overrides)


def test_override_of_numa_node_that_is_not_there_is_refused(dgx: Machine) -> None:
    with pytest.raises(FormatError, match="numa_nodes: 7, want a NUMANode"):
        dgx.with_overrides({"numa_nodes": {"gpu0": [7]}})


# --- the documents ---


def test_example_of_the_page_is_read(repository: Path) -> None:
    page = (repository / "docs" / "machine-json.md").read_text()
    text = page.split("```json\n")[1].split("```")[0]
    machine = Machine.from_dict(json.loads(text))
    assert machine.distance("gpu0", "nic0") is Level.SWITCH
    assert machine.device("gpu0/0").partition == "1g.10gb"


def test_page_names_every_field_of_the_schema(repository: Path) -> None:
    schema = json.loads(
        Path(repository, "src", "topoalloc", "schemas", "machine.json").read_text()
    )
    page = (repository / "docs" / "machine-json.md").read_text()
    fields = set(schema["properties"])
    for part in ("numa_node", "bridge", "device", "link"):
        fields |= set(schema["$defs"][part]["properties"])
    missing = {field for field in fields if f"`{field}`" not in page}
    assert not missing
