# SPDX-License-Identifier: Apache-2.0
"""Random questions: a Machine, a partly filled state, a Request; and how to ask them.

One generator serves the long runs (a seeded Random) and Hypothesis (its own Random,
which it shrinks). A chance that is not met and the least number are the simple cases.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from ast import literal_eval
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, TypeVar

from tests.oracle.machine import LEVELS, Machine, cpuset
from tests.oracle.problem import Asked, Holding, Room, State, Wanted, candidates

import topoalloc as ta

T = TypeVar("T")
API_VERSION = "topoalloc.dev/v1alpha1"
MIB = 1 << 20
HUGE = 2 * MIB


@dataclass(frozen=True)
class Size:
    """How large a Machine may be."""

    localities: int
    """In all, over the packages."""
    packages: int
    cores: int
    devices: int
    """Of one class."""
    owners: int


SMALL = Size(localities=3, packages=2, cores=6, devices=3, owners=2)
LARGE = Size(localities=8, packages=4, cores=64, devices=8, owners=6)


@dataclass
class Instance:
    """One question."""

    machine: dict[str, Any]
    state: State
    request: dict[str, Any]
    spread: bool = False
    keep_from: Holding | None = None


@dataclass
class Reply:
    """What the Allocator said."""

    status: str
    cost: tuple[int, ...] | None
    placement: ta.Placement | None
    steps: int


# ---------------------------------------------------------------- asking


def allocator_of(instance: Instance) -> ta.Allocator:
    """Make the Allocator that is in the state of the instance."""
    machine = ta.Machine.from_dict(instance.machine)
    allocator = ta.Allocator(
        machine,
        reserved_pus=sorted(instance.state.reserved),
        policy="spread" if instance.spread else "pack",
    )
    for holding in instance.state.holdings:
        take(allocator, holding)
    if instance.keep_from is not None:
        take(allocator, instance.keep_from)
    for pu in sorted(instance.state.cordoned_pus):
        allocator.cordon(pu)
    for key in instance.state.cordoned_devices:
        allocator.cordon(key)
    return allocator


def take(allocator: ta.Allocator, holding: Holding) -> ta.Placement:
    """Record a holding."""
    memory: dict[int, int] = {}
    huge: dict[int, dict[int | str, int | str]] = {}
    for (node, size), amount in holding.memory.items():
        if size:
            huge.setdefault(node, {})[size] = amount
        else:
            memory[node] = amount
    return allocator.take(
        owner=holding.owner,
        pus=sorted(holding.pus),
        memory=memory,
        hugepages=huge,
        devices=holding.devices,
    )


def ask(instance: Instance, allocator: ta.Allocator | None = None) -> Reply:
    """Put the question to an Allocator."""
    allocator = allocator or allocator_of(instance)
    request = ta.Request.from_dict(instance.request)
    if instance.keep_from is None:
        verdict = allocator.check(request)
        placement = verdict.placement
        cost = None if verdict.cost is None else tuple(verdict.cost)
        return Reply(verdict.status.name, cost, placement, verdict.steps)
    try:
        found = allocator.fork().resize(instance.keep_from.owner, request)
    except ta.NotPlacedError as error:
        return Reply(error.verdict.status.name, None, None, error.verdict.steps)
    return Reply(found.status.name, tuple(found.cost), found, 0)


def describe(instance: Instance) -> str:
    """Write the instance as JSON."""

    def plain(value: object) -> object:
        return sorted(value) if isinstance(value, frozenset | set) else repr(value)

    def texts(value: object) -> object:
        if isinstance(value, dict):
            return {str(key): texts(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [texts(entry) for entry in value]
        return value

    return json.dumps(texts(asdict(instance)), default=plain, indent=1)


def read_instance(text: str) -> Instance:
    """Read what `describe` wrote."""

    def holding(document: dict[str, Any]) -> Holding:
        memory = {literal_eval(key): n for key, n in document["memory"].items()}
        pus = frozenset(document["pus"])
        return Holding(document["owner"], pus, memory, document["devices"])

    document = json.loads(text)
    state, keep_from = document["state"], document["keep_from"]
    return Instance(
        document["machine"],
        State(
            frozenset(state["reserved"]),
            frozenset(state["cordoned_pus"]),
            tuple(state["cordoned_devices"]),
            [holding(entry) for entry in state["holdings"]],
        ),
        document["request"],
        document["spread"],
        None if keep_from is None else holding(keep_from),
    )


# ---------------------------------------------------------------- drawing


class Dice:
    """Choices of a Random, the simple case first."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def chance(self, percent: int) -> bool:
        """Say yes so often."""
        return self.rng.randint(0, 99) >= 100 - percent

    def between(self, first: int, last: int) -> int:
        """Return a number, both ends included."""
        return self.rng.randint(first, max(first, last))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return choices[self.rng.randint(0, len(choices) - 1)]

    def some(self, choices: Sequence[T], least: int = 1) -> list[T]:
        """Return some of them, in order."""
        found = [choice for choice in choices if self.chance(50)]
        return found if len(found) >= least else list(choices[:least])

    def shuffled(self, choices: Sequence[T]) -> list[T]:
        """Return all of them in another order."""
        found = list(choices)
        for i in range(len(found) - 1):
            j = self.between(i, len(found) - 1)
            found[i], found[j] = found[j], found[i]
        return found


def listed(pus: Sequence[int]) -> str:
    """Write a cpuset."""
    return ",".join(map(str, sorted(pus)))


class MachineMaker:
    """Draws the JSON form of a Machine."""

    def __init__(self, dice: Dice, size: Size) -> None:
        self.dice = dice
        self.size = size
        self.document: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": "Machine",
            "name": "drawn",
        }
        self.hosts: list[tuple[str, int]] = []
        self.slots = iter(range(0x10, 0xF0))
        self.names = iter(range(1, 10_000))

    def make(self) -> dict[str, Any]:
        """Draw all of it."""
        self._make_tree()
        self._make_numa_nodes()
        self._make_bridges()
        self._make_devices()
        self._make_parts()
        self._make_links()
        return self.document

    def _make_tree(self) -> None:
        dice, size = self.dice, self.size
        localities = dice.between(1, size.localities)
        packages = dice.between(1, min(size.packages, localities))
        most = max(1, size.cores // localities)
        counts = [dice.between(1, most) for _ in range(localities)]
        if dice.chance(60):
            counts = [max(counts)] * localities
        smt = dice.between(1, 2)
        style = dice.between(0, 2)
        total = sum(counts)
        cores: list[list[int]] = []
        self.places: list[list[int]] = []
        for count in counts:
            place: list[int] = []
            for _ in range(count):
                index = len(cores)
                threads = 1 if dice.chance(8) else smt
                # Siblings beside each other, or a whole round apart as Linux counts.
                first, stride = (index * smt, 1) if style == 0 else (index, total)
                core = [first + i * stride for i in range(threads)]
                cores.append(core)
                place += core
            self.places.append(place)
        of_package = [i * packages // localities for i in range(localities)]
        self.package_of = of_package
        self.packages = [
            [
                pu
                for i, p in enumerate(of_package)
                if p == package
                for pu in self.places[i]
            ]
            for package in range(packages)
        ]
        document = self.document
        document["packages"] = [{"cpuset": listed(pus)} for pus in self.packages]
        document["cores"] = [{"cpuset": listed(core)} for core in cores]
        l3_style = dice.between(0, 3)
        if l3_style == 1:
            document["l3s"] = [{"cpuset": listed(pus)} for pus in self.packages]
        elif l3_style >= 2:
            document["l3s"] = self._l3s(cores, 1 if l3_style == 2 else 2)
        if dice.chance(10):
            self._make_group(cores)
        if dice.chance(10):
            pus = [pu for core in cores for pu in core]
            allowed = [pu for pu in pus if not dice.chance(10)]
            document["allowed_pus"] = listed(allowed or pus)

    def _make_group(self, cores: list[list[int]]) -> None:
        """Group some cores of one locality and L3: they come first in the walk."""
        dice = self.dice
        place = set(dice.pick(self.places))
        l3s = self.document.get("l3s", [])
        if len(l3s) > len(self.packages):
            place &= cpuset(dice.pick(l3s)["cpuset"])
        group = [core for core in cores if set(core) <= place and dice.chance(50)]
        if len(group) > 1:
            pus = [pu for core in group for pu in core]
            self.document["groups"] = [{"cpuset": listed(pus)}]

    def _l3s(self, cores: list[list[int]], parts: int) -> list[dict[str, str]]:
        found = []
        for place in self.places:
            mine = [core for core in cores if core[0] in place]
            step = -(-len(mine) // parts)
            for start in range(0, len(mine), step):
                pus = [pu for core in mine[start : start + step] for pu in core]
                found.append({"cpuset": listed(pus)})
        return found

    def _make_numa_nodes(self) -> None:
        dice = self.dice
        nodes: list[dict[str, Any]] = []
        for i, place in enumerate(self.places):
            if len(self.places) > 1 and dice.chance(3):
                continue
            parent = self.packages[self.package_of[i]]
            node: dict[str, Any] = {"os_index": i, "cpuset": listed(place)}
            if dice.chance(50):
                node["parent_cpuset"] = listed(parent)
            nodes.append(node)
        everything = [pu for place in self.places for pu in place]
        if dice.chance(25):
            for _ in range(dice.between(1, 2)):
                parents = [*self.places, *self.packages, everything]
                nodes.append(
                    {
                        "os_index": 16 + len(nodes),
                        "parent_cpuset": listed(dice.pick(parents)),
                        "kind": dice.pick(["dram", "hbm", "cxl", "gpu"]),
                    }
                )
        has_huge = dice.chance(30)
        for node in nodes:
            node["memory"] = dice.between(1, 16) * 256 * MIB
            if has_huge:
                node["hugepages"] = {str(HUGE): dice.between(0, 16) * HUGE}
        if not nodes:
            return
        self.document["numa_nodes"] = nodes
        if dice.chance(10):
            indices = [node["os_index"] for node in nodes]
            self.document["allowed_numa_nodes"] = dice.some(indices, 0)
        if dice.chance(50):
            indices = [node["os_index"] for node in nodes]
            self.document["distances"] = {
                "numa_nodes": indices,
                "values": [
                    [10 if a == b else dice.pick([12, 20, 21, 32]) for b in indices]
                    for a in indices
                ],
            }

    def _make_bridges(self) -> None:
        dice = self.dice
        bridges: list[dict[str, Any]] = []
        self.ports: list[tuple[str, int]] = []
        for package, _ in enumerate(self.packages):
            mine = [i for i, p in enumerate(self.package_of) if p == package]
            for _ in range(dice.between(1, 2)):
                name = f"pci0000:{len(bridges):02x}"
                bridges.append({"name": name, "host": True})
                home = dice.pick(mine)
                self.ports.append((name, home))
                for _ in range(dice.between(0, 2)):
                    self._add_switch(bridges, name, home)
        self.document["bridges"] = bridges

    def _add_switch(self, bridges: list[dict[str, Any]], host: str, home: int) -> None:
        dice = self.dice
        above = self._bridge(bridges, host)
        self.ports.append((above, home))
        for _ in range(dice.between(0, 3)):
            port = self._bridge(bridges, above)
            self.ports.append((port, home))
            if dice.chance(20):
                self.ports.append((self._bridge(bridges, port), home))

    def _bridge(self, bridges: list[dict[str, Any]], parent: str) -> str:
        address = f"0000:{0x10 + len(bridges) // 8:02x}:{0x10 + len(bridges) % 8:02x}.0"
        bridges.append({"address": address, "parent": parent})
        return address

    def _make_devices(self) -> None:
        dice = self.dice
        devices: list[dict[str, Any]] = []
        nodes = {node["os_index"] for node in self.document.get("numa_nodes", [])}
        for cls in ("gpu", "nic", "nvme"):
            most = self.size.devices if cls != "nvme" else 1
            least = 1 if cls == "gpu" else 0
            for index in range(dice.between(least, most)):
                port, home = dice.pick(self.ports)
                bus = dice.between(0, 0x3F) * 4 + (cls == "nic") + 2 * (cls == "nvme")
                device: dict[str, Any] = {
                    "class": cls,
                    "name": f"card{next(self.names)}",
                    "pci_address": f"0001:{bus:02x}:{index:02x}.0",
                    "bridge": port,
                    "attributes": self._attributes(index),
                    "capacities": self._capacities(cls),
                }
                if dice.chance(5):
                    del device["bridge"]
                if home in nodes and not dice.chance(5):
                    device["numa_nodes"] = [home]
                    if dice.chance(4):
                        device["numa_nodes"] = dice.some(sorted(nodes))
                devices.append(device)
        self.document["devices"] = devices
        if len(devices) > 2 and dice.chance(5):
            names = [device["name"] for device in devices]
            self.document["overrides"] = {
                "levels": [{"a": names[0], "b": names[-1], "level": dice.pick(LEVELS)}]
            }

    def _attributes(self, index: int) -> dict[str, Any]:
        dice = self.dice
        found: dict[str, Any] = {"model": dice.pick(["a", "b"])}
        if dice.chance(80):
            found["rail"] = index // 2 if dice.chance(70) else dice.between(0, 3)
        if dice.chance(70):
            found["zone"] = dice.some(["u", "v", "w"], 0)
        if dice.chance(80):
            found["rdma"] = dice.chance(60)
        return found

    def _capacities(self, cls: str) -> dict[str, int]:
        name, unit = {"gpu": ("memory", 8), "nic": ("bandwidth", 100)}.get(
            cls, ("space", 1)
        )
        return {name: self.dice.between(1, 4) * unit}

    def _make_parts(self) -> None:
        dice = self.dice
        devices = self.document["devices"]
        roots = list(devices)
        has_parts = {"gpu": dice.chance(20), "nic": dice.chance(15)}
        for root in roots:
            cls = root["class"]
            if not has_parts.get(cls) or not dice.chance(60):
                continue
            root["counters"] = {"slice": dice.between(2, 5)}
            for _ in range(dice.between(2, 3)):
                is_big = dice.chance(30)
                part: dict[str, Any] = {
                    "class": cls,
                    "name": f"card{next(self.names)}",
                    "parent": root["name"],
                    "partition": "big" if is_big else "small",
                    "draws": {"slice": 2 if is_big else 1},
                }
                if cls == "gpu":
                    part["draws"]["memory"] = 8 if is_big else 4
                if dice.chance(20):
                    part["attributes"] = {"model": "part"}
                devices.append(part)

    def _make_links(self) -> None:
        dice = self.dice
        gpus = [
            device["name"]
            for device in self.document["devices"]
            if device["class"] == "gpu" and "parent" not in device
        ]
        if len(gpus) < 2 or not dice.chance(60):
            return
        style = dice.between(0, 3)
        links = []
        for (i, a), (j, b) in itertools.combinations(enumerate(gpus), 2):
            is_ring = j - i in (1, len(gpus) - 1)
            is_group = i // 4 == j // 4
            rate = (50_000, 25_000 * is_ring, 100_000 * is_group, 0)[style]
            if style == 3:
                rate = dice.pick([0, 25_000, 50_000, 100_000])
            if rate:
                both = not dice.chance(5)
                links.append({"from": a, "to": b, "mb_s": rate, "both": both})
        if links:
            self.document["links"] = links


class QuestionMaker:
    """Draws the state of a Machine and a Request that suits it."""

    def __init__(self, dice: Dice, document: dict[str, Any], size: Size) -> None:
        self.dice = dice
        self.size = size
        self.document = document
        self.machine = Machine(document)
        self.state = State()
        self.names = [device["name"] for device in document["devices"]]

    def room(self) -> Room:
        """Return what is free now."""
        return Room(self.machine, self.state)

    def fill(self) -> None:
        """Draw who holds what."""
        dice = self.dice
        if dice.chance(15):
            self.state.reserved = frozenset(sorted(self.room().pus)[:1])
        for i in range(dice.between(0, self.size.owners)):
            self.state.holdings.append(self.holding(f"owner{i}"))
        if dice.chance(15):
            pus = sorted(self.room().pus)
            self.state.cordoned_pus = frozenset(
                pu for pu in pus if len(pus) > 1 and dice.chance(8)
            )

    def cordon_devices(self) -> None:
        """Draw which devices are cordoned; who holds one keeps it."""
        self.state.cordoned_devices = tuple(
            name for name in self.names if self.dice.chance(4)
        )

    def holding(self, owner: str) -> Holding:
        """Draw some of what is free."""
        dice, room, machine = self.dice, self.room(), self.machine
        holding = Holding(owner)
        if dice.chance(75):
            cores = [core & room.pus for core in machine.cores if core & room.pus]
            most = max(1, len(machine.cores) // 6)
            start = dice.between(0, max(0, len(cores) - 1))
            pus: set[int] = set()
            for core in cores[start : start + dice.between(1, most)]:
                pus |= set(sorted(core)[:1]) if dice.chance(20) else core
            holding.pus = frozenset(pus)
        for node, free in zip(machine.nodes, room.bytes, strict=True):
            for size, amount in free.items():
                unit = size or 128 * MIB
                if node.kind != "gpu" and amount >= unit and dice.chance(25):
                    given = dice.between(1, amount // unit) * unit
                    holding.memory[node.os_index, size] = given
        for _ in range(dice.between(0, 2)):
            if self.names:
                self._hold_device(holding, dice.pick(self.names))
        return holding

    def _hold_device(self, holding: Holding, name: str) -> None:
        dice, machine = self.dice, self.machine
        before = dataclasses.replace(self.state)
        before.holdings = [*self.state.holdings, holding]
        room = Room(machine, before)
        index = machine.find(name)
        device = machine.devices[index]
        mine = {machine.find(key) for key in holding.devices}
        if device.root in room.whole or index in mine or index in room.parts:
            return
        share = {
            n: dice.between(1, total // 2 or 1) for n, total in device.counters.items()
        }
        share = dict(list(share.items())[:1])
        if index != device.root:
            if room.fits(device.root, device.draws):
                holding.devices[name] = {}
        elif dice.chance(30) and room.fits(index, share):
            holding.devices[name] = share
        elif index not in room.shared and not room.parts & set(device.parts):
            holding.devices[name] = {}

    # --- the Request ---

    def amount(self, available: int) -> int:
        """Draw mostly up to half of what there is, sometimes all or one more."""
        roll = self.dice.between(0, 99)
        if available == 0 or roll >= 97:
            return available + 1
        return self.dice.between(1, (available + 1) // 2 if roll < 70 else available)

    def request(self) -> dict[str, Any]:
        """Draw a Request."""
        dice, room = self.dice, self.room()
        document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": "Request"}
        self._ask_pus(document, room)
        self._ask_memory(document, room)
        devices = {}
        for cls in sorted({device.cls for device in self.machine.devices}):
            if dice.chance(70):
                entry = self._ask_devices(cls, room)
                # A class that has nothing to give makes a dull question.
                if entry["count"] or dice.chance(3):
                    devices[cls] = entry | {"count": max(entry["count"], 1)}
        if devices:
            document["devices"] = devices
        elif not {"cores", "pus", "memory"} & set(document):
            document["cores"] = 1
        if self.names and dice.chance(5):
            document["exclude"] = [dice.pick(self.names)]
        self.classes = {cls: entry["count"] for cls, entry in devices.items()}
        for key, counts in (("require", [0, 1, 1, 1, 2]), ("prefer", [0, 1, 2, 3])):
            entries = [self.constraint() for _ in range(dice.pick(counts))]
            entries = [entry for entry in entries if entry]
            if entries:
                document[key] = entries
        return document

    def _ask_pus(self, document: dict[str, Any], room: Room) -> None:
        dice = self.dice
        whole = [core for core in self.machine.cores if core <= room.pus]
        if not dice.chance(85):
            return
        style = dice.between(0, 9)
        if style < 5:
            document["cores"] = self.amount(len(whole))
        elif style < 9:
            document["pus"] = self.amount(len(room.pus))
        else:
            document["pus"] = self.amount(sum(map(len, whole)))
            document["whole_cores"] = True

    def _ask_memory(self, document: dict[str, Any], room: Room) -> None:
        dice = self.dice
        kind = dice.pick(["dram", "dram", "dram", "hbm"])
        free: dict[int, int] = {}
        for node, amounts in zip(self.machine.nodes, room.bytes, strict=True):
            for size, amount in amounts.items():
                if node.kind == kind:
                    free[size] = free.get(size, 0) + amount
        if dice.chance(50) and free.get(0, 0):
            document["memory"] = self.amount(free[0] // (128 * MIB)) * 128 * MIB
        if dice.chance(40) and free.get(HUGE, 0):
            document["hugepages"] = {str(HUGE): self.amount(free[HUGE] // HUGE) * HUGE}
        if kind != "dram" and ("memory" in document or "hugepages" in document):
            document["memory_kind"] = kind

    def _ask_devices(self, cls: str, room: Room) -> dict[str, Any]:
        dice = self.dice
        mine = [d for d in self.machine.devices if d.cls == cls]
        entry: dict[str, Any] = {}
        profiles = sorted({d.partition for d in mine if d.partition})
        if profiles and dice.chance(50):
            entry["partition"] = dice.pick(profiles)
        elif dice.chance(12):
            name, total = next(iter(mine[0].capacities.items()))
            entry["share"] = {name: dice.between(1, total)}
        if dice.chance(12):
            entry["where"] = self._where()
        if dice.chance(8):
            entry["eligible"] = dice.some(self.names)
        asked = Asked(self.machine, {"devices": {cls: entry | {"count": 1}}})
        wanted: Wanted = asked.wanted[0]
        count = len(candidates(room, asked, wanted))
        return {"count": min(self.amount(count), 8) if count else 0} | entry

    def _where(self) -> dict[str, Any]:
        return self.dice.pick(
            [
                {"model": "a"},
                {"model": {"not": "a"}},
                {"rail": {"at_least": 1}},
                {"rail": {"at_most": 1}},
                {"zone": "u"},
                {"zone": {"one_of": ["v", "w"]}},
                {"rdma": True},
                {"memory": {"at_least": 16}},
            ]
        )

    def constraint(self) -> dict[str, Any] | None:
        """Draw one entry; None where the kind drawn has no meaning here."""
        kinds = ["align", "align"] + ["near"] * bool(self.names)
        if self.classes:
            kinds += ["pair", "pair", "link", "same", "distinct"]
        kind = self.dice.pick(kinds)
        if kind == "pair":
            return self._pair()
        body = {"align": self._align, "near": self._near, "link": self._link}.get(
            kind, self._by_attribute
        )()
        return {kind: body}

    def _align(self) -> dict[str, Any]:
        body: dict[str, Any] = {"level": self.dice.pick(["numa", "package", "l3"])}
        if self.dice.chance(40):
            body["of"] = self.dice.some(["pus", "memory", *self.classes])
        return body

    def _near(self) -> dict[str, Any]:
        dice = self.dice
        devices = {dice.pick(self.names) for _ in range(dice.between(1, 2))}
        within = dice.pick(["machine", "package", "numa", "root", "bridges"])
        return {"devices": sorted(devices), "within": within}

    def _link(self) -> dict[str, Any]:
        dice = self.dice
        cls = "gpu" if "gpu" in self.classes else dice.pick(sorted(self.classes))
        mode = dice.pick(["clique", "connected"])
        return {"class": cls, "mode": mode, "min_mb_s": dice.pick([1, 30_000, 60_000])}

    def _by_attribute(self) -> dict[str, Any]:
        attribute = self.dice.pick(["model", "rail", "zone", "rdma"])
        return {"attribute": attribute, "of": self.dice.some(sorted(self.classes))}

    def _pair(self) -> dict[str, Any] | None:
        dice = self.dice
        for a, b in itertools.permutations(sorted(self.classes), 2):
            large, small = self.classes[a], self.classes[b]
            if large < small and large and small % large == 0:
                ratio = [1, small // large]
            elif large % small == 0:
                ratio = [large // small, 1]
            else:
                continue
            if dice.chance(60):
                continue
            within = dice.pick(
                ["machine", "numa", "root", "bridges", "switch", "package"]
            )
            return {"pair": {"a": a, "b": b, "within": within, "ratio": ratio}}
        return None


def make_instance(rng: Random, size: Size) -> Instance:
    """Draw a question."""
    dice = Dice(rng)
    document = MachineMaker(dice, size).make()
    maker = QuestionMaker(dice, document, size)
    maker.fill()
    keep_from = maker.holding("before") if dice.chance(10) else None
    request = maker.request()
    if keep_from is not None:
        words = [*maker.classes]
        if "cores" in request or "pus" in request:
            words.append("pus")
        if words:
            request["keep"] = dice.some(words)
    maker.cordon_devices()
    return Instance(document, maker.state, request, dice.chance(30), keep_from)
