# SPDX-License-Identifier: Apache-2.0
"""Mutate the expressions of selectors, and ask each mutant of devices.

``nox -s fuzz`` runs it. An expression is refused by SelectorError, or each device gets
an answer or SelectorRuntimeError; both are one line of bounded length, within the time
bound, and the answer of a second Selector is the same. Mutant i of a seed is the same
everywhere, so ``--only i`` repeats one.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections import Counter
from random import Random
from typing import Final

from topoalloc.kubernetes import (
    Device,
    Selector,
    SelectorError,
    SelectorRuntimeError,
    Version,
)

LONGEST_MESSAGE: Final = 2_000
# What a mutant asks for beyond it is refused by the system, and takes too long.
MEMORY: Final = 4 * 2**30
D: Final = 'device.attributes["d.io"]'
C: Final = 'device.capacity["d.io"]'

EXPRESSIONS: Final = (
    'device.driver == "d.io"',
    f'{D}.s == "fish" && {D}.n > 0',
    f"has({D}.missing) ? {D}.missing : {D}.yes",
    f'{D}.v.isGreaterThan(semver("1.0.0")) || isSemver("v1.0", true)',
    f"cel.bind(dra, {D}, dra.yes && !dra.no)",
    f'{C}.memory.compareTo(quantity("80Gi")) >= 0',
    f'{C}["memory"].sub(quantity("1Gi")).asInteger() % 2 == 0',
    f"{D}.?missing.orValue({D}[?'yes'].orValue(false))",
    "optional.of(1).hasValue() && optional.none().orValue(2) == 2",
    f"[?{D}.?n].size() == 1 && {D}.?names.optMap(n, n.size()).orValue(0) < 3",
    f'{D}.names.includes("bird") && {D}.ints.exists(i, i == 2)',
    f"{D}.versions.all(v, v.isLessThan(semver('9.0.0')))",
    'device.attributes.exists_one(x, x == "d.io") && "x.io" in device.capacity',
    "[1, 2, 3].map(x, x * 2).filter(x, x > 2).sum() == 10",
    "sets.contains([1, 2], [2]) && [3, 1].isSorted() == false",
    f'{D}.s.matches("^f[a-z]{{1,3}}$") && {D}.s.split("i").size() == 2',
    f"string({D}.n) == '1' && {D}.s + 'x' < 'g' && dyn({D}.n) < 10u",
    "{'a': [1.5, -2e3], 'b': []}['a'][0] > 1.0 && b'\\x00' == b'\\000'",
    "timestamp('2020-01-01T00:00:00Z').getFullYear() == 2020 ? true : null == null",
    f"'%s is %d'.format([{D}.s, 1]).replace('is', 'was').upperAscii() != r'\\d'",
    "device.allowMultipleAllocations in [true, dyn(1), dyn('a')]",
)

DEVICES: Final = (
    Device("d.io"),
    Device(
        "d.io",
        {
            "yes": True,
            "no": False,
            "n": 1,
            "s": "fish",
            "v": Version("1.2.3-rc.1"),
            "names": ["fish", "bird"],
            "ints": [1, 2],
            "versions": [Version("1.0.0"), Version("2.0.0")],
        },
        {"memory": "80Gi", "x.io/links": 18},
        allow_multiple_allocations=True,
    ),
)

WORDS: Final = (
    "device", "attributes", "capacity", "driver", '"d.io"', "names", "ints", "v", "n",
    ".", ",", "?", ":", "(", ")", "[", "]", "{", "}", "!", "-", "+", "*", "/", "%",
    "==", "!=", "<", ">=", "&&", "||", "in", "true", "false", "null", "1", "0", "-1",
    "9223372036854775807", "18446744073709551615u", "1e308", "'a'", "''", "b'a'",
    "r'\\'", "'''", '"""', "//", "\\", "\x00", "\ud800", "\u0663", "\U0001f600", " ",
    "\n", "x", "dyn", "size", "has", "all", "exists", "map", "filter", "cel.bind",
    "optional.of", "quantity", "semver", "sets.contains", "matches", "replace", "type",
    "__result__", "@result", "@in", "_==_", "int", "string", "bytes", "duration",
)  # fmt: skip


TOKEN: Final = re.compile(
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(?|\"[^\"]*\"|'[^']*'|[0-9.]+|\W"
)


def mutant_of(random: Random, text: str) -> str:
    """Return a changed copy of an expression: words, or characters, or both."""
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        text = (
            changed(random, text) if random.random() < 0.3 else reworded(random, text)
        )
    return text


def reworded(random: Random, text: str) -> str:
    """Put a word, or an operand of another expression, in the place of a word."""
    words = TOKEN.findall(text)
    others = TOKEN.findall(random.choice(EXPRESSIONS))
    at = random.randrange(len(words)) if words else 0
    match random.randrange(4):
        case 0:
            words[at : at + 1] = [random.choice(WORDS)]
        case 1:
            same = [word for word in others if word[-1:] == words[at][-1:]] or others
            words[at : at + 1] = [random.choice(same)]
        case 2:
            operator = random.choice(("&&", "||", "==", "+", "in", "<"))
            return f"({text}) {operator} ({random.choice(EXPRESSIONS)})"
        case _:
            wrap = random.choice(("!({})", "dyn({})", "[{}].all(x, x)", "({}) ? 1 : 2",
                                  "optional.of({})", "cel.bind(x, {}, x)"))  # fmt: skip
            return wrap.format(text)
    return "".join(words)


def changed(random: Random, text: str) -> str:
    """Change characters."""
    at = random.randrange(len(text) + 1)
    to = min(len(text), at + random.choice((0, 1, 1, 2, 5, 20)))
    other = random.choice(EXPRESSIONS)
    start = random.randrange(len(other))
    part = other[start : start + random.choice((1, 3, 10, 40))]
    match random.randrange(5):
        case 0:
            return text[:at] + text[to:]
        case 1:
            return text[:at] + random.choice(WORDS) + text[to:]
        case 2:
            return text[:at] + part + text[to:]
        case 3:
            return text[:at] + text[at:to] * random.choice((2, 3, 50)) + text[to:]
        case _:
            return text[:at] + chr(random.randrange(0x250)) + text[to:]


def outcome_of(text: str) -> tuple[str, str]:
    """Return what came out, and what is wrong with it or nothing."""
    try:
        selector = Selector(text)
    except SelectorError as error:
        return "refused", fault_in(error)
    for device in DEVICES:
        answers: list[object] = []
        for asked in (selector, Selector(text, path="again")):
            try:
                answers.append(asked.matches(device))
            except SelectorRuntimeError as error:
                if fault_in(error):
                    return "failed", fault_in(error)
                answers.append(str(error).removeprefix("again: "))
        if answers[0] != answers[1]:
            return "answered", f"{answers[0]!r}, then {answers[1]!r}"
    return ("answered" if isinstance(answers[0], bool) else "failed"), ""


def fault_in(error: Exception) -> str:
    """Say what is wrong with a message, or nothing."""
    message = str(error)
    if not message or len(message) > LONGEST_MESSAGE or "\n" in message:
        return f"a message of {len(message)} characters: {message[:500]!r}"
    return ""


def main() -> int:
    """Run, print the figures, and say whether anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--max-ms", type=float, default=3000)
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for text in EXPRESSIONS:
        if outcome_of(text) != ("answered", ""):
            parser.error(f"{text}: {outcome_of(text)}, want an answer")
    numbers = range(arguments.mutants) if arguments.only is None else [arguments.only]
    tally: Counter[str] = Counter()
    faults = 0
    slowest = 0.0
    for number in numbers:
        random = Random(f"{arguments.seed} selector {number}")
        mutant = mutant_of(random, EXPRESSIONS[number % len(EXPRESSIONS)])
        begin = time.perf_counter()
        try:
            came_out, fault = outcome_of(mutant)
        except Exception as error:
            came_out, fault = "raised", f"{type(error).__name__}: {str(error)[:500]}"
        took_ms = (time.perf_counter() - begin) * 1000
        slowest = max(slowest, took_ms)
        tally[came_out] += 1
        if not fault and took_ms > arguments.max_ms:
            fault = f"took {took_ms:.0f} ms"
        if fault:
            faults += 1
            print(f"--seed {arguments.seed} --only {number}: {fault}")
    print(
        f"selector: {tally['answered']} answered, {tally['failed']} failed, "
        f"{tally['refused']} refused, slowest {slowest:.1f} ms"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
