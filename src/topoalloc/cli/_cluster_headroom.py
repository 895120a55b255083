# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster headroom``: how many more of a Request fit, and where."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from topoalloc._request import API_VERSION
from topoalloc.cli import EXIT_NO, EXIT_UNDECIDED, EXIT_YES
from topoalloc.cli._cluster_source import ClusterFile
from topoalloc.cli._output import print_json, print_table
from topoalloc.cli._question import Question

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
The copies that each Domain of a level holds, its nodes added up. The exit code is 1 \
where none holds one: a proved no."""

EXAMPLES = (
    "topoalloc cluster headroom cluster.json --level rack --gpus 4",
    "topoalloc cluster headroom cluster.json --gpus 2 --require align:numa",
    "topoalloc cluster headroom cluster.json --level rack --gpus 4 --cores 72 --json",
)


def command(
    *,
    source: ClusterFile,
    level: Annotated[
        str, typer.Option(metavar="LEVEL", help="Of a tree, or node.")
    ] = "node",
    question: Question,
    json_: Annotated[bool, typer.Option("--json", help="The counts as JSON.")] = False,
) -> int:
    """Count, and print."""
    request = question.make()
    found = source.read().headroom(request, level, max_steps=question.max_steps)
    count = sum(domain.count for domain in found)
    upper = sum(domain.upper for domain in found)
    if json_:
        print_json(
            {
                "apiVersion": API_VERSION,
                "kind": "ClusterHeadroom",
                "request": request.to_dict(),
                "level": level,
                "count": count,
                "upper": upper,
                "domains": [
                    {"path": [*one.path], "count": one.count, "upper": one.upper}
                    for one in found
                ],
            }
        )
    else:
        print_table(
            (level, "copies"),
            [("/".join(one.path), _text(one.count, one.upper)) for one in found],
        )
        sys.stdout.write(f"\n{_text(count, upper)} in all\n")
    if count == upper == 0:
        return EXIT_NO
    return EXIT_YES if count else EXIT_UNDECIDED


def _text(count: int, upper: int) -> str:
    """Say a number, or what is known of it."""
    return str(count) if count == upper else f"{count} to {upper}"
