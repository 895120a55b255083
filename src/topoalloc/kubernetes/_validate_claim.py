# SPDX-License-Identifier: Apache-2.0
"""What can be said of the allocation of one claim, whatever others hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc.kubernetes._claim_question import AskedClaim
from topoalloc.kubernetes._objects import AllocationMode, ClaimDemand, DeviceId
from topoalloc.kubernetes._objects_values import ObjectError
from topoalloc.kubernetes._pool_view import NodePools
from topoalloc.kubernetes._validate_config import config_fault
from topoalloc.kubernetes._validate_constraint import constraint_fault
from topoalloc.kubernetes._validate_demand import (
    all_faults,
    copied_faults,
    device_faults,
    is_shared,
)
from topoalloc.kubernetes._validate_place import (
    ClaimResult,
    NodeViews,
    device_on,
    name_of,
    pools_of,
)
from topoalloc.kubernetes._violation import Violation, ViolationRule

__all__ = ["AllocatedClaim", "ClaimCheck"]


@dataclass(frozen=True)
class AllocatedClaim:
    """A claim, its results, and the pools as a node sees them that has the devices."""

    key: str
    results: Sequence[ClaimResult]
    pools: NodePools | None


@dataclass(frozen=True)
class _Chosen:
    """A demand that is chosen, as it is read and written, and its results."""

    name: str
    demand: ClaimDemand
    written: Mapping[str, Any]
    path: str
    results: Sequence[ClaimResult]


class ClaimCheck:
    """Goes through an allocated claim, and adds what is wrong with it.

    Parameters
    ----------
    item : AskedClaim
        The claim.
    path : str
        Of it.
    views : NodeViews
        The inventory.
    found : list of Violation
        What is added to.
    """

    def __init__(
        self, item: AskedClaim, path: str, views: NodeViews, found: list[Violation]
    ) -> None:
        self._item = item
        self._claim = item.claim
        self._path = path
        self._views = views
        self._contents = views.contents
        self._found = found
        self._written: Mapping[str, Any] = item.document["status"]["allocation"]

    def run(self) -> AllocatedClaim:
        """Return what the claim holds."""
        pools = self._pools()
        results = list(self._results(pools))
        self._check_twice(results)
        chosen = list(self._chosen(results))
        for each in chosen:
            self._check(each, pools)
        placed = [
            (result.allocated.request, result.place)
            for result in results
            if result.place is not None
        ]
        for number, constraint in enumerate(self._claim.constraints):
            fault = constraint_fault(
                constraint, placed, has_lists=self._contents.features["lists"]
            )
            if fault is not None:
                where = f"{self._path}.spec.devices.constraints[{number}]"
                self._add(where, ViolationRule.CONSTRAINT, fault)
        self._check_config({each.name: each.demand for each in chosen})
        return AllocatedClaim(self._item.key, results, pools)

    def _add(self, path: str, rule: ViolationRule, text: str) -> None:
        self._found.append(Violation(path, self._item.key, rule, text))

    def _add_error(self, error: ObjectError) -> None:
        path, _, text = str(error).partition(": ")
        self._add(path, ViolationRule.OBJECT, text)

    def _pools(self) -> NodePools | None:
        path = f"{self._path}.status.allocation.nodeSelector"
        selector = self._written.get("nodeSelector")
        allocated = self._claim.allocated or ()
        try:
            pools, fault = pools_of(allocated, selector, path, self._views)
        except ObjectError as error:
            self._add_error(error)
            pools, fault = pools_of(allocated, None, path, self._views)
            return pools
        if fault is not None:
            self._add(path, ViolationRule.NODE, fault)
        return pools

    def _results(self, pools: NodePools | None) -> Iterator[ClaimResult]:
        for number, item in enumerate(self._claim.allocated or ()):
            path = f"{self._path}.status.allocation.devices.results[{number}]"
            place = device_on(pools, item.id) if pools else "no node is known"
            if isinstance(place, str):
                text = f"{name_of(item.id)}: {place}"
                self._add(f"{path}.device", ViolationRule.DEVICE, text)
                yield ClaimResult(path, item, None)
            else:
                yield ClaimResult(path, item, place)

    def _check_twice(self, results: Sequence[ClaimResult]) -> None:
        seen: dict[DeviceId, set[str]] = {}
        for result in results:
            own = result.allocated
            before = seen.setdefault(own.id, set())
            shared = result.place is not None and is_shared(
                result.place, self._contents.features
            )
            if before and (not shared or own.request in before):
                whom = f"request {own.request}" if shared else "this claim"
                text = f"{name_of(own.id)} is given to {whom} already, want it once"
                self._add(f"{result.path}.device", ViolationRule.TWICE, text)
            before.add(own.request)

    def _chosen(self, results: Sequence[ClaimResult]) -> Iterator[_Chosen]:
        """Go through the requests: each with the entry that is chosen, if one is."""
        written = self._item.document["spec"]["devices"].get("requests") or ()
        for number, request in enumerate(self._claim.requests):
            path = f"{self._path}.spec.devices.requests[{number}]"
            outer = written[number]
            own = [
                result
                for result in results
                if result.allocated.request.partition("/")[0] == request.name
            ]
            if not request.is_prioritized:
                inner = outer.get("exactly")
                at = path if inner is None else f"{path}.exactly"
                demand = request.demands[0]
                yield _Chosen(request.name, demand, inner or outer, at, own)
                continue
            entries = [f"{request.name}/{entry.name}" for entry in request.demands]
            names = sorted({result.allocated.request for result in own})
            if len(names) != 1 or names[0] not in entries:
                text = (
                    f"{', '.join(names) or 'none'} chosen, want one of firstAvailable"
                )
                self._add(path, ViolationRule.ENTRY, text)
                continue
            entry = entries.index(names[0])
            inner = outer["firstAvailable"][entry]
            at = f"{path}.firstAvailable[{entry}]"
            yield _Chosen(names[0], request.demands[entry], inner, at, own)

    def _check(self, chosen: _Chosen, pools: NodePools | None) -> None:
        demand = chosen.demand
        device_class = self._contents.classes.get(demand.device_class)
        if device_class is None:
            text = f"{demand.device_class!r}, want a DeviceClass that is here"
            self._add(f"{chosen.path}.deviceClassName", ViolationRule.CLASS, text)
        if demand.mode == AllocationMode.EXACT_COUNT:
            if len(chosen.results) != demand.count:
                text = f"{len(chosen.results)} devices for {chosen.name}"
                text += f", want {demand.count}"
                self._add(chosen.path, ViolationRule.COUNT, text)
        elif device_class is not None and pools is not None:
            given = [result.allocated.id for result in chosen.results]
            for rule, text in all_faults(demand, device_class, given, pools):
                self._add(f"{chosen.path}.allocationMode", rule, text)
        written = (self._written.get("devices") or {}).get("results") or ()
        for result in chosen.results:
            number = int(result.path.rpartition("[")[2][:-1])
            faults = list(
                copied_faults(demand, chosen.written, written[number], result.place)
            )
            if device_class is not None and result.place is not None:
                faults += device_faults(
                    demand,
                    device_class,
                    result.allocated,
                    result.place,
                    self._contents.features,
                )
            for name, rule, text in faults:
                self._add(f"{result.path}.{name}", rule, text)

    def _check_config(self, demands: Mapping[str, ClaimDemand]) -> None:
        path = f"{self._path}.status.allocation.devices.config"
        written = (self._written.get("devices") or {}).get("config")
        try:
            fault = config_fault(
                written, path, self._claim, demands, self._contents.classes
            )
        except ObjectError as error:
            self._add_error(error)
            return
        if fault is not None:
            self._add(fault[0], ViolationRule.CONFIG, fault[1])
