# SPDX-License-Identifier: Apache-2.0
"""`live_facts`: what sysfs says of PCI functions."""

from __future__ import annotations

from pathlib import Path

from topoalloc import hwloc

UNKNOWN = hwloc.PciFacts(
    numa_node=None,
    local_cpuset=None,
    physfn=None,
    sriov_totalvfs=None,
    sriov_numvfs=None,
    driver=None,
    current_link_gt_s=None,
    max_link_gt_s=None,
    current_link_width=None,
    max_link_width=None,
)


def make_device(root: Path, address: str, files: dict[str, str]) -> Path:
    device = root / "bus" / "pci" / "devices" / address
    device.mkdir(parents=True)
    for name, text in files.items():
        (device / name).write_text(text, encoding="ascii")
    return device


def test_facts_of_a_network_card(tmp_path: Path) -> None:
    physical = make_device(
        tmp_path,
        "0000:1b:00.0",
        {
            "numa_node": "1\n",
            "local_cpulist": "8-15,24-31\n",
            "sriov_totalvfs": "16\n",
            "sriov_numvfs": "1\n",
            "current_link_speed": "2.5 GT/s PCIe\n",
            "max_link_speed": "32.0 GT/s PCIe\n",
            "current_link_width": "8\n",
            "max_link_width": "16\n",
        },
    )
    (tmp_path / "mlx5_core").mkdir()
    (physical / "driver").symlink_to(tmp_path / "mlx5_core")
    virtual = make_device(tmp_path, "0000:1b:00.2", {"numa_node": "-1\n"})
    (virtual / "physfn").symlink_to("../0000:1b:00.0")
    facts = hwloc.live_facts(tmp_path)
    assert list(facts) == ["0000:1b:00.0", "0000:1b:00.2"]
    assert facts["0000:1b:00.0"] == hwloc.PciFacts(
        numa_node=1,
        local_cpuset=hwloc.Bitmap.from_list("8-15,24-31"),
        physfn=None,
        sriov_totalvfs=16,
        sriov_numvfs=1,
        driver="mlx5_core",
        current_link_gt_s=2.5,
        max_link_gt_s=32.0,
        current_link_width=8,
        max_link_width=16,
    )
    assert facts["0000:1b:00.2"].physfn == "0000:1b:00.0"
    assert facts["0000:1b:00.2"].numa_node is None


def test_facts_that_the_kernel_does_not_know(tmp_path: Path) -> None:
    make_device(
        tmp_path,
        "10000:00:01.7",
        {
            "numa_node": "",
            "local_cpulist": "\n",
            "current_link_speed": "Unknown\n",
            "max_link_speed": "Unknown speed\n",
            "current_link_width": "0\n",
            "max_link_width": "255\n",
        },
    )
    make_device(tmp_path, "not-an-address", {"numa_node": "0\n"})
    assert hwloc.live_facts(tmp_path) == {"10000:00:01.7": UNKNOWN}


def test_facts_without_pci(tmp_path: Path) -> None:
    assert hwloc.live_facts(tmp_path) == {}


def test_facts_of_this_host() -> None:
    devices = Path("/sys/bus/pci/devices")
    there = {p.name: p for p in devices.iterdir()} if devices.exists() else {}
    facts = hwloc.live_facts()
    assert facts.keys() == there.keys()
    for address, fact in facts.items():
        said = int((there[address] / "numa_node").read_text(encoding="ascii"))
        assert fact.numa_node == (None if said == -1 else said)
