# SPDX-License-Identifier: Apache-2.0
"""Every public call takes what nobody should give it: accepted, or an error of ours.

What is asked of each call and each value: it is accepted, or a TopoallocError comes
whose message names what is wrong, and nothing of the state has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

import topoalloc as ta
from topoalloc import draw, hwloc

HUGE = 10**5000  # Python does not print it.


def deep() -> list[Any]:
    """Lists in lists, beyond what repr() and json can follow."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


HOSTILE: tuple[Any, ...] = (
    None,
    5,
    0.5,
    True,
    "",
    "x",
    b"x",
    [],
    {},
    object(),
    HUGE,
    -HUGE,
    "9" * 5000,
    -1,
    float("nan"),
    "\ud800",
    "\0",
    [HUGE],
    {"x": HUGE},
    ("x", "\ud800"),
    Unprintable(),
)
# What Python says of itself when nobody looked at a value before.
MACHINERY = re.compile(
    r"incompatible|Exceeds the limit|recursion|positional|has no attribute|codec|"
    r"not iterable|unhashable|not supported"
)
MACHINE: Mapping[str, Any] = {
    "apiVersion": "topoalloc.dev/v1alpha1",
    "kind": "Machine",
    "name": "small",
    "info": {"vendor": "nobody"},
    "cores": [{"cpuset": f"{i}-{i + 1}"} for i in range(0, 16, 2)],
    "allowed_pus": "0-15",
    "numa_nodes": [
        {"os_index": 0, "cpuset": "0-7", "memory": "8Gi", "hugepages": {"2Mi": "1Gi"}},
        {"os_index": 1, "cpuset": "8-15", "memory": "8Gi"},
    ],
    "distances": {"numa_nodes": [0, 1], "values": [[10, 21], [21, 10]]},
    "bridges": [{"name": "host", "host": True}],
    "devices": [
        {
            "class": "gpu",
            "name": "gpu0",
            "numa_nodes": [0],
            "capacities": {"memory": "80Gi"},
            "attributes": {"model": "H100", "rail": 0},
        },
        {"class": "nic", "name": "nic0", "numa_nodes": [0], "attributes": {"rail": 0}},
    ],
    "links": [],
    "overrides": {"levels": [{"a": "gpu0", "b": "nic0", "level": "switch"}]},
}
ONE = ta.Request(cores=1)
FULL = ta.Request(
    cores=1,
    memory="1Mi",
    hugepages={"2Mi": "2Mi"},
    devices={"gpu": ta.DeviceRequest(1, where={"model": "H100"}), "nic": 1},
    require=[ta.Align("numa"), ta.Pair("gpu", "nic", within="switch")],
    prefer=[ta.Same("rail", of=("gpu", "nic"))],
)


@dataclass(frozen=True)
class World:
    machine: ta.Machine
    allocator: ta.Allocator
    placement: ta.Placement
    verdict: ta.Verdict
    batch: ta.BatchVerdict
    record: Mapping[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    machine = ta.Machine.from_dict(MACHINE)
    allocator = ta.Allocator(machine)
    verdict = allocator.check(ta.Request(cores=9, devices={"gpu": 1}))
    placement = allocator.allocate(ONE, owner="held")
    batch = allocator.check_joint({"a": ta.Request(cores=5), "b": ta.Request(cores=5)})
    return World(machine, allocator, placement, verdict, batch, verdict.to_dict())


def request_of(**arguments: Any) -> Callable[[World, Any], object]:
    """Make the Request of one argument or several, then ask."""

    def call(w: World, v: Any) -> object:
        made = {name: argument(v) for name, argument in arguments.items()}
        return w.allocator.check(ta.Request(**({"cores": 1} | made)))

    return call


def requiring(make: Callable[[Any], Any]) -> Callable[[World, Any], object]:
    return lambda w, v: w.allocator.check(
        ta.Request(cores=1, devices={"gpu": 1, "nic": 1}, require=[make(v)])
    )


def refusal(call: Callable[[], object]) -> Exception | None:
    """Return the error of ours that a call ends with, or None; others go through."""
    try:
        call()
    except (ta.TopoallocError, OSError) as error:
        return error
    return None


def document_with(name: str) -> Callable[[World, Any], object]:
    """Read a Request of which one part is hostile."""
    return lambda _, v: ta.Request.from_dict(FULL.to_dict() | {name: v})


def conditioned(condition: Callable[[Any], Any]) -> Callable[[World, Any], object]:
    """Ask for a device whose rail meets a condition."""
    return lambda w, v: w.allocator.check(
        ta.Request(devices={"gpu": ta.DeviceRequest(1, where={"rail": condition(v)})})
    )


def key(v: Any, value: object) -> dict[Any, Any]:
    return {v: value} if isinstance(v, Hashable) else {}


CALLS: dict[str, Callable[[World, Any], object]] = {
    # Machine
    "Machine": lambda _, v: ta.Machine(v),
    "from_xml": lambda _, v: ta.Machine.from_xml(v),
    "from_synthetic": lambda _, v: ta.Machine.from_synthetic(v),
    "from_dict": lambda _, v: ta.Machine.from_dict(v),
    "preset": lambda _, v: ta.Machine.preset(v),
    "with_overrides": lambda w, v: w.machine.with_overrides(v),
    "with_overrides levels": lambda w, v: w.machine.with_overrides({"levels": v}),
    "with_overrides level": lambda w, v: w.machine.with_overrides(
        {"levels": [{"a": "gpu0", "b": "nic0", "level": v}]}
    ),
    "with_overrides nodes": lambda w, v: w.machine.with_overrides(
        {"numa_nodes": {"gpu0": v}}
    ),
    "with_overrides key": lambda w, v: w.machine.with_overrides(
        {"numa_nodes": key(v, [0])}
    ),
    "device": lambda w, v: w.machine.device(v),
    "distance a": lambda w, v: w.machine.distance(v, "gpu0"),
    "distance b": lambda w, v: w.machine.distance("gpu0", v),
    "link a": lambda w, v: w.machine.link(v, "gpu0"),
    "link b": lambda w, v: w.machine.link("gpu0", v),
    "locality_distance a": lambda w, v: w.machine.locality_distance(v, 0),
    "locality_distance b": lambda w, v: w.machine.locality_distance(0, v),
    "machine ==": lambda w, v: w.machine == v,
    "Level": lambda _, v: ta.Level(v),
    # Allocator
    "Allocator": lambda _, v: ta.Allocator(v),
    "Allocator reserved": lambda w, v: ta.Allocator(w.machine, reserved_pus=v),
    "Allocator reserved PU": lambda w, v: ta.Allocator(w.machine, reserved_pus=[v]),
    "Allocator policy": lambda w, v: ta.Allocator(w.machine, policy=v),
    "check": lambda w, v: w.allocator.check(v),
    "check steps": lambda w, v: w.allocator.check(ONE, max_steps=v),
    "check_many": lambda w, v: w.allocator.check_many(v),
    "check_many one": lambda w, v: w.allocator.check_many([v]),
    "check_many steps": lambda w, v: w.allocator.check_many([ONE], max_steps=v),
    "check_joint": lambda w, v: w.allocator.check_joint(v),
    "check_joint one": lambda w, v: w.allocator.check_joint({"a": v}),
    "check_joint owner": lambda w, v: w.allocator.check_joint(key(v, ONE)),
    "check_joint steps": lambda w, v: w.allocator.check_joint({"a": ONE}, max_steps=v),
    "headroom": lambda w, v: w.allocator.headroom(v),
    "headroom steps": lambda w, v: w.allocator.headroom(ONE, max_steps=v),
    "allocate": lambda w, v: w.allocator.allocate(v, "a"),
    "allocate owner": lambda w, v: w.allocator.allocate(ONE, v),
    "allocate steps": lambda w, v: w.allocator.allocate(ONE, "a", max_steps=v),
    "allocate_many": lambda w, v: w.allocator.allocate_many(v),
    "allocate_many owner": lambda w, v: w.allocator.allocate_many(key(v, ONE)),
    "allocate_many steps": lambda w, v: w.allocator.allocate_many(
        {"a": ONE}, max_steps=v
    ),
    "allocate_batch": lambda w, v: w.allocator.allocate_batch(v, ["a"]),
    "allocate_batch owners": lambda w, v: w.allocator.allocate_batch(ONE, v),
    "allocate_batch owner": lambda w, v: w.allocator.allocate_batch(ONE, [v]),
    "allocate_batch steps": lambda w, v: w.allocator.allocate_batch(
        ONE, ["a"], max_steps=v
    ),
    "resize": lambda w, v: w.allocator.resize("held", v),
    "resize owner": lambda w, v: w.allocator.resize(v, ONE),
    "resize steps": lambda w, v: w.allocator.resize("held", ONE, max_steps=v),
    "release": lambda w, v: w.allocator.release(v),
    "take owner": lambda w, v: w.allocator.take(owner=v, pus="2"),
    "take pus": lambda w, v: w.allocator.take(owner="a", pus=v),
    "take PU": lambda w, v: w.allocator.take(owner="a", pus=[v]),
    "take memory": lambda w, v: w.allocator.take(owner="a", memory=v),
    "take bytes": lambda w, v: w.allocator.take(owner="a", memory={0: v}),
    "take node": lambda w, v: w.allocator.take(owner="a", memory=key(v, 1)),
    "take hugepages": lambda w, v: w.allocator.take(owner="a", hugepages=v),
    "take sizes": lambda w, v: w.allocator.take(owner="a", hugepages={0: v}),
    "take size": lambda w, v: w.allocator.take(owner="a", hugepages={0: key(v, 1)}),
    "take hugepage node": lambda w, v: w.allocator.take(
        owner="a", hugepages=key(v, {"2Mi": "2Mi"})
    ),
    "take hugepage bytes": lambda w, v: w.allocator.take(
        owner="a", hugepages={0: {"2Mi": v}}
    ),
    "take devices": lambda w, v: w.allocator.take(owner="a", devices=v),
    "take device": lambda w, v: w.allocator.take(owner="a", devices=[v]),
    "take device key": lambda w, v: w.allocator.take(owner="a", devices=key(v, {})),
    "take share": lambda w, v: w.allocator.take(owner="a", devices={"gpu0": v}),
    "take share key": lambda w, v: w.allocator.take(
        owner="a", devices={"gpu0": key(v, 1)}
    ),
    "take share amount": lambda w, v: w.allocator.take(
        owner="a", devices={"gpu0": {"memory": v}}
    ),
    "cordon": lambda w, v: w.allocator.cordon(v),
    "cordon pu:": lambda w, v: w.allocator.cordon(
        f"pu:{v}" if isinstance(v, str) else v
    ),
    "uncordon": lambda w, v: w.allocator.uncordon(v),
    "owner_of": lambda w, v: w.allocator.owner_of(v),
    "owners_of": lambda w, v: w.allocator.owners_of(v),
    "restore": lambda _, v: ta.Allocator.restore(v),
    # Requests
    **{
        name: request_of(**{name: lambda v: v})
        for name in (
            "cores",
            "whole_cores",
            "memory",
            "kind",
            "hugepages",
            "devices",
            "exclude",
            "keep",
            "require",
            "prefer",
        )
    },
    "pus": lambda _, v: ta.Request(pus=v),
    "device count": request_of(devices=lambda v: {"gpu": v}),
    "device class": request_of(devices=lambda v: key(v, 1)),
    "page size": request_of(hugepages=lambda v: key(v, 1)),
    "page bytes": request_of(hugepages=lambda v: {"2Mi": v}),
    "excluded": request_of(exclude=lambda v: [v]),
    "kept": request_of(keep=lambda v: [v]),
    "required": request_of(require=lambda v: [v]),
    "preferred": request_of(prefer=lambda v: [v]),
    "replace cores": lambda _, v: ONE.replace(cores=v),
    "replace name": lambda _, v: ONE.replace(**{v if isinstance(v, str) else "z": 1}),
    "Request.from_dict": lambda _, v: ta.Request.from_dict(v),
    **{
        f"Request.from_dict {name}": document_with(name)
        for name in (*FULL.to_dict(), "memory_kind", "keep", "exclude", "pus")
    },
    "Request.from_dict key": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | key(v, 1)
    ),
    "Request.from_dict device": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"devices": {"gpu": {"count": 1, "where": {"x": v}}}}
    ),
    "Request.from_dict class": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"devices": key(v, 1)}
    ),
    "Request.from_dict where": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"devices": {"gpu": {"count": 1, "where": key(v, 1)}}}
    ),
    "Request.from_dict operator": lambda _, v: ta.Request.from_dict(
        FULL.to_dict()
        | {"devices": {"gpu": {"count": 1, "where": {"x": {"one_of": v}}}}}
    ),
    "Request.from_dict constraint": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"require": [v]}
    ),
    "Request.from_dict align": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"require": [{"align": v}]}
    ),
    "Request.from_dict pair": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"require": [{"pair": {"a": "gpu", "b": v, "ratio": v}}]}
    ),
    "Request.from_dict page": lambda _, v: ta.Request.from_dict(
        FULL.to_dict() | {"hugepages": key(v, 1)}
    ),
    "DeviceRequest": lambda _, v: ta.DeviceRequest(v),
    "DeviceRequest where": lambda _, v: ta.DeviceRequest(1, where=v),
    "DeviceRequest value": lambda _, v: ta.DeviceRequest(1, where={"x": v}),
    "DeviceRequest attribute": lambda _, v: ta.DeviceRequest(1, where=key(v, 1)),
    "DeviceRequest share": lambda _, v: ta.DeviceRequest(1, share=v),
    "DeviceRequest amount": lambda _, v: ta.DeviceRequest(1, share={"memory": v}),
    "DeviceRequest partition": lambda w, v: w.allocator.check(
        ta.Request(devices={"gpu": ta.DeviceRequest(1, partition=v)})
    ),
    "DeviceRequest eligible": lambda w, v: w.allocator.check(
        ta.Request(devices={"gpu": ta.DeviceRequest(1, eligible=v)})
    ),
    **{
        condition.__name__: conditioned(condition)
        for condition in (ta.AtLeast, ta.AtMost, ta.OneOf, ta.Not)
    },
    "Align": requiring(ta.Align),
    "Align of": requiring(lambda v: ta.Align("numa", of=v)),
    "Align of one": requiring(lambda v: ta.Align("numa", of=(v,))),
    "Pair a": requiring(lambda v: ta.Pair(v, "nic")),
    "Pair b": requiring(lambda v: ta.Pair("gpu", v)),
    "Pair within": requiring(lambda v: ta.Pair("gpu", "nic", within=v)),
    "Pair ratio": requiring(lambda v: ta.Pair("gpu", "nic", ratio=v)),
    "Pair ratio one": requiring(lambda v: ta.Pair("gpu", "nic", ratio=(1, v))),
    "Link": requiring(ta.Link),
    "Link mode": requiring(lambda v: ta.Link("gpu", mode=v)),
    "Link min_mb_s": requiring(lambda v: ta.Link("gpu", min_mb_s=v)),
    "Same": requiring(lambda v: ta.Same(v, "gpu")),
    "Same of": requiring(lambda v: ta.Same("rail", v)),
    "Distinct": requiring(lambda v: ta.Distinct(v, "gpu")),
    "Distinct of": requiring(lambda v: ta.Distinct("rail", v)),
    "Near": requiring(ta.Near),
    "Near within": requiring(lambda v: ta.Near("gpu0", within=v)),
    # Policies and costs
    "Policy": lambda _, v: ta.Policy(v),
    "Policy name": lambda _, v: ta.Policy(v, packing="pack"),
    "Policy version": lambda _, v: ta.Policy(version=v),
    "Policy packing": lambda _, v: ta.Policy("mine", packing=v),
    "Policy order": lambda _, v: ta.Policy(order=v),
    "Policy own order": lambda _, v: ta.Policy("mine", packing="pack", order=v),
    "Policy group": lambda _, v: ta.Policy("mine", packing="pack", order=[v]),
    "Policy.of": lambda _, v: ta.Policy.of(v),
    "Policy.key": lambda _, v: ta.Policy().key(v),
    "Cost.from_terms": lambda _, v: ta.Cost.from_terms(v),
    # Answers
    "explain": lambda w, v: w.verdict.explain(max_steps=v),
    "explain a batch": lambda w, v: w.batch.explain(max_steps=v),
    "bind": lambda w, v: w.placement.bind(v),
    "replay": lambda _, v: ta.replay(v),
    # Pictures
    "machine_tree": lambda _, v: draw.machine_tree(v),
    "machine_tree state": lambda w, v: draw.machine_tree(w.machine, v),
    "machine_svg": lambda _, v: draw.machine_svg(v),
    "machine_svg state": lambda w, v: draw.machine_svg(w.machine, v),
    "device_matrix": lambda _, v: draw.device_matrix(v),
    "device_matrix classes": lambda w, v: draw.device_matrix(w.machine, v),
    "link_matrix": lambda _, v: draw.link_matrix(v),
    "link_matrix classes": lambda w, v: draw.link_matrix(w.machine, v),
    "distance_matrix": lambda _, v: draw.distance_matrix(v),
    "matrices_to_dict": lambda _, v: draw.matrices_to_dict(v),
    "matrices_to_dict classes": lambda w, v: draw.matrices_to_dict(w.machine, v),
    # hwloc, as far as nothing is bound by it
    "Bitmap": lambda _, v: hwloc.Bitmap(v),
    "Bitmap index": lambda _, v: hwloc.Bitmap([v]),
    "Bitmap.from_int": lambda _, v: hwloc.Bitmap.from_int(v),
    "Bitmap.from_list": lambda _, v: hwloc.Bitmap.from_list(v),
    "Bitmap.from_mask": lambda _, v: hwloc.Bitmap.from_mask(v),
    "Bitmap.from_taskset": lambda _, v: hwloc.Bitmap.from_taskset(v),
    "Bitmap.isdisjoint": lambda _, v: hwloc.Bitmap([1]).isdisjoint(v),
    "bind_process": lambda _, v: hwloc.bind_process(v),
    "bind_memory": lambda _, v: hwloc.bind_memory(v),
    "bind_memory policy": lambda _, v: hwloc.bind_memory("0", v),
    "get_cpubind": lambda _, v: hwloc.get_cpubind(v),
    "get_last_cpu_location": lambda _, v: hwloc.get_last_cpu_location(v),
}


def test_every_method_of_an_allocator_is_called() -> None:
    """A new method without a line above is found here."""
    public = {
        name
        for name, member in vars(ta.Allocator).items()
        if callable(member) and not name.startswith("_")
    } - {"fork", "snapshot"}
    called = {name.split()[0].removesuffix(":") for name in CALLS}
    assert public <= called


@pytest.mark.parametrize("name", CALLS)
def test_call_accepts_or_refuses_by_name(name: str, world: World) -> None:
    before = world.allocator.snapshot()
    for value in (*HOSTILE, deep()):
        allocator = world.allocator.fork()
        mine = World(
            world.machine,
            allocator,
            world.placement,
            world.verdict,
            world.batch,
            world.record,
        )
        error = refusal(partial(CALLS[name], mine, value))
        if error is None:
            continue
        # A file that is not there is an OSError of Python's, and documented so.
        assert isinstance(error, ta.TopoallocError) or name == "from_xml"
        message = str(error)
        message.encode()
        assert ": " in message or name == "from_xml"
        assert not MACHINERY.search(message), message
        assert allocator.snapshot() == before
        allocator.check_consistency()
    assert world.allocator.snapshot() == before


@pytest.mark.parametrize("name", MACHINE)
def test_part_of_a_machine_is_accepted_or_refused(name: str) -> None:
    for value in (*HOSTILE, deep()):
        error = refusal(partial(ta.Machine.from_dict, {**MACHINE, name: value}))
        assert error is None or isinstance(error, ta.FormatError)
        assert not MACHINERY.search(str(error))


@pytest.mark.parametrize("inside", [False, True])
def test_part_of_a_record_is_accepted_or_refused(*, inside: bool, world: World) -> None:
    record = world.record
    parts = ("state", "request", "policy", "versions", "digests", "machine")
    paths = [(name, key) for name in parts for key in record[name]]
    for path in paths if inside else [(name, "") for name in record]:
        for value in (*HOSTILE, deep()):
            part = {**record[path[0]], path[1]: value} if inside else value
            error = refusal(partial(ta.replay, {**record, path[0]: part}))
            assert error is None or isinstance(error, ta.FormatError)
            assert not MACHINERY.search(str(error)), str(error)


def small_cluster() -> ta.Cluster:
    """Return a Cluster of two nodes on which ``a`` runs."""
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(["n0", "n1"], ta.Machine.from_dict(MACHINE))
    cluster.commit(cluster.place(ta.Gang("a", [ta.PodSet("w", ONE, 1)])))
    return cluster


OTHER = ta.Gang("b", [ta.PodSet("w", ONE, 1)], priority=1)
CHANGES: dict[str, Callable[[ta.Cluster, Any], object]] = {
    "replace": lambda c, v: c.replace(v, ["n0"]),
    "replace failed": lambda c, v: c.replace("a", v),
    "replace failed node": lambda c, v: c.replace("a", [v]),
    "replace max_steps": lambda c, v: c.replace("a", ["n0"], max_steps=v),
    "grow": lambda c, v: c.grow(v),
    "grow max_steps": lambda c, v: c.grow("a", max_steps=v),
    "drain": lambda c, v: c.drain(v),
    "drain node": lambda c, v: c.drain(["n0", v]),
    "drain max_steps": lambda c, v: c.drain("n0", max_steps=v),
    "preempt": lambda c, v: c.preempt(v),
    "preempt max_steps": lambda c, v: c.preempt(OTHER, max_steps=v),
    "defragment": lambda c, v: c.defragment(v),
    "defragment max_steps": lambda c, v: c.defragment(OTHER, max_steps=v),
    "score": lambda c, v: c.score(v),
    "score max_steps": lambda c, v: c.score(ONE, max_steps=v),
    "commit": lambda c, v: c.commit(v),
    "record": lambda c, v: c.record(v),
    "restore": lambda _, v: ta.Cluster.restore(v),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_a_cluster_accepts_or_refuses_by_name(name: str) -> None:
    cluster = small_cluster()
    before = cluster.snapshot()
    for value in (*HOSTILE, deep()):
        error = refusal(partial(CHANGES[name], cluster, value))
        if error is not None:
            assert isinstance(error, ta.TopoallocError)
            assert re.match(r"[a-z_]+(\[\d+\])?: .*, want ", str(error), re.DOTALL)
            assert not MACHINERY.search(str(error)), str(error)
            str(error).encode()
        cluster.check_consistency()
        assert cluster.snapshot() == before


def test_part_of_a_cluster_record_is_accepted_or_refused() -> None:
    cluster = small_cluster()
    record = cluster.record(cluster.replace("a", ["n0"]))
    for name in record:
        for value in (*HOSTILE, deep()):
            error = refusal(partial(ta.replay, record | {name: value}))
            assert error is None or isinstance(error, ta.FormatError), (name, value)
            assert not MACHINERY.search(str(error))
