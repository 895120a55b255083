# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' objects as the claim solver sees them, whatever version they came in.

Names are those of `topoalloc/claim.hpp`; amounts are integers of billionths. What the
solver does not look at (configuration, conditions) is kept for what is written later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from topoalloc.kubernetes._cel import Selector

__all__ = [
    "AllocatedDevice",
    "AllocationMode",
    "AttributeKind",
    "CapacityPolicy",
    "ClaimConstraint",
    "ClaimDemand",
    "ClaimRequest",
    "ClusterNode",
    "CounterDraw",
    "DeviceCapacity",
    "DeviceClass",
    "DeviceConfig",
    "DeviceId",
    "DeviceSlice",
    "DeviceTaint",
    "DeviceTaintEffect",
    "DeviceTaintRule",
    "DeviceToleration",
    "DeviceValues",
    "NodeOperator",
    "NodeRequirement",
    "NodeTarget",
    "ResourceClaim",
    "SliceDevice",
    "TargetKind",
]


class AttributeKind(Enum):
    """What the values of an attribute are; the names are fields of the API."""

    BOOLEAN = "bool"
    INTEGER = "int"
    TEXT = "string"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class DeviceValues:
    """A value, or a list of them; a version is a text."""

    kind: AttributeKind
    values: tuple[bool | int | str, ...]
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class CapacityPolicy:
    """A range (`least` given) or `valid_values`, not both; ascending."""

    default: int | None = None
    least: int | None = None
    most: int | None = None
    step: int | None = None
    valid_values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceCapacity:
    """An amount, and how much of it can be requested."""

    value: int
    policy: CapacityPolicy | None = None


@dataclass(frozen=True, slots=True)
class CounterDraw:
    """What a device takes of a counter set."""

    counter_set: str
    counters: Mapping[str, int]
    compatibility_groups: tuple[str, ...] = ()


class DeviceTaintEffect(Enum):
    """What a taint does; an effect that is not known does nothing."""

    NONE = "None"
    NO_SCHEDULE = "NoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class DeviceTaint:
    """A taint of a device."""

    key: str
    value: str
    effect: DeviceTaintEffect


@dataclass(frozen=True, slots=True)
class DeviceToleration:
    """Tolerates taints of its key, value and effect; None stands for any."""

    key: str | None = None
    value: str | None = None
    effect: DeviceTaintEffect | None = None


class NodeOperator(Enum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class NodeRequirement:
    """A condition on a label, or on `metadata.name` where `is_field`."""

    key: str
    operator: NodeOperator
    values: tuple[str, ...] = ()
    is_field: bool = False


class TargetKind(Enum):
    """Which nodes: none that is known here, one, all, or some by their labels."""

    NONE = "none"
    NAME = "name"
    ALL = "all"
    SELECTOR = "selector"


@dataclass(frozen=True, slots=True)
class NodeTarget:
    """The nodes that a slice or a device is for."""

    kind: TargetKind = TargetKind.NONE
    name: str = ""
    requirements: tuple[NodeRequirement, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceDevice:
    """A device of a slice."""

    name: str
    attributes: Mapping[str, DeviceValues]
    capacities: Mapping[str, DeviceCapacity]
    is_shared: bool = False
    draws: tuple[CounterDraw, ...] = ()
    taints: tuple[DeviceTaint, ...] = ()
    binding_conditions: tuple[str, ...] = ()
    binding_failure_conditions: tuple[str, ...] = ()
    binds_to_node: bool = False
    target: NodeTarget = NodeTarget()


@dataclass(frozen=True, slots=True)
class DeviceSlice:
    """A ResourceSlice."""

    name: str
    driver: str
    pool: str
    generation: int
    slice_count: int
    target: NodeTarget = NodeTarget()
    targets_by_device: bool = False
    devices: tuple[SliceDevice, ...] = ()
    counter_sets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceId:
    """Which device."""

    driver: str
    pool: str
    device: str


@dataclass(frozen=True, slots=True)
class AllocatedDevice:
    """A result of `status.allocation`; what a share consumes, by name."""

    request: str
    id: DeviceId
    admin_access: bool = False
    share_id: str | None = None
    consumed: Mapping[str, int] | None = None


class AllocationMode(Enum):
    """How many devices: those that are counted, or all that match."""

    EXACT_COUNT = "ExactCount"
    ALL = "All"


@dataclass(frozen=True, slots=True)
class ClaimDemand:
    """`exactly` of a request, or one entry of `firstAvailable`."""

    name: str
    device_class: str
    selectors: tuple[Selector, ...] = ()
    mode: AllocationMode = AllocationMode.EXACT_COUNT
    count: int = 1
    admin_access: bool = False
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity_requests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One demand, or those of `firstAvailable`."""

    name: str
    demands: tuple[ClaimDemand, ...]
    is_prioritized: bool = False


@dataclass(frozen=True, slots=True)
class ClaimConstraint:
    """`matchAttribute` or `distinctAttribute`; no request stands for all."""

    attribute: str
    is_distinct: bool = False
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """Parameters for a driver, as they were given."""

    driver: str
    parameters: Mapping[str, Any]
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceClaim:
    """A ResourceClaim; `allocated` is None before it is allocated."""

    namespace: str
    name: str
    uid: str
    requests: tuple[ClaimRequest, ...] = ()
    constraints: tuple[ClaimConstraint, ...] = ()
    configs: tuple[DeviceConfig, ...] = ()
    allocated: tuple[AllocatedDevice, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """A DeviceClass."""

    name: str
    selectors: tuple[Selector, ...] = ()
    configs: tuple[DeviceConfig, ...] = ()
    extended_resource_name: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A Node: what selectors of nodes can see of it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceTaintRule:
    """A taint for every device that has all that is given here."""

    name: str
    taint: DeviceTaint
    driver: str | None = None
    pool: str | None = None
    device: str | None = None
    is_for_none: bool = False

    def is_for(self, device: DeviceId) -> bool:
        """Tell whether the device gets the taint."""
        return not self.is_for_none and all(
            wanted is None or wanted == own
            for wanted, own in (
                (self.driver, device.driver),
                (self.pool, device.pool),
                (self.device, device.device),
            )
        )
