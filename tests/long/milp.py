# SPDX-License-Identifier: Apache-2.0
"""Compare the Allocator with the integer programme on random questions.

``nox -s oracle_milp`` runs it. A difference is printed whole; exit status 1 then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from os import sched_getaffinity
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.instances import LARGE, ask, describe, make_instance
from tests.oracle.linear import NotCovered, Undecided
from tests.oracle.machine import Machine
from tests.oracle.programme import solve
from tests.property import tables

import topoalloc as ta

TITLE = "constraints"
REPORT_EVERY = 1000


class Outcome(NamedTuple):
    """What one question came to."""

    seed: int
    word: str
    request: dict[str, Any]
    cost: tuple[int, ...] | None = None
    story: str = ""


def compare(seed: int) -> Outcome:
    """Ask both."""
    instance = make_instance(Random(seed), LARGE)
    reply = ask(instance)
    try:
        expected = solve(
            Machine(instance.machine),
            instance.state,
            instance.request,
            spread=instance.spread,
            keep_from=instance.keep_from,
        )
    except NotCovered:
        return Outcome(seed, "not covered", instance.request)
    except Undecided:
        return Outcome(seed, "HiGHS undecided", instance.request)
    best = expected.cost
    is_proof = reply.status not in ("FEASIBLE", "UNKNOWN")
    # Without a proof the Allocator may be worse than the best, never better.
    is_right = (
        reply.cost == best
        if is_proof
        else reply.cost is None or (best is not None and best <= reply.cost)
    )
    if not is_right:
        story = (
            f"core {reply.status} {reply.cost} {reply.placement}\n"
            f"milp {expected}\n{describe(instance)}"
        )
        return Outcome(seed, "DIFFERENCE", instance.request, best, story)
    word = f"core {reply.status}" if not is_proof else "no" if best is None else "yes"
    return Outcome(seed, word, instance.request, best)


def report(outcomes: Counter[str], terms: Counter[str]) -> None:
    """Print the figures."""
    if TITLE in tables.TABLES:  # Not where no answer was a proof.
        for line in tables.lines_of(tables.TABLES[TITLE]):
            print(line)
    print("answers in which a term is not 0:")
    for name in ta.Cost._fields:
        print(f"  {name:18} {terms[name]:8}")
    for word, count in sorted(outcomes.items()):
        print(f"{word:20} {count:8}")


def main() -> int:
    """Run, print the figures, and say whether there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(sched_getaffinity(0)))
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.instances)
    outcomes: Counter[str] = Counter()
    terms: Counter[str] = Counter()
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for outcome in pool.map(compare, seeds, chunksize=4):
            outcomes[outcome.word] += 1
            if outcome.story:
                print(f"seed {outcome.seed}: {outcome.story}", flush=True)
            if outcome.word in ("yes", "no"):
                tables.count(TITLE, outcome.request, outcome.cost)
            if outcome.cost is not None:
                terms.update(
                    ta.Cost._fields[i] for i, n in enumerate(outcome.cost) if n
                )
            if outcomes.total() % REPORT_EVERY == 0:
                print(f"after {outcomes.total()}: {dict(outcomes)}", flush=True)
    seconds = time.perf_counter() - start
    report(outcomes, terms)
    print(f"{arguments.instances} from seed {arguments.seed}: {seconds:.0f} s")
    return 1 if outcomes["DIFFERENCE"] else 0


if __name__ == "__main__":
    sys.exit(main())
