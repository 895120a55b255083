# SPDX-License-Identifier: Apache-2.0
"""Whether a device is one that a demand may have, and a result says so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from topoalloc.kubernetes._cel import SelectorRuntimeError
from topoalloc.kubernetes._demand_rules import (
    consumed_by,
    is_matched,
    with_domain,
    without_toleration,
)
from topoalloc.kubernetes._node_target import is_device_for
from topoalloc.kubernetes._objects import (
    AllocatedDevice,
    ClaimDemand,
    DeviceClass,
    DeviceId,
)
from topoalloc.kubernetes._pool_view import (
    NodePools,
    Place,
    PoolState,
)
from topoalloc.kubernetes._violation import ViolationRule

__all__ = ["Fault", "all_faults", "copied_faults", "device_faults", "is_shared"]

Fault: TypeAlias = tuple[str, ViolationRule, str]
"""A field of the result, the rule, and how it is broken."""


def is_shared(place: Place, features: Mapping[str, bool]) -> bool:
    """Tell whether a device is given in shares."""
    return place[1].is_shared and features["consumable_capacity"]


def device_faults(
    demand: ClaimDemand,
    chosen: DeviceClass,
    own: AllocatedDevice,
    place: Place,
    features: Mapping[str, bool],
) -> Iterator[Fault]:
    """Go through what is wrong with a device for a demand, whoever else has it."""
    try:
        if not is_matched(*place, chosen, demand):
            text = "a selector of its class or request is not true of it"
            yield "device", ViolationRule.SELECTOR, text
    except SelectorRuntimeError as error:
        text = f"a selector fails on it: {error}"
        yield "device", ViolationRule.SELECTOR, text
    draws = place[1].draws
    wants = {
        "counters": bool(draws),
        "binding_conditions": bool(place[1].binding_conditions),
        "compatibility_groups": any(draw.compatibility_groups for draw in draws),
    }
    for name, is_wanted in wants.items():
        if is_wanted and not features[name]:
            text = f"it wants {name}, and that is off"
            yield "device", ViolationRule.FEATURE, text
    if features["taints"]:
        taint = without_toleration(place[1], demand)
        if taint is not None:
            written = f"{taint.key}={taint.value}:{taint.effect.value}"
            yield "device", ViolationRule.TAINT, f"taint {written} is not tolerated"
    yield from _capacity_faults(demand, own, place, shared=is_shared(place, features))


def _capacity_faults(
    demand: ClaimDemand, own: AllocatedDevice, place: Place, *, shared: bool
) -> Iterator[Fault]:
    amounts = consumed_by(demand, *place)
    if isinstance(amounts, str):
        yield "device", ViolationRule.CAPACITY, amounts
        return
    given = {
        with_domain(name, place[0].driver): amount
        for name, amount in (own.consumed or {}).items()
    }
    if not shared:
        text = "there, want none of a device that is not shared"
        if own.consumed is not None:
            yield "consumedCapacity", ViolationRule.CONSUMED, text
        if own.share_id is not None:
            yield "shareID", ViolationRule.SHARE_ID, text
        return
    if given != amounts:
        names = sorted(
            name
            for name in given.keys() | amounts
            if given.get(name) != amounts.get(name)
        )
        text = f"of {', '.join(names[:3])} not what the request comes to"
        yield "consumedCapacity", ViolationRule.CONSUMED, text
    if own.share_id is None:
        yield "shareID", ViolationRule.SHARE_ID, "missing, want a UUID"


def copied_faults(
    demand: ClaimDemand,
    written_demand: Mapping[str, Any],
    written: Mapping[str, Any],
    place: Place | None,
) -> Iterator[Fault]:
    """Compare what a result repeats of its request and of its device."""
    wanted: dict[str, Any] = {
        "adminAccess": demand.admin_access,
        "tolerations": written_demand.get("tolerations"),
    }
    if place is not None:
        wanted["bindingConditions"] = list(place[1].binding_conditions)
        wanted["bindingFailureConditions"] = list(place[1].binding_failure_conditions)
    for name, value in wanted.items():
        if (written.get(name) or None) != (value or None):
            whose = "device" if name.startswith("binding") else "request"
            text = f"not what the {whose} says, want the same"
            yield name, ViolationRule.COPIED, text


def all_faults(
    demand: ClaimDemand,
    chosen: DeviceClass,
    given: Collection[DeviceId],
    pools: NodePools,
) -> Iterator[tuple[ViolationRule, str]]:
    """Go through what is wrong with the devices of a demand with `All`."""
    wanted: set[DeviceId] = set()
    for (driver, name), pool in pools:
        if pool.state in {PoolState.INCOMPLETE, PoolState.INVALID}:
            text = f"All, and pool {driver}/{name} is {pool.state.value}: {pool.fault}"
            yield ViolationRule.DEVICE, text
        for place in pool.devices.values():
            try:
                if (
                    is_matched(*place, chosen, demand)
                    and is_device_for(*place, pools.node)
                    and not isinstance(consumed_by(demand, *place), str)
                ):
                    wanted.add(DeviceId(driver, name, place[1].name))
            except SelectorRuntimeError as error:
                text = f"All, and a selector fails on {place[1].name}: {error}"
                yield ViolationRule.SELECTOR, text
    if wanted and set(given) == wanted:
        return
    parts = [
        f"{word} {', '.join(sorted(device.device for device in devices)[:3])}"
        for word, devices in (
            ("without", wanted.difference(given)),
            ("with", set(given) - wanted),
        )
        if devices
    ]
    text = f"All {' and '.join(parts) or 'of no device'}, want all that match"
    yield ViolationRule.COUNT, text
