# SPDX-License-Identifier: Apache-2.0
"""Ask an allocator: our Inventory, or a command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from topoalloc._errors import TopoallocError
from topoalloc._records import Status
from topoalloc.kubernetes._inventory import Inventory

__all__ = ["answer_of_command", "answer_of_inventory"]


def answer_of_inventory(question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask an Inventory of topoalloc.

    Parameters
    ----------
    question : mapping
        As `question_of` gives it.

    Returns
    -------
    dict
        An answer as `disagreement` takes it.
    """
    inventory = Inventory(question["semantics"], features=question["features"])
    for index, item in enumerate(question["objects"]):
        try:
            inventory.update(item)
        except TopoallocError as error:
            return {"error": f"objects[{index}].{error}"}
    try:
        verdict = inventory.check(
            question["claims"], node=question["node"], choose=question["choose"]
        )
    except TopoallocError as error:
        return {"error": str(error)}
    if verdict.status == Status.INFEASIBLE:
        return {"infeasible": True}
    if verdict.status == Status.UNKNOWN:
        return {"undecided": verdict.steps}
    return {"allocations": list(verdict.allocations)}


def answer_of_command(
    question: Mapping[str, Any], command: Sequence[str], *, timeout_s: float = 60
) -> dict[str, Any]:
    """Ask a command: the question is JSON on its input, the answer JSON on its output.

    Parameters
    ----------
    question : mapping
        As `question_of` gives it.
    command : sequence of str
        The program and its arguments; no shell.
    timeout_s : float, default 60
        Seconds to wait.

    Returns
    -------
    dict
        What the command has written; ``{"failed": text}`` where it wrote no JSON
        object, ended with another code than 0, or did not end.

    Raises
    ------
    OSError
        There is no such program.
    """
    try:
        done = subprocess.run(
            list(command),
            input=json.dumps(question).encode(),
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer after {timeout_s} s"}
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()[-300:]
        return {"failed": f"exit code {done.returncode}: {text}"}
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        return {"failed": f"no JSON: {error}"}
    return answer if isinstance(answer, dict) else {"failed": "no JSON object"}
