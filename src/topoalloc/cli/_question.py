# SPDX-License-Identifier: Apache-2.0
"""What is asked for: the options of a Request, and the texts of its constraints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from topoalloc import _core
from topoalloc._allocator import DEFAULT_MAX_STEPS
from topoalloc._constraints import (
    Align,
    AtLeast,
    AtMost,
    Condition,
    Constraint,
    Distinct,
    Link,
    Near,
    Not,
    OneOf,
    Pair,
    Same,
    constraint_from_dict,
)
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._request import DeviceRequest, Request
from topoalloc.cli._locations import device_key
from topoalloc.cli._output import naming
from topoalloc.cli._source import read_document

__all__ = ["Question", "parse_constraint"]

_CONDITION: Final = re.compile(
    r"(?P<cls>[^.=<>!]+)\.(?P<name>[^=<>!]+)(?P<op>>=|<=|!=|=)(?P<value>.*)", re.DOTALL
)
# The memory of GPUs is never handed out, so it is none of these.
_MEMORY_KINDS: Final = ("dram", "hbm", "cxl", "nvm")
_GRAMMAR: Final = {
    "align": "align:LEVEL[:OF,...]",
    "pair": "pair:A:B[:WITHIN[:N:M]]",
    "link": "link:CLASS[:clique|connected[:MB/S]]",
    "same": "same:ATTRIBUTE:CLASS,...",
    "distinct": "distinct:ATTRIBUTE:CLASS,...",
    "near": "near:DEVICE,...[:WITHIN]",
}
_MOST_FIELDS: Final = {"align": 2, "pair": 5, "link": 3}
_LEAST_FIELDS: Final = {"align": 1, "pair": 2, "link": 1}
_PAIR_DEFAULTS: Final = ("", "", "machine", "1", "1")
_LINK_DEFAULTS: Final = ("", "clique", "1")


@dataclass(frozen=True)
class Question:
    """The options that make a Request."""

    cores: Annotated[
        int | None, typer.Option(metavar="N", help="Whole cores, all their PUs.")
    ] = None
    pus: Annotated[
        int | None,
        typer.Option(metavar="N", help="Hardware threads; not with --cores."),
    ] = None
    whole_cores: Annotated[
        bool, typer.Option("--whole-cores", help="With --pus: never split a core.")
    ] = False
    memory: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="Base pages: 64Gi.")
    ] = None
    memory_kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="dram, hbm, cxl or nvm.")
    ] = None
    hugepages: Annotated[
        list[str] | None,
        typer.Option(metavar="SIZE=QUANTITY", help="Such as 2Mi=1Gi. May be repeated."),
    ] = None
    gpus: Annotated[
        int | None, typer.Option(metavar="N", help="As --device gpu=N.")
    ] = None
    nics: Annotated[
        int | None, typer.Option(metavar="N", help="As --device nic=N.")
    ] = None
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=N", help="N devices of any class. May be repeated."
        ),
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS.ATTRIBUTE=VALUE",
            help="Condition on the devices: =, !=, >=, <=, and a|b for one of several. "
            "May be repeated.",
        ),
    ] = None
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS.CAPACITY=QUANTITY",
            help="A share of a device instead of the whole. May be repeated.",
        ),
    ] = None
    partition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=PROFILE",
            help="Partitions instead of whole devices: gpu=1g.10gb.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE",
            help="Not to be chosen: gpu0, 0000:1b:00.0, os=mlx5_0, pci=1b:00.0, a "
            "uuid. May be repeated.",
        ),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONSTRAINT",
            help="Must hold: pair:gpu:nic:bridges, align:numa, align:numa:pus,gpu, "
            "link:gpu, same:ATTRIBUTE:CLASS, distinct:ATTRIBUTE:CLASS, "
            "near:DEVICE:numa, or its JSON form. May be repeated.",
        ),
    ] = None
    prefer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONSTRAINT",
            help="Should hold, the most wanted first; as --require.",
        ),
    ] = None
    request: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A Request in JSON; the other options change it."
        ),
    ] = None
    max_steps: Annotated[
        int, typer.Option(metavar="N", min=0, help="Search nodes before giving up.")
    ] = DEFAULT_MAX_STEPS

    def make(self) -> Request:
        """Return the Request, or raise InvalidRequestError or FormatError."""
        changes: dict[str, Any] = {
            name: value
            for name, value in (
                ("cores", self.cores),
                ("pus", self.pus),
                ("memory", self.memory),
                ("kind", self.memory_kind),
                ("whole_cores", self.whole_cores or None),
                ("exclude", [device_key(text) for text in self.exclude or ()] or None),
            )
            if value is not None
        }
        if self.hugepages:
            changes["hugepages"] = dict(_assignments("--hugepages", self.hugepages))
        for name, texts in (("require", self.require), ("prefer", self.prefer)):
            if texts:
                changes[name] = [parse_constraint(f"--{name}", text) for text in texts]
        base = self._base()
        self._check_memory_kind(base)
        devices = self._devices({} if base is None else base.devices)
        if devices:
            changes["devices"] = devices
        return Request(**changes) if base is None else base.replace(**changes)

    def _check_memory_kind(self, base: Request | None) -> None:
        if self.memory_kind is None:
            return
        if self.memory_kind not in _MEMORY_KINDS:
            raise InvalidRequestError(
                f"--memory-kind: {self.memory_kind!r}, want one of "
                + ", ".join(_MEMORY_KINDS)
            )
        has_own = self.memory is not None or bool(self.hugepages)
        if not has_own and (base is None or not (base.memory or base.hugepages)):
            raise InvalidRequestError(
                f"--memory-kind: {self.memory_kind} of no memory, want --memory or "
                "--hugepages with it"
            )

    def _base(self) -> Request | None:
        if self.request is None:
            return None
        with naming("--request", "a Request in JSON"):
            content = Path(self.request).read_bytes()
        document = read_document(content, self.request)
        try:
            return Request.from_dict(document)
        except FormatError as error:
            raise FormatError(f"{self.request}: {error}") from None

    def _devices(self, base: Mapping[str, DeviceRequest]) -> dict[str, DeviceRequest]:
        counts = {name: wanted.count for name, wanted in base.items()}
        short = {"gpu": self.gpus, "nic": self.nics}
        for cls, text in _assignments("--device", self.device or ()):
            if short.get(cls) is not None:
                raise InvalidRequestError(
                    f"--{cls}s: {short[cls]} beside --device {cls}={text}, want one of "
                    "the two"
                )
            counts[cls] = _integer("--device", text)
        counts |= {cls: count for cls, count in short.items() if count is not None}
        # Asking for none of a class is as not asking.
        counts = {cls: count for cls, count in counts.items() if count != 0}
        where = _by_class(_conditions(self.where or ()), counts, "--where")
        share = _by_class(_shares(self.share or ()), counts, "--share")
        partition = dict(_assignments("--partition", self.partition or ()))
        _require_classes("--partition", partition, counts)
        devices = {}
        for cls, count in counts.items():
            old = base.get(cls)
            devices[cls] = DeviceRequest(
                count,
                where=({} if old is None else dict(old.where)) | where.get(cls, {}),
                share=share.get(cls) or (None if old is None else dict(old.share)),
                partition=partition.get(cls)
                or (None if old is None else old.partition),
                eligible=None if old is None else old.eligible,
            )
        return devices


def parse_constraint(name: str, text: str) -> Constraint:
    """Read a constraint: ``pair:gpu:nic:bridges``, or its JSON form.

    Parameters
    ----------
    name : str
        What messages call the text.
    text : str
        As ``docs/cli.md`` lists them.

    Returns
    -------
    Constraint

    Raises
    ------
    InvalidRequestError
        It is no constraint.

    Examples
    --------
    >>> parse_constraint("--require", "pair:gpu:nic:PXB")
    Pair(a='gpu', b='nic', within='bridges', ratio=(1, 1))
    >>> parse_constraint("--require", "align:numa:pus,gpu")
    Align(level='numa', of=('gpu', 'pus'))
    """
    if text.startswith("{"):
        try:
            return constraint_from_dict(name, read_document(text.encode(), name))
        except FormatError as error:
            raise InvalidRequestError(str(error)) from None
    kind, _, rest = text.partition(":")
    if kind not in _GRAMMAR:
        raise InvalidRequestError(
            f"{name}: {text!r}, want one of {', '.join(_GRAMMAR.values())}"
        )
    try:
        return _constraint(kind, rest)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{name}: {text!r}: {error}") from None


def _constraint(kind: str, rest: str) -> Constraint:
    if kind in {"same", "distinct"}:
        attribute, _, classes = rest.rpartition(":")
        _require_form(kind, bool(attribute and classes))
        return (Same if kind == "same" else Distinct)(attribute, _names(classes))
    if kind == "near":
        # PCI addresses hold colons, so only the last field can be the level.
        devices, _, last = rest.rpartition(":")
        if devices and last.isascii() and _core.parse_level(last) is not None:
            return Near(_names(devices), last)
        return Near(_names(rest))
    fields = rest.split(":")
    _require_form(kind, _LEAST_FIELDS[kind] <= len(fields) <= _MOST_FIELDS[kind])
    if kind == "align":
        return Align(fields[0], _names(":".join(fields[1:])))
    if kind == "link":
        cls, mode, least = (*fields, *_LINK_DEFAULTS[len(fields) :])
        return Link(cls, mode, _integer("MB/s", least))
    # A ratio has two terms.
    _require_form(kind, len(fields) != len(_PAIR_DEFAULTS) - 1)
    a, b, within, n, m = (*fields, *_PAIR_DEFAULTS[len(fields) :])
    return Pair(a, b, within, (_integer("ratio", n), _integer("ratio", m)))


def _require_form(kind: str, is_right: bool) -> None:
    if not is_right:
        raise InvalidRequestError(f"want {_GRAMMAR[kind]}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _assignments(name: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise InvalidRequestError(f"{name}: {text!r}, want NAME=VALUE")
        if key in seen:
            raise InvalidRequestError(f"{name}: {key!r} twice, want it once")
        seen.add(key)
        yield key, value


def _conditions(texts: Iterable[str]) -> Iterator[tuple[str, str, Condition]]:
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise InvalidRequestError(
                f"--where: {text!r}, want CLASS.ATTRIBUTE=VALUE, or !=, >=, <="
            )
        yield match["cls"], match["name"], _condition(match["op"], match["value"])


def _condition(operator: str, text: str) -> Condition:
    match operator:
        case ">=":
            return AtLeast(_integer_or_text(text))
        case "<=":
            return AtMost(_integer_or_text(text))
        case "!=":
            return Not(_value(text))
        case _:
            values = [_value(part) for part in text.split("|")]
            return values[0] if len(values) == 1 else OneOf(*values)


def _value(text: str) -> bool | int | str:
    """Read a value; quotes keep ``"true"`` and ``"1"`` text."""
    if text in {"true", "false"}:
        return text == "true"
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return _integer_or_text(text)


def _integer_or_text(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else text


def _shares(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for key, amount in _assignments("--share", texts):
        cls, dot, capacity = key.partition(".")
        if not (cls and dot and capacity):
            raise InvalidRequestError(f"--share: {key!r}, want CLASS.CAPACITY=QUANTITY")
        yield cls, capacity, amount


def _by_class(
    rows: Iterable[tuple[str, str, Any]], counts: Iterable[str], name: str
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for cls, key, value in rows:
        if key in found.setdefault(cls, {}):
            raise InvalidRequestError(f"{name}: {cls}.{key} twice, want it once")
        found[cls][key] = value
    _require_classes(name, found, counts)
    return found


def _require_classes(name: str, classes: Iterable[str], counts: Iterable[str]) -> None:
    for cls in classes:
        if cls not in counts:
            raise InvalidRequestError(
                f"{name}: no {cls} is asked for, want --device {cls}=N with it"
            )


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidRequestError(f"{name}: {text!r}, want a number")
    return int(text)
