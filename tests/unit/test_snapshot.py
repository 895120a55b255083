# SPDX-License-Identifier: Apache-2.0
"""Snapshots: what comes back is the same, and what is damaged is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import topoalloc as ta


def filled() -> ta.Allocator:
    """Return an Allocator with something of each kind in it."""
    allocator = ta.Allocator(
        ta.Machine.preset("dgx-h100"), reserved_pus="0-1,112-113", policy="spread"
    )
    pairs = ta.Request(
        cores=4,
        memory="8Gi",
        devices={"gpu": 2, "nic": ta.DeviceRequest(2)},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    allocator.allocate(pairs, owner="pod-7")
    allocator.take(owner="system", pus="60-61", memory={1: "1Gi"}, devices=["nic7"])
    allocator.cordon("gpu5")
    allocator.cordon("pu:9")
    return allocator


def sealed(document: object) -> bytes:
    """Return a snapshot of any document with a right checksum."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return (
        f"topoalloc-snapshot 1 sha256:{hashlib.sha256(body).hexdigest()}\n".encode()
        + body
    )


SNAPSHOT = filled().snapshot()


def document() -> dict[str, Any]:
    """Return the JSON of a snapshot, to be spoilt."""
    found: dict[str, Any] = json.loads(SNAPSHOT.partition(b"\n")[2])
    return found


def test_restored_is_the_same() -> None:
    first = filled()
    again = ta.Allocator.restore(first.snapshot())
    assert again.snapshot() == first.snapshot()
    assert again.free_pus == first.free_pus
    assert again.free_memory == first.free_memory
    assert again.free_devices == first.free_devices
    assert again.policy == first.policy
    assert again.machine == first.machine
    ours, theirs = (
        {owner: placement.to_dict() for owner, placement in a.placements.items()}
        for a in (first, again)
    )
    assert ours == theirs
    again.check_consistency()


def test_restored_gives_the_same_answers() -> None:
    first = filled()
    again = ta.Allocator.restore(first.snapshot())
    for request in (
        ta.Request(cores=3, devices={"gpu": 3}),
        ta.Request(devices={"gpu": 6}),
        ta.Request(pus=5, memory="2Gi"),
    ):
        ours, theirs = first.check(request), again.check(request)
        assert (ours.status, ours.steps, ours.cost) == (
            theirs.status,
            theirs.steps,
            theirs.cost,
        )
    # The Request came back too: asking again is idempotent.
    held = first.placements["pod-7"]
    request = ta.Request(
        cores=4,
        memory="8Gi",
        devices={"gpu": 2, "nic": 2},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    assert again.allocate(request, owner="pod-7").to_dict() == held.to_dict()


def test_cordoned_and_held_comes_back() -> None:
    allocator = filled()
    allocator.cordon("nic7")
    allocator.cordon("pu:2")
    again = ta.Allocator.restore(allocator.snapshot())
    assert again.snapshot() == allocator.snapshot()


def test_first_line_is_text_with_version_and_checksum() -> None:
    header = SNAPSHOT.partition(b"\n")[0].decode()
    assert header.startswith("topoalloc-snapshot 1 sha256:")


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        (b"", "line 1 is not its header"),
        (b"\n", "line 1 is not its header"),
        (b"hello world 1\n{}", "line 1 is not its header"),
        (SNAPSHOT.replace(b"snapshot 1", b"snapshot 2", 1), "format '2', want 1"),
        (SNAPSHOT.replace(b"snapshot 1", b"snapshot x", 1), "format 'x', want 1"),
        (SNAPSHOT[:-1], "damaged, want content that meets its checksum"),
        (SNAPSHOT + b" ", "damaged"),
        (SNAPSHOT.replace(b"pod-7", b"pod-8"), "damaged"),
        (sealed(b"{"), "want JSON"),
        (sealed(b"\xff"), "want JSON"),
        (sealed(b"[" * 100_000), "want JSON"),
        (sealed([]), "Snapshot: list, want an object"),
        (sealed({}), "Snapshot.apiVersion: None"),
        ("text", "snapshot: str, want bytes"),
    ],
)
def test_damaged_bytes_are_refused(snapshot: bytes, message: str) -> None:
    with pytest.raises(ta.FormatError, match=message):
        ta.Allocator.restore(snapshot)


def spoilt(path: str, value: object) -> bytes:
    """Return a snapshot with one field changed, or removed by an Ellipsis."""
    whole = document()
    part: Any = whole
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    for key in keys:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return sealed(whole)


HELD = "state/placements/0/placement"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "Decision", "Snapshot.kind: 'Decision', want 'Snapshot'"),
        ("machine", ..., "snapshot.machine: absent"),
        ("machine/packages", 3, "packages"),
        ("policy/name", "fast!", "policy.name: 'fast!', want 1 to 31 of"),
        ("policy/name", "pack", "policy.packing: spread, want that of pack"),
        ("policy/packing", "fast", "policy.packing: 'fast', want pack or spread"),
        ("policy/packing", 1, "policy.packing: int, want a str"),
        ("policy/order", ["l3s"], r"policy.order: \['l3s'\], want each of packages"),
        ("policy/order", {}, "policy.order: dict, want a list"),
        ("policy/order", [[]] * 8, "policy.order: "),
        ("policy/version", 0, "policy.version: 0, want 1 to 4294967295"),
        ("policy/version", 2, "policy: spread version 2, want version 1"),
        ("policy/version", True, "policy.version: bool, want an int"),
        ("state", [], "snapshot.state: list, want an object"),
        ("state/reserved_pus", "9999", "9999"),
        ("state/reserved_pus", "x", "x"),
        ("state/cordoned_pus", "9999", "os_index 9999"),
        ("state/cordoned_devices", ["gpu9"], "device: 'gpu9'"),
        ("state/cordoned_devices", [3], "cordoned_devices: int, want a str"),
        ("state/placements", {}, "placements: dict, want a list"),
        ("state/placements/0", "x", r"placements\[0\]: str, want an object"),
        ("state/placements/0/owner", "", r"placements\[0\].owner: '', want a name"),
        ("state/placements/0/owner", "system", "'system'"),
        ("state/placements/0/status", "UNKNOWN", "status: 'UNKNOWN', want OPTIMAL"),
        ("state/placements/0/request", {}, "Request.apiVersion"),
        ("state/placements/0/placement", ..., "placement: absent"),
        (f"{HELD}/cpuset", "60-61", "60"),
        (f"{HELD}/cpuset", "0-", "0-"),
        (f"{HELD}/memory", {"0": 2**62}, "memory|NUMANode"),
        (f"{HELD}/memory", {"x": 1}, "memory: key 'x', want a number in digits"),
        (f"{HELD}/memory", {"9" * 5000: 1}, "want a number in digits"),
        (f"{HELD}/memory", {"0": "1Gi"}, "memory.0: str, want an int"),
        (f"{HELD}/memory", {"0": -1}, "memory.0: -1, want 0 to"),
        (f"{HELD}/memory", {"77": 1}, "NUMANode os_index 77"),
        (f"{HELD}/hugepages", {"0": {"3": 3}}, "page size: 3 bytes"),
        (f"{HELD}/devices", [{"name": "gpu9"}], "device: 'gpu9'"),
        (f"{HELD}/devices", [{"name": "gpu0"}] * 2, "'gpu0' twice"),
        (f"{HELD}/devices", ["gpu0"], r"devices\[0\]: str, want an object"),
        (f"{HELD}/devices", [{"name": "gpu0", "share": {"x": 1}}], "gpu0"),
        (f"{HELD}/localities", [2**40], r"localities\[0\]: 1099511627776, want 0 to"),
        (f"{HELD}/localities", [64], "localities: 64, want one of the Machine"),
        (
            f"{HELD}/pairs",
            [{"constraint": 0, "pairs": [["gpu0"]]}],
            "want two names each",
        ),
        (f"{HELD}/pairs", [{"constraint": -1, "pairs": []}], "constraint: -1, want 0"),
        (f"{HELD}/cost", {}, "cost: not the terms of a Cost"),
        (f"{HELD}/cost/l3s", 2**64, "cost.l3s: 18446744073709551616, want -"),
        (f"{HELD}/cost/l3s", 1.5, "cost.l3s: float, want an int"),
    ],
)
def test_contradiction_is_refused_with_its_place(
    path: str, value: object, message: str
) -> None:
    with pytest.raises(ta.FormatError, match=message):
        ta.Allocator.restore(spoilt(path, value))


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**65)
    | st.floats()
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(value=junk, data=st.data())
def test_any_field_may_be_junk(value: object, data: st.DataObject) -> None:
    whole = document()
    part: Any = whole
    while isinstance(part, dict | list) and part:
        keys = list(part) if isinstance(part, dict) else range(len(part))
        key = data.draw(st.sampled_from(keys))
        if (
            key == "machine"
            or not isinstance(part[key], dict | list)
            or data.draw(st.booleans())
        ):
            part[key] = value
            break
        part = part[key]
    with contextlib.suppress(ta.FormatError):
        ta.Allocator.restore(sealed(whole)).check_consistency()


@given(cut=st.integers(0, len(SNAPSHOT) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_is_noticed(cut: int, byte: int) -> None:
    changed = SNAPSHOT[:cut] + bytes([byte]) + SNAPSHOT[cut + 1 :]
    if changed == SNAPSHOT:
        return
    with pytest.raises(ta.FormatError, match="snapshot"):
        ta.Allocator.restore(changed)
