# SPDX-License-Identifier: Apache-2.0
"""``topoalloc plan``: where one or several slots run."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from topoalloc._allocator import Allocator
from topoalloc._errors import InvalidRequestError, NotPlacedError
from topoalloc._policy import Cost
from topoalloc._quantity import counted
from topoalloc._records import Placement, Status, Verdict
from topoalloc._request import API_VERSION, Request
from topoalloc.cli import EXIT_NO, EXIT_UNDECIDED, EXIT_YES
from topoalloc.cli._formats import environment, format_slots
from topoalloc.cli._output import (
    cost_text,
    memory_text,
    naming,
    print_json,
    print_table,
    warn,
)
from topoalloc.cli._question import Question
from topoalloc.cli._source import Source, State

__all__ = ["EXAMPLES", "HELP", "command", "exit_code", "write_record"]

HELP = """\
Several slots are placed jointly: all of them or none, and the best for all together. \
--each places one after the other instead, each on the best that is left.

A "no" is proved, and its reason goes to standard error; standard output stays empty, \
except with --json."""

EXAMPLES = (
    "topoalloc plan -i dgx-h100 --gpus 2 --nics 2 --require pair:gpu:nic:bridges",
    "topoalloc plan -i node.xml 4 --gpus 1 --cores 8 --memory 64Gi",
    "topoalloc plan 2 --cores 1 --format taskset",
    "topoalloc plan -i dgx-h100 --device nic=2 --where nic.rdma=true --json",
)


class Format(enum.StrEnum):
    """What a slot is written as."""

    TABLE = "table"
    ENV = "env"
    TASKSET = "taskset"
    HWLOC_BIND = "hwloc-bind"
    RANKFILE = "rankfile"


@dataclass(frozen=True)
class Plan:
    """The answer for all slots."""

    how: str
    status: Status
    reason: str
    steps: int
    cost: Cost | None
    placements: Mapping[str, Placement]
    complaint: str = ""
    """Why not, for people; empty for a yes."""

    def to_dict(self, allocator: Allocator, request: Request) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Plan",
            "placed": self.how,
            "machine": {
                "name": allocator.machine.name,
                "digest": allocator.machine.digest,
            },
            "request": request.to_dict(),
            "status": self.status.name,
            "reason": self.reason,
            "steps": self.steps,
            "cost": None if self.cost is None else self.cost.to_dict(),
            "slots": [
                {
                    "placement": placement.to_dict(),
                    "environment": environment(placement),
                }
                for placement in self.placements.values()
            ],
            "explanation": self.complaint or None,
        }


def command(
    *,
    source: Source,
    state: State,
    question: Question,
    slots: Annotated[
        int, typer.Argument(min=1, max=10_000, help="How many of the Request.")
    ] = 1,
    each: Annotated[
        bool, typer.Option("--each", help="One after the other, not jointly.")
    ] = False,
    format: Annotated[  # noqa: A002 - The name of the option.
        Format,
        typer.Option(
            metavar="table|env|taskset|hwloc-bind|rankfile",
            help="All but table give a line a slot, to be used before a command; "
            "a rankfile is Open MPI's, with logical cores.",
        ),
    ] = Format.TABLE,
    json_: Annotated[
        bool, typer.Option("--json", help="The whole answer as JSON.")
    ] = False,
    owner: Annotated[
        str, typer.Option(metavar="NAME", help="Owners are NAME-0, NAME-1, ...")
    ] = "slot",
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The node in a rankfile; localhost when left out."
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write a snapshot in which the slots are taken."
        ),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the Decision record of one slot, for replay."
        ),
    ] = None,
) -> int:
    """Answer and print."""
    if json_ and format is not Format.TABLE:
        raise InvalidRequestError(
            f"--format: {format.value} beside --json, want one of the two"
        )
    if host is not None and format is not Format.RANKFILE:
        raise InvalidRequestError(
            f"--host: {host!r} without a rankfile, want --format rankfile too"
        )
    allocator, request = state.apply(source), question.make()
    if record is not None:
        if slots != 1:
            raise InvalidRequestError(f"--record: {slots} slots, want one")
        write_record(allocator.check(request, max_steps=question.max_steps), record)
    owners = _owners(allocator, owner, slots)
    if each or slots == 1:
        plan = _place_each(allocator, request, owners, question.max_steps)
    else:
        plan = _place_jointly(allocator, request, owners, question.max_steps)
    code = exit_code(plan.status)
    lines = (
        []
        if json_ or format is Format.TABLE
        else format_slots(
            format.value, [*plan.placements.values()], host or "localhost"
        )
    )
    if save is not None and code == EXIT_YES:
        with naming("--save", "a file that can be written"):
            Path(save).write_bytes(allocator.snapshot())
    if json_:
        print_json(plan.to_dict(allocator, request))
    elif code != EXIT_YES:
        warn(plan.complaint)
    elif format is Format.TABLE:
        _print(plan, allocator)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return code


def exit_code(status: Status) -> int:
    """Return the exit code of a status."""
    match status:
        case Status.INFEASIBLE:
            return EXIT_NO
        case Status.UNKNOWN:
            return EXIT_UNDECIDED
        case _:
            return EXIT_YES


def write_record(verdict: Verdict, path: str) -> None:
    """Write the Decision record of a Verdict; ``-`` is standard output."""
    text = json.dumps(verdict.to_dict(), indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        with naming("--record", "a file that can be written"):
            Path(path).write_text(text, encoding="utf-8")


def _owners(allocator: Allocator, stem: str, slots: int) -> list[str]:
    names: list[str] = []
    number = 0
    held = allocator.placements
    while len(names) < slots:
        name = f"{stem}-{number}"
        if name not in held:
            names.append(name)
        number += 1
    return names


def _place_jointly(
    allocator: Allocator, request: Request, owners: list[str], max_steps: int
) -> Plan:
    before = allocator.fork()
    requests = dict.fromkeys(owners, request)
    try:
        placements = allocator.allocate_many(requests, max_steps=max_steps)
    except NotPlacedError as error:
        verdict = error.verdict
        complaint = _why_not(before, request, len(owners), verdict.status, max_steps)
        return Plan(
            "jointly",
            verdict.status,
            verdict.reason,
            verdict.steps,
            None,
            {},
            complaint,
        )
    verdict = before.check_joint(requests, max_steps=max_steps)
    return Plan(
        "jointly",
        verdict.status,
        verdict.reason,
        verdict.steps,
        verdict.cost,
        placements,
    )


def _place_each(
    allocator: Allocator, request: Request, owners: list[str], max_steps: int
) -> Plan:
    before = allocator.fork()
    placements: dict[str, Placement] = {}
    steps, is_optimal = 0, True
    how = "alone" if len(owners) == 1 else "one after the other"
    for owner in owners:
        verdict = allocator.check(request, max_steps=max_steps)
        steps += verdict.steps
        if verdict.placement is None:
            status = verdict.status
            if placements and status is Status.INFEASIBLE:
                # The slots before it stand in the way: no proof about all of them.
                most = before.headroom(request, max_steps=max_steps).upper
                status = Status.INFEASIBLE if most < len(owners) else Status.UNKNOWN
            what = "request" if len(owners) == 1 else f"{owner} of {len(owners)} slots"
            complaint = _reason(what, verdict)
            return Plan(how, status, verdict.reason, steps, None, {}, complaint)
        is_optimal = is_optimal and verdict.status is Status.OPTIMAL
        placements[owner] = allocator.allocate(request, owner, max_steps=max_steps)
    cost = verdict.cost if len(owners) == 1 else None
    status = Status.OPTIMAL if is_optimal else Status.FEASIBLE
    return Plan(how, status, verdict.reason, steps, cost, placements)


def _reason(what: str, verdict: Verdict) -> str:
    prose = str(verdict.explanation).rstrip()
    return f"{what}: {verdict.status.name}, {verdict.reason}\n{prose}"


def _why_not(
    allocator: Allocator, request: Request, slots: int, status: Status, max_steps: int
) -> str:
    one = allocator.check(request, max_steps=max_steps)
    if one.status is Status.INFEASIBLE:
        return _reason("request", one)
    room = allocator.headroom(request, max_steps=max_steps)
    fit = f"{room.n} fit at once" + (
        ", and no more"
        if room.complete
        else f", and at most {room.upper}: that search ended before its proof"
    )
    if status is Status.UNKNOWN:
        return (
            f"{slots} slots: UNKNOWN, the step limit came first; {fit}; "
            "want a larger --max-steps, or --each"
        )
    return f"{slots} slots: INFEASIBLE, they do not fit together; {fit}"


def _print(plan: Plan, allocator: Allocator) -> None:
    classes = sorted(
        {
            allocator.machine.device(name).device_class
            for placement in plan.placements.values()
            for name in placement.devices
        }
    )
    has_pairs = any(placement.pairs for placement in plan.placements.values())
    columns = ["slot", "PUs", "memory", *classes, *(["pairs"] if has_pairs else [])]
    rows = []
    for owner, placement in plan.placements.items():
        names: dict[str, list[str]] = {cls: [] for cls in classes}
        for name in placement.devices:
            names[allocator.machine.device(name).device_class].append(name)
        row = [owner, placement.cpuset or "-", memory_text(placement)]
        row += [",".join(names[cls]) or "-" for cls in classes]
        if has_pairs:
            row.append(" ".join(f"{a}-{b}" for a, b in placement.pairs))
        rows.append(row)
    print_table(columns, rows)
    proof = (
        "the best there is"
        if plan.status is Status.OPTIMAL
        else "not proved to be the best"
    )
    if plan.how == "one after the other":
        proof = "each the best that was left"
    sys.stdout.write(
        f"\n{plan.status.name}: {len(rows)} placed {plan.how}, {proof}; "
        f"{counted(plan.steps, 'step')}\n"
    )
    if plan.cost is not None:
        sys.stdout.write(f"cost: {cost_text(plan.cost)}\n")
