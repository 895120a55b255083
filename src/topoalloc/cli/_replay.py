# SPDX-License-Identifier: Apache-2.0
"""``topoalloc replay``: whether a recorded answer comes out again, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from topoalloc._errors import FormatError
from topoalloc._request import API_VERSION
from topoalloc._snapshot import replay
from topoalloc.cli import EXIT_NO, EXIT_YES
from topoalloc.cli._output import naming, print_json
from topoalloc.cli._source import read_document

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
The record holds the machine, the state and the request, so nothing else is read. Exit \
code 0: every bit of the answer is the same; 1: something differs, and each line says \
what."""

EXAMPLES = (
    "topoalloc plan -i dgx-h100 --gpus 2 --record decision.json",
    "topoalloc replay decision.json",
)


def command(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A Decision record; - is standard input."),
    ],
    json_: Annotated[
        bool, typer.Option("--json", help="The comparison as JSON.")
    ] = False,
) -> int:
    """Replay and print what differs."""
    is_stdin = file == "-"
    with naming("FILE", "a Decision record, or - for standard input"):
        content = sys.stdin.buffer.read() if is_stdin else Path(file).read_bytes()
    name = "stdin" if is_stdin else file
    document = read_document(content, name)
    try:
        result = replay(document)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    if json_:
        print_json(
            {
                "apiVersion": API_VERSION,
                "kind": "Replay",
                "equal": result.is_equal,
                "differences": [*result.differences],
            }
        )
    elif result.is_equal:
        verdict = result.verdict
        what = "" if verdict is None else f": {verdict.status.name}, {verdict.reason}"
        sys.stdout.write(f"equal{what}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in result.differences))
    return EXIT_YES if result.is_equal else EXIT_NO
