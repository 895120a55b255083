# SPDX-License-Identifier: Apache-2.0
"""Estimate the worst cost of a selector, as the API server does to admit one.

The units are CEL's: one for an operation, a tenth for a character that is traversed.
The sizes are the largest that a device can have. The constants are those of cel-go's
checker and of Kubernetes' function library, `apiserver/pkg/cel/library`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from topoalloc.kubernetes._cel_types import QUANTITY, SEMVER
from topoalloc.kubernetes._cel_wire import Checked, Kind, Node

__all__ = ["MANY", "MAX_COST", "SCALARS", "Costs", "estimate", "is_bind"]

MAX_COST = 1_000_000
"""What an estimate may be at most: `CELSelectorExpressionMaxCost` of resource/v1."""

MANY = 2**64 - 1
"""The largest cost and size; what is not bounded."""

SCALARS = {"bool", "int", "uint", "double", "timestamp", "duration"}

_LIST, _MAP, _MESSAGE = 10, 30, 40
_TRAVERSAL, _REGEX = 0.1, 0.25
# The limits of resource/v1: a domain, an identifier, an attribute's value, a driver's
# name, attributes and capacities of a device, values that `includes` searches.
_DOMAIN, _ID, _VALUE, _DRIVER, _ENTRIES, _INCLUDES = 63, 32, 64, 63, 32, 48

Size = tuple[int, int]
Path = tuple[str, ...]
_UNKNOWN: Size = (0, MANY)
_COMPARED = {
    f"{name}_{kind}"
    for name in ("less", "greater", "less_equals", "greater_equals")
    for kind in ("string", "bytes")
} | {"equals", "not_equals"}
_ONE = {
    "sign", "asInteger", "isInteger", "asApproximateFloat",
    "isGreaterThan", "isLessThan", "compareTo", "add", "sub",
    "major", "minor", "patch",
}  # fmt: skip


def _times(left: int, right: int) -> int:
    return min(left * right, MANY)


def _scaled(size: int, factor: float) -> int:
    return MANY if size >= MANY else min(math.ceil(size * factor), MANY)


def _plus(left: Size, right: Size) -> Size:
    return min(left[0] + right[0], MANY), min(left[1] + right[1], MANY)


def _union(left: Size, right: Size) -> Size:
    return min(left[0], right[0]), max(left[1], right[1])


def _device_size(path: Path) -> Size | None:  # noqa: PLR0911 - a table.
    """Return the largest size of what stands at a path below `device`."""
    if path[:1] != ("device",):
        return None
    match path[1:]:
        case ("driver",):
            return 0, _DRIVER
        case ("attributes" | "capacity",):
            return 0, _ENTRIES
        case ("attributes" | "capacity", "@keys"):
            return 0, _DOMAIN
        case ("attributes" | "capacity", "@values"):
            return 0, _ENTRIES
        case ("attributes" | "capacity", "@values", "@keys"):
            return 0, _ID
        case ("attributes", "@values", _):
            return 0, _VALUE
    return None


@dataclass
class _Local:
    path: Path
    size: Size | None


@dataclass
class Costs:
    """What `estimate` found.

    `sizes` holds the least and the largest size of the nodes whose size is known,
    `spans` the largest size of what a comprehension goes through; both by node.
    """

    cost: int
    sizes: dict[int, Size]
    spans: dict[int, int]


@dataclass
class _Coster:
    checked: Checked
    paths: dict[int, Path] = field(default_factory=dict)
    sizes: dict[int, Size] = field(default_factory=dict)
    # Sizes of keys and values of a literal, by node.
    entries: dict[int, tuple[Size, Size]] = field(default_factory=dict)
    scopes: dict[str, list[_Local]] = field(default_factory=dict)
    spans: dict[int, int] = field(default_factory=dict)

    def kind(self, node: Node) -> str:
        return self.checked.types.get(node.id, "dyn")

    def local(self, node: Node) -> _Local | None:
        stack = self.scopes.get(node.name) if node.kind == Kind.IDENT else None
        return stack[-1] if stack else None

    def path(self, node: Node) -> Path:
        local = self.local(node)
        return local.path if local else self.paths.get(node.id, ())

    def size(self, node: Node) -> Size:
        return self.known_size(node) or _UNKNOWN

    def known_size(self, node: Node) -> Size | None:
        if node.id in self.sizes:
            return self.sizes[node.id]
        match node.kind:
            case Kind.CONST:
                text = node.text
                if text is not None:
                    return len(text), len(text)
                count = len(node.const) if isinstance(node.const, bytes) else 1
                count = count if node.const_field == 7 else 1  # noqa: PLR2004 - bytes.
                return count, count
            case Kind.LIST:
                return len(node.children), len(node.children)
            case Kind.STRUCT if not node.name:
                return len(node.children) // 2, len(node.children) // 2
        found = _device_size(self.path(node))
        if found is None and self.kind(node) in SCALARS:
            found = (1, 1)
        local = self.local(node)
        if found is None and local is not None:
            found = local.size
        return found

    def cost(self, node: Node) -> Size:
        """Return the cost of a node with all below it."""
        match node.kind:
            case Kind.CONST:
                return 0, 0
            case Kind.IDENT:
                return self.ident(node)
            case Kind.SELECT:
                return self.select(node)
            case Kind.CALL:
                return self.call(node)
            case Kind.COMPREHENSION:
                return self.comprehension(node)
        return self.literal(node)

    def ident(self, node: Node) -> Size:
        local = self.local(node)
        if local is not None:
            self.paths[node.id] = local.path
            return 1, 1
        parts = tuple(node.name.split("."))
        self.paths[node.id] = parts
        # A variable and each field of it: the library folds `device.driver` into one.
        return (len(parts), len(parts)) if parts[0] == "device" else (1, 1)

    def select(self, node: Node) -> Size:
        operand = node.children[0]
        total = self.cost(operand)
        if node.test_only:
            # Kubernetes charges nothing for `has`.
            return total
        if self.kind(operand).startswith("map("):
            total = _plus(total, (1, 1))
        path = self.path(operand)
        if path[:1] == ("device",):
            # The sizes of an attribute do not depend on its name.
            self.paths[node.id] = (*path, "@values")
        return total

    def literal(self, node: Node) -> Size:
        total = (0, 0)
        for child in node.children:
            total = _plus(total, self.cost(child))
        if node.kind == Kind.LIST:
            columns, base = [[], node.children], _LIST
        else:
            columns = [node.children[::2], node.children[1::2]]
            base = _MESSAGE if node.name else _MAP
        spans: list[Size] = []
        for column in columns:
            sizes = [self.size(child) for child in column]
            spans.append(
                (min(low for low, _ in sizes), max(high for _, high in sizes))
                if sizes
                else (0, 0)
            )
        self.entries[node.id] = spans[0], spans[1]
        return _plus(total, (base, base))

    def push(self, name: str, local: _Local) -> None:
        self.scopes.setdefault(name, []).append(local)

    def comprehension(self, node: Node) -> Size:
        span, start, condition, step, result = node.children
        total = _plus(self.cost(span), self.cost(start))
        self.push(node.accu_var, _Local(self.path(start), self.known_size(start)))
        if is_bind(node):
            total = _plus(total, self.cost(result))
            self.scopes[node.accu_var].pop()
            self.copy_size(node, result)
            return total
        is_list = self.kind(span).startswith("list(") or span.kind == Kind.LIST
        entry = self.entries.get(span.id)
        size = None if entry is None else entry[1] if is_list else entry[0]
        path = self.path(span)
        below = (*path, "@items" if is_list else "@keys") if path else ()
        self.push(node.iter_var, _Local(below, size))
        loop = _plus(self.cost(condition), self.cost(step))
        self.scopes[node.iter_var].pop()
        total = _plus(total, self.cost(result))
        self.scopes[node.accu_var].pop()
        count = self.size(span)
        self.spans[node.id] = count[1]
        total = _plus(total, (_times(count[0], loop[0]), _times(count[1], loop[1])))
        if start.kind == Kind.CONST:
            self.sizes[node.id] = self.size(start)
        elif start.kind in {Kind.LIST, Kind.STRUCT}:
            self.sizes[node.id] = count
            if step.id in self.entries:
                self.entries[node.id] = self.entries[step.id]
        return total

    def copy_size(self, node: Node, source: Node) -> None:
        size = self.known_size(source)
        if size is not None:
            self.sizes[node.id] = size
        if source.id in self.entries:
            self.entries[node.id] = self.entries[source.id]

    def call(self, node: Node) -> Size:
        costs = [self.cost(child) for child in node.children]
        if node.name == "dyn":
            self.copy_size(node, node.children[0])
            return _plus(costs[0], (1, 1))
        total = (0, 0)
        for cost in costs:
            total = _plus(total, cost)
        overloads = self.checked.overloads.get(node.id, ())
        own: Size | None = None
        size: Size | None = None
        for overload in overloads:
            cost, result = self.function(node, overload)
            own = cost if own is None else _union(own, cost)
            if result is not None:
                size = result if size is None else _union(size, result)
            if overload in {"index_list", "index_map"}:
                self.index(node, overload)
        if size is not None:
            self.sizes[node.id] = size
        if node.name in {"_&&_", "_||_"}:
            return costs[0][0], total[1]
        if node.name == "_?_:_":
            return _plus(costs[0], _union(costs[1], costs[2]))
        return _plus(total, own or (1, 1))

    def index(self, node: Node, overload: str) -> None:
        operand = node.children[0]
        if operand.id in self.entries:
            self.sizes[node.id] = self.entries[operand.id][1]
        path = self.path(operand)
        if path:
            below = "@items" if overload == "index_list" else "@values"
            self.paths[node.id] = (*path, below)

    def function(  # noqa: PLR0911 - a table.
        self, node: Node, overload: str
    ) -> tuple[Size, Size | None]:
        """Return the cost of the call itself and the size of its result."""
        sizes = [self.size(child) for child in node.children]
        if node.has_target or node.name.startswith("sets."):
            special = self.library(node, sizes)
            if special is not None:
                return special
        kinds = {self.kind(child) for child in node.children}
        if node.name == "_==_" and kinds in ({QUANTITY}, {SEMVER}):
            return (1, 1), None
        if overload in {"starts_with_string", "ends_with_string"}:
            return _traversed(sizes[-1]), None
        if overload == "in_list":
            return sizes[1], None
        if overload in {"matches_string", "contains_string"} and len(sizes) > 1:
            return self.search(overload, sizes), None
        if overload == "conditional":
            return (0, 0), _union(sizes[1], sizes[2])
        if overload in {"add_string", "add_bytes", "add_list"}:
            size = _plus(sizes[0], sizes[1])
            self.join_entries(node)
            return ((1, 1) if overload == "add_list" else _traversed(size)), size
        if overload in _COMPARED:
            small = min(sizes[0][1], sizes[1][1])
            return _traversed((min(1, small), small)), None
        if overload == "string_to_bytes":
            return _traversed(sizes[0]), (sizes[0][0], _times(sizes[0][1], 4))
        if overload == "bytes_to_string":
            return _traversed(sizes[0]), (sizes[0][0] // 4, sizes[0][1])
        if node.name == "strings.quote":
            high = min(_times(sizes[0][1], 2) + 2, MANY)
            return _traversed(sizes[0]), (sizes[0][0] + 2, high)
        return (1, 1), None

    def join_entries(self, node: Node) -> None:
        pairs = [self.entries.get(child.id) for child in node.children]
        if pairs[0] and pairs[1]:
            self.entries[node.id] = (
                _union(pairs[0][0], pairs[1][0]),
                _union(pairs[0][1], pairs[1][1]),
            )

    def search(self, overload: str, sizes: list[Size]) -> Size:
        if overload == "contains_string":
            left, right = _traversed(sizes[0]), _traversed(sizes[1])
        else:
            left = _traversed(_plus(sizes[0], (1, 1)))
            right = _scaled(sizes[1][0], _REGEX), _scaled(sizes[1][1], _REGEX)
        return _times(left[0], right[0]), _times(left[1], right[1])

    def library(  # noqa: PLR0911, PLR0912 - a table.
        self, node: Node, sizes: list[Size]
    ) -> tuple[Size, Size | None] | None:
        """Return what Kubernetes' library says of a function, None where nothing."""
        target = sizes[0]
        match node.name:
            case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf":
                kind = self.kind(node.children[0])
                if not kind.startswith("list("):
                    return _traversed(target), None
                each = (1, 1)
                if kind in {"list(string)", "list(bytes)"}:
                    each = (1, MANY)
                return (_times(target[0], each[0]), _times(target[1], each[1])), None
            case "lowerAscii" | "upperAscii" | "substring" | "trim":
                return _traversed(target), target
            case "replace" if len(sizes) > 2:  # noqa: PLR2004
                return _traversed(target, 2), _replaced(*sizes[:3])
            case "split":
                most = target[1]
                if len(sizes) > 2 and isinstance(node.children[2].const, int):  # noqa: PLR2004
                    most = node.children[2].const
                return _traversed(target, 2), (0, most)
            case "join":
                return _joined(sizes)
            case "find" | "findAll":
                return self.search("matches_string", sizes), (0, target[1])
            case "includes":
                return (_INCLUDES, _INCLUDES), None
            case "sets.contains" | "sets.intersects" | "sets.equivalent":
                factor = 2 if node.name.endswith("equivalent") else 1
                product = (
                    _times(_times(sizes[0][0], sizes[1][0]), factor),
                    _times(_times(sizes[0][1], sizes[1][1]), factor),
                )
                return _plus(product, (1, 1)), None
            case "format":
                return _traversed(target), _plus(target, sizes[1])
            case name if name in _ONE:
                return (1, 1), None
        return None


def _joined(sizes: list[Size]) -> tuple[Size, Size | None]:
    # The size of the elements is not known.
    count = sizes[0]
    size = 0, _times(count[1], MANY)
    if len(sizes) > 1:
        gaps = max(count[0] - 1, 0), max(count[1] - 1, 0)
        product = _times(sizes[1][0], gaps[0]), _times(sizes[1][1], gaps[1])
        size = _plus(size, product)
    return _traversed(size), size


def _traversed(size: Size, times: int = 1) -> Size:
    factor = times * _TRAVERSAL
    return _scaled(size[0], factor), _scaled(size[1], factor)


def _replaced(text: Size, old: Size, new: Size) -> Size:
    """Return the size of `text.replace(old, new)`; only the largest is exact."""
    if old[0] == 0:
        return 0, min(_times(text[1] + 1, new[1]) + text[1], MANY)
    if new[1] <= old[0]:
        return 0, text[1]
    return 0, _times(-(-text[1] // old[0]), new[1])


def is_bind(node: Node) -> bool:
    """Tell whether a comprehension is what `cel.bind` is made of."""
    span, _, condition, _, _ = node.children
    return (
        span.kind == Kind.LIST
        and not span.children
        and condition.kind == Kind.CONST
        and not condition.const
        and node.accu_var not in {"__result__", "@result"}
    )


def estimate(checked: Checked) -> Costs:
    """Estimate a checked expression, as it was before it is rewritten."""
    coster = _Coster(checked)
    cost = coster.cost(checked.root)[1]
    return Costs(cost, coster.sizes, coster.spans)
