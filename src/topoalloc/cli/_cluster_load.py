# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster load``: is this a Cluster, and what is in it."""

from __future__ import annotations

from typing import Annotated

import typer

from topoalloc._errors import InvalidRequestError
from topoalloc.cli import EXIT_YES
from topoalloc.cli._cluster_output import Summary
from topoalloc.cli._cluster_picture import ClusterPicture
from topoalloc.cli._cluster_source import ClusterFile, write_cluster
from topoalloc.cli._output import print_json

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
Everything in the file is checked, and what is wrong is named by its path. \
docs/cluster.md describes the file.

held is what some owner has, out what is cordoned or reserved besides."""

EXAMPLES = (
    "topoalloc cluster load cluster.json",
    "topoalloc cluster load cluster.json --picture",
    "topoalloc cluster load cluster.json --svg cluster.svg --tree nvlink",
    "topoalloc cluster load - -o canonical.json < cluster.json",
)


def command(
    *,
    source: ClusterFile,
    picture: ClusterPicture,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write it in one form with every Machine in it; - is standard output.",
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> int:
    """Read, and say what there is."""
    picture.require_heard(json_=json_)
    if output == "-" and (json_ or picture.picture):
        other = "--json" if json_ else "--picture"
        raise InvalidRequestError(
            f"--output: - beside {other}, want a file: both go to standard output"
        )
    cluster = source.read()
    if output is not None:
        write_cluster(cluster, output)
    if output != "-":
        summary = Summary.of(cluster)
        if json_:
            print_json(summary.to_dict())
        else:
            summary.print()
    picture.draw(cluster)
    return EXIT_YES
