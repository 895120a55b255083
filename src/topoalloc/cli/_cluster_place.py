# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster place``: where do the pods of a Gang go."""

from __future__ import annotations

from typing import Annotated

import typer

from topoalloc import GangPlan
from topoalloc._errors import InvalidRequestError
from topoalloc.cli import EXIT_YES
from topoalloc.cli._cluster_check import explained
from topoalloc.cli._cluster_output import print_plan
from topoalloc.cli._cluster_picture import ClusterPicture
from topoalloc.cli._cluster_source import (
    ClusterFile,
    GangQuestion,
    write_cluster,
    write_record,
)
from topoalloc.cli._output import print_json, warn
from topoalloc.cli._plan import exit_code
from topoalloc.cli._question import Question

__all__ = ["EXAMPLES", "HELP", "command", "complaint"]

HELP = """\
The best plan, all pods or none, in rank order. Pictures show the Cluster in which the \
Gang runs.

A "no" is proved, and its reason goes to standard error; standard output stays empty, \
except with --json."""

EXAMPLES = (
    "topoalloc cluster place cluster.json --gang train.json",
    "topoalloc cluster place cluster.json --pods 16 --gpus 4 --within rack --full",
    "topoalloc cluster place cluster.json --gang train.json --commit -o new.json",
    "topoalloc cluster place cluster.json --gang train.json --json",
)


def command(
    *,
    source: ClusterFile,
    gang: GangQuestion,
    question: Question,
    full: Annotated[
        bool, typer.Option("--full", help="A line a pod, with what it gets.")
    ] = False,
    picture: ClusterPicture,
    commit: Annotated[
        bool, typer.Option("--commit", help="With -o: let the Gang run.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="With --commit: write the Cluster in which the Gang runs; - is "
            "standard output, in place of the plan.",
        ),
    ] = None,
    json_: Annotated[
        bool,
        typer.Option("--json", help="The plan as JSON, of a no with its reason."),
    ] = False,
    record: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the Decision record, for replay."),
    ] = None,
) -> int:
    """Place, print, and commit where asked to."""
    _require_heard(commit=commit, output=output, json_=json_, full=full)
    picture.require_heard(json_=json_)
    if output == "-" and picture.picture:
        raise InvalidRequestError(
            "--output: - beside --picture, want a file: both go to standard output"
        )
    asked = gang.make(question)
    cluster = source.read()
    plan = cluster.place(asked, max_steps=question.max_steps)
    write_record(cluster, plan, record, json_=json_)
    code = exit_code(plan.status)
    if json_:
        print_json(explained(plan.verdict, plan.to_dict()))
    elif code != EXIT_YES:
        warn(complaint(plan))
    elif "-" not in (output, record):
        print_plan(cluster, plan, is_full=full)
    if code == EXIT_YES:
        cluster.commit(plan)
        if output is not None:
            write_cluster(cluster, output)
        picture.draw(cluster)
    return code


def complaint(plan: GangPlan) -> str:
    """Say why there is no plan."""
    what = f"{plan.gang.name}: {plan.status.name}, {plan.reason}"
    if not plan.pods and exit_code(plan.status) == EXIT_YES:
        return what
    prose = str(plan.verdict.explain(max_steps=plan.verdict.max_steps)).rstrip()
    return f"{what}\n{prose}"


def _require_heard(
    *, commit: bool, output: str | None, json_: bool, full: bool
) -> None:
    if commit != (output is not None):
        given, want = ("--commit", "-o") if commit else ("--output", "--commit")
        raise InvalidRequestError(f"{given}: given alone, want {want} FILE too")
    if output == "-" and json_:
        raise InvalidRequestError(
            "--output: - beside --json, want a file: both go to standard output"
        )
    if full and json_:
        raise InvalidRequestError("--full: beside --json, want one of the two")
