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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.instances import LARGE, ask, describe, make_instance
from tests.oracle.linear import NotCovered, Undecided
from tests.oracle.machine import Machine
from tests.oracle.programme import solve


def compare(seed: int) -> tuple[int, str, str]:
    """Return the seed, what came out, and the story of a difference."""
    instance = make_instance(Random(seed), LARGE)
    reply = ask(instance)
    if reply.status in ("FEASIBLE", "UNKNOWN"):
        return seed, f"core {reply.status}", ""
    try:
        expected = solve(
            Machine(instance.machine),
            instance.state,
            instance.request,
            spread=instance.spread,
            keep_from=instance.keep_from,
        )
    except NotCovered:
        return seed, "not covered", ""
    except Undecided:
        return seed, "HiGHS undecided", ""
    if expected.cost != reply.cost:
        story = (
            f"core {reply.status} {reply.cost} {reply.placement}\n"
            f"milp {expected}\n{describe(instance)}"
        )
        return seed, "DIFFERENCE", story
    return seed, "no" if expected.cost is None else "yes", ""


def main() -> int:
    """Run, print the figures, and say whether there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(sched_getaffinity(0)))
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.instances)
    outcomes: Counter[str] = Counter()
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for seed, outcome, story in pool.map(compare, seeds, chunksize=4):
            outcomes[outcome] += 1
            if story:
                print(f"seed {seed}: {outcome}\n{story}", flush=True)
    seconds = time.perf_counter() - start
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome:16} {count:8}")
    print(
        f"{arguments.instances} instances from seed {arguments.seed}: {seconds:.0f} s"
    )
    return 1 if outcomes["DIFFERENCE"] else 0


if __name__ == "__main__":
    sys.exit(main())
