# SPDX-License-Identifier: Apache-2.0
"""Cluster: nodes in trees of Domains, what runs there, Gangs placed as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, NamedTuple, NoReturn, Self, TypeAlias

from topoalloc import _core
from topoalloc._allocator import DEFAULT_MAX_STEPS, Allocator, _cpuset
from topoalloc._constraints import check_count, check_steps
from topoalloc._errors import InvalidRequestError, StateError, UndecidedError
from topoalloc._gang import Gang, Taint, items_of, name_text, plain_text
from topoalloc._gang_explanation import GangExplanation, gang_explanation
from topoalloc._machine import Machine
from topoalloc._policy import Policy
from topoalloc._quantity import counted, shown
from topoalloc._records import Placement, Status
from topoalloc._request import API_VERSION, Request

__all__ = [
    "Cluster",
    "DomainHeadroom",
    "GangCost",
    "GangPlan",
    "GangVerdict",
    "NodeDescription",
    "PodPlace",
    "RunningGang",
]

Column: TypeAlias = str | Iterable[str | None] | None
"""One value for all nodes, or one for each; None where a node has none."""

_SOLE_TREE = "default"
_POD_PARTS = 2


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


class DomainHeadroom(NamedTuple):
    """How many copies of a Request a Domain holds."""

    path: tuple[str, ...]
    """Values of the levels of its tree down to it; of a node its name."""
    count: int  # type: ignore[assignment]  # Likewise.
    """So many, for certain."""
    upper: int
    """No more than this; equal to `count`: a proof."""


class NodeDescription(NamedTuple):
    """What a node of a Cluster is, apart from what runs there."""

    name: str
    machine: Machine
    domains: Mapping[str, str]
    """Level to value; a level without one is left out."""
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    reserved_pus: str
    """PUs by os_index that are never handed out, in the kernel's list form."""
    is_cordoned: bool


class RunningGang(NamedTuple):
    """A Gang, and where its pods run."""

    gang: Gang
    pods: list[PodPlace]
    """By PodSet, then rank; those that were released are left out."""


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
        max_steps : int, default 1_000_000
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
        short, unmet, domains, nodes, waste, opened = self._compiled.cost_row
        gang = self.gang
        names = [podset.name for podset in gang.podsets]
        names += [group.name for group in gang.groups]
        return GangCost(
            short,
            dict(zip(names, unmet, strict=True)),
            dict(zip(self._levels, domains, strict=True)),
            nodes,
            waste,
            dict(zip(self._levels, opened, strict=True)),
        )

    @property
    def pods(self) -> list[PodPlace]:
        """Every pod, by PodSet, then rank; empty where there is no plan."""
        return [*self._places()]

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
        cost = self.cost
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
        }

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


class Cluster(_core.Cluster):
    """Nodes in trees of Domains, what runs on them, and Gangs placed as a whole.

    Every method does the whole of what it says or raises and changes nothing. Calls
    from many threads are safe and each is atomic. ``docs/cluster-objective.md`` is the
    exact meaning of the answers.

    Parameters
    ----------
    trees : mapping of str to sequence of str, optional
        Tree to its levels, coarsest first. Trees may overlap in any way; at most 16
        levels in all, each named once. ``"node"`` is a level of its own, below all.
    levels : sequence of str, optional
        Of the only tree, instead of `trees`.
    policy : str or Policy, default "pack"
        By which the pods given to a node are placed there; with the default order.

    Raises
    ------
    InvalidRequestError
        No tree, both `trees` and `levels`, a level named twice or ``"node"``, more than
        16 levels, no such policy, or one with an order of its own.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = Cluster(trees={"network": ["block", "rack"], "nvlink": ["domain"]})
    >>> names = [f"n{i:02}" for i in range(8)]
    >>> cluster.add_nodes(names, ta.Machine.preset("dgx-h100"),
    ...                   domains={"block": "b0", "rack": ["r0"] * 4 + ["r1"] * 4})
    >>> workers = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 4,
    ...                     require=[ta.Within("rack")])
    >>> plan = cluster.place(ta.Gang("train-3", [workers]))
    >>> plan.status.name, sorted(plan.nodes)
    ('OPTIMAL', ['n00', 'n01', 'n02', 'n03'])
    >>> cluster.commit(plan)
    >>> cluster.headroom(ta.Request(devices={"gpu": 8}), level="rack")
    [DomainHeadroom(path=('b0', 'r0'), count=0, upper=0),
     DomainHeadroom(path=('b0', 'r1'), count=4, upper=4)]
    """

    __slots__ = ()

    def __init__(
        self,
        trees: Mapping[str, Sequence[str]] | None = None,
        *,
        levels: Sequence[str] | None = None,
        policy: str | Policy = "pack",
    ) -> None:
        if (trees is None) == (levels is None):
            given = "neither" if trees is None else "both"
            raise InvalidRequestError(f"trees, levels: {given}, want one of them")
        if trees is None:
            rows = [(_SOLE_TREE, _level_names("levels", levels))]
        elif isinstance(trees, Mapping):
            rows = [
                (tree, _level_names(f"trees[{shown(tree)}]", names))
                for tree, names in trees.items()
                if name_text("trees", tree)
            ]
        else:
            raise InvalidRequestError(
                f"trees: {type(trees).__name__}, want a mapping of tree to levels"
            )
        if not rows:
            raise InvalidRequestError("trees: none, want at least one")
        super().__init__(rows, Policy.of(policy)._row)

    # --- nodes ---

    @property
    def trees(self) -> dict[str, tuple[str, ...]]:
        """Tree to its levels, coarsest first."""
        return {name: tuple(levels) for name, levels in self.tree_rows}

    @property
    def levels(self) -> tuple[str, ...]:
        """All levels in declared order; ``"node"`` is not among them."""
        return tuple(level for _, levels in self.tree_rows for level in levels)

    @property
    def policy(self) -> Policy:
        """The order in which Placements are compared."""
        return Policy._of_row(self.policy_row)

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes, in node order: by their Domains, then as they came."""
        return self.node_names()

    def add_node(
        self,
        name: str,
        machine: Machine,
        *,
        domains: Mapping[str, str | None] | None = None,
        labels: Mapping[str, str | None] | None = None,
        taints: Iterable[Taint] = (),
        reserved_pus: str | Iterable[int] = "",
    ) -> None:
        """Add a node.

        Parameters
        ----------
        name : str
            Of no other node.
        machine : Machine
            Shared, never copied.
        domains : mapping of str to str, optional
            Level to value. None, or no entry: the node has no Domain there.
        labels : mapping of str to str, optional
            What ``where`` of a PodSet asks of. An entry of None is left out.
        taints : iterable of Taint, optional
            What a PodSet must tolerate.
        reserved_pus : str or iterable of int, default ""
            PUs by os_index that are never handed out; a str is the kernel's list form.

        Raises
        ------
        StateError
            There is a node of that name.
        InvalidRequestError
            A level is not declared, or an argument is of another form.
        FormatError
            The list of PUs cannot be read.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> cluster.add_node("n0", machine, domains={"rack": "r0"})
        >>> len(cluster), cluster.describe("n0").domains
        (1, {'rack': 'r0'})
        """
        name_text("name", name)
        _demand_machine("machine", machine)
        self.add_rows(
            [name],
            machine,
            _cpuset("reserved_pus", reserved_pus),
            _texts("domains", domains),
            _texts("labels", labels),
            _taint_rows(taints),
        )

    def add_nodes(
        self,
        names: Iterable[str],
        machine: Machine | Iterable[Machine],
        *,
        domains: Mapping[str, Column] | None = None,
        labels: Mapping[str, Column] | None = None,
        taints: Iterable[Taint] = (),
        reserved_pus: str | Iterable[int] = "",
    ) -> None:
        """Add many nodes at once: all of them or none.

        Parameters
        ----------
        names : iterable of str
            Each different, and of no other node.
        machine : Machine or iterable of Machine
            Of all nodes, or of each.
        domains : mapping of str to str or iterable of str, optional
            Level to the value of all nodes, or to that of each; None where a node has
            no Domain there. Arrays of NumPy and other libraries serve.
        labels : mapping of str to str or iterable of str, optional
            Likewise.
        taints : iterable of Taint, optional
            Of every node.
        reserved_pus : str or iterable of int, default ""
            PUs by os_index of every node that are never handed out.

        Raises
        ------
        StateError
            There is a node of one of the names, or a name comes twice.
        InvalidRequestError
            A level is not declared, a list has another length than `names`, or an
            argument is of another form.
        FormatError
            The list of PUs cannot be read.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["block", "rack"])
        >>> cluster.add_nodes(["n0", "n1"], ta.Machine.preset("dgx-h100"),
        ...                   domains={"block": "b0", "rack": ["r0", "r1"]})
        >>> cluster.nodes
        ['n0', 'n1']
        """
        listed = [*items_of("names", names, "a list of names")]
        for i, name in enumerate(listed):
            name_text(f"names[{i}]", name)
        machines: Machine | list[Machine]
        if isinstance(machine, Machine):
            machines = machine
        else:
            machines = [*items_of("machine", machine, "a Machine or a list of them")]
            _demand_length("machine", machines, listed)
            for i, one in enumerate(machines):
                _demand_machine(f"machine[{i}]", one)
        self.add_rows(
            listed,
            machines,
            _cpuset("reserved_pus", reserved_pus),
            _columns("domains", domains, listed),
            _columns("labels", labels, listed),
            _taint_rows(taints),
        )

    def remove_node(self, name: str) -> None:
        """Remove a node that holds nothing.

        Parameters
        ----------
        name : str
            Of the node. The Allocator that `node` gave is of no more use.

        Raises
        ------
        StateError
            There is none of that name, or it holds a Placement.
        """
        self.remove(name_text("name", name))

    def cordon(self, name: str) -> None:
        """Put no more pods on a node; what runs there goes on.

        Parameters
        ----------
        name : str
            Of the node.

        Raises
        ------
        StateError
            There is none of that name.
        """
        self.set_cordoned(name_text("name", name), cordoned=True)

    def uncordon(self, name: str) -> None:
        """Let pods be put on a cordoned node again.

        Parameters
        ----------
        name : str
            Of the node.

        Raises
        ------
        StateError
            There is none of that name.
        """
        self.set_cordoned(name_text("name", name), cordoned=False)

    def set_labels(self, name: str, labels: Mapping[str, str | None]) -> None:
        """Give a node other labels, in place of all that it has.

        Parameters
        ----------
        name : str
            Of the node.
        labels : mapping of str to str
            As for `add_node`. What runs there goes on.

        Raises
        ------
        StateError
            There is none of that name.
        InvalidRequestError
            The labels are of another form.
        """
        self.relabel(name_text("name", name), _given(_texts("labels", labels)))

    def set_taints(self, name: str, taints: Iterable[Taint]) -> None:
        """Give a node other taints, in place of all that it has.

        Parameters
        ----------
        name : str
            Of the node.
        taints : iterable of Taint
            What runs there goes on, whatever their effect.

        Raises
        ------
        StateError
            There is none of that name.
        InvalidRequestError
            The taints are of another form.
        """
        self.retaint(name_text("name", name), _taint_rows(taints))

    def set_domains(self, name: str, domains: Mapping[str, str | None]) -> None:
        """Put a node into other Domains; it leaves all in which it is.

        Parameters
        ----------
        name : str
            Of the node.
        domains : mapping of str to str
            As for `add_node`. What runs there goes on.

        Raises
        ------
        StateError
            There is none of that name.
        InvalidRequestError
            A level is not declared, or the domains are of another form.
        """
        self.move(name_text("name", name), _given(_texts("domains", domains)))

    def describe(self, name: str) -> NodeDescription:
        """Say what a node is, apart from what runs there.

        Parameters
        ----------
        name : str
            Of the node.

        Returns
        -------
        NodeDescription

        Raises
        ------
        StateError
            There is none of that name.
        """
        machine, reserved_pus, domains, labels, taints, is_cordoned = self.describe_row(
            name_text("name", name)
        )
        return NodeDescription(
            name,
            machine,
            domains,
            labels,
            tuple(Taint(*row) for row in taints),
            reserved_pus,
            is_cordoned,
        )

    def node(self, name: str) -> Allocator:
        """Return the Allocator of a node, not a copy: what it does is done here.

        Parameters
        ----------
        name : str
            Of the node.

        Returns
        -------
        Allocator
            It shows the Placements of Gangs too, by owners such as
            ``"train-3/worker/17"``. Once the node is removed its calls raise
            `StateError`.

        Raises
        ------
        StateError
            There is none of that name.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> cluster.node("n0").take(owner="system", pus="0-1").cpuset
        '0-1'
        >>> cluster.headroom(ta.Request(cores=1), level="node")
        [DomainHeadroom(path=('n0',), count=3, upper=3)]
        """
        handle = self.node_handle(name_text("name", name))
        allocator = Allocator.__new__(Allocator)
        _core.Allocator.__init__(allocator, handle)
        return allocator

    # --- Gangs ---

    @property
    def gangs(self) -> dict[str, RunningGang]:
        """What runs, by name of the Gang."""
        return {
            name: RunningGang(Gang._of(compiled), [*map(PodPlace._make, rows)])
            for name, (compiled, rows) in self.running_gangs().items()
        }

    def register(self, gang: Gang) -> None:
        """Keep the sums that answer `check` for the shape of a Gang, from now on.

        A shape is the Request, slices, `Spread`, conditions and tolerations of one
        PodSet. `check` of a Gang of a kept shape, whatever its count and `Within`,
        takes no longer on a larger Cluster; each change of a node takes a little
        longer. Forks made later keep it too.

        Parameters
        ----------
        gang : Gang
            Of the shape: one PodSet, no Group, no `Balanced`, levels of one tree.

        Raises
        ------
        InvalidRequestError
            As for `check`, or the shape is none whose sums decide.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> cluster.add_nodes(["n0", "n1"], machine, domains={"rack": "r0"})
        >>> request = ta.Request(devices={"gpu": 8})
        >>> cluster.register(ta.Gang("shape", [ta.PodSet("worker", request, 1)]))
        >>> pods = ta.PodSet("worker", request, 2, require=[ta.Within("rack")])
        >>> cluster.check(ta.Gang("train-3", [pods])).status.name
        'FEASIBLE'
        """
        self.register_gang(_gang(gang)._compiled)

    def check(self, gang: Gang, *, max_steps: int = DEFAULT_MAX_STEPS) -> GangVerdict:
        """Answer whether a Gang fits, without taking anything.

        Parameters
        ----------
        gang : Gang
            Whole: fewer than ``min_count`` pods of a PodSet are no answer.
        max_steps : int, default 1_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        GangVerdict
            FEASIBLE (a proof, as there is a plan), INFEASIBLE (a proof, not an error)
            or UNKNOWN at the limit.

        Raises
        ------
        InvalidRequestError
            The Gang names a level that the Cluster lacks.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> pods = ta.PodSet("worker", ta.Request(cores=2), 3)
        >>> verdict = cluster.check(ta.Gang("train-3", [pods]))
        >>> bool(verdict), verdict.reason, verdict.podset
        (False, 'NotEnoughRoom', 'worker')
        """
        compiled, limit = _gang(gang)._compiled, check_steps(max_steps)
        return GangVerdict._of(gang, self.check_gang(compiled, limit), limit)

    def place(self, gang: Gang, *, max_steps: int = DEFAULT_MAX_STEPS) -> GangPlan:
        """Find the best plan for a Gang, without taking anything.

        Parameters
        ----------
        gang : Gang
            Whole: fewer than ``min_count`` pods of a PodSet are no answer.
        max_steps : int, default 1_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        GangPlan
            OPTIMAL, or FEASIBLE with the best found within the limit. A plan that is
            INFEASIBLE (a proof, not an error) or UNKNOWN has no pods.

        Raises
        ------
        InvalidRequestError
            As for `check`.
        """
        compiled, limit = _gang(gang)._compiled, check_steps(max_steps)
        plan = self.place_gang(compiled, limit)
        return GangPlan._of(plan, gang, limit, self.levels)

    def commit(self, plan: GangPlan) -> None:
        """Take what a plan says, for all pods at once.

        Parameters
        ----------
        plan : GangPlan
            Of this Cluster, or of a fork.

        Raises
        ------
        StaleError
            A node that it uses has changed since.
        StateError
            A Gang of that name runs already, or the plan has no pods.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> gang = ta.Gang("train-3", [ta.PodSet("worker", ta.Request(cores=2), 2)])
        >>> cluster.commit(cluster.place(gang))
        >>> sorted(cluster.node("n0").placements)
        ['train-3/worker/0', 'train-3/worker/1']
        >>> cluster.release("train-3", pods=[("worker", 1)])
        >>> [pod.index for pod in cluster.gangs["train-3"].pods]
        [0]
        """
        if not isinstance(plan, GangPlan):
            raise InvalidRequestError(
                f"plan: {type(plan).__name__}, want one of Cluster.place"
            )
        self.commit_plan(plan._compiled)

    def release(self, gang: str, pods: Iterable[tuple[str, int]] | None = None) -> None:
        """Give back what a Gang holds, or some of its pods.

        Parameters
        ----------
        gang : str
            Its name.
        pods : iterable of (str, int), optional
            PodSet and index of each; by default all. A Gang without pods runs no more.

        Raises
        ------
        StateError
            The Gang does not run, one of the pods does not, or comes twice.
        InvalidRequestError
            An argument is of another form.
        """
        name = name_text("gang", gang)
        self.release_pods(name, None if pods is None else _pod_names(pods))

    def headroom(
        self,
        request: Request,
        level: str = "node",
        *,
        max_steps: int = DEFAULT_MAX_STEPS,
    ) -> list[DomainHeadroom]:
        """Count the copies of a Request that each Domain of a level holds.

        Parameters
        ----------
        request : Request
            One copy.
        level : str, default "node"
            Of the Cluster, or ``"node"``.
        max_steps : int, default 1_000_000
            For each node that differs from the others, 0 to 2^64 - 1.

        Returns
        -------
        list of DomainHeadroom
            In node order. Cordoned nodes hold none; a node without a Domain of the
            level is left out.

        Raises
        ------
        InvalidRequestError
            There is no such level.
        """
        if not isinstance(request, Request):
            raise InvalidRequestError(
                f"request: {type(request).__name__}, want a Request"
            )
        rows = self.headroom_rows(
            request, name_text("level", level), check_steps(max_steps)
        )
        return [*map(DomainHeadroom._make, rows)]

    def fork(self) -> Self:
        """Copy the Cluster, to ask "what if"; takes the same short time for any size.

        Returns
        -------
        Cluster
            Independent of this one from now on. A plan made there can be committed
            here while the nodes that it uses are unchanged here.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> what_if = cluster.fork()
        >>> gang = ta.Gang("train-3", [ta.PodSet("worker", ta.Request(cores=2), 2)])
        >>> what_if.commit(what_if.place(gang))
        >>> len(cluster.gangs), len(what_if.gangs)
        (0, 1)
        """
        copy = type(self).__new__(type(self))
        _core.Cluster.__init__(copy, self)
        return copy

    # --- files ---

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, which `from_dict` reads.

        Returns
        -------
        dict
            Plain values, with every Machine and all that runs;
            ``schemas/cluster.json`` describes it. Pods that have lost their place are
            left out, and so are shapes that `register` keeps.
        """
        # Who asks and places alone does not pay for the reader of files.
        from topoalloc._cluster_document import encode  # noqa: PLC0415

        return encode(self)

    @classmethod
    def from_dict(
        cls,
        document: Mapping[str, Any],
        *,
        folder: str | PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Read the JSON form that `to_dict` writes.

        Parameters
        ----------
        document : mapping
            With ``apiVersion`` and ``kind``.
        folder : path, optional
            Where files of Machines are that the document names; without it, it may name
            none.
        progress : callable, optional
            Called with the nodes added so far, and their number in all.

        Returns
        -------
        Cluster

        Raises
        ------
        FormatError
            The document is no Cluster; the message begins with the path.

        Examples
        --------
        >>> cluster = Cluster.from_dict({
        ...     "apiVersion": "topoalloc.dev/v1alpha1",
        ...     "kind": "Cluster",
        ...     "trees": [{"name": "network", "levels": ["rack"]}],
        ...     "machines": {"small": {"synthetic": "pack:1 core:4 pu:2"}},
        ...     "nodes": [{"names": "n[1-3]", "machine": "small",
        ...                "domains": {"rack": "r0"}}],
        ... })
        >>> cluster.nodes
        ['n1', 'n2', 'n3']
        """
        from topoalloc._cluster_file import decode  # noqa: PLC0415

        return decode(cls, document, folder, progress)

    def __copy__(self) -> Self:
        """Return a fork."""
        return self.fork()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return a fork: what it shares with this one cannot change."""
        return self.fork()

    def __reduce__(self) -> NoReturn:
        """Refuse: another process has its own nodes."""
        raise InvalidRequestError("cluster: not to be pickled, want a fork of it here")

    def __repr__(self) -> str:
        """Show the levels and how much there is."""
        return (
            f"<Cluster {', '.join(self.levels)}: {counted(len(self), 'node')}, "
            f"policy {self.policy.name}>"
        )


# --- arguments ---


def _level_names(name: str, levels: object) -> list[str]:
    listed = items_of(name, levels, "a list of levels")
    return [name_text(f"{name}[{i}]", level) for i, level in enumerate(listed)]


def _gang(gang: object) -> Gang:
    if not isinstance(gang, Gang):
        raise InvalidRequestError(f"gang: {type(gang).__name__}, want a Gang")
    return gang


def _demand_machine(name: str, machine: object) -> None:
    if not isinstance(machine, Machine):
        raise InvalidRequestError(f"{name}: {type(machine).__name__}, want a Machine")


def _demand_length(name: str, values: Sequence[object], names: Sequence[str]) -> None:
    if len(values) != len(names):
        raise InvalidRequestError(
            f"{name}: {len(values)} of them, want {len(names)}, one for each name"
        )


def _mapping(name: str, values: object) -> Mapping[Any, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InvalidRequestError(f"{name}: {type(values).__name__}, want a mapping")
    return values


def _texts(name: str, values: object) -> dict[str, str | None]:
    """Return text to text or None."""
    found = {}
    for key, value in _mapping(name, values).items():
        path = f"{name}[{shown(name_text(name, key))}]"
        found[key] = None if value is None else plain_text(path, value)
    return found


def _given(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _columns(
    name: str, values: object, names: Sequence[str]
) -> dict[str, str | list[Any] | None]:
    """Return text to one value, or to a list whose items the core checks."""
    found: dict[str, str | list[Any] | None] = {}
    for key, column in _mapping(name, values).items():
        path = f"{name}[{shown(name_text(name, key))}]"
        if column is None or isinstance(column, str):
            found[key] = None if column is None else plain_text(path, column)
            continue
        listed = [*items_of(path, column, "a str or a list of them")]
        _demand_length(path, listed, names)
        found[key] = listed
    return found


def _taint_rows(taints: object) -> list[tuple[str, str, str]]:
    if isinstance(taints, Taint):
        return [taints.row]
    rows = []
    for i, taint in enumerate(items_of("taints", taints, "a list of Taint")):
        if not isinstance(taint, Taint):
            raise InvalidRequestError(
                f"taints[{i}]: {type(taint).__name__}, want a Taint"
            )
        rows.append(taint.row)
    return rows


def _pod_names(pods: object) -> list[tuple[str, int]]:
    found = []
    for i, pod in enumerate(items_of("pods", pods, "a list of (PodSet, index)")):
        if not isinstance(pod, tuple | list) or len(pod) != _POD_PARTS:
            raise InvalidRequestError(
                f"pods[{i}]: {shown(pod)}, want a pair of PodSet and index"
            )
        podset, index = pod
        found.append(
            (
                name_text(f"pods[{i}]", podset),
                check_count(f"pods[{i}]", index),
            )
        )
    return found
