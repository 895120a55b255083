# SPDX-License-Identifier: Apache-2.0
"""Pictures: what they show is what the Machine and the Allocator say."""

from __future__ import annotations

import doctest
import importlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import topoalloc as ta
from topoalloc.draw import (
    device_matrix,
    distance_matrix,
    link_matrix,
    machine_svg,
    machine_tree,
    matrices_to_dict,
)
from topoalloc.draw._objects import Holders, Node, bytes_text, object_tree

SVG = "{http://www.w3.org/2000/svg}"
PRESETS = ta.Machine.presets()


def walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in walk(child))]


@pytest.mark.parametrize(
    "name",
    ["draw.machine", "draw._objects", "draw._svg", "cli._question", "cli._locations"],
)
def test_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"topoalloc.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


# --- the tree ---


@pytest.mark.parametrize("name", PRESETS)
def test_tree_nests_and_holds_everything_once(name: str) -> None:
    machine = ta.Machine.preset(name)
    nodes = walk(object_tree(machine))
    for node in nodes:
        inside = [pu for child in node.children for pu in child.pus]
        assert node.kind == "PU" or inside == [*node.pus]
    for kind, objects in (("PU", machine.pus), ("Core", machine.cores)):
        found = [node.logical_index for node in nodes if node.kind == kind]
        assert found == [each.logical_index for each in objects]
    memory = [each.os_index for node in nodes for each in node.memory]
    assert sorted(memory) == sorted(each.os_index for each in machine.numa_nodes)
    drawn = re.findall(r"(\S+) \(", machine_tree(machine, collapse=False))
    for device in machine.devices:
        assert drawn.count(device.name) == 1


def test_tree_looks_as_lstopo_s() -> None:
    machine = ta.Machine.from_synthetic("pack:2 numa:1(memory=1GB) l3:1 core:2 pu:2")
    machine = ta.Machine.from_dict(machine.to_dict() | {"name": "node"})
    assert machine_tree(machine, collapse=False) == (
        'Machine (1.9Gi total) "node"\n'
        "  Package L#0 (P#0)\n"
        "    NUMANode L#0 (P#0 954Mi)\n"
        "    L3 L#0\n"
        "      Core L#0 (P#0)\n"
        "        PU L#0 (P#0)\n"
        "        PU L#1 (P#1)\n"
        "      Core L#1 (P#1)\n"
        "        PU L#2 (P#2)\n"
        "        PU L#3 (P#3)\n"
        "  Package L#1 (P#1)\n"
        "    NUMANode L#1 (P#1 954Mi)\n"
        "    L3 L#1\n"
        "      Core L#2 (P#2)\n"
        "        PU L#4 (P#4)\n"
        "        PU L#5 (P#5)\n"
        "      Core L#3 (P#3)\n"
        "        PU L#6 (P#6)\n"
        "        PU L#7 (P#7)\n"
    )


def test_tree_leaves_out_kinds_that_stand_in() -> None:
    tree = machine_tree(ta.Machine.preset("intel-snc4"))
    assert "Die" not in tree
    assert (
        "  Package L#0 (P#0) + L3 L#0 (P#0)\n    Group L#0\n      NUMANode L#0" in tree
    )


def test_tree_shows_who_holds_what() -> None:
    machine = ta.Machine.preset("dgx-h100")
    allocator = ta.Allocator(machine, reserved_pus="0,112")
    request = ta.Request(cores=3, memory="24Gi", devices={"gpu": 1})
    allocator.allocate(request, owner="pod-7")
    allocator.cordon("gpu7")
    tree = machine_tree(machine, allocator)
    for line in (
        'Machine (2Ti total) "dgx-h100" [216 of 224 PUs free]',
        "NUMANode L#0 (P#0 1Ti) [1000Gi free]",
        "PU L#0-1 (P#0,112) [collapsed] <- reserved",
        "Core L#1-3 (P#1-3) + PU P#1-3,113-115 [collapsed] <- pod-7",
    ):
        assert f"{line}\n" in tree
    assert re.search(r"gpu0 \(.*\) <- pod-7\n", tree)
    assert re.search(r"gpu7 \(.*\) <- cordoned\n", tree)


def test_tree_collapses_only_what_is_alike() -> None:
    machine = ta.Machine.preset("dgx-h100-mig")
    allocator = ta.Allocator(machine)
    part = ta.DeviceRequest(1, partition="1g.10gb", eligible=["gpu0/3"])
    allocator.allocate(ta.Request(devices={"gpu": part}), owner="a")
    lines = [line.strip() for line in machine_tree(machine, allocator).splitlines()]
    at = lines.index("gpu0/3 (1g.10gb) <- a")
    assert lines[at - 1] == "gpu0/0-2 (1g.10gb) [collapsed]"
    assert lines[at + 1] == "gpu0/4-6 (1g.10gb) [collapsed]"


def test_split_core_shows_both_halves() -> None:
    machine = ta.Machine.from_synthetic("pack:1 core:2 pu:2")
    allocator = ta.Allocator(machine)
    allocator.allocate(ta.Request(pus=1), owner="a")
    assert "PU L#0 (P#0) <- a\n      PU L#1 (P#1)\n" in machine_tree(machine, allocator)


def test_disallowed_pus_are_marked() -> None:
    document = ta.Machine.from_synthetic("pack:1 core:4 pu:1").to_dict()
    machine = ta.Machine.from_dict(document | {"allowed_pus": "0-2"})
    assert Holders(machine).of_pu(3) == "not allowed"
    assert "PU L#3 (P#3) <- not allowed\n" in machine_tree(machine)


def test_disallowed_numa_nodes_are_marked() -> None:
    document = ta.Machine.from_synthetic("numa:2 core:4 pu:1").to_dict()
    document["numa_nodes"] += [
        {"os_index": i, "parent_cpuset": "0-3", "kind": "hbm", "memory": "1Gi"}
        for i in range(2, 10)
    ]
    machine = ta.Machine.from_dict(document | {"allowed_numa_nodes": [0, 2, 3, 4, 5]})
    for allocator in (None, ta.Allocator(machine)):
        tree = machine_tree(machine, allocator)
        assert "NUMANode L#0 (P#0 1Gi)\n" in tree
        assert "NUMANode L#1 (P#1 1Gi) <- not allowed\n" in tree
        assert "NUMANode L#2-5 (P#2-5 1Gi hbm) [collapsed]\n" in tree
        assert "NUMANode L#6-9 (P#6-9 1Gi hbm) [collapsed] <- not allowed\n" in tree
    picture = machine_svg(machine)
    assert "NUMANode L#1 P#1 1Gi, not allowed" in picture
    assert picture.count(">not allowed</text>") == 1  # in the legend
    whole = machine_svg(ta.Machine.from_synthetic("numa:2 core:4 pu:1"))
    assert ">not allowed</text>" not in whole


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1536, "1.5Ki"),
        (2**40, "1Ti"),
        (2**90, "1073741824Ei"),
    ],
)
def test_bytes_are_short(amount: int, text: str) -> None:
    assert bytes_text(amount) == text


# --- matrices ---


@pytest.mark.parametrize("name", PRESETS)
def test_matrix_says_what_the_machine_says(name: str) -> None:
    machine = ta.Machine.preset(name)
    roots = [device for device in machine.devices if device.parent is None]
    matrix = device_matrix(machine, own_words=True)
    assert matrix.names == tuple(device.name for device in roots)
    words = dict(matrix.legend)
    for a, row in zip(roots, matrix.cells, strict=True):
        for b, cell in zip(roots, row, strict=False):
            assert cell == ("X" if a is b else str(machine.distance(a, b)))
            assert a is b or machine.distance(a, b).nvidia_smi in words[cell]
    data = matrices_to_dict(machine)
    assert data["links_mb_s"] == [[machine.link(a, b) for b in roots] for a in roots]
    assert data["levels"] == [[machine.distance(a, b) for b in roots] for a in roots]


def test_matrix_in_words_of_nvidia_smi() -> None:
    text = str(device_matrix(ta.Machine.preset("dgx-a100"), ["gpu", "nic"]))
    lines = text.splitlines()
    assert lines[1].split()[:3] == ["gpu0", "gpu1", "gpu2"]
    assert lines[2].split()[:3] == ["gpu0", "X", "PXB"]
    # nvidia-smi's NODE for two levels would hide which.
    assert "package = package: the same Package, other NUMANodes" in text
    assert "PXB     = bridges: " in text


def test_link_matrix_is_in_gigabytes() -> None:
    matrix = link_matrix(ta.Machine.preset("dgx-h100"))
    assert matrix is not None
    assert matrix.cells[0][:3] == ("X", "450", "450")
    assert link_matrix(ta.Machine.preset("dgx-h100"), ["nic"]) is None


def test_distance_matrix_is_that_of_localities() -> None:
    matrix = distance_matrix(ta.Machine.preset("dgx-h100"))
    assert matrix is not None
    assert matrix.cells == (("10", "21"), ("21", "10"))
    assert distance_matrix(ta.Machine.from_synthetic("pack:1 core:2 pu:1")) is None


# --- SVG ---


def boxes(svg: str) -> dict[str, tuple[str, float, float, float, float]]:
    """Return class and edges of every rectangle that has an id."""
    found = {}
    root = ET.fromstring(svg)
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        assert rect.get("id") == f"{group.get('id')}_rect"
        x, y, width, height = (
            float(rect.attrib[key]) for key in ("x", "y", "width", "height")
        )
        identity = group.attrib["id"]
        assert identity not in found
        found[identity] = (group.attrib["class"], x, y, x + width, y + height)
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_svg_shows_every_object_inside_its_parent(name: str) -> None:
    machine = ta.Machine.preset(name)
    svg = machine_svg(machine)
    assert svg == machine_svg(machine)
    found = boxes(svg)
    classes = [entry[0] for entry in found.values()]
    assert classes.count("PU") == len(machine.pus)
    assert classes.count("Core") == len(machine.cores)
    parts = sum(device.parent is not None for device in machine.devices)
    assert classes.count("Partition") == parts
    assert classes.count("Device") == len(machine.devices) - parts
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        _, left, top, right, bottom = found[group.attrib["id"]]
        children = [found[g.attrib["id"]] for g in group.findall(f"{SVG}g")]
        for _, x0, y0, x1, y1 in children:
            assert left <= x0 < x1 <= right
            assert top <= y0 < y1 <= bottom
        for i, (_, x0, y0, x1, y1) in enumerate(children):
            for _, u0, v0, u1, v1 in children[:i]:
                assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0


def test_svg_colours_by_owner() -> None:
    machine = ta.Machine.preset("dgx-h100")
    allocator = ta.Allocator(machine, reserved_pus="0,112")
    request = ta.Request(cores=1, memory="512Gi", devices={"gpu": 1})
    first = allocator.allocate(request, owner="<b>&")
    allocator.allocate(ta.Request(cores=1, devices={"gpu": 1}), owner="two")
    svg = machine_svg(machine, allocator)
    found = boxes(svg)
    held = [i for i, entry in found.items() if "owner-0" in entry[0].split()]
    pus = {f"PU_{pu.logical_index}" for pu in machine.pus if pu.os_index in first.pus}
    assert {*held} == {*pus, "gpu0", "Legend_0"}
    assert found["PU_0"][0] == "PU reserved"
    assert found["gpu1"][0] == "Device owner-1"
    assert [entry[0] for i, entry in found.items() if i.startswith("Legend")] == [
        "Legend owner-0",
        "Legend owner-1",
        "Legend reserved",
    ]
    # Half of the NUMANode is taken.
    part = re.search(
        r'class="taken owner-0" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', svg
    )
    assert part is not None
    _, left, _, right, _ = found["NUMANode_0"]
    assert float(part[1]) == pytest.approx((right - left) / 2, rel=1e-4)
    assert "&lt;b&gt;&amp;" in svg


def test_svg_stripes_a_shared_device() -> None:
    machine = ta.Machine.preset("dgx-h100")
    allocator = ta.Allocator(machine)
    share = ta.DeviceRequest(1, share={"memory": "10Gi"}, eligible=["gpu0"])
    for owner in ("a", "b"):
        allocator.allocate(ta.Request(devices={"gpu": share}), owner=owner)
    found = re.findall(r'class="taken (owner-\d)"', machine_svg(machine, allocator))
    assert found == ["owner-0", "owner-1"]


def test_pictures_of_recordings(repository: Path) -> None:
    for path in sorted((repository / "csrc/tests/data").glob("*.xml")):
        machine = ta.Machine.from_xml(path)
        assert len(boxes(machine_svg(machine))) > len(machine.pus)
        assert machine_tree(machine).startswith("Machine (")
        assert str(device_matrix(machine)).startswith("Levels\n")
