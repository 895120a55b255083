# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' objects: devices, claims and selectors; wants the extra `kubernetes`.

>>> from topoalloc import kubernetes as tk
>>> selector = tk.Selector('device.attributes["gpu.example.com"].cores >= 64')
>>> selector.matches(tk.Device("gpu.example.com", {"cores": 132}))
True
"""

from __future__ import annotations

from topoalloc.kubernetes._cel import (
    Reads,
    Selector,
    SelectorError,
    SelectorRuntimeError,
)
from topoalloc.kubernetes._cel_device import Device, Version
from topoalloc.kubernetes._cel_library import MissingExtraError
from topoalloc.kubernetes._claim_explanation import (
    ClaimConflictItem,
    ClaimCounts,
    ClaimExplanation,
    ClaimRelaxation,
)
from topoalloc.kubernetes._claim_verdict import ClaimCost, ClaimVerdict
from topoalloc.kubernetes._cluster_objects import cluster
from topoalloc.kubernetes._gang_objects import GangObjects, gang
from topoalloc.kubernetes._inventory import Inventory
from topoalloc.kubernetes._node_verdicts import NodeVerdicts
from topoalloc.kubernetes._objects_values import ObjectError
from topoalloc.kubernetes._prepare import (
    Prepared,
    PreparedDevice,
    prepare,
    unprepare,
)
from topoalloc.kubernetes._publish import resource_slices
from topoalloc.kubernetes._validate import validate
from topoalloc.kubernetes._violation import Violation, ViolationRule

__all__ = [
    "ClaimConflictItem",
    "ClaimCost",
    "ClaimCounts",
    "ClaimExplanation",
    "ClaimRelaxation",
    "ClaimVerdict",
    "Device",
    "GangObjects",
    "Inventory",
    "MissingExtraError",
    "NodeVerdicts",
    "ObjectError",
    "Prepared",
    "PreparedDevice",
    "Reads",
    "Selector",
    "SelectorError",
    "SelectorRuntimeError",
    "Version",
    "Violation",
    "ViolationRule",
    "cluster",
    "gang",
    "prepare",
    "resource_slices",
    "unprepare",
    "validate",
]
