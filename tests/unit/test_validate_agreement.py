# SPDX-License-Identifier: Apache-2.0
"""The search against the validator: each judges what the other says.

What the search writes is valid; and of all allocations that can be written down, the
first that the validator finds nothing wrong with is what `first_fit` chooses.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests import claim_instances

import topoalloc as ta
from topoalloc import kubernetes as tk
from topoalloc.kubernetes._allocation import AllocationWriter
from topoalloc.kubernetes._demand_rules import consumed_by
from topoalloc.kubernetes._objects import AllocationMode, ClaimDemand, ResourceClaim
from topoalloc.kubernetes._objects_read import read_document
from topoalloc.kubernetes._pool_view import NodePools, Place, PoolState
from topoalloc.kubernetes._validate_demand import is_shared

INSTANCES = int(os.environ.get("TOPOALLOC_VALIDATE_INSTANCES", "150"))
SEED = int(os.environ.get("TOPOALLOC_VALIDATE_SEED", "1"))
OPTIONS = {
    "1.34": ("taints", "counters", "consumable_capacity", "binding_conditions"),
    "1.37": ("lists",),
}
ERRORS = (tk.ObjectError, tk.SelectorRuntimeError)


def positions(pools: NodePools) -> list[Place]:
    """Return devices in the order that first_fit prefers."""
    ordered = sorted(
        (
            any(device.binding_conditions for _, device in pool.devices.values()),
            key,
            list(pool.devices.values()),
        )
        for key, pool in pools
        if pool.state == PoolState.USABLE
    )
    return [place for _, _, places in ordered for place in places]


def row_of(
    demand: ClaimDemand, places: list[Place], features: dict[str, bool]
) -> list[tuple[str, int, dict[str, int]]] | None:
    """Return devices as the writer takes them; None if one has not the capacity."""
    rows = []
    for of, device in places:
        consumed = consumed_by(demand, of, device)
        if isinstance(consumed, str):
            return None
        shared = is_shared((of, device), features)
        rows.append((of.name, of.devices.index(device), consumed if shared else {}))
    return rows


def choices(
    claim: ResourceClaim, places: list[Place], features: dict[str, bool]
) -> Iterator[list[Any]]:
    """Go through all that a claim could be given, the preferred first."""

    def of_request(number: int) -> Iterator[tuple[int, Any]]:
        for entry, demand in enumerate(claim.requests[number].demands):
            sizes = [demand.count]
            if demand.mode == AllocationMode.ALL:
                sizes = list(range(1, len(places) + 1))
            for size in sizes:
                for chosen in itertools.combinations(places, size):
                    rows = row_of(demand, list(chosen), features)
                    if rows is not None:
                        yield entry, rows

    return map(
        list,
        itertools.product(*(list(of_request(n)) for n in range(len(claim.requests)))),
    )


def brute_force(
    inventory: tk.Inventory, documents: list[dict[str, Any]], node: str
) -> list[dict[str, Any]] | bool | None:
    """Return the first valid allocations; False when there are too many to try."""
    contents, _ = inventory._contents()
    pools = NodePools(contents, contents.nodes[node])
    places = positions(pools)
    features = dict(contents.features)
    ids = itertools.count()
    per_claim = []
    total = 1
    for document in documents:
        claim = read_document(document, inventory.semantics)
        assert isinstance(claim, ResourceClaim)
        writer = AllocationWriter(claim, document["spec"], contents.classes)
        written = []
        for rows in choices(claim, places, features):
            allocation = writer.write(
                rows,
                contents.slices,
                node,
                lambda: f"00000000-0000-4000-8000-{next(ids):012x}",
            )
            candidate = {**document, "status": {"allocation": allocation}}
            if not tk.validate([candidate], inventory):
                written.append(candidate)
            if len(written) > 60:
                return False
        per_claim.append(written)
        total *= len(written)
    if total > 400:
        return False
    for candidates in itertools.product(*per_claim):
        if not tk.validate(candidates, inventory):
            return list(candidates)
    return None


def chosen_devices(documents: list[dict[str, Any]]) -> list[Any]:
    return [
        [
            (result["request"], result["driver"], result["device"])
            for result in document["status"]["allocation"]["devices"].get("results", ())
        ]
        for document in documents
    ]


@pytest.mark.parametrize("semantics", OPTIONS)
def test_the_search_and_the_validator_agree(semantics: str) -> None:
    placed = refused = 0
    for number in range(INSTANCES):
        rng = random.Random(f"{SEED} {semantics} {number}")
        inventory = tk.Inventory(semantics, features=OPTIONS[semantics])
        for item in claim_instances.cluster(rng):
            inventory.update(item)
        documents = claim_instances.claims(rng)
        for earlier in claim_instances.claims(rng):
            earlier["metadata"]["namespace"] = "other"
            try:
                inventory.allocate([earlier], node="n1", choose="first_fit")
            except ta.TopoallocError:
                continue
        try:
            found = inventory.check(documents, node="n1", choose="first_fit")
            best = inventory.check(documents, node="n1")
        except ERRORS:
            continue
        note = f"seed {SEED} {semantics} {number}"
        assert found.status.name in {"OPTIMAL", "FEASIBLE", "INFEASIBLE"}, note
        for verdict in (found, best):
            written = [
                {**document, "status": {"allocation": allocation}}
                for document, allocation in zip(
                    documents, verdict.allocations, strict=False
                )
            ]
            assert tk.validate(written, inventory) == [], note
        expected = brute_force(inventory, documents, "n1")
        if expected is False:
            continue
        if expected is None:
            refused += 1
            assert not found, note
            assert not best, note
            continue
        placed += 1
        assert isinstance(expected, list)
        assert found, note
        assert best, note
        first = [
            {"status": {"allocation": allocation}} for allocation in found.allocations
        ]
        assert chosen_devices(first) == chosen_devices(expected), note
    assert min(placed, refused) > INSTANCES // 10
