# SPDX-License-Identifier: Apache-2.0
"""hwloc itself: the live host, its XML, binding, and sets of indices.

Importing this loads nothing; libhwloc is loaded by the first call that needs it (all
but `Bitmap` and `live_facts`), which raises `TopologyError` where there is none, with
what to do.
"""

from __future__ import annotations

from ._binding import (
    MemoryBinding,
    MemoryPolicy,
    bind_memory,
    bind_process,
    get_cpubind,
    get_last_cpu_location,
    get_membind,
)
from ._bitmap import Bitmap
from ._library import Library, library
from ._sysfs import PciFacts, live_facts
from ._topology import (
    BridgeAttributes,
    CacheAttributes,
    Distances,
    DistancesTransform,
    GroupAttributes,
    MemoryAttributes,
    Object,
    OsDeviceAttributes,
    PciAttributes,
    Topology,
    discover_xml,
    load,
)

__all__ = [
    "Bitmap",
    "BridgeAttributes",
    "CacheAttributes",
    "Distances",
    "DistancesTransform",
    "GroupAttributes",
    "Library",
    "MemoryAttributes",
    "MemoryBinding",
    "MemoryPolicy",
    "Object",
    "OsDeviceAttributes",
    "PciAttributes",
    "PciFacts",
    "Topology",
    "bind_memory",
    "bind_process",
    "discover_xml",
    "get_cpubind",
    "get_last_cpu_location",
    "get_membind",
    "library",
    "live_facts",
    "load",
]
