# SPDX-License-Identifier: Apache-2.0
"""prepare: from an allocated claim to the PUs, memory and devices of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc import _core
from topoalloc._allocator import Allocator
from topoalloc._constraints import Near
from topoalloc._errors import StateError
from topoalloc._records import Placement
from topoalloc._request import Request
from topoalloc.kubernetes._inventory import Inventory
from topoalloc.kubernetes._objects import AllocatedDevice, DeviceId, ResourceClaim
from topoalloc.kubernetes._objects_read import plain, read_document
from topoalloc.kubernetes._objects_values import ObjectError, fail, mapping, shown
from topoalloc.kubernetes._pool_view import Place
from topoalloc.kubernetes._prepare_device import MachineParts, Part

__all__ = ["Prepared", "PreparedDevice", "prepare", "unprepare"]

_ATTEMPTS = 8
_RESULTS = "status.allocation.devices.results"
_CDI_VERSION = "0.6.0"


@dataclass(frozen=True, slots=True)
class PreparedDevice:
    """A device of a claim, as `NodePrepareResources` answers, and what it is here.

    Attributes
    ----------
    request_names : tuple of str
        The request that it is for: ``request`` or ``request/entry``.
    driver, pool_name, device_name : str
        Which device.
    share_id : str or None
        Of a share.
    cpuset : str
        PUs, in the kernel's list form; empty for what is not PUs.
    memory : mapping of int to int
        Bytes by NUMANode (os_index); empty for what is not memory.
    machine_device : str or None
        Name of the Machine's device.
    cdi_device_ids : tuple of str
        What the container runtime is told.
    """

    request_names: tuple[str, ...]
    driver: str
    pool_name: str
    device_name: str
    share_id: str | None
    cpuset: str
    memory: Mapping[int, int]
    machine_device: str | None
    cdi_device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a claim has been given on this machine.

    Attributes
    ----------
    uid : str
        Of the claim.
    owner : str
        By which the Allocator holds it: ``claim/UID``.
    placement : Placement or None
        PUs, memory and devices of the claim; None where it takes nothing.
    devices : tuple of PreparedDevice
        By result.
    """

    uid: str
    owner: str
    placement: Placement | None
    devices: tuple[PreparedDevice, ...]

    @property
    def cpu_configs(self) -> list[dict[str, Any]]:
        """The PUs as entries of `status.allocation.devices.config`.

        One for each request that has PUs: the form in which dra-driver-cpu, grouped by
        machine, waits to be told its cpusets.
        """
        return [
            {
                "source": "FromClaim",
                "requests": list(device.request_names),
                "opaque": {
                    "driver": device.driver,
                    "parameters": {
                        "apiVersion": "v1alpha1",
                        "cpuConfig": {"cpuset": device.cpuset},
                    },
                },
            }
            for device in self.devices
            if device.cpuset
        ]

    def cdi_specs(self) -> list[dict[str, Any]]:
        """Return a CDI specification for each driver: environment of containers.

        ``TOPOALLOC_CPUSET``, ``TOPOALLOC_MEMS`` (NUMANodes) and ``TOPOALLOC_DEVICES``
        (PCI addresses or names), each with the name of the request behind it.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for device in self.devices:
            request = "".join(
                letter if letter.isalnum() else "_"
                for letter in device.request_names[0].upper()
            )
            values = (
                ("CPUSET", device.cpuset),
                ("MEMS", ",".join(map(str, sorted(device.memory)))),
                ("DEVICES", device.machine_device or ""),
            )
            env = [
                f"TOPOALLOC_{name}_{request}={text}" for name, text in values if text
            ]
            name = device.cdi_device_ids[0].rpartition("=")[2]
            edits = {"name": name, "containerEdits": {"env": env}}
            found.setdefault(device.driver, []).append(edits)
        return [
            {"cdiVersion": _CDI_VERSION, "kind": f"{driver}/claim", "devices": devices}
            for driver, devices in found.items()
        ]


def prepare(
    claim: object,
    allocator: Allocator,
    *,
    inventory: Inventory | None = None,
    driver: str | None = None,
    beside: Sequence[object] = (),
    checkpoint: Callable[[bytes], None] | None = None,
) -> Prepared:
    """Give an allocated claim its PUs, memory and devices of this machine.

    Devices that leave a choice (12 PUs of a NUMANode, of a Package or of the machine)
    get what is best near the other devices of the claim and of its pod. All is taken or
    nothing, under an owner of the claim's uid: a claim that is prepared already gets
    the same again.

    Parameters
    ----------
    claim : mapping, str, bytes or object
        A ResourceClaim with `status.allocation` and `metadata.uid`.
    allocator : Allocator
        Of this machine.
    inventory : Inventory, optional
        What drivers publish: by it devices are known by their uuid or PCI address. By
        default they have the names that `resource_slices` gives them.
    driver : str, optional
        Prepare the results of this driver; the others say only what is near. All of
        them by default.
    beside : sequence of mapping, str, bytes or object, optional
        Other allocated claims of the pod, to be near to.
    checkpoint : callable, optional
        Called with `Allocator.snapshot()` when all is taken, before the answer. If it
        raises, everything is given back.

    Returns
    -------
    Prepared

    Raises
    ------
    ObjectError
        The claim breaks a rule, is not allocated, has no uid, or names a device that
        this machine has not got.
    StateError
        Something is not free, or the claim was prepared with something else.
    InfeasibleError
        There are not as many free PUs.

    Examples
    --------
    >>> import topoalloc as ta
    >>> from topoalloc import kubernetes as tk
    >>> allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    >>> claim = {
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
    ...     "metadata": {"name": "c", "uid": "6f1c"},
    ...     "spec": {"devices": {"requests": [
    ...         {"name": "cpus", "exactly": {"deviceClassName": "dra.cpu"}}]}},
    ...     "status": {"allocation": {"devices": {"results": [
    ...         {"request": "cpus", "driver": "dra.cpu", "pool": "n1",
    ...          "device": "cpudevnuma001", "consumedCapacity": {"dra.cpu/cpu": "4"},
    ...          "shareID": "5f1a9d3e-6a0e-4f83-8e0c-0d0c4a1f3b77"}]}}}}
    >>> tk.prepare(claim, allocator).devices[0].cpuset
    '56-57,168-169'
    """
    document, item = _allocated(claim, "")
    if not item.uid:
        raise fail("metadata.uid", "missing, want that of the API server")
    places = _places(inventory)
    parts = MachineParts(allocator.machine)
    wanted = [
        (
            result,
            _dictated(document, result, parts.find(result, places(result.id), at), at),
        )
        for result, at in _results(item, "")
        if driver is None or result.id.driver == driver
    ]
    near = _near(
        parts,
        places,
        [item, *(_allocated(each, f"beside[{n}]")[1] for n, each in enumerate(beside))],
    )
    owner = f"claim/{item.uid}"
    order = {pu.os_index: pu.logical_index for pu in allocator.machine.pus}
    taken = [part for result, part in wanted if not result.admin_access]
    held = allocator.placements.get(owner)
    if held is None and taken:
        held = _take(allocator, owner, taken, near)
        if checkpoint is not None:
            try:
                checkpoint(allocator.snapshot())
            except BaseException:
                allocator.release(owner)
                raise
    elif held is not None and not _is_of(held, taken, order):
        message = (
            f"claim {item.uid} is prepared with something else, want unprepare first"
        )
        raise StateError(message)
    return Prepared(
        item.uid, owner, held, tuple(_devices(item.uid, wanted, held, order))
    )


def unprepare(uid: str, allocator: Allocator) -> bool:
    """Give back what a claim was prepared with.

    Parameters
    ----------
    uid : str
        Of the claim.
    allocator : Allocator
        Of this machine.

    Returns
    -------
    bool
        False when there was nothing.
    """
    owner = f"claim/{uid}"
    if owner not in allocator.placements:
        return False
    allocator.release(owner)
    return True


def _allocated(claim: object, path: str) -> tuple[Mapping[str, Any], ResourceClaim]:
    document = mapping(plain(claim), path)
    try:
        item = read_document(document)
    except ObjectError as error:
        if not path:
            raise
        message = f"{path}.{error}"
        raise ObjectError(message) from None
    if not isinstance(item, ResourceClaim):
        raise fail(f"{path}.kind" if path else "kind", "want a ResourceClaim")
    if item.allocated is None:
        where = f"{path}.status.allocation" if path else "status.allocation"
        raise fail(where, "missing, want a claim that is allocated")
    return document, item


def _results(item: ResourceClaim, path: str) -> Iterator[tuple[AllocatedDevice, str]]:
    for number, result in enumerate(item.allocated or ()):
        yield result, f"{path}{_RESULTS}[{number}]"


def _places(inventory: Inventory | None) -> Callable[[DeviceId], Place | None]:
    if inventory is None:
        return lambda _: None
    contents, _ = inventory._contents()

    def place(device: DeviceId) -> Place | None:
        slices = contents.by_pool.get((device.driver, device.pool), ())
        newest = max((item.generation for item in slices), default=0)
        for item in slices:
            for each in item.devices:
                if item.generation == newest and each.name == device.device:
                    return item, each
        return None

    return place


def _dictated(
    document: Mapping[str, Any], result: AllocatedDevice, part: Part, path: str
) -> Part:
    """Return the part with the PUs that the allocation's configuration dictates."""
    if not part.count:
        return part
    configs = document["status"]["allocation"]["devices"].get("config") or ()
    for number, config in enumerate(configs):
        found = mapping(config, f"status.allocation.devices.config[{number}]")
        opaque = found.get("opaque") or {}
        chosen = (opaque.get("parameters") or {}).get("cpuConfig") or {}
        names = found.get("requests") or [result.request]
        applies = result.request in names or result.request.partition("/")[0] in names
        if opaque.get("driver") != result.id.driver or not applies:
            continue
        cpuset = chosen.get("cpuset")
        if cpuset is None:
            continue
        where = f"status.allocation.devices.config[{number}].opaque.parameters"
        where += ".cpuConfig.cpuset"
        try:
            members = set(_core.cpuset_members(str(cpuset)))
        except ValueError as error:
            raise fail(where, str(error)) from None
        if len(members) != part.count:
            raise fail(where, f"{len(members)} PUs, want {part.count} as at {path}")
        if not members <= set(_core.cpuset_members(part.group)):
            raise fail(where, f"{shown(cpuset)}, want PUs of {result.id.device}")
        return Part(_core.normalize_cpuset(str(cpuset)), part.count)
    return part


def _near(
    parts: MachineParts,
    places: Callable[[DeviceId], Place | None],
    claims: Sequence[ResourceClaim],
) -> tuple[str, ...]:
    """Return the devices of the machine that claims have; what is no part is none."""
    names: dict[str, None] = {}
    for claim in claims:
        for result, path in _results(claim, ""):
            try:
                part = parts.find(result, places(result.id), path)
            except ObjectError:
                continue
            if part.device is not None and part.device.localities:
                names[part.device.name] = None
    return tuple(names)


def _take(
    allocator: Allocator, owner: str, parts: Sequence[Part], near: tuple[str, ...]
) -> Placement:
    """Choose where there is a choice, and take everything at once."""
    for attempt in range(_ATTEMPTS):
        fork = allocator.fork()
        chosen = _chosen(fork, parts, near)
        try:
            return _take_all(allocator, owner, parts, chosen)
        except StateError:
            # Another thread may have taken a PU that was free when it was chosen.
            if attempt + 1 == _ATTEMPTS or not chosen:
                raise
    raise AssertionError  # not reached: the last attempt returns or raises


def _take_all(
    allocator: Allocator, owner: str, parts: Sequence[Part], chosen: Sequence[str]
) -> Placement:
    memory: dict[int, int] = {}
    pages: dict[tuple[int, int], int] = {}
    devices: dict[str, dict[str, int | str]] = {}
    for part in parts:
        if part.device is not None:
            share = devices.setdefault(part.device.name, {})
            for name, amount in part.share.items():
                share[name] = int(share.get(name, 0)) + amount
        elif part.page_size:
            key = (part.numa_node, part.page_size)
            pages[key] = pages.get(key, 0) + part.size
        elif part.size:
            memory[part.numa_node] = memory.get(part.numa_node, 0) + part.size
    hugepages: dict[int, dict[int | str, int | str]] = {}
    for (numa_node, page), amount in pages.items():
        hugepages.setdefault(numa_node, {})[page] = amount
    exact = [part.group for part in parts if part.count and part.is_exact]
    pus = _core.normalize_cpuset(",".join([*exact, *chosen]))
    return allocator.take(
        owner=owner, pus=pus, memory=memory, hugepages=hugepages, devices=devices
    )


def _chosen(fork: Allocator, parts: Sequence[Part], near: tuple[str, ...]) -> list[str]:
    """Choose PUs on a fork; what leaves no choice is taken on it first."""
    exact = [part for part in parts if part.is_exact]
    if exact:
        _take_all(fork, "exact", exact, ())
    found: list[str] = []
    free = [part for part in parts if not part.is_exact]
    for number, part in enumerate(sorted(free, key=_tightness)):
        view = fork.fork()
        outside = set(_core.cpuset_members(view.free_pus))
        outside -= set(_core.cpuset_members(part.group))
        if outside:
            view.take(owner="outside", pus=sorted(outside))
        prefer = [Near(near)] if near else []
        placement = view.allocate(Request(pus=part.count, prefer=prefer), owner="own")
        fork.take(owner=f"chosen {number}", pus=placement.cpuset)
        found.append(placement.cpuset)
    return found


def _tightness(part: Part) -> int:
    return len(_core.cpuset_members(part.group))


def _is_of(held: Placement, parts: Sequence[Part], order: Mapping[int, int]) -> bool:
    """Tell whether a Placement is what these parts come to."""
    names = {part.device.name for part in parts if part.device is not None}
    size = sum(part.size for part in parts)
    pages = sum(
        amount for sizes in held.hugepages.values() for amount in sizes.values()
    )
    if names != set(held.devices) or size != sum(held.memory.values()) + pages:
        return False
    return _split(held, parts, order) is not None


def _split(
    held: Placement, parts: Sequence[Part], order: Mapping[int, int]
) -> list[list[int]] | None:
    """Divide a Placement's PUs among the parts, ever the same way; None: it can not be.

    The parts of fewest PUs to choose from come first, each with the first of them in
    the order of the machine, where siblings are neighbours.
    """
    left = sorted(held.pus, key=lambda pu: order[pu])
    found: list[list[int]] = [[] for _ in parts]
    for number in sorted(range(len(parts)), key=lambda n: _tightness(parts[n])):
        part = parts[number]
        group = set(_core.cpuset_members(part.group))
        own = [pu for pu in left if pu in group][: part.count]
        if len(own) != part.count:
            return None
        left = [pu for pu in left if pu not in own]
        found[number] = own
    return None if left else found


def _devices(
    uid: str,
    wanted: Sequence[tuple[AllocatedDevice, Part]],
    held: Placement | None,
    order: Mapping[int, int],
) -> Iterator[PreparedDevice]:
    taken = [part for result, part in wanted if not result.admin_access]
    split = iter(_split(held, taken, order) or [] if held is not None else [])
    for number, (result, part) in enumerate(wanted):
        pus = next(split, []) if not result.admin_access else []
        yield PreparedDevice(
            (result.request,),
            result.id.driver,
            result.id.pool,
            result.id.device,
            result.share_id,
            _core.normalize_cpuset(",".join(map(str, pus))),
            {part.numa_node: part.size} if part.size else {},
            None if part.device is None else part.device.name,
            (f"{result.id.driver}/claim={uid}-{number}",),
        )
