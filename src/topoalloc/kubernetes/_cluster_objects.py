# SPDX-License-Identifier: Apache-2.0
"""Nodes, and the Pods bound to them, to a Cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from topoalloc._allocator import Allocator
from topoalloc._cluster import Cluster
from topoalloc._errors import FormatError, InvalidRequestError, NotPlacedError
from topoalloc._gang import Taint
from topoalloc._machine import Machine
from topoalloc._policy import Policy
from topoalloc._quantity import format_quantity
from topoalloc._request import API_VERSION, Request
from topoalloc.kubernetes._group_tree import documents, kind_of
from topoalloc.kubernetes._objects_node import read_node
from topoalloc.kubernetes._objects_pod import CPU_NAME, Pod, read_pod, resource_amounts
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    boolean,
    dns_subdomain,
    fail,
    label_key,
    listed,
    mapping,
    required,
    shown,
    text,
)
from topoalloc.kubernetes._pod_request import NAME_LABEL, ResourceRules, request_of

__all__ = ["cluster"]

_MAX_TAINTS = 10_000
_MAX_PUS, _MAX_DEVICES = 65_536, 4_096
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable")
_KEPT = "kubernetes/not-allocatable"
_MILLI = 1000
_HUGE = "hugepages-"

_WELL_KNOWN = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")

MachineOf = Mapping[str, Machine] | Callable[[Mapping[str, Any]], Machine | None]


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, int]
    document: Mapping[str, Any]
    path: str


def cluster(
    nodes: object,
    topology: Sequence[str] | Mapping[str, Sequence[str]] = _WELL_KNOWN,
    *,
    pods: object = (),
    machines: MachineOf | None = None,
    devices: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    round_cpu: bool = True,
    policy: str | Policy = "pack",
) -> Cluster:
    """Make a Cluster of Nodes and the Pods that are bound to them.

    Parameters
    ----------
    nodes : iterable of mapping, str, bytes or object
        Node objects of v1, or a list of them as the API gives it. Labels, taints (an
        unschedulable node has that of its own; those that only prefer are left out) and
        `status.allocatable` are read. Each node has the label ``metadata.name`` too.
    topology : sequence of str, or mapping of str to sequence of str, optional
        Label keys, from coarse to fine, of one tree; or those of each tree by its
        name. By default the region and the zone. The key is the name of the level.
        `kubernetes.io/hostname` is not one of them: it is the level ``"node"``.
    pods : iterable, optional
        Pod objects. Those bound to one of the nodes and not over take what they ask
        for, by owners ``"namespace/name"``; which PUs and devices they have is not in
        a Pod, so the Allocator chooses. Others are passed over.
    machines : mapping of str to Machine, or callable, optional
        The Machine of a node by its name, or by its object. What the Machine has and
        `allocatable` has not is held from the start. A node without a Machine gets a
        plain one, made from `allocatable`: so many PUs, one NUMANode, devices of no
        known place.
    devices, ignore
        As of `GangObjects`.
    round_cpu : bool, default True
        Pods of a node that ask for part of a CPU share whole PUs: as many as they ask
        for together, rounded up.
    policy : str or Policy, default "pack"
        Of the Cluster.

    Returns
    -------
    Cluster

    Raises
    ------
    ObjectError
        An object breaks a rule of its API; a Pod does not fit on its node; a node says
        more than its Machine has; or a label of a fine key lies under several values
        of a coarse one. The message begins with the path.
    InvalidRequestError
        An argument is of another form.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> nodes = [{"apiVersion": "v1", "kind": "Node",
    ...           "metadata": {"name": f"n{i}", "labels": {"example.com/rack": "r0"}},
    ...           "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
    ...          for i in range(2)]
    >>> tk.cluster(nodes, ["example.com/rack"])
    <Cluster example.com/rack: 2 nodes, policy pack>
    """
    rules = ResourceRules.of(devices or {}, ignore, round_cpu=round_cpu)
    trees = _trees(topology)
    read = [_read(*one) for one in documents("nodes", nodes)]
    _check_nesting(read, trees)
    made = Cluster(trees=trees, policy=policy)
    plain: dict[tuple[tuple[str, int], ...], Machine] = {}
    held = {}
    for node in read:
        if node.name in held:
            raise fail(
                f"{node.path}.metadata.name", f"{shown(node.name)} is given twice"
            )
        machine, is_given = _given(machines, node), True
        if machine is None:
            machine, is_given = _plain(node, rules, plain), False
        made.add_node(
            node.name,
            machine,
            domains=_domains(node, trees),
            labels={**node.labels, NAME_LABEL: node.name},
            taints=node.taints,
        )
        held[node.name] = 0
        if is_given and node.allocatable:
            _hold_rest(made, node, rules)
    for document, path in documents("pods", pods):
        kind_of(document, path, {"Pod": ("v1",)})
        pod = read_pod(document, path, rules.ignored)
        if pod.node in held and not pod.is_over:
            _take(made, pod, rules, held)
    return made


# --- topology ---


def _trees(topology: object) -> dict[str, list[str]]:
    named = topology if isinstance(topology, Mapping) else {"topology": topology}
    found: dict[str, list[str]] = {}
    for name, keys in named.items():
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise InvalidRequestError("topology: want label keys, coarse to fine")
        found[name] = [
            _checked_key(f"topology[{i}]", key) for i, key in enumerate(keys)
        ]
    return found


def _checked_key(path: str, key: object) -> str:
    if not isinstance(key, str) or label_key(key):
        raise InvalidRequestError(f"{path}: {shown(key)}, want the key of a label")
    if key == "kubernetes.io/hostname":
        want = "want it left out: it is the level 'node'"
        raise InvalidRequestError(f"{path}: {shown(key)}, {want}")
    return key


def _check_nesting(nodes: Sequence[_Node], trees: Mapping[str, Sequence[str]]) -> None:
    """Refuse a tree that would part what Kubernetes takes for one domain."""
    for keys in trees.values():
        for coarse, fine in pairwise(keys):
            above: dict[str, str | None] = {}
            for node in nodes:
                value = node.labels.get(fine)
                if value is None:
                    continue
                own = node.labels.get(coarse)
                if above.setdefault(value, own) != own:
                    at = f"{node.path}.metadata.labels[{fine}]"
                    other = shown(above[value] or "nothing")
                    raise fail(
                        at,
                        f"{shown(value)}, under {shown(own or 'nothing')} and under "
                        f"{other}, want a tree for each key",
                    )


# --- nodes ---


def _read(document: Mapping[str, Any], path: str) -> _Node:
    kind_of(document, path, {"Node": ("v1",)})
    at = f"{path}.metadata"
    metadata = mapping(required(document, "metadata", path), at)
    name = text(required(metadata, "name", at), f"{at}.name", dns_subdomain)
    try:
        labels = read_node(metadata, name).labels
    except ObjectError as error:
        raise ObjectError(f"{path}.{error}") from None
    spec = mapping(document.get("spec", {}), f"{path}.spec")
    taints = []
    for item, where in listed(spec.get("taints"), f"{path}.spec.taints", _MAX_TAINTS):
        entry = mapping(item, where)
        effect = text(required(entry, "effect", where), f"{where}.effect")
        if effect not in _EFFECTS:
            wants = ", ".join(_EFFECTS)
            raise fail(f"{where}.effect", f"{shown(effect)}, want one of {wants}")
        key = text(required(entry, "key", where), f"{where}.key", label_key)
        value = text(entry.get("value", ""), f"{where}.value")
        if effect != "PreferNoSchedule":
            taints.append(Taint(key, value, effect))
    at = f"{path}.spec.unschedulable"
    if boolean(spec.get("unschedulable", False), at) and _UNSCHEDULABLE not in taints:
        taints.append(_UNSCHEDULABLE)
    status = mapping(document.get("status", {}), f"{path}.status")
    amounts = resource_amounts(status.get("allocatable"), f"{path}.status.allocatable")
    return _Node(name, labels, tuple(taints), amounts, document, path)


def _domains(node: _Node, trees: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found = {}
    for key in (key for keys in trees.values() for key in keys):
        if node.labels.get(key) == "":
            at = f"{node.path}.metadata.labels[{key}]"
            raise fail(at, "'', want a value: it is the name of a Domain")
        if key in node.labels:
            found[key] = node.labels[key]
    return found


def _given(machines: MachineOf | None, node: _Node) -> Machine | None:
    if machines is None:
        return None
    if isinstance(machines, Mapping):
        machine = machines.get(node.name)
    else:
        machine = machines(node.document)
    if machine is not None and not isinstance(machine, Machine):
        raise InvalidRequestError(
            f"machines: {type(machine).__name__} of {shown(node.name)}, want a Machine"
        )
    return machine


def _classes(node: _Node, rules: ResourceRules) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, device in rules.devices.items():
        if name not in rules.ignored:
            found[device] = found.get(device, 0) + node.allocatable.get(name, 0)
    return found


def _plain(node: _Node, rules: ResourceRules, known: dict[Any, Machine]) -> Machine:
    """Return the Machine of one NUMANode that has what is allocatable."""
    at = f"{node.path}.status.allocatable"
    pus = node.allocatable.get(CPU_NAME, 0) // _MILLI
    if not 1 <= pus <= _MAX_PUS:
        raise fail(f"{at}[cpu]", f"{pus} CPUs, want 1 to {_MAX_PUS}")
    hugepages = {
        name.removeprefix(_HUGE): amount
        for name, amount in node.allocatable.items()
        if name.startswith(_HUGE) and amount
    }
    classes = _classes(node, rules)
    if sum(classes.values()) > _MAX_DEVICES:
        raise fail(at, f"over {_MAX_DEVICES} devices, want fewer")
    memory = node.allocatable.get("memory", 0)
    key = (pus, memory, *sorted(hugepages.items()), *sorted(classes.items()))
    if key not in known:
        every = f"0-{pus - 1}"
        document = {
            "apiVersion": API_VERSION,
            "kind": "Machine",
            "name": "allocatable",
            "packages": [{"cpuset": every}],
            "cores": [{"cpuset": str(index)} for index in range(pus)],
            "numa_nodes": [
                {
                    "os_index": 0,
                    "cpuset": every,
                    "memory": memory,
                    "hugepages": hugepages,
                }
            ],
            "devices": [
                {"class": device}
                for device, count in sorted(classes.items())
                for _ in range(count)
            ],
        }
        try:
            known[key] = Machine.from_dict(document)
        except FormatError as error:
            raise fail(at, str(error)) from None
    return known[key]


def _hold_rest(made: Cluster, node: _Node, rules: ResourceRules) -> None:
    """Hold what the Machine has and Kubernetes does not give to pods."""
    allocator = made.node(node.name)
    at = f"{node.path}.status.allocatable"
    asked = {
        name: amount // _MILLI * _MILLI if name == CPU_NAME else amount
        for name, amount in node.allocatable.items()
    } | _classes(node, rules)
    rest = {}
    for name, (amount, most) in _has(allocator, _classes(node, rules)).items():
        given = asked.get(name, 0)
        if given > most:
            unit = _MILLI if name == CPU_NAME else 1
            want = f"want at most the {most // unit} of its Machine"
            raise fail(f"{at}[{name}]", f"{given // unit}, {want}")
        if given < amount:
            rest[name] = amount - given
    classes = {name: name for name in _classes(node, rules)}
    request = request_of(rest, at, ResourceRules(classes, frozenset(), False))
    if request is not None:
        _allocate(made, node.name, request, _KEPT, at)


def _has(
    allocator: Allocator, classes: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Return what Requests can take, and the most that Kubernetes may count."""
    machine = allocator.machine
    free = allocator.free_memory
    # Kubernetes counts the memory of every NUMANode; a Request takes DRAM.
    dram = {node.os_index for node in machine.numa_nodes if node.kind == "dram"}
    pus = allocator.headroom(Request(pus=1))[0] * _MILLI
    found = {
        CPU_NAME: (pus, pus),
        "memory": (sum(free.get(node, 0) for node in dram), sum(free.values())),
    }
    pages: dict[str, int] = {}
    for sizes in allocator.free_hugepages.values():
        for size, amount in sizes.items():
            name = _HUGE + format_quantity(size)
            pages[name] = pages.get(name, 0) + amount
    found |= {name: (amount, amount) for name, amount in pages.items()}
    for device in classes:
        count = sum(one.device_class == device for one in machine.devices)
        found[device] = (count, count)
    return found


# --- pods ---


def _take(
    made: Cluster, pod: Pod, rules: ResourceRules, shared: dict[str, int]
) -> None:
    amounts = dict(pod.shape.amounts)
    part = amounts.get(CPU_NAME, 0) % _MILLI
    if part and rules.rounds_cpu and CPU_NAME not in rules.ignored:
        # Parts add up on a node: a pod takes the PUs that its own part newly fills.
        before = -(-shared[pod.node] // _MILLI)
        shared[pod.node] += part
        after = -(-shared[pod.node] // _MILLI)
        amounts[CPU_NAME] += (after - before) * _MILLI - part
    at = f"{pod.path}.spec"
    request = request_of(amounts, at, rules)
    if request is not None:
        _allocate(made, pod.node, request, f"{pod.namespace}/{pod.name}", at)


def _allocate(
    made: Cluster, node: str, request: Request, owner: str, path: str
) -> None:
    try:
        made.node(node).allocate(request, owner=owner)
    except NotPlacedError as error:
        raise fail(path, f"{error}, want what node {shown(node)} has") from None
