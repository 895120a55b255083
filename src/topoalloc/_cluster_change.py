# SPDX-License-Identifier: Apache-2.0
"""ClusterChange: what runs, changed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, Self

from topoalloc import _core
from topoalloc._errors import InvalidRequestError, UndecidedError
from topoalloc._gang import Gang
from topoalloc._gang_answer import GangCost, PodPlace, members_of
from topoalloc._quantity import counted
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
        return GangCost._of(self._compiled.cost_row, self._members(), self._levels)

    @property
    def moves(self) -> list[PodMove]:
        """Every pod that leaves its place or gets one: by Gang, PodSet, then rank."""
        return [*self._all_moves()]

    @property
    def pods(self) -> list[PodPlace]:
        """Where pods are to run that get a place, in the order of `moves`."""
        return [move.after for move in self._all_moves() if move.after is not None]

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
    def _is_found(self) -> bool:
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)

    def _members(self) -> list[str]:
        """Return the names of all that has preferences, as the cost counts them."""
        if self.operation not in ("drain", "defragment"):
            return [] if self.gang is None else members_of(self.gang)
        rows = self._compiled.member_rows
        first = [] if self.gang is None else [self.gang.name]
        if self.gang is not None and self.gang.name not in rows:
            own = members_of(self.gang)
            cut = len(self.gang.podsets)
            rows = rows | {self.gang.name: (own[:cut], own[cut:])}
        order = first + [name for name in rows if name not in first]
        return [
            f"{gang}/{member}"
            for part in (0, 1)
            for gang in order
            for member in rows[gang][part]
        ]

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
        cost = self.cost
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
        }

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
