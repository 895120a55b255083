# SPDX-License-Identifier: Apache-2.0
"""``topoalloc run``: plan on this host, bind, and become the command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Machine
from topoalloc.cli import EXIT_YES
from topoalloc.cli._formats import environment
from topoalloc.cli._output import warn
from topoalloc.cli._plan import exit_code
from topoalloc.cli._question import Question
from topoalloc.cli._source import Source, State

__all__ = ["CONTEXT", "EXAMPLES", "HELP", "command"]

HELP = """\
The command replaces topoalloc, bound to the PUs and the memory of the placement, with \
TOPOALLOC_PUS, TOPOALLOC_NUMA_NODES and a TOPOALLOC_ variable for each class of device \
in its environment. CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES and NCCL_IB_HCA are set \
where the devices show what they must be.

topoalloc keeps no list of what it started: --state says what others hold.

Exit codes: those of the command; before it starts 1 a proved no, 2 bad input, 3 \
undecided, 126 the command cannot be run, 127 there is none."""

EXAMPLES = (
    "topoalloc run --cores 2 -- ./program --its-own-option",
    "topoalloc run --cores 8 --memory 16Gi --gpus 1 -- python train.py",
)

# What follows the command belongs to the command.
CONTEXT = {"allow_interspersed_args": False}
_EXIT_CANNOT_RUN = 126
_EXIT_NOT_FOUND = 127


def command(
    *,
    words: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    state: State,
    question: Question,
    taken: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="FILE", help="Snapshot of this host: what others hold."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the variables, run nothing.")
    ] = False,
) -> int:
    """Plan, bind, exec."""
    allocator = state.apply(Source(state=taken))
    if taken is not None and allocator.machine.digest != Machine.discover().digest:
        raise InvalidRequestError(
            f"--state: a snapshot of {allocator.machine!r}, want one of this host"
        )
    verdict = allocator.check(question.make(), max_steps=question.max_steps)
    placement = verdict.placement
    if placement is None:
        warn(
            f"request: {verdict.status.name}, {verdict.reason}\n"
            + str(verdict.explanation).rstrip()
        )
        return exit_code(verdict.status)
    variables = environment(placement)
    if dry_run:
        sys.stdout.write("".join(f"{k}={v}\n" for k, v in variables.items()))
        return EXIT_YES
    if placement.cpuset or placement.memory or placement.hugepages:
        placement.bind()
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, {**os.environ, **variables})
    except FileNotFoundError:
        warn(f"{words[0]}: not found, want a command")
        return _EXIT_NOT_FOUND
    except OSError as error:
        warn(f"{words[0]}: {error.strerror}, want a command that can be run")
        return _EXIT_CANNOT_RUN
