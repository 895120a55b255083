# SPDX-License-Identifier: Apache-2.0
"""Tables that property tests fill, shown at the end of the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.property.tables import TABLES

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each case was met."""
    for title, table in TABLES.items():
        terminalreporter.section(title)
        for line in lines_of(table):
            terminalreporter.write_line(line)


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
