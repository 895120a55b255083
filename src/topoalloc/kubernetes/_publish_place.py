# SPDX-License-Identifier: Apache-2.0
"""Attributes that say where a device is: Kubernetes' standard ones, and ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc._machine import Device, Machine

__all__ = [
    "Publication",
    "amount",
    "fitting",
    "node_allocatable",
    "numa_attributes",
    "package_attributes",
    "place_attributes",
]

STANDARD = "resource.kubernetes.io"
OURS = "topoalloc.dev"
_MAX_TEXT, _MAX_VALUES = 64, 16
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("", "k", "M", "G", "T", "P", "E")

Attributes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Publication:
    """What is published, by whom, for whom."""

    machine: Machine
    driver: str
    features: Mapping[str, bool]
    group_by: str
    free_pus: frozenset[int]  # os_index of those that are not reserved


def amount(value: int) -> str:
    """Write a whole number as a resource.Quantity, the shorter of its two forms.

    >>> amount(80 * 2**30), amount(400 * 10**9), amount(48)
    ('80Gi', '400G', '48')
    """
    forms = []
    for base, suffixes in ((1024, _BINARY), (1000, _DECIMAL)):
        left, power = value, 0
        while left and left % base == 0 and power + 1 < len(suffixes):
            left, power = left // base, power + 1
        forms.append(f"{left}{suffixes[power]}")
    return min(forms, key=len)


def node_allocatable(
    of: Publication, resource: str, capacity: str | None = None
) -> dict[str, Any]:
    """Write what of a node a device is: itself, or as much as its capacity says."""
    if not of.features["node_allocatable"]:
        return {}
    mapping = (
        {"deviceMultiplier": "1"}
        if capacity is None
        else {"capacityKey": capacity, "capacityMultiplier": "1"}
    )
    return {"nodeAllocatableResources": {resource: {"mapping": mapping}}}


def fitting(text: str) -> str:
    """Return as much of a text as an attribute may hold: 64 bytes."""
    return text.encode()[:_MAX_TEXT].decode(errors="ignore")


def numa_attributes(of: Publication, numa_nodes: Sequence[int]) -> Attributes:
    """Write `numaNode`: one that is known, or with lists those beside it, too.

    The list is the one of KEP-6072: first the NUMANode itself, then those of its
    Package at the least distance. Of a device on several there is no one to name
    without lists, and nothing is said.
    """
    if not numa_nodes:
        return {}
    values = list(dict.fromkeys([*numa_nodes, *_beside(of.machine, numa_nodes[0])]))
    if not of.features["lists"]:
        values = list(numa_nodes)
    return _one_or_list(of, f"{STANDARD}/numaNode", "int", values)


def package_attributes(of: Publication, localities: Collection[int]) -> Attributes:
    """Write the Package of localities by its logical index; with lists, several."""
    own = of.machine.localities
    found = {package for index in localities for package in own[index].packages}
    return _one_or_list(of, f"{OURS}/package", "int", sorted(found))


def root_attributes(of: Publication, roots: Collection[str]) -> Attributes:
    """Write `pcieRoot`: one, or with lists several."""
    return _one_or_list(of, f"{STANDARD}/pcieRoot", "string", sorted(roots))


def _one_or_list(
    of: Publication, name: str, kind: str, values: Sequence[Any]
) -> Attributes:
    if len(values) == 1:
        return {name: {kind: values[0]}}
    if not values or not of.features["lists"]:
        return {}
    return {name: {f"{kind}s": list(values[:_MAX_VALUES])}}


def place_attributes(of: Publication, device: Device) -> Attributes:
    """Write where a PCI device is."""
    numa = tuple(device.numa_nodes)
    physical = device.attributes.get("numa_node")
    if isinstance(physical, int) and physical in numa:
        numa = (physical, *(node for node in numa if node != physical))
    found = numa_attributes(of, numa)
    found |= package_attributes(of, device.localities)
    if device.pci_address is not None:
        found[f"{STANDARD}/pciBusID"] = {"string": device.pci_address}
    root = root_of(device)
    if root is not None:
        found[f"{STANDARD}/pcieRoot"] = {"string": root}
    if device.switch is not None:
        found[f"{OURS}/switch"] = {"int": device.switch}
    return found


def root_of(device: Device) -> str | None:
    """Return the PCI root of a device: ``pci0000:15``."""
    last = device.bridges[-1] if device.bridges else ""
    return last if last.startswith("pci") else None


def _beside(machine: Machine, numa_node: int) -> list[int]:
    """Return NUMANodes of its locality, and of those of its Package that are nearest.

    None of them is the memory of a GPU.
    """
    own = next(
        (each for each in machine.localities if numa_node in each.numa_nodes), None
    )
    if own is None:
        return []
    others = [
        locality
        for locality in machine.localities
        if locality is not own and set(locality.packages) & set(own.packages)
    ]
    distance = {
        other.logical_index: machine.locality_distance(
            own.logical_index, other.logical_index
        )
        for other in others
    }
    kinds = {node.os_index: node.kind for node in machine.numa_nodes}
    with_pus = {node.os_index for node in machine.numa_nodes if node.pus}
    # 0 is no distance but the want of one: then nobody knows what is near.
    nearest = min(filter(None, distance.values()), default=-1)
    return [
        # The memory of a GPU has no PUs: those that are attached where it is.
        *(node for node in own.numa_nodes if node in with_pus),
        *(
            node
            for other in others
            if distance[other.logical_index] == nearest
            for node in other.numa_nodes
            if kinds[node] != "gpu"
        ),
    ]
