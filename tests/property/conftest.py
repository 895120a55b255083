# SPDX-License-Identifier: Apache-2.0
"""Tables that property tests fill, shown at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.property.tables import TABLES, lines_of

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each case was met."""
    for title, table in TABLES.items():
        terminalreporter.section(title)
        for line in lines_of(table):
            terminalreporter.write_line(line)
