# SPDX-License-Identifier: Apache-2.0
"""Apply a Placement to a process: the PUs first, then the memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topoalloc._errors import StateError

if TYPE_CHECKING:
    from topoalloc._records import Placement

__all__ = ["bind_placement"]


def bind_placement(placement: Placement, pid: int = 0) -> None:
    """Bind a process to the PUs, and its memory to the NUMANodes, of a Placement.

    Parameters
    ----------
    placement : Placement
        Of a Machine that was discovered on this host.
    pid : int, default 0
        The process, 0 for the caller. Linux binds the memory of the caller alone.

    Raises
    ------
    StateError
        The Placement has neither PUs nor memory.
    TopologyError
        The kernel or hwloc refused.
    """
    # libhwloc is for those who bind, not for all who import topoalloc.
    from topoalloc import hwloc  # noqa: PLC0415

    nodes = {*placement.memory, *placement.hugepages}
    nodeset = ",".join(str(node) for node in sorted(nodes)) or None
    if pid not in (0, os.getpid()):
        nodeset = None
    if placement.cpuset:
        hwloc.bind_process(placement.cpuset, nodeset, pid)
    elif nodeset is not None:
        hwloc.bind_memory(nodeset)
    else:
        raise StateError("placement: neither PUs nor memory to bind, want one of them")
