# SPDX-License-Identifier: Apache-2.0
"""Decision records: complete, as their schema says, and replayed bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import topoalloc as ta
from topoalloc._records import SEMANTICS

SCHEMAS = Path(ta.__file__).parent / "schemas"
FIXTURES = Path(__file__).parent / "fixtures"

BUSY = ta.Request(
    cores=4,
    memory="8Gi",
    devices={"gpu": 2, "nic": ta.DeviceRequest(2)},
    require=[ta.Pair("gpu", "nic", within="bridges")],
    prefer=[ta.Align("numa")],
)
QUESTIONS = {
    "placed": BUSY,
    "impossible": ta.Request(devices={"gpu": 7}, require=[ta.Align("numa")]),
    "threads": ta.Request(pus=7, memory="1Gi"),
}


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    return found


def validate(document: object, name: str) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(document)


@pytest.fixture
def allocator() -> ta.Allocator:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"), reserved_pus="0-1")
    allocator.allocate(BUSY, owner="first")
    allocator.take(owner="system", pus="60-61", devices=["nic7"])
    allocator.cordon("gpu5")
    return allocator


@pytest.mark.parametrize("name", ["request", "snapshot", "decision", "placement"])
def test_schema_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("question", QUESTIONS)
def test_record_is_complete_and_replays(allocator: ta.Allocator, question: str) -> None:
    verdict = allocator.check(QUESTIONS[question])
    record = json.loads(json.dumps(verdict.to_dict()))
    validate(record, "decision")
    assert record["status"] == verdict.status.name
    assert record["versions"] == {"semantics": SEMANTICS, "library": ta.__version__}
    assert record["digests"]["machine"] == allocator.machine.digest
    found = ta.replay(record)
    assert found.differences == ()
    assert found.is_equal
    assert found.verdict is not None
    assert found.verdict.to_dict()["digests"] == record["digests"]


def test_failed_allocate_replays(allocator: ta.Allocator) -> None:
    with pytest.raises(ta.InfeasibleError) as caught:
        allocator.allocate(QUESTIONS["impossible"], owner="pod-7")
    record = caught.value.verdict.to_dict()
    assert (record["operation"], record["owner"]) == ("allocate", "pod-7")
    assert ta.replay(record).is_equal


def test_failed_resize_replays(allocator: ta.Allocator) -> None:
    with pytest.raises(ta.InfeasibleError) as caught:
        allocator.resize("first", QUESTIONS["impossible"])
    record = caught.value.verdict.to_dict()
    validate(json.loads(json.dumps(record)), "decision")
    assert record["operation"] == "resize"
    assert record["held"]["devices"] == [
        {"name": name} for name in allocator.placements["first"].devices
    ]
    assert ta.replay(record).is_equal


def test_resize_that_succeeds_now_differs(allocator: ta.Allocator) -> None:
    with pytest.raises(ta.InfeasibleError) as caught:
        allocator.resize("first", QUESTIONS["impossible"])
    record = caught.value.verdict.to_dict() | {"request": ta.Request(cores=1).to_dict()}
    found = ta.replay(record)
    assert found.verdict is None
    assert not found.is_equal


def test_steps_of_another_version_of_the_library_may_differ(
    allocator: ta.Allocator,
) -> None:
    record = allocator.check(BUSY).to_dict() | {"steps": 10**9}
    assert not ta.replay(record).is_equal
    record["versions"] |= {"library": "0.0.1"}
    assert ta.replay(record).is_equal


def test_undecided_replays(allocator: ta.Allocator) -> None:
    record = allocator.check(BUSY, max_steps=0).to_dict()
    assert record["status"] == "UNKNOWN"
    assert record["max_steps"] == 0
    assert ta.replay(record).is_equal


def test_record_without_its_machine_has_digests_alone(allocator: ta.Allocator) -> None:
    record = allocator.check(BUSY).to_dict(embed=False)
    validate(json.loads(json.dumps(record)), "decision")
    assert "machine" not in record
    assert len(record["digests"]["state"]) == 64
    with pytest.raises(ta.FormatError, match=r"Decision.machine: absent"):
        ta.replay(record)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"status": "INFEASIBLE"}, 'status: "OPTIMAL", recorded "INFEASIBLE"'),
        ({"steps": 10**9}, "recorded 1000000000"),
        ({"cost": None}, "recorded null"),
        ({"request": QUESTIONS["threads"].to_dict()}, "digests"),
        ({"reason": "NotEnoughPus"}, "reason"),
    ],
)
def test_replay_names_what_differs(
    allocator: ta.Allocator, change: dict[str, Any], difference: str
) -> None:
    found = ta.replay(allocator.check(BUSY).to_dict() | change)
    assert not found.is_equal
    assert any(difference in line for line in found.differences)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Plan"}, "Decision.kind: 'Plan', want 'Decision'"),
        ({"versions": {"semantics": "node/2"}}, "semantics: 'node/2', want 'node/1'"),
        ({"versions": {}}, "versions.semantics: absent"),
        ({"state": {}}, "Decision.state.reserved_pus: absent"),
        ({"max_steps": -1}, "max_steps: -1, want 0"),
        ({"policy": {"name": "pack", "version": 9}}, "version 9, want version 1"),
        ({"request": {"kind": "Request"}}, "Request.apiVersion"),
        ({"held": []}, "Decision.held: list, want an object"),
    ],
)
def test_damaged_record_is_refused(
    allocator: ta.Allocator, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ta.FormatError, match=message):
        ta.replay(allocator.check(BUSY).to_dict() | change | {"owner": "x"})


def test_snapshot_request_and_placement_meet_their_schemas(
    allocator: ta.Allocator,
) -> None:
    body = allocator.snapshot().partition(b"\n")[2]
    validate(json.loads(body), "snapshot")
    validate(json.loads(json.dumps(BUSY.to_dict())), "request")
    validate(
        json.loads(json.dumps(allocator.placements["first"].to_dict())), "placement"
    )


@pytest.mark.parametrize("name", ["decision-placed", "decision-impossible"])
def test_record_of_an_older_version_replays(name: str) -> None:
    """What was written once is read for ever, and gives the same answer."""
    record = json.loads((FIXTURES / f"{name}-1.json").read_text("utf-8"))
    validate(record, "decision")
    assert ta.replay(record).differences == ()


def test_snapshot_of_an_older_version_is_restored() -> None:
    """What was written once is read for ever."""
    allocator = ta.Allocator.restore((FIXTURES / "allocator-1.snapshot").read_bytes())
    allocator.check_consistency()
    assert {*allocator.placements} == {"pod-7", "system"}
    assert allocator.placements["system"].cpuset == "8-9"
    assert allocator.policy == ta.Policy("spread")


def test_request_of_an_older_version_is_read() -> None:
    """What was written once is read for ever."""
    document = json.loads((FIXTURES / "request-1.json").read_text("utf-8"))
    validate(document, "request")
    assert ta.Request.from_dict(document).replace(cores=1) == BUSY.replace(cores=1)


BATCHES = {
    "placed": {"a": BUSY, "b": ta.Request(cores=8), "c": ta.Request(cores=8)},
    "impossible": {
        "a": ta.Request(cores=60),
        "b": ta.Request(devices={"gpu": 3}),
        "c": ta.Request(cores=60),
    },
    "empty": {},
}


@pytest.mark.parametrize("batch", BATCHES)
def test_record_of_a_batch_is_complete_and_replays(
    allocator: ta.Allocator, batch: str
) -> None:
    verdict = allocator.check_joint(BATCHES[batch])
    record = json.loads(json.dumps(verdict.to_dict()))
    validate(record, "decision")
    assert record["operation"] == "check_joint"
    assert [entry["owner"] for entry in record["requests"]] == [*BATCHES[batch]]
    found = ta.replay(record)
    assert found.differences == ()
    assert found.verdict is not None
    assert found.verdict.status is verdict.status


def test_record_of_a_batch_is_of_the_state_that_was_asked(
    allocator: ta.Allocator,
) -> None:
    snapshot = allocator.check(BUSY).to_dict()["state"]
    wanted = {"b": ta.Request(cores=8), "a": ta.Request(devices={"gpu": 1})}
    before = allocator.fork()
    allocator.allocate_many(wanted)
    with pytest.raises(ta.InfeasibleError) as caught:
        allocator.allocate_many({"c": ta.Request(cores=500)})
    refused = caught.value.verdict.to_dict()
    assert refused["operation"] == "allocate_many"
    assert ta.replay(json.loads(json.dumps(refused))).is_equal
    assert before.check_joint(wanted).to_dict()["state"] == snapshot
    assert refused["state"] != snapshot


def test_replay_of_a_batch_names_what_differs(allocator: ta.Allocator) -> None:
    record = allocator.check_joint(BATCHES["placed"]).to_dict()
    record["placements"][1]["cpuset"] = "7"
    (line,) = ta.replay(record).differences
    assert line.startswith("placements: ")
    record["requests"].append(record["requests"][0])
    with pytest.raises(ta.FormatError, match=r"requests\[3\].owner: 'a' twice"):
        ta.replay(record)
