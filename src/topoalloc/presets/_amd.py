# SPDX-License-Identifier: Apache-2.0
"""AMD machines: eight MI300X with a full mesh of XGMI, and EPYC hosts without GPUs."""

from __future__ import annotations

from typing import Any

from topoalloc.presets._board import Board, Cpus

__all__ = ["epyc_768", "epyc_nps4", "mi300x"]

# One XGMI link between every two GPUs: 16 lanes of 32 GT/s, 64 GB/s in a direction, as
# Linux reckons it (drivers/gpu/drm/amd/amdgpu/amdgpu_xgmi.c).
_XGMI_MB_S = 64_000


def mi300x() -> dict[str, Any]:
    """Describe eight MI300X, joined pairwise by XGMI, each with a NIC on its switch."""
    board = Board(
        "mi300x",
        vendor="AMD",
        product="8 x Instinct MI300X on a bare-metal EPYC host",
        sources=(
            (
                "ROCm/rccl, tools/topo_expl/models/topo_8p_942vm.xml (one XGMI link "
                "between every two GPUs)"
            ),
            (
                "kubernetes/enhancements KEP-6072 (every GPU of an AS-8126GS-TNMR "
                "shares its PCI root with a NIC)"
            ),
            "AMD's mapping guide (bridges above a GPU: 00:01.1, 01:00.0 ... 04:00.0)",
            "Linux, amdgpu_xgmi.c (32 GT/s and 16 lanes an XGMI link)",
        ),
        inferred=(
            "PCI addresses beyond the first four GPUs, of bridges and of NICs",
            "the processors: EPYC 9654, NPS1",
            "NUMA distances",
            "memory of the host and the GPUs (192 GB, as AMD gives it)",
        ),
    )
    board.add_cpus(
        Cpus(
            packages=2,
            cores=96,
            threads=2,
            l3s=12,
            memory="1152Gi",
            distances=(12, 32),
        )
    )
    for gpu, bus in enumerate((0x05, 0x2B, 0x5B, 0x65, 0x85, 0xAB, 0xDB, 0xE5)):
        root = bus - 5
        top = board.add_bridges(
            board.add_host(f"pci0000:{root:02x}"),
            f"0000:{root:02x}:01.1",
            f"0000:{root + 1:02x}:00.0",
        )
        gpu_bridge = board.add_bridges(
            top,
            *(f"0000:{root + depth:02x}:00.0" for depth in (2, 3, 4)),
        )
        nic_bridge = board.add_bridges(top, f"0000:{root + 2:02x}:01.0")
        board.add_device(
            "gpu",
            pci_address=f"0000:{bus:02x}:00.0",
            bridge=gpu_bridge,
            numa_nodes=[gpu // 4],
            attributes={"model": "MI300X", "vendor": "AMD"},
            capacities={"memory": "192Gi"},
        )
        board.add_device(
            "nic",
            name=f"mlx5_{gpu}",
            pci_address=f"0000:{bus + 1:02x}:00.0",
            bridge=nic_bridge,
            numa_nodes=[gpu // 4],
            attributes={
                "model": "ConnectX-7",
                "vendor": "NVIDIA",
                "rdma": True,
                "role": "compute",
            },
            capacities={"bandwidth": "400G"},
        )
    board.link_all(board.of_class("gpu"), _XGMI_MB_S)
    return board.document


def epyc_nps4() -> dict[str, Any]:
    """Describe two 64-core EPYC with NPS4: 8 NUMANodes, 2 L3s each, no GPU."""
    board = Board(
        "epyc-nps4",
        vendor="AMD",
        product="2 x EPYC 7763, NPS4",
        sources=(
            "AMD EPYC 7003 tuning guide (NPS4: 16 cores a NUMANode, 8 cores an L3)",
            (
                "kubernetes/enhancements KEP-6072 (distances of an EPYC with NPS4; "
                "NICs on other NUMANodes than the accelerators)"
            ),
        ),
        inferred=(
            "PCI addresses",
            "NUMANodes of the NICs: 1, 7 and 4, as on a host of this kind",
            "memory",
        ),
    )
    board.add_cpus(
        Cpus(
            packages=2,
            cores=64,
            threads=2,
            numa_nodes=4,
            l3s=8,
            memory="64Gi",
            distances=(12, 32),
        )
    )
    for name, root, node, role in (
        ("mlx5_0", 0x40, 1, "compute"),
        ("mlx5_1", 0x80, 7, "compute"),
        ("eno1", 0xE0, 4, "management"),
    ):
        is_compute = role == "compute"
        board.add_device(
            "nic",
            name=name,
            pci_address=f"0000:{root + 1:02x}:00.0",
            bridge=board.add_bridges(
                board.add_host(f"pci0000:{root:02x}"), f"0000:{root:02x}:01.1"
            ),
            numa_nodes=[node],
            attributes={"rdma": is_compute, "role": role},
            capacities={"bandwidth": "200G" if is_compute else "25G"},
        )
    return board.document


def epyc_768() -> dict[str, Any]:
    """Describe two 192-core EPYC: 768 PUs, 16 cores an L3, no devices."""
    board = Board(
        "epyc-768",
        vendor="AMD",
        product="2 x EPYC 9965",
        sources=(
            (
                "AMD EPYC 9965 product page (192 cores, 384 threads, 12 dies with 32 MB"
                " of L3 each)"
            ),
        ),
        inferred=("NPS1", "NUMA distances", "memory"),
    )
    board.add_cpus(
        Cpus(
            packages=2,
            cores=192,
            threads=2,
            l3s=12,
            memory="768Gi",
            distances=(12, 32),
        )
    )
    return board.document
