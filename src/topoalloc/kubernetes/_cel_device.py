# SPDX-License-Identifier: Apache-2.0
"""What a selector can see of a device."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from topoalloc._errors import InvalidRequestError
from topoalloc.kubernetes._cel_rewrite import ATTRIBUTES, CAPACITY
from topoalloc.kubernetes._cel_types import pack_quantity, pack_semver, parse_quantity

__all__ = ["Device", "Version"]

_NAME = re.compile(r"(?:([^/]{1,63})/)?([A-Za-z_][A-Za-z0-9_]{0,31})")
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version, as the attribute of a device.

    Parameters
    ----------
    text : str
        As semver.org writes it: ``1.2.3-rc.1``.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what is no version."""
        try:
            pack_semver(self.text)
        except (TypeError, ValueError) as error:
            message = f"Version: {error}, want major.minor.patch"
            raise InvalidRequestError(message) from None


Scalar = bool | int | str | Version
Value = Scalar | list[bool] | list[int] | list[str] | list[Version]


@dataclass(frozen=True)
class Device:
    """What a selector can see of a device.

    Parameters
    ----------
    driver : str
        Name of the driver, and the domain of each name that has none.
    attributes : mapping of str to bool, int, str, Version or list, optional
        By ``domain/id``, or by ``id`` in the driver's domain.
    capacities : mapping of str to str, int or Fraction, optional
        Quantities, by name as attributes are: ``"80Gi"``, or an exact amount.
    allow_multiple_allocations : bool, optional
        Whether the device can be shared.
    """

    driver: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    capacities: Mapping[str, Any] = field(default_factory=dict)
    allow_multiple_allocations: bool = False
    _maps: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(
        init=False, repr=False, compare=False
    )
    # An attribute with a list, for versions of Kubernetes that know none.
    _list_attribute: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the names by domain; raises InvalidRequestError on bad values."""
        maps = {
            ATTRIBUTES: _by_domain(self.driver, self.attributes, "attributes", _pack),
            CAPACITY: _by_domain(self.driver, self.capacities, "capacities", _amount),
        }
        object.__setattr__(self, "_maps", MappingProxyType(maps))
        lists = (
            name
            for name, value in self.attributes.items()
            if isinstance(value, (list, tuple))
        )
        object.__setattr__(self, "_list_attribute", next(lists, None))


def _by_domain(
    driver: str, values: Mapping[str, Any], what: str, pack: Callable[[Any], Any]
) -> dict[str, dict[str, Any]]:
    domains: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        found = _NAME.fullmatch(name)
        if found is None:
            message = f"{what}[{name!r}]: not a name, want domain/id or id"
            raise InvalidRequestError(message)
        try:
            packed = pack(value)
        except (TypeError, ValueError) as error:
            message = f"{what}[{name!r}]: {error}"
            raise InvalidRequestError(message) from None
        ids = domains.setdefault(driver if found[1] is None else found[1], {})
        if found[2] in ids:
            message = f"{what}[{name!r}]: given twice, want it with or without domain"
            raise InvalidRequestError(message)
        ids[found[2]] = packed
    return domains


def _pack(value: object) -> object:
    """Return an attribute's value as expressions see it."""
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (list, tuple)) for item in value):
            message = "a list of lists, want a list of scalars"
            raise TypeError(message)
        return [_pack(item) for item in value]
    if isinstance(value, Version):
        return pack_semver(value.text)
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    message = f"{value!r:.80}, want bool, int of 64 bits, str, Version or a list of one"
    raise TypeError(message)


def _amount(value: object) -> bytes:
    if isinstance(value, str):
        return parse_quantity(value)
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return pack_quantity(value)
    message = f"{value!r:.80}, want a quantity as str, int or Fraction"
    raise TypeError(message)
