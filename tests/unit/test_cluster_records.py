# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a Cluster, and Decision records of its answers."""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import topoalloc as ta
from topoalloc._canonical import canonical
from topoalloc.cli import main

SCHEMAS = Path(ta.__file__).parent / "schemas"
FIXTURES = Path(__file__).parent / "fixtures"
RECORDS = sorted(FIXTURES.glob("cluster-decision-*.json"))


def gang(name: str, gpus: int, count: int, priority: int = 0, **rules: Any) -> ta.Gang:
    request = ta.Request(devices={"gpu": gpus})
    return ta.Gang(name, [ta.PodSet("w", request, count, **rules)], priority=priority)


@pytest.fixture
def cluster() -> ta.Cluster:
    """Return two racks of two nodes; ``a`` and ``b`` run, and an owner of no Gang."""
    document = ta.Machine.from_synthetic("pack:1 numa:2 core:2 pu:1").to_dict()
    devices = [{"class": "gpu", "numa_nodes": [i // 2]} for i in range(4)]
    machine = ta.Machine.from_dict(document | {"devices": devices})
    cluster = ta.Cluster(levels=["rack"])
    names = ["n0", "n1", "n2", "n3"]
    cluster.add_nodes(names, machine, domains={"rack": ["r0", "r0", "r1", "r1"]})
    cluster.commit(cluster.place(gang("a", 1, 3, prefer=[ta.Within("rack")])))
    cluster.commit(cluster.place(gang("b", 2, 2, min_count=1)))
    cluster.node("n3").allocate(ta.Request(devices={"gpu": 1}), owner="system")
    return cluster


def answers(
    cluster: ta.Cluster,
) -> Iterator[ta.GangVerdict | ta.GangPlan | ta.ClusterChange]:
    """Yield a yes and a no of each operation that can say so."""
    for wanted in (gang("c", 2, 1, 1), gang("c", 4, 4, 1)):
        yield cluster.check(wanted)
        yield cluster.place(wanted)
        yield cluster.preempt(wanted)
        yield cluster.defragment(wanted)
    # Of a Request with bytes no count tells what a node holds.
    unknown = ta.PodSet("w", ta.Request(memory="1Mi", devices={"gpu": 2}), 1)
    yield cluster.place(ta.Gang("c", [unknown]), max_steps=0)
    yield cluster.replace("a", ["n0"])
    yield cluster.grow("b")
    yield cluster.drain("n0")
    yield cluster.drain(["n0", "n1", "n2"])


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / "cluster_decision.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    parts = [json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.json")]
    schema["$defs"] = {part["$id"]: part for part in parts}
    return jsonschema.Draft202012Validator(schema)


def test_record_of_every_answer_is_replayed_bit_for_bit(cluster: ta.Cluster) -> None:
    found = validator()
    before = canonical(cluster.to_dict())
    seen = set()
    for answer in answers(cluster):
        record = json.loads(json.dumps(cluster.record(answer)))
        found.validate(record)
        replayed = ta.replay(record)
        assert replayed.differences == ()
        assert replayed.verdict is not None
        assert replayed.verdict.to_dict() == answer.to_dict()
        is_no = answer.status is ta.Status.INFEASIBLE
        assert record.get("explanation") == (
            answer.explanation.to_dict() if is_no else None
        )
        short = cluster.record(answer, embed=False)
        assert short == {key: record[key] for key in record if key != "cluster"}
        with pytest.raises(ta.FormatError, match=r"^Decision\.cluster: absent"):
            ta.replay(short)
        seen.add((record["operation"], record["status"]))
    assert {status for _, status in seen} == {status.name for status in ta.Status}
    assert {operation for operation, _ in seen} == {
        *("check", "place", "replace", "grow", "drain", "preempt", "defragment")
    }
    assert canonical(cluster.to_dict()) == before


def test_what_differs_is_said(cluster: ta.Cluster) -> None:
    record = cluster.record(cluster.drain("n0"))
    for key, other in (
        ("status", "UNKNOWN"),
        ("steps", 0),
        ("moves", []),
        ("digests", {}),
        ("cost", None),
    ):
        (line,) = ta.replay(record | {key: other}).differences
        assert line.startswith(f"{key}: ")
    # Another state is another digest, and may be another answer.
    changed = copy.deepcopy(record)
    changed["cluster"]["nodes"][0] |= {"labels": {"pool": "x"}}
    assert any(line.startswith("digests") for line in ta.replay(changed).differences)


def test_answer_of_another_state_is_not_recorded(cluster: ta.Cluster) -> None:
    plan = cluster.place(gang("c", 2, 1))
    cluster.commit(plan)
    with pytest.raises(ta.StaleError, match="want an answer of now"):
        cluster.record(plan)
    verdict = cluster.check(gang("d", 2, 1))
    cluster.release("a")
    cluster.release("b")
    cluster.release("c")
    assert cluster.record(verdict)["status"] == verdict.status.name
    with pytest.raises(ta.InvalidRequestError, match=r"^answer: str, want a GangV"):
        cluster.record("plan")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("cluster", [], "cluster: list, want an object"),
        ("cluster", {}, "cluster: "),
        ("versions", {}, "versions.semantics: absent"),
        ("versions", {"semantics": "cluster/2"}, "want 'cluster/1'"),
        ("operation", "evict", "operation: 'evict', want one of check, place"),
        ("operation", 3, "operation: int, want a str"),
        ("gang", None, "gang: NoneType, want an object"),
        ("gang", {}, "Gang"),
        ("nodes", "n0", "nodes: str, want a list"),
        ("nodes", [3], r"nodes\[0\]: int, want a str"),
        ("max_steps", -1, "max_steps: -1, want 0 to"),
        ("kind", "Gang", "kind"),
    ],
)
def test_damaged_record_is_refused(
    cluster: ta.Cluster, key: str, value: object, error: str
) -> None:
    record = cluster.record(cluster.replace("a", ["n0"]))
    with pytest.raises(ta.FormatError, match=error):
        ta.replay(record | {key: value})


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_records_of_the_past_are_read_for_ever(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(path.read_bytes())
    validator().validate(record)
    assert ta.replay(record).differences == ()
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"equal: {record['status']}")


def test_there_are_records_of_the_past() -> None:
    operations = {json.loads(path.read_bytes())["operation"] for path in RECORDS}
    assert operations == {
        *("check", "place", "replace", "grow", "drain", "preempt", "defragment")
    }


def test_explanation_of_a_record_is_not_compared() -> None:
    """Words may change; records made before there were any have none."""
    records = [json.loads(path.read_bytes()) for path in RECORDS]
    (record,) = [
        record
        for record in records
        if (record["operation"], record["status"]) == ("defragment", "INFEASIBLE")
    ]
    assert record["explanation"]["gangs"] == ["c"]
    assert ta.replay(record | {"explanation": {}}).differences == ()
    del record["explanation"]
    assert ta.replay(record).differences == ()


# --- snapshots ---


def test_snapshot_restores_what_there_is(cluster: ta.Cluster) -> None:
    cluster.cordon("n2")
    cluster.set_taints("n1", [ta.Taint("new")])
    snapshot = cluster.snapshot()
    again = ta.Cluster.restore(snapshot)
    assert again.snapshot() == snapshot
    again.check_consistency()
    pickled = pickle.loads(pickle.dumps(cluster))
    assert pickled.snapshot() == snapshot
    for one, other in zip(answers(cluster), answers(again), strict=True):
        assert one.to_dict() == other.to_dict()
    pickled.release("a")
    assert cluster.snapshot() == snapshot


def test_snapshot_of_the_past_is_read_for_ever() -> None:
    content = (FIXTURES / "cluster-1.snapshot").read_bytes()
    cluster = ta.Cluster.restore(content)
    assert cluster.snapshot() == content
    assert sorted(cluster.gangs) == ["a", "b"]


def test_damaged_snapshot_is_refused(cluster: ta.Cluster) -> None:
    snapshot = cluster.snapshot()
    header, _, body = snapshot.partition(b"\n")
    magic, version, digest = header.split(b" ")
    pick = random.Random(7)
    for _ in range(200):
        at = pick.randrange(len(snapshot))
        damaged = bytearray(snapshot)
        damaged[at] ^= 1 << pick.randrange(8)
        with pytest.raises(ta.FormatError, match=r"^snapshot: "):
            ta.Cluster.restore(bytes(damaged))
    for end in (0, 1, len(header), len(snapshot) - 1):
        with pytest.raises(ta.FormatError, match="snapshot"):
            ta.Cluster.restore(snapshot[:end])
    newer = b" ".join([magic, b"2", digest]) + b"\n" + body
    assert version == b"1"
    with pytest.raises(ta.FormatError, match="format '2', want 1"):
        ta.Cluster.restore(newer)
    with pytest.raises(ta.FormatError, match="kind"):
        ta.Cluster.restore(cluster.node("n0").snapshot())
    with pytest.raises(ta.FormatError, match="kind"):
        ta.Allocator.restore(snapshot)
    with pytest.raises(ta.FormatError, match="str, want bytes"):
        ta.Cluster.restore("x")  # type: ignore[arg-type]
