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
    "Cluster",
    "Gang",
    "PodSet",
    "Group",
    "Within",
    "Slice",
    "Spread",
    "Balanced",
    "Rails",
    "Taint",
    "Toleration",
    "GangVerdict",
    "GangPlan",
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
HOT_MODULES = {
    "topoalloc",
    "topoalloc._allocator",
    "topoalloc._bind",
    "topoalloc._constraints",
    "topoalloc._core",
    "topoalloc._discover",
    "topoalloc._errors",
    "topoalloc._machine",
    "topoalloc._machine_spec",
    "topoalloc._policy",
    "topoalloc._quantity",
    "topoalloc._records",
    "topoalloc._request",
    "topoalloc._version",
}
HEAVY_MODULES = {
    "_hashlib",
    "cffi",
    "decimal",
    "fractions",
    "hashlib",
    "importlib.metadata",
    "json",
    "numpy",
    "pathlib",
    "rich",
    "typer",
    "urllib",
}
# An editable install finds the package with these; a wheel needs none of them.
LOADED_BY_FINDERS = {"contextlib", "importlib"}
PARTS_OF_TYPING = (
    "_",
    "collections",
    "contextlib",
    "copyreg",
    "functools",
    "keyword",
    "operator",
    "re",
    "reprlib",
    "types",
    "typing",
    "warnings",
)
MODULES = (
    "topoalloc",
    "topoalloc._allocator",
    "topoalloc._cluster",
    "topoalloc._constraints",
    "topoalloc._gang",
    "topoalloc._policy",
    "topoalloc._records",
    "topoalloc._request",
    "topoalloc._snapshot",
    "topoalloc.kubernetes",
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
        ta.Cpu  # type: ignore[attr-defined]  # noqa: B018


def test_version_and_headers() -> None:
    assert isinstance(ta.__version__, str)
    assert ta.__version__
    assert ta.get_include().endswith("include")


def modules_of(statement: str) -> set[str]:
    """Return the modules that a statement loads into a new interpreter."""
    script = (
        f"import sys; before = set(sys.modules)\n{statement}\n"
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import topoalloc", {"topoalloc"}),
        ("import topoalloc.cli", {"topoalloc", "topoalloc.cli"}),
        ("import topoalloc; dir(topoalloc)", {"topoalloc"}),
        (
            "from topoalloc import StateError",
            {"topoalloc", "topoalloc._errors", "typing", "collections.abc"},
        ),
    ],
)
def test_import_loads_no_more_than(statement: str, loaded: set[str]) -> None:
    found = {
        name
        for name in modules_of(statement)
        if name.partition(".")[0] not in LOADED_BY_FINDERS
    }
    assert "topoalloc" in found
    assert {name for name in found if not name.startswith(PARTS_OF_TYPING)} <= loaded


def test_hot_names_load_no_more_than() -> None:
    found = modules_of("from topoalloc import Allocator, Machine, Request")
    assert {name for name in found if name.startswith("topoalloc")} == HOT_MODULES
    assert found.isdisjoint(HEAVY_MODULES)


def test_every_name_is_found_when_asked_for_first() -> None:
    for name in ta.__all__:
        script = f"from topoalloc import {name} as found; import topoalloc as ta; "
        script += f"assert found is getattr(ta, {name!r}) or found == ta.__version__"
        subprocess.run([sys.executable, "-c", script], check=True)


def test_dir_and_star_know_every_name() -> None:
    assert set(ta.__all__) <= set(dir(ta))
    names: dict[str, object] = {}
    exec("from topoalloc import *", names)
    assert set(ta.__all__) <= names.keys()


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
