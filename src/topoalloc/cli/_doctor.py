# SPDX-License-Identifier: Apache-2.0
"""``topoalloc doctor``: what was found on this host, what is missing, what to do."""

from __future__ import annotations

import enum
import importlib.metadata
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from topoalloc import _core, presets
from topoalloc._errors import TopoallocError, TopologyError
from topoalloc._machine import Machine
from topoalloc._quantity import format_quantity
from topoalloc._records import SEMANTICS
from topoalloc._request import API_VERSION
from topoalloc._version import library_version
from topoalloc.cli import EXIT_NO, EXIT_YES
from topoalloc.cli._output import print_json, print_table
from topoalloc.draw._objects import bytes_text

__all__ = ["EXAMPLES", "HELP", "command"]

HELP = """\
Exit code 1 where something is missing that a part of topoalloc needs; a line marked \
"note" is worth knowing and stops nothing."""

EXAMPLES = ("topoalloc doctor", "topoalloc doctor --json")

_CGROUP = Path("/proc/self/cgroup")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_STATUS = Path("/proc/self/status")
_CAP_SYS_NICE = 23


class Mark(enum.StrEnum):
    """How a finding is."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    mark: Mark
    found: str
    todo: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {
            "what": self.what,
            "mark": self.mark.value,
            "found": self.found,
            "todo": self.todo,
        }


def command(
    json_: Annotated[
        bool, typer.Option("--json", help="The findings as JSON.")
    ] = False,
) -> int:
    """Look and print."""
    findings = [finding for check in _CHECKS for finding in check()]
    missing = [finding for finding in findings if finding.mark is Mark.MISSING]
    if json_:
        print_json(
            {
                "apiVersion": API_VERSION,
                "kind": "Findings",
                "findings": [finding.to_dict() for finding in findings],
            }
        )
        return EXIT_NO if missing else EXIT_YES
    print_table(
        ("", "what", "found"), [(f.mark.value, f.what, f.found) for f in findings]
    )
    todos = [finding for finding in findings if finding.todo]
    if todos:
        sys.stdout.write("\nWhat to do\n")
        sys.stdout.write("".join(f"  {f.what}: {f.todo}\n" for f in todos))
    return EXIT_NO if missing else EXIT_YES


def _versions() -> Iterator[Finding]:
    yield Finding("topoalloc", Mark.OK, f"{library_version()}, semantics {SEMANTICS}")
    yield Finding("Python", Mark.OK, f"{platform.python_version()} {sys.executable}")
    yield Finding("kernel", Mark.OK, f"{platform.system()} {platform.release()}")
    for name in ("typer", "rich"):
        try:
            yield Finding(name, Mark.OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(
                name, Mark.MISSING, "not installed", "pip install 'topoalloc[cli]'"
            )
    yield Finding("presets", Mark.OK, f"{len(presets.SUMMARIES)}")
    yield Finding("hwloc XML", Mark.OK, "versions 1, 2 and 3, without libhwloc")


def _hwloc() -> Iterator[Finding]:
    # The binding loads libhwloc, and its absence is a finding.
    from topoalloc import hwloc  # noqa: PLC0415

    try:
        library = hwloc.library()
    except TopologyError as error:
        yield Finding(
            "libhwloc",
            Mark.MISSING,
            str(error.args[-1]),
            "install hwloc (libhwloc15) or pip install 'topoalloc[hwloc]'; without it "
            "all but this host and binding works",
        )
        return
    yield Finding("libhwloc", Mark.OK, library.path or "linked in, path not known")
    yield Finding(
        "libhwloc API",
        Mark.OK,
        f"{_version(library.api_version)}, compiled against "
        f"{_version(library.header_api_version)}",
    )
    yield from _binding(hwloc)
    with hwloc.load() as topology:
        for version in (1, 2, 3):
            try:
                size = len(topology.export_xml(version))
            except TopoallocError:
                continue
            yield Finding(f"XML export, version {version}", Mark.OK, f"{size} bytes")


def _version(number: int) -> str:
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _binding(hwloc: object) -> Iterator[Finding]:
    own = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, own)
        yield Finding("bind PUs", Mark.OK, f"allowed; now on {_list(own)}")
    except OSError as error:
        yield Finding(
            "bind PUs", Mark.MISSING, str(error.strerror), "allow sched_setaffinity"
        )
    try:
        found = hwloc.get_membind()  # type: ignore[attr-defined]
        yield Finding(
            "bind memory", Mark.OK, f"allowed; now {found.policy.name.lower()}"
        )
    except TopologyError as error:
        yield Finding(
            "bind memory",
            Mark.NOTE,
            str(error.args[-1]),
            "a container needs the seccomp rules of CAP_SYS_NICE for set_mempolicy",
        )
    others = _has_capability(_CAP_SYS_NICE)
    yield Finding(
        "bind others' processes",
        Mark.OK if others else Mark.NOTE,
        "CAP_SYS_NICE" if others else "only those of the same user: no CAP_SYS_NICE",
    )


def _has_capability(number: int) -> bool:
    if not _STATUS.exists():
        return False
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _machine() -> Iterator[Finding]:
    try:
        machine = Machine.discover()
    except TopologyError:
        return  # The finding about libhwloc says why.
    yield Finding("machine", Mark.OK, repr(machine)[1:-1])
    memory = sum(node.memory for node in machine.numa_nodes)
    yield Finding("memory", Mark.OK, bytes_text(memory))
    pages: Counter[int] = Counter()
    for node in machine.numa_nodes:
        pages.update(node.hugepages)
    texts = [f"{format_quantity(size)}: {bytes_text(n)}" for size, n in pages.items()]
    yield Finding("huge pages", Mark.OK, ", ".join(texts) or "none set up")
    known = {_core.normalize_cpuset(machine.allowed_pus)}
    every = _core.normalize_cpuset(",".join(str(pu.os_index) for pu in machine.pus))
    if known == {every}:
        yield Finding("cgroup", Mark.OK, f"all PUs allowed{_cgroup()}")
    else:
        yield Finding(
            "cgroup",
            Mark.NOTE,
            f"PUs {machine.allowed_pus} of {every} allowed{_cgroup()}",
        )
    nodes = {node.os_index for node in machine.numa_nodes}
    allowed = {*machine.allowed_numa_nodes}
    if allowed != nodes:
        yield Finding(
            "cgroup, memory",
            Mark.NOTE,
            f"NUMANodes {_list(allowed) or 'none'} of {_list(nodes)} allowed",
        )
    roots = [device for device in machine.devices if device.parent is None]
    classes = Counter(device.device_class for device in roots)
    counts = ", ".join(f"{n} {name}" for name, n in sorted(classes.items()))
    yield Finding(
        "devices",
        Mark.OK if roots else Mark.NOTE,
        counts or "none",
        "" if roots else "a container may need /sys of the host",
    )
    lost = [device.name for device in roots if not device.localities]
    if lost:
        yield Finding(
            "localities of devices",
            Mark.NOTE,
            f"unknown of {', '.join(lost)}",
            "the firmware does not say; Machine.with_overrides corrects it",
        )


def _cgroup() -> str:
    """Name the cgroup where its version is 2."""
    if not _CGROUP.exists():
        return ""
    for line in _CGROUP.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("0::"):
            path = _CGROUP_ROOT / line[3:].lstrip("/") / "cpuset.cpus.effective"
            effective = path.read_text().strip() if path.exists() else ""
            return f"; {line[3:]}" + (f" with PUs {effective}" if effective else "")
    return ""


def _list(indices: set[int]) -> str:
    return _core.normalize_cpuset(",".join(map(str, sorted(indices))))


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_versions, _hwloc, _machine)
