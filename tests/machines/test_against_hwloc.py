# SPDX-License-Identifier: Apache-2.0
"""Machines held to hwloc's own view: this host, files written by hand, synthetic ones.

`nox -s machines -- FOLDER` does the same for a folder of recorded machines.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.machines.compare import compare_xml, plain, wheel_libraries
from tests.machines.view import compare

from topoalloc import Machine, hwloc

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "csrc" / "tests" / "data"
# hwloc 3 writes version 3, and libhwloc before 2.11 does not read it.
READ_BY_ALL = [
    DATA / "hwloc_v1.xml",
    DATA / "hwloc_v2.xml",
    HERE / "nvswitch.xml",
    HERE / "heterogeneous.xml",
]

SYNTHETIC = [
    "pu:4",
    "core:4 pu:2",
    "pack:2 core:4 pu:2",
    "pack:2 numa:2 l3:2 core:2 pu:2",
    "numa:2 pack:2 core:2 pu:1",
    "pack:2 die:2 l3:2 l2:2 core:2 pu:1",
    "pack:2 l3:2 numa:1 core:2 pu:2",
    "group:2 pack:2 core:2 pu:2",
    "pack:2 [numa(memory=2GiB)] l3:2 [numa(memory=1GiB)] core:2 pu:2",
    "pack:2 [numa] core:4 [numa] pu:1",
    "pack:2 core:2(indexes=3,1,2,0) pu:2(indexes=0,4,1,5,2,6,3,7)",
    "numa:4(memory=16777216) core:2 pu:2(indexes=numa:core)",
    "pack:4 numa:4 l3:2 core:8 pu:2",
]

Change = Callable[[dict[str, Any]], object]


def test_this_host() -> None:
    with hwloc.load() as topology:
        machine = Machine.from_xml(topology.export_xml())
        machine.check_consistency()
        result = compare(machine, topology)
    assert not result.found
    assert result.compared["PU os_index"] == len(machine.pus) > 0
    assert result.compared["NUMANode bytes"] == len(machine.numa_nodes) > 0


def test_discovery_of_this_host() -> None:
    """What discovery adds is about devices; all else is hwloc's view."""
    machine = Machine.discover()
    machine.check_consistency()
    with hwloc.load() as topology:
        found = compare(machine, topology).found
    assert [line for line in found if not line.startswith(("device ", "level "))] == []


@pytest.mark.parametrize("path", READ_BY_ALL, ids=lambda path: path.name)
def test_files_written_by_hand(path: Path) -> None:
    result = compare_xml(path.read_bytes())
    assert not result.found
    assert result.compared["level"] > 0
    assert result.compared["link"] > 0


def test_every_version_by_the_library_of_the_wheel(repository: Path) -> None:
    """The program that compares a folder; the wheel's libhwloc reads version 3."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.machines.compare", str(DATA), str(HERE)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wheel_libraries()
    assert done.returncode == 0, done.stdout + done.stderr
    # Of the wheel's library alone: every file, none refused.
    answers = done.stdout.split(wheel_libraries()[0])[1].splitlines()[1:]
    names = sorted(path.name for path in (*DATA.glob("*.xml"), *HERE.glob("*.xml")))
    assert sorted(line.split()[0] for line in answers) == names
    assert all(line.endswith(" facts, 0 differ") for line in answers)


def test_file_that_no_library_reads_is_reported(
    tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "broken.xml").write_text("<topology", encoding="ascii")
    done = subprocess.run(
        [sys.executable, "-m", "tests.machines.compare", str(tmp_path)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "broken.xml: no libhwloc here reads it" in done.stdout
    assert "FormatError" in done.stdout


@pytest.mark.parametrize("description", SYNTHETIC)
def test_synthetic_descriptions(
    description: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWLOC_SYNTHETIC", description)
    with hwloc.load() as topology:
        assert not topology.is_thissystem
        ours = Machine.from_synthetic(description)
        assert compare(ours, topology).found == []
        exported = Machine.from_xml(topology.export_xml())
        assert compare(exported, topology).found == []


def _first_gpu(document: dict[str, Any]) -> dict[str, Any]:
    gpu: dict[str, Any] = next(d for d in document["devices"] if d["class"] == "gpu")
    return gpu


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d: d["cores"].pop(), "Core"),
        (lambda d: d["cores"][0].update(os_index=99), "Core"),
        (lambda d: d["l3s"].pop(), "L3Cache"),
        (lambda d: d["packages"][0].update(os_index=7), "Package"),
        (lambda d: d.pop("allowed_pus"), "allowed PUs"),
        (lambda d: d.pop("allowed_numa_nodes"), "NUMANode allowed"),
        (lambda d: d["numa_nodes"][0].update(memory=4096), "NUMANode bytes"),
        (lambda d: d["numa_nodes"][0].update(hugepages={}), "NUMANode hugepages"),
        (lambda d: d["numa_nodes"][0].update(kind="hbm"), "NUMANode kind"),
        (lambda d: d["distances"]["values"][0].reverse(), "NUMA distance"),
        (lambda d: d.pop("links"), "link"),
        (lambda d: _first_gpu(d).update(numa_nodes=[8]), "device NUMANodes"),
        (lambda d: _first_gpu(d).update(bridge=None), "device bridges"),
        (lambda d: _first_gpu(d).update(uuid="GPU-2"), "device uuid"),
        (lambda d: _first_gpu(d).update(capacities={}), "device memory"),
        (lambda d: _first_gpu(d)["attributes"].pop("os_names"), "device OS devices"),
        (lambda d: _first_gpu(d).update({"class": "nic"}), "device class"),
        (
            lambda d: d.update(
                overrides={"levels": [{"a": "gpu0", "b": "nic0", "level": "self"}]}
            ),
            "level",
        ),
    ],
)
def test_what_differs_is_found(change: Change, what: str) -> None:
    """The comparison itself: no part of it is blind."""
    xml = (DATA / "hwloc_v2.xml").read_bytes()
    document = Machine.from_xml(xml).to_dict()
    change(document)
    for device in document["devices"]:
        if device.get("bridge", "") is None:
            del device["bridge"]
    with hwloc.load(plain(xml)) as topology:
        found = compare(Machine.from_dict(document), topology).found
    assert any(line.startswith(f"{what} ") for line in found), found
