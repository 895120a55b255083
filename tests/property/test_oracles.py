# SPDX-License-Identifier: Apache-2.0
"""The Allocator, brute force and the integer programme give one answer."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.instances import (
    LARGE,
    SMALL,
    Instance,
    Reply,
    ask,
    describe,
    make_instance,
)
from tests.oracle import brute, programme
from tests.oracle.linear import NotCovered
from tests.oracle.machine import Machine
from tests.property import tables

import topoalloc as ta

small_instances = st.randoms(use_true_random=False).map(
    lambda rng: make_instance(rng, SMALL)
)


def by_brute_force(instance: Instance) -> dict[str, Any] | None:
    return brute.solve(
        ta.Machine.from_dict(instance.machine),
        instance.state,
        ta.Request.from_dict(instance.request),
        spread=instance.spread,
        keep_from=instance.keep_from,
    )


def by_programme(instance: Instance) -> tuple[int, ...] | None:
    return programme.solve(
        Machine(instance.machine),
        instance.state,
        instance.request,
        spread=instance.spread,
        keep_from=instance.keep_from,
    ).cost


def content(reply: Reply) -> dict[str, Any] | None:
    """Return a Placement in the words of brute force."""
    found = reply.placement
    if found is None:
        return None
    return {
        "cost": tuple(found.cost),
        "devices": found.devices,
        "pus": found.pus,
        "localities": found._localities,
        "memory": sorted(found._memory_rows),
        "pairs": {index: sorted(pairs) for index, pairs in found._pair_rows},
    }


def is_proof(reply: Reply) -> bool:
    return reply.status not in ("FEASIBLE", "UNKNOWN")


def check_without_proof(reply: Reply, best: tuple[int, ...] | None) -> None:
    """Hold an answer that a limit cut short to what it still promises."""
    assert (reply.cost is None) == (reply.status == "UNKNOWN")
    assert reply.cost is None or (best is not None and best <= reply.cost)


def compare_with_brute_force(instance: Instance) -> Reply:
    expected = by_brute_force(instance)
    reply = ask(instance)
    if is_proof(reply):
        if expected is not None:
            expected["memory"] = sorted(expected["memory"])
            pairs = expected["pairs"].items()
            expected["pairs"] = {index: sorted(made) for index, made in pairs}
        assert content(reply) == expected, describe(instance)
    else:
        check_without_proof(reply, None if expected is None else expected["cost"])
    return reply


@settings(max_examples=settings().max_examples * 3)
@given(small_instances)
def test_answers_equal_brute_force(instance: Instance) -> None:
    note(describe(instance))
    compare_with_brute_force(instance)


def test_answers_equal_brute_force_whatever_the_constraint() -> None:
    title = "constraints against brute force"
    statuses: Counter[str] = Counter()
    for seed in range(1500):
        instance = make_instance(random.Random(seed), SMALL)
        reply = compare_with_brute_force(instance)
        statuses[reply.status] += 1
        if is_proof(reply):
            tables.count(title, instance.request, reply.cost)
    assert not tables.empty_cells(title)
    undecided = statuses["FEASIBLE"] + statuses["UNKNOWN"]
    assert undecided * 100 <= statuses.total()


@settings(max_examples=settings().max_examples * 2)
@given(small_instances)
def test_oracles_agree(instance: Instance) -> None:
    note(describe(instance))
    expected = by_brute_force(instance)
    try:
        cost = by_programme(instance)
    except NotCovered:
        return
    assert cost == (None if expected is None else expected["cost"])


@pytest.mark.parametrize("first_seed", range(0, 200, 50))
def test_answers_equal_programme_when_machines_are_large(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 50):
        instance = make_instance(random.Random(seed), LARGE)
        try:
            expected = by_programme(instance)
        except NotCovered:
            continue
        reply = ask(instance)
        if is_proof(reply):
            assert reply.cost == expected, f"seed {seed}: {describe(instance)}"
        else:
            check_without_proof(reply, expected)
        tables.count("constraints against the programme", instance.request, reply.cost)
