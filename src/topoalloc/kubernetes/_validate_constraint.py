# SPDX-License-Identifier: Apache-2.0
"""Whether devices keep a `matchAttribute` or `distinctAttribute`."""

from __future__ import annotations

from collections.abc import Sequence

from topoalloc.kubernetes._demand_rules import values_of
from topoalloc.kubernetes._objects import ClaimConstraint, DeviceValues
from topoalloc.kubernetes._pool_view import Place

__all__ = ["constraint_fault"]


def constraint_fault(
    constraint: ClaimConstraint,
    devices: Sequence[tuple[str, Place]],
    *,
    has_lists: bool,
) -> str | None:
    """Return why devices, each with the request it is for, do not keep a constraint."""
    found: list[tuple[str, DeviceValues]] = []
    for request, place in devices:
        if constraint.requests and not (
            {request, request.partition("/")[0]} & set(constraint.requests)
        ):
            continue
        values = values_of(*place, constraint.attribute)
        if values is None:
            return f"{place[1].name} has no {constraint.attribute}"
        if values.is_list and not has_lists:
            return (
                f"{place[1].name} has a list of {constraint.attribute}, want one value"
            )
        found.append((place[1].name, values))
    if constraint.is_distinct:
        return _not_distinct(constraint, found)
    if len({values.kind for _, values in found}) > 1:
        return f"{constraint.attribute} is of different types"
    sets = [set(values.values) for _, values in found]
    if sets and not set.intersection(*sets):
        names = ", ".join(name for name, _ in found[:4])
        return f"{names} have no {constraint.attribute} in common"
    return None


def _not_distinct(
    constraint: ClaimConstraint, found: Sequence[tuple[str, DeviceValues]]
) -> str | None:
    holders: dict[tuple[object, object], int] = {}
    for number, (name, values) in enumerate(found):
        for value in set(values.values):
            # A device that is there twice shares its own.
            other = holders.setdefault((values.kind, value), number)
            if other != number:
                return f"{found[other][0]} and {name} share a {constraint.attribute}"
    return None
