# SPDX-License-Identifier: Apache-2.0
"""Request and its parts: values, equality, JSON form, and what is refused."""

from __future__ import annotations

import copy
import enum
import inspect
import json
import pickle
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import topoalloc as ta

FULL: dict[str, Any] = {
    "pus": 6,
    "whole_cores": True,
    "memory": "64Gi",
    "kind": "hbm",
    "hugepages": {"2Mi": "1Gi", "1Gi": "2Gi"},
    "devices": {
        "gpu": ta.DeviceRequest(
            2,
            where={
                "model": ta.OneOf("A100", "H100"),
                "memory": ta.AtLeast("80Gi"),
                "ecc": True,
                "slot": ta.Not(3),
                "numa": ta.AtMost(1),
            },
            eligible=["gpu1", "gpu0"],
        ),
        "nic": 2,
        "slice": ta.DeviceRequest(1, partition="1g.10gb"),
        "vgpu": ta.DeviceRequest(1, share={"memory": "10Gi"}),
    },
    "exclude": ["gpu7", "gpu3"],
    "keep": ["pus", "gpu"],
    "require": [
        ta.Align("numa", of=("pus", "gpu")),
        ta.Pair("gpu", "nic", within="PXB", ratio=(1, 1)),
        ta.Link("gpu", "connected", 25_000),
        ta.Same("rail", of="nic"),
    ],
    "prefer": [ta.Distinct("rail", of=("nic",)), ta.Near(("nvme0",), within="NODE")],
}


def test_arguments_come_back_in_base_units() -> None:
    request = ta.Request(**FULL)
    assert (request.pus, request.whole_cores, request.cores) == (6, True, 0)
    assert request.memory == 64 * 2**30
    assert request.kind == "hbm"
    assert request.hugepages == {2**21: 2**30, 2**30: 2**31}
    assert list(request.devices) == ["gpu", "nic", "slice", "vgpu"]
    gpu = request.devices["gpu"]
    assert gpu.count == 2
    assert gpu.where["memory"] == ta.AtLeast(80 * 2**30)
    assert gpu.where["model"] == ta.OneOf("A100", "H100")
    assert gpu.where["ecc"] is True
    assert gpu.eligible == ("gpu0", "gpu1")
    assert request.devices["slice"].partition == "1g.10gb"
    assert request.devices["vgpu"].share == {"memory": 10 * 2**30}
    assert request.exclude == ("gpu3", "gpu7")
    assert request.keep == ("gpu", "pus")
    assert request.require == tuple(FULL["require"])
    assert request.prefer == tuple(FULL["prefer"])


def test_nvidia_smi_names_are_names_of_levels() -> None:
    assert ta.Pair("gpu", "nic", within="PIX") == ta.Pair("gpu", "nic", within="switch")
    assert ta.Pair("gpu", "nic", within=ta.Level.ROOT).within == "root"
    assert ta.Near("gpu0", "SYS").within == "machine"


def test_equal_requests_are_equal_and_hash_alike() -> None:
    one, other = ta.Request(**FULL), ta.Request(**FULL)
    assert one == other
    assert hash(one) == hash(other)
    assert one.digest == other.digest
    assert len({one, other}) == 1
    assert one != "request"


def test_order_of_unordered_parts_does_not_matter() -> None:
    assert ta.Request(devices={"gpu": 1, "nic": 2}) == ta.Request(
        devices={"nic": 2, "gpu": 1}
    )
    assert ta.DeviceRequest(1, where={"a": 1, "b": 2}) == ta.DeviceRequest(
        1, where={"b": 2, "a": 1}
    )
    assert ta.Request(cores=1, exclude=["b", "a"]) == ta.Request(
        cores=1, exclude=["a", "b"]
    )
    assert ta.Align("numa", of=("gpu", "pus")) == ta.Align(
        "NUMA", of=("pus", "gpu", "gpu")
    )


def test_order_of_preferences_matters() -> None:
    near, align = ta.Near("gpu0"), ta.Align("l3")
    assert ta.Request(cores=1, prefer=[near, align]) != ta.Request(
        cores=1, prefer=[align, near]
    )


def test_true_is_not_one() -> None:
    one = ta.DeviceRequest(1, where={"rdma": 1})
    true = ta.DeviceRequest(1, where={"rdma": True})
    assert one != true
    assert ta.Request(devices={"nic": one}) != ta.Request(devices={"nic": true})


@pytest.mark.parametrize("duplicate", [pickle.loads, copy.copy, copy.deepcopy])
def test_copies_are_equal(duplicate: Callable[..., object]) -> None:
    request = ta.Request(**FULL)
    again = duplicate(pickle.dumps(request) if duplicate is pickle.loads else request)
    assert type(again) is ta.Request
    assert again == request
    assert again.to_dict() == request.to_dict()


def test_device_request_pickles() -> None:
    wanted = FULL["devices"]["gpu"]
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    assert hash(pickle.loads(pickle.dumps(wanted))) == hash(wanted)


def test_json_form_comes_back_equal() -> None:
    request = ta.Request(**FULL)
    text = json.dumps(request.to_dict())
    assert ta.Request.from_dict(json.loads(text)) == request


def test_json_form_takes_quantities_and_plain_counts() -> None:
    document = {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Request",
        "cores": 4,
        "memory": "8Gi",
        "hugepages": {"2Mi": "4Mi"},
        "devices": {"gpu": 2, "nic": {"count": 1, "where": {"rdma": True}}},
        "require": [{"align": {"level": "numa"}}],
    }
    assert ta.Request.from_dict(document) == ta.Request(
        cores=4,
        memory=2**33,
        hugepages={2**21: 2**22},
        devices={"gpu": 2, "nic": ta.DeviceRequest(1, where={"rdma": True})},
        require=[ta.Align("numa")],
    )


def test_nothing_changes_a_request() -> None:
    request = ta.Request(cores=2)
    with pytest.raises(AttributeError):
        request.cores = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        request.note = "x"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="does not change"):
        ta.DeviceRequest(1).note = "x"
    with pytest.raises(AttributeError):
        ta.Align("numa").level = "l3"  # type: ignore[misc]


def test_replace_changes_one_argument() -> None:
    request = ta.Request(cores=2, memory="1Gi")
    assert request.replace(cores=4) == ta.Request(cores=4, memory="1Gi")
    assert request.cores == 2


def test_repr_makes_an_equal_request() -> None:
    request = ta.Request(cores=2, devices={"gpu": 1}, require=[ta.Align("numa")])
    names = {name: getattr(ta, name) for name in ("Align", "DeviceRequest", "Request")}
    assert eval(repr(request), names) == request


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "request: nothing asked for"),
        ({"cores": -1}, "cores: -1, want 0 to"),
        ({"cores": 2**32}, "cores: 4294967296, want 0 to"),
        ({"cores": True}, "cores: True, want an int"),
        ({"cores": 1.5}, r"cores: 1\.5, want an int"),
        ({"cores": 1, "pus": 1}, "cores: 1 with pus 1, want one"),
        ({"cores": 1, "whole_cores": True}, "whole_cores: true without pus"),
        ({"cores": 1, "whole_cores": 1}, "whole_cores: 1, want a bool"),
        ({"memory": "64GB"}, "memory: '64GB', want"),
        ({"memory": -1}, "memory: -1, want at least 0"),
        ({"memory": 2**62 + 1}, r"memory: 4611686018427387905, want at most 2\^62"),
        ({"memory": 1, "kind": "gpu"}, "kind: gpu"),
        ({"memory": 1, "kind": "tape"}, "kind: 'tape', want one of dram"),
        ({"hugepages": {"2Mi": "3Mi"}}, "hugepages"),
        ({"hugepages": {"2Mi": "2Mi", 2**21: "2Mi"}}, "twice"),
        ({"hugepages": ["2Mi"]}, "hugepages: .*, want a mapping"),
        ({"devices": {"gpu": 0}}, "gpu.*: 0, want 1 to"),
        ({"devices": {"gpu": "2"}}, "gpu.*: '2', want an int"),
        ({"devices": {"": 1}}, "devices: '', want a name"),
        ({"devices": {"pus": 1}}, "class 'pus'"),
        ({"devices": ["gpu"]}, "devices: .*, want a mapping"),
        ({"cores": 1, "exclude": [3]}, "exclude: int, want a str"),
        ({"cores": 1, "exclude": ["\ud800"]}, "exclude: .*, want text without lone"),
        ({"cores": 1, "keep": ["gpu"]}, "keep"),
        ({"cores": 1, "require": ["numa"]}, r"require\[0\]: 'numa', want a constraint"),
        ({"cores": 1, "require": 3}, "require: 3, want an iterable"),
        (
            {"cores": 1, "prefer": [ta.Align("l3")] * 9},
            "prefer: 9 entries, want at most 8",
        ),
        (
            {"cores": 1, "require": [ta.Align("socket")]},
            "level: 'socket', want one of l3",
        ),
    ],
)
def test_refuses_what_has_no_meaning(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ta.InvalidRequestError, match=message):
        ta.Request(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ta.DeviceRequest(0), "count: 0, want 1 to"),
        (lambda: ta.DeviceRequest(1, where={"a": 1.5}), r"where\['a'\]: float"),  # type: ignore[dict-item]
        (lambda: ta.DeviceRequest(1, where={"a": 2**63}), "64 bits"),
        (lambda: ta.DeviceRequest(1, where={"a": "\ud800"}), "lone surrogates"),
        (lambda: ta.DeviceRequest(1, where={1: 2, "a": 3}), "where: int, want a str"),  # type: ignore[dict-item]
        (lambda: ta.Pair("a", "b", within="\ud800"), "within: .* lone surrogates"),
        (lambda: ta.Near("gpu0", within="\ud800"), "within: .* lone surrogates"),
        (lambda: ta.Same("\ud800", of="gpu"), "Same.attribute: .* lone surrogates"),
        (lambda: ta.OneOf("a", "\ud800"), "OneOf: .* lone surrogates"),
        (lambda: ta.Not("\ud800"), "Not: .* lone surrogates"),
        (lambda: ta.DeviceRequest(1, where={"a": ta.AtLeast("80GB")}), "80GB"),
        (lambda: ta.DeviceRequest(1, share={"memory": "x"}), "share"),
        (lambda: ta.DeviceRequest(1, partition=""), "partition: '', want a name"),
        (ta.OneOf, "OneOf: no value"),
        (
            lambda: ta.Pair("gpu", "nic", within="near"),
            "within: 'near', want one of self",
        ),
        (lambda: ta.Pair("gpu", "nic", ratio=(0, 1)), "ratio: 0, want 1 to"),
        (lambda: ta.Pair("gpu", "nic", ratio=(1, 1, 1)), "want two numbers"),  # type: ignore[arg-type]
        (lambda: ta.Link("gpu", min_mb_s=-1), "min_mb_s: -1, want 0 to"),
        (lambda: ta.Same("rail", of=3), "Same.of: int, want an iterable"),  # type: ignore[arg-type]
        (lambda: ta.Near((), within="x"), "within: 'x'"),
    ],
)
def test_refuses_a_part_without_meaning(
    make: Callable[..., object], message: str
) -> None:
    with pytest.raises(ta.InvalidRequestError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "v2"}, "Request.apiVersion: 'v2', want"),
        ({"kind": "Machine"}, "Request.kind: 'Machine', want 'Request'"),
        ({"cpus": 3}, "'cpus', want one of"),
        ({"cores": "3"}, "cores: '3', want an int"),
        ({"devices": {"gpu": {"where": {}}}}, "devices.gpu.count: absent"),
        ({"devices": {"gpu": {"count": 1, "model": "x"}}}, "devices.gpu: 'model'"),
        ({"devices": {"gpu": {"count": 1, "where": {"a": {"like": 1}}}}}, "where.a: "),
        (
            {"require": [{"align": {"level": "numa", "at": 1}}]},
            r"require\[0\].align: 'at'",
        ),
        ({"require": [{"align": {}}]}, r"require\[0\].align.level: missing"),
        ({"require": [{"order": {}}]}, r"require\[0\]: 'order', want one of align"),
        ({"require": {"align": {}}}, "require: .*, want a list"),
        ({"prefer": [[]]}, r"prefer\[0\]: not an object of one key"),
    ],
)
def test_json_form_names_the_path_of_what_is_wrong(
    change: dict[str, Any], message: str
) -> None:
    document = ta.Request(cores=1).to_dict() | change
    with pytest.raises(ta.FormatError, match=message):
        ta.Request.from_dict(document)


@pytest.mark.parametrize("document", [None, [], "Request", 3])
def test_json_form_must_be_an_object(document: Mapping[str, object]) -> None:
    with pytest.raises(ta.FormatError, match="want an object"):
        ta.Request.from_dict(document)


def test_object_without_init_is_refused() -> None:
    """Memory that no constructor has seen must not be read."""
    allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:2 pu:1"))
    raw = ta.Request.__new__(ta.Request)
    for use in (
        lambda: raw.cores,
        lambda: repr(raw),
        lambda: hash(raw),
        lambda: raw == ta.Request(cores=1),
        lambda: ta.Request(cores=1) == raw,
        lambda: pickle.dumps(raw),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(TypeError, match="__init__ was not called"):
        allocator.check(raw)


def test_one_request_serves_many_machines_and_threads() -> None:
    request = ta.Request(cores=2)
    allocators = [
        ta.Allocator(ta.Machine.from_synthetic(f"pack:1 core:{n} pu:2"))
        for n in range(1, 13)
    ]

    def ask(_: int) -> list[bool]:
        return [bool(allocator.check(request)) for allocator in allocators]

    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(ask, range(40)):
            assert answers == [False] + [True] * 11


ARGUMENTS = (
    *("cores", "pus", "whole_cores", "memory", "kind", "hugepages", "devices"),
    *("exclude", "keep", "require", "prefer"),
)


class Checked(ta.Request):
    """Goes through the checks of ``__init__`` whatever the arguments are."""

    __slots__ = ()


class Word(enum.StrEnum):
    """A str whose ``name`` is not what it says."""

    GPU = "gpu"
    GPU0 = "gpu0"


class Many(enum.IntEnum):
    TWO = 2


def outcome(make: Callable[[], ta.Request]) -> tuple[object, ...]:
    """Return what came out, or the error with its words."""
    try:
        made = make()
    except Exception as error:
        return (type(error), str(error))
    return (made.fields(), made.to_dict(), made.digest, hash(made), repr(made))


@pytest.mark.parametrize(
    "arguments",
    [
        FULL,
        {},
        {"cores": 1},
        {"cores": True},
        {"cores": 2**32 - 1},
        {"cores": 2**32},
        {"cores": -1},
        {"cores": 2**99},
        {"cores": 1.0},
        {"cores": Many.TWO},
        {"cores": None},
        {"cores": 1, "pus": 1},
        {"pus": 2, "whole_cores": 1},
        {"pus": 2, "whole_cores": True},
        {"cores": 1, "memory": "64Gi"},
        {"cores": 1, "memory": "64G"},
        {"cores": 1, "memory": "7k"},
        {"cores": 1, "memory": "7K"},
        {"cores": 1, "memory": "7ki"},
        {"cores": 1, "memory": "7Ki"},
        {"cores": 1, "memory": "7E"},
        {"cores": 1, "memory": "8Ei"},
        {"cores": 1, "memory": "7Ei"},
        {"cores": 1, "memory": "7e3"},
        {"cores": 1, "memory": "7m"},
        {"cores": 1, "memory": "1.5Ti"},
        {"cores": 1, "memory": "+5"},
        {"cores": 1, "memory": "5."},
        {"cores": 1, "memory": " 5"},
        {"cores": 1, "memory": "5 "},
        {"cores": 1, "memory": "5GiB"},
        {"cores": 1, "memory": "Gi"},
        {"cores": 1, "memory": ""},
        {"cores": 1, "memory": "0" * 70 + "5"},
        {"cores": 1, "memory": "0" * 15 + "5"},
        {"cores": 1, "memory": "9223372036854775807"},
        {"cores": 1, "memory": "9223372036854775808"},
        {"cores": 1, "memory": "99999999999999999999999"},
        {"cores": 1, "memory": "\u0663"},
        {"cores": 1, "memory": 2**63},
        {"cores": 1, "memory": 2**63 - 1},
        {"cores": 1, "memory": False},
        {"cores": 1, "memory": True},
        {"cores": 1, "memory": None},
        {"memory": 5, "kind": "hbm"},
        {"memory": 5, "kind": "HBM"},
        {"memory": 5, "kind": "gpu"},
        {"memory": 5, "kind": ""},
        {"cores": 1, "hugepages": None},
        {"cores": 1, "hugepages": {"2Mi": 0, "1Gi": "1Gi"}},
        {"cores": 1, "hugepages": {"2Mi": 0, 2**21: 2**21}},
        {"cores": 1, "hugepages": {"2Mi": "1G"}},
        {"cores": 1, "hugepages": {"2M": 5.0}},
        {"cores": 1, "hugepages": []},
        {"cores": 1, "devices": None},
        {"cores": 1, "devices": []},
        {"cores": 1, "devices": {"nic": 1, "gpu": 2, "\u00e9": 3, "Z": 1}},
        {"devices": {Word.GPU: 1}},
        {"devices": {"": 1}},
        {"devices": {"gpu": 0}},
        {"devices": {"gpu": True}},
        {"devices": {"gpu": "2"}},
        {"devices": {"\ud800": 2}},
        {"devices": {3: 2}},
        {"devices": {"gpu": None}},
        {"devices": {"gpu": ta.DeviceRequest(1, share={"b": 1, "a": 2})}},
        {"devices": {"gpu": ta.DeviceRequest(1, eligible=[])}},
        {"devices": MappingProxyType({"gpu": 1})},
        {"cores": 1, "exclude": ["gpu1", "gpu0", "gpu1"]},
        {"cores": 1, "exclude": [Word.GPU0]},
        {"cores": 1, "exclude": "gpu0"},
        {"cores": 1, "exclude": {"gpu0"}},
        {"cores": 1, "exclude": ["\ud800"]},
        {"cores": 1, "exclude": [""]},
        {"cores": 1, "exclude": None},
        {"cores": 1, "keep": ["pus", "pus"]},
        {"cores": 1, "keep": "pus"},
        {"cores": 1, "keep": ["gpu"]},
        {"cores": 1, "require": ta.Align("numa")},
        {"cores": 1, "require": [ta.Align("numb")]},
        {"cores": 1, "require": (ta.Align("NUMA", of="pus"),)},
        {"cores": 1, "require": ["numa"]},
        {"cores": 1, "require": None},
        {"devices": {"gpu": 1}, "require": [ta.Pair("gpu", "nic")]},
        {"devices": {"gpu": 1}, "require": [ta.Near("gpu0", within="self")]},
        {"devices": {"gpu": 1}, "require": [ta.Link("gpu", "ring")]},
        {"cores": 1, "prefer": [ta.Align("numa")] * 9},
        {"core": 1},
        {"cores": 1, "\ud800": 1},
    ],
    ids=repr,
)
def test_plain_arguments_mean_what_init_says(arguments: dict[str, Any]) -> None:
    assert outcome(lambda: ta.Request(**arguments)) == outcome(
        lambda: Checked(**arguments)
    )


def test_no_positional_argument() -> None:
    make: Any = ta.Request
    with pytest.raises(TypeError, match="positional"):
        make(3)


def test_iterators_are_read_once() -> None:
    aligned = ta.Align("numa")
    request = ta.Request(cores=1, exclude=iter(["gpu0"]), require=iter([aligned]))
    assert (request.exclude, request.require) == (("gpu0",), (aligned,))


def test_signature_names_every_argument() -> None:
    parameters = inspect.signature(ta.Request).parameters
    assert tuple(parameters) == ARGUMENTS


def test_request_is_made_once() -> None:
    request = ta.Request(cores=1)
    again: Any = request
    with pytest.raises(TypeError, match="made already"):
        again.__init__(cores=2)
    assert request == ta.Request(cores=1)


def test_weak_reference_ends_with_the_request() -> None:
    request = ta.Request(cores=1)
    reference = weakref.ref(request)
    assert reference() is request
    del request
    assert reference() is None


def test_subclass_may_hold_more() -> None:
    class Named(ta.Request):
        def __init__(self, name: str, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.name = name

    named = Named("train", cores=2)
    assert (named.name, named.cores) == ("train", 2)
    assert named == ta.Request(cores=2)


texts = st.sampled_from(["gpu", "nic", "nvme"])
levels = st.sampled_from(
    ["self", "switch", "bridges", "root", "numa", "package", "machine"]
)
ofs = st.lists(texts, min_size=1, max_size=3).map(tuple)
constraints = st.one_of(
    st.builds(ta.Align, st.sampled_from(["l3", "numa", "package"]), ofs),
    st.builds(ta.Pair, st.just("gpu"), st.just("nic"), levels, st.just((2, 1))),
    st.builds(
        ta.Link, texts, st.sampled_from(["clique", "connected"]), st.integers(1, 10**6)
    ),
    st.builds(ta.Same, texts, ofs),
    st.builds(ta.Distinct, texts, ofs),
    st.builds(ta.Near, ofs, levels),
)
values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=4))
conditions = st.one_of(
    values,
    st.builds(ta.AtLeast, st.integers(-9, 9)),
    st.builds(ta.AtMost, st.integers(-9, 9)),
    st.lists(values, min_size=1, max_size=3).map(lambda found: ta.OneOf(*found)),
    st.builds(ta.Not, values),
)
wanted = st.builds(
    ta.DeviceRequest,
    st.integers(1, 9),
    where=st.dictionaries(
        st.text("ab", min_size=1, max_size=3), conditions, max_size=3
    ),
    eligible=st.none() | st.lists(st.sampled_from(["gpu0", "gpu1"]), max_size=2),
)
requests = st.builds(
    ta.Request,
    cores=st.integers(1, 99),
    memory=st.integers(0, 2**62),
    # Each class, since constraints may name any; counts in the ratios of the pairs.
    devices=st.fixed_dictionaries(
        {"gpu": st.just(4), "nic": st.just(2), "nvme": wanted | st.integers(1, 9)}
    ),
    require=st.lists(constraints, max_size=4),
    prefer=st.lists(constraints, max_size=4),
)


@given(request=requests)
def test_any_request_survives_json_and_pickle(request: ta.Request) -> None:
    read = ta.Request.from_dict(json.loads(json.dumps(request.to_dict())))
    assert read == request
    assert read.digest == request.digest
    assert pickle.loads(pickle.dumps(request)) == request


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**33),
    st.floats(allow_nan=False),
    st.sampled_from(["", "gpu", "2Gi", "1.5G", "64GB", "hbm", "\ud800", "pus"]),
    st.lists(st.sampled_from(["gpu0", "gpu1", "", 3, "pus"]), max_size=3),
    st.dictionaries(
        texts | st.sampled_from(["", "2Mi", 3]), wanted | values, max_size=3
    ),
    constraints,
    st.lists(constraints, max_size=9),
)


@given(
    arguments=st.fixed_dictionaries(
        {"cores": st.integers(0, 9) | junk},
        optional=dict.fromkeys([name for name in ARGUMENTS if name != "cores"], junk),
    )
)
def test_any_argument_means_what_init_says(arguments: dict[str, Any]) -> None:
    assert outcome(lambda: ta.Request(**arguments)) == outcome(
        lambda: Checked(**arguments)
    )


@given(request=requests)
def test_any_request_means_what_init_says(request: ta.Request) -> None:
    arguments = request._arguments()
    again: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in arguments.items()
    }
    assert ta.Request(**again) == Checked(**again) == request
    assert ta.Request(**again).fields() == Checked(**again).fields()
