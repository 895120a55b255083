# SPDX-License-Identifier: Apache-2.0
"""Selectors of devices: the CEL expressions of DeviceClasses and ResourceClaims.

An expression is checked with Kubernetes' types and functions, bounded by its static
cost and run by Google's CEL for C++. Where that library differs, it is rewritten: an
unknown domain is an empty map. Answers are kept by the values that it reads.

Refused when it is compiled, though Kubernetes takes it: macros of two variables; an
order between numbers of two types that are both known (`1 < 1.5`); `find`, `findAll`,
URLs, IP addresses, CIDRs and named formats; lists, maps and optionals of optionals;
`device` by itself; `has(device.x)`, which
is always true; `device.attributes` and `device.capacity` as values of their own;
parentheses and calls in each other more than 32 deep; what is beyond `MAX_ITEMS` or
`MAX_WORK`. Refused when it runs: more than 10,000 iterations.

Different: `isInteger` and `asInteger` of a whole quantity that is written with a
fraction (`1.0`, `1.5Gi`), or has more digits than Kubernetes keeps as an integer
(`100Ti`), give the integer, where Kubernetes says no; `type()` of a version is bytes.
"""

from __future__ import annotations

import functools
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from topoalloc._errors import FormatError, InvalidRequestError, TopoallocError
from topoalloc.kubernetes._cel_bounds import MAX_ITEMS, MAX_WORK, measure
from topoalloc.kubernetes._cel_cost import MAX_COST, estimate
from topoalloc.kubernetes._cel_device import Device
from topoalloc.kubernetes._cel_library import Compiled, checker, runner
from topoalloc.kubernetes._cel_rewrite import (
    ALLOW,
    ATTRIBUTES,
    CAPACITY,
    DRIVER,
    RefusedError,
    rewrite,
)
from topoalloc.kubernetes._cel_wire import DepthError, decode, encode

__all__ = [
    "MAX_BYTES",
    "SEMANTICS",
    "Reads",
    "Selector",
    "SelectorError",
    "SelectorRuntimeError",
]

MAX_BYTES: Final = 10 * 1024
"""Longest expression, in bytes of UTF-8."""

SEMANTICS: Final = ("1.34", "1.35", "1.36", "1.37")
"""Versions of Kubernetes whose meaning a Selector can have; lists came with 1.36."""

_WITHOUT_LISTS = {"1.34", "1.35"}
_MAX_CACHED = 4096
_MAX_PROGRAMS = 1024
_MAX_SHOWN = 200
_MAX_EXPANDED = 2**16
# The parser writes what stands before one of them twice.
_DOUBLES = re.compile(r"opt(?:Flat)?Map")
_HAS_FIELD = re.compile(r"\bhas\s*\(\s*device\s*\.\s*\w+\s*\)")
# What the library puts around its messages.
_CODE = re.compile(
    r"^(?:INVALID_ARGUMENT|UNKNOWN|NOT_FOUND|OUT_OF_RANGE|CANCELLED): "
    r"| \[[A-Z_]+\]$"
)
_HINTS = {
    "device": "device is no value of its own here, want one of its fields",
    **dict.fromkeys(
        ("all", "exists", "existsOne", "transformList", "transformMap",
         "transformMapEntry"),
        "macros of two variables are not supported",
    ),
    **dict.fromkeys(
        ("find", "findAll", "url", "isURL", "ip", "isIP", "cidr", "isCIDR"),
        "this function of Kubernetes is not supported",
    ),
}  # fmt: skip
_UNDECLARED = re.compile(rf"undeclared reference to '({'|'.join(_HINTS)})'")


Place = tuple[str | None, str | None]


_KINDS = {"bytes": "bytes, a version or a quantity", "*opaque*": "an optional"}


class SelectorError(FormatError):
    """The expression cannot be a selector; the message says what is wrong and where."""


class SelectorRuntimeError(TopoallocError, RuntimeError):
    """The expression failed on a device, which fails the whole allocation."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a selector reads of a device.

    Parameters
    ----------
    attributes, capacities : frozenset of (str or None, str or None)
        Domain and identifier; None stands for any.
    driver, allow_multiple_allocations : bool
        Whether it reads them.
    """

    attributes: frozenset[Place]
    capacities: frozenset[Place]
    driver: bool
    allow_multiple_allocations: bool


class Selector:
    """A CEL expression that says which devices match.

    It is immutable and safe from many threads. Selectors of one expression share what
    was compiled and the answers that are known.

    Parameters
    ----------
    expression : str
        The expression, at most `MAX_BYTES` long.
    semantics : str, optional
        The version of Kubernetes whose meaning it has, one of `SEMANTICS`.
    path : str, optional
        Where it stands; errors begin with it.

    Raises
    ------
    SelectorError
        It does not parse, has wrong types, is too costly or cannot be run.
    InvalidRequestError
        `semantics` is not known, or the expression is no string.
    MissingExtraError
        The package cel-expr-python is not installed.
    """

    __slots__ = ("_expression", "_name", "_program", "_semantics")

    def __init__(
        self, expression: str, semantics: str = "1.37", *, path: str = ""
    ) -> None:
        if semantics not in SEMANTICS:
            message = f"semantics: {semantics!r}, want one of {', '.join(SEMANTICS)}"
            raise InvalidRequestError(message)
        if not isinstance(expression, str):
            message = f"{path or 'expression'}: {type(expression).__name__}, want str"
            raise InvalidRequestError(message)
        self._expression = expression
        self._semantics = semantics
        self._name = f"{path}: {_shown(expression)}" if path else _shown(expression)
        try:
            self._program = _program(expression, lists=semantics not in _WITHOUT_LISTS)
        except RefusedError as error:
            message = f"{self._name}: {error}"
            raise SelectorError(message) from None

    @property
    def expression(self) -> str:
        """The expression, as given."""
        return self._expression

    @property
    def semantics(self) -> str:
        """The version of Kubernetes whose meaning it has."""
        return self._semantics

    @property
    def reads(self) -> Reads:
        """What the expression reads."""
        return self._program.reads

    @property
    def cost(self) -> int:
        """The static estimate of the worst cost, at most 1,000,000."""
        return self._program.cost

    def __repr__(self) -> str:
        """Return the expression with its semantics."""
        return f"Selector({_shown(self._expression)}, semantics={self._semantics!r})"

    def matches(self, device: Device) -> bool:
        """Tell whether a device matches.

        Parameters
        ----------
        device : Device
            What the expression sees.

        Returns
        -------
        bool
            What the expression comes to.

        Raises
        ------
        SelectorRuntimeError
            A missing attribute, a value of the wrong type, a result that is no bool, or
            an attribute with a list before 1.36.
        """
        answer = self._program.answer(device)
        if isinstance(answer, str):
            message = f"{self._name}: {answer}"
            raise SelectorRuntimeError(message)
        return answer


@functools.lru_cache(_MAX_PROGRAMS)
def _program(expression: str, *, lists: bool) -> _Program:
    """Compile an expression; raises RefusedError."""
    _check_text(expression)
    try:
        compiled = checker(lists=lists).compile(expression)
        checked = decode(compiled.serialize())
    except DepthError as error:
        raise RefusedError(str(error)) from None
    except (RuntimeError, UnicodeDecodeError) as error:
        raise RefusedError(_cause(error)) from None
    result = checked.types.get(checked.root.id, "dyn")
    if result not in {"bool", "dyn"}:
        message = f"must evaluate to bool or the unknown type, not {result}"
        raise RefusedError(message)
    costs = estimate(checked)
    if costs.cost > MAX_COST:
        message = f"too complex: estimated cost {costs.cost}, limit {MAX_COST}"
        raise RefusedError(message)
    items, work = measure(checked, costs)
    if items > MAX_ITEMS:
        message = f"too large: a value of up to {items} items, limit {MAX_ITEMS}"
        raise RefusedError(message)
    if work > MAX_WORK:
        message = f"too long: up to {work} steps to evaluate it, limit {MAX_WORK}"
        raise RefusedError(message)
    root, names, places = rewrite(checked)
    reads = Reads(
        frozenset(place[1:] for place in places if place[0] == ATTRIBUTES),
        frozenset(place[1:] for place in places if place[0] == CAPACITY),
        DRIVER in names,
        ALLOW in names,
    )
    return _Program(runner().deserialize(encode(root)), costs.cost, reads, lists)


def _check_text(expression: str) -> None:
    try:
        size = len(expression.encode())
    except UnicodeEncodeError as error:
        message = f"position {error.start}: not Unicode text"
        raise RefusedError(message) from None
    if size > MAX_BYTES:
        message = f"{size} bytes long, want at most {MAX_BYTES}"
        raise RefusedError(message)
    doubles = len(_DOUBLES.findall(expression))
    if size << doubles > _MAX_EXPANDED and doubles:
        message = f"too large: {doubles} times optMap or optFlatMap in {size} bytes"
        raise RefusedError(message)
    if "\0" in expression:
        message = f"position {expression.index(chr(0))}: a NUL character"
        raise RefusedError(message)
    found = _HAS_FIELD.search(expression)
    if found:
        message = (
            f"position {found.start()}: {found[0]} is always true, want it left out"
        )
        raise RefusedError(message)


@dataclass
class _Program:
    """A compiled expression with the answers that are known."""

    compiled: Compiled
    cost: int
    reads: Reads
    lists: bool
    cache: OrderedDict[object, bool | str] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, device: Device) -> bool | str:
        """Return the answer, or the cause of a failure."""
        if device._list_attribute and not self.lists:
            # Kubernetes fails on such a device, whatever the expression reads.
            return f"attribute {device._list_attribute}: a list, want a single value"
        key = self.key(device)
        with self.lock:
            known = self.cache.get(key)
            if known is not None:
                self.cache.move_to_end(key)
                return known
        known = self.evaluate(device)
        with self.lock:
            self.cache[key] = known
            if len(self.cache) > _MAX_CACHED:
                self.cache.popitem(last=False)
        return known

    def places(self) -> tuple[tuple[str, frozenset[Place]], ...]:
        """Return the maps of the device with what is read of each."""
        return (
            (ATTRIBUTES, self.reads.attributes),
            (CAPACITY, self.reads.capacities),
        )

    def key(self, device: Device) -> object:
        """Return what the answer depends on."""
        reads = self.reads
        parts: list[object] = []
        if reads.driver:
            parts.append(device.driver)
        if reads.allow_multiple_allocations:
            parts.append(device.allow_multiple_allocations)
        for name, places in self.places():
            domains = device._maps[name]
            for domain, id_ in places:
                if domain is None:
                    parts.append(_all_of(domains))
                elif id_ is None:
                    ids = domains.get(domain)
                    parts.append(None if ids is None else _all_of({domain: ids}))
                else:
                    ids = domains.get(domain, {})
                    parts.append(_typed(ids[id_]) if id_ in ids else None)
        return tuple(parts)

    def evaluate(self, device: Device) -> bool | str:
        """Return the answer, or the cause of a failure, from the library."""
        data: dict[str, object] = {
            DRIVER: device.driver,
            ALLOW: device.allow_multiple_allocations,
        }
        for name, places in self.places():
            wanted = {domain for domain, _ in places}
            data[name] = {
                domain: ids
                for domain, ids in device._maps[name].items()
                if domain in wanted or None in wanted
            }
        try:
            value = self.compiled.eval(data=data)
        except RuntimeError as error:
            return _cause(error)
        kind = value.type().name().lower()
        # A value of another kind is not looked at: the library crashes on some.
        if kind not in {"bool", "error"}:
            return f"result is {_KINDS.get(kind, kind)}, want bool"
        try:
            plain = value.plain_value()
        except TypeError:
            # The library quotes half a character.
            return "fails without a text"
        return plain if isinstance(plain, bool) else _cause(plain)


def _typed(value: object) -> object:
    """Return a key that tells True from 1."""
    if isinstance(value, list):
        return tuple(_typed(item) for item in value)
    return (type(value).__name__, value)


def _all_of(domains: Mapping[str, Mapping[str, object]]) -> object:
    return frozenset(
        (domain, id_, _typed(value))
        for domain, ids in domains.items()
        for id_, value in ids.items()
    )


def _cause(error: object) -> str:
    """Return the library's message on one line, without its pictures of the text."""
    lines = [
        _CODE.sub("", line).removeprefix("ERROR: <input>:")
        for line in str(error).splitlines()
        if not line.startswith(" |")
    ]
    text = "; ".join(dict.fromkeys(line for line in lines if line))
    if len(text) > 4 * _MAX_SHOWN:
        text = text[: 4 * _MAX_SHOWN] + "..."
    unknown = _UNDECLARED.search(text)
    return f"{text}: {_HINTS[unknown[1]]}" if unknown else text


def _shown(expression: str) -> str:
    if len(expression) > _MAX_SHOWN:
        expression = expression[:_MAX_SHOWN] + "..."
    return ascii(expression)
