# SPDX-License-Identifier: Apache-2.0
"""Steps are equal on every machine, and few where a question is polynomial."""

from __future__ import annotations

import json

import pytest
from tests.steps.questions import PINNED, machine_names, measure

PROOFS = {"OPTIMAL", "INFEASIBLE"}
MACHINES = machine_names()


def pinned() -> dict[str, dict[str, list[str | int]]]:
    return dict(json.loads(PINNED.read_text(encoding="ascii")))


def test_every_machine_is_pinned() -> None:
    assert list(pinned()) == list(MACHINES), "want python -m tests.steps.questions"


@pytest.mark.parametrize("name", MACHINES)
def test_steps_are_the_pinned_ones(name: str) -> None:
    found = measure(name)
    kept = pinned()[name]
    assert found.keys() == kept.keys(), "want python -m tests.steps.questions"
    changed = {key: (kept[key], row) for key, row in found.items() if kept[key] != row}
    assert changed == {}, "(pinned, found): read it, then write the file anew"
    # The step limit ends none of these questions.
    assert {key: row for key, row in found.items() if row[0] not in PROOFS} == {}


@pytest.mark.parametrize("name", MACHINES)
def test_no_takes_no_more_steps_than_the_slowest_yes(name: str) -> None:
    rows = pinned()[name].values()
    slowest = {
        status: max(int(steps) for answer, steps in rows if answer == status)
        for status in PROOFS
    }
    assert slowest["INFEASIBLE"] <= slowest["OPTIMAL"]
