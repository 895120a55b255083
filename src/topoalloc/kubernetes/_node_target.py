# SPDX-License-Identifier: Apache-2.0
"""Which nodes a slice, a device or an allocation is for."""

from __future__ import annotations

from topoalloc.kubernetes._objects import (
    ClusterNode,
    DeviceSlice,
    NodeOperator,
    NodeRequirement,
    NodeTarget,
    SliceDevice,
    TargetKind,
)

__all__ = ["is_device_for", "is_for", "is_met"]


def is_for(target: NodeTarget, node: ClusterNode) -> bool:
    """Tell whether a target is, or selects, the node."""
    if target.kind == TargetKind.SELECTOR:
        # A term without requirements selects nothing.
        return bool(target.requirements) and all(
            is_met(requirement, node) for requirement in target.requirements
        )
    if target.kind == TargetKind.NAME:
        return target.name == node.name
    return target.kind == TargetKind.ALL


def is_device_for(of: DeviceSlice, device: SliceDevice, node: ClusterNode) -> bool:
    """Tell whether a device of a slice is for the node."""
    return is_for(device.target if of.targets_by_device else of.target, node)


def is_met(requirement: NodeRequirement, node: ClusterNode) -> bool:
    """Tell whether the node's labels, or its name, are as required."""
    # The field is metadata.name: there is no other.
    own = node.name if requirement.is_field else node.labels.get(requirement.key)
    operator, values = requirement.operator, requirement.values
    if own is None:
        return operator in {NodeOperator.NOT_IN, NodeOperator.DOES_NOT_EXIST}
    if operator in {NodeOperator.EXISTS, NodeOperator.DOES_NOT_EXIST}:
        return operator == NodeOperator.EXISTS
    if operator in {NodeOperator.IN, NodeOperator.NOT_IN}:
        return (own in values) == (operator == NodeOperator.IN)
    value, bound = _integer(own), _integer(values[0])
    if value is None or bound is None:
        return False
    return value > bound if operator == NodeOperator.GT else value < bound


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        return None
    value = int(text) if len(digits) <= 20 else 2**63  # noqa: PLR2004 - of 64 bits
    return value if -(2**63) <= value < 2**63 else None
