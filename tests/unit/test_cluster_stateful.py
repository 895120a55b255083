# SPDX-License-Identifier: Apache-2.0
"""A Cluster lives through operations in any order, and every invariant holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import topoalloc as ta


def host(cores: int, gpus: int) -> ta.Machine:
    """Return a machine of two NUMANodes; the GPUs lie on them in turn."""
    document = ta.Machine.from_synthetic(
        f"pack:1 numa:2 core:{cores // 2} pu:1"
    ).to_dict()
    devices = [{"class": "gpu", "numa_nodes": [i % 2]} for i in range(gpus)]
    return ta.Machine.from_dict(document | {"devices": devices})


MACHINES = [host(4, 2), host(6, 4), host(2, 0)]
REQUESTS = [
    ta.Request(cores=1),
    ta.Request(cores=2, require=[ta.Align("numa")]),
    ta.Request(cores=1, devices={"gpu": 1}),
    ta.Request(devices={"gpu": 2}, require=[ta.Align("numa")]),
]
RULES: list[ta.Within | ta.Spread | ta.Balanced] = [
    ta.Within("block"),
    ta.Within("rack"),
    ta.Within("domain"),
    ta.Spread("node"),
    ta.Spread("rack", 2),
    ta.Balanced("domain"),
]
MOST_NODES = 8
MAX_STEPS = 20_000

machines = st.sampled_from(MACHINES)
requests = st.sampled_from(REQUESTS)
labels = st.sampled_from([{}, {"pool": "a"}, {"pool": "b"}])
taints = st.sampled_from([[], [ta.Taint("new")]])
domains = st.fixed_dictionaries(
    {
        "block": st.sampled_from(["b0", "b1"]),
        "rack": st.sampled_from(["r0", "r1", None]),
        "domain": st.sampled_from(["d0", "d1", None]),
    }
)
positions = st.integers(0, 2**16)


@st.composite
def podsets(draw: st.DrawFn, name: str) -> ta.PodSet:
    count = draw(st.sampled_from([1, 2, 2, 4]))
    rules = st.lists(st.sampled_from(RULES), max_size=1)
    has_slice = count % 2 == 0 and draw(st.integers(0, 4)) == 0
    return ta.PodSet(
        name,
        draw(requests),
        count,
        draw(st.none() | st.integers(0, count)),
        require=draw(rules),
        prefer=draw(rules),
        slices=[ta.Slice("rack", 2)] if has_slice else [],
        where=draw(st.sampled_from([{}, {}, {"pool": "a"}])),
        tolerations=draw(st.sampled_from([[], [ta.Toleration("new")]])),
    )


@st.composite
def gangs(draw: st.DrawFn, name: str) -> ta.Gang:
    members = [draw(podsets(f"p{i}")) for i in range(draw(st.integers(1, 3)))]
    groups = []
    if len(members) > 1 and draw(st.booleans()):
        groups.append(ta.Group("both", ["p0", "p1"], require=[ta.Within("block")]))
    return ta.Gang(name, members, groups)


def books(cluster: ta.Cluster) -> tuple[Any, ...]:
    """Return all that a Cluster holds, to compare by value."""
    nodes = {
        name: (cluster.node(name).state_dict(), cluster.describe(name)[2:])
        for name in cluster.nodes
    }
    return nodes, cluster.gangs


def domain_of(cluster: ta.Cluster, node: str, level: str) -> object:
    """Return the Domain of a node, or None where it has none."""
    if level == "node":
        return node
    given = cluster.describe(node).domains
    if level not in given:
        return None
    return (given.get("block"), given["rack"]) if level == "rack" else given[level]


def holds(
    cluster: ta.Cluster,
    rule: ta.Within | ta.Spread | ta.Balanced | ta.Rails,
    nodes: Any,
) -> bool:
    """Say whether a rule holds for pods on these nodes, by its definition."""
    assert not isinstance(rule, ta.Rails)  # None is drawn here.
    used = [domain_of(cluster, node, rule.level) for node in nodes]
    counts = [used.count(domain) for domain in {*used}]
    if None in used:
        return False
    match rule:
        case ta.Within():
            return len(counts) <= 1
        case ta.Spread():
            return max(counts, default=0) <= rule.at_most
        case _:
            return not counts or max(counts) - min(counts) <= 1


def demand_rules(cluster: ta.Cluster, plan: ta.GangPlan) -> None:
    """Compare a plan with what its Gang asks for."""
    for podset in plan.gang.podsets:
        pods = [pod for pod in plan.pods if pod.podset == podset.name]
        assert podset.min_count is not None
        assert podset.min_count <= len(pods) <= podset.count
        assert [pod.index for pod in pods] == [*range(len(pods))]
        nodes = [pod.node for pod in pods]
        assert all(holds(cluster, rule, nodes) for rule in podset.require)
        for slice_ in podset.slices:
            used = [domain_of(cluster, node, slice_.level) for node in nodes]
            assert None not in used
            assert all(used.count(domain) % slice_.size == 0 for domain in used)
        for node in nodes:
            found = cluster.describe(node)
            assert not found.is_cordoned
            assert not podset.where or found.labels.get("pool") == "a"
            assert not found.taints or podset.tolerations
    for group in plan.gang.groups:
        nodes = [pod.node for pod in plan.pods if pod.podset in group.members]
        assert all(holds(cluster, rule, nodes) for rule in group.require)


def demand_place(
    cluster: ta.Cluster, gang: ta.Gang, pod: ta.PodPlace, drained: tuple[str, ...]
) -> None:
    """Compare a place with what the PodSet asks of a node."""
    (podset,) = (one for one in gang.podsets if one.name == pod.podset)
    found = cluster.describe(pod.node)
    assert pod.node not in drained
    assert not found.is_cordoned
    assert not podset.where or found.labels.get("pool") == "a"
    assert not found.taints or podset.tolerations
    owner = f"{gang.name}/{pod.podset}/{pod.index}"
    assert cluster.node(pod.node).placements[owner] == pod.placement


def demand_requirements(cluster: ta.Cluster, running: ta.RunningGang) -> None:
    """Compare the places of a Gang with the rules that it requires."""
    for podset in running.gang.podsets:
        nodes = [pod.node for pod in running.pods if pod.podset == podset.name]
        assert len(nodes) <= podset.count
        assert all(holds(cluster, rule, nodes) for rule in podset.require)
    for group in running.gang.groups:
        nodes = [pod.node for pod in running.pods if pod.podset in group.members]
        assert all(holds(cluster, rule, nodes) for rule in group.require)


class ClusterLife(RuleBasedStateMachine):
    """Any operation after any other; a copy of the books is held to each fork."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = ta.Cluster(trees={"net": ["block", "rack"], "nv": ["domain"]})
        self.forks: list[tuple[ta.Cluster, tuple[Any, ...]]] = []
        self.made = 0

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def pick(self, position: int) -> str:
        nodes = self.cluster.nodes
        return nodes[position % len(nodes)]

    def has_nodes(self) -> bool:
        return len(self.cluster) > 0

    @initialize(machine=st.lists(machines, min_size=2, max_size=4), where=domains)
    def start(self, machine: list[ta.Machine], where: dict[str, str | None]) -> None:
        names = [self.name("n") for _ in machine]
        self.cluster.add_nodes(names, machine, domains=where)

    @precondition(lambda self: len(self.cluster) < MOST_NODES)
    @rule(machine=machines, where=domains, labels=labels, taints=taints)
    def add(
        self,
        machine: ta.Machine,
        where: dict[str, str | None],
        labels: dict[str, str | None],
        taints: list[ta.Taint],
    ) -> None:
        self.cluster.add_node(
            self.name("n"), machine, domains=where, labels=labels, taints=taints
        )

    @precondition(has_nodes)
    @rule(position=positions)
    def remove(self, position: int) -> None:
        name = self.pick(position)
        if self.cluster.node(name).placements:
            with pytest.raises(ta.StateError, match="holds Placements"):
                self.cluster.remove_node(name)
        else:
            self.cluster.remove_node(name)
            assert name not in self.cluster.nodes

    @precondition(has_nodes)
    @rule(position=positions, cordoned=st.booleans())
    def fail(self, position: int, cordoned: bool) -> None:
        name = self.pick(position)
        (self.cluster.cordon if cordoned else self.cluster.uncordon)(name)
        assert self.cluster.describe(name).is_cordoned == cordoned

    @precondition(has_nodes)
    @rule(position=positions, labels=labels, taints=taints, where=domains)
    def describe_anew(
        self,
        position: int,
        labels: dict[str, str | None],
        taints: list[ta.Taint],
        where: dict[str, str | None],
    ) -> None:
        name = self.pick(position)
        self.cluster.set_labels(name, labels)
        self.cluster.set_taints(name, taints)
        self.cluster.set_domains(name, where)

    @precondition(has_nodes)
    @rule(position=positions, request=requests)
    def take_on_node(self, position: int, request: ta.Request) -> None:
        node = self.cluster.node(self.pick(position))
        if node.check(request):
            node.allocate(request, owner=self.name("own"))

    @precondition(has_nodes)
    @rule(position=positions)
    def give_back_on_node(self, position: int) -> None:
        node = self.cluster.node(self.pick(position))
        for owner in [owner for owner in node.placements if owner.startswith("own")]:
            node.release(owner)

    @rule(request=requests, is_sliced=st.booleans())
    def register(self, request: ta.Request, is_sliced: bool) -> None:
        slices = [ta.Slice("rack", 2)] if is_sliced else []
        shape = ta.PodSet("shape", request, 2, slices=slices)
        self.cluster.register(ta.Gang("shape", [shape]))

    @rule(data=st.data(), then=st.sampled_from(["commit", "release", "change"]))
    def run(self, data: st.DataObject, then: str) -> None:
        gang = data.draw(gangs(self.name("g")))
        before = books(self.cluster)
        verdict, plan = self.cluster.check(gang), self.cluster.place(gang)
        note(repr(plan))
        assert books(self.cluster) == before
        assert bool(verdict) == bool(plan)
        if not plan.pods:
            with pytest.raises(ta.StateError, match="no pods"):
                self.cluster.commit(plan)
            return
        demand_rules(self.cluster, plan)
        fork = self.cluster.fork()
        if then == "change":
            self.cluster.set_labels(plan.pods[0].node, {"changed": gang.name})
            changed = books(self.cluster)
            with pytest.raises(ta.StaleError, match="since the plan was made"):
                self.cluster.commit(plan)
            assert books(self.cluster) == changed
        else:
            self.cluster.commit(plan)
            assert self.cluster.gangs[gang.name] == (gang, plan.pods, {}, [])
            if then == "release":
                self.cluster.release(gang.name)
                assert books(self.cluster) == before
        fork.commit(plan)
        fork.check_consistency()
        fork.release(gang.name)
        assert books(fork) == before

    @precondition(lambda self: self.cluster.gangs)
    @rule(position=positions, data=st.data())
    def stop(self, position: int, data: st.DataObject) -> None:
        running = self.cluster.gangs
        gang, pods, *_ = running[sorted(running)[position % len(running)]]
        pods_of_it = st.sampled_from(pods) if pods else st.nothing()
        gone = data.draw(st.lists(pods_of_it, unique_by=lambda pod: pod[:2]))
        self.cluster.release(gang.name, [(pod.podset, pod.index) for pod in gone])
        left = [pod for pod in pods if pod not in gone]
        now = self.cluster.gangs.get(gang.name)
        assert (now.pods if now else []) == left

    @precondition(has_nodes)
    @rule(position=positions)
    def lose_node(self, position: int) -> None:
        name = self.pick(position)
        node = self.cluster.node(name)
        for owner in node.placements:
            node.release(owner)
        self.cluster.remove_node(name)
        assert all(
            pod.node != name
            for running in self.cluster.gangs.values()
            for pod in running.pods
        )

    @precondition(lambda self: self.has_nodes() and self.cluster.gangs)
    @rule(
        position=positions,
        operation=st.sampled_from(["replace", "grow", "drain"]),
        commits=st.booleans(),
    )
    def change_what_runs(self, position: int, operation: str, commits: bool) -> None:
        running = self.cluster.gangs
        name = sorted(running)[position % len(running)]
        node = self.pick(position)
        before = books(self.cluster)
        if operation == "replace":
            change = self.cluster.replace(name, [node], max_steps=MAX_STEPS)
        elif operation == "grow":
            change = self.cluster.grow(name, max_steps=MAX_STEPS)
        else:
            change = self.cluster.drain(node, max_steps=MAX_STEPS)
        assert books(self.cluster) == before
        barred = {node} if operation != "grow" else set()
        assert barred.isdisjoint(pod.node for pod in change.pods)
        self.make(change, commits=commits)
        if change.operation == "grow" and all(not move.before for move in change.moves):
            fork = self.cluster.fork()
            if not commits and change.moves:
                fork.commit(change)
                fork.release(name, [(move.podset, move.index) for move in change.moves])
                assert books(fork) == before

    @precondition(has_nodes)
    @rule(data=st.data(), priority=st.integers(0, 2), commits=st.booleans())
    def make_room(self, data: st.DataObject, priority: int, commits: bool) -> None:
        drawn = data.draw(gangs(self.name("g")))
        gang = ta.Gang(drawn.name, drawn.podsets, drawn.groups, priority=priority)
        before = books(self.cluster)
        if data.draw(st.booleans()):
            change = self.cluster.preempt(gang, max_steps=MAX_STEPS)
            running = before[1]
            assert all(
                running[name].gang.priority < priority for name in change.victims
            )
        else:
            change = self.cluster.defragment(gang, max_steps=MAX_STEPS)
            assert not change.victims
        assert books(self.cluster) == before
        if change.status is ta.Status.OPTIMAL and self.cluster.check(gang):
            assert not change.victims
            assert all(move.before is None for move in change.moves)
        self.make(change, commits=commits)

    def make(self, change: ta.ClusterChange, *, commits: bool) -> None:
        """Commit a change to a fork and perhaps here, and look at what came of it."""
        note(repr(change))
        if change.status not in (ta.Status.OPTIMAL, ta.Status.FEASIBLE):
            assert change.moves == []
            before = books(self.cluster)
            with pytest.raises(ta.StateError, match="want"):
                self.cluster.commit(change)
            assert books(self.cluster) == before
            return
        if not change.moves and not change.cordoned:
            return
        before = books(self.cluster)
        fork = self.cluster.fork()
        target, other = (self.cluster, fork) if commits else (fork, self.cluster)
        target.commit(change)
        target.check_consistency()
        assert books(other) == before
        running = target.gangs
        for move in change.moves:
            gang = running.get(move.gang)
            pods = {} if gang is None else {pod[:2]: pod for pod in gang.pods}
            found = pods.get((move.podset, move.index))
            assert found == move.after
            if found is not None and gang is not None:
                demand_place(target, gang.gang, found, change.cordoned)
        for name in {move.gang for move in change.moves if move.after}:
            demand_requirements(target, running[name])
        assert not {*change.victims} & {*running}
        if change.moves:
            then = books(target)
            with pytest.raises(ta.StateError):
                target.commit(change)
            assert books(target) == then

    @rule()
    def look_back(self) -> None:
        self.forks.append((self.cluster.fork(), books(self.cluster)))

    @invariant()
    def nothing_is_taken_twice(self) -> None:
        self.cluster.check_consistency()
        owners = {
            pod.placement.owner
            for running in self.cluster.gangs.values()
            for pod in running.pods
        }
        found = set()
        for name in self.cluster.nodes:
            taken: set[object] = set()
            for owner, placement in self.cluster.node(name).placements.items():
                parts = {*placement.pus, *placement.devices}
                assert not taken & parts
                taken |= parts
                found |= {owner} if "/" in owner else set()
        assert found == owners

    def teardown(self) -> None:
        for fork, was in self.forks:
            fork.check_consistency()
            assert books(fork) == was


TestClusterLife = ClusterLife.TestCase
TestClusterLife.settings = settings(max_examples=60, stateful_step_count=50)
