# SPDX-License-Identifier: Apache-2.0
"""Gang and its parts: plain data, checked when made, the same after a round trip."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import topoalloc as ta
from topoalloc._gang import _Where

FIXTURE = Path(__file__).parent / "fixtures" / "gang-1.json"
SCHEMAS = Path(ta.__file__).parent / "schemas"
ONE_CORE = ta.Request(cores=1)


def podset(name: str = "worker", count: int = 12, **arguments: Any) -> ta.PodSet:
    return ta.PodSet(name, ONE_CORE, count, **arguments)


def gang(*podsets: ta.PodSet, **arguments: Any) -> ta.Gang:
    return ta.Gang("g", podsets or [podset()], **arguments)


def fixture() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIXTURE.read_text("utf-8"))
    return document


def validator() -> jsonschema.Draft202012Validator:
    schema, request = (
        json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
        for name in ("gang", "request")
    )
    # That it refers to is found by its $id.
    schema["$defs"]["request"] = request
    return jsonschema.Draft202012Validator(schema)


def test_schema_is_valid_and_knows_the_fixture() -> None:
    jsonschema.Draft202012Validator.check_schema(validator().schema)
    validator().validate(fixture())


def test_fixture_is_read_as_it_always_was() -> None:
    read = ta.Gang.from_dict(fixture())
    worker = ta.PodSet(
        "worker",
        ta.Request(
            cores=16,
            memory="64Gi",
            devices={"gpu": 2, "nic": 2},
            require=[ta.Pair("gpu", "nic", within="bridges")],
        ),
        64,
        48,
        require=[ta.Within("block")],
        prefer=[ta.Balanced("rack"), ta.Within("rack")],
        slices=[ta.Slice("rack", 16), ta.Slice("node", 4)],
        where={"zone": ta.OneOf("a", "b"), "pool": "h100", "stage": ta.Not("test")},
        tolerations=[ta.Toleration("maintenance", "", "NoExecute"), ta.Toleration()],
    )
    leader = ta.PodSet("leader", ta.Request(cores=4), 2, prefer=[ta.Spread("rack")])
    groups = [
        ta.Group(
            "pair", ["leader", "worker"], [ta.Within("block")], [ta.Within("rack")]
        ),
        ta.Group("all", ["pair"]),
    ]
    assert read == ta.Gang(
        "serve-7", [leader, worker], groups, priority=-5, queue="team-a"
    )


# --- one form, kept through every trip ---

WHOLE = ta.Gang.from_dict(fixture())
VALUES: list[Any] = [
    WHOLE,
    gang(),
    *WHOLE.podsets,
    *WHOLE.groups,
    ta.Within("rack"),
    ta.Spread("rack", 3),
    ta.Balanced("node"),
    ta.Rails("nic"),
    ta.Slice("rack", 4),
    ta.Taint("k", "v", "NoExecute"),
    ta.Toleration(value=""),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_trips_give_an_equal_value(value: object) -> None:
    names = {name: getattr(ta, name) for name in ta.__all__}
    for again in (
        pickle.loads(pickle.dumps(value)),
        copy.deepcopy(value),
        copy.copy(value),
        eval(repr(value), names),
    ):
        assert again == value
        assert hash(again) == hash(value)
        assert repr(again) == repr(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_do_not_change(value: Any) -> None:
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")
    assert value != "other"


def test_json_trip_gives_an_equal_gang() -> None:
    document = json.loads(json.dumps(WHOLE.to_dict()))
    assert document == fixture()
    assert ta.Gang.from_dict(document) == WHOLE


def test_core_gives_back_what_it_was_given() -> None:
    assert ta.Gang._of(WHOLE._compiled) == WHOLE


def test_defaults_are_left_out() -> None:
    document = gang().to_dict()
    validator().validate(document)
    assert document.keys() == {"apiVersion", "kind", "name", "podsets"}
    assert document["podsets"] == [
        {"name": "worker", "request": ONE_CORE.to_dict(), "count": 12}
    ]
    assert repr(podset()) == "PodSet(name='worker', request=Request(cores=1), count=12)"


def test_values_differ_in_each_field() -> None:
    changes: dict[str, Any] = {
        "name": "other",
        "request": ta.Request(cores=2),
        "count": 13,
        "min_count": 3,
        "require": [ta.Within("rack")],
        "prefer": [ta.Within("rack")],
        "slices": [ta.Slice("rack", 4)],
        "where": {"a": "b"},
        "tolerations": [ta.Toleration()],
    }
    assert changes.keys() == {field.name for field in dataclasses.fields(ta.PodSet)}
    made = [
        dataclasses.replace(podset(min_count=2), **{name: value})
        for name, value in changes.items()
    ]
    assert len({podset(min_count=2), *made}) == len(changes) + 1


def test_order_of_where_does_not_matter() -> None:
    one, other = podset(where={"a": "1", "b": "2"}), podset(where={"b": "2", "a": "1"})
    assert one == other
    assert hash(one) == hash(other)
    assert (repr(one.where), len(one.where)) == ("{'a': '1', 'b': '2'}", 2)
    assert isinstance(one.where, _Where)
    with pytest.raises(TypeError, match="assignment"):
        one.where["a"] = "3"  # type: ignore[index]


def test_arguments_are_copied() -> None:
    require, where = [ta.Within("rack")], {"a": "1"}
    made = podset(require=require, where=where)
    require.append(ta.Within("block"))
    where["a"] = "2"
    assert made.require == (ta.Within("rack"),)
    assert dict(made.where) == {"a": "1"}


def test_one_entry_needs_no_list() -> None:
    assert podset(require=ta.Within("rack")).require == (ta.Within("rack"),)
    assert podset(slices=ta.Slice("rack", 3)).slices == (ta.Slice("rack", 3),)
    assert ta.Gang("g", podset()).podsets == (podset(),)  # type: ignore[arg-type]


def test_iterators_are_read_once() -> None:
    made = ta.Gang("g", (podset(name) for name in "ab"))  # type: ignore[arg-type]
    assert [entry.name for entry in made.podsets] == ["a", "b"]
    assert ta.Gang.from_dict(made.to_dict()) == made


def test_min_count_is_the_count_unless_given() -> None:
    assert podset().min_count == 12
    assert podset(min_count=0).min_count == 0


# --- what is refused ---

HUGE = 10**5000
Maker = Callable[[], object]


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("rude")


REFUSED: list[tuple[Maker, str]] = [
    (lambda: ta.Within(""), "Within.level: '', want a name"),
    (lambda: ta.Within(None), "Within.level: NoneType, want a str"),  # type: ignore[arg-type]
    (lambda: ta.Within(b"rack"), "Within.level: bytes, want a str"),  # type: ignore[arg-type]
    (lambda: ta.Within("r\0"), "Within.level: 'r\\x00', want text without null"),
    (
        lambda: ta.Balanced("\ud800"),
        "Balanced.level: '\\ud800', want text without lone",
    ),
    (lambda: ta.Spread("rack", 0), "Spread.at_most: 0, want 1 to 4294967295"),
    (lambda: ta.Spread("rack", True), "Spread.at_most: bool, want an int"),
    (lambda: ta.Spread("rack", HUGE), "Spread.at_most: a huge integer, want 1 to"),
    (lambda: ta.Slice("rack", 0), "Slice.size: 0, want 1 to 4294967295"),
    (lambda: ta.Slice("rack", 1.5), "Slice.size: float, want an int"),  # type: ignore[arg-type]
    (lambda: ta.Taint(""), "Taint.key: '', want a name"),
    (lambda: ta.Taint("k", None), "Taint.value: NoneType, want a str"),  # type: ignore[arg-type]
    (
        lambda: ta.Taint("k", effect="Evict"),
        "Taint.effect: 'Evict', want NoSchedule or",
    ),
    (lambda: ta.Toleration(""), "Toleration.key: '', want a name"),
    (lambda: ta.Toleration(effect=3), "Toleration.effect: int, want a str"),  # type: ignore[arg-type]
    (lambda: podset(""), "PodSet.name: '', want a name"),
    (lambda: podset("a/b"), "PodSet.name: 'a/b', want a text without '/'"),
    (lambda: ta.PodSet("a", None, 1), "PodSet.request: NoneType, want a Request"),  # type: ignore[arg-type]
    (lambda: podset(count=0), "PodSet.count: 0, want 1 to 4294967295"),
    (lambda: podset(count=-1), "PodSet.count: -1, want 1 to"),
    (lambda: podset(count=2**32), "PodSet.count: 4294967296, want 1 to"),
    (lambda: podset(count=HUGE), "PodSet.count: a huge integer, want 1 to"),
    (lambda: podset(count="3"), "PodSet.count: str, want an int"),  # type: ignore[arg-type]
    (lambda: podset(min_count=13), "PodSet.min_count: 13, want at most the count, 12"),
    (lambda: podset(min_count=-1), "PodSet.min_count: -1, want 0 to"),
    (lambda: podset(slices=[ta.Slice("rack", 5)]), "slices[0].size: 5, want a divisor"),
    (
        lambda: podset(slices=[ta.Slice("rack", 6), ta.Slice("node", 4)]),
        "PodSet.slices[1].size: 4, want a divisor of 6",
    ),
    (lambda: podset(slices=[ta.Slice("a", 1)] * 4), "PodSet.slices: 4 slices, want at"),
    (lambda: podset(slices=[4]), "PodSet.slices[0]: int, want Slice"),
    (lambda: podset(require="rack"), "PodSet.require: str, want a list of Within or"),
    (
        lambda: podset(require=[ta.Slice("a", 1)]),
        "PodSet.require[0]: Slice, want Within",
    ),
    (lambda: podset(require={ta.Within("a")}), "PodSet.require: set, want a list"),
    (lambda: podset(prefer=[ta.Within("a")] * 9), "PodSet.prefer: 9 entries, want at"),
    (lambda: podset(prefer=None), "PodSet.prefer: NoneType, want a list of"),
    (lambda: podset(where=[]), "PodSet.where: list, want a mapping"),
    (
        lambda: podset(where={"a": 1}),
        "PodSet.where['a']: int, want a str, Not or OneOf",
    ),
    (lambda: podset(where={"a": ta.AtLeast(1)}), "PodSet.where['a']: AtLeast, want"),
    (lambda: podset(where={"a": ta.Not(1)}), "PodSet.where['a']: int, want a str"),
    (lambda: podset(where={"a": ta.OneOf("b", 2)}), "PodSet.where['a']: int, want a"),
    (lambda: podset(where={1: "a"}), "PodSet.where: int, want a str"),
    (
        lambda: podset(where={"\udcff": "a"}),
        "PodSet.where: '\\udcff', want text without",
    ),
    (lambda: podset(tolerations=["a"]), "PodSet.tolerations[0]: str, want Toleration"),
    (lambda: ta.Group("", ["a"]), "Group.name: '', want a name"),
    (lambda: ta.Group("x", "ab"), "Group.members: str, want a list of names"),
    (lambda: ta.Group("x", []), "Group.members: none, want at least one name"),
    (
        lambda: ta.Group("x", ["a", "a"]),
        "Group.members: ('a', 'a'), want each name once",
    ),
    (lambda: ta.Group("x", [3]), "Group.members[0]: int, want a str"),  # type: ignore[list-item]
    (
        lambda: ta.Group("x", ["a"], require=[ta.Spread("rack")]),  # type: ignore[list-item]
        "Group.require[0]: Spread, want Within",
    ),
    (lambda: ta.Group("x", ["a"], prefer=[ta.Within("a")] * 9), "Group.prefer: 9 entr"),
    (lambda: ta.Gang("", [podset()]), "Gang.name: '', want a name"),
    (lambda: ta.Gang("a/b", [podset()]), "Gang.name: 'a/b', want a text without '/'"),
    (lambda: ta.Gang("g", []), "gang.podsets: 0, want 1 to 16"),
    (lambda: gang(*(podset(str(i)) for i in range(17))), "gang.podsets: 17, want 1 to"),
    (lambda: ta.Gang("g", [None]), "Gang.podsets[0]: NoneType, want PodSet"),  # type: ignore[list-item]
    (lambda: ta.Gang("g", 3), "Gang.podsets: int, want a list of PodSet"),  # type: ignore[arg-type]
    (lambda: gang(podset("a"), podset("a")), "podsets[1].name: 'a' twice, want differ"),
    (
        lambda: gang(groups=[ta.Group("worker", ["worker"])]),
        "groups[0].name: 'worker' t",
    ),
    (
        lambda: gang(groups=[ta.Group("x", ["other"])]),
        "groups[0].members: 'other', want",
    ),
    (
        lambda: gang(groups=[ta.Group("x", ["y"]), ta.Group("y", ["worker"])]),
        "gang.groups[0].members: 'y', want different PodSets or Groups declared before",
    ),
    (
        lambda: gang(groups=[ta.Group(str(i), ["worker"]) for i in range(17)]),
        "gang.groups: 17, want at most 16",
    ),
    (lambda: gang(priority=2**31), "Gang.priority: 2147483648, want -2147483648 to"),
    (lambda: gang(priority=-HUGE), "Gang.priority: a huge integer, want"),
    (lambda: gang(priority=None), "Gang.priority: NoneType, want an int"),
    (lambda: gang(priority=True), "Gang.priority: bool, want an int"),
    (lambda: gang(queue=b"q"), "Gang.queue: bytes, want a str"),
    (lambda: ta.PodSet("a", Rude(), 1), "PodSet.request: Rude, want a Request"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("make", "message"), REFUSED, ids=lambda value: str(value)[:40]
)
def test_what_is_wrong_is_refused_by_name(make: Maker, message: str) -> None:
    with pytest.raises(ta.InvalidRequestError, match=re.escape(message)):
        make()


def change(document: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return a copy with one value set, or dropped where it is `change` itself."""
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is change:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


WORKER = ("podsets", 1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("kind",), "Request", "Gang.kind: 'Request', want 'Gang'"),
        (("apiVersion",), "v2", "Gang.apiVersion: 'v2', want"),
        (("name",), "", "Gang.name: '', want a name"),
        (("name",), change, "Gang.name: absent, want it given"),
        (("podsets",), change, "Gang.podsets: absent, want it given"),
        (("podsets",), {}, "Gang.podsets: dict, want a list"),
        (("podsets", 0), 3, "Gang.podsets[0]: int, want an object"),
        (("colour",), 3, "Gang: 'colour', want one of name, podsets, groups, priority"),
        ((*WORKER, "size"), 3, "Gang.podsets[1]: 'size', want one of name, request"),
        ((*WORKER, "count"), 0, "Gang.podsets[1].count: 0, want 1 to"),
        ((*WORKER, "count"), change, "Gang.podsets[1].count: absent, want it given"),
        ((*WORKER, "name"), "leader", "Gang.podsets[1].name: 'leader' twice"),
        ((*WORKER, "request"), {}, "Gang.podsets[1].request: Request.apiVersion: None"),
        ((*WORKER, "require"), "x", "Gang.podsets[1].require: str, want a list"),
        ((*WORKER, "require"), [{}], "podsets[1].require[0]: not an object of one key"),
        (
            (*WORKER, "require"),
            [{"near": {}}],
            "require[0]: 'near', want one of within",
        ),
        (
            (*WORKER, "require"),
            [{"within": {}}],
            "Gang.podsets[1].require[0].within.level: absent, want it given",
        ),
        (
            (*WORKER, "require"),
            [{"spread": {"level": "a", "at_most": 0}}],
            "Gang.podsets[1].require[0].spread.at_most: 0, want 1",
        ),
        (
            (*WORKER, "slices"),
            [{"level": "a"}],
            "slices[0].size: absent, want it given",
        ),
        (
            (*WORKER, "slices", 0, "size"),
            5,
            "Gang.podsets[1].slices[0].size: 5, want a",
        ),
        ((*WORKER, "where"), [], "Gang.podsets[1].where: list, want an object"),
        ((*WORKER, "where", "pool"), {}, "where.'pool': not an object of one key"),
        (
            (*WORKER, "where", "pool"),
            {"is": "a"},
            "where.'pool': 'is', want equal, not",
        ),
        (
            (*WORKER, "where", "pool"),
            {"one_of": []},
            "where.'pool'.one_of: [], want at",
        ),
        ((*WORKER, "where", "pool"), {"not": 3}, "where.'pool'.not: int, want a str"),
        (
            (*WORKER, "where", "pool"),
            3,
            "Gang.podsets[1].where['pool']: int, want a str",
        ),
        (
            (*WORKER, "tolerations"),
            [{"effect": "x"}],
            "tolerations[0].effect: 'x', want",
        ),
        (("groups", 0, "members"), [], "Gang.groups[0].members: none, want at least"),
        (
            ("groups", 0, "members"),
            ["x"],
            "Gang.groups[0].members: 'x', want different",
        ),
        (
            ("groups", 0, "require"),
            [{"balanced": {"level": "a"}}],
            "Gang.groups[0].require[0]: Balanced, want Within",
        ),
        (("priority",), 2**40, "Gang.priority: 1099511627776, want"),
        (("queue",), None, "Gang.queue: NoneType, want a str"),
    ],
)
def test_damaged_document_names_the_path(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    with pytest.raises(ta.FormatError, match=re.escape(message)):
        ta.Gang.from_dict(change(fixture(), path, value))


@pytest.mark.parametrize("document", [None, 3, "{}", [], {"kind": "Gang"}])
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(ta.FormatError, match=r"^Gang"):
        ta.Gang.from_dict(document)


# --- any Gang ---

names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"),
    min_size=1,
    max_size=5,
)
levels = st.sampled_from(["block", "rack", "node"])
constraints = st.one_of(
    st.builds(ta.Within, levels),
    st.builds(ta.Balanced, levels),
    st.builds(ta.Spread, levels, st.integers(1, 2**32 - 1)),
)
conditions = st.one_of(
    names,
    st.builds(ta.Not, names),
    st.lists(names, min_size=1, max_size=3).map(lambda values: ta.OneOf(*values)),
)
effects = st.sampled_from(["NoSchedule", "NoExecute"])
tolerations = st.builds(
    ta.Toleration,
    st.none() | names,
    st.none() | names | st.just(""),
    st.none() | effects,
)


@st.composite
def gangs(draw: st.DrawFn) -> ta.Gang:
    podset_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    podsets = [
        ta.PodSet(
            name,
            ta.Request(
                cores=draw(st.integers(1, 4)),
                memory=draw(st.integers(0, 9)),
                devices={"nic": 1},
            ),
            count := draw(st.integers(1, 2**32 - 1)),
            draw(st.none() | st.integers(0, count)),
            draw(st.lists(constraints, max_size=3))
            + draw(st.lists(st.just(ta.Rails("nic")), max_size=1)),
            draw(st.lists(constraints, max_size=3)),
            [ta.Slice(draw(levels), count)] if draw(st.booleans()) else [],
            draw(st.dictionaries(names, conditions, max_size=3)),
            draw(st.lists(tolerations, max_size=2)),
        )
        for name in podset_names
    ]
    members = st.lists(st.sampled_from(podset_names), min_size=1, unique=True)
    withins = st.lists(st.builds(ta.Within, levels), max_size=2)
    groups = [
        ta.Group(f"group {i}", draw(members), draw(withins))
        for i in range(draw(st.integers(0, 2)))
    ]
    groups = [group for group in groups if group.name not in podset_names]
    return ta.Gang(
        draw(names),
        podsets,
        groups,
        draw(st.integers(-(2**31), 2**31 - 1)),
        draw(st.just("") | names),
    )


@given(gang=gangs())
def test_every_gang_survives_its_trips(gang: ta.Gang) -> None:
    document = json.loads(json.dumps(gang.to_dict()))
    validator().validate(document)
    again = ta.Gang.from_dict(document)
    assert again == gang == ta.Gang._of(gang._compiled)
    assert hash(again) == hash(gang)
    assert pickle.loads(pickle.dumps(gang)) == gang
