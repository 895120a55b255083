# SPDX-License-Identifier: Apache-2.0
"""Run the cases: `python -m topoalloc.kubernetes.conformance -- ./allocator`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from topoalloc._errors import TopoallocError
from topoalloc.kubernetes._cel import SEMANTICS
from topoalloc.kubernetes.conformance._answers import (
    answer_of_command,
    answer_of_inventory,
)
from topoalloc.kubernetes.conformance._cases import Case, load_cases, question_of
from topoalloc.kubernetes.conformance._compare import disagreement

EXIT_AGREES, EXIT_DIFFERS, EXIT_BAD = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m topoalloc.kubernetes.conformance",
        description="Hold an allocator of ResourceClaims against the cases. "
        "A command gets each question as JSON on its input and writes its answer as "
        "JSON; without one topoalloc itself is asked.",
    )
    parser.add_argument("--cases", metavar="FOLDER", help="other cases than ours")
    parser.add_argument(
        "--feature", action="append", help="only this feature; may be repeated"
    )
    parser.add_argument("--name", help="only cases with this in feature/name")
    parser.add_argument(
        "--semantics",
        action="append",
        choices=SEMANTICS,
        help="only this version of Kubernetes; may be repeated",
    )
    parser.add_argument(
        "--any-error",
        action="store_true",
        help="take an error about any path where one is expected",
    )
    parser.add_argument(
        "--allocator-only",
        action="store_true",
        help="leave out objects that the API server refuses",
    )
    parser.add_argument("--timeout", type=float, default=60, help="seconds; 60")
    parser.add_argument("--list", action="store_true", help="list cases, run none")
    parser.add_argument("command", nargs="*", help="the allocator, after --")
    return parser


def _run(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    asked = wrong = 0
    for case in cases:
        if options.list:
            print(f"{case.id} ({', '.join(case.semantics)}): {case.title}")
            continue
        for version in case.semantics:
            if version not in (options.semantics or SEMANTICS):
                continue
            question = question_of(case, version)
            answer = (
                answer_of_command(question, options.command, timeout_s=options.timeout)
                if options.command
                else answer_of_inventory(question)
            )
            asked += 1
            text = disagreement(case, answer, error_paths=not options.any_error)
            if text:
                wrong += 1
                print(
                    f"{case.id} ({version}): {case.title}\n  {case.follows}\n  {text}"
                )
    if options.list:
        return EXIT_AGREES
    print(f"{asked - wrong} of {asked} answers are as expected")
    return EXIT_DIFFERS if wrong or not asked else EXIT_AGREES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    Returns
    -------
    int
        0 where every answer is the one expected, 1 where one is not, 2 where cases or
        the command cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        cases = [
            case
            for case in load_cases(options.cases)
            if case.feature in (options.feature or [case.feature])
            and (options.name or "") in case.id
            and not (options.allocator_only and case.expected.get("by") == "api")
        ]
        return _run(options, cases)
    except (TopoallocError, OSError) as error:
        print(error, file=sys.stderr)
        return EXIT_BAD


if __name__ == "__main__":
    sys.exit(main())
