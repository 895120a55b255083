# SPDX-License-Identifier: Apache-2.0
"""Placement: what was given, in OS indices and names."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

import topoalloc as ta
from topoalloc import _core


@pytest.fixture(scope="module")
def dgx() -> ta.Machine:
    return ta.Machine.preset("dgx-h100")


@pytest.fixture
def placement(dgx: ta.Machine) -> ta.Placement:
    request = ta.Request(
        cores=4,
        memory="8Gi",
        devices={"gpu": 2, "nic": 2},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    return ta.Allocator(dgx).allocate(request, owner="pod-7")


def test_reads_in_os_indices_and_names(
    placement: ta.Placement, dgx: ta.Machine
) -> None:
    assert len(placement.pus) == 8
    assert placement.pus == tuple(_core.cpuset_members(placement.cpuset))
    assert sum(placement.memory.values()) == 8 * 2**30
    assert placement.hugepages == {}
    assert placement.devices[:2] == ("gpu0", "gpu1")
    assert [dgx.device(name).device_class for name in placement.devices[2:]] == [
        "nic"
    ] * 2
    assert placement.shares == {}
    assert placement.owner == "pod-7"
    assert {gpu for gpu, _ in placement.pairs} == {"gpu0", "gpu1"}
    assert all(
        dgx.distance(gpu, nic) <= ta.Level.BRIDGES for gpu, nic in placement.pairs
    )


def test_cost_is_named_iterable_and_ordered(placement: ta.Placement) -> None:
    cost = placement.cost
    assert cost.packages == 1
    assert list(cost.to_dict()) == list(ta.Cost._fields)
    assert tuple(cost) == tuple(cost.to_dict().values())
    assert cost < cost._replace(packages=2)
    assert ta.Cost(unmet_count=1) > cost


def test_cost_names_are_those_of_the_core() -> None:
    assert list(ta.Cost._fields) == _core.cost_term_names()


def test_json_form_is_plain(placement: ta.Placement) -> None:
    document = placement.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["kind"] == "Placement"
    assert document["cpuset"] == placement.cpuset
    assert document["devices"][0] == {"name": "gpu0"}
    assert document["pairs"][0]["constraint"] == 0


def test_equal_by_value_on_one_machine(
    placement: ta.Placement, dgx: ta.Machine
) -> None:
    request = ta.Request(cores=2)
    one = ta.Allocator(dgx).allocate(request, owner="a")
    other = ta.Allocator(dgx).check(request).placement
    assert one == other
    assert hash(one) == hash(other)
    assert one != placement
    assert one != "placement"
    elsewhere = ta.Allocator(ta.Machine.from_dict(dgx.to_dict())).allocate(request, "a")
    assert one != elsewhere
    assert not one == elsewhere  # noqa: SIM201


def test_hugepages_stand_by_node_and_size() -> None:
    machine = ta.Machine.from_dict(
        ta.Machine.from_synthetic("pack:1 numa:1 core:2 pu:1").to_dict()
        | {
            "numa_nodes": [
                {
                    "os_index": 0,
                    "cpuset": "0-1",
                    "memory": "4Gi",
                    "hugepages": {"2Mi": "1Gi"},
                }
            ]
        }
    )
    allocator = ta.Allocator(machine)
    placement = allocator.allocate(ta.Request(hugepages={"2Mi": "4Mi"}), owner="a")
    assert placement.memory == {}
    assert placement.hugepages == {0: {2**21: 2**22}}
    assert allocator.free_hugepages == {0: {2**21: 2**30 - 2**22}}
    taken = allocator.take(owner="b", hugepages={0: {"2Mi": "2Mi"}})
    assert taken.hugepages == {0: {2**21: 2**21}}


def test_nobody_makes_or_changes_one(placement: ta.Placement) -> None:
    with pytest.raises(TypeError, match="made by an Allocator"):
        ta.Placement()
    with pytest.raises(AttributeError):
        placement.cpuset = "0"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        placement.note = "x"  # type: ignore[attr-defined]


def test_belongs_to_its_machine_and_is_not_pickled(placement: ta.Placement) -> None:
    assert copy.copy(placement) is copy.deepcopy(placement) is placement
    with pytest.raises(ta.InvalidRequestError, match=r"^placement: not to be pickled"):
        pickle.dumps(placement)


def test_repr_says_what_was_given(placement: ta.Placement) -> None:
    assert repr(placement).startswith("<Placement 'pod-7': pus='")
    assert "'gpu0'" in repr(placement)


def test_bind_needs_something_to_bind(dgx: ta.Machine) -> None:
    placement = ta.Allocator(dgx).allocate(ta.Request(devices={"gpu": 1}), owner="a")
    with pytest.raises(ta.StateError, match="neither PUs nor memory"):
        placement.bind()
