# SPDX-License-Identifier: Apache-2.0
"""Where the devices of an allocation are, and the nodes that it can be used on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from topoalloc.kubernetes._node_target import is_device_for, is_met
from topoalloc.kubernetes._objects import AllocatedDevice, ClusterNode, DeviceId
from topoalloc.kubernetes._objects_slice import node_terms
from topoalloc.kubernetes._objects_values import fail
from topoalloc.kubernetes._pool_view import (
    InventoryContents,
    NodePools,
    Place,
    PoolState,
)

__all__ = ["ClaimResult", "NodeViews", "device_on", "name_of", "pools_of"]


@dataclass(frozen=True)
class ClaimResult:
    """A result of an allocation, and the device that it names if that is there."""

    path: str
    allocated: AllocatedDevice
    place: Place | None


class NodeViews:
    """The pools of an inventory as each of its nodes sees them."""

    def __init__(self, contents: InventoryContents) -> None:
        self.contents = contents
        self._views: dict[str, NodePools] = {}

    def __getitem__(self, node: ClusterNode) -> NodePools:
        """Return what a node sees."""
        if node.name not in self._views:
            self._views[node.name] = NodePools(self.contents, node)
        return self._views[node.name]


def name_of(device: DeviceId) -> str:
    """Return driver, pool and name."""
    return f"{device.driver}/{device.pool}/{device.device}"


def device_on(pools: NodePools, device: DeviceId) -> Place | str:
    """Return where a device of a node is, or why the node has not got it."""
    pool = pools.pool(device.driver, device.pool)
    node = pools.node.name
    if pool is None:
        return f"its pool has no slice for node {node}"
    if pool.state != PoolState.USABLE:
        return f"its pool is {pool.state.value}: {pool.fault}"
    place = pool.devices.get(device.device)
    if place is None:
        return f"its pool has no such device on node {node}"
    return place if is_device_for(*place, pools.node) else f"it is not for node {node}"


def pools_of(
    allocated: Sequence[AllocatedDevice], selector: object, path: str, views: NodeViews
) -> tuple[NodePools | None, str | None]:
    """Return the pools as a node sees them that has the devices, and what is wrong.

    Parameters
    ----------
    allocated : sequence of AllocatedDevice
        What is allocated.
    selector : object
        `status.allocation.nodeSelector`; None permits every node.
    path : str
        Of it.
    views : NodeViews
        The inventory.

    Returns
    -------
    pools : NodePools or None
        As the first node sees them that is permitted and has all the devices; else any.
    fault : str or None
        Why the selector can not be right.

    Raises
    ------
    ObjectError
        The selector is none.
    """
    nodes = list(views.contents.nodes.values())
    if not nodes:
        return None, "no node is known, want the nodes of the devices"
    permitted = nodes if selector is None else _permitted(nodes, selector, path)
    missing = {node.name: _missing(allocated, views[node]) for node in permitted}
    best = next((node for node in permitted if missing[node.name] is None), None)
    if best is None:
        if permitted:
            return views[permitted[0]], None  # each device says what is wrong
        at = (node for node in nodes if _missing(allocated, views[node]) is None)
        fault = "permits no node that is known, want one that has the devices"
        return views[next(at, nodes[0])], fault
    for name, device in missing.items():
        if device is not None:
            fault = f"permits node {name}, which has no {name_of(device)}"
            return views[best], f"{fault}, want nodes that have all the devices"
    for item in allocated:
        place = device_on(views[best], item.id)
        if len(permitted) > 1 and not isinstance(place, str) and place[1].binds_to_node:
            fault = (
                f"permits {len(permitted)} nodes, and {name_of(item.id)} binds to one"
            )
            return views[best], f"{fault}, want one node"
    return views[best], None


def _permitted(
    nodes: Sequence[ClusterNode], selector: object, path: str
) -> list[ClusterNode]:
    terms = node_terms(selector, path)
    if not terms:
        raise fail(f"{path}.nodeSelectorTerms", "none, want at least one")
    return [
        node
        for node in nodes
        # A term without requirements selects nothing.
        if any(term and all(is_met(each, node) for each in term) for term in terms)
    ]


def _missing(allocated: Sequence[AllocatedDevice], pools: NodePools) -> DeviceId | None:
    for item in allocated:
        if isinstance(device_on(pools, item.id), str):
            return item.id
    return None
