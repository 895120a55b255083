# SPDX-License-Identifier: Apache-2.0
"""Section 2 of docs/objective.md, and who may be chosen: state and Request, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.machine import Document, Machine, amounts, quantity, scalar


@dataclass
class Holding:
    """What one owner holds, in keys and OS indices."""

    owner: str
    pus: frozenset[int] = frozenset()
    memory: dict[tuple[int, int], int] = field(default_factory=dict)
    """(NUMANode os_index, page size) to bytes; page size 0 for base pages."""
    devices: dict[str, dict[str, int]] = field(default_factory=dict)
    """Device to share; empty for the whole."""


@dataclass
class State:
    """What is not free."""

    reserved: frozenset[int] = frozenset()
    cordoned_pus: frozenset[int] = frozenset()
    cordoned_devices: tuple[str, ...] = ()
    holdings: list[Holding] = field(default_factory=list)


class Room:
    """What is free and what is open, as section 2 says."""

    def __init__(self, machine: Machine, state: State) -> None:
        self.machine = machine
        self.pus = machine.allowed - state.reserved - state.cordoned_pus
        self.bytes = [
            {
                size: amount if node.os_index in machine.allowed_nodes else 0
                for size, amount in node.free.items()
            }
            for node in machine.nodes
        ]
        self.counters = [dict(device.counters) for device in machine.devices]
        self.cordoned = {machine.find(key) for key in state.cordoned_devices}
        self.whole: set[int] = set()
        self.parts: set[int] = set()
        self.shared: set[int] = set()
        self.open_packages: set[int] = set()
        self.open_localities: set[int] = set()
        self.open_switches: set[int] = set()
        self.open_devices: set[int] = set()
        self.open_l3s: set[int] = set()
        for holding in state.holdings:
            self._hold(holding)

    def _hold(self, holding: Holding) -> None:
        machine = self.machine
        self.pus -= holding.pus
        localities = {machine.locality_of[pu] for pu in holding.pus}
        for (os_index, size), given in holding.memory.items():
            for i, node in enumerate(machine.nodes):
                if node.os_index == os_index and given:
                    self.bytes[i][size] -= given
                    localities |= node.localities
                    for locality in node.localities:
                        self.open_packages |= machine.locality_packages[locality]
        self.open_packages |= meeting(holding.pus, machine.packages)
        self.open_l3s |= meeting(holding.pus, machine.l3s)
        for key, share in holding.devices.items():
            index = machine.find(key)
            device = machine.devices[index]
            localities |= device.localities
            self.open_packages |= device.packages
            self.open_devices.add(device.root)
            if device.switch is not None:
                self.open_switches.add(device.switch)
            if index != device.root:
                self.parts.add(index)
                self._draw(device.root, device.draws)
            elif share:
                self.shared.add(index)
                self._draw(index, share)
            else:
                self.whole.add(index)
        self.open_localities |= localities

    def _draw(self, root: int, drawn: Mapping[str, int]) -> None:
        for name, amount in drawn.items():
            self.counters[root][name] -= amount

    def fits(self, root: int, drawn: Mapping[str, int]) -> bool:
        """Say whether so much is left on the counters of a root."""
        left = self.counters[root]
        return all(name in left and left[name] >= n for name, n in drawn.items())


def meeting(pus: frozenset[int], domains: list[frozenset[int]]) -> set[int]:
    """Return the indices of the domains that hold one of the PUs."""
    return {i for i, domain in enumerate(domains) if domain & pus}


@dataclass
class Wanted:
    """What is asked of one class."""

    cls: str
    count: int
    where: Document
    share: dict[str, int]
    partition: str
    eligible: set[int] | None


class Asked:
    """A Request with its keys resolved; names that the Machine lacks are refused."""

    def __init__(self, machine: Machine, request: Document) -> None:
        self.cores: int = request.get("cores", 0)
        self.pus: int = request.get("pus", 0)
        self.whole_cores: bool = request.get("whole_cores", False)
        self.kind: str = request.get("memory_kind", "dram")
        wanted = {0: quantity(request.get("memory", 0))} | {
            quantity(size): quantity(amount)
            for size, amount in request.get("hugepages", {}).items()
        }
        self.memory = {size: n for size, n in wanted.items() if n}
        self.keep: list[str] = request.get("keep", [])
        self.exclude = {machine.find(key) for key in request.get("exclude", [])}
        self.wanted = [
            self._wanted(machine, cls, entry)
            for cls, entry in sorted(request.get("devices", {}).items())
        ]
        self.require: list[Document] = request.get("require", [])
        self.prefer: list[Document] = request.get("prefer", [])
        self.classes = {wanted.cls for wanted in self.wanted}

    @staticmethod
    def _wanted(machine: Machine, cls: str, entry: int | Document) -> Wanted:
        if isinstance(entry, int):
            entry = {"count": entry}
        eligible = entry.get("eligible")
        return Wanted(
            cls,
            entry["count"],
            entry.get("where", {}),
            amounts(entry.get("share", {})),
            entry.get("partition", ""),
            None if eligible is None else {machine.find(key) for key in eligible},
        )

    @property
    def asks_pus(self) -> bool:
        """Whether PUs are asked for."""
        return bool(self.cores or self.pus)


def candidates(room: Room, asked: Asked, wanted: Wanted) -> list[int]:
    """Return the devices that may be chosen for a class, each by itself."""
    return [
        index
        for index, device in enumerate(room.machine.devices)
        if device.cls == wanted.cls
        and not {index, device.root} & (asked.exclude | room.cordoned)
        and (wanted.eligible is None or index in wanted.eligible)
        and _is_available(room, wanted, index)
        and all(
            _meets(room.machine, index, name, condition)
            for name, condition in wanted.where.items()
        )
    ]


def _is_available(room: Room, wanted: Wanted, index: int) -> bool:
    device = room.machine.devices[index]
    if device.root in room.whole:
        return False
    if wanted.partition:
        return (
            index != device.root
            and device.partition == wanted.partition
            and index not in room.parts
            and room.fits(device.root, device.draws)
        )
    if index != device.root:
        return False
    if wanted.share:
        return room.fits(index, wanted.share)
    return index not in room.shared and not room.parts.intersection(device.parts)


def _meets(machine: Machine, index: int, name: str, condition: Any) -> bool:
    values = machine.property(index, name)
    if values is None:
        return False
    if not isinstance(condition, Mapping):
        return scalar(condition) in values
    ((op, value),) = condition.items()
    if op in ("equal", "not"):
        return bool((scalar(value) in values) == (op == "equal"))
    if op == "one_of":
        return any(scalar(choice) in values for choice in value)
    bound = quantity(value)
    numbers = [number for kind, number in values if kind == "int"]
    if op == "at_least":
        return any(number >= bound for number in numbers)
    return any(number <= bound for number in numbers)
