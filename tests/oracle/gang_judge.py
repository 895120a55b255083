# SPDX-License-Identifier: Apache-2.0
"""Plans of the cluster problem, held to `docs/cluster-objective.md` in plain Python.

A problem is the plain data that `_oracle.make_gang` draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

Problem = dict[str, Any]
Vector = tuple[int, ...]
Plan = list[Vector]
Cost = tuple[int, ...]


def domains_of(problem: Problem, level: int) -> list[tuple[str, int]]:
    """Name the Domain of each node; one without is named by itself."""
    if level == problem["levels"]:
        return [("named", v) for v in range(len(problem["nodes"]))]
    return [
        ("alone", v) if domains[level] is None else ("named", domains[level])
        for v, (_, domains, _) in enumerate(problem["nodes"])
    ]


def _sums(
    problem: Problem, plan: Sequence[Vector], podset: int, level: int
) -> dict[tuple[str, int], int]:
    sums: dict[tuple[str, int], int] = defaultdict(int)
    for domain, held in zip(domains_of(problem, level), plan, strict=True):
        if held[podset]:
            sums[domain] += held[podset]
    return sums


def _is_named(sums: Iterable[tuple[str, int]]) -> bool:
    return all(kind == "named" for kind, _ in sums)


def is_within(
    problem: Problem, plan: Sequence[Vector], members: Sequence[bool], level: int
) -> bool:
    """Tell whether one Domain holds all pods of the members."""
    used = {
        domain
        for p, is_member in enumerate(members)
        if is_member
        for domain in _sums(problem, plan, p, level)
    }
    return len(used) <= 1 and _is_named(used)


def is_spread(
    problem: Problem, plan: Sequence[Vector], podset: int, level: int, at_most: int
) -> bool:
    """Tell whether no Domain holds more pods."""
    sums = _sums(problem, plan, podset, level)
    return _is_named(sums) and all(pods <= at_most for pods in sums.values())


def is_balanced(
    problem: Problem, plan: Sequence[Vector], podset: int, level: int
) -> bool:
    """Tell whether Domains that hold pods hold as many, but for one."""
    sums = _sums(problem, plan, podset, level)
    return _is_named(sums) and (
        not sums or max(sums.values()) - min(sums.values()) <= 1
    )


def is_sliced(
    problem: Problem, plan: Sequence[Vector], podset: int, level: int, size: int
) -> bool:
    """Tell whether each Domain holds whole slices."""
    sums = _sums(problem, plan, podset, level)
    return _is_named(sums) and all(pods % size == 0 for pods in sums.values())


def is_preferred(problem: Problem, plan: Sequence[Vector], rule: Any) -> bool:
    """Tell whether an entry of a `prefer` list holds."""
    kind, members, level, number, _ = rule
    if kind == "within":
        return is_within(problem, plan, members, level)
    podset = members.index(True)
    if kind == "spread":
        return is_spread(problem, plan, podset, level, number)
    return is_balanced(problem, plan, podset, level)


def fault_of(problem: Problem, plan: Sequence[Vector], side: str = "attained") -> str:
    """Say what of section 2 a plan breaks, or nothing."""
    if len(plan) != len(problem["nodes"]):
        return "nodes"
    vectors = [{tuple(w) for w in table[side]} for table in problem["tables"]]
    for (table, _, _), held in zip(problem["nodes"], plan, strict=True):
        if held not in vectors[table]:
            return "table"
    for p, (count, min_count, _) in enumerate(problem["podsets"]):
        if not min_count <= sum(held[p] for held in plan) <= count:
            return "count"
    holds = {
        "within": all(is_within(problem, plan, *rule) for rule in problem["within"]),
        "slices": all(is_sliced(problem, plan, *rule) for rule in problem["slices"]),
        "spread": all(is_spread(problem, plan, *rule) for rule in problem["spread"]),
        "balanced": all(
            is_balanced(problem, plan, podset, level)
            for podset, level, _ in problem["balanced"]
        ),
    }
    return next((name for name, is_met in holds.items() if not is_met), "")


def cost_of(problem: Problem, plan: Sequence[Vector]) -> Cost:
    """Return terms 1 to 6, one number after the other."""
    podsets = problem["podsets"]
    short: int = sum(count for count, _, _ in podsets) - sum(map(sum, plan))
    unmet = [0] * (len(podsets) + problem["groups"])
    for rule in problem["prefer"]:
        unmet[rule[-1]] += not is_preferred(problem, plan, rule)
    used: list[int] = []
    opened: list[int] = []
    for level in range(problem["levels"] + 1):
        open_of = {
            domain: problem["open_domains"][level][domain[1]]
            if domain[0] == "named" and level < problem["levels"]
            else node[2]
            for domain, node in zip(
                domains_of(problem, level), problem["nodes"], strict=True
            )
        }
        held = {
            domain
            for domain, vector in zip(domains_of(problem, level), plan, strict=True)
            if any(vector)
        }
        used.append(len(held))
        opened.append(sum(not open_of[domain] for domain in held))
    return (
        short,
        *unmet,
        *used,
        sum(_waste(problem, plan, p) for p in range(len(podsets))),
        *opened[:-1],
    )


def _waste(problem: Problem, plan: Sequence[Vector], podset: int) -> int:
    level = problem["podsets"][podset][2]
    if level is None:
        return 0
    sums = _sums(problem, plan, podset, level)
    copies: int = sum(
        problem["tables"][table]["copies"][podset]
        for domain, (table, _, _) in zip(
            domains_of(problem, level), problem["nodes"], strict=True
        )
        if domain in sums
    )
    return copies - sum(sums.values())
