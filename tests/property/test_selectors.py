# SPDX-License-Identifier: Apache-2.0
"""Selectors against a reader of the same expressions in Python, and laws of amounts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from topoalloc.kubernetes import Device, Selector, SelectorRuntimeError, Version

# What an expression comes to: a value, or None for an error.
Outcome = bool | None
Question = tuple[str, Callable[[dict[str, Any]], Outcome]]

NAMES = ("a", "b", "c")
DOMAIN = "d.example.com"
scalars = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from(["", "x", "fish"])
)
values = st.one_of(
    scalars,
    st.lists(st.integers(-2, 2), max_size=3),
    st.lists(st.sampled_from(["x", "fish"]), max_size=3),
)
devices = st.dictionaries(st.sampled_from(NAMES), values)


def literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and bool(left == right)


@st.composite
def leaves(draw: st.DrawFn) -> Question:
    """Draw a question about one attribute."""
    name, value = draw(st.sampled_from(NAMES)), draw(values)
    one: Any = draw(scalars)
    path = f'device.attributes["{DOMAIN}"].{name}'

    def when_there(read: Callable[[Any], Outcome]) -> Callable[..., Outcome]:
        return lambda known: read(known[name]) if name in known else None

    def includes(found: Any) -> bool:
        items = found if isinstance(found, list) else [found]
        return any(equal(item, one) for item in items)

    def is_less(found: Any) -> Outcome:
        return found < one if type(found) is type(one) else None

    drawn: Question = draw(
        st.sampled_from(
            [
                (path, when_there(lambda v: v if isinstance(v, bool) else None)),
                (f"{path} == {literal(value)}", when_there(lambda v: equal(v, value))),
                (f"{path}.includes({literal(one)})", when_there(includes)),
                (f"{path} < {literal(one)}", when_there(is_less)),
                (f"has({path})", lambda known: name in known),
                (
                    f'"{name}" in device.attributes["{DOMAIN}"]',
                    lambda known: name in known,
                ),
                (
                    f'device.attributes["{DOMAIN}"].?{name}.hasValue()',
                    lambda known: name in known,
                ),
                (
                    f'device.attributes["{DOMAIN}"].exists(k, k == "{name}")',
                    lambda known: name in known,
                ),
                (f'has(device.attributes["no.such"].{name})', lambda _: False),
                (literal(one == 1), lambda _: bool(one == 1)),
            ]
        )
    )
    return drawn


def joined(word: str, left: Question, right: Question) -> Question:
    """Join two questions; an error is absorbed where the other side decides."""
    decides = word == "||"

    def read(known: dict[str, Any]) -> Outcome:
        sides = (left[1](known), right[1](known))
        if decides in sides:
            return decides
        return None if None in sides else not decides

    return f"({left[0]}) {word} ({right[0]})", read


def chosen(test: Question, yes: Question, no: Question) -> Question:
    def read(known: dict[str, Any]) -> Outcome:
        found = test[1](known)
        return None if found is None else (yes if found else no)[1](known)

    return f"({test[0]}) ? ({yes[0]}) : ({no[0]})", read


def negated(question: Question) -> Question:
    def read(known: dict[str, Any]) -> Outcome:
        found = question[1](known)
        return None if found is None else not found

    return f"!({question[0]})", read


questions = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(joined, st.sampled_from(["&&", "||"]), inner, inner),
        st.builds(chosen, inner, inner, inner),
        st.builds(negated, inner),
    ),
    max_leaves=6,
)


def answer_of(selector: Selector, device: Device) -> Outcome:
    try:
        return selector.matches(device)
    except SelectorRuntimeError:
        return None


@given(questions, devices)
def test_selector_agrees_with_a_reader_in_python(
    question: Question, known: dict[str, Any]
) -> None:
    selector = Selector(question[0])
    assert answer_of(selector, Device(DOMAIN, known)) is question[1](known)


@given(questions, devices, devices)
def test_answer_depends_on_what_is_read_alone(
    question: Question, known: dict[str, Any], other: dict[str, Any]
) -> None:
    selector = Selector(question[0])
    read = {id_ for _, id_ in selector.reads.attributes}
    assume(None not in read)
    mixed = {name: value for name, value in other.items() if name not in read}
    mixed |= {name: value for name, value in known.items() if name in read}
    device = Device(DOMAIN, known)
    assert answer_of(selector, Device(DOMAIN, mixed)) is answer_of(selector, device)


suffixes: dict[str, int | Fraction] = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1,
    "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30,
    "e3": 1000, "E-2": Fraction(1, 100),
}  # fmt: skip


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, Fraction]:
    """Draw a quantity that is exact in billionths."""
    whole, thousandths = draw(st.integers(0, 10**6)), draw(st.integers(0, 999))
    suffix = draw(st.sampled_from(list(suffixes)))
    sign = draw(st.sampled_from(["", "+", "-"]))
    text = f"{sign}{whole}" if suffix == "n" else f"{sign}{whole}.{thousandths:03}"
    value = abs(Fraction(text)) * suffixes[suffix]
    value = Fraction(-(-value * 10**9 // 1), 10**9)
    return text + suffix, -value if sign == "-" else value


@given(amounts(), amounts())
def test_quantities_are_exact(
    left: tuple[str, Fraction], right: tuple[str, Fraction]
) -> None:
    order = (left[1] > right[1]) - (left[1] < right[1])
    pair = f"quantity('{left[0]}').compareTo(quantity('{right[0]}')) == {order}"
    assert Selector(pair).matches(Device("d"))
    total = f"quantity('{left[0]}').add(quantity('{right[0]}'))"
    sized = Device("d", {}, {"sum": left[1] + right[1], "left": left[0]})
    assert Selector(f'{total} == device.capacity["d"].sum').matches(sized)
    own = f"device.capacity['d'].left.sub(quantity('{left[0]}')).sign() == 0"
    assert Selector(own).matches(sized)


identifiers = st.one_of(
    st.integers(0, 20).map(str), st.sampled_from(["alpha", "beta", "rc", "x-y", "A"])
)
versions = st.tuples(
    st.tuples(*[st.integers(0, 20)] * 3), st.lists(identifiers, max_size=3)
)


def text_of(version: tuple[tuple[int, ...], list[str]]) -> str:
    core = ".".join(map(str, version[0]))
    return f"{core}-{'.'.join(version[1])}" if version[1] else core


def order_of(left: Any, right: Any) -> int:
    """Compare as semver.org says in section 11."""
    if left[0] != right[0]:
        return 1 if left[0] > right[0] else -1
    if not left[1] or not right[1]:
        return int(not left[1]) - int(not right[1])
    for one, other in zip(left[1], right[1], strict=False):
        if one != other:
            if one.isdigit() and other.isdigit():
                return 1 if int(one) > int(other) else -1
            if one.isdigit() != other.isdigit():
                return 1 if other.isdigit() else -1
            return 1 if one > other else -1
    return (len(left[1]) > len(right[1])) - (len(left[1]) < len(right[1]))


@given(st.lists(versions, min_size=2, max_size=4))
def test_versions_are_ordered_by_semver(
    drawn: list[tuple[tuple[int, ...], list[str]]],
) -> None:
    drawn = sorted(drawn, key=cmp_to_key(order_of))
    for left, right in pairwise(drawn):
        device = Device("d", {"v": Version(text_of(left))})
        other = f"device.attributes['d'].v.compareTo(semver('{text_of(right)}'))"
        assert Selector(f"{other} == {order_of(left, right)}").matches(device)
