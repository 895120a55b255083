# SPDX-License-Identifier: Apache-2.0
"""One cluster problem through the core and through the programme."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import _oracle
from tests.oracle.gang_judge import Plan, Problem, cost_of, fault_of
from tests.oracle.gang_programme import (
    UndecidedError,
    find_any,
    find_best,
    find_larger,
)

MAX_STEPS = 2_000_000
# Limits that tell whether an answer ended at one; the far ones before a difference.
NEAR = (2,)
FAR = (10, 100)


class Outcome(NamedTuple):
    """What the answers came to.

    Attributes
    ----------
    difference
        Nothing, or who answered and what parts it from the programme.
    place, check
        The statuses.
    is_limit
        Whether `place` ended at the step limit.
    truth
        ``yes``, ``no`` or ``maybe``, for there is a plan on vectors that are possible,
        none on those attained; ``?`` where CP-SAT is undecided. Of a FEASIBLE answer
        ``best`` or ``not best``.
    steps
        Of `place` and `check`.
    detail
        What is known of a difference.
    """

    difference: str
    place: str
    check: str
    is_limit: bool
    truth: str
    steps: tuple[int, int]
    detail: str = ""


class Difference(NamedTuple):
    """What parts an answer from the truth."""

    word: str
    detail: str


def plan_of(answer: dict[str, Any]) -> Plan | None:
    """Return the pods of an answer by node, where it has any."""
    return [tuple(held) for held in answer["pods"]] if "pods" in answer else None


def is_exact(problem: Problem) -> bool:
    """Tell whether each node has the same attained and possible vectors."""
    tables = [problem["tables"][table] for table in {n[0] for n in problem["nodes"]}]
    return all(table["attained"] == table["possible"] for table in tables)


def is_at_limit(
    problem: Problem, answer: dict[str, Any], max_steps: int, factors: Iterable[int]
) -> bool:
    """Tell whether more steps lead further; they are taken in lots."""
    if answer["steps"] >= max_steps:
        return True
    for factor in factors:
        again = _oracle.place_gang(problem, factor * max_steps)
        if again["status"] != answer["status"] or again["steps"] > answer["steps"]:
            return True
    return False


def judge(problem: Problem, answer: dict[str, Any]) -> Difference | None:
    """Hold the plan of an answer to the rules, and its cost to the definition."""
    plan = plan_of(answer)
    if plan is None:
        return None
    if fault := fault_of(problem, plan):
        return Difference("plan", fault)
    cost = cost_of(problem, plan)
    return Difference("cost", str(cost)) if cost != tuple(answer["cost"]) else None


def compare_best(
    problem: Problem, answer: dict[str, Any]
) -> tuple[str, Difference | None]:
    """Compare a plan that `place` found with the best."""
    plan = plan_of(answer)
    found = find_best(problem, plan)
    if found is None or plan is None:
        return "no", Difference("status", "there is no plan")
    cost, best = found
    if answer["status"] == "FEASIBLE":
        return "best" if cost == tuple(answer["cost"]) else "not best", None
    if not is_exact(problem):
        return "yes", Difference("proof", "vectors that are possible are not attained")
    if cost != tuple(answer["cost"]):
        return "yes", Difference("best", f"{cost} {best}")
    larger = find_larger(problem, plan)
    return "yes", None if larger is None else Difference("tie", str(larger))


def compare_none(
    problem: Problem, answer: dict[str, Any]
) -> tuple[str, Difference | None]:
    """Compare an answer without a plan with what there is."""
    plan = find_any(problem)
    possible = plan if plan is not None else find_any(problem, "possible")
    truth = "yes" if plan is not None else "no" if possible is None else "maybe"
    is_wrong = answer["status"] == "INFEASIBLE" and truth != "no"
    return truth, Difference("status", str(possible)) if is_wrong else None


def compare(problem: Problem, max_steps: int = MAX_STEPS) -> Outcome:
    """Ask both, and say where they part."""
    place = _oracle.place_gang(problem, max_steps)
    check = _oracle.check_gang(problem, max_steps)
    is_proof = place["status"] in ("OPTIMAL", "INFEASIBLE")
    is_limit = not is_proof and is_at_limit(problem, place, max_steps, NEAR)
    truth = "?"
    difference = judge(problem, place)
    try:
        if difference is None and "pods" in place:
            truth, difference = compare_best(problem, place)
        elif difference is None:
            truth, difference = compare_none(problem, place)
    except UndecidedError:
        pass
    # Without a limit, only vectors that are possible and not attained prevent a proof.
    could_prove = is_exact(problem) or (place["status"], truth) in (
        ("UNKNOWN", "yes"),
        ("UNKNOWN", "no"),
    )
    if difference is None and not is_proof and not is_limit and could_prove:
        is_limit = is_at_limit(problem, place, max_steps, FAR)
        difference = None if is_limit else Difference("undecided", truth)
    word = "" if difference is None else f"place {difference.word}"
    if difference is None:
        difference = judge(problem, check) or compare_check(check, truth)
        word = "" if difference is None else f"check {difference.word}"
    return Outcome(
        word,
        place["status"],
        check["status"],
        is_limit,
        truth,
        (place["steps"], check["steps"]),
        "" if difference is None else f"{difference.detail}\n{place}\n{check}",
    )


def compare_check(check: dict[str, Any], truth: str) -> Difference | None:
    """Compare the status of `check` with what there is."""
    right = {"INFEASIBLE": ("no", "?"), "UNKNOWN": (truth,)}
    found = ("yes", "best", "not best", "?")
    is_right = truth in right.get(check["status"], found)
    return (
        None if is_right and check["status"] != "OPTIMAL" else Difference("status", "")
    )


# ------------------------------------------------------------------------- the kinds


def _is_crossing(problem: Problem) -> bool:
    for fine in range(problem["levels"]):
        for coarse in range(fine):
            above: dict[int, int | None] = {}
            for _, domains, _ in problem["nodes"]:
                if domains[fine] is None:
                    continue
                first = above.setdefault(domains[fine], domains[coarse])
                if first != domains[coarse]:
                    return True
    return False


def _rules(problem: Problem) -> Iterator[tuple[str, int]]:
    """Yield the name and the level of each rule."""
    owners = [podset for podset, _, _ in problem["slices"]]
    for members, level in problem["within"]:
        yield f"within of a {'PodSet' if sum(members) == 1 else 'Group'}", level
    for podset, level, _ in problem["slices"]:
        yield "nested slices" if owners.count(podset) > 1 else "one slice", level
    for name in ("spread", "balanced"):
        for _, level, _ in problem[name]:
            yield name, level
    for kind, _, level, _, unmet in problem["prefer"]:
        owner = " of a Group" if unmet >= len(problem["podsets"]) else ""
        yield f"prefer {kind}{owner}", level


def kinds_of(problem: Problem) -> Iterator[str]:
    """Yield what the problem has, for the table of a run."""
    nodes = problem["nodes"]
    size = next(n for n in (16, 32, 48, 1 << 32) if len(nodes) <= n)
    yield "all"
    yield f"{len(problem['podsets'])} PodSets"
    yield f"up to {size} nodes" if size < 1 << 32 else "more nodes"
    alike = {(table, tuple(domains), is_open) for table, domains, is_open in nodes}
    few = next(n for n in (4, 8, 16, 1 << 32) if len(alike) <= n)
    yield f"up to {few} kinds of nodes" if few < 1 << 32 else "more kinds of nodes"
    pods = sum(count for count, _, _ in problem["podsets"])
    yield "up to 16 pods" if pods <= 16 else "more pods"
    rules = list(_rules(problem))
    yield from sorted({name for name, _ in rules} or {"no rule"})
    if any(level == problem["levels"] for _, level in rules):
        yield "a rule of nodes"
    yield "Domains that cross" if _is_crossing(problem) else "Domains that nest"
    if any(None in domains for _, domains, _ in nodes):
        yield "a node without a Domain"
    order = [[(d is None, d or 0) for d in domains] for _, domains, _ in nodes]
    if order != sorted(order):
        yield "nodes out of order"
    if any(is_open for _, _, is_open in nodes):
        yield "an open node"
    if any(least < count for count, least, _ in problem["podsets"]):
        yield "min_count below count"
    if not is_exact(problem):
        yield "attained below possible"
