# SPDX-License-Identifier: Apache-2.0
"""resource_slices: what a driver publishes of a Machine, as ResourceSlices."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from topoalloc import _core
from topoalloc._allocator import Allocator
from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Machine
from topoalloc.kubernetes._cel import SEMANTICS
from topoalloc.kubernetes._features import published_features_of
from topoalloc.kubernetes._objects_read import read_document
from topoalloc.kubernetes._objects_values import dns_subdomain, driver_name, shown
from topoalloc.kubernetes._publish_device import class_devices, counter_sets
from topoalloc.kubernetes._publish_place import Publication
from topoalloc.kubernetes._publish_previous import content_of, previous_slices
from topoalloc.kubernetes._publish_pu import GROUPS, memory_devices, pu_devices

__all__ = ["resource_slices"]

_MAX_DEVICES: Final = 128
_MAX_ADVANCED: Final = 64
_MAX_SETS: Final = 8
_MAX_NAME: Final = 253
_ADVANCED = ("taints", "consumesCounters")


def resource_slices(
    machine: Machine,
    *,
    driver: str,
    node_name: str,
    kinds: Collection[str] = ("pu",),
    group_by: str = "numanode",
    kubernetes: str = "1.37",
    features: Collection[str] = (),
    reserved_pus: str | Iterable[int] = "",
    previous: Iterable[object] = (),
) -> list[dict[str, Any]]:
    """Write a Machine as the ResourceSlices that a driver publishes.

    The pool has the name of the node. Devices have the standard attributes
    ``resource.kubernetes.io/numaNode``, ``pcieRoot`` and ``pciBusID``, and ours, such
    as ``topoalloc.dev/switch``: the PCIe switch, a number within the machine.

    Parameters
    ----------
    machine : Machine
        What is published.
    driver : str
        Name of the driver, a domain.
    node_name : str
        Name of the node.
    kinds : collection of str, default ("pu",)
        What is published of it: ``"pu"``, ``"memory"`` (huge pages, too), and classes
        of devices, as ``"gpu"`` and ``"nic"``.
    group_by : str, default "numanode"
        PUs one by one (``"individual"``), or as an amount of each NUMANode, Package
        (``"socket"``) or of the machine, by the names that dra-driver-cpu gives them.
    kubernetes : str, default "1.37"
        The version that the slices are for: 1.34 to 1.37. Fields that it lacks are left
        out; where that would change what a device is, the call is refused.
    features : collection of str, optional
        Options of that version that are on, as for `Inventory`, and in 1.37
        ``node_allocatable``: PUs and memory of claims are those of the node. With
        ``lists``, of which there are fields since 1.36, a device names the NUMANodes
        beside its own, too, as KEP-6072 has it.
    reserved_pus : str or iterable of int, default ""
        PUs that are not published, as for `Allocator`: ``"0-1,112"``.
    previous : iterable of mapping, str, bytes or object, optional
        The slices that are published now, as for `Inventory.update`; those of other
        pools are passed over. When nothing has changed copies of them are given back;
        else the pool's generation is the next. Those whose name is not among the new
        ones are over, and to be deleted.

    Returns
    -------
    list of dict
        ResourceSlices of resource.k8s.io/v1, their names in the order of their devices.

    Raises
    ------
    InvalidRequestError
        An argument is none of those above, there is nothing to publish, or the version
        has no field for it.
    FormatError
        `reserved_pus` is no list of PUs, or one of `previous` no ResourceSlice.

    Notes
    -----
    Amounts are shared (`allowMultipleAllocations`): of PUs and memory by whole units,
    of NICs their bandwidth, all of it without a request. Partitions draw on counters of
    their device. Names of attributes and devices follow dra-driver-cpu,
    dra-driver-memory and the driver of NVIDIA.

    Examples
    --------
    >>> import topoalloc as ta
    >>> from topoalloc import kubernetes as tk
    >>> machine = ta.Machine.preset("dgx-h100")
    >>> (slice,) = tk.resource_slices(
    ...     machine, driver="cpu.example.com", node_name="n1", kubernetes="1.36")
    >>> [device["name"] for device in slice["spec"]["devices"]]
    ['cpudevnuma000', 'cpudevnuma001']
    >>> slice["spec"]["devices"][0]["capacity"]["cpu.example.com/cpu"]["value"]
    '112'
    """
    _check_texts(driver, node_name, kubernetes, group_by)
    _check_words("kinds", kinds)
    _check_words("features", features)
    free = Allocator(machine, reserved_pus=reserved_pus).free_pus
    of = Publication(
        machine,
        driver,
        published_features_of(kubernetes, features),
        group_by,
        frozenset(_core.cpuset_members(free)),
    )
    _refuse_what_has_no_field(of, kinds, kubernetes)
    specs = [part for kind in _kinds_of(of, kinds) for part in _parts_of(of, kind)]
    _refuse_doubles(specs)
    if not specs:
        message = f"kinds: the machine has nothing of {', '.join(kinds)}"
        raise InvalidRequestError(message)
    return _slices(of, node_name, specs, previous, kubernetes)


def _check_texts(
    driver: object, node_name: object, kubernetes: str, group_by: str
) -> None:
    for name, value, check in (
        ("driver", driver, driver_name),
        ("node_name", node_name, dns_subdomain),
    ):
        wants = check(value) if isinstance(value, str) else "text"
        if wants is not None:
            message = f"{name}: {shown(value)}, want {wants}"
            raise InvalidRequestError(message)
    longest = _MAX_NAME - len(f"-{driver}-00000")
    if isinstance(node_name, str) and len(node_name) > longest:
        message = f"node_name: {shown(node_name)}, want at most {longest} characters"
        raise InvalidRequestError(message)
    for name, value, known in (
        ("kubernetes", kubernetes, SEMANTICS),
        ("group_by", group_by, GROUPS),
    ):
        if value not in known:
            message = f"{name}: {shown(value)}, want one of {', '.join(known)}"
            raise InvalidRequestError(message)


def _check_words(name: str, words: object) -> None:
    if (
        isinstance(words, (str, bytes))
        or not isinstance(words, Collection)
        or not all(isinstance(word, str) for word in words)
    ):
        raise InvalidRequestError(f"{name}: {shown(words)}, want a list of words")


def _refuse_doubles(specs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse devices of one name, as classes have that are written alike."""
    found = [device["name"] for spec in specs for device in spec.get("devices", ())]
    for name, count in Counter(found).items():
        if count > 1:
            message = (
                f"kinds: {count} devices would be {name!r}, want names of their own"
            )
            raise InvalidRequestError(message)


def _kinds_of(of: Publication, kinds: Collection[str]) -> tuple[str, ...]:
    classes = {device.device_class for device in of.machine.devices}
    known = {"pu", "memory", *classes}
    if not all(kind in known for kind in kinds):
        wants = ", ".join(sorted(known))
        unknown = next(kind for kind in kinds if kind not in known)
        raise InvalidRequestError(f"kinds: {shown(unknown)}, want some of {wants}")
    return tuple(dict.fromkeys(kinds))


def _refuse_what_has_no_field(
    of: Publication, kinds: Collection[str], kubernetes: str
) -> None:
    """Refuse amounts where a version has devices that are given as a whole alone."""
    if of.features["consumable_capacity"]:
        return
    without = f"{kubernetes} has no consumable_capacity unless features has it"
    if "memory" in kinds:
        raise InvalidRequestError(f"kinds: 'memory', want none: {without}")
    if "pu" in kinds and of.group_by != "individual":
        message = f"group_by: {of.group_by!r}, want 'individual': {without}"
        raise InvalidRequestError(message)


def _parts_of(of: Publication, kind: str) -> Iterator[dict[str, Any]]:
    """Go through what slices of one kind hold, each no more than a slice may."""
    builders = {"pu": pu_devices, "memory": memory_devices}
    if kind in builders:
        devices, sets = list(builders[kind](of)), []
    else:
        devices = list(class_devices(of, kind))
        sets = list(counter_sets(of, kind))
    for start in range(0, len(sets), _MAX_SETS):
        yield {"sharedCounters": sets[start : start + _MAX_SETS]}
    most = _MAX_ADVANCED if any(map(_is_advanced, devices)) else _MAX_DEVICES
    for start in range(0, len(devices), most):
        yield {"devices": devices[start : start + most]}


def _is_advanced(device: Mapping[str, Any]) -> bool:
    lists = any(
        name.endswith("s")
        for values in device["attributes"].values()
        for name in values
    )
    return lists or any(name in device for name in _ADVANCED)


def _slices(
    of: Publication,
    node_name: str,
    specs: Sequence[Mapping[str, Any]],
    previous: Iterable[object],
    kubernetes: str,
) -> list[dict[str, Any]]:
    def written(generation: int) -> list[dict[str, Any]]:
        pool = {
            "name": node_name,
            "generation": generation,
            "resourceSliceCount": len(specs),
        }
        return [
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceSlice",
                "metadata": {"name": f"{node_name}-{of.driver.lower()}-{number:05}"},
                "spec": {
                    "driver": of.driver,
                    "nodeName": node_name,
                    "pool": dict(pool),
                    **copy.deepcopy(dict(spec)),
                },
            }
            for number, spec in enumerate(specs)
        ]

    before = previous_slices(previous, of.driver, node_name)
    generation = max((item["spec"]["pool"]["generation"] for item in before), default=0)
    if list(map(content_of, before)) == list(map(content_of, written(generation))):
        return copy.deepcopy(before)
    slices = written(generation + 1)
    for item in slices:
        read_document(item, kubernetes)  # what breaks a rule of the API is our mistake
    return slices
