# SPDX-License-Identifier: Apache-2.0
"""The gang solver beside CP-SAT, and what CP-SAT and the judge say by hand."""

from __future__ import annotations

from typing import Any

import _oracle
import pytest
from tests.oracle.gang_compare import compare
from tests.oracle.gang_judge import Plan, Problem, cost_of, fault_of
from tests.oracle.gang_programme import find_any, find_best, find_larger

BLOCK, RACK, NODE = 0, 1, 2


def make(
    rooms: list[int], *, count: int, min_count: int | None = None, **rules: Any
) -> Problem:
    """Return one PodSet on nodes of so much room: two to a rack, four to a block."""
    least = count if min_count is None else min_count
    tables = sorted(set(rooms))
    vectors = [[[n] for n in range(min(room, count) + 1)] for room in tables]
    lowest = max(
        (
            level
            for name, entries in rules.items()
            for entry in entries
            for level in (entry[2] if name == "prefer" else entry[1],)
        ),
        default=None,
    )
    return {
        "levels": 2,
        "podsets": [(count, least, lowest)],
        "groups": 0,
        "within": [],
        "slices": [],
        "spread": [],
        "balanced": [],
        "prefer": [],
        "tables": [
            {"attained": held, "possible": held, "copies": [room]}
            for held, room in zip(vectors, tables, strict=True)
        ],
        "nodes": [
            (tables.index(room), [v // 4, v // 2], False)
            for v, room in enumerate(rooms)
        ],
        "open_domains": [
            [False] * ((len(rooms) + 3) // 4),
            [False] * ((len(rooms) + 1) // 2),
        ],
        **rules,
    }


def pods(*numbers: int) -> Plan:
    return [(n,) for n in numbers]


@pytest.mark.parametrize(
    ("problem", "plan", "cost"),
    [
        # short, unmet, blocks, racks, nodes, waste, opened blocks, opened racks
        (make([4, 4, 4, 4], count=6), pods(4, 2, 0, 0), (0, 0, 1, 1, 2, 0, 1, 1)),
        # A rack that is filled wastes nothing, though another one comes first.
        (
            make([4, 4, 3, 3], count=6, within=[([True], RACK)]),
            pods(0, 0, 3, 3),
            (0, 0, 1, 1, 2, 0, 1, 1),
        ),
        (
            make([4, 4, 3, 3], count=6, slices=[(0, RACK, 3)]),
            pods(0, 0, 3, 3),
            (0, 0, 1, 1, 2, 0, 1, 1),
        ),
        (
            make([2, 2, 2, 2], count=6, slices=[(0, RACK, 3)]),
            pods(2, 1, 2, 1),
            (0, 0, 1, 2, 4, 2, 1, 2),
        ),
        (
            make([4, 4, 4, 4], count=6, spread=[(0, RACK, 3)]),
            pods(3, 0, 3, 0),
            (0, 0, 1, 2, 2, 10, 1, 2),
        ),
        (
            make([4, 4, 4, 4], count=6, spread=[(0, NODE, 2)]),
            pods(2, 2, 2, 0),
            (0, 0, 1, 2, 3, 6, 1, 2),
        ),
        (
            make([4, 1, 4, 1], count=7, balanced=[(0, RACK, 0)]),
            pods(4, 0, 3, 0),
            (0, 0, 1, 2, 2, 3, 1, 2),
        ),
        # Two more pods at the most, and then a rack of its own is not met.
        (
            make(
                [2, 2, 2, 0],
                count=8,
                min_count=4,
                prefer=[("within", [True], RACK, 0, 0)],
            ),
            pods(2, 2, 2, 0),
            (2, 1, 1, 2, 3, 0, 1, 2),
        ),
        (
            make([4, 4, 4, 4], count=6, prefer=[("balanced", [True], NODE, 0, 0)]),
            pods(3, 3, 0, 0),
            (0, 0, 1, 1, 2, 2, 1, 1),
        ),
    ],
)
def test_find_best(problem: Problem, plan: Plan, cost: tuple[int, ...]) -> None:
    found = find_best(problem)
    assert found is not None
    assert found[0] == cost == cost_of(problem, plan)
    assert fault_of(problem, plan) == ""
    assert find_larger(problem, plan) is None
    outcome = compare(problem)
    assert (outcome.place, outcome.difference) == ("OPTIMAL", "")
    assert [tuple(held) for held in _oracle.place_gang(problem, 1000)["pods"]] == plan


def test_find_best_opens_no_rack_where_one_is_open() -> None:
    problem = make([4, 4, 4, 4], count=4)
    problem["nodes"][2] = (0, [0, 1], True)
    problem["open_domains"] = [[True], [False, True]]
    plan = pods(0, 0, 4, 0)
    assert find_best(problem, pods(4, 0, 0, 0)) == (cost_of(problem, plan), plan)
    assert cost_of(problem, plan) == (0, 0, 1, 1, 1, 0, 0, 0)
    assert cost_of(problem, pods(4, 0, 0, 0))[-1] == 1
    assert find_larger(problem, plan) is None


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (pods(3, 3, 0), "nodes"),
        (pods(5, 1, 0, 0), "table"),
        (pods(3, 2, 0, 0), "count"),
        (pods(3, 0, 3, 0), "within"),
        (pods(4, 2, 0, 0), "spread"),
        (pods(3, 3, 0, 0), ""),
    ],
)
def test_fault_of(plan: Plan, fault: str) -> None:
    rules: dict[str, Any] = {"within": [([True], RACK)], "spread": [(0, NODE, 3)]}
    assert fault_of(make([4, 4, 4, 4], count=6, **rules), plan) == fault


def test_pods_of_a_rule_are_in_no_node_without_a_domain() -> None:
    for rules in (
        {"within": [([True], RACK)]},
        {"slices": [(0, RACK, 1)]},
        {"spread": [(0, RACK, 6)]},
        {"balanced": [(0, RACK, 0)]},
    ):
        problem = make([0, 0, 0, 6], count=6, **rules)
        assert find_any(problem) == pods(0, 0, 0, 6)
        table, (block, _), is_open = problem["nodes"][3]
        problem["nodes"][3] = (table, [block, None], is_open)
        assert find_any(problem) is None
        assert fault_of(problem, pods(0, 0, 0, 6)) == next(iter(rules))
        assert compare(problem).place == "INFEASIBLE"


def test_find_larger_names_a_plan_that_term_7_prefers() -> None:
    problem = make([4, 4, 4, 4], count=6)
    assert find_larger(problem, pods(3, 3, 0, 0)) == pods(4, 2, 0, 0)
    assert find_larger(problem, pods(2, 4, 0, 0)) == pods(4, 2, 0, 0)
    # Nodes that nothing tells apart need no solve; racks do.
    assert find_larger(problem, pods(0, 0, 4, 2)) is not None
    assert find_larger(problem, pods(4, 2, 0, 0)) is None


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"pods": [[6], [0], [0], [0]]}, "place plan"),
        ({"cost": [0, 0, 1, 1, 3, 0, 1, 1]}, "place cost"),
        (
            {"pods": [[4], [0], [2], [0]], "cost": [0, 0, 1, 2, 2, 0, 1, 2]},
            "place best",
        ),
        ({"pods": [[3], [3], [0], [0]]}, "place tie"),
        ({"status": "FEASIBLE"}, "place undecided"),
    ],
)
def test_compare_notices_a_wrong_plan(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], difference: str
) -> None:
    problem = make([4, 4, 4, 4], count=6)
    answer = _oracle.place_gang(problem, 1000)
    monkeypatch.setattr(_oracle, "place_gang", lambda *_: {**answer, **change})
    assert compare(problem).difference == difference


@pytest.mark.parametrize("status", ["INFEASIBLE", "UNKNOWN"])
def test_compare_notices_a_plan_that_was_not_found(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    problem = make([4, 4, 4, 4], count=6)
    answer = {"status": status, "steps": 7}
    monkeypatch.setattr(_oracle, "check_gang", lambda *_: answer)
    assert (compare(problem).difference != "") == (status == "INFEASIBLE")
    monkeypatch.setattr(_oracle, "place_gang", lambda *_: answer)
    word = "status" if status == "INFEASIBLE" else "undecided"
    assert compare(problem).difference == f"place {word}"


def test_compare_notices_a_plan_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = make([4, 4, 4, 4], count=6)
    answer = _oracle.place_gang(problem, 1000)
    monkeypatch.setattr(_oracle, "place_gang", lambda *_: answer)
    none = make([4, 4, 4, 4], count=6, within=[([True], NODE)])
    assert compare(none).difference == "place plan"


def test_shrink_gang_leaves_what_differs() -> None:
    problem = _oracle.make_gang(3, True)
    small = _oracle.shrink_gang(problem, lambda other: len(other["nodes"]) >= 2)
    assert len(small["nodes"]) == 2
    assert len(small["podsets"]) == 1
    assert "GangProblem problem;" in _oracle.dump_gang(small)


def test_a_wrong_problem_is_refused() -> None:
    problem = make([4], count=2)
    problem["nodes"][0] = (7, [0, 0], False)
    with pytest.raises(ValueError, match="without a table"):
        _oracle.place_gang(problem, 1000)


def test_find_best_needs_no_start() -> None:
    found = 0
    for seed in range(500, 530):
        problem = _oracle.make_gang(seed, False)
        answer = _oracle.place_gang(problem, 1_000_000)
        if answer["status"] == "OPTIMAL":
            best = find_best(problem)
            assert best is not None
            assert best[0] == tuple(answer["cost"])
            found += 1
    assert found > 5


@pytest.mark.parametrize("is_large", [False, True])
def test_core_and_programme_agree(is_large: bool) -> None:
    statuses = set()
    for seed in range(2000, 2040):
        outcome = compare(_oracle.make_gang(seed, is_large))
        assert outcome.difference == "", (seed, outcome)
        statuses.add(outcome.place)
    assert {"OPTIMAL", "INFEASIBLE"} <= statuses
