# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topoalloc import presets
from topoalloc._errors import FormatError
from topoalloc._machine import Level, Machine

# What a JSON reader returns.
Json: TypeAlias = Any

BASE: dict[str, Json] = {
    "apiVersion": "topoalloc.dev/v1alpha1",
    "kind": "Machine",
    "packages": [{"os_index": 0, "cpuset": "0-3"}],
    "cores": [{"os_index": 0, "cpuset": "0,2"}, {"os_index": 1, "cpuset": "1,3"}],
    "numa_nodes": [
        {"os_index": 0, "cpuset": "0,2", "memory": "1Gi"},
        {"os_index": 4, "cpuset": "1,3", "memory": 1024},
    ],
    "distances": {"numa_nodes": [0, 4], "values": [[10, 21], [21, 10]]},
    "bridges": [
        {"name": "pci0000:00", "host": True},
        {"address": "0000:00:01.0", "parent": "pci0000:00"},
    ],
    "devices": [
        {
            "class": "gpu",
            "pci_address": "0000:01:00.0",
            "bridge": "0000:00:01.0",
            "numa_nodes": [0],
            "attributes": {"model": "H100"},
            "capacities": {"memory": "80Gi"},
            "counters": {"slices": 7},
            "uuid": "GPU-1",
        },
        {
            "class": "gpu",
            "parent": "GPU-1",
            "partition": "1g.10gb",
            "draws": {"memory": "10Gi", "slices": 1},
        },
        {"class": "gpu", "name": "cuda1", "pci_address": "0000:02:00.0"},
    ],
    "links": [{"from": "GPU-1", "to": "cuda1", "mb_s": 25000}],
    "overrides": {"levels": [{"a": "cuda1", "b": "GPU-1", "level": "PHB"}]},
}


def changed(path: str, value: Json) -> dict[str, Any]:
    """Return BASE with one value replaced: path as in "devices 0 uuid"."""
    document = copy.deepcopy(BASE)
    *parents, last = [int(k) if k.isdigit() else k for k in path.split()]
    at: Any = document
    for key in parents:
        at = at[key]
    at[last] = value
    return document


@cache
def validator() -> jsonschema.Draft202012Validator:
    text = resources.files("topoalloc").joinpath("schemas/machine.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def test_base_is_read_and_written_back() -> None:
    machine = Machine.from_dict(BASE)
    machine.check_consistency()
    assert Machine.from_dict(machine.to_dict()) == machine
    assert machine.distance("gpu0", "gpu1") is Level.ROOT
    assert machine.to_dict()["overrides"]["levels"][0]["level"] == "root"


def test_schema_is_valid_and_accepts_the_base() -> None:
    jsonschema.Draft202012Validator.check_schema(validator().schema)
    validator().validate(BASE)


# path in BASE, what stands there, the message
WRONG: list[tuple[str, Json, str]] = [
    ("overrides levels 0 level", "\ud800", r"overrides\.levels\[0\]\.level: '.ud800'"),
    (
        "apiVersion",
        "topoalloc.dev/v2",
        r"apiVersion: 'topoalloc.dev/v2', want 'topoallo",
    ),
    ("apiVersion", None, r"apiVersion: None, want"),
    ("kind", "Pod", r"kind: 'Pod', want 'Machine'"),
    ("name", 3, r"name: 3, want a string"),
    ("name", "\ud800", r"name: '\\ud800', want text without lone surrogates"),
    ("nmae", "x", r"nmae: unknown key, want one of apiVersion, kind, name"),
    ("info", {"a": 1}, r"info\.a: 1, want a string"),
    ("info", {"a b": 1}, r"info\['a b'\]: 1, want a string"),
    ("info", {1: "x"}, r"info, a key: 1, want a string"),
    ("info", [], r"info: a list, want an object"),
    ("pus", {}, r"pus: an object, want a list"),
    ("pus", [{}], r"pus\[0\]\.os_index: missing, want it given"),
    ("pus", [{"os_index": 0}] * 2, r"pus\[1\]\.os_index: 0 occurs twice among PUs"),
    (
        "pus",
        [{"os_index": 2**20}],
        r"pus\[0\]\.os_index: 1048576, want an integer from",
    ),
    ("pus", [{"os_index": -1}], r"pus\[0\]\.os_index: -1, want an integer from 0"),
    ("pus", [{"os_index": True}], r"pus\[0\]\.os_index: True, want an integer"),
    ("pus", [{"os_index": 0.0}], r"pus\[0\]\.os_index: 0\.0, want an integer"),
    ("pus", [{"os_index": 10**500}], r"pus\[0\]\.os_index: a huge integer, want an"),
    ("packages", "0-3", r"packages: '0-3', want a list"),
    ("packages 0", 3, r"packages\[0\]: 3, want an object"),
    ("packages 0", {}, r"packages\[0\]\.cpuset: missing"),
    ("packages 0 cpuset", "", r"packages\[0\]\.cpuset: '', want at least one PU"),
    (
        "packages 0 cpuset",
        "3-1",
        r"packages\[0\]\.cpuset: '3-1', want OS indices in li",
    ),
    (
        "packages 0 cpuset",
        "0-99999999",
        r"packages\[0\]\.cpuset: '0-99999999', want OS",
    ),
    ("packages 0 cpuset", "0-999999", r"pus: 1000000 of them, want at most 65536"),
    ("packages 0 cpuset", [0], r"packages\[0\]\.cpuset: a list, want a string"),
    ("cores 1 os_index", "1", r"cores\[1\]\.os_index: '1', want an integer"),
    ("cores 1 cpuset", "0-1", r"(cores|numa_nodes)\[\d\]"),
    ("allowed_pus", "9", r"allowed_pus: "),
    ("allowed_numa_nodes", "0", r"allowed_numa_nodes: '0', want a list"),
    ("allowed_numa_nodes", True, r"allowed_numa_nodes: True, want an integer from 0"),
    (
        "allowed_numa_nodes",
        [0, "1"],
        r"allowed_numa_nodes\[1\]: '1', want an integer from 0",
    ),
    (
        "allowed_numa_nodes",
        [0, 1048575],
        r"allowed_numa_nodes: NUMANode 1048575 is not there, want NUMANodes of the M",
    ),
    (
        "numa_nodes 0 kind",
        "ram",
        r"numa_nodes\[0\]\.kind: 'ram', want one of dram, hbm",
    ),
    ("numa_nodes 0 kind", [], r"numa_nodes\[0\]\.kind: a list, want one of dram, hbm"),
    ("numa_nodes 0 memory", "1GB", r"numa_nodes\[0\]\.memory: '1GB', want 1G or 1Gi"),
    ("numa_nodes 0 memory", -1, r"numa_nodes\[0\]\.memory: -1, want at least 0"),
    ("numa_nodes 0 memory", 1.5, r"numa_nodes\[0\]\.memory: 1\.5, want an integer or"),
    ("numa_nodes 0 memory", "4Ei", r"numa_nodes\[0\]\.memory: \d+ bytes, want at most"),
    (
        "numa_nodes 0 hugepages",
        {"2MB": 0},
        r"numa_nodes\[0\]\.hugepages\['2MB'\], size: ",
    ),
    (
        "numa_nodes 0 hugepages",
        {"0": 0},
        r"numa_nodes\[0\]\.hugepages\['0'\]: page size",
    ),
    (
        "numa_nodes 0 hugepages",
        {"2Mi": "2Mi", "2048Ki": "2Mi"},
        r"numa_nodes\[0\]\.hugepages\['2048Ki'\]: page size '2048Ki', want each once",
    ),
    (
        "numa_nodes 0 hugepages",
        {"2Mi": 1},
        r"numa_nodes\[0\]\.hugepages: 1 bytes in pag",
    ),
    ("numa_nodes 1 os_index", 0, r"numa_nodes\[1\]\.os_index: 0 occurs twice"),
    ("numa_nodes 0 parent_cpuset", "9", r"numa_nodes\[0\]"),
    ("distances numa_nodes", [0, 5], r"distances\.numa_nodes\[1\]: 5, want a NUMANode"),
    (
        "distances values",
        [[1]],
        r"distances\.values: a list, want 2 rows, one a NUMANode",
    ),
    (
        "distances values 1",
        [1],
        r"distances\.values\[1\]: a list, want 2 entries; 1 giv",
    ),
    ("distances values 1", 7, r"distances\.values\[1\]: 7, want a list"),
    ("distances values 1 0", -1, r"distances\.values\[1\]\[0\]: -1, want an integer"),
    ("distances", [], r"distances: a list, want an object"),
    ("bridges 0 host", 1, r"bridges\[0\]\.host: 1, want true or false"),
    ("bridges 0 parent", "x", r"bridges\[0\]\.parent: 'x', want no parent: a host"),
    (
        "bridges 1",
        {"address": "00:01.0"},
        r"bridges\[1\]\.parent: missing, want it or h",
    ),
    (
        "bridges 1 parent",
        "0000:00:01.0",
        r"bridges\[1\]\.parent: '0000:00:01.0', want th",
    ),
    ("bridges 1 parent", 1, r"bridges\[1\]\.parent: 1, want the index of a bridge"),
    (
        "bridges 1 address",
        "1",
        r"bridges\[1\]\.address: '1', want a PCI address such as",
    ),
    ("devices", 3, r"devices: 3, want a list"),
    ("devices 0 class", "", r"devices\[0\]\.class: '', want a class such as 'gpu'"),
    ("devices 2", {}, r"devices\[2\]\.class: missing, want it given"),
    ("devices 0 nmae", 3, r"devices\[0\]\.nmae: unknown key, want one of class, name"),
    (
        "devices 0 pci_address",
        "0000:01:00.9",
        r"devices\[0\]\.pci_address: '0000:01:00\.9",
    ),
    (
        "devices 0 bridge",
        "pci0000:01",
        r"devices\[0\]\.bridge: 'pci0000:01', want the na",
    ),
    ("devices 0 bridge", 2, r"devices\[0\]\.bridge: 2, want the index of a bridge"),
    (
        "devices 0 numa_nodes",
        [9],
        r"devices\[0\]\.numa_nodes: 9, want a NUMANode of the",
    ),
    (
        "devices 0 numa_nodes",
        [-1],
        r"devices\[0\]\.numa_nodes\[0\]: -1, want an integer",
    ),
    ("devices 0 numa_nodes", "0", r"devices\[0\]\.numa_nodes: '0', want a list"),
    (
        "devices 0 attributes",
        {"a": None},
        r"devices\[0\]\.attributes\.a: None, want a str",
    ),
    (
        "devices 0 attributes",
        {"a": 0.5},
        r"devices\[0\]\.attributes\.a: 0\.5, want a str",
    ),
    (
        "devices 0 attributes",
        {"a": [[]]},
        r"devices\[0\]\.attributes\.a\[0\]: a list, w",
    ),
    (
        "devices 0 attributes",
        {"a": 2**63},
        r"devices\[0\]\.attributes\.a: \d+, want an in",
    ),
    (
        "devices 0 capacities",
        {"m": "8GB"},
        r"devices\[0\]\.capacities\.m: '8GB', want 8G ",
    ),
    (
        "devices 0 capacities",
        {"m": 2**63},
        r"devices\[0\]\.capacities\.m: \d+, want at m",
    ),
    (
        "devices 0 counters",
        {"memory": 1},
        r"devices\[0\]\.counters\.memory: a capacity to",
    ),
    (
        "devices 0 partition",
        "x",
        r"devices\[0\]\.partition: 'x', want it only on a devic",
    ),
    (
        "devices 0 draws",
        {},
        r"devices\[0\]\.draws: an object, want it only on a device",
    ),
    ("devices 0 aliases", "x", r"devices\[0\]\.aliases: 'x', want a list"),
    ("devices 0 uuid", 1, r"devices\[0\]\.uuid: 1, want a string"),
    (
        "devices 1 uuid",
        "GPU-1",
        r"devices\[1\]\.uuid: 'GPU-1' of devices\[0\] too, want ",
    ),
    (
        "devices 1 parent",
        "GPU-2",
        r"devices\[1\]\.parent: 'GPU-2', want the name or PCI",
    ),
    (
        "devices 1 parent",
        1,
        r"devices\[1\]\.parent: 1, want a device that has no parent",
    ),
    (
        "devices 1 parent",
        7,
        r"devices\[1\]\.parent: 7, want the index of a device, less",
    ),
    (
        "devices 1 draws",
        {"x": 1},
        r"devices\[1\]\.draws\.x: not on devices\[0\], want a c",
    ),
    ("devices 1 counters", {"x": 1}, r"devices\[1\]\.counters: counters of a part"),
    ("links 0", {"from": 0, "to": 2}, r"links\[0\]\.mb_s: missing"),
    ("links 0 to", "GPU-1", r"links\[0\]\.to: 'GPU-1', want another device than from"),
    ("links 0 to", 1, r"links\[0\]\.to: 1, want a device without a parent"),
    ("links 0 to", "cuda2", r"links\[0\]\.to: 'cuda2', want the name or PCI address"),
    ("links 0 mb_s", "25G", r"links\[0\]\.mb_s: '25G', want an integer from 0"),
    ("links 0 both", 0, r"links\[0\]\.both: 0, want true or false"),
    (
        "links",
        [{"from": 0, "to": 2, "mb_s": 1}, {"from": 2, "to": 0, "mb_s": 1}],
        r"links\[1\]: a direction given before, want it once",
    ),
    (
        "overrides",
        {"x": 1},
        r"overrides\.x: unknown key, want one of levels, numa_nodes",
    ),
    (
        "overrides levels 0 level",
        7,
        r"overrides\.levels\[0\]\.level: 7, want an integer ",
    ),
    (
        "overrides levels 0 level",
        "A",
        r"overrides\.levels\[0\]\.level: 'A', want one of",
    ),
    (
        "overrides levels 0 level",
        True,
        r"overrides\.levels\[0\]\.level: True, want one",
    ),
    (
        "overrides levels 0 a",
        "GPU-1",
        r"overrides\.levels\[0\]\.b: 'GPU-1', want another",
    ),
    (
        "overrides levels",
        [{"a": 0, "b": 2, "level": 1}, {"a": 2, "b": 0, "level": 2}],
        r"overrides\.levels\[1\]: a pair given before, want it once",
    ),
    (
        "overrides",
        {"numa_nodes": {"x": 0}},
        r"overrides\.numa_nodes\.x: 'x', want the n",
    ),
    (
        "overrides",
        {"numa_nodes": {"cuda1": [9]}},
        r"devices\[2\]\.numa_nodes: 9, want a NUMANode of the Machine",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_is_wrong_is_named_by_its_path(
    path: str, value: Json, message: str
) -> None:
    with pytest.raises(FormatError, match=f"^{message}"):
        Machine.from_dict(changed(path, value))


@pytest.mark.parametrize("document", [None, [], "x", 3, {}, {"apiVersion": "x"}])
def test_what_is_no_machine_is_refused(document: Json) -> None:
    with pytest.raises(FormatError, match=r"^(document|apiVersion|kind): "):
        Machine.from_dict(document)


@pytest.mark.parametrize("part", ["cores", "numa_nodes"])
def test_a_machine_without_pus_is_refused(part: str) -> None:
    head = {key: BASE[key] for key in ("apiVersion", "kind")}
    with pytest.raises(FormatError, match="no PU, want at least one"):
        Machine.from_dict({**head, part: []})


def test_sets_that_cross_are_named_by_their_place_in_the_document() -> None:
    with pytest.raises(FormatError, match=r"^(cores|numa_nodes)\[\d\]") as caught:
        Machine.from_dict(changed("cores 1 cpuset", "0-1"))
    assert "objects[" not in str(caught.value)


# --- what may be left out ---


def test_pus_come_from_cores_in_order_and_then_from_other_sets() -> None:
    document = {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Machine",
        "cores": [{"cpuset": "2,6"}, {"cpuset": "0,4"}],
        "packages": [{"cpuset": "0-6"}],
    }
    machine = Machine.from_dict(document)
    assert sorted(pu.os_index for pu in machine.pus) == list(range(7))
    assert machine.pus[0].os_index == 2
    assert "pus" not in machine.to_dict()


def test_pus_in_another_order_are_written_down() -> None:
    document = changed("pus", [{"os_index": i} for i in (3, 1, 2, 0)])
    machine = Machine.from_dict(document)
    assert machine.pus[0].os_index == 3
    assert machine.to_dict()["pus"] == document["pus"]


def test_node_without_pus_belongs_to_its_parent_or_to_all() -> None:
    nodes = [
        *BASE["numa_nodes"],
        {"os_index": 5, "kind": "cxl", "memory": "1Ti"},
        {"os_index": 6, "kind": "gpu", "parent_cpuset": "1,3"},
    ]
    machine = Machine.from_dict(changed("numa_nodes", nodes))
    assert machine.numa_nodes[2].localities == (0, 1)
    assert machine.numa_nodes[3].localities == (1,)
    written = machine.to_dict()["numa_nodes"]
    assert "parent_cpuset" not in written[2]
    assert written[3]["parent_cpuset"] == "1,3"


def test_unknown_locality_is_never_node_0() -> None:
    machine = Machine.from_dict(BASE)
    assert machine.device("cuda1").numa_nodes == ()
    assert machine.device("cuda1").localities == ()


def test_one_numa_node_may_stand_without_a_list() -> None:
    document = changed("devices 0 numa_nodes", 4)
    assert Machine.from_dict(document).device("gpu0").numa_nodes == (4,)


# --- references ---


@pytest.mark.parametrize("key", ["GPU-1", "0000:01:00.0", "01:00.0", 0, "gpu0"])
def test_devices_go_by_any_key(key: Json) -> None:
    machine = Machine.from_dict(changed("links 0 from", key))
    assert machine.link("gpu0", "gpu1") == 25000


def test_a_name_in_the_document_wins_over_a_logical_name() -> None:
    document = changed("devices 2 name", "gpu0")
    document["links"] = []
    document["overrides"] = {"numa_nodes": {"gpu0": [4]}}
    machine = Machine.from_dict(document)
    assert machine.device("0000:02:00.0").numa_nodes == (4,)
    assert machine.device("gpu0").pci_address == "0000:01:00.0"


def test_an_ambiguous_key_is_refused() -> None:
    document = changed("devices 0 aliases", ["cuda1"])
    with pytest.raises(FormatError, match="to: 'cuda1', want what names one device; 2"):
        Machine.from_dict(document)


def test_devices_and_bridges_without_a_key_go_by_index() -> None:
    document = changed("bridges", [{"host": True}, {"parent": 0}, {"parent": 1}])
    document["devices"] = [{"class": "gpu", "bridge": 2}, {"class": "gpu", "bridge": 2}]
    document["links"] = [{"from": 0, "to": 1, "mb_s": 7}]
    document["overrides"] = {}
    machine = Machine.from_dict(document)
    written = machine.to_dict()
    assert written["bridges"][2] == {"parent": 1}
    assert written["links"] == [{"from": 0, "to": 1, "mb_s": 7}]
    assert Machine.from_dict(written) == machine
    assert machine.distance("gpu0", "gpu1") is Level.SWITCH


# --- kinds of devices ---


def test_virtual_functions_share_their_port() -> None:
    functions = [
        {
            "class": "nic",
            "pci_address": f"0000:03:00.{i}",
            "parent": "mlx5_0",
            "partition": "vf",
            "draws": {"bandwidth": "100G"},
        }
        for i in (1, 2)
    ]
    port = {
        "class": "nic",
        "name": "mlx5_0",
        "pci_address": "0000:03:00.0",
        "capacities": {"bandwidth": "200G"},
        "attributes": {"rdma": True},
    }
    document = changed("devices", [*functions, port])
    document["links"], document["overrides"] = [], {}
    machine = Machine.from_dict(document)
    assert [d.name for d in machine.devices] == ["nic0", "nic0/0", "nic0/1"]
    function = machine.device("0000:03:00.2")
    assert function.parent == machine.device("mlx5_0")
    assert function.draws == {"bandwidth": 100 * 10**9}
    assert machine.distance("nic0", "nic0/1") is Level.SELF
    assert Machine.from_dict(machine.to_dict()) == machine


def test_ports_of_a_card_are_two_devices_at_level_self() -> None:
    ports = [{"class": "nic", "pci_address": f"0000:03:00.{i}"} for i in (0, 1)]
    document = changed("devices", ports)
    document["links"], document["overrides"] = [], {}
    machine = Machine.from_dict(document)
    assert [d.parent for d in machine.devices] == [None, None]
    assert machine.distance("nic0", "nic1") is Level.SELF


def test_a_partition_that_shows_the_address_of_its_gpu_leaves_it_to_the_gpu() -> None:
    document = changed("devices 1 pci_address", "0000:01:00.0")
    document["links"][0]["from"] = "0000:01:00.0"
    machine = Machine.from_dict(document)
    assert machine.device("0000:01:00.0").name == "gpu0"
    assert machine.device("gpu0/0").parent == machine.device("gpu0")
    assert Machine.from_dict(machine.to_dict()) == machine


def test_values_keep_their_types() -> None:
    attributes = {"t": True, "i": 1, "s": "1", "l": [1], "e": [], "m": [True, 1, "x"]}
    machine = Machine.from_dict(changed("devices 0 attributes", attributes))
    got = machine.device("gpu0").attributes
    assert got["t"] is True
    assert type(got["i"]) is int
    assert got["m"] == (True, 1, "x")
    assert type(got["m"][1]) is int
    written = machine.to_dict()["devices"][0]["attributes"]
    assert json.dumps(written, sort_keys=True) == json.dumps(attributes, sort_keys=True)


# --- anything at all ---

WORDS = st.sampled_from(
    [
        *BASE,
        *(key for device in BASE["devices"] for key in device),
        "os_index", "cpuset", "parent_cpuset", "memory", "hugepages", "kind", "host",
        "values", "address", "from", "to", "mb_s", "both", "levels", "a", "b", "level",
        "topoalloc.dev/v1alpha1", "Machine", "0-3", "0", "gpu", "gpu0", "0000:01:00.0",
        "64Gi", "64GB", "dram", "PIX", "1-", "\ud800", "",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10),
    st.integers(),
    st.floats(),
    WORDS,
    st.text(max_size=8),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.one_of(WORDS, st.text(max_size=4)), inner, max_size=4)
    ),
    max_leaves=12,
)


def read_or_refuse(document: Json) -> Machine | None:
    """Read a document: a Machine that is sound, or a refusal that names a place."""
    try:
        machine = Machine.from_dict(document)
    except FormatError as error:
        place, _, want = str(error).partition(": ")
        assert place
        assert want
        return None
    machine.check_consistency()
    return machine


@given(JSON)
def test_any_json_is_refused_with_a_place(document: Json) -> None:
    assert read_or_refuse(document) is None


@given(st.dictionaries(st.sampled_from(sorted(BASE)), JSON, max_size=6))
def test_any_field_is_read_or_refused(fields: Json) -> None:
    read_or_refuse({**copy.deepcopy(BASE), **fields})


def places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for key, v in inner for p in places(v, (*path, key)))]


PLACES = [path for path in places(BASE) if path]


@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_mutated_documents_are_read_or_refused_as_the_schema_says(
    changes: list[tuple[tuple[Any, ...], Json]],
) -> None:
    document: Json = copy.deepcopy(BASE)
    for (*parents, last), value in changes:
        at = document
        try:
            for key in parents:
                at = at[key]
            at[last]
            at[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # An earlier change took this place away.
    machine = read_or_refuse(document)
    if machine is None:
        return
    validator().validate(document)
    written = machine.to_dict()
    validator().validate(written)
    again = Machine.from_dict(json.loads(json.dumps(written)))
    assert again == machine
    assert again.digest == machine.digest


@given(st.sampled_from(sorted(presets.SUMMARIES)), st.data())
def test_presets_less_a_part_are_read_or_refused(
    name: str, data: st.DataObject
) -> None:
    document = presets.document(name)
    lists = [
        key for key, value in document.items() if isinstance(value, list) and value
    ]
    key = data.draw(st.sampled_from(lists))
    del document[key][data.draw(st.integers(0, len(document[key]) - 1))]
    read_or_refuse(document)
