# SPDX-License-Identifier: Apache-2.0
"""How often each kind of constraint met each status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

KINDS = ("align", "pair", "link", "same", "distinct", "near")
LEVELS = {"align": ("numa", "package", "l3"), "link": ("clique", "connected")}
TABLES: dict[str, Counter[tuple[str, str]]] = {}
"""By title; filled while tests run."""


def rows_of(entry: Mapping[str, Any]) -> list[str]:
    """Name the rows that a constraint counts for."""
    ((kind, body),) = entry.items()
    detail = body.get("level") or body.get("mode")
    return [kind] if detail is None else [f"{kind} {detail}"]


def all_rows() -> list[str]:
    """Name every row."""
    found = []
    for kind in KINDS:
        found += (
            [f"{kind} {word}" for word in LEVELS[kind]] if kind in LEVELS else [kind]
        )
    return found


def count(title: str, request: Mapping[str, Any], cost: tuple[int, ...] | None) -> None:
    """Count the constraints of one answered Request."""
    table = TABLES.setdefault(title, Counter())
    status = "no" if cost is None else "yes"
    for entry in request.get("require", []):
        for row in rows_of(entry):
            table[row, f"require: {status}"] += 1
    preferred = request.get("prefer", [])
    for place, entry in enumerate(reversed(preferred)):
        unmet = None if cost is None else cost[1] >> place & 1
        word = "no" if unmet is None else "unmet" if unmet else "met"
        for row in rows_of(entry):
            table[row, f"prefer: {word}"] += 1


def empty_cells(title: str) -> list[tuple[str, str]]:
    """Return the cells that were never met."""
    words: Iterable[str] = (
        "require: yes",
        "require: no",
        "prefer: met",
        "prefer: unmet",
        "prefer: no",
    )
    table = TABLES[title]
    return [cell for cell in product(all_rows(), words) if not table[cell]]


def lines_of(table: Counter[tuple[str, str]]) -> list[str]:
    """Lay a table out: rows, columns, counts."""
    rows = sorted({row for row, _ in table})
    columns = sorted({column for _, column in table})
    width = max(map(len, rows)) + 2
    lines = [" " * width + "".join(f"{column:>14}" for column in columns)]
    for row in rows:
        counts = "".join(f"{table[row, column]:14}" for column in columns)
        lines.append(f"{row:{width}}{counts}")
    return lines
