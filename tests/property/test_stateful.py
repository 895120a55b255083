# SPDX-License-Identifier: Apache-2.0
"""An Allocator and a naive twin of it live through the same calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from tests.instances import SMALL, Dice, MachineMaker, QuestionMaker, take
from tests.oracle import brute
from tests.oracle.machine import cpuset
from tests.oracle.problem import Asked, Holding, Room, State
from tests.property import tables

import topoalloc as ta

OWNERS = ("a", "b", "c", "d")
ADDED_UP = ta.Cost._fields.index("split_cores")
"""Terms before this one are added up over a batch."""
TITLE = "calls of the stateful test"

dice = st.randoms(use_true_random=False).map(Dice)


def holding_of(owner: str, placement: ta.Placement) -> Holding:
    """Read what a Placement holds."""
    shares = placement.shares
    return Holding(
        owner,
        frozenset(placement.pus),
        {(node, size): amount for node, size, amount in placement._memory_rows},
        {name: dict(shares.get(name, {})) for name in placement.devices},
    )


def added_up(placements: Iterable[ta.Placement]) -> tuple[int, ...]:
    """Sum the terms that a batch adds up."""
    costs = [tuple(placement.cost)[:ADDED_UP] for placement in placements]
    return tuple(map(sum, zip(*costs, strict=True)))


class Twin:
    """Who holds what, in plain sets, with every amount counted anew on each look."""

    def __init__(self, maker: QuestionMaker) -> None:
        self.machine = maker.machine
        self.state = maker.state

    def room(self) -> Room:
        return Room(self.machine, self.state)

    def holding(self, owner: str) -> Holding | None:
        return next((h for h in self.state.holdings if h.owner == owner), None)

    def fits(self, holding: Holding) -> bool:
        """Say whether all of it is free."""
        room = self.room()
        if not holding.pus <= room.pus:
            return False
        free = {
            (node.os_index, size): amount
            for node, amounts in zip(self.machine.nodes, room.bytes, strict=True)
            for size, amount in amounts.items()
        }
        if any(free.get(key, 0) < amount for key, amount in holding.memory.items()):
            return False
        return self._devices_fit(room, holding)

    def _devices_fit(self, room: Room, holding: Holding) -> bool:
        drawn: Counter[tuple[int, str]] = Counter()
        mine = {self.machine.find(key): s for key, s in holding.devices.items()}
        for index, share in mine.items():
            device = self.machine.devices[index]
            if room.cordoned & {index, device.root} or device.root in room.whole:
                return False
            if index != device.root:
                if index in room.parts or (
                    device.root in mine and not mine[device.root]
                ):
                    return False
                drawn.update({(device.root, n): x for n, x in device.draws.items()})
            elif share:
                drawn.update({(index, n): x for n, x in share.items()})
            elif index in room.shared or room.parts & set(device.parts):
                return False
        return all(
            room.counters[root].get(name, -1) >= amount
            for (root, name), amount in drawn.items()
        )

    def take(self, holding: Holding) -> None:
        assert self.fits(holding)
        assert self.holding(holding.owner) is None
        self.state.holdings.append(holding)

    def release(self, owner: str) -> Holding:
        holding = self.holding(owner)
        assert holding is not None
        self.state.holdings.remove(holding)
        return holding

    def free_devices(self) -> tuple[str, ...]:
        return tuple(
            device.name
            for device in self.machine.devices
            if self.fits(Holding("", devices={device.name: {}}))
        )


class AllocatorMachine(RuleBasedStateMachine):
    """Every rule is one call; every call that fails leaves all as it was."""

    @initialize(roll=dice, spread=st.booleans())
    def start(self, roll: Dice, spread: bool) -> None:
        document = MachineMaker(roll, SMALL).make()
        note(repr(document))
        self.maker = QuestionMaker(roll, document, SMALL)
        self.spread = spread
        if roll.chance(20):
            self.maker.state.reserved = frozenset(sorted(self.maker.room().pus)[:1])
        self.machine = ta.Machine.from_dict(document)
        self.allocator = ta.Allocator(
            self.machine,
            reserved_pus=sorted(self.maker.state.reserved),
            policy="spread" if spread else "pack",
        )
        self.twin = Twin(self.maker)

    # ------------------------------------------------------------ helpers

    def request(self, roll: Dice, keeps: bool = False) -> ta.Request:
        self.maker.dice = roll
        document = self.maker.request()
        if keeps:
            words = [*self.maker.classes]
            words += ["pus"] * bool({"cores", "pus"} & set(document))
            if words:
                document["keep"] = roll.some(words)
        request = ta.Request.from_dict(document)
        note(repr(request))
        return request

    def expected(
        self, request: ta.Request, old: Holding | None = None
    ) -> dict[str, Any] | None:
        return brute.solve(
            self.machine,
            self.twin.state,
            request,
            spread=self.spread,
            keep_from=old,
        )

    def check_placement(
        self, request: ta.Request, owner: str, placement: ta.Placement
    ) -> None:
        """Hold a Placement to the amounts asked for, and let the twin take it."""
        holding = holding_of(owner, placement)
        asked = Asked(self.twin.machine, request.to_dict())
        cores = [core for core in self.twin.machine.cores if core & holding.pus]
        if asked.cores:
            assert len(cores) == asked.cores
            assert holding.pus == frozenset().union(*cores)
        else:
            assert len(holding.pus) == asked.pus
        given: Counter[int] = Counter()
        for (_, size), amount in holding.memory.items():
            given[size] += amount
        assert given == asked.memory
        classes = Counter(
            self.twin.machine.devices[self.twin.machine.find(name)].cls
            for name in holding.devices
        )
        assert classes == {wanted.cls: wanted.count for wanted in asked.wanted}
        for wanted in asked.wanted:
            for name, share in holding.devices.items():
                if self.twin.machine.devices[self.twin.machine.find(name)].cls == (
                    wanted.cls
                ):
                    assert share == wanted.share
        self.twin.take(holding)

    def someone(self, roll: Dice, holds: bool) -> str:
        """Return an owner, who mostly holds something, or mostly does not."""
        held = {holding.owner for holding in self.twin.state.holdings}
        fitting = [owner for owner in OWNERS if (owner in held) == holds]
        return roll.pick(OWNERS if not fitting or roll.chance(15) else fitting)

    def check_cost(
        self, placement: ta.Placement, expected: dict[str, Any] | None
    ) -> None:
        """Hold a cost to the best; one that is not proved may be dearer."""
        assert expected is not None
        body = self.allocator.snapshot().partition(b"\n")[2]
        held = json.loads(body)["state"]["placements"]
        if {"OPTIMAL"} == {h["status"] for h in held if h["owner"] == placement.owner}:
            assert tuple(placement.cost) == expected["cost"]
        else:
            assert tuple(placement.cost) >= expected["cost"]

    def count(self, call: str, came_out: str) -> None:
        table = tables.TABLES.setdefault(TITLE, Counter())
        table[call, came_out] += 1

    # ------------------------------------------------------------ rules

    @rule(roll=dice)
    def allocate(self, roll: Dice) -> None:
        owner = self.someone(roll, holds=False)
        request = self.request(roll)
        held = self.allocator.placements.get(owner)
        expected = self.expected(request)
        before = self.allocator.snapshot()
        try:
            placement = self.allocator.allocate(request, owner=owner)
        except ta.UndecidedError:
            assert self.allocator.snapshot() == before
            self.count("allocate", "unknown")
        except ta.InfeasibleError:
            assert held is None
            assert expected is None
            assert self.allocator.snapshot() == before
            self.count("allocate", "no")
        except ta.StateError:
            assert held is not None
            assert self.allocator.snapshot() == before
            self.count("allocate", "refused")
        else:
            if held is not None:
                assert placement == held
                assert self.allocator.snapshot() == before
                return
            self.check_cost(placement, expected)
            self.check_placement(request, owner, placement)
            # An equal Request from the same owner gets what it holds.
            assert self.allocator.allocate(request, owner=owner) == placement
            self.count("allocate", "yes")

    @rule(roll=dice)
    def release(self, roll: Dice) -> None:
        owner = self.someone(roll, holds=True)
        before = self.allocator.snapshot()
        if self.twin.holding(owner) is None:
            try:
                self.allocator.release(owner)
            except ta.StateError:
                assert self.allocator.snapshot() == before
                self.count("release", "refused")
                return
            raise AssertionError("an owner of nothing released")
        self.twin.release(owner)
        self.allocator.release(owner)
        self.count("release", "yes")

    @rule(roll=dice)
    def resize(self, roll: Dice) -> None:
        owner = self.someone(roll, holds=True)
        request = self.request(roll, keeps=True)
        before = self.allocator.snapshot()
        old = self.twin.holding(owner)
        if old is not None:
            self.twin.release(owner)
        expected = None if old is None else self.expected(request, old)
        try:
            placement = self.allocator.resize(owner, request)
        except ta.StateError:
            assert old is None
            assert self.allocator.snapshot() == before
            self.count("resize", "refused")
        except ta.UndecidedError:
            assert old is not None
            assert self.allocator.snapshot() == before
            self.twin.state.holdings.append(old)
            self.count("resize", "unknown")
        except ta.InfeasibleError:
            assert old is not None
            assert expected is None
            assert self.allocator.snapshot() == before
            self.twin.state.holdings.append(old)
            self.count("resize", "no")
        else:
            self.check_cost(placement, expected)
            self.check_placement(request, owner, placement)
            self.count("resize", "yes")

    @rule(roll=dice)
    def take(self, roll: Dice) -> None:
        owner = self.someone(roll, holds=False)
        self.maker.dice = roll
        hidden = self.maker.state
        if roll.chance(30):
            # As if nobody held anything: most often something of it is not free.
            self.maker.state = State()
        holding = self.maker.holding(owner)
        self.maker.state = hidden
        if not holding.pus and not holding.memory and not holding.devices:
            return
        before = self.allocator.snapshot()
        is_free = self.twin.holding(owner) is None and self.twin.fits(holding)
        note(f"{holding} free: {is_free}")
        try:
            placement = take(self.allocator, holding)
        except ta.StateError:
            assert not is_free
            assert self.allocator.snapshot() == before
            self.count("take", "refused")
            return
        assert is_free
        assert placement.owner == owner
        assert frozenset(placement.pus) == holding.pus
        self.twin.take(holding_of(owner, placement))
        self.count("take", "yes")

    @rule(roll=dice, is_pu=st.booleans(), cordoned=st.booleans())
    def cordon(self, roll: Dice, is_pu: bool, cordoned: bool) -> None:
        state = self.twin.state
        if is_pu:
            pu = roll.pick(self.twin.machine.pus)
            self.allocator.cordon(pu) if cordoned else self.allocator.uncordon(pu)
            rest = state.cordoned_pus - {pu}
            state.cordoned_pus = rest | ({pu} if cordoned else set())
        elif self.maker.names:
            name = roll.pick(self.maker.names)
            self.allocator.cordon(name) if cordoned else self.allocator.uncordon(name)
            kept = tuple(n for n in state.cordoned_devices if n != name)
            state.cordoned_devices = kept + ((name,) if cordoned else ())
        self.count("cordon", "yes")

    @rule(roll=dice)
    def fork(self, roll: Dice) -> None:
        before = self.allocator.snapshot()
        other = self.allocator.fork()
        # What happens to the one does not happen to the other.
        for owner in self.allocator.placements:
            other.release(owner)
        other.check_consistency()
        assert not other.placements
        assert self.allocator.snapshot() == before
        if roll.chance(50):
            self.allocator = self.allocator.fork()
        self.count("fork", "yes")

    @rule()
    def restore(self) -> None:
        snapshot = self.allocator.snapshot()
        self.allocator = ta.Allocator.restore(snapshot)
        assert self.allocator.snapshot() == snapshot
        self.count("restore", "yes")

    @rule(first=dice, second=dice)
    def allocate_many(self, first: Dice, second: Dice) -> None:
        names = [self.someone(first, holds=False), self.someone(second, holds=False)]
        if names[0] == names[1]:
            names[1] = OWNERS[OWNERS.index(names[0]) - 1]
        requests = {names[0]: self.request(first), names[1]: self.request(second)}
        before = self.allocator.snapshot()
        is_held = any(self.twin.holding(owner) for owner in requests)
        try:
            found = self.allocator.allocate_many(requests)
        except ta.StateError:
            assert is_held
            assert self.allocator.snapshot() == before
            self.count("allocate_many", "refused")
        except ta.InfeasibleError:
            assert not is_held
            assert self.allocator.snapshot() == before
            self.check_that_none_fits(requests)
            self.count("allocate_many", "no")
        except ta.UndecidedError:
            assert self.allocator.snapshot() == before
            self.count("allocate_many", "unknown")
        else:
            assert not is_held
            self.check_joint_cost(ta.Allocator.restore(before), requests, found)
            for owner, placement in found.items():
                self.check_placement(requests[owner], owner, placement)
            self.count("allocate_many", "yes")

    def check_joint_cost(
        self,
        before: ta.Allocator,
        requests: dict[str, ta.Request],
        found: dict[str, ta.Placement],
    ) -> None:
        """Hold the cost of a batch to its parts, and to one after the other."""
        verdict = before.check_joint(requests)
        assert verdict.cost is not None
        assert {o: p.to_dict() for o, p in verdict.placements.items()} == {
            o: p.to_dict() | {"owner": o} for o, p in found.items()
        }
        cost = tuple(verdict.cost)[:ADDED_UP]
        assert cost == added_up(found.values())
        if verdict.status is not ta.Status.OPTIMAL:
            return
        for order in (requests, dict(reversed(requests.items()))):
            other = before.fork()
            try:
                single = [other.allocate(r, owner=o) for o, r in order.items()]
            except ta.InfeasibleError:
                continue
            assert cost <= added_up(single)

    def check_that_none_fits(self, requests: dict[str, ta.Request]) -> None:
        """Refute a proved "no" by taking one after the other, in either order."""
        for order in (requests, dict(reversed(requests.items()))):
            other = self.allocator.fork()
            try:
                for owner, request in order.items():
                    other.allocate(request, owner=owner)
            except ta.InfeasibleError:
                continue
            raise AssertionError("proved impossible, and done")

    @rule(roll=dice)
    def headroom(self, roll: Dice) -> None:
        request = self.request(roll)
        before = self.allocator.snapshot()
        count, upper = self.allocator.headroom(request)
        assert self.allocator.snapshot() == before
        assert 0 <= count <= upper
        is_possible = self.expected(request) is not None
        assert count >= 1 if is_possible else count == upper == 0
        # Taken one by one there may be fewer than at once, and never more.
        other = self.allocator.fork()
        batch = other.allocate_batch(request, [f"copy{i}" for i in range(upper + 1)])
        assert sum(verdict.placement is not None for verdict in batch) <= count or (
            count < upper
        )
        self.count("headroom", "exact" if count == upper else "bounds")

    # ------------------------------------------------------------ invariants

    @invariant()
    def the_allocator_is_its_twin(self) -> None:
        if not hasattr(self, "twin"):
            return
        self.allocator.check_consistency()
        room = self.twin.room()
        assert cpuset(self.allocator.free_pus) == room.pus
        nodes = self.twin.machine.nodes
        assert self.allocator.free_memory == {
            node.os_index: amounts[0]
            for node, amounts in zip(nodes, room.bytes, strict=True)
        }
        assert self.allocator.free_devices == self.twin.free_devices()
        placements = self.allocator.placements
        held = {h.owner: h for h in self.twin.state.holdings}
        assert {o: holding_of(o, p) for o, p in placements.items()} == held
        for holding in held.values():
            for pu in holding.pus:
                assert self.allocator.owner_of(pu) == holding.owner
            for name in holding.devices:
                assert holding.owner in self.allocator.owners_of(name)


AllocatorMachine.TestCase.settings = settings(stateful_step_count=25)
TestAllocator = AllocatorMachine.TestCase
