# SPDX-License-Identifier: Apache-2.0
"""Constraints and conditions: what a Request says beyond amounts, as data."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from topoalloc import _core
from topoalloc._errors import InvalidRequestError
from topoalloc._quantity import shown

if TYPE_CHECKING:
    from topoalloc._machine import Device, Level

__all__ = [
    "Align",
    "AtLeast",
    "AtMost",
    "Condition",
    "Constraint",
    "Distinct",
    "Link",
    "Near",
    "Not",
    "OneOf",
    "Pair",
    "Same",
    "Value",
]

Value: TypeAlias = bool | int | str
"""What an attribute of a device holds."""

_MAX_INT = 2**63 - 1
_MAX_COUNT = 2**32 - 1
_MAX_STEPS = 2**64 - 1
_MAX_PID = 2**31 - 1
_RATIO_TERMS = 2


def check_value(name: str, value: object) -> Value:
    """Return a value that an attribute can have; quantities stay text here."""
    if not isinstance(value, bool | int | str):
        raise InvalidRequestError(
            f"{name}: {type(value).__name__}, want a bool, int or str"
        )
    if isinstance(value, str):
        return _encodable(name, value)
    if not -_MAX_INT - 1 <= value <= _MAX_INT:
        raise InvalidRequestError(f"{name}: {shown(value)}, want an int of 64 bits")
    return value


def check_text(name: str, value: object) -> str:
    """Return a non-empty str, or say what is wrong with it."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name}: {type(value).__name__}, want a str")
    if not value:
        raise InvalidRequestError(f"{name}: '', want a name")
    return _encodable(name, value)


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{name}: {shown(value)}, want text without lone surrogates"
        ) from None
    return value


def _level_name(within: str | Level) -> str:
    # A Level is an enumerator whose text is its name.
    if not isinstance(within, str | enum.Enum):
        raise InvalidRequestError(
            f"within: {type(within).__name__}, want a Level or its name"
        )
    return _core.level_name(_encodable("within", str(within)))


def check_count(name: str, value: object, least: int = 0) -> int:
    """Return an int of at least `least` that fits 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{name}: {shown(value)}, want an int")
    if not least <= value <= _MAX_COUNT:
        raise InvalidRequestError(
            f"{name}: {shown(value)}, want {least} to {_MAX_COUNT}"
        )
    return value


def check_steps(value: object) -> int:
    """Return a step limit."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= _MAX_STEPS
    ):
        raise InvalidRequestError(
            f"max_steps: {shown(value)}, want an int of 0 to 2^64 - 1"
        )
    return value


def check_pid(value: object) -> int:
    """Return the number of a process, or 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= _MAX_PID
    ):
        raise InvalidRequestError(
            f"pid: {shown(value)}, want the number of a process, or 0"
        )
    return value


def _items(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Iterable) else ()


def check_texts(name: str, values: object) -> tuple[str, ...]:
    """Return the texts of a str or an iterable of them, in order."""
    if isinstance(values, str):
        values = (values,)
    if not isinstance(values, Iterable):
        raise InvalidRequestError(
            f"{name}: {type(values).__name__}, want an iterable of str"
        )
    return tuple(check_text(name, value) for value in values)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The attribute is an integer of at least this; a quantity such as ``"80Gi"`` too.

    Examples
    --------
    >>> AtLeast("80Gi").value
    '80Gi'
    """

    value: int | str


@dataclass(frozen=True, slots=True)
class AtMost:
    """The attribute is an integer of at most this; a quantity too."""

    value: int | str


@dataclass(frozen=True, slots=True, init=False)
class OneOf:
    """The attribute is one of these.

    Examples
    --------
    >>> OneOf("A100", "H100")
    OneOf(values=('A100', 'H100'))
    """

    values: tuple[Value, ...]

    def __init__(self, *values: Value) -> None:
        if not values:
            raise InvalidRequestError("OneOf: no value, want at least one")
        checked = tuple(check_value("OneOf", value) for value in values)
        object.__setattr__(self, "values", checked)


@dataclass(frozen=True, slots=True)
class Not:
    """The attribute is there and is not this."""

    value: Value

    def __post_init__(self) -> None:
        """Check the value."""
        check_value("Not", self.value)


Condition: TypeAlias = Value | AtLeast | AtMost | OneOf | Not
"""What ``where`` asks of one attribute; a plain value asks for equality."""


@dataclass(frozen=True, slots=True)
class Align:
    """All that is given, or what `of` names, lies in one domain.

    Parameters
    ----------
    level : str
        ``"l3"``, ``"numa"`` or ``"package"``.
    of : tuple of str, optional
        Any of ``"pus"``, ``"memory"`` and device classes; by default all that is asked.

    Examples
    --------
    >>> Align("numa", of=("pus", "gpu"))
    Align(level='numa', of=('gpu', 'pus'))
    """

    kind: ClassVar = "Align"
    level: str
    of: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring the fields to one form."""
        check_text("Align.level", self.level)
        object.__setattr__(self, "level", self.level.lower())
        of = tuple(sorted({*check_texts("Align.of", self.of)}))
        object.__setattr__(self, "of", of)

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.level, self.of)


@dataclass(frozen=True, slots=True)
class Pair:
    """The chosen devices of two classes can be matched, each match near enough.

    Parameters
    ----------
    a, b : str
        Device classes.
    within : str or Level
        The largest level of a match: ``"switch"``, ``"bridges"``, ``"root"``,
        ``"numa"``, ``"package"``, ``"machine"``, or nvidia-smi's ``"PIX"``, ``"PXB"``,
        ``"PHB"``, ``"NODE"``, ``"SYS"``.
    ratio : tuple of int, default (1, 1)
        How many of `a` go with how many of `b`; one of the two is 1.

    Examples
    --------
    >>> Pair("gpu", "nic", within="PXB")
    Pair(a='gpu', b='nic', within='bridges', ratio=(1, 1))
    """

    kind: ClassVar = "Pair"
    a: str
    b: str
    within: str | Level = "machine"
    ratio: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        """Bring the fields to one form."""
        check_text("Pair.a", self.a)
        check_text("Pair.b", self.b)
        object.__setattr__(self, "within", _level_name(self.within))
        ratio = _items(self.ratio)
        if len(ratio) != _RATIO_TERMS:
            raise InvalidRequestError(
                f"Pair.ratio: {shown(self.ratio)}, want two numbers such as (1, 2)"
            )
        for part in ratio:
            check_count("Pair.ratio", part, 1)
        object.__setattr__(self, "ratio", ratio)

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.a, self.b, self.within, *self.ratio)


@dataclass(frozen=True, slots=True)
class Link:
    """The chosen devices of a class are joined by links (NVLink, XGMI).

    Partitions have no links: several never meet it.

    Parameters
    ----------
    device_class : str
        The class.
    mode : str, default "clique"
        ``"clique"``: every two; ``"connected"``: all, through chosen ones.
    min_mb_s : int, default 1
        The least link that counts, in MB/s (10^6 bytes).

    Examples
    --------
    >>> Link("gpu", min_mb_s=100_000).mode
    'clique'
    """

    kind: ClassVar = "Link"
    device_class: str
    mode: str = "clique"
    min_mb_s: int = 1

    def __post_init__(self) -> None:
        """Check the fields."""
        check_text("Link.device_class", self.device_class)
        check_text("Link.mode", self.mode)
        value = self.min_mb_s
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidRequestError(f"Link.min_mb_s: {shown(value)}, want an int")
        if not 0 <= value <= _MAX_INT:
            raise InvalidRequestError(
                f"Link.min_mb_s: {shown(value)}, want 0 to {_MAX_INT}"
            )

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.device_class, self.mode, self.min_mb_s)


@dataclass(frozen=True, slots=True)
class Same:
    """The chosen devices of some classes agree on an attribute.

    Parameters
    ----------
    attribute : str
        A device without it fails; one value in common suffices for lists.
    of : tuple of str
        The classes; a str is one class.

    Examples
    --------
    >>> Same("rail", of=("nic",))
    Same(attribute='rail', of=('nic',))
    """

    kind: ClassVar = "Same"
    attribute: str
    of: str | tuple[str, ...]

    def __post_init__(self) -> None:
        """Bring the fields to one form."""
        check_text("Same.attribute", self.attribute)
        object.__setattr__(
            self, "of", tuple(sorted({*check_texts("Same.of", self.of)}))
        )

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.attribute, self.of)


@dataclass(frozen=True, slots=True)
class Distinct:
    """The chosen devices of some classes differ pairwise in an attribute.

    Parameters
    ----------
    attribute : str
        A device without it fails; no value may be in two of them.
    of : tuple of str
        The classes; a str is one class.

    Examples
    --------
    >>> Distinct("rail", of="nic").of
    ('nic',)
    """

    kind: ClassVar = "Distinct"
    attribute: str
    of: str | tuple[str, ...]

    def __post_init__(self) -> None:
        """Bring the fields to one form."""
        check_text("Distinct.attribute", self.attribute)
        of = tuple(sorted({*check_texts("Distinct.of", self.of)}))
        object.__setattr__(self, "of", of)

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.attribute, self.of)


@dataclass(frozen=True, slots=True)
class Near:
    """Everything given is within a level of devices that are not taken themselves.

    Parameters
    ----------
    devices : tuple of str
        Names, PCI addresses, uuids or Device objects; one alone needs no tuple.
    within : str or Level, default "numa"
        As in `Pair`; PUs and memory are never nearer than ``"numa"``.

    Examples
    --------
    >>> Near("gpu0", within="NODE")
    Near(devices=('gpu0',), within='numa')
    """

    kind: ClassVar = "Near"
    devices: str | Device | tuple[str | Device, ...]
    within: str | Level = "numa"

    def __post_init__(self) -> None:
        """Bring the fields to one form."""
        names = device_names("Near.devices", self.devices)
        object.__setattr__(self, "devices", tuple(sorted({*names})))
        object.__setattr__(self, "within", _level_name(self.within))

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (self.kind, self.devices, self.within)


Constraint: TypeAlias = Align | Pair | Link | Same | Distinct | Near
"""An entry of ``require`` or ``prefer``."""


def device_names(name: str, devices: object) -> tuple[str, ...]:
    """Return the keys of devices given by key or as Device objects."""
    if isinstance(devices, str) or not isinstance(devices, Iterable):
        devices = (devices,)
    keys = (getattr(device, "name", device) for device in devices)
    return tuple(check_text(name, key) for key in keys)


def constraint_from_row(row: tuple[Any, ...]) -> Constraint:
    """Make the constraint that the core's row says."""
    kind, *fields = row
    match kind:
        case "Align":
            return Align(fields[0], tuple(fields[1]))
        case "Pair":
            return Pair(fields[0], fields[1], fields[2], (fields[3], fields[4]))
        case "Link":
            return Link(*fields)
        case "Same":
            return Same(fields[0], tuple(fields[1]))
        case "Distinct":
            return Distinct(fields[0], tuple(fields[1]))
        case _:
            return Near(tuple(fields[0]), fields[1])


def constraint_to_dict(constraint: Constraint) -> dict[str, Any]:
    """Return the JSON form: ``{"align": {"level": "numa", "of": ["gpu"]}}``."""
    match constraint:
        case Align(level, of):
            body: dict[str, Any] = {"level": level} | ({"of": [*of]} if of else {})
        case Pair(a, b, within, ratio):
            body = {"a": a, "b": b, "within": within, "ratio": [*ratio]}
        case Link(device_class, mode, min_mb_s):
            body = {"class": device_class, "mode": mode, "min_mb_s": min_mb_s}
        case Same(attribute, of) | Distinct(attribute, of):
            body = {"attribute": attribute, "of": [*of]}
        case Near(devices, within):
            body = {"devices": [*device_names("devices", devices)], "within": within}
    return {constraint.kind.lower(): body}


_FIELDS: dict[str, tuple[Callable[..., Constraint], dict[str, str]]] = {
    "align": (Align, {"level": "level", "of": "of"}),
    "pair": (Pair, {"a": "a", "b": "b", "within": "within", "ratio": "ratio"}),
    "link": (
        Link,
        {"class": "device_class", "mode": "mode", "min_mb_s": "min_mb_s"},
    ),
    "same": (Same, {"attribute": "attribute", "of": "of"}),
    "distinct": (Distinct, {"attribute": "attribute", "of": "of"}),
    "near": (Near, {"devices": "devices", "within": "within"}),
}


_NEEDED = {
    "align": ("level",),
    "pair": ("a", "b"),
    "link": ("class",),
    "same": ("attribute", "of"),
    "distinct": ("attribute", "of"),
    "near": ("devices",),
}
"""Keys of each kind without a default."""


def constraint_from_dict(path: str, document: object) -> Constraint:
    """Read the JSON form; errors are InvalidRequestError and begin with the path."""
    if not isinstance(document, Mapping) or len(document) != 1:
        raise InvalidRequestError(
            f"{path}: not an object of one key, want a constraint"
        )
    ((kind, body),) = document.items()
    if kind not in _FIELDS:
        raise InvalidRequestError(
            f"{path}: {shown(kind)}, want one of {', '.join(_FIELDS)}"
        )
    if not isinstance(body, Mapping):
        raise InvalidRequestError(f"{path}.{kind}: {shown(body)}, want an object")
    cls, names = _FIELDS[kind]
    unknown = [key for key in body if key not in names]
    if unknown:
        raise InvalidRequestError(
            f"{path}.{kind}: {shown(unknown[0])}, want one of {', '.join(names)}"
        )
    arguments = {
        names[key]: tuple(value) if isinstance(value, list) else value
        for key, value in body.items()
    }
    missing = [key for key in _NEEDED[kind] if key not in body]
    if missing:
        raise InvalidRequestError(f"{path}.{kind}.{missing[0]}: missing, want it given")
    try:
        return cls(**arguments)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path}.{kind}: {error}") from None
