# SPDX-License-Identifier: Apache-2.0
"""What the definition guarantees whatever the question."""

from __future__ import annotations

import copy
import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from tests.instances import (
    LARGE,
    SMALL,
    Dice,
    Instance,
    Reply,
    allocator_of,
    ask,
    describe,
    listed,
    make_instance,
)
from tests.oracle.machine import cpuset

import topoalloc as ta

instances = st.randoms(use_true_random=False).map(lambda rng: make_instance(rng, SMALL))
seeds = pytest.mark.parametrize("seed", range(40))

FIRST_OF_OPENED = ta.Cost._fields.index("opened_packages")


def renumber_pus(instance: Instance) -> Instance:
    """Give PUs other OS indices in the same order."""

    def new(pus: frozenset[int]) -> frozenset[int]:
        return frozenset(3 * pu + 5 for pu in pus)

    document = copy.deepcopy(instance.machine)
    for kind in ("packages", "groups", "cores", "l3s", "numa_nodes"):
        for entry in document.get(kind, []):
            for key in ("cpuset", "parent_cpuset"):
                if key in entry:
                    entry[key] = listed(sorted(new(cpuset(entry[key]))))
    if "allowed_pus" in document:
        document["allowed_pus"] = listed(sorted(new(cpuset(document["allowed_pus"]))))
    state = dataclasses.replace(
        instance.state,
        reserved=new(instance.state.reserved),
        cordoned_pus=new(instance.state.cordoned_pus),
        holdings=[
            dataclasses.replace(holding, pus=new(holding.pus))
            for holding in instance.state.holdings
        ],
    )
    old = instance.keep_from
    old = old and dataclasses.replace(old, pus=new(old.pus))
    return dataclasses.replace(instance, machine=document, state=state, keep_from=old)


def renumber_nodes(instance: Instance) -> Instance:
    """Give NUMANodes other OS indices in the same order; memory is filled in it."""

    def new(node: int) -> int:
        return 2 * node + 7

    document = copy.deepcopy(instance.machine)
    for entry in document.get("numa_nodes", []):
        entry["os_index"] = new(entry["os_index"])
    if "allowed_numa_nodes" in document:
        allowed = document["allowed_numa_nodes"]
        document["allowed_numa_nodes"] = [new(node) for node in allowed]
    if "distances" in document:
        matrix = document["distances"]
        matrix["numa_nodes"] = [new(node) for node in matrix["numa_nodes"]]
    for device in document["devices"]:
        if "numa_nodes" in device:
            device["numa_nodes"] = [new(node) for node in device["numa_nodes"]]

    def moved(holding: Any) -> Any:
        memory = {(new(node), size): n for (node, size), n in holding.memory.items()}
        return dataclasses.replace(holding, memory=memory)

    state = dataclasses.replace(
        instance.state, holdings=[moved(h) for h in instance.state.holdings]
    )
    old = instance.keep_from and moved(instance.keep_from)
    return dataclasses.replace(instance, machine=document, state=state, keep_from=old)


def reorder_devices(instance: Instance, dice: Dice) -> Instance:
    """Give devices other PCI addresses and another order in the document."""
    document = copy.deepcopy(instance.machine)
    devices = document["devices"]
    addresses = [d["pci_address"] for d in devices if "pci_address" in d]
    slots = sorted({address.rpartition(".")[0] for address in addresses})
    other = dict(zip(slots, dice.shuffled(slots), strict=True))
    for device in devices:
        if "pci_address" in device:
            slot, _, function = device["pci_address"].rpartition(".")
            device["pci_address"] = f"{other[slot]}.{function}"
    document["devices"] = dice.shuffled(devices)
    if "links" in document:
        document["links"] = dice.shuffled(document["links"])
    return dataclasses.replace(instance, machine=document)


def check_relabelling(instance: Instance, dice: Dice) -> None:
    reply = ask(instance)
    for other in (
        renumber_pus(instance),
        renumber_nodes(instance),
        reorder_devices(instance, dice),
    ):
        found = ask(other)
        assert (found.status, found.cost) == (reply.status, reply.cost), describe(other)


@given(instances, st.randoms(use_true_random=False))
def test_cost_stays_when_names_change(instance: Instance, rng: random.Random) -> None:
    note(describe(instance))
    check_relabelling(instance, Dice(rng))


@seeds
def test_cost_stays_when_names_change_on_large_machines(seed: int) -> None:
    instance = make_instance(random.Random(seed), LARGE)
    reply = ask(instance)
    if reply.status not in ("FEASIBLE", "UNKNOWN"):
        check_relabelling(instance, Dice(random.Random(seed)))


def speaks_of_bytes(request: dict[str, Any]) -> bool:
    """Say whether a constraint may depend on where bytes are."""
    entries = [*request.get("require", []), *request.get("prefer", [])]
    return bool({"memory", "hugepages"} & set(request)) and any(
        "near" in entry or "align" in entry for entry in entries
    )


def check_more_room(instance: Instance) -> None:
    """Hold the answer to those with something more free.

    Every Placement stays one, with equal terms up to the opened domains: those depend
    on who holds what. Where bytes go depends on what is free, so a constraint on them
    may cease to hold; such Requests are left out.
    """
    if speaks_of_bytes(instance.request):
        return
    before = ask(instance)
    state = instance.state
    replaced: list[dict[str, Any]] = [
        {"cordoned_pus": frozenset()},
        {"cordoned_devices": ()},
    ]
    replaced += [{"reserved": frozenset()}]
    replaced += [
        {"holdings": [h for h in state.holdings if h is not holding]}
        for holding in state.holdings
    ]
    for change in replaced:
        other = dataclasses.replace(state, **change)
        if other == state:
            continue
        after = ask(dataclasses.replace(instance, state=other))
        if before.cost is None:
            continue
        assert after.cost is not None, change
        whole = "holdings" not in change and "memory" not in instance.request
        whole = whole and "hugepages" not in instance.request
        terms = None if whole else FIRST_OF_OPENED
        assert after.cost[:terms] <= before.cost[:terms], change


@given(instances)
def test_answer_is_no_worse_when_more_is_free(instance: Instance) -> None:
    note(describe(instance))
    check_more_room(instance)


@seeds
def test_answer_is_no_worse_when_more_is_free_on_large_machines(seed: int) -> None:
    instance = make_instance(random.Random(1000 + seed), LARGE)
    if ask(instance).status not in ("FEASIBLE", "UNKNOWN"):
        check_more_room(instance)


def check_release(instance: Instance) -> None:
    allocator = allocator_of(instance)
    before = allocator.snapshot()
    request = ta.Request.from_dict(instance.request)
    try:
        allocator.allocate(request, owner="new")
    except ta.NotPlacedError:
        assert allocator.snapshot() == before
        return
    assert allocator.snapshot() != before
    allocator.check_consistency()
    allocator.release("new")
    allocator.check_consistency()
    assert allocator.snapshot() == before
    for holding in instance.state.holdings:
        if not holding.pus and not holding.memory and not holding.devices:
            continue
        allocator.release(holding.owner)
    allocator.check_consistency()


@given(instances)
def test_release_restores_the_state(instance: Instance) -> None:
    note(describe(instance))
    check_release(instance)


@seeds
def test_release_restores_the_state_of_large_machines(seed: int) -> None:
    check_release(make_instance(random.Random(2000 + seed), LARGE))


def body(reply: Reply) -> dict[str, Any] | None:
    return None if reply.placement is None else reply.placement.to_dict()


@given(instances)
def test_equal_questions_get_equal_answers(instance: Instance) -> None:
    note(describe(instance))
    allocator = allocator_of(instance)
    restored = ta.Allocator.restore(allocator.snapshot())
    replies = [ask(instance, one) for one in (allocator, allocator.fork(), restored)]
    first = replies[0]
    for reply in replies[1:]:
        assert (reply.status, reply.cost, reply.steps) == (
            first.status,
            first.cost,
            first.steps,
        )
        assert body(reply) == body(first)
