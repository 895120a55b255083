# SPDX-License-Identifier: Apache-2.0
"""replace, grow, drain, preempt, defragment, score: held to plain enumerations."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

import topoalloc as ta

SCHEMAS = Path(ta.__file__).parent / "schemas"
GPUS = 4
OPERATIONS = ("replace", "grow", "drain", "preempt", "defragment")


def machine() -> ta.Machine:
    """Return a machine of four equal GPUs."""
    document = ta.Machine.from_synthetic("pack:1 core:4 pu:1").to_dict()
    devices = [{"class": "gpu", "numa_nodes": [0]} for _ in range(GPUS)]
    return ta.Machine.from_dict(document | {"devices": devices})


MACHINE = machine()


def racks(*sizes: int) -> ta.Cluster:
    """Return racks r0, r1, ... of so many nodes each: n00, n01, ..., n10, ..."""
    cluster = ta.Cluster(levels=["rack"])
    for r, size in enumerate(sizes):
        names = [f"n{r}{i}" for i in range(size)]
        cluster.add_nodes(names, MACHINE, domains={"rack": f"r{r}"})
    return cluster


def gang(name: str, gpus: int, count: int, priority: int = 0, **rules: Any) -> ta.Gang:
    request = ta.Request(devices={"gpu": gpus})
    return ta.Gang(name, [ta.PodSet("w", request, count, **rules)], priority=priority)


def books(cluster: ta.Cluster) -> tuple[Any, ...]:
    """Return all that a Cluster holds, to compare by value."""
    cluster.check_consistency()
    nodes = {
        name: (cluster.node(name).state_dict(), cluster.describe(name)[2:])
        for name in cluster.nodes
    }
    return nodes, cluster.gangs


def lines(change: ta.ClusterChange) -> list[str]:
    return [str(move) for move in change.moves]


# --- the face ---


def ask(cluster: ta.Cluster, operation: str) -> ta.ClusterChange:
    """Ask one of each kind of a Cluster where ``a`` runs on n00."""
    match operation:
        case "replace":
            return cluster.replace("a", ["n00"])
        case "grow":
            return cluster.grow("a")
        case "drain":
            return cluster.drain(["n00"])
        case "preempt":
            return cluster.preempt(gang("b", 3, 4, priority=1))
        case _:
            return cluster.defragment(gang("b", 4, 2))


@pytest.fixture
def cluster() -> ta.Cluster:
    """Return two racks of two nodes: ``a``, of 2 GPUs a pod, on n00 and on n10."""
    cluster = racks(2, 2)
    pods = gang("a", 2, 3, min_count=1, require=[ta.Spread("rack")])
    cluster.commit(cluster.place(pods))
    assert [pod.node for pod in cluster.gangs["a"].pods] == ["n00", "n10"]
    cluster.set_domains("n11", {"rack": "r2"})
    return cluster


@pytest.mark.parametrize("operation", OPERATIONS)
def test_change_is_typed_immutable_and_meets_its_schema(
    cluster: ta.Cluster, operation: str
) -> None:
    before = books(cluster)
    change = ask(cluster, operation)
    assert books(cluster) == before
    assert change
    assert change.operation == operation
    assert change.status in (ta.Status.OPTIMAL, ta.Status.FEASIBLE)
    assert copy.deepcopy(change) is change
    assert change.moves == change.moves
    assert change.pods == [move.after for move in change.moves if move.after]
    for name in ("status", "moves", "new"):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(change, name, None)
    with pytest.raises(AttributeError, match="does not change"):
        del change.status
    with pytest.raises(ta.InvalidRequestError, match="to_dict"):
        pickle.dumps(change)
    with pytest.raises(TypeError, match="want no constructor call"):
        ta.ClusterChange()
    document = json.loads(json.dumps(change.to_dict()))
    schema = json.loads((SCHEMAS / "cluster_change.json").read_text("utf-8"))
    parts = [
        json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
        for name in ("gang", "request", "placement", "gang_plan")
    ]
    schema["$defs"] = {part["$id"]: part for part in parts}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(document | {"least": -1})
    assert (document["gang"] is None) == (operation == "drain")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_commit_does_all_of_a_change_and_a_fork_serves(
    cluster: ta.Cluster, operation: str
) -> None:
    change = ask(cluster.fork(), operation)
    fork = cluster.fork()
    before = books(cluster)
    fork.commit(change)
    assert books(cluster) == before
    fork.check_consistency()
    for move in change.moves:
        running = fork.gangs.get(move.gang)
        pods = {} if running is None else {pod[:2]: pod for pod in running.pods}
        assert pods.get((move.podset, move.index)) == move.after
    assert all(fork.describe(node).is_cordoned for node in change.cordoned)
    # What has changed since makes it stale, and the Cluster stays as it is.
    for node in {pod.node for pod in change.pods}:
        late = cluster.fork()
        late.set_labels(node, {"changed": "yes"})
        then = books(late)
        with pytest.raises(ta.StaleError, match="since the plan was made"):
            late.commit(change)
        assert books(late) == then
    # Likewise a second time.
    if change.moves:
        then = books(fork)
        with pytest.raises((ta.StaleError, ta.StateError)):
            fork.commit(change)
        assert books(fork) == then


def test_explanation_of_a_refusal_names_gangs_and_what_helps() -> None:
    cluster = racks(2, 2)
    for name, gpus in (("a", 3), ("b", 3), ("c", 2)):
        cluster.commit(cluster.place(gang(name, gpus, 1)))
    change = cluster.drain(["n00", "n01", "n10"])
    why = change.explanation
    assert why is change.explanation
    assert why.gangs == ("b", "c")
    assert why.given == ("3 nodes drained: n00, n01 and n10",)
    assert [part.path for part in why.conflict] == [
        "gang:b/podsets[0].count",
        "gang:c/podsets[0].count",
    ]
    assert [line.podset for line in why.counts] == ["b/w", "c/w"]
    assert why.complete
    assert str(why) == why.prose
    found = cluster.drain("n00").explanation
    assert (found.conflict, found.gangs, found.cost["nodes"]) == ((), (), 1)
    assert "unmet.a/w" in found.cost
    document = json.loads(json.dumps(why.to_dict()))
    schema = json.loads((SCHEMAS / "gang_explanation.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert not change.explain(max_steps=0).complete
    with pytest.raises(ta.InvalidRequestError, match="max_steps"):
        change.explain(max_steps=-1)


def test_explanation_is_of_the_state_that_was_asked() -> None:
    cluster = racks(2, 1)
    cluster.commit(cluster.place(gang("a", 4, 2, require=[ta.Within("rack")])))
    change = cluster.replace("a", ["n00"])
    assert not change
    prose = str(cluster.fork().replace("a", ["n00"]).explanation)
    cluster.release("a")
    assert str(change.explanation) == prose
    assert "It fits with w in one block" not in prose
    assert "It fits without w: all pods in one rack.\n" in prose


def test_refusal_and_doubt_are_answers() -> None:
    cluster = racks(1, 1)
    cluster.commit(cluster.place(gang("a", 4, 2)))
    change = cluster.drain("n00")
    assert not change
    assert (change.status, change.cost, change.moves) == (
        ta.Status.INFEASIBLE,
        None,
        [],
    )
    with pytest.raises(ta.StateError, match="want one that"):
        cluster.commit(change)
    undecided = cluster.preempt(gang("b", 1, 1, priority=1), max_steps=0)
    assert undecided.status is ta.Status.UNKNOWN
    with pytest.raises(ta.UndecidedError, match="want a larger max_steps") as caught:
        bool(undecided)
    assert caught.value.verdict is undecided


def test_unknown_names_are_guessed(cluster: ta.Cluster) -> None:
    before = books(cluster)
    cluster.commit(cluster.place(gang("train-3", 1, 1)))
    with pytest.raises(ta.StateError, match=r"'train3' .* mean 'train-3'\?\)$"):
        cluster.replace("train3", ["n00"])
    with pytest.raises(ta.StateError, match=r"'train3' .* mean 'train-3'\?\)$"):
        cluster.grow("train3")
    with pytest.raises(ta.StateError, match=r"'n0l' .* mean 'n\d+'\?\)$"):
        cluster.drain(["n00", "n0l"])
    with pytest.raises(ta.StateError, match=r"want one that does$"):
        cluster.grow("x")
    cluster.release("train-3")
    assert books(cluster) == before


def test_cost_of_a_drain_names_the_preferences_of_each_gang() -> None:
    cluster = racks(1, 3)
    for name in ("a", "b"):
        prefer = [ta.Within("rack")]
        cluster.commit(cluster.place(gang(name, 1, 2, prefer=prefer)))
    change = cluster.drain("n00")
    assert change.cost is not None
    assert dict(change.cost.unmet) == {"a/w": 0, "b/w": 0}
    assert change.cost.domains == {"rack": 1}


# --- against enumeration ---


class Pod(NamedTuple):
    gang: int
    number: int
    node: int | None


class Model:
    """Nodes with so many free GPUs, and Gangs of one PodSet, all plain numbers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pick = self.random
        self.rack = [r for r in range(2) for _ in range(pick.randint(1, 2))]
        self.cluster = racks(self.rack.count(0), self.rack.count(1))
        self.nodes = self.cluster.nodes
        self.gangs: list[ta.Gang] = []
        for i in range(pick.randint(1, 3)):
            self.try_to_run(self.random_gang(f"g{i}"))
        for i in range(pick.randint(0, 1)):
            self.try_to_run(self.random_gang(f"h{i}"))
        if pick.random() < 0.5 and len(self.gangs) > 1:
            self.cluster.release(self.gangs.pop(0).name)

    def random_gang(self, name: str) -> ta.Gang:
        pick = self.random
        count = pick.randint(1, 3)
        return gang(
            name,
            pick.randint(1, GPUS),
            count,
            pick.randint(0, 2),
            min_count=pick.randint(1, count),
            require=pick.choice([[], [ta.Within("rack")], [ta.Spread("node", 1)]]),
        )

    def try_to_run(self, wanted: ta.Gang) -> None:
        plan = self.cluster.place(wanted)
        if plan:
            self.cluster.commit(plan)
            self.gangs.append(wanted)

    def pods(self) -> list[Pod]:
        running = self.cluster.gangs
        return [
            Pod(g, pod.index, self.nodes.index(pod.node))
            for g, one in enumerate(self.gangs)
            for pod in running[one.name].pods
        ]

    def gpus(self, wanted: ta.Gang) -> int:
        return wanted.podsets[0].request.devices["gpu"].count

    def keeps_rules(self, wanted: ta.Gang, nodes: Sequence[int]) -> bool:
        for rule in wanted.podsets[0].require:
            if isinstance(rule, ta.Within) and len({self.rack[n] for n in nodes}) > 1:
                return False
            if isinstance(rule, ta.Spread) and len({*nodes}) < len(nodes):
                return False
        return True

    def holds(self, pods: Sequence[tuple[ta.Gang, int]]) -> bool:
        """Say whether pods (Gang, node) have room and keep the rules of all."""
        used = [0] * len(self.nodes)
        for wanted, node in pods:
            used[node] += self.gpus(wanted)
        return max(used) <= GPUS and all(
            self.keeps_rules(wanted, [node for other, node in pods if other is wanted])
            for wanted in {id(wanted): wanted for wanted, _ in pods}.values()
        )

    def plans(
        self, stay: list[tuple[ta.Gang, int]], new: list[ta.Gang], barred: set[int]
    ) -> Iterator[list[tuple[ta.Gang, int]]]:
        """Yield every way to put new pods beside those that stay."""
        free = [n for n in range(len(self.nodes)) if n not in barred]
        for nodes in itertools.product(free, repeat=len(new)):
            pods = [*stay, *zip(new, nodes, strict=True)]
            if self.holds(pods):
                yield pods

    def key(
        self, pods: list[tuple[ta.Gang, int]], of: list[ta.Gang]
    ) -> tuple[int, ...]:
        """Return the terms of the cost that are counted here: racks and nodes."""
        nodes = {node for wanted, node in pods if any(wanted is one for one in of)}
        return len({self.rack[n] for n in nodes}), len(nodes)

    def refill(self, of: ta.Gang, lost: list[Pod], upper: int, lower: int) -> Any:
        """Return the least (short, racks, nodes) of a replace or grow, or None."""
        pods = [pod for pod in self.pods() if pod not in lost]
        stay = [(self.gangs[pod.gang], pod.node or 0) for pod in pods]
        own = sum(wanted is of for wanted, _ in stay)
        barred = {pod.node or 0 for pod in lost}
        for count in range(upper, max(lower, own) - 1, -1):
            found = [
                (of.podsets[0].count - count, *self.key(plan, [of]))
                for plan in self.plans(stay, [of] * (count - own), barred)
            ]
            if found:
                return min(found)
        return None


def cost_key(change: ta.ClusterChange) -> tuple[int, ...] | None:
    cost = change.cost
    return None if cost is None else (cost.short, cost.domains["rack"], cost.nodes)


SEEDS = range(150)


@pytest.mark.parametrize("seed", SEEDS)
def test_replace_and_grow_agree_with_enumeration(seed: int) -> None:
    model = Model(seed)
    if not model.gangs:
        return
    of = model.gangs[0]
    runs = [pod for pod in model.pods() if pod.gang == 0]
    failed = runs[0].node
    lost = [pod for pod in runs if pod.node == failed]
    least = of.podsets[0].min_count or 0
    change = model.cluster.replace(of.name, [model.nodes[failed or 0]])
    assert change.status is not ta.Status.UNKNOWN
    want = model.refill(of, lost, len(runs), min(len(runs), least))
    assert cost_key(change) == want
    moved = {(move.podset, move.index) for move in change.moves}
    assert moved == ({("w", pod.number) for pod in lost} if change else set())
    change = model.cluster.grow(of.name)
    want = model.refill(of, [], of.podsets[0].count, max(len(runs), least))
    assert cost_key(change) == want


@pytest.mark.parametrize("seed", SEEDS)
def test_drain_agrees_with_enumeration(seed: int) -> None:
    model = Model(seed)
    pods = model.pods()
    gone = [pod for pod in pods if pod.node == 0]
    stay = [(model.gangs[pod.gang], pod.node or 0) for pod in pods if pod.node != 0]
    new = [model.gangs[pod.gang] for pod in gone]
    found = [model.key(plan, new) for plan in model.plans(stay, new, {0})]
    change = model.cluster.drain(model.nodes[0])
    assert change.status is not ta.Status.UNKNOWN
    assert bool(change) == bool(found)
    if gone and change:
        assert cost_key(change) == (0, *min(found))
        assert [(move.gang, move.index) for move in change.moves] == sorted(
            (model.gangs[pod.gang].name, pod.number) for pod in gone
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_preempt_agrees_with_enumeration(seed: int) -> None:
    model = Model(seed)
    wanted = model.random_gang("wanted")
    pods = model.pods()
    lower = [i for i, one in enumerate(model.gangs) if one.priority < wanted.priority]
    best = None
    for size in range(len(lower) + 1):
        for victims in itertools.combinations(lower, size):
            stay = [
                (model.gangs[pod.gang], pod.node or 0)
                for pod in pods
                if pod.gang not in victims
            ]
            new = [wanted] * (wanted.podsets[0].min_count or 0)
            if not any(model.plans(stay, new, set())):
                continue
            key = (
                max((model.gangs[v].priority for v in victims), default=-1),
                len(victims),
                sum(pod.gang in victims for pod in pods),
                tuple(sorted(model.gangs[v].name for v in victims)),
            )
            best = key if best is None else min(best, key)
    change = model.cluster.preempt(wanted)
    assert change.status is not ta.Status.UNKNOWN
    assert bool(change) == (best is not None)
    if best is not None:
        assert change.victims == best[3]
        assert change.is_least
        assert change.least == best[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_defragment_agrees_with_enumeration(seed: int) -> None:
    model = Model(seed)
    wanted = model.random_gang("wanted")
    new = [wanted] * (wanted.podsets[0].min_count or 0)
    pods = model.pods()
    fewest = None
    for size in range(len(pods) + 1):
        for moved in itertools.combinations(pods, size):
            stay = [
                (model.gangs[pod.gang], pod.node or 0)
                for pod in pods
                if pod not in moved
            ]
            again = [model.gangs[pod.gang] for pod in moved]
            if any(True for _ in model.plans(stay, [*new, *again], set())):
                fewest = size
                break
        if fewest is not None:
            break
    change = model.cluster.defragment(wanted)
    assert change.status is not ta.Status.UNKNOWN
    assert bool(change) == (fewest is not None)
    if fewest is not None:
        assert sum(move.before is not None for move in change.moves) == fewest
        assert (change.least, change.is_least) == (fewest, True)


def test_enumerations_meet_every_answer() -> None:
    seen = set()
    for seed in SEEDS:
        model = Model(seed)
        wanted = model.random_gang("wanted")
        seen.add(("preempt", bool(model.cluster.preempt(wanted))))
        change = model.cluster.defragment(wanted)
        seen.add(("defragment", bool(change)))
        seen |= {("moved", True)} if change and change.least else set()
        seen.add(("drain", bool(model.cluster.drain(model.nodes[0]))))
        if model.gangs:
            name = model.gangs[0].name
            node = model.cluster.gangs[name].pods[0].node
            seen.add(("replace", bool(model.cluster.replace(name, [node]))))
    answers = {(name, is_yes) for name, is_yes in seen if name != "moved"}
    assert len(answers) == 8
    assert ("moved", True) in seen


# --- score ---


def test_score_orders_nodes_by_what_is_left() -> None:
    cluster = racks(3)
    cluster.node("n01").allocate(ta.Request(devices={"gpu": 2}), owner="a")
    cluster.node("n02").allocate(ta.Request(devices={"gpu": 4}), owner="a")
    request = ta.Request(devices={"gpu": 1})
    assert cluster.score(request) == {"n00": 1, "n01": 100, "n02": 0}
    cluster.cordon("n01")
    assert cluster.score(request) == {"n00": 100, "n01": 0, "n02": 0}


# --- threads ---


def test_threads_change_one_cluster_and_nothing_is_lost() -> None:
    cluster = racks(3, 3)
    before = books(cluster)

    def work(worker: int) -> int:
        pick = random.Random(worker)
        done = 0
        for turn in range(12):
            name = f"t{worker}-{turn}"
            copy_ = cluster.fork()
            wanted = gang(name, pick.randint(1, 2), 2, priority=pick.randint(0, 1))
            plan = copy_.place(wanted)
            try:
                if plan:
                    cluster.commit(plan)
                    done += 1
                    node = cluster.gangs[name].pods[0].node
                    change = cluster.fork().replace(name, [node])
                    if change:
                        cluster.commit(change)
                    cluster.release(name)
            except ta.StaleError:
                # Another thread was first: nothing of it was done.
                if name in cluster.gangs:
                    cluster.release(name)
        return done

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) > 0
    assert not cluster.gangs
    assert books(cluster) == before
