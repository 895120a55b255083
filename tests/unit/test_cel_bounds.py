# SPDX-License-Identifier: Apache-2.0
"""Selectors: what they cost by Kubernetes' count, and what is refused for its size.

The worked costs are those to which Kubernetes holds the selector compiler of its
dynamic-resource-allocation.
"""

from __future__ import annotations

import random
import time

import pytest

from topoalloc.kubernetes import Device, Selector, SelectorError
from topoalloc.kubernetes._cel import MAX_BYTES

A = 'device.attributes["dra.example.com"]'
C = 'device.capacity["dra.example.com"]'
DEVICE = Device("dra.example.com")
EVERYTHING = " && ".join(
    [
        f'{C}.quantity.isGreaterThan(quantity("1Ki"))',
        f"{A}.bool",
        f"{A}.int > 0",
        f'{A}.string == "fish"',
        f'{A}.version.isGreaterThan(semver("0.0.1"))',
        f'{C}["quantity"].isGreaterThan(quantity("1Ki"))',
        f'{A}["bool"]',
        f'{A}["int"] > 0',
        f'{A}["string"] == "fish"',
        f'{A}["version"].isGreaterThan(semver("0.0.1"))',
    ]
)


@pytest.mark.parametrize(
    ("expression", "cost"),
    [
        # "cost": the estimates that Kubernetes' own compiler is held to.
        ("true", 0),
        ('device.attributes["x"].y.isGreaterThan(quantity("0"))', 6),
        ('"no-such-domain" in device.attributes', 3),
        ('device.driver == ""', 2),
        ('device.driver == "dra.example.com"', 4),
        (f"{A}.name", 4),
        ('device.attributes["x"]["y"].isGreaterThan(quantity("0"))', 6),
        (f'{A}.n.isGreaterThan(semver("v0.1.1", true)) && isSemver("v1", true)', 7),
        (f'{A}.n.exists(x, x.isGreaterThan(semver("0.0.1")))', 453),
        (f"{A}.n.exists(x, x == true)", 389),
        (f'{A}["name"]', 4),
        (f"cel.bind(dra, {A}, dra.name)", 15),
        (f"{A}.name > 0", 5),
        (f'{A}.name == "fish"', 5),
        (f"{A}.name.exists(x, x > 0)", 389),
        (f'{A}.name.includes("fish")', 52),
        (f'{A}.name.includes(semver("1.0.0"))', 53),
        (f'{A}.names.all(x, x != "")', 261),
        (f'{A}.names.all(x, x.isGreaterThan(semver("0.0.1")))', 389),
        (f"1 in {A}.names", 68),
        (f"{A}.names.size() == 2", 6),
        (f'{C}.name.isGreaterThan(quantity("1Ki"))', 6),
        (f'"name" in {C} && {C}.name.isGreaterThan(quantity("1Ki"))', 10),
        (f'!("name" in {C}) || {C}.name.isGreaterThan(quantity("1Ki"))', 11),
        (f"{A}.a && {A}.b && {A}.c", 12),
        ('device.attributes.exists_one(x, x == "dra.example.com")', 164),
        (f'{A}.exists_one(x, x == "services")', 133),
        (f'{A}.services.split("example").size() >= 2', 19),
        (f'{A}.services.matches("[^a]?sym")', 18),
        (f'{C}.exists_one(x, x == "memory")', 133),
        ("device.allowMultipleAllocations == true", 3),
        (EVERYTHING, 52),
    ],
)
def test_cost_is_the_one_that_the_api_server_sees(expression: str, cost: int) -> None:
    assert Selector(expression).cost == cost


def nested_loops(depth: int) -> str:
    """Count to ten within itself, 10 ** depth times."""
    return in_loops(depth, "int('1'.substring(0)) < 100")


def replaced_twice() -> str:
    """Write each of two thousand characters as a thousand, twice."""
    once = f"'{'a' * 2000}'.replace('a', t)"
    inner = f"cel.bind(s, {once}, s.replace('a', t).size() > 0)"
    return f"cel.bind(t, '{'a' * 1000}', {inner})"


def in_loops(depth: int, body: str) -> str:
    """Evaluate an expression 10 ** depth times."""
    for level in range(depth):
        body = f"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].all(x{level}, {body})"
    return body


def squared(count: int, body: str) -> str:
    """Bind b to a list of as many lists of as many numbers."""
    zeros = ", ".join(["0"] * count)
    lists = ", ".join(["a"] * count)
    return f"cel.bind(a, [{zeros}], cel.bind(b, [{lists}], {body}))"


def grown(seed: str, step: str, depth: int) -> str:
    """Bind a value to sixteen times the last one, again and again."""
    body = f"a{depth}.size() > 0"
    for level in range(depth, 0, -1):
        value = step.join([f"a{level - 1}"] * 16)
        value = f"[{value}]" if step == "," else value
        body = f"cel.bind(a{level}, {value}, {body})"
    return f"cel.bind(a0, {seed}, {body})"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        # Three for the innermost, and 41 + 10 c around a body of cost c.
        (nested_loops(7), "estimated cost 75555551, limit 1000000"),
        (grown("'xxxxxxxxxxxx'", "+", 7), "too complex: estimated cost"),
        (grown("[1, 2, 3]", "+", 7), "too large: a value of up to"),
        (grown("[1, 2, 3]", ",", 7), "too large: a value of up to"),
        (replaced_twice(), "too large: a value of up to"),
        (squared(300, in_loops(4, "b == b")), "too long: up to"),
        (squared(150, in_loops(1, "sets.contains(b, b)")), "too long: up to"),
        (in_loops(3, "'a'.matches('((a{30}){30})|b')"), "too long: up to"),
        (in_loops(3, "'a'.matches('a' + 'b')"), "too long: up to"),
        (f"{A}.?n" + ".optMap(n, n)" * 20 + ".hasValue()", "too large: 20 times"),
        ("(" * 5000 + "true" + ")" * 5000, "recursion"),
        ("[" * 5000, "recursion"),
        ("[" * 40 + "]" * 40 + " == []", "recursion"),
        ("1" + "+1" * 3000 + " > 0", "recursion"),
        ("a" + ".a" * 3000, "recursion"),
        ("true " * 3000, "bytes long, want at most 10240"),
    ],
    ids=["loops", "string", "lists", "list-of-lists", "replace", "compared", "sets",
         "pattern", "made-pattern", "doubled", "parentheses", "brackets",
         "closed-brackets", "sum", "path", "length"],
)  # fmt: skip
def test_bomb_is_refused_at_once(expression: str, message: str) -> None:
    before = time.process_time()
    with pytest.raises(SelectorError, match=message):
        Selector(expression)
    assert time.process_time() - before < 2


def test_loops_below_the_limit_run() -> None:
    selector = Selector(nested_loops(3))
    assert selector.cost < 1_000_000
    assert selector.matches(DEVICE)


def test_patterns_of_addresses_are_taken_in_loops() -> None:
    pattern = "^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}[.][0-7]$"
    address = "0000:1b:00.0"
    body = f"{A}.address.matches('{pattern}')"
    selector = Selector(in_loops(2, body))
    assert selector.matches(Device("dra.example.com", {"address": address}))
    assert not selector.matches(Device("dra.example.com", {"address": "1b:00.0"}))


def test_longest_expression_is_taken() -> None:
    text = "'" + "x" * (MAX_BYTES - 8) + "'==''"
    assert Selector(text[:1] + text[1:]).matches(DEVICE) is False
    with pytest.raises(SelectorError, match="bytes long"):
        Selector(text + "    ")


def test_hostile_text_is_refused_or_answered() -> None:
    noise = random.Random(4)
    refused = 0
    for length in (1, 10, 100, 1000, MAX_BYTES):
        for alphabet in (range(256), range(32, 127), range(0x400, 0x2000)):
            text = "".join(map(chr, noise.choices(alphabet, k=length)))
            try:
                Selector(text)
            except SelectorError:
                refused += 1
    assert refused >= 14


@pytest.mark.parametrize("text", ["\ud800", "'\ud800' == ''", "true\0", "\0"])
def test_text_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="position"):
        Selector(text)
