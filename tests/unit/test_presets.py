# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import Counter
from importlib import resources
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest

from topoalloc import presets
from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Device, Level, Machine

# packages, NUMANodes, localities, L3s, cores, PUs, and devices of each class
SHAPES = {
    "aws-p5en": (2, 2, 2, 2, 96, 192, {"gpu": 8, "nic": 16, "nvme": 8}),
    "dgx-a100": (2, 8, 8, 32, 128, 256, {"gpu": 8, "nic": 12}),
    "dgx-h100": (2, 2, 2, 2, 112, 224, {"gpu": 8, "nic": 12}),
    "dgx-h100-mig": (2, 2, 2, 2, 112, 224, {"gpu": 8 + 8 * 18, "nic": 12}),
    "dgx-h200": (2, 2, 2, 2, 112, 224, {"gpu": 8, "nic": 12}),
    "epyc-768": (2, 2, 2, 24, 384, 768, {}),
    "epyc-nps4": (2, 8, 8, 16, 128, 256, {"nic": 3}),
    "gb200-tray": (2, 34, 2, 2, 144, 144, {"gpu": 4, "nic": 8}),
    "gh200": (1, 9, 1, 1, 72, 72, {"gpu": 1}),
    "hgx-h100-2gpu2nic": (2, 2, 2, 2, 112, 224, {"gpu": 8, "nic": 8}),
    "intel-snc4": (2, 8, 8, 2, 112, 224, {}),
    "mi300x": (2, 2, 2, 24, 192, 384, {"gpu": 8, "nic": 8}),
    "workstation-sys": (2, 2, 2, 2, 112, 224, {"gpu": 8, "nic": 2}),
}


def compute_nics(machine: Machine) -> list[Device]:
    return [
        d
        for d in machine.devices
        if d.device_class == "nic" and d.attributes["role"] == "compute"
    ]


def gpus(machine: Machine) -> list[Device]:
    return [d for d in machine.devices if d.device_class == "gpu" and d.parent is None]


def levels_to_nics(machine: Machine, gpu: Device) -> Counter[str]:
    return Counter(str(machine.distance(gpu, nic)) for nic in compute_nics(machine))


def test_every_preset_is_named_and_described(repository: Path) -> None:
    assert Machine.presets() == tuple(sorted(SHAPES))
    assert set(presets.SUMMARIES) == set(SHAPES)
    page = (repository / "docs" / "machine.md").read_text()
    for name, line in presets.SUMMARIES.items():
        assert f"| `{name}` | {line} |" in page


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name: str) -> None:
    machine = Machine.preset(name)
    machine.check_consistency()
    assert machine.name == name
    shape = (
        len(machine.packages),
        len(machine.numa_nodes),
        len(machine.localities),
        len(machine.l3s),
        len(machine.cores),
        len(machine.pus),
        dict(Counter(d.device_class for d in machine.devices)),
    )
    assert shape == SHAPES[name]


@pytest.mark.parametrize("name", SHAPES)
def test_document_is_valid_and_says_where_it_comes_from(name: str) -> None:
    document = presets.document(name)
    text = resources.files("topoalloc").joinpath("schemas/machine.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.validate(document)
    validator.validate(Machine.preset(name).to_dict())
    assert len(document["info"]["sources"]) > 20
    assert document["info"]["inferred"]


@pytest.mark.parametrize("name", SHAPES)
def test_json_form_makes_an_equal_machine(name: str) -> None:
    machine = Machine.preset(name)
    document = json.loads(json.dumps(machine.to_dict()))
    again = Machine.from_dict(document)
    assert again == machine
    assert again.to_dict() == document
    assert again.digest == machine.digest
    assert again.devices == machine.devices


def test_every_digest_is_its_own() -> None:
    assert len({Machine.preset(name).digest for name in SHAPES}) == len(SHAPES)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(
        InvalidRequestError, match="preset: 'dgx-9', want one of aws-p5"
    ):
        Machine.preset("dgx-9")


@pytest.mark.parametrize("name", ["dgx-h100", "dgx-h200"])
def test_dgx_hopper_has_one_nic_behind_the_switch_of_each_gpu(name: str) -> None:
    machine = Machine.preset(name)
    want = (0, 3, 4, 5, 6, 9, 10, 11)
    for gpu, nic in zip(gpus(machine), want, strict=True):
        assert machine.distance(gpu, f"mlx5_{nic}") is Level.BRIDGES
        assert levels_to_nics(machine, gpu) == {"bridges": 1, "numa": 3, "machine": 4}
    assert [gpu.numa_nodes for gpu in gpus(machine)] == [(0,)] * 4 + [(1,)] * 4
    assert machine.numa_nodes[1].cpuset == "56-111,168-223"


def test_dgx_h100_storage_nics_are_told_apart_and_have_two_ports() -> None:
    machine = Machine.preset("dgx-h100")
    storage = [d for d in machine.devices if d.attributes.get("role") == "storage"]
    assert [d.aliases for d in storage] == [
        ("mlx5_1",),
        ("mlx5_2",),
        ("mlx5_7",),
        ("mlx5_8",),
    ]
    assert machine.distance("mlx5_1", "mlx5_2") is Level.SELF
    assert machine.distance("mlx5_1", "mlx5_7") is Level.MACHINE


@pytest.mark.parametrize(
    ("name", "mb_s"),
    [
        ("dgx-a100", 300_000),
        ("dgx-h100", 450_000),
        ("dgx-h200", 450_000),
        ("hgx-h100-2gpu2nic", 450_000),
        ("aws-p5en", 450_000),
        ("mi300x", 64_000),
        ("gb200-tray", 900_000),
        ("workstation-sys", 0),
    ],
)
def test_links_join_every_two_gpus(name: str, mb_s: int) -> None:
    machine = Machine.preset(name)
    links = {machine.link(a, b) for a, b in combinations(gpus(machine), 2)}
    assert links == {mb_s}


def test_dgx_a100_has_gpus_on_four_of_eight_numa_nodes() -> None:
    machine = Machine.preset("dgx-a100")
    nodes = [gpu.numa_nodes for gpu in gpus(machine)]
    assert nodes == [(3,), (3,), (1,), (1,), (7,), (7,), (5,), (5,)]
    assert machine.numa_nodes[3].cpuset == "48-63,176-191"
    for gpu in gpus(machine):
        assert levels_to_nics(machine, gpu)["bridges"] == 2
    assert machine.locality_distance(0, 0) == 10
    assert machine.locality_distance(0, 3) == 12
    assert machine.locality_distance(0, 4) == 32


def test_hgx_pairs_are_one_switch() -> None:
    machine = Machine.preset("hgx-h100-2gpu2nic")
    for index, gpu in enumerate(gpus(machine)):
        assert levels_to_nics(machine, gpu) == {"switch": 2, "numa": 2, "machine": 4}
        assert machine.distance(gpu, f"gpu{index ^ 1}") is Level.SWITCH
        assert gpu.switch == index // 2


def test_aws_p5en_has_four_nics_a_switch() -> None:
    machine = Machine.preset("aws-p5en")
    for gpu in gpus(machine):
        assert levels_to_nics(machine, gpu) == {"switch": 4, "numa": 4, "machine": 8}
    assert machine.device("rdmap110s0").pci_address == "0000:6e:00.0"
    assert machine.device("0000:72:00.0").device_class == "gpu"
    assert machine.cores[0].cpuset == "0,96"


def test_mi300x_has_one_nic_a_gpu() -> None:
    machine = Machine.preset("mi300x")
    for gpu in gpus(machine):
        assert levels_to_nics(machine, gpu) == {"bridges": 1, "numa": 3, "machine": 4}


def test_gb200_gpus_share_a_numa_node_and_no_root_with_nics() -> None:
    machine = Machine.preset("gb200-tray")
    for gpu in gpus(machine):
        assert levels_to_nics(machine, gpu) == {"numa": 4, "machine": 4}
    with_pus = [node.os_index for node in machine.numa_nodes if node.pus]
    assert with_pus == [0, 1]
    of_gpus = [node for node in machine.numa_nodes if node.kind == "gpu"]
    assert len(of_gpus) == 32
    assert sum(1 for node in of_gpus if node.memory) == 4
    assert all(len(node.localities) == 1 for node in of_gpus)
    assert machine.localities[1].numa_nodes == (1, *range(18, 34))


def test_gh200_is_one_locality() -> None:
    machine = Machine.preset("gh200")
    assert machine.device("gpu0").localities == (0,)
    assert machine.localities[0].numa_nodes == tuple(range(9))


def test_snc4_has_four_numa_nodes_inside_an_l3() -> None:
    machine = Machine.preset("intel-snc4")
    assert machine.l3s[0].localities == (0, 1, 2, 3)
    assert machine.localities[0].l3s == (0,)
    assert machine.localities[1].cpuset == "14-27,126-139"


def test_epyc_nps4_has_two_l3s_inside_a_numa_node() -> None:
    machine = Machine.preset("epyc-nps4")
    assert machine.localities[7].l3s == (14, 15)
    assert machine.l3s[0].cpuset == "0-7,128-135"


def test_workstation_is_sys_but_for_the_nics_of_gpu6() -> None:
    machine = Machine.preset("workstation-sys")
    everything = {
        (a.name, b.name): machine.distance(a, b)
        for a, b in combinations(machine.devices, 2)
    }
    assert everything.pop(("gpu6", "nic0")) is Level.ROOT
    assert everything.pop(("gpu6", "nic1")) is Level.ROOT
    assert everything.pop(("nic0", "nic1")) is Level.SELF
    assert set(everything.values()) == {Level.MACHINE}


def test_mig_partitions_draw_on_their_gpu() -> None:
    machine = Machine.preset("dgx-h100-mig")
    gpu = machine.device("gpu0")
    parts = [d for d in machine.devices if d.parent == gpu]
    assert Counter(d.partition for d in parts) == {
        "1g.10gb": 7,
        "1g.20gb": 4,
        "2g.20gb": 3,
        "3g.40gb": 2,
        "4g.40gb": 1,
        "7g.80gb": 1,
    }
    assert gpu.counters["memory"] == 80 * 2**30
    assert gpu.counters["memory-slice-7"] == 1
    second_3g = [d for d in parts if d.partition == "3g.40gb"][1]
    assert second_3g.draws == {
        "memory": 40 * 2**30,
        "compute-slices": 3,
        **{f"memory-slice-{i}": 1 for i in range(4, 8)},
    }
    assert second_3g.name.startswith("gpu0/")
    assert machine.distance(gpu, second_3g) is Level.SELF
    assert machine.link(second_3g, "gpu1") == 0 < machine.link(gpu, "gpu1")
    assert machine.device("0000:1b:00.0") == gpu
