# SPDX-License-Identifier: Apache-2.0
"""Allocator: taking, giving back, owners, cordons, batches, copies, threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import topoalloc as ta

# Two packages of one NUMANode, 4 cores of 2 PUs each: PUs 0-7 and 8-15.
SMALL = "pack:2 numa:1 core:4 pu:2"


@pytest.fixture
def machine() -> ta.Machine:
    return ta.Machine.from_synthetic(SMALL)


@pytest.fixture
def allocator(machine: ta.Machine) -> ta.Allocator:
    return ta.Allocator(machine)


@pytest.fixture(scope="module")
def dgx() -> ta.Machine:
    return ta.Machine.preset("dgx-h100")


def test_allocate_takes_and_release_gives_back(allocator: ta.Allocator) -> None:
    before = allocator.free_memory
    placement = allocator.allocate(ta.Request(cores=2, memory="1Mi"), owner="a")
    assert placement.owner == "a"
    assert allocator.free_pus == "4-15"
    assert allocator.free_memory[0] == before[0] - 2**20
    assert allocator.placements == {"a": placement}
    allocator.check_consistency()
    allocator.release("a")
    assert allocator.free_pus == "0-15"
    assert allocator.free_memory == before
    assert allocator.placements == {}
    allocator.check_consistency()


def test_machine_is_the_one_given(machine: ta.Machine) -> None:
    allocator = ta.Allocator(machine)
    assert allocator.machine is machine
    assert allocator.check(ta.Request(cores=1)).machine is machine
    assert allocator.allocate(ta.Request(cores=1), "a").machine is machine


def test_reserved_pus_are_never_handed_out(machine: ta.Machine) -> None:
    allocator = ta.Allocator(machine, reserved_pus="0-1,8")
    assert allocator.free_pus == "2-7,9-15"
    assert allocator.check(ta.Request(cores=6))
    assert not allocator.check(ta.Request(cores=7))
    assert ta.Allocator(machine, reserved_pus=[0, 1, 8]).free_pus == "2-7,9-15"


def test_spread_opens_what_pack_leaves_closed(machine: ta.Machine) -> None:
    second = {}
    for policy in ("pack", ta.Policy("spread")):
        allocator = ta.Allocator(machine, policy=policy)
        allocator.allocate(ta.Request(cores=1), "a")
        second[allocator.policy.name] = allocator.allocate(
            ta.Request(cores=1), "b"
        ).cpuset
    assert second == {"pack": "2-3", "spread": "8-9"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"reserved_pus": "99"}, ta.InvalidRequestError, "99"),
        ({"reserved_pus": "1-"}, ta.FormatError, "1-"),
        (
            {"reserved_pus": [-1]},
            ta.InvalidRequestError,
            "reserved_pus: -1, want an os_index",
        ),
        ({"reserved_pus": 3}, ta.InvalidRequestError, "reserved_pus: 3, want a list"),
        (
            {"policy": "fast"},
            ta.InvalidRequestError,
            "policy: 'fast', want pack or spread",
        ),
    ],
)
def test_constructor_refuses(
    machine: ta.Machine, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ta.Allocator(machine, **arguments)


def test_constructor_wants_a_machine() -> None:
    with pytest.raises(ta.InvalidRequestError, match="machine: str, want a Machine"):
        ta.Allocator("dgx-h100")  # type: ignore[arg-type]


def test_equal_request_of_the_same_owner_returns_what_it_holds(
    allocator: ta.Allocator,
) -> None:
    first = allocator.allocate(ta.Request(cores=2), owner="a")
    assert allocator.allocate(ta.Request(cores=2), owner="a") == first
    assert allocator.free_pus == "4-15"
    with pytest.raises(ta.StateError, match="'a'"):
        allocator.allocate(ta.Request(cores=3), owner="a")
    assert allocator.placements == {"a": first}


def test_no_placement_is_an_error_with_its_verdict(allocator: ta.Allocator) -> None:
    with pytest.raises(
        ta.InfeasibleError, match=r"^a: INFEASIBLE, NotEnoughCores"
    ) as caught:
        allocator.allocate(ta.Request(cores=9), owner="a")
    verdict = caught.value.verdict
    assert isinstance(verdict, ta.Verdict)
    assert verdict.status is ta.Status.INFEASIBLE
    assert verdict.owner == "a"
    assert allocator.placements == {}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: a.check(), TypeError, r"check\(\): no argument 'request'"),
        (lambda a: a.check(3), ta.InvalidRequestError, "request: int, want a Request"),
        (
            lambda a: a.check(ta.Request(cores=1), 5),
            TypeError,
            "2 positional arguments",
        ),
        (
            lambda a: a.check(ta.Request(cores=1), steps=5),
            TypeError,
            "argument 'steps'",
        ),
        (
            lambda a: a.allocate(ta.Request(cores=1)),
            TypeError,
            r"allocate\(\): no argument 'owner'",
        ),
        (
            lambda a: a.allocate(ta.Request(cores=1), "a", owner="a"),
            TypeError,
            "argument 'owner' twice",
        ),
        (
            lambda a: a.allocate(ta.Request(cores=1), owner=3),
            ta.InvalidRequestError,
            "owner: int, want",
        ),
        (
            lambda a: a.allocate(ta.Request(cores=1), owner=""),
            ta.InvalidRequestError,
            "owner: '', want a name",
        ),
        (
            lambda a: a.check(ta.Request(cores=1), max_steps=-1),
            ta.InvalidRequestError,
            "max_steps: -1, want",
        ),
        (
            lambda a: a.check(ta.Request(cores=1), max_steps="9"),
            ta.InvalidRequestError,
            "max_steps: '9', want",
        ),
        (
            lambda a: a.check(ta.Request(cores=1, exclude=["gpu0"])),
            ta.InvalidRequestError,
            "exclude: 'gpu0'",
        ),
        (lambda a: a.release("nobody"), ta.StateError, "'nobody'"),
        (lambda a: a.release(3), ta.InvalidRequestError, "owner: int, want a str"),
        (lambda a: a.resize("nobody", ta.Request(cores=1)), ta.StateError, "'nobody'"),
        (lambda a: a.cordon("gpu9"), ta.InvalidRequestError, "device: 'gpu9'"),
        (lambda a: a.cordon("pu:x"), ta.InvalidRequestError, "pu: 'pu:x'"),
        (lambda a: a.cordon(99), ta.InvalidRequestError, "pu: os_index 99"),
        (
            lambda a: a.cordon(True),
            ta.InvalidRequestError,
            "pu: True, want an os_index",
        ),
        (lambda a: a.owner_of("gpu9"), ta.InvalidRequestError, "device: 'gpu9'"),
        (lambda a: a.take(owner="", pus="0"), ta.InvalidRequestError, "owner: ''"),
        (lambda a: a.take(owner="a", pus="99"), ta.InvalidRequestError, "99"),
        (
            lambda a: a.take(owner="a", pus="\ud800"),
            ta.FormatError,
            r"pus: '\\ud800', want a list of PUs",
        ),
        (
            lambda a: ta.Allocator(a.machine, reserved_pus="\ud800"),
            ta.FormatError,
            "reserved_pus: .*, want a list of PUs",
        ),
        *(
            (call, ta.InvalidRequestError, r"owner: '\\ud800', want text without lone")
            for call in (
                lambda a: a.allocate(ta.Request(cores=1), owner="\ud800"),
                lambda a: a.resize("\ud800", ta.Request(cores=1)),
                lambda a: a.release("\ud800"),
                lambda a: a.allocate_batch(ta.Request(cores=1), ["a", "\ud800"]),
                lambda a: a.allocate_many({"\ud800": ta.Request(cores=1)}),
                lambda a: a.take(owner="\ud800", pus="0"),
            )
        ),
        (
            lambda a: a.allocate_batch(ta.Request(cores=1), [""]),
            ta.InvalidRequestError,
            "owner: '', want a name",
        ),
        (
            lambda a: a.allocate_batch(ta.Request(cores=1), [3]),
            ta.InvalidRequestError,
            "owner: int, want a str",
        ),
        (
            lambda a: a.check(**{"\ud800": ta.Request(cores=1)}),
            TypeError,
            r"argument '\\ud800', want another name",
        ),
        (
            lambda a: a.take(owner="a", memory={7: 1}),
            ta.InvalidRequestError,
            "NUMANode",
        ),
        (
            lambda a: a.take(owner="a", memory={0: "1GB"}),
            ta.InvalidRequestError,
            r"memory\[0\]: '1GB'",
        ),
        (
            lambda a: a.take(owner="a", hugepages={0: {3: 3}}),
            ta.InvalidRequestError,
            "page size: 3 bytes",
        ),
        (
            lambda a: a.take(owner="a", devices=["x"]),
            ta.InvalidRequestError,
            "device: 'x'",
        ),
        (lambda a: a.check_joint([1]), ta.InvalidRequestError, "requests: list, want"),
        (
            lambda a: a.check_many([1]),
            ta.InvalidRequestError,
            "request: int, want a Request",
        ),
    ],
)
def test_misuse_is_refused_and_changes_nothing(
    allocator: ta.Allocator,
    call: Callable[..., object],
    error: type[Exception],
    message: str,
) -> None:
    allocator.allocate(ta.Request(cores=1), owner="first")
    before = allocator.snapshot()
    with pytest.raises(error, match=message):
        call(allocator)
    assert allocator.snapshot() == before
    allocator.check_consistency()


def test_object_without_init_is_refused() -> None:
    """Memory that no constructor has seen must not be read."""
    raw = ta.Allocator.__new__(ta.Allocator)
    for use in (
        lambda: raw.check(ta.Request(cores=1)),
        lambda: raw.release("a"),
        lambda: raw.placements,
        lambda: raw.free_memory,
        raw.fork,
        raw.snapshot,
        lambda: repr(raw),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(TypeError):
        ta.Allocator(ta.Machine.__new__(ta.Machine))


def test_release_by_placement(allocator: ta.Allocator) -> None:
    placement = allocator.allocate(ta.Request(cores=2), owner="a")
    allocator.release(placement)
    assert allocator.placements == {}
    with pytest.raises(ta.StateError, match="not held now by 'a'"):
        allocator.release(placement)


def test_release_refuses_a_placement_that_was_exchanged(
    allocator: ta.Allocator,
) -> None:
    old = allocator.allocate(ta.Request(cores=2), owner="a")
    new = allocator.resize("a", ta.Request(cores=3))
    with pytest.raises(ta.StateError, match="want a Placement in force"):
        allocator.release(old)
    allocator.release(new)


def test_release_refuses_a_placement_of_another_machine(
    allocator: ta.Allocator,
) -> None:
    other = ta.Allocator(ta.Machine.from_synthetic(SMALL))
    allocator.allocate(ta.Request(cores=2), owner="a")
    foreign = other.allocate(ta.Request(cores=2), owner="a")
    with pytest.raises(ta.StateError, match="not held now"):
        allocator.release(foreign)


def test_resize_exchanges_and_keeps(allocator: ta.Allocator) -> None:
    allocator.allocate(ta.Request(cores=2), owner="a")
    grown = allocator.resize("a", ta.Request(cores=4, keep=["pus"]))
    assert grown.cpuset == "0-7"
    assert allocator.placements == {"a": grown}
    with pytest.raises(ta.InfeasibleError, match=r"^a: INFEASIBLE"):
        allocator.resize("a", ta.Request(cores=9))
    assert allocator.placements == {"a": grown}
    allocator.check_consistency()


def test_take_records_and_derives(dgx: ta.Machine) -> None:
    allocator = ta.Allocator(dgx)
    node = dgx.device("gpu0").numa_nodes[0]
    taken = allocator.take(
        owner="system",
        pus=[0, 1],
        memory={node: "1Gi"},
        devices=["gpu0", dgx.device("nic0")],
    )
    assert taken.cpuset == "0-1"
    assert taken.memory == {node: 2**30}
    assert taken.devices == ("gpu0", "nic0")
    assert taken.cost.localities == 1
    assert allocator.owner_of("gpu0") == "system"
    assert allocator.owner_of("pu:1") == "system"
    assert allocator.owner_of(2) is None
    with pytest.raises(ta.StateError, match="gpu0"):
        allocator.take(owner="other", devices=["gpu0"])
    with pytest.raises(ta.StateError, match="'system'"):
        allocator.take(owner="system", pus="4")


def test_shared_device_has_several_owners() -> None:
    machine = ta.Machine.from_dict(
        ta.Machine.from_synthetic(SMALL).to_dict()
        | {
            "devices": [
                {"class": "gpu", "numa_nodes": [0], "capacities": {"memory": "80Gi"}}
            ]
        }
    )
    allocator = ta.Allocator(machine)
    share = ta.Request(devices={"gpu": ta.DeviceRequest(1, share={"memory": "30Gi"})})
    placement = allocator.allocate(share, owner="a")
    assert placement.shares == {"gpu0": {"memory": 30 * 2**30}}
    taken = allocator.take(owner="b", devices={"gpu0": {"memory": "30Gi"}})
    assert taken.shares == placement.shares
    assert allocator.owners_of("gpu0") == ("a", "b")
    with pytest.raises(ta.StateError, match="gpu0: 2 owners"):
        allocator.owner_of("gpu0")
    assert not allocator.check(share)
    assert not allocator.check(ta.Request(devices={"gpu": 1}))
    again = ta.Allocator.restore(allocator.snapshot())
    assert again.placements["b"].shares == placement.shares


def test_cordon_hides_until_uncordon(dgx: ta.Machine) -> None:
    allocator = ta.Allocator(dgx)
    everything = ta.Request(devices={"gpu": 8})
    assert allocator.check(everything)
    allocator.cordon("gpu3")
    assert not allocator.check(everything)
    assert "gpu3" not in allocator.free_devices
    allocator.uncordon(dgx.device("gpu3"))
    assert allocator.check(everything)
    allocator.cordon("pu:0")
    allocator.cordon(1)
    assert allocator.free_pus.startswith("2-")
    allocator.uncordon("pu:0")
    allocator.uncordon("pu:1")
    assert allocator.free_pus.startswith("0-")
    allocator.check_consistency()


def test_check_many_answers_each_on_the_same_state(allocator: ta.Allocator) -> None:
    verdicts = allocator.check_many([ta.Request(cores=n) for n in (8, 9, 1)])
    assert [bool(verdict) for verdict in verdicts] == [True, False, True]
    assert allocator.placements == {}


def test_allocate_many_is_all_or_nothing(allocator: ta.Allocator) -> None:
    fit = {"a": ta.Request(cores=4), "b": ta.Request(cores=4)}
    verdict = allocator.check_joint(fit)
    assert verdict
    assert verdict.cost is not None
    assert allocator.placements == {}
    placements = allocator.allocate_many(fit)
    assert list(placements) == ["a", "b"]
    assert placements == allocator.placements
    assert verdict.placements == placements
    with pytest.raises(ta.InfeasibleError, match=r"^1 owner: INFEASIBLE") as caught:
        allocator.allocate_many({"c": ta.Request(cores=1)})
    assert isinstance(caught.value.verdict, ta.BatchVerdict)
    assert not caught.value.verdict
    with pytest.raises(ta.StateError, match="'a'"):
        allocator.allocate_many(fit)
    assert {*allocator.placements} == {"a", "b"}


def test_allocate_batch_gives_to_those_for_whom_there_is_room(
    allocator: ta.Allocator,
) -> None:
    verdicts = allocator.allocate_batch(ta.Request(cores=3), ["a", "b", "c"])
    assert [bool(verdict) for verdict in verdicts] == [True, True, False]
    assert {*allocator.placements} == {"a", "b"}
    assert verdicts[0].placement == allocator.placements["a"]
    assert [verdict.owner for verdict in verdicts] == ["a", "b", "c"]


def test_take_refuses_gpu_memory() -> None:
    machine = ta.Machine.preset("gh200")
    node = next(n.os_index for n in machine.numa_nodes if n.kind == "gpu")
    allocator = ta.Allocator(machine)
    with pytest.raises(
        ta.InvalidRequestError,
        match=f"^memory: NUMANode {node} is GPU memory, which is not handed out as "
        "memory, want a NUMANode of another kind$",
    ):
        allocator.take(owner="a", memory={node: "1Gi"})
    assert allocator.placements == {}


def partly_allowed() -> ta.Machine:
    """Two NUMANodes of 1Gi and 4 cores each; the memory of the first is not allowed."""
    document = ta.Machine.from_synthetic("numa:2 core:4 pu:1").to_dict()
    return ta.Machine.from_dict(document | {"allowed_numa_nodes": [1]})


def test_no_memory_is_given_of_a_disallowed_numa_node() -> None:
    allocator = ta.Allocator(partly_allowed())
    assert allocator.free_memory == {0: 0, 1: 2**30}
    for asked in (1, 2**30):
        placement = allocator.check(ta.Request(cores=1, memory=asked)).placement
        assert placement is not None
        assert (placement.cpuset, placement.memory) == ("4", {1: asked})
    verdict = allocator.check(ta.Request(memory=2**30 + 1))
    assert verdict.status is ta.Status.INFEASIBLE
    assert verdict.reason == "NotEnoughMemory"
    (counts,) = verdict.explain().counts
    assert [(step.filter, step.left) for step in counts.steps] == [
        ("on the machine", 2**31),
        ("allowed", 2**30),
        ("of the kind asked for", 2**30),
        ("free", 2**30),
    ]


def test_pus_of_a_disallowed_numa_node_are_given() -> None:
    allocator = ta.Allocator(partly_allowed())
    align = ta.Align("numa")
    placement = allocator.check(ta.Request(cores=4, require=[align])).placement
    assert placement is not None
    assert placement.cpuset == "0-3"
    near = allocator.check(ta.Request(cores=4, memory="1Gi", require=[align])).placement
    assert near is not None
    assert (near.cpuset, near.memory) == ("4-7", {1: 2**30})
    allocator.take(owner="a", pus="7")
    both = ta.Request(cores=4, memory=1, require=[align])
    assert allocator.check(both).status is ta.Status.INFEASIBLE
    far = allocator.check(ta.Request(cores=4, memory=1)).placement
    assert far is not None
    assert far.memory == {1: 1}
    allocator.check_consistency()


def test_take_refuses_memory_of_a_disallowed_numa_node() -> None:
    allocator = ta.Allocator(partly_allowed())
    with pytest.raises(
        ta.StateError,
        match=r"^memory: 1 bytes of NUMANode 0 with 0 free, want whole pages of what",
    ):
        allocator.take(owner="a", memory={0: 1})
    assert allocator.take(owner="a", memory={1: 1}).memory == {1: 1}
    allocator.check_consistency()


def test_allocate_batch_that_fails_takes_nothing(allocator: ta.Allocator) -> None:
    held = allocator.allocate(ta.Request(cores=1), owner="b")
    with pytest.raises(ta.StateError, match="'b'"):
        allocator.allocate_batch(ta.Request(cores=2), ["a", "b"])
    assert allocator.placements == {"b": held}


def test_headroom_counts_copies(allocator: ta.Allocator) -> None:
    headroom = allocator.headroom(ta.Request(cores=3))
    assert headroom == (2, 2)
    count, upper = headroom
    assert (count, upper, headroom.status) == (2, 2, ta.Status.OPTIMAL)
    assert allocator.placements == {}


def test_fork_is_independent(allocator: ta.Allocator) -> None:
    first = allocator.allocate(ta.Request(cores=2), owner="a")
    fork = allocator.fork()
    assert type(fork) is ta.Allocator
    assert fork.placements == {"a": first}
    fork.release("a")
    fork.allocate(ta.Request(cores=8), owner="b")
    assert allocator.placements == {"a": first}
    assert fork.machine is allocator.machine
    allocator.check_consistency()
    fork.check_consistency()


def test_owner_names_may_be_any_text(allocator: ta.Allocator) -> None:
    for owner in ("Gr\u00f6\u00dfe/7", "x" * 4000, "a\0b"):
        placement = allocator.allocate(ta.Request(cores=1), owner=owner)
        assert allocator.placements[owner] == placement
        allocator.release(owner)


def test_surrogates_are_no_owner(allocator: ta.Allocator) -> None:
    with pytest.raises(ta.InvalidRequestError, match="lone surrogates"):
        allocator.allocate(ta.Request(cores=1), owner="\ud800")
    assert allocator.placements == {}


def test_many_threads_share_one_allocator(allocator: ta.Allocator) -> None:
    request = ta.Request(cores=1)
    barrier = threading.Barrier(8)

    def churn(worker: int) -> int:
        barrier.wait()
        placed = 0
        for turn in range(50):
            owner = f"{worker}.{turn}"
            placement = allocator.allocate(request, owner=owner)
            placed += len(placement.pus)
            assert allocator.check(request).status in ta.Status
            allocator.release(placement if turn % 2 else owner)
        return placed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(churn, range(8))) == 8 * 50 * 2
    assert allocator.free_pus == "0-15"
    allocator.check_consistency()


def test_repr_says_what_is_free(allocator: ta.Allocator) -> None:
    assert "free PUs '0-15'" in repr(allocator)


@pytest.mark.parametrize("pus", [b"1", bytearray(b"1"), 5])
def test_pus_that_are_no_list_are_refused(pus: Any) -> None:
    machine = ta.Machine.preset("dgx-h100")
    with pytest.raises(ta.InvalidRequestError, match=r"^reserved_pus: .* want a list"):
        ta.Allocator(machine, reserved_pus=pus)
    with pytest.raises(ta.InvalidRequestError, match=r"^pus: .* want a list of PUs"):
        ta.Allocator(machine).take(owner="pod-7", pus=pus)


@pytest.mark.parametrize("owners", ["rank", None, 5])
def test_owners_that_are_no_list_are_refused(owners: Any) -> None:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    with pytest.raises(ta.InvalidRequestError, match=r"^owners: .* want a list"):
        allocator.allocate_batch(ta.Request(cores=1), owners)
    assert allocator.placements == {}


@pytest.mark.parametrize("what", [[], ["gpu0", "gpu1"]])
@pytest.mark.parametrize("call", ["cordon", "uncordon", "owner_of", "owners_of"])
def test_other_than_one_device_is_refused(call: str, what: Any) -> None:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    with pytest.raises(ta.InvalidRequestError, match=r"^device: .* want one device$"):
        getattr(allocator, call)(what)


@pytest.mark.parametrize(
    "max_steps",
    [-1, 2**64, 2**200, pytest.param(10**5000, id="huge"), "x", None, 1.5, True],
)
def test_step_limits_that_are_none_are_refused(max_steps: Any) -> None:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    request = ta.Request(cores=1)
    for ask in (
        lambda: allocator.check(request, max_steps=max_steps),
        lambda: allocator.allocate(request, "a", max_steps=max_steps),
        lambda: allocator.check(request).explain(max_steps=max_steps),
        lambda: allocator.headroom(request, max_steps=max_steps),
        lambda: allocator.check_many([request], max_steps=max_steps),
        lambda: allocator.check_joint({"a": request}, max_steps=max_steps),
        lambda: allocator.allocate_many({"a": request}, max_steps=max_steps),
        lambda: allocator.allocate_batch(request, ["a"], max_steps=max_steps),
    ):
        with pytest.raises(ta.InvalidRequestError, match=r"^max_steps: .* 2\^64 - 1$"):
            ask()
    assert allocator.placements == {}
