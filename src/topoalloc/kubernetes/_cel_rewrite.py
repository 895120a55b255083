# SPDX-License-Identifier: Apache-2.0
"""Give a checked selector Kubernetes' meaning, and collect what it reads.

Three rules of Kubernetes are not the library's: a domain that a device lacks is an
empty map, a version or quantity is neither a list nor a string nor bytes, and the
elements of a literal have one type. The first two rewrite the expression; the third
refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from topoalloc.kubernetes._cel_types import MARK
from topoalloc.kubernetes._cel_wire import Checked, Kind, Node

__all__ = ["ALLOW", "ATTRIBUTES", "CAPACITY", "DRIVER", "RefusedError", "rewrite"]

DRIVER = "device.driver"
ATTRIBUTES = "device.attributes"
CAPACITY = "device.capacity"
ALLOW = "device.allowMultipleAllocations"

_MAPS = (ATTRIBUTES, CAPACITY)
_INDEX, _OPTIONAL = "_[_]", {"_[?_]", "_?._"}
# Operators that bytes have and Kubernetes' values have not.
_OF_BYTES = {"_<_", "_<=_", "_>_", "_>=_", "_+_", "string"}
_BOOL, _BYTES, _STRING = 2, 7, 6
_OPTIONAL_TYPE = "optional_type("
_NESTED = _OPTIONAL_TYPE * 2

# A map of the device: its variable, and the domain that is chosen ("": not constant).
Place = tuple[str, str | None]


class RefusedError(ValueError):
    """The expression is refused: the message says why."""


@dataclass
class _Walk:
    checked: Checked
    names: set[str] = field(default_factory=set)
    places: set[tuple[str, str | None, str | None]] = field(default_factory=set)
    last_id: int = 0

    def resolve(self, node: Node, scope: dict[str, Place | None]) -> Place | None:
        """Say which map of the device an expression is, None where it is none."""
        if node.kind == Kind.IDENT:
            if node.name in scope:
                return scope[node.name]
            return (node.name, None) if node.name in _MAPS else None
        key: str | None = None
        if node.kind == Kind.SELECT and not node.test_only:
            key = node.name
        elif node.kind == Kind.CALL and node.name == _INDEX:
            key = node.children[1].text or ""
        else:
            return None
        base = self.resolve(node.children[0], scope)
        return (base[0], key) if base and base[1] is None else None

    def new(self, kind: int, **values: object) -> Node:
        """Make a node with an identity that no other node has."""
        self.last_id += 1
        node = Node(self.last_id, kind)
        for name, value in values.items():
            setattr(node, name, value)
        return node

    def call(self, name: str, *arguments: Node) -> Node:
        """Make a call of a global function."""
        return self.new(Kind.CALL, name=name, children=list(arguments))

    def in_domain(self, node: Node, scope: dict[str, Place | None]) -> Node:
        """Write a map of the device so that an unknown domain is an empty map."""
        if node.kind == Kind.IDENT:
            return node
        outer = node.children[0]
        if node.kind == Kind.SELECT:
            key = self.new(Kind.CONST, const_field=_STRING, const=node.name.encode())
        else:
            key = self.visit(node.children[1], scope)
        return self.call(
            "_?_:_",
            self.call("@in", key, outer),
            self.call(_INDEX, outer, key),
            self.new(Kind.STRUCT),
        )

    def read(self, place: Place, key: str | None) -> None:
        """Record a read; None and "" stand for any domain or any identifier."""
        self.places.add((place[0], place[1] or None, key or None))

    def visit(self, node: Node, scope: dict[str, Place | None]) -> Node:
        """Return the expression as the library is to run it."""
        place = self.resolve(node, scope)
        if place is not None:
            if place[1] is None:
                message = (
                    f"{place[0]}: used as a value, want it indexed by a domain, "
                    "iterated, measured by size(), searched by `in` or bound by "
                    "cel.bind"
                )
                raise RefusedError(message)
            self.read(place, None)
            return self.in_domain(node, scope)
        match node.kind:
            case Kind.IDENT:
                if node.name in {DRIVER, ALLOW}:
                    self.names.add(node.name)
                elif self.checked.names.get(node.id) == "bytes":
                    message = "bytes: no device has such a value, want another type"
                    raise RefusedError(message)
            case Kind.CONST:
                self.constant(node)
            case Kind.SELECT:
                return self.select(node, scope)
            case Kind.CALL:
                return self.visit_call(node, scope)
            case Kind.LIST | Kind.STRUCT:
                self.homogeneous(node)
                node.children = [self.visit(child, scope) for child in node.children]
            case Kind.COMPREHENSION:
                self.comprehension(node, scope)
        return node

    def constant(self, node: Node) -> None:
        """Refuse what could be taken for a version or quantity."""
        if node.const_field == _BYTES and MARK in bytes(node.const or b""):
            message = "bytes literal: it has the mark of a version or quantity"
            raise RefusedError(message)

    def homogeneous(self, node: Node) -> None:
        """Refuse a literal of several types, as Kubernetes does."""
        if node.name:
            message = f"{node.name}: a message, want a bool, number, string or version"
            raise RefusedError(message)
        columns = [node.children]
        if node.kind == Kind.STRUCT:
            columns = [node.children[::2], node.children[1::2]]
        for column in columns:
            types = {_element(self.checked, child) for child in column}
            types = {kind for kind in types if "dyn" not in kind and kind != "null"}
            if len(types) > 1:
                message = f"literal of {' and '.join(sorted(types))}, want one type"
                raise RefusedError(message)

    def select(self, node: Node, scope: dict[str, Place | None]) -> Node:
        """Rewrite `a.b` and `has(a.b)`."""
        operand = node.children[0]
        base = self.resolve(operand, scope)
        if base is None:
            node.children = [self.visit(operand, scope)]
        elif base[1] is None:
            # Each domain is there, if only as an empty map.
            return self.new(Kind.CONST, const_field=_BOOL, const=1)
        else:
            self.read(base, node.name)
            node.children = [self.in_domain(operand, scope)]
        return node

    def visit_call(  # noqa: PLR0912 - one case a function.
        self, node: Node, scope: dict[str, Place | None]
    ) -> Node:
        """Rewrite an operator or a function."""
        first = node.children[0] if node.children else None
        base = self.resolve(first, scope) if first is not None else None
        if base is not None and first is not None:
            if node.name in _OPTIONAL and base[1] is None:
                key = node.children[1]
                self.read((base[0], key.text), None)
                index = self.new(Kind.CALL, name=_INDEX, children=[first, key])
                return self.call("optional.of", self.in_domain(index, scope))
            if node.name == _INDEX or node.name in _OPTIONAL:
                self.read(base, node.children[1].text)
                rest = [self.visit(child, scope) for child in node.children[1:]]
                node.children = [self.in_domain(first, scope), *rest]
                return node
            if node.name == "size":
                self.read(base, None)
                node.children = [self.in_domain(first, scope)]
                return node
        if node.name == "@in":
            base = self.resolve(node.children[1], scope)
            if base is not None:
                key = node.children[0]
                if base[1] is None:
                    self.read((base[0], key.text), None)
                else:
                    self.read(base, key.text)
                node.children = [
                    self.visit(key, scope),
                    self.in_domain(node.children[1], scope),
                ]
                return node
        types = [self.checked.types.get(child.id, "dyn") for child in node.children]
        node.children = [self.visit(child, scope) for child in node.children]
        if node.name in {"indexOf", "lastIndexOf"}:
            if types[0] != "string" and len(types) == 2:  # noqa: PLR2004
                node.name, node.has_target = "@" + node.name, False
        elif types and all(kind == "dyn" for kind in types):
            if node.name == "size":
                node.name, node.has_target = "@size", False
            elif node.name in _OF_BYTES:
                node.children[0] = self.call("@plain", node.children[0])
        return node

    def comprehension(self, node: Node, scope: dict[str, Place | None]) -> None:
        """Rewrite a macro; what cel.bind binds to a map of the device stays known."""
        span, start, condition, step, result = node.children
        outer = self.resolve(span, scope)
        if outer is not None:
            self.read(outer, None)
        span = self.in_domain(span, scope) if outer else self.visit(span, scope)
        bound = self.resolve(start, scope)
        start = self.in_domain(start, scope) if bound else self.visit(start, scope)
        if not bound:
            inner = {**scope, node.iter_var: None, node.accu_var: None}
            condition, step = self.visit(condition, inner), self.visit(step, inner)
        # The step of cel.bind never runs: its range is empty.
        result = self.visit(result, {**scope, node.accu_var: bound})
        node.children = [span, start, condition, step, result]


def _element(checked: Checked, node: Node) -> str:
    """Return the type of an element, without the optional around it."""
    kind = checked.types.get(node.id, "dyn")
    inner = kind.removeprefix(_OPTIONAL_TYPE)
    return kind if inner == kind else inner.removesuffix(")")


def _keep_optionals_in_sight(checked: Checked, node: Node) -> None:
    """Refuse optionals where their type is lost; the library crashes on some of them.

    It cannot hand a list or map that holds one to Python, nor one as a result.
    """
    children = node.children
    if node.kind == Kind.LIST:
        children = [
            child for at, child in enumerate(children) if at not in node.optional
        ]
    elif node.kind == Kind.STRUCT:
        children = [
            child
            for at, child in enumerate(children)
            if at % 2 == 0 or at // 2 not in node.optional
        ]
    kind = checked.types.get(node.id, "dyn")
    loses = node.kind in {Kind.LIST, Kind.STRUCT} or kind.startswith(_NESTED)
    if node.name == "orValue":
        children = children[1:]
    loses |= node.name in {"dyn", "_?_:_", "orValue"} and kind == "dyn"
    if loses and any(_is_optional(checked, child) for child in children):
        message = (
            "optional: in a list, a map, an optional or an unknown type, want its value"
        )
        raise RefusedError(message)
    for child in node.children:
        _keep_optionals_in_sight(checked, child)


def _is_optional(checked: Checked, node: Node) -> bool:
    return checked.types.get(node.id, "dyn").startswith(_OPTIONAL_TYPE)


def _largest_id(node: Node) -> int:
    return max([node.id, *map(_largest_id, node.children)])


def rewrite(
    checked: Checked,
) -> tuple[Node, set[str], set[tuple[str, str | None, str | None]]]:
    """Return the expression to run, the variables and the (map, domain, id) it reads.

    Raises RefusedError.
    """
    _keep_optionals_in_sight(checked, checked.root)
    walk = _Walk(checked, last_id=_largest_id(checked.root))
    root = walk.visit(checked.root, {})
    return root, walk.names, walk.places
