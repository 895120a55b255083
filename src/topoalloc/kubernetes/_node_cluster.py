# SPDX-License-Identifier: Apache-2.0
"""cluster: Nodes and the pods that run on them, as a Cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from topoalloc._cluster import Cluster
from topoalloc._errors import TopoallocError
from topoalloc._gang import Taint
from topoalloc._machine import Machine
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    dns_subdomain,
    fail,
    listed,
    mapping,
    quantity,
    required,
    shown,
    text,
)
from topoalloc.kubernetes._pod_request import NANO, Amounts, pod_amounts, request_of
from topoalloc.kubernetes._podgroup import document_of
from topoalloc.kubernetes._podgroup_gang import RESOURCES

__all__ = ["cluster"]

ZONE: Final = "topology.kubernetes.io/zone"
_MAX_TAINTS = 1000
# No limits of the API; what a Machine is made of must not be what a number says.
_MAX_PUS, _MAX_DEVICES = 65_536, 4_096
_FINISHED = {"Succeeded", "Failed"}
_EFFECTS = {"NoSchedule", "NoExecute"}

Machines = Mapping[str, Machine] | Callable[[Mapping[str, Any]], Machine | None]


def cluster(
    nodes: Iterable[object],
    *,
    levels: Sequence[str] = (ZONE,),
    pods: Iterable[object] = (),
    machines: Machines | None = None,
    resources: Mapping[str, str] = RESOURCES,
) -> Cluster:
    """Read Nodes as a Cluster, with the pods that are bound to them.

    Parameters
    ----------
    nodes : iterable of mapping, str, bytes or object
        Nodes of v1.
    levels : sequence of str, optional
        Keys of labels that are Domains, from coarse to fine, as
        ``["topology.kubernetes.io/zone", "example.com/rack"]``; zones by default.
    pods : iterable of mapping, str, bytes or object, optional
        Pods; those that are bound and have not finished take what they request, by the
        owner ``namespace/name``. Those that request part of a PU share PUs on a node:
        as many as they request together, rounded up.
    machines : mapping of str to Machine or callable, optional
        The Machine of each node: by its name or its label
        ``node.kubernetes.io/instance-type``; or a function of the Node. Of a node
        without one, a flat one is made of `status.allocatable`: PUs, memory and devices
        with nothing known of where they are.
    resources : mapping of str to str, optional
        Extended resource to class of devices, as for `gang`.

    Returns
    -------
    Cluster

    Raises
    ------
    ObjectError
        An object breaks a rule of its API, or a pod has no room on its node.
    InvalidRequestError
        `levels` are none.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> node = {
    ...     "apiVersion": "v1", "kind": "Node",
    ...     "metadata": {"name": "n1", "labels": {"example.com/rack": "r1"}},
    ...     "status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "2"}}}
    >>> found = tk.cluster([node], levels=["example.com/rack"])
    >>> found.describe("n1").domains, found.node("n1").free_pus
    ({'example.com/rack': 'r1'}, '0-7')
    """
    found = Cluster(levels=list(levels))
    made: dict[tuple[Any, ...], Machine] = {}
    for number, item in enumerate(nodes):
        path = f"nodes[{number}]"
        document = _object(item, path, "Node")
        name, labels = _names(document, path)
        machine = _machine_of(document, name, labels, machines)
        if machine is None:
            machine = _flat_machine(document, path, resources, made)
        spec = mapping(document.get("spec") or {}, f"{path}.spec")
        with _at(path):
            found.add_node(
                name,
                machine,
                domains={level: labels.get(level) for level in levels},
                labels=labels,
                taints=list(_taints(spec, path)),
            )
        if spec.get("unschedulable"):
            found.cordon(name)
    shared: dict[str, list[int]] = {}
    for number, item in enumerate(pods):
        path = f"pods[{number}]"
        document = _object(item, path, "Pod")
        node = mapping(document.get("spec") or {}, f"{path}.spec").get("nodeName")
        phase = mapping(document.get("status") or {}, f"{path}.status").get("phase")
        if not node or phase in _FINISHED:
            continue
        metadata = document["metadata"]
        owner = f"{metadata.get('namespace', 'default')}/{metadata['name']}"
        # It has its node: what it wants of other nodes and pods is no question now.
        amounts = pod_amounts(document["spec"], f"{path}.spec")
        parts = shared.setdefault(str(node), [0])
        request = request_of(_with_parts(amounts, parts), f"{path}.spec", resources)
        with _at(f"{path} on {node}"):
            allocator = found.node(str(node))
            if request is not None:
                allocator.allocate(request, owner=owner)
    return found


def _with_parts(amounts: Amounts, parts: list[int]) -> Amounts:
    """Let pods that want part of a PU share PUs: each takes those that it newly fills.

    `parts` is the sum of the parts so far on its node, in billionths.
    """
    part = amounts.get("cpu", 0) % NANO
    before = -(-parts[0] // NANO)
    parts[0] += part
    filled = -(-parts[0] // NANO) - before
    return amounts | {"cpu": amounts.get("cpu", 0) - part + filled * NANO}


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Give errors the path of the object that they are of."""
    try:
        yield
    except ObjectError:
        raise
    except TopoallocError as error:
        message = f"{path}: {error}"
        raise ObjectError(message) from None


def _object(item: object, path: str, kind: str) -> dict[str, Any]:
    document = document_of(item, path)
    if document.get("kind") != kind:
        raise fail(f"{path}.kind", f"{shown(document.get('kind'))}, want {kind}")
    metadata = mapping(required(document, "metadata", path), f"{path}.metadata")
    where = f"{path}.metadata.name"
    text(required(metadata, "name", f"{path}.metadata"), where, dns_subdomain)
    return document


def _names(document: Mapping[str, Any], path: str) -> tuple[str, dict[str, str]]:
    metadata = document["metadata"]
    labels = mapping(metadata.get("labels") or {}, f"{path}.metadata.labels")
    return metadata["name"], {
        key: text(value, f"{path}.metadata.labels[{key}]")
        for key, value in labels.items()
    }


def _taints(spec: Mapping[str, Any], path: str) -> Iterable[Taint]:
    where = f"{path}.spec.taints"
    for item, at in listed(spec.get("taints"), where, _MAX_TAINTS):
        taint = mapping(item, at)
        effect = text(taint.get("effect"), f"{at}.effect")
        if effect in _EFFECTS:  # PreferNoSchedule keeps nothing away
            key = text(taint.get("key"), f"{at}.key")
            yield Taint(key, text(taint.get("value", ""), f"{at}.value"), effect)


def _machine_of(
    document: Mapping[str, Any],
    name: str,
    labels: Mapping[str, str],
    machines: Machines | None,
) -> Machine | None:
    if machines is None:
        return None
    if isinstance(machines, Mapping):
        kind = labels.get("node.kubernetes.io/instance-type", "")
        return machines.get(name) or machines.get(kind)
    return machines(document)


def _flat_machine(
    document: Mapping[str, Any],
    path: str,
    resources: Mapping[str, str],
    made: dict[tuple[Any, ...], Machine],
) -> Machine:
    """Return the Machine of a node of which only amounts are known; equal ones once."""
    where = f"{path}.status.allocatable"
    status = mapping(document.get("status") or {}, f"{path}.status")
    given = mapping(status.get("allocatable") or {}, where)
    amounts = {
        key: quantity(value, f"{where}[{key}]") // NANO for key, value in given.items()
    }
    pus, memory = amounts.get("cpu", 0), amounts.get("memory", 0)
    for name, amount in amounts.items():
        if amount < 0:
            raise fail(f"{where}[{name}]", f"{shown(amount)}, want 0 or more")
    if pus < 1:
        raise fail(f"{where}[cpu]", "less than 1, want a node that has PUs")
    if pus > _MAX_PUS:
        raise fail(f"{where}[cpu]", f"{shown(pus)}, want at most {_MAX_PUS} PUs")
    devices = sorted(
        (resources[key], count) for key, count in amounts.items() if key in resources
    )
    if sum(count for _, count in devices) > _MAX_DEVICES:
        raise fail(where, f"over {_MAX_DEVICES} devices, want fewer")
    pages = sorted(
        (key.removeprefix("hugepages-"), amount)
        for key, amount in amounts.items()
        if key.startswith("hugepages-") and amount
    )
    key = (pus, memory, tuple(devices), tuple(pages))
    if key not in made:
        made[key] = _made_machine(pus, memory, devices, pages, path)
    return made[key]


def _made_machine(
    pus: int,
    memory: int,
    devices: Sequence[tuple[str, int]],
    pages: Sequence[tuple[str, int]],
    path: str,
) -> Machine:
    every = f"0-{pus - 1}" if pus > 1 else "0"
    try:
        return Machine.from_dict(
            {
                "apiVersion": "topoalloc.dev/v1alpha1",
                "kind": "Machine",
                "packages": [{"os_index": 0, "cpuset": every}],
                "cores": [{"cpuset": str(pu)} for pu in range(pus)],
                "numa_nodes": [
                    {
                        "os_index": 0,
                        "cpuset": every,
                        "memory": memory,
                        "hugepages": dict(pages),
                    }
                ],
                "devices": [
                    {"class": kind, "name": f"{kind}{number}"}
                    for kind, count in devices
                    for number in range(count)
                ],
            }
        )
    except TopoallocError as error:
        message = f"{path}.status.allocatable: {error}"
        raise ObjectError(message) from None
