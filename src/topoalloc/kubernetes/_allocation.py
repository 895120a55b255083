# SPDX-License-Identifier: Apache-2.0
"""Write `status.allocation` of a ResourceClaim, as resource.k8s.io/v1 has it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from topoalloc.kubernetes._objects import (
    ClaimDemand,
    ClaimRequest,
    DeviceClass,
    DeviceConfig,
    DeviceSlice,
    ResourceClaim,
    SliceDevice,
    TargetKind,
)

__all__ = ["AllocationWriter", "quantity_text"]

Row: TypeAlias = tuple[int, Sequence[tuple[str, int, Mapping[str, int]]]]

_NANO = 10**9
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("k", "M", "G", "T", "P", "E")
_FRACTIONS = (("m", 10**6), ("u", 10**3), ("n", 1))


def quantity_text(nanos: int) -> str:
    """Write billionths as a resource.Quantity, with the largest suffix that is exact.

    >>> quantity_text(80 * 2**30 * 10**9), quantity_text(12 * 10**9)
    ('80Gi', '12')
    >>> quantity_text(10**8), quantity_text(5000 * 10**9)
    ('100m', '5k')
    """
    if nanos % _NANO:
        suffix, unit = next(entry for entry in _FRACTIONS if nanos % entry[1] == 0)
        return f"{nanos // unit}{suffix}"
    whole = nanos // _NANO
    for base, suffixes in ((1024, _BINARY), (1000, _DECIMAL)):
        power = 0
        while whole and power < len(suffixes) and whole % base ** (power + 1) == 0:
            power += 1
        if power:
            return f"{whole // base**power}{suffixes[power - 1]}"
    return str(whole)


@dataclass(frozen=True, slots=True)
class _Demand:
    """What the results of a demand have in common."""

    name: str
    device_class: str
    extras: dict[str, Any]


class AllocationWriter:
    """Writes `status.allocation` of one claim, again and again.

    Parameters
    ----------
    claim : ResourceClaim
        What was read of the claim.
    spec : mapping
        The claim's `spec`, as it was given.
    classes : mapping of str to DeviceClass
        Those that the claim names.
    """

    def __init__(
        self,
        claim: ResourceClaim,
        spec: Mapping[str, Any],
        classes: Mapping[str, DeviceClass],
    ) -> None:
        self._claim = claim
        self._classes = classes
        self._demands = [
            [
                _Demand(
                    f"{request.name}/{demand.name}"
                    if request.is_prioritized
                    else request.name,
                    demand.device_class,
                    _extras(demand, _written(spec, index, request, entry)),
                )
                for entry, demand in enumerate(request.demands)
            ]
            for index, request in enumerate(claim.requests)
        ]
        used = {demand.device_class for row in self._demands for demand in row}
        self._has_configs = bool(claim.configs) or any(
            classes[name].configs for name in used
        )

    def write(
        self,
        rows: Sequence[Row],
        slices: Mapping[str, DeviceSlice],
        node: str,
        share_id: Callable[[], str],
    ) -> dict[str, Any]:
        """Return `status.allocation`.

        Parameters
        ----------
        rows : sequence
            By request: the entry that was chosen, and by device its slice, its place in
            it, and what it consumes of each capacity if it is shared.
        slices : mapping of str to DeviceSlice
            By name.
        node : str
            Where the devices are.
        share_id : callable
            Called for each share of a device, in the order of results; a UUID.
        """
        results: list[dict[str, Any]] = []
        chosen: list[_Demand] = []
        places: list[tuple[DeviceSlice, SliceDevice]] = []
        for demands, (entry, devices) in zip(self._demands, rows, strict=True):
            demand = demands[entry]
            chosen.append(demand)
            for name, index, consumed in devices:
                of = slices[name]
                device = of.devices[index]
                places.append((of, device))
                result: dict[str, Any] = {
                    "request": demand.name,
                    "driver": of.driver,
                    "pool": of.pool,
                    "device": device.name,
                }
                if demand.extras:
                    # Each result has its own.
                    result |= copy.deepcopy(demand.extras)
                if consumed:
                    result["shareID"] = share_id()
                    result["consumedCapacity"] = _consumed(of, device, consumed)
                if device.binding_conditions:
                    result |= _conditions(device)
                results.append(result)
        devices_written: dict[str, Any] = {"results": results} if results else {}
        if self._has_configs:
            configs = self._configs(chosen)
            if configs:
                devices_written["config"] = configs
        allocation: dict[str, Any] = {"devices": devices_written}
        selector = _node_selector(places, node)
        if selector is not None:
            allocation["nodeSelector"] = selector
        return allocation

    def _configs(self, chosen: Sequence[_Demand]) -> list[dict[str, Any]]:
        """Write those of each class once, with its requests, then the claim's own."""
        users: dict[str, list[str]] = {}
        for demand in chosen:
            users.setdefault(demand.device_class, []).append(demand.name)
        names = {demand.name for demand in chosen}
        names |= {name.partition("/")[0] for name in names}
        return [
            _config("FromClass", () if len(of) == len(chosen) else of, config)
            for name, of in users.items()
            for config in self._classes[name].configs
        ] + [
            _config("FromClaim", config.requests, config)
            for config in self._claim.configs
            if not config.requests or not names.isdisjoint(config.requests)
        ]


def _written(
    spec: Mapping[str, Any], index: int, request: ClaimRequest, entry: int
) -> Mapping[str, Any]:
    """Return a demand as the claim writes it."""
    written: Mapping[str, Any] = spec["devices"]["requests"][index]
    if request.is_prioritized:
        found: Mapping[str, Any] = written["firstAvailable"][entry]
        return found
    return written.get("exactly") or written


def _extras(demand: ClaimDemand, written: Mapping[str, Any]) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if demand.admin_access:
        extras["adminAccess"] = True
    if demand.tolerations:
        extras["tolerations"] = copy.deepcopy(written["tolerations"])
    return extras


def _consumed(
    of: DeviceSlice, device: SliceDevice, consumed: Mapping[str, int]
) -> dict[str, str]:
    """Write what is consumed, by the device's own names of its capacities."""
    own = {
        name if "/" in name else f"{of.driver}/{name}": name
        for name in device.capacities
    }
    return {
        name if name in device.capacities else own[name]: quantity_text(amount)
        for name, amount in consumed.items()
    }


def _conditions(device: SliceDevice) -> dict[str, list[str]]:
    return {
        "bindingConditions": list(device.binding_conditions),
        "bindingFailureConditions": list(device.binding_failure_conditions),
    }


def _config(
    source: str, requests: Sequence[str], config: DeviceConfig
) -> dict[str, Any]:
    written: dict[str, Any] = {"source": source}
    if requests:
        written["requests"] = list(requests)
    written["opaque"] = {
        "driver": config.driver,
        "parameters": copy.deepcopy(dict(config.parameters)),
    }
    return written


def _node_selector(
    places: Sequence[tuple[DeviceSlice, SliceDevice]], node: str
) -> dict[str, Any] | None:
    """Write where the devices can be used; None for everywhere."""
    terms: dict[str, list[dict[str, Any]]] = {}
    for of, device in places:
        target = device.target if of.targets_by_device else of.target
        if device.binds_to_node or target.kind == TargetKind.NAME:
            field = {"key": "metadata.name", "operator": "In", "values": [node]}
            return {"nodeSelectorTerms": [{"matchFields": [field]}]}
        for requirement in target.requirements:
            kind = "matchFields" if requirement.is_field else "matchExpressions"
            written: dict[str, Any] = {
                "key": requirement.key,
                "operator": requirement.operator.value,
            }
            if requirement.values:
                written["values"] = list(requirement.values)
            if written not in terms.setdefault(kind, []):
                terms[kind].append(written)
    return {"nodeSelectorTerms": [terms]} if terms else None
