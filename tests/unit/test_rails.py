# SPDX-License-Identifier: Apache-2.0
"""Rails: training Gangs whose pods hold the same NIC indices on every node.

What lists and plans are the best is compared with an enumeration by the C++ tests; here
are DGX nodes, the face, and documents.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import topoalloc as ta

DGX = ta.Machine.preset("dgx-h100")
# Indices of the NICs that share a switch with a GPU, gpu0's first.
RAILS = [0, 3, 4, 5, 6, 9, 10, 11]


def cluster_of(count: int, taken: Mapping[str, tuple[str, ...]] | None = None) -> Any:
    """Return racks of four DGX nodes of which some NICs are taken."""
    cluster = ta.Cluster(levels=["rack"])
    names = [f"n{i}" for i in range(count)]
    racks = [f"r{i // 4}" for i in range(count)]
    cluster.add_nodes(names, DGX, domains={"rack": racks})
    for node, nics in (taken or {}).items():
        cluster.node(node).take(owner="other", devices=nics)
    return cluster


def workers(count: int, nics: int = 1, **more: Any) -> ta.Gang:
    """Return pods of as many GPUs as NICs, paired over one switch."""
    request = ta.Request(
        devices={"gpu": nics, "nic": nics},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    more.setdefault("require", [ta.Rails("nic")])
    return ta.Gang("train", [ta.PodSet("worker", request, count, **more)])


def nics_of(pods: list[ta.PodPlace]) -> dict[str, list[tuple[int, ...]]]:
    """Return the indices of the NICs of each pod, by node and rank."""
    found = defaultdict(list)
    for pod in pods:
        names = [name for name in pod.placement.devices if name.startswith("nic")]
        found[pod.node].append(tuple(sorted(int(name[3:]) for name in names)))
    return dict(found)


def validator(schema: str) -> Draft202012Validator:
    folder = resources.files("topoalloc") / "schemas"
    schemas = {path.name: json.loads(path.read_text()) for path in folder.iterdir()}
    found = schemas[schema]
    others = [one for one in schemas.values() if one is not found]
    return Draft202012Validator(
        found | {"$defs": {one["$id"]: one for one in others} | found.get("$defs", {})}
    )


def test_a_gang_whose_nodes_lack_different_nics() -> None:
    taken = {"n1": ("nic0",), "n2": ("nic5",), "n3": ("nic0", "nic11")}
    cluster = cluster_of(4, taken)
    gang = workers(20, slices=[ta.Slice("node", 5)])
    plan = cluster.place(gang)
    assert plan.status is ta.Status.OPTIMAL
    rails = plan.rails["worker"]["nic"]
    assert rails == [(3,), (4,), (6,), (9,), (10,)]
    assert nics_of(plan.pods) == {f"n{i}": rails for i in range(4)}
    cluster.commit(plan)
    assert cluster.gangs["train"].rails == plan.rails
    # Each node by itself begins with its first NIC.
    free = cluster_of(4, taken).place(
        workers(20, require=[], slices=[ta.Slice("node", 5)])
    )
    assert len({tuple(nics) for nics in nics_of(free.pods).values()}) > 1
    assert free.rails == {}


def test_order_of_the_list_makes_room() -> None:
    """Fewer NICs are common than a node has: those that one lacks come last."""
    taken = {"n0": ("nic0", "nic3"), "n1": ("nic10", "nic11")}
    cluster = cluster_of(2, taken)
    plan = cluster.place(workers(10))
    assert plan.status is ta.Status.OPTIMAL
    assert plan.rails["worker"]["nic"] == [(4,), (5,), (6,), (9,), (10,), (11,)]
    assert [len(nics) for nics in nics_of(plan.pods).values()] == [6, 4]
    verdict = cluster.check(workers(11))
    assert (verdict.status, verdict.reason) == (
        ta.Status.INFEASIBLE,
        "PodSetConflict",
    )


def test_a_no_names_the_rails() -> None:
    taken = {"n0": ("nic0", "nic3"), "n1": ("nic10", "nic11")}
    why = cluster_of(2, taken).check(workers(12)).explanation
    assert why.complete
    # Without the pair, NICs for storage would do.
    assert [item.path for item in why.conflict] == [
        "podsets[0].require[0]",
        "podsets[0].request.require",
        "podsets[0].count",
    ]
    assert "worker: the same nic indices on every node" in why.prose
    assert "It fits without worker: the same nic indices on every node." in why.prose
    assert "It fits with 10 pods of worker instead of 12." in why.prose


def test_sets_of_several_nics() -> None:
    cluster = cluster_of(3, {"n1": ("nic4",), "n2": ("nic6",)})
    plan = cluster.place(
        workers(3, nics=4, require=[ta.Rails("nic"), ta.Spread("node")])
    )
    assert plan.status is ta.Status.OPTIMAL
    assert plan.rails["worker"]["nic"] == [(0, 3, 5, 9)]
    assert set(map(tuple, nics_of(plan.pods).values())) == {((0, 3, 5, 9),)}


def test_rails_of_gpus_and_nics() -> None:
    cluster = cluster_of(2, {"n0": ("gpu1",), "n1": ("nic0",)})
    plan = cluster.place(
        workers(4, require=[ta.Rails("gpu"), ta.Rails("nic"), ta.Spread("node", 2)])
    )
    assert plan.rails == {"worker": {"gpu": [(2,), (3,)], "nic": [(4,), (5,)]}}


def test_many_nodes_are_answered_at_once() -> None:
    taken = {f"n{i}": (f"nic{RAILS[i % 3]}",) for i in range(0, 64, 5)}
    cluster = cluster_of(64, taken)
    plan = cluster.place(workers(320, slices=[ta.Slice("node", 5)]))
    assert plan.status is ta.Status.OPTIMAL
    assert len({tuple(nics) for nics in nics_of(plan.pods).values()}) == 1


def test_documents_have_the_lists() -> None:
    cluster = cluster_of(2, {"n0": ("nic0",)})
    gang = workers(4, require=[ta.Rails("nic"), ta.Spread("node", 2)])
    assert gang.to_dict()["podsets"][0]["require"][0] == {"rails": {"class": "nic"}}
    assert ta.Gang.from_dict(json.loads(json.dumps(gang.to_dict()))) == gang
    plan = cluster.place(gang)
    document = plan.to_dict()
    validator("gang_plan.json").validate(document)
    assert document["rails"] == {"worker": {"nic": [[3], [4]]}}
    assert "rails" not in cluster.place(workers(4, require=[])).to_dict()
    cluster.commit(plan)
    written = json.loads(json.dumps(cluster.to_dict()))
    validator("cluster.json").validate(written)
    again = ta.Cluster.from_dict(written)
    assert again.gangs["train"].rails == plan.rails
    assert again.to_dict() == written


def test_a_pod_that_was_resized_by_hand_is_read_back() -> None:
    cluster = cluster_of(2)
    cluster.commit(cluster.place(workers(2, require=[ta.Rails("nic")])))
    assert cluster.gangs["train"].rails == {"worker": {"nic": [(0,), (3,)]}}
    wanted = ta.DeviceRequest(1, eligible=["nic11"])
    request = ta.Request(devices={"gpu": 1, "nic": wanted})
    cluster.node("n0").resize("train/worker/0", request)
    again = ta.Cluster.from_dict(json.loads(json.dumps(cluster.to_dict())))
    assert again.gangs["train"].rails == cluster.gangs["train"].rails
    assert nics_of(again.gangs["train"].pods) == {"n0": [(11,), (3,)]}


def damaged(document: dict[str, Any], rails: object) -> dict[str, Any]:
    document = copy.deepcopy(document)
    if rails is None:
        del document["gangs"][0]["rails"]
    else:
        document["gangs"][0]["rails"] = rails
    return document


@pytest.mark.parametrize(
    ("rails", "message"),
    [
        (None, "rails.worker: 0 entries, want 2 or more: so many pods are on node"),
        ({"worker": {"nic": [[3]]}}, "rails.worker: 1 entries, want 2 or more"),
        (3, "rails: int, want an object"),
        ({"other": {}}, "rails: 'other', want one of worker"),
        ({"worker": []}, "rails.worker: list, want an object"),
        ({"worker": {"gpu": []}}, "rails.worker: 'gpu', want one of nic"),
        ({"worker": {"nic": {}}}, "rails.worker.nic: dict, want a list"),
        ({"worker": {"nic": [1]}}, "rails.worker.nic[0]: int, want a list"),
        ({"worker": {"nic": [[True]]}}, "rails.worker.nic[0][0]: bool, want an int"),
        ({"worker": {"nic": [[-1]]}}, "rails.worker.nic[0][0]: -1, want 0 to"),
        ({"worker": {"nic": [[2**32]]}}, "rails.worker.nic[0][0]: 4294967296, want"),
        ({"worker": {"nic": [[1, 2]]}}, "rails.worker[0].nic: no set of the Request"),
    ],
)
def test_lists_that_are_none_are_refused(rails: object, message: str) -> None:
    cluster = cluster_of(2, {"n0": ("nic0",)})
    cluster.commit(
        cluster.place(workers(4, require=[ta.Rails("nic"), ta.Spread("node", 2)]))
    )
    with pytest.raises(ta.FormatError) as caught:
        ta.Cluster.from_dict(damaged(cluster.to_dict(), rails))
    assert str(caught.value).startswith(f"Cluster.gangs[0]: {message}")


def test_lists_of_a_gang_without_rails_are_refused() -> None:
    cluster = cluster_of(1)
    cluster.commit(cluster.place(workers(1, require=[])))
    with pytest.raises(ta.FormatError, match="rails: 'worker', want none"):
        ta.Cluster.from_dict(damaged(cluster.to_dict(), {"worker": {"nic": [[0]]}}))


REQUEST = ta.Request(devices={"nic": 1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ta.Rails(""), "Rails.device_class: '', want a name"),
        (lambda: ta.Rails(3), "Rails.device_class: int, want a str"),  # type: ignore[arg-type]
        (lambda: ta.Rails("\ud800"), "Rails.device_class: '\\ud800', want text"),
        (
            lambda: ta.PodSet("w", REQUEST, 1, require=[ta.Rails("gpu")]),
            "PodSet.require[0].device_class: 'gpu', want a class of which",
        ),
        (
            lambda: ta.PodSet("w", REQUEST, 1, require=[ta.Rails("nic")] * 2),
            "PodSet.require[1].device_class: 'nic' twice, want each class once",
        ),
        (
            lambda: ta.PodSet("w", REQUEST, 1, prefer=[ta.Rails("nic")]),  # type: ignore[list-item]
            "PodSet.prefer[0]: Rails, want Within or Spread or Balanced",
        ),
        (
            lambda: ta.PodSet(
                "w",
                ta.Request(devices={"nic": ta.DeviceRequest(1, partition="vf")}),
                1,
                require=[ta.Rails("nic")],
            ),
            "PodSet.require[0].device_class: 'nic' in partitions, want whole devices",
        ),
        (
            lambda: ta.Group("g", ["w"], require=[ta.Rails("nic")]),  # type: ignore[list-item]
            "Group.require[0]: Rails, want Within",
        ),
    ],
)
def test_what_means_nothing_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ta.InvalidRequestError) as caught:
        make()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"class": 3}, "podsets[0].require[0].rails.class: int, want a str"),
        ({}, "podsets[0].require[0].rails.class: absent, want it given"),
        ({"level": "rack"}, "podsets[0].require[0].rails: 'level', want class"),
        ([], "podsets[0].require[0].rails: list, want an object"),
    ],
)
def test_damaged_constraints_are_refused(body: object, message: str) -> None:
    document = workers(1).to_dict()
    document["podsets"][0]["require"] = [{"rails": body}]
    with pytest.raises(ta.FormatError) as caught:
        ta.Gang.from_dict(document)
    assert str(caught.value) == f"Gang.{message}"


def test_a_shape_with_rails_has_no_sums() -> None:
    with pytest.raises(
        ta.InvalidRequestError, match=r"^gang: 'train' has .* Rails .*, want one PodSet"
    ):
        cluster_of(1).register(workers(1))


def test_answers_are_recorded_and_replayed() -> None:
    cluster = cluster_of(3, {"n1": ("nic0",)})
    found = validator("cluster_decision.json")
    require = [ta.Rails("nic"), ta.Spread("node", 2)]
    gang = workers(4, require=require)
    plan = cluster.place(gang)
    record = json.loads(json.dumps(cluster.record(plan)))
    assert record["rails"] == {"worker": {"nic": [[3], [4]]}}
    records = [record, cluster.record(cluster.check(workers(40, require=require)))]
    cluster.commit(plan)
    records += [
        cluster.record(cluster.replace("train", ["n0"])),
        cluster.record(cluster.replace("train", ["n0", "n1"])),
        cluster.record(cluster.drain("n0")),
    ]
    statuses = []
    for one in records:
        found.validate(json.loads(json.dumps(one)))
        replayed = ta.replay(one)
        assert replayed.differences == ()
        statuses.append(one["status"])
    assert "INFEASIBLE" in statuses


def test_a_change_keeps_the_lists() -> None:
    cluster = cluster_of(3, {"n0": ("nic0",)})
    require = [ta.Rails("nic"), ta.Spread("node", 2)]
    cluster.commit(cluster.place(workers(4, require=require)))
    before = cluster.gangs["train"].rails
    assert before == {"worker": {"nic": [(3,), (4,)]}}
    change = cluster.replace("train", ["n0"])
    assert change.rails == {"train": before}
    document = json.loads(json.dumps(change.to_dict()))
    validator("cluster_change.json").validate(document)
    assert document["rails"] == {"train": {"worker": {"nic": [[3], [4]]}}}
    record = cluster.record(change)
    assert record["rails"] == document["rails"]
    assert ta.replay(record).is_equal
    cluster.commit(change)
    after = cluster.gangs["train"]
    # nic0 is free on both nodes now; the lists stay as they were.
    assert after.rails == before
    assert nics_of(after.pods) == {"n1": [(3,), (4,)], "n2": [(3,), (4,)]}
    assert cluster.fork().gangs["train"].rails == before


def test_a_change_that_is_refused_names_the_rails() -> None:
    taken = {"n0": ("nic3",), "n1": ("nic3",), "n2": ("nic4",)}
    cluster = cluster_of(3, taken)
    require = [ta.Rails("nic"), ta.Spread("node", 2)]
    cluster.commit(cluster.place(workers(4, require=require)))
    for change, who in (
        (cluster.replace("train", ["n0"]), "worker"),
        (cluster.drain("n0"), "train/worker"),
    ):
        assert (change.status, change.rails) == (ta.Status.INFEASIBLE, {})
        why = change.explanation
        assert why.given[1] == "2 pods of train stay"
        assert [item.text for item in why.conflict] == [
            f"{who}: the same nic indices on every node",
            f"{who}: at most 2 pods in a node",
            f"{who}: 4 pods, 2 of which stay",
        ]
        assert [item.text for item in why.relaxations] == [
            f"fits without {who}: the same nic indices on every node",
            f"fits with 3 pods of {who} in a node",
            f"fits with 3 pods of {who} instead of 4",
        ]
    # Each member of the conflict is needed: where one is away there is a change.
    for rules, nodes in (
        ([ta.Spread("node", 2)], taken),
        ([ta.Rails("nic")], taken),
        (require, {"n0": ("nic3",), "n1": ("nic3",)}),
    ):
        other = cluster_of(3, nodes)
        other.commit(other.place(workers(4, require=rules)))
        assert other.replace("train", ["n0"])


def test_room_is_made_for_a_gang_with_rails() -> None:
    cluster = cluster_of(2)
    for name in ("a", "b"):
        low = workers(6, require=[ta.Spread("node", 3)])
        cluster.commit(cluster.place(ta.Gang(name, low.podsets)))
    wanted = workers(8, require=[ta.Rails("nic"), ta.Spread("node", 4)])
    change = cluster.preempt(ta.Gang("urgent", wanted.podsets, priority=9))
    assert (change.status, len(change.victims)) == (ta.Status.OPTIMAL, 1)
    lists = change.rails["urgent"]["worker"]["nic"]
    assert len(lists) == 4
    assert nics_of(change.pods) == dict.fromkeys(("n0", "n1"), lists)
    cluster.commit(change)
    assert cluster.gangs["urgent"].rails == change.rails["urgent"]
