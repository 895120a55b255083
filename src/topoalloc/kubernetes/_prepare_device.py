# SPDX-License-Identifier: Apache-2.0
"""Which part of a Machine a device of an allocation is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from topoalloc import _core
from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Device, Machine
from topoalloc.kubernetes._allocation import quantity_text
from topoalloc.kubernetes._demand_rules import values_of, with_domain
from topoalloc.kubernetes._objects import AllocatedDevice
from topoalloc.kubernetes._objects_values import fail, shown
from topoalloc.kubernetes._pool_view import Place
from topoalloc.kubernetes._publish_device import device_name

__all__ = ["MachineParts", "Part"]

_NANO = 10**9
_PUS = re.compile(r"cpudev(?:(numa|socket)?(\d{1,9})|(machine))")
_MEMORY = re.compile(r"(?:memory|hugepages-(\d{1,9}[kmg]))-numa(\d{1,9})")
_PAGES = {"k": 2**10, "m": 2**20, "g": 2**30}
_STANDARD = "resource.kubernetes.io"


@dataclass(frozen=True)
class Part:
    """What a result is of the machine: PUs, bytes of a NUMANode, or a device.

    Attributes
    ----------
    group : str
        PUs of which `count` are wanted, in the kernel's list form.
    count : int
        0 for what is not PUs.
    numa_node, page_size, size : int
        Bytes of a NUMANode, and of a page.
    device : Device or None
        A device.
    share : mapping of str to int
        What is taken of a device's capacities; empty for the whole.
    """

    group: str = ""
    count: int = 0
    numa_node: int = 0
    page_size: int = 0
    size: int = 0
    device: Device | None = None
    share: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """It leaves no choice."""
        return not self.count or len(_core.cpuset_members(self.group)) == self.count


class MachineParts:
    """Finds the part of a Machine that a device of an allocation is.

    PUs and memory go by the names that `resource_slices` gives them, which are those of
    dra-driver-cpu; other devices by what their slice says, uuid or pciBusID, and
    without a slice by the names of `resource_slices`.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._by_name = {device_name(device): device for device in machine.devices}

    def find(self, own: AllocatedDevice, place: Place | None, path: str) -> Part:
        """Return the part.

        Parameters
        ----------
        own : AllocatedDevice
            The result.
        place : (DeviceSlice, SliceDevice) or None
            What its driver publishes of it, where that is known.
        path : str
            Of the result.

        Raises
        ------
        ObjectError
            The machine has no such part.
        """
        name = own.id.device
        pus = _PUS.fullmatch(name)
        if pus:
            return self._pus(own, pus, path)
        memory = _MEMORY.fullmatch(name)
        if memory:
            return self._memory(own, memory, path)
        device = self._device(own, place)
        if device is None:
            message = f"{shown(name)}, want a device of this machine"
            raise fail(f"{path}.device", message)
        share = {
            key.rpartition("/")[2]: amount // _NANO
            for key, amount in (own.consumed or {}).items()
        }
        whole = all(device.capacities.get(key) == n for key, n in share.items())
        return Part(device=device, share={} if whole else share)

    def _pus(self, own: AllocatedDevice, found: re.Match[str], path: str) -> Part:
        machine = self._machine
        kind, number, _ = found.groups()
        index = int(number) if number else 0
        sets: dict[int, str]
        if kind == "numa":
            sets = {
                locality.numa_nodes[0]: locality.cpuset
                for locality in machine.localities
            }
        elif kind == "socket":
            sets = {
                each.os_index: each.cpuset
                for each in machine.packages
                if each.os_index is not None
            }
        elif number:
            sets = {pu.os_index: str(pu.os_index) for pu in machine.pus}
        else:
            every = ",".join(package.cpuset for package in machine.packages)
            sets = {0: _core.normalize_cpuset(every)}
        if index not in sets:
            message = f"{shown(own.id.device)}, want PUs of this machine"
            raise fail(f"{path}.device", message)
        if kind is None and number:
            return Part(sets[index], 1)
        return Part(sets[index], self._amount(own, "cpu", path))

    def _memory(self, own: AllocatedDevice, found: re.Match[str], path: str) -> Part:
        page, number = found.groups()
        numa_node = int(number)
        if all(node.os_index != numa_node for node in self._machine.numa_nodes):
            message = f"{shown(own.id.device)}, want a NUMANode of this machine"
            raise fail(f"{path}.device", message)
        size = int(page[:-1]) * _PAGES[page[-1]] if page else 0
        amount = self._amount(own, "size", path)
        return Part(numa_node=numa_node, page_size=size, size=amount)

    def _amount(self, own: AllocatedDevice, name: str, path: str) -> int:
        full = with_domain(name, own.id.driver)
        for key, amount in (own.consumed or {}).items():
            if with_domain(key, own.id.driver) == full:
                if amount % _NANO or amount <= 0:
                    message = f"{quantity_text(amount)}, want a whole number"
                    raise fail(f"{path}.consumedCapacity[{key}]", message)
                return amount // _NANO
        raise fail(f"{path}.consumedCapacity", f"no {name}, want how much it is")

    def _device(self, own: AllocatedDevice, place: Place | None) -> Device | None:
        if place is None:
            return self._by_name.get(own.id.device)
        by_uuid = self._keyed(place, with_domain("uuid", own.id.driver))
        if by_uuid is not None:
            return by_uuid
        found = self._keyed(place, f"{_STANDARD}/pciBusID")
        named = self._by_name.get(own.id.device)
        if named is not None and (
            found is None or named.pci_address == found.pci_address
        ):
            return named  # a partition has the address of its device
        return found

    def _keyed(self, place: Place, attribute: str) -> Device | None:
        values = values_of(*place, attribute)
        keys: Sequence[object] = () if values is None else values.values
        for key in keys:
            try:
                return self._machine.device(str(key))
            except InvalidRequestError:
                continue
        return None
