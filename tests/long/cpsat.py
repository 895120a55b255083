# SPDX-License-Identifier: Apache-2.0
"""Compare the gang solver with CP-SAT on random cluster problems.

``nox -s oracle_cpsat`` runs it. A difference is printed whole and shrunk; exit status 1
then. Instance i has the seed S + i; ``--shrink limit`` prints the shrunk form of each
problem that ends at the step limit, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from os import sched_getaffinity
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import _oracle
from tests.oracle.gang_compare import MAX_STEPS, Outcome, compare, kinds_of

if TYPE_CHECKING:
    from tests.oracle.gang_judge import Problem

REPORT_EVERY = 100
COLUMNS = ("OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN", "at the limit", "undecided")


class Task(NamedTuple):
    """One seed, and how it is asked."""

    seed: int
    is_small: bool
    max_steps: int
    shrink: str


class Result(NamedTuple):
    """What one seed came to."""

    seed: int
    outcome: Outcome
    kinds: tuple[str, ...]
    story: str


def shrink(task: Task, problem: Problem, outcome: Outcome) -> str:
    """Return the smallest problem that differs, or ends at the limit, the same way."""

    def differs(other: Problem) -> bool:
        found = compare(other, task.max_steps)
        if outcome.difference:
            return found.difference == outcome.difference
        return found.is_limit and found.place == outcome.place

    small = _oracle.shrink_gang(problem, differs)
    found = compare(small, task.max_steps)
    return f"{found}\n{_oracle.dump_gang(small)}"


def ask(task: Task) -> Result:
    """Compare the answers to one problem."""
    problem = _oracle.make_gang(task.seed, not task.is_small)
    outcome = compare(problem, task.max_steps)
    is_meant = outcome.difference or (task.shrink == "limit" and outcome.is_limit)
    story = ""
    if is_meant:
        name = outcome.difference or "step limit"
        story = f"{name} (seed {task.seed})\n{outcome.detail}\n"
        if task.shrink != "none":
            story += shrink(task, problem, outcome)
    return Result(task.seed, outcome, tuple(kinds_of(problem)), story)


class Tally:
    """The figures of a run."""

    def __init__(self) -> None:
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self.checks: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.most = (0, 0)
        self.differences = 0
        self.at_limit: list[int] = []

    def add(self, result: Result) -> None:
        """Count one result."""
        outcome = result.outcome
        for kind in result.kinds:
            counts = self.kinds[kind]
            counts[outcome.place] += 1
            counts["at the limit"] += outcome.is_limit
            counts["undecided"] += outcome.truth == "?"
            counts["sum"] += 1
        self.checks[outcome.check] += 1
        if outcome.place in ("FEASIBLE", "UNKNOWN"):
            word = f"{outcome.place}, in truth {outcome.truth}"
            (self.limits if outcome.is_limit else self.others)[word] += 1
        if outcome.is_limit:
            self.at_limit.append(result.seed)
        self.most = max(self.most, (outcome.steps[0], result.seed))
        self.differences += bool(outcome.difference)

    def report(self) -> None:
        """Print the figures."""
        print(f"{'place':28}" + "".join(f"{name:>14}" for name in COLUMNS))
        for kind, counts in sorted(
            self.kinds.items(), key=lambda item: (item[0] != "all", item[0])
        ):
            share = counts["at the limit"] / counts["sum"]
            print(
                f"{kind:28}"
                + "".join(f"{counts[name]:14}" for name in COLUMNS)
                + f"{share:8.1%} at the limit"
            )
        print(f"check: {dict(self.checks)}")
        print(f"place, ended at the limit: {dict(self.limits)}")
        print(f"place, no proof for the tables: {dict(self.others)}")
        print(f"seeds at the limit: {self.at_limit[:40]}")
        print(f"most steps of place: {self.most[0]} (seed {self.most[1]})")
        print(f"differences: {self.differences}")


def main() -> int:
    """Run, print the figures, and say whether there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-steps", type=int, default=MAX_STEPS)
    parser.add_argument("--small", action="store_true", help="those of brute force")
    parser.add_argument(
        "--shrink", choices=("none", "difference", "limit"), default="difference"
    )
    parser.add_argument("--processes", type=int, default=len(sched_getaffinity(0)))
    arguments = parser.parse_args()
    tasks = [
        Task(seed, arguments.small, arguments.max_steps, arguments.shrink)
        for seed in range(arguments.seed, arguments.seed + arguments.instances)
    ]
    tally = Tally()
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for number, result in enumerate(pool.map(ask, tasks, chunksize=4), 1):
            tally.add(result)
            if result.story:
                print(result.story, flush=True)
            if number % REPORT_EVERY == 0:
                seconds = time.perf_counter() - start
                print(
                    f"after {number}, {seconds:.0f} s: {dict(tally.kinds['all'])}",
                    flush=True,
                )
    tally.report()
    seconds = time.perf_counter() - start
    print(f"{arguments.instances} from seed {arguments.seed}: {seconds:.0f} s")
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main())
