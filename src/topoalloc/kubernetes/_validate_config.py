# SPDX-License-Identifier: Apache-2.0
"""Whether the configuration of an allocation is that of its classes and its claim."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from topoalloc.kubernetes._objects import (
    ClaimDemand,
    DeviceClass,
    ResourceClaim,
)
from topoalloc.kubernetes._objects_values import listed, mapping

__all__ = ["config_fault"]

_MAX_CONFIGS = 64 * 32  # those of the classes of 32 requests, and of the claim
_Applied = tuple[str, frozenset[str], str, Any]


def config_fault(
    written: object,
    path: str,
    claim: ResourceClaim,
    demands: Mapping[str, ClaimDemand],
    classes: Mapping[str, DeviceClass],
) -> tuple[str, str] | None:
    """Return where `config` differs from what it must be, and how.

    Parameters
    ----------
    written : object
        `status.allocation.devices.config`.
    path : str
        Of it.
    claim : ResourceClaim
        The claim.
    demands : mapping of str to ClaimDemand
        Those that are chosen, by `request` or `request/entry`.
    classes : mapping of str to DeviceClass
        By name.

    Raises
    ------
    ObjectError
        It is no list of configurations.
    """
    wanted = list(_of_classes(demands, classes)) + list(_of_claim(claim, demands))
    given = [
        _read(item, where, demands)
        for item, where in listed(written, path, _MAX_CONFIGS)
    ]
    for number, (own, other) in enumerate(zip(given, wanted, strict=False)):
        if own != other:
            text = f"want that {other[0]} for {other[2]}, for the requests it is for"
            return f"{path}[{number}]", text
    if len(given) != len(wanted):
        return (
            path,
            f"{len(given)} items, want {len(wanted)}: the classes', the claim's",
        )
    return None


def _of_classes(
    demands: Mapping[str, ClaimDemand], classes: Mapping[str, DeviceClass]
) -> Iterator[_Applied]:
    users: dict[str, list[str]] = {}
    for name, demand in demands.items():
        users.setdefault(demand.device_class, []).append(name)
    for name, of in users.items():
        for config in classes[name].configs if name in classes else ():
            yield "FromClass", frozenset(of), config.driver, config.parameters


def _of_claim(claim: ResourceClaim, demands: Collection[str]) -> Iterator[_Applied]:
    for config in claim.configs:
        names = _covered(config.requests, demands)
        if names or not config.requests:
            yield "FromClaim", names, config.driver, config.parameters


def _read(item: object, path: str, demands: Collection[str]) -> _Applied:
    found = mapping(item, path)
    opaque = mapping(found.get("opaque", {}), f"{path}.opaque")
    requests = [
        name for name, _ in listed(found.get("requests"), f"{path}.requests", 32)
    ]
    return (
        str(found.get("source", "")),
        _covered(requests, demands),
        str(opaque.get("driver", "")),
        opaque.get("parameters"),
    )


def _covered(requests: Sequence[Any], demands: Collection[str]) -> frozenset[str]:
    """Return the demands that a list of requests speaks of; an empty one of all."""
    return frozenset(
        name
        for name in demands
        if not requests or name in requests or name.partition("/")[0] in requests
    )
