# SPDX-License-Identifier: Apache-2.0
"""What a device is to a demand: docs/claim-objective.md, section 2, written plainly.

Amounts are billionths; names of capacities have their domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from topoalloc.kubernetes._device_view import device_view
from topoalloc.kubernetes._objects import (
    CapacityPolicy,
    ClaimDemand,
    DeviceCapacity,
    DeviceClass,
    DeviceSlice,
    DeviceTaint,
    DeviceTaintEffect,
    DeviceToleration,
    DeviceValues,
    SliceDevice,
)

__all__ = [
    "capacities_of",
    "consumed_by",
    "is_matched",
    "values_of",
    "with_domain",
    "without_toleration",
]

V = TypeVar("V")


def with_domain(name: str, driver: str) -> str:
    """Return the name of an attribute or a capacity with its domain."""
    return name if "/" in name else f"{driver}/{name}"


def capacities_of(of: DeviceSlice, device: SliceDevice) -> dict[str, DeviceCapacity]:
    """Return the capacities of a device."""
    return _named(of.driver, device.capacities)


def values_of(
    of: DeviceSlice, device: SliceDevice, attribute: str
) -> DeviceValues | None:
    """Return the values of an attribute, whose name has its domain."""
    return _named(of.driver, device.attributes).get(attribute)


def is_matched(
    of: DeviceSlice, device: SliceDevice, chosen: DeviceClass, demand: ClaimDemand
) -> bool:
    """Tell whether every selector of the class and of the demand is true.

    Raises
    ------
    SelectorRuntimeError
        One fails on the device before another one is false.
    """
    view = device_view(of, device)
    return all(
        selector.matches(view) for selector in chosen.selectors + demand.selectors
    )


def consumed_by(
    demand: ClaimDemand, of: DeviceSlice, device: SliceDevice
) -> dict[str, int] | str:
    """Return what the demand takes of each capacity, or why the device has not that.

    A device that is not shared is compared with the same amounts.
    """
    own = capacities_of(of, device)
    requested = _named(of.driver, demand.capacity_requests)
    for name in requested:
        if name not in own:
            return f"it has no {name}"
    found = {}
    for name, capacity in own.items():
        amount = _consumed(capacity, requested.get(name))
        if amount is None or amount > capacity.value:
            return f"of {name} it has less, or does not give that much at once"
        found[name] = amount
    return found


def without_toleration(device: SliceDevice, demand: ClaimDemand) -> DeviceTaint | None:
    """Return a taint of the device that keeps the demand away."""
    for taint in device.taints:
        if taint.effect != DeviceTaintEffect.NONE and not any(
            _tolerates(toleration, taint) for toleration in demand.tolerations
        ):
            return taint
    return None


def _named(driver: str, values: Mapping[str, V]) -> dict[str, V]:
    """Return values by full name; where both spellings are there the longer counts."""
    found = {with_domain(name, driver): value for name, value in values.items()}
    return found | {name: value for name, value in values.items() if "/" in name}


def _consumed(capacity: DeviceCapacity, requested: int | None) -> int | None:
    policy = capacity.policy
    if policy is None:
        return capacity.value if requested is None else requested
    if requested is None:
        amount = capacity.value if policy.default is None else policy.default
    else:
        amount = _rounded(policy, requested)
    return amount if _keeps(policy, amount) else None


def _rounded(policy: CapacityPolicy, amount: int) -> int:
    if policy.least is not None:
        steps = 0
        if policy.step:
            steps = -(-max(0, amount - policy.least) // policy.step)
            return policy.least + steps * policy.step
        return max(amount, policy.least)
    return min((v for v in policy.valid_values if v >= amount), default=amount)


def _keeps(policy: CapacityPolicy, amount: int) -> bool:
    if amount == policy.default:
        return True
    if policy.valid_values:
        return amount in policy.valid_values
    if policy.most is not None and amount > policy.most:
        return False
    if policy.least is None or not policy.step:
        return True
    return (amount - policy.least) % policy.step == 0


def _tolerates(toleration: DeviceToleration, taint: DeviceTaint) -> bool:
    return all(
        wanted is None or wanted == own
        for wanted, own in (
            (toleration.key, taint.key),
            (toleration.value, taint.value),
            (toleration.effect, taint.effect),
        )
    )
