# SPDX-License-Identifier: Apache-2.0
"""The command ``topoalloc``: one module a subcommand, loaded when it is called.

``topoalloc --help`` imports neither typer nor a subcommand, so that it answers at once.

Exit codes: 0 yes, 1 a proved no (or, of ``replay`` and ``doctor``, a difference or
something missing), 2 bad input, 3 undecided: the step limit came first.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing would cost as much as all the rest of the help
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

__all__ = ["COMMANDS", "main", "overview"]

COMMANDS: Final[dict[str, str]] = {
    "show": "the tree, devices, distances and links of a machine; text, JSON or SVG",
    "plan": "where should one or several slots run?",
    "explain": "why there, or why not",
    "run": "plan on this host, bind, and start a command",
    "doctor": "what was found on this host, what is missing, what to do",
    "replay": "answer a recorded question again and compare",
    "cluster load": "is this a Cluster, and what is in it? summary, picture",
    "cluster check": "does a Gang fit in a Cluster, and why not?",
    "cluster place": "where do the pods of a Gang go?",
    "cluster headroom": "how many more of a Request fit, and where?",
    "cluster what-if": "change a copy of a Cluster, then ask",
}
"""Subcommands in the order of the help, with a line about each."""

EXIT_YES: Final = 0
EXIT_NO: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_UNDECIDED: Final = 3
_EXIT_INTERRUPTED: Final = 130
_EXIT_BROKEN_PIPE: Final = 141

_USAGE: Final = """\
Usage: topoalloc COMMAND [OPTIONS] ...

Where exactly should this run, or why can it not: cores, memory, GPUs and NICs.
"""

_CLUSTER_USAGE: Final = """\
Usage: topoalloc cluster COMMAND CLUSTER [OPTIONS] ...

Nodes in racks, blocks and NVLink domains, what runs there, and where more can.
CLUSTER is a file in JSON, - is standard input.
"""

_CLUSTER_REST: Final = """\
Examples:
  topoalloc cluster load cluster.json --picture
  topoalloc cluster check cluster.json --gang train.json
  topoalloc cluster place cluster.json --pods 16 --gpus 4 --within rack
  topoalloc cluster headroom cluster.json --level rack --gpus 4
  topoalloc cluster what-if cluster.json drain:n[001-002] --gang train.json

Exit codes:
  0 yes   1 a proved no   2 bad input   3 undecided, the step limit came first

topoalloc cluster COMMAND --help says more.
"""

_REST: Final = """\
Input (-i), this host when left out:
  an hwloc XML file, - for stdin, a synthetic description, a JSON spec, a preset

Examples:
  topoalloc show
  topoalloc show -i dgx-h100 --matrix
  topoalloc plan -i dgx-h100 --gpus 2 --nics 2 --cores 16 --require pair:gpu:nic:bridges
  topoalloc plan -i node.xml 4 --gpus 1 --cores 8 --format taskset
  topoalloc explain -i "pack:2 numa:1 core:8 pu:2" --cores 9 --require align:numa
  topoalloc run --cores 2 -- ./program
  topoalloc cluster check cluster.json --pods 16 --gpus 4 --within rack

Exit codes:
  0 yes   1 a proved no   2 bad input   3 undecided, the step limit came first

topoalloc COMMAND --help says more.
"""


def overview(group: str = "") -> str:
    """Return the text of ``topoalloc --help``, or of ``topoalloc cluster --help``."""
    names = {
        name.removeprefix(group).lstrip(): text
        for name, text in COMMANDS.items()
        if name.startswith(group)
    }
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {text}" for name, text in names.items()]
    if group:
        return "\n".join([_CLUSTER_USAGE, "Commands:", *lines, "", _CLUSTER_REST])
    options = ["  --help     this text", "  --version  the version of topoalloc"]
    return "\n".join([_USAGE, "Commands:", *lines, "", "Options:", *options, "", _REST])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough of it. What is buffered must go nowhere, or
        # the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return code


def _dispatch(words: list[str]) -> int:
    first = words[0] if words else "--help"
    group = "cluster" if first == "cluster" else ""
    rest = words[1:]
    if group:
        first = rest[0] if rest else "--help"
    if first in {"--help", "-h", "help"}:
        sys.stdout.write(overview(group))
        return EXIT_YES if (rest if group else words) else EXIT_BAD_INPUT
    if first == "--version" and not group:
        # Its reading costs more than all the rest of the help.
        from topoalloc import __version__  # noqa: PLC0415

        sys.stdout.write(f"topoalloc {__version__}\n")
        return EXIT_YES
    name = f"{group} {first}".lstrip()
    if name not in COMMANDS:
        known = ", ".join(known for known in COMMANDS if known.startswith(group))
        sys.stderr.write(f"topoalloc: command: {name!r}, want one of {known}\n")
        return EXIT_BAD_INPUT
    # typer and the subcommands are for those who run one.
    from topoalloc.cli._command import run_command  # noqa: PLC0415

    return run_command(name, rest[1:] if group else rest)
