# SPDX-License-Identifier: Apache-2.0
"""Sets of indices in the three text forms that hwloc, the kernel and taskset use.

A set is one Python integer, bit i for index i. hwloc's sets may be infinite ("12-"):
Python's negative integers, ones all the way up, are exactly these. Needs no libhwloc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from topoalloc._errors import InvalidRequestError
from topoalloc._quantity import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bitmap"]

# Kernels know at most 8192 CPUs. Far above it, and still only 128 KiB a set: without a
# limit "0-99999999999" would take all memory.
INDEX_LIMIT: Final = 1 << 20
# Digits that hold it: int() of a very long text is slow, then refused.
_INDEX_DIGITS: Final = 7

_RANGE: Final = re.compile(r"(\d+)(?:-(\d*))?", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_INFINITE: Final = "0xf...f"
# hwloc prints masks in words of 32 bits, and stores them in words of 64. An infinite
# set is printed in whole stored words: hwloc before 2.11 misreads half of one.
_WORD_BITS: Final = 32
_STORED_BITS: Final = 64


def _index(value: object) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value < INDEX_LIMIT
    ):
        msg = f"index: {shown(value)}, want 0 to {INDEX_LIMIT - 1}"
        raise InvalidRequestError(msg)
    return value


def _stripped(form: str, text: str) -> str:
    if not isinstance(text, str):
        msg = f"{form}: {type(text).__name__}, want a str"
        raise InvalidRequestError(msg)
    return text.strip()


def _require_bitmap(name: str, value: object) -> None:
    if not isinstance(value, Bitmap):
        msg = f"{name}: {type(value).__name__}, want a Bitmap"
        raise InvalidRequestError(msg)


def _hexadecimal(text: str, whole: str, form: str) -> int:
    if not _HEX.fullmatch(text) or len(text) * 4 > INDEX_LIMIT:
        msg = f"{form}: {whole[:80]!r}, want hexadecimal digits"
        raise InvalidRequestError(msg)
    return int(text, 16)


class Bitmap:
    """An immutable set of PU or NUMANode indices (os_index), possibly infinite.

    Parameters
    ----------
    indices : iterable of int
        The members, each in 0 to 1048575.

    Raises
    ------
    InvalidRequestError
        An index is negative or over the limit.

    Examples
    --------
    >>> cpus = Bitmap.from_list("0-3,8")
    >>> cpus.to_mask(), cpus.to_taskset(), len(cpus)
    ('0x0000010f', '0x10f', 5)
    >>> (cpus - Bitmap([0, 8])).to_list()
    '1-3'
    """

    __slots__ = ("_bits",)
    _bits: int

    def __init__(self, indices: Iterable[int] = ()) -> None:
        if isinstance(indices, str | bytes | bytearray) or not isinstance(
            indices, Iterable
        ):
            msg = f"indices: {shown(indices)}, want integers; from_list reads text"
            raise InvalidRequestError(msg)
        bits = 0
        for index in indices:
            bits |= 1 << _index(index)
        self._bits = bits

    @classmethod
    def from_int(cls, bits: int) -> Bitmap:
        """Make a set of the bits of an integer; a negative one is an infinite set.

        Parameters
        ----------
        bits : int
            Bit i stands for index i, in two's complement.

        Returns
        -------
        Bitmap
            The set.

        Raises
        ------
        InvalidRequestError
            A bit over the limit differs from the sign.
        """
        if isinstance(bits, bool) or not isinstance(bits, int):
            msg = f"bits: {type(bits).__name__}, want an int"
            raise InvalidRequestError(msg)
        if bits.bit_length() > INDEX_LIMIT:
            msg = f"bits: {bits.bit_length()} of them, want at most {INDEX_LIMIT}"
            raise InvalidRequestError(msg)
        result = cls()
        result._bits = bits
        return result

    @classmethod
    def from_list(cls, text: str) -> Bitmap:
        """Read the list form of the kernel and hwloc: "0-3,8", "12-" without an end.

        Parameters
        ----------
        text : str
            The list; empty for the empty set. White space around it is ignored.

        Returns
        -------
        Bitmap
            The set.

        Raises
        ------
        InvalidRequestError
            The text is not such a list, a range runs backwards, an index is too large.
        """
        bits = 0
        stripped = _stripped("list", text)
        for item in stripped.split(",") if stripped else ():
            match = _RANGE.fullmatch(item)
            if match is None or max(map(len, item.split("-"))) > _INDEX_DIGITS:
                msg = f"list: {item[:80]!r} in it, want indices and ranges as in 0-3,8"
                raise InvalidRequestError(msg)
            first = _index(int(match[1]))
            if match[2] == "":
                bits |= -1 << first
                continue
            last = _index(int(match[2])) if match[2] is not None else first
            if last < first:
                msg = f"list: {item!r} in it, want the smaller index first"
                raise InvalidRequestError(msg)
            bits |= (1 << (last + 1)) - (1 << first)
        return cls.from_int(bits)

    @classmethod
    def from_mask(cls, text: str) -> Bitmap:
        """Read hwloc's mask form: words of 32 bits, as "0x00000001,0xffff0000".

        The kernel's own masks ("00000001,ffff0000") are the same without "0x".

        Parameters
        ----------
        text : str
            The mask, highest word first; an empty word is zero; "0xf...f" in the first
            place stands for infinitely many ones.

        Returns
        -------
        Bitmap
            The set.

        Raises
        ------
        InvalidRequestError
            The text is not such a mask.
        """
        words = _stripped("mask", text).split(",")
        bits = 0
        if words[0] == _INFINITE:
            bits = -1
            words = words[1:]
        if len(words) * _WORD_BITS > INDEX_LIMIT:
            msg = f"mask: {len(words)} words, want at most {INDEX_LIMIT // _WORD_BITS}"
            raise InvalidRequestError(msg)
        for place, word in enumerate(words):
            digits = word.removeprefix("0x")
            # Only a word between others may be left out: hwloc does so for zeros.
            value = 0
            if word or not 0 < place < len(words) - 1:
                value = _hexadecimal(digits, text, "mask")
            if value >> _WORD_BITS:
                msg = f"mask: {word[:80]!r} in it, want words of {_WORD_BITS} bits"
                raise InvalidRequestError(msg)
            bits = bits << _WORD_BITS | value
        return cls.from_int(bits)

    @classmethod
    def from_taskset(cls, text: str) -> Bitmap:
        """Read taskset's form: one hexadecimal number, as "0x10000000f".

        Parameters
        ----------
        text : str
            The number, with or without "0x"; after "0xf...f" come the lowest digits of
            an infinite set.

        Returns
        -------
        Bitmap
            The set.

        Raises
        ------
        InvalidRequestError
            The text is not such a number.
        """
        digits = _stripped("taskset", text)
        if digits == _INFINITE:
            return cls.from_int(-1)
        if digits.startswith(_INFINITE):
            digits = digits.removeprefix(_INFINITE)
            low = _hexadecimal(digits, text, "taskset")
            return cls.from_int(-1 << 4 * len(digits) | low)
        return cls.from_int(_hexadecimal(digits.removeprefix("0x"), text, "taskset"))

    def to_int(self) -> int:
        """Return the set as an integer; negative where the set is infinite.

        Returns
        -------
        int
            Bit i stands for index i, in two's complement.
        """
        return self._bits

    def to_list(self) -> str:
        """Write the list form.

        Returns
        -------
        str
            Ranges in ascending order, as "0-3,8"; empty for the empty set.
        """
        parts = []
        bits = self._bits
        base = 0
        while bits:
            # Skip the zeros, then measure the run of ones.
            zeros = (bits & -bits).bit_length() - 1
            base += zeros
            bits >>= zeros
            if bits == -1:
                parts.append(f"{base}-")
                break
            ones = (~bits & bits + 1).bit_length() - 1
            parts.append(f"{base}" if ones == 1 else f"{base}-{base + ones - 1}")
            base += ones
            bits >>= ones
        return ",".join(parts)

    def to_mask(self) -> str:
        """Write hwloc's mask form, as hwloc prints it, so that every version reads it.

        Returns
        -------
        str
            Words of 32 bits, highest first, as "0x00000001,0xffff0000".
        """
        words = []
        bits = self._bits
        if bits < 0:
            words.append(_INFINITE)
        length = _whole_words(bits)
        for shift in range(length - _WORD_BITS, -1, -_WORD_BITS):
            word = bits >> shift & ((1 << _WORD_BITS) - 1)
            if word:
                words.append(f"0x{word:08x}")
            else:
                # hwloc leaves zeros out, except in the last place.
                words.append("" if shift else "0x0")
        return ",".join(words) or "0x0"

    def to_taskset(self) -> str:
        """Write taskset's form, as hwloc prints it, so that every version reads it.

        Returns
        -------
        str
            One hexadecimal number, as "0x10000000f".
        """
        if self._bits >= 0:
            return f"{self._bits:#x}"
        length = _whole_words(self._bits)
        if length == 0:
            return _INFINITE
        return f"{_INFINITE}{self._bits & (1 << length) - 1:0{length // 4}x}"

    @property
    def is_infinite(self) -> bool:
        """Whether the set has no last member."""
        return self._bits < 0

    def isdisjoint(self, other: Bitmap) -> bool:
        """Tell whether the sets share no member.

        Parameters
        ----------
        other : Bitmap
            The set to compare with.

        Returns
        -------
        bool
            True where they share none.
        """
        _require_bitmap("other", other)
        return not self._bits & other._bits

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and index >= 0 and bool(self._bits >> index & 1)

    def __iter__(self) -> Iterator[int]:
        if self._bits < 0:
            msg = f"bitmap: {self.to_list()} has no end, want a finite set to iterate"
            raise InvalidRequestError(msg)
        bits = self._bits
        base = 0
        while bits:
            skip = (bits & -bits).bit_length()
            base += skip
            bits >>= skip
            yield base - 1

    def __len__(self) -> int:
        if self._bits < 0:
            msg = f"bitmap: {self.to_list()} has no end, want a finite set to count"
            raise InvalidRequestError(msg)
        return self._bits.bit_count()

    def __bool__(self) -> bool:
        return self._bits != 0

    def __or__(self, other: Bitmap) -> Bitmap:
        return Bitmap.from_int(self._bits | other._bits)

    def __and__(self, other: Bitmap) -> Bitmap:
        return Bitmap.from_int(self._bits & other._bits)

    def __sub__(self, other: Bitmap) -> Bitmap:
        return Bitmap.from_int(self._bits & ~other._bits)

    def __xor__(self, other: Bitmap) -> Bitmap:
        return Bitmap.from_int(self._bits ^ other._bits)

    def __invert__(self) -> Bitmap:
        return Bitmap.from_int(~self._bits)

    def __le__(self, other: Bitmap) -> bool:
        return not self._bits & ~other._bits

    def __lt__(self, other: Bitmap) -> bool:
        return self <= other and self != other

    def __ge__(self, other: Bitmap) -> bool:
        return other <= self

    def __gt__(self, other: Bitmap) -> bool:
        return other < self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitmap) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash((Bitmap, self._bits))

    def __str__(self) -> str:
        return self.to_list()

    def __repr__(self) -> str:
        return f"Bitmap.from_list({self.to_list()!r})"


def _whole_words(bits: int) -> int:
    """Return how many bits to print, in whole words."""
    word = _STORED_BITS if bits < 0 else _WORD_BITS
    length = (~bits if bits < 0 else bits).bit_length()
    return -(-length // word) * word
