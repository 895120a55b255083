# SPDX-License-Identifier: Apache-2.0
"""The options that draw a Cluster, in the terminal or as SVG."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from topoalloc._cluster import Cluster
from topoalloc._errors import InvalidRequestError
from topoalloc.cli._output import naming

__all__ = ["ClusterPicture"]


@dataclass(frozen=True)
class ClusterPicture:
    """What is drawn, and where to."""

    picture: Annotated[
        bool,
        typer.Option("--picture", help="Draw it: Domains, nodes, who holds what."),
    ] = False
    svg: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a picture as SVG.")
    ] = None
    tree: Annotated[
        str | None,
        typer.Option(
            metavar="TREE", help="Whose Domains are drawn; the first when left out."
        ),
    ] = None
    class_: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="What is counted in a node: gpu where there is one, else pu.",
        ),
    ] = None

    def require_heard(self, *, json_: bool) -> None:
        """Refuse options that nothing of what is written depends on."""
        if self.picture and json_:
            raise InvalidRequestError("--picture: beside --json, want one of the two")
        for option, value in (("--tree", self.tree), ("--class", self.class_)):
            if value is not None and not (self.picture or self.svg is not None):
                raise InvalidRequestError(
                    f"{option}: {value!r} alone, want --picture or --svg too"
                )

    def draw(self, cluster: Cluster) -> None:
        """Draw what is asked for."""
        # Pictures are for those who look at one.
        from topoalloc.draw import cluster_svg, cluster_text  # noqa: PLC0415

        if self.svg is not None:
            svg = cluster_svg(cluster, tree=self.tree, device_class=self.class_)
            with naming("--svg", "a file that can be written"):
                Path(self.svg).write_text(svg, encoding="utf-8")
        if self.picture:
            text = cluster_text(cluster, tree=self.tree, device_class=self.class_)
            sys.stdout.write(f"\n{text}")
