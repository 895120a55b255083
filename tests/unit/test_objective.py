# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/objective.md and of other pages say what the code says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import topoalloc as ta
from topoalloc import _core, kubernetes
from topoalloc.kubernetes import conformance

CONSTRAINTS = (ta.Align, ta.Pair, ta.Link, ta.Same, ta.Distinct, ta.Near)


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "objective.md").read_text(encoding="utf-8")


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of the one table with this header."""
    lines = page.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line == header)
    body = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert len(body) > 1
    return body


def code_words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_cost_terms_are_those_of_the_code(page: str) -> None:
    terms = [
        word for row in rows(page, "| term | meaning |") for word in code_words(row[0])
    ]
    assert terms == list(ta.Cost._fields)
    assert terms == _core.cost_term_names()


def test_cost_terms_are_numbered_in_order(page: str) -> None:
    table = rows(page, "| term | meaning |")
    numbers = [row[0].split()[0] for row in table]
    assert numbers == ["1a", "1b", "2", "3a", "3b", *"45678", "9a-e", "10"]
    assert len(code_words(table[numbers.index("9a-e")][0])) == len("abcde")


def test_groups_of_terms_are_those_of_a_policy(page: str) -> None:
    start = page.index("**Policy.**")
    text = page[start : page.index("Each is in it once", start)]
    groups = re.findall(r"`(\w+)` \(([^)]*)\)", text)
    assert tuple(name for name, _ in groups) == ta.Policy().order
    assert [numbers for _, numbers in groups] == ["2", "3a, 3b", *"45678", "9a-e"]


def test_spread_changes_the_sign_of_the_terms_of_row_9(page: str) -> None:
    (row,) = (r for r in rows(page, "| term | meaning |") if r[0].startswith("9a-e"))
    machine = ta.Machine.preset("dgx-h100")
    request = ta.Request(cores=1, memory="1Mi", devices={"gpu": 1})
    costs = []
    for policy in ("pack", "spread"):
        cost = ta.Allocator(machine, policy=policy).check(request).cost
        assert cost is not None
        costs.append(cost.to_dict())
    pack, spread = costs
    opened = code_words(row[0])
    assert all(spread[name] == -pack[name] for name in opened)
    assert all(spread[name] == pack[name] for name in pack if name not in opened)
    assert any(pack[name] for name in opened)


def test_levels_are_those_of_the_code(page: str) -> None:
    levels = [(int(row[0]), row[1]) for row in rows(page, "| level | name | when |")]
    assert levels == [(int(level), str(level)) for level in ta.Level]


def test_constraints_have_the_signatures_of_the_code(page: str) -> None:
    signatures = [
        code_words(row[0]) for row in rows(page, "| constraint | holds when |")
    ]
    expected = []
    for constraint in CONSTRAINTS:
        names = ", ".join(field.name for field in dataclasses.fields(constraint))
        expected.append([f"{constraint.__name__}({names})"])
    assert signatures == expected


def test_every_constraint_of_the_face_is_looked_at() -> None:
    public = [getattr(ta, name) for name in ta.__all__]
    found = [c for c in public if dataclasses.is_dataclass(c) and hasattr(c, "kind")]
    assert {*found} == {*CONSTRAINTS}


def test_constraint_names_of_concepts_are_those_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "concepts.md").read_text(encoding="utf-8")
    names = [code_words(row[0]) for row in rows(page, "| constraint | says |")]
    assert names == [[constraint.__name__] for constraint in CONSTRAINTS]


def test_statuses_of_concepts_are_those_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "concepts.md").read_text(encoding="utf-8")
    table = rows(page, "| status | means | `bool(verdict)` |")
    names = [word for row in table for word in code_words(row[0])]
    assert {*names} == {status.name for status in ta.Status}


def test_levels_of_the_machine_page_are_those_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "machine.md").read_text(encoding="utf-8")
    table = rows(page, "| number | name | nvidia-smi | the two devices |")
    found = [(int(row[0]), *code_words(row[1]), row[2]) for row in table]
    assert found == [(int(x), str(x), x.nvidia_smi) for x in ta.Level]


def test_reference_lists_every_public_name(repository: Path) -> None:
    page = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    listed: dict[str, list[str]] = {}
    module = "topoalloc"
    directive = r"^\.\. (currentmodule|auto\w+):: ([\w.]+)$"
    for kind, name in re.findall(directive, page, re.MULTILINE):
        if kind == "currentmodule":
            module = name
        else:
            listed.setdefault(module, []).append(name)
    public = {
        "topoalloc": sorted(set(ta.__all__) - {"__version__"}),
        "topoalloc.kubernetes": sorted(kubernetes.__all__),
        "topoalloc.kubernetes.conformance": sorted(conformance.__all__),
    }
    assert {module: sorted(names) for module, names in listed.items()} == public
    assert "`topoalloc.__version__`" in page


def test_reference_lists_every_method_of_the_allocator(repository: Path) -> None:
    page = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    block = page.split(".. autoclass:: Allocator\n", 1)[1].split(".. autoclass", 1)[0]
    members = block.split(":members:", 1)[1].split("\n\n", 1)[0]
    listed = {*re.findall(r"\w+", members)}
    listed |= {*re.findall(r"\.\. attribute:: (\w+)", block)}
    # The rest of what the core gives is for the face alone.
    own = {name for name in vars(ta.Allocator) if not name.startswith("_")}
    core = {"check", "allocate", "resize", "release"}
    core |= {"machine", "placements", "free_pus", "free_devices"}
    assert listed == own | core
