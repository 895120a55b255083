# SPDX-License-Identifier: Apache-2.0
"""Why a batch cannot be placed: a smallest set of owners in each other's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topoalloc._core import Status
from topoalloc._records import BatchExplanation, Explanation, state_document
from topoalloc._snapshot import rebuild

if TYPE_CHECKING:
    from topoalloc._allocator import Allocator
    from topoalloc._records import BatchVerdict
    from topoalloc._request import Request

__all__ = ["explain_batch"]


class _Prober:
    """Asks about parts of a batch and counts the steps of all questions."""

    def __init__(self, allocator: Allocator, max_steps: int) -> None:
        self.allocator = allocator
        self.max_steps = max_steps
        self.steps = 0
        self.complete = True

    def is_proved_infeasible(self, requests: dict[str, Request]) -> bool:
        left = self.max_steps - self.steps
        if left <= 0:
            self.complete = False
            return False
        verdict = self.allocator.check_joint(requests, max_steps=left)
        self.steps += verdict.steps
        self.complete = self.complete and verdict.status is not Status.UNKNOWN
        return verdict.status is Status.INFEASIBLE

    def why_alone(self, request: Request) -> Explanation | None:
        left = self.max_steps - self.steps
        if left <= 0:
            self.complete = False
            return None
        verdict = self.allocator.check(request, max_steps=left)
        self.steps += verdict.steps
        self.complete = self.complete and verdict.status is not Status.UNKNOWN
        if verdict.status is not Status.INFEASIBLE:
            return None
        found = verdict.explain(max_steps=max(self.max_steps - self.steps, 0))
        self.steps += found.steps
        self.complete = self.complete and found.complete
        return found


def explain_batch(verdict: BatchVerdict, max_steps: int) -> BatchExplanation:
    """Ask on the state of the batch which owners are in each other's way."""
    from topoalloc._allocator import Allocator  # noqa: PLC0415

    if verdict.status is not Status.INFEASIBLE:
        return BatchExplanation(
            verdict.status, verdict.reason, (), {}, True, 0, _prose(verdict, (), {})
        )
    asked = verdict._asked
    state = state_document(asked.rows())
    allocator = rebuild(Allocator, asked.machine, asked.policy, state, "state")
    prober = _Prober(allocator, max_steps)
    alone: dict[str, Explanation] = {}
    for owner, request in asked.requests.items():
        why = prober.why_alone(request)
        if why is not None:
            alone[owner] = why
    conflict = (next(iter(alone)),) if alone else _conflict(prober, {**asked.requests})
    return BatchExplanation(
        verdict.status,
        verdict.reason,
        conflict,
        alone,
        prober.complete,
        prober.steps,
        _prose(verdict, conflict, alone),
    )


def _conflict(prober: _Prober, requests: dict[str, Request]) -> tuple[str, ...]:
    """Drop the owners without whom it is infeasible still, in the order given."""
    dropped = True
    while dropped:
        dropped = False
        # Dropping one can make another one needless: more room is not always better
        # for a Request whose constraints speak of bytes.
        for owner in [*requests]:
            others = {name: r for name, r in requests.items() if name != owner}
            if others and prober.is_proved_infeasible(others):
                requests = others
                dropped = True
    return tuple(requests)


def _prose(
    verdict: BatchVerdict, conflict: tuple[str, ...], alone: dict[str, Explanation]
) -> str:
    lines = [f"{verdict.status.name}, {verdict.reason}."]
    if verdict.placements:
        lines.append(f"All {len(verdict.placements)} are placed together.")
    if len(conflict) > 1:
        lines.append(f"{', '.join(conflict)} cannot be placed together.")
    lines += [f"{owner} alone: {why.prose}" for owner, why in alone.items()]
    return "\n".join(lines)
