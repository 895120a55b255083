# SPDX-License-Identifier: Apache-2.0
"""A Cluster as text: Domains by indentation, a letter a device, a node or a share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from topoalloc._cluster import Cluster
from topoalloc.draw._cluster_view import (
    FREE,
    OUT,
    ClusterView,
    ViewDomain,
    ViewNode,
    finest_level,
    printable,
    shares,
)

__all__ = ["cluster_text"]

_INDENT: Final = "  "
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWYZ"
_MANY: Final = "*"
_FREE, _OUT, _HELD_OUT = ".", "x", "X"
_NONE: Final = "-"
_MOST_LINES: Final = 32
"""With more nodes there is a letter a node, not a line."""
_MOST_CELLS: Final = 1024
"""With more nodes there is a bar a Domain, not a letter a node."""
_MOST_DOMAINS: Final = 128
"""With more Domains at a level the bars are of a level above, if there is one."""
_MOST_LETTERS: Final = 16
_BAR: Final = 24
_CELLS_WIDTH: Final = 64
_WIDTH: Final = 88


def cluster_text(
    cluster: Cluster, *, tree: str | None = None, device_class: str | None = None
) -> str:
    """Draw a Cluster as text.

    Parameters
    ----------
    cluster : Cluster
        Any. Up to 32 nodes have a line each with a letter a device, up to 1,024 a
        letter each, more are summed up by Domain.
    tree : str, optional
        Whose levels nest; the first when left out.
    device_class : str, optional
        What is counted in a node: ``"gpu"`` where there is one, else ``"pu"``.

    Returns
    -------
    str
        Lines, the last one ended too; a legend says what the letters mean.

    Raises
    ------
    InvalidRequestError
        There is no such tree or class.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = ta.Cluster(levels=["rack"])
    >>> cluster.add_nodes(["n0", "n1"], ta.Machine.preset("dgx-h100"),
    ...                   domains={"rack": ["r0", "r1"]})
    >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 4}), 3)
    >>> cluster.commit(cluster.place(ta.Gang("train", [pods])))
    >>> print(cluster_text(cluster), end="")
    Cluster: 2 nodes, 4 of 16 gpus free
      rack r0: 1 node, 0 of 8 gpus free
        n0  AAAAAAAA
      rack r1: 1 node, 4 of 8 gpus free
        n1  AAAA....
    A train  . free
    """
    view = ClusterView(cluster, tree, device_class)
    return "".join(f"{line}\n" for line in _Text(view).lines())


class _Text:
    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._letters = {
            number: _LETTERS[i] if i < len(_LETTERS) else _MANY
            for i, number in enumerate(view.owners)
        }
        self._used: set[str] = set()
        """Marks of the legend that are no letter of an owner."""
        is_summed = view.size > _MOST_CELLS
        self._lowest = finest_level(view, _MOST_DOMAINS) if is_summed else ""

    def lines(self) -> Iterator[str]:
        """Draw the Cluster, then the legend."""
        view = self._view
        if view.size <= _MOST_LINES:
            yield from self._node_lines(view.top)
        else:
            rows = [*self._domain_rows(view.top)]
            width = max(len(label) for label, _, _ in rows)
            short = [len(cells) for _, cells, _ in rows if len(cells) <= _CELLS_WIDTH]
            for label, cells, numbers in rows:
                yield from _joined(label.ljust(width), cells, max(short), numbers)
        yield from self._legend()

    # --- a line a node ---

    def _node_lines(self, domain: ViewDomain) -> Iterator[str]:
        indent = _INDENT * domain.depth
        numbers = domain.numbers(self._view.unit)
        yield f"{indent}{printable(domain.title)}: {numbers}"
        for child in domain.children.values():
            yield from self._node_lines(child)
        width = max((len(node.name) for node in domain.nodes), default=0)
        for node in domain.nodes:
            mark = " cordoned" if node.is_cordoned else ""
            text = f"{printable(node.name):{width}}  {self._units(node)}{mark}"
            yield f"{indent}{_INDENT}{text}".rstrip()

    def _units(self, node: ViewNode) -> str:
        letters = [self._letter(unit) for unit in node.units]
        if len(letters) <= _MOST_LETTERS:
            return "".join(letters)
        # Hundreds of PUs: how many of each, in order.
        return " ".join(
            f"{each}x{letters.count(each)}" for each in {}.fromkeys(letters)
        )

    def _letter(self, unit: int) -> str:
        mark = {FREE: _FREE, OUT: _OUT}.get(unit)
        if mark is None:
            return self._letters[unit]
        self._used.add(mark)
        return mark

    # --- a line a Domain ---

    def _domain_rows(self, domain: ViewDomain) -> Iterator[tuple[str, str, str]]:
        label = _INDENT * domain.depth + printable(domain.title)
        numbers = domain.numbers(self._view.unit)
        is_last = self._is_last(domain)
        yield label, self._cells(domain) if is_last else "", numbers
        if is_last:
            return
        for child in domain.children.values():
            yield from self._domain_rows(child)
        if domain.nodes:
            # In no Domain of a level below.
            rest = ViewDomain("", "", domain.depth, nodes=domain.nodes)
            for node in domain.nodes:
                rest.counts += node.counts()
                rest.node_count += 1
                rest.cordoned += node.is_cordoned
            label = _INDENT * (domain.depth + 1) + "(no Domain)"
            yield label, self._cells(rest), rest.numbers(self._view.unit)

    def _is_last(self, domain: ViewDomain) -> bool:
        return not domain.children or domain.level == (self._lowest or None)

    def _cells(self, domain: ViewDomain) -> str:
        if self._view.size > _MOST_CELLS or domain.children:
            return self._bar(domain)
        return "".join(self._cell(node) for node in domain.nodes)

    def _bar(self, domain: ViewDomain) -> str:
        order = [*self._letters, FREE, OUT]
        parts = shares(domain.counts, order, _BAR)
        return "".join(
            self._letter(unit) * part
            for unit, part in zip(order, parts, strict=True)
            if part
        )

    def _cell(self, node: ViewNode) -> str:
        """Return the one mark of a node."""
        counts = node.counts()
        owners = [unit for unit in counts if unit not in (FREE, OUT)]
        if node.is_cordoned:
            mark = _HELD_OUT if node.is_held else _OUT
        elif not owners:
            mark = _FREE if counts[FREE] else (_OUT if counts[OUT] else _NONE)
        else:
            letter = self._letters[owners[0]] if len(owners) == 1 else _MANY
            if counts[FREE] and letter != _MANY:
                self._used.add("a")
                return letter.lower()
            if letter != _MANY:
                return letter
            mark = _MANY
        self._used.add(mark)
        return mark

    # --- legend ---

    def _legend(self) -> Iterator[str]:
        owners = [*self._view.owners.items()]
        words = [
            f"{self._letters[number]} {printable(name)}"
            for number, name in owners[: len(_LETTERS)]
        ]
        if len(owners) > len(_LETTERS):
            self._used.add(_MANY)
        meanings = {
            "a": "lower case: partly free",
            _MANY: "* several, or one of those without a letter",
            _FREE: ". free",
            _OUT: "x cordoned or reserved",
            _HELD_OUT: "X cordoned, held",
            _NONE: f"- without {self._view.unit}s",
        }
        words += [text for mark, text in meanings.items() if mark in self._used]
        # Names may have blanks; only the two between words part a line.
        line = ""
        for word in words:
            if line and len(line) + len(word) + 2 > _WIDTH:
                yield line
                line = ""
            line += f"  {word}" if line else word
        if line:
            yield line


def _joined(label: str, cells: str, width: int, numbers: str) -> Iterator[str]:
    if len(cells) <= _CELLS_WIDTH:
        yield f"{label}  {cells.ljust(width)}  {numbers}"
        return
    yield f"{label}  {' ' * width}  {numbers}"
    for line in textwrap.wrap(cells, _CELLS_WIDTH, break_on_hyphens=False):
        yield f"{' ' * len(label)}  {line}"
