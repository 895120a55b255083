# SPDX-License-Identifier: Apache-2.0
"""Answers: Placement, Verdict, Explanation, and the Decision record of a Verdict.

The core makes Placements and Verdicts; nothing of them is unfolded until it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from topoalloc import _core
from topoalloc._bind import bind_placement
from topoalloc._constraints import check_steps
from topoalloc._core import Status
from topoalloc._errors import InvalidRequestError, StateError, UndecidedError
from topoalloc._policy import Cost, Policy
from topoalloc._quantity import counted
from topoalloc._request import API_VERSION, Request
from topoalloc._version import library_version

if TYPE_CHECKING:
    from topoalloc._machine import Machine

__all__ = [
    "SEMANTICS",
    "BatchExplanation",
    "BatchQuestion",
    "BatchVerdict",
    "Conflict",
    "CountLine",
    "CountStep",
    "Explanation",
    "Headroom",
    "Placement",
    "Relaxation",
    "RunnerUp",
    "Status",
    "Verdict",
]

SEMANTICS = "node/1"
"""Version of the definition in ``docs/objective.md`` that answers follow."""


class Placement(_core.Placement):
    """The exact PUs, bytes per NUMANode and devices given to one owner.

    Made by an `Allocator`; immutable, hashable, equal by value on one Machine.

    Attributes
    ----------
    cpuset : str
        PUs by os_index in the kernel's list form: ``"0-15,112-127"``.
    pus : tuple of int
        The same, one by one, ascending.
    devices : tuple of str
        Names in the order of ``Machine.devices``; of a partition its own name.
    shares : dict
        Device to capacity to amount, for devices of which a share was given.
    owner : str or None
        Who holds it; None for the answer of a check.
    machine : Machine
        Of the Allocator.
    status : Status
        ``OPTIMAL`` when it was proved the best as it was chosen; ``FEASIBLE`` when a
        step limit came first or it was chosen elsewhere (`Allocator.take`).

    Examples
    --------
    >>> import topoalloc as ta
    >>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 numa:2 core:4 pu:2"))
    >>> placement = allocator.allocate(ta.Request(cores=2), owner="pod-7")
    >>> placement.cpuset, placement.cost.localities
    ('0-3', 1)
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def machine(self) -> Machine:
            """Of the Allocator."""

    @property
    def memory(self) -> dict[int, int]:
        """NUMANode os_index to bytes in base pages."""
        return {node: amount for node, size, amount in self._memory_rows if not size}

    @property
    def hugepages(self) -> dict[int, dict[int, int]]:
        """NUMANode os_index to page size to bytes."""
        found: dict[int, dict[int, int]] = {}
        for node, size, amount in self._memory_rows:
            if size:
                found.setdefault(node, {})[size] = amount
        return found

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The (a, b) made for each `Pair` that holds, first those of ``require``."""
        return tuple(pair for _, pairs in self._pair_rows for pair in pairs)

    @property
    def cost(self) -> Cost:
        """What it was chosen by."""
        return Cost.from_terms(self._cost_terms)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values; PUs and NUMANodes by os_index, localities by logical index,
            ``status`` by name.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": "Placement",
            "status": self.status.name,
            **placement_body(self),
        }

    def bind(self, pid: int = 0) -> None:
        """Bind a process to this Placement through hwloc.

        Parameters
        ----------
        pid : int, default 0
            The process, 0 for the caller. Only the caller's memory can be bound.

        Raises
        ------
        InvalidRequestError
            The pid is no number of a process.
        StateError
            There are neither PUs nor memory in it, or its Machine is not this host.
        TopologyError
            The kernel or hwloc refused; there is no usable libhwloc.
        """
        bind_placement(self, pid)

    def __copy__(self) -> Self:
        """Return the Placement itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the Placement itself: it cannot change."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: it is of an Allocator's Machine, and has a JSON form."""
        raise InvalidRequestError("placement: not to be pickled, want its to_dict()")

    def __repr__(self) -> str:
        """Show what was given, in short."""
        parts = [f"pus={self.cpuset!r}"] if self.cpuset else []
        if self._memory_rows:
            parts.append(f"memory={self.memory!r}")
        if self.devices:
            parts.append(f"devices={self.devices!r}")
        owner = "" if self.owner is None else f"{self.owner!r}: "
        return f"<Placement {owner}{', '.join(parts)}>"


class Verdict(_core.Verdict):
    """The answer to one question: a status, and a proof or a Placement behind it.

    ``bool(verdict)`` is True for OPTIMAL and FEASIBLE, False for INFEASIBLE, and raises
    `UndecidedError` for UNKNOWN.

    Attributes
    ----------
    status : Status
        OPTIMAL and INFEASIBLE are proofs; FEASIBLE is the best found and UNKNOWN
        nothing found when the step limit came.
    placement : Placement or None
        For OPTIMAL and FEASIBLE.
    reason : str
        One word, such as ``"NotEnoughCores"``; ``docs/reason_codes.md`` lists them.
    steps : int
        Work done, equal on every machine.
    max_steps : int
        The limit that was given.
    owner : str or None
        For whom it was asked; None for a check.
    machine : Machine
        Of the Allocator.

    Examples
    --------
    >>> import topoalloc as ta
    >>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
    >>> verdict = allocator.check(ta.Request(cores=5))
    >>> bool(verdict), verdict.status.name, verdict.reason
    (False, 'INFEASIBLE', 'NotEnoughCores')
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def machine(self) -> Machine:
            """Of the Allocator."""

    @property
    def cost(self) -> Cost | None:
        """What the Placement was chosen by; None without one."""
        terms = self._cost_terms
        return None if terms is None else Cost.from_terms(terms)

    @property
    def request(self) -> Request:
        """What was asked for."""
        return self._request

    @property
    def policy(self) -> Policy:
        """Under which the answer is the best."""
        return Policy._of_row(self._policy)

    @property
    def explanation(self) -> Explanation:
        """Why: computed when first read, against the state that was asked."""
        kept: Explanation | None = self._explanation
        if kept is None:
            kept = self._keep_explanation(self.explain())
        return kept

    def explain(self, *, max_steps: int = _core.EXPLANATION_MAX_STEPS) -> Explanation:
        """Compute the Explanation with a step limit of one's own.

        Parameters
        ----------
        max_steps : int, default 2_000_000
            For the whole Explanation.

        Returns
        -------
        Explanation
            ``complete`` is False when the limit came first.

        Raises
        ------
        InvalidRequestError
            The limit is no int of 0 to 2^64 - 1.
        StateError
            Of `Allocator.allocate_batch`, for an owner that held it before: nothing was
            chosen.
        """
        return _explanation(self._explain(max_steps))

    def to_dict(self, *, embed: bool = True) -> dict[str, Any]:
        """Return the Decision record; ``docs/decision-records.md`` explains it.

        Parameters
        ----------
        embed : bool, default True
            Put in the Machine and the state, so that `topoalloc.replay` needs nothing
            else. Without them the digests remain.

        Returns
        -------
        dict
            Plain values.
        """
        from topoalloc._canonical import digest_of  # noqa: PLC0415

        state = state_document(self._state)
        kept = self._kept
        record = {
            "apiVersion": API_VERSION,
            "kind": "Decision",
            "operation": self._operation,
            "owner": self.owner,
            "request": self.request.to_dict(),
            "held": None if kept is None else placement_body(kept),
            "digests": {
                "machine": self.machine.digest,
                "state": digest_of(state),
                "request": self.request.digest,
            },
            "policy": self.policy.to_dict(),
            "versions": {"semantics": SEMANTICS, "library": library_version()},
            "max_steps": self.max_steps,
            "status": self.status.name,
            "reason": self.reason,
            "steps": self.steps,
            "cost": None if self.cost is None else self.cost.to_dict(),
            "placement": _placement_or_none(self.placement),
        }
        if embed:
            record |= {"machine": self.machine.to_dict(), "state": state}
        return record

    def __copy__(self) -> Self:
        """Return the Verdict itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the Verdict itself: it cannot change."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: what goes to another process is the Decision record."""
        raise InvalidRequestError(
            "verdict: not to be pickled, want its record: to_dict() and replay()"
        )

    def __repr__(self) -> str:
        """Show status, reason and steps."""
        steps = counted(self.steps, "step")
        return f"<Verdict {self.status.name}: {self.reason}, {steps}>"


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """What a `BatchVerdict` answers: for its record and its explanation."""

    operation: str
    """``"check_joint"`` or ``"allocate_many"``."""
    requests: Mapping[str, Request]
    """By owner, in the order in which they were given."""
    max_steps: int
    machine: Machine
    policy: Policy
    rows: Callable[[], dict[str, Any]]
    """The state that was asked, as rows of the core."""


@dataclass(frozen=True, slots=True)
class BatchExplanation:
    """Why a batch has the answer it has; ``str()`` gives prose made of the data."""

    status: Status
    reason: str
    conflict: tuple[str, ...]
    """Owners who cannot all be placed: drop any one and the others of them can. Empty
    unless INFEASIBLE."""
    alone: Mapping[str, Explanation]
    """Of each owner who cannot be placed even alone, why."""
    complete: bool
    """False where the step limit came first; then ``conflict`` may be too large."""
    steps: int
    prose: str

    def __str__(self) -> str:
        """Return the prose."""
        return self.prose

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": "BatchExplanation",
            "status": self.status.name,
            "reason": self.reason,
            "conflict": [*self.conflict],
            "alone": {owner: why.to_dict() for owner, why in self.alone.items()},
            "complete": self.complete,
            "steps": self.steps,
            "prose": self.prose,
        }


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """The answer for several Requests together: all of them, or none.

    As for a `Verdict`, ``bool`` is True for OPTIMAL and FEASIBLE, False for INFEASIBLE,
    and raises `UndecidedError` for UNKNOWN.

    Examples
    --------
    >>> import topoalloc as ta
    >>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
    >>> wanted = {name: ta.Request(cores=3) for name in ("a", "b")}
    >>> verdict = allocator.check_joint(wanted)
    >>> verdict.status.name, verdict.explanation.conflict
    ('INFEASIBLE', ('a', 'b'))
    """

    status: Status
    reason: str
    cost: Cost | None
    """Of the batch: terms added up, domains opened once."""
    steps: int
    placements: Mapping[str, Placement]
    """Owner to Placement; empty without an answer."""
    _question: BatchQuestion | None = field(default=None, repr=False, compare=False)
    _explained: list[BatchExplanation] = field(
        default_factory=list, repr=False, compare=False
    )

    def __bool__(self) -> bool:
        """Say whether there is an answer."""
        if self.status is Status.UNKNOWN:
            raise UndecidedError(
                f"verdict: UNKNOWN after {counted(self.steps, 'step')}, "
                "want a larger max_steps",
                self,
            )
        return self.status is not Status.INFEASIBLE

    def __copy__(self) -> Self:
        """Return the BatchVerdict itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the BatchVerdict itself: it cannot change."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: what goes to another process is the Decision record."""
        raise InvalidRequestError(
            "verdict: not to be pickled, want its record: to_dict() and replay()"
        )

    @property
    def _asked(self) -> BatchQuestion:
        if self._question is None:
            raise StateError("verdict: made by hand, want one of an Allocator")
        return self._question

    @property
    def explanation(self) -> BatchExplanation:
        """Why: computed when first read, against the state that was asked."""
        if not self._explained:
            self._explained.append(self.explain())
        return self._explained[0]

    def explain(
        self, *, max_steps: int = _core.EXPLANATION_MAX_STEPS
    ) -> BatchExplanation:
        """Compute the BatchExplanation with a step limit of one's own.

        Parameters
        ----------
        max_steps : int, default 2_000_000
            For the whole of it.

        Returns
        -------
        BatchExplanation
            ``complete`` is False when the limit came first.

        Raises
        ------
        InvalidRequestError
            The limit is no int of 0 to 2^64 - 1.
        """
        from topoalloc._batch import explain_batch  # noqa: PLC0415

        return explain_batch(self, check_steps(max_steps))

    def to_dict(self, *, embed: bool = True) -> dict[str, Any]:
        """Return the Decision record; ``docs/decision-records.md`` explains it.

        Parameters
        ----------
        embed : bool, default True
            Put in the Machine and the state, so that `topoalloc.replay` needs nothing
            else. Without them the digests remain.

        Returns
        -------
        dict
            Plain values.
        """
        from topoalloc._canonical import digest_of  # noqa: PLC0415

        asked = self._asked
        state = state_document(asked.rows())
        record = {
            "apiVersion": API_VERSION,
            "kind": "Decision",
            "operation": asked.operation,
            "requests": [
                {"owner": owner, "request": request.to_dict()}
                for owner, request in asked.requests.items()
            ],
            "digests": {
                "machine": asked.machine.digest,
                "state": digest_of(state),
                "requests": [request.digest for request in asked.requests.values()],
            },
            "policy": asked.policy.to_dict(),
            "versions": {"semantics": SEMANTICS, "library": library_version()},
            "max_steps": asked.max_steps,
            "status": self.status.name,
            "reason": self.reason,
            "steps": self.steps,
            "cost": None if self.cost is None else self.cost.to_dict(),
            "placements": [placement_body(p) for p in self.placements.values()],
        }
        if embed:
            record |= {"machine": asked.machine.to_dict(), "state": state}
        return record


class Headroom(NamedTuple):
    """How many copies of a Request fit at once.

    Examples
    --------
    >>> headroom = Headroom(n=3, upper=4)
    >>> headroom.status.name, headroom.complete
    ('FEASIBLE', False)
    >>> print(headroom)
    3 copies fit at once, and at most 4: the search ended before its proof
    """

    n: int
    """Copies that were placed together."""
    upper: int
    """No more than this fit."""

    @property
    def status(self) -> Status:
        """OPTIMAL where the two are equal: a proof; FEASIBLE otherwise."""
        return Status.OPTIMAL if self.n == self.upper else Status.FEASIBLE

    @property
    def complete(self) -> bool:
        """False where the step limit, and no proof, set `n`."""
        return self.n == self.upper

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": "Headroom",
            "n": self.n,
            "upper": self.upper,
            "status": self.status.name,
            "complete": self.complete,
        }

    def __str__(self) -> str:
        """Say it in a sentence."""
        fit = "1 copy fits" if self.n == 1 else f"{self.n} copies fit"
        if self.complete:
            return f"{fit} at once, and no more"
        return (
            f"{fit} at once, and at most {self.upper}: the search ended before its "
            "proof"
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that the Request asks for and that cannot be had with the others."""

    path: str
    """``"devices.nic"``, ``"require[2]"``, ..."""
    text: str


@dataclass(frozen=True, slots=True)
class CountStep:
    """What is left of a kind after one filter."""

    filter: str
    left: int


@dataclass(frozen=True, slots=True)
class CountLine:
    """What there was of a kind, what each filter took, and what was needed."""

    what: str
    needed: int
    steps: tuple[CountStep, ...]


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The smallest change of one kind that makes it feasible; solved, not guessed."""

    path: str
    """Of what changes; ``"owner:train-3"`` where an owner leaves."""
    change: str
    """``"count=7"``, ``"within=bridges"``, ``"level=package"``, ``"drop"``, ..."""
    text: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """The next best Placement."""

    placement: Placement
    lost_on: str | None
    """Name of the cost term; None where the costs are equal."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an answer is what it is: data; ``str()`` gives prose made of the data."""

    status: Status
    reason: str
    conflict: tuple[Conflict, ...]
    """Minimal: drop any one and the Request is feasible. Empty unless INFEASIBLE."""
    counts: tuple[CountLine, ...]
    relaxations: tuple[Relaxation, ...]
    runner_up: RunnerUp | None
    complete: bool
    """False where its own step limit came first."""
    steps: int
    prose: str

    def __str__(self) -> str:
        """Return the prose."""
        return self.prose

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values.
        """
        runner_up = self.runner_up
        return {
            "apiVersion": API_VERSION,
            "kind": "Explanation",
            "status": self.status.name,
            "reason": self.reason,
            "conflict": [{"path": c.path, "text": c.text} for c in self.conflict],
            "counts": [
                {
                    "what": line.what,
                    "needed": line.needed,
                    "steps": [{"filter": s.filter, "left": s.left} for s in line.steps],
                }
                for line in self.counts
            ],
            "relaxations": [
                {
                    "path": r.path,
                    "change": r.change,
                    "text": r.text,
                    "cost": r.cost.to_dict(),
                }
                for r in self.relaxations
            ],
            "runner_up": None
            if runner_up is None
            else {
                "placement": placement_body(runner_up.placement),
                "lost_on": runner_up.lost_on,
            },
            "complete": self.complete,
            "steps": self.steps,
            "prose": self.prose,
        }


def _explanation(rows: dict[str, Any]) -> Explanation:
    runner_up = rows["runner_up"]
    return Explanation(
        status=rows["status"],
        reason=rows["reason"],
        conflict=tuple(Conflict(*row) for row in rows["conflict"]),
        counts=tuple(
            CountLine(what, needed, tuple(CountStep(*step) for step in steps))
            for what, needed, steps in rows["counts"]
        ),
        relaxations=tuple(
            Relaxation(path, change, text, Cost.from_terms(terms))
            for path, change, text, terms in rows["relaxations"]
        ),
        runner_up=None if runner_up is None else RunnerUp(*runner_up),
        complete=rows["complete"],
        steps=rows["steps"],
        prose=rows["prose"],
    )


def placement_body(placement: Placement) -> dict[str, Any]:
    """Return what the JSON form of a Placement holds below its header."""
    shares = placement.shares
    return {
        "owner": placement.owner,
        "cpuset": placement.cpuset,
        "memory": {str(node): amount for node, amount in placement.memory.items()},
        "hugepages": {
            str(node): {str(size): amount for size, amount in sizes.items()}
            for node, sizes in placement.hugepages.items()
        },
        "devices": [
            {"name": name, "share": shares[name]} if name in shares else {"name": name}
            for name in placement.devices
        ],
        "pairs": [
            {"constraint": constraint, "pairs": [[a, b] for a, b in pairs]}
            for constraint, pairs in placement._pair_rows
        ],
        "localities": [*placement._localities],
        "cost": placement.cost.to_dict(),
    }


def _placement_or_none(placement: Placement | None) -> dict[str, Any] | None:
    return None if placement is None else placement_body(placement)


def state_document(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON form of a state: reserved, cordoned, and who holds what."""
    return {
        "reserved_pus": rows["reserved_pus"],
        "cordoned_pus": rows["cordoned_pus"],
        "cordoned_devices": rows["cordoned_devices"],
        "placements": [
            {
                "owner": owner,
                "request": None if request is None else request.to_dict(),
                "status": status.name,
                "placement": placement_body(placement),
            }
            for owner, request, status, placement in rows["owners"]
        ],
    }


_core.register_face(verdict=Verdict, placement=Placement)
