# SPDX-License-Identifier: Apache-2.0
"""Mutate every kind of document that the package reads, and read each mutant.

``nox -s fuzz`` runs it. A Machine spec, a Request, a Decision record, a snapshot, a
Cluster or an object of Kubernetes is read, or refused by FormatError (for a Request
InvalidRequestError too) with a message, within the time bound; what was read holds
together, and the message about an object of Kubernetes begins with a path. Mutant i of
a seed is the same everywhere, so ``--only i`` repeats one.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import hashlib
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import yaml
from tests.documents import CLAIM, CLASS, COUNTERS, SLICE

import topoalloc as ta
from topoalloc.kubernetes._objects_read import read_object

# A message quotes what is wrong, and the longest text in JUNK is a tenth of this.
LONGEST_MESSAGE: Final = 50_000
MAX_STEPS: Final = 20_000

PLACE: Final = re.compile(
    r"(object|(apiVersion|kind|metadata|spec|status)[\x20-\x7e]*?): "
)

Path = tuple[str | int, ...]

JUNK: Final[tuple[Any, ...]] = (
    None, True, False, -1, 0, 1, 2, 7, 64, 255, 65536, 2**20, 2**31, 2**32, 2**50,
    2**63 - 1, 2**63, 2**64, 10**400, 0.5, 1e308, float("inf"), float("nan"),
    "", "x", "0", "0-3", "0-", "9999", "0-4294967295", "0-1048575", "gpu", "gpu0",
    "nic7", "numa", "l3", "package", "self", "machine", "pus", "memory", "64Gi", "-1",
    "64GB", "1e30", "9" * 5000, "\x00", "\ud800", "\u0663", "a" * 5000,
    [], [0], ["gpu0"], ["gpu0", "gpu0"], [[]], [None], {}, {"x": 1}, {"gpu": 1},
    {"0": 1}, {"2Mi": 4}, {"kind": "align"}, {"apiVersion": "topoalloc.dev/v2"},
)  # fmt: skip


def paths(value: Any, here: Path = ()) -> list[Path]:
    """Return the place of every value below `value`."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = []
    for key, inner in items:
        found.append((*here, key))
        found.extend(paths(inner, (*here, key)))
    return found


def at(document: Any, path: Path) -> Any:
    """Return what stands at a place."""
    for key in path:
        document = document[key]
    return document


def any_value(random: Random, document: Any, other: Any) -> Any:
    """Return junk, or a part of this document or of another."""
    source = random.choice((None, document, other))
    if source is None:
        return copy.deepcopy(random.choice(JUNK))
    places = paths(source)
    return copy.deepcopy(at(source, random.choice(places))) if places else None


def changed_scalar(random: Random, value: Any) -> Any:
    """Return a value near the one given."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + random.choice((-1, 1, 2, 64, -value, -2 * value, 2**32))
    if isinstance(value, str) and value:
        cut = random.randrange(len(value))
        middle = random.choice(("", "0", "-", ",", ".", value[cut] * 2, "\u00e9", " "))
        return value[:cut] + middle + value[cut + 1 :]
    return random.choice(JUNK)


def mutate_once(random: Random, document: Any, other: Any) -> Any:
    """Change one place of a document, which is the caller's own copy."""
    places = paths(document)
    if not places or random.random() < 0.01:
        return any_value(random, document, other)
    *parents, key = random.choice(places)
    holder = at(document, tuple(parents))
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = any_value(random, document, other)
    elif kind == 2 and isinstance(holder, list):
        value = copy.deepcopy(holder[random.randrange(len(holder))])
        holder.insert(random.randrange(len(holder) + 1), value)
    elif kind == 2:
        holder[random.choice(("x", "", "kind", "\ud800", "0"))] = holder.pop(key)
    elif kind == 3 and isinstance(holder, list):
        random.shuffle(holder)
    else:
        value = holder[key]
        if isinstance(value, dict | list):
            holder[key] = any_value(random, document, other)
        else:
            holder[key] = changed_scalar(random, value)
    return document


def mutant_of(random: Random, document: Any, other: Any) -> Any:
    """Return a changed copy of a document."""
    mutant = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        mutant = mutate_once(random, mutant, other)
    return mutant


# --- what is read ---------------------------------------------------------------------


def machines() -> list[Any]:
    """Return Machine specs: a preset, a small one and one with everything in it."""
    rich = {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Machine",
        "name": "rich",
        "info": {"vendor": "none"},
        "packages": [{"os_index": 0, "cpuset": "0-7"}, {"cpuset": "8-15"}],
        "l3s": [{"cpuset": "0-3"}, {"cpuset": "4-7"}, {"cpuset": "8-15"}],
        "cores": [{"cpuset": f"{2 * i}-{2 * i + 1}"} for i in range(8)],
        "allowed_pus": "0-14",
        "allowed_numa_nodes": [0, 1],
        "numa_nodes": [
            {
                "os_index": 0,
                "cpuset": "0-7",
                "memory": "64Gi",
                "hugepages": {"2Mi": "8Mi"},
            },
            {"os_index": 1, "cpuset": "8-15", "memory": 2**36},
            {"os_index": 9, "cpuset": "", "parent_cpuset": "8-15", "kind": "cxl"},
        ],
        "distances": {"numa_nodes": [0, 1], "values": [[10, 21], [21, 10]]},
        "devices": [
            {
                "class": "gpu",
                "pci_address": "0000:1b:00.0",
                "numa_nodes": [0],
                "attributes": {"model": "A", "cuda": 8, "ok": True, "tags": ["a"]},
                "capacities": {"memory": "80Gi"},
                "counters": {"slices": 7},
                "aliases": ["cuda0"],
                "uuid": "GPU-1",
            },
            {
                "class": "mig",
                "parent": 0,
                "partition": "1g",
                "draws": {"slices": 1, "memory": 10 * 2**30},
            },
            {"class": "gpu", "pci_address": "0000:43:00.0", "numa_nodes": 1},
            {"class": "nic", "name": "mlx5_0", "numa_nodes": [0]},
        ],
        "links": [{"from": "gpu0", "to": "gpu1", "mb_s": 50_000}],
        "overrides": {"levels": [{"a": "gpu0", "b": "nic0", "level": "switch"}]},
    }
    small = ta.Machine.from_synthetic("pack:2 l3:2 core:2 pu:2")
    return [ta.Machine.preset("dgx-h100").to_dict(), small.to_dict(), rich]


def requests() -> list[Any]:
    """Return Requests in which everything that can be asked is asked."""
    full = ta.Request(
        cores=4,
        memory="8Gi",
        hugepages={"2Mi": "64Mi"},
        devices={
            "gpu": ta.DeviceRequest(2, where={"model": "A", "cuda": ta.AtLeast(7)}),
            "nic": ta.DeviceRequest(2, eligible=["nic0", "nic1", "nic2"]),
        },
        exclude=["gpu3"],
        keep=["pus"],
        require=[
            ta.Align("numa", of=("pus", "gpu")),
            ta.Pair("gpu", "nic", within="bridges"),
            ta.Link("gpu", mode="connected"),
            ta.Near("nic0", within="package"),
        ],
        prefer=[ta.Same("model", of=("gpu",)), ta.Distinct("uuid", of=("nic",))],
    )
    shared = ta.Request(
        pus=3,
        whole_cores=True,
        devices={
            "gpu": ta.DeviceRequest(
                1,
                where={
                    "model": ta.OneOf("A", "B"),
                    "cuda": ta.AtMost(9),
                    "tags": ta.Not("x"),
                },
                share={"memory": "10Gi"},
            ),
            "mig": ta.DeviceRequest(1, partition="1g"),
        },
    )
    return [full.to_dict(), shared.to_dict()]


def filled_allocator() -> ta.Allocator:
    """Return an Allocator with something of each kind in it."""
    allocator = ta.Allocator(
        ta.Machine.preset("dgx-h100"), reserved_pus="0-1,112-113", policy="spread"
    )
    pairs = ta.Request(
        cores=4,
        memory="8Gi",
        devices={"gpu": 2, "nic": 2},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    allocator.allocate(pairs, owner="pod-7")
    allocator.take(owner="system", pus="60-61", memory={1: "1Gi"}, devices=["nic7"])
    allocator.cordon("gpu5")
    allocator.cordon("pu:9")
    return allocator


def decisions() -> list[Any]:
    """Return Decision records of a yes, of a no, and of a resize that failed."""
    allocator = filled_allocator()
    found = [
        allocator.check(ta.Request(cores=3, devices={"gpu": 2})).to_dict(),
        allocator.check(ta.Request(devices={"gpu": 8})).to_dict(),
    ]
    try:
        allocator.resize("pod-7", ta.Request(devices={"gpu": 8}))
    except ta.InfeasibleError as error:
        found.append(error.verdict.to_dict())
    return found


def snapshots() -> list[Any]:
    """Return the JSON of snapshots."""
    body = filled_allocator().snapshot().partition(b"\n")[2]
    return [json.loads(body)]


def clusters() -> list[Any]:
    """Return Clusters: one by hand with something of each kind, one as written."""
    by_hand = {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Cluster",
        "trees": [
            {"name": "network", "levels": ["pod", "rack"]},
            {"name": "nvlink", "levels": ["nvl"]},
        ],
        "policy": "spread",
        "machines": {
            "tray": {"preset": "gb200-tray"},
            "small": {"synthetic": "pack:2 core:2 pu:2"},
        },
        "nodes": [
            {
                "names": ["n[01-06]", "n08"],
                "machine": "tray",
                "domains": {"pod": "p1", "rack": "r1", "nvl": "d1"},
                "labels": {"pool": "train"},
            },
            {
                "name": "login[0]",
                "machine": "small",
                "taints": [{"key": "login", "value": "x", "effect": "NoExecute"}],
                "reserved_pus": "0-1",
                "cordoned": True,
            },
        ],
        "states": [
            {
                "nodes": "n[02-03]",
                "taken": [
                    {"owner": "system", "pus": "142-143", "memory": {"1": "2Gi"}}
                ],
                "cordoned_devices": ["nic3"],
            },
            {"node": "login[0]", "cordoned_pus": "6"},
        ],
    }
    cluster = ta.Cluster.from_dict(by_hand)
    pair = ta.Request(
        cores=8,
        memory="64Gi",
        devices={"gpu": 2, "nic": 2},
        require=[ta.Pair("gpu", "nic", within="numa")],
    )
    workers = ta.PodSet("worker", pair, 4, 3, require=[ta.Within("rack")])
    leader = ta.PodSet("leader", ta.Request(cores=1), 1, where={"pool": "train"})
    together = ta.Group("all", ["leader", "worker"], require=[ta.Within("nvl")])
    gang = ta.Gang("train-3", [workers, leader], [together], priority=5)
    cluster.commit(cluster.place(gang))
    written = cluster.to_dict()
    # Machines are a kind of their own; here they would be most of every mutant.
    return [
        by_hand,
        written | {"machines": by_hand["machines"], "nodes": by_hand["nodes"]},
    ]


def sealed(document: Any) -> bytes:
    """Return a snapshot of any document, with a right checksum."""
    body = json.dumps(document).encode()
    digest = hashlib.sha256(body).hexdigest()
    return f"topoalloc-snapshot 1 sha256:{digest}\n".encode() + body


def read_machine(random: Random, document: Any) -> None:
    """Read a Machine spec; what it writes is read as an equal Machine."""
    del random
    machine = ta.Machine.from_dict(document)
    if ta.Machine.from_dict(machine.to_dict()) != machine:
        raise AssertionError("to_dict and from_dict differ")


@functools.cache
def asked_allocators() -> tuple[ta.Allocator, ...]:
    """Return what Requests are asked of."""
    return filled_allocator(), ta.Allocator(ta.Machine.from_dict(machines()[2]))


def read_request(random: Random, document: Any) -> None:
    """Read a Request; ask it of a Machine, which may lack what it names."""
    request = ta.Request.from_dict(document)
    if ta.Request.from_dict(request.to_dict()) != request:
        raise AssertionError("to_dict and from_dict differ")
    with contextlib.suppress(ta.InvalidRequestError):
        random.choice(asked_allocators()).check(request, max_steps=MAX_STEPS)


def read_decision(random: Random, document: Any) -> None:
    """Replay a Decision record."""
    del random
    if isinstance(document, dict) and isinstance(document.get("max_steps"), int):
        # The bound on the work is in the record itself.
        document["max_steps"] = min(document["max_steps"], MAX_STEPS)
    ta.replay(document)


def read_snapshot(random: Random, document: Any) -> None:
    """Restore a snapshot whose checksum holds, or whose bytes are damaged."""
    content = sealed(document)
    if random.random() < 0.1:
        spot = random.randrange(len(content))
        content = (
            content[:spot] + random.randbytes(random.randrange(3)) + content[spot:]
        )
    ta.Allocator.restore(content).check_consistency()


def read_cluster(random: Random, document: Any) -> None:
    """Read a Cluster; what it writes is read as an equal one."""
    del random
    cluster = ta.Cluster.from_dict(document)
    cluster.check_consistency()
    written = cluster.to_dict()
    if ta.Cluster.from_dict(written).to_dict() != written:
        raise AssertionError("to_dict and from_dict differ")


def read_kubernetes(random: Random, document: Any) -> None:
    """Read an object of Kubernetes or its text, damaged; twice it is the same."""
    source = document
    kind = random.random()
    if kind < 0.3:
        with contextlib.suppress(ValueError):
            source = json.dumps(document)
    elif kind < 0.6:
        with contextlib.suppress(ValueError, yaml.YAMLError):
            source = yaml.safe_dump(document, default_flow_style=random.random() < 0.2)
    if isinstance(source, str) and kind < 0.4:
        spot = random.randrange(len(source) + 1)
        damage = random.choice(
            ("", "\t", "*a", "&a ", "!x ", "---\n", "{", "- ", "\x00")
        )
        source = source[:spot] + damage + source[spot + random.randrange(3) :]
    try:
        found = read_object(source)
    except ta.FormatError as error:
        if not PLACE.match(str(error)):
            raise AssertionError(f"no path: {str(error)[:200]}") from None
        raise
    if repr(read_object(source)) != repr(found):
        raise AssertionError("read twice, it differs")


Reader = Callable[[Random, Any], None]
REFUSALS: Final[dict[str, tuple[type[Exception], ...]]] = {
    "machine": (ta.FormatError,),
    "request": (ta.FormatError, ta.InvalidRequestError),
    "decision": (ta.FormatError,),
    "snapshot": (ta.FormatError,),
    "cluster": (ta.FormatError,),
    "kubernetes": (ta.FormatError,),
}
READERS: Final[dict[str, Reader]] = {
    "machine": read_machine,
    "request": read_request,
    "decision": read_decision,
    "snapshot": read_snapshot,
    "cluster": read_cluster,
    "kubernetes": read_kubernetes,
}


def fault_of(kind: str, document: Any, random: Random) -> tuple[str, str]:
    """Return what came out (read, refused), and what is wrong with it or nothing."""
    try:
        READERS[kind](random, document)
    except REFUSALS[kind] as error:
        message = str(error)
        if not message or len(message) > LONGEST_MESSAGE:
            return "refused", f"a message of {len(message)} characters"
        return "refused", ""
    except Exception as error:
        return "refused", f"{type(error).__name__}: {str(error)[:500]}"
    return "read", ""


def main() -> int:
    """Run, print the figures, and say whether anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutants", type=int, default=10_000, help="of each kind")
    parser.add_argument("--max-ms", type=float, default=5000)
    parser.add_argument("--kind", choices=READERS)
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    originals = {
        "machine": machines(),
        "request": requests(),
        "decision": decisions(),
        "snapshot": snapshots(),
        "cluster": clusters(),
        "kubernetes": [SLICE, COUNTERS, CLAIM, CLASS],
    }
    for kind, documents in originals.items():
        for document in documents:
            came_out, fault = fault_of(kind, copy.deepcopy(document), Random(0))
            if fault or came_out != "read":
                parser.error(
                    f"{kind}: an original was {came_out} {fault}, want it read"
                )
    numbers = range(arguments.mutants) if arguments.only is None else [arguments.only]
    faults = 0
    for kind in [arguments.kind] if arguments.kind else READERS:
        tally: Counter[str] = Counter()
        slowest = 0.0
        for number in numbers:
            random = Random(f"{arguments.seed} {kind} {number}")
            original = originals[kind][number % len(originals[kind])]
            other = random.choice(originals[random.choice(list(originals))])
            mutant = mutant_of(random, original, other)
            begin = time.perf_counter()
            came_out, fault = fault_of(kind, mutant, random)
            took_ms = (time.perf_counter() - begin) * 1000
            slowest = max(slowest, took_ms)
            tally[came_out] += 1
            if not fault and took_ms > arguments.max_ms:
                fault = f"took {took_ms:.0f} ms"
            if fault:
                faults += 1
                print(f"--kind {kind} --seed {arguments.seed} --only {number}: {fault}")
        print(
            f"{kind}: {tally['read']} read, {tally['refused']} refused, "
            f"slowest {slowest:.1f} ms"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
