# SPDX-License-Identifier: Apache-2.0
"""NVIDIA machines with x86 processors: DGX A100, H100, H200 and an HGX board.

NVLink counts one direction: third and fourth generation carry 25 GB/s a link (NVIDIA
A100 and H100 data sheets: 600 and 900 GB/s both ways over 12 and 18 links). All GPUs
of a board reach each other through NVSwitch at the full rate.
"""

from __future__ import annotations

from typing import Any

from topoalloc.presets._board import Board, Cpus

__all__ = ["dgx_a100", "dgx_h100", "dgx_h100_mig", "dgx_h200", "hgx_h100_2gpu2nic"]

_LINK_MB_S = 25_000
_NV12_MB_S = 12 * _LINK_MB_S
_NV18_MB_S = 18 * _LINK_MB_S

# Model and bit/s of a port.
_CONNECTX_6 = ("ConnectX-6", "200G")
_CONNECTX_7 = ("ConnectX-7", "400G")

_XEON_8480C = Cpus(packages=2, cores=56, threads=2, memory="1Ti")

# Bus of the compute NIC and its RDMA name, GPU by GPU; the GPU is three buses further.
_DGX_H100_PAIRS = (
    (0x18, "mlx5_0"),
    (0x40, "mlx5_3"),
    (0x4F, "mlx5_4"),
    (0x5E, "mlx5_5"),
    (0x9A, "mlx5_6"),
    (0xC0, "mlx5_9"),
    (0xCE, "mlx5_10"),
    (0xDC, "mlx5_11"),
)
_DGX_H100_STORAGE = (
    (0x29, 0, ("mlx5_1", "mlx5_2")),
    (0xAA, 1, ("mlx5_7", "mlx5_8")),
)
_DGX_H100_SOURCES = (
    "NVIDIA DGX H100 User Guide, table 6 (compute NICs, their buses and GPUs)",
    "aliyun/SimAI#128 (NV18: 4, 5, 5 and 4 links to the four NVSwitches)",
    "NVIDIA H100 data sheet (900 GB/s NVLink both ways)",
)
_DGX_H100_INFERRED = (
    "PCI bridges, from GPU and NIC lying three buses apart and nvidia-smi showing PXB",
    "buses of the storage NICs",
    "NUMA distances",
    "memory split evenly over both NUMANodes",
)

# profile, compute slices, memory slices, first memory slices: the placements of the
# H100 80GB in NVIDIA's MIG User Guide.
_MIG_PROFILES = (
    ("1g.10gb", 1, 1, range(7)),
    ("1g.20gb", 1, 2, (0, 2, 4, 6)),
    ("2g.20gb", 2, 2, (0, 2, 4)),
    ("3g.40gb", 3, 4, (0, 4)),
    ("4g.40gb", 4, 4, (0,)),
    ("7g.80gb", 7, 8, (0,)),
)
_MIG_COMPUTE_SLICES = 7
_MIG_MEMORY_SLICES = 8


def dgx_a100() -> dict[str, Any]:
    """Describe a DGX A100 640GB with NPS4: 8 NUMANodes, GPUs on 1, 3, 5 and 7 only."""
    board = Board(
        "dgx-a100",
        vendor="NVIDIA",
        product="DGX A100",
        sources=(
            (
                "NVIDIA/nccl#1505 (NCCL XML: two NVLinks to each of six NVSwitches; "
                "GPU 0 at 07:00.0 and mlx5_0 at 0c:00.0; storage NIC at 61:00.0)"
            ),
            "rapidsai/dask-cuda#1358 (CPUs and NUMANode of GPU 0 and 1; PXB)",
            "kubernetes/enhancements KEP-6072 (distances of an EPYC with NPS4)",
            "NVIDIA A100 data sheet (600 GB/s NVLink both ways)",
        ),
        inferred=(
            "NUMANodes of GPUs 2 to 7 and of their NICs",
            "PCI addresses of the other GPUs and compute NICs, host bridges",
            "the second storage NIC at e1:00",
            "2 TiB split evenly over the NUMANodes",
        ),
    )
    board.add_cpus(
        Cpus(
            packages=2,
            cores=64,
            threads=2,
            numa_nodes=4,
            l3s=16,
            memory="256Gi",
            distances=(12, 32),
        )
    )
    # host bridge bus, NUMANode, GPU buses, NIC buses with RDMA names
    quarters = (
        (0x00, 3, (0x07, 0x0F), ((0x0C, "mlx5_0"), (0x12, "mlx5_1"))),
        (0x40, 1, (0x47, 0x4E), ((0x4B, "mlx5_2"), (0x54, "mlx5_3"))),
        (0x80, 7, (0x87, 0x90), ((0x8D, "mlx5_6"), (0x94, "mlx5_7"))),
        (0xB0, 5, (0xB7, 0xBD), ((0xBA, "mlx5_8"), (0xCC, "mlx5_9"))),
    )
    for host, node, gpus, nics in quarters:
        top = board.add_bridges(
            board.add_host(f"pci0000:{host:02x}"),
            f"0000:{host:02x}:01.1",
            f"0000:{host + 1:02x}:00.0",
        )
        slots = [(bus, "") for bus in gpus] + list(nics)
        for slot, (bus, rdma_name) in enumerate(slots):
            bridge = board.add_bridges(
                top,
                f"0000:{host + 2:02x}:{slot:02x}.0",
                f"0000:{bus - 2:02x}:00.0",
                f"0000:{bus - 1:02x}:00.0",
            )
            place = _place(bus, bridge, node)
            if rdma_name:
                _add_nic(board, rdma_name, _CONNECTX_6, place)
            else:
                _add_gpu(board, "A100-SXM4-80GB", "80Gi", place)
    for host, bus, node, names in (
        (0x60, 0x61, 0, ("mlx5_4", "mlx5_5")),
        (0xE0, 0xE1, 4, ("mlx5_10", "mlx5_11")),
    ):
        bridge = board.add_bridges(
            board.add_host(f"pci0000:{host:02x}"), f"0000:{host:02x}:03.1"
        )
        for function, name in enumerate(names):
            place = _place(bus, bridge, node, function)
            _add_nic(board, name, _CONNECTX_6, place, role="storage")
    board.link_all(board.of_class("gpu"), _NV12_MB_S)
    return board.document


def dgx_h100() -> dict[str, Any]:
    """Describe a DGX H100: one GPU and one NIC a PCIe switch (PXB), four a Package."""
    return _dgx_hopper("dgx-h100", "DGX H100", "H100-SXM5-80GB", "80Gi").document


def dgx_h200() -> dict[str, Any]:
    """Describe a DGX H200: the board of the DGX H100 with H200 GPUs."""
    return _dgx_hopper("dgx-h200", "DGX H200", "H200-SXM5-141GB", "141G").document


def dgx_h100_mig() -> dict[str, Any]:
    """Describe a DGX H100 with every placement of every MIG profile as a partition."""
    board = _dgx_hopper("dgx-h100-mig", "DGX H100", "H100-SXM5-80GB", "80Gi")
    board.document["info"]["sources"] += (
        "; NVIDIA MIG User Guide (profiles and placements of the H100 80GB)"
    )
    for index, gpu in enumerate(board.of_class("gpu")):
        gpu["counters"] = {
            "compute-slices": _MIG_COMPUTE_SLICES,
            **{f"memory-slice-{i}": 1 for i in range(_MIG_MEMORY_SLICES)},
        }
        for profile, compute, memory, starts in _MIG_PROFILES:
            for start in starts:
                slices = range(start, start + memory)
                board.add_device(
                    "gpu",
                    name=f"gpu-{index}-mig-{profile}-{start}",
                    parent=gpu["pci_address"],
                    partition=profile,
                    pci_address=gpu["pci_address"],
                    attributes={"profile": profile},
                    capacities={"memory": f"{10 * memory}Gi"},
                    draws={
                        "memory": f"{10 * memory}Gi",
                        "compute-slices": compute,
                        **{f"memory-slice-{i}": 1 for i in slices},
                    },
                )
    return board.document


def hgx_h100_2gpu2nic() -> dict[str, Any]:
    """Describe an HGX H100 with two GPUs and two NICs a PCIe switch (PIX)."""
    board = Board(
        "hgx-h100-2gpu2nic",
        vendor="NVIDIA",
        product="HGX H100, two GPUs and two NICs a switch",
        sources=(
            (
                "google/dranet, site/content/docs/user/gke-rdma.md (matrix of a GKE A3 "
                "Ultra: PIX in a pair of GPUs and NICs, NODE in a Package, else SYS)"
            ),
            "NVIDIA H100 data sheet (900 GB/s NVLink both ways)",
        ),
        inferred=(
            "all PCI addresses",
            "the H100 itself: the source shows a successor on the same wiring",
            "NUMA distances",
            "memory",
        ),
    )
    board.add_cpus(_XEON_8480C)
    for pair, host in enumerate((0x10, 0x40, 0x90, 0xC0)):
        top = board.add_bridges(
            board.add_host(f"pci0000:{host:02x}"),
            f"0000:{host:02x}:01.0",
            f"0000:{host + 1:02x}:00.0",
        )
        for slot in range(4):
            bus = host + 3 + slot
            bridge = board.add_bridges(top, f"0000:{host + 2:02x}:{slot:02x}.0")
            place = _place(bus, bridge, pair // 2)
            if slot in {0, 1}:
                _add_gpu(board, "H100-SXM5-80GB", "80Gi", place)
            else:
                name = f"mlx5_{2 * pair + slot - 2}"
                _add_nic(board, name, _CONNECTX_7, place)
    board.link_all(board.of_class("gpu"), _NV18_MB_S)
    return board.document


def _dgx_hopper(name: str, product: str, model: str, memory: str) -> Board:
    board = Board(
        name,
        vendor="NVIDIA",
        product=product,
        sources=_DGX_H100_SOURCES,
        inferred=_DGX_H100_INFERRED,
    )
    board.add_cpus(_XEON_8480C)
    for gpu, (nic_bus, rdma_name) in enumerate(_DGX_H100_PAIRS):
        top = board.add_bridges(
            board.add_host(f"pci0000:{nic_bus - 3:02x}"),
            f"0000:{nic_bus - 3:02x}:01.0",
            f"0000:{nic_bus - 2:02x}:00.0",
        )
        node = gpu // 4
        nic_bridge = board.add_bridges(top, f"0000:{nic_bus - 1:02x}:00.0")
        gpu_bridge = board.add_bridges(
            top,
            f"0000:{nic_bus - 1:02x}:01.0",
            f"0000:{nic_bus + 1:02x}:00.0",
            f"0000:{nic_bus + 2:02x}:00.0",
        )
        nic_place = _place(nic_bus, nic_bridge, node)
        _add_gpu(board, model, memory, _place(nic_bus + 3, gpu_bridge, node))
        _add_nic(board, rdma_name, _CONNECTX_7, nic_place)
    for bus, node, names in _DGX_H100_STORAGE:
        bridge = board.add_bridges(
            board.add_host(f"pci0000:{bus - 1:02x}"), f"0000:{bus - 1:02x}:01.0"
        )
        for function, nic in enumerate(names):
            place = _place(bus, bridge, node, function)
            _add_nic(board, nic, _CONNECTX_7, place, role="storage")
    board.link_all(board.of_class("gpu"), _NV18_MB_S)
    return board


def _place(bus: int, bridge: str, node: int, function: int = 0) -> dict[str, Any]:
    return {
        "pci_address": f"0000:{bus:02x}:00.{function}",
        "bridge": bridge,
        "numa_nodes": [node],
    }


def _add_gpu(board: Board, model: str, memory: str, place: dict[str, Any]) -> None:
    board.add_device(
        "gpu",
        attributes={"model": model, "vendor": "NVIDIA"},
        capacities={"memory": memory},
        **place,
    )


def _add_nic(
    board: Board,
    name: str,
    kind: tuple[str, str],
    place: dict[str, Any],
    *,
    role: str = "compute",
) -> None:
    model, bandwidth = kind
    board.add_device(
        "nic",
        name=name,
        attributes={"model": model, "vendor": "NVIDIA", "rdma": True, "role": role},
        capacities={"bandwidth": bandwidth},
        **place,
    )
