# SPDX-License-Identifier: Apache-2.0
"""GPUs, NICs and other devices of a Machine as devices of a slice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Device
from topoalloc.kubernetes._publish_place import (
    Attributes,
    Publication,
    amount,
    fitting,
    place_attributes,
)

__all__ = ["class_devices", "counter_sets"]

_SHARED = {"nic": ("bandwidth",)}
# What is a property of a kind of device; what names one of them is left to its uuid.
_TEXTS = {"model": "productName", "vendor": "vendor", "role": "role"}
_FLAGS = ("rdma", "sriov_vf")
_MAX_LABEL = 63


def class_devices(of: Publication, device_class: str) -> Iterator[dict[str, Any]]:
    """Go through the devices of a class; parts come first, the smaller the earlier.

    The first that fits is what Kubernetes takes, and KEP-4815 wants the largest last.
    """
    devices = [
        device
        for device in of.machine.devices
        if device.device_class == device_class
        # A part that could be given beside the whole would be given twice.
        and (device.parent is None or _is_part(of, device))
    ]
    for device in sorted(devices, key=lambda each: _place(of, each)):
        yield _device(of, device)


def _place(of: Publication, device: Device) -> tuple[Any, ...]:
    """Return what sorts devices: by their part, then neighbours side by side."""
    return (
        _share(of, device),
        device.parent is None,
        not device.localities,  # unknown comes last
        device.localities,
        device.bridges[::-1],
        device.logical_index,
    )


def counter_sets(of: Publication, device_class: str) -> Iterator[dict[str, Any]]:
    """Go through the counter sets that devices of a class draw on."""
    if not of.features["counters"]:
        return
    for device in of.machine.devices:
        if _is_divided(of, device) and device.device_class == device_class:
            yield {"name": _set_name(device), "counters": _counters(device.counters)}


def _device(of: Publication, device: Device) -> dict[str, Any]:
    attributes: Attributes = {"type": {"string": _type(device)}}
    if device.uuid is not None and device.uuid == fitting(device.uuid):
        # One that is cut could be another's.
        attributes["uuid"] = {"string": device.uuid}
    for own, published in _TEXTS.items():
        value = device.attributes.get(own) or _root(device).attributes.get(own)
        if isinstance(value, str) and value:
            attributes[published] = {"string": fitting(value)}
    for own in _FLAGS:
        value = device.attributes.get(own)
        if isinstance(value, bool):
            attributes[own] = {"bool": value}
    if device.partition is not None:
        attributes["profile"] = {"string": fitting(device.partition)}
    if device.parent is not None:
        attributes["parent"] = {"string": device_name(device.parent)}
    attributes |= place_attributes(of, device)
    found: dict[str, Any] = {"name": device_name(device), "attributes": attributes}
    if device.capacities:
        found["capacity"] = {
            name: {"value": amount(value)} for name, value in device.capacities.items()
        }
    shared = _SHARED.get(device.device_class, ())
    if of.features["consumable_capacity"] and set(shared) & set(device.capacities):
        found["allowMultipleAllocations"] = True
    root = _root(device)
    if of.features["counters"] and _is_divided(of, root):
        draws = root.counters if device is root else device.draws
        found["consumesCounters"] = [
            {"counterSet": _set_name(root), "counters": _counters(draws)}
        ]
    return found


def device_name(device: Device) -> str:
    """Return the name that a device is published by: ``gpu-0``, ``gpu-0-part-3``."""
    root = _root(device)
    name = f"{_label(root.device_class)}-{root.index}"
    if device is root:
        return name
    part = _label(device.name.rpartition("/")[2])
    kind = (
        f"mig-{_label(device.partition)}"
        if device.device_class == "gpu" and device.partition
        else "part"
    )
    return f"{name}-{kind}-{part}"[:_MAX_LABEL].rstrip("-")


def _type(device: Device) -> str:
    if device.parent is None:
        return device.device_class
    return "mig" if device.device_class == "gpu" else "vf"


def _root(device: Device) -> Device:
    return device if device.parent is None else _root(device.parent)


def _is_divided(of: Publication, device: Device) -> bool:
    """Tell whether some other device draws on the counters of this one."""
    return bool(device.counters) and any(
        other.parent is not None and _root(other).name == device.name and other.draws
        for other in of.machine.devices
    )


def _is_part(of: Publication, device: Device) -> bool:
    return bool(of.features["counters"] and device.draws and _root(device).counters)


def _share(of: Publication, device: Device) -> Fraction:
    """Return how much of its root a device draws, added up over the counters."""
    root = _root(device)
    if device is root or not _is_part(of, device):
        return Fraction(len(root.counters) or 1)
    return sum(
        (
            Fraction(drawn, root.counters[name])
            for name, drawn in device.draws.items()
            if root.counters.get(name)
        ),
        Fraction(0),
    )


def _set_name(device: Device) -> str:
    return f"{device_name(device)}-counter-set"


def _counters(amounts: Mapping[str, int]) -> dict[str, dict[str, str]]:
    found = {_label(name): {"value": amount(value)} for name, value in amounts.items()}
    if len(found) != len(amounts):
        # With one of them lost, partitions would be given that do not fit together.
        message = f"machine: two counters are one label in {', '.join(amounts)}"
        raise InvalidRequestError(f"{message}, want names of their own")
    return found


def _label(text: str) -> str:
    """Return a text as an RFC 1123 label."""
    found = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return found[:_MAX_LABEL].rstrip("-") or "x"
