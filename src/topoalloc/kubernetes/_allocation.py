# SPDX-License-Identifier: Apache-2.0
"""Write `status.allocation` of a ResourceClaim, as resource.k8s.io/v1 has it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc.kubernetes._objects import (
    ClaimDemand,
    ClaimRequest,
    DeviceClass,
    DeviceConfig,
    DeviceSlice,
    NodeTarget,
    ResourceClaim,
    SliceDevice,
    TargetKind,
)

__all__ = ["ChosenDevice", "ChosenRequest", "quantity_text", "write_allocation"]

_NANO = 10**9
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("k", "M", "G", "T", "P", "E")
_FRACTIONS = (("m", 10**6), ("u", 10**3), ("n", 1))


@dataclass(frozen=True, slots=True)
class ChosenDevice:
    """A device of a slice, and what is consumed of each capacity if it is shared."""

    slice: DeviceSlice
    device: SliceDevice
    consumed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ChosenRequest:
    """The entry of a request that was chosen, and its devices."""

    request: ClaimRequest
    demand: ClaimDemand
    devices: Sequence[ChosenDevice]

    @property
    def name(self) -> str:
        """`request`, or `request/entry`."""
        if self.request.is_prioritized:
            return f"{self.request.name}/{self.demand.name}"
        return self.request.name


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


def write_allocation(
    claim: ResourceClaim,
    spec: Mapping[str, Any],
    chosen: Sequence[ChosenRequest],
    *,
    classes: Mapping[str, DeviceClass],
    node: str,
    share_id: Callable[[], str],
) -> dict[str, Any]:
    """Return `status.allocation`.

    Parameters
    ----------
    claim : ResourceClaim
        What was read of the claim.
    spec : mapping
        The claim's `spec`, as it was given.
    chosen : sequence of ChosenRequest
        By request of the claim.
    classes : mapping of str to DeviceClass
        Those that the claim names.
    node : str
        Where the devices are.
    share_id : callable
        Called for each share of a device, in the order of results; a UUID.
    """
    results = [
        _result(found, device, _tolerations(spec, index, found), share_id)
        for index, found in enumerate(chosen)
        for device in found.devices
    ]
    devices: dict[str, Any] = {"results": results} if results else {}
    configs = _class_configs(claim, chosen, classes) + _claim_configs(claim, chosen)
    if configs:
        devices["config"] = configs
    allocation: dict[str, Any] = {"devices": devices}
    selector = _node_selector(chosen, node)
    if selector is not None:
        allocation["nodeSelector"] = selector
    return allocation


def _tolerations(
    spec: Mapping[str, Any], index: int, found: ChosenRequest
) -> list[Any] | None:
    """Return the tolerations of a demand as the claim writes them."""
    request = spec["devices"]["requests"][index]
    if found.request.is_prioritized:
        entry = found.request.demands.index(found.demand)
        written = request["firstAvailable"][entry]
    else:
        written = request.get("exactly") or request
    tolerations: list[Any] | None = written.get("tolerations")
    return copy.deepcopy(tolerations)


def _result(
    found: ChosenRequest,
    chosen: ChosenDevice,
    tolerations: list[Any] | None,
    share_id: Callable[[], str],
) -> dict[str, Any]:
    device = chosen.device
    result: dict[str, Any] = {
        "request": found.name,
        "driver": chosen.slice.driver,
        "pool": chosen.slice.pool,
        "device": device.name,
    }
    if found.demand.admin_access:
        result["adminAccess"] = True
    if tolerations:
        result["tolerations"] = tolerations
    if device.binding_conditions:
        result["bindingConditions"] = list(device.binding_conditions)
    if device.binding_failure_conditions:
        result["bindingFailureConditions"] = list(device.binding_failure_conditions)
    if chosen.consumed:
        result["shareID"] = share_id()
        # By the device's own names of them.
        own = {
            _with_domain(name, chosen.slice.driver): name for name in device.capacities
        }
        result["consumedCapacity"] = {
            own[name] if name not in device.capacities else name: quantity_text(amount)
            for name, amount in chosen.consumed.items()
        }
    groups = {
        draw.counter_set: list(draw.compatibility_groups)
        for draw in device.draws
        if draw.compatibility_groups
    }
    if groups:
        result["compatibilityGroups"] = groups
    return result


def _with_domain(name: str, driver: str) -> str:
    return name if "/" in name else f"{driver}/{name}"


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


def _class_configs(
    claim: ResourceClaim,
    chosen: Sequence[ChosenRequest],
    classes: Mapping[str, DeviceClass],
) -> list[dict[str, Any]]:
    """Write those of each class once, with the requests that are of it."""
    users: dict[str, list[str]] = {}
    for found in chosen:
        users.setdefault(found.demand.device_class, []).append(found.name)
    return [
        _config("FromClass", () if len(names) == len(claim.requests) else names, config)
        for name, names in users.items()
        for config in classes[name].configs
    ]


def _claim_configs(
    claim: ResourceClaim, chosen: Sequence[ChosenRequest]
) -> list[dict[str, Any]]:
    """Write those that are for all requests, or for one that is there."""
    names = {found.name for found in chosen} | {found.request.name for found in chosen}
    return [
        _config("FromClaim", config.requests, config)
        for config in claim.configs
        if not config.requests or not names.isdisjoint(config.requests)
    ]


def _node_selector(chosen: Sequence[ChosenRequest], node: str) -> dict[str, Any] | None:
    """Write where the devices can be used; None for everywhere."""
    expressions: list[dict[str, Any]] = []
    for found in chosen:
        for item in found.devices:
            target: NodeTarget = (
                item.device.target
                if item.slice.targets_by_device
                else item.slice.target
            )
            if item.device.binds_to_node or target.kind == TargetKind.NAME:
                field = {"key": "metadata.name", "operator": "In", "values": [node]}
                return {"nodeSelectorTerms": [{"matchFields": [field]}]}
            for requirement in target.requirements:
                written: dict[str, Any] = {
                    "key": requirement.key,
                    "operator": requirement.operator.value,
                }
                if requirement.values:
                    written["values"] = list(requirement.values)
                written["is_field"] = requirement.is_field
                if written not in expressions:
                    expressions.append(written)
    term: dict[str, Any] = {}
    for written in expressions:
        name = "matchFields" if written.pop("is_field") else "matchExpressions"
        term.setdefault(name, []).append(written)
    return {"nodeSelectorTerms": [term]} if term else None
