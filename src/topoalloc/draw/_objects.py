# SPDX-License-Identifier: Apache-2.0
"""The objects of a Machine as one tree, and who holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from topoalloc import _core
from topoalloc._allocator import Allocator
from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Device, Domain, Machine, NumaNode

__all__ = ["Holders", "IoNode", "Node", "bytes_text", "object_tree", "short_address"]

_UNIT = 1024
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SHOW_TENTHS_BELOW = 100
# Of equal PU sets the outer kind comes first.
_ORDER = ("Machine", "Package", "Group", "Die", "L3", "Core", "PU")


@dataclass
class IoNode:
    """A bridge, or a device with its partitions."""

    name: str
    """Address of a bridge, name of a device."""
    device: Device | None = None
    is_host: bool = False
    children: list[IoNode] = field(default_factory=list)


@dataclass
class Node:
    """A Machine, Package, Group, Die, L3, Core or PU, with what hangs on it."""

    kind: str
    logical_index: int
    os_index: int | None
    pus: tuple[int, ...]
    """Logical indices."""
    children: list[Node] = field(default_factory=list)
    memory: list[NumaNode] = field(default_factory=list)
    io: list[IoNode] = field(default_factory=list)


class Holders:
    """Who holds PUs and devices, in words.

    Parameters
    ----------
    machine : Machine
        What is drawn.
    allocator : Allocator, optional
        Without one only what the Machine itself disallows is known.
    """

    def __init__(self, machine: Machine, allocator: Allocator | None = None) -> None:
        self.owners: tuple[str, ...] = ()
        self.free_memory: dict[int, int] = {}
        self._by_pu: dict[int, str] = {}
        self._by_device: dict[str, list[str]] = {}
        self._memory: dict[int, list[tuple[str, int]]] = {}
        allowed = {*_core.cpuset_members(machine.allowed_pus)}
        for pu in machine.pus:
            if pu.os_index not in allowed:
                self._by_pu[pu.os_index] = "not allowed"
        self._nodes = {*machine.allowed_numa_nodes}
        if allocator is not None:
            self._add(allocator)

    def _add(self, allocator: Allocator) -> None:
        state = allocator.state_dict()
        self.free_memory = allocator.free_memory
        for word in ("reserved", "cordoned"):
            for pu in _core.cpuset_members(state[f"{word}_pus"]):
                self._by_pu.setdefault(pu, word)
        for name in state["cordoned_devices"]:
            self._by_device.setdefault(name, []).append("cordoned")
        placements = allocator.placements
        self.owners = tuple(placements)
        for owner, placement in placements.items():
            for pu in placement.pus:
                self._by_pu[pu] = owner
            for name in placement.devices:
                self._by_device.setdefault(name, []).append(owner)
            taken = dict(placement.memory)
            for node, sizes in placement.hugepages.items():
                taken[node] = taken.get(node, 0) + sum(sizes.values())
            for node, amount in taken.items():
                self._memory.setdefault(node, []).append((owner, amount))

    def of_pu(self, os_index: int) -> str:
        """Name the owner, or "reserved", "cordoned", "not allowed"; "" is free."""
        return self._by_pu.get(os_index, "")

    def of_device(self, name: str) -> tuple[str, ...]:
        """Name the owners likewise: several where it is shared, none where free."""
        return tuple(self._by_device.get(name, ()))

    def of_node(self, os_index: int) -> str:
        """Say "not allowed" of a NUMANode whose memory is not to be used, else ""."""
        return "" if os_index in self._nodes else "not allowed"

    def of_memory(self, os_index: int) -> tuple[tuple[str, int], ...]:
        """Name the owners of bytes of a NUMANode, each with its bytes of all pages."""
        return tuple(self._memory.get(os_index, ()))


def object_tree(machine: Machine) -> Node:
    """Return the tree with the Machine on top, as hwloc would nest it.

    Parameters
    ----------
    machine : Machine
        Any.

    Returns
    -------
    Node
        Kinds that only stand in for another are left out; a Group stands where a
        NUMANode has PUs that no other object has.
    """
    root = Node("Machine", 0, None, tuple(range(len(machine.pus))))
    nodes = [*_cpu_nodes(machine)]
    nodes.sort(key=lambda node: (node.pus[0], -len(node.pus), _ORDER.index(node.kind)))
    path = [root]
    for node in nodes:
        # The PU sets are laminar and numbered depth first: a node is inside the last
        # one that has not ended before it.
        while not _is_inside(node.pus, path[-1].pus):
            path.pop()
        path[-1].children.append(node)
        path.append(node)
    _hang_memory(root, machine)
    _hang_devices(root, machine)
    return root


def _is_inside(inner: Sequence[int], outer: Sequence[int]) -> bool:
    return outer[0] <= inner[0] and inner[-1] <= outer[-1]


def _cpu_nodes(machine: Machine) -> Iterable[Node]:
    document = machine.to_dict()
    found: list[Node] = []
    for key, domains in (
        ("packages", machine.packages),
        ("dies", machine.dies),
        ("l3s", machine.l3s),
        ("cores", machine.cores),
    ):
        real = {
            _core.normalize_cpuset(entry["cpuset"]) for entry in document.get(key, ())
        }
        found += [_node(domain) for domain in domains if domain.cpuset in real]
    found += [
        Node("PU", pu.logical_index, pu.os_index, (i,))
        for i, pu in enumerate(machine.pus)
    ]
    known = {node.pus for node in found} | {tuple(range(len(machine.pus)))}
    groups = sorted({node.pus for node in machine.numa_nodes if node.pus} - known)
    return [*found, *(Node("Group", i, None, pus) for i, pus in enumerate(groups))]


def _node(domain: Domain) -> Node:
    return Node(domain.kind, domain.logical_index, domain.os_index, domain.pus)


def _holder(root: Node, pus: Sequence[int]) -> Node:
    """Return the innermost object above cores that has these PUs."""
    node = root
    while pus:
        inner = [
            child
            for child in node.children
            if child.kind not in {"Core", "PU"} and _is_inside(pus, child.pus)
        ]
        if not inner:
            break
        # Of an object and another of the same PUs inside it hwloc takes the outer.
        node = inner[0]
        if node.pus == tuple(pus):
            break
    return node


def _hang_memory(root: Node, machine: Machine) -> None:
    for numa_node in machine.numa_nodes:
        pus = numa_node.pus or _pus_of(machine, numa_node.localities)
        _holder(root, pus).memory.append(numa_node)


def _pus_of(machine: Machine, localities: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({pu for i in localities for pu in machine.localities[i].pus}))


def _hang_devices(root: Node, machine: Machine) -> None:
    partitions: dict[str, list[IoNode]] = {}
    for device in machine.devices:
        if device.parent is not None:
            leaf = IoNode(device.name, device)
            partitions.setdefault(device.parent.name, []).append(leaf)
    bridges: dict[str, IoNode] = {}
    localities: dict[str, set[int]] = {}
    tops: list[IoNode] = []
    for device in machine.devices:
        if device.parent is not None:
            continue
        io = IoNode(device.name, device, children=partitions.get(device.name, []))
        for depth, address in enumerate(device.bridges):
            is_host = depth == len(device.bridges) - 1
            above = bridges.get(address)
            is_new = above is None
            if above is None:
                above = bridges[address] = IoNode(address, is_host=is_host)
            above.children.append(io)
            io = above
            if not is_new:
                break
        else:
            tops.append(io)
        top = device.bridges[-1] if device.bridges else device.name
        localities.setdefault(top, set()).update(device.localities)
    for io in sorted(tops, key=lambda top: top.name):
        pus = _pus_of(machine, localities[io.name])
        _holder(root, pus).io.append(io)


def require_machine(machine: object, allocator: object = None) -> None:
    """Refuse what cannot be drawn."""
    if not isinstance(machine, Machine):
        raise InvalidRequestError(f"machine: {type(machine).__name__}, want a Machine")
    if allocator is not None and not isinstance(allocator, Allocator):
        raise InvalidRequestError(
            f"allocator: {type(allocator).__name__}, want an Allocator"
        )


def bytes_text(amount: int) -> str:
    """Say bytes in three digits or so: ``"13.7Gi"``; not exact.

    Examples
    --------
    >>> bytes_text(14379220 * 1024), bytes_text(2**40)
    ('13.7Gi', '1Ti')
    """
    value, unit = float(amount), 0
    while value >= _UNIT and unit + 1 < len(_UNITS):
        value, unit = value / _UNIT, unit + 1
    digits = f"{value:.1f}" if value < _SHOW_TENTHS_BELOW else f"{value:.0f}"
    return digits.removesuffix(".0") + _UNITS[unit]


def short_address(address: str) -> str:
    """Leave out PCI domain 0000, as lstopo and lspci do."""
    return address.removeprefix("0000:")
