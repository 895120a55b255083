# SPDX-License-Identifier: Apache-2.0
"""Intel hosts: sub-NUMA clusters, and a workstation whose firmware says little."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from topoalloc.presets._board import Board, Cpus

__all__ = ["intel_snc4", "workstation_sys"]


def intel_snc4() -> dict[str, Any]:
    """Describe two Xeon 8480C with SNC4: 8 NUMANodes inside 2 L3s, no devices."""
    board = Board(
        "intel-snc4",
        vendor="Intel",
        product="2 x Xeon Platinum 8480C, SNC4",
        sources=("Intel Xeon tuning guides (SNC4: four NUMANodes a Package, one L3)",),
        inferred=("14 cores a NUMANode in order", "NUMA distances", "memory"),
    )
    board.add_cpus(Cpus(packages=2, cores=56, threads=2, numa_nodes=4, memory="128Gi"))
    return board.document


def workstation_sys() -> dict[str, Any]:
    """Describe eight RTX 4090 that are SYS to each other; NICs are PHB to one of them.

    GPUs of a Package have a NUMANode in common, so the derived level is ``numa``. The
    source's nvidia-smi says SYS, and overrides put that in its place: what a user does
    who knows better than the firmware.
    """
    board = Board(
        "workstation-sys",
        vendor="various",
        product="8 x GeForce RTX 4090 on two Packages",
        sources=(
            (
                "NVIDIA/go-gpuallocator#17 (every pair of GPUs SYS; GPUs 0 to 3 on "
                "CPUs 0-55,112-167 of NUMANode 0; NICs PHB to GPU 6)"
            ),
        ),
        inferred=(
            "GPUs 4 to 7 on NUMANode 1",
            "PCI addresses",
            "one NIC with two ports",
            "NUMA distances",
            "memory",
        ),
    )
    board.add_cpus(Cpus(packages=2, cores=56, threads=2, memory="256Gi"))
    hosts = [0x10, 0x30, 0x50, 0x70, 0x90, 0xA0, 0xB0, 0xD0]
    for gpu, root in enumerate(hosts):
        bridge = board.add_bridges(
            board.add_host(f"pci0000:{root:02x}"), f"0000:{root:02x}:01.0"
        )
        board.add_device(
            "gpu",
            pci_address=f"0000:{root + 1:02x}:00.0",
            bridge=bridge,
            numa_nodes=[gpu // 4],
            attributes={"model": "GeForce RTX 4090", "vendor": "NVIDIA"},
            capacities={"memory": "24Gi"},
        )
    bridge = board.add_bridges("pci0000:b0", "0000:b0:03.0")
    for port in range(2):
        board.add_device(
            "nic",
            name=f"mlx5_{port}",
            pci_address=f"0000:b4:00.{port}",
            bridge=bridge,
            numa_nodes=[1],
            attributes={"vendor": "NVIDIA", "rdma": True, "role": "compute"},
            capacities={"bandwidth": "100G"},
        )
    gpus = [gpu["pci_address"] for gpu in board.of_class("gpu")]
    ports = [nic["pci_address"] for nic in board.of_class("nic")]
    pairs = [*combinations(gpus, 2), *((g, p) for g in gpus for p in ports)]
    board.document["overrides"] = {
        "levels": [
            {"a": a, "b": b, "level": "machine"}
            for a, b in pairs
            if (a, b) not in {(gpus[6], port) for port in ports}
        ]
    }
    return board.document
