# SPDX-License-Identifier: Apache-2.0
"""Instances of Amazon Web Services."""

from __future__ import annotations

from typing import Any

from topoalloc.presets._board import Board, Cpus

__all__ = ["aws_p5en"]

_NV18_MB_S = 18 * 25_000
_GPUS_A_SWITCH = 2
_NICS_A_SWITCH = 4


def aws_p5en() -> dict[str, Any]:
    """Describe a p5en.48xlarge: 8 H200 and 16 EFA, a switch with 2 GPUs and 4 EFA."""
    board = Board(
        "aws-p5en",
        vendor="Amazon Web Services",
        product="p5en.48xlarge",
        sources=(
            (
                "an hwloc 2.10 XML of the instance (192 PUs, sibling threads 96 apart, "
                "one L3 a Package, 1.07 TB a NUMANode; behind 0000:5f: EFA 6e to 71, "
                "H200 72 and 73, NVMe 74 and 75)"
            ),
            "NVIDIA H200 data sheet (900 GB/s NVLink both ways)",
            "AWS, EC2 P5 instances (3200 Gbit/s over 16 EFA)",
        ),
        inferred=(
            "the other three switches, their addresses included: like the one at 5f",
            "bridges inside a switch",
            "NUMA distances",
            "adapters of the Elastic Network left out",
        ),
    )
    board.add_cpus(Cpus(packages=2, cores=48, threads=2, memory="1070G"))
    for switch, root in enumerate((0x44, 0x5F, 0x97, 0xB2)):
        top = board.add_bridges(
            board.add_host(f"pci0000:{root:02x}"),
            f"0000:{root:02x}:01.0",
            f"0000:{root + 1:02x}:00.0",
        )
        # NICs, GPUs and NVMe take consecutive buses from 15 above the root on.
        classes = ["nic"] * _NICS_A_SWITCH + ["gpu"] * _GPUS_A_SWITCH + ["nvme"] * 2
        for slot, device_class in enumerate(classes):
            bus = root + 0x0F + slot
            bridge = board.add_bridges(top, f"0000:{root + 2:02x}:{slot:02x}.0")
            board.add_device(
                device_class,
                pci_address=f"0000:{bus:02x}:00.0",
                bridge=bridge,
                numa_nodes=[switch // 2],
                **_fields(device_class, bus),
            )
    board.link_all(board.of_class("gpu"), _NV18_MB_S)
    return board.document


def _fields(device_class: str, bus: int) -> dict[str, Any]:
    if device_class == "gpu":
        return {
            "attributes": {"model": "H200-SXM5-141GB", "vendor": "NVIDIA"},
            "capacities": {"memory": "141G"},
        }
    if device_class == "nic":
        return {
            "name": f"rdmap{bus}s0",
            "attributes": {
                "model": "EFA",
                "vendor": "Amazon",
                "rdma": True,
                "role": "compute",
            },
            "capacities": {"bandwidth": "200G"},
        }
    return {"attributes": {"vendor": "Amazon"}}
