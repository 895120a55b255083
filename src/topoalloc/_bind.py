# SPDX-License-Identifier: Apache-2.0
"""Apply a Placement to a process: the PUs first, then the memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topoalloc._constraints import check_pid
from topoalloc._errors import StateError

if TYPE_CHECKING:
    from topoalloc._machine import Machine
    from topoalloc._records import Placement

__all__ = ["bind_placement"]


def bind_placement(placement: Placement, pid: int = 0) -> None:
    """Bind a process to the PUs, and its memory to the NUMANodes, of a Placement.

    Parameters
    ----------
    placement : Placement
        Of a Machine that is this host: discovered on it, or read from its XML. What the
        Machine leaves out (the cgroup's limits, devices) does not matter.
    pid : int, default 0
        The process, 0 for the caller. Linux binds the memory of the caller alone.

    Raises
    ------
    InvalidRequestError
        The pid is no number of a process.
    StateError
        The Placement has neither PUs nor memory, or its Machine is not this host.
    TopologyError
        The kernel or hwloc refused.
    """
    check_pid(pid)
    # libhwloc is for those who bind, not for all who import topoalloc.
    from topoalloc import hwloc  # noqa: PLC0415

    nodes = {*placement.memory, *placement.hugepages}
    nodeset = ",".join(str(node) for node in sorted(nodes)) or None
    if not placement.cpuset and nodeset is None:
        raise StateError("placement: neither PUs nor memory to bind, want one of them")
    _require_this_host(placement.machine)
    if pid not in (0, os.getpid()):
        nodeset = None
    if placement.cpuset:
        hwloc.bind_process(placement.cpuset, nodeset, pid)
    elif nodeset is not None:
        hwloc.bind_memory(nodeset)


def _require_this_host(machine: Machine) -> None:
    """Refuse a Machine whose cores or NUMANodes are not those of this host.

    The kernel would bind to PUs of equal number, which are not what was chosen.
    """
    from topoalloc.hwloc import Bitmap  # noqa: PLC0415
    from topoalloc.hwloc._binding import host_objects  # noqa: PLC0415

    there = Bitmap(pu.os_index for pu in machine.pus)
    sets = {
        kind: {
            (obj.os_index, str(obj.cpuset & there))
            for obj in host_objects()
            if obj.type == kind and obj.cpuset is not None
        }
        for kind in ("PU", "Core", "Package", "NUMANode")
    }
    pus = {(pu.os_index, str(pu.os_index)) for pu in machine.pus}
    # A NUMANode without PUs has none in the Machine, and its parent's in hwloc's view.
    nodes = {(n.os_index, n.cpuset) for n in machine.numa_nodes if n.cpuset}
    # Where no object of a kind is there the Machine has stand-ins without an os_index.
    cores, packages = (
        {(d.os_index, d.cpuset) for d in domains if d.os_index is not None}
        for domains in (machine.cores, machine.packages)
    )
    for kind, ours in (
        ("PU", pus),
        ("Core", cores),
        ("Package", packages),
        ("NUMANode", nodes),
    ):
        wrong = sorted(ours - sets[kind])
        if wrong:
            index, cpuset = wrong[0]
            raise StateError(
                f"placement: its Machine has {kind} {index} with PUs {cpuset}, which "
                "this host has not, want a Machine of this host"
            )
