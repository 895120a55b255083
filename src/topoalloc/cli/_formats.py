# SPDX-License-Identifier: Apache-2.0
"""A Placement as the words of other programs: env, taskset, hwloc-bind, rankfile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Device, Machine
from topoalloc._records import Placement

__all__ = ["environment", "format_slots"]

_NVIDIA_UUID = re.compile(r"(GPU|MIG)-[0-9A-Fa-f-]{8,}")
_AMD_UUID = re.compile(r"GPU-[0-9A-Fa-f]{16}")
_HCA = re.compile(r"[a-z]+[a-z0-9]*_[a-z0-9_]+")


def environment(placement: Placement) -> dict[str, str]:
    """Return the variables that tell a program what it was given.

    ``CUDA_VISIBLE_DEVICES``, ``ROCR_VISIBLE_DEVICES`` and ``NCCL_IB_HCA`` are there
    only where every device of the class shows an attribute that says what they must be:
    a guess would hand out somebody else's device.

    Parameters
    ----------
    placement : Placement
        Of any Machine.

    Returns
    -------
    dict of str to str
        Variable to value.
    """
    found = {}
    nodes = sorted({*placement.memory, *placement.hugepages})
    if placement.cpuset:
        found["TOPOALLOC_PUS"] = placement.cpuset
    if nodes:
        found["TOPOALLOC_NUMA_NODES"] = ",".join(map(str, nodes))
    by_class: dict[str, list[Device]] = {}
    for name in placement.devices:
        device = placement.machine.device(name)
        by_class.setdefault(device.device_class, []).append(device)
    for cls, devices in by_class.items():
        word = re.sub(r"[^A-Z0-9]", "_", cls.upper())
        found[f"TOPOALLOC_{word}"] = ",".join(map(str, devices))
    return (
        found | _gpu_variables(by_class.get("gpu", [])) | _hca(by_class.get("nic", []))
    )


def _gpu_variables(gpus: Sequence[Device]) -> dict[str, str]:
    uuids = [gpu.uuid or "" for gpu in gpus]
    if not gpus:
        return {}
    if all(map(_is_amd, gpus)):
        if all(map(_AMD_UUID.fullmatch, uuids)):
            return {"ROCR_VISIBLE_DEVICES": ",".join(uuids)}
        return {}
    if all(map(_NVIDIA_UUID.fullmatch, uuids)):
        return {"CUDA_VISIBLE_DEVICES": ",".join(uuids)}
    indices = [gpu.attributes.get("nvml_index") for gpu in gpus]
    if all(isinstance(i, int) and gpu.parent is None for i, gpu in zip(indices, gpus)):  # noqa: B905
        # NVML counts in the order of PCI addresses; CUDA does only when told to.
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, indices)),
        }
    return {}


def _is_amd(gpu: Device) -> bool:
    attributes = gpu.attributes
    return "rsmi_index" in attributes or attributes.get("vendor_id") == "0x1002"


def _hca(nics: Sequence[Device]) -> dict[str, str]:
    """Name the RDMA ports; NICs without RDMA are no business of NCCL's."""
    names = []
    for nic in nics:
        if nic.attributes.get("rdma") is not True:
            continue
        hca = next((alias for alias in nic.aliases if _HCA.fullmatch(alias)), None)
        if hca is None:
            return {}
        names.append(hca)
    # "=" asks for exact names: mlx5_1 alone would also mean mlx5_10.
    return {"NCCL_IB_HCA": "=" + ",".join(names)} if names else {}


def format_slots(word: str, placements: Sequence[Placement], host: str) -> list[str]:
    """Return a line for each Placement.

    Parameters
    ----------
    word : str
        ``"env"``, ``"taskset"``, ``"hwloc-bind"`` or ``"rankfile"``.
    placements : sequence of Placement
        In the order of the ranks.
    host : str
        Name of the node in a rankfile.

    Returns
    -------
    list of str

    Raises
    ------
    InvalidRequestError
        The form cannot say a Placement: without PUs there is nothing to bind.
    """
    if word != "env" and not all(placement.cpuset for placement in placements):
        raise InvalidRequestError(
            f"--format {word}: there is no PU to bind, want --cores or --pus"
        )
    match word:
        case "env":
            return [_assignments(environment(placement)) for placement in placements]
        case "taskset":
            return [f"taskset -c {placement.cpuset}" for placement in placements]
        case "hwloc-bind":
            return [_hwloc_bind(placement) for placement in placements]
        case _:
            return [
                f"rank {rank}={host} slot={_logical_cores(placement)}"
                for rank, placement in enumerate(placements)
            ]


def _assignments(variables: dict[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(text)}" for name, text in variables.items())


def _hwloc_bind(placement: Placement) -> str:
    # -p: OS indices, as everywhere in a Placement.
    pus = " ".join(f"pu:{part}" for part in placement.cpuset.split(","))
    nodes = sorted({*placement.memory, *placement.hugepages})
    memory = "".join(f" --membind numa:{node}" for node in nodes)
    # Without --strict the kernel may give memory of other NUMANodes.
    policy = " --mempolicy bind --strict" if nodes else ""
    return f"hwloc-bind -p --cpubind {pus}{memory}{policy} --"


def _logical_cores(placement: Placement) -> str:
    """Return logical indices of cores, which Open MPI from 1.7 on reads."""
    machine: Machine = placement.machine
    given = {*placement.pus}
    whole = []
    for core in machine.cores:
        pus = {machine.pus[i].os_index for i in core.pus}
        if pus <= given:
            whole.append(core.logical_index)
            given -= pus
    if given:
        raise InvalidRequestError(
            "--format rankfile: a core is split, want --cores or --whole-cores"
        )
    return ",".join(map(str, whole))
