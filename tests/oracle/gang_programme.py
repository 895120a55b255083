# SPDX-License-Identifier: Apache-2.0
"""The cluster problem as a constraint programme, solved by OR-Tools CP-SAT.

Nodes of one table, in the same Domains and equally open are alike, so the programme
counts how many of them hold which vector of pods. Terms are minimised one after the
other, each fixed before the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ortools.sat.python import cp_model
from tests.oracle.gang_judge import (
    Cost,
    Plan,
    Problem,
    Vector,
    cost_of,
    fault_of,
    is_preferred,
)

# Of CP-SAT's own deterministic time, so that runs repeat; about seconds.
LIMIT = 30.0


class UndecidedError(Exception):
    """CP-SAT came to no answer within its limit."""


class ContradictionError(Exception):
    """Programme and judge differ about a plan."""


@dataclass
class Alike:
    """Nodes that nothing but their order tells apart."""

    nodes: list[int]  # in node order
    table: int
    domains: tuple[int | None, ...]
    open: bool
    number: dict[Vector, Any] = field(default_factory=dict)  # that hold the vector

    def holding(self, podsets: Iterable[int]) -> list[Any]:
        """Return the numbers of vectors with a pod of one of these."""
        members = list(podsets)
        return [n for w, n in self.number.items() if any(w[p] for p in members)]


class Programme:
    """All of a problem but the objective, which grows term by term.

    Literals that say "holds a pod" and "is met" are implied one way only: neither a
    rule nor a term gains by the other one.
    """

    def __init__(self, problem: Problem, side: str = "attained") -> None:
        self.problem = problem
        self.levels: int = problem["levels"]
        self.podsets = range(len(problem["podsets"]))
        self.counts = [count for count, _, _ in problem["podsets"]]
        self.model = cp_model.CpModel()
        self.alike = self._group(side)
        self._used: dict[tuple[tuple[int, ...], int, int], Any] = {}
        self.met: list[Any] = []
        self._require()
        self.terms = self._terms()

    def _group(self, side: str) -> list[Alike]:
        groups: dict[Any, Alike] = {}
        for v, (table, domains, is_open) in enumerate(self.problem["nodes"]):
            key = (table, tuple(domains), is_open)
            groups.setdefault(key, Alike([], *key)).nodes.append(v)
        for group in groups.values():
            size = len(group.nodes)
            for w in map(tuple, self.problem["tables"][group.table][side]):
                group.number[w] = self.model.new_int_var(0, size, "")
            self.model.add(sum(group.number.values()) == size)
        return list(groups.values())

    # Groups by named Domain, and those whose nodes are each a Domain: for want of one,
    # or since "node" is the level.
    def _partition(self, level: int) -> tuple[dict[int, list[Alike]], list[Alike]]:
        if level == self.levels:
            return {}, self.alike
        named: dict[int, list[Alike]] = defaultdict(list)
        alone = []
        for group in self.alike:
            domain = group.domains[level]
            if domain is None:
                alone.append(group)
            else:
                named[domain].append(group)
        return named, alone

    @staticmethod
    def _pods(podset: int, groups: Iterable[Alike]) -> Any:
        return sum(w[podset] * n for g in groups for w, n in g.number.items())

    def used(self, podsets: Iterable[int], level: int, domain: int) -> Any:
        """Return the literal that a pod of one of them implies."""
        key = (tuple(podsets), level, domain)
        if key not in self._used:
            literal = self.model.new_bool_var("")
            self._used[key] = literal
            groups = self._partition(level)[0][domain]
            for group in groups:
                self.model.add(sum(group.holding(key[0])) <= len(group.nodes) * literal)
            for p in key[0]:
                room = sum(max(w[p] for w in g.number) * len(g.nodes) for g in groups)
                self.model.add(
                    self._pods(p, groups) <= min(room, self.counts[p]) * literal
                )
        return self._used[key]

    # ---- rules; each holds where the literals are true

    def _forbid(self, numbers: Sequence[Any], given: Sequence[Any]) -> None:
        if numbers:
            self.model.add(sum(numbers) == 0).only_enforce_if(given)

    # Pods are in no node without a Domain; says whether "node" is the level.
    def _forbid_alone(
        self, podsets: Iterable[int], level: int, given: Sequence[Any]
    ) -> None:
        if level < self.levels:
            for group in self._partition(level)[1]:
                self._forbid(group.holding(podsets), given)

    def within(self, members: Sequence[bool], level: int, *given: Any) -> None:
        podsets = [p for p, is_member in enumerate(members) if is_member]
        self._forbid_alone(podsets, level, given)
        if level == self.levels:
            used = [n for group in self.alike for n in group.holding(podsets)]
        else:
            used = [self.used(podsets, level, d) for d in self._partition(level)[0]]
        self.model.add(sum(used) <= 1).only_enforce_if(given)

    def sliced(self, podset: int, level: int, size: int) -> None:
        self._forbid_alone([podset], level, [])
        if level == self.levels:
            self._forbid(self._numbers(lambda w: w[podset] % size != 0), [])
        for groups in self._partition(level)[0].values():
            slices = self.model.new_int_var(0, self.counts[podset] // size, "")
            self.model.add(self._pods(podset, groups) == size * slices)

    def spread(self, podset: int, level: int, at_most: int, *given: Any) -> None:
        self._forbid_alone([podset], level, given)
        if level == self.levels:
            self._forbid(self._numbers(lambda w: w[podset] > at_most), given)
        for groups in self._partition(level)[0].values():
            self.model.add(self._pods(podset, groups) <= at_most).only_enforce_if(given)

    def balanced(self, podset: int, level: int, *given: Any) -> None:
        self._forbid_alone([podset], level, given)
        least = self.model.new_int_var(0, self.counts[podset], "")
        if level == self.levels:
            for pods in range(1, self.counts[podset] + 1):
                numbers = self._numbers(lambda w, pods=pods: w[podset] == pods)
                literal = self.model.new_bool_var("")
                self.model.add(sum(numbers) <= len(self.problem["nodes"]) * literal)
                for bound in (least <= pods, least >= pods - 1):
                    self.model.add(bound).only_enforce_if(literal, *given)
        for domain, groups in self._partition(level)[0].items():
            pods = self._pods(podset, groups)
            self.model.add(pods <= least + 1).only_enforce_if(given)
            literal = self.used([podset], level, domain)
            self.model.add(pods >= least).only_enforce_if(literal, *given)

    def _numbers(self, is_meant: Any) -> list[Any]:
        return [n for g in self.alike for w, n in g.number.items() if is_meant(w)]

    def _require(self) -> None:
        problem = self.problem
        for p, (count, min_count, _) in enumerate(problem["podsets"]):
            self.model.add_linear_constraint(
                self._pods(p, self.alike), min_count, count
            )
        for rule in problem["within"]:
            self.within(*rule)
        for rule in problem["slices"]:
            self.sliced(*rule)
        for rule in problem["spread"]:
            self.spread(*rule)
        for podset, level, _ in problem["balanced"]:
            self.balanced(podset, level)
        for kind, members, level, number, _ in problem["prefer"]:
            literal = self.model.new_bool_var("")
            self.met.append(literal)
            if kind == "within":
                self.within(members, level, literal)
            elif kind == "spread":
                self.spread(members.index(True), level, number, literal)
            else:
                self.balanced(members.index(True), level, literal)

    # ---- terms

    def _terms(self) -> list[Any]:
        problem = self.problem
        total = sum(self._pods(p, self.alike) for p in self.podsets)
        unmet: list[Any] = [0] * (len(self.podsets) + problem["groups"])
        for literal, rule in zip(self.met, problem["prefer"], strict=True):
            unmet[rule[-1]] += 1 - literal
        domains = []
        opened = []
        for level in range(self.levels + 1):
            named, alone = self._partition(level)
            literals = {d: self.used(self.podsets, level, d) for d in named}
            numbers = [(g.open, sum(g.holding(self.podsets))) for g in alone]
            domains.append(sum(literals.values()) + sum(n for _, n in numbers))
            opened.append(
                sum(
                    literal
                    for d, literal in literals.items()
                    if not problem["open_domains"][level][d]
                )
                + sum(n for is_open, n in numbers if not is_open)
            )
        waste = sum(self._waste(p) for p in self.podsets)
        return [sum(self.counts) - total, *unmet, *domains, waste, *opened[:-1]]

    def _waste(self, podset: int) -> Any:
        level = self.problem["podsets"][podset][2]
        if level is None:
            return 0
        copies = [table["copies"][podset] for table in self.problem["tables"]]
        named, alone = self._partition(level)
        return (
            sum(
                self.used([podset], level, d)
                * sum(copies[g.table] * len(g.nodes) for g in groups)
                for d, groups in named.items()
            )
            + sum(copies[g.table] * sum(g.holding([podset])) for g in alone)
            - self._pods(podset, self.alike)
        )

    # ---- solving

    def hint(self, plan: Sequence[Vector]) -> None:
        """Start the next solve at a plan."""
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for group in self.alike:
            held = [plan[v] for v in group.nodes]
            for w, n in group.number.items():
                self.model.add_hint(n, held.count(w))
        for (podsets, level, domain), literal in self._used.items():
            groups = self._partition(level)[0][domain]
            self.model.add_hint(
                literal,
                any(plan[v][p] for g in groups for v in g.nodes for p in podsets),
            )
        for literal, rule in zip(self.met, self.problem["prefer"], strict=True):
            self.model.add_hint(literal, is_preferred(self.problem, plan, rule))

    def solve(self) -> Plan | None:
        """Return a plan, the larger vectors in the earlier of nodes that are alike."""
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        solver.parameters.linearization_level = 2
        solver.parameters.max_deterministic_time = LIMIT
        status = solver.solve(self.model)
        if status == cp_model.INFEASIBLE:
            return None
        if status != cp_model.OPTIMAL:
            raise UndecidedError(solver.status_name(status))
        plan: Plan = [()] * len(self.problem["nodes"])
        for group in self.alike:
            held = [
                w
                for w, n in sorted(group.number.items(), reverse=True)
                for _ in range(solver.value(n))
            ]
            for v, w in zip(group.nodes, held, strict=True):
                plan[v] = w
        return plan


def find_any(problem: Problem, side: str = "attained") -> Plan | None:
    """Return a plan, or None as a proof that there is none."""
    plan = Programme(problem, side).solve()
    if plan is not None and (fault := fault_of(problem, plan, side)):
        raise ContradictionError(fault)
    return plan


def find_best(problem: Problem, start: Plan | None = None) -> tuple[Cost, Plan] | None:
    """Return the least cost and a plan of it, or None where there is no plan.

    Parameters
    ----------
    problem
        What to solve.
    start
        A feasible plan: terms in which none is better than it take no solve.
    """
    programme = Programme(problem)
    plan = start if start is not None else programme.solve()
    if plan is None:
        return None
    for i, term in enumerate(programme.terms):
        if cost_of(problem, plan)[i] > 0 and not isinstance(term, int):
            programme.hint(plan)
            programme.model.minimize(term)
            found = programme.solve()
            if found is None:
                raise ContradictionError(f"no plan is left at term {i}")
            plan = found
        if fault := fault_of(problem, plan):
            raise ContradictionError(fault)
        # A term of no variables is a number, and holds.
        if not isinstance(term, int):
            programme.model.add(term == cost_of(problem, plan)[i])
    return cost_of(problem, plan), plan


def find_larger(problem: Problem, plan: Plan) -> Plan | None:
    """Return a plan of the same cost that term 7 puts before a plan, or None."""
    programme = Programme(problem)
    for group in programme.alike:
        vectors = [plan[v] for v in group.nodes]
        if vectors != sorted(vectors, reverse=True):
            larger = list(plan)
            for v, w in zip(group.nodes, sorted(vectors, reverse=True), strict=True):
                larger[v] = w
            return larger
    model = programme.model
    for term, value in zip(programme.terms, cost_of(problem, plan), strict=True):
        if not isinstance(term, int):
            model.add(term == value)
    rank = {
        v: (group, i) for group in programme.alike for i, v in enumerate(group.nodes)
    }
    is_same = model.new_bool_var("")  # up to the node at hand
    model.add(is_same == 1)
    firsts = []
    for v, held in enumerate(plan):
        group, before = rank[v]
        if len(group.number) == 1:
            continue
        more = sum(n for w, n in group.number.items() if w > held)
        is_first = model.new_bool_var("")
        model.add_implication(is_first, is_same)
        model.add(more >= before + 1).only_enforce_if(is_first)
        firsts.append(is_first)
        is_next = model.new_bool_var("")
        model.add_implication(is_next, is_same)
        model.add(more <= before).only_enforce_if(is_next)
        model.add(more + group.number[held] >= before + 1).only_enforce_if(is_next)
        is_same = is_next
    # Larger at one node, or the plan itself: the programme must not refuse that one.
    model.add_exactly_one(*firsts, is_same)
    programme.hint(plan)
    model.minimize(is_same)
    found = programme.solve()
    if found is None:
        raise ContradictionError("no plan is left at term 7")
    if fault := fault_of(problem, found):
        raise ContradictionError(fault)
    return found if found > plan else None
