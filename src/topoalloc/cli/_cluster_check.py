# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster check``: does a Gang fit, and why not."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from topoalloc import Cluster, ClusterChange, GangVerdict
from topoalloc._gang import Gang
from topoalloc._quantity import counted
from topoalloc._records import Status
from topoalloc.cli._cluster_output import print_explanation
from topoalloc.cli._cluster_source import ClusterFile, GangQuestion, write_record
from topoalloc.cli._output import print_json
from topoalloc.cli._plan import exit_code
from topoalloc.cli._question import Question

__all__ = ["EXAMPLES", "HELP", "answer", "command", "explained"]

HELP = """\
All pods or none. A "no" is proved, and comes with a conflict of which every part is \
needed, the Domains that come nearest, and the smallest changes that make it fit, each \
tried."""

EXAMPLES = (
    "topoalloc cluster check cluster.json --gang train.json",
    "topoalloc cluster check cluster.json --pods 16 --gpus 4 --within rack",
    "topoalloc cluster check cluster.json --pods 64 --gpus 8 --slice rack=16 --json",
)


def command(
    *,
    source: ClusterFile,
    gang: GangQuestion,
    question: Question,
    json_: Annotated[
        bool,
        typer.Option("--json", help="The answer as JSON, of a no with its reason."),
    ] = False,
    record: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the Decision record, for replay."),
    ] = None,
) -> int:
    """Answer, and say why not."""
    asked = gang.make(question)
    cluster = source.read()
    if record is not None:
        verdict = cluster.check(asked, max_steps=question.max_steps)
        write_record(cluster, verdict, record, json_=json_)
        if record == "-":
            return exit_code(verdict.status)
    return answer(cluster, asked, max_steps=question.max_steps, json_=json_)


def answer(cluster: Cluster, gang: Gang, *, max_steps: int, json_: bool) -> int:
    """Check a Gang, and print the answer."""
    verdict = cluster.check(gang, max_steps=max_steps)
    if json_:
        print_json(explained(verdict, verdict.to_dict()))
    else:
        of = "" if verdict.podset is None else f" of {verdict.podset}"
        sys.stdout.write(
            f"{verdict.status.name}: {verdict.reason}{of}, "
            f"{counted(verdict.steps, 'step')}\n"
        )
        if verdict.status is Status.INFEASIBLE:
            print_explanation(verdict.explain(max_steps=max_steps))
    return exit_code(verdict.status)


def explained(
    found: GangVerdict | ClusterChange, document: dict[str, Any]
) -> dict[str, Any]:
    """Return a document with the Explanation of a no."""
    if found.status is not Status.INFEASIBLE:
        return document
    explanation = found.explain(max_steps=found.max_steps)
    return document | {"explanation": explanation.to_dict()}
