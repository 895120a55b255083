# SPDX-License-Identifier: Apache-2.0
"""Section 1 of docs/objective.md, derived again from the JSON form of a Machine."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Document = Mapping[str, Any]
Scalar = tuple[str, Any]
"""Type and value: True is not 1 here."""

SELF, SWITCH, BRIDGES, ROOT, NUMA, PACKAGE, MACHINE = range(7)
LEVELS = ("self", "switch", "bridges", "root", "numa", "package", "machine")
_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_SUFFIXES |= {f"{c}i": 1024**n for n, c in enumerate("KMGTPE", 1)} | {"E": 10**18}


def cpuset(text: str) -> frozenset[int]:
    """Read the kernel's list form."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def quantity(value: int | str) -> int:
    """Read an integer, or text such as ``"64Gi"``."""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", value)
    assert match is not None, value
    amount = Fraction(match[1]) * _SUFFIXES[match[2]]
    assert amount.denominator == 1, value
    return int(amount)


def amounts(document: Document) -> dict[str, int]:
    """Read a mapping of names to quantities."""
    return {name: quantity(value) for name, value in document.items()}


def scalar(value: Any) -> Scalar:
    """Tell values of different types apart."""
    return (type(value).__name__, value)


@dataclass
class Node:
    """A NUMANode; `localities` are those that it is attached to."""

    os_index: int
    kind: str
    pus: frozenset[int]
    parent: frozenset[int]
    free: dict[int, int]
    localities: frozenset[int] = frozenset()


@dataclass
class Device:
    """A device; indices are logical ones."""

    cls: str
    entry: Document
    name: str = ""
    root: int = 0
    parts: list[int] = field(default_factory=list)
    localities: frozenset[int] = frozenset()
    packages: frozenset[int] = frozenset()
    path: tuple[int, ...] = ()
    switch: int | None = None
    attributes: dict[str, list[Scalar]] = field(default_factory=dict)
    capacities: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    draws: dict[str, int] = field(default_factory=dict)
    partition: str = ""
    keys: frozenset[str] = frozenset()


class Machine:
    """The tables of section 1; sets of PUs are sets of OS indices."""

    def __init__(self, document: Document) -> None:
        self.document = document
        sets = {
            kind: [cpuset(entry["cpuset"]) for entry in document.get(kind, [])]
            for kind in ("packages", "dies", "l3s", "cores", "groups")
        }
        self.nodes = sorted(
            self._nodes(document.get("numa_nodes", [])), key=lambda n: n.os_index
        )
        numas = [n.pus for n in self.nodes if n.pus]
        self.pus = self._logical_order(sets, numas)
        self.position = {pu: i for i, pu in enumerate(self.pus)}
        everything = frozenset(self.pus)
        for node, entry in zip(self.nodes, self._sorted_entries(), strict=True):
            if "parent_cpuset" not in entry and not node.pus:
                node.parent = everything
        self.allowed = (
            cpuset(document["allowed_pus"]) if "allowed_pus" in document else everything
        )
        self.allowed_nodes = {
            *document.get("allowed_numa_nodes", [n.os_index for n in self.nodes])
        }
        dies, packages = sets["dies"], sets["packages"]
        self.cores = self._domains(sets["cores"], [[frozenset({p})] for p in self.pus])
        self.packages = self._domains(packages, [[everything]] * len(self.pus))
        inner = [*numas, *packages, everything]
        self.dies = self._stand_in(dies, inner)
        self.l3s = self._stand_in(sets["l3s"], [*dies, *inner])
        self.localities = self._ordered(
            {self._smallest(pu, [*numas, everything]) for pu in self.pus},
            self.pus,
            [*numas, everything],
        )
        self.locality_of = {pu: i for i, s in enumerate(self.localities) for pu in s}
        self.locality_packages = [
            frozenset(p for p, pus in enumerate(self.packages) if pus & locality)
            for locality in self.localities
        ]
        self._attach()
        self.distance = self._distances(document.get("distances"))
        self._make_devices(document)

    # --- PUs ---

    @staticmethod
    def _nodes(entries: Iterable[Document]) -> Iterable[Node]:
        for entry in entries:
            pus = cpuset(entry.get("cpuset", ""))
            parent = entry.get("parent_cpuset")
            free = {0: quantity(entry.get("memory", 0))}
            for size, amount in entry.get("hugepages", {}).items():
                free[quantity(size)] = quantity(amount)
            yield Node(
                entry["os_index"],
                entry.get("kind", "dram"),
                pus,
                pus if parent is None else cpuset(parent),
                free,
            )

    def _sorted_entries(self) -> list[Document]:
        entries: list[Document] = list(self.document.get("numa_nodes", []))
        return sorted(entries, key=lambda entry: int(entry["os_index"]))

    def _source_order(self, sets: Mapping[str, list[frozenset[int]]]) -> list[int]:
        if "pus" in self.document:
            return [entry["os_index"] for entry in self.document["pus"]]
        found: dict[int, None] = {}
        kinds = ("cores", "packages", "dies", "l3s", "groups")
        given = [pus for kind in kinds for pus in sets[kind]]
        for pus in (*given, *(node.pus for node in self.nodes)):
            found.update(dict.fromkeys(sorted(pus)))
        return list(found)

    def _logical_order(
        self, sets: Mapping[str, list[frozenset[int]]], numas: list[frozenset[int]]
    ) -> list[int]:
        source = self._source_order(sets)
        place = {pu: i for i, pu in enumerate(source)}
        kinds = ("packages", "dies", "l3s", "cores", "groups")
        family = {pus for kind in kinds for pus in sets[kind]} | set(numas)
        outer_first = sorted(family, key=len, reverse=True)

        def key(pu: int) -> tuple[int, ...]:
            chain = [min(place[p] for p in pus) for pus in outer_first if pu in pus]
            return (*chain, place[pu])

        return sorted(source, key=key)

    @staticmethod
    def _smallest(pu: int, sets: Iterable[frozenset[int]]) -> frozenset[int]:
        return min((pus for pus in sets if pu in pus), key=len)

    def _ordered(
        self,
        stand_ins: Iterable[frozenset[int]],
        pus: Iterable[int],
        sets: list[frozenset[int]],
    ) -> list[frozenset[int]]:
        """Part `pus` by the smallest set that holds each, in order of first PU."""
        parts: dict[frozenset[int], list[int]] = {s: [] for s in stand_ins}
        for pu in pus:
            parts[self._smallest(pu, sets)].append(pu)
        found = [frozenset(part) for part in parts.values() if part]
        return sorted(found, key=lambda s: min(self.position[p] for p in s))

    def _domains(
        self, given: list[frozenset[int]], otherwise: list[list[frozenset[int]]]
    ) -> list[frozenset[int]]:
        held = frozenset().union(*given) if given else frozenset()
        parts: dict[frozenset[int], list[int]] = {}
        for pu, choice in zip(self.pus, otherwise, strict=True):
            if pu not in held:
                parts.setdefault(choice[0], []).append(pu)
        found = [*given, *(frozenset(part) for part in parts.values())]
        return sorted(found, key=lambda s: min(self.position[p] for p in s))

    def _stand_in(
        self, given: list[frozenset[int]], candidates: list[frozenset[int]]
    ) -> list[frozenset[int]]:
        return self._domains(
            given, [[self._smallest(pu, candidates)] for pu in self.pus]
        )

    # --- memory ---

    def _attach(self) -> None:
        def inside(pus: frozenset[int]) -> frozenset[int]:
            return frozenset(i for i, s in enumerate(self.localities) if s <= pus)

        for node in self.nodes:
            if node.pus:
                node.localities = inside(node.pus)
                continue
            around = inside(node.parent)
            siblings = [n for n in self.nodes if n.pus and n.parent == node.parent]
            having = around.intersection(
                frozenset().union(*(inside(n.pus) for n in siblings))
            )
            node.localities = having or around

    def _distances(self, matrix: Document | None) -> list[list[int]]:
        count = len(self.localities)
        found = [[0] * count for _ in range(count)]
        if matrix is None:
            return found
        row_of = {node: i for i, node in enumerate(matrix["numa_nodes"])}
        first: list[int | None] = []
        for i in range(count):
            own = [n.os_index for n in self.nodes if n.pus and i in n.localities]
            first.append(row_of.get(min(own)) if own else None)
        values = matrix["values"]
        for (a, row), (b, column) in itertools.product(enumerate(first), repeat=2):
            if row is not None and column is not None:
                found[a][b] = max(values[row][column], values[column][row])
        return found

    # --- devices ---

    def _make_devices(self, document: Document) -> None:
        entries = document.get("devices", [])
        bridges = document.get("bridges", [])
        bridge_index = _index_by_key(bridges, ("name", "address"))
        self.is_host = [bool(b.get("host")) for b in bridges]
        above = [None if b.get("host") else bridge_index[b["parent"]] for b in bridges]
        spec_key = _index_by_key(entries, ("name", "pci_address", "uuid"))
        for i, entry in enumerate(entries):
            for alias in entry.get("aliases", []):
                spec_key[alias] = i

        def order(i: int) -> tuple[Any, ...]:
            entry = entries[i]
            address = entry.get("pci_address")
            return (
                entry["class"],
                address is None,
                _address(address) if address else (),
                "parent" in entry,
                _natural(entry.get("name", "")),
                i,
            )

        ordered = sorted(range(len(entries)), key=order)
        logical = {spec: i for i, spec in enumerate(ordered)}
        self.logical_of_key = {key: logical[i] for key, i in spec_key.items()}
        self.devices = [self._device(entries[i]) for i in ordered]
        for i, device in enumerate(self.devices):
            parent = device.entry.get("parent")
            device.root = i if parent is None else logical[spec_key[parent]]
            if parent is not None:
                self.devices[device.root].parts.append(i)
        self._name_devices()
        for device in self.devices:
            self._place(device, above, bridge_index)
        self._make_levels()
        self._make_links()

    @staticmethod
    def _device(entry: Document) -> Device:
        device = Device(entry["class"], entry)
        for name, value in entry.get("attributes", {}).items():
            values = value if isinstance(value, list) else [value]
            device.attributes[name] = [scalar(v) for v in values]
        device.capacities = amounts(entry.get("capacities", {}))
        device.draws = amounts(entry.get("draws", {}))
        device.partition = entry.get("partition", "")
        if "parent" not in entry:
            device.counters = device.capacities | amounts(entry.get("counters", {}))
        return device

    def _name_devices(self) -> None:
        roots: dict[str, int] = {}
        for i, device in enumerate(self.devices):
            if device.root == i:
                device.name = f"{device.cls}{roots.setdefault(device.cls, 0)}"
                roots[device.cls] += 1
        for device in self.devices:
            for index, part in enumerate(device.parts):
                self.devices[part].name = f"{device.name}/{index}"
        for i, device in enumerate(self.devices):
            self.logical_of_key.setdefault(device.name, i)

    def _place(
        self,
        device: Device,
        above: list[int | None],
        bridge_index: Mapping[Any, int],
    ) -> None:
        entry = self.devices[device.root].entry
        nodes = entry.get("numa_nodes", [])
        nodes = [nodes] if isinstance(nodes, int) else nodes
        count = len(self.localities)
        found = frozenset().union(
            *(n.localities for n in self.nodes if n.os_index in nodes)
        )
        if count == 1:
            found = frozenset({0})
        elif len(found) == count:
            found = frozenset()
        device.localities = found
        device.packages = frozenset().union(*(self.locality_packages[i] for i in found))
        path = []
        bridge = bridge_index[entry["bridge"]] if "bridge" in entry else None
        while bridge is not None:
            path.append(bridge)
            bridge = above[bridge]
        device.path = tuple(path)

    def _common_bridge(self, a: Device, b: Device) -> int | None:
        shared = [x for x in a.path if x in b.path and not self.is_host[x]]
        return shared[0] if shared else None

    def _plain_level(self, a: Device, b: Device) -> int:
        slots = [
            _address(address)[:3] if address else None
            for address in (
                self.devices[d.root].entry.get("pci_address") for d in (a, b)
            )
        ]
        if a.root == b.root or (slots[0] is not None and slots[0] == slots[1]):
            return SELF
        common = self._common_bridge(a, b)
        if common is not None:
            near = all(d.path.index(common) <= 1 for d in (a, b))
            return SWITCH if near else BRIDGES
        tops = [d.path[-1:] for d in (a, b)]
        if tops[0] and tops[0] == tops[1] and self.is_host[tops[0][0]]:
            return ROOT
        if a.localities & b.localities:
            return NUMA
        return PACKAGE if a.packages & b.packages else MACHINE

    def _make_levels(self) -> None:
        count = len(self.devices)
        self.level = [[0] * count for _ in range(count)]
        changes = {}
        for entry in self.document.get("overrides", {}).get("levels", []):
            level = entry["level"]
            ends = [self.devices[self.find(entry[end])].root for end in ("a", "b")]
            changes[frozenset(ends)] = (
                level if isinstance(level, int) else LEVELS.index(level)
            )
        for i, j in itertools.permutations(range(count), 2):
            a, b = self.devices[i], self.devices[j]
            plain = self._plain_level(a, b)
            self.level[i][j] = changes.get(frozenset({a.root, b.root}), plain)
            common = self._common_bridge(a, b)
            if plain == SWITCH and common is not None:
                known = -1 if a.switch is None else a.path.index(a.switch)
                if a.path.index(common) > known:
                    a.switch = common

    def _make_links(self) -> None:
        one_way: dict[tuple[int, int], int] = {}
        for entry in self.document.get("links", []):
            a, b = (self.find(entry[end]) for end in ("from", "to"))
            one_way[a, b] = entry["mb_s"]
            if entry.get("both", True):
                one_way[b, a] = entry["mb_s"]
        count = len(self.devices)
        self.link = [[0] * count for _ in range(count)]
        for i, j in itertools.permutations(range(count), 2):
            self.link[i][j] = min(one_way.get((i, j), 0), one_way.get((j, i), 0))
        self.largest_link = max((max(row) for row in self.link), default=0)
        self.classes_with_links = {
            d.cls for d, row in zip(self.devices, self.link, strict=True) if any(row)
        }

    def find(self, key: str | int) -> int:
        """Return the logical index of a device by any of its keys."""
        return self.logical_of_key[key]

    def attribute(self, device: int, name: str) -> list[Scalar] | None:
        """Return the values of an attribute, of the device, else of its root."""
        for index in (device, self.devices[device].root):
            if name in self.devices[index].attributes:
                return self.devices[index].attributes[name]
        return None

    def property(self, device: int, name: str) -> list[Scalar] | None:
        """Return what conditions read: attribute, else capacity; else the root's."""
        for index in (device, self.devices[device].root):
            where = self.devices[index]
            if name in where.attributes:
                return where.attributes[name]
            if name in where.capacities:
                return [scalar(where.capacities[name])]
        return None


def _index_by_key(entries: list[Document], names: tuple[str, ...]) -> dict[Any, int]:
    found: dict[Any, int] = {i: i for i in range(len(entries))}
    # Roots last: a part that shows its root's address leaves it to the root.
    for i in sorted(range(len(entries)), key=lambda i: "parent" not in entries[i]):
        for name in names:
            if entries[i].get(name):
                found[entries[i][name]] = i
    return found


def _address(text: str) -> tuple[int, ...]:
    return tuple(int(part, 16) for part in re.split("[:.]", text))


def _natural(name: str) -> list[tuple[int, int | str]]:
    # Runs of digits compare as numbers; against anything else, by their text.
    tokens = re.findall(r"[0-9]+|[^0-9]", name)
    return [
        (ord(t[0]) if not t.isdigit() else 48, int(t) if t.isdigit() else t)
        for t in tokens
    ]
