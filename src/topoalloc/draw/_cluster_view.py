# SPDX-License-Identifier: Apache-2.0
"""What the pictures of a Cluster show: Domains in Domains, nodes, who holds what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from topoalloc import _core
from topoalloc._cluster import Cluster, NodeDescription
from topoalloc._constraints import check_texts
from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Machine
from topoalloc._quantity import counted, shown

__all__ = [
    "FREE",
    "OUT",
    "ClusterView",
    "ViewDomain",
    "ViewNode",
    "finest_level",
    "printable",
    "shares",
]

FREE: Final = -1
OUT: Final = -2
"""Cordoned, reserved, or free on a node that is cordoned."""
_NO_GANG: Final = "(no Gang)"


@dataclass
class ViewNode:
    """A node: who holds each of its units."""

    name: str
    index: int
    """In node order."""
    units: tuple[int, ...]
    """Of each device or PU the number of the owner, `FREE` or `OUT`."""
    is_cordoned: bool
    is_held: bool
    """Whether anybody holds anything on it, counted or not."""

    def counts(self) -> Counter[int]:
        """Count the units by owner."""
        return Counter(self.units)


@dataclass
class ViewDomain:
    """A Domain, or the whole Cluster, with the counts of all below."""

    level: str
    """Empty for the Cluster."""
    value: str
    depth: int
    children: dict[str, ViewDomain] = field(default_factory=dict)
    nodes: list[ViewNode] = field(default_factory=list)
    """Those in none of the children."""
    counts: Counter[int] = field(default_factory=Counter)
    node_count: int = 0
    cordoned: int = 0

    @property
    def title(self) -> str:
        """Say which it is: ``"rack r01"``."""
        return f"{self.level} {self.value}" if self.level else "Cluster"

    def walk(self) -> Iterator[ViewDomain]:
        """Yield it and all Domains inside, in order."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    def free_text(self, unit: str) -> str:
        """Say how much is free: ``"24 of 72 gpus free, 1 cordoned"``."""
        more = f", {self.cordoned} cordoned" if self.cordoned else ""
        total = sum(self.counts.values())
        return f"{self.counts[FREE]} of {total} {unit}s free{more}"

    def numbers(self, unit: str) -> str:
        """Say how much there is: ``"18 nodes, 24 of 72 gpus free"``."""
        return f"{counted(self.node_count, 'node')}, {self.free_text(unit)}"


class ClusterView:
    """A Cluster as its pictures show it.

    Parameters
    ----------
    cluster : Cluster
        Any.
    tree : str, optional
        Whose levels nest; the first when left out.
    device_class : str, optional
        What is counted: ``"gpu"`` where there is one, else ``"pu"``.
    """

    def __init__(
        self, cluster: Cluster, tree: str | None, device_class: str | None
    ) -> None:
        if not isinstance(cluster, Cluster):
            raise InvalidRequestError(
                f"cluster: {type(cluster).__name__}, want a Cluster"
            )
        now = cluster.fork()  # Others may change it meanwhile.
        trees = now.trees
        if tree is not None and tree not in {*trees}:
            raise InvalidRequestError(
                f"tree: {shown(tree)}, want one of {', '.join(trees)}"
            )
        self.levels = trees[next(iter(trees)) if tree is None else tree]
        nodes = [now.describe(name) for name in now.nodes]
        self.unit = _unit(nodes, device_class)
        self._gangs = {*now.gangs}
        self._numbers: dict[str, int] = {}
        self._names: dict[int, list[str]] = {}
        self.top = ViewDomain("", "", 0)
        for index, node in enumerate(nodes):
            self._add(now, node, index)
        self.size = len(nodes)
        self.owners = self._sort_owners()

    def _add(self, now: Cluster, node: NodeDescription, index: int) -> None:
        units, is_held = self._units(now, node)
        drawn = ViewNode(node.name, index, units, node.is_cordoned, is_held)
        counts = drawn.counts()
        place = self.top
        path = [place]
        for level in self.levels:
            value = node.domains.get(level)
            if value is not None:
                # Of one value under a missing one above there are two Domains.
                key = f"{level}\0{value}"
                place = place.children.setdefault(
                    key, ViewDomain(level, value, place.depth + 1)
                )
                path.append(place)
        place.nodes.append(drawn)
        for domain in path:
            domain.counts += counts
            domain.node_count += 1
            domain.cordoned += node.is_cordoned

    def _units(
        self, now: Cluster, node: NodeDescription
    ) -> tuple[tuple[int, ...], bool]:
        state = now.node(node.name).state_dict()
        held: dict[str, int] = {}
        for owner, _, _, placement in state["owners"]:
            gang, slash, _ = owner.partition("/")
            is_pod = bool(slash) and gang in self._gangs
            number = self._number(gang if is_pod else _NO_GANG)
            if self.unit == "pu":
                held.update((str(pu), number) for pu in placement.pus)
            else:
                # A partition or a share colours the whole.
                held.update((d.partition("/")[0], number) for d in placement.devices)
        if self.unit == "pu":
            listed = f"{state['reserved_pus']},{state['cordoned_pus']}".strip(",")
            bad = {*map(str, _core.cpuset_members(listed))} if listed else set()
        else:
            bad = {*state["cordoned_devices"]}
        rest = OUT if node.is_cordoned else FREE
        names = self._names_of(node.machine)
        units = tuple(held.get(name, OUT if name in bad else rest) for name in names)
        return units, bool(state["owners"])

    def _number(self, owner: str) -> int:
        return self._numbers.setdefault(owner, len(self._numbers))

    def _names_of(self, machine: Machine) -> list[str]:
        names = self._names.get(id(machine))
        if names is None:
            names = self._names[id(machine)] = _unit_names(machine, self.unit)
        return names

    def _sort_owners(self) -> dict[int, str]:
        """Return those who hold a unit by number, in the order of a legend."""
        names = sorted(self._numbers, key=lambda name: (name == _NO_GANG, name))
        return {
            self._numbers[name]: name
            for name in names
            if self.top.counts[self._numbers[name]]
        }


def _unit(nodes: list[NodeDescription], device_class: str | None) -> str:
    machines = {id(node.machine): node.machine for node in nodes}.values()
    known = {"pu"} | {
        device.device_class
        for machine in machines
        for device in machine.devices
        if device.parent is None
    }
    if device_class is None:
        return "gpu" if "gpu" in known else "pu"
    (name,) = check_texts("device_class", [device_class])
    if name not in known:
        raise InvalidRequestError(
            f"device_class: {shown(name)}, want one of {', '.join(sorted(known))}"
        )
    return name


def _unit_names(machine: Machine, unit: str) -> list[str]:
    if unit == "pu":
        return [str(pu.os_index) for pu in machine.pus]
    return [
        device.name
        for device in machine.devices
        if device.parent is None and device.device_class == unit
    ]


def printable(text: str) -> str:
    """Return a name that does nothing to a terminal, and that XML can hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shares(counts: Mapping[int, int], order: list[int], width: int) -> list[int]:
    """Divide a width by counts, in the order given: the largest rests round up.

    Examples
    --------
    >>> shares({0: 1, -1: 2}, [0, -1], 10)
    [3, 7]
    """
    total = sum(counts.get(key, 0) for key in order)
    if not total:
        return [0] * len(order)
    exact = [counts.get(key, 0) * width for key in order]
    parts = [value // total for value in exact]
    by_rest = sorted(range(len(order)), key=lambda i: -(exact[i] % total))
    for i in by_rest[: width - sum(parts)]:
        parts[i] += 1
    return parts


def finest_level(view: ClusterView, most: int) -> str:
    """Return the finest level with no more Domains than that, or the coarsest."""
    found = ""
    for level in view.levels:
        number = sum(domain.level == level for domain in view.top.walk())
        if number > most and found:
            break
        found = level
    return found
