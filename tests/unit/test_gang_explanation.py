# SPDX-License-Identifier: Apache-2.0
"""GangExplanation: why a Gang does not fit on real machines, in data and in words."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable

import pytest

import topoalloc as ta

DGX = ta.Machine.preset("dgx-h100")


def rack(name: str, nodes: int) -> ta.Cluster:
    """Return a Cluster of one rack of DGX H100, 8 GPUs each, 4 a NUMANode."""
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes([f"n{i:02}" for i in range(nodes)], DGX, domains={"rack": name})
    return cluster


def take(cluster: ta.Cluster, node: str, *gpus: str) -> None:
    """Let somebody hold these GPUs."""
    request = ta.Request(
        devices={"gpu": ta.DeviceRequest(count=len(gpus), eligible=[*gpus])}
    )
    cluster.node(node).allocate(request, owner=f"other-{node}")


def gpus_of(numa: int) -> list[str]:
    """Return the names of the GPUs of a NUMANode."""
    return [
        d.name for d in DGX.devices if d.device_class == "gpu" and numa in d.numa_nodes
    ]


def aligned(count: int) -> ta.Request:
    """Return a Request for so many GPUs in one NUMANode."""
    return ta.Request(devices={"gpu": count}, require=[ta.Align("numa")])


def workers(
    request: ta.Request,
    count: int,
    *require: ta.Within | ta.Spread,
    where: dict[str, str] | None = None,
) -> ta.Gang:
    """Return a Gang of one PodSet."""
    pods = ta.PodSet("worker", request, count, require=require, where=where or {})
    return ta.Gang("train-3", [pods])


def crowded() -> ta.Cluster:
    """Return a rack with room for 15 pods, and two nodes whose room is torn apart."""
    cluster = rack("r07", 10)
    near, far = gpus_of(0), gpus_of(1)
    take(cluster, "n07", near[0])
    for node in ("n08", "n09"):
        take(cluster, node, *near[:2], *far[:2])
    return cluster


def test_says_how_many_fit_and_why_two_nodes_do_not_help() -> None:
    why = crowded().check(workers(aligned(4), 16, ta.Within("rack"))).explanation
    assert why.complete
    assert str(why) == (
        "It does not fit: NotEnoughRoom of worker.\n"
        "These cannot be had together: worker: in each pod everything in one numa "
        "(podsets[0].request.require) and worker: 16 pods (podsets[0].count).\n"
        "Needed: 16 pods of worker; there are 10 nodes in the cluster, 10 not "
        "cordoned, 10 with tolerated taints only, 8 with room for one; those hold 15 "
        "pods of it.\n"
        "worker: 15 of 16 fit in rack r07: 2 nodes have 4 free gpu, but not in one "
        "NUMANode.\n"
        "It fits without worker: in each pod everything in one numa.\n"
        "It fits with 15 pods of worker instead of 16.\n"
    )
    (fit,) = why.domains
    assert (fit.level, fit.domain, fit.wanted, fit.fits) == ("rack", ("r07",), 16, 15)
    assert fit.near_misses[0].nodes == ("n08", "n09")


def test_to_dict_is_plain_and_whole() -> None:
    why = crowded().check(workers(aligned(4), 16, ta.Within("rack"))).explanation
    document = why.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["kind"] == "GangExplanation"
    assert document["status"] == "INFEASIBLE"
    assert [item["path"] for item in document["conflict"]] == [
        "podsets[0].request.require",
        "podsets[0].count",
    ]
    assert document["relaxations"][1] == {
        "path": "podsets[0].count",
        "change": "count=15",
        "text": "fits with 15 pods of worker instead of 16",
    }
    assert document["domains"][0]["near_misses"][0]["nodes"] == ["n08", "n09"]
    assert document["counts"][0]["nodes"][-1] == {
        "filter": "with room for one",
        "left": 8,
    }


def test_every_change_that_is_said_to_help_does() -> None:
    cluster = rack("r0", 4)
    whole = ta.Request(devices={"gpu": 8})
    cluster.commit(cluster.place(ta.Gang("big", [ta.PodSet("w", whole, 2)])))
    cluster.cordon("n02")
    cluster.set_taints("n03", [ta.Taint("maintenance", "yes", "NoSchedule")])
    gang = workers(whole, 1)
    changes = {c.path: c.change for c in cluster.check(gang).explanation.relaxations}
    assert changes == {
        "podsets[0].tolerations": "add=maintenance=yes:NoSchedule",
        "podsets[0]": "drop",
        "node:n02": "uncordon",
        "gang:big": "release",
    }
    ways: tuple[Callable[[ta.Cluster], None], ...] = (
        lambda c: c.set_taints("n03", []),
        lambda c: c.uncordon("n02"),
        lambda c: c.release("big"),
    )
    for change in ways:
        fork = cluster.fork()
        assert not fork.check(gang)
        change(fork)
        assert fork.check(gang)


def test_is_of_the_state_that_was_asked_and_kept() -> None:
    cluster = rack("r0", 1)
    gang = workers(ta.Request(devices={"gpu": 8}), 2)
    verdict, plan = cluster.check(gang), cluster.place(gang)
    cluster.add_node("n99", DGX, domains={"rack": "r0"})
    why = verdict.explanation
    assert why.counts[0].nodes[0].left == 1
    assert verdict.explanation is why
    assert plan.explanation == why


def test_of_a_plan_it_names_the_terms() -> None:
    cluster = rack("r0", 2)
    plan = cluster.place(workers(ta.Request(devices={"gpu": 8}), 2))
    assert plan.cost is not None
    assert plan.explanation.cost == {
        "short": 0,
        "unmet.worker": 0,
        "domains.rack": 1,
        "nodes": 2,
        "waste": 0,
        "opened.rack": 1,
    }
    assert [*plan.explanation.cost.values()] == [*plan.cost.terms]
    assert str(plan.explanation) == (
        "It fits, and nothing costs less.\n"
        "Cost: domains.rack 1, nodes 2, opened.rack 1.\n"
    )
    assert str(cluster.check(plan.gang).explanation) == "It fits.\n"


def test_its_limit_is_its_own() -> None:
    verdict = rack("r0", 1).check(workers(ta.Request(devices={"gpu": 8}), 2))
    why = verdict.explain(max_steps=0)
    assert not why.complete
    assert why.relaxations == ()
    assert str(why).endswith("This explanation is not complete.\n")
    assert verdict.explanation.complete
    with pytest.raises(ta.InvalidRequestError, match="max_steps"):
        verdict.explain(max_steps=-1)


def test_a_pickled_verdict_has_lost_the_state() -> None:
    verdict = rack("r0", 1).check(workers(ta.Request(devices={"gpu": 8}), 2))
    copy = pickle.loads(pickle.dumps(verdict))
    assert copy == verdict
    assert hash(copy) == hash(verdict)
    with pytest.raises(ta.StateError, match="without the state that was asked"):
        _ = copy.explanation
