# SPDX-License-Identifier: Apache-2.0
"""``topoalloc explain``: why there, or why not."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from topoalloc import _core
from topoalloc._quantity import counted
from topoalloc._records import CountLine, Explanation, Placement, Verdict
from topoalloc.cli._output import cost_text, memory_text, print_json, print_table
from topoalloc.cli._plan import exit_code, write_record
from topoalloc.cli._question import Question
from topoalloc.cli._source import Source, State

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
Of a "no": a conflict of which every part is needed, what each filter left, and the \
smallest changes that make it fit, each tried. Of a yes: the placement, the terms that \
it was chosen by, and what the next best one lost on."""

EXAMPLES = (
    "topoalloc explain -i dgx-h100 --gpus 9",
    'topoalloc explain -i "pack:2 numa:1 core:8 pu:2" --cores 9 --require align:numa',
    "topoalloc explain --state node.snapshot --gpus 2 --record decision.json",
)


def command(
    *,
    source: Source,
    state: State,
    question: Question,
    json_: Annotated[bool, typer.Option("--json", help="The Explanation as JSON.")] = (
        False
    ),
    record: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the Decision record, for replay."),
    ] = None,
) -> int:
    """Answer and print why."""
    verdict = state.apply(source).check(question.make(), max_steps=question.max_steps)
    if record is not None:
        write_record(verdict, record)
    explanation = verdict.explain(max_steps=question.max_steps)
    if json_:
        print_json(explanation.to_dict())
    elif record != "-":
        _print(verdict, explanation)
    return exit_code(verdict.status)


def _print(verdict: Verdict, explanation: Explanation) -> None:
    sys.stdout.write(
        f"{verdict.status.name}: {verdict.reason}, {counted(verdict.steps, 'step')}\n"
    )
    if verdict.placement is not None and verdict.cost is not None:
        _section("Placement", _placement_text(verdict.placement))
        _section("Cost", cost_text(verdict.cost))
        runner_up = explanation.runner_up
        if runner_up is not None:
            lost = f"lost on {runner_up.lost_on}" if runner_up.lost_on else "a tie"
            _section("Next best", f"{_placement_text(runner_up.placement)}\n{lost}")
    if explanation.conflict:
        _section("Conflict: without any one of these it fits")
        print_table(
            ("what", "asks for"), [(c.path, c.text) for c in explanation.conflict]
        )
    if explanation.counts:
        _section("What there is")
        print_table(
            ("of", "needed", "left after each filter"),
            [_count_row(line) for line in explanation.counts],
        )
    if explanation.relaxations:
        _section("It fits with one of these")
        print_table(
            ("what", "change", "says"),
            [(r.path, r.change, r.text) for r in explanation.relaxations],
        )
    if not explanation.complete:
        _section("The step limit came before all of this was computed.")


def _count_row(line: CountLine) -> tuple[str, str, str]:
    amounts = [line.needed, *(step.left for step in line.steps)]
    is_bytes = line.what == "memory" or line.what.startswith("hugepages.")
    texts = _core.describe_amounts(amounts) if is_bytes else [*map(str, amounts)]
    left = (
        f"{step.filter} {text}"
        for step, text in zip(line.steps, texts[1:], strict=True)
    )
    return line.what, texts[0], ", ".join(left)


def _section(title: str, text: str = "") -> None:
    sys.stdout.write(f"\n{title}\n")
    sys.stdout.write("".join(f"  {line}\n" for line in text.splitlines()))


def _placement_text(placement: Placement) -> str:
    parts = [f"PUs {placement.cpuset}"] if placement.cpuset else []
    if placement.memory or placement.hugepages:
        parts.append(f"memory {memory_text(placement)}")
    parts += [", ".join(placement.devices)] if placement.devices else []
    parts += (
        [" ".join(f"{a}-{b}" for a, b in placement.pairs)] if placement.pairs else []
    )
    return "\n".join(parts)
