# SPDX-License-Identifier: Apache-2.0
"""The public names are there, light to import, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

import topoalloc as ta
from topoalloc import _core

CONTRACT = (
    "Machine",
    "Device",
    "Level",
    "Request",
    "DeviceRequest",
    "AtLeast",
    "AtMost",
    "OneOf",
    "Not",
    "Align",
    "Pair",
    "Link",
    "Same",
    "Distinct",
    "Near",
    "Allocator",
    "Placement",
    "Verdict",
    "Status",
    "Policy",
    "Cost",
    "Explanation",
    "TopoallocError",
    "InvalidRequestError",
    "FormatError",
    "TopologyError",
    "StateError",
    "StaleError",
    "NotPlacedError",
    "InfeasibleError",
    "UndecidedError",
    "InternalError",
)
HOT_CALLS = ("check", "allocate", "resize", "release")
MODULES = (
    "topoalloc",
    "topoalloc._allocator",
    "topoalloc._constraints",
    "topoalloc._policy",
    "topoalloc._records",
    "topoalloc._request",
    "topoalloc._snapshot",
)


@pytest.mark.parametrize("name", CONTRACT)
def test_name_of_the_contract_is_public(name: str) -> None:
    assert name in ta.__all__
    assert inspect.getdoc(getattr(ta, name))


def test_all_is_sorted_and_complete() -> None:
    assert ta.__all__ == sorted(ta.__all__)
    assert [name for name in ta.__all__ if not hasattr(ta, name)] == []


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cpu'"):
        ta.Cpu  # noqa: B018


def test_version_and_headers() -> None:
    assert isinstance(ta.__version__, str)
    assert ta.__version__
    assert ta.get_include().endswith("include")


@pytest.mark.parametrize(
    "heavy", ["numpy", "cffi", "topoalloc.hwloc", "importlib.metadata"]
)
def test_import_leaves_heavy_modules_alone(heavy: str) -> None:
    script = f"import sys, topoalloc; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_module(name: str) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", HOT_CALLS)
def test_examples_of_compiled_call(name: str) -> None:
    call = getattr(_core.Allocator, name)
    (example,) = doctest.DocTestFinder().find(call, name, module=False, globs={})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", HOT_CALLS)
def test_compiled_call_has_a_signature(name: str) -> None:
    signature = inspect.signature(getattr(ta.Allocator, name))
    assert next(iter(signature.parameters)) == "self"


@pytest.mark.parametrize("name", [name for name in ta.__all__ if name[0].isupper()])
def test_public_members_have_docstrings(name: str) -> None:
    cls = getattr(ta, name)
    bare = [
        member
        for member, value in vars(cls).items()
        if not member.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]
    assert bare == []
