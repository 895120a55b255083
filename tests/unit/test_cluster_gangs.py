# SPDX-License-Identifier: Apache-2.0
"""Gangs that greedy placement refuses, though there is room; each is placed here.

Systems that choose for one group of pods after the other, or look at sums, say no to
these. Each test shows what they go by, and that the answer is a yes with a plan that
can be committed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import topoalloc as ta


def host(cores: int, gpus: int = 0) -> ta.Machine:
    """Return a machine of one NUMANode with so many cores and GPUs."""
    document = ta.Machine.from_synthetic(f"pack:1 numa:1 core:{cores} pu:1").to_dict()
    devices = [{"class": "gpu", "numa_nodes": [0]} for _ in range(gpus)]
    return ta.Machine.from_dict(document | {"devices": devices})


def gpus(count: int, cores: int = 0) -> ta.Request:
    return ta.Request(cores=cores, devices={"gpu": count})


def placed(cluster: ta.Cluster, gang: ta.Gang) -> dict[str, dict[str, int]]:
    """Place, check and commit a Gang; return how many pods of what run where."""
    assert cluster.check(gang).status is ta.Status.FEASIBLE
    plan = cluster.place(gang)
    assert plan.status is ta.Status.OPTIMAL
    cluster.commit(plan)
    cluster.check_consistency()
    for podset in gang.podsets:
        ranks = [pod.index for pod in plan.pods if pod.podset == podset.name]
        assert ranks == [*range(podset.count)]
    return {
        node: dict(Counter(pod.podset for pod in pods))
        for node, pods in plan.nodes.items()
    }


def domains_of(cluster: ta.Cluster, gang: str, level: str, *podsets: str) -> set[str]:
    return {
        cluster.describe(pod.node).domains[level]
        for pod in cluster.gangs[gang].pods
        if pod.podset in podsets
    }


@pytest.mark.parametrize("turned", [False, True])
def test_two_groups_over_two_racks(turned: bool) -> None:
    """Kueue: the first group takes the tighter rack, the only one with GPUs."""
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_node("with", host(4, 4), domains={"rack": "r1"})
    cluster.add_node("without", host(5), domains={"rack": "r2"})
    rack = [ta.Within("rack")]
    podsets = [
        ta.PodSet("plain", ta.Request(cores=1), 4, require=rack),
        ta.PodSet("gpu", gpus(1, cores=1), 4, require=rack),
    ]
    gang = ta.Gang("g", podsets[::-1] if turned else podsets)
    assert placed(cluster, gang) == {"without": {"plain": 4}, "with": {"gpu": 4}}
    # Best fit would have put the first group where the second one must be.
    alone = ta.Gang("alone", podsets[:1])
    empty = ta.Cluster(levels=["rack"])
    empty.add_node("with", host(4, 4), domains={"rack": "r1"})
    empty.add_node("without", host(5), domains={"rack": "r2"})
    assert placed(empty, alone) == {"with": {"plain": 4}}
    assert empty.check(ta.Gang("late", podsets[1:])).reason == "NotEnoughRoom"


def test_mixed_roles_in_one_rack() -> None:
    """KAI: by its largest pod the rack holds 4 pods, and 7 are asked for."""
    dgx = ta.Machine.preset("dgx-h100")
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["n0", "n1"], dgx, domains={"rack": "r0"})
    assert cluster.headroom(gpus(4), "rack") == [(("r0",), 4, 4)]
    gang = ta.Gang(
        "g",
        [ta.PodSet("big", gpus(4), 1), ta.PodSet("small", gpus(1), 6)],
        [ta.Group("all", ["big", "small"], require=[ta.Within("rack")])],
    )
    assert placed(cluster, gang) == {"n0": {"big": 1, "small": 4}, "n1": {"small": 2}}


@pytest.mark.parametrize("first", ["two", "one"])
def test_one_then_two(first: str) -> None:
    """HiveD: the pod with one GPU takes the node with two, the next one then fails."""
    cluster = ta.Cluster(levels=["rack"])
    for name in (first, *({"one", "two"} - {first})):
        cluster.add_node(name, host(2, {"one": 1, "two": 2}[name]))
    gang = ta.Gang("g", [ta.PodSet("a", gpus(1), 1), ta.PodSet("b", gpus(2), 1)])
    assert placed(cluster, gang) == {"one": {"a": 1}, "two": {"b": 1}}


def test_composite_of_composites() -> None:
    """KEP-6012: a child group takes the room that its sibling needs.

    Two replicas, each a prefill and a decode group in one rack of their own; the whole
    in one block. Only block b1 has a rack for each replica, and only one assignment of
    replicas to racks fits.
    """
    cluster = ta.Cluster(levels=["block", "rack"])
    four, eight = host(8, 4), host(8, 8)
    layout = {"r0": ("b0", [eight, eight]), "r1": ("b0", [four])}
    layout |= {"r2": ("b1", [eight, eight]), "r3": ("b1", [eight, four])}
    for rack, (block, machines) in layout.items():
        cluster.add_nodes(
            [f"{rack}-{i}" for i in range(len(machines))],
            machines,
            domains={"block": block, "rack": rack},
        )
    podsets = [
        ta.PodSet("small-prefill", gpus(4), 2),
        ta.PodSet("small-decode", gpus(2), 2),
        ta.PodSet("large-prefill", gpus(8), 1),
        ta.PodSet("large-decode", gpus(4), 2),
    ]
    together = [ta.Within("rack")]
    groups = [
        ta.Group("small", ["small-prefill", "small-decode"], require=together),
        ta.Group("large", ["large-prefill", "large-decode"], require=together),
        ta.Group("both", ["small", "large"], require=[ta.Within("block")]),
    ]
    gang = ta.Gang("g", podsets, groups)
    placed(cluster, gang)
    assert domains_of(cluster, "g", "block", *(p.name for p in podsets)) == {"b1"}
    small = domains_of(cluster, "g", "rack", "small-prefill", "small-decode")
    large = domains_of(cluster, "g", "rack", "large-prefill", "large-decode")
    # The small one fits into either rack, the large one into r2 alone.
    assert (small, large) == ({"r3"}, {"r2"})


def test_composite_that_cannot_be_is_a_proof() -> None:
    cluster = ta.Cluster(levels=["rack"])
    for rack in ("r0", "r1"):
        cluster.add_node(rack, host(4, 4), domains={"rack": rack})
    together = [ta.Within("rack")]
    gang = ta.Gang(
        "g",
        [ta.PodSet(name, gpus(3), 1) for name in ("a", "b")],
        [ta.Group("pair", ["a", "b"], require=together)],
    )
    verdict = cluster.check(gang)
    assert (verdict.status, verdict.reason) == (ta.Status.INFEASIBLE, "GangConflict")
    # As a wish it is granted as far as it goes, and counted.
    wish = ta.Gang("g", gang.podsets, [ta.Group("pair", ["a", "b"], prefer=together)])
    plan = cluster.place(wish)
    assert plan.cost is not None
    assert plan.cost.unmet == {"a": 0, "b": 0, "pair": 1}


def test_waste_is_least_for_one_podset() -> None:
    """kueue#10574: 20 pods over 19, 10 and 10; largest first leaves 9 unusable."""
    cluster = ta.Cluster(levels=["rack"])
    for rack, cores in (("r0", 19), ("r1", 10), ("r2", 10)):
        cluster.add_node(rack, host(cores), domains={"rack": rack})
    podset = ta.PodSet("worker", ta.Request(cores=1), 20, prefer=[ta.Within("rack")])
    assert placed(cluster, ta.Gang("g", [podset])) == {
        "r1": {"worker": 10},
        "r2": {"worker": 10},
    }


def test_leader_and_workers_share_what_is_left() -> None:
    """kueue#13766: a leader of 1 core, four workers of 2 cores; hosts of 2, 3 and 4."""
    cluster = ta.Cluster(levels=["rack"])
    for cores in (2, 3, 4):
        cluster.add_node(f"h{cores}", host(cores), domains={"rack": "r0"})
    podsets = [
        ta.PodSet("leader", ta.Request(cores=1), 1),
        ta.PodSet("worker", ta.Request(cores=2), 4),
    ]
    group = ta.Group("all", ["leader", "worker"], require=[ta.Within("rack")])
    assert placed(cluster, ta.Gang("g", podsets, [group])) == {
        "h3": {"leader": 1, "worker": 1},
        "h2": {"worker": 1},
        "h4": {"worker": 2},
    }


def test_node_is_looked_into() -> None:
    """Sums over a node say yes where no NUMANode holds what must be together."""
    dgx = ta.Machine.preset("dgx-h100")
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["n0", "n1"], dgx, domains={"rack": "r0"})
    near = ta.Request(devices={"gpu": 4}, require=[ta.Align("numa")])
    # Four GPUs are free on n0, two on each side; on n1 all of one side.
    for name, taken in (("n0", (0, 1, 4, 5)), ("n1", (0, 1, 2, 3))):
        for index in taken:
            cluster.node(name).take(owner=f"x{index}", devices=[f"gpu{index}"])
    assert cluster.headroom(gpus(4)) == [(("n0",), 1, 1), (("n1",), 1, 1)]
    assert cluster.headroom(near) == [(("n0",), 0, 0), (("n1",), 1, 1)]
    assert not cluster.check(ta.Gang("g", [ta.PodSet("worker", near, 2)]))
    mixed = ta.Gang("g", [ta.PodSet("any", gpus(4), 1), ta.PodSet("near", near, 1)])
    assert placed(cluster, mixed) == {"n0": {"any": 1}, "n1": {"near": 1}}


def test_sixteen_of_eighteen() -> None:
    """An NVLink domain of 18 trays with 2 of them out: 16 pods fit, 17 do not."""
    tray = ta.Machine.preset("gb200-tray")
    cluster = ta.Cluster(trees={"network": ["rack"], "nvlink": ["domain"]})
    names = [f"t{i:02}" for i in range(36)]
    cluster.add_nodes(
        names,
        tray,
        domains={"rack": "r0", "domain": [f"d{i // 18}" for i in range(36)]},
    )
    for name in ("t03", "t07", "t20", "t33", "t34"):
        cluster.cordon(name)
    rules: dict[str, Any] = {"require": [ta.Within("domain")]}
    whole = gpus(len([d for d in tray.devices if d.device_class == "gpu"]))
    sixteen = ta.Gang("g", [ta.PodSet("worker", whole, 16, **rules)])
    assert len(placed(cluster, sixteen)) == 16
    assert domains_of(cluster, "g", "domain", "worker") == {"d0"}
    assert not cluster.check(ta.Gang("h", [ta.PodSet("worker", whole, 16, **rules)]))
    elastic = ta.Gang("h", [ta.PodSet("worker", whole, 16, 12, **rules)])
    plan = cluster.place(elastic)
    assert plan.cost is not None
    assert (plan.cost.short, len(plan.pods)) == (1, 15)
