# SPDX-License-Identifier: Apache-2.0
"""Semantic versions and quantities in CEL, and the functions that Kubernetes adds.

While it runs, such a value is a byte string with a mark in front: what no device has,
comparable for equality, and neither a list nor a map. The normal form makes equal
values equal bytes: a version without its build metadata, a quantity in nano units.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

__all__ = [
    "FUNCTIONS",
    "MARK",
    "QUANTITY",
    "SEMVER",
    "Function",
    "pack_quantity",
    "pack_semver",
    "parse_quantity",
    "quantity_nanos",
]

MARK = b"\xffk8s-"
SEMVER = "kubernetes.Semver"
QUANTITY = "kubernetes.Quantity"

_SEMVER_MARK = MARK + b"semver:"
_QUANTITY_MARK = MARK + b"quantity:"
_NANO = 10**9
_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1
_MAX_LENGTH = 256
_MAX_INCLUDES = 48

_IDENTIFIERS = r"(?:[0-9A-Za-z-]+)(?:\.[0-9A-Za-z-]+)*"
_SEMVER_PATTERN = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    rf"(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?"
)
_QUANTITY_PATTERN = re.compile(
    r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,9})?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0} | {
    letter: 3 * power for power, letter in enumerate("kMGTPE", start=1)
}
_BINARY = {f"{letter}i": 10 * power for power, letter in enumerate("KMGTPE", start=1)}
# Beyond it the value is capped, or is rounded up to one nano, whatever the digits.
_MAX_EXPONENT = 400


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")  # noqa: PLR2004


def parse_semver(text: str, normalize: bool = False) -> bytes:
    """Return the packed version; raises ValueError on what is none.

    As `semver(text, normalize)` of Kubernetes' semver library.
    """
    if len(text) > _MAX_LENGTH:
        message = f"not a semantic version: longer than {_MAX_LENGTH} characters"
        raise ValueError(message)
    found = _SEMVER_PATTERN.fullmatch(_normalized(text) if normalize else text)
    if found is None or any(int(part) > _UINT64_MAX for part in found.groups()[:3]):
        message = f"not a semantic version: {_quoted(text)}"
        raise ValueError(message)
    pre = found[4]
    for part in pre.split(".") if pre else ():
        if part.isdecimal() and part != "0" and part.startswith("0"):
            message = f"not a semantic version: {_quoted(text)}, leading zero in {part}"
            raise ValueError(message)
    text = ".".join(found.groups()[:3])
    return _SEMVER_MARK + (f"{text}-{pre}" if pre else text).encode()


def _normalized(text: str) -> str:
    """Drop a leading v and leading zeros, fill minor and patch with 0."""
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        stripped = part.lstrip("0")
        if len(part) > 1:
            parts[index] = stripped if stripped[:1].isdecimal() else "0" + stripped
    if len(parts) < 3 and not set("+-") & set(parts[-1]):  # noqa: PLR2004
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def parse_quantity(text: str) -> bytes:
    """Return the packed quantity; raises ValueError on what is none.

    As `resource.Quantity`: finer than one nano is rounded away from zero, more than
    2^63 - 1 is capped.
    """
    found = None
    if len(text) <= _MAX_LENGTH:
        found = _QUANTITY_PATTERN.fullmatch(text)
    if found is None:
        message = f"not a quantity: {_quoted(text)}"
        raise ValueError(message)
    sign, number, suffix = found[1], found[2], found[3] or ""
    value = Fraction(number if not number.endswith(".") else number[:-1])
    if suffix in _BINARY:
        value *= 1 << _BINARY[suffix]
    elif suffix in _DECIMAL:
        value *= _power(_DECIMAL[suffix])
    else:
        exponent = int(suffix[1:])
        exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, exponent))
        value *= _power(exponent)
    return pack_quantity(-value if sign == "-" else value)


def _power(exponent: int) -> Fraction:
    """Return a power of ten, exactly."""
    power = 10 ** abs(exponent)
    return Fraction(power) if exponent >= 0 else Fraction(1, power)


def pack_semver(version: str) -> bytes:
    """Return how the version attribute of a device looks inside an expression."""
    return parse_semver(version)


def pack_quantity(value: Fraction | int) -> bytes:
    """Return how an exact amount looks inside an expression."""
    nano = Fraction(value) * (-_NANO if value < 0 else _NANO)
    whole = min(-(-nano.numerator // nano.denominator), _INT64_MAX * _NANO)
    return _QUANTITY_MARK + str(-whole if value < 0 else whole).encode()


def quantity_nanos(value: object) -> int:
    """Return the billionths of a packed quantity."""
    data = bytes(value) if isinstance(value, (bytes, bytearray)) else b""
    if not data.startswith(_QUANTITY_MARK):
        raise _no_overload(value)
    return int(data[len(_QUANTITY_MARK) :])


def _semver_key(value: object) -> tuple[Any, ...]:
    """Return what orders versions by semver.org, section 11."""
    data = bytes(value) if isinstance(value, (bytes, bytearray)) else b""
    if not data.startswith(_SEMVER_MARK):
        raise _no_overload(value)
    core, _, pre = data[len(_SEMVER_MARK) :].decode().partition("-")
    parts = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in (pre.split(".") if pre else ())
    ]
    return (*map(int, core.split(".")), not pre, parts)


def _no_overload(value: object) -> ValueError:
    return ValueError(f"no such overload for {_kind(value)}")


def _kind(value: object) -> str:
    if isinstance(value, (bytes, bytearray)) and bytes(value).startswith(MARK):
        return "semver" if bytes(value).startswith(_SEMVER_MARK) else "quantity"
    return type(value).__name__


def _compare(left: bytes, right: bytes) -> int:
    keys: list[Any]
    if bytes(left).startswith(_SEMVER_MARK):
        keys = [_semver_key(left), _semver_key(right)]
    else:
        keys = [quantity_nanos(left), quantity_nanos(right)]
    return int(keys[0] > keys[1]) - int(keys[0] < keys[1])


def _is(parse: Callable[..., bytes]) -> Callable[..., bool]:
    def test(*arguments: object) -> bool:
        try:
            parse(*arguments)
        except ValueError:
            return False
        return True

    return test


def _part(index: int) -> Callable[[bytes], int]:
    def part(version: bytes) -> int:
        value: int = _semver_key(version)[index]
        return value

    return part


def _is_integer(quantity: bytes) -> bool:
    nano = quantity_nanos(quantity)
    return nano % _NANO == 0 and abs(nano) < _INT64_MAX * _NANO


def _as_integer(quantity: bytes) -> int:
    if not _is_integer(quantity):
        message = "cannot convert value to integer"
        raise ValueError(message)
    return quantity_nanos(quantity) // _NANO


def _sum_of(left: bytes, right: bytes | int, sign: int) -> bytes:
    other = right * _NANO if isinstance(right, int) else quantity_nanos(right)
    return pack_quantity(Fraction(quantity_nanos(left) + sign * other, _NANO))


def equal(left: object, right: object) -> bool:
    """Compare as CEL does: numbers by value, a bool with no number."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


def _includes(value: object, wanted: object) -> bool:
    if not isinstance(value, list):
        return equal(value, wanted)
    return any(equal(item, wanted) for item in value[:_MAX_INCLUDES])


def _size(value: Any) -> int:  # noqa: ANN401
    if not isinstance(value, (str, list, dict)):
        raise _no_overload(value)
    return len(value)


def _refuse_marked(*values: object) -> None:
    for value in values:
        if isinstance(value, (bytes, bytearray)) and bytes(value).startswith(MARK):
            raise _no_overload(value)


def _plain(value: object) -> object:
    _refuse_marked(value)
    return value


def _is_sorted(items: list[Any]) -> bool:
    _comparable(items)
    return all(not right < left for left, right in pairwise(items))


def _comparable(items: Sequence[Any]) -> None:
    _refuse_marked(*items)
    if any(isinstance(item, (list, dict)) for item in items):
        message = "no such overload for a list of lists or maps"
        raise ValueError(message)


def _extreme(choose: Callable[[list[Any]], Any], name: str) -> Callable[[Any], Any]:
    def extreme(items: list[Any]) -> Any:  # noqa: ANN401
        if not items:
            message = f"{name} called on an empty list"
            raise ValueError(message)
        _comparable(items)
        return choose(items)

    return extreme


def _sum(items: list[Any]) -> Any:  # noqa: ANN401
    _comparable(items)
    total = sum(items)
    if isinstance(total, int) and not -(2**63) <= total <= _INT64_MAX:
        message = "integer overflow"
        raise ValueError(message)
    return total


def _index(items: Any, wanted: Any, order: int) -> int:  # noqa: ANN401
    if isinstance(items, str):
        place: int = items.rfind(wanted) if order else items.find(wanted)
        return place
    found = [index for index, item in enumerate(items) if equal(item, wanted)]
    return found[order] if found else -1


def _contains(left: list[Any], right: list[Any]) -> bool:
    return all(any(equal(item, other) for other in left) for item in right)


@dataclass(frozen=True)
class Function:
    """A function that Kubernetes adds to CEL.

    `parameters` and `result` are types as an expression is checked with them; without
    `call`, the library has the function. A name with @ is for rewritten expressions.
    """

    name: str
    is_member: bool
    parameters: tuple[str, ...]
    result: str
    overload: str
    call: Callable[..., Any] | None


def _functions() -> list[Function]:
    table: list[Function] = []

    def add(
        signature: str, parameters: str, result: str, call: Callable[..., Any] | None
    ) -> None:
        name = signature.lstrip(".")
        kinds = tuple(part for part in parameters.split(";") if part)
        overload = f"{name}_{'_'.join(kinds)}".translate(_FLAT)
        table.append(Function(name, signature != name, kinds, result, overload, call))

    for name, parse, result in (
        ("semver", parse_semver, SEMVER),
        ("quantity", parse_quantity, QUANTITY),
    ):
        add(name, "string", result, parse)
        add("is" + name.capitalize(), "string", "bool", _is(parse))
    add("semver", "string;bool", SEMVER, parse_semver)
    add("isSemver", "string;bool", "bool", _is(parse_semver))
    for kind in (SEMVER, QUANTITY):
        both = f"{kind};{kind}"
        add(".isGreaterThan", both, "bool", lambda a, b: _compare(a, b) > 0)
        add(".isLessThan", both, "bool", lambda a, b: _compare(a, b) < 0)
        add(".compareTo", both, "int", _compare)
    for index, name in enumerate(("major", "minor", "patch")):
        add("." + name, SEMVER, "int", _part(index))
    add(".isInteger", QUANTITY, "bool", _is_integer)
    add(".asInteger", QUANTITY, "int", _as_integer)
    add(".asApproximateFloat", QUANTITY, "double", lambda q: quantity_nanos(q) / _NANO)
    add(
        ".sign",
        QUANTITY,
        "int",
        lambda q: (quantity_nanos(q) > 0) - (quantity_nanos(q) < 0),
    )
    for name, sign in (("add", 1), ("sub", -1)):
        for other in (QUANTITY, "int"):
            add(
                "." + name,
                f"{QUANTITY};{other}",
                QUANTITY,
                lambda a, b, sign=sign: _sum_of(a, b, sign),
            )
    for item in ("int", "double", "string", "bool"):
        kind = f"list({item})"
        add(".isSorted", kind, "bool", _is_sorted)
        if item != "bool":
            add(".min", kind, item, _extreme(min, "min"))
            add(".max", kind, item, _extreme(max, "max"))
        if item in {"int", "double"}:
            add(".sum", kind, item, _sum)
    # Lists have these, and strings, which the library's own extension serves.
    for name, order in (("indexOf", 0), ("lastIndexOf", -1)):
        call = partial(_index, order=order)
        add("." + name, "list(dyn);dyn", "int", None)
        add("@" + name, "list(dyn);dyn", "int", call)
        add("@" + name, "string;string", "int", call)
    lists = "list(dyn);list(dyn)"
    add("sets.contains", lists, "bool", _contains)
    add("sets.intersects", lists, "bool", _intersects)
    add(
        "sets.equivalent",
        lists,
        "bool",
        lambda a, b: _contains(a, b) and _contains(b, a),
    )
    add(".includes", "dyn;dyn", "bool", _includes)
    add("@size", "dyn", "int", _size)
    add("@plain", "dyn", "dyn", _plain)
    for signature, parameters, result in _STRINGS:
        add(signature, parameters, result, None)
    return table


# The strings extension, version 2: what is checked; the library's own runs it.
_STRINGS = (
    (".charAt", "string;int", "string"),
    (".indexOf", "string;string", "int"),
    (".indexOf", "string;string;int", "int"),
    (".lastIndexOf", "string;string", "int"),
    (".lastIndexOf", "string;string;int", "int"),
    (".join", "list(string)", "string"),
    (".join", "list(string);string", "string"),
    (".lowerAscii", "string", "string"),
    (".upperAscii", "string", "string"),
    (".replace", "string;string;string", "string"),
    (".replace", "string;string;string;int", "string"),
    (".split", "string;string", "list(string)"),
    (".split", "string;string;int", "list(string)"),
    (".substring", "string;int", "string"),
    (".substring", "string;int;int", "string"),
    (".trim", "string", "string"),
    (".format", "string;list(dyn)", "string"),
    ("strings.quote", "string", "string"),
)


def _intersects(left: list[Any], right: list[Any]) -> bool:
    return any(equal(item, other) for item in right for other in left)


_FLAT = str.maketrans(".();, ", "______")

FUNCTIONS = tuple(_functions())
