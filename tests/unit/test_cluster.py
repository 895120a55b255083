# SPDX-License-Identifier: Apache-2.0
"""Cluster: nodes, their Domains, what runs on them, and what calls refuse."""

from __future__ import annotations

import copy
import json
import pickle
import random
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import topoalloc as ta
from topoalloc import _core

SCHEMAS = Path(ta.__file__).parent / "schemas"
ONE_GPU = ta.Request(cores=4, devices={"gpu": 1})
NODE = ta.Request(devices={"gpu": 8})


@pytest.fixture(scope="module")
def dgx() -> ta.Machine:
    return ta.Machine.preset("dgx-h100")


@pytest.fixture
def cluster(dgx: ta.Machine) -> ta.Cluster:
    """Return two racks of two nodes in each of two blocks; an NVLink domain across."""
    cluster = ta.Cluster(trees={"network": ["block", "rack"], "nvlink": ["domain"]})
    cluster.add_nodes(
        [f"n{i}" for i in range(8)],
        dgx,
        domains={
            "block": ["b0"] * 4 + ["b1"] * 4,
            "rack": [f"r{i // 2}" for i in range(8)],
            "domain": ["even", "odd"] * 4,
        },
    )
    return cluster


def gang(
    count: int, request: ta.Request = NODE, name: str = "g", **rules: Any
) -> ta.Gang:
    return ta.Gang(name, [ta.PodSet("worker", request, count, **rules)])


def books(cluster: ta.Cluster) -> dict[str, Any]:
    """Return all that a Cluster holds, to compare by value."""
    cluster.check_consistency()
    return {
        name: (cluster.node(name).state_dict(), cluster.describe(name)[2:])
        for name in cluster.nodes
    }


# --- nodes ---


def test_levels_stand_in_declared_order(cluster: ta.Cluster) -> None:
    assert cluster.levels == ("block", "rack", "domain")
    assert cluster.trees == {"network": ("block", "rack"), "nvlink": ("domain",)}
    assert ta.Cluster(levels=["a", "b"]).levels == ("a", "b")
    assert repr(cluster) == "<Cluster block, rack, domain: 8 nodes, policy pack>"
    assert ta.Cluster(levels=["a"], policy="spread").policy == ta.Policy("spread")


def test_nodes_stand_in_node_order(dgx: ta.Machine) -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_node("first", dgx)
    cluster.add_nodes(["b", "a"], dgx, domains={"rack": "r2"})
    cluster.add_node("last", dgx, domains={"rack": "r1"})
    cluster.add_node("empty", dgx, domains={"rack": None})
    # A missing value comes after all others; equal ones stand as they came.
    assert cluster.nodes == ["last", "b", "a", "first", "empty"]
    assert len(cluster) == 5


def test_describe_says_what_was_given(cluster: ta.Cluster, dgx: ta.Machine) -> None:
    taints = [ta.Taint("new", "yes", "NoExecute")]
    cluster.add_node(
        "extra",
        dgx,
        domains={"block": "b0", "rack": None},
        labels={"pool": "h100", "none": None},
        taints=taints,
        reserved_pus=[0, 1, 112],
    )
    found = cluster.describe("extra")
    assert found.machine is dgx
    assert found == (
        "extra",
        dgx,
        {"block": "b0"},
        {"pool": "h100"},
        tuple(taints),
        "0-1,112",
        False,
    )
    assert cluster.node("extra").machine is dgx
    assert cluster.node("extra").free_pus == "2-111,113-223"


def test_columns_are_one_value_or_one_for_each(dgx: ta.Machine) -> None:
    cluster = ta.Cluster(levels=["block", "rack"])
    small = ta.Machine.from_synthetic("pack:1 core:2 pu:1")
    cluster.add_nodes(
        np.array(["n0", "n1"]),
        [dgx, small],
        domains={"block": "b0", "rack": np.array(["r0", "r1"])},
        labels={"index": ("0", None), "pool": "x", "none": None},
    )
    first, second = (cluster.describe(name) for name in ("n0", "n1"))
    assert (first.machine, second.machine) == (dgx, small)
    assert (first.domains, second.domains) == (
        {"block": "b0", "rack": "r0"},
        {"block": "b0", "rack": "r1"},
    )
    assert (first.labels, second.labels) == ({"index": "0", "pool": "x"}, {"pool": "x"})


def test_no_names_add_no_node(cluster: ta.Cluster, dgx: ta.Machine) -> None:
    cluster.add_nodes([], dgx, domains={"rack": []})
    assert len(cluster) == 8


def test_equal_states_are_stored_once(dgx: ta.Machine) -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes([f"n{i:04}" for i in range(1000)], dgx)
    assert cluster.state_count == 1
    cluster.node("n0007").take(owner="x", pus="0")
    assert cluster.state_count == 2
    cluster.node("n0007").release("x")
    assert cluster.state_count == 1


@pytest.mark.parametrize("bad", ["twice", "known", "level", "value", "machine"])
def test_all_nodes_are_added_or_none(
    cluster: ta.Cluster, dgx: ta.Machine, bad: str
) -> None:
    before = books(cluster)
    names = ["x", "y", "x" if bad == "twice" else "n3" if bad == "known" else "z"]
    level = "zone" if bad == "level" else "rack"
    values: list[Any] = ["r0", "r1", 3 if bad == "value" else "r2"]
    machines: list[Any] = [dgx, dgx, None if bad == "machine" else dgx]
    error = ta.StateError if bad in ("twice", "known") else ta.InvalidRequestError
    with pytest.raises(error, match=r": .*, want "):
        cluster.add_nodes(names, machines, domains={level: values})
    assert books(cluster) == before


def test_remove_takes_idle_nodes_alone(cluster: ta.Cluster) -> None:
    cluster.node("n0").take(owner="system", pus="0")
    with pytest.raises(ta.StateError, match="node: 'n0' holds Placements"):
        cluster.remove_node("n0")
    cluster.node("n0").release("system")
    cluster.remove_node("n0")
    assert cluster.nodes == [f"n{i}" for i in range(1, 8)]
    with pytest.raises(ta.StateError, match="node: 'n0' is not in the Cluster"):
        cluster.remove_node("n0")


def test_allocator_of_a_removed_node_is_of_no_use(
    cluster: ta.Cluster, dgx: ta.Machine
) -> None:
    old = cluster.node("n0")
    cluster.remove_node("n0")
    uses: list[Callable[[], object]] = [
        lambda: old.check(ONE_GPU),
        lambda: old.allocate(ONE_GPU, owner="x"),
        lambda: old.free_pus,
        lambda: old.headroom(ONE_GPU),
        lambda: old.cordon("gpu0"),
        old.fork,
    ]
    for use in uses:
        with pytest.raises(ta.StateError, match="'n0' is not in the Cluster"):
            use()
    # Another kind of node of that name must not be read as one of the old kind.
    cluster.add_node("n0", ta.Machine.from_synthetic("pack:1 core:2 pu:1"))
    for use in uses:
        with pytest.raises(ta.StateError, match="'n0' is of another Machine now"):
            use()
    assert old.machine is dgx
    assert cluster.node("n0").free_pus == "0-1"


def test_cordoned_node_takes_no_pod_and_keeps_what_it_has(cluster: ta.Cluster) -> None:
    plan = cluster.place(gang(1))
    cluster.commit(plan)
    (node,) = plan.nodes
    for name in cluster.nodes:
        cluster.cordon(name)
    verdict = cluster.check(gang(1, name="h"))
    assert (verdict.status, verdict.reason) == (ta.Status.INFEASIBLE, "NoEligibleNode")
    assert cluster.describe(node).is_cordoned
    assert len(cluster.gangs["g"].pods) == 1
    assert all(entry.count == 0 for entry in cluster.headroom(NODE))
    cluster.uncordon("n5")
    assert [*cluster.place(gang(1, name="h")).nodes] == ["n5"]


def test_labels_taints_and_domains_are_replaced(cluster: ta.Cluster) -> None:
    wants = gang(1, where={"pool": ta.OneOf("a", "b"), "tier": ta.Not("slow")})
    assert cluster.check(wants).reason == "NoEligibleNode"
    cluster.set_labels("n2", {"pool": "a", "tier": "slow"})
    assert not cluster.check(wants)
    cluster.set_labels("n2", {"pool": "a", "tier": "fast", "none": None})
    assert [*cluster.place(wants).nodes] == ["n2"]
    assert cluster.describe("n2").labels == {"pool": "a", "tier": "fast"}
    cluster.set_taints("n2", [ta.Taint("new", "1")])
    assert not cluster.check(wants)
    for toleration in (
        ta.Toleration(),
        ta.Toleration("new"),
        ta.Toleration("new", "1", "NoSchedule"),
    ):
        podset = ta.PodSet(
            "worker", NODE, 1, where=wants.podsets[0].where, tolerations=[toleration]
        )
        assert cluster.check(ta.Gang("g", [podset]))
    cluster.set_taints("n2", [])
    cluster.set_domains("n2", {"domain": "alone"})
    assert cluster.describe("n2").domains == {"domain": "alone"}
    assert cluster.nodes[-1] == "n2"
    assert not cluster.check(
        gang(1, where=wants.podsets[0].where, require=[ta.Within("rack")])
    )


# --- the Allocator of a node ---


def test_node_is_the_clusters_own(cluster: ta.Cluster) -> None:
    node = cluster.node("n3")
    assert isinstance(node, ta.Allocator)
    node.allocate(ONE_GPU, owner="mine")
    assert cluster.node("n3").placements.keys() == {"mine"}
    assert cluster.headroom(NODE)[3] == (("n3",), 0, 0)
    assert cluster.headroom(ONE_GPU)[3] == (("n3",), 7, 7)
    node.release("mine")
    node.cordon("gpu3")
    assert cluster.headroom(ONE_GPU)[3] == (("n3",), 7, 7)
    cluster.check_consistency()


def test_fork_of_a_node_is_its_own(cluster: ta.Cluster) -> None:
    copy = cluster.node("n3").fork()
    copy.allocate(ONE_GPU, owner="mine")
    assert cluster.node("n3").placements == {}
    assert ta.Allocator.restore(cluster.node("n3").snapshot()).free_pus == "0-223"


def test_node_outlives_its_cluster(dgx: ta.Machine) -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_node("n0", dgx)
    node = cluster.node("n0")
    del cluster
    assert node.allocate(ONE_GPU, owner="x").devices == ("gpu0",)


def test_machines_of_removed_nodes_are_given_up() -> None:
    machine = small()
    before = sys.getrefcount(machine)
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["a", "b"], machine)
    cluster.remove_node("a")
    assert cluster.describe("b").machine is machine
    fork = cluster.fork()
    with pytest.raises(ta.StateError, match="'b'"):
        cluster.add_node("b", machine)
    assert sys.getrefcount(machine) > before
    cluster.remove_node("b")
    assert sys.getrefcount(machine) > before  # The fork has a node of it.
    fork.remove_node("b")
    assert sys.getrefcount(machine) == before


def test_machine_of_a_running_pod_outlives_its_nodes() -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_node("a", small())
    cluster.commit(cluster.place(gang(1, ta.Request(cores=1))))
    digest = cluster.describe("a").machine.digest
    cluster.node("a").release("g/worker/0")
    cluster.remove_node("a")
    assert cluster.gangs["g"].pods == []
    (lost,) = cluster.gangs["g"].lost
    assert (lost.podset, lost.index, lost.node) == ("worker", 0, "a")
    assert lost.placement.machine is not None
    cluster.add_node("b", small())
    (move,) = cluster.replace("g", []).moves
    pod = move.before
    assert pod is not None
    assert isinstance(pod.placement.machine, ta.Machine)
    assert pod.placement.machine.digest == digest
    assert (pod.placement.cpuset, pod.node) == ("0", "a")


def test_gangs_are_those_of_now_in_a_fork_and_after_a_release() -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["a", "b"], small())
    cluster.commit(cluster.place(gang(4, ta.Request(cores=1))))

    def pods(of: ta.Cluster) -> tuple[list[int], list[int]]:
        running = of.gangs["g"]
        return [pod.index for pod in running.pods], [p.index for p in running.lost]

    before = cluster.gangs
    fork = cluster.fork()
    node = fork.gangs["g"].pods[1].node
    fork.node(node).release("g/worker/1")
    assert pods(fork) == ([0, 2, 3], [1])
    assert pods(cluster) == ([0, 1, 2, 3], [])
    fork.release("g", pods=[("worker", 0)])
    assert pods(fork) == ([2, 3], [1])
    # Placed anew, it has its place again; what lost it can be forgotten, too.
    fork.commit(fork.replace("g", []))
    assert pods(fork) == ([1, 2, 3], [])
    fork.node(fork.gangs["g"].pods[2].node).release("g/worker/3")
    fork.release("g", pods=[("worker", 3)])
    assert pods(fork) == ([1, 2], [])
    fork.check_consistency()
    assert cluster.gangs == before


def test_change_is_refused_where_an_owner_has_the_name_of_a_pod() -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["a", "b"], small())
    cluster.commit(cluster.place(gang(1, ta.Request(cores=1))))
    cluster.node("b").allocate(ta.Request(cores=1), owner="g/worker/0")
    with pytest.raises(ta.StateError, match="'g/worker/0' holds a Placement on 'b'"):
        cluster.replace("g", ["a"])
    with pytest.raises(ta.StateError, match="'g/worker/0' holds a Placement on 'b'"):
        cluster.drain("a")
    # It is no pod: the Gang leaves it alone.
    assert [pod.node for pod in cluster.gangs["g"].pods] == ["a"]
    cluster.release("g")
    assert [*cluster.node("b").placements] == ["g/worker/0"]
    cluster.node("b").release("g/worker/0")
    cluster.check_consistency()


@pytest.mark.parametrize("is_adopted", [False, True])
def test_pods_of_a_full_node_are_released_in_any_order(is_adopted: bool) -> None:
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_node("a", ta.Machine.from_synthetic("pack:2 core:32 pu:1"))
    cluster.commit(cluster.place(gang(64, ta.Request(cores=1))))
    if is_adopted:
        cluster = ta.Cluster.from_dict(cluster.to_dict())
    order = random.Random(64).sample(range(64), 64)
    for some in (order[:40], order[40:41], order[41:63]):
        cluster.release("g", pods=[("worker", i) for i in some])
        cluster.check_consistency()
    assert [pod.index for pod in cluster.gangs["g"].pods] == order[63:]
    assert [*cluster.node("a").placements] == [f"g/worker/{order[63]}"]


# --- check and place ---


def test_check_says_yes_no_or_nothing(cluster: ta.Cluster) -> None:
    yes, no = cluster.check(gang(8)), cluster.check(gang(9))
    assert (yes.status, yes.reason, yes.podset) == (ta.Status.FEASIBLE, "Fits", None)
    assert yes
    assert (no.status, no.reason) == (ta.Status.INFEASIBLE, "NotEnoughRoom")
    assert no.podset == "worker"
    assert not no
    assert no.gang == gang(9)
    unknown = cluster.check(gang(8), max_steps=0)
    assert (unknown.status, unknown.reason) == (ta.Status.UNKNOWN, "StepLimit")
    assert unknown.max_steps == 0
    with pytest.raises(ta.UndecidedError, match="UNKNOWN after") as caught:
        bool(unknown)
    assert caught.value.verdict is unknown
    assert books(cluster) == books(cluster.fork())


def test_place_gives_pods_in_rank_order(cluster: ta.Cluster) -> None:
    podsets = [
        ta.PodSet("leader", ta.Request(cores=2), 1),
        ta.PodSet("worker", ta.Request(devices={"gpu": 4}), 4),
    ]
    group = ta.Group("all", ["leader", "worker"], require=[ta.Within("rack")])
    plan = cluster.place(ta.Gang("g", podsets, [group]))
    assert plan
    assert (plan.status, plan.reason) == (ta.Status.OPTIMAL, "Placed")
    assert [(pod.podset, pod.index) for pod in plan.pods] == [
        ("leader", 0),
        *(("worker", i) for i in range(4)),
    ]
    podset, index, node, placement = plan.pods[-1]
    assert (podset, index, node) == ("worker", 3, "n1")
    assert isinstance(placement, ta.Placement)
    assert placement.devices == ("gpu4", "gpu5", "gpu6", "gpu7")
    assert placement.owner == "g/worker/3"
    assert placement.machine is cluster.describe("n1").machine
    assert {name: len(pods) for name, pods in plan.nodes.items()} == {"n0": 3, "n1": 2}
    assert [pod for pods in plan.nodes.values() for pod in pods] == sorted(
        plan.pods, key=lambda pod: pod.node
    )
    assert repr(plan) == "<GangPlan 'g': OPTIMAL, Placed, 5 pods on 2 nodes>"
    assert cluster.gangs == {}


def test_cost_is_by_name(cluster: ta.Cluster) -> None:
    cluster.node("n0").take(owner="x", pus="0")
    podset = ta.PodSet(
        "worker",
        ONE_GPU,
        20,
        10,
        require=[ta.Within("block")],
        prefer=[ta.Within("node"), ta.Within("rack"), ta.Spread("rack", 20)],
    )
    gang = ta.Gang("g", [podset], [ta.Group("all", ["worker"], prefer=[])])
    cost = cluster.place(gang).cost
    assert cost == ta.GangCost(
        short=0,
        unmet={"worker": 2, "all": 0},
        domains={"block": 1, "rack": 2, "domain": 2},
        nodes=3,
        waste=4,
        opened={"block": 0, "rack": 1, "domain": 1},
    )
    assert cost.terms == (0, 2, 0, 1, 2, 2, 3, 4, 0, 1, 1)
    assert json.loads(json.dumps(cost.to_dict()))["opened"]["rack"] == 1


def test_short_pods_are_the_first_term(cluster: ta.Cluster) -> None:
    plan = cluster.place(gang(12, min_count=3))
    assert plan.cost is not None
    assert (plan.cost.short, len(plan.pods)) == (4, 8)
    none = cluster.place(
        gang(3, ta.Request(devices={"gpu": 1}, cores=100), min_count=0)
    )
    assert none.cost is not None


def test_no_is_a_plan_without_pods(cluster: ta.Cluster) -> None:
    plan = cluster.place(gang(3, require=[ta.Within("rack")]))
    assert not plan
    assert (plan.status, plan.reason) == (ta.Status.INFEASIBLE, "PodSetConflict")
    assert (plan.pods, plan.nodes, plan.cost) == ([], {}, None)
    assert plan.verdict.podset == "worker"
    with pytest.raises(ta.StateError, match="plan: no pods, want"):
        cluster.commit(plan)
    undecided = cluster.place(gang(3), max_steps=0)
    assert undecided.status is ta.Status.UNKNOWN
    assert undecided.cost is None
    with pytest.raises(ta.UndecidedError, match="want a larger max_steps"):
        bool(undecided)


def test_groups_conflict_where_podsets_do_not(cluster: ta.Cluster) -> None:
    podsets = [ta.PodSet(name, NODE, 2, require=[ta.Within("rack")]) for name in "ab"]
    group = ta.Group("both", ["a", "b"], require=[ta.Within("rack")])
    verdict = cluster.check(ta.Gang("g", podsets, [group]))
    assert (verdict.status, verdict.reason) == (ta.Status.INFEASIBLE, "GangConflict")
    assert verdict.podset is None
    assert cluster.check(ta.Gang("g", podsets))


def test_overlapping_trees_hold_at_once(cluster: ta.Cluster) -> None:
    wants = gang(2, require=[ta.Within("block"), ta.Within("domain")])
    assert [*cluster.place(wants).nodes] == ["n0", "n2"]
    assert not cluster.check(gang(2, require=[ta.Within("rack"), ta.Within("domain")]))


@pytest.mark.parametrize(
    ("rules", "counts"),
    [
        ({"slices": [ta.Slice("rack", 16)]}, [8, 8]),
        ({"slices": [ta.Slice("rack", 4), ta.Slice("node", 2)]}, [8, 8]),
        ({"require": [ta.Spread("node", 4)]}, [4, 4, 4, 4]),
        ({"require": [ta.Spread("node", 4), ta.Balanced("rack")]}, [4, 4, 4, 4]),
        ({"require": [ta.Spread("rack", 6), ta.Balanced("rack")]}, [6, 5, 5]),
    ],
)
def test_rules_shape_the_plan(
    cluster: ta.Cluster, rules: dict[str, Any], counts: list[int]
) -> None:
    plan = cluster.place(gang(16, ONE_GPU, **rules))
    assert plan.status is ta.Status.OPTIMAL
    assert sorted((len(pods) for pods in plan.nodes.values()), reverse=True) == counts


def test_node_constraints_count(cluster: ta.Cluster) -> None:
    # 8 GPUs are free in every node, and 4 of them on each of its NUMANodes.
    local = ta.Request(devices={"gpu": 3}, require=[ta.Align("numa")])
    assert cluster.headroom(local, "rack")[0] == (("b0", "r0"), 4, 4)
    assert cluster.check(gang(16, local))
    assert cluster.check(gang(17, local)).reason == "NotEnoughRoom"
    assert cluster.check(gang(16, ta.Request(devices={"gpu": 3})))


def test_verdict_and_plan_meet_their_schemas(cluster: ta.Cluster) -> None:
    names = ("gang", "request", "placement")
    parts = [
        json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")) for name in names
    ]

    def validate(document: dict[str, Any], name: str) -> None:
        schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        schema["$defs"] = {part["$id"]: part for part in parts}
        document = json.loads(json.dumps(document))
        jsonschema.Draft202012Validator(schema).validate(document)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(document | {"status": "?"})

    for count in (1, 9):
        validate(cluster.check(gang(count)).to_dict(), "gang_verdict")
        validate(cluster.place(gang(count)).to_dict(), "gang_plan")
    document = cluster.place(gang(2)).to_dict()
    assert document["gang"] == gang(2).to_dict()
    assert [pod["node"] for pod in document["pods"]] == ["n0", "n1"]


def test_reasons_are_those_of_the_core() -> None:
    known = _core.gang_reason_names()
    schema = json.loads((SCHEMAS / "gang_verdict.json").read_text("utf-8"))
    assert schema["properties"]["reason"]["enum"] == known
    documented = re.findall(r'``"(\w+)"``', ta.GangVerdict.__doc__ or "")
    assert documented == known


# --- commit, release, fork ---


def test_release_restores_what_was(cluster: ta.Cluster) -> None:
    cluster.node("n1").take(owner="system", pus="0-3", devices=["gpu5"])
    before = books(cluster)
    cluster.commit(cluster.place(gang(20, ONE_GPU)))
    assert books(cluster) != before
    cluster.release("g")
    assert books(cluster) == before
    assert cluster.gangs == {}


def test_some_pods_are_released(cluster: ta.Cluster) -> None:
    cluster.commit(cluster.place(gang(12, ONE_GPU)))
    cluster.release("g", pods=[("worker", 3), ("worker", 7)])
    assert [pod.index for pod in cluster.gangs["g"].pods] == [
        i for i in range(12) if i not in (3, 7)
    ]
    assert "g/worker/3" not in cluster.node("n0").placements
    before = books(cluster)
    for wrong in ([("worker", 3)], [("other", 0)], [("worker", 0), ("worker", 0)]):
        with pytest.raises(ta.StateError, match=r"pods: .*, want "):
            cluster.release("g", pods=wrong)
    cluster.release("g", pods=[])
    assert books(cluster) == before
    cluster.release(
        "g", pods=((pod.podset, pod.index) for pod in cluster.gangs["g"].pods)
    )
    assert cluster.gangs == {}
    with pytest.raises(ta.StateError, match="gang: 'g' does not run"):
        cluster.release("g")


def test_gangs_say_what_runs(cluster: ta.Cluster) -> None:
    asked = gang(3, where={"a": ta.Not("b")}, tolerations=[ta.Toleration("t")])
    for name in cluster.nodes:
        cluster.set_labels(name, {"a": "c"})
    plan = cluster.place(asked)
    cluster.commit(plan)
    running = cluster.gangs["g"]
    assert running.gang == asked
    assert running.pods == plan.pods
    for pod in running.pods:
        assert cluster.node(pod.node).placements[pod.placement.owner or ""] == (
            pod.placement
        )
    with pytest.raises(ta.StateError, match="gang: 'g' runs already"):
        cluster.commit(plan)


def test_gang_is_released_though_a_node_of_it_is_gone(cluster: ta.Cluster) -> None:
    cluster.commit(cluster.place(gang(3)))
    cluster.node("n1").release("g/worker/1")
    cluster.remove_node("n1")
    cluster.check_consistency()
    kept = cluster.fork()
    kept.release("g", pods=[("worker", 1)])
    assert [pod.node for pod in kept.gangs["g"].pods] == ["n0", "n2"]
    cluster.release("g")
    assert cluster.gangs == {}
    assert cluster.state_count == 1


def test_plan_of_what_has_changed_is_stale(cluster: ta.Cluster) -> None:
    changes: list[Callable[[], object]] = [
        lambda: cluster.node("n0").take(owner="x", pus="0"),
        lambda: cluster.node("n0").cordon("gpu0"),
        lambda: cluster.cordon("n0"),
        lambda: cluster.set_labels("n0", {"a": "b"}),
        lambda: cluster.set_taints("n0", [ta.Taint("a")]),
        lambda: cluster.set_domains("n0", {"block": "b9"}),
        lambda: cluster.remove_node("n0"),
    ]
    for change in changes:
        start = cluster.fork()
        plan = cluster.place(gang(8))
        change()
        with pytest.raises(ta.StaleError, match=r"plan: node 'n0' .* since the plan"):
            cluster.commit(plan)
        assert cluster.gangs == {}
        start.commit(plan)  # Unchanged there.
        for name in ("n1", "n0"):
            if name in cluster.nodes:
                cluster.uncordon(name)
                cluster.set_taints(name, [])
                cluster.node(name).uncordon("gpu0")
                if "x" in cluster.node(name).placements:
                    cluster.node(name).release("x")


def test_change_elsewhere_leaves_a_plan_good(cluster: ta.Cluster) -> None:
    plan = cluster.place(gang(2))
    assert [*plan.nodes] == ["n0", "n1"]
    cluster.node("n7").take(owner="x", pus="0")
    cluster.remove_node("n6")
    cluster.commit(plan)
    assert len(cluster.gangs["g"].pods) == 2


def test_fork_is_independent(cluster: ta.Cluster, dgx: ta.Machine) -> None:
    cluster.commit(cluster.place(gang(2)))
    before = books(cluster)
    fork = cluster.fork()
    assert type(fork) is ta.Cluster
    assert books(fork) == before
    assert fork.node("n0").machine is dgx
    fork.release("g")
    fork.commit(fork.place(gang(8, name="h")))
    fork.add_node("extra", dgx)
    fork.cordon("extra")
    assert books(cluster) == before
    assert cluster.gangs.keys() == {"g"}
    after = books(fork)
    cluster.release("g")
    cluster.remove_node("n7")
    assert books(fork) == after
    assert fork.gangs.keys() == {"h"}


def test_plan_of_a_fork_is_committed_to_its_origin(
    cluster: ta.Cluster, dgx: ta.Machine
) -> None:
    fork = cluster.fork()
    plan = fork.place(gang(4, require=[ta.Within("block")]))
    cluster.commit(plan)
    assert cluster.gangs["g"].pods == plan.pods
    late = fork.place(gang(8, name="h"))
    with pytest.raises(ta.StaleError, match="has changed since the plan was made"):
        cluster.commit(late)
    fork.add_node("extra", dgx)
    other = fork.place(gang(9, name="h"))
    with pytest.raises(ta.StaleError, match=r"was removed|has changed"):
        cluster.commit(other)


def test_plan_of_another_cluster_is_stale(cluster: ta.Cluster, dgx: ta.Machine) -> None:
    other = ta.Cluster(levels=["rack"])
    other.add_nodes(cluster.nodes, dgx)
    with pytest.raises(ta.StaleError, match="plan: node 'n0'"):
        cluster.commit(other.place(gang(1)))


# --- threads ---


def test_threads_commit_plans_of_forks(cluster: ta.Cluster) -> None:
    """Each thread plans on a fork; nothing is lost, and nothing is taken twice."""
    barrier = threading.Barrier(8)

    def work(worker: int) -> list[str]:
        done = []
        barrier.wait()
        for i in range(8):
            name = f"{worker}-{i}"
            for _ in range(1000):
                plan = cluster.fork().place(gang(1, ONE_GPU, name))
                if not plan:
                    break
                try:
                    cluster.commit(plan)
                except ta.StaleError:
                    continue
                done.append(name)
                break
            else:
                raise AssertionError("a commit never came through")
        return done

    with ThreadPoolExecutor(8) as pool:
        done = [name for names in pool.map(work, range(8)) for name in names]
    cluster.check_consistency()
    assert len(done) == 64  # As many GPUs as there are.
    assert cluster.gangs.keys() == {*done}
    devices = [
        (pod.node, *pod.placement.devices)
        for running in cluster.gangs.values()
        for pod in running.pods
    ]
    assert len(devices) == len({*devices}) == 64
    assert cluster.check(gang(1, ONE_GPU)).reason == "NotEnoughRoom"
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(cluster.release, done)]
    assert cluster.state_count == 1


def test_threads_change_and_ask_at_once(cluster: ta.Cluster, dgx: ta.Machine) -> None:
    stop = threading.Event()

    def churn(worker: int) -> None:
        name = f"extra-{worker}"
        for _ in range(50):
            cluster.add_node(name, dgx, domains={"block": "b0", "rack": name})
            cluster.set_labels(name, {"worker": str(worker)})
            cluster.cordon(name)
            node = cluster.node(name)
            node.allocate(ONE_GPU, owner="mine")
            node.release("mine")
            cluster.remove_node(name)

    def ask() -> int:
        asked = 0
        while not stop.is_set() or asked == 0:
            assert cluster.check(gang(8))
            assert len(cluster.place(gang(8)).pods) == 8
            assert len(cluster.headroom(ONE_GPU)) >= 8
            assert len(cluster.nodes) >= 8
            asked += 1
        return asked

    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        for churning in [pool.submit(churn, worker) for worker in range(4)]:
            churning.result()
        stop.set()
        assert all(future.result() > 0 for future in asking)
    assert len(cluster) == 8
    assert cluster.state_count == 1
    cluster.check_consistency()


# --- headroom ---


def test_headroom_is_by_domain(cluster: ta.Cluster) -> None:
    cluster.node("n0").allocate(ONE_GPU, owner="x")
    cluster.set_domains("n7", {"block": "b1"})
    assert cluster.headroom(NODE, "block") == [(("b0",), 3, 3), (("b1",), 4, 4)]
    racks = cluster.headroom(NODE, level="rack")
    assert racks == [
        (("b0", "r0"), 1, 1),
        (("b0", "r1"), 2, 2),
        (("b1", "r2"), 2, 2),
        (("b1", "r3"), 1, 1),
    ]
    assert [entry.count for entry in cluster.headroom(NODE)] == [0, *[1] * 7]
    limited = cluster.headroom(NODE, max_steps=0)
    assert all(entry.count <= entry.upper for entry in limited)
    assert isinstance(limited[0], ta.DomainHeadroom)


# --- registered shapes ---


def test_registered_shape_gives_the_answers_of_others(cluster: ta.Cluster) -> None:
    """Whatever happens to the nodes, with sums that are kept and without."""
    plain = cluster.fork()
    rules: dict[str, Any] = {"slices": [ta.Slice("rack", 4)]}
    cluster.register(gang(4, ONE_GPU, **rules))
    cluster.register(gang(4, ONE_GPU, **rules))  # Once more changes nothing.
    held = cluster.fork()
    both = (cluster, plain, held)

    def compare() -> None:
        for count in (4, 8, 24, 28, 32, 36, 56, 60, 64, 68):
            for level in ("node", "rack", "block", None):
                require = [] if level is None else [ta.Within(level)]
                asked = gang(count, ONE_GPU, require=require, **rules)
                first, *others = [c.check(asked) for c in both]
                assert [(v.status, v.reason, v.podset) for v in others] == [
                    (first.status, first.reason, first.podset)
                ] * 2
        for each in both:
            each.check_consistency()

    changes: list[Callable[[ta.Cluster], object]] = [
        len,
        lambda c: c.node("n0").allocate(ONE_GPU, owner="x"),
        lambda c: c.cordon("n3"),
        lambda c: c.commit(c.place(gang(10, ONE_GPU, name="other"))),
        lambda c: c.set_domains("n5", {"block": "b0", "rack": "r0"}),
        lambda c: c.uncordon("n3"),
        lambda c: c.release("other", pods=[("worker", 0), ("worker", 9)]),
        lambda c: c.set_taints("n1", [ta.Taint("new")]),
        lambda c: c.release("other"),
        lambda c: c.remove_node("n7"),
        lambda c: c.node("n2").cordon("gpu0"),
        lambda c: c.add_node("n8", c.describe("n1").machine, domains={"rack": "r9"}),
    ]
    for change in changes:
        for each in both:
            change(each)
        compare()


# --- what is refused ---

HUGE = 10**5000


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("rude")


def small() -> ta.Machine:
    return ta.Machine.from_synthetic("pack:1 core:2 pu:1")


Call = Callable[[ta.Cluster], object]
# What a hostile caller passes where a value of another type belongs.
WRONG: list[tuple[Call, str]] = [
    (lambda _: ta.Cluster(), "trees, levels: neither, want one of them"),
    (lambda _: ta.Cluster({"a": ["b"]}, levels=["c"]), "trees, levels: both, want one"),
    (lambda _: ta.Cluster({}), "trees: none, want at least one"),
    (lambda _: ta.Cluster(["rack"]), "trees: list, want a mapping of tree to levels"),  # type: ignore[arg-type]
    (lambda _: ta.Cluster({"a": "rack"}), "trees['a']: str, want a list of levels"),
    (lambda _: ta.Cluster({"a": []}), "trees.a: no level, want one or more"),
    (lambda _: ta.Cluster({"": ["b"]}), "trees: '', want a name"),
    (lambda _: ta.Cluster({1: ["b"]}), "trees: int, want a str"),  # type: ignore[dict-item]
    (lambda _: ta.Cluster(levels=[b"rack"]), "levels[0]: bytes, want a str"),  # type: ignore[list-item]
    (lambda _: ta.Cluster(levels=["a", "a"]), "trees.default: 'a', want different"),
    (lambda _: ta.Cluster(levels=["node"]), "trees.default: 'node', want different"),
    (
        lambda _: ta.Cluster(levels=[str(i) for i in range(17)]),
        "17 levels, want at most",
    ),
    (lambda _: ta.Cluster(levels=["a"], policy="best"), "policy: 'best', want pack or"),
    (lambda _: ta.Cluster(levels=["a"], policy=3), "policy: 3, want pack or"),  # type: ignore[arg-type]
    (lambda c: c.add_node("", small()), "name: '', want a name"),
    (lambda c: c.add_node(None, small()), "name: NoneType, want a str"),  # type: ignore[arg-type]
    (lambda c: c.add_node("a\0b", small()), "name: 'a\\x00b', want text without null"),
    (
        lambda c: c.add_node("\ud800", small()),
        "name: '\\ud800', want text without lone",
    ),
    (lambda c: c.add_node("x", None), "machine: NoneType, want a Machine"),  # type: ignore[arg-type]
    (lambda c: c.add_node("x", small(), domains=3), "domains: int, want a mapping"),  # type: ignore[arg-type]
    (
        lambda c: c.add_node("x", small(), domains={"rack": 3}),  # type: ignore[dict-item]
        "domains['rack']: int, want a str",
    ),
    (lambda c: c.add_node("x", small(), domains={"zone": "z"}), "zone"),
    (lambda c: c.add_node("x", small(), domains={"node": "z"}), "node"),
    (lambda c: c.add_node("x", small(), labels=["a"]), "labels: list, want a mapping"),  # type: ignore[arg-type]
    (
        lambda c: c.add_node("x", small(), labels={"a": b"b"}),  # type: ignore[dict-item]
        "labels['a']: bytes, want",
    ),
    (lambda c: c.add_node("x", small(), taints=["a"]), "taints[0]: str, want a Taint"),  # type: ignore[list-item]
    (lambda c: c.add_node("x", small(), taints=None), "taints: NoneType, want a list"),  # type: ignore[arg-type]
    (
        lambda c: c.add_node("x", small(), reserved_pus=None),  # type: ignore[arg-type]
        "reserved_pus: None, want a",
    ),
    (lambda c: c.add_node("x", small(), reserved_pus=[9]), "9"),
    (lambda c: c.add_nodes("abc", small()), "names: str, want a list of names"),
    (lambda c: c.add_nodes(None, small()), "names: NoneType, want a list of names"),  # type: ignore[arg-type]
    (lambda c: c.add_nodes({"a": 1}, small()), "names: dict, want a list of names"),
    (lambda c: c.add_nodes(["a", 3], small()), "names[1]: int, want a str"),  # type: ignore[list-item]
    (lambda c: c.add_nodes(["a"], Rude()), "machine: Rude, want a Machine or a list"),  # type: ignore[arg-type]
    (lambda c: c.add_nodes(["a"], []), "machine: 0 of them, want 1, one for each name"),
    (lambda c: c.add_nodes(["a"], [3]), "machine[0]: int, want a Machine"),  # type: ignore[list-item]
    (
        lambda c: c.add_nodes(["a", "b"], small(), domains={"rack": ["r0"]}),
        "domains['rack']: 1 of them, want 2, one for each name",
    ),
    (
        lambda c: c.add_nodes(["a"], small(), domains={"rack": {"a": "r0"}}),
        "domains['rack']: dict, want a str or a list of them",
    ),
    (
        lambda c: c.add_nodes(["a"], small(), domains={"rack": [Rude()]}),  # type: ignore[list-item]
        "domains['rack'][0]: Rude, want a str or None",
    ),
    (
        lambda c: c.add_nodes(["a"], small(), labels={"x": ["\ud800"]}),
        "labels['x'][0]: '\\ud800', want text without lone surrogates",
    ),
    (
        lambda c: c.add_nodes(["a"], small(), labels={"x": ["y\0"]}),
        "labels['x'][0]: 'y\\x00', want text without null characters",
    ),
    (lambda c: c.remove_node(3), "name: int, want a str"),  # type: ignore[arg-type]
    (lambda c: c.cordon(None), "name: NoneType, want a str"),  # type: ignore[arg-type]
    (lambda c: c.uncordon(b"n0"), "name: bytes, want a str"),  # type: ignore[arg-type]
    (lambda c: c.set_labels("n0", "a"), "labels: str, want a mapping"),  # type: ignore[arg-type]
    (lambda c: c.set_taints("n0", "a"), "taints: str, want a list of Taint"),  # type: ignore[arg-type]
    (lambda c: c.set_domains("n0", {"zone": "a"}), "zone"),
    (lambda c: c.describe(3), "name: int, want a str"),  # type: ignore[arg-type]
    (lambda c: c.node(3), "name: int, want a str"),  # type: ignore[arg-type]
    (lambda c: c.check(NODE), "gang: Request, want a Gang"),  # type: ignore[arg-type]
    (lambda c: c.place(None), "gang: NoneType, want a Gang"),  # type: ignore[arg-type]
    (lambda c: c.check(gang(1), max_steps=-1), "max_steps: -1, want an int of 0 to"),
    (lambda c: c.place(gang(1), max_steps=HUGE), "max_steps: a huge integer, want"),
    (lambda c: c.check(gang(1), max_steps=None), "max_steps: None, want an int"),  # type: ignore[arg-type]
    (lambda c: c.check(gang(1, require=[ta.Within("zone")])), "zone"),
    (lambda c: c.place(gang(1, slices=[ta.Slice("zone", 1)])), "zone"),
    (lambda c: c.register(None), "gang: NoneType, want a Gang"),  # type: ignore[arg-type]
    (lambda c: c.register(gang(1, require=[ta.Balanced("rack")])), "gang: 'g' has sev"),
    (lambda c: c.commit(None), "plan: NoneType, want one of Cluster.place"),  # type: ignore[arg-type]
    (lambda c: c.commit(c.check(gang(1))), "plan: GangVerdict, want one of"),  # type: ignore[arg-type]
    (lambda c: c.release(3), "gang: int, want a str"),  # type: ignore[arg-type]
    (lambda c: c.release("g", "worker"), "pods: str, want a list of (PodSet, index)"),  # type: ignore[arg-type]
    (lambda c: c.release("g", [("worker",)]), "pods[0]: ('worker',), want a pair"),  # type: ignore[list-item]
    (lambda c: c.release("g", [("worker", "0")]), "pods[0]: '0', want an int"),  # type: ignore[list-item]
    (lambda c: c.release("g", [("worker", -1)]), "pods[0]: -1, want 0 to"),
    (lambda c: c.release("g", [("worker", HUGE)]), "pods[0]: a huge integer, want 0"),
    (lambda c: c.release("g", [(None, 0)]), "pods[0]: NoneType, want a str"),  # type: ignore[list-item]
    (lambda c: c.headroom(gang(1)), "request: Gang, want a Request"),  # type: ignore[arg-type]
    (lambda c: c.headroom(NODE, level="zone"), "level: 'zone' is not declared, want a"),
    (lambda c: c.headroom(NODE, level=None), "level: NoneType, want a str"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_wrong_argument_is_refused_by_name(
    cluster: ta.Cluster, call: Call, message: str
) -> None:
    before = books(cluster)
    with pytest.raises(ta.InvalidRequestError, match=re.escape(message)) as caught:
        call(cluster)
    assert re.search(r": .*, want ", str(caught.value))
    assert books(cluster) == before


def test_list_of_pus_that_cannot_be_read_is_a_format_error(cluster: ta.Cluster) -> None:
    with pytest.raises(ta.FormatError, match="want"):
        cluster.add_node("x", small(), reserved_pus="0-")


def test_policy_with_an_order_of_its_own_is_refused() -> None:
    order = reversed(ta.Policy().order)
    own = ta.Policy("own", packing="pack", order=order)
    with pytest.raises(ta.InvalidRequestError, match=r"policy.order: .*, want the def"):
        ta.Cluster(levels=["rack"], policy=own)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.describe("x"),
        lambda c: c.node("x"),
        lambda c: c.cordon("x"),
        lambda c: c.uncordon("x"),
        lambda c: c.set_labels("x", {}),
        lambda c: c.set_taints("x", []),
        lambda c: c.set_domains("x", {}),
        lambda c: c.remove_node("x"),
    ],
)
def test_unknown_node_is_a_state_error(cluster: ta.Cluster, call: Call) -> None:
    with pytest.raises(
        ta.StateError, match="node: 'x' is not in the Cluster, want one"
    ):
        call(cluster)


HOSTILE: list[Any] = [
    *(None, True, -1, 2**64, HUGE, 1.5, float("nan"), 1j),
    *("", "\ud800", "a\0b", "n0", b"n0", bytearray(b"n0")),
    *([], [None], [[]], (), {}, {None: None}, {"rack": [HUGE]}, set(), {"n0"}),
    *(object(), Rude(), [Rude()], {"a": Rude()}, Rude, len, iter([Rude()])),
]
HOSTILE_CALLS: dict[str, Callable[[ta.Cluster, Any], object]] = {
    "trees": lambda _, x: ta.Cluster(x),
    "levels": lambda _, x: ta.Cluster(levels=x),
    "policy": lambda _, x: ta.Cluster(levels=["a"], policy=x),
    "add_node.name": lambda c, x: c.add_node(x, small()),
    "add_node.machine": lambda c, x: c.add_node("x", x),
    "add_node.domains": lambda c, x: c.add_node("x", small(), domains=x),
    "add_node.domain": lambda c, x: c.add_node("x", small(), domains={"rack": x}),
    "add_node.labels": lambda c, x: c.add_node("x", small(), labels=x),
    "add_node.label": lambda c, x: c.add_node("x", small(), labels={"a": x}),
    "add_node.taints": lambda c, x: c.add_node("x", small(), taints=x),
    "add_node.reserved_pus": lambda c, x: c.add_node("x", small(), reserved_pus=x),
    "add_nodes.names": lambda c, x: c.add_nodes(x, small()),
    "add_nodes.name": lambda c, x: c.add_nodes([x], small()),
    "add_nodes.machine": lambda c, x: c.add_nodes(["x"], x),
    "add_nodes.machines": lambda c, x: c.add_nodes(["x"], [x]),
    "add_nodes.domains": lambda c, x: c.add_nodes(["x"], small(), domains={"rack": x}),
    "add_nodes.domain": lambda c, x: c.add_nodes(["x"], small(), domains={"rack": [x]}),
    "add_nodes.labels": lambda c, x: c.add_nodes(["x"], small(), labels={"a": x}),
    "add_nodes.label": lambda c, x: c.add_nodes(["x"], small(), labels={"a": [x]}),
    "add_nodes.taints": lambda c, x: c.add_nodes(["x"], small(), taints=[x]),
    "remove_node": lambda c, x: c.remove_node(x),
    "cordon": lambda c, x: c.cordon(x),
    "uncordon": lambda c, x: c.uncordon(x),
    "set_labels": lambda c, x: c.set_labels("n0", x),
    "set_taints": lambda c, x: c.set_taints("n0", x),
    "set_domains": lambda c, x: c.set_domains("n0", x),
    "describe": lambda c, x: c.describe(x),
    "node": lambda c, x: c.node(x),
    "register": lambda c, x: c.register(x),
    "check.gang": lambda c, x: c.check(x),
    "check.max_steps": lambda c, x: c.check(gang(1), max_steps=x),
    "place.gang": lambda c, x: c.place(x),
    "place.max_steps": lambda c, x: c.place(gang(1), max_steps=x),
    "commit": lambda c, x: c.commit(x),
    "release.gang": lambda c, x: c.release(x),
    "release.pods": lambda c, x: c.release("g", pods=x),
    "release.pod": lambda c, x: c.release("g", pods=[x]),
    "release.podset": lambda c, x: c.release("g", pods=[(x, 0)]),
    "release.index": lambda c, x: c.release("g", pods=[("worker", x)]),
    "headroom.request": lambda c, x: c.headroom(x),
    "headroom.level": lambda c, x: c.headroom(NODE, x),
    "headroom.max_steps": lambda c, x: c.headroom(NODE, max_steps=x),
}


@pytest.mark.parametrize("call", HOSTILE_CALLS)
def test_hostile_value_is_an_error_of_ours_or_fine(
    cluster: ta.Cluster, call: str
) -> None:
    cluster.commit(cluster.place(gang(1)))
    before = books(cluster)
    for value in HOSTILE:
        fork, message = cluster.fork(), ""
        try:
            HOSTILE_CALLS[call](fork, value)
        except ta.TopoallocError as error:
            message = str(error)
        if message:
            # A state may refuse it as well, after the face has let it through.
            assert re.search(r": .*, want ", message)
            assert books(fork) == before
        fork.check_consistency()
    assert books(cluster) == before


def test_copies_are_forks_and_plans_their_own(cluster: ta.Cluster) -> None:
    before = books(cluster)
    for made in (copy.copy(cluster), copy.deepcopy(cluster)):
        made.commit(made.place(gang(3)))
    assert books(cluster) == before
    plan = cluster.place(gang(1))
    assert copy.copy(plan) is plan
    assert copy.deepcopy(plan) is plan
    with pytest.raises(ta.InvalidRequestError, match="not to be pickled, want"):
        pickle.dumps(plan)
    assert pickle.loads(pickle.dumps(cluster)).to_dict() == cluster.to_dict()
    assert pickle.loads(pickle.dumps(plan.verdict)) == plan.verdict


def test_plan_is_made_by_place_alone(cluster: ta.Cluster) -> None:
    with pytest.raises(TypeError, match=r"made by Cluster.place"):
        ta.GangPlan()
    plan = cluster.place(gang(1))
    with pytest.raises(AttributeError, match="a GangPlan does not change"):
        plan.verdict = cluster.check(gang(1))
    with pytest.raises(AttributeError, match="a GangPlan does not change"):
        del plan.verdict
    plan.pods.clear()
    assert len(plan.pods) == 1


def test_object_without_init_is_refused() -> None:
    bare = ta.Cluster.__new__(ta.Cluster)
    for use in (lambda: len(bare), lambda: bare.nodes, bare.fork):
        with pytest.raises(TypeError):
            use()
