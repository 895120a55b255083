# SPDX-License-Identifier: Apache-2.0
"""A machine as SVG: boxes in boxes as lstopo draws them, placements by colour.

Each object is a group with an id (``Package_0``, ``PU_17``, ``gpu0``) and classes (its
kind, and ``owner-N`` where it is held), its rectangle has the id with ``_rect``. All
colours stand in the one style sheet at the top, so CSS can change every one of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from topoalloc._allocator import Allocator
from topoalloc._machine import Device, Machine, NumaNode
from topoalloc.draw._objects import (
    Holders,
    IoNode,
    Node,
    bytes_text,
    object_tree,
    require_machine,
    short_address,
)

__all__ = ["machine_svg"]

_NAMESPACE = "http://www.w3.org/2000/svg"
_GAP = 5
_PAD = 7
_TITLE = 17
_PU_WIDTH, _PU_HEIGHT = 27, 15
_DEVICE_WIDTH, _DEVICE_HEIGHT = 92, 44
_NODE_HEIGHT = 24
_PART = 11
_LETTER = 7.0
"""Width of a letter of the titles, about; text cannot be measured here."""
_LEAST_LETTERS = len("L3 L#10 P#10")
_WIDEST_CORES = 640
_WIDEST = 1500
# Of those in one line the lower ones are drawn as high as the highest.
_STRETCHED = {"Package", "Group", "Die", "L3", "HostBridge", "Device"}

# lstopo's colours for kinds; owners in colours that the colour-blind can tell apart
# (Okabe and Ito), as light as black text needs them.
_STYLE = """\
text { font: 11px sans-serif; fill: #222 }
.PU text { font-size: 9px; text-anchor: middle }
.Device text { text-anchor: middle } .Device .name { font-weight: bold }
.Device .more { font-size: 9px }
.heading { font-size: 15px; font-weight: bold }
rect { stroke: #666; stroke-width: 0.7 }
.paper { fill: #fff; stroke: none }
.Machine > rect { fill: #fff; stroke: none }
.Package > rect { fill: rgb(210,231,164) } .Group > rect { fill: rgb(231,255,181) }
.Die > rect { fill: rgb(226,240,200) } .L3 > rect { fill: #fff }
.NUMANode > rect { fill: rgb(239,223,222) } .Core > rect { fill: rgb(190,190,190) }
.PU > rect, .Partition > rect { fill: #fff }
.HostBridge > rect { fill: rgb(190,210,149) } .Switch > rect { fill: rgb(210,224,180) }
.Device > rect { fill: rgb(222,222,222) }
.reserved > rect { fill: #999 }
.cordoned > rect { fill: #fff; stroke: #c00; stroke-width: 1.6; stroke-dasharray: 4 2 }
.not-allowed > rect { fill: #ff9c9c }
.taken { stroke: none }
"""
_OWNER_COLOURS = (
    "#56b4e9",
    "#f0b030",
    "#3cc49a",
    "#e58fc0",
    "#ee8142",
    "#f0e442",
    "#6fa0dc",
    "#b9a0e8",
    "#9ad06a",
    "#d0b090",
)


@dataclass
class _Box:
    """A rectangle with text and boxes inside; positions are relative to the parent."""

    kind: str
    identity: str = ""
    width: float = 0
    height: float = 0
    x: float = 0
    y: float = 0
    label: str = ""
    """Top left, or in the middle of a box without children."""
    lines: tuple[tuple[str, str], ...] = ()
    """(class, text) below each other, centred."""
    title: str = ""
    """What a pointer on it shows."""
    owners: tuple[str, ...] = ()
    fill: tuple[tuple[str, float], ...] = ()
    """(owner, part of the width) along the bottom."""
    children: list[_Box] = field(default_factory=list)


def machine_svg(machine: Machine, allocator: Allocator | None = None) -> str:
    """Draw a machine.

    Parameters
    ----------
    machine : Machine
        Any.
    allocator : Allocator, optional
        Of that Machine; what is taken has the colour of its owner, and a legend names
        the owners.

    Returns
    -------
    str
        An SVG document, the same for equal arguments.

    Examples
    --------
    >>> machine_svg(Machine.from_synthetic("pack:1 core:2 pu:1")).count('class="Core"')
    2
    """
    require_machine(machine, allocator)
    return _Picture(machine, allocator).draw()


class _Picture:
    def __init__(self, machine: Machine, allocator: Allocator | None) -> None:
        self._machine = machine
        self._holders = Holders(machine, allocator)
        self._number = {owner: i for i, owner in enumerate(self._holders.owners)}

    def draw(self) -> str:
        """Return the document."""
        box = self._object(object_tree(self._machine))
        legend = self._legend(box.width)
        height = box.height + legend.height + 2 * _GAP
        legend.y = box.height + _GAP
        size = f'width="{box.width:g}" height="{height:g}"'
        extent = f"{box.width:g} {height:g}"
        lines = [
            f'<svg xmlns="{_NAMESPACE}" {size} viewBox="0 0 {extent}">',
            f"<title>{escape(self._machine.name or 'machine')}</title>",
            f"<style>\n{_STYLE}{self._owner_style()}</style>",
            f'<rect class="paper" {size}/>',
        ]
        for each in (box, legend):
            self._write(each, lines)
        lines.append("</svg>\n")
        return "\n".join(lines)

    def _owner_style(self) -> str:
        rules = []
        for number in self._number.values():
            colour = _OWNER_COLOURS[number % len(_OWNER_COLOURS)]
            rules.append(
                f".owner-{number} > rect, rect.owner-{number} {{ fill: {colour} }}\n"
            )
        return "".join(rules)

    # --- boxes of objects ---

    def _object(self, node: Node) -> _Box:
        if node.kind == "PU":
            return self._pu(node)
        if node.kind == "Core":
            return self._core(node)
        os_index = "" if node.os_index is None else f" P#{node.os_index}"
        label = f"{node.kind} L#{node.logical_index}{os_index}"
        box = _Box(node.kind, f"{node.kind}_{node.logical_index}", label=label)
        if node.kind == "Machine":
            box.identity, box.label = "Machine", self._heading()
        inner = [self._object(child) for child in node.children]
        only_small = all(child.kind in {"Core", "PU"} for child in node.children)
        rows = [_grid(inner, _WIDEST_CORES if only_small else _WIDEST)] if inner else []
        widest = max([row.width for row in rows], default=4.0 * _DEVICE_WIDTH)
        if node.memory:
            rows.insert(0, self._memory(node.memory, widest))
        if node.io:
            devices = [self._io(io) for io in node.io]
            rows.append(_flow(devices, max(widest, 4.0 * _DEVICE_WIDTH)))
        _stack(box, rows)
        return box

    def _heading(self) -> str:
        total = sum(node.memory for node in self._machine.numa_nodes)
        return f"{self._machine.name or 'Machine'} ({bytes_text(total)} total)"

    def _pu(self, node: Node) -> _Box:
        os_index = node.os_index if node.os_index is not None else node.logical_index
        owner = self._holders.of_pu(os_index)
        return _Box(
            "PU",
            f"PU_{node.logical_index}",
            _PU_WIDTH,
            _PU_HEIGHT,
            label=str(os_index),
            title=f"PU L#{node.logical_index} P#{os_index}" + _held(owner),
            owners=(owner,) if owner else (),
        )

    def _core(self, node: Node) -> _Box:
        box = _Box("Core", f"Core_{node.logical_index}")
        box.title = f"Core L#{node.logical_index}"
        y = 2.0
        for child in node.children:
            pu = self._object(child)
            pu.x, pu.y = 2, y
            y += pu.height + 1
            box.children.append(pu)
        box.width, box.height = _PU_WIDTH + 4, y + 1
        return box

    def _memory(self, nodes: Sequence[NumaNode], width: float) -> _Box:
        # GB200 shows 16 without a byte beside each that has some: those are one box.
        empty = [node for node in nodes if not node.memory and not node.cpuset]
        shown = [node for node in nodes if node not in empty]
        boxes = [self._numa_node(node) for node in shown]
        if empty:
            text = f"{len(empty)} more without memory"
            boxes.append(
                _Box(
                    "NUMANode",
                    f"NUMANode_{empty[0].logical_index}_more",
                    len(text) * _LETTER + 2 * _PAD,
                    _NODE_HEIGHT,
                    label=text,
                    title="P#" + ",".join(str(node.os_index) for node in empty),
                )
            )
        return _flow(boxes, width)

    def _numa_node(self, node: NumaNode) -> _Box:
        kind = "" if node.kind == "dram" else f" {node.kind}"
        label = f"NUMANode L#{node.logical_index} P#{node.os_index}{kind}"
        label += f" {bytes_text(node.memory)}" if node.memory else ""
        taken = self._holders.of_memory(node.os_index)
        total = node.memory + sum(node.hugepages.values())
        held = "".join(f", {bytes_text(n)} held by {owner}" for owner, n in taken)
        disallowed = self._holders.of_node(node.os_index)
        return _Box(
            "NUMANode",
            f"NUMANode_{node.logical_index}",
            len(label) * _LETTER + 2 * _PAD,
            _NODE_HEIGHT,
            label=label,
            title=label + (f", {disallowed}" if disallowed else held),
            owners=(disallowed,) if disallowed else (),
            fill=tuple((owner, n / total) for owner, n in taken if total),
        )

    # --- boxes of devices ---

    def _io(self, io: IoNode) -> _Box:
        if io.device is not None:
            return self._device(io.device, io.children)
        devices = _leaves(io)
        boxes = []
        for switch, members in _by_switch(devices):
            drawn = [self._device(d.device, d.children) for d in members if d.device]
            if switch is None or len(drawn) == 1:
                boxes += drawn
                continue
            box = _Box("Switch", f"Switch_{switch}", label=f"switch {switch}")
            _stack(box, [_flow(drawn, 4 * (_DEVICE_WIDTH + _GAP))])
            boxes.append(box)
        host = _Box("HostBridge", _identity(io.name), label=io.name)
        _stack(host, [_flow(boxes, 4 * (_DEVICE_WIDTH + _GAP) + 2 * _PAD)])
        return host

    def _device(self, device: Device, partitions: Sequence[IoNode]) -> _Box:
        owners = self._holders.of_device(device.name)
        alias = device.aliases[0] if device.aliases else ""
        address = short_address(device.pci_address or "")
        lines = (("name", device.name), ("more", alias), ("more", address))
        facts = [device.name, *device.aliases, str(device.attributes.get("model", ""))]
        facts += [device.pci_address or ""]
        box = _Box(
            "Device",
            _identity(device.name),
            _DEVICE_WIDTH,
            _DEVICE_HEIGHT,
            lines=tuple(line for line in lines if line[1]),
            title=", ".join(filter(None, facts)) + _held(", ".join(owners)),
            owners=owners,
        )
        if partitions:
            parts = [self._partition(io.device) for io in partitions if io.device]
            grid = _grid(parts, _DEVICE_WIDTH - 2.0 * _GAP, gap=1)
            grid.x, grid.y = _GAP, _DEVICE_HEIGHT
            box.height += grid.height + _GAP
            box.children.append(grid)
        return box

    def _partition(self, device: Device) -> _Box:
        owners = self._holders.of_device(device.name)
        return _Box(
            "Partition",
            _identity(device.name),
            _PART,
            _PART,
            title=f"{device.name} ({device.partition})" + _held(", ".join(owners)),
            owners=owners,
        )

    def _legend(self, width: float) -> _Box:
        words = [*self._holders.owners]
        every = {self._holders.of_pu(pu.os_index) for pu in self._machine.pus}
        every.update(
            self._holders.of_node(node.os_index) for node in self._machine.numa_nodes
        )
        every.update(
            owner
            for device in self._machine.devices
            for owner in self._holders.of_device(device.name)
        )
        words += [
            word
            for word in ("reserved", "cordoned", "not allowed")
            if word in every and word not in words
        ]
        boxes = [
            _Box(
                "Legend",
                f"Legend_{i}",
                len(word) * _LETTER + 2 * _PAD + 6,
                _NODE_HEIGHT,
                label=word,
                owners=(word,),
            )
            for i, word in enumerate(words)
        ]
        row = _flow(boxes, width - 2 * _PAD)
        row.x = _PAD
        return row

    # --- writing ---

    def _class_of(self, owner: str) -> str:
        number = self._number.get(owner)
        return owner.replace(" ", "-") if number is None else f"owner-{number}"

    def _write(self, box: _Box, lines: list[str], x: float = 0, y: float = 0) -> None:
        x, y = x + box.x, y + box.y
        if box.kind:
            single = [self._class_of(box.owners[0])] if len(box.owners) == 1 else []
            names = " ".join([box.kind, *single])
            lines.append(f'<g id="{escape(box.identity)}" class="{names}">')
            if box.title:
                lines.append(f"<title>{escape(box.title)}</title>")
            rect = _rect(x, y, box.width, box.height)
            lines.append(f'<rect id="{escape(box.identity)}_rect" {rect}/>')
            self._write_parts(box, lines, x, y)
            _write_text(box, lines, x, y)
        for child in box.children:
            self._write(child, lines, x, y)
        if box.kind:
            lines.append("</g>")

    def _write_parts(self, box: _Box, lines: list[str], x: float, y: float) -> None:
        if len(box.owners) > 1:
            width = box.width / len(box.owners)
            for i, owner in enumerate(box.owners):
                rect = _rect(x + i * width, y, width, box.height)
                lines.append(f'<rect class="taken {self._class_of(owner)}" {rect}/>')
        start = x
        for owner, part in box.fill:
            # A share too small to see is drawn a pixel wide.
            width = max(1.0, part * box.width)
            rect = _rect(start, y + box.height - 5, width, 5)
            lines.append(f'<rect class="taken {self._class_of(owner)}" {rect}/>')
            start += width


def _held(owner: str) -> str:
    return f": {owner}" if owner else ""


def _identity(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def _leaves(io: IoNode) -> list[IoNode]:
    if io.device is not None:
        return [io]
    return [leaf for child in io.children for leaf in _leaves(child)]


def _by_switch(devices: Sequence[IoNode]) -> list[tuple[int | None, list[IoNode]]]:
    found: dict[int, list[IoNode]] = {}
    groups: list[tuple[int | None, list[IoNode]]] = []
    for io in devices:
        switch = io.device.switch if io.device is not None else None
        if switch is None:
            groups.append((None, [io]))
        elif switch in found:
            found[switch].append(io)
        else:
            found[switch] = [io]
            groups.append((switch, found[switch]))
    return groups


def _rect(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'


def _write_text(box: _Box, lines: list[str], x: float, y: float) -> None:
    middle = x + box.width / 2
    for i, (name, text) in enumerate(box.lines):
        lines.append(
            f'<text class="{name}" x="{middle:g}" y="{y + 14 + 12 * i:g}">'
            f"{escape(text)}</text>"
        )
    if not box.label:
        return
    if box.kind == "PU":
        place = f'x="{middle:g}" y="{y + 11:g}"'
    elif box.kind == "Machine":
        place = f'class="heading" x="{x + _PAD:g}" y="{y + 17:g}"'
    else:
        below = 13 if box.children or box.fill else box.height / 2 + 4
        place = f'x="{x + _PAD:g}" y="{y + below:g}"'
    lines.append(f"<text {place}>{escape(box.label)}</text>")


def _grid(boxes: Sequence[_Box], widest: float, gap: float = _GAP) -> _Box:
    """Lay out boxes alike in rows and columns, about twice as wide as high."""
    width = max(box.width for box in boxes) + gap
    height = max(box.height for box in boxes) + gap
    columns = math.ceil(math.sqrt(2 * len(boxes) * height / width))
    columns = max(1, min(columns, len(boxes), int(widest // width)))
    # The last row is filled as far as it can be with so many rows.
    columns = math.ceil(len(boxes) / math.ceil(len(boxes) / columns))
    frame = _Box("", width=columns * width - gap, children=[*boxes])
    y = 0.0
    for start in range(0, len(boxes), columns):
        line = boxes[start : start + columns]
        for i, box in enumerate(line):
            box.x = i * width
            if box.kind in _STRETCHED:
                box.width = width - gap
                _span(box)
        y = _end_line(line, y) + gap
    frame.height = y - gap
    return frame


def _end_line(line: Sequence[_Box], y: float) -> float:
    """Put boxes at a height, as high as the highest of them; return where they end."""
    highest = max(box.height for box in line)
    for box in line:
        box.y = y
        if box.kind in _STRETCHED:
            box.height = highest
    return y + highest


def _span(box: _Box) -> None:
    """Let a NUMANode that is alone lie across the whole box."""
    for frame in box.children[:1]:
        if len(frame.children) == 1 and frame.children[0].kind == "NUMANode":
            frame.children[0].width = box.width - 2 * _PAD


def _flow(boxes: Sequence[_Box], widest: float) -> _Box:
    """Lay out boxes in lines, as words are."""
    frame = _Box("", children=[*boxes])
    lines: list[list[_Box]] = []
    x = 0.0
    for box in boxes:
        if not lines or x + box.width > widest:
            lines.append([])
            x = 0.0
        box.x = x
        x += box.width + _GAP
        lines[-1].append(box)
        frame.width = max(frame.width, x - _GAP)
    y = 0.0
    for line in lines:
        y = _end_line(line, y) + _GAP
    frame.height = max(0.0, y - _GAP)
    return frame


def _stack(box: _Box, rows: Sequence[_Box]) -> None:
    """Put rows below each other, below the title."""
    y = float(_TITLE + (8 if box.kind == "Machine" else 3))
    # Labels of two digits more must not change how boxes of a kind are laid out.
    letters = max(len(box.label), _LEAST_LETTERS if box.kind == "L3" else 0)
    box.width = letters * _LETTER + 2 * _PAD
    for row in rows:
        row.x, row.y = _PAD, y
        y += row.height + _GAP
        box.width = max(box.width, row.width + 2 * _PAD)
    box.height = y - _GAP + _PAD if rows else y
    box.children += rows
    _span(box)
