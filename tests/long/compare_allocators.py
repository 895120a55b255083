# SPDX-License-Identifier: Apache-2.0
"""Ask topoalloc and another allocator random questions; the first fit must be the same.

`python -m tests.long.compare_allocators --count 10000 -- COMMAND` wants a command as
docs/conformance.md describes it, of Kubernetes 1.37. Not compared: questions with
adminAccess, and answers that say that a device of `All` breaks a constraint.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.claim_instances import claims, cluster

import topoalloc as ta
from topoalloc import kubernetes as tk
from topoalloc.kubernetes import conformance

FEATURES = ["taints", "counters", "consumable_capacity", "binding_conditions", "lists"]
BREAKS_CONSTRAINT = "a claim constraint would not be satisfied"


def question_of(seed: int) -> dict[str, Any]:
    """Return a random question; in three of five something is held, if it fits."""
    rng = random.Random(seed)
    objects, asked = cluster(rng), claims(rng)
    if rng.random() < 0.6:
        held = claims(rng)
        for claim in held:
            claim["metadata"]["name"] += "-held"
        with contextlib.suppress(ta.TopoallocError):
            inventory = tk.Inventory("1.37", features=["lists"])
            for item in objects:
                inventory.update(item)
            objects += inventory.allocate(held, node="n1", choose="first_fit")
    return {
        "name": f"seed {seed}",
        "semantics": "1.37",
        "features": FEATURES,
        "node": "n1",
        "choose": "first_fit",
        "objects": objects,
        "claims": asked,
    }


def compare(seed: int, command: list[str]) -> tuple[str, str]:
    """Return what kind of answer it was, and in what they differ."""
    question = question_of(seed)
    if "adminAccess" in json.dumps(question):
        return "not compared", ""
    theirs = conformance.answer_of_command(question, command)
    if BREAKS_CONSTRAINT in str(theirs.get("error")):
        return "not compared", ""
    ours = conformance.answer_of_inventory(question)
    case = conformance.Case(
        "random",
        str(seed),
        "",
        "",
        ("1.37",),
        (),
        question["objects"],
        question["claims"],
        question["node"],
        {**ours, "error": ours["error"].split(":")[0]} if "error" in ours else ours,
    )
    return next(iter(ours)), conformance.disagreement(case, theirs, error_paths=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.count)
    kinds: collections.Counter[str] = collections.Counter()
    wrong = 0
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda seed: compare(seed, options.command), seeds)
        for seed, (kind, text) in zip(seeds, answers, strict=True):
            kinds[kind] += 1
            if text:
                wrong += 1
                print(f"seed {seed}: {text}")
    print(f"{options.count} questions, {wrong} differences; {dict(kinds)}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
