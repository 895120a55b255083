# SPDX-License-Identifier: Apache-2.0
"""What several allocations together do that they may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from topoalloc.kubernetes._demand_rules import capacities_of, with_domain
from topoalloc.kubernetes._objects import AllocatedDevice, CounterDraw, DeviceId
from topoalloc.kubernetes._pool_view import NodePools, Place, Pool
from topoalloc.kubernetes._validate_claim import AllocatedClaim
from topoalloc.kubernetes._validate_demand import is_shared
from topoalloc.kubernetes._validate_place import ClaimResult, name_of
from topoalloc.kubernetes._violation import Violation, ViolationRule

__all__ = ["Holdings"]


@dataclass
class _Held:
    """A device that somebody holds."""

    holder: str  # the first of them
    is_whole: bool
    consumed: dict[str, int] = field(default_factory=dict)
    share_ids: set[str] = field(default_factory=set)


class Holdings:
    """Who holds what; each claim is held against those before it.

    Parameters
    ----------
    features : mapping of str to bool
        Which are on.
    """

    def __init__(self, features: Mapping[str, bool]) -> None:
        self._features = features
        self._held: dict[DeviceId, _Held] = {}

    def take(self, holder: str, devices: Sequence[AllocatedDevice]) -> None:
        """Let a claim hold devices, right or not."""
        for device in devices:
            if not device.admin_access:
                self._add(holder, device)

    def check(self, claim: AllocatedClaim) -> Iterator[Violation]:
        """Let a claim hold its devices, and go through what is wrong with that."""
        for result in claim.results:
            own = result.allocated
            if own.admin_access:
                continue
            held = self._held.get(own.id)
            if held is not None:
                for name, rule, text in self._conflicts(claim.key, own, held, result):
                    yield Violation(f"{result.path}.{name}", claim.key, rule, text)
            self._add(claim.key, own)
            if result.place is None or claim.pools is None:
                continue
            for rule, text in self._faults(own.id, result.place, claim.pools):
                yield Violation(f"{result.path}.device", claim.key, rule, text)

    def _add(self, holder: str, own: AllocatedDevice) -> None:
        whole = own.consumed is None or own.share_id is None
        held = self._held.setdefault(own.id, _Held(holder, whole))
        held.is_whole |= whole
        for name, amount in (own.consumed or {}).items():
            full = with_domain(name, own.id.driver)
            held.consumed[full] = held.consumed.get(full, 0) + amount
        if own.share_id is not None:
            held.share_ids.add(own.share_id)

    def _conflicts(
        self, key: str, own: AllocatedDevice, held: _Held, result: ClaimResult
    ) -> Iterator[tuple[str, ViolationRule, str]]:
        shared = result.place is None or is_shared(result.place, self._features)
        if not shared or own.consumed is None or held.is_whole:
            # Within a claim that was said before.
            if held.holder != key:
                text = (
                    f"{name_of(own.id)} is held by {held.holder}, want one that is free"
                )
                yield "device", ViolationRule.TAKEN, text
        elif own.share_id in held.share_ids:
            text = f"{own.share_id} is the id of another share, want one of its own"
            yield "shareID", ViolationRule.SHARE_ID, text

    def _faults(
        self, device: DeviceId, place: Place, pools: NodePools
    ) -> Iterator[tuple[ViolationRule, str]]:
        held = self._held[device]
        if is_shared(place, self._features):
            for name, capacity in capacities_of(*place).items():
                if held.consumed.get(name, 0) > capacity.value:
                    text = f"the shares of {name_of(device)} exceed its {name}"
                    yield ViolationRule.OVERCOMMITTED, text
        pool = pools.pool(device.driver, device.pool)
        if pool is None:
            return
        for draw in place[1].draws:
            others = [
                other
                for _, known in pool.known
                if DeviceId(device.driver, device.pool, known.name) in self._held
                for other in known.draws
                if other.counter_set == draw.counter_set
            ]
            if self._features["counters"]:
                yield from _counter_faults(draw, others, pool)
            yield from _group_faults(draw, others)


def _counter_faults(
    draw: CounterDraw, others: Sequence[CounterDraw], pool: Pool
) -> Iterator[tuple[ViolationRule, str]]:
    for counter in draw.counters:
        total = pool.totals.get((draw.counter_set, counter), 0)
        if sum(other.counters.get(counter, 0) for other in others) > total:
            text = f"more is drawn of {draw.counter_set}/{counter} than it has"
            yield ViolationRule.COUNTERS, text


def _group_faults(
    draw: CounterDraw, others: Sequence[CounterDraw]
) -> Iterator[tuple[ViolationRule, str]]:
    groups = [set(other.compatibility_groups) for other in others]
    if any(groups) and not set.intersection(*groups):
        text = (
            f"the devices on {draw.counter_set} have no compatibility group in common"
        )
        yield ViolationRule.GROUPS, text
