# SPDX-License-Identifier: Apache-2.0
"""Read values of Kubernetes' objects; every error begins with the path of the value.

A field that is null is a field that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from topoalloc._errors import FormatError
from topoalloc.kubernetes._cel_types import parse_quantity, quantity_nanos

__all__ = [
    "ObjectError",
    "amounts",
    "below",
    "boolean",
    "chosen",
    "dns_label",
    "dns_subdomain",
    "driver_name",
    "fail",
    "fields",
    "fully_qualified",
    "integer",
    "label_key",
    "label_value",
    "listed",
    "mapping",
    "named",
    "once",
    "qualified",
    "quantity",
    "required",
    "shown",
    "text",
]

E = TypeVar("E", bound=Enum)
Check = Callable[[str], str | None]

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_MAX_LABEL, _MAX_SUBDOMAIN, _MAX_DRIVER, _MAX_ID = 63, 253, 63, 32
_MAX_KEY, _MAX_PATH = 1024, 100
_MAX_BITS = 128


class ObjectError(FormatError):
    """An object breaks a rule of its API; the message begins with the path."""


def fail(path: str, what: str) -> ObjectError:
    """Return the error of a place."""
    return ObjectError(f"{path or 'object'}: {what}")


def below(path: str, name: str) -> str:
    """Return the path of a field."""
    name = ascii(name)[1:-1][:_MAX_PATH]
    return f"{path}.{name}" if path else name


def shown(value: object) -> str:
    """Write a value on one line, shortened."""
    written = repr(type(value).__name__)
    if isinstance(value, str):
        written = ascii(value)
    elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
        written = "a number of many digits"
    elif isinstance(value, (int, float)):
        written = repr(value)
    return written if len(written) <= 80 else written[:77] + "..."  # noqa: PLR2004


def mapping(value: object, path: str) -> dict[str, Any]:
    """Read an object or a map, without what is null."""
    if not isinstance(value, Mapping):
        raise fail(path, f"{shown(value)}, want an object")
    for key in value:
        if not isinstance(key, str) or len(key) > _MAX_KEY:
            raise fail(path, f"key {shown(key)}, want text")
    return {key: inner for key, inner in value.items() if inner is not None}


def fields(value: object, path: str, names: Collection[str]) -> dict[str, Any]:
    """Read an object whose fields have these names."""
    found = mapping(value, path)
    for name in found:
        if name not in names:
            raise fail(below(path, name), "not a field that is known here")
    return found


def required(found: Mapping[str, Any], name: str, path: str) -> Any:  # noqa: ANN401
    """Return a field that must be there."""
    if name not in found:
        raise fail(below(path, name), "missing")
    return found[name]


def listed(value: object, path: str, most: int) -> list[tuple[Any, str]]:
    """Read a list: each item with its path."""
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray)):
        raise fail(path, f"{shown(value)}, want a list")
    if len(value) > most:
        raise fail(path, f"{len(value)} items, want at most {most}")
    return [(item, f"{path}[{index}]") for index, item in enumerate(value)]


def named(value: object, path: str, most: int) -> list[tuple[str, Any, str]]:
    """Read a map: each key with its value and path."""
    found = {} if value is None else mapping(value, path)
    if len(found) > most:
        raise fail(path, f"{len(found)} entries, want at most {most}")
    return [
        (key, inner, f"{path}[{ascii(key)[1:-1][:_MAX_PATH]}]")
        for key, inner in found.items()
    ]


def once(names: Sequence[str], path: str, field: str = "") -> None:
    """Refuse a name that an earlier item has."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise fail(f"{path}[{index}]{field}", f"{shown(name)} is given twice")
        seen.add(name)


def text(value: object, path: str, check: Check | None = None) -> str:
    """Read a text; `check` says what it wants, or None where it is content."""
    if not isinstance(value, str):
        raise fail(path, f"{shown(value)}, want text")
    wants = check(value) if check else None
    if wants is not None:
        raise fail(path, f"{shown(value)}, want {wants}")
    return value


def boolean(value: object, path: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise fail(path, f"{shown(value)}, want true or false")
    return value


def integer(value: object, path: str, least: int = -(2**63)) -> int:
    """Read an integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise fail(path, f"{shown(value)}, want an integer")
    if not least <= value < 2**63:
        bound = f"at least {least}" if value < least else "less than 2^63"
        raise fail(path, f"{shown(value)}, want {bound}")
    return value


def chosen(value: object, path: str, kind: type[E]) -> E:
    """Read a word of a list of words."""
    for member in kind:
        if value == member.value:
            return member
    words = ", ".join(str(member.value) for member in kind)
    raise fail(path, f"{shown(value)}, want one of {words}")


def quantity(value: object, path: str) -> int:
    """Read a resource.Quantity into billionths."""
    written = value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # JSON may give it as a number; a finite one is written as a quantity is.
        small = not isinstance(value, int) or value.bit_length() <= _MAX_BITS
        written = repr(value) if small else ""
    if not isinstance(written, str):
        raise fail(path, f"{shown(value)}, want a quantity such as 80Gi or 100m")
    try:
        return quantity_nanos(parse_quantity(written))
    except ValueError:
        message = f"{shown(value)}, want a quantity such as 80Gi or 100m"
        raise fail(path, message) from None


def amounts(value: object, path: str, most: int, check: Check) -> dict[str, int]:
    """Read a map from names to quantities."""
    found: dict[str, int] = {}
    for name, inner, where in named(value, path, most):
        text(name, where, check)
        found[name] = quantity(inner, where)
    return found


def dns_label(value: str) -> str | None:
    """Want what Kubernetes calls an RFC 1123 label."""
    if len(value) <= _MAX_LABEL and _LABEL.fullmatch(value):
        return None
    return f"at most {_MAX_LABEL} of a-z, 0-9 and -, the ends no -"


def dns_subdomain(value: str) -> str | None:
    """Want what Kubernetes calls an RFC 1123 subdomain."""
    if len(value) <= _MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(value):
        return None
    return f"at most {_MAX_SUBDOMAIN} of a-z, 0-9, - and ., each part's ends no -"


def driver_name(value: str) -> str | None:
    """Want the name of a driver, which is also a domain of attributes."""
    if len(value) <= _MAX_DRIVER and _SUBDOMAIN.fullmatch(value.lower()):
        return None
    return f"a domain of at most {_MAX_DRIVER} characters"


def qualified(value: str) -> str | None:
    """Want `id` or `domain/id`."""
    domain, slash, name = value.rpartition("/")
    if (
        len(name) <= _MAX_ID
        and _IDENTIFIER.fullmatch(name)
        and (not slash or driver_name(domain) is None)
    ):
        return None
    return (
        f"domain/id or id: a domain of at most {_MAX_DRIVER} characters, "
        f"a C identifier of at most {_MAX_ID}"
    )


def fully_qualified(value: str) -> str | None:
    """Want `domain/id`."""
    return "domain/id" if "/" not in value else qualified(value)


def label_key(value: str) -> str | None:
    """Want the key of a label."""
    prefix, slash, name = value.rpartition("/")
    if (
        len(name) <= _MAX_LABEL
        and _LABEL_NAME.fullmatch(name)
        and (not slash or dns_subdomain(prefix) is None)
    ):
        return None
    return "the key of a label"


def label_value(value: str) -> str | None:
    """Want the value of a label, which may be empty."""
    if not value or (len(value) <= _MAX_LABEL and _LABEL_NAME.fullmatch(value)):
        return None
    return f"at most {_MAX_LABEL} of letters, digits, -, _ and ."
