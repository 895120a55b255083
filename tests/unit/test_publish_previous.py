# SPDX-License-Identifier: Apache-2.0
"""What is published already is published again only when it changes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

import topoalloc as ta
from topoalloc import kubernetes as tk

H100 = ta.Machine.preset("dgx-h100")
CPU, GPU, NIC = (f"{kind}.example.com" for kind in ("pu", "gpu", "nic"))


def publish(machine: ta.Machine, driver: str, **options: Any) -> list[dict[str, Any]]:
    return tk.resource_slices(
        machine,
        driver=driver,
        node_name="n1",
        kinds=[driver.partition(".")[0]],
        **options,
    )


def generation_of(slices: list[dict[str, Any]]) -> int:
    (found,) = {item["spec"]["pool"]["generation"] for item in slices}
    return int(found)


def as_served(slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return slices as an API server does: in any order, with more in them."""
    served = copy.deepcopy(slices[::-1])
    for number, item in enumerate(served):
        item["metadata"] |= {"uid": f"u{number}", "resourceVersion": "7"}
    return served


def test_nothing_new_gives_back_what_there_was() -> None:
    first = publish(H100, NIC)
    assert generation_of(first) == 1
    assert publish(H100, NIC, previous=first) == first
    served = as_served(publish(H100, CPU, group_by="individual"))
    assert len(served) == 2
    again = publish(H100, CPU, group_by="individual", previous=served)
    assert again == served[::-1]
    again[0]["spec"]["devices"].clear()
    assert served[-1]["spec"]["devices"], "what comes back is a copy"


def test_previous_slices_are_read_in_any_form() -> None:
    class Model:
        def __init__(self, document: dict[str, Any]) -> None:
            self.document = document

        def to_dict(self) -> dict[str, Any]:
            spec = {**self.document["spec"], "nodeSelector": None, "allNodes": None}
            return {**self.document, "spec": spec}

    first = publish(H100, NIC)
    for form in (
        [json.dumps(item) for item in first],
        [json.dumps(item).encode() for item in first],
        [Model(item) for item in first],
    ):
        assert publish(H100, NIC, previous=form) == first


def test_a_change_is_a_generation() -> None:
    first = publish(H100, NIC)
    other = H100.with_overrides({"numa_nodes": {"nic0": [1]}})
    second = publish(other, NIC, previous=as_served(first))
    assert generation_of(second) == 2
    want = publish(other, NIC)
    for item in want:
        item["spec"]["pool"]["generation"] = 2
    assert second == want
    assert publish(other, NIC, previous=second) == second
    assert generation_of(publish(H100, NIC, previous=second)) == 3


def test_fewer_slices_are_a_generation() -> None:
    many = publish(H100, CPU, group_by="individual")
    one = publish(H100, CPU, previous=many)
    assert (len(many), len(one), generation_of(one)) == (2, 1, 2)


def test_a_generation_half_published_is_over() -> None:
    first = publish(H100, CPU, group_by="individual")
    mixed = copy.deepcopy(first)
    mixed[1]["spec"]["pool"]["generation"] = 4
    again = publish(H100, CPU, group_by="individual", previous=mixed)
    assert generation_of(again) == 5


def test_slices_of_other_pools_are_passed_over() -> None:
    others = publish(H100, GPU)
    others += tk.resource_slices(H100, driver=NIC, node_name="n2", kinds=["nic"])
    for item in others:
        item["spec"]["pool"]["generation"] = 9
    first = publish(H100, NIC)
    assert publish(H100, NIC, previous=others) == first
    assert publish(H100, NIC, previous=others + first) == first


def test_a_link_that_sleeps_is_no_change() -> None:
    machines = []
    for speed in (8000, 32000):
        document = H100.to_dict()
        document["devices"][-1].setdefault("attributes", {})["link_speed_mb_s"] = speed
        machines.append(ta.Machine.from_dict(document))
    slices = [publish(machine, NIC) for machine in machines]
    assert slices[0] == slices[1]


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        ([1], r"previous\[0\]: 1, want an object"),
        (["{"], "object: no JSON"),
        ([{"kind": "Pod"}], r"previous\[0\].kind: 'Pod', want ResourceSlice"),
        ([{"kind": "ResourceSlice"}], r"previous\[0\].metadata: missing"),
        (
            [{"kind": "ResourceSlice", "metadata": {}, "spec": {}}],
            r"previous\[0\].spec.pool: missing",
        ),
        (
            [
                {
                    "kind": "ResourceSlice",
                    "metadata": {},
                    "spec": {"pool": {"generation": "1"}},
                }
            ],
            r"previous\[0\].spec.pool.generation: '1', want an integer",
        ),
    ],
)
def test_what_is_no_slice_is_refused(previous: list[Any], message: str) -> None:
    with pytest.raises(tk.ObjectError, match=message):
        publish(H100, NIC, previous=previous)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    with pytest.raises(tk.ObjectError, match=r"previous\[0\]: nested too deeply"):
        publish(H100, NIC, previous=[deep])
