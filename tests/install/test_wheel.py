# SPDX-License-Identifier: Apache-2.0
"""What arrives in a clean environment that has the wheel and nothing of the tree.

Run by `nox -s install`, which says in TOPOALLOC_WHEEL where the wheel is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Modules that the plain import must not load: most callers never use them.
HEAVY = {
    "typer",
    "rich",
    "cffi",
    "scipy",
    "polars",
    "matplotlib",
    "asyncio",
    "kubernetes",
    "cel_expr_python",
}


@pytest.fixture(scope="module")
def wheel() -> zipfile.ZipFile:
    return zipfile.ZipFile(os.environ["TOPOALLOC_WHEEL"])


def python(*arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_package_comes_from_the_environment() -> None:
    where = Path(python("-c", "import topoalloc; print(topoalloc.__file__)").strip())
    assert where.is_relative_to(sys.prefix)


def test_wheel_holds_what_it_promises(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    info = metadata.rpartition("/")[0]
    headers = {
        f"topoalloc/include/{path.relative_to(ROOT / 'csrc/include')}"
        for path in (ROOT / "csrc/include").rglob("*.h*")
    }
    assert headers
    assert headers <= names
    assert {
        f"{info}/licenses/LICENSE",
        f"{info}/sboms/topoalloc.cdx.json",
        f"{info}/entry_points.txt",
        "topoalloc/py.typed",
        "topoalloc/_core.pyi",
    } <= names
    assert [name for name in names if name.startswith("topoalloc/_core.")]


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"topoalloc"}
    suffixes = {
        Path(name).suffix for name in wheel.namelist() if "/include/" not in name
    }
    assert suffixes.isdisjoint(
        {".cpp", ".hpp", ".c", ".h", ".o", ".a", ".cmake", ".pyc"}
    )
    assert not [name for name in wheel.namelist() if "oracle" in name.lower()]


def test_licence_is_apache(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith("/licenses/LICENSE"))
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()
    assert distribution("topoalloc").metadata["License-Expression"] == "Apache-2.0"


def test_bill_of_materials_names_version_and_requirements(
    wheel: zipfile.ZipFile,
) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith("/sboms/topoalloc.cdx.json"))
    bom = json.loads(wheel.read(name))
    (metadata,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    version = HeaderParser().parsestr(wheel.read(metadata).decode())["Version"]
    assert bom["bomFormat"] == "CycloneDX"
    assert bom["metadata"]["component"]["version"] == version
    assert {"cffi", "pybind11"} <= {part["name"] for part in bom["components"]}


def test_runtime_requirement_is_one() -> None:
    required = [
        line.split(">")[0]
        for line in distribution("topoalloc").requires or []
        if "extra ==" not in line
    ]
    assert sorted(required) == ["cffi"]


def test_import_loads_little() -> None:
    loaded = json.loads(
        python(
            "-c", "import topoalloc, sys, json; print(json.dumps(list(sys.modules)))"
        )
    )
    assert HEAVY.isdisjoint({name.partition(".")[0] for name in loaded})


def test_help_is_light() -> None:
    command = Path(sys.executable).with_name("topoalloc")
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([command, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    # The contract is 150 ms; the least of five leaves out what else the machine does.
    assert min(times) < 0.150


def test_quickstart_runs_without_extras() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("```python\n", 1)[1].split("```", 1)[0]
    assert python("-c", snippet).strip()


def test_selector_without_its_extra_says_what_to_install() -> None:
    script = """
from topoalloc import kubernetes as tk
try:
    tk.Selector("true")
except tk.MissingExtraError as error:
    print(error)
"""
    assert "want `pip install topoalloc[kubernetes]`" in python("-c", script)


def test_nothing_leaks_at_exit() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("```python\n", 1)[1].split("```", 1)[0]
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", snippet],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
