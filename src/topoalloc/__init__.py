# SPDX-License-Identifier: Apache-2.0
"""Where exactly should this run, or why can it not: cores, memory, GPUs and NICs.

`Machine` is the topology of a node, `Request` what one pod needs, `Allocator` answers
and keeps who holds what. An answer is optimal, or a proof that there is none.

>>> import topoalloc as ta
>>> allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
>>> request = ta.Request(cores=16, devices={"gpu": 2, "nic": 2},
...                      require=[ta.Pair("gpu", "nic", within="bridges")])
>>> placement = allocator.allocate(request, owner="pod-7")
>>> placement.devices
('gpu0', 'gpu1', 'nic0', 'nic3')
"""

from __future__ import annotations

from topoalloc._allocator import Allocator
from topoalloc._constraints import (
    Align,
    AtLeast,
    AtMost,
    Distinct,
    Link,
    Near,
    Not,
    OneOf,
    Pair,
    Same,
)
from topoalloc._errors import (
    FormatError,
    InfeasibleError,
    InternalError,
    InvalidRequestError,
    NotPlacedError,
    StaleError,
    StateError,
    TopoallocError,
    TopologyError,
    UndecidedError,
)
from topoalloc._machine import Device, Level, Machine
from topoalloc._policy import Cost, Policy
from topoalloc._records import (
    BatchVerdict,
    Explanation,
    Headroom,
    Placement,
    Status,
    Verdict,
    library_version,
)
from topoalloc._request import DeviceRequest, Request
from topoalloc._snapshot import Replay, replay

__all__ = [
    "Align",
    "Allocator",
    "AtLeast",
    "AtMost",
    "BatchVerdict",
    "Cost",
    "Device",
    "DeviceRequest",
    "Distinct",
    "Explanation",
    "FormatError",
    "Headroom",
    "InfeasibleError",
    "InternalError",
    "InvalidRequestError",
    "Level",
    "Link",
    "Machine",
    "Near",
    "Not",
    "NotPlacedError",
    "OneOf",
    "Pair",
    "Placement",
    "Policy",
    "Replay",
    "Request",
    "Same",
    "StaleError",
    "StateError",
    "Status",
    "TopoallocError",
    "TopologyError",
    "UndecidedError",
    "Verdict",
    "__version__",
    "get_include",
    "replay",
]

__version__: str


def get_include() -> str:
    """Return the folder of the C++ headers, for ``-I``.

    Returns
    -------
    str
        It holds ``topoalloc/allocator.hpp`` and the other headers.
    """
    # For those who compile, not for all who import.
    from pathlib import Path  # noqa: PLC0415

    return str(Path(__file__).resolve().parent / "include")


def __getattr__(name: str) -> str:
    if name == "__version__":
        return library_version()
    raise AttributeError(f"module 'topoalloc' has no attribute {name!r}")
