# SPDX-License-Identifier: Apache-2.0
"""``topoalloc show``: what a machine is, and what is taken on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Machine
from topoalloc.cli import EXIT_YES
from topoalloc.cli._output import naming, print_json
from topoalloc.cli._source import Source
from topoalloc.draw import (
    device_matrix,
    distance_matrix,
    link_matrix,
    machine_svg,
    machine_tree,
    matrices_to_dict,
)

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
The tree is lstopo's: L# is the logical index, P# the index of the operating system. \
What is taken is marked by its owner."""

EXAMPLES = (
    "topoalloc show",
    "topoalloc show -i dgx-h100 --matrix --class gpu --class nic",
    "topoalloc show --state node.snapshot --svg node.svg",
    "topoalloc show -i node.xml --json > node.json",
)


def command(
    *,
    source: Source,
    matrix: Annotated[
        bool,
        typer.Option("--matrix", help="Levels, links and NUMA distances, as matrices."),
    ] = False,
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS", help="With --matrix: only these devices."
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(
            "--own-words", help="With --matrix: bridges, not nvidia-smi's PXB."
        ),
    ] = False,
    collapse: Annotated[
        bool,
        typer.Option(
            "--collapse/--no-collapse", help="Objects that are alike in one line."
        ),
    ] = True,
    json_: Annotated[
        bool,
        typer.Option(
            "--json",
            help="The machine as a JSON spec, which -i reads; with --matrix the "
            "matrices.",
        ),
    ] = False,
    svg: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a picture; - is standard output."),
    ] = None,
) -> int:
    """Print."""
    if svg == "-" and (json_ or matrix):
        other = "--json" if json_ else "--matrix"
        raise InvalidRequestError(
            f"--svg: - beside {other}, want a file: both go to standard output"
        )
    _require_heard(
        class_, matrix=matrix, words=words, json_=json_, collapse=collapse, svg=svg
    )
    allocator = source.allocator()
    machine, classes = allocator.machine, tuple(class_ or ())
    if matrix:
        _require_known(machine, classes)
    if svg is not None:
        picture = machine_svg(machine, allocator)
        if svg == "-":
            sys.stdout.write(picture)
            return EXIT_YES
        with naming("--svg", "a file that can be written, or -"):
            Path(svg).write_text(picture, encoding="utf-8")
        if not (matrix or json_):
            return EXIT_YES
    if json_:
        print_json(matrices_to_dict(machine, classes) if matrix else machine.to_dict())
    elif matrix:
        drawn = (
            device_matrix(machine, classes, own_words=words),
            link_matrix(machine, classes),
            distance_matrix(machine),
        )
        sys.stdout.write("\n".join(str(each) for each in drawn if each is not None))
    else:
        sys.stdout.write(machine_tree(machine, allocator, collapse=collapse))
    return EXIT_YES


def _require_heard(
    classes: list[str] | None,
    *,
    matrix: bool,
    words: bool,
    json_: bool,
    collapse: bool,
    svg: str | None,
) -> None:
    """Refuse options that nothing of what is printed depends on."""
    if classes and not matrix:
        raise InvalidRequestError(f"--class: {classes[0]!r} alone, want --matrix too")
    if words and not matrix:
        raise InvalidRequestError("--own-words: given alone, want --matrix too")
    if words and json_:
        raise InvalidRequestError(
            "--own-words: beside --json, which has numbers, want one of the two"
        )
    if not collapse and (matrix or json_ or svg is not None):
        other = "--matrix" if matrix else "--json" if json_ else "--svg"
        raise InvalidRequestError(
            f"--no-collapse: beside {other}, want it for the tree alone"
        )


def _require_known(machine: Machine, classes: tuple[str, ...]) -> None:
    known = {d.device_class for d in machine.devices if d.parent is None}
    unknown = [name for name in classes if name not in known]
    if unknown:
        want = f"one of {', '.join(sorted(known))}" if known else "none: no devices"
        raise InvalidRequestError(f"--class: {unknown[0]!r}, want {want}")
