# SPDX-License-Identifier: Apache-2.0
"""Claims made ready for the core, and its errors in the words of the objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from topoalloc import _core
from topoalloc._errors import TopoallocError
from topoalloc.kubernetes._allocation import AllocationWriter
from topoalloc.kubernetes._cel import Selector, SelectorRuntimeError
from topoalloc.kubernetes._device_view import device_view
from topoalloc.kubernetes._objects import (
    ClaimDemand,
    ClaimRequest,
    DeviceClass,
    DeviceSlice,
    ResourceClaim,
)
from topoalloc.kubernetes._objects_values import fail, shown

__all__ = [
    "AskedClaim",
    "ClaimQuestion",
    "QuestionMaker",
    "error_of",
    "refuse_consumable_capacity",
]

_MAX_SELECTORS = 4096


@dataclass(frozen=True)
class AskedClaim:
    """A claim, and the document that it was read from."""

    claim: ResourceClaim
    document: Mapping[str, Any]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.claim.namespace}/{self.claim.name}"


@dataclass(frozen=True)
class ClaimQuestion:
    """Claims that are asked about together, ready for the core."""

    claims: tuple[AskedClaim, ...]
    asked: tuple[ResourceClaim, ...]
    names: tuple[str, ...]
    classes: Mapping[str, DeviceClass]
    writers: tuple[AllocationWriter, ...]
    selectors: Mapping[int, Selector]  # by the number that the core knows
    prepared: _core.PreparedClaims


class QuestionMaker:
    """Numbers selectors as the core knows them: no number means two of them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next_number = 0

    @property
    def is_full(self) -> bool:
        """So many selectors are numbered that it is time to forget them."""
        return len(self._numbers) > _MAX_SELECTORS

    def forget(self) -> None:
        """Forget the selectors; questions that were made stay good."""
        self._numbers.clear()

    def make(
        self, claims: tuple[AskedClaim, ...], known: Mapping[str, DeviceClass]
    ) -> ClaimQuestion:
        """Return the question.

        Raises
        ------
        ObjectError
            A claim names a class that is not known.
        """
        classes: dict[str, DeviceClass] = {}
        specs = [
            replace(
                item.claim,
                requests=tuple(
                    _with_class(
                        request, f"claims[{index}].{_at(number)}", known, classes
                    )
                    for number, request in enumerate(item.claim.requests)
                ),
            )
            for index, item in enumerate(claims)
        ]
        selectors: dict[int, Selector] = {}
        places: dict[int, int] = {}

        def number_of(selector: Selector) -> int:
            number = self._numbers.setdefault(selector.expression, self._next_number)
            self._next_number = max(self._next_number, number + 1)
            selectors[number] = selector
            return places.setdefault(number, len(places))

        prepared = _core.PreparedClaims(specs, number_of, places)
        return ClaimQuestion(
            claims,
            tuple(item.claim for item in claims),
            tuple(item.key for item in claims),
            classes,
            tuple(
                AllocationWriter(item.claim, item.document["spec"], classes)
                for item in claims
            ),
            selectors,
            prepared,
        )


def _with_class(
    request: ClaimRequest,
    path: str,
    known: Mapping[str, DeviceClass],
    classes: dict[str, DeviceClass],
) -> ClaimRequest:
    """Return a request whose selectors begin with those of its class."""
    demands = []
    for number, demand in enumerate(request.demands):
        found = known.get(demand.device_class)
        if found is None:
            where = f"{path}{_entry(request, number)}.deviceClassName"
            message = f"{shown(demand.device_class)}, want a DeviceClass that is here"
            raise fail(where, message)
        classes[found.name] = found
        demands.append(replace(demand, selectors=found.selectors + demand.selectors))
    return replace(request, demands=tuple(demands))


def refuse_consumable_capacity(claim: ResourceClaim, path: str, wants: str) -> None:
    """Refuse what a version without consumable capacity has no fields for.

    Raises
    ------
    ObjectError
        The claim requests capacity or has a `distinctAttribute`.
    """
    for number, request in enumerate(claim.requests):
        for entry, demand in enumerate(request.demands):
            if demand.capacity_requests:
                where = f"{path}.{_at(number)}{_entry(request, entry)}.capacity"
                raise fail(where, f"there, want {wants}")
    for number, constraint in enumerate(claim.constraints):
        if constraint.is_distinct:
            where = f"{path}.spec.devices.constraints[{number}].distinctAttribute"
            raise fail(where, f"there, want {wants}")


def error_of(
    question: ClaimQuestion, fault: Sequence[Any], slices: Mapping[str, DeviceSlice]
) -> TopoallocError:
    """Return the error for a fault that the core has found."""
    kind, claim, request, entry, place, driver, pool, detail = fault
    if kind == "invalid_pool":
        return fail(f"pool {driver}/{pool}", f"{detail}, want a valid pool")
    item = question.claims[claim]
    if kind == "too_many_devices":
        return fail(
            f"claims[{claim}].spec.devices.requests",
            f"more than 32 devices for {item.key}, want at most 32",
        )
    asked = item.claim.requests[request]
    path = f"claims[{claim}].{_at(request)}{_entry(asked, entry)}"
    if kind == "all_on_broken_pool":
        what = f"is invalid: {detail}" if detail else "is incomplete"
        message = f"All, and pool {driver}/{pool} {what}, want it complete"
        return fail(f"{path}.allocationMode", message)
    if kind == "capacity_twice":
        message = "one is given with and without its domain, want it once"
        return fail(f"{path}.capacity.requests", message)
    name, index = place
    demand = asked.demands[entry]
    return _failed_selector(
        demand, path, question.classes[demand.device_class], (slices[name], index)
    )


def _failed_selector(
    demand: ClaimDemand, path: str, chosen: DeviceClass, place: tuple[DeviceSlice, int]
) -> SelectorRuntimeError:
    found, index = place
    device = device_view(found, found.devices[index])
    own = f"device {found.driver}/{found.pool}/{found.devices[index].name}"
    of_class = [
        (f"DeviceClass {chosen.name}: spec.selectors[{number}]", selector)
        for number, selector in enumerate(chosen.selectors)
    ]
    of_demand = [
        (f"{path}.selectors[{number}]", selector)
        for number, selector in enumerate(demand.selectors)
    ]
    for where, selector in of_class + of_demand:
        try:
            selector.matches(device)
        except SelectorRuntimeError as error:
            return SelectorRuntimeError(f"{where}: {error}, on {own}")
    return SelectorRuntimeError(f"{path}.selectors: one failed, on {own}")


def _at(request: int) -> str:
    return f"spec.devices.requests[{request}]"


def _entry(request: ClaimRequest, number: int) -> str:
    return f".firstAvailable[{number}]" if request.is_prioritized else ".exactly"
