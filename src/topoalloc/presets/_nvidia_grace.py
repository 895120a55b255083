# SPDX-License-Identifier: Apache-2.0
"""NVIDIA machines with Grace processors: GPU memory shows as NUMANodes without PUs.

Linux gives each GPU eight NUMANodes: one with its memory and seven that MIG may use.
They belong to the Grace that the GPU is joined to, chip to chip, and are never handed
out as memory.
"""

from __future__ import annotations

from typing import Any

from topoalloc.presets._board import Board, Cpus

__all__ = ["gb200_tray", "gh200"]

_NODES_A_GPU = 8
# Fifth generation: 50 GB/s a link and direction, 18 links (GB200 data sheet, 1.8 TB/s
# both ways a GPU).
_NV18_MB_S = 18 * 50_000


def gb200_tray() -> dict[str, Any]:
    """Describe a GB200 compute tray: 2 Grace, 4 GPUs, 34 NUMA ids, 2 with PUs."""
    board = Board(
        "gb200-tray",
        vendor="NVIDIA",
        product="GB200 NVL72 compute tray",
        sources=(
            "kubernetes/kubernetes#135541 (34 NUMA ids)",
            (
                "google/dranet, OCI BM.GPU.GB200-v3.4 (PCI addresses of the GPUs, PCI "
                "roots and NUMANodes of GPUs and NICs; no GPU shares a root with a NIC)"
            ),
            "NVIDIA GB200 data sheet (1.8 TB/s NVLink both ways a GPU)",
        ),
        inferred=(
            "which ids hold GPU memory: the first of eight a GPU",
            "PCI addresses of the NICs (two ports a card), root ports",
            "sizes of Grace and GPU memory",
            "NUMA distances",
        ),
    )
    graces = Cpus(packages=2, cores=72, threads=1, memory="480G", distances=(12, 40))
    board.add_cpus(graces)
    packages = [package["cpuset"] for package in board.document["packages"]]
    for gpu, domain in enumerate(("0008", "0009", "0018", "0019")):
        node = gpu // 2
        _add_gpu(board, f"{domain}:06:00.0", "GB200", "186G", node)
        _add_gpu_nodes(board, 2 + gpu * _NODES_A_GPU, "186G", packages[node])
    for card, domain in enumerate(("0000", "0002", "0010", "0012")):
        bridge = board.add_bridges(
            board.add_host(f"pci{domain}:00"), f"{domain}:00:00.0"
        )
        for port in range(2):
            board.add_device(
                "nic",
                name=f"mlx5_{2 * card + port}",
                pci_address=f"{domain}:03:00.{port}",
                bridge=bridge,
                numa_nodes=[card // 2],
                attributes={
                    "model": "ConnectX-8",
                    "vendor": "NVIDIA",
                    "rdma": True,
                    "role": "compute",
                },
                capacities={"bandwidth": "400G"},
            )
    board.link_all(board.of_class("gpu"), _NV18_MB_S)
    return board.document


def gh200() -> dict[str, Any]:
    """Describe a GH200: one Grace, one GPU, 9 NUMA ids."""
    board = Board(
        "gh200",
        vendor="NVIDIA",
        product="GH200 Grace Hopper Superchip, 96 GB",
        sources=(
            (
                "open-mpi/hwloc#761 and the hwloc 2.11 news (GPU memory as up to eight "
                "NUMANodes without PUs a GPU)"
            ),
            "NVIDIA GH200 data sheet (72 cores, 96 GB HBM3, 480 GB LPDDR5X)",
        ),
        inferred=("PCI address of the GPU", "order of the NUMA ids"),
    )
    board.add_cpus(Cpus(packages=1, cores=72, threads=1, memory="480G"))
    _add_gpu(board, "0009:01:00.0", "GH200-96GB", "96G", 0)
    _add_gpu_nodes(board, 1, "96G", "0-71")
    return board.document


def _add_gpu(board: Board, address: str, model: str, memory: str, node: int) -> None:
    domain = address[:4]
    bridge = board.add_bridges(board.add_host(f"pci{domain}:00"), f"{domain}:00:00.0")
    board.add_device(
        "gpu",
        pci_address=address,
        bridge=bridge,
        numa_nodes=[node],
        attributes={"model": model, "vendor": "NVIDIA"},
        capacities={"memory": memory},
    )


def _add_gpu_nodes(board: Board, first: int, memory: str, parent_cpuset: str) -> None:
    nodes: list[dict[str, Any]] = [
        {"os_index": first + i, "parent_cpuset": parent_cpuset, "kind": "gpu"}
        for i in range(_NODES_A_GPU)
    ]
    nodes[0]["memory"] = memory
    board.document["numa_nodes"] += nodes
