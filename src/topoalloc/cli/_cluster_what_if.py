# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster what-if``: changes of a copy in order, then a question."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from topoalloc._cluster import Cluster
from topoalloc._errors import InvalidRequestError
from topoalloc._gang import Gang
from topoalloc._request import API_VERSION
from topoalloc.cli import EXIT_YES
from topoalloc.cli._cluster_changes import Outcome, make_change
from topoalloc.cli._cluster_check import answer, explained
from topoalloc.cli._cluster_output import Summary, print_plan
from topoalloc.cli._cluster_picture import ClusterPicture
from topoalloc.cli._cluster_place import complaint
from topoalloc.cli._cluster_source import ClusterFile, GangQuestion
from topoalloc.cli._output import print_json, print_table, warn
from topoalloc.cli._plan import exit_code
from topoalloc.cli._question import Question

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
Each CHANGE is one of cordon:NODES, uncordon:NODES, drain:NODES, remove:NODES, \
add:NODES=LIKE (as the node LIKE), replace:NODES (they fail, and Gangs get others), \
place:FILE, preempt:FILE, defragment:FILE (a Gang in JSON), grow:GANG and \
release:GANG[/PODSET/INDEX]. NODES are names with commas and ranges: n[001-016],n020.

The changes are made in order, on a copy; one that cannot be made ends it. Without a \
question the summary of what came out is printed."""

EXAMPLES = (
    "topoalloc cluster what-if cluster.json drain:n[001-002] --gang train.json",
    "topoalloc cluster what-if cluster.json replace:n007 place:other.json --picture",
    "topoalloc cluster what-if cluster.json release:train-3 --pods 16 --gpus 4 --place",
    "topoalloc cluster what-if cluster.json preempt:urgent.json --json",
)


def command(
    *,
    source: ClusterFile,
    changes: Annotated[
        list[str], typer.Argument(metavar="CHANGE...", help="One or more, in order.")
    ],
    gang: GangQuestion,
    question: Question,
    place: Annotated[
        bool,
        typer.Option("--place", help="Of the Gang: the plan, not the answer alone."),
    ] = False,
    picture: ClusterPicture,
    json_: Annotated[
        bool, typer.Option("--json", help="Changes and answer as JSON.")
    ] = False,
) -> int:
    """Change a copy, and answer."""
    picture.require_heard(json_=json_)
    asked = gang.make(question) if gang.is_given else None
    _require_heard(asked, question, place=place)
    made = [make_change(text) for text in changes]
    cluster = source.read()
    outcomes: list[Outcome] = []
    code = EXIT_YES
    for change in made:
        outcomes.append(change.apply(cluster, max_steps=question.max_steps))
        code = outcomes[-1].code
        if code != EXIT_YES:
            break
    if json_:
        document = _document(outcomes)
        if code == EXIT_YES:
            code, document["answer"] = _answer(cluster, asked, question, place)
        print_json(document)
    else:
        _print_changes(outcomes)
        if code != EXIT_YES:
            warn(outcomes[-1].complaint)
        else:
            sys.stdout.write("\n")
            code = _print_answer(cluster, asked, question, place=place)
    if outcomes[-1].code == EXIT_YES:
        picture.draw(cluster)
    return code


def _require_heard(asked: Gang | None, question: Question, *, place: bool) -> None:
    if asked is None and question != Question(max_steps=question.max_steps):
        raise InvalidRequestError(
            "--gang, --pods: neither beside options of a Request, want one of them"
        )
    if asked is None and place:
        raise InvalidRequestError("--place: without a Gang, want --gang or --pods too")


def _document(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "WhatIf",
        "changes": [outcome.to_dict() for outcome in outcomes],
        "answer": None,
    }


def _answer(
    cluster: Cluster, asked: Gang | None, question: Question, place: bool
) -> tuple[int, dict[str, Any]]:
    if asked is None:
        return EXIT_YES, Summary.of(cluster).to_dict()
    if place:
        plan = cluster.place(asked, max_steps=question.max_steps)
        return exit_code(plan.status), explained(plan.verdict, plan.to_dict())
    verdict = cluster.check(asked, max_steps=question.max_steps)
    return exit_code(verdict.status), explained(verdict, verdict.to_dict())


def _print_changes(outcomes: list[Outcome]) -> None:
    print_table(
        ("change", "status", "what happens"),
        [
            (outcome.change, outcome.status, line) if i == 0 else ("", "", line)
            for outcome in outcomes
            for i, line in enumerate(outcome.lines or ["-"])
        ],
    )


def _print_answer(
    cluster: Cluster, asked: Gang | None, question: Question, *, place: bool
) -> int:
    if asked is None:
        Summary.of(cluster).print()
        return EXIT_YES
    if not place:
        return answer(cluster, asked, max_steps=question.max_steps, json_=False)
    plan = cluster.place(asked, max_steps=question.max_steps)
    code = exit_code(plan.status)
    if code == EXIT_YES:
        print_plan(cluster, plan, is_full=False)
    else:
        warn(complaint(plan))
    return code
