# SPDX-License-Identifier: Apache-2.0
"""Why claims have no devices on a node, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc import _core
from topoalloc._quantity import counted
from topoalloc.kubernetes._objects import AllocationMode, ClaimRequest, ResourceClaim

__all__ = [
    "ClaimConflictItem",
    "ClaimCounts",
    "ClaimExplanation",
    "ClaimRelaxation",
    "claim_explanation",
]

_Item = tuple[str, int, int, str]


@dataclass(frozen=True, slots=True)
class ClaimConflictItem:
    """A part of the question that a conflict holds.

    Attributes
    ----------
    path : str
        Where it stands: ``"claims[0].spec.devices.constraints[0]"``,
        ``"holder:ml/other"`` or ``"taints"``.
    text : str
        In words.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ClaimCounts:
    """Devices for the node that are left for a demand after each test.

    Attributes
    ----------
    claim, request : str
        ``namespace/name``, and ``request`` or ``request/entry``.
    wanted : int
        Devices; of `All` those that are fixed.
    devices : int
        For the node, of pools that can be used.
    match : int
        The selectors.
    suit : int
        Have the capacity that is requested.
    free : int
        Of which enough is left.
    tolerated : int
        Have no taint that is not tolerated.
    open : int
        Have what the constraints speak of.
    """

    claim: str
    request: str
    wanted: int
    devices: int
    match: int
    suit: int
    free: int
    tolerated: int
    open: int

    def __str__(self) -> str:
        """Say it in a line, up to where all that is lost is lost."""
        steps = (
            (self.match, "match"),
            (self.suit, "with the capacity"),
            (self.free, "free"),
            (self.tolerated, "without other taints"),
            (self.open, "with the attributes"),
        )
        last, parts = self.devices, [counted(self.devices, "device")]
        for number, words in steps:
            if number != last:
                parts.append(f"{number} {words}")
                last = number
        return f"{self.claim}: {self.request} wants {self.wanted}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class ClaimRelaxation:
    """A change with which the claims have their devices; it was solved.

    Attributes
    ----------
    change : str
        ``"drop"``, ``"release"``, ``"tolerate"`` or ``"count=N"``.
    path : str
        Of what, as in `ClaimConflictItem`.
    text : str
        In words.
    """

    change: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ClaimExplanation:
    """Why claims have no devices on a node.

    Attributes
    ----------
    conflict : tuple of ClaimConflictItem
        They cannot hold together; without any one of them the others can. Empty unless
        the answer is INFEASIBLE.
    counts : tuple of ClaimCounts
        By request, and entry of `firstAvailable`.
    relaxations : tuple of ClaimRelaxation
        Changes that help, each by itself.
    complete : bool
        False when the step limit came first.
    steps : int
        Work done, equal on every machine.
    """

    conflict: tuple[ClaimConflictItem, ...]
    counts: tuple[ClaimCounts, ...]
    relaxations: tuple[ClaimRelaxation, ...]
    complete: bool
    steps: int

    def __str__(self) -> str:
        """Return it as text of several lines."""
        lines = []
        if self.conflict:
            lines.append("These cannot hold together, any one less can:")
            lines += [f"- {item.text}" for item in self.conflict]
        lines.append("Devices:")
        lines += [f"- {counts}" for counts in self.counts]
        if self.relaxations:
            lines.append("What would help:")
            lines += [f"- {change.text}" for change in self.relaxations]
        if not self.complete:
            lines.append("The step limit came before the end, want a larger max_steps.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: the attributes, lists for tuples."""
        return {
            "conflict": [
                {"path": item.path, "text": item.text} for item in self.conflict
            ],
            "counts": [
                {name: getattr(counts, name) for name in ClaimCounts.__slots__}
                for counts in self.counts
            ],
            "relaxations": [
                {"change": each.change, "path": each.path, "text": each.text}
                for each in self.relaxations
            ],
            "complete": self.complete,
            "steps": self.steps,
        }


def claim_explanation(
    answer: _core.ClaimAnswer, claims: Sequence[ResourceClaim], max_steps: int
) -> ClaimExplanation:
    """Explain an answer of the core about these claims."""
    conflict, counts, relaxations, complete, steps = answer.explain_rows(max_steps)
    words = _Words(claims)
    return ClaimExplanation(
        tuple(
            ClaimConflictItem(words.path(item), words.text(item)) for item in conflict
        ),
        tuple(words.counts(row) for row in counts),
        tuple(words.relaxation(item, count) for item, count in relaxations),
        complete,
        steps,
    )


class _Words:
    """Says what the core means."""

    def __init__(self, claims: Sequence[ResourceClaim]) -> None:
        self._claims = claims

    def _key(self, claim: int) -> str:
        return f"{self._claims[claim].namespace}/{self._claims[claim].name}"

    def path(self, item: _Item) -> str:
        kind, claim, index, holder = item
        if kind == "holder":
            return f"holder:{holder}"
        if kind == "taints":
            return "taints"
        return f"claims[{claim}].spec.devices.{kind}s[{index}]"

    def text(self, item: _Item) -> str:
        kind, claim, index, holder = item
        if kind == "holder":
            return f"what {holder} holds"
        if kind == "taints":
            return "taints of devices that are not tolerated"
        if kind == "constraint":
            return f"{self._key(claim)}: {self._constraint(claim, index)}"
        return f"{self._key(claim)}: {_request(self._claims[claim].requests[index])}"

    def _constraint(self, claim: int, index: int) -> str:
        constraint = self._claims[claim].constraints[index]
        of = " and ".join(constraint.requests) or "all requests"
        how = "differ in" if constraint.is_distinct else "share one"
        return f"{of} {how} {constraint.attribute}"

    def counts(self, row: tuple[int, ...]) -> ClaimCounts:
        claim, request, entry, *numbers = row
        asked = self._claims[claim].requests[request]
        name = asked.name
        if asked.is_prioritized:
            name = f"{name}/{asked.demands[entry].name}"
        return ClaimCounts(self._key(claim), name, *numbers)

    def relaxation(self, item: _Item, count: int | None) -> ClaimRelaxation:
        kind, claim, index, holder = item
        path = self.path(item)
        if kind == "holder":
            return ClaimRelaxation("release", path, f"fits if {holder} is released")
        if kind == "taints":
            text = "fits if all taints are tolerated"
            return ClaimRelaxation("tolerate", path, text)
        if count is None:
            return ClaimRelaxation("drop", path, f"fits without {self.text(item)}")
        request = self._claims[claim].requests[index]
        instead = f"instead of {request.demands[0].count}"
        text = f"fits with {counted(count, 'device')} for {request.name} {instead}"
        return ClaimRelaxation(f"count={count}", path, f"{self._key(claim)}: {text}")


def _request(request: ClaimRequest) -> str:
    if request.is_prioritized:
        names = ", ".join(demand.name for demand in request.demands)
        return f"{request.name}, the first there is of {names}"
    demand = request.demands[0]
    if demand.mode == AllocationMode.ALL:
        return f"{request.name}, all devices of class {demand.device_class}"
    number = counted(demand.count, "device")
    return f"{request.name}, {number} of class {demand.device_class}"
