# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md shows what the benchmarks measured, all of it and nothing else."""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path

import pytest
from benchmarks import page

RESULTS = json.loads(page.KEPT.read_text(encoding="utf-8"))
TEXT = page.PAGE.read_text(encoding="utf-8")
SOURCES = sorted((page.HERE / "cpp").glob("bench_*.cpp"))
CALLS = sorted(page.HERE.glob("test_bench_*.py"))


def rows_of(program: str) -> set[str]:
    return {row["row"] for row in RESULTS["rows"] if row["program"] == program}


def test_tables_are_those_of_the_kept_results() -> None:
    assert page.fill(TEXT, RESULTS) == TEXT, "want python -m benchmarks.page"


def test_each_program_has_its_section() -> None:
    programs = {source.stem for source in (*SOURCES, *CALLS)}
    assert {row["program"] for row in RESULTS["rows"]} == programs
    assert set(re.findall(r"^## ((?:bench|test)_\w+)$", TEXT, re.MULTILINE)) == programs


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_family_of_a_program_has_rows(source: Path) -> None:
    """A family is what a name begins with, up to the first slash."""
    text = source.read_text(encoding="utf-8")
    families = set(re.findall(r'"([a-z]\w*)/', text)) - {"topoalloc"}
    assert families == {row.partition("/")[0] for row in rows_of(source.stem)}


@pytest.mark.parametrize("source", CALLS, ids=lambda path: path.stem)
def test_each_call_from_python_has_a_row(source: Path) -> None:
    functions = {
        node.name
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert {row.partition("[")[0] for row in rows_of(source.stem)} == functions


def test_every_row_was_verified() -> None:
    assert [row for row in RESULTS["rows"] if "error" in row] == []
    assert all(row["median_ns"] > 0 < row["floor_ns"] for row in RESULTS["rows"])


def test_a_missing_and_a_new_row_are_told() -> None:
    changed = copy.deepcopy(RESULTS)
    gone = changed["rows"].pop(0)
    changed["rows"].append(gone | {"row": "new"})
    told = page.differences(changed)
    assert any(gone["row"] in line and "only in the page" in line for line in told)
    assert any("new: not in the page" in line for line in told)
    assert len(told) == 2
    assert page.differences(RESULTS) == []


def test_markers_of_no_program_are_refused() -> None:
    with pytest.raises(ValueError, match="markers: "):
        page.fill(TEXT.replace("bench_links: ", "bench_other: "), RESULTS)
