# SPDX-License-Identifier: Apache-2.0
"""Pools as a node sees them: what docs/claim-objective.md, section 1, says of them.

Plain and slow: what the claim solver does for the same purpose is written anew in C++,
and the validator holds the one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from topoalloc.kubernetes._node_target import is_device_for, is_for
from topoalloc.kubernetes._objects import (
    ClusterNode,
    DeviceClass,
    DeviceSlice,
    SliceDevice,
)

__all__ = ["InventoryContents", "NodePools", "Place", "Pool", "PoolState"]

Place = tuple[DeviceSlice, SliceDevice]
Key = tuple[str, str]


@dataclass(frozen=True)
class InventoryContents:
    """What an inventory holds at a moment, claims aside.

    Attributes
    ----------
    slices : mapping of str to DeviceSlice
        By name, with the taints of rules.
    classes : mapping of str to DeviceClass
        By name.
    nodes : mapping of str to ClusterNode
        By name; those that slices name among them.
    features : mapping of str to bool
        Which are on.
    """

    slices: Mapping[str, DeviceSlice]
    classes: Mapping[str, DeviceClass]
    nodes: Mapping[str, ClusterNode]
    features: Mapping[str, bool]

    @cached_property
    def by_pool(self) -> Mapping[Key, Sequence[DeviceSlice]]:
        """The slices of each (driver, pool name), by name."""
        found: dict[Key, list[DeviceSlice]] = {}
        for name in sorted(self.slices):
            item = self.slices[name]
            found.setdefault((item.driver, item.pool), []).append(item)
        return found


class PoolState(Enum):
    """What may be done with a pool."""

    USABLE = "usable"
    OBSOLETE = "obsolete"
    INCOMPLETE = "incomplete"
    INVALID = "invalid"


@dataclass(frozen=True)
class Pool:
    """A pool, as a node sees it.

    Attributes
    ----------
    state : PoolState
        What may be done with it.
    fault : str
        Why it is not usable.
    devices : mapping of str to (DeviceSlice, SliceDevice)
        By name, of slices that target the node.
    known : sequence of (DeviceSlice, SliceDevice)
        Those, and for a pool that other nodes have a part of those of other nodes.
    totals : mapping of (str, str) to int
        By counter set and counter, billionths.
    """

    state: PoolState
    fault: str = ""
    devices: Mapping[str, Place] = field(default_factory=dict)
    known: Sequence[Place] = ()
    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)


class NodePools:
    """The pools of an inventory as one node sees them.

    Parameters
    ----------
    contents : InventoryContents
        The inventory.
    node : ClusterNode
        The node.
    """

    def __init__(self, contents: InventoryContents, node: ClusterNode) -> None:
        self.node = node
        self._contents = contents
        self._pools: dict[Key, Pool | None] = {}

    def __iter__(self) -> Iterator[tuple[Key, Pool]]:
        """Go through the pools on the node, obsolete ones too."""
        for key in self._contents.by_pool:
            pool = self.pool(*key)
            if pool is not None:
                yield key, pool

    def pool(self, driver: str, name: str) -> Pool | None:
        """Return a pool; None when it is not on the node."""
        key = (driver, name)
        if key not in self._pools:
            self._pools[key] = self._seen(self._contents.by_pool.get(key, ()))
        return self._pools[key]

    def _targets(self, item: DeviceSlice) -> bool:
        if item.counter_sets or item.targets_by_device:
            # Without counters these are slices of their pool that no node has.
            if not self._contents.features["counters"]:
                return False
            return bool(item.counter_sets) or any(
                is_device_for(item, device, self.node) for device in item.devices
            )
        return is_for(item.target, self.node)

    def _seen(self, slices: Sequence[DeviceSlice]) -> Pool | None:
        own = [item for item in slices if self._targets(item)]
        if not own:
            return None
        generation = max(item.generation for item in own)
        own = [item for item in own if item.generation == generation]
        known = own
        if len(own) != own[0].slice_count:
            if any(item.generation > generation for item in slices):
                return Pool(PoolState.OBSOLETE, "newer slices are on other nodes")
            known = [item for item in slices if item.generation == generation]
            if len(known) != known[0].slice_count:
                fault = f"{len(known)} of {known[0].slice_count} slices are there"
                return Pool(PoolState.INCOMPLETE, fault)
        places = [(item, device) for item in known for device in item.devices]
        names = [device.name for item in own for device in item.devices]
        totals = {
            (set_name, counter): total
            for item in known
            for set_name, counters in item.counter_sets.items()
            for counter, total in counters.items()
        }
        fault = _repeated(names, "devices") or _repeated(
            [name for item in known for name in item.counter_sets], "counter sets"
        )
        if not fault and self._contents.features["counters"]:
            fault = _missing(places, totals)
        if fault:
            return Pool(PoolState.INVALID, fault)
        devices = {
            device.name: (item, device) for item in own for device in item.devices
        }
        return Pool(PoolState.USABLE, "", devices, places, totals)


def _repeated(names: Sequence[str], what: str) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return f"two {what} are named {name}"
        seen.add(name)
    return ""


def _missing(places: Sequence[Place], totals: Mapping[tuple[str, str], int]) -> str:
    for _, device in places:
        for draw in device.draws:
            for counter in draw.counters:
                if (draw.counter_set, counter) not in totals:
                    what = f"{device.name} draws on {draw.counter_set}/{counter}"
                    return f"{what}, which is not there"
    return ""
