# SPDX-License-Identifier: Apache-2.0
"""The host as a MachineSpec: hwloc's view, and what Linux knows beyond it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from topoalloc import _core

if TYPE_CHECKING:
    from topoalloc.hwloc import PciFacts

__all__ = ["LINK_SPEEDS", "apply_live_facts", "discover_spec"]

_MAX_SPEED: Final = "max_link_speed_mb_s"
LINK_SPEEDS: Final = frozenset({"link_speed_mb_s", _MAX_SPEED})
"""What the digest leaves out. The first is what a link ran at when it was looked at: it
is slower while it saves power. The second is in no XML, and a discovered Machine is of
one kind with its own recording."""
_NUMA_NODE: Final = "numa_node"
_VIRTUAL: Final = "sriov_vf"
_PART: Final = "vf"

# Of 1000 bits on the wire, those that are data, by the slowest rate (GT/s) coded so:
# 8b/10b, 128b/130b, and flits of 242 bytes in 256.
_CODING: Final = ((64.0, 242 / 256), (8.0, 128 / 130), (0.0, 8 / 10))


def discover_spec(*, allowed_only: bool, sysfs: str = "/sys") -> _core.MachineSpec:
    """Read this host.

    Parameters
    ----------
    allowed_only : bool
        Leave out what the caller's cgroup does not allow.
    sysfs : str
        Where sysfs is mounted.

    Returns
    -------
    _core.MachineSpec
        What hwloc sees, corrected by `apply_live_facts`.

    Raises
    ------
    TopologyError
        There is no usable libhwloc, or it refused.
    """
    # Only those who discover pay for the import of the hwloc binding.
    from topoalloc.hwloc import live_facts  # noqa: PLC0415
    from topoalloc.hwloc._topology import read_host  # noqa: PLC0415

    xml, is_thissystem = read_host(allowed_only=allowed_only)
    spec = _core.read_hwloc_xml(xml, "this host")
    devices = spec.devices
    if is_thissystem and devices:
        bridges = spec.bridges
        ports = [bridges[d.bridge].address for d in devices if d.bridge is not None]
        addresses = [d.pci_address for d in devices] + ports
        apply_live_facts(spec, live_facts(sysfs, filter(None, addresses)))
    return spec


def apply_live_facts(spec: _core.MachineSpec, facts: Mapping[str, PciFacts]) -> None:
    """Correct and complete the devices of a spec by what the kernel says of them.

    Virtual functions get the physical function that the kernel names, and no other.
    Where the kernel knows no NUMANode the locality is unknown, and one that hwloc did
    not find (it asks for a bus, not for each function) is taken, unless the user has
    told hwloc by HWLOC_PCI_LOCALITY. The attribute ``max_link_speed_mb_s`` is what the
    device and the port above it can both do.

    Parameters
    ----------
    spec : _core.MachineSpec
        Changed in place.
    facts : mapping of str to PciFacts
        By PCI address; of some devices and bridges, or of more.
    """
    devices = spec.devices
    bridges = spec.bridges
    nodes = {node.os_index for node in spec.numa_nodes}
    # On a Machine with one NUMANode there is no other that it could be.
    is_place_told = len(nodes) > 1 and not os.environ.get("HWLOC_PCI_LOCALITY")
    for device in devices:
        known = facts.get(device.pci_address or "")
        if known is None:
            continue
        if is_place_told:
            _set_place(device, known, nodes)
        bridge = None if device.bridge is None else bridges[device.bridge].address
        speed = _max_speed(known, facts.get(bridge or ""))
        if speed:
            device.attributes = {**device.attributes, _MAX_SPEED: speed}
    _set_parents(devices, facts)
    spec.devices = devices
    # A link is between roots: what the parent has, its functions have.
    spec.links = [
        link
        for link in spec.links
        if devices[link.from_device].parent is None
        and devices[link.to_device].parent is None
    ]


def _set_place(device: _core.DeviceSpec, known: PciFacts, nodes: set[int]) -> None:
    found = set(device.numa_nodes)
    if known.numa_node is None:
        device.numa_nodes = []
        attributes = device.attributes
        attributes.pop(_NUMA_NODE, None)
        device.attributes = attributes
    elif known.numa_node in nodes and (known.numa_node not in found or found == nodes):
        device.numa_nodes = [known.numa_node]
        device.attributes = {**device.attributes, _NUMA_NODE: known.numa_node}


def _max_speed(device: PciFacts, port: PciFacts | None) -> int | None:
    """Return MB/s of what both ends can do; of one end where only one tells."""
    ends = [end for end in (device, port) if end is not None]
    rates = [end.max_link_gt_s for end in ends if end.max_link_gt_s]
    widths = [end.max_link_width for end in ends if end.max_link_width]
    if not rates or not widths:
        return None
    rate = min(rates)
    coding = next(share for least, share in _CODING if rate >= least)
    return round(rate * coding * min(widths) * 1000 / 8)


def _set_parents(
    devices: list[_core.DeviceSpec], facts: Mapping[str, PciFacts]
) -> None:
    index_of = {d.pci_address: i for i, d in enumerate(devices) if d.pci_address}
    for device in devices:
        known = facts.get(device.pci_address or "")
        if known is None:
            continue
        if device.partition == _PART:
            # Guessed from the names and addresses in the XML.
            device.parent, device.partition, device.draws = None, "", {}
        # A virtual machine may have the function and not its parent.
        if known.physfn is None:
            continue
        device.attributes = {**device.attributes, _VIRTUAL: True}
        parent = index_of.get(known.physfn)
        if (
            parent is not None
            and devices[parent] is not device
            and devices[parent].device_class == device.device_class
        ):
            device.parent, device.partition = parent, _PART
            device.draws = {_PART: 1}
    _count_parts(devices)


def _count_parts(devices: list[_core.DeviceSpec]) -> None:
    counts = Counter(d.parent for d in devices if d.partition == _PART)
    for index, device in enumerate(devices):
        counters = {k: n for k, n in device.counters.items() if k != _PART}
        if counts[index]:
            counters[_PART] = counts[index]
        device.counters = counters
