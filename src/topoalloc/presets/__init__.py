# SPDX-License-Identifier: Apache-2.0
"""Machines that topoalloc knows, written from public facts.

Each document says in ``info["sources"]`` where its facts come from and in
``info["inferred"]`` what fills the gaps between them. ``docs/machine.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from topoalloc._errors import InvalidRequestError
from topoalloc._quantity import shown
from topoalloc.presets import _amd, _aws, _intel, _nvidia_grace, _nvidia_x86

__all__ = ["SUMMARIES", "document"]

_MAKERS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "aws-p5en": _aws.aws_p5en,
    "dgx-a100": _nvidia_x86.dgx_a100,
    "dgx-h100": _nvidia_x86.dgx_h100,
    "dgx-h100-mig": _nvidia_x86.dgx_h100_mig,
    "dgx-h200": _nvidia_x86.dgx_h200,
    "epyc-768": _amd.epyc_768,
    "epyc-nps4": _amd.epyc_nps4,
    "gb200-tray": _nvidia_grace.gb200_tray,
    "gh200": _nvidia_grace.gh200,
    "hgx-h100-2gpu2nic": _nvidia_x86.hgx_h100_2gpu2nic,
    "intel-snc4": _intel.intel_snc4,
    "mi300x": _amd.mi300x,
    "workstation-sys": _intel.workstation_sys,
}

SUMMARIES: Final[dict[str, str]] = {
    "aws-p5en": "AWS p5en.48xlarge: 8 H200, 16 EFA; 2 GPUs and 4 EFA a PCIe switch",
    "dgx-a100": "DGX A100 with NPS4: 8 NUMANodes, GPUs on four of them",
    "dgx-h100": "DGX H100: 8 GPUs, 8 compute and 4 storage NICs, NVSwitch",
    "dgx-h100-mig": "DGX H100 with every placement of every MIG profile",
    "dgx-h200": "DGX H200: as dgx-h100, with H200 GPUs",
    "epyc-768": "2 x 192-core EPYC: 768 PUs, 24 L3s, no devices",
    "epyc-nps4": "2 x 64-core EPYC with NPS4: 8 NUMANodes, 16 L3s, 3 NICs, no GPU",
    "gb200-tray": "GB200 NVL72 compute tray: 34 NUMA ids, two of them with PUs",
    "gh200": "GH200: one Grace, one GPU, 9 NUMA ids",
    "hgx-h100-2gpu2nic": "HGX H100 with 2 GPUs and 2 NICs a PCIe switch",
    "intel-snc4": "2 x Xeon 8480C with SNC4: 8 NUMANodes inside 2 L3s, no devices",
    "mi300x": "8 MI300X with a full mesh of XGMI, one NIC each",
    "workstation-sys": "8 RTX 4090, all SYS to each other, by override",
}
"""One line about each preset, by name."""


def _maker(name: object) -> Callable[[], dict[str, Any]] | None:
    return _MAKERS.get(name) if isinstance(name, str) else None


def document(name: str) -> dict[str, Any]:
    """Return the JSON form of a preset.

    Parameters
    ----------
    name : str
        One of `SUMMARIES`.

    Returns
    -------
    dict
        New each time.

    Raises
    ------
    InvalidRequestError
        There is no preset of that name.
    """
    maker = _maker(name)
    if maker is None:
        known = ", ".join(sorted(_MAKERS))
        raise InvalidRequestError(f"preset: {shown(name)}, want one of {known}")
    return maker()
