# SPDX-License-Identifier: Apache-2.0
"""The digest of recorded machines: what makes two of them one kind of node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from topoalloc import Machine, _core
from topoalloc._discover import apply_live_facts
from topoalloc.hwloc import PciFacts, live_facts

SOURCES = Path(__file__).resolve().parents[2]
RECORDED = (SOURCES / "csrc" / "tests" / "data" / "hwloc_v2.xml").read_bytes()


def changed(pattern: str, replacement: str, xml: bytes = RECORDED) -> bytes:
    text, count = re.subn(pattern, replacement, xml.decode())
    assert count > 0, pattern
    return text.encode()


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r'(name="HostName" value=)"[^"]*"', r'\1"other"'),
        (r'(name="DMIProductName" value=)"[^"]*"', r'\1"Same, of another batch"'),
        (r'(name="CPUModel" value=)"[^"]*"', r'\1"the same by another name"'),
        (r'(name="Address" value=)"00:00:10[^"]*"', r'\1"00:00:10:29:fe:80:01"'),
        (r'(name="NodeGUID" value=)"[^"]*"', r'\1"a088:c203:0000:0099"'),
        (r'(name="SysImageGUID" value=)"[^"]*"', r'\1"a088:c203:0000:0099"'),
        (r'(name="Port1GID0" value="fe80:.*:)0001"', r'\g<1>0099"'),
        (r'(name="NVIDIASerial" value=)"[^"]*"', r'\1"0099"'),
        (r'(name="NVIDIAUUID" value="GPU-00000000)', r"\g<1>-99"),
        (r'(name="SerialNumber" value=)"[^"]*"', r'\1"S0099"'),
        (r'name="ib0"', 'name="ib7"'),
        (r'name="mlx5_0"', 'name="rdma7"'),
        (r'name="nvme0n1"', 'name="nvme3n1"'),
        (r'name="opencl0d0"', 'name="opencl1d0"'),
        (r'gp_index="(\d+)"( .*pci_busid="0000:04)', r'gp_index="9\1"\2'),
        (r'(pci_busid="0000:82:00.0" .*pci_link_speed=)"[^"]*"', r'\1"2.000000"'),
    ],
)
def test_recordings_alike_but_for_identity(pattern: str, replacement: str) -> None:
    machine = Machine.from_xml(RECORDED)
    other = Machine.from_xml(changed(pattern, replacement))
    assert other.digest == machine.digest


def test_recordings_alike_but_for_everything_that_names_a_unit() -> None:
    xml = RECORDED
    for pattern, replacement in (
        (r'name="HostName" value="[^"]*"', 'name="HostName" value="n2"'),
        (
            r'name="(Address|NodeGUID|SysImageGUID)" value="[^"]*"',
            r'name="\1" value="9"',
        ),
        (r'name="(NVIDIASerial|SerialNumber)" value="[^"]*"', r'name="\1" value="9"'),
        (r'value="GPU-0', 'value="GPU-9'),
        (r'name="(ib|mlx5_)0"', r'name="\g<1>8"'),
        (r'pci_link_speed="[^"]*"', 'pci_link_speed="1.000000"'),
    ):
        xml = changed(pattern, replacement, xml)
    machine, other = Machine.from_xml(RECORDED), Machine.from_xml(xml)
    assert other != machine
    assert other.device("nic0").attributes != machine.device("nic0").attributes
    assert other.digest == machine.digest


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r'allowed_cpuset="0x0000007f"', 'allowed_cpuset="0x000000ff"'),
        (r'allowed_nodeset="0x00000001"', 'allowed_nodeset="0x00000101"'),
        (r'local_memory="8589934592"', 'local_memory="8589938688"'),
        (r'pci_busid="0000:82:00.0"', 'pci_busid="0000:82:00.1"'),
        (r"\[10de:2330\]", "[10de:2331]"),
        (r'(name="GPUModel" value=)"[^"]*"', r'\1"Another GPU"'),
        (r'(name="CUDAGlobalMemorySize" value=)"[^"]*"', r'\1"41943040"'),
        (r"10 21 22 10 ", "10 31 32 10 "),
        (r"1000000 50000 50000 1000000 ", "1000000 25000 25000 1000000 "),
        (r'bridge_pci="0000:\[80-82\]"', 'bridge_pci="0000:[7f-82]"'),
    ],
)
def test_recordings_of_other_machines(pattern: str, replacement: str) -> None:
    xml = changed(pattern, replacement)
    assert Machine.from_xml(xml).digest != Machine.from_xml(RECORDED).digest


def discovered(folder: Path, facts: dict[str, str]) -> Machine:
    """Return the recorded Machine with what sysfs says of one NVMe drive."""
    device = folder / "bus" / "pci" / "devices" / "0000:82:00.0"
    device.mkdir(parents=True)
    for name, text in facts.items():
        (device / name).write_text(f"{text}\n", encoding="ascii")
    known: dict[str, PciFacts] = live_facts(folder)
    spec = _core.read_hwloc_xml(RECORDED, "recorded")
    apply_live_facts(spec, known)
    return Machine(spec)


def test_discovered_machine_has_the_digest_of_its_recording(tmp_path: Path) -> None:
    """What a link can do is in no XML; a NUMANode that sysfs corrects counts."""
    facts = {
        "numa_node": "8",
        "max_link_speed": "8.0 GT/s PCIe",
        "max_link_width": "4",
        "current_link_width": "1",
    }
    recorded = Machine.from_xml(RECORDED)
    machine = discovered(tmp_path / "whole", facts)
    assert machine != recorded
    assert machine.digest == recorded.digest
    other = discovered(tmp_path / "narrow", facts | {"max_link_width": "8"})
    assert other != machine
    assert other.digest == machine.digest
    moved = discovered(tmp_path / "moved", facts | {"numa_node": "0"})
    assert moved.digest != machine.digest
