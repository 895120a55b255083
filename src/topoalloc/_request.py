# SPDX-License-Identifier: Apache-2.0
"""Request: what one pod, container or rank needs, as immutable data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from topoalloc import _core
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
    check_count,
    check_text,
    check_texts,
    check_value,
    constraint_from_dict,
    constraint_from_row,
    constraint_to_dict,
    device_names,
)
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._machine import Device
from topoalloc._quantity import parse_quantity, shown

__all__ = ["API_VERSION", "DeviceRequest", "Request"]

API_VERSION = "topoalloc.dev/v1alpha1"
"""Of every JSON form."""

Quantity: TypeAlias = int | str
_Row: TypeAlias = tuple[Any, ...]
_ARGUMENTS = (
    "cores",
    "pus",
    "whole_cores",
    "memory",
    "kind",
    "hugepages",
    "devices",
    "exclude",
    "keep",
    "require",
    "prefer",
)


class DeviceRequest:
    """How many devices of a class, and which.

    Parameters
    ----------
    count : int
        Exactly so many, at least 1.
    where : mapping of str to value or condition, optional
        Attribute or capacity to what it must be: a value, or `AtLeast`, `AtMost`,
        `OneOf`, `Not`. All must hold, and a device without the attribute fails.
    share : mapping of str to quantity, optional
        Amounts of capacities instead of the whole device.
    partition : str, optional
        A partition of this profile instead of the whole device; not with `share`.
    eligible : iterable of str or Device, optional
        Only these devices may be chosen.

    Examples
    --------
    >>> DeviceRequest(2, where={"model": "H100", "memory": AtLeast("80Gi")})
    DeviceRequest(2, where={'memory': AtLeast(value=85899345920), 'model': 'H100'})
    """

    __slots__ = ("_row",)
    _row: _Row

    def __init__(
        self,
        count: int,
        *,
        where: Mapping[str, Condition] | None = None,
        share: Mapping[str, Quantity] | None = None,
        partition: str | None = None,
        eligible: Iterable[str | Device] | None = None,
    ) -> None:
        row = (
            check_count("count", count, 1),
            _condition_rows(where or {}),
            tuple(sorted(_amounts("share", share or {}).items())),
            "" if partition is None else check_text("partition", partition),
            None if eligible is None else _device_set("eligible", eligible),
        )
        object.__setattr__(self, "_row", row)

    @classmethod
    def _from_row(cls, row: _Row) -> Self:
        self = cls.__new__(cls)
        count, where, share, partition, eligible = row
        names = None if eligible is None else tuple(eligible)
        shares = tuple(sorted(share.items()))
        object.__setattr__(self, "_row", (count, where, shares, partition, names))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a DeviceRequest does not change."""
        raise AttributeError(f"{name}: a DeviceRequest does not change, want a new one")

    @property
    def count(self) -> int:
        """How many devices."""
        return int(self._row[0])

    @property
    def where(self) -> Mapping[str, Condition]:
        """Attribute to condition; quantities are in base units."""
        return MappingProxyType(
            {name: _condition(*rest) for name, *rest in self._row[1]}
        )

    @property
    def share(self) -> Mapping[str, int]:
        """Capacity to amount in base units; empty where whole devices are asked for."""
        return MappingProxyType(dict(self._row[2]))

    @property
    def partition(self) -> str | None:
        """The profile of the partition, or None."""
        return self._row[3] or None

    @property
    def eligible(self) -> tuple[str, ...] | None:
        """Names of the devices that may be chosen; None: all."""
        names: tuple[str, ...] | None = self._row[4]
        return names

    def __eq__(self, other: object) -> bool:
        """Compare by value."""
        if not isinstance(other, DeviceRequest):
            return NotImplemented
        # By repr, since True == 1 to Python and not to a device.
        return repr(self._row) == repr(other._row)

    def __hash__(self) -> int:
        """Return a hash of the value."""
        return hash(repr(self._row))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value."""
        count, where, share, partition, eligible = self._row
        return (_device_request, (count, where, share, partition, eligible))

    def __repr__(self) -> str:
        """Show what was asked for, defaults left out."""
        parts = [str(self.count)]
        if self.where:
            parts.append(f"where={dict(self.where)!r}")
        if self.share:
            parts.append(f"share={dict(self.share)!r}")
        if self.partition:
            parts.append(f"partition={self.partition!r}")
        if self.eligible is not None:
            parts.append(f"eligible={self.eligible!r}")
        return f"DeviceRequest({', '.join(parts)})"


class Request(_core.Request):
    """What one pod, container or rank needs.

    Immutable, hashable, equal by value, picklable; make it once and ask often: what it
    means on a Machine is computed at the first question and kept.

    Parameters
    ----------
    cores : int, default 0
        Whole cores, each with all its PUs. Not with `pus`.
    pus : int, default 0
        Hardware threads.
    whole_cores : bool, default False
        With `pus`: never split a core.
    memory : int or str, default 0
        Bytes in base pages, or a quantity such as ``"64Gi"``.
    kind : str, default "dram"
        Of the memory: ``"dram"``, ``"hbm"``, ``"cxl"``, ``"nvm"``.
    hugepages : mapping of quantity to quantity, optional
        Page size to bytes: ``{"2Mi": "1Gi"}``.
    devices : mapping of str to int or DeviceRequest, optional
        Class to count, or to more than a count.
    exclude : iterable of str or Device, optional
        Devices that must not be chosen.
    keep : iterable of str, optional
        What a resize must not move: ``"pus"`` or device classes that the Request asks
        for. `check` and `allocate` have nothing to keep and pay no heed to it, so one
        Request serves all three.
    require : iterable of constraints, optional
        All must hold.
    prefer : iterable of constraints, optional
        At most 8, the most wanted first.

    Raises
    ------
    InvalidRequestError
        The Request has no meaning on any Machine; the message names the part.

    Examples
    --------
    >>> request = Request(cores=16, memory="64Gi", devices={"gpu": 2, "nic": 2},
    ...                   require=[Pair("gpu", "nic", within="bridges")])
    >>> request.memory
    68719476736
    >>> request == Request.from_dict(request.to_dict())
    True
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        cores: int = 0,
        pus: int = 0,
        whole_cores: bool = False,
        memory: Quantity = 0,
        kind: str = "dram",
        hugepages: Mapping[Quantity, Quantity] | None = None,
        devices: Mapping[str, int | DeviceRequest] | None = None,
        exclude: Iterable[str | Device] = (),
        keep: Iterable[str] = (),
        require: Iterable[Constraint] = (),
        prefer: Iterable[Constraint] = (),
    ) -> None:
        if not isinstance(whole_cores, bool):
            raise InvalidRequestError(f"whole_cores: {shown(whole_cores)}, want a bool")
        rows, kept = _device_rows(devices or {}), check_texts("keep", keep)
        _check_keep(kept, rows)
        # The core reads plain arguments itself and never comes here. What follows is
        # the meaning of all the rest, and the only place that refuses.
        super().__init__(
            (
                check_count("cores", cores),
                check_count("pus", pus),
                whole_cores,
                # Parsing is the dearest step here, and most Requests ask for none.
                0 if memory == 0 else parse_quantity(memory, name="memory"),
                check_text("kind", kind),
                _hugepages(hugepages or {}),
                rows,
                _device_set("exclude", exclude),
                tuple(sorted({*kept})),
                _constraint_rows("require", require),
                _constraint_rows("prefer", prefer),
            )
        )

    @property
    def cores(self) -> int:
        """Whole cores asked for."""
        return int(self.fields()[0])

    @property
    def pus(self) -> int:
        """Hardware threads asked for."""
        return int(self.fields()[1])

    @property
    def whole_cores(self) -> bool:
        """Whether the PUs are those of whole cores."""
        return bool(self.fields()[2])

    @property
    def memory(self) -> int:
        """Bytes in base pages."""
        return int(self.fields()[3])

    @property
    def kind(self) -> str:
        """Kind of the memory."""
        return str(self.fields()[4])

    @property
    def hugepages(self) -> Mapping[int, int]:
        """Page size to bytes."""
        return MappingProxyType(self.fields()[5])

    @property
    def devices(self) -> Mapping[str, DeviceRequest]:
        """Class to what is asked of it."""
        rows = self.fields()[6]
        return MappingProxyType(
            {name: DeviceRequest._from_row(tuple(row)) for name, *row in rows}
        )

    @property
    def exclude(self) -> tuple[str, ...]:
        """Devices that must not be chosen."""
        return tuple(self.fields()[7])

    @property
    def keep(self) -> tuple[str, ...]:
        """What a resize must not move."""
        return tuple(self.fields()[8])

    @property
    def require(self) -> tuple[Constraint, ...]:
        """Constraints that must hold."""
        return tuple(constraint_from_row(row) for row in self.fields()[9])

    @property
    def prefer(self) -> tuple[Constraint, ...]:
        """Constraints that should hold, the most wanted first."""
        return tuple(constraint_from_row(row) for row in self.fields()[10])

    def replace(self, **changes: Any) -> Request:  # noqa: ANN401
        """Return a Request with some arguments changed.

        Parameters
        ----------
        **changes
            As in the constructor.

        Returns
        -------
        Request

        Raises
        ------
        InvalidRequestError
            There is no such argument, or the new Request has no meaning.

        Examples
        --------
        >>> Request(cores=2).replace(cores=4)
        Request(cores=4)
        """
        for name in changes:
            if name not in _ARGUMENTS:
                raise InvalidRequestError(
                    f"replace: {shown(name)}, want one of {', '.join(_ARGUMENTS)}"
                )
        return Request(**(self._arguments() | changes))

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that differ from their defaults."""
        found = {name: getattr(self, name) for name in _ARGUMENTS}
        return {
            name: value
            for name, value in found.items()
            if (value != "dram" if name == "kind" else value)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, which `from_dict` reads.

        Returns
        -------
        dict
            Plain values; keys that say the default are left out.
        """
        document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": "Request"}
        arguments = self._arguments()
        if "kind" in arguments:
            arguments["memory_kind"] = arguments.pop("kind")
        for name, value in arguments.items():
            match name:
                case "hugepages":
                    document[name] = {
                        str(size): amount for size, amount in value.items()
                    }
                case "devices":
                    document[name] = {
                        cls: _device_request_to_dict(wanted)
                        for cls, wanted in value.items()
                    }
                case "require" | "prefer":
                    document[name] = [constraint_to_dict(entry) for entry in value]
                case "exclude" | "keep":
                    document[name] = [*value]
                case _:
                    document[name] = value
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form that `to_dict` writes: ``docs/request-json.md``.

        Parameters
        ----------
        document : mapping
            With ``apiVersion`` and ``kind``. Quantities may be text.

        Returns
        -------
        Request

        Raises
        ------
        FormatError
            The document is no Request; the message begins with the path.
        """
        try:
            return cls(**_arguments_from(document))
        except InvalidRequestError as error:
            raise FormatError(f"Request: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON form, as hexadecimal digits."""
        from topoalloc._canonical import digest_of  # noqa: PLC0415

        return digest_of(self.to_dict())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value."""
        return (_request, (self.fields(),))

    def __repr__(self) -> str:
        """Show the arguments, defaults left out."""
        shown = (
            f"{name}={dict(value) if isinstance(value, Mapping) else value!r}"
            for name, value in self._arguments().items()
        )
        return f"Request({', '.join(shown)})"


def _request(fields: _Row) -> Request:
    self = Request.__new__(Request)
    _core.Request.__init__(self, fields)
    return self


def _device_request(
    count: int, where: _Row, share: _Row, partition: str, eligible: _Row | None
) -> DeviceRequest:
    return DeviceRequest._from_row((count, where, dict(share), partition, eligible))


def _amounts(name: str, amounts: object) -> dict[str, int]:
    if not isinstance(amounts, Mapping):
        raise InvalidRequestError(f"{name}: {shown(amounts)}, want a mapping")
    return {
        check_text(name, key): parse_quantity(value, name=f"{name}[{key!r}]")
        for key, value in amounts.items()
    }


def _hugepages(hugepages: object) -> dict[int, int]:
    if not isinstance(hugepages, Mapping):
        raise InvalidRequestError(f"hugepages: {shown(hugepages)}, want a mapping")
    found: dict[int, int] = {}
    for size, amount in hugepages.items():
        bytes_per_page = parse_quantity(size, name="hugepages: page size")
        if bytes_per_page in found:
            raise InvalidRequestError(
                f"hugepages: {shown(size)} twice, want each size once"
            )
        total = parse_quantity(amount, name=f"hugepages[{shown(size)}]")
        # Nothing of a size is as not asking for it, and equal Requests are equal.
        found[bytes_per_page] = total
    return {size: total for size, total in sorted(found.items()) if total}


def _device_set(name: str, devices: object) -> tuple[str, ...]:
    return tuple(sorted({*device_names(name, devices)}))


def _condition_rows(where: object) -> _Row:
    if not isinstance(where, Mapping):
        raise InvalidRequestError(f"where: {shown(where)}, want a mapping")
    return tuple(
        (name, *_condition_row(f"where[{name!r}]", where[name]))
        for name in sorted(check_text("where", name) for name in where)
    )


def _condition_row(name: str, condition: Condition) -> tuple[str, _Row]:
    match condition:
        case AtLeast(value):
            return "at_least", (_bound(name, value),)
        case AtMost(value):
            return "at_most", (_bound(name, value),)
        case OneOf(values):
            return "one_of", values
        case Not(value):
            return "not_equal", (value,)
        case _:
            return "equal", (check_value(name, condition),)


def _bound(name: str, value: int | str) -> int:
    # A bound may be negative; a quantity in text may not.
    if isinstance(value, int) and not isinstance(value, bool):
        return int(check_value(name, value))
    return parse_quantity(value, name=name)


def _condition(op: str, values: Sequence[Any]) -> Condition:
    match op:
        case "at_least":
            return AtLeast(values[0])
        case "at_most":
            return AtMost(values[0])
        case "one_of":
            return OneOf(*values)
        case "not_equal":
            return Not(values[0])
        case _:
            value: Condition = values[0]
            return value


def _device_rows(devices: object) -> _Row:
    if not isinstance(devices, Mapping):
        raise InvalidRequestError(
            f"devices: {shown(devices)}, want a mapping of class to count"
        )
    rows = []
    for name in sorted(check_text("devices", key) for key in devices):
        wanted = devices[name]
        if not isinstance(wanted, DeviceRequest):
            wanted = DeviceRequest(check_count(f"devices[{name!r}]", wanted, 1))
        count, where, share, partition, eligible = wanted._row
        rows.append((name, count, where, dict(share), partition, eligible))
    return tuple(rows)


def _check_keep(keep: Iterable[str], devices: _Row) -> None:
    asked = ["pus", *(name for name, *_ in devices)]
    for name in keep:
        if name not in asked:
            raise InvalidRequestError(
                f"keep: {name!r}, which the Request does not ask for, want one of "
                f"{', '.join(asked)}"
            )


def _constraint_rows(name: str, constraints: object) -> _Row:
    if isinstance(constraints, Align | Pair | Link | Same | Distinct | Near):
        constraints = (constraints,)
    if not isinstance(constraints, Iterable):
        raise InvalidRequestError(f"{name}: {shown(constraints)}, want an iterable")
    rows = []
    for i, constraint in enumerate(constraints):
        if not isinstance(constraint, Align | Pair | Link | Same | Distinct | Near):
            raise InvalidRequestError(
                f"{name}[{i}]: {shown(constraint)}, want a constraint"
            )
        rows.append(constraint.row)
    return tuple(rows)


def _device_request_to_dict(wanted: DeviceRequest) -> dict[str, Any]:
    document: dict[str, Any] = {"count": wanted.count}
    if wanted.where:
        document["where"] = {
            name: {_OP_KEYS[op]: [*values] if op == "one_of" else values[0]}
            for name, op, values in wanted._row[1]
        }
    if wanted.share:
        document["share"] = dict(wanted.share)
    if wanted.partition:
        document["partition"] = wanted.partition
    if wanted.eligible is not None:
        document["eligible"] = [*wanted.eligible]
    return document


_OP_KEYS = {
    "equal": "equal",
    "not_equal": "not",
    "at_least": "at_least",
    "at_most": "at_most",
    "one_of": "one_of",
}
_CONDITIONS: dict[str, Any] = {
    "equal": lambda value: value,
    "not": Not,
    "at_least": AtLeast,
    "at_most": AtMost,
    "one_of": lambda values: OneOf(*values),
}


def _condition_from_dict(path: str, document: object) -> Condition:
    if not isinstance(document, Mapping):
        return check_value(path, document)
    if len(document) != 1 or next(iter(document)) not in _CONDITIONS:
        raise InvalidRequestError(
            f"{path}: {shown(dict(document))}, want one of {', '.join(_CONDITIONS)}"
        )
    ((op, value),) = document.items()
    if (op == "one_of") != isinstance(value, list):
        raise InvalidRequestError(
            f"{path}.{op}: {shown(value)}, want a list for one_of alone"
        )
    condition: Condition = _CONDITIONS[op](value)
    return condition


def _device_request_from_dict(path: str, document: object) -> int | DeviceRequest:
    if not isinstance(document, Mapping):
        return check_count(path, document, 1)
    allowed = ("count", "where", "share", "partition", "eligible")
    _refuse_unknown(path, document, allowed)
    if "count" not in document:
        raise InvalidRequestError(f"{path}.count: absent, want an int")
    where = document.get("where", {})
    if not isinstance(where, Mapping):
        raise InvalidRequestError(f"{path}.where: {shown(where)}, want an object")
    try:
        return DeviceRequest(
            document["count"],
            where={
                name: _condition_from_dict(
                    f"where.{check_text('where, an attribute', name)}", condition
                )
                for name, condition in where.items()
            },
            share=document.get("share"),
            partition=document.get("partition"),
            eligible=document.get("eligible"),
        )
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path}.{error}") from None


def _refuse_unknown(
    path: str, document: Mapping[str, Any], allowed: Iterable[str]
) -> None:
    for key in document:
        if key not in allowed:
            raise InvalidRequestError(
                f"{path}: {shown(key)}, want one of {', '.join(allowed)}"
            )


_KEYS = (
    "apiVersion",
    "kind",
    "cores",
    "pus",
    "whole_cores",
    "memory",
    "memory_kind",
    "hugepages",
    "devices",
    "exclude",
    "keep",
    "require",
    "prefer",
)


def check_header(document: object, kind: str) -> Mapping[str, Any]:
    """Return the document when its apiVersion and kind are right."""
    if not isinstance(document, Mapping):
        raise FormatError(f"{kind}: {type(document).__name__}, want an object")
    if document.get("apiVersion") != API_VERSION:
        raise FormatError(
            f"{kind}.apiVersion: {shown(document.get('apiVersion'))}, "
            f"want {API_VERSION!r}"
        )
    if document.get("kind") != kind:
        raise FormatError(f"{kind}.kind: {shown(document.get('kind'))}, want {kind!r}")
    return document


def _arguments_from(document: object) -> dict[str, Any]:
    arguments = dict(check_header(document, "Request"))
    _refuse_unknown("document", arguments, _KEYS)
    del arguments["apiVersion"], arguments["kind"]
    if "memory_kind" in arguments:
        arguments["kind"] = arguments.pop("memory_kind")
    for name in ("require", "prefer"):
        entries = arguments.get(name, [])
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            raise InvalidRequestError(f"{name}: {shown(entries)}, want a list")
        arguments[name] = [
            constraint_from_dict(f"{name}[{i}]", entry)
            for i, entry in enumerate(entries)
        ]
    devices = arguments.get("devices", {})
    if not isinstance(devices, Mapping):
        raise InvalidRequestError(f"devices: {shown(devices)}, want an object")
    arguments["devices"] = {
        name: _device_request_from_dict(
            f"devices.{check_text('devices, a class', name)}", wanted
        )
        for name, wanted in devices.items()
    }
    return arguments


_core.register_request(
    request=Request,
    device_request=DeviceRequest,
    constraints=(Align, Pair, Link, Same, Distinct, Near),
)
