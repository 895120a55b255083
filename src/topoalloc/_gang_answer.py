# SPDX-License-Identifier: Apache-2.0
"""Answers for a Gang: GangVerdict, GangPlan and what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, Self

from topoalloc import _core
from topoalloc._constraints import check_steps
from topoalloc._errors import InvalidRequestError, StateError, UndecidedError
from topoalloc._gang import Gang
from topoalloc._gang_explanation import GangExplanation, gang_explanation
from topoalloc._quantity import counted
from topoalloc._rails import RailLists, lists_of, rail_document
from topoalloc._records import Placement, Status
from topoalloc._request import API_VERSION

__all__ = ["GangCost", "GangPlan", "GangVerdict", "PodPlace", "members_of"]


class PodPlace(NamedTuple):
    """One pod of a plan, or of a Gang that runs.

    ``placement.owner`` is what the node's Allocator calls it: ``"train-3/worker/17"``.
    """

    podset: str
    """Name of the PodSet."""
    index: int  # type: ignore[assignment]  # Of a pod; nobody looks for one in it.
    """Rank among the pods of the PodSet, from 0, in node order."""
    node: str
    """Name of the node."""
    placement: Placement
    """What it gets there."""


@dataclass(frozen=True, slots=True)
class GangCost:
    """What a plan was chosen by; each term before the ones below it, smaller is better.

    ``docs/cluster-objective.md`` defines the terms, and one more that tells equal plans
    apart. `terms` gives all of them as one tuple, which compares as the solver does.
    """

    short: int
    """Pods wanted and not placed, over all PodSets."""
    unmet: Mapping[str, int]
    """Preferences that do not hold, by name of the PodSet or Group."""
    domains: Mapping[str, int]
    """Domains that hold a pod, by level."""
    nodes: int
    """Nodes that hold a pod."""
    waste: int
    """Copies that the Domains used could have held besides."""
    opened: Mapping[str, int]
    """Domains that hold a pod and held nothing before, by level."""

    @classmethod
    def _of(
        cls, row: _core._CostRow, members: Sequence[str], levels: Sequence[str]
    ) -> Self:
        short, unmet, domains, nodes, waste, opened = row
        return cls(
            short,
            dict(zip(members, unmet, strict=True)),
            dict(zip(levels, domains, strict=True)),
            nodes,
            waste,
            dict(zip(levels, opened, strict=True)),
        )

    @property
    def terms(self) -> tuple[int, ...]:
        """Every number, the one compared first in front."""
        return (
            self.short,
            *self.unmet.values(),
            *self.domains.values(),
            self.nodes,
            self.waste,
            *self.opened.values(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the terms by name, in order.

        Returns
        -------
        dict
            Plain values, zeros too.
        """
        return {
            "short": self.short,
            "unmet": dict(self.unmet),
            "domains": dict(self.domains),
            "nodes": self.nodes,
            "waste": self.waste,
            "opened": dict(self.opened),
        }


@dataclass(frozen=True, slots=True)
class GangVerdict:
    """The answer for a Gang: a status, and a proof or a plan behind it.

    ``bool(verdict)`` is True for OPTIMAL and FEASIBLE, False for INFEASIBLE, and raises
    `UndecidedError` for UNKNOWN.

    Reasons: ``"Placed"`` (the best plan), ``"Fits"`` (there is a plan), ``"StepLimit"``
    (the limit came first), ``"NoEligibleNode"`` (labels, taints and cordons leave no
    node to a PodSet), ``"NotEnoughRoom"`` (more pods of a PodSet than all nodes hold),
    ``"PodSetConflict"`` (a PodSet alone cannot keep its own rules), ``"GangConflict"``
    (each PodSet can, all together cannot).
    """

    gang: Gang
    """What was asked for."""
    status: Status
    """INFEASIBLE is a proof, as is FEASIBLE of `Cluster.check` and OPTIMAL of
    `Cluster.place`."""
    reason: str
    """One word; those above."""
    podset: str | None
    """Name of the PodSet that the reason speaks of, if it speaks of one."""
    steps: int
    """Work done, equal on every machine."""
    max_steps: int
    """The limit that was given."""
    _source: _core.GangSource | None = field(default=None, compare=False)
    _explained: list[GangExplanation] = field(
        default_factory=list, init=False, compare=False
    )

    @classmethod
    def _of(
        cls,
        gang: Gang,
        row: tuple[Status, str, str | None, int, _core.GangSource],
        max_steps: int,
    ) -> Self:
        status, reason, podset, steps, source = row
        return cls(gang, status, reason, podset, steps, max_steps, source)

    @property
    def explanation(self) -> GangExplanation:
        """Why: computed when first read, against the state that was asked."""
        if not self._explained:
            # Two threads may both compute it; either result serves.
            self._explained.append(self.explain())
        return self._explained[0]

    def explain(
        self, *, max_steps: int = _core.EXPLANATION_MAX_STEPS
    ) -> GangExplanation:
        """Compute the Explanation with a step limit of one's own.

        Parameters
        ----------
        max_steps : int, default 2_000_000
            For the whole Explanation.

        Returns
        -------
        GangExplanation
            ``complete`` is False when the limit came first.

        Raises
        ------
        InvalidRequestError
            The limit is no int of 0 to 2^64 - 1.
        StateError
            The verdict was pickled, and has lost the state that was asked.
        """
        limit = check_steps(max_steps)
        if self._source is None:
            raise StateError(
                "verdict: without the state that was asked, as it was pickled or made "
                "by hand, want one of Cluster.check or Cluster.place"
            )
        return gang_explanation(self._source.explain_rows(limit))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value, without the state that was asked."""
        row = (self.gang, self.status, self.reason, self.podset)
        return type(self), (*row, self.steps, self.max_steps)

    def __bool__(self) -> bool:
        """Say whether there is a plan."""
        if self.status is Status.UNKNOWN:
            raise UndecidedError(
                f"verdict: UNKNOWN after {counted(self.steps, 'step')}, want a larger "
                "max_steps",
                self,
            )
        return self.status is not Status.INFEASIBLE

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values; ``schemas/gang_verdict.json`` describes it.
        """
        return {"apiVersion": API_VERSION, "kind": "GangVerdict", **self._body()}

    def _body(self) -> dict[str, Any]:
        return {
            "gang": self.gang.to_dict(),
            "status": self.status.name,
            "reason": self.reason,
            "podset": self.podset,
            "steps": self.steps,
            "max_steps": self.max_steps,
        }

    def __repr__(self) -> str:
        """Show status, reason and steps."""
        of = "" if self.podset is None else f" of {self.podset!r}"
        return (
            f"<GangVerdict {self.gang.name!r}: {self.status.name}, {self.reason}{of}, "
            f"{counted(self.steps, 'step')}>"
        )


class GangPlan:
    """Where all pods of a Gang would go; made by `Cluster.place`, and immutable.

    True and false as its `verdict`. It takes nothing until `Cluster.commit`.

    Attributes
    ----------
    verdict : GangVerdict
        OPTIMAL with the best plan, INFEASIBLE (a proof, not an error), FEASIBLE (the
        best found within the limit) or UNKNOWN.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = ta.Cluster(levels=["rack"])
    >>> machine = ta.Machine.from_synthetic("pack:1 core:4 pu:2")
    >>> cluster.add_nodes(["n0", "n1"], machine, domains={"rack": ["r0", "r1"]})
    >>> pods = ta.PodSet("worker", ta.Request(cores=2), 2, require=[ta.Within("rack")])
    >>> plan = cluster.place(ta.Gang("train-3", [pods]))
    >>> [(pod.podset, pod.index, pod.node, pod.placement.cpuset) for pod in plan.pods]
    [('worker', 0, 'n0', '0-3'), ('worker', 1, 'n0', '4-7')]
    """

    __slots__ = ("_compiled", "_levels", "_pods", "verdict")
    verdict: GangVerdict
    _compiled: _core.GangPlan
    _levels: tuple[str, ...]
    _pods: tuple[PodPlace, ...] | None

    def __init__(self) -> None:
        raise TypeError("GangPlan: made by Cluster.place, want no constructor call")

    @classmethod
    def _of(
        cls,
        compiled: _core.GangPlan,
        gang: Gang,
        max_steps: int,
        levels: tuple[str, ...],
    ) -> Self:
        self = cls.__new__(cls)
        verdict = GangVerdict._of(gang, compiled.verdict_row, max_steps)
        object.__setattr__(self, "verdict", verdict)
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_levels", levels)
        object.__setattr__(self, "_pods", None)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a GangPlan does not change."""
        raise AttributeError(f"{name}: a GangPlan does not change, want a new one")

    def __delattr__(self, name: str) -> None:
        """Refuse: a GangPlan does not change."""
        raise AttributeError(f"{name}: a GangPlan does not change, want a new one")

    @property
    def gang(self) -> Gang:
        """What was asked for."""
        return self.verdict.gang

    @property
    def status(self) -> Status:
        """That of the verdict."""
        return self.verdict.status

    @property
    def reason(self) -> str:
        """That of the verdict."""
        return self.verdict.reason

    @property
    def steps(self) -> int:
        """Those of the verdict."""
        return self.verdict.steps

    @property
    def explanation(self) -> GangExplanation:
        """That of the verdict, with the cost of a plan by term."""
        return self.verdict.explanation

    @property
    def cost(self) -> GangCost | None:
        """What it was chosen by; None where there is no plan."""
        if self.status not in (Status.OPTIMAL, Status.FEASIBLE):
            return None
        return GangCost._of(
            self._compiled.cost_row, members_of(self.gang), self._levels
        )

    @property
    def pods(self) -> list[PodPlace]:
        """Every pod, by PodSet, then rank; empty where there is no plan."""
        return [*self._places()]

    @property
    def rails(self) -> RailLists:
        """What pods with `Rails` hold: PodSet to class to sets of indices.

        The j-th set is of the j-th pod of the PodSet on every node. Empty where there
        is no plan, or no `Rails`.
        """
        return lists_of(self.gang, self._compiled.rail_rows)

    @property
    def nodes(self) -> dict[str, list[PodPlace]]:
        """Node to the pods there, for each node with one."""
        found: dict[str, list[PodPlace]] = {}
        for pod in self._places():
            found.setdefault(pod.node, []).append(pod)
        return found

    def _places(self) -> tuple[PodPlace, ...]:
        if self._pods is None:
            # Two threads may both unfold; either result serves.
            pods = tuple(map(PodPlace._make, self._compiled.pod_rows))
            object.__setattr__(self, "_pods", pods)
            return pods
        return self._pods

    def __bool__(self) -> bool:
        """Say whether there is a plan."""
        return bool(self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values; ``schemas/gang_plan.json`` describes it.
        """
        cost, rails = self.cost, self.rails
        return {
            "apiVersion": API_VERSION,
            "kind": "GangPlan",
            **self.verdict._body(),
            "cost": None if cost is None else cost.to_dict(),
            "pods": [
                {
                    "podset": pod.podset,
                    "index": pod.index,
                    "node": pod.node,
                    "placement": pod.placement.to_dict(),
                }
                for pod in self._places()
            ],
        } | ({"rails": rail_document(rails)} if rails else {})

    def __copy__(self) -> Self:
        """Return the GangPlan itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the GangPlan itself: it cannot change."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: it is of nodes of a Cluster, and has a JSON form."""
        raise InvalidRequestError("plan: not to be pickled, want its to_dict()")

    def __repr__(self) -> str:
        """Show status, pods and nodes."""
        return (
            f"<GangPlan {self.gang.name!r}: {self.status.name}, {self.reason}, "
            f"{counted(len(self._places()), 'pod')} on "
            f"{counted(len(self.nodes), 'node')}>"
        )


def members_of(gang: Gang) -> list[str]:
    """Return the names of its PodSets, then of its Groups: those with preferences."""
    return [
        *(podset.name for podset in gang.podsets),
        *(group.name for group in gang.groups),
    ]
