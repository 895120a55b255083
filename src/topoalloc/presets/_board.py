# SPDX-License-Identifier: Apache-2.0
"""Write the JSON form of a Machine from counts and short lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

__all__ = ["Board", "Cpus"]


@dataclass(frozen=True)
class Cpus:
    """Regular processors: every Package, NUMANode and L3 is like every other.

    OS indices follow Linux: first threads are counted over all cores, Package by
    Package, and second threads follow in the same order.
    """

    packages: int
    cores: int
    """Of one Package."""
    threads: int
    """Of one core."""
    memory: str
    """Of one NUMANode."""
    numa_nodes: int = 1
    """Of one Package."""
    l3s: int = 1
    """Of one Package."""
    distances: tuple[int, int] = (12, 21)
    """To a NUMANode of the same Package, and to one of another; 10 to itself."""


class Board:
    """A document under construction."""

    def __init__(
        self,
        name: str,
        *,
        vendor: str,
        product: str,
        sources: Sequence[str],
        inferred: Sequence[str],
    ) -> None:
        self.devices: list[dict[str, Any]] = []
        self.document: dict[str, Any] = {
            "apiVersion": "topoalloc.dev/v1alpha1",
            "kind": "Machine",
            "name": name,
            "info": {
                "vendor": vendor,
                "product": product,
                "sources": "; ".join(sources),
                "inferred": "; ".join(inferred),
            },
            "bridges": [],
            "devices": self.devices,
            "links": [],
        }

    def add_cpus(self, cpus: Cpus) -> None:
        """Add Packages, L3s, Cores, NUMANodes and their distances."""
        total = cpus.packages * cpus.cores

        def split(parts: int) -> list[str]:
            size = total // parts
            starts = range(0, total, size)
            return [_threads(start, size, total, cpus.threads) for start in starts]

        nodes = cpus.packages * cpus.numa_nodes
        self.document |= {
            "packages": _numbered(split(cpus.packages)),
            "l3s": _numbered(split(cpus.packages * cpus.l3s)),
            "cores": [
                {"os_index": i % cpus.cores, "cpuset": cpuset}
                for i, cpuset in enumerate(split(total))
            ],
            "numa_nodes": [
                {**node, "memory": cpus.memory} for node in _numbered(split(nodes))
            ],
        }
        same, other = cpus.distances
        self.document["distances"] = {
            "numa_nodes": list(range(nodes)),
            "values": [
                [
                    10
                    if a == b
                    else same
                    if a // cpus.numa_nodes == b // cpus.numa_nodes
                    else other
                    for b in range(nodes)
                ]
                for a in range(nodes)
            ],
        }

    def add_host(self, name: str) -> str:
        """Add a host bridge: ``"pci0000:15"``."""
        self.document["bridges"].append({"name": name, "host": True})
        return name

    def add_bridges(self, parent: str, *addresses: str) -> str:
        """Add PCI bridges, each below the one before it; returns the lowest."""
        for address in addresses:
            self.document["bridges"].append({"address": address, "parent": parent})
            parent = address
        return parent

    def add_device(self, device_class: str, **fields: object) -> dict[str, Any]:
        """Add a device; fields are those of the JSON form."""
        device = {"class": device_class, **fields}
        self.devices.append(device)
        return device

    def link_all(self, devices: Iterable[Mapping[str, Any]], mb_s: int) -> None:
        """Link every two devices with so many MB/s in each direction."""
        addresses = [device["pci_address"] for device in devices]
        self.document["links"] += [
            {"from": a, "to": b, "mb_s": mb_s} for a, b in combinations(addresses, 2)
        ]

    def of_class(self, device_class: str) -> list[dict[str, Any]]:
        """Return the devices of a class that are no partitions."""
        return [
            d for d in self.devices if d["class"] == device_class and "parent" not in d
        ]


def _threads(start: int, cores: int, total: int, threads: int) -> str:
    ranges = []
    for thread in range(threads):
        first = thread * total + start
        ranges.append(str(first) if cores == 1 else f"{first}-{first + cores - 1}")
    return ",".join(ranges)


def _numbered(cpusets: Iterable[str]) -> list[dict[str, Any]]:
    return [{"os_index": i, "cpuset": cpuset} for i, cpuset in enumerate(cpusets)]
