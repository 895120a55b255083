# SPDX-License-Identifier: Apache-2.0
"""Verdict, BatchVerdict and Explanation: statuses, truth, and why."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import topoalloc as ta
from topoalloc import _core


@pytest.fixture
def allocator() -> ta.Allocator:
    return ta.Allocator(ta.Machine.from_synthetic("pack:2 numa:1 core:4 pu:2"))


@pytest.fixture(scope="module")
def undecided() -> ta.Verdict:
    # One step is too few for anything that has to search.
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    request = ta.Request(
        cores=3,
        devices={"gpu": 4, "nic": 4},
        require=[ta.Pair("gpu", "nic", within="bridges"), ta.Align("numa")],
    )
    return allocator.check(request, max_steps=0)


def test_optimal_is_true_and_has_a_placement(allocator: ta.Allocator) -> None:
    verdict = allocator.check(ta.Request(cores=2))
    assert verdict
    assert verdict.status is ta.Status.OPTIMAL
    assert verdict.reason == "Placed"
    assert verdict.placement is not None
    assert verdict.cost == verdict.placement.cost
    assert verdict.placement.owner is None
    assert verdict.owner is None
    assert verdict.max_steps == 2_000_000
    assert verdict.request == ta.Request(cores=2)
    assert verdict.policy == ta.Policy("pack")
    assert allocator.placements == {}


def test_infeasible_is_false_and_has_none(allocator: ta.Allocator) -> None:
    verdict = allocator.check(ta.Request(cores=9))
    assert not verdict
    assert verdict.status is ta.Status.INFEASIBLE
    assert verdict.reason == "NotEnoughCores"
    assert verdict.placement is None
    assert verdict.cost is None


def test_unknown_is_neither(undecided: ta.Verdict) -> None:
    assert undecided.status is ta.Status.UNKNOWN
    assert undecided.reason == "StepLimit"
    with pytest.raises(ta.UndecidedError, match="want a larger max_steps") as caught:
        bool(undecided)
    assert caught.value.verdict is undecided


def test_undecided_allocate_raises_with_its_verdict() -> None:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    request = ta.Request(cores=3, devices={"gpu": 4})
    with pytest.raises(ta.UndecidedError, match=r"^a: UNKNOWN, StepLimit") as caught:
        allocator.allocate(request, owner="a", max_steps=0)
    assert isinstance(caught.value.verdict, ta.Verdict)
    assert allocator.placements == {}


def test_batch_verdict_has_the_same_truth() -> None:
    def verdict(status: ta.Status) -> ta.BatchVerdict:
        return ta.BatchVerdict(status, "reason", None, 7, {})

    assert verdict(ta.Status.OPTIMAL)
    assert verdict(ta.Status.FEASIBLE)
    assert not verdict(ta.Status.INFEASIBLE)
    with pytest.raises(ta.UndecidedError, match="UNKNOWN after 7 steps"):
        bool(verdict(ta.Status.UNKNOWN))


def test_equal_questions_cost_equal_steps(allocator: ta.Allocator) -> None:
    request = ta.Request(cores=3, memory="1Mi")
    first, second = allocator.check(request), allocator.fork().check(request)
    assert (first.steps, first.cost) == (second.steps, second.cost)
    assert first.placement == second.placement


def test_verdict_keeps_the_state_that_was_asked(allocator: ta.Allocator) -> None:
    allocator.allocate(ta.Request(cores=6), owner="a")
    verdict = allocator.check(ta.Request(cores=3))
    state = verdict.to_dict()["state"]
    allocator.release("a")
    allocator.cordon("pu:0")
    assert verdict.to_dict()["state"] == state
    assert [entry["owner"] for entry in state["placements"]] == ["a"]
    assert any(change.path == "owner:a" for change in verdict.explanation.relaxations)


def test_explanation_is_computed_once_and_names_the_conflict(
    allocator: ta.Allocator,
) -> None:
    verdict = allocator.check(ta.Request(cores=9))
    explanation = verdict.explanation
    assert verdict.explanation is explanation
    assert explanation.status is ta.Status.INFEASIBLE
    assert explanation.reason == verdict.reason
    assert [item.path for item in explanation.conflict] == ["cores"]
    assert str(explanation) == explanation.prose
    assert explanation.prose
    document = explanation.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["kind"] == "Explanation"


def test_explanation_of_a_placement_has_a_runner_up(allocator: ta.Allocator) -> None:
    explanation = allocator.check(ta.Request(cores=2)).explanation
    assert explanation.conflict == ()
    assert explanation.runner_up is not None
    assert explanation.runner_up.placement.cpuset != "0-3"
    assert explanation.to_dict()["runner_up"]["lost_on"] in (None, *ta.Cost._fields)


def test_explanation_with_a_limit_of_its_own(allocator: ta.Allocator) -> None:
    verdict = allocator.check(ta.Request(cores=9))
    assert verdict.explain().complete
    assert verdict.explain(max_steps=10**9) is not verdict.explain(max_steps=10**9)


def test_threads_read_one_explanation(allocator: ta.Allocator) -> None:
    verdict = allocator.check(ta.Request(cores=9))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: verdict.explanation, range(32)))
    assert len({id(explanation) for explanation in found}) == 1


def test_answers_of_a_batch_have_decision_records(allocator: ta.Allocator) -> None:
    request = ta.Request(cores=3)
    allocator.take(owner="system", pus="0")
    allocator.cordon("pu:9")
    one_by_one = allocator.fork()
    verdicts = allocator.allocate_batch(request, ["a", "b", "c"])
    for verdict, owner in zip(verdicts, "abc", strict=True):
        want = one_by_one.check(request)
        if want:
            one_by_one.allocate(request, owner=owner)
        record = verdict.to_dict()
        assert (record["operation"], record["owner"]) == ("allocate", owner)
        assert record["state"] == want.to_dict()["state"]
        assert record["digests"] == want.to_dict()["digests"]
        assert (record["status"], record["cost"]) == (
            want.status.name,
            want.cost and want.cost.to_dict(),
        )
        assert ta.replay(json.loads(json.dumps(record))).is_equal
        assert str(verdict.explanation) == str(want.explanation)
    assert [bool(verdict) for verdict in verdicts] == [True, True, False]


def test_answer_of_a_batch_outlives_its_allocator() -> None:
    allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
    verdicts = allocator.allocate_batch(ta.Request(cores=1), map(str, range(6)))
    allocator.release("2")
    del allocator
    last = verdicts.pop()
    del verdicts
    gc.collect()
    held = [row["owner"] for row in last.to_dict()["state"]["placements"]]
    assert held == ["0", "1", "2", "3"]
    assert last.explanation.reason == "NotEnoughCores"


def test_answer_for_what_was_held_before(allocator: ta.Allocator) -> None:
    request = ta.Request(cores=1)
    held = allocator.allocate(request, owner="a")
    (verdict,) = allocator.allocate_batch(request, ["a"])
    assert (verdict.placement, verdict.steps) == (held, 0)
    record = verdict.to_dict()
    assert [row["owner"] for row in record["state"]["placements"]] == ["a"]
    assert ta.replay(record).is_equal
    with pytest.raises(ta.StateError, match="'a' held this before, want the Verdict"):
        verdict.explain()


def test_nobody_makes_changes_or_copies_one(allocator: ta.Allocator) -> None:
    verdict = allocator.check(ta.Request(cores=1))
    with pytest.raises(TypeError, match="made by an Allocator"):
        ta.Verdict()
    with pytest.raises(AttributeError):
        verdict.status = ta.Status.UNKNOWN  # type: ignore[misc]
    assert copy.copy(verdict) is copy.deepcopy(verdict) is verdict
    with pytest.raises(ta.InvalidRequestError, match=r"^verdict: not to be pickled"):
        pickle.dumps(verdict)
    batch = allocator.check_joint({"a": ta.Request(cores=1)})
    assert copy.copy(batch) is copy.deepcopy(batch) is batch
    with pytest.raises(ta.InvalidRequestError, match=r"^verdict: not to be pickled"):
        pickle.dumps(batch)


def test_repr_is_short(allocator: ta.Allocator) -> None:
    assert repr(allocator.check(ta.Request(cores=9))).startswith(
        "<Verdict INFEASIBLE: "
    )


def test_reasons_are_documented(repository: Path) -> None:
    page = (repository / "docs" / "reason_codes.md").read_text(encoding="utf-8")
    assert [name for name in _core.reason_names() if f"`{name}`" not in page] == []


def test_answers_hold_no_allocator_alive(allocator: ta.Allocator) -> None:
    local = allocator.fork()
    verdict = local.check(ta.Request(cores=9))
    placement = local.allocate(ta.Request(cores=1), owner="a")
    _ = verdict.explanation
    alive = weakref.ref(local)
    del local
    gc.collect()
    assert alive() is None
    assert placement.cpuset == "0-1"
    assert not verdict


def joint(requests: dict[str, ta.Request]) -> ta.BatchVerdict:
    machine = ta.Machine.from_synthetic("pack:2 [numa(memory=8GiB)] core:4 pu:2")
    return ta.Allocator(machine).check_joint(requests)


def test_batch_explanation_is_a_minimal_set_of_owners() -> None:
    near = [ta.Align("package")]
    verdict = joint(
        {
            "small": ta.Request(cores=1),
            "a": ta.Request(cores=3, require=near),
            "b": ta.Request(cores=3, require=near),
            "c": ta.Request(cores=2, require=near),
        }
    )
    assert verdict.status is ta.Status.INFEASIBLE
    found = verdict.explanation
    assert found is verdict.explanation
    assert found.conflict == ("a", "b", "c")
    assert found.alone == {}
    assert found.complete
    assert "a, b, c cannot be placed together" in str(found)
    assert found.to_dict()["conflict"] == ["a", "b", "c"]


def test_batch_explanation_tells_who_fits_not_even_alone() -> None:
    found = joint({"a": ta.Request(cores=2), "b": ta.Request(cores=9)}).explanation
    assert found.conflict == ("b",)
    assert found.alone["b"].reason == "NotEnoughCores"
    assert "b alone: " in found.prose


def test_batch_explanation_says_when_its_limit_came() -> None:
    verdict = joint({name: ta.Request(cores=3) for name in "abc"})
    assert verdict.status is ta.Status.INFEASIBLE
    found = verdict.explain(max_steps=1)
    assert not found.complete
    assert {*found.conflict} <= {*"abc"}


def test_batch_explanation_of_an_answer_is_short() -> None:
    found = joint({"a": ta.Request(cores=2)}).explanation
    assert (found.conflict, found.alone) == ((), {})
    assert found.status is ta.Status.OPTIMAL


def test_batch_verdict_made_by_hand_has_no_record() -> None:
    verdict = ta.BatchVerdict(ta.Status.INFEASIBLE, "reason", None, 7, {})
    with pytest.raises(ta.StateError, match="made by hand"):
        verdict.to_dict()
