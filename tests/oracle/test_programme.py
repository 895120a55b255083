# SPDX-License-Identifier: Apache-2.0
"""The integer programme on questions that it once answered wrongly."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.instances import (
    LARGE,
    SMALL,
    Size,
    ask,
    describe,
    make_instance,
    read_instance,
)
from tests.oracle import linear, programme
from tests.oracle.machine import Machine

CASES = Path(__file__).parent / "cases"


def solve_case(name: str) -> tuple[int, ...] | None:
    instance = read_instance((CASES / name).read_text())
    return programme.solve(
        Machine(instance.machine),
        instance.state,
        instance.request,
        spread=instance.spread,
        keep_from=instance.keep_from,
    ).cost


def test_cost_when_presolve_of_highs_cuts_off_the_best() -> None:
    """Of three L3s that are used, three are opened; presolve settles for two."""
    best = (2, 3, 1, 2, 0, 7, 0, 0, 3, 0, 0, -1, -1, -3, -3)
    assert solve_case("presolve.json") == best
    reply = ask(read_instance((CASES / "presolve.json").read_text()))
    assert (reply.status, reply.cost) == ("OPTIMAL", best)


def test_minimise_takes_the_better_point_when_one_solve_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = linear.Programme()
    x = problem.variable(5)
    problem.at_most(2, x)
    answers: dict[bool, list[int] | None] = {True: [4], False: [3]}
    monkeypatch.setattr(
        problem, "_solve", lambda _costs, _limit, has_presolve: answers[has_presolve]
    )
    assert problem.minimise(x, 1.0) == [3]
    answers[False] = None
    assert problem.minimise(x, 1.0) == [4]


def test_minimise_says_none_when_no_point_is_left() -> None:
    problem = linear.Programme()
    x, y = problem.variable(5), problem.variable(5)
    problem.at_most(11, x + y)
    assert problem.minimise(x, 1.0) is None


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_read_instance_undoes_describe(size: Size) -> None:
    for seed in range(50):
        text = describe(make_instance(Random(seed), size))
        assert describe(read_instance(text)) == text
