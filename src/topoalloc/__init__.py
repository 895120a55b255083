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

TYPE_CHECKING = False  # typing would be the dearest import here; checkers know the name
if TYPE_CHECKING:
    from topoalloc._allocator import Allocator
    from topoalloc._cluster import (
        Cluster,
        DomainHeadroom,
        NodeDescription,
        RunningGang,
    )
    from topoalloc._cluster_change import ClusterChange, LeftHolding, PodMove
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
    from topoalloc._gang import (
        Balanced,
        Gang,
        Group,
        PodSet,
        Rails,
        Slice,
        Spread,
        Taint,
        Toleration,
        Within,
    )
    from topoalloc._gang_answer import GangCost, GangPlan, GangVerdict, PodPlace
    from topoalloc._gang_explanation import GangExplanation
    from topoalloc._machine import Device, Level, Machine
    from topoalloc._policy import Cost, Policy
    from topoalloc._records import (
        BatchExplanation,
        BatchVerdict,
        Explanation,
        Headroom,
        Placement,
        Status,
        Verdict,
    )
    from topoalloc._request import DeviceRequest, Request
    from topoalloc._snapshot import Replay, replay

__all__ = [
    "Align",
    "Allocator",
    "AtLeast",
    "AtMost",
    "Balanced",
    "BatchExplanation",
    "BatchVerdict",
    "Cluster",
    "ClusterChange",
    "Cost",
    "Device",
    "DeviceRequest",
    "Distinct",
    "DomainHeadroom",
    "Explanation",
    "FormatError",
    "Gang",
    "GangCost",
    "GangExplanation",
    "GangPlan",
    "GangVerdict",
    "Group",
    "Headroom",
    "InfeasibleError",
    "InternalError",
    "InvalidRequestError",
    "LeftHolding",
    "Level",
    "Link",
    "Machine",
    "Near",
    "NodeDescription",
    "Not",
    "NotPlacedError",
    "OneOf",
    "Pair",
    "Placement",
    "PodMove",
    "PodPlace",
    "PodSet",
    "Policy",
    "Rails",
    "Replay",
    "Request",
    "RunningGang",
    "Same",
    "Slice",
    "Spread",
    "StaleError",
    "StateError",
    "Status",
    "Taint",
    "Toleration",
    "TopoallocError",
    "TopologyError",
    "UndecidedError",
    "Verdict",
    "Within",
    "__version__",
    "get_include",
    "replay",
]

__version__: str

_MODULES = {
    "_allocator": ("Allocator",),
    "_cluster": (
        "Cluster",
        "DomainHeadroom",
        "NodeDescription",
        "RunningGang",
    ),
    "_cluster_change": (
        "ClusterChange",
        "LeftHolding",
        "PodMove",
    ),
    "_constraints": (
        "Align",
        "AtLeast",
        "AtMost",
        "Distinct",
        "Link",
        "Near",
        "Not",
        "OneOf",
        "Pair",
        "Same",
    ),
    "_errors": (
        "FormatError",
        "InfeasibleError",
        "InternalError",
        "InvalidRequestError",
        "NotPlacedError",
        "StaleError",
        "StateError",
        "TopoallocError",
        "TopologyError",
        "UndecidedError",
    ),
    "_gang": (
        "Balanced",
        "Gang",
        "Group",
        "PodSet",
        "Rails",
        "Slice",
        "Spread",
        "Taint",
        "Toleration",
        "Within",
    ),
    "_gang_answer": (
        "GangCost",
        "GangPlan",
        "GangVerdict",
        "PodPlace",
    ),
    "_gang_explanation": ("GangExplanation",),
    "_machine": (
        "Device",
        "Level",
        "Machine",
    ),
    "_policy": (
        "Cost",
        "Policy",
    ),
    "_records": (
        "BatchExplanation",
        "BatchVerdict",
        "Explanation",
        "Headroom",
        "Placement",
        "Status",
        "Verdict",
    ),
    "_request": (
        "DeviceRequest",
        "Request",
    ),
    "_snapshot": (
        "Replay",
        "replay",
    ),
}
"""Where each public name lives; imported at its first use, to be light until then."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


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


if not TYPE_CHECKING:
    # Type checkers know the names from the imports above, and that there are no others.

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from topoalloc._version import library_version  # noqa: PLC0415

            return library_version()
        from importlib import import_module  # noqa: PLC0415

        if name == "presets":
            return import_module("topoalloc.presets")
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module 'topoalloc' has no attribute {name!r}")
        # Kept: the next look finds it without coming here.
        value = globals()[name] = getattr(import_module(f"topoalloc.{module}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
