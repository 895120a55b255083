# SPDX-License-Identifier: Apache-2.0
"""Read and write checked CEL expressions in the form of `cel.expr.CheckedExpr`.

The library hands a checked expression out as the bytes of that protocol buffer message.
The few messages that matter are read here, so that no protobuf runtime is needed.
Field numbers are those of cel-spec, `proto/cel/expr/{checked,syntax}.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["MAX_DEPTH", "Checked", "DepthError", "Kind", "Node", "decode", "encode"]

# An expression nested deeper is refused: everything that walks it is recursive.
MAX_DEPTH = 120

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TRUE = b"\x18\x01"
# The library wraps the message in a `google.protobuf.Any`.
_URL = "type.googleapis.com/cel.expr.CheckedExpr"

Field = tuple[int, int | bytes]


class DepthError(ValueError):
    """The expression is nested too deeply."""


class Kind:
    """The kinds of nodes, by the number of their field in `Expr`."""

    CONST, IDENT, SELECT, CALL, LIST, STRUCT, COMPREHENSION = range(3, 10)


@dataclass(slots=True)
class Node:
    """One node of an expression.

    `name` is the identifier, the field, the function or the message; `children` are the
    operands in the order of the message: the operand of a selection, target (where
    `has_target`) and arguments of a call, the elements of a list, key and value in
    turn of a map; of a comprehension range, initial value, condition, step and result.
    """

    id: int
    kind: int
    name: str = ""
    children: list[Node] = field(default_factory=list)
    has_target: bool = False
    test_only: bool = False
    # A constant keeps its number in `Constant` and its bytes.
    const_field: int = 0
    const: int | bytes = b""
    optional: tuple[int, ...] = ()
    iter_var: str = ""
    iter_var2: str = ""
    accu_var: str = ""

    @property
    def text(self) -> str | None:
        """The constant's string, None where it is none."""
        if self.kind == Kind.CONST and self.const_field == _CONST_STRING:
            return bytes(self.const).decode() if isinstance(self.const, bytes) else None
        return None


_CONST_BOOL, _CONST_STRING, _CONST_BYTES = 2, 6, 7


@dataclass(slots=True)
class Checked:
    """A checked expression: its root, and per node its type and what it refers to."""

    root: Node
    types: dict[int, str]
    names: dict[int, str]
    overloads: dict[int, tuple[str, ...]]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last group has no continuation bit.
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[Field]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
        else:
            if wire == _BYTES:
                size, at = _varint(data, at)
            else:
                size = 8 if wire == _FIXED64 else 4
            yield tag >> 3, data[at : at + size]
            at += size


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""


def _int(value: int | bytes) -> int:
    return value if isinstance(value, int) else 0


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()


_PRIMITIVES = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}
_WELL_KNOWN = {1: "any", 2: "timestamp", 3: "duration"}


def _type(data: bytes) -> str:  # noqa: PLR0911, PLR0912 - a table.
    """Write a type as `list(int)`, `map(string, dyn)`, `kubernetes.Quantity`."""
    for number, value in _fields(data):
        inner = _bytes(value)
        match number:
            case 2:
                return "null"
            case 3:
                return _PRIMITIVES.get(_int(value), "dyn")
            case 4:
                return "wrapper"
            case 5:
                return _WELL_KNOWN.get(_int(value), "dyn")
            case 6 | 7:
                parts = [_type(_bytes(part)) for _, part in _fields(inner)]
                return f"{'list' if number == 6 else 'map'}({', '.join(parts)})"  # noqa: PLR2004
            case 9 | 10:
                return _text(value)
            case 11:
                return "type"
            case 14:
                name, parts = "", []
                for sub, part in _fields(inner):
                    if sub == 1:
                        name = _text(part)
                    else:
                        parts.append(_type(_bytes(part)))
                return f"{name}({', '.join(parts)})" if parts else name
            case _:
                return "dyn"
    return "dyn"


def _node(data: bytes, depth: int) -> Node:
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise DepthError(message)
    node = Node(0, 0)
    for number, value in _fields(data):
        if number == 2:  # noqa: PLR2004 - `Expr.id`.
            node.id = _int(value)
        else:
            node.kind = number
            _READERS[number](node, _bytes(value), depth + 1)
    return node


def _read_const(node: Node, data: bytes, _depth: int) -> None:
    for number, value in _fields(data):
        node.const_field, node.const = number, value


def _read_ident(node: Node, data: bytes, _depth: int) -> None:
    node.name = "".join(_text(value) for _, value in _fields(data))


def _read_select(node: Node, data: bytes, depth: int) -> None:
    for number, value in _fields(data):
        match number:
            case 1:
                node.children.append(_node(_bytes(value), depth))
            case 2:
                node.name = _text(value)
            case 3:
                node.test_only = bool(value)


def _read_call(node: Node, data: bytes, depth: int) -> None:
    for number, value in _fields(data):
        match number:
            case 1:
                node.children.insert(0, _node(_bytes(value), depth))
                node.has_target = True
            case 2:
                node.name = _text(value)
            case 3:
                node.children.append(_node(_bytes(value), depth))


def _read_list(node: Node, data: bytes, depth: int) -> None:
    for number, value in _fields(data):
        if number == 1:
            node.children.append(_node(_bytes(value), depth))
        elif isinstance(value, int):
            node.optional += (value,)
        else:
            at = 0
            while at < len(value):
                index, at = _varint(value, at)
                node.optional += (index,)


def _read_struct(node: Node, data: bytes, depth: int) -> None:
    for number, value in _fields(data):
        if number == 1:
            node.name = _text(value)
            continue
        key, item = Node(0, Kind.CONST), Node(0, Kind.CONST)
        for sub, part in _fields(_bytes(value)):
            match sub:
                case 3:
                    key = _node(_bytes(part), depth)
                case 4:
                    item = _node(_bytes(part), depth)
                case 5:
                    node.optional += (len(node.children) // 2,)
        node.children += (key, item)


def _read_comprehension(node: Node, data: bytes, depth: int) -> None:
    parts: dict[int, Node] = {}
    for number, value in _fields(data):
        match number:
            case 1:
                node.iter_var = _text(value)
            case 3:
                node.accu_var = _text(value)
            case 8:
                node.iter_var2 = _text(value)
            case _:
                parts[number] = _node(_bytes(value), depth)
    node.children = [parts[number] for number in _COMPREHENSION]


# Range, initial value, condition, step and result.
_COMPREHENSION = (2, 4, 5, 6, 7)
_READERS = {
    Kind.CONST: _read_const,
    Kind.IDENT: _read_ident,
    Kind.SELECT: _read_select,
    Kind.CALL: _read_call,
    Kind.LIST: _read_list,
    Kind.STRUCT: _read_struct,
    Kind.COMPREHENSION: _read_comprehension,
}


def decode(data: bytes) -> Checked:
    """Read a `CheckedExpr`; raises DepthError where it is nested too deeply."""
    checked = Checked(Node(0, 0), {}, {}, {})
    message = b"".join(_bytes(value) for number, value in _fields(data) if number == 2)  # noqa: PLR2004 - `Any.value`.
    for number, value in _fields(message):
        if number == 4:  # noqa: PLR2004 - `CheckedExpr.expr`.
            checked.root = _node(_bytes(value), 0)
        elif number in {2, 3}:
            key, entry = 0, b""
            for sub, part in _fields(_bytes(value)):
                if sub == 1:
                    key = _int(part)
                else:
                    entry = _bytes(part)
            if number == 3:  # noqa: PLR2004 - `CheckedExpr.type_map`.
                checked.types[key] = _type(entry)
                continue
            for sub, part in _fields(entry):
                if sub == 1:
                    checked.names[key] = _text(part)
                elif sub == 3:  # noqa: PLR2004 - `Reference.overload_id`.
                    checked.overloads[key] = (
                        *checked.overloads.get(key, ()),
                        _text(part),
                    )
    return checked


def _put_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a group.
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _put(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _put_varint(number << 3) + _put_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _put_varint(number << 3 | _BYTES) + _put_varint(len(data)) + data


def _put_const(node: Node) -> bytes:
    # `double` is the only constant of fixed width.
    if node.const_field == 5:  # noqa: PLR2004
        return _put_varint(node.const_field << 3 | _FIXED64) + _bytes(node.const)
    return _put(node.const_field, node.const)


def _put_node(node: Node) -> bytes:
    children = [_put_node(child) for child in node.children]
    match node.kind:
        case Kind.CONST:
            body = _put_const(node)
        case Kind.IDENT:
            body = _put(1, node.name)
        case Kind.SELECT:
            body = _put(1, children[0]) + _put(2, node.name)
            body += _TRUE if node.test_only else b""
        case Kind.CALL:
            body = _put(2, node.name)
            if node.has_target:
                body = _put(1, children.pop(0)) + body
            body += b"".join(_put(3, child) for child in children)
        case Kind.LIST:
            body = b"".join(_put(1, child) for child in children)
            packed = b"".join(_put_varint(index) for index in node.optional)
            body += _put(2, packed) if packed else b""
        case Kind.STRUCT:
            body = b""
            for index in range(0, len(children), 2):
                entry = _put(3, children[index]) + _put(4, children[index + 1])
                # An identity that no other node has: positions are not written.
                entry = _put(1, node.id * 1000 + index + 1_000_000) + entry
                entry += _put(5, 1) if index // 2 in node.optional else b""
                body += _put(2, entry)
        case _:
            body = _put(1, node.iter_var) + _put(3, node.accu_var)
            for number, child in zip(_COMPREHENSION, children, strict=True):
                body += _put(number, child)
    return _put(2, node.id) + _put(node.kind, body)


def encode(root: Node) -> bytes:
    """Write a `CheckedExpr` of the expression alone, without types."""
    return _put(1, _URL) + _put(2, _put(4, _put_node(root)))
