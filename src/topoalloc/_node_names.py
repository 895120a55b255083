# SPDX-License-Identifier: Apache-2.0
"""Names of nodes, many in one text: ``"n[001-144]"``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from topoalloc._errors import FormatError
from topoalloc._gang import plain_text
from topoalloc._quantity import shown

__all__ = ["is_plain", "names_in", "ranges_of"]

_RANGE: Final = re.compile(
    r"(?P<stem>[^\[\]]*)\[(?P<first>[0-9]{1,9})-(?P<last>[0-9]{1,9})\](?P<rest>[^\[\]]*)"
)
_NUMBERED: Final = re.compile(r"(?P<stem>[^\[\]]*?)(?P<digits>[0-9]{1,9})")


def names_in(path: str, text: str) -> Iterator[str]:
    """Yield the names that ``"n[0001-0640]"`` stands for; any other text is a name.

    Examples
    --------
    >>> [*names_in("names", "n[08-10]-a")]
    ['n08-a', 'n09-a', 'n10-a']
    """
    plain_text(path, text)
    if "[" not in text and "]" not in text:
        if not text:
            raise FormatError(f"{path}: '', want a name")
        yield text
        return
    match = _RANGE.fullmatch(text)
    if match is None:
        raise FormatError(f"{path}: {shown(text)}, want a name or one range n[01-18]")
    first, last = match["first"], match["last"]
    # With other widths it could be read in two ways.
    is_padded = first.startswith("0") or last.startswith("0")
    if int(last) < int(first) or (is_padded and len(first) != len(last)):
        raise FormatError(
            f"{path}: {shown(text)}, want a range that ends after it begins, both "
            "numbers of one width where one has a leading 0"
        )
    for number in range(int(first), int(last) + 1):
        yield f"{match['stem']}{number:0{len(first)}}{match['rest']}"


def ranges_of(names: Iterable[str]) -> list[str]:
    """Return names with runs of numbers as ranges: the inverse of `names_in`.

    Examples
    --------
    >>> ranges_of(["n08", "n09", "n10", "m", "n12"])
    ['n[08-10]', 'm', 'n12']
    """
    found: list[tuple[str, str, str]] = []  # Stem, first and last number.
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            found.append((name, "", ""))
            continue
        stem, digits = match["stem"], match["digits"]
        if found and found[-1][2] and found[-1][0] == stem:
            _, first, last = found[-1]
            if len(last) == len(digits) and int(last) + 1 == int(digits):
                found[-1] = (stem, first, digits)
                continue
        found.append((stem, digits, digits))
    return [
        f"{stem}{first}" if first == last else f"{stem}[{first}-{last}]"
        for stem, first, last in found
    ]


def is_plain(name: str) -> bool:
    """Say whether a name cannot be taken for a range."""
    return "[" not in name and "]" not in name
