# SPDX-License-Identifier: Apache-2.0
"""Cluster: nodes in trees of Domains, what runs there, Gangs placed as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, NamedTuple, Self, TypeAlias

from topoalloc import _core
from topoalloc._allocator import DEFAULT_MAX_STEPS, Allocator, _cpuset
from topoalloc._cluster_change import Asked, ClusterChange, meant
from topoalloc._constraints import check_count, check_steps
from topoalloc._errors import InvalidRequestError, StateError
from topoalloc._gang import Gang, Taint, items_of, name_text, plain_text
from topoalloc._gang_answer import GangPlan, GangVerdict, PodPlace
from topoalloc._machine import Machine
from topoalloc._policy import Policy
from topoalloc._quantity import counted, shown
from topoalloc._rails import RailLists, lists_of
from topoalloc._request import Request

__all__ = ["Cluster", "DomainHeadroom", "NodeDescription", "RunningGang"]

Column: TypeAlias = str | Iterable[str | None] | None
"""One value for all nodes, or one for each; None where a node has none."""

_SOLE_TREE = "default"
_POD_PARTS = 2


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
    """That have their place, by PodSet, then rank."""
    rails: RailLists
    """PodSet to class of its `Rails` to sets of indices, by pod of a node."""
    lost: list[PodPlace]
    """That have lost it, with where they ran: the node is gone, or its own Allocator
    released them. `Cluster.replace` gives them another, `Cluster.release` forgets them.
    """


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
        found = {}
        for name, (compiled, rows, rails, lost) in self.running_gangs().items():
            gang = Gang._of(compiled)
            pods = [*map(PodPlace._make, rows)]
            gone = [*map(PodPlace._make, lost)]
            found[name] = RunningGang(gang, pods, lists_of(gang, rails), gone)
        return found

    def register(self, gang: Gang) -> None:
        """Keep the sums that answer `check` for the shape of a Gang, from now on.

        A shape is the Request, slices, `Spread`, conditions and tolerations of one
        PodSet. `check` of a Gang of a kept shape, whatever its count and `Within`,
        takes no longer on a larger Cluster; each change of a node takes a little
        longer. Forks made later keep it too.

        Parameters
        ----------
        gang : Gang
            Of the shape: one PodSet, no Group, no `Balanced` or `Rails`, levels of one
            tree.

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
        max_steps : int, default 2_000_000
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
        max_steps : int, default 2_000_000
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

    def commit(self, plan: GangPlan | ClusterChange) -> None:
        """Make what a plan or a change says so, all of it at once.

        Parameters
        ----------
        plan : GangPlan or ClusterChange
            Of this Cluster, or of a fork.

        Raises
        ------
        StaleError
            A node or Gang that it uses has changed since.
        StateError
            A Gang of that name runs already, the plan has no pods, or the change
            changes nothing or was not found.

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
        if isinstance(plan, ClusterChange):
            self.commit_change(plan._compiled)
        elif isinstance(plan, GangPlan):
            self.commit_plan(plan._compiled)
        else:
            raise InvalidRequestError(
                f"plan: {type(plan).__name__}, want one of Cluster.place, or a "
                "ClusterChange"
            )

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

    # --- changes of what runs ---

    def replace(
        self, gang: str, failed: Iterable[str], *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> ClusterChange:
        """Find new places for the pods of a Gang whose nodes failed; all others stay.

        Parameters
        ----------
        gang : str
            Name of one that runs.
        failed : iterable of str
            Names of nodes; they may have left the Cluster, and get no pod. Pods that
            have lost their place otherwise get a new one too.
        max_steps : int, default 2_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        ClusterChange
            OPTIMAL, or FEASIBLE at the limit. Pods beyond ``min_count`` for which there
            is no room stop, and ``cost.short`` counts them.

        Raises
        ------
        StateError
            The Gang does not run, or an owner that is no pod has the name of a pod
            where that is to go.
        InvalidRequestError
            An argument is of another form.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> cluster.add_nodes(["n0", "n1", "n2"], machine, domains={"rack": "r0"})
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 2)
        >>> cluster.commit(cluster.place(ta.Gang("train-3", [pods])))
        >>> change = cluster.replace("train-3", ["n1"])
        >>> change.status.name, [str(move) for move in change.moves]
        ('OPTIMAL', ['train-3/worker/1: n1 -> n2'])
        >>> cluster.commit(change)
        >>> [pod.node for pod in cluster.gangs["train-3"].pods]
        ['n0', 'n2']
        """
        name, limit = name_text("gang", gang), check_steps(max_steps)
        nodes = [*_names("failed", failed)]
        with self._naming_gang(name):
            compiled = self.replace_pods(name, nodes, limit)
        return ClusterChange._of(
            compiled, self.levels, Asked("replace", limit, nodes=nodes)
        )

    def grow(self, gang: str, *, max_steps: int = DEFAULT_MAX_STEPS) -> ClusterChange:
        """Find places for more pods of a Gang that runs, up to its count.

        Parameters
        ----------
        gang : str
            Name of one that runs.
        max_steps : int, default 2_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        ClusterChange
            Pods that have lost their place get a new one first. One without moves:
            nothing more fits, or nothing is missing.

        Raises
        ------
        StateError
            The Gang does not run, or an owner that is no pod has the name of a pod
            where that is to go.
        InvalidRequestError
            An argument is of another form.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> cluster.add_node("n0", machine)
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 2, min_count=1)
        >>> cluster.commit(cluster.place(ta.Gang("train-3", [pods])))
        >>> cluster.add_node("n1", machine)
        >>> [str(move) for move in cluster.grow("train-3").moves]
        ['train-3/worker/1: starts on n1']
        """
        name, limit = name_text("gang", gang), check_steps(max_steps)
        with self._naming_gang(name):
            compiled = self.grow_gang(name, limit)
        return ClusterChange._of(compiled, self.levels, Asked("grow", limit))

    def drain(
        self, nodes: str | Iterable[str], *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> ClusterChange:
        """Find new places for the pods of all Gangs on some nodes.

        Parameters
        ----------
        nodes : str or iterable of str
            Name, or names; `commit` cordons them.
        max_steps : int, default 2_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        ClusterChange
            ``left`` lists what is of no Gang, and stays.

        Raises
        ------
        StateError
            A node is not in the Cluster, or an owner that is no pod has the name of a
            pod where that is to go.
        InvalidRequestError
            An argument is of another form.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_nodes(["n0", "n1"], ta.Machine.preset("dgx-h100"))
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 1)
        >>> cluster.commit(cluster.place(ta.Gang("train-3", [pods])))
        >>> change = cluster.drain("n0")
        >>> [str(move) for move in change.moves], change.cordoned
        (['train-3/worker/0: n0 -> n1'], ('n0',))
        """
        listed = [name_text("nodes", nodes)] if isinstance(nodes, str) else None
        names, limit = listed or [*_names("nodes", nodes)], check_steps(max_steps)
        try:
            compiled = self.drain_nodes(names, limit)
        except StateError as error:
            known = self.nodes
            for name in names:
                if name not in known:
                    raise StateError(f"{error}{meant(name, known)}") from None
            raise
        return ClusterChange._of(
            compiled, self.levels, Asked("drain", limit, nodes=names)
        )

    def preempt(
        self, gang: Gang, *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> ClusterChange:
        """Find the Gangs of lower priority to stop so that another fits.

        Parameters
        ----------
        gang : Gang
            One that does not run. Of the sets of Gangs of lower ``priority`` that make
            room: the one of the least highest priority, then of the fewest Gangs, then
            of the fewest pods.
        max_steps : int, default 2_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        ClusterChange
            ``victims`` are those that stop; `least` and `is_least` say what is proved.

        Raises
        ------
        StateError
            A Gang of that name runs, or an owner that is no pod has the name of a pod
            where that is to go.
        InvalidRequestError
            As for `check`.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.preset("dgx-h100"))
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 1)
        >>> cluster.commit(cluster.place(ta.Gang("batch-7", [pods])))
        >>> change = cluster.preempt(ta.Gang("train-3", [pods], priority=100))
        >>> change.victims, change.is_least
        (('batch-7',), True)
        """
        compiled, limit = _gang(gang)._compiled, check_steps(max_steps)
        found = self.preempt_for(compiled, limit)
        return ClusterChange._of(found, self.levels, Asked("preempt", limit, gang))

    def defragment(
        self, gang: Gang, *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> ClusterChange:
        """Find the fewest pods of other Gangs to move so that a Gang fits.

        Parameters
        ----------
        gang : Gang
            One that does not run.
        max_steps : int, default 2_000_000
            Search nodes that the answer may cost, 0 to 2^64 - 1.

        Returns
        -------
        ClusterChange
            All moves are one change, not an order of steps.

        Raises
        ------
        StateError
            A Gang of that name runs, or an owner that is no pod has the name of a pod
            where that is to go.
        InvalidRequestError
            As for `check`.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> machine = ta.Machine.preset("dgx-h100")
        >>> half = ta.Request(devices={"gpu": 4})
        >>> for i in range(2):
        ...     cluster.add_node(f"n{i}", machine)
        ...     pods = ta.PodSet("server", half, 1)
        ...     cluster.commit(cluster.place(ta.Gang(f"serve-{i}", [pods])))
        ...     cluster.cordon(f"n{i}")
        >>> for i in range(2):
        ...     cluster.uncordon(f"n{i}")
        >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 1)
        >>> change = cluster.defragment(ta.Gang("train-3", [pods]))
        >>> [str(move) for move in change.moves]
        ['serve-0/server/0: n0 -> n1', 'train-3/worker/0: starts on n0']
        """
        compiled, limit = _gang(gang)._compiled, check_steps(max_steps)
        found = self.defragment_for(compiled, limit)
        return ClusterChange._of(found, self.levels, Asked("defragment", limit, gang))

    def score(
        self, request: Request, *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> dict[str, int]:
        """Say how well each node suits one copy of a Request, for a scheduler.

        Parameters
        ----------
        request : Request
            One copy.
        max_steps : int, default 2_000_000
            For each node that differs from the others, 0 to 2^64 - 1.

        Returns
        -------
        dict of str to int
            Node to 0 (it holds no copy, or is cordoned) to 100 (the best), in node
            order. Of two nodes the one that costs less never scores less.

        Raises
        ------
        InvalidRequestError
            An argument is of another form.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_nodes(["n0", "n1", "n2"], ta.Machine.preset("dgx-h100"))
        >>> _ = cluster.node("n1").allocate(ta.Request(devices={"gpu": 6}), owner="a")
        >>> cluster.cordon("n2")
        >>> cluster.score(ta.Request(devices={"gpu": 2}))
        {'n0': 1, 'n1': 100, 'n2': 0}
        """
        return dict(self.score_rows(_request(request), check_steps(max_steps)))

    @contextmanager
    def _naming_gang(self, name: str) -> Iterator[None]:
        """Add to the error the name that may have been meant."""
        try:
            yield
        except StateError as error:
            known = self.gangs
            if name in known:
                raise
            raise StateError(f"{error}{meant(name, known)}") from None

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
        max_steps : int, default 2_000_000
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
        rows = self.headroom_rows(
            _request(request), name_text("level", level), check_steps(max_steps)
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

    def snapshot(self) -> bytes:
        """Write down the nodes, what they hold and which Gangs run.

        Returns
        -------
        bytes
            One line with format version and checksum, then the JSON of `to_dict`.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> Cluster.restore(cluster.snapshot()).nodes
        ['n0']
        """
        from topoalloc import _snapshot  # noqa: PLC0415

        return _snapshot.seal(self.to_dict())

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Make the Cluster that `snapshot` wrote down.

        Parameters
        ----------
        snapshot : bytes
            Of this or an older version of topoalloc.

        Returns
        -------
        Cluster
            It gives the answers that the first would have given.

        Raises
        ------
        FormatError
            The bytes are damaged, of a newer format, or contradict themselves.
        """
        from topoalloc import _snapshot  # noqa: PLC0415

        return cls.from_dict(_snapshot.decode(snapshot, "Cluster"))

    def record(
        self, answer: GangVerdict | GangPlan | ClusterChange, *, embed: bool = True
    ) -> dict[str, Any]:
        """Return the Decision record of an answer; `topoalloc.replay` asks it again.

        Parameters
        ----------
        answer : GangVerdict, GangPlan or ClusterChange
            Of the Cluster as it is: one of `check`, `place`, `drain` and their like.
            It is asked again, so that what is recorded is what a replay gives.
        embed : bool, default True
            Put in the Cluster, so that `topoalloc.replay` needs nothing else. Without
            it the digests remain.

        Returns
        -------
        dict
            Plain values; ``schemas/cluster_decision.json`` describes it.

        Raises
        ------
        StaleError
            The Cluster has changed since, and answers otherwise now; or it holds pods
            that have lost their place, which no record has, and they matter.
        InvalidRequestError
            It is no answer.

        Examples
        --------
        >>> import topoalloc as ta
        >>> cluster = Cluster(levels=["rack"])
        >>> cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> gang = ta.Gang("train-3", [ta.PodSet("worker", ta.Request(cores=2), 2)])
        >>> ta.replay(cluster.record(cluster.place(gang))).is_equal
        True
        """
        from topoalloc._cluster_record import record  # noqa: PLC0415

        return record(self, answer, embed=embed)

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by way of the snapshot, which every later version reads."""
        return type(self).restore, (self.snapshot(),)

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


def _request(request: object) -> Request:
    if not isinstance(request, Request):
        raise InvalidRequestError(f"request: {type(request).__name__}, want a Request")
    return request


def _names(name: str, values: object) -> Iterator[str]:
    for i, value in enumerate(items_of(name, values, "a list of names")):
        yield name_text(f"{name}[{i}]", value)


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
