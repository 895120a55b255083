# SPDX-License-Identifier: Apache-2.0
"""Violation: what an allocation does that it may not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Violation", "ViolationRule"]


class ViolationRule(Enum):
    """The rule that an allocation breaks."""

    OBJECT = "object"
    """The claim breaks a rule of its API; nothing else is said of it."""
    CLASS = "class"
    """A DeviceClass is not there."""
    DEVICE = "device"
    """A device is not there, or its pool must not be used."""
    NODE = "node"
    """The node selector has no node, or one where a device is not."""
    ENTRY = "entry"
    """Of `firstAvailable` not one entry is chosen."""
    COUNT = "count"
    """A request has too few or too many devices, or not those of `All`."""
    TWICE = "twice"
    """A device is chosen twice where it may be chosen once."""
    SELECTOR = "selector"
    """A selector is not true of a device, or fails on it."""
    CAPACITY = "capacity"
    """A device has less than is requested of it at once."""
    CONSUMED = "consumed"
    """What a share consumes is not what the request comes to."""
    SHARE_ID = "share_id"
    """A share has no id of its own, or what is no share has one."""
    TAINT = "taint"
    """A taint is not tolerated."""
    FEATURE = "feature"
    """The device wants a feature that is off."""
    COPIED = "copied"
    """The result does not say what the request or the device says."""
    CONSTRAINT = "constraint"
    """A `matchAttribute` or `distinctAttribute` is not kept."""
    CONFIG = "config"
    """The configuration is not that of the classes and the claim."""
    TAKEN = "taken"
    """A device is given to two."""
    OVERCOMMITTED = "overcommitted"
    """The shares of a device are more than it has."""
    COUNTERS = "counters"
    """The devices draw more than a counter has."""
    GROUPS = "groups"
    """Devices of a counter set have no compatibility group in common."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What an allocation does that it may not.

    Attributes
    ----------
    path : str
        Where: ``"claims[0].status.allocation.devices.results[1].device"``.
    claim : str
        ``namespace/name``; empty where the claim could not be read.
    rule : ViolationRule
        Which rule is broken.
    text : str
        How, and what is wanted.
    """

    path: str
    claim: str
    rule: ViolationRule
    text: str

    def __str__(self) -> str:
        """Write the path and the reason."""
        return f"{self.path}: {self.text}"
