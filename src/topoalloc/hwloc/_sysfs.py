# SPDX-License-Identifier: Apache-2.0
"""What Linux knows of PCI functions and hwloc's XML does not say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ._bitmap import Bitmap

__all__ = ["PciFacts", "live_facts"]

# What the kernel says of a link that is not there or not known.
_UNKNOWN_WIDTHS: Final = (0, 255)
_ADDRESS: Final = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True)
class PciFacts:
    """Of one PCI function, from sysfs; None where the kernel says nothing.

    Attributes
    ----------
    numa_node : int or None
        os_index of its NUMANode; None where the kernel says -1: the firmware did not
        tell, so the locality that hwloc derives is a guess.
    local_cpuset : Bitmap or None
        PUs near it, by os_index.
    physfn : str or None
        Of an SR-IOV virtual function: the address of its physical function.
    sriov_totalvfs, sriov_numvfs : int or None
        Of a physical function: virtual functions possible, and there now.
    driver : str or None
        Name of the kernel driver that holds it.
    current_link_gt_s, max_link_gt_s : float or None
        Transfer rate of a lane in GT/s, as trained now (power saving lowers it) and at
        most.
    current_link_width, max_link_width : int or None
        Lanes, as trained now and at most.
    """

    numa_node: int | None
    local_cpuset: Bitmap | None
    physfn: str | None
    sriov_totalvfs: int | None
    sriov_numvfs: int | None
    driver: str | None
    current_link_gt_s: float | None
    max_link_gt_s: float | None
    current_link_width: int | None
    max_link_width: int | None


def live_facts(
    root: str | Path = "/sys", addresses: Iterable[str] | None = None
) -> dict[str, PciFacts]:
    """Read the facts of the PCI functions of this host.

    Parameters
    ----------
    root : str or Path
        Where sysfs is mounted.
    addresses : iterable of str, optional
        Only these, of which some may not be there; a file takes 10 us to read.

    Returns
    -------
    dict of str to PciFacts
        By address ("0000:1b:00.0"), in ascending order; empty on a host without PCI.
    """
    folder = Path(root, "bus", "pci", "devices")
    try:
        there = {entry.name for entry in folder.iterdir()}
    except OSError:
        return {}
    names = sorted(there if addresses is None else there.intersection(addresses))
    return {n: _facts(folder / n) for n in names if _ADDRESS.fullmatch(n)}


def _facts(device: Path) -> PciFacts:
    numa_node = _integer(device / "numa_node")
    cpus = _text(device / "local_cpulist")
    return PciFacts(
        numa_node=numa_node if numa_node is not None and numa_node >= 0 else None,
        local_cpuset=Bitmap.from_list(cpus) if cpus else None,
        physfn=_link(device / "physfn"),
        sriov_totalvfs=_integer(device / "sriov_totalvfs"),
        sriov_numvfs=_integer(device / "sriov_numvfs"),
        driver=_link(device / "driver"),
        current_link_gt_s=_rate(device / "current_link_speed"),
        max_link_gt_s=_rate(device / "max_link_speed"),
        current_link_width=_width(device / "current_link_width"),
        max_link_width=_width(device / "max_link_width"),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        # Most functions lack most of these files; some say EINVAL or EIO when read.
        return None


def _link(path: Path) -> str | None:
    try:
        return path.readlink().name
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and re.fullmatch(r"-?\d{1,9}", text) else None


def _rate(path: Path) -> float | None:
    # "16.0 GT/s PCIe", "8 GT/s"; "Unknown" where there is no link.
    match = re.match(r"(\d+(?:\.\d+)?) GT/s", _text(path) or "")
    return float(match[1]) if match else None


def _width(path: Path) -> int | None:
    width = _integer(path)
    return None if width in _UNKNOWN_WIDTHS else width
