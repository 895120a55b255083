# SPDX-License-Identifier: Apache-2.0
"""What an Inventory answers about claims on a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from topoalloc import _core
from topoalloc._constraints import check_steps
from topoalloc._errors import UndecidedError
from topoalloc._records import Status
from topoalloc.kubernetes._claim_explanation import (
    ClaimExplanation,
    claim_explanation,
)
from topoalloc.kubernetes._objects import ResourceClaim

__all__ = ["ClaimCost", "ClaimVerdict"]


@dataclass(frozen=True, slots=True)
class ClaimCost:
    """What an allocation was chosen by: `docs/claim-objective.md`, section 4.

    Attributes
    ----------
    entries : tuple of int
        By request of all claims: the entry of `firstAvailable` that was chosen, from 0.
    localities : int
        NUMANodes that the devices are of.
    levels : int
        Levels between devices, added up over all pairs.
    opened_localities, opened_roots : int
        NUMANodes and PCI roots that nothing was taken of.
    broken : int
        Devices that can no longer be had, as their counters are drawn on.
    shares : int
        Shared devices that nothing was taken of.
    """

    entries: tuple[int, ...]
    localities: int
    levels: int
    opened_localities: int
    opened_roots: int
    broken: int
    shares: int


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """The answer for claims on one node: a status, and a proof or allocations.

    ``bool(verdict)`` is True for OPTIMAL and FEASIBLE, False for INFEASIBLE, and raises
    `UndecidedError` for UNKNOWN.

    Attributes
    ----------
    status : Status
        OPTIMAL and INFEASIBLE are proofs; FEASIBLE is the best found and UNKNOWN
        nothing found when the step limit came.
    node : str
        The node that was asked about.
    claims : tuple of str
        ``namespace/name`` of each.
    allocations : tuple of dict
        `status.allocation` of each claim, as resource.k8s.io/v1 has it; empty without
        an answer.
    cost : ClaimCost or None
        Of ``choose="optimal"`` with an answer.
    choose : str
        ``"optimal"`` or ``"first_fit"``.
    semantics : str
        The version of Kubernetes.
    steps, max_steps : int
        Work done, equal on every machine, and its limit.
    """

    status: Status
    node: str
    claims: tuple[str, ...]
    allocations: tuple[dict[str, Any], ...]
    cost: ClaimCost | None
    choose: str
    semantics: str
    steps: int
    max_steps: int
    _answer: _core.ClaimAnswer = field(repr=False, compare=False)
    _asked: Sequence[ResourceClaim] = field(repr=False, compare=False)
    _explained: ClaimExplanation | None = field(default=None, repr=False, compare=False)

    @property
    def explanation(self) -> ClaimExplanation:
        """Why: computed when first read, against the state that was asked."""
        if self._explained is None:
            # Two threads may both compute it; either result serves.
            found = self.explain()
            object.__setattr__(self, "_explained", found)
            return found
        return self._explained

    def explain(
        self, *, max_steps: int = _core.EXPLANATION_MAX_STEPS
    ) -> ClaimExplanation:
        """Compute the explanation with a step limit of one's own.

        Parameters
        ----------
        max_steps : int, default 2_000_000
            For the whole of it.

        Returns
        -------
        ClaimExplanation
            ``complete`` is False when the limit came first.

        Raises
        ------
        InvalidRequestError
            The limit is no int of 0 to 2^64 - 1.
        """
        return claim_explanation(self._answer, self._asked, check_steps(max_steps))

    def __bool__(self) -> bool:
        """Tell whether the claims have their devices."""
        if self.status == Status.UNKNOWN:
            message = (
                f"{self}: not decided after {self.steps} steps, want a larger max_steps"
            )
            raise UndecidedError(message)
        return self.status != Status.INFEASIBLE

    def __str__(self) -> str:
        """Return one line."""
        names = ", ".join(self.claims)
        return f"{names} on node {self.node}: {self.status.name}"
