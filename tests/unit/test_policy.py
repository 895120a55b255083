# SPDX-License-Identifier: Apache-2.0
"""Policies: which there are, what they decide, and where they are written down."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from typing import Any

import pytest

import topoalloc as ta

GROUPS = ta.Policy().order


def first(group: str, **kwargs: Any) -> ta.Policy:
    """Return a policy in which one group of terms comes first."""
    order = [group, *(other for other in GROUPS if other != group)]
    return ta.Policy("own", **{"packing": "pack", "order": order} | kwargs)


@pytest.fixture
def machine() -> ta.Machine:
    """Return two Packages of three L3s of two cores."""
    return ta.Machine.from_synthetic("pack:2 numa:1 l3:3 core:2 pu:1")


@pytest.fixture
def allocator(machine: ta.Machine) -> ta.Allocator:
    """Return one with a free core in each L3 of one Package, two beyond it."""
    allocator = ta.Allocator(machine, policy=first("l3s", version=7))
    for owner, pus in enumerate([(0,), (2,), (4,), (6, 7, 8, 9)]):
        allocator.take(owner=f"held-{owner}", pus=pus)
    return allocator


REQUEST = ta.Request(cores=3)


def test_order_decides(allocator: ta.Allocator) -> None:
    plain = ta.Allocator.restore(_with_policy(allocator, "pack")).check(REQUEST)
    assert plain.placement is not None
    assert plain.placement.cpuset == "1,3,5"
    verdict = allocator.check(REQUEST)
    assert verdict.status is ta.Status.OPTIMAL
    assert verdict.placement is not None
    assert verdict.placement.cpuset == "1,10-11"
    assert verdict.policy == allocator.policy == first("l3s", version=7)


def _with_policy(allocator: ta.Allocator, policy: str | ta.Policy) -> bytes:
    """Return a snapshot of the same state under another policy."""
    other = ta.Allocator(allocator.machine, policy=policy)
    for owner, placement in allocator.placements.items():
        other.take(owner=owner, pus=placement.pus)
    return other.snapshot()


def test_key_compares_as_the_solver_does(allocator: ta.Allocator) -> None:
    plain = ta.Allocator.restore(_with_policy(allocator, "pack")).check(REQUEST).cost
    own = allocator.check(REQUEST).cost
    assert plain is not None
    assert own is not None
    assert plain < own
    assert ta.Policy().key(plain) == tuple(plain)
    assert allocator.policy.key(own) < allocator.policy.key(plain)


def test_terms_are_those_of_cost() -> None:
    assert ta.Policy("spread").terms == ta.Cost._fields
    for group in GROUPS:
        terms = first(group).terms
        assert sorted(terms) == sorted(ta.Cost._fields)
        assert terms[:2] == ("unmet_count", "unmet_vector")
        assert terms[2].startswith(group)


def test_record_names_all_and_replays(allocator: ta.Allocator) -> None:
    verdict = allocator.check(REQUEST)
    record = json.loads(json.dumps(verdict.to_dict()))
    assert record["policy"] == {
        "name": "own",
        "version": 7,
        "packing": "pack",
        "order": ["l3s", *(group for group in GROUPS if group != "l3s")],
    }
    replayed = ta.replay(record)
    assert replayed.is_equal
    assert isinstance(replayed.verdict, ta.Verdict)
    assert replayed.verdict.policy == allocator.policy
    record["policy"]["order"] = [*GROUPS]
    assert any("cpuset" in line for line in ta.replay(record).differences)


def test_snapshot_and_fork_keep_the_policy(allocator: ta.Allocator) -> None:
    again = ta.Allocator.restore(allocator.snapshot())
    assert again.policy == allocator.policy == allocator.fork().policy
    assert again.snapshot() == allocator.snapshot()
    assert again.allocate(REQUEST, owner="x").cpuset == "1,10-11"


def test_several_requests_want_the_default_order(allocator: ta.Allocator) -> None:
    message = "policy.order: not the default one of own, want the default order"
    wanted = {"a": ta.Request(cores=1), "b": ta.Request(cores=1)}
    before = allocator.snapshot()
    for call in (allocator.check_joint, allocator.allocate_many):
        with pytest.raises(ta.InvalidRequestError, match=message):
            call(wanted)
    assert allocator.snapshot() == before
    assert allocator.headroom(ta.Request(cores=1)).n == 5
    renamed = ta.Allocator(allocator.machine, policy=ta.Policy("x", packing="spread"))
    assert renamed.check_joint(wanted)


def test_explanation_names_the_term_that_decided(allocator: ta.Allocator) -> None:
    why = allocator.check(ta.Request(cores=2)).explanation
    assert why.runner_up is not None
    assert why.runner_up.lost_on == "l3s"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "fast"}, r"policy\.packing: not given for 'fast', want pack or"),
        ({"name": 1}, "policy.name: int, want a str"),
        ({"name": 1, "packing": "pack"}, "policy.name: int, want a str"),
        ({"name": "Own", "packing": "pack"}, "policy.name: 'Own', want 1 to 31 of"),
        ({"name": "", "packing": "pack"}, "policy.name: '', want 1 to 31 of"),
        ({"name": "a" * 32, "packing": "pack"}, "want 1 to 31 of"),
        ({"name": "own", "packing": "fast"}, "policy.packing: 'fast', want pack or"),
        ({"name": "own", "packing": 1}, "policy.packing: 1, want pack or spread"),
        ({"packing": "spread"}, "policy.packing: spread, want that of pack"),
        ({"version": 2}, "policy: pack version 2, want version 1"),
        ({"version": 0}, "policy.version: 0, want 1 to 4294967295"),
        ({"version": True}, "policy.version: bool, want int"),
        ({"version": "1"}, "policy.version: str, want int"),
        ({"order": GROUPS[::-1]}, "policy.order: not that of pack, want a name of"),
        ({"order": GROUPS[1:]}, r"policy.order: \('localities', .*, want each of"),
        ({"order": [*GROUPS, "l3s"]}, "policy.order: .* want each of packages, "),
        ({"order": ["l3"] * 8}, "policy.order: .* want each of packages, "),
        ({"order": [1, *GROUPS[1:]]}, "policy.order: .* want each of packages, "),
        ({"order": "l3s"}, "policy.order: 'l3s', want each of packages, "),
    ],
)
def test_what_is_no_policy_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ta.InvalidRequestError, match=message):
        ta.Policy(**arguments)


def test_policy_is_a_value() -> None:
    own = first("l3s")
    assert own == first("l3s")
    assert hash(own) == hash(first("l3s"))
    assert own != first("opened")
    assert own != first("l3s", packing="spread")
    assert own != first("l3s", version=2)
    assert pickle.loads(pickle.dumps(own)) == copy.deepcopy(own) == own
    assert eval(repr(own), {"Policy": ta.Policy}) == own
    assert repr(ta.Policy("spread")) == "Policy(name='spread', version=1)"
    with pytest.raises(AttributeError):
        own.name = "other"  # type: ignore[misc]


def test_answer_is_the_least_key_of_all(machine: ta.Machine) -> None:
    """Of all pairs of cores that could be taken, none has a smaller key."""
    for group, packing in itertools.product(GROUPS, ("pack", "spread")):
        policy = first(group, packing=packing)
        allocator = ta.Allocator(machine, policy=policy)
        allocator.take(owner="held", pus=(0, 2, 6, 7))
        found = allocator.check(ta.Request(cores=2)).cost
        assert found is not None
        keys = []
        for pus in itertools.combinations((1, 3, 4, 5, 8, 9, 10, 11), 2):
            other = allocator.fork()
            keys.append(policy.key(other.take(owner="x", pus=pus).cost))
        assert policy.key(found) == min(keys)
