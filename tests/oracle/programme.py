# SPDX-License-Identifier: Apache-2.0
"""Sections 3 and 4 of docs/objective.md as an integer programme, terms 1 to 9.

All constraints are covered. PUs that the definition tells apart by their index alone
are counted together: a *group* is the cores that agree in PUs, free PUs, locality, L3
and Package. A `keep` of PUs together with `cores` is covered where all free cores have
as many PUs. Term 10 is the business of brute force.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle.linear import Lin, NotCovered, Programme
from tests.oracle.machine import LEVELS, MACHINE, NUMA, PACKAGE, Document, Machine
from tests.oracle.problem import Asked, Holding, Room, State, candidates

TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """The least cost, terms 1 to 9, or None where there is no Placement."""

    cost: tuple[int, ...] | None
    devices: tuple[str, ...] = ()
    localities: tuple[int, ...] = ()


@dataclass
class Cell:
    """PUs in one locality, L3 and Package, and how many of them are chosen."""

    chosen: Lin
    most: int
    place: tuple[int, int, int]


def solve(
    machine: Machine,
    state: State,
    request: Document,
    *,
    spread: bool = False,
    keep_from: Holding | None = None,
) -> Answer:
    """Minimise the terms one after the other, each fixed before the next."""
    return Formulation(machine, state, request, spread, keep_from).solve()


class Formulation:
    """One question as an integer programme."""

    def __init__(
        self,
        machine: Machine,
        state: State,
        request: Document,
        spread: bool,
        keep_from: Holding | None,
    ) -> None:
        self.m = machine
        self.room = Room(machine, state)
        self.asked = Asked(machine, request)
        self.sign = -1 if spread else 1
        self.keep_from = keep_from
        self.p = Programme()
        self.t = [self.p.variable() for _ in machine.localities]
        self.cells: list[Cell] = []
        self.split = Lin()
        self._choose_pus()
        self.in_locality = self._touch(0, len(machine.localities))
        self.in_l3 = self._touch(1, len(machine.l3s))
        self.in_package = self._touch(2, len(machine.packages))
        for locality, chosen in self.in_locality.items():
            self.p.at_most(chosen, self.t[locality])
        self.z: dict[int, Lin] = {}
        self._choose_devices()
        self.given: dict[int, Lin] = {}
        self._choose_memory()
        self.pair_levels = Lin()
        self._match_pairs()
        self.holds = [Lin.of(1) for _ in self.asked.require]
        self.holds += [self.p.variable() for _ in self.asked.prefer]
        for entry, hold in zip(
            [*self.asked.require, *self.asked.prefer], self.holds, strict=True
        ):
            self._constrain(entry, hold)

    # ------------------------------------------------------------ PUs

    def _choose_pus(self) -> None:
        if not self.asked.asks_pus:
            return
        groups: Counter[tuple[int, tuple[tuple[int, int, int, bool], ...]]] = Counter()
        mixed: list[tuple[int, list[int]]] = []
        for core in self.m.cores:
            free = sorted(core & self.room.pus)
            signature = tuple(self._place(pu) for pu in free)
            if len(set(signature)) == 1:
                groups[len(core), signature] += 1
            elif free:
                mixed.append((len(core), free))
        self._check_keep()
        cores: list[Lin] = []
        for (pus, signature), count in groups.items():
            cores.append(self._add_group(pus, signature, count))
        for pus, free in mixed:
            cores.append(self._add_mixed(pus, free))
        total = Lin.sum(cell.chosen for cell in self.cells)
        if self.asked.cores:
            self.p.equal(Lin.sum(cores), self.asked.cores)
        else:
            self.p.equal(total, self.asked.pus)

    def _place(self, pu: int) -> tuple[int, int, int, bool]:
        m = self.m
        (l3,) = (i for i, s in enumerate(m.l3s) if pu in s)
        (package,) = (i for i, s in enumerate(m.packages) if pu in s)
        return m.locality_of[pu], l3, package, pu in self._old_pus()

    def _old_pus(self) -> frozenset[int]:
        is_kept = self.keep_from is not None and "pus" in self.asked.keep
        return self.keep_from.pus if is_kept and self.keep_from else frozenset()

    def _check_keep(self) -> None:
        """Find out whether the new set contains the old one, or is a part of it."""
        old = self._old_pus()
        self.must_hold_old = self.must_be_old = False
        if self.keep_from is None or "pus" not in self.asked.keep:
            return
        size = self.asked.pus
        if self.asked.cores:
            sizes = {len(core) for core in self.m.cores if core <= self.room.pus}
            if len(sizes) > 1:
                raise NotCovered("keep of PUs with cores of several sizes")
            size = self.asked.cores * (sizes.pop() if sizes else 1)
        self.must_hold_old = size >= len(old)
        self.must_be_old = not self.must_hold_old
        if self.must_hold_old and old - self.room.pus:
            self.p.at_most(1, 0)

    def _keep(self, chosen: Lin, most: int, is_old: bool) -> None:
        if self.must_hold_old and is_old:
            self.p.equal(chosen, most)
        elif self.must_be_old and not is_old:
            self.p.equal(chosen, 0)

    def _add_group(
        self, pus: int, signature: tuple[tuple[int, int, int, bool], ...], count: int
    ) -> Lin:
        """Add equal cores; return how many are chosen whole."""
        free, place = len(signature), signature[0]
        whole = self.p.variable(count if free == pus else 0)
        chosen = whole * pus
        if not self.asked.cores and not self.asked.whole_cores:
            # Split cores hold at least one PU each, and not all that they have.
            most = min(free, pus - 1)
            split = self.p.variable(count if most else 0)
            rest = self.p.variable(count * most)
            self.p.at_most(split, rest)
            self.p.at_most(rest, split * most)
            self.p.at_most(whole + split, count)
            chosen = chosen + rest
            self.split = self.split + split
        self.cells.append(Cell(chosen, count * free, place[:3]))
        self._keep(chosen, count * free, place[3])
        return whole

    def _add_mixed(self, pus: int, free: list[int]) -> Lin:
        """Add a core whose PUs differ in place, PU by PU."""
        whole = self.p.variable(int(len(free) == pus))
        split = self.p.variable()
        is_whole = self.asked.cores or self.asked.whole_cores
        for pu in free:
            chosen = whole if is_whole else self.p.variable()
            self.p.at_most(whole, chosen)
            self.p.at_most(chosen - whole, split)
            place = self._place(pu)
            self.cells.append(Cell(chosen, 1, place[:3]))
            self._keep(chosen, 1, place[3])
        self.split = self.split + split
        return whole

    def _touch(self, kind: int, count: int) -> dict[int, Lin]:
        """Say of each domain that can hold PUs whether it holds chosen ones."""
        found = {}
        for index in range(count):
            cells = [cell for cell in self.cells if cell.place[kind] == index]
            most = sum(cell.most for cell in cells)
            if most:
                chosen = Lin.sum(cell.chosen for cell in cells)
                asked = self.asked.pus or most
                found[index] = self._is_positive(chosen, min(most, asked))
        return found

    def _is_positive(self, amount: Lin, most: int) -> Lin:
        flag = self.p.variable()
        self.p.at_most(amount, flag * most)
        self.p.at_most(flag, amount)
        return flag

    def _any(self, parts: Iterable[Lin]) -> Lin:
        parts = list(parts)
        flag = self.p.variable()
        for part in parts:
            self.p.at_most(part, flag)
        self.p.at_most(flag, Lin.sum(parts))
        return flag

    # ------------------------------------------------------------ devices

    def _choose_devices(self) -> None:
        drawn: dict[tuple[int, str], list[Lin]] = {}
        whole: dict[int, Lin] = {}
        others: dict[int, list[Lin]] = {}
        for wanted in self.asked.wanted:
            chosen = []
            for index in candidates(self.room, self.asked, wanted):
                device = self.m.devices[index]
                z = self.z[index] = self.p.variable()
                chosen.append(z)
                draws = device.draws if wanted.partition else wanted.share
                for name, amount in draws.items():
                    drawn.setdefault((device.root, name), []).append(z * amount)
                if wanted.partition or wanted.share:
                    others.setdefault(device.root, []).append(z)
                else:
                    whole[index] = z
                if device.localities:
                    self.p.at_most(z, Lin.sum(self.t[i] for i in device.localities))
            self.p.equal(Lin.sum(chosen), wanted.count)
            self._keep_devices(wanted.cls, wanted.count)
        for (root, name), parts in drawn.items():
            self.p.at_most(Lin.sum(parts), self.room.counters[root][name])
        for root, z in whole.items():
            for other in others.get(root, ()):
                self.p.at_most(z + other, 1)

    def _keep_devices(self, cls: str, count: int) -> None:
        if self.keep_from is None or cls not in self.asked.keep:
            return
        old = {self.m.find(key) for key in self.keep_from.devices}
        old = {index for index in old if self.m.devices[index].cls == cls}
        if count >= len(old):
            for index in old:
                self.p.equal(self.z.get(index, Lin()), 1)
            return
        for index, z in self.z.items():
            if self.m.devices[index].cls == cls and index not in old:
                self.p.equal(z, 0)

    def _of_classes(self, classes: Iterable[str]) -> dict[int, Lin]:
        wanted = set(classes)
        return {i: z for i, z in self.z.items() if self.m.devices[i].cls in wanted}

    # ------------------------------------------------------------ memory

    def _choose_memory(self) -> None:
        """Give memory by the rule: localities in order, each node filled in turn."""
        if not self.asked.memory:
            return
        parts: dict[int, list[Lin]] = {}
        self.first: dict[tuple[int, int], Lin] = {}
        self.before: dict[tuple[int, int], Lin] = {}
        kind = self.asked.kind
        usable = [
            i
            for i, node in enumerate(self.m.nodes)
            if node.kind == kind and kind != "gpu" and node.localities
        ]
        self._order_localities(usable)
        for index in usable:
            self._visit(index)
        for size, amount in self.asked.memory.items():
            for index, flag in self._fill(size, amount, usable).items():
                parts.setdefault(index, []).append(flag)
        self.given = {index: self._any(flags) for index, flags in parts.items()}

    def _order_localities(self, usable: list[int]) -> None:
        places = sorted({i for n in usable for i in self.m.nodes[n].localities})
        chosen = {
            place: Lin.sum(c.chosen for c in self.cells if c.place[0] == place)
            for place in places
        }
        for a, b in itertools.combinations(places, 2):
            more = chosen[a] - chosen[b]
            first = self.p.variable() if more.terms else Lin.of(1)
            # first == 1 just when a has as many PUs as b, or more.
            worst = -self.p.least(more)
            self.p.at_most(-more, (1 - first) * worst)
            self.p.at_most(more + 1, first * (self.p.greatest(more) + 1))
            self.before[a, b], self.before[b, a] = first, 1 - first

    def _visit(self, index: int) -> None:
        places = sorted(self.m.nodes[index].localities)
        if len(places) == 1:
            self.first[index, places[0]] = self.t[places[0]]
            return
        for place in places:
            self.first[index, place] = self.p.variable()
            self.p.at_most(self.first[index, place], self.t[place])
        visits = Lin.sum(self.first[index, place] for place in places)
        self.p.at_most(visits, 1)
        for place in places:
            self.p.at_most(self.t[place], visits)
        for a, b in itertools.permutations(places, 2):
            self.p.at_most(self.first[index, a] + self.t[b] - 1, self.before[a, b])

    def _fill(self, size: int, amount: int, usable: list[int]) -> dict[int, Lin]:
        """Give one page size; return which nodes give some of it."""
        unit = max(size, 1)
        if amount % unit:
            self.p.at_most(1, 0)
            return {}
        room = {i: self.room.bytes[i].get(size, 0) // unit * unit for i in usable}
        room = {i: n for i, n in room.items() if n}
        gives: dict[int, Lin] = {}
        full: dict[int, Lin] = {}
        total = []
        unit = math.gcd(amount, *room.values())
        for i, free in room.items():
            most = free // unit
            given = self.p.variable(most)
            visited = Lin.sum(self.first[i, a] for a in self.m.nodes[i].localities)
            self.p.at_most(given, visited * most)
            full[i] = self.p.variable()
            self.p.at_most(full[i] * most, given)
            gives[i] = self._is_positive(given, most)
            total.append(given)
        self.p.equal(Lin.sum(total), amount // unit)
        for i, j in itertools.permutations(room, 2):
            for a in self.m.nodes[i].localities:
                for b in self.m.nodes[j].localities:
                    if a == b and i > j:
                        continue
                    order = 1 if a == b else self.before[a, b]
                    reached = self.first[i, a] + self.first[j, b] + order - 2
                    self.p.at_most(gives[j] + reached - 1, full[i])
        return gives

    # ------------------------------------------------------------ constraints

    def _constrain(self, entry: Document, hold: Lin) -> None:
        ((kind, body),) = entry.items()
        rule = {
            "align": self._align,
            "pair": self._pair,
            "link": self._link,
            "same": self._same,
            "distinct": self._distinct,
            "near": self._near,
        }[kind]
        rule(body, hold)

    def _forbid(self, flag: Lin, hold: Lin) -> None:
        self.p.at_most(flag + hold, 1)

    def _align(self, body: Document, hold: Lin) -> None:
        of = body.get("of")
        speaks = {"pus", "memory"} | self.asked.classes if not of else set(of)
        level = body["level"]
        kind = {"numa": 0, "l3": 1, "package": 2}[level]
        tables = (self.m.localities, self.m.l3s, self.m.packages)
        devices = self._of_classes(speaks)
        given = self.given if "memory" in speaks else {}
        cells = self.cells if "pus" in speaks else []
        if not speaks & self.asked.classes and not given and not cells:
            return
        most = self.p.greatest(Lin.sum(cell.chosen for cell in cells))
        choices = []
        for index, domain in enumerate(tables[kind]):
            choice = self.p.variable()
            choices.append(choice)
            met = {i for i, s in enumerate(self.m.localities) if s & domain}
            out = Lin.sum(c.chosen for c in cells if c.place[kind] != index)
            self.p.at_most(out, (1 - choice) * most)
            for d, z in devices.items():
                if not self.m.devices[d].localities & met:
                    self._forbid(z, choice)
            for node, flag in given.items():
                if not self.m.nodes[node].localities & met:
                    self._forbid(flag, choice)
        self.p.at_most(hold, Lin.sum(choices))

    def _link(self, body: Document, hold: Lin) -> None:
        chosen = self._of_classes([body["class"]])
        least = body.get("min_mb_s", 1)
        joined = {
            (a, b): self.m.link[a][b] >= least
            for a, b in itertools.permutations(chosen, 2)
        }
        if body.get("mode", "clique") == "clique":
            for (a, b), is_joined in joined.items():
                if a < b and not is_joined:
                    self.p.at_most(chosen[a] + chosen[b] + hold, 2)
            return
        # One chosen device sends a unit to each, through chosen ones alone.
        count = sum(w.count for w in self.asked.wanted if w.cls == body["class"])
        source = {d: self.p.variable() for d in chosen}
        self.p.at_most(Lin.sum(source.values()), 1)
        flow = {pair: self.p.variable(count) for pair in joined if joined[pair]}
        for (a, b), sent in flow.items():
            self.p.at_most(sent, chosen[a] * count)
            self.p.at_most(sent, chosen[b] * count)
        for d, z in chosen.items():
            self.p.at_most(source[d], z)
            kept = Lin.sum(
                (1 if b == d else -1) * sent
                for (a, b), sent in flow.items()
                if d in (a, b)
            )
            self.p.at_most(z + hold - 1, kept + source[d] * count)
            self.p.at_most(0, kept + source[d] * count)

    def _same(self, body: Document, hold: Lin) -> None:
        chosen = self._of_classes(body["of"])
        values = {d: self.m.attribute(d, body["attribute"]) or [] for d in chosen}
        choices = []
        for value in {v for found in values.values() for v in found}:
            choice = self.p.variable()
            choices.append(choice)
            for d, z in chosen.items():
                if value not in values[d]:
                    self._forbid(z, choice)
        self.p.at_most(hold, Lin.sum(choices))

    def _distinct(self, body: Document, hold: Lin) -> None:
        chosen = self._of_classes(body["of"])
        holders: dict[object, list[Lin]] = {}
        for d, z in chosen.items():
            values = self.m.attribute(d, body["attribute"])
            if values is None:
                self._forbid(z, hold)
            for value in set(values or ()):
                holders.setdefault(value, []).append(z)
        for having in holders.values():
            spare = len(having) - 1
            self.p.at_most(Lin.sum(having), 1 + (1 - hold) * spare)

    def _near(self, body: Document, hold: Lin) -> None:
        within = LEVELS.index(body.get("within", "numa"))
        limit = max(within, NUMA)
        for key in body["devices"]:
            target = self.m.find(key)
            root = self.m.devices[target].root
            for d, z in self.z.items():
                is_it = d in (target, root) or self.m.devices[d].root == target
                if is_it or self.m.level[d][target] > within:
                    self._forbid(z, hold)
            for locality, chosen in self.in_locality.items():
                if self._near_level(target, locality) > limit:
                    self._forbid(chosen, hold)
            for node, flag in self.given.items():
                places = self.m.nodes[node].localities
                if min(self._near_level(target, i) for i in places) > limit:
                    self._forbid(flag, hold)

    def _near_level(self, device: int, locality: int) -> int:
        d = self.m.devices[device]
        if locality in d.localities:
            return NUMA
        shares_package = d.packages & self.m.locality_packages[locality]
        return PACKAGE if shares_package else MACHINE

    # ------------------------------------------------------------ pairs

    def _match_pairs(self) -> None:
        """Match each two classes once, for term 4 and the required Pairs of both."""
        required = [e["pair"] for e in self.asked.require if "pair" in e]
        preferred = [e["pair"] for e in self.asked.prefer if "pair" in e]
        self.limit: dict[frozenset[str], int] = {}
        for body in required:
            classes = frozenset({body["a"], body["b"]})
            within = LEVELS.index(body.get("within", "machine"))
            self.limit[classes] = min(self.limit.get(classes, MACHINE), within)
        sums: dict[frozenset[str], Lin] = {}
        for body in [*required, *preferred]:
            classes = frozenset({body["a"], body["b"]})
            if classes not in sums:
                limit = self.limit.setdefault(classes, MACHINE)
                sums[classes] = self._matching(body, limit, Lin.of(1))
            self.pair_levels = self.pair_levels + sums[classes]

    def _pair(self, body: Document, hold: Lin) -> None:
        within = LEVELS.index(body.get("within", "machine"))
        if within < self.limit[frozenset({body["a"], body["b"]})]:
            self._matching(body, within, hold)

    def _matching(self, body: Document, limit: int, hold: Lin) -> Lin:
        """Give each of the many one of the few; return the sum of levels."""
        ratio = body.get("ratio", [1, 1])
        many, few = ("a", "b") if ratio[1] == 1 else ("b", "a")
        giver, taker = self._of_classes([body[many]]), self._of_classes([body[few]])
        count = sum(w.count for w in self.asked.wanted if w.cls == body[many])
        arcs = {
            (i, j): self.p.variable()
            for i, j in itertools.product(giver, taker)
            if self.m.level[i][j] <= limit
        }
        for i, z in giver.items():
            self.p.at_most(Lin.sum(x for (a, _), x in arcs.items() if a == i), z)
        for j, z in taker.items():
            got = Lin.sum(x for (_, b), x in arcs.items() if b == j)
            self.p.at_most(got, z * max(ratio))
        self.p.at_most(hold * count, Lin.sum(arcs.values()))
        return Lin.sum(x * self.m.level[i][j] for (i, j), x in arcs.items())

    # ------------------------------------------------------------ cost

    def terms(self) -> list[Lin]:
        """Return the fifteen terms in order."""
        preferred = self.holds[len(self.asked.require) :]
        unmet = [1 - hold for hold in preferred]
        vector = Lin()
        for flag in unmet:
            vector = vector * 2 + flag
        opened = [count * self.sign for count in self._opened()]
        return [
            Lin.sum(unmet),
            vector,
            self._packages(),
            Lin.sum(self.t),
            self._distance(),
            self.pair_levels,
            self._missing_link(),
            self._remote(),
            Lin.sum(self.in_l3.values()),
            self.split,
            *opened,
        ]

    def _packages(self) -> Lin:
        met = []
        for package in range(len(self.m.packages)):
            places = [
                self.t[i]
                for i, packages in enumerate(self.m.locality_packages)
                if package in packages
            ]
            met.append(self._any(places))
        return Lin.sum(met)

    def _distance(self) -> Lin:
        self.both: dict[tuple[int, int], Lin] = {}
        if not any(map(any, self.m.distance)):
            return Lin()
        for a, b in itertools.combinations(range(len(self.t)), 2):
            both = self.both[a, b] = self.p.variable()
            self.p.at_most(both, self.t[a])
            self.p.at_most(both, self.t[b])
            self.p.at_most(self.t[a] + self.t[b] - 1, both)
        return Lin.sum(x * self.m.distance[a][b] for (a, b), x in self.both.items())

    def _tighten_distance(self, count: int) -> None:
        """Say what follows from so many localities; it cuts the search short."""
        for i, t in enumerate(self.t):
            pairs = [x for pair, x in self.both.items() if i in pair]
            if pairs:
                self.p.equal(Lin.sum(pairs), t * (count - 1))

    def _missing_link(self) -> Lin:
        found = Lin()
        for wanted in self.asked.wanted:
            if wanted.partition or wanted.cls not in self.m.classes_with_links:
                continue
            chosen = self._of_classes([wanted.cls])
            both = {}
            for a, b in itertools.combinations(chosen, 2):
                x = both[a, b] = self.p.variable()
                self.p.at_most(chosen[a] + chosen[b] - 1, x)
                found = found + x * (self.m.largest_link - self.m.link[a][b])
            for d, z in chosen.items():
                pairs = Lin.sum(x for pair, x in both.items() if d in pair)
                self.p.equal(pairs, z * (wanted.count - 1))
        return found

    def _remote(self) -> Lin:
        found = []
        for d, z in self.z.items():
            places = self.m.devices[d].localities
            if self.asked.asks_pus and places:
                flag = self.p.variable()
                near = [self.in_locality[i] for i in places if i in self.in_locality]
                self.p.at_most(z - Lin.sum(near), flag)
                found.append(flag)
        return Lin.sum(found)

    def _opened(self) -> list[Lin]:
        m, room = self.m, self.room
        devices = [(m.devices[d], z) for d, z in self.z.items()]
        packages = {
            p: [z for d, z in devices if p in d.packages]
            + [
                flag
                for node, flag in self.given.items()
                if any(p in m.locality_packages[i] for i in m.nodes[node].localities)
            ]
            + ([self.in_package[p]] if p in self.in_package else [])
            for p in range(len(m.packages))
        }
        localities = {
            i: [z for d, z in devices if i in d.localities]
            + [flag for n, flag in self.given.items() if i in m.nodes[n].localities]
            + ([self.in_locality[i]] if i in self.in_locality else [])
            for i in range(len(m.localities))
        }
        switches: dict[int, list[Lin]] = {}
        roots: dict[int, list[Lin]] = {}
        for device, z in devices:
            roots.setdefault(device.root, []).append(z)
            if device.switch is not None:
                switches.setdefault(device.switch, []).append(z)
        l3s = {index: [flag] for index, flag in self.in_l3.items()}
        kinds: list[tuple[dict[int, list[Lin]], set[int]]] = [
            (packages, room.open_packages),
            (localities, room.open_localities),
            (switches, room.open_switches),
            (roots, room.open_devices),
            (l3s, room.open_l3s),
        ]
        return [
            Lin.sum(
                self._any(parts)
                for index, parts in using.items()
                if parts and index not in already_open
            )
            for using, already_open in kinds
        ]

    # ------------------------------------------------------------ search

    def solve(self) -> Answer:
        """Minimise term after term."""
        cost: list[int] = []
        point: list[int] | None = None
        for i, term in enumerate(self.terms()):
            if point is None or term.value(point) > self.p.least(term):
                point = self.p.minimise(term, TIME_LIMIT_S)
            if point is None:
                return Answer(None)
            cost.append(term.value(point))
            self.p.equal(term, cost[-1])
            if i == 3:
                self._tighten_distance(cost[-1])
        assert point is not None
        return Answer(
            tuple(cost),
            tuple(self.m.devices[d].name for d, z in self.z.items() if z.value(point)),
            tuple(i for i, t in enumerate(self.t) if t.value(point)),
        )
