# SPDX-License-Identifier: Apache-2.0
"""Where the machine comes from (``-i``), and what is taken on it (``--state``)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from topoalloc._allocator import Allocator
from topoalloc._canonical import parse_json
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._machine import Machine
from topoalloc._policy import Policy
from topoalloc.cli._locations import device_key, pus_of
from topoalloc.cli._output import naming

__all__ = ["Source", "State", "read_document", "read_machine"]

_SNAPSHOT = b"topoalloc-snapshot"
_BOM = b"\xef\xbb\xbf"
_KINDS = 'a file, "-", a synthetic description such as "pack:2 core:4 pu:2" or a preset'


@dataclass(frozen=True)
class Source:
    """The options that say which machine is meant and who holds what on it."""

    input: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--input",
            metavar="INPUT",
            help="hwloc XML file, - for standard input, synthetic description, JSON "
            "spec, snapshot or preset. This host when left out.",
        ),
    ] = None
    state: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Snapshot that says who holds what, as --save or "
            "Allocator.snapshot() writes it; it holds the machine too.",
        ),
    ] = None

    def machine(self) -> Machine:
        """Return the machine meant."""
        return self.allocator().machine if self.state else read_machine(self.input)

    def allocator(
        self, reserved_pus: str = "", policy: str | Policy = "pack"
    ) -> Allocator:
        """Return an Allocator with what the snapshot says is taken.

        Reserved PUs may be locations, as `pus_of` reads them.
        """
        if self.state is None:
            content = _snapshot_of(self.input)
            if content is None:
                machine = read_machine(self.input)
                reserved = pus_of(machine, reserved_pus)
                return Allocator(machine, reserved_pus=reserved, policy=policy)
        else:
            with naming("--state", "a snapshot"):
                content = Path(self.state).read_bytes()
        if reserved_pus or policy != "pack":
            raise InvalidRequestError(
                "--reserved-pus, --policy and --order: given beside a snapshot, "
                "want them as it says"
            )
        allocator = _restore(content, str(self.state or self.input))
        if self.state is not None and self.input is not None:
            given = read_machine(self.input)
            if given.digest != allocator.machine.digest:
                raise InvalidRequestError(
                    f"--state: a snapshot of {allocator.machine!r}, "
                    f"want one of {given!r}"
                )
        return allocator


@dataclass(frozen=True)
class State:
    """The options that add to the state before anything is placed."""

    reserved_pus: Annotated[
        str,
        typer.Option(
            "--reserved-pus",
            metavar="LIST",
            help="PUs that are never handed out: OS indices such as 0-1,112-113, or "
            "locations as in hwloc-calc such as core:0 numa:1.pu:0-3.",
        ),
    ] = ""
    cordon: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="Device, or PU as pu:7 (OS index), to treat as unhealthy. May be "
            "repeated.",
        ),
    ] = None
    policy: Annotated[
        str,
        typer.Option(metavar="pack|spread", help="Open few new domains, or many."),
    ] = "pack"
    order: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP,...",
            help="Groups of cost terms to compare first; the others follow as they "
            "stand: packages, localities, pair_levels, missing_link, remote_devices, "
            "l3s, split_cores, opened.",
        ),
    ] = None

    def apply(self, source: Source) -> Allocator:
        """Return the Allocator of a source with these changes."""
        allocator = source.allocator(self.reserved_pus, self._policy())
        for what in self.cordon or ():
            allocator.cordon(device_key(what))
        return allocator

    def _policy(self) -> str | Policy:
        if self.order is None:
            return self.policy
        packing = Policy.of(self.policy).packing
        first = self.order.split(",")
        known = Policy().order
        for number, group in enumerate(first):
            if group not in known:
                raise InvalidRequestError(
                    f"--order: {group!r}, want each of {', '.join(known)} at most once"
                )
            if group in first[:number]:
                raise InvalidRequestError(f"--order: {group!r} twice, want it once")
        rest = (group for group in known if group not in first)
        return Policy("command-line", packing=packing, order=(*first, *rest))


def read_machine(text: str | None) -> Machine:
    """Read what ``-i`` names.

    Parameters
    ----------
    text : str or None
        None: this host.

    Returns
    -------
    Machine

    Raises
    ------
    InvalidRequestError
        It names nothing.
    FormatError
        What it names is damaged.
    """
    if text is None:
        return Machine.discover()
    if not text:
        raise InvalidRequestError(
            f"-i: '', want this host, which is -i left out, {_KINDS}"
        )
    if text == "-":
        return _machine_from(sys.stdin.buffer.read(), "stdin")
    # A preset first: its name is no path that anybody would give to a recording.
    if text in Machine.presets():
        return Machine.preset(text)
    path = Path(text)
    if path.is_dir():
        raise InvalidRequestError(f"-i: {text!r} is a folder, want {_KINDS}")
    if path.exists():
        with naming("-i", _KINDS):
            content = path.read_bytes()
        return _machine_from(content, text)
    # Synthetic descriptions have a colon in every word.
    if ":" in text and "/" not in text:
        return Machine.from_synthetic(text)
    raise InvalidRequestError(
        f"-i: {text!r} is no file and no preset, want {_KINDS}: "
        + ", ".join(Machine.presets())
    )


def _snapshot_of(text: str | None) -> bytes | None:
    if text is None or text == "-" or not Path(text).is_file():
        return None
    with Path(text).open("rb") as file:
        start = file.read(len(_SNAPSHOT))
        return start + file.read() if start == _SNAPSHOT else None


def _machine_from(content: bytes, name: str) -> Machine:
    text = content.removeprefix(_BOM)
    start = text.lstrip()[: len(_SNAPSHOT)]
    if start == _SNAPSHOT:
        return _restore(content, name).machine
    if start.startswith((b"{", b"[")):
        document = read_document(content, name)
        try:
            return Machine.from_dict(document)
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None
    if not start.startswith(b"<"):
        what = f":1: starts with {start.decode(errors='replace')!a}"
        raise FormatError(
            f"{name}{what if start else ': empty'}, want hwloc XML, a JSON spec or a "
            "snapshot"
        )
    try:
        return Machine.from_xml(text)
    except FormatError as error:
        # The reader calls bytes "XML" where it would name the file.
        place = str(error).removeprefix("XML:")
        raise FormatError(f"{name}:{place}") from None


def _restore(content: bytes, name: str) -> Allocator:
    try:
        return Allocator.restore(content)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None


def read_document(content: bytes, name: str) -> dict[str, object]:
    """Read a JSON object; errors name the file and the line."""
    document = parse_json(content, name)
    if not isinstance(document, dict):
        raise FormatError(f"{name}: {type(document).__name__}, want an object")
    return document
