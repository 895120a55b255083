# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._quantity import MAX_AMOUNT, MILLI, format_quantity, parse_quantity

# Tests hand in what the types forbid.
Anything: TypeAlias = Any


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        (0, 0),
        (17, 17),
        ("0", 0),
        ("64Gi", 64 * 2**30),
        ("80G", 80 * 10**9),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Ti", 3 * 2**39),
        (".5Ki", 512),
        ("5.", 5),
        ("+3M", 3_000_000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("2000m", 2),
        ("3000000u", 3),
        ("4000000000n", 4),
        (MAX_AMOUNT, MAX_AMOUNT),
        (str(MAX_AMOUNT), MAX_AMOUNT),
    ],
)
def test_reads_what_kubernetes_reads(text: Anything, amount: int) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize(
    ("value", "amount"), [("100m", 100), (2, 2000), ("1.5", 1500), ("2k", 2_000_000)]
)
def test_counts_thousandths_when_scaled(value: Anything, amount: int) -> None:
    assert parse_quantity(value, scale=MILLI) == amount


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("64GB", "memory: '64GB', want 64G or 64Gi"),
        ("64GiB", "memory: '64GiB', want 64G or 64Gi"),
        ("64gb", "memory: '64gb', want 64G or 64Gi"),
        ("64g", "memory: '64g', want 64G or 64Gi"),
        ("64K", "memory: '64K', want 64k or 64Ki"),
        ("1.5MB", "memory: '1.5MB', want 1.5M or 1.5Mi"),
        ("5x", "memory: '5x', want one of the suffixes n, u, m, k, M, G"),
        ("", "memory: '', want a quantity such as 64Gi, 80G or 100m"),
        ("Gi", "memory: 'Gi', want a quantity"),
        (" 1", "memory: ' 1', want a quantity"),
        ("1 Gi", "memory: '1 Gi', want a quantity"),
        ("1_0", "memory: '1_0', want a quantity"),
        ("\u0663", "memory: '\u0663', want a quantity"),
        ("1e999", "memory: '1e999', want a quantity"),
        ("9" * 65, "memory: '9{64}...', want a quantity"),
        ("1e3k", "memory: '1e3k', want a quantity"),
        ("nan", "memory: 'nan', want a quantity"),
        ("-1", "memory: '-1', want at least 0"),
        (-1, "memory: -1, want at least 0"),
        ("1e99", "memory: '1e99', want at most 9223372036854775807"),
        ("8Ei", "memory: '8Ei', want at most 9223372036854775807"),
        (MAX_AMOUNT + 1, "memory: 9223372036854775808, want at most"),
        pytest.param(10**5000, "memory: a huge integer, want at most", id="huge"),
        ("100m", "memory: '100m', want a whole number of units"),
        ("1e-1", "memory: '1e-1', want a whole number of units"),
        (True, "memory: True, want an integer or a quantity"),
        (1.5, "memory: 1.5, want an integer or a quantity"),
        (None, "memory: None, want an integer or a quantity"),
    ],
)
def test_refuses_what_is_no_quantity(text: Anything, want: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{want}"):
        parse_quantity(text, name="memory")


def test_raises_the_error_asked_for() -> None:
    with pytest.raises(FormatError, match="a whole number of 1/1000 units"):
        parse_quantity("1u", scale=MILLI, error=FormatError)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (999, "999"),
        (80 * 2**30, "80Gi"),
        (1536 * 2**30, "1536Gi"),
        (400 * 10**9, "400G"),
        (1500, "1500"),
        (2**60, "1Ei"),
        (10**18, "1E"),
        (1024, "1Ki"),
    ],
)
def test_prints_the_shortest_exact_text(amount: int, text: Anything) -> None:
    assert format_quantity(amount) == text


@given(
    st.one_of(
        st.integers(0, MAX_AMOUNT),
        st.builds(
            lambda n, unit: n * unit,
            st.integers(0, 1023),
            st.sampled_from([2**10, 2**30, 2**50, 10**3, 10**9, 10**15]),
        ),
    )
)
def test_reads_back_what_it_prints(amount: int) -> None:
    assert parse_quantity(format_quantity(amount)) == amount


@given(st.text(max_size=80))
def test_text_is_read_or_refused(text: Anything) -> None:
    try:
        assert 0 <= parse_quantity(text) <= MAX_AMOUNT
    except InvalidRequestError as error:
        assert str(error).startswith("quantity: ")  # noqa: PT017
