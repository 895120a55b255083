# SPDX-License-Identifier: Apache-2.0
"""Pictures of Machines and Clusters: text for a terminal, SVG for a page."""

from __future__ import annotations

from topoalloc.draw._cluster_svg import cluster_svg
from topoalloc.draw._svg import machine_svg
from topoalloc.draw.cluster import cluster_text
from topoalloc.draw.machine import (
    Matrix,
    device_matrix,
    distance_matrix,
    link_matrix,
    machine_tree,
    matrices_to_dict,
)

__all__ = [
    "Matrix",
    "cluster_svg",
    "cluster_text",
    "device_matrix",
    "distance_matrix",
    "link_matrix",
    "machine_svg",
    "machine_tree",
    "matrices_to_dict",
]
