# SPDX-License-Identifier: Apache-2.0
"""Bitmap: its three text forms, held to hwloc's own printing and reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topoalloc._errors import InvalidRequestError
from topoalloc.hwloc import Bitmap, library
from topoalloc.hwloc._topology import read_bitmap, write_bitmap

FINITE = st.sets(st.integers(0, 300), max_size=40).map(Bitmap)
BITMAPS = st.one_of(FINITE, FINITE.map(lambda b: ~b))
FORMS = {
    "list": "hwloc_bitmap_list",
    "mask": "hwloc_bitmap",
    "taskset": "hwloc_bitmap_taskset",
}


def hwloc_print(bitmap: Bitmap, form: str) -> str:
    lib = library()
    buffer = lib.ffi.new("char[]", 4096)
    printer = getattr(lib.lib, f"{FORMS[form]}_snprintf")
    assert printer(buffer, 4096, write_bitmap(lib, bitmap)) < 4096
    text: str = lib.ffi.string(buffer).decode()
    return text


def hwloc_read(text: str, form: str) -> Bitmap:
    lib = library()
    out = write_bitmap(lib, Bitmap())
    assert getattr(lib.lib, f"{FORMS[form]}_sscanf")(out, text.encode()) == 0
    return read_bitmap(lib, out)


@pytest.mark.parametrize(
    ("indices", "as_list", "as_mask", "as_taskset"),
    [
        ([], "", "0x0", "0x0"),
        ([0], "0", "0x00000001", "0x1"),
        ([0, 1, 2, 3, 8], "0-3,8", "0x0000010f", "0x10f"),
        ([31, 32], "31-32", "0x00000001,0x80000000", "0x180000000"),
        ([64], "64", "0x00000001,,0x0", "0x10000000000000000"),
        ([1, 3, 5], "1,3,5", "0x0000002a", "0x2a"),
    ],
)
def test_forms_by_example(
    indices: list[int], as_list: str, as_mask: str, as_taskset: str
) -> None:
    bitmap = Bitmap(indices)
    assert (bitmap.to_list(), bitmap.to_mask(), bitmap.to_taskset()) == (
        as_list,
        as_mask,
        as_taskset,
    )
    assert Bitmap.from_list(as_list) == bitmap
    assert Bitmap.from_mask(as_mask) == bitmap
    assert Bitmap.from_taskset(as_taskset) == bitmap


def test_forms_of_the_kernel() -> None:
    assert Bitmap.from_mask("00000001,ffff0000").to_list() == "16-32"
    assert Bitmap.from_mask("f\n").to_list() == "0-3"
    assert Bitmap.from_list("0-3\n").to_list() == "0-3"
    assert Bitmap.from_taskset("f").to_list() == "0-3"


@pytest.mark.parametrize("form", FORMS)
@given(bitmap=BITMAPS)
def test_text_is_that_of_hwloc(form: str, bitmap: Bitmap) -> None:
    text = getattr(bitmap, f"to_{form}")()
    printed = hwloc_print(bitmap, form)
    # From 2.11 on, hwloc prints fewer of the leading ones of an infinite set.
    if not bitmap.is_infinite or library().api_version < 0x20B00:
        assert text == printed
    assert getattr(Bitmap, f"from_{form}")(printed) == bitmap
    if text:  # hwloc's list reader refuses the empty text that its printer makes.
        assert hwloc_read(text, form) == bitmap
    assert getattr(Bitmap, f"from_{form}")(text) == bitmap


@given(bitmap=BITMAPS)
def test_handle_round_trip(bitmap: Bitmap) -> None:
    lib = library()
    assert read_bitmap(lib, write_bitmap(lib, bitmap)) == bitmap


@given(
    left=st.sets(st.integers(0, 200)),
    right=st.sets(st.integers(0, 200)),
)
def test_operations_are_those_of_sets(left: set[int], right: set[int]) -> None:
    a, b = Bitmap(left), Bitmap(right)
    assert list(a) == sorted(left)
    assert len(a) == len(left)
    assert bool(a) == bool(left)
    assert set(a | b) == left | right
    assert set(a & b) == left & right
    assert set(a - b) == left - right
    assert set(a ^ b) == left ^ right
    assert (a <= b, a < b, a >= b, a > b) == (
        left <= right,
        left < right,
        left >= right,
        left > right,
    )
    assert a.isdisjoint(b) == left.isdisjoint(right)
    assert (a == b) == (left == right)
    assert (hash(a) == hash(b)) or left != right
    assert ~~a == a
    assert all((i in a) == (i in left) for i in range(-2, 210))
    assert all((i in ~a) == (i not in left) for i in range(210))


def test_infinite_has_no_length() -> None:
    tail = Bitmap.from_list("2,12-")
    assert tail.is_infinite
    assert tail.to_list() == "2,12-"
    assert 1_000_000 in tail
    assert -1 not in tail
    with pytest.raises(InvalidRequestError, match="bitmap: 2,12- has no end"):
        len(tail)
    with pytest.raises(InvalidRequestError, match="bitmap: 2,12- has no end"):
        list(tail)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("list", "3-1"),
        ("list", "a"),
        ("list", "1,,2"),
        ("list", "-1"),
        ("list", "0-7:2/4"),
        ("list", "1 2"),
        ("list", "\u0663"),
        ("list", "1048576"),
        ("list", "9" * 5000),
        ("mask", ""),
        ("mask", "0x1,"),
        ("mask", ",0x1"),
        ("mask", "0x1ffffffff"),
        ("mask", "0x1,0xg"),
        ("mask", "-1"),
        ("mask", "0xf...f,"),
        ("mask", "1," * 40000 + "1"),
        ("taskset", ""),
        ("taskset", "0x"),
        ("taskset", "0x1,0x2"),
        ("taskset", "0xf...fg"),
        ("taskset", "f" * 300_000),
    ],
)
def test_wrong_text_is_refused(form: str, text: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^({form}|index): "):
        getattr(Bitmap, f"from_{form}")(text)


@pytest.mark.parametrize("index", [-1, 1 << 20])
def test_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"index: {index}, want 0 to 1048575"):
        Bitmap([index])


def test_shows_what_makes_it() -> None:
    bitmap = Bitmap([0, 2, 3])
    assert str(bitmap) == "0,2-3"
    assert eval(repr(bitmap), {"Bitmap": Bitmap}) == bitmap
