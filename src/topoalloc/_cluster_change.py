# SPDX-License-Identifier: Apache-2.0
"""ClusterChange: what runs, changed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, Self

from topoalloc import _core
from topoalloc._constraints import check_steps
from topoalloc._errors import InvalidRequestError, UndecidedError
from topoalloc._gang import Gang
from topoalloc._gang_answer import GangCost, PodPlace
from topoalloc._gang_explanation import GangExplanation, gang_explanation
from topoalloc._quantity import counted
from topoalloc._rails import RailLists, lists_of, rail_document
from topoalloc._records import Status
from topoalloc._request import API_VERSION

__all__ = ["Asked", "ClusterChange", "LeftHolding", "PodMove", "meant"]


class PodMove(NamedTuple):
    """A pod that leaves its place, gets another, or both.

    ``str()`` says it in a line: ``"train-3/worker/1: n1 -> n2"``.
    """

    gang: str
    """Name of its Gang."""
    podset: str
    """Name of its PodSet."""
    index: int  # type: ignore[assignment]  # Of a pod; nobody looks for one in it.
    """Rank among the pods of the PodSet."""
    before: PodPlace | None
    """Where it runs; None: it is new."""
    after: PodPlace | None
    """Where it is to run; None: it stops."""

    def __str__(self) -> str:
        """Say it in a line."""
        pod = f"{self.gang}/{self.podset}/{self.index}"
        if self.before is None:
            return (
                f"{pod}: starts on {'nothing' if not self.after else self.after.node}"
            )
        if self.after is None:
            return f"{pod}: stops on {self.before.node}"
        return f"{pod}: {self.before.node} -> {self.after.node}"

    def _document(self) -> dict[str, Any]:
        return {
            "gang": self.gang,
            "podset": self.podset,
            "index": self.index,
            "before": _place_document(self.before),
            "after": _place_document(self.after),
        }


class LeftHolding(NamedTuple):
    """What stays on a drained node: it is of no Gang."""

    node: str
    owner: str


class Asked(NamedTuple):
    """What a ClusterChange answers."""

    operation: str
    max_steps: int
    gang: Gang | None = None
    """Where the core does not say."""
    nodes: Sequence[str] = ()


class ClusterChange:
    """A change of what runs; made by `Cluster.drain` and its like, and immutable.

    ``bool(change)`` is True for OPTIMAL and FEASIBLE, False for INFEASIBLE, and raises
    `UndecidedError` for UNKNOWN. It changes nothing until `Cluster.commit`, which
    refuses it with `StaleError` when what it rests on has changed.

    Attributes
    ----------
    operation : str
        ``"replace"``, ``"grow"``, ``"drain"``, ``"preempt"`` or ``"defragment"``.
    gang : Gang or None
        What it is for; None for a drain.
    status : Status
        OPTIMAL with the best change, INFEASIBLE (a proof, not an error), FEASIBLE (the
        best found within the limit) or UNKNOWN.
    reason : str
        One word; those of `GangVerdict`.
    podset : str or None
        Name of the PodSet that the reason speaks of, if it speaks of one.
    steps : int
        Work done, equal on every machine.
    max_steps : int
        The limit that was given.
    asked_nodes : tuple of str
        The nodes that failed, or are to be drained; as they were given.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = ta.Cluster(levels=["rack"])
    >>> cluster.add_nodes(["n0", "n1"], ta.Machine.preset("dgx-h100"))
    >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 1)
    >>> cluster.commit(cluster.place(ta.Gang("train-3", [pods])))
    >>> change = cluster.drain(["n0"])
    >>> change
    <ClusterChange drain: OPTIMAL, Placed, 1 move>
    >>> cluster.commit(change)
    >>> cluster.node("n0").placements, cluster.describe("n0").is_cordoned
    ({}, True)
    """

    __slots__ = (
        "_compiled",
        "_explained",
        "_levels",
        "_moves",
        "asked_nodes",
        "gang",
        "max_steps",
        "operation",
        "podset",
        "reason",
        "status",
        "steps",
    )
    operation: str
    gang: Gang | None
    status: Status
    reason: str
    podset: str | None
    steps: int
    max_steps: int
    asked_nodes: tuple[str, ...]
    _compiled: _core.ClusterChange
    _explained: GangExplanation | None
    _levels: tuple[str, ...]
    _moves: tuple[PodMove, ...] | None

    def __init__(self) -> None:
        raise TypeError(
            "ClusterChange: made by Cluster.replace, grow, drain, preempt and "
            "defragment, want no constructor call"
        )

    @classmethod
    def _of(
        cls, compiled: _core.ClusterChange, levels: tuple[str, ...], asked: Asked
    ) -> Self:
        self = cls.__new__(cls)
        gang = asked.gang
        if gang is None and compiled.gang is not None:
            gang = Gang._of(compiled.gang)
        status, reason, podset, steps = compiled.verdict_row
        for name, value in (
            ("operation", asked.operation),
            ("gang", gang),
            ("status", status),
            ("reason", reason),
            ("podset", podset),
            ("steps", steps),
            ("max_steps", asked.max_steps),
            ("asked_nodes", tuple(asked.nodes)),
            ("_compiled", compiled),
            ("_levels", levels),
            ("_moves", None),
            ("_explained", None),
        ):
            object.__setattr__(self, name, value)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a ClusterChange does not change."""
        raise AttributeError(f"{name}: a ClusterChange does not change, want a new one")

    def __delattr__(self, name: str) -> None:
        """Refuse: a ClusterChange does not change."""
        raise AttributeError(f"{name}: a ClusterChange does not change, want a new one")

    @property
    def cost(self) -> GangCost | None:
        """What it was chosen by; None where there is none.

        Preferences of a drain or defragmentation, which may be of several Gangs, are
        named ``"train-3/worker"``.
        """
        if not self._is_found:
            return None
        members = self._compiled.members
        return GangCost._of(self._compiled.cost_row, members, self._levels)

    @property
    def moves(self) -> list[PodMove]:
        """Every pod that leaves its place or gets one: by Gang, PodSet, then rank."""
        return [*self._all_moves()]

    @property
    def pods(self) -> list[PodPlace]:
        """Where pods are to run that get a place, in the order of `moves`."""
        return [move.after for move in self._all_moves() if move.after is not None]

    @property
    def rails(self) -> dict[str, RailLists]:
        """What the pods of Gangs with `Rails` are to hold, by name of the Gang.

        Of each Gang that pods move of: as in `GangPlan.rails`. Empty where no such Gang
        has `Rails`.
        """
        return {
            gang.name: lists_of(gang, rows)
            for gang, rows in (
                (Gang._of(compiled), rows)
                for compiled, rows in self._compiled.rail_rows
            )
        }

    @property
    def victims(self) -> tuple[str, ...]:
        """Names of the Gangs that stop, ascending; of `Cluster.preempt`."""
        return tuple(self._compiled.victims)

    @property
    def least(self) -> int:
        """No fewer Gangs (preempt) or pods (defragment) make room: proved."""
        return self._compiled.least

    @property
    def is_least(self) -> bool:
        """Whether no better set of them makes room, whatever is proved of the cost."""
        return self._compiled.is_least

    @property
    def left(self) -> list[LeftHolding]:
        """What is of no Gang and stays on drained nodes."""
        return [LeftHolding(*row) for row in self._compiled.left_rows]

    @property
    def cordoned(self) -> tuple[str, ...]:
        """Nodes that `Cluster.commit` cordons, ascending."""
        return tuple(self._compiled.cordoned)

    @property
    def explanation(self) -> GangExplanation:
        """Why: computed when first read, against the state that was asked."""
        if self._explained is None:
            # Two threads may both compute it; either result serves.
            found = self.explain()
            object.__setattr__(self, "_explained", found)
            return found
        return self._explained

    def explain(
        self, *, max_steps: int = _core.EXPLANATION_MAX_STEPS
    ) -> GangExplanation:
        """Compute the Explanation with a step limit of one's own.

        Of a refusal it says which Gangs have no place, by a minimal conflict, and what
        would help; of a change that was found the cost by term. Where several Gangs are
        in question (drain and defragment) paths and names begin with the Gang.

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

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = ta.Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> domains = {"rack": ["r0", "r0", "r1"]}
        >>> cluster.add_nodes(["n0", "n1", "n2"], machine, domains=domains)
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 2,
        ...                  require=[ta.Within("rack")])
        >>> cluster.commit(cluster.place(ta.Gang("train-3", [pods])))
        >>> why = cluster.replace("train-3", ["n0"]).explain()
        >>> why.given
        ('1 node failed: n0', '1 pod of train-3 stays')
        >>> [item.text for item in why.conflict]
        ['worker: all pods in one rack', 'worker: 2 pods, 1 of which stays']
        >>> [change.text for change in why.relaxations]
        ['fits without worker: all pods in one rack',
         'fits with 1 pod of worker instead of 2']
        """
        return gang_explanation(self._compiled.explain_rows(check_steps(max_steps)))

    @property
    def _is_found(self) -> bool:
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)

    def _all_moves(self) -> tuple[PodMove, ...]:
        if self._moves is None:
            # Two threads may both unfold; either result serves.
            moves = tuple(
                PodMove(gang, podset, index, _place(before), _place(after))
                for gang, podset, index, before, after in self._compiled.move_rows
            )
            object.__setattr__(self, "_moves", moves)
            return moves
        return self._moves

    def __bool__(self) -> bool:
        """Say whether there is a change that serves."""
        if self.status is Status.UNKNOWN:
            raise UndecidedError(
                f"{self.operation}: UNKNOWN after {counted(self.steps, 'step')}, want "
                "a larger max_steps",
                self,
            )
        return self._is_found

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values; ``schemas/cluster_change.json`` describes it.
        """
        cost, rails = self.cost, self.rails
        return {
            "apiVersion": API_VERSION,
            "kind": "ClusterChange",
            "operation": self.operation,
            "gang": None if self.gang is None else self.gang.to_dict(),
            "status": self.status.name,
            "reason": self.reason,
            "podset": self.podset,
            "steps": self.steps,
            "max_steps": self.max_steps,
            "cost": None if cost is None else cost.to_dict(),
            "moves": [move._document() for move in self._all_moves()],
            "victims": [*self.victims],
            "least": self.least,
            "is_least": self.is_least,
            "left": [{"node": node, "owner": owner} for node, owner in self.left],
            "cordoned": [*self.cordoned],
        } | (
            {"rails": {name: rail_document(lists) for name, lists in rails.items()}}
            if rails
            else {}
        )

    def __copy__(self) -> Self:
        """Return the ClusterChange itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the ClusterChange itself: it cannot change."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: it is of nodes of a Cluster, and has a JSON form."""
        raise InvalidRequestError("change: not to be pickled, want its to_dict()")

    def __repr__(self) -> str:
        """Show operation, status and how much moves."""
        of = "" if self.gang is None else f" {self.gang.name!r}"
        return (
            f"<ClusterChange {self.operation}{of}: {self.status.name}, {self.reason}, "
            f"{counted(len(self._all_moves()), 'move')}>"
        )


def meant(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that guesses a name, or nothing."""
    # Only a message pays for it.
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(name, [*known], 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _place(row: _core._PodRow | None) -> PodPlace | None:
    return None if row is None else PodPlace._make(row)


def _place_document(pod: PodPlace | None) -> dict[str, Any] | None:
    if pod is None:
        return None
    return {"node": pod.node, "placement": pod.placement.to_dict()}
