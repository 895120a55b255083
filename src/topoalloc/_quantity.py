# SPDX-License-Identifier: Apache-2.0
"""Quantities in Kubernetes' grammar, read into integer base units and printed back."""

from __future__ import annotations

import re
from typing import Final

from topoalloc._errors import InvalidRequestError, TopoallocError

__all__ = [
    "MAX_AMOUNT",
    "MILLI",
    "counted",
    "format_quantity",
    "parse_quantity",
    "shown",
]

MAX_AMOUNT: Final = 2**63 - 1
"""Largest amount of anything: what Kubernetes itself can hold."""

MILLI: Final = 1000
"""``scale`` of an amount counted in thousandths, as Kubernetes counts CPU."""

_BINARY: Final = {
    f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)
}
_WHOLE_DECIMAL: Final = {
    letter: 1000**power for power, letter in enumerate("kMGTPE", start=1)
}
# A suffix multiplies by the first and divides by the second: integers alone, because
# fractions cost more to import and to use than all the rest of a Request.
_SUFFIXES: Final = {
    "n": (1, 10**9),
    "u": (1, 10**6),
    "m": (1, 1000),
    "": (1, 1),
    **{
        suffix: (unit, 1)
        for units in (_WHOLE_DECIMAL, _BINARY)
        for suffix, unit in units.items()
    },
}
# The length is bounded so that a hostile exponent or fraction cannot cost time.
_PATTERN: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<number>(?=\.?[0-9])(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[A-Za-z]{0,4}))"
)
_MAX_LENGTH: Final = 64
_MAX_SHOWN_BITS: Final = 256
_MAX_SHOWN: Final = 400


def parse_quantity(
    value: int | str,
    *,
    name: str = "quantity",
    scale: int = 1,
    error: type[TopoallocError] = InvalidRequestError,
) -> int:
    """Read a quantity into an integer number of base units.

    Parameters
    ----------
    value : int or str
        An integer counts whole units. A string follows Kubernetes' grammar:
        ``"64Gi"``, ``"80G"``, ``"100m"``, ``"1.5Ti"``, ``"1e3"``.
    name : str, default "quantity"
        What messages call the value.
    scale : int, default 1
        Base units in one unit: 1 for bytes and bit/s, `MILLI` for CPU.
    error : type, default InvalidRequestError
        The class to raise; readers of files pass `FormatError`.

    Returns
    -------
    int
        ``value * scale``, from 0 to `MAX_AMOUNT`.

    Raises
    ------
    InvalidRequestError
        Or ``error``: the text is no quantity, is negative or too large, or is not a
        whole number of base units. Kubernetes rounds those up; a request that means
        what it says needs no rounding.

    Examples
    --------
    >>> parse_quantity("64Gi")
    68719476736
    >>> parse_quantity("100m", scale=MILLI)
    100
    """
    if isinstance(value, int) and not isinstance(value, bool):
        amount, divisor = value, 1
    elif isinstance(value, str):
        amount, divisor = _parse_text(value, name, error)
    else:
        raise error(
            f"{name}: {shown(value)}, want an integer or a quantity such as '64Gi'"
        )
    amount *= scale
    if amount < 0:
        raise error(f"{name}: {_shown(value)}, want at least 0")
    if amount > MAX_AMOUNT * divisor:
        raise error(f"{name}: {_shown(value)}, want at most {MAX_AMOUNT}")
    if amount % divisor:
        unit = "units" if scale == 1 else f"1/{scale} units"
        raise error(f"{name}: {_shown(value)}, want a whole number of {unit}")
    return amount // divisor


def format_quantity(amount: int) -> str:
    """Print an amount in the fewest characters that are exact.

    Parameters
    ----------
    amount : int
        Base units, at least 0.

    Returns
    -------
    str
        What `parse_quantity` reads back as the same amount; of texts of one length
        plain digits come first, then binary suffixes.

    Examples
    --------
    >>> format_quantity(80 * 1024**3), format_quantity(400_000_000_000)
    ('80Gi', '400G')
    """
    units = (("", 1), *_BINARY.items(), *_WHOLE_DECIMAL.items())
    exact = [
        f"{amount // unit}{suffix}" for suffix, unit in units if amount % unit == 0
    ]
    return min(exact, key=len) if amount else "0"


def _parse_text(text: str, name: str, error: type[TopoallocError]) -> tuple[int, int]:
    """Return a number and what it is divided by."""
    match = _PATTERN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise error(
            f"{name}: {_shown(text)}, want a quantity such as 64Gi, 80G or 100m"
        )
    part = match["part"] or ""
    number = int(match["sign"] + match["whole"] + part)
    divisor = 10 ** len(part)
    if match["exponent"] is not None:
        exponent = int(match["exponent"])
        return number * 10 ** max(exponent, 0), divisor * 10 ** max(-exponent, 0)
    suffix = match["suffix"]
    if suffix not in _SUFFIXES:
        raise error(f"{name}: {_shown(text)}, want {_suggest(match['number'], suffix)}")
    multiplier, unit_divisor = _SUFFIXES[suffix]
    return number * multiplier, divisor * unit_divisor


def _suggest(number: str, suffix: str) -> str:
    # "GB", "gb", "GiB", "g" and "K" are what people write; both readings are offered,
    # because guessing between them would be wrong by 7 % and more.
    letter = suffix[0].upper()
    if letter in "KMGTPE" and suffix[1:].lower() in {"", "b", "i", "ib"}:
        decimal = "k" if letter == "K" else letter
        return f"{number}{decimal} or {number}{letter}i"
    return f"one of the suffixes {', '.join(s for s in _SUFFIXES if s)}, or none"


def counted(count: int, noun: str) -> str:
    """Say how many: ``"1 step"``, ``"2 steps"``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shown(value: object) -> str:
    """Say a value in a message, whatever it is: no error comes of it.

    Parameters
    ----------
    value : object
        What was given.

    Returns
    -------
    str
        Its repr where that is short; the type of what has none.

    Examples
    --------
    >>> shown("64GB"), shown(10**5000), shown([10**5000])
    ("'64GB'", 'a huge integer', 'a list')
    """
    if isinstance(value, int) and value.bit_length() >= _MAX_SHOWN_BITS:
        # str() of a huge int is itself an error; its size is all that matters here.
        return "a huge integer"
    try:
        text = repr(value)
    except Exception:  # A huge int inside, lists too deep, a __repr__ of the caller's.
        return f"a {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _shown(value: int | str) -> str:
    if isinstance(value, str) and len(value) > _MAX_LENGTH:
        value = value[:_MAX_LENGTH] + "..."
    return shown(value)
