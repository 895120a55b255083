# SPDX-License-Identifier: Apache-2.0
"""A Cluster as SVG: Domains as boxes in boxes, nodes as cells, Gangs by colour.

Each Domain is a group of class ``Domain``, each node one of class ``Node``, and of
``cordoned`` where it is, with its name in ``data-name``. What is held has class
``owner-N``, the rest ``free`` or ``out``. All colours stand in one style sheet on top.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
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
)
from topoalloc.draw._svg import (
    _LETTER,
    _NAMESPACE,
    _OWNER_COLOURS,
    _PAD,
    _TITLE,
    _Box,
    _flow,
    _grid,
    _rect,
    _stack,
)

__all__ = ["cluster_svg"]

_MOST_NAMED: Final = 64
"""With more nodes their cells are small and have no names."""
_MOST_CELLS: Final = 2048
"""With more nodes Domains are bars."""
_MOST_BARS: Final = 1024
"""With more Domains at a level the bars are of a level above, if there is one."""
_MOST_SQUARES: Final = 16
_WIDEST: Final = 1500.0
_WIDEST_CELLS: Final = 640.0
_WIDEST_BARS: Final = 700.0
_LEAST_WIDTH: Final = 420.0
_HEADING_LETTER: Final = 9.5
_BAR_WIDTH, _BAR_HEIGHT = 150.0, 13.0
_NAMED_SIDE, _SMALL_SIDE = 12, 7
_NAME_HEIGHT: Final = 13
_LEGEND_HEIGHT: Final = 18
_GOLDEN_ANGLE: Final = 137.508

_STYLE: Final = """\
text { font: 11px sans-serif; fill: #222 }
.heading { font-size: 15px; font-weight: bold }
.Node text { font-size: 10px }
rect { stroke: #667; stroke-width: 0.6 }
.paper, .Cluster > rect { fill: #fff; stroke: none }
.depth-1 > rect { fill: #eef2f7 } .depth-2 > rect { fill: #dde6ef }
.depth-3 > rect { fill: #cdd9e5 } .depth-4 > rect { fill: #bdccdb }
rect.cell { fill: #fff }
rect.free { fill: #fff } rect.out { fill: #8f8f8f }
rect.hatch { fill: url(#hatched); stroke: #c00; stroke-width: 1.2 }
#hatched path { stroke: #c00; stroke-width: 1.1; opacity: 0.6 }
"""
_HATCHED: Final = (
    '<defs><pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M0 6L6 0"/></pattern></defs>'
)


def cluster_svg(
    cluster: Cluster, *, tree: str | None = None, device_class: str | None = None
) -> str:
    """Draw a Cluster as SVG.

    Parameters
    ----------
    cluster : Cluster
        Any. Up to 64 nodes have a cell with a name and a square a device, up to 2,048 a
        small cell, more are summed up by Domain as bars.
    tree : str, optional
        Whose levels nest; the first when left out.
    device_class : str, optional
        What is counted in a node: ``"gpu"`` where there is one, else ``"pu"``.

    Returns
    -------
    str
        An SVG document, the same for equal arguments. Cordoned nodes are hatched; what
        a pointer rests on says how much is free and who holds the rest.

    Raises
    ------
    InvalidRequestError
        There is no such tree or class.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = ta.Cluster(levels=["rack"])
    >>> cluster.add_nodes(["n0", "n1"], ta.Machine.preset("dgx-h100"),
    ...                   domains={"rack": "r0"})
    >>> cluster_svg(cluster).count('class="Node"')
    2
    """
    return _Picture(ClusterView(cluster, tree, device_class)).draw()


class _Picture:
    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._is_named = view.size <= _MOST_NAMED
        self._has_cells = view.size <= _MOST_CELLS
        self._side = _NAMED_SIDE if self._is_named else _SMALL_SIDE
        self._lowest = "" if self._has_cells else finest_level(view, _MOST_BARS)
        self._nodes: dict[int, ViewNode] = {}
        self._bars: dict[int, ViewDomain] = {}
        self._domains = 0
        self._colours = {number: i for i, number in enumerate(view.owners)}

    def draw(self) -> str:
        """Return the document."""
        box = self._domain(self._view.top)
        heading = len(box.label) * _HEADING_LETTER + 2 * _PAD
        box.width = max(box.width, _LEAST_WIDTH, heading)
        legend = self._legend(box.width)
        legend.x, legend.y = _PAD, box.height
        height = box.height + legend.height + 2 * _PAD
        size = f'width="{box.width:g}" height="{height:g}"'
        lines = [
            f'<svg xmlns="{_NAMESPACE}" {size} viewBox="0 0 {box.width:g} {height:g}">',
            "<title>cluster</title>",
            f"<style>\n{_STYLE}{self._owner_style()}</style>",
            _HATCHED,
            f'<rect class="paper" {size}/>',
        ]
        for each in (box, legend):
            lines += self._written(each, 0, 0)
        lines.append("</svg>\n")
        return "\n".join(lines)

    def _owner_style(self) -> str:
        return "".join(
            f"rect.owner-{i} {{ fill: {_colour(i)} }}\n" for i in self._colours.values()
        )

    # --- boxes ---

    def _domain(self, domain: ViewDomain) -> _Box:
        box = _Box(f"Domain depth-{min(domain.depth, 4)}", f"Domain_{self._domains}")
        self._domains += 1
        box.title = f"{printable(domain.title)}: {self._facts(domain)}"
        total = sum(domain.counts.values())
        box.label = f"{printable(domain.title)}: {domain.counts[FREE]}/{total} free"
        if not domain.level:
            box.kind, box.identity = "Cluster", "Cluster"
            box.label = f"Cluster: {domain.numbers(self._view.unit)}"
        rows = []
        if self._is_bar(domain):
            rows.append(self._bar(domain))
        else:
            if domain.children:
                inner = [self._domain(child) for child in domain.children.values()]
                width = max(each.width for each in inner)
                for each in inner:
                    each.width = width
                are_bars = all(map(self._is_bar, domain.children.values()))
                widest = _WIDEST_BARS if are_bars else _WIDEST
                rows.append(_grid(inner, widest - 2 * _PAD * domain.depth))
            if domain.nodes and self._has_cells:
                cells = [self._cell(node) for node in domain.nodes]
                rows.append(_grid(cells, _WIDEST_CELLS, gap=3))
            elif domain.nodes:
                rows.append(self._bar(_rest_of(domain)))
        _stack(box, rows)
        return box

    def _is_bar(self, domain: ViewDomain) -> bool:
        if self._has_cells:
            return False
        return not domain.children or domain.level == self._lowest

    def _bar(self, domain: ViewDomain) -> _Box:
        box = _Box("Bar", "", _BAR_WIDTH, _BAR_HEIGHT)
        self._bars[id(box)] = domain
        # Kept alive by the box that it is in, so that no other gets its id.
        return _frame(box)

    def _cell(self, node: ViewNode) -> _Box:
        squares = min(len(node.units), _MOST_SQUARES)
        columns = _columns(squares)
        rows = max(1, -(-squares // columns)) if len(node.units) <= _MOST_SQUARES else 1
        box = _Box("Node", f"Node_{node.index}")
        box.width, box.height = columns * self._side + 4, rows * self._side + 4
        if self._is_named:
            box.width = max(box.width, len(node.name) * _LETTER + 6)
            box.height += _NAME_HEIGHT
        self._nodes[id(box)] = node
        return box

    def _facts(self, domain: ViewDomain) -> str:
        held = [
            f"{printable(name)} {domain.counts[number]}"
            for number, name in self._view.owners.items()
            if domain.counts[number]
        ]
        return ", ".join([domain.numbers(self._view.unit), *held])

    def _legend(self, width: float) -> _Box:
        words = [*self._view.owners.values(), "free", "out", "cordoned"]
        boxes = [
            _Box("Legend", f"Legend_{i}", len(word) * _LETTER + 26, _LEGEND_HEIGHT)
            for i, word in enumerate(words)
        ]
        for box, word in zip(boxes, words, strict=True):
            box.label = word
        return _flow(boxes, width - 2 * _PAD)

    # --- writing ---

    def _written(self, box: _Box, x: float, y: float) -> Iterator[str]:
        x, y = x + box.x, y + box.y
        if box.kind == "Legend":
            yield from self._written_legend(box, x, y)
        elif box.kind == "Node":
            yield from self._written_node(box, x, y)
        elif box.kind == "Bar":
            domain = self._bars[id(box)]
            yield f'<rect class="cell" {_rect(x, y, box.width, box.height)}/>'
            yield from self._written_shares(domain.counts, x, y, box.width, box.height)
        elif box.kind:
            yield f'<g id="{box.identity}" class="{box.kind}">'
            yield f"<title>{escape(box.title)}</title>"
            yield f"<rect {_rect(x, y, box.width, box.height)}/>"
            heading = ' class="heading"' if box.kind == "Cluster" else ""
            place = f'x="{x + _PAD:g}" y="{y + _TITLE - 4:g}"'
            yield f"<text{heading} {place}>{escape(box.label)}</text>"
            for child in box.children:
                yield from self._written(child, x, y)
            yield "</g>"
        else:
            for child in box.children:
                yield from self._written(child, x, y)

    def _written_legend(self, box: _Box, x: float, y: float) -> Iterator[str]:
        number = int(box.identity.rpartition("_")[2])
        owners = [*self._view.owners]
        rect = _rect(x, y + 3, 12, 12)
        if number < len(owners):
            yield f'<rect class="{self._class_of(owners[number])}" {rect}/>'
        else:
            plain = "out" if box.label == "out" else "free"
            yield f'<rect class="{plain}" {rect}/>'
            if box.label == "cordoned":
                yield f'<rect class="hatch" {rect}/>'
        text = escape(printable(box.label))
        yield f'<text x="{x + 17:g}" y="{y + 13:g}">{text}</text>'

    def _written_node(self, box: _Box, x: float, y: float) -> Iterator[str]:
        node = self._nodes[id(box)]
        counts = node.counts()
        facts = [f"{counts[FREE]} of {len(node.units)} {self._view.unit}s free"]
        facts += [
            f"{printable(name)} {counts[number]}"
            for number, name in self._view.owners.items()
            if counts[number]
        ]
        facts += ["cordoned"] if node.is_cordoned else []
        cordoned = " cordoned" if node.is_cordoned else ""
        name = escape(printable(node.name))
        yield f'<g id="{box.identity}" class="Node{cordoned}" data-name="{name}">'
        yield f"<title>{name}: {escape(', '.join(facts))}</title>"
        whole = _rect(x, y, box.width, box.height)
        yield f'<rect class="cell" {whole}/>'
        top = y + 2
        if self._is_named:
            yield f'<text x="{x + 3:g}" y="{y + 11:g}">{name}</text>'
            top += _NAME_HEIGHT
        if len(node.units) > _MOST_SQUARES:
            # So many PUs have no room for a square each.
            yield from self._written_shares(
                counts, x + 2, top, box.width - 4, self._side
            )
        else:
            yield from self._written_squares(node, x + 2, top)
        if node.is_cordoned:
            yield f'<rect class="hatch" {whole}/>'
        yield "</g>"

    def _written_squares(self, node: ViewNode, x: float, y: float) -> Iterator[str]:
        columns, side = _columns(len(node.units)), self._side
        for i, unit in enumerate(node.units):
            if unit == FREE and not self._is_named:
                continue  # The cell is white as it is; thousands of squares add up.
            rect = _rect(
                x + i % columns * side, y + i // columns * side, side - 1, side - 1
            )
            yield f'<rect class="{self._class_of(unit)}" {rect}/>'

    def _written_shares(
        self, counts: dict[int, int], x: float, y: float, width: float, height: float
    ) -> Iterator[str]:
        total = sum(counts.values())
        for unit in [*self._view.owners, FREE, OUT]:
            number = counts.get(unit, 0)
            if number:
                part = width * number / total
                rect = _rect(x, y, part, height)
                yield f'<rect class="{self._class_of(unit)}" {rect}/>'
                x += part

    def _class_of(self, unit: int) -> str:
        if unit == FREE:
            return "free"
        return "out" if unit == OUT else f"owner-{self._colours[unit]}"


def _frame(box: _Box) -> _Box:
    frame = _Box("", width=box.width, height=box.height)
    frame.children.append(box)
    return frame


def _rest_of(domain: ViewDomain) -> ViewDomain:
    """Return the nodes that are in no Domain of a level below, as one."""
    rest = ViewDomain("", "", domain.depth + 1)
    for node in domain.nodes:
        rest.counts += node.counts()
    return rest


def _columns(squares: int) -> int:
    return max(1, min(4, squares))


def _colour(number: int) -> str:
    if number < len(_OWNER_COLOURS):
        return _OWNER_COLOURS[number]
    # Steps by the golden angle: neighbours in the legend differ most.
    return f"hsl({number * _GOLDEN_ANGLE % 360:.0f} 55% 72%)"
