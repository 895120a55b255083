# SPDX-License-Identifier: Apache-2.0
"""A machine as text: the tree as lstopo's users know it, and matrices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from topoalloc import _core
from topoalloc._allocator import Allocator
from topoalloc._constraints import check_texts
from topoalloc._machine import Device, Level, Machine, NumaNode
from topoalloc._request import API_VERSION
from topoalloc.draw._objects import (
    Holders,
    IoNode,
    Node,
    bytes_text,
    object_tree,
    require_machine,
    short_address,
)

__all__ = [
    "Matrix",
    "device_matrix",
    "distance_matrix",
    "link_matrix",
    "machine_tree",
    "matrices_to_dict",
]

_INDENT = "  "
_LEAST_COLLAPSED = 2

_MEANINGS = {
    Level.SELF: "the same device, or functions of one card",
    Level.SWITCH: "a common PCIe switch",
    Level.BRIDGES: "a common PCI bridge, more bridges between",
    Level.ROOT: "the same host bridge",
    Level.NUMA: "a common NUMANode",
    Level.PACKAGE: "the same Package, other NUMANodes (nvidia-smi: NODE)",
    Level.MACHINE: "anything else, and unknown",
}

T = TypeVar("T")


def machine_tree(
    machine: Machine, allocator: Allocator | None = None, *, collapse: bool = True
) -> str:
    """Draw the tree with two spaces a level, as ``lstopo -`` does.

    Parameters
    ----------
    machine : Machine
        Any.
    allocator : Allocator, optional
        Of that Machine; what is taken is marked by ``<- owner``.
    collapse : bool, default True
        Say runs of cores, NUMANodes and partitions that are alike in one line.

    Returns
    -------
    str
        Lines, the last one ended too.

    Examples
    --------
    >>> print(machine_tree(Machine.from_synthetic("pack:1 core:4 pu:2")), end="")
    Machine (1Gi total) "pack:1 core:4 pu:2"
      Package L#0 (P#0)
        NUMANode L#0 (P#0 1Gi)
        Core L#0-3 (P#0-3) + PU P#0-7 [collapsed]
    """
    require_machine(machine, allocator)
    lines = _Tree(machine, allocator, collapse).lines(object_tree(machine))
    return "".join(f"{line}\n" for line in lines)


class _Tree:
    def __init__(
        self, machine: Machine, allocator: Allocator | None, collapse: bool
    ) -> None:
        self._machine = machine
        self._holders = Holders(machine, allocator)
        self._has_state = allocator is not None
        self._least = _LEAST_COLLAPSED if collapse else len(machine.pus) + 2**32

    def lines(self, node: Node, depth: int = 0) -> Iterator[str]:
        """Draw an object, what hangs on it, and what is inside it."""
        names = [self._name(node)]
        # lstopo writes an only child beside its parent.
        while len(node.children) == 1 and not (node.memory or node.io or depth == 0):
            node = node.children[0]
            names.append(self._name(node))
        yield _INDENT * depth + " + ".join(names) + self._state(node)
        for memory in _runs(node.memory, self._memory_key, self._least):
            yield _INDENT * (depth + 1) + self._memory(memory)
        for children in _runs(node.children, self._core_key, self._least):
            if len(children) == 1:
                yield from self.lines(children[0], depth + 1)
            else:
                yield _INDENT * (depth + 1) + self._cores(children)
        for io in node.io:
            yield from self._io(io, depth + 1)

    def _name(self, node: Node) -> str:
        if node.kind == "Machine":
            total = sum(each.memory for each in self._machine.numa_nodes)
            title = f' "{self._machine.name}"' if self._machine.name else ""
            return f"Machine ({bytes_text(total)} total){title}"
        os_index = "" if node.os_index is None else f" (P#{node.os_index})"
        return f"{node.kind} L#{node.logical_index}{os_index}"

    def _state(self, node: Node) -> str:
        if node.kind == "PU":
            return _arrow(self._holders.of_pu(self._os_indices(node)[0]))
        if not self._has_state or node.kind == "Core":
            return ""
        pus = self._os_indices(node)
        free = sum(not self._holders.of_pu(pu) for pu in pus)
        return "" if free == len(pus) else f" [{free} of {len(pus)} PUs free]"

    def _os_indices(self, node: Node) -> list[int]:
        return [self._machine.pus[i].os_index for i in node.pus]

    def _core_key(self, node: Node) -> object:
        if node.kind not in {"Core", "PU"}:
            return None
        labels = tuple(self._holders.of_pu(pu) for pu in self._os_indices(node))
        # Cores of which parts are held differ in which: these are never collapsed.
        return (node.kind, labels) if len({*labels}) == 1 else None

    def _cores(self, nodes: Sequence[Node]) -> str:
        pus = [pu for node in nodes for pu in self._os_indices(node)]
        logical = _range(node.logical_index for node in nodes)
        label = _arrow(self._holders.of_pu(pus[0]))
        if nodes[0].kind == "PU":
            return f"PU L#{logical} (P#{_list(pus)}) [collapsed]{label}"
        known = [node.os_index for node in nodes if node.os_index is not None]
        os_index = f" (P#{_list(known)})" if len(known) == len(nodes) else ""
        return f"Core L#{logical}{os_index} + PU P#{_list(pus)} [collapsed]{label}"

    def _memory(self, nodes: Sequence[NumaNode]) -> str:
        first = nodes[0]
        kind = "" if first.kind == "dram" else f" {first.kind}"
        size = f" {bytes_text(first.memory)}" if first.memory else ""
        pages = "".join(
            f" + {bytes_text(amount)} of {bytes_text(page)} pages"
            for page, amount in first.hugepages.items()
        )
        text = (
            f"NUMANode L#{_range(node.logical_index for node in nodes)} "
            f"(P#{_list(node.os_index for node in nodes)}{size}{pages}{kind})"
        )
        if len(nodes) > 1:
            text += " [collapsed]"
        label = self._holders.of_node(first.os_index)
        if label or len(nodes) > 1:
            return text + _arrow(label)
        free = self._holders.free_memory.get(first.os_index, first.memory)
        return text if free == first.memory else f"{text} [{bytes_text(free)} free]"

    def _memory_key(self, node: NumaNode) -> object:
        if node.cpuset:
            return None
        pages = tuple(node.hugepages.items())
        label = self._holders.of_node(node.os_index)
        return node.kind, node.memory, pages, node.localities, label

    def _io(self, io: IoNode, depth: int) -> Iterator[str]:
        names = [_bridge_name(io)] if io.device is None else [self._device(io.device)]
        while io.device is None and len(io.children) == 1:
            io = io.children[0]
            device = io.device
            names.append(_bridge_name(io) if device is None else self._device(device))
        yield _INDENT * depth + " + ".join(names)
        for children in _runs(io.children, self._partition_key, self._least):
            if len(children) == 1:
                yield from self._io(children[0], depth + 1)
            else:
                yield _INDENT * (depth + 1) + self._partitions(children)

    def _device(self, device: Device) -> str:
        label = _arrow(", ".join(self._holders.of_device(device.name)))
        if device.parent is not None:
            return f"{device.name} ({device.partition}){label}"
        facts = [str(device.attributes.get("model", ""))]
        facts.append(
            f"NUMANode P#{_list(device.numa_nodes)}"
            if device.localities
            else "NUMANode unknown"
        )
        facts.append("" if device.switch is None else f"switch {device.switch}")
        names = "".join(f' "{alias}"' for alias in device.aliases)
        address = device.pci_address
        pci = "" if address is None else f"PCI {short_address(address)} "
        return f"{pci}{device.name} ({', '.join(filter(None, facts))}){names}{label}"

    def _partition_key(self, io: IoNode) -> object:
        device = io.device
        if device is None or device.parent is None:
            return None
        return device.partition, self._holders.of_device(device.name)

    def _partitions(self, nodes: Sequence[IoNode]) -> str:
        devices = [node.device for node in nodes if node.device is not None]
        stem = devices[0].name.rpartition("/")[0]
        label = _arrow(", ".join(self._holders.of_device(devices[0].name)))
        indices = _range(device.index for device in devices)
        return f"{stem}/{indices} ({devices[0].partition}) [collapsed]{label}"


def _arrow(label: str) -> str:
    return f" <- {label}" if label else ""


def _bridge_name(io: IoNode) -> str:
    return (
        f"HostBridge {io.name}" if io.is_host else f"PCIBridge {short_address(io.name)}"
    )


def _runs(
    items: Iterable[T], key: Callable[[T], object], least: int
) -> Iterator[list[T]]:
    """Yield runs of at least `least` alike, and everything else alone."""
    for value, group in itertools.groupby(items, key):
        run = [*group]
        if value is not None and len(run) >= least:
            yield run
        else:
            yield from ([item] for item in run)


def _range(indices: Iterable[int]) -> str:
    found = [*indices]
    return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"


def _list(indices: Iterable[int]) -> str:
    return _core.normalize_cpuset(",".join(map(str, indices)))


@dataclass(frozen=True)
class Matrix:
    """A table with names on two sides."""

    title: str
    names: tuple[str, ...]
    """Of the rows, and of the columns before `extra`."""
    cells: tuple[tuple[str, ...], ...]
    extra: tuple[str, ...] = ()
    """Names of further columns."""
    legend: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Draw it as ``nvidia-smi topo -m`` does, with the legend below."""
        header = ("", *self.names, *self.extra)
        rows = [
            header,
            *((name, *row) for name, row in zip(self.names, self.cells, strict=True)),
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
        square = len(self.names) + 1
        lines = [
            "  ".join(
                cell.center(width) if 0 < i < square else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.insert(0, self.title)
        if self.legend:
            width = max(len(word) for word, _ in self.legend)
            lines += ["", *(f"  {word:{width}} = {text}" for word, text in self.legend)]
        return "".join(f"{line}\n" for line in lines)


def _roots(machine: Machine, classes: Sequence[str]) -> list[Device]:
    require_machine(machine)
    classes = check_texts("classes", classes)
    return [
        device
        for device in machine.devices
        if device.parent is None and (not classes or device.device_class in classes)
    ]


def _word(level: Level) -> str:
    # nvidia-smi says NODE for PACKAGE too, and then one cannot tell them apart.
    return str(level) if level is Level.PACKAGE else level.nvidia_smi


def device_matrix(
    machine: Machine, classes: Sequence[str] = (), *, own_words: bool = False
) -> Matrix:
    """Make the matrix of levels between devices, as ``nvidia-smi topo -m``.

    Parameters
    ----------
    machine : Machine
        Any.
    classes : sequence of str, optional
        Only devices of these classes.
    own_words : bool, default False
        Levels by topoalloc's names (``bridges``) instead of nvidia-smi's (``PXB``).

    Returns
    -------
    Matrix
        Partitions are left out: they are where their parents are.
    """
    devices = _roots(machine, classes)
    used: set[Level] = set()
    rows = []
    for a in devices:
        levels = [machine.distance(a, b) for b in devices]
        used.update(
            level for b, level in zip(devices, levels, strict=True) if a is not b
        )
        cells = [
            "X" if a is b else (str(level) if own_words else _word(level))
            for b, level in zip(devices, levels, strict=True)
        ]
        nodes = _list(a.numa_nodes) if a.localities else "unknown"
        pus = [
            machine.pus[i].os_index
            for x in a.localities
            for i in machine.localities[x].pus
        ]
        rows.append((*cells, _list(sorted(pus)) or "-", nodes, _names(a)))
    legend = tuple(
        (
            str(level) if own_words else _word(level),
            f"{level.nvidia_smi if own_words else level}: {_MEANINGS[level]}",
        )
        for level in sorted(used)
    )
    names = tuple(device.name for device in devices)
    extra = ("PU affinity", "NUMANode", "names")
    return Matrix("Levels", names, tuple(rows), extra, legend)


def _names(device: Device) -> str:
    address = device.pci_address
    return " ".join(
        [*([] if address is None else [short_address(address)]), *device.aliases]
    )


def link_matrix(machine: Machine, classes: Sequence[str] = ()) -> Matrix | None:
    """Make the matrix of links (NVLink, XGMI) in GB/s; None where there is none.

    Parameters
    ----------
    machine : Machine
        Any.
    classes : sequence of str, optional
        Only devices of these classes.

    Returns
    -------
    Matrix or None
        Of the devices that have a link.
    """
    devices = _roots(machine, classes)
    linked = [a for a in devices if any(machine.link(a, b) for b in devices)]
    if not linked:
        return None
    rows = [
        tuple("X" if a is b else _gigabytes(machine.link(a, b)) for b in linked)
        for a in linked
    ]
    names = tuple(device.name for device in linked)
    return Matrix("Links, GB/s one way", names, tuple(rows))


def _gigabytes(mb_s: int) -> str:
    text = f"{mb_s / 1000:.3f}".rstrip("0").rstrip(".")
    return text if mb_s else "-"


def distance_matrix(machine: Machine) -> Matrix | None:
    """Make the matrix of NUMA distances between localities; None where there is none.

    Parameters
    ----------
    machine : Machine
        Any.

    Returns
    -------
    Matrix or None
        By the NUMANode that stands first in each locality.
    """
    require_machine(machine)
    localities = machine.localities
    indices = range(len(localities))
    rows = [
        tuple(str(machine.locality_distance(a, b)) for b in indices) for a in indices
    ]
    if not any(cell != "0" for row in rows for cell in row):
        return None
    names = tuple(f"P#{each.numa_nodes[0]}" for each in localities)
    return Matrix("NUMA distances", names, tuple(rows))


def matrices_to_dict(machine: Machine, classes: Sequence[str] = ()) -> dict[str, Any]:
    """Return levels, links and distances as data.

    Parameters
    ----------
    machine : Machine
        Any.
    classes : sequence of str, optional
        Only devices of these classes.

    Returns
    -------
    dict
        ``levels`` are numbers of `Level`, ``links_mb_s`` in 10^6 bytes a second,
        ``distances`` between localities; rows and columns alike.
    """
    devices = _roots(machine, classes)
    indices = range(len(machine.localities))
    return {
        "apiVersion": API_VERSION,
        "kind": "Matrices",
        "devices": [
            {
                "name": device.name,
                "class": device.device_class,
                "pci_address": device.pci_address,
                "numa_nodes": [*device.numa_nodes],
                "switch": device.switch,
                "aliases": [*device.aliases],
            }
            for device in devices
        ],
        "levels": [[int(machine.distance(a, b)) for b in devices] for a in devices],
        "links_mb_s": [[machine.link(a, b) for b in devices] for a in devices],
        "localities": [[*each.numa_nodes] for each in machine.localities],
        "distances": [
            [machine.locality_distance(a, b) for b in indices] for a in indices
        ],
    }
