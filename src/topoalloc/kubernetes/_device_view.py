# SPDX-License-Identifier: Apache-2.0
"""A device of a ResourceSlice as selectors see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from topoalloc.kubernetes._cel_device import Device, Version
from topoalloc.kubernetes._objects import (
    AttributeKind,
    DeviceSlice,
    DeviceValues,
    SliceDevice,
)

__all__ = ["device_view"]

_NANO = 10**9


def device_view(item: DeviceSlice, device: SliceDevice) -> Device:
    """Return what selectors see of a device of a slice."""
    return Device(
        item.driver,
        _counted(item.driver, device.attributes, _value_of),
        _counted(
            item.driver,
            device.capacities,
            lambda capacity: Fraction(capacity.value, _NANO),
        ),
        device.is_shared,
    )


def _counted(
    driver: str, values: Mapping[str, Any], read: Callable[[Any], Any]
) -> dict[str, Any]:
    """Read values; of a name with and without the driver's domain the first counts."""
    return {
        name: read(value)
        for name, value in values.items()
        if "/" in name or f"{driver}/{name}" not in values
    }


def _value_of(values: DeviceValues) -> object:
    read: Callable[[Any], Any] = (
        Version if values.kind == AttributeKind.VERSION else lambda value: value
    )
    if values.is_list:
        return [read(value) for value in values.values]
    return read(values.values[0])
