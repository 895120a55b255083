# SPDX-License-Identifier: Apache-2.0
"""Discovery: what sysfs adds to hwloc's view, and what a cgroup takes away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from topoalloc import Machine, TopologyError, _discover, hwloc

SOURCES = Path(__file__).resolve().parents[2]
TWO_PACKAGES = (SOURCES / "csrc" / "tests" / "data" / "hwloc_v2.xml").read_bytes()

GPU, SECOND_GPU = "0000:03:00.0", "0000:81:00.0"
NIC, NIC_PORT, VF = "0000:04:00.0", "0000:00:02.0", "0000:04:00.1"


def function(root: Path, address: str, **files: str) -> None:
    """Make one PCI function of a sysfs; `physfn` is a link."""
    folder = root / "bus" / "pci" / "devices" / address
    folder.mkdir(parents=True)
    physfn = files.pop("physfn", None)
    if physfn is not None:
        (folder / "physfn").symlink_to(f"../{physfn}")
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n", encoding="ascii")


def discover(sysfs: Path, xml: bytes, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr("topoalloc.hwloc._topology.read_host", lambda **_: (xml, True))
    return Machine(_discover.discover_spec(allowed_only=False, sysfs=str(sysfs)))


def test_without_sysfs_it_is_what_hwloc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = discover(tmp_path, TWO_PACKAGES, monkeypatch)
    assert found.to_dict() == Machine.from_xml(TWO_PACKAGES).to_dict()


def test_another_machine_gets_no_facts_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function(tmp_path, GPU, numa_node="8")
    monkeypatch.setattr(
        "topoalloc.hwloc._topology.read_host", lambda **_: (TWO_PACKAGES, False)
    )
    spec = _discover.discover_spec(allowed_only=False, sysfs=str(tmp_path))
    assert Machine(spec).device(GPU).numa_nodes == (0,)


def test_place_is_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function(tmp_path, GPU, numa_node="-1")
    function(tmp_path, SECOND_GPU, numa_node="0")
    function(tmp_path, NIC, numa_node="0")
    function(tmp_path, "0000:82:00.0", numa_node="5")
    machine = discover(tmp_path, TWO_PACKAGES, monkeypatch)
    machine.check_consistency()
    unknown = machine.device(GPU)
    assert unknown.numa_nodes == unknown.localities == ()
    assert "numa_node" not in unknown.attributes
    # hwloc asks for the bus; the function itself was corrected by its owner.
    assert machine.device(SECOND_GPU).numa_nodes == (0,)
    assert machine.device(SECOND_GPU).attributes["numa_node"] == 0
    assert machine.device(NIC).numa_nodes == (0,)
    # A NUMANode that the machine has not is no place.
    assert machine.device("0000:82:00.0").numa_nodes == (8,)


def test_place_that_the_user_told_hwloc_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function(tmp_path, GPU, numa_node="-1")
    monkeypatch.setenv("HWLOC_PCI_LOCALITY", "0000:00-09 0x33")
    assert discover(tmp_path, TWO_PACKAGES, monkeypatch).device(GPU).numa_nodes == (0,)


def test_with_one_numa_node_unknown_is_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml = re.sub(
        rb'<object type="Package" os_index="1".*?\n    </object>', b"", TWO_PACKAGES,
        flags=re.DOTALL,
    )  # fmt: skip
    xml = re.sub(rb"<distances2.*?</distances2>", b"", xml, flags=re.DOTALL)
    xml = xml.replace(b'cpuset="0x000000ff"', b'cpuset="0x00000033"')
    function(tmp_path, GPU, numa_node="-1")
    machine = discover(tmp_path, xml, monkeypatch)
    assert len(machine.numa_nodes) == 1
    assert machine.device(GPU).localities == (0,)
    assert machine.device(GPU).attributes["numa_node"] == 0


@pytest.mark.parametrize(
    ("device", "port", "mb_s"),
    [
        (("16.0 GT/s PCIe", "16"), ("32.0 GT/s PCIe", "16"), 31508),
        (("32.0 GT/s PCIe", "16"), ("8.0 GT/s PCIe", "8"), 7877),
        (("5.0 GT/s PCIe", "4"), None, 2000),
        (("Unknown", "255"), ("64.0 GT/s PCIe", "16"), 121000),
        (("Unknown", "0"), None, None),
    ],
)
def test_maximum_speed_is_that_of_both_ends(
    device: tuple[str, str],
    port: tuple[str, str] | None,
    mb_s: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for address, link in ((NIC, device), (NIC_PORT, port)):
        if link is not None:
            function(
                tmp_path,
                address,
                numa_node="0",
                max_link_speed=link[0],
                max_link_width=link[1],
            )
    nic = discover(tmp_path, TWO_PACKAGES, monkeypatch).device(NIC)
    assert nic.attributes.get("max_link_speed_mb_s") == mb_s
    # What it runs at now stays beside it.
    assert nic.attributes["link_speed_mb_s"] == 31508


def test_virtual_functions_have_the_kernels_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ambiguous = (SOURCES / "tests" / "machines" / "heterogeneous.xml").read_bytes()
    virtual = "e000:e1:00.2"
    assert Machine.from_xml(ambiguous).device(virtual).parent is None
    function(tmp_path, "e000:e1:00.0", numa_node="0")
    function(tmp_path, "e000:e1:00.1", numa_node="0")
    function(tmp_path, virtual, numa_node="0", physfn="e000:e1:00.1")
    machine = discover(tmp_path, ambiguous, monkeypatch)
    machine.check_consistency()
    part = machine.device(virtual)
    assert part.parent is not None
    assert part.parent.pci_address == "e000:e1:00.1"
    assert part.partition == "vf"
    assert part.draws == {"vf": 1}
    assert part.parent.counters == {"vf": 1}
    assert machine.device("e000:e1:00.0").counters == {}


def test_function_without_parent_here_is_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a virtual machine both functions may stand side by side by chance."""
    parent = Machine.from_xml(TWO_PACKAGES).device(VF).parent
    assert parent is not None
    function(tmp_path, NIC, numa_node="0")
    function(tmp_path, VF, numa_node="0")
    machine = discover(tmp_path, TWO_PACKAGES, monkeypatch)
    machine.check_consistency()
    assert machine.device(VF).parent is None
    assert machine.device(VF).partition is None
    assert machine.device(NIC).counters == {}


def test_virtual_gpu_gives_its_links_to_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function(tmp_path, GPU, numa_node="0")
    function(tmp_path, SECOND_GPU, numa_node="0", physfn=GPU)
    machine = discover(tmp_path, TWO_PACKAGES, monkeypatch)
    machine.check_consistency()
    assert [d.name for d in machine.devices if d.device_class == "gpu"] == [
        "gpu0",
        "gpu0/0",
    ]
    assert machine.to_dict().get("links", []) == []


def test_parent_that_is_no_device_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function(tmp_path, VF, numa_node="0", physfn="0000:05:00.0")
    function(tmp_path, SECOND_GPU, numa_node="8", physfn=NIC)
    machine = discover(tmp_path, TWO_PACKAGES, monkeypatch)
    assert machine.device(VF).parent is None
    assert machine.device(VF).attributes["sriov_vf"] is True
    assert machine.device(SECOND_GPU).parent is None


def test_facts_are_read_of_what_is_asked(tmp_path: Path) -> None:
    for address in (GPU, NIC, VF):
        function(tmp_path, address, numa_node="1")
    found = hwloc.live_facts(tmp_path, [NIC, "0000:ff:00.0"])
    assert list(found) == [NIC]
    assert found[NIC].numa_node == 1
    assert list(hwloc.live_facts(tmp_path)) == [GPU, NIC, VF]


# --- this host ---


def test_this_host_has_the_kernels_pus_and_nodes() -> None:
    machine = Machine.discover()
    machine.check_consistency()
    text = Path("/sys/devices/system/cpu/online").read_text(encoding="ascii")
    assert {pu.os_index for pu in machine.pus} == set(hwloc.Bitmap.from_list(text))
    assert machine == Machine.discover()


def test_error_of_the_host_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWLOC_XMLFILE", "node.xml")
    with pytest.raises(TopologyError, match="want it unset"):
        Machine.discover()


CHILD = """
import json, os, re
import topoalloc as ta
last = sorted(os.sched_getaffinity(0))[-1]
os.sched_setaffinity(0, {last})
whole, part = ta.Machine.discover(), ta.Machine.discover(allowed_only=True)
status = open("/proc/self/status").read()
print(json.dumps({
    "whole": [pu.os_index for pu in whole.pus],
    "allowed": whole.allowed_pus,
    "part": [pu.os_index for pu in part.pus],
    "part_allowed": part.allowed_pus,
    "mems": re.search(r"^Mems_allowed_list:\\s*(\\S+)$", status, re.M)[1],
    "whole_nodes": [node.os_index for node in whole.numa_nodes],
    "allowed_nodes": whole.allowed_numa_nodes,
    "nodes": [node.os_index for node in part.numa_nodes],
    "part_allowed_nodes": part.allowed_numa_nodes,
    "parts": [len(part.packages), len(part.cores), len(part.localities)],
}))
"""


@contextlib.contextmanager
def cpuset_cgroup(pus: list[int]) -> Iterator[Path | None]:
    """Make a cgroup of these PUs where this process may; None where it may not."""
    top = Path("/sys/fs/cgroup/cpuset")
    folder = top / f"topoalloc-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        mems = (top / "cpuset.mems").read_text(encoding="ascii")
        (folder / "cpuset.mems").write_text(mems, encoding="ascii")
        (folder / "cpuset.cpus").write_text(",".join(map(str, pus)), encoding="ascii")
        yield folder
    finally:
        folder.rmdir()


def discover_in(cgroup: Path | None) -> dict[str, Any]:
    # A shell, so that the process is in the cgroup before Python starts.
    join = "" if cgroup is None else f"echo $$ > {cgroup}/cgroup.procs && "
    done = subprocess.run(
        ["/bin/sh", "-c", f'{join}exec "$0" -c "$1"', sys.executable, CHILD],
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_allowed_only_keeps_to_the_cgroup_and_not_to_the_affinity() -> None:
    """In a cgroup of two PUs where one can be made, else in that of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    match = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    assert match is not None
    own = sorted(hwloc.Bitmap.from_list(match[1]))
    with cpuset_cgroup(own[-2:]) as cgroup:
        found = discover_in(cgroup)
        pus = own[-2:] if cgroup is not None else own
    online = Path("/sys/devices/system/cpu/online").read_text(encoding="ascii")
    assert found["whole"] == sorted(hwloc.Bitmap.from_list(online))
    assert found["part"] == pus
    assert found["allowed"] == found["part_allowed"] == str(hwloc.Bitmap(pus))
    # The kernel may count NUMANodes that could be plugged in.
    mems = sorted({*hwloc.Bitmap.from_list(found["mems"])} & {*found["whole_nodes"]})
    assert found["allowed_nodes"] == found["part_allowed_nodes"] == mems
    assert found["nodes"] == mems != []
    assert min(found["parts"]) >= 1


def test_allowed_pus_of_a_document_are_what_hwloc_keeps() -> None:
    """Any machine, by a document: the parts of what is kept are the same parts."""
    from tests.machines.compare import plain
    from tests.machines.view import compare

    path = SOURCES / "tests" / "machines" / "heterogeneous.xml"
    with hwloc.load(plain(path.read_bytes()), allowed_only=True) as topology:
        machine = Machine.from_xml(topology.export_xml())
        machine.check_consistency()
        assert compare(machine, topology).found == []
    whole = Machine.from_xml(path)
    assert {pu.os_index for pu in machine.pus} == set(
        hwloc.Bitmap.from_list(whole.allowed_pus)
    )
    assert machine.allowed_pus == whole.allowed_pus
    assert len(whole.allowed_numa_nodes) < len(whole.numa_nodes)
    kept = tuple(node.os_index for node in machine.numa_nodes)
    assert kept == machine.allowed_numa_nodes == whole.allowed_numa_nodes
