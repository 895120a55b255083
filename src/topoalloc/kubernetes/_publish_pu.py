# SPDX-License-Identifier: Apache-2.0
"""PUs and memory as devices, named and shaped as dra-driver-cpu and -memory do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Domain
from topoalloc.kubernetes._publish_place import (
    OURS,
    Attributes,
    Publication,
    amount,
    node_allocatable,
    numa_attributes,
    package_attributes,
    root_attributes,
    root_of,
)

__all__ = ["GROUPS", "memory_devices", "pu_devices"]

GROUPS = ("individual", "numanode", "socket", "machine")
"""How PUs become devices."""

_PAGES = ((2**30, "g"), (2**20, "m"), (2**10, "k"))
_BASE_PAGE = 4096


def pu_devices(of: Publication) -> Iterator[dict[str, Any]]:
    """Go through the devices that PUs are given by; siblings are neighbours."""
    machine = of.machine
    if of.group_by == "individual":
        yield from _individual(of)
    elif of.group_by == "numanode":
        for locality in machine.localities:
            if not locality.numa_nodes:
                continue  # It has no name: these PUs are in no NUMANode.
            os_index = locality.numa_nodes[0]
            numa = [
                node.os_index
                for node in machine.numa_nodes
                if node.os_index in locality.numa_nodes and node.pus
            ]
            packages = [machine.packages[index] for index in locality.packages]
            yield from _group(of, f"numa{os_index:03}", locality.pus, numa, packages)
    elif of.group_by == "socket":
        for package in machine.packages:
            if package.os_index is None:
                raise InvalidRequestError(
                    "group_by: 'socket', want another: the machine has no os_index of "
                    f"package {package.logical_index}"
                )
            numa = _numa_nodes(of, package.pus)
            yield from _group(
                of, f"socket{package.os_index:03}", package.pus, numa, [package]
            )
    else:
        pus = tuple(range(len(machine.pus)))
        yield from _group(of, "machine", pus, _numa_nodes(of, pus), machine.packages)


def memory_devices(of: Publication) -> Iterator[dict[str, Any]]:
    """Go through the memory of NUMANodes, base pages and each size of huge pages."""
    allowed = of.machine.allowed_numa_nodes
    for node in of.machine.numa_nodes:
        if node.kind == "gpu" or node.os_index not in allowed:
            continue
        sizes = [(_BASE_PAGE, node.memory, False)]
        sizes += [(page, size, True) for page, size in sorted(node.hugepages.items())]
        for page, size, is_huge in sizes:
            size -= size % page  # noqa: PLW2901 - whole pages
            if not size:
                continue
            kind = f"hugepages-{_page_name(page)}" if is_huge else "memory"
            yield {
                "name": f"{kind}-numa{node.os_index:03}",
                "attributes": {
                    "pageSize": {"string": _page_name(page)},
                    "hugeTLB": {"bool": is_huge},
                    "kind": {"string": node.kind},
                    **numa_attributes(of, [node.os_index]),
                    **package_attributes(of, node.localities),
                },
                "allowMultipleAllocations": True,
                "capacity": {
                    "size": {
                        "value": amount(size),
                        "requestPolicy": {
                            "default": amount(page),
                            "validRange": {"min": amount(page), "step": amount(page)}
                            if size >= 2 * page
                            else {"min": amount(page)},
                        },
                    }
                },
                **node_allocatable(
                    of, f"hugepages-{amount(page)}" if is_huge else "memory", "size"
                ),
            }


def _individual(of: Publication) -> Iterator[dict[str, Any]]:
    machine = of.machine
    for pu in machine.pus:
        if pu.os_index not in of.free_pus:
            continue
        core = machine.cores[pu.core]
        numa = machine.localities[pu.locality].numa_nodes
        package = machine.packages[pu.package]
        attributes: Attributes = {
            "cpuID": {"int": pu.os_index},
            **_numbered("coreID", core),
            **_numbered("socketID", package),
            "cacheL3ID": {"int": pu.l3},
            "smtEnabled": {"bool": len(core.pus) > 1},
            f"{OURS}/core": {"int": pu.core},
            f"{OURS}/l3": {"int": pu.l3},
            f"{OURS}/package": {"int": pu.package},
            **numa_attributes(of, numa[:1]),
        }
        yield {
            "name": f"cpudev{pu.os_index:03}",
            "attributes": attributes,
            **node_allocatable(of, "cpu"),
        }


def _group(
    of: Publication,
    name: str,
    pus: Sequence[int],
    numa_nodes: Sequence[int],
    packages: Sequence[Domain],
) -> Iterator[dict[str, Any]]:
    machine = of.machine
    count = sum(machine.pus[pu].os_index in of.free_pus for pu in pus)
    if not count:
        return
    siblings = any(len(machine.cores[machine.pus[pu].core].pus) > 1 for pu in pus)
    attributes: Attributes = {
        "numCPUs": {"int": count},
        "smtEnabled": {"bool": siblings},
        **numa_attributes(of, numa_nodes),
    }
    if len(packages) == 1:
        attributes |= _numbered("socketID", packages[0])
    near_pus = {machine.pus[pu].locality for pu in pus}
    attributes |= package_attributes(of, near_pus)
    l3s = {machine.pus[pu].l3 for pu in pus}
    if len(l3s) == 1:
        attributes[f"{OURS}/l3"] = {"int": min(l3s)}
    near = set(numa_nodes)
    roots = {
        root
        for device in machine.devices
        if near & set(device.numa_nodes) and (root := root_of(device))
    }
    attributes |= root_attributes(of, roots)
    # With its domain: an allocator finds what a claim asks for by the whole name, and
    # claims for dra-driver-cpu have it so.
    capacity = f"{of.driver}/cpu"
    yield {
        "name": f"cpudev{name}",
        "attributes": attributes,
        "allowMultipleAllocations": True,
        "capacity": {
            capacity: {
                "value": str(count),
                "requestPolicy": {
                    "default": "1",
                    "validRange": {"min": "1", "step": "1"}
                    if count > 1
                    else {"min": "1"},
                },
            }
        },
        **node_allocatable(of, "cpu", capacity),
    }


def _numa_nodes(of: Publication, pus: Sequence[int]) -> list[int]:
    near = {of.machine.pus[pu].locality for pu in pus}
    nodes = [of.machine.localities[index].numa_nodes for index in sorted(near)]
    # Of PUs some of which are in no NUMANode, there is none to name.
    return [own[0] for own in nodes] if all(nodes) else []


def _numbered(name: str, domain: Domain) -> Attributes:
    """Write the os_index of a domain, which a source need not know."""
    return {} if domain.os_index is None else {name: {"int": domain.os_index}}


def _page_name(size: int) -> str:
    for unit, suffix in _PAGES:
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
