# SPDX-License-Identifier: Apache-2.0
"""Objects and devices by the location words of hwloc-calc: ``numa:1.core:0-3``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from topoalloc._errors import InvalidRequestError
from topoalloc._machine import Machine

__all__ = ["device_key", "pus_of"]

_LIST: Final = re.compile(r"[0-9,-]*")
_STEP: Final = re.compile(
    r"(?P<kind>[a-z0-9]+):(?:(?P<first>[0-9]{1,9})(?P<dash>-(?P<last>[0-9]{1,9})?)?|all)"
)
_KINDS: Final = {
    "pack": "package",
    "package": "package",
    "socket": "package",
    "die": "die",
    "node": "numa",
    "numa": "numa",
    "numanode": "numa",
    "l3": "l3",
    "l3cache": "l3",
    "core": "core",
    "pu": "pu",
}


def pus_of(machine: Machine, text: str) -> str:
    """Read PUs: the kernel's list form, or locations with logical indices.

    Parameters
    ----------
    machine : Machine
        Of which the locations speak.
    text : str
        ``"0-1,112"`` by OS index, or words with spaces between them:
        ``"core:0 numa:1.pu:2-3"``.

    Returns
    -------
    str
        OS indices in list form; the kernel's form as it came.

    Raises
    ------
    InvalidRequestError
        A word is no location, or the machine has no such object.

    Examples
    --------
    >>> machine = Machine.from_synthetic("pack:2 numa:1 core:4 pu:2")
    >>> pus_of(machine, "core:0 numa:1.core:0-1")
    '0,1,8,9,10,11'
    """
    if _LIST.fullmatch(text):
        return text
    found: set[int] = set()
    for word in text.split():
        found.update(_location(machine, word))
    return ",".join(str(machine.pus[i].os_index) for i in sorted(found))


def _location(machine: Machine, word: str) -> set[int]:
    pus = {*range(len(machine.pus))}
    for step in word.split("."):
        match = _STEP.fullmatch(step)
        if match is None or match["kind"] not in _KINDS:
            raise InvalidRequestError(
                f"location: {word!r}, want a list such as 0-1,112 or words such as "
                "core:0-3, numa:1.pu:2, package:all"
            )
        # Indices count the objects inside those named before: numa:1.core:0.
        inside = [
            each for each in _objects(machine, _KINDS[match["kind"]]) if each <= pus
        ]
        chosen = _chosen(inside, match)
        if not chosen:
            raise InvalidRequestError(
                f"location: {word!r}, want an index below {len(inside)} in {step!r}"
            )
        pus = set().union(*chosen)
    return pus


def _objects(machine: Machine, kind: str) -> list[set[int]]:
    if kind == "pu":
        return [{i} for i in range(len(machine.pus))]
    if kind == "numa":
        return [{*node.pus} for node in machine.numa_nodes if node.pus]
    domains = {
        "package": machine.packages,
        "die": machine.dies,
        "l3": machine.l3s,
        "core": machine.cores,
    }
    return [{*domain.pus} for domain in domains[kind]]


def _chosen(objects: Sequence[set[int]], match: re.Match[str]) -> Sequence[set[int]]:
    if match["first"] is None:
        return objects
    first = int(match["first"])
    last = int(match["last"] or len(objects) - 1) if match["dash"] else first
    return objects[first : last + 1] if last < len(objects) else ()


def device_key(text: str) -> str:
    """Return the key of a device: hwloc's ``os=eth0`` and ``pci=01:00.0`` too.

    Examples
    --------
    >>> device_key("os=mlx5_0"), device_key("gpu0")
    ('mlx5_0', 'gpu0')
    """
    word, equals, key = text.partition("=")
    if equals and word in {"os", "pci"}:
        # hwloc leaves domain 0000 out.
        return f"0000:{key}" if word == "pci" and key.count(":") == 1 else key
    return text
