# SPDX-License-Identifier: Apache-2.0
"""Writing answers: tables for people, JSON for programs, complaints to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence

from topoalloc._errors import InvalidRequestError, TopoallocError
from topoalloc._policy import Cost
from topoalloc._quantity import format_quantity
from topoalloc._records import Placement

__all__ = [
    "cost_text",
    "memory_text",
    "naming",
    "print_json",
    "print_table",
    "warn",
]


@contextlib.contextmanager
def naming(option: str, want: str) -> Iterator[None]:
    """Name the option of which a file cannot be read or written, and what it wants."""
    try:
        yield
    except TopoallocError:
        raise
    except OSError as error:
        # Without a name it is no file of the option: a closed pipe, for one.
        if error.filename is None or error.strerror is None:
            raise
        raise InvalidRequestError(
            f"{option}: {error.filename}: {error.strerror}, want {want}"
        ) from None


def print_json(document: object) -> None:
    """Write a document to standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=True)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table: folded to the width of a terminal, plain columns to a pipe."""
    # Names come from files of anybody, and must do nothing to a terminal.
    safe = [[*map(_printable, row)] for row in rows]
    if sys.stdout.isatty():
        _print_folded(columns, safe)
        return
    table = [[*columns], *safe]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _print_folded(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    # rich is for those who look at a table in a terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text: names may hold what rich would read as markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def warn(message: str) -> None:
    """Write a line to standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"topoalloc: {message}\n")


def memory_text(placement: Placement) -> str:
    """Say the memory of a Placement in one cell: ``"64Gi@0 1Gi@0 (2Mi pages)"``."""
    parts = [f"{format_quantity(n)}@{node}" for node, n in placement.memory.items()]
    parts += [
        f"{format_quantity(n)}@{node} ({format_quantity(size)} pages)"
        for node, sizes in placement.hugepages.items()
        for size, n in sizes.items()
    ]
    return " ".join(parts) or "-"


def cost_text(cost: Cost) -> str:
    """Say the terms of a cost that are not 0: ``"packages 1, localities 1"``."""
    terms = [f"{name} {value}" for name, value in cost.to_dict().items() if value]
    return ", ".join(terms) or "0 in every term"
