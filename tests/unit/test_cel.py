# SPDX-License-Identifier: Apache-2.0
"""Selectors: values and refusals by the CEL specification and Kubernetes.

Sections name where an expected value comes from: "spec" is cel-spec's language
definition, "doc" Kubernetes' page "Common Expression Language in Kubernetes", "api" the
comments of `CELDeviceSelector` in resource/v1, "strings" and "sets" extensions of
cel-go.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading

import pytest

from topoalloc import FormatError, InvalidRequestError, TopoallocError
from topoalloc.kubernetes import (
    Device,
    MissingExtraError,
    Selector,
    SelectorError,
    SelectorRuntimeError,
    Version,
    _cel,
    _cel_library,
)

A = 'device.attributes["dra.example.com"]'
C = 'device.capacity["dra.example.com"]'
COMPILE, RUN = SelectorError, SelectorRuntimeError

DEVICE = Device(
    "dra.example.com",
    {
        "yes": True,
        "no": False,
        "n": 1,
        "big": 2**63 - 1,
        "s": "fish",
        "v": Version("1.2.3"),
        "other.example.com/s": "bird",
        "names": ["fish", "bird"],
        "ints": [1, 2],
        "flags": [True, False],
        "versions": [Version("1.0.0"), Version("2.0.0")],
    },
    {"memory": "80Gi", "small": "100m", "other.example.com/links": 18},
)

CASES = [
    # spec, "Values": literals and results; api: the result is a bool.
    ("true", True),
    ("false", False),
    ("1", COMPILE),
    ('"true"', COMPILE),
    ("null", COMPILE),
    # spec, "Syntax".
    ("?!", COMPILE),
    ("", COMPILE),
    ("true true", COMPILE),
    ("'unterminated", COMPILE),
    # spec, "Logical Operators": errors are absorbed from either side.
    (f"{A}.missing || true", True),
    (f"true || {A}.missing", True),
    (f"{A}.missing && false", False),
    (f"{A}.missing && true", RUN),
    (f"{A}.missing ? true : true", RUN),
    (f"{A}.yes ? true : {A}.missing", True),
    ("!false", True),
    # spec, "Numeric Values": overflow and division by zero are errors.
    (f"{A}.big + 1 > 0", RUN),
    ("1 / 0 == 1", RUN),
    ("7 % 3 == 1", True),
    ("-7 / 2 == -3", True),
    ("1 + 1.0 == 2.0", COMPILE),
    # spec, "Equality": by value across numeric types, false across others.
    ("1 == 1.0", COMPILE),
    ("dyn(1) == 1.0", True),
    ("dyn(1) < 1.5", True),
    ("1 == 'a'", COMPILE),
    (f"{A}.n == 'a'", False),
    (f"{A}.n == 1", True),
    (f"{A}.n != 2", True),
    # spec, "Ordering": no order between kinds.
    (f"{A}.s > 1", RUN),
    (f"{A}.s > 'cat'", True),
    # spec, "Macros".
    (f"has({A}.n)", True),
    (f"has({A}.missing)", False),
    ("[1, 2, 3].all(x, x > 0)", True),
    ("[1, 2, 3].exists(x, x > 2)", True),
    ("[1, 2, 3].exists_one(x, x > 1)", False),
    ("[1, 2, 3].map(x, x * 2) == [2, 4, 6]", True),
    ("[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]", True),
    ("[1, 2, 3].filter(x, x > 1) == [2, 3]", True),
    ("{'a': 1, 'b': 2}.all(k, k != 'c')", True),
    ("[].all(x, false)", True),
    # spec, "Aggregate Values": indices and keys.
    ("[1, 2][1] == 2", True),
    ("[1, 2][2] == 2", RUN),
    ("{'a': 1}['a'] == 1", True),
    ("{'a': 1}['b'] == 1", RUN),
    ("2 in [1, 2]", True),
    ("'a' in {'a': 1}", True),
    ("{'a': 1, 'a': 2}.size() == 1", RUN),
    # doc, "Type checking": a literal has elements of one type.
    ("[1, 'a'].size() == 2", COMPILE),
    ("{'a': 1, 'b': 'c'}.size() == 2", COMPILE),
    ("[1, dyn('a')].size() == 2", True),
    # spec, "List of Standard Definitions".
    ("'fish'.startsWith('fi')", True),
    ("'fish'.endsWith('sh')", True),
    ("'fish'.contains('is')", True),
    ("'fish'.matches('^f.*h$')", True),
    ("'fish'.matches('(')", RUN),
    ("size('fish') == 4", True),
    ("size('\\u00e9') == 1", True),
    ("int('12') == 12", True),
    ("int('x') == 12", RUN),
    ("double('1.5') == 1.5", True),
    ("string(12) == '12'", True),
    ("duration('1m') < duration('1h')", True),
    ("timestamp('2020-01-01T00:00:00Z').getFullYear() == 2020", True),
    (f"string({A}.n) == '1'", True),
    (f"{A}.s + 'es' == 'fishes'", True),
    (f"{A}.s + {A}.s == 'fishfish'", True),
    (f"size({A}.s) == 4", True),
    # api: the fields of a device; a bare name belongs to the driver's domain.
    ('device.driver == "dra.example.com"', True),
    ("device.driver == 1", COMPILE),
    ("device.vendor == 'x'", COMPILE),
    ("devices.driver == 'x'", COMPILE),
    ("device.allowMultipleAllocations", False),
    (f"{A}.yes", True),
    (f"{A}['yes']", True),
    (f"{A}.no", False),
    ('device.attributes["other.example.com"].s == "bird"', True),
    (f'{A}.s == "fish"', True),
    ("device.attributes[device.driver].yes", True),
    (f"{A}.n", RUN),
    (f"{A}.s", RUN),
    (f"{A}.names", RUN),
    (f"{A}.v", RUN),
    (f"{A}.missing", RUN),
    # api: an unknown domain is an empty map.
    ('has(device.attributes["no.such"].x)', False),
    ('"no.such" in device.attributes', False),
    ('"dra.example.com" in device.attributes', True),
    ('device.attributes["no.such"].x', RUN),
    ('device.attributes["no.such"].size() == 0', True),
    ('device.attributes["no.such"].all(x, false)', True),
    ("has(device.attributes.anything)", True),
    ('"memory" in device.capacity["no.such"]', False),
    (f'"memory" in {C}', True),
    ('device.attributes.exists_one(x, x == "other.example.com")', True),
    (f'{A}.exists(x, x == "v")', True),
    ("device.attributes.size() == 2", True),
    ('device.attributes["dra." + "example.com"].yes', True),
    ('device.attributes["no." + "such"].yes', RUN),
    # doc, "CEL bindings".
    (f"cel.bind(dra, {A}, dra.yes && !dra.no)", True),
    ('cel.bind(a, device.attributes, has(a["no.such"].x))', False),
    ('cel.bind(a, device.attributes, a["dra.example.com"].yes)', True),
    (f"cel.bind(dra, {A}, cel.bind(dra, 1, dra == 1))", True),
    (f"[1].exists(dra, cel.bind(x, {A}, x.n == dra))", True),
    # doc, "Optional types".
    (f"{A}.?yes.orValue(false)", True),
    (f"{A}.?missing.orValue(true)", True),
    (f'{A}[?"missing"].hasValue()', False),
    ('device.attributes["no.such"].?x.orValue(true)', True),
    ('device.attributes[?"no.such"].x.orValue(true)', True),
    ('device.attributes[?"no.such"].hasValue()', True),
    ("optional.of(1).value() == 1", True),
    ("optional.none().hasValue()", False),
    ("optional.none().or(optional.of(2)).value() == 2", True),
    (f"{A}.?missing.or(optional.of(2)).value() == 2", True),
    (f"{A}.?n.optMap(n, n + 1).orValue(0) == 2", True),
    (f"[?{A}.?n, ?{A}.?missing].size() == 1", True),
    # The library crashes where it has to show an optional to Python.
    ("dyn(optional.of(true))", COMPILE),
    ("dyn({'a': optional.of(1)}).size() == 1", COMPILE),
    ("sets.contains([optional.of(1)], [1])", COMPILE),
    ("[1].map(x, optional.of(x)).indexOf(1) == 0", COMPILE),
    ("(true ? optional.of(1) : dyn(1)).includes(1)", COMPILE),
    (f"[{A}.?missing.orValue(optional.of(1))].indexOf(1) == 0", COMPILE),
    (f"{A}.?missing.or(optional.of(optional.of(1))).value()", COMPILE),
    # doc, "Kubernetes quantity library".
    ("isQuantity('1.3Gi')", True),
    ("isQuantity('1,3G')", False),
    ("isQuantity('200K')", False),
    ("isQuantity('Mi')", False),
    ("isQuantity('10000k')", True),
    ("isQuantity('1e3')", True),
    ("quantity('Three').sign() == 1", RUN),
    ("quantity('50k').asInteger() == 50000", True),
    ("quantity('50000000G').isInteger()", True),
    ("quantity('9999999999999999999999999999999999999G').isInteger()", False),
    ("quantity('9999999999999999999999999999999999999G').asInteger() == 1", RUN),
    ("quantity('50k').sub(20000).asApproximateFloat() == 30000.0", True),
    ("quantity('50k').add(quantity('20k')) == quantity('70k')", True),
    ("quantity('50k').add(20) == quantity('50020')", True),
    (
        "quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        True,
    ),
    ("quantity('200M').compareTo(quantity('0.2G')) == 0", True),
    ("quantity('50M').compareTo(quantity('50Mi')) == -1", True),
    ("quantity('150Mi').isGreaterThan(quantity('100Mi'))", True),
    ("quantity('100M').isLessThan(quantity('50M'))", False),
    ("quantity('-1').sign() == -1", True),
    ("quantity('1').isGreaterThan(semver('1.0.0'))", COMPILE),
    ("quantity('1') == quantity('1000m')", True),
    (f"{C}.memory.compareTo(quantity('80Gi')) >= 0", True),
    (f"{C}.memory == quantity('81920Mi')", True),
    (f"{C}.small.isInteger()", False),
    (f"{C}.memory > 1", COMPILE),
    (f"{C}.missing.isGreaterThan(quantity('1'))", RUN),
    ("device.capacity['other.example.com'].links.asInteger() == 18", True),
    (f"{A}.v.isGreaterThan(quantity('1'))", RUN),
    (f"{A}.n.isGreaterThan(quantity('1'))", RUN),
    # doc, "Kubernetes semver library"; semver.org, section 11, for the order.
    ("isSemver('1.0.0')", True),
    ("isSemver('hello')", False),
    ("isSemver('v1.0')", False),
    ("isSemver('v1.0', true)", True),
    ("isSemver('01.01.01', true)", True),
    ("isSemver('1.0.0-01')", False),
    ("semver('200K').major() == 1", RUN),
    ("semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2", True),
    ("semver('1.2.3').patch() == 3", True),
    ("semver('1.2.3').compareTo(semver('2.0.0')) == -1", True),
    ("semver('1.2.3').compareTo(semver('0.1.2')) == 1", True),
    ("semver('1.0', true) == semver('1.0.0')", True),
    ("semver('1.0.0-alpha').isLessThan(semver('1.0.0'))", True),
    ("semver('1.0.0-alpha.1').isLessThan(semver('1.0.0-alpha.beta'))", True),
    ("semver('1.0.0-rc.2').isLessThan(semver('1.0.0-rc.11'))", True),
    ("semver('1.0.0+a') == semver('1.0.0+b')", True),
    ("semver('10.0.0').isGreaterThan(semver('9.0.0'))", True),
    (f"{A}.v.isGreaterThan(semver('1.2.2'))", True),
    (f"{A}.v == semver('1.2.3')", True),
    (f"{A}.v == '1.2.3'", False),
    (f"{A}.s.isGreaterThan(semver('1.0.0'))", RUN),
    ("semver('1.2.3').foo", COMPILE),
    # A version is neither a string nor a list nor bytes (apiserver's Semver type).
    (f"{A}.v.size() == 1", RUN),
    (f"{A}.v < {A}.v", RUN),
    (f"{A}.v + {A}.v == {A}.v", RUN),
    (f"string({A}.v) == '1.2.3'", RUN),
    (f"{A}.v.exists(x, true)", RUN),
    (f"{A}.v.x == 1", RUN),
    # strings, version 2.
    ("'hello'.charAt(1) == 'e'", True),
    ("'hello'.indexOf('l') == 2", True),
    ("'hello'.indexOf('l', 3) == 3", True),
    ("'hello'.lastIndexOf('l') == 3", True),
    ("'TacoCat'.lowerAscii() == 'tacocat'", True),
    ("'TacoCat'.upperAscii() == 'TACOCAT'", True),
    ("'hello hello'.replace('he', 'we') == 'wello wello'", True),
    ("'a,b'.split(',') == ['a', 'b']", True),
    ("'tacocat'.substring(4) == 'cat'", True),
    ("'tacocat'.substring(0, 4) == 'taco'", True),
    ("' a '.trim() == 'a'", True),
    ("'%d is %s'.format([1, 'one'])== '1 is one'", COMPILE),
    ("'%s'.format(['x']) == 'x'", True),
    ("'abc'.reverse() == 'cba'", COMPILE),
    (f"{A}.s.indexOf('s') == 2", True),
    # doc, "Kubernetes list library".
    ("[1, 2, 3].isSorted()", True),
    ("[2, 1].isSorted()", False),
    ("[1, 3].sum() == 4", True),
    ("[1.5, 2.0].sum() == 3.5", True),
    ("[1, 3].max() == 3", True),
    ("[1, 3].min() == 1", True),
    ("[].sum() == 0", True),
    ("[].min() == 0", RUN),
    ("[1, 2, 2].indexOf(2) == 1", True),
    ("[1, 2, 2].lastIndexOf(2) == 2", True),
    ("[1, 2].indexOf(3) == -1", True),
    (f"{A}.ints.indexOf(2) == 1", True),
    (f"{A}.ints.sum() == 3", True),
    # sets.
    ("sets.contains([1, 2, 3], [2, 3])", True),
    ("sets.contains([1], [2])", False),
    ("sets.equivalent([1, 1], [1])", True),
    ("sets.intersects([1, 2], [2])", True),
    (f"sets.contains({A}.names, ['fish'])", True),
    # api of 1.36: a list is a list; `includes` takes a list or a scalar.
    (f"{A}.names.includes('bird')", True),
    (f"{A}.names.includes('cat')", False),
    (f"{A}.s.includes('fish')", True),
    (f"{A}.n.includes(1)", True),
    (f"{A}.yes.includes(1)", False),
    (f"{A}.flags.includes(false)", True),
    (f"{A}.versions.includes(semver('2.0.0'))", True),
    (f"{A}.v.includes(semver('2.0.0'))", False),
    (f"{A}.names.size() == 2", True),
    (f"2 in {A}.ints", True),
    (f"{A}.versions.all(x, x.isGreaterThan(semver('0.0.1')))", True),
    (f"{A}.n.exists(x, x > 0)", RUN),
    # What this library cannot do is refused, never wrong.
    ("[1, 2].all(i, v, v > 0)", COMPILE),
    ("1 < 1.5", COMPILE),
    ("'ab'.find('b') == 'b'", COMPILE),
    ("cel.bind(d, device, d.driver == '')", COMPILE),
    ("has(device.driver)", COMPILE),
    ("[device.attributes].size() == 1", COMPILE),
    ("dyn(device.attributes)['x'].y", COMPILE),
    ("google.protobuf.Int32Value{value: 1} == 1", COMPILE),
    (f"{A}.v == b'\\xffk8s-semver:1.2.3'", COMPILE),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_selector_by_the_specification(
    expression: str, expected: bool | type[TopoallocError]
) -> None:
    if expected is COMPILE:
        with pytest.raises(SelectorError, match=re.escape(ascii(expression))):
            Selector(expression)
        return
    selector = Selector(expression)
    if expected is RUN:
        with pytest.raises(SelectorRuntimeError, match=re.escape(ascii(expression))):
            selector.matches(DEVICE)
    else:
        assert selector.matches(DEVICE) is expected


def test_the_table_is_large_and_without_doubles() -> None:
    assert len({expression for expression, _ in CASES}) == len(CASES) >= 120


def test_mutated_selectors_never_crash() -> None:
    noise = random.Random(7)
    answers: set[object] = set()
    for _ in range(600):
        text = list(noise.choice(CASES)[0] or "x")
        for _ in range(noise.randint(1, 3)):
            text[noise.randrange(len(text))] = noise.choice("()[]{}.,?:&|!'\"x1 ")
        try:
            answers.add(Selector("".join(text)).matches(DEVICE))
        except (SelectorError, SelectorRuntimeError) as error:
            answers.add(type(error))
    assert answers == {True, False, SelectorError, SelectorRuntimeError}


def test_errors_say_where_and_are_one_line() -> None:
    with pytest.raises(SelectorError, match=r"1:7: undeclared reference") as caught:
        Selector("device.vendor == 1")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FormatError)
    with pytest.raises(SelectorError, match="macros of two variables are not"):
        Selector("[1].exists(i, v, true)")


def test_failure_without_a_text_is_a_failure() -> None:
    # The library cuts its message inside of the character.
    with pytest.raises(SelectorRuntimeError, match="fails without a text"):
        Selector("'%\u01a6'.format([1]) == ''").matches(DEVICE)


def test_errors_begin_with_the_path() -> None:
    path = "spec.devices.requests[0].exactly.selectors[1].cel.expression"
    with pytest.raises(SelectorError, match=rf"^{re.escape(path)}: '1': must eval"):
        Selector("1", path=path)
    with pytest.raises(InvalidRequestError, match=rf"^{re.escape(path)}: int, want"):
        Selector(1, path=path)  # type: ignore[arg-type]
    selector = Selector('device.attributes["d"].x', path=path)
    with pytest.raises(
        SelectorRuntimeError, match=rf"^{re.escape(path)}: 'device.*Key"
    ):
        selector.matches(Device("d"))
    other = Selector('device.attributes["d"].x')
    with pytest.raises(SelectorRuntimeError, match=r"^'device"):
        other.matches(Device("d"))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    _cel._program.cache_clear()
    _cel_library.checker.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install topoalloc\[kubernetes\]"):
        Selector("true")
    assert issubclass(MissingExtraError, (TopoallocError, ImportError))


def test_list_before_1_36_fails_the_selector() -> None:
    device = Device("d", {"n": 1, "l": [1]})
    expression = 'device.attributes["d"].n == 1'
    assert Selector(expression, "1.36").matches(device)
    with pytest.raises(SelectorRuntimeError, match="attribute l: a list"):
        Selector(expression, "1.35").matches(device)


def test_semantics_without_lists_knows_no_includes() -> None:
    expression = f"{A}.s.includes('fish')"
    assert Selector(expression, "1.36").matches(DEVICE)
    for semantics in ("1.34", "1.35"):
        with pytest.raises(SelectorError, match="includes"):
            Selector(expression, semantics)
    with pytest.raises(InvalidRequestError, match="semantics"):
        Selector("true", "1.33")


def test_includes_looks_at_the_first_48_values() -> None:
    device = Device("d", {"l": list(range(100))})
    assert Selector('device.attributes["d"].l.includes(47)').matches(device)
    assert not Selector('device.attributes["d"].l.includes(48)').matches(device)


def test_reads_name_what_is_read() -> None:
    reads = Selector(
        'device.driver == "d" && device.attributes["a.io"].x && '
        'cel.bind(b, device.attributes["b.io"], b.?y.orValue(true)) && '
        'has(device.capacity["c.io"].z) && "w" in device.attributes["e.io"]'
    ).reads
    assert reads.attributes == {("a.io", "x"), ("b.io", "y"), ("e.io", "w")}
    assert reads.capacities == {("c.io", "z")}
    assert reads.driver
    assert not reads.allow_multiple_allocations
    reads = Selector("device.attributes.size() == 0").reads
    assert reads.attributes == {(None, None)}
    reads = Selector('device.attributes["a.io"].size() == 0').reads
    assert reads.attributes == {("a.io", None)}
    assert Selector("device.allowMultipleAllocations").reads.allow_multiple_allocations


def test_equal_values_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Device] = []
    evaluate = _cel._Program.evaluate

    def counted(self: _cel._Program, device: Device) -> bool | str:
        calls.append(device)
        return evaluate(self, device)

    monkeypatch.setattr(_cel._Program, "evaluate", counted)
    _cel._program.cache_clear()
    selector = Selector('device.attributes["d"].n > 7')
    answers = [
        selector.matches(Device("d", {"n": number, "uuid": f"{node}-{number}"}))
        for node in range(1000)
        for number in range(16)
    ]
    assert answers == [number > 7 for _ in range(1000) for number in range(16)]
    assert len(calls) == 16
    with pytest.raises(SelectorRuntimeError):
        selector.matches(Device("d"))
    with pytest.raises(SelectorRuntimeError, match="Key not found"):
        selector.matches(Device("d", {"m": 1}))
    assert len(calls) == 17
    assert Selector(selector.expression, path="other").matches(Device("d", {"n": 8}))
    assert len(calls) == 17


def test_cache_tells_types_and_domains_apart() -> None:
    equal = Selector('device.attributes["d"].n == 1')
    assert equal.matches(Device("d", {"n": 1}))
    assert not equal.matches(Device("d", {"n": True}))
    assert not equal.matches(Device("d", {"n": [1]}))
    known = Selector('"d" in device.attributes')
    assert known.matches(Device("d", {"n": 1}))
    assert not known.matches(Device("e", {"n": 1}))
    assert not known.matches(Device("d"))


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cel, "_MAX_CACHED", 10)
    _cel._program.cache_clear()
    selector = Selector('device.attributes["d"].n >= 0')
    for number in range(50):
        assert selector.matches(Device("d", {"n": number}))
    assert len(selector._program.cache) == 10


def test_selector_is_safe_from_many_threads() -> None:
    selector = Selector('device.attributes["d"].v.isLessThan(semver("50.0.0"))')
    wrong: list[int] = []

    def work(offset: int) -> None:
        other = Selector(f'device.attributes["d"].v.major() == {offset}')
        for step in range(200):
            number = (step * 7 + offset) % 100
            device = Device("d", {"v": Version(f"{number}.0.0")})
            if selector.matches(device) is not (number < 50):
                wrong.append(number)
            if other.matches(device) is not (number == offset):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_selector_is_immutable() -> None:
    selector = Selector("true")
    for name in ("expression", "semantics", "reads", "cost"):
        with pytest.raises(AttributeError):
            setattr(selector, name, None)
    assert (selector.expression, selector.semantics) == ("true", "1.37")
    assert repr(selector) == "Selector('true', semantics='1.37')"


@pytest.mark.parametrize(
    ("attributes", "capacities", "message"),
    [
        ({"n": 2**63}, {}, "64 bits"),
        ({"n": 1.5}, {}, "want bool"),
        ({"n": [[1]]}, {}, "list of lists"),
        ({"a/b/c": 1}, {}, "not a name"),
        ({"9": 1}, {}, "not a name"),
        ({"n": 1, "d/n": 2}, {}, "given twice"),
        ({}, {"m": "200K"}, "not a quantity"),
        ({}, {"m": True}, "want a quantity"),
    ],
)
def test_device_refuses_bad_values(
    attributes: dict[str, object], capacities: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Device("d", attributes, capacities)


def test_version_refuses_what_is_none() -> None:
    with pytest.raises(InvalidRequestError, match="not a semantic version"):
        Version("1.0")


def test_expression_must_be_text() -> None:
    with pytest.raises(InvalidRequestError, match="want str"):
        Selector(1)  # type: ignore[arg-type]


def test_topoalloc_alone_does_not_load_the_library() -> None:
    code = (
        "import sys, topoalloc, topoalloc.kubernetes; "
        "sys.exit('cel_expr_python' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
