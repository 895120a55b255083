# SPDX-License-Identifier: Apache-2.0
"""Each error class of the core arrives as the Python class of its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import topoalloc as ta
from topoalloc import _core, _errors

# Raised by the face alone: the core has neither a host nor an exception for "no".
FACE_ONLY = {"TopologyError", "NotPlacedError", "InfeasibleError", "UndecidedError"}


@pytest.mark.parametrize("name", _core.error_names())
def test_core_error_arrives_as_its_class(name: str) -> None:
    with pytest.raises(ta.TopoallocError, match=r"^cores: 3, want 2$") as caught:
        _core.throw_error(name, "cores: 3, want 2")
    assert type(caught.value) is getattr(ta, name)


def test_every_class_is_of_the_core_or_of_the_face() -> None:
    assert {*_errors.__all__} == {*_core.error_names()} | FACE_ONLY
    assert not {*_core.error_names()} & FACE_ONLY


def test_every_class_of_the_header_is_translated(repository: Path) -> None:
    header = repository / "csrc" / "include" / "topoalloc" / "errors.hpp"
    classes = re.findall(
        r"^class (\w+) ", header.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {"TopoallocError" if name == "Error" else name for name in classes} == {
        *_core.error_names()
    }


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("InvalidRequestError", ValueError),
        ("FormatError", ValueError),
        ("TopologyError", OSError),
        ("StateError", RuntimeError),
        ("StaleError", ta.StateError),
        ("InfeasibleError", ta.NotPlacedError),
        ("UndecidedError", ta.NotPlacedError),
        ("NotPlacedError", ta.TopoallocError),
        ("InternalError", ta.TopoallocError),
    ],
)
def test_bases_are_what_callers_catch(name: str, base: type[Exception]) -> None:
    assert issubclass(getattr(ta, name), base)
    assert issubclass(getattr(ta, name), ta.TopoallocError)


def test_unknown_name_is_no_error_of_the_core() -> None:
    with pytest.raises(KeyError, match="NoSuchError"):
        _core.throw_error("NoSuchError", "text")
